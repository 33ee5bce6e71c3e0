//! Who is served when more come than can be: a call is let in, or told a moment of its own to come
//! back at. The moments lie one behind the other, as far apart as sessions take, and whoever
//! comes at his is let in before those who were told none.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use cuntong_protocol::id::NodeId;
use tokio::time::Instant;

use super::{limits, lock};

/// Turns at the store are thought to follow one another at this distance before any was measured.
const GUESS: Duration = Duration::from_millis(10);
/// Turns end in bursts, as commits do: they are counted over this long while some wait.
const WHILE: Duration = Duration::from_secs(1);
/// How many turns at the store a session takes until both sides agree.
const TURNS: u32 = 3;
/// The nearest moment that is told: coming back costs a handshake.
const NEAREST: Duration = Duration::from_secs(1);
/// The furthest: callers wait no longer by themselves.
const FURTHEST: Duration = Duration::from_secs(300);
/// So much too early is in time.
const EARLY: Duration = Duration::from_millis(500);
/// A refusal is logged no more often than this, with how many there were.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The book of turns.
#[derive(Debug)]
pub(super) struct Turns {
    /// Sessions that wait for a turn at the store.
    waiting: u32,
    /// From one turn's end to the next while there are some, smoothed.
    each: Duration,
    /// Turns that ended since some wait without a pause, and since when.
    ended: Option<(Instant, u32)>,
    /// The moments told, by caller, until some time after they passed.
    told: BTreeMap<NodeId, Instant>,
    /// The last of them.
    last: Option<Instant>,
    refused: u64,
    refused_told: Option<Instant>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            waiting: 0,
            each: GUESS,
            ended: None,
            told: BTreeMap::new(),
            last: None,
            refused: 0,
            refused_told: None,
        }
    }
}

/// A session that waits for its turn; no longer when dropped.
pub(super) struct Queued<'s>(&'s Mutex<Turns>);

impl<'s> Queued<'s> {
    pub(super) fn at(turns: &'s Mutex<Turns>) -> Self {
        lock(turns).waits();
        Self(turns)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        lock(self.0).begins();
    }
}

/// A wait as BUSY says it.
pub(super) fn in_ms(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is a place.
    Free,
    /// There is none but for those who were told to come now.
    Reserved,
    None,
}

impl Turns {
    /// One more session waits for a turn.
    const fn waits(&mut self) {
        self.waiting += 1;
    }

    /// One of them has it.
    const fn begins(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A turn ended.
    pub(super) fn ends(&mut self, now: Instant) {
        if self.waiting == 0 {
            self.ended = None;
            // What was measured when there was a rush, or a stall, is not for ever.
            self.each = (self.each + GUESS) / 2;
            return;
        }
        let (since, count) = self.ended.unwrap_or((now, 0));
        let (long, count) = (now.duration_since(since), count + 1);
        if long < WHILE {
            self.ended = Some((since, count));
        } else {
            self.each = (self.each + long / count) / 2;
            self.ended = Some((now, 0));
        }
    }

    /// How long a session that comes now would wait for its first turn.
    fn queue(&self) -> Duration {
        self.each * self.waiting
    }

    /// `None`: the call is let in. Else it is to come back after so long.
    pub(super) fn call(&mut self, node: NodeId, room: Room, now: Instant) -> Option<Duration> {
        // Whoever let its moment pass is like any other.
        self.told
            .retain(|_, at| now.saturating_duration_since(*at) < FURTHEST);
        let told = self.told.get(&node).copied();
        let early = told.map(|at| at.saturating_duration_since(now));
        let lets_in = match (early, room) {
            (Some(early), Room::Free) => early <= EARLY || self.queue() < NEAREST,
            (Some(early), Room::Reserved) => early <= EARLY,
            (None, Room::Free) => self.queue() <= limits::QUEUE_MAX,
            (Some(_), Room::None) | (None, Room::Reserved | Room::None) => false,
        };
        if lets_in {
            let _kept = self.told.remove(&node);
            return None;
        }
        if let Some(early) = early.filter(|early| *early > EARLY) {
            return Some(early);
        }
        let nearest = now + self.queue().max(NEAREST);
        let behind = self.last.map_or(nearest, |last| last + self.each * TURNS);
        let at = behind.max(nearest).min(now + FURTHEST);
        self.last = Some(at);
        let _before = self.told.insert(node, at);
        Some(at - now)
    }

    /// A call found no place before anybody knew whose it was: how many did since that was said
    /// last, when it is to be said again.
    pub(super) fn refused(&mut self, now: Instant) -> Option<u64> {
        self.refused += 1;
        let due = |told| now.duration_since(told) >= TELL_EVERY;
        if !self.refused_told.is_none_or(due) {
            return None;
        }
        self.refused_told = Some(now);
        Some(std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u64) -> NodeId {
        NodeId(n.to_be_bytes())
    }

    /// Turns that end every ten milliseconds, with so many waiting.
    fn busy(now: Instant, waiting: u32) -> Turns {
        let mut turns = Turns::default();
        (0..waiting).for_each(|_one| turns.waits());
        // In bursts of fifty.
        for n in 0..1_000 {
            turns.ends(now + Duration::from_millis(n / 50 * 500));
        }
        turns
    }

    #[test]
    fn the_queue_is_as_long_as_turns_take_on_the_whole() {
        let queue = busy(Instant::now(), 500).queue();
        assert!((4..6).contains(&queue.as_secs()), "{queue:?}");
        assert_eq!(busy(Instant::now(), 0).each, GUESS);
    }

    #[test]
    fn all_who_are_put_off_are_served_in_turn_and_none_twice_put_off() {
        let began = Instant::now();
        let mut turns = busy(began, 10_000);
        let mut moments = Vec::new();
        for n in 0..1_000 {
            let wait = turns.call(node(n), Room::Free, began);
            moments.push(wait.expect("it is put off"));
        }
        assert!(moments.is_sorted_by(|a, b| a < b), "one behind the other");
        assert!(*moments.last().expect("some") <= FURTHEST);
        // One who comes too early hears the same moment again.
        let half = moments[500] / 2;
        let again = turns.call(node(500), Room::Free, began + half);
        assert_eq!(again, Some(moments[500] - half));
        for (n, wait) in (0..).zip(moments) {
            let now = began + wait;
            assert_eq!(turns.call(node(n), Room::Reserved, now), None, "caller {n}");
        }
        assert!(turns.told.is_empty());
    }

    #[test]
    fn while_there_is_room_and_no_queue_everybody_is_let_in() {
        let now = Instant::now();
        let mut turns = busy(now, 0);
        assert_eq!(turns.call(node(1), Room::Free, now), None);
        assert!(turns.call(node(2), Room::Reserved, now) >= Some(NEAREST));
        assert!(turns.call(node(3), Room::None, now) >= Some(NEAREST));
    }

    #[test]
    fn a_stall_is_forgotten_when_nobody_waits() {
        let now = Instant::now();
        let mut turns = busy(now, 500);
        turns.each = Duration::from_secs(30);
        (0..500).for_each(|_one| turns.begins());
        (0..20).for_each(|_turn| turns.ends(now));
        turns.waits();
        assert_eq!(turns.call(node(1), Room::Free, now), None);
    }

    #[test]
    fn a_moment_gives_a_right_for_a_while_and_none_is_kept_from_a_free_place() {
        let began = Instant::now();
        let mut turns = busy(began, 10_000);
        let wait = turns.call(node(1), Room::Free, began).expect("put off");
        let long_past = began + wait + FURTHEST;
        assert!(turns.call(node(1), Room::Reserved, long_past).is_some());
        (0..10_000).for_each(|_one| turns.begins());
        assert_eq!(turns.call(node(1), Room::Free, long_past), None, "early");
    }

    #[test]
    fn refusals_are_told_together_and_not_one_by_one() {
        let now = Instant::now();
        let mut turns = Turns::default();
        assert_eq!(turns.refused(now), Some(1));
        for _call in 0..400 {
            assert_eq!(turns.refused(now + TELL_EVERY / 2), None);
        }
        assert_eq!(turns.refused(now + TELL_EVERY), Some(401));
    }
}
