//! Moments, the state of the clock that told them, and the hybrid clock that orders acts.
//!
//! Civil dates and working days are in [`crate::calendar`].

use crate::id::{ActId, ActorId};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Millis(#[n(0)] pub i64);

impl Millis {
    /// This moment and `ms` milliseconds more.
    #[must_use]
    pub const fn after(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when it is the later one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Whether the clock that gave a time can be believed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum ClockState {
    /// Not before anything this node knows to be past.
    #[n(0)]
    #[default]
    Ok,
    /// Behind the trusted floor, or far from what an upstream said: shown beside the time.
    #[n(1)]
    Suspect,
}

/// Counter bits of an act id.
const COUNTER_MAX: u16 = u16::MAX;
/// Six bytes of milliseconds reach the year 10889.
const WALL_MAX: i64 = (1 << 48) - 1;

/// Gives each act an id later than every act this node has seen (hybrid logical clock,
/// Kulkarni et al. 2014): physical milliseconds, then a counter, then the writer.
#[derive(Debug, Clone, Copy, Default)]
pub struct HybridClock {
    wall: i64,
    counter: u16,
}

impl HybridClock {
    /// The id of an act done now by this actor.
    pub fn tick(&mut self, now: Millis, actor: ActorId) -> ActId {
        let now = now.0.clamp(0, WALL_MAX);
        if now > self.wall {
            (self.wall, self.counter) = (now, 0);
        } else if self.counter == COUNTER_MAX {
            (self.wall, self.counter) = ((self.wall + 1).min(WALL_MAX), 0);
        } else {
            self.counter += 1;
        }
        ActId::of(Millis(self.wall), self.counter, actor)
    }

    /// Takes note of an act from elsewhere, so that what is done after seeing it sorts after it.
    /// A time more than `ahead_ms_max` past `now` is not followed: one wrong clock must not
    /// drag every node's order into the future.
    pub fn observe(&mut self, id: ActId, now: Millis, ahead_ms_max: i64) {
        let wall = id.wall().0;
        if wall > now.0.saturating_add(ahead_ms_max) {
            return;
        }
        if (wall, id.counter()) > (self.wall, self.counter) {
            (self.wall, self.counter) = (wall, id.counter());
        }
    }
}

impl ActId {
    /// An act id from its parts; `wall` is cut to 0 ..= 2⁴⁸−1 ms.
    pub fn of(wall: Millis, counter: u16, actor: ActorId) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&wall.0.clamp(0, WALL_MAX).to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&counter.to_be_bytes());
        id[8..].copy_from_slice(&actor.0);
        Self(id)
    }

    /// The hybrid clock's milliseconds (not always the desk's time: see `Act::at`).
    pub fn wall(&self) -> Millis {
        let mut wall = [0; 8];
        wall[2..].copy_from_slice(&self.0[..6]);
        Millis(i64::from_be_bytes(wall))
    }

    /// The counter within that millisecond.
    pub fn counter(&self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]])
    }

    /// Who wrote the act.
    pub fn actor(&self) -> ActorId {
        let mut actor = [0; 8];
        actor.copy_from_slice(&self.0[8..]);
        ActorId(actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: ActorId = ActorId([1; 8]);

    #[test]
    fn an_act_done_after_seeing_another_sorts_after_it_whatever_the_clocks_say() {
        let mut slow = HybridClock::default();
        let seen = ActId::of(Millis(5_000), 3, ActorId([2; 8]));
        slow.observe(seen, Millis(1_000), 60_000);
        assert!(slow.tick(Millis(1_000), HERE) > seen);
    }

    #[test]
    fn a_clock_far_in_the_future_is_not_followed() {
        let mut clock = HybridClock::default();
        clock.observe(ActId::of(Millis(1_000_000), 0, HERE), Millis(1_000), 60_000);
        assert_eq!(clock.tick(Millis(1_001), HERE).wall(), Millis(1_001));
    }

    #[test]
    fn ids_of_one_writer_only_grow_even_when_the_clock_goes_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(Millis(10_000), HERE);
        let second = clock.tick(Millis(4), HERE);
        assert!(second > first);
        assert_eq!(first.actor(), HERE);
    }
}
