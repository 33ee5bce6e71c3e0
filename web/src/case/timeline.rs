//! The timeline: every act, newest first, with the time it was done and the time it was received.

use cuntong_protocol::{
    act::{ActBody, ActKind, DeliveryWay},
    case::{Event, Void},
    id::{ActId, PersonId},
    time::{ClockState, Millis},
};

use super::view::label;
use crate::{desk::CasePage, words};

/// Received more than this after it was done: both times are shown.
const DIFFER_MS: i64 = 60_000;

/// One act.
pub(crate) struct EventView {
    pub(crate) title: String,
    pub(crate) at: String,
    /// When it arrived here, if that was notably later.
    pub(crate) received: Option<String>,
    pub(crate) person: String,
    pub(crate) role: &'static str,
    pub(crate) device: String,
    pub(crate) lines: Vec<(&'static str, String)>,
    /// Why it has no effect.
    pub(crate) void: Option<String>,
    pub(crate) clock_suspect: bool,
}

/// Newest first.
pub(crate) fn events(found: &CasePage, now: Millis) -> Vec<EventView> {
    found
        .case
        .timeline
        .iter()
        .rev()
        .map(|event| event_view(found, event, now))
        .collect()
}

fn event_view(found: &CasePage, event: &Event, now: Millis) -> EventView {
    let arrival = found.arrivals.iter().find(|a| a.change == event.change);
    let (title, lines) = told(found, &event.body);
    EventView {
        title,
        at: words::moment(event.at, now),
        received: arrival
            .filter(|a| !a.own && a.at.since(event.at).abs() >= DIFFER_MS)
            .map(|a| words::moment(a.at, now)),
        person: person(found, event.person),
        role: event.role.zh(),
        device: arrival.map_or_else(String::new, |a| {
            if a.own {
                "本机".to_owned()
            } else {
                format!("设备 {}", a.node)
            }
        }),
        lines,
        void: event.void.as_ref().map(|void| why_void(found, void)),
        clock_suspect: event.clock == ClockState::Suspect,
    }
}

/// A person's name, or the id when the directory does not know it.
pub(crate) fn person(found: &CasePage, id: PersonId) -> String {
    found
        .people
        .iter()
        .find(|(known, _)| *known == id)
        .map_or_else(|| id.text(), |(_, name)| name.clone())
}

fn why_void(found: &CasePage, void: &Void) -> String {
    let named = |id: &ActId| {
        let other = found.case.timeline.iter().find(|e| e.id == *id);
        other.map_or("另一行为", |e| kind(e.body.kind()))
    };
    match void {
        Void::State { was, act } => {
            format!("办件当时是“{}”，{}不起作用", was.zh(), kind(*act))
        }
        Void::Power => "作出时没有这项权力".to_owned(),
        Void::Overruled(by) => format!("以“{}”为准", named(by)),
        Void::Repeated(of) => format!("与先前的“{}”重复", named(of)),
    }
}

/// The word of a kind of act.
pub(crate) const fn kind(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Open => "登记",
        ActKind::Receive => "收件",
        ActKind::Supplement => "补正收件",
        ActKind::Withdraw => "撤回",
        ActKind::Deliver => "送达",
        ActKind::Correct => "一次性补正告知",
        ActKind::Accept => "受理",
        ActKind::Refuse => "不予受理",
        ActKind::Review => "审查",
        ActKind::Decide => "决定",
        ActKind::Close => "办结",
        ActKind::Terminate => "终止",
        ActKind::Complete => "即办",
        ActKind::Resolve => "冲突选定",
        ActKind::Rule => "裁定",
        ActKind::Duplicate => "关联重复件",
        ActKind::Amend => "更正",
        ActKind::Publish => "公示发布",
        ActKind::Retract => "公示撤回",
    }
}

/// The word of a way of delivery.
pub(crate) const fn way(way: DeliveryWay) -> &'static str {
    match way {
        DeliveryWay::Collected => "自取",
        DeliveryWay::Mailed => "邮寄",
        DeliveryWay::Brought => "代送",
        DeliveryWay::Electronic => "电子送达",
    }
}

type Told = (String, Vec<(&'static str, String)>);

fn told(found: &CasePage, body: &ActBody) -> Told {
    let material = |i: u32| {
        let known = found
            .item
            .materials
            .get(usize::try_from(i).unwrap_or(usize::MAX));
        known.map_or_else(|| format!("材料 {}", i + 1), |m| m.name.clone())
    };
    let names = |all: &[u32]| {
        let names: Vec<String> = all.iter().map(|i| material(*i)).collect();
        names.join("、")
    };
    let mut title = kind(body.kind()).to_owned();
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    match body {
        ActBody::Open(_) | ActBody::Publish(_) => {}
        ActBody::Receive(receive) => {
            lines.push(("编号", receive.number.clone()));
            if let Some(mandate) = &receive.mandate {
                title = "收件（代办）".to_owned();
                if let Some(witness) = &mandate.witness {
                    lines.push(("见证人", witness.clone()));
                }
            }
            if let Some(taken) = &receive.taken {
                lines.push((
                    "补录",
                    format!("实际收件 {},{}", words::date_time(taken.at), taken.reason),
                ));
            }
            lines.push((
                "重复仍办",
                receive.duplicate_reason.clone().unwrap_or_default(),
            ));
        }
        ActBody::Supplement(s) => {
            lines.push(("收到", names(&s.materials)));
            lines.push(("说明", s.note.clone()));
        }
        ActBody::Withdraw(r) | ActBody::Terminate(r) | ActBody::Retract(r) => {
            lines.push(("理由", r.text.clone()));
        }
        ActBody::Review(r) => lines.push(("意见", r.text.clone())),
        ActBody::Deliver(d) => {
            title = format!("送达：{}", way(d.way));
            lines.push(("签收人", d.receiver.clone().unwrap_or_default()));
            lines.push(("说明", d.note.clone()));
        }
        ActBody::Correct(c) => {
            for missing in &c.missing {
                let name = missing.material.map_or_else(|| "其他".to_owned(), material);
                lines.push(("补正", format!("{name}:{}", missing.how)));
            }
            lines.push(("期限", format!("{} 日内", c.days)));
        }
        ActBody::Accept(a) => {
            if !a.gaps.is_empty() {
                title = "容缺受理".to_owned();
                lines.push(("容缺", names(&a.gaps)));
                lines.push(("补齐", format!("{} 个工作日内", a.gap_days)));
            }
            lines.push(("说明", a.note.clone()));
        }
        ActBody::Refuse(r) => {
            lines.push(("理由", r.reason.clone()));
            lines.push(("依据", r.basis.clone()));
            lines.push(("应找", r.competent.clone()));
        }
        ActBody::Decide(d) => {
            title = if d.granted { "准予" } else { "不予" }.to_owned();
            lines.push(("理由", d.reason.clone()));
            lines.push(("救济途径", d.remedies.clone()));
        }
        ActBody::Close(c) | ActBody::Complete(c) => {
            lines.push(("结果", c.result.clone()));
            lines.push(("文号", c.result_number.clone()));
        }
        ActBody::Resolve(r) => {
            lines.push(("选定", label(found, &r.field)));
            lines.push(("理由", r.reason.clone()));
        }
        ActBody::Rule(r) => {
            title = if r.withdrawn {
                "裁定：撤回有效"
            } else {
                "裁定：决定有效"
            }
            .to_owned();
            lines.push(("理由", r.reason.clone()));
        }
        ActBody::Duplicate(d) => lines.push(("理由", d.reason.clone())),
        ActBody::Amend(a) => {
            lines.push(("内容", label(found, &a.field)));
            lines.push(("理由", a.reason.clone()));
        }
    }
    lines.retain(|(_, text)| !text.is_empty());
    (title, lines)
}
