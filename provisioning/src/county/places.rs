//! 站点: places and their 12-digit division codes.

use cuntong_protocol::{
    calendar::civil_day,
    control::{Former, Place, Places, signed::Body},
    id::SiteId,
    role::Level,
    time::Millis,
};

use super::{COUNTY_WIDE, County, CountyError, RowError};

/// The largest file of places that is read.
const CSV_BYTES_MAX: usize = 1024 * 1024;

/// What became of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlacesAdded {
    pub added: Vec<SiteId>,
    /// Known codes with another name; the former name is kept.
    pub renamed: Vec<SiteId>,
    pub unchanged: usize,
}

/// One row: a code and a name.
struct Row {
    line: u64,
    code: String,
    name: String,
}

impl County {
    /// Adds places from CSV with the columns `code` (12 digits) and `name`, in any order of rows.
    /// All rows or none. A place's level and parent are read off its code once, when it is added;
    /// from then on it is the site number that names it.
    pub fn add_places(&mut self, csv: &str, now: Millis) -> Result<PlacesAdded, CountyError> {
        let mut rows = read(csv).map_err(CountyError::Rows)?;
        rows.sort_by(|a, b| {
            (std::cmp::Reverse(level(&a.code)), &a.code)
                .cmp(&(std::cmp::Reverse(level(&b.code)), &b.code))
        });
        let mut places = self.trust.places().clone();
        let mut done = PlacesAdded::default();
        let mut errors = Vec::new();
        for row in rows {
            if let Err(error) = add(&mut places, row, now, &mut done) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            errors.sort_by_key(|e| e.line);
            return Err(CountyError::Rows(errors));
        }
        if !(done.added.is_empty() && done.renamed.is_empty()) {
            self.say(COUNTY_WIDE, &Body::Places(places), now)?;
        }
        Ok(done)
    }

    /// The place of a 12-digit code, a name that only one place has, or a site number (`s12`).
    pub fn place(&self, text: &str) -> Result<&Place, CountyError> {
        let places = &self.trust.places().sites;
        let wrong = || CountyError::NoSuchPlace(text.chars().take(64).collect());
        if let Ok(site) = text.parse::<SiteId>() {
            return self.trust.places().site(site).ok_or_else(wrong);
        }
        if let Some(place) = places.iter().find(|p| p.code == text) {
            return Ok(place);
        }
        let mut named = places.iter().filter(|p| p.name == text);
        match (named.next(), named.next()) {
            (Some(place), None) => Ok(place),
            (Some(_) | None, _) => Err(wrong()),
        }
    }
}

fn read(csv: &str) -> Result<Vec<Row>, Vec<RowError>> {
    let about_file = |why: &str| {
        vec![RowError {
            line: 0,
            column: String::new(),
            why: why.to_owned(),
        }]
    };
    if csv.len() > CSV_BYTES_MAX {
        return Err(about_file("文件太大"));
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    let headers = reader
        .headers()
        .map_err(|e| about_file(&e.to_string()))?
        .clone();
    let column = |names: [&str; 2]| headers.iter().position(|h| names.contains(&h));
    let (Some(code), Some(name)) = (column(["code", "区划代码"]), column(["name", "名称"])) else {
        return Err(about_file("缺 code(区划代码)或 name(名称)列"));
    };
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.push(Row {
                line: record.position().map_or(0, csv::Position::line),
                code: record.get(code).unwrap_or_default().to_owned(),
                name: record.get(name).unwrap_or_default().to_owned(),
            }),
            Err(e) => errors.push(RowError {
                line: e.position().map_or(0, csv::Position::line),
                column: String::new(),
                why: e.to_string(),
            }),
        }
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

/// A code's level: nine trailing digits of a county are a township's and a village's, and so on.
fn level(code: &str) -> Level {
    if code.ends_with("000000") {
        Level::County
    } else if code.ends_with("000") {
        Level::Township
    } else {
        Level::Village
    }
}

fn parent_code(code: &str) -> Option<String> {
    match level(code) {
        Level::County => None,
        Level::Township => Some(format!("{}000000", &code[..6])),
        Level::Village => Some(format!("{}000", &code[..9])),
    }
}

fn add(
    places: &mut Places,
    row: Row,
    now: Millis,
    done: &mut PlacesAdded,
) -> Result<(), RowError> {
    let error = |column: &str, why: String| RowError {
        line: row.line,
        column: column.to_owned(),
        why,
    };
    if row.code.len() != 12 || !row.code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error("code", "应为 12 位数字".into()));
    }
    if row.name.is_empty() {
        return Err(error("name", "为空".into()));
    }
    if let Some(held) = places.sites.iter_mut().find(|p| p.code == row.code) {
        if held.name == row.name {
            done.unchanged += 1;
        } else {
            let name = std::mem::replace(&mut held.name, row.name);
            held.before.push(Former {
                code: held.code.clone(),
                name,
                until: civil_day(now).to_string(),
            });
            done.renamed.push(held.site);
        }
        return Ok(());
    }
    let parent = match parent_code(&row.code) {
        None => None,
        Some(code) => Some(
            places
                .sites
                .iter()
                .find(|p| p.code == code)
                .map(|p| p.site)
                .ok_or_else(|| error("code", format!("上级 {code} 不在表中")))?,
        ),
    };
    let last = places.sites.iter().map(|p| p.site.0).max().unwrap_or(0);
    let site = SiteId(last + 1);
    places.sites.push(Place {
        site,
        parent,
        level: level(&row.code),
        code: row.code,
        name: row.name,
        before: Vec::new(),
    });
    done.added.push(site);
    Ok(())
}
