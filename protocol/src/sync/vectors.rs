//! Vectors as differences: what both held when they last agreed need not be told again.
//!
//! Each side keeps, for each peer, the vector of the last agreement ([`Agreed`]). The caller names
//! it by its hash and tells what changed since; a called node that kept another one asks for the
//! whole. A wrong guess costs a round trip, never more: the gate looks at chains, not at vectors.

use std::collections::BTreeMap;

use crate::{
    control::ControlKey,
    limits,
    log::{LogHead, LogId},
    sync::{
        Effect, Session, Violation,
        session::{Class, Phase},
    },
    wire::{Message, VECTORS_SINCE, VectorPart, first8, vector_hash},
};

type Vector = Vec<(LogId, LogHead)>;

/// How long an agreement is not noted again while the line stands: every change is agreed upon.
const AGREE_EVERY_MS: i64 = 60_000;

/// What two nodes held when they agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Agreed {
    /// The logs of the scopes both may read.
    #[n(0)]
    pub vector: Vec<(LogId, LogHead)>,
    /// [`versions_hash`] of the control documents held here, all of which the peer had then or
    /// may not have; 0 when that cannot be said.
    #[n(1)]
    pub controls: u64,
}

impl Agreed {
    /// What both sides call it.
    pub fn name(&self) -> u64 {
        vector_hash(&self.vector)
    }
}

/// A short name of a set of control documents; never 0.
pub fn versions_hash(versions: &[(ControlKey, u64)]) -> u64 {
    let mut sorted = versions.to_vec();
    sorted.sort_unstable();
    let bytes = minicbor::to_vec(sorted).expect("writing to memory does not fail");
    let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 control versions");
    hasher.update(&bytes);
    first8(&hasher).max(1)
}

/// The vectors of one session.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    /// What the peer's vector is told against, by name; none when whole.
    pub(super) base: Option<Agreed>,
    /// Parts that came after the first message.
    parts: BTreeMap<u32, Vector>,
    /// How many there must be, and whether of the whole vector.
    awaited: (u32, bool),
    /// The peer's first message, until its vector is complete.
    first: Vector,
    controls: Vec<(ControlKey, u64)>,
    /// Of the own versions when the session opened; 0 once a document went either way.
    pub(super) versions: u64,
    noted_at: Option<crate::time::Millis>,
}

/// What a greeting says of the vector: the name of what it is told against, the logs, and how
/// many parts follow.
pub(super) struct Told {
    pub(super) since: Option<u64>,
    pub(super) vector: Vector,
    pub(super) parts: Option<u32>,
    rest: Vec<VectorPart>,
}

impl Session {
    /// The own vector, against an agreement if there is one.
    pub(super) fn tell_vector(&self, base: Option<&Agreed>) -> Told {
        let held = &self.flow.held;
        let logs: Vector = match base {
            Some(base) => {
                let then: BTreeMap<_, _> = base.vector.iter().copied().collect();
                let gone = then.keys().filter(|log| !held.contains_key(log));
                let gone = gone.map(|log| (*log, LogHead::START));
                let new = held
                    .iter()
                    .filter(|(log, head)| then.get(log) != Some(head));
                new.map(|(l, h)| (*l, *h)).chain(gone).collect()
            }
            None => held.iter().map(|(l, h)| (*l, *h)).collect(),
        };
        let mut chunks = logs.chunks(limits::VECTOR_LOGS_MAX);
        let vector = chunks.next().unwrap_or_default().to_vec();
        let rest = parts(chunks, base.is_none());
        Told {
            since: base.map(Agreed::name),
            vector,
            parts: rest.first().map(|part| part.parts),
            rest,
        }
    }

    pub(super) fn tell_rest(&mut self, told: Told) {
        for part in told.rest {
            self.send(Class::First, Message::Vector(part));
        }
    }

    /// The whole vector for a peer that kept another agreement.
    pub(super) fn tell_whole(&mut self) {
        let logs: Vector = self.flow.held.iter().map(|(l, h)| (*l, *h)).collect();
        let mut chunks = logs.chunks(limits::VECTOR_LOGS_MAX).peekable();
        let whole = if chunks.peek().is_none() {
            parts(std::iter::once(&[][..]), true)
        } else {
            parts(chunks, true)
        };
        for part in whole {
            self.send(Class::First, Message::Vector(part));
        }
    }

    /// Takes the vector of the peer's first message. `base` is what it is told against; `ask`:
    /// that is not known here, and the whole is awaited.
    pub(super) fn hear_vector(
        &mut self,
        first: Vector,
        parts: Option<u32>,
        base: Option<Agreed>,
        ask: bool,
        controls: Vec<(ControlKey, u64)>,
    ) -> Result<(), Violation> {
        let parts = parts.unwrap_or(0);
        if parts > limits::VECTOR_PARTS_MAX {
            return Err(Violation::Malformed("vector"));
        }
        let vectors = &mut self.vectors;
        vectors.awaited = (if ask { 0 } else { parts }, ask || base.is_none());
        (vectors.first, vectors.base, vectors.controls) = (first, base, controls);
        if ask {
            // A difference nobody here can read.
            vectors.first.clear();
            vectors.parts.clear();
        }
        self.phase = Phase::Hearing;
        self.heard_all(!ask)
    }

    /// One more part of it.
    pub(super) fn vector_part(&mut self, part: VectorPart) -> Result<(), Violation> {
        let sound = (1..=part.parts).contains(&part.part)
            && part.parts <= limits::VECTOR_PARTS_MAX
            && part.logs.len() <= limits::VECTOR_LOGS_MAX;
        if !sound {
            return Err(Violation::Malformed("VECTOR"));
        }
        let vectors = &mut self.vectors;
        if self.phase == Phase::Hearing {
            // Parts of a difference nobody here can read.
            if part.whole != vectors.awaited.1 {
                return Ok(());
            }
            vectors.awaited.0 = part.parts;
        }
        vectors.parts.insert(part.part, part.logs);
        if self.phase == Phase::Hearing {
            return self.heard_all(true);
        }
        Ok(())
    }

    fn heard_all(&mut self, begun: bool) -> Result<(), Violation> {
        let vectors = &mut self.vectors;
        if !begun || (vectors.parts.len() as u64) < u64::from(vectors.awaited.0) {
            return Ok(());
        }
        let base = vectors.base.take().unwrap_or_default();
        let mut vector: BTreeMap<_, _> = base.vector.into_iter().collect();
        vector.extend(std::mem::take(&mut vectors.first));
        for part in std::mem::take(&mut vectors.parts).into_values() {
            vector.extend(part);
        }
        let controls = std::mem::take(&mut vectors.controls);
        self.open(&vector, controls)
    }

    /// What to keep of this session for the next.
    pub(super) fn agreement(&mut self) -> Option<Effect> {
        let reads = self
            .met
            .as_ref()
            .is_some_and(|m| m.version.minor >= VECTORS_SINCE);
        let due = self
            .vectors
            .noted_at
            .is_none_or(|at| self.now >= at.after(AGREE_EVERY_MS));
        if !reads || !due {
            return None;
        }
        self.vectors.noted_at = Some(self.now);
        let vector = self.flow.held.iter().map(|(l, h)| (*l, *h)).collect();
        let controls = self.vectors.versions;
        Some(Effect::Agree(Agreed { vector, controls }))
    }
}

fn parts<'a>(chunks: impl Iterator<Item = &'a [(LogId, LogHead)]>, whole: bool) -> Vec<VectorPart> {
    let chunks: Vec<_> = chunks.take(limits::VECTOR_PARTS_MAX as usize).collect();
    let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let part = |(n, logs): (u32, &[_])| VectorPart {
        part: n,
        parts,
        whole,
        logs: logs.to_vec(),
    };
    (1..).zip(chunks).map(part).collect()
}
