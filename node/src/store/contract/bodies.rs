//! Changes that lie in their documents alone.

use cuntong_protocol::{
    id::{ChangeHash, DocId, Kind},
    limits,
    log::{Batch, LogHead, LogId, Rejection},
    time::Millis,
    wire::snap::Reached,
};

use super::sessions::{Sent, meet, meet_until};
use crate::store::{
    Db, Folded,
    fixture::{
        County, HUB, NOW, SHIQIAO, TOWN, acts, assert_equal, case, log_case, node_of, write,
    },
};

const CASES: u8 = 6;

/// A village and a hub that hold the same cases, some of them handled, and have told each other so.
fn land() -> (County, Db, Db) {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    for n in 1..=CASES {
        log_case(&mut village, n, "张三");
        write(&mut village, application(n), "买买提·吐尔逊");
    }
    meet(&county, &mut village, &mut hub);
    for n in (1..=CASES).step_by(2) {
        write(&mut hub, case(SHIQIAO, n).doc(Kind::Handling), "属实");
    }
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    (county, village, hub)
}

fn application(n: u8) -> DocId {
    case(SHIQIAO, n).doc(Kind::Application)
}

/// Folds everything, as if all were old.
fn fold(db: &mut Db) -> u64 {
    db.fold_bodies(None, NOW, 1_000).unwrap().entries
}

fn kept(db: &Db) -> i64 {
    db.connection()
        .query_row("SELECT count(body) FROM entry", [], |r| r.get(0))
        .unwrap()
}

fn batches(db: &Db) -> Vec<Batch> {
    let vector = db.whole_vector().unwrap();
    let all = vector.keys().map(|log| db.batch(log, 0).unwrap().unwrap());
    all.collect()
}

fn snapshots(db: &Db) -> Vec<Vec<u8>> {
    let mut query = db
        .connection()
        .prepare("SELECT snapshot FROM document ORDER BY id")
        .unwrap();
    let rows = query.query_map([], |r| r.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The hub's disk has a document as it was before its last change.
fn lose_the_last_change(county: &County, village: &mut Db, hub: &mut Db, doc: DocId) {
    let old: Vec<u8> = hub
        .connection()
        .query_row(
            "SELECT snapshot FROM document WHERE id = ?1",
            [&doc.0[..]],
            |r| r.get(0),
        )
        .unwrap();
    write(village, doc, "最后一次");
    meet(county, village, hub);
    fold(hub);
    let conn = hub.connection();
    let set = "UPDATE document SET snapshot = ?2 WHERE id = ?1";
    assert_eq!(conn.execute(set, (&doc.0[..], old)).unwrap(), 1);
    hub.cache.borrow_mut().clear();
    *hub.grown.borrow_mut() = Default::default();
}

#[test]
fn a_folded_change_is_told_byte_for_byte_in_every_way_entries_are_told() {
    let (_county, _village, mut hub) = land();
    let scopes = hub.scopes().unwrap();
    let docs: Vec<_> = (1..=CASES).map(application).collect();
    let part = |db: &Db| {
        let most = limits::SNAP_PART_BYTES;
        let part = db.next_sheets(&scopes, &Reached::default(), most, NOW);
        part.unwrap().bytes
    };
    let told = |db: &Db| (batches(db), db.batches_of(&docs).unwrap(), part(db));
    let before = told(&hub);
    assert!(fold(&mut hub) > 0);
    assert_eq!(kept(&hub), 0);
    *hub.grown.borrow_mut() = Default::default();
    hub.cache.borrow_mut().clear();
    assert!(told(&hub) == before);
    assert_eq!(fold(&mut hub), 0);
}

#[test]
fn documents_are_made_again_from_what_was_folded_into_them() {
    let (_county, _village, mut hub) = land();
    let before = snapshots(&hub);
    fold(&mut hub);
    assert!(hub.verify().unwrap().is_sound());
    hub.rebuild(NOW).unwrap();
    assert!(hub.verify().unwrap().is_sound());
    assert_eq!(snapshots(&hub), before);
}

#[test]
fn nothing_is_folded_before_the_county_has_it() {
    let (county, mut village, mut hub) = land();
    write(&mut village, application(1), "新的电话");
    fold(&mut village);
    let (_, bodies) = bodies_of(&village, application(1));
    assert_eq!(bodies, 3);
    assert_eq!(bodies_of(&village, application(2)), (2, 0));
    meet(&county, &mut village, &mut hub);
    fold(&mut village);
    assert_eq!(bodies_of(&village, application(1)), (3, 0));
    assert!(village.verify().unwrap().is_sound());
}

/// Entries of a document, and bodies among them.
fn bodies_of(db: &Db, doc: DocId) -> (i64, i64) {
    db.connection()
        .query_row(
            "SELECT count(*), count(body) FROM entry WHERE doc = ?1",
            [&doc.0[..]],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .unwrap()
}

#[test]
fn what_was_changed_lately_is_left_and_a_walk_goes_on_where_it_stopped() {
    let (_county, _village, mut hub) = land();
    let quiet = Millis(NOW.0 - 1);
    let young = hub.fold_bodies(None, quiet, 1_000).unwrap();
    assert_eq!((young.entries, young.bytes), (0, 0));
    let mut reached = None;
    for _two in 0..hub.counts().unwrap().0.div_ceil(2) {
        let folded = hub.fold_bodies(reached, NOW, 2).unwrap();
        assert!(folded.entries > 0);
        reached = folded.reached;
    }
    assert_eq!(hub.fold_bodies(reached, NOW, 2).unwrap(), Folded::default());
    assert_eq!(kept(&hub), 0);
}

#[test]
fn a_new_machine_is_given_a_county_that_is_folded() {
    let (county, _village, mut hub) = land();
    fold(&mut hub);
    let mut town = county.node(TOWN);
    let mut whole = 0;
    meet_until(&county, &mut town, &mut hub, 1, &mut |_town, sent| {
        whole += usize::from(sent == Sent::Push);
        true
    });
    assert_eq!(whole, 0);
    assert_equal(&town, &hub);
    assert!(town.verify().unwrap().is_sound());
}

#[test]
fn work_goes_on_in_a_folded_document() {
    let (county, mut village, mut hub) = land();
    fold(&mut village);
    fold(&mut hub);
    write(&mut village, application(1), "又一次");
    write(&mut hub, case(SHIQIAO, 1).doc(Kind::Handling), "已核");
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    assert_eq!(acts(&hub, application(1)), 3);
    assert_eq!(bodies_of(&hub, application(1)), (3, 1));
    for db in [&mut village, &mut hub] {
        fold(db);
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn what_was_folded_can_still_be_taken_back_with_its_content() {
    let (_county, mut village, _hub) = land();
    fold(&mut village);
    let log = LogId {
        scope: application(1).scope().unwrap(),
        writer: village.identity().unwrap().writer,
    };
    let entry = village.batch(&log, 1).unwrap().unwrap().entries[0].clone();
    let refusal = Rejection {
        log,
        seq: 2,
        doc: entry.doc,
        hash: entry.hash,
        rule: "R100".into(),
        reason: "不予接收".into(),
        by: node_of(HUB),
    };
    let applied = village.reject(&[refusal], true, NOW).unwrap();
    assert_eq!(applied.taken_out, 1);
    assert_eq!(acts(&village, entry.doc), 1);
    assert!(village.refused_writes(entry.hash).unwrap().is_some());
    assert!(village.verify().unwrap().is_sound());
}

#[test]
fn a_folded_change_lost_with_its_document_is_named_and_comes_back_from_a_neighbour() {
    let (county, mut village, mut hub) = land();
    lose_the_last_change(&county, &mut village, &mut hub, application(2));
    let problems = hub.verify().unwrap().problems;
    assert!(!problems.is_empty() && problems[0].contains(&application(2).to_string()));
    // Made again from what is left, which is less than the logs say.
    hub.rebuild(NOW).unwrap();
    assert_eq!(acts(&hub, application(2)), 2);
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    assert_eq!(acts(&hub, application(2)), 3);
    assert!(hub.verify().unwrap().is_sound());
}

#[test]
fn what_a_document_does_not_give_back_is_never_told_as_refused() {
    let (county, mut village, mut hub) = land();
    lose_the_last_change(&county, &mut village, &mut hub, application(2));
    let vector = hub.whole_vector().unwrap();
    let told = vector.keys().map(|log| hub.batch(log, 0));
    assert!(told.into_iter().any(|batch| batch.is_err()));
    let held = hub.batches_of(&[application(2)]).unwrap();
    let entries = held.iter().flat_map(|b| &b.entries);
    let with: Vec<ChangeHash> = entries
        .filter(|e| e.body.is_some())
        .map(|e| e.hash)
        .collect();
    assert_eq!(with.len(), 2);
    assert_ne!(
        hub.log_head(vector.keys().next().unwrap()).unwrap(),
        LogHead::START
    );
}
