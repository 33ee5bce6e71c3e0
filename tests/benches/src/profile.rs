//! What a link is like: rate, delay, loss, queue, cuts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Largest IP packet of the emulated link, bytes.
pub const MTU: usize = 1400;
/// A queue never holds fewer packets than this before it drops the last.
const QUEUE_PACKETS: usize = 32;

/// One direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Bits a second; none: as fast as the machine.
    pub rate: Option<u64>,
    /// From the last bit sent to the first received.
    pub delay: Duration,
    /// Added to the delay, evenly from nothing to this; packets keep their order.
    pub jitter: Duration,
    /// Share of packets lost after they took their time on the line, 0 to 1.
    pub loss: f64,
    /// What may wait for the line, as time at its rate; [`Way::queue_packets`] may always.
    pub queue: Duration,
    pub queue_packets: usize,
}

impl Way {
    /// A wire that does nothing to what it carries.
    pub const PLAIN: Self = Self {
        rate: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        queue: Duration::from_millis(200),
        queue_packets: QUEUE_PACKETS,
    };

    const fn of(rate: u64, one_way_ms: u64, loss: f64) -> Self {
        Self {
            rate: Some(rate),
            delay: Duration::from_millis(one_way_ms),
            loss,
            ..Self::PLAIN
        }
    }
}

/// A span of time in which nothing passes, from the start of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub from: Duration,
    pub until: Duration,
}

/// Both directions and the cuts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    /// From the node to the hub.
    pub up: Way,
    /// From the hub to the node.
    pub down: Way,
    pub cuts: Vec<Cut>,
    /// Chance of loss and jitter.
    pub seed: u64,
}

impl Profile {
    /// Names of the profiles there are.
    pub const NAMES: [&str; 4] = ["village-512", "village-256", "village-128", "plain"];

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        let way = match name {
            "village-512" => Way::of(512_000, 40, 0.005),
            "village-256" => Way::of(256_000, 150, 0.01),
            "village-128" => Way::of(128_000, 300, 0.02),
            "plain" => Way::PLAIN,
            _unknown => return None,
        };
        Some(Self {
            name: name.to_owned(),
            up: way,
            down: way,
            cuts: Vec::new(),
            seed: 1,
        })
    }

    /// The same with other chance.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// One round trip of an empty packet.
    pub fn round_trip(&self) -> Duration {
        self.up.delay + self.down.delay
    }
}
