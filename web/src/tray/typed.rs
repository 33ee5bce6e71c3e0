//! A command as its own form would have sent it: the forms' readers, backwards.

use cuntong_protocol::{
    act::{ActBody, Correct, Deliver, DeliveryWay, Mandate, Publish, TakenEarlier},
    command::{Command, LogCase},
    fields::{self, MaterialState},
    id::CaseId,
};

use crate::{case::act::Form, intake, visit::Fields, words};

/// The page with the form of a command.
pub(super) fn page(command: &Command) -> String {
    match command {
        Command::Log(_) => "/intake".to_owned(),
        Command::Act { case, .. } | Command::Amend { case, .. } | Command::Resolve { case, .. } => {
            format!("/cases/{case}")
        }
        Command::PublishNotice(_) => "/notices/new".to_owned(),
        Command::ReviseNotice { notice, .. } | Command::RetractNotice { notice, .. } => {
            format!("/notices/{notice}")
        }
    }
}

/// The intake form.
pub(crate) fn intake(log: &LogCase) -> Fields {
    let mut typed = Fields::default();
    typed.set("item", &log.item);
    for (name, value) in &log.fields {
        typed.set(&intake::input_of(name), value.reveal());
    }
    for (index, word) in &log.materials {
        typed.set(&format!("{}{index}", fields::MATERIAL), word);
    }
    put_mandate(&mut typed, log.mandate.as_ref());
    put_taken(&mut typed, log.taken.as_ref());
    put(
        &mut typed,
        "duplicate_reason",
        log.duplicate_reason.as_deref(),
    );
    put(&mut typed, "complete", log.complete.as_deref());
    typed
}

/// A form of the case page.
pub(crate) fn on_case(command: &Command) -> Option<(CaseId, Form, Fields)> {
    let mut typed = Fields::default();
    let (case, form) = match command {
        Command::Act { case, body } => {
            act(body, &mut typed);
            (case, Form::of(body.kind())?)
        }
        Command::Amend {
            case,
            field,
            value,
            reason,
        } => {
            let state = MaterialState::from_word(value.reveal());
            let state = state.filter(|_| field.starts_with(fields::MATERIAL));
            typed.set("field", field);
            typed.set(
                "value",
                state.map_or_else(|| value.reveal(), |state| state.zh()),
            );
            typed.set("reason", reason);
            (case, Form::Amend)
        }
        Command::Resolve {
            case,
            field,
            value,
            reason,
        } => {
            typed.set("field", field);
            typed.set("choice", value.reveal());
            typed.set("reason", reason);
            (case, Form::Resolve)
        }
        Command::Log(_)
        | Command::PublishNotice(_)
        | Command::ReviseNotice { .. }
        | Command::RetractNotice { .. } => return None,
    };
    Some((*case, form, typed))
}

/// The form of a notice.
pub(crate) fn notice(publish: &Publish) -> Fields {
    let mut typed = Fields::default();
    typed.set("title", &publish.title);
    typed.set("body", &publish.body);
    typed.set("category", &publish.category);
    typed.set("from", &publish.from);
    put(&mut typed, "until", publish.until.as_deref());
    typed.set("correction", &publish.correction);
    for place in &publish.places {
        typed.0.push(("place".to_owned(), place.to_string()));
    }
    typed
}

fn act(body: &ActBody, typed: &mut Fields) {
    match body {
        ActBody::Receive(receive) => {
            put_mandate(typed, receive.mandate.as_ref());
            put_taken(typed, receive.taken.as_ref());
            put(
                typed,
                "duplicate_reason",
                receive.duplicate_reason.as_deref(),
            );
        }
        ActBody::Supplement(supplement) => {
            put_all(typed, "material", &supplement.materials);
            typed.set("note", &supplement.note);
        }
        ActBody::Withdraw(reason) | ActBody::Review(reason) | ActBody::Terminate(reason) => {
            typed.set("text", &reason.text);
        }
        ActBody::Deliver(deliver) => delivered(deliver, typed),
        ActBody::Correct(correct) => corrected(correct, typed),
        ActBody::Accept(accept) => {
            put_all(typed, "gap", &accept.gaps);
            if !accept.gaps.is_empty() {
                typed.set("gap_days", accept.gap_days.to_string());
            }
            typed.set("note", &accept.note);
        }
        ActBody::Refuse(refuse) => {
            typed.set("reason", &refuse.reason);
            typed.set("basis", &refuse.basis);
            typed.set("competent", &refuse.competent);
        }
        ActBody::Decide(decide) => {
            typed.set("granted", if decide.granted { "yes" } else { "no" });
            typed.set("reason", &decide.reason);
            typed.set("remedies", &decide.remedies);
        }
        ActBody::Close(close) | ActBody::Complete(close) => {
            typed.set("result", &close.result);
            typed.set("result_number", &close.result_number);
        }
        ActBody::Rule(rule) => {
            let stands = if rule.withdrawn {
                "withdrawal"
            } else {
                "decision"
            };
            typed.set("stands", stands);
            typed.set("reason", &rule.reason);
        }
        ActBody::Duplicate(duplicate) => {
            typed.set("of", duplicate.of.text());
            typed.set("reason", &duplicate.reason);
        }
        ActBody::Open(_)
        | ActBody::Resolve(_)
        | ActBody::Amend(_)
        | ActBody::Publish(_)
        | ActBody::Retract(_)
        | ActBody::Attach(_)
        | ActBody::Detach(_) => {}
    }
}

fn delivered(deliver: &Deliver, typed: &mut Fields) {
    let way = match deliver.way {
        DeliveryWay::Collected => "collected",
        DeliveryWay::Mailed => "mailed",
        DeliveryWay::Brought => "brought",
        DeliveryWay::Electronic => "electronic",
    };
    typed.set("way", way);
    put(typed, "receiver", deliver.receiver.as_deref());
    typed.set("note", &deliver.note);
}

fn corrected(correct: &Correct, typed: &mut Fields) {
    let mut other = Vec::new();
    for missing in &correct.missing {
        match missing.material {
            Some(index) => {
                put_all(typed, "missing", &[index]);
                typed.set(&format!("how.{index}"), &missing.how);
            }
            None => other.push(missing.how.as_str()),
        }
    }
    typed.set("other", other.join("\n"));
    typed.set("days", correct.days.to_string());
}

fn put(typed: &mut Fields, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        typed.set(name, value);
    }
}

fn put_all(typed: &mut Fields, name: &str, indexes: &[u32]) {
    let pairs = indexes.iter().map(|i| (name.to_owned(), i.to_string()));
    typed.0.extend(pairs);
}

fn put_mandate(typed: &mut Fields, mandate: Option<&Mandate>) {
    let Some(mandate) = mandate else { return };
    typed.set("proxy", "yes");
    for (name, may) in [
        ("may_withdraw", mandate.may_withdraw),
        ("may_collect", mandate.may_collect),
    ] {
        put(typed, name, may.then_some("yes"));
    }
    put(typed, "mandate_until", mandate.until.as_deref());
    put(typed, "witness", mandate.witness.as_deref());
}

fn put_taken(typed: &mut Fields, taken: Option<&TakenEarlier>) {
    let Some(taken) = taken else { return };
    let at = words::date_time(taken.at);
    let (date, time) = at.split_once(' ').unwrap_or((&at, ""));
    typed.set("late", "yes");
    typed.set("taken_date", date);
    typed.set("taken_time", time);
    typed.set("taken_reason", &taken.reason);
}
