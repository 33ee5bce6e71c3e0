//! What the gate says of the entries of a batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use cuntong_protocol::{
    document::{Doc, change_facts},
    gate::{self, Rule},
    id::{ChangeHash, DocId},
    log::Entry,
};

use super::{
    super::{
        db::Db,
        error::Result,
        refuse::{HELD_REASON, HELD_RULE},
    },
    Work,
};

/// Changes a document may have waiting for others: more than the logs of a few writers can bring
/// in the wrong order, and few enough to be sorted out at once.
const WAITING_MAX: i64 = 200;

/// What the gate says of one entry.
pub(super) enum Verdict {
    /// The work has its document with it.
    Accepted,
    /// It came with its document and is in it.
    Given,
    Withheld,
    Waiting,
    Refused {
        rule: String,
        reason: String,
    },
}

impl Db {
    /// Documents of which there are several entries here, all of them good: the work has these
    /// documents with them. The entries of the others are to be judged one by one.
    pub(super) fn judge_together(
        &self,
        work: &mut Work,
        entries: &[Entry],
    ) -> Result<BTreeSet<DocId>> {
        let mut of_doc = BTreeMap::<DocId, Vec<&Entry>>::new();
        for entry in entries {
            of_doc.entry(entry.doc).or_default().push(entry);
        }
        of_doc.retain(|_, entries| entries.len() > 1);
        let mut good = BTreeSet::new();
        for (id, entries) in of_doc {
            if self.has_given(id)? {
                continue;
            }
            let doc = self.doc_or_new(id)?;
            if let Ok(passed) = gate::entries(&doc, &entries, work.log.writer, &work.ground()) {
                work.accept(passed);
                good.insert(id);
            }
        }
        Ok(good)
    }

    /// What the gate says of one entry; what it accepts is with the work.
    pub(super) fn judge(&self, work: &mut Work, entry: &Entry) -> Result<Verdict> {
        if entry.body.is_none() {
            return Ok(Verdict::Withheld);
        }
        if entry.body == self.given_change(entry.doc, entry.hash)? {
            return Ok(Verdict::Given);
        }
        let doc = match work.docs.get(&entry.doc) {
            Some(doc) => doc.fork(),
            None => self.doc_or_new(entry.doc)?,
        };
        match gate::entry(&doc, entry, work.log.writer, &work.ground()) {
            Ok(passed) => {
                work.accept(passed);
                Ok(Verdict::Accepted)
            }
            Err(Rule::Dependencies) => self.missing(&doc, entry),
            Err(rule) => Ok(refused(rule)),
        }
    }

    /// A change that names others which are not in the document: it waits for those that may
    /// come, and falls with those that were refused.
    fn missing(&self, doc: &Doc, entry: &Entry) -> Result<Verdict> {
        let body = entry.body.as_deref().unwrap_or_default();
        // Its structure passed the gate's own scan; what automerge makes of it is not certain.
        let facts = catch_unwind(AssertUnwindSafe(|| change_facts(body)));
        let Ok(Ok(facts)) = facts else {
            return Ok(refused(Rule::Apply));
        };
        let missing: Vec<ChangeHash> = facts.deps.into_iter().filter(|d| !doc.has(*d)).collect();
        if missing.is_empty() {
            return Ok(refused(Rule::Dependencies));
        }
        for dep in missing {
            if self.is_refused(doc.id(), dep)? {
                return Ok(Verdict::Refused {
                    rule: HELD_RULE.to_owned(),
                    reason: HELD_REASON.to_owned(),
                });
            }
        }
        let waiting = self.first(
            "SELECT count(*) FROM entry WHERE doc = ?1 AND state = 3",
            [&doc.id().0[..]],
            |r| r.get::<_, i64>(0),
        )?;
        if waiting.unwrap_or(0) >= WAITING_MAX {
            return Ok(refused(Rule::Dependencies));
        }
        Ok(Verdict::Waiting)
    }
}

fn refused(rule: Rule) -> Verdict {
    Verdict::Refused {
        rule: rule.code().to_owned(),
        reason: rule.zh().to_owned(),
    }
}
