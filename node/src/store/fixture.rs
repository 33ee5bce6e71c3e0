//! A small county for the store's tests: a hub, a township, two villages, a node each.

use std::sync::Arc;

use cuntong_protocol::{
    act::{Act, ActBody, Open, Reason},
    control::{
        Authority, Body, Directory, NodeEntry, NodeStatus, Person, Place, Places, Roster, Trust,
        signed::{Content, Signed},
    },
    document::Write,
    id::{CaseId, DocId, Kind, NodeId, PersonId, SiteId},
    role::{Level, Role},
    text::Private,
    time::{ClockState, Millis},
};
use ed25519_dalek::SigningKey;
use rusqlite::Connection;

use super::{Committed, Db, Derived, Local, MemoryMarker, Opening};

pub(crate) const HUB: SiteId = SiteId(1);
pub(crate) const TOWN: SiteId = SiteId(2);
pub(crate) const SHIQIAO: SiteId = SiteId(3);
pub(crate) const QINGXI: SiteId = SiteId(4);
pub(crate) const SITES: [SiteId; 4] = [HUB, TOWN, SHIQIAO, QINGXI];
/// 2026-03-02 09:00 in China.
pub(super) const NOW: Millis = Millis(1_772_413_200_000);

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public(n: u8) -> [u8; 32] {
    key(n).verifying_key().to_bytes()
}

/// The signing key of the machine of a site, as others know it.
pub(crate) fn public_of(site: SiteId) -> [u8; 32] {
    public(seed(site))
}

/// Seed of the signing key of the machine of a site.
pub(crate) fn seed(site: SiteId) -> u8 {
    u8::try_from(site.0).unwrap() + 100
}

pub(super) fn node_of(site: SiteId) -> NodeId {
    NodeId::of_key(&public_of(site))
}

pub(crate) fn person(site: SiteId) -> PersonId {
    PersonId([u8::try_from(site.0).unwrap(); 8])
}

/// The county's control documents, in the order to take them.
#[derive(Clone)]
pub(crate) struct County {
    pub(super) trust: Trust,
    first: Vec<u8>,
    rest: Vec<Vec<u8>>,
}

impl County {
    pub(crate) fn new() -> Self {
        let authority = Authority {
            roots: vec![public(1), public(2), public(3)],
            threshold: 2,
            registrars: vec![public(9)],
            transport_ca: Vec::new(),
        };
        let content = Content::founding(&authority, NOW);
        let name = content.founds();
        let first = Signed::sign(content, &[&key(1), &key(2)]);
        let mut county = Self {
            trust: Trust::found(&first, name).unwrap(),
            first,
            rest: Vec::new(),
        };
        let nodes = SITES.map(entry).to_vec();
        county.publish(&Body::Roster(Roster { nodes }));
        county.publish(&Body::Places(places()));
        county.publish(&Body::Directory(directory()));
        county
    }

    /// Signs and takes the next version of a document of the whole county.
    pub(super) fn publish(&mut self, body: &Body) -> Vec<u8> {
        self.publish_for(SiteId(0), body)
    }

    /// The same of one site's document; nodes made from now on have it.
    pub(crate) fn publish_for(&mut self, site: SiteId, body: &Body) -> Vec<u8> {
        let content = self.trust.next(site, body, NOW);
        let bytes = Signed::sign(content, &[&key(9)]);
        self.trust.take(&bytes).unwrap();
        self.rest.push(bytes.clone());
        bytes
    }

    /// The node of a site, enrolled, with its database in memory.
    pub(super) fn node(&self, site: SiteId) -> Db {
        let conn = Connection::open_in_memory().unwrap();
        self.enrol(Db::open(conn, opening(site, 1)).unwrap(), site)
    }

    pub(super) fn enrol(&self, mut db: Db, site: SiteId) -> Db {
        self.enrol_in(&mut db, site);
        db
    }

    pub(crate) fn enrol_in(&self, db: &mut Db, site: SiteId) {
        db.set_identity(&[seed(site); 32], NOW).unwrap();
        db.found(&self.first, self.trust.county(), NOW).unwrap();
        for bytes in &self.rest {
            db.take_control(bytes, NOW).unwrap();
        }
    }
}

/// A start of a site's node; `start` tells one from another.
pub(super) fn opening(site: SiteId, start: u8) -> Opening {
    let mut nonce = [start; 16];
    nonce[0] = seed(site);
    Opening {
        now: NOW,
        nonce,
        marker: Arc::new(MemoryMarker::default()),
        derived: &Derived::NONE,
    }
}

fn entry(site: SiteId) -> NodeEntry {
    NodeEntry {
        node: node_of(site),
        site,
        spki: [seed(site); 32],
        sign_key: public_of(site),
        status: NodeStatus::Active,
        cutoff: None,
        slot: 1,
        recipient: String::new(),
    }
}

/// The county's machines, that of `site` in another standing.
pub(super) fn roster_with(site: SiteId, status: NodeStatus) -> Roster {
    let mut nodes = SITES.map(entry).to_vec();
    let found = nodes.iter_mut().filter(|n| n.site == site);
    found.for_each(|n| n.status = status);
    Roster { nodes }
}

pub(super) fn roster_without(site: SiteId) -> Roster {
    let left = SITES.into_iter().filter(|s| *s != site);
    Roster {
        nodes: left.map(entry).collect(),
    }
}

fn places() -> Places {
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
            place(TOWN, Some(HUB), Level::Township, "349901101000", "北乡镇"),
            place(
                SHIQIAO,
                Some(TOWN),
                Level::Village,
                "349901101203",
                "石桥村",
            ),
            place(QINGXI, Some(TOWN), Level::Village, "349901101204", "青溪村"),
        ],
    }
}

/// What the person of a site may do.
pub(crate) fn roles(site: SiteId) -> Vec<Role> {
    match site {
        HUB => vec![Role::CountyClerk, Role::Decider, Role::Publisher],
        TOWN => vec![Role::Clerk, Role::Decider, Role::Publisher],
        _village => vec![Role::Agent, Role::Publisher],
    }
}

fn directory() -> Directory {
    let of = |site| Person {
        id: person(site),
        name: format!("{site}经办人"),
        site,
        roles: roles(site),
        until: None,
    };
    Directory {
        people: SITES.map(of).to_vec(),
    }
}

/// A case of a village.
pub(super) fn case(site: SiteId, n: u8) -> CaseId {
    CaseId::new(site, [n; 11])
}

fn act(site: SiteId, role: Role, body: ActBody) -> Act {
    Act {
        person: person(site),
        role,
        site,
        at: NOW,
        clock: ClockState::Ok,
        saw: None,
        body,
    }
}

/// Writes one act into a document, as the person of the node's site; in an application with the
/// applicant's name beside it.
pub(super) fn write(db: &mut Db, doc: DocId, name: &str) -> Committed {
    let local = local(db, doc, name);
    db.commit(local).unwrap()
}

/// Logs the application of the `n`-th case of the node's own site.
pub(super) fn log_case(db: &mut Db, n: u8, name: &str) -> Committed {
    let site = db.site().unwrap();
    write(db, case(site, n).doc(Kind::Application), name)
}

/// How many acts a document holds.
pub(super) fn acts(db: &Db, doc: DocId) -> usize {
    let doc = db.doc(doc).unwrap().unwrap();
    doc.reading().unwrap().acts.len()
}

pub(super) fn local(db: &mut Db, doc: DocId, name: &str) -> Local {
    let site = db.site().unwrap();
    let id = db.act_id(NOW).unwrap();
    let said = || Reason { text: name.into() };
    let mut writes = Vec::new();
    match doc.scope().unwrap().kind {
        Kind::Application => {
            let body = ActBody::Open(Open {
                item: "349901-社保-001".into(),
                item_version: 1,
            });
            writes.push(Write::Act(id, act(site, Role::Agent, body)));
            let name = Some(Private::new(name));
            writes.push(Write::Field("name".into(), name));
        }
        Kind::Handling => {
            let body = ActBody::Review(said());
            writes.push(Write::Act(id, act(site, Role::Decider, body)));
        }
        Kind::Notice => {
            let body = ActBody::Retract(said());
            writes.push(Write::Act(id, act(site, Role::Publisher, body)));
        }
    }
    Local {
        writes: vec![(doc, writes)],
        at: NOW,
        ..Local::default()
    }
}

/// Everything `from` holds goes through the gate of `to`, as often as it takes.
pub(super) fn send(from: &Db, to: &mut Db, upstream: bool) {
    for log in from.whole_vector().unwrap().keys() {
        while let Some(batch) = from.batch(log, to.log_head(log).unwrap().seq).unwrap() {
            let before = to.log_head(log).unwrap();
            let admission = to.admit(&batch, upstream, NOW).unwrap();
            if admission.head == before {
                break;
            }
        }
    }
}

/// Both hold the same logs and the same documents.
pub(super) fn assert_equal(a: &Db, b: &Db) {
    assert_eq!(a.whole_vector().unwrap(), b.whole_vector().unwrap());
    assert_eq!(a.digests(&[]).unwrap(), b.digests(&[]).unwrap());
}
