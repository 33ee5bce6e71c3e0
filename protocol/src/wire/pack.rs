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

pub use read::unpack;

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
fn genesis(doc: DocId) -> Option<Known> {
    let hash = *Doc::new(doc).heads().first()?;
    Some(Known::of_genesis(hash))
}

/// The entries so far of a batch that is packed or unpacked, before those of the store.
struct Run<'a, S> {
    shelf: &'a S,
    log: LogId,
    first: u64,
    entries: Vec<Shelved>,
    last: BTreeMap<DocId, u64>,
}

impl<'a, S: Shelf> Run<'a, S> {
    fn new(shelf: &'a S, log: LogId, first: u64) -> Self {
        Self {
            shelf,
            log,
            first,
            entries: Vec::new(),
            last: BTreeMap::new(),
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

/// The five sections of a pack.
#[derive(Default)]
struct Sections {
    places: Vec<u8>,
    shapes: Vec<u8>,
    times: Vec<u8>,
    said: Vec<u8>,
    text: Vec<u8>,
}

/// Elides a batch. Every history can be packed: what does not fit goes raw.
///
/// # Errors
/// The shelf's.
pub fn pack<S: Shelf>(batch: &Batch, shelf: &S) -> Result<Pack, S::Error> {
    let mut packer = Packer {
        run: Run::new(shelf, batch.log, batch.first),
        logs: Vec::new(),
        out: Sections::default(),
        at: batch.seal.at,
    };
    for entry in &batch.entries {
        packer.entry(entry)?;
    }
    let mut bytes = Vec::new();
    elide::unsigned(&mut bytes, batch.entries.len() as u64);
    elide::unsigned(&mut bytes, packer.logs.len() as u64);
    for (kind, writer) in &packer.logs {
        bytes.push(kind.code());
        bytes.extend(writer.node.0);
        elide::unsigned(&mut bytes, u64::from(writer.epoch));
    }
    let out = packer.out;
    for section in [out.places, out.shapes, out.times, out.said, out.text] {
        elide::unsigned(&mut bytes, section.len() as u64);
        bytes.extend(section);
    }
    Ok(Pack {
        log: batch.log,
        first: batch.first,
        at: batch.seal.at,
        signature: batch.seal.signature,
        bytes,
    })
}

struct Packer<'a, S> {
    run: Run<'a, S>,
    /// Other logs of the site that are referred to.
    logs: Vec<(Kind, Writer)>,
    out: Sections,
    /// Time of the elided change before.
    at: Millis,
}

impl<S: Shelf> Packer<'_, S> {
    fn entry(&mut self, entry: &Entry) -> Result<(), S::Error> {
        let (doc, hash) = (entry.doc, entry.hash);
        let last = self.run.last(doc)?;
        let own = match last {
            Some(seq) => self.run.entry(self.run.log, seq)?,
            None => None,
        };
        let mut known = None;
        if let Some(body) = &entry.body {
            known = Known::of_chunk(body).filter(|known| known.hash == hash);
            let parts = elide::split(body).filter(|parts| parts.actor == self.actor());
            let elided = match parts {
                Some(parts) if known.is_some() => self.elide(doc, last, own, &parts, body)?,
                Some(_) | None => false,
            };
            if !elided {
                let follows = elide::hash(body) == Some(hash);
                let flags = if follows { RAW } else { RAW | WITHHELD };
                self.name(flags, doc, last, None)?;
                if !follows {
                    self.out.places.extend(hash.0);
                }
                elide::unsigned(&mut self.out.text, body.len() as u64);
                self.out.text.extend(body);
            }
        } else {
            self.name(WITHHELD, doc, last, None)?;
            self.out.places.extend(hash.0);
        }
        self.run.push(Shelved { doc, hash, known });
        Ok(())
    }

    fn actor(&self) -> ActorId {
        self.run.log.writer.actor()
    }

    /// Writes a change in its short form; false, and nothing written, when it has none.
    fn elide(
        &mut self,
        doc: DocId,
        last: Option<u64>,
        own: Option<Shelved>,
        parts: &Parts<'_>,
        body: &[u8],
    ) -> Result<bool, S::Error> {
        let own = own.and_then(|own| own.known);
        if last.is_some() && own.is_none() {
            return Ok(false);
        }
        if elide::join(parts).is_none_or(|(_, chunk)| chunk != body) {
            return Ok(false);
        }
        let Some(expected) = own.or_else(|| genesis(doc)) else {
            return Ok(false);
        };
        let mut flags = 0;
        let mut said = Vec::new();
        let mut deps = vec![expected];
        if parts.deps != [expected.hash] {
            flags |= DEPS;
            deps.clear();
            elide::unsigned(&mut said, parts.deps.len() as u64);
            for dep in &parts.deps {
                deps.extend(self.dep(doc, *dep, &mut said)?);
            }
        }
        if numbers(own.as_ref(), &deps) != Some((parts.seq, parts.start_op)) {
            flags |= NUMBERS;
            elide::unsigned(&mut said, parts.seq);
            elide::unsigned(&mut said, parts.start_op);
        }
        self.name(flags, doc, last, Some(parts.at))?;
        self.out.places.extend(said);
        let since = parts.at.0.wrapping_sub(self.at.0);
        elide::signed(&mut self.out.times, since);
        self.at = parts.at;
        let (shapes, numbers) = (&mut self.out.shapes, &mut self.out.said);
        let text = &mut self.out.text;
        elide::cut(parts.rest, parts.actor, parts.at, shapes, numbers, text);
        Ok(true)
    }

    /// Says one dependency; its facts, when the receiver will have them.
    fn dep(
        &mut self,
        doc: DocId,
        dep: ChangeHash,
        said: &mut Vec<u8>,
    ) -> Result<Option<Known>, S::Error> {
        if let Some(genesis) = genesis(doc).filter(|genesis| genesis.hash == dep) {
            elide::unsigned(said, DEP_GENESIS);
            return Ok(Some(genesis));
        }
        let inner = self.run.entries.iter().rposition(|entry| entry.hash == dep);
        let place = match inner {
            Some(index) => Some((self.run.log, self.run.first + index as u64)),
            None => self.run.shelf.find(doc, dep)?,
        };
        // A position of this very log that is not before this one would be a lie of the store.
        let place = place.filter(|(log, seq)| *log != self.run.log || *seq < self.run.here());
        let found = match place {
            Some((log, seq)) => self.run.entry(log, seq)?.map(|found| (log, seq, found)),
            None => None,
        };
        if let Some((log, seq, Shelved { hash, known, .. })) = found
            && hash == dep
            && let Some(which) = self.log(log)
        {
            elide::unsigned(said, which);
            elide::unsigned(said, seq);
            return Ok(known);
        }
        elide::unsigned(said, DEP_HASH);
        said.extend(dep.0);
        Ok(None)
    }

    /// Number of a log of this site among those referred to.
    fn log(&mut self, log: LogId) -> Option<u64> {
        if log == self.run.log {
            return Some(DEP_OWN);
        }
        if log.scope.site != self.run.log.scope.site {
            return None;
        }
        let key = (log.scope.kind, log.writer);
        let index = match self.logs.iter().position(|known| *known == key) {
            Some(index) => index,
            None if self.logs.len() >= limits::LIST_MAX => return None,
            None => {
                self.logs.push(key);
                self.logs.len() - 1
            }
        };
        Some(DEP_OTHER + index as u64)
    }

    /// Writes flags and name of a document; `at` is the time of its change where that is said.
    fn name(
        &mut self,
        flags: u8,
        doc: DocId,
        last: Option<u64>,
        at: Option<Millis>,
    ) -> Result<(), S::Error> {
        if let Some(last) = last {
            self.out.places.push(flags | NAME_BACK);
            elide::unsigned(&mut self.out.places, self.run.here() - last);
            return Ok(());
        }
        if let Some((which, seq)) = self.met(doc)? {
            self.out.places.push(flags | NAME_OTHER);
            elide::unsigned(&mut self.out.places, which);
            elide::unsigned(&mut self.out.places, seq);
            return Ok(());
        }
        let unique = &doc.0[5..];
        let made = unique[..6].iter().fold(0, |n, b| n << 8 | i64::from(*b));
        if let Some(at) = at
            && let Some(since) = made.checked_sub(at.0)
            && since.unsigned_abs() < 1 << 32
        {
            self.out.places.push(flags | NAME_FRESH);
            elide::signed(&mut self.out.places, since);
            self.out.places.extend(&unique[6..]);
        } else {
            self.out.places.push(flags | NAME_NEW);
            self.out.places.extend(unique);
        }
        Ok(())
    }

    /// Another log that spoke of the document, or of its sister, and where.
    fn met(&mut self, doc: DocId) -> Result<Option<(u64, u64)>, S::Error> {
        let sister = match (Kind::from_code(doc.0[0]), doc.case()) {
            (Some(Kind::Application), Some(case)) => Some(case.doc(Kind::Handling)),
            (Some(Kind::Handling), Some(case)) => Some(case.doc(Kind::Application)),
            (_, _) => None,
        };
        for doc in [Some(doc), sister].into_iter().flatten() {
            if let Some((log, seq)) = self.run.shelf.any(doc)?
                && log != self.run.log
                && let Some(which) = self.log(log)
            {
                return Ok(Some((which, seq)));
            }
        }
        Ok(None)
    }
}
