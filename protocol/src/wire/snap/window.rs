//! The window of a snapshot: zstd, because its history reaches over many cases where the DEFLATE
//! of the stream sees the last forty. Only a first meeting pays for its memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use crate::limits;

/// As strong as it gets in a window of this size: what a county's line carries is worth more than
/// the second of a processor that a thousand cases cost.
const LEVEL: i32 = 19;
/// Two to this power of bytes are remembered.
const WINDOW_LOG: u32 = 21;
/// What the level would take by itself costs 80 MB a session and saves three bytes in a thousand.
const CHAIN_LOG: u32 = 20;
const HASH_LOG: u32 = 19;
/// So many at a time are that strong, some ten MB each; on the day on which a county's machines are
/// handed out the others make do with less.
const STRONG_MAX: usize = 8;
/// Level, and powers of two, of those: less than half a MB.
const LIGHT: [i32; 4] = [6, 17, 15, 14];
const STRONG: [i32; 4] = [LEVEL, WINDOW_LOG as i32, CHAIN_LOG as i32, HASH_LOG as i32];
const STEP: usize = 32 * 1024;

/// Strong ones there are.
static STRONGS: AtomicUsize = AtomicUsize::new(0);

/// The compressor or the other side failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("the compressor failed")]
    Compressor,
    #[error("bytes that are not of this window")]
    Corrupt,
    #[error("a part that inflates beyond what one may hold")]
    Bomb,
}

/// A place among the strong ones, given back when it is dropped.
struct Strong;

impl Strong {
    fn take() -> Option<Self> {
        let free = |strongs| (strongs < STRONG_MAX).then_some(strongs + 1);
        let taken = STRONGS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        taken.ok().map(|_before| Self)
    }
}

impl Drop for Strong {
    fn drop(&mut self) {
        let _before = STRONGS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sending half.
pub struct Packer {
    encoder: Encoder<'static>,
    strong: Option<Strong>,
}

/// The receiving half.
pub struct Unpacker(Decoder<'static>);

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer")
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unpacker")
    }
}

impl Packer {
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, WindowError> {
        let strong = Strong::take();
        let [level, window, chain, hash] = if strong.is_some() { STRONG } else { LIGHT };
        let mut encoder = Encoder::new(level).map_err(|_io| WindowError::Compressor)?;
        for parameter in [
            CParameter::WindowLog(window.cast_unsigned()),
            CParameter::ChainLog(chain.cast_unsigned()),
            CParameter::HashLog(hash.cast_unsigned()),
            CParameter::ContentSizeFlag(false),
        ] {
            encoder
                .set_parameter(parameter)
                .map_err(|_io| WindowError::Compressor)?;
        }
        Ok(Self { encoder, strong })
    }

    /// Whether it has a window as large as its history deserves.
    pub const fn is_strong(&self) -> bool {
        self.strong.is_some()
    }

    /// The next part, readable as soon as it is there.
    ///
    /// # Errors
    /// The compressor fails; this window cannot go on then.
    pub fn part(&mut self, bytes: &[u8]) -> Result<Vec<u8>, WindowError> {
        let mut out = Vec::new();
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            step(&mut out, |buffer| self.encoder.run(&mut input, buffer))?;
        }
        while step(&mut out, |buffer| self.encoder.flush(buffer))? > 0 {}
        Ok(out)
    }
}

/// Lets the compressor write one buffer more; its answer.
fn step(
    out: &mut Vec<u8>,
    work: impl FnOnce(&mut OutBuffer<'_, [u8]>) -> std::io::Result<usize>,
) -> Result<usize, WindowError> {
    let mut room = [0; STEP];
    let mut buffer = OutBuffer::around(&mut room[..]);
    let answer = work(&mut buffer).map_err(|_io| WindowError::Compressor)?;
    let written = buffer.pos();
    out.extend_from_slice(&room[..written]);
    Ok(answer)
}

impl Unpacker {
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, WindowError> {
        let mut decoder = Decoder::new().map_err(|_io| WindowError::Compressor)?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(|_io| WindowError::Compressor)?;
        Ok(Self(decoder))
    }

    /// The bytes of a part; never more than [`limits::SNAP_BYTES_MAX`] come to exist.
    ///
    /// # Errors
    /// What came is not of this window, or too much. It cannot go on then.
    pub fn part(&mut self, part: &[u8]) -> Result<Vec<u8>, WindowError> {
        let mut out = Vec::new();
        let mut input = InBuffer::around(part);
        loop {
            let before = out.len();
            step(&mut out, |buffer| self.0.run(&mut input, buffer))
                .map_err(|_io| WindowError::Corrupt)?;
            if out.len() > limits::SNAP_BYTES_MAX {
                return Err(WindowError::Bomb);
            }
            // A buffer that was not filled has given all there is.
            if input.pos() == part.len() && out.len() - before < STEP {
                return Ok(out);
            }
            if out.len() == before && input.pos() == part.len() {
                return Err(WindowError::Corrupt);
            }
        }
    }
}
