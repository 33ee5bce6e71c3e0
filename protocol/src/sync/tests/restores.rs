//! Nodes whose past was lost.

use super::{node::Node, *};

#[test]
fn a_restored_village_begins_a_new_epoch_and_loses_nothing() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    let backup = world.nodes[SHIQIAO].clone();
    world.write(SHIQIAO, own, 2, 2);
    meet(&mut world);
    let before: Vec<_> = world.nodes[HUB].docs.keys().copied().collect();
    world.nodes[SHIQIAO] = backup;
    // It does not know that it was restored, and writes at positions that are taken.
    world.write(SHIQIAO, own, 3, 3);
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(
        world.lines[line].closed,
        [Closing::Again],
        "at once, by the caller"
    );
    world.lines.clear();
    meet(&mut world);
    meet(&mut world);
    assert_eq!(world.nodes[SHIQIAO].forks, 1);
    assert_eq!(world.nodes[SHIQIAO].writer.epoch, 2);
    let docs = &world.nodes[HUB].docs;
    assert!(
        before.iter().all(|d| docs.contains_key(d)),
        "what was acknowledged stays"
    );
    assert_eq!(
        docs.len(),
        3,
        "what was written after the restore arrives too"
    );
    assert_eq!(world.nodes[HUB].vector(), world.nodes[SHIQIAO].vector());
    world.check();
}

#[test]
fn a_restored_village_that_wrote_nothing_learns_it_from_the_vector() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let empty = world.nodes[SHIQIAO].clone();
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    world.nodes[SHIQIAO] = empty;
    meet(&mut world);
    assert_eq!(world.nodes[SHIQIAO].writer.epoch, 2);
    assert_eq!(
        world.nodes[HUB].vector(),
        world.nodes[SHIQIAO].vector(),
        "and takes it back"
    );
}

/// A machine is as it was: it knows that it stopped out of order, and goes on in an epoch of its own.
fn set_back(world: &mut World, at: usize, before: Node) {
    world.nodes[at] = before;
    world.nodes[at].writer.epoch += 100;
}

#[test]
fn who_gets_its_own_entries_back_hears_in_the_same_session_that_they_are_in_custody() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let empty = world.nodes[SHIQIAO].clone();
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    set_back(&mut world, SHIQIAO, empty);
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert!(world.lines[line].closed.is_empty(), "one session");
    let town = world.nodes[TOWN].writer.node;
    assert_eq!(world.nodes[SHIQIAO].covered(log, town), 2);
}

#[test]
fn a_restored_hub_takes_back_what_the_nodes_below_hold() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let backup = world.nodes[HUB].clone();
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    world.nodes[HUB] = backup;
    meet(&mut world);
    assert_eq!(world.nodes[HUB].vector(), world.nodes[SHIQIAO].vector());
}

/// A restored township meets a village first, which alone holds what the township lost.
#[test]
fn a_restored_township_learns_it_from_a_village_that_shows_its_seal() {
    for (before, after) in [(2, 1), (2, 2), (2, 3)] {
        let mut world = World::new();
        let results = Scope {
            kind: Kind::Handling,
            site: fixture::SHIQIAO,
        };
        world.write(TOWN, results, 1, 2);
        meet(&mut world);
        let backup = world.nodes[TOWN].clone();
        world.write(TOWN, results, 2, before);
        world.connect(SHIQIAO, TOWN);
        world.run();
        world.lines.clear();
        world.nodes[TOWN] = backup;
        world.write(TOWN, results, 3, after);
        for _session in 0..2 {
            world.connect(SHIQIAO, TOWN);
            world.run();
            world.lines.clear();
        }
        assert_eq!(world.nodes[TOWN].writer.epoch, 2, "{before} {after}");
        meet(&mut world);
        for node in [HUB, TOWN, SHIQIAO] {
            assert_eq!(world.nodes[node].docs.len(), 3, "{before} {after}: {node}");
        }
        assert_eq!(world.nodes[HUB].vector(), world.nodes[SHIQIAO].vector());
        world.check();
    }
}

#[test]
fn a_village_cannot_make_the_township_begin_an_epoch_without_proof() {
    let mut world = World::new();
    let results = Scope {
        kind: Kind::Handling,
        site: fixture::SHIQIAO,
    };
    world.write(TOWN, results, 1, 2);
    meet(&mut world);
    let log = LogId {
        scope: results,
        writer: world.nodes[TOWN].writer,
    };
    // A branch the township never wrote, under a seal it never made.
    let forged = world.nodes[SHIQIAO].logs.get_mut(&log).unwrap();
    forged.entries[1].hash = ChangeHash([9; 32]);
    let head = forged.head();
    forged.seals.values_mut().for_each(|seal| seal.head = head);
    world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(world.nodes[TOWN].writer.epoch, 1);
    assert_eq!(world.nodes[TOWN].forks, 0);
}

#[test]
fn own_entries_that_come_back_from_below_are_told_to_be_in_custody_above() {
    let mut world = World::new();
    let notices = world.scope(TOWN, Kind::Notice);
    world.write(TOWN, notices, 1, 1);
    meet(&mut world);
    let before = world.nodes[TOWN].clone();
    world.now = world.now.after(3_600_000);
    world.write(TOWN, notices, 2, 2);
    meet(&mut world);
    let log = LogId {
        scope: notices,
        writer: world.nodes[TOWN].writer,
    };
    set_back(&mut world, TOWN, before);
    // A control document came meanwhile: nothing is sent before the hub has answered.
    world.nodes[TOWN].controls.insert(3, vec![3; 40]);
    // It greets the hub before the village brings what was lost; the hub asks for all it holds by then.
    let above = world.connect(TOWN, HUB);
    let below = world.connect(SHIQIAO, TOWN);
    while world.deliver(below, 0, 0, false) | world.deliver(below, 1, 0, false) {}
    assert_eq!(world.nodes[TOWN].vector(), world.nodes[HUB].vector());
    world.run();
    assert_eq!(world.lines[above].closed, [], "one session");
    let hub = world.nodes[HUB].writer.node;
    assert_eq!(world.nodes[TOWN].covered(log, hub), 3);
}

#[test]
fn a_new_machine_of_a_site_hears_at_once_how_far_the_work_before_it_went() {
    let mut world = World::new();
    // The next village's machine stands for the new one: it has written none of this.
    let mut new = world.nodes[QINGXI].clone();
    new.site = world.nodes[SHIQIAO].site;
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 2);
    meet(&mut world);
    let log = LogId {
        scope: own,
        writer: world.nodes[SHIQIAO].writer,
    };
    world.nodes[SHIQIAO] = new;
    let line = world.connect(SHIQIAO, TOWN);
    world.run();
    assert_eq!(world.lines[line].closed, [], "one session");
    for holder in [TOWN, HUB] {
        let holder = world.nodes[holder].writer.node;
        assert_eq!(world.nodes[SHIQIAO].covered(log, holder), 2);
    }
}
