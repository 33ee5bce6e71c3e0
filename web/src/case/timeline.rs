//! The timeline: every act, newest first, with the time it was done and the time it was received.

use cuntong_protocol::{
    act::{Accept, ActBody, Correct, DeliveryWay, Receive},
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
        other.map_or("另一行为", |e| e.body.kind().zh())
    };
    match void {
        Void::State { was, act } => {
            format!("办件当时是“{}”，{}不起作用", was.zh(), act.zh())
        }
        Void::Power => "作出时没有这项权力".to_owned(),
        Void::Overruled(by) => format!("以“{}”为准", named(by)),
        Void::Repeated(of) => format!("与先前的“{}”重复", named(of)),
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

/// Lines of one act as they are gathered; empty ones leave.
struct Lines<'a> {
    found: &'a CasePage,
    all: Vec<(&'static str, String)>,
}

impl Lines<'_> {
    fn say(&mut self, label: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.all.push((label, text));
        }
    }

    fn material(&self, index: u32) -> String {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let known = self.found.item.materials.get(index);
        known.map_or_else(|| format!("材料 {index}"), |m| m.name.clone())
    }

    fn materials(&self, all: &[u32]) -> String {
        let names: Vec<String> = all.iter().map(|i| self.material(*i)).collect();
        names.join("、")
    }

    fn receive(&mut self, receive: &Receive) {
        self.say("编号", receive.number.as_str());
        let witness = receive.mandate.as_ref().and_then(|m| m.witness.clone());
        self.say("见证人", witness.unwrap_or_default());
        if let Some(taken) = &receive.taken {
            let at = words::date_time(taken.at);
            self.say("补录", format!("实际收件 {at}, {}", taken.reason));
        }
        let reason = receive.duplicate_reason.clone();
        self.say("重复仍办", reason.unwrap_or_default());
    }

    fn correct(&mut self, correct: &Correct) {
        for missing in &correct.missing {
            let name = missing
                .material
                .map_or_else(|| "其他".to_owned(), |i| self.material(i));
            self.say("补正", format!("{name}：{}", missing.how));
        }
        self.say("期限", format!("{} 日内", correct.days));
    }

    fn accept(&mut self, accept: &Accept) {
        if !accept.gaps.is_empty() {
            let gaps = self.materials(&accept.gaps);
            self.say("容缺", gaps);
            self.say("补齐", format!("{} 个工作日内", accept.gap_days));
        }
        self.say("说明", accept.note.as_str());
    }
}

/// Heading and lines of an act.
fn told(found: &CasePage, body: &ActBody) -> (String, Vec<(&'static str, String)>) {
    let mut lines = Lines {
        found,
        all: Vec::new(),
    };
    match body {
        ActBody::Open(_) | ActBody::Publish(_) => {}
        ActBody::Receive(receive) => lines.receive(receive),
        ActBody::Supplement(s) => {
            let names = lines.materials(&s.materials);
            lines.say("收到", names);
            lines.say("说明", s.note.as_str());
        }
        ActBody::Withdraw(r) | ActBody::Terminate(r) | ActBody::Retract(r) => {
            lines.say("理由", r.text.as_str());
        }
        ActBody::Review(r) => lines.say("意见", r.text.as_str()),
        ActBody::Deliver(d) => {
            lines.say("签收人", d.receiver.clone().unwrap_or_default());
            lines.say("说明", d.note.as_str());
        }
        ActBody::Correct(c) => lines.correct(c),
        ActBody::Accept(a) => lines.accept(a),
        ActBody::Refuse(r) => {
            lines.say("理由", r.reason.as_str());
            lines.say("依据", r.basis.as_str());
            lines.say("应找", r.competent.as_str());
        }
        ActBody::Decide(d) => {
            lines.say("理由", d.reason.as_str());
            lines.say("救济途径", d.remedies.as_str());
        }
        ActBody::Close(c) | ActBody::Complete(c) => {
            lines.say("结果", c.result.as_str());
            lines.say("文号", c.result_number.as_str());
        }
        ActBody::Resolve(r) => {
            lines.say("选定", label(found, &r.field));
            lines.say("理由", r.reason.as_str());
        }
        ActBody::Attach(a) => {
            lines.say("文件", a.name.as_str());
            let material = a.material.map(|i| lines.material(i));
            lines.say("材料", material.unwrap_or_default());
        }
        ActBody::Detach(d) => lines.say("理由", d.reason.as_str()),
        ActBody::Rule(r) => lines.say("理由", r.reason.as_str()),
        ActBody::Duplicate(d) => lines.say("理由", d.reason.as_str()),
        ActBody::Amend(a) => {
            lines.say("内容", label(found, &a.field));
            lines.say("理由", a.reason.as_str());
        }
    }
    (title(body), lines.all)
}

/// The heading: the act's word, or what it amounts to.
fn title(body: &ActBody) -> String {
    if let ActBody::Receive(receive) = body
        && receive.mandate.is_some()
    {
        "收件（代办）".to_owned()
    } else if let ActBody::Deliver(deliver) = body {
        format!("送达：{}", way(deliver.way))
    } else if let ActBody::Accept(accept) = body
        && !accept.gaps.is_empty()
    {
        "容缺受理".to_owned()
    } else if let ActBody::Decide(decide) = body {
        if decide.granted { "准予" } else { "不予" }.to_owned()
    } else if let ActBody::Rule(rule) = body {
        let stands = if rule.withdrawn {
            "裁定：撤回有效"
        } else {
            "裁定：决定有效"
        };
        stands.to_owned()
    } else {
        body.kind().zh().to_owned()
    }
}
