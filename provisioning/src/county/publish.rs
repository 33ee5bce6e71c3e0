//! 发布: the catalogue of items and the calendar.

use std::collections::BTreeSet;

use cuntong_protocol::{
    control::{
        CalendarDoc, Catalogue, ControlKey, ControlKind, Item, calendar_csv, catalogue,
        signed::{Body, Signed},
    },
    time::Millis,
};

use super::{COUNTY_WIDE, County, CountyError};

/// What a new catalogue changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct CatalogueChanged {
    pub added: usize,
    /// Items that got a new version; cases keep the version they were received under.
    pub changed: usize,
    pub retired: usize,
    pub unchanged: usize,
}

impl County {
    /// Publishes a catalogue from CSV (columns: `docs/formats/documents.md`). The file is the whole
    /// catalogue: items that it no longer names are retired, changed ones get a new version.
    pub fn publish_catalogue(
        &mut self,
        csv: &str,
        now: Millis,
    ) -> Result<CatalogueChanged, CountyError> {
        let wanted = catalogue::from_csv(csv).map_err(CountyError::Rows)?;
        let mut items = self.trust.catalogue().items.clone();
        let mut changed = CatalogueChanged::default();
        let named: BTreeSet<String> = wanted.iter().map(|item| item.code.clone()).collect();
        for item in wanted {
            merge(&mut items, item, &mut changed);
        }
        let mut retired = BTreeSet::new();
        for item in &mut items {
            if !named.contains(&item.code) && !item.retired {
                item.retired = true;
                retired.insert(item.code.clone());
            }
        }
        changed.retired = retired.len();
        if changed.added + changed.changed + changed.retired > 0 {
            self.say(COUNTY_WIDE, &Body::Catalogue(Catalogue { items }), now)?;
        }
        Ok(changed)
    }

    /// Publishes a calendar from CSV (`kind,first,last`). Years the file covers are replaced,
    /// other years stay as they are. Returns the years covered now.
    pub fn publish_calendar(&mut self, csv: &str, now: Millis) -> Result<Vec<u16>, CountyError> {
        let new = calendar_csv::from_csv(csv).map_err(CountyError::Rows)?;
        let held = self.calendar_doc()?;
        let stays = |day: &String| {
            let year = day.get(..4).and_then(|y| y.parse().ok());
            year.is_none_or(|year: u16| !new.years.contains(&year))
        };
        let mut merged = CalendarDoc {
            years: held.years,
            off: held.off.into_iter().filter(|day| stays(day)).collect(),
            work: held.work.into_iter().filter(|day| stays(day)).collect(),
        };
        merged.years.retain(|year| !new.years.contains(year));
        merged.years.extend(&new.years);
        merged.off.extend(new.off);
        merged.work.extend(new.work);
        merged.years.sort_unstable();
        merged.off.sort_unstable();
        merged.work.sort_unstable();
        let years = merged.years.clone();
        self.say(COUNTY_WIDE, &Body::Calendar(merged), now)?;
        Ok(years)
    }

    fn calendar_doc(&self) -> Result<CalendarDoc, CountyError> {
        let key = ControlKey {
            kind: ControlKind::Calendar,
            site: COUNTY_WIDE,
        };
        let Some(bytes) = self.trust.bytes(key) else {
            return Ok(CalendarDoc::default());
        };
        match Signed::open(bytes)?.body()? {
            Body::Calendar(doc) => Ok(doc),
            Body::Authority(_)
            | Body::Roster(_)
            | Body::Places(_)
            | Body::Directory(_)
            | Body::Credentials(_)
            | Body::Catalogue(_) => Ok(CalendarDoc::default()),
        }
    }
}

/// Adds an item, or a new version of it if it differs from the newest.
fn merge(items: &mut Vec<Item>, mut item: Item, changed: &mut CatalogueChanged) {
    let newest = items
        .iter()
        .filter(|held| held.code == item.code)
        .max_by_key(|held| held.version);
    match newest {
        None => {
            item.version = 1;
            changed.added += 1;
            items.push(item);
        }
        Some(held) => {
            item.version = held.version;
            if *held == item {
                changed.unchanged += 1;
            } else {
                item.version += 1;
                changed.changed += 1;
                items.push(item);
            }
        }
    }
}
