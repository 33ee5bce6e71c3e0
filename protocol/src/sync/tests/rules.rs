//! What a session does at once: greetings, deadlines, what a peer may not do.

use super::*;
use crate::{
    id::{NodeId, SiteId},
    log::{Entry, Seal},
    wire::{Hello, Welcome, Whole, pack::Pack},
};

pub(super) const SCOPE: Scope = Scope {
    kind: Kind::Application,
    site: SiteId(3),
};

pub(super) fn writer(n: u8) -> Writer {
    Writer {
        node: NodeId([n; 8]),
        epoch: 1,
    }
}

pub(super) fn begun(role: Role) -> Session {
    let me = Me {
        writer: writer(1),
        boot: [1; 8],
        product: "试".into(),
    };
    let peer = Peer {
        node: NodeId([2; 8]),
        site: SiteId(2),
        level: Level::Township,
        upstream: role == Role::Caller,
    };
    let mut session = Session::new(role, me, peer, vec![SCOPE], &[SCOPE]);
    session.handle(Input::Connected, Millis(1_000)).unwrap();
    session
}

pub(super) fn hello(version: Version, node: u8) -> Input {
    Input::Message(Message::Hello(Hello {
        version,
        writer: writer(node),
        boot: [2; 8],
        vector: Vec::new(),
        controls: Vec::new(),
        time: Millis(5),
        product: String::new(),
        waiting: (0, 0),
        lacking: Vec::new(),
        since: None,
        parts: None,
        snapshot: None,
    }))
}

pub(super) fn welcome(version: Version) -> Input {
    Input::Message(Message::Welcome(Welcome {
        version,
        writer: writer(2),
        boot: [2; 8],
        vector: Vec::new(),
        controls: Vec::new(),
        time: Millis(5),
        receipts: Vec::new(),
        product: String::new(),
        since: None,
        parts: None,
    }))
}

pub(super) fn effects(session: &mut Session) -> Vec<Effect> {
    std::iter::from_fn(|| session.poll()).collect()
}

fn open(role: Role) -> Session {
    open_to(role, VERSION)
}

/// An open session in which both ends hold these logs.
pub(super) fn opened(role: Role, scope: Scope, vector: Vec<(LogId, LogHead)>) -> Session {
    assert_eq!(scope, SCOPE);
    let now = Millis(1_001);
    let mut session = begun(role);
    let start = Input::Start(Opening {
        vector: vector.clone(),
        ..Opening::default()
    });
    let mut greeting = if role == Role::Callee {
        hello(VERSION, 2)
    } else {
        welcome(VERSION)
    };
    if let Input::Message(Message::Hello(hello)) = &mut greeting {
        hello.vector = vector;
        session.handle(greeting, now).unwrap();
        session.handle(start, now).unwrap();
    } else if let Input::Message(Message::Welcome(welcome)) = &mut greeting {
        welcome.vector = vector;
        session.handle(start, now).unwrap();
        session.handle(greeting, now).unwrap();
    }
    session.handle(Input::Controls(Vec::new()), now).unwrap();
    effects(&mut session);
    session
}

fn open_to(role: Role, version: Version) -> Session {
    let mut session = begun(role);
    let now = Millis(1_001);
    if role == Role::Callee {
        session.handle(hello(version, 2), now).unwrap();
    }
    session
        .handle(Input::Start(Opening::default()), now)
        .unwrap();
    if role == Role::Caller {
        session.handle(welcome(version), now).unwrap();
    }
    session.handle(Input::Controls(Vec::new()), now).unwrap();
    effects(&mut session);
    session
}

fn batch(first: u64) -> Batch {
    let head = LogHead {
        seq: first,
        chain: crate::id::Chain([7; 32]),
    };
    Batch {
        log: LogId {
            scope: SCOPE,
            writer: writer(2),
        },
        first,
        entries: vec![Entry {
            doc: DocId([1; 16]),
            hash: ChangeHash([1; 32]),
            body: None,
        }],
        seal: Seal {
            head,
            at: Millis(1),
            signature: [0; 64],
        },
    }
}

#[test]
fn a_peer_that_does_not_greet_is_given_up_after_fifteen_seconds() {
    let mut session = begun(Role::Callee);
    let (at, why) = session.deadline().unwrap();
    assert_eq!((at, why), (Millis(16_000), "hello"));
    session.handle(Input::Tick, Millis(15_999)).unwrap();
    assert_eq!(effects(&mut session), vec![]);
    session.handle(Input::Tick, at).unwrap();
    assert_eq!(
        effects(&mut session),
        [Effect::Close(Closing::Silent("hello"))]
    );
}

#[test]
fn an_open_session_says_what_it_waits_for_and_waits_two_minutes() {
    let mut session = open(Role::Caller);
    assert_eq!(session.deadline(), None, "nothing to agree on: settled");
    let log = LogId {
        scope: SCOPE,
        writer: writer(1),
    };
    let head = LogHead::START.after(DocId([1; 16]), ChangeHash([1; 32]));
    // The line was quiet for an hour: the wait begins with what is waited for.
    let now = Millis(3_600_000);
    session
        .handle(Input::Committed(vec![(log, head)]), now)
        .unwrap();
    assert_eq!(effects(&mut session), [Effect::Read(log, LogHead::START)]);
    let mut found = batch(1);
    found.log = log;
    found.seal.head = head;
    session
        .handle(Input::Batch(log, Found::Batch(found)), now)
        .unwrap();
    assert!(matches!(
        effects(&mut session)[..],
        [Effect::Pack(..), Effect::Digest(_)]
    ));
    let (at, why) = session.deadline().unwrap();
    assert_eq!((at, why), (Millis(3_720_000), "acknowledgment"));
}

#[test]
fn a_peer_of_the_first_minor_version_is_sent_batches_as_they_are() {
    let mut session = open_to(Role::Caller, Version { major: 1, minor: 0 });
    let found = batch(1);
    let (log, head) = (found.log, found.seal.head);
    let committed = Input::Committed(vec![(log, head)]);
    session.handle(committed, Millis(1_002)).unwrap();
    assert_eq!(effects(&mut session), [Effect::Read(log, LogHead::START)]);
    let found = Input::Batch(log, Found::Batch(found));
    session.handle(found, Millis(1_003)).unwrap();
    assert!(matches!(
        effects(&mut session)[..],
        [Effect::Digest(_), Effect::Send(Message::Push(_))]
    ));
}

#[test]
fn a_batch_that_was_sent_as_a_pack_is_sent_whole_when_asked_and_no_other_is() {
    let mut session = open(Role::Caller);
    let found = batch(1);
    let (log, head) = (found.log, found.seal.head);
    let whole = |first| Input::Message(Message::Whole(Whole { log, first }));
    session.handle(whole(1), Millis(1_002)).unwrap();
    assert_eq!(effects(&mut session), [], "nothing of it was sent");
    let committed = Input::Committed(vec![(log, head)]);
    session.handle(committed, Millis(1_002)).unwrap();
    let _read = effects(&mut session);
    let answer = Input::Batch(log, Found::Batch(found.clone()));
    session.handle(answer, Millis(1_003)).unwrap();
    let _pack = effects(&mut session);
    session.handle(whole(1), Millis(1_004)).unwrap();
    let asked = Whole { log, first: 1 };
    assert_eq!(effects(&mut session), [Effect::ReadWhole(asked)]);
    let answer = Input::Whole(Some(found.clone()));
    session.handle(answer, Millis(1_005)).unwrap();
    let sent = Effect::Send(Message::Push(found));
    assert_eq!(effects(&mut session), [sent]);
}

#[test]
fn a_pack_of_another_scope_is_refused_unread_and_a_garbled_one_ends_the_session() {
    let mut session = open(Role::Callee);
    let pack = |scope| Pack {
        log: LogId {
            scope,
            writer: writer(2),
        },
        first: 1,
        at: Millis(5),
        signature: [0; 64],
        bytes: Vec::new(),
    };
    let elsewhere = Scope {
        site: SiteId(9),
        ..SCOPE
    };
    let came = |scope| Input::Message(Message::Pack(pack(scope)));
    session.handle(came(elsewhere), Millis(1_002)).unwrap();
    assert!(matches!(
        &effects(&mut session)[..],
        [Effect::Send(Message::Nack(refused))] if refused[0].rule == "G001"
    ));
    session.handle(came(SCOPE), Millis(1_003)).unwrap();
    assert_eq!(effects(&mut session), [Effect::Unpack(pack(SCOPE))]);
    let garbled = Input::Unpacked(Unpacked::Garbled);
    assert_eq!(
        session.handle(garbled, Millis(1_004)),
        Err(Violation::Malformed("PACK"))
    );
}

#[test]
fn another_major_version_is_told_which_one_is_spoken_here() {
    let mut session = begun(Role::Callee);
    let other = Version { major: 2, minor: 0 };
    session.handle(hello(other, 2), Millis(1_001)).unwrap();
    assert_eq!(
        effects(&mut session),
        [
            Effect::Send(Message::Upgrade(VERSION)),
            Effect::Close(Closing::Version(other)),
        ]
    );
    let mut caller = begun(Role::Caller);
    effects(&mut caller);
    caller
        .handle(Input::Message(Message::Upgrade(other)), Millis(1_001))
        .unwrap();
    assert_eq!(
        effects(&mut caller),
        [Effect::Close(Closing::Version(other))]
    );
}

#[test]
fn a_newer_minor_version_is_spoken_with() {
    let mut session = begun(Role::Callee);
    let newer = Version {
        major: VERSION.major,
        minor: 99,
    };
    session.handle(hello(newer, 2), Millis(1_001)).unwrap();
    assert!(matches!(effects(&mut session)[..], [Effect::Open { .. }]));
}

#[test]
fn a_busy_node_says_when_to_come_back() {
    let mut session = begun(Role::Callee);
    session.handle(hello(VERSION, 2), Millis(1_001)).unwrap();
    effects(&mut session);
    session.handle(Input::Busy(30_000), Millis(1_002)).unwrap();
    assert_eq!(
        effects(&mut session),
        [
            Effect::Send(Message::Busy(30_000)),
            Effect::Close(Closing::ToldBusy(30_000)),
        ]
    );
    let mut caller = begun(Role::Caller);
    effects(&mut caller);
    caller
        .handle(Input::Message(Message::Busy(30_000)), Millis(1_001))
        .unwrap();
    assert_eq!(effects(&mut caller), [Effect::Close(Closing::Busy(30_000))]);
}

#[test]
fn a_peer_names_the_node_whose_key_it_holds() {
    let mut session = begun(Role::Callee);
    let outcome = session.handle(hello(VERSION, 9), Millis(1_001));
    assert_eq!(outcome, Err(Violation::WrongNode));
    assert_eq!(
        effects(&mut session),
        [Effect::Close(Closing::Violation(Violation::WrongNode))]
    );
    assert_eq!(
        session.handle(Input::Tick, Millis(1_002)),
        Err(Violation::Closed)
    );
}

#[test]
fn the_same_greeting_twice_does_no_harm_and_another_one_ends_the_session() {
    let mut session = open(Role::Callee);
    session.handle(hello(VERSION, 2), Millis(1_002)).unwrap();
    assert_eq!(effects(&mut session), vec![]);
    let Input::Message(Message::Hello(mut other)) = hello(VERSION, 2) else {
        unreachable!("built above");
    };
    other.boot = [9; 8];
    let outcome = session.handle(Input::Message(Message::Hello(other)), Millis(1_003));
    assert_eq!(outcome, Err(Violation::Unexpected("a second greeting")));
}

#[test]
fn more_in_flight_than_the_window_ends_the_session() {
    let mut session = open(Role::Callee);
    for n in 1..=limits::WINDOW_BATCHES as u64 {
        let push = Input::Message(Message::Push(batch(n)));
        session.handle(push, Millis(1_002)).unwrap();
    }
    let push = Input::Message(Message::Push(batch(limits::WINDOW_BATCHES as u64 + 1)));
    assert_eq!(session.handle(push, Millis(1_002)), Err(Violation::Window));
}

#[test]
fn a_flood_before_the_greeting_ends_the_session() {
    let mut session = begun(Role::Callee);
    let mut outcome = Ok(());
    for _message in 0..=limits::EARLY_MESSAGES_MAX {
        outcome = session.handle(Input::Message(Message::Proof(Vec::new())), Millis(1_001));
    }
    assert_eq!(outcome, Err(Violation::Early));
}

#[test]
fn a_few_large_messages_before_the_greeting_end_the_session() {
    let mut session = begun(Role::Callee);
    let large = Message::Ctrl(vec![7; limits::CONTROL_BYTES_MAX]);
    for _kept in 0..limits::EARLY_BYTES_MAX / limits::CONTROL_BYTES_MAX {
        let early = Input::Message(large.clone());
        session.handle(early, Millis(1_001)).unwrap();
    }
    let outcome = session.handle(Input::Message(large), Millis(1_001));
    assert_eq!(outcome, Err(Violation::Early));
}

#[test]
fn a_scope_the_places_took_away_is_not_kept_any_longer() {
    let mut session = open(Role::Callee);
    let gone = Input::Scopes {
        mine: Vec::new().into(),
        peer: vec![SCOPE].into(),
    };
    session.handle(gone, Millis(1_002)).unwrap();
    let push = Input::Message(Message::Push(batch(1)));
    session.handle(push, Millis(1_003)).unwrap();
    let sent = effects(&mut session);
    let nacks = |e: &Effect| matches!(e, Effect::Send(Message::Nack(r)) if r[0].rule == "G001");
    assert!(sent.iter().any(nacks), "{sent:?}");
    assert!(!sent.iter().any(|e| matches!(e, Effect::Admit(_))));
}

#[test]
fn a_push_of_a_scope_not_kept_here_is_refused_unread() {
    let mut session = open(Role::Caller);
    let mut foreign = batch(1);
    foreign.log.scope.site = SiteId(4);
    session
        .handle(Input::Message(Message::Push(foreign)), Millis(1_002))
        .unwrap();
    let sent = effects(&mut session);
    let [Effect::Send(Message::Nack(refusals))] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(refusals[0].is_whole());
    assert_eq!(refusals[0].rule, "G001");
}

#[test]
fn a_malformed_push_ends_the_session() {
    for (first, last) in [(0, 1), (2, 1), (1, 3), (1, u64::MAX)] {
        let mut session = open(Role::Callee);
        let mut push = batch(first);
        push.seal.head.seq = last;
        let outcome = session.handle(Input::Message(Message::Push(push)), Millis(1_002));
        assert_eq!(outcome, Err(Violation::Malformed("PUSH")));
    }
}

#[test]
fn whoever_asks_an_open_session_hears_each_time_that_both_agree() {
    let mut session = open(Role::Caller);
    session.handle(Input::Tick, Millis(1_002)).unwrap();
    assert_eq!(effects(&mut session), []);
    for asked in [1, 2] {
        session.handle(Input::Ask(asked), Millis(1_002)).unwrap();
        let agreed = Settled {
            asked,
            ..Settled::default()
        };
        assert_eq!(effects(&mut session), [Effect::Settled(agreed)]);
    }
}

#[test]
fn a_fork_told_by_the_node_above_begins_a_new_epoch_once() {
    let mut session = open(Role::Caller);
    let fork = Fork {
        log: LogId {
            scope: SCOPE,
            writer: writer(1),
        },
        held: LogHead::START.after(DocId([1; 16]), ChangeHash([1; 32])),
        by: NodeId([2; 8]),
        seal: None,
    };
    for _twice in 0..2 {
        let told = Input::Message(Message::Fork(fork.clone()));
        session.handle(told, Millis(1_002)).unwrap();
    }
    let told = effects(&mut session);
    let begun = told.iter().filter(|e| matches!(e, Effect::BeginEpoch(_)));
    assert_eq!(begun.count(), 1);
}
