//! One direction of a link, without clock and sockets: packets go in with the time, and come out
//! when their time has come. Times are since the link began.

use std::{collections::VecDeque, time::Duration};

use cuntong_node::demo::chance::Chance;
use serde::Serialize;

use crate::profile::Way;

/// Headers of IPv4 and UDP.
const IP_AND_UDP_BYTES: usize = 28;
/// Protocol number of UDP in an IPv4 header.
const UDP: u8 = 17;
/// Loss is drawn with so many steps.
const STEPS: u64 = 1 << 32;

/// Packets and their bytes, IP headers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

impl Count {
    const fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// What one direction carried since it was reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Given to the link, whatever became of it.
    pub sent: Count,
    pub delivered: Count,
    /// By the chance of the line.
    pub lost: Count,
    /// The queue was full.
    pub overflowed: Count,
    /// The line was cut.
    pub cut: Count,
    /// UDP, while it was blocked.
    pub blocked: Count,
    /// When the first packet was given to the link.
    #[serde(skip)]
    pub first: Option<Duration>,
    /// When the last packet was delivered.
    #[serde(skip)]
    pub last: Option<Duration>,
}

/// A packet that was given to the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    pub bytes: usize,
    /// Protocol number: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// First byte of what UDP carries; of QUIC it tells the form of the packet.
    pub first: u8,
}

fn seconds<S: serde::Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(time.as_secs_f64())
}

#[derive(Debug)]
struct Flight {
    due: Duration,
    packet: Vec<u8>,
}

/// The direction.
#[derive(Debug)]
pub struct Shaper {
    way: Way,
    chance: Chance,
    /// When the line has sent what it was given.
    free: Duration,
    /// Departure of each packet that may still wait for the line.
    waiting: VecDeque<Duration>,
    /// In the order they leave the link.
    flying: VecDeque<Flight>,
    counters: Counters,
    cut: bool,
    block_udp: bool,
    trace: Option<Vec<Seen>>,
}

impl Shaper {
    /// An empty direction.
    pub fn new(way: Way, seed: u64) -> Self {
        Self {
            way,
            chance: Chance::new(seed),
            free: Duration::ZERO,
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            counters: Counters::default(),
            cut: false,
            block_udp: false,
            trace: None,
        }
    }

    /// Notes every packet from now on.
    pub fn begin_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// What was noted, and no more from now on.
    pub fn end_trace(&mut self) -> Vec<Seen> {
        self.trace.take().unwrap_or_default()
    }

    /// Takes a packet. It is lost, dropped, or comes out of [`Shaper::pop`] later.
    pub fn push(&mut self, now: Duration, packet: Vec<u8>) {
        let bytes = packet.len();
        let _first = self.counters.first.get_or_insert(now);
        self.counters.sent.add(bytes);
        if let Some(trace) = &mut self.trace {
            let at = |index: usize| packet.get(index).copied().unwrap_or_default();
            trace.push(Seen {
                at: now,
                bytes,
                protocol: at(9),
                first: at(IP_AND_UDP_BYTES),
            });
        }
        if self.cut {
            return self.counters.cut.add(bytes);
        }
        if self.block_udp && packet.get(9) == Some(&UDP) {
            return self.counters.blocked.add(bytes);
        }
        if self.full(now, bytes) {
            return self.counters.overflowed.add(bytes);
        }
        let departs = self.free.max(now) + self.takes(bytes);
        self.free = departs;
        self.waiting.push_back(departs);
        // A lost packet took its time on the line.
        if self.chance.below(STEPS) < (self.way.loss * STEPS as f64) as u64 {
            return self.counters.lost.add(bytes);
        }
        let jitter = self.chance.below(self.way.jitter.as_nanos() as u64 + 1);
        let due = departs + self.way.delay + Duration::from_nanos(jitter);
        // A line does not change the order of what it carries.
        let due = self.flying.back().map_or(due, |last| due.max(last.due));
        self.flying.push_back(Flight { due, packet });
    }

    /// The next packet whose time has come.
    pub fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        let _due = self.next_due().filter(|due| *due <= now)?;
        let flight = self.flying.pop_front()?;
        self.counters.delivered.add(flight.packet.len());
        self.counters.last = Some(now);
        Some(flight.packet)
    }

    /// When [`Shaper::pop`] has something.
    pub fn next_due(&self) -> Option<Duration> {
        self.flying.front().map(|flight| flight.due)
    }

    /// Cuts the line, or joins it again; what is on it is lost.
    pub fn set_cut(&mut self, cut: bool) {
        if cut {
            for flight in self.flying.drain(..) {
                self.counters.cut.add(flight.packet.len());
            }
            self.waiting.clear();
            self.free = Duration::ZERO;
        }
        self.cut = cut;
    }

    /// Drops UDP, as some networks do, or lets it pass again.
    pub const fn set_block_udp(&mut self, block: bool) {
        self.block_udp = block;
    }

    /// Another line from now on; what flies already arrives as it would have.
    pub const fn set_way(&mut self, way: Way) {
        self.way = way;
    }

    /// What was carried.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts from nothing.
    pub fn reset(&mut self) {
        self.counters = Counters::default();
    }

    /// Time that so many bytes take on the line.
    fn takes(&self, bytes: usize) -> Duration {
        let bits = bytes as u64 * 8;
        self.way.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bits * 1_000_000_000 / rate.max(1))
        })
    }

    fn full(&mut self, now: Duration, bytes: usize) -> bool {
        while self.waiting.front().is_some_and(|departs| *departs <= now) {
            let _sent = self.waiting.pop_front();
        }
        let backlog = self.free.saturating_sub(now) + self.takes(bytes);
        self.waiting.len() >= self.way.queue_packets && backlog > self.way.queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn way() -> Way {
        Way {
            rate: Some(80_000),
            delay: 40 * MS,
            queue: Duration::ZERO,
            queue_packets: 4,
            ..Way::PLAIN
        }
    }

    fn packet(first: u8) -> Vec<u8> {
        let mut packet = vec![0; 100];
        packet[0] = first;
        packet
    }

    /// Everything that comes out, with its time.
    fn drain(shaper: &mut Shaper) -> Vec<(Duration, u8)> {
        let mut out = Vec::new();
        while let Some(due) = shaper.next_due() {
            assert!(due == Duration::ZERO || shaper.pop(due - Duration::from_nanos(1)).is_none());
            out.push((due, shaper.pop(due).unwrap()[0]));
        }
        out
    }

    #[test]
    fn packets_take_their_time_on_the_line_one_after_the_other() {
        let mut shaper = Shaper::new(way(), 1);
        shaper.push(Duration::ZERO, packet(1));
        shaper.push(5 * MS, packet(2));
        shaper.push(100 * MS, packet(3));
        // 800 bits at 80 kbit/s are 10 ms.
        let expected = vec![(50 * MS, 1), (60 * MS, 2), (150 * MS, 3)];
        assert_eq!(drain(&mut shaper), expected);
        assert_eq!(shaper.counters().delivered.bytes, 300);
        assert_eq!(shaper.counters().last, Some(150 * MS));
    }

    #[test]
    fn a_full_queue_drops_the_last() {
        let mut shaper = Shaper::new(way(), 1);
        for n in 0..6 {
            shaper.push(Duration::ZERO, packet(n));
        }
        assert_eq!(shaper.counters().overflowed.packets, 2);
        // The first has left by then, so there is room for one.
        shaper.push(10 * MS, packet(6));
        shaper.push(10 * MS, packet(7));
        let out: Vec<u8> = drain(&mut shaper).into_iter().map(|(_, n)| n).collect();
        assert_eq!(out, vec![0, 1, 2, 3, 6]);
    }

    #[test]
    fn a_long_queue_in_time_holds_more_packets_than_the_least() {
        let long = Way {
            queue: 100 * MS,
            ..way()
        };
        let mut shaper = Shaper::new(long, 1);
        for n in 0..20 {
            shaper.push(Duration::ZERO, packet(n));
        }
        assert_eq!(drain(&mut shaper).len(), 10);
    }

    #[test]
    fn about_as_many_are_lost_as_was_asked_and_the_same_ones_again() {
        let lossy = Way {
            loss: 0.02,
            queue_packets: 10_000,
            ..way()
        };
        let run = |seed| {
            let mut shaper = Shaper::new(lossy, seed);
            for n in 0..10_000_u32 {
                shaper.push(Duration::ZERO, n.to_be_bytes().to_vec());
            }
            (shaper.counters().lost.packets, drain(&mut shaper))
        };
        let (lost, out) = run(7);
        assert!((150..250).contains(&lost), "{lost}");
        assert_eq!(out.len() as u64 + lost, 10_000);
        assert_eq!(run(7).1, out);
        assert_ne!(run(8).1, out);
    }

    #[test]
    fn jitter_delays_but_never_overtakes() {
        let rough = Way {
            jitter: 30 * MS,
            queue_packets: 100,
            ..way()
        };
        let mut shaper = Shaper::new(rough, 3);
        for n in 0..50 {
            shaper.push(Duration::ZERO, packet(n));
        }
        let out = drain(&mut shaper);
        assert!(out.is_sorted_by_key(|(due, n)| (*due, *n)));
        assert!(
            out.iter()
                .any(|(due, n)| *due > (50 + 10 * u32::from(*n)) * MS)
        );
    }

    #[test]
    fn a_cut_loses_what_is_on_the_line_and_all_that_comes() {
        let mut shaper = Shaper::new(way(), 1);
        shaper.push(Duration::ZERO, packet(1));
        shaper.set_cut(true);
        shaper.push(MS, packet(2));
        assert_eq!(shaper.next_due(), None);
        assert_eq!(shaper.counters().cut.packets, 2);
        shaper.set_cut(false);
        shaper.push(2 * MS, packet(3));
        assert_eq!(drain(&mut shaper), vec![(52 * MS, 3)]);
    }

    #[test]
    fn only_udp_is_blocked() {
        let mut shaper = Shaper::new(way(), 1);
        shaper.set_block_udp(true);
        let mut udp = packet(1);
        udp[9] = UDP;
        let mut tcp = packet(2);
        tcp[9] = 6;
        shaper.push(Duration::ZERO, udp);
        shaper.push(Duration::ZERO, tcp);
        assert_eq!(drain(&mut shaper), vec![(50 * MS, 2)]);
        assert_eq!(shaper.counters().blocked.packets, 1);
    }
}
