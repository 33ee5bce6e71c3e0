//! What one machine may cost another in a day.

use cuntong_protocol::{
    gate::{Cost, Rule},
    id::{Kind, SiteId},
    limits::QUOTA_DOCUMENTS,
    time::Millis,
};

use super::sessions::{meet, meet_at};
use crate::store::{
    Db,
    fixture::{
        County, HUB, NOW, QINGXI, SHIQIAO, TOWN, assert_equal, case, log_case, node_of, opening,
        write,
    },
};

const DAY_MS: i64 = 24 * 3_600 * 1000;

/// As if the machine of `site` had brought a day's full measure of documents at `at`.
fn fill_the_day(db: &Db, site: SiteId, at: Millis) {
    let conn = db.connection();
    // A log that no vector shows.
    conn.execute(
        "INSERT INTO log (kind, site, node, epoch, seq, chain) VALUES (1, ?1, ?2, 77, 0, zeroblob(32))",
        (site.0, &node_of(site).0[..]),
    )
    .unwrap();
    conn.execute(
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
         INSERT INTO entry (log, seq, doc, hash, chain, state, received_at, body)
         SELECT ?1, i, randomblob(16), randomblob(32), randomblob(32), 0, ?3, x'00' FROM n",
        (
            conn.last_insert_rowid(),
            QUOTA_DOCUMENTS.cast_signed(),
            at.0,
        ),
    )
    .unwrap();
}

/// The rules under which entries are in the tray.
fn tray(db: &Db) -> Vec<String> {
    let refused = db.rejections(None, 10).unwrap();
    refused.into_iter().map(|r| r.rejection.rule).collect()
}

#[test]
fn a_machine_past_its_quota_is_put_off_loses_nothing_and_holds_up_nobody() {
    let county = County::new();
    let (mut village, mut other, mut hub) =
        (county.node(SHIQIAO), county.node(QINGXI), county.node(HUB));
    fill_the_day(&hub, SHIQIAO, NOW);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "张三");
    log_case(&mut other, 1, "李四");
    let epoch = village.identity().unwrap().writer.epoch;
    for later in [0, 1, DAY_MS / 2] {
        meet_at(&county, &mut village, &mut hub, NOW.after(later));
    }
    meet(&county, &mut other, &mut hub);

    assert!(hub.doc(doc).unwrap().is_none());
    assert_eq!(hub.counts().unwrap().0, 1, "the neighbour's is there");
    assert_eq!(hub.quarantine_count().unwrap(), 0);
    assert_eq!(village.identity().unwrap().writer.epoch, epoch);
    assert!(village.doc(doc).unwrap().is_some());
    assert_eq!(village.waiting().unwrap().count, 1);
    for db in [&village, &hub] {
        assert_eq!(tray(db), [Rule::Quota.code()], "both can say why");
    }

    meet_at(&county, &mut village, &mut hub, NOW.after(DAY_MS));
    assert!(hub.doc(doc).unwrap().is_some());
    assert_eq!(village.waiting().unwrap().count, 0);
    for db in [&village, &hub] {
        assert_eq!(tray(db).len(), 0, "it was not refused");
    }
}

#[test]
fn what_a_hub_passes_down_is_not_counted_against_its_writer() {
    let county = County::new();
    let (mut other, mut town, mut hub) = (county.node(QINGXI), county.node(TOWN), county.node(HUB));
    fill_the_day(&town, QINGXI, NOW);
    log_case(&mut other, 1, "李四");
    meet(&county, &mut other, &mut hub);
    meet(&county, &mut town, &mut hub);
    assert_eq!(town.counts().unwrap().0, 1);
}

#[test]
fn what_was_counted_is_what_the_log_says() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    for n in [1, 2, 1] {
        log_case(&mut village, n, "张三");
        meet(&county, &mut village, &mut town);
        meet(&county, &mut town, &mut hub);
    }
    write(&mut town, case(SHIQIAO, 1).doc(Kind::Handling), "准予");
    meet(&county, &mut town, &mut hub);
    let cost = |db: &Db| [SHIQIAO, TOWN].map(|site| db.spent(node_of(site), NOW).unwrap());
    let counted = cost(&hub);
    let (documents, entries) = (counted[0].documents, counted[0].entries);
    assert_eq!((documents, entries), (2, 3));
    assert_eq!((counted[1].documents, counted[1].entries), (1, 1));
    assert!(counted[0].bytes > 100);
    let mut hub = Db::open(hub.close().unwrap(), opening(HUB, 2)).unwrap();
    assert_eq!(cost(&hub), counted);
    let tomorrow = hub.spent(node_of(SHIQIAO), NOW.after(DAY_MS)).unwrap();
    assert_eq!(tomorrow, Cost::default());
    meet(&county, &mut town, &mut hub);
    assert_equal(&town, &hub);
}
