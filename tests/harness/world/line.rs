//! A line between two machines, and the calls over it.

use std::collections::VecDeque;

use cuntong_node::store::Linked;
use cuntong_protocol::{
    policy,
    sync::{
        Effect, Input, Me, Peer, Role, Session,
        host::{Performed, perform},
    },
    wire::{
        codec,
        frame::Deflater,
        window::{self, DICTIONARIES},
    },
};

use super::World;
use crate::county;

/// The two ends of a call.
pub(super) const CALLER: usize = 0;
pub(super) const CALLEE: usize = 1;

/// A line that can be unplugged.
#[derive(Debug)]
pub struct Line {
    pub caller: usize,
    pub callee: usize,
    pub plugged: bool,
    /// Counts what a call would cost on a stream, when somebody asks.
    pub meter: Option<Meter>,
    call: Option<[End; 2]>,
}

/// Bytes of frames in one compression window per direction, as a link sends them.
#[derive(Debug)]
pub struct Meter {
    windows: [Deflater; 2],
    /// To the caller, to the callee.
    pub bytes: [u64; 2],
    pub messages: [u64; 2],
}

impl Default for Meter {
    fn default() -> Self {
        let mut windows = [Deflater::default(), Deflater::default()];
        for window in &mut windows {
            window.prime(&DICTIONARIES[0]).expect("it is a dictionary");
        }
        Self {
            windows,
            bytes: [0; 2],
            messages: [0; 2],
        }
    }
}

impl Meter {
    fn count(&mut self, to: usize, message: &[u8]) {
        let frame = window::frame(&mut self.windows[to], message).expect("a message fits a frame");
        self.bytes[to] += frame.len() as u64;
        self.messages[to] += 1;
    }
}

/// One end of a call: its session, and the messages on their way to it.
#[derive(Debug)]
struct End {
    session: Session,
    coming: VecDeque<Vec<u8>>,
    closed: bool,
}

/// What the network does to the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    None,
    /// It comes twice.
    Twice,
    /// The one behind it comes first.
    Overtaken,
}

impl Line {
    pub(super) const fn new(caller: usize, callee: usize) -> Self {
        Self {
            caller,
            callee,
            plugged: false,
            meter: None,
            call: None,
        }
    }

    pub(super) const fn joins(&self, at: usize) -> bool {
        self.caller == at || self.callee == at
    }

    pub(super) fn drop_call(&mut self) {
        self.call = None;
    }

    /// Whether a call stands.
    pub const fn connected(&self) -> bool {
        self.call.is_some()
    }

    /// Messages on the way to an end.
    pub fn coming(&self, end: usize) -> usize {
        self.call.as_ref().map_or(0, |c| c[end].coming.len())
    }

    /// Messages on the way to an end, the next one first.
    pub fn on_the_way(&self, end: usize) -> impl Iterator<Item = &[u8]> {
        let call = self.call.iter();
        call.flat_map(move |ends| ends[end].coming.iter().map(Vec::as_slice))
    }

    /// Puts other messages in the place of those on the way to an end.
    pub fn replay(&mut self, end: usize, messages: Vec<Vec<u8>>) {
        if let Some(call) = &mut self.call {
            call[end].coming = messages.into();
        }
    }

    const fn machine(&self, end: usize) -> usize {
        if end == CALLER {
            self.caller
        } else {
            self.callee
        }
    }
}

impl World {
    /// Unplugs a line: the call ends, what is on the way is lost.
    pub fn cut(&mut self, line: usize) {
        self.lines[line].plugged = false;
        self.lines[line].drop_call();
    }

    /// Calls over a plugged line when both machines are on, and no other machine of the same
    /// node is connected there (the link layer's rule against clones).
    pub fn call(&mut self, line: usize) -> bool {
        let (caller, callee) = (self.lines[line].caller, self.lines[line].callee);
        let on = |at: usize| self.machines[at].db.is_some();
        if !self.lines[line].plugged || self.lines[line].connected() || !on(caller) || !on(callee) {
            return false;
        }
        let node = self.machines[caller].node;
        let twin =
            |l: &Line| l.connected() && l.caller != caller && self.machines[l.caller].node == node;
        if self.lines.iter().any(twin) {
            return false;
        }
        let ends = [
            self.end(Role::Caller, caller, callee),
            self.end(Role::Callee, callee, caller),
        ];
        self.lines[line].call = Some(ends);
        for end in [CALLER, CALLEE] {
            self.tell(line, end, Input::Connected);
        }
        true
    }

    fn end(&mut self, role: Role, me: usize, peer: usize) -> End {
        let places = county::county().trust().places();
        let (mine, theirs) = (self.machines[me].site, self.machines[peer].site);
        let node = self.machines[peer].node;
        let boot = self.machines[me].boot;
        let writer = self.db(me).identity().expect("it is enrolled").writer;
        let me = Me {
            writer,
            boot,
            product: "test".into(),
        };
        let level = places.site(theirs).expect("a known site").level;
        let peer = Peer {
            node,
            site: theirs,
            level,
            upstream: role == Role::Caller,
        };
        let session = Session::new(
            role,
            me,
            peer,
            policy::scopes_read_by(places, mine),
            &policy::scopes_read_by(places, theirs),
        )
        // The histories are short: documents come first for nearly everybody who is new.
        .reads_packs()
        .snapshots_from(4);
        End {
            session,
            coming: VecDeque::new(),
            closed: false,
        }
    }

    /// Delivers the next message to an end, perhaps with a trick; false when none is coming.
    pub fn deliver(&mut self, line: usize, end: usize, trick: Trick) -> bool {
        let Some(call) = &mut self.lines[line].call else {
            return false;
        };
        let coming = &mut call[end].coming;
        if trick == Trick::Overtaken && coming.len() > 1 {
            coming.swap(0, 1);
        }
        let Some(bytes) = coming.pop_front() else {
            return false;
        };
        if trick == Trick::Twice {
            coming.push_front(bytes.clone());
        }
        let message = codec::decode(&bytes).expect("what a session sends decodes");
        self.tell(line, end, Input::Message(message));
        true
    }

    /// Gives an input to one session and does whatever follows from it, here and in the other
    /// sessions of the same machine.
    pub fn tell(&mut self, line: usize, end: usize, input: Input) {
        let mut waiting = VecDeque::from([(line, end, input)]);
        while let Some((line, end, input)) = waiting.pop_front() {
            let at = self.lines[line].machine(end);
            let now = self.clock(at);
            let Some(call) = &mut self.lines[line].call else {
                continue;
            };
            if call[end].closed {
                continue;
            }
            // A violation closes the session; the effects below say so.
            let _closing = call[end].session.handle(input, now);
            for news in self.drain(line, end) {
                for other in 0..self.lines.len() {
                    for side in [CALLER, CALLEE] {
                        if self.lines[other].machine(side) == at && (other, side) != (line, end) {
                            waiting.push_back((other, side, news.clone()));
                        }
                    }
                }
            }
            self.end_when_closed(line);
        }
    }

    /// Does a session's effects until it has none; returns the news for others.
    fn drain(&mut self, line: usize, end: usize) -> Vec<Input> {
        let mut news = Vec::new();
        let at = self.lines[line].machine(end);
        let peer = self.peer(line, end);
        loop {
            let now = self.clock(at);
            let Some(call) = &mut self.lines[line].call else {
                return news;
            };
            match call[end].session.poll() {
                None => return news,
                Some(Effect::Send(message)) => {
                    let bytes = codec::encode(&message);
                    call[1 - end].coming.push_back(bytes.clone());
                    if let Some(meter) = &mut self.lines[line].meter {
                        meter.count(1 - end, &bytes);
                    }
                }
                Some(Effect::Close(why)) => {
                    call[end].closed = true;
                    self.note(format_args!("line {line} end {end} closed: {why}"));
                }
                Some(effect) => {
                    let done = self.with(at, |db, now| {
                        perform(effect, &peer, &mut Linked::new(db, now))
                    });
                    let Some(Performed {
                        answers,
                        news: more,
                    }) = done
                    else {
                        return news;
                    };
                    news.extend(more);
                    for answer in answers {
                        let Some(call) = &mut self.lines[line].call else {
                            return news;
                        };
                        let _closing = call[end].session.handle(answer, now);
                    }
                }
            }
        }
    }

    fn peer(&self, line: usize, end: usize) -> Peer {
        let other = self.lines[line].machine(1 - end);
        let site = self.machines[other].site;
        let places = county::county().trust().places();
        Peer {
            node: self.machines[other].node,
            site,
            level: places.site(site).expect("a known site").level,
            upstream: end == CALLER,
        }
    }

    /// A call one end of which is closed ends once the other has heard everything.
    fn end_when_closed(&mut self, line: usize) {
        let over = self.lines[line].call.as_ref().is_some_and(|call| {
            (call[CALLER].closed && call[CALLEE].coming.is_empty())
                || (call[CALLEE].closed && call[CALLER].coming.is_empty())
        });
        if over {
            self.lines[line].drop_call();
        }
    }

    /// Tells every session of a machine what became durable there.
    pub fn announce(&mut self, at: usize) {
        let Some(db) = self.machines[at].db.as_mut() else {
            return;
        };
        let heads = db.take_news();
        if heads.is_empty() {
            return;
        }
        for line in 0..self.lines.len() {
            for end in [CALLER, CALLEE] {
                if self.lines[line].machine(end) == at && self.lines[line].connected() {
                    self.tell(line, end, Input::Committed(heads.clone()));
                }
            }
        }
    }

    /// Lets sessions that reached their deadline notice it.
    pub fn tick(&mut self) {
        for line in 0..self.lines.len() {
            for end in [CALLER, CALLEE] {
                let now = self.clock(self.lines[line].machine(end));
                let due = self.lines[line].call.as_ref().is_some_and(|call| {
                    call[end]
                        .session
                        .deadline()
                        .is_some_and(|(at, _why)| at <= now)
                });
                if due {
                    self.tell(line, end, Input::Tick);
                }
            }
        }
    }
}
