//! A peer that holds a valid village key attacks a real store: every attempt ends in a typed
//! refusal, in quarantine or in a closed session; what the hub held stays as it was, the store
//! still verifies, and an honest village still synchronizes afterwards.

use std::collections::BTreeMap;

use cuntong_node::store::Db;
use cuntong_protocol::{
    id::{ChangeHash, DocId},
    log::{Batch, LogHead},
    wire::Message,
};
use harness::{
    county,
    hostile::{Call, Hostile},
    world::World,
};

mod control;
mod entries;
mod lines;
mod logs;
mod mutations;
mod sessions;

/// The machines of the besieged county.
const HUB: usize = 0;
const TOWN: usize = 1;
const HONEST: usize = 2;

/// A county at rest, with one honest village; the machine of the other village is the enemy's.
struct Siege {
    world: World,
    peer: Hostile,
    before: BTreeMap<DocId, Vec<ChangeHash>>,
}

/// The heads of every document of a store.
fn heads(db: &Db) -> BTreeMap<DocId, Vec<ChangeHash>> {
    let scopes = db.scopes().expect("scopes read");
    scopes
        .iter()
        .flat_map(|s| db.heads(*s).expect("heads read"))
        .collect()
}

impl Siege {
    fn begin() -> Self {
        let sites = [
            ("云麓县", county::HUB),
            ("北乡镇", county::BEIXIANG),
            ("青溪村", county::QINGXI),
        ];
        let mut world = World::new(1, &sites, &[(1, 0), (2, 1), (2, 0)]);
        world.somebody_acts(HONEST);
        world.settle();
        let before = heads(world.db(HUB));
        assert!(
            !before.is_empty(),
            "the honest village's case is at the hub"
        );
        Self {
            world,
            peer: Hostile::of(county::SHIQIAO),
            before,
        }
    }

    /// Calls the hub, greets it with an empty vector, and pushes.
    fn push(&mut self, batches: impl IntoIterator<Item = Batch>) -> Call {
        let mut call = self.greet();
        for batch in batches {
            call.say(&mut self.world, &Message::Push(batch));
        }
        call
    }

    /// A call that has been greeted.
    fn greet(&mut self) -> Call {
        let mut call = Call::of(&mut self.world, HUB, &self.peer);
        let hello = self.peer.hello(Vec::new());
        call.say(&mut self.world, &hello);
        assert!(call.closed.is_none(), "its key is in the roster");
        call
    }

    /// One batch is refused as a whole by that rule, and its log does not advance.
    fn is_refused_whole(&mut self, batch: Batch, rule: &str) {
        let log = batch.log;
        let held = self.held(&batch);
        let call = self.push([batch]);
        assert_eq!(call.rules(), [rule]);
        assert!(call.refusals()[0].is_whole());
        assert!(call.receipts().is_empty(), "nothing is acknowledged");
        let head = self.world.db(HUB).log_head(&log).expect("it reads");
        assert_eq!(head, held, "the log stands still");
        assert!(self.quarantined(rule), "kept for a person to see");
        self.stands();
    }

    /// One entry of a good batch is refused by that rule: it keeps its position without effect.
    fn is_refused(&mut self, batch: Batch, rule: &str) {
        let docs: Vec<_> = batch.entries.iter().map(|e| e.doc).collect();
        let before: Vec<_> = docs.iter().map(|d| self.heads_of(*d)).collect();
        let call = self.push([batch]);
        assert_eq!(call.rules(), [rule]);
        let after: Vec<_> = docs.iter().map(|d| self.heads_of(*d)).collect();
        assert_eq!(before, after, "the document is as it was");
        assert!(self.quarantined(rule), "kept for a person to see");
        self.stands();
    }

    fn heads_of(&mut self, doc: DocId) -> Vec<ChangeHash> {
        let found = self.world.db(HUB).doc(doc).expect("documents load");
        found.map(|d| d.heads()).unwrap_or_default()
    }

    fn held(&mut self, batch: &Batch) -> LogHead {
        self.world.db(HUB).log_head(&batch.log).expect("it reads")
    }

    fn quarantined(&mut self, rule: &str) -> bool {
        let all = self.world.db(HUB).quarantined(100).expect("it reads");
        all.iter().any(|q| q.rule == rule)
    }

    /// What the hub held is as it was, everything verifies, and an honest village goes on.
    fn stands(&mut self) {
        let now = heads(self.world.db(HUB));
        for (doc, before) in &self.before {
            assert_eq!(now.get(doc), Some(before), "{doc} changed");
        }
        let report = self.world.db(HUB).verify().expect("verify runs");
        assert!(report.is_sound(), "{report:?}");
        self.world.somebody_acts(HONEST);
        self.world.settle();
        self.world.check();
        self.before = heads(self.world.db(HUB));
    }
}
