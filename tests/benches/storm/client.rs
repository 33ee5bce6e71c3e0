//! A village's machine on the line: the product's own session machine over QUIC with its own key,
//! and the product's own way to come back after a failure (full jitter, a slot when busy).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cuntong_protocol::{
    policy,
    sync::{Closing, Effect, Input, Me, Role, Session, host::perform},
    time::Millis,
    wire::{
        Message, codec,
        frame::{Deflater, Inflater},
        window::{self, DICTIONARIES},
    },
};
use harness::{dice::Dice, hostile::line};
use quinn::{ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use tokio::{sync::watch, time::Instant};

use crate::{county::Land, village::Away};

/// As the defaults of `link.retry_first`, `link.retry_max` and `link.handshake`.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The hub says so when it closes because it has too much to do (`docs/formats/transport.md`).
const CLOSE_BUSY: u64 = 6;
const CLOSE_STOP: VarInt = VarInt::from_u32(1);

/// The time of day, for acts, seals and sessions.
pub(crate) fn now() -> Millis {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    Millis(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

/// What happened to one village; moments are counted from the beginning of the storm.
#[derive(Debug, Default, Clone)]
pub(crate) struct Course {
    pub(crate) arrived: Duration,
    pub(crate) connected: Option<Duration>,
    /// Verified receipts of the hub cover everything.
    pub(crate) custody: Option<Duration>,
    /// Both sides have proved that they hold the same.
    pub(crate) settled: Option<Duration>,
    pub(crate) attempts: u32,
    /// Calls the hub had no place for.
    pub(crate) refused: u32,
    /// Calls answered with BUSY.
    pub(crate) busy: u32,
    /// Calls that broke off otherwise, and the last reason.
    pub(crate) failed: u32,
    pub(crate) why: String,
    /// Batches the hub asked for once more.
    pub(crate) whole: u32,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Why a call ended before everything was in custody.
pub(crate) enum Miss {
    Refused,
    Busy(u32),
    Failed(String),
    /// Something no retry mends: the hub broke the rules.
    Wrong(String),
}

/// One village's machine.
pub(crate) struct Client {
    pub(crate) away: Away,
    pub(crate) course: Course,
    pub(crate) land: Arc<Land>,
    pub(crate) index: usize,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: quinn::ClientConfig,
    pub(crate) hub: SocketAddr,
    /// Chance of the waits.
    pub(crate) dice: Dice,
}

/// What the village offers in the handshake: the released dictionary.
pub(crate) fn alpn() -> Vec<u8> {
    format!("cuntong/1+{:?}", DICTIONARIES[0].id()).into_bytes()
}

impl Client {
    /// Comes at its moment and again until all is in custody; then stays connected until told.
    /// `done` hears once of custody and settlement.
    pub(crate) async fn come(
        mut self,
        began: Instant,
        mut stop: watch::Receiver<bool>,
        done: tokio::sync::mpsc::UnboundedSender<usize>,
    ) -> Self {
        tokio::time::sleep_until(began + self.course.arrived).await;
        let mut failures = 0;
        while !*stop.borrow() {
            self.course.attempts += 1;
            let mut of_call = stop.clone();
            let missed = tokio::select! {
                missed = self.call(began, &mut of_call, &done) => missed,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let wait = match missed {
                Ok(()) => break,
                Err(Miss::Wrong(why)) => panic!("village {}: {why}", self.index),
                Err(Miss::Busy(ms)) => {
                    self.course.busy += 1;
                    let asked = Duration::from_millis(u64::from(ms)).min(RETRY_MAX);
                    asked + self.draw(asked / 4)
                }
                Err(Miss::Refused) => {
                    self.course.refused += 1;
                    self.back_off(&mut failures)
                }
                Err(Miss::Failed(why)) => {
                    self.course.failed += 1;
                    self.course.why = why;
                    self.back_off(&mut failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self
    }

    fn back_off(&mut self, failures: &mut u32) -> Duration {
        let doubled = 1_u32.checked_shl(*failures).unwrap_or(u32::MAX);
        *failures += 1;
        self.draw(RETRY_FIRST.saturating_mul(doubled).min(RETRY_MAX))
    }

    /// Evenly between nothing and the bound.
    fn draw(&mut self, bound: Duration) -> Duration {
        let millis = usize::try_from(bound.as_millis()).unwrap_or(usize::MAX);
        Duration::from_millis(self.dice.below(millis + 1) as u64)
    }

    /// One call; `Ok` when it was ended from here.
    async fn call(
        &mut self,
        began: Instant,
        stop: &mut watch::Receiver<bool>,
        done: &tokio::sync::mpsc::UnboundedSender<usize>,
    ) -> Result<(), Miss> {
        let config = self.config.clone();
        let connecting = self.endpoint.connect_with(config, self.hub, "x.invalid");
        let connecting = connecting.map_err(|e| Miss::Wrong(e.to_string()))?;
        let connection = tokio::time::timeout(HANDSHAKE, connecting).await;
        let connection = connection
            .map_err(|_late| Miss::Failed("handshake took too long".to_owned()))?
            .map_err(|e| missed(&e))?;
        self.course.connected.get_or_insert_with(|| began.elapsed());
        let ended = async {
            let (send, receive) = connection.open_bi().await.map_err(|e| missed(&e))?;
            let mut line = Line::new(send, receive);
            self.talk(&mut line, began, stop, done).await
        };
        let ended = ended.await;
        if let (Err(Miss::Failed(_)), Some(reason)) = (&ended, connection.close_reason()) {
            return Err(missed(&reason));
        }
        connection.close(CLOSE_STOP, b"");
        ended
    }

    /// Runs a session until told to stop.
    async fn talk(
        &mut self,
        line: &mut Line,
        began: Instant,
        stop: &mut watch::Receiver<bool>,
        done: &tokio::sync::mpsc::UnboundedSender<usize>,
    ) -> Result<(), Miss> {
        let mut session = self.session();
        let mut input = Input::Connected;
        loop {
            if let Input::Message(Message::Whole(_)) = &input {
                self.course.whole += 1;
            }
            self.tell(&mut session, input, line).await?;
            if self.away.in_custody() && self.course.custody.is_none() {
                self.course.custody = Some(began.elapsed());
            }
            if self.away.settled && self.course.settled.is_none() {
                self.course.settled = Some(began.elapsed());
                let _nobody = done.send(self.index);
            }
            let due = session.deadline().map(|(at, _)| at.since(now()).max(0));
            let due = due.map(|ms| Duration::from_millis(ms.unsigned_abs()));
            input = tokio::select! {
                message = line.hear() => Input::Message(message?),
                () = tokio::time::sleep(due.unwrap_or(RETRY_MAX)) => Input::Tick,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            self.course.received = line.received;
        }
    }

    fn session(&mut self) -> Session {
        let me = Me {
            writer: self.away.village.log.writer,
            boot: self.dice.bytes(),
            product: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let site = self.away.village.log.scope.site;
        let mine = policy::scopes_read_by(self.land.trust.places(), site);
        let peer = self.land.peer.clone();
        Session::new(Role::Caller, me, peer, mine, &self.land.hub_scopes).reads_packs()
    }

    /// Gives an input and does what the session wants done.
    async fn tell(
        &mut self,
        session: &mut Session,
        input: Input,
        line: &mut Line,
    ) -> Result<(), Miss> {
        let wrong = |why: &dyn std::fmt::Display| Miss::Wrong(why.to_string());
        session.handle(input, now()).map_err(|v| wrong(&v))?;
        while let Some(effect) = session.poll() {
            if let Effect::Send(message) = effect {
                self.course.sent += line.say(&message).await?;
                continue;
            }
            if let Effect::Close(why) = effect {
                return Err(if let Closing::Busy(ms) = why {
                    Miss::Busy(ms)
                } else {
                    Miss::Failed(why.to_string())
                });
            }
            let performed = perform(effect, &self.land.peer, &mut self.away);
            for answer in performed.map_err(|e| wrong(&e))?.answers {
                session.handle(answer, now()).map_err(|v| wrong(&v))?;
            }
        }
        Ok(())
    }
}

/// The class of a call that broke off, as the product has them.
fn missed(error: &ConnectionError) -> Miss {
    let refused = if let ConnectionError::ConnectionClosed(close) = error {
        u64::from(close.error_code) == 0x02
    } else if let ConnectionError::ApplicationClosed(close) = error {
        close.error_code.into_inner() == CLOSE_BUSY
    } else {
        false
    };
    if refused {
        Miss::Refused
    } else {
        Miss::Failed(error.to_string())
    }
}

/// One stream with primed windows.
pub(crate) struct Line {
    send: SendStream,
    receive: RecvStream,
    deflater: Deflater,
    inflater: Inflater,
    buffer: Vec<u8>,
    received: u64,
}

impl Line {
    pub(crate) fn new(send: SendStream, receive: RecvStream) -> Self {
        let mut line = Self {
            send,
            receive,
            deflater: Deflater::default(),
            inflater: Inflater::default(),
            buffer: Vec::new(),
            received: 0,
        };
        let primed = line.deflater.prime(&DICTIONARIES[0]);
        let primed = primed.and_then(|()| line.inflater.prime(&DICTIONARIES[0]));
        primed.expect("a window is primed");
        line
    }

    /// Sends bytes as they are.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.send.write_all(bytes).await.ok()
    }

    pub(crate) async fn say(&mut self, message: &Message) -> Result<u64, Miss> {
        let frame = window::frame(&mut self.deflater, &codec::encode(message));
        let frame = frame.map_err(|e| Miss::Wrong(e.to_string()))?;
        let written = self.send.write_all(&frame).await;
        written.map_err(|e| Miss::Failed(e.to_string()))?;
        Ok(frame.len() as u64)
    }

    /// The next message. May be given up and asked again.
    async fn hear(&mut self) -> Result<Message, Miss> {
        let wrong = |why: String| Miss::Wrong(why);
        loop {
            let framed = window::length(&self.buffer).map_err(|e| wrong(e.to_string()))?;
            if let Some((length, taken)) = framed
                && let Some(frame) = self.buffer.get(taken..taken + length)
            {
                let bytes = self
                    .inflater
                    .message(frame)
                    .map_err(|e| wrong(e.to_string()))?;
                self.buffer.drain(..taken + length);
                return codec::decode(&bytes).map_err(|e| wrong(e.to_string()));
            }
            let mut chunk = [0; 4096];
            let read = self.receive.read(&mut chunk).await;
            let read = read.map_err(|e| Miss::Failed(e.to_string()))?;
            let Some(read) = read else {
                return Err(Miss::Failed("the hub ended the stream".to_owned()));
            };
            self.received += read as u64;
            self.buffer.extend(&chunk[..read]);
        }
    }
}

/// How a village calls: its own certificate, and limits that let thousands live in one process.
pub(crate) fn calling(shown: Arc<rustls::sign::CertifiedKey>) -> quinn::ClientConfig {
    let mut config = line::calling(shown, vec![alpn()]);
    let mut transport = quinn::TransportConfig::default();
    let idle = quinn::IdleTimeout::try_from(Duration::from_secs(120));
    transport
        .max_idle_timeout(idle.ok())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport));
    config
}
