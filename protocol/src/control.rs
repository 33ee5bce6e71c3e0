//! Control documents: what the county says, signed. Not CRDTs: each kind has one strictly
//! increasing version; a node keeps the newest it verified and refuses older ones.

use jiff::civil::Date;

use crate::{
    id::{NodeId, PersonId, SiteId},
    role::{Level, Role},
    time::Millis,
};

pub mod calendar_csv;
mod canonical;
pub mod catalogue;
mod check;
#[cfg(test)]
pub(crate) mod fixture;
pub mod places_csv;
mod rows;
pub mod sample;
pub mod signed;
pub mod trust;
pub mod words;

pub use catalogue::{Catalogue, Item, Material};
pub use rows::RowError;
pub use signed::{Authority, Body, County, Signed, TrustError};
pub use trust::{Taken, Trust};

/// What a control document is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum ControlKind {
    /// Root keys, registrar keys, transport CA; signed by the roots.
    #[n(1)]
    Authority,
    /// Nodes: site, keys, status.
    #[n(2)]
    Roster,
    /// Sites and their division codes.
    #[n(3)]
    Places,
    /// People of the county: name, roles, site, status. No credentials.
    #[n(4)]
    Directory,
    /// Logins of one site; sent only to that site's nodes and those above it.
    #[n(5)]
    Credentials,
    /// Service items.
    #[n(6)]
    Catalogue,
    /// Days off and make-up working days.
    #[n(7)]
    Calendar,
}

impl ControlKind {
    /// Every kind, in the order they must be taken in.
    pub const ALL: [Self; 7] = [
        Self::Authority,
        Self::Roster,
        Self::Places,
        Self::Directory,
        Self::Credentials,
        Self::Catalogue,
        Self::Calendar,
    ];

    /// The word for files, logs and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Roster => "roster",
            Self::Places => "places",
            Self::Directory => "directory",
            Self::Credentials => "credentials",
            Self::Catalogue => "catalogue",
            Self::Calendar => "calendar",
        }
    }
}

/// Names one control document: its kind, and the site for kinds that are per site (else 0).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct ControlKey {
    #[n(0)]
    pub kind: ControlKind,
    #[n(1)]
    pub site: SiteId,
}

/// 名册: who may speak, as which site.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Roster {
    #[n(0)]
    pub nodes: Vec<NodeEntry>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NodeEntry {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub site: SiteId,
    /// BLAKE3 of the DER SubjectPublicKeyInfo the node presents in TLS.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub spki: [u8; 32],
    /// Ed25519 key its seals and receipts verify under.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sign_key: [u8; 32],
    #[n(4)]
    pub status: NodeStatus,
    /// Nothing sealed after this moment is believed (set on revocation).
    #[n(5)]
    pub cutoff: Option<Millis>,
    /// Shown beside the site's name: which machine of the site, 1 for the first.
    #[n(6)]
    pub slot: u8,
    /// Public key that bundles for it are sealed to, as age writes it (`age1…`); empty for a
    /// machine listed before there were bundles.
    #[cbor(n(7), default)]
    pub recipient: String,
}

/// Whether a node may take part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode, serde::Serialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    #[n(0)]
    Active,
    #[n(1)]
    Suspended,
    #[n(2)]
    Revoked,
    /// Another machine took over this one's work.
    #[n(3)]
    Replaced,
}

impl NodeStatus {
    /// The word for JSON and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
        }
    }
}

impl Roster {
    /// The entry of a node.
    pub fn node(&self, node: NodeId) -> Option<&NodeEntry> {
        self.nodes.iter().find(|n| n.node == node)
    }

    /// The entry of the machine that presents this TLS key.
    pub fn by_spki(&self, spki: &[u8; 32]) -> Option<&NodeEntry> {
        self.nodes.iter().find(|n| &n.spki == spki)
    }
}

/// Sites, as a tree: county – townships – villages.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Places {
    #[n(0)]
    pub sites: Vec<Place>,
}

/// One site and the code it has now.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Place {
    #[n(0)]
    pub site: SiteId,
    /// None for the county.
    #[n(1)]
    pub parent: Option<SiteId>,
    #[n(2)]
    pub level: Level,
    /// 12-digit statistical division code, right-padded with zeros.
    #[n(3)]
    pub code: String,
    #[n(4)]
    pub name: String,
    /// Codes and names it had before: (code, name, last day as yyyy-mm-dd).
    #[n(5)]
    pub before: Vec<Former>,
}

/// A code a site once had.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Former {
    #[n(0)]
    pub code: String,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub until: String,
}

impl Places {
    /// The place of a site.
    pub fn site(&self, site: SiteId) -> Option<&Place> {
        // The county lists them in order, and some thousands are asked for with every call.
        let halved = self.sites.binary_search_by_key(&site, |p| p.site);
        match halved {
            Ok(at) => self.sites.get(at),
            // Only a list in another order can still have it.
            Err(_nowhere) => self.sites.iter().find(|p| p.site == site),
        }
    }

    /// Whether `area` is `site` or one of the sites above it. A tree walk, never a comparison of
    /// code prefixes: 431021 must not cover 43102110 (the morango flaw).
    pub fn covers(&self, area: SiteId, site: SiteId) -> bool {
        let mut at = Some(site);
        for _level in 0..4 {
            match at {
                None => return false,
                Some(s) if s == area => return true,
                Some(s) => at = self.site(s).and_then(|p| p.parent),
            }
        }
        false
    }

    /// `site` and every site below it.
    pub fn area(&self, site: SiteId) -> Vec<SiteId> {
        self.sites
            .iter()
            .map(|p| p.site)
            .filter(|s| self.covers(site, *s))
            .collect()
    }

    /// The sites above, nearest first.
    pub fn above(&self, site: SiteId) -> Vec<SiteId> {
        let mut out = Vec::new();
        let mut at = self.site(site).and_then(|p| p.parent);
        while let Some(s) = at {
            if out.contains(&s) {
                break;
            }
            out.push(s);
            at = self.site(s).and_then(|p| p.parent);
        }
        out
    }
}

/// People of the county.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Directory {
    #[n(0)]
    pub people: Vec<Person>,
}

/// One person who may act at a site.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Person {
    #[n(0)]
    pub id: PersonId,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub site: SiteId,
    #[n(3)]
    pub roles: Vec<Role>,
    /// Acts after this moment are not the person's to do.
    #[n(4)]
    pub until: Option<Millis>,
}

impl Directory {
    /// The person of that id.
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }
}

/// Logins of one site.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Credentials {
    #[n(0)]
    pub logins: Vec<Login>,
}

/// One login.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Login {
    #[n(0)]
    pub person: PersonId,
    /// Unique within the county; compared without regard to ASCII case.
    #[n(1)]
    pub login: String,
    /// Argon2id in PHC form.
    #[n(2)]
    pub phc: String,
    /// Grows with each change of password.
    #[n(3)]
    pub version: u32,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, {}, …)", self.person, self.login)
    }
}

/// 工作日历: data from the county, one year at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CalendarDoc {
    /// Years wholly covered.
    #[n(0)]
    pub years: Vec<u16>,
    /// Days off besides Saturdays and Sundays, yyyy-mm-dd.
    #[n(1)]
    pub off: Vec<String>,
    /// Saturdays and Sundays that are worked, yyyy-mm-dd.
    #[n(2)]
    pub work: Vec<String>,
}

/// A `yyyy-mm-dd` of a signed document.
pub(crate) fn date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    // The parser takes more spellings than the one that documents use.
    (date.to_string() == text).then_some(date)
}
