//! What sessions read of a node in memory.

use super::{log::Log, node::Node};
use crate::{
    control::ControlKey,
    id::{ChangeHash, DocId, Scope},
    log::{Batch, LogHead, LogId},
    sync::{Found, Part, Peer, host::Records},
    time::Millis,
    wire::{ScopeProof, Whole, pack::Shelf, snap::Reached},
};

impl Records for Node {
    type Error = String;

    fn read(&self, log: LogId, after: LogHead) -> Result<Found, String> {
        let Some(mine) = self.logs.get(&log) else {
            return Ok(Found::Nothing);
        };
        match mine.head_at(after.seq) {
            Some(here) if here != after => {
                let seal = mine.seals.values().next_back().cloned();
                Ok(Found::Forked(mine.head(), seal))
            }
            Some(_) | None => Ok(mine
                .batch(log, after.seq, u64::MAX)
                .map_or(Found::Nothing, Found::Batch)),
        }
    }

    fn shelf(&self) -> &impl Shelf<Error = String> {
        self
    }

    fn end_of(&self, log: LogId) -> Result<(LogHead, Option<[u8; 32]>), String> {
        let head = self.logs.get(&log).map_or(LogHead::START, Log::head);
        let writer = self.trust.node(log.writer.node);
        Ok((head, writer.map(|node| node.sign_key)))
    }

    fn head_at(&self, log: LogId, seq: u64) -> Result<Option<LogHead>, String> {
        match self.logs.get(&log) {
            Some(log) => Ok(log.head_at(seq)),
            None => Ok((seq == 0).then_some(LogHead::START)),
        }
    }

    fn whole(&self, whole: Whole) -> Result<Option<Batch>, String> {
        let log = self.logs.get(&whole.log);
        Ok(log.and_then(|log| log.batch(whole.log, whole.first - 1, u64::MAX)))
    }

    fn give_controls(&self, _: &Peer, have: &[(ControlKey, u64)]) -> Result<Vec<Vec<u8>>, String> {
        let newest = have.iter().map(|(_, v)| *v).max().unwrap_or(0);
        Ok(self
            .controls
            .range(newest + 1..)
            .map(|(_, b)| b.clone())
            .collect())
    }

    fn snapshot(&self, _: &[Scope], _: &Reached, _: usize, at: Millis) -> Result<Part, String> {
        Ok(Part {
            bytes: Vec::new(),
            reached: Reached::default(),
            left: 0,
            given: at,
        })
    }

    fn digests_of(&self, scopes: &[Scope]) -> Result<Vec<ScopeProof>, String> {
        Ok(scopes.iter().map(|s| self.proof(*s)).collect())
    }

    fn heads_of(&self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>, String> {
        self.named.borrow_mut().push(scope);
        Ok(self.documents_of(scope))
    }

    fn batches_about(&self, docs: &[DocId]) -> Result<Vec<Batch>, String> {
        let mut batches = Vec::new();
        for (id, log) in &self.logs {
            let mut after = 0;
            while let Some(batch) = log.batch(*id, after, u64::MAX) {
                after = batch.last();
                if batch.entries.iter().any(|e| docs.contains(&e.doc)) {
                    batches.push(batch);
                }
            }
        }
        Ok(batches)
    }
}
