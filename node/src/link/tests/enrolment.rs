//! Joining online, from the ticket to the first session.

use std::sync::Arc;

use cuntong_provisioning::{
    enrol::{Joining, TicketBook as _},
    ticket::Purpose,
};

use super::{
    super::*,
    land::{HUB, Land, Machine, NOW, QINGXI, SHIQIAO, until},
};
use crate::{
    identity,
    intake::{Door, TakenIn},
};

/// A machine with a ticket for that place.
pub(super) fn beginner(land: &mut Land, code: &str) -> Joining {
    let site = land.county.place(code).unwrap().site;
    let ticket = land
        .county
        .ticket(site, Purpose::New, &[], 30, &mut land.chance, NOW)
        .unwrap();
    Joining::begin(ticket, &mut land.chance, NOW).unwrap()
}

async fn ask_hub(joining: &Joining, hub: &str) -> Asked {
    ask_by(joining, hub, &config::Config::default().link).await
}

pub(super) async fn ask_by(joining: &Joining, hub: &str, link: &config::Link) -> Asked {
    let clock = Clock::by_hand(NOW);
    let own = identity::stranger(joining.keys(), &clock).unwrap();
    ask_to_join(joining, hub, own, link, &clock).await.unwrap()
}

/// The hub's inbox.
pub(super) fn door(land: &Land, hub: &super::land::Running) -> Door {
    Door {
        dir: std::env::temp_dir(),
        store: hub.store.clone(),
        clock: Clock::by_hand(NOW),
        news: hub.news.clone(),
        blobs: hub.blobs.clone(),
        tickets: land.tickets(),
        bell: Arc::new(tokio::sync::Notify::new()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_with_a_ticket_asks_waits_and_is_a_node_once_the_registrar_answered() {
    let mut land = Land::new(21);
    let hub = land.machine(HUB);
    let hub = land.start(&hub, true, &[]);
    let address = hub.links.address().unwrap().to_string();
    let joining = beginner(&mut land, SHIQIAO);

    assert!(matches!(ask_hub(&joining, &address).await, Asked::Waiting));
    // Asking again is the same request.
    assert!(matches!(ask_hub(&joining, &address).await, Asked::Waiting));
    assert_eq!(land.tickets().book.waiting(), Ok(1));

    let issued = land
        .county
        .grant(joining.request(), false, &mut land.chance, NOW)
        .unwrap();
    let door = door(&land, &hub);
    assert_eq!(
        door.take(&issued.grant).unwrap(),
        TakenIn::Grant { waited: true }
    );
    // The roster in the grant is in force at the hub.
    assert!(hub.roster().node(joining.node()).is_some());

    let Asked::Joined(joined) = ask_hub(&joining, &address).await else {
        panic!("not joined");
    };
    let village = land.start(
        &Machine {
            joining,
            joined: *joined,
        },
        false,
        &[&hub],
    );
    until("connected", || village.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_a_second_machine_presents_is_frozen() {
    let mut land = Land::new(22);
    let hub = land.machine(HUB);
    let hub = land.start(&hub, true, &[]);
    let address = hub.links.address().unwrap().to_string();
    let first = beginner(&mut land, SHIQIAO);
    assert!(matches!(ask_hub(&first, &address).await, Asked::Waiting));
    let thief = Joining::begin(first.ticket().clone(), &mut land.chance, NOW).unwrap();
    assert!(matches!(
        ask_hub(&thief, &address).await,
        Asked::Refused { passing: false, .. }
    ));
    assert!(matches!(
        ask_hub(&first, &address).await,
        Asked::Refused { passing: false, .. }
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_does_not_show_its_request_to_another_county() {
    let (mut here, mut there) = (Land::new(23), Land::new(24));
    let hub = there.machine(HUB);
    let hub = there.start(&hub, true, &[]);
    let address = hub.links.address().unwrap().to_string();
    let joining = beginner(&mut here, QINGXI);
    assert!(matches!(
        ask_hub(&joining, &address).await,
        Asked::Refused { .. }
    ));
    assert_eq!(there.tickets().book.waiting(), Ok(0));
}
