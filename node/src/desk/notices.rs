//! Notices (公示、公开) as lists show them.

use cuntong_protocol::{
    command::Actor,
    id::{DocId, SiteId},
    role::Level,
    time::Millis,
};
use cuntong_web::desk::{Board, NoticeRow, NoticeStatus, Site};
use jiff::civil::Date;
use rusqlite::{Row, ToSql};

use super::ground::{Area, Ground, query, rows};
use crate::store::Result;

/// Notices in one list.
const SHOWN_MAX: i64 = 500;

/// Notices of the area, newest first.
///
/// # Errors
/// Those of the database.
pub(crate) fn of_area(g: &Ground<'_>, actor: &Actor) -> Result<Vec<NoticeRow>> {
    let area = match g.trust.places().site(actor.site).map(|p| p.level) {
        Some(Level::County) => Area::All,
        Some(Level::Village | Level::Township) => Area::Sites(g.trust.places().area(actor.site)),
        None => Area::Nothing,
    };
    read(
        g,
        query!("notices_area"),
        &[
            (":all", &area.all()),
            (":area", &area.json()),
            (":own", &actor.site.0),
            (":limit", &SHOWN_MAX),
        ],
    )
}

/// One notice.
///
/// # Errors
/// Those of the database.
pub(crate) fn one(g: &Ground<'_>, id: DocId) -> Result<Option<NoticeRow>> {
    Ok(read(g, query!("notice_by_id"), &[("?1", &id.0)])?.pop())
}

/// What hangs on this site's board today.
///
/// # Errors
/// Those of the database.
pub(crate) fn board(g: &Ground<'_>) -> Result<Board> {
    let notices = read(
        g,
        query!("board"),
        &[(":own", &g.site.0), (":today", &g.today().to_string())],
    )?;
    Ok(Board {
        site_name: g.site_name(g.site),
        notices,
        as_of: if g.level == Level::County {
            Some(g.now)
        } else {
            heard_from_above(g)?
        },
    })
}

/// When an upstream was last heard of.
fn heard_from_above(g: &Ground<'_>) -> Result<Option<Millis>> {
    let above = |node| g.node_site(node).is_some_and(|(_, level)| level > g.level);
    let notes = g.db.peers()?;
    let seen = notes
        .into_iter()
        .filter(|note| note.via.is_none() && above(note.sighting.node))
        .map(|note| note.sighting.at);
    Ok(seen.max())
}

/// Sites on whose boards this site may hang a notice: itself and what lies below.
pub(crate) fn places(g: &Ground<'_>) -> Vec<Site> {
    let mut out: Vec<Site> = g
        .trust
        .places()
        .area(g.site)
        .into_iter()
        .map(|site| g.site_of(site))
        .collect();
    out.sort_by(|a, b| {
        (std::cmp::Reverse(a.level), &a.code).cmp(&(std::cmp::Reverse(b.level), &b.code))
    });
    out
}

fn read(g: &Ground<'_>, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<NoticeRow>> {
    let mut found = rows(g.conn(), sql, params, |row| notice_row(g, row))?;
    for notice in &mut found {
        let sites = rows(
            g.conn(),
            query!("notice_places"),
            &[("?1", &notice.id.0)],
            |row| row.get(0).map(SiteId),
        )?;
        notice.places = sites.into_iter().map(|site| g.site_of(site)).collect();
    }
    Ok(found)
}

fn notice_row(g: &Ground<'_>, row: &Row<'_>) -> rusqlite::Result<NoticeRow> {
    let publisher = SiteId(row.get("publisher")?);
    let from: String = row.get("from_day")?;
    let until: Option<String> = row.get("until_day")?;
    let withdrawn_at: Option<i64> = row.get("withdrawn_at")?;
    let why: Option<String> = row.get("withdrawn")?;
    let status = if withdrawn_at.is_some() {
        NoticeStatus::Withdrawn
    } else {
        status(&from, until.as_deref(), g.today())
    };
    Ok(NoticeRow {
        id: DocId(row.get("doc")?),
        title: row.get("title")?,
        body: row.get("body")?,
        category: row.get("category")?,
        publisher,
        publisher_name: g.site_name(publisher),
        places: Vec::new(),
        from,
        until,
        published_at: Millis(row.get("published_at")?),
        version: row.get("version")?,
        correction: row.get("correction")?,
        status,
        withdrawn: withdrawn_at.map(|at| (Millis(at), why.unwrap_or_default())),
    })
}

/// Days are yyyy-mm-dd, which compare as text.
fn status(from: &str, until: Option<&str>, today: Date) -> NoticeStatus {
    let today = today.to_string();
    if today.as_str() < from {
        NoticeStatus::Scheduled
    } else if until.is_some_and(|until| until < today.as_str()) {
        NoticeStatus::Ended
    } else {
        NoticeStatus::Running
    }
}
