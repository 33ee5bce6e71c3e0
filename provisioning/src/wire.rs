//! CBOR of this crate's own files and messages, bounded.

use ed25519_dalek::{Signature, VerifyingKey};
use minicbor::{Decode, Encode};

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("无法读取:{0}")]
pub struct Unreadable(pub &'static str);

/// As CBOR; writing to memory cannot fail.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("a Vec takes all that is written to it")
}

/// From CBOR, with nothing after it.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Unreadable> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|_any| Unreadable("格式不对"))?;
    if decoder.position() == bytes.len() {
        Ok(value)
    } else {
        Err(Unreadable("末尾有多余内容"))
    }
}

/// A file of ours: four letters that name its kind, then CBOR.
pub(crate) fn to_file<T: Encode<()>>(magic: [u8; 4], value: &T) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(encode(value));
    bytes
}

/// Reads [`to_file`]'s bytes; larger ones than `max` are not looked at.
pub(crate) fn from_file<'b, T: Decode<'b, ()>>(
    magic: [u8; 4],
    bytes: &'b [u8],
    max: usize,
) -> Result<T, Unreadable> {
    if bytes.len() > max {
        return Err(Unreadable("太大"));
    }
    decode(
        bytes
            .strip_prefix(&magic)
            .ok_or(Unreadable("是另一种文件"))?,
    )
}

/// Whether one of the keys signed the message.
pub(crate) fn signed_by_any(keys: &[[u8; 32]], message: &[u8], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    keys.iter().any(|key| {
        VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    })
}

/// Bytes that are written as a byte string inside lists.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(crate) struct Blob(#[cbor(n(0), with = "minicbor::bytes")] pub(crate) Vec<u8>);
