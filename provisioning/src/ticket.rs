//! 入网票: one sheet of paper that lets one machine join as one site.
//!
//! A ticket is what the registrar signed (its [`Claims`]) and a secret. The secret is the seed of
//! a key whose public half the claims name: whoever presents the ticket proves it by a signature
//! and never shows the secret, so neither a hub nor a listener learns enough to use it.

use std::fmt;

use data_encoding::{Encoding, Specification};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use cuntong_protocol::{
    control::signed::{Authority, County as CountyId},
    id::{NodeId, SiteId},
    log::SUITE,
    role::Level,
    time::Millis,
};

use crate::{entropy::Entropy, keys::Seed};

pub mod qr;

/// Characters of a ticket's text at most, so that its QR code stays readable from paper.
pub const TEXT_BYTES_MAX: usize = 300;
/// Hub addresses a ticket names at most.
pub const HUBS_MAX: usize = 3;
/// Characters of one hub address at most.
pub const HUB_BYTES_MAX: usize = 64;
/// How long a ticket is valid when nothing else is asked: time for a trip by USB.
pub const DAYS_DEFAULT: u16 = 30;
/// No ticket is valid longer than this.
pub const DAYS_MAX: u16 = 180;
/// What every ticket's text begins with: kind and format.
pub const PREFIX: &str = "CT1";

const VERSION: u8 = 1;
const CHECK_BYTES: usize = 4;

/// Names a ticket; derived from its proof key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct TicketId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl TicketId {
    fn of(proof_key: &[u8; 32]) -> Self {
        let hash = blake3::derive_key("cuntong 2026 ticket id", proof_key);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }

    /// `k-` and hexadecimal digits, for files, logs and the command line.
    pub fn text(&self) -> String {
        format!("k-{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// One more machine of the site.
    #[n(0)]
    New,
    /// A machine that takes over another's work.
    #[n(1)]
    Replace(#[n(0)] NodeId),
}

/// What the registrar signed. A hub sees this, never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Claims {
    #[n(0)]
    pub version: u8,
    /// The county, by the fingerprint of its first authority: what the node trusts.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub county: [u8; 16],
    #[n(2)]
    pub site: SiteId,
    #[n(3)]
    pub level: Level,
    #[n(4)]
    pub purpose: Purpose,
    /// `host:port`, tried in this order.
    #[n(5)]
    pub hubs: Vec<String>,
    /// Seconds since 1970 after which no new key is bound, by the hub's clock.
    #[n(6)]
    pub not_after_s: u32,
    /// Public half of the ticket's secret.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub proof_key: [u8; 32],
}

impl Claims {
    /// The ticket's name.
    pub fn id(&self) -> TicketId {
        TicketId::of(&self.proof_key)
    }

    /// Whether no new key may be bound any more.
    pub fn expired(&self, now: Millis) -> bool {
        now.0 > i64::from(self.not_after_s) * 1000
    }

    fn message(&self) -> Vec<u8> {
        let mut message = b"cuntong ticket".to_vec();
        message.push(SUITE);
        message.extend(crate::wire::encode(self));
        message
    }

    /// Whether one of the authority's registrars signed these claims.
    pub fn signed_by(&self, signature: &[u8; 64], authority: &Authority) -> bool {
        crate::wire::signed_by_any(&authority.registrars, &self.message(), signature)
    }

    /// Whether the holder of the ticket signed that message.
    pub fn proves(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.proof_key).is_ok_and(|key| {
            key.verify_strict(message, &Signature::from_bytes(signature))
                .is_ok()
        })
    }
}

/// What a ticket is made from.
#[derive(Debug, Clone)]
pub struct Terms {
    pub county: CountyId,
    pub site: SiteId,
    pub level: Level,
    pub purpose: Purpose,
    pub hubs: Vec<String>,
    pub days: u16,
}

/// Why a ticket was not made or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("不是入网票:入网票以 {PREFIX} 开头")]
    NotATicket,
    #[error("缺字或错字:请重新扫描或抄录入网票")]
    Damaged,
    #[error("由更新版本的软件制作")]
    Newer,
    #[error("枢纽地址放不下:最多 {HUBS_MAX} 个,入网票全长最多 {TEXT_BYTES_MAX} 字")]
    TooLong,
    #[error("“{0}”不是 主机:端口")]
    Address(String),
    #[error("入网票有效期为 1 至 {DAYS_MAX} 天")]
    Days,
}

/// A ticket with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    claims: Claims,
    secret: [u8; 16],
    signature: [u8; 64],
}

/// How a ticket travels: the claims with the secret in place of the key made from it.
#[derive(Encode, Decode)]
struct Paper {
    #[n(0)]
    version: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    county: [u8; 16],
    #[n(2)]
    site: SiteId,
    #[n(3)]
    level: Level,
    #[n(4)]
    purpose: Purpose,
    #[n(5)]
    hubs: Vec<String>,
    #[n(6)]
    not_after_s: u32,
    #[cbor(n(7), with = "minicbor::bytes")]
    secret: [u8; 16],
    #[cbor(n(8), with = "minicbor::bytes")]
    signature: [u8; 64],
}

impl Ticket {
    /// A new ticket, signed by the registrar.
    pub fn issue(
        terms: Terms,
        registrar: &SigningKey,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Self, TicketError> {
        if !(1..=DAYS_MAX).contains(&terms.days) {
            return Err(TicketError::Days);
        }
        if terms.hubs.len() > HUBS_MAX {
            return Err(TicketError::TooLong);
        }
        if let Some(bad) = terms.hubs.iter().find(|hub| !is_address(hub)) {
            return Err(TicketError::Address(bad.chars().take(80).collect()));
        }
        let secret = entropy.bytes();
        let end_s = now.0 / 1000 + i64::from(terms.days) * 24 * 3600;
        let claims = Claims {
            version: VERSION,
            county: terms.county.0,
            site: terms.site,
            level: terms.level,
            purpose: terms.purpose,
            hubs: terms.hubs,
            not_after_s: u32::try_from(end_s).unwrap_or(u32::MAX),
            proof_key: proof(&secret).public(),
        };
        let signature = registrar.sign(&claims.message()).to_bytes();
        let ticket = Self {
            claims,
            secret,
            signature,
        };
        if ticket.text().len() > TEXT_BYTES_MAX {
            return Err(TicketError::TooLong);
        }
        Ok(ticket)
    }

    /// What the registrar signed.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The registrar's signature over the claims.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// The ticket's name.
    pub fn id(&self) -> TicketId {
        self.claims.id()
    }

    /// The county the ticket pins.
    pub const fn county(&self) -> CountyId {
        CountyId(self.claims.county)
    }

    /// The key that proves possession of the ticket.
    pub(crate) fn proof(&self) -> SigningKey {
        proof(&self.secret).signing()
    }

    /// As one word of capital letters and digits, for paper, QR codes and files.
    pub fn text(&self) -> String {
        let mut bytes = crate::wire::encode(&Paper {
            version: self.claims.version,
            county: self.claims.county,
            site: self.claims.site,
            level: self.claims.level,
            purpose: self.claims.purpose,
            hubs: self.claims.hubs.clone(),
            not_after_s: self.claims.not_after_s,
            secret: self.secret,
            signature: self.signature,
        });
        bytes.extend(check(&bytes));
        format!("{PREFIX}{}", alphabet().encode(&bytes))
    }

    /// Reads a ticket as scanned or typed: case, spaces, hyphens and line ends do not matter, and
    /// O, I and L are taken for the digits they look like. Whether the registrar signed it is
    /// known only once the county's authority is: see [`Claims::signed_by`].
    pub fn read(text: &str) -> Result<Self, TicketError> {
        if text.len() > 4 * TEXT_BYTES_MAX {
            return Err(TicketError::NotATicket);
        }
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let code = plain.strip_prefix(PREFIX).ok_or_else(|| {
            if plain.starts_with("CT") {
                TicketError::Newer
            } else {
                TicketError::NotATicket
            }
        })?;
        let bytes = alphabet()
            .decode(code.as_bytes())
            .map_err(|_any| TicketError::Damaged)?;
        let (body, found) = bytes
            .len()
            .checked_sub(CHECK_BYTES)
            .map(|at| bytes.split_at(at))
            .ok_or(TicketError::Damaged)?;
        if check(body) != found {
            return Err(TicketError::Damaged);
        }
        let paper: Paper = crate::wire::decode(body).map_err(|_any| TicketError::Damaged)?;
        if paper.version != VERSION {
            return Err(TicketError::Newer);
        }
        if paper.hubs.len() > HUBS_MAX || !paper.hubs.iter().all(|hub| is_address(hub)) {
            return Err(TicketError::Damaged);
        }
        Ok(Self {
            claims: Claims {
                version: paper.version,
                county: paper.county,
                site: paper.site,
                level: paper.level,
                purpose: paper.purpose,
                hubs: paper.hubs,
                not_after_s: paper.not_after_s,
                proof_key: proof(&paper.secret).public(),
            },
            secret: paper.secret,
            signature: paper.signature,
        })
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id())
    }
}

impl<C> Encode<C> for Ticket {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.text())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Ticket {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::read(d.str()?).map_err(|_any| minicbor::decode::Error::message("a ticket"))
    }
}

fn proof(secret: &[u8; 16]) -> Seed {
    Seed::from_bytes(blake3::derive_key("cuntong 2026 ticket proof key", secret))
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::derive_key("cuntong 2026 ticket check", body);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Crockford's alphabet: no letter that looks like a digit, all of it in QR's alphanumeric mode.
fn alphabet() -> Encoding {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.from.push_str("OIL");
    specification.translate.to.push_str("011");
    specification
        .encoding()
        .expect("32 distinct symbols and translations to them")
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_ok = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    text.len() <= HUB_BYTES_MAX && host_ok && port.parse::<u16>().is_ok_and(|p| p != 0)
}

#[cfg(test)]
impl Ticket {
    pub(crate) fn set_place_for_test(&mut self, site: SiteId, level: Level) {
        self.claims.site = site;
        self.claims.level = level;
    }
}
