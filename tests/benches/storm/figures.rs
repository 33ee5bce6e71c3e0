//! What a storm came to: one line of JSON, and a table.

use std::time::Duration;

use serde_json::json;

use crate::{Asked, client::Course, crowd::Tally, hub::Used};

/// Everything that was counted.
pub(crate) struct Report {
    pub(crate) asked: Asked,
    pub(crate) courses: Vec<Course>,
    /// The hub when the storm began, and when the last village was served.
    pub(crate) before: Used,
    pub(crate) after: Used,
    /// From the hub's start to its end.
    pub(crate) flushes: Option<u64>,
    /// Lines of the hub's log by message.
    pub(crate) log: Vec<(String, usize)>,
    /// By attack: how often it was tried, and how often the hub hung up at once.
    pub(crate) attacks: Tally,
    /// Entries the villages brought.
    pub(crate) entries: usize,
}

/// Seconds in order, for percentiles.
struct Seconds(Vec<f64>);

impl Seconds {
    fn of(moments: impl Iterator<Item = Option<Duration>>) -> Self {
        let mut seconds: Vec<f64> = moments.flatten().map(|m| m.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// The smallest that is not exceeded by so many of a hundred.
    fn percentile(&self, of_hundred: usize) -> f64 {
        let rank = (self.0.len() * of_hundred).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    fn json(&self) -> serde_json::Value {
        let rounded = |p| (self.percentile(p) * 1000.0).round() / 1000.0;
        json!({"p50": rounded(50), "p90": rounded(90), "p99": rounded(99), "max": rounded(100)})
    }

    fn cells(&self) -> String {
        let cell = |p| format!("{:.2}", self.percentile(p));
        format!("{} | {} | {} | {}", cell(50), cell(90), cell(99), cell(100))
    }
}

impl Report {
    /// Prints it.
    pub(crate) fn print(&self) {
        let since = |moment: fn(&Course) -> Option<Duration>| {
            Seconds::of(
                self.courses
                    .iter()
                    .map(|c| Some(moment(c)?.saturating_sub(c.arrived))),
            )
        };
        let connected = since(|c| c.connected);
        let custody = since(|c| c.custody);
        let settled = since(|c| c.settled);
        let over = Seconds::of(self.courses.iter().map(|c| c.custody));
        let sum = |count: fn(&Course) -> u64| self.courses.iter().map(count).sum::<u64>();
        let (before, after) = (&self.before, &self.after);
        let cpu = after.cpu_s - before.cpu_s;
        let retried = self.courses.iter().filter(|c| c.attempts > 1).count();
        let line = json!({
            "villages": self.asked.villages - self.asked.hostile,
            "hostile": self.asked.hostile,
            "ice": self.asked.ice,
            "changes": self.asked.changes,
            "within_s": self.asked.within.as_secs(),
            "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
            "entries": self.entries,
            "connected_s": connected.json(),
            "custody_s": custody.json(),
            "settled_s": settled.json(),
            "since_storm_began": {"custody_s": over.json()},
            "attempts": sum(|c| c.attempts.into()),
            "retried": retried,
            "attempts_most": self.courses.iter().map(|c| c.attempts).max(),
            "refused": sum(|c| c.refused.into()),
            "busy": sum(|c| c.busy.into()),
            "failed": sum(|c| c.failed.into()),
            "whole": sum(|c| c.whole.into()),
            "up_b": sum(|c| c.sent),
            "down_b": sum(|c| c.received),
            "hub": {
                "cpu_s": cpu,
                "peak_mib": after.peak_kib / 1024,
                "rest_mib": before.now_kib / 1024,
                "open_mib": after.now_kib / 1024,
                "threads": after.threads,
                "written_mib": (after.written - before.written) >> 20,
                "database_mib": after.database.saturating_sub(before.database) >> 20,
                "flushes": self.flushes,
            },
        });
        println!("{line}");
        println!("\n| since a village's arrival | p50 s | p90 s | p99 s | max s |");
        println!("|---|---|---|---|---|");
        println!("| connected | {} |", connected.cells());
        println!("| custody: receipts cover all | {} |", custody.cells());
        println!("| settled: proofs equal | {} |", settled.cells());
        println!("| custody, since the storm began | {} |", over.cells());
        for (attack, (tried, hung_up)) in &self.attacks {
            println!("{tried:>8}  {attack}, hung up on within 5 s: {hung_up}");
        }
        println!("\nthe hub's log:");
        for (message, count) in self.log.iter().take(12) {
            println!("{count:>8}  {message}");
        }
        let failed = self.courses.iter().filter(|c| !c.why.is_empty());
        let reasons = harness::process::counts(failed.map(|c| c.why.clone()));
        for (why, count) in reasons.iter().take(12) {
            println!("{count:>8}  village: {why}");
        }
    }
}
