//! Documents whole, ahead of the logs they are of: what a new machine gets first.
//!
//! A document comes with all its changes, each after what it depends on, elided as in packs
//! ([`super::elide`]) but named by their place in the document, not in a log. Nothing here is
//! sealed by its writer: the logs follow, as packs that leave out the changes that came before
//! them ([`super::pack`]), and only their seals make what was taken on the sender's word certain.
//!
//! ```text
//! bytes  = documents ‖ writers, each: node (8) ‖ epoch ‖ desks, each: person (8), role and state of
//!          the clock in CBOR with their length before them, site ‖ six sections, each with its length
//! places = per document: kind (with 80: of the case before; else site, milliseconds, both as
//!          differences to the document before), number of changes, and for each of them:
//!          flags, writer, desk of an act, dependencies and numbers where they are said
//! unique = the five random bytes of each case
//! times  = as in a pack; the first is told against the document's id
//! said, text = of a change that puts one act and nothing else, what [`acts`] says of it; of others,
//!          with shapes, as in a pack
//! ```
//! Like stands beside like. Numbers are LEB128. One message holds such bytes in a window of
//! zstd that lives as long as the session ([`window`]).

use std::collections::BTreeMap;

use crate::{
    document::Doc,
    gate::column::Cursor,
    id::{ChangeHash, DocId, Kind, NodeId, Scope, SiteId, Writer},
    limits,
    time::Millis,
    wire::elide::{self, Known, Parts},
};

mod acts;
#[cfg(test)]
mod tests;
pub mod window;

use acts::{Desk, Seen};

/// Of the same case as the document before: only the kind is another.
const SISTER: u8 = 0x80;
/// Dependencies are listed; otherwise the change knew all before it.
const DEPS: u8 = 1;
/// Position and first operation are said; otherwise they follow.
const NUMBERS: u8 = 2;
/// It puts one act and nothing else: the act is told, not the change.
const ACT: u8 = 4;

/// How far a snapshot came, in its sender's own words; empty before its beginning. At most
/// [`limits::SNAP_REACHED_BYTES_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Reached(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// A part of a snapshot, or the receiver's word that it is durable; message `SNAP`.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Snap {
    /// Which part of this session's snapshot, from 1; or which one the answer is to.
    #[n(0)]
    pub part: u32,
    /// The receiver keeps it with the documents, and says it in the greeting of the next session.
    #[n(1)]
    pub reached: Reached,
    /// Documents that are still to come; 0 after the last part. Zero in an answer.
    #[n(2)]
    pub left: u64,
    /// Documents, as this module writes them, in the session's window; empty in an answer.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// A document with all its changes, each after what it depends on; the genesis is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub id: DocId,
    /// Who wrote it, and the chunk.
    pub changes: Vec<(Writer, Vec<u8>)>,
}

/// The bytes are no documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no documents: {0}")]
pub struct Malformed(&'static str);

#[derive(Default)]
struct Sections {
    places: Vec<u8>,
    unique: Vec<u8>,
    shapes: Vec<u8>,
    times: Vec<u8>,
    said: Vec<u8>,
    text: Vec<u8>,
}

impl Sections {
    fn append(&mut self, other: &Self) {
        self.places.extend(&other.places);
        self.unique.extend(&other.unique);
        self.shapes.extend(&other.shapes);
        self.times.extend(&other.times);
        self.said.extend(&other.said);
        self.text.extend(&other.text);
    }
}

/// What the next document is named against.
#[derive(Clone, Copy)]
struct Before {
    site: u32,
    made: i64,
    case: [u8; 11],
}

const FIRST: Before = Before {
    site: 0,
    made: 0,
    case: [0; 11],
};

fn made(unique: &[u8]) -> i64 {
    unique[..6].iter().fold(0, |n, b| n << 8 | i64::from(*b))
}

/// Writes documents down. One that does not go into this form (a chunk that is not as automerge
/// would write it) is left out: its entries then come with its logs.
pub fn write(sheets: &[Sheet]) -> Vec<u8> {
    let mut tables = Tables::default();
    let mut out = Sections::default();
    let (mut count, mut before) = (0_u64, FIRST);
    for sheet in sheets {
        let mut one = Sections::default();
        let mut known = tables.clone();
        if let Some(after) = sheet_out(sheet, before, &mut known, &mut one) {
            (before, tables) = (after, known);
            count += 1;
            out.append(&one);
        }
    }
    let Tables { writers, desks, .. } = tables;
    let mut bytes = Vec::new();
    elide::unsigned(&mut bytes, count);
    elide::unsigned(&mut bytes, writers.len() as u64);
    for writer in &writers {
        bytes.extend(writer.node.0);
        elide::unsigned(&mut bytes, u64::from(writer.epoch));
    }
    elide::unsigned(&mut bytes, desks.len() as u64);
    for desk in &desks {
        desk.write(&mut bytes);
    }
    let sections = [
        out.places, out.unique, out.shapes, out.times, out.said, out.text,
    ];
    for section in sections {
        elide::unsigned(&mut bytes, section.len() as u64);
        bytes.extend(section);
    }
    bytes
}

fn sheet_out(
    sheet: &Sheet,
    before: Before,
    tables: &mut Tables,
    out: &mut Sections,
) -> Option<Before> {
    let scope = sheet.id.scope()?;
    let unique: [u8; 11] = sheet.id.0[5..].try_into().ok()?;
    let now = Before {
        site: scope.site.0,
        made: made(&unique),
        case: unique,
    };
    if (now.site, now.case) == (before.site, before.case) {
        out.places.push(scope.kind.code() | SISTER);
    } else {
        out.places.push(scope.kind.code());
        let site = i64::from(now.site) - i64::from(before.site);
        elide::signed(&mut out.places, site);
        elide::signed(&mut out.places, now.made - before.made);
        out.unique.extend(&unique[6..]);
    }
    if sheet.changes.is_empty() || sheet.changes.len() as u64 > limits::DOCUMENT_CHANGES_MAX {
        return None;
    }
    elide::unsigned(&mut out.places, sheet.changes.len() as u64);
    let mut run = Run::new(sheet.id);
    tables.seen.turn_to(sheet.id);
    for (writer, body) in &sheet.changes {
        change_out(&mut run, *writer, body, tables, out)?;
    }
    Some(now)
}

fn change_out(
    run: &mut Run,
    writer: Writer,
    body: &[u8],
    tables: &mut Tables,
    out: &mut Sections,
) -> Option<()> {
    let known = Known::of_chunk(body)?;
    let parts = elide::split(body).filter(|parts| parts.actor == writer.actor())?;
    if elide::join(&parts).is_none_or(|(_, chunk)| chunk != body) {
        return None;
    }
    let mut flags = 0;
    let mut said = Vec::new();
    if parts.deps != run.heads() {
        flags |= DEPS;
        elide::unsigned(&mut said, parts.deps.len() as u64);
        for dep in &parts.deps {
            let place = run.known.iter().position(|known| known.hash == *dep)?;
            elide::unsigned(&mut said, (run.known.len() - place) as u64);
        }
    }
    if run.numbers(writer, &parts.deps) != Some((parts.seq, parts.start_op)) {
        flags |= NUMBERS;
        elide::unsigned(&mut said, parts.seq);
        elide::unsigned(&mut said, parts.start_op);
    }
    let place = out.places.len();
    out.places.push(flags);
    elide::unsigned(&mut out.places, index_of(&mut tables.writers, writer)?);
    elide::signed(&mut out.times, parts.at.0.wrapping_sub(run.at.0));
    let (numbers, text) = (&mut out.said, &mut out.text);
    if let Some((id, act)) = acts::of_rest(parts.rest).filter(|(id, _)| id.actor() == parts.actor) {
        elide::unsigned(
            &mut out.places,
            index_of(&mut tables.desks, Desk::of(&act))?,
        );
        let more = acts::act_out(id, &act, parts.at, &tables.seen, numbers, text)?;
        out.places[place] |= ACT | more;
    } else {
        let shapes = &mut out.shapes;
        elide::cut(parts.rest, parts.actor, parts.at, shapes, numbers, text);
    }
    out.places.extend(said);
    tables.seen.met(parts.rest, parts.actor);
    run.push(writer, known, &parts.deps);
    Some(())
}

/// What is told once and then named by its number.
#[derive(Default, Clone)]
struct Tables {
    writers: Vec<Writer>,
    desks: Vec<Desk>,
    seen: Seen,
}

fn index_of<T: PartialEq>(table: &mut Vec<T>, value: T) -> Option<u64> {
    let index = match table.iter().position(|known| *known == value) {
        Some(index) => index,
        None if table.len() >= limits::LIST_MAX => return None,
        None => {
            table.push(value);
            table.len() - 1
        }
    };
    Some(index as u64)
}

/// The changes of a document so far, the genesis first.
struct Run {
    known: Vec<Known>,
    /// What nothing is later than; sorted.
    heads: Vec<ChangeHash>,
    own: BTreeMap<Writer, u64>,
    at: Millis,
}

impl Run {
    fn new(id: DocId) -> Self {
        let genesis = Doc::genesis(id);
        Self {
            known: vec![Known::of_genesis(genesis)],
            heads: vec![genesis],
            own: BTreeMap::new(),
            at: Millis(made(&id.0[5..])),
        }
    }

    fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// Position and first operation of a change with these dependencies.
    fn numbers(&self, writer: Writer, deps: &[ChangeHash]) -> Option<(u64, u64)> {
        let seq = self.own.get(&writer).copied().unwrap_or(0);
        let of = |dep: &ChangeHash| self.known.iter().rfind(|known| known.hash == *dep);
        let last = deps.iter().filter_map(of).map(|known| known.max_op).max();
        Some((seq.checked_add(1)?, last.unwrap_or(0).checked_add(1)?))
    }

    fn push(&mut self, writer: Writer, known: Known, deps: &[ChangeHash]) {
        self.heads.retain(|head| !deps.contains(head));
        let place = self.heads.partition_point(|head| *head < known.hash);
        self.heads.insert(place, known.hash);
        self.own.insert(writer, known.seq);
        self.at = known.at;
        self.known.push(known);
    }
}

/// Reads what [`write()`] wrote. Who may have written it, and what, is the gate's to judge.
///
/// Bounded: the work by the bytes that are there, what is built by the limits of changes.
///
/// # Errors
/// The bytes are not of this form.
pub fn read(bytes: &[u8]) -> Result<Vec<Sheet>, Malformed> {
    let mut reader = Reader::new(bytes).ok_or(Malformed("sections"))?;
    let mut sheets = Vec::new();
    let mut built = 0;
    for _sheet in 0..reader.count {
        let sheet = reader.sheet().ok_or(Malformed("a document"))?;
        let sizes = sheet.changes.iter().map(|(_, body)| body.len());
        built += sizes.sum::<usize>();
        if built > limits::SNAP_BYTES_MAX {
            return Err(Malformed("more than a part may have"));
        }
        sheets.push(sheet);
    }
    if reader.is_done() {
        Ok(sheets)
    } else {
        Err(Malformed("bytes after the end"))
    }
}

struct Reader<'a> {
    count: u64,
    tables: Tables,
    places: Cursor<'a>,
    unique: Cursor<'a>,
    shapes: Cursor<'a>,
    times: Cursor<'a>,
    said: Cursor<'a>,
    text: Cursor<'a>,
    before: Before,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let (count, writers) = (cursor.unsigned().ok()?, cursor.unsigned().ok()?);
        if count > limits::SNAP_DOCS_MAX as u64 || writers > limits::LIST_MAX as u64 {
            return None;
        }
        let mut known = Vec::new();
        for _writer in 0..writers {
            let node = NodeId(cursor.take(8).ok()?.try_into().ok()?);
            let epoch = u32::try_from(cursor.unsigned().ok()?).ok()?;
            known.push(Writer { node, epoch });
        }
        let desks = cursor.unsigned().ok()?;
        if desks > limits::LIST_MAX as u64 {
            return None;
        }
        let mut at_work = Vec::new();
        for _desk in 0..desks {
            at_work.push(Desk::read(&mut cursor)?);
        }
        let mut section = || cursor.section().ok();
        let (places, unique, shapes) = (section()?, section()?, section()?);
        let (times, said, text) = (section()?, section()?, section()?);
        cursor.is_done().then_some(Self {
            count,
            tables: Tables {
                writers: known,
                desks: at_work,
                seen: Seen::default(),
            },
            places,
            unique,
            shapes,
            times,
            said,
            text,
            before: FIRST,
        })
    }

    fn is_done(&self) -> bool {
        let sections = [
            self.places,
            self.unique,
            self.shapes,
            self.times,
            self.said,
            self.text,
        ];
        sections.iter().all(Cursor::is_done)
    }

    fn sheet(&mut self) -> Option<Sheet> {
        let code = self.places.byte().ok()?;
        let kind = Kind::from_code(code & !SISTER)?;
        if code & SISTER == 0 {
            let site = i64::from(self.before.site).checked_add(self.places.signed().ok()?)?;
            let made = self.before.made.checked_add(self.places.signed().ok()?)?;
            let made = u64::try_from(made).ok().filter(|made| made >> 48 == 0)?;
            let mut case = [0; 11];
            case[..6].copy_from_slice(&made.to_be_bytes()[2..]);
            case[6..].copy_from_slice(self.unique.take(5).ok()?);
            self.before = Before {
                site: u32::try_from(site).ok()?,
                made: made.cast_signed(),
                case,
            };
        }
        let site = SiteId(self.before.site);
        let id = DocId::new(Scope { kind, site }, self.before.case);
        let count = self.places.unsigned().ok()?;
        if count == 0 || count > limits::DOCUMENT_CHANGES_MAX {
            return None;
        }
        let mut run = Run::new(id);
        self.tables.seen.turn_to(id);
        let mut changes = Vec::new();
        for _change in 0..count {
            changes.push(self.change(&mut run)?);
        }
        Some(Sheet { id, changes })
    }

    fn change(&mut self, run: &mut Run) -> Option<(Writer, Vec<u8>)> {
        let flags = self.places.byte().ok()?;
        let writer = self.index()?;
        let writer = *self.tables.writers.get(writer)?;
        let desk = if flags & ACT > 0 {
            let desk = self.index()?;
            Some(*self.tables.desks.get(desk)?)
        } else {
            None
        };
        let deps = if flags & DEPS == 0 {
            run.heads().to_vec()
        } else {
            let count = self.places.unsigned().ok()?;
            if count > limits::CHANGE_DEPS_MAX {
                return None;
            }
            let mut deps = Vec::new();
            for _dep in 0..count {
                let back = usize::try_from(self.places.unsigned().ok()?).ok()?;
                let place = run.known.len().checked_sub(back)?;
                deps.push(run.known.get(place)?.hash);
            }
            deps
        };
        let (seq, start_op) = if flags & NUMBERS > 0 {
            let seq = self.places.unsigned().ok()?;
            (seq, self.places.unsigned().ok()?)
        } else {
            run.numbers(writer, &deps)?
        };
        let at = Millis(run.at.0.wrapping_add(self.times.signed().ok()?));
        let actor = writer.actor();
        let (said, text) = (&mut self.said, &mut self.text);
        let seen = &self.tables.seen;
        let rest = match desk {
            Some(desk) => acts::act_in(flags, desk, (actor, at), seen, said, text)?,
            None => elide::fill(actor, at, &mut self.shapes, said, text)?,
        };
        let parts = Parts {
            hash: ChangeHash([0; 32]),
            deps,
            actor,
            seq,
            start_op,
            at,
            rest: &rest,
        };
        let (_, body) = elide::join(&parts)?;
        let known = Known::of_chunk(&body)?;
        self.tables.seen.met(&rest, actor);
        run.push(writer, known, &parts.deps);
        Some((writer, body))
    }

    fn index(&mut self) -> Option<usize> {
        usize::try_from(self.places.unsigned().ok()?).ok()
    }
}
