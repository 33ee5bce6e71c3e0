//! What comes from elsewhere: through the gate, into the log, into the documents.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    db::Db,
    epoch::Why,
    error::{Result, StoreError},
    log::{EntryState, Row1},
    refuse::Put,
};
use cuntong_protocol::{
    control::signed::Trust,
    document::Doc,
    gate::{self, BatchError, Passed, Rule},
    id::{ActId, DocId, NodeId},
    limits::{CLOCK_AHEAD_MS_MAX, EPOCHS_MAX},
    log::{Batch, Entry, LogHead, LogId, Rejection, Seal},
    sync::Admission,
    time::Millis,
    wire::{Fork, digest},
};

mod judge;
mod waiting;

use judge::Verdict;

/// One admission under way.
struct Work {
    trust: Arc<Trust>,
    log: LogId,
    upstream: bool,
    now: Millis,
    /// Documents with what was accepted.
    docs: BTreeMap<DocId, Doc>,
    /// The acts of that.
    acts: Vec<ActId>,
    rejections: Vec<Rejection>,
}

impl Work {
    fn ground(&self) -> gate::Ground<'_> {
        gate::Ground {
            trust: &self.trust,
            now: self.now,
            upstream: self.upstream,
        }
    }

    fn accept(&mut self, passed: Passed) {
        self.acts.extend(passed.acts);
        self.docs.insert(passed.doc.id(), passed.doc);
    }
}

impl Db {
    /// Takes a batch through the gate, in one transaction. What is known already is no error and
    /// changes nothing; an entry that is refused takes its place in the log without its content;
    /// a batch that fails as a whole goes to quarantine and the log stays as it is.
    ///
    /// `upstream`: the batch comes from a node above this one.
    ///
    /// # Errors
    /// No county yet; a failing or full disk. Nothing of the batch is kept then.
    pub fn admit(&mut self, batch: &Batch, upstream: bool, now: Millis) -> Result<Admission> {
        let mut work = self.work(batch.log, upstream, now)?;
        let me = self.identity()?.node;
        let held = self.log_head(&batch.log)?;
        let mut admission = Admission {
            log: batch.log,
            head: held,
            rejections: Vec::new(),
            fork: None,
        };
        match gate::batch(batch, held, &work.ground()) {
            Ok(fresh) if fresh.entries.is_empty() => {
                if self.head_at(&batch.log, batch.last())? != Some(batch.seal.head) {
                    admission.fork = Some(self.fork_of(batch.log, held, me)?);
                    return Ok(admission);
                }
                self.transact(|db| {
                    let row = db.log_row(&batch.log)?;
                    db.put_seal(row, &batch.seal)
                })?;
                Ok(admission)
            }
            Ok(fresh) => {
                if let Some(rule) = self.too_dear(&work, me)? {
                    admission
                        .rejections
                        .push(self.refuse_whole(batch, rule, me, now)?);
                    return Ok(admission);
                }
                admission.head = self.transact(|db| db.take_in(&mut work, &fresh, &batch.seal))?;
                admission.rejections = work.rejections;
                Ok(admission)
            }
            Err(BatchError::Gap) => Ok(admission),
            Err(BatchError::Fork) => {
                admission.fork = Some(self.fork_of(batch.log, held, me)?);
                Ok(admission)
            }
            Err(BatchError::Refused(rule)) => {
                admission
                    .rejections
                    .push(self.refuse_whole(batch, rule, me, now)?);
                Ok(admission)
            }
        }
    }

    /// Takes entries already held through the gate again, where their documents lack them: after
    /// a repair, and when an earlier refusal no longer holds. What an authority refused stays
    /// refused, unless the batch comes from above.
    ///
    /// # Errors
    /// As [`Db::admit`].
    pub fn readmit(&mut self, batch: &Batch, upstream: bool, now: Millis) -> Result<Admission> {
        let mut work = self.work(batch.log, upstream, now)?;
        let me = self.identity()?.node;
        let held = self.log_head(&batch.log)?;
        let mut admission = Admission {
            log: batch.log,
            head: held,
            rejections: Vec::new(),
            fork: None,
        };
        let before = self.head_at(&batch.log, batch.first.saturating_sub(1))?;
        let whole = before.map(|before| gate::batch(batch, before, &work.ground()));
        let Some(Ok(fresh)) = whole else {
            return Ok(admission);
        };
        self.transact(|db| {
            let row = db.log_row(&batch.log)?;
            for (seq, entry) in (fresh.first..).zip(&fresh.entries) {
                let Some(stored) = db.entry_at(row, seq)? else {
                    break;
                };
                if stored.hash == entry.hash && entry.body.is_some() {
                    db.retry(&mut work, &stored, entry)?;
                }
            }
            for (id, doc) in &work.docs {
                let before = db.doc(*id)?.map(|before| digest(*id, &before.heads()));
                if before != Some(digest(*id, &doc.heads())) {
                    // Seldom, and somebody will ask why: a proof differed, and this mended it.
                    tracing::warn!(doc = %id, "a document lacked entries of its log and has them again");
                    db.note(now, None, "repair", &id.to_string())?;
                }
            }
            db.finish_work(&mut work, me)
        })?;
        admission.rejections = work.rejections;
        Ok(admission)
    }

    /// The bound on what a writer may cost that it has reached; no batch breaks one by itself. What
    /// comes from above was let in there, and what this node wrote is its own.
    fn too_dear(&self, work: &Work, me: NodeId) -> Result<Option<Rule>> {
        if work.upstream {
            return Ok(None);
        }
        if self.too_many_epochs(&work.log)? {
            return Ok(Some(Rule::Epochs));
        }
        let node = work.log.writer.node;
        if node == me {
            return Ok(None);
        }
        Ok(self.spent(node, work.now)?.within_quota().err())
    }

    /// Whether a log would be one more of a machine that has begun epoch after epoch: every log
    /// stands in every greeting.
    fn too_many_epochs(&self, log: &LogId) -> Result<bool> {
        if self.find_log(log)?.is_some() {
            return Ok(false);
        }
        let logs = self.first(
            "SELECT count(*) FROM log WHERE kind = ?1 AND site = ?2 AND node = ?3",
            (
                log.scope.kind.code(),
                log.scope.site.0,
                &log.writer.node.0[..],
            ),
            |r| r.get::<_, i64>(0),
        )?;
        Ok(logs.unwrap_or(0) >= EPOCHS_MAX)
    }

    fn work(&self, log: LogId, upstream: bool, now: Millis) -> Result<Work> {
        Ok(Work {
            trust: self.shared_trust()?,
            log,
            upstream,
            now,
            docs: BTreeMap::new(),
            acts: Vec::new(),
            rejections: Vec::new(),
        })
    }

    /// What to tell whoever holds another branch: the head here, and the seal on it as proof.
    pub(super) fn fork_of(&self, log: LogId, held: LogHead, by: NodeId) -> Result<Fork> {
        Ok(Fork {
            log,
            held,
            by,
            seal: self.seal_at(&log, held)?,
        })
    }

    /// The writer's seal on a head held here.
    pub(super) fn seal_at(&self, log: &LogId, head: LogHead) -> Result<Option<Seal>> {
        let Some(row) = self.find_log(log)? else {
            return Ok(None);
        };
        self.first(
            "SELECT at, signature FROM seal WHERE log = ?1 AND seq = ?2",
            (row, head.seq.cast_signed()),
            |r| {
                Ok(Seal {
                    head,
                    at: Millis(r.get(0)?),
                    signature: r.get(1)?,
                })
            },
        )
    }

    /// Answers a batch that is not taken as a whole. It is kept in quarantine, unless it comes
    /// again by itself.
    fn refuse_whole(
        &mut self,
        batch: &Batch,
        rule: Rule,
        me: NodeId,
        now: Millis,
    ) -> Result<Rejection> {
        let rejection = Rejection::whole(batch.log, batch.first, rule.code(), rule.zh(), me);
        self.transact(|db| {
            if !rule.passes() {
                db.quarantine_whole(batch, &rejection, now)?;
            }
            // A log nobody may write gets no row: made-up names must not fill the table.
            if rule.passes() || db.find_log(&batch.log)?.is_some() {
                db.put_rejection(&rejection, true, now)?;
            }
            Ok(rejection)
        })
    }

    fn quarantine_whole(&self, batch: &Batch, rejection: &Rejection, now: Millis) -> Result<()> {
        let body = minicbor::to_vec(batch).map_err(|_infallible| StoreError::Damaged("batch"))?;
        let put = Put {
            log: &batch.log,
            seq: batch.first,
            doc: None,
            hash: *blake3::hash(&body).as_bytes(),
            rule: &rejection.rule,
            reason: &rejection.reason,
            body: &body,
        };
        self.quarantine(&put, now)
    }

    fn take_in(&mut self, work: &mut Work, fresh: &gate::Fresh, seal: &Seal) -> Result<LogHead> {
        let identity = self.identity()?.clone();
        let row = self.log_row(&work.log)?;
        let mut head = self.log_head(&work.log)?;
        let good = self.judge_together(work, &fresh.entries)?;
        for entry in &fresh.entries {
            let verdict = if good.contains(&entry.doc) {
                Verdict::Accepted
            } else {
                self.judge(work, entry)?
            };
            let state = match &verdict {
                Verdict::Accepted | Verdict::Given => EntryState::Accepted,
                Verdict::Withheld => EntryState::Withheld,
                Verdict::Waiting => EntryState::Waiting,
                Verdict::Refused { .. } => EntryState::Refused,
            };
            head = self.append(row, head, entry, state, work.now)?;
            match verdict {
                Verdict::Refused { rule, reason } => {
                    self.refuse(work, head.seq, entry, rule, reason, identity.node)?;
                }
                // From above it was refused with a reason; from below nobody knows whether the
                // writer heard of it, and the receipt must not hide it.
                Verdict::Withheld if !work.upstream => {
                    self.tell_withheld(work, head.seq, entry, identity.node)?;
                }
                Verdict::Given => self.no_longer_given(entry.hash)?,
                Verdict::Accepted | Verdict::Withheld | Verdict::Waiting => {}
            }
        }
        self.put_seal(row, seal)?;
        self.set_head(row, work.log, head)?;
        self.spend(work.log.writer.node, row, fresh.first - 1, work.now)?;
        self.no_longer_put_off(row, head.seq, identity.node)?;
        self.finish_work(work, identity.node)?;
        if work.log.writer == identity.writer {
            // Entries of the present epoch that were not here: the past was lost.
            self.begin_epoch(Why::Behind, work.now)?;
        }
        Ok(head)
    }

    fn refuse(
        &mut self,
        work: &mut Work,
        seq: u64,
        entry: &Entry,
        rule: String,
        reason: String,
        by: NodeId,
    ) -> Result<()> {
        let rejection = Rejection {
            log: work.log,
            seq,
            doc: entry.doc,
            hash: entry.hash,
            rule,
            reason,
            by,
        };
        let put = Put {
            log: &work.log,
            seq,
            doc: Some(entry.doc),
            hash: entry.hash.0,
            rule: &rejection.rule,
            reason: &rejection.reason,
            body: entry.body.as_deref().unwrap_or_default(),
        };
        self.quarantine(&put, work.now)?;
        self.put_rejection(&rejection, true, work.now)?;
        work.rejections.push(rejection);
        Ok(())
    }

    fn tell_withheld(&self, work: &mut Work, seq: u64, entry: &Entry, by: NodeId) -> Result<()> {
        let rejection = Rejection {
            log: work.log,
            seq,
            doc: entry.doc,
            hash: entry.hash,
            rule: Rule::Withheld.code().to_owned(),
            reason: Rule::Withheld.zh().to_owned(),
            by,
        };
        self.put_rejection(&rejection, true, work.now)?;
        work.rejections.push(rejection);
        Ok(())
    }

    /// Stores the documents the work changed, lets in what waited for them, refreshes rows.
    fn finish_work(&mut self, work: &mut Work, me: NodeId) -> Result<()> {
        for id in self.keep(work)? {
            let held = self.settle_waiting(id, work.upstream, me, work.now)?;
            work.rejections.extend(held);
            self.refresh(id)?;
        }
        self.save_clock()
    }

    /// Stores the documents the work has changed so far, and says which.
    fn keep(&mut self, work: &mut Work) -> Result<Vec<DocId>> {
        for act in std::mem::take(&mut work.acts) {
            self.state.clock.observe(act, work.now, CLOCK_AHEAD_MS_MAX);
        }
        let docs = std::mem::take(&mut work.docs);
        for doc in docs.values() {
            self.put_doc(doc, work.now)?;
        }
        Ok(docs.into_keys().collect())
    }

    /// Takes an entry held without its change through the gate again.
    fn retry(&mut self, work: &mut Work, stored: &Row1, entry: &Entry) -> Result<()> {
        let refused_above = self.first(
            "SELECT count(*) FROM rejection WHERE log = ?1 AND seq = ?2 AND made = 0 AND applied = 1",
            (stored.log, stored.seq),
            |r| r.get::<_, i64>(0),
        )?;
        if refused_above.unwrap_or(0) > 0 && !work.upstream {
            return Ok(());
        }
        match self.judge(work, entry)? {
            Verdict::Accepted => {
                self.set_state(stored, EntryState::Accepted, entry.body.as_deref())?;
                self.exec(
                    "DELETE FROM rejection WHERE log = ?1 AND seq = ?2",
                    (stored.log, stored.seq),
                )?;
                self.exec(
                    "DELETE FROM quarantine WHERE hash = ?1",
                    [&stored.hash.0[..]],
                )?;
                Ok(())
            }
            Verdict::Waiting => self.set_state(stored, EntryState::Waiting, entry.body.as_deref()),
            Verdict::Given => {
                self.set_state(stored, EntryState::Accepted, entry.body.as_deref())?;
                self.no_longer_given(entry.hash)
            }
            Verdict::Withheld => Ok(()),
            Verdict::Refused { rule, reason } => {
                // The document lacks it and may not have it: say so again.
                if stored.state == EntryState::Accepted {
                    return Ok(());
                }
                let me = self.identity()?.node;
                self.refuse(work, stored.seq.cast_unsigned(), entry, rule, reason, me)
            }
        }
    }
}
