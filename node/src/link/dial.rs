//! Calls upstream: the township first, then the hub; again after a wait with full jitter.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cuntong_protocol::{id::NodeId, role::Level, sync::Role};
use cuntong_provisioning::judge::{Judgement, Side};
use quinn::ClientConfig;
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared, UpstreamState, Whole,
    backoff::Backoff,
    carrier::{Carrier, Connection},
    drive::{self, Event},
    limits,
    reach::{Lead, reach},
    reason::{self, Close, Failed, Reason},
    renewal, tcp, tls,
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
        shared: shared.clone(),
    };
    let stop = shared.parts.stop.clone();
    while !stop.is_stopped() {
        if !*shared.plugged.borrow() {
            caller.unplugged().await;
            continue;
        }
        let wait = match caller.round().await {
            Round::Had(ended) => caller.wait_after(&ended),
            Round::None(failures) => {
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
            let ended = match call(&self.shared, index, tls::ALPN).await {
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
        shared.note(index, |up| {
            up.node = Some(peer);
            up.carrier = Some(connection.carrier());
        });
        let (report, mut events) = mpsc::unbounded_channel();
        let mut way_back = WayBack::watch(&shared, index, &line);
        let running = drive::run(&shared, line, report);
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
            Event::Met => {
                self.shared.note(index, |up| {
                    up.state = UpstreamState::Connected;
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
        self.shared.note(index, |up| up.last_session = Some(now));
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
            _changed = plugged.changed() => {}
            () = self.shared.parts.stop.stopped() => {}
        }
    }

    fn take(&mut self, order: Order) {
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
        if *self.shared.plugged.borrow() {
            for index in 0..self.shared.parts.config.upstream.len() {
                self.shared
                    .note(index, |up| up.state = UpstreamState::Waiting);
            }
        }
    }
}

/// Whether logs stay behind that the peer refused for this session.
fn leaves_out(event: &Event) -> bool {
    match event {
        Event::Met | Event::Quiet(_) => false,
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

/// Calls one upstream up to the point where a session can begin.
pub(super) async fn call(
    shared: &Arc<Shared>,
    index: usize,
    alpn: &[u8],
) -> Result<drive::Line, Failed> {
    let connection = connect(shared, index, alpn).await?;
    let ground = shared.ground();
    let judged = connection
        .certificate()
        .map(|certificate| ground.judge(&certificate, Side::Callee));
    let known = match judged {
        Some(Judgement::Full(known)) if known.level > Level::Village => known,
        Some(Judgement::Full(_)) => return Err(hang_up(&connection, "a village point answered")),
        Some(Judgement::RenewOnly(..)) => {
            return Err(hang_up(&connection, "the upstream's certificate ran out"));
        }
        Some(Judgement::Refused(why)) => return Err(hang_up(&connection, why.word())),
        None => return Err(hang_up(&connection, "no certificate")),
    };
    let (send, receive) = connection.open(shared.clock_in_doubt()).await?;
    let dictionary = connection.agreed().and_then(|alpn| tls::dictionary(&alpn));
    Ok(drive::Line {
        connection,
        send,
        receive,
        known,
        role: Role::Caller,
        dictionary,
        waiting: None,
    })
}

fn hang_up(connection: &Connection, why: &str) -> Failed {
    connection.close(Close::Unwanted, "");
    Failed::new(Reason::Certificate, why)
}

/// A connection by whichever carrier answers, and which is to be tried first the next time.
async fn connect(shared: &Shared, index: usize, alpn: &[u8]) -> Result<Connection, Failed> {
    let config = &shared.parts.config;
    let to = resolve(&config.upstream[index]).await?;
    let lead = shared.lead(index);
    let reached = reach(
        config.carrier,
        lead,
        config.handshake,
        by_quic(shared, to, alpn),
        by_tcp(shared, to, alpn),
    )
    .await;
    let next = match &reached {
        Ok(connection) => {
            let carrier = connection.carrier();
            tracing::info!(upstream = index, carrier = carrier.word(), "called");
            match carrier {
                Carrier::Quic => Lead::Quic,
                Carrier::Tcp => Lead::Both,
            }
        }
        Err(failed) if failed.silent => Lead::default(),
        Err(_answered) => lead,
    };
    shared.note(index, |up| up.lead = next);
    reached
}

/// A connection by QUIC.
pub(super) async fn by_quic(
    shared: &Shared,
    to: SocketAddr,
    alpn: &[u8],
) -> Result<Connection, Failed> {
    let ground = shared.ground();
    let crypto = tls::calling(shared.own(), ground, alpn)
        .map_err(|error| Failed::new(Reason::Certificate, error))?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    let _same = client.transport_config(limits::transport(shared.level, &shared.parts.config));
    let called = shake(
        &shared.endpoint,
        client,
        to,
        shared.parts.config.handshake,
        shared.clock_in_doubt(),
    );
    called.await.map(Connection::Quic)
}

/// A connection by TCP.
async fn by_tcp(shared: &Shared, to: SocketAddr, alpn: &[u8]) -> Result<Connection, Failed> {
    let crypto = tls::calling_by_tcp(shared.own(), Some(shared.ground()), alpn)
        .map_err(|error| Failed::new(Reason::Certificate, error))?;
    let (link, doubt) = (&shared.parts.config, shared.clock_in_doubt());
    let called = tcp::call(crypto, to, link, &shared.lines, doubt).await;
    called.map(Connection::Tcp)
}

/// The handshake, within its time.
pub(super) async fn shake(
    endpoint: &quinn::Endpoint,
    client: ClientConfig,
    to: SocketAddr,
    within: Duration,
    doubt: bool,
) -> Result<quinn::Connection, Failed> {
    let connecting = endpoint
        .connect_with(client, to, tls::NAME)
        .map_err(|error| reason::connect(&error))?;
    match tokio::time::timeout(within, connecting).await {
        Ok(connected) => connected.map_err(|error| reason::connection(&error, doubt)),
        Err(_late) => Err(Failed::silence("no answer in time")),
    }
}

/// The address of `host:port`, if there is a way to it at all: an unplugged cable is told from a
/// hub that is down.
pub(super) async fn resolve(address: &str) -> Result<SocketAddr, Failed> {
    let no_route = |error: std::io::Error| Failed::new(Reason::NoRoute, error);
    let to = tokio::net::lookup_host(address)
        .await
        .map_err(no_route)?
        .next()
        .ok_or_else(|| Failed::new(Reason::NoRoute, "the name has no address"))?;
    let from: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    // Connecting a UDP socket sends nothing; it asks the routing table.
    let probe = tokio::net::UdpSocket::bind(from).await.map_err(no_route)?;
    probe.connect(to).await.map_err(no_route)?;
    Ok(to)
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
