//! One session as its caller watches it: what may interrupt it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep},
};

use super::{
    Shared,
    carrier::Connection,
    drive::{Event, Line},
    leave::Leave,
    reach::Lead,
    reason::Failed,
    way_back::WayBack,
};
use crate::clock;

/// How long a session that had to leave logs out goes on before another one asks for them again:
/// a day's quota frees by the hour.
const LEFT_OUT_AGAIN: Duration = Duration::from_secs(3_600);

/// What interrupts a session.
pub(super) enum Interrupt {
    Ended(Failed),
    Unplugged,
    /// Another session gets further, or goes another way.
    Again,
    /// Everything is said, and the line is not to be kept.
    Parted,
    /// The other end does not answer any more.
    Dead,
    Stopped,
}

/// Watches one session.
pub(super) struct Meeting {
    connection: Connection,
    way_back: WayBack,
    leave: Leave,
    /// When it is looked whether there is a better way.
    home: Pin<Box<Sleep>>,
    /// Whether the other end answers, while that is doubted.
    probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    plugged: watch::Receiver<bool>,
}

impl Meeting {
    /// A session about to begin on a line that may stay so long once everything is said.
    pub(super) fn of(
        shared: &Arc<Shared>,
        index: usize,
        line: &Line,
        stays: Option<Duration>,
    ) -> Self {
        Self {
            connection: line.connection.clone(),
            way_back: WayBack::watch(shared, index, line),
            leave: Leave::after(stays),
            home: Box::pin(sleep(way_home(index, shared.parts.config.retry_max))),
            probe: None,
            plugged: shared.plugged.subscribe(),
        }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        if leaves_out(event) {
            let soon = Instant::now() + LEFT_OUT_AGAIN;
            let sooner = soon.min(self.home.deadline());
            self.home.as_mut().reset(sooner);
        }
        self.way_back.hear(event);
        self.leave.hear(event);
    }

    /// There is reason to doubt that the other end is still there: it is asked, and has a short time
    /// to answer.
    pub(super) fn doubt(&mut self) {
        if self.probe.is_none() {
            let connection = self.connection.clone();
            self.probe = Some(Box::pin(async move { connection.alive().await }));
        }
    }

    /// Waits for what interrupts the session. May be given up and asked again.
    pub(super) async fn interrupted(&mut self, shared: &Shared, index: usize) -> Interrupt {
        let probed = async {
            if let Some(probe) = &mut self.probe {
                if !probe.await {
                    return;
                }
                self.probe = None;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = &mut self.home => Interrupt::Again,
            () = self.way_back.open() => {
                shared.note(index, |up| up.lead = Lead::Quic);
                Interrupt::Again
            }
            () = self.leave.due() => Interrupt::Parted,
            () = probed => Interrupt::Dead,
            _unplugged = self.plugged.wait_for(|up| !*up) => Interrupt::Unplugged,
            () = shared.parts.stop.stopped() => Interrupt::Stopped,
        }
    }
}

/// Whether logs stay behind that the peer refused for this session.
fn leaves_out(event: &Event) -> bool {
    match event {
        Event::Met | Event::Came(_) | Event::Quiet(_) => false,
        Event::Settled(settled) => !settled.stalled.is_empty(),
    }
}

/// When a node that fell back to a further upstream looks whether the nearer one is there again.
fn way_home(index: usize, retry_max: Duration) -> Duration {
    if index == 0 {
        // As good as never.
        Duration::from_secs(365 * 24 * 3_600)
    } else {
        retry_max / 2 + clock::jitter(retry_max / 2)
    }
}
