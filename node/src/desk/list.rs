//! Lists of cases: queues, search, today, residents. Every query walks an index.

use std::collections::BTreeMap;

use cuntong_protocol::{
    calendar::day_begins,
    case::{Due, Light},
    command::Actor,
    id::{CaseId, SiteId},
    role::Level,
    state::State,
    text::Private,
    time::Millis,
};
use cuntong_web::desk::{CaseList, CaseQuery, CaseRow, Resident, Today, View};
use jiff::{ToSpan as _, civil::Date};
use rusqlite::{Row, ToSql};

use super::{
    custody,
    ground::{Area, Ground, count, query, rows},
    tray,
};
use crate::{
    store::Result,
    view::{self, terms},
};

/// Rows of one page.
pub(crate) const PAGE_ROWS_MAX: u64 = 200;
/// Counting stops here: nobody pages further, and a count must not walk a county's cases.
pub(crate) const COUNT_MAX: u64 = 10_000;
/// The same for a search: who finds a thousand people types another character.
const HITS_MAX: u64 = 1_000;
/// Suggestions for autofill.
const RESIDENTS_MAX: usize = 9;
/// The next cases on the page of the day.
const NEXT_MAX: u64 = 5;

/// Cases of the person's area.
///
/// # Errors
/// Those of the database.
pub(crate) fn cases(g: &Ground<'_>, actor: &Actor, query: &CaseQuery) -> Result<CaseList> {
    let area = g.area(actor);
    if area == Area::Nothing {
        return Ok(CaseList::default());
    }
    if query.view == View::LocalOnly {
        return local_only(g, &area, query);
    }
    let limit = query.limit.clamp(1, PAGE_ROWS_MAX);
    let offset = query.offset.min(COUNT_MAX);
    let expression = if query.text.trim().is_empty() {
        None
    } else {
        match terms::expression(&query.text, None) {
            Some(expression) => Some(expression),
            None => return Ok(CaseList::default()),
        }
    };
    let sql = match &expression {
        Some(_) => query!("cases_search"),
        None => sql_of(query),
    };
    let ask = Ask::of(g, actor, &area, query, expression.as_deref());
    let found = ask.rows(g, sql, limit, offset)?;
    let total = if expression.is_none() && query.view == View::All {
        tally(g, &area)?
            .iter()
            .filter(|(state, _)| query.state.is_none_or(|s| s == **state))
            .map(|(_, n)| n)
            .sum()
    } else if offset == 0 && (found.len() as u64) < limit {
        found.len() as u64
    } else {
        ask.count(g, sql)?
    };
    Ok(CaseList { rows: found, total })
}

fn sql_of(query: &CaseQuery) -> &'static str {
    match query.view {
        View::All if query.state.is_some() => query!("cases_state"),
        View::All | View::LocalOnly => query!("cases_all"),
        View::Mine => query!("cases_mine"),
        View::Yellow => query!("cases_yellow"),
        View::Red => query!("cases_red"),
        View::Correcting | View::ToDeliver => query!("cases_waiting"),
        View::Conflicts => query!("cases_pending"),
        View::Drafts => query!("cases_drafts"),
    }
}

/// The values the queries of lists are asked with.
struct Ask {
    all: bool,
    area: String,
    today: String,
    horizon: String,
    state: Option<&'static str>,
    view: &'static str,
    turn: u8,
    own: u32,
    expression: Option<String>,
}

impl Ask {
    fn of(
        g: &Ground<'_>,
        actor: &Actor,
        area: &Area,
        query: &CaseQuery,
        expression: Option<&str>,
    ) -> Self {
        let (view, state) = match query.view {
            View::All | View::LocalOnly => ("all", query.state),
            View::Mine => ("mine", query.state),
            View::Yellow => ("yellow", query.state),
            View::Red => ("red", query.state),
            View::Correcting => ("all", Some(State::Correcting)),
            View::ToDeliver => ("all", Some(State::Closed)),
            View::Conflicts => ("pending", query.state),
            View::Drafts => ("drafts", query.state),
        };
        Self {
            all: area.all(),
            area: area.json(),
            today: g.today().to_string(),
            horizon: g
                .today()
                .saturating_add(view::YELLOW_DAYS_MAX.days())
                .to_string(),
            state: state.map(State::word),
            view,
            turn: turn_of(g.level),
            own: actor.site.0,
            expression: expression.map(str::to_owned),
        }
    }

    fn with<T>(&self, limit: u64, offset: u64, ask: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
        let (limit, offset) = (limit as i64, offset as i64);
        ask(&[
            (":all", &self.all),
            (":area", &self.area),
            (":today", &self.today),
            (":horizon", &self.horizon),
            (":state", &self.state),
            (":view", &self.view),
            (":turn", &self.turn),
            (":own", &self.own),
            (":match", &self.expression),
            (":limit", &limit),
            (":offset", &offset),
        ])
    }

    fn rows(&self, g: &Ground<'_>, sql: &str, limit: u64, offset: u64) -> Result<Vec<CaseRow>> {
        let found = self.with(limit, offset, |params| {
            rows(g.conn(), sql, params, |row| case_row(g, row))
        })?;
        with_custody(g, found)
    }

    fn count(&self, g: &Ground<'_>, sql: &str) -> Result<u64> {
        let counted = crate::store::counted(sql);
        let most = match self.expression {
            Some(_) => HITS_MAX,
            None => COUNT_MAX,
        };
        Ok(self.with(most + 1, 0, |params| count(g.conn(), &counted, params))?)
    }
}

/// What `turn` of a row means "mine" at a desk of this level.
const fn turn_of(level: Level) -> u8 {
    match level {
        Level::Village => view::Turn::Site as u8,
        Level::Township => view::Turn::Township as u8,
        Level::County => view::Turn::County as u8,
    }
}

/// One row, custody not yet looked up.
fn case_row(g: &Ground<'_>, row: &Row<'_>) -> rusqlite::Result<CaseRow> {
    let site = SiteId(row.get("site")?);
    let item: String = row.get("item")?;
    let version: u32 = row.get("item_version")?;
    let state: String = row.get("state")?;
    let id_no: String = row.get("id_no")?;
    let due = due(row)?;
    let kind: String = row.get("due_kind")?;
    let duplicate_of: Option<[u8; 15]> = row.get("duplicate_of")?;
    Ok(CaseRow {
        id: CaseId(row.get("case_id")?),
        number: row.get("number")?,
        name: Private::new(row.get::<_, String>("name")?),
        id_masked: masked(&id_no),
        item_name: g
            .trust
            .catalogue()
            .pinned(&item, version)
            .map_or_else(|| item.clone(), |i| i.name.clone()),
        item,
        site,
        site_name: g.site_name(site),
        state: State::from_word(&state).unwrap_or(State::Draft),
        light: light(row, due.as_ref(), g.today())?,
        due,
        due_kind: view::due_kind(&kind),
        received_at: row.get::<_, Option<i64>>("received_at")?.map(Millis),
        custody: cuntong_web::desk::CaseCustody::Local,
        conflict: row.get("conflict")?,
        needs_ruling: row.get("needs_ruling")?,
        duplicate: row.get::<_, bool>("twin")? || duplicate_of.is_some(),
        parallel: row.get("parallel")?,
    })
}

fn due(row: &Row<'_>) -> rusqlite::Result<Option<Due>> {
    let text: String = row.get("due")?;
    if text == view::NO_DUE {
        return Ok(None);
    }
    let provisional = row.get("provisional")?;
    let calendar_version = row.get::<_, i64>("calendar")?;
    Ok(text.parse().ok().map(|date: Date| Due {
        date,
        provisional,
        calendar_version: u64::try_from(calendar_version).unwrap_or(0),
    }))
}

/// The light as of today, by the dates the row was given.
fn light(row: &Row<'_>, due: Option<&Due>, today: Date) -> rusqlite::Result<Option<Light>> {
    let Some(due) = due else {
        let paused: bool = row.get("paused")?;
        return Ok(paused.then_some(Light::Paused));
    };
    let yellow: String = row.get("yellow_from")?;
    Ok(Some(if due.date < today {
        Light::Red
    } else if yellow.parse().is_ok_and(|from: Date| from <= today) {
        Light::Yellow
    } else {
        Light::Green
    }))
}

/// `340***********1234`; a short number shows nothing of itself.
pub(crate) fn masked(number: &str) -> String {
    let all: Vec<char> = number.chars().collect();
    let (head, tail) = if all.len() >= 15 { (3, 4) } else { (0, 0) };
    all.iter()
        .enumerate()
        .map(|(i, c)| {
            if i < head || i >= all.len() - tail {
                *c
            } else {
                '*'
            }
        })
        .collect()
}

fn with_custody(g: &Ground<'_>, mut found: Vec<CaseRow>) -> Result<Vec<CaseRow>> {
    for row in &mut found {
        row.custody = custody::of_case(g, row.id)?;
    }
    Ok(found)
}

/// One case's row, when it lies in the area.
///
/// # Errors
/// Those of the database.
pub(crate) fn one(g: &Ground<'_>, area: &Area, id: CaseId) -> Result<Option<CaseRow>> {
    if !area.has(id.site()) {
        return Ok(None);
    }
    let found = g
        .conn()
        .prepare_cached(query!("case_by_id"))?
        .query_map([id.0], |row| case_row(g, row))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(with_custody(g, found)?.pop())
}

/// The case of a printed number.
///
/// # Errors
/// Those of the database.
pub(crate) fn by_number(g: &Ground<'_>, number: &str) -> Result<Option<CaseId>> {
    let found = g
        .conn()
        .prepare_cached(query!("case_by_number"))?
        .query_map([number], |row| row.get(0).map(CaseId))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.into_iter().next())
}

/// Open cases of this person and item in the area, newest first.
///
/// # Errors
/// Those of the database.
pub(crate) fn duplicates(
    g: &Ground<'_>,
    actor: &Actor,
    item: &str,
    id_no: &str,
) -> Result<Vec<CaseRow>> {
    let area = g.area(actor);
    if area == Area::Nothing {
        return Ok(Vec::new());
    }
    let found = rows(
        g.conn(),
        query!("case_duplicates"),
        &[
            (":id_no", &id_no),
            (":item", &item),
            (":all", &area.all()),
            (":area", &area.json()),
        ],
        |row| case_row(g, row),
    )?;
    with_custody(g, found)
}

/// Cases that look like this one typed twice.
///
/// # Errors
/// Those of the database.
pub(crate) fn twins(g: &Ground<'_>, area: &Area, id: CaseId) -> Result<Vec<CaseRow>> {
    let found = rows(
        g.conn(),
        query!("case_twins"),
        &[
            (":case_id", &id.0),
            (":all", &area.all()),
            (":area", &area.json()),
        ],
        |row| case_row(g, row),
    )?;
    with_custody(g, found)
}

/// The day at a glance, from indexed counts.
///
/// # Errors
/// Those of the database.
pub(crate) fn today(g: &Ground<'_>, actor: &Actor) -> Result<Today> {
    let area = g.area(actor);
    if area == Area::Nothing {
        return Ok(Today::default());
    }
    let ask = |view| {
        let query = CaseQuery {
            view,
            ..CaseQuery::default()
        };
        let ask = Ask::of(g, actor, &area, &query, None);
        ask.count(g, sql_of(&query))
    };
    let tally = tally(g, &area)?;
    let of = |state| tally.get(&state).copied().unwrap_or(0);
    let mine = CaseQuery {
        view: View::Mine,
        ..CaseQuery::default()
    };
    let begins = day_begins(g.today());
    Ok(Today {
        red: ask(View::Red)?,
        yellow: ask(View::Yellow)?,
        to_do: ask(View::Mine)?,
        to_deliver: of(State::Closed),
        correcting: of(State::Correcting),
        conflicts: ask(View::Conflicts)?,
        drafts: ask(View::Drafts)?,
        local_only: custody::local_cases(g, COUNT_MAX)?.len() as u64,
        rejected: tray::open(g)?,
        received_today: count(
            g.conn(),
            query!("received_between"),
            &[
                (":from", &begins.0),
                (":until", &begins.after(86_400_000).0),
                (":all", &area.all()),
                (":area", &area.json()),
            ],
        )?,
        next: Ask::of(g, actor, &area, &mine, None).rows(g, sql_of(&mine), NEXT_MAX, 0)?,
    })
}

/// How many cases of the area are in each state.
///
/// # Errors
/// Those of the database.
pub(crate) fn tally(g: &Ground<'_>, area: &Area) -> Result<BTreeMap<State, u64>> {
    let found = rows(
        g.conn(),
        query!("tally"),
        &[(":all", &area.all()), (":area", &area.json())],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
    )?;
    Ok(found
        .into_iter()
        .filter_map(|(state, n)| Some((State::from_word(&state)?, u64::try_from(n).ok()?)))
        .collect())
}

/// 仅存本机: cases whose own entries no county receipt covers, oldest first.
fn local_only(g: &Ground<'_>, area: &Area, query: &CaseQuery) -> Result<CaseList> {
    let ids = custody::local_cases(g, COUNT_MAX)?;
    let total = ids.len() as u64;
    let mut found = Vec::new();
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    for id in ids.into_iter().skip(offset) {
        if found.len() as u64 >= query.limit.clamp(1, PAGE_ROWS_MAX) {
            break;
        }
        found.extend(one(g, area, id)?);
    }
    Ok(CaseList { rows: found, total })
}

/// People this site has served, newest first, each as the newest case tells.
///
/// # Errors
/// Those of the database.
pub(crate) fn residents(g: &Ground<'_>, actor: &Actor, typed: &str) -> Result<Vec<Resident>> {
    if g.area(actor) == Area::Nothing {
        return Ok(Vec::new());
    }
    let Some(expression) = terms::expression(typed, Some(actor.site.0)) else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    let mut out = Vec::new();
    let found = rows(
        g.conn(),
        query!("residents"),
        &[("?1", &expression)],
        |row| {
            let item: String = row.get("item")?;
            let version: u32 = row.get("item_version")?;
            let opened: i64 = row.get("opened_at")?;
            let received: Option<i64> = row.get("received_at")?;
            let private = |column| row.get::<_, String>(column).map(Private::new);
            Ok(Resident {
                name: private("name")?,
                id: private("id_no")?,
                phone: private("phone")?,
                address: private("address")?,
                group: private("grp")?,
                last: last_time(g, &item, version, Millis(received.unwrap_or(opened))),
            })
        },
    )?;
    for resident in found {
        let key = if resident.id.reveal().is_empty() {
            (resident.name.clone(), resident.phone.clone())
        } else {
            (resident.id.clone(), Private::default())
        };
        if !seen.contains(&key) && out.len() < RESIDENTS_MAX {
            seen.push(key);
            out.push(resident);
        }
    }
    Ok(out)
}

fn last_time(g: &Ground<'_>, item: &str, version: u32, at: Millis) -> String {
    let day = cuntong_protocol::calendar::civil_day(at);
    let name = g
        .trust
        .catalogue()
        .pinned(item, version)
        .map_or(item, |i| i.name.as_str());
    format!("上次 {:04}-{:02} 办过 {name}", day.year(), day.month())
}
