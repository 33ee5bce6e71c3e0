//! One line of acts out of two documents.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::{
    document::{ReadAct, Reading},
    id::{ActId, Kind},
};

/// An act and the side it was done on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) side: Kind,
    pub(crate) read: &'a ReadAct,
    /// Position of its change in its document's graph.
    rank: Option<usize>,
}

/// All acts of a case, each after everything it knew of; where nothing is known, in the order of
/// the hybrid clock. A clock years ahead or behind so cannot put an acceptance before the
/// receipt it accepted.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    application: &'a Reading,
    handling: Option<&'a Reading>,
    pub(crate) acts: Vec<Placed<'a>>,
    /// Where an act stands in `acts`; of one id on both sides, the first.
    at: BTreeMap<ActId, usize>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(application: &'a Reading, handling: Option<&'a Reading>) -> Self {
        let mut line = Self {
            application,
            handling,
            acts: Vec::new(),
            at: BTreeMap::new(),
        };
        let mut acts = Vec::new();
        for (side, reading) in [
            (Kind::Application, Some(application)),
            (Kind::Handling, handling),
        ] {
            let Some(reading) = reading else { continue };
            acts.extend(reading.acts.iter().map(|read| Placed {
                side,
                read,
                rank: reading.rank(read.change),
            }));
        }
        acts.sort_by_key(|a| (a.read.id, a.side));
        line.acts = line.sorted(&acts);
        for (i, placed) in line.acts.iter().enumerate() {
            line.at.entry(placed.read.id).or_insert(i);
        }
        line
    }

    fn reading(&self, side: Kind) -> &'a Reading {
        match side {
            Kind::Handling => self.handling.unwrap_or(self.application),
            Kind::Application | Kind::Notice => self.application,
        }
    }

    /// Whether, inside their one document, `later` came with knowledge of `earlier`. Acts of one
    /// change know each other in the order of their ids.
    fn knew_beside(&self, later: &Placed<'_>, earlier: &Placed<'_>) -> bool {
        if later.side != earlier.side {
            return false;
        }
        if later.read.change == earlier.read.change {
            return earlier.read.id < later.read.id;
        }
        match (later.rank, earlier.rank) {
            (Some(l), Some(e)) => self.reading(later.side).knew_at(l, e),
            (None, _) | (_, None) => false,
        }
    }

    /// Whether the desk of `later` knew of `earlier`: by the change graph inside a document, by
    /// what that desk had seen, or had seen before, across the two.
    pub(crate) fn knew(&self, later: &Placed<'_>, earlier: &Placed<'_>) -> bool {
        if later.side == earlier.side {
            return self.knew_beside(later, earlier);
        }
        self.acts
            .iter()
            .filter(|a| a.read.id == later.read.id || self.knew_beside(later, a))
            .filter_map(|a| self.find(a.read.act.saw?))
            .any(|s| s.read.id == earlier.read.id || self.knew_beside(s, earlier))
    }

    pub(crate) fn find(&self, id: ActId) -> Option<&Placed<'a>> {
        self.at.get(&id).map(|at| &self.acts[*at])
    }

    /// Topological order with the smallest id first among what is ready. A desk that claims to
    /// have seen the future can make a circle: it is cut at the smallest id.
    fn sorted(&self, acts: &[Placed<'a>]) -> Vec<Placed<'a>> {
        let at: BTreeMap<ActId, usize> = acts
            .iter()
            .enumerate()
            .map(|(i, a)| (a.read.id, i))
            .collect();
        let saw = |i: usize| {
            let seen = acts[i].read.act.saw.and_then(|s| at.get(&s).copied());
            seen.filter(|s| acts[*s].side != acts[i].side)
        };
        let mut open: Vec<usize> = (0..acts.len())
            .map(|i| {
                let beside = acts.iter().filter(|e| self.knew_beside(&acts[i], e));
                beside.count() + usize::from(saw(i).is_some())
            })
            .collect();
        let mut done = vec![false; acts.len()];
        let mut ready: BinaryHeap<Reverse<usize>> = (0..acts.len())
            .filter(|i| open[*i] == 0)
            .map(Reverse)
            .collect();
        let mut out = Vec::with_capacity(acts.len());
        while out.len() < acts.len() {
            let next = match ready.pop() {
                Some(Reverse(next)) => next,
                None => match done.iter().position(|d| !d) {
                    Some(first) => first,
                    None => break,
                },
            };
            if std::mem::replace(&mut done[next], true) {
                continue;
            }
            out.push(acts[next]);
            for later in 0..acts.len() {
                let waits = usize::from(self.knew_beside(&acts[later], &acts[next]))
                    + usize::from(saw(later) == Some(next));
                if waits > 0 && !done[later] {
                    open[later] = open[later].saturating_sub(waits);
                    if open[later] == 0 {
                        ready.push(Reverse(later));
                    }
                }
            }
        }
        out
    }
}
