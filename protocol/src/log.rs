//! The log of a (scope, writer): entries at gapless positions, a hash chain over them, seals.

use crate::{
    id::{Chain, ChangeHash, DocId, NodeId, Scope, Writer},
    time::Millis,
};

/// Names one log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct LogId {
    #[n(0)]
    pub scope: Scope,
    #[n(1)]
    pub writer: Writer,
}

/// How far a log is known: position of the last entry (0: none) and the chain there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LogHead {
    #[n(0)]
    pub seq: u64,
    #[n(1)]
    pub chain: Chain,
}

impl LogHead {
    /// The head of a log nothing is known of.
    pub const START: Self = Self {
        seq: 0,
        chain: Chain([0; 32]),
    };

    /// The head after one more entry: `BLAKE3(chain ‖ doc ‖ change hash)`.
    #[must_use]
    pub fn after(&self, doc: DocId, hash: ChangeHash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 log chain");
        hasher.update(&self.chain.0);
        hasher.update(&doc.0);
        hasher.update(&hash.0);
        Self {
            seq: self.seq + 1,
            chain: Chain(*hasher.finalize().as_bytes()),
        }
    }
}

/// One accepted change.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Entry {
    #[n(0)]
    pub doc: DocId,
    #[n(1)]
    pub hash: ChangeHash,
    /// The automerge change chunk, uncompressed. `None`: refused by the sender's gate and
    /// withheld, so that the chain still verifies and nothing behind it waits.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub body: Option<Vec<u8>>,
}

/// A writer's signature over its log up to `head`.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Seal {
    #[n(0)]
    pub head: LogHead,
    #[n(1)]
    pub at: Millis,
    /// Ed25519 over [`Seal::message`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

/// Signature suite of seals, receipts and control documents; 1 is Ed25519 with BLAKE3.
pub const SUITE: u8 = 1;

impl Seal {
    /// The bytes a seal signs: suite, scope, writer, position, chain, time.
    pub fn message(log: &LogId, head: &LogHead, at: Millis) -> Vec<u8> {
        let mut m = b"cuntong seal".to_vec();
        m.push(SUITE);
        m.push(log.scope.kind.code());
        m.extend(log.scope.site.0.to_be_bytes());
        m.extend(log.writer.node.0);
        m.extend(log.writer.epoch.to_be_bytes());
        m.extend(head.seq.to_be_bytes());
        m.extend(head.chain.0);
        m.extend(at.0.to_be_bytes());
        m
    }
}

/// A run of entries of one log that ends at a seal: what is stored, sent and forwarded verbatim.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Batch {
    #[n(0)]
    pub log: LogId,
    /// Position of the first entry.
    #[n(1)]
    pub first: u64,
    #[n(2)]
    pub entries: Vec<Entry>,
    #[n(3)]
    pub seal: Seal,
}

/// 存证回单: a node says, signed, that it holds these logs durably up to these heads.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Receipt {
    #[n(0)]
    pub holder: NodeId,
    #[n(1)]
    pub at: Millis,
    #[n(2)]
    pub held: Vec<(LogId, LogHead)>,
    /// Ed25519 over [`Receipt::message`] by the holder's signing key.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Receipt {
    /// The bytes a receipt signs.
    pub fn message(holder: NodeId, at: Millis, held: &[(LogId, LogHead)]) -> Vec<u8> {
        let mut m = b"cuntong custody receipt".to_vec();
        m.push(SUITE);
        m.extend(holder.0);
        m.extend(at.0.to_be_bytes());
        for (log, head) in held {
            m.extend(Seal::message(log, head, at));
        }
        m
    }
}

/// 退回: an entry (or all of a log from some position) an authority's gate did not admit.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Rejection {
    #[n(0)]
    pub log: LogId,
    #[n(1)]
    pub seq: u64,
    #[n(2)]
    pub doc: DocId,
    #[n(3)]
    pub hash: ChangeHash,
    /// Stable code of the gate's rule: `G…`.
    #[n(4)]
    pub rule: String,
    /// For a person, in Chinese.
    #[n(5)]
    pub reason: String,
    #[n(6)]
    pub by: NodeId,
}
