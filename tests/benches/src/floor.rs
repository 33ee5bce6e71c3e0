//! The physical limit a meeting is measured against: what must cross the line whoever speaks.
//!
//! Bytes: one handshake, and the changed content of each direction as JSON through zstd at level
//! 19. Time: one round trip, and the bytes at the line's rate. How it is reckoned stands in
//! `docs/benchmarks.md`.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::Result;
use serde::Serialize;
use zstd::stream::write::Encoder;

use crate::{
    generate::{self, Case, Change},
    profile::Profile,
};

/// A cold QUIC handshake with certificates on both sides: two padded packets up, what answers
/// them, and nine headers of IP and UDP.
pub const HANDSHAKE_BYTES: u64 = 4_100 + 9 * 28;
const LEVEL: i32 = 19;
/// 128 MiB, as `zstd --long`.
const WINDOW_LOG: u32 = 27;

/// What must cross.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Floor {
    pub handshake: u64,
    pub up: u64,
    pub down: u64,
}

impl Floor {
    /// Nothing changed.
    pub const NOTHING: Self = Self {
        handshake: HANDSHAKE_BYTES,
        up: 0,
        down: 0,
    };

    /// The day of a workload: every new case whole, of every other only what was set.
    ///
    /// # Errors
    /// No workload.
    pub fn day(work: &Path) -> Result<Self> {
        Ok(Self {
            up: changes(work, "up.jsonl")?,
            down: changes(work, "down.jsonl")?,
            ..Self::NOTHING
        })
    }

    /// All cases of a workload, as they are now.
    ///
    /// # Errors
    /// No workload.
    pub fn all(work: &Path) -> Result<Self> {
        let mut squeezed = encoder()?;
        for case in generate::read::<Case>(work, "initial.jsonl")? {
            let case = case?;
            let state = (&case.id, case.state());
            serde_json::to_writer(&mut squeezed, &state)?;
            squeezed.write_all(b"\n")?;
        }
        Ok(Self {
            down: squeezed.finish()?.0,
            ..Self::NOTHING
        })
    }

    /// All of it.
    pub const fn bytes(&self) -> u64 {
        self.handshake + self.up + self.down
    }

    /// Seconds on that line; none where the line sets no limit.
    pub fn seconds(&self, profile: &Profile) -> Option<f64> {
        let rate = profile.up.rate? as f64;
        Some(profile.round_trip().as_secs_f64() + self.bytes() as f64 * 8.0 / rate)
    }
}

fn changes(work: &Path, name: &str) -> Result<u64> {
    let mut squeezed = encoder()?;
    for change in generate::read::<Change>(work, name)? {
        let Change { id, set, .. } = change?;
        let line: BTreeMap<_, _> = set.into_iter().collect();
        serde_json::to_writer(&mut squeezed, &(id, line))?;
        squeezed.write_all(b"\n")?;
    }
    Ok(squeezed.finish()?.0)
}

/// Counts what is written to it.
#[derive(Debug, Default)]
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn encoder() -> Result<Encoder<'static, Counted>> {
    let mut encoder = Encoder::new(Counted::default(), LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(WINDOW_LOG)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_of_nothing_is_a_handshake_and_a_round_trip() {
        let line = Profile::named("village-128").unwrap();
        let seconds = Floor::NOTHING.seconds(&line).unwrap();
        assert!((seconds - (0.6 + 4_352.0 * 8.0 / 128_000.0)).abs() < 1e-9);
        assert_eq!(
            Floor::NOTHING.seconds(&Profile::named("plain").unwrap()),
            None
        );
    }

    #[test]
    fn more_content_needs_more_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let _meta = generate::write(folder.path(), 1, 150).unwrap();
        let (day, all) = (
            Floor::day(folder.path()).unwrap(),
            Floor::all(folder.path()).unwrap(),
        );
        assert!(day.up > day.down && day.down > 100, "{day:?}");
        assert!(all.down > 10 * day.up, "{all:?}");
    }
}
