//! Messages as bytes. Whatever comes in, decoding ends: it is bounded before it allocates and
//! never panics.
//!
//! Two passes: [`scan`] walks the structure without recursion and without allocating and checks
//! nesting, number of items and every declared length against the bytes that are there; only
//! then are values built, and [`bounds`] checks the counts the message's own type allows.

use std::ops::RangeInclusive;

use crate::{
    limits,
    log::{Batch, Receipt, Rejection},
    wire::{Hello, Message, Welcome, sketch::SKETCH_CELL_BYTES_MAX},
};

/// The largest number of a message that is known here.
const NUMBER_MAX: u64 = 18;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{0} bytes, more than a message may have")]
    TooLong(usize),
    #[error("structure: {0}")]
    Structure(&'static str),
    #[error("message number {0} is not known here")]
    Unknown(u64),
    #[error("content: {0}")]
    Content(String),
    #[error("too many: {0}")]
    TooMany(&'static str),
}

/// The bytes of a message. A message built within `limits` is at most
/// [`limits::MESSAGE_BYTES_MAX`] long.
pub fn encode(message: &Message) -> Vec<u8> {
    bytes_of(message)
}

/// What is encoded into memory cannot fail.
pub(crate) fn bytes_of<M: minicbor::Encode<()>>(message: &M) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(message, &mut out) {
        Ok(()) => out,
        Err(error) => match error.into_write() {
            Some(never) => match never {},
            // No encoder of ours reports an error of its own.
            None => out,
        },
    }
}

/// The message these bytes are.
///
/// # Errors
/// [`DecodeError`]; `Unknown` alone may be skipped, when the peer speaks a newer minor version.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    let bounded = Bounds {
        bytes: limits::MESSAGE_BYTES_MAX,
        depth: limits::CBOR_DEPTH_MAX,
        items: limits::MESSAGE_ITEMS_MAX,
        numbers: 1..=NUMBER_MAX,
    };
    let message = message_of(bytes, &bounded)?;
    bounds(&message)?;
    Ok(message)
}

/// What the messages of one kind of stream keep within.
pub(crate) struct Bounds {
    pub bytes: usize,
    pub depth: usize,
    pub items: usize,
    /// Of the messages that are known here.
    pub numbers: RangeInclusive<u64>,
}

/// The message these bytes are, of any kind of stream: cap before structure before content.
pub(crate) fn message_of<'b, M: minicbor::Decode<'b, ()>>(
    bytes: &'b [u8],
    bounds: &Bounds,
) -> Result<M, DecodeError> {
    if bytes.len() > bounds.bytes {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    scan(bytes, bounds.depth, bounds.items).map_err(DecodeError::Structure)?;
    let number = number(bytes)?;
    if !bounds.numbers.contains(&number) {
        return Err(DecodeError::Unknown(number));
    }
    minicbor::decode(bytes).map_err(|e| DecodeError::Content(e.to_string()))
}

fn number(bytes: &[u8]) -> Result<u64, DecodeError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    if !matches!(decoder.array(), Ok(Some(2))) {
        return Err(DecodeError::Structure("a message is [number, content]"));
    }
    decoder
        .u64()
        .map_err(|_not_number| DecodeError::Structure("a message begins with its number"))
}

/// Checks that `bytes` are exactly one CBOR item of definite lengths, without tags and floats,
/// nested at most `depth_max` deep, of at most `items_max` items, every length within the bytes
/// that follow it. Allocates nothing; takes time linear in the bytes.
///
/// # Errors
/// What is wrong, in words.
pub fn scan(bytes: &[u8], depth_max: usize, items_max: usize) -> Result<(), &'static str> {
    const ROOM: usize = 32;
    // Items still to come at each open level.
    let mut open = [0_u64; ROOM];
    let mut depth = 0;
    let mut rest = bytes;
    let mut items = 0;
    loop {
        items += 1;
        if items > items_max {
            return Err("too many items");
        }
        let (major, value, after) = head(rest)?;
        rest = after;
        let inner = match major {
            0 | 1 => 0,
            2 | 3 => {
                let length = within(value, rest)?;
                if major == 3 && std::str::from_utf8(&rest[..length]).is_err() {
                    return Err("text that is not UTF-8");
                }
                rest = &rest[length..];
                0
            }
            4 => value,
            5 => value.checked_mul(2).ok_or("a length beyond the end")?,
            7 if (20..=22).contains(&value) => 0,
            _ => return Err("a kind of item that is not used here"),
        };
        if inner > 0 {
            // An item takes a byte at least.
            within(inner, rest)?;
            if depth >= depth_max.min(ROOM) {
                return Err("nested too deep");
            }
            open[depth] = inner;
            depth += 1;
            continue;
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return if rest.is_empty() {
                Ok(())
            } else {
                Err("bytes after the end")
            };
        }
    }
}

fn head(bytes: &[u8]) -> Result<(u8, u64, &[u8]), &'static str> {
    const SHORT: &str = "it ends early";
    let (first, rest) = bytes.split_first().ok_or(SHORT)?;
    let (major, info) = (first >> 5, first & 31);
    let width = match info {
        0..=23 => return Ok((major, u64::from(info), rest)),
        24 if major == 7 => return Err("a kind of item that is not used here"),
        24 => 1,
        25..=27 if major == 7 => return Err("a floating point number"),
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err("an indefinite length"),
    };
    if rest.len() < width {
        return Err(SHORT);
    }
    let (number, rest) = rest.split_at(width);
    let value = number.iter().fold(0, |v, b| v << 8 | u64::from(*b));
    Ok((major, value, rest))
}

fn within(length: u64, rest: &[u8]) -> Result<usize, &'static str> {
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= rest.len())
        .ok_or("a length beyond the end")
}

/// The counts a message of each kind may have.
///
/// # Errors
/// `TooMany`, naming what.
pub fn bounds(message: &Message) -> Result<(), DecodeError> {
    match message {
        Message::Hello(hello) => bounds_of_hello(hello),
        Message::Welcome(welcome) => bounds_of_welcome(welcome),
        Message::Push(batch) => bounds_of_batch(batch),
        Message::Ack(receipts) => bounds_of_receipts(receipts),
        Message::Nack(rejections) => bounds_of_rejections(rejections),
        Message::Proof(proofs) => at_most(proofs.len(), limits::MESSAGE_ITEMS_MAX, "proofs"),
        Message::Heads(heads) => {
            at_most(heads.heads.len(), limits::HEADS_DOCS_MAX, "documents")?;
            let most = heads.heads.iter().map(|(_, h)| h.len()).max().unwrap_or(0);
            at_most(most, limits::LIST_MAX, "heads of a document")
        }
        Message::Want(want) => at_most(want.docs.len(), limits::WANT_DOCS_MAX, "documents wanted"),
        Message::Sketch(sketch) => {
            let most = SKETCH_CELL_BYTES_MAX * limits::SKETCH_CELLS_MAX as usize;
            at_most(sketch.bytes.len(), most, "bytes of a sketch")
        }
        Message::Snap(snap) => {
            let most = limits::SNAP_REACHED_BYTES_MAX;
            at_most(snap.reached.0.len(), most, "bytes of how far it came")
        }
        Message::Pack(pack) => at_most(pack.bytes.len(), limits::PACK_BYTES_MAX, "bytes of a pack"),
        Message::Busy(_) | Message::Fork(_) | Message::Upgrade(_) | Message::Whole(_) => Ok(()),
        Message::Ctrl(bytes) => at_most(bytes.len(), limits::CONTROL_BYTES_MAX, "control bytes"),
        Message::Vector(part) => at_most(part.logs.len(), limits::VECTOR_LOGS_MAX, "logs"),
        Message::Seen(sightings) => {
            at_most(sightings.len(), limits::LIST_MAX, "sightings")?;
            let longest = sightings.iter().map(|s| s.product.len()).max();
            at_most(
                longest.unwrap_or(0),
                limits::PRODUCT_BYTES_MAX,
                "product bytes",
            )
        }
    }
}

fn bounds_of_hello(hello: &Hello) -> Result<(), DecodeError> {
    let reached = hello.snapshot.as_ref().map_or(0, |reached| reached.0.len());
    let most = limits::SNAP_REACHED_BYTES_MAX;
    at_most(reached, most, "bytes of how far it came")?;
    at_most(hello.lacking.len(), limits::LIST_MAX, "logs asked about")?;
    at_most(
        hello.product.len(),
        limits::PRODUCT_BYTES_MAX,
        "product bytes",
    )
}

fn bounds_of_welcome(welcome: &Welcome) -> Result<(), DecodeError> {
    bounds_of_receipts(&welcome.receipts)?;
    at_most(
        welcome.product.len(),
        limits::PRODUCT_BYTES_MAX,
        "product bytes",
    )
}

fn bounds_of_batch(batch: &Batch) -> Result<(), DecodeError> {
    at_most(batch.entries.len(), limits::BATCH_ENTRIES_MAX, "entries")?;
    let sizes = || {
        batch
            .entries
            .iter()
            .map(|e| e.body.as_ref().map_or(0, Vec::len))
    };
    let largest = sizes().max().unwrap_or(0);
    at_most(largest, limits::CHANGE_BYTES_MAX, "bytes of a change")?;
    at_most(sizes().sum(), limits::BATCH_BYTES_MAX, "bytes of a batch")
}

fn bounds_of_receipts(receipts: &[Receipt]) -> Result<(), DecodeError> {
    at_most(receipts.len(), limits::LIST_MAX, "receipts")
}

fn bounds_of_rejections(rejections: &[Rejection]) -> Result<(), DecodeError> {
    at_most(rejections.len(), limits::LIST_MAX, "rejections")?;
    for rejection in rejections {
        at_most(rejection.rule.len(), 16, "bytes of a rule's code")?;
        at_most(
            rejection.reason.len(),
            limits::REASON_BYTES_MAX,
            "bytes of a reason",
        )?;
    }
    Ok(())
}

fn at_most(count: usize, max: usize, what: &'static str) -> Result<(), DecodeError> {
    if count > max {
        return Err(DecodeError::TooMany(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
