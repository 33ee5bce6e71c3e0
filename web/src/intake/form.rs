//! From what was typed at intake to the command, and to lines and choices on the page.

use std::collections::BTreeMap;

use cuntong_protocol::{
    command::LogCase,
    control::Item,
    fields::{self, MaterialState},
    refusal::Refusal,
    text::{Phone, Private},
    time::Millis,
};
use data_encoding::HEXLOWER;

use super::id_number;
use crate::{case::act, desk::Resident, page::Problem, visit::Fields, words};

/// A resident to choose; the number shows its ends only, the button carries it whole.
pub(crate) struct ResidentChoice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) id_masked: String,
    pub(crate) address: String,
    pub(crate) last: String,
}

impl ResidentChoice {
    pub(crate) fn of(resident: &Resident) -> Self {
        Self {
            id: resident.id.reveal().to_owned(),
            name: resident.name.reveal().to_owned(),
            id_masked: words::masked(resident.id.reveal()),
            address: format!("{} {}", resident.group.reveal(), resident.address.reveal()),
            last: resident.last.clone(),
        }
    }
}

/// An item to choose.
pub(crate) struct ItemChoice {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) department: String,
    pub(crate) promised_days: u16,
    pub(crate) on_the_spot: bool,
}

impl ItemChoice {
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            code: item.code.clone(),
            name: item.name.clone(),
            department: item.department.clone(),
            promised_days: item.promised_days,
            on_the_spot: item.on_the_spot,
        }
    }
}

/// One material line with its select.
pub(crate) struct Line {
    /// Input name, `material.3`.
    pub(crate) name: String,
    /// Input id, `material-3`.
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) note: &'static str,
    /// State word, label, chosen.
    pub(crate) states: Vec<(&'static str, &'static str, bool)>,
    pub(crate) chosen: bool,
}

/// The material lines of an item with what was chosen; what need not be handed in starts so.
pub(crate) fn lines(item: &Item, typed: &Fields) -> Vec<Line> {
    (0_u32..)
        .zip(&item.materials)
        .map(|(index, material)| {
            let name = format!("{}{index}", fields::MATERIAL);
            let typed = typed.get(&name);
            let chosen = if typed.is_empty() && material.no_submit {
                MaterialState::Shared.word()
            } else {
                typed
            };
            let fits = |state: &MaterialState| match state {
                MaterialState::Shared => material.no_submit,
                MaterialState::Deferred => material.deferrable,
                MaterialState::Returned => false,
                MaterialState::Original
                | MaterialState::Copy
                | MaterialState::Electronic
                | MaterialState::Committed
                | MaterialState::Missing => true,
            };
            Line {
                id: format!("material-{index}"),
                label: material.name.clone(),
                note: match (material.no_submit, material.deferrable) {
                    (true, true) => "可免提交 · 可容缺",
                    (true, false) => "可免提交",
                    (false, true) => "可容缺",
                    (false, false) => "",
                },
                states: MaterialState::ALL
                    .into_iter()
                    .filter(fits)
                    .map(|state| (state.word(), state.zh(), state.word() == chosen))
                    .collect(),
                chosen: !chosen.is_empty(),
                name,
            }
        })
        .collect()
}

/// The inputs that become fields of the application.
const INPUTS: [&str; 9] = [
    fields::NAME,
    fields::ID,
    fields::PHONE,
    fields::ADDRESS,
    fields::GROUP,
    fields::CONTACT,
    fields::CONTACT_PHONE,
    fields::BANK,
    fields::NOTE,
];

/// Begins the input of a field that has no place on the page: it is carried along and shown.
const EXTRA: &str = "field.";

/// The input of a field.
pub(crate) fn input_of(field: &str) -> String {
    if INPUTS.contains(&field) {
        field.to_owned()
    } else {
        format!("{EXTRA}{field}")
    }
}

/// Fields without a place on the page: input, name, value.
pub(crate) fn extra(typed: &Fields) -> Vec<(&str, &str, &str)> {
    let named = typed.0.iter().filter_map(|(input, value)| {
        let name = input.strip_prefix(EXTRA)?;
        Some((input.as_str(), name, value.trim()))
    });
    named.filter(|(.., value)| !value.is_empty()).collect()
}

/// Inputs that belong to one visit of the page, not to what was typed.
const PASSING: [&str; 5] = ["form_token", "step", "pick_item", "pick_resident", "once"];

/// Whether there is anything worth keeping.
pub(crate) fn anything_typed(typed: &Fields) -> bool {
    INPUTS
        .into_iter()
        .chain(["item"])
        .any(|name| !typed.get(name).is_empty())
}

/// The draft's text. `once` stays in it, so that a case logged just before a power cut is not
/// logged again from the restored form.
pub(crate) fn to_draft(typed: &Fields) -> String {
    let kept: Vec<&(String, String)> = typed
        .0
        .iter()
        .filter(|(name, _)| name == "once" || !PASSING.contains(&name.as_str()))
        .collect();
    serde_json::to_string(&kept).unwrap_or_default()
}

/// What a draft held; nothing when it cannot be read.
pub(crate) fn of_draft(draft: &str) -> Fields {
    Fields(serde_json::from_str(draft).unwrap_or_default())
}

/// The token that makes a second sending the same case.
pub(crate) fn once_bytes(text: &str) -> Option<[u8; 16]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Everything that is missing or wrong, in the order of the page. A draft needs a name and an
/// item only.
pub(crate) fn problems(
    typed: &Fields,
    item: bool,
    lines: &[Line],
    draft: bool,
    now: Millis,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if typed.get("name").is_empty() {
        problems.push(Problem::new("name", "请填申请人姓名"));
    }
    match (typed.get("id").is_empty(), draft) {
        (true, true) => {}
        (true, false) => problems.push(Problem::new("id", "请填身份证号")),
        (false, _) => {
            if let Err(why) = id_number::parse(typed.get("id"), now) {
                problems.push(Problem::new("id", format!("身份证号{why}")));
            }
        }
    }
    for name in ["phone", "contact_phone"] {
        if let Some(phone) = typed.some(name)
            && let Err(why) = Phone::parse(&phone)
        {
            problems.push(Problem::new(name, format!("电话{why}")));
        }
    }
    if !item {
        problems.push(Problem::new("item_query", "请选择事项"));
    }
    if !draft {
        for line in lines.iter().filter(|line| !line.chosen) {
            let words = format!("请选择材料“{}”的状态", line.label);
            problems.push(Problem::new(line.id.clone(), words));
        }
        if let Err(problem) = act::taken(typed) {
            problems.push(problem);
        }
    }
    problems
}

/// The intent; call only when [`problems`] found none.
pub(crate) fn command(typed: &Fields, step: &str) -> LogCase {
    let mut values = BTreeMap::new();
    for name in INPUTS {
        let value = typed.get(name);
        if !value.is_empty() {
            values.insert(name.to_owned(), Private::new(value));
        }
    }
    for (_, name, value) in extra(typed) {
        values.insert(name.to_owned(), Private::new(value));
    }
    let materials = typed
        .0
        .iter()
        .filter_map(|(name, state)| {
            let index = name.strip_prefix(fields::MATERIAL)?.parse().ok()?;
            MaterialState::from_word(state).map(|state| (index, state.word().to_owned()))
        })
        .collect();
    LogCase {
        item: typed.get("item").to_owned(),
        fields: values,
        materials,
        mandate: act::mandate(typed),
        // A draft may be half filled; what stands in the way was said before.
        taken: act::taken(typed).unwrap_or_default(),
        duplicate_reason: typed.some("duplicate_reason"),
        receive: step != "draft",
        complete: typed.some("complete").filter(|_result| step == "complete"),
        attachments: Vec::new(),
        once: once_bytes(typed.get("once")),
    }
}

/// A refusal at the inputs of this page.
pub(crate) fn problems_of(refusal: &Refusal) -> Vec<Problem> {
    let mut problems = Problem::of(refusal);
    for problem in &mut problems {
        if let Some(index) = problem.field.strip_prefix(fields::MATERIAL) {
            problem.field = format!("material-{index}");
        }
        let named = fields::LABELS
            .iter()
            .find(|(_, label)| *label == problem.field);
        if let Some((input, _)) = named {
            problem.field = (*input).to_owned();
        }
    }
    problems
}
