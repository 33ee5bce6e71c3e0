//! A sample county: places, items, people, links. Names are made up.

use cuntong_protocol::{
    control::{Item, Material, NodeStatus, catalogue::NoticeStage},
    id::{NodeId, SiteId},
    role::Level,
    text::Private,
};
use cuntong_web::desk::{
    Beginning, BundleOffer, CaseCustody, CaseRow, Custody, FilesStanding, Habits, JobState,
    NodeRow, OfferState, PeerRow, RejectionRow, Resident, SessionRow, Site, StickJob, StickPeer,
    StickPlace, Sticks, SyncPage,
};

use super::{NOW, site_id};

/// Village, township, hub.
pub(crate) const NODES: [NodeId; 3] = [
    NodeId([0x9f, 0x2c, 0x11, 0xd0, 0x5e, 0x47, 0xa8, 0x3b]),
    NodeId([0x41, 0xb7, 0x02, 0x9a, 0xcc, 0x1f, 0x66, 0xe0]),
    NodeId([0xd3, 0x58, 0x7e, 0x21, 0x0b, 0x94, 0x35, 0x6f]),
];

/// A stick with a bundle for this node, one to carry on, and one that was pulled too early.
pub(crate) fn sticks(busy: bool) -> Sticks {
    let offer = |id: &str, to: &str, state| BundleOffer {
        id: id.to_owned(),
        place: "乡镇 U 盘".to_owned(),
        file: format!("石桥村-{to}-2026-11-21-164100.ctb"),
        from: "石桥村".to_owned(),
        to: to.to_owned(),
        at: Some(NOW.after(-60_000)),
        entries: 12,
        bytes: 9_000,
        state,
    };
    let half = BundleOffer {
        from: String::new(),
        at: None,
        ..offer(
            "0c",
            "",
            OfferState::Nothing("没有写完（U 盘拔得太早）：请在做它的那台电脑上重做".to_owned()),
        )
    };
    Sticks {
        places: vec![StickPlace {
            id: "p1".to_owned(),
            name: "乡镇 U 盘".to_owned(),
        }],
        offers: vec![
            offer("0a", "北乡镇", OfferState::Take),
            offer("0b", "云麓县", OfferState::Carry),
            half,
        ],
        peers: vec![StickPeer {
            id: "n-1".to_owned(),
            name: "云麓县".to_owned(),
        }],
        job: busy.then(|| StickJob {
            what: "收取 石桥村 给 北乡镇 的数据包".to_owned(),
            state: JobState::Running,
            words: "已收取 3 条，共 12 条".to_owned(),
        }),
        carried: 1,
    }
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

pub(crate) const PEOPLE: [(&str, &str, &str, &str); 8] = [
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

pub(crate) fn sync(
    custody: Custody,
    rows: Vec<CaseRow>,
    rejections: Vec<RejectionRow>,
) -> SyncPage {
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
        why: "retry".to_owned(),
        custody_at: Some(NOW.after(-20 * 3_600_000)),
        last_session_at: Some(NOW.after(-20 * 3_600_000)),
        carrier: reason.is_none().then(|| "tcp".to_owned()),
        beginning: reason.is_none().then_some(Beginning {
            documents: 1_200,
            left: 8_800,
            bytes: 1_048_576,
            bytes_per_s: 12_288,
        }),
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
        habits: Habits::default(),
        files: FilesStanding::default(),
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
        rejections,
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
        status: NodeStatus::Active,
        connected: seen_hours == Some(0),
        last_seen: seen_hours.map(|hours| NOW.after(-hours * 3_600_000)),
        via: None,
        custody_at: seen_hours.map(|hours| NOW.after(-hours * 3_600_000)),
        backlog: 0,
        backlog_oldest_s: 0,
        clock_offset_s: seen_hours.map(|_| 1),
        version: seen_hours.map(|_| "0.1.0".to_owned()),
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
            status: NodeStatus::Revoked,
            ..node(village(6, "下岭村"), 0, Some(900))
        },
    ]
}
