//! Two stores and the session between them, driven as links drive it.

use std::collections::VecDeque;

use cuntong_protocol::{
    control::{Body, NodeStatus},
    id::{ChangeHash, Kind},
    limits,
    log::{Entry, LogId, Seal},
    policy,
    sync::{
        Effect, Input, Me, Peer, Role, Session, Violation,
        host::{Performed, perform},
    },
    time::Millis,
    wire::Message,
};

use crate::store::{
    Db, Held, Linked,
    fixture::{
        County, HUB, NOW, SHIQIAO, TOWN, acts, assert_equal, case, log_case, opening, roster_with,
        send, write,
    },
    log::EntryState,
};

/// One end: a store and its session.
struct End<'a> {
    db: &'a mut Db,
    session: Session,
    coming: VecDeque<Input>,
}

fn end<'a>(county: &County, db: &'a mut Db, other: &Db, role: Role) -> End<'a> {
    let places = county.trust.places();
    let (mine, theirs) = (db.site().unwrap(), other.site().unwrap());
    let me = Me {
        writer: db.identity().unwrap().writer,
        boot: db.boot(),
        product: "test".into(),
    };
    let peer = Peer {
        node: other.identity().unwrap().node,
        site: theirs,
        level: places.site(theirs).unwrap().level,
        upstream: role == Role::Caller,
    };
    let session = Session::new(
        role,
        me,
        peer,
        policy::scopes_read_by(places, mine),
        &policy::scopes_read_by(places, theirs),
    )
    .reads_packs();
    End {
        db,
        session,
        coming: VecDeque::from([Input::Connected]),
    }
}

/// Gives an end what came, and carries what it says over.
fn turn(at: &mut End<'_>, to: &mut VecDeque<Input>, now: Millis) -> bool {
    let Some(input) = at.coming.pop_front() else {
        return false;
    };
    match at.session.handle(input, now) {
        // What was on its way when this end hung up.
        Err(Violation::Closed) => return true,
        done => done.unwrap(),
    }
    while let Some(effect) = at.session.poll() {
        if let Effect::Send(message) = effect {
            to.push_back(Input::Message(message));
            continue;
        }
        if matches!(effect, Effect::Close(_)) {
            continue;
        }
        let peer = at.session.peer().clone();
        let mut linked = Linked::new(at.db, now);
        let Performed { answers, .. } = perform(effect, &peer, &mut linked).unwrap();
        at.coming.extend(answers);
    }
    true
}

/// One session from greeting to rest.
pub(super) fn meet(county: &County, lower: &mut Db, upper: &mut Db) {
    meet_at(county, lower, upper, NOW);
}

pub(super) fn meet_at(county: &County, lower: &mut Db, upper: &mut Db, now: Millis) {
    let from = limits::SNAP_ENTRIES_MIN;
    run(
        county,
        lower,
        upper,
        (now, from),
        &mut |_lower, _message| true,
    );
}

/// What the upper end said, as far as a snapshot's tests ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    Snap(Vec<u8>),
    Pack,
    Push,
    Other,
}

impl Sent {
    fn of(message: &Message) -> Self {
        if let Message::Snap(snap) = message {
            Self::Snap(snap.reached.0.clone())
        } else if matches!(message, Message::Pack(_)) {
            Self::Pack
        } else if matches!(message, Message::Push(_)) {
            Self::Push
        } else {
            Self::Other
        }
    }
}

/// A session in which documents come first for who lacks `from` entries; it goes on while `on`
/// says so of each message from above, shown with the store that is to hear it.
pub(super) fn meet_until(
    county: &County,
    lower: &mut Db,
    upper: &mut Db,
    from: u64,
    on: &mut dyn FnMut(&mut Db, Sent) -> bool,
) {
    run(county, lower, upper, (NOW, from), &mut |lower, message| {
        on(lower, Sent::of(message))
    });
}

fn run(
    county: &County,
    lower: &mut Db,
    upper: &mut Db,
    (now, from): (Millis, u64),
    on: &mut dyn FnMut(&mut Db, &Message) -> bool,
) {
    let callee = end(county, upper, lower, Role::Callee);
    let mut callee_session = callee.session.snapshots_from(from);
    let mut callee_coming = callee.coming;
    let mut caller = end(county, lower, upper, Role::Caller);
    for _step in 0..10_000 {
        if let Some(Input::Message(message)) = caller.coming.front()
            && !on(caller.db, message)
        {
            return;
        }
        let mut up = End {
            db: upper,
            session: callee_session,
            coming: callee_coming,
        };
        let moved = turn(&mut caller, &mut up.coming, now) | turn(&mut up, &mut caller.coming, now);
        (callee_session, callee_coming) = (up.session, up.coming);
        if !moved {
            return;
        }
    }
    panic!("the session does not come to rest");
}

#[test]
fn a_case_goes_up_its_handling_comes_down_and_the_countys_receipt_is_carried() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    let of = case(SHIQIAO, 1);
    write(&mut village, of.doc(Kind::Application), "张三");
    meet(&county, &mut village, &mut town);
    assert_eq!(village.custody(of).unwrap(), Held::Township(NOW));
    meet(&county, &mut town, &mut hub);
    write(&mut hub, of.doc(Kind::Handling), "准予");
    meet(&county, &mut town, &mut hub);
    // The village never speaks to the hub, and yet holds its receipt.
    meet(&county, &mut village, &mut town);
    assert_eq!(village.custody(of).unwrap(), Held::County(NOW));
    assert_eq!(village.waiting().unwrap().count, 0);
    for db in [&mut village, &mut town] {
        assert_equal(db, &hub);
        assert!(db.verify().unwrap().is_sound());
    }
    // Of the village the hub knows what the township told.
    let via: Vec<_> = hub.peers().unwrap().into_iter().map(|n| n.via).collect();
    assert_eq!(via.len(), 2);
    assert_eq!(via.iter().flatten().count(), 1);
    assert_eq!(village.exchanges(9).unwrap()[0].result, "settled");
}

/// Puts an entry into the village's log that its store would never write.
fn poison(village: &mut Db) {
    let doc = case(SHIQIAO, 9).doc(Kind::Application);
    let identity = village.identity().unwrap().clone();
    let log = LogId {
        scope: doc.scope().unwrap(),
        writer: identity.writer,
    };
    let row = village.log_row(&log).unwrap();
    let head = village.log_head(&log).unwrap();
    let entry = Entry {
        doc,
        hash: ChangeHash([7; 32]),
        body: Some(vec![1, 2, 3]),
    };
    let head = village
        .append(row, head, &entry, EntryState::Waiting, NOW)
        .unwrap();
    let seal = Seal::sign(&log, head, NOW, &identity.sign);
    village.put_seal(row, &seal).unwrap();
    village.set_head(row, log, head).unwrap();
}

#[test]
fn a_refusal_reaches_its_author_through_the_relay_and_everything_else_goes_on() {
    let county = County::new();
    let (mut village, mut town, mut hub) =
        (county.node(SHIQIAO), county.node(TOWN), county.node(HUB));
    log_case(&mut village, 1, "张三");
    poison(&mut village);
    log_case(&mut village, 2, "李四");
    let before = village.identity().unwrap().writer.epoch;
    meet(&county, &mut village, &mut town);
    meet(&county, &mut town, &mut hub);
    assert_equal(&town, &hub);
    assert_eq!(hub.counts().unwrap(), (2, 3));
    let tray = village.rejections(None, 10).unwrap();
    assert_eq!(tray.len(), 1);
    assert!(!tray[0].made);
    assert!(village.identity().unwrap().writer.epoch > before);
    log_case(&mut village, 1, "张三丰");
    meet(&county, &mut village, &mut hub);
    meet(&county, &mut town, &mut hub);
    assert_equal(&village, &hub);
    assert_equal(&town, &hub);
}

#[test]
fn a_machine_that_was_suspended_is_heard_again_once_it_is_reinstated() {
    let mut county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    let doc = case(SHIQIAO, 1).doc(Kind::Application);
    write(&mut village, doc, "一");
    meet(&county, &mut village, &mut hub);
    write(&mut village, doc, "二");
    let suspended = county.publish(&Body::Roster(roster_with(SHIQIAO, NodeStatus::Suspended)));
    hub.take_control(&suspended, NOW).unwrap();
    meet(&county, &mut village, &mut hub);
    assert_eq!(hub.counts().unwrap(), (1, 1));
    let reinstated = county.publish(&Body::Roster(roster_with(SHIQIAO, NodeStatus::Active)));
    hub.take_control(&reinstated, NOW).unwrap();
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
}

#[test]
fn documents_that_differ_under_equal_vectors_are_found_and_mended() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    for n in 1..6 {
        log_case(&mut village, n, "张三");
    }
    meet(&county, &mut village, &mut hub);
    let lost = case(SHIQIAO, 3).doc(Kind::Application);
    hub.connection()
        .execute(
            "UPDATE entry SET state = 2, body = NULL WHERE doc = ?1",
            [&lost.0[..]],
        )
        .unwrap();
    hub.rebuild(NOW).unwrap();
    meet(&county, &mut village, &mut hub);
    assert_equal(&village, &hub);
    let repaired: u64 = hub.exchanges(1).unwrap()[0].repaired;
    assert!(repaired > 0);
}

#[test]
fn a_restored_node_meets_its_past_and_both_end_with_every_act_once() {
    let county = County::new();
    let (mut village, mut hub) = (county.node(SHIQIAO), county.node(HUB));
    let doc = |n| case(SHIQIAO, n).doc(Kind::Application);
    write(&mut village, doc(1), "一");
    meet(&county, &mut village, &mut hub);
    let mut backup = rusqlite::Connection::open_in_memory().unwrap();
    village.copy_into(&mut backup).unwrap();
    write(&mut village, doc(1), "二");
    write(&mut village, doc(2), "李四");
    meet(&county, &mut village, &mut hub);
    drop(village);
    // Restored in such a way that nothing shows it: the same nonce, a clean marker.
    let mut village = Db::open(backup, opening(SHIQIAO, 1)).unwrap();
    go_back_to_epoch_one(&mut village);
    write(&mut village, doc(1), "二号");
    for _meeting in 0..3 {
        meet(&county, &mut village, &mut hub);
    }
    assert_equal(&village, &hub);
    assert!(village.verify().unwrap().is_sound());
    let acts = |n| acts(&hub, doc(n));
    assert_eq!((acts(1), acts(2)), (3, 1));
    assert_eq!(village.orphans().unwrap(), 0);
    send(&village, &mut hub, false);
    assert_equal(&village, &hub);
}

/// Makes a store believe that nothing happened to it.
fn go_back_to_epoch_one(db: &mut Db) {
    db.set_meta("epoch", &1_u32.to_be_bytes()).unwrap();
    db.load_state().unwrap();
    assert_eq!(db.identity().unwrap().writer.epoch, 1);
}
