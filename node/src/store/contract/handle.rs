//! The handle: one writer, several readers, answers after the commit.

use std::sync::{Arc, Mutex};

use cuntong_protocol::id::Kind;
use rusqlite::Connection;

use super::disk::scratch;
use crate::store::{
    Derived, Store, StoreError,
    fixture::{County, NOW, SHIQIAO, case, local, opening, write},
};

fn memory(county: &County) -> Store {
    let conn = county.node(SHIQIAO).into_connection();
    Store::over(conn, opening(SHIQIAO, 2)).unwrap()
}

#[test]
fn many_desks_write_at_once_and_each_answer_is_durable() {
    let county = County::new();
    let store = memory(&county);
    let heard = Arc::new(Mutex::new(0_u64));
    let counter = heard.clone();
    store.listen(Box::new(move |news| {
        let mut most = counter.lock().unwrap();
        *most = news
            .iter()
            .map(|(_, head)| head.seq)
            .max()
            .unwrap_or(0)
            .max(*most);
    }));
    std::thread::scope(|scope| {
        for n in 0..16 {
            let store = store.clone();
            scope.spawn(move || {
                let doc = case(SHIQIAO, n).doc(Kind::Application);
                store
                    .write(move |db| {
                        let work = local(db, doc, "张三");
                        db.commit(work)
                    })
                    .unwrap();
                assert!(store.read(move |db| db.doc(doc)).unwrap().is_some());
            });
        }
    });
    assert_eq!(store.read(|db| db.counts()).unwrap(), (16, 16));
    assert_eq!(*heard.lock().unwrap(), 16);
    assert!(store.write(|db| db.verify()).unwrap().is_sound());
}

#[test]
fn work_that_panics_or_fails_is_rolled_back_alone() {
    let county = County::new();
    let store = memory(&county);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    let failed = store.write(move |db| {
        write(db, doc, "一");
        Err::<(), _>(StoreError::Refused("changed its mind"))
    });
    assert!(matches!(failed, Err(StoreError::Refused(_))));
    let panicked = store.write(move |db| -> Result<(), StoreError> {
        write(db, doc, "二");
        panic!("a defect");
    });
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    assert_eq!(store.read(|db| db.counts()).unwrap(), (0, 0));
    store
        .write(move |db| {
            let work = local(db, doc, "三");
            db.commit(work)
        })
        .unwrap();
    let doc = store.read(move |db| db.doc(doc)).unwrap().unwrap();
    assert_eq!(doc.reading().unwrap().acts.len(), 1);
}

#[test]
fn a_directory_belongs_to_one_process_and_an_orderly_restart_goes_on() {
    let dir = scratch("handle");
    let county = Arc::new(County::new());
    let open = |n: u8| Store::open(&dir, NOW, [n; 16], &Derived::NONE, 2);
    let store = open(1).unwrap();
    assert!(matches!(open(2), Err(StoreError::Locked(_))));
    let of_writer = county.clone();
    store
        .write(move |db| {
            of_writer.enrol_in(db, SHIQIAO);
            write(db, case(SHIQIAO, 1).doc(Kind::Application), "张三");
            Ok(())
        })
        .unwrap();
    // A reader's connection knows the county and the epoch at once.
    let epoch = store
        .read(|db| {
            Ok((
                db.identity()?.writer.epoch,
                db.trust()?.places().sites.len(),
            ))
        })
        .unwrap();
    assert_eq!(epoch, (1, 4));
    assert_eq!(store.read(|db| db.counts()).unwrap(), (1, 1));
    store.close().unwrap();
    assert!(matches!(
        store.read(|db| db.counts()),
        Err(StoreError::Closed) | Ok(_)
    ));
    assert!(matches!(store.write(|_| Ok(())), Err(StoreError::Closed)));
    drop(store);

    let store = open(3).unwrap();
    let epoch = store.read(|db| Ok(db.identity()?.writer.epoch)).unwrap();
    assert_eq!(epoch, 1);
    drop(store);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let dir = scratch("corrupt");
    let file = dir.join("cuntong.db");
    std::fs::write(&file, vec![7; 8192]).unwrap();
    let refused = Store::open(&dir, NOW, [1; 16], &Derived::NONE, 1).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("cuntong.db"));
    assert_eq!(std::fs::read(&file).unwrap(), vec![7; 8192]);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_directory_and_its_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let there = scratch("modes");
    let before = std::fs::metadata(&there).map(|held| held.permissions());
    let dir = there.join("state");
    let store = Store::open(&dir, NOW, [1; 16], &Derived::NONE, 1).unwrap();
    store.write(|db| db.set_meta("x", b"y")).unwrap();
    let mode = |name: &str| {
        let path = if name.is_empty() {
            dir.clone()
        } else {
            dir.join(name)
        };
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("cuntong.db"), 0o600);
    assert_eq!(mode("cuntong.db-wal"), 0o600);
    drop(store);
    let _other = Store::open(&there, NOW, [1; 16], &Derived::NONE, 1).unwrap();
    let after = std::fs::metadata(&there).map(|held| held.permissions());
    assert_eq!(
        after.ok(),
        before.ok(),
        "one that was there keeps its rights"
    );
    std::fs::remove_dir_all(&there).unwrap();
}

#[test]
fn a_store_that_is_not_enrolled_says_so() {
    let conn = Connection::open_in_memory().unwrap();
    let store = Store::over(conn, opening(SHIQIAO, 1)).unwrap();
    let refused = store.read(|db| db.trust().map(|_| ()));
    assert!(matches!(refused, Err(StoreError::NotEnrolled)));
}
