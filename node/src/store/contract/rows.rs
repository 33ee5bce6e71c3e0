//! The rows kept beside the documents are what the documents say, and can be made again.

use std::sync::Arc;

use cuntong_protocol::{
    control::{Body, CalendarDoc},
    id::Kind,
};
use rusqlite::Connection;

use crate::{
    store::{
        Db, Derived, MemoryMarker, Opening,
        fixture::{County, HUB, NOW, SHIQIAO, case, opening, send, write},
    },
    view::ROWS,
};

fn start(n: u8, derived: &'static Derived) -> Opening {
    Opening {
        derived,
        marker: Arc::new(MemoryMarker::default()),
        ..opening(SHIQIAO, n)
    }
}

fn village(county: &County) -> Db {
    let conn = Connection::open_in_memory().unwrap();
    county.enrol(Db::open(conn, start(1, &ROWS)).unwrap(), SHIQIAO)
}

fn cases(db: &Db) -> i64 {
    let count = "SELECT count(*) FROM case_row";
    db.connection().query_row(count, [], |r| r.get(0)).unwrap()
}

#[test]
fn rows_made_again_are_equal_and_a_changed_one_is_found() {
    let county = County::new();
    let mut db = village(&county);
    let mut hub = county.node(HUB);
    for n in 1..8 {
        write(&mut db, case(SHIQIAO, n).doc(Kind::Application), "张三");
    }
    send(&db, &mut hub, false);
    write(&mut hub, case(SHIQIAO, 3).doc(Kind::Handling), "已审");
    send(&hub, &mut db, true);
    assert_eq!(cases(&db), 7);
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(cases(&db), 7, "verifying changes nothing");

    db.connection()
        .execute(
            "UPDATE case_row SET item = 'x' WHERE rowid = (SELECT max(rowid) FROM case_row)",
            [],
        )
        .unwrap();
    let report = db.verify().unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].starts_with("derived rows: 1 differ"));
    db.rebuild(NOW).unwrap();
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn rows_follow_a_new_calendar_a_slice_at_a_time_and_a_new_version_of_their_own() {
    let mut county = County::new();
    let mut db = village(&county);
    for n in 0..=255 {
        write(&mut db, case(SHIQIAO, n).doc(Kind::Application), "张三");
    }
    let calendar = county.publish(&Body::Calendar(CalendarDoc {
        years: vec![2026],
        ..CalendarDoc::default()
    }));
    db.take_control(&calendar, NOW).unwrap();
    assert!(
        db.is_stale().unwrap(),
        "the first slice is done, the rest waits"
    );
    while db.tend().unwrap() {}
    assert!(!db.is_stale().unwrap());
    assert!(db.verify().unwrap().is_sound());

    let db = Db::open(db.into_connection(), start(2, &Derived::NONE)).unwrap();
    let mut db = Db::open(db.into_connection(), start(3, &ROWS)).unwrap();
    assert_eq!(cases(&db), 256);
    assert!(db.verify().unwrap().is_sound());
}
