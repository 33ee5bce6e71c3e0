//! What is refused: visible to its author, in nobody's way.

use std::collections::BTreeSet;

use harness::world::{Trick, World};

const HUB: usize = 0;
const TOWN: usize = 1;
const VILLAGE: usize = 2;
/// From the township to the hub, from the village to the township.
const LINES: [usize; 2] = [0, 1];
const CALLER: usize = 0;
const CALLEE: usize = 1;

/// A village with good cases before and after a bad one.
fn with_a_bad_one(seed: u64) -> (World, String) {
    let mut world = World::small(seed);
    let mut bad = String::new();
    for n in 0..6 {
        world.log_case(VILLAGE);
        if n == 2 {
            bad = world.log_case_of_a_stranger(VILLAGE);
        }
        world.pass(60_000);
    }
    (world, bad)
}

#[test]
fn invariant_10_a_bad_document_delays_no_other() {
    for seed in 1..=8 {
        let (mut world, bad) = with_a_bad_one(seed);
        world.exchange(LINES[1]);
        world.exchange(LINES[0]);
        let held = harness::world::tokens(world.db(HUB));
        let tokens: Vec<_> = held.keys().map(|(_, token)| token).collect();
        assert!(!tokens.contains(&&bad), "seed {seed}: {bad} is at the hub");
        for token in world.model.deeds.keys() {
            assert!(tokens.contains(&token), "seed {seed}: {token} was delayed");
        }
    }
}

#[test]
fn invariant_11_a_refusal_reaches_its_author_once_through_any_cut() {
    for cut in 0.. {
        let (mut world, _bad) = with_a_bad_one(3);
        world.lines[LINES[1]].plugged = true;
        assert!(world.call(LINES[1]));
        let mut arrived = 0;
        'talk: loop {
            let before = arrived;
            for end in [CALLEE, CALLER] {
                if arrived == cut {
                    break 'talk;
                }
                arrived += usize::from(world.deliver(LINES[1], end, Trick::None));
            }
            if arrived == before {
                break;
            }
        }
        world.power_cut(TOWN);
        world.power_cut(VILLAGE);
        // Every later session finds it told already, or tells it.
        world.settle();
        world.settle();
        let told = world.db(VILLAGE).rejections(None, 100).expect("it reads");
        let one = told
            .iter()
            .all(|t| t.rejection.hash == told[0].rejection.hash);
        assert!(one && !told.is_empty(), "cut after {cut}: {told:?}");
        // The township refused it, and the hub what the township does not vouch for.
        let by: BTreeSet<_> = told.iter().map(|t| t.rejection.by).collect();
        assert_eq!(by.len(), told.len(), "cut after {cut}: {told:?}");
        world.check();
        if arrived < cut {
            assert!(cut > 4, "a session of several messages");
            return;
        }
    }
}
