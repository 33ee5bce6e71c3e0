//! What a session asks of this node, done on a blocking thread.

use cuntong_protocol::sync::{
    Closing, Effect, Input, Met, Peer, Session,
    host::{Performed, look, perform},
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
    store::{Linked, StoreError, Traffic},
};

/// What a blocking thread did for a session.
#[derive(Default)]
pub(super) struct Work {
    pub(super) events: Vec<Event>,
    pub(super) controls_changed: bool,
    pub(super) closing: Option<Closing>,
    pub(super) fault: Option<Failed>,
    /// The minor version of a peer that has just said who it is.
    pub(super) met_since: Option<u16>,
}

impl Work {
    /// Does effects until the session wants nothing more.
    pub(super) fn go_on(
        &mut self,
        session: &mut Session,
        shared: &Shared,
        peer: &Peer,
        out: &Outgoing,
        teller: Teller,
        connection: &Connection,
    ) {
        let clock = &shared.parts.clock;
        while let Some(effect) = session.poll() {
            if let Effect::Send(message) = effect {
                out.send(&message);
                continue;
            }
            if let Effect::Close(closing) = effect {
                self.closing = Some(closing);
                return;
            }
            self.note(&effect, shared, peer, connection);
            match done(effect, shared, peer, connection) {
                Ok(done) => {
                    self.tell(done.news, shared, teller);
                    for answer in done.answers {
                        let _violation = session.handle(answer, clock.now());
                    }
                }
                Err(error) => {
                    self.fault = Some(failed(&error));
                    return;
                }
            }
        }
    }

    fn tell(&mut self, mut news: Vec<Input>, shared: &Shared, teller: Teller) {
        self.controls_changed |= news.contains(&Input::ControlsChanged);
        // What became durable is told by the store itself, whoever wrote it.
        news.retain(|input| !matches!(input, Input::Committed(_)));
        shared.parts.news.tell(teller, news);
    }

    fn note(&mut self, effect: &Effect, shared: &Shared, peer: &Peer, connection: &Connection) {
        if let Effect::TakeSnap(given) = effect {
            self.events.push(Event::Came(Came {
                documents: given.sheets.len() as u64,
                left: given.left,
                bytes: connection.traffic().down,
            }));
        }
        if let Effect::Settled(settled) = effect {
            self.events.push(Event::Settled(settled.clone()));
        }
        if let Effect::Met(Met { time, version, .. }) = effect {
            self.met_since = Some(version.minor);
            self.events.push(Event::Met);
            if peer.upstream {
                shared.parts.clock.heard(*time);
            }
        }
    }
}

/// Does one effect: in the writer's thread what writes, on a reader what only reads.
fn done(
    effect: Effect,
    shared: &Shared,
    peer: &Peer,
    connection: &Connection,
) -> Result<Performed, StoreError> {
    let (peer, now) = (peer.clone(), shared.parts.clock.now());
    let store = &shared.parts.store;
    if let Effect::ReadSketch(ask) = effect {
        let drawn = store.read(move |db| db.sketch(peer.node, &ask, now))?;
        return Ok(Performed::answer(Input::Sketch(drawn)));
    }
    if effect.only_reads() {
        let looked = store.read(move |db| look(effect, &peer, db))?;
        return Ok(looked.unwrap_or_default());
    }
    let traffic = if matches!(effect, Effect::Settled(_)) {
        connection.traffic()
    } else {
        Traffic::default()
    };
    store.write(move |db| perform(effect, &peer, &mut Linked { db, now, traffic }))
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
