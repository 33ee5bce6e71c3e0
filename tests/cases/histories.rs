//! Thousands of histories of a small county, each from a seed, each with cuts, crashes between
//! writes, duplicated and overtaken messages, restarts, restored backups and cloned disks.
//!
//! `CUNTONG_SEED=17 cargo test -p cuntong-tests --test cases history_of_one_seed` replays one;
//! `CUNTONG_HISTORIES=100000` makes a long night of it, and `CUNTONG_FIRST` begins with another seed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use harness::world::World;

/// Histories in an ordinary run.
const HISTORIES: u64 = 500;
/// Steps of one history.
const STEPS: usize = 120;

fn setting(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test run's own size, not a node's setting"
    )]
    let value = std::env::var(name);
    value.ok()?.parse().ok()
}

fn live(seed: u64) {
    let mut world = World::small(seed);
    for _step in 0..STEPS {
        world.step();
    }
    world.settle();
    world.check();
}

#[test]
fn no_history_loses_or_doubles_a_saved_act() {
    let histories = setting("CUNTONG_HISTORIES").unwrap_or(HISTORIES);
    let first = setting("CUNTONG_FIRST").unwrap_or(1);
    let next = AtomicU64::new(first);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _worker in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + histories {
                        return;
                    }
                    let lived = catch_unwind(AssertUnwindSafe(|| live(seed)));
                    assert!(
                        lived.is_ok(),
                        "history {seed} failed: CUNTONG_SEED={seed} replays it"
                    );
                }
            });
        }
    });
}

#[test]
fn history_of_one_seed() {
    live(setting("CUNTONG_SEED").unwrap_or(7));
}

#[test]
fn a_seed_replays_to_the_byte() {
    let diary = |seed| {
        let mut world = World::small(seed);
        for _step in 0..STEPS {
            world.step();
        }
        (world.diary, world.model.deeds.len())
    };
    assert_eq!(diary(23), diary(23));
}
