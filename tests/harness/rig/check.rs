//! When the county has come to rest, and what must hold then.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cuntong_node::{
    clock,
    request::Request,
    store::{Db, MemoryMarker, Opening, dir::DATABASE},
    view,
};
use cuntong_protocol::{
    id::{Kind, Scope},
    policy,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::{HUB, LOOKS, ROLES, Rig, TOWN, VILLAGE, work::received};
use crate::world::tokens;

impl Rig {
    /// Waits until everybody holds the same and everything is covered by a receipt of the county.
    ///
    /// # Panics
    /// When that does not come about.
    pub(super) fn settle(&mut self, what: &str) {
        let mut last = String::new();
        let rests = self.within(LOOKS, |rig| {
            let all: Option<Vec<Value>> = [HUB, TOWN, VILLAGE]
                .into_iter()
                .map(|at| rig.ask(at, &Request::Status)?.ok())
                .collect();
            let Some(all) = all else {
                "somebody does not answer".clone_into(&mut last);
                return false;
            };
            match unsettled(&all) {
                None => true,
                Some(why) => {
                    last = why;
                    false
                }
            }
        });
        if !rests {
            let folder = self.keep_folder();
            let folder = folder.display();
            panic!("{what}: the county does not come to rest: {last}\n{folder}");
        }
    }

    /// What must hold once it has: vectors and documents are equal, every saved act is at the
    /// hub once, what was refused is nowhere but in the tray, and everything verifies.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn check(&self) -> Result<(), String> {
        let stores = [HUB, TOWN, VILLAGE].map(|at| self.look(at));
        let hub = &stores[HUB];
        for at in [TOWN, VILLAGE] {
            let trust = hub.shared_trust().map_err(|e| e.to_string())?;
            let site = stores[at].site().map_err(|e| e.to_string())?;
            let scopes = policy::scopes_read_by(trust.places(), site);
            same(ROLES[at], &stores[at], hub, &scopes)?;
        }
        let held = tokens(hub);
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for ((doc, token), count) in held {
            let application = doc.scope().is_some_and(|s| s.kind == Kind::Application);
            let token = match doc.case() {
                Some(case) if application => received(&case.to_string(), &token),
                Some(_) | None => token,
            };
            *times.entry(token).or_insert(0) += count;
        }
        for token in &self.deeds {
            let count = times.get(token).copied().unwrap_or(0);
            if count != 1 {
                return Err(format!("{token} is at the hub {count} times"));
            }
        }
        // What was under way when its node ended is there once or not at all.
        if let Some((token, count)) = times.iter().find(|(_, count)| **count != 1) {
            return Err(format!("{token} is at the hub {count} times"));
        }
        if let Some(token) = self.refused.iter().find(|t| times.contains_key(*t)) {
            return Err(format!("{token} was to be refused and is at the hub"));
        }
        for (at, mut db) in stores.into_iter().enumerate() {
            let report = db.verify().map_err(|e| e.to_string())?;
            if !report.is_sound() {
                return Err(format!("{} does not verify: {report:?}", ROLES[at]));
            }
        }
        self.custody_is_complete()
    }

    /// Every case the village logged is said to be at the county, and every refusal is in the tray.
    fn custody_is_complete(&self) -> Result<(), String> {
        for case in self.cases.iter().rev().take(20) {
            let case = case.id.clone();
            let shown = self.ask(VILLAGE, &Request::CaseShow { case: case.clone() });
            let Some(Ok(shown)) = shown else {
                return Err(format!("{case} is not shown at the village"));
            };
            if shown["custody"] != "county" {
                return Err(format!("{case}: custody {}", shown["custody"]));
            }
        }
        let listed = self.ask(VILLAGE, &Request::RejectedList);
        let Some(Ok(listed)) = listed else {
            return Err("no tray".to_owned());
        };
        // A row for each node that refused it: the township, and the hub what came without content.
        let open = listed["rejected"].as_array().map_or(0, |all| {
            let own = |row: &&Value| row["own"] == true && row["settled"].is_null();
            let cases = all.iter().filter(own).map(|row| row["case"].to_string());
            cases.collect::<BTreeSet<_>>().len()
        });
        if open != self.tray {
            let wanted = self.tray;
            return Err(format!(
                "{open} refusals in the tray, not {wanted}: {listed}"
            ));
        }
        Ok(())
    }

    /// A copy of a running machine's database, opened.
    fn look(&self, at: usize) -> Db {
        let path = self.dir(at).join(DATABASE);
        let live = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let live = live.expect("the database opens");
        let mut copy = Connection::open_in_memory().expect("SQLite in memory");
        let backup = rusqlite::backup::Backup::new(&live, &mut copy).expect("a copy begins");
        let step = backup.step(-1).expect("a copy is made");
        assert_eq!(step, rusqlite::backup::StepResult::Done);
        drop(backup);
        let opening = Opening {
            now: Self::now(),
            nonce: clock::random(),
            marker: Arc::new(MemoryMarker::default()),
            derived: &view::ROWS,
        };
        Db::open(copy, opening).expect("a copy opens")
    }
}

/// Why the county is not at rest, if it is not.
fn unsettled(all: &[Value]) -> Option<String> {
    for at in [TOWN, VILLAGE] {
        if all[at]["waiting"]["count"] != 0 {
            return Some(format!("{} waits: {}", ROLES[at], all[at]["waiting"]));
        }
    }
    for (below, above) in [(VILLAGE, TOWN), (TOWN, HUB)] {
        let digests = |at: usize| all[at]["digests"].as_object();
        let (Some(mine), Some(theirs)) = (digests(below), digests(above)) else {
            return Some("no digests".to_owned());
        };
        // Everything that is written in this county all three may read.
        let mut scopes = mine.keys().chain(theirs.keys());
        let other = scopes.find(|scope| mine.get(*scope) != theirs.get(*scope));
        let (mine, theirs) = (&all[below]["entries"], &all[above]["entries"]);
        let role = ROLES[below];
        if let Some(scope) = other {
            return Some(format!(
                "{scope} differs at {role}: {mine} and {theirs} entries"
            ));
        }
        // Documents may be here ahead of their logs.
        if mine != theirs {
            return Some(format!("{role} has {mine} of {theirs} entries"));
        }
    }
    None
}

fn same(name: &str, db: &Db, hub: &Db, scopes: &[Scope]) -> Result<(), String> {
    let reads = |e: cuntong_node::store::StoreError| e.to_string();
    let (ours, theirs) = (
        db.vector(scopes).map_err(reads)?,
        hub.vector(scopes).map_err(reads)?,
    );
    if ours != theirs {
        return Err(format!(
            "{name} has not what the hub has:\n{ours:?}\n{theirs:?}"
        ));
    }
    let (ours, theirs) = (
        db.digests(scopes).map_err(reads)?,
        hub.digests(scopes).map_err(reads)?,
    );
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{name}: equal vectors, other documents"))
    }
}
