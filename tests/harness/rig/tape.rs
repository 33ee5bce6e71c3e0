//! What the machines say they gave to their streams, and what of it was given before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use cuntong_protocol::id::NodeId;

use super::Counts;

const PUSH: u8 = 3;
const PACK: u8 = 14;
const SNAP: u8 = 17;
/// Of a batch, what says whose log it continues and who sealed it.
const SEAL_BYTES: u64 = 128;
/// What stands on the tape in the place of a log, for documents ahead of theirs.
const SNAPSHOT: &str = "snapshot";

/// Bytes of frames, by sender and receiver.
pub(super) type Bytes = BTreeMap<(usize, usize), u64>;

/// All that was said so far.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    /// Messages by sender, receiver and kind.
    pub said: Counts<(usize, usize, u8)>,
    /// How far each tape was read.
    read: BTreeMap<usize, usize>,
    /// Up to where a log was told: sender, receiver, log.
    told: BTreeMap<(usize, usize, String), u64>,
    /// Batches told whole in this round.
    whole: BTreeSet<(usize, usize, String, u64)>,
    repair: bool,
    /// How far snapshots came, by sender and receiver.
    given: BTreeMap<(usize, usize), Given>,
}

/// A snapshot of one receiver, in documents that were still to come.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// After the last part of the sessions before this one.
    before: u64,
    /// After the last part.
    last: u64,
}

impl Tape {
    /// Reads on; answers the bytes of entries that were given to the same peer before.
    pub(super) fn read(&mut self, at: usize, file: &Path, nodes: &[NodeId; 3]) -> Bytes {
        let text = fs::read_to_string(file).unwrap_or_default();
        let from = self.read.entry(at).or_insert(0);
        let fresh = text.get(*from..).unwrap_or_default().to_owned();
        *from = text.len();
        let mut again = Bytes::new();
        for line in fresh.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [peer, kind, bytes, log, first, last] = words[..] else {
                panic!("a torn line: {line}");
            };
            // A last word to a machine that was replaced since brings it nothing.
            let Some(to) = nodes.iter().position(|n| n.to_string() == peer) else {
                continue;
            };
            let number = |word: &str| word.parse::<u64>().expect("a number");
            let kind = number(kind) as u8;
            *self.said.entry((at, to, kind)).or_insert(0) += 1;
            let told = (log, number(first), number(last));
            *again.entry((at, to)).or_insert(0) +=
                self.told_again((at, to, kind), told, number(bytes));
        }
        again
    }

    /// Bytes of a frame that were told before.
    fn told_again(&mut self, way: (usize, usize, u8), told: (&str, u64, u64), bytes: u64) -> u64 {
        let ((from, to, kind), (log, first, last)) = (way, told);
        if kind == SNAP && log == SNAPSHOT {
            return self.given_again((from, to), first, last, bytes);
        }
        if kind != PACK && kind != PUSH {
            return 0;
        }
        if self.was_told(way, log, first, last) {
            return bytes;
        }
        // A new machine has the changes already: all that a batch says beside its seal is said twice.
        if self.given.contains_key(&(from, to)) {
            return bytes.saturating_sub(SEAL_BYTES);
        }
        0
    }

    fn was_told(&mut self, way: (usize, usize, u8), log: &str, first: u64, last: u64) -> bool {
        let (from, to, kind) = way;
        if kind == PACK {
            let told = self.told.entry((from, to, log.to_owned())).or_insert(0);
            let again = first <= *told;
            *told = last.max(*told);
            return again;
        }
        let told = self.told.get(&(from, to, log.to_owned())).copied();
        let needed = self.repair || told.is_none_or(|told| first > told);
        !self.whole.insert((from, to, log.to_owned(), first)) || !needed
    }

    /// Of a part of a snapshot, the share of the documents that an earlier session brought.
    fn given_again(&mut self, way: (usize, usize), part: u64, left: u64, bytes: u64) -> u64 {
        let Some(given) = self.given.get_mut(&way) else {
            let (before, last) = (u64::MAX, left);
            let _first = self.given.insert(way, Given { before, last });
            return 0;
        };
        if part == 1 {
            given.before = given.before.min(given.last);
        }
        // Where the first part of a session begins is not on the tape.
        let from = if part == 1 { None } else { Some(given.last) };
        given.last = left;
        if left >= given.before {
            return bytes;
        }
        match from {
            Some(from) if from > given.before => {
                bytes * (from - given.before) / (from - left).max(1)
            }
            Some(_) => 0,
            None => bytes,
        }
    }

    /// A new round; in one with a `repair` batches are needed that were told long ago.
    pub(super) fn new_round(&mut self, repair: bool) {
        self.whole.clear();
        self.given.clear();
        self.repair = repair;
    }

    /// That machine's disk is new, or as it was long ago: it needs again what it was told since.
    pub(super) fn forgets(&mut self, machine: usize) {
        self.told.retain(|(_, to, _), _| *to != machine);
    }
}
