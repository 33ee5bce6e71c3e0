//! The watched folder `DIR/inbox`: tickets, grants and control documents brought on a stick.
//!
//! Anybody who can plug in a stick can put anything there, so what lies there is hostile until
//! read: a name is opened without following links, must be one plain file with one name, small,
//! and at rest; it is copied into memory, and only the copy is looked at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::Watcher as _;
use tokio::sync::mpsc;

use crate::stop::Stop;

mod take;
#[cfg(test)]
mod tests;

use take::{Folder, Look};
pub use take::{Rest, Unfit};

/// A file must look the same for so long before it is taken: a copy onto a slow stick may pause.
const REST: Duration = Duration::from_millis(400);
/// The folder is looked through so often even when nothing is reported: watching is a hint.
const RESCAN: Duration = Duration::from_secs(30);

/// What to do with a file's content.
pub trait Intake: Send + Sync + 'static {
    /// Smaller comes first, when several files arrive together: an authority before a roster.
    fn rank(&self, content: &[u8]) -> u8;
    /// Takes it in; the words say what it was, or why it is refused (Chinese).
    ///
    /// # Errors
    /// Why it is refused, for the person who brought it.
    fn take(&self, content: Vec<u8>) -> Result<String, String>;
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    pub result: Result<String, String>,
}

/// The folder with its `done` and `refused` beside.
#[derive(Debug)]
pub struct Inbox {
    folder: Folder,
    /// What an untaken file looked like last time.
    seen: BTreeMap<String, Look>,
}

impl Inbox {
    /// Opens (and makes, where missing) `dir/inbox`, `dir/inbox/done` and `dir/inbox/refused`.
    ///
    /// # Errors
    /// When they cannot be made, or are not directories.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        Ok(Self {
            folder: Folder::open(&dir.join("inbox"))?,
            seen: BTreeMap::new(),
        })
    }

    /// Looks through the folder once. A file is taken when it looks just as at the last call;
    /// the caller lets [`REST`] pass between calls. `true`: something is still moving.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn scan(
        &mut self,
        intake: &dyn Intake,
        stamp: &str,
    ) -> std::io::Result<(Vec<Outcome>, bool)> {
        let mut ready = Vec::new();
        let mut refused = Vec::new();
        let mut moving = BTreeMap::new();
        for name in self.folder.names()? {
            match self.folder.look(&name) {
                Ok(look) if self.seen.get(&name) == Some(&look) => match self.folder.copy(&name) {
                    Ok(Rest::Still(content)) => ready.push((intake.rank(&content), name, content)),
                    Ok(Rest::Moving) => drop(moving.insert(name, look)),
                    Err(unfit) => refused.push((name, unfit)),
                },
                Ok(look) => drop(moving.insert(name, look)),
                Err(Unfit::Gone) => {}
                Err(unfit) => refused.push((name, unfit)),
            }
        }
        self.seen = moving;
        ready.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut outcomes = Vec::new();
        for (name, unfit) in refused {
            outcomes.push(self.put_away(name, Err(unfit.to_string()), stamp)?);
        }
        for (_rank, name, content) in ready {
            let result = intake.take(content);
            outcomes.push(self.put_away(name, result, stamp)?);
        }
        Ok((outcomes, !self.seen.is_empty()))
    }

    fn put_away(
        &self,
        name: String,
        result: Result<String, String>,
        stamp: &str,
    ) -> std::io::Result<Outcome> {
        match &result {
            Ok(_what) => self.folder.done(&name, stamp)?,
            Err(reason) => self.folder.refused(&name, stamp, reason)?,
        }
        Ok(Outcome { name, result })
    }
}

/// Watches `dir/inbox` until `stop`, and tells of each file through `report`.
///
/// # Errors
/// When the folder cannot be opened.
pub async fn watch(
    dir: PathBuf,
    intake: Arc<dyn Intake>,
    stop: Stop,
    stamp: impl Fn() -> String + Send + Sync + 'static,
    report: impl Fn(&Outcome) + Send + Sync + 'static,
) -> std::io::Result<()> {
    let mut inbox = Inbox::open(&dir)?;
    let (nudge, mut nudged) = mpsc::channel(1);
    // Kept alive to the end: a dropped watcher is silent. Without one (no inotify left) the
    // folder is still looked through from time to time.
    let _watcher = notify::recommended_watcher(move |_event| {
        // A full channel already holds the news.
        let _full = nudge.try_send(());
    })
    .and_then(|mut watcher| {
        watcher.watch(&dir.join("inbox"), notify::RecursiveMode::NonRecursive)?;
        Ok(watcher)
    })
    .inspect_err(|error| tracing::warn!(%error, "inbox is not watched, only looked through"))
    .ok();
    loop {
        let now = stamp();
        let intake = intake.clone();
        let scanned = tokio::task::spawn_blocking(move || {
            let result = inbox.scan(&*intake, &now);
            (inbox, result)
        });
        let result;
        (inbox, result) = scanned.await.map_err(std::io::Error::other)?;
        let wait = match result {
            Ok((outcomes, moving)) => {
                outcomes.iter().for_each(&report);
                if moving { REST } else { RESCAN }
            }
            Err(error) => {
                tracing::warn!(%error, "inbox cannot be read");
                RESCAN
            }
        };
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            Some(()) = nudged.recv() => tokio::time::sleep(REST).await,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
