//! The county of the benchmarks, founded by the registrar's own code: places, people, items, and a
//! machine for each directory.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;
use cuntong_node::{
    clock::{self, Chance, Clock},
    identity,
    store::Store,
    view,
};
use cuntong_protocol::{control::sample, id::SiteId, role::Role, time::Millis};
use cuntong_provisioning::{
    County,
    county::{HashCost, Memory, NewPerson},
    enrol::Joining,
    ticket::{DAYS_DEFAULT, Purpose},
};

use crate::{
    county::{HUB_PEOPLE, NODE_PEOPLE, STATE},
    words,
};

const FOUNDED_BEFORE_MS: i64 = 120 * 86_400_000;
const CODES: [(&str, &str); 3] = [
    ("349955000000", "青陂县"),
    ("349955101000", "长滩乡"),
    ("349955101201", "上岭村"),
];
const TOWNSHIP_PEOPLE: [&str; 2] = ["p-21", "p-22"];

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Desk {
    County,
    Township,
    Village,
}

impl Desk {
    const fn code(self) -> &'static str {
        match self {
            Self::County => CODES[0].0,
            Self::Township => CODES[1].0,
            Self::Village => CODES[2].0,
        }
    }

    const fn logins(self) -> [&'static str; 2] {
        match self {
            Self::County => HUB_PEOPLE,
            Self::Township => TOWNSHIP_PEOPLE,
            Self::Village => NODE_PEOPLE,
        }
    }

    fn roles(self) -> Vec<Role> {
        match self {
            Self::County => vec![Role::CountyClerk, Role::Decider],
            Self::Township => vec![Role::Clerk],
            Self::Village => vec![Role::Agent],
        }
    }
}

/// Founds the county and enrols a machine for each directory.
pub(crate) fn found(machines: &[(&Path, Desk)]) -> Result<()> {
    let now = Clock::system(None).now();
    let then = now.after(-FOUNDED_BEFORE_MS);
    let mut county = County::create(
        HashCost::SAMPLE,
        Box::new(Memory::default()),
        &mut Chance,
        then,
    )?
    .county;
    let mut places = "code,name\n".to_owned();
    for (code, name) in CODES {
        places.push_str(&format!("{code},{name}\n"));
    }
    let _added = county.add_places(&places, then)?;
    let _items = county.publish_catalogue(&catalogue(), then)?;
    let _years = county.publish_calendar(sample::CALENDAR_CSV, then)?;
    let desks: BTreeSet<Desk> = machines.iter().map(|(_, desk)| *desk).collect();
    for desk in desks {
        let site = county.place(desk.code())?.site;
        for (login, name) in desk.logins().into_iter().zip(["康若水", "卜远山"]) {
            let person = NewPerson {
                site,
                name: name.to_owned(),
                login: login.to_owned(),
                roles: desk.roles(),
                password: "changtan-2026".to_owned(),
                until: None,
            };
            let _id = county.add_person(person, &mut Chance, then)?;
        }
    }
    let mut stores = Vec::new();
    for (dir, desk) in machines {
        let site = county.place(desk.code())?.site;
        fs::create_dir_all(dir.join(STATE))?;
        let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
        enrol(&mut county, site, &store, now)?;
        stores.push((store, site));
    }
    for (store, site) in stores {
        let documents = county.controls_for(site);
        store.write(move |db| {
            for document in &documents {
                // What is held already is the same or older.
                let _same_or_new = db.take_control(document, now);
            }
            Ok(())
        })?;
        store.close()?;
    }
    Ok(())
}

fn enrol(county: &mut County, site: SiteId, store: &Store, now: Millis) -> Result<()> {
    let hubs = ["127.0.0.1:4600".to_owned()];
    let ticket = county.ticket(site, Purpose::New, &hubs, DAYS_DEFAULT, &mut Chance, now)?;
    let joining = Joining::begin(ticket, &mut Chance, now)?;
    let issued = county.grant(joining.request(), false, &mut Chance, now)?;
    let joined = joining.finish(&issued.grant)?;
    let _node = store.write(move |db| identity::become_node(db, &joining, &joined, now))?;
    Ok(())
}

/// The items of the workload, as the registrar's file has them.
fn catalogue() -> String {
    let header = sample::ITEMS_CSV.lines().next().unwrap_or_default();
    let mut csv = format!("{header}\n");
    for (code, name, materials) in words::ITEMS {
        csv.push_str(&format!(
            "{code},{name},行政给付,village,county,民政局,30,20,no,{},0,{name},,,,calendar_day,yes,no,publish_minimal,S,sample\n",
            materials.join(";")
        ));
    }
    csv
}
