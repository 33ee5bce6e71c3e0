//! B4: a node's past is not what it was. Its state is put back to a copy from before a day that the
//! hub has acknowledged, or goes on twice on two machines; both ends have worked since. Nothing
//! that was written may be lost, and no document may stay unequal.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::{
    county::{self, STATE},
    cuntong::{self, Calls, Node, Settings, WEB, agree},
    day,
    generate::{self, Change},
    link::{Link, Side},
    peer::{Begin, Peer},
    plan::{Ends, Plan, copy},
    process::{self, pause},
    profile::Profile,
    runner::{Carriage, carriage, when_quiet},
    table::{Out, median},
};

/// Sessions after which ends that are not equal stay so.
const ROUNDS: u32 = 6;
/// How long a session may take to come to agreement.
const AGREE_WITHIN: Duration = Duration::from_secs(10);
/// How long two machines of one key may run before one is told.
const ROUND_WITHIN: Duration = Duration::from_secs(60);
/// Ends that agree are looked at once more after this.
const STAYS: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Cases shown that are not as they were written.
const SHOWN: usize = 2;
/// The machine's part of a marker, sixteen hexadecimal digits.
const ANOTHER_MACHINE: &str = "00112233445566ff";

/// What happened to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mishap {
    /// The copy of the day before is back.
    Restored,
    /// Its folder runs on a second machine too.
    Cloned,
    /// So it does, and the machines cannot be told apart: a copied virtual machine.
    Twin,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: &'static str,
    pub mishap: Mishap,
    pub peer: String,
    pub cases: u64,
    pub profile: String,
    pub run: u32,
    /// From the order to sync until all ends said that they are equal.
    pub seconds: f64,
    /// Until one of two machines of one key was told so.
    pub told_s: Option<f64>,
    /// They came to say so.
    pub agreed: bool,
    pub rounds: u32,
    pub up: Carriage,
    pub down: Carriage,
    /// Changed cases, and how many of them some end does not hold as they were written.
    pub written: usize,
    /// Of those that the hub had acknowledged before.
    pub lost_acknowledged: usize,
    /// Of those it had not.
    pub lost_since: usize,
    /// Changed cases, and every twentieth of all, that differ between two ends.
    pub wedged: usize,
    /// Some of the cases that are not as they were written, and what each end reads.
    pub differ: Vec<(String, Vec<Value>)>,
    /// What the product's own tray of refused work shows.
    pub refused: Option<u64>,
    /// The product's own words for why a new epoch began.
    pub recognised: Vec<String>,
}

/// Header of its table.
pub const HEADER: &str = "\
| row | peer | cases | link | one told after s | agreed | sessions | time s | up B | down B | written | lost, acknowledged | lost, not yet | wedged | refused | recognised as |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Runs the row.
///
/// # Errors
/// The peer's, the link's, the disk's.
pub fn run(mishap: Mishap, plan: &Plan, out: &mut Out) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let ends = plan.ends(Begin::InSync)?;
        let run = match mishap {
            Mishap::Restored => restored(plan, &ends, number)?,
            Mishap::Cloned | Mishap::Twin => cloned(mishap, plan, &ends, number)?,
        };
        out.tell(&run)?;
        runs.push(run);
    }
    Ok(runs)
}

/// Case → what it should read, and whether the hub acknowledged it before the mishap.
type Written = BTreeMap<String, (Value, bool)>;

fn restored(plan: &Plan, ends: &Ends, number: u32) -> Result<Run> {
    let backup = backup(plan, ends)?;
    let days = days(plan)?;
    plan.peer.apply(&days[0], &ends.hub, &ends.node)?;
    let quick = Profile::named("plain").context("a profile")?;
    let met = meet(plan, &quick, &ends.hub, &[&ends.node])?;
    ensure!(met.agreed, "the day before did not come to agreement");
    let mut written = Written::new();
    note(plan, &mut written, &ends.hub, &ids(&days[0])?, true)?;
    restore(plan, ends, &backup)?;
    plan.peer.apply(&days[1], &ends.hub, &ends.node)?;
    note_day(plan, &mut written, &days[1], (&ends.hub, &ends.node))?;
    let met = meet(plan, &plan.profile_of(number), &ends.hub, &[&ends.node])?;
    judged(
        Mishap::Restored,
        plan,
        number,
        (ends, &[&ends.node]),
        &written,
        met,
    )
}

fn cloned(mishap: Mishap, plan: &Plan, ends: &Ends, number: u32) -> Result<Run> {
    let days = days(plan)?;
    let clone = ends.at.join("clone");
    copy(&ends.node, &clone)?;
    if let (Mishap::Cloned, Peer::Cuntong(_)) = (mishap, &plan.peer) {
        another_machine(&clone)?;
    }
    let mut written = Written::new();
    for (day, node) in days.iter().zip([&ends.node, &clone]) {
        plan.peer.apply(day, &ends.hub, node)?;
        note_day(plan, &mut written, day, (&ends.hub, node))?;
    }
    let nodes: [&Path; 2] = [&ends.node, &clone];
    let met = meet(plan, &plan.profile_of(number), &ends.hub, &nodes)?;
    judged(mishap, plan, number, (ends, &nodes), &written, met)
}

/// The workload's day, and another one after it.
fn days(plan: &Plan) -> Result<[PathBuf; 2]> {
    let work = plan.workload()?;
    let second = plan
        .scratch
        .join(format!("day-{}-{}", plan.cases, plan.seed));
    day::write(&second, plan.seed, plan.cases, day::SECOND)?;
    Ok([work, second])
}

fn ids(day: &Path) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for file in ["up.jsonl", "down.jsonl"] {
        for change in generate::read::<Change>(day, file)? {
            ids.push(change?.id);
        }
    }
    Ok(ids)
}

/// Notes what some cases read in a folder.
fn note(
    plan: &Plan,
    written: &mut Written,
    dir: &Path,
    ids: &[String],
    acknowledged: bool,
) -> Result<()> {
    for (id, state) in plan.peer.read(dir, ids)? {
        ensure!(!state.is_null(), "a case that was written is not there");
        let _before = written.insert(id, (state, acknowledged));
    }
    Ok(())
}

/// Notes what each side wrote on a day, as it reads there.
fn note_day(
    plan: &Plan,
    written: &mut Written,
    day: &Path,
    (hub, node): (&Path, &Path),
) -> Result<()> {
    for (file, dir) in [("up.jsonl", node), ("down.jsonl", hub)] {
        let ids = generate::read::<Change>(day, file)?.map(|change| Ok(change?.id));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        note(plan, written, dir, &ids, false)?;
    }
    Ok(())
}

/// A copy of the node's state as it is: by the product's own command, or of the folder.
fn backup(plan: &Plan, ends: &Ends) -> Result<PathBuf> {
    let to = ends.at.join("backup");
    match &plan.peer {
        Peer::Cuntong(executable) => product(executable, &ends.node, "backup", &to)?,
        Peer::Other(_) => copy(&ends.node, &to)?,
    }
    Ok(to)
}

/// The node's state is that copy from now on.
fn restore(plan: &Plan, ends: &Ends, backup: &Path) -> Result<()> {
    match &plan.peer {
        Peer::Cuntong(executable) => {
            fs::remove_dir_all(ends.node.join(STATE))?;
            fs::create_dir(ends.node.join(STATE))?;
            product(executable, &ends.node, "restore", backup)
        }
        Peer::Other(_) => {
            fs::remove_dir_all(&ends.node)?;
            copy(backup, &ends.node)
        }
    }
}

fn product(executable: &Path, dir: &Path, word: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(executable);
    let _same = command.arg("--dir").arg(dir.join(STATE));
    process::output(command.arg(word).arg(file)).map(drop)
}

/// The marker beside the database names another machine than this one.
fn another_machine(clone: &Path) -> Result<()> {
    let marker = clone.join(STATE).join("marker");
    let text = fs::read_to_string(&marker)?;
    let machine = text.lines().nth(1).and_then(|line| line.split(' ').nth(1));
    let machine = machine.context("a marker names a machine")?;
    Ok(fs::write(&marker, text.replace(machine, ANOTHER_MACHINE))?)
}

/// What meetings came to.
struct Met {
    told: Option<f64>,
    agreed: bool,
    rounds: u32,
    seconds: f64,
    up: Carriage,
    down: Carriage,
    refused: Option<u64>,
}

fn meet(plan: &Plan, profile: &Profile, hub: &Path, nodes: &[&Path]) -> Result<Met> {
    let link = Link::start(profile)?;
    match &plan.peer {
        Peer::Cuntong(executable) => ours(&link, executable, hub, nodes),
        Peer::Other(folder) => others(&link, folder, hub, nodes),
    }
}

/// Two machines of one key are first run together, until one of them is told so; then one at a
/// time, as the people who heard of it would, and the first once more for what the last one brought.
fn ours(link: &Link, executable: &Path, hub: &Path, nodes: &[&Path]) -> Result<Met> {
    let hub = Node::start(link, Side::Hub, executable, hub)?;
    let start = |dir: &Path, web| {
        let settings = Settings {
            web,
            calls: Calls::AsShipped,
            ..Settings::of(Side::Node)
        };
        Node::start_with(link, Side::Node, executable, dir, &settings)
    };
    link.reset();
    let began = link.now();
    let mut told = None;
    if let [first, second] = nodes {
        let both = [start(first, WEB)?, start(second, WEB + 1)?];
        told = turned_away(link, &both)?.then(|| (link.now() - began).as_secs_f64());
        for node in both {
            node.stop()?;
        }
    }
    let (mut agreed, mut rounds, mut refused) = (true, 0, 0);
    let mut seconds = 0.0;
    for dir in nodes.iter().chain(&nodes[..nodes.len() - 1]) {
        let node = start(dir, WEB)?;
        let at = come_to_agree(link, &hub, &node, &mut rounds)?;
        agreed &= at.is_some();
        seconds = (at.unwrap_or_else(|| link.now()) - began).as_secs_f64();
        refused = refused.max(node.status()?["rejected"].as_u64().unwrap_or_default());
        node.stop()?;
    }
    let carried = when_quiet(link);
    hub.stop()?;
    Ok(Met {
        agreed,
        rounds,
        seconds,
        told,
        up: carriage(carried.up),
        down: carriage(carried.down),
        refused: Some(refused),
    })
}

/// Whether one of two machines is told that the other one has its key.
fn turned_away(link: &Link, both: &[Node; 2]) -> Result<bool> {
    let began = link.now();
    while link.now() - began < ROUND_WITHIN {
        for node in both {
            // The one that is turned away gets an error for an answer.
            let _had = node.sync();
            let status = node.status()?;
            if status["upstream"][0]["reason"] == "clone" {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Sessions until both hold the same and go on holding it; when that was, if it was.
fn come_to_agree(
    link: &Link,
    hub: &Node,
    node: &Node,
    rounds: &mut u32,
) -> Result<Option<Duration>> {
    for _round in 0..ROUNDS {
        *rounds += 1;
        // A session that ends in a new epoch is an error to who asked for it.
        let _had = node.sync();
        let began = link.now();
        while link.now() - began < AGREE_WITHIN {
            let before = node.status()?;
            let at = link.now();
            if agree(&hub.status()?, &before) {
                // What was put aside because of a fork is written again in a session that follows.
                pause(STAYS);
                let after = node.status()?;
                if before["entries"] == after["entries"] && agree(&hub.status()?, &after) {
                    return Ok(Some(at));
                }
            }
            pause(LOOK_EVERY);
        }
    }
    Ok(None)
}

/// Other systems meet one after the other, and the first once more for what the last one brought.
fn others(link: &Link, folder: &Path, hub: &Path, nodes: &[&Path]) -> Result<Met> {
    let mut served = Peer::serve(folder, link, hub)?;
    link.reset();
    let began = link.now();
    let again = nodes.len() - 1;
    let mut agreed = true;
    for node in nodes.iter().chain(&nodes[..again]) {
        let mut running = Peer::sync(folder, link, node)?;
        agreed &= running.until_ok().is_ok();
        let _by_itself = running.stop();
    }
    let seconds = (link.now() - began).as_secs_f64();
    let carried = when_quiet(link);
    let _by_itself = served.stop();
    Ok(Met {
        told: None,
        agreed,
        rounds: u32::try_from(nodes.len() + again)?,
        seconds,
        up: carriage(carried.up),
        down: carriage(carried.down),
        refused: None,
    })
}

fn judged(
    mishap: Mishap,
    plan: &Plan,
    number: u32,
    (ends, nodes): (&Ends, &[&Path]),
    written: &Written,
    met: Met,
) -> Result<Run> {
    let mut dirs = vec![ends.hub.as_path()];
    dirs.extend(nodes);
    if let Peer::Cuntong(_) = &plan.peer {
        county::share_ids(&dirs)?;
    }
    let every = (plan.cases / 20).max(1) as usize;
    let some = (0..plan.cases).step_by(every);
    let mut ids: Vec<String> = some
        .map(|n| generate::case(plan.seed, n, plan.cases).id)
        .collect();
    ids.extend(written.keys().cloned());
    let read = dirs.iter().map(|dir| plan.peer.read(dir, &ids));
    let read = read.collect::<Result<Vec<_>>>()?;
    let lost = |acknowledged: bool| {
        let of = written.iter().filter(|(_, (_, was))| *was == acknowledged);
        of.filter(|(id, (state, _))| read.iter().any(|end| end.get(*id) != Some(state)))
            .count()
    };
    let wedged = read[0]
        .iter()
        .filter(|(id, state)| read.iter().any(|end| end.get(*id) != Some(state)))
        .count();
    let differ = read[0].keys().filter(|id| {
        let wanted = written.get(*id).map(|(state, _)| state);
        let wanted = wanted.or_else(|| read[0].get(*id));
        read.iter().any(|end| end.get(*id) != wanted)
    });
    let differ = differ.take(SHOWN).map(|id| {
        let wanted = written.get(id).map(|(state, _)| state.clone());
        let ends = read.iter().filter_map(|end| end.get(id).cloned());
        (id.clone(), wanted.into_iter().chain(ends).collect())
    });
    let differ = differ.collect();
    let recognised: Result<Vec<_>> = match &plan.peer {
        Peer::Cuntong(_) => nodes.iter().map(|node| cuntong::epochs(node)).collect(),
        Peer::Other(_) => Ok(Vec::new()),
    };
    Ok(Run {
        row: "b4",
        mishap,
        peer: plan.name.clone(),
        cases: plan.cases,
        profile: plan.profile.name.clone(),
        run: number,
        seconds: met.seconds,
        told_s: met.told,
        agreed: met.agreed,
        rounds: met.rounds,
        up: met.up,
        down: met.down,
        written: written.len(),
        lost_acknowledged: lost(true),
        lost_since: lost(false),
        wedged,
        differ,
        refused: met.refused,
        recognised: recognised?.concat(),
    })
}

/// One line: the worst of the counts, the median of the rest.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of));
    let worst = |of: &dyn Fn(&Run) -> usize| runs.iter().map(of).max().unwrap_or_default();
    let agreed = if runs.iter().all(|run| run.agreed) {
        "yes"
    } else {
        "**no**"
    };
    let told = first
        .told_s
        .map_or_else(|| "–".to_owned(), |told| format!("{told:.2}"));
    let refused = first
        .refused
        .map_or_else(|| "–".to_owned(), |refused| refused.to_string());
    format!(
        "| B4 {} | {} | {} | {} | {told} | {agreed} | {} | {:.2} | {:.0} | {:.0} | {} | {} | {} | {} | {refused} | {} |",
        match first.mishap {
            Mishap::Restored => "restored",
            Mishap::Cloned => "cloned",
            Mishap::Twin => "twin",
        },
        first.peer,
        first.cases,
        first.profile,
        worst(&|r| r.rounds as usize),
        middle(&|r| r.seconds),
        middle(&|r| r.up.bytes as f64),
        middle(&|r| r.down.bytes as f64),
        first.written,
        worst(&|r| r.lost_acknowledged),
        worst(&|r| r.lost_since),
        worst(&|r| r.wedged),
        first.recognised.join(", "),
    )
}
