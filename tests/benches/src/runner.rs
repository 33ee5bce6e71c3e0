//! One row of a table: prepare once, then run and measure several times.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::{
    cuntong::{self, Node},
    floor::Floor,
    generate::{self, Change},
    link::{Carried, Link, Side},
    peer::{Begin, Peer},
    process::{self, Running, Usage, pause},
    profile::{Cut, Profile},
};

/// A meeting that takes longer has failed.
const MEETING_WITHIN: Duration = Duration::from_secs(3_600);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest silence that is waited for after a meeting, in round trips and besides.
const QUIET: Duration = Duration::from_millis(1_500);
/// A line that is cut is so for three seconds.
const CUT_S: u64 = 3;

/// Which meeting is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Row {
    /// Nothing changed since the last meeting.
    B1,
    /// A day offline on both sides.
    B2,
    /// The first meeting of an empty node.
    B3,
    /// One change over a connection that is open.
    Warm,
    /// Nothing changed since the session that just ended: it is gone on with.
    Resumed,
}

/// What is asked of the runner.
#[derive(Debug, Clone)]
pub struct Plan {
    pub row: Row,
    pub name: String,
    pub peer: Peer,
    pub cases: u64,
    pub seed: u64,
    pub profile: Profile,
    pub runs: u32,
    /// The line is cut at every so many seconds.
    pub cut_every: Option<u64>,
    /// Every packet of each meeting is appended here.
    pub trace: Option<PathBuf>,
    /// Prepared directories are kept here.
    pub scratch: PathBuf,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: Row,
    pub peer: String,
    pub cases: u64,
    pub seed: u64,
    pub profile: String,
    pub cut_every_s: Option<u64>,
    pub run: u32,
    /// From the first packet until the node knew that both ends are equal.
    pub seconds: f64,
    /// From the order to sync until then.
    pub wall: f64,
    /// IP, until both ends were quiet.
    pub up: Carriage,
    pub down: Carriage,
    /// The same until the node knew.
    pub bytes_until_known: u64,
    pub hub: Usage,
    pub node: Usage,
    /// The changed documents read the same at both ends afterwards.
    pub equal: bool,
    pub floor: Floor,
    pub floor_s: Option<f64>,
}

/// IP one way.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Carriage {
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
}

/// What a meeting showed.
struct Met {
    seconds: f64,
    wall: f64,
    known: Carried,
    quiet: Carried,
    hub: Usage,
    node: Usage,
}

/// Runs a plan.
///
/// # Errors
/// The peer's, the link's, the disk's.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&Run) -> Result<()>) -> Result<Vec<Run>> {
    let work = workload(plan)?;
    let prepared = prepared(plan, &work)?;
    let floor = match plan.row {
        Row::B1 => Floor::NOTHING,
        Row::B2 => Floor::day(&work)?,
        Row::B3 => Floor::all(&work)?,
        Row::Warm | Row::Resumed => Floor::default(),
    };
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let at = plan.scratch.join(format!("run-{}", std::process::id()));
        let (hub, node) = copy(plan, &prepared, &at)?;
        if plan.row == Row::B2 {
            plan.peer.apply(&work, &hub, &node)?;
        }
        let profile = plan.profile.clone().seeded(plan.seed ^ u64::from(number));
        let met = meet(plan, &profile, (&hub, &node), &work)?;
        let run = Run {
            row: plan.row,
            peer: plan.name.clone(),
            cases: plan.cases,
            seed: plan.seed,
            profile: plan.profile.name.clone(),
            cut_every_s: plan.cut_every,
            run: number,
            seconds: met.seconds,
            wall: met.wall,
            up: carriage(met.quiet.up),
            down: carriage(met.quiet.down),
            bytes_until_known: met.known.up.sent.bytes + met.known.down.sent.bytes,
            hub: met.hub,
            node: met.node,
            equal: equal(plan, &work, &hub, &node)?,
            floor,
            floor_s: floor.seconds(&plan.profile),
        };
        tell(&run)?;
        runs.push(run);
        fs::remove_dir_all(&at)?;
    }
    Ok(runs)
}

fn carriage(way: crate::shaper::Counters) -> Carriage {
    Carriage {
        packets: way.sent.packets,
        bytes: way.sent.bytes,
        dropped: way.sent.packets.saturating_sub(way.delivered.packets),
    }
}

/// The workload's folder, made when it is not there.
fn workload(plan: &Plan) -> Result<PathBuf> {
    let folder = plan
        .scratch
        .join(format!("work-{}-{}", plan.cases, plan.seed));
    if generate::meta(&folder).is_err() {
        let _meta = generate::write(&folder, plan.seed, plan.cases)?;
    }
    Ok(folder)
}

fn begin(row: Row) -> Begin {
    match row {
        Row::B1 | Row::B2 | Row::Warm | Row::Resumed => Begin::InSync,
        Row::B3 => Begin::Empty,
    }
}

/// The prepared directories, made when they are not there.
fn prepared(plan: &Plan, work: &Path) -> Result<PathBuf> {
    let empty = match (&plan.peer, begin(plan.row)) {
        (Peer::Other(_), Begin::Empty) => "-empty",
        (Peer::Other(_), Begin::InSync) | (Peer::Cuntong(_), _) => "",
    };
    let name = format!("{}{empty}-{}-{}", plan.name, plan.cases, plan.seed);
    let done = plan.scratch.join(name);
    if !done.exists() {
        let making = done.with_extension("making");
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        plan.peer.prepare(begin(plan.row), work, &making)?;
        fs::rename(&making, &done)?;
    }
    Ok(done)
}

/// Both ends of one run, which it may change.
fn copy(plan: &Plan, prepared: &Path, at: &Path) -> Result<(PathBuf, PathBuf)> {
    if at.exists() {
        fs::remove_dir_all(at)?;
    }
    fs::create_dir_all(at)?;
    let from = match (&plan.peer, begin(plan.row)) {
        (Peer::Cuntong(_), Begin::Empty) => "spare",
        (Peer::Cuntong(_), Begin::InSync) | (Peer::Other(_), _) => "node",
    };
    for (from, to) in [("hub", "hub"), (from, "node")] {
        let mut command = Command::new("cp");
        let _same = command.arg("-a").arg(prepared.join(from)).arg(at.join(to));
        let _said = process::output(&mut command)?;
    }
    Ok((at.join("hub"), at.join("node")))
}

fn meet(plan: &Plan, profile: &Profile, ends: (&Path, &Path), work: &Path) -> Result<Met> {
    let link = Link::start(profile)?;
    if plan.trace.is_some() {
        link.begin_trace();
    }
    let met = met(plan, &link, ends, work);
    if let Some(file) = &plan.trace {
        write_trace(file, &link)?;
    }
    met
}

/// One JSON line a packet.
fn write_trace(file: &Path, link: &Link) -> Result<()> {
    let mut out = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    let (up, down) = link.end_trace();
    for (way, packets) in [("up", up), ("down", down)] {
        for packet in packets {
            serde_json::to_writer(&mut out, &(way, packet))?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

fn met(plan: &Plan, link: &Link, ends: (&Path, &Path), work: &Path) -> Result<Met> {
    match &plan.peer {
        Peer::Cuntong(executable) if open(plan.row) => warm(plan, link, executable, ends, work),
        Peer::Cuntong(executable) => ours(plan, link, executable, ends),
        Peer::Other(_) if open(plan.row) => bail!("only cuntong keeps its connection"),
        Peer::Other(folder) => others(plan, link, folder, ends),
    }
}

/// Whether the ends are connected when the row begins.
const fn open(row: Row) -> bool {
    matches!(row, Row::Warm | Row::Resumed)
}

/// Cuts the line at every so many seconds from now on.
fn cuts(plan: &Plan, link: &Link) {
    let Some(every) = plan.cut_every else {
        return;
    };
    let now = link.now();
    let cuts = (1..=MEETING_WITHIN.as_secs() / every).map(|n| {
        let from = now + Duration::from_secs(n * every);
        Cut {
            from,
            until: from + Duration::from_secs(CUT_S),
        }
    });
    link.set_cuts(cuts.collect());
}

fn ours(plan: &Plan, link: &Link, executable: &Path, ends: (&Path, &Path)) -> Result<Met> {
    let hub = Node::start(link, Side::Hub, executable, ends.0)?;
    // A cable that is out: the node starts and knows that there is no way.
    link.plug(Side::Node, false)?;
    let node = Node::start(link, Side::Node, executable, ends.1)?;
    pause(QUIET);
    link.reset();
    let before = (hub.running.usage(), node.running.usage());
    link.plug(Side::Node, true)?;
    cuts(plan, link);
    let began = link.now();
    let _done = node.sync()?;
    while !cuntong::agree(&hub.status()?, &node.status()?) {
        ensure!(
            link.now() - began < MEETING_WITHIN,
            "the ends do not come to agree"
        );
        pause(LOOK_EVERY);
    }
    let met = measured(link, began, before, (&hub.running, &node.running));
    node.stop()?;
    hub.stop()?;
    met
}

/// One change over the open connection, until the hub's receipt for it is there; or that
/// connection ended by the node, and the next one that goes on with it.
fn warm(
    plan: &Plan,
    link: &Link,
    executable: &Path,
    ends: (&Path, &Path),
    work: &Path,
) -> Result<Met> {
    let hub = Node::start(link, Side::Hub, executable, ends.0)?;
    let node = Node::start(link, Side::Node, executable, ends.1)?;
    let case = generate::case(plan.seed, 1, generate::meta(work)?.cases);
    let ids = crate::county::read_ids(ends.1)?;
    let case = ids.get(&case.id).context("the node holds the case")?;
    let _done = node.sync()?;
    pause(QUIET + link_quiet(plan));
    link.reset();
    let before = (hub.running.usage(), node.running.usage());
    let began = link.now();
    if plan.row == Row::Resumed {
        let _done = node.sync()?;
    } else {
        node.change(&case.to_string())?;
    }
    while !cuntong::agree(&hub.status()?, &node.status()?) {
        ensure!(
            link.now() - began < MEETING_WITHIN,
            "the ends do not come to agree"
        );
        pause(LOOK_EVERY);
    }
    let met = measured(link, began, before, (&hub.running, &node.running));
    node.stop()?;
    hub.stop()?;
    met
}

fn link_quiet(plan: &Plan) -> Duration {
    plan.profile.round_trip() * 3
}

fn others(plan: &Plan, link: &Link, folder: &Path, ends: (&Path, &Path)) -> Result<Met> {
    let mut hub = Peer::serve(folder, link, ends.0)?;
    pause(QUIET);
    link.reset();
    let before = (hub.usage(), Usage::default());
    cuts(plan, link);
    let began = link.now();
    let mut node = Peer::sync(folder, link, ends.1)?;
    loop {
        let line = node.line()?;
        if serde_json::from_str::<Value>(&line).is_ok_and(|said| said["ok"] == true) {
            break;
        }
        ensure!(!line.is_empty(), "the node ended before it was done");
    }
    let met = measured(link, began, before, (&hub, &node));
    let _by_itself = node.stop();
    let _by_itself = hub.stop();
    met
}

/// The figures of a meeting that just ended.
fn measured(
    link: &Link,
    began: Duration,
    before: (Usage, Usage),
    ends: (&Running, &Running),
) -> Result<Met> {
    let known = link.counters();
    let now = link.now();
    let since = |before: Usage, now: Usage| Usage {
        cpu_s: now.cpu_s - before.cpu_s,
        peak_kib: now.peak_kib,
    };
    let hub = since(before.0, ends.0.usage());
    let node = since(before.1, ends.1.usage());
    let first = [known.up.first, known.down.first]
        .into_iter()
        .flatten()
        .min();
    let first = first.context("no packet crossed the link")?;
    let quiet = when_quiet(link);
    Ok(Met {
        seconds: (now - first).as_secs_f64(),
        wall: (now - began).as_secs_f64(),
        known,
        quiet,
        hub,
        node,
    })
}

/// Waits until nothing crosses the link any more.
fn when_quiet(link: &Link) -> Carried {
    let mut before = link.counters();
    // Ten seconds at most: some systems never cease.
    for _look in 0..6 {
        pause(QUIET);
        let now = link.counters();
        if (now.up.sent, now.down.sent) == (before.up.sent, before.down.sent) {
            break;
        }
        before = now;
    }
    before
}

/// Whether the changed cases, or some of all of them, read the same at both ends and hold what
/// was set.
fn equal(plan: &Plan, work: &Path, hub: &Path, node: &Path) -> Result<bool> {
    let mut ids = Vec::new();
    if plan.row == Row::B2 {
        for file in ["up.jsonl", "down.jsonl"] {
            for change in generate::read::<Change>(work, file)? {
                ids.push(change?.id);
            }
        }
    } else {
        let every = (plan.cases / 20).max(1);
        let some = (0..plan.cases).step_by(every as usize);
        ids.extend(some.map(|n| generate::case(plan.seed, n, plan.cases).id));
    }
    Ok(plan.peer.read(hub, &ids)? == plan.peer.read(node, &ids)?)
}
