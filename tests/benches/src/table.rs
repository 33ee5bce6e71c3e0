//! Medians of runs, as a Markdown table.

use crate::runner::Run;

/// Header of the table.
pub const HEADER: &str = "\
| row | peer | cases | link | time s | × floor | up B | down B | packets | × floor | hub CPU s | node CPU s | hub MiB | node MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// One line: the median of each figure.
pub fn line(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let median = |of: &dyn Fn(&Run) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
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
