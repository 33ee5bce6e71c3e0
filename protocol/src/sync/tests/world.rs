//! Nodes in memory and the lines between them, driven by the driver that real links use.

use std::collections::VecDeque;

use super::node::Node;
use crate::{
    control::fixture,
    id::{Kind, Scope},
    limits,
    sync::{
        Closing, Effect, Input, Me, Peer, Role, Session,
        host::{Performed, perform},
    },
    time::Millis,
    wire::{Message, codec},
};

/// Chance that replays.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n as u64)).unwrap()
    }
}

/// A line between two nodes, by their places in [`World::nodes`].
#[derive(Debug)]
pub(super) struct Line {
    pub(super) ends: [usize; 2],
    pub(super) sessions: [Session; 2],
    /// Messages on their way to each end.
    queues: [VecDeque<Vec<u8>>; 2],
    pub(super) closed: Vec<Closing>,
    pub(super) messages: usize,
    /// The number of each message, in the order they were sent.
    pub(super) numbers: Vec<u8>,
    /// Both ends take the other for a node of that minor version.
    pub(super) minor: Option<u16>,
    pub(super) bytes: usize,
}

/// A few nodes, the lines between them, and time.
#[derive(Debug)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) lines: Vec<Line>,
    pub(super) now: Millis,
}

pub(super) const HUB: usize = 0;
pub(super) const TOWN: usize = 1;
pub(super) const SHIQIAO: usize = 2;
pub(super) const QINGXI: usize = 3;

impl World {
    pub(super) fn new() -> Self {
        let trust = fixture::county().trust;
        let sites = [
            fixture::HUB,
            fixture::BEIXIANG,
            fixture::SHIQIAO,
            fixture::QINGXI,
        ];
        Self {
            nodes: sites.iter().map(|s| Node::new(*s, &trust)).collect(),
            lines: Vec::new(),
            now: Millis(1),
        }
    }

    pub(super) fn scope(&self, node: usize, kind: Kind) -> Scope {
        Scope {
            kind,
            site: self.nodes[node].site,
        }
    }

    /// `caller` opens a line to `callee`, which stands above it.
    pub(super) fn connect(&mut self, caller: usize, callee: usize) -> usize {
        let session = |role, me: &Node, other: &Node, upstream| {
            let mine = Me {
                writer: me.writer,
                boot: [me.writer.epoch.to_be_bytes()[3]; 8],
                product: "试".into(),
            };
            let peer = Peer {
                node: other.writer.node,
                site: other.site,
                level: other.level(),
                upstream,
            };
            // As where the handshake agreed on a dictionary.
            Session::new(role, mine, peer, me.reads(me.site), &me.reads(other.site)).reads_packs()
        };
        let (a, b) = (&self.nodes[caller], &self.nodes[callee]);
        let sessions = [
            session(Role::Caller, a, b, true),
            session(Role::Callee, b, a, false),
        ];
        self.lines.push(Line {
            ends: [caller, callee],
            sessions,
            queues: Default::default(),
            closed: Vec::new(),
            messages: 0,
            numbers: Vec::new(),
            minor: None,
            bytes: 0,
        });
        let line = self.lines.len() - 1;
        for end in [1, 0] {
            self.give(line, end, Input::Connected);
        }
        line
    }

    pub(super) fn cut(&mut self, line: usize) {
        self.lines.remove(line);
    }

    /// Gives an input to one end of a line, and does what follows from it at that node.
    pub(super) fn give(&mut self, line: usize, end: usize, input: Input) {
        let mut work = VecDeque::from([(line, end, input)]);
        while let Some((line, end, input)) = work.pop_front() {
            let _kept = self.lines[line].sessions[end].handle(input, self.now);
            while let Some(effect) = self.lines[line].sessions[end].poll() {
                let Performed { answers, news } = self.perform(line, end, effect);
                work.extend(answers.into_iter().map(|i| (line, end, i)));
                let node = self.lines[line].ends[end];
                for (other, o) in self.lines.iter().enumerate() {
                    for (e, n) in o.ends.iter().enumerate() {
                        if *n == node && (other, e) != (line, end) {
                            work.extend(news.iter().cloned().map(|i| (other, e, i)));
                        }
                    }
                }
            }
        }
    }

    fn perform(&mut self, at: usize, end: usize, effect: Effect) -> Performed {
        let line = &mut self.lines[at];
        if let Effect::Send(message) = &effect {
            let bytes = codec::encode(message);
            assert!(bytes.len() <= limits::MESSAGE_BYTES_MAX);
            line.messages += 1;
            line.numbers.push(bytes[1]);
            line.bytes += bytes.len();
            line.queues[1 - end].push_back(bytes);
        }
        if let Effect::Close(why) = &effect {
            line.closed.push(why.clone());
        }
        let peer = line.sessions[end].peer().clone();
        let node = &mut self.nodes[line.ends[end]];
        node.now = self.now;
        perform(effect, &peer, node).unwrap()
    }

    /// A person's work at a node, told to its lines.
    pub(super) fn write(&mut self, node: usize, scope: Scope, doc: u8, count: u8) {
        let heads = self.nodes[node].write(scope, doc, count);
        self.tell(node, &Input::Committed(heads));
    }

    pub(super) fn tell(&mut self, node: usize, input: &Input) {
        for line in 0..self.lines.len() {
            for end in 0..2 {
                if self.lines[line].ends[end] == node {
                    self.give(line, end, input.clone());
                }
            }
        }
    }

    /// Delivers one message; `twice` leaves it in the line, `skip` takes a later one first.
    pub(super) fn deliver(&mut self, line: usize, end: usize, skip: usize, twice: bool) -> bool {
        self.now = self.now.after(1);
        let queue = &mut self.lines[line].queues[end];
        let at = skip.min(queue.len().saturating_sub(1));
        let Some(bytes) = queue.remove(at) else {
            return false;
        };
        if twice {
            queue.push_back(bytes.clone());
        }
        let mut message = codec::decode(&bytes).unwrap();
        if let Some(minor) = self.lines[line].minor {
            age(&mut message, minor);
        }
        self.give(line, end, Input::Message(message));
        true
    }

    /// Half a round trip: both ends hear what was on its way.
    pub(super) fn half(&mut self, line: usize) -> bool {
        let on_way = [0, 1].map(|end| self.lines[line].queues[end].len());
        for (end, count) in on_way.into_iter().enumerate() {
            for _message in 0..count {
                self.deliver(line, end, 0, false);
            }
        }
        on_way != [0, 0]
    }

    /// Delivers everything, in order, until all lines are silent.
    pub(super) fn run(&mut self) {
        for _turn in 0..100_000 {
            let mut moved = false;
            for line in 0..self.lines.len() {
                moved |= self.deliver(line, 0, 0, false);
                moved |= self.deliver(line, 1, 0, false);
            }
            if !moved {
                return;
            }
        }
        panic!("the lines never fall silent");
    }

    pub(super) fn waiting(&self, line: usize, end: usize) -> Vec<Message> {
        let queue = self.lines[line].queues[end].iter();
        queue.map(|b| codec::decode(b).unwrap()).collect()
    }

    /// Equal vectors mean equal digests, between any two nodes, scope by scope.
    pub(super) fn check(&self) {
        for a in &self.nodes {
            for b in &self.nodes {
                let theirs = b.reads(b.site);
                for scope in a.reads(a.site).iter().filter(|s| theirs.contains(s)) {
                    let (p, q) = (a.proof(*scope), b.proof(*scope));
                    if p.vector == q.vector {
                        assert_eq!(p, q, "{} and {} in {scope}", a.site, b.site);
                    }
                }
            }
        }
    }
}

/// A greeting as a node of an older version says it.
fn age(message: &mut Message, minor: u16) {
    if let Message::Hello(hello) = message {
        hello.version.minor = minor;
    } else if let Message::Welcome(welcome) = message {
        welcome.version.minor = minor;
    }
}
