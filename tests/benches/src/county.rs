//! A county of one hub and one village for the benchmarks, made and worked in process by the
//! product's own desks: what they hold afterwards is what real work would have left.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    founding::{Desk, found},
    generate::{self, By, Case, Change, Fields, What},
};
use anyhow::{Context as _, Result, anyhow, bail};
use cuntong_node::{
    clock::{self, Clock},
    demo::exchange::{exchange, exchange_heard},
    desk::{NoLinks, NodeDesk},
    exit::Failure,
    store::Store,
    view,
};
use cuntong_protocol::{
    act::{Accept, ActBody, Close, Decide, Deliver, DeliveryWay, Mandate, Reason},
    command::{Actor, Command, LogCase},
    id::CaseId,
    refusal::Refusal,
    text::Private,
    time::Millis,
    wire::{
        codec,
        frame::Deflater,
        window::{self, DICTIONARIES},
    },
};

/// The product's directory inside a peer's.
pub(crate) const STATE: &str = "state";
/// Workload id → case id, one pair a line.
const IDS: &str = "ids";
/// Cases worked on between two meetings.
const CHUNK: usize = 200;
/// Steps after which the two sides meet.
const MEET_AFTER: [usize; 5] = [1, 3, 4, 5, 6];
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

/// All machines of a county while it works.
struct Chain {
    hub: End,
    /// Between the two, where there is a township.
    township: Option<End>,
    node: End,
}

/// Both ends hold the workload's cases, in sync; `spare` is a new machine at the same place as the
/// node that holds none.
///
/// # Errors
/// A workload that the rules refuse, a failing disk.
pub fn prepare(work: &Path, hub: &Path, node: &Path, spare: &Path) -> Result<()> {
    found(&[
        (hub, Desk::County),
        (node, Desk::Village),
        (spare, Desk::Village),
    ])?;
    let chain = Chain {
        hub: End::open(hub)?,
        township: None,
        node: End::open(node)?,
    };
    chain.live(work, &[hub, node, spare])
}

/// County, township and village hold the workload's cases, in sync.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_chain(work: &Path, hub: &Path, township: &Path, node: &Path) -> Result<()> {
    found(&[
        (hub, Desk::County),
        (township, Desk::Township),
        (node, Desk::Village),
    ])?;
    let chain = Chain {
        hub: End::open(hub)?,
        township: Some(End::open(township)?),
        node: End::open(node)?,
    };
    chain.live(work, &[hub, township, node])
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

impl Chain {
    /// Works on all cases of a workload, and ends.
    fn live(mut self, work: &Path, dirs: &[&Path]) -> Result<()> {
        let mut chunk = Vec::new();
        for case in generate::read::<Case>(work, "initial.jsonl")? {
            chunk.push(case?);
            if chunk.len() == CHUNK {
                self.work(&std::mem::take(&mut chunk))?;
            }
        }
        self.work(&chunk)?;
        write_ids(&self.node.ids, dirs)?;
        let ends = [Some(self.hub), self.township, Some(self.node)];
        for end in ends.into_iter().flatten() {
            end.store.close()?;
        }
        Ok(())
    }

    fn work(&mut self, cases: &[Case]) -> Result<()> {
        for step in 0..generate::STEPS {
            for case in cases {
                let one = &case.steps[step];
                match one.by {
                    By::Node => self.node.act(By::Node, &case.id, one.act, &one.set)?,
                    By::Hub => {
                        let known = self.node.ids.get(&case.id).copied();
                        let known = known.context("the node logs a case first")?;
                        let _new = self.hub.ids.insert(case.id.clone(), known);
                        self.hub.act(By::Hub, &case.id, one.act, &one.set)?;
                    }
                }
            }
            if MEET_AFTER.contains(&step) {
                self.meet()?;
            }
        }
        Ok(())
    }

    fn meet(&self) -> Result<()> {
        let ends = [Some(&self.hub), self.township.as_ref(), Some(&self.node)];
        let ends: Vec<&End> = ends.into_iter().flatten().collect();
        let now = ends.iter().map(|end| end.clock.now()).max();
        let now = now.context("there are ends")?;
        for end in &ends {
            end.clock.set(now);
        }
        let met =
            |lower: &End, upper: &End| exchange(&lower.store, &upper.store, now).map_err(fault);
        match &self.township {
            None => met(&self.node, &self.hub),
            Some(township) => {
                met(&self.node, township)?;
                met(township, &self.hub)?;
                met(&self.node, township)
            }
        }
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
        let case = self.ids.get(id).copied();
        let perform = |again| -> Result<_> {
            let command = command(case, id, act, set, again)?;
            Ok(self.desk.perform_blocking(&actor, command))
        };
        let mut done = perform(false)?;
        // Among a hundred thousand cases some are of one person and one item.
        if let Err(Refusal::Duplicate { .. }) = done {
            done = perform(true)?;
        }
        let done = done.map_err(refused)?;
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

fn command(
    case: Option<CaseId>,
    id: &str,
    act: What,
    set: &Fields,
    again: bool,
) -> Result<Command> {
    let text = |field: &str| set.get(field).cloned().unwrap_or_default();
    let body = match act {
        What::Create => return log(id, set, again),
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

fn log(id: &str, set: &Fields, again: bool) -> Result<Command> {
    let mut log = LogCase {
        receive: true,
        duplicate_reason: again.then(|| "另一件事".to_owned()),
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

/// Writes a list that [`read_ids`] reads into each directory.
///
/// # Errors
/// The disk's.
pub(crate) fn write_ids(ids: &BTreeMap<String, CaseId>, dirs: &[&Path]) -> Result<()> {
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

/// Each of these directories knows all the ids that one of them knows.
///
/// # Errors
/// The directories were not prepared.
pub(crate) fn share_ids(dirs: &[&Path]) -> Result<()> {
    let mut all = BTreeMap::new();
    for dir in dirs {
        all.append(&mut read_ids(dir)?);
    }
    write_ids(&all, dirs)
}

fn ids_file(dir: &Path) -> PathBuf {
    dir.join(IDS)
}
