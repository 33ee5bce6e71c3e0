//! Clears up when the benchmark is interrupted: processes it started end, namespaces go.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// What to clear up.
static LEFT: Mutex<Left> = Mutex::new(Left {
    processes: BTreeSet::new(),
    spaces: BTreeSet::new(),
});

#[derive(Debug)]
struct Left {
    processes: BTreeSet<u32>,
    spaces: BTreeSet<String>,
}

fn left<T>(work: impl FnOnce(&mut Left) -> T) -> T {
    work(&mut LEFT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Notes a process to be ended.
pub(crate) fn note_process(id: u32) {
    let _new = left(|left| left.processes.insert(id));
}

/// The process ended.
pub(crate) fn forget_process(id: u32) {
    let _known = left(|left| left.processes.remove(&id));
}

pub(crate) fn note_space(name: &str) {
    let _new = left(|left| left.spaces.insert(name.to_owned()));
}

/// Removes a network namespace.
pub(crate) fn remove_space(name: &str) {
    let _known = left(|left| left.spaces.remove(name));
    let _gone = Command::new("ip").args(["netns", "del", name]).output();
}

/// Watches for an interrupt from now on, in a thread of its own.
///
/// # Errors
/// No thread, or no signals.
pub fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _thread = std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let code = runtime.block_on(interrupted());
            clear_up();
            std::process::exit(code);
        })?;
    Ok(())
}

async fn interrupted() -> i32 {
    let (Ok(mut int), Ok(mut term)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _int = int.recv() => 130,
        _term = term.recv() => 143,
    }
}

fn clear_up() {
    let (processes, spaces) = left(|left| {
        (
            std::mem::take(&mut left.processes),
            std::mem::take(&mut left.spaces),
        )
    });
    for id in processes {
        if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            let _gone = kill_process(id, Signal::KILL);
        }
    }
    for name in spaces {
        remove_space(&name);
    }
}
