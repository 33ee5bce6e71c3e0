//! B6: a hub at rest: how soon it answers, and what memory it holds before and after sessions.

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;

use crate::{
    cuntong::{Node, agree},
    link::{Link, Side},
    peer::{Begin, Peer},
    plan::{Ends, Plan},
    process::{Usage, pause},
    table::{Out, median},
};

/// A hub that has just started is left alone so long.
const REST: Duration = Duration::from_secs(5);

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: &'static str,
    pub peer: String,
    pub cases: u64,
    pub run: u32,
    /// From the start of the process until it answers.
    pub ready_s: f64,
    /// Of processor time until then.
    pub ready_cpu_s: f64,
    /// Resident after a rest, KiB.
    pub rest_kib: u64,
    pub sessions: u32,
    /// Resident after them and a rest, KiB.
    pub after_kib: u64,
    /// The most it ever was, KiB.
    pub peak_kib: u64,
    /// Seconds of all sessions.
    pub sessions_s: f64,
    pub equal: bool,
}

/// Header of its table.
pub const HEADER: &str = "\
| row | peer | cases | ready s | CPU s until then | at rest MiB | sessions | after them MiB | most MiB |
|---|---|---|---|---|---|---|---|---|";

/// Runs the row.
///
/// # Errors
/// The peer's, the link's, the disk's.
pub fn run(plan: &Plan, out: &mut Out) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let ends = plan.ends(Begin::InSync)?;
        let link = Link::start(&plan.profile_of(number))?;
        let run = match &plan.peer {
            Peer::Cuntong(executable) => ours(plan, &link, executable, &ends, number)?,
            Peer::Other(folder) => others(plan, &link, folder, &ends, number)?,
        };
        out.tell(&run)?;
        runs.push(run);
    }
    Ok(runs)
}

fn ours(plan: &Plan, link: &Link, executable: &Path, ends: &Ends, number: u32) -> Result<Run> {
    let began = link.now();
    let hub = Node::start(link, Side::Hub, executable, &ends.hub)?;
    let ready = (link.now() - began, hub.running.usage());
    pause(REST);
    let rest = hub.running.usage();
    let began = link.now();
    let node = Node::start(link, Side::Node, executable, &ends.node)?;
    for _session in 0..plan.sessions {
        let _done = node.sync()?;
        node.plug(false)?;
        node.plug(true)?;
    }
    let _done = node.sync()?;
    let sessions = link.now() - began;
    let equal = agree(&hub.status()?, &node.status()?);
    node.stop()?;
    pause(REST);
    let after = hub.running.usage();
    hub.stop()?;
    Ok(told(plan, number, ready, (rest, after), sessions, equal))
}

fn others(plan: &Plan, link: &Link, folder: &Path, ends: &Ends, number: u32) -> Result<Run> {
    let began = link.now();
    let mut hub = Peer::serve(folder, link, &ends.hub)?;
    let ready = (link.now() - began, hub.usage());
    pause(REST);
    let rest = hub.usage();
    let began = link.now();
    for _session in 0..plan.sessions {
        let mut node = Peer::sync(folder, link, &ends.node)?;
        node.until_ok()?;
        let _by_itself = node.stop();
    }
    let sessions = link.now() - began;
    pause(REST);
    let after = hub.usage();
    let _by_itself = hub.stop();
    Ok(told(plan, number, ready, (rest, after), sessions, true))
}

fn told(
    plan: &Plan,
    number: u32,
    ready: (Duration, Usage),
    (rest, after): (Usage, Usage),
    sessions: Duration,
    equal: bool,
) -> Run {
    Run {
        row: "b6",
        peer: plan.name.clone(),
        cases: plan.cases,
        run: number,
        ready_s: ready.0.as_secs_f64(),
        ready_cpu_s: ready.1.cpu_s,
        rest_kib: rest.now_kib,
        sessions: plan.sessions,
        after_kib: after.now_kib,
        peak_kib: after.peak_kib,
        sessions_s: sessions.as_secs_f64(),
        equal,
    }
}

/// One line: the median of each figure.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of));
    let mib = |of: &dyn Fn(&Run) -> u64| middle(&|r| of(r) as f64 / 1024.0);
    let unequal = if runs.iter().all(|run| run.equal) {
        ""
    } else {
        " **unequal**"
    };
    format!(
        "| B6 | {}{unequal} | {} | {:.2} | {:.2} | {:.0} | {} in {:.0} s | {:.0} | {:.0} |",
        first.peer,
        first.cases,
        middle(&|r| r.ready_s),
        middle(&|r| r.ready_cpu_s),
        mib(&|r| r.rest_kib),
        first.sessions,
        middle(&|r| r.sessions_s),
        mib(&|r| r.after_kib),
        mib(&|r| r.peak_kib),
    )
}
