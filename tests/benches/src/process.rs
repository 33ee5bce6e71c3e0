//! Processes at the ends of the link, and what they cost.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;

use crate::signals;

/// A process that is told to stop is killed after this.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a process and its children used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    pub cpu_s: f64,
    /// Largest resident memory so far, summed over the processes, KiB.
    pub peak_kib: u64,
    /// Resident memory now, summed likewise, KiB.
    pub now_kib: u64,
}

/// A process that is ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts it; its standard output can be read, its errors go where ours go.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        signals::note_process(child.id());
        let out = child.stdout.take().map(BufReader::new);
        Ok(Self { child, out })
    }

    /// The next line it prints; empty at its end.
    ///
    /// # Errors
    /// It prints no text.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if let Some(out) = &mut self.out {
            let _length = out.read_line(&mut line)?;
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it prints `{"ok":true}`.
    ///
    /// # Errors
    /// It ends before.
    pub fn until_ok(&mut self) -> Result<()> {
        loop {
            let line = self.line()?;
            if serde_json::from_str::<Value>(&line).is_ok_and(|said| said["ok"] == true) {
                return Ok(());
            }
            ensure!(!line.is_empty(), "it ended before it was done");
        }
    }

    /// What it used so far.
    pub fn usage(&self) -> Usage {
        usage_of(self.child.id())
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells it to stop and waits; true when it ended well.
    pub fn stop(&mut self) -> bool {
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + STOP_WITHIN;
        let well = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if Instant::now() < deadline => pause(LOOK_EVERY),
                Ok(None) | Err(_) => {
                    let _killed = self.child.kill();
                    let _ended = self.child.wait();
                    break false;
                }
            }
        };
        signals::forget_process(self.child.id());
        well
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended() {
            let _ended = self.stop();
        }
        signals::forget_process(self.child.id());
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(id, signal);
    }
}

/// Waits; a benchmark may, tests have clocks by hand.
pub fn pause(time: Duration) {
    let timeout = rustix::event::Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let _interrupted = rustix::event::poll(&mut [], Some(&timeout));
}

/// Usage of a process and all below it.
fn usage_of(id: u32) -> Usage {
    let mut sum = own(id).unwrap_or_default();
    let children = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten();
    for task in children.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in text.split_whitespace().filter_map(|id| id.parse().ok()) {
            let below = usage_of(child);
            sum.cpu_s += below.cpu_s;
            sum.peak_kib += below.peak_kib;
            sum.now_kib += below.now_kib;
        }
    }
    sum
}

/// Usage of one process, with the children it waited for.
fn own(id: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything; fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = (11..15)
        .filter_map(|n| fields.get(n)?.parse::<u64>().ok())
        .sum();
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = |name| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|text| text.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    };
    Some(Usage {
        cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        peak_kib: line("VmHWM:"),
        now_kib: line("VmRSS:"),
    })
}

/// Runs a command to its end and answers what it printed.
///
/// # Errors
/// It fails, or cannot be started.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
