//! Sample records that came back, one of every kind.

use cuntong_protocol::{
    act::{ActBody, Deliver, DeliveryWay, Mandate, Publish},
    command::{Actor, Command, LogCase},
    fields,
    refusal::Refusal,
    role::{Level, Role},
    text::Private,
};
use cuntong_web::desk::{Outcome, Redo, RejectionRow, Settled};

use super::{
    NOW,
    case::{CaseKind, id_of},
    notices, sample,
};

/// What each own one would have done, by its id; from 7 on.
pub(crate) fn commands() -> Vec<(i64, Command)> {
    let deliver = Deliver {
        way: DeliveryWay::Brought,
        receiver: Some("李小军".to_owned()),
        note: "上门送达".to_owned(),
    };
    let publish = publish();
    let revised = Publish {
        correction: "漏了一户".to_owned(),
        ..publish.clone()
    };
    let amend = |field: &str, value: &str| Command::Amend {
        case: id_of(CaseKind::Received),
        field: field.to_owned(),
        value: Private::new(value),
        reason: "居民来电".to_owned(),
    };
    vec![
        (
            7,
            Command::Act {
                case: id_of(CaseKind::Closed),
                body: ActBody::Deliver(deliver),
            },
        ),
        (8, Command::Log(intake())),
        (9, amend(fields::PHONE, "13911112222")),
        (10, Command::PublishNotice(publish)),
        (
            11,
            Command::ReviseNotice {
                notice: notices::id(1),
                version: revised,
            },
        ),
        (
            12,
            Command::RetractNotice {
                notice: notices::id(1),
                reason: "金额有误".to_owned(),
            },
        ),
        (13, amend("material.1", "copy")),
        (
            14,
            Command::Resolve {
                case: id_of(CaseKind::Conflict),
                field: fields::PHONE.to_owned(),
                value: Private::new("13900000022"),
                reason: "电话核对".to_owned(),
            },
        ),
    ]
}

fn intake() -> LogCase {
    let (name, id, phone, group) = sample::PEOPLE[1];
    let typed = [
        (fields::NAME, name),
        (fields::ID, id),
        (fields::PHONE, phone),
        (fields::GROUP, group),
        ("household", "4"),
    ];
    LogCase {
        item: "990010001000".to_owned(),
        fields: typed
            .map(|(name, value)| (name.to_owned(), Private::new(value)))
            .into(),
        materials: [(0, "original".to_owned()), (1, "copy".to_owned())].into(),
        mandate: Some(Mandate {
            may_collect: true,
            witness: Some("赵会计".to_owned()),
            ..Mandate::default()
        }),
        receive: true,
        ..LogCase::default()
    }
}

fn publish() -> Publish {
    Publish {
        title: "高龄津贴发放名单".to_owned(),
        body: "四季度名单如下".to_owned(),
        places: vec![sample::site(Level::Village).id],
        category: "社会救助".to_owned(),
        from: "2026-11-20".to_owned(),
        until: None,
        case: None,
        correction: String::new(),
    }
}

fn may(actor: &Actor, command: &Command) -> bool {
    let role = match command {
        Command::PublishNotice(_)
        | Command::ReviseNotice { .. }
        | Command::RetractNotice { .. } => Role::Publisher,
        Command::Log(_) | Command::Act { .. } | Command::Amend { .. } | Command::Resolve { .. } => {
            Role::Agent
        }
    };
    actor.roles.contains(&role)
}

fn row(id: i64, what: &str) -> RejectionRow {
    RejectionRow {
        id,
        at: NOW.after(-(20 + id) * 3_600_000),
        case: None,
        what: what.to_owned(),
        rule: "G508".to_owned(),
        reason: "名录中没有这个人,或其不在该站点、没有该岗位".to_owned(),
        by: "北乡镇".to_owned(),
        seen: false,
        own: true,
        may: false,
        settled: None,
    }
}

/// All of them as this person sees them: open, settled, and another node's.
pub(crate) fn rows(actor: &Actor) -> Vec<RejectionRow> {
    let settled = |outcome| {
        Some(Settled {
            at: NOW.after(-3_600_000),
            person: "陈桂花".to_owned(),
            outcome,
        })
    };
    let redone = Outcome::Redone {
        case: Some(id_of(CaseKind::Received)),
        notice: None,
    };
    let dropped = Outcome::Dropped {
        reason: "居民不办了".to_owned(),
    };
    let mut all: Vec<RejectionRow> = commands()
        .iter()
        .map(|(id, command)| {
            let (case, what) = match command {
                Command::Log(_) => (None, "登记 收件 349901101202202611200107 李国强"),
                Command::Act { case, .. } => (Some(*case), "送达"),
                Command::Amend { case, .. } => (Some(*case), "更正"),
                Command::Resolve { case, .. } => (Some(*case), "冲突选定"),
                Command::PublishNotice(_) | Command::ReviseNotice { .. } => {
                    (None, "公示发布 高龄津贴发放名单")
                }
                Command::RetractNotice { .. } => (None, "公示撤回"),
            };
            RejectionRow {
                case,
                may: may(actor, command),
                ..row(*id, what)
            }
        })
        .collect();
    all.push(RejectionRow {
        settled: settled(redone),
        ..row(20, "登记 收件 349901101202202611200108 张桂英")
    });
    all.push(RejectionRow {
        settled: settled(dropped),
        ..row(21, "撤回")
    });
    all.push(RejectionRow {
        own: false,
        ..row(22, "青溪村 申请 第 3 条")
    });
    all
}

/// One of them, for its form.
pub(crate) fn redo(actor: &Actor, id: i64) -> Result<Redo, Refusal> {
    let mut rows = rows(actor);
    rows.retain(|row| row.id == id && row.own);
    let row = rows.pop().ok_or(Refusal::NoSuchRejection)?;
    if row.settled.is_some() {
        return Err(Refusal::SettledAlready);
    }
    let found = commands().into_iter().find(|(known, _)| *known == id);
    let (_, command) = found.ok_or(Refusal::NotKept)?;
    if !may(actor, &command) {
        return Err(Refusal::NotYourRole("重做或作罢"));
    }
    Ok(Redo { row, command })
}
