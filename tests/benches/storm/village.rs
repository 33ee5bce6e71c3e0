//! What a village wrote while it was away, and its side of a session: a replica in memory with one
//! log, which no store stands behind. Documents, entries, seals and packs are the product's own.

use std::{collections::BTreeMap, sync::Arc};

use cuntong_protocol::{
    act::{Act, ActBody, Amend, Open, Receive},
    control::ControlKey,
    document::{Doc, Write},
    fields,
    id::{CaseId, ChangeHash, DocId, Kind, Scope, Writer},
    log::{Batch, Entry, LogHead, LogId, Receipt, Rejection, Seal},
    role::Role,
    sync::{
        Admission, Agreed, Found, Given, Met, Opening, Part, Peer, Settled,
        host::{Records, Rejected, Replica},
    },
    text::Private,
    time::{ClockState, HybridClock, Millis},
    wire::{
        Fork, ScopeProof, Sighting, Whole, digest,
        elide::Known,
        pack::{Shelf, Shelved},
        sketch::{Ask, Drawn},
        snap::Reached,
        vector_hash,
    },
};
use harness::dice::Dice;

use crate::county::{Land, Machine};

/// Bytes of changes under one seal: what a busy day's transactions come to.
const SEALED_BYTES: usize = 32 * 1024;
/// One in so many changes begins a case; the others amend one.
const NEW_CASE_EVERY: usize = 4;
/// The work began so long before the storm.
const AWAY_MS: i64 = 3 * 24 * 3_600 * 1000;

/// One village: its log, whole and sealed.
pub(crate) struct Village {
    pub(crate) log: LogId,
    pub(crate) entries: Vec<Entry>,
    /// Entries the hub had before the village went away.
    pub(crate) before: usize,
    /// Cases begun: one document each.
    pub(crate) cases: usize,
    /// Head after so many entries.
    heads: Vec<LogHead>,
    seals: Vec<Seal>,
    key: [u8; 32],
}

/// Writes a village's log.
struct Pen<'l> {
    machine: &'l Machine,
    item: (String, u32),
    writer: Writer,
    clock: HybridClock,
    at: Millis,
    dice: Dice,
    docs: Vec<Doc>,
}

impl Village {
    /// One case that the hub knows already, then so many changes it does not.
    pub(crate) fn write(
        land: &Land,
        machine: &Machine,
        changes: usize,
        seed: u64,
        now: Millis,
    ) -> Self {
        let item = &land.trust.catalogue().items[0];
        let writer = Writer {
            node: machine.keys.node(),
            epoch: 1,
        };
        let mut pen = Pen {
            machine,
            item: (item.code.clone(), item.version),
            writer,
            clock: HybridClock::default(),
            at: now.after(-AWAY_MS),
            dice: Dice::new(seed),
            docs: Vec::new(),
        };
        let mut entries = vec![pen.new_case()];
        for n in 0..changes {
            entries.push(if n % NEW_CASE_EVERY == 0 {
                pen.new_case()
            } else {
                pen.amend()
            });
        }
        let scope = Scope {
            kind: Kind::Application,
            site: machine.site,
        };
        let log = LogId { scope, writer };
        let mut heads = vec![LogHead::START];
        for entry in &entries {
            heads.push(heads[heads.len() - 1].after(entry.doc, entry.hash));
        }
        let mut village = Self {
            log,
            before: 1,
            cases: pen.docs.len(),
            heads,
            seals: Vec::new(),
            key: machine.keys.sign.public(),
            entries,
        };
        village.seal(machine, pen.at);
        village
    }

    fn seal(&mut self, machine: &Machine, at: Millis) {
        let key = machine.keys.sign.signing();
        let mut bytes = 0;
        for (n, entry) in (1..).zip(&self.entries) {
            bytes += entry.body.as_ref().map_or(0, Vec::len);
            if n == self.before || n == self.entries.len() || bytes > SEALED_BYTES {
                let seal = Seal::sign(&self.log, self.heads[n], at, &key);
                self.seals.push(seal);
                bytes = 0;
            }
        }
    }

    fn head(&self, written: usize) -> LogHead {
        self.heads[written]
    }

    /// The entries past a position, up to the next seal.
    fn batch(&self, after: u64) -> Option<Batch> {
        let seal = self.seals.iter().find(|s| s.head.seq > after)?;
        let range = after as usize..seal.head.seq as usize;
        Some(Batch {
            log: self.log,
            first: after + 1,
            entries: self.entries[range].to_vec(),
            seal: seal.clone(),
        })
    }
}

impl Pen<'_> {
    fn act(&mut self, body: ActBody) -> Write {
        self.at = self.at.after(60_000);
        let id = self.clock.tick(self.at, self.writer.actor());
        let act = Act {
            person: self.machine.agent,
            role: Role::Agent,
            site: self.machine.site,
            at: self.at,
            clock: ClockState::Ok,
            saw: None,
            body,
        };
        Write::Act(id, act)
    }

    fn new_case(&mut self) -> Entry {
        let mut unique: [u8; 11] = self.dice.bytes();
        unique[..6].copy_from_slice(&self.at.0.to_be_bytes()[2..]);
        let id = CaseId::new(self.machine.site, unique).doc(Kind::Application);
        let number = format!("{}-{}", self.machine.site.0, self.docs.len() + 1);
        let writes = vec![
            self.act(ActBody::Open(Open {
                item: self.item.0.clone(),
                item_version: self.item.1,
            })),
            self.act(ActBody::Receive(Receive {
                number,
                mandate: None,
                taken: None,
                duplicate_reason: None,
            })),
            field(fields::NAME, "买买提·吐尔逊".to_owned()),
            field(
                fields::PHONE,
                format!("138{:08}", self.dice.below(100_000_000)),
            ),
            field(fields::ADDRESS, format!("第{}组", self.dice.below(40) + 1)),
        ];
        self.docs.push(Doc::new(id));
        self.change(self.docs.len() - 1, &writes)
    }

    fn amend(&mut self) -> Entry {
        let name = [fields::PHONE, fields::ADDRESS, fields::NOTE][self.dice.below(3)];
        let value = format!("{:x}", u64::from_be_bytes(self.dice.bytes()));
        let amend = Amend {
            field: name.to_owned(),
            reason: "登记时写错".to_owned(),
        };
        let writes = vec![self.act(ActBody::Amend(amend)), field(name, value)];
        let doc = self.dice.below(self.docs.len());
        self.change(doc, &writes)
    }

    fn change(&mut self, doc: usize, writes: &[Write]) -> Entry {
        let doc = &mut self.docs[doc];
        let change = doc.write(self.writer.actor(), self.at, writes);
        let change = change.expect("a change");
        Entry {
            doc: doc.id(),
            hash: change.hash,
            body: Some(change.bytes),
        }
    }
}

fn field(name: &str, value: String) -> Write {
    Write::Field(name.to_owned(), Some(Private::new(value)))
}

/// The village in a session.
pub(crate) struct Away {
    pub(crate) village: Arc<Village>,
    land: Arc<Land>,
    /// Entries written so far.
    pub(crate) written: usize,
    /// How far the hub's verified receipts reach.
    pub(crate) receipted: LogHead,
    agreed: Option<Agreed>,
    pub(crate) nacks: Vec<Rejection>,
    pub(crate) settled: bool,
}

impl Away {
    /// A village that never met the hub, and wrote what it wrote before it went away.
    pub(crate) fn new(village: Arc<Village>, land: Arc<Land>) -> Self {
        Self {
            written: village.before,
            village,
            land,
            receipted: LogHead::START,
            agreed: None,
            nacks: Vec::new(),
            settled: false,
        }
    }

    /// Everything the village will ever have written is written now.
    pub(crate) fn writes_the_rest(&mut self) {
        self.written = self.village.entries.len();
        self.settled = false;
    }

    /// The hub's receipts cover all that was written.
    pub(crate) fn in_custody(&self) -> bool {
        self.receipted == self.village.head(self.written)
    }

    fn vector(&self) -> Vec<(LogId, LogHead)> {
        vec![(self.village.log, self.village.head(self.written))]
    }
}

/// Something the hub must not do here.
type Broken = String;

impl Records for Away {
    type Error = Broken;

    fn read(&self, log: LogId, after: LogHead) -> Result<Found, Broken> {
        let seq = after.seq as usize;
        if log != self.village.log || self.village.heads.get(seq) != Some(&after) {
            return Err(format!("read past {} of another branch", after.seq));
        }
        let batch = self.village.batch(after.seq);
        let batch = batch.filter(|b| b.last() as usize <= self.written);
        Ok(batch.map_or(Found::Nothing, Found::Batch))
    }

    fn shelf(&self) -> &impl Shelf<Error = Broken> {
        self
    }

    fn end_of(&self, log: LogId) -> Result<(LogHead, Option<[u8; 32]>), Broken> {
        let own = log == self.village.log;
        let head = if own {
            self.village.head(self.written)
        } else {
            LogHead::START
        };
        Ok((head, own.then_some(self.village.key)))
    }

    fn head_at(&self, log: LogId, seq: u64) -> Result<Option<LogHead>, Broken> {
        let (end, _key) = self.end_of(log)?;
        let seq = usize::try_from(seq).unwrap_or(usize::MAX);
        Ok((seq as u64 <= end.seq).then(|| self.village.head(seq)))
    }

    fn whole(&self, whole: Whole) -> Result<Option<Batch>, Broken> {
        Ok(self.village.batch(whole.first.saturating_sub(1)))
    }

    fn give_controls(&self, _: &Peer, have: &[(ControlKey, u64)]) -> Result<Vec<Vec<u8>>, Broken> {
        let lacks = self.land.controls.iter().any(|held| !have.contains(held));
        if lacks {
            return Err("the hub lacks a control document".to_owned());
        }
        Ok(Vec::new())
    }

    fn snapshot(&self, _: &[Scope], _: &Reached, _: usize, _: Millis) -> Result<Part, Broken> {
        Err("the hub wants documents ahead of their logs".to_owned())
    }

    fn digests_of(&self, scopes: &[Scope]) -> Result<Vec<ScopeProof>, Broken> {
        let mut heads: BTreeMap<DocId, ChangeHash> = BTreeMap::new();
        // One writer: the last change of a document is its only head.
        heads.extend(
            self.village.entries[..self.written]
                .iter()
                .map(|e| (e.doc, e.hash)),
        );
        let sum =
            |sum: u64, (doc, hash): (&DocId, &ChangeHash)| sum.wrapping_add(digest(*doc, &[*hash]));
        let proof = |scope: &Scope| ScopeProof {
            scope: *scope,
            vector: vector_hash(&self.vector()),
            digest: heads.iter().fold(0, sum),
            documents: heads.len() as u64,
        };
        let own = scopes.iter().filter(|s| **s == self.village.log.scope);
        Ok(own.map(proof).collect())
    }

    fn heads_of(&self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>, Broken> {
        Err(format!("the hub's documents differ in {scope:?}"))
    }

    fn batches_about(&self, _docs: &[DocId]) -> Result<Vec<Batch>, Broken> {
        Err("the hub wants documents again".to_owned())
    }
}

impl Replica for Away {
    type Error = Broken;

    fn records(&self) -> &impl Records<Error = Broken> {
        self
    }

    fn open(&mut self, _: &Peer, _: &[Scope], _: &[LogId]) -> Result<Opening, Broken> {
        let held = [(self.village.log, self.receipted)];
        Ok(Opening {
            vector: self.vector(),
            controls: self.land.controls.clone(),
            waiting: (self.written as u64 - self.receipted.seq, 3_600),
            lacking: held
                .iter()
                .filter(|_| !self.in_custody())
                .map(|h| h.0)
                .collect(),
            agreed: self.agreed.clone(),
            receipted: held.into_iter().filter(|(_, h)| h.seq > 0).collect(),
            ..Opening::default()
        })
    }

    fn met(&mut self, _peer: &Peer, _met: &Met) -> Result<Vec<Sighting>, Broken> {
        Ok(Vec::new())
    }

    fn seen(&mut self, _peer: &Peer, _: Vec<Sighting>) -> Result<Vec<Sighting>, Broken> {
        Ok(Vec::new())
    }

    fn take_snapshot(&mut self, _: &Given) -> Result<(), Broken> {
        Err("documents nobody asked for".to_owned())
    }

    fn admit(&mut self, _peer: &Peer, batch: Batch) -> Result<Admission, Broken> {
        Err(format!("the hub pushed {:?}", batch.log))
    }

    fn readmit(&mut self, peer: &Peer, batch: Batch) -> Result<Admission, Broken> {
        self.admit(peer, batch)
    }

    fn sign(&mut self, _held: Vec<(LogId, LogHead)>) -> Result<Receipt, Broken> {
        Err("nothing was pushed that a receipt could be for".to_owned())
    }

    fn take_control(&mut self, _peer: &Peer, _bytes: &[u8]) -> Result<bool, Broken> {
        Err("the hub sent a control document that is held".to_owned())
    }

    fn keep(&mut self, peer: &Peer, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, Broken> {
        for receipt in &receipts {
            if receipt.holder != peer.node || !receipt.verify(&self.land.hub_key) {
                return Err("a receipt that is not the hub's".to_owned());
            }
            for (log, head) in &receipt.held {
                let held = self.village.heads.get(head.seq as usize);
                if *log != self.village.log || held != Some(head) {
                    return Err("a receipt for what was not written".to_owned());
                }
                if head.seq > self.receipted.seq {
                    self.receipted = *head;
                }
            }
        }
        Ok(Vec::new())
    }

    fn carried(&mut self, logs: &[LogId]) -> Result<Vec<Receipt>, Broken> {
        Err(format!("the hub took {logs:?} from a village"))
    }

    fn reject(&mut self, _peer: &Peer, all: Vec<Rejection>) -> Result<Rejected, Broken> {
        self.nacks.extend(all);
        Ok(Rejected::default())
    }

    fn sketch(&mut self, _peer: &Peer, _ask: &Ask) -> Result<Drawn, Broken> {
        Err("the hub's documents differ".to_owned())
    }

    fn resum(&mut self, scope: Scope) -> Result<(), Broken> {
        Err(format!("the digest of {scope:?} is to be summed up again"))
    }

    fn fork(&mut self, _peer: &Peer, fork: &Fork) -> Result<Vec<(LogId, LogHead)>, Broken> {
        Err(format!("the hub says that {:?} forked", fork.log))
    }

    fn agree(&mut self, _peer: &Peer, agreed: &Agreed) -> Result<(), Broken> {
        self.agreed = Some(agreed.clone());
        Ok(())
    }

    fn settled(&mut self, _peer: &Peer, settled: &Settled) -> Result<(), Broken> {
        self.settled = settled.mismatched.is_empty() && settled.stalled.is_empty();
        Ok(())
    }
}

impl Shelf for Away {
    type Error = Broken;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, Broken> {
        let at = (seq as usize)
            .checked_sub(1)
            .filter(|_| log == self.village.log);
        let entry = at.and_then(|at| self.village.entries.get(at));
        Ok(entry.map(|entry| Shelved {
            doc: entry.doc,
            hash: entry.hash,
            known: entry.body.as_deref().and_then(Known::of_chunk),
        }))
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, Broken> {
        if log != self.village.log {
            return Ok(None);
        }
        let earlier = (1..)
            .zip(&self.village.entries)
            .take_while(|(seq, _)| *seq < before);
        Ok(earlier
            .filter(|(_, e)| e.doc == doc)
            .map(|(seq, _)| seq)
            .last())
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, Broken> {
        let mut all = (1..).zip(&self.village.entries);
        let found = all.find(|(_, e)| e.doc == doc && e.hash == hash);
        Ok(found.map(|(seq, _)| (self.village.log, seq)))
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, Broken> {
        let mut all = (1..).zip(&self.village.entries);
        let found = all.find(|(_, e)| e.doc == doc);
        Ok(found.map(|(seq, _)| (self.village.log, seq)))
    }
}
