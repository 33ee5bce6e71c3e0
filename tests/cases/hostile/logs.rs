//! Logs: whose they are, who sealed them, what is missing from them, and two truths at one place.

use cuntong_protocol::{
    act::{ActBody, Decide, Reason},
    document::{Doc, Write},
    id::{ChangeHash, Kind, Scope},
    log::{Batch, LogHead, Seal},
    role::Role,
    time::Millis,
    wire::Message,
};
use harness::{
    county,
    hostile::{Call, Hostile, head_of},
};

use super::{HUB, Siege, TOWN};

/// A batch of a log of that scope by that writer, with one honest-looking change.
fn batch_for(peer: &mut Hostile, scope: Scope) -> Batch {
    let id = peer.new_doc(scope);
    let mut doc = Doc::new(id);
    let decide = ActBody::Decide(Decide {
        granted: true,
        reason: "同意".into(),
        remedies: String::new(),
    });
    let (act, mut body) = peer.act(decide);
    body.role = Role::Decider;
    let entry = peer.entry(&mut doc, &[Write::Act(act, body)]);
    peer.batch(peer.log(scope), LogHead::START, vec![entry])
}

#[test]
fn a_village_that_writes_a_decision_is_refused() {
    let mut siege = Siege::begin();
    let scope = siege.peer.scope(Kind::Handling);
    let batch = batch_for(&mut siege.peer, scope);
    siege.is_refused_whole(batch, "G107");
}

#[test]
fn a_village_that_writes_for_another_village_is_not_listened_to() {
    for kind in [Kind::Application, Kind::Handling, Kind::Notice] {
        let mut siege = Siege::begin();
        let scope = Scope {
            kind,
            site: county::QINGXI,
        };
        let batch = batch_for(&mut siege.peer, scope);
        siege.is_refused_whole(batch, "G107");
    }
}

#[test]
fn a_village_that_publishes_for_the_county_is_refused() {
    let mut siege = Siege::begin();
    let scope = Scope {
        kind: Kind::Notice,
        site: county::HUB,
    };
    let batch = batch_for(&mut siege.peer, scope);
    siege.is_refused_whole(batch, "G107");
}

#[test]
fn another_writers_log_cannot_be_sealed_with_the_own_key() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let mut log = siege.peer.log(siege.peer.scope(Kind::Application));
    log.writer = Hostile::of(county::QINGXI).writer;
    let batch = siege.peer.batch(log, LogHead::START, vec![entry.clone()]);
    siege.is_refused_whole(batch, "G104");
    log.scope.site = county::QINGXI;
    let (_, entry) = siege.peer.case();
    let mut batch = siege.peer.batch(log, LogHead::START, vec![entry]);
    batch.entries[0].doc = Hostile::of(county::QINGXI).new_doc(log.scope);
    batch.seal = Seal::sign(
        &log,
        head_of(LogHead::START, &batch.entries),
        siege.peer.at,
        &siege.peer.key,
    );
    siege.is_refused_whole(batch, "G104");
}

#[test]
fn a_node_the_roster_does_not_list_has_no_log() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let mut log = siege.peer.log(siege.peer.scope(Kind::Application));
    log.writer.node.0 = [7; 8];
    let batch = siege.peer.batch(log, LogHead::START, vec![entry]);
    siege.is_refused_whole(batch, "G103");
}

#[test]
fn a_batch_under_another_epoch_than_it_was_sealed_for_is_refused() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let mut batch = siege.peer.applications(LogHead::START, vec![entry]);
    batch.log.writer.epoch = 2;
    siege.is_refused_whole(batch, "G104");
}

#[test]
fn a_batch_moved_to_another_scope_is_refused() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let mut batch = siege.peer.applications(LogHead::START, vec![entry]);
    batch.log.scope.kind = Kind::Notice;
    siege.is_refused_whole(batch, "G104");
}

#[test]
fn an_entry_of_another_scope_does_not_travel_in_a_log() {
    let mut siege = Siege::begin();
    let (_, mut entry) = siege.peer.case();
    entry.doc = siege.peer.new_doc(Scope {
        kind: Kind::Application,
        site: county::QINGXI,
    });
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    siege.is_refused_whole(batch, "G108");
}

#[test]
fn flipped_bytes_in_a_seal_are_refused() {
    for flip in 0..4 {
        let mut siege = Siege::begin();
        let (_, entry) = siege.peer.case();
        let mut batch = siege.peer.applications(LogHead::START, vec![entry]);
        match flip {
            0 => batch.seal.signature[0] ^= 1,
            1 => batch.seal.signature[63] ^= 0x80,
            2 => batch.seal.head.chain.0[31] ^= 1,
            _ => batch.seal.at = Millis(batch.seal.at.0 + 1),
        }
        siege.is_refused_whole(batch, "G104");
    }
}

#[test]
fn a_flipped_name_of_an_entry_does_not_pass_for_it() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let mut batch = siege.peer.applications(LogHead::START, vec![entry]);
    batch.entries[0].hash.0[0] ^= 1;
    let log = batch.log;
    let call = siege.push([batch]);
    assert!(call.told_of_fork() || !call.rules().is_empty());
    assert_eq!(siege.world.db(HUB).log_head(&log).unwrap(), LogHead::START);
    siege.stands();
}

#[test]
fn entries_behind_a_gap_are_not_taken() {
    let mut siege = Siege::begin();
    let (_, first) = siege.peer.case();
    let (_, second) = siege.peer.case();
    let whole = siege.peer.applications(LogHead::START, vec![first.clone()]);
    let behind = siege.peer.applications(whole.seal.head, vec![second]);
    let log = behind.log;
    let call = siege.push([behind.clone()]);
    assert!(call.receipts().is_empty());
    assert_eq!(siege.world.db(HUB).log_head(&log).unwrap(), LogHead::START);
    siege.stands();
    // What was missing comes: both are taken.
    let call = siege.push([whole, behind.clone()]);
    assert!(call.rules().is_empty());
    assert_eq!(
        siege.world.db(HUB).log_head(&log).unwrap(),
        behind.seal.head
    );
    siege.stands();
}

#[test]
fn positions_that_do_not_add_up_close_the_session() {
    for trick in 0..4 {
        let mut siege = Siege::begin();
        let (_, entry) = siege.peer.case();
        let mut batch = siege.peer.applications(LogHead::START, vec![entry]);
        match trick {
            0 => batch.first = 0,
            1 => batch.first = 2,
            2 => batch.entries.clear(),
            _ => batch.seal.head.seq = u64::MAX,
        }
        let log = batch.log;
        let call = siege.push([batch]);
        assert!(call.closed.is_some(), "trick {trick}");
        assert_eq!(siege.world.db(HUB).log_head(&log).unwrap(), LogHead::START);
        siege.stands();
    }
}

#[test]
fn sealing_two_truths_at_one_position_is_answered_with_a_fork() {
    let mut siege = Siege::begin();
    let (_, one) = siege.peer.case();
    let (_, other) = siege.peer.case();
    let first = siege.peer.applications(LogHead::START, vec![one]);
    let second = siege.peer.applications(LogHead::START, vec![other.clone()]);
    let log = first.log;
    let head = first.seal.head;
    let call = siege.push([first]);
    assert!(call.rules().is_empty() && !call.told_of_fork());
    // Told openly, it is a fork; told as if nothing had been sent before, it is passed over, and
    // the receipt names what the hub holds.
    let mut open = Call::of(&mut siege.world, HUB, &siege.peer);
    let hello = siege.peer.hello(vec![(log, second.seal.head)]);
    open.say(&mut siege.world, &hello);
    assert!(open.told_of_fork());
    let covert = siege.push([second]);
    let named = covert.receipts().into_iter().flat_map(|r| r.held.clone());
    assert_eq!(named.collect::<Vec<_>>(), [(log, head)]);
    assert_eq!(
        siege.world.db(HUB).log_head(&log).unwrap(),
        head,
        "the hub's branch stays"
    );
    assert!(siege.heads_of(other.doc).is_empty());
    siege.stands();
}

#[test]
fn two_truths_told_to_hub_and_township_end_in_the_hubs() {
    let mut siege = Siege::begin();
    let (_, one) = siege.peer.case();
    let (_, other) = siege.peer.case();
    let at_hub = siege.peer.applications(LogHead::START, vec![one.clone()]);
    let at_town = siege.peer.applications(LogHead::START, vec![other.clone()]);
    let _call = siege.push([at_hub]);
    let mut call = Call::of(&mut siege.world, TOWN, &siege.peer);
    let hello = siege.peer.hello(Vec::new());
    call.say(&mut siege.world, &hello);
    call.say(&mut siege.world, &Message::Push(at_town));
    assert!(
        call.rules().is_empty() && !call.told_of_fork(),
        "the township cannot know"
    );
    siege.stands();
    let heads = |siege: &mut Siege, at: usize, doc| {
        let doc = siege.world.db(at).doc(doc).expect("it loads");
        doc.is_some_and(|d| !d.reading().expect("it reads").acts.is_empty())
    };
    assert!(
        heads(&mut siege, TOWN, one.doc),
        "the hub's branch is everywhere"
    );
    assert!(!heads(&mut siege, TOWN, other.doc), "the other is nowhere");
}

#[test]
fn a_body_withheld_by_a_relay_is_not_silently_acknowledged() {
    let mut siege = Siege::begin();
    let (_, mut entry) = siege.peer.case();
    entry.body = None;
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let call = siege.push([batch]);
    assert_eq!(
        call.rules(),
        ["G109"],
        "the writer must hear that the content is not there"
    );
    siege.stands();
}

#[test]
fn a_withheld_body_that_comes_later_is_taken_in() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let whole = siege.peer.applications(LogHead::START, vec![entry.clone()]);
    let mut stripped = whole.clone();
    stripped.entries[0].body = None;
    let _call = siege.push([stripped]);
    let again = siege.world.db(HUB).readmit(&whole, false, siege.peer.at);
    assert!(again.unwrap().rejections.is_empty());
    assert_eq!(siege.heads_of(entry.doc), [entry.hash]);
    siege.stands();
}

#[test]
fn a_change_that_waits_for_what_never_comes_blocks_nothing() {
    let mut siege = Siege::begin();
    let (mut doc, _never_sent) = siege.peer.case();
    let mut waiting = Vec::new();
    for n in 0..200 {
        let (id, act) = siege.peer.act(ActBody::Withdraw(Reason {
            text: format!("{n}"),
        }));
        waiting.push(siege.peer.entry(&mut doc, &[Write::Act(id, act)]));
    }
    waiting.reverse();
    let batch = siege.peer.applications(LogHead::START, waiting);
    let call = siege.push([batch]);
    assert!(
        call.rules().iter().all(|r| r == "G208"),
        "{:?}",
        call.rules()
    );
    assert!(siege.heads_of(doc.id()).len() <= 1);
    siege.stands();
}

#[test]
fn ten_thousand_orphans_are_held_within_bounds() {
    let mut siege = Siege::begin();
    let mut held = LogHead::START;
    let mut call = siege.greet();
    let mut refused = 0;
    for _batch in 0..10 {
        let (mut doc, _never_sent) = siege.peer.case();
        let (act, body) = siege
            .peer
            .act(ActBody::Withdraw(Reason { text: "孤".into() }));
        let entry = siege.peer.entry(&mut doc, &[Write::Act(act, body)]);
        // The same change under a thousand names: only its place in the log is real.
        let entries: Vec<_> = (0..1_000_u16)
            .map(|n| {
                let mut entry = entry.clone();
                entry.hash = ChangeHash([n.to_be_bytes()[0]; 32]);
                entry.hash.0[1] = n.to_be_bytes()[1];
                entry.body = entry.body.filter(|_| n < 60);
                entry
            })
            .collect();
        let batch = siege.peer.applications(held, entries);
        held = batch.seal.head;
        call.say(&mut siege.world, &Message::Push(batch));
        refused += call.rules().len();
        call.heard.clear();
    }
    assert!(refused > 0);
    let (count, _) = siege.world.db(HUB).counts().expect("it reads");
    assert!(count > 0);
    let held = siege.world.db(HUB).quarantine_count().expect("it reads");
    assert!(held <= 10_000, "{held}");
    siege.stands();
}

#[test]
fn changes_in_the_wrong_order_are_sorted_out_when_the_first_comes() {
    let mut siege = Siege::begin();
    let (mut doc, first) = siege.peer.case();
    let mut all = vec![first];
    for n in 0..150 {
        let reason = format!("第 {n} 次");
        let (id, act) = siege.peer.act(ActBody::Withdraw(Reason { text: reason }));
        all.push(siege.peer.entry(&mut doc, &[Write::Act(id, act)]));
    }
    all.reverse();
    let batch = siege.peer.applications(LogHead::START, all);
    let call = siege.push([batch]);
    assert!(call.rules().is_empty(), "{:?}", call.refusals());
    assert_eq!(siege.heads_of(doc.id()), doc.heads());
    siege.stands();
}

#[test]
fn a_change_that_comes_too_early_escapes_no_question() {
    let mut siege = Siege::begin();
    let (mut doc, first) = siege.peer.case();
    let begun = doc.heads();
    let (id, mut act) = siege.peer.act(ActBody::Withdraw(Reason {
        text: "他人名义".into(),
    }));
    act.person = county::person(county::QINGXI);
    let forged = siege.peer.entry(&mut doc, &[Write::Act(id, act)]);
    // The forgery first: it waits for the change it follows.
    let batch = siege.peer.applications(LogHead::START, vec![forged, first]);
    let call = siege.push([batch]);
    assert_eq!(call.rules(), ["G508"]);
    assert_eq!(siege.heads_of(doc.id()), begun);
    siege.stands();
}
