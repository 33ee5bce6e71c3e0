//! What a valid peer may say in a session without ever pushing a good entry.

use cuntong_protocol::{
    id::{Chain, ChangeHash, DocId, Kind, NodeId, Scope, Writer},
    limits,
    log::{LogHead, LogId, Receipt, Rejection, Seal},
    wire::{Fork, Message, ScopeHeads, ScopeProof, Version, Want, codec, frame},
};
use harness::{
    county,
    hostile::{Call, Hostile},
};

use super::{HUB, Siege};

fn far(seq: u64) -> LogHead {
    LogHead {
        seq,
        chain: Chain([5; 32]),
    }
}

/// The hub's own log of handling the enemy's cases: a scope both may read.
fn hubs_log(siege: &mut Siege) -> LogId {
    let writer = siege
        .world
        .db(HUB)
        .identity()
        .expect("it is enrolled")
        .writer;
    LogId {
        scope: siege.peer.scope(Kind::Handling),
        writer,
    }
}

fn epoch(siege: &mut Siege) -> u32 {
    siege
        .world
        .db(HUB)
        .identity()
        .expect("it is enrolled")
        .writer
        .epoch
}

#[test]
fn a_lying_vector_does_not_make_the_hub_begin_a_new_epoch() {
    let mut siege = Siege::begin();
    let before = epoch(&mut siege);
    let log = hubs_log(&mut siege);
    for seq in [1, 1_000_000, u64::MAX] {
        let mut call = Call::of(&mut siege.world, HUB, &siege.peer);
        let hello = siege.peer.hello(vec![(log, far(seq))]);
        call.say(&mut siege.world, &hello);
        assert_eq!(epoch(&mut siege), before, "at {seq}");
    }
    siege.stands();
}

#[test]
fn a_fork_without_the_hubs_own_seal_is_not_believed() {
    let mut siege = Siege::begin();
    let before = epoch(&mut siege);
    let log = hubs_log(&mut siege);
    let forged = Seal::sign(&log, far(3), siege.peer.at, &siege.peer.key);
    for seal in [None, Some(forged)] {
        let mut call = siege.greet();
        let fork = Fork {
            log,
            held: far(3),
            by: siege.peer.writer.node,
            seal,
        };
        call.say(&mut siege.world, &Message::Fork(fork));
        assert_eq!(epoch(&mut siege), before);
    }
    siege.stands();
}

#[test]
fn a_fork_of_another_villages_log_is_not_the_enemys_to_tell() {
    let mut siege = Siege::begin();
    let neighbour = Hostile::of(county::QINGXI);
    let log = neighbour.log(neighbour.scope(Kind::Application));
    let mut call = siege.greet();
    let fork = Fork {
        log,
        held: far(9),
        by: siege.peer.writer.node,
        seal: None,
    };
    call.say(&mut siege.world, &Message::Fork(fork));
    siege.stands();
}

#[test]
fn a_refusal_from_below_takes_nothing_out() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let batch = siege.peer.applications(LogHead::START, vec![entry.clone()]);
    let log = batch.log;
    let _call = siege.push([batch]);
    let mut call = siege.greet();
    let nack = |log, doc, by| Rejection {
        log,
        seq: 1,
        doc,
        hash: entry.hash,
        rule: "G401".into(),
        reason: "不要".into(),
        by,
    };
    let hub = siege.world.machines[HUB].node;
    let all = vec![
        nack(log, entry.doc, siege.peer.writer.node),
        nack(log, entry.doc, hub),
        nack(log, DocId([0; 16]), hub),
    ];
    call.say(&mut siege.world, &Message::Nack(all));
    assert_eq!(siege.heads_of(entry.doc), [entry.hash], "it is still there");
    siege.stands();
}

#[test]
fn refusals_of_things_nobody_holds_are_not_kept() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    for round in 0..20_u8 {
        let nacks = (0..200_u8)
            .map(|n| Rejection {
                log: siege.peer.log(siege.peer.scope(Kind::Application)),
                seq: 1 + u64::from(n),
                doc: DocId([n; 16]),
                hash: ChangeHash([round; 32]),
                rule: "G401".into(),
                reason: "理".repeat(300),
                by: siege.peer.writer.node,
            })
            .collect();
        call.say(&mut siege.world, &Message::Nack(nacks));
    }
    let kept = siege
        .world
        .db(HUB)
        .rejections(None, 10_000)
        .expect("it reads");
    assert!(kept.is_empty(), "{} kept", kept.len());
    siege.stands();
}

#[test]
fn receipts_in_the_countys_name_are_not_believed() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let (log, head) = (batch.log, batch.seal.head);
    let _call = siege.push([batch]);
    let hub = siege.world.machines[HUB].node;
    let forged = Receipt::sign(hub, siege.peer.at, vec![(log, head)], &siege.peer.key);
    let mut flipped = Receipt::sign(
        siege.peer.writer.node,
        siege.peer.at,
        vec![(log, head)],
        &siege.peer.key,
    );
    flipped.signature[5] ^= 1;
    let town = super::TOWN;
    let mut call = Call::of(&mut siege.world, town, &siege.peer);
    let hello = siege.peer.hello(Vec::new());
    call.say(&mut siege.world, &hello);
    call.say(&mut siege.world, &Message::Ack(vec![forged, flipped]));
    for holder in [hub, siege.peer.writer.node] {
        let held = siege
            .world
            .db(town)
            .receipt_head(holder, &log)
            .expect("it reads");
        assert_ne!(held, Some(head), "{holder}");
    }
    siege.stands();
}

#[test]
fn acknowledgments_of_logs_nobody_sent_leave_the_session_at_rest() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    let before = call.deadline();
    for round in 0..20_u32 {
        let held = (0..100_u32)
            .map(|n| {
                let mut log = siege.peer.log(siege.peer.scope(Kind::Application));
                log.writer = Writer {
                    node: NodeId([3; 8]),
                    epoch: round * 100 + n,
                };
                (log, far(9))
            })
            .collect();
        let receipt = Receipt::sign(siege.peer.writer.node, siege.peer.at, held, &siege.peer.key);
        call.say(&mut siege.world, &Message::Ack(vec![receipt]));
    }
    assert_eq!(
        call.deadline(),
        before,
        "nothing is awaited that was never promised"
    );
    siege.stands();
}

#[test]
fn batches_of_made_up_writers_fill_no_table() {
    let mut siege = Siege::begin();
    let logs = siege.world.db(HUB).whole_vector().unwrap().len();
    let (_, entry) = siege.peer.case();
    let mut call = siege.greet();
    for n in 0..300_u16 {
        let mut log = siege.peer.log(siege.peer.scope(Kind::Application));
        log.writer.node.0[..2].copy_from_slice(&n.to_be_bytes());
        let batch = siege.peer.batch(log, LogHead::START, vec![entry.clone()]);
        call.say(&mut siege.world, &Message::Push(batch));
    }
    assert!(call.rules().iter().all(|r| r == "G103"));
    assert_eq!(siege.world.db(HUB).whole_vector().unwrap().len(), logs);
    siege.stands();
}

#[test]
fn a_thousand_epochs_of_one_machine_do_not_swell_every_greeting() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    for epoch in 2..2_500 {
        siege.peer.writer.epoch = epoch;
        let (_, entry) = siege.peer.case();
        let batch = siege.peer.applications(LogHead::START, vec![entry]);
        call.say(&mut siege.world, &Message::Push(batch));
        if !call.rules().is_empty() {
            break;
        }
        call.heard.clear();
    }
    assert_eq!(
        call.rules(),
        ["G110"],
        "a machine that begins epoch after epoch is stopped"
    );
    siege.stands();
}

/// Documents of a scope with so many heads each, from the n-th on.
fn heads_of(scope: Scope, from: u32, documents: u32, heads: usize) -> Message {
    let one = |n: u32| {
        let mut doc = DocId::new(scope, [0; 11]);
        doc.0[8..12].copy_from_slice(&n.to_be_bytes());
        (doc, vec![ChangeHash([0; 32]); heads])
    };
    Message::Heads(ScopeHeads {
        scope,
        heads: (from..from + documents).map(one).collect(),
        more: true,
    })
}

#[test]
fn more_documents_than_a_repair_may_name_close_the_session() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    let scope = siege.peer.scope(Kind::Application);
    for round in 0..=100 {
        call.say(&mut siege.world, &heads_of(scope, round * 1_000, 1_000, 0));
    }
    assert!(call.closed.is_some());
    siege.stands();
}

#[test]
fn heads_without_number_are_read_but_not_kept() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    let scope = siege.peer.scope(Kind::Application);
    // Thirty megabytes of heads, a few kilobytes on a compressed line.
    for round in 0..32 {
        call.say(
            &mut siege.world,
            &heads_of(scope, round * 30, 30, limits::LIST_MAX),
        );
    }
    assert!(
        call.weight() < 1024 * 1024,
        "{} bytes are kept",
        call.weight()
    );
    siege.stands();
}

#[test]
fn a_want_for_everything_is_not_a_message() {
    let mut siege = Siege::begin();
    let scope = siege.peer.scope(Kind::Application);
    let docs = vec![DocId::new(scope, [1; 11]); limits::WANT_DOCS_MAX + 1];
    let mut call = siege.greet();
    let want = Want {
        scope,
        docs,
        served: false,
    };
    call.say(&mut siege.world, &Message::Want(want));
    assert!(call.closed.is_some());
    siege.stands();
}

#[test]
fn a_want_for_another_villages_documents_gets_nothing() {
    let mut siege = Siege::begin();
    let scope = Scope {
        kind: Kind::Application,
        site: county::QINGXI,
    };
    let docs: Vec<_> = siege
        .before
        .keys()
        .copied()
        .filter(|d| d.scope() == Some(scope))
        .collect();
    assert!(!docs.is_empty());
    let mut call = siege.greet();
    for scope in [scope, siege.peer.scope(Kind::Application)] {
        let heads = ScopeHeads {
            scope,
            heads: docs.iter().map(|d| (*d, Vec::new())).collect(),
            more: false,
        };
        call.say(&mut siege.world, &Message::Heads(heads));
        let want = Want {
            scope,
            docs: docs.clone(),
            served: false,
        };
        call.say(&mut siege.world, &Message::Want(want));
    }
    let told = |m: &Message| {
        if let Message::Push(batch) = m {
            batch.entries.iter().any(|e| docs.contains(&e.doc))
        } else if let Message::Heads(heads) = m {
            heads.heads.iter().any(|(d, _)| docs.contains(d))
        } else {
            false
        }
    };
    assert!(!call.heard.iter().any(told), "not a word of the neighbour");
    siege.stands();
}

#[test]
fn the_vector_told_to_a_village_names_no_other_village() {
    let mut siege = Siege::begin();
    let call = siege.greet();
    let welcome = call.heard.iter().find_map(|m| {
        let Message::Welcome(welcome) = m else {
            return None;
        };
        Some(welcome.clone())
    });
    let vector = welcome.expect("it was greeted").vector;
    assert!(
        vector
            .iter()
            .all(|(log, _)| log.scope.site != county::QINGXI)
    );
    siege.stands();
}

#[test]
fn a_proof_about_everything_else_changes_nothing() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    let proofs = (0..5_000_u32)
        .map(|n| ScopeProof {
            scope: Scope {
                kind: Kind::Application,
                site: cuntong_protocol::id::SiteId(n),
            },
            vector: 1,
            digest: 2,
            documents: 3,
        })
        .collect();
    call.say(&mut siege.world, &Message::Proof(proofs));
    siege.stands();
}

#[test]
fn greeting_as_another_node_closes_the_session() {
    let mut siege = Siege::begin();
    let mut call = Call::of(&mut siege.world, HUB, &siege.peer);
    let hello = Hostile::of(county::QINGXI).hello(Vec::new());
    call.say(&mut siege.world, &hello);
    assert!(call.closed.is_some());
    siege.stands();
}

#[test]
fn greeting_twice_as_two_boots_closes_the_session() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    let Message::Hello(mut hello) = siege.peer.hello(Vec::new()) else {
        panic!("a greeting");
    };
    hello.boot = [1; 8];
    call.say(&mut siege.world, &Message::Hello(hello));
    assert!(call.closed.is_some());
    siege.stands();
}

#[test]
fn words_of_a_caller_that_belong_to_the_called_close_the_session() {
    for message in [
        Message::Busy(1),
        Message::Upgrade(Version { major: 9, minor: 0 }),
    ] {
        let mut siege = Siege::begin();
        let mut call = siege.greet();
        call.say(&mut siege.world, &message);
        assert!(call.closed.is_some());
        siege.stands();
    }
}

#[test]
fn pushing_without_end_before_the_greeting_closes_the_session() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let mut call = Call::of(&mut siege.world, HUB, &siege.peer);
    for _message in 0..=limits::EARLY_MESSAGES_MAX {
        call.say(&mut siege.world, &Message::Push(batch.clone()));
    }
    assert!(call.closed.is_some());
    assert!(siege.heads_of(batch.entries[0].doc).is_empty());
    siege.stands();
}

#[test]
fn more_batches_than_the_window_close_the_session() {
    let mut siege = Siege::begin();
    let mut call = siege.greet();
    for n in 0..100_u64 {
        let (_, entry) = siege.peer.case();
        let held = LogHead {
            seq: 10 + n,
            chain: Chain([1; 32]),
        };
        let batch = siege.peer.applications(held, vec![entry]);
        call.say(&mut siege.world, &Message::Push(batch));
    }
    assert!(call.closed.is_some(), "what waits for a gap is bounded");
    siege.stands();
}

#[test]
fn bytes_that_are_no_message_end_the_session_without_harm() {
    let mut dice = harness::dice::Dice::new(77);
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let good = [
        codec::encode(&Message::Push(batch)),
        codec::encode(&siege.peer.hello(Vec::new())),
    ];
    for round in 0..3_000 {
        let mut bytes = good[round % 2].clone();
        harness::hostile::chunk::mutate(&mut bytes, &mut dice);
        let mut call = siege.greet();
        call.say_bytes(&mut siege.world, &bytes);
    }
    siege.stands();
}

#[test]
fn a_compressed_bomb_and_a_long_prefix_stop_at_the_frame() {
    assert!(frame::length([0xff; 4]).is_err());
    let zeros = vec![0_u8; limits::MESSAGE_BYTES_MAX];
    let mut deflater = frame::Deflater::default();
    let mut bomb = Vec::new();
    // Frames of full messages, glued together as one.
    for _message in 0..8 {
        let framed = deflater.frame(&zeros).expect("a message of full length");
        bomb.extend_from_slice(&framed[4..]);
        bomb.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
    assert!(bomb.len() < limits::FRAME_BYTES_MAX);
    assert!(frame::Inflater::default().message(&bomb).is_err());
}
