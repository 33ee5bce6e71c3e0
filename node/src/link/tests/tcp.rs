//! Where UDP does not pass.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    super::{carrier::Connection, *},
    enrolment::{ask_by, beginner, door},
    land::{HUB, Land, Machine, Running, SHIQIAO, TOWN, until},
    router::{Router, Rules},
    siege::hello_of,
};
use crate::{identity::Papers, intake::TakenIn};

/// Settings of a node that calls there.
fn calling(router: &Router) -> config::Link {
    let mut link = config::Config::default().link;
    link.upstream = vec![router.address.to_string()];
    link.handshake = Duration::from_millis(1_200);
    link
}

pub(super) fn by_tcp_alone() -> config::Link {
    let mut link = config::Config::default().link;
    link.carrier = Some(Carrier::Tcp);
    link
}

fn carrier(node: &Running) -> Option<Carrier> {
    let up = &node.links.upstream()[0];
    (up.state == UpstreamState::Connected)
        .then_some(up.carrier)
        .flatten()
}

async fn reaches(node: &Running, by: Carrier) {
    until(by.word(), || carrier(node) == Some(by)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_village_behind_a_wall_comes_by_tcp_at_once_and_back_to_quic_when_it_is_let() {
    let mut land = Land::new(51);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    let village = land.start_as(&village, calling(&router));
    until("connected in the first attempt", || {
        assert_eq!(village.reason(), None);
        carrier(&village) == Some(Carrier::Tcp)
    })
    .await;
    assert!(router.rules.swallowed.load(Ordering::Relaxed) > 0);
    let first = village.log_case();
    until("at the hub by TCP", || hub.holds(first)).await;
    assert_eq!(hub.links.downstream()[0].carrier, Carrier::Tcp);

    router.let_udp_through(true);
    reaches(&village, Carrier::Quic).await;
    assert_eq!(village.reason(), None);
    let second = village.log_case();
    until("at the hub by QUIC", || hub.holds(second)).await;
    until("one session", || hub.links.downstream().len() == 1).await;
    assert_eq!(hub.links.downstream()[0].carrier, Carrier::Quic);
    until("no connection left", || hub.links.0.lines.count() == 0).await;

    // The wall is up again: what stood breaks off, and the next attempt gets through.
    router.let_udp_through(false);
    village.links.set_plugged(false);
    until("off", || village.state() == UpstreamState::Off).await;
    village.links.set_plugged(true);
    reaches(&village, Carrier::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tcp_a_case_goes_up_through_the_township_and_receipts_come_down() {
    let mut land = Land::new(52);
    let (hub, town, village) = (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO));
    let mut listening = by_tcp_alone();
    listening.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let hub = land.start_with(&hub, listening.clone(), &[]);
    let town = land.start_with(&town, listening, &[&hub]);
    // Nobody told the village: those above just do not answer by UDP.
    let mut link = config::Config::default().link;
    link.handshake = Duration::from_millis(1_200);
    let village = land.start_with(&village, link, &[&town]);
    reaches(&village, Carrier::Tcp).await;
    let case = village.log_case();
    until("at the hub", || hub.holds(case)).await;
    until("the county's receipt in the village", || {
        village.store.read(|db| Ok(db.waiting()?.count)).unwrap() == 0
    })
    .await;
    let whole = village.links.sync_now().await.unwrap();
    assert!(whole.settled.mismatched.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_machine_behind_a_wall_can_join() {
    let mut land = Land::new(53);
    let hub = land.machine(HUB);
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    let (address, link) = (router.address.to_string(), calling(&router));
    let joining = beginner(&mut land, SHIQIAO);
    let asked = ask_by(&joining, &address, &link).await;
    assert!(matches!(asked, Asked::Waiting), "{asked:?}");
    let chance = &mut land.chance;
    let issued = land
        .county
        .grant(joining.request(), false, chance, super::land::NOW);
    let taken = door(&land, &hub).take(&issued.unwrap().grant).unwrap();
    assert_eq!(taken, TakenIn::Grant { waited: true });
    let Asked::Joined(joined) = ask_by(&joining, &address, &link).await else {
        panic!("not joined");
    };
    assert_eq!(router.calls(), 2);
    let machine = Machine {
        joining,
        joined: *joined,
    };
    reaches(&land.start_as(&machine, link), Carrier::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ran_out_is_renewed_by_tcp() {
    let mut land = Land::new(54);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let village = land.aged(village, 500);
    let hub = land.start(&hub, true, &[]);
    let before = village.joined.certificate.clone();
    let village = land.start_with(&village, by_tcp_alone(), &[&hub]);
    reaches(&village, Carrier::Tcp).await;
    let after = village.store.read(Papers::load).unwrap().unwrap();
    assert_ne!(after.certificate, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_is_dropped_from_tcp_and_not_let_in_again() {
    let mut land = Land::new(55);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let node = village.joined.node;
    let hub = land.start(&hub, true, &[]);
    let village = land.start_with(&village, by_tcp_alone(), &[&hub]);
    reaches(&village, Carrier::Tcp).await;
    until("listed as live", || !hub.links.downstream().is_empty()).await;
    land.county.revoke(node, super::land::NOW).unwrap();
    hub.hear(&land.county);
    until("dropped", || hub.links.downstream().is_empty()).await;
    until("told so", || village.reason() == Some(Reason::Rejected)).await;
    let failure = village.links.sync_now().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NoUpstream);
    assert!(hub.links.downstream().is_empty());
    assert_eq!(village.reason(), Some(Reason::Rejected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_counties_refuse_each_other_by_tcp() {
    let (mut here, mut there) = (Land::new(56), Land::new(57));
    let (hub, stranger) = (here.machine(HUB), there.machine(SHIQIAO));
    let hub = here.start(&hub, true, &[]);
    let stranger = there.start_with(&stranger, by_tcp_alone(), &[&hub]);
    until("refused by the caller", || stranger.reason().is_some()).await;
    assert_eq!(stranger.reason(), Some(Reason::Certificate));
    // A caller that believes anybody is refused by the hub.
    let gone = match credulous(&stranger, &hub).await {
        Ok(connection) => Connection::Tcp(connection).closed(false).await,
        Err(failed) => failed,
    };
    assert_eq!(gone.reason, Reason::Certificate, "{gone:?}");
}

/// A connection of that node with whoever answers.
pub(super) async fn credulous(node: &Running, hub: &Running) -> Result<tcp::Connection, Failed> {
    let crypto = tls::credulous_by_tcp(node.links.0.own()).unwrap();
    let (to, link) = (hub.links.address().unwrap(), config::Config::default().link);
    tcp::call(crypto, to, &link, &node.links.0.lines, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sessions_of_one_machine_the_newest_stays_whatever_carries_them() {
    let mut land = Land::new(58);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let node = village.joined.node;
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    reaches(&village, Carrier::Quic).await;
    until("one session", || hub.links.downstream().len() == 1).await;
    // The same machine once more, by TCP: its session by QUIC is over.
    let second = credulous(&village, &hub).await.unwrap();
    let second = Connection::Tcp(second);
    let (send, receive) = second.open(false).await.unwrap();
    let (out, queue) = stream::outgoing();
    let dictionary = second
        .agreed()
        .and_then(|alpn| tls::dictionary(&alpn, &village.links.0.ground().trust));
    drop(tokio::spawn(stream::write(send, node, dictionary, queue)));
    out.send(&hello_of(node, village.links.0.parts.boot));
    // It calls again by QUIC, and that is the newest.
    let gone = tokio::time::timeout(Duration::from_secs(60), second.closed(false)).await;
    let gone = gone.expect("in vain: superseded");
    assert!(gone.detail.contains("superseded"), "{gone:?}");
    until("one session by QUIC", || {
        let live = hub.links.downstream();
        live.len() == 1 && live[0].carrier == Carrier::Quic
    })
    .await;
    reaches(&village, Carrier::Quic).await;
    drop(receive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_machine_with_the_same_keys_is_turned_away_from_tcp_too() {
    let mut land = Land::new(59);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let first = land.start_with(&village, by_tcp_alone(), &[&hub]);
    until("connected", || !hub.links.downstream().is_empty()).await;
    let clone = land.start(&village, false, &[&hub]);
    until("turned away", || clone.reason() == Some(Reason::Clone)).await;
    assert_eq!(first.state(), UpstreamState::Connected);
    first.stopper.stop();
    until("let in", || clone.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_again_and_again_brings_everything_once() {
    let mut land = Land::new(60);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let rules = Rules {
        cut_step: 97,
        cuts: 40,
        ..Rules::default()
    };
    let router = Router::before(hub.links.address().unwrap(), rules).await;
    let mut link = by_tcp_alone();
    link.upstream = calling(&router).upstream;
    let village = land.start_as(&village, link);
    let cases: Vec<_> = (0..12).map(|_n| village.log_case()).collect();
    until("the county's receipt for everything", || {
        village.store.read(|db| Ok(db.waiting()?.count)).unwrap() == 0
    })
    .await;
    assert!(cases.iter().all(|case| hub.holds(*case)));
    assert!(router.calls() > 20, "{}", router.calls());
    let heads = |node: &Running| node.store.read(|db| db.whole_vector()).unwrap();
    until("agreed", || heads(&village) == heads(&hub)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_line_stands_and_a_dead_one_is_noticed() {
    let mut land = Land::new(61);
    let (hub, village) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start(&hub, true, &[]);
    let router = Router::before(hub.links.address().unwrap(), Rules::default()).await;
    let mut link = by_tcp_alone();
    link.upstream = calling(&router).upstream;
    (link.idle, link.keep_alive) = (Duration::from_millis(800), Duration::from_millis(100));
    let idle = link.idle;
    let village = land.start_as(&village, link);
    reaches(&village, Carrier::Tcp).await;
    let passed = || router.rules.passed.load(Ordering::Relaxed);
    let since = tokio::time::Instant::now();
    until("signs of life for longer than a line may be silent", || {
        since.elapsed() > 2 * idle
    })
    .await;
    let signs = passed();
    until("and on", || passed() > signs).await;
    assert_eq!((router.calls(), carrier(&village)), (1, Some(Carrier::Tcp)));
    router.rules.frozen.store(true, Ordering::Relaxed);
    until("noticed", || village.reason() == Some(Reason::HubDown)).await;
    router.rules.frozen.store(false, Ordering::Relaxed);
    reaches(&village, Carrier::Tcp).await;
}
