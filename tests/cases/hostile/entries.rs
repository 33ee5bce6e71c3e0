//! Single changes: what they say, in whose name, and what they do to a document.

use automerge::{ObjType, ROOT, ScalarValue, transaction::Transactable as _};
use cuntong_protocol::{
    act::{ActBody, Decide, Publish, Reason},
    document::{Doc, Write},
    id::{ActId, ChangeHash, Kind},
    limits,
    log::{Batch, Entry, LogHead},
    role::Role,
    time::Millis,
    wire::Message,
};
use harness::{
    county,
    hostile::{Hostile, chunk, field},
};

use super::Siege;

/// The second change of a case that was begun honestly, in a batch after the first.
fn second(siege: &mut Siege, make: impl FnOnce(&mut Hostile, &Doc) -> Entry) -> Batch {
    let (doc, first) = siege.peer.case();
    let begun = siege.peer.applications(LogHead::START, vec![first]);
    let held = begun.seal.head;
    let call = siege.push([begun]);
    assert!(
        call.rules().is_empty(),
        "an honest beginning: {:?}",
        call.refusals()
    );
    let entry = make(&mut siege.peer, &doc);
    siege.peer.applications(held, vec![entry])
}

/// One act in a case of its own, changed by the closure.
fn acting(body: ActBody, lie: impl FnOnce(&mut cuntong_protocol::act::Act)) -> (Siege, Batch) {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        let (id, mut act) = peer.act(body);
        lie(&mut act);
        peer.entry(&mut doc.fork(), &[Write::Act(id, act)])
    });
    (siege, batch)
}

fn withdrawal() -> ActBody {
    ActBody::Withdraw(Reason {
        text: "本人要求".into(),
    })
}

fn key(id: ActId) -> String {
    id.text()[2..].to_owned()
}

#[test]
fn a_decision_in_the_application_is_not_an_act_of_that_document() {
    let decide = ActBody::Decide(Decide {
        granted: true,
        reason: "同意".into(),
        remedies: String::new(),
    });
    let (mut siege, batch) = acting(decide, |act| act.role = Role::Decider);
    siege.is_refused(batch, "G505");
}

#[test]
fn an_act_in_the_name_of_another_sites_person_is_refused() {
    let (mut siege, batch) = acting(withdrawal(), |act| {
        act.person = county::person(county::BEIXIANG);
    });
    siege.is_refused(batch, "G508");
}

#[test]
fn an_act_under_a_role_the_person_has_not_is_refused() {
    let (mut siege, batch) = acting(withdrawal(), |act| act.role = Role::Clerk);
    siege.is_refused(batch, "G508");
}

#[test]
fn an_act_under_a_role_that_may_not_do_it_is_refused() {
    let (mut siege, batch) = acting(withdrawal(), |act| act.role = Role::Publisher);
    siege.is_refused(batch, "G506");
}

#[test]
fn an_act_that_names_another_site_is_refused() {
    let (mut siege, batch) = acting(withdrawal(), |act| act.site = county::BEIXIANG);
    siege.is_refused(batch, "G507");
}

#[test]
fn a_person_nobody_knows_does_nothing() {
    let (mut siege, batch) = acting(withdrawal(), |act| act.person.0 = [1; 8]);
    siege.is_refused(batch, "G508");
}

#[test]
fn a_withdrawal_without_a_reason_is_refused() {
    let (mut siege, batch) = acting(ActBody::Withdraw(Reason { text: " ".into() }), |_| {});
    siege.is_refused(batch, "G512");
}

#[test]
fn an_act_that_overwrites_an_existing_one_is_refused() {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        let first = doc.reading().unwrap().acts[0].id;
        peer.raw(doc, |tx, acts, _| {
            tx.put(acts, key(first), ScalarValue::Bytes(vec![1]))
                .unwrap();
        })
    });
    siege.is_refused(batch, "G401");
}

#[test]
fn an_act_that_is_deleted_stays() {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        let first = doc.reading().unwrap().acts[0].id;
        peer.raw(doc, |tx, acts, _| tx.delete(acts, key(first)).unwrap())
    });
    siege.is_refused(batch, "G401");
}

#[test]
fn an_act_under_another_writers_id_is_refused() {
    let mut siege = Siege::begin();
    let other = Hostile::of(county::QINGXI).writer.actor();
    let batch = second(&mut siege, |peer, doc| {
        let (_, act) = peer.act(withdrawal());
        let id = ActId::of(Millis(act.at.0), 0, other);
        let bytes = minicbor::to_vec(&act).unwrap();
        peer.raw(doc, |tx, acts, _| {
            tx.put(acts, key(id), ScalarValue::Bytes(bytes)).unwrap();
        })
    });
    siege.is_refused(batch, "G403");
}

#[test]
fn an_act_that_is_no_act_is_refused() {
    for bytes in [vec![], vec![0x80], vec![0x9f; 40], vec![0x81; 4_000]] {
        let mut siege = Siege::begin();
        let batch = second(&mut siege, |peer, doc| {
            let (id, _) = peer.act(withdrawal());
            peer.raw(doc, |tx, acts, _| {
                tx.put(acts, key(id), ScalarValue::Bytes(bytes)).unwrap();
            })
        });
        siege.is_refused(batch, "G402");
    }
}

#[test]
fn an_act_over_its_limit_is_refused() {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        let text = "长".repeat(limits::ACT_BYTES_MAX / 3);
        let (id, act) = peer.act(ActBody::Withdraw(Reason { text }));
        let bytes = minicbor::to_vec(&act).unwrap();
        peer.raw(doc, |tx, acts, _| {
            tx.put(acts, key(id), ScalarValue::Bytes(bytes)).unwrap();
        })
    });
    siege.is_refused(batch, "G402");
}

#[test]
fn fields_with_wrong_names_or_too_much_in_them_are_refused() {
    let long = "字".repeat(limits::FIELD_BYTES_MAX / 3 + 1);
    let lengthy = "n".repeat(limits::FIELD_NAME_BYTES_MAX + 1);
    for (name, value, rule) in [
        ("Name", "x", "G510"),
        ("a.b", "x", "G510"),
        ("material.01", "copy", "G510"),
        ("material.-1", "copy", "G510"),
        ("字", "x", "G510"),
        ("", "x", "G404"),
        (lengthy.as_str(), "x", "G213"),
        ("note", long.as_str(), "G404"),
    ] {
        let mut siege = Siege::begin();
        let batch = second(&mut siege, |peer, doc| {
            peer.raw(doc, |tx, _, fields| tx.put(fields, name, value).unwrap())
        });
        siege.is_refused(batch, rule);
    }
}

#[test]
fn a_field_that_no_act_answers_for_is_refused() {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        peer.entry(&mut doc.fork(), &[field("phone", "13900000000")])
    });
    siege.is_refused(batch, "G511");
}

#[test]
fn nothing_but_acts_and_fields_is_written() {
    type Write =
        fn(&mut automerge::transaction::Transaction<'_>, &automerge::ObjId, &automerge::ObjId);
    let writes: [(Write, &str); 6] = [
        (|tx, _, _| tx.put(ROOT, "v", 9).unwrap(), "G401"),
        (|tx, _, _| tx.put(ROOT, "acts", "gone").unwrap(), "G401"),
        (|tx, _, _| tx.delete(ROOT, "fields").unwrap(), "G401"),
        (|tx, _, fields| tx.put(fields, "note", 9).unwrap(), "G401"),
        (
            |tx, _, fields| tx.put(fields, "note", ScalarValue::counter(1)).unwrap(),
            "G401",
        ),
        (
            |tx, acts, _| {
                tx.put_object(acts, "00", ObjType::Map).unwrap();
            },
            "G213",
        ),
    ];
    for (write, rule) in writes {
        let mut siege = Siege::begin();
        let batch = second(&mut siege, |peer, doc| peer.raw(doc, write));
        let call = siege.push([batch]);
        assert_eq!(call.rules().len(), 1);
        assert!(
            ["G401", "G213"].contains(&call.rules()[0].as_str()),
            "{rule}: {:?}",
            call.rules()
        );
        siege.stands();
    }
}

#[test]
fn a_change_by_another_actor_in_its_own_log_is_refused() {
    let mut siege = Siege::begin();
    let mut neighbour = Hostile::of(county::QINGXI);
    let batch = second(&mut siege, |peer, doc| {
        let entry = neighbour.raw(doc, |tx, _, fields| tx.put(fields, "note", "x").unwrap());
        peer.at = peer.at.after(1);
        entry
    });
    siege.is_refused(batch, "G206");
}

#[test]
fn a_change_taken_to_another_document_has_no_effect_there() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let other = siege.peer.new_doc(siege.peer.scope(Kind::Application));
    let stolen = Entry {
        doc: other,
        ..entry
    };
    let batch = siege.peer.applications(LogHead::START, vec![stolen]);
    let call = siege.push([batch]);
    // It names the genesis of another document: it waits for ever, and nothing shows it.
    assert!(call.rules().is_empty());
    assert!(siege.heads_of(other).len() <= 1);
    let empty = siege.world.db(super::HUB).doc(other).unwrap();
    assert!(empty.is_none_or(|d| d.reading().unwrap().acts.is_empty()));
    siege.stands();
}

#[test]
fn flipped_bytes_are_told_from_the_checksum() {
    let mut siege = Siege::begin();
    let (_, first) = siege.peer.case();
    let honest = siege.peer.applications(LogHead::START, vec![first]);
    for at in [0, 4, 8, 12, 60] {
        let mut flipped = honest.clone();
        flipped.entries[0].body.as_mut().unwrap()[at] ^= 1;
        let mut siege = Siege::begin();
        let call = siege.push([flipped]);
        let rules = call.rules();
        assert_eq!(rules.len(), 1, "byte {at}");
        assert!(
            ["G202", "G203"].contains(&rules[0].as_str()),
            "byte {at}: {rules:?}"
        );
        siege.stands();
    }
    let call = siege.push([honest]);
    assert!(call.rules().is_empty(), "the whole one is good");
}

#[test]
fn a_repaired_checksum_does_not_repair_the_name_in_the_log() {
    let mut siege = Siege::begin();
    let (_, mut entry) = siege.peer.case();
    let body = entry.body.as_mut().unwrap();
    let mut content = chunk::content(body).to_vec();
    // A byte of the dependency it names.
    content[1] ^= 1;
    *body = chunk::rechunk(&content).1;
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    siege.is_refused(batch, "G205");
}

#[test]
fn chunks_that_are_no_changes_are_refused_before_they_are_inflated() {
    for kind in [0_u8, 2, 3, 4, 255] {
        let mut siege = Siege::begin();
        let batch = second(&mut siege, |peer, doc| {
            let bytes = if kind == 0 { doc.save() } else { vec![0; 64] };
            let content = if kind == 0 {
                chunk::content(&bytes)
            } else {
                &bytes
            };
            let (hash, chunk) = chunk::typed(kind, content);
            peer.at = peer.at.after(1);
            Entry {
                doc: doc.id(),
                hash,
                body: Some(chunk),
            }
        });
        siege.is_refused(batch, "G202");
    }
}

#[test]
fn a_change_over_its_limit_is_not_even_a_message() {
    let mut siege = Siege::begin();
    let (doc, mut entry) = siege.peer.case();
    entry.body = Some(vec![0; limits::CHANGE_BYTES_MAX + 1]);
    entry.hash = ChangeHash([1; 32]);
    assert_eq!(entry.doc, doc.id());
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let call = siege.push([batch]);
    assert!(call.closed.is_some(), "the session is over");
    siege.stands();
}

#[test]
fn ten_thousand_fields_in_one_change_are_too_many() {
    let mut siege = Siege::begin();
    let batch = second(&mut siege, |peer, doc| {
        peer.raw(doc, |tx, _, fields| {
            for n in 0..=limits::CHANGE_OPS_MAX {
                tx.put(fields, format!("f{n}"), "").unwrap();
            }
        })
    });
    let call = siege.push([batch]);
    let refused = call.rules();
    assert!(
        call.closed.is_some() || refused == ["G214"] || refused == ["G201"],
        "{refused:?}"
    );
    siege.stands();
}

#[test]
fn a_document_filled_to_its_limit_takes_no_more_and_stays_readable() {
    let mut siege = Siege::begin();
    let scope = siege.peer.scope(Kind::Notice);
    let id = siege.peer.new_doc(scope);
    let mut doc = Doc::new(id);
    let mut dice = harness::dice::Dice::new(5);
    let log = siege.peer.log(scope);
    let mut held = LogHead::START;
    let mut call = siege.greet();
    for _version in 0..120 {
        let publish = ActBody::Publish(Publish {
            title: "公示".into(),
            body: noise(&mut dice, limits::NOTICE_BYTES_MAX / 3),
            places: vec![county::SHIQIAO],
            category: "通知公告".into(),
            from: "2026-03-02".into(),
            until: None,
            case: None,
            correction: String::new(),
        });
        let (id, mut act) = siege.peer.act(publish);
        act.role = Role::Publisher;
        let entry = siege.peer.entry(&mut doc, &[Write::Act(id, act)]);
        let batch = siege.peer.batch(log, held, vec![entry]);
        held = batch.seal.head;
        call.say(&mut siege.world, &Message::Push(batch));
        if !call.rules().is_empty() {
            break;
        }
    }
    assert_eq!(call.rules(), ["G305"]);
    siege.stands();
}

/// Text that does not compress well.
fn noise(dice: &mut harness::dice::Dice, chars: usize) -> String {
    let one = |_| char::from_u32(0x4e00 + dice.below(20_000) as u32).expect("a Han character");
    (0..chars).map(one).collect()
}
