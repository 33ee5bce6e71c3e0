//! A log with two branches: this node's is put aside, upstream's comes in, and what was written
//! here alone is written again in a new epoch.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    document::{Change, Doc, Write, change_facts},
    id::{ActId, ActorId, ChangeHash, DocId, NodeId},
    log::{LogHead, LogId},
    time::Millis,
    wire::Fork,
};

use super::{
    db::Db,
    docs::scope_of,
    epoch::Why,
    error::Result,
    log::{ENTRY, Row1, entry_from},
    refuse::Put,
};

/// What a fork brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forked {
    /// Entries taken out; own ones are kept to be written again.
    pub taken_out: u64,
    pub new_epoch: bool,
}

/// One change to write again.
struct Orphan {
    doc: DocId,
    hash: ChangeHash,
    body: Vec<u8>,
}

impl Db {
    /// Another node holds something else in a log, or more of this node's own. Entries of that
    /// log that neither it nor the county acknowledged are taken out: own ones are kept, to be
    /// written again by [`Db::adopt_orphans`] once the log has reached what the other holds;
    /// those of other writers go to quarantine. Where the log is this writer's a new epoch begins.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn fork(&mut self, fork: &Fork, now: Millis) -> Result<Forked> {
        let own = self.identity()?.writer;
        if self.head_at(&fork.log, fork.held.seq)? == Some(fork.held) && fork.held.seq > 0 {
            // The same entries: an old message, or the log was mended in the meantime.
            return Ok(Forked::default());
        }
        self.transact(|db| {
            let mut forked = Forked::default();
            if fork.log.writer == own {
                db.begin_epoch(Why::Forked, now)?;
                forked.new_epoch = true;
            }
            let Some(row) = db.find_log(&fork.log)? else {
                return Ok(forked);
            };
            let acknowledged = db.acknowledged_by(row, fork.by)?;
            let base = db.sealed_before(row, acknowledged)?;
            let taken = db.all(
                &format!("SELECT {ENTRY} FROM entry WHERE log = ?1 AND seq > ?2 ORDER BY seq"),
                (row, base.seq.cast_signed()),
                entry_from,
            )?;
            let taken = taken.into_iter().map(|row| db.with_body(row));
            let taken = taken.collect::<Result<Vec<_>>>()?;
            if taken.is_empty() {
                return Ok(forked);
            }
            for entry in &taken {
                db.put_aside(entry, fork, fork.log.writer.node == own.node, now)?;
            }
            db.truncate_log(row, fork.log, base)?;
            let docs: BTreeSet<DocId> = taken.iter().map(|e| e.doc).collect();
            for doc in docs {
                db.rebuild_doc(doc, own.node, now)?;
            }
            forked.taken_out = taken.len() as u64;
            Ok(forked)
        })
    }

    fn put_aside(&self, entry: &Row1, fork: &Fork, own: bool, now: Millis) -> Result<()> {
        let Some(body) = &entry.body else {
            return Ok(());
        };
        if !own {
            let put = Put {
                log: &fork.log,
                seq: entry.seq.cast_unsigned(),
                doc: Some(entry.doc),
                hash: entry.hash.0,
                rule: "G901",
                reason: "同一序号有两份不同的记录,以上级所持为准",
                body,
            };
            return self.quarantine(&put, now);
        }
        self.exec(
            "INSERT INTO orphan (log, seq, doc, hash, until, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (hash) DO UPDATE SET until = max(until, excluded.until)",
            (
                entry.log,
                entry.seq,
                &entry.doc.0[..],
                &entry.hash.0[..],
                fork.held.seq.cast_signed(),
                body,
            ),
        )?;
        Ok(())
    }

    /// How far a node, or the county, has acknowledged this very branch of a log.
    pub(super) fn acknowledged_by(&self, row: i64, holder: NodeId) -> Result<u64> {
        let lines = self.all(
            "SELECT r.holder, r.seq FROM receipt_line AS r
             JOIN entry AS e ON e.log = r.log AND e.seq = r.seq AND e.chain = r.chain
             WHERE r.log = ?1",
            [row],
            |r| Ok((r.get::<_, [u8; 8]>(0)?, r.get::<_, i64>(1)?)),
        )?;
        let counties = self.county_nodes();
        let counts = |node: [u8; 8]| {
            let node = NodeId(node);
            node == holder || counties.contains(&node)
        };
        let last = lines.into_iter().filter(|(n, _)| counts(*n)).map(|l| l.1);
        Ok(last.max().unwrap_or(0).cast_unsigned())
    }

    /// Own changes taken out of a fork and not written again yet.
    ///
    /// # Errors
    /// A failing disk.
    pub fn orphans(&self) -> Result<u64> {
        let count = self.first("SELECT count(*) FROM orphan", [], |r| r.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// Writes again what forks took out of this node's own logs, as far as those have reached
    /// what the other node held: same content and desk time, new ids, new epoch. What came back
    /// unchanged with the log is dropped. Safe to call at any time, and again.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn adopt_orphans(&mut self, now: Millis) -> Result<Vec<(LogId, LogHead)>> {
        if self.orphans()? == 0 {
            return Ok(Vec::new());
        }
        self.transact(|db| {
            db.exec(
                "DELETE FROM orphan WHERE EXISTS
                   (SELECT 1 FROM entry WHERE entry.hash = orphan.hash AND entry.log = orphan.log)",
                [],
            )?;
            let orphans = db.all(
                "SELECT o.doc, o.hash, o.body FROM orphan AS o JOIN log AS l ON l.id = o.log
                 WHERE l.seq >= o.until ORDER BY o.log, o.seq",
                [],
                |r| {
                    Ok(Orphan {
                        doc: DocId(r.get(0)?),
                        hash: ChangeHash(r.get(1)?),
                        body: r.get(2)?,
                    })
                },
            )?;
            let mut again = Rewriting::default();
            let mut changes: Vec<(Doc, Change)> = Vec::new();
            for orphan in &orphans {
                changes.push(db.rewrite(orphan, &mut again, now)?);
                db.exec("DELETE FROM orphan WHERE hash = ?1", [&orphan.hash.0[..]])?;
            }
            if changes.is_empty() {
                return Ok(Vec::new());
            }
            db.note(now, None, "adopt", &format!("{} changes", changes.len()))?;
            let heads = db.record(&changes, now)?;
            db.save_clock()?;
            Ok(heads)
        })
    }

    /// Writes one change again, with what its author knew then as its past: what others wrote in
    /// the meantime stays beside it as a conflict, instead of being overwritten unseen.
    fn rewrite(
        &mut self,
        orphan: &Orphan,
        again: &mut Rewriting,
        now: Millis,
    ) -> Result<(Doc, Change)> {
        let facts = change_facts(&orphan.body)?;
        let actor = self.identity()?.writer.actor();
        let mut writes = facts.writes()?;
        for write in &mut writes {
            if let Write::Act(id, act) = write {
                let new = self.act_id(now)?;
                again.acts.insert(*id, new);
                *id = new;
                act.saw = act.saw.map(|saw| *again.acts.get(&saw).unwrap_or(&saw));
            }
        }
        scope_of(orphan.doc)?;
        let mut whole = match again.docs.remove(&orphan.doc) {
            Some(doc) => doc,
            None => self.doc_or_new(orphan.doc)?,
        };
        let deps = facts
            .deps
            .iter()
            .map(|d| *again.changes.get(d).unwrap_or(d));
        let mut past = past_of(&whole, deps.collect(), actor)?;
        let change = past.write(actor, facts.at, &writes)?;
        whole.apply(&change.bytes)?;
        again.changes.insert(orphan.hash, change.hash);
        again.docs.insert(orphan.doc, whole.fork());
        Ok((whole, change))
    }
}

/// Old names to new ones.
#[derive(Default)]
struct Rewriting {
    acts: BTreeMap<ActId, ActId>,
    changes: BTreeMap<ChangeHash, ChangeHash>,
    docs: BTreeMap<DocId, Doc>,
}

/// The document as it was with these changes, what they depend on, and all of `actor`'s.
fn past_of(whole: &Doc, deps: BTreeSet<ChangeHash>, actor: ActorId) -> Result<Doc> {
    let changes = whole.changes();
    let mut wanted = deps;
    let mut kept = Vec::new();
    // Each change comes after what it depends on, so one pass from the end finds all of the past.
    for change in changes.iter().rev() {
        let facts = change_facts(&change.bytes)?;
        if facts.actor == actor || wanted.contains(&change.hash) {
            wanted.extend(facts.deps);
            kept.push(change.bytes.as_slice());
        }
    }
    kept.reverse();
    Ok(Doc::rebuild(whole.id(), kept)?)
}
