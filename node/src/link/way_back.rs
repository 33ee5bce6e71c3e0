//! The way back to QUIC for a session that came about over TCP: QUIC is tried now and then, and
//! once it is answered the session is begun anew there, when nobody waits for anything on it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Shared,
    backoff::Backoff,
    call,
    carrier::Carrier,
    drive::{Event, Line},
    leave::STILL,
    reason::Close,
};
use crate::clock;

/// The longest wait between two tries. Each costs a few padded packets where nobody answers.
const TRY_EVERY_MAX: Duration = Duration::from_secs(3_600);

/// Watches one session.
pub(super) struct WayBack {
    answered: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Since when QUIC is known to work.
    works: Option<Instant>,
    /// Since when nobody waits for anything.
    quiet: Option<Instant>,
}

impl WayBack {
    /// For a session about to begin.
    pub(super) fn watch(shared: &Arc<Shared>, index: usize, line: &Line) -> Self {
        let free = shared.parts.config.carrier.is_none();
        let answered: Pin<Box<dyn Future<Output = ()> + Send>> = match line.connection.carrier() {
            Carrier::Tcp if free => Box::pin(answered(shared.clone(), index)),
            Carrier::Tcp | Carrier::Quic => Box::pin(std::future::pending()),
        };
        Self {
            answered,
            works: None,
            quiet: None,
        }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        if let Event::Quiet(quiet) = event {
            self.quiet = quiet.then(Instant::now);
        }
    }

    /// Waits for the moment to go over. May be given up and asked again.
    pub(super) async fn open(&mut self) {
        let works = if let Some(works) = self.works {
            works
        } else {
            self.answered.as_mut().await;
            *self.works.insert(Instant::now())
        };
        match self.quiet {
            Some(quiet) => sleep_until(works.max(quiet) + STILL).await,
            None => std::future::pending().await,
        }
    }
}

/// Tries until QUIC is answered.
async fn answered(shared: Arc<Shared>, index: usize) {
    let first = shared.parts.config.retry_max;
    let mut waits = Backoff::new(first, TRY_EVERY_MAX.max(first));
    loop {
        sleep(waits.failed(|bound| bound / 2 + clock::jitter(bound / 2))).await;
        let address = &shared.parts.config.upstream[index];
        let Ok(to) = call::resolve(address).await else {
            continue;
        };
        match call::probe_quic(&shared, to).await {
            Ok(connection) => {
                connection.close(Close::Stop.code(), b"");
                tracing::info!(upstream = index, "QUIC is answered again");
                return;
            }
            Err(failed) => {
                tracing::debug!(upstream = index, detail = %failed.detail, "QUIC still blocked");
            }
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

    fn opens(way_back: &mut WayBack) -> bool {
        let open = pin!(way_back.open());
        open.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[tokio::test]
    async fn a_session_goes_over_only_when_nobody_waits_for_anything() {
        let mut way_back = WayBack {
            answered: Box::pin(std::future::ready(())),
            works: None,
            quiet: None,
        };
        let long_ago = Instant::now().checked_sub(2 * STILL);
        // Both sides have not agreed yet.
        assert!(!opens(&mut way_back));
        way_back.works = long_ago;
        assert!(!opens(&mut way_back));
        // They did just now, and a case may be on its way the next moment.
        way_back.hear(&Event::Quiet(true));
        assert!(!opens(&mut way_back));
        way_back.quiet = long_ago;
        assert!(opens(&mut way_back));
        way_back.hear(&Event::Quiet(false));
        assert!(!opens(&mut way_back));
    }

    #[tokio::test]
    async fn a_session_stays_while_quic_is_not_answered() {
        let mut way_back = WayBack {
            answered: Box::pin(std::future::pending()),
            works: None,
            quiet: Instant::now().checked_sub(2 * STILL),
        };
        assert!(!opens(&mut way_back));
    }
}
