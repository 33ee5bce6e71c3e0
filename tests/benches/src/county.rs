//! A county of one hub and one village for the benchmarks, made and worked in process by the
//! product's own desks: what they hold afterwards is what real work would have left.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow, bail};
use cuntong_node::{
    clock::{self, Chance, Clock},
    config,
    demo::exchange::{exchange, exchange_heard},
    desk::{NoLinks, NodeDesk},
    exit::Failure,
    identity,
    store::Store,
    view,
};
use cuntong_protocol::{
    act::{Accept, ActBody, Close, Decide, Deliver, DeliveryWay, Mandate, Reason},
    command::{Actor, Command, LogCase},
    control::sample,
    id::{CaseId, SiteId},
    refusal::Refusal,
    role::Role,
    text::Private,
    time::Millis,
    wire::{
        codec,
        frame::Deflater,
        window::{self, DICTIONARIES},
    },
};
use cuntong_provisioning::{
    County,
    county::{HashCost, Memory, NewPerson},
    enrol::Joining,
    folder::replace,
    ticket::{DAYS_DEFAULT, Purpose},
};

use crate::{
    generate::{self, By, Case, Change, Fields, What},
    words,
};

/// The product's directory inside a peer's.
pub(crate) const STATE: &str = "state";
/// Workload id → case id, one pair a line.
const IDS: &str = "ids";
/// Cases worked on between two meetings.
const CHUNK: usize = 200;
/// Steps after which the two sides meet.
const MEET_AFTER: [usize; 5] = [1, 3, 4, 5, 6];
const FOUNDED_BEFORE_MS: i64 = 120 * 86_400_000;
const CODES: [(&str, &str); 3] = [
    ("349955000000", "青陂县"),
    ("349955101000", "长滩乡"),
    ("349955101201", "上岭村"),
];
/// Logins; workloads name people by them.
pub(crate) const HUB_PEOPLE: [&str; 2] = ["p-01", "p-02"];
pub(crate) const NODE_PEOPLE: [&str; 2] = ["p-11", "p-12"];

/// One end, opened in this process.
struct End {
    store: Store,
    clock: Clock,
    desk: NodeDesk,
    ids: BTreeMap<String, CaseId>,
}

/// Both ends hold the workload's cases, in sync; `spare` is a new machine at the same place as the
/// node that holds none.
///
/// # Errors
/// A workload that the rules refuse, a failing disk.
pub fn prepare(work: &Path, hub: &Path, node: &Path, spare: &Path) -> Result<()> {
    found(&[hub, node, spare])?;
    let mut ends = (End::open(hub)?, End::open(node)?);
    let mut chunk = Vec::new();
    for case in generate::read::<Case>(work, "initial.jsonl")? {
        chunk.push(case?);
        if chunk.len() == CHUNK {
            ends.work(&std::mem::take(&mut chunk))?;
        }
    }
    ends.work(&chunk)?;
    let (hub_end, node_end) = ends;
    write_ids(&node_end.ids, &[hub, node, spare])?;
    hub_end.store.close()?;
    node_end.store.close()?;
    Ok(())
}

/// The day: each side goes on alone.
///
/// # Errors
/// As [`prepare`].
pub fn apply(work: &Path, hub: &Path, node: &Path) -> Result<()> {
    let mut ids = read_ids(node)?;
    for (dir, file, by) in [(node, "up.jsonl", By::Node), (hub, "down.jsonl", By::Hub)] {
        let mut end = End::open(dir)?;
        end.ids = std::mem::take(&mut ids);
        for change in generate::read::<Change>(work, file)? {
            let change = change?;
            end.act(by, &change.id, change.act, &change.set)?;
        }
        ids = std::mem::take(&mut end.ids);
        end.store.close()?;
    }
    write_ids(&ids, &[hub, node])
}

/// A meeting of two prepared directories in this process: what of each kind of message crossed.
///
/// # Errors
/// The ends do not come to agree.
pub fn weigh(hub: &Path, node: &Path) -> Result<BTreeMap<(&'static str, String), Weight>> {
    let (hub, node) = (End::open(hub)?, End::open(node)?);
    let now = Clock::system(None).now();
    let mut windows = [Deflater::default(), Deflater::default()];
    for window in &mut windows {
        window.prime(&DICTIONARIES[0])?;
    }
    let mut weights: BTreeMap<(&'static str, String), Weight> = BTreeMap::new();
    let mut failed = None;
    exchange_heard(&node.store, &hub.store, now, &mut |up, message| {
        let bytes = codec::encode(message);
        match window::frame(&mut windows[usize::from(up)], &bytes) {
            Ok(frame) => {
                let name = format!("{message:?}");
                let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
                let way = if up { "up" } else { "down" };
                let weight = weights.entry((way, name)).or_default();
                weight.messages += 1;
                weight.bytes += bytes.len() as u64;
                weight.framed += frame.len() as u64;
            }
            Err(error) => failed = Some(error),
        }
    })
    .map_err(fault)?;
    hub.store.close()?;
    node.store.close()?;
    failed.map_or(Ok(weights), |error| Err(error.into()))
}

/// Messages of one kind.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Weight {
    pub messages: u64,
    /// Before the window.
    pub bytes: u64,
    /// On the stream.
    pub framed: u64,
}

trait Work {
    fn work(&mut self, cases: &[Case]) -> Result<()>;
}

impl Work for (End, End) {
    fn work(&mut self, cases: &[Case]) -> Result<()> {
        for step in 0..generate::STEPS {
            for case in cases {
                let one = &case.steps[step];
                match one.by {
                    By::Node => self.1.act(By::Node, &case.id, one.act, &one.set)?,
                    By::Hub => {
                        let known = self.1.ids.get(&case.id).copied();
                        let known = known.context("the node logs a case first")?;
                        let _new = self.0.ids.insert(case.id.clone(), known);
                        self.0.act(By::Hub, &case.id, one.act, &one.set)?;
                    }
                }
            }
            if MEET_AFTER.contains(&step) {
                let now = self.0.clock.now().max(self.1.clock.now());
                self.0.clock.set(now);
                self.1.clock.set(now);
                exchange(&self.1.store, &self.0.store, now).map_err(fault)?;
            }
        }
        Ok(())
    }
}

impl End {
    fn open(dir: &Path) -> Result<Self> {
        let clock = Clock::by_hand(Millis(0));
        let now = Clock::system(None).now();
        let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
        let desk = NodeDesk::new(store.clone(), clock.clone(), Arc::new(NoLinks));
        let ids = BTreeMap::new();
        Ok(Self {
            store,
            clock,
            desk,
            ids,
        })
    }

    /// One step of the workload, as a person of this desk.
    fn act(&mut self, by: By, id: &str, act: What, set: &Fields) -> Result<()> {
        let at = labelled(set, "act.", ".at").parse()?;
        // A desk's clock does not go back.
        self.clock.set(self.clock.now().max(Millis(at)));
        let who = labelled(set, "act.", ".by");
        let actor = self.actor(by, who.split('/').next().unwrap_or_default())?;
        let command = command(self.ids.get(id).copied(), id, act, set)?;
        let done = self
            .desk
            .perform_blocking(&actor, command)
            .map_err(refused)?;
        if let Some(case) = done.case {
            let _new = self.ids.insert(id.to_owned(), case);
        }
        Ok(())
    }

    fn actor(&self, by: By, login: &str) -> Result<Actor> {
        let people = match by {
            By::Node => NODE_PEOPLE,
            By::Hub => HUB_PEOPLE,
        };
        let login = if people.contains(&login) {
            login
        } else {
            people[0]
        };
        Ok(self.desk.who_blocking(login).map_err(refused)?.actor)
    }
}

fn refused(refusal: Refusal) -> anyhow::Error {
    anyhow!("the rules refuse the workload: {refusal:?}")
}

fn fault(failure: Failure) -> anyhow::Error {
    anyhow!("{failure}")
}

/// The value of the field that begins and ends so.
fn labelled<'a>(set: &'a Fields, begin: &str, end: &str) -> &'a str {
    set.iter()
        .find(|(field, _)| field.starts_with(begin) && field.ends_with(end))
        .map_or("", |(_, value)| value)
}

fn command(case: Option<CaseId>, id: &str, act: What, set: &Fields) -> Result<Command> {
    let text = |field: &str| set.get(field).cloned().unwrap_or_default();
    let body = match act {
        What::Create => return log(id, set),
        What::Amend => {
            let field = labelled(set, "amend.", ".field").to_owned();
            return Ok(Command::Amend {
                case: case.context("a case nobody logged")?,
                value: Private::new(text(&field)),
                field,
                reason: labelled(set, "amend.", ".reason").to_owned(),
            });
        }
        What::Accept => ActBody::Accept(Accept {
            note: text("accept.note"),
            ..Accept::default()
        }),
        What::Review => ActBody::Review(Reason {
            text: labelled(set, "review.", ".text").to_owned(),
        }),
        What::Decide => ActBody::Decide(Decide {
            granted: true,
            reason: text("decide.reason"),
            remedies: String::new(),
        }),
        What::Close => ActBody::Close(Close {
            result: text("close.result"),
            result_number: text("close.number"),
        }),
        What::Deliver => ActBody::Deliver(Deliver {
            way: match text("deliver.way").as_str() {
                "mailed" => DeliveryWay::Mailed,
                "brought" => DeliveryWay::Brought,
                _other => DeliveryWay::Collected,
            },
            receiver: None,
            note: text("deliver.note"),
        }),
    };
    let case = case.context("a case nobody logged")?;
    Ok(Command::Act { case, body })
}

fn log(id: &str, set: &Fields) -> Result<Command> {
    let mut log = LogCase {
        receive: true,
        once: Some(u128::from_str_radix(id, 16)?.to_be_bytes()),
        ..LogCase::default()
    };
    for (field, value) in set {
        if field == "mandate" {
            log.mandate = Some(Mandate {
                may_collect: true,
                ..Mandate::default()
            });
        } else if field == "item" {
            log.item.clone_from(value);
        } else if let Some(line) = field.strip_prefix("material.") {
            let _before = log.materials.insert(line.parse()?, value.clone());
        } else if !field.starts_with("act.") {
            let _before = log
                .fields
                .insert(field.clone(), Private::new(value.clone()));
        }
    }
    Ok(Command::Log(log))
}

/// Founds the county and enrols a machine for each directory: the hub, then the village's.
fn found(dirs: &[&Path; 3]) -> Result<()> {
    let now = Clock::system(None).now();
    let then = now.after(-FOUNDED_BEFORE_MS);
    let mut county = County::create(
        HashCost::SAMPLE,
        Box::new(Memory::default()),
        &mut Chance,
        then,
    )?
    .county;
    let mut places = "code,name\n".to_owned();
    for (code, name) in CODES {
        places.push_str(&format!("{code},{name}\n"));
    }
    let _added = county.add_places(&places, then)?;
    let _items = county.publish_catalogue(&catalogue(), then)?;
    let _years = county.publish_calendar(sample::CALENDAR_CSV, then)?;
    let (hub, village) = (
        county.place(CODES[0].0)?.site,
        county.place(CODES[2].0)?.site,
    );
    let desks = [
        (hub, HUB_PEOPLE, vec![Role::CountyClerk, Role::Decider]),
        (village, NODE_PEOPLE, vec![Role::Agent]),
    ];
    for (site, logins, roles) in desks {
        for (login, name) in logins.into_iter().zip(["康若水", "卜远山"]) {
            let person = NewPerson {
                site,
                name: name.to_owned(),
                login: login.to_owned(),
                roles: roles.clone(),
                password: "changtan-2026".to_owned(),
                until: None,
            };
            let _id = county.add_person(person, &mut Chance, then)?;
        }
    }
    let mut stores = Vec::new();
    for (dir, site) in dirs.iter().zip([hub, village, village]) {
        fs::create_dir_all(dir.join(STATE))?;
        let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
        enrol(&mut county, site, &store, now)?;
        stores.push((store, site));
    }
    for (store, site) in stores {
        let documents = county.controls_for(site);
        store.write(move |db| {
            for document in &documents {
                // What is held already is the same or older.
                let _same_or_new = db.take_control(document, now);
            }
            Ok(())
        })?;
        store.close()?;
    }
    Ok(())
}

fn enrol(county: &mut County, site: SiteId, store: &Store, now: Millis) -> Result<()> {
    let hubs = ["127.0.0.1:4600".to_owned()];
    let ticket = county.ticket(site, Purpose::New, &hubs, DAYS_DEFAULT, &mut Chance, now)?;
    let joining = Joining::begin(ticket, &mut Chance, now)?;
    let issued = county.grant(joining.request(), false, &mut Chance, now)?;
    let joined = joining.finish(&issued.grant)?;
    let _node = store.write(move |db| identity::become_node(db, &joining, &joined, now))?;
    Ok(())
}

/// The items of the workload, as the registrar's file has them.
fn catalogue() -> String {
    let header = sample::ITEMS_CSV.lines().next().unwrap_or_default();
    let mut csv = format!("{header}\n");
    for (code, name, materials) in words::ITEMS {
        csv.push_str(&format!(
            "{code},{name},行政给付,village,county,民政局,30,20,no,{},0,{name},,,,calendar_day,yes,no,publish_minimal,S,sample\n",
            materials.join(";")
        ));
    }
    csv
}

/// The settings a measured node runs with.
///
/// # Errors
/// A failing disk.
pub(crate) fn settings(
    dir: &Path,
    web: u16,
    listen: Option<&str>,
    upstream: Option<&str>,
) -> Result<()> {
    let mut text = format!(
        "[web]\nlisten = \"127.0.0.1:{web}\"\n\n[log]\nfile = true\n\n[inbox]\nwatch = false\n\n\
         [link]\nretry_first_ms = 60000\nretry_max_ms = 600000\n"
    );
    if let Some(listen) = listen {
        text.push_str(&format!("listen = \"{listen}\"\n"));
    }
    if let Some(upstream) = upstream {
        text.push_str(&format!("upstream = [\"{upstream}\"]\n"));
    }
    Ok(replace(
        &dir.join(STATE).join(config::FILE),
        text.as_bytes(),
    )?)
}

fn write_ids(ids: &BTreeMap<String, CaseId>, dirs: &[&Path]) -> Result<()> {
    let mut text = String::new();
    for (id, case) in ids {
        text.push_str(&format!("{id} {case}\n"));
    }
    for dir in dirs {
        fs::write(ids_file(dir), &text)?;
    }
    Ok(())
}

/// Workload id → case id.
///
/// # Errors
/// The directory was not prepared.
pub(crate) fn read_ids(dir: &Path) -> Result<BTreeMap<String, CaseId>> {
    let text = fs::read_to_string(ids_file(dir)).context("the directory was not prepared")?;
    let mut ids = BTreeMap::new();
    for line in text.lines() {
        let Some((id, case)) = line.split_once(' ') else {
            bail!("a damaged list of ids");
        };
        let case = case
            .parse()
            .map_err(|_bad| anyhow!("a damaged list of ids"))?;
        let _new = ids.insert(id.to_owned(), case);
    }
    Ok(ids)
}

fn ids_file(dir: &Path) -> PathBuf {
    dir.join(IDS)
}
