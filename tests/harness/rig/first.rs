//! A new machine in the place of one that is gone, and its first meeting with the machine above.

use std::fs;

use cuntong_node::{clock, config, store::Store, view};
use cuntong_protocol::{
    control::{ControlKey, ControlKind},
    limits,
};
use cuntong_provisioning::ticket::DAYS_DEFAULT;

use super::{HUB, Rig, TOWN, Target, VILLAGE, document, joins, rounds::COUNTY_WIDE, tell};

/// Cases the village has logged by then: documents go ahead of so many entries, and in more parts
/// than go without an answer.
const CASES: usize = 600;
const _: () = assert!(CASES as u64 > limits::SNAP_ENTRIES_MIN);

impl Rig {
    /// The machine of that place is replaced, and the new one meets the machine above it.
    pub(super) fn first_meeting(&mut self, target: &Target, place: usize) {
        while self.cases.len() < CASES {
            self.log();
        }
        self.work();
        self.settle("before a machine is new");
        self.part();
        self.stop(place);
        let _before = self.read_tapes();
        self.replace(place);
        self.publish(HUB);
        self.arm(target);
        self.plug(place, false);
        let _ended = self.start(place);
        self.meet(&[if place == VILLAGE { VILLAGE } else { HUB }]);
    }

    /// Nothing is left of a machine but where it stands; the county enrols another in its place.
    fn replace(&mut self, place: usize) {
        let dir = self.dir(place).to_owned();
        let settings = fs::read(dir.join(config::FILE)).expect("the settings are read");
        fs::remove_dir_all(&dir).expect("the machine burns");
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(dir.join(config::FILE), settings).expect("the settings are written");
        let now = Self::now();
        let old = self.machines[place].node;
        let ticket = self
            .county
            .replace(old, &[], DAYS_DEFAULT, &mut clock::Chance, now);
        let store = Store::open(&dir, now, clock::random(), &view::ROWS, 1);
        let store = store.expect("a new directory");
        let node = joins(&mut self.county, ticket.expect("a ticket"), &store, now);
        tell(&self.county, &store, now);
        store.close().expect("it closes in order");
        self.machines[place].node = node;
        self.tape.forgets(place);
        if place == VILLAGE {
            // The tray was the old machine's.
            self.tray = 0;
        }
        let roster = ControlKey {
            kind: ControlKind::Roster,
            site: COUNTY_WIDE,
        };
        let roster = document(&self.county, roster);
        for at in [HUB, TOWN, VILLAGE] {
            if at != place {
                self.give(at, &roster);
            }
        }
    }
}
