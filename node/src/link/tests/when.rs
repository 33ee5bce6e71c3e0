//! When a node calls, and when it leaves.

use std::{pin::Pin, time::Duration};

use tokio::sync::mpsc;

use super::{
    super::{surroundings::Change, *},
    land::{HUB, Land, NOW, SHIQIAO, until},
    router::{Router, Rules},
};
use crate::config::Windows;

/// Surroundings that do as they are told.
struct Told(mpsc::UnboundedReceiver<Change>);

impl Surroundings for Told {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Change> + Send + '_>> {
        Box::pin(async {
            match self.0.recv().await {
                Some(change) => change,
                None => std::future::pending().await,
            }
        })
    }
}

fn told() -> (mpsc::UnboundedSender<Change>, Around) {
    let (tell, told) = mpsc::unbounded_channel();
    (tell, Box::new(Told(told)))
}

/// Settings of a node that calls there, and after a failure not again while a test lasts.
fn patient(router: &Router) -> config::Link {
    let mut link = config::Config::default().link;
    link.upstream = vec![router.address.to_string()];
    link.carrier = Some(Carrier::Quic);
    link.handshake = Duration::from_millis(400);
    (link.retry_first, link.retry_max) = (Duration::from_secs(36_000), Duration::from_secs(36_000));
    link
}

/// Windows that are closed at [`NOW`] and for hours to come, or open.
fn windows(open: bool) -> Windows {
    let text = if open { "00:00-24:00" } else { "03:00-04:00" };
    let windows = Windows::parse(text).unwrap();
    assert_eq!(windows.is_open(NOW), open);
    windows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_comes_up_ends_the_wait() {
    let mut land = Land::new(71);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    let (tell, around) = told();
    let village = land.start_in(&village, patient(&router), around);
    until("a failure", || village.reason() == Some(Reason::HubDown)).await;
    until("a wait", || village.state() == UpstreamState::Waiting).await;
    router.let_udp_through(true);
    for _ in 0..300 {
        tell.send(Change::Network).unwrap();
    }
    until("connected", || village.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_wakes_up_drops_the_session_of_yesterday_and_has_another() {
    let mut land = Land::new(72);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    router.let_udp_through(true);
    let (tell, around) = told();
    let mut link = patient(&router);
    (link.idle, link.keep_alive) = (Duration::from_secs(36_000), Duration::from_secs(18_000));
    let village = land.start_in(&village, link, around);
    until("connected", || village.state() == UpstreamState::Connected).await;
    until("agreed", || {
        village.links.upstream()[0].last_session.is_some()
    })
    .await;
    // Nothing says that the line is dead: no sign of life is due for hours.
    router.let_udp_through(false);
    tell.send(Change::Awake).unwrap();
    until("noticed", || village.state() != UpstreamState::Connected).await;
    router.let_udp_through(true);
    let case = village.log_case();
    village.links.try_now();
    until("at the hub", || hub.holds(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_alive_is_kept_when_something_changes() {
    let mut land = Land::new(73);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    router.let_udp_through(true);
    let (tell, around) = told();
    let village = land.start_in(&village, patient(&router), around);
    until("agreed", || {
        village.links.upstream()[0].last_session.is_some()
    })
    .await;
    let since = hub.links.downstream()[0].since;
    tell.send(Change::Network).unwrap();
    // Longer than a dead line would be waited for.
    tokio::time::timeout(Duration::from_secs(5), async {
        until("never", || village.state() != UpstreamState::Connected).await;
    })
    .await
    .expect_err("the session goes on");
    assert_eq!(hub.links.downstream()[0].since, since);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metered_line_is_left_after_the_exchange_and_used_again_for_what_is_saved() {
    let mut land = Land::new(74);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let mut link = config::Config::default().link;
    link.metered = true;
    let village = land.start_with(&village, link, &[&hub]);
    until("left", || {
        let up = &village.links.upstream()[0];
        up.last_session.is_some() && up.state == UpstreamState::Waiting && up.why == Why::Turn
    })
    .await;
    assert_eq!(village.reason(), None, "nothing is wrong");
    until("gone from the hub", || hub.links.downstream().is_empty()).await;
    let case = village.log_case();
    village.links.saved();
    until("soon, with what else is saved", || {
        village.links.upstream()[0].why == Why::Gather || hub.holds(case)
    })
    .await;
    village.links.try_now();
    until("at the hub", || hub.holds(case)).await;
    until("left again", || hub.links.downstream().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_was_slept_through_is_made_up_for_when_the_machine_wakes_up() {
    let mut land = Land::new(77);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let (tell, around) = told();
    let mut link = config::Config::default().link;
    link.upstream = vec![hub.links.address().unwrap().to_string()];
    link.metered = true;
    let village = land.start_in(&village, link, around);
    let rests = || village.links.upstream()[0].why == Why::Turn;
    until("a wait for the next round", rests).await;
    let morning = NOW.after(10 * 3_600_000);
    village.links.0.parts.clock.set(morning);
    tell.send(Change::Awake).unwrap();
    until("a session of this morning", || {
        village.links.upstream()[0].last_session >= Some(morning)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_its_windows_a_node_calls_by_hand_only() {
    let mut land = Land::new(75);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let (tell, around) = told();
    let mut link = config::Config::default().link;
    link.upstream = vec![hub.links.address().unwrap().to_string()];
    link.windows = windows(false);
    let village = land.start_in(&village, link, around);
    until("a wait for the window", || {
        village.links.upstream()[0].why == Why::Window
    })
    .await;
    let case = village.log_case();
    village.links.saved();
    tell.send(Change::Network).unwrap();
    until("the orders are taken", || {
        village.links.0.orders.capacity() == ORDERS_MAX
    })
    .await;
    assert!(hub.links.downstream().is_empty());
    let whole = village.links.sync_now().await.unwrap();
    assert!(whole.settled.sent > 0 && hub.holds(case));
    until("left again", || {
        village.links.upstream()[0].why == Why::Window && hub.links.downstream().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_open_holds_nothing_back() {
    let mut land = Land::new(76);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let mut link = config::Config::default().link;
    link.windows = windows(true);
    let village = land.start_with(&village, link, &[&hub]);
    until("connected", || village.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_was_switched_off_takes_its_place_again_at_once() {
    let mut land = Land::new(78);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    router.let_udp_through(true);
    let before = land.start_as(&village, patient(&router));
    until("in", || before.state() == UpstreamState::Connected).await;
    let boot = lock(&hub.links.0.live).boot_of(village.joined.node);
    // A power cut: nothing more comes from it, and nobody said goodbye.
    router.let_udp_through(false);
    let after = land.start(&village, false, &[&hub]);
    until("in again", || after.state() == UpstreamState::Connected).await;
    assert_ne!(lock(&hub.links.0.live).boot_of(village.joined.node), boot);
    assert_eq!(hub.links.downstream().len(), 1);
}
