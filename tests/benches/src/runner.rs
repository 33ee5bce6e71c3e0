//! Meetings of a hub and a node: prepare once, then run and measure several times.

use std::{fs, io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::{
    cuntong::{self, Node},
    floor::Floor,
    generate::{self, Change},
    link::{Carried, Link, Side},
    peer::{Begin, Peer},
    plan::Plan,
    process::{Running, Usage, pause},
    profile::{Cut, Profile},
    table::Out,
};

/// A meeting that takes longer has failed.
const MEETING_WITHIN: Duration = Duration::from_secs(3_600);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest silence that is waited for after a meeting, in round trips and besides.
const QUIET: Duration = Duration::from_millis(1_500);

/// Which meeting is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Meeting {
    /// Nothing changed since the last meeting.
    B1,
    /// A day offline on both sides.
    B2,
    /// The first meeting of an empty node.
    B3,
    /// One change over a connection that is open.
    Warm,
    /// Nothing changed, over a connection that is open: somebody asks whether both agree.
    Asked,
    /// Nothing changed since the session that just ended: it is gone on with.
    Resumed,
}

impl Meeting {
    const fn begin(self) -> Begin {
        match self {
            Self::B1 | Self::B2 | Self::Warm | Self::Asked | Self::Resumed => Begin::InSync,
            Self::B3 => Begin::Empty,
        }
    }

    /// Whether the ends are connected when it begins.
    const fn open(self) -> bool {
        match self {
            Self::Warm | Self::Asked | Self::Resumed => true,
            Self::B1 | Self::B2 | Self::B3 => false,
        }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: Meeting,
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

/// Runs a meeting.
///
/// # Errors
/// The peer's, the link's, the disk's.
pub fn run(meeting: Meeting, plan: &Plan, out: &mut Out) -> Result<Vec<Run>> {
    let work = plan.workload()?;
    let floor = match meeting {
        Meeting::B1 => Floor::NOTHING,
        Meeting::B2 => Floor::day(&work)?,
        Meeting::B3 => Floor::all(&work)?,
        Meeting::Warm | Meeting::Asked | Meeting::Resumed => Floor::default(),
    };
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let ends = plan.ends(meeting.begin())?;
        let (hub, node) = (&ends.hub, &ends.node);
        if meeting == Meeting::B2 {
            plan.peer.apply(&work, hub, node)?;
        }
        let profile = plan.profile_of(number);
        let met = meet(meeting, plan, &profile, (hub, node), &work)?;
        let run = Run {
            row: meeting,
            peer: plan.name.clone(),
            cases: plan.cases,
            seed: plan.seed,
            profile: plan.profile.name.clone(),
            cut_every_s: plan.cuts.map(|cuts| cuts.every),
            run: number,
            seconds: met.seconds,
            wall: met.wall,
            up: carriage(met.quiet.up),
            down: carriage(met.quiet.down),
            bytes_until_known: met.known.up.sent.bytes + met.known.down.sent.bytes,
            hub: met.hub,
            node: met.node,
            equal: equal(meeting, plan, &work, (hub, node))?,
            floor,
            floor_s: floor.seconds(&plan.profile),
        };
        out.tell(&run)?;
        runs.push(run);
    }
    Ok(runs)
}

/// What one direction carried.
pub(crate) fn carriage(way: crate::shaper::Counters) -> Carriage {
    Carriage {
        packets: way.sent.packets,
        bytes: way.sent.bytes,
        dropped: way.sent.packets.saturating_sub(way.delivered.packets),
    }
}

fn meet(
    meeting: Meeting,
    plan: &Plan,
    profile: &Profile,
    ends: (&Path, &Path),
    work: &Path,
) -> Result<Met> {
    let link = Link::start(profile)?;
    if plan.trace.is_some() {
        link.begin_trace();
    }
    let met = met(meeting, plan, &link, ends, work);
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

fn met(
    meeting: Meeting,
    plan: &Plan,
    link: &Link,
    ends: (&Path, &Path),
    work: &Path,
) -> Result<Met> {
    match &plan.peer {
        Peer::Cuntong(_) if meeting.open() => warm(meeting, plan, link, ends, work),
        Peer::Cuntong(executable) => ours(plan, link, executable, ends),
        Peer::Other(_) if meeting.open() => bail!("only cuntong keeps its connection"),
        Peer::Other(folder) => others(plan, link, folder, ends),
    }
}

/// Cuts the line again and again from now on.
pub(crate) fn cut(plan: &Plan, link: &Link) {
    let Some(cuts) = plan.cuts else {
        return;
    };
    let now = link.now();
    let cuts = (1..=MEETING_WITHIN.as_secs() / cuts.every).map(|n| {
        let from = now + Duration::from_secs(n * cuts.every);
        Cut {
            from,
            until: from + Duration::from_secs(cuts.lasting),
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
    cut(plan, link);
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

/// One change over the open connection, until the hub's receipt for it is there; or the question
/// over it whether both agree; or that connection ended by the node, and the next one that goes on
/// with it.
fn warm(
    meeting: Meeting,
    plan: &Plan,
    link: &Link,
    ends: (&Path, &Path),
    work: &Path,
) -> Result<Met> {
    let Peer::Cuntong(executable) = &plan.peer else {
        bail!("only cuntong keeps its connection");
    };
    let hub = Node::start(link, Side::Hub, executable, ends.0)?;
    let node = Node::start(link, Side::Node, executable, ends.1)?;
    let case = generate::case(plan.seed, 1, generate::meta(work)?.cases);
    let ids = crate::county::read_ids(ends.1)?;
    let case = ids.get(&case.id).context("the node holds the case")?;
    let _done = node.sync()?;
    pause(QUIET + link_quiet(plan));
    if meeting == Meeting::Resumed {
        node.plug(false)?;
        pause(QUIET + link_quiet(plan));
    }
    link.reset();
    let before = (hub.running.usage(), node.running.usage());
    let began = link.now();
    match meeting {
        Meeting::Warm => node.change(&case.to_string())?,
        Meeting::Resumed => {
            node.plug(true)?;
            let _done = node.sync()?;
        }
        Meeting::Asked | Meeting::B1 | Meeting::B2 | Meeting::B3 => {
            let _done = node.sync()?;
        }
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
    cut(plan, link);
    let began = link.now();
    let mut node = Peer::sync(folder, link, ends.1)?;
    node.until_ok()?;
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
        now_kib: now.now_kib,
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
pub(crate) fn when_quiet(link: &Link) -> Carried {
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
fn equal(meeting: Meeting, plan: &Plan, work: &Path, ends: (&Path, &Path)) -> Result<bool> {
    let mut ids = Vec::new();
    if meeting == Meeting::B2 {
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
    let (hub, node) = (plan.peer.read(ends.0, &ids)?, plan.peer.read(ends.1, &ids)?);
    Ok(hub == node && hub.values().all(|state| !state.is_null()))
}
