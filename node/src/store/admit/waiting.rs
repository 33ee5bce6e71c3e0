//! Changes that came before what they depend on.

use std::panic::catch_unwind;

use cuntong_protocol::{
    document::change_facts,
    id::{ChangeHash, DocId, NodeId},
    log::{Entry, Rejection},
    time::Millis,
};

use super::Verdict;
use crate::store::{
    db::Db,
    error::Result,
    log::{ENTRY, EntryState, Row1, entry_from},
    refuse::HELD_RULE,
};

/// An entry that waits, and the changes it names.
struct Waiting {
    stored: Row1,
    deps: Vec<ChangeHash>,
}

impl Db {
    /// Lets in entries of a document that waited and wait no more; refuses those whose
    /// dependencies were refused. Answers the refusals. `upstream`: what they waited for came
    /// from above; a change from below must not escape a question by coming too early.
    pub(in crate::store) fn settle_waiting(
        &mut self,
        id: DocId,
        upstream: bool,
        by: NodeId,
        now: Millis,
    ) -> Result<Vec<Rejection>> {
        let mut refusals = Vec::new();
        if self.trust().is_err() {
            return Ok(refusals);
        }
        let mut waiting = self.waiting_in(id)?;
        while let Some(at) = self.movable(id, &waiting)? {
            let Waiting { stored, .. } = waiting.remove(at);
            let mut work = self.work(self.log_of(stored.log)?, upstream, now)?;
            let entry = Entry {
                doc: stored.doc,
                hash: stored.hash,
                body: stored.body.clone(),
            };
            match self.judge(&mut work, &entry)? {
                Verdict::Accepted => {
                    self.set_state(&stored, EntryState::Accepted, entry.body.as_deref())?;
                    self.keep(&mut work)?;
                }
                Verdict::Refused { rule, .. } if rule == HELD_RULE => {
                    refusals.push(self.hold(&stored, by, now)?);
                }
                Verdict::Refused { rule, reason } => {
                    self.set_state(&stored, EntryState::Refused, None)?;
                    let seq = stored.seq.cast_unsigned();
                    self.refuse(&mut work, seq, &entry, rule, reason, by)?;
                    refusals.extend(work.rejections);
                }
                Verdict::Given => {
                    self.set_state(&stored, EntryState::Accepted, entry.body.as_deref())?;
                    self.no_longer_given(entry.hash)?;
                }
                Verdict::Waiting | Verdict::Withheld => {}
            }
        }
        Ok(refusals)
    }

    fn waiting_in(&self, id: DocId) -> Result<Vec<Waiting>> {
        let rows: Vec<Row1> = self.all(
            &format!("SELECT {ENTRY} FROM entry WHERE doc = ?1 AND state = 3 ORDER BY log, seq"),
            [&id.0[..]],
            entry_from,
        )?;
        let with_deps = rows.into_iter().map(|stored| {
            let body = stored.body.clone().unwrap_or_default();
            // What cannot be read is judged at once, and refused.
            let facts = catch_unwind(|| change_facts(&body));
            let deps = facts
                .ok()
                .and_then(|facts| facts.ok().map(|facts| facts.deps));
            Waiting {
                stored,
                deps: deps.unwrap_or_default(),
            }
        });
        Ok(with_deps.collect())
    }

    /// The first that has all it depends on, or depends on what was refused. The gate is asked
    /// of no other: its answer is dear, and a thousand changes may come in the wrong order.
    fn movable(&self, id: DocId, waiting: &[Waiting]) -> Result<Option<usize>> {
        if waiting.is_empty() {
            return Ok(None);
        }
        let doc = self.doc_or_new(id)?;
        let ready = |w: &Waiting| w.deps.iter().all(|dep| doc.has(*dep));
        if let Some(at) = waiting.iter().position(ready) {
            return Ok(Some(at));
        }
        for (at, one) in waiting.iter().enumerate() {
            for dep in one.deps.iter().filter(|dep| !doc.has(**dep)) {
                if self.is_refused(id, *dep)? {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }
}
