//! What is not admitted, and what an authority refuses later.

use cuntong_protocol::{
    control::Body,
    id::{ChangeHash, Kind},
    log::{Batch, Entry, LogHead, LogId, Rejection, Seal},
};
use ed25519_dalek::SigningKey;

use crate::store::{
    Db,
    fixture::{
        County, HUB, NOW, QINGXI, SHIQIAO, TOWN, assert_equal, case, log_case, node_of,
        roster_without, seed, send, write,
    },
    refuse::HELD_RULE,
};

/// The village's log of applications.
fn log_of(village: &Db) -> LogId {
    LogId {
        scope: case(SHIQIAO, 1).doc(Kind::Application).scope().unwrap(),
        writer: village.identity().unwrap().writer,
    }
}

/// A run of entries sealed with the village's own key, whatever is in them.
fn sealed(log: LogId, after: LogHead, entries: Vec<Entry>) -> Batch {
    let head = entries.iter().fold(after, |h, e| h.after(e.doc, e.hash));
    let key = SigningKey::from_bytes(&[seed(SHIQIAO); 32]);
    Batch {
        log,
        first: after.seq + 1,
        entries,
        seal: Seal::sign(&log, head, NOW, &key),
    }
}

/// Three good changes of one document and, in the middle of the log, a bad entry.
fn with_a_bad_entry(village: &mut Db) -> Batch {
    for (n, name) in [(1, "张三"), (2, "李四"), (1, "张三丰")] {
        write(village, case(SHIQIAO, n).doc(Kind::Application), name);
    }
    let log = log_of(village);
    let mut batch = village.batch(&log, 0).unwrap().unwrap();
    let mut body = batch.entries[1].body.clone().unwrap();
    *body.last_mut().unwrap() ^= 1;
    let bad = Entry {
        doc: case(SHIQIAO, 3).doc(Kind::Application),
        hash: ChangeHash([7; 32]),
        body: Some(body),
    };
    batch.entries.insert(1, bad);
    sealed(log, LogHead::START, batch.entries)
}

#[test]
fn a_refused_entry_takes_its_place_and_holds_up_nothing() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    let batch = with_a_bad_entry(&mut village);
    let admission = town.admit(&batch, false, NOW).unwrap();
    assert_eq!(admission.head, batch.seal.head);
    assert_eq!(admission.rejections.len(), 1);
    assert_eq!(admission.rejections[0].seq, 2);
    assert_eq!(town.counts().unwrap(), (2, 4));
    assert_eq!(town.quarantine_count().unwrap(), 1);
    assert!(town.verify().unwrap().is_sound());

    // It is passed on without its content, and the chain still verifies at the hub.
    send(&town, &mut hub, false);
    assert_equal(&town, &hub);
    assert_eq!(hub.quarantine_count().unwrap(), 0);
    let passed = hub.batch(&batch.log, 0).unwrap().unwrap();
    assert!(passed.entries[1].body.is_none());
}

#[test]
fn a_batch_that_fails_as_a_whole_leaves_the_log_as_it_is() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    log_case(&mut village, 1, "张三");
    let good = village.batch(&log_of(&village), 0).unwrap().unwrap();
    let mut forged = good.clone();
    forged.seal.signature[3] ^= 1;
    for _twice in 0..2 {
        let admission = hub.admit(&forged, false, NOW).unwrap();
        assert_eq!(admission.head, LogHead::START);
        assert!(admission.rejections[0].is_whole());
    }
    assert_eq!(
        hub.quarantine_count().unwrap(),
        1,
        "the same again is kept once"
    );
    assert!(hub.whole_vector().unwrap().is_empty());
    let admission = hub.admit(&good, false, NOW).unwrap();
    assert!(admission.rejections.is_empty());
    assert_equal(&village, &hub);
}

#[test]
fn a_node_that_was_struck_off_the_roster_is_not_taken_in() {
    let mut county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    log_case(&mut village, 1, "张三");
    let roster = county.publish(&Body::Roster(roster_without(SHIQIAO)));
    hub.take_control(&roster, NOW).unwrap();
    send(&village, &mut hub, false);
    assert_eq!(hub.counts().unwrap(), (0, 0));
    assert_eq!(hub.quarantine_count().unwrap(), 1);
}

#[test]
fn a_village_cannot_write_what_the_township_decides() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    write(&mut village, case(SHIQIAO, 1).doc(Kind::Handling), "准予");
    write(
        &mut village,
        case(QINGXI, 1).doc(Kind::Application),
        "替邻村",
    );
    send(&village, &mut hub, false);
    assert_eq!(hub.counts().unwrap(), (0, 0));
    assert_eq!(hub.quarantine_count().unwrap(), 2);
}

/// The refusal of one entry of a batch.
fn refusal(batch: &Batch, index: usize) -> Rejection {
    Rejection {
        log: batch.log,
        seq: batch.first + index as u64,
        doc: batch.entries[index].doc,
        hash: batch.entries[index].hash,
        rule: "G401".into(),
        reason: "无权".into(),
        by: node_of(HUB),
    }
}

#[test]
fn what_an_authority_refuses_leaves_the_document_with_all_that_follows_it() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    let other = case(SHIQIAO, 2).doc(Kind::Application);
    write(&mut village, doc, "一");
    write(&mut village, doc, "二");
    write(&mut village, other, "别的");
    write(&mut village, doc, "三");
    let before = village.identity().unwrap().writer;
    let batch = village.batch(&log_of(&village), 0).unwrap().unwrap();

    let applied = village.reject(&[refusal(&batch, 1)], true, NOW).unwrap();
    assert_eq!(applied.taken_out, 2);
    assert!(applied.new_epoch);
    assert!(village.identity().unwrap().writer.epoch > before.epoch);
    let reading = village.doc(doc).unwrap().unwrap().reading().unwrap();
    assert_eq!(reading.acts.len(), 1);
    assert_eq!(reading.fields["name"].candidates[0].value.reveal(), "一");
    assert_eq!(
        village.quarantine_count().unwrap(),
        2,
        "what was typed is kept"
    );
    let typed = village.refused_writes(batch.entries[1].hash).unwrap();
    assert_eq!(typed.unwrap().len(), 2);
    let tray = village.rejections(Some(case(SHIQIAO, 1)), 10).unwrap();
    assert_eq!(tray.len(), 2);
    assert!(tray.iter().any(|r| r.rejection.rule == HELD_RULE));
    assert!(village.verify().unwrap().is_sound());

    // The same refusal again does nothing, and work goes on in the new epoch.
    let applied = village.reject(&[refusal(&batch, 1)], true, NOW).unwrap();
    assert_eq!((applied.taken_out, applied.new.len()), (0, 0));
    write(&mut village, doc, "四");
    let mut hub = county.node(HUB);
    send(&village, &mut hub, false);
    assert_equal(&village, &hub);
}

#[test]
fn a_refusal_from_below_is_noted_and_nothing_more() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    let batch = village.batch(&log_of(&village), 0).unwrap().unwrap();
    let applied = village.reject(&[refusal(&batch, 0)], false, NOW).unwrap();
    assert_eq!((applied.taken_out, applied.new_epoch), (0, false));
    assert!(village.doc(doc).unwrap().is_some());
}

#[test]
fn a_relay_takes_out_what_the_hub_refused_and_can_tell_the_author() {
    let county = County::new();
    let (mut village, mut town) = (county.node(SHIQIAO), county.node(TOWN));
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    let batch = village.batch(&log_of(&village), 0).unwrap().unwrap();
    send(&village, &mut town, false);
    let applied = town.reject(&[refusal(&batch, 0)], true, NOW).unwrap();
    assert!(!applied.new_epoch, "not its own writer");
    let writers = [node_of(SHIQIAO)].into();
    let told = town.rejections_for(&writers, 10).unwrap();
    village.reject(&told, true, NOW).unwrap();
    assert_equal(&village, &town);
    assert!(village.doc(doc).unwrap().is_none());
    // The village's copy, sent again, does not undo the hub's word.
    let whole = town.readmit(&batch, false, NOW).unwrap();
    assert!(whole.rejections.is_empty());
    assert!(town.doc(doc).unwrap().is_none());
}
