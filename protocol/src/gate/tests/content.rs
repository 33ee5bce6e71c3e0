//! What a change writes: new acts of its own and fields, and nothing else.

use automerge::transaction::Transactable as _;

use super::*;

#[test]
fn acts_are_put_once_under_the_writers_own_id() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, written, entries) = case();
    let mut doc = Doc::new(written.id());
    for e in &entries {
        doc = entry(&doc, e, desk.writer, &g).unwrap();
    }
    let first = doc.reading().unwrap().acts[0].id;
    let overwrite = raw(&mut desk, &doc, |tx, acts, _| {
        let key = data_encoding::HEXLOWER.encode(&first.0);
        tx.put(acts, key, automerge::ScalarValue::Bytes(vec![1]))
            .unwrap();
    });
    assert_eq!(
        entry(&doc, &overwrite, desk.writer, &g).unwrap_err(),
        Rule::OtherWrites
    );
    let delete = raw(&mut desk, &doc, |tx, acts, _| {
        tx.delete(acts, data_encoding::HEXLOWER.encode(&first.0))
            .unwrap();
    });
    assert_eq!(
        entry(&doc, &delete, desk.writer, &g).unwrap_err(),
        Rule::OtherWrites
    );
    let foreign = ActId::of(Millis(5), 0, Desk::new(QINGXI).writer.actor());
    let forged = raw(&mut desk, &doc, |tx, acts, _| {
        let key = data_encoding::HEXLOWER.encode(&foreign.0);
        tx.put(acts, key, automerge::ScalarValue::Bytes(vec![1]))
            .unwrap();
    });
    assert_eq!(
        entry(&doc, &forged, desk.writer, &g).unwrap_err(),
        Rule::ActId
    );
    let own = ActId::of(Millis(desk.at), 9, desk.writer.actor());
    let garbage = raw(&mut desk, &doc, |tx, acts, _| {
        let key = data_encoding::HEXLOWER.encode(&own.0);
        tx.put(acts, key, automerge::ScalarValue::Bytes(vec![0x9f; 40]))
            .unwrap();
    });
    assert_eq!(
        entry(&doc, &garbage, desk.writer, &g).unwrap_err(),
        Rule::Act
    );
}

/// A village whose key is stolen must not hold up every node that folds its case.
#[test]
fn a_document_takes_no_more_acts_than_a_fold_can_bear() {
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, mut doc, _) = case();
    let withdraw = || {
        let text = "不办了".to_owned();
        ActBody::Withdraw(Reason { text })
    };
    let room = limits::DOCUMENT_ACTS_MAX - doc.act_count();
    let writes: Vec<_> = (1..room).map(|_| desk.act(withdraw())).collect();
    for some in writes.chunks(100) {
        desk.write(&mut doc, some);
    }
    let last = [desk.act(withdraw())];
    let last = desk.write(&mut doc.fork(), &last);
    let full = entry(&doc, &last, desk.writer, &g).unwrap();
    let over = [desk.act(withdraw())];
    let over = desk.write(&mut full.fork(), &over);
    let refused = entry(&full, &over, desk.writer, &g).unwrap_err();
    assert_eq!(refused, Rule::DocumentChanges);
}

#[test]
fn only_acts_and_fields_are_written() {
    use automerge::{ObjType, ROOT, ScalarValue};
    let founded = fixture::county();
    let g = ground(&founded);
    let (mut desk, doc, _) = case();
    let cases = [
        raw(&mut desk, &doc, |tx, _, _| tx.put(ROOT, "v", 9).unwrap()),
        raw(&mut desk, &doc, |tx, _, fields| {
            tx.put(fields, "n", 9).unwrap();
        }),
        raw(&mut desk, &doc, |tx, _, fields| {
            tx.put(fields, "n", ScalarValue::counter(1)).unwrap();
        }),
        raw(&mut desk, &doc, |tx, _, fields| {
            let list = tx.put_object(fields, "n", ObjType::List).unwrap();
            tx.insert(list, 0, "x").unwrap();
        }),
        raw(&mut desk, &doc, |tx, _, fields| {
            tx.put_object(fields, "n", ObjType::Map).unwrap();
        }),
        raw(&mut desk, &doc, |tx, _, fields| {
            tx.put(fields, "n".repeat(65), "x").unwrap();
        }),
        raw(&mut desk, &doc, |tx, _, fields| {
            tx.put(fields, "n", "字".repeat(2_000)).unwrap();
        }),
    ];
    for (n, change) in cases.iter().enumerate() {
        let rule = entry(&doc, change, desk.writer, &g).unwrap_err();
        assert!(
            matches!(rule, Rule::OtherWrites | Rule::Columns | Rule::Field),
            "{n}: {rule:?}"
        );
    }
}

/// A change made with automerge itself, past all that [`Doc::write`] checks.
fn raw(
    desk: &mut Desk,
    doc: &Doc,
    write: impl FnOnce(
        &mut automerge::transaction::Transaction<'_>,
        &automerge::ObjId,
        &automerge::ObjId,
    ),
) -> Entry {
    use automerge::{Automerge, ROOT, ReadDoc as _, transaction::CommitOptions};
    desk.at += 1_000;
    let mut am = Automerge::load(&doc.save()).unwrap();
    am.set_actor(automerge::ActorId::from(desk.writer.actor().0));
    let acts = am.get(ROOT, "acts").unwrap().unwrap().1;
    let fields = am.get(ROOT, "fields").unwrap().unwrap().1;
    let mut tx = am.transaction();
    write(&mut tx, &acts, &fields);
    let (hash, _) = tx.commit_with(CommitOptions::default().with_time(desk.at));
    let change = am.get_change_by_hash(&hash.unwrap()).unwrap();
    Entry {
        doc: doc.id(),
        hash: ChangeHash(change.hash().0),
        body: Some(change.raw_bytes().to_vec()),
    }
}
