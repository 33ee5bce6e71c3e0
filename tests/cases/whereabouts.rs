//! What the county knows of nodes it never speaks with itself.

use cuntong_node::store::Linked;
use cuntong_protocol::{
    role::Level,
    sync::{Peer, host::Replica as _},
    wire::Sighting,
};
use harness::world::World;

const HUB: usize = 0;
const TOWN: usize = 1;
const VILLAGE: usize = 2;
/// Lines of [`World::small`].
const TOWN_CALLS_HUB: usize = 0;
const VILLAGE_CALLS_TOWN: usize = 1;

#[test]
fn the_county_hears_of_a_village_from_the_township() {
    let mut world = World::small(5);
    world.log_case(VILLAGE);
    let _trips = world.exchange(VILLAGE_CALLS_TOWN);
    world.cut(VILLAGE_CALLS_TOWN);
    let met_at = world.now;
    world.pass(3_600_000);
    let _trips = world.exchange(TOWN_CALLS_HUB);

    let (village, town) = (world.machines[VILLAGE].node, world.machines[TOWN].node);
    let known = world.db(HUB).peers().expect("the store reads");
    let of = |node| known.iter().find(|note| note.sighting.node == node);
    let note = of(village).expect("the township told of it");
    assert_eq!(note.via, Some(town));
    assert_eq!(note.sighting.at, met_at);
    assert_eq!(of(town).expect("it called itself").via, None);

    // A village that returns while the township talks with the county is heard of at once.
    world.pass(3_600_000);
    let back_at = world.now;
    world.lines[VILLAGE_CALLS_TOWN].plugged = true;
    assert!(world.call(VILLAGE_CALLS_TOWN));
    world.run_dry();
    let known = world.db(HUB).peers().expect("the store reads");
    let note = known.iter().find(|note| note.sighting.node == village);
    assert_eq!(note.map(|note| note.sighting.at), Some(back_at));
}

#[test]
fn a_node_is_believed_about_its_own_area_only() {
    let mut world = World::small(6);
    let (hub, town) = (world.machines[HUB].node, world.machines[TOWN].node);
    let village = &world.machines[VILLAGE];
    let peer = Peer {
        node: village.node,
        site: village.site,
        level: Level::Village,
        upstream: false,
    };
    let now = world.now;
    let sightings = [hub, town, peer.node].map(|node| Sighting {
        node,
        at: now.after(365 * 86_400_000),
        clock_offset_ms: None,
        product: "9".into(),
        epoch: 7,
        written: u64::MAX,
        waiting_since: None,
    });
    let mut store = Linked::new(world.db(HUB), now);
    let news = store.seen(&peer, sightings.to_vec());
    assert_eq!(news.expect("the store writes"), []);
    assert!(world.db(HUB).peers().expect("the store reads").is_empty());
}
