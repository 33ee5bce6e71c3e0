//! What a session waits for, and who is told to wait.

use std::time::Duration;

use cuntong_protocol::{
    sync::{Closing, Session},
    wire::Message,
};
use tokio::time::{Instant, sleep_until};

use super::{super::turn::in_ms, Driver, Ended, end_of, lock};

impl Driver {
    /// When more sessions stand open than can be served, the caller is told when to come back. It
    /// hears of that at once: the session itself would stand in the queue first.
    pub(super) fn put_off(&self) -> Option<Ended> {
        let most = self.shared.parts.config.connections_max;
        let room = lock(&self.shared.live).room(self.peer.node, most);
        let wait = lock(&self.shared.turns).call(self.peer.node, room, Instant::now())?;
        tracing::info!(peer = %self.peer.node, ?room, ?wait, "told to come back");
        let wait = in_ms(wait);
        self.out.send(&Message::Busy(wait));
        Some(end_of(&Closing::ToldBusy(wait)))
    }

    /// Waits until somebody else needs the place of one who has nothing to say.
    pub(super) fn leave(&self) -> impl Future<Output = ()> + use<> {
        let leave = self.place.as_ref().map(|place| place.leave.clone());
        async move {
            match leave {
                Some(leave) => leave.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for the moment when a caller must have said its first message, or when a peer has
    /// taken nothing for as long as a line may be silent.
    pub(super) fn patience(&self) -> impl Future<Output = &'static str> + use<> {
        let link = &self.shared.parts.config;
        let hello = self.waiting.as_ref().map(|w| w.since + link.hello);
        let takes = self.full.map(|since| since + link.idle);
        async move {
            match (hello, takes) {
                (Some(hello), _) => {
                    sleep_until(hello).await;
                    "no first message in time"
                }
                (None, Some(takes)) => {
                    sleep_until(takes).await;
                    "the peer takes in nothing"
                }
                (None, None) => std::future::pending().await,
            }
        }
    }

    /// Waits for the session's deadline; for ever when it has none.
    pub(super) fn due(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.session.as_ref().and_then(Session::deadline);
        let now = self.shared.parts.clock.now();
        let wait = deadline.map(|(at, _what)| at.since(now).max(0).unsigned_abs());
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(Duration::from_millis(wait)).await,
                None => std::future::pending().await,
            }
        }
    }
}
