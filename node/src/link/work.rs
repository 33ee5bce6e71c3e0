//! What a session asks of this node, done on a blocking thread.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use cuntong_protocol::{
    sync::{
        Closing, Effect, Input, Met, Peer, Session,
        host::{Performed, look, perform},
    },
    wire::Message,
};

use super::{
    Shared,
    beginning::Came,
    carrier::Connection,
    drive::Event,
    reason::{Failed, Reason},
    stream::Outgoing,
};
use crate::{
    news::Teller,
    store::{Db, Linked, StoreError, Traffic},
};

/// So long a session has the writer to itself: what is left waits behind the others, the desk too.
const TURN_MAX: Duration = Duration::from_millis(10);
/// Scopes whose digests are read in the writer's thread; more are left to a reader.
const DIGESTS_BRIEF: usize = 8;

/// What a session is worked on with.
pub(super) struct Bench {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) out: Outgoing,
    pub(super) teller: Teller,
    pub(super) connection: Connection,
}

/// What a blocking thread did for a session.
#[derive(Default)]
pub(super) struct Work {
    pub(super) events: Vec<Event>,
    pub(super) controls_changed: bool,
    pub(super) closing: Option<Closing>,
    pub(super) fault: Option<Failed>,
    /// The minor version of a peer that has just said who it is.
    pub(super) met_since: Option<u16>,
    /// The session itself, unless a fault took it.
    pub(super) session: Option<Session>,
}

/// A session, and what it has not been told yet.
struct Turn {
    session: Session,
    inputs: VecDeque<Input>,
    /// Wanted, but not in the thread that wrote what came before it.
    next: Option<Effect>,
}

impl Turn {
    /// The next effect; when there is none, that of the next input.
    fn poll(&mut self, bench: &Bench) -> Option<Effect> {
        loop {
            if let Some(effect) = self.next.take().or_else(|| self.session.poll()) {
                return Some(effect);
            }
            let input = self.inputs.pop_front()?;
            self.tell(input, bench);
        }
    }

    fn tell(&mut self, input: Input, bench: &Bench) {
        // A violation is told by the session itself: the next effect closes it.
        let _violation = self.session.handle(input, bench.shared.parts.clock.now());
    }
}

/// What was done in one transaction: none of it is told before it is durable.
struct Round {
    turn: Turn,
    bench: Bench,
    said: Vec<Message>,
    news: Vec<Input>,
    events: Vec<Event>,
    met_since: Option<u16>,
    closing: Option<Closing>,
    /// What failed after all that; nothing of it was kept.
    fault: Option<StoreError>,
}

impl Work {
    /// Gives a session these inputs and does effects until it wants nothing more.
    pub(super) fn of(session: Session, inputs: Vec<Input>, bench: Bench) -> Self {
        let turn = Turn {
            session,
            inputs: inputs.into(),
            next: None,
        };
        let mut work = Self::default();
        match work.go_on(turn, bench) {
            Ok(session) => work.session = Some(session),
            Err(error) => work.fault = Some(failed(&error)),
        }
        work
    }

    fn go_on(&mut self, mut turn: Turn, mut bench: Bench) -> Result<Session, StoreError> {
        while let Some(effect) = turn.poll(&bench) {
            if let Effect::Send(message) = effect {
                bench.out.send(&message);
                continue;
            }
            if let Effect::Close(closing) = effect {
                self.closing = Some(closing);
            } else if is_long(&effect) || effect.only_reads() {
                let done = read(effect, &bench)?;
                self.tell(done.news, &bench);
                for answer in done.answers {
                    turn.tell(answer, &bench);
                }
            } else {
                turn.next = Some(effect);
                (turn, bench) = self.write(turn, bench)?;
            }
            if self.closing.is_some() {
                break;
            }
        }
        Ok(turn.session)
    }

    /// Goes on in the writer's thread, in one transaction, as far as it is short work.
    fn write(&mut self, turn: Turn, bench: Bench) -> Result<(Turn, Bench), StoreError> {
        let shared = bench.shared.clone();
        let round = Round::new(turn, bench);
        let done = shared.parts.store.write(move |db| round.go(db))?;
        for message in &done.said {
            done.bench.out.send(message);
        }
        self.tell(done.news, &done.bench);
        self.events.extend(done.events);
        self.met_since = self.met_since.or(done.met_since);
        self.closing = done.closing;
        match done.fault {
            Some(error) => Err(error),
            None => Ok((done.turn, done.bench)),
        }
    }

    fn tell(&mut self, mut news: Vec<Input>, bench: &Bench) {
        self.controls_changed |= news.contains(&Input::ControlsChanged);
        // What became durable is told by the store itself, whoever wrote it.
        news.retain(|input| !matches!(input, Input::Committed(_)));
        bench.shared.parts.news.tell(bench.teller, news);
    }
}

impl Round {
    fn new(turn: Turn, bench: Bench) -> Self {
        Self {
            turn,
            bench,
            said: Vec::new(),
            news: Vec::new(),
            events: Vec::new(),
            met_since: None,
            closing: None,
            fault: None,
        }
    }

    /// Effects, until one is a reader's work, the time is up, or there are none. One that fails ends
    /// the session, but not what was done before it: that would fail with it at every call.
    fn go(mut self, db: &mut Db) -> Result<Self, StoreError> {
        let began = Instant::now();
        while began.elapsed() < TURN_MAX
            && let Some(effect) = self.turn.poll(&self.bench)
        {
            if let Effect::Send(message) = effect {
                self.said.push(message);
                continue;
            }
            if let Effect::Close(closing) = effect {
                self.closing = Some(closing);
                break;
            }
            if is_long(&effect) {
                self.turn.next = Some(effect);
                break;
            }
            let told = self.events.len();
            self.note(&effect);
            match db.transact(|db| self.perform(effect, db)) {
                Ok(done) => {
                    self.news.extend(done.news);
                    for answer in done.answers {
                        self.turn.tell(answer, &self.bench);
                    }
                }
                Err(error) => {
                    self.events.truncate(told);
                    self.fault = Some(error);
                    break;
                }
            }
        }
        Ok(self)
    }

    fn perform(&self, effect: Effect, db: &mut Db) -> Result<Performed, StoreError> {
        let now = self.bench.shared.parts.clock.now();
        let traffic = if matches!(effect, Effect::Settled(_)) {
            self.bench.connection.traffic()
        } else {
            Traffic::default()
        };
        perform(effect, &self.bench.peer, &mut Linked { db, now, traffic })
    }

    fn note(&mut self, effect: &Effect) {
        if let Effect::TakeSnap(given) = effect {
            self.events.push(Event::Came(Came {
                documents: given.sheets.len() as u64,
                left: given.left,
                bytes: self.bench.connection.traffic().down,
            }));
        }
        if let Effect::Settled(settled) = effect {
            self.events.push(Event::Settled(settled.clone()));
        }
        if let Effect::Met(Met { time, version, .. }) = effect {
            self.met_since = Some(version.minor);
            self.events.push(Event::Met);
            if self.bench.peer.upstream {
                self.bench.shared.parts.clock.heard(*time);
            }
        }
    }
}

/// Whether the writer must not be held up by it: it reads, and may read much.
fn is_long(effect: &Effect) -> bool {
    if let Effect::Digest(scopes) = effect {
        return scopes.len() > DIGESTS_BRIEF;
    }
    let brief = matches!(effect, Effect::GiveControls { .. });
    matches!(effect, Effect::ReadSketch(_)) || effect.only_reads() && !brief
}

/// Does one effect that only reads, on a reader.
fn read(effect: Effect, bench: &Bench) -> Result<Performed, StoreError> {
    let (peer, now) = (bench.peer.clone(), bench.shared.parts.clock.now());
    let store = &bench.shared.parts.store;
    if let Effect::ReadSketch(ask) = effect {
        let drawn = store.read(move |db| db.sketch(peer.node, &ask, now))?;
        return Ok(Performed::answer(Input::Sketch(drawn)));
    }
    let looked = store.read(move |db| look(effect, &peer, db))?;
    Ok(looked.unwrap_or_default())
}

/// The class of a failing store.
pub(super) fn failed(error: &StoreError) -> Failed {
    let reason = if matches!(error, StoreError::DiskFull) {
        Reason::DiskFull
    } else {
        Reason::HubDown
    };
    Failed::new(reason, error)
}
