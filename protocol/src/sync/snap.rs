//! The first meeting: documents come ahead of their logs, the newest and open cases first.
//!
//! The called node decides, by what the caller lacks; the caller has said in its greeting that it
//! takes documents so, and where an earlier session stopped. Nothing of this is the last word: the
//! logs follow, and a change is only certain when a seal of its writer covers it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    limits,
    sync::{
        Effect, Session, Violation,
        flow::at,
        session::{Class, Phase},
    },
    time::Millis,
    wire::{
        Message,
        snap::{
            self, Reached, Sheet, Snap,
            window::{Packer, Unpacker},
        },
    },
};

/// What [`Effect::ReadSnap`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// By [`snap::write()`]; empty when there are no more documents.
    pub bytes: Vec<u8>,
    /// Where to go on; the caller keeps it.
    pub reached: Reached,
    /// Documents that are still to come.
    pub left: u64,
    /// All changes that were here by then are in the documents of this snapshot.
    pub given: Millis,
}

/// Documents that came ahead of their logs: for [`Effect::TakeSnap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Which part it is.
    pub part: u32,
    pub sheets: Vec<Sheet>,
    /// To be kept with them, for the next session's greeting.
    pub reached: Reached,
    /// Documents that are still to come.
    pub left: u64,
}

/// A snapshot under way, on either side.
#[derive(Debug, Default)]
pub(super) struct Snapping {
    /// Of the called node: what the caller said, where it takes documents so.
    pub(super) offered: Option<Reached>,
    /// Of the called node: where to go on, until all is sent.
    next: Option<Reached>,
    /// The caller lacks too little for documents: only a snapshot that is over counts.
    few: bool,
    reading: bool,
    /// Bytes of changes the host is asked for.
    most: usize,
    /// Parts sent, and those of them without an answer.
    sent: u32,
    flight: BTreeSet<u32>,
    packer: Option<Packer>,
    /// Of the called node: the receiver has the changes that were here by then.
    pub(super) given: Option<Millis>,
    /// Of the caller: parts that came, and those that came before the one they follow.
    came: u32,
    parked: BTreeMap<u32, Snap>,
    unpacker: Option<Unpacker>,
    /// Parts with the host.
    taking: usize,
}

impl Snapping {
    /// Whether documents are still to be sent, ahead of all entries.
    pub(super) fn is_giving(&self) -> bool {
        self.next.is_some()
    }

    /// How much the next part may have, by what became of the last one on the line.
    fn learn(&mut self, packed: usize) {
        let most = self.most.saturating_mul(limits::SNAP_PACKED_BYTES);
        self.most = (most / packed.max(1)).clamp(1, limits::SNAP_PART_BYTES);
    }
}

impl Session {
    /// Documents come first for who lacks so many entries; [`limits::SNAP_ENTRIES_MIN`] unless said
    /// otherwise.
    #[must_use]
    pub fn snapshots_from(mut self, entries: u64) -> Self {
        self.snap_from = entries;
        self
    }

    /// Both vectors are known: whether the caller is to have documents first.
    pub(super) fn consider_snapshot(&mut self) {
        let Some(reached) = self.snap.offered.take() else {
            return;
        };
        if self.peer.upstream || reached.0.len() > limits::SNAP_REACHED_BYTES_MAX {
            return;
        }
        let (mut lacking, mut there) = (0_u64, 0_u64);
        for (log, head) in &self.flow.held {
            let known = at(&self.flow.known, log).seq;
            lacking = lacking.saturating_add(head.seq.saturating_sub(known));
            there = there.saturating_add(known);
        }
        // Who has most of it already gets the rest by the logs: documents come only whole.
        self.snap.few = lacking < self.snap_from;
        let new = !self.snap.few && there.saturating_mul(4) <= lacking;
        let begun = !reached.0.is_empty() && lacking > 0;
        if new || begun {
            self.snap.most = limits::SNAP_FIRST_BYTES;
            self.snap.next = Some(reached);
        }
    }

    /// Asks the host for the next part while the window has room.
    pub(super) fn snap_next(&mut self) {
        let snap = &mut self.snap;
        if snap.reading || snap.flight.len() >= limits::SNAP_WINDOW {
            return;
        }
        if let Some(reached) = snap.next.clone() {
            snap.reading = true;
            let most = snap.most;
            self.effect(Effect::ReadSnap {
                scopes: self.shared.iter().copied().collect(),
                reached,
                most,
                at: self.now,
            });
        }
    }

    /// A part was read.
    pub(super) fn snap_read(&mut self, part: Part) {
        self.snap.reading = false;
        if self.phase != Phase::Open || !self.snap.is_giving() {
            return;
        }
        if self.snap.few && !part.bytes.is_empty() {
            // Another brought it nearly all logs before the documents were through.
            self.snap.next = None;
            return;
        }
        self.snap.given = Some(part.given);
        self.snap.next = (part.left > 0).then(|| part.reached.clone());
        if part.bytes.is_empty() {
            return;
        }
        let packer = match self.snap.packer.take() {
            Some(packer) => Ok(packer),
            None => Packer::new(),
        };
        let bytes = packer.and_then(|mut packer| {
            let bytes = packer.part(&part.bytes)?;
            self.snap.packer = Some(packer);
            Ok(bytes)
        });
        let Ok(bytes) = bytes else {
            // No memory for a window: the logs bring everything.
            (self.snap.next, self.snap.given) = (None, None);
            return;
        };
        if part.left == 0 {
            self.snap.packer = None;
        }
        self.snap.learn(bytes.len());
        self.snap.sent += 1;
        self.snap.flight.insert(self.snap.sent);
        let (reached, left) = (part.reached, part.left);
        let snap = Snap {
            part: self.snap.sent,
            reached,
            left,
            bytes,
        };
        self.send(Class::Snapshots, Message::Snap(snap));
    }

    /// A part came, or the word that one is durable there.
    pub(super) fn snap_came(&mut self, snap: Snap) -> Result<(), Violation> {
        if snap.reached.0.len() > limits::SNAP_REACHED_BYTES_MAX {
            return Err(Violation::Malformed("SNAP"));
        }
        if snap.bytes.is_empty() {
            self.snap.flight.remove(&snap.part);
            return Ok(());
        }
        // Nobody below says what is so.
        if !self.peer.upstream {
            return Err(Violation::Unexpected("SNAP"));
        }
        // Told twice: the first one is or will be answered.
        if snap.part <= self.snap.came || self.snap.parked.contains_key(&snap.part) {
            return Ok(());
        }
        if self.snap.taking + self.snap.parked.len() >= limits::SNAP_WINDOW {
            return Err(Violation::Window);
        }
        self.snap.parked.insert(snap.part, snap);
        while let Some(next) = self.snap.parked.remove(&(self.snap.came + 1)) {
            self.snap.came = next.part;
            self.take_part(next)?;
        }
        Ok(())
    }

    fn take_part(&mut self, snap: Snap) -> Result<(), Violation> {
        let sheets = self.inflate(&snap.bytes);
        let mut sheets = sheets.ok_or(Violation::Malformed("SNAP"))?;
        let mine = &self.mine;
        sheets.retain(|sheet| sheet.id.scope().is_some_and(|scope| mine.contains(&scope)));
        if snap.left == 0 {
            self.snap.unpacker = None;
        }
        self.snap.taking += 1;
        self.effect(Effect::TakeSnap(Given {
            part: snap.part,
            sheets,
            reached: snap.reached,
            left: snap.left,
        }));
        Ok(())
    }

    fn inflate(&mut self, bytes: &[u8]) -> Option<Vec<Sheet>> {
        let mut unpacker = match self.snap.unpacker.take() {
            Some(unpacker) => unpacker,
            None => Unpacker::new().ok()?,
        };
        let bytes = unpacker.part(bytes).ok()?;
        self.snap.unpacker = Some(unpacker);
        snap::read(&bytes).ok()
    }

    /// A part is durable here.
    pub(super) fn snap_taken(&mut self, part: u32) {
        self.snap.taking = self.snap.taking.saturating_sub(1);
        let answer = Snap {
            part,
            reached: Reached::default(),
            left: 0,
            bytes: Vec::new(),
        };
        self.send(Class::Acknowledge, Message::Snap(answer));
    }
}
