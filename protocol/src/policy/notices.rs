//! Notices: nothing personal leaves, nothing is edited in place, withdrawal leaves a tombstone.

use super::decide::{Desk, Writes};
use crate::{
    act::{ActBody, Publish, Reason},
    id::{DocId, Kind, Scope},
    notice::{CATEGORIES, NoticeState},
    privacy,
    refusal::Refusal,
    role::Role,
};

/// Items whose cases are never made public (公开口径).
const NEVER_PUBLIC: &str = "minor_no_publish";
/// The category of a notice that names none.
const USUAL: &str = CATEGORIES[CATEGORIES.len() - 1];

pub(super) fn publish(desk: &mut Desk<'_, '_>, publish: &Publish) -> Result<Writes, Refusal> {
    let version = Publish {
        correction: String::new(),
        ..publish.clone()
    };
    let scope = Scope {
        kind: Kind::Notice,
        site: desk.actor.site,
    };
    let (body, role) = checked(desk, version)?;
    let doc = DocId::new(scope, desk.now.source.unique());
    Ok(vec![(doc, vec![desk.act(role, None, body)])])
}

pub(super) fn revise(
    desk: &mut Desk<'_, '_>,
    notice: DocId,
    version: &Publish,
) -> Result<Writes, Refusal> {
    running(desk, notice)?;
    if version.correction.trim().is_empty() {
        return Err(Refusal::ReasonMissing("更正的原因"));
    }
    let (body, role) = checked(desk, version.clone())?;
    Ok(vec![(notice, vec![desk.act(role, None, body)])])
}

pub(super) fn retract(
    desk: &mut Desk<'_, '_>,
    notice: DocId,
    reason: &str,
) -> Result<Writes, Refusal> {
    running(desk, notice)?;
    let body = ActBody::Retract(Reason {
        text: reason.trim().to_owned(),
    });
    let (_, role) = desk.rule(&body, Kind::Notice, Some(ANY), None)?;
    personal(&[("reason", reason)])?;
    Ok(vec![(notice, vec![desk.act(role, None, body)])])
}

/// Rules on notices start from any state: a notice has none of a case.
const ANY: crate::state::State = crate::state::State::Draft;

fn running<'a>(desk: &Desk<'a, '_>, notice: DocId) -> Result<&'a NoticeState, Refusal> {
    let state = desk.facts.notice.filter(|n| n.id == notice);
    let state = state.ok_or(Refusal::NoSuchNotice)?;
    desk.writable(notice)?;
    if state.withdrawn.is_some() {
        return Err(Refusal::NoticeWithdrawn);
    }
    Ok(state)
}

/// A version that may hang on a board.
fn checked(desk: &Desk<'_, '_>, mut version: Publish) -> Result<(ActBody, Role), Refusal> {
    if version.category.is_empty() {
        version.category = USUAL.to_owned();
    }
    version.title = version.title.trim().to_owned();
    version.places.sort_unstable();
    version.places.dedup();
    let body = ActBody::Publish(version);
    let (_, role) = desk.rule(&body, Kind::Notice, Some(ANY), None)?;
    let ActBody::Publish(version) = &body else {
        return Err(Refusal::NoSuchNotice);
    };
    let mut wrong = Vec::new();
    if !CATEGORIES.contains(&version.category.as_str()) {
        wrong.push(("category".to_owned(), "没有这个类别".to_owned()));
    }
    let beyond = |site| !desk.facts.places.covers(desk.actor.site, site);
    if version.places.iter().any(|site| beyond(*site)) {
        wrong.push(("places".to_owned(), "含有不属于本站点辖区的地点".to_owned()));
    }
    if let Some(case) = version.case {
        let known = desk.facts.case.filter(|c| c.id == case);
        let item = known.and_then(|c| desk.facts.catalogue.pinned(&c.item, c.item_version));
        if item.is_none_or(|item| item.privacy == NEVER_PUBLIC) {
            wrong.push(("case".to_owned(), "该办件的事项不得公示".to_owned()));
        }
    }
    if let Some(refusal) = Refusal::of_fields(wrong) {
        return Err(refusal);
    }
    personal(&[
        ("title", &version.title),
        ("body", &version.body),
        ("correction", &version.correction),
    ])?;
    Ok((body, role))
}

/// Refuses what must not become public.
fn personal(texts: &[(&str, &str)]) -> Result<(), Refusal> {
    let found: Vec<String> = texts
        .iter()
        .flat_map(|(_, text)| privacy::scan(text))
        .map(|finding| finding.zh())
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(Refusal::PersonalData(found.join("、")))
}
