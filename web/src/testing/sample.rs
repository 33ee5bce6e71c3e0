//! A sample county: places, items, people and one case of every kind. Names are made up.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{
        Accept, ActBody, ActKind, Close, Correct, Decide, Mandate, Missing, Open, Reason, Receive,
    },
    case::{Candidate, Case, Clocks, Due, Event, Field, Flags, Light, Parallel, Void},
    control::{Item, Material, catalogue::NoticeStage},
    id::{ActId, ActorId, CaseId, ChangeHash, Kind, NodeId, PersonId, SiteId},
    role::{Level, Role},
    state::State,
    text::Private,
    time::{ClockState, Millis},
};
use cuntong_web::desk::{
    Arrival, CaseCustody, CasePage, CaseRow, Custody, NodeRow, PeerRow, ReceiptRow, RejectionRow,
    Resident, SessionRow, Site, SyncPage,
};

use super::{NOW, site_id};

/// Village, township, hub.
pub(crate) const NODES: [NodeId; 3] = [
    NodeId([0x9f, 0x2c, 0x11, 0xd0, 0x5e, 0x47, 0xa8, 0x3b]),
    NodeId([0x41, 0xb7, 0x02, 0x9a, 0xcc, 0x1f, 0x66, 0xe0]),
    NodeId([0xd3, 0x58, 0x7e, 0x21, 0x0b, 0x94, 0x35, 0x6f]),
];

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

pub(crate) fn site(level: Level) -> Site {
    match level {
        Level::Village => village(2, "石桥村"),
        Level::Township => Site {
            id: site_id(10),
            name: "北乡镇".to_owned(),
            level,
            code: "349901101000".to_owned(),
        },
        Level::County => Site {
            id: SiteId(1),
            name: "云麓县（样例）".to_owned(),
            level,
            code: "349901000000".to_owned(),
        },
    }
}

pub(crate) fn village(number: u32, name: &str) -> Site {
    Site {
        id: site_id(number),
        name: name.to_owned(),
        level: Level::Village,
        code: format!("34990110120{number}"),
    }
}

fn material(name: &str, deferrable: bool, no_submit: bool) -> Material {
    Material {
        name: name.to_owned(),
        deferrable,
        no_submit,
    }
}

fn item(code: &str, name: &str, words: &[&str], materials: Vec<Material>) -> Item {
    Item {
        code: code.to_owned(),
        version: 3,
        name: name.to_owned(),
        class: "行政给付".to_owned(),
        department: "民政局".to_owned(),
        receive: Level::Village,
        decide: vec![Level::Township],
        legal_days: 30,
        promised_days: 22,
        on_the_spot: false,
        materials,
        stages: vec![NoticeStage {
            place: "village".to_owned(),
            days: Some(7),
            name: "初审公示".to_owned(),
            working_days: false,
        }],
        proxy_allowed: true,
        presence_required: false,
        privacy: "publish_minimal".to_owned(),
        keywords: words.iter().map(|w| (*w).to_owned()).collect(),
        retired: false,
    }
}

pub(crate) fn items() -> Vec<Item> {
    let spot = Item {
        on_the_spot: true,
        promised_days: 0,
        stages: Vec::new(),
        class: "公共服务".to_owned(),
        ..item(
            "990010008000",
            "老年优待证（卡）办理",
            &["老年证", "优待证", "65岁"],
            vec![
                material("居民身份证", false, true),
                material("近期照片", true, false),
            ],
        )
    };
    vec![
        item(
            "990010001000",
            "最低生活保障对象认定",
            &["低保", "吃低保", "困难家庭"],
            vec![
                material("社会救助申请书", false, false),
                material("家庭经济状况核对授权书", false, false),
                material("居民身份证", false, true),
                material("户口簿", false, true),
                material("家庭收入和财产状况声明", false, false),
                material("残疾人证", true, true),
                material("重病诊断材料", true, false),
            ],
        ),
        item(
            "990010007000",
            "高龄津贴",
            &["高龄补贴", "80岁"],
            vec![
                material("高龄津贴申请表", false, false),
                material("居民身份证", false, true),
                material("银行账户", true, false),
            ],
        ),
        spot,
        Item {
            presence_required: true,
            proxy_allowed: false,
            department: "残疾人联合会".to_owned(),
            ..item(
                "990020001000",
                "残疾人证办理",
                &["残疾证"],
                vec![material("近期照片", false, false)],
            )
        },
    ]
}

const PEOPLE: [(&str, &str, &str, &str); 8] = [
    ("王秀兰", "34990119610305241X", "13800000001", "一组"),
    ("李国强", "349901194807121138", "13800000002", "三组"),
    ("买买提·吐尔逊", "349901197501283058", "13800000003", "二组"),
    ("张桂英", "349901198811152242", "13800000004", "一组"),
    ("王德福", "34990119350901302X", "13800000005", "五组"),
    ("刘建国", "349901199304231178", "13800000006", "四组"),
    ("陈雨桐", "349901200306153025", "13800000007", "二组"),
    ("𬱖大山", "349901195602181158", "13800000008", "三组"),
];

pub(crate) fn residents() -> Vec<Resident> {
    PEOPLE
        .iter()
        .map(|(name, id, phone, group)| Resident {
            name: Private::new(*name),
            id: Private::new(*id),
            phone: Private::new(*phone),
            address: Private::new("石桥村 18 号"),
            group: Private::new(*group),
            last: "上次 2026-03 办过 医保参保".to_owned(),
        })
        .collect()
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

/// The acts of a case: hours before now, side, what.
fn acts(kind: CaseKind, number: &str, item: &Item) -> Vec<(i64, Kind, ActBody, Option<Void>)> {
    let app = |hours, body| (hours, Kind::Application, body, None);
    let hand = |hours, body| (hours, Kind::Handling, body, None);
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
    all.push(app(
        52,
        ActBody::Receive(Receive {
            number: number.to_owned(),
            mandate: (kind == CaseKind::Accepted).then(|| Mandate {
                may_collect: true,
                witness: Some("赵会计".to_owned()),
                ..Mandate::default()
            }),
            taken: None,
            duplicate_reason: None,
        }),
    ));
    let correct = Correct {
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
    };
    let accept = |gaps| Accept {
        gaps,
        gap_days: 5,
        note: String::new(),
    };
    let yes = Decide {
        granted: true,
        reason: "家庭人均收入低于保障标准，经核对属实。".to_owned(),
        remedies: String::new(),
    };
    let withdraw = ActBody::Withdraw(Reason {
        text: "子女已接回赡养".to_owned(),
    });
    let close = Close {
        result: "低保证已核发".to_owned(),
        result_number: "云低保 2026-0187".to_owned(),
    };
    match kind {
        CaseKind::Received | CaseKind::Conflict | CaseKind::Twin | CaseKind::Draft => {}
        CaseKind::Correcting => all.push(hand(28, ActBody::Correct(correct))),
        CaseKind::Accepted => all.push(hand(27, ActBody::Accept(accept(vec![6])))),
        CaseKind::Withdrawn => all.push(app(20, withdraw)),
        CaseKind::Ruling => {
            all.push(hand(27, ActBody::Accept(accept(vec![]))));
            all.push(hand(3, ActBody::Decide(yes)));
            all.push(app(3, withdraw));
        }
        CaseKind::Decided | CaseKind::Closed | CaseKind::Delivered => {
            all.push(hand(27, ActBody::Accept(accept(vec![]))));
            all.push((
                26,
                Kind::Handling,
                ActBody::Accept(accept(vec![])),
                Some(Void::State {
                    was: State::Accepted,
                    act: ActKind::Accept,
                }),
            ));
            all.push(hand(
                20,
                ActBody::Review(Reason {
                    text: "入户核对，情况属实。".to_owned(),
                }),
            ));
            all.push(hand(3, ActBody::Decide(yes)));
            if kind != CaseKind::Decided {
                all.push(hand(2, ActBody::Close(close)));
            }
        }
    }
    all
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

pub(crate) fn sync(custody: Custody, rows: Vec<CaseRow>) -> SyncPage {
    let peer = |name: &str, level, reason: Option<(&str, &str)>, next| PeerRow {
        name: name.to_owned(),
        level,
        upstream: true,
        state: if reason.is_some() {
            "waiting"
        } else {
            "connected"
        }
        .to_owned(),
        reason: reason.map(|(class, words)| (class.to_owned(), words.to_owned())),
        next_try_s: next,
        custody_at: Some(NOW.after(-20 * 3_600_000)),
        last_session_at: Some(NOW.after(-20 * 3_600_000)),
    };
    let session = |hours: i64, sent, received, repaired| SessionRow {
        at: NOW.after(-hours * 3_600_000),
        peer: "北乡镇".to_owned(),
        sent,
        received,
        bytes_up: sent * 410,
        bytes_down: received * 380 + 2_200,
        repaired,
        result: "ok".to_owned(),
    };
    SyncPage {
        peers: if custody.waiting > 0 {
            vec![
                peer(
                    "北乡镇",
                    Level::Township,
                    Some(("no_route", "没有网络")),
                    Some(131),
                ),
                peer(
                    "云麓县（样例）",
                    Level::County,
                    Some(("no_route", "没有网络")),
                    Some(42),
                ),
            ]
        } else {
            vec![peer("云麓县（样例）", Level::County, None, None)]
        },
        custody,
        epoch: 2,
        waiting: rows
            .into_iter()
            .filter(|row| !matches!(row.custody, CaseCustody::County(_)))
            .collect(),
        rejections: vec![RejectionRow {
            id: 7,
            at: NOW.after(-26 * 3_600_000),
            case: Some(id_of(CaseKind::Withdrawn)),
            what: "李国强 · 送达".to_owned(),
            rule: "G204".to_owned(),
            reason: "签章时这名代办员已停用".to_owned(),
            by: "北乡镇".to_owned(),
            seen: false,
        }],
        quarantine: 0,
        documents: 412,
        entries: 1_873,
        history: vec![
            session(20, 6, 3, 0),
            session(27, 12, 0, 0),
            session(44, 31, 8, 1),
        ],
    }
}

pub(crate) fn nodes() -> Vec<NodeRow> {
    let node = |site: Site, n: usize, seen_hours: Option<i64>| NodeRow {
        node: NODES[n],
        site: site.id,
        site_name: site.name,
        level: site.level,
        status: "active".to_owned(),
        connected: seen_hours == Some(0),
        last_seen: seen_hours.map(|hours| NOW.after(-hours * 3_600_000)),
        custody_at: seen_hours.map(|hours| NOW.after(-hours * 3_600_000)),
        backlog: 0,
        backlog_oldest_s: 0,
        clock_offset_s: seen_hours.map(|_| 1),
        version: "0.1.0".to_owned(),
        epoch: seen_hours.map(|_| 2),
    };
    vec![
        node(site(Level::Township), 1, Some(0)),
        node(site(Level::Village), 0, Some(0)),
        NodeRow {
            backlog: 7,
            backlog_oldest_s: 2 * 86_400,
            ..node(village(3, "青溪村"), 0, Some(49))
        },
        NodeRow {
            clock_offset_s: Some(-3 * 3_600),
            ..node(village(4, "大坪村"), 0, Some(11 * 24))
        },
        node(village(5, "上岭村"), 0, None),
        NodeRow {
            status: "revoked".to_owned(),
            ..node(village(6, "下岭村"), 0, Some(900))
        },
    ]
}

/// A moment some hours ago.
#[allow(dead_code, reason = "tests use it, the preview does not")]
pub(crate) fn ago(hours: i64) -> Millis {
    NOW.after(-hours * 3_600_000)
}
