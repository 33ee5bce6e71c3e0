//! Tens of thousands of real changes with something changed, everything around it repaired:
//! checksum, length, name, chain, and the village's own valid seal.

use std::collections::BTreeMap;

use automerge::transaction::Transactable as _;
use cuntong_protocol::{
    act::{ActBody, Amend},
    document::{Doc, Write},
    id::DocId,
    log::{Batch, Entry, LogHead},
};
use harness::{
    dice::Dice,
    hostile::{Hostile, chunk, field, head_of},
};

use super::{HUB, Siege};

/// Hostile changes in one run.
const ROUNDS: usize = 20_000;
/// Hostile changes under one seal.
const PER_BATCH: usize = 200;

/// Real changes that could come next in a document, of different shapes.
fn nexts(peer: &mut Hostile, doc: &Doc) -> Vec<Vec<u8>> {
    let amend = |peer: &mut Hostile, name: &str, value: &str| {
        let (id, act) = peer.act(ActBody::Amend(Amend {
            field: name.into(),
            reason: "更正".into(),
        }));
        peer.entry(&mut doc.fork(), &[Write::Act(id, act), field(name, value)])
    };
    let mut all = vec![amend(peer, "phone", "13900000000"), amend(peer, "note", "")];
    all.push(peer.raw(doc, |tx, _, fields| {
        tx.delete(fields, "phone").expect("it is there");
        tx.put(fields, "group", "三组").expect("a field");
        tx.put(fields, "phone", "1").expect("a field");
    }));
    all.into_iter().filter_map(|e| e.body).collect()
}

/// One hostile entry.
fn hostile(doc: DocId, real: &[u8], dice: &mut Dice) -> Entry {
    let mut content = chunk::content(real).to_vec();
    chunk::mutate(&mut content, dice);
    let (hash, body) = chunk::rechunk(&content);
    Entry {
        doc,
        hash,
        body: Some(body),
    }
}

#[test]
fn tens_of_thousands_of_sealed_mutations_leave_the_hub_unharmed() {
    let mut siege = Siege::begin();
    let (doc, first) = siege.peer.case();
    let begun = siege.peer.applications(LogHead::START, vec![first]);
    let mut held = begun.seal.head;
    let _call = siege.push([begun]);
    let reals = nexts(&mut siege.peer, &doc);
    let mut dice = Dice::new(0x5eed);
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..ROUNDS / PER_BATCH {
        let entries: Vec<_> = (0..PER_BATCH)
            .map(|n| hostile(doc.id(), &reals[(round + n) % reals.len()], &mut dice))
            .collect();
        let head = head_of(held, &entries);
        let batch: Batch = siege.peer.applications(held, entries);
        let log = batch.log;
        let now = siege.peer.at;
        let admission = siege
            .world
            .db(HUB)
            .admit(&batch, false, now)
            .expect("it answers");
        for rejection in admission.rejections {
            *outcomes.entry(rejection.rule).or_default() += 1;
        }
        held = head;
        assert_eq!(
            siege.world.db(HUB).log_head(&log).unwrap(),
            held,
            "the log goes on"
        );
    }
    let refused: usize = outcomes.values().sum();
    assert!(refused > ROUNDS * 8 / 10, "{outcomes:?}");
    assert!(
        outcomes.len() > 8,
        "mutations reach many rules: {outcomes:?}"
    );
    let reading = siege
        .world
        .db(HUB)
        .doc(doc.id())
        .unwrap()
        .unwrap()
        .reading();
    assert!(reading.is_ok(), "what was admitted reads");
    siege.stands();
}
