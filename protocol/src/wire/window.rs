//! The dictionary that stands before a stream's compression window, and short frames.
//!
//! A dictionary is text that messages are likely to repeat. Both sides have it in the executable, or
//! make it of the same control documents ([`crate::control::words`]);
//! the handshake names it by a hash (`docs/formats/transport.md`), and each direction's window is
//! primed with it before the first message ([`Deflater::prime`], [`super::frame::Inflater::prime`]). A dictionary that was released is never changed: a
//! better one gets another name, and a node keeps those its peers may still have.

use std::{fmt, sync::Arc};

use data_encoding::HEXLOWER;

use crate::{
    limits,
    wire::{
        elide,
        frame::{Deflater, FrameError},
    },
};

/// The first eight bytes of BLAKE3 derive_key("cuntong 2026 wire dictionary", its bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct DictionaryId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 8]);

impl fmt::Debug for DictionaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Text that messages are likely to repeat; at most 32 KiB, the likeliest last.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary(Text);

#[derive(Clone)]
enum Text {
    Shipped(&'static [u8]),
    Made(Arc<[u8]>),
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text {}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shipped(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({:?})", self.id())
    }
}

/// DEFLATE looks back no further than this.
pub const DICTIONARY_BYTES_MAX: usize = 32 * 1024;

/// The dictionaries in this executable, the preferred one first.
pub static DICTIONARIES: [Dictionary; 1] =
    [Dictionary::shipped(include_bytes!("../../assets/1.dict"))];

impl Dictionary {
    /// A dictionary of these bytes; beyond [`DICTIONARY_BYTES_MAX`] only the last count.
    pub const fn shipped(bytes: &'static [u8]) -> Self {
        Self(Text::Shipped(bytes))
    }

    /// The same of bytes that were put together ([`crate::control::words`]).
    pub fn made(bytes: &[u8]) -> Self {
        Self(Text::Made(bytes.into()))
    }

    /// Its text.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Its name in a greeting.
    pub fn id(&self) -> DictionaryId {
        let hash = blake3::derive_key("cuntong 2026 wire dictionary", self.bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        DictionaryId(id)
    }
}

/// A frame whose length is an unsigned LEB128 number of one to three bytes.
///
/// # Errors
/// Those of [`Deflater::frame`].
pub fn frame(deflater: &mut Deflater, message: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::new();
    deflater.deflate(message, &mut body)?;
    let mut out = Vec::with_capacity(body.len() + LENGTH_BYTES_MAX);
    elide::unsigned(&mut out, body.len() as u64);
    out.extend(body);
    Ok(out)
}

/// Bytes of a short frame's length at most.
pub const LENGTH_BYTES_MAX: usize = 3;

/// Reads the length of a short frame off the front of a stream: the length and the bytes it
/// took, or `None` while more bytes are needed.
///
/// # Errors
/// `TooLong` beyond [`limits::FRAME_BYTES_MAX`]; `Corrupt` when it is padded.
pub fn length(stream: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0;
    for (place, byte) in stream.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 > 0 {
            continue;
        }
        if *byte == 0 && place > 0 {
            return Err(FrameError::Corrupt);
        }
        if length > limits::FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        return Ok(Some((length, place + 1)));
    }
    if stream.len() < LENGTH_BYTES_MAX {
        Ok(None)
    } else {
        Err(FrameError::TooLong(usize::MAX))
    }
}

const _: () = assert!(limits::FRAME_BYTES_MAX < 1 << (7 * LENGTH_BYTES_MAX));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::Inflater;

    #[test]
    fn the_released_dictionary_is_what_its_name_says() {
        assert!(DICTIONARIES[0].bytes().len() <= DICTIONARY_BYTES_MAX);
        insta::assert_snapshot!(format!("{:?}", DICTIONARIES[0].id()), @"224d72370ff767ba");
    }

    #[test]
    fn a_window_is_primed_before_the_first_message_or_between_two() {
        let text = &DICTIONARIES[0].bytes()[1_000..1_200];
        let mut plain = Deflater::default();
        let without = plain.frame(text).unwrap().len();
        for greeting in [false, true] {
            let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
            if greeting {
                for hello in [&b"hello"[..], &[7; 40_000]] {
                    let frame = deflater.frame(hello).unwrap();
                    assert_eq!(inflater.message(&frame[4..]).as_deref(), Ok(hello));
                }
            }
            deflater.prime(&DICTIONARIES[0]).unwrap();
            inflater.prime(&DICTIONARIES[0]).unwrap();
            let framed = frame(&mut deflater, text).unwrap();
            assert!(framed.len() * 4 < without, "{} of {without}", framed.len());
            let (length, taken) = length(&framed).unwrap().unwrap();
            assert_eq!(length, framed.len() - taken);
            assert_eq!(inflater.message(&framed[taken..]).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_receiver_without_the_dictionary_gets_an_error_and_no_other_message() {
        let mut deflater = Deflater::default();
        deflater.prime(&DICTIONARIES[0]).unwrap();
        let framed = deflater
            .frame(&DICTIONARIES[0].bytes()[1_000..1_200])
            .unwrap();
        assert_eq!(
            Inflater::default().message(&framed[4..]),
            Err(FrameError::Corrupt)
        );
    }

    #[test]
    fn a_short_length_is_read_as_it_comes_and_bounded() {
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&[0x80]), Ok(None));
        assert_eq!(length(&[0x05, 9]), Ok(Some((5, 1))));
        assert_eq!(length(&[0x80, 0x01]), Ok(Some((128, 2))));
        assert_eq!(length(&[0x80, 0x00]), Err(FrameError::Corrupt));
        assert!(matches!(
            length(&[0xff, 0xff, 0x7f]),
            Err(FrameError::TooLong(_))
        ));
        assert!(matches!(length(&[0xff; 3]), Err(FrameError::TooLong(_))));
    }
}
