//! Packs of histories that honest and other writers make.

use std::{convert::Infallible, sync::LazyLock};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::{
    act::{Act, ActBody, Reason},
    document::Write,
    id::{ActId, PersonId, SiteId},
    role::Role,
    text::Private,
    time::{ClockState, HybridClock},
};

const AT: Millis = Millis(1_772_413_200_000);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn log(kind: Kind, node: u8) -> LogId {
    LogId {
        scope: Scope {
            kind,
            site: SiteId(3),
        },
        writer: Writer {
            node: NodeId([node; 8]),
            epoch: 1,
        },
    }
}

/// Logs and documents in memory.
#[derive(Default, Clone)]
struct Books {
    logs: BTreeMap<LogId, Vec<Entry>>,
    docs: BTreeMap<DocId, Doc>,
    clock: HybridClock,
    now: i64,
}

impl Shelf for Books {
    type Error = Infallible;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>, Infallible> {
        let entries = self.logs.get(&log).map_or(&[][..], Vec::as_slice);
        let entry = entries.get(usize::try_from(seq).unwrap().wrapping_sub(1));
        Ok(entry.map(|e| Shelved {
            doc: e.doc,
            hash: e.hash,
            known: e.body.as_deref().and_then(Known::of_chunk),
        }))
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>, Infallible> {
        let entries = self.logs.get(&log).map_or(&[][..], Vec::as_slice);
        let places = (1..before).zip(entries).filter(|(_, e)| e.doc == doc);
        Ok(places.map(|(seq, _)| seq).max())
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>, Infallible> {
        Ok(self.place(|e| e.doc == doc && e.hash == hash))
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>, Infallible> {
        Ok(self.place(|e| e.doc == doc))
    }
}

impl Books {
    fn place(&self, which: impl Fn(&Entry) -> bool) -> Option<(LogId, u64)> {
        let mut all = self
            .logs
            .iter()
            .flat_map(|(l, es)| (1..).zip(es).map(|(seq, e)| (*l, seq, e)));
        all.find(|(_, _, e)| which(e)).map(|(l, seq, _)| (l, seq))
    }

    fn write(&mut self, log: LogId, doc: DocId, text: &str, with_field: bool) {
        self.now += 61_013;
        let at = AT.after(self.now);
        let id = self.clock.tick(at, log.writer.actor());
        let text = text.to_owned();
        let act = Act {
            person: PersonId([4; 8]),
            role: Role::Agent,
            at,
            clock: ClockState::Ok,
            saw: Some(ActId::of(at.after(-86_400_000), 1, ActorId([0x33; 8]))),
            site: log.scope.site,
            body: ActBody::Review(Reason { text: text.clone() }),
        };
        let mut writes = vec![Write::Act(id, act)];
        if with_field {
            writes.push(Write::Field("phone".into(), Some(Private::new(text))));
        }
        let held = self.docs.entry(doc).or_insert_with(|| Doc::new(doc));
        let change = held.write(log.writer.actor(), at, &writes).unwrap();
        self.push(log, doc, change.hash, Some(change.bytes));
    }

    fn push(&mut self, log: LogId, doc: DocId, hash: ChangeHash, body: Option<Vec<u8>>) {
        let entry = Entry { doc, hash, body };
        self.logs.entry(log).or_default().push(entry);
    }

    fn head(&self, log: LogId, seq: usize) -> LogHead {
        let entries = self.logs[&log][..seq].iter();
        entries.fold(LogHead::START, |h, e| h.after(e.doc, e.hash))
    }

    fn batch(&self, log: LogId, after: usize) -> Batch {
        let entries = self.logs[&log][after..].to_vec();
        let head = self.head(log, self.logs[&log].len());
        Batch {
            log,
            first: after as u64 + 1,
            entries,
            seal: Seal::sign(&log, head, AT.after(self.now), &key()),
        }
    }

    /// What a receiver holds that lacks the log past a position.
    fn without(&self, log: LogId, after: usize) -> Self {
        let mut less = self.clone();
        less.logs.get_mut(&log).unwrap().truncate(after);
        less
    }

    fn unpack(&self, pack: &Pack, held: LogHead) -> Result<Batch, UnpackError<Infallible>> {
        let key = key().verifying_key().to_bytes();
        unpack(pack, held, &key, self)
    }

    fn packed(&self, log: LogId, after: usize) -> Pack {
        pack(&self.batch(log, after), self).unwrap()
    }

    fn passes(&self, log: LogId, after: usize) -> Pack {
        let pack = self.packed(log, after);
        let receiver = self.without(log, after);
        let batch = receiver.unpack(&pack, self.head(log, after));
        assert_eq!(batch, Ok(self.batch(log, after)));
        pack
    }
}

fn doc(kind: Kind, n: u8) -> DocId {
    DocId::new(log(kind, 1).scope, [n; 11])
}

/// Five documents, two kinds, two writers, concurrent fields; the village's log has 40 entries.
static HISTORY: LazyLock<Books> = LazyLock::new(|| {
    let mut books = Books::default();
    let (village, other) = (log(Kind::Application, 1), log(Kind::Application, 2));
    let town = log(Kind::Handling, 9);
    for n in 0..40_u8 {
        let application = doc(Kind::Application, n % 5);
        books.write(village, application, "已核对原件", n % 3 == 0);
        if n % 7 == 0 {
            books.write(other, application, "换机后补录", n % 2 == 0);
            books.write(town, doc(Kind::Handling, n % 5), "同意受理", false);
        }
    }
    books
});

#[test]
fn a_change_that_follows_its_writers_own_travels_without_hash_writer_and_numbers() {
    let mut books = Books::default();
    let village = log(Kind::Application, 1);
    books.write(village, doc(Kind::Application, 1), "已核对原件", false);
    books.write(village, doc(Kind::Application, 1), "已核对原件", false);
    let pack = books.passes(village, 1);
    let body = books.logs[&village][1].body.as_ref().unwrap();
    let holds = |part: &[u8]| pack.bytes.windows(part.len()).any(|w| w == part);
    assert!(!holds(&books.logs[&village][0].hash.0[..4]));
    assert!(!holds(&books.logs[&village][1].hash.0[..4]));
    assert!(!holds(&village.writer.actor().0[..4]));
    assert!(
        pack.bytes.len() + 80 < body.len(),
        "{} of {}",
        pack.bytes.len(),
        body.len()
    );
}

#[test]
fn every_part_of_a_history_of_several_writers_comes_back_byte_for_byte() {
    for (log, entries) in &HISTORY.logs {
        for after in 0..entries.len() {
            HISTORY.passes(*log, after);
        }
    }
}

#[test]
fn what_the_receiver_was_not_sent_of_other_logs_is_not_named() {
    for (log, entries) in &HISTORY.logs {
        for after in 0..entries.len() {
            // Of each other log a part that differs from log to log.
            let others = HISTORY.logs.iter().filter(|(l, _)| *l != log);
            let there: BTreeMap<_, _> = (0..)
                .zip(others)
                .map(|(n, (l, es))| (*l, (es.len() * n / 3) as u64))
                .collect();
            let batch = HISTORY.batch(*log, after);
            let pack = pack(&batch, &Upto::new(&*HISTORY, *log, &there)).unwrap();
            let mut receiver = HISTORY.without(*log, after);
            for (other, held) in &there {
                receiver = receiver.without(*other, usize::try_from(*held).unwrap());
            }
            let head = HISTORY.head(*log, after);
            assert_eq!(receiver.unpack(&pack, head), Ok(batch));
        }
    }
}

#[test]
fn what_has_no_short_form_goes_as_it_is() {
    let mut books = HISTORY.clone();
    let village = log(Kind::Application, 1);
    let body = books.logs[&village][7].body.clone().unwrap();
    let mut deflated = body.clone();
    deflated[8] = 2;
    let mut checksum = body.clone();
    checksum[5] ^= 1;
    let kept = books.logs[&village].len();
    let strange = [
        deflated,
        checksum,
        body[..body.len() - 1].to_vec(),
        vec![],
        vec![1; 9],
        body,
    ];
    for (n, body) in strange.into_iter().enumerate() {
        let hash = ChangeHash([u8::try_from(n).unwrap(); 32]);
        books.push(village, doc(Kind::Application, 2), hash, Some(body));
    }
    books.push(
        village,
        doc(Kind::Application, 2),
        ChangeHash([77; 32]),
        None,
    );
    for after in kept - 3..books.logs[&village].len() {
        books.passes(village, after);
    }
}

#[test]
fn a_receiver_that_has_some_of_it_already_rebuilds_all_of_it() {
    let village = log(Kind::Application, 1);
    let (pack, head) = (HISTORY.packed(village, 20), HISTORY.head(village, 20));
    for held in 20..=40 {
        let batch = HISTORY.without(village, held).unpack(&pack, head);
        assert_eq!(batch, Ok(HISTORY.batch(village, 20)), "of {held}");
    }
}

#[test]
fn a_receiver_that_cannot_rebuild_asks_for_the_whole() {
    let village = log(Kind::Application, 1);
    let pack = HISTORY.packed(village, 20);
    let head = HISTORY.head(village, 20);
    let receiver = HISTORY.without(village, 20);
    assert_eq!(
        receiver.unpack(&pack, LogHead::START),
        Err(UnpackError::Position)
    );
    let empty = Books::default();
    assert_eq!(empty.unpack(&pack, head), Err(UnpackError::Unknown));
    let mut forked = head;
    forked.chain.0[0] ^= 1;
    let error = receiver.unpack(&pack, forked).unwrap_err();
    assert_eq!(error, UnpackError::Mismatch);
    assert!(error.is_cured_by_whole());
    // One that holds another change there, or lost a body to its gate.
    let mut other = receiver.clone();
    for entry in other.logs.get_mut(&village).unwrap() {
        entry.body = None;
    }
    assert_eq!(other.unpack(&pack, head), Err(UnpackError::Unknown));
    for entry in other.logs.get_mut(&village).unwrap() {
        entry.body = HISTORY.logs[&village][30].body.clone();
    }
    assert_eq!(other.unpack(&pack, head), Err(UnpackError::Mismatch));
}

#[test]
fn no_changed_byte_of_a_pack_makes_another_batch() {
    let village = log(Kind::Application, 1);
    let pack = HISTORY.packed(village, 30);
    let (head, receiver) = (HISTORY.head(village, 30), HISTORY.without(village, 30));
    let original = HISTORY.batch(village, 30);
    for place in 0..pack.bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut other = pack.clone();
            other.bytes[place] ^= change;
            if let Ok(batch) = receiver.unpack(&other, head) {
                assert_eq!(batch, original, "byte {place}");
            }
        }
        let mut cut = pack.clone();
        cut.bytes.truncate(place);
        assert!(receiver.unpack(&cut, head).is_err(), "cut at {place}");
    }
}

#[test]
fn a_pack_that_would_grow_beyond_a_batch_is_refused_as_it_grows() {
    let village = log(Kind::Application, 1);
    let mut bytes = Vec::new();
    elide::unsigned(&mut bytes, 1);
    elide::unsigned(&mut bytes, 0);
    let mut shapes = Vec::new();
    elide::unsigned(&mut shapes, 0);
    elide::unsigned(&mut shapes, 60_000);
    shapes.extend(vec![0; 60_000]);
    let mut places = vec![NAME_NEW];
    places.extend([1; 11]);
    for section in [places, shapes, vec![0], vec![], vec![]] {
        elide::unsigned(&mut bytes, section.len() as u64);
        bytes.extend(section);
    }
    let bomb = Pack {
        log: village,
        first: 1,
        at: AT,
        signature: [0; 64],
        bytes,
    };
    let refused = Books::default().unpack(&bomb, LogHead::START);
    assert_eq!(refused, Err(UnpackError::Structure("a change")));
}

proptest! {
    #[test]
    fn any_writing_comes_back(
        writes in prop::collection::vec((0..3_u8, 0..3_u8, any::<bool>(), "\\PC{0,40}"), 1..25),
        cut in 0.0..1.0_f64,
    ) {
        let mut books = Books::default();
        for (writer, number, field, text) in &writes {
            let kind = if *writer == 2 { Kind::Handling } else { Kind::Application };
            books.write(log(kind, *writer), doc(kind, *number), text, *field);
        }
        for (log, entries) in &books.logs {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short list")]
            let after = (entries.len() as f64 * cut) as usize;
            let pack = books.packed(*log, after);
            let batch = books.without(*log, after).unpack(&pack, books.head(*log, after));
            prop_assert_eq!(batch, Ok(books.batch(*log, after)));
        }
    }

    #[test]
    fn no_bytes_make_unpacking_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let village = log(Kind::Application, 1);
        let mut pack = HISTORY.packed(village, 39);
        pack.bytes = bytes;
        let held = HISTORY.head(village, 39);
        prop_assert!(HISTORY.without(village, 39).unpack(&pack, held).is_err());
    }

    #[test]
    fn no_mutation_makes_unpacking_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let village = log(Kind::Application, 1);
        let mut pack = HISTORY.packed(village, 25);
        for (place, byte, what) in edits {
            let place = place.index(pack.bytes.len());
            match what {
                0 => pack.bytes[place] = byte,
                1 => pack.bytes.insert(place, byte),
                _ => drop(pack.bytes.remove(place)),
            }
        }
        let held = HISTORY.head(village, 25);
        if let Ok(batch) = HISTORY.without(village, 25).unpack(&pack, held) {
            prop_assert_eq!(batch, HISTORY.batch(village, 25));
        }
    }

    #[test]
    fn no_bytes_make_taking_a_chunk_apart_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(Known::of_chunk(&bytes), None);
    }

    #[test]
    fn what_remains_of_any_rest_gives_it_back(
        rest in prop::collection::vec(any::<u8>(), 0..300),
        places in prop::collection::vec((any::<prop::sample::Index>(), -5_000..5_000_i64, 0..3_u8), 0..5),
    ) {
        let actor = ActorId([0xa5; 8]);
        let mut rest = rest;
        for (place, past, what) in places {
            let at = place.index(rest.len() + 1);
            let moment = AT.after(past);
            let id = ActId::of(moment, 3, actor);
            let insert = match what {
                0 => data_encoding::HEXLOWER.encode(&id.0).into_bytes(),
                1 => [&[0x1b][..], &moment.0.to_be_bytes()].concat(),
                _ => [&[0x50][..], &id.0].concat(),
            };
            rest.splice(at..at, insert);
        }
        let (mut shapes, mut said, mut text) = (vec![], vec![], vec![]);
        elide::cut(&rest, actor, AT, &mut shapes, &mut said, &mut text);
        let (mut a, mut b, mut c) = (Cursor(&shapes), Cursor(&said), Cursor(&text));
        prop_assert_eq!(elide::fill(actor, AT, &mut a, &mut b, &mut c), Some(rest));
        prop_assert!(a.is_done() && b.is_done() && c.is_done());
    }
}
