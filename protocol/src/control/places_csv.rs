//! The registrar's file of places: `code,name`, and `former` where a code has changed.
//!
//! Level and parent follow from the zeros of the code. A site keeps its id for ever: importing
//! the same file again changes nothing, and a place that was renamed, recoded or moved is the
//! same site with its old code and name remembered.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{
    Body, Former, Place, Places,
    rows::{Row, RowError, all, rows},
};
use crate::{id::SiteId, role::Level};

/// What an import makes of the places there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub places: Places,
    pub added: Vec<SiteId>,
    /// Renamed, recoded or under another parent than before.
    pub changed: Vec<SiteId>,
    /// Known sites the file does not name. They stay: their cases do not end with a file.
    pub missing: Vec<SiteId>,
}

/// One row: a place as the file has it.
#[derive(Debug)]
struct Named {
    code: String,
    name: String,
    level: Level,
    former: String,
}

/// The places a CSV text describes, merged into those there are. A row whose code is known is
/// that site; a row that names a known code as `former` is that site under a new code; any other
/// is a new site. New ids follow the highest one, in the order of the file.
///
/// # Errors
/// Every row that is wrong, in words; nothing is imported then.
pub fn from_csv(csv: &str, known: &Places, today: Date) -> Result<Imported, Vec<RowError>> {
    let rows = rows(csv, &["code", "name"])?;
    let named = all(rows.iter().map(read))?;
    let mut import = Import::new(known, today);
    let mut ids: Vec<_> = named.iter().map(|row| import.known_site(row)).collect();
    import.name_new(&mut ids);
    for (id, row) in ids.iter().zip(&named) {
        import.codes.extend(id.map(|id| (row.code.clone(), id)));
    }
    let placed = named.iter().enumerate().map(|(at, row)| {
        let id = ids[at].unwrap_or(SiteId(0));
        import
            .place(id, row)
            .map_err(|(column, why)| rows[at].error(column, why))
    });
    all(placed)?;
    import.finish(&ids)
}

fn read(row: &Row) -> Result<Named, RowError> {
    let code = row.read("code", |code| {
        let digits = code.len() == 12 && code.bytes().all(|b| b.is_ascii_digit());
        if digits {
            Ok(code.to_owned())
        } else {
            Err("区划代码不是 12 位数字".to_owned())
        }
    })?;
    Ok(Named {
        level: level(&code).ok_or_else(|| row.error("code", "不是县、乡镇或村的代码"))?,
        name: row.get("name").to_owned(),
        former: row.get("former").to_owned(),
        code,
    })
}

/// The level of a code: county 6 digits, township 9, village 12, the rest zeros.
fn level(code: &str) -> Option<Level> {
    let zeros = |from: usize, to: usize| code[from..to].bytes().all(|b| b == b'0');
    match (zeros(4, 6), zeros(6, 9), zeros(9, 12)) {
        (false, true, true) => Some(Level::County),
        (false, false, true) => Some(Level::Township),
        (false, false, false) => Some(Level::Village),
        (true, _, _) | (false, true, false) => None,
    }
}

/// The code of the place above.
fn parent_code(code: &str, level: Level) -> Option<String> {
    match level {
        Level::County => None,
        Level::Township => Some(format!("{}000000", &code[..6])),
        Level::Village => Some(format!("{}000", &code[..9])),
    }
}

struct Import<'a> {
    known: &'a Places,
    today: Date,
    /// The site of each code, in the file or before it.
    codes: BTreeMap<String, SiteId>,
    sites: Vec<Place>,
    added: Vec<SiteId>,
    changed: Vec<SiteId>,
}

impl<'a> Import<'a> {
    fn new(known: &'a Places, today: Date) -> Self {
        Self {
            known,
            today,
            codes: known
                .sites
                .iter()
                .map(|p| (p.code.clone(), p.site))
                .collect(),
            sites: known.sites.clone(),
            added: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn known_site(&self, row: &Named) -> Option<SiteId> {
        let of = |code: &str| self.known.sites.iter().find(|p| p.code == code);
        of(&row.code).or_else(|| of(&row.former)).map(|p| p.site)
    }

    fn name_new(&self, ids: &mut [Option<SiteId>]) {
        let mut next = self.known.sites.iter().map(|p| p.site.0).max().unwrap_or(0);
        for id in ids.iter_mut().filter(|id| id.is_none()) {
            next += 1;
            *id = Some(SiteId(next));
        }
    }

    fn place(&mut self, site: SiteId, row: &Named) -> Result<(), (&'static str, String)> {
        if !row.former.is_empty() && self.known_site(row).is_none() {
            return Err(("former", format!("没有代码为 {} 的站点", row.former)));
        }
        let parent = match parent_code(&row.code, row.level) {
            None => None,
            Some(code) => {
                let above = self.codes.get(&code).copied();
                Some(above.ok_or_else(|| ("code", format!("没有上级 {code}")))?)
            }
        };
        let Some(held) = self.sites.iter_mut().find(|p| p.site == site) else {
            self.added.push(site);
            self.sites.push(Place {
                site,
                parent,
                level: row.level,
                code: row.code.clone(),
                name: row.name.clone(),
                before: Vec::new(),
            });
            return Ok(());
        };
        let named = held.code == row.code && held.name == row.name;
        if named && held.parent == parent && held.level == row.level {
            return Ok(());
        }
        if held.level != row.level {
            return Err(("code", "与原来的级别不同".into()));
        }
        if !named {
            held.before.push(Former {
                code: std::mem::replace(&mut held.code, row.code.clone()),
                name: std::mem::replace(&mut held.name, row.name.clone()),
                until: self.today.yesterday().unwrap_or(self.today).to_string(),
            });
        }
        held.parent = parent;
        self.changed.push(site);
        Ok(())
    }

    fn finish(mut self, ids: &[Option<SiteId>]) -> Result<Imported, Vec<RowError>> {
        self.sites.sort_by_key(|p| p.site);
        let missing = self.known.sites.iter().map(|p| p.site);
        let missing = missing.filter(|s| !ids.contains(&Some(*s))).collect();
        let places = Places { sites: self.sites };
        let checked = Body::Places(places.clone()).check();
        checked.map_err(|why| {
            vec![RowError {
                line: 0,
                column: String::new(),
                why: why.to_string(),
            }]
        })?;
        Ok(Imported {
            places,
            added: self.added,
            changed: self.changed,
            missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 3, 2);
    const COUNTY: &str = "code,name\n\
        349901000000,云麓县(样例)\n\
        349901101000,北乡镇\n\
        349901101203,石桥村\n\
        349901101204,青溪村\n\
        349901102000,南乡镇\n\
        349901102201,柳塘村\n";

    fn import(csv: &str, known: &Places) -> Imported {
        from_csv(csv, known, TODAY).unwrap()
    }

    #[test]
    fn a_county_is_read_off_its_codes() {
        let first = import(COUNTY, &Places::default());
        assert_eq!(first.places, crate::control::fixture::places());
        assert_eq!(first.added.len(), 6);
    }

    #[test]
    fn the_order_of_rows_does_not_matter_to_the_tree() {
        let (header, rows) = COUNTY.split_once('\n').unwrap();
        let mut rows: Vec<_> = rows.lines().collect();
        rows.reverse();
        let turned = import(
            &format!("{header}\n{}\n", rows.join("\n")),
            &Places::default(),
        );
        let village = turned
            .places
            .sites
            .iter()
            .find(|p| p.name == "石桥村")
            .unwrap();
        let town = turned.places.site(village.parent.unwrap()).unwrap();
        assert_eq!(town.name, "北乡镇");
    }

    #[test]
    fn importing_again_changes_nothing_and_new_places_get_the_next_ids() {
        let first = import(COUNTY, &Places::default()).places;
        let again = import(COUNTY, &first);
        assert_eq!(again.places, first);
        assert!(again.added.is_empty() && again.changed.is_empty() && again.missing.is_empty());
        let grown = COUNTY.replace("349901101203,", "349901101201,上坪村\n349901101203,");
        let grown = import(&grown, &first);
        assert_eq!(grown.added, [SiteId(7)]);
        assert_eq!(grown.places.site(SiteId(3)), first.site(SiteId(3)));
    }

    #[test]
    fn a_renamed_or_recoded_village_stays_the_same_site_and_remembers() {
        let first = import(COUNTY, &Places::default()).places;
        let renamed = import(&COUNTY.replace("石桥村", "石桥社区"), &first);
        assert_eq!(renamed.changed, [SiteId(3)]);
        let moved = "code,name,former\n\
            349901000000,云麓县(样例),\n\
            349901101000,北乡镇,\n\
            349901102000,南乡镇,\n\
            349901102209,石桥社区,349901101203\n";
        let moved = import(moved, &renamed.places);
        let site = moved.places.site(SiteId(3)).unwrap();
        assert_eq!(
            (site.code.as_str(), site.parent),
            ("349901102209", Some(SiteId(5)))
        );
        let names: Vec<_> = site.before.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["石桥村", "石桥社区"]);
        assert_eq!(site.before[0].until, "2026-03-01");
        assert_eq!(moved.missing, [SiteId(4), SiteId(6)]);
    }

    #[test]
    fn wrong_rows_are_named() {
        let wrong = |from: &str, to: &str| {
            let errors =
                from_csv(&COUNTY.replace(from, to), &Places::default(), TODAY).unwrap_err();
            errors.into_iter().map(|e| e.line).collect::<Vec<_>>()
        };
        assert_eq!(wrong("349901101203", "34990110120"), [4]);
        assert_eq!(wrong("349901101203", "34990110120x"), [4]);
        assert_eq!(
            wrong("349901101203", "349901103203"),
            [4],
            "no such township"
        );
        assert_eq!(wrong("349901101203", "340000000000"), [4], "a province");
        assert_eq!(wrong("349901101203", "349901101204"), [0], "twice");
        assert_eq!(wrong("石桥村", ""), [0]);
        assert_eq!(
            wrong("349901000000,云麓县(样例)\n", ""),
            [2, 5],
            "no county"
        );
    }

    #[test]
    fn a_former_code_nobody_had_is_a_slip() {
        let first = import(COUNTY, &Places::default()).places;
        let csv = "code,name,former\n349901000000,云麓县(样例),\n349901101000,北乡镇,349901199000\n\
            349901101209,新村,349901101999\n";
        let errors = from_csv(csv, &first, TODAY).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].line, errors[0].column.as_str()), (4, "former"));
    }
}
