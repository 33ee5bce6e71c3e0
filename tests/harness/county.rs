//! A county whose keys are at hand: one hub, two townships, three villages, a machine each.

use std::sync::OnceLock;

use cuntong_protocol::{
    control::{
        Catalogue, Directory, NodeEntry, NodeStatus, Person, Place, Places, Roster, calendar_csv,
        catalogue, sample,
        signed::{Authority, Body, Content, County, Signed},
        trust::Trust,
    },
    id::{NodeId, PersonId, SiteId},
    role::{Level, Role},
    time::Millis,
};
use ed25519_dalek::SigningKey;

pub const HUB: SiteId = SiteId(1);
pub const BEIXIANG: SiteId = SiteId(2);
pub const SHIQIAO: SiteId = SiteId(3);
pub const QINGXI: SiteId = SiteId(4);
pub const NANXIANG: SiteId = SiteId(5);
pub const LIUTANG: SiteId = SiteId(6);

/// 2026-03-02 09:00 in China.
pub const FOUNDED: Millis = Millis(1_772_413_200_000);

/// Site of documents that are the county's.
const COUNTY_WIDE: SiteId = SiteId(0);

/// The county's control documents, in the order to take them, and its name.
#[derive(Debug)]
pub struct Founded {
    pub county: County,
    pub controls: Vec<Vec<u8>>,
    trust: Trust,
    registrar: SigningKey,
}

/// The signing key of the machine of a site; the same in every run.
pub fn node_key(site: SiteId) -> SigningKey {
    let mut seed = [100; 32];
    seed[..4].copy_from_slice(&site.0.to_be_bytes());
    SigningKey::from_bytes(&seed)
}

/// The machine of a site.
pub fn node_of(site: SiteId) -> NodeId {
    NodeId::of_key(&node_key(site).verifying_key().to_bytes())
}

/// The person of a site: holds every role of its level.
pub fn person(site: SiteId) -> PersonId {
    let mut id = [7; 8];
    id[..4].copy_from_slice(&site.0.to_be_bytes());
    PersonId(id)
}

/// The sites, as drawn on paper.
pub fn places() -> Places {
    let place = |site, parent, level, code: &str, name: &str| Place {
        site,
        parent,
        level,
        code: code.into(),
        name: name.into(),
        before: Vec::new(),
    };
    Places {
        sites: vec![
            place(HUB, None, Level::County, "349901000000", "云麓县(样例)"),
            place(
                BEIXIANG,
                Some(HUB),
                Level::Township,
                "349901101000",
                "北乡镇",
            ),
            place(
                SHIQIAO,
                Some(BEIXIANG),
                Level::Village,
                "349901101203",
                "石桥村",
            ),
            place(
                QINGXI,
                Some(BEIXIANG),
                Level::Village,
                "349901101204",
                "青溪村",
            ),
            place(
                NANXIANG,
                Some(HUB),
                Level::Township,
                "349901102000",
                "南乡镇",
            ),
            place(
                LIUTANG,
                Some(NANXIANG),
                Level::Village,
                "349901102201",
                "柳塘村",
            ),
        ],
    }
}

/// The county; made once.
pub fn county() -> &'static Founded {
    static COUNTY: OnceLock<Founded> = OnceLock::new();
    COUNTY.get_or_init(found)
}

fn found() -> Founded {
    let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
    let public = |n: u8| key(n).verifying_key().to_bytes();
    let authority = Authority {
        roots: vec![public(1), public(2), public(3)],
        threshold: 2,
        registrars: vec![public(9)],
        transport_ca: vec![vec![0x30, 0x03, 0x02, 0x01, 0x00]],
    };
    let content = Content::founding(&authority, FOUNDED);
    let county = content.founds();
    let first = Signed::sign(content, &[&key(1), &key(2)]);
    let trust = Trust::found(&first, county).expect("the founding document is good");
    let mut founded = Founded {
        county,
        controls: vec![first],
        trust,
        registrar: key(9),
    };
    let items = catalogue::from_csv(sample::ITEMS_CSV).expect("the sample catalogue is good");
    let days = calendar_csv::from_csv(sample::CALENDAR_CSV).expect("the sample calendar is good");
    for body in [
        Body::Places(places()),
        Body::Roster(Roster {
            nodes: places().sites.iter().map(|p| entry(p.site)).collect(),
        }),
        Body::Directory(Directory {
            people: places().sites.iter().map(somebody).collect(),
        }),
        Body::Catalogue(Catalogue { items }),
        Body::Calendar(days),
    ] {
        let bytes = founded.sign(&body, FOUNDED);
        founded.controls.push(bytes);
    }
    founded
}

impl Founded {
    fn sign(&mut self, body: &Body, at: Millis) -> Vec<u8> {
        let content = self.trust.next(COUNTY_WIDE, body, at);
        let bytes = Signed::sign(content, &[&self.registrar]);
        self.trust
            .take(&bytes)
            .expect("what the registrar signs is good");
        bytes
    }

    /// What every node believes.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The next roster, in which the machine of a site has that status.
    pub fn roster_with(&self, site: SiteId, status: NodeStatus, cutoff: Option<Millis>) -> Vec<u8> {
        let mut roster = self.trust.roster().clone();
        for node in &mut roster.nodes {
            if node.site == site {
                (node.status, node.cutoff) = (status, cutoff);
            }
        }
        let content = self
            .trust
            .next(COUNTY_WIDE, &Body::Roster(roster), FOUNDED.after(1));
        Signed::sign(content, &[&self.registrar])
    }
}

fn entry(site: SiteId) -> NodeEntry {
    let sign_key = node_key(site).verifying_key().to_bytes();
    NodeEntry {
        node: NodeId::of_key(&sign_key),
        site,
        spki: tls_key(&sign_key),
        sign_key,
        status: NodeStatus::Active,
        cutoff: None,
        slot: 1,
        recipient: String::new(),
    }
}

/// Stands for the hash of a TLS key: nothing here speaks TLS.
fn tls_key(key: &[u8; 32]) -> [u8; 32] {
    let mut spki = *key;
    spki.reverse();
    spki
}

fn somebody(place: &Place) -> Person {
    let roles = match place.level {
        Level::Village => vec![Role::Agent, Role::Publisher],
        Level::Township => vec![Role::Clerk, Role::Decider, Role::Publisher],
        Level::County => vec![Role::CountyClerk, Role::Decider, Role::Publisher],
    };
    Person {
        id: person(place.site),
        name: format!("{}经办人", place.name),
        site: place.site,
        roles,
        until: None,
    }
}
