//! Power cuts, full disks, damaged and foreign files, backups.

use cuntong_protocol::id::Kind;
use rusqlite::Connection;

use crate::store::{
    Db, Directory, StoreError, backup,
    fixture::{
        County, HUB, NOW, SHIQIAO, assert_equal, case, local, log_case, opening, send, write,
    },
};

#[test]
fn a_power_cut_at_any_step_of_saving_leaves_all_of_it_or_nothing() {
    let doc = case(SHIQIAO, 2).doc(Kind::Application);
    for after in 0_u64.. {
        let county = County::new();
        let mut village = county.node(SHIQIAO);
        log_case(&mut village, 1, "一");
        let work = local(&mut village, doc, "二");
        village.set_crash_after(Some(after));
        let said = village.commit(work);
        let mut again = Db::open(village.into_connection(), opening(SHIQIAO, 2)).unwrap();
        let report = again.verify().unwrap();
        assert!(report.is_sound(), "cut at step {after}: {report:?}");
        if said.is_ok() {
            assert_eq!(again.counts().unwrap(), (2, 2));
            return;
        }
        // Nothing, or all of it when the cut came after the commit.
        assert!(matches!(again.counts().unwrap(), (1, 1) | (2, 2)));
        assert!(again.identity().unwrap().writer.epoch > 1);
    }
}

#[test]
fn a_power_cut_at_any_step_of_taking_in_leaves_the_batch_whole_or_out() {
    for after in 0_u64.. {
        let county = County::new();
        let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
        for n in 1..4 {
            log_case(&mut village, n, "一");
        }
        let log = *village.whole_vector().unwrap().keys().next().unwrap();
        let batch = village.batch(&log, 0).unwrap().unwrap();
        hub.set_crash_after(Some(after));
        let said = hub.admit(&batch, false, NOW);
        let mut hub = Db::open(hub.into_connection(), opening(HUB, 2)).unwrap();
        assert!(matches!(hub.counts().unwrap(), (0, 0) | (3, 3)));
        assert!(hub.verify().unwrap().is_sound());
        send(&village, &mut hub, false);
        assert_equal(&village, &hub);
        if said.is_ok() {
            return;
        }
    }
}

#[test]
fn a_full_disk_saves_nothing_says_so_and_goes_on_when_there_is_room() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    log_case(&mut village, 1, "一");
    let pages: i64 = village
        .connection()
        .query_row("PRAGMA page_count", [], |r| r.get(0))
        .unwrap();
    village
        .connection()
        .execute_batch(&format!("PRAGMA max_page_count = {}", pages + 2))
        .unwrap();
    let mut full = 0;
    for n in 2..30 {
        let doc = case(SHIQIAO, n).doc(Kind::Application);
        let work = local(&mut village, doc, &"长".repeat(1_000));
        match village.commit(work) {
            Ok(_) => {}
            Err(StoreError::DiskFull) => full += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(village.verify().unwrap().is_sound());
    }
    assert!(full > 0);
    let before = village.counts().unwrap().0;
    village
        .connection()
        .execute_batch("PRAGMA max_page_count = 1000000")
        .unwrap();
    log_case(&mut village, 99, "二");
    assert_eq!(village.counts().unwrap().0, before + 1);
    assert!(village.verify().unwrap().is_sound());
}

/// A fresh directory of this test alone.
pub(super) fn scratch(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("cuntong-store-{name}-{}", std::process::id()));
    std::fs::remove_dir_all(&dir).ok();
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn a_backup_restores_to_the_same_records_in_a_new_epoch() {
    let dir = scratch("backup");
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    for n in 1..20 {
        log_case(&mut village, n, "一");
    }
    let file = dir.join("backup.db");
    village.backup(&file).unwrap();
    assert!(matches!(village.backup(&file), Err(StoreError::Refused(_))));

    let home = Directory::lock(&dir.join("home")).unwrap();
    backup::restore(&file, &home).unwrap();
    let mut restored = Db::open(home.connect().unwrap(), opening(SHIQIAO, 2)).unwrap();
    assert_equal(&restored, &village);
    assert!(restored.verify().unwrap().is_sound());
    assert!(restored.identity().unwrap().writer.epoch > 1);
    let twice = backup::restore(&file, &home);
    assert!(matches!(twice, Err(StoreError::Refused(_))));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let dir = scratch("damaged");
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    let file = dir.join("backup.db");
    village.backup(&file).unwrap();
    let conn = Connection::open(&file).unwrap();
    conn.execute("UPDATE document SET snapshot = x'0011'", [])
        .unwrap();
    drop(conn);
    let home = Directory::lock(&dir.join("home")).unwrap();
    assert!(backup::restore(&file, &home).is_err());
    assert!(!home.database().exists());
    std::fs::remove_dir_all(&dir).unwrap();
}
