//! What was not admitted: quarantine, refusals made and heard, and documents without the refused.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cuntong_protocol::{
    document::{Doc, DocError, Write, change_facts},
    gate::Rule,
    id::{CaseId, ChangeHash, DocId, Kind, NodeId},
    log::{LogHead, LogId, Rejection},
    time::Millis,
};

use super::{
    db::Db,
    epoch::Why,
    error::Result,
    log::{EntryState, Row1, head_from, log_from},
};

/// Rule of entries that depend on a refused one: nothing is wrong with them but that.
pub const HELD_RULE: &str = "G900";
pub(super) const HELD_REASON: &str = "它所依据的前一条记录未被接收";
/// Bodies kept in quarantine.
const QUARANTINE_BYTES_MAX: i64 = 32 * 1024 * 1024;
/// Refusals kept; the oldest go.
const REJECTIONS_MAX: i64 = 20_000;
/// Rows kept in quarantine; the oldest go.
const QUARANTINE_ROWS_MAX: i64 = 10_000;

/// The tray's columns, for [`refused_from`].
pub(super) const REFUSED: &str = "SELECT r.id, r.at, r.made, r.seq AS at_seq, r.doc, r.hash,
   r.rule, r.reason, r.by_node, r.seen_at, l.kind, l.site, l.node, l.epoch
 FROM rejection AS r JOIN log AS l ON l.id = r.log";

/// Something in quarantine.
#[derive(Debug, Clone)]
pub struct Quarantined {
    pub id: i64,
    pub at: Millis,
    pub log: LogId,
    pub seq: u64,
    pub doc: Option<DocId>,
    pub rule: String,
    pub reason: String,
    /// A whole batch, not one entry.
    pub whole: bool,
    pub bytes: u64,
}

/// A refusal, as the tray shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub id: i64,
    pub at: Millis,
    pub rejection: Rejection,
    /// Made by this node's own gate.
    pub made: bool,
    pub seen: bool,
}

/// What heard refusals brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Refusals not known before.
    pub new: Vec<Rejection>,
    /// Entries taken out of their documents, those that depended on them included.
    pub taken_out: u64,
    /// An own entry was refused, so another epoch began.
    pub new_epoch: bool,
}

/// A thing for quarantine.
pub(super) struct Put<'a> {
    pub(super) log: &'a LogId,
    pub(super) seq: u64,
    pub(super) doc: Option<DocId>,
    pub(super) hash: [u8; 32],
    pub(super) rule: &'a str,
    pub(super) reason: &'a str,
    pub(super) body: &'a [u8],
}

impl Db {
    /// Keeps what was not admitted, within bounds; the same again is no error.
    pub(super) fn quarantine(&self, put: &Put<'_>, now: Millis) -> Result<()> {
        let held: i64 = self
            .first(
                "SELECT coalesce(sum(length(body)), 0) FROM quarantine",
                [],
                |r| r.get(0),
            )?
            .unwrap_or(0);
        let room = held.saturating_add_unsigned(put.body.len() as u64) <= QUARANTINE_BYTES_MAX;
        self.exec(
            "INSERT INTO quarantine (at, kind, site, node, epoch, seq, doc, hash, rule, reason,
               whole, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (hash, rule) DO NOTHING",
            (
                now.0,
                put.log.scope.kind.code(),
                put.log.scope.site.0,
                &put.log.writer.node.0[..],
                put.log.writer.epoch,
                put.seq.cast_signed(),
                put.doc.map(|d| d.0.to_vec()),
                &put.hash[..],
                put.rule,
                put.reason,
                put.doc.is_none(),
                room.then_some(put.body),
            ),
        )?;
        self.exec(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?1",
            [QUARANTINE_ROWS_MAX],
        )?;
        Ok(())
    }

    /// What is in quarantine, newest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>> {
        self.all(
            "SELECT id, at, kind, site, node, epoch, seq, doc, rule, reason, whole,
               coalesce(length(body), 0) AS bytes FROM quarantine ORDER BY id DESC LIMIT ?1",
            [limit],
            |r| {
                Ok(Quarantined {
                    id: r.get("id")?,
                    at: Millis(r.get("at")?),
                    log: log_from(r)?,
                    seq: r.get::<_, i64>("seq")?.cast_unsigned(),
                    doc: r.get::<_, Option<[u8; 16]>>("doc")?.map(DocId),
                    rule: r.get("rule")?,
                    reason: r.get("reason")?,
                    whole: r.get("whole")?,
                    bytes: r.get::<_, i64>("bytes")?.cast_unsigned(),
                })
            },
        )
    }

    /// What a refused change of this node would have written, for its author to do again;
    /// `None` when its content is not kept or does not read.
    ///
    /// # Errors
    /// A failing disk.
    pub fn refused_writes(&self, hash: ChangeHash) -> Result<Option<Vec<Write>>> {
        let body = self.first(
            "SELECT body FROM quarantine WHERE hash = ?1 AND body IS NOT NULL",
            [&hash.0[..]],
            |r| r.get::<_, Vec<u8>>(0),
        )?;
        let writes = body.and_then(|body| {
            // The content may be anybody's: automerge panics on some of what was refused.
            let read = || change_facts(&body).and_then(|f| f.writes());
            catch_unwind(AssertUnwindSafe(read)).ok()?.ok()
        });
        Ok(writes)
    }

    /// How many things are in quarantine.
    ///
    /// # Errors
    /// A failing disk.
    pub fn quarantine_count(&self) -> Result<u64> {
        let count = self.first("SELECT count(*) FROM quarantine", [], |r| {
            r.get::<_, i64>(0)
        })?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// Keeps a refusal; whether it is new.
    pub(super) fn put_rejection(
        &self,
        rejection: &Rejection,
        made: bool,
        now: Millis,
    ) -> Result<bool> {
        let row = self.log_row(&rejection.log)?;
        let put = self.exec(
            "INSERT INTO rejection (at, made, applied, log, seq, doc, hash, rule, reason, by_node)
             VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (log, seq, hash, by_node) DO NOTHING",
            (
                now.0,
                made,
                row,
                rejection.seq.cast_signed(),
                &rejection.doc.0[..],
                &rejection.hash.0[..],
                &rejection.rule,
                &rejection.reason,
                &rejection.by.0[..],
            ),
        )?;
        self.exec(
            "DELETE FROM rejection WHERE id <= (SELECT max(id) FROM rejection) - ?1",
            [REJECTIONS_MAX],
        )?;
        Ok(put > 0)
    }

    /// Forgets that `by` put a log off: it has taken it up to `seq`.
    pub(super) fn no_longer_put_off(&self, row: i64, seq: u64, by: NodeId) -> Result<()> {
        self.exec(
            "DELETE FROM rejection WHERE log = ?1 AND seq <= ?2 AND by_node = ?3 AND rule = ?4",
            (row, seq.cast_signed(), &by.0[..], Rule::Quota.code()),
        )?;
        Ok(())
    }

    /// Refusals, what is open before what is settled or seen, newest first: all of them, or
    /// those of one case.
    ///
    /// # Errors
    /// A failing disk.
    pub fn rejections(&self, case: Option<CaseId>, limit: u32) -> Result<Vec<Refused>> {
        let docs = case.map(|c| (c.doc(Kind::Application), c.doc(Kind::Handling)));
        let (application, handling) = match docs {
            Some((a, h)) => (Some(a.0.to_vec()), Some(h.0.to_vec())),
            None => (None, None),
        };
        self.all(
            &format!(
                "{REFUSED} LEFT JOIN settled AS s ON s.hash = r.hash
                 WHERE ?1 IS NULL OR r.doc IN (?1, ?2)
                 ORDER BY s.hash IS NULL AND (l.node = ?4 OR r.seen_at IS NULL) DESC, r.id DESC
                 LIMIT ?3"
            ),
            (application, handling, limit, &self.identity()?.node.0[..]),
            refused_from,
        )
    }

    /// Refusals a node below should hear of: of entries in its scopes, newest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn rejections_for(&self, writers: &BTreeSet<NodeId>, limit: u32) -> Result<Vec<Rejection>> {
        let mut out = Vec::new();
        for writer in writers {
            let rows = self.all(
                &format!("{REFUSED} WHERE l.node = ?1 ORDER BY r.id DESC LIMIT ?2"),
                (&writer.0[..], limit),
                refused_from,
            )?;
            out.extend(rows.into_iter().map(|r| r.rejection));
        }
        Ok(out)
    }

    /// Notes that a person has seen a refusal.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn rejection_seen(&mut self, id: i64, now: Millis) -> Result<()> {
        self.exec(
            "UPDATE rejection SET seen_at = ?2 WHERE id = ?1 AND seen_at IS NULL",
            (id, now.0),
        )?;
        Ok(())
    }

    /// What other nodes refused. An upstream's word is followed: the entries leave their
    /// documents, with those that depend on them, and stay in quarantine and in the tray. Where
    /// they are of this writer a new epoch begins: the refused positions are used up.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn reject(
        &mut self,
        rejections: &[Rejection],
        upstream: bool,
        now: Millis,
    ) -> Result<Applied> {
        self.transact(|db| {
            let own = db.identity()?.writer;
            let mut applied = Applied::default();
            let mut docs = BTreeSet::new();
            for rejection in rejections {
                // Of what is not held here nothing is kept: lists of made-up names stay out.
                let Some(row) = db.find_log(&rejection.log)? else {
                    continue;
                };
                let entry = db.entry_at(row, rejection.seq)?;
                let entry = entry.filter(|e| e.hash == rejection.hash);
                if entry.is_none() && !rejection.is_whole() {
                    continue;
                }
                if db.put_rejection(rejection, false, now)? {
                    applied.new.push(rejection.clone());
                }
                let (true, Some(entry)) = (upstream, entry) else {
                    continue;
                };
                db.exec(
                    "UPDATE rejection SET applied = 1 WHERE log = ?1 AND seq = ?2 AND by_node = ?3",
                    (row, entry.seq, &rejection.by.0[..]),
                )?;
                if matches!(entry.state, EntryState::Accepted | EntryState::Waiting) {
                    db.refuse_entry(&entry, &rejection.log, rejection, now)?;
                    docs.insert(entry.doc);
                    applied.taken_out += 1;
                    applied.new_epoch |= rejection.log.writer == own;
                }
            }
            for doc in &docs {
                let by = rejections.iter().find(|r| r.doc == *doc).map(|r| r.by);
                let held = db.rebuild_doc(*doc, by.unwrap_or(own.node), now)?;
                applied.taken_out += held.len() as u64;
                applied.new_epoch |= held.iter().any(|r| r.log.writer == own);
                applied.new.extend(held);
            }
            if applied.new_epoch {
                db.begin_epoch(Why::Refused, now)?;
            }
            Ok(applied)
        })
    }

    /// Marks an entry refused; its body goes to quarantine.
    pub(super) fn refuse_entry(
        &self,
        entry: &Row1,
        log: &LogId,
        rejection: &Rejection,
        now: Millis,
    ) -> Result<()> {
        if let Some(body) = &entry.body {
            let put = Put {
                log,
                seq: entry.seq.cast_unsigned(),
                doc: Some(entry.doc),
                hash: entry.hash.0,
                rule: &rejection.rule,
                reason: &rejection.reason,
                body,
            };
            self.quarantine(&put, now)?;
        }
        self.set_state(entry, EntryState::Refused, None)
    }

    /// Makes a document again from its accepted entries. Entries whose dependencies were refused
    /// are refused too, those whose dependencies are not here wait again. Answers the refusals.
    pub(super) fn rebuild_doc(
        &mut self,
        id: DocId,
        by: NodeId,
        now: Millis,
    ) -> Result<Vec<Rejection>> {
        self.forget(id);
        let entries = self.entries_of(id)?;
        let (doc, left) = assemble(id, &entries, &self.given_of(id)?)?;
        for entry in &left {
            self.set_state(entry, EntryState::Waiting, entry.body.as_deref())?;
        }
        self.put_doc(&doc, now)?;
        // What was let in once is not asked again who serves where today.
        let held = self.settle_waiting(id, true, by, now)?;
        self.refresh(id)?;
        Ok(held)
    }

    /// Whether an entry of that change is here but not in its document, for good.
    pub(super) fn is_refused(&self, doc: DocId, hash: ChangeHash) -> Result<bool> {
        let states: Vec<u8> = self.all(
            "SELECT state FROM entry WHERE hash = ?1 AND doc = ?2",
            (&hash.0[..], &doc.0[..]),
            |r| r.get(0),
        )?;
        Ok(!states.is_empty() && states.iter().all(|s| matches!(s, 1 | 2)))
    }

    /// Refuses an entry because one it depends on was refused.
    pub(super) fn hold(&self, entry: &Row1, by: NodeId, now: Millis) -> Result<Rejection> {
        let log = self.log_of(entry.log)?;
        let rejection = Rejection {
            log,
            seq: entry.seq.cast_unsigned(),
            doc: entry.doc,
            hash: entry.hash,
            rule: HELD_RULE.to_owned(),
            reason: HELD_REASON.to_owned(),
            by,
        };
        self.refuse_entry(entry, &log, &rejection, now)?;
        let made = self.identity()?.node == by;
        self.put_rejection(&rejection, made, now)?;
        Ok(rejection)
    }

    /// Cuts a log back to `head`, which must be one of its seals, or its start.
    pub(super) fn truncate_log(&mut self, row: i64, log: LogId, head: LogHead) -> Result<()> {
        let seq = head.seq.cast_signed();
        self.exec("DELETE FROM seal WHERE log = ?1 AND seq > ?2", (row, seq))?;
        self.exec("DELETE FROM entry WHERE log = ?1 AND seq > ?2", (row, seq))?;
        self.recount();
        self.set_head(row, log, head)
    }

    /// The last seal of a log at or before `seq`.
    pub(super) fn sealed_before(&self, row: i64, seq: u64) -> Result<LogHead> {
        let head = self.first(
            "SELECT e.seq, e.chain FROM entry AS e JOIN seal AS s ON s.log = e.log AND s.seq = e.seq
             WHERE e.log = ?1 AND e.seq <= ?2 ORDER BY e.seq DESC LIMIT 1",
            (row, seq.cast_signed()),
            head_from,
        )?;
        Ok(head.unwrap_or(LogHead::START))
    }
}

/// A document of its accepted entries, and those of them whose dependencies are missing; without those
/// whose change is lost here ([`Db::with_body`]).
/// `given`: changes that came with the document and wait for their entries.
pub(super) fn assemble(id: DocId, entries: &[Row1], given: &[Vec<u8>]) -> Result<(Doc, Vec<Row1>)> {
    let mut doc = Doc::new(id);
    let accepted = entries.iter().filter(|e| e.state == EntryState::Accepted);
    let mut open: Vec<(Option<&Row1>, &[u8])> = accepted
        .filter_map(|e| Some((Some(e), e.body.as_deref()?)))
        .chain(given.iter().map(|body| (None, body.as_slice())))
        .collect();
    loop {
        let before = open.len();
        let mut later = Vec::new();
        for (entry, body) in open {
            match doc.apply(body) {
                Ok(_) => {}
                Err(DocError::MissingDep(_)) => later.push((entry, body)),
                Err(other) => return Err(other.into()),
            }
        }
        if later.is_empty() || later.len() == before {
            let left = later.into_iter().filter_map(|(entry, _)| entry.cloned());
            return Ok((doc, left.collect()));
        }
        open = later;
    }
}

pub(super) fn refused_from(r: &rusqlite::Row<'_>) -> rusqlite::Result<Refused> {
    Ok(Refused {
        id: r.get("id")?,
        at: Millis(r.get("at")?),
        made: r.get("made")?,
        seen: r.get::<_, Option<i64>>("seen_at")?.is_some(),
        rejection: Rejection {
            log: log_from(r)?,
            seq: r.get::<_, i64>("at_seq")?.cast_unsigned(),
            doc: DocId(r.get("doc")?),
            hash: ChangeHash(r.get("hash")?),
            rule: r.get("rule")?,
            reason: r.get("reason")?,
            by: NodeId(r.get("by_node")?),
        },
    })
}
