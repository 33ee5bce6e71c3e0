//! Signed-in people, their drafts, failed sign-ins, and who did what.

use cuntong_protocol::{id::PersonId, time::Millis};

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// A signed-in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSession {
    pub person: PersonId,
    pub login: String,
    /// Of the password it was opened with: a newer one ends it.
    pub version: u32,
    pub opened_at: Millis,
    pub seen_at: Millis,
}

/// Failed sign-ins of one login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lockout {
    pub failures: u32,
    /// No try counts before this moment.
    pub until: Millis,
}

impl Lockout {
    /// How long the last failure locks, milliseconds: from the fifth on 1, 2, 4, 8, 15 minutes.
    pub fn wait_ms(&self) -> i64 {
        match self.failures.checked_sub(FREE_FAILURES) {
            None => 0,
            Some(more) => (1 << more.min(10)).min(LOCKED_MIN_MAX) * 60_000,
        }
    }
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    pub seq: u64,
    pub at: Millis,
    pub person: Option<PersonId>,
    pub action: String,
    pub subject: String,
}

/// Text of one draft.
const DRAFT_BYTES_MAX: usize = 64 * 1024;
/// Drafts of one person.
const DRAFTS_MAX: i64 = 100;
/// Failures before the first wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait; a sole agent must be able to work again the same day.
const LOCKED_MIN_MAX: i64 = 15;
/// Logins whose failures are remembered: made-up names must not fill the disk.
const LOCKOUTS_MAX: i64 = 10_000;

impl Db {
    /// Opens a session under the hash of its cookie.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn open_session(
        &mut self,
        token: [u8; 32],
        person: PersonId,
        (login, version): (&str, u32),
        now: Millis,
    ) -> Result<()> {
        self.exec(
            "INSERT INTO session (token, person, login, version, opened_at, seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (token) DO UPDATE SET person = excluded.person,
               login = excluded.login, version = excluded.version,
               opened_at = excluded.opened_at, seen_at = excluded.seen_at",
            (&token[..], &person.0[..], login, version, now.0),
        )?;
        Ok(())
    }

    /// The session of a cookie, whatever its age: the caller knows how long one lasts.
    ///
    /// # Errors
    /// A failing disk.
    pub fn session(&self, token: [u8; 32]) -> Result<Option<PersonSession>> {
        self.first(
            "SELECT person, login, version, opened_at, seen_at FROM session WHERE token = ?1",
            [&token[..]],
            |r| {
                Ok(PersonSession {
                    person: PersonId(r.get(0)?),
                    login: r.get(1)?,
                    version: r.get(2)?,
                    opened_at: Millis(r.get(3)?),
                    seen_at: Millis(r.get(4)?),
                })
            },
        )
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn touch_session(&mut self, token: [u8; 32], now: Millis) -> Result<()> {
        self.exec(
            "UPDATE session SET seen_at = ?2 WHERE token = ?1",
            (&token[..], now.0),
        )?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn close_session(&mut self, token: [u8; 32]) -> Result<()> {
        self.exec("DELETE FROM session WHERE token = ?1", [&token[..]])?;
        Ok(())
    }

    /// Ends the sessions that were last used, or opened, before these moments; and all of one
    /// person, when given.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn end_sessions(
        &mut self,
        idle_since: Millis,
        opened_before: Millis,
        person: Option<PersonId>,
    ) -> Result<usize> {
        self.exec(
            "DELETE FROM session WHERE seen_at < ?1 OR opened_at < ?2 OR person = ?3",
            (idle_since.0, opened_before.0, person.map(|p| p.0.to_vec())),
        )
    }

    /// What a person typed into a form and did not send.
    ///
    /// # Errors
    /// A failing disk.
    pub fn draft(&self, person: PersonId, form: &str) -> Result<Option<String>> {
        self.first(
            "SELECT body FROM draft WHERE person = ?1 AND form = ?2",
            (&person.0[..], form),
            |r| r.get(0),
        )
    }

    /// The forms a person left drafts in, newest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn drafts(&self, person: PersonId) -> Result<Vec<(String, Millis)>> {
        self.all(
            "SELECT form, saved_at FROM draft WHERE person = ?1 ORDER BY saved_at DESC",
            [&person.0[..]],
            |r| Ok((r.get(0)?, Millis(r.get(1)?))),
        )
    }

    /// Keeps a draft; `None` throws it away.
    ///
    /// # Errors
    /// A draft over 64 KiB, more than a hundred drafts, a full disk.
    pub fn save_draft(
        &mut self,
        person: PersonId,
        form: &str,
        body: Option<&str>,
        now: Millis,
    ) -> Result<()> {
        let Some(body) = body else {
            self.exec(
                "DELETE FROM draft WHERE person = ?1 AND form = ?2",
                (&person.0[..], form),
            )?;
            return Ok(());
        };
        if body.len() > DRAFT_BYTES_MAX || form.len() > 200 {
            return Err(StoreError::Refused("the draft is too large"));
        }
        let others: Option<i64> = self.first(
            "SELECT count(*) FROM draft WHERE person = ?1 AND form <> ?2",
            (&person.0[..], form),
            |r| r.get(0),
        )?;
        if others.unwrap_or(0) >= DRAFTS_MAX {
            return Err(StoreError::Refused("too many drafts"));
        }
        self.exec(
            "INSERT INTO draft (person, form, saved_at, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (person, form) DO UPDATE SET saved_at = excluded.saved_at,
               body = excluded.body",
            (&person.0[..], form, now.0, body),
        )?;
        Ok(())
    }

    /// Failed sign-ins of a login; compared in lower case.
    ///
    /// # Errors
    /// A failing disk.
    pub fn lockout(&self, login: &str) -> Result<Lockout> {
        let found = self.first(
            "SELECT failures, until FROM lockout WHERE login = ?1",
            [login.to_ascii_lowercase()],
            |r| {
                Ok(Lockout {
                    failures: r.get(0)?,
                    until: Millis(r.get(1)?),
                })
            },
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Counts a failed sign-in: from the fifth on, 1, 2, 4, 8, 15 minutes must pass.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note_failure(&mut self, login: &str, now: Millis) -> Result<Lockout> {
        let failures = self.lockout(login)?.failures.saturating_add(1);
        let mut lockout = Lockout {
            failures,
            until: now,
        };
        lockout.until = now.after(lockout.wait_ms());
        self.exec(
            "DELETE FROM lockout WHERE until < ?1 AND login NOT IN
               (SELECT login FROM lockout ORDER BY until DESC LIMIT ?2)",
            (now.0, LOCKOUTS_MAX),
        )?;
        self.exec(
            "INSERT INTO lockout (login, failures, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (login) DO UPDATE SET failures = excluded.failures,
               until = excluded.until",
            (login.to_ascii_lowercase(), failures, lockout.until.0),
        )?;
        Ok(lockout)
    }

    /// Forgets the failures of a login: the right password came.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn clear_failures(&mut self, login: &str) -> Result<()> {
        self.exec(
            "DELETE FROM lockout WHERE login = ?1",
            [login.to_ascii_lowercase()],
        )?;
        Ok(())
    }

    /// Adds a line to the audit. `subject` names a document, a node or a login, never a resident.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note(
        &mut self,
        at: Millis,
        person: Option<PersonId>,
        action: &str,
        subject: &str,
    ) -> Result<()> {
        let last = self.first(
            "SELECT seq, chain FROM audit ORDER BY seq DESC LIMIT 1",
            [],
            |r| Ok((r.get::<_, i64>(0)?, r.get::<_, [u8; 32]>(1)?)),
        )?;
        let (seq, before) = last.unwrap_or((0, [0; 32]));
        let line = AuditLine {
            seq: (seq + 1).cast_unsigned(),
            at,
            person,
            action: action.to_owned(),
            subject: subject.to_owned(),
        };
        self.exec(
            "INSERT INTO audit (seq, at, person, action, subject, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                seq + 1,
                at.0,
                person.map(|p| p.0.to_vec()),
                action,
                subject,
                &audit_chain(&before, &line)[..],
            ),
        )?;
        Ok(())
    }

    /// The newest lines of the audit, newest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn audit(&self, limit: u32) -> Result<Vec<AuditLine>> {
        let lines = self.all(
            "SELECT seq, at, person, action, subject, chain FROM audit
             ORDER BY seq DESC LIMIT ?1",
            [limit],
            audit_from,
        )?;
        Ok(lines.into_iter().map(|(line, _)| line).collect())
    }

    /// The first line of the audit whose chain does not follow from the line before it.
    pub(super) fn audit_break(&self) -> Result<Option<u64>> {
        let mut statement = self
            .conn
            .prepare("SELECT seq, at, person, action, subject, chain FROM audit ORDER BY seq")?;
        let mut before = [0; 32];
        for (expected, line) in (1..).zip(statement.query_map([], audit_from)?) {
            let (line, chain) = line?;
            if line.seq != expected || audit_chain(&before, &line) != chain {
                return Ok(Some(expected));
            }
            before = chain;
        }
        Ok(None)
    }
}

fn audit_from(r: &rusqlite::Row<'_>) -> rusqlite::Result<(AuditLine, [u8; 32])> {
    let person: Option<[u8; 8]> = r.get(2)?;
    let line = AuditLine {
        seq: r.get::<_, i64>(0)?.cast_unsigned(),
        at: Millis(r.get(1)?),
        person: person.map(PersonId),
        action: r.get(3)?,
        subject: r.get(4)?,
    };
    Ok((line, r.get(5)?))
}

fn audit_chain(before: &[u8; 32], line: &AuditLine) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 audit");
    hasher.update(before);
    hasher.update(&line.seq.to_be_bytes());
    hasher.update(&line.at.0.to_be_bytes());
    hasher.update(line.person.as_ref().map_or(&[][..], |p| &p.0));
    for text in [&line.action, &line.subject] {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
