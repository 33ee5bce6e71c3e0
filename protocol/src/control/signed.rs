//! The envelope of control documents: who says it, for which county, in which version.
//!
//! A document is `[content, signatures]` in canonical CBOR (`docs/formats/wire.md`). What is
//! signed is the content; its hash names the version, so that two copies with different sets of
//! good signatures are the same document.

use std::collections::BTreeSet;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

pub use super::trust::{Taken, Trust};
use super::{
    CalendarDoc, Catalogue, ControlKey, ControlKind, Credentials, Directory, Places, Roster,
    canonical::is_canonical,
};
pub use crate::id::County;
use crate::{
    id::SiteId,
    limits::{CONTROL_BYTES_MAX, CONTROL_SIGNATURES_MAX},
    time::Millis,
};

/// Ed25519 and BLAKE3. Another suite is another number.
pub const SUITE: u8 = 1;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Content {
    /// Always [`SUITE`].
    #[n(0)]
    pub suite: u8,
    #[n(1)]
    pub kind: ControlKind,
    /// The site of a per-site kind; `SiteId(0)` for the others.
    #[n(2)]
    pub site: SiteId,
    /// [`Content::UNNAMED`] in the first authority, whose hash becomes the name.
    #[n(3)]
    pub county: County,
    /// Starts at 1.
    #[n(4)]
    pub version: u64,
    /// [`Signed::hash`] of the version before; zeros in version 1.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub prev: [u8; 32],
    #[n(6)]
    pub issued_at: Millis,
    /// Canonical CBOR of the body of that kind; see [`Body::encode`].
    #[cbor(n(7), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

impl Content {
    /// The county of a first authority: it has no name yet.
    pub const UNNAMED: County = County([0; 16]);

    /// The first authority of a new county.
    pub fn founding(authority: &Authority, issued_at: Millis) -> Self {
        Self {
            suite: SUITE,
            kind: ControlKind::Authority,
            site: SiteId(0),
            county: Self::UNNAMED,
            version: 1,
            prev: [0; 32],
            issued_at,
            body: encode(authority),
        }
    }

    /// Names this document.
    pub fn key(&self) -> ControlKey {
        ControlKey {
            kind: self.kind,
            site: self.site,
        }
    }

    /// The bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        let mut message = b"cuntong control document".to_vec();
        message.extend(encode(self));
        message
    }

    /// The hash of the signed bytes.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("cuntong 2026 control document", &self.message())
    }

    /// The county that this first authority founds.
    pub fn founds(&self) -> County {
        let mut name = [0; 16];
        name.copy_from_slice(&self.hash()[..16]);
        County(name)
    }
}

/// One signature and the key it verifies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Signature {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

/// A control document as it travels. Holding one says nothing about trust: only
/// [`Trust::take`] does.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Signed {
    #[n(0)]
    pub content: Content,
    /// Ascending by key, each key once.
    #[n(1)]
    pub signatures: Vec<Signature>,
}

impl Signed {
    /// Reads an envelope: bounded, canonical only, of a known suite. Signatures are not checked.
    ///
    /// # Errors
    /// [`TrustError::TooLarge`], [`TrustError::Malformed`], [`TrustError::NotCanonical`],
    /// [`TrustError::Suite`].
    pub fn open(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > CONTROL_BYTES_MAX {
            return Err(TrustError::TooLarge(bytes.len()));
        }
        if !is_canonical(bytes) {
            return Err(TrustError::NotCanonical);
        }
        let signed: Self =
            minicbor::decode(bytes).map_err(|why| TrustError::Malformed(why.to_string()))?;
        if signed.content.suite != SUITE {
            return Err(TrustError::Suite(signed.content.suite));
        }
        let ascending = signed.signatures.is_sorted_by(|a, b| a.key < b.key);
        if !ascending || signed.to_bytes() != bytes || !is_canonical(&signed.content.body) {
            return Err(TrustError::NotCanonical);
        }
        if signed.signatures.len() > CONTROL_SIGNATURES_MAX {
            return Err(TrustError::TooLarge(bytes.len()));
        }
        if signed.content.version == 0 || signed.content.issued_at < Millis(0) {
            return Err(TrustError::Malformed(
                "version or time below its first".into(),
            ));
        }
        Ok(signed)
    }

    /// The bytes of a document signed by all of `keys`. Keys that sit on different sticks sign
    /// one after another with [`Signed::add`].
    pub fn sign(content: Content, keys: &[&SigningKey]) -> Vec<u8> {
        let mut signed = Self {
            content,
            signatures: Vec::new(),
        };
        for key in keys {
            signed.add(key);
        }
        signed.to_bytes()
    }

    /// Adds one signature, replacing an earlier one of the same key.
    pub fn add(&mut self, key: &SigningKey) {
        let signature = Signature {
            key: key.verifying_key().to_bytes(),
            signature: key.sign(&self.content.message()).to_bytes(),
        };
        self.signatures.retain(|s| s.key != signature.key);
        let at = self.signatures.partition_point(|s| s.key < signature.key);
        self.signatures.insert(at, signature);
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Names this document.
    pub fn key(&self) -> ControlKey {
        self.content.key()
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.content.version
    }

    /// The hash of what is signed: what the next version names as `prev`.
    pub fn hash(&self) -> [u8; 32] {
        self.content.hash()
    }

    /// The keys that signed, when each is among `allowed` and each signature is good.
    pub(crate) fn signers(
        &self,
        allowed: &BTreeSet<[u8; 32]>,
    ) -> Result<BTreeSet<[u8; 32]>, TrustError> {
        if self.signatures.iter().any(|s| !allowed.contains(&s.key)) {
            return Err(TrustError::UnknownSigner);
        }
        let message = self.content.message();
        for s in &self.signatures {
            VerifyingKey::from_bytes(&s.key)
                .and_then(|key| {
                    key.verify_strict(
                        &message,
                        &ed25519_dalek::Signature::from_bytes(&s.signature),
                    )
                })
                .map_err(|_no_detail_to_tell| TrustError::BadSignature)?;
        }
        Ok(self.signatures.iter().map(|s| s.key).collect())
    }

    /// The body, decoded by its kind and checked for sense.
    ///
    /// # Errors
    /// [`TrustError::Body`].
    pub fn body(&self) -> Result<Body, TrustError> {
        let body = match self.content.kind {
            ControlKind::Authority => Body::Authority(self.decode()?),
            ControlKind::Roster => Body::Roster(self.decode()?),
            ControlKind::Places => Body::Places(self.decode()?),
            ControlKind::Directory => Body::Directory(self.decode()?),
            ControlKind::Credentials => Body::Credentials(self.decode()?),
            ControlKind::Catalogue => Body::Catalogue(self.decode()?),
            ControlKind::Calendar => Body::Calendar(self.decode()?),
        };
        body.check()?;
        Ok(body)
    }

    fn decode<'b, T: minicbor::Decode<'b, ()>>(&'b self) -> Result<T, TrustError> {
        minicbor::decode(&self.content.body).map_err(|why| TrustError::Body {
            kind: self.content.kind,
            why: why.to_string(),
        })
    }
}

/// 授权: who may speak for the county. Signed by the roots only.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Authority {
    /// Ed25519 keys in the county's safe.
    #[cbor(n(0), with = "byte_strings")]
    pub roots: Vec<[u8; 32]>,
    /// How many roots must sign; more than half of them.
    #[n(1)]
    pub threshold: u8,
    /// Ed25519 keys that sign every other control document.
    #[cbor(n(2), with = "byte_strings")]
    pub registrars: Vec<[u8; 32]>,
    /// DER certificates that node certificates chain to.
    #[cbor(n(3), with = "byte_strings")]
    pub transport_ca: Vec<Vec<u8>>,
}

/// The body of a control document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Authority(Authority),
    Roster(Roster),
    Places(Places),
    Directory(Directory),
    Credentials(Credentials),
    Catalogue(Catalogue),
    Calendar(CalendarDoc),
}

impl Body {
    /// Its kind.
    pub const fn kind(&self) -> ControlKind {
        match self {
            Self::Authority(_) => ControlKind::Authority,
            Self::Roster(_) => ControlKind::Roster,
            Self::Places(_) => ControlKind::Places,
            Self::Directory(_) => ControlKind::Directory,
            Self::Credentials(_) => ControlKind::Credentials,
            Self::Catalogue(_) => ControlKind::Catalogue,
            Self::Calendar(_) => ControlKind::Calendar,
        }
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Authority(body) => encode(body),
            Self::Roster(body) => encode(body),
            Self::Places(body) => encode(body),
            Self::Directory(body) => encode(body),
            Self::Credentials(body) => encode(body),
            Self::Catalogue(body) => encode(body),
            Self::Calendar(body) => encode(body),
        }
    }
}

/// Why a control document is not taken; the one held stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    #[error("控制文件太大：{0} 字节")]
    TooLarge(usize),
    #[error("不是控制文件：{0}")]
    Malformed(String),
    #[error("控制文件的编码不是唯一规范形式")]
    NotCanonical,
    #[error("控制文件使用了本版软件不认识的算法套件 {0}")]
    Suite(u8),
    #[error("控制文件属于另一个县")]
    OtherCounty,
    #[error("控制文件比现有的旧：现有第 {held} 版，来的是第 {got} 版")]
    Older { held: u64, got: u64 },
    #[error("第 {version} 版与本机所持的不是同一份，或不是接着它的下一版")]
    Forked { version: u64 },
    #[error("授权文件缺中间版本：现有第 {held} 版，来的是第 {got} 版")]
    Gap { held: u64, got: u64 },
    #[error("版本号跳得离谱：现有第 {held} 版，来的是第 {got} 版")]
    Jump { held: u64, got: u64 },
    #[error("签名的密钥没有得到授权")]
    UnknownSigner,
    #[error("签名不对")]
    BadSignature,
    #[error("签名不够：需要 {need} 个，只有 {have} 个")]
    Threshold { have: usize, need: usize },
    #[error("控制文件内容有误（{}）：{why}", .kind.word())]
    Body { kind: ControlKind, why: String },
}

impl TrustError {
    /// A stable word for logs and JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::Malformed(_) => "malformed",
            Self::NotCanonical => "not_canonical",
            Self::Suite(_) => "suite",
            Self::OtherCounty => "other_county",
            Self::Older { .. } => "older",
            Self::Forked { .. } => "forked",
            Self::Gap { .. } => "gap",
            Self::Jump { .. } => "jump",
            Self::UnknownSigner => "unknown_signer",
            Self::BadSignature => "bad_signature",
            Self::Threshold { .. } => "threshold",
            Self::Body { .. } => "body",
        }
    }
}

/// CBOR of a value of ours.
fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory does not fail")
}

/// A list of byte strings.
mod byte_strings {
    use minicbor::{
        Decoder, Encoder,
        decode::Error,
        encode::{Error as EncodeError, Write},
    };

    pub(super) fn encode<C, T: AsRef<[u8]>, W: Write>(
        list: &[T],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(list.len() as u64)?;
        for bytes in list {
            e.bytes(bytes.as_ref())?;
        }
        Ok(())
    }

    pub(super) fn decode<'b, C, T: TryFrom<&'b [u8]>>(
        d: &mut Decoder<'b>,
        _: &mut C,
    ) -> Result<Vec<T>, Error> {
        let len = d
            .array()?
            .ok_or_else(|| Error::message("an array of known length"))?;
        let mut list = Vec::new();
        for _element in 0..len {
            let bytes = d.bytes()?;
            list.push(T::try_from(bytes).map_err(|_wrong_length| Error::message("wrong length"))?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixture::{FOUNDED, authority, county, key};

    fn founding() -> Signed {
        let content = Content::founding(&authority(), FOUNDED);
        Signed::open(&Signed::sign(content, &[&key(1), &key(2)])).unwrap()
    }

    #[test]
    fn a_county_keeps_its_name_in_every_release() {
        assert_eq!(
            county().trust.county().text(),
            "x-0f58549c483efd3182c0f538d29462b3"
        );
        assert_eq!(founding().to_bytes().len(), 418);
    }

    #[test]
    fn who_signs_first_makes_no_difference() {
        let content = Content::founding(&authority(), FOUNDED);
        let one = Signed::sign(content.clone(), &[&key(1), &key(2)]);
        let other = Signed::sign(content.clone(), &[&key(2), &key(1), &key(2)]);
        assert_eq!(one, other);
        let mut by_turns = Signed::open(&Signed::sign(content, &[&key(2)])).unwrap();
        by_turns.add(&key(1));
        assert_eq!(by_turns.to_bytes(), one);
        assert_eq!(Signed::open(&one).unwrap().hash(), by_turns.hash());
    }

    #[test]
    fn only_the_one_form_of_an_envelope_is_read() {
        let good = founding();
        let opened = |change: fn(&mut Signed)| {
            let mut signed = good.clone();
            change(&mut signed);
            Signed::open(&signed.to_bytes()).map(|_| ())
        };
        assert_eq!(opened(|_| {}), Ok(()));
        assert_eq!(
            opened(|s| s.signatures.reverse()),
            Err(TrustError::NotCanonical)
        );
        assert_eq!(
            opened(|s| s.content.body.push(0)),
            Err(TrustError::NotCanonical)
        );
        assert_eq!(opened(|s| s.content.suite = 2), Err(TrustError::Suite(2)));
        assert!(matches!(
            opened(|s| s.content.version = 0),
            Err(TrustError::Malformed(_))
        ));
        assert!(matches!(
            opened(|s| s.content.issued_at = Millis(-1)),
            Err(TrustError::Malformed(_))
        ));
        let mut behind = good.to_bytes();
        behind.push(0);
        assert_eq!(Signed::open(&behind), Err(TrustError::NotCanonical));
        // A third element that this version would pass over.
        let mut third = good.to_bytes();
        third[0] = 0x83;
        third.push(0xf6);
        assert_eq!(Signed::open(&third), Err(TrustError::NotCanonical));
    }

    #[test]
    fn more_signatures_than_a_county_has_keys_are_not_checked() {
        let keys: Vec<_> = (1..=17).map(key).collect();
        let content = Content::founding(&authority(), FOUNDED);
        let bytes = Signed::sign(content, &keys.iter().collect::<Vec<_>>());
        assert!(matches!(Signed::open(&bytes), Err(TrustError::TooLarge(_))));
    }

    #[test]
    fn a_body_is_read_by_its_kind_and_written_as_it_was() {
        let signed = founding();
        let body = signed.body().unwrap();
        assert_eq!(body, Body::Authority(authority()));
        assert_eq!(body.encode(), signed.content.body);
        let mut wrong = signed;
        wrong.content.kind = ControlKind::Calendar;
        assert!(matches!(wrong.body(), Err(TrustError::Body { .. })));
    }
}
