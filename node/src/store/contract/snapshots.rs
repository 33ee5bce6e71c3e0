//! Documents that come ahead of their logs.

use std::collections::BTreeSet;

use cuntong_protocol::{
    id::{DocId, Kind, Scope},
    limits,
    log::LogId,
    sync::Given,
    wire::snap::{self, Reached, Sheet},
};
use rusqlite::Connection;

use super::sessions::{Sent, meet, meet_until};
use crate::store::{
    Db, Derived, Opening,
    fixture::{
        County, HUB, NOW, SHIQIAO, TOWN, acts, assert_equal, case, log_case, opening, send, write,
    },
};

const CASES: u8 = 12;

/// A hub that holds a village's cases, some of them handled, and a township machine that is new.
fn land() -> (County, Db, Db, Db) {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    for n in 1..=CASES {
        log_case(&mut village, n, "张三");
    }
    send(&village, &mut hub, false);
    for n in (1..=CASES).step_by(3) {
        write(&mut hub, case(SHIQIAO, n).doc(Kind::Handling), "属实");
    }
    send(&hub, &mut village, true);
    write(&mut village, application(2), "李四");
    send(&village, &mut hub, false);
    let town = county.node(TOWN);
    (county, village, hub, town)
}

fn application(n: u8) -> DocId {
    case(SHIQIAO, n).doc(Kind::Application)
}

fn sheet_of(db: &Db, id: DocId) -> Sheet {
    let scopes: Vec<Scope> = id.scope().into_iter().collect();
    let part = db
        .next_sheets(&scopes, &Reached::default(), limits::SNAP_PART_BYTES, NOW)
        .unwrap();
    let sheets = snap::read(&part.bytes).unwrap();
    sheets.into_iter().find(|sheet| sheet.id == id).unwrap()
}

#[test]
fn a_new_machine_has_every_document_before_the_first_log() {
    let (county, _village, mut hub, mut town) = land();
    let mut packs = 0;
    let documents = hub.counts().unwrap().0;
    meet_until(&county, &mut town, &mut hub, 1, &mut |town, sent| {
        if let Sent::Pack = sent {
            packs += 1;
            assert_eq!(town.counts().unwrap().0, documents);
        }
        true
    });
    assert!(packs > 0);
    assert_eq!(town.changes_ahead().unwrap(), 0);
    assert_equal(&town, &hub);
    assert!(town.verify().unwrap().is_sound());
}

#[test]
fn the_logs_leave_out_what_came_with_the_documents() {
    let (county, _village, mut hub, mut town) = land();
    let mut whole = 0;
    meet_until(&county, &mut town, &mut hub, 1, &mut |_town, sent| {
        whole += usize::from(sent == Sent::Push);
        true
    });
    assert_eq!(whole, 0);
}

#[test]
fn a_pack_whose_beginning_another_node_brought_is_not_asked_for_again() {
    let county = County::new();
    let (mut village, mut hub, mut town) =
        (county.node(SHIQIAO), county.node(HUB), county.node(TOWN));
    log_case(&mut village, 1, "张三");
    let log = LogId {
        scope: application(1).scope().unwrap(),
        writer: village.identity().unwrap().writer,
    };
    let beginning = village.batch(&log, 0).unwrap().unwrap();
    for n in 2..=CASES {
        log_case(&mut village, n, "张三");
    }
    send(&village, &mut hub, false);
    let (mut packs, mut whole) = (0, 0);
    meet_until(&county, &mut town, &mut hub, 1, &mut |town, sent| {
        if sent == Sent::Pack {
            packs += 1;
            // The village's own line is quicker.
            town.admit(&beginning, false, NOW).unwrap();
        }
        whole += usize::from(sent == Sent::Push);
        true
    });
    assert!(packs > 0);
    assert_eq!(whole, 0);
    assert_eq!(town.changes_ahead().unwrap(), 0);
    assert_equal(&town, &hub);
    assert!(town.verify().unwrap().is_sound());
}

#[test]
fn a_snapshot_cut_after_any_message_goes_on_where_it_was() {
    for cut in 1.. {
        let (county, _village, mut hub, mut town) = land();
        let (mut said, mut through) = (0, true);
        meet_until(&county, &mut town, &mut hub, 1, &mut |_town, _sent| {
            said += 1;
            through = said < cut;
            through
        });
        assert!(town.verify().unwrap().is_sound(), "cut after {cut}");
        let held = town.counts().unwrap().0;
        let mut again = BTreeSet::new();
        meet_until(&county, &mut town, &mut hub, 1, &mut |_town, sent| {
            if let Sent::Snap(reached) = sent {
                again.insert(reached);
            }
            true
        });
        assert_eq!(town.changes_ahead().unwrap(), 0, "cut after {cut}");
        assert_equal(&town, &hub);
        assert!(town.verify().unwrap().is_sound(), "cut after {cut}");
        let all = hub.counts().unwrap().0;
        assert!(held < all || again.is_empty(), "cut after {cut}");
        if through {
            return;
        }
    }
}

#[test]
fn work_on_a_document_that_came_ahead_of_its_log_is_kept() {
    let (county, _village, mut hub, mut town) = land();
    meet_until(&county, &mut town, &mut hub, 1, &mut |town, _sent| {
        town.counts().unwrap().0 < 5
    });
    assert!(town.changes_ahead().unwrap() > 0);
    write(&mut town, case(SHIQIAO, 1).doc(Kind::Handling), "已核");
    meet(&county, &mut town, &mut hub);
    assert_equal(&town, &hub);
    assert_eq!(acts(&hub, case(SHIQIAO, 1).doc(Kind::Handling)), 2);
    assert!(town.verify().unwrap().is_sound());
}

#[test]
fn a_change_that_nobody_sealed_leaves_its_document_when_the_logs_are_there() {
    let (county, mut village, mut hub, mut town) = land();
    // Written, sealed, but never told to the hub; and the hub's sheet of another document.
    log_case(&mut village, 99, "王五");
    let mut sheets = vec![
        sheet_of(&village, application(99)),
        sheet_of(&hub, application(2)),
    ];
    // One of two changes: the rest comes with the logs.
    sheets[1].changes.truncate(1);
    let given = Given {
        part: 1,
        sheets,
        reached: Reached(vec![1]),
        left: 7,
    };
    town.take_snapshot(&given, NOW).unwrap();
    assert!(town.doc(application(99)).unwrap().is_some());
    assert!(town.verify().unwrap().is_sound());
    meet(&county, &mut town, &mut hub);
    assert!(town.doc(application(99)).unwrap().is_none());
    assert_equal(&town, &hub);
    assert!(town.verify().unwrap().is_sound());
}

#[test]
fn a_document_the_gate_refuses_delays_no_other() {
    let (county, _village, mut hub, mut town) = land();
    let mut poisoned = sheet_of(&hub, application(1));
    // Another machine's name on a change.
    poisoned.changes[0].0 = hub.identity().unwrap().writer;
    let given = Given {
        part: 1,
        sheets: vec![poisoned, sheet_of(&hub, application(3))],
        reached: Reached::default(),
        left: 1,
    };
    town.take_snapshot(&given, NOW).unwrap();
    assert!(town.doc(application(1)).unwrap().is_none());
    assert!(town.doc(application(3)).unwrap().is_some());
    meet(&county, &mut town, &mut hub);
    assert_equal(&town, &hub);
}

/// Rows of cases: those with an odd number are open, greater numbers are newer.
static LIST: Derived = Derived {
    version: 1,
    sql: "CREATE TABLE list (n INTEGER PRIMARY KEY, case_id BLOB, site INTEGER, open INTEGER)",
    tables: &["list"],
    compare: &["SELECT * FROM list ORDER BY n"],
    cases: "SELECT n, case_id FROM list WHERE site = ?1 AND open = ?2 AND n < ?3
            ORDER BY n DESC LIMIT ?4",
    refresh: |conn, _trust, doc, _load| {
        let Some(case) = doc.case() else {
            return Ok(());
        };
        let n = case.0[14];
        conn.execute(
            "INSERT OR IGNORE INTO list VALUES (?1, ?2, ?3, ?4)",
            (n, &case.0[..], case.site().0, n % 2),
        )?;
        Ok(())
    },
};

/// A hub that keeps such rows, with six cases of a village, one of them handled.
fn hub_with_rows() -> Db {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    for n in 1..=6 {
        log_case(&mut village, n, "张三");
    }
    let conn = Connection::open_in_memory().unwrap();
    let start = Opening {
        derived: &LIST,
        ..opening(HUB, 1)
    };
    let mut hub = county.enrol(Db::open(conn, start).unwrap(), HUB);
    send(&village, &mut hub, false);
    write(&mut hub, case(SHIQIAO, 5).doc(Kind::Handling), "属实");
    hub
}

/// A snapshot of that village, one case at a time: number and kind of each document, and what was
/// still to come after each part. `between` is called after each part.
fn told(mut hub: Db, between: impl Fn(&mut Db, usize)) -> (Vec<(u8, Kind)>, Vec<u64>) {
    let scopes = [Kind::Application, Kind::Handling].map(|kind| Scope {
        kind,
        site: SHIQIAO,
    });
    let (mut reached, mut order, mut lefts) = (Reached::default(), Vec::new(), Vec::new());
    loop {
        let part = hub.next_sheets(&scopes, &reached, 1, NOW).unwrap();
        for sheet in snap::read(&part.bytes).unwrap_or_default() {
            order.push((sheet.id.0[15], sheet.id.scope().unwrap().kind));
        }
        lefts.push(part.left);
        if part.left == 0 {
            return (order, lefts);
        }
        reached = part.reached;
        between(&mut hub, lefts.len());
    }
}

#[test]
fn open_cases_come_before_closed_ones_and_the_newest_first() {
    let (order, lefts) = told(hub_with_rows(), |_hub, _part| {});
    let application = |n| (n, Kind::Application);
    let handled = (5, Kind::Handling);
    let closed = [application(6), application(4), application(2)];
    let open = [application(5), handled, application(3), application(1)];
    assert_eq!(order, [&open[..], &closed[..]].concat());
    assert!(lefts.is_sorted_by(|a, b| a >= b), "{lefts:?}");
}

#[test]
fn no_document_is_missed_while_the_rows_are_made_again() {
    for after in 0..4 {
        let mut hub = hub_with_rows();
        let again = |hub: &mut Db| {
            hub.transact(|db| {
                db.make_derived()?;
                db.mark_stale()
            })
            .unwrap();
        };
        if after == 0 {
            again(&mut hub);
        }
        let (order, _lefts) = told(hub, |hub, parts| {
            if parts == after {
                again(hub);
            }
        });
        let told: BTreeSet<_> = order.into_iter().collect();
        assert_eq!(told.len(), 7, "made again after part {after}");
    }
}
