//! Documents and sums that are not what they should be: found by the next proof, and by hand.

use cuntong_protocol::{
    id::{DocId, Kind, Scope},
    wire::sketch::{Ask, Peeled, peel},
};

use super::sessions::meet;
use crate::store::{
    Db, Recounted,
    fixture::{County, HUB, NOW, SHIQIAO, assert_equal, case, node_of, write},
};

const SCOPE: Scope = Scope {
    kind: Kind::Application,
    site: SHIQIAO,
};

/// A village and a hub that hold five cases alike, each changed once.
fn alike(county: &County) -> (Db, Db) {
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    for n in 1..6 {
        write(&mut village, doc(n), "一");
        write(&mut village, doc(n), "二");
    }
    meet(county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    (village, hub)
}

fn doc(n: u8) -> DocId {
    case(SHIQIAO, n).doc(Kind::Application)
}

/// Behind the store's back.
fn tamper(db: &Db, sql: &str, doc: DocId) {
    db.connection().execute(sql, [&doc.0[..]]).unwrap();
    db.cache.borrow_mut().clear();
}

/// Writes a change that both hold, after which the hub's disk has the document as it was before it:
/// everything that is kept of it, and the sum over its scope.
fn lose_a_change(county: &County, village: &mut Db, hub: &mut Db, doc: DocId) {
    let row = |db: &Db| {
        db.connection()
            .query_row(
                "SELECT heads, digest, snapshot FROM document WHERE id = ?1",
                [&doc.0[..]],
                |r| {
                    Ok((
                        r.get::<_, Vec<u8>>(0)?,
                        r.get::<_, i64>(1)?,
                        r.get::<_, Vec<u8>>(2)?,
                    ))
                },
            )
            .unwrap()
    };
    let (heads, digest, snapshot) = row(hub);
    write(village, doc, "三");
    meet(county, village, hub);
    let change = digest.wrapping_sub(row(hub).1);
    let kept = hub.digests(&[SCOPE]).unwrap()[0].digest.cast_signed();
    let conn = hub.connection();
    conn.execute(
        "UPDATE document SET heads = ?2, digest = ?3, snapshot = ?4 WHERE id = ?1",
        (&doc.0[..], heads, digest, snapshot),
    )
    .unwrap();
    conn.execute("UPDATE scope SET digest = ?1", [kept.wrapping_add(change)])
        .unwrap();
    hub.cache.borrow_mut().clear();
}

fn lines(db: &Db, action: &str) -> usize {
    let audit = db.audit(1_000).unwrap();
    audit.iter().filter(|line| line.action == action).count()
}

#[test]
fn a_document_that_lost_a_change_is_found_by_the_next_proof_mended_and_noted() {
    let county = County::new();
    let (mut village, mut hub) = alike(&county);
    lose_a_change(&county, &mut village, &mut hub, doc(3));
    assert!(!hub.verify().unwrap().is_sound(), "it is damaged");
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    for db in [&mut village, &mut hub] {
        assert!(db.verify().unwrap().is_sound());
        let last = &db.exchanges(1).unwrap()[0];
        assert_eq!((last.repaired, last.result.as_str()), (1, "settled"));
    }
    assert_eq!((lines(&village, "repair"), lines(&hub, "repair")), (0, 1));
}

#[test]
fn a_kept_sum_that_is_wrong_is_made_again_by_the_session_that_finds_it() {
    let county = County::new();
    let (mut village, mut hub) = alike(&county);
    hub.connection()
        .execute_batch("UPDATE scope SET digest = 7, documents = 4")
        .unwrap();
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    assert!(hub.verify().unwrap().is_sound());
    assert_eq!(hub.exchanges(1).unwrap()[0].result, "settled");
}

#[test]
fn what_is_kept_of_a_document_is_made_again_from_its_entries_when_it_is_not_the_document() {
    let county = County::new();
    let (_, mut hub) = alike(&county);
    let count = |hub: &mut Db| {
        let mut total = Recounted::default();
        let mut after = None;
        loop {
            after = hub.recount_documents(after, &mut total, NOW).unwrap();
            if after.is_none() {
                break;
            }
        }
        total.sums = hub.resum().unwrap();
        (total.documents, total.rebuilt, total.sums)
    };
    assert_eq!(count(&mut hub), (5, 0, 0));
    tamper(
        &hub,
        "UPDATE document SET heads = zeroblob(32) WHERE id = ?1",
        doc(1),
    );
    tamper(&hub, "UPDATE document SET digest = 9 WHERE id = ?1", doc(2));
    tamper(
        &hub,
        "UPDATE document SET snapshot = zeroblob(9) WHERE id = ?1",
        doc(3),
    );
    assert_eq!(count(&mut hub), (5, 3, 1));
    assert!(hub.verify().unwrap().is_sound());
    assert_eq!(lines(&hub, "rebuild"), 3);
    hub.connection()
        .execute_batch("UPDATE scope SET digest = 9")
        .unwrap();
    assert_eq!(count(&mut hub), (5, 0, 1));
    assert_eq!(count(&mut hub), (5, 0, 0));
}

#[test]
fn cells_of_two_stores_give_away_what_they_hold_otherwise_and_keys_are_not_used_twice() {
    let county = County::new();
    let (mut village, mut hub) = alike(&county);
    lose_a_change(&county, &mut village, &mut hub, doc(2));
    write(&mut village, doc(7), "七");
    let ask = Ask {
        scope: SCOPE,
        key: None,
        first: 0,
        upto: 32,
    };
    let theirs = village.sketch(node_of(HUB), &ask, NOW).unwrap();
    let again = Ask {
        key: Some(theirs.key),
        ..ask
    };
    let mine = hub.sketch(node_of(SHIQIAO), &again, NOW).unwrap();
    let found = peel(&theirs.message().cells().unwrap(), &mine);
    assert_eq!(found, Peeled::Whole([doc(2), doc(7)].into()));
    assert_eq!((theirs.documents, mine.documents), (6, 5));
    assert_eq!(mine.digest, hub.digests(&[SCOPE]).unwrap()[0].digest);
    let keys = [
        village.sketch(node_of(HUB), &Ask { upto: 64, ..ask }, NOW),
        village.sketch(node_of(HUB), &ask, NOW.after(1)),
        village.sketch(node_of(SHIQIAO), &ask, NOW),
    ];
    assert!(
        keys.into_iter()
            .all(|drawn| drawn.unwrap().key != theirs.key)
    );
}
