//! How two nodes come to hold the same: a machine without IO, clock or chance.
//!
//! A [`Session`] is told what happened ([`Input`]) and says what is to be done ([`Effect`]); the
//! host does the effects **in the order they come** and answers those that ask with an input.
//! [`host`] holds the one driver that node links and simulated worlds share.
//!
//! ```text
//! caller  HELLO ─────────────▶          vector, versions of control documents
//!   PUSH  ─────────────▶                what the peer lacks, by its own receipts
//!         ◀────────── WELCOME  callee   vector, receipts asked for
//!         ◀───────────── CTRL           before any PUSH, in both directions
//!   PUSH ⇄ ACK, NACK                    both ways, until neither lacks anything
//!   PROOF ⇄ PROOF                       equal vectors must mean equal documents
//!   (SKETCH, WANT, PUSH, PROOF)         once per scope, when they do not
//!   PUSH ⇄ ACK …                        what is committed later, as long as the link stands
//! ```
//!
//! Nothing is sent before it is durable here and nothing is acknowledged before it is durable
//! there; a cut at any point loses no more than the batches in flight, and whatever comes twice
//! or out of turn does no harm. The bytes are in `docs/formats/wire.md`.

use crate::{
    control::ControlKey,
    id::{ChangeHash, DocId, NodeId, Scope, SiteId, Writer},
    log::{Batch, LogHead, LogId, Receipt, Rejection, Seal},
    role::Level,
    time::Millis,
    wire::{
        Fork, Hello, Message, ScopeProof, Sighting, Version, Welcome, Whole,
        pack::{Pack, There},
        sketch::{Ask, Drawn},
        snap::Reached,
    },
};

mod custody;
mod flow;
mod forks;
mod greeting;
pub mod host;
mod packs;
mod proof;
mod reads;
mod report;
mod session;
mod sketch;
mod snap;
mod vectors;

pub use reads::Reads;
pub use session::Session;
pub use snap::{Given, Part};
pub use vectors::{Agreed, versions_hash};

/// Who opened the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Caller,
    Callee,
}

/// This node, as it names itself in this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    pub writer: Writer,
    /// Drawn at start-up.
    pub boot: [u8; 8],
    /// Product version, at most [`crate::limits::PRODUCT_BYTES_MAX`] bytes.
    pub product: String,
}

/// The other node, as the roster knows the key it proved to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    /// Whether its word on what is admitted goes: it stands above this node.
    pub upstream: bool,
}

/// What the other node said of itself in its first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    pub version: Version,
    pub writer: Writer,
    pub boot: [u8; 8],
    pub time: Millis,
    pub product: String,
    /// Entries without a receipt of the county, and the age of the oldest in seconds; only a
    /// caller says.
    pub waiting: Option<(u64, u64)>,
    /// Entries in its own logs, by its vector.
    pub written: u64,
}

impl Met {
    /// Of a node that called; its vector is `hello`'s, where that is whole.
    pub fn of_caller(hello: &Hello) -> Self {
        Self {
            version: hello.version,
            writer: hello.writer,
            boot: hello.boot,
            time: hello.time,
            product: hello.product.clone(),
            waiting: Some(hello.waiting),
            written: written(&hello.vector, hello.writer),
        }
    }

    /// Of a node that was called; its vector is `welcome`'s, where that is whole.
    pub fn of_callee(welcome: &Welcome) -> Self {
        Self {
            version: welcome.version,
            writer: welcome.writer,
            boot: welcome.boot,
            time: welcome.time,
            product: welcome.product.clone(),
            waiting: None,
            written: written(&welcome.vector, welcome.writer),
        }
    }
}

/// Entries in the logs of a node, whatever its epoch, by a whole vector.
fn written<'a>(vector: impl IntoIterator<Item = &'a (LogId, LogHead)>, writer: Writer) -> u64 {
    let logs = vector.into_iter();
    let own = logs.filter(|(l, _)| l.writer.node == writer.node);
    own.fold(0, |sum, (_, head)| sum.saturating_add(head.seq))
}

/// What a session needs to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// Durable heads of every log in the scopes the session was made for.
    pub vector: Vec<(LogId, LogHead)>,
    pub controls: Vec<(ControlKey, u64)>,
    /// See [`Met::waiting`].
    pub waiting: (u64, u64),
    /// Logs for which no receipt of the peer, or none of the county, reaches up to the head held
    /// here; empty unless the peer is upstream. A receipt counts when its chain is the one held
    /// here at its position: after a fork the peer may hold another branch.
    pub lacking: Vec<LogId>,
    /// For a downstream peer: receipts carried for others, the newest of each holder for the logs
    /// it asked about (see [`Effect::Open`]). This node's own are signed when the session asks.
    pub receipts: Vec<Receipt>,
    /// For a downstream peer: refusals of entries in its scopes, in case it has not heard.
    pub rejections: Vec<Rejection>,
    /// For an upstream peer: what was heard of the nodes below this one.
    pub sightings: Vec<Sighting>,
    /// What was kept of [`Effect::Agree`] for this peer.
    pub agreed: Option<Agreed>,
    /// For an upstream peer: that documents are taken ahead of their logs, and how far an earlier
    /// session came.
    pub snapshot: Option<Reached>,
    /// For an upstream peer: how far its own receipts reach, on whatever branch.
    pub receipted: Vec<(LogId, LogHead)>,
}

/// What [`Effect::Read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing sealed lies past that position.
    Nothing,
    Batch(Batch),
    /// The log has another chain at that position: the head here, and the writer's seal on it.
    Forked(LogHead, Option<Seal>),
}

/// What [`Effect::Unpack`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpacked {
    Batch(Batch),
    /// All of it is held already; up to where.
    Held(LogId, LogHead),
    /// It refers to what is not here: to be asked for as it is.
    Ask(Whole),
    /// Its bytes are no pack.
    Garbled,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub log: LogId,
    /// The durable head of the log now.
    pub head: LogHead,
    /// Entries not admitted, or one [`Rejection::whole`]; then the head has not moved.
    pub rejections: Vec<Rejection>,
    /// The batch does not continue what is held here.
    pub fork: Option<Fork>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The connection stands.
    Connected,
    /// Answers [`Effect::Open`].
    Start(Opening),
    /// Instead of `Start`: not now, come back after so many milliseconds.
    Busy(u32),
    /// A message of the peer.
    Message(Message),
    /// Answers [`Effect::Read`].
    Batch(LogId, Found),
    /// Answers [`Effect::Admit`] and [`Effect::Readmit`].
    Admitted(Admission),
    /// Answers [`Effect::Pack`].
    Packed(Pack),
    /// Answers [`Effect::Unpack`].
    Unpacked(Unpacked),
    /// Answers [`Effect::ReadWhole`].
    Whole(Option<Batch>),
    /// Answers [`Effect::ReadSnap`].
    Snap(Part),
    /// Answers [`Effect::TakeSnap`]: that part is durable.
    SnapTaken(u32),
    /// Answers [`Effect::Sign`].
    Signed(Receipt),
    /// Answers [`Effect::GiveControls`]: signed control documents in the order to take them.
    Controls(Vec<Vec<u8>>),
    /// Answers [`Effect::TakeControl`].
    ControlTaken,
    /// Answers [`Effect::Digest`].
    Digests(Vec<ScopeProof>),
    /// Answers [`Effect::ReadHeads`]: every document of the scope.
    Heads(Scope, Vec<(DocId, Vec<ChangeHash>)>),
    /// Answers [`Effect::ReadSketch`].
    Sketch(Drawn),
    /// Answers [`Effect::ReadDocs`]: sealed batches that hold all entries of those documents.
    DocBatches(Vec<Batch>),
    /// News: entries became durable here, by a person or through another session.
    Committed(Vec<(LogId, LogHead)>),
    /// News: receipts reached this node that a downstream peer may wait for.
    Receipts(Vec<Receipt>),
    /// News: an upstream refused entries.
    Rejections(Vec<Rejection>),
    /// News: nodes below were heard of.
    Seen(Vec<Sighting>),
    /// News: a control document was replaced by a newer one.
    ControlsChanged,
    /// News: places or roster changed what the two nodes may read. What is no longer allowed
    /// stops at once; what is newly allowed begins with the next session.
    Scopes { mine: Reads, peer: Reads },
    /// Somebody asks whether both sides agree, numbering the question: [`Effect::Settled`] says so
    /// when they do, with this number.
    Ask(u64),
    /// Time passed; to be given when [`Session::deadline`] is reached.
    Tick,
    /// The host ends the session.
    Stop,
}

/// What the host is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Send(Message),
    /// Note what the peer said of itself.
    Met(Met),
    /// Gather an [`Opening`] about these scopes; `lacking` is what the peer wants receipts of others
    /// for.
    Open {
        scopes: Vec<Scope>,
        lacking: Vec<LogId>,
    },
    /// Read the next sealed batch past a head.
    Read(LogId, LogHead),
    /// Leave out of a batch what the peer holds or can compute.
    Pack(Batch, There),
    /// Make a batch of a pack again.
    Unpack(Pack),
    /// Read a batch that the peer could not make of its pack.
    ReadWhole(Whole),
    /// Read the next documents for a peer that is new: past `reached`, or of a snapshot that begins
    /// now. About so many bytes of changes, by the clock `at`.
    ReadSnap {
        scopes: Vec<Scope>,
        reached: Reached,
        most: usize,
        at: Millis,
    },
    /// Documents ahead of their logs: through the gate and into the store, with how far it came. One that
    /// is here already stays as it is.
    TakeSnap(Given),
    /// Through the gate and into the store.
    Admit(Batch),
    /// Entries already held whose documents differ: through the gate once more.
    Readmit(Batch),
    /// Sign that these heads are durable here.
    Sign(Vec<(LogId, LogHead)>),
    TakeControl(Vec<u8>),
    GiveControls {
        have: Vec<(ControlKey, u64)>,
    },
    /// Verify and keep receipts.
    Keep(Vec<Receipt>),
    /// Tell the receipts of the county for these logs, which the peer took from here.
    Carry(Vec<LogId>),
    /// Note what a peer below heard of others.
    Seen(Vec<Sighting>),
    /// The peer refused entries, or tells who did.
    Reject(Vec<Rejection>),
    Digest(Vec<Scope>),
    ReadHeads(Scope),
    /// Cells over every document of a scope.
    ReadSketch(Ask),
    /// The digest kept of a scope is not that of its documents: sum it up again.
    Resum(Scope),
    ReadDocs(Vec<DocId>),
    /// A log of this node's own forked, or is longer elsewhere: begin a new epoch.
    BeginEpoch(Fork),
    /// A log of another writer forked, and the upstream holds the other branch.
    Forked(Fork),
    /// Both sides hold the same, as far as can be; told again after live traffic.
    Settled(Settled),
    /// Keep this for the next session with this peer, instead of what was kept before.
    Agree(Agreed),
    /// Last effect of a session.
    Close(Closing),
}

/// What a session did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Entries.
    pub sent: u64,
    pub received: u64,
    /// Documents asked for again because digests differed.
    pub repaired: u64,
    /// The same, scope by scope.
    pub repairs: Vec<(Scope, u64)>,
    /// Scopes that still differ.
    pub mismatched: Vec<Scope>,
    /// Logs left out of this session: forked or refused as a whole.
    pub stalled: Vec<LogId>,
    /// Another session would get further: logs forked, or places changed. The caller closes this
    /// one and is to call again.
    pub again: bool,
    /// The last question that this answers ([`Input::Ask`]): all that was news before it is in.
    pub asked: u64,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closing {
    #[error("stopped here")]
    Stopped,
    #[error("nothing heard in time, waiting for {0}")]
    Silent(&'static str),
    /// Only a caller closes so, once both sides agree on the rest.
    #[error("another session gets further")]
    Again,
    #[error("the peer is busy for {0} ms")]
    Busy(u32),
    #[error("told the peer to come back in {0} ms")]
    ToldBusy(u32),
    #[error("the peer speaks version {}.{}", .0.major, .0.minor)]
    Version(Version),
    #[error("the peer broke the rules: {0}")]
    Violation(Violation),
}

/// What a peer may not do. The session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("{0} out of turn")]
    Unexpected(&'static str),
    #[error("it names itself another node than its key says")]
    WrongNode,
    #[error("more batches in flight than allowed")]
    Window,
    #[error("more messages before the first than are kept")]
    Early,
    #[error("a malformed {0}")]
    Malformed(&'static str),
    #[error("more documents in one scope than a repair may name")]
    TooManyDocuments,
    #[error("this session is over")]
    Closed,
}

#[cfg(test)]
mod tests;
