//! Who asks one peer for files: keeps a few groups asked for, takes no byte that is not proved,
//! and knows when to stop. The host reads [`Fetcher::poll`] after every input and does what it
//! says in that order.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Blob,
    message::{Ask, BlobMessage, Piece, State, Word},
    tree,
};
use crate::limits;

/// A file that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub blob: Blob,
    /// The first group that is not kept yet; none: only whether the peer has the file.
    pub from: Option<u32>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Ask(Ask),
    /// Keep this group: it is proved. `last`: with it the file is whole.
    Keep {
        blob: Blob,
        group: u32,
        bytes: Vec<u8>,
        last: bool,
    },
    /// The peer has it whole.
    Holds(Blob),
    /// The peer does not have it, or does not give it now.
    Gone(Blob),
    /// What came is not that file: the peer is not asked for it again.
    Spoiled(Blob),
    /// Look again for what is wanted.
    Refill,
}

/// What a peer must not do; nothing more is asked of it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    #[error("a piece that was not asked for")]
    Unasked,
    #[error("pieces that do not belong to their files")]
    Spoiled,
    #[error("a question on the wrong stream")]
    Question,
}

/// What is asked of one peer.
#[derive(Debug, Default)]
pub struct Fetcher {
    /// In the order they are to come.
    wants: VecDeque<Want>,
    /// Asked for; answers come in this order. No group: only whether it is there.
    asked: VecDeque<(Blob, Option<u32>)>,
    /// Not to be had here, as far as is known.
    lacking: BTreeSet<Blob>,
    /// What still comes of these is dropped.
    spoiled: BTreeSet<Blob>,
    paused: bool,
    /// Nothing more is wanted, as far as the host said; it is not asked again for each answer.
    hungry: bool,
    actions: VecDeque<Action>,
}

impl Fetcher {
    /// What is wanted now, instead of what was; in the order it is to come. Groups that are asked
    /// for already, and what the peer does not have, are passed over.
    pub fn want(&mut self, wants: impl IntoIterator<Item = Want>) {
        let wants = wants.into_iter().filter_map(|want| self.rest_of(want));
        self.wants = wants.collect();
        self.hungry = self.wants.is_empty();
        self.ask();
    }

    /// What of it is not asked for yet.
    fn rest_of(&self, want: Want) -> Option<Want> {
        if !self.may_ask(&want.blob) {
            return None;
        }
        let asked = self.asked.iter().rev().find(|(blob, _)| *blob == want.blob);
        let from = match (asked, want.from) {
            (None, from) => from,
            (Some((_, Some(last))), Some(_)) => Some(last + 1),
            (Some(_), _) => return None,
        };
        let rest = from.is_none_or(|from| from < tree::groups(want.blob.size));
        rest.then_some(Want { from, ..want })
    }

    /// Whether asking the peer for that file can lead to anything.
    pub fn may_ask(&self, blob: &Blob) -> bool {
        !self.lacking.contains(blob) && !self.spoiled.contains(blob)
    }

    /// What it makes no sense to ask this peer for.
    pub fn skipped(&self) -> BTreeSet<Blob> {
        self.lacking.union(&self.spoiled).copied().collect()
    }

    /// Whether more is wanted before long.
    pub fn is_idle(&self) -> bool {
        self.wants.is_empty() && self.asked.is_empty()
    }

    /// Asks for nothing more until told otherwise; what is asked for still comes.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.ask();
    }

    /// A file is not wanted any more: it came from elsewhere, or cannot be kept.
    pub fn drop_want(&mut self, blob: &Blob) {
        self.wants.retain(|want| want.blob != *blob);
    }

    /// What the peer said.
    ///
    /// # Errors
    /// [`Breach`]: the stream is to be closed.
    pub fn handle(&mut self, message: BlobMessage) -> Result<(), Breach> {
        match message {
            BlobMessage::Ask(_) => return Err(Breach::Question),
            BlobMessage::Piece(piece) => self.piece(piece)?,
            BlobMessage::States(states) => {
                for state in states {
                    self.state(state);
                }
            }
        }
        self.ask();
        Ok(())
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn piece(&mut self, piece: Piece) -> Result<(), Breach> {
        let Piece {
            blob,
            group,
            path,
            bytes,
        } = piece;
        if self.asked.front() != Some(&(blob, Some(group))) {
            return Err(Breach::Unasked);
        }
        let _answered = self.asked.pop_front();
        if self.spoiled.contains(&blob) {
            return Ok(());
        }
        if !tree::verifies(&blob, group, &bytes, &path) {
            let _new = self.spoiled.insert(blob);
            self.drop_want(&blob);
            self.actions.push_back(Action::Spoiled(blob));
            return if self.spoiled.len() >= limits::BLOB_SPOILED_MAX {
                Err(Breach::Spoiled)
            } else {
                Ok(())
            };
        }
        let last = group + 1 == tree::groups(blob.size);
        self.actions.push_back(Action::Keep {
            blob,
            group,
            bytes,
            last,
        });
        Ok(())
    }

    fn state(&mut self, State { blob, word }: State) {
        let asked = self.asked.iter().any(|(asked, _)| *asked == blob);
        match word {
            Word::Here => {
                self.asked.retain(|a| *a != (blob, None));
                let was_lacking = self.lacking.remove(&blob);
                if asked || was_lacking {
                    self.actions.push_back(Action::Holds(blob));
                    self.actions.push_back(Action::Refill);
                }
            }
            Word::Absent | Word::Later if asked => {
                self.asked.retain(|(asked, _)| *asked != blob);
                self.drop_want(&blob);
                if self.lacking.len() < limits::BLOB_LACKING_MAX {
                    let _new = self.lacking.insert(blob);
                }
                self.actions.push_back(Action::Gone(blob));
            }
            // Said of what nobody asked for.
            Word::Absent | Word::Later => {}
        }
    }

    fn ask(&mut self) {
        while !self.paused && self.asked.len() < limits::BLOB_WINDOW_FILES {
            let Some(want) = self.wants.front().copied() else {
                if !self.hungry {
                    self.hungry = true;
                    self.actions.push_back(Action::Refill);
                }
                return;
            };
            let (blob, groups) = (want.blob, tree::groups(want.blob.size));
            let Some(first) = want.from else {
                let _asked = self.wants.pop_front();
                self.say(blob, 0, 0);
                continue;
            };
            let room = self.room(groups);
            if room == 0 {
                return;
            }
            let count = groups.saturating_sub(first).min(room);
            if first + count >= groups {
                let _all_asked = self.wants.pop_front();
            } else if let Some(want) = self.wants.front_mut() {
                want.from = Some(first + count);
            }
            if count > 0 {
                self.say(blob, first, count);
            }
        }
    }

    /// Groups of a file of so many that may be asked for now: small files are asked for many at a
    /// time, groups of large ones few.
    fn room(&self, groups: u32) -> u32 {
        if groups == 1 {
            return 1;
        }
        let large =
            |(blob, group): &&(Blob, Option<u32>)| group.is_some() && tree::groups(blob.size) > 1;
        let busy = self.asked.iter().filter(large).count() as u32;
        limits::BLOB_WINDOW_GROUPS.saturating_sub(busy)
    }

    fn say(&mut self, blob: Blob, first: u32, count: u32) {
        if count == 0 {
            self.asked.push_back((blob, None));
        }
        for group in first..first + count {
            self.asked.push_back((blob, Some(group)));
        }
        self.actions
            .push_back(Action::Ask(Ask { blob, first, count }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::BlobHash, limits::BLOB_GROUP_BYTES};

    /// A peer with one file, and what was kept of it.
    struct Pair {
        blob: Blob,
        bytes: Vec<u8>,
        tree: tree::Tree,
        kept: Vec<u8>,
        /// Bytes of pieces that came.
        came: usize,
        refills: usize,
    }

    impl Pair {
        fn new(groups: usize, rest: usize) -> Self {
            let size = groups * BLOB_GROUP_BYTES + rest;
            let bytes: Vec<u8> = (0..size).map(|i| (i / 7 + i / 65_536) as u8).collect();
            let mut tree = tree::Tree::default();
            for group in bytes.chunks(BLOB_GROUP_BYTES) {
                tree.push(group);
            }
            let blob = Blob {
                hash: BlobHash(*blake3::hash(&bytes).as_bytes()),
                size: size as u64,
            };
            Self {
                blob,
                bytes,
                tree,
                kept: Vec::new(),
                came: 0,
                refills: 0,
            }
        }

        fn want(&self) -> Want {
            let from = Some((self.kept.len() / BLOB_GROUP_BYTES) as u32);
            Want {
                blob: self.blob,
                from,
            }
        }

        fn piece(&self, group: u32) -> Piece {
            let from = group as usize * BLOB_GROUP_BYTES;
            let to = (from + BLOB_GROUP_BYTES).min(self.bytes.len());
            Piece {
                blob: self.blob,
                group,
                path: self.tree.path(group).unwrap(),
                bytes: self.bytes[from..to].to_vec(),
            }
        }

        /// A connection that is cut after so many pieces; whether the file is whole by then.
        fn session(&mut self, mut pieces: usize) -> bool {
            let mut fetcher = Fetcher::default();
            fetcher.want([self.want()]);
            let mut asks = VecDeque::new();
            loop {
                while let Some(action) = fetcher.poll() {
                    match action {
                        Action::Ask(ask) => asks.extend(ask.first..ask.first + ask.count),
                        Action::Keep {
                            group, bytes, last, ..
                        } => {
                            let at = group as usize * BLOB_GROUP_BYTES;
                            assert_eq!(self.kept.len(), at, "in order, without gaps");
                            self.kept.extend(bytes);
                            if last {
                                return true;
                            }
                        }
                        Action::Refill => self.refills += 1,
                        other @ (Action::Holds(_) | Action::Gone(_) | Action::Spoiled(_)) => {
                            panic!("{other:?}")
                        }
                    }
                    assert!(asks.len() <= limits::BLOB_WINDOW_GROUPS as usize);
                }
                let group = asks.pop_front().expect("it asks until all is there");
                if pieces == 0 {
                    return false;
                }
                pieces -= 1;
                let piece = self.piece(group);
                self.came += piece.bytes.len();
                fetcher.handle(BlobMessage::Piece(piece)).unwrap();
            }
        }
    }

    #[test]
    fn a_line_cut_at_every_group_goes_on_where_it_was() {
        let mut pair = Pair::new(9, 1_000);
        let mut cuts = 0;
        while !pair.session(1) {
            cuts += 1;
        }
        assert_eq!(cuts, 9);
        assert_eq!(pair.kept, pair.bytes);
        assert_eq!(pair.came, pair.bytes.len(), "not one byte twice");
        let mut whole = Pair::new(9, 1_000);
        assert!(whole.session(usize::MAX));
        assert_eq!(whole.kept, whole.bytes);
        assert_eq!(
            whole.refills, 1,
            "the host is asked for more once, not for each piece"
        );
    }

    #[test]
    fn a_flipped_byte_is_not_kept_and_the_peer_is_not_asked_for_that_file_again() {
        let pair = Pair::new(3, 5);
        let mut fetcher = Fetcher::default();
        fetcher.want([pair.want()]);
        fetcher.handle(BlobMessage::Piece(pair.piece(0))).unwrap();
        let mut bad = pair.piece(1);
        bad.bytes[77] ^= 4;
        fetcher.handle(BlobMessage::Piece(bad)).unwrap();
        // What was on its way is dropped, however good.
        fetcher.handle(BlobMessage::Piece(pair.piece(2))).unwrap();
        let mut actions = Vec::new();
        while let Some(action) = fetcher.poll() {
            actions.push(action);
        }
        let kept = |a: &&Action| matches!(a, Action::Keep { .. });
        assert_eq!(actions.iter().filter(kept).count(), 1);
        assert!(actions.contains(&Action::Spoiled(pair.blob)));
        fetcher.want([pair.want()]);
        assert!(fetcher.wants.is_empty(), "not from this one");
    }

    #[test]
    fn a_peer_that_keeps_sending_garbage_or_what_nobody_asked_for_is_left() {
        let mut fetcher = Fetcher::default();
        let pairs: Vec<_> = (1..=limits::BLOB_SPOILED_MAX)
            .map(|n| Pair::new(0, 100 + n))
            .collect();
        fetcher.want(pairs.iter().map(Pair::want));
        for (n, pair) in pairs.iter().enumerate() {
            let mut bad = pair.piece(0);
            bad.bytes[0] ^= 1;
            let handled = fetcher.handle(BlobMessage::Piece(bad));
            let last = n + 1 == limits::BLOB_SPOILED_MAX;
            assert_eq!(handled, if last { Err(Breach::Spoiled) } else { Ok(()) });
        }
        let mut fetcher = Fetcher::default();
        let unasked = BlobMessage::Piece(pairs[0].piece(0));
        assert_eq!(fetcher.handle(unasked), Err(Breach::Unasked));
        fetcher.want([Pair::new(5, 0).want()]);
        let skipped = BlobMessage::Piece(Pair::new(5, 0).piece(1));
        assert_eq!(fetcher.handle(skipped), Err(Breach::Unasked));
    }

    #[test]
    fn small_ones_that_turn_up_later_come_before_the_rest_of_a_large_one() {
        let (large, small) = (Pair::new(40, 0), Pair::new(0, 9_000));
        let mut fetcher = Fetcher::default();
        fetcher.want([large.want()]);
        let first = Ask {
            blob: large.blob,
            first: 0,
            count: limits::BLOB_WINDOW_GROUPS,
        };
        assert_eq!(fetcher.poll(), Some(Action::Ask(first)));
        fetcher.want([small.want(), large.want()]);
        let ask = |pair: &Pair, first| {
            Some(Action::Ask(Ask {
                blob: pair.blob,
                first,
                count: 1,
            }))
        };
        assert_eq!(
            fetcher.poll(),
            ask(&small, 0),
            "at once, beside the window of the large one"
        );
        fetcher.handle(BlobMessage::Piece(large.piece(0))).unwrap();
        let _kept = fetcher.poll();
        assert_eq!(
            fetcher.poll(),
            ask(&large, 4),
            "and the large one goes on where it was"
        );
    }

    #[test]
    fn what_the_peer_lacks_is_asked_for_again_once_the_peer_says_it_is_there() {
        let pair = Pair::new(1, 1);
        let mut fetcher = Fetcher::default();
        fetcher.want([pair.want()]);
        let _ask = fetcher.poll();
        assert_eq!(
            fetcher.poll(),
            Some(Action::Refill),
            "there is room for more"
        );
        let said = |word| {
            BlobMessage::States(vec![State {
                blob: pair.blob,
                word,
            }])
        };
        fetcher.handle(said(Word::Later)).unwrap();
        assert_eq!(fetcher.poll(), Some(Action::Gone(pair.blob)));
        fetcher.want([pair.want()]);
        assert_eq!(fetcher.poll(), None);
        fetcher.handle(said(Word::Here)).unwrap();
        assert_eq!(fetcher.poll(), Some(Action::Holds(pair.blob)));
        assert_eq!(fetcher.poll(), Some(Action::Refill));
        fetcher.want([pair.want()]);
        assert!(matches!(fetcher.poll(), Some(Action::Ask(_))));
    }
}
