//! 入网: how a machine with a ticket becomes a node, the same online and by USB.
//!
//! A [`Request`] says which keys the machine made, proved three ways: by the ticket's key (it
//! holds the ticket), by the signing key and by the TLS key (they are its own). A [`Grant`] is the
//! registrar's answer, sealed to the machine. The hub between them only keeps and hands on: it
//! has no key that could list a node (`docs/decisions/0002-enrolment.md`).

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use minicbor::{Decode, Encode};

use cuntong_protocol::{
    control::signed::{Authority, County as CountyId},
    id::NodeId,
    time::Millis,
};

use crate::{
    certificate,
    keys::{NodeKeys, Seed},
    ticket::{Claims, Ticket, TicketId},
    wire::{self, Blob, Unreadable},
};

pub mod desk;
pub mod joining;
pub mod talk;

pub use desk::{Binding, BookError, Delivered, Outcome, Refusal, TicketBook};
pub use joining::{JoinError, Joined, Joining, Provisional, Renewer};

/// File name endings of what travels by stick and through an inbox.
pub const TICKET_FILE: &str = "ctticket";
pub const REQUEST_FILE: &str = "ctreq";
pub const GRANT_FILE: &str = "ctgrant";
pub const CONTROL_FILE: &str = "ctdoc";

/// A request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// A grant, in bytes: all control documents a node begins with.
pub const GRANT_BYTES_MAX: usize = 4 * 1024 * 1024;

const REQUEST_MAGIC: [u8; 4] = *b"CTRQ";
const GRANT_MAGIC: [u8; 4] = *b"CTGR";
const VERSION: u8 = 1;

/// What a machine asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Asked {
    #[n(0)]
    version: u8,
    #[n(1)]
    claims: Claims,
    /// The registrar's signature over the claims.
    #[cbor(n(2), with = "minicbor::bytes")]
    ticket_signature: [u8; 64],
    /// PKCS#10 for the TLS key; only the key in it is read.
    #[cbor(n(3), with = "minicbor::bytes")]
    csr: Vec<u8>,
    #[cbor(n(4), with = "minicbor::bytes")]
    sign_key: [u8; 32],
    /// Where to seal the answer: `age1…`.
    #[n(5)]
    recipient: String,
    /// Makes each request one of its kind: a grant names the request it answers, by hash, so that
    /// it cannot be an older one's, whatever the clocks say.
    #[cbor(n(6), with = "minicbor::bytes")]
    nonce: [u8; 16],
    /// What the machine believes the time to be; shown to the registrar, decides nothing.
    #[n(7)]
    at: Millis,
}

/// How a request travels.
#[derive(Encode, Decode)]
struct RequestFile {
    #[cbor(n(0), with = "minicbor::bytes")]
    asked: Vec<u8>,
    /// By the ticket's proof key.
    #[cbor(n(1), with = "minicbor::bytes")]
    by_ticket: [u8; 64],
    /// By the node's signing key.
    #[cbor(n(2), with = "minicbor::bytes")]
    by_node: [u8; 64],
}

/// A request whose three proofs hold. That a registrar signed its ticket is asked separately,
/// because that needs the county's authority: [`Request::read`] does both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    asked: Asked,
    bytes: Vec<u8>,
    spki_der: Vec<u8>,
}

/// Why a request is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("由更新版本的软件制作")]
    Newer,
    #[error("入网票属于其他县")]
    OtherCounty,
    #[error("入网票不是本县签发的,或被改动过")]
    NotSigned,
    #[error("没有证明持有入网票")]
    NoTicket,
    #[error("没有证明密钥是自己的")]
    NotItsKeys,
}

impl Request {
    /// The request of a machine: deterministic, so that asking again is the same request.
    fn make(
        ticket: &Ticket,
        keys: &NodeKeys,
        nonce: [u8; 16],
        at: Millis,
    ) -> Result<Vec<u8>, certificate::CertificateError> {
        let asked = wire::encode(&Asked {
            version: VERSION,
            claims: ticket.claims().clone(),
            ticket_signature: *ticket.signature(),
            csr: certificate::request(&keys.tls)?,
            sign_key: keys.sign.public(),
            recipient: keys.open.recipient(),
            nonce,
            at,
        });
        let message = request_message(&asked);
        Ok(wire::to_file(
            REQUEST_MAGIC,
            &RequestFile {
                by_ticket: ticket.proof().sign(&message).to_bytes(),
                by_node: keys.sign.signing().sign(&message).to_bytes(),
                asked,
            },
        ))
    }

    /// Reads a request and checks everything that can be known without a clock or a book.
    pub fn read(
        bytes: &[u8],
        county: CountyId,
        authority: &Authority,
    ) -> Result<Self, RequestError> {
        let file: RequestFile = wire::from_file(REQUEST_MAGIC, bytes, REQUEST_BYTES_MAX)?;
        let asked: Asked = wire::decode(&file.asked)?;
        if asked.version != VERSION || asked.claims.version != VERSION {
            return Err(RequestError::Newer);
        }
        if asked.claims.county != county.0 {
            return Err(RequestError::OtherCounty);
        }
        if !asked.claims.signed_by(&asked.ticket_signature, authority) {
            return Err(RequestError::NotSigned);
        }
        let message = request_message(&file.asked);
        if !asked.claims.proves(&message, &file.by_ticket) {
            return Err(RequestError::NoTicket);
        }
        let proved = VerifyingKey::from_bytes(&asked.sign_key).is_ok_and(|key| {
            key.verify_strict(&message, &Signature::from_bytes(&file.by_node))
                .is_ok()
        });
        if !proved {
            return Err(RequestError::NotItsKeys);
        }
        let spki_der =
            certificate::requested_key(&asked.csr).map_err(|_any| RequestError::NotItsKeys)?;
        Ok(Self {
            asked,
            bytes: bytes.to_vec(),
            spki_der,
        })
    }

    /// What the ticket allows.
    pub const fn claims(&self) -> &Claims {
        &self.asked.claims
    }

    /// The ticket it was made with.
    pub fn ticket(&self) -> TicketId {
        self.asked.claims.id()
    }

    /// The node that asks.
    pub fn node(&self) -> NodeId {
        NodeId::of_key(&self.asked.sign_key)
    }

    /// The key its seals will verify under.
    pub const fn sign_key(&self) -> &[u8; 32] {
        &self.asked.sign_key
    }

    /// BLAKE3 of the TLS key it will present.
    pub fn spki(&self) -> [u8; 32] {
        *blake3::hash(&self.spki_der).as_bytes()
    }

    /// What the machine believed the time to be.
    pub const fn at(&self) -> Millis {
        self.asked.at
    }

    /// The request as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One value for all the machine's keys: what a ticket is bound to.
    pub fn machine(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 enrolling machine");
        hasher.update(&self.spki());
        hasher.update(&self.asked.sign_key);
        hasher.update(self.asked.recipient.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Four groups of four digits that a person can compare by telephone.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.machine())
    }

    pub(crate) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    pub(crate) fn recipient(&self) -> &str {
        &self.asked.recipient
    }
}

fn fingerprint(machine: &[u8; 32]) -> String {
    let groups: Vec<String> = machine
        .chunks(2)
        .take(4)
        .map(|pair| format!("{:04}", u16::from_be_bytes([pair[0], pair[1]]) % 10_000))
        .collect();
    groups.join(" ")
}

fn request_message(asked: &[u8]) -> Vec<u8> {
    let mut message = b"cuntong enrolment request".to_vec();
    message.extend(asked);
    message
}

/// What the registrar says to one machine alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Granted {
    #[cbor(n(0), with = "minicbor::bytes")]
    certificate: Vec<u8>,
    /// Documents with people in them: directory, credentials.
    #[n(1)]
    private: Vec<Blob>,
    /// For the hub only: what it renews listed nodes with.
    #[n(2)]
    renewer: Option<RenewerParts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct RenewerParts {
    #[cbor(n(0), with = "minicbor::bytes")]
    certificate: Vec<u8>,
    #[n(1)]
    key: Seed,
}

/// The registrar's answer, as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    answer: Answered,
    /// By a registrar, over the answer.
    signature: [u8; 64],
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Answered {
    #[n(0)]
    version: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    county: [u8; 16],
    #[n(2)]
    ticket: TicketId,
    #[n(3)]
    node: NodeId,
    /// Hash of the request it answers, nonce and all.
    #[cbor(n(4), with = "minicbor::bytes")]
    request: [u8; 32],
    /// The registrar's time: a floor for the machine's clock.
    #[n(5)]
    at: Millis,
    /// Documents without people, each signed for itself: whoever carries the grant may take them.
    #[n(6)]
    public: Vec<Blob>,
    /// A [`Granted`], sealed to the machine.
    #[cbor(n(7), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

#[derive(Encode, Decode)]
struct GrantFile {
    #[cbor(n(0), with = "minicbor::bytes")]
    answer: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: [u8; 64],
}

impl Grant {
    /// Reads a grant. Who signed it is asked with [`Grant::signed_by`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let file: GrantFile = wire::from_file(GRANT_MAGIC, bytes, GRANT_BYTES_MAX)?;
        let answer: Answered = wire::decode(&file.answer)?;
        // One value, one form: what is verified below is exactly what was read.
        if answer.version != VERSION || wire::encode(&answer) != file.answer {
            return Err(Unreadable("由另一版本的软件制作"));
        }
        Ok(Self {
            answer,
            signature: file.signature,
        })
    }

    /// Whether one of the authority's registrars signed it.
    pub fn signed_by(&self, authority: &Authority) -> bool {
        let message = grant_message(&wire::encode(&self.answer));
        wire::signed_by_any(&authority.registrars, &message, &self.signature)
    }

    /// The county that grants.
    pub const fn county(&self) -> CountyId {
        CountyId(self.answer.county)
    }

    /// The ticket it answers.
    pub const fn ticket(&self) -> TicketId {
        self.answer.ticket
    }

    /// The node it is for.
    pub const fn node(&self) -> NodeId {
        self.answer.node
    }

    /// Whether it answers that request.
    pub fn answers(&self, request: &[u8]) -> bool {
        self.answer.request == request_hash(request)
    }

    /// Control documents that any node may take in: the roster with the new node, above all.
    pub fn controls(&self) -> impl Iterator<Item = &[u8]> {
        self.answer.public.iter().map(|doc| doc.0.as_slice())
    }
}

fn request_hash(request: &[u8]) -> [u8; 32] {
    blake3::derive_key("cuntong 2026 enrolment request", request)
}

fn grant_message(answer: &[u8]) -> Vec<u8> {
    let mut message = b"cuntong enrolment grant".to_vec();
    message.extend(answer);
    message
}

/// What a registrar puts into a grant.
pub(crate) struct Answer<'a> {
    pub(crate) county: CountyId,
    pub(crate) request: &'a Request,
    pub(crate) certificate: Vec<u8>,
    pub(crate) at: Millis,
    pub(crate) public: Vec<Vec<u8>>,
    pub(crate) private: Vec<Vec<u8>>,
    pub(crate) renewer: Option<(Vec<u8>, Seed)>,
}

impl Answer<'_> {
    /// Seals the answer to the machine that asked, and signs it.
    pub(crate) fn seal(
        self,
        registrar: &ed25519_dalek::SigningKey,
    ) -> Result<Vec<u8>, crate::sealed::SealError> {
        let granted = zeroize::Zeroizing::new(wire::encode(&Granted {
            certificate: self.certificate,
            private: self.private.into_iter().map(Blob).collect(),
            renewer: self
                .renewer
                .map(|(certificate, key)| RenewerParts { certificate, key }),
        }));
        let answer = wire::encode(&Answered {
            version: VERSION,
            county: self.county.0,
            ticket: self.request.ticket(),
            node: self.request.node(),
            request: request_hash(self.request.bytes()),
            at: self.at,
            public: self.public.into_iter().map(Blob).collect(),
            sealed: crate::sealed::to_recipient(&granted, self.request.recipient())?,
        });
        let signature = registrar.sign(&grant_message(&answer)).to_bytes();
        Ok(wire::to_file(GRANT_MAGIC, &GrantFile { answer, signature }))
    }
}
