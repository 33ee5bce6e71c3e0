//! B8: a village whose township goes on to the county. The county's line is out, cases are saved at
//! the village, the line comes back: how long until the village holds the county's receipt.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use crate::{
    county,
    cuntong::{Calls, Node, PORT, Settings, WEB, agree},
    generate,
    link::{Link, Side},
    peer::Peer,
    plan::{Plan, copy, made},
    process::pause,
    runner::{Carriage, carriage, when_quiet},
    table::{Out, median},
};

/// Saved while the county cannot be reached.
const SAVED: u64 = 20;
/// How long the county's line is out when nothing is said.
const OUT_S: u64 = 60;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longer than the longest wait between two calls of a node as it is shipped.
const WITHIN: Duration = Duration::from_secs(900);

/// How the line is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outage {
    /// Nothing passes and nobody is told.
    Silent,
    /// The cable is out: the township's system knows it.
    Unplugged,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: &'static str,
    pub cases: u64,
    pub profile: String,
    pub run: u32,
    pub out: Outage,
    pub out_s: u64,
    pub saved: u64,
    /// From the last case saved until the township held all.
    pub township_s: f64,
    /// From the line's coming back until the village held the county's receipt for all.
    pub county_s: f64,
    /// Of the village's line while the county's was out: up, down.
    pub lower: (Carriage, Carriage),
    /// Of both lines since the county's came back.
    pub upper_after: (Carriage, Carriage),
    pub lower_after: (Carriage, Carriage),
    /// County and village hold the same afterwards.
    pub equal: bool,
}

/// Header of its table.
pub const HEADER: &str = "\
| row | cases | links | county's line | at the township s | county's receipt s after | village B up | down | after: village B up | down | after: county B up | down |
|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Runs the row.
///
/// # Errors
/// Ours, the link's, the disk's.
pub fn run(plan: &Plan, out: &mut Out) -> Result<Vec<Vec<Run>>> {
    let Peer::Cuntong(_) = &plan.peer else {
        bail!("no other system here has a relay");
    };
    let mut rows = Vec::new();
    for how in [Outage::Silent, Outage::Unplugged] {
        let mut runs = Vec::new();
        for number in 1..=plan.runs {
            let run = one(plan, how, number)?;
            out.tell(&run)?;
            runs.push(run);
        }
        rows.push(runs);
    }
    Ok(rows)
}

struct County {
    hub: Node,
    township: Node,
    village: Node,
}

fn one(plan: &Plan, how: Outage, number: u32) -> Result<Run> {
    let profile = plan.profile_of(number);
    let upper = Link::start(&profile)?;
    let lower = upper.start_below(&profile)?;
    let at = plan.at()?;
    let county = start(plan, &at, (&upper, &lower))?;
    let out_s = plan.cuts.map_or(OUT_S, |cuts| cuts.lasting);
    upper.reset();
    lower.reset();
    let cut_at = upper.now();
    match how {
        Outage::Silent => upper.cut(true),
        Outage::Unplugged => upper.plug(Side::Node, false)?,
    }
    for n in 0..SAVED {
        let case = generate::case(plan.seed, plan.cases + 1_000 + n, plan.cases);
        let _id = county.village.log(&case)?;
    }
    let saved = upper.now();
    until(&upper, || same(&county.township, &county.village))?;
    let township_s = (upper.now() - saved).as_secs_f64();
    let rest = Duration::from_secs(out_s).saturating_sub(upper.now() - cut_at);
    pause(rest);
    let before = lower.counters();
    upper.reset();
    lower.reset();
    let healed = upper.now();
    match how {
        Outage::Silent => upper.cut(false),
        Outage::Unplugged => upper.plug(Side::Node, true)?,
    }
    let _waited = county.village.until_covered(WITHIN)?;
    let county_s = (upper.now() - healed).as_secs_f64();
    let (above, below) = (when_quiet(&upper), lower.counters());
    let equal = agree(&county.hub.status()?, &county.village.status()?);
    county.village.stop()?;
    county.township.stop()?;
    county.hub.stop()?;
    std::fs::remove_dir_all(&at)?;
    Ok(Run {
        row: "b8",
        cases: plan.cases,
        profile: plan.profile.name.clone(),
        run: number,
        out: how,
        out_s,
        saved: SAVED,
        township_s,
        county_s,
        lower: (carriage(before.up), carriage(before.down)),
        upper_after: (carriage(above.up), carriage(above.down)),
        lower_after: (carriage(below.up), carriage(below.down)),
        equal,
    })
}

/// Starts all three and waits until they agree.
fn start(plan: &Plan, at: &std::path::Path, links: (&Link, &Link)) -> Result<County> {
    let Peer::Cuntong(executable) = &plan.peer else {
        bail!("no other system here has a relay");
    };
    let (upper, lower) = links;
    let prepared = plan
        .scratch
        .join(format!("chain-{}-{}", plan.cases, plan.seed));
    made(&prepared, |making| {
        let dir = |name| making.join(name);
        county::prepare_chain(
            &plan.workload()?,
            &dir("hub"),
            &dir("township"),
            &dir("node"),
        )
    })?;
    for name in ["hub", "township", "node"] {
        copy(&prepared.join(name), &at.join(name))?;
    }
    let listens = |link: &Link| format!("{}:{PORT}", link.address(Side::Hub));
    let settings = |listen, upstream| Settings {
        web: WEB,
        listen,
        upstream,
        calls: Calls::AsShipped,
    };
    let hub = settings(Some(listens(upper)), None);
    let township = settings(Some(listens(lower)), Some(listens(upper)));
    let village = settings(None, Some(listens(lower)));
    let start = |link, side, name, settings| {
        Node::start_with(link, side, executable, &at.join(name), settings)
    };
    let county = County {
        hub: start(upper, Side::Hub, "hub", &hub)?,
        township: start(upper, Side::Node, "township", &township)?,
        village: start(lower, Side::Node, "node", &village)?,
    };
    let _done = county.township.sync()?;
    let _done = county.village.sync()?;
    until(upper, || {
        Ok(agree(&county.hub.status()?, &county.village.status()?)
            && agree(&county.hub.status()?, &county.township.status()?))
    })?;
    let _quiet = (when_quiet(upper), when_quiet(lower));
    Ok(county)
}

/// Whether both hold the same, whatever receipts say.
fn same(upper: &Node, lower: &Node) -> Result<bool> {
    Ok(upper.status()?["digests"] == lower.status()?["digests"])
}

fn until(link: &Link, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = link.now();
    while !done()? {
        ensure!(
            link.now() - began < WITHIN,
            "the nodes do not come to agree"
        );
        pause(LOOK_EVERY);
    }
    Ok(())
}

/// One line: the median of each figure.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of));
    let bytes = |of: &dyn Fn(&Run) -> Carriage| format!("{:.0}", middle(&|r| of(r).bytes as f64));
    let unequal = if runs.iter().all(|run| run.equal) {
        ""
    } else {
        " **unequal**"
    };
    let how = match first.out {
        Outage::Silent => "silent",
        Outage::Unplugged => "unplugged",
    };
    format!(
        "| B8{unequal} | {} | {} | {how} for {} s | {:.2} | {:.2} | {} | {} | {} | {} | {} | {} |",
        first.cases,
        first.profile,
        first.out_s,
        middle(&|r| r.township_s),
        middle(&|r| r.county_s),
        bytes(&|r| r.lower.0),
        bytes(&|r| r.lower.1),
        bytes(&|r| r.lower_after.0),
        bytes(&|r| r.lower_after.1),
        bytes(&|r| r.upper_after.0),
        bytes(&|r| r.upper_after.1),
    )
}
