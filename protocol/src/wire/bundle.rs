//! A bundle (数据包): what one node has for another, as a file on a stick.
//!
//! ```text
//! MAGIC     16 bytes
//! length    4 bytes, big endian, of the header
//! header    CBOR, in the clear: which county, from whom, to whom, when, how much
//! sealed    an age file to the receiver's key, holding
//!             the frames of messages, as on a stream, in one compression window
//!             a length of zero, and the closing
//! envelope  64 bytes: the sender's signature over all of the above
//! ```
//!
//! The messages are those of a session, said without an answer: HELLO, then CTRL, ACK, NACK and
//! PUSH. The closing carries the sender's signature over the header and every frame, so that a
//! bundle is whole and from a listed node before a byte of it is taken. The envelope says the same
//! of the file to whoever carries it and cannot open it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::{
    id::{County, NodeId},
    limits,
    time::Millis,
};

/// The first bytes of the file.
pub const MAGIC: &[u8; 16] = b"cuntong-bundle-1";
/// Bytes of the closing ([`Tally::close`]).
pub const CLOSING_BYTES: usize = 8 + 32 + 64;

const CONTEXT: &str = "cuntong 2026 bundle";
const ENVELOPE: &str = "cuntong 2026 bundle envelope";

/// What is said in the clear: enough to offer the bundle to the right machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Header {
    #[n(0)]
    pub county: County,
    #[n(1)]
    pub from: NodeId,
    #[n(2)]
    pub to: NodeId,
    /// By the sender's clock.
    #[n(3)]
    pub at: Millis,
    /// Entries in it.
    #[n(4)]
    pub entries: u64,
    /// Entries the sender had written when it made this: whoever holds as many of them needs this
    /// bundle no more, and of two bundles the newer one is told by it.
    #[n(5)]
    pub written: u64,
}

impl Header {
    /// Magic, length and header, as they stand at the beginning of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing to memory does not fail.
        let body = minicbor::to_vec(self).unwrap_or_default();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        [&MAGIC[..], &length.to_be_bytes(), &body].concat()
    }

    /// How many bytes of header follow the first [`Header::PREFIX`] of a file.
    ///
    /// # Errors
    /// Those are not the beginning of a bundle.
    pub fn length(prefix: [u8; Self::PREFIX]) -> Result<usize, BundleError> {
        let (magic, length) = prefix.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(BundleError::Magic);
        }
        let length = length.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
        if length > limits::BUNDLE_HEADER_BYTES_MAX {
            return Err(BundleError::Header);
        }
        Ok(length)
    }

    /// Bytes of magic and length.
    pub const PREFIX: usize = MAGIC.len() + 4;

    /// Reads the header's body.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(body: &[u8]) -> Result<Self, BundleError> {
        minicbor::decode(body).map_err(|_malformed| BundleError::Header)
    }
}

/// Hashes the file of a bundle from its first byte to its envelope.
#[derive(Debug)]
pub struct Envelope(blake3::Hasher);

impl Envelope {
    /// Bytes at the end of the file.
    pub const BYTES: usize = 64;

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The last bytes of the file, signed by its sender.
    pub fn close(&self, key: &SigningKey) -> [u8; Self::BYTES] {
        key.sign(&self.text()).to_bytes()
    }

    /// Whether these are the last bytes of the file that was hashed, signed under this key.
    ///
    /// # Errors
    /// They are not: the file is cut or changed, or from somebody else.
    pub fn verify(&self, closing: &[u8; Self::BYTES], key: &[u8; 32]) -> Result<(), BundleError> {
        VerifyingKey::from_bytes(key)
            .and_then(|key| key.verify_strict(&self.text(), &Signature::from_bytes(closing)))
            .map_err(|_forged| BundleError::Envelope)
    }

    fn text(&self) -> Vec<u8> {
        let digest = self.0.finalize();
        [&b"cuntong bundle envelope\x01"[..], digest.as_bytes()].concat()
    }
}

impl Default for Envelope {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(ENVELOPE))
    }
}

/// Counts and hashes the frames of a bundle.
#[derive(Debug)]
pub struct Tally {
    hasher: blake3::Hasher,
    messages: u64,
}

impl Tally {
    /// Of a bundle with this header.
    pub fn new(header: &Header) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&header.to_bytes());
        Self {
            hasher,
            messages: 0,
        }
    }

    /// One frame, with its length.
    ///
    /// # Errors
    /// More messages than a bundle may hold.
    pub fn frame(&mut self, frame: &[u8]) -> Result<(), BundleError> {
        self.messages += 1;
        if self.messages > limits::BUNDLE_MESSAGES_MAX {
            return Err(BundleError::TooMany);
        }
        self.hasher.update(frame);
        Ok(())
    }

    /// Messages so far.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// The last bytes of a bundle, signed by its sender.
    pub fn close(&self, key: &SigningKey) -> [u8; CLOSING_BYTES] {
        let digest = *self.hasher.finalize().as_bytes();
        let signature = key.sign(&text(self.messages, &digest)).to_bytes();
        let mut closing = [0; CLOSING_BYTES];
        closing[..8].copy_from_slice(&self.messages.to_be_bytes());
        closing[8..40].copy_from_slice(&digest);
        closing[40..].copy_from_slice(&signature);
        closing
    }

    /// Whether these are the closing bytes of what was counted, signed under this key.
    ///
    /// # Errors
    /// `Altered` when they are about other frames, `Signature` when another key made them.
    pub fn verify(&self, closing: &[u8; CLOSING_BYTES], key: &[u8; 32]) -> Result<(), BundleError> {
        let digest = *self.hasher.finalize().as_bytes();
        if closing[..8] != self.messages.to_be_bytes() || closing[8..40] != digest {
            return Err(BundleError::Altered);
        }
        let mut signature = [0; 64];
        signature.copy_from_slice(&closing[40..]);
        VerifyingKey::from_bytes(key)
            .and_then(|key| {
                key.verify_strict(
                    &text(self.messages, &digest),
                    &Signature::from_bytes(&signature),
                )
            })
            .map_err(|_forged| BundleError::Signature)
    }
}

fn text(messages: u64, digest: &[u8; 32]) -> Vec<u8> {
    let mut text = b"cuntong bundle\x01".to_vec();
    text.extend(messages.to_be_bytes());
    text.extend(digest);
    text
}

/// Why a file is not taken as a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("不是数据包文件")]
    Magic,
    #[error("数据包的头部有误")]
    Header,
    #[error("数据包中的记录过多")]
    TooMany,
    #[error("数据包在途中被改动过")]
    Altered,
    #[error("数据包的签名不符")]
    Signature,
    #[error("数据包不完整或已损坏（可能是 U 盘拔得太早）；没有收取任何内容，请重新拷贝")]
    Envelope,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            county: County([7; 16]),
            from: NodeId([1; 8]),
            to: NodeId([2; 8]),
            at: Millis(1_772_413_200_000),
            entries: 12,
            written: 4_000_000,
        }
    }

    #[test]
    fn a_carrier_sees_that_a_file_was_cut_or_changed_without_opening_it() {
        let file = b"header, and what only the receiver can read";
        let envelope = |bytes: &[u8]| {
            let mut envelope = Envelope::default();
            envelope.update(bytes);
            envelope
        };
        let closing = envelope(file).close(&key());
        let public = key().verifying_key().to_bytes();
        assert_eq!(envelope(file).verify(&closing, &public), Ok(()));
        for end in 0..file.len() {
            let cut = envelope(&file[..end]);
            assert_eq!(cut.verify(&closing, &public), Err(BundleError::Envelope));
        }
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        let forged = envelope(file).verify(&closing, &other);
        assert_eq!(forged, Err(BundleError::Envelope));
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    #[test]
    fn a_header_comes_back_and_other_files_are_told_apart() {
        let bytes = header().to_bytes();
        let (prefix, body) = bytes.split_at(Header::PREFIX);
        let prefix: [u8; Header::PREFIX] = prefix.try_into().unwrap();
        assert_eq!(Header::length(prefix), Ok(body.len()));
        assert_eq!(Header::read(body), Ok(header()));
        assert_eq!(
            Header::length(*b"PK\x03\x04 a zip archive.."),
            Err(BundleError::Magic)
        );
        let mut long = prefix;
        long[MAGIC.len()..].fill(0xff);
        assert_eq!(Header::length(long), Err(BundleError::Header));
        assert_eq!(Header::read(&body[..5]), Err(BundleError::Header));
    }

    #[test]
    fn a_missing_a_changed_and_a_foreign_frame_are_seen() {
        let tally = |header: &Header, frames: &[&[u8]]| {
            let mut tally = Tally::new(header);
            for frame in frames {
                tally.frame(frame).unwrap();
            }
            tally
        };
        let frames: [&[u8]; 2] = [b"one", b"two"];
        let closing = tally(&header(), &frames).close(&key());
        let public = key().verifying_key().to_bytes();
        let verify = |tally: Tally| tally.verify(&closing, &public);
        assert_eq!(verify(tally(&header(), &frames)), Ok(()));
        assert_eq!(
            verify(tally(&header(), &frames[..1])),
            Err(BundleError::Altered)
        );
        assert_eq!(
            verify(tally(&header(), &[b"one", b"twp"])),
            Err(BundleError::Altered)
        );
        let elsewhere = Header {
            to: NodeId([3; 8]),
            ..header()
        };
        assert_eq!(
            verify(tally(&elsewhere, &frames)),
            Err(BundleError::Altered)
        );
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        assert_eq!(
            tally(&header(), &frames).verify(&closing, &other),
            Err(BundleError::Signature)
        );
    }
}
