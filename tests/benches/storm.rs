//! Thousands of villages come back at once to one real hub process: how long until each has the
//! hub's signed receipt, and what the hub needs for it.
//!
//! `cargo test -p cuntong-tests --bench storm [-- VILLAGES [--changes N] [--within S] [--fsyncs]
//! [--ice] [--hostile N] [--defaults] [--verify] [--hub EXECUTABLE]]`. Times are reported, never asserted; that nothing is
//! lost, doubled or refused is. `--ice`: after three days without a line, 409 villages with 42 changes each and 26 townships' counters
//! with 1 050. `--hostile N`: so many of the machines attack the hub meanwhile.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

#[path = "storm/client.rs"]
mod client;
#[path = "storm/county.rs"]
mod county;
#[path = "storm/crowd.rs"]
mod crowd;
#[path = "storm/figures.rs"]
mod figures;
#[path = "storm/hub.rs"]
mod hub;
#[path = "storm/village.rs"]
mod village;

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use harness::dice::Dice;
use quinn::Endpoint;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use client::Client;
use county::Land;
use figures::Report;
use hub::{Hub, Used};
use village::{Away, Village};

const SEED: u64 = 349_901;
/// Villages behind one address, as behind one township's router.
const BEHIND_ONE_ADDRESS: usize = 8;
/// Villages that meet the hub at a time before they go away.
const CALM: usize = 16;
/// The ice storm: 400 villages, some with two machines, and 26 townships.
const ICE_MACHINES: usize = 435;
const ICE_COUNTER_EVERY: usize = 17;
/// Three days of a village, one case a day with 14 changes, and of a township's counter, 25 a day.
const ICE_CHANGES: usize = 42;
const ICE_COUNTER_CHANGES: usize = 1_050;
/// All are back within a quarter of an hour, says the script; here they come faster.
const ICE_WITHIN: Duration = Duration::from_secs(60);
/// A storm that is not over by then has failed.
const OVER_AT_LAST: Duration = Duration::from_secs(900);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    villages: usize,
    /// Changes each village brings.
    changes: usize,
    /// All come within so long.
    within: Duration,
    /// One in so many machines is a counter that writes much more than the others.
    ice: bool,
    /// So many of the machines attack the hub.
    hostile: usize,
    /// Count the hub's flushes with strace.
    fsyncs: bool,
    /// Leave `link.connections_max` as it is by default.
    defaults: bool,
    /// Another build of the hub, to compare with.
    hub: Option<PathBuf>,
    /// Have the hub's directory verified afterwards.
    verify: bool,
}

impl Asked {
    fn read(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut asked = Self {
            villages: 20,
            changes: 4,
            within: Duration::from_secs(1),
            ice: false,
            hostile: 0,
            fsyncs: false,
            defaults: false,
            hub: None,
            verify: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--hub" {
                asked.hub = arguments.next().map(PathBuf::from);
                continue;
            }
            let mut number = || arguments.next().and_then(|a| a.parse::<usize>().ok());
            match argument.as_str() {
                "--changes" => asked.changes = number().expect("--changes N"),
                "--within" => {
                    let seconds = number().expect("--within SECONDS");
                    asked.within = Duration::from_secs(seconds as u64);
                }
                "--hostile" => asked.hostile = number().expect("--hostile N"),
                "--ice" => {
                    (asked.ice, asked.villages, asked.changes) = (true, ICE_MACHINES, ICE_CHANGES);
                    asked.within = ICE_WITHIN;
                }
                "--fsyncs" => asked.fsyncs = true,
                "--defaults" => asked.defaults = true,
                "--verify" => asked.verify = true,
                other => {
                    // Cargo passes words of its own.
                    if let Ok(villages) = other.parse() {
                        asked.villages = villages;
                    }
                }
            }
        }
        asked
    }

    /// How many changes the n-th machine brings.
    const fn changes_of(&self, n: usize) -> usize {
        if self.ice && n.is_multiple_of(ICE_COUNTER_EVERY) {
            ICE_COUNTER_CHANGES
        } else {
            self.changes
        }
    }
}

fn main() {
    let asked = Asked::read(std::env::args().skip(1));
    let prepared = std::time::Instant::now();
    let now = client::now();
    let land = Arc::new(Land::found(asked.villages, SEED, now));
    let write = |(n, machine)| {
        let seed = SEED + n as u64;
        Arc::new(Village::write(
            &land,
            machine,
            asked.changes_of(n),
            seed,
            now,
        ))
    };
    let villages: Vec<_> = land.machines.iter().enumerate().map(write).collect();
    let link = if asked.defaults {
        String::new()
    } else {
        format!(
            "connections_max = {}\n",
            (asked.villages * 2).clamp(1_000, 10_000)
        )
    };
    let hub = Hub::start(&land, now, &link, asked.fsyncs, asked.hub.clone());
    println!("prepared in {:.1} s", prepared.elapsed().as_secs_f64());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(run(&asked, &land, &villages, hub));
    report.print();
}

async fn run(asked: &Asked, land: &Arc<Land>, villages: &[Arc<Village>], hub: Hub) -> Report {
    let mut clients = clients(land, villages, &hub);
    let crowd = crowd(land, villages, &clients, asked.hostile);
    drop(clients.drain(villages.len() - asked.hostile..));
    let villages = &villages[..villages.len() - asked.hostile];
    let met = Instant::now();
    clients = meet(clients).await;
    println!("met the hub in {:.1} s", met.elapsed().as_secs_f64());
    for client in &mut clients {
        assert!(
            client.away.in_custody(),
            "village {} went away",
            client.index
        );
        client.away.writes_the_rest();
        client.course = client::Course::default();
    }
    let before = hub.used();
    let (enough, stop) = watch::channel(false);
    let mut raging = JoinSet::new();
    for rowdy in crowd {
        let _handle = raging.spawn(rowdy.rage(stop.clone()));
    }
    let (clients, after) = storm(clients, asked.within, &hub).await;
    enough.send_replace(true);
    let mut attacks = crowd::Tally::new();
    for (attack, (tried, hung_up)) in raging.join_all().await.into_iter().flatten() {
        let counts = attacks.entry(attack).or_default();
        *counts = (counts.0 + tried, counts.1 + hung_up);
    }
    let courses: Vec<_> = clients.iter().map(|c| c.course.clone()).collect();
    for client in &clients {
        let (away, course) = (&client.away, &client.course);
        assert!(away.in_custody(), "village {}: {course:?}", client.index);
        assert!(
            away.nacks.is_empty(),
            "village {}: {:?}",
            client.index,
            away.nacks
        );
    }
    let stopped = tokio::task::spawn_blocking(move || hub.stop()).await;
    let stopped = stopped.expect("it stops");
    stopped.check(villages, asked.hostile == 0);
    if asked.verify {
        stopped.verify();
    }
    Report {
        asked: asked.clone(),
        courses,
        before,
        after,
        flushes: stopped.flushes,
        log: stopped.log_lines(),
        attacks,
        entries: villages.iter().map(|v| v.entries.len() - v.before).sum(),
    }
}

fn clients(land: &Arc<Land>, villages: &[Arc<Village>], hub: &Hub) -> Vec<Client> {
    let endpoints: Vec<_> = (0..villages.len().div_ceil(BEHIND_ONE_ADDRESS))
        .map(|n| {
            let own = Ipv4Addr::new(127, 1, (n / 250) as u8, (n % 250 + 1) as u8);
            Endpoint::client((own, 0).into()).expect("a socket")
        })
        .collect();
    let machines = land.machines.iter().zip(villages).enumerate();
    let client = |(index, (machine, village)): (usize, (&county::Machine, &Arc<Village>))| Client {
        away: Away::new(village.clone(), land.clone()),
        course: client::Course::default(),
        land: land.clone(),
        index,
        endpoint: endpoints[index / BEHIND_ONE_ADDRESS].clone(),
        config: client::calling(machine.shown.clone()),
        hub: hub.address,
        dice: Dice::new(SEED ^ (index as u64) << 20),
    };
    machines.map(client).collect()
}

/// The last machines, gone bad.
fn crowd(
    land: &Arc<Land>,
    villages: &[Arc<Village>],
    clients: &[Client],
    hostile: usize,
) -> Vec<crowd::Rowdy> {
    let bad = clients.iter().rev().take(hostile);
    let rowdy = |client: &Client| crowd::Rowdy {
        land: land.clone(),
        machine: client.index,
        village: villages[client.index].clone(),
        endpoint: client.endpoint.clone(),
        config: client.config.clone(),
        hub: client.hub,
        dice: Dice::new(SEED ^ !(client.index as u64)),
    };
    bad.map(rowdy).collect()
}

/// Each village has one whole session and hangs up: what it agreed on with the hub then, it knows
/// when it comes back.
async fn meet(clients: Vec<Client>) -> Vec<Client> {
    let places = Arc::new(Semaphore::new(CALM));
    let mut under_way = JoinSet::new();
    for client in clients {
        let place = places.clone().acquire_owned().await.expect("it is open");
        let _handle = under_way.spawn(async move {
            let (stop, stopped) = watch::channel(false);
            let (done, mut settled) = mpsc::unbounded_channel();
            let coming = tokio::spawn(client.come(Instant::now(), stopped, done));
            let _index = settled.recv().await;
            stop.send_replace(true);
            drop(place);
            coming.await.expect("a village met the hub")
        });
    }
    under_way.join_all().await
}

/// All come within a time, and stay connected until the last is served.
async fn storm(clients: Vec<Client>, within: Duration, hub: &Hub) -> (Vec<Client>, Used) {
    let mut dice = Dice::new(SEED);
    let (stop, stopped) = watch::channel(false);
    let (done, mut settled) = mpsc::unbounded_channel();
    let mut under_way = JoinSet::new();
    let count = clients.len();
    let began = Instant::now();
    for mut client in clients {
        let micros = usize::try_from(within.as_micros()).unwrap_or(usize::MAX);
        client.course.arrived = Duration::from_micros(dice.below(micros) as u64);
        let _handle = under_way.spawn(client.come(began, stopped.clone(), done.clone()));
    }
    let served = async {
        for _village in 0..count {
            let _index = settled.recv().await;
        }
    };
    tokio::select! {
        () = served => {}
        () = tokio::time::sleep(OVER_AT_LAST) => println!("not over after {OVER_AT_LAST:?}"),
        Some(ended) = under_way.join_next() => {
            let _client = ended.expect("a village on its way");
            panic!("a village ended before it was told to");
        }
    }
    let used = hub.used();
    stop.send_replace(true);
    let mut clients = under_way.join_all().await;
    clients.sort_by_key(|client| client.index);
    (clients, used)
}
