//! B10: an attached file on a slow line that is cut now and then, and cases logged meanwhile: what a
//! case waits more because of the file, and what is sent again because of the cuts.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{
    cuntong::{Calls, Node, Settings, agree},
    generate,
    link::{Link, Side},
    peer::{Begin, Peer},
    plan::{Ends, Plan},
    process::pause,
    profile::Cut,
    runner::when_quiet,
    shaper::Counters,
    table::{Out, median},
};

/// Cases logged before the file, to compare with.
const ALONE: u64 = 20;
/// Between two cases.
const PAUSE: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for one receipt; cuts are in it.
const RECEIPT_WITHIN: Duration = Duration::from_secs(600);
/// A file that takes so many times as long as its bytes need has failed.
const TIMES_MAX: u32 = 6;
const CHUNK: usize = 1 << 16;

/// A case that was logged while the file was on its way.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Logged {
    /// Since the file was attached.
    pub at: f64,
    /// Until the hub's receipt.
    pub seconds: f64,
    /// The line was cut meanwhile.
    pub cut: bool,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub row: &'static str,
    pub peer: String,
    pub profile: String,
    pub run: u32,
    pub bytes: u64,
    pub cut_every_s: Option<u64>,
    pub cut_for_s: Option<u64>,
    /// Cuts that began before the file was whole.
    pub cuts: usize,
    /// From the attaching until the file is whole at the hub.
    pub seconds: f64,
    /// What its bytes need at the rate of the line.
    pub floor_s: Option<f64>,
    pub up: Counters,
    pub down: Counters,
    /// Seconds until the hub's receipt, without the file.
    pub alone: Vec<f64>,
    /// The same beside it.
    pub beside: Vec<Logged>,
    pub equal: bool,
}

/// Header of its table.
pub const HEADER: &str = "\
| row | peer | link | file MB | cuts | file s | × floor | delivered beyond the file B | lost in cuts B | a case alone s (p50, max) | beside the file s (p50, p90, max) | ratio of p50 | over a cut s (max) |
|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Runs the row.
///
/// # Errors
/// The peer's, the link's, the disk's.
pub fn run(plan: &Plan, out: &mut Out) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let run = match &plan.peer {
            Peer::Cuntong(executable) => ours(plan, executable, number)?,
            Peer::Other(folder) => others(plan, folder, number)?,
        };
        out.tell(&run)?;
        runs.push(run);
    }
    Ok(runs)
}

fn ours(plan: &Plan, executable: &Path, number: u32) -> Result<Run> {
    let link = Link::start(&plan.profile_of(number))?;
    let ends = plan.ends(Begin::InSync)?;
    let (hub, node) = connected(&link, executable, &ends)?;
    let mut cases = (plan.cases + 2_000..).map(|n| generate::case(plan.seed, n, plan.cases));
    let mut log = || -> Result<(String, f64)> {
        let case = cases.next().context("there are more")?;
        let began = link.now();
        let id = node.log(&case)?;
        let _waited = node.until_covered(RECEIPT_WITHIN)?;
        Ok((id, (link.now() - began).as_secs_f64()))
    };
    let mut alone = Vec::new();
    let mut last = String::new();
    for _case in 0..ALONE {
        let (id, seconds) = log()?;
        last = id;
        alone.push(seconds);
        pause(PAUSE / 8);
    }
    let file = file(plan, &ends.at)?;
    let size = fs::metadata(&file)?.len();
    let limit = within(plan, size);
    link.reset();
    let began = link.now();
    let cuts = cut(plan, &link, began);
    node.attach(&last, &file)?;
    let _act = node.until_covered(RECEIPT_WITHIN)?;
    let blobs = hub.dir().join(cuntong_node::blobs::FOLDER);
    let mut beside = Vec::new();
    let mut next = link.now() + PAUSE;
    while !holds(&blobs, size) {
        ensure!(link.now() - began < limit, "the file does not come");
        if link.now() >= next {
            let at = link.now();
            let (_id, seconds) = log()?;
            let cut = cuts.iter().any(|c| c.from < link.now() && at < c.until);
            let at = (at - began).as_secs_f64();
            beside.push(Logged { at, seconds, cut });
            next = link.now() + PAUSE;
        }
        pause(LOOK_EVERY);
    }
    let whole = link.now();
    let carried = when_quiet(&link);
    link.set_cuts(Vec::new());
    let _waited = node.until_covered(RECEIPT_WITHIN)?;
    let equal = agree(&hub.status()?, &node.status()?);
    node.stop()?;
    hub.stop()?;
    Ok(Run {
        seconds: (whole - began).as_secs_f64(),
        cuts: cuts.iter().filter(|cut| cut.from < whole).count(),
        up: carried.up,
        down: carried.down,
        alone,
        beside,
        equal,
        ..empty(plan, number, size)
    })
}

/// Both ends, as they are shipped, when they agree and say nothing more.
fn connected(link: &Link, executable: &Path, ends: &Ends) -> Result<(Node, Node)> {
    let start = |side, dir: &Path| {
        let settings = Settings {
            calls: Calls::AsShipped,
            ..Settings::of(side)
        };
        Node::start_with(link, side, executable, dir, &settings)
    };
    let hub = start(Side::Hub, &ends.hub)?;
    let node = start(Side::Node, &ends.node)?;
    let _done = node.sync()?;
    while !agree(&hub.status()?, &node.status()?) {
        pause(LOOK_EVERY);
    }
    let _quiet = when_quiet(link);
    Ok((hub, node))
}

/// Another system that has a verb for it carries the file alone.
fn others(plan: &Plan, folder: &Path, number: u32) -> Result<Run> {
    let link = Link::start(&plan.profile_of(number))?;
    let ends = plan.ends(Begin::InSync)?;
    let file = file(plan, &ends.at)?;
    let size = fs::metadata(&file)?.len();
    let mut hub = Peer::serve(folder, &link, &ends.hub)?;
    link.reset();
    let began = link.now();
    let cuts = cut(plan, &link, began);
    let mut node = Peer::carry(folder, &link, &ends.node, &file)?;
    node.until_ok()?;
    let whole = link.now();
    let carried = when_quiet(&link);
    let _by_itself = node.stop();
    let _by_itself = hub.stop();
    let equal = holds(&ends.hub, size);
    Ok(Run {
        seconds: (whole - began).as_secs_f64(),
        cuts: cuts.iter().filter(|cut| cut.from < whole).count(),
        up: carried.up,
        down: carried.down,
        equal,
        ..empty(plan, number, size)
    })
}

fn empty(plan: &Plan, number: u32, size: u64) -> Run {
    let rate = plan.profile.up.rate;
    Run {
        row: "b10",
        peer: plan.name.clone(),
        profile: plan.profile.name.clone(),
        run: number,
        bytes: size,
        cut_every_s: plan.cuts.map(|cuts| cuts.every),
        cut_for_s: plan.cuts.map(|cuts| cuts.lasting),
        cuts: 0,
        seconds: 0.0,
        floor_s: rate.map(|rate| size as f64 * 8.0 / rate as f64),
        up: Counters::default(),
        down: Counters::default(),
        alone: Vec::new(),
        beside: Vec::new(),
        equal: false,
    }
}

fn within(plan: &Plan, size: u64) -> Duration {
    let rate = plan.profile.up.rate.unwrap_or(1_000_000);
    Duration::from_secs(60 + size * 8 / rate) * TIMES_MAX
}

/// Cuts from now on, and which those are.
fn cut(plan: &Plan, link: &Link, began: Duration) -> Vec<Cut> {
    let Some(cuts) = plan.cuts else {
        return Vec::new();
    };
    let many = 1..=7_200 / cuts.every.max(1);
    let all: Vec<Cut> = many
        .map(|n| {
            let from = began + Duration::from_secs(n * cuts.every);
            let until = from + Duration::from_secs(cuts.lasting);
            Cut { from, until }
        })
        .collect();
    link.set_cuts(all.clone());
    all
}

/// A scan, as far as its size and what cannot be compressed go.
fn file(plan: &Plan, at: &Path) -> Result<PathBuf> {
    let path = at.join("scan.pdf");
    let mut out = fs::File::create(&path)?;
    out.write_all(b"%PDF-1.7\n")?;
    let mut chance = cuntong_node::demo::chance::Chance::new(plan.seed);
    for _chunk in 0..plan.megabytes * 1_000_000 / CHUNK as u64 {
        let chunk: Vec<u8> = (0..CHUNK / 8)
            .flat_map(|_| chance.bits().to_be_bytes())
            .collect();
        out.write_all(&chunk)?;
    }
    out.sync_all()?;
    Ok(path)
}

/// Whether a whole file of that size is in a folder: parts are kept under another name.
fn holds(folder: &Path, size: u64) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            entry.file_name() != "part" && holds(&path, size)
        } else {
            entry.metadata().is_ok_and(|meta| meta.len() == size)
        }
    })
}

/// One line: the median over the runs, or over the cases of all of them.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of));
    let alone: Vec<f64> = runs.iter().flat_map(|run| run.alone.clone()).collect();
    let beside = |cut: bool| -> Vec<f64> {
        let all = runs.iter().flat_map(|run| &run.beside);
        let mut all: Vec<f64> = all.filter(|c| c.cut == cut).map(|c| c.seconds).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (clear, over) = (beside(false), beside(true));
    let share = |of: f64| {
        let at = (clear.len() as f64 * of) as usize;
        clear.get(at).copied().unwrap_or(f64::NAN)
    };
    let most = |all: &[f64]| all.iter().copied().fold(f64::NAN, f64::max);
    let (p50, with) = (median(alone.iter().copied()), share(0.5));
    let cuts = first.cut_every_s.map_or_else(
        || "none".to_owned(),
        |every| {
            let lasting = first.cut_for_s.unwrap_or_default();
            format!("{} of {lasting} s, every {every} s", first.cuts)
        },
    );
    let unequal = if runs.iter().all(|run| run.equal) {
        ""
    } else {
        " **unequal**"
    };
    let s = |seconds: f64| {
        if seconds.is_nan() {
            "–".to_owned()
        } else {
            format!("{seconds:.2}")
        }
    };
    format!(
        "| B10 | {}{unequal} | {} | {:.1} | {cuts} | {:.1} | {:.2} | {:.0} | {:.0} | {}, {} | {}, {}, {} | {} | {} |",
        first.peer,
        first.profile,
        first.bytes as f64 / 1e6,
        middle(&|r| r.seconds),
        middle(&|r| r.seconds / r.floor_s.unwrap_or(f64::NAN)),
        middle(&|r| r.up.delivered.bytes as f64 - r.bytes as f64),
        middle(&|r| r.up.cut.bytes as f64),
        s(p50),
        s(most(&alone)),
        s(with),
        s(share(0.9)),
        s(most(&clear)),
        s(with / p50),
        s(most(&over)),
    )
}
