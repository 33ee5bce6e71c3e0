//! The logs of a node in memory.

use std::collections::BTreeMap;

use super::node::Node;
use crate::{
    id::{ChangeHash, DocId},
    log::{Batch, Entry, LogHead, LogId, Seal},
    wire::{
        elide::Known,
        pack::{Shelf, Shelved},
    },
};

/// A log as a node stores it.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) seals: BTreeMap<u64, Seal>,
}

impl Log {
    pub(super) fn head_at(&self, seq: u64) -> Option<LogHead> {
        let seq = usize::try_from(seq).ok()?;
        let upto = self.entries.get(..seq)?;
        let heads = upto.iter();
        Some(heads.fold(LogHead::START, |h, e| h.after(e.doc, e.hash)))
    }

    pub(super) fn head(&self) -> LogHead {
        self.head_at(self.entries.len() as u64).unwrap()
    }

    pub(super) fn batch(&self, log: LogId, after: u64, upto: u64) -> Option<Batch> {
        let (_, seal) = self.seals.range(after + 1..=upto).next()?;
        let (from, to) = (
            usize::try_from(after).unwrap(),
            usize::try_from(seal.head.seq).unwrap(),
        );
        Some(Batch {
            log,
            first: after + 1,
            entries: self.entries[from..to].to_vec(),
            seal: seal.clone(),
        })
    }
}

fn place(seq: u64) -> usize {
    usize::try_from(seq).unwrap_or(usize::MAX).wrapping_sub(1)
}

impl Shelf for Node {
    type Error = String;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, String> {
        let entry = self.logs.get(&log).and_then(|l| l.entries.get(place(seq)));
        Ok(entry.map(|entry| Shelved {
            doc: entry.doc,
            hash: entry.hash,
            known: entry.body.as_deref().and_then(Known::of_chunk),
        }))
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, String> {
        let log = self.logs.get(&log).map_or(&[][..], |l| &l.entries);
        let log = &log[..log.len().min(place(before))];
        Ok(log.iter().rposition(|e| e.doc == doc).map(|n| n as u64 + 1))
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, String> {
        Ok(self.where_is(|e| e.doc == doc && e.hash == hash))
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, String> {
        Ok(self.where_is(|e| e.doc == doc))
    }
}

impl Node {
    fn where_is(&self, what: impl Fn(&Entry) -> bool) -> Option<(LogId, u64)> {
        let mut logs = self.logs.iter();
        logs.find_map(|(id, log)| {
            let index = log.entries.iter().position(&what)?;
            Some((*id, index as u64 + 1))
        })
    }
}
