//! A change without what its receiver knows.
//!
//! A change chunk of automerge (layout: `docs/formats/wire.md` §6) repeats what follows from its
//! place in the log: frame and checksum, the writer, its position, the hashes it depends on, and
//! the time, which stands in it three times. [`split`] takes a chunk apart, [`cut`] takes the
//! repetitions out of the rest; [`fill`] and [`join`] put back every byte. Which of the parts
//! need not be said is the business of [`super::pack`].
//!
//! Nothing here trusts a length: reading is bounded by the bytes that are there, and what is
//! built by [`limits::CHANGE_BYTES_MAX`].

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    gate::column::{Cursor, runs},
    id::{ActorId, ChangeHash},
    limits,
    time::Millis,
};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Chunk type of a change that is not deflated; no other is elided.
const CHANGE: u8 = 1;
/// Number of the column that has one cell per operation.
const ACTION: u64 = 0x42;

/// What follows about a change from one that is in a log already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub hash: ChangeHash,
    /// Its number among its actor's changes of the document.
    pub seq: u64,
    /// Its last operation.
    pub max_op: u64,
    pub at: Millis,
}

/// Operations of a genesis.
const GENESIS_OPS: u64 = 4;

impl Known {
    /// Of the genesis of a document, which no log holds.
    pub const fn of_genesis(hash: ChangeHash) -> Self {
        Self {
            hash,
            seq: 1,
            max_op: GENESIS_OPS,
            at: Millis(0),
        }
    }

    /// Reads a chunk's header and counts its operations; `None` when it is not an uncompressed
    /// change.
    pub fn of_chunk(chunk: &[u8]) -> Option<Self> {
        let parts = split(chunk)?;
        Some(Self {
            hash: parts.hash,
            seq: parts.seq,
            max_op: parts.start_op.checked_add(operations(parts.rest)?)? - 1,
            at: parts.at,
        })
    }
}

/// A change chunk taken apart: nothing is left out but its magic, checksum and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    pub hash: ChangeHash,
    pub deps: Vec<ChangeHash>,
    pub actor: ActorId,
    pub seq: u64,
    pub start_op: u64,
    pub at: Millis,
    /// From the message on: message, other actors, columns.
    pub rest: &'a [u8],
}

/// Takes a chunk apart. `None`: a deflated change, another kind of chunk, a wrong checksum,
/// padded numbers, or more dependencies than a change may have; such a chunk travels as it is.
pub fn split(chunk: &[u8]) -> Option<Parts<'_>> {
    if chunk.len() > limits::CHANGE_BYTES_MAX {
        return None;
    }
    let mut cursor = Cursor(chunk);
    if cursor.take(4).ok()? != MAGIC {
        return None;
    }
    let checksum = cursor.take(4).ok()?;
    let hash: [u8; 32] = Sha256::digest(cursor.0).into();
    if checksum != &hash[..4] || cursor.take(1).ok()? != [CHANGE] {
        return None;
    }
    let length = cursor.unsigned().ok()?;
    if usize::try_from(length) != Ok(cursor.0.len()) {
        return None;
    }
    let count = cursor.unsigned().ok()?;
    if count > limits::CHANGE_DEPS_MAX {
        return None;
    }
    let deps = cursor.take(count * 32).ok()?.chunks_exact(32);
    let deps = deps.filter_map(|dep| dep.try_into().ok().map(ChangeHash));
    let deps = deps.collect();
    if cursor.unsigned().ok()? != 8 {
        return None;
    }
    let actor = ActorId(cursor.take(8).ok()?.try_into().ok()?);
    Some(Parts {
        hash: ChangeHash(hash),
        deps,
        actor,
        seq: cursor.unsigned().ok()?,
        start_op: cursor.unsigned().ok()?,
        at: Millis(cursor.signed().ok()?),
        rest: cursor.0,
    })
}

/// The chunk these parts are of, and its hash; `parts.hash` is not looked at. `None` when it
/// would be longer than a change may be.
pub fn join(parts: &Parts<'_>) -> Option<(ChangeHash, Vec<u8>)> {
    if parts.rest.len() > limits::CHANGE_BYTES_MAX {
        return None;
    }
    let mut content = Vec::with_capacity(parts.rest.len() + 64 + parts.deps.len() * 32);
    unsigned(&mut content, parts.deps.len() as u64);
    for dep in &parts.deps {
        content.extend(dep.0);
    }
    unsigned(&mut content, 8);
    content.extend(parts.actor.0);
    unsigned(&mut content, parts.seq);
    unsigned(&mut content, parts.start_op);
    signed(&mut content, parts.at.0);
    content.extend(parts.rest);

    let mut chunk = Vec::with_capacity(content.len() + 16);
    chunk.extend(MAGIC);
    chunk.extend([0; 4]);
    chunk.push(CHANGE);
    unsigned(&mut chunk, content.len() as u64);
    chunk.extend(content);
    if chunk.len() > limits::CHANGE_BYTES_MAX {
        return None;
    }
    let hash: [u8; 32] = Sha256::digest(&chunk[8..]).into();
    chunk[4..8].copy_from_slice(&hash[..4]);
    Some((ChangeHash(hash), chunk))
}

/// What the hash of an uncompressed change would be, whether these bytes are one or not.
pub(super) fn hash(chunk: &[u8]) -> Option<ChangeHash> {
    let hashed = chunk.get(8..)?;
    Some(ChangeHash(Sha256::digest(hashed).into()))
}

/// Number of operations in what [`split`] calls the rest.
fn operations(rest: &[u8]) -> Option<u64> {
    let mut cursor = Cursor(rest);
    let message = cursor.unsigned().ok()?;
    cursor.take(message).ok()?;
    for _actor in 0..cursor.unsigned().ok()? {
        let length = cursor.unsigned().ok()?;
        cursor.take(length).ok()?;
    }
    let count = cursor.unsigned().ok()?;
    let mut before = 0_u64;
    let mut action = 0..0;
    for _column in 0..count {
        let kind = cursor.unsigned().ok()?;
        let after = before.checked_add(cursor.unsigned().ok()?)?;
        if kind == ACTION {
            action = before..after;
        }
        before = after;
    }
    cursor.take(action.start).ok()?;
    let column = cursor.take(action.end - action.start).ok()?;
    let cells = runs::<u64>(column, limits::CHANGE_OPS_MAX, |_, _| Ok(())).ok()?;
    (cells > 0).then_some(cells)
}

/// What was cut out of a rest; the writer and the time of the change give the bytes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// An act id in hexadecimal, of this writer: milliseconds past the change's time, counter.
    Act(i64, u16),
    /// A moment as eight bytes in CBOR: milliseconds past the change's time.
    Moment(i64),
    /// The first half of an act id as bytes in CBOR.
    Seen(i64, u16),
}

/// Farther from the change's time than this (34 years), a moment is not recognised as one.
const NEAR: i64 = 1 << 40;
/// CBOR: an unsigned number of eight bytes; sixteen bytes.
const CBOR_EIGHT: u8 = 0x1b;
const CBOR_SIXTEEN: u8 = 0x50;

impl Cut {
    /// The cut at the start of these bytes and its length.
    fn at(bytes: &[u8], digits: &[u8], time: i64) -> Option<(Self, usize)> {
        if bytes.get(16..32) == Some(digits) {
            let half = HEXLOWER.decode(&bytes[..16]).ok()?;
            let (wall, counter) = halves(half.as_slice().try_into().ok()?);
            return Some((Self::Act(wall.checked_sub(time)?, counter), 32));
        }
        let (number, after): ([u8; 8], _) = match bytes.split_first()? {
            (&CBOR_EIGHT, rest) => (rest.get(..8)?.try_into().ok()?, 9),
            (&CBOR_SIXTEEN, rest) if rest.len() >= 16 => (rest.get(..8)?.try_into().ok()?, 9),
            _ => return None,
        };
        let (cut, past) = if bytes[0] == CBOR_EIGHT {
            let past = i64::from_be_bytes(number).checked_sub(time)?;
            (Self::Moment(past), past)
        } else {
            let (wall, counter) = halves(number);
            let past = wall.checked_sub(time)?;
            (Self::Seen(past, counter), past)
        };
        (past.unsigned_abs() < NEAR.unsigned_abs()).then_some((cut, after))
    }

    /// Number of the shape; the numbers of a shape that is plain are all 0 and not said.
    fn shape(self) -> u64 {
        match self {
            Self::Act(0, 0) => 0,
            Self::Act(..) => 1,
            Self::Moment(0) => 2,
            Self::Moment(_) => 3,
            Self::Seen(..) => 4,
        }
    }

    fn numbers(self, out: &mut Vec<u8>) {
        match self {
            Self::Act(0, 0) | Self::Moment(0) => {}
            Self::Act(past, counter) | Self::Seen(past, counter) => {
                signed(out, past);
                unsigned(out, u64::from(counter));
            }
            Self::Moment(past) => signed(out, past),
        }
    }

    fn read(shape: u64, numbers: &mut Cursor<'_>) -> Option<Self> {
        let past = match shape {
            1 | 3 | 4 => numbers.signed().ok()?,
            _ => 0,
        };
        let counter = match shape {
            1 | 4 => u16::try_from(numbers.unsigned().ok()?).ok()?,
            _ => 0,
        };
        match shape {
            0 | 1 => Some(Self::Act(past, counter)),
            2 | 3 => Some(Self::Moment(past)),
            4 => Some(Self::Seen(past, counter)),
            _ => None,
        }
    }

    fn bytes(self, digits: &[u8], time: i64, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Act(past, counter) => {
                let half = half(time.checked_add(past)?, counter)?;
                out.extend(HEXLOWER.encode(&half).as_bytes());
                out.extend(digits);
            }
            Self::Moment(past) => {
                out.push(CBOR_EIGHT);
                out.extend(time.checked_add(past)?.to_be_bytes());
            }
            Self::Seen(past, counter) => {
                out.push(CBOR_SIXTEEN);
                out.extend(half(time.checked_add(past)?, counter)?);
            }
        }
        Some(())
    }
}

/// Number of shapes; a cut is said as `gap × SHAPES + shape`.
const SHAPES: u64 = 5;

fn halves(bytes: [u8; 8]) -> (i64, u16) {
    let number = u64::from_be_bytes(bytes);
    let wall = i64::try_from(number >> 16).unwrap_or(i64::MAX);
    (wall, u16::from_be_bytes([bytes[6], bytes[7]]))
}

fn half(wall: i64, counter: u16) -> Option<[u8; 8]> {
    let wall = u64::try_from(wall).ok().filter(|wall| wall >> 48 == 0)?;
    Some((wall << 16 | u64::from(counter)).to_be_bytes())
}

/// Cuts what writer and time give out of a rest. `shapes` gets the number of bytes that remain,
/// the number of cuts and where they are, `numbers` what they say, `text` what remains.
pub(super) fn cut(
    rest: &[u8],
    actor: ActorId,
    at: Millis,
    shapes: &mut Vec<u8>,
    numbers: &mut Vec<u8>,
    text: &mut Vec<u8>,
) {
    let digits = HEXLOWER.encode(&actor.0);
    let (start, mut gap, mut place) = (text.len(), 0_u64, 0);
    let mut cuts = Vec::new();
    while place < rest.len() {
        if let Some((cut, length)) = Cut::at(&rest[place..], digits.as_bytes(), at.0) {
            cuts.push(gap * SHAPES + cut.shape());
            cut.numbers(numbers);
            gap = 0;
            place += length;
        } else {
            text.push(rest[place]);
            gap += 1;
            place += 1;
        }
    }
    unsigned(shapes, (text.len() - start) as u64);
    unsigned(shapes, cuts.len() as u64);
    for cut in cuts {
        unsigned(shapes, cut);
    }
}

/// Puts back what [`cut`] took out. `None` when these are not the bytes it makes, or when the
/// rest would be longer than a change may be.
pub(super) fn fill(
    actor: ActorId,
    at: Millis,
    shapes: &mut Cursor<'_>,
    numbers: &mut Cursor<'_>,
    text: &mut Cursor<'_>,
) -> Option<Vec<u8>> {
    let digits = HEXLOWER.encode(&actor.0);
    let length = shapes.unsigned().ok()?;
    let mut text = Cursor(text.take(length).ok()?);
    let mut rest = Vec::new();
    for _cut in 0..shapes.unsigned().ok()? {
        let said = shapes.unsigned().ok()?;
        rest.extend(text.take(said / SHAPES).ok()?);
        let cut = Cut::read(said % SHAPES, numbers)?;
        cut.bytes(digits.as_bytes(), at.0, &mut rest)?;
        if rest.len() > limits::CHANGE_BYTES_MAX {
            return None;
        }
    }
    rest.extend(text.0);
    Some(rest)
}

/// Appends an unsigned LEB128 number in its shortest form.
pub(super) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed LEB128 number in its shortest form.
pub(super) fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        let sign = low & 0x40 > 0;
        if (value == 0 && !sign) || (value == -1 && sign) {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}
