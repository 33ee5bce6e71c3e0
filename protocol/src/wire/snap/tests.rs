//! Documents of several writers there and back.

use proptest::prelude::*;

use super::{
    window::{Packer, Unpacker, WindowError},
    *,
};
use crate::{
    act::{Act, ActBody, Reason},
    document::Write,
    id::PersonId,
    role::Role,
    text::Private,
    time::{ClockState, HybridClock},
};

const AT: Millis = Millis(1_772_413_200_000);

fn writer(node: u8) -> Writer {
    Writer {
        node: NodeId([node; 8]),
        epoch: 1 + u32::from(node),
    }
}

fn id(kind: Kind, case: u8) -> DocId {
    let mut unique = [case; 11];
    unique[..6].copy_from_slice(&AT.after(i64::from(case) * 60_000).0.to_be_bytes()[2..]);
    let site = SiteId(3 + u32::from(case % 2));
    DocId::new(Scope { kind, site }, unique)
}

/// A document written by these writers in turn; where `apart`, the last two do not know each other.
fn sheet(id: DocId, writers: &[u8], apart: bool) -> Sheet {
    let mut clock = HybridClock::default();
    let mut doc = Doc::new(id);
    let mut changes = Vec::new();
    for (n, node) in writers.iter().enumerate() {
        let writer = writer(*node);
        let at = AT.after(n as i64 * 61_013);
        let act = Act {
            person: PersonId([4; 8]),
            role: Role::Agent,
            at,
            clock: ClockState::Ok,
            saw: None,
            site: SiteId(3),
            body: ActBody::Review(Reason {
                text: format!("第{n}次核对"),
            }),
        };
        let writes = [
            Write::Act(clock.tick(at, writer.actor()), act),
            Write::Field("phone".into(), Some(Private::new(n.to_string()))),
        ];
        let mut twin = doc.fork();
        let change = twin.write(writer.actor(), at, &writes).unwrap();
        if apart && n + 2 == writers.len() && writers[n + 1] != *node {
            let other = tests::writer(writers[n + 1]);
            let act_id = clock.tick(at, other.actor());
            let Write::Act(_, act) = writes[0].clone() else {
                unreachable!()
            };
            let late = doc
                .write(other.actor(), at, &[Write::Act(act_id, act)])
                .unwrap();
            changes.push((writer, change.bytes));
            changes.push((other, late.bytes));
            break;
        }
        doc = twin;
        changes.push((writer, change.bytes));
    }
    Sheet { id, changes }
}

#[test]
fn documents_come_back_byte_for_byte() {
    let sheets = vec![
        sheet(id(Kind::Application, 9), &[1, 1, 2], false),
        sheet(id(Kind::Handling, 9), &[3, 4, 3], true),
        sheet(id(Kind::Application, 8), &[1, 2, 2, 1], true),
        sheet(id(Kind::Notice, 200), &[5], false),
    ];
    assert_eq!(read(&write(&sheets)), Ok(sheets));
}

/// Both documents of a case, in acts that each saw the last of the other side.
fn case(n: u8) -> [Sheet; 2] {
    let ids = [id(Kind::Application, n), id(Kind::Handling, n)];
    let mut docs = ids.map(Doc::new);
    let mut sheets = ids.map(|id| Sheet {
        id,
        changes: Vec::new(),
    });
    let mut clock = HybridClock::default();
    let mut last = [None; 2];
    for (step, side) in [0, 1, 1, 1, 0, 1, 0].into_iter().enumerate() {
        let writer = writer(u8::try_from(side).unwrap() + 1);
        let at = AT.after(step as i64 * 3_600_011 + i64::from(n) * 97_003);
        // Twice the desk's clock and the act's own part.
        let id = clock.tick(at.after(if step == 3 { 5 } else { 0 }), writer.actor());
        let act = Act {
            person: PersonId([9; 8]),
            role: Role::Decider,
            at: at.after(if step == 5 { -7 } else { 0 }),
            clock: ClockState::Suspect,
            saw: last[1 - side],
            site: SiteId(3 + u32::try_from(side).unwrap()),
            body: ActBody::Review(Reason {
                text: "属实".repeat(step),
            }),
        };
        last[side] = Some(id);
        let change = docs[side].write(writer.actor(), at, &[Write::Act(id, act)]);
        sheets[side].changes.push((writer, change.unwrap().bytes));
    }
    sheets
}

#[test]
fn a_change_of_one_act_is_told_as_that_act() {
    let sheets: Vec<_> = (0..20).flat_map(case).collect();
    let written = write(&sheets);
    let told: usize = sheets
        .iter()
        .flat_map(|s| &s.changes)
        .map(|c| c.1.len())
        .sum();
    assert!(written.len() * 5 < told, "{} of {told}", written.len());
    assert_eq!(read(&written), Ok(sheets));
}

#[test]
fn a_document_that_is_not_as_automerge_writes_it_is_left_to_its_logs() {
    let good = sheet(id(Kind::Application, 9), &[1, 2], false);
    let mut odd = sheet(id(Kind::Application, 8), &[1], false);
    odd.changes[0].1[9] ^= 1;
    let foreign = Sheet {
        id: id(Kind::Application, 7),
        changes: vec![(writer(9), good.changes[0].1.clone())],
    };
    let written = write(&[odd, foreign, good.clone()]);
    assert_eq!(read(&written), Ok(vec![good]));
}

#[test]
fn a_case_of_seven_changes_costs_less_than_its_text_twice() {
    let sheets: Vec<_> = (0..60)
        .map(|n| sheet(id(Kind::Application, n), &[1, 1, 2, 1, 1, 2, 1], false))
        .collect();
    let bytes = write(&sheets);
    let sent = Packer::new().unwrap().part(&bytes).unwrap();
    let raw: usize = sheets
        .iter()
        .flat_map(|s| &s.changes)
        .map(|c| c.1.len())
        .sum();
    assert!(sent.len() * 20 < raw, "{} of {raw}", sent.len());
}

#[test]
fn parts_share_one_window_and_an_oversized_one_is_stopped() {
    let (mut out, mut back) = (Packer::new().unwrap(), Unpacker::new().unwrap());
    let sheets = [sheet(id(Kind::Application, 9), &[1, 1, 2], false)];
    let bytes = write(&sheets);
    let first = out.part(&bytes).unwrap();
    let again = out.part(&bytes).unwrap();
    assert!(again.len() * 4 < first.len());
    assert_eq!(back.part(&first).as_deref(), Ok(&bytes[..]));
    assert_eq!(back.part(&again).as_deref(), Ok(&bytes[..]));
    let bomb = out.part(&vec![0; limits::SNAP_BYTES_MAX + 1]).unwrap();
    assert_eq!(back.part(&bomb), Err(WindowError::Bomb));
    let empty = Unpacker::new().unwrap().part(b"no window of zstd");
    assert_eq!(empty, Err(WindowError::Corrupt));
}

#[test]
fn of_many_snapshots_at_a_time_a_few_have_a_large_window_and_all_are_read() {
    let bytes = write(&[sheet(id(Kind::Application, 9), &[1, 1, 2], false)]);
    // Tests beside this one may have some of the places.
    let mut packers: Vec<_> = (0..9).map(|_n| Packer::new().unwrap()).collect();
    assert!(packers.iter().any(|packer| !packer.is_strong()));
    for packer in &mut packers {
        let part = packer.part(&bytes).unwrap();
        let mut back = Unpacker::new().unwrap();
        assert_eq!(back.part(&part).as_deref(), Ok(&bytes[..]));
    }
}

proptest! {
    #[test]
    fn whatever_the_bytes_reading_ends_with_documents_or_an_error(
        mut bytes in Just(write(&[
            sheet(id(Kind::Application, 9), &[1, 1, 2], true),
            sheet(id(Kind::Handling, 9), &[3, 4, 3], false),
            case(4)[0].clone(),
            case(4)[1].clone(),
        ])),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(sheets) = read(&bytes) {
            prop_assert!(sheets.iter().all(|s| s.id.scope().is_some()));
        }
        let _error = read(&bytes[..cut.index(bytes.len())]);
    }
}
