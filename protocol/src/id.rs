//! Names of things: fixed bytes, one text form each.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

/// Why a text is not the name it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct IdError(pub String, pub &'static str);

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The name as `
            #[doc = $prefix]
            /// ` followed by lower-case hexadecimal.
            pub fn text(&self) -> String {
                format!("{}{}", $prefix, HEXLOWER.encode(&self.0))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let bad = || IdError(s.chars().take(64).collect(), $what);
                let hex = s.strip_prefix($prefix).ok_or_else(bad)?;
                let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_not_hex| bad())?;
                bytes.try_into().map(Self).map_err(|_wrong_length| bad())
            }
        }
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }
        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                d.bytes()?
                    .try_into()
                    .map(Self)
                    .map_err(|_wrong_length| minicbor::decode::Error::message($what))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.text())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = String::deserialize(d)?;
                s.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_id!(
    /// A machine with a key (节点): the first 8 bytes of a hash of its signing key, so that a
    /// node can name itself before any county has heard of it.
    NodeId, 8, "n-", "a node id"
);
bytes_id!(
    /// What automerge calls an actor: one writer, the same 8 bytes in every document.
    ActorId, 8, "a-", "an actor id"
);
bytes_id!(
    /// A document: kind, site and 11 bytes of its own. Its scope can be read off it and so
    /// never changes; see [`DocId::scope`].
    DocId, 16, "d-", "a document id"
);
bytes_id!(
    /// A case (代办件): the tail its application and handling documents share.
    CaseId, 15, "c-", "a case id"
);
bytes_id!(
    /// A person who signs in at a node; given by the registrar, never reused.
    PersonId, 8, "p-", "a person id"
);
bytes_id!(
    /// One act: 6 bytes of milliseconds, 2 of counter (hybrid clock), 8 of writer.
    /// Byte order is the order of the hybrid clock.
    ActId, 16, "t-", "an act id"
);
bytes_id!(
    /// SHA-256 of an automerge change.
    ChangeHash, 32, "h-", "a change hash"
);
bytes_id!(
    /// BLAKE3 chain value of a log at one position.
    Chain, 32, "l-", "a chain value"
);

bytes_id!(
    /// A file (附件): BLAKE3 of its bytes.
    BlobHash, 32, "b-", "a file's hash"
);

bytes_id!(
    /// A county: a hash of the first version of its authority. Pinned in every ticket, named in
    /// every control document.
    County, 16, "x-", "a county"
);

impl NodeId {
    /// The id of the node that signs with this Ed25519 public key.
    pub fn of_key(sign_key: &[u8; 32]) -> Self {
        let hash = blake3::derive_key("cuntong 2026 node id", sign_key);
        Self(first(&hash))
    }
}

/// A node in one epoch (写者): the unit that never forks. Log keys, actors and act ids name it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct Writer {
    #[n(0)]
    pub node: NodeId,
    /// Starts at 1; a new one begins at first boot and whenever the past may have been lost.
    #[n(1)]
    pub epoch: u32,
}

impl Writer {
    /// The automerge actor of this writer.
    pub fn actor(&self) -> ActorId {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 actor id");
        hasher.update(&self.node.0);
        hasher.update(&self.epoch.to_be_bytes());
        ActorId(first(hasher.finalize().as_bytes()))
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.epoch)
    }
}

/// A place that takes part (站点): a village point, a township centre or the county hub.
/// Given once by the registrar; the 12-digit division code is looked up, never used as a name,
/// because codes change when villages merge.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct SiteId(#[n(0)] pub u32);

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl FromStr for SiteId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        s.strip_prefix('s')
            .and_then(|n| n.parse().ok())
            .map(Self)
            .ok_or_else(|| IdError(s.chars().take(64).collect(), "a site id"))
    }
}

/// The kinds of automerge document. Rights are per kind and site, never per field.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum Kind {
    /// What the resident asks, written at the receiving site (申请).
    #[n(1)]
    Application,
    /// What the authority does with it, written by township and county (办理).
    #[n(2)]
    Handling,
    /// A public notice, written at the publishing site (公示、公开).
    #[n(3)]
    Notice,
}

impl Kind {
    /// Every kind, in code order.
    pub const ALL: [Self; 3] = [Self::Application, Self::Handling, Self::Notice];

    /// The byte that starts a document id of this kind.
    pub const fn code(self) -> u8 {
        match self {
            Self::Application => 1,
            Self::Handling => 2,
            Self::Notice => 3,
        }
    }

    /// Place in the order of sending: results before new cases, these before notices.
    pub const fn turn(self) -> u8 {
        match self {
            Self::Handling => 0,
            Self::Application => 1,
            Self::Notice => 2,
        }
    }

    /// The kind of that code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Application),
            2 => Some(Self::Handling),
            3 => Some(Self::Notice),
            _ => None,
        }
    }

    /// The word used in text forms, logs and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Handling => "handling",
            Self::Notice => "notice",
        }
    }
}

/// Document kind × site (范围): the unit of rights, logs and proofs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct Scope {
    #[n(0)]
    pub kind: Kind,
    #[n(1)]
    pub site: SiteId,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.site)
    }
}

impl FromStr for Scope {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError(s.chars().take(64).collect(), "a scope");
        let (word, site) = s.split_once('/').ok_or_else(bad)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|k| k.word() == word)
            .ok_or_else(bad)?;
        Ok(Self {
            kind,
            site: site.parse().map_err(|_not_site| bad())?,
        })
    }
}

impl CaseId {
    /// A case of that site; `unique` is eleven bytes that no other case of the site has
    /// (milliseconds and chance, from the caller).
    pub fn new(site: SiteId, unique: [u8; 11]) -> Self {
        let mut id = [0; 15];
        id[..4].copy_from_slice(&site.0.to_be_bytes());
        id[4..].copy_from_slice(&unique);
        Self(id)
    }

    /// Where the papers were received.
    pub fn site(&self) -> SiteId {
        SiteId(u32::from_be_bytes(first(&self.0)))
    }

    /// Its document of that kind.
    pub fn doc(&self, kind: Kind) -> DocId {
        let mut id = [kind.code(); 16];
        id[1..].copy_from_slice(&self.0);
        DocId(id)
    }
}

impl DocId {
    /// A document of that scope; `unique` as for [`CaseId::new`].
    pub fn new(scope: Scope, unique: [u8; 11]) -> Self {
        CaseId::new(scope.site, unique).doc(scope.kind)
    }

    /// The scope this document belongs to for ever; `None` when the first byte names no kind.
    pub fn scope(&self) -> Option<Scope> {
        Some(Scope {
            kind: Kind::from_code(self.0[0])?,
            site: self.tail().site(),
        })
    }

    /// The case this document is a side of; `None` for other kinds.
    pub fn case(&self) -> Option<CaseId> {
        match Kind::from_code(self.0[0])? {
            Kind::Application | Kind::Handling => Some(self.tail()),
            Kind::Notice => None,
        }
    }

    fn tail(&self) -> CaseId {
        let mut tail = [0; 15];
        tail.copy_from_slice(&self.0[1..]);
        CaseId(tail)
    }
}

/// The first `N` bytes of something longer.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_knows_its_scope_and_its_case() {
        let case = CaseId::new(SiteId(12), [7; 11]);
        let doc = case.doc(Kind::Handling);
        assert_eq!(
            doc.scope(),
            Some(Scope {
                kind: Kind::Handling,
                site: SiteId(12)
            })
        );
        assert_eq!(doc.case(), Some(case));
        assert_eq!(DocId([9; 16]).scope(), None);
    }

    #[test]
    fn every_id_reads_back_from_its_text() {
        let case = CaseId::new(SiteId(12), [7; 11]);
        assert_eq!(case.text().parse(), Ok(case));
        assert_eq!("s12".parse(), Ok(SiteId(12)));
        let scope = Scope {
            kind: Kind::Notice,
            site: SiteId(3),
        };
        assert_eq!(scope.to_string().parse(), Ok(scope));
        assert!("c-zz".parse::<CaseId>().is_err());
    }

    #[test]
    fn another_epoch_is_another_actor() {
        let node = NodeId::of_key(&[1; 32]);
        assert_ne!(
            Writer { node, epoch: 1 }.actor(),
            Writer { node, epoch: 2 }.actor()
        );
    }
}
