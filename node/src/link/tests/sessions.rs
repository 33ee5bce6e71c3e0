//! Sessions, and who is let into one.

use std::{sync::Arc, time::Duration};

use cuntong_protocol::log::LogHead;

use super::{
    super::*,
    land::{HUB, Land, NOW, QINGXI, Running, SHIQIAO, TOWN, until},
};
use crate::identity::Papers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_saved_in_a_village_is_at_the_hub_while_the_links_stand() {
    let mut land = Land::new(1);
    let (hub, town) = (land.machine(HUB), land.machine(TOWN));
    let village = land.machine(SHIQIAO);
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    let village = land.start(&village, false, &[&town, &hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    let case = village.log_case();
    until("at the hub", || hub.holds(case)).await;
    until("the county's receipt in the village", || {
        village.store.read(|db| Ok(db.waiting()?.count)).unwrap() == 0
    })
    .await;
    let whole = village.links.sync_now().await.unwrap();
    assert!(whole.settled.mismatched.is_empty());
    let heads = |node: &Running| -> Vec<(_, LogHead)> {
        node.store
            .read(|db| Ok(db.whole_vector()?.into_iter().collect()))
            .unwrap()
    };
    assert_eq!(heads(&village), heads(&town));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_stands_is_asked_by_hand_and_not_begun_anew() {
    let mut land = Land::new(12);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let first = village.links.sync_now().await.unwrap().settled;
    let resumed = || village.links.upstream()[0].resumed;
    until("a ticket", || village.links.0.resume(0).last().is_some()).await;
    for _time in 0..12 {
        let case = village.log_case();
        let whole = village.links.sync_now().await.unwrap();
        assert!(
            hub.holds(case),
            "what was saved before it was asked is there"
        );
        let now = village.links.sync_now().await.unwrap().settled;
        assert_eq!(
            (now.sent, now.received),
            (0, 0),
            "after {:?}",
            whole.settled
        );
        assert!(!resumed());
    }
    let anew = village.links.sync_anew().await.unwrap().settled;
    assert!(resumed());
    assert!(first.mismatched.is_empty() && anew.mismatched.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_over_a_line_that_breaks_is_answered_by_the_next_one() {
    let mut land = Land::new(13);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    for _time in 0..20 {
        let _first = village.links.sync_now().await.unwrap();
        let case = village.log_case();
        let (agreed, ()) = tokio::join!(village.links.sync_now(), async {
            lock(&hub.links.0.live).close_all();
        });
        assert!(agreed.is_ok());
        assert!(hub.holds(case));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unplugged_village_keeps_its_work_and_brings_it_when_plugged_in() {
    let mut land = Land::new(2);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    village.links.set_plugged(false);
    until("off", || village.state() == UpstreamState::Off).await;
    let case = village.log_case();
    let failure = village.links.sync_now().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NoUpstream);
    assert!(!hub.holds(case));
    village.links.set_plugged(true);
    until("at the hub", || hub.holds(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_tries_the_hub_when_its_township_is_away() {
    let mut land = Land::new(3);
    let (hub, town, village) = (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    town.links.set_plugged(false);
    let mut config = config::Config::default().link;
    // Nobody answers at the township: the handshake runs out quickly here.
    config.handshake = Duration::from_millis(500);
    let village = land.start_with(&village, config, &[&town, &hub]);
    until("connected with the hub", || {
        village.links.upstream()[1].state == UpstreamState::Connected
    })
    .await;
    assert_eq!(village.reason(), Some(Reason::HubDown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_point_is_not_believed_when_it_answers_calls() {
    let mut land = Land::new(4);
    let (false_hub, village) = (land.machine(QINGXI), land.machine(SHIQIAO));
    let false_hub = land.start(&false_hub, true, &[]);
    let village = land.start(&village, false, &[&false_hub]);
    until("refused", || village.reason().is_some()).await;
    assert_eq!(village.reason(), Some(Reason::Certificate));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_counties_refuse_each_other() {
    let (mut here, mut there) = (Land::new(5), Land::new(6));
    let (hub, stranger) = (here.machine(HUB), there.machine(SHIQIAO));
    let hub = here.start(&hub, true, &[]);
    let stranger_links = there.start(&stranger, false, &[&hub]);
    until("refused by the caller", || {
        stranger_links.reason().is_some()
    })
    .await;
    assert_eq!(stranger_links.reason(), Some(Reason::Certificate));
    // A caller that believes anybody is refused by the hub.
    let own = stranger_links.links.0.own();
    let crypto = tls::credulous(own).unwrap();
    let endpoint = listen::outgoing().unwrap();
    let to = hub.links.address().unwrap();
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    let connection = call::shake(&endpoint, client, to, Duration::from_secs(10), false).await;
    let failed = match connection {
        // With TLS 1.3 the caller is done before it is judged.
        Ok(connection) => reason::connection(&connection.closed().await, false),
        Err(failed) => failed,
    };
    assert_eq!(failed.reason, Reason::Certificate, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_ran_out_renews_it_and_goes_on() {
    let mut land = Land::new(7);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let village = land.aged(village, 500);
    let hub = land.start(&hub, true, &[]);
    let before = village.joined.certificate.clone();
    let village = land.start(&village, false, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    let after = village.store.read(Papers::load).unwrap().unwrap();
    assert_ne!(after.certificate, before);
    assert_eq!(after.issued, Some(NOW));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_is_dropped_from_its_live_session_and_not_let_in_again() {
    let mut land = Land::new(8);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let node = village.joined.node;
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    until("listed as live", || !hub.links.downstream().is_empty()).await;
    land.county.revoke(node, NOW).unwrap();
    hub.hear(&land.county);
    until("dropped", || hub.links.downstream().is_empty()).await;
    until("told so", || village.reason() == Some(Reason::Rejected)).await;
    let failure = village.links.sync_now().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NoUpstream);
    assert!(hub.links.downstream().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_machine_with_the_same_keys_is_turned_away_while_the_first_lives() {
    let mut land = Land::new(9);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let first = land.start(&village, false, &[&hub]);
    until("connected", || !hub.links.downstream().is_empty()).await;
    let clone = land.start(&village, false, &[&hub]);
    until("turned away", || clone.reason() == Some(Reason::Clone)).await;
    assert_eq!(first.state(), UpstreamState::Connected);
    // When the first is gone, the other may come.
    first.stopper.stop();
    until("let in", || clone.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_given_to_the_hub_reaches_the_village_through_the_township() {
    let mut land = Land::new(10);
    let (hub, town, village) = (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, true, &[&hub]);
    let village = land.start(&village, false, &[&town, &hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
    let newcomer = land.machine(QINGXI).joined.node;
    hub.hear(&land.county);
    until("known in the village", || {
        village.roster().node(newcomer).is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_founded_while_the_links_stand_is_at_its_township_without_a_new_call_by_hand() {
    let mut land = Land::new(11);
    let (hub, town) = (land.machine(HUB), land.machine(TOWN));
    let hub = land.start(&hub, true, &[]);
    let town = land.start(&town, false, &[&hub]);
    until("connected", || town.state() == UpstreamState::Connected).await;
    let founded = "349901101209";
    let places = format!("code,name\n{founded},新桥村\n");
    land.county.add_places(&places, NOW).unwrap();
    land.agent(founded, "xinqiao", NOW);
    let village = land.machine(founded);
    hub.hear(&land.county);
    // The township learns of the place in the session it has.
    let village = land.start(&village, false, &[&hub]);
    let case = village.log_case();
    until("at the hub", || hub.holds(case)).await;
    until("at the township", || town.holds(case)).await;
}
