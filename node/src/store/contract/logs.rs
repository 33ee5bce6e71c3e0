//! Writing, sealing, sending, taking in.

use cuntong_protocol::{
    id::Kind,
    limits::BATCH_BYTES_MAX,
    log::{LogHead, LogId},
};

use crate::store::{
    Local, StoreError,
    fixture::{
        County, HUB, NOW, QINGXI, SHIQIAO, TOWN, assert_equal, case, local, log_case, person, send,
        write,
    },
};

#[test]
fn a_saved_record_is_logged_sealed_and_reads_back() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    let done = write(&mut village, doc, "张三");

    let log = LogId {
        scope: doc.scope().unwrap(),
        writer: village.identity().unwrap().writer,
    };
    assert_eq!(done.heads, vec![(log, village.log_head(&log).unwrap())]);
    assert_eq!(village.take_news(), done.heads);
    let batch = village.batch(&log, 0).unwrap().unwrap();
    assert_eq!(batch.entries.len(), 1);
    let key = village.identity().unwrap().sign.verifying_key().to_bytes();
    assert!(batch.seal.verify(&log, &key));
    let reading = village.doc(doc).unwrap().unwrap().reading().unwrap();
    assert_eq!(reading.acts.len(), 1);
    assert_eq!(reading.fields["name"].candidates[0].value.reveal(), "张三");
    let report = village.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.documents, report.entries, report.seals), (1, 1, 1));
}

#[test]
fn the_same_piece_of_work_twice_is_written_once() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    let mut work = local(&mut village, doc, "张三");
    work.once = Some([5; 16]);
    work.answer = b"first".to_vec();
    work.audit = Some((person(SHIQIAO), "log"));
    assert!(!village.commit(work.clone()).unwrap().again);
    work.answer = b"second".to_vec();
    let again = village.commit(work).unwrap();
    assert!(again.again);
    assert_eq!(again.answer, b"first");
    assert_eq!(village.counts().unwrap(), (1, 1));
    assert_eq!(village.audit(1).unwrap()[0].action, "log");
}

#[test]
fn an_act_of_an_earlier_epoch_is_not_written() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    let work = local(&mut village, doc, "张三");
    village
        .begin_epoch(crate::store::Why::Unclean, NOW)
        .unwrap();
    assert!(matches!(village.commit(work), Err(StoreError::Document(_))));
    assert_eq!(village.counts().unwrap(), (0, 0));
}

#[test]
fn a_batch_ends_at_the_last_seal_that_fits_and_batches_follow_gaplessly() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    for n in 0..10 {
        let doc = case(SHIQIAO, n).doc(Kind::Application);
        let name = "长".repeat(1_000);
        let mut work = local(&mut village, doc, "");
        for field in 0..5 {
            let value = Some(cuntong_protocol::text::Private::new(name.clone()));
            work.writes[0]
                .1
                .push(cuntong_protocol::document::Write::Field(
                    format!("f{field}"),
                    value,
                ));
        }
        village.commit(work).unwrap();
    }
    let log = *village.whole_vector().unwrap().keys().next().unwrap();
    let mut at = LogHead::START;
    let mut batches = 0;
    while let Some(batch) = village.batch(&log, at.seq).unwrap() {
        let bytes: usize = batch
            .entries
            .iter()
            .map(|e| e.body.as_ref().unwrap().len())
            .sum();
        assert!(bytes <= BATCH_BYTES_MAX);
        for entry in &batch.entries {
            at = at.after(entry.doc, entry.hash);
        }
        assert_eq!(at, batch.seal.head);
        batches += 1;
    }
    assert_eq!(at, village.log_head(&log).unwrap());
    assert!(batches > 1);
}

#[test]
fn a_large_piece_of_work_is_one_commit_of_several_sealed_runs() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let mut work = Local {
        at: NOW,
        ..Local::default()
    };
    for n in 0..40 {
        let doc = case(SHIQIAO, n).doc(Kind::Application);
        work.writes
            .extend(local(&mut village, doc, &"长".repeat(1_000)).writes);
    }
    village.commit(work).unwrap();
    let mut hub = county.node(HUB);
    send(&village, &mut hub, false);
    assert_equal(&village, &hub);
    assert!(hub.verify().unwrap().seals > 1);
}

#[test]
fn what_comes_twice_or_out_of_order_changes_nothing() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let mut hub = county.node(HUB);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "张三");
    let log = *village.whole_vector().unwrap().keys().next().unwrap();
    let first = village.batch(&log, 0).unwrap().unwrap();
    write(&mut village, doc, "张三丰");
    let second = village.batch(&log, 1).unwrap().unwrap();

    let gap = hub.admit(&second, false, NOW).unwrap();
    assert_eq!((gap.head, gap.fork), (LogHead::START, None));
    assert!(gap.rejections.is_empty());
    for _twice in 0..2 {
        hub.admit(&first, false, NOW).unwrap();
        hub.admit(&second, false, NOW).unwrap();
    }
    // A run that overlaps what is held.
    let both = village.batch(&log, 0).unwrap().unwrap();
    assert_eq!(both.entries.len(), 2);
    hub.admit(&both, false, NOW).unwrap();
    assert_equal(&village, &hub);
    assert_eq!(hub.counts().unwrap(), (1, 2));
    assert!(hub.verify().unwrap().is_sound());
}

#[test]
fn a_relay_passes_on_what_it_never_wrote_and_the_end_verifies_the_author() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    log_case(&mut village, 1, "张三");
    send(&village, &mut town, false);
    write(&mut town, case(SHIQIAO, 1).doc(Kind::Handling), "收");
    send(&town, &mut hub, false);
    send(&hub, &mut village, true);
    assert_equal(&village, &hub);
    assert_equal(&town, &hub);
    assert_eq!(hub.counts().unwrap(), (2, 2));
}

#[test]
fn a_change_that_comes_before_what_it_depends_on_waits_for_it() {
    let county = County::new();
    let (mut town, mut hub, mut village) =
        (county.node(TOWN), county.node(HUB), county.node(SHIQIAO));
    let doc = case(SHIQIAO, 1).doc(Kind::Handling);
    write(&mut town, doc, "受理");
    send(&town, &mut hub, false);
    write(&mut hub, doc, "督办");
    write(&mut hub, case(SHIQIAO, 2).doc(Kind::Handling), "别的");

    let of_hub = hub.identity().unwrap().writer;
    let vector = hub.whole_vector().unwrap();
    let (later, earlier): (Vec<_>, Vec<_>) = vector.keys().partition(|l| l.writer == of_hub);
    let batch = hub.batch(later[0], 0).unwrap().unwrap();
    let admission = village.admit(&batch, true, NOW).unwrap();
    assert_eq!(admission.head, batch.seal.head);
    assert!(admission.rejections.is_empty());
    assert!(village.doc(doc).unwrap().is_none());
    assert_eq!(village.counts().unwrap().0, 1, "the other document goes on");

    let batch = hub.batch(earlier[0], 0).unwrap().unwrap();
    village.admit(&batch, true, NOW).unwrap();
    assert_equal(&village, &hub);
    assert!(village.verify().unwrap().is_sound());
}

#[test]
fn a_document_damaged_on_disk_is_found_and_made_again() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "张三");
    log_case(&mut village, 2, "李四");
    village
        .connection()
        .execute(
            "UPDATE document SET snapshot = x'00' WHERE id = ?1",
            [&doc.0[..]],
        )
        .unwrap();
    village.forget(doc);
    assert!(!village.verify().unwrap().is_sound());
    village.rebuild(NOW).unwrap();
    let report = village.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn a_repair_sends_the_runs_that_hold_a_document_and_nothing_else_of_them() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    let mut work = local(
        &mut village,
        case(SHIQIAO, 1).doc(Kind::Application),
        "张三",
    );
    let other = local(
        &mut village,
        case(SHIQIAO, 2).doc(Kind::Application),
        "李四",
    );
    work.writes.extend(other.writes);
    village.commit(work).unwrap();
    log_case(&mut village, 3, "王五");
    send(&village, &mut hub, false);
    // The hub's copy of one document lost its entry's content.
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    hub.connection()
        .execute(
            "UPDATE entry SET state = 2, body = NULL WHERE doc = ?1",
            [&doc.0[..]],
        )
        .unwrap();
    hub.rebuild(NOW).unwrap();
    assert_ne!(hub.digests(&[]).unwrap(), village.digests(&[]).unwrap());

    let batches = village.batches_of(&[doc]).unwrap();
    assert_eq!(batches.len(), 1);
    let bodies = batches[0].entries.iter().filter(|e| e.body.is_some());
    assert_eq!((batches[0].entries.len(), bodies.count()), (2, 1));
    hub.readmit(&batches[0], false, NOW).unwrap();
    assert_equal(&village, &hub);
    assert!(hub.verify().unwrap().is_sound());
}

#[test]
fn memory_does_not_grow_with_the_number_of_documents() {
    let county = County::new();
    let mut village = county.node(QINGXI);
    for n in 0..=255 {
        log_case(&mut village, n, "张三");
        write(&mut village, case(QINGXI, n).doc(Kind::Notice), "公示");
    }
    assert_eq!(village.counts().unwrap().0, 512);
    assert!(village.cache.borrow().len() <= crate::store::docs::CACHED_MAX);
}
