//! The moment to leave a line that is not to be kept: a metered one, or one outside its window.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::drive::Event;

/// How long nobody must have waited for anything.
pub(super) const STILL: Duration = Duration::from_millis(500);

/// Watches one session.
pub(super) struct Leave {
    /// From when on the line is left; never where it may stay.
    from: Option<Instant>,
    /// Both sides agreed once.
    settled: bool,
    /// Since when nobody waits for anything.
    quiet: Option<Instant>,
}

impl Leave {
    /// For a session about to begin on a line that may stay so long; `None`: as long as it holds.
    pub(super) fn after(stays: Option<Duration>) -> Self {
        Self {
            from: stays.map(|stays| Instant::now() + stays),
            settled: false,
            quiet: None,
        }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Met | Event::Came(_) => {}
            Event::Settled(_) => self.settled = true,
            Event::Quiet(quiet) => self.quiet = quiet.then(Instant::now),
        }
    }

    /// Waits for the moment; what is being said is said to its end first. May be given up and asked
    /// again.
    pub(super) async fn due(&self) {
        match (self.from, self.settled, self.quiet) {
            (Some(from), true, Some(quiet)) => sleep_until(from.max(quiet + STILL)).await,
            (None | Some(_), _, _) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn is_due(leave: &Leave) -> bool {
        let due = pin!(leave.due());
        due.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn long_ago() -> Option<Instant> {
        Instant::now().checked_sub(2 * STILL)
    }

    #[tokio::test]
    async fn a_line_that_is_paid_for_is_left_when_all_is_said_and_not_before() {
        let mut leave = Leave::after(Some(Duration::ZERO));
        (leave.from, leave.quiet) = (long_ago(), long_ago());
        assert!(!is_due(&leave), "nothing was agreed yet");
        leave.hear(&Event::Settled(Default::default()));
        assert!(is_due(&leave));
        leave.hear(&Event::Quiet(false));
        assert!(!is_due(&leave), "somebody waits for an answer");
        leave.hear(&Event::Quiet(true));
        assert!(!is_due(&leave), "a moment ago somebody did");
    }

    #[tokio::test]
    async fn a_line_is_left_at_the_end_of_its_window_or_never() {
        for stays in [None, Some(Duration::from_secs(3_600))] {
            let mut leave = Leave::after(stays);
            leave.settled = true;
            leave.quiet = long_ago();
            assert!(!is_due(&leave), "{stays:?}");
        }
    }
}
