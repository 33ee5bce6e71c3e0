use cuntong_protocol::{control::NodeStatus, id::NodeId, time::Millis, wire::Sighting};
use cuntong_web::desk::NodeRow;

use super::fixture::{Counter, County, HUB, LI, NOW, SHIQIAO, TOWN, public_of};
use crate::desk::sync;

const HOUR_MS: i64 = 3_600_000;

fn row(hub: &Counter, node: NodeId) -> NodeRow {
    let rows = hub.look(|g| sync::nodes(g, &[]));
    rows.into_iter().find(|row| row.node == node).unwrap()
}

#[test]
fn the_county_sees_a_village_through_its_township_and_what_it_has_not_sent() {
    let county = County::new();
    let (hub, village) = (county.desk(HUB), county.desk(SHIQIAO));
    let node = NodeId::of_key(&public_of(SHIQIAO));
    let town = NodeId::of_key(&public_of(TOWN));

    let never = row(&hub, node);
    assert_eq!(never.status, NodeStatus::Active);
    assert_eq!((never.last_seen, never.version), (None, None));

    let _case = village.log("王小明", LI);
    let vector = village.store.read(|db| db.whole_vector()).unwrap();
    let written: u64 = vector.values().map(|head| head.seq).sum();
    let seen = |at: Millis| Sighting {
        node,
        at,
        clock_offset_ms: Some(-90_000),
        product: "0.1.0".into(),
        epoch: 1,
        written,
        waiting_since: Some(NOW.after(-HOUR_MS)),
    };
    let note = |at: Millis| {
        let sighting = seen(at);
        hub.store
            .write(move |db| db.note_sighting(&sighting, Some(town)))
            .unwrap()
    };
    assert!(note(NOW));
    assert!(!note(NOW.after(-HOUR_MS)), "older word changes nothing");

    let waits = row(&hub, node);
    assert_eq!(waits.last_seen, Some(NOW));
    assert!(waits.via.is_some());
    assert_eq!(waits.backlog, written);
    assert!(waits.backlog_oldest_s >= 3_600);
    assert_eq!(waits.clock_offset_s, Some(-90));

    village.send(&hub);
    let arrived = row(&hub, node);
    assert_eq!((arrived.backlog, arrived.backlog_oldest_s), (0, 0));
    assert!(arrived.custody_at.is_some());
}
