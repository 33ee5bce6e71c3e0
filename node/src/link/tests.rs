//! Real QUIC on this machine between nodes of a small county, each with a store in memory.

use std::{sync::Arc, time::Duration};

use cuntong_protocol::{
    act::{Act, ActBody, Open},
    control::{Roster, sample},
    document::Write,
    id::{CaseId, Kind},
    log::LogHead,
    role::Role as Post,
    sync::Input,
};
use cuntong_provisioning::{
    County,
    certificate::{Ca, Subject},
    county::{Founded, HashCost, Memory, NewPerson},
    enrol::{Joined, Joining},
    entropy::Seeded,
    judge::county_tag,
    ticket::Purpose,
};

use super::*;
use crate::{
    identity::{self, Papers},
    stop::{self, Stopper},
    store::{Local, MemoryMarker, Opening},
    view,
};

const NOW: Millis = Millis(1_795_000_000_000);
const DAY_MS: i64 = 24 * 3_600 * 1000;
const HUB: &str = "349901000000";
const TOWN: &str = "349901101000";
const SHIQIAO: &str = "349901101201";
const QINGXI: &str = "349901101202";

/// A county with its registrar at hand.
struct Land {
    county: County,
    chance: Seeded,
}

/// One machine of it.
struct Machine {
    joining: Joining,
    joined: Joined,
}

/// A node that runs.
struct Running {
    links: Links,
    store: Store,
    news: News,
    stopper: Stopper,
}

impl Land {
    fn new(seed: u64) -> Self {
        let mut chance = Seeded::new(seed);
        let keeper = Box::new(Memory::default());
        let then = NOW.after(-600 * DAY_MS);
        let Founded { mut county, .. } =
            County::create(HashCost::SAMPLE, keeper, &mut chance, then).unwrap();
        let places =
            format!("code,name\n{HUB},云麓县\n{TOWN},北乡镇\n{SHIQIAO},石桥村\n{QINGXI},青溪村\n");
        county.add_places(&places, then).unwrap();
        county.publish_catalogue(sample::ITEMS_CSV, then).unwrap();
        let person = NewPerson {
            site: county.place(SHIQIAO).unwrap().site,
            name: "李秀兰".to_owned(),
            login: "shiqiao".to_owned(),
            roles: vec![Post::Agent],
            password: "yangli-2026".to_owned(),
            until: None,
        };
        county.add_person(person, &mut chance, then).unwrap();
        Self { county, chance }
    }

    fn machine(&mut self, code: &str) -> Machine {
        let site = self.county.place(code).unwrap().site;
        let chance = &mut self.chance;
        let ticket = self
            .county
            .ticket(site, Purpose::New, &[], 30, chance, NOW)
            .unwrap();
        let joining = Joining::begin(ticket, chance, NOW).unwrap();
        let issued = self
            .county
            .grant(joining.request(), false, chance, NOW)
            .unwrap();
        let joined = joining.finish(&issued.grant).unwrap();
        Machine { joining, joined }
    }

    /// The same machine with a certificate that was issued so many days ago.
    fn aged(&mut self, mut machine: Machine, days: i64) -> Machine {
        let keys = self.county.keys();
        let der = self.county.trust().authority().transport_ca[0].clone();
        let ca = Ca::open(der, &keys.transport).unwrap();
        let csr = cuntong_provisioning::certificate::request(&machine.joining.keys().tls).unwrap();
        let subject = Subject {
            node: machine.joined.node,
            site: machine.joined.site,
            level: machine.joined.level,
            spki_der: cuntong_provisioning::certificate::requested_key(&csr).unwrap(),
        };
        let tag = county_tag(self.county.trust());
        let then = NOW.after(-days * DAY_MS);
        machine.joined.certificate = ca.issue(tag, &subject, &mut self.chance, then).unwrap();
        machine.joined.at = then;
        machine
    }

    /// Starts a machine with everything the county says at this moment.
    fn start(&self, machine: &Machine, listen: bool, upstream: &[&Running]) -> Running {
        let mut config = config::Config::default().link;
        config.listen = listen.then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        self.start_with(machine, config, upstream)
    }

    fn start_with(
        &self,
        machine: &Machine,
        mut config: config::Link,
        upstream: &[&Running],
    ) -> Running {
        config.upstream = upstream
            .iter()
            .map(|up| up.links.address().unwrap().to_string())
            .collect();
        config.retry_first = Duration::from_millis(20);
        config.retry_max = Duration::from_millis(200);
        let store = self.store(machine);
        let (stopper, stop) = stop::pair();
        let papers = store.read(Papers::load).unwrap().unwrap();
        let news = News::default();
        let (kept, keys) = (store.clone(), papers.keys.clone());
        let links = Links::start(Parts {
            store: store.clone(),
            clock: Clock::by_hand(NOW),
            config,
            news: news.clone(),
            boot: store.read(|db| Ok(db.boot())).unwrap(),
            own: papers.shown().unwrap(),
            issued: papers.issued,
            keys: papers.keys,
            keep_certificate: Box::new(move |der| identity::renewed(&kept, &keys, der, NOW)),
            renewer: papers.renewer,
            tickets: Tickets::new(&std::env::temp_dir().join("cuntong-no-tickets")),
            plugged: true,
            demo: false,
            stop,
        })
        .unwrap();
        Running {
            links,
            store,
            news,
            stopper,
        }
    }

    fn store(&self, machine: &Machine) -> Store {
        let opening = Opening {
            now: NOW,
            nonce: crate::clock::random(),
            marker: Arc::new(MemoryMarker::default()),
            derived: &view::ROWS,
        };
        let store = Store::over(rusqlite::Connection::open_in_memory().unwrap(), opening).unwrap();
        let (joining, joined) = (machine.joining.clone(), machine.joined.clone());
        let newest = self.county.controls_for(joined.site);
        store
            .write(move |db| {
                identity::become_node(db, &joining, &joined, NOW)?;
                for document in newest {
                    db.take_control(&document, NOW).ok();
                }
                Ok(())
            })
            .unwrap();
        store
    }
}

impl Running {
    /// Somebody logs a case here.
    fn log_case(&self) -> CaseId {
        self.store
            .write(|db| {
                let trust = db.shared_trust()?;
                let site = db.site()?;
                let person = trust.directory().people[0].id;
                let case = CaseId::new(site, crate::clock::random());
                let item = &trust.catalogue().items[0];
                let act = Act {
                    person,
                    role: Post::Agent,
                    site,
                    at: NOW,
                    clock: ClockState::Ok,
                    saw: None,
                    body: ActBody::Open(Open {
                        item: item.code.clone(),
                        item_version: item.version,
                    }),
                };
                let id = db.act_id(NOW)?;
                db.commit(Local {
                    writes: vec![(case.doc(Kind::Application), vec![Write::Act(id, act)])],
                    at: NOW,
                    once: None,
                    answer: Vec::new(),
                    audit: None,
                })?;
                Ok(case)
            })
            .unwrap()
    }

    fn holds(&self, case: CaseId) -> bool {
        self.store
            .read(move |db| Ok(db.doc(case.doc(Kind::Application))?.is_some()))
            .unwrap()
    }

    fn state(&self) -> UpstreamState {
        self.links.upstream()[0].state
    }

    fn reason(&self) -> Option<Reason> {
        self.links.upstream()[0]
            .failed
            .as_ref()
            .map(|failed| failed.reason)
    }

    /// Takes what the county says now, as from a stick.
    fn hear(&self, county: &County) {
        for document in county.controls() {
            self.store
                .write(move |db| Ok(db.take_control(&document, NOW).is_ok()))
                .unwrap();
        }
        self.news
            .tell(crate::news::Teller::DESK, vec![Input::ControlsChanged]);
    }

    fn roster(&self) -> Roster {
        self.store
            .read(|db| Ok(db.trust()?.roster().clone()))
            .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

/// Waits until it is so; a test that waits in vain fails by name.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_saved_in_a_village_is_at_the_hub_while_the_links_stand() {
    let mut land = Land::new(1);
    let (hub, town) = (land.machine(HUB), land.machine(TOWN));
    let village = land.machine(SHIQIAO);
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    let village = land.start(&village, false, &[&town, &hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    let case = village.log_case();
    until("at the hub", || hub.holds(case)).await;
    until("the county's receipt in the village", || {
        village.store.read(|db| Ok(db.waiting()?.count)).unwrap() == 0
    })
    .await;
    let whole = village.links.sync_now().await.unwrap();
    assert!(whole.settled.mismatched.is_empty());
    let heads = |node: &Running| -> Vec<(_, LogHead)> {
        node.store
            .read(|db| Ok(db.whole_vector()?.into_iter().collect()))
            .unwrap()
    };
    assert_eq!(heads(&village), heads(&town));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unplugged_village_keeps_its_work_and_brings_it_when_plugged_in() {
    let mut land = Land::new(2);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    village.links.set_plugged(false);
    until("off", || village.state() == UpstreamState::Off).await;
    let case = village.log_case();
    let failure = village.links.sync_now().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NoUpstream);
    assert!(!hub.holds(case));
    village.links.set_plugged(true);
    until("at the hub", || hub.holds(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_tries_the_hub_when_its_township_is_away() {
    let mut land = Land::new(3);
    let (hub, town, village) = (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    town.links.set_plugged(false);
    let mut config = config::Config::default().link;
    // Nobody answers at the township: the handshake runs out quickly here.
    config.handshake = Duration::from_millis(500);
    let village = land.start_with(&village, config, &[&town, &hub]);
    until("connected with the hub", || {
        village.links.upstream()[1].state == UpstreamState::Connected
    })
    .await;
    assert_eq!(village.reason(), Some(Reason::HubDown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_point_is_not_believed_when_it_answers_calls() {
    let mut land = Land::new(4);
    let (false_hub, village) = (land.machine(QINGXI), land.machine(SHIQIAO));
    let false_hub = land.start(&false_hub, true, &[]);
    let village = land.start(&village, false, &[&false_hub]);
    until("refused", || village.reason().is_some()).await;
    assert_eq!(village.reason(), Some(Reason::Certificate));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_counties_refuse_each_other() {
    let (mut here, mut there) = (Land::new(5), Land::new(6));
    let (hub, stranger) = (here.machine(HUB), there.machine(SHIQIAO));
    let hub = here.start(&hub, true, &[]);
    let stranger_links = there.start(&stranger, false, &[&hub]);
    until("refused by the caller", || {
        stranger_links.reason().is_some()
    })
    .await;
    assert_eq!(stranger_links.reason(), Some(Reason::Certificate));
    // A caller that believes anybody is refused by the hub.
    let own = stranger_links.links.0.own();
    let crypto = tls::credulous(own).unwrap();
    let endpoint = listen::outgoing().unwrap();
    let to = hub.links.address().unwrap();
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    let connection = dial::shake(&endpoint, client, to, Duration::from_secs(10), false).await;
    let failed = match connection {
        // With TLS 1.3 the caller is done before it is judged.
        Ok(connection) => reason::connection(&connection.closed().await, false),
        Err(failed) => failed,
    };
    assert_eq!(failed.reason, Reason::Certificate, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_ran_out_renews_it_and_goes_on() {
    let mut land = Land::new(7);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let village = land.aged(village, 500);
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let before = village
        .store
        .read(Papers::load)
        .unwrap()
        .unwrap()
        .certificate;
    until("connected", || village.state() == UpstreamState::Connected).await;
    let after = village.store.read(Papers::load).unwrap().unwrap();
    assert_ne!(after.certificate, before);
    assert_eq!(after.issued, Some(NOW));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_is_dropped_from_its_live_session_and_not_let_in_again() {
    let mut land = Land::new(8);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let node = village.joined.node;
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    until("listed as live", || !hub.links.downstream().is_empty()).await;
    land.county.revoke(node, NOW).unwrap();
    hub.hear(&land.county);
    until("dropped", || hub.links.downstream().is_empty()).await;
    until("told so", || village.reason() == Some(Reason::Rejected)).await;
    let failure = village.links.sync_now().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NoUpstream);
    assert!(hub.links.downstream().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_machine_with_the_same_keys_is_turned_away_while_the_first_lives() {
    let mut land = Land::new(9);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let first = land.start(&village, false, &[&hub]);
    until("connected", || !hub.links.downstream().is_empty()).await;
    let clone = land.start(&village, false, &[&hub]);
    until("turned away", || clone.reason() == Some(Reason::Rejected)).await;
    assert_eq!(first.state(), UpstreamState::Connected);
    // When the first is gone, the other may come.
    first.stopper.stop();
    until("let in", || clone.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_given_to_the_hub_reaches_the_village_through_the_township() {
    let mut land = Land::new(10);
    let (hub, town, village) = (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    let village = land.start(&village, false, &[&town, &hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    let newcomer = land.machine(QINGXI).joined.node;
    hub.hear(&land.county);
    until("known in the village", || {
        village.roster().node(newcomer).is_some()
    })
    .await;
}
