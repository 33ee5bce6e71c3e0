//! A repair by sketch: the caller sends cells of the scope's documents, the called node finds the
//! documents that differ and names them, or asks for more cells.
//!
//! ```text
//! caller  SKETCH 0..32 ──────▶
//!         ◀──── SKETCH upto n  callee   too few: judged by what came, n are likely to do
//!         SKETCH 32..n ──────▶
//!         ◀────── HEADS, WANT  callee   the documents that differ
//!         WANT, PUSH ⇄ PUSH            as after HEADS of the whole scope
//! ```
//!
//! The called node compares all cells anew each time and keeps nothing of its own documents; the
//! caller begins anew when its documents changed between two messages. When the cells do not do
//! (junk, or a difference too large), the called node asks for HEADS of the whole scope.

use std::collections::BTreeSet;

use crate::{
    id::{DocId, Scope},
    limits,
    sync::{Effect, Role, Session, Violation, session::Class},
    wire::{
        Message, ScopeProof,
        sketch::{Ask, Cell, Drawn, Key, Peeled, Sketch, peel},
    },
};

/// A sketch under way.
#[derive(Debug, Default)]
pub(super) struct Sketching {
    /// Known from the first cells on.
    key: Option<Key>,
    /// Caller: digest of the documents the cells were made of.
    digest: u64,
    /// Caller: cells sent.
    sent: u32,
    /// Called node: cells that came.
    theirs: Vec<Cell>,
    /// Messages with cells so far.
    turns: u32,
    reading: bool,
}

impl Session {
    /// Begins a repair by sketch, if the peer knows how and the difference may be small enough.
    pub(super) fn begin_sketch(&mut self, scope: Scope) -> Option<Sketching> {
        let gap = self.documents_apart(scope);
        // Each document that only one side has is an item, and the others that differ are two.
        let upto = gap
            .saturating_mul(2)
            .saturating_add(limits::SKETCH_CELLS_FIRST);
        if !self.sketches || upto > limits::SKETCH_CELLS_MAX {
            return None;
        }
        self.effect(Effect::ReadSketch(Ask {
            scope,
            key: None,
            first: 0,
            upto,
        }));
        Some(Sketching {
            reading: true,
            ..Sketching::default()
        })
    }

    fn documents_apart(&self, scope: Scope) -> u32 {
        let (mine, theirs) = self.proofs.both(scope);
        let count = |proof: Option<ScopeProof>| proof.map_or(0, |p| p.documents);
        u32::try_from(count(mine).abs_diff(count(theirs))).unwrap_or(u32::MAX)
    }

    /// The host computed cells.
    pub(super) fn own_sketch(&mut self, drawn: Drawn) {
        let Some(sketching) = self.proofs.sketching(drawn.scope) else {
            return;
        };
        if !std::mem::take(&mut sketching.reading) {
            return;
        }
        let (mine, _) = self.proofs.both(drawn.scope);
        if mine.is_some_and(|p| (p.digest, p.documents) != (drawn.digest, drawn.documents)) {
            self.effect(Effect::Resum(drawn.scope));
        }
        match self.role {
            Role::Caller => self.say_sketch(&drawn),
            Role::Callee => self.compare_sketch(&drawn),
        }
    }

    fn say_sketch(&mut self, drawn: &Drawn) {
        let Some(sketching) = self.proofs.sketching(drawn.scope) else {
            return;
        };
        let upto = drawn.first + drawn.cells.len() as u32;
        if drawn.first > 0 && drawn.digest != sketching.digest {
            // Cells of other documents than those before: all of them anew.
            sketching.turns += 1;
            sketching.reading = true;
            let ask = Ask {
                scope: drawn.scope,
                key: None,
                first: 0,
                upto,
            };
            self.effect(Effect::ReadSketch(ask));
            return;
        }
        sketching.key = Some(drawn.key);
        sketching.digest = drawn.digest;
        sketching.sent = upto;
        sketching.turns += 1;
        self.send(Class::Last, Message::Sketch(drawn.message()));
    }

    /// SKETCH came: cells from a caller, or what a called node wants.
    pub(super) fn their_sketch(&mut self, sketch: &Sketch) -> Result<(), Violation> {
        if !self.shared.contains(&sketch.scope) {
            return Ok(());
        }
        match self.role {
            Role::Caller => self.sketch_wanted(sketch),
            Role::Callee => self.sketch_came(sketch),
        }
    }

    fn sketch_wanted(&mut self, wish: &Sketch) -> Result<(), Violation> {
        let Some(sketching) = self.proofs.sketching(wish.scope) else {
            return Ok(());
        };
        if sketching.key != Some(wish.key) || sketching.reading {
            return Ok(());
        }
        if wish.upto > limits::SKETCH_CELLS_MAX {
            return Err(Violation::Malformed("SKETCH"));
        }
        if wish.upto == 0 || sketching.turns >= limits::SKETCH_TURNS_MAX {
            self.proofs.sketch_fails(wish.scope, true);
            self.effect(Effect::ReadHeads(wish.scope));
        } else if wish.upto > sketching.sent {
            sketching.reading = true;
            let ask = Ask {
                scope: wish.scope,
                key: sketching.key,
                first: sketching.sent,
                upto: wish.upto,
            };
            self.effect(Effect::ReadSketch(ask));
        }
        Ok(())
    }

    fn sketch_came(&mut self, sketch: &Sketch) -> Result<(), Violation> {
        let Some(mut cells) = sketch.cells() else {
            return Err(Violation::Malformed("SKETCH"));
        };
        if !self.joins_repair(sketch.scope) {
            return Ok(());
        }
        let Some(sketching) = self.proofs.sketching_or_new(sketch.scope) else {
            return Ok(());
        };
        let anew = sketch.first == 0 && sketching.key != Some(sketch.key);
        let next = sketching.theirs.len() == sketch.first as usize
            && sketching.key.is_none_or(|key| key == sketch.key);
        // What came twice has been answered, or will be.
        if sketching.reading || !(anew || next) || sketching.turns > limits::SKETCH_TURNS_MAX {
            return Ok(());
        }
        if anew {
            sketching.theirs.clear();
        }
        sketching.key = Some(sketch.key);
        sketching.theirs.append(&mut cells);
        sketching.turns += 1;
        sketching.reading = true;
        let ask = Ask {
            scope: sketch.scope,
            key: Some(sketch.key),
            first: 0,
            upto: sketching.theirs.len() as u32,
        };
        self.effect(Effect::ReadSketch(ask));
        Ok(())
    }

    fn compare_sketch(&mut self, mine: &Drawn) {
        let scope = mine.scope;
        let Some(sketching) = self.proofs.sketching(scope) else {
            return;
        };
        let have = sketching.theirs.len() as u32;
        match peel(&sketching.theirs, mine) {
            Peeled::Whole(differ) => {
                self.proofs.sketch_done(scope);
                self.name_documents(scope, differ.clone());
                self.request(differ);
            }
            Peeled::More(likely) => {
                let more =
                    have < limits::SKETCH_CELLS_MAX && sketching.turns < limits::SKETCH_TURNS_MAX;
                let upto = if more {
                    likely
                        .max(have + have / 2 + 1)
                        .min(limits::SKETCH_CELLS_MAX)
                } else {
                    0
                };
                if upto == 0 && self.too_many_to_name(scope) {
                    self.proofs.sketch_done(scope);
                    self.name_documents(scope, BTreeSet::new());
                    self.request(BTreeSet::new());
                    return;
                }
                let wish = Sketch {
                    scope,
                    key: mine.key,
                    documents: 0,
                    first: have,
                    upto,
                    bytes: Vec::new(),
                };
                if upto == 0 {
                    self.proofs.sketch_fails(scope, false);
                }
                self.send(Class::Last, Message::Sketch(wish));
            }
        }
    }

    /// Whether HEADS of the whole scope would be more than a repair may name.
    fn too_many_to_name(&self, scope: Scope) -> bool {
        let (mine, theirs) = self.proofs.both(scope);
        let many = |p: ScopeProof| p.documents > limits::HEADS_SCOPE_MAX as u64;
        mine.is_some_and(many) || theirs.is_some_and(many)
    }

    /// Tells the caller which documents differ; it needs no heads.
    fn name_documents(&mut self, scope: Scope, docs: BTreeSet<DocId>) {
        let docs: Vec<_> = docs.into_iter().map(|doc| (doc, Vec::new())).collect();
        self.tell_heads(scope, &docs);
    }
}
