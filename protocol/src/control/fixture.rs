//! A small county for tests: two townships, three villages, one machine each.

use ed25519_dalek::SigningKey;

use super::{
    Directory, NodeEntry, NodeStatus, Person, Place, Places, Roster, Trust,
    signed::{Authority, Body, Content, Signed},
};
use crate::{
    id::{NodeId, PersonId, SiteId},
    role::{Level, Role},
    time::Millis,
};

pub(crate) const HUB: SiteId = SiteId(1);
pub(crate) const BEIXIANG: SiteId = SiteId(2);
pub(crate) const SHIQIAO: SiteId = SiteId(3);
pub(crate) const QINGXI: SiteId = SiteId(4);
pub(crate) const NANXIANG: SiteId = SiteId(5);
pub(crate) const LIUTANG: SiteId = SiteId(6);

/// 2026-03-02 09:00 in China.
pub(crate) const FOUNDED: Millis = Millis(1_772_413_200_000);

/// A county whose keys are at hand.
pub(crate) struct Founded {
    pub(crate) trust: Trust,
    pub(crate) first: Vec<u8>,
    pub(crate) roots: [SigningKey; 3],
    pub(crate) registrar: SigningKey,
}

/// A key that is the same in every run.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// The public half of [`key`].
pub(crate) fn public(n: u8) -> [u8; 32] {
    key(n).verifying_key().to_bytes()
}

/// The signing key of the machine of a site.
pub(crate) fn node_key(site: SiteId) -> SigningKey {
    key(u8::try_from(site.0).unwrap() + 100)
}

/// The machine of a site.
pub(crate) fn node(site: SiteId) -> NodeEntry {
    let sign_key = node_key(site).verifying_key().to_bytes();
    NodeEntry {
        node: NodeId::of_key(&sign_key),
        site,
        spki: *blake3::hash(&sign_key).as_bytes(),
        sign_key,
        status: NodeStatus::Active,
        cutoff: None,
        slot: 1,
        recipient: String::new(),
    }
}

/// The roots 1, 2, 3 and the registrar 9.
pub(crate) fn authority() -> Authority {
    Authority {
        roots: vec![public(1), public(2), public(3)],
        threshold: 2,
        registrars: vec![public(9)],
        transport_ca: vec![vec![0x30, 0x03, 0x02, 0x01, 0x00]],
    }
}

/// The sites.
pub(crate) fn places() -> Places {
    let place = |site, parent, level, code: &str, name: &str| Place {
        site,
        parent,
        level,
        code: code.into(),
        name: name.into(),
        before: Vec::new(),
    };
    let (hub, north, south) = (Some(HUB), Some(BEIXIANG), Some(NANXIANG));
    Places {
        sites: vec![
            place(HUB, None, Level::County, "349901000000", "云麓县(样例)"),
            place(BEIXIANG, hub, Level::Township, "349901101000", "北乡镇"),
            place(SHIQIAO, north, Level::Village, "349901101203", "石桥村"),
            place(QINGXI, north, Level::Village, "349901101204", "青溪村"),
            place(NANXIANG, hub, Level::Township, "349901102000", "南乡镇"),
            place(LIUTANG, south, Level::Village, "349901102201", "柳塘村"),
        ],
    }
}

/// One person per site with every role that fits: `PersonId([site; 8])`.
pub(crate) fn directory() -> Directory {
    let sites = places().sites;
    let people = sites.iter().map(|p| Person {
        id: PersonId([u8::try_from(p.site.0).unwrap(); 8]),
        name: format!("{}经办人", p.name),
        site: p.site,
        roles: match p.level {
            Level::Village => vec![Role::Agent, Role::Publisher],
            Level::Township => vec![Role::Clerk, Role::Decider, Role::Publisher],
            Level::County => vec![Role::CountyClerk, Role::Decider, Role::Publisher],
        },
        until: None,
    });
    Directory {
        people: people.collect(),
    }
}

/// The county with roster, places and directory in version 1.
pub(crate) fn county() -> Founded {
    let roots = [key(1), key(2), key(3)];
    let content = Content::founding(&authority(), FOUNDED);
    let name = content.founds();
    let first = Signed::sign(content, &[&roots[0], &roots[1]]);
    let mut founded = Founded {
        trust: Trust::found(&first, name).unwrap(),
        first,
        roots,
        registrar: key(9),
    };
    let nodes = places().sites.iter().map(|p| node(p.site)).collect();
    founded.publish(HUB_WIDE, &Body::Roster(Roster { nodes }));
    founded.publish(HUB_WIDE, &Body::Places(places()));
    founded.publish(HUB_WIDE, &Body::Directory(directory()));
    founded
}

/// The site of documents that are the county's.
pub(crate) const HUB_WIDE: SiteId = SiteId(0);

impl Founded {
    /// The next version of a document, signed by the registrar but not taken.
    pub(crate) fn signed(&self, site: SiteId, body: &Body) -> Vec<u8> {
        Signed::sign(self.trust.next(site, body, FOUNDED), &[&self.registrar])
    }

    /// Signs and takes the next version of a document.
    pub(crate) fn publish(&mut self, site: SiteId, body: &Body) -> Vec<u8> {
        let bytes = self.signed(site, body);
        self.trust.take(&bytes).unwrap();
        bytes
    }
}
