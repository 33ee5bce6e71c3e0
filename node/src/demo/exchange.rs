//! Sessions between stores of one process: the same machine and the same store as over QUIC,
//! without the wire.

use cuntong_protocol::{
    policy,
    role::Level,
    sync::{Effect, Input, Me, Peer, Role, Session, host::perform},
    time::Millis,
    wire::Message,
};

use crate::{
    exit::Failure,
    store::{Linked, Store},
};

/// Messages of one session at most; more means that the two talk in circles.
const MESSAGES_MAX: usize = 1_000_000;

struct End<'a> {
    store: &'a Store,
    session: Session,
    settled: bool,
}

/// One whole session: `lower` calls `upper`.
///
/// # Errors
/// A failing store, or a session that does not come to agreement.
pub fn exchange(lower: &Store, upper: &Store, now: Millis) -> Result<(), Failure> {
    exchange_heard(lower, upper, now, &mut |_upwards, _message| {})
}

/// The same; `heard` is shown each message and whether it went up.
///
/// # Errors
/// As [`exchange`].
pub fn exchange_heard(
    lower: &Store,
    upper: &Store,
    now: Millis,
    heard: &mut dyn FnMut(bool, &Message),
) -> Result<(), Failure> {
    let mut ends = [
        end(lower, upper, Role::Caller)?,
        end(upper, lower, Role::Callee)?,
    ];
    let mut inputs: [Vec<Input>; 2] = [vec![Input::Connected], vec![Input::Connected]];
    for _message in 0..MESSAGES_MAX {
        let mut moved = false;
        for side in 0..2 {
            let given = std::mem::take(&mut inputs[side]);
            moved |= !given.is_empty();
            let sent = ends[side].work(given, now)?;
            for message in &sent {
                heard(side == 0, message);
            }
            inputs[1 - side].extend(sent.into_iter().map(Input::Message));
        }
        if !moved {
            break;
        }
    }
    if ends.iter().all(|end| end.settled) {
        Ok(())
    } else {
        Err(Failure::fault("two sample nodes do not come to agreement"))
    }
}

impl End<'_> {
    fn work(&mut self, inputs: Vec<Input>, now: Millis) -> Result<Vec<Message>, Failure> {
        let mut sent = Vec::new();
        for input in inputs {
            self.session.handle(input, now).map_err(Failure::fault)?;
            while let Some(effect) = self.session.poll() {
                if let Effect::Send(message) = effect {
                    sent.push(message);
                    continue;
                }
                if let Effect::Close(why) = effect {
                    return Err(Failure::fault(why));
                }
                self.settled |= matches!(effect, Effect::Settled(_));
                let peer = self.session.peer().clone();
                let done = self
                    .store
                    .write(move |db| perform(effect, &peer, &mut Linked::new(db, now)))?;
                for answer in done.answers {
                    self.session.handle(answer, now).map_err(Failure::fault)?;
                }
            }
        }
        Ok(sent)
    }
}

fn end<'a>(store: &'a Store, other: &Store, role: Role) -> Result<End<'a>, Failure> {
    let (trust, writer, site, boot) = store.read(|db| {
        Ok((
            db.shared_trust()?,
            db.identity()?.writer,
            db.site()?,
            db.boot(),
        ))
    })?;
    let (node, theirs) = other
        .read(|db| Ok((db.identity()?.node, db.site()?)))
        .map_err(Failure::fault)?;
    let places = trust.places();
    let peer = Peer {
        node,
        site: theirs,
        level: places
            .site(theirs)
            .map_or(Level::Village, |place| place.level),
        upstream: places.above(site).contains(&theirs),
    };
    let me = Me {
        writer,
        boot,
        product: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mine = policy::scopes_read_by(places, site);
    let shared = policy::scopes_read_by(places, theirs);
    Ok(End {
        store,
        session: Session::new(role, me, peer, mine, &shared).reads_packs(),
        settled: false,
    })
}
