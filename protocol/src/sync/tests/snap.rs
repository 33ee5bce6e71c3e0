//! What a session does about documents that come ahead of their logs.

use super::{
    rules::{SCOPE, begun, effects, hello, welcome, writer},
    *,
};
use crate::{
    id::Chain,
    wire::snap::{
        Reached, Snap,
        window::{Packer, Unpacker},
    },
};

const NOW: Millis = Millis(1_001);
/// No document at all, as [`crate::wire::snap::write`] says it.
const NONE: [u8; 9] = [0; 9];

fn log() -> LogId {
    LogId {
        scope: SCOPE,
        writer: writer(1),
    }
}

fn head(seq: u64) -> LogHead {
    LogHead {
        seq,
        chain: Chain([7; 32]),
    }
}

fn reached(n: u8) -> Reached {
    Reached(vec![n])
}

fn part(left: u64) -> Input {
    Input::Snap(Part {
        bytes: NONE.to_vec(),
        reached: reached(u8::try_from(left).unwrap()),
        left,
        given: Millis(900),
    })
}

/// A called session that holds 600 entries, after a greeting with this offer and so many entries.
fn giving(offer: Option<Reached>, has: u64) -> Session {
    let mut session = begun(Role::Callee);
    let mut greeting = hello(VERSION, 2);
    if let Input::Message(Message::Hello(hello)) = &mut greeting {
        hello.snapshot = offer;
        if has > 0 {
            hello.vector = vec![(log(), head(has))];
        }
    }
    session.handle(greeting, NOW).unwrap();
    let start = Input::Start(Opening {
        vector: vec![(log(), head(600))],
        ..Opening::default()
    });
    session.handle(start, NOW).unwrap();
    session.handle(Input::Controls(Vec::new()), NOW).unwrap();
    session
}

fn reads(session: &mut Session) -> (usize, usize) {
    let effects = effects(session);
    let snaps = effects
        .iter()
        .filter(|e| matches!(e, Effect::ReadSnap { .. }));
    let entries = effects.iter().filter(|e| matches!(e, Effect::Read(..)));
    (snaps.count(), entries.count())
}

fn sent(session: &mut Session) -> Vec<Snap> {
    let mut snaps = Vec::new();
    for effect in effects(session) {
        if let Effect::Send(Message::Snap(snap)) = effect {
            snaps.push(snap);
        }
    }
    snaps
}

fn answer(part: u32) -> Input {
    Input::Message(Message::Snap(Snap {
        part,
        reached: Reached::default(),
        left: 0,
        bytes: Vec::new(),
    }))
}

#[test]
fn who_is_new_gets_documents_before_entries() {
    let mut session = giving(Some(Reached::default()), 0);
    assert_eq!(reads(&mut session), (1, 0));
    session.handle(part(0), NOW).unwrap();
    assert_eq!(sent(&mut session).len(), 1);
    session.handle(answer(1), NOW).unwrap();
    assert_eq!(reads(&mut session), (0, 1));
}

#[test]
fn who_does_not_ask_or_has_most_of_it_gets_entries() {
    assert_eq!(reads(&mut giving(None, 0)), (0, 1));
    assert_eq!(reads(&mut giving(Some(Reached::default()), 130)), (0, 1));
    assert_eq!(reads(&mut giving(Some(Reached::default()), 110)), (0, 1));
    assert_eq!(reads(&mut giving(Some(Reached::default()), 90)), (1, 0));
    // Whoever has begun goes on, whatever came of it.
    assert_eq!(reads(&mut giving(Some(reached(3)), 90)), (1, 0));
}

#[test]
fn a_snapshot_goes_on_from_where_the_caller_says_it_stopped() {
    let mut session = giving(Some(reached(3)), 0);
    let asked = effects(&mut session);
    assert!(
        asked.iter().any(
            |effect| matches!(effect, Effect::ReadSnap { reached: at, .. } if *at == reached(3))
        )
    );
}

#[test]
fn only_so_many_parts_go_without_an_answer() {
    let mut session = giving(Some(Reached::default()), 0);
    let mut parts = 0;
    while reads(&mut session).0 > 0 {
        session.handle(part(9), NOW).unwrap();
        parts += 1;
        assert!(parts < 20);
    }
    assert_eq!(parts, limits::SNAP_WINDOW);
    session.handle(answer(2), NOW).unwrap();
    session.handle(answer(2), NOW).unwrap();
    assert_eq!(reads(&mut session).0, 1);
    session.handle(part(9), NOW).unwrap();
    assert_eq!(reads(&mut session).0, 0);
}

fn asked(session: &mut Session) -> Option<usize> {
    effects(session).into_iter().find_map(|effect| {
        if let Effect::ReadSnap { most, .. } = effect {
            Some(most)
        } else {
            None
        }
    })
}

#[test]
fn parts_become_smaller_where_text_does_not_compress_so_that_a_cut_costs_no_more() {
    let mut dice = Dice(7);
    let noise = (0..limits::SNAP_FIRST_BYTES).map(|_| u8::try_from(dice.below(256)).unwrap());
    let noise: Vec<u8> = noise.collect();
    let of = |bytes: &[u8]| {
        Input::Snap(Part {
            bytes: bytes.to_vec(),
            reached: reached(9),
            left: 9,
            given: Millis(900),
        })
    };
    let mut session = giving(Some(Reached::default()), 0);
    assert_eq!(asked(&mut session), Some(limits::SNAP_FIRST_BYTES));
    session.handle(of(&noise), NOW).unwrap();
    let most = asked(&mut session).unwrap();
    assert!(most <= limits::SNAP_PACKED_BYTES, "{most} bytes");
    // What compresses again comes in whole parts again.
    session.handle(of(&noise[..most.min(400)]), NOW).unwrap();
    assert_eq!(asked(&mut session), Some(limits::SNAP_PART_BYTES));
}

#[test]
fn who_was_given_all_documents_does_not_hear_their_changes_again_with_the_last_logs() {
    // The snapshot was over, and the line was cut when fifty entries were left.
    let mut session = giving(Some(reached(3)), 550);
    assert_eq!(reads(&mut session), (1, 0));
    let over = Input::Snap(Part {
        bytes: Vec::new(),
        reached: reached(3),
        left: 0,
        given: Millis(900),
    });
    session.handle(over, NOW).unwrap();
    assert_eq!(reads(&mut session), (0, 1));
    assert_eq!(session.snap.given, Some(Millis(900)));
}

#[test]
fn who_got_nearly_all_logs_another_way_hears_the_rest_of_them_and_no_documents() {
    let mut session = giving(Some(reached(3)), 550);
    assert_eq!(reads(&mut session), (1, 0));
    session.handle(part(200), NOW).unwrap();
    assert_eq!(reads(&mut session), (0, 1));
    assert_eq!(session.snap.given, None);
    assert_eq!(reads(&mut giving(Some(reached(3)), 600)), (0, 0));
}

fn taking() -> Session {
    let mut session = begun(Role::Caller);
    session
        .handle(Input::Start(Opening::default()), NOW)
        .unwrap();
    session.handle(welcome(VERSION), NOW).unwrap();
    session.handle(Input::Controls(Vec::new()), NOW).unwrap();
    effects(&mut session);
    session
}

fn came(packer: &mut Packer, part: u32) -> Input {
    Input::Message(Message::Snap(Snap {
        part,
        reached: reached(7),
        left: 1,
        bytes: packer.part(&NONE).unwrap(),
    }))
}

fn taken(session: &mut Session) -> Vec<u32> {
    let mut parts = Vec::new();
    for effect in effects(session) {
        if let Effect::TakeSnap(given) = effect {
            parts.push(given.part);
        }
    }
    parts
}

#[test]
fn a_part_is_answered_when_it_is_durable() {
    let (mut session, mut packer) = (taking(), Packer::new().unwrap());
    session.handle(came(&mut packer, 1), NOW).unwrap();
    assert_eq!(taken(&mut session), [1]);
    session.handle(Input::SnapTaken(1), NOW).unwrap();
    let answers: Vec<_> = sent(&mut session)
        .iter()
        .map(|s| (s.part, s.bytes.len()))
        .collect();
    assert_eq!(answers, [(1, 0)]);
}

#[test]
fn parts_that_come_twice_or_out_of_turn_are_taken_once_and_in_turn() {
    let (mut session, mut packer) = (taking(), Packer::new().unwrap());
    let parts: Vec<_> = (1..=3).map(|n| came(&mut packer, n)).collect();
    for n in [1, 0, 0, 1, 2] {
        session.handle(parts[n].clone(), NOW).unwrap();
    }
    assert_eq!(taken(&mut session), [1, 2, 3]);
}

#[test]
fn more_parts_than_the_window_and_bytes_of_no_window_end_the_session() {
    let (mut session, mut packer) = (taking(), Packer::new().unwrap());
    for n in 1..=4 {
        session.handle(came(&mut packer, n), NOW).unwrap();
    }
    let fifth = session.handle(came(&mut packer, 5), NOW);
    assert_eq!(fifth, Err(Violation::Window));
    let garbage = Input::Message(Message::Snap(Snap {
        part: 1,
        reached: Reached::default(),
        left: 1,
        bytes: b"no window of zstd".to_vec(),
    }));
    assert_eq!(
        taking().handle(garbage, NOW),
        Err(Violation::Malformed("SNAP"))
    );
    let no_documents = Input::Message(Message::Snap(Snap {
        part: 1,
        reached: Reached::default(),
        left: 1,
        bytes: Packer::new().unwrap().part(b"\xff\xff").unwrap(),
    }));
    assert_eq!(
        taking().handle(no_documents, NOW),
        Err(Violation::Malformed("SNAP"))
    );
}

#[test]
fn documents_from_below_are_no_news() {
    let mut session = giving(None, 0);
    effects(&mut session);
    let part = came(&mut Packer::new().unwrap(), 1);
    assert_eq!(
        session.handle(part, NOW),
        Err(Violation::Unexpected("SNAP"))
    );
}

#[test]
fn no_document_is_nine_zeros() {
    assert_eq!(crate::wire::snap::write(&[]), NONE);
    let packed = Packer::new().unwrap().part(&NONE).unwrap();
    assert_eq!(
        Unpacker::new().unwrap().part(&packed).as_deref(),
        Ok(&NONE[..])
    );
}
