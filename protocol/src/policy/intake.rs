//! Intake (登记、收件): the one screen where a case begins.

use std::collections::BTreeMap;

use super::{
    decide::{Desk, Writes},
    guards::{self, Asked},
    parse,
};
use crate::{
    act::{ActBody, Close, Open, Receive},
    case::{Case, Field},
    command::LogCase,
    control::Item,
    document::Write,
    fields::MaterialState,
    id::{CaseId, Kind},
    refusal::Refusal,
    role::Role,
    state::State,
    text::Private,
};

/// A new case: a draft, received, or done in the same visit; one change.
pub(super) fn log(desk: &mut Desk<'_, '_>, log: &LogCase) -> Result<Writes, Refusal> {
    let item = desk.facts.catalogue.current(&log.item);
    let item = item.ok_or_else(|| Refusal::NoSuchItem(log.item.chars().take(64).collect()))?;
    let open = ActBody::Open(Open {
        item: item.code.clone(),
        item_version: item.version,
    });
    let (_, role) = desk.rule(&open, Kind::Application, None, Some(item))?;
    let mut form = form(desk, log, item)?;
    if log.receive || log.complete.is_some() {
        complete_lines(item, &mut form.materials);
    }
    let mut bodies = vec![open];
    if log.receive || log.complete.is_some() {
        let receive = ActBody::Receive(Receive {
            number: String::new(),
            mandate: log.mandate.clone(),
            taken: log.taken.clone(),
            duplicate_reason: log.duplicate_reason.clone(),
        });
        let draft = Some(State::Draft);
        let (row, _) = desk.rule(&receive, Kind::Application, draft, Some(item))?;
        guards::check(row, &asked(desk, role, item, &form.materials, &receive))?;
        bodies.push(receive);
    }
    if let Some(result) = &log.complete {
        let complete = ActBody::Complete(Close {
            result: result.clone(),
            result_number: String::new(),
        });
        let received = Some(State::Received);
        let (row, _) = desk.rule(&complete, Kind::Application, received, Some(item))?;
        guards::check(row, &asked(desk, role, item, &form.materials, &complete))?;
        bodies.push(complete);
    }
    for attach in &log.attachments {
        let body = ActBody::Attach(attach.clone());
        super::decide::flawless(&body)?;
        bodies.push(body);
    }
    let case = CaseId::new(desk.actor.site, desk.now.source.unique());
    let mut writes = Vec::new();
    for mut body in bodies {
        if let ActBody::Receive(receive) = &mut body {
            receive.number = desk.now.source.number()?;
        }
        writes.push(desk.act(role, None, body));
    }
    for (name, value) in form.fields {
        writes.push(Write::Field(name, Some(Private::new(value))));
    }
    for (index, word) in form.materials {
        let word = Some(Private::new(word));
        writes.push(Write::Field(parse::material_field(index), word));
    }
    Ok(vec![(case.doc(Kind::Application), writes)])
}

fn asked<'a>(
    desk: &'a Desk<'_, '_>,
    role: Role,
    item: &'a Item,
    materials: &'a BTreeMap<u32, String>,
    body: &'a ActBody,
) -> Asked<'a> {
    Asked {
        body,
        side: Kind::Application,
        role,
        item,
        materials,
        case: None,
        facts: desk.facts,
        today: desk.today,
    }
}

/// A draft is taken in: its fields must be right now, and every material line set.
pub(super) fn received(
    desk: &Desk<'_, '_>,
    case: &Case,
    item: &Item,
    materials: &mut BTreeMap<u32, String>,
    writes: &mut Vec<Write>,
) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    for name in parse::REQUIRED {
        if !case.fields.contains_key(name) {
            wrong.push((name.to_owned(), "请填写".to_owned()));
        }
    }
    for (name, field) in &case.fields {
        let value = match field {
            Field::Value(value) => value.reveal(),
            Field::Conflict(_) => {
                wrong.push((name.clone(), "有几个不同的值，请先选定其中一个".to_owned()));
                continue;
            }
        };
        match parse::canonical(name, value, desk.trusted_today()) {
            Ok(canonical) if canonical != value => {
                writes.push(Write::Field(name.clone(), Some(Private::new(canonical))));
            }
            Ok(_) => {}
            Err(why) => wrong.push((name.clone(), why)),
        }
    }
    if let Some(refusal) = Refusal::of_fields(wrong) {
        return Err(refusal);
    }
    let before = materials.clone();
    complete_lines(item, materials);
    for (index, word) in materials.iter().filter(|(i, _)| !before.contains_key(i)) {
        let word = Some(Private::new(word.clone()));
        writes.push(Write::Field(parse::material_field(*index), word));
    }
    Ok(())
}

/// What intake typed, in canonical form.
struct Form {
    fields: BTreeMap<String, String>,
    materials: BTreeMap<u32, String>,
}

fn form(desk: &Desk<'_, '_>, log: &LogCase, item: &Item) -> Result<Form, Refusal> {
    let strict = log.receive || log.complete.is_some();
    let mut wrong: Vec<(String, String)> = Vec::new();
    let mut form = Form {
        fields: BTreeMap::new(),
        materials: BTreeMap::new(),
    };
    let lines = log.materials.iter();
    let lines = lines.map(|(index, word)| (parse::material_field(*index), word.as_str()));
    let typed = log
        .fields
        .iter()
        .map(|(name, v)| (name.clone(), v.reveal()));
    for (name, value) in typed.chain(lines) {
        if value.trim().is_empty() {
            continue;
        }
        if !parse::is_field_name(&name) {
            wrong.push((name, "没有这个栏目".to_owned()));
            continue;
        }
        let canonical = parse::canonical(&name, value, desk.trusted_today());
        match (parse::material_index(&name), canonical) {
            (Some(index), _) if line(item, index).is_none() => {
                wrong.push((name, "没有这项材料".to_owned()));
            }
            (Some(index), Ok(word)) => {
                form.materials.insert(index, word);
            }
            (None, Ok(value)) => {
                form.fields.insert(name, value);
            }
            // A draft keeps what is typed half, as far as it is a text at all.
            (None, Err(_half)) if !strict && parse::canonical("note", value, None).is_ok() => {
                form.fields.insert(name, value.trim().to_owned());
            }
            (_, Err(why)) => wrong.push((name, why)),
        }
    }
    if strict {
        for name in parse::REQUIRED {
            let said = wrong.iter().any(|(field, _)| field == name);
            if !form.fields.contains_key(name) && !said {
                wrong.push((name.to_owned(), "请填写".to_owned()));
            }
        }
    }
    match Refusal::of_fields(wrong) {
        Some(refusal) => Err(refusal),
        None => Ok(form),
    }
}

/// A line nobody spoke of when the papers were taken: what need not be handed in is shared, all
/// else is there. Whoever sees a paper missing says so.
fn complete_lines(item: &Item, materials: &mut BTreeMap<u32, String>) {
    for (index, line) in (0_u32..).zip(&item.materials) {
        let state = if line.no_submit {
            MaterialState::Shared
        } else {
            MaterialState::Original
        };
        let word = || state.word().to_owned();
        materials.entry(index).or_insert_with(word);
    }
}

fn line(item: &Item, index: u32) -> Option<&crate::control::Material> {
    item.materials.get(usize::try_from(index).ok()?)
}
