//! 站点: places and their 12-digit division codes.

use cuntong_protocol::{
    calendar::civil_day,
    control::{Place, places_csv, signed::Body},
    id::SiteId,
    time::Millis,
};

use super::{COUNTY_WIDE, County, CountyError};

/// What became of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlacesAdded {
    pub added: Vec<SiteId>,
    /// Renamed, recoded or under another parent; what they were is remembered.
    pub changed: Vec<SiteId>,
    /// Sites the file does not name. They stay.
    pub missing: Vec<SiteId>,
}

impl County {
    /// Adds and changes places from CSV (`code,name`, and `former` where a code has changed). All
    /// rows or none. A site keeps its number for ever, whatever its code and name.
    pub fn add_places(&mut self, csv: &str, now: Millis) -> Result<PlacesAdded, CountyError> {
        let import = places_csv::from_csv(csv, self.trust.places(), civil_day(now))
            .map_err(CountyError::Rows)?;
        if !(import.added.is_empty() && import.changed.is_empty()) {
            self.say(COUNTY_WIDE, &Body::Places(import.places), now)?;
        }
        Ok(PlacesAdded {
            added: import.added,
            changed: import.changed,
            missing: import.missing,
        })
    }

    /// The place of a 12-digit code, a name that only one place has, or a site number (`s12`).
    pub fn place(&self, text: &str) -> Result<&Place, CountyError> {
        find_place(self.trust.places(), text)
            .ok_or_else(|| CountyError::NoSuchPlace(text.chars().take(64).collect()))
    }
}

/// The place a person means: by its code, by a name that only one place has, or by site number.
pub fn find_place<'p>(
    places: &'p cuntong_protocol::control::Places,
    text: &str,
) -> Option<&'p Place> {
    if let Ok(site) = text.parse() {
        return places.site(site);
    }
    let by_code = places.sites.iter().find(|p| p.code == text);
    by_code.or_else(|| {
        let mut named = places.sites.iter().filter(|p| p.name == text);
        match (named.next(), named.next()) {
            (Some(place), None) => Some(place),
            (Some(_) | None, _) => None,
        }
    })
}
