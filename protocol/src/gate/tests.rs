//! What the gate lets in, and each way to deceive it.

use ed25519_dalek::SigningKey;

use super::*;
use crate::{
    act::{Act, ActBody, Amend, Open, Reason},
    control::fixture::{self, BEIXIANG, FOUNDED, Founded, QINGXI, SHIQIAO},
    document::Write,
    id::{ActId, CaseId, DocId, Kind, PersonId, SiteId},
    log::{LogId, Seal},
    role::Role,
    text::Private,
    time::{ClockState, HybridClock},
};

mod content;
mod mutations;
mod together;

/// A desk that writes without a gate of its own.
struct Desk {
    site: SiteId,
    key: SigningKey,
    writer: Writer,
    clock: HybridClock,
    at: i64,
}

impl Desk {
    fn new(site: SiteId) -> Self {
        let key = fixture::node_key(site);
        let node = fixture::node(site).node;
        Self {
            site,
            key,
            writer: Writer { node, epoch: 1 },
            clock: HybridClock::default(),
            at: FOUNDED.0,
        }
    }

    fn act(&mut self, body: ActBody) -> Write {
        self.at += 1_000;
        let id = self.clock.tick(Millis(self.at), self.writer.actor());
        let act = Act {
            person: PersonId([u8::try_from(self.site.0).unwrap(); 8]),
            role: if self.site == SHIQIAO {
                Role::Agent
            } else {
                Role::Decider
            },
            at: Millis(self.at),
            clock: ClockState::Ok,
            saw: None,
            site: self.site,
            body,
        };
        Write::Act(id, act)
    }

    /// A field edited, with the act that answers for it.
    fn amend(&mut self, name: &str, value: &str) -> Vec<Write> {
        let act = self.act(ActBody::Amend(Amend {
            field: name.into(),
            reason: "更正".into(),
        }));
        vec![act, field(name, value)]
    }

    /// A step of the authority.
    fn review(&mut self, text: &str) -> Vec<Write> {
        vec![self.act(ActBody::Review(Reason { text: text.into() }))]
    }

    fn open(&mut self) -> Vec<Write> {
        let open = self.act(ActBody::Open(Open {
            item: "990101".into(),
            item_version: 1,
        }));
        vec![open, field("name", "张三"), field("phone", "13800000000")]
    }

    fn write(&mut self, doc: &mut Doc, writes: &[Write]) -> Entry {
        self.at += 1_000;
        let change = doc
            .write(self.writer.actor(), Millis(self.at), writes)
            .unwrap();
        Entry {
            doc: doc.id(),
            hash: change.hash,
            body: Some(change.bytes),
        }
    }

    fn batch(&self, scope: Scope, after: LogHead, entries: Vec<Entry>) -> Batch {
        let log = LogId {
            scope,
            writer: self.writer,
        };
        let head = entries.iter().fold(after, |h, e| h.after(e.doc, e.hash));
        Batch {
            log,
            first: after.seq + 1,
            entries,
            seal: Seal::sign(&log, head, Millis(self.at), &self.key),
        }
    }
}

fn field(name: &str, value: &str) -> Write {
    Write::Field(name.into(), Some(Private::new(value)))
}

/// Acts and fields of a document, for comparison.
fn values(doc: &Doc) -> String {
    let reading = doc.reading().unwrap();
    let field = |(name, field): (&String, &crate::document::ReadField)| {
        let all = field.candidates.iter().map(|c| c.value.reveal());
        format!("{name}={}", all.collect::<Vec<_>>().join("|"))
    };
    let fields: Vec<_> = reading.fields.iter().map(field).collect();
    let acts: Vec<_> = reading.acts.iter().map(|a| (a.id, &a.act)).collect();
    format!("{acts:?} {fields:?}")
}

fn doc(site: SiteId, kind: Kind) -> DocId {
    CaseId::new(site, [1; 11]).doc(kind)
}

fn scope(site: SiteId, kind: Kind) -> Scope {
    Scope { kind, site }
}

fn ground(founded: &Founded) -> Ground<'_> {
    Ground {
        trust: &founded.trust,
        now: FOUNDED,
        upstream: false,
    }
}

/// The document with one more entry.
fn entry(doc: &Doc, entry: &Entry, writer: Writer, ground: &Ground<'_>) -> Result<Doc, Rule> {
    super::entry(doc, entry, writer, ground).map(|passed| passed.doc)
}

/// A village's first two changes of one case.
fn case() -> (Desk, Doc, Vec<Entry>) {
    let mut desk = Desk::new(SHIQIAO);
    let mut doc = Doc::new(doc(SHIQIAO, Kind::Application));
    let writes = desk.open();
    let first = desk.write(&mut doc, &writes);
    let writes = desk.amend("phone", "13900000000");
    let second = desk.write(&mut doc, &writes);
    (desk, doc, vec![first, second])
}

/// The chunk with its content replaced, length and checksum repaired; and its hash.
fn rechunk(content: &[u8]) -> (ChangeHash, Vec<u8>) {
    use sha2::{Digest as _, Sha256};
    let mut hashed = vec![1];
    let mut length = content.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap();
        length >>= 7;
        hashed.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    hashed.extend_from_slice(content);
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83];
    chunk.extend_from_slice(&hash[..4]);
    chunk.extend(hashed);
    (ChangeHash(hash), chunk)
}

/// Where the content of a chunk begins.
fn content_at(chunk: &[u8]) -> usize {
    9 + chunk[9..].iter().take_while(|b| **b & 0x80 > 0).count() + 1
}

#[test]
fn what_a_village_wrote_in_order_is_admitted_and_reads_the_same() {
    let founded = fixture::county();
    let (desk, written, entries) = case();
    let scope = scope(SHIQIAO, Kind::Application);
    let batch_ = desk.batch(scope, LogHead::START, entries);
    let fresh = batch(&batch_, LogHead::START, &ground(&founded)).unwrap();
    assert_eq!((fresh.first, fresh.head), (1, batch_.seal.head));
    let mut doc = Doc::new(written.id());
    for e in &fresh.entries {
        doc = entry(&doc, e, desk.writer, &ground(&founded)).unwrap();
    }
    assert_eq!(doc.heads(), written.heads());
    assert_eq!(values(&doc), values(&written));
    // Once more does no harm.
    for e in &fresh.entries {
        let again = entry(&doc, e, desk.writer, &ground(&founded)).unwrap();
        assert_eq!(again.heads(), doc.heads());
    }
    let again = batch(&batch_, fresh.head, &ground(&founded)).unwrap();
    assert!(again.entries.is_empty());
}

#[test]
fn both_sides_of_a_case_go_on_from_each_other_across_nodes() {
    let founded = fixture::county();
    let handling = doc(SHIQIAO, Kind::Handling);
    let mut town = Desk::new(BEIXIANG);
    let mut hub = Desk::new(fixture::HUB);
    let mut written = Doc::new(handling);
    let mut admitted = Doc::new(handling);
    for round in 0..6 {
        let desk = if round % 2 == 0 { &mut town } else { &mut hub };
        let writes = desk.review(&format!("第{round}次"));
        let e = desk.write(&mut written, &writes);
        admitted = entry(&admitted, &e, desk.writer, &ground(&founded)).unwrap();
    }
    assert_eq!(admitted.heads(), written.heads());
}

#[test]
fn changes_made_apart_are_admitted_in_either_order() {
    let founded = fixture::county();
    let mut town = Desk::new(BEIXIANG);
    let mut hub = Desk::new(fixture::HUB);
    let start = Doc::new(doc(SHIQIAO, Kind::Handling));
    let (mut a, mut b) = (start.fork(), start.fork());
    let (writes_a, writes_b) = (town.review("镇"), hub.review("县"));
    let of_town = town.write(&mut a, &writes_a);
    let of_hub = hub.write(&mut b, &writes_b);
    let g = ground(&founded);
    let one = entry(&start, &of_town, town.writer, &g).unwrap();
    let one = entry(&one, &of_hub, hub.writer, &g).unwrap();
    let other = entry(&start, &of_hub, hub.writer, &g).unwrap();
    let other = entry(&other, &of_town, town.writer, &g).unwrap();
    assert_eq!(one.heads(), other.heads());
    assert_eq!(values(&one), values(&other));
}

#[test]
fn a_village_can_write_neither_a_decision_nor_for_another_village() {
    let founded = fixture::county();
    let (desk, _, entries) = case();
    for scope in [
        scope(SHIQIAO, Kind::Handling),
        scope(QINGXI, Kind::Application),
        scope(BEIXIANG, Kind::Notice),
    ] {
        let batch_ = desk.batch(scope, LogHead::START, entries.clone());
        assert_eq!(
            batch(&batch_, LogHead::START, &ground(&founded)),
            Err(BatchError::Refused(Rule::Scope))
        );
    }
    let town = Desk::new(fixture::NANXIANG);
    let batch_ = town.batch(scope(SHIQIAO, Kind::Handling), LogHead::START, entries);
    assert_eq!(
        batch(&batch_, LogHead::START, &ground(&founded)),
        Err(BatchError::Refused(Rule::Scope)),
        "a township does not write for its neighbour"
    );
}

#[test]
fn a_batch_is_good_for_documents_of_its_own_scope_alone() {
    let founded = fixture::county();
    let (desk, _, mut entries) = case();
    entries[1].doc = doc(QINGXI, Kind::Application);
    let batch_ = desk.batch(scope(SHIQIAO, Kind::Application), LogHead::START, entries);
    assert_eq!(
        batch(&batch_, LogHead::START, &ground(&founded)),
        Err(BatchError::Refused(Rule::OtherScope))
    );
}

#[test]
fn a_relay_can_neither_alter_nor_leave_out_nor_sign_for_the_writer() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (desk, _, entries) = case();
    let good = desk.batch(scope(SHIQIAO, Kind::Application), LogHead::START, entries);
    let relay = Desk::new(BEIXIANG);
    let mut signed = good.clone();
    signed.seal = Seal::sign(&good.log, good.seal.head, good.seal.at, &relay.key);
    assert_eq!(
        batch(&signed, LogHead::START, &g),
        Err(BatchError::Refused(Rule::Seal))
    );
    let mut short = good.clone();
    short.entries.pop();
    assert_eq!(
        batch(&short, LogHead::START, &g),
        Err(BatchError::Refused(Rule::Positions))
    );
    let mut swapped = good.clone();
    swapped.entries.swap(0, 1);
    assert_eq!(batch(&swapped, LogHead::START, &g), Err(BatchError::Fork));
    let mut flipped = good.entries[0].clone();
    let mut body = flipped.body.take().unwrap();
    let name = body.windows(5).position(|w| w == b"phone").unwrap();
    body[name] ^= 1;
    flipped.body = Some(body.clone());
    let empty = Doc::new(flipped.doc);
    assert_eq!(
        entry(&empty, &flipped, desk.writer, &g).unwrap_err(),
        Rule::Checksum
    );
    let (_, repaired) = rechunk(&body[content_at(&body)..]);
    flipped.body = Some(repaired);
    assert_eq!(
        entry(&empty, &flipped, desk.writer, &g).unwrap_err(),
        Rule::Hash
    );
    let mut withheld = good.entries[0].clone();
    withheld.body = None;
    assert_eq!(
        entry(&empty, &withheld, desk.writer, &g).unwrap_err(),
        Rule::Withheld
    );
}

#[test]
fn a_change_names_its_own_writer_and_its_own_document() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (desk, _, entries) = case();
    let empty = Doc::new(entries[0].doc);
    let other = Desk::new(QINGXI);
    assert_eq!(
        entry(&empty, &entries[0], other.writer, &g).unwrap_err(),
        Rule::Writer
    );
    let mut moved = entries[0].clone();
    moved.doc = CaseId::new(SHIQIAO, [2; 11]).doc(Kind::Application);
    assert_eq!(
        entry(&Doc::new(moved.doc), &moved, desk.writer, &g).unwrap_err(),
        Rule::Dependencies
    );
    assert_eq!(
        entry(&empty, &moved, desk.writer, &g).unwrap_err(),
        Rule::OtherScope
    );
}

#[test]
fn two_changes_at_one_position_are_not_both_admitted() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, _, entries) = case();
    let empty = Doc::new(entries[0].doc);
    let first = entry(&empty, &entries[0], desk.writer, &g).unwrap();
    assert_eq!(
        entry(&empty, &entries[1], desk.writer, &g).unwrap_err(),
        Rule::Dependencies,
        "the first is missing"
    );
    let mut restored = empty.fork();
    let writes = desk.amend("note", "恢复后");
    let twice = desk.write(&mut restored, &writes);
    assert_eq!(
        entry(&first, &twice, desk.writer, &g).unwrap_err(),
        Rule::Sequence
    );
}

#[test]
fn a_gap_and_a_fork_are_told_apart() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (desk, _, entries) = case();
    let scope = scope(SHIQIAO, Kind::Application);
    let head = LogHead::START.after(entries[0].doc, entries[0].hash);
    let second = desk.batch(scope, head, entries[1..].to_vec());
    assert_eq!(batch(&second, LogHead::START, &g), Err(BatchError::Gap));
    assert!(batch(&second, head, &g).is_ok());
    let other = LogHead::START.after(entries[1].doc, entries[1].hash);
    assert_eq!(batch(&second, other, &g), Err(BatchError::Fork));
}

#[test]
fn a_node_out_of_the_roster_or_out_of_force_writes_no_more() {
    let founded = fixture::county();
    let (mut desk, _, entries) = case();
    let scope = scope(SHIQIAO, Kind::Application);
    let good = desk.batch(scope, LogHead::START, entries.clone());
    let refused = |founded: &Founded, upstream| {
        let ground = Ground {
            upstream,
            ..ground(founded)
        };
        match batch(&good, LogHead::START, &ground) {
            Err(BatchError::Refused(rule)) => Some(rule),
            Err(BatchError::Fork | BatchError::Gap) => panic!("not refused"),
            Ok(_) => None,
        }
    };
    let with = |status, cutoff| {
        let mut founded = fixture::county();
        let mut roster = founded.trust.roster().clone();
        for node in roster.nodes.iter_mut().filter(|n| n.site == SHIQIAO) {
            (node.status, node.cutoff) = (status, cutoff);
        }
        founded.publish(fixture::HUB_WIDE, &crate::control::Body::Roster(roster));
        founded
    };
    let past = Some(Millis(desk.at - 1));
    let later = Some(Millis(desk.at + 1));
    assert_eq!(refused(&founded, false), None);
    let revoked = with(NodeStatus::Revoked, later);
    assert_eq!(refused(&revoked, false), Some(Rule::NotInForce));
    assert_eq!(refused(&revoked, true), None, "history from above stays");
    let cut = with(NodeStatus::Revoked, past);
    assert_eq!(refused(&cut, true), Some(Rule::AfterCutoff));
    assert_eq!(refused(&with(NodeStatus::Replaced, later), false), None);
    let suspended = with(NodeStatus::Suspended, None);
    assert_eq!(refused(&suspended, false), Some(Rule::NotInForce));
    desk.writer.node = crate::id::NodeId([9; 8]);
    let unknown = desk.batch(scope, LogHead::START, entries);
    assert_eq!(
        batch(&unknown, LogHead::START, &ground(&founded)),
        Err(BatchError::Refused(Rule::UnknownWriter))
    );
}

#[test]
fn who_has_left_since_is_held_against_new_work_and_not_against_history() {
    let mut founded = fixture::county();
    let (desk, written, entries) = case();
    let mut directory = founded.trust.directory().clone();
    directory.people.retain(|p| p.site != SHIQIAO);
    let body = crate::control::Body::Directory(directory);
    founded.publish(fixture::HUB_WIDE, &body);
    let empty = Doc::new(written.id());
    let young = ground(&founded);
    let refused = entry(&empty, &entries[0], desk.writer, &young).unwrap_err();
    assert_eq!(refused.code(), "G508");
    let history = Ground {
        upstream: true,
        ..young
    };
    assert!(entry(&empty, &entries[0], desk.writer, &history).is_ok());
}

#[test]
fn a_field_without_the_act_that_answers_for_it_is_refused() {
    let founded = fixture::county();
    let (mut desk, mut doc, _) = case();
    let silent = desk.write(&mut doc.fork(), &[field("phone", "1")]);
    let rule = entry(&doc, &silent, desk.writer, &ground(&founded)).unwrap_err();
    assert_eq!(rule.code(), "G511");
    let writes = desk.amend("phone", "1");
    let before = doc.fork();
    let said = desk.write(&mut doc, &writes);
    assert!(entry(&before, &said, desk.writer, &ground(&founded)).is_ok());
}

#[test]
fn codes_are_told_apart_and_reasons_are_in_words() {
    let codes: BTreeSet<_> = Rule::ALL.iter().map(|r| r.code()).collect();
    assert_eq!(codes.len(), Rule::ALL.len());
    assert!(Rule::ALL.is_sorted_by_key(|r| r.code()));
    assert!(Rule::ALL.iter().all(|r| !r.zh().is_ascii()));
}
