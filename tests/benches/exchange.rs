//! What a meeting of a village and its township costs on the stream: bytes and round trips, after
//! the handshake. `cargo test -p cuntong-tests --bench exchange [-- CASES …]`.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use harness::world::{Meter, World};

/// Villages' line to the township in [`World::small`].
const LINE: usize = 1;
const TOWN: usize = 1;
const VILLAGE: usize = 2;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if asked.is_empty() {
        vec![100, 1_000]
    } else {
        asked
    };
    println!("| cases held | meeting | up B | down B | messages | round trips |");
    println!("|---|---|---|---|---|---|");
    for cases in sizes {
        measure(cases);
    }
}

fn measure(cases: usize) {
    let mut world = World::small(1);
    for _case in 0..cases {
        world.log_case(VILLAGE);
        world.pass(60_000);
    }
    let _first = meet(&mut world, cases, "first");
    let _rest = meet(&mut world, cases, "to rest");
    let _nothing = meet(&mut world, cases, "nothing changed");
    let known = world.cases_at(VILLAGE);
    for case in known.iter().take(10) {
        world.amend(VILLAGE, *case);
    }
    for _new in 0..5 {
        world.log_case(VILLAGE);
    }
    for case in known.iter().skip(10).take(5) {
        world.handle(TOWN, *case);
    }
    let _day = meet(&mut world, cases, "5 new, 10 changed up, 5 down");
}

fn meet(world: &mut World, cases: usize, what: &str) -> u32 {
    world.lines[LINE].meter = Some(Meter::default());
    let trips = world.exchange(LINE);
    world.cut(LINE);
    let meter = world.lines[LINE].meter.take().expect("it was set");
    let [down, up] = meter.bytes;
    let messages: u64 = meter.messages.iter().sum();
    println!("| {cases} | {what} | {up} | {down} | {messages} | {trips} |");
    trips
}
