//! The machine's end: from a ticket to a node.

use minicbor::{Decode, Encode};

use cuntong_protocol::{
    control::{
        NodeStatus,
        signed::{Signed, Trust, TrustError},
    },
    id::{NodeId, SiteId},
    role::Level,
    time::Millis,
};

use super::{Grant, Granted, Request, fingerprint};
use crate::{
    certificate::{self, CertificateError},
    entropy::Entropy,
    keys::{NodeKeys, Seed},
    sealed::SealError,
    ticket::Ticket,
    wire::{self, Unreadable},
};

/// A machine on its way. Stored before its request leaves, and until it is a node: after a power
/// cut at any point it asks again with the same words and gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Joining {
    #[n(0)]
    ticket: Ticket,
    #[n(1)]
    keys: NodeKeys,
    #[cbor(n(2), with = "minicbor::bytes")]
    request: Vec<u8>,
}

/// Why a machine did not become a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("批复来自入网票以外的县")]
    OtherCounty,
    #[error("批复是给另一台机器的")]
    OtherMachine,
    #[error("批复对应的是另一份申请:请用最新的申请")]
    OtherRequest,
    #[error("县的控制文件未通过验证:{0}")]
    Untrusted(#[from] TrustError),
    #[error("不是本县登记员签发的")]
    NotSigned,
    #[error("证书不是给这台机器的密钥的")]
    OtherKey,
    #[error("名册中没有这台机器或这个站点")]
    NotListed,
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("应答的机器不是本县的枢纽:{0}")]
    Impostor(String),
}

/// A node, as the county sees it.
#[derive(Debug, Clone)]
pub struct Joined {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    pub slot: u8,
    /// All documents the node was given, verified.
    pub trust: Trust,
    /// DER, for the node's TLS key.
    pub certificate: Vec<u8>,
    /// The registrar's time when it granted: no right clock says less.
    pub at: Millis,
    /// For the hub only.
    pub renewer: Option<Renewer>,
}

/// What a hub renews listed nodes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewer {
    /// The renewer CA, DER; one of the authority's `transport_ca`.
    pub certificate: Vec<u8>,
    pub key: Seed,
}

/// A machine that works before the county lists it: what it records is accepted once it does.
#[derive(Debug, Clone)]
pub struct Provisional {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    pub trust: Trust,
}

impl Joining {
    /// Begins with a ticket: makes the machine's keys and its request. `now` may be any clock,
    /// right or wrong.
    pub fn begin(
        ticket: Ticket,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Self, CertificateError> {
        let keys = NodeKeys::generate(entropy);
        Self::with_keys(ticket, keys, entropy, now)
    }

    /// Begins with keys the machine already has: a provisional node whose first ticket ran out.
    pub fn with_keys(
        ticket: Ticket,
        keys: NodeKeys,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Self, CertificateError> {
        let request = Request::make(&ticket, &keys, entropy.bytes(), now)?;
        Ok(Self {
            ticket,
            keys,
            request,
        })
    }

    /// As bytes to be kept, with mode 0600: the keys are in them.
    pub fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        zeroize::Zeroizing::new(wire::encode(self))
    }

    /// What [`Joining::to_bytes`] kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        wire::decode(bytes)
    }

    /// The ticket.
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The machine's keys.
    pub const fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    /// The name the node will have.
    pub fn node(&self) -> NodeId {
        self.keys.node()
    }

    /// The request: the bytes of a `.ctreq` file and of the online question.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// What an administrator compares by telephone; the same as [`Request::fingerprint`].
    pub fn fingerprint(&self) -> Result<String, CertificateError> {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 enrolling machine");
        hasher.update(&self.keys.spki()?);
        hasher.update(&self.keys.sign.public());
        hasher.update(self.keys.open.recipient().as_bytes());
        Ok(fingerprint(hasher.finalize().as_bytes()))
    }

    /// What the ticket pins, made from documents that came with it (in any order, superfluous
    /// ones allowed): the county's trust, and proof that a registrar signed the ticket.
    pub fn trust<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Trust, JoinError> {
        let mut sorted = Vec::new();
        for bytes in documents {
            let signed = Signed::open(bytes)?;
            sorted.push((signed.key(), signed.version(), bytes));
        }
        sorted.sort_unstable();
        let mut sorted = sorted.into_iter().map(|(_, _, bytes)| bytes);
        let first = sorted.next().ok_or(JoinError::NotSigned)?;
        let mut trust = Trust::found(first, self.ticket.county()).map_err(|e| {
            if e == TrustError::OtherCounty {
                JoinError::OtherCounty
            } else {
                JoinError::Untrusted(e)
            }
        })?;
        // One by one, so that only today's registrars are believed: a stranger cannot tell the
        // documents of a removed one from forgeries.
        for bytes in sorted {
            trust.take(bytes)?;
        }
        if self
            .ticket
            .claims()
            .signed_by(self.ticket.signature(), trust.authority())
        {
            Ok(trust)
        } else {
            Err(JoinError::NotSigned)
        }
    }

    /// Starts work before the county knows of the machine, with the documents on the stick.
    pub fn provisional<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Provisional, JoinError> {
        let trust = self.trust(documents)?;
        let claims = self.ticket.claims();
        let known = trust
            .places()
            .site(claims.site)
            .is_some_and(|place| place.level == claims.level);
        if !known {
            return Err(JoinError::NotListed);
        }
        Ok(Provisional {
            node: self.node(),
            site: claims.site,
            level: claims.level,
            trust,
        })
    }

    /// Takes a grant. No clock is asked: the request's nonce says that it is the answer to this
    /// request, and the ticket's fingerprint which county must have signed it.
    pub fn finish(&self, grant: &[u8]) -> Result<Joined, JoinError> {
        let grant = Grant::read(grant)?;
        if grant.county() != self.ticket.county() {
            return Err(JoinError::OtherCounty);
        }
        if grant.node() != self.node() {
            return Err(JoinError::OtherMachine);
        }
        if !grant.answers(&self.request) {
            return Err(JoinError::OtherRequest);
        }
        let mut trust = self.trust(grant.controls())?;
        if !grant.signed_by(trust.authority()) {
            return Err(JoinError::NotSigned);
        }
        let plain = self.keys.open.open(&grant.answer.sealed)?;
        let granted: Granted = wire::decode(&plain)?;
        for document in &granted.private {
            trust.take(&document.0)?;
        }
        self.joined(granted, grant.answer.at, trust)
    }

    fn joined(&self, granted: Granted, at: Millis, trust: Trust) -> Result<Joined, JoinError> {
        let spki = self.keys.spki()?;
        let identity = certificate::identity_of(&granted.certificate)?;
        if identity.spki != spki || identity.node != self.node() {
            return Err(JoinError::OtherKey);
        }
        let entry = trust
            .node(self.node())
            .filter(|n| n.status == NodeStatus::Active && n.spki == spki)
            .ok_or(JoinError::NotListed)?;
        let level = trust
            .places()
            .site(entry.site)
            .map(|place| place.level)
            .ok_or(JoinError::NotListed)?;
        Ok(Joined {
            node: entry.node,
            site: entry.site,
            level,
            slot: entry.slot,
            certificate: granted.certificate,
            at,
            renewer: granted.renewer.map(|parts| Renewer {
                certificate: parts.certificate,
                key: parts.key,
            }),
            trust,
        })
    }
}
