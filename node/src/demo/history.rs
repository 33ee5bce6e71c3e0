//! Some weeks of work in the sample county, day by day, through the same commands, rules and
//! sessions as real work.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{ActBody, Mandate, Publish},
    calendar::{civil_day, day_begins},
    command::{Actor, Command, LogCase},
    control::{Item, signed::Trust},
    fields::{self, MaterialState},
    id::{CaseId, DocId},
    role::{Level, Role},
    time::{ClockState, Millis},
};
use jiff::civil::Date;

use super::{
    chance::Chance,
    county::{HUB, TOWNSHIP, VILLAGES},
    courses::{Course, Desk, Step},
    exchange::exchange,
    notices::{self, Who},
    people::{self, Resident},
};
use crate::{
    desk::perform::{Failed, perform},
    exit::Failure,
    store::{Db, Store, StoreError},
};

/// The sample county is the same each time but for its keys and dates.
const SEED: u64 = 349_901;
/// Working days the history goes back.
const DAYS: u64 = 42;
const MINUTE_MS: i64 = 60 * 1000;
/// Minutes after midnight.
const MORNING: i64 = 9 * 60;
const AFTERNOON: i64 = 14 * 60;
const EVENING: i64 = 16 * 60 + 30;

/// A case to come.
struct Plan {
    village: usize,
    course: Course,
    item: Item,
    resident: Resident,
    /// The working day its papers are taken, 0 the first.
    begins: u64,
    steps: Vec<Step>,
    mandate: bool,
    id: Option<CaseId>,
}

/// Something to be done on one day at one desk.
struct Task {
    seat: usize,
    desk: Desk,
    minute: i64,
    what: What,
}

enum What {
    Log(usize),
    Act(usize, ActBody),
    Publish(Publish),
    /// Takes down the seat's oldest notice.
    Retract(&'static str),
}

/// Lets the people of the county work. `stores`: hub, township, villages.
///
/// # Errors
/// A rule that refuses sample work (a defect), or a failing disk.
pub fn write(
    stores: &[Store],
    cases: u64,
    now: Millis,
    tell: &dyn Fn(&str),
) -> Result<(), Failure> {
    let trust = stores[HUB].read(|db| db.shared_trust())?;
    let days = working_days(&trust, now);
    let mut chance = Chance::new(SEED);
    let mut plans = plan(&trust, cases, days.len() as u64, &mut chance);
    let mut tasks = tasks(&plans, &trust, &days, &mut chance);
    let mut hung = Vec::new();
    for (index, day) in days.iter().enumerate() {
        let begins = day_begins(*day);
        let today = tasks.remove(&(index as u64)).unwrap_or_default();
        work_a_day(stores, &mut plans, &mut hung, today, begins)?;
        if index % 10 == 9 {
            tell(&format!("  {} / {} 个工作日", index + 1, days.len()));
        }
    }
    Ok(())
}

/// The last working days before today, oldest first.
fn working_days(trust: &Trust, now: Millis) -> Vec<Date> {
    let mut days = Vec::new();
    let mut day = civil_day(now);
    while (days.len() as u64) < DAYS {
        let Ok(before) = day.yesterday() else {
            break;
        };
        day = before;
        if trust
            .calendar()
            .is_workday(day)
            .unwrap_or_else(|| day.weekday().to_monday_one_offset() < 6)
        {
            days.push(day);
        }
    }
    days.reverse();
    days
}

/// Which cases there will be.
fn plan(trust: &Trust, cases: u64, days: u64, chance: &mut Chance) -> Vec<Plan> {
    let items = &trust.catalogue().items;
    let names = ["石桥村", "青溪村"];
    let mut plans: Vec<Plan> = Vec::new();
    let mut open = std::collections::BTreeSet::new();
    while (plans.len() as u64) < cases {
        let number = plans.len() as u64;
        let course = course_of(number, cases, chance);
        let item = chance.of(items);
        let at_village = item.decide.contains(&Level::Village);
        let own = item.decide.contains(&Level::Township);
        let decided = at_village || own || item.decide.contains(&Level::County);
        if item.receive != Level::Village || !decided || !course.suits(item, own, at_village) {
            continue;
        }
        let village = chance.below(2) as usize;
        // Some people come more than once.
        let resident = match chance.below(6) {
            0 if !plans.is_empty() => {
                let before = chance.of(&plans);
                if before.village != VILLAGES[village] {
                    continue;
                }
                before.resident.clone()
            }
            _ => people::resident(chance, names[village], 2026),
        };
        if !open.insert((resident.id.reveal().to_owned(), item.code.clone())) {
            continue;
        }
        let (least, most) = course.age();
        let age = chance.between(least, most.min(days - 1)) + 1;
        plans.push(Plan {
            village: VILLAGES[village],
            steps: course.steps(item, own, number + 1),
            course,
            item: item.clone(),
            resident,
            begins: days - age.min(days),
            mandate: item.proxy_allowed && !item.presence_required && chance.percent(60),
            id: None,
        });
    }
    plans
}

/// Each course gets its share, however few cases there are: the rare ones come first.
fn course_of(number: u64, cases: u64, chance: &mut Chance) -> Course {
    let each = Course::SHARES.len() as u64;
    if cases >= each && number < each {
        return Course::SHARES[number as usize].0;
    }
    let mut at = chance.below(100);
    for (course, share) in Course::SHARES {
        if at < share {
            return course;
        }
        at -= share;
    }
    Course::Received
}

/// Everything to be done, by day.
fn tasks(
    plans: &[Plan],
    trust: &Trust,
    days: &[Date],
    chance: &mut Chance,
) -> BTreeMap<u64, Vec<Task>> {
    let mut tasks: BTreeMap<u64, Vec<Task>> = BTreeMap::new();
    for (index, plan) in plans.iter().enumerate() {
        let morning = MORNING + chance.below(150) as i64;
        tasks.entry(plan.begins).or_default().push(Task {
            seat: plan.village,
            desk: Desk::Village,
            minute: morning,
            what: What::Log(index),
        });
        // Two desks that do not know of each other act within minutes.
        let disputed = morning + 160;
        for step in &plan.steps {
            let (seat, minute) = match step.desk {
                Desk::Village if plan.course == Course::Disputed => (plan.village, disputed),
                Desk::Village => (plan.village, morning + 60),
                Desk::TownshipUnaware => (TOWNSHIP, disputed + 4),
                Desk::Township => (TOWNSHIP, AFTERNOON + chance.below(120) as i64),
                Desk::County => (HUB, EVENING + chance.below(60) as i64),
            };
            let what = What::Act(index, step.body.clone());
            let task = Task {
                seat,
                desk: step.desk,
                minute,
                what,
            };
            tasks.entry(plan.begins + step.day).or_default().push(task);
        }
    }
    for (day, task) in postings(trust, days, chance) {
        tasks.entry(day).or_default().push(task);
    }
    tasks
}

/// The notices, spread over the last weeks; two are taken down again.
fn postings(trust: &Trust, days: &[Date], chance: &mut Chance) -> Vec<(u64, Task)> {
    let last = days.len() as u64 - 1;
    let mut all = Vec::new();
    for (who, category, title, body) in notices::TEXTS {
        let seats: &[(usize, Desk, i64)] = match who {
            Who::Village => &[
                (VILLAGES[0], Desk::Village, MORNING),
                (VILLAGES[1], Desk::Village, MORNING),
            ],
            Who::Township => &[(TOWNSHIP, Desk::Township, AFTERNOON)],
            Who::County => &[(HUB, Desk::County, EVENING)],
        };
        for (seat, desk, minute) in seats {
            let day = chance.below(last - 1);
            let until = days.get(day as usize + 15).map(ToString::to_string);
            let site = super::county::seat_site(trust, *seat);
            let name = trust.places().site(site).map_or("", |place| &place.name);
            let publish = Publish {
                title: title.replace('@', name),
                body: body.to_owned(),
                places: trust.places().area(site),
                category: category.to_owned(),
                from: days[day as usize].to_string(),
                until: until.filter(|_some| chance.percent(50)),
                case: None,
                correction: String::new(),
            };
            let what = What::Publish(publish);
            all.push((
                day,
                Task {
                    seat: *seat,
                    desk: *desk,
                    minute: *minute,
                    what,
                },
            ));
        }
    }
    for (seat, why) in [
        (VILLAGES[0], "面积有误,重新核实后再公示"),
        (TOWNSHIP, "内容重复"),
    ] {
        let desk = if seat == TOWNSHIP {
            Desk::Township
        } else {
            Desk::Village
        };
        all.push((
            last,
            Task {
                seat,
                desk,
                minute: AFTERNOON,
                what: What::Retract(why),
            },
        ));
    }
    all
}

/// One day: the desks act in turn, and the nodes meet in between.
fn work_a_day(
    stores: &[Store],
    plans: &mut [Plan],
    hung: &mut Vec<(usize, DocId)>,
    mut tasks: Vec<Task>,
    begins: Millis,
) -> Result<(), Failure> {
    tasks.sort_by_key(|task| (task.desk, task.minute));
    let mut tasks = tasks.into_iter().peekable();
    let at = |minute: i64| begins.after(minute * MINUTE_MS);
    for desk in [
        Desk::Village,
        Desk::TownshipUnaware,
        Desk::Township,
        Desk::County,
    ] {
        let mut by_seat: BTreeMap<usize, Vec<Task>> = BTreeMap::new();
        while let Some(task) = tasks.next_if(|task| task.desk == desk) {
            by_seat.entry(task.seat).or_default().push(task);
        }
        for (seat, tasks) in by_seat {
            let mut work = Vec::new();
            for task in tasks {
                work.push(order(plans, hung, &task, at(task.minute))?);
            }
            let done: Result<Vec<Done>, _> = stores[seat]
                .write(move |db| work.into_iter().map(|order| order.carry_out(db)).collect());
            for done in done? {
                if let Some((plan, case)) = done.case {
                    plans[plan].id = Some(case);
                }
                hung.extend(done.notice.map(|notice| (seat, notice)));
            }
        }
        match desk {
            Desk::TownshipUnaware => meet(stores, at(13 * 60))?,
            Desk::Township => exchange(&stores[TOWNSHIP], &stores[HUB], at(16 * 60 + 15))?,
            Desk::County => meet(stores, at(18 * 60))?,
            Desk::Village => {}
        }
    }
    Ok(())
}

/// Everybody meets upstream: what came down goes on to the villages.
fn meet(stores: &[Store], now: Millis) -> Result<(), Failure> {
    exchange(&stores[TOWNSHIP], &stores[HUB], now)?;
    for village in VILLAGES {
        exchange(&stores[village], &stores[TOWNSHIP], now)?;
    }
    exchange(&stores[TOWNSHIP], &stores[HUB], now)
}

/// A command ready for the store's thread.
struct Order {
    plan: Option<usize>,
    role: Role,
    command: Command,
    at: Millis,
}

/// What came of it.
struct Done {
    case: Option<(usize, CaseId)>,
    notice: Option<DocId>,
}

fn order(
    plans: &[Plan],
    hung: &[(usize, DocId)],
    task: &Task,
    at: Millis,
) -> Result<Order, Failure> {
    let authority = match task.desk {
        Desk::Village => Role::Agent,
        Desk::TownshipUnaware | Desk::Township | Desk::County => Role::Decider,
    };
    let (plan, role, command) = match &task.what {
        What::Log(plan) => (Some(*plan), Role::Agent, Command::Log(log(&plans[*plan]))),
        What::Act(plan, body) => {
            let case = plans[*plan]
                .id
                .ok_or_else(|| Failure::fault("a case nobody logged"))?;
            (
                None,
                authority,
                Command::Act {
                    case,
                    body: body.clone(),
                },
            )
        }
        What::Publish(publish) => (
            None,
            Role::Publisher,
            Command::PublishNotice(publish.clone()),
        ),
        What::Retract(reason) => {
            let first = hung.iter().find(|(seat, _)| *seat == task.seat);
            let (_, notice) = first.ok_or_else(|| Failure::fault("no notice to take down"))?;
            let reason = (*reason).to_owned();
            (
                None,
                Role::Publisher,
                Command::RetractNotice {
                    notice: *notice,
                    reason,
                },
            )
        }
    };
    Ok(Order {
        plan,
        role,
        command,
        at,
    })
}

fn log(plan: &Plan) -> LogCase {
    let resident = &plan.resident;
    let mut case = LogCase {
        item: plan.item.code.clone(),
        receive: plan.course != Course::Draft,
        mandate: plan.mandate.then(|| Mandate {
            may_withdraw: true,
            may_collect: true,
            ..Mandate::default()
        }),
        complete: (plan.course == Course::OnTheSpot).then(|| "当场办结".to_owned()),
        ..LogCase::default()
    };
    let known = [
        (fields::NAME, &resident.name),
        (fields::ID, &resident.id),
        (fields::PHONE, &resident.phone),
        (fields::ADDRESS, &resident.address),
        (fields::GROUP, &resident.group),
    ];
    for (field, value) in known {
        let _before = case.fields.insert(field.to_owned(), value.clone());
    }
    if plan.course == Course::WithGaps {
        let gap = (0_u32..)
            .zip(&plan.item.materials)
            .find(|(_, line)| line.deferrable);
        if let Some((index, _)) = gap {
            let word = MaterialState::Deferred.word().to_owned();
            let _before = case.materials.insert(index, word);
        }
    }
    case
}

impl Order {
    /// In the store's thread.
    fn carry_out(self, db: &mut Db) -> Result<Done, StoreError> {
        let trust = db.shared_trust()?;
        let site = db.site()?;
        let person = trust
            .directory()
            .people
            .iter()
            .find(|person| person.site == site && person.roles.contains(&self.role))
            .ok_or(StoreError::Refused(
                "nobody of the sample county may do this",
            ))?;
        let actor = Actor {
            person: person.id,
            roles: person.roles.clone(),
            site,
        };
        let done = perform(db, &actor, &self.command, (self.at, ClockState::Ok));
        let done = done.map_err(|failed| match failed {
            Failed::Refused(refusal) => {
                tracing::error!(code = refusal.code(), "the rules refuse sample work");
                StoreError::Refused("the rules refuse sample work")
            }
            Failed::Store(error) => error,
        })?;
        Ok(Done {
            case: self.plan.zip(done.case),
            notice: done
                .notice
                .filter(|_| matches!(self.command, Command::PublishNotice(_))),
        })
    }
}
