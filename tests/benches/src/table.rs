//! What was measured: a line of JSON a run, and medians of runs as a Markdown table.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
};

use anyhow::Result;
use serde::Serialize;

use crate::runner::Run;

/// Where each run is told of, a line of JSON each.
#[derive(Debug)]
pub struct Out(File);

impl Out {
    /// Goes on with a file.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(to: &Path) -> Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(to)?))
    }

    /// One run.
    ///
    /// # Errors
    /// The disk's.
    pub fn tell(&mut self, run: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, run)?;
        Ok(self.0.write_all(b"\n")?)
    }
}

/// The middle one; of an even number the upper of the two.
pub fn median(of: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Header of the table of meetings.
pub const HEADER: &str = "\
| row | peer | cases | link | time s | × floor | up B | down B | packets | × floor | hub CPU s | node CPU s | hub MiB | node MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// One line: the median of each figure.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let median = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of));
    let seconds = median(&|r| r.seconds);
    let bytes = median(&|r| (r.up.bytes + r.down.bytes) as f64);
    let floor = first.floor.bytes() as f64;
    let ratio = |value: f64, floor: Option<f64>| {
        let floor = floor.filter(|floor| *floor > 0.0);
        floor.map_or_else(|| "–".to_owned(), |floor| format!("{:.2}", value / floor))
    };
    let cut = first
        .cut_every_s
        .map_or_else(String::new, |s| format!(", cut every {s} s"));
    let unequal = if runs.iter().all(|run| run.equal) {
        ""
    } else {
        " **unequal**"
    };
    format!(
        "| {:?} | {}{unequal} | {} | {}{cut} | {seconds:.2} | {} | {:.0} | {:.0} | {:.0} | {} | {:.2} | {:.2} | {:.0} | {:.0} |",
        first.row,
        first.peer,
        first.cases,
        first.profile,
        ratio(seconds, first.floor_s),
        median(&|r| r.up.bytes as f64),
        median(&|r| r.down.bytes as f64),
        median(&|r| (r.up.packets + r.down.packets) as f64),
        ratio(bytes, Some(floor)),
        median(&|r| r.hub.cpu_s),
        median(&|r| r.node.cpu_s),
        median(&|r| r.hub.peak_kib as f64 / 1024.0),
        median(&|r| r.node.peak_kib as f64 / 1024.0),
    )
}
