//! Realistic entries without a store: what the byte forms are measured on, and what the dictionary
//! is made from. The two take their words from different lists.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{Accept, Act, ActBody, Amend, Close, Correct, Decide, Missing, Open, Reason, Receive},
    document::{Doc, Write},
    fields,
    id::{ActId, CaseId, ChangeHash, DocId, Kind, NodeId, PersonId, Scope, SiteId, Writer},
    limits,
    log::{Batch, Entry, LogHead, LogId, Seal},
    role::Role,
    text::Private,
    time::{ClockState, HybridClock, Millis},
    wire::{
        elide::Known,
        pack::{Shelf, Shelved},
    },
};
use ed25519_dalek::SigningKey;

use crate::dice::Dice;

/// What people of one county write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) code: &'static str,
    pub(crate) items: &'static [&'static str],
    pub(crate) surnames: &'static str,
    pub(crate) given: &'static str,
    pub(crate) places: &'static [&'static str],
    pub(crate) notes: &'static [&'static str],
    pub(crate) results: &'static [&'static str],
    pub(crate) remedies: &'static [&'static str],
}

/// One machine with one person at it.
struct Desk {
    writer: Writer,
    site: SiteId,
    key: SigningKey,
    people: Vec<(PersonId, Role)>,
    clock: HybridClock,
}

/// A village and its township that write, and the logs that come of it.
pub(crate) struct Traffic {
    pub(crate) dice: Dice,
    words: Words,
    pub(crate) now: Millis,
    docs: BTreeMap<DocId, Doc>,
    latest: BTreeMap<DocId, ActId>,
    desks: [Desk; 2],
    serial: u32,
    logs: BTreeMap<LogId, Vec<Entry>>,
    found: BTreeMap<(DocId, ChangeHash), (LogId, u64)>,
    of_doc: BTreeMap<DocId, Vec<(LogId, u64)>>,
    heads: BTreeMap<LogId, Vec<LogHead>>,
}

const VILLAGE: usize = 0;
const TOWN: usize = 1;

impl Traffic {
    /// Nothing written yet, in a county of those words.
    pub(crate) fn new(seed: u64, words: Words) -> Self {
        let mut dice = Dice::new(seed);
        let mut desk = |site, roles: &[Role]| {
            let key = SigningKey::from_bytes(&dice.bytes());
            Desk {
                writer: Writer {
                    node: NodeId::of_key(&key.verifying_key().to_bytes()),
                    epoch: 1 + dice.below(9) as u32,
                },
                site: SiteId(site),
                key,
                people: roles.iter().map(|r| (PersonId(dice.bytes()), *r)).collect(),
                clock: HybridClock::default(),
            }
        };
        let desks = [
            desk(137, &[Role::Agent, Role::Agent]),
            desk(12, &[Role::Clerk, Role::Clerk, Role::Decider]),
        ];
        Self {
            now: Millis(1_772_413_200_000 + dice.below(1 << 34) as i64),
            dice,
            words,
            docs: BTreeMap::new(),
            latest: BTreeMap::new(),
            desks,
            serial: 1,
            logs: BTreeMap::new(),
            found: BTreeMap::new(),
            of_doc: BTreeMap::new(),
            heads: BTreeMap::new(),
        }
    }

    fn word(&mut self, from: &'static [&'static str]) -> String {
        self.dice.pick(from).copied().unwrap_or_default().to_owned()
    }

    fn chars(&mut self, from: &'static str, count: usize) -> String {
        let all: Vec<char> = from.chars().collect();
        let one = |_| self.dice.pick(&all).copied().unwrap_or('一');
        (0..count).map(one).collect()
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b'0' + self.dice.below(10) as u8))
            .collect()
    }

    /// A remark that is in no list: drawn from all 20 896 ideographs alike, the worst case.
    pub(crate) fn free_text(&mut self, count: usize) -> String {
        let one = |_| char::from_u32(0x4e00 + self.dice.below(0x51a0) as u32).unwrap_or('一');
        (0..count).map(one).collect()
    }

    /// A remark from the list.
    pub(crate) fn canned(&mut self) -> String {
        self.word(self.words.notes)
    }

    /// Some time passes: seconds to minutes.
    fn pass(&mut self) {
        let ms = 4_000 + self.dice.below(600_000);
        self.now = self.now.after(ms as i64);
    }

    /// Days pass.
    pub(crate) fn days(&mut self, days: i64) {
        self.now = self
            .now
            .after(days * 86_400_000 + self.dice.below(86_400_000) as i64);
    }

    /// A case is logged at the village.
    pub(crate) fn new_case(&mut self) -> CaseId {
        self.pass();
        let site = self.desks[VILLAGE].site;
        let mut unique = [0; 11];
        unique[..6].copy_from_slice(&self.now.0.to_be_bytes()[2..]);
        unique[6..].copy_from_slice(&self.dice.bytes::<5>());
        let case = CaseId::new(site, unique);
        let name = self.chars(self.words.surnames, 1) + &self.chars(self.words.given, 2);
        let place = self.word(self.words.places);
        let number = format!("{}20260418{:02}{:04}", self.words.code, 3, self.serial);
        self.serial += 1;
        let id = format!(
            "{}19{}0{}1{}{}",
            &self.words.code[..6],
            self.dice.below(89) + 10,
            self.dice.below(9) + 1,
            self.dice.below(9),
            self.digits(4)
        );
        let mut fields = vec![
            (fields::NAME.to_owned(), name),
            (fields::ID.to_owned(), id),
            (fields::PHONE.to_owned(), format!("1{}", self.digits(10))),
            (
                fields::ADDRESS.to_owned(),
                format!("{place}{}号", self.dice.below(200)),
            ),
            (fields::GROUP.to_owned(), place),
        ];
        if self.dice.chance(1, 3) {
            fields.push((fields::NOTE.to_owned(), self.canned()));
        }
        for line in 0..3 + self.dice.below(3) {
            let state = ["original", "copy", "shared", "deferred"][self.dice.below(4)];
            fields.push((format!("{}{line}", fields::MATERIAL), state.to_owned()));
        }
        let bodies = vec![
            ActBody::Open(Open {
                item: self.word(self.words.items),
                item_version: 1 + self.dice.below(3) as u32,
            }),
            ActBody::Receive(Receive {
                number,
                mandate: None,
                taken: None,
                duplicate_reason: None,
            }),
        ];
        self.write(VILLAGE, case.doc(Kind::Application), bodies, fields, None);
        case
    }

    /// The township writes one remark about a case; `saw`: it had the application before it.
    pub(crate) fn review(&mut self, case: CaseId, text: String, saw: bool) {
        self.handle(case, ActBody::Review(Reason { text }), saw);
    }

    /// The township takes one of its usual steps.
    pub(crate) fn step(&mut self, case: CaseId) {
        let text = self.canned();
        let body = match self.dice.below(5) {
            0 => ActBody::Accept(Accept {
                note: text,
                ..Accept::default()
            }),
            1 => ActBody::Decide(Decide {
                granted: true,
                reason: text,
                remedies: String::new(),
            }),
            2 => ActBody::Decide(Decide {
                granted: false,
                reason: text,
                remedies: self.word(self.words.remedies),
            }),
            3 => ActBody::Correct(Correct {
                missing: vec![Missing {
                    material: Some(self.dice.below(5) as u32),
                    how: text,
                }],
                days: 5,
            }),
            _ => ActBody::Close(Close {
                result: self.word(self.words.results),
                result_number: self.digits(8),
            }),
        };
        self.handle(case, body, true);
    }

    /// The village corrects a field.
    pub(crate) fn amend(&mut self, case: CaseId) {
        self.pass();
        let reason = self.canned();
        let body = ActBody::Amend(Amend {
            field: fields::PHONE.to_owned(),
            reason,
        });
        let phone = (fields::PHONE.to_owned(), format!("1{}", self.digits(10)));
        let doc = case.doc(Kind::Application);
        self.write(VILLAGE, doc, vec![body], vec![phone], None);
    }

    fn handle(&mut self, case: CaseId, body: ActBody, saw: bool) {
        self.pass();
        let seen = self.latest.get(&case.doc(Kind::Application)).copied();
        let doc = case.doc(Kind::Handling);
        self.write(TOWN, doc, vec![body], vec![], seen.filter(|_| saw));
    }

    fn write(
        &mut self,
        at: usize,
        doc: DocId,
        bodies: Vec<ActBody>,
        fields: Vec<(String, String)>,
        saw: Option<ActId>,
    ) {
        let desk = &mut self.desks[at];
        let (person, role) = desk.people[self.dice.below(desk.people.len())];
        let mut writes = Vec::new();
        for body in bodies {
            let id = desk.clock.tick(self.now, desk.writer.actor());
            self.latest.insert(doc, id);
            let act = Act {
                person,
                role,
                at: self.now,
                clock: ClockState::Ok,
                saw,
                body,
                site: desk.site,
            };
            writes.push(Write::Act(id, act));
        }
        let field = |(name, value)| Write::Field(name, Some(Private::new(value)));
        writes.extend(fields.into_iter().map(field));
        let held = self.docs.entry(doc).or_insert_with(|| Doc::new(doc));
        let change = held
            .write(desk.writer.actor(), self.now, &writes)
            .expect("the writes are within every limit");
        let scope = doc.scope().expect("it was made from one");
        let log = LogId {
            scope: Scope {
                kind: scope.kind,
                site: scope.site,
            },
            writer: desk.writer,
        };
        let entries = self.logs.entry(log).or_default();
        let heads = self
            .heads
            .entry(log)
            .or_insert_with(|| vec![LogHead::START]);
        heads.push(heads[heads.len() - 1].after(doc, change.hash));
        entries.push(Entry {
            doc,
            hash: change.hash,
            body: Some(change.bytes),
        });
        let place = (log, entries.len() as u64);
        self.found.insert((doc, change.hash), place);
        self.of_doc.entry(doc).or_default().push(place);
    }

    /// The log of a kind and how long it is.
    pub(crate) fn log(&self, kind: Kind) -> Option<(LogId, u64)> {
        let log = self.logs.iter().find(|(log, _)| log.scope.kind == kind);
        log.map(|(log, entries)| (*log, entries.len() as u64))
    }

    /// The head of a log after so many entries.
    pub(crate) fn head(&self, log: LogId, seq: u64) -> LogHead {
        self.heads[&log][seq as usize]
    }

    /// The key that seals a log.
    pub(crate) fn key(&self, log: LogId) -> &SigningKey {
        let desk = self.desks.iter().find(|desk| desk.writer == log.writer);
        &desk.expect("only desks write").key
    }

    /// What a log has past `after`, in batches as large as they may be.
    pub(crate) fn batches(&self, log: LogId, after: u64) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut entries: Vec<Entry> = Vec::new();
        let mut first = after + 1;
        let close = |first: u64, entries: Vec<Entry>| {
            let head = self.head(log, first + entries.len() as u64 - 1);
            let seal = Seal::sign(&log, head, self.now, self.key(log));
            Batch {
                log,
                first,
                entries,
                seal,
            }
        };
        let mut bytes = 0;
        for entry in &self.logs[&log][after as usize..] {
            let length = entry.body.as_ref().map_or(0, Vec::len);
            if bytes + length > limits::BATCH_BYTES_MAX
                || entries.len() == limits::BATCH_ENTRIES_MAX
            {
                let full = std::mem::take(&mut entries);
                let next = first + full.len() as u64;
                batches.push(close(first, full));
                (first, bytes) = (next, 0);
            }
            bytes += length;
            entries.push(entry.clone());
        }
        if !entries.is_empty() {
            batches.push(close(first, entries));
        }
        batches
    }
}

impl Shelf for Traffic {
    type Error = std::convert::Infallible;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, Self::Error> {
        let entries = self.logs.get(&log);
        let entry = entries.and_then(|all| all.get((seq as usize).checked_sub(1)?));
        Ok(entry.map(|entry| Shelved {
            doc: entry.doc,
            hash: entry.hash,
            known: entry.body.as_deref().and_then(Known::of_chunk),
        }))
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, Self::Error> {
        let places = self.of_doc.get(&doc).into_iter().flatten();
        let own = places.filter(|(l, seq)| *l == log && *seq < before);
        Ok(own.map(|(_, seq)| *seq).max())
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, Self::Error> {
        Ok(self.found.get(&(doc, hash)).copied())
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, Self::Error> {
        Ok(self
            .of_doc
            .get(&doc)
            .and_then(|places| places.first())
            .copied())
    }
}
