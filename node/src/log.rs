//! Structured logs: one JSON object a line. Personal data cannot get here: the types that hold it
//! do not print themselves, and file names, form fields and message bodies are never logged.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, panic, path::Path, sync::Mutex};

use tracing_subscriber::EnvFilter;

use crate::{config, exit::Failure};

/// Automerge opens spans with what it is given as fields: no reader's business, and a tenth of the
/// processor time of taking entries in.
const QUIET: &str = "automerge=off";

/// Starts logging. A second call changes nothing.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(dir: &Path, config: &config::Log) -> Result<(), Failure> {
    let level = format!("{QUIET},{}", config.level);
    let filter = EnvFilter::try_new(level).map_err(Failure::configuration)?;
    let logger = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter);
    // A panic's message may quote what somebody wrote (the gate lets automerge panic on hostile
    // changes); where it happened is enough.
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%at, "panic");
    }));
    // A second subscriber is refused: the first goes on.
    let _started_before = if config.file {
        let folder = dir.join("log");
        fs::create_dir_all(&folder)?;
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(folder.join("node.jsonl"))?;
        logger.with_writer(Mutex::new(file)).try_init()
    } else {
        logger.with_writer(io::stderr).try_init()
    };
    Ok(())
}
