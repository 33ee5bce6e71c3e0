//! What two nodes say about files, on a stream of its own: frames of a length (4 bytes, big
//! endian) and a CBOR message, without compression. The one who fetches opens the stream.

use super::Blob;
use crate::{
    limits,
    wire::codec::{self, Bounds, DecodeError},
};

/// The minor version since which files are spoken of.
pub const BLOBS_SINCE: u16 = 3;

/// One frame's content at most: a group, its proof and what stands around them.
pub const FRAME_BYTES_MAX: usize = limits::BLOB_GROUP_BYTES + 4 * 1024;
/// States in one message.
pub const STATES_MAX: usize = 64;
/// Nesting and items of one message.
const DEPTH_MAX: usize = 8;
const ITEMS_MAX: usize = 1_000;

/// One message about files. The numbers are of the same row as those of [`crate::wire::Message`].
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum BlobMessage {
    /// Asks for groups of a file, or whether it is there.
    #[n(20)]
    Ask(#[n(0)] Ask),
    /// One group of a file, with its proof.
    #[n(21)]
    Piece(#[n(0)] Piece),
    /// Instead of pieces: whether files are there.
    #[n(22)]
    States(#[n(0)] Vec<State>),
}

/// Groups of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Ask {
    #[n(0)]
    pub blob: Blob,
    #[n(1)]
    pub first: u32,
    /// None: only whether the file is there.
    #[n(2)]
    pub count: u32,
}

/// One group.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Piece {
    #[n(0)]
    pub blob: Blob,
    #[n(1)]
    pub group: u32,
    /// The hashes beside its way up ([`super::tree`]).
    #[cbor(n(2), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Piece({:?}, {})", self.blob, self.group)
    }
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct State {
    #[n(0)]
    pub blob: Blob,
    #[n(1)]
    pub word: Word,
}

/// What is said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Word {
    /// Whole, and served. Also said unasked, to who was told [`Word::Absent`] before.
    #[n(1)]
    Here,
    /// Not here, or not for the one who asks: these are not told apart.
    #[n(2)]
    Absent,
    /// Not now: this side's line is not to be used for files at present.
    #[n(3)]
    Later,
}

/// The bytes of a message, without the length before them.
pub fn encode(message: &BlobMessage) -> Vec<u8> {
    codec::bytes_of(message)
}

/// The message these bytes are.
///
/// # Errors
/// [`DecodeError`]; `Unknown` alone may be skipped, when the peer speaks a newer minor version.
pub fn decode(bytes: &[u8]) -> Result<BlobMessage, DecodeError> {
    let bounds = Bounds {
        bytes: FRAME_BYTES_MAX,
        depth: DEPTH_MAX,
        items: ITEMS_MAX,
        numbers: 20..=22,
    };
    let message = codec::message_of(bytes, &bounds)?;
    if let BlobMessage::States(states) = &message
        && states.len() > STATES_MAX
    {
        return Err(DecodeError::TooMany("states of files"));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use data_encoding::HEXLOWER;

    use super::*;
    use crate::id::BlobHash;

    fn all() -> [(&'static str, BlobMessage); 3] {
        let blob = Blob {
            hash: BlobHash([0x77; 32]),
            size: 200_000,
        };
        let ask = Ask {
            blob,
            first: 1,
            count: 3,
        };
        let piece = Piece {
            blob,
            group: 3,
            path: vec![0x11; 64],
            bytes: b"scan".to_vec(),
        };
        let word = [Word::Here, Word::Absent, Word::Later];
        let states = word.map(|word| State { blob, word });
        [
            ("BLOB_ASK", BlobMessage::Ask(ask)),
            ("BLOB_PIECE", BlobMessage::Piece(piece)),
            ("BLOB_STATE", BlobMessage::States(states.to_vec())),
        ]
    }

    /// Released bytes stay readable for ever.
    #[test]
    fn every_message_has_the_bytes_it_always_had() {
        let mut golden = String::new();
        for (name, message) in all() {
            let bytes = encode(&message);
            assert_eq!(decode(&bytes), Ok(message));
            writeln!(golden, "{name} {}", HEXLOWER.encode(&bytes)).unwrap();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire/blobs.hex");
        if option_env!("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &golden).unwrap();
        }
        assert_eq!(golden, include_str!("../../testdata/wire/blobs.hex"));
    }

    #[test]
    fn the_document_of_the_wire_lists_every_message_under_its_number() {
        let document = include_str!("../../../docs/formats/wire.md");
        for (number, (name, message)) in (20..).zip(all()) {
            assert_eq!(encode(&message)[..2], [0x82, number], "{name}");
            let row = format!("| `{name}` | {number} |");
            assert!(document.contains(&row), "no row {row}");
        }
    }

    #[test]
    fn garbage_and_what_is_too_much_is_no_message() {
        for (name, message) in all() {
            let bytes = encode(&message);
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err(), "{name} cut at {end}");
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(decode(&longer).is_err(), "{name} with a byte more");
        }
        let (_, BlobMessage::States(states)) = all()[2].clone() else {
            panic!("the third is states");
        };
        let many = BlobMessage::States(vec![states[0]; STATES_MAX + 1]);
        assert_eq!(
            decode(&encode(&many)),
            Err(DecodeError::TooMany("states of files"))
        );
        assert!(matches!(
            decode(&vec![0; FRAME_BYTES_MAX + 1]),
            Err(DecodeError::TooLong(_))
        ));
        assert_eq!(decode(&[0x82, 0x17, 0x80]), Err(DecodeError::Unknown(23)));
    }

    #[test]
    fn the_largest_piece_fits_a_frame() {
        let blob = Blob {
            hash: BlobHash([0xff; 32]),
            size: u64::MAX,
        };
        let piece = Piece {
            blob,
            group: u32::MAX,
            path: vec![0; 32 * 40],
            bytes: vec![0; limits::BLOB_GROUP_BYTES],
        };
        assert!(encode(&BlobMessage::Piece(piece)).len() <= FRAME_BYTES_MAX);
    }
}
