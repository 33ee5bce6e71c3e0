//! One half of a direction between messages: at rest it is nothing but its past.

use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, Decompress};

use super::FrameError;
use crate::wire::window::{DICTIONARY_BYTES_MAX, Dictionary};

/// Resting halves of either kind that are kept for the next who speaks: as many as speak at a time
/// on a few processors, at most 6 MiB.
const SPARE_MAX: usize = 20;

/// What rests. Made anew for every message these would tear the heap to pieces: a hub's grew by
/// 600 MiB in a storm.
static COMPRESSORS: Spare<Compress> = Spare(Mutex::new(Vec::new()));
static DECOMPRESSORS: Spare<Decompress> = Spare(Mutex::new(Vec::new()));

pub(super) struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    fn take(&self) -> Option<T> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop()
    }

    fn keep(&self, one: T) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(one);
        }
    }
}

/// What compresses or decompresses.
pub(super) trait Coder: Sized + 'static {
    /// Where those that rest are kept.
    const SPARE: &'static Spare<Self>;

    fn new() -> Self;
    /// As new.
    fn reset(&mut self);
    fn set(&mut self, window: &[u8]) -> Result<(), FrameError>;
}

impl Coder for Compress {
    const SPARE: &'static Spare<Self> = &COMPRESSORS;

    fn new() -> Self {
        Self::new(Compression::new(9), false)
    }

    fn reset(&mut self) {
        Self::reset(self);
    }

    fn set(&mut self, window: &[u8]) -> Result<(), FrameError> {
        let set = self.set_dictionary(window);
        set.map(drop).map_err(|_state| FrameError::Dictionary)
    }
}

impl Coder for Decompress {
    const SPARE: &'static Spare<Self> = &DECOMPRESSORS;

    fn new() -> Self {
        Self::new(false)
    }

    fn reset(&mut self) {
        Self::reset(self, false);
    }

    fn set(&mut self, window: &[u8]) -> Result<(), FrameError> {
        let set = self.set_dictionary(window);
        set.map(drop).map_err(|_state| FrameError::Dictionary)
    }
}

/// What the next bytes of a direction may refer to: the last 32 KiB before them.
///
/// A compressor at work takes 270 KiB and a decompressor 40, and between two messages neither
/// holds anything that does not follow from this. A hub with thousands of quiet sessions keeps
/// only this of each.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Stands before what was said.
    dictionary: Option<Dictionary>,
    pub(super) said: Vec<u8>,
}

impl Past {
    fn prime(&mut self, dictionary: &Dictionary) {
        if self.said.is_empty() && self.dictionary.is_none() {
            self.dictionary = Some(dictionary.clone());
        } else {
            self.add(dictionary.bytes());
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(DICTIONARY_BYTES_MAX)..];
        let over = (self.said.len() + last.len()).saturating_sub(DICTIONARY_BYTES_MAX);
        self.said.drain(..over);
        // Thousands of these are kept: not a byte more than is said.
        self.said.reserve_exact(last.len());
        self.said.extend(last);
    }

    /// The window itself.
    fn window(&self) -> Vec<u8> {
        let before = self.dictionary.as_ref().map_or(&[][..], Dictionary::bytes);
        let rest = DICTIONARY_BYTES_MAX - self.said.len();
        let before = &before[before.len().saturating_sub(rest)..];
        [before, &self.said].concat()
    }
}

/// A coder while it is needed, and its past.
#[derive(Debug)]
pub(super) struct Half<C> {
    /// Made at the first message, and again at the first after a rest.
    live: Option<C>,
    pub(super) past: Past,
}

impl<C> Default for Half<C> {
    fn default() -> Self {
        Self {
            live: None,
            past: Past::default(),
        }
    }
}

impl<C: Coder> Half<C> {
    pub(super) fn prime(&mut self, dictionary: &Dictionary) -> Result<(), FrameError> {
        self.past.prime(dictionary);
        match &mut self.live {
            Some(live) => live.set(dictionary.bytes()),
            None => Ok(()),
        }
    }

    pub(super) fn rest(&mut self) {
        if let Some(mut live) = self.live.take() {
            live.reset();
            C::SPARE.keep(live);
        }
    }

    pub(super) fn awake(&mut self) -> Result<&mut C, FrameError> {
        if self.live.is_none() {
            let mut live = C::SPARE.take().unwrap_or_else(C::new);
            let window = self.past.window();
            if !window.is_empty() {
                live.set(&window)?;
            }
            self.live = Some(live);
        }
        self.live.as_mut().ok_or(FrameError::Corrupt)
    }
}
