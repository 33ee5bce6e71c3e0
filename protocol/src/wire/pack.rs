//! A batch without what its receiver knows: documents named by where they were met before,
//! changes elided ([`super::elide`]), hashes and chain left to be computed.
//!
//! Everything left out refers to *positions of logs*, never to "the heads you hold now": what
//! stands at a position is the same on both sides whatever else either of them has heard since.
//! The seal covers the chain, the chain every hash, and a hash every byte of a change: when the
//! seal is good for what was rebuilt, it is what the writer wrote. When it is not, the receiver
//! asks for the batch as it is ([`UnpackError::is_cured_by_whole`]).
//!
//! ```text
//! bytes  = count ‖ other logs ‖ five sections, each with its length before it
//! logs   = count, each: kind (1) ‖ node (8) ‖ epoch
//! places = per entry: flags, its document, dependencies or hash where they are said
//! shapes = per elided change: bytes of text, cuts and where they are
//! times  = per elided change: time since the one before (the first: since the seal)
//! said   = numbers of the cuts
//! text   = what remains of each elided change; raw changes with their length
//! ```
//! Like stands beside like, so that the compressor sees runs. Numbers are LEB128.

use std::collections::BTreeMap;

use crate::{
    document::Doc,
    gate::column::Cursor,
    id::{ActorId, ChangeHash, DocId, Kind, NodeId, Scope, Writer},
    limits,
    log::{Batch, Entry, LogHead, LogId, Seal},
    time::Millis,
    wire::elide::{self, Known, Parts},
};

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::unpack;
pub use write::{pack, pack_given};

/// How a document is named: bits 0 and 1 of an entry's flags.
const NAME: u8 = 0b11;
/// By the last entry about it in this log: so many positions back.
const NAME_BACK: u8 = 0;
/// By its eleven bytes: it is new here.
const NAME_NEW: u8 = 1;
/// The same, the first six of them as milliseconds since the change's time.
const NAME_FRESH: u8 = 2;
/// By an entry of another log about the same document or its sister.
const NAME_OTHER: u8 = 3;
/// The change comes as it is.
const RAW: u8 = 4;
/// The change does not come: the sender's gate refused it. Its hash does. With [`RAW`]: the hash
/// is not that of these bytes, and comes with them.
const WITHHELD: u8 = 8;
/// Dependencies are listed; otherwise the writer's last change of the document, or the genesis.
const DEPS: u8 = 16;
/// Position and first operation are said; otherwise they follow.
const NUMBERS: u8 = 32;
/// The change came before, with its document ([`super::snap`]): it is the writer's next in it.
const GIVEN: u8 = 64;
/// With [`GIVEN`]: the document is named by its distance, in the order of ids, from the greatest
/// one new to this log that the pack named before.
const STEPS: u8 = 128;

/// Documents are not named from farther away: both sides count them.
const STEPS_MAX: u32 = 64;

/// Dependencies that are listed: the genesis, one of 32 bytes, one of this log; beyond: of the
/// other logs.
const DEP_GENESIS: u64 = 0;
const DEP_HASH: u64 = 1;
const DEP_OWN: u64 = 2;
const DEP_OTHER: u64 = 3;

/// A batch, elided.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Pack {
    #[n(0)]
    pub log: LogId,
    /// Position of the first entry.
    #[n(1)]
    pub first: u64,
    /// Time and signature of the seal; its head is computed.
    #[n(2)]
    pub at: Millis,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: [u8; 64],
    /// The entries; at most [`limits::PACK_BYTES_MAX`].
    #[cbor(n(4), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl Pack {
    /// Position of the last entry; `None` when the bytes do not say.
    pub fn last(&self) -> Option<u64> {
        let count = Cursor(&self.bytes).unsigned().ok()?;
        self.first.checked_add(count.checked_sub(1)?)
    }
}

/// An entry that is in a log of one's own store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelved {
    pub doc: DocId,
    pub hash: ChangeHash,
    /// Of its body, where that is held: [`Known::of_chunk`].
    pub known: Option<Known>,
}

/// The logs of one's own store, as far as packing asks. Entries of all states count, the refused
/// ones too: they have their position.
pub trait Shelf {
    type Error;

    /// The entry at a position.
    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, Self::Error>;
    /// Position of the last entry about that document in the log before position `before`.
    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, Self::Error>;
    /// Where a change of that document stands.
    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, Self::Error>;
    /// An entry about that document in any log; asked for a document that is new to a log.
    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, Self::Error>;

    /// When an entry came here; asked when the other side was given documents before their logs.
    fn received(&self, _log: LogId, _seq: u64) -> Result<Option<Millis>, Self::Error> {
        Ok(None)
    }

    /// A change that came with its document and waits for its entry: that writer's, at that
    /// position among the writer's changes of the document.
    fn given(
        &self,
        _doc: DocId,
        _writer: Writer,
        _seq: u64,
    ) -> Result<Option<(ChangeHash, Vec<u8>)>, Self::Error> {
        Ok(None)
    }

    /// How many places after (or before) one document of a scope another stands in the order of
    /// their ids, when at most so many.
    fn steps(&self, _from: DocId, _to: DocId, _most: u32) -> Result<Option<i64>, Self::Error> {
        Ok(None)
    }

    /// The document so many places after (or before) this one in its scope.
    fn beside(&self, _doc: DocId, _steps: i64) -> Result<Option<DocId>, Self::Error> {
        Ok(None)
    }
}

/// What the other side has besides the log that is packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct There {
    /// Of the other logs of the site, so many entries.
    pub logs: BTreeMap<LogId, u64>,
    /// It was given documents ahead of their logs: the changes that were here by then.
    pub given: Option<Millis>,
}

/// A store as far as the other side knows it: of other logs than the one that is packed, only so
/// many entries. A pack that names later ones cannot be read there yet.
#[derive(Debug)]
pub struct Upto<'a, S> {
    shelf: &'a S,
    own: LogId,
    there: &'a BTreeMap<LogId, u64>,
}

impl<'a, S> Upto<'a, S> {
    pub const fn new(shelf: &'a S, own: LogId, there: &'a BTreeMap<LogId, u64>) -> Self {
        Self { shelf, own, there }
    }

    fn is_there(&self, (log, seq): &(LogId, u64)) -> bool {
        *log == self.own || self.there.get(log).is_some_and(|last| seq <= last)
    }
}

impl<S: Shelf> Shelf for Upto<'_, S> {
    type Error = S::Error;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, Self::Error> {
        self.shelf.entry(log, seq)
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, Self::Error> {
        self.shelf.last(log, doc, before)
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, Self::Error> {
        Ok(self.shelf.find(doc, hash)?.filter(|at| self.is_there(at)))
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, Self::Error> {
        Ok(self.shelf.any(doc)?.filter(|at| self.is_there(at)))
    }

    fn received(&self, log: LogId, seq: u64) -> Result<Option<Millis>, Self::Error> {
        self.shelf.received(log, seq)
    }

    fn given(
        &self,
        doc: DocId,
        writer: Writer,
        seq: u64,
    ) -> Result<Option<(ChangeHash, Vec<u8>)>, Self::Error> {
        self.shelf.given(doc, writer, seq)
    }

    fn steps(&self, from: DocId, to: DocId, most: u32) -> Result<Option<i64>, Self::Error> {
        self.shelf.steps(from, to, most)
    }

    fn beside(&self, doc: DocId, steps: i64) -> Result<Option<DocId>, Self::Error> {
        self.shelf.beside(doc, steps)
    }
}

/// Why a pack is no batch here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError<E> {
    /// The store failed.
    #[error("{0}")]
    Shelf(E),
    /// It does not begin where this side's log ends.
    #[error("it does not continue the log")]
    Position,
    /// The bytes are not a pack.
    #[error("structure: {0}")]
    Structure(&'static str),
    /// It refers to an entry that is not here, or not with its body.
    #[error("it refers to what is not here")]
    Unknown,
    /// What was rebuilt is not what the writer sealed.
    #[error("what was rebuilt is not what was sealed")]
    Mismatch,
}

impl<E> UnpackError<E> {
    /// Whether to ask the sender for the batch as it is. Otherwise: the store failed, or the
    /// sender does not keep to the format.
    pub const fn is_cured_by_whole(&self) -> bool {
        match self {
            Self::Position | Self::Unknown | Self::Mismatch => true,
            Self::Shelf(_) | Self::Structure(_) => false,
        }
    }
}

/// The genesis of a document, which no log holds.
fn genesis(doc: DocId) -> Known {
    Known::of_genesis(Doc::genesis(doc))
}

/// The entries so far of a batch that is packed or unpacked, before those of the store.
struct Run<'a, S> {
    shelf: &'a S,
    log: LogId,
    first: u64,
    entries: Vec<Shelved>,
    last: BTreeMap<DocId, u64>,
    /// The greatest document that was new to the log.
    newest: Option<DocId>,
}

impl<'a, S: Shelf> Run<'a, S> {
    fn new(shelf: &'a S, log: LogId, first: u64) -> Self {
        Self {
            shelf,
            log,
            first,
            entries: Vec::new(),
            last: BTreeMap::new(),
            newest: None,
        }
    }

    /// Position of the entry that comes next.
    fn here(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, S::Error> {
        if log == self.log && seq >= self.first {
            let index = usize::try_from(seq - self.first).unwrap_or(usize::MAX);
            return Ok(self.entries.get(index).copied());
        }
        self.shelf.entry(log, seq)
    }

    fn last(&self, doc: DocId) -> Result<Option<u64>, S::Error> {
        match self.last.get(&doc) {
            Some(seq) => Ok(Some(*seq)),
            None => self.shelf.last(self.log, doc, self.first),
        }
    }

    /// Notes a document as the greatest that was new to the log.
    fn first_met(&mut self, doc: DocId, met: bool) {
        if !met {
            self.newest = self.newest.max(Some(doc));
        }
    }

    fn push(&mut self, shelved: Shelved) {
        self.last.insert(shelved.doc, self.here());
        self.entries.push(shelved);
    }
}

/// What an elided change says of itself and what follows: seq and first operation.
fn numbers(own: Option<&Known>, deps: &[Known]) -> Option<(u64, u64)> {
    let seq = own.map_or(0, |own| own.seq).checked_add(1)?;
    let op = deps.iter().map(|dep| dep.max_op).max().unwrap_or(0);
    Some((seq, op.checked_add(1)?))
}
