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
            let to = nodes.iter().position(|n| n.to_string() == peer);
            let to = to.expect("a machine of this county");
            let number = |word: &str| word.parse::<u64>().expect("a number");
            let kind = number(kind) as u8;
            *self.said.entry((at, to, kind)).or_insert(0) += 1;
            if self.was_told((at, to, kind), log, number(first), number(last)) {
                *again.entry((at, to)).or_insert(0) += number(bytes);
            }
        }
        again
    }

    fn was_told(&mut self, way: (usize, usize, u8), log: &str, first: u64, last: u64) -> bool {
        let (from, to, kind) = way;
        if kind == PACK {
            let told = self.told.entry((from, to, log.to_owned())).or_insert(0);
            let again = first <= *told;
            *told = last.max(*told);
            return again;
        }
        if kind != PUSH {
            return false;
        }
        let told = self.told.get(&(from, to, log.to_owned())).copied();
        let needed = self.repair || told.is_none_or(|told| first > told);
        !self.whole.insert((from, to, log.to_owned(), first)) || !needed
    }

    /// A new round; in one with a `repair` batches are needed that were told long ago.
    pub(super) fn new_round(&mut self, repair: bool) {
        self.whole.clear();
        self.repair = repair;
    }

    /// That machine's disk is as it was long ago: it needs again what it was told since.
    pub(super) fn forgets(&mut self, machine: usize) {
        self.told.retain(|(_, to, _), _| *to != machine);
    }
}
