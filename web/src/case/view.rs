//! Parts of the case page as plain values.

use cuntong_protocol::{
    act::{ActBody, ActKind},
    case::{Case, Due, Field},
    control::Item,
    fields::{self, MaterialState},
    state::State,
    time::Millis,
};

use crate::{desk::CasePage, words};

/// One step of the progress tracker.
pub(crate) struct Step {
    pub(crate) label: &'static str,
    /// done, now, next, ended
    pub(crate) class: &'static str,
}

/// The tracker: where the case is on its usual way; an unusual end stands at its place.
pub(crate) fn steps(case: &Case) -> Vec<Step> {
    const WAY: [&str; 6] = ["收件", "受理", "审查", "决定", "办结", "送达"];
    let (at, now, ended) = match case.state {
        State::Draft | State::Consult => (0, None, false),
        State::Received => (1, None, false),
        State::Correcting => (1, Some("待补正"), false),
        State::NotAccepted => (1, Some("不予受理"), true),
        State::Accepted => (2, None, false),
        State::Reviewing => (3, None, false),
        State::Suspended => (2, Some("特别程序"), false),
        State::DecidedYes | State::DecidedNo => (4, None, false),
        State::Closed => (5, None, false),
        State::Delivered | State::Archived => (6, None, false),
        State::Withdrawn => (reached(case), Some("已撤回"), true),
        State::Terminated => (reached(case), Some("终止"), true),
    };
    let mut steps = Vec::new();
    for (i, label) in WAY.into_iter().enumerate() {
        if i < at {
            let label = match (label, case.state) {
                ("决定", State::DecidedYes) => "准予",
                ("决定", State::DecidedNo) => "不予",
                (other, _) => other,
            };
            steps.push(Step {
                label,
                class: "done",
            });
        } else if i == at {
            let class = if ended { "ended" } else { "now" };
            steps.push(Step {
                label: now.unwrap_or(label),
                class,
            });
            if ended {
                break;
            }
        } else {
            steps.push(Step {
                label,
                class: "next",
            });
        }
    }
    steps
}

/// How many steps were done before an unusual end.
fn reached(case: &Case) -> usize {
    let done = |kind| {
        case.timeline
            .iter()
            .any(|e| e.void.is_none() && e.body.kind() == kind)
    };
    if done(ActKind::Decide) {
        4
    } else if done(ActKind::Review) {
        3
    } else if done(ActKind::Accept) {
        2
    } else {
        usize::from(done(ActKind::Receive))
    }
}

/// One deadline.
pub(crate) struct ClockView {
    pub(crate) label: &'static str,
    pub(crate) due: String,
}

pub(crate) fn clocks(case: &Case) -> Vec<ClockView> {
    let c = &case.clocks;
    let all: [(&'static str, &Option<Due>); 7] = [
        ("村级报送", &c.handover),
        ("受理期限", &c.acceptance),
        ("补正期限", &c.correction),
        ("容缺补齐", &c.gaps),
        ("承诺办结", &c.promised),
        ("法定办结", &c.legal),
        ("送达期限", &c.delivery),
    ];
    all.into_iter()
        .filter_map(|(label, due)| {
            due.as_ref().map(|due| ClockView {
                label,
                due: words::due(due),
            })
        })
        .collect()
}

/// One registered value.
pub(crate) struct FieldView {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) conflict: bool,
}

/// Values in the order of the form, then whatever else was given; materials have their own table.
pub(crate) fn fields(found: &CasePage) -> Vec<FieldView> {
    let case = &found.case;
    let known = fields::LABELS.iter().map(|(name, _)| (*name).to_owned());
    let others = case
        .fields
        .keys()
        .filter(|name| {
            !name.starts_with(fields::MATERIAL) && !fields::LABELS.iter().any(|(n, _)| n == name)
        })
        .cloned();
    known
        .chain(others)
        .filter_map(|key| {
            let field = case.fields.get(&key)?;
            let (value, conflict) = match field {
                Field::Value(value) => (value.reveal().to_owned(), false),
                Field::Conflict(all) => {
                    let values: Vec<&str> = all.iter().map(|c| c.value.reveal()).collect();
                    (values.join(" / "), true)
                }
            };
            (!value.is_empty()).then(|| FieldView {
                label: fields::label(&key).to_owned(),
                value,
                conflict,
            })
        })
        .collect()
}

/// One line of the material list.
pub(crate) struct MaterialView {
    pub(crate) index: u32,
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) note: &'static str,
    pub(crate) state: String,
    pub(crate) tone: &'static str,
    pub(crate) deferrable: bool,
}

pub(crate) fn materials(found: &CasePage) -> Vec<MaterialView> {
    (0_u32..)
        .zip(&found.item.materials)
        .map(|(index, material)| {
            let word = found.case.materials.get(&index).map_or("", String::as_str);
            let state = MaterialState::from_word(word);
            let tone = match state {
                None | Some(MaterialState::Missing) => "bad",
                Some(MaterialState::Deferred | MaterialState::Committed) => "warn",
                Some(MaterialState::Returned) => "neutral",
                Some(
                    MaterialState::Original
                    | MaterialState::Copy
                    | MaterialState::Electronic
                    | MaterialState::Shared,
                ) => "ok",
            };
            MaterialView {
                index,
                field: format!("{}{index}", fields::MATERIAL),
                name: material.name.clone(),
                note: match (material.no_submit, material.deferrable) {
                    (true, _) => "可免提交",
                    (false, true) => "可容缺",
                    (false, false) => "",
                },
                state: state.map_or("未登记", MaterialState::zh).to_owned(),
                tone,
                deferrable: material.deferrable,
            }
        })
        .collect()
}

/// The label of any field, materials by the name of the material.
pub(crate) fn label(found: &CasePage, field: &str) -> String {
    let index = field
        .strip_prefix(fields::MATERIAL)
        .and_then(|n| n.parse::<usize>().ok());
    match index.and_then(|i| found.item.materials.get(i)) {
        Some(material) => format!("材料“{}”", material.name),
        None => fields::label(field).to_owned(),
    }
}

/// A value as people read it: states of materials by their word on screens.
fn shown(field: &str, value: &str) -> String {
    if field.starts_with(fields::MATERIAL) {
        MaterialState::from_word(value)
            .map_or_else(|| value.to_owned(), |state| state.zh().to_owned())
    } else {
        value.to_owned()
    }
}

/// A field two desks wrote without knowing of each other.
pub(crate) struct ConflictView {
    pub(crate) field: String,
    pub(crate) label: String,
    pub(crate) candidates: Vec<CandidateView>,
}

pub(crate) struct CandidateView {
    pub(crate) value: String,
    pub(crate) shown: String,
    pub(crate) person: String,
    pub(crate) at: String,
}

pub(crate) fn conflicts(found: &CasePage, now: Millis) -> Vec<ConflictView> {
    let mut out = Vec::new();
    for (name, field) in &found.case.fields {
        let Field::Conflict(all) = field else {
            continue;
        };
        out.push(ConflictView {
            label: label(found, name),
            candidates: all
                .iter()
                .map(|candidate| CandidateView {
                    value: candidate.value.reveal().to_owned(),
                    shown: shown(name, candidate.value.reveal()),
                    person: candidate.person.map_or_else(
                        || "收件时登记".to_owned(),
                        |id| super::timeline::person(found, id),
                    ),
                    at: candidate
                        .at
                        .map(|at| words::moment(at, now))
                        .unwrap_or_default(),
                })
                .collect(),
            field: name.clone(),
        });
    }
    out
}

/// Sentences that announce merged edits of different fields.
pub(crate) fn parallel(found: &CasePage) -> Vec<String> {
    found
        .case
        .parallel
        .iter()
        .map(|p| {
            let [a, b] = [&p.fields[0], &p.fields[1]].map(|f| label(found, f));
            format!("两处互不知情地改了“{a}”和“{b}”，两项都已保留。")
        })
        .collect()
}

/// A signed custody receipt.
pub(crate) struct ReceiptView {
    pub(crate) level: &'static str,
    pub(crate) site: String,
    pub(crate) node: String,
    pub(crate) at: String,
    pub(crate) signature: String,
}

pub(crate) fn receipts(found: &CasePage) -> Vec<ReceiptView> {
    let rows = found.receipts.iter();
    rows.map(|receipt| ReceiptView {
        level: receipt.level.zh(),
        site: receipt.site_name.clone(),
        node: receipt.holder.text(),
        at: words::date_time(receipt.at),
        signature: receipt.signature.clone(),
    })
    .collect()
}

/// A paper that can be printed now.
pub(crate) struct Paper {
    pub(crate) path: &'static str,
    pub(crate) label: &'static str,
}

pub(crate) fn papers(case: &Case) -> Vec<Paper> {
    let has = |kind: ActKind| {
        case.timeline
            .iter()
            .any(|e| e.void.is_none() && e.body.kind() == kind)
    };
    let decided = case
        .timeline
        .iter()
        .rev()
        .find_map(|e| match (&e.void, &e.body) {
            (None, ActBody::Decide(decide)) => Some(if decide.granted {
                "准予决定书"
            } else {
                "不予决定书"
            }),
            (None, ActBody::Refuse(_)) => Some("不予受理通知书"),
            (_, _) => None,
        });
    let mut papers = Vec::new();
    if has(ActKind::Receive) || has(ActKind::Complete) {
        papers.push(Paper {
            path: "receipt",
            label: "收件凭证",
        });
    }
    if has(ActKind::Correct) {
        papers.push(Paper {
            path: "correction",
            label: "一次性补正告知书",
        });
    }
    if has(ActKind::Accept) {
        papers.push(Paper {
            path: "acceptance",
            label: "受理通知书",
        });
    }
    if let Some(label) = decided {
        papers.push(Paper {
            path: "decision",
            label,
        });
    }
    papers
}

/// What the forms need to know of the item.
pub(crate) struct ItemFacts {
    pub(crate) code: String,
    pub(crate) version: u32,
    pub(crate) department: String,
    pub(crate) legal_days: u16,
    pub(crate) proxy_allowed: bool,
}

impl ItemFacts {
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            code: item.code.clone(),
            version: item.version,
            department: item.department.clone(),
            legal_days: item.legal_days,
            proxy_allowed: item.proxy_allowed,
        }
    }
}
