//! Restores, clones, power cuts and forks: no wedge, nothing lost, nothing doubled.

use std::sync::Arc;

use cuntong_protocol::{
    id::{DocId, Kind},
    wire::Fork,
};
use rusqlite::Connection;

use crate::store::{
    Db, Marker as _, MemoryMarker, Opening,
    fixture::{County, HUB, NOW, SHIQIAO, acts, assert_equal, case, node_of, opening, send, write},
};

/// A village whose marker the test can reach.
fn village(county: &County) -> (Db, MemoryMarker) {
    let marker = MemoryMarker::default();
    let conn = Connection::open_in_memory().unwrap();
    let db = Db::open(conn, start(&marker, 1)).unwrap();
    (county.enrol(db, SHIQIAO), marker)
}

fn start(marker: &MemoryMarker, n: u8) -> Opening {
    Opening {
        marker: Arc::new(marker.clone()),
        ..opening(SHIQIAO, n)
    }
}

fn epoch(db: &Db) -> u32 {
    db.identity().unwrap().writer.epoch
}

fn doc(n: u8) -> DocId {
    case(SHIQIAO, n).doc(Kind::Application)
}

/// A copy of a database, as a backup or a cloned disk has it.
fn copy(db: &Db) -> Connection {
    let mut to = Connection::open_in_memory().unwrap();
    db.copy_into(&mut to).unwrap();
    to
}

#[test]
fn an_orderly_restart_goes_on_and_a_power_cut_begins_anew() {
    let county = County::new();
    let (db, marker) = village(&county);
    assert_eq!(epoch(&db), 1);
    let conn = db.close().unwrap();
    let db = Db::open(conn, start(&marker, 2)).unwrap();
    assert_eq!(epoch(&db), 1);
    let db = Db::open(db.into_connection(), start(&marker, 3)).unwrap();
    assert!(epoch(&db) > 1);
}

#[test]
fn a_machine_set_back_to_a_picture_of_its_running_self_takes_an_epoch_it_had_not() {
    let county = County::new();
    let (db, marker) = village(&county);
    let picture = copy(&db);
    let then = MemoryMarker {
        state: Arc::new(std::sync::Mutex::new(marker.read().unwrap())),
        machine: marker.machine,
    };
    // It went on from a power cut, and then was set back to before it.
    let later = Db::open(db.into_connection(), start(&marker, 2)).unwrap();
    let set_back = Db::open(picture, start(&then, 3)).unwrap();
    assert_ne!(epoch(&set_back), epoch(&later));
}

#[test]
fn a_restored_backup_and_a_cloned_disk_begin_epochs_nobody_used() {
    let county = County::new();
    let (db, marker) = village(&county);
    let backup = copy(&db);
    let conn = db.close().unwrap();
    let clone_marker = MemoryMarker {
        state: Arc::new(std::sync::Mutex::new(marker.read().unwrap())),
        machine: [9; 8],
    };
    let cloned = copy(&Db::open(conn, start(&marker, 2)).unwrap());
    let restored = Db::open(backup, start(&marker, 3)).unwrap();
    assert!(epoch(&restored) > 2);
    // The clone's marker is of the start before: it would not match either way.
    let clone = Db::open(cloned, start(&clone_marker, 4)).unwrap();
    assert!(epoch(&clone) > 2);
    assert_ne!(epoch(&clone), epoch(&restored));
}

#[test]
fn a_copy_made_while_the_node_ran_and_put_back_after_it_stopped_begins_a_new_epoch() {
    let county = County::new();
    let (mut db, marker) = village(&county);
    write(&mut db, doc(1), "一");
    let backup = copy(&db);
    write(&mut db, doc(2), "二");
    let known = epoch(&db);
    let _set_aside = db.close().unwrap();
    let restored = Db::open(backup, start(&marker, 2)).unwrap();
    assert!(epoch(&restored) > known + 1, "a restored backup leaps");
}

#[test]
fn the_hybrid_clock_survives_a_restart() {
    let county = County::new();
    let (mut db, marker) = village(&county);
    write(&mut db, doc(1), "一");
    let before = db.act_id(NOW).unwrap();
    let conn = db.close().unwrap();
    let mut db = Db::open(conn, start(&marker, 2)).unwrap();
    // The desk's clock went back a day.
    let after = db.act_id(NOW.after(-86_400_000)).unwrap();
    assert!(after >= before);
}

#[test]
fn a_node_that_finds_its_own_later_entries_elsewhere_begins_a_new_epoch() {
    let county = County::new();
    let (mut db, marker) = village(&county);
    let mut hub = county.node(HUB);
    write(&mut db, doc(1), "一");
    let backup = copy(&db);
    write(&mut db, doc(1), "二");
    send(&db, &mut hub, false);
    drop(db);
    // Restored so well that the marker shows nothing.
    let mut db = undetected(backup, &marker);
    let before = epoch(&db);
    send(&hub, &mut db, true);
    assert!(epoch(&db) > before);
    write(&mut db, doc(1), "三");
    send(&db, &mut hub, false);
    assert_equal(&db, &hub);
}

/// Opens a copy whose marker was copied along.
fn undetected(conn: Connection, marker: &MemoryMarker) -> Db {
    let nonce: Vec<u8> = conn
        .query_row("SELECT value FROM meta WHERE name = 'nonce'", [], |r| {
            r.get(0)
        })
        .unwrap();
    let mut state = marker.read().unwrap().unwrap();
    (state.nonce, state.clean) = (nonce.try_into().unwrap(), true);
    marker.write(state).unwrap();
    Db::open(conn, start(marker, 7)).unwrap()
}

/// The hub holds "二" at position 2; the restored village wrote "二号" there, unaware.
fn forked(county: &County) -> (Db, Db, Fork) {
    let (mut db, marker) = village(county);
    let mut hub = county.node(HUB);
    write(&mut db, doc(1), "一");
    let backup = copy(&db);
    write(&mut db, doc(1), "二");
    write(&mut db, doc(2), "李四");
    send(&db, &mut hub, false);
    drop(db);
    let mut db = undetected(backup, &marker);
    write(&mut db, doc(1), "二号");
    write(&mut db, doc(3), "王五");
    let log = *db.whole_vector().unwrap().keys().next().unwrap();
    let batch = db.batch(&log, 1).unwrap().unwrap();
    let fork = hub.admit(&batch, false, NOW).unwrap().fork.unwrap();
    assert_eq!((fork.by, fork.held.seq), (node_of(HUB), 3));
    (db, hub, fork)
}

#[test]
fn a_fork_is_mended_and_what_was_written_on_either_branch_is_there_once() {
    let county = County::new();
    let (mut db, mut hub, fork) = forked(&county);
    let before = epoch(&db);
    let done = db.fork(&fork, NOW).unwrap();
    assert!(done.new_epoch && epoch(&db) > before);
    assert_eq!(done.taken_out, 3, "nothing was acknowledged, so all three");
    assert_eq!(db.waiting().unwrap().count, 3, "and all three still wait");
    assert!(
        db.adopt_orphans(NOW).unwrap().is_empty(),
        "not before upstream's are here"
    );
    send(&hub, &mut db, true);
    let heads = db.adopt_orphans(NOW).unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!(db.orphans().unwrap(), 0);
    assert!(db.adopt_orphans(NOW).unwrap().is_empty(), "once");
    send(&db, &mut hub, false);
    assert_equal(&db, &hub);
    assert!(db.verify().unwrap().is_sound());
    assert!(hub.verify().unwrap().is_sound());

    let reading = hub.doc(doc(1)).unwrap().unwrap().reading().unwrap();
    assert_eq!(reading.acts.len(), 3);
    let mut values: Vec<_> = reading.fields["name"]
        .candidates
        .iter()
        .map(|c| c.value.reveal().to_owned())
        .collect();
    values.sort();
    assert_eq!(
        values,
        ["二", "二号"],
        "both desks' values are kept, as a conflict"
    );
    for n in [2, 3] {
        let reading = hub.doc(doc(n)).unwrap().unwrap().reading().unwrap();
        assert_eq!(reading.acts.len(), 1);
    }
}

#[test]
fn an_acknowledged_branch_is_not_taken_out() {
    let county = County::new();
    let (mut db, hub, fork) = forked(&county);
    let log = fork.log;
    let first = db.head_at(&log, 1).unwrap().unwrap();
    let receipt = hub.sign_receipt(&[(log, first)], NOW).unwrap();
    db.keep_receipts(&[receipt]).unwrap();
    assert_eq!(db.fork(&fork, NOW).unwrap().taken_out, 2);
}

#[test]
fn a_power_cut_at_any_step_of_mending_a_fork_loses_and_doubles_nothing() {
    for after in 0_u64.. {
        let county = County::new();
        let (mut db, mut hub, fork) = forked(&county);
        let marker = MemoryMarker::default();
        db.set_crash_after(Some(after));
        let done = db.fork(&fork, NOW).is_ok() && {
            send_until_crash(&hub, &mut db);
            db.adopt_orphans(NOW).is_ok()
        };
        db.set_crash_after(None);
        let mut db = Db::open(db.into_connection(), start(&marker, 8)).unwrap();
        assert!(db.verify().unwrap().is_sound(), "cut at step {after}");
        db.fork(&fork, NOW).unwrap();
        send(&hub, &mut db, true);
        db.adopt_orphans(NOW).unwrap();
        send(&db, &mut hub, false);
        assert_equal(&db, &hub);
        let acts: usize = [1, 2, 3].map(|n| acts(&hub, doc(n))).iter().sum();
        assert_eq!(acts, 5, "cut at step {after}");
        if done {
            return;
        }
    }
}

/// As much of `from` as gets in before the power goes.
fn send_until_crash(from: &Db, to: &mut Db) {
    for log in from.whole_vector().unwrap().keys() {
        while let Some(batch) = from.batch(log, to.log_head(log).unwrap().seq).unwrap() {
            if to.admit(&batch, true, NOW).is_err() {
                return;
            }
        }
    }
}
