//! Messages on a stream: one DEFLATE window per direction, so that the hundredth change that
//! looks like the first costs a few bytes.
//!
//! A frame is four bytes of length (big endian) and so many bytes of raw DEFLATE, which ends with
//! a sync flush whose last four bytes (`00 00 ff ff`) are left away. A frame is one message.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{limits, wire::window::Dictionary};

mod half;

use half::Half;

/// What every sync flush ends with; not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Output grows by this much at a time.
const STEP: usize = 16 * 1024;
/// Why a frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    #[error("an empty message")]
    Empty,
    #[error("a frame that is not DEFLATE")]
    Corrupt,
    #[error("a frame that inflates beyond a message")]
    Bomb,
    #[error("the dictionary cannot be set here")]
    Dictionary,
}

/// The sending half of one direction.
#[derive(Debug, Default)]
pub struct Deflater(Half<Compress>);

impl Deflater {
    /// Puts a dictionary in front of what comes next: before the first message, or between two.
    ///
    /// # Errors
    /// `Dictionary`, after which this direction cannot go on.
    pub fn prime(&mut self, dictionary: &Dictionary) -> Result<(), FrameError> {
        self.0.prime(dictionary)
    }

    /// Gives back the memory that is needed only while messages are made. The next one finds the
    /// same window; making it ready again costs about as much as compressing 32 KiB.
    pub fn rest(&mut self) {
        self.0.rest();
    }

    /// The frame of a message: length and compressed bytes. Frames must be sent in the order they
    /// were made, each once.
    ///
    /// # Errors
    /// `Empty` and `TooLong` when the bytes are no message; `Corrupt` should the compressor fail,
    /// after which this direction cannot go on.
    pub fn frame(&mut self, message: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut out = vec![0; 4];
        self.deflate(message, &mut out)?;
        let length = u32::try_from(out.len() - 4).map_err(|_long| FrameError::Corrupt)?;
        out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(out)
    }

    /// Appends the compressed bytes of a message, as [`Deflater::frame`] without the length.
    ///
    /// # Errors
    /// Those of [`Deflater::frame`].
    pub fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > limits::MESSAGE_BYTES_MAX {
            return Err(FrameError::TooLong(message.len()));
        }
        if message.is_empty() {
            return Err(FrameError::Empty);
        }
        let live = self.0.awake()?;
        let before = live.total_in();
        loop {
            out.reserve(STEP.min(message.len() / 2 + 64));
            let done = usize::try_from(live.total_in() - before).unwrap_or(usize::MAX);
            live.compress_vec(&message[done..], out, FlushCompress::Sync)
                .map_err(|_state| FrameError::Corrupt)?;
            let done = live.total_in() - before;
            if done == message.len() as u64 && out.len() < out.capacity() {
                break;
            }
        }
        if !out.ends_with(&TAIL) {
            return Err(FrameError::Corrupt);
        }
        out.truncate(out.len() - TAIL.len());
        self.0.past.add(message);
        Ok(())
    }
}

/// The length a frame announces, when a frame may be that long. Nothing need be allocated before.
///
/// # Errors
/// `TooLong`.
pub fn length(prefix: [u8; 4]) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > limits::FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    Ok(length)
}

/// The receiving half of one direction.
#[derive(Debug, Default)]
pub struct Inflater(Half<Decompress>);

impl Inflater {
    /// Puts a dictionary where the sender put it: before the first message, or between two.
    ///
    /// # Errors
    /// `Dictionary`, after which this direction cannot go on.
    pub fn prime(&mut self, dictionary: &Dictionary) -> Result<(), FrameError> {
        self.0.prime(dictionary)
    }

    /// Gives back the memory that is needed only while messages are read; making it ready again
    /// costs a copy of 32 KiB.
    pub fn rest(&mut self) {
        self.0.rest();
    }

    /// The message in a frame; `frame` is without its length. Never more than
    /// [`limits::MESSAGE_BYTES_MAX`] bytes come to exist. After an error the stream is to be
    /// closed: the window is lost.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn message(&mut self, frame: &[u8]) -> Result<Vec<u8>, FrameError> {
        if frame.len() > limits::FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(frame.len()));
        }
        let mut out = Vec::new();
        self.inflate(frame, &mut out)?;
        self.inflate(&TAIL, &mut out)?;
        self.0.past.add(&out);
        Ok(out)
    }

    fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let live = self.0.awake()?;
        let before = live.total_in();
        loop {
            let room = limits::MESSAGE_BYTES_MAX - out.len();
            // One byte more than a message tells a full message from a bomb.
            let step = STEP.min(room + 1);
            let start = out.len();
            out.resize(start + step, 0);
            let done = usize::try_from(live.total_in() - before).unwrap_or(usize::MAX);
            let out_before = live.total_out();
            let status = live
                .decompress(&input[done..], &mut out[start..], FlushDecompress::Sync)
                .map_err(|_data| FrameError::Corrupt)?;
            let made = usize::try_from(live.total_out() - out_before).unwrap_or(usize::MAX);
            out.truncate(start + made);
            if out.len() > limits::MESSAGE_BYTES_MAX {
                return Err(FrameError::Bomb);
            }
            if status == Status::StreamEnd {
                return Err(FrameError::Corrupt);
            }
            let done = live.total_in() - before;
            if done == input.len() as u64 && made < step {
                return Ok(());
            }
            if status == Status::BufError && made == 0 {
                return Err(FrameError::Corrupt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::window::{DICTIONARIES, DICTIONARY_BYTES_MAX};

    fn pair() -> (Deflater, Inflater) {
        (Deflater::default(), Inflater::default())
    }

    fn pass(d: &mut Deflater, i: &mut Inflater, message: &[u8]) -> Vec<u8> {
        let frame = d.frame(message).unwrap();
        let length = length(frame[..4].try_into().unwrap()).unwrap();
        assert_eq!(length, frame.len() - 4);
        i.message(&frame[4..]).unwrap()
    }

    #[test]
    fn the_second_message_that_looks_like_the_first_costs_little() {
        let (mut d, mut i) = pair();
        let message: Vec<u8> = (0..600_u32)
            .flat_map(|n| n.wrapping_mul(n).wrapping_mul(2_654_435_761).to_be_bytes())
            .collect();
        assert_eq!(pass(&mut d, &mut i, &message), message);
        let again = d.frame(&message).unwrap();
        assert!(again.len() < message.len() / 20, "{} bytes", again.len());
        assert_eq!(i.message(&again[4..]), Ok(message));
    }

    #[test]
    fn a_rest_between_messages_changes_nothing_for_the_other_side() {
        let text = |n: u32| -> Vec<u8> {
            let words = (0..700_u32).map(|w| w.wrapping_mul(n * n + 7) % 5_000);
            words.flat_map(u32::to_be_bytes).collect()
        };
        for primed in [false, true] {
            // One side rests after every message, the other never; either way round.
            let (mut resting, mut waking) = (pair(), pair());
            if primed {
                for half in [&mut resting, &mut waking] {
                    half.0.prime(&DICTIONARIES[0]).unwrap();
                    half.1.prime(&DICTIONARIES[0]).unwrap();
                }
            }
            for n in 0..60 {
                let message = text(n % 7);
                let frame = resting.0.frame(&message).unwrap();
                assert_eq!(waking.1.message(&frame[4..]).as_deref(), Ok(&message[..]));
                let kept = waking.0.frame(&message).unwrap();
                assert_eq!(resting.1.message(&kept[4..]).as_deref(), Ok(&message[..]));
                assert_eq!(frame.len(), kept.len(), "message {n}");
                resting.0.rest();
                resting.1.rest();
            }
            for past in [&resting.0.0.past, &waking.0.0.past, &resting.1.0.past] {
                assert!(past.said.capacity() <= DICTIONARY_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_message_of_full_length_passes_and_a_longer_one_is_not_sent() {
        let (mut d, mut i) = pair();
        let full = vec![7; limits::MESSAGE_BYTES_MAX];
        assert_eq!(pass(&mut d, &mut i, &full), full);
        let long = vec![7; limits::MESSAGE_BYTES_MAX + 1];
        assert_eq!(d.frame(&long), Err(FrameError::TooLong(long.len())));
    }

    #[test]
    fn messages_that_do_not_compress_pass_at_every_size() {
        let (mut d, mut i) = pair();
        let mut random = Vec::new();
        let mut x = 7_u64;
        for _eight in 0..9_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            random.extend(x.to_le_bytes());
        }
        for size in (1..200)
            .chain(16_300..16_420)
            .chain([32_768, 65_535, 72_000])
        {
            assert_eq!(pass(&mut d, &mut i, &random[..size]), random[..size]);
        }
        assert_eq!(d.frame(&[]), Err(FrameError::Empty));
    }

    #[test]
    fn a_bomb_is_refused_when_it_passes_the_length_of_a_message() {
        let mut compress = Compress::new(flate2::Compression::best(), false);
        let zeros = vec![0; 600 * 1024 * 1024 / 20];
        let mut bomb = Vec::with_capacity(1024 * 1024);
        compress
            .compress_vec(&zeros, &mut bomb, FlushCompress::Sync)
            .unwrap();
        assert!(bomb.len() < limits::FRAME_BYTES_MAX);
        assert_eq!(Inflater::default().message(&bomb), Err(FrameError::Bomb));
    }

    #[test]
    fn a_length_of_four_gigabytes_is_refused_before_anything_is_allocated() {
        assert!(matches!(length([0xff; 4]), Err(FrameError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn every_sequence_of_messages_comes_back(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3_000), 1..8),
            rests: [bool; 8],
        ) {
            let (mut d, mut i) = pair();
            for (n, message) in messages.iter().enumerate() {
                prop_assert_eq!(&pass(&mut d, &mut i, message), message);
                if rests[n] {
                    d.rest();
                } else {
                    i.rest();
                }
            }
        }

        #[test]
        fn no_bytes_make_the_inflater_panic(frame in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut i = Inflater::default();
            if i.message(&frame).is_ok() {
                drop(i.message(&frame));
            }
        }
    }
}
