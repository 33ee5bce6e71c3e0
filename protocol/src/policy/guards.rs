//! Conditions on a local command beyond state, role and power.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{
    content::blank,
    decide::Facts,
    table::{Guard, Row},
};
use crate::{
    act::{ActBody, Correct, DeliveryWay, Detach, Duplicate, Mandate, Receive},
    case::Case,
    control::Item,
    fold::settled,
    id::Kind,
    limits,
    refusal::Refusal,
    role::Role,
    state::State,
};

/// What a guard looks at.
pub(super) struct Asked<'a> {
    pub(super) body: &'a ActBody,
    /// The document it goes into.
    pub(super) side: Kind,
    pub(super) role: Role,
    pub(super) item: &'a Item,
    pub(super) materials: &'a BTreeMap<u32, String>,
    /// None while the case is being logged.
    pub(super) case: Option<&'a Case>,
    pub(super) facts: &'a Facts<'a>,
    pub(super) today: Date,
}

/// Asks every condition of the rule.
pub(super) fn check(row: &Row, asked: &Asked<'_>) -> Result<(), Refusal> {
    for guard in row.guards {
        ask(*guard, asked)?;
    }
    Ok(())
}

fn ask(guard: Guard, a: &Asked<'_>) -> Result<(), Refusal> {
    let flags = a.case.map(|case| &case.flags);
    match (guard, a.body) {
        (Guard::Form, _) => Ok(()), // Asked with the fields, by `intake`.
        (Guard::Proxy, ActBody::Receive(receive)) => proxy(receive, a.item, a.today),
        (Guard::Duplicate, ActBody::Receive(receive)) => duplicates(receive, a.facts),
        (Guard::OnceComplete, ActBody::Correct(correct)) => once_complete(correct, a),
        (Guard::Asked, ActBody::Supplement(supplement)) => handed_in(&supplement.materials, a),
        (Guard::Materials, ActBody::Accept(accept)) => {
            gaps(&accept.gaps, accept.gap_days, a.item)?;
            complete(a, &accept.gaps)
        }
        (Guard::Materials, _) => complete(a, &[]),
        (Guard::OpenGaps, _) if flags.is_none_or(|f| !f.with_gaps) => {
            Err(wrong("没有容缺待补的材料"))
        }
        (Guard::GapsClosed, _) if flags.is_some_and(|f| f.with_gaps) => Err(Refusal::GapsOpen),
        (Guard::NoRuling, _) if flags.is_some_and(|f| f.needs_ruling) => Err(Refusal::NeedsRuling),
        (Guard::Ruling, _) if flags.is_none_or(|f| !f.needs_ruling) => Err(Refusal::NothingToRule),
        (Guard::NotDuplicate, _) => match flags.and_then(|f| f.duplicate_of) {
            Some(of) => Err(Refusal::IsDuplicate(of.text())),
            None => Ok(()),
        },
        (Guard::Earlier, ActBody::Duplicate(duplicate)) => earlier(duplicate, a),
        (Guard::Attached, ActBody::Detach(detach)) => attached(detach, a),
        (Guard::Attached, ActBody::Attach(_)) => {
            let files = a.case.map_or(0, |case| case.attachments().count());
            if files < limits::CASE_ATTACHMENTS_MAX {
                Ok(())
            } else {
                Err(Refusal::field("file", "一个办件最多 100 个附件"))
            }
        }
        (Guard::MayWithdraw, _) => scope(a, "撤回", |mandate| mandate.may_withdraw),
        (Guard::MayCollect, ActBody::Deliver(deliver)) if deliver.way == DeliveryWay::Brought => {
            // Who carries somebody's result away from the authority acts in that person's place.
            if a.role == Role::Agent && a.case.is_some_and(|case| case.mandate.is_none()) {
                return Err(Refusal::MandateMissing);
            }
            scope(a, "代领结果", |mandate| mandate.may_collect)
        }
        (
            Guard::Proxy
            | Guard::Duplicate
            | Guard::OnceComplete
            | Guard::Asked
            | Guard::OpenGaps
            | Guard::Conflict
            | Guard::GapsClosed
            | Guard::NoRuling
            | Guard::Ruling
            | Guard::Earlier
            | Guard::Attached
            | Guard::MayCollect,
            _,
        ) => Ok(()),
    }
}

/// A file is taken back by the side that attached it.
fn attached(detach: &Detach, a: &Asked<'_>) -> Result<(), Refusal> {
    let found = a.case.is_some_and(|case| {
        let mut all = case.attachments();
        all.any(|(event, _)| event.id == detach.attach && event.side == a.side)
    });
    if found {
        Ok(())
    } else {
        Err(Refusal::NoSuchAttachment)
    }
}

fn proxy(receive: &Receive, item: &Item, today: Date) -> Result<(), Refusal> {
    let Some(mandate) = &receive.mandate else {
        return Ok(());
    };
    if !item.proxy_allowed || item.presence_required {
        return Err(Refusal::NoProxy);
    }
    if expired(mandate, today) {
        return Err(Refusal::field("mandate_until", "委托书已过期"));
    }
    Ok(())
}

fn expired(mandate: &Mandate, today: Date) -> bool {
    let until = mandate.until.as_deref().and_then(|u| u.parse().ok());
    until.is_some_and(|until: Date| until < today)
}

fn duplicates(receive: &Receive, facts: &Facts<'_>) -> Result<(), Refusal> {
    let reason = receive.duplicate_reason.as_deref().unwrap_or_default();
    match facts.duplicates.first() {
        Some(number) if blank(reason) => Err(Refusal::Duplicate {
            number: number.clone(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn once_complete(correct: &Correct, a: &Asked<'_>) -> Result<(), Refusal> {
    if a.case.is_some_and(|case| !case.asked().is_empty()) {
        return Err(Refusal::CorrectedAlready);
    }
    let mut wrong = Vec::new();
    let mut field = |why: String| wrong.push(("missing".to_owned(), why));
    for index in correct.missing.iter().filter_map(|m| m.material) {
        if material(a.item, index).is_none() {
            field(format!("没有第 {} 项材料", u64::from(index) + 1));
        }
    }
    for (index, line) in (0_u32..).zip(&a.item.materials) {
        let listed = correct.missing.iter().any(|m| m.material == Some(index));
        if !listed && !line.deferrable && !settled(a.materials.get(&index).map(String::as_str)) {
            field(format!("材料“{}”也未交齐，须一并告知", line.name));
        }
    }
    Refusal::of_fields(wrong).map_or(Ok(()), Err)
}

fn wrong(why: &str) -> Refusal {
    Refusal::field("materials", why)
}

/// After a correction notice: everything it asked for. Later: gaps, some or all.
fn handed_in(handed: &[u32], a: &Asked<'_>) -> Result<(), Refusal> {
    let Some(case) = a.case else { return Ok(()) };
    if handed.iter().any(|i| material(a.item, *i).is_none()) {
        return Err(wrong("没有这项材料"));
    }
    if case.state == State::Correcting {
        let asked = case.asked().into_iter().filter_map(|m| m.material);
        for index in asked {
            if !handed.contains(&index) && !settled(a.materials.get(&index).map(String::as_str)) {
                return Err(Refusal::MaterialMissing(name(a.item, index)));
            }
        }
        return Ok(());
    }
    let gaps = case.gaps();
    if handed.is_empty() || handed.iter().any(|i| !gaps.contains(i)) {
        return Err(wrong("请选择容缺待补的材料"));
    }
    Ok(())
}

fn gaps(gaps: &[u32], days: u16, item: &Item) -> Result<(), Refusal> {
    for gap in gaps {
        match material(item, *gap) {
            Some(line) if line.deferrable => {}
            Some(line) => return Err(Refusal::NotDeferrable(line.name.clone())),
            None => return Err(Refusal::NotDeferrable(name(item, *gap))),
        }
    }
    let most = item.promised_days.max(1);
    if !gaps.is_empty() && days > most {
        let why = format!("不得超过承诺时限 {most} 个工作日");
        return Err(Refusal::field("gap_days", why));
    }
    Ok(())
}

/// Every material settled, but for the gaps.
fn complete(a: &Asked<'_>, gaps: &[u32]) -> Result<(), Refusal> {
    for (index, line) in (0_u32..).zip(&a.item.materials) {
        let word = a.materials.get(&index).map(String::as_str);
        if !settled(word) && !gaps.contains(&index) {
            return Err(Refusal::MaterialMissing(line.name.clone()));
        }
    }
    Ok(())
}

/// The one received earlier counts; at the same moment the smaller id.
fn earlier(duplicate: &Duplicate, a: &Asked<'_>) -> Result<(), Refusal> {
    let (Some(case), Some(other)) = (a.case, a.facts.other) else {
        return Err(Refusal::NoSuchCase);
    };
    if other.id != duplicate.of || other.id == case.id || other.item != case.item {
        return Err(Refusal::NoSuchCase);
    }
    let when = |case: &Case| {
        (
            case.moments.received.is_none(),
            case.moments.received,
            case.id,
        )
    };
    if when(other) > when(case) {
        return Err(Refusal::NotEarlier);
    }
    Ok(())
}

/// What an agent does in the resident's place must be in the mandate.
fn scope(
    a: &Asked<'_>,
    what: &'static str,
    allowed: impl Fn(&Mandate) -> bool,
) -> Result<(), Refusal> {
    let mandate = a.case.and_then(|case| case.mandate.as_ref());
    match mandate {
        Some(_) if a.role != Role::Agent => Ok(()),
        Some(mandate) if !allowed(mandate) => Err(Refusal::MandateScope(what)),
        Some(mandate) if expired(mandate, a.today) => Err(Refusal::MandateScope("委托书已过期")),
        Some(_) | None => Ok(()),
    }
}

fn material(item: &Item, index: u32) -> Option<&crate::control::Material> {
    item.materials.get(usize::try_from(index).ok()?)
}

fn name(item: &Item, index: u32) -> String {
    let line = material(item, index);
    line.map_or_else(|| (u64::from(index) + 1).to_string(), |m| m.name.clone())
}
