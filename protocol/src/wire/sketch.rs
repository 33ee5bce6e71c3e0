//! Which documents of a scope two nodes hold differently, in bytes that grow with the difference
//! and not with the scope: a rateless invertible Bloom lookup table (arXiv 2402.02668).
//!
//! An *item* is a document with the digest of its heads. Each item is added to cell 0 and to an
//! endless, ever sparser series of others that follows from its keyed hash. Cells are linear: the
//! caller's minus one's own hold exactly the items that only one side has. A cell with one item
//! left gives it away, it is taken out of its other cells, and so on until all are empty. Some
//! 1.4 cells for each differing item are enough, whatever the number of equal ones.
//!
//! ```text
//! item    11 bytes of the DocId after kind and site ‖ digest (8, big endian)
//! hash    BLAKE3 keyed_hash(derive_key("cuntong 2026 sketch", key), item), first 8, big endian
//! cells   0, then at + max(1, ⌈(2·at + 3)·(2³² − s) / 2s⌉), where s = ⌊√r⌋ + 1 and r is the next
//!         number of SplitMix64 seeded with the hash
//! cell    XOR of its items (19) ‖ XOR of the upper 4 bytes of their hashes, big endian (4) ‖
//!         number of its items minus ⌊2·documents / (cell + 2)⌋, signed LEB128
//! ```
//!
//! The key is drawn for each sketch: who makes documents cannot make them so that they hide one
//! another. All of it is integers, so that every machine walks the same cells.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    gate::column::Cursor,
    id::{DocId, Scope},
    limits,
    wire::elide,
};

/// Bytes of an item.
const ITEM_BYTES: usize = 19;
/// One cell on the wire at most: its sums and a number.
pub const SKETCH_CELL_BYTES_MAX: usize = ITEM_BYTES + 4 + 10;
/// Bytes of a DocId that are an item's own.
const OWN_BYTES: usize = 11;
/// Documents a peer may say it has: more than any scope will ever hold.
const DOCUMENTS_MAX: u64 = 1 << 40;

/// What an item's hash depends on besides the item.
pub type Key = [u8; 16];

/// SKETCH. From the caller: some cells. From the called node: how many are wanted.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Sketch {
    #[n(0)]
    pub scope: Scope,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Key,
    /// Documents in the caller's scope.
    #[n(2)]
    pub documents: u64,
    /// Place of the first cell.
    #[n(3)]
    pub first: u32,
    /// Place after the last one. From the called node: up to where cells are wanted; 0 when they
    /// serve no more and HEADS of the whole scope are.
    #[n(4)]
    pub upto: u32,
    /// The cells, one after the other; none from the called node.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// Cells a host is to compute; at most [`limits::SKETCH_CELLS_MAX`] in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub scope: Scope,
    /// None: the host draws one that nobody can foresee.
    pub key: Option<Key>,
    pub first: u32,
    pub upto: u32,
}

/// Cells a host computed, all in one look at its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    pub scope: Scope,
    pub key: Key,
    pub documents: u64,
    /// Sum of the documents' digests, as in a proof: two looks at the same documents agree in it.
    pub digest: u64,
    pub first: u32,
    pub cells: Vec<Cell>,
}

/// Sums over some items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    sum: [u8; ITEM_BYTES],
    check: u32,
    count: i64,
}

impl Cell {
    fn add(&mut self, item: &[u8; ITEM_BYTES], hash: u64, times: i64) {
        for (sum, byte) in self.sum.iter_mut().zip(item) {
            *sum ^= byte;
        }
        self.check ^= check_of(hash);
        // Foreign counts may be anything.
        self.count = self.count.wrapping_add(times);
    }

    /// What is in one and not in the other.
    fn minus(mut self, other: &Self) -> Self {
        for (sum, byte) in self.sum.iter_mut().zip(other.sum) {
            *sum ^= byte;
        }
        self.check ^= other.check;
        self.count = self.count.wrapping_sub(other.count);
        self
    }
}

const fn check_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The cells an item is added to, in rising order.
struct Walk {
    state: u64,
    at: u64,
}

impl Walk {
    const fn new(hash: u64) -> Self {
        Self { state: hash, at: 0 }
    }

    /// SplitMix64.
    const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Walk {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let here = self.at;
        // Further places are never asked for, and up to there nothing overflows.
        if here >= 1 << 28 {
            return None;
        }
        // (at + 3/2)·(1/√u − 1) for u even in (0, 1]: a cell is met with chance 2 / (cell + 2).
        let root = self.draw().isqrt() + 1;
        let gap = ((2 * here + 3) * ((1 << 32) - root)).div_ceil(2 * root);
        self.at = here.saturating_add(gap.max(1));
        Some(here)
    }
}

/// Adds documents to cells one by one; what it holds does not depend on their number.
#[derive(Debug)]
pub struct Sketcher {
    key: [u8; 32],
    drawn: Drawn,
}

impl Sketcher {
    /// Cells `ask.first..ask.upto` under `key`, empty.
    pub fn new(ask: &Ask, key: Key) -> Self {
        let upto = ask.upto.min(limits::SKETCH_CELLS_MAX);
        let count = upto.saturating_sub(ask.first) as usize;
        Self {
            key: long(&key),
            drawn: Drawn {
                scope: ask.scope,
                key,
                documents: 0,
                digest: 0,
                first: ask.first,
                cells: vec![Cell::default(); count],
            },
        }
    }

    /// Adds a document of the scope, with its [`crate::wire::digest`].
    pub fn add(&mut self, doc: DocId, digest: u64) {
        let item = item_of(doc, digest);
        let hash = hash_of(&self.key, &item);
        let (first, cells) = (u64::from(self.drawn.first), &mut self.drawn.cells);
        let upto = first + cells.len() as u64;
        for at in Walk::new(hash).take_while(|at| *at < upto) {
            if let Some(cell) = at
                .checked_sub(first)
                .and_then(|at| cells.get_mut(at as usize))
            {
                cell.add(&item, hash, 1);
            }
        }
        self.drawn.documents += 1;
        self.drawn.digest = self.drawn.digest.wrapping_add(digest);
    }

    /// The cells with all that was added.
    pub fn finish(self) -> Drawn {
        self.drawn
    }
}

impl Drawn {
    /// As the caller sends it.
    pub fn message(&self) -> Sketch {
        let mut bytes = Vec::with_capacity(self.cells.len() * (ITEM_BYTES + 6));
        for (at, cell) in (self.first..).zip(&self.cells) {
            bytes.extend(cell.sum);
            bytes.extend(cell.check.to_be_bytes());
            let usual = usual_count(self.documents, at);
            elide::signed(&mut bytes, cell.count.wrapping_sub(usual));
        }
        Sketch {
            scope: self.scope,
            key: self.key,
            documents: self.documents,
            first: self.first,
            upto: self.first + self.cells.len() as u32,
            bytes,
        }
    }
}

impl Sketch {
    /// The cells of a caller's message; `None` when they are malformed or too many.
    pub fn cells(&self) -> Option<Vec<Cell>> {
        if self.upto > limits::SKETCH_CELLS_MAX || self.documents > DOCUMENTS_MAX {
            return None;
        }
        let mut cursor = Cursor(&self.bytes);
        let mut cells = Vec::new();
        for at in self.first..self.upto {
            let mut cell = Cell::default();
            cell.sum
                .copy_from_slice(cursor.take(ITEM_BYTES as u64).ok()?);
            let check = cursor.take(4).ok()?.try_into().ok()?;
            cell.check = u32::from_be_bytes(check);
            let over = cursor.signed().ok()?;
            cell.count = over.wrapping_add(usual_count(self.documents, at));
            cells.push(cell);
        }
        (cursor.is_done() && !cells.is_empty()).then_some(cells)
    }
}

/// What cells tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peeled {
    /// The documents that only one side has, or that the two have otherwise. Which of the two lacks
    /// something is not asked: both may, and both logs hold all of it.
    Whole(BTreeSet<DocId>),
    /// Too few cells, or junk; and how many cells are likely to be enough.
    More(u32),
}

/// Compares the caller's cells from 0 on with as many of one's own.
pub fn peel(theirs: &[Cell], mine: &Drawn) -> Peeled {
    let key = long(&mine.key);
    let both = theirs.iter().zip(&mine.cells);
    let mut cells: Vec<Cell> = both.map(|(theirs, mine)| theirs.minus(mine)).collect();
    let likely = likely_cells(&cells);
    let mut found = BTreeSet::new();
    let mut queue: VecDeque<usize> = (0..cells.len()).collect();
    let mut taken = 0;
    while let Some(at) = queue.pop_front() {
        let cell = cells[at];
        if cell.count.unsigned_abs() != 1 {
            continue;
        }
        let hash = hash_of(&key, &cell.sum);
        let upto = cells.len() as u64;
        let walk = || Walk::new(hash).take_while(move |at| *at < upto);
        if check_of(hash) != cell.check || !walk().any(|place| place == at as u64) {
            continue;
        }
        // Honest cells give no more items than there are cells; junk might turn in circles.
        taken += 1;
        if taken > cells.len() {
            break;
        }
        for place in walk() {
            cells[place as usize].add(&cell.sum, hash, -cell.count);
            queue.push_back(place as usize);
        }
        found.insert(doc_of(mine.scope, &cell.sum));
    }
    if cells.iter().all(|cell| *cell == Cell::default()) {
        Peeled::Whole(found)
    } else {
        Peeled::More(likely)
    }
}

/// How many cells the difference is likely to need, judged by how the counts scatter: cell `i`
/// holds an item with chance p = 2 / (i + 2), so that the square of its count's distance from its
/// mean is p·(1 − p) times the number of items. One half more than that for luck.
fn likely_cells(cells: &[Cell]) -> u32 {
    let Some((all, rest)) = cells.split_first() else {
        return 0;
    };
    let bound = i128::from(limits::SKETCH_CELLS_MAX);
    let surplus = i128::from(all.count);
    let mut sum = 0_i128;
    for (i, cell) in (1_i128..).zip(rest) {
        let off = i128::from(cell.count)
            .saturating_mul(i + 2)
            .saturating_sub(surplus.saturating_mul(2));
        let square = off.saturating_mul(off) / (2 * i);
        sum = sum.saturating_add(square);
    }
    let scatter = sum / (rest.len().max(1) as i128);
    let items = scatter.max(surplus.abs()).min(bound);
    // 1.4 cells an item, half more, and room for few items, which need more for each.
    u32::try_from((items * 21 / 10 + 16).min(bound)).unwrap_or(limits::SKETCH_CELLS_MAX)
}

fn usual_count(documents: u64, at: u32) -> i64 {
    let usual = documents.saturating_mul(2) / (u64::from(at) + 2);
    i64::try_from(usual).unwrap_or(i64::MAX)
}

fn long(key: &Key) -> [u8; 32] {
    blake3::derive_key("cuntong 2026 sketch", key)
}

fn hash_of(key: &[u8; 32], item: &[u8; ITEM_BYTES]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::keyed_hash(key, item).as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn item_of(doc: DocId, digest: u64) -> [u8; ITEM_BYTES] {
    let mut item = [0; ITEM_BYTES];
    let (own, rest) = item.split_at_mut(OWN_BYTES);
    own.copy_from_slice(&doc.0[doc.0.len() - OWN_BYTES..]);
    rest.copy_from_slice(&digest.to_be_bytes());
    item
}

fn doc_of(scope: Scope, item: &[u8; ITEM_BYTES]) -> DocId {
    let mut own = [0; OWN_BYTES];
    own.copy_from_slice(&item[..OWN_BYTES]);
    DocId::new(scope, own)
}

#[cfg(test)]
mod tests;
