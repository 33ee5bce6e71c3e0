//! The marker: a small file outside the database by which a node notices that its past may have
//! been lost, and so begins a new epoch.
//!
//! The database and the marker hold the same nonce, drawn again at each start and each stop. They differ after
//! a backup was restored; the machine differs after a disk was cloned; `clean` is missing after a
//! power cut, when a disk that lies about `fsync` may have lost entries that were already sent.

use std::{
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::HEXLOWER;

/// What the marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerState {
    /// The nonce the database held when it was last open here.
    pub nonce: [u8; 16],
    /// Hash of the machine's own id; zeros when it has none.
    pub machine: [u8; 8],
    /// Closed in order: everything sent is in the database.
    pub clean: bool,
    /// The epoch then: a restored database must not begin one that was used already.
    pub epoch: u32,
}

/// Why a new epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The first start with a key.
    First,
    /// The marker is missing or is not of this database: a backup was restored.
    Restored,
    /// The directory came from another machine.
    Cloned,
    /// The last run did not end in order.
    Unclean,
    /// Another node holds something else at a position of this writer's log.
    Forked,
    /// Another node holds entries of this writer that are not here.
    Behind,
    /// Own entries were refused by an authority: their positions in documents are used up.
    Refused,
}

impl Why {
    /// The word for logs and the audit.
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Restored => "restored",
            Self::Cloned => "cloned",
            Self::Unclean => "unclean",
            Self::Forked => "forked",
            Self::Behind => "behind",
            Self::Refused => "refused",
        }
    }
}

/// What a start with this database and this marker begins; `None`: the epoch goes on.
pub(super) fn judge(
    database: Option<[u8; 16]>,
    marker: Option<MarkerState>,
    machine: [u8; 8],
) -> Option<Why> {
    let Some(nonce) = database else {
        return Some(Why::First);
    };
    let Some(marker) = marker else {
        return Some(Why::Restored);
    };
    if marker.nonce != nonce {
        Some(Why::Restored)
    } else if marker.machine != machine {
        Some(Why::Cloned)
    } else if !marker.clean {
        Some(Why::Unclean)
    } else {
        None
    }
}

/// Epochs leapt over after a stop that was not in order, and one more: a machine set back as a whole
/// takes a number it used before once in so many times.
const UNCLEAN_LEAP_MAX: u32 = 256;

/// The number of the next epoch. Where the database may be older than what was sent, numbers
/// after it may be used up by epochs it does not know of: it leaps over some, by chance. A stop that
/// was not in order is also what a machine finds that was set back to a picture taken while it ran; it
/// is far more often a power cut, and short numbers travel cheaper: that leap is a short one.
pub(super) fn next(known: u32, marker: Option<MarkerState>, why: Why, chance: u16) -> u32 {
    let known = known.max(marker.map_or(0, |m| m.epoch));
    let leap = match why {
        Why::First | Why::Refused => 1,
        Why::Unclean => 1 + u32::from(chance) % UNCLEAN_LEAP_MAX,
        Why::Restored | Why::Cloned | Why::Forked | Why::Behind => 2 + u32::from(chance),
    };
    known.saturating_add(leap)
}

/// Where the marker is kept.
pub trait Marker: Send + Sync + fmt::Debug {
    /// What it says; `None` when there is none or it does not read.
    ///
    /// # Errors
    /// A failing disk.
    fn read(&self) -> io::Result<Option<MarkerState>>;

    /// Replaces it, durably.
    ///
    /// # Errors
    /// A failing disk.
    fn write(&self, state: MarkerState) -> io::Result<()>;

    /// Hash of this machine's own id; zeros when it has none.
    fn machine(&self) -> [u8; 8];
}

/// A marker in memory: for tests, and for a database in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryMarker {
    /// What it says; a test may change it to play a restore or a clone.
    pub state: Arc<Mutex<Option<MarkerState>>>,
    pub machine: [u8; 8],
}

impl Marker for MemoryMarker {
    fn read(&self) -> io::Result<Option<MarkerState>> {
        Ok(*self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, state: MarkerState) -> io::Result<()> {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(())
    }

    fn machine(&self) -> [u8; 8] {
        self.machine
    }
}

/// The file `marker` of a node's directory.
#[derive(Debug, Clone)]
pub struct FileMarker {
    path: PathBuf,
    machine: [u8; 8],
}

impl FileMarker {
    /// The marker of that directory.
    pub fn new(dir: &Path) -> Self {
        let id = fs::read("/etc/machine-id").unwrap_or_default();
        let mut machine = [0; 8];
        if !id.is_empty() {
            let hash = blake3::derive_key("cuntong 2026 machine id", id.trim_ascii());
            machine.copy_from_slice(&hash[..8]);
        }
        Self {
            path: dir.join("marker"),
            machine,
        }
    }
}

impl Marker for FileMarker {
    fn read(&self) -> io::Result<Option<MarkerState>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(parse(&text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write(&self, state: MarkerState) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(print(&state).as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, &self.path)?;
        // The rename itself must be durable too, or a stop would look unclean.
        if let Some(dir) = self.path.parent() {
            fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    }

    fn machine(&self) -> [u8; 8] {
        self.machine
    }
}

fn print(state: &MarkerState) -> String {
    format!(
        "Do not copy, restore or delete this file: by it the node notices a restored backup.\n\
         {} {} {} {}\n",
        HEXLOWER.encode(&state.nonce),
        HEXLOWER.encode(&state.machine),
        state.epoch,
        if state.clean { "clean" } else { "open" },
    )
}

fn parse(text: &str) -> Option<MarkerState> {
    let mut words = text.lines().nth(1)?.split(' ');
    let mut hex = || HEXLOWER.decode(words.next()?.as_bytes()).ok();
    let nonce = hex()?.try_into().ok()?;
    let machine = hex()?.try_into().ok()?;
    Some(MarkerState {
        nonce,
        machine,
        epoch: words.next()?.parse().ok()?,
        clean: words.next()? == "clean",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [u8; 8] = [1; 8];

    fn state(clean: bool) -> MarkerState {
        MarkerState {
            nonce: [7; 16],
            machine: HERE,
            clean,
            epoch: 3,
        }
    }

    #[test]
    fn an_epoch_goes_on_only_after_an_orderly_stop_on_the_same_machine() {
        assert_eq!(judge(None, None, HERE), Some(Why::First));
        assert_eq!(judge(Some([7; 16]), None, HERE), Some(Why::Restored));
        assert_eq!(
            judge(Some([8; 16]), Some(state(true)), HERE),
            Some(Why::Restored)
        );
        assert_eq!(
            judge(Some([7; 16]), Some(state(true)), [2; 8]),
            Some(Why::Cloned)
        );
        assert_eq!(
            judge(Some([7; 16]), Some(state(false)), HERE),
            Some(Why::Unclean)
        );
        assert_eq!(judge(Some([7; 16]), Some(state(true)), HERE), None);
    }

    #[test]
    fn a_restored_node_leaps_over_epochs_it_may_have_used() {
        assert_eq!(next(0, None, Why::First, 9), 1);
        assert_eq!(next(2, Some(state(false)), Why::Unclean, 9), 13);
        assert_eq!(next(2, Some(state(false)), Why::Unclean, 256), 4);
        assert_eq!(next(2, None, Why::Restored, 9), 13);
    }

    #[test]
    fn the_marker_file_reads_back() {
        assert_eq!(parse(&print(&state(true))), Some(state(true)));
        assert_eq!(parse(&print(&state(false))), Some(state(false)));
        assert_eq!(parse("junk"), None);
    }
}
