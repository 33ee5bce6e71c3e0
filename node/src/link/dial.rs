//! Calls upstream: the township first, then the hub; again when [`When`] says.

use std::{sync::Arc, time::Duration};

use cuntong_protocol::{id::NodeId, time::Millis};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Shared, UpstreamState, Whole,
    call::{self, call},
    carrier::{Carrier, Connection},
    drive::{self, Event},
    meeting::{Happens, Interrupt, Meeting},
    order::{Order, Waiter},
    reach::Lead,
    reason::{Close, Failed, Reason},
    renewal, tls,
    when::{Next, When, Why},
};
use crate::clock;

/// How long after a wake-up another one is thought to be the same.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// How often a wait for a window looks at the clock on the wall, which may have been set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(60);

struct Caller {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    waiters: Vec<Waiter>,
    /// How often the session that stands was asked whether both sides agree.
    asked: u64,
    /// Knows of calls that came to nothing, and of sessions that only asked for another.
    when: When,
    /// The last session got as far as it could, and said that another gets further.
    again: bool,
    /// There is reason to think that the next call is answered: a ticket may be spent on it.
    hopeful: bool,
    /// A person wants this call: no window holds it back.
    by_hand: bool,
    /// The last session was ended because everything was said.
    parted: bool,
}

/// What ended a round of calls.
enum Round {
    /// A session was had and ended so.
    Had(Failed),
    /// Nobody could be reached.
    None(Vec<Failed>),
}

/// Calls until the node stops.
pub(super) async fn run(shared: Arc<Shared>, orders: mpsc::Receiver<Order>) {
    let mut caller = Caller {
        when: When::new(&shared.parts.config),
        orders,
        waiters: Vec::new(),
        asked: 0,
        again: false,
        hopeful: true,
        by_hand: false,
        parted: false,
        shared: shared.clone(),
    };
    let stop = shared.parts.stop.clone();
    while !stop.is_stopped() {
        if !*shared.plugged.borrow() {
            caller.unplugged().await;
            continue;
        }
        let closed = caller.when.closed(shared.wall(), clock::jitter);
        if let (Some(next), false) = (closed, caller.by_hand) {
            caller.rest(next).await;
            continue;
        }
        let next = match caller.round().await {
            Round::Had(ended) => {
                caller.hopeful = true;
                let next = caller.next_after(&ended);
                // Whoever asked over a line that broke then is not answered yet.
                if caller.waiters.is_empty() {
                    next
                } else {
                    Next::now()
                }
            }
            Round::None(failures) => {
                caller.hopeful = false;
                let last = failures.last();
                let next = last.map_or_else(Next::now, |last| caller.next_after(last));
                caller.answer_all(&Err(failures));
                next
            }
        };
        // What was only interrupted is gone on with, whoever began it.
        caller.by_hand &= next.wait.is_zero();
        caller.rest(next).await;
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
        let mut meeting = Meeting::of(&shared, index, &line, self.when.stays(shared.wall()));
        let running = call::to_its_end(&shared, index, line, report);
        tokio::pin!(running);
        let mut had = false;
        self.asked = 0;
        let interrupt = loop {
            tokio::select! {
                ended = &mut running => break Interrupt::Ended(ended),
                Some(event) = events.recv() => {
                    let event = meeting.hear(event);
                    measure(&event, &connection, &shared, index);
                    had |= self.hear(index, peer, event);
                }
                Some(order) = self.orders.recv() => match order {
                    Order::Sync(waiter) if !meeting.leaves_something() => {
                        self.waiters.push(waiter);
                        self.asked += 1;
                        meeting.ask();
                    }
                    Order::Sync(waiter) | Order::Anew(waiter) => {
                        self.waiters.push(waiter);
                        break Interrupt::Again;
                    }
                    // Connected already, unless the other end is gone and nobody said so.
                    Order::TryNow | Order::Changed => meeting.doubt(),
                    Order::Saved => {}
                },
                happens = meeting.happens(&shared, index) => match happens {
                    Happens::Answered => self.ask(),
                    Happens::Interrupt(interrupt) => break interrupt,
                },
            }
        };
        self.by_hand |= !self.waiters.is_empty();
        let ended = match interrupt {
            Interrupt::Ended(ended) => ended,
            Interrupt::Again | Interrupt::Unplugged | Interrupt::Parted => {
                connection.close(Close::Stop, "");
                let _ended = running.await;
                had = true;
                self.parted = matches!(interrupt, Interrupt::Parted);
                self.begun_anew()
            }
            Interrupt::Dead => {
                connection.close(Close::Silent, "");
                let _ended = running.await;
                self.begun_anew()
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

    /// The session was ended here, and nothing is wrong.
    fn begun_anew(&mut self) -> Failed {
        let mut again = Failed::new(Reason::HubDown, "ended here");
        again.wait_ms = Some(0);
        self.again = false;
        self.when.reset();
        again
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
                // The first words may have been lost, and a question with them.
                self.ask();
                let now = self.shared.parts.clock.now();
                self.shared.note(index, |up| up.met(now));
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
            self.when.reset();
        }
        self.shared.note(index, |up| up.agreed(now));
        // What was news before the last question may not be in an earlier agreement.
        if whole.settled.asked >= self.asked {
            self.answer_all(&Ok(whole));
        }
    }

    /// Asks the session that stands, if somebody wants to know.
    fn ask(&self) {
        if self.asked > 0 && !self.waiters.is_empty() {
            self.shared.parts.news.ask(self.asked);
        }
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

    fn next_after(&mut self, ended: &Failed) -> Next {
        let wall = self.shared.wall();
        if std::mem::take(&mut self.parted) {
            self.when.parted(wall, clock::jitter)
        } else {
            self.when.after(ended, wall, clock::jitter)
        }
    }

    /// Waits, unless somebody orders otherwise.
    async fn rest(&mut self, mut next: Next) {
        let mut until = Instant::now() + next.wait;
        let mut at = self.announce(next);
        let mut plugged = self.shared.plugged.subscribe();
        let stop = self.shared.parts.stop.clone();
        while Instant::now() < until {
            tokio::select! {
                () = sleep_until(until.min(Instant::now() + LOOK_EVERY)) => {
                    if self.is_past(at) {
                        return;
                    }
                    if next.why == Why::Window && self.when.may_call(self.shared.wall()) {
                        // It opened earlier than by the clock of before.
                        let spread = self.shared.parts.config.retry_max;
                        until = until.min(Instant::now() + clock::jitter(spread));
                    }
                }
                Some(order) = self.orders.recv() => {
                    let left = until.duration_since(Instant::now());
                    let woke = matches!(order, Order::Changed) && self.is_past(at);
                    match self.ordered(order, next.why, left) {
                        Some(sooner) if sooner.wait.is_zero() => {
                            tokio::time::sleep(AT_MOST_EVERY.min(left)).await;
                            return;
                        }
                        Some(sooner) => {
                            next = sooner;
                            until = Instant::now() + next.wait;
                            at = self.announce(next);
                        }
                        None if woke => return,
                        None => {}
                    }
                }
                _changed = plugged.changed() => {
                    self.hopeful = true;
                    return;
                }
                () = stop.stopped() => return,
            }
        }
    }

    /// Whether a moment is past by the clock on the wall: a wait does not count the time a machine
    /// sleeps through.
    fn is_past(&self, at: Millis) -> bool {
        self.shared.wall().is_some_and(|now| now >= at)
    }

    /// When the next call is; noted for pages.
    fn announce(&self, next: Next) -> Millis {
        let at = self.shared.parts.clock.now();
        let at = at.after(next.wait.as_millis() as i64);
        for index in 0..self.shared.parts.config.upstream.len() {
            self.shared.note(index, |up| {
                up.state = UpstreamState::Waiting;
                up.next_try = Some(at);
                up.why = next.why;
            });
        }
        at
    }

    /// An order while this node waits for `left` more: another wait, if it makes one.
    fn ordered(&mut self, order: Order, waiting: Why, left: Duration) -> Option<Next> {
        let wall = self.shared.wall();
        let next = match order {
            Order::Sync(waiter) | Order::Anew(waiter) => {
                self.waiters.push(waiter);
                self.by_hand = true;
                Some(Next::now())
            }
            Order::TryNow => {
                self.by_hand = true;
                Some(Next::now())
            }
            // Nothing went wrong on a line that is only used from time to time, and a busy
            // upstream is busy however it is reached.
            Order::Changed => {
                let failed = matches!(waiting, Why::Retry | Why::Window);
                (failed && self.when.may_call(wall)).then(Next::now)
            }
            Order::Saved => {
                let next = self.when.saved(waiting, left, wall, clock::jitter);
                self.hopeful |= next.is_some();
                return next;
            }
        };
        if next.is_some() {
            self.hopeful = true;
            self.when.reset();
        }
        next
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
            _up = plugged.wait_for(|up| *up) => self.when.reset(),
            Some(order) = self.orders.recv() => {
                if let Order::Sync(waiter) | Order::Anew(waiter) = order {
                    self.waiters.push(waiter);
                }
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

/// Notes how long the line took, once both have said everything on it.
fn measure(event: &Event, connection: &Connection, shared: &Shared, index: usize) {
    if let (Event::Settled(_), Some(rtt)) = (event, connection.rtt()) {
        shared.resume(index).measured(rtt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config,
        link::tests::land::{Land, SHIQIAO},
    };

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
            asked: 0,
            when: When::new(&config::Config::default().link),
            again: false,
            hopeful: true,
            by_hand: false,
            parted: false,
        };
        let ended = Failed::new(Reason::HubDown, "another session gets further");
        let mut had = |again| {
            let settled = cuntong_protocol::sync::Settled {
                again,
                ..Default::default()
            };
            assert!(caller.hear(0, node, Event::Settled(settled)));
            let bound = caller.when.bound();
            assert!(caller.next_after(&ended).wait <= bound);
            bound.as_secs()
        };
        assert_eq!([true, true, true, true].map(&mut had), [1, 2, 4, 8]);
        assert_eq!([false, true].map(&mut had), [1, 2]);
    }
}
