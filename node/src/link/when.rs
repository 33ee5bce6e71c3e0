//! When an upstream is called next: the one place that says how long a wait is, and why.
//!
//! | what happened | wait |
//! |---|---|
//! | nobody answered, or the session ended | anything up to a bound that doubles from `retry_first` to `retry_max` |
//! | the upstream is busy | the slot it named, and up to a quarter of it more |
//! | a metered line, nothing to say | half of [`TURN`] to all of it |
//! | a metered line, something was saved | anything up to [`GATHER`] |
//! | outside the windows | until the next one opens, and up to a quarter of it more |
//!
//! Where a wait says "anything up to", each node draws its own, evenly ("full jitter"), so that a
//! county's nodes that lost the hub together do not come back together.

use std::time::Duration;

use cuntong_protocol::time::Millis;

use super::{backoff::Backoff, reason::Failed};
use crate::config::{self, Windows};

/// How often a node on a metered line asks for news.
pub(super) const TURN: Duration = Duration::from_secs(3_600);
/// A person who saves one record on a metered line will save the next one soon.
pub(super) const GATHER: Duration = Duration::from_secs(60);
/// A busy upstream's slot and the opening of a window are spread by this share of them.
const SPREAD: u32 = 4;

/// Why the next call is when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Why {
    /// The last call came to nothing.
    #[default]
    Retry,
    /// The upstream asked to be left alone so long.
    Busy,
    /// The node calls at certain times of day only.
    Window,
    /// A metered line is used from time to time.
    Turn,
    /// More may be saved soon, and goes with it.
    Gather,
}

impl Why {
    /// The word for rows and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Busy => "busy",
            Self::Window => "window",
            Self::Turn => "turn",
            Self::Gather => "gather",
        }
    }
}

/// How long to wait, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) wait: Duration,
    pub(super) why: Why,
}

impl Next {
    /// At once.
    pub(super) const fn now() -> Self {
        Self {
            wait: Duration::ZERO,
            why: Why::Retry,
        }
    }
}

/// The rules of one node.
#[derive(Debug)]
pub(super) struct When {
    windows: Windows,
    metered: bool,
    backoff: Backoff,
    retry_max: Duration,
}

impl When {
    pub(super) fn new(link: &config::Link) -> Self {
        Self {
            windows: link.windows.clone(),
            metered: link.metered,
            backoff: Backoff::new(link.retry_first, link.retry_max),
            retry_max: link.retry_max,
        }
    }

    /// It worked, or there is reason to think that it does now: the next wait is the first again.
    pub(super) const fn reset(&mut self) {
        self.backoff.reset();
    }

    /// The longest the next wait after a failure may be.
    #[cfg(test)]
    pub(super) fn bound(&self) -> Duration {
        self.backoff.bound()
    }

    /// Whether the node may call on its own. A clock that is not to be believed (`None`) knows no
    /// windows: it must not keep a node from its upstream, who could tell the time.
    pub(super) fn may_call(&self, wall: Option<Millis>) -> bool {
        wall.is_none_or(|now| self.windows.is_open(now))
    }

    /// When the node may call again, when it may not just now.
    pub(super) fn closed(
        &self,
        wall: Option<Millis>,
        draw: impl Fn(Duration) -> Duration,
    ) -> Option<Next> {
        (!self.may_call(wall)).then(|| self.within(Next::now(), wall, draw))
    }

    /// How long a connection may stay once both have said everything; `None`: as long as it holds.
    pub(super) fn stays(&self, wall: Option<Millis>) -> Option<Duration> {
        if self.metered || !self.may_call(wall) {
            return Some(Duration::ZERO);
        }
        wall.and_then(|now| self.windows.closes_in(now))
    }

    /// After a call or a session that ended so. `draw`: bound → wait.
    pub(super) fn after(
        &mut self,
        ended: &Failed,
        wall: Option<Millis>,
        draw: impl Fn(Duration) -> Duration,
    ) -> Next {
        let next = match ended.wait_ms {
            // What was begun is gone on with.
            Some(0) => return Next::now(),
            Some(ms) => {
                let asked = Duration::from_millis(u64::from(ms));
                Next {
                    wait: asked.min(self.retry_max) + draw(asked / SPREAD),
                    why: Why::Busy,
                }
            }
            None => Next {
                wait: self.backoff.failed(&draw),
                why: Why::Retry,
            },
        };
        self.within(next, wall, draw)
    }

    /// After a connection that was ended because everything was said.
    pub(super) fn parted(&self, wall: Option<Millis>, draw: impl Fn(Duration) -> Duration) -> Next {
        let next = Next {
            wait: TURN / 2 + draw(TURN / 2),
            why: Why::Turn,
        };
        self.within(next, wall, draw)
    }

    /// Something was saved while the node waits for `left` more: the wait from now on, when it
    /// becomes another one.
    pub(super) fn saved(
        &self,
        waiting: Why,
        left: Duration,
        wall: Option<Millis>,
        draw: impl Fn(Duration) -> Duration,
    ) -> Option<Next> {
        match waiting {
            // Not before its slot, or its window; what was saved a moment ago waits for more.
            Why::Busy | Why::Window | Why::Gather => None,
            Why::Retry | Why::Turn if !self.may_call(wall) => None,
            Why::Retry | Why::Turn if self.metered => {
                let (wait, why) = (draw(GATHER), Why::Gather);
                (wait < left).then_some(Next { wait, why })
            }
            Why::Retry | Why::Turn => Some(Next::now()),
        }
    }

    /// Not outside the windows.
    fn within(
        &self,
        next: Next,
        wall: Option<Millis>,
        draw: impl Fn(Duration) -> Duration,
    ) -> Next {
        let Some(now) = wall else {
            return next;
        };
        let then = now.after(next.wait.as_millis() as i64);
        let from = if self.windows.is_open(now) { then } else { now };
        let closed = self.windows.opens_in(from);
        if closed.is_zero() {
            return next;
        }
        let opens = from.after(closed.as_millis() as i64);
        let long = self.windows.closes_in(opens).unwrap_or(self.retry_max);
        Next {
            wait: Duration::from_millis(opens.since(now).max(0).unsigned_abs())
                + draw((long / SPREAD).min(self.retry_max)),
            why: Why::Window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, link::Reason};

    const NOON: Millis = Millis(1_795_233_600_000);
    const HOUR: i64 = 3_600_000;

    fn rules(metered: bool, windows: &str) -> When {
        let mut link = Config::default().link;
        link.metered = metered;
        link.windows = Windows::parse(windows).unwrap();
        When::new(&link)
    }

    fn most(bound: Duration) -> Duration {
        bound
    }

    fn least(_bound: Duration) -> Duration {
        Duration::ZERO
    }

    fn nobody() -> Failed {
        Failed::new(Reason::HubDown, "nobody")
    }

    #[test]
    fn a_line_that_is_always_there_is_tried_at_growing_distances_and_then_kept() {
        let mut when = rules(false, "");
        let waits = [0; 4].map(|_| when.after(&nobody(), Some(NOON), most).wait.as_secs());
        assert_eq!(waits, [1, 2, 4, 8]);
        when.reset();
        assert_eq!(when.after(&nobody(), Some(NOON), most).wait.as_secs(), 1);
        assert_eq!(when.stays(Some(NOON)), None);
    }

    #[test]
    fn a_busy_upstreams_slot_is_kept_whatever_is_saved_meanwhile() {
        let mut when = rules(false, "");
        let busy = Failed {
            wait_ms: Some(40_000),
            ..nobody()
        };
        let (soonest, latest) = (
            when.after(&busy, Some(NOON), least),
            when.after(&busy, Some(NOON), most),
        );
        assert_eq!((soonest.wait.as_secs(), soonest.why), (40, Why::Busy));
        assert_eq!(latest.wait.as_secs(), 50);
        assert_eq!(when.saved(Why::Busy, soonest.wait, Some(NOON), least), None);
    }

    #[test]
    fn a_metered_line_is_left_when_all_is_said_and_used_again_for_news_or_for_records() {
        let mut when = rules(true, "");
        assert_eq!(when.stays(Some(NOON)), Some(Duration::ZERO));
        let next = when.parted(Some(NOON), least);
        assert_eq!((next.wait, next.why), (TURN / 2, Why::Turn));
        let saved = when.saved(next.why, next.wait, Some(NOON), most).unwrap();
        assert_eq!((saved.wait, saved.why), (GATHER, Why::Gather));
        // The second record of the minute does not put the first one off.
        assert_eq!(when.saved(saved.why, saved.wait, Some(NOON), most), None);
        // A call that failed is tried again as on any line.
        assert_eq!(when.after(&nobody(), Some(NOON), most).wait.as_secs(), 1);
    }

    #[test]
    fn outside_its_windows_a_node_does_not_call_and_at_their_opening_not_all_do_at_once() {
        let mut when = rules(false, "20:00-23:00");
        assert!(!when.may_call(Some(NOON)));
        let (first, last) = (
            when.after(&nobody(), Some(NOON), least),
            when.after(&nobody(), Some(NOON), most),
        );
        assert_eq!((first.wait.as_secs(), first.why), (8 * 3_600, Why::Window));
        assert_eq!(last.wait - first.wait, Config::default().link.retry_max);
        assert_eq!(when.saved(Why::Window, first.wait, Some(NOON), least), None);
        // By hand all the same, and the line is left when all is said.
        assert_eq!(when.stays(Some(NOON)), Some(Duration::ZERO));
    }

    #[test]
    fn within_a_window_the_connection_stays_to_its_end_and_no_retry_leads_past_it() {
        let mut when = rules(false, "11:00-13:00,20:00-23:00");
        assert_eq!(when.stays(Some(NOON)), Some(Duration::from_secs(3_600)));
        let late = NOON.after(HOUR - 1_000);
        for _ in 0..6 {
            let _longer = when.after(&nobody(), Some(NOON), most);
        }
        let next = when.after(&nobody(), Some(late), most);
        assert_eq!(next.why, Why::Window);
        assert!(next.wait > Duration::from_secs(7 * 3_600));
    }

    #[test]
    fn a_clock_that_is_not_believed_knows_no_windows() {
        let mut when = rules(false, "20:00-23:00");
        assert!(when.may_call(None));
        assert_eq!(when.stays(None), None);
        assert_eq!(when.after(&nobody(), None, most).why, Why::Retry);
    }
}
