use proptest::prelude::*;

use super::*;
use crate::{
    act::{ActBody, Open, Reason},
    id::{CaseId, Kind, NodeId, PersonId, SiteId, Writer},
    role::Role,
    time::{ClockState, HybridClock},
};

fn id() -> DocId {
    CaseId::new(SiteId(7), [1; 11]).doc(Kind::Application)
}

fn writer(n: u8) -> ActorId {
    let node = NodeId::of_key(&[n; 32]);
    Writer { node, epoch: 1 }.actor()
}

fn act(text: &str) -> Act {
    Act {
        person: PersonId([1; 8]),
        role: Role::Agent,
        at: Millis(5),
        clock: ClockState::Ok,
        saw: None,
        site: SiteId(7),
        body: ActBody::Review(Reason { text: text.into() }),
    }
}

fn field(name: &str, value: &str) -> Write {
    Write::Field(name.into(), Some(Private::new(value)))
}

fn values(reading: &Reading, name: &str) -> Vec<String> {
    let all = reading.fields[name].candidates.iter();
    all.map(|c| c.value.reveal().to_owned()).collect()
}

#[test]
fn every_node_makes_the_same_genesis_and_other_documents_make_another() {
    let (a, b) = (Doc::new(id()), Doc::new(id()));
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.save(), b.save());
    let other = Doc::new(CaseId::new(SiteId(7), [2; 11]).doc(Kind::Application));
    assert_ne!(a.heads(), other.heads());
    assert_eq!(a.changes(), vec![], "the genesis is never sent");
    // Golden: another genesis would orphan every change ever written.
    let head = a.heads()[0].text();
    assert_eq!(
        head,
        "h-0a3d7f3d70363d3a734fa2eb8ed6d9b11a81b749736d0fcfe02aade2ba9bdd02"
    );
}

proptest! {
    #[test]
    fn a_genesis_is_told_from_the_id_alone(bytes: [u8; 16]) {
        let id = DocId(bytes);
        prop_assert_eq!(vec![Doc::genesis(id)], Doc::new(id).heads());
    }
}

/// Golden: acts are signed facts that outlive every version of the program.
#[test]
fn the_bytes_of_an_act_never_change() {
    use data_encoding::HEXLOWER;
    let decided = Act {
        saw: Some(ActId::of(Millis(10), 2, writer(1))),
        body: ActBody::Decide(crate::act::Decide {
            granted: false,
            reason: "收入超标".into(),
            remedies: "复议".into(),
        }),
        ..act("")
    };
    let bytes = encode(&decided).unwrap();
    let golden = concat!(
        "874801010101010101010105005000000000000a0002d1d5f575cfc3b866",
        "82098183f46ce694b6e585a5e8b685e6a08766e5a48de8aeae07"
    );
    assert_eq!(HEXLOWER.encode(&bytes), golden);
    assert_eq!(act_of_bytes(&bytes), Some(decided));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        act_of_bytes(&longer),
        None,
        "nothing may hide behind an act"
    );
}

#[test]
fn one_write_is_one_change_that_another_node_can_take_in() {
    let mut here = Doc::new(id());
    let mut clock = HybridClock::default();
    let first = clock.tick(Millis(10), writer(1));
    let open = ActBody::Open(Open {
        item: "990101".into(),
        item_version: 1,
    });
    let opened = Act {
        body: open,
        ..act("")
    };
    let writes = [
        Write::Act(first, opened.clone()),
        field("phone", "13800000000"),
    ];
    let change = here.write(writer(1), Millis(10), &writes).unwrap();
    assert_eq!(here.changes(), vec![change.clone()]);
    assert_eq!(here.heads(), vec![change.hash]);

    let mut there = Doc::new(id());
    assert_eq!(there.apply(&change.bytes), Ok(change.hash));
    assert_eq!(
        there.apply(&change.bytes),
        Ok(change.hash),
        "twice is no error"
    );
    assert_eq!(there.save(), here.save());
    let reading = there.reading().unwrap();
    assert_eq!(reading.acts.len(), 1);
    assert_eq!(reading.acts[0].act, opened);
    assert_eq!(reading.acts[0].change, change.hash);
    assert_eq!(values(&reading, "phone"), ["13800000000"]);
    assert_eq!(there.writes_of(change.hash).unwrap(), writes.to_vec());
    assert!(there.has_act(first));
    assert_eq!(there.seq_of(writer(1)), 1);
}

#[test]
fn a_change_taken_out_of_another_document_does_not_apply() {
    let mut other = Doc::new(CaseId::new(SiteId(7), [2; 11]).doc(Kind::Application));
    let change = other
        .write(writer(1), Millis(1), &[field("note", "x")])
        .unwrap();
    let mut doc = Doc::new(id());
    assert!(matches!(
        doc.apply(&change.bytes),
        Err(DocError::MissingDep(_))
    ));
    assert_eq!(doc.heads(), Doc::new(id()).heads());
    assert_eq!(
        Doc::load(id(), &other.save()).unwrap_err(),
        DocError::OtherDocument(id())
    );
}

#[test]
fn an_unknown_dependency_or_a_flipped_byte_leaves_the_document_as_it_was() {
    let mut here = Doc::new(id());
    let first = here
        .write(writer(1), Millis(1), &[field("note", "x")])
        .unwrap();
    let second = here
        .write(writer(1), Millis(2), &[field("note", "y")])
        .unwrap();
    let mut there = Doc::new(id());
    let before = there.save();
    assert_eq!(
        there.apply(&second.bytes),
        Err(DocError::MissingDep(first.hash))
    );
    for at in 0..first.bytes.len() {
        let mut bytes = first.bytes.clone();
        bytes[at] ^= 1;
        assert!(there.apply(&bytes).is_err(), "byte {at}");
    }
    assert_eq!(there.save(), before);
    there.apply(&first.bytes).unwrap();
    there.apply(&second.bytes).unwrap();
    assert_eq!(there.save(), here.save());
}

#[test]
fn two_changes_at_one_position_of_one_writer_do_not_both_apply() {
    let base = Doc::new(id());
    let (mut a, mut b) = (base.fork(), base.fork());
    a.write(writer(1), Millis(1), &[field("note", "a")])
        .unwrap();
    let twin = b
        .write(writer(1), Millis(1), &[field("note", "b")])
        .unwrap();
    let before = a.save();
    assert_eq!(a.apply(&twin.bytes), Err(DocError::DuplicateSeq(1)));
    assert_eq!(a.save(), before);
}

#[test]
fn the_same_field_written_at_two_desks_keeps_both_values_until_one_knows_of_both() {
    let mut a = Doc::new(id());
    let base = a
        .write(writer(1), Millis(1), &[field("phone", "1")])
        .unwrap();
    let mut b = Doc::new(id());
    b.apply(&base.bytes).unwrap();
    let left = a
        .write(writer(1), Millis(2), &[field("phone", "2")])
        .unwrap();
    let right = b
        .write(writer(2), Millis(3), &[field("phone", "3")])
        .unwrap();
    a.apply(&right.bytes).unwrap();
    b.apply(&left.bytes).unwrap();
    let (ra, rb) = (a.reading().unwrap(), b.reading().unwrap());
    assert_eq!(values(&ra, "phone"), values(&rb, "phone"));
    assert_eq!(values(&ra, "phone").len(), 2);
    assert!(ra.knew(left.hash, base.hash) && ra.knew(right.hash, base.hash));
    assert!(!ra.knew(left.hash, right.hash) && !ra.knew(right.hash, left.hash));
    assert!(!ra.knew(left.hash, left.hash));
    let chosen = a
        .write(writer(1), Millis(4), &[field("phone", "3")])
        .unwrap();
    let reading = a.reading().unwrap();
    assert_eq!(values(&reading, "phone"), ["3"]);
    assert!(reading.knew(chosen.hash, left.hash) && reading.knew(chosen.hash, right.hash));
}

#[test]
fn what_is_written_within_limits_is_one_change_within_limits_or_nothing() {
    let mut doc = Doc::new(id());
    let before = doc.save();
    let actor = writer(1);
    let mine = HybridClock::default().tick(Millis(1), actor);
    let theirs = HybridClock::default().tick(Millis(1), writer(2));
    let long = "长".repeat(limits::FIELD_BYTES_MAX);
    let big = "长".repeat(limits::ACT_BYTES_MAX);
    let many: Vec<_> = (0..20)
        .map(|i| field(&format!("f{i}"), &"x".repeat(limits::FIELD_BYTES_MAX)))
        .collect();
    for (writes, why) in [
        (vec![], "nothing"),
        (vec![Write::Act(theirs, act(""))], "another writer's act"),
        (
            vec![Write::Act(mine, act("")), Write::Act(mine, act(""))],
            "twice",
        ),
        (vec![Write::Act(mine, act(&big))], "act too large"),
        (vec![field("a", &long)], "field too large"),
        (many, "change too large"),
        (vec![Write::Field("none".into(), None)], "clearing nothing"),
    ] {
        assert!(doc.write(actor, Millis(1), &writes).is_err(), "{why}");
        assert_eq!(doc.save(), before, "{why}");
    }
}

#[test]
fn a_change_that_does_anything_but_acts_and_fields_is_told_apart() {
    let mut doc = Doc::new(id());
    let mine = HybridClock::default().tick(Millis(1), writer(1));
    let good = doc
        .write(writer(1), Millis(1), &[Write::Act(mine, act("x"))])
        .unwrap();
    let facts = change_facts(&good.bytes).unwrap();
    assert_eq!((facts.actor, facts.seq, facts.other), (writer(1), 1, false));
    assert_eq!((facts.hash, facts.at), (good.hash, Millis(1)));
    assert_eq!(facts.acts[0].0, mine);

    type Do = fn(&mut automerge::transaction::Transaction<'_>, &Doc, &str);
    let cases: [(&str, Do); 9] = [
        ("another key of the root", |tx, _, _| {
            tx.put(ROOT, "x", 1).unwrap();
        }),
        ("the layout", |tx, _, _| tx.put(ROOT, "v", 2_u64).unwrap()),
        ("the map of acts", |tx, _, _| {
            tx.put_object(ROOT, "acts", ObjType::Map).unwrap();
        }),
        ("an act overwritten", |tx, d, k| {
            tx.put(&d.acts, k, ScalarValue::Bytes(vec![1])).unwrap();
        }),
        ("an act deleted", |tx, d, k| tx.delete(&d.acts, k).unwrap()),
        ("an act that is text", |tx, d, k| {
            tx.put(&d.acts, k.replace('0', "1"), "x").unwrap();
        }),
        ("a field that is a number", |tx, d, _| {
            tx.put(&d.fields, "n", 1).unwrap();
        }),
        ("a field that is a list", |tx, d, _| {
            tx.put_object(&d.fields, "n", ObjType::List).unwrap();
        }),
        ("a key that is no act id", |tx, d, _| {
            tx.put(&d.acts, "zz", ScalarValue::Bytes(vec![1])).unwrap();
        }),
    ];
    for (what, do_it) in cases {
        let mut am = doc.am.clone().with_actor(actor_id(writer(2)));
        let mut tx = am.transaction();
        do_it(&mut tx, &doc, &act_key(mine));
        tx.commit();
        let bytes = am.get_last_local_change().unwrap().raw_bytes().to_vec();
        assert!(change_facts(&bytes).unwrap().other, "{what}");
    }
    let mut am = doc.am.clone().with_actor(actor_id(writer(2)));
    let mut tx = am.transaction();
    tx.put(&doc.fields, "n", "x").unwrap();
    tx.commit_with(CommitOptions::default().with_message("hidden"));
    let bytes = am.get_last_local_change().unwrap().raw_bytes().to_vec();
    assert!(change_facts(&bytes).unwrap().other, "a message");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Three desks write and exchange at random; whatever the order, all end equal, and the
    /// document made again from shuffled changes is the same to the byte.
    #[test]
    fn any_order_of_delivery_gives_the_same_document(
        steps in prop::collection::vec((0_usize..3, 0_usize..3, 0_u8..4, any::<u16>()), 1..40),
        order in any::<u64>(),
    ) {
        let mut desks = vec![Doc::new(id()); 3];
        for (n, (desk, from, name, value)) in steps.into_iter().enumerate() {
            let other = desks[from].changes();
            for change in other {
                desks[desk].apply(&change.bytes).unwrap();
            }
            let write = field(&format!("f{name}"), &value.to_string());
            let actor = writer(u8::try_from(desk).unwrap());
            desks[desk].write(actor, Millis(i64::try_from(n).unwrap()), &[write]).unwrap();
        }
        let mut all: Vec<Change> = desks.iter().flat_map(Doc::changes).collect();
        all.sort_by_key(|c| blake3::hash(&[&c.hash.0[..], &order.to_be_bytes()].concat()).to_hex());
        let whole = Doc::rebuild(id(), all.iter().map(|c| &c.bytes[..])).unwrap();
        for desk in &mut desks {
            for change in whole.changes() {
                desk.apply(&change.bytes).unwrap();
            }
            prop_assert_eq!(desk.heads(), whole.heads());
            let (a, b) = (desk.reading().unwrap(), whole.reading().unwrap());
            prop_assert_eq!(a.fields, b.fields);
            prop_assert_eq!(&Doc::load(id(), &desk.save()).unwrap().save(), &desk.save());
        }
    }
}
