use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::{
    control::{ControlKey, ControlKind},
    id::{Chain, ChangeHash, DocId, Kind, NodeId, Scope, SiteId, Writer},
    log::{Entry, LogHead, LogId, Seal},
    time::Millis,
    wire::{
        Fork, ScopeHeads, ScopeProof, Sighting, VectorPart, Version, Want, Whole,
        pack::Pack,
        sketch::{Ask, Sketch, Sketcher},
        snap::{Reached, Snap},
    },
};

const LOG: LogId = LogId {
    scope: Scope {
        kind: Kind::Application,
        site: SiteId(3),
    },
    writer: Writer {
        node: NodeId([0x11; 8]),
        epoch: 2,
    },
};
const HEAD: LogHead = LogHead {
    seq: 300,
    chain: Chain([0x22; 32]),
};
const DOC: DocId = DocId([1, 0, 0, 0, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
const AT: Millis = Millis(1_772_413_200_000);

fn seal() -> Seal {
    Seal {
        head: HEAD,
        at: AT,
        signature: [0x44; 64],
    }
}

fn receipt() -> Receipt {
    Receipt {
        holder: NodeId([0x55; 8]),
        at: AT,
        held: vec![(LOG, HEAD)],
        signature: [0x66; 64],
    }
}

fn key(kind: ControlKind, site: u32) -> ControlKey {
    ControlKey {
        kind,
        site: SiteId(site),
    }
}

fn hello() -> Hello {
    Hello {
        version: Version { major: 1, minor: 0 },
        writer: LOG.writer,
        boot: [0x77; 8],
        vector: vec![(LOG, HEAD)],
        controls: vec![
            (key(ControlKind::Authority, 0), 1),
            (key(ControlKind::Credentials, 3), 500),
        ],
        time: AT,
        product: "0.1.0".into(),
        waiting: (5, 86_400),
        lacking: vec![LOG],
        since: None,
        parts: None,
        snapshot: None,
    }
}

fn push() -> Batch {
    let entry = |body: Option<&[u8]>| Entry {
        doc: DOC,
        hash: ChangeHash([0x33; 32]),
        body: body.map(<[u8]>::to_vec),
    };
    Batch {
        log: LOG,
        first: 299,
        entries: vec![entry(Some(&[1, 2, 3])), entry(None)],
        seal: seal(),
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: Version { major: 1, minor: 0 },
        writer: LOG.writer,
        boot: [0x77; 8],
        vector: vec![(LOG, HEAD)],
        controls: Vec::new(),
        time: AT,
        receipts: vec![receipt()],
        product: "0.1.0".into(),
        since: None,
        parts: None,
    }
}

fn pack() -> Pack {
    Pack {
        log: LOG,
        first: 299,
        at: AT,
        signature: [0x44; 64],
        bytes: vec![1, 0, 0, 0, 0, 0, 0],
    }
}

/// Three documents in four cells.
fn sketch() -> Sketch {
    let ask = Ask {
        scope: LOG.scope,
        key: None,
        first: 0,
        upto: 4,
    };
    let mut sketcher = Sketcher::new(&ask, [0x88; 16]);
    for n in 1..=3 {
        sketcher.add(DocId::new(LOG.scope, [n; 11]), u64::from(n));
    }
    sketcher.finish().message()
}

fn sighting() -> Sighting {
    Sighting {
        node: NodeId([0x11; 8]),
        at: AT,
        clock_offset_ms: Some(-1_500),
        product: "0.1.0".into(),
        epoch: 2,
        written: 300,
        waiting_since: Some(Millis(1_772_413_100_000)),
    }
}

/// One of every message, with the name it has in `docs/formats/wire.md`.
fn vector_part() -> VectorPart {
    VectorPart {
        part: 1,
        parts: 2,
        whole: true,
        logs: vec![(LOG, HEAD)],
    }
}

fn all() -> Vec<(&'static str, Message)> {
    let proof = ScopeProof {
        scope: LOG.scope,
        vector: u64::MAX,
        digest: 7,
        documents: 12,
    };
    let rejection = Rejection {
        log: LOG,
        seq: 300,
        doc: DOC,
        hash: ChangeHash([0x33; 32]),
        rule: "G402".into(),
        reason: "办理行为的内容不完整或有误".into(),
        by: NodeId([0x55; 8]),
    };
    let heads = ScopeHeads {
        scope: LOG.scope,
        heads: vec![(DOC, vec![ChangeHash([0x33; 32])])],
        more: false,
    };
    let want = Want {
        scope: LOG.scope,
        docs: vec![DOC],
        served: false,
    };
    let fork = Fork {
        log: LOG,
        held: HEAD,
        by: NodeId([0x55; 8]),
        seal: Some(seal()),
    };
    vec![
        ("HELLO", Message::Hello(hello())),
        ("WELCOME", Message::Welcome(welcome())),
        ("PUSH", Message::Push(push())),
        ("ACK", Message::Ack(vec![receipt()])),
        ("NACK", Message::Nack(vec![rejection])),
        ("PROOF", Message::Proof(vec![proof])),
        ("HEADS", Message::Heads(heads)),
        ("WANT", Message::Want(want)),
        ("BUSY", Message::Busy(30_000)),
        ("FORK", Message::Fork(fork)),
        ("UPGRADE", Message::Upgrade(Version { major: 2, minor: 1 })),
        ("CTRL", Message::Ctrl(vec![0xd9, 0xd9, 0xf7])),
        ("SEEN", Message::Seen(vec![sighting()])),
        ("PACK", Message::Pack(pack())),
        (
            "WHOLE",
            Message::Whole(Whole {
                log: LOG,
                first: 299,
            }),
        ),
        ("VECTOR", Message::Vector(vector_part())),
        ("SNAP", Message::Snap(snap())),
        ("SKETCH", Message::Sketch(sketch())),
    ]
}

fn snap() -> Snap {
    Snap {
        part: 2,
        reached: Reached(vec![1, 2, 3]),
        left: 400,
        bytes: vec![0x28, 0xb5, 0x2f, 0xfd],
    }
}

/// Greetings with what was added in 1.2 and 1.3.
fn told_as_differences() -> Vec<(&'static str, Message)> {
    let (since, parts) = (Some(0x1122_3344_5566_7788), Some(2));
    let with_snapshot = Hello {
        snapshot: Some(Reached(vec![1, 2, 3])),
        ..hello()
    };
    let hello = Hello {
        since,
        parts,
        ..hello()
    };
    let welcome = Welcome {
        since,
        parts,
        ..welcome()
    };
    vec![
        ("HELLO-1.2", Message::Hello(hello)),
        ("WELCOME-1.2", Message::Welcome(welcome)),
        ("HELLO-1.3", Message::Hello(with_snapshot)),
    ]
}

/// Released bytes stay readable for ever. When this fails, an old node no longer understands a
/// new one: add a field at the end instead, or raise the major version.
#[test]
fn every_message_has_the_bytes_it_always_had() {
    let mut golden = String::new();
    for (name, message) in all().into_iter().chain(told_as_differences()) {
        let bytes = encode(&message);
        assert_eq!(decode(&bytes), Ok(message));
        writeln!(golden, "{name} {}", HEXLOWER.encode(&bytes)).unwrap();
    }
    let released = include_str!("../../../testdata/wire/messages.hex");
    assert_eq!(golden, released);
}

#[test]
fn the_document_of_the_wire_lists_every_message_under_its_number() {
    let document = include_str!("../../../../docs/formats/wire.md");
    let known = 1..=NUMBER_MAX;
    assert_eq!(known.clone().count(), all().len());
    for (n, (name, message)) in known.zip(all()) {
        let bytes = encode(&message);
        assert_eq!(number(&bytes), Ok(n), "{name}");
        let row = format!("| {n} | `{name}` |");
        assert!(document.contains(&row), "no row {row}");
    }
    let rows = document
        .lines()
        .filter(|l| l.starts_with("| ") && l.contains("| `"));
    let messages = rows.filter(|l| l[2..].starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(messages.count(), all().len(), "a row without a message");
    for rule in crate::gate::Rule::ALL {
        let row = format!("| `{}` | {} |", rule.code(), rule.zh());
        assert!(document.contains(&row), "no row {row}");
    }
}

/// Appends a field to a message's struct: what a newer minor version would send.
fn with_trailing_field(message: &Message) -> Vec<u8> {
    let bytes = encode(message);
    // [number, [struct]]: the struct's array head is the fourth byte at the latest.
    let at = usize::from(bytes[1] >= 24) + 3;
    assert_eq!(bytes[at - 1], 0x81, "one field in the variant");
    assert!((0x82..=0x96).contains(&bytes[at]), "{:x}", bytes[at]);
    let mut newer = bytes.clone();
    newer[at] += 1;
    newer.extend([0x82, 0x01, 0x61, 0x78]);
    newer
}

#[test]
fn a_field_added_at_the_end_by_a_newer_version_is_skipped() {
    let structs = [
        "HELLO-1.3",
        "WELCOME-1.2",
        "SNAP",
        "PUSH",
        "HEADS",
        "WANT",
        "FORK",
        "UPGRADE",
        "VECTOR",
        "SKETCH",
    ];
    for (name, message) in all().into_iter().chain(told_as_differences()) {
        if structs.contains(&name) {
            assert_eq!(
                decode(&with_trailing_field(&message)),
                Ok(message),
                "{name}"
            );
        }
    }
}

#[test]
fn a_hello_without_the_fields_added_since_is_read() {
    let bytes = encode(&Message::Hello(Hello {
        lacking: Vec::new(),
        ..hello()
    }));
    let mut older = bytes.clone();
    assert_eq!(older.pop(), Some(0x80));
    assert_eq!(older[3], 0x89);
    older[3] = 0x88;
    assert_eq!(decode(&older), decode(&bytes));
}

#[test]
fn a_message_of_a_later_version_is_told_from_garbage() {
    assert_eq!(
        decode(&[0x82, 0x18, 0x63, 0x80]),
        Err(DecodeError::Unknown(99))
    );
    assert!(matches!(
        decode(&[0x82, 0x20, 0x80]),
        Err(DecodeError::Structure(_))
    ));
}

#[test]
fn nesting_of_ten_thousand_levels_is_refused_without_recursion() {
    let mut deep = vec![0x81; 10_000];
    deep.push(0);
    assert_eq!(
        decode(&deep),
        Err(DecodeError::Structure("nested too deep"))
    );
    let mut allowed = vec![0x81; limits::CBOR_DEPTH_MAX];
    allowed.push(0);
    assert_eq!(scan(&allowed, limits::CBOR_DEPTH_MAX, 100), Ok(()));
}

#[test]
fn a_declared_length_beyond_the_bytes_is_refused_before_anything_is_built() {
    for head in [
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x82, 0x0c, 0x81, 0x5a, 0x00, 0x0f, 0xff, 0xff],
    ] {
        assert_eq!(
            decode(head),
            Err(DecodeError::Structure("a length beyond the end"))
        );
    }
}

#[test]
fn what_no_message_holds_is_refused() {
    let cases: [(&[u8], &str); 7] = [
        (&[0x9f, 0x01, 0xff], "an indefinite length"),
        (
            &[0x82, 0x01, 0xc1, 0x00],
            "a kind of item that is not used here",
        ),
        (&[0x81, 0xfa, 0, 0, 0, 0], "a floating point number"),
        (&[0x81, 0x61, 0xff], "text that is not UTF-8"),
        (&[0x80, 0x80], "bytes after the end"),
        (&[0x82, 0x01], "a length beyond the end"),
        (&[], "it ends early"),
    ];
    for (bytes, why) in cases {
        assert_eq!(scan(bytes, 16, 100), Err(why), "{bytes:x?}");
    }
}

#[test]
fn a_hundred_thousand_empty_items_are_refused_by_their_number() {
    let mut many = vec![0x9a, 0, 4, 0, 0];
    many.extend(vec![0x80; 0x40000]);
    assert_eq!(decode(&many), Err(DecodeError::Structure("too many items")));
}

#[test]
fn counts_beyond_the_limits_are_refused() {
    let mut batch = push();
    batch.entries = vec![batch.entries[1].clone(); limits::BATCH_ENTRIES_MAX + 1];
    let large = |size| Entry {
        body: Some(vec![0; size]),
        ..push().entries[0].clone()
    };
    let mut fat = push();
    fat.entries = vec![large(limits::CHANGE_BYTES_MAX + 1)];
    let mut heavy = push();
    heavy.entries = vec![
        large(limits::CHANGE_BYTES_MAX),
        large(limits::CHANGE_BYTES_MAX),
    ];
    let mut wordy = hello();
    wordy.product = "x".repeat(limits::PRODUCT_BYTES_MAX + 1);
    let docs = vec![DOC; limits::WANT_DOCS_MAX + 1];
    let want = Want {
        scope: LOG.scope,
        docs,
        served: false,
    };
    for message in [
        Message::Push(batch),
        Message::Push(fat),
        Message::Push(heavy),
        Message::Hello(wordy),
        Message::Want(want),
        Message::Ack(vec![receipt(); limits::LIST_MAX + 1]),
        Message::Ctrl(vec![0; limits::CONTROL_BYTES_MAX + 1]),
    ] {
        assert!(matches!(
            decode(&encode(&message)),
            Err(DecodeError::TooMany(_))
        ));
    }
    let long = vec![0; limits::MESSAGE_BYTES_MAX + 1];
    assert_eq!(decode(&long), Err(DecodeError::TooLong(long.len())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(decode(&bytes));
    }

    #[test]
    fn no_edit_of_a_message_makes_decoding_panic(
        which in 0_usize..17,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        let mut bytes = encode(&all()[which].1);
        for (at, value, how) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        if let Ok(message) = decode(&bytes) {
            // What is understood can be said again.
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }
}
