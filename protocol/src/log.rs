//! The log of a (scope, writer): entries at gapless positions, a hash chain over them, seals.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::{
    id::{Chain, ChangeHash, DocId, NodeId, Scope, Writer},
    text::shows,
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
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
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

shows! { Entry { doc, hash } }

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
    /// Seals a log up to `head`; `key` is the writer's signing key.
    pub fn sign(log: &LogId, head: LogHead, at: Millis, key: &SigningKey) -> Self {
        Self {
            head,
            at,
            signature: key.sign(&Self::message(log, &head, at)).to_bytes(),
        }
    }

    /// Whether the writer with this Ed25519 public key made this seal for this log. Strict: keys
    /// of small order and non-canonical signatures do not pass.
    pub fn verify(&self, log: &LogId, sign_key: &[u8; 32]) -> bool {
        verify(
            sign_key,
            &Self::message(log, &self.head, self.at),
            &self.signature,
        )
    }

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

impl Batch {
    /// Position of the last entry, where the seal stands.
    pub fn last(&self) -> u64 {
        self.seal.head.seq
    }
}

impl Receipt {
    /// A receipt of the node that signs with `key`.
    pub fn sign(holder: NodeId, at: Millis, held: Vec<(LogId, LogHead)>, key: &SigningKey) -> Self {
        let signature = key.sign(&Self::message(holder, at, &held)).to_bytes();
        Self {
            holder,
            at,
            held,
            signature,
        }
    }

    /// Whether the holder, whose Ed25519 public key this is, made this receipt.
    pub fn verify(&self, sign_key: &[u8; 32]) -> bool {
        verify(
            sign_key,
            &Self::message(self.holder, self.at, &self.held),
            &self.signature,
        )
    }

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

impl Rejection {
    /// The refusal of everything a log holds from `seq` on: seal, chain, writer or scope were
    /// wrong, so that no single entry can be named.
    pub fn whole(log: LogId, seq: u64, rule: &str, reason: &str, by: NodeId) -> Self {
        Self {
            log,
            seq,
            doc: DocId([0; 16]),
            hash: ChangeHash([0; 32]),
            rule: rule.to_owned(),
            reason: reason.to_owned(),
            by,
        }
    }

    /// Whether this refuses the log from `seq` on, and not one entry.
    pub fn is_whole(&self) -> bool {
        self.doc == DocId([0; 16])
    }
}

fn verify(sign_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(sign_key).is_ok_and(|key| {
        key.verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Kind, SiteId};

    fn log() -> LogId {
        LogId {
            scope: Scope {
                kind: Kind::Application,
                site: SiteId(3),
            },
            writer: Writer {
                node: NodeId([1; 8]),
                epoch: 1,
            },
        }
    }

    #[test]
    fn a_seal_is_good_for_its_log_its_head_and_its_key_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let head = LogHead::START.after(DocId([1; 16]), ChangeHash([2; 32]));
        let seal = Seal::sign(&log(), head, Millis(5), &key);
        assert!(seal.verify(&log(), &public));
        let mut other = log();
        other.writer.epoch = 2;
        assert!(!seal.verify(&other, &public));
        let mut later = seal.clone();
        later.at = Millis(6);
        assert!(!later.verify(&log(), &public));
        assert!(!seal.verify(&log(), &[0; 32]));
    }

    #[test]
    fn a_receipt_covers_exactly_the_heads_it_names() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let mut receipt = Receipt::sign(
            NodeId([1; 8]),
            Millis(5),
            vec![(log(), LogHead::START)],
            &key,
        );
        assert!(receipt.verify(&public));
        receipt.held.push((log(), LogHead::START));
        assert!(!receipt.verify(&public));
    }
}
