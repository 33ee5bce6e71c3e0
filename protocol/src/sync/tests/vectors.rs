//! Vectors as differences, and what is sent before the other has spoken.

use super::*;
use crate::wire::codec;

/// Both ends have met, agreed and parted; the village has written since.
fn parted() -> World {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 3);
    meet(&mut world);
    world.now = world.now.after(3_600_000);
    world.write(SHIQIAO, own, 2, 2);
    let results = Scope {
        kind: Kind::Handling,
        site: fixture::SHIQIAO,
    };
    world.write(TOWN, results, 1, 1);
    world
}

fn flight(world: &mut World, line: usize, end: usize) {
    let coming = world.waiting(line, end).len();
    for _message in 0..coming {
        world.deliver(line, end, 0, false);
    }
}

fn covered(world: &World) -> u64 {
    let scope = world.scope(SHIQIAO, Kind::Application);
    let log = LogId {
        scope,
        writer: world.nodes[SHIQIAO].writer,
    };
    world.nodes[SHIQIAO].covered(log, world.nodes[TOWN].writer.node)
}

#[test]
fn a_day_offline_is_over_in_one_round_trip_between_nodes_that_agreed_before() {
    let mut world = parted();
    let line = world.connect(SHIQIAO, TOWN);
    let kinds: Vec<_> = world.waiting(line, 1);
    assert!(matches!(kinds[..], [Message::Hello(_), Message::Pack(_)]));
    flight(&mut world, line, 1);
    flight(&mut world, line, 0);
    assert_eq!(covered(&world), 5, "custody of the new entries");
    let settled = world.nodes[SHIQIAO].settled.last().unwrap();
    assert_eq!((settled.sent, settled.received), (2, 1));
    assert_eq!(world.nodes[SHIQIAO].vector(), world.nodes[TOWN].vector());
    assert_eq!(world.lines[line].sessions[0].deadline(), None, "settled");
}

#[test]
fn a_greeting_does_not_grow_with_the_logs_that_did_not_change() {
    let mut world = World::new();
    let greeting = |world: &mut World| {
        meet(world);
        let line = world.connect(SHIQIAO, TOWN);
        let first = world.waiting(line, 1).remove(0);
        world.lines.clear();
        codec::encode(&first).len()
    };
    let own = world.scope(SHIQIAO, Kind::Application);
    world.write(SHIQIAO, own, 1, 1);
    let one = greeting(&mut world);
    for epoch in 2..=40 {
        world.nodes[SHIQIAO].writer.epoch = epoch;
        world.write(SHIQIAO, own, 1, 1);
    }
    let forty = greeting(&mut world);
    assert!(forty <= one + 4, "{one} and {forty} bytes");
}

#[test]
fn who_lost_the_agreement_asks_for_the_whole_vector_and_nothing_is_missed() {
    for loser in [SHIQIAO, TOWN] {
        let mut world = parted();
        world.nodes[loser].agreed.clear();
        let line = world.connect(SHIQIAO, TOWN);
        world.run();
        assert_eq!(world.nodes[SHIQIAO].vector(), world.nodes[TOWN].vector());
        assert_eq!(covered(&world), 5);
        assert_eq!(world.lines[line].closed, []);
        let agreed = |n: usize, of: usize| {
            let of = world.nodes[of].writer.node;
            world.nodes[n].agreed.get(&of).map(Agreed::name)
        };
        assert!(agreed(TOWN, SHIQIAO).is_some());
        assert_eq!(agreed(SHIQIAO, TOWN), agreed(TOWN, SHIQIAO));
    }
}

#[test]
fn a_node_above_that_holds_less_than_its_receipts_say_is_sent_all_it_lacks() {
    let mut world = parted();
    // Its disk is that of the morning, and so is its memory of agreements.
    let (logs, docs) = (
        world.nodes[TOWN].logs.clone(),
        world.nodes[TOWN].docs.clone(),
    );
    let own = world.scope(SHIQIAO, Kind::Application);
    meet(&mut world);
    world.write(SHIQIAO, own, 3, 1);
    (world.nodes[TOWN].logs, world.nodes[TOWN].docs) = (logs, docs);
    let line = world.connect(SHIQIAO, TOWN);
    let early = world.waiting(line, 1);
    assert!(matches!(early[..], [Message::Hello(_), Message::Pack(_)]));
    world.run();
    assert_eq!(world.lines[line].closed, []);
    assert_eq!(world.nodes[SHIQIAO].vector(), world.nodes[TOWN].vector());
    world.check();
}

#[test]
fn nothing_is_sent_ahead_of_control_documents_the_other_may_lack() {
    let mut world = parted();
    world.nodes[SHIQIAO].controls.insert(9, vec![9; 20]);
    let line = world.connect(SHIQIAO, TOWN);
    assert!(matches!(world.waiting(line, 1)[..], [Message::Hello(_)]));
    world.run();
    assert_eq!(world.nodes[SHIQIAO].vector(), world.nodes[TOWN].vector());
    assert!(world.nodes[TOWN].controls.contains_key(&9));
}

#[test]
fn a_vector_of_thousands_of_logs_goes_in_parts_and_is_whole_at_the_other_end() {
    let mut world = World::new();
    let own = world.scope(SHIQIAO, Kind::Application);
    let logs = u32::try_from(limits::VECTOR_LOGS_MAX * 2 + 10).unwrap();
    for epoch in 1..=logs {
        world.nodes[SHIQIAO].writer.epoch = epoch;
        world.nodes[SHIQIAO].write(own, 1, 1);
    }
    let line = world.connect(SHIQIAO, TOWN);
    let parts = world.waiting(line, 1);
    assert_eq!(parts.len(), 3, "HELLO and two parts");
    for part in parts {
        assert!(codec::encode(&part).len() < limits::MESSAGE_BYTES_MAX / 4);
    }
    // The last part first: a line may deliver as it likes.
    world.deliver(line, 1, 2, true);
    world.deliver(line, 1, 0, false);
    world.deliver(line, 1, 0, true);
    flight(&mut world, line, 1);
    flight(&mut world, line, 0);
    flight(&mut world, line, 1);
    let town = &world.nodes[TOWN];
    let from = world.nodes[SHIQIAO].vector();
    assert!(town.logs.len() >= limits::WINDOW_BATCHES);
    assert_eq!(town.met.last().unwrap().written, from.len() as u64);
}
