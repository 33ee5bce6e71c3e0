//! Entries: what to send next, what may be sent, what was received and acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::Scope,
    limits,
    log::{Batch, LogHead, LogId, Rejection},
    sync::{Admission, Effect, Found, Session, Violation, session::Phase},
};

/// Positions of both sides in the logs they share.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Durable here.
    pub(super) held: BTreeMap<LogId, LogHead>,
    /// Durable at the peer, as far as it said; before it said, as far as its receipts say.
    pub(super) known: BTreeMap<LogId, LogHead>,
    /// Before the peer has said what it holds: bytes of changes that may still be sent.
    pub(super) eager: usize,
    /// How far was sent, acknowledged or not.
    pub(super) sent: BTreeMap<LogId, LogHead>,
    /// Batches without an acknowledgment: log and last position.
    pub(super) flight: Vec<(LogId, u64)>,
    /// Batches to be sent again in a repair.
    pub(super) again: Vec<Batch>,
    reading: Option<LogId>,
    /// Forked logs whose seal the host was asked for.
    proving: BTreeSet<LogId>,
    /// Logs that hold nothing sealed past what was sent, until more is committed.
    dry: BTreeSet<LogId>,
    /// Logs left alone for the rest of the session: forked, or refused as a whole.
    pub(super) stalled: BTreeSet<LogId>,
    /// Forks told to the peer, and those handed to the host.
    pub(super) forks_told: BTreeSet<LogId>,
    pub(super) forks_met: BTreeSet<LogId>,
    /// Batches with the host, and the position that follows them.
    pub(super) admitting: usize,
    /// Packs with the host, to be made batches again.
    pub(super) unpacking: usize,
    expected: BTreeMap<LogId, u64>,
    /// Batches that came before the one they follow.
    parked: BTreeMap<(LogId, u64), Batch>,
    /// Heads to acknowledge.
    pub(super) unsigned: BTreeMap<LogId, LogHead>,
    /// Logs of this node that became longer here; a caller's own.
    pub(super) returned: BTreeSet<LogId>,
    pub(super) unsigned_batches: usize,
    pub(super) signing: usize,
}

pub(super) fn raise(map: &mut BTreeMap<LogId, LogHead>, log: LogId, head: LogHead) -> bool {
    let at = map.entry(log).or_insert(LogHead::START);
    let higher = head.seq > at.seq;
    if higher {
        *at = head;
    }
    higher
}

pub(super) fn at(map: &BTreeMap<LogId, LogHead>, log: &LogId) -> LogHead {
    map.get(log).copied().unwrap_or(LogHead::START)
}

impl Flow {
    /// Leaves a log alone for the rest of the session.
    pub(super) fn stall(&mut self, log: LogId) {
        self.stalled.insert(log);
        self.flight.retain(|(l, _)| *l != log);
    }

    /// Takes in the durable heads; one that is known to be further already stays.
    pub(super) fn hold(&mut self, vector: BTreeMap<LogId, LogHead>) {
        for (log, head) in vector {
            raise(&mut self.held, log, head);
        }
    }

    /// Until the peer says what it holds, this is thought of it.
    pub(super) fn presume(
        &mut self,
        agreed: BTreeMap<LogId, LogHead>,
        receipted: BTreeMap<LogId, LogHead>,
    ) {
        self.known = agreed;
        for (log, head) in receipted {
            raise(&mut self.known, log, head);
        }
        self.eager = limits::EAGER_BYTES_MAX;
    }

    /// What the peer holds. Of a log where it holds less than was thought all is sent from there.
    pub(super) fn learn(&mut self, known: BTreeMap<LogId, LogHead>) {
        let thought = std::mem::replace(&mut self.known, known);
        let known = &self.known;
        self.sent
            .retain(|log, _| at(known, log).seq >= at(&thought, log).seq);
        self.dry.clear();
        self.eager = 0;
    }

    /// Whether all that this side has was said, and all that the peer has came, acknowledged or
    /// not.
    pub(super) fn said_and_heard(&self, shared: &BTreeSet<Scope>) -> bool {
        let waits = |log: &LogId| shared.contains(&log.scope) && !self.stalled.contains(log);
        let unsaid = |log: &LogId, head: &LogHead| {
            waits(log) && !self.dry.contains(log) && self.reached(log).seq < head.seq
        };
        let unheard =
            |log: &LogId, head: &LogHead| waits(log) && at(&self.held, log).seq < head.seq;
        self.admitting + self.unpacking == 0
            && self.reading.is_none()
            && self.proving.is_empty()
            && self.again.is_empty()
            && !self.held.iter().any(|(log, head)| unsaid(log, head))
            && !self.known.iter().any(|(log, head)| unheard(log, head))
    }

    /// What keeps this side from being at rest.
    pub(super) fn waits_for(&self, shared: &BTreeSet<Scope>) -> Option<&'static str> {
        let behind = |log: &LogId, mine: &BTreeMap<_, _>, other: &LogHead| {
            shared.contains(&log.scope)
                && !self.stalled.contains(log)
                && at(mine, log).seq < other.seq
        };
        if !self.flight.is_empty() {
            Some("acknowledgment")
        } else if self.admitting + self.unpacking > 0
            || self.signing > 0
            || !self.unsigned.is_empty()
        {
            Some("the own store")
        } else if self.known.iter().any(|(l, h)| behind(l, &self.held, h)) {
            Some("entries")
        } else if self.reading.is_some()
            || !self.proving.is_empty()
            || !self.again.is_empty()
            || self
                .held
                .iter()
                .any(|(l, h)| behind(l, &self.known, h) && !self.dry.contains(l))
        {
            Some("the own store")
        } else {
            None
        }
    }

    /// Whether the peer may send one more batch.
    pub(super) fn room(&self) -> Result<(), Violation> {
        if self.admitting + self.unpacking + self.parked.len() >= limits::WINDOW_BATCHES {
            return Err(Violation::Window);
        }
        Ok(())
    }

    /// Whether everything sent, repairs included, is acknowledged.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.again.is_empty() && self.flight.is_empty()
    }

    pub(super) fn narrow(&mut self, shared: &BTreeSet<Scope>) {
        let keep = |log: &LogId| shared.contains(&log.scope);
        self.held.retain(|log, _| keep(log));
        self.known.retain(|log, _| keep(log));
        self.sent.retain(|log, _| keep(log));
        self.flight.retain(|(log, _)| keep(log));
        self.again.retain(|batch| keep(&batch.log));
        self.parked.retain(|(log, _), _| keep(log));
    }

    /// Of what was found before the peer spoke only what may be sent by then.
    fn afforded(&mut self, found: Found) -> Found {
        let Found::Batch(batch) = found else {
            // A fork is shown when the peer's own word is here.
            return Found::Nothing;
        };
        let bodies = batch.entries.iter().filter_map(|e| e.body.as_ref());
        match self.eager.checked_sub(bodies.map(Vec::len).sum()) {
            Some(left) => {
                self.eager = left;
                Found::Batch(batch)
            }
            None => Found::Nothing,
        }
    }

    /// The log to read next, and from where.
    fn next(&self) -> Option<(LogId, LogHead)> {
        self.held
            .iter()
            .filter(|(log, _)| !self.stalled.contains(log) && !self.dry.contains(log))
            .map(|(log, head)| (log, head, self.reached(log)))
            .filter(|(_, head, reached)| reached.seq < head.seq)
            .min_by_key(|(log, _, _)| log.scope.kind.turn())
            .map(|(log, _, reached)| (*log, reached))
    }

    /// What the peer holds or has been sent, whichever is further.
    pub(super) fn reached(&self, log: &LogId) -> LogHead {
        let (known, sent) = (at(&self.known, log), at(&self.sent, log));
        if sent.seq > known.seq { sent } else { known }
    }
}

impl Session {
    /// Asks the host whether a head is on the branch held here; if not, its answer brings the seal
    /// that proves this branch.
    pub(super) fn ask_for_proof(&mut self, log: LogId, head: LogHead) {
        self.flow.proving.insert(log);
        self.effect(Effect::Read(log, head));
    }

    /// Asks the host for the next batch while the window has room. Before the peer has said what
    /// it holds, half of it: what it cannot use yet must leave room for what it can.
    pub(super) fn read_next(&mut self) {
        let window = if self.phase == Phase::Open {
            limits::WINDOW_BATCHES
        } else {
            limits::WINDOW_BATCHES / 2
        };
        while self.flow.flight.len() < window && self.flow.reading.is_none() {
            if let Some((log, after)) = self.flow.next() {
                self.flow.reading = Some(log);
                self.effect(Effect::Read(log, after));
            } else if let Some(batch) = self.flow.again.pop() {
                self.push(batch, false);
            } else {
                return;
            }
        }
    }

    pub(super) fn read(&mut self, log: LogId, found: Found) {
        if self.flow.reading == Some(log) {
            self.flow.reading = None;
        }
        self.flow.proving.remove(&log);
        if !self.shared.contains(&log.scope) {
            return;
        }
        let reached = self.flow.reached(&log);
        let stalled = self.flow.stalled.contains(&log);
        let found = if self.phase == Phase::Open {
            found
        } else {
            self.flow.afforded(found)
        };
        match found {
            Found::Forked(held, seal) => self.forked(log, held, reached, seal),
            Found::Nothing | Found::Batch(_) if stalled => {}
            Found::Batch(batch)
                if batch.log == log && batch.last() > reached.seq && batch.first > 0 =>
            {
                raise(&mut self.flow.sent, log, batch.seal.head);
                self.push(batch, true);
            }
            Found::Nothing | Found::Batch(_) => {
                self.flow.dry.insert(log);
            }
        }
    }

    fn push(&mut self, batch: Batch, continues: bool) {
        self.report.sent += batch.entries.len() as u64;
        self.flow.flight.push((batch.log, batch.last()));
        self.say(batch, continues);
    }

    pub(super) fn pushed(&mut self, batch: Batch) -> Result<(), Violation> {
        let log = batch.log;
        if batch.first == 0
            || batch.last() < batch.first
            || batch.last() - batch.first + 1 != batch.entries.len() as u64
        {
            return Err(Violation::Malformed("PUSH"));
        }
        if !self.mine.contains(&log.scope) {
            self.refuse_scope(log, batch.first);
            return Ok(());
        }
        if self.flow.stalled.contains(&log) {
            return Ok(());
        }
        let held = at(&self.flow.held, &log);
        let next = self
            .flow
            .expected
            .get(&log)
            .copied()
            .unwrap_or(held.seq + 1);
        if batch.last() < next {
            if self.asked_again(&batch) {
                self.flow.admitting += 1;
                self.effect(Effect::Readmit(batch));
            } else if self.flow.expected.contains_key(&log) {
                // The first copy is with the host; its acknowledgment answers both.
            } else {
                self.acknowledge(log, held);
            }
            return Ok(());
        }
        if self.flow.parked.contains_key(&(log, batch.first)) {
            return Ok(());
        }
        self.flow.room()?;
        if batch.first > next {
            self.flow.parked.insert((log, batch.first), batch);
            return Ok(());
        }
        self.admit(batch);
        Ok(())
    }

    fn admit(&mut self, batch: Batch) {
        self.report.received += batch.entries.len() as u64;
        self.flow.admitting += 1;
        self.flow.expected.insert(batch.log, batch.last() + 1);
        self.effect(Effect::Admit(batch));
    }

    pub(super) fn admitted(&mut self, admission: Admission) {
        let Admission {
            log,
            head,
            rejections,
            fork,
        } = admission;
        self.flow.admitting = self.flow.admitting.saturating_sub(1);
        let whole = rejections.iter().any(Rejection::is_whole);
        if !rejections.is_empty() {
            self.refusals(rejections);
        }
        self.proofs.unprove(log.scope);
        if self.shared.contains(&log.scope) {
            raise(&mut self.flow.held, log, head);
        }
        if let Some(fork) = fork {
            let theirs = at(&self.flow.known, &log);
            self.forked(log, head, theirs, fork.seal);
        }
        if whole {
            self.flow.stalled.insert(log);
        }
        if self.flow.stalled.contains(&log) {
            self.flow.expected.remove(&log);
            self.flow.parked.retain(|(l, _), _| *l != log);
            return;
        }
        // The peer sent these entries, so it holds them.
        raise(&mut self.flow.known, log, head);
        if self
            .flow
            .expected
            .get(&log)
            .is_some_and(|n| *n <= head.seq + 1)
        {
            self.flow.expected.remove(&log);
        }
        self.acknowledge(log, head);
        self.unpark(log);
    }

    fn unpark(&mut self, log: LogId) {
        let next = at(&self.flow.held, &log).seq + 1;
        let ready = self
            .flow
            .parked
            .range((log, 0)..=(log, next))
            .map(|(key, _)| *key)
            .next();
        if let Some(batch) = ready.and_then(|key| self.flow.parked.remove(&key)) {
            if batch.last() >= next {
                self.admit(batch);
            } else {
                self.unpark(log);
            }
        }
    }

    pub(super) fn committed(&mut self, heads: &[(LogId, LogHead)]) {
        for (log, head) in heads {
            if !self.shared.contains(&log.scope) {
                continue;
            }
            if raise(&mut self.flow.held, *log, *head) {
                self.flow.dry.remove(log);
                self.proofs.unprove(log.scope);
                if self.peer.upstream && log.writer.node == self.me.writer.node {
                    self.flow.returned.insert(*log);
                }
            }
        }
        if self.phase == Phase::Open {
            self.own_again();
        }
    }
}
