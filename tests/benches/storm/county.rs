//! A county of many villages, founded by the registrar's own code.
//!
//! Machines join one by one in a real county, and each joining says a new roster. Here all machines
//! are listed by one roster and all agents by one directory, signed by the same registrar's key and
//! taken by the same rules: the hub sees exactly the documents it would hold after the last ticket.

use std::sync::Arc;

use cuntong_protocol::{
    control::{
        ControlKey, Directory, NodeEntry, NodeStatus, Person, Roster, sample,
        signed::{Body, Signed, Trust},
    },
    id::{PersonId, Scope, SiteId},
    policy,
    role::{Level, Role},
    sync::Peer,
    time::Millis,
};
use cuntong_provisioning::{
    County,
    certificate::{Ca, Subject, request, requested_key},
    county::{Founded, HashCost, Memory},
    enrol::{Joined, Joining},
    entropy::{Entropy as _, Seeded},
    judge::county_tag,
    keys::NodeKeys,
    ticket::Purpose,
};
use rustls::{pki_types::CertificateDer, pki_types::PrivatePkcs8KeyDer, sign::CertifiedKey};

/// The county was founded so long before the storm.
const FOUNDED_BEFORE_MS: i64 = 120 * 24 * 3_600 * 1000;
/// Villages of one township.
const VILLAGES: usize = 100;
const HUB_CODE: &str = "349901000000";
/// Site of documents that are the county's.
const COUNTY_WIDE: SiteId = SiteId(0);

/// One village's machine: what the county knows of it and what it keeps to itself.
pub(crate) struct Machine {
    pub(crate) site: SiteId,
    pub(crate) keys: NodeKeys,
    pub(crate) agent: PersonId,
    /// Key and certificate shown in TLS.
    pub(crate) shown: Arc<CertifiedKey>,
}

/// The county as the villages see it, and the hub's own papers.
pub(crate) struct Land {
    pub(crate) trust: Trust,
    pub(crate) hub: (Joining, Joined),
    pub(crate) machines: Vec<Machine>,
    /// The hub, as a village's session knows it.
    pub(crate) peer: Peer,
    /// Ed25519 key of the hub's receipts.
    pub(crate) hub_key: [u8; 32],
    /// Versions of the control documents everybody holds.
    pub(crate) controls: Vec<(ControlKey, u64)>,
    /// What the hub may read.
    pub(crate) hub_scopes: Vec<Scope>,
}

impl Land {
    /// Founds it. The same seed gives the same county but for the moment and the sealing keys.
    pub(crate) fn found(villages: usize, seed: u64, now: Millis) -> Self {
        let mut chance = Seeded::new(seed);
        let then = now.after(-FOUNDED_BEFORE_MS);
        let keeper = Box::new(Memory::default());
        let founded = County::create(HashCost::SAMPLE, keeper, &mut chance, then);
        let Founded { mut county, .. } = founded.expect("a county is founded");
        let codes: Vec<String> = (0..villages).map(code).collect();
        let added = county.add_places(&places(&codes), then);
        let _added = added.expect("the places are good");
        let items = county.publish_catalogue(sample::ITEMS_CSV, then);
        let _items = items.expect("the sample catalogue is good");
        let days = county.publish_calendar(sample::CALENDAR_CSV, then);
        let _days = days.expect("the sample calendar is good");
        let hub = join(&mut county, &mut chance, now);
        let machines = machines(&county, &codes, &mut chance, now);
        let trust = list_all(&county, &machines, now);
        let hub_site = hub.1.site;
        Self {
            peer: Peer {
                node: hub.1.node,
                site: hub_site,
                level: Level::County,
                upstream: true,
            },
            hub_key: hub.0.keys().sign.public(),
            controls: trust.versions(),
            hub_scopes: policy::scopes_read_by(trust.places(), hub_site),
            trust,
            hub,
            machines,
        }
    }
}

/// The division code of the n-th village.
fn code(n: usize) -> String {
    format!("349901{:03}{:03}", 101 + n / VILLAGES, 201 + n % VILLAGES)
}

fn places(codes: &[String]) -> String {
    let mut csv = format!("code,name\n{HUB_CODE},云麓县\n");
    for (n, code) in codes.iter().enumerate() {
        if n % VILLAGES == 0 {
            csv.push_str(&format!("{}000,第{}镇\n", &code[..9], n / VILLAGES + 1));
        }
        csv.push_str(&format!("{code},第{}村\n", n + 1));
    }
    csv
}

/// The hub joins by ticket, request and grant.
fn join(county: &mut County, chance: &mut Seeded, now: Millis) -> (Joining, Joined) {
    let site = county.place(HUB_CODE).expect("the hub's place").site;
    let ticket = county.ticket(site, Purpose::New, &[], 30, chance, now);
    let joining = Joining::begin(ticket.expect("a ticket"), chance, now).expect("it asks");
    let issued = county.grant(joining.request(), false, chance, now);
    let joined = joining.finish(&issued.expect("it is granted").grant);
    (joining, joined.expect("the grant is good"))
}

fn machines(county: &County, codes: &[String], chance: &mut Seeded, now: Millis) -> Vec<Machine> {
    let keys = county.keys();
    let der = county.trust().authority().transport_ca[0].clone();
    let ca = Ca::open(der, &keys.transport).expect("the registrar's CA");
    let tag = county_tag(county.trust());
    let sites = county.trust().places().sites.iter();
    let by_code: std::collections::BTreeMap<_, _> =
        sites.map(|p| (p.code.as_str(), p.site)).collect();
    let machine = |code: &String| {
        let keys = NodeKeys::generate(chance);
        let csr = request(&keys.tls).expect("a request");
        let subject = Subject {
            node: keys.node(),
            site: by_code[code.as_str()],
            level: Level::Village,
            spki_der: requested_key(&csr).expect("its key"),
        };
        let certificate = ca.issue(tag, &subject, chance, now).expect("a certificate");
        Machine {
            site: subject.site,
            agent: PersonId(chance.bytes()),
            shown: shown(&keys, certificate),
            keys,
        }
    };
    codes.iter().map(machine).collect()
}

fn shown(keys: &NodeKeys, certificate: Vec<u8>) -> Arc<CertifiedKey> {
    let key = PrivatePkcs8KeyDer::from(keys.tls.pkcs8().to_vec());
    let key = rustls::crypto::ring::sign::any_eddsa_type(&key).expect("an Ed25519 key");
    Arc::new(CertifiedKey::new(
        vec![CertificateDer::from(certificate)],
        key,
    ))
}

/// The directory and the roster with everybody in it, each said once.
fn list_all(county: &County, machines: &[Machine], now: Millis) -> Trust {
    let mut trust = county.trust().clone();
    let entry = |machine: &Machine| NodeEntry {
        node: machine.keys.node(),
        site: machine.site,
        spki: machine.keys.spki().expect("a TLS key"),
        sign_key: machine.keys.sign.public(),
        status: NodeStatus::Active,
        cutoff: None,
        slot: 1,
        recipient: machine.keys.open.recipient(),
    };
    let mut nodes = trust.roster().nodes.clone();
    nodes.extend(machines.iter().map(entry));
    let person = |(n, machine): (usize, &Machine)| Person {
        id: machine.agent,
        name: format!("代办员{}", n + 1),
        site: machine.site,
        roles: vec![Role::Agent],
        until: None,
    };
    let people = machines.iter().enumerate().map(person).collect();
    let at = now.max(trust.newest_signed_time());
    let key = county.keys().sign.signing();
    for body in [
        Body::Roster(Roster { nodes }),
        Body::Directory(Directory { people }),
    ] {
        let bytes = Signed::sign(trust.next(COUNTY_WIDE, &body, at), &[&key]);
        let taken = trust.take(&bytes);
        let _new = taken.expect("what the registrar signs is taken");
    }
    trust
}
