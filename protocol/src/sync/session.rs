//! The session itself: greeting, deadlines, and who handles which message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    control::ControlKey,
    id::Scope,
    limits,
    log::{LogHead, LogId},
    sync::{
        Closing, Effect, Input, Me, Met, Peer, Reads, Role, Settled, Violation, flow::Flow,
        proof::Proofs, snap::Snapping, vectors::Vectors,
    },
    time::Millis,
    wire::{Hello, Message, Welcome, codec},
};

/// One exchange with one peer, from the first message to the end of the connection.
#[derive(Debug)]
pub struct Session {
    pub(super) role: Role,
    pub(super) me: Me,
    pub(super) peer: Peer,
    /// Scopes this node may hold; what comes for another is refused unread.
    pub(super) mine: Reads,
    /// Scopes the peer may hold as well: only these are spoken of.
    pub(super) shared: BTreeSet<Scope>,
    pub(super) phase: Phase,
    pub(super) began: Millis,
    pub(super) heard: Millis,
    pub(super) now: Millis,
    /// Messages that came before their turn.
    pub(super) early: VecDeque<Message>,
    /// Bytes of all that ever came so.
    early_bytes: usize,
    effects: VecDeque<Effect>,
    /// By class: what must not wait goes first.
    sends: [VecDeque<Message>; CLASSES],
    pub(super) settlement: Option<Settled>,
    closing: Option<Closing>,
    pub(super) hello: Option<Hello>,
    /// What the peer said of itself in its first message.
    pub(super) met: Option<Met>,
    pub(super) vectors: Vectors,
    pub(super) their_controls: Vec<(ControlKey, u64)>,
    /// Control documents that went either way in this session.
    controls_seen: BTreeSet<[u8; 32]>,
    controls_asked: bool,
    controls_taking: usize,
    /// The peer reads packs.
    pub(super) packs: bool,
    /// The peer reads sketches.
    pub(super) sketches: bool,
    pub(super) flow: Flow,
    pub(super) snap: Snapping,
    /// Entries the caller must lack to be given documents first.
    pub(super) snap_from: u64,
    pub(super) proofs: Proofs,
    pub(super) report: Settled,
    pub(super) settled: bool,
    told: Option<Settled>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not connected yet.
    Fresh,
    /// Waits for the peer's first message.
    Greeting,
    /// Waits for the host's `Start`.
    Opening,
    /// Waits for the rest of the peer's vector.
    Hearing,
    /// Both vectors are known.
    Open,
    Closed,
}

/// Order of sending.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class {
    /// Greeting, control documents, refusals.
    First,
    Acknowledge,
    Results,
    Cases,
    Notices,
    Snapshots,
    /// Proofs and repair.
    Last,
}

const CLASSES: usize = 7;

impl Session {
    /// A session with a peer that has proved its key and stands in the roster. `mine` and
    /// `theirs` are the scopes the two nodes may read.
    pub fn new(role: Role, me: Me, peer: Peer, mine: impl Into<Reads>, theirs: &[Scope]) -> Self {
        let mine = mine.into();
        Self {
            role,
            me,
            peer,
            shared: theirs
                .iter()
                .filter(|s| mine.contains(s))
                .copied()
                .collect(),
            mine,
            phase: Phase::Fresh,
            began: Millis(0),
            heard: Millis(0),
            now: Millis(0),
            early: VecDeque::new(),
            early_bytes: 0,
            effects: VecDeque::new(),
            sends: Default::default(),
            settlement: None,
            closing: None,
            hello: None,
            met: None,
            vectors: Vectors::default(),
            their_controls: Vec::new(),
            controls_seen: BTreeSet::new(),
            controls_asked: false,
            controls_taking: 0,
            packs: false,
            sketches: false,
            flow: Flow::default(),
            snap: Snapping::default(),
            snap_from: limits::SNAP_ENTRIES_MIN,
            proofs: Proofs::default(),
            report: Settled::default(),
            settled: false,
            told: None,
        }
    }

    /// The handshake told that the peer reads packs: what it lacks by its own receipts need not
    /// wait for its first message.
    #[must_use]
    pub fn reads_packs(mut self) -> Self {
        self.packs = true;
        self
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The scopes both nodes may read: news of others does not concern this session.
    pub fn shared(&self) -> impl Iterator<Item = Scope> {
        self.shared.iter().copied()
    }

    /// Takes in what happened. `now` never goes back within a session.
    ///
    /// # Errors
    /// A rule the peer broke. The session is then over: poll it to the end and drop it.
    pub fn handle(&mut self, input: Input, now: Millis) -> Result<(), Violation> {
        self.now = self.now.max(now);
        if self.phase == Phase::Closed {
            return Err(Violation::Closed);
        }
        let outcome = self.take(input);
        if let Err(violation) = outcome {
            self.close(Closing::Violation(violation));
            return outcome;
        }
        self.go_on();
        Ok(())
    }

    /// The next thing to do, until there is none. After [`Effect::Close`] nothing follows.
    pub fn poll(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        for queue in &mut self.sends {
            if let Some(message) = queue.pop_front() {
                return Some(Effect::Send(message));
            }
        }
        // After the last message: who hears of the end may cut the line.
        // And told once: what changed nothing is no news, however often the peer sends it.
        let report = self.settlement.take();
        if let Some(report) = report.filter(|r| self.told.as_ref() != Some(r)) {
            self.told = Some(report.clone());
            return Some(Effect::Settled(report));
        }
        if self.settled
            && let Some(agree) = self.agreement()
        {
            return Some(agree);
        }
        if self.phase == Phase::Open && self.settled && self.report.again && self.calls() {
            self.close(Closing::Again);
        }
        self.closing.take().map(Effect::Close)
    }

    /// When to give [`Input::Tick`] if nothing else happens, and what is being waited for. `None`
    /// once both sides agree: whether the line still stands is then the transport's to know.
    pub fn deadline(&self) -> Option<(Millis, &'static str)> {
        match self.phase {
            Phase::Fresh | Phase::Closed => None,
            Phase::Greeting => Some((self.began.after(limits::HELLO_WAIT_MS), "hello")),
            Phase::Hearing => Some((self.heard.after(limits::IDLE_WAIT_MS), "vector")),
            Phase::Opening => Some((self.heard.after(limits::IDLE_WAIT_MS), "the own store")),
            Phase::Open if self.settled => None,
            Phase::Open => Some((self.heard.after(limits::IDLE_WAIT_MS), self.waits_for())),
        }
    }

    fn calls(&self) -> bool {
        self.role == Role::Caller
    }

    fn waits_for(&self) -> &'static str {
        if self.controls_asked || self.controls_taking > 0 {
            "control documents"
        } else if let Some(what) = self.flow.waits_for(&self.shared) {
            what
        } else {
            "proof"
        }
    }

    fn take(&mut self, input: Input) -> Result<(), Violation> {
        match input {
            Input::Connected => self.connected(),
            Input::Start(opening) => self.start(opening)?,
            Input::Busy(ms) => {
                self.send(Class::First, Message::Busy(ms));
                self.close(Closing::ToldBusy(ms));
            }
            Input::Message(message) => {
                self.heard = self.now;
                self.message(message)?;
            }
            Input::Batch(log, found) => self.read(log, found),
            Input::Packed(pack) => self.packed(pack),
            Input::Unpacked(unpacked) => self.unpacked(unpacked)?,
            Input::Whole(batch) => self.whole_read(batch),
            Input::Snap(part) => self.snap_read(part),
            Input::SnapTaken(part) => self.snap_taken(part),
            Input::Admitted(admission) => self.admitted(admission),
            Input::Signed(receipt) => self.signed(receipt),
            Input::Controls(documents) => self.give_controls(documents),
            Input::ControlTaken => {
                self.controls_taking = self.controls_taking.saturating_sub(1);
            }
            Input::Digests(proofs) => self.digests(proofs),
            Input::Heads(scope, heads) => self.own_heads(scope, heads),
            Input::Sketch(drawn) => self.own_sketch(drawn),
            Input::DocBatches(batches) => self.doc_batches(batches),
            Input::Committed(heads) => self.committed(&heads),
            Input::Receipts(receipts) => self.carry_receipts(receipts),
            Input::Rejections(rejections) => self.carry_rejections(rejections),
            Input::Seen(sightings) => self.pass_on(sightings),
            Input::ControlsChanged => self.controls_changed(),
            Input::Scopes { mine, peer } => self.scopes(&mine, &peer),
            Input::Ask(question) => self.asked(question),
            Input::Tick => self.tick(),
            Input::Stop => self.close(Closing::Stopped),
        }
        Ok(())
    }

    /// Does whatever the state now allows.
    fn go_on(&mut self) {
        if self.phase == Phase::Greeting && self.flow.eager > 0 {
            self.read_next();
        }
        if self.phase != Phase::Open {
            return;
        }
        self.serve_more();
        if !self.controls_asked && self.snap.is_giving() {
            self.snap_next();
        } else if !self.controls_asked && self.sends[Class::Snapshots as usize].is_empty() {
            // What leaves out the changes of documents goes after them.
            self.read_next();
        }
        self.sign_ready();
        let controls = self.controls_asked || self.controls_taking > 0;
        let quiet = !controls && self.flow.waits_for(&self.shared).is_none();
        let settled = quiet && self.prove();
        if !quiet && !controls && self.flow.said_and_heard(&self.shared) {
            // What is under way makes both equal: the proof need not wait for its receipt.
            self.tell_proofs();
        }
        if settled && !self.settled {
            self.settlement = Some(self.summary());
        }
        if self.settled && !settled {
            // The line may have been quiet for hours: the wait begins now.
            self.heard = self.now;
        }
        self.settled = settled;
    }

    pub(super) fn message(&mut self, message: Message) -> Result<(), Violation> {
        match (self.phase, message) {
            (Phase::Greeting, Message::Hello(hello)) if self.role == Role::Callee => {
                self.hello(hello)
            }
            (Phase::Greeting, Message::Welcome(welcome)) if self.role == Role::Caller => {
                self.welcome(welcome)
            }
            (_, Message::Upgrade(version)) => {
                self.close(Closing::Version(version));
                Ok(())
            }
            (_, Message::Busy(ms)) if self.role == Role::Caller => {
                self.close(Closing::Busy(ms));
                Ok(())
            }
            (_, Message::Busy(_)) => Err(Violation::Unexpected("BUSY")),
            (Phase::Open, message) => self.open_message(message),
            (Phase::Closed, _) => Err(Violation::Closed),
            (Phase::Opening | Phase::Hearing | Phase::Greeting, Message::Vector(part)) => {
                self.vector_part(part)
            }
            (Phase::Fresh | Phase::Greeting | Phase::Opening | Phase::Hearing, message) => {
                self.keep(message)
            }
        }
    }

    /// Keeps a message until both vectors are known.
    fn keep(&mut self, message: Message) -> Result<(), Violation> {
        self.early_bytes += codec::encode(&message).len();
        if self.early.len() >= limits::EARLY_MESSAGES_MAX
            || self.early_bytes > limits::EARLY_BYTES_MAX
        {
            return Err(Violation::Early);
        }
        self.early.push_back(message);
        Ok(())
    }

    fn open_message(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Hello(Hello { boot, .. }) | Message::Welcome(Welcome { boot, .. }) => {
                // The same greeting twice does no harm; another one is another session.
                if self.met.as_ref().is_some_and(|met| met.boot == boot) {
                    Ok(())
                } else {
                    Err(Violation::Unexpected("a second greeting"))
                }
            }
            // Told twice.
            Message::Vector(_) => Ok(()),
            Message::Push(batch) => self.pushed(batch),
            Message::Pack(pack) => self.pack_came(pack),
            Message::Whole(whole) => {
                self.whole_wanted(whole);
                Ok(())
            }
            Message::Ack(receipts) => {
                self.acknowledged(receipts);
                Ok(())
            }
            Message::Nack(rejections) => {
                self.refused(rejections);
                Ok(())
            }
            Message::Proof(proofs) => {
                self.their_proofs(&proofs);
                Ok(())
            }
            Message::Heads(heads) => self.their_heads(heads),
            Message::Sketch(sketch) => self.their_sketch(&sketch),
            Message::Snap(snap) => self.snap_came(snap),
            Message::Want(want) => {
                self.wanted(want);
                Ok(())
            }
            Message::Fork(fork) => {
                self.told_of_fork(fork);
                Ok(())
            }
            Message::Ctrl(bytes) => {
                self.take_control(bytes);
                Ok(())
            }
            Message::Seen(sightings) => {
                // What an upstream says of others is not asked for.
                if !self.peer.upstream && !sightings.is_empty() {
                    self.effect(Effect::Seen(sightings));
                }
                Ok(())
            }
            Message::Busy(_) | Message::Upgrade(_) => Err(Violation::Unexpected("BUSY")),
        }
    }

    pub(super) fn ask_controls(&mut self) {
        if !self.controls_asked {
            self.controls_asked = true;
            let have = self.their_controls.clone();
            self.effect(Effect::GiveControls { have });
        }
    }

    fn controls_changed(&mut self) {
        self.vectors.versions = 0;
        if self.phase == Phase::Open {
            self.ask_controls();
        }
    }

    fn give_controls(&mut self, documents: Vec<Vec<u8>>) {
        self.controls_asked = false;
        for bytes in documents {
            if self.controls_seen.insert(*blake3::hash(&bytes).as_bytes()) {
                self.vectors.versions = 0;
                self.send(Class::First, Message::Ctrl(bytes));
            }
        }
    }

    fn take_control(&mut self, bytes: Vec<u8>) {
        if self.controls_seen.insert(*blake3::hash(&bytes).as_bytes()) {
            self.vectors.versions = 0;
            self.controls_taking += 1;
            self.effect(Effect::TakeControl(bytes));
        }
    }

    fn scopes(&mut self, mine: &Reads, peer: &[Scope]) {
        self.mine.narrow(mine);
        let both = peer.iter().filter(|scope| mine.contains(scope));
        let now: BTreeSet<Scope> = both.copied().collect();
        if !now.is_subset(&self.shared) {
            self.report.again = true;
        }
        self.shared.retain(|scope| now.contains(scope));
        self.flow.narrow(&self.shared);
        self.proofs.narrow(&self.shared);
    }

    fn tick(&mut self) {
        if let Some((at, what)) = self.deadline()
            && self.now >= at
        {
            self.close(Closing::Silent(what));
        }
    }

    pub(super) fn close(&mut self, why: Closing) {
        self.phase = Phase::Closed;
        self.effects.clear();
        self.settlement = None;
        if matches!(why, Closing::Violation(_)) {
            self.sends.iter_mut().for_each(VecDeque::clear);
        }
        self.closing = Some(why);
    }

    pub(super) fn shared_part<V>(&self, vector: V) -> BTreeMap<LogId, LogHead>
    where
        V: IntoIterator<Item = (LogId, LogHead)>,
    {
        let heads = vector.into_iter();
        heads
            .filter(|(log, head)| self.shared.contains(&log.scope) && head.seq > 0)
            .collect()
    }

    /// Whether this side's first message was sent.
    pub(super) fn has_greeted(&self) -> bool {
        match self.phase {
            Phase::Open | Phase::Hearing => true,
            Phase::Greeting => self.role == Role::Caller,
            Phase::Fresh | Phase::Opening | Phase::Closed => false,
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn send(&mut self, class: Class, message: Message) {
        self.sends[class as usize].push_back(message);
    }
}
