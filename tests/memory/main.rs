//! What sessions cost in memory. A binary of its own: another test beside it would be counted too.

use std::fs;

use harness::{county, world::World};

/// Calls that stand at once; two sessions each.
const CALLS: usize = 600;
/// What one idle session may cost, bytes.
const SESSION_MAX: usize = 64 * 1024;
const CASES: usize = 60;
const VILLAGE: usize = 1;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<usize>().ok());
    kib.expect("it tells a number") * 1024
}

#[test]
fn invariant_13_an_idle_session_has_less_than_64_kb() {
    let sites = [("北乡镇", county::BEIXIANG), ("石桥村", county::SHIQIAO)];
    let lines = vec![(VILLAGE, 0); CALLS + 20];
    let mut world = World::new(13, &sites, &lines);
    for _case in 0..CASES {
        world.log_case(VILLAGE);
        // Each power cut begins another log, of which every session knows the head.
        world.power_cut(VILLAGE);
        world.start(VILLAGE);
    }
    // What is loaded once is loaded before the count begins.
    for line in CALLS..CALLS + 20 {
        let _trips = world.exchange(line);
    }
    let before = resident();
    for line in 0..CALLS {
        let _trips = world.exchange(line);
        assert!(world.lines[line].connected(), "it stays, and is idle");
    }
    let each = resident().saturating_sub(before) / (2 * CALLS);
    assert!(each < SESSION_MAX, "{each} bytes a session");
    assert!(
        each > 100,
        "{each} bytes a session: the sessions are not there"
    );
}
