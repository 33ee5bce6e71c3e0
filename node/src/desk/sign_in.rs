//! Signing in: passwords, lock-out, sessions.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use cuntong_protocol::{
    control::{Login, Person, signed::Trust},
    id::SiteId,
    refusal::Refusal,
    text::Private,
    time::Millis,
};

use cuntong_web::desk::Who;

use super::{NodeDesk, fault, who_of};
use crate::store::Lockout;

/// A session nobody used for so long is over.
pub(crate) const IDLE_MS_MAX: i64 = 10 * 60 * 1000;
/// A session this old is over, used or not.
pub(crate) const AGE_MS_MAX: i64 = 12 * 3_600 * 1000;
/// The time of last use is written down when it moved by this much.
pub(crate) const TOUCH_MS: i64 = 30 * 1000;
/// Hashes computed at once: each takes 64 MiB.
pub(crate) const HASHES_MAX: usize = 2;
/// Failures older than this no longer lock after a restart.
const STALE_MS: i64 = 24 * 3_600 * 1000;
/// Logins watched in memory.
const WATCHED_MAX: usize = 10_000;
/// Verified when there is no such login, so that the answer takes as long: m = 64 MiB, t = 3,
/// p = 1, as the registrar makes them.
const NOBODY: &str = "$argon2id$v=19$m=65536,t=3,p=1$Y3VudG9uZyBub2JvZHk\
                      $9v3F1YB2nXJ0c1mQ0Z5cN7m6n0yqj5bq3mJx3n0b1aA";

/// How long each login stays locked, measured by a clock nobody can set. What the database keeps
/// only counts failures across restarts: a restart begins the wait again, so that turning the
/// system's clock forward gains nothing.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// Login in lower case → moment of the running clock from which it may try again.
    until: Mutex<BTreeMap<String, Duration>>,
}

impl Locks {
    /// Whether a try counts now.
    ///
    /// # Errors
    /// [`Refusal::LockedOut`] with the seconds left.
    pub(crate) fn check(
        &self,
        login: &str,
        kept: Lockout,
        run: Duration,
        now: Millis,
    ) -> Result<(), Refusal> {
        let wait = Duration::from_millis(kept.wait_ms().unsigned_abs());
        let mut all = self.until.lock().unwrap_or_else(|p| p.into_inner());
        if all.len() >= WATCHED_MAX {
            all.retain(|_, until| *until > run);
        }
        let until = *all.entry(login.to_ascii_lowercase()).or_insert_with(|| {
            let stale = now.since(kept.until) > STALE_MS;
            if wait.is_zero() || stale {
                Duration::ZERO
            } else {
                run + wait
            }
        });
        match until.checked_sub(run) {
            Some(left) if !left.is_zero() => Err(Refusal::LockedOut(
                left.as_secs() + u64::from(left.subsec_nanos() > 0),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of what the failure just counted brought about.
    pub(crate) fn failed(&self, login: &str, kept: Lockout, run: Duration) {
        let wait = Duration::from_millis(kept.wait_ms().unsigned_abs());
        let mut all = self.until.lock().unwrap_or_else(|p| p.into_inner());
        let _before = all.insert(login.to_ascii_lowercase(), run + wait);
    }

    /// The right password came.
    pub(crate) fn cleared(&self, login: &str) {
        let mut all = self.until.lock().unwrap_or_else(|p| p.into_inner());
        let _before = all.remove(&login.to_ascii_lowercase());
    }
}

/// The login of that name at this site, and its person, when the person may act now.
pub(crate) fn find(
    trust: &Trust,
    site: SiteId,
    login: &str,
    now: Millis,
) -> Option<(Login, Person)> {
    let found = trust
        .credentials(site)?
        .logins
        .iter()
        .find(|l| l.login.eq_ignore_ascii_case(login))?;
    let person = trust.directory().person(found.person)?;
    let active = person.site == site
        && !person.roles.is_empty()
        && person.until.is_none_or(|until| now < until);
    active.then(|| (found.clone(), person.clone()))
}

/// Whether the password belongs to this hash; with no hash, false after the same work. Takes
/// about 150 ms of one core: not for an async thread.
pub(crate) fn matches(phc: Option<&str>, password: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc.unwrap_or(NOBODY)) else {
        return false;
    };
    let right = Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok();
    right && phc.is_some()
}

/// Whether a session is over: idle too long, too old, or from a future that was taken back.
pub(crate) fn over(opened: Millis, seen: Millis, now: Millis) -> bool {
    now.since(seen) > IDLE_MS_MAX || now.since(opened) > AGE_MS_MAX || now < opened
}

impl NodeDesk {
    /// Checks a login and password and opens a session under `token`. `run` is how long this
    /// process has run.
    ///
    /// # Errors
    /// [`Refusal::SignIn`] for whatever is wrong with login or password, [`Refusal::LockedOut`].
    pub(super) fn sign_in_blocking(
        &self,
        login: &str,
        password: &Private,
        token: [u8; 32],
        run: Duration,
    ) -> Result<Who, Refusal> {
        let now = self.clock.now();
        let wanted = login.to_owned();
        let (kept, found) = self
            .look(move |g| {
                let found = find(g.trust, g.site, &wanted, g.now);
                let found = found.map(|(login, person)| {
                    let (phc, version) = (login.phc, login.version);
                    (phc, version, who_of(g, login.login, person))
                });
                Ok((g.db.lockout(&wanted)?, found))
            })
            .map_err(|error| fault(&error))?;
        self.locks.check(login, kept, run, now)?;
        let phc = found.as_ref().map(|(phc, _, _)| phc.as_str());
        let right = matches(phc, password.reveal());
        let login = login.to_owned();
        let Some((_, version, who)) = found.filter(|_| right) else {
            let tried = login.clone();
            let failed = self.write(move |db| {
                db.note(now, None, "sign_in.failed", &subject(&tried))?;
                db.note_failure(&tried, now)
            });
            let kept = failed.map_err(|error| fault(&error))?;
            self.locks.failed(&login, kept, run);
            return Err(Refusal::SignIn);
        };
        self.locks.cleared(&login);
        let (person, name) = (who.actor.person, who.login.clone());
        self.write(move |db| {
            db.clear_failures(&login)?;
            db.end_sessions(now.after(-IDLE_MS_MAX), now.after(-AGE_MS_MAX), None)?;
            db.open_session(token, person, (&name, version), now)?;
            db.note(now, Some(person), "sign_in", &name)
        })
        .map_err(|error| fault(&error))?;
        Ok(who)
    }

    /// The person of a session that is not over, whose password and right to act are unchanged.
    pub(super) fn session_blocking(&self, token: [u8; 32]) -> Option<Who> {
        let found = self.look(move |g| {
            let Some(session) = g.db.session(token)? else {
                return Ok(None);
            };
            if over(session.opened_at, session.seen_at, g.now) {
                return Ok(None);
            }
            let found = find(g.trust, g.site, &session.login, g.now).filter(|(login, person)| {
                login.version == session.version && person.id == session.person
            });
            let stale = g.now.since(session.seen_at) > TOUCH_MS;
            Ok(found.map(|(login, person)| (who_of(g, login.login, person), stale)))
        });
        let (who, stale) = found.ok()??;
        if stale {
            let now = self.clock.now();
            // A page is answered even when the disk is full.
            if let Err(error) = self.write(move |db| db.touch_session(token, now)) {
                tracing::error!(%error, "the time of last use was not saved");
            }
        }
        Some(who)
    }
}

/// A login as the audit may hold it: what somebody typed there may be a password.
fn subject(login: &str) -> String {
    format!("login {}", &blake3::hash(login.as_bytes()).to_hex()[..12])
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn failures(n: u32) -> Lockout {
        Lockout {
            failures: n,
            until: Millis(0),
        }
    }

    #[test]
    fn a_lock_ends_when_its_time_has_run_and_not_when_the_clock_is_turned() {
        let locks = Locks::default();
        let run = Duration::from_secs(500);
        locks.failed("Li", failures(5), run);
        for turned in [0, 3_600_000, 10 * STALE_MS] {
            assert_eq!(
                locks.check("li", failures(5), run, Millis(turned)),
                Err(Refusal::LockedOut(60))
            );
        }
        let later = run + MINUTE;
        assert_eq!(locks.check("li", failures(5), later, Millis(0)), Ok(()));
        locks.failed("li", failures(6), later);
        assert_eq!(
            locks.check("LI", failures(6), later + MINUTE, Millis(0)),
            Err(Refusal::LockedOut(60))
        );
    }

    #[test]
    fn a_restart_begins_the_wait_again_until_it_is_a_day_old() {
        let kept = Lockout {
            failures: 7,
            until: Millis(1_000_000),
        };
        assert_eq!(
            Locks::default().check("li", kept, Duration::ZERO, Millis(2_000_000)),
            Err(Refusal::LockedOut(240))
        );
        let next_day = Millis(1_000_001 + STALE_MS);
        assert_eq!(
            Locks::default().check("li", kept, Duration::ZERO, next_day),
            Ok(())
        );
    }

    #[test]
    fn no_lock_is_longer_than_a_quarter_of_an_hour() {
        let locks = Locks::default();
        locks.failed("li", failures(50), Duration::ZERO);
        assert_eq!(
            locks.check("li", failures(50), 15 * MINUTE, Millis(0)),
            Ok(())
        );
    }

    #[test]
    fn only_the_right_password_of_a_known_login_matches() {
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        let phc = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password(b"right")
            .unwrap()
            .to_string();
        assert!(matches(Some(&phc), "right"));
        assert!(!matches(Some(&phc), "wrong"));
        assert!(!matches(None, "right"));
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn a_session_ends_after_ten_idle_minutes_or_twelve_hours() {
        let opened = Millis(1_000_000_000);
        assert!(!over(opened, opened, opened.after(IDLE_MS_MAX)));
        assert!(over(opened, opened, opened.after(IDLE_MS_MAX + 1)));
        let late = opened.after(AGE_MS_MAX + 1);
        assert!(over(opened, late, late));
        assert!(over(opened, opened, Millis(opened.0 - 1)));
    }
}
