//! Rights per scope: which sites read a document, which write it. Never per field.

use crate::{
    control::Places,
    id::{Kind, Scope, SiteId},
    role::Level,
};

/// Whether a site's nodes may hold the documents of a scope: those above see all of their area;
/// notices also go down to everybody below.
pub fn reads(places: &Places, site: SiteId, scope: Scope) -> bool {
    places.covers(site, scope.site)
        || (scope.kind == Kind::Notice && places.covers(scope.site, site))
}

/// Whether a site's nodes may write into the documents of a scope.
pub fn writes(places: &Places, site: SiteId, level: Level, scope: Scope) -> bool {
    match scope.kind {
        Kind::Application | Kind::Notice => site == scope.site,
        Kind::Handling => level >= Level::Township && places.covers(site, scope.site),
    }
}

/// Every scope a site may read, in order.
pub fn scopes_read_by(places: &Places, site: SiteId) -> Vec<Scope> {
    let mut all = Vec::new();
    for place in &places.sites {
        let scope = |kind| Scope {
            kind,
            site: place.site,
        };
        if places.covers(site, place.site) {
            all.extend(Kind::ALL.map(scope));
        } else if reads(places, site, scope(Kind::Notice)) {
            all.push(scope(Kind::Notice));
        }
    }
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::fixture::*;

    fn scope(kind: Kind, site: SiteId) -> Scope {
        Scope { kind, site }
    }

    #[test]
    fn a_village_holds_its_own_cases_and_the_notices_above_it() {
        let of_village = scopes_read_by(&PLACES, VILLAGE);
        let expected = [
            scope(Kind::Application, VILLAGE),
            scope(Kind::Handling, VILLAGE),
            scope(Kind::Notice, COUNTY),
            scope(Kind::Notice, TOWNSHIP),
            scope(Kind::Notice, VILLAGE),
        ];
        assert_eq!(of_village, expected);
        assert_eq!(
            scopes_read_by(&PLACES, COUNTY).len(),
            15,
            "the hub holds everything"
        );
        assert!(!reads(
            &PLACES,
            OTHER_TOWNSHIP,
            scope(Kind::Application, VILLAGE)
        ));
    }

    #[test]
    fn applications_are_the_receiving_sites_and_handling_the_authoritys() {
        let may = |site, level, kind| writes(&PLACES, site, level, scope(kind, VILLAGE));
        assert!(may(VILLAGE, Level::Village, Kind::Application));
        assert!(
            !may(VILLAGE, Level::Village, Kind::Handling),
            "a village decides nothing"
        );
        assert!(!may(TOWNSHIP, Level::Township, Kind::Application));
        assert!(may(TOWNSHIP, Level::Township, Kind::Handling));
        assert!(may(COUNTY, Level::County, Kind::Handling));
        assert!(!may(OTHER_TOWNSHIP, Level::Township, Kind::Handling));
        assert!(!may(OTHER_VILLAGE, Level::Village, Kind::Application));
        assert!(!may(COUNTY, Level::County, Kind::Notice));
    }
}
