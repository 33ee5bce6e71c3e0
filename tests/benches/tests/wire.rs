//! The emulator between real processes. Only where root can make namespaces; elsewhere each test
//! says that it was skipped. Nothing here judges a time: what the wire does to time is tested
//! with a clock by hand in `shaper.rs`, and measured by `bench wire`.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use benches::{
    link::{Link, Side},
    profile::Profile,
};
use serde_json::Value;

/// A link with something that answers at the hub.
struct Wire {
    link: Link,
    server: Child,
}

impl Wire {
    fn start(profile: &Profile) -> Option<Self> {
        if let Err(why) = Link::possible() {
            eprintln!("SKIPPED: no link can be made here: {why:#}");
            return None;
        }
        let link = Link::start(profile).expect("a link");
        let mut server = link
            .command_in(Side::Hub)
            .args([env!("CARGO_BIN_EXE_probe"), "serve"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the probe starts");
        let mut ready = String::new();
        let _read = BufReader::new(server.stdout.take().expect("it is piped"))
            .read_line(&mut ready)
            .expect("the probe prints text");
        assert_eq!(ready, "ready\n");
        Some(Self { link, server })
    }

    fn probe(&self, arguments: &[&str]) -> Value {
        let output = self
            .link
            .command_in(Side::Node)
            .arg(env!("CARGO_BIN_EXE_probe"))
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .expect("the probe runs");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.kill().expect("the probe runs");
        let _ended = self.server.wait().expect("the probe ended");
    }
}

fn plain() -> Profile {
    Profile::named("plain").expect("there is one")
}

#[test]
fn a_plain_wire_carries_udp_and_tcp_whole_and_counts_every_byte() {
    let Some(wire) = Wire::start(&plain()) else {
        return;
    };
    let answers = wire.probe(&["rtt", "10"])["rtt_ms"].clone();
    assert!(
        answers.as_array().unwrap().iter().all(Value::is_number),
        "{answers}"
    );
    let carried = wire.link.counters();
    // 172 bytes of payload with 28 of headers, ten times each way.
    assert_eq!(
        (carried.up.sent.packets, carried.up.sent.bytes),
        (10, 2_000)
    );
    assert_eq!(carried.down.delivered, carried.up.sent);
    wire.link.reset();
    assert_eq!(wire.probe(&["bulk", "300000"])["bytes"], 300_000);
    let carried = wire.link.counters();
    assert!(carried.up.delivered.bytes > 300_000, "{carried:?}");
    assert_eq!(carried.up.sent, carried.up.delivered);
}

#[test]
fn a_cut_line_carries_nothing_and_a_joined_one_again() {
    let Some(wire) = Wire::start(&plain()) else {
        return;
    };
    wire.link.cut(true);
    let _sent = wire.probe(&["flood", "5"]);
    let carried = wire.link.counters();
    assert_eq!(
        (carried.up.cut.packets, carried.up.delivered.packets),
        (5, 0)
    );
    wire.link.cut(false);
    assert_eq!(wire.probe(&["bulk", "1000"])["bytes"], 1_000);
}

#[test]
fn blocked_udp_lets_tcp_pass() {
    let Some(wire) = Wire::start(&plain()) else {
        return;
    };
    wire.link.block_udp(true);
    let _sent = wire.probe(&["flood", "3"]);
    assert_eq!(wire.probe(&["bulk", "1000"])["bytes"], 1_000);
    assert_eq!(wire.link.counters().up.blocked.packets, 3);
}

#[test]
fn an_unplugged_end_has_no_route() {
    let Some(wire) = Wire::start(&plain()) else {
        return;
    };
    wire.link.plug(Side::Node, false).unwrap();
    assert_eq!(wire.probe(&["flood", "1"]), Value::Null);
    wire.link.plug(Side::Node, true).unwrap();
    assert_eq!(wire.probe(&["bulk", "1000"])["bytes"], 1_000);
}
