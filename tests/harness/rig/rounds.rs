//! Rounds: the county is brought to say a kind of message, a process is ended in the middle of it,
//! everything is started again, and what must hold is checked.

use std::{fs, path::Path};

use cuntong_node::{request::Request, store::dir::DATABASE};
use cuntong_protocol::{
    control::{ControlKey, ControlKind},
    id::{CaseId, DocId, Kind, SiteId},
};
use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{HUB, ROLES, Recipe, Rig, TOWN, Target, VILLAGE, document, tape::Bytes};

/// Looks until a machine that was told to end is believed not to come to that point.
const STRIKE_LOOKS: usize = 150;
/// Rounds in one county: afterwards another one is founded.
const ROUNDS_OF_A_COUNTY: usize = 20;
/// Cases of a village that was away for weeks.
const BACKLOG: usize = 100;
/// What may be sent twice after a cut, bytes.
const AGAIN_MAX: u64 = 64 * 1024;
/// Everything that is a node's besides its settings.
const STATE: [&str; 4] = [DATABASE, "cuntong.db-wal", "cuntong.db-shm", "marker"];
pub(super) const COUNTY_WIDE: SiteId = SiteId(0);

/// What came of a round.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub target: Target,
    /// It ended at that very moment; else it was ended from outside.
    pub struck: bool,
    /// Bytes of entries given twice, the most of any pair of neighbours.
    pub again: u64,
}

/// Rounds, one after the other.
pub struct Rounds {
    seed: u64,
    done: usize,
    rig: Option<Rig>,
}

impl Rounds {
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            done: 0,
            rig: None,
        }
    }

    /// One round with this target.
    ///
    /// # Panics
    /// When something was lost, doubled, damaged, or sent twice beyond the limit.
    pub fn round(&mut self, target: Target) -> Outcome {
        let seed = self.seed.wrapping_add(self.done as u64);
        if self.done.is_multiple_of(ROUNDS_OF_A_COUNTY) || self.rig.is_none() {
            self.rig = None;
        }
        self.done += 1;
        let rig = self.rig.get_or_insert_with(|| Rig::new(seed));
        let outcome = rig.round(target);
        let wrong = match (rig.check(), outcome.again) {
            (Err(why), _) => why,
            (Ok(()), again) if again > AGAIN_MAX => format!("{again} bytes were sent twice"),
            (Ok(()), _) => return outcome,
        };
        let folder = rig.keep_folder();
        let (n, folder) = (self.done, folder.display());
        panic!("round {n} of seed {seed} ({target}): {wrong}\n{folder}");
    }

    /// The county of the last round.
    pub const fn rig(&self) -> Option<&Rig> {
        self.rig.as_ref()
    }
}

impl Rig {
    fn round(&mut self, target: Target) -> Outcome {
        let _before = self.read_tapes();
        self.tape
            .new_round(matches!(target.recipe, Recipe::Damage(_)));
        self.prepare(&target);
        let victim = target.victim();
        let struck = self.within(STRIKE_LOOKS, |rig| rig.ended(victim) && rig.struck(victim));
        if !struck {
            let by_itself = self.machines[victim].child.is_some() && self.ended(victim);
            assert!(!by_itself, "{target}: {} ended by itself", ROLES[victim]);
            self.kill(victim);
        }
        self.heal();
        self.settle(&target.to_string());
        let again = self.read_tapes();
        Outcome {
            target,
            struck,
            again: again.into_values().max().unwrap_or(0),
        }
    }

    pub(super) fn read_tapes(&mut self) -> Bytes {
        let nodes = [HUB, TOWN, VILLAGE].map(|at| self.machines[at].node);
        let mut again = Bytes::new();
        for at in [HUB, TOWN, VILLAGE] {
            let file = self.file(at, "tape");
            again.extend(self.tape.read(at, &file, &nodes));
        }
        again
    }

    /// Brings about what the recipe says; the machine may end any moment from the arming on.
    fn prepare(&mut self, target: &Target) {
        match target.recipe {
            Recipe::Apart => {
                self.part();
                self.work();
                self.arm(target);
                self.meet(&[HUB, VILLAGE]);
            }
            Recipe::Backlog => {
                self.part();
                self.work();
                for _case in 0..BACKLOG {
                    self.log();
                }
                self.arm(target);
                self.meet(&[HUB, VILLAGE]);
            }
            Recipe::Live => {
                self.arm(target);
                self.work();
            }
            Recipe::Control(at) => {
                self.part();
                self.work();
                let new = self.new_directory();
                self.arm(target);
                self.give(at, &new);
                self.meet(&[HUB, VILLAGE]);
            }
            Recipe::Refusal(at) => self.refusal(target, at),
            Recipe::Damage(neighbour) => self.damage(target, neighbour),
            Recipe::SetBack {
                machine,
                works,
                away,
            } => self.set_back(target, machine, works, away),
            Recipe::First(place) => self.first_meeting(target, place),
        }
    }

    /// Nobody is connected with anybody.
    pub(super) fn part(&self) {
        for at in [HUB, TOWN, VILLAGE] {
            self.plug(at, false);
        }
    }

    /// The township meets these.
    pub(super) fn meet(&self, who: &[usize]) {
        for at in [TOWN].iter().chain(who) {
            self.plug(*at, true);
        }
    }

    /// The county says a new directory: somebody's time at the desk is over.
    fn new_directory(&mut self) -> Vec<u8> {
        let login = self.passing.pop().expect("agents enough for one county");
        let now = Self::now();
        let ended = self.county.end_person(&login, now, now);
        let _person = ended.expect("the person is known");
        self.ended_login = login;
        let key = ControlKey {
            kind: ControlKind::Directory,
            site: COUNTY_WIDE,
        };
        document(&self.county, key)
    }

    /// Somebody brings a signed document to a machine.
    pub(super) fn give(&self, at: usize, bytes: &[u8]) {
        let content = HEXLOWER.encode(bytes);
        if let Some(reply) = self.ask(at, &Request::Enrol { content }) {
            // A machine that ends in the middle has it or gets it from another.
            let _taken = reply;
        }
    }

    fn refusal(&mut self, target: &Target, at: usize) {
        self.part();
        let new = self.new_directory();
        // The act must be later than the end of the person's time.
        self.pause();
        let login = self.ended_login.clone();
        self.log_in_vain(&login);
        self.log();
        if at == HUB {
            // The township does not know it yet and takes the case.
            self.meet(&[VILLAGE]);
            self.reaches_town();
        }
        self.give(at, &new);
        self.arm(target);
        self.meet(&[HUB, VILLAGE]);
    }

    /// Until the township has what the village wrote.
    fn reaches_town(&mut self) {
        let came = self.within(STRIKE_LOOKS, |rig| {
            let status = |at| rig.ask(at, &Request::Status)?.ok();
            let (Some(town), Some(village)) = (status(TOWN), status(VILLAGE)) else {
                return false;
            };
            let scope = |all: &serde_json::Value| {
                let digests = all["digests"].as_object()?.clone();
                digests
                    .into_iter()
                    .find(|(s, _)| s.starts_with("application"))
            };
            scope(&town).is_some() && scope(&town) == scope(&village)
        });
        assert!(came, "the township takes the village's work");
    }

    /// The township's disk forgets the last changes of a document.
    fn damage(&mut self, target: &Target, neighbour: usize) {
        let case = self.accepted();
        self.settle("before the damage");
        let doc = case.parse::<CaseId>().expect("an id").doc(Kind::Handling);
        let old = row(&self.dir(TOWN).join(DATABASE), doc);
        assert!(self.review(&case), "the township notes something");
        self.settle("the note");
        self.part();
        self.stop(TOWN);
        put_back(&self.dir(TOWN).join(DATABASE), doc, &old);
        self.work_below_and_above();
        self.arm(target);
        let _ended = self.start(TOWN);
        self.meet(&[neighbour]);
    }

    fn work_below_and_above(&mut self) {
        self.log();
        self.publish(HUB);
    }

    /// A machine is set back as a whole, as a virtual machine is.
    fn set_back(&mut self, target: &Target, machine: usize, works: bool, away: Option<usize>) {
        let case = self.accepted();
        self.settle("before it is kept");
        self.stop(machine);
        let kept = self.folder.path().join("kept");
        copy(self.dir(machine), &kept);
        let _ended = self.start(machine);
        self.work();
        let _noted = self.review(&case);
        self.log();
        self.settle("what will be lost");
        let _again = self.read_tapes();
        for at in [HUB, TOWN, VILLAGE] {
            self.plug(at, false);
        }
        self.stop(machine);
        copy(&kept, self.dir(machine));
        self.tape.forgets(machine);
        let _ended = self.start(machine);
        if works && machine == VILLAGE {
            self.log();
        } else if works {
            let _noted = self.review(&case);
        }
        self.work_below_and_above();
        if machine == HUB {
            // The township then says this in its first breath, to a hub that has lost what came before.
            self.meet(&[VILLAGE]);
            self.reaches_town();
        }
        self.arm(target);
        let here = [HUB, TOWN, VILLAGE].into_iter();
        let here: Vec<_> = here.filter(|at| Some(*at) != away).collect();
        self.meet(&here);
    }
}

/// Copies what is a node's; a file that is not there is removed there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for name in STATE {
        let target = to.join(name);
        let _gone = fs::remove_file(&target);
        if from.join(name).exists() {
            let copied = fs::copy(from.join(name), &target);
            let _bytes = copied.unwrap_or_else(|e| panic!("{name} of {}: {e}", ROLES[0]));
        }
    }
}

/// Everything a disk keeps of a document.
type Row = (Vec<u8>, i64, Vec<u8>);

fn row(database: &Path, doc: DocId) -> Row {
    let conn = Connection::open(database).expect("it opens");
    let row = conn.query_row(
        "SELECT heads, digest, snapshot FROM document WHERE id = ?1",
        [&doc.0[..]],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
    );
    row.expect("the document is there")
}

/// An older page comes back, so that all the disk says of itself fits.
fn put_back(database: &Path, doc: DocId, old: &Row) {
    let conn = Connection::open(database).expect("it opens");
    let now: i64 = conn
        .query_row(
            "SELECT digest FROM document WHERE id = ?1",
            [&doc.0[..]],
            |r| r.get(0),
        )
        .expect("the document is there");
    let scope = doc.scope().expect("a document of a scope");
    let rows = conn.execute(
        "UPDATE document SET heads = ?2, digest = ?3, snapshot = ?4 WHERE id = ?1",
        (&doc.0[..], &old.0, old.1, &old.2),
    );
    assert_eq!(rows.expect("the row is written"), 1);
    let sum: i64 = conn
        .query_row(
            "SELECT digest FROM scope WHERE kind = ?1 AND site = ?2",
            (scope.kind.code(), scope.site.0),
            |r| r.get(0),
        )
        .expect("the scope is there");
    let sum = sum.wrapping_add(old.1.wrapping_sub(now));
    let rows = conn.execute(
        "UPDATE scope SET digest = ?3 WHERE kind = ?1 AND site = ?2",
        (scope.kind.code(), scope.site.0, sum),
    );
    assert_eq!(rows.expect("the sum is written"), 1);
}
