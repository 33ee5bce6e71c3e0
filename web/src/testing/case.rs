//! One case of every kind.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{
        Accept, ActBody, ActKind, Close, Correct, Decide, Mandate, Missing, Open, Reason, Receive,
    },
    case::{Candidate, Case, Clocks, Due, Event, Field, Flags, Light, Moments, Parallel, Void},
    control::Item,
    id::{ActId, ActorId, CaseId, ChangeHash, Kind, PersonId},
    role::{Level, Role},
    state::State,
    text::Private,
    time::ClockState,
};
use cuntong_web::desk::{Arrival, CaseCustody, CasePage, CaseRow, ReceiptRow};

use super::{
    NOW,
    sample::{NODES, PEOPLE, site},
    site_id,
};

/// What a sample case is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaseKind {
    Received,
    Correcting,
    Accepted,
    Decided,
    Closed,
    Delivered,
    Draft,
    Withdrawn,
    Conflict,
    Ruling,
    Twin,
}

impl CaseKind {
    /// In the order of the list.
    pub(crate) const ALL: [Self; 11] = [
        Self::Received,
        Self::Conflict,
        Self::Ruling,
        Self::Correcting,
        Self::Accepted,
        Self::Twin,
        Self::Decided,
        Self::Closed,
        Self::Draft,
        Self::Delivered,
        Self::Withdrawn,
    ];
}

pub(crate) fn id_of(kind: CaseKind) -> CaseId {
    CaseId::new(site_id(2), [kind as u8 + 1; 11])
}

/// One of every kind, as the desk of that level sees them.
pub(crate) fn cases(items: &[Item], level: Level) -> Vec<CasePage> {
    CaseKind::ALL
        .into_iter()
        .enumerate()
        .map(|(n, kind)| case(kind, n, &items[usize::from(n % 4 == 3)], level))
        .collect()
}

fn due(date: &str) -> Option<Due> {
    Some(Due {
        date: date.parse().expect("a sample date"),
        provisional: date > "2026-12-31",
        calendar_version: 4,
    })
}

/// Hours before now, side, what, and why it is void.
type Done = (i64, Kind, ActBody, Option<Void>);

const fn app(hours: i64, body: ActBody) -> Done {
    (hours, Kind::Application, body, None)
}

const fn hand(hours: i64, body: ActBody) -> Done {
    (hours, Kind::Handling, body, None)
}

fn accept(gaps: Vec<u32>) -> ActBody {
    ActBody::Accept(Accept {
        gaps,
        gap_days: 5,
        note: String::new(),
    })
}

fn yes() -> ActBody {
    ActBody::Decide(Decide {
        granted: true,
        reason: "家庭人均收入低于保障标准，经核对属实。".to_owned(),
        remedies: String::new(),
    })
}

fn said(text: &str) -> Reason {
    Reason {
        text: text.to_owned(),
    }
}

fn correct() -> ActBody {
    ActBody::Correct(Correct {
        missing: vec![
            Missing {
                material: Some(0),
                how: "照片不清，请重新提供".to_owned(),
            },
            Missing {
                material: None,
                how: "请本人在申请书第二页签名".to_owned(),
            },
        ],
        days: 30,
    })
}

/// The acts of a case, oldest first.
fn acts(kind: CaseKind, number: &str, item: &Item) -> Vec<Done> {
    let mut all = vec![app(
        52,
        ActBody::Open(Open {
            item: item.code.clone(),
            item_version: 3,
        }),
    )];
    if kind == CaseKind::Draft {
        return all;
    }
    let mandate = Mandate {
        may_collect: true,
        witness: Some("赵会计".to_owned()),
        ..Mandate::default()
    };
    let receive = Receive {
        number: number.to_owned(),
        mandate: (kind == CaseKind::Accepted).then_some(mandate),
        taken: None,
        duplicate_reason: None,
    };
    all.push(app(52, ActBody::Receive(receive)));
    all.extend(after_receipt(kind));
    all
}

fn after_receipt(kind: CaseKind) -> Vec<Done> {
    let withdraw = || ActBody::Withdraw(said("子女已接回赡养"));
    match kind {
        CaseKind::Received | CaseKind::Conflict | CaseKind::Twin | CaseKind::Draft => vec![],
        CaseKind::Correcting => vec![hand(28, correct())],
        CaseKind::Accepted => vec![hand(27, accept(vec![6]))],
        CaseKind::Withdrawn => vec![app(20, withdraw())],
        CaseKind::Ruling => vec![hand(27, accept(vec![])), hand(3, yes()), app(3, withdraw())],
        CaseKind::Decided | CaseKind::Closed | CaseKind::Delivered => {
            let void = Void::State {
                was: State::Accepted,
                act: ActKind::Accept,
            };
            let mut all = vec![
                hand(27, accept(vec![])),
                (26, Kind::Handling, accept(vec![]), Some(void)),
                hand(20, ActBody::Review(said("入户核对，情况属实。"))),
                hand(3, yes()),
            ];
            if kind != CaseKind::Decided {
                let close = Close {
                    result: "低保证已核发".to_owned(),
                    result_number: "云低保 2026-0187".to_owned(),
                };
                all.push(hand(2, ActBody::Close(close)));
            }
            all
        }
    }
}

fn events(kind: CaseKind, number: &str, item: &Item) -> (Vec<Event>, Vec<Arrival>) {
    let mut events = Vec::new();
    let mut arrivals = Vec::new();
    for (n, (hours, side, body, void)) in acts(kind, number, item).into_iter().enumerate() {
        let at = NOW.after(-hours * 3_600_000);
        let own = side == Kind::Application;
        let mut change = [kind as u8; 32];
        change[0] = u8::try_from(n).unwrap_or(0);
        events.push(Event {
            id: ActId::of(at, 0, ActorId([n as u8; 8])),
            side,
            person: PersonId([if own { 7 } else { 8 }; 8]),
            role: if own { Role::Agent } else { Role::Clerk },
            site: if own { site_id(2) } else { site_id(10) },
            at,
            clock: ClockState::Ok,
            body,
            change: ChangeHash(change),
            void,
        });
        arrivals.push(Arrival {
            change: ChangeHash(change),
            at: if own { at } else { at.after(9 * 3_600_000 / 4) },
            node: NODES[usize::from(!own)],
            site: if own { site_id(2) } else { site_id(10) },
            own,
        });
    }
    (events, arrivals)
}

const fn state(kind: CaseKind) -> State {
    match kind {
        CaseKind::Received | CaseKind::Conflict | CaseKind::Twin => State::Received,
        CaseKind::Correcting => State::Correcting,
        CaseKind::Accepted => State::Accepted,
        CaseKind::Decided | CaseKind::Ruling => State::DecidedYes,
        CaseKind::Closed => State::Closed,
        CaseKind::Delivered => State::Delivered,
        CaseKind::Draft => State::Draft,
        CaseKind::Withdrawn => State::Withdrawn,
    }
}

fn fields(kind: CaseKind, n: usize) -> BTreeMap<String, Field> {
    let (name, id, phone, group) = PEOPLE[n % PEOPLE.len()];
    let value = |text: &str| Field::Value(Private::new(text));
    let mut fields = BTreeMap::from([
        ("name".to_owned(), value(name)),
        ("id".to_owned(), value(id)),
        ("phone".to_owned(), value(phone)),
        ("group".to_owned(), value(group)),
        ("address".to_owned(), value("石桥村 18 号")),
        (
            "note".to_owned(),
            value("<script>alert('x')</script> & 备注"),
        ),
    ]);
    if kind == CaseKind::Conflict {
        let candidate = |text: &str, person: u8, hours: i64| Candidate {
            value: Private::new(text),
            writer: ActorId([person; 8]),
            act: None,
            person: Some(PersonId([person; 8])),
            at: Some(NOW.after(-hours * 3_600_000)),
        };
        let both = vec![
            candidate("13900000011", 7, 5),
            candidate("13900000022", 8, 4),
        ];
        fields.insert("phone".to_owned(), Field::Conflict(both));
    }
    fields
}

fn offers(kind: CaseKind, level: Level) -> Vec<ActKind> {
    use ActKind::{
        Accept, Amend, Close, Correct, Decide, Deliver, Duplicate, Receive, Refuse, Resolve,
        Review, Rule, Supplement, Terminate, Withdraw,
    };
    let mut all = match (kind, level) {
        (CaseKind::Draft, _) => vec![Receive],
        (CaseKind::Received | CaseKind::Conflict | CaseKind::Twin, Level::Village) => {
            vec![Withdraw]
        }
        (CaseKind::Received | CaseKind::Conflict | CaseKind::Twin, _) => {
            vec![Accept, Correct, Refuse, Terminate]
        }
        (CaseKind::Correcting, _) => vec![Supplement, Withdraw],
        (CaseKind::Accepted, Level::Village) => vec![Withdraw],
        (CaseKind::Accepted, _) => vec![Review, Decide, Terminate],
        (CaseKind::Ruling, Level::Village) => vec![],
        (CaseKind::Ruling, _) => vec![Rule],
        (CaseKind::Decided, Level::Village) => vec![],
        (CaseKind::Decided, _) => vec![Close],
        (CaseKind::Closed, _) => vec![Deliver],
        (CaseKind::Delivered | CaseKind::Withdrawn, _) => return vec![],
    };
    all.push(Amend);
    if kind == CaseKind::Conflict {
        all.push(Resolve);
    }
    if kind == CaseKind::Twin {
        all.push(Duplicate);
    }
    all
}

fn case(kind: CaseKind, n: usize, item: &Item, level: Level) -> CasePage {
    let number = format!("349901101202202611190100{:02}", n + 1);
    let (timeline, arrivals) = events(kind, &number, item);
    let fields = fields(kind, n);
    let (name, id, ..) = PEOPLE[n % PEOPLE.len()];
    let clocks = clocks(kind);
    let view = Case {
        id: id_of(kind),
        site: site_id(2),
        item: item.code.clone(),
        item_version: 3,
        number: (kind != CaseKind::Draft).then(|| number.clone()),
        mandate: None,
        moments: Moments::default(),
        state: state(kind),
        flags: Flags {
            needs_ruling: kind == CaseKind::Ruling,
            proxy: kind == CaseKind::Accepted,
            with_gaps: kind == CaseKind::Accepted,
            ..Flags::default()
        },
        fields,
        materials: (0_u32..)
            .zip(&item.materials)
            .map(|(i, m)| {
                let word = if m.no_submit {
                    "shared"
                } else if i == 6 {
                    "deferred"
                } else {
                    "original"
                };
                (i, word.to_owned())
            })
            .collect(),
        timeline,
        parallel: if kind == CaseKind::Conflict {
            vec![Parallel {
                fields: ["address".to_owned(), "note".to_owned()],
                acts: [ActId([1; 16]), ActId([2; 16])],
            }]
        } else {
            Vec::new()
        },
        clocks,
    };
    CasePage {
        row: row(kind, &view, item, name, id),
        item: item.clone(),
        arrivals,
        people: vec![
            (PersonId([7; 8]), "陈桂花".to_owned()),
            (PersonId([8; 8]), "周明".to_owned()),
        ],
        offers: offers(kind, level),
        twins: if kind == CaseKind::Twin {
            vec![twin(item)]
        } else {
            Vec::new()
        },
        receipts: receipts(kind),
        rejections: Vec::new(),
        files: Vec::new(),
        case: view,
    }
}

fn clocks(kind: CaseKind) -> Clocks {
    let mut clocks = Clocks::default();
    match kind {
        CaseKind::Received => clocks.acceptance = due("2026-11-24"),
        CaseKind::Conflict => clocks.acceptance = due("2026-11-20"),
        CaseKind::Twin => clocks.acceptance = due("2026-11-27"),
        CaseKind::Correcting => clocks.correction = due("2026-12-20"),
        CaseKind::Accepted | CaseKind::Ruling => {
            clocks.promised = due("2026-12-21");
            clocks.legal = due("2027-01-04");
        }
        CaseKind::Decided => clocks.promised = due("2026-12-21"),
        CaseKind::Closed => {
            clocks.delivery = due("2026-11-25");
            clocks.used = Some(3);
        }
        CaseKind::Delivered | CaseKind::Draft | CaseKind::Withdrawn => {}
    }
    clocks
}

fn row(kind: CaseKind, case: &Case, item: &Item, name: &str, id: &str) -> CaseRow {
    let c = &case.clocks;
    let (due, due_kind, light) = match kind {
        CaseKind::Received => (c.acceptance, "受理", Some(Light::Yellow)),
        CaseKind::Conflict => (c.acceptance, "受理", Some(Light::Red)),
        CaseKind::Twin => (c.acceptance, "受理", Some(Light::Green)),
        CaseKind::Correcting => (c.correction, "补正", Some(Light::Paused)),
        CaseKind::Accepted | CaseKind::Ruling | CaseKind::Decided => {
            (c.promised, "承诺", Some(Light::Green))
        }
        CaseKind::Closed => (c.delivery, "送达", Some(Light::Yellow)),
        CaseKind::Delivered | CaseKind::Draft | CaseKind::Withdrawn => (None, "", None),
    };
    CaseRow {
        id: case.id,
        number: case.number.clone(),
        name: Private::new(name),
        id_masked: format!("{}***********{}", &id[..3], &id[14..]),
        item: item.code.clone(),
        item_name: item.name.clone(),
        site: site_id(2),
        site_name: "石桥村".to_owned(),
        state: case.state,
        light,
        due,
        due_kind,
        received_at: (kind != CaseKind::Draft).then(|| NOW.after(-52 * 3_600_000)),
        custody: match kind {
            CaseKind::Received | CaseKind::Draft => CaseCustody::Local,
            CaseKind::Conflict => CaseCustody::Sending,
            CaseKind::Twin => CaseCustody::Township(NOW.after(-3_600_000)),
            CaseKind::Withdrawn => CaseCustody::Rejected,
            CaseKind::Correcting
            | CaseKind::Accepted
            | CaseKind::Decided
            | CaseKind::Closed
            | CaseKind::Delivered
            | CaseKind::Ruling => CaseCustody::County(NOW.after(-7_200_000)),
        },
        conflict: kind == CaseKind::Conflict,
        needs_ruling: kind == CaseKind::Ruling,
        duplicate: kind == CaseKind::Twin,
        parallel: kind == CaseKind::Conflict,
    }
}

fn twin(item: &Item) -> CaseRow {
    CaseRow {
        id: CaseId::new(site_id(10), [0x77; 11]),
        number: Some("34990110100020261119010031".to_owned()),
        name: Private::new("刘建国"),
        id_masked: "349***********1178".to_owned(),
        item: item.code.clone(),
        item_name: item.name.clone(),
        site: site_id(10),
        site_name: "北乡镇".to_owned(),
        state: State::Accepted,
        light: Some(Light::Green),
        due: due("2026-12-20"),
        due_kind: "承诺",
        received_at: Some(NOW.after(-53 * 3_600_000)),
        custody: CaseCustody::County(NOW.after(-7_200_000)),
        conflict: false,
        needs_ruling: false,
        duplicate: true,
        parallel: false,
    }
}

fn receipts(kind: CaseKind) -> Vec<ReceiptRow> {
    let receipt = |n: usize, level: Level, hours: i64| ReceiptRow {
        holder: NODES[n],
        level,
        site_name: site(level).name,
        at: NOW.after(-hours * 3_600_000),
        signature: "7c19 e0a4 52bd 8f31".to_owned(),
    };
    match kind {
        CaseKind::Received | CaseKind::Draft | CaseKind::Conflict | CaseKind::Withdrawn => {
            Vec::new()
        }
        CaseKind::Twin => vec![receipt(1, Level::Township, 1)],
        CaseKind::Correcting
        | CaseKind::Accepted
        | CaseKind::Decided
        | CaseKind::Closed
        | CaseKind::Delivered
        | CaseKind::Ruling => vec![receipt(2, Level::County, 2), receipt(1, Level::Township, 3)],
    }
}
