use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::id::{Kind, SiteId};

const SCOPE: Scope = Scope {
    kind: Kind::Application,
    site: SiteId(7),
};

/// A document with a digest, both by a number.
fn item(n: u64, version: u64) -> (DocId, u64) {
    let hash = blake3::hash(&[n.to_be_bytes(), version.to_be_bytes()].concat());
    let mut own = [0; 11];
    own[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    own[8] = 0x55;
    let digest = u64::from_be_bytes(hash.as_bytes()[..8].try_into().unwrap());
    (DocId::new(SCOPE, own), digest)
}

fn draw(items: &[(DocId, u64)], key: Key, first: u32, upto: u32) -> Drawn {
    let ask = Ask {
        scope: SCOPE,
        key: None,
        first,
        upto,
    };
    let mut sketcher = Sketcher::new(&ask, key);
    for (doc, digest) in items {
        sketcher.add(*doc, *digest);
    }
    sketcher.finish()
}

/// `n` equal documents, and `d` items of which a third only one side has, a third only the other,
/// and a third are two versions of one document.
fn sides(n: u64, d: u64) -> [Vec<(DocId, u64)>; 2] {
    let mut mine: Vec<_> = (0..n).map(|n| item(n, 0)).collect();
    let mut theirs = mine.clone();
    for k in 0..d {
        match k % 6 {
            0 | 1 => mine.push(item(n + k, 0)),
            2 | 3 => theirs.push(item(n + k, 0)),
            4 => mine.push(item(n + k, 1)),
            _ => theirs.push(item(n + k - 1, 2)),
        }
    }
    [mine, theirs]
}

/// The fewest cells that give a difference away, to within a twentieth, and the difference.
fn needed(mine: &[(DocId, u64)], theirs: &[(DocId, u64)], key: Key) -> (u32, BTreeSet<DocId>) {
    let all = [mine, theirs].map(|side| draw(side, key, 0, limits::SKETCH_CELLS_MAX));
    let mut count = 1;
    loop {
        let mut mine = all[0].clone();
        mine.cells.truncate(count);
        if let Peeled::Whole(found) = peel(&all[1].cells[..count], &mine) {
            return (count as u32, found);
        }
        count += 1 + count / 20;
        assert!(count <= limits::SKETCH_CELLS_MAX as usize, "never decoded");
    }
}

#[test]
fn what_differs_is_found_for_a_little_more_than_its_size_whatever_the_rest() {
    for d in [0, 1, 8, 100, 1_000] {
        for seed in 1..=3 {
            let [mine, theirs] = sides(10_000, d);
            let (cells, found) = needed(&mine, &theirs, [seed; 16]);
            let [a, b] = [&mine, &theirs].map(|side| side.iter().copied().collect());
            let differ = BTreeSet::symmetric_difference(&a, &b);
            let differ: BTreeSet<_> = differ.map(|(doc, _)| *doc).collect();
            assert_eq!(found, differ, "d {d} seed {seed}");
            let bound = u32::try_from(d).unwrap() * 22 / 10 + 20;
            assert!(cells <= bound, "{cells} cells for {d}, seed {seed}");
        }
    }
}

#[test]
fn after_too_few_cells_the_estimate_nearly_always_does() {
    let mut failed = 0;
    for d in [40, 100, 300, 1_000] {
        for seed in 1..=10 {
            let [mine, theirs] = sides(2_000, d);
            let first = limits::SKETCH_CELLS_FIRST;
            let cells = draw(&theirs, [seed; 16], 0, first).cells;
            let few = peel(&cells, &draw(&mine, [seed; 16], 0, first));
            let Peeled::More(likely) = few else {
                panic!("{d} items in {first} cells");
            };
            assert!(u64::from(likely) < 5 * d, "{likely} cells for {d}");
            let cells = draw(&theirs, [seed; 16], 0, likely).cells;
            let enough = peel(&cells, &draw(&mine, [seed; 16], 0, likely));
            failed += usize::from(!matches!(enough, Peeled::Whole(_)));
        }
    }
    assert!(failed <= 6, "{failed} of 40 need a third message");
}

#[test]
fn cells_made_in_parts_and_sent_are_those_made_at_once() {
    let [mine, _] = sides(1_000, 30);
    let whole = draw(&mine, [3; 16], 0, 100);
    let mut parts = Vec::new();
    for (first, upto) in [(0, 8), (8, 32), (32, 100)] {
        let sketch = draw(&mine, [3; 16], first, upto).message();
        assert_eq!(
            (sketch.first, sketch.upto, sketch.documents),
            (first, upto, 1_030 - 15)
        );
        parts.extend(sketch.cells().unwrap());
    }
    assert_eq!(parts, whole.cells);
    let bytes = whole.message().bytes.len();
    assert!(bytes <= 25 * 100, "{bytes} bytes for 100 cells");
}

#[test]
fn malformed_cells_are_refused() {
    let [mine, _] = sides(10, 0);
    let good = draw(&mine, [3; 16], 0, 8).message();
    assert_eq!(good.cells().unwrap().len(), 8);
    let mut short = good.clone();
    short.bytes.pop();
    let mut long = good.clone();
    long.bytes.push(0);
    let more = Sketch {
        upto: 9,
        ..good.clone()
    };
    let less = Sketch {
        upto: 7,
        ..good.clone()
    };
    let none = Sketch {
        first: 8,
        ..good.clone()
    };
    let turned = Sketch {
        first: 9,
        ..good.clone()
    };
    let huge = Sketch {
        upto: u32::MAX,
        ..good.clone()
    };
    let crowded = Sketch {
        documents: u64::MAX,
        ..good.clone()
    };
    for sketch in [short, long, more, less, none, turned, huge, crowded] {
        assert_eq!(sketch.cells(), None, "{sketch:?}");
    }
}

#[test]
fn who_does_not_know_the_key_cannot_hide_documents_behind_one_another() {
    // Items that cancel out under one key: found by trying, as an author of documents could.
    let known = [1; 16];
    let check = |key: Key, n| {
        let (doc, digest) = item(n, 0);
        let hash = hash_of(&long(&key), &item_of(doc, digest));
        hash >> 48
    };
    let twins: Vec<u64> = (0..60_000).filter(|n| check(known, *n) < 40).collect();
    assert!(twins.len() > 10);
    let theirs: Vec<_> = twins.iter().map(|n| item(*n, 0)).collect();
    let (_, found) = needed(&[], &theirs, [2; 16]);
    assert_eq!(found.len(), theirs.len());
}

fn junk() -> impl Strategy<Value = Sketch> {
    let bytes = prop::collection::vec(any::<u8>(), 0..1_500);
    (0_u32..4, 0_u32..80, 0_u64..1 << 41, bytes, any::<Key>()).prop_map(
        |(first, upto, documents, bytes, key)| Sketch {
            scope: SCOPE,
            key,
            documents,
            first,
            upto,
            bytes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_reading_panic(sketch in junk()) {
        drop(sketch.cells());
    }

    #[test]
    fn cells_of_junk_end_and_give_no_more_documents_than_cells(
        raw in prop::collection::vec((any::<[u8; 19]>(), any::<u32>(), -3_i64..4), 1..60),
        real in prop::collection::vec((0_u64..30, 0_usize..60), 0..40),
        key in any::<Key>(),
        extreme in any::<bool>(),
    ) {
        let mut cells: Vec<_> = raw
            .iter()
            .map(|(sum, check, count)| Cell { sum: *sum, check: *check, count: *count })
            .collect();
        if extreme {
            cells[0].count = i64::MIN;
        }
        // Real items in wrong cells: they look pure and lead in circles.
        for (n, at) in real {
            let (doc, digest) = item(n, 0);
            let item = item_of(doc, digest);
            let at = at % cells.len();
            cells[at] = Cell::default();
            cells[at].add(&item, hash_of(&long(&key), &item), 1);
        }
        let mine = draw(&[], key, 0, u32::try_from(cells.len()).unwrap());
        match peel(&cells, &mine) {
            Peeled::More(likely) => prop_assert!(likely <= limits::SKETCH_CELLS_MAX),
            Peeled::Whole(found) => {
                prop_assert!(found.len() <= cells.len());
            }
        }
    }
}

/// `cargo test -p cuntong-protocol --lib -- --ignored --nocapture a_million`
#[test]
#[ignore = "a figure, not a judgement"]
#[expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "it tells what it measured"
)]
fn a_million_documents_are_looked_at_in() {
    for cells in [32, 128, 1_024, limits::SKETCH_CELLS_MAX] {
        let ask = Ask {
            scope: SCOPE,
            key: None,
            first: 0,
            upto: cells,
        };
        let mut sketcher = Sketcher::new(&ask, [5; 16]);
        let began = std::time::Instant::now();
        for n in 0..1_000_000_u64 {
            let mut own = [0; 11];
            own[..8].copy_from_slice(&n.to_be_bytes());
            sketcher.add(
                DocId::new(SCOPE, own),
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            );
        }
        let drawn = sketcher.finish();
        eprintln!(
            "{cells} cells: {:?}, {} bytes",
            began.elapsed(),
            drawn.message().bytes.len()
        );
    }
}
