//! Messages between nodes. The same over QUIC and, later, TLS/TCP and files.

pub mod bundle;
pub mod codec;
pub mod elide;
pub mod frame;
pub mod pack;
pub mod sketch;
pub mod snap;
pub mod window;

use crate::{
    control::ControlKey,
    id::{ChangeHash, DocId, NodeId, Scope, Writer},
    log::{Batch, LogHead, LogId, Receipt, Rejection, Seal},
    time::Millis,
    wire::{pack::Pack, sketch::Sketch},
};

/// Protocol version spoken here. A peer with another major version is answered `Upgrade`.
pub const VERSION: Version = Version { major: 1, minor: 3 };

/// The minor version since which batches may come as packs.
pub const PACKS_SINCE: u16 = 1;

/// The minor version since which a sketch finds the documents that differ, and more than one WANT
/// may name them.
pub const SKETCH_SINCE: u16 = 2;
/// The minor version since which vectors may be told as differences and in parts.
pub const VECTORS_SINCE: u16 = 2;

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Version {
    #[n(0)]
    pub major: u16,
    #[n(1)]
    pub minor: u16,
}

/// One message. Numbers are for ever (`docs/formats/wire.md`).
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Message {
    /// Who calls, and what it holds.
    #[n(1)]
    Hello(#[n(0)] Hello),
    /// The answer: what the called node holds, durably.
    #[n(2)]
    Welcome(#[n(0)] Welcome),
    /// Entries of one log up to a seal.
    #[n(3)]
    Push(#[n(0)] Batch),
    /// Custody receipts: the sender's own after fsync, and those it carries for others.
    #[n(4)]
    Ack(#[n(0)] Vec<Receipt>),
    /// Entries not admitted.
    #[n(5)]
    Nack(#[n(0)] Vec<Rejection>),
    /// Digest per scope, when both hold the same logs.
    #[n(6)]
    Proof(#[n(0)] Vec<ScopeProof>),
    /// After a proof that does not match: documents and heads of one scope.
    #[n(7)]
    Heads(#[n(0)] ScopeHeads),
    /// Asks for every entry of some documents again, or says that such a request is served.
    #[n(8)]
    Want(#[n(0)] Want),
    /// Not now; come back after so many milliseconds.
    #[n(9)]
    Busy(#[n(0)] u32),
    /// This log forked: the receiver must begin a new epoch.
    #[n(10)]
    Fork(#[n(0)] Fork),
    /// Another major version is needed.
    #[n(11)]
    Upgrade(#[n(0)] Version),
    /// One signed control document.
    #[n(12)]
    Ctrl(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// What a node heard of the nodes below it; goes up. Since 1.1.
    #[n(13)]
    Seen(#[n(0)] Vec<Sighting>),
    /// A batch without what the receiver holds or can compute. Since 1.1.
    #[n(14)]
    Pack(#[n(0)] Pack),
    /// Asks for a batch that came as a pack once more, as it is. Since 1.1.
    #[n(15)]
    Whole(#[n(0)] Whole),
    /// A part of the sender's vector that its first message did not carry. Since 1.2.
    #[n(16)]
    Vector(#[n(0)] VectorPart),
    /// After a proof that does not match: what gives away the documents that differ. Since 1.2.
    #[n(18)]
    Sketch(#[n(0)] Sketch),
}

/// First message of the node that calls.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Hello {
    #[n(0)]
    pub version: Version,
    /// The writer the caller is now: node and epoch.
    #[n(1)]
    pub writer: Writer,
    /// Drawn at start-up: two live sessions of one node with different nonces are a clone.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub boot: [u8; 8],
    #[n(3)]
    pub vector: Vec<(LogId, LogHead)>,
    /// Newest version held of each control document.
    #[n(4)]
    pub controls: Vec<(ControlKey, u64)>,
    #[n(5)]
    pub time: Millis,
    /// Product version, for the county's list of nodes.
    #[n(6)]
    pub product: String,
    /// Entries not yet covered by a receipt of the county, and the age of the oldest in seconds.
    #[n(7)]
    pub waiting: (u64, u64),
    /// Logs for which the caller has no receipt of the called node, or none of the county, up to
    /// its own head. Empty in the ordinary case.
    #[cbor(n(8), default)]
    pub lacking: Vec<LogId>,
    /// The agreement `vector` is told against: only logs with another head than then are in it.
    /// `None`: the vector is whole.
    #[n(9)]
    pub since: Option<u64>,
    /// Parts of the vector that follow, where any do.
    #[n(10)]
    pub parts: Option<u32>,
}

/// First message of the node that is called.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Welcome {
    #[n(0)]
    pub version: Version,
    #[n(1)]
    pub writer: Writer,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub boot: [u8; 8],
    /// Durable; only logs of scopes the caller may read.
    #[n(3)]
    pub vector: Vec<(LogId, LogHead)>,
    #[n(4)]
    pub controls: Vec<(ControlKey, u64)>,
    #[n(5)]
    pub time: Millis,
    /// Receipts carried for others, about the logs the caller asked for; the called node's own
    /// follow as an acknowledgment.
    #[n(6)]
    pub receipts: Vec<Receipt>,
    #[n(7)]
    pub product: String,
    /// As in [`Hello`]. `None` where the caller named an agreement: it is not known here, and the
    /// caller's whole vector is awaited.
    #[n(8)]
    pub since: Option<u64>,
    #[n(9)]
    pub parts: Option<u32>,
}

/// Some logs of a vector.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VectorPart {
    /// From 1.
    #[n(0)]
    pub part: u32,
    #[n(1)]
    pub parts: u32,
    /// Of the whole vector; else of a difference.
    #[n(2)]
    pub whole: bool,
    #[n(3)]
    pub logs: Vec<(LogId, LogHead)>,
}

/// Names a batch by its first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Whole {
    #[n(0)]
    pub log: LogId,
    #[n(1)]
    pub first: u64,
}

/// What a node said of itself when it was connected last, by the clock of who heard it. Passed on
/// upwards unsigned: it is shown to people and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Sighting {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub at: Millis,
    /// Its clock minus the clock of who heard it; unknown when it came on a stick.
    #[n(2)]
    pub clock_offset_ms: Option<i64>,
    /// Product version.
    #[n(3)]
    pub product: String,
    #[n(4)]
    pub epoch: u32,
    /// Entries in the logs it writes. What the county holds of them is not behind.
    #[n(5)]
    pub written: u64,
    /// Since when its oldest entry waits for a receipt of the county.
    #[n(6)]
    pub waiting_since: Option<Millis>,
}

/// Digest of one scope: Σ H8(doc, heads) mod 2⁶⁴ over its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ScopeProof {
    #[n(0)]
    pub scope: Scope,
    /// Hash of the scope's part of the vector: a proof is only about equal vectors.
    #[n(1)]
    pub vector: u64,
    #[n(2)]
    pub digest: u64,
    #[n(3)]
    pub documents: u64,
}

/// The plain way of repair. In answer to a sketch: the documents that differ, without their heads.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ScopeHeads {
    #[n(0)]
    pub scope: Scope,
    #[n(1)]
    pub heads: Vec<(DocId, Vec<ChangeHash>)>,
    /// More of the same scope follows.
    #[n(2)]
    pub more: bool,
}

/// One step of a repair. Each side sends one request, empty when it needs nothing, and one word that
/// the other's request was served. Between peers of 1.2 a request may have many parts: one of
/// [`crate::limits::WANT_DOCS_MAX`] documents is followed by another, the last has less.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Want {
    #[n(0)]
    pub scope: Scope,
    #[n(1)]
    pub docs: Vec<DocId>,
    /// False: send me these. True: what you asked for is with you.
    #[n(2)]
    pub served: bool,
}

/// Two different entries at one position of one log, or a log longer than its writer knows.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Fork {
    #[n(0)]
    pub log: LogId,
    /// What the sender holds there.
    #[n(1)]
    pub held: LogHead,
    #[n(2)]
    pub by: NodeId,
    /// The writer's own seal on the other branch: without it only an upstream is believed.
    #[n(3)]
    pub seal: Option<Seal>,
}

/// Hash of a scope's part of a vector, whatever the order of `logs`; empty logs do not count.
pub fn vector_hash(logs: &[(LogId, LogHead)]) -> u64 {
    let mut sorted: Vec<_> = logs.iter().filter(|(_, head)| head.seq > 0).collect();
    sorted.sort_unstable_by_key(|(log, _)| *log);
    let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 scope vector");
    for (log, head) in sorted {
        hasher.update(&[log.scope.kind.code()]);
        hasher.update(&log.scope.site.0.to_be_bytes());
        hasher.update(&log.writer.node.0);
        hasher.update(&log.writer.epoch.to_be_bytes());
        hasher.update(&head.seq.to_be_bytes());
        hasher.update(&head.chain.0);
    }
    first8(&hasher)
}

/// The eight bytes a document adds to its scope's digest; sums wrap.
pub fn digest(doc: DocId, heads: &[ChangeHash]) -> u64 {
    let mut sorted: Vec<_> = heads.to_vec();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 scope digest");
    hasher.update(&doc.0);
    for head in sorted {
        hasher.update(&head.0);
    }
    first8(&hasher)
}

pub(crate) fn first8(hasher: &blake3::Hasher) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(first)
}
