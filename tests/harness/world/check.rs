//! What must hold, and the way to a quiet county.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_node::store::Db;
use cuntong_protocol::{
    act::ActBody,
    document::{Doc, Reading},
    id::{ChangeHash, DocId, Scope},
    policy,
};

use super::{
    World,
    line::{CALLEE, CALLER, Trick},
};
use crate::county;

/// Rounds in which a healed county must come to rest.
const ROUNDS_MAX: usize = 60;

impl World {
    /// One step of a history: mostly work and talk, sometimes a fault.
    pub fn step(&mut self) {
        let at = self.dice.below(self.machines.len());
        let line = self.dice.below(self.lines.len());
        match self.dice.below(100) {
            0..=24 => self.somebody_acts(at),
            25..=64 => self.talk(line),
            65..=74 => {
                self.lines[line].plugged = true;
                let _called = self.call(line);
            }
            75..=79 => self.cut(line),
            80..=84 => {
                let ms = self.dice.below(400_000) as i64;
                self.pass(ms);
                self.tick();
                self.fold(at);
            }
            85..=88 => {
                let steps = self.dice.below(12) as u64;
                if let Some(db) = self.machines[at].db.as_mut() {
                    db.set_crash_after(Some(steps));
                }
            }
            89..=90 => {
                self.note(format_args!("power cut {at}"));
                self.power_cut(at);
            }
            91..=92 => self.shut_down(at),
            93..=96 => self.start(at),
            _ if !self.restores => {}
            97 => self.back_up(at),
            98 => {
                let whole = self.dice.chance(1, 3);
                let _restored = self.restore(at, whole);
            }
            _ => {
                if self.machines.len() < 6 {
                    let _cloned = self.clone_disk(at);
                }
            }
        }
    }

    /// Some messages of a line arrive, perhaps twice or out of order.
    fn talk(&mut self, line: usize) {
        for _message in 0..=self.dice.below(6) {
            let end = if self.dice.chance(1, 2) {
                CALLER
            } else {
                CALLEE
            };
            let trick = match self.dice.below(12) {
                0 => Trick::Twice,
                1 => Trick::Overtaken,
                _ => Trick::None,
            };
            let _delivered = self.deliver(line, end, trick);
        }
    }

    /// Ends all faults: everything is on, every line in turn is plugged and talked over until
    /// nothing moves any more.
    pub fn settle(&mut self) {
        for at in 0..self.machines.len() {
            if let Some(db) = self.machines[at].db.as_mut() {
                db.set_crash_after(None);
            }
            self.start(at);
        }
        let mut before = Vec::new();
        for _round in 0..ROUNDS_MAX {
            for line in 0..self.lines.len() {
                self.cut(line);
                self.pass(1_000);
                self.lines[line].plugged = true;
                if self.call(line) {
                    self.run_dry();
                }
                self.cut(line);
            }
            let after = self.state();
            if after == before {
                return;
            }
            before = after;
        }
        self.fail("the county does not come to rest");
    }

    /// Delivers everything on every line.
    ///
    /// # Panics
    /// When two nodes never stop.
    pub fn run_dry(&mut self) {
        for _turn in 0..100_000 {
            let mut moved = false;
            for line in 0..self.lines.len() {
                for end in [CALLER, CALLEE] {
                    moved |= self.deliver(line, end, Trick::None);
                }
            }
            if !moved {
                return;
            }
        }
        self.fail("two nodes never stop talking");
    }

    /// Talks over one line until nothing moves; returns the round trips it took.
    ///
    /// # Panics
    /// When the two never stop.
    pub fn exchange(&mut self, line: usize) -> u32 {
        self.lines[line].plugged = true;
        assert!(self.call(line), "both are on and free");
        for trip in 0..10_000 {
            let mut moved = false;
            for end in [CALLEE, CALLER] {
                for _message in 0..self.lines[line].coming(end) {
                    moved |= self.deliver(line, end, Trick::None);
                }
            }
            if !moved {
                return trip;
            }
        }
        self.fail("two nodes never stop talking")
    }

    fn state(&mut self) -> Vec<String> {
        let machines = self.machines.iter().filter_map(|m| m.db.as_ref());
        machines
            .map(|db| format!("{:?}", db.whole_vector().expect("the vector reads")))
            .collect()
    }

    /// After a restore some acts may exist on no disk any more: those, and only those, are lost
    /// by the fire or the thief, not by us.
    pub(super) fn forget_what_no_machine_holds(&mut self) {
        let mut held = BTreeSet::new();
        for machine in &self.machines {
            let db = machine.db.as_ref();
            if let Some(db) = db {
                held.extend(tokens(db).into_keys().map(|(_doc, token)| token));
            } else if let Some(disk) = &machine.disk {
                held.extend(tokens_on(disk));
            }
        }
        self.model.deeds.retain(|token, _| held.contains(token));
    }

    /// Fails with the seed and the diary.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&self, why: &str) -> ! {
        let diary: Vec<_> = self.diary.iter().map(String::as_str).collect();
        panic!("seed {}: {why}\n{}", self.seed, diary.join("\n"));
    }

    /// What must hold once a healed county has come to rest.
    pub fn check(&mut self) {
        self.equal_vectors_mean_equal_documents();
        self.every_deed_is_at_the_hub_once();
        self.every_document_loads_and_verifies();
    }

    fn equal_vectors_mean_equal_documents(&self) {
        let places = county::county().trust().places();
        let hub = self.machines[0].db.as_ref().expect("the hub is on");
        for machine in &self.machines[1..] {
            let db = machine.db.as_ref().expect("every machine is on");
            let scopes: Vec<Scope> = policy::scopes_read_by(places, machine.site);
            let (ours, theirs) = (db.vector(&scopes), hub.vector(&scopes));
            let (ours, theirs) = (ours.expect("reads"), theirs.expect("reads"));
            if ours != theirs {
                self.fail(&format!(
                    "{} has not what the hub has:\n{ours:?}\n{theirs:?}",
                    machine.name
                ));
            }
            let (ours, theirs) = (db.digests(&scopes), hub.digests(&scopes));
            if ours.expect("reads") != theirs.expect("reads") {
                self.fail(&format!("{}: equal vectors, other documents", machine.name));
            }
        }
    }

    /// Where on which machine's disk something stands: for whoever reads a failure.
    fn whereabouts(&self, token: &str) -> String {
        let mut found = String::new();
        for (at, machine) in self.machines.iter().enumerate() {
            let db = machine.db.as_ref().map(Db::connection);
            let Some(conn) = db.or(machine.disk.as_ref()) else {
                continue;
            };
            for (table, what) in [
                ("entry", "e.log || ':' || e.seq || ' state ' || e.state"),
                ("orphan", "e.log || ':' || e.seq || ' until ' || e.until"),
                ("quarantine", "e.rule || ' ' || e.seq"),
            ] {
                let sql = format!("SELECT {what} FROM {table} AS e WHERE instr(e.body, ?1) > 0");
                let mut query = conn.prepare(&sql).expect("the tables of this version");
                let rows = query.query_map([token.as_bytes()], |r| r.get::<_, String>(0));
                for row in rows.expect("it reads").flatten() {
                    found.push_str(&format!("\nmachine {at}, {table} {row}"));
                }
            }
        }
        found
    }

    fn every_deed_is_at_the_hub_once(&self) {
        let hub = self.machines[0].db.as_ref().expect("the hub is on");
        let held = tokens(hub);
        for (token, deed) in &self.model.deeds {
            let times = held.get(&(deed.doc, token.clone())).copied().unwrap_or(0);
            if times != 1 {
                self.fail(&format!(
                    "{token}, saved at {}, is at the hub {times} times{}",
                    deed.at,
                    self.whereabouts(token)
                ));
            }
        }
    }

    fn every_document_loads_and_verifies(&mut self) {
        for at in 0..self.machines.len() {
            let report = self.db(at).verify().expect("verify runs");
            if !report.is_sound() {
                self.fail(&format!("machine {at} does not verify: {report:?}"));
            }
        }
    }
}

/// Every document of a store.
pub(super) fn documents(db: &Db) -> Vec<DocId> {
    let scopes = db.scopes().expect("scopes read");
    scopes
        .iter()
        .flat_map(|s| db.heads(*s).expect("heads read"))
        .map(|(doc, _)| doc)
        .collect()
}

/// How often each token stands in each document of a store. The token of a case that was logged is
/// its number, or what follows a hyphen in it.
///
/// # Panics
/// When the store does not read.
pub fn tokens(db: &Db) -> BTreeMap<(DocId, String), usize> {
    let mut found = BTreeMap::new();
    for id in documents(db) {
        let doc: Doc = db.doc(id).expect("documents load").expect("it is listed");
        let reading = doc.reading().expect("documents read");
        for token in tokens_of(&reading) {
            *found.entry((id, token)).or_insert(0) += 1;
        }
    }
    found
}

fn tokens_of(reading: &Reading) -> Vec<String> {
    let token = |body: &ActBody| match body {
        ActBody::Receive(b) => b.number.rsplit('-').next().map(str::to_owned),
        ActBody::Amend(b) => Some(b.reason.clone()),
        ActBody::Accept(b) => Some(b.note.clone()),
        ActBody::Review(b) => Some(b.text.clone()),
        ActBody::Decide(b) => Some(b.reason.clone()),
        ActBody::Close(b) => Some(b.result.clone()),
        ActBody::Publish(b) => Some(b.title.clone()),
        ActBody::Open(_)
        | ActBody::Supplement(_)
        | ActBody::Withdraw(_)
        | ActBody::Deliver(_)
        | ActBody::Correct(_)
        | ActBody::Refuse(_)
        | ActBody::Terminate(_)
        | ActBody::Complete(_)
        | ActBody::Resolve(_)
        | ActBody::Rule(_)
        | ActBody::Duplicate(_)
        | ActBody::Retract(_)
        | ActBody::Attach(_)
        | ActBody::Detach(_) => None,
    };
    reading
        .acts
        .iter()
        .filter_map(|a| token(&a.act.body))
        .collect()
}

/// Tokens on the disk of a machine that is off, in logs and in documents: a search of raw bytes, which may find too much
/// (then an act counts as lost by us that was lost by the fire) but never too little.
fn tokens_on(disk: &rusqlite::Connection) -> Vec<String> {
    let mut query = disk
        .prepare("SELECT body FROM entry WHERE body IS NOT NULL")
        .expect("the entries of a disk read");
    let rows = query
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .expect("rows read");
    // What was folded; not what came ahead of its log, which nobody has sealed here.
    let mut folded = disk
        .prepare(
            "SELECT d.id, d.snapshot, e.hash FROM entry AS e JOIN document AS d ON d.id = e.doc
             WHERE e.state = 0 AND e.body IS NULL",
        )
        .expect("the documents of a disk read");
    let folded = folded
        .query_map([], |row| {
            let (id, hash) = (DocId(row.get(0)?), ChangeHash(row.get(2)?));
            Ok((id, row.get::<_, Vec<u8>>(1)?, hash))
        })
        .expect("rows read");
    let changes = folded.flatten().flat_map(|(id, snapshot, hash)| {
        let changes = Doc::load(id, &snapshot).map(|doc| doc.changes());
        let changes = changes.unwrap_or_default().into_iter();
        changes.filter(move |change| change.hash == hash)
    });
    let mark = "事".as_bytes();
    let mut found = Vec::new();
    for body in rows.flatten().chain(changes.map(|c| c.bytes)) {
        for at in 0..body.len().saturating_sub(9) {
            let token = body[at..]
                .starts_with(mark)
                .then(|| body.get(at..at + 9))
                .flatten();
            found.extend(
                token
                    .and_then(|t| std::str::from_utf8(t).ok())
                    .map(str::to_owned),
            );
        }
    }
    found
}
