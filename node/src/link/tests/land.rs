//! A small county with its registrar at hand, and nodes with stores in memory.

use std::{pin::Pin, sync::Arc, time::Duration};

use cuntong_protocol::{
    act::{Act, ActBody, Open},
    control::{Roster, sample},
    document::Write,
    id::{CaseId, Kind},
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

use super::super::{surroundings::Change, *};
use crate::{
    identity::{self, Papers},
    stop::{self, Stopper},
    store::{Local, MemoryMarker, Opening},
    view,
};

pub(in crate::link) const NOW: Millis = Millis(1_795_000_000_000);
pub(in crate::link) const DAY_MS: i64 = 24 * 3_600 * 1000;
pub(in crate::link) const HUB: &str = "349901000000";
pub(in crate::link) const TOWN: &str = "349901101000";
pub(in crate::link) const SHIQIAO: &str = "349901101201";
pub(in crate::link) const QINGXI: &str = "349901101202";

/// Room for whatever a test attaches.
pub(in crate::link) const ROOMY: crate::blobs::Limits = crate::blobs::Limits {
    quota: u64::MAX,
    free: 0,
};

/// A county with its registrar at hand.
pub(in crate::link) struct Land {
    pub(in crate::link) county: County,
    pub(in crate::link) chance: Seeded,
}

/// One machine of it.
pub(in crate::link) struct Machine {
    pub(in crate::link) joining: Joining,
    pub(in crate::link) joined: Joined,
}

/// A node that runs.
pub(in crate::link) struct Running {
    pub(in crate::link) links: Links,
    pub(in crate::link) blobs: Blobs,
    /// Where they lie.
    pub(in crate::link) files: Arc<tempfile::TempDir>,
    pub(in crate::link) store: Store,
    pub(in crate::link) news: News,
    pub(in crate::link) stopper: Stopper,
}

impl Land {
    pub(in crate::link) fn new(seed: u64) -> Self {
        // What the links logged is shown beside a test that failed.
        let _begun_before = tracing_subscriber::fmt()
            .with_env_filter("automerge=off,cuntong_node=debug")
            .with_test_writer()
            .try_init();
        let mut chance = Seeded::new(seed);
        let keeper = Box::new(Memory::default());
        let then = NOW.after(-600 * DAY_MS);
        let Founded { mut county, .. } =
            County::create(HashCost::SAMPLE, keeper, &mut chance, then).unwrap();
        let places =
            format!("code,name\n{HUB},云麓县\n{TOWN},北乡镇\n{SHIQIAO},石桥村\n{QINGXI},青溪村\n");
        county.add_places(&places, then).unwrap();
        county.publish_catalogue(sample::ITEMS_CSV, then).unwrap();
        let mut land = Self { county, chance };
        land.agent(SHIQIAO, "shiqiao", then);
        land
    }

    /// Somebody who logs cases there.
    pub(in crate::link) fn agent(&mut self, code: &str, login: &str, now: Millis) {
        self.person(code, login, Post::Agent, now);
    }

    /// Somebody of that role.
    pub(in crate::link) fn person(&mut self, code: &str, login: &str, role: Post, now: Millis) {
        let person = NewPerson {
            site: self.county.place(code).unwrap().site,
            name: "李秀兰".to_owned(),
            login: login.to_owned(),
            roles: vec![role],
            password: "yangli-2026".to_owned(),
            until: None,
        };
        let chance = &mut self.chance;
        self.county.add_person(person, chance, now).unwrap();
    }

    pub(in crate::link) fn machine(&mut self, code: &str) -> Machine {
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
    pub(in crate::link) fn aged(&mut self, mut machine: Machine, days: i64) -> Machine {
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
    pub(in crate::link) fn start(
        &self,
        machine: &Machine,
        listen: bool,
        upstream: &[&Running],
    ) -> Running {
        let mut config = config::Config::default().link;
        config.listen = listen.then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        self.start_with(machine, config, upstream)
    }

    pub(in crate::link) fn start_with(
        &self,
        machine: &Machine,
        mut config: config::Link,
        upstream: &[&Running],
    ) -> Running {
        config.upstream = upstream
            .iter()
            .map(|up| up.links.address().unwrap().to_string())
            .collect();
        self.start_as(machine, config)
    }

    /// Starts a machine with these settings, but for quick retries.
    pub(in crate::link) fn start_as(&self, machine: &Machine, config: config::Link) -> Running {
        self.start_at(machine, config, ROOMY)
    }

    /// Starts a machine that answers calls, with so much room for files.
    pub(in crate::link) fn start_with_room(
        &self,
        machine: &Machine,
        room: crate::blobs::Limits,
    ) -> Running {
        let mut config = config::Config::default().link;
        config.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        self.start_at(machine, config, room)
    }

    fn start_at(
        &self,
        machine: &Machine,
        mut config: config::Link,
        room: crate::blobs::Limits,
    ) -> Running {
        config.retry_first = Duration::from_millis(20);
        config.retry_max = Duration::from_millis(200);
        self.begin(machine, config, room, Box::new(Silence))
    }

    /// Starts a machine with these very settings, in surroundings of its own.
    pub(in crate::link) fn start_in(
        &self,
        machine: &Machine,
        config: config::Link,
        around: Around,
    ) -> Running {
        self.begin(machine, config, ROOMY, around)
    }

    fn begin(
        &self,
        machine: &Machine,
        config: config::Link,
        room: crate::blobs::Limits,
        around: Around,
    ) -> Running {
        let store = self.store(machine);
        let (stopper, stop) = stop::pair();
        let papers = store.read(Papers::load).unwrap().unwrap();
        let news = News::default();
        let files = Arc::new(tempfile::tempdir().unwrap());
        let blobs = Blobs::new(files.path(), room);
        let (kept, keys) = (store.clone(), papers.keys.clone());
        let parts = Parts {
            store: store.clone(),
            blobs: blobs.clone(),
            clock: Clock::by_hand(NOW),
            config,
            news: news.clone(),
            boot: store.read(|db| Ok(db.boot())).unwrap(),
            own: papers.shown().unwrap(),
            issued: papers.issued,
            keys: papers.keys,
            keep_certificate: Box::new(move |der| identity::renewed(&kept, &keys, der, NOW)),
            renewer: papers.renewer,
            tickets: self.tickets(),
            plugged: true,
            demo: false,
            stop,
        };
        let links = Links::start(parts, around).unwrap();
        Running {
            links,
            blobs,
            files,
            store,
            news,
            stopper,
        }
    }

    /// The hub's ticket book; a folder of its own for each county.
    pub(in crate::link) fn tickets(&self) -> Tickets {
        let county = data_encoding::HEXLOWER.encode(&self.county.id().0);
        let process = std::process::id();
        Tickets::new(&std::env::temp_dir().join(format!("cuntong-tickets-{process}-{county}")))
    }

    pub(in crate::link) fn store(&self, machine: &Machine) -> Store {
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
    pub(in crate::link) fn log_case(&self) -> CaseId {
        self.store
            .write(|db| {
                let trust = db.shared_trust()?;
                let site = db.site()?;
                let mut people = trust.directory().people.iter();
                let person = people.find(|p| p.site == site).unwrap().id;
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

    pub(in crate::link) fn holds(&self, case: CaseId) -> bool {
        self.store
            .read(move |db| Ok(db.doc(case.doc(Kind::Application))?.is_some()))
            .unwrap()
    }

    pub(in crate::link) fn state(&self) -> UpstreamState {
        self.links.upstream()[0].state
    }

    pub(in crate::link) fn reason(&self) -> Option<Reason> {
        self.links.upstream()[0]
            .failed
            .as_ref()
            .map(|failed| failed.reason)
    }

    /// Takes what the county says now, as from a stick.
    pub(in crate::link) fn hear(&self, county: &County) {
        for document in county.controls() {
            self.store
                .write(move |db| Ok(db.take_control(&document, NOW).is_ok()))
                .unwrap();
        }
        self.news
            .tell(crate::news::Teller::DESK, vec![Input::ControlsChanged]);
    }

    pub(in crate::link) fn roster(&self) -> Roster {
        self.store
            .read(|db| Ok(db.trust()?.roster().clone()))
            .unwrap()
    }
}

impl Drop for Land {
    fn drop(&mut self) {
        // There are none where nobody asked to join.
        let _none = self.tickets().remove();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

/// Surroundings in which nothing ever happens.
struct Silence;

impl Surroundings for Silence {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Change> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// Waits until it is so; a test that waits in vain fails by name.
pub(in crate::link) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}
