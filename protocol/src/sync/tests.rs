//! What two or more nodes come to, whatever happens to the messages between them.

use std::collections::BTreeSet;

use super::*;
use crate::{
    control::fixture,
    id::{ChangeHash, Kind},
    limits,
    wire::VERSION,
};

mod log;
mod node;
mod records;
mod repairs;
mod restores;
mod rules;
mod snap;
mod vectors;
mod world;

use world::{Dice, HUB, QINGXI, SHIQIAO, TOWN, World};

/// The whole county on line once, from below; then silence.
fn meet(world: &mut World) {
    world.lines.clear();
    // Twice: what the second village brought goes to the first with the next round.
    for _round in 0..3 {
        for (caller, callee) in [(TOWN, HUB), (SHIQIAO, TOWN), (QINGXI, TOWN)] {
            world.connect(caller, callee);
            world.run();
        }
        world.lines.clear();
    }
}

#[test]
fn a_village_that_was_away_brings_its_work_and_takes_the_rest_in_one_session() {
    let mut world = World::new();
    let (own, results) = (
        world.scope(SHIQIAO, Kind::Application),
        Scope {
            kind: Kind::Handling,
            site: fixture::SHIQIAO,
        },
    );
    world.write(SHIQIAO, own, 1, 3);
    world.write(SHIQIAO, own, 2, 1);
    world.write(TOWN, results, 9, 2);
    let notices = world.scope(TOWN, Kind::Notice);
    world.write(TOWN, notices, 5, 1);
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(world.nodes[SHIQIAO].vector(), world.nodes[TOWN].vector());
    for end in [SHIQIAO, TOWN] {
        let settled = world.nodes[end].settled.last().unwrap();
        assert_eq!(settled.mismatched, vec![]);
        assert_eq!(
            (settled.sent, settled.received),
            if end == SHIQIAO { (4, 3) } else { (3, 4) }
        );
    }
    assert_eq!(world.lines[line].sessions[0].deadline(), None);
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    let town = world.nodes[TOWN].writer.node;
    assert_eq!(world.nodes[SHIQIAO].covered(log, town), 4, "custody");
}

#[test]
fn when_nothing_changed_a_session_is_four_messages() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 3);
    meet(&mut world);
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(
        world.lines[line].messages, 4,
        "HELLO, WELCOME and a PROOF each"
    );
    assert!(
        world.lines[line].bytes < 500,
        "{} bytes",
        world.lines[line].bytes
    );
}

#[test]
fn a_relay_passes_batches_on_as_they_were_and_brings_the_countys_receipt_back() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let hub = world.nodes[HUB].writer.node;
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    // The hub is away when the village meets the town, and the village when the town meets the hub.
    world.write(SHIQIAO, own, 1, 3);
    world.connect(SHIQIAO, TOWN);
    world.run();
    world.lines.clear();
    world.connect(TOWN, HUB);
    world.run();
    world.lines.clear();
    assert_eq!(world.nodes[SHIQIAO].covered(log, hub), 0);
    let (wrote, got) = (
        &world.nodes[SHIQIAO].logs[&log],
        &world.nodes[HUB].logs[&log],
    );
    assert_eq!(wrote.entries, got.entries);
    assert_eq!(wrote.seals, got.seals);
    world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(world.nodes[SHIQIAO].covered(log, hub), 3);
    // And live, while both lines stand.
    world.connect(TOWN, HUB);
    world.run();
    world.write(SHIQIAO, own, 2, 1);
    world.run();
    assert_eq!(world.nodes[SHIQIAO].covered(log, hub), 4);
}

#[test]
fn an_acknowledgment_that_was_lost_is_asked_for_again() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 3);
    let line = world.connect(SHIQIAO, TOWN);
    while world.nodes[TOWN].logs.is_empty() {
        world.deliver(line, 0, 0, false);
        world.deliver(line, 1, 0, false);
    }
    world.cut(line);
    let town = world.nodes[TOWN].writer.node;
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    assert_eq!(world.nodes[SHIQIAO].covered(log, town), 0);
    world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(world.nodes[SHIQIAO].covered(log, town), 3);
    let again = world.nodes[SHIQIAO].settled.last().unwrap();
    assert_eq!(again.sent, 0, "nothing is sent twice");
}

#[test]
fn seeded_histories_of_cuts_doubles_and_disorder_end_in_the_same_everywhere() {
    for seed in 1..=40 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut world = World::new();
        for step in 0..250 {
            one_step(&mut world, &mut dice);
            if step % 25 == 0 {
                world.check();
            }
        }
        meet(&mut world);
        world.check();
        let hub: BTreeSet<_> = world.nodes[HUB]
            .vector()
            .into_iter()
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(l, h)| (l, h.seq))
            .collect();
        for node in &world.nodes {
            for (log, head) in node.vector() {
                assert!(
                    hub.contains(&(log, head.seq)),
                    "seed {seed}: {log:?} at {}",
                    node.site
                );
            }
            let last = node.settled.last();
            assert!(last.is_none_or(|s| s.mismatched.is_empty()), "seed {seed}");
        }
        for village in [SHIQIAO, QINGXI] {
            let node = &world.nodes[village];
            let hub = world.nodes[HUB].writer.node;
            for (log, head) in node
                .vector()
                .iter()
                .filter(|(l, _)| l.writer == node.writer)
            {
                assert_eq!(
                    node.covered(*log, hub),
                    head.seq,
                    "seed {seed}: custody of {log:?}"
                );
            }
        }
    }
}

fn one_step(world: &mut World, dice: &mut Dice) {
    match dice.below(10) {
        0 | 1 => {
            let node = dice.below(4);
            let kind = Kind::ALL[dice.below(3)];
            let scope = match (node, kind) {
                (HUB | TOWN, Kind::Handling) => Scope {
                    kind,
                    site: [fixture::SHIQIAO, fixture::QINGXI][dice.below(2)],
                },
                (_, Kind::Handling) => world.scope(node, Kind::Application),
                _ => world.scope(node, kind),
            };
            let (doc, count) = (dice.below(6), dice.below(4) + 1);
            world.write(
                node,
                scope,
                u8::try_from(doc).unwrap(),
                u8::try_from(count).unwrap(),
            );
        }
        2 => {
            let pairs = [(TOWN, HUB), (SHIQIAO, TOWN), (QINGXI, TOWN), (SHIQIAO, HUB)];
            let (caller, callee) = pairs[dice.below(4)];
            if world.lines.iter().all(|l| l.ends != [caller, callee]) {
                world.connect(caller, callee);
            }
        }
        3 if dice.below(3) == 0 && !world.lines.is_empty() => {
            let line = dice.below(world.lines.len());
            world.cut(line);
        }
        _ => {
            if !world.lines.is_empty() {
                let (line, end) = (dice.below(world.lines.len()), dice.below(2));
                let skip = if dice.below(4) == 0 { dice.below(4) } else { 0 };
                world.deliver(line, end, skip, dice.below(8) == 0);
            }
        }
    }
    for line in &world.lines {
        assert_eq!(line.closed, vec![], "nobody broke a rule");
    }
}

#[test]
fn many_batches_pass_through_the_window_in_order() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    for doc in 0..60 {
        world.write(SHIQIAO, own, doc, 3);
    }
    let line = world.connect(SHIQIAO, TOWN);
    world.deliver(line, 1, 0, false);
    world.deliver(line, 0, 0, false);
    let pushes = |w: &World| {
        let all = w.waiting(line, 1).into_iter();
        all.filter(|m| matches!(m, Message::Pack(_))).count()
    };
    assert_eq!(
        pushes(&world),
        limits::WINDOW_BATCHES,
        "no more without an acknowledgment"
    );
    world.run();
    assert_eq!(world.nodes[TOWN].vector(), world.nodes[SHIQIAO].vector());
}

#[test]
fn refusals_go_before_results_before_cases_before_notices() {
    let mut world = World::new();
    world.write(
        TOWN,
        Scope {
            kind: Kind::Notice,
            site: fixture::BEIXIANG,
        },
        1,
        1,
    );
    world.write(
        TOWN,
        Scope {
            kind: Kind::Handling,
            site: fixture::SHIQIAO,
        },
        1,
        1,
    );
    world.nodes[TOWN].controls.insert(7, vec![7; 20]);
    let line = world.connect(SHIQIAO, TOWN);
    world.deliver(line, 1, 0, false);
    let order: Vec<_> = world
        .waiting(line, 0)
        .into_iter()
        .map(|m| {
            if let Message::Pack(pack) = &m {
                pack.log.scope.kind.word()
            } else if matches!(m, Message::Ctrl(_)) {
                "ctrl"
            } else if matches!(m, Message::Proof(_)) {
                "proof"
            } else {
                assert!(matches!(m, Message::Welcome(_)), "{m:?}");
                "welcome"
            }
        })
        .collect();
    assert_eq!(order, ["welcome", "ctrl", "handling", "notice", "proof"]);
    world.run();
    assert!(world.nodes[SHIQIAO].controls.contains_key(&7));
}

#[test]
fn a_new_control_document_goes_on_while_the_lines_stand() {
    let mut world = World::new();
    world.connect(SHIQIAO, TOWN);
    world.connect(TOWN, HUB);
    world.run();
    world.nodes[HUB].controls.insert(3, vec![3; 40]);
    world.tell(HUB, &Input::ControlsChanged);
    world.run();
    assert!(world.nodes[SHIQIAO].controls.contains_key(&3));
}

#[test]
fn what_the_county_refuses_comes_back_through_the_township_and_blocks_nothing() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 2);
    world.write(SHIQIAO, own, 2, 1);
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    let bad = world.nodes[SHIQIAO].logs[&log].entries[1].clone();
    world.nodes[HUB].poison.insert(bad.hash);
    meet(&mut world);
    let told = &world.nodes[SHIQIAO].rejections;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].seq, told[0].hash, told[0].doc),
        (2, bad.hash, bad.doc)
    );
    assert_eq!(world.nodes[SHIQIAO].writer.epoch, 2);
    for node in [HUB, TOWN, SHIQIAO] {
        let docs = &world.nodes[node].docs;
        assert!(!docs[&bad.doc].contains(&bad.hash), "{node}");
        assert_eq!(docs.len(), 2, "the other document passed");
    }
    world.check();
    world.write(SHIQIAO, own, 1, 1);
    meet(&mut world);
    assert_eq!(
        world.nodes[HUB].vector().len(),
        2,
        "work goes on under a new epoch"
    );
}

#[test]
fn a_forged_batch_is_refused_whole_and_other_logs_go_on() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let forged = Scope {
        kind: Kind::Handling,
        site: fixture::SHIQIAO,
    };
    world.write(SHIQIAO, forged, 1, 1);
    world.write(SHIQIAO, own, 1, 1);
    world.connect(SHIQIAO, TOWN);
    world.run();
    let told = &world.nodes[SHIQIAO].rejections;
    assert_eq!(told.len(), 1);
    assert!(told[0].is_whole());
    assert_eq!(told[0].rule, "G107");
    assert_eq!(world.nodes[TOWN].vector().len(), 1);
    let settled = world.nodes[SHIQIAO].settled.last().unwrap();
    assert_eq!(settled.stalled.len(), 1);
}

#[test]
fn documents_that_differ_under_equal_vectors_are_repaired_once_both_ways() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    for doc in 1..5 {
        world.write(SHIQIAO, own, doc, 2);
    }
    meet(&mut world);
    // A document lost a change at each node, and the town one altogether.
    let lose = |world: &mut World, node: usize, doc: u8| {
        let id = crate::id::CaseId::new(own.site, [doc; 11]).doc(Kind::Application);
        let heads = world.nodes[node].docs.get_mut(&id).unwrap();
        let first = *heads.iter().next().unwrap();
        heads.remove(&first);
    };
    lose(&mut world, SHIQIAO, 1);
    lose(&mut world, TOWN, 2);
    let third = crate::id::CaseId::new(own.site, [3; 11]).doc(Kind::Application);
    world.nodes[TOWN].docs.remove(&third);
    world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(
        world.nodes[SHIQIAO].proof(own),
        world.nodes[TOWN].proof(own)
    );
    let (village, town) = (&world.nodes[SHIQIAO].settled, &world.nodes[TOWN].settled);
    assert_eq!(village.last().unwrap().mismatched, vec![]);
    // Either may lack something of each of the three.
    assert_eq!(village.last().unwrap().repaired, 3);
    assert_eq!(town.last().unwrap().repaired, 3);
}

#[test]
fn what_cannot_be_repaired_is_reported_and_not_tried_for_ever() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    // A change that no log names.
    let id = crate::id::CaseId::new(own.site, [1; 11]).doc(Kind::Application);
    world.nodes[TOWN]
        .docs
        .get_mut(&id)
        .unwrap()
        .insert(ChangeHash([9; 32]));
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(
        world.nodes[SHIQIAO].settled.last().unwrap().mismatched,
        [own]
    );
    assert_eq!(world.nodes[TOWN].settled.last().unwrap().mismatched, [own]);
    assert!(world.lines[line].messages < 20);
}

#[test]
fn nothing_of_a_scope_the_peer_may_not_read_is_on_the_line() {
    let mut world = World::new();
    let own = world.scope(QINGXI, Kind::Application);
    world.write(QINGXI, own, 1, 2);
    meet(&mut world);
    let line = world.connect(SHIQIAO, TOWN);
    world.deliver(line, 1, 0, false);
    for message in world.waiting(line, 0) {
        let text = format!("{message:?}");
        assert!(!text.contains(&format!("{:?}", fixture::QINGXI)), "{text}");
    }
    world.run();
    assert!(world.nodes[SHIQIAO].logs.is_empty());
}
