//! A county of three real processes that can be ended in the middle of a message: the hub, a
//! township that relays, and a village, each `cuntong run` over QUIC on this machine's loopback.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use cuntong_node::{
    clock::{self, Chance, Clock},
    config, control_socket,
    exit::Failure,
    identity,
    request::Request,
    store::Store,
    view,
};
use cuntong_protocol::{
    control::{ControlKey, sample},
    id::NodeId,
    role::Role,
    time::Millis,
};
use cuntong_provisioning::{
    County,
    county::{Founded, HashCost, Memory, NewPerson},
    enrol::Joining,
    ticket::{DAYS_DEFAULT, Purpose, Ticket},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{dice::Dice, process::executable};

mod check;
mod first;
mod rounds;
mod tape;
mod target;
mod work;

pub use rounds::{Outcome, Rounds};
pub use tape::Tape;
pub use target::{KINDS, Moment, Recipe, Target, targets};

pub const HUB: usize = 0;
pub const TOWN: usize = 1;
pub const VILLAGE: usize = 2;
/// Names of the three, by place.
pub const ROLES: [&str; 3] = ["hub", "township", "village"];
const CODES: [&str; 3] = ["349901000000", "349901101000", "349901101201"];
/// Logins, by place.
const LOGINS: [&str; 3] = ["xian", "zhen", "cun"];
/// Agents of the village whose time at the desk ends, one for each refusal.
const PASSING: usize = 24;
const FOUNDED_BEFORE_MS: i64 = 120 * 24 * 3_600 * 1000;
/// Between two looks at something that other processes bring about.
const LOOK: Duration = Duration::from_millis(40);
/// Looks until it is given up: two minutes and a half.
const LOOKS: usize = 3_750;

/// One machine.
#[derive(Debug)]
struct Machine {
    dir: PathBuf,
    node: NodeId,
    child: Option<Child>,
}

/// The county.
pub struct Rig {
    runtime: Runtime,
    folder: TempDir,
    county: County,
    machines: [Machine; 3],
    dice: Dice,
    tape: Tape,
    /// By token: saved, a person was told so.
    deeds: BTreeSet<String>,
    /// Refused on purpose: never at the hub.
    refused: BTreeSet<String>,
    /// How many of them the village's machine has in its tray.
    tray: usize,
    cases: Vec<work::Case>,
    /// Agents of the village whose time has not ended.
    passing: Vec<String>,
    /// Whose ended last.
    ended_login: String,
    next: u64,
}

impl Rig {
    /// Founds the county, enrols its machines and starts them; they have met when this returns.
    pub fn new(seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = Clock::system(None).now();
        let mut county = found(now);
        let addresses = [free_address(), free_address()];
        let mut stores = Vec::new();
        for place in [HUB, TOWN, VILLAGE] {
            let dir = folder.path().join(ROLES[place]);
            fs::create_dir_all(&dir).expect("a folder");
            let store = Store::open(&dir, now, clock::random(), &view::ROWS, 1);
            let store = store.expect("a new directory");
            let node = enrol(&mut county, place, &store, now);
            settings(&dir, place, &addresses);
            stores.push((dir, store, node));
        }
        let machines = stores.into_iter().map(|(dir, store, node)| {
            tell(&county, &store, now);
            store.close().expect("it closes in order");
            Machine {
                dir,
                node,
                child: None,
            }
        });
        let machines: Vec<_> = machines.collect();
        let machines = machines.try_into().expect("three machines");
        let mut rig = Self {
            runtime,
            folder,
            county,
            machines,
            dice: Dice::new(seed),
            tape: Tape::default(),
            deeds: BTreeSet::new(),
            refused: BTreeSet::new(),
            tray: 0,
            cases: Vec::new(),
            passing: (0..PASSING).map(passing).collect(),
            ended_login: String::new(),
            next: 0,
        };
        rig.heal();
        rig.settle("the first meeting");
        rig
    }

    /// Where the machines live; kept when a round fails.
    pub fn keep_folder(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// What was said so far.
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    fn dir(&self, at: usize) -> &Path {
        &self.machines[at].dir
    }

    fn file(&self, at: usize, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{kind}", ROLES[at]))
    }

    /// Starts a machine that is off and waits until it answers; true when it ended before that,
    /// as one does that is to die at its first word.
    fn start(&mut self, at: usize) -> bool {
        if self.machines[at].child.is_some() {
            return false;
        }
        let errors = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file(at, "errors"))
            .expect("a file for errors");
        let child = Command::new(executable("cuntong"))
            .args(["run", "--dir"])
            .arg(self.dir(at))
            .env("CUNTONG_FAULT", self.file(at, "fault"))
            .env("CUNTONG_TAPE", self.file(at, "tape"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the executable starts");
        self.machines[at].child = Some(child);
        for _look in 0..LOOKS {
            if self.ask(at, &Request::Status).is_some() {
                return false;
            }
            if self.ended(at) {
                return true;
            }
            self.pause();
        }
        panic!("{} does not answer", ROLES[at]);
    }

    /// Whether a machine's process is over; it is off then.
    fn ended(&mut self, at: usize) -> bool {
        let child = self.machines[at].child.as_mut();
        let over = child.is_none_or(|c| c.try_wait().is_ok_and(|status| status.is_some()));
        if over {
            self.machines[at].child = None;
        }
        over
    }

    /// Pulls the plug from outside.
    fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.machines[at].child.take() {
            child.kill().expect("it runs");
            let _status = child.wait().expect("it ends");
        }
    }

    /// Shuts a machine down in order.
    fn stop(&mut self, at: usize) {
        if let Some(mut child) = self.machines[at].child.take() {
            let told = Command::new("kill")
                .args(["-TERM", &child.id().to_string()])
                .status();
            assert!(told.is_ok_and(|s| s.success()), "it ran");
            let status = child.wait().expect("it ends");
            assert!(status.success(), "{} ended with {status}", ROLES[at]);
        }
    }

    /// Asks a machine over its control socket; `None` when nobody answers there.
    fn ask(&self, at: usize, request: &Request) -> Option<Result<Value, Failure>> {
        self.runtime
            .block_on(control_socket::ask(self.dir(at), request))
    }

    /// Unplugs a machine, or plugs it in again; one that is off finds it so when it starts.
    fn plug(&self, at: usize, up: bool) {
        let done = self.ask(at, &Request::Link { up });
        if done.is_none_or(|reply| reply.is_err()) {
            let flag = self.dir(at).join("unplugged");
            if up {
                let _was_plugged = fs::remove_file(flag);
            } else {
                fs::write(flag, b"").expect("a flag");
            }
        }
    }

    /// Everything is on and plugged in.
    fn heal(&mut self) {
        for at in [HUB, TOWN, VILLAGE] {
            let _none_armed = fs::remove_file(self.file(at, "fault"));
        }
        for at in [HUB, TOWN, VILLAGE] {
            self.plug(at, true);
            let _ended = self.ended(at);
            assert!(!self.start(at), "{} does not stay on", ROLES[at]);
            self.plug(at, true);
        }
    }

    /// From now on the machine ends at that moment.
    fn arm(&self, target: &Target) {
        let told = format!("{} {} {}\n", target.moment.word(), target.kind, target.nth);
        let path = self.file(target.victim(), "fault");
        let new = path.with_extension("new");
        fs::write(&new, told).expect("the fault is written");
        fs::rename(&new, &path).expect("the fault is armed");
    }

    /// Whether it ended at the moment it was armed for.
    fn struck(&self, at: usize) -> bool {
        fs::remove_file(self.file(at, "hit")).is_ok()
    }

    fn pause(&self) {
        self.runtime
            .block_on(async { tokio::time::sleep(LOOK).await });
    }

    /// Waits for a while for something.
    fn within(&mut self, looks: usize, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        for _look in 0..looks {
            if done(self) {
                return true;
            }
            self.pause();
        }
        false
    }

    fn now() -> Millis {
        Clock::system(None).now()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for at in [VILLAGE, TOWN, HUB] {
            if let Some(mut child) = self.machines[at].child.take() {
                let _gone = child.kill();
                let _status = child.wait();
            }
        }
    }
}

fn passing(n: usize) -> String {
    format!("cun-{n:02}")
}

fn found(now: Millis) -> County {
    let then = now.after(-FOUNDED_BEFORE_MS);
    let keeper = Box::new(Memory::default());
    let founded = County::create(HashCost::SAMPLE, keeper, &mut Chance, then);
    let Founded { mut county, .. } = founded.expect("a county is founded");
    let names = ["云麓县", "北乡镇", "石桥村"];
    let mut places = "code,name\n".to_owned();
    for (code, name) in CODES.iter().zip(names) {
        places.push_str(&format!("{code},{name}\n"));
    }
    let _added = county.add_places(&places, then).expect("places");
    let items = county.publish_catalogue(sample::ITEMS_CSV, then);
    let _items = items.expect("a catalogue");
    let days = county.publish_calendar(sample::CALENDAR_CSV, then);
    let _days = days.expect("a calendar");
    let roles = [
        vec![Role::CountyClerk, Role::Decider, Role::Publisher],
        vec![Role::Clerk, Role::Decider, Role::Publisher],
        vec![Role::Agent, Role::Publisher],
    ];
    for (place, roles) in roles.into_iter().enumerate() {
        person(&mut county, place, LOGINS[place], roles, then);
    }
    for n in 0..PASSING {
        person(&mut county, VILLAGE, &passing(n), vec![Role::Agent], then);
    }
    county
}

fn person(county: &mut County, place: usize, login: &str, roles: Vec<Role>, then: Millis) {
    let person = NewPerson {
        site: county.place(CODES[place]).expect("a place").site,
        name: "康若水".to_owned(),
        login: login.to_owned(),
        roles,
        password: "yangli-2026".to_owned(),
        until: None,
    };
    let id = county.add_person(person, &mut Chance, then);
    let _id = id.expect("a person");
}

fn enrol(county: &mut County, place: usize, store: &Store, now: Millis) -> NodeId {
    let site = county.place(CODES[place]).expect("a place").site;
    let ticket = county.ticket(site, Purpose::New, &[], DAYS_DEFAULT, &mut Chance, now);
    joins(county, ticket.expect("a ticket"), store, now)
}

/// Whoever presents that ticket becomes a node.
fn joins(county: &mut County, ticket: Ticket, store: &Store, now: Millis) -> NodeId {
    let joining = Joining::begin(ticket, &mut Chance, now).expect("it asks");
    let issued = county.grant(joining.request(), false, &mut Chance, now);
    let joined = joining.finish(&issued.expect("it is granted").grant);
    let joined = joined.expect("the grant is good");
    let made = store.write(move |db| identity::become_node(db, &joining, &joined, now));
    made.expect("it becomes a node")
}

/// Who enrolled early has an older roster than the last.
fn tell(county: &County, store: &Store, now: Millis) {
    let site = store.read(|db| db.site()).expect("a site");
    let documents = county.controls_for(site);
    let told = store.write(move |db| {
        for document in &documents {
            let _same_or_new = db.take_control(document, now);
        }
        Ok(())
    });
    told.expect("documents are taken");
}

fn settings(dir: &Path, place: usize, addresses: &[SocketAddr; 2]) {
    let mut text = format!(
        "[web]\nlisten = \"{}\"\n\n[log]\nfile = true\n\n[inbox]\nwatch = false\n\n\
         [demo]\nswitch = true\n\n[link]\ncarrier = \"quic\"\nretry_first_ms = 50\n\
         retry_max_ms = 300\nidle_ms = 1500\nkeep_alive_ms = 500\nhandshake_ms = 2000\n\
         hello_ms = 2000\n",
        free_address()
    );
    if place != VILLAGE {
        text.push_str(&format!("listen = \"{}\"\n", addresses[place]));
    }
    if place != HUB {
        text.push_str(&format!("upstream = [\"{}\"]\n", addresses[place - 1]));
    }
    fs::write(dir.join(config::FILE), text).expect("the settings are written");
}

/// Somewhere nobody listens, by TCP and by UDP, as far as one can know.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// A document as its newest signed bytes.
fn document(county: &County, key: ControlKey) -> Vec<u8> {
    county.trust().bytes(key).expect("it was said").to_vec()
}

/// How often each thing was counted.
pub type Counts<K> = BTreeMap<K, u64>;
