//! The store as a session sees it.

use std::collections::BTreeMap;

use cuntong_protocol::{
    control::{ControlKey, Taken},
    id::{ChangeHash, DocId, Scope, SiteId},
    log::{Batch, LogHead, LogId, Receipt, Rejection},
    sync::{
        Admission, Agreed, Found, Given, Met, Opening, Part, Peer, Settled,
        host::{Records, Rejected, Replica},
    },
    time::Millis,
    wire::{
        Fork, ScopeProof, Sighting, Whole,
        pack::Shelf,
        sketch::{Ask, Drawn},
        snap::Reached,
    },
};

use super::{
    db::Db,
    error::{Result, StoreError},
    peers::Exchange,
};

/// Refusals told to a peer again when a session opens.
const REJECTIONS_MAX: u32 = 200;

/// The store at one moment: sessions read no clock either.
#[derive(Debug)]
pub struct Linked<'a> {
    pub db: &'a mut Db,
    pub now: Millis,
    pub traffic: Traffic,
}

/// What a connection has carried so far, in bytes; zero where nothing is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
}

impl Records for Db {
    type Error = StoreError;

    fn read(&self, log: LogId, after: LogHead) -> Result<Found> {
        let here = self.head_at(&log, after.seq)?;
        if here.is_some_and(|here| here != after) {
            let head = self.log_head(&log)?;
            return Ok(Found::Forked(head, self.seal_at(&log, head)?));
        }
        Ok(match self.batch(&log, after.seq)? {
            Some(batch) => Found::Batch(batch),
            None => Found::Nothing,
        })
    }

    fn shelf(&self) -> &impl Shelf<Error = StoreError> {
        self
    }

    fn end_of(&self, log: LogId) -> Result<(LogHead, Option<[u8; 32]>)> {
        let trust = self.trust()?;
        let writer = trust.node(log.writer.node);
        Ok((self.log_head(&log)?, writer.map(|node| node.sign_key)))
    }

    fn head_at(&self, log: LogId, seq: u64) -> Result<Option<LogHead>> {
        Self::head_at(self, &log, seq)
    }

    fn whole(&self, whole: Whole) -> Result<Option<Batch>> {
        self.batch(&whole.log, whole.first.saturating_sub(1))
    }

    fn give_controls(&self, peer: &Peer, have: &[(ControlKey, u64)]) -> Result<Vec<Vec<u8>>> {
        Ok(self.trust()?.needed_by(peer.site, have))
    }

    fn snapshot(
        &self,
        scopes: &[Scope],
        reached: &Reached,
        most: usize,
        at: Millis,
    ) -> Result<Part> {
        self.next_sheets(scopes, reached, most, at)
    }

    fn digests_of(&self, scopes: &[Scope]) -> Result<Vec<ScopeProof>> {
        self.digests(scopes)
    }

    fn heads_of(&self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>> {
        self.heads(scope)
    }

    fn batches_about(&self, docs: &[DocId]) -> Result<Vec<Batch>> {
        self.batches_of(docs)
    }
}

impl Replica for Linked<'_> {
    type Error = StoreError;

    fn records(&self) -> &impl Records<Error = StoreError> {
        &*self.db
    }

    fn open(&mut self, peer: &Peer, scopes: &[Scope], lacking: &[LogId]) -> Result<Opening> {
        self.db.adopt_orphans(self.now)?;
        let waiting = self.db.waiting()?;
        let age = waiting
            .oldest
            .map_or(0, |at| self.now.since(at).max(0) / 1000);
        let mut opening = Opening {
            vector: self.db.vector(scopes)?.into_iter().collect(),
            controls: self.db.trust()?.versions(),
            waiting: (waiting.count, age.cast_unsigned()),
            agreed: self.db.agreed_with(peer.node)?,
            ..Opening::default()
        };
        if peer.upstream {
            opening.lacking = self.db.lacking_receipts(peer.node)?;
            opening.snapshot = Some(self.db.snapshot_reached()?);
            opening.receipted = self.db.receipted_by(peer.node)?.into_iter().collect();
            opening.sightings = self.sightings_below()?;
        } else {
            opening.receipts = self.receipts_for(lacking)?;
            opening.rejections = self.rejections_for(peer)?;
        }
        Ok(opening)
    }

    fn met(&mut self, peer: &Peer, met: &Met) -> Result<Vec<Sighting>> {
        let offset = met.time.since(self.now);
        let seen = self.introduced(peer, met, self.now, Some(offset))?;
        Ok(seen.filter(|_| !peer.upstream).into_iter().collect())
    }

    fn seen(&mut self, peer: &Peer, sightings: Vec<Sighting>) -> Result<Vec<Sighting>> {
        let trust = self.db.shared_trust()?;
        let mut news = Vec::new();
        for mut sighting in sightings {
            let site = trust.node(sighting.node).map(|n| n.site);
            if sighting.node == peer.node
                || !site.is_some_and(|site| trust.places().covers(peer.site, site))
            {
                continue;
            }
            // Nobody is seen in the future: that is the teller's clock.
            sighting.at = sighting.at.min(self.now);
            if self.db.note_sighting(&sighting, Some(peer.node))? {
                news.push(sighting);
            }
        }
        Ok(news)
    }

    fn admit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission> {
        self.db.admit(&batch, peer.upstream, self.now)
    }

    fn take_snapshot(&mut self, given: &Given) -> Result<()> {
        self.db.take_snapshot(given, self.now)
    }

    fn readmit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission> {
        self.db.readmit(&batch, peer.upstream, self.now)
    }

    fn sign(&mut self, held: Vec<(LogId, LogHead)>) -> Result<Receipt> {
        self.db.sign_receipt(&held, self.now)
    }

    fn take_control(&mut self, peer: &Peer, bytes: &[u8]) -> Result<bool> {
        match self.db.take_control(bytes, self.now) {
            Ok(Taken::New(..)) => Ok(true),
            Ok(Taken::Same) => Ok(false),
            Err(StoreError::Trust(error)) => {
                tracing::warn!(peer = %peer.node, rule = error.word(), "control document refused");
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    fn keep(&mut self, _peer: &Peer, receipts: Vec<Receipt>) -> Result<Vec<Receipt>> {
        self.db.keep_receipts(&receipts)
    }

    fn carried(&mut self, logs: &[LogId]) -> Result<Vec<Receipt>> {
        self.db.receipts_about(logs, None)
    }

    fn reject(&mut self, peer: &Peer, rejections: Vec<Rejection>) -> Result<Rejected> {
        let applied = self.db.reject(&rejections, peer.upstream, self.now)?;
        Ok(Rejected {
            new: applied.new,
            committed: Vec::new(),
        })
    }

    fn sketch(&mut self, peer: &Peer, ask: &Ask) -> Result<Drawn> {
        self.db.sketch(peer.node, ask, self.now)
    }

    fn resum(&mut self, scope: Scope) -> Result<()> {
        self.db.resum_scope(scope).map(drop)
    }

    fn fork(&mut self, peer: &Peer, fork: &Fork) -> Result<Vec<(LogId, LogHead)>> {
        let identity = self.db.identity()?;
        let own = fork.log.writer.node == identity.node;
        let key = identity.sign.verifying_key().to_bytes();
        let proven = fork
            .seal
            .as_ref()
            .is_some_and(|seal| own && seal.head == fork.held && seal.verify(&fork.log, &key));
        if !peer.upstream && !proven {
            tracing::warn!(peer = %peer.node, log = %fork.log.writer, "a fork without proof");
            return Ok(Vec::new());
        }
        self.db.fork(fork, self.now)?;
        self.db.adopt_orphans(self.now)
    }

    fn agree(&mut self, peer: &Peer, agreed: &Agreed) -> Result<()> {
        self.db.note_agreement(peer.node, agreed, self.now)
    }

    fn settled(&mut self, peer: &Peer, settled: &Settled) -> Result<()> {
        self.db.adopt_orphans(self.now)?;
        if peer.upstream && settled.stalled.is_empty() {
            self.db.end_snapshot(self.now)?;
        }
        let result = if settled.mismatched.is_empty() {
            "settled"
        } else {
            "differs"
        };
        self.db.note_exchange(&Exchange {
            at: self.now,
            node: peer.node,
            sent: settled.sent,
            received: settled.received,
            bytes_up: self.traffic.up,
            bytes_down: self.traffic.down,
            repaired: settled.repaired,
            result: result.to_owned(),
        })
    }
}

impl<'a> Linked<'a> {
    /// The store at one moment, where no traffic is counted.
    pub fn new(db: &'a mut Db, now: Millis) -> Self {
        let traffic = Traffic::default();
        Self { db, now, traffic }
    }
}

impl Linked<'_> {
    /// Notes what a peer said of itself at that moment, by the clock here; `None` when something
    /// later was heard of it.
    pub(crate) fn introduced(
        &mut self,
        peer: &Peer,
        met: &Met,
        at: Millis,
        clock_offset_ms: Option<i64>,
    ) -> Result<Option<Sighting>> {
        let (waiting, age) = met.waiting.unwrap_or_default();
        let age_ms = age.saturating_mul(1000).min(i64::MAX as u64).cast_signed();
        let sighting = Sighting {
            node: peer.node,
            at,
            clock_offset_ms,
            product: met.product.clone(),
            epoch: met.writer.epoch,
            written: met.written,
            waiting_since: (waiting > 0).then(|| at.after(-age_ms)),
        };
        let newer = self.db.note_sighting(&sighting, None)?;
        Ok(newer.then_some(sighting))
    }

    /// Receipts for logs a peer below asked about: this node's own, made now, and the county's.
    pub(crate) fn receipts_for(&self, logs: &[LogId]) -> Result<Vec<Receipt>> {
        // One per site: it may be carried to a node that must not hear of other sites.
        let mut held: BTreeMap<SiteId, Vec<(LogId, LogHead)>> = BTreeMap::new();
        for log in logs {
            let head = self.db.log_head(log)?;
            if head.seq > 0 {
                held.entry(log.scope.site).or_default().push((*log, head));
            }
        }
        let mut receipts = Vec::new();
        for held in held.values() {
            receipts.push(self.db.sign_receipt(held, self.now)?);
        }
        receipts.extend(self.db.receipts_about(logs, None)?);
        Ok(receipts)
    }

    /// What was heard of nodes below this one, for the one above.
    fn sightings_below(&self) -> Result<Vec<Sighting>> {
        let trust = self.db.trust()?;
        let own = self.db.identity()?.node;
        let own_site = trust.node(own).map(|n| n.site);
        let below = |node| {
            let site = trust.node(node).map(|n| n.site);
            node != own
                && own_site
                    .zip(site)
                    .is_some_and(|(a, b)| trust.places().covers(a, b))
        };
        let mut notes = self.db.peers()?;
        notes.retain(|note| below(note.sighting.node));
        Ok(notes.into_iter().map(|note| note.sighting).collect())
    }

    /// Refusals of entries written at the peer's site or below it.
    fn rejections_for(&self, peer: &Peer) -> Result<Vec<Rejection>> {
        let trust = self.db.trust()?;
        let below = trust.roster().nodes.iter();
        let below = below.filter(|n| trust.places().covers(peer.site, n.site));
        let writers = below.map(|n| n.node).collect();
        let mut refusals = self.db.rejections_for(&writers, REJECTIONS_MAX)?;
        // A log this node refused as a whole may be good by now: it is to come again, and is
        // refused again where it is not.
        let me = self.db.identity()?.node;
        refusals.retain(|r| !(r.is_whole() && r.by == me));
        Ok(refusals)
    }
}
