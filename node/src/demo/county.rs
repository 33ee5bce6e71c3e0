//! Founding the sample county and enrolling its four nodes, by the steps of a real county.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cuntong_protocol::{
    control::{sample, signed::Trust},
    id::{NodeId, SiteId},
    role::{Level, Role},
    time::Millis,
};
use cuntong_provisioning::{
    County,
    county::{Founded, HashCost, Memory, NewPerson},
    enrol::Joining,
    folder::replace,
    ticket::{DAYS_DEFAULT, Purpose},
};
use serde::{Deserialize, Serialize};

use super::history;
use crate::{
    clock::{self, Chance, Clock},
    config,
    exit::Failure,
    identity,
    store::Store,
    view,
};

/// Written last: a directory that has it holds a whole county.
const LIST: &str = "demo.json";
/// Where the county is made before it takes its place.
const MAKING: &str = "making";
/// The same for everybody: it protects nobody, and the command prints it.
pub const PASSWORD: &str = "yangli-2026";
/// The county was founded so long before the demo.
const FOUNDED_BEFORE_MS: i64 = 120 * 24 * 3_600 * 1000;

/// One node of the sample county, as `demo.json` and the printed line have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoNode {
    pub node: NodeId,
    /// Word for `demo cut` and folder names.
    pub name: String,
    pub site: String,
    pub site_id: String,
    pub role: Level,
    pub dir: PathBuf,
    pub url: String,
    pub login: String,
    pub password: String,
}

/// A place of the county before it exists.
struct Seat {
    name: &'static str,
    code: &'static str,
    site: &'static str,
    level: Level,
    /// (login, name, roles): the first is the one printed.
    people: &'static [(&'static str, &'static str, &'static [Role])],
}

use Role::{Administrator, Agent, Clerk, CountyClerk, Decider, Publisher, Supervisor};

const SEATS: [Seat; 4] = [
    Seat {
        name: "yunlu",
        code: "349901000000",
        site: "云麓县",
        level: Level::County,
        people: &[
            (
                "yunlu",
                "周文斌",
                &[CountyClerk, Decider, Publisher, Administrator],
            ),
            ("yunlu-duban", "谢敏", &[Supervisor]),
        ],
    },
    Seat {
        name: "beixiang",
        code: "349901101000",
        site: "北乡镇",
        level: Level::Township,
        people: &[
            ("beixiang", "刘芳", &[Clerk, Decider, Publisher]),
            ("beixiang-chuangkou", "陈静", &[Clerk]),
            ("beixiang-shenpi", "高建国", &[Decider]),
        ],
    },
    Seat {
        name: "shiqiao",
        code: "349901101201",
        site: "石桥村",
        level: Level::Village,
        people: &[
            ("shiqiao", "李秀兰", &[Agent, Publisher]),
            ("shiqiao-er", "王水生", &[Agent]),
        ],
    },
    Seat {
        name: "qingxi",
        code: "349901101202",
        site: "青溪村",
        level: Level::Village,
        people: &[("qingxi", "张志强", &[Agent, Publisher])],
    },
];

/// Place in [`SEATS`].
pub const HUB: usize = 0;
/// Place in [`SEATS`].
pub const TOWNSHIP: usize = 1;
/// Places in [`SEATS`].
pub const VILLAGES: [usize; 2] = [2, 3];

/// Opens the county of a directory, or makes one.
///
/// Ports from `base_port`: pages at +0 … +3, links of hub and township at +10 and +11.
///
/// # Errors
/// A failing disk; sample data that the rules refuse.
pub fn open_or_make(
    dir: &Path,
    base_port: u16,
    cases: u64,
    tell: &dyn Fn(&str),
) -> Result<Vec<DemoNode>, Failure> {
    // Children have another working directory than whoever reads the list later.
    let dir = fs::canonicalize(dir)?;
    if !dir.join(LIST).exists() {
        tell("正在建立样例县,约需一分钟……");
        make(&dir, base_port, cases, tell)?;
    }
    let mut nodes: Vec<DemoNode> =
        serde_json::from_slice(&fs::read(dir.join(LIST))?).map_err(Failure::configuration)?;
    for (index, node) in nodes.iter_mut().enumerate() {
        // The ports may be others than last time, and so may the place of the directory.
        node.dir = dir.join(&node.name);
        node.url = format!("http://127.0.0.1:{}", base_port + index as u16);
        settings(&node.dir, index, base_port)?;
    }
    Ok(nodes)
}

/// The list of a county that exists.
///
/// # Errors
/// There is none.
pub fn list(dir: &Path) -> Result<Vec<DemoNode>, Failure> {
    let bytes = fs::read(dir.join(LIST)).map_err(|error| {
        Failure::configuration(format!("{} 中没有样例县:{error}", dir.display()))
    })?;
    let mut nodes: Vec<DemoNode> =
        serde_json::from_slice(&bytes).map_err(Failure::configuration)?;
    for node in &mut nodes {
        node.dir = dir.join(&node.name);
    }
    Ok(nodes)
}

fn make(dir: &Path, base_port: u16, cases: u64, tell: &dyn Fn(&str)) -> Result<(), Failure> {
    let making = dir.join(MAKING);
    if making.exists() {
        // Only ever half a county of invented people.
        fs::remove_dir_all(&making)?;
    }
    fs::create_dir_all(&making)?;
    let clock = Clock::system(None);
    let now = clock.now();
    let mut county = found(now)?;
    let mut stores = Vec::new();
    let mut nodes = Vec::new();
    for (index, seat) in SEATS.iter().enumerate() {
        let store = open(&making.join(seat.name), now)?;
        let node = enrol(&mut county, seat, &store, base_port, now)?;
        nodes.push(DemoNode {
            node,
            name: seat.name.to_owned(),
            site: seat.site.to_owned(),
            site_id: site(&county, seat)?.to_string(),
            role: seat.level,
            dir: dir.join(seat.name),
            url: format!("http://127.0.0.1:{}", base_port + index as u16),
            login: seat.people[0].0.to_owned(),
            password: PASSWORD.to_owned(),
        });
        stores.push(store);
    }
    // Whoever enrolled early has an older roster than the last.
    for store in &stores {
        tell_all(&county, store, now)?;
    }
    history::write(&stores, cases, now, tell)?;
    for store in stores {
        store.close()?;
    }
    for seat in &SEATS {
        fs::rename(making.join(seat.name), dir.join(seat.name))?;
    }
    let list = serde_json::to_vec_pretty(&nodes).map_err(Failure::fault)?;
    replace(&dir.join(LIST), &list)?;
    fs::remove_dir_all(&making)?;
    Ok(())
}

fn found(now: Millis) -> Result<County, Failure> {
    let then = now.after(-FOUNDED_BEFORE_MS);
    let Founded {
        mut county,
        roots: _in_no_safe,
    } = County::create(
        HashCost::SAMPLE,
        Box::new(Memory::default()),
        &mut Chance,
        then,
    )
    .map_err(Failure::fault)?;
    let mut places = "code,name\n".to_owned();
    for seat in &SEATS {
        places.push_str(&format!("{},{}\n", seat.code, seat.site));
    }
    let _added = county.add_places(&places, then).map_err(Failure::fault)?;
    let _items = county
        .publish_catalogue(sample::ITEMS_CSV, then)
        .map_err(Failure::fault)?;
    let _years = county
        .publish_calendar(sample::CALENDAR_CSV, then)
        .map_err(Failure::fault)?;
    for seat in &SEATS {
        let site = site(&county, seat)?;
        for (login, name, roles) in seat.people {
            let person = NewPerson {
                site,
                name: (*name).to_owned(),
                login: (*login).to_owned(),
                roles: roles.to_vec(),
                password: PASSWORD.to_owned(),
                until: None,
            };
            let _id = county
                .add_person(person, &mut Chance, then)
                .map_err(Failure::fault)?;
        }
    }
    Ok(county)
}

fn site(county: &County, seat: &Seat) -> Result<SiteId, Failure> {
    county
        .place(seat.code)
        .map(|place| place.site)
        .map_err(Failure::fault)
}

/// The site of a seat of the founded county.
pub(super) fn seat_site(trust: &Trust, seat: usize) -> SiteId {
    let code = SEATS[seat].code;
    let place = trust.places().sites.iter().find(|place| place.code == code);
    place.map_or(SiteId(0), |place| place.site)
}

fn open(dir: &Path, now: Millis) -> Result<Store, Failure> {
    Ok(Store::open(dir, now, clock::random(), &view::ROWS, 1)?)
}

/// Ticket, request, grant: as on paper or by stick, only faster.
fn enrol(
    county: &mut County,
    seat: &Seat,
    store: &Store,
    base_port: u16,
    now: Millis,
) -> Result<NodeId, Failure> {
    let hubs = [format!("127.0.0.1:{}", base_port + 10)];
    let site = site(county, seat)?;
    let ticket = county
        .ticket(site, Purpose::New, &hubs, DAYS_DEFAULT, &mut Chance, now)
        .map_err(Failure::fault)?;
    let joining = Joining::begin(ticket, &mut Chance, now).map_err(Failure::fault)?;
    let issued = county
        .grant(joining.request(), false, &mut Chance, now)
        .map_err(Failure::fault)?;
    let joined = joining.finish(&issued.grant).map_err(Failure::fault)?;
    Ok(store.write(move |db| identity::become_node(db, &joining, &joined, now))?)
}

fn tell_all(county: &County, store: &Store, now: Millis) -> Result<(), Failure> {
    let site = store.read(|db| db.site())?;
    let documents = county.controls_for(site);
    store.write(move |db| {
        for document in &documents {
            // What is held already is the same or older.
            let _same_or_new = db.take_control(document, now);
        }
        Ok(())
    })?;
    Ok(())
}

/// Settings of one node: nothing that is not different from the defaults.
fn settings(dir: &Path, index: usize, base_port: u16) -> Result<(), Failure> {
    let at = |port: u16| format!("127.0.0.1:{port}");
    let (hub, township) = (at(base_port + 10), at(base_port + 11));
    let mut text = format!(
        "# 样例县的节点;每次启动样例时重写\n[web]\nlisten = \"{}\"\n\n[log]\nfile = true\n\n\
         [demo]\nswitch = true\n\n[link]\nretry_max_ms = 5000\n",
        at(base_port + index as u16)
    );
    match SEATS[index].level {
        Level::County => text.push_str(&format!("listen = \"{hub}\"\n")),
        Level::Township => {
            text.push_str(&format!(
                "listen = \"{township}\"\nupstream = [\"{hub}\"]\n"
            ));
        }
        Level::Village => {
            text.push_str(&format!("upstream = [\"{township}\", \"{hub}\"]\n"));
        }
    }
    Ok(replace(&dir.join(config::FILE), text.as_bytes())?)
}
