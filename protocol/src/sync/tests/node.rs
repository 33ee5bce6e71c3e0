//! A node's store in memory.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;

use super::log::Log;
use crate::{
    control::{ControlKey, Trust, fixture},
    gate::{self, BatchError, Fresh, Ground},
    id::{CaseId, ChangeHash, DocId, Kind, NodeId, Scope, SiteId, Writer},
    log::{Batch, Entry, LogHead, LogId, Receipt, Rejection, Seal},
    role::Level,
    sync::{
        Admission, Agreed, Given, Met, Opening, Peer, Settled,
        host::{Records, Rejected, Replica},
    },
    time::Millis,
    wire::{
        self, Fork, ScopeProof, Sighting,
        sketch::{Ask, Drawn, Sketcher},
        snap::Reached,
        vector_hash,
    },
};

/// One node's store. Documents are sets of hashes: what they hold is the gate's matter, not the
/// session's.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) site: SiteId,
    pub(super) writer: Writer,
    key: SigningKey,
    pub(super) trust: Trust,
    pub(super) logs: BTreeMap<LogId, Log>,
    pub(super) docs: BTreeMap<DocId, BTreeSet<ChangeHash>>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) settled: Vec<Settled>,
    pub(super) met: Vec<Met>,
    /// By peer.
    pub(super) agreed: BTreeMap<NodeId, Agreed>,
    /// Changes this node's gate refuses.
    pub(super) poison: BTreeSet<ChangeHash>,
    pub(super) controls: BTreeMap<u64, Vec<u8>>,
    pub(super) forks: usize,
    written: u16,
    /// Sketches computed; the key of the next.
    pub(super) sketches: u8,
    /// Scopes whose documents were all named.
    pub(super) named: std::cell::RefCell<Vec<Scope>>,
    pub(super) resummed: Vec<Scope>,
    pub(super) taken: Vec<Given>,
    pub(super) now: Millis,
}

impl Node {
    pub(super) fn new(site: SiteId, trust: &Trust) -> Self {
        Self {
            site,
            writer: Writer {
                node: fixture::node(site).node,
                epoch: 1,
            },
            key: fixture::node_key(site),
            trust: trust.clone(),
            logs: BTreeMap::new(),
            docs: BTreeMap::new(),
            receipts: Vec::new(),
            rejections: Vec::new(),
            settled: Vec::new(),
            met: Vec::new(),
            agreed: BTreeMap::new(),
            poison: BTreeSet::new(),
            controls: BTreeMap::new(),
            forks: 0,
            written: 0,
            sketches: 0,
            named: std::cell::RefCell::default(),
            resummed: Vec::new(),
            taken: Vec::new(),
            now: Millis(1),
        }
    }

    pub(super) fn level(&self) -> Level {
        self.trust.places().site(self.site).unwrap().level
    }

    /// Scopes a site may read.
    pub(super) fn reads(&self, site: SiteId) -> Vec<Scope> {
        let places = self.trust.places();
        let all = places.sites.iter().map(|p| p.site);
        let pairs = all.flat_map(|site| Kind::ALL.map(|kind| Scope { kind, site }));
        pairs
            .filter(|s| {
                places.covers(site, s.site)
                    || (s.kind == Kind::Notice && places.covers(s.site, site))
            })
            .collect()
    }

    /// One local transaction: `count` entries under one seal.
    pub(super) fn write(&mut self, scope: Scope, doc: u8, count: u8) -> Vec<(LogId, LogHead)> {
        let log = LogId {
            scope,
            writer: self.writer,
        };
        let doc = CaseId::new(scope.site, [doc; 11]).doc(scope.kind);
        for n in 0..count {
            self.written += 1;
            let [high, low] = self.written.to_be_bytes();
            let body = [high, low, n, self.writer.epoch.to_be_bytes()[3]].repeat(25);
            let hash =
                ChangeHash(*blake3::hash(&[&body[..], &log.writer.node.0].concat()).as_bytes());
            self.append(
                log,
                Entry {
                    doc,
                    hash,
                    body: Some(body),
                },
            );
        }
        self.seal(log)
    }

    fn append(&mut self, log: LogId, entry: Entry) {
        self.docs.entry(entry.doc).or_default().insert(entry.hash);
        self.logs.entry(log).or_default().entries.push(entry);
    }

    fn seal(&mut self, log: LogId) -> Vec<(LogId, LogHead)> {
        let head = self.logs[&log].head();
        let seal = Seal::sign(&log, head, self.now, &self.key);
        self.logs
            .get_mut(&log)
            .unwrap()
            .seals
            .insert(head.seq, seal);
        vec![(log, head)]
    }

    pub(super) fn vector(&self) -> Vec<(LogId, LogHead)> {
        self.logs
            .iter()
            .map(|(id, log)| (*id, log.head()))
            .collect()
    }

    pub(super) fn proof(&self, scope: Scope) -> ScopeProof {
        let part: Vec<_> = self
            .vector()
            .into_iter()
            .filter(|(l, _)| l.scope == scope)
            .collect();
        let docs = self.documents_of(scope);
        ScopeProof {
            scope,
            vector: vector_hash(&part),
            digest: docs.iter().fold(0, |sum, (doc, heads)| {
                wire::digest(*doc, heads).wrapping_add(sum)
            }),
            documents: docs.len() as u64,
        }
    }

    pub(super) fn documents_of(&self, scope: Scope) -> Vec<(DocId, Vec<ChangeHash>)> {
        let docs = self
            .docs
            .iter()
            .filter(|(doc, _)| doc.scope() == Some(scope));
        docs.map(|(doc, heads)| (*doc, heads.iter().copied().collect()))
            .collect()
    }

    /// Position up to which a holder's receipts cover a log here.
    pub(super) fn covered(&self, log: LogId, holder: NodeId) -> u64 {
        let of = self.receipts.iter().filter(|r| r.holder == holder);
        // A receipt for another branch of the log is none for this one.
        let mine = |head: &LogHead| self.logs.get(&log)?.head_at(head.seq).filter(|h| h == head);
        let heads = of.flat_map(|r| &r.held).filter(|(l, _)| *l == log);
        heads
            .filter_map(|(_, head)| mine(head))
            .map(|head| head.seq)
            .max()
            .unwrap_or(0)
    }

    fn receipted_by(&self, holder: NodeId) -> Vec<(LogId, LogHead)> {
        let of = self.receipts.iter().filter(|r| r.holder == holder);
        let mut newest: BTreeMap<LogId, LogHead> = BTreeMap::new();
        for (log, head) in of.flat_map(|r| &r.held) {
            let at = newest.entry(*log).or_insert(*head);
            if head.seq > at.seq {
                *at = *head;
            }
        }
        newest.into_iter().collect()
    }

    fn remove(&mut self, entry: &Entry) {
        if let Some(doc) = self.docs.get_mut(&entry.doc) {
            doc.remove(&entry.hash);
        }
    }

    /// Puts good entries into the log, without the body of those this node refuses.
    fn take(&mut self, log: LogId, fresh: Fresh) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        for (n, mut entry) in fresh.entries.into_iter().enumerate() {
            let refused = self.poison.contains(&entry.hash) || entry.body.is_none();
            if refused && entry.body.is_some() {
                rejections.push(Rejection {
                    log,
                    seq: fresh.first + n as u64,
                    doc: entry.doc,
                    hash: entry.hash,
                    rule: "G402".into(),
                    reason: "样例".into(),
                    by: self.writer.node,
                });
            }
            if refused {
                entry.body = None;
                self.logs.entry(log).or_default().entries.push(entry);
            } else {
                self.append(log, entry);
            }
        }
        rejections
    }

    /// Begins a new epoch; entries of `log` past what `by` has signed for are written again.
    fn begin_epoch(&mut self, log: LogId, by: NodeId) -> Vec<(LogId, LogHead)> {
        self.forks += 1;
        let upto = self.covered(log, by);
        let mine = self.logs.entry(log).or_default();
        let taken = mine.entries.split_off(usize::try_from(upto).unwrap());
        mine.seals.retain(|seq, _| *seq <= upto);
        taken.iter().for_each(|e| self.remove(e));
        self.writer.epoch += 1;
        let fresh = LogId {
            writer: self.writer,
            ..log
        };
        for mut entry in taken {
            let body = entry.body.take().unwrap_or_default();
            entry.hash = ChangeHash(*blake3::hash(&[&body[..], b"again"].concat()).as_bytes());
            entry.body = Some(body);
            self.append(fresh, entry);
        }
        if self.logs.contains_key(&fresh) {
            self.seal(fresh)
        } else {
            Vec::new()
        }
    }
}

impl Replica for Node {
    type Error = String;

    fn records(&self) -> &impl Records<Error = String> {
        self
    }

    fn open(&mut self, peer: &Peer, _: &[Scope], lacking: &[LogId]) -> Result<Opening, String> {
        let mine = self.vector();
        let receipts: Vec<_> = self
            .receipts
            .iter()
            .filter(|r| r.held.iter().any(|(l, _)| lacking.contains(l)))
            .cloned()
            .collect();
        let county = fixture::node(fixture::HUB).node;
        let lacks = |(log, head): &&(LogId, LogHead)| {
            [peer.node, county]
                .iter()
                .any(|holder| self.covered(*log, *holder) < head.seq)
        };
        Ok(Opening {
            lacking: if peer.upstream {
                mine.iter().filter(lacks).map(|(l, _)| *l).collect()
            } else {
                Vec::new()
            },
            controls: self.controls.keys().map(|v| (control_key(), *v)).collect(),
            rejections: if peer.upstream {
                Vec::new()
            } else {
                self.rejections.clone()
            },
            waiting: (mine.len() as u64, 0),
            vector: mine,
            receipts,
            sightings: Vec::new(),
            agreed: self.agreed.get(&peer.node).cloned(),
            receipted: self.receipted_by(peer.node),
            snapshot: peer.upstream.then(Reached::default),
        })
    }

    fn seen(&mut self, _: &Peer, sightings: Vec<Sighting>) -> Result<Vec<Sighting>, String> {
        Ok(sightings)
    }

    fn met(&mut self, _: &Peer, met: &Met) -> Result<Vec<Sighting>, String> {
        self.met.push(met.clone());
        Ok(Vec::new())
    }

    fn take_snapshot(&mut self, taken: &Given) -> Result<(), String> {
        self.taken.push(taken.clone());
        Ok(())
    }

    fn admit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission, String> {
        let log = batch.log;
        let held = self.logs.get(&log).map_or(LogHead::START, Log::head);
        let ground = Ground {
            trust: &self.trust,
            now: self.now,
            upstream: peer.upstream,
        };
        let mut admission = Admission {
            log,
            head: held,
            rejections: Vec::new(),
            fork: None,
        };
        let fresh = match gate::batch(&batch, held, &ground) {
            Ok(fresh) => fresh,
            Err(BatchError::Gap) => return Err("a gap reached the store".into()),
            Err(BatchError::Fork) => {
                let seal = self
                    .logs
                    .get(&log)
                    .and_then(|l| l.seals.values().next_back().cloned());
                let by = self.writer.node;
                admission.fork = Some(Fork {
                    log,
                    held,
                    by,
                    seal,
                });
                return Ok(admission);
            }
            Err(BatchError::Refused(rule)) => {
                let by = self.writer.node;
                let whole = Rejection::whole(log, batch.first, rule.code(), rule.zh(), by);
                admission.rejections.push(whole);
                return Ok(admission);
            }
        };
        admission.rejections = self.take(log, fresh);
        let mine = self.logs.entry(log).or_default();
        mine.seals.insert(batch.seal.head.seq, batch.seal);
        admission.head = mine.head();
        Ok(admission)
    }

    fn readmit(&mut self, _: &Peer, batch: Batch) -> Result<Admission, String> {
        for entry in &batch.entries {
            let known = self.logs[&batch.log]
                .entries
                .iter()
                .any(|e| e.hash == entry.hash);
            assert!(known, "only what the log names");
            if entry.body.is_some() {
                self.docs.entry(entry.doc).or_default().insert(entry.hash);
            }
        }
        Ok(Admission {
            log: batch.log,
            head: self.logs[&batch.log].head(),
            rejections: Vec::new(),
            fork: None,
        })
    }

    fn sign(&mut self, held: Vec<(LogId, LogHead)>) -> Result<Receipt, String> {
        Ok(Receipt::sign(self.writer.node, self.now, held, &self.key))
    }

    fn take_control(&mut self, _: &Peer, bytes: &[u8]) -> Result<bool, String> {
        let version = u64::from(bytes[0]);
        Ok(self.controls.insert(version, bytes.to_vec()).is_none())
    }

    fn carried(&mut self, logs: &[LogId]) -> Result<Vec<Receipt>, String> {
        let county = fixture::node(fixture::HUB).node;
        let about = |r: &&Receipt| r.held.iter().any(|(log, _)| logs.contains(log));
        let of = self.receipts.iter().filter(|r| r.holder == county);
        Ok(of.filter(about).cloned().collect())
    }

    fn keep(&mut self, _: &Peer, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, String> {
        let mut new = Vec::new();
        for receipt in receipts {
            let holder = self.trust.node(receipt.holder).unwrap();
            assert!(receipt.verify(&holder.sign_key));
            if !self.receipts.contains(&receipt) {
                self.receipts.push(receipt.clone());
                new.push(receipt);
            }
        }
        Ok(new)
    }

    fn reject(&mut self, peer: &Peer, rejections: Vec<Rejection>) -> Result<Rejected, String> {
        let mut done = Rejected::default();
        for rejection in rejections {
            if self.rejections.contains(&rejection) {
                continue;
            }
            self.rejections.push(rejection.clone());
            if peer.upstream && !rejection.is_whole() {
                let log = self.logs.get_mut(&rejection.log);
                let at = usize::try_from(rejection.seq - 1).unwrap();
                if let Some(entry) = log.and_then(|l| l.entries.get_mut(at)) {
                    entry.body = None;
                    let entry = entry.clone();
                    self.remove(&entry);
                }
                if rejection.log.writer == self.writer {
                    self.writer.epoch += 1;
                }
            }
            done.new.push(rejection);
        }
        Ok(done)
    }

    fn sketch(&mut self, _: &Peer, ask: &Ask) -> Result<Drawn, String> {
        self.sketches += 1;
        let key = ask.key.unwrap_or([self.sketches; 16]);
        let mut sketcher = Sketcher::new(ask, key);
        for (doc, heads) in self.documents_of(ask.scope) {
            sketcher.add(doc, wire::digest(doc, &heads));
        }
        Ok(sketcher.finish())
    }

    fn resum(&mut self, scope: Scope) -> Result<(), String> {
        self.resummed.push(scope);
        Ok(())
    }

    fn fork(&mut self, peer: &Peer, fork: &Fork) -> Result<Vec<(LogId, LogHead)>, String> {
        if fork.log.writer.node == self.writer.node {
            let key = self.key.verifying_key().to_bytes();
            let proof = fork.seal.as_ref();
            let proven = proof.is_some_and(|s| s.head == fork.held && s.verify(&fork.log, &key));
            if fork.log.writer.epoch < self.writer.epoch || !(peer.upstream || proven) {
                return Ok(Vec::new());
            }
            return Ok(self.begin_epoch(fork.log, peer.node));
        }
        if peer.upstream {
            let taken = self.logs.remove(&fork.log).unwrap_or_default();
            taken.entries.iter().for_each(|e| self.remove(e));
        }
        Ok(Vec::new())
    }

    fn agree(&mut self, peer: &Peer, agreed: &Agreed) -> Result<(), String> {
        self.agreed.insert(peer.node, agreed.clone());
        Ok(())
    }

    fn settled(&mut self, _: &Peer, settled: &Settled) -> Result<(), String> {
        self.settled.push(settled.clone());
        Ok(())
    }
}

fn control_key() -> ControlKey {
    ControlKey {
        kind: crate::control::ControlKind::Roster,
        site: SiteId(0),
    }
}
