//! The only reader of the clock and of chance. Everything else is handed what it gives.
//!
//! A PC with an empty battery wakes up in 1970. The clock therefore has a *floor*: the latest
//! moment known to be past (build of the program, newest signed time). Below the floor it counts
//! on from the floor and says that it is [`ClockState::Suspect`]; a wrong clock is shown, and
//! never stops work.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cuntong_protocol::time::{ClockState, Millis};
use cuntong_provisioning::{entropy::Entropy as _, folder::replace};

/// No clock that shows a time before this program was written is right: 2026-11-01.
const WRITTEN: Millis = Millis(1_793_491_200_000);
/// Further than this from an upstream's clock, ours is shown as doubtful.
const DOUBT_MS: i64 = 10 * 60 * 1000;
/// The floor is written down again when it moved by this much.
const SAVE_STEP_MS: i64 = 3_600 * 1000;

/// Tells the time, and whether it can be believed. Clones share one floor.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    started: Instant,
    floor: AtomicI64,
    saved: AtomicI64,
    far_from_upstream: AtomicBool,
    file: Option<PathBuf>,
}

#[derive(Debug)]
enum Source {
    System,
    /// Moved by hand, for tests and rehearsals.
    Hand(AtomicI64),
}

impl Clock {
    /// The system's clock over the floor kept in `file` (one decimal number, milliseconds). A
    /// file that cannot be read counts as none: the floor then starts at the program's own date.
    pub fn system(file: Option<&Path>) -> Self {
        let kept = file
            .and_then(|path| std::fs::read_to_string(path).ok())
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        Self::new(Source::System, kept, file.map(Path::to_owned))
    }

    /// A clock that stands where it is put.
    pub fn by_hand(at: Millis) -> Self {
        Self::new(Source::Hand(AtomicI64::new(at.0)), 0, None)
    }

    fn new(source: Source, kept: i64, file: Option<PathBuf>) -> Self {
        let floor = kept.max(WRITTEN.0);
        Self(Arc::new(Inner {
            source,
            started: Instant::now(),
            floor: AtomicI64::new(floor),
            saved: AtomicI64::new(kept),
            far_from_upstream: AtomicBool::new(false),
            file,
        }))
    }

    /// Puts a clock made [`Clock::by_hand`] to another time; the system's clock is not ours to set.
    pub fn set(&self, at: Millis) {
        if let Source::Hand(now) = &self.0.source {
            now.store(at.0, Ordering::Relaxed);
        }
    }

    /// The time now: never before the floor.
    pub fn now(&self) -> Millis {
        self.read().0
    }

    /// The time now, and whether it can be believed.
    pub fn read(&self) -> (Millis, ClockState) {
        let system = match &self.0.source {
            Source::System => system_ms(),
            Source::Hand(now) => now.load(Ordering::Relaxed),
        };
        let floor = self.0.floor.load(Ordering::Relaxed);
        if system < floor {
            // The floor is a moment long past; at least the time this process has run is added.
            let run = match &self.0.source {
                Source::System => self.0.started.elapsed().as_millis() as i64,
                Source::Hand(_) => 0,
            };
            return (Millis(floor.saturating_add(run)), ClockState::Suspect);
        }
        let state = if self.0.far_from_upstream.load(Ordering::Relaxed) {
            ClockState::Suspect
        } else {
            ClockState::Ok
        };
        (Millis(system), state)
    }

    /// Whether the time can be believed.
    pub fn state(&self) -> ClockState {
        self.read().1
    }

    /// A verified signature says that `past` is past: the floor rises to it.
    pub fn raise(&self, past: Millis) {
        let _before = self.0.floor.fetch_max(past.0, Ordering::Relaxed);
    }

    /// What an upstream's clock showed just now. Far from ours, ours is doubtful until they agree.
    pub fn heard(&self, upstream: Millis) {
        let far = upstream.since(self.now()).abs() > DOUBT_MS;
        self.0.far_from_upstream.store(far, Ordering::Relaxed);
    }

    /// Writes the floor down when it moved by an hour or `always`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, always: bool) -> io::Result<()> {
        let floor = self.0.floor.load(Ordering::Relaxed);
        let saved = self.0.saved.load(Ordering::Relaxed);
        let Some(file) = &self.0.file else {
            return Ok(());
        };
        if floor == saved || (!always && floor - saved < SAVE_STEP_MS) {
            return Ok(());
        }
        // Whole or not at all: a full disk must not lose the floor that was kept.
        replace(file, floor.to_string().as_bytes())?;
        self.0.saved.store(floor, Ordering::Relaxed);
        Ok(())
    }
}

fn system_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// A reading of the monotonic clock, for measuring how long something took.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// How long this machine has been asleep since it was started. What counts waits and deadlines
/// stands still meanwhile.
pub fn asleep() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let at = clock_gettime(clock);
        let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(at.tv_nsec).unwrap_or(0))
    };
    // In this order: what passes between the two counts as sleep rather than less than none.
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    Chance.bytes()
}

/// The system's chance, for whoever takes chance as an argument.
pub use cuntong_provisioning::entropy::System as Chance;

/// A moment chosen evenly from nothing to `most`: full jitter, so that a county's nodes that
/// lost the hub together do not all come back together.
pub fn jitter(most: Duration) -> Duration {
    let share = u64::from_be_bytes(random()) as f64 / u64::MAX as f64;
    most.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_woke_up_in_1970_counts_from_the_floor_and_says_so() {
        let clock = Clock::by_hand(Millis(5_000));
        assert_eq!(clock.read(), (WRITTEN, ClockState::Suspect));
    }

    #[test]
    fn a_signed_time_raises_the_floor_and_an_older_one_does_not_lower_it() {
        let clock = Clock::by_hand(WRITTEN.after(10));
        clock.raise(WRITTEN.after(500));
        clock.raise(WRITTEN.after(200));
        assert_eq!(clock.read(), (WRITTEN.after(500), ClockState::Suspect));
        clock.set(WRITTEN.after(600));
        assert_eq!(clock.read(), (WRITTEN.after(600), ClockState::Ok));
    }

    #[test]
    fn a_clock_far_from_upstreams_is_doubtful_until_they_agree() {
        let clock = Clock::by_hand(WRITTEN.after(10));
        clock.heard(WRITTEN.after(DOUBT_MS + 11));
        assert_eq!(clock.state(), ClockState::Suspect);
        clock.heard(WRITTEN.after(20));
        assert_eq!(clock.state(), ClockState::Ok);
    }

    #[test]
    fn the_floor_is_remembered_after_a_restart() {
        let dir = std::env::temp_dir().join(format!("cuntong-clock-{}", std::process::id()));
        let file = dir.join("clock");
        std::fs::create_dir_all(&dir).unwrap();
        let ahead = Millis(system_ms()).after(3_600_000);
        let clock = Clock::system(Some(&file));
        clock.raise(ahead);
        clock.save(true).unwrap();
        let again = Clock::system(Some(&file));
        assert!(again.now() >= ahead);
        assert_eq!(again.state(), ClockState::Suspect);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
