//! A disk that loses what it said it kept.

use cuntong_node::store::Db;
use cuntong_protocol::id::{CaseId, DocId, Kind, Scope};
use harness::{county, world::World};

const TOWN: usize = 1;
const VILLAGE: usize = 2;
/// The line from the village to the township.
const LINE: usize = 1;
const SCOPE: Scope = Scope {
    kind: Kind::Application,
    site: county::SHIQIAO,
};

/// Everything a disk keeps of a document.
type Row = (Vec<u8>, i64, Vec<u8>);

fn row(db: &Db, doc: DocId) -> Row {
    db.connection()
        .query_row(
            "SELECT heads, digest, snapshot FROM document WHERE id = ?1",
            [&doc.0[..]],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
        .expect("the document is there")
}

/// Puts an older page back behind the store's back, so that all it says of itself fits, and cuts the
/// power: nothing in memory is to cover for it.
fn put_back(world: &mut World, doc: DocId, old: &Row) {
    let db = world.db(TOWN);
    let change = old.1.wrapping_sub(row(db, doc).1);
    let proof = db.digests(&[SCOPE]).expect("a digest")[0];
    let sum = proof.digest.cast_signed().wrapping_add(change);
    let conn = db.connection();
    conn.execute(
        "UPDATE document SET heads = ?2, digest = ?3, snapshot = ?4 WHERE id = ?1",
        (&doc.0[..], &old.0, old.1, &old.2),
    )
    .expect("the row is written");
    conn.execute(
        "UPDATE scope SET digest = ?3 WHERE kind = ?1 AND site = ?2",
        (SCOPE.kind.code(), SCOPE.site.0, sum),
    )
    .expect("the sum is written");
    world.power_cut(TOWN);
    world.start(TOWN);
}

/// One session over the line, to its end.
fn meet(world: &mut World) {
    world.lines[LINE].plugged = true;
    world.exchange(LINE);
    world.cut(LINE);
}

#[test]
fn a_document_damaged_behind_the_stores_back_is_mended_by_the_next_session_and_noted() {
    for seed in 1..=20 {
        let mut world = World::small(seed);
        for _case in 0..world.dice.below(20) + 2 {
            world.log_case(VILLAGE);
            world.pass(60_000);
        }
        meet(&mut world);
        let cases = world.cases_at(VILLAGE);
        let damaged: Vec<_> = cases
            .iter()
            .copied()
            .filter(|_| world.dice.below(4) == 0)
            .collect();
        let of = |case: &CaseId| case.doc(Kind::Application);
        let old: Vec<_> = damaged.iter().map(|c| row(world.db(TOWN), of(c))).collect();
        for case in &damaged {
            world.amend(VILLAGE, *case);
        }
        meet(&mut world);
        for (case, old) in damaged.iter().zip(&old) {
            put_back(&mut world, of(case), old);
        }
        let sound = world.db(TOWN).verify().expect("a verification").is_sound();
        assert_eq!(sound, damaged.is_empty(), "seed {seed}");
        meet(&mut world);
        let count = damaged.len() as u64;
        for at in [TOWN, VILLAGE] {
            let db = world.db(at);
            assert!(
                db.verify().expect("a verification").is_sound(),
                "seed {seed}"
            );
            let last = &db.exchanges(1).expect("an account")[0];
            assert_eq!(
                (last.repaired, &*last.result),
                (count, "settled"),
                "seed {seed}"
            );
        }
        let audit = world.db(TOWN).audit(1_000).expect("an audit");
        let noted = audit.iter().filter(|line| line.action == "repair").count() as u64;
        assert_eq!(noted, count, "seed {seed}");
        let [town, village] =
            [TOWN, VILLAGE].map(|at| world.db(at).digests(&[SCOPE]).expect("a digest"));
        assert_eq!(town, village, "seed {seed}");
    }
}
