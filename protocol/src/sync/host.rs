//! The driver between a [`Session`](super::Session) and a store.

use crate::{
    control::ControlKey,
    id::{ChangeHash, DocId, Scope},
    log::{Batch, LogHead, LogId, Receipt, Rejection},
    sync::{
        Admission, Agreed, Effect, Found, Given, Input, Met, Opening, Part, Peer, Settled, Unpacked,
    },
    time::Millis,
    wire::{
        Fork, ScopeProof, Sighting, Whole,
        pack::{self, Pack, Shelf, UnpackError, Upto},
        sketch::{Ask, Drawn},
        snap::Reached,
    },
};

/// What a session reads in a node's store.
pub trait Records {
    type Error;

    /// The entries past `after` up to a seal, at most [`crate::limits::BATCH_BYTES_MAX`] bytes.
    /// `Forked` when the log's chain at `after.seq` is not `after.chain`.
    fn read(&self, log: LogId, after: LogHead) -> Result<Found, Self::Error>;
    /// The logs of this store, for packs.
    fn shelf(&self) -> &impl Shelf<Error = Self::Error>;
    /// The durable head of a log, and its writer's key where the roster lists it.
    fn end_of(&self, log: LogId) -> Result<(LogHead, Option<[u8; 32]>), Self::Error>;
    /// The head a log had here at that position; `None`: it does not reach so far.
    fn head_at(&self, log: LogId, seq: u64) -> Result<Option<LogHead>, Self::Error>;
    /// The sealed batch that begins where asked.
    fn whole(&self, whole: Whole) -> Result<Option<Batch>, Self::Error>;
    /// Control documents the peer may have and lacks, in the order to take them.
    fn give_controls(
        &self,
        peer: &Peer,
        have: &[(ControlKey, u64)],
    ) -> Result<Vec<Vec<u8>>, Self::Error>;
    /// The next documents of these scopes for a peer that is new, as [`Effect::ReadSnap`] says.
    fn snapshot(
        &self,
        scopes: &[Scope],
        reached: &Reached,
        most: usize,
        at: Millis,
    ) -> Result<Part, Self::Error>;
    /// Digests of these scopes.
    fn digests_of(&self, scopes: &[Scope]) -> Result<Vec<ScopeProof>, Self::Error>;
    /// Every document of a scope with its sorted heads.
    fn heads_of(&self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>, Self::Error>;
    /// Sealed batches that hold every entry of these documents.
    fn batches_about(&self, docs: &[DocId]) -> Result<Vec<Batch>, Self::Error>;
}

/// What a session asks of a node's store. Every method that writes returns after the write is
/// durable.
pub trait Replica {
    type Error;

    /// What is read without writing.
    fn records(&self) -> &impl Records<Error = Self::Error>;

    /// What [`Opening`] describes, for this peer and these scopes; `lacking` is what the peer wants
    /// receipts for.
    fn open(
        &mut self,
        peer: &Peer,
        scopes: &[Scope],
        lacking: &[LogId],
    ) -> Result<Opening, Self::Error>;
    /// Notes what the peer said of itself; for those above, when it stands below.
    fn met(&mut self, peer: &Peer, met: &Met) -> Result<Vec<Sighting>, Self::Error>;
    /// Notes what a peer heard of nodes in its area; returns what was news.
    fn seen(&mut self, peer: &Peer, sightings: Vec<Sighting>)
    -> Result<Vec<Sighting>, Self::Error>;
    /// Takes a batch through [`crate::gate`]. Entries of this node's own present epoch that were
    /// not here mean that its past was lost: it begins a new one.
    fn admit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission, Self::Error>;
    /// Takes documents ahead of their logs, on the peer's word: it stands above. One the gate refuses,
    /// and one that is here already, is left to its logs.
    fn take_snapshot(&mut self, given: &Given) -> Result<(), Self::Error>;
    /// Takes entries already held through the gate again, where a document lacks their change.
    fn readmit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission, Self::Error>;
    /// A receipt of this node for these heads.
    fn sign(&mut self, held: Vec<(LogId, LogHead)>) -> Result<Receipt, Self::Error>;
    /// Takes a control document; whether it replaced an older one. One that is old, foreign or
    /// badly signed is recorded and is not an error.
    fn take_control(&mut self, peer: &Peer, bytes: &[u8]) -> Result<bool, Self::Error>;
    /// Verifies and keeps receipts; returns those that say something new.
    fn keep(&mut self, peer: &Peer, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, Self::Error>;
    /// The county's receipts for these logs, as they were kept.
    fn carried(&mut self, logs: &[LogId]) -> Result<Vec<Receipt>, Self::Error>;
    /// Records refusals. When `peer.upstream`, the entries are taken out of their documents and
    /// refused ones of this node's own writer begin a new epoch. Returns the refusals that are
    /// new, and heads that became durable by it.
    fn reject(&mut self, peer: &Peer, rejections: Vec<Rejection>) -> Result<Rejected, Self::Error>;
    /// Cells over every document of a scope, for a repair: one look at the documents, in memory that
    /// does not grow with their number.
    fn sketch(&mut self, peer: &Peer, ask: &Ask) -> Result<Drawn, Self::Error>;
    /// Sums up the digests of a scope's documents again: the sum that is kept was found wrong.
    fn resum(&mut self, scope: Scope) -> Result<(), Self::Error>;
    /// A log forked. Of this node's own: begins a new epoch, if `fork.by` is upstream or
    /// `fork.seal` is this node's own. Of another writer: puts its branch aside for the
    /// upstream's. Returns heads that became durable by it.
    fn fork(&mut self, peer: &Peer, fork: &Fork) -> Result<Vec<(LogId, LogHead)>, Self::Error>;
    /// Keeps what both hold now for the next session with this peer.
    fn agree(&mut self, peer: &Peer, agreed: &Agreed) -> Result<(), Self::Error>;
    /// Notes the end of an exchange.
    fn settled(&mut self, peer: &Peer, settled: &Settled) -> Result<(), Self::Error>;
}

/// What [`Replica::reject`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    pub new: Vec<Rejection>,
    pub committed: Vec<(LogId, LogHead)>,
}

/// What came of an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Performed {
    /// For the session that asked.
    pub answers: Vec<Input>,
    /// For every other session of this node.
    pub news: Vec<Input>,
}

impl Performed {
    /// What one input answers, and nobody else hears of.
    pub fn answer(input: Input) -> Self {
        Self {
            answers: vec![input],
            news: Vec::new(),
        }
    }

    fn news<T>(list: Vec<T>, input: impl Fn(Vec<T>) -> Input) -> Self {
        Self {
            answers: Vec::new(),
            news: unless_empty(list, input),
        }
    }
}

impl Effect {
    /// Whether [`look`] does it: no writer need wait for it.
    pub const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Read(..)
                | Self::Pack(..)
                | Self::Unpack(_)
                | Self::ReadWhole(_)
                | Self::ReadSnap { .. }
                | Self::GiveControls { .. }
                | Self::Digest(_)
                | Self::ReadHeads(_)
                | Self::ReadDocs(_)
        )
    }
}

/// Does one effect that only reads; gives another back.
///
/// # Errors
/// Those of the records: the session is to be stopped.
pub fn look<R: Records>(
    effect: Effect,
    peer: &Peer,
    records: &R,
) -> Result<Result<Performed, Effect>, R::Error> {
    let answer = match effect {
        Effect::Read(log, after) => Input::Batch(log, records.read(log, after)?),
        Effect::Pack(batch, there) => {
            let shelf = Upto::new(records.shelf(), batch.log, &there.logs);
            Input::Packed(pack::pack_given(&batch, &shelf, there.given)?)
        }
        Effect::Unpack(pack) => Input::Unpacked(unpacked(&pack, records)?),
        Effect::ReadWhole(whole) => Input::Whole(records.whole(whole)?),
        Effect::ReadSnap {
            scopes,
            reached,
            most,
            at,
        } => Input::Snap(records.snapshot(&scopes, &reached, most, at)?),
        Effect::GiveControls { have } => Input::Controls(records.give_controls(peer, &have)?),
        Effect::Digest(scopes) => Input::Digests(records.digests_of(&scopes)?),
        Effect::ReadHeads(scope) => Input::Heads(scope, records.heads_of(scope)?),
        Effect::ReadDocs(docs) => Input::DocBatches(records.batches_about(&docs)?),
        writes @ (Effect::Send(_)
        | Effect::Met(_)
        | Effect::Open { .. }
        | Effect::Admit(_)
        | Effect::Readmit(_)
        | Effect::TakeSnap(_)
        | Effect::Sign(_)
        | Effect::TakeControl(_)
        | Effect::Keep(_)
        | Effect::Carry(_)
        | Effect::Seen(_)
        | Effect::Reject(_)
        | Effect::ReadSketch(_)
        | Effect::Resum(_)
        | Effect::BeginEpoch(_)
        | Effect::Forked(_)
        | Effect::Settled(_)
        | Effect::Agree(_)
        | Effect::Close(_)) => return Ok(Err(writes)),
    };
    Ok(Ok(Performed::answer(answer)))
}

/// Does one effect. [`Effect::Send`] and [`Effect::Close`] are the link's own and do nothing here.
///
/// # Errors
/// The replica's: the session is to be stopped.
pub fn perform<R: Replica>(
    effect: Effect,
    peer: &Peer,
    replica: &mut R,
) -> Result<Performed, R::Error> {
    let effect = match look(effect, peer, replica.records())? {
        Ok(done) => return Ok(done),
        Err(writes) => writes,
    };
    Ok(match effect {
        Effect::Send(_)
        | Effect::Close(_)
        | Effect::Read(..)
        | Effect::Pack(..)
        | Effect::Unpack(_)
        | Effect::ReadWhole(_)
        | Effect::ReadSnap { .. }
        | Effect::GiveControls { .. }
        | Effect::Digest(_)
        | Effect::ReadHeads(_)
        | Effect::ReadDocs(_) => Performed::default(),
        Effect::Met(met) => Performed::news(replica.met(peer, &met)?, Input::Seen),
        Effect::Seen(sightings) => Performed::news(replica.seen(peer, sightings)?, Input::Seen),
        Effect::Open { scopes, lacking } => {
            Performed::answer(Input::Start(replica.open(peer, &scopes, &lacking)?))
        }
        Effect::Admit(batch) => admitted(replica.admit(peer, batch)?),
        Effect::Readmit(batch) => admitted(replica.readmit(peer, batch)?),
        Effect::TakeSnap(given) => {
            replica.take_snapshot(&given)?;
            Performed::answer(Input::SnapTaken(given.part))
        }
        Effect::Sign(held) => Performed::answer(Input::Signed(replica.sign(held)?)),
        Effect::TakeControl(bytes) => Performed {
            news: if replica.take_control(peer, &bytes)? {
                vec![Input::ControlsChanged]
            } else {
                Vec::new()
            },
            answers: vec![Input::ControlTaken],
        },
        Effect::Keep(receipts) => Performed::news(replica.keep(peer, receipts)?, Input::Receipts),
        Effect::Carry(logs) => Performed::answer(Input::Receipts(replica.carried(&logs)?)),
        Effect::Reject(rejections) => rejected(replica.reject(peer, rejections)?),
        Effect::ReadSketch(ask) => Performed::answer(Input::Sketch(replica.sketch(peer, &ask)?)),
        Effect::Resum(scope) => {
            replica.resum(scope)?;
            Performed::default()
        }
        Effect::BeginEpoch(fork) | Effect::Forked(fork) => {
            let committed = replica.fork(peer, &fork)?;
            Performed {
                answers: unless_empty(committed.clone(), Input::Committed),
                news: unless_empty(committed, Input::Committed),
            }
        }
        Effect::Agree(agreed) => {
            replica.agree(peer, &agreed)?;
            Performed::default()
        }
        Effect::Settled(settled) => {
            replica.settled(peer, &settled)?;
            Performed::default()
        }
    })
}

fn unpacked<R: Records>(pack: &Pack, records: &R) -> Result<Unpacked, R::Error> {
    let ask = Unpacked::Ask(Whole {
        log: pack.log,
        first: pack.first,
    });
    let (head, key) = records.end_of(pack.log)?;
    // A writer the roster does not list: the gate says so, of the batch as it is.
    let Some(key) = key else {
        return Ok(ask);
    };
    if pack.last().is_some_and(|last| last <= head.seq) {
        return Ok(Unpacked::Held(pack.log, head));
    }
    // Another node may have brought the beginning of it meanwhile.
    let Some(before) = records.head_at(pack.log, pack.first.saturating_sub(1))? else {
        return Ok(ask);
    };
    match pack::unpack(pack, before, &key, records.shelf()) {
        Ok(batch) => Ok(Unpacked::Batch(batch)),
        Err(UnpackError::Shelf(error)) => Err(error),
        Err(UnpackError::Structure(_)) => Ok(Unpacked::Garbled),
        Err(UnpackError::Position | UnpackError::Unknown | UnpackError::Mismatch) => Ok(ask),
    }
}

fn rejected(Rejected { new, committed }: Rejected) -> Performed {
    let mut news = unless_empty(new, Input::Rejections);
    news.extend(unless_empty(committed.clone(), Input::Committed));
    Performed {
        answers: unless_empty(committed, Input::Committed),
        news,
    }
}

fn admitted(admission: Admission) -> Performed {
    Performed {
        news: vec![Input::Committed(vec![(admission.log, admission.head)])],
        answers: vec![Input::Admitted(admission)],
    }
}

fn unless_empty<T>(list: Vec<T>, input: impl Fn(Vec<T>) -> Input) -> Vec<Input> {
    if list.is_empty() {
        Vec::new()
    } else {
        vec![input(list)]
    }
}
