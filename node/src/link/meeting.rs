//! One session as its caller watches it: what may interrupt it.

use std::{pin::Pin, sync::Arc, time::Duration};

use cuntong_protocol::sync::Settled;
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep},
};

use super::{
    Shared,
    carrier::Connection,
    drive::{Event, Line},
    leave::Leave,
    limits,
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

/// What happens to a session.
pub(super) enum Happens {
    /// The other end, which was asked, is there.
    Answered,
    Interrupt(Interrupt),
}

/// Watches one session.
pub(super) struct Meeting {
    connection: Connection,
    window: u32,
    way_back: WayBack,
    leave: Leave,
    /// When it is looked whether there is a better way.
    home: Pin<Box<Sleep>>,
    /// Whether the other end answers, while that is doubted.
    probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    plugged: watch::Receiver<bool>,
    /// What the session said of itself last.
    said: Option<Settled>,
    /// What of that was said before somebody asked.
    counted: Settled,
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
            window: limits::window(shared.level),
            way_back: WayBack::watch(shared, index, line),
            leave: Leave::after(stays),
            home: Box::pin(sleep(way_home(index, shared.parts.config.retry_max))),
            probe: None,
            plugged: shared.plugged.subscribe(),
            said: None,
            counted: Settled::default(),
        }
    }

    /// Hears an event; returns it for others, with what was done since somebody asked.
    pub(super) fn hear(&mut self, event: Event) -> Event {
        self.way_back.hear(&event);
        self.leave.hear(&event);
        match event {
            Event::Met | Event::Came(_) | Event::Quiet(_) => event,
            Event::Settled(settled) => {
                if !settled.stalled.is_empty() {
                    let soon = Instant::now() + LEFT_OUT_AGAIN;
                    let sooner = soon.min(self.home.deadline());
                    self.home.as_mut().reset(sooner);
                }
                let since = settled.since(&self.counted);
                self.said = Some(settled);
                Event::Settled(since)
            }
        }
    }

    /// Whether this session left something behind that another may take up.
    pub(super) fn leaves_something(&self) -> bool {
        let left = |s: &Settled| s.again || !s.stalled.is_empty() || !s.mismatched.is_empty();
        self.said.as_ref().is_some_and(left)
    }

    /// Somebody wants to hear that both sides agree.
    pub(super) fn ask(&mut self) {
        self.counted = self.said.clone().unwrap_or_default();
        self.doubt();
    }

    /// There is reason to doubt that the other end is still there: it is asked, and has a short time
    /// to answer.
    pub(super) fn doubt(&mut self) {
        if self.probe.is_none() {
            let connection = self.connection.clone();
            let window = self.window;
            self.probe = Some(Box::pin(async move { connection.alive(window).await }));
        }
    }

    /// Waits for what happens to the session. May be given up and asked again.
    pub(super) async fn happens(&mut self, shared: &Shared, index: usize) -> Happens {
        let probed = async {
            match &mut self.probe {
                Some(probe) => probe.await,
                None => std::future::pending().await,
            }
        };
        Happens::Interrupt(tokio::select! {
            () = &mut self.home => Interrupt::Again,
            () = self.way_back.open() => {
                shared.note(index, |up| up.lead = Lead::Quic);
                Interrupt::Again
            }
            () = self.leave.due() => Interrupt::Parted,
            answered = probed => {
                self.probe = None;
                if answered {
                    return Happens::Answered;
                }
                Interrupt::Dead
            }
            _unplugged = self.plugged.wait_for(|up| !*up) => Interrupt::Unplugged,
            () = shared.parts.stop.stopped() => Interrupt::Stopped,
        })
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
