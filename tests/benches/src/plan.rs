//! What is asked of a row, and the folders its runs begin from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    generate,
    peer::{Begin, Peer},
    process,
    profile::Profile,
};

/// What is asked of a row.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub peer: Peer,
    pub cases: u64,
    pub seed: u64,
    pub profile: Profile,
    pub runs: u32,
    pub cuts: Option<Cuts>,
    /// Every packet of each meeting is appended here.
    pub trace: Option<PathBuf>,
    /// Prepared directories are kept here.
    pub scratch: PathBuf,
    /// Size of the attached file.
    pub megabytes: u64,
    /// Sessions a hub has before its memory is looked at again.
    pub sessions: u32,
}

/// How the line is cut again and again, seconds.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    pub every: u64,
    pub lasting: u64,
}

/// Both ends of one run, which may change them.
#[derive(Debug)]
pub struct Ends {
    /// Holds all that follows; goes with the run.
    pub at: PathBuf,
    pub hub: PathBuf,
    pub node: PathBuf,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.at);
    }
}

impl Plan {
    /// The workload's folder, made when it is not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn workload(&self) -> Result<PathBuf> {
        let folder = self
            .scratch
            .join(format!("work-{}-{}", self.cases, self.seed));
        if generate::meta(&folder).is_err() {
            let _meta = generate::write(&folder, self.seed, self.cases)?;
        }
        Ok(folder)
    }

    /// The prepared directories, made when they are not there.
    ///
    /// # Errors
    /// The peer's, the disk's.
    pub fn prepared(&self, begin: Begin) -> Result<PathBuf> {
        let empty = match (&self.peer, begin) {
            (Peer::Other(_), Begin::Empty) => "-empty",
            (Peer::Other(_), Begin::InSync) | (Peer::Cuntong(_), _) => "",
        };
        let name = format!("{}{empty}-{}-{}", self.name, self.cases, self.seed);
        let done = self.scratch.join(name);
        made(&done, |making| {
            self.peer.prepare(begin, &self.workload()?, making)
        })?;
        Ok(done)
    }

    /// Copies of the prepared directories, for one run.
    ///
    /// # Errors
    /// The peer's, the disk's.
    pub fn ends(&self, begin: Begin) -> Result<Ends> {
        let prepared = self.prepared(begin)?;
        let at = self.at()?;
        let from = match (&self.peer, begin) {
            (Peer::Cuntong(_), Begin::Empty) => "spare",
            (Peer::Cuntong(_), Begin::InSync) | (Peer::Other(_), _) => "node",
        };
        let (hub, node) = (at.join("hub"), at.join("node"));
        copy(&prepared.join("hub"), &hub)?;
        copy(&prepared.join(from), &node)?;
        Ok(Ends { at, hub, node })
    }

    /// An empty folder for one run.
    ///
    /// # Errors
    /// The disk's.
    pub fn at(&self) -> Result<PathBuf> {
        let at = self.scratch.join(format!("run-{}", std::process::id()));
        if at.exists() {
            fs::remove_dir_all(&at)?;
        }
        fs::create_dir_all(&at)?;
        Ok(at)
    }

    /// The profile of a run.
    pub fn profile_of(&self, run: u32) -> Profile {
        self.profile.clone().seeded(self.seed ^ u64::from(run))
    }
}

/// Makes a folder in one go: it is there whole, or not at all.
///
/// # Errors
/// Those of the maker, and the disk's.
pub fn made(done: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if done.exists() {
        return Ok(());
    }
    let making = done.with_extension("making");
    if making.exists() {
        fs::remove_dir_all(&making)?;
    }
    make(&making)?;
    Ok(fs::rename(&making, done)?)
}

/// A folder once more, with times and rights.
///
/// # Errors
/// The disk's.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    let _same = command.arg("-a").arg(from).arg(to);
    process::output(&mut command).map(drop)
}
