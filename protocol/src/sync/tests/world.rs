//! Nodes in memory and the lines between them, driven by the driver that real links use.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::SigningKey;

use crate::{
    control::{ControlKey, Trust, fixture},
    gate::{self, BatchError, Ground},
    id::{CaseId, ChangeHash, DocId, Kind, NodeId, Scope, SiteId, Writer},
    limits,
    log::{Batch, Entry, LogHead, LogId, Receipt, Rejection, Seal},
    role::Level,
    sync::{
        Admission, Closing, Effect, Found, Input, Me, Met, Opening, Peer, Role, Session, Settled,
        host::{Performed, Rejected, Replica, perform},
    },
    time::Millis,
    wire::{self, Fork, Message, ScopeProof, codec, vector_hash},
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

/// A log as a node stores it.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) seals: BTreeMap<u64, Seal>,
}

impl Log {
    fn head_at(&self, seq: u64) -> Option<LogHead> {
        let seq = usize::try_from(seq).ok()?;
        let upto = self.entries.get(..seq)?;
        let heads = upto.iter();
        Some(heads.fold(LogHead::START, |h, e| h.after(e.doc, e.hash)))
    }

    pub(super) fn head(&self) -> LogHead {
        self.head_at(self.entries.len() as u64).unwrap()
    }

    fn batch(&self, log: LogId, after: u64, upto: u64) -> Option<Batch> {
        let (_, seal) = self.seals.range(after + 1..=upto).next()?;
        let (from, to) = (
            usize::try_from(after).unwrap(),
            usize::try_from(seal.head.seq).unwrap(),
        );
        Some(Batch {
            log,
            first: after + 1,
            entries: self.entries[from..to].to_vec(),
            seal: seal.clone(),
        })
    }
}

/// One node's store. Documents are sets of hashes: what they hold is the gate's matter, not the
/// session's.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) site: SiteId,
    pub(super) writer: Writer,
    key: SigningKey,
    trust: Trust,
    pub(super) logs: BTreeMap<LogId, Log>,
    pub(super) docs: BTreeMap<DocId, BTreeSet<ChangeHash>>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) settled: Vec<Settled>,
    pub(super) met: Vec<Met>,
    /// Changes this node's gate refuses.
    pub(super) poison: BTreeSet<ChangeHash>,
    pub(super) controls: BTreeMap<u64, Vec<u8>>,
    pub(super) forks: usize,
    written: u8,
    now: Millis,
}

impl Node {
    pub(super) fn new(site: SiteId, trust: &Trust) -> Self {
        Self {
            site,
            writer: Writer {
                node: fixture::node(site).node,
                epoch: 1,
            },
            key: fixture::node_key(site),
            trust: trust.clone(),
            logs: BTreeMap::new(),
            docs: BTreeMap::new(),
            receipts: Vec::new(),
            rejections: Vec::new(),
            settled: Vec::new(),
            met: Vec::new(),
            poison: BTreeSet::new(),
            controls: BTreeMap::new(),
            forks: 0,
            written: 0,
            now: Millis(1),
        }
    }

    fn level(&self) -> Level {
        self.trust.places().site(self.site).unwrap().level
    }

    /// Scopes a site may read.
    pub(super) fn reads(&self, site: SiteId) -> Vec<Scope> {
        let places = self.trust.places();
        let all = places.sites.iter().map(|p| p.site);
        let pairs = all.flat_map(|site| Kind::ALL.map(|kind| Scope { kind, site }));
        pairs
            .filter(|s| {
                places.covers(site, s.site)
                    || (s.kind == Kind::Notice && places.covers(s.site, site))
            })
            .collect()
    }

    /// One local transaction: `count` entries under one seal.
    pub(super) fn write(&mut self, scope: Scope, doc: u8, count: u8) -> Vec<(LogId, LogHead)> {
        let log = LogId {
            scope,
            writer: self.writer,
        };
        let doc = CaseId::new(scope.site, [doc; 11]).doc(scope.kind);
        for n in 0..count {
            self.written += 1;
            let body = vec![self.written, n, self.writer.epoch.to_be_bytes()[3]].repeat(30);
            let hash =
                ChangeHash(*blake3::hash(&[&body[..], &log.writer.node.0].concat()).as_bytes());
            self.append(
                log,
                Entry {
                    doc,
                    hash,
                    body: Some(body),
                },
            );
        }
        self.seal(log)
    }

    fn append(&mut self, log: LogId, entry: Entry) {
        self.docs.entry(entry.doc).or_default().insert(entry.hash);
        self.logs.entry(log).or_default().entries.push(entry);
    }

    fn seal(&mut self, log: LogId) -> Vec<(LogId, LogHead)> {
        let head = self.logs[&log].head();
        let seal = Seal::sign(&log, head, self.now, &self.key);
        self.logs
            .get_mut(&log)
            .unwrap()
            .seals
            .insert(head.seq, seal);
        vec![(log, head)]
    }

    pub(super) fn vector(&self) -> Vec<(LogId, LogHead)> {
        self.logs
            .iter()
            .map(|(id, log)| (*id, log.head()))
            .collect()
    }

    pub(super) fn proof(&self, scope: Scope) -> ScopeProof {
        let part: Vec<_> = self
            .vector()
            .into_iter()
            .filter(|(l, _)| l.scope == scope)
            .collect();
        let docs = self.heads_of(scope);
        ScopeProof {
            scope,
            vector: vector_hash(&part),
            digest: docs.iter().fold(0, |sum, (doc, heads)| {
                wire::digest(*doc, heads).wrapping_add(sum)
            }),
            documents: docs.len() as u64,
        }
    }

    fn heads_of(&self, scope: Scope) -> Vec<(DocId, Vec<ChangeHash>)> {
        let docs = self
            .docs
            .iter()
            .filter(|(doc, _)| doc.scope() == Some(scope));
        docs.map(|(doc, heads)| (*doc, heads.iter().copied().collect()))
            .collect()
    }

    /// Position up to which a holder's receipts cover a log here.
    pub(super) fn covered(&self, log: LogId, holder: NodeId) -> u64 {
        let of = self.receipts.iter().filter(|r| r.holder == holder);
        // A receipt for another branch of the log is none for this one.
        let mine = |head: &LogHead| self.logs.get(&log)?.head_at(head.seq).filter(|h| h == head);
        let heads = of.flat_map(|r| &r.held).filter(|(l, _)| *l == log);
        heads
            .filter_map(|(_, head)| mine(head))
            .map(|head| head.seq)
            .max()
            .unwrap_or(0)
    }

    fn remove(&mut self, entry: &Entry) {
        if let Some(doc) = self.docs.get_mut(&entry.doc) {
            doc.remove(&entry.hash);
        }
    }

    /// Begins a new epoch; entries of `log` past what `by` has signed for are written again.
    fn begin_epoch(&mut self, log: LogId, by: NodeId) -> Vec<(LogId, LogHead)> {
        self.forks += 1;
        let upto = self.covered(log, by);
        let mine = self.logs.entry(log).or_default();
        let taken = mine.entries.split_off(usize::try_from(upto).unwrap());
        mine.seals.retain(|seq, _| *seq <= upto);
        taken.iter().for_each(|e| self.remove(e));
        self.writer.epoch += 1;
        let fresh = LogId {
            writer: self.writer,
            ..log
        };
        for mut entry in taken {
            let body = entry.body.take().unwrap_or_default();
            entry.hash = ChangeHash(*blake3::hash(&[&body[..], b"again"].concat()).as_bytes());
            entry.body = Some(body);
            self.append(fresh, entry);
        }
        if self.logs.contains_key(&fresh) {
            self.seal(fresh)
        } else {
            Vec::new()
        }
    }
}

impl Replica for Node {
    type Error = String;

    fn open(&mut self, peer: &Peer, lacking: &[LogId]) -> Result<Opening, String> {
        let mine = self.vector();
        let receipts: Vec<_> = self
            .receipts
            .iter()
            .filter(|r| r.held.iter().any(|(l, _)| lacking.contains(l)))
            .cloned()
            .collect();
        let county = fixture::node(fixture::HUB).node;
        let lacks = |(log, head): &&(LogId, LogHead)| {
            [peer.node, county]
                .iter()
                .any(|holder| self.covered(*log, *holder) < head.seq)
        };
        Ok(Opening {
            lacking: if peer.upstream {
                mine.iter().filter(lacks).map(|(l, _)| *l).collect()
            } else {
                Vec::new()
            },
            controls: self.controls.keys().map(|v| (control_key(), *v)).collect(),
            rejections: if peer.upstream {
                Vec::new()
            } else {
                self.rejections.clone()
            },
            waiting: (mine.len() as u64, 0),
            vector: mine,
            receipts,
        })
    }

    fn met(&mut self, _: &Peer, met: &Met) -> Result<(), String> {
        self.met.push(met.clone());
        Ok(())
    }

    fn read(&mut self, log: LogId, after: LogHead) -> Result<Found, String> {
        let Some(mine) = self.logs.get(&log) else {
            return Ok(Found::Nothing);
        };
        match mine.head_at(after.seq) {
            Some(here) if here != after => {
                let seal = mine.seals.values().next_back().cloned();
                Ok(Found::Forked(mine.head(), seal))
            }
            Some(_) | None => Ok(mine
                .batch(log, after.seq, u64::MAX)
                .map_or(Found::Nothing, Found::Batch)),
        }
    }

    fn admit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission, String> {
        let log = batch.log;
        let held = self.logs.get(&log).map_or(LogHead::START, Log::head);
        let ground = Ground {
            trust: &self.trust,
            now: self.now,
            upstream: peer.upstream,
        };
        let mut admission = Admission {
            log,
            head: held,
            rejections: Vec::new(),
            fork: None,
        };
        let fresh = match gate::batch(&batch, held, &ground) {
            Ok(fresh) => fresh,
            Err(BatchError::Gap) => return Err("a gap reached the store".into()),
            Err(BatchError::Fork) => {
                let seal = self
                    .logs
                    .get(&log)
                    .and_then(|l| l.seals.values().next_back().cloned());
                let by = self.writer.node;
                admission.fork = Some(Fork {
                    log,
                    held,
                    by,
                    seal,
                });
                return Ok(admission);
            }
            Err(BatchError::Refused(rule)) => {
                let by = self.writer.node;
                let whole = Rejection::whole(log, batch.first, rule.code(), rule.zh(), by);
                admission.rejections.push(whole);
                return Ok(admission);
            }
        };
        for (n, mut entry) in fresh.entries.into_iter().enumerate() {
            let refused = self.poison.contains(&entry.hash) || entry.body.is_none();
            if refused && entry.body.is_some() {
                admission.rejections.push(Rejection {
                    log,
                    seq: fresh.first + n as u64,
                    doc: entry.doc,
                    hash: entry.hash,
                    rule: "G402".into(),
                    reason: "样例".into(),
                    by: self.writer.node,
                });
            }
            if refused {
                entry.body = None;
                self.logs.entry(log).or_default().entries.push(entry);
            } else {
                self.append(log, entry);
            }
        }
        let mine = self.logs.entry(log).or_default();
        mine.seals.insert(batch.seal.head.seq, batch.seal);
        admission.head = mine.head();
        Ok(admission)
    }

    fn readmit(&mut self, _: &Peer, batch: Batch) -> Result<Admission, String> {
        for entry in &batch.entries {
            let known = self.logs[&batch.log]
                .entries
                .iter()
                .any(|e| e.hash == entry.hash);
            assert!(known, "only what the log names");
            if entry.body.is_some() {
                self.docs.entry(entry.doc).or_default().insert(entry.hash);
            }
        }
        Ok(Admission {
            log: batch.log,
            head: self.logs[&batch.log].head(),
            rejections: Vec::new(),
            fork: None,
        })
    }

    fn sign(&mut self, held: Vec<(LogId, LogHead)>) -> Result<Receipt, String> {
        Ok(Receipt::sign(self.writer.node, self.now, held, &self.key))
    }

    fn take_control(&mut self, _: &Peer, bytes: &[u8]) -> Result<bool, String> {
        let version = u64::from(bytes[0]);
        Ok(self.controls.insert(version, bytes.to_vec()).is_none())
    }

    fn give_controls(
        &mut self,
        _: &Peer,
        have: &[(ControlKey, u64)],
    ) -> Result<Vec<Vec<u8>>, String> {
        let newest = have.iter().map(|(_, v)| *v).max().unwrap_or(0);
        Ok(self
            .controls
            .range(newest + 1..)
            .map(|(_, b)| b.clone())
            .collect())
    }

    fn keep(&mut self, _: &Peer, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, String> {
        let mut new = Vec::new();
        for receipt in receipts {
            let holder = self.trust.roster().node(receipt.holder).unwrap();
            assert!(receipt.verify(&holder.sign_key));
            if !self.receipts.contains(&receipt) {
                self.receipts.push(receipt.clone());
                new.push(receipt);
            }
        }
        Ok(new)
    }

    fn reject(&mut self, peer: &Peer, rejections: Vec<Rejection>) -> Result<Rejected, String> {
        let mut done = Rejected::default();
        for rejection in rejections {
            if self.rejections.contains(&rejection) {
                continue;
            }
            self.rejections.push(rejection.clone());
            if peer.upstream && !rejection.is_whole() {
                let log = self.logs.get_mut(&rejection.log);
                let at = usize::try_from(rejection.seq - 1).unwrap();
                if let Some(entry) = log.and_then(|l| l.entries.get_mut(at)) {
                    entry.body = None;
                    let entry = entry.clone();
                    self.remove(&entry);
                }
                if rejection.log.writer == self.writer {
                    self.writer.epoch += 1;
                }
            }
            done.new.push(rejection);
        }
        Ok(done)
    }

    fn digests(&mut self, scopes: &[Scope]) -> Result<Vec<ScopeProof>, String> {
        Ok(scopes.iter().map(|s| self.proof(*s)).collect())
    }

    fn heads(&mut self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>, String> {
        Ok(self.heads_of(scope))
    }

    fn batches_of(&mut self, docs: &[DocId]) -> Result<Vec<Batch>, String> {
        let mut batches = Vec::new();
        for (id, log) in &self.logs {
            let mut after = 0;
            while let Some(batch) = log.batch(*id, after, u64::MAX) {
                after = batch.last();
                if batch.entries.iter().any(|e| docs.contains(&e.doc)) {
                    batches.push(batch);
                }
            }
        }
        Ok(batches)
    }

    fn fork(&mut self, peer: &Peer, fork: &Fork) -> Result<Vec<(LogId, LogHead)>, String> {
        if fork.log.writer.node == self.writer.node {
            if fork.log.writer.epoch < self.writer.epoch {
                return Ok(Vec::new());
            }
            return Ok(self.begin_epoch(fork.log, peer.node));
        }
        if peer.upstream {
            let taken = self.logs.remove(&fork.log).unwrap_or_default();
            taken.entries.iter().for_each(|e| self.remove(e));
        }
        Ok(Vec::new())
    }

    fn settled(&mut self, _: &Peer, settled: &Settled) -> Result<(), String> {
        self.settled.push(settled.clone());
        Ok(())
    }
}

fn control_key() -> ControlKey {
    ControlKey {
        kind: crate::control::ControlKind::Roster,
        site: SiteId(0),
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
            Session::new(role, mine, peer, me.reads(me.site), &me.reads(other.site))
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
        match effect {
            Effect::Send(message) => {
                let bytes = codec::encode(&message);
                assert!(bytes.len() <= limits::MESSAGE_BYTES_MAX);
                line.messages += 1;
                line.bytes += bytes.len();
                line.queues[1 - end].push_back(bytes);
                Performed::default()
            }
            Effect::Close(why) => {
                line.closed.push(why);
                Performed::default()
            }
            other => {
                let peer = line.sessions[end].peer().clone();
                let node = &mut self.nodes[line.ends[end]];
                node.now = self.now;
                perform(other, &peer, node).unwrap()
            }
        }
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
        let message = codec::decode(&bytes).unwrap();
        self.give(line, end, Input::Message(message));
        true
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
