//! What came back is open until somebody does it again or drops it.

use cuntong_protocol::{
    id::{Kind, PersonId},
    log::Rejection,
};

use crate::store::{
    Db,
    fixture::{County, HUB, NOW, SHIQIAO, TOWN, case, node_of, send, write},
    settle::{Outcome, Settled},
};

fn dropped() -> Settled {
    Settled {
        at: NOW,
        person: PersonId([7; 8]),
        outcome: Outcome::Dropped("居民不办了".to_owned()),
    }
}

/// Refusals by hub and township of the first entry of this node's only log.
fn refusals(db: &Db) -> Vec<Rejection> {
    let (log, _) = db.whole_vector().unwrap().into_iter().next().unwrap();
    let batch = db.batch(&log, 0).unwrap().unwrap();
    [HUB, TOWN]
        .map(|by| Rejection {
            log,
            seq: 1,
            doc: batch.entries[0].doc,
            hash: batch.entries[0].hash,
            rule: "G508".to_owned(),
            reason: "样例".to_owned(),
            by: node_of(by),
        })
        .to_vec()
}

#[test]
fn refused_work_is_open_once_until_it_is_settled_once() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    write(&mut village, doc, "二");
    let refusals = refusals(&village);
    village.reject(&refusals, true, NOW).unwrap();
    assert_eq!(village.open_refusals().unwrap(), 2, "and what followed it");
    for refused in village.rejections(None, 10).unwrap() {
        assert!(village.came_back(&refused).unwrap());
        village.rejection_seen(refused.id, NOW).unwrap();
    }
    assert_eq!(village.open_refusals().unwrap(), 2, "seen is not settled");

    let hash = refusals[0].hash;
    assert_eq!(village.settled(hash).unwrap(), None);
    assert!(village.settle(hash, doc, &dropped()).unwrap());
    let other = Settled {
        outcome: Outcome::Redone(doc),
        ..dropped()
    };
    assert!(!village.settle(hash, doc, &other).unwrap());
    assert_eq!(village.settled(hash).unwrap(), Some(dropped()));
    assert_eq!(village.open_refusals().unwrap(), 1);
}

#[test]
fn what_replaced_a_refused_beginning_is_known() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let [old, new] = [1, 2].map(|n| case(SHIQIAO, n).doc(Kind::Application));
    write(&mut village, old, "一");
    let refusals = refusals(&village);
    village.reject(&refusals, true, NOW).unwrap();
    assert_eq!(village.redone_as(old).unwrap(), None);
    let settled = Settled {
        outcome: Outcome::Redone(new),
        ..dropped()
    };
    village.settle(refusals[0].hash, old, &settled).unwrap();
    assert_eq!(village.redone_as(old).unwrap(), Some(new));
    assert_eq!(village.redone_as(new).unwrap(), None);
}

#[test]
fn other_nodes_work_is_not_this_nodes_to_settle() {
    let county = County::new();
    let (mut village, mut town) = (county.node(SHIQIAO), county.node(TOWN));
    write(&mut village, case(SHIQIAO, 1).doc(Kind::Application), "一");
    let refusals = refusals(&village);
    send(&village, &mut town, false);
    town.reject(&refusals[..1], true, NOW).unwrap();
    assert_eq!(town.open_refusals().unwrap(), 0);
    let heard = town.rejections(None, 10).unwrap();
    assert!(!town.came_back(&heard[0]).unwrap());
    assert_eq!(town.refusal(heard[0].id).unwrap().as_ref(), heard.first());
    assert_eq!(town.refusal(-1).unwrap(), None);
}
