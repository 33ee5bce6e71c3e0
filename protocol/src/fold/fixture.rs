//! A small county for tests, and desks that act in it without judging.

use std::sync::LazyLock;

use super::{Ground, fold};
use crate::{
    act::*,
    calendar::Calendar,
    case::Case,
    control::{CalendarDoc, Catalogue, Item, Material, Place, Places},
    document::{Change, Doc, Write},
    id::{ActId, ActorId, CaseId, Kind, NodeId, PersonId, SiteId, Writer},
    role::{Level, Role},
    text::Private,
    time::{ClockState, HybridClock, Millis},
};

pub(crate) const COUNTY: SiteId = SiteId(1);
pub(crate) const TOWNSHIP: SiteId = SiteId(2);
pub(crate) const VILLAGE: SiteId = SiteId(3);
pub(crate) const OTHER_VILLAGE: SiteId = SiteId(4);
pub(crate) const OTHER_TOWNSHIP: SiteId = SiteId(5);

/// Decided by township or county; promise 10, legal 15 working days; papers 2 and 3 deferrable.
pub(crate) const RELIEF: &str = "990010003000";
/// Decided by the county only.
pub(crate) const AGE: &str = "990010007000";
/// On the spot, decided by the township.
pub(crate) const INSURANCE: &str = "990010012000";
/// Done at the village point; the person must come.
pub(crate) const PENSION: &str = "990010019000";

/// A child in need: never made public.
pub(crate) const ORPHAN: &str = "990010009000";

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2026-03-02, a Monday, 09:00 in UTC+8.
pub(crate) const MONDAY: Millis = Millis(1_772_413_200_000);

pub(crate) fn item() -> Item {
    let material = |name: &str, deferrable, no_submit| Material {
        name: name.into(),
        deferrable,
        no_submit,
    };
    Item {
        code: RELIEF.into(),
        version: 1,
        name: "临时救助(一般程序)".into(),
        class: "行政给付".into(),
        department: "民政局".into(),
        receive: Level::Village,
        decide: vec![Level::Township, Level::County],
        legal_days: 15,
        promised_days: 10,
        on_the_spot: false,
        materials: vec![
            material("临时救助申请书", false, false),
            material("居民身份证", false, true),
            material("家庭经济状况核对授权书", true, false),
            material("困难情形证明材料", true, false),
        ],
        stages: vec![],
        proxy_allowed: true,
        presence_required: false,
        privacy: "publish_minimal".into(),
        keywords: vec![],
        retired: false,
    }
}

pub(crate) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
    items: vec![
        item(),
        Item {
            code: AGE.into(),
            name: "高龄津贴".into(),
            decide: vec![Level::County],
            ..item()
        },
        Item {
            code: ORPHAN.into(),
            name: "孤儿认定".into(),
            privacy: "minor_no_publish".into(),
            ..item()
        },
        Item {
            code: INSURANCE.into(),
            name: "城乡居民基本医疗保险参保登记".into(),
            decide: vec![Level::Township],
            promised_days: 0,
            on_the_spot: true,
            ..item()
        },
        Item {
            code: PENSION.into(),
            name: "养老保险待遇领取资格认证".into(),
            decide: vec![Level::Village],
            promised_days: 0,
            on_the_spot: true,
            proxy_allowed: false,
            presence_required: true,
            ..item()
        },
    ],
});

pub(crate) static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let place = |site: SiteId, parent: Option<SiteId>, level, code: &str, name: &str| Place {
        site,
        parent,
        level,
        code: code.into(),
        name: name.into(),
        before: vec![],
    };
    Places {
        sites: vec![
            place(COUNTY, None, Level::County, "349901000000", "云麓县(样例)"),
            place(
                TOWNSHIP,
                Some(COUNTY),
                Level::Township,
                "349901100000",
                "北乡镇",
            ),
            place(
                VILLAGE,
                Some(TOWNSHIP),
                Level::Village,
                "349901100201",
                "石桥村",
            ),
            place(
                OTHER_VILLAGE,
                Some(TOWNSHIP),
                Level::Village,
                "349901100202",
                "青溪村",
            ),
            place(
                OTHER_TOWNSHIP,
                Some(COUNTY),
                Level::Township,
                "349901101000",
                "南乡镇",
            ),
        ],
    }
});

pub(crate) static CALENDAR: LazyLock<Calendar> = LazyLock::new(|| {
    let days = |from: &str, to: &str| {
        let (from, to): (jiff::civil::Date, jiff::civil::Date) =
            (from.parse().unwrap(), to.parse().unwrap());
        let all = from.series(jiff::Span::new().days(1));
        all.take_while(move |d| *d <= to)
            .map(|d| d.to_string())
            .collect::<Vec<_>>()
    };
    let doc = CalendarDoc {
        years: vec![2026],
        off: [
            days("2026-01-01", "2026-01-03"),
            days("2026-02-15", "2026-02-23"),
            days("2026-04-04", "2026-04-06"),
            days("2026-05-01", "2026-05-05"),
        ]
        .concat(),
        work: ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09"]
            .map(str::to_owned)
            .to_vec(),
    };
    Calendar::new(&doc, 7).unwrap()
});

pub(crate) fn ground() -> Ground<'static> {
    Ground {
        catalogue: &CATALOGUE,
        calendar: &CALENDAR,
        places: &PLACES,
    }
}

pub(crate) fn case_id() -> CaseId {
    CaseId::new(VILLAGE, [1; 11])
}

pub(crate) fn reason(text: &str) -> Reason {
    Reason { text: text.into() }
}

pub(crate) fn correct(materials: &[u32]) -> ActBody {
    ActBody::Correct(Correct {
        missing: materials
            .iter()
            .map(|m| Missing {
                material: Some(*m),
                how: "请补交".into(),
            })
            .collect(),
        days: 15,
    })
}

pub(crate) fn decide(granted: bool) -> ActBody {
    ActBody::Decide(Decide {
        granted,
        reason: "情况属实".into(),
        remedies: "六十日内可申请行政复议".into(),
    })
}

pub(crate) fn close() -> ActBody {
    ActBody::Close(Close {
        result: "救助金发放通知".into(),
        result_number: String::new(),
    })
}

pub(crate) fn deliver() -> ActBody {
    ActBody::Deliver(Deliver {
        way: DeliveryWay::Collected,
        receiver: None,
        note: String::new(),
    })
}

pub(crate) fn receive(number: &str) -> ActBody {
    ActBody::Receive(Receive {
        number: number.into(),
        mandate: None,
        taken: None,
        duplicate_reason: None,
    })
}

pub(crate) fn open(item: &str) -> ActBody {
    ActBody::Open(Open {
        item: item.into(),
        item_version: 1,
    })
}

/// One machine with one person at it, and its copies of the two documents of one case.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) site: SiteId,
    pub(crate) role: Role,
    pub(crate) person: PersonId,
    pub(crate) actor: ActorId,
    pub(crate) clock: HybridClock,
    /// What the machine's clock shows; each act moves it by a second.
    pub(crate) now: Millis,
    pub(crate) clock_state: ClockState,
    pub(crate) application: Doc,
    pub(crate) handling: Doc,
}

impl Desk {
    pub(crate) fn new(n: u8, site: SiteId, role: Role) -> Self {
        let node = NodeId::of_key(&[n; 32]);
        Self {
            site,
            role,
            person: PersonId([n; 8]),
            actor: Writer { node, epoch: 1 }.actor(),
            clock: HybridClock::default(),
            now: MONDAY,
            clock_state: ClockState::Ok,
            application: Doc::new(case_id().doc(Kind::Application)),
            handling: Doc::new(case_id().doc(Kind::Handling)),
        }
    }

    pub(crate) fn at(mut self, now: Millis) -> Self {
        self.now = now;
        self
    }

    fn doc(&mut self, side: Kind) -> &mut Doc {
        match side {
            Kind::Application => &mut self.application,
            Kind::Handling => &mut self.handling,
            Kind::Notice => unreachable!("cases only"),
        }
    }

    /// Writes acts and fields as one change on that side.
    pub(crate) fn write(
        &mut self,
        side: Kind,
        bodies: Vec<ActBody>,
        fields: &[(&str, &str)],
    ) -> (Vec<ActId>, Change) {
        let other = match side {
            Kind::Application => &self.handling,
            Kind::Handling | Kind::Notice => &self.application,
        };
        let saw = other.reading().unwrap().acts.last().map(|a| a.id);
        let mut ids = Vec::new();
        let mut writes = Vec::new();
        for body in bodies {
            self.now = self.now.after(1_000);
            let id = self.clock.tick(self.now, self.actor);
            ids.push(id);
            let act = Act {
                person: self.person,
                role: self.role,
                at: self.now,
                clock: self.clock_state,
                saw,
                body,
                site: self.site,
            };
            writes.push(Write::Act(id, act));
        }
        for (name, value) in fields {
            writes.push(Write::Field((*name).into(), Some(Private::new(*value))));
        }
        let (actor, now) = (self.actor, self.now);
        let change = self.doc(side).write(actor, now, &writes).unwrap();
        (ids, change)
    }

    /// One act of the applicant's side.
    pub(crate) fn apply(&mut self, body: ActBody) -> ActId {
        self.write(Kind::Application, vec![body], &[]).0[0]
    }

    /// One act of the authority's side.
    pub(crate) fn handle(&mut self, body: ActBody) -> ActId {
        self.write(Kind::Handling, vec![body], &[]).0[0]
    }

    /// Edits one field.
    pub(crate) fn amend(&mut self, field: &str, value: &str) -> ActId {
        let body = ActBody::Amend(Amend {
            field: field.into(),
            reason: "更正".into(),
        });
        self.write(Kind::Application, vec![body], &[(field, value)])
            .0[0]
    }

    /// Opens and receives the case, all papers there.
    pub(crate) fn log(&mut self, item: &str) -> ActId {
        let fields = [
            ("name", "林小满"),
            ("phone", "13800000000"),
            ("material.0", "original"),
            ("material.1", "shared"),
            ("material.2", "copy"),
            ("material.3", "copy"),
        ];
        let bodies = vec![open(item), receive("34990110020120260302010001")];
        self.write(Kind::Application, bodies, &fields).0[1]
    }

    /// Takes in all the other desk has.
    pub(crate) fn pull(&mut self, from: &Self) {
        for (mine, theirs) in [
            (&mut self.application, &from.application),
            (&mut self.handling, &from.handling),
        ] {
            for change in theirs.changes() {
                mine.apply(&change.bytes).unwrap();
            }
            for act in mine.reading().unwrap().acts {
                self.clock.observe(act.id, self.now, DAY);
            }
        }
    }

    pub(crate) fn case(&self) -> Case {
        let application = self.application.reading().unwrap();
        let handling = self.handling.reading().unwrap();
        fold(&application, Some(&handling), &ground()).unwrap()
    }
}

/// A village desk that has logged a case, and the township's and the county's desks that have
/// it, an hour later.
pub(crate) fn logged(item: &str) -> (Desk, Desk, Desk) {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    village.log(item);
    let mut township = Desk::new(2, TOWNSHIP, Role::Decider).at(MONDAY.after(HOUR));
    township.pull(&village);
    let mut county = Desk::new(3, COUNTY, Role::Decider).at(MONDAY.after(HOUR));
    county.pull(&village);
    (village, township, county)
}
