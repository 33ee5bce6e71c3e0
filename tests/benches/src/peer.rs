//! Other systems: a folder with an executable `peer` that knows a few verbs
//! (`tests/benches/README.md`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    county, cuntong,
    link::{HUB, Link, Side},
    process::{self, Running},
};

const PORT: u16 = 4700;

/// A system under measurement.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Our own executable, which is built in.
    Cuntong(PathBuf),
    /// A folder under `tests/peers`.
    Other(PathBuf),
}

/// What a run begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Both ends hold all cases.
    InSync,
    /// The node holds none.
    Empty,
}

impl Peer {
    /// `cuntong`, or the name of a folder under `tests/peers`.
    ///
    /// # Errors
    /// There is no such peer.
    pub fn named(name: &str, executable: &Path, peers: &Path) -> Result<Self> {
        if name == "cuntong" {
            ensure!(executable.exists(), "{} is not built", executable.display());
            return Ok(Self::Cuntong(executable.to_owned()));
        }
        let folder = peers.join(name);
        ensure!(
            folder.join("peer").exists(),
            "no peer in {}",
            folder.display()
        );
        Ok(Self::Other(std::fs::canonicalize(folder)?))
    }

    /// Makes both ends as a run begins, in `into`: `hub` and `node`.
    ///
    /// # Errors
    /// The peer's.
    pub fn prepare(&self, begin: Begin, work: &Path, into: &Path) -> Result<()> {
        let (hub, node) = (into.join("hub"), into.join("node"));
        match self {
            // Both beginnings come from one preparation: the new machine is the node then.
            Self::Cuntong(_) => county::prepare(work, &hub, &node, &into.join("spare")),
            Self::Other(folder) => {
                for dir in [&hub, &node] {
                    std::fs::create_dir_all(dir)?;
                }
                let verb = match begin {
                    Begin::InSync => "prepare",
                    Begin::Empty => "prepare-empty",
                };
                let mut command = script(folder, verb);
                let _same = command.arg("--work").arg(work);
                let _same = command.arg("--hub").arg(hub).arg("--node").arg(node);
                process::output(&mut command).map(drop)
            }
        }
    }

    /// Each end goes on alone for a day.
    ///
    /// # Errors
    /// The peer's.
    pub fn apply(&self, work: &Path, hub: &Path, node: &Path) -> Result<()> {
        match self {
            Self::Cuntong(_) => county::apply(work, hub, node),
            Self::Other(folder) => {
                let mut command = script(folder, "apply");
                let _same = command.arg("--work").arg(work);
                let _same = command.arg("--hub").arg(hub).arg("--node").arg(node);
                process::output(&mut command).map(drop)
            }
        }
    }

    /// The state of some cases at one end, when no process runs there.
    ///
    /// # Errors
    /// The peer's, or a case is missing.
    pub fn read(&self, dir: &Path, ids: &[String]) -> Result<BTreeMap<String, Value>> {
        let Self::Other(folder) = self else {
            return cuntong::read(dir, ids);
        };
        let list = dir.with_extension("ids");
        std::fs::write(&list, ids.join("\n") + "\n")?;
        let mut command = script(folder, "read");
        let _same = command.arg("--dir").arg(dir).arg("--ids").arg(list);
        let mut states = BTreeMap::new();
        for line in process::output(&mut command)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let id = line["id"].as_str().context("a line without id")?.to_owned();
            let _new = states.insert(id, line["state"].clone());
        }
        ensure!(
            ids.iter().all(|id| states.contains_key(id)),
            "a case is missing"
        );
        Ok(states)
    }

    /// Starts another system's hub.
    pub(crate) fn serve(folder: &Path, link: &Link, hub: &Path) -> Result<Running> {
        let mut command = link.command_in(Side::Hub);
        let _same = command
            .arg(folder.join("peer"))
            .arg("serve")
            .arg("--hub")
            .arg(hub);
        let _same = command
            .args(["--listen", &format!("{HUB}:{PORT}")])
            .current_dir(folder);
        let mut running = Running::start(&mut command)?;
        loop {
            match running.line()?.as_str() {
                "ready" => return Ok(running),
                "" => ensure!(!running.ended(), "the hub ended before it was ready"),
                _other => {}
            }
        }
    }

    /// Starts another system's meeting.
    pub(crate) fn sync(folder: &Path, link: &Link, node: &Path) -> Result<Running> {
        Running::start(&mut at_node(folder, link, "sync", node))
    }

    /// Starts to bring a file from another system's node to its hub.
    pub(crate) fn carry(folder: &Path, link: &Link, node: &Path, file: &Path) -> Result<Running> {
        let mut command = at_node(folder, link, "carry", node);
        Running::start(command.arg("--file").arg(file))
    }
}

/// A verb at the node's end of a link.
fn at_node(folder: &Path, link: &Link, verb: &str, node: &Path) -> Command {
    let mut command = link.command_in(Side::Node);
    let _same = command
        .arg(folder.join("peer"))
        .arg(verb)
        .arg("--node")
        .arg(node);
    let _same = command
        .args(["--connect", &format!("{HUB}:{PORT}")])
        .current_dir(folder);
    command
}

fn script(folder: &Path, verb: &str) -> Command {
    let mut command = Command::new(folder.join("peer"));
    let _same = command.arg(verb).current_dir(folder);
    command
}
