//! A county in one thread: one seed, one clock, real stores over SQLite in memory, the real
//! sync machine over its real bytes, and a network, disks and power that fail on purpose.

use std::{collections::VecDeque, fmt::Write as _};

use cuntong_node::store::{Db, Derived, MemoryMarker, Opening, StoreError};
use cuntong_protocol::{
    id::{NodeId, SiteId},
    time::Millis,
};
use rusqlite::Connection;

use crate::{county, dice::Dice};

mod acts;
mod check;
mod line;
mod model;

pub use check::tokens;
pub use line::{Line, Meter, Trick};
pub use model::{Deed, Model};

/// A machine at a site.
#[derive(Debug)]
pub struct Machine {
    pub name: &'static str,
    pub site: SiteId,
    pub node: NodeId,
    /// The running node; `None` while it is off.
    pub db: Option<Db>,
    /// Drawn at each start.
    pub boot: [u8; 8],
    disk: Option<Connection>,
    marker: MemoryMarker,
    /// Added to the world's clock.
    pub clock_ms: i64,
    backups: Vec<Backup>,
}

/// A copy of a disk: the database, and the marker as it was (used when a whole machine is set
/// back, not when only the database is restored).
#[derive(Debug)]
struct Backup {
    disk: Connection,
    marker: MemoryMarker,
}

/// The county of one seed.
#[derive(Debug)]
pub struct World {
    pub seed: u64,
    pub dice: Dice,
    pub now: Millis,
    pub machines: Vec<Machine>,
    pub lines: Vec<Line>,
    pub model: Model,
    /// Whether steps restore backups and clone disks.
    pub restores: bool,
    /// What happened, newest last: printed with a failure.
    pub diary: VecDeque<String>,
}

/// Lines of the diary that are kept.
const DIARY_MAX: usize = 400;

impl World {
    /// A county of these machines, every one enrolled and running, every line unplugged.
    /// `lines` are (caller, callee) by index.
    pub fn new(seed: u64, sites: &[(&'static str, SiteId)], lines: &[(usize, usize)]) -> Self {
        let mut world = Self {
            seed,
            dice: Dice::new(seed),
            now: county::FOUNDED.after(3_600_000),
            machines: Vec::new(),
            lines: lines.iter().map(|(a, b)| Line::new(*a, *b)).collect(),
            model: Model::default(),
            restores: true,
            diary: VecDeque::new(),
        };
        for (name, site) in sites {
            world.install(name, *site);
        }
        world
    }

    /// 云麓县, 北乡镇, 石桥村, 青溪村; the villages call the township first, then the hub.
    pub fn small(seed: u64) -> Self {
        Self::new(
            seed,
            &[
                ("云麓县", county::HUB),
                ("北乡镇", county::BEIXIANG),
                ("石桥村", county::SHIQIAO),
                ("青溪村", county::QINGXI),
            ],
            &[(1, 0), (2, 1), (3, 1), (2, 0), (3, 0)],
        )
    }

    /// Notes what happened.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let mut line = String::new();
        let _infallible = write!(line, "{} {what}", self.now.0 - county::FOUNDED.0);
        self.diary.push_back(line);
        if self.diary.len() > DIARY_MAX {
            self.diary.pop_front();
        }
    }

    fn install(&mut self, name: &'static str, site: SiteId) {
        let machine = Machine {
            name,
            site,
            node: county::node_of(site),
            db: None,
            boot: [0; 8],
            disk: Some(Connection::open_in_memory().expect("SQLite in memory")),
            marker: MemoryMarker {
                machine: self.dice.bytes(),
                ..MemoryMarker::default()
            },
            clock_ms: 0,
            backups: Vec::new(),
        };
        self.machines.push(machine);
        let at = self.machines.len() - 1;
        self.start(at);
        let now = self.now;
        let db = self.machines[at].db.as_mut().expect("it was started");
        let enrolled = (|| {
            db.set_identity(&county::node_key(site).to_bytes(), now)?;
            db.set_site(site)?;
            db.found(&county::county().controls[0], county::county().county, now)?;
            for bytes in &county::county().controls[1..] {
                let _taken = db.take_control(bytes, now)?;
            }
            Ok::<_, StoreError>(())
        })();
        enrolled.expect("a new node takes in its county");
    }

    /// Moves the clock on.
    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.after(ms);
    }

    /// The clock of a machine.
    pub fn clock(&self, at: usize) -> Millis {
        self.now.after(self.machines[at].clock_ms)
    }

    /// Switches a machine on.
    pub fn start(&mut self, at: usize) {
        if self.machines[at].db.is_some() {
            return;
        }
        let nonce = self.dice.bytes();
        let boot = self.dice.bytes();
        let now = self.clock(at);
        let machine = &mut self.machines[at];
        let disk = machine
            .disk
            .take()
            .expect("a machine that is off has its disk");
        let marker = std::sync::Arc::new(machine.marker.clone());
        let opening = Opening {
            now,
            nonce,
            marker,
            derived: &Derived::NONE,
        };
        machine.boot = boot;
        machine.db = Some(Db::open(disk, opening).expect("a disk that was cut off opens again"));
    }

    /// Pulls the plug: nothing in order, sessions gone, the disk stays as its last commit.
    pub fn power_cut(&mut self, at: usize) {
        if let Some(db) = self.machines[at].db.take() {
            self.machines[at].disk = Some(db.into_connection());
        }
        self.hang_up(at);
    }

    /// Shuts a machine down in order.
    pub fn shut_down(&mut self, at: usize) {
        if let Some(mut db) = self.machines[at].db.take() {
            db.set_crash_after(None);
            self.machines[at].disk = Some(db.close().expect("a node closes in order"));
        }
        self.hang_up(at);
    }

    /// Ends every session of a machine, losing what is on the way.
    pub fn hang_up(&mut self, at: usize) {
        for line in &mut self.lines {
            if line.joins(at) {
                line.drop_call();
            }
        }
    }

    /// Copies a running machine's database and marker.
    pub fn back_up(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let Some(db) = &machine.db else { return };
        let disk = copy(db.connection());
        let marker = copy_marker(&machine.marker);
        machine.backups.push(Backup { disk, marker });
        self.note(format_args!("backup {at}"));
    }

    /// Copies a machine's disk, database and marker, while it is off after an orderly stop, and
    /// starts it again: set back to that as a whole, nothing shows it.
    pub fn image(&mut self, at: usize) {
        self.shut_down(at);
        let machine = &mut self.machines[at];
        let disk = copy(machine.disk.as_ref().expect("it is off"));
        let marker = copy_marker(&machine.marker);
        machine.backups.push(Backup { disk, marker });
        self.note(format_args!("image {at}"));
        self.start(at);
    }

    /// Replaces a machine's disk by a backup. With `whole`, the marker goes back too, as when a
    /// virtual machine is set back: nothing on the machine can tell.
    pub fn restore(&mut self, at: usize, whole: bool) -> bool {
        let n = self.machines[at].backups.len();
        if n == 0 {
            return false;
        }
        self.power_cut(at);
        let which = self.dice.below(n);
        let backup = &self.machines[at].backups[which];
        let (disk, marker) = (copy(&backup.disk), copy_marker(&backup.marker));
        self.machines[at].disk = Some(disk);
        if whole {
            self.machines[at].marker = marker;
        }
        self.note(format_args!("restore {at} whole={whole}"));
        self.start(at);
        self.forget_what_no_machine_holds();
        true
    }

    /// A second machine from a copy of this one's disk, at the same site with the same key. It
    /// calls the same upstreams, but never while the first is connected.
    pub fn clone_disk(&mut self, at: usize) -> bool {
        let Some(db) = &self.machines[at].db else {
            return false;
        };
        if !self.lines.iter().any(|l| l.caller == at) {
            // A second hub would wait for calls that nobody makes.
            return false;
        }
        let disk = copy(db.connection());
        let mut marker = copy_marker(&self.machines[at].marker);
        marker.machine = self.dice.bytes();
        let first = &self.machines[at];
        let twin = Machine {
            name: first.name,
            site: first.site,
            node: first.node,
            db: None,
            boot: [0; 8],
            disk: Some(disk),
            marker,
            clock_ms: first.clock_ms,
            backups: Vec::new(),
        };
        self.machines.push(twin);
        let new = self.machines.len() - 1;
        let upstreams: Vec<_> = self
            .lines
            .iter()
            .filter(|l| l.caller == at)
            .map(|l| l.callee)
            .collect();
        self.lines
            .extend(upstreams.into_iter().map(|up| Line::new(new, up)));
        self.note(format_args!("clone {at} as {new}"));
        self.start(new);
        true
    }

    /// A machine that is on folds into its documents what it may, as if all were old.
    pub fn fold(&mut self, at: usize) {
        let folded = self.with(at, |db, _now| {
            db.fold_bodies(None, Millis(i64::MAX), u32::MAX)
        });
        if let Some(folded) = folded.filter(|folded| folded.entries > 0) {
            self.note(format_args!("{at} folds {} changes", folded.entries));
        }
    }

    /// The store of a machine that is on.
    ///
    /// # Panics
    /// When it is off.
    pub fn db(&mut self, at: usize) -> &mut Db {
        self.machines[at].db.as_mut().expect("the machine is on")
    }

    /// Does something with a store; a simulated crash switches the machine off.
    pub fn with<T>(
        &mut self,
        at: usize,
        work: impl FnOnce(&mut Db, Millis) -> Result<T, StoreError>,
    ) -> Option<T> {
        let now = self.clock(at);
        let db = self.machines[at].db.as_mut()?;
        match work(db, now) {
            Ok(value) => Some(value),
            Err(StoreError::Crashed) => {
                self.note(format_args!("crash {at}"));
                self.power_cut(at);
                None
            }
            Err(other) => {
                let diary: Vec<_> = self.diary.iter().map(String::as_str).collect();
                panic!(
                    "seed {}: store {at}: {other}\n{}",
                    self.seed,
                    diary.join("\n")
                );
            }
        }
    }
}

/// A copy of a database, page by page.
fn copy(from: &Connection) -> Connection {
    let mut to = Connection::open_in_memory().expect("SQLite in memory");
    let backup = rusqlite::backup::Backup::new(from, &mut to).expect("a backup begins");
    let step = backup.step(-1).expect("a backup is made");
    assert_eq!(step, rusqlite::backup::StepResult::Done);
    drop(backup);
    to
}

fn copy_marker(from: &MemoryMarker) -> MemoryMarker {
    let state = *from.state.lock().expect("nobody panicked with it");
    MemoryMarker {
        state: std::sync::Arc::new(std::sync::Mutex::new(state)),
        machine: from.machine,
    }
}
