//! What holds after every step of a history, and at its end.

use std::collections::BTreeMap;

use cuntong_node::store::Db;
use cuntong_protocol::{id::NodeId, log::Batch};
use harness::{county, world::World};

use super::STEPS;

const TWENTY_YEARS_MS: i64 = 20 * 365 * 24 * 3_600 * 1000;

/// A history in which nothing is restored or cloned: only crashes, cuts and disorder.
fn plain(seed: u64) -> World {
    let mut world = World::small(seed);
    world.restores = false;
    world
}

/// Places of the machines that are on.
fn on(world: &World) -> Vec<usize> {
    let all = 0..world.machines.len();
    all.filter(|at| world.machines[*at].db.is_some()).collect()
}

/// Kind, site, node, epoch and number of every entry, and its hash.
type Position = (u8, u32, [u8; 8], u32, i64);

fn entries(db: &Db) -> Vec<(Position, [u8; 32])> {
    let mut query = db
        .connection()
        .prepare(
            "SELECT log.kind, log.site, log.node, log.epoch, entry.seq, entry.hash
             FROM entry JOIN log ON log.id = entry.log",
        )
        .expect("the tables of this version");
    let rows = query.query_map([], |r| {
        let at = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?);
        Ok((at, r.get(5)?))
    });
    let rows = rows.expect("entries read");
    rows.map(|row| row.expect("a row")).collect()
}

/// Notes every entry held anywhere; whoever holds another at the same position fails the history.
fn one_at_a_position(world: &mut World, seen: &mut BTreeMap<Position, [u8; 32]>) {
    for at in on(world) {
        for (position, hash) in entries(world.db(at)) {
            let known = *seen.entry(position).or_insert(hash);
            if known != hash {
                world.fail(&format!("two entries at {position:?}"));
            }
        }
    }
}

#[test]
fn invariant_01_equal_vectors_mean_equal_documents() {
    for seed in 1..=12 {
        let mut world = World::small(seed);
        for _step in 0..STEPS {
            world.step();
            equal_where_vectors_are(&mut world);
        }
    }
}

fn equal_where_vectors_are(world: &mut World) {
    let on = on(world);
    let scopes = |world: &World, at: usize| {
        let places = county::county().trust().places();
        cuntong_protocol::policy::scopes_read_by(places, world.machines[at].site)
    };
    for (n, one) in on.iter().enumerate() {
        for other in &on[n + 1..] {
            let theirs = scopes(world, *other);
            let mut shared = scopes(world, *one);
            shared.retain(|scope| theirs.contains(scope));
            let ahead = [*one, *other]
                .map(|at| world.db(at).changes_ahead().expect("rows are counted"))
                .iter()
                .any(|changes| *changes > 0);
            let [ours, theirs] =
                [*one, *other].map(|at| world.db(at).digests(&shared).expect("digests read"));
            for (p, q) in ours.iter().zip(&theirs) {
                // Documents of a first meeting come ahead of their logs.
                if p.vector == q.vector && p != q && !ahead {
                    world.fail(&format!("{one} and {other}: {p:?} and {q:?}"));
                }
            }
        }
    }
}

#[test]
fn invariant_02_no_power_cut_makes_two_entries_of_one_position() {
    for seed in 1..=12 {
        let mut world = plain(seed);
        let mut seen = BTreeMap::new();
        for _step in 0..STEPS {
            world.step();
            one_at_a_position(&mut world, &mut seen);
        }
        world.settle();
        one_at_a_position(&mut world, &mut seen);
    }
}

#[test]
fn invariant_03_a_machine_restored_from_any_backup_loses_nothing() {
    for seed in 1..=12 {
        let mut world = plain(seed);
        let at = seed as usize % 4;
        let whole = seed % 8 < 4;
        let before = world.dice.below(STEPS);
        for _step in 0..before {
            world.step();
        }
        world.start(at);
        world.back_up(at);
        for _step in before..STEPS {
            world.step();
        }
        assert!(world.restore(at, whole), "there is a backup");
        for _step in 0..STEPS / 4 {
            world.step();
        }
        world.settle();
        world.check();
    }
}

/// A machine that forgot what it did, and does not know that it forgot: its neighbours see two branches
/// of its log and it writes again what only it has.
#[test]
fn invariant_03_a_machine_set_back_to_an_image_of_its_disk_loses_nothing() {
    for seed in 1..=12 {
        let mut world = plain(seed);
        let at = seed as usize % 4;
        for _step in 0..STEPS / 2 {
            world.step();
        }
        world.start(at);
        world.image(at);
        for _step in 0..STEPS / 2 {
            world.step();
        }
        // What only a machine far from it holds, it could take for the worse branch.
        world.settle();
        assert!(world.restore(at, true), "there is an image");
        for _step in 0..STEPS / 2 {
            world.step();
        }
        world.settle();
        world.check();
    }
}

#[test]
fn invariant_04_a_cloned_disk_writes_in_an_epoch_of_its_own() {
    for seed in 1..=12 {
        let mut world = plain(seed);
        for _step in 0..STEPS {
            world.step();
        }
        let first = [1, 2, 3][seed as usize % 3];
        world.start(first);
        assert!(world.clone_disk(first), "it is on");
        let clone = world.machines.len() - 1;
        let writer = |world: &mut World, at: usize| {
            let identity = world.db(at).identity().expect("it is enrolled");
            (identity.writer.node, identity.writer.epoch)
        };
        let (one, other) = (writer(&mut world, first), writer(&mut world, clone));
        assert_eq!(one.0, other.0, "seed {seed}: the same node");
        assert_ne!(one.1, other.1, "seed {seed}: not the same epoch");
        let mut seen = BTreeMap::new();
        for _act in 0..5 {
            world.somebody_acts(first);
            world.somebody_acts(clone);
        }
        one_at_a_position(&mut world, &mut seen);
        world.settle();
        one_at_a_position(&mut world, &mut seen);
        world.check();
    }
}

#[test]
fn invariant_07_logs_have_no_gap_and_receipts_are_of_what_is_held() {
    for seed in 1..=12 {
        let mut world = plain(seed);
        for _step in 0..STEPS {
            world.step();
            no_gaps(&mut world);
            receipts_are_good(&mut world);
        }
    }
}

fn no_gaps(world: &mut World) {
    for at in on(world) {
        let gaps: i64 = world
            .db(at)
            .connection()
            .query_row(
                "SELECT count(*) FROM (SELECT 1 FROM entry GROUP BY log
                 HAVING min(seq) <> 1 OR max(seq) <> count(*))",
                [],
                |r| r.get(0),
            )
            .expect("entries read");
        if gaps > 0 {
            world.fail(&format!("{gaps} logs of {at} have gaps"));
        }
    }
}

/// What any machine has a receipt for is on the disk of who signed it.
fn receipts_are_good(world: &mut World) {
    let on = on(world);
    for holder in &on {
        let node: NodeId = world.machines[*holder].node;
        let held = world.db(*holder).whole_vector().expect("the vector reads");
        for at in &on {
            let receipts = world.db(*at).receipted_by(node).expect("receipts read");
            for (log, head) in receipts {
                let durable = held.get(&log).map_or(0, |h| h.seq);
                if head.seq > durable {
                    world.fail(&format!(
                        "{at} has a receipt of {holder} for {log:?} up to {}, durable are {durable}",
                        head.seq
                    ));
                }
            }
        }
    }
}

#[test]
fn invariant_14_clocks_twenty_years_wrong_stop_nothing() {
    for seed in 1..=12 {
        let mut world = World::small(seed);
        for at in 0..4 {
            world.machines[at].clock_ms =
                [0, TWENTY_YEARS_MS, -TWENTY_YEARS_MS][world.dice.below(3)];
        }
        let far = seed as usize % 4;
        world.machines[far].clock_ms = if seed % 2 == 0 {
            TWENTY_YEARS_MS
        } else {
            -TWENTY_YEARS_MS
        };
        for _step in 0..STEPS {
            world.step();
        }
        world.settle();
        world.check();
    }
}

#[test]
fn invariant_18_what_was_folded_comes_back_to_the_byte() {
    let mut folded = 0;
    for seed in 1..=4 {
        let mut world = World::small(seed);
        for _step in 0..STEPS {
            world.step();
        }
        world.settle();
        let now = world.now;
        for at in 0..world.machines.len() {
            let (kept, told) = (snapshots(world.db(at)), batches(world.db(at)));
            let before = bodies(world.db(at));
            world.fold(at);
            folded += before - bodies(world.db(at));
            assert!(batches(world.db(at)) == told, "seed {seed}, machine {at}");
            world.db(at).rebuild(now).expect("it rebuilds");
            assert_eq!(snapshots(world.db(at)), kept, "seed {seed}, machine {at}");
            assert!(batches(world.db(at)) == told, "seed {seed}, machine {at}");
        }
        world.check();
    }
    assert!(folded > 0);
}

/// Every entry a machine can tell, with its change.
fn batches(db: &Db) -> Vec<Batch> {
    let mut all = Vec::new();
    for log in db.whole_vector().expect("logs read").keys() {
        let mut after = 0;
        while let Some(batch) = db.batch(log, after).expect("entries read") {
            after = batch.last();
            all.push(batch);
        }
    }
    all
}

/// Entries whose change is kept in their log.
fn bodies(db: &Db) -> i64 {
    let conn = db.connection();
    let count = conn.query_row("SELECT count(body) FROM entry", [], |r| r.get(0));
    count.expect("entries are counted")
}

fn snapshots(db: &Db) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let mut query = db
        .connection()
        .prepare("SELECT id, heads, snapshot FROM document ORDER BY id")
        .expect("the tables of this version");
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    let rows = rows.expect("documents read");
    rows.map(|row| row.expect("a row")).collect()
}
