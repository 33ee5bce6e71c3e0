//! Calls upstream: the township first, then the hub; again after a wait with full jitter.

use std::{sync::Arc, time::Duration};

use cuntong_protocol::id::NodeId;
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared, UpstreamState, Whole,
    backoff::Backoff,
    call::{self, call},
    carrier::{Carrier, Connection},
    drive::{self, Event},
    reach::Lead,
    reason::{Close, Failed, Reason},
    renewal, tls,
    way_back::WayBack,
};
use crate::clock;

/// What is asked of the caller.
pub(super) enum Order {
    /// Try now.
    Wake,
    /// One whole session, from the first message, and what it did; or why none was had.
    Sync(oneshot::Sender<Result<Whole, Vec<Failed>>>),
}

/// How long after a wake-up another one is thought to be the same.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// How long a session that had to leave logs out goes on before another one asks for them again:
/// a day's quota frees by the hour.
const LEFT_OUT_AGAIN: Duration = Duration::from_secs(3_600);

struct Caller {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    /// Who waits for a whole session.
    waiters: Vec<oneshot::Sender<Result<Whole, Vec<Failed>>>>,
    /// Grows with calls that came to nothing, and with sessions that only asked for another.
    backoff: Backoff,
    /// The last session got as far as it could, and said that another gets further.
    again: bool,
    /// There is reason to think that the next call is answered: a ticket may be spent on it.
    hopeful: bool,
}

/// What ended a round of calls.
enum Round {
    /// A session was had and ended so.
    Had(Failed),
    /// Nobody could be reached.
    None(Vec<Failed>),
}

/// What interrupts a session.
enum Interrupt {
    Ended(Failed),
    Unplugged,
    Again,
    Stopped,
}

/// Calls until the node stops.
pub(super) async fn run(shared: Arc<Shared>, orders: mpsc::Receiver<Order>) {
    let link = &shared.parts.config;
    let mut caller = Caller {
        backoff: Backoff::new(link.retry_first, link.retry_max),
        orders,
        waiters: Vec::new(),
        again: false,
        hopeful: true,
        shared: shared.clone(),
    };
    let stop = shared.parts.stop.clone();
    while !stop.is_stopped() {
        if !*shared.plugged.borrow() {
            caller.unplugged().await;
            continue;
        }
        let wait = match caller.round().await {
            Round::Had(ended) => {
                caller.hopeful = true;
                caller.wait_after(&ended)
            }
            Round::None(failures) => {
                caller.hopeful = false;
                let wait = failures
                    .last()
                    .map_or(Duration::ZERO, |last| caller.wait_after(last));
                caller.answer_all(&Err(failures));
                wait
            }
        };
        caller.rest(wait).await;
    }
}

impl Caller {
    /// Tries each upstream in order until one has a session to its end.
    async fn round(&mut self) -> Round {
        let mut failures = Vec::new();
        self.again = false;
        for index in 0..self.shared.parts.config.upstream.len() {
            self.shared.note(index, |up| {
                up.state = UpstreamState::Connecting;
                up.next_try = None;
            });
            let ended = match call(&self.shared, index, tls::ALPN, self.hopeful).await {
                Ok(line) => self.session(index, line).await,
                Err(failed) => Err(failed),
            };
            match ended {
                Ok(ended) => return Round::Had(ended),
                Err(mut failed) => {
                    if failed.renew {
                        failed = self.renew(failed).await;
                    }
                    self.failed(index, &failed);
                    failures.push(failed);
                }
            }
            if !*self.shared.plugged.borrow() || self.shared.parts.stop.is_stopped() {
                break;
            }
        }
        Round::None(failures)
    }

    /// Runs one session. An error: it ended before both sides agreed, so the next upstream is
    /// worth trying.
    async fn session(&mut self, index: usize, line: drive::Line) -> Result<Failed, Failed> {
        let shared = self.shared.clone();
        let (peer, connection) = (line.known.node, line.connection.clone());
        shared.note(index, |up| up.begins(&line));
        let (report, mut events) = mpsc::unbounded_channel();
        let mut way_back = WayBack::watch(&shared, index, &line);
        let running = to_its_end(&shared, index, line, report);
        tokio::pin!(running);
        let mut had = false;
        let mut plugged = shared.plugged.subscribe();
        let home = tokio::time::sleep(way_home(index, shared.parts.config.retry_max));
        tokio::pin!(home);
        let interrupt = loop {
            tokio::select! {
                ended = &mut running => break Interrupt::Ended(ended),
                Some(event) = events.recv() => {
                    if leaves_out(&event) {
                        let soon = tokio::time::sleep(LEFT_OUT_AGAIN).deadline();
                        let sooner = soon.min(home.deadline());
                        home.as_mut().reset(sooner);
                    }
                    way_back.hear(&event);
                    measure(&event, &connection, &shared, index);
                    had |= self.hear(index, peer, event);
                }
                Some(order) = self.orders.recv() => match order {
                    Order::Sync(waiter) => {
                        self.waiters.push(waiter);
                        break Interrupt::Again;
                    }
                    // Connected already.
                    Order::Wake => {}
                },
                () = &mut home => break Interrupt::Again,
                () = way_back.open() => {
                    shared.note(index, |up| up.lead = Lead::Quic);
                    break Interrupt::Again;
                }
                Ok(()) = plugged.changed() => if !*plugged.borrow() {
                    break Interrupt::Unplugged;
                },
                () = shared.parts.stop.stopped() => break Interrupt::Stopped,
            }
        };
        let ended = match interrupt {
            Interrupt::Ended(ended) => ended,
            Interrupt::Again | Interrupt::Unplugged => {
                connection.close(Close::Stop, "");
                let _ended = running.await;
                let mut again = Failed::new(Reason::HubDown, "begun anew");
                again.wait_ms = Some(0);
                had = true;
                self.again = false;
                self.backoff.reset();
                again
            }
            // The session hears the stop itself and says goodbye.
            Interrupt::Stopped => running.await,
        };
        // What settled in the last moment counts.
        while let Ok(event) = events.try_recv() {
            had |= self.hear(index, peer, event);
        }
        if had {
            self.failed(index, &ended);
            Ok(ended)
        } else {
            self.fell_silent(index, &connection, &ended);
            Err(ended)
        }
    }

    /// A session that came to nothing: where QUIC shook hands and then not one message came
    /// through, TCP is called first the next time.
    fn fell_silent(&self, index: usize, connection: &Connection, ended: &Failed) {
        self.shared.note(index, |up| {
            let spoke = up.state == UpstreamState::Connected;
            if connection.carrier() == Carrier::Quic && !spoke && ended.reason == Reason::HubDown {
                up.lead = Lead::Tcp;
            }
        });
    }

    /// Takes note of what happened in a session; true when it was a whole one by now.
    fn hear(&mut self, index: usize, peer: NodeId, event: Event) -> bool {
        match event {
            Event::Quiet(_) => false,
            Event::Came(came) => {
                let now = self.shared.parts.clock.now();
                self.shared.note(index, |up| up.came(came, now));
                false
            }
            Event::Met => {
                let now = self.shared.parts.clock.now();
                self.shared.note(index, |up| {
                    up.state = UpstreamState::Connected;
                    up.connected_at = Some(now);
                    up.beginning = None;
                    up.failed = None;
                });
                renewal::when_due(&self.shared, index);
                false
            }
            Event::Settled(settled) => {
                self.whole(index, Whole { peer, settled });
                true
            }
        }
    }

    /// Both sides agree.
    fn whole(&mut self, index: usize, whole: Whole) {
        let now = self.shared.parts.clock.now();
        self.again = whole.settled.again;
        if !self.again {
            self.backoff.reset();
        }
        self.shared.note(index, |up| {
            up.last_session = Some(now);
            up.beginning = None;
        });
        self.answer_all(&Ok(whole));
    }

    fn answer_all(&mut self, result: &Result<Whole, Vec<Failed>>) {
        for waiter in self.waiters.drain(..) {
            let _gave_up = waiter.send(result.clone());
        }
    }

    fn failed(&self, index: usize, failed: &Failed) {
        tracing::info!(
            upstream = index,
            reason = failed.reason.word(),
            detail = %failed.detail,
            "not connected"
        );
        self.shared.note(index, |up| {
            up.state = UpstreamState::Waiting;
            up.carrier = None;
            let expected = self.again || failed.wait_ms == Some(0);
            up.failed = (!expected).then(|| failed.clone());
        });
    }

    /// Gets a new certificate from whichever upstream gives one.
    async fn renew(&self, failed: Failed) -> Failed {
        for index in 0..self.shared.parts.config.upstream.len() {
            match renewal::ask(&self.shared, index).await {
                Ok(()) => {
                    return Failed {
                        wait_ms: Some(0),
                        renew: false,
                        ..failed
                    };
                }
                Err(error) => tracing::warn!(upstream = index, %error, "certificate not renewed"),
            }
        }
        failed
    }

    fn wait_after(&mut self, ended: &Failed) -> Duration {
        match ended.wait_ms {
            Some(0) => Duration::ZERO,
            // A busy peer names a slot; the jitter keeps a village's neighbours out of it.
            Some(ms) => {
                let asked = Duration::from_millis(u64::from(ms));
                asked.min(self.shared.parts.config.retry_max) + clock::jitter(asked / 4)
            }
            None => self.backoff.failed(clock::jitter),
        }
    }

    /// Waits, unless somebody orders otherwise.
    async fn rest(&mut self, wait: Duration) {
        let next = self.shared.parts.clock.now().after(wait.as_millis() as i64);
        for index in 0..self.shared.parts.config.upstream.len() {
            self.shared.note(index, |up| {
                up.state = UpstreamState::Waiting;
                up.next_try = Some(next);
            });
        }
        let mut plugged = self.shared.plugged.subscribe();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Some(order) = self.orders.recv() => {
                self.take(order);
                tokio::time::sleep(AT_MOST_EVERY.min(wait)).await;
            }
            _changed = plugged.changed() => self.hopeful = true,
            () = self.shared.parts.stop.stopped() => {}
        }
    }

    fn take(&mut self, order: Order) {
        self.hopeful = true;
        match order {
            Order::Wake => {}
            Order::Sync(waiter) => self.waiters.push(waiter),
        }
    }

    /// Waits until somebody plugs the links in again.
    async fn unplugged(&mut self) {
        for index in 0..self.shared.parts.config.upstream.len() {
            self.shared.note(index, |up| {
                up.state = UpstreamState::Off;
                up.next_try = None;
            });
        }
        let off = Failed::new(Reason::NoRoute, "unplugged");
        self.answer_all(&Err(vec![off.clone()]));
        let mut plugged = self.shared.plugged.subscribe();
        tokio::select! {
            _up = plugged.wait_for(|up| *up) => self.backoff.reset(),
            Some(order) = self.orders.recv() => {
                self.take(order);
                self.answer_all(&Err(vec![off]));
            }
            () = self.shared.parts.stop.stopped() => {}
        }
        self.hopeful = true;
        if *self.shared.plugged.borrow() {
            for index in 0..self.shared.parts.config.upstream.len() {
                self.shared
                    .note(index, |up| up.state = UpstreamState::Waiting);
            }
        }
    }
}

/// Runs a session. Where the upstream has forgotten the last one, what was said early did not
/// arrive, and is said again once the handshake is done.
async fn to_its_end(
    shared: &Arc<Shared>,
    index: usize,
    line: drive::Line,
    report: mpsc::UnboundedSender<Event>,
) -> Failed {
    let connection = line.connection.clone();
    match drive::run(shared, line, report.clone()).await {
        drive::Ran::Ended(failed) => failed,
        drive::Ran::Forgotten => match call::begin(shared, index, connection).await {
            Ok(line) => {
                shared.note(index, |up| up.resumed = false);
                match drive::run(shared, line, report).await {
                    drive::Ran::Ended(failed) => failed,
                    drive::Ran::Forgotten => Failed::new(Reason::HubDown, "forgotten twice"),
                }
            }
            Err(failed) => failed,
        },
    }
}

/// Notes how long the line took, once both have said everything on it.
fn measure(event: &Event, connection: &Connection, shared: &Shared, index: usize) {
    if let (Event::Settled(_), Some(rtt)) = (event, connection.rtt()) {
        shared.resume(index).measured(rtt);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tests::land::{Land, SHIQIAO};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sessions_that_only_ask_for_another_are_had_at_growing_distances() {
        let mut land = Land::new(41);
        let village = land.machine(SHIQIAO);
        let node = village.joined.node;
        let village = land.start(&village, false, &[]);
        let mut caller = Caller {
            shared: village.links.0.clone(),
            orders: mpsc::channel(1).1,
            waiters: Vec::new(),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            again: false,
            hopeful: true,
        };
        let ended = Failed::new(Reason::HubDown, "another session gets further");
        let mut had = |again| {
            let settled = cuntong_protocol::sync::Settled {
                again,
                ..Default::default()
            };
            assert!(caller.hear(0, node, Event::Settled(settled)));
            let bound = caller.backoff.bound();
            assert!(caller.wait_after(&ended) <= bound);
            bound.as_secs()
        };
        assert_eq!([true, true, true, true].map(&mut had), [1, 2, 4, 8]);
        assert_eq!([false, true].map(&mut had), [1, 2]);
    }
}
