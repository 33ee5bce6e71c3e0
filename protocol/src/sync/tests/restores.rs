//! Nodes whose past was lost.

use super::*;

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
