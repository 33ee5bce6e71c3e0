//! Runs one session on one connection: frames in and out, effects through the store, news from
//! the other sessions, and the roster asked at each message.

use std::{convert::Infallible, sync::Arc, time::Duration};

use cuntong_protocol::{
    blob::message,
    control::signed::Trust,
    id::NodeId,
    sync::{Closing, Input, Me, Peer, Role, Session, Settled},
    wire::{Message, window::Dictionary},
};
use cuntong_provisioning::judge::{Known, still_listed};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Shared,
    beginning::Came,
    blobs,
    carrier::{Connection, Early, Receiver, Sender},
    limits, live, lock,
    pending::Waiting,
    reason::{Close, Failed, Reason},
    stream::{Outgoing, outgoing, read, write},
    turn::{Queued, in_ms},
    work::{Bench, Work, failed},
};
use crate::news::Hearing;

mod waits;

/// Messages read ahead of the session; the carrier's window holds back the rest.
const READ_AHEAD: usize = 8;
/// What share of the handshake's time early words are waited for.
const EARLY_SHARE: u32 = 3;
/// How long the last words to a peer may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One stream of one connection, and who is at the other end.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) send: Sender,
    pub(super) receive: Receiver,
    pub(super) known: Known,
    pub(super) role: Role,
    /// What stands before the windows of both directions.
    pub(super) dictionary: Option<Dictionary>,
    /// The handshake is not through yet.
    pub(super) early: Option<Early>,
    /// Of a caller: its place among those whose first message is not there yet.
    pub(super) waiting: Option<Waiting>,
}

/// What is told of a session while it runs.
#[derive(Debug)]
pub(super) enum Event {
    /// The peer has spoken: it lets this node in.
    Met,
    /// Documents came ahead of their logs.
    Came(Came),
    /// Both sides agree; again after live traffic.
    Settled(Settled),
    /// From now on nobody waits for anything, or somebody does again.
    Quiet(bool),
}

/// What became of a session.
#[derive(Debug)]
pub(super) enum Ran {
    Ended(Failed),
    /// The peer does not remember the session that words were said early on account of: they are
    /// lost, and the connection stands.
    Forgotten,
}

/// Runs a session to its end; `report` is told of it meanwhile.
pub(super) async fn run(
    shared: &Arc<Shared>,
    mut line: Line,
    report: mpsc::UnboundedSender<Event>,
) -> Ran {
    let (out, queue) = outgoing();
    let connection = line.connection.clone();
    let early = line.early.take();
    let mut driver = match Driver::new(shared, &mut line, out, report) {
        Ok(driver) => driver,
        Err(failed) => {
            connection.close(Close::Fault, "");
            return Ran::Ended(failed);
        }
    };
    let (incoming_sender, mut incoming) = mpsc::channel(READ_AHEAD);
    let reader = tokio::spawn(read(line.receive, line.dictionary.clone(), incoming_sender));
    let writer = tokio::spawn(write(line.send, line.known.node, line.dictionary, queue));
    let heard = early_words(early, &connection, shared);
    let ended = {
        let going = driver.go(&mut incoming);
        tokio::pin!(going, heard);
        tokio::select! {
            Err(ended) = &mut going => Some(ended),
            heard = &mut heard => match heard {
                Ok(true) => {
                    let Err(ended) = going.await;
                    Some(ended)
                }
                Ok(false) => None,
                Err(failed) => Some(Ended { close: Close::Silent, failed }),
            },
        }
    };
    // A call that never got further counts until its connection is closed.
    let _waiting = driver.waiting.take();
    drop(driver);
    reader.abort();
    let Some(ended) = ended else {
        writer.abort();
        // The next stream has the number of this one: a half of this one that is dropped when the
        // next one waits already would take its waker away (quinn keeps them by number).
        let (_read, _written) = tokio::join!(reader, writer);
        tracing::info!(peer = %line.known.node, "early words were not heard");
        return Ran::Forgotten;
    };
    // What was said last (BUSY, UPGRADE, a refusal) should still arrive.
    let _late = tokio::time::timeout(LAST_WORDS, writer).await;
    connection.close(ended.close, "");
    tracing::info!(
        peer = %line.known.node,
        close = ended.close.word(),
        detail = %ended.failed.detail,
        "session ended"
    );
    Ran::Ended(ended.failed)
}

/// Whether what is said before the handshake is through is heard; true at once when nothing is.
async fn early_words(
    early: Option<Early>,
    connection: &Connection,
    shared: &Shared,
) -> Result<bool, Failed> {
    // Shorter than a handshake from nothing: where the way is shut now, another carrier waits.
    let within = shared.parts.config.handshake / EARLY_SHARE;
    let doubt = shared.clock_in_doubt();
    match early {
        Some(early) => early.heard(connection, within, doubt).await,
        None => Ok(true),
    }
}

/// How a session ended: what the peer is told, and what this node makes of it.
struct Ended {
    close: Close,
    failed: Failed,
}

impl Ended {
    fn new(close: Close, reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            close,
            failed: Failed::new(reason, detail),
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    /// Away only while a blocking thread works on it.
    session: Option<Session>,
    own: NodeId,
    peer: Peer,
    role: Role,
    spki: [u8; 32],
    trust: Arc<Trust>,
    news: Hearing,
    out: Outgoing,
    /// What came after the messages at work is none.
    garbage: Option<String>,
    /// Since when the peer takes less than is said to it.
    full: Option<Instant>,
    /// Nobody waited for anything when that was told last.
    quiet: bool,
    report: mpsc::UnboundedSender<Event>,
    connection: Connection,
    /// Until the caller's first message.
    waiting: Option<Waiting>,
    /// From then on.
    place: Option<live::Place>,
    /// Attached files, once the peer has said that it speaks of them; dropped with the session.
    files: Option<tokio::task::JoinSet<()>>,
}

/// What the reader of the stream brings.
type Incoming = mpsc::Receiver<Result<Message, String>>;

impl Driver {
    fn new(
        shared: &Arc<Shared>,
        line: &mut Line,
        out: Outgoing,
        report: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, Failed> {
        let parts = &shared.parts;
        let (known, role) = (&line.known, line.role);
        // Listening first: what is told from now on is not missed, what was is in the store.
        let mut news = parts.news.listen();
        let trust = shared.fresh_trust();
        let writer = parts.store.writer().map_err(|e| failed(&e))?;
        let places = trust.places();
        let own = trust
            .node(writer.node)
            .ok_or_else(|| Failed::new(Reason::Rejected, "the roster does not list this node"))?;
        let peer = Peer {
            node: known.node,
            site: known.site,
            level: known.level,
            upstream: places.above(own.site).contains(&known.site),
        };
        let me = Me {
            writer,
            boot: parts.boot,
            product: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mine = shared.reads(&trust, own.site);
        let theirs = shared.reads(&trust, peer.site);
        let mut session = Session::new(role, me, peer.clone(), mine, &theirs);
        if line.dictionary.is_some() {
            session = session.reads_packs();
        }
        if role == Role::Callee {
            // It only begins to wait: no thread is needed for that, and none is free in a rush.
            let _nothing_said = session.handle(Input::Connected, parts.clock.now());
        }
        news.of(session.shared(), session.peer().upstream);
        Ok(Self {
            session: Some(session),
            own: own.node,
            peer,
            role,
            spki: known.spki,
            news,
            trust,
            out,
            garbage: None,
            full: None,
            quiet: false,
            report,
            connection: line.connection.clone(),
            waiting: line.waiting.take(),
            place: None,
            files: None,
            shared: shared.clone(),
        })
    }

    async fn go(&mut self, incoming: &mut Incoming) -> Result<Infallible, Ended> {
        let mut inputs = match self.role {
            Role::Caller => vec![Input::Connected],
            Role::Callee => Vec::new(),
        };
        loop {
            while !inputs.is_empty() {
                inputs = self.pump(inputs).await?;
            }
            inputs = self.next(incoming).await?;
            self.take_more(incoming, &mut inputs).await?;
        }
    }

    /// What the peer has said meanwhile is worked on in the same go.
    async fn take_more(
        &mut self,
        incoming: &mut Incoming,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Ended> {
        while inputs.len() < READ_AHEAD
            && matches!(inputs.last(), Some(Input::Message(_)))
            && !self.out.is_full()
            && let Ok(came) = incoming.try_recv()
        {
            match came {
                Ok(message) => inputs.extend(self.came(message).await?),
                Err(garbage) => {
                    // What came before it counts.
                    self.garbage = Some(garbage);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for what happens next. While too much waits to be sent nothing is taken in from the
    /// peer: every answer would only join the queue.
    async fn next(&mut self, incoming: &mut Incoming) -> Result<Vec<Input>, Ended> {
        if let Some(garbage) = self.garbage.take() {
            return Err(Ended::new(Close::Violation, Reason::Version, garbage));
        }
        let stop = self.shared.parts.stop.clone();
        let full = self.out.is_full();
        self.full = full.then(|| self.full.unwrap_or_else(Instant::now));
        let (due, room, patience) = (self.due(), self.out.room(), self.patience());
        let leave = self.leave();
        tokio::select! {
            came = incoming.recv(), if !full => match came {
                Some(Ok(message)) => self.came(message).await,
                Some(Err(garbage)) => {
                    Err(Ended::new(Close::Violation, Reason::Version, garbage))
                }
                None => Err(self.hung_up().await),
            },
            () = room, if full => Ok(Vec::new()),
            told = self.news.next() => match told {
                Some(inputs) => self.hear(inputs),
                None => Err(Ended::new(Close::Stop, Reason::Busy, "fell behind the news")),
            },
            () = due => Ok(vec![Input::Tick]),
            () = leave => Ok(vec![Input::Busy(in_ms(limits::LET_GO))]),
            what = patience => Err(Ended::new(Close::Silent, Reason::HubDown, what)),
            () = stop.stopped() => Ok(vec![Input::Stop]),
        }
    }

    /// A message of the peer. With its first one a caller takes its node's place.
    async fn came(&mut self, message: Message) -> Result<Vec<Input>, Ended> {
        self.unwanted()?;
        if let (Role::Callee, None, Message::Hello(hello)) = (self.role, &self.place, &message) {
            if let Some(put_off) = self.put_off() {
                return Err(put_off);
            }
            let (node, connection) = (self.peer.node, &self.connection);
            self.place = live::claim(&self.shared, node, hello.boot, connection).await;
            if self.place.is_none() {
                return Err(Ended::new(Close::Clone, Reason::Clone, "clone"));
            }
            self.waiting = None;
        }
        Ok(vec![Input::Message(message)])
    }

    /// Gives inputs and does effects until the session wants nothing more, on a blocking thread.
    async fn work(&mut self, inputs: Vec<Input>) -> Result<Work, Ended> {
        let lost = |why: &dyn std::fmt::Display| Ended::new(Close::Fault, Reason::HubDown, why);
        let session = self
            .session
            .take()
            .ok_or_else(|| lost(&"a session was lost"))?;
        let with = Bench {
            shared: self.shared.clone(),
            peer: self.peer.clone(),
            out: self.out.clone(),
            teller: self.news.teller(),
            connection: self.connection.clone(),
        };
        // Held while the thread works; the others wait in turn.
        let queued = Queued::at(&self.shared.turns);
        let hand = self.shared.hands.clone().acquire_owned().await;
        drop(queued);
        let worked = tokio::task::spawn_blocking(move || {
            #[cfg(feature = "faults")]
            let heard = super::faults::kinds(&inputs);
            let worked = Work::of(session, inputs, with);
            #[cfg(feature = "faults")]
            for kind in heard {
                super::faults::at(super::faults::Moment::Done, kind);
            }
            drop(hand);
            worked
        });
        let worked = worked.await;
        lock(&self.shared.turns).ends(Instant::now());
        worked.map_err(|error| lost(&error))
    }

    /// The same; answers what the session must hear of by that.
    async fn pump(&mut self, inputs: Vec<Input>) -> Result<Vec<Input>, Ended> {
        let mut work = self.work(inputs).await?;
        self.session = work.session.take();
        let quiet = self
            .session
            .as_ref()
            .is_some_and(|s| s.deadline().is_none());
        if quiet != self.quiet {
            self.quiet = quiet;
            if let Some(place) = &self.place {
                place.quiet(quiet);
            }
            work.events.push(Event::Quiet(quiet));
        }
        if work
            .met_since
            .is_some_and(|minor| minor >= message::BLOBS_SINCE)
            && let (Some(session), None) = (&self.session, &self.files)
        {
            let scopes = session.shared().collect();
            self.files = Some(blobs::start(
                &self.shared,
                &self.connection,
                &self.peer,
                scopes,
            ));
        }
        for event in work.events {
            let _not_interested = self.report.send(event);
        }
        if let Some(failed) = work.fault {
            return Err(Ended {
                close: Close::Fault,
                failed,
            });
        }
        if let Some(closing) = work.closing {
            return Err(end_of(&closing));
        }
        if work.controls_changed {
            return self.judge_again();
        }
        Ok(Vec::new())
    }

    /// The county's word changed: what the two nodes may read by the newest, if the peer is still
    /// let in at all.
    fn judge_again(&mut self) -> Result<Vec<Input>, Ended> {
        self.trust = self.shared.fresh_trust();
        self.unwanted()?;
        Ok(self.scopes().into_iter().collect())
    }

    /// News of another session or of this desk.
    fn hear(&mut self, mut inputs: Vec<Input>) -> Result<Vec<Input>, Ended> {
        if inputs.contains(&Input::ControlsChanged) {
            inputs.extend(self.judge_again()?);
        }
        Ok(inputs)
    }

    /// What the two nodes may read by the newest roster and places.
    fn scopes(&self) -> Option<Input> {
        let own = self.trust.node(self.own)?;
        Some(Input::Scopes {
            mine: self.shared.reads(&self.trust, own.site),
            peer: self.shared.reads(&self.trust, self.peer.site),
        })
    }

    /// The end, when the roster does not list the peer any more.
    fn unwanted(&self) -> Result<(), Ended> {
        still_listed(&self.spki, &self.trust)
            .map(drop)
            .map_err(|refused| {
                let why = refused.word();
                tracing::warn!(peer = %self.peer.node, why, "dropped by the roster");
                Ended::new(Close::Unwanted, Reason::Rejected, why)
            })
    }

    /// The peer's half of the stream ended: why the connection did, if it did.
    async fn hung_up(&self) -> Ended {
        let doubt = self.shared.clock_in_doubt();
        let closed = tokio::time::timeout(LAST_WORDS, self.connection.closed(doubt)).await;
        match closed {
            Ok(failed) => Ended {
                close: Close::Stop,
                failed,
            },
            Err(_open) => Ended::new(Close::Stop, Reason::HubDown, "the peer ended the session"),
        }
    }
}

fn end_of(closing: &Closing) -> Ended {
    let (close, reason) = match closing {
        Closing::Stopped | Closing::Again => (Close::Stop, Reason::HubDown),
        Closing::Silent(_) => (Close::Silent, Reason::HubDown),
        Closing::Busy(_) => (Close::Stop, Reason::Busy),
        Closing::ToldBusy(_) => (Close::Busy, Reason::Busy),
        Closing::Version(_) => (Close::Version, Reason::Version),
        Closing::Violation(_) => (Close::Violation, Reason::Rejected),
    };
    let mut ended = Ended::new(close, reason, closing);
    if let Closing::Busy(ms) = closing {
        ended.failed.wait_ms = Some(*ms);
    }
    ended
}
