//! Equal vectors must mean equal documents: proofs, and the repair when they do not match.
//!
//! The caller begins a repair with a sketch of the scope's documents ([`super::sketch`]), or by
//! naming all of them with their heads when the peer knows no sketches or a sketch does not do. The
//! called node answers with those that differ; then each asks for what it needs and serves the
//! other. One round per scope and session.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    id::{ChangeHash, DocId, Scope},
    limits,
    log::{Batch, LogHead, LogId},
    sync::{Effect, Role, Session, Violation, session::Class, sketch::Sketching},
    wire::{Message, ScopeHeads, ScopeProof, Want, digest, vector_hash},
};

/// A digest of each document's heads: a peer may name very many heads, and none is kept.
type Heads = BTreeMap<DocId, u64>;

/// What was proved, and the repair under way.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    mine: BTreeMap<Scope, ScopeProof>,
    theirs: BTreeMap<Scope, ScopeProof>,
    asked: bool,
    /// Scopes where the store was ahead of what this session had been told.
    ahead: BTreeSet<Scope>,
    pub(super) mismatched: BTreeSet<Scope>,
    /// Scopes this side began to repair in this session, or will; the caller begins.
    tried: BTreeSet<Scope>,
    /// Scopes whose one round is over.
    repaired: BTreeSet<Scope>,
    waiting: VecDeque<Scope>,
    repair: Option<Repair>,
}

/// The repair of one scope.
#[derive(Debug)]
struct Repair {
    scope: Scope,
    /// The peer's heads, as far as they came; complete or not.
    theirs: Heads,
    complete: bool,
    reading: bool,
    sketching: Option<Sketching>,
    requested: bool,
    /// Documents this side asked for.
    wanted: BTreeSet<DocId>,
    /// Documents the peer asked for and was not sent yet, and how many it asked for.
    asked: VecDeque<DocId>,
    asked_count: usize,
    /// The peer asked for all it will.
    serving: bool,
    reading_docs: bool,
    i_served: bool,
    they_served: bool,
}

impl Repair {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            theirs: Heads::new(),
            complete: false,
            reading: false,
            sketching: None,
            requested: false,
            wanted: BTreeSet::new(),
            asked: VecDeque::new(),
            asked_count: 0,
            serving: false,
            reading_docs: false,
            i_served: false,
            they_served: false,
        }
    }
}

impl Proofs {
    /// The scope's documents may have changed: what was proved holds no more.
    pub(super) fn unprove(&mut self, scope: Scope) {
        self.mine.remove(&scope);
        self.ahead.remove(&scope);
    }

    /// What both sides said of a scope.
    pub(super) fn both(&self, scope: Scope) -> (Option<ScopeProof>, Option<ScopeProof>) {
        let (mine, theirs) = (self.mine.get(&scope), self.theirs.get(&scope));
        (mine.copied(), theirs.copied())
    }

    fn open_repair(&mut self, scope: Scope) -> Option<&mut Repair> {
        let repair = self.repair.as_mut();
        repair.filter(|r| r.scope == scope && !r.complete)
    }

    /// The sketch under way in the repair of that scope.
    pub(super) fn sketching(&mut self, scope: Scope) -> Option<&mut Sketching> {
        self.open_repair(scope)?.sketching.as_mut()
    }

    /// The same, begun by a peer.
    pub(super) fn sketching_or_new(&mut self, scope: Scope) -> Option<&mut Sketching> {
        let repair = self.open_repair(scope)?;
        Some(repair.sketching.get_or_insert_default())
    }

    /// The documents that differ are known.
    pub(super) fn sketch_done(&mut self, scope: Scope) {
        if let Some(repair) = self.open_repair(scope) {
            repair.sketching = None;
            repair.complete = true;
        }
    }

    /// The sketch does not do: HEADS follow, of the own store's when `reading`.
    pub(super) fn sketch_fails(&mut self, scope: Scope, reading: bool) {
        if let Some(repair) = self.open_repair(scope) {
            repair.sketching = None;
            repair.reading = reading;
        }
    }

    pub(super) fn narrow(&mut self, shared: &BTreeSet<Scope>) {
        self.mine.retain(|scope, _| shared.contains(scope));
        self.theirs.retain(|scope, _| shared.contains(scope));
        self.mismatched.retain(|scope| shared.contains(scope));
        self.waiting.retain(|scope| shared.contains(scope));
        if self
            .repair
            .as_ref()
            .is_some_and(|r| !shared.contains(&r.scope))
        {
            self.repair = None;
        }
    }
}

impl Session {
    /// Goes on with proofs and repair while nothing else is under way; whether all is proved.
    pub(super) fn prove(&mut self) -> bool {
        self.serve_end();
        if self.proofs.repair.is_some() {
            return false;
        }
        if let Some(scope) = self.proofs.waiting.pop_front() {
            self.begin_repair(scope);
            return false;
        }
        self.tell_proofs();
        self.provable().iter().all(|s| self.is_proved(*s))
    }

    /// Proves the scopes that are not, as far as this side goes; one under repair waits for its end.
    pub(super) fn tell_proofs(&mut self) {
        let proofs = &self.proofs;
        let repairing = proofs.repair.as_ref().map(|repair| repair.scope);
        let mut missing = self.provable();
        missing.retain(|s| {
            !proofs.mine.contains_key(s) && !proofs.ahead.contains(s) && repairing != Some(*s)
        });
        if !missing.is_empty() && !self.proofs.asked {
            self.proofs.asked = true;
            self.effect(Effect::Digest(missing));
        }
    }

    /// Scopes with entries, none of whose logs is left out of this session.
    fn provable(&self) -> Vec<Scope> {
        let stalled: BTreeSet<_> = self.flow.stalled.iter().map(|log| log.scope).collect();
        let logs = self.flow.held.keys().chain(self.flow.known.keys());
        let scopes: BTreeSet<_> = logs.map(|log| log.scope).collect();
        scopes
            .into_iter()
            .filter(|s| self.shared.contains(s) && !stalled.contains(s))
            .collect()
    }

    fn is_proved(&self, scope: Scope) -> bool {
        match (self.proofs.mine.get(&scope), self.proofs.theirs.get(&scope)) {
            (Some(mine), Some(theirs)) => {
                mine == theirs
                    || (mine.vector == theirs.vector && self.proofs.mismatched.contains(&scope))
            }
            (None, _) | (_, None) => false,
        }
    }

    pub(super) fn digests(&mut self, proofs: Vec<ScopeProof>) {
        self.proofs.asked = false;
        let mut ready = Vec::new();
        for proof in proofs {
            if !self.shared.contains(&proof.scope) {
                continue;
            }
            if proof.vector == self.vector_of(proof.scope) {
                self.proofs.mine.insert(proof.scope, proof);
                ready.push(proof);
            } else {
                self.proofs.ahead.insert(proof.scope);
            }
        }
        let scopes: Vec<_> = ready.iter().map(|p| p.scope).collect();
        if !ready.is_empty() {
            self.send(Class::Last, Message::Proof(ready));
        }
        for scope in scopes {
            self.compare(scope);
        }
    }

    fn vector_of(&self, scope: Scope) -> u64 {
        let part: Vec<(LogId, LogHead)> = self
            .flow
            .held
            .iter()
            .filter(|(log, _)| log.scope == scope)
            .map(|(log, head)| (*log, *head))
            .collect();
        vector_hash(&part)
    }

    pub(super) fn their_proofs(&mut self, proofs: &[ScopeProof]) {
        for proof in proofs {
            if self.shared.contains(&proof.scope) {
                self.proofs.theirs.insert(proof.scope, *proof);
                self.compare(proof.scope);
            }
        }
    }

    fn compare(&mut self, scope: Scope) {
        let (Some(mine), Some(theirs)) =
            (self.proofs.mine.get(&scope), self.proofs.theirs.get(&scope))
        else {
            return;
        };
        if mine == theirs {
            self.proofs.mismatched.remove(&scope);
        } else if mine.vector == theirs.vector {
            if self.proofs.repaired.contains(&scope) {
                self.proofs.mismatched.insert(scope);
            } else if self.role == Role::Caller && self.proofs.tried.insert(scope) {
                self.proofs.waiting.push_back(scope);
            }
        }
    }

    fn begin_repair(&mut self, scope: Scope) {
        let mut repair = Repair::new(scope);
        repair.sketching = self.begin_sketch(scope);
        if repair.sketching.is_none() {
            repair.reading = true;
            self.effect(Effect::ReadHeads(scope));
        }
        self.proofs.repair = Some(repair);
    }

    /// Whether there is a repair of that scope whose documents are not known yet: of a called node,
    /// one that the caller begins with this message.
    pub(super) fn joins_repair(&mut self, scope: Scope) -> bool {
        self.end_repair();
        if self.proofs.repair.is_none() && self.role == Role::Callee {
            if !self.proofs.tried.insert(scope) {
                return false;
            }
            self.proofs.repair = Some(Repair::new(scope));
        }
        self.proofs.open_repair(scope).is_some()
    }

    /// The host read the heads: the caller tells all of them, the called node what differs.
    pub(super) fn own_heads(&mut self, scope: Scope, heads: Vec<(DocId, Vec<ChangeHash>)>) {
        let Some(repair) = self.proofs.repair.as_mut().filter(|r| r.scope == scope) else {
            return;
        };
        if !repair.reading {
            return;
        }
        repair.reading = false;
        if self.role == Role::Caller {
            self.tell_heads(scope, &heads);
            return;
        }
        let theirs = std::mem::take(&mut repair.theirs);
        let mine = digests_of(&heads);
        let mut differ: Vec<_> = heads
            .into_iter()
            .filter(|(doc, _)| theirs.get(doc) != mine.get(doc))
            .collect();
        let want: BTreeSet<_> = theirs
            .iter()
            .filter(|(doc, heads)| mine.get(doc) != Some(heads))
            .map(|(doc, _)| *doc)
            .collect();
        // What only the caller has may still be less than both logs hold.
        let lacking = want.iter().filter(|doc| !mine.contains_key(doc));
        let lacking = lacking.filter(|doc| doc.scope() == Some(scope));
        differ.extend(lacking.map(|doc| (*doc, Vec::new())));
        self.tell_heads(scope, &differ);
        self.request(want);
    }

    pub(super) fn tell_heads(&mut self, scope: Scope, heads: &[(DocId, Vec<ChangeHash>)]) {
        let mut chunks = heads.chunks(limits::HEADS_DOCS_MAX).peekable();
        if chunks.peek().is_none() {
            let none = ScopeHeads {
                scope,
                heads: Vec::new(),
                more: false,
            };
            self.send(Class::Last, Message::Heads(none));
        }
        while let Some(chunk) = chunks.next() {
            let heads = ScopeHeads {
                scope,
                heads: chunk.to_vec(),
                more: chunks.peek().is_some(),
            };
            self.send(Class::Last, Message::Heads(heads));
        }
    }

    pub(super) fn their_heads(&mut self, heads: ScopeHeads) -> Result<(), Violation> {
        let scope = heads.scope;
        if !self.shared.contains(&scope) {
            return Ok(());
        }
        if !self.joins_repair(scope) {
            return Ok(());
        }
        let Some(repair) = self.proofs.open_repair(scope) else {
            return Ok(());
        };
        // What the peer says plainly is no sketch any more.
        repair.sketching = None;
        repair.theirs.extend(digests_of(&heads.heads));
        if repair.theirs.len() > limits::HEADS_SCOPE_MAX {
            return Err(Violation::TooManyDocuments);
        }
        if heads.more {
            return Ok(());
        }
        repair.complete = true;
        if self.role == Role::Callee {
            repair.reading = true;
            self.effect(Effect::ReadHeads(scope));
        } else {
            let want = std::mem::take(&mut repair.theirs).into_keys().collect();
            self.request(want);
        }
        Ok(())
    }

    /// Asks for documents; those past the limit are left for another session.
    pub(super) fn request(&mut self, want: BTreeSet<DocId>) {
        let most = if self.sketches {
            limits::WANT_SCOPE_MAX
        } else {
            limits::WANT_DOCS_MAX
        };
        let Some(repair) = self.proofs.repair.as_mut() else {
            return;
        };
        let scope = repair.scope;
        repair.requested = true;
        repair.wanted = want
            .into_iter()
            .filter(|doc| doc.scope() == Some(scope))
            .take(most)
            .collect();
        let docs: Vec<_> = repair.wanted.iter().copied().collect();
        if !docs.is_empty() {
            self.report.repaired += docs.len() as u64;
            self.report.repairs.push((scope, docs.len() as u64));
        }
        let mut rest = &docs[..];
        loop {
            let (now, later) = rest.split_at(rest.len().min(limits::WANT_DOCS_MAX));
            let want = Want {
                scope,
                docs: now.to_vec(),
                served: false,
            };
            self.send(Class::Last, Message::Want(want));
            if self.is_last_part(now) {
                return;
            }
            rest = later;
        }
    }

    /// Whether a request ends with this part; one of a peer that knows no sketches has no other.
    fn is_last_part(&self, docs: &[DocId]) -> bool {
        !self.sketches || docs.len() < limits::WANT_DOCS_MAX
    }

    pub(super) fn wanted(&mut self, want: Want) {
        let last = self.is_last_part(&want.docs);
        let Some(repair) = self
            .proofs
            .repair
            .as_mut()
            .filter(|r| r.scope == want.scope)
        else {
            return;
        };
        if want.served {
            repair.they_served = true;
            return;
        }
        if repair.serving || repair.i_served {
            return;
        }
        repair.serving = last;
        let room = limits::WANT_SCOPE_MAX - repair.asked_count;
        let docs = want.docs.into_iter();
        let docs = docs
            .filter(|doc| doc.scope() == Some(want.scope))
            .take(room);
        let before = repair.asked.len();
        repair.asked.extend(docs);
        repair.asked_count += repair.asked.len() - before;
    }

    /// Reads the next documents the peer asked for once those before are on their way.
    pub(super) fn serve_more(&mut self) {
        let idle = self.flow.again.is_empty();
        let repair = self.proofs.repair.as_mut();
        let Some(repair) = repair.filter(|r| idle && !r.reading_docs && !r.asked.is_empty()) else {
            return;
        };
        let count = repair.asked.len().min(limits::WANT_DOCS_MAX);
        let docs = repair.asked.drain(..count).collect();
        repair.reading_docs = true;
        self.effect(Effect::ReadDocs(docs));
    }

    pub(super) fn doc_batches(&mut self, mut batches: Vec<Batch>) {
        let Some(repair) = self.proofs.repair.as_mut() else {
            return;
        };
        repair.reading_docs = false;
        let scope = repair.scope;
        batches.retain(|b| b.log.scope == scope && b.first > 0);
        batches.reverse();
        self.flow.again = batches;
    }

    /// Whether a batch of entries already held was asked for in the repair.
    pub(super) fn asked_again(&self, batch: &Batch) -> bool {
        self.proofs.repair.as_ref().is_some_and(|r| {
            r.scope == batch.log.scope && batch.entries.iter().any(|e| r.wanted.contains(&e.doc))
        })
    }

    /// Says that the peer's request is served once all of it is acknowledged, and ends the repair
    /// when both were.
    fn serve_end(&mut self) {
        let sent = self.flow.all_acknowledged();
        let Some(repair) = self.proofs.repair.as_mut() else {
            return;
        };
        let scope = repair.scope;
        let all_read = repair.serving && repair.asked.is_empty() && !repair.reading_docs;
        if all_read && !repair.i_served && sent {
            repair.i_served = true;
            let served = Want {
                scope,
                docs: Vec::new(),
                served: true,
            };
            self.send(Class::Last, Message::Want(served));
        }
        self.end_repair();
    }

    /// Ends a repair in which both were served.
    fn end_repair(&mut self) {
        let over = |r: &&Repair| r.requested && r.i_served && r.they_served;
        if let Some(scope) = self.proofs.repair.as_ref().filter(over).map(|r| r.scope) {
            self.proofs.repair = None;
            self.proofs.repaired.insert(scope);
            self.proofs.unprove(scope);
            self.proofs.theirs.remove(&scope);
        }
    }
}

fn digests_of(heads: &[(DocId, Vec<ChangeHash>)]) -> Heads {
    let one = |(doc, heads): &(DocId, Vec<ChangeHash>)| (*doc, digest(*doc, heads));
    heads.iter().map(one).collect()
}
