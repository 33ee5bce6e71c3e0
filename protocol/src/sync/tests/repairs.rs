//! A proof that does not match ends in equality, by sketch or by naming all documents.

use super::{world::Dice, *};
use crate::{
    id::{CaseId, DocId, NodeId, SiteId, Writer},
    wire::{
        ScopeHeads, ScopeProof, Want,
        sketch::{Ask, Drawn, Sketch, Sketcher},
    },
};

const SKETCH: u8 = 18;

/// A village and its township that hold `count` documents alike.
fn alike(count: u8) -> (World, Scope) {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    for doc in 0..count {
        world.write(SHIQIAO, own, doc, 2);
    }
    meet(&mut world);
    (world, own)
}

/// Takes a change out of a document, or the whole document, if it is there.
fn damage(world: &mut World, node: usize, own: Scope, doc: u8, all: bool) {
    let id = CaseId::new(own.site, [doc; 11]).doc(own.kind);
    let docs = &mut world.nodes[node].docs;
    if all {
        docs.remove(&id);
    } else if let Some(heads) = docs.get_mut(&id) {
        heads.pop_first();
    }
}

/// Half round trips from the moment the caller knows of the difference until both are equal.
fn repair(world: &mut World, line: usize, own: Scope) -> usize {
    let mut halves = 0;
    loop {
        let nodes = &world.nodes;
        if nodes[SHIQIAO].proof(own) == nodes[TOWN].proof(own) {
            return halves;
        }
        let known = world.lines[line]
            .numbers
            .iter()
            .any(|n| [7, SKETCH].contains(n));
        halves += usize::from(known);
        assert!(world.half(line), "silence, and still not equal");
    }
}

#[test]
fn a_proof_that_does_not_match_ends_in_equality_in_two_round_trips_whatever_the_peers_version() {
    for seed in 1..=30 {
        for minor in [None, Some(1), Some(0)] {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
            let (mut world, own) = alike(u8::try_from(dice.below(60) + 1).unwrap());
            for _document in 0..dice.below(5) + 1 {
                let node = [SHIQIAO, TOWN][dice.below(2)];
                let doc = u8::try_from(dice.below(60)).unwrap();
                let all = dice.below(2) == 0;
                damage(&mut world, node, own, doc, all);
            }
            let differ = world.nodes[SHIQIAO].proof(own) != world.nodes[TOWN].proof(own);
            let line = world.connect(SHIQIAO, TOWN);
            world.lines[line].minor = minor;
            let halves = repair(&mut world, line, own);
            assert!(
                halves <= 4,
                "seed {seed} minor {minor:?}: {halves} half round trips"
            );
            world.run();
            world.check();
            let said = world.lines[line].numbers.contains(&SKETCH);
            assert_eq!(said, minor.is_none() && differ, "seed {seed} {minor:?}");
            let mut repaired = 0;
            for end in [SHIQIAO, TOWN] {
                let settled = world.nodes[end].settled.last().unwrap();
                assert_eq!(settled.mismatched, vec![], "seed {seed} {minor:?}");
                assert_eq!(
                    world.nodes[end].named.borrow().is_empty(),
                    minor.is_none() || !differ
                );
                repaired += settled.repaired;
            }
            assert_eq!(repaired > 0, differ, "seed {seed} {minor:?}");
        }
    }
}

#[test]
fn a_difference_larger_than_the_first_cells_takes_one_more_round_trip() {
    let (mut world, own) = alike(250);
    for doc in 0..150 {
        damage(&mut world, TOWN, own, doc, false);
    }
    let line = world.connect(SHIQIAO, TOWN);
    repair(&mut world, line, own);
    world.run();
    let numbers = world.lines[line].numbers.iter();
    let repairs: Vec<_> = numbers.filter(|n| [6, 7, SKETCH].contains(n)).collect();
    assert_eq!(
        repairs,
        [&6, &6, &SKETCH, &SKETCH, &SKETCH, &7, &6, &6],
        "cells, more, these, found"
    );
    let settled = |world: &World, node: usize| world.nodes[node].settled.last().unwrap().clone();
    assert_eq!(settled(&world, TOWN).mismatched, vec![]);
    assert_eq!(
        (
            settled(&world, TOWN).repaired,
            settled(&world, SHIQIAO).repaired
        ),
        (150, 150)
    );
    assert!(world.nodes[SHIQIAO].named.borrow().is_empty());
}

#[test]
fn documents_only_one_side_has_are_found_with_the_first_cells_however_many() {
    let (mut world, own) = alike(250);
    for doc in 0..200 {
        damage(&mut world, SHIQIAO, own, doc, true);
    }
    let line = world.connect(SHIQIAO, TOWN);
    repair(&mut world, line, own);
    let sketches = world.lines[line]
        .numbers
        .iter()
        .filter(|n| **n == SKETCH)
        .count();
    assert_eq!(sketches, 1);
    world.run();
    let settled = world.nodes[SHIQIAO].settled.last().unwrap();
    assert_eq!((settled.repaired, settled.mismatched.len()), (200, 0));
}

const SCOPE: Scope = Scope {
    kind: Kind::Application,
    site: SiteId(3),
};

fn log() -> LogId {
    let writer = Writer {
        node: NodeId([1; 8]),
        epoch: 1,
    };
    LogId {
        scope: SCOPE,
        writer,
    }
}

fn head() -> LogHead {
    LogHead::START.after(DocId([1; 16]), ChangeHash([1; 32]))
}

/// A session in which both proofs are known and differ.
fn differing(role: Role, documents: u64, mine: u64) -> Session {
    let mut session = rules::opened(role, SCOPE, vec![(log(), head())]);
    let proof = |digest| ScopeProof {
        scope: SCOPE,
        vector: crate::wire::vector_hash(&[(log(), head())]),
        digest,
        documents,
    };
    give(&mut session, Input::Digests(vec![proof(mine)]));
    give(
        &mut session,
        Input::Message(Message::Proof(vec![proof(mine + 1)])),
    );
    session
}

fn give(session: &mut Session, input: Input) -> Vec<Effect> {
    session.handle(input, Millis(2_000)).unwrap();
    std::iter::from_fn(|| session.poll()).collect()
}

/// Without what is done about the sums, which these tests make up.
fn but_for_sums(mut effects: Vec<Effect>) -> Vec<Effect> {
    effects.retain(|effect| !matches!(effect, Effect::Resum(_)));
    effects
}

fn asks(effects: &[Effect]) -> Vec<Ask> {
    let asks = effects.iter().filter_map(|effect| {
        if let Effect::ReadSketch(ask) = effect {
            Some(*ask)
        } else {
            None
        }
    });
    asks.collect()
}

/// Cells over documents that no other call with another `salt` has.
fn drawn(ask: &Ask, salt: u8) -> Drawn {
    let mut sketcher = Sketcher::new(ask, ask.key.unwrap_or([salt; 16]));
    for n in 0..6_000_u16 {
        let mut own = [salt; 11];
        own[..2].copy_from_slice(&n.to_be_bytes());
        sketcher.add(DocId::new(SCOPE, own), u64::from(n) + u64::from(salt));
    }
    sketcher.finish()
}

fn wish(key: [u8; 16], upto: u32) -> Input {
    Input::Message(Message::Sketch(Sketch {
        scope: SCOPE,
        key,
        documents: 0,
        first: 0,
        upto,
        bytes: Vec::new(),
    }))
}

#[test]
fn cells_that_never_decode_end_in_the_plain_way() {
    let mut session = differing(Role::Callee, 6_000, 1);
    let mut upto = limits::SKETCH_CELLS_FIRST;
    let mut first = 0;
    let mut turns = 0;
    while upto > 0 {
        turns += 1;
        let theirs = Ask {
            scope: SCOPE,
            key: Some([9; 16]),
            first,
            upto,
        };
        let sketch = Message::Sketch(drawn(&theirs, 1).message());
        let ask = asks(&give(&mut session, Input::Message(sketch.clone())));
        assert_eq!(ask.len(), 1);
        // The same again is one look at the documents, not two.
        assert_eq!(asks(&give(&mut session, Input::Message(sketch))), []);
        let said = but_for_sums(give(&mut session, Input::Sketch(drawn(&ask[0], 2))));
        let [Effect::Send(Message::Sketch(wish))] = &said[..] else {
            panic!("{said:?}");
        };
        first = upto;
        upto = wish.upto;
        assert!(upto == 0 || upto > first);
    }
    assert!(turns <= limits::SKETCH_TURNS_MAX);
    let heads = Message::Heads(ScopeHeads {
        scope: SCOPE,
        heads: Vec::new(),
        more: false,
    });
    assert_eq!(
        give(&mut session, Input::Message(heads)),
        [Effect::ReadHeads(SCOPE)]
    );
}

#[test]
fn a_scope_too_large_to_name_is_left_as_it_is_when_no_sketch_serves() {
    let mut session = differing(Role::Callee, limits::HEADS_SCOPE_MAX as u64 + 1, 1);
    let theirs = Ask {
        scope: SCOPE,
        key: Some([9; 16]),
        first: 0,
        upto: limits::SKETCH_CELLS_MAX,
    };
    let sketch = Message::Sketch(drawn(&theirs, 1).message());
    let ask = asks(&give(&mut session, Input::Message(sketch)));
    let said = give(&mut session, Input::Sketch(drawn(&ask[0], 2)));
    let empty = Want {
        scope: SCOPE,
        docs: Vec::new(),
        served: false,
    };
    assert!(
        said.contains(&Effect::Send(Message::Want(empty))),
        "{said:?}"
    );
}

#[test]
fn who_asks_for_cells_without_end_is_told_the_documents_after_eight_looks() {
    let mut session = differing(Role::Caller, 6_000, 1);
    let mut ask = Ask {
        scope: SCOPE,
        key: None,
        first: 0,
        upto: limits::SKETCH_CELLS_FIRST,
    };
    for _look in 0..limits::SKETCH_TURNS_MAX {
        give(&mut session, Input::Sketch(drawn(&ask, 1)));
        let wanted = give(&mut session, wish([1; 16], ask.upto + 1));
        if let [next] = asks(&wanted)[..] {
            assert_eq!((next.first, next.upto), (ask.upto, ask.upto + 1));
            ask = next;
        } else {
            assert_eq!(
                ask.upto,
                limits::SKETCH_CELLS_FIRST + limits::SKETCH_TURNS_MAX - 1
            );
            assert_eq!(wanted, [Effect::ReadHeads(SCOPE)]);
            return;
        }
    }
    panic!("it serves for ever");
}

#[test]
fn when_documents_changed_between_two_messages_the_cells_begin_anew_under_another_key() {
    let mut session = differing(Role::Caller, 6_000, 1);
    let first = Ask {
        scope: SCOPE,
        key: None,
        first: 0,
        upto: limits::SKETCH_CELLS_FIRST,
    };
    give(&mut session, Input::Sketch(drawn(&first, 1)));
    let ask = asks(&give(&mut session, wish([1; 16], 100)));
    assert_eq!(
        ask,
        [Ask {
            key: Some([1; 16]),
            first: 32,
            upto: 100,
            ..first
        }]
    );
    let again = give(&mut session, Input::Sketch(drawn(&ask[0], 3)));
    let ask = asks(&again);
    assert_eq!(
        ask,
        [Ask {
            key: None,
            first: 0,
            upto: 100,
            ..first
        }]
    );
    let said = but_for_sums(give(&mut session, Input::Sketch(drawn(&ask[0], 3))));
    let [Effect::Send(Message::Sketch(sketch))] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((sketch.key, sketch.first, sketch.upto), ([3; 16], 0, 100));
}

#[test]
fn a_sum_that_is_not_that_of_the_documents_is_made_again() {
    let ask = Ask {
        scope: SCOPE,
        key: None,
        first: 0,
        upto: limits::SKETCH_CELLS_FIRST,
    };
    let drawn = drawn(&ask, 1);
    for (digest, wrong) in [(drawn.digest, false), (7, true)] {
        let mut session = differing(Role::Caller, 6_000, digest);
        let effects = give(&mut session, Input::Sketch(drawn.clone()));
        assert_eq!(effects.contains(&Effect::Resum(SCOPE)), wrong);
    }
}

#[test]
fn a_peer_gets_one_sketch_of_a_scope_in_a_session_and_breaks_the_rules_with_a_malformed_one() {
    let theirs = Ask {
        scope: SCOPE,
        key: Some([9; 16]),
        first: 0,
        upto: 100,
    };
    let sketch = Message::Sketch(drawn(&theirs, 1).message());
    let mut session = differing(Role::Callee, 6_000, 1);
    let ask = asks(&give(&mut session, Input::Message(sketch.clone())));
    // The same documents: nothing differs, both ask for nothing, and that is the end of it.
    give(&mut session, Input::Sketch(drawn(&ask[0], 1)));
    for served in [false, true] {
        let want = Want {
            scope: SCOPE,
            docs: Vec::new(),
            served,
        };
        give(&mut session, Input::Message(Message::Want(want)));
    }
    assert_eq!(
        asks(&give(&mut session, Input::Message(sketch.clone()))),
        []
    );

    let mut session = differing(Role::Callee, 6_000, 1);
    let Message::Sketch(mut bad) = sketch else {
        unreachable!()
    };
    bad.bytes.pop();
    let broken = session.handle(Input::Message(Message::Sketch(bad)), Millis(2_000));
    assert_eq!(broken, Err(Violation::Malformed("SKETCH")));

    let mut session = differing(Role::Caller, 6_000, 1);
    let first = Ask {
        key: None,
        upto: limits::SKETCH_CELLS_FIRST,
        ..theirs
    };
    give(&mut session, Input::Sketch(drawn(&first, 1)));
    let broken = session.handle(wish([1; 16], limits::SKETCH_CELLS_MAX + 1), Millis(2_000));
    assert_eq!(broken, Err(Violation::Malformed("SKETCH")));
}
