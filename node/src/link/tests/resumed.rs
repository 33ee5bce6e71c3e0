//! Sessions that go on where the last one ended.

use rustls::server::StoresServerSessions as _;

use super::{
    super::*,
    land::{HUB, Land, NOW, Running, SHIQIAO, until},
};

/// A hub and a village that were connected once, and then unplugged.
async fn parted(land: &mut Land) -> (Running, Running) {
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let first = village.links.sync_now().await.unwrap();
    assert!(first.settled.mismatched.is_empty());
    until("a ticket", || {
        village.links.0.resume(0).last().is_some() && agreed(&village)
    })
    .await;
    village.links.set_plugged(false);
    until("off", || village.state() == UpstreamState::Off).await;
    (hub, village)
}

fn resumed(village: &Running) -> bool {
    village.links.upstream()[0].resumed
}

fn agreed(village: &Running) -> bool {
    let peer = village.links.upstream()[0].node;
    let read = village.store.read(move |db| db.agreed_with(peer.unwrap()));
    read.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_saved_meanwhile_goes_with_the_first_packet_of_the_next_call() {
    let mut land = Land::new(51);
    let (hub, village) = parted(&mut land).await;
    let case = village.log_case();
    village.links.set_plugged(true);
    until("at the hub", || hub.holds(case)).await;
    until("custody", || {
        village.store.read(|db| Ok(db.waiting()?.count)).unwrap() == 0
    })
    .await;
    assert!(resumed(&village));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_forgot_the_session_is_told_once_more_on_the_same_connection() {
    let mut land = Land::new(52);
    let (hub, village) = parted(&mut land).await;
    // As many others called in the meantime.
    let sessions = &hub.links.0.sessions;
    for n in 0..2 * hub.links.0.parts.config.connections_max {
        assert!(sessions.put(n.to_be_bytes().to_vec(), vec![0]));
    }
    let case = village.log_case();
    village.links.set_plugged(true);
    until("at the hub", || hub.holds(case)).await;
    until("connected", || village.state() == UpstreamState::Connected).await;
    assert!(!resumed(&village));
    assert_eq!(village.reason(), None);
    assert_eq!(hub.links.downstream().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_no_way_around_the_roster() {
    let mut land = Land::new(53);
    let (hub, village) = parted(&mut land).await;
    let node = village.store.read(|db| Ok(db.identity()?.node)).unwrap();
    land.county.revoke(node, NOW).unwrap();
    hub.hear(&land.county);
    until("heard", || {
        let ground = hub.links.0.ground();
        ground.trust.node(node).unwrap().status == cuntong_protocol::control::NodeStatus::Revoked
    })
    .await;
    let case = village.log_case();
    village.links.set_plugged(true);
    until("told so", || village.reason() == Some(Reason::Rejected)).await;
    assert!(!hub.holds(case));
    assert!(hub.links.downstream().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_into_the_dark_spend_no_ticket() {
    let mut land = Land::new(54);
    let (hub, village) = parted(&mut land).await;
    hub.links.set_plugged(false);
    let shared = village.links.0.clone();
    let calls =
        [false, false, false].map(|hopeful| shared.resume(0).crypto(shared.ground(), hopeful));
    assert!(calls.iter().all(Result::is_ok));
    let endpoint = listen::outgoing().unwrap();
    let early = |crypto| {
        let client = quinn::ClientConfig::new(Arc::new(crypto));
        let to = hub.links.address().unwrap();
        let connecting = endpoint.connect_with(client, to, tls::NAME).unwrap();
        connecting.into_0rtt().is_ok()
    };
    for crypto in calls {
        assert!(!early(crypto.unwrap()));
    }
    let hopeful = shared.resume(0).crypto(shared.ground(), true);
    assert!(early(hopeful.unwrap()), "the ticket is still there");
}
