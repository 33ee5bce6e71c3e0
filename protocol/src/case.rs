//! What a person sees of a case (代办件): the fold over its two documents, as plain values.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::{
    act::{ActBody, ActKind, Attach, Mandate, Missing},
    id::{ActId, CaseId, ChangeHash, Kind, PersonId, SiteId},
    role::Role,
    state::State,
    text::Private,
    time::{ClockState, Millis},
};

/// A case as of the acts known here. Equal acts give equal views on every node.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub id: CaseId,
    /// Where the papers were received.
    pub site: SiteId,
    pub item: String,
    pub item_version: u32,
    /// Printed number; none while a draft.
    pub number: Option<String>,
    /// Present when an agent acts in the resident's place.
    pub mandate: Option<Mandate>,
    /// When what counts happened, by the clocks of the desks.
    pub moments: Moments,
    pub state: State,
    pub flags: Flags,
    pub fields: BTreeMap<String, Field>,
    /// Material index → state word.
    pub materials: BTreeMap<u32, String>,
    /// Newest last; void acts included.
    pub timeline: Vec<Event>,
    pub clocks: Clocks,
    /// Different fields edited without knowing of each other: merged, announced (并行修改).
    pub parallel: Vec<Parallel>,
}

/// The steps that count, void acts left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// When the papers were really taken: for 补录 not when they were typed.
    pub received: Option<Millis>,
    pub accepted: Option<Millis>,
    pub decided: Option<Millis>,
    pub closed: Option<Millis>,
    pub delivered: Option<Millis>,
}

/// Dimensions beside the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// 容缺受理 with materials still open.
    pub with_gaps: bool,
    pub proxy: bool,
    /// 补录.
    pub late_entry: bool,
    /// 即办.
    pub on_the_spot: bool,
    /// Withdrawal against decision in doubtful order: the deciding body must rule.
    pub needs_ruling: bool,
    /// Two correction notices written without knowing of each other.
    pub double_correction: bool,
    /// The case this one is linked to as a duplicate.
    pub duplicate_of: Option<CaseId>,
}

/// One editable value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Value(Private),
    /// Several desks wrote it without knowing of each other (冲突, 待确认): all are kept until a
    /// person chooses.
    Conflict(Vec<Candidate>),
}

impl Field {
    /// The value, or the first of the candidates; for lists and searches that must show something.
    pub fn first(&self) -> &Private {
        match self {
            Self::Value(value) => value,
            Self::Conflict(all) => &all[0].value,
        }
    }
}

/// One of the values of a field in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub value: Private,
    pub writer: crate::id::ActorId,
    /// The act that wrote it, when one did.
    pub act: Option<ActId>,
    pub person: Option<PersonId>,
    pub at: Option<Millis>,
}

/// One act in the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: ActId,
    pub side: Kind,
    pub person: PersonId,
    pub role: Role,
    /// The site of the desk.
    pub site: SiteId,
    pub at: Millis,
    pub clock: ClockState,
    pub body: ActBody,
    /// The change that carried it: the store knows when that was received here.
    pub change: ChangeHash,
    /// Why it has no effect, when it has none. It stays visible.
    pub void: Option<Void>,
}

/// Why an act has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Void {
    /// The case was not in a state this act starts from.
    State { was: State, act: ActKind },
    /// The desk had no power for it.
    Power,
    /// The other act of a pair stands: by order, or by a ruling.
    Overruled(ActId),
    /// The same again.
    Repeated(ActId),
}

/// Two edits of different fields, neither knowing of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parallel {
    pub fields: [String; 2],
    pub acts: [ActId; 2],
}

/// The deadlines of a case; none where the clock does not run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clocks {
    /// 村级报送: village to authority.
    pub handover: Option<Due>,
    /// 受理: five working days from receipt by the authority.
    pub acceptance: Option<Due>,
    /// 补正期限 given to the applicant.
    pub correction: Option<Due>,
    /// 容缺补齐.
    pub gaps: Option<Due>,
    /// 承诺时限.
    pub promised: Option<Due>,
    /// 法定时限.
    pub legal: Option<Due>,
    /// 送达.
    pub delivery: Option<Due>,
    /// Working days used of the promise, when closed.
    pub used: Option<u32>,
}

/// A deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub date: Date,
    /// 暂定: reaches past the last year the calendar covers.
    pub provisional: bool,
    /// The calendar it was computed with.
    pub calendar_version: u64,
}

/// Traffic light of a deadline (亮灯).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// 停计时
    Paused,
    /// 正常
    Green,
    /// 临期
    Yellow,
    /// 超期
    Red,
}

impl Light {
    /// Shape, so that colour is never alone.
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Paused => "⏸",
            Self::Green => "■",
            Self::Yellow => "▲",
            Self::Red => "●",
        }
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Paused => "停计时",
            Self::Green => "正常",
            Self::Yellow => "临期",
            Self::Red => "超期",
        }
    }
}

impl Case {
    /// The text of a field, empty when it has none.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", |f| f.first().reveal())
    }

    /// Whether any field awaits a person's choice.
    pub fn in_conflict(&self) -> bool {
        self.fields
            .values()
            .any(|f| matches!(f, Field::Conflict(_)))
    }

    /// What correction notices asked for; of two notices that did not know of each other, the
    /// union.
    pub fn asked(&self) -> Vec<&Missing> {
        let mut all: Vec<&Missing> = Vec::new();
        for event in self.timeline.iter().filter(|e| e.void.is_none()) {
            if let ActBody::Correct(correct) = &event.body {
                all.extend(correct.missing.iter());
            }
        }
        all
    }

    /// The files that count, in the order they were attached, each with the act that named it.
    pub fn attachments(&self) -> impl Iterator<Item = (&Event, &Attach)> {
        let taken_back = |event: &Event| {
            self.timeline.iter().any(|later| {
                matches!(&later.body, ActBody::Detach(detach) if detach.attach == event.id)
                    && later.side == event.side
                    && later.void.is_none()
            })
        };
        self.timeline.iter().filter_map(move |event| {
            let counts = event.void.is_none() && !taken_back(event);
            if let ActBody::Attach(attach) = &event.body
                && counts
            {
                return Some((event, attach));
            }
            None
        })
    }

    /// Materials promised for later at acceptance: indexes into the item's list.
    pub fn gaps(&self) -> &[u32] {
        for event in self.timeline.iter().filter(|e| e.void.is_none()) {
            if let ActBody::Accept(accept) = &event.body {
                return &accept.gaps;
            }
        }
        &[]
    }
}
