//! One case as one row.

use cuntong_protocol::{
    act::ActBody,
    calendar::Calendar,
    case::{Case, Clocks, Due, Light},
    control::{Item, Places},
    fields, fold,
    id::CaseId,
    role::Level,
    state::State,
};
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::terms;

/// The due day of a case on which no clock runs: sorts behind every real one.
pub(crate) const NO_DUE: &str = "9999-12-31";
/// A light turns yellow at most so many days before the deadline.
pub(crate) const YELLOW_DAYS_MAX: i32 = 30;
/// Bits of the id that keep apart the rows of one millisecond.
const RID_BITS: u32 = 15;

const PUT: &str = include_str!("../store/sql/queries/case_put.sql");
const OLD: &str = include_str!("../store/sql/queries/case_old.sql");
const TAKEN: &str = include_str!("../store/sql/queries/case_rid_taken.sql");
const DELETE: &str = include_str!("../store/sql/queries/case_delete.sql");
const TWINS: &str = include_str!("../store/sql/queries/case_twin_mark.sql");
const SEARCH_PUT: &str = include_str!("../store/sql/queries/case_search_put.sql");
const SEARCH_DELETE: &str = include_str!("../store/sql/queries/case_search_delete.sql");

/// Whose move it is, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Nobody = 0,
    Site = 1,
    Township = 2,
    County = 3,
}

/// What the old row of a case said, where the new one must undo something.
struct Old {
    rid: i64,
    terms: terms::Terms,
    id_no: String,
    item: String,
}

/// Writes the row of a case and what hangs on it: search terms, twin marks, tallies.
///
/// # Errors
/// Those of the database.
pub(crate) fn put(db: &Connection, case: &Case, ground: &fold::Ground<'_>) -> rusqlite::Result<()> {
    let old = old(db, case.id)?;
    let opened = opened_at(case);
    let rid = match &old {
        Some(old) => old.rid,
        None => free_rid(db, opened, case.id)?,
    };
    let item = ground.catalogue.pinned(&case.item, case.item_version);
    let id_no = case.text(fields::ID);
    let due = next_due(&case.clocks);
    let (due_kind, date) = due.map_or(("", None), |(kind, due)| (kind, Some(due)));
    db.prepare_cached(PUT)?.execute(named_params! {
        ":rid": rid,
        ":case_id": case.id.0,
        ":site": case.site.0,
        ":number": case.number,
        ":item": case.item,
        ":item_version": case.item_version,
        ":name": case.text(fields::NAME),
        ":id_no": id_no,
        ":phone": case.text(fields::PHONE),
        ":address": case.text(fields::ADDRESS),
        ":grp": case.text(fields::GROUP),
        ":state": case.state.word(),
        ":open": case.state.open(),
        ":turn": turn(case, item, ground.places) as u8,
        ":opened_at": opened,
        ":received_at": case.moments.received.map(|at| at.0),
        ":changed_at": case.timeline.iter().map(|e| e.at.0).max().unwrap_or(opened),
        ":due": date.map_or_else(|| NO_DUE.to_owned(), |due| due.date.to_string()),
        ":due_kind": due_kind,
        ":yellow_from": date.map_or_else(
            || NO_DUE.to_owned(),
            |due| yellow_from(&due, ground.calendar).to_string(),
        ),
        ":provisional": date.is_some_and(|due| due.provisional),
        ":calendar": date.map_or(0, |due| due.calendar_version.cast_signed()),
        ":paused": date.is_none() && case.state.open() && case.state != State::Draft,
        ":conflict": case.in_conflict() || case.flags.double_correction,
        ":needs_ruling": case.flags.needs_ruling,
        ":parallel": !case.parallel.is_empty(),
        ":duplicate_of": case.flags.duplicate_of.map(|c| c.0),
        ":reasoned": reasoned(case),
    })?;
    let new = search_terms(
        case.text(fields::NAME),
        id_no,
        case.number.as_deref().unwrap_or(""),
        case.text(fields::PHONE),
        case.site.0,
    );
    if old.as_ref().is_none_or(|old| old.terms != new) {
        if old.is_some() {
            db.prepare_cached(SEARCH_DELETE)?.execute([rid])?;
        }
        db.prepare_cached(SEARCH_PUT)?
            .execute((rid, &new.name, &new.latin, &new.tail, &new.site))?;
    }
    if let Some(old) = &old
        && (old.id_no != id_no || old.item != case.item)
    {
        mark_twins(db, &old.id_no, &old.item)?;
    }
    mark_twins(db, id_no, &case.item)
}

/// Takes the row of a case away: its document is gone or says nothing any more.
///
/// # Errors
/// Those of the database.
pub(crate) fn remove(db: &Connection, case: CaseId) -> rusqlite::Result<()> {
    let Some(old) = old(db, case)? else {
        return Ok(());
    };
    db.prepare_cached(SEARCH_DELETE)?.execute([old.rid])?;
    db.prepare_cached(DELETE)?.execute([old.rid])?;
    mark_twins(db, &old.id_no, &old.item)
}

/// The mark of every case of that person and item is computed again, so that it depends on the
/// rows alone and not on the order in which they came.
fn mark_twins(db: &Connection, id_no: &str, item: &str) -> rusqlite::Result<()> {
    if id_no.is_empty() {
        return Ok(());
    }
    db.prepare_cached(TWINS)?.execute((id_no, item))?;
    Ok(())
}

fn old(db: &Connection, case: CaseId) -> rusqlite::Result<Option<Old>> {
    db.prepare_cached(OLD)?
        .query_row([case.0], |row| {
            let (name, id_no, phone): (String, String, String) =
                (row.get("name")?, row.get("id_no")?, row.get("phone")?);
            let number: Option<String> = row.get("number")?;
            Ok(Old {
                rid: row.get("rid")?,
                terms: search_terms(
                    &name,
                    &id_no,
                    number.as_deref().unwrap_or(""),
                    &phone,
                    row.get("site")?,
                ),
                id_no,
                item: row.get("item")?,
            })
        })
        .optional()
}

fn search_terms(name: &str, id_no: &str, number: &str, phone: &str, site: u32) -> terms::Terms {
    terms::terms(name, &[id_no, number, phone], site)
}

/// Row ids grow with the moment a case was opened, so that the newest come first without a sort.
fn free_rid(db: &Connection, opened: i64, case: CaseId) -> rusqlite::Result<i64> {
    let hash = blake3::hash(&case.0);
    let bits = i64::from(u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]));
    let mut rid = (opened << RID_BITS) | (bits & ((1 << RID_BITS) - 1));
    let mut taken = db.prepare_cached(TAKEN)?;
    while taken.exists([rid])? {
        rid += 1;
    }
    Ok(rid)
}

/// The hybrid clock's moment of the first act: no node can tell it differently.
fn opened_at(case: &Case) -> i64 {
    case.timeline
        .iter()
        .map(|e| e.id.wall().0)
        .min()
        .unwrap_or(0)
}

fn reasoned(case: &Case) -> bool {
    case.timeline.iter().any(|event| {
        matches!(&event.body, ActBody::Receive(receive) if receive.duplicate_reason.is_some())
    })
}

/// The deadline that comes first, and its name.
pub(crate) fn next_due(clocks: &Clocks) -> Option<(&'static str, Due)> {
    [
        ("报送", clocks.handover),
        ("受理", clocks.acceptance),
        ("补正", clocks.correction),
        ("容缺", clocks.gaps),
        ("承诺", clocks.promised),
        ("法定", clocks.legal),
        ("送达", clocks.delivery),
    ]
    .into_iter()
    .filter_map(|(kind, due)| due.map(|due| (kind, due)))
    .min_by_key(|(_, due)| due.date)
}

/// The name of a deadline as a word that outlives a row: what [`next_due`] gave.
pub(crate) fn due_kind(stored: &str) -> &'static str {
    ["报送", "受理", "补正", "容缺", "承诺", "法定", "送达"]
        .into_iter()
        .find(|kind| *kind == stored)
        .unwrap_or("")
}

/// The first day on which the light of this deadline is yellow; the deadline's own day at latest,
/// so that counting lights of a county is a range of an index and needs no calendar.
pub(super) fn yellow_from(due: &Due, calendar: &Calendar) -> Date {
    let mut first = due.date;
    for _day in 0..YELLOW_DAYS_MAX {
        let Ok(before) = first.yesterday() else {
            break;
        };
        if fold::light(due, before, calendar) < Light::Yellow {
            break;
        }
        first = before;
    }
    first
}

/// Whose move it is.
fn turn(case: &Case, item: Option<&Item>, places: &Places) -> Turn {
    if case.flags.needs_ruling {
        return authority(case, item, places);
    }
    match case.state {
        State::Draft | State::Correcting | State::Closed => Turn::Site,
        State::Received
        | State::Accepted
        | State::Reviewing
        | State::DecidedYes
        | State::DecidedNo => authority(case, item, places),
        State::Consult
        | State::Suspended
        | State::Delivered
        | State::Archived
        | State::NotAccepted
        | State::Withdrawn
        | State::Terminated => Turn::Nobody,
    }
}

/// The lowest level that may decide the item and covers the receiving site.
fn authority(case: &Case, item: Option<&Item>, places: &Places) -> Turn {
    let received = places.site(case.site).map(|p| p.level);
    let decides = |level| item.is_some_and(|i| i.decide.contains(&level));
    if received == Some(Level::County) {
        Turn::County
    } else if decides(Level::Township) {
        Turn::Township
    } else if decides(Level::County) || !decides(Level::Village) {
        Turn::County
    } else {
        Turn::Site
    }
}
