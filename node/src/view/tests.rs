//! Rows, without a store: one connection, documents made by hand.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{Act, ActBody, Close, Decide, Duplicate, Open, Reason, Receive},
    calendar::Calendar,
    control::{CalendarDoc, Catalogue, Item, Material, Place, Places},
    document::{Doc, Write},
    fields, fold,
    id::{ActorId, CaseId, Kind, NodeId, PersonId, SiteId, Writer},
    role::{Level, Role},
    text::Private,
    time::{ClockState, HybridClock, Millis},
};
use rusqlite::Connection;

use super::case;

const COUNTY: SiteId = SiteId(1);
const TOWNSHIP: SiteId = SiteId(2);
const VILLAGE: SiteId = SiteId(3);
const OTHER_VILLAGE: SiteId = SiteId(4);
const ITEM: &str = "990010003000";
/// 2026-03-02, a Monday, 09:00 in UTC+8.
const MONDAY: Millis = Millis(1_772_413_200_000);
const DAY: i64 = 24 * 3_600 * 1000;
const LI: &str = "349901197608221121";

struct World {
    db: Connection,
    catalogue: Catalogue,
    calendar: Calendar,
    places: Places,
    clock: HybridClock,
    now: Millis,
    next: u8,
    docs: BTreeMap<CaseId, (Doc, Doc)>,
}

impl World {
    fn new() -> Self {
        let place = |site, parent, level, code: &str| Place {
            site,
            parent,
            level,
            code: code.to_owned(),
            name: code.to_owned(),
            before: vec![],
        };
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(super::ROWS.sql).unwrap();
        Self {
            db,
            catalogue: Catalogue {
                items: vec![item(ITEM)],
            },
            calendar: Calendar::new(
                &CalendarDoc {
                    years: vec![2026],
                    ..CalendarDoc::default()
                },
                1,
            )
            .unwrap(),
            places: Places {
                sites: vec![
                    place(COUNTY, None, Level::County, "349901000000"),
                    place(TOWNSHIP, Some(COUNTY), Level::Township, "349901100000"),
                    place(VILLAGE, Some(TOWNSHIP), Level::Village, "349901100201"),
                    place(
                        OTHER_VILLAGE,
                        Some(TOWNSHIP),
                        Level::Village,
                        "349901100202",
                    ),
                ],
            },
            clock: HybridClock::default(),
            now: MONDAY,
            next: 0,
            docs: BTreeMap::new(),
        }
    }

    fn open(&mut self, site: SiteId, name: &str, id: &str) -> CaseId {
        self.next += 1;
        let case = CaseId::new(site, [self.next; 11]);
        let docs = (
            Doc::new(case.doc(Kind::Application)),
            Doc::new(case.doc(Kind::Handling)),
        );
        let _none = self.docs.insert(case, docs);
        let open = ActBody::Open(Open {
            item: ITEM.to_owned(),
            item_version: 1,
        });
        let fields = [(fields::NAME, name), (fields::ID, id)];
        self.write(case, site, vec![open], &fields);
        case
    }

    fn receive(&mut self, case: CaseId, number: &str) {
        let receive = ActBody::Receive(Receive {
            number: number.to_owned(),
            mandate: None,
            taken: None,
            duplicate_reason: None,
        });
        self.write(case, case.site(), vec![receive], &[]);
    }

    fn handle(&mut self, case: CaseId, body: ActBody) {
        self.write(case, TOWNSHIP, vec![body], &[]);
    }

    fn write(&mut self, case: CaseId, site: SiteId, acts: Vec<ActBody>, set: &[(&str, &str)]) {
        self.now = self.now.after(60_000);
        let node = NodeId([u8::try_from(site.0).unwrap(); 8]);
        let actor: ActorId = Writer { node, epoch: 1 }.actor();
        let role = if site == TOWNSHIP {
            Role::Decider
        } else {
            Role::Agent
        };
        let mut writes: Vec<Write> = set
            .iter()
            .map(|(name, value)| Write::Field((*name).to_owned(), Some(Private::new(*value))))
            .collect();
        for body in acts {
            let act = Act {
                person: PersonId([1; 8]),
                role,
                at: self.now,
                clock: ClockState::Ok,
                saw: None,
                body,
                site,
            };
            writes.push(Write::Act(self.clock.tick(self.now, actor), act));
        }
        let docs = self.docs.get_mut(&case).unwrap();
        let doc = if site == TOWNSHIP {
            &mut docs.1
        } else {
            &mut docs.0
        };
        let _change = doc.write(actor, self.now, &writes).unwrap();
        self.refresh(case);
    }

    fn refresh(&self, id: CaseId) {
        let ground = fold::Ground {
            catalogue: &self.catalogue,
            calendar: &self.calendar,
            places: &self.places,
        };
        let (application, handling) = &self.docs[&id];
        let folded = fold::fold(
            &application.reading().unwrap(),
            Some(&handling.reading().unwrap()),
            &ground,
        );
        case::put(&self.db, &folded.unwrap(), &ground).unwrap();
    }

    fn column<T: rusqlite::types::FromSql>(&self, case: CaseId, name: &str) -> T {
        let sql = format!("SELECT {name} FROM case_row WHERE case_id = ?1");
        self.db.query_row(&sql, [case.0], |row| row.get(0)).unwrap()
    }

    fn tally(&self) -> Vec<(u32, String, i64)> {
        self.db
            .prepare("SELECT site, state, n FROM case_tally ORDER BY site, state")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    /// Everything that must be equal after rows are made again.
    fn dump(&self) -> Vec<Vec<String>> {
        super::ROWS
            .compare
            .iter()
            .map(|sql| {
                let mut statement = self.db.prepare(sql).unwrap();
                let columns = statement.column_count();
                statement
                    .query_map([], |row| {
                        let values: Vec<_> = (0..columns)
                            .map(|i| format!("{:?}", row.get_ref(i).unwrap()))
                            .collect();
                        Ok(values.join("|"))
                    })
                    .unwrap()
                    .collect::<Result<_, _>>()
                    .unwrap()
            })
            .collect()
    }

    fn search(&self, typed: &str) -> i64 {
        let expression = super::terms::expression(typed, None).unwrap();
        self.db
            .query_row(
                "SELECT count(*) FROM case_search WHERE case_search MATCH ?1",
                [expression],
                |row| row.get(0),
            )
            .unwrap()
    }
}

fn item(code: &str) -> Item {
    Item {
        code: code.to_owned(),
        version: 1,
        name: "临时救助".to_owned(),
        class: "行政给付".to_owned(),
        department: "民政局".to_owned(),
        receive: Level::Village,
        decide: vec![Level::Township],
        legal_days: 15,
        promised_days: 10,
        on_the_spot: false,
        materials: vec![Material {
            name: "申请书".to_owned(),
            deferrable: false,
            no_submit: true,
        }],
        stages: vec![],
        proxy_allowed: true,
        presence_required: false,
        privacy: String::new(),
        keywords: vec![],
        retired: false,
    }
}

fn reason(text: &str) -> Reason {
    Reason {
        text: text.to_owned(),
    }
}

#[test]
fn a_case_moves_from_desk_to_desk_and_its_row_says_whose_turn_it_is() {
    let mut w = World::new();
    let case = w.open(VILLAGE, "李四", LI);
    assert_eq!(w.column::<String>(case, "state"), "draft");
    assert_eq!(w.column::<u8>(case, "turn"), 1);
    w.receive(case, "34990110020120260302010001");
    assert_eq!(w.column::<u8>(case, "turn"), 2);
    assert_eq!(w.tally(), [(3, "received".to_owned(), 1)]);
    let accept = ActBody::Accept(Default::default());
    w.handle(case, accept);
    w.handle(case, ActBody::Review(reason("同意")));
    w.handle(
        case,
        ActBody::Decide(Decide {
            granted: true,
            reason: String::new(),
            remedies: String::new(),
        }),
    );
    w.handle(
        case,
        ActBody::Close(Close {
            result: "批准".to_owned(),
            result_number: String::new(),
        }),
    );
    assert_eq!(w.column::<String>(case, "state"), "closed");
    assert_eq!(w.column::<u8>(case, "turn"), 1);
    assert_eq!(w.tally(), [(3, "closed".to_owned(), 1)]);
}

#[test]
fn the_light_of_a_deadline_is_yellow_before_its_day_and_the_row_knows_since_when() {
    let mut w = World::new();
    let case = w.open(VILLAGE, "李四", LI);
    w.receive(case, "34990110020120260302010001");
    let (from, due): (String, String) = (w.column(case, "yellow_from"), w.column(case, "due"));
    assert!(from < due && due.as_str() < super::NO_DUE, "{from} {due}");
}

#[test]
fn on_every_day_the_row_shows_the_light_that_the_fold_would() {
    let w = World::new();
    let due = cuntong_protocol::case::Due {
        date: jiff::civil::date(2026, 10, 9),
        provisional: false,
        calendar_version: 1,
    };
    let from = case::yellow_from(&due, &w.calendar);
    let mut day = jiff::civil::date(2026, 8, 1);
    while day < jiff::civil::date(2026, 10, 20) {
        let row = if day > due.date {
            cuntong_protocol::case::Light::Red
        } else if from <= day {
            cuntong_protocol::case::Light::Yellow
        } else {
            cuntong_protocol::case::Light::Green
        };
        assert_eq!(row, fold::light(&due, day, &w.calendar), "{day}");
        day = day.tomorrow().unwrap();
    }
}

#[test]
fn the_same_paper_typed_at_two_places_is_marked_until_somebody_links_it() {
    let mut w = World::new();
    let first = w.open(VILLAGE, "李四", LI);
    w.receive(first, "34990110020120260302010001");
    let second = w.open(OTHER_VILLAGE, "李四", LI);
    assert!(!w.column::<bool>(first, "twin"), "a draft is no case yet");
    w.receive(second, "34990110020220260302010001");
    assert!(w.column::<bool>(first, "twin") && w.column::<bool>(second, "twin"));
    let link = ActBody::Duplicate(Duplicate {
        of: first,
        reason: "同一张表".to_owned(),
    });
    w.handle(second, link);
    assert!(!w.column::<bool>(first, "twin") && !w.column::<bool>(second, "twin"));
}

#[test]
fn a_name_put_right_is_found_and_the_wrong_one_is_not() {
    let mut w = World::new();
    let case = w.open(VILLAGE, "张三", LI);
    assert_eq!(w.search("zs"), 1);
    w.write(case, VILLAGE, vec![], &[(fields::NAME, "李四")]);
    assert_eq!((w.search("张"), w.search("zs"), w.search("ls")), (0, 0, 1));
}

#[test]
fn rows_made_again_in_another_order_are_the_same() {
    let mut w = World::new();
    let mut cases = Vec::new();
    for (i, name) in ["张三", "李四", "𬱖龑", "买买提·吐尔逊", "单雄信"]
        .iter()
        .enumerate()
    {
        let site = if i % 2 == 0 { VILLAGE } else { OTHER_VILLAGE };
        let case = w.open(site, name, if i < 3 { LI } else { "" });
        if i != 1 {
            w.receive(case, &format!("3499011002012026030201000{i}"));
        }
        cases.push(case);
    }
    w.handle(cases[0], ActBody::Accept(Default::default()));
    let before = w.dump();
    let fresh = World::new();
    let again = World {
        docs: w.docs.clone(),
        ..fresh
    };
    for case in cases.iter().rev() {
        again.refresh(*case);
    }
    assert_eq!(again.dump(), before);
    assert!(before.iter().take(3).all(|table| !table.is_empty()));
}

#[test]
fn a_case_taken_out_leaves_nothing_behind() {
    let mut w = World::new();
    let first = w.open(VILLAGE, "张三", LI);
    w.receive(first, "34990110020120260302010001");
    let second = w.open(VILLAGE, "张三", LI);
    w.receive(second, "34990110020120260302010002");
    w.now = w.now.after(DAY);
    case::remove(&w.db, first).unwrap();
    assert!(!w.column::<bool>(second, "twin"));
    assert_eq!(w.search("张三"), 1);
    case::remove(&w.db, second).unwrap();
    assert!(w.dump().iter().all(Vec::is_empty));
}

#[test]
fn no_list_walks_all_cases_or_sorts_them() {
    let w = World::new();
    for (name, sql) in [
        ("all", include_str!("../store/sql/queries/cases_all.sql")),
        (
            "state",
            include_str!("../store/sql/queries/cases_state.sql"),
        ),
        ("mine", include_str!("../store/sql/queries/cases_mine.sql")),
        (
            "yellow",
            include_str!("../store/sql/queries/cases_yellow.sql"),
        ),
        ("red", include_str!("../store/sql/queries/cases_red.sql")),
        (
            "waiting",
            include_str!("../store/sql/queries/cases_waiting.sql"),
        ),
        (
            "pending",
            include_str!("../store/sql/queries/cases_pending.sql"),
        ),
        (
            "drafts",
            include_str!("../store/sql/queries/cases_drafts.sql"),
        ),
        (
            "search",
            include_str!("../store/sql/queries/cases_search.sql"),
        ),
        (
            "duplicates",
            include_str!("../store/sql/queries/case_duplicates.sql"),
        ),
        ("twins", include_str!("../store/sql/queries/case_twins.sql")),
        (
            "received",
            include_str!("../store/sql/queries/received_between.sql"),
        ),
        (
            "number",
            include_str!("../store/sql/queries/case_by_number.sql"),
        ),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = w.db.prepare(&explain).unwrap();
        let mut steps = statement.raw_query();
        let mut plan: Vec<String> = Vec::new();
        while let Some(step) = steps.next().unwrap() {
            plan.push(step.get(3).unwrap());
        }
        for step in &plan {
            // All of it, newest first, stops at the page's last row.
            let walks = step.starts_with("SCAN r") && name != "all" && name != "pending";
            let sorts = step.contains("TEMP B-TREE FOR ORDER BY");
            assert!(!walks && !sorts, "{name}: {plan:?}");
        }
    }
}

#[test]
fn cases_of_a_site_are_told_open_ones_apart_and_the_newest_first() {
    let mut world = World::new();
    let first = world.open(VILLAGE, "张三", LI);
    let second = world.open(VILLAGE, "李四", "");
    let _elsewhere = world.open(OTHER_VILLAGE, "王五", "");
    let third = world.open(VILLAGE, "赵六", "");
    let withdrawn = ActBody::Withdraw(Reason {
        text: "不办了".to_owned(),
    });
    world.write(second, VILLAGE, vec![withdrawn], &[]);
    let told = |open: bool, before: i64| {
        let mut statement = world.db.prepare(super::ROWS.cases).unwrap();
        let rows = statement.query_map((VILLAGE.0, open, before, 10), |r| {
            Ok((r.get::<_, i64>(0)?, CaseId(r.get(1)?)))
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let open = told(true, i64::MAX);
    let cases = |rows: &[(i64, CaseId)]| rows.iter().map(|(_, case)| *case).collect::<Vec<_>>();
    assert_eq!(cases(&open), [third, first]);
    assert_eq!(cases(&told(true, open[0].0)), [first]);
    assert_eq!(cases(&told(false, i64::MAX)), [second]);
}
