//! One case, whole.

use cuntong_protocol::{
    case::Case,
    command::Actor,
    control::Item,
    document::Reading,
    fold,
    id::{CaseId, Kind, PersonId},
    policy,
};
use cuntong_web::desk::{Arrival, CasePage};

use super::{
    custody, files,
    ground::{Area, Ground},
    list, tray,
};
use crate::store::{Db, Result};

/// Refusals of one case that are shown.
const REJECTIONS_MAX: u32 = 100;

/// What is shown of a case to somebody whose area it lies in.
///
/// # Errors
/// Those of the database; a document that does not load.
pub(crate) fn page(g: &Ground<'_>, actor: &Actor, id: CaseId) -> Result<Option<CasePage>> {
    let area = g.area(actor);
    if area == Area::Nothing {
        return Ok(None);
    }
    let Some(row) = list::one(g, &area, id)? else {
        return Ok(None);
    };
    let Some(case) = folded(g.db, id)? else {
        return Ok(None);
    };
    let Some(item) = g.trust.catalogue().pinned(&case.item, case.item_version) else {
        return Ok(None);
    };
    Ok(Some(CasePage {
        arrivals: arrivals(g, id)?,
        people: people(g, &case),
        offers: offers(g, actor, &case, item),
        twins: list::twins(g, &area, id)?,
        receipts: custody::receipts(g, id)?,
        rejections: tray::rows(g, actor, Some(id), REJECTIONS_MAX)?,
        files: files::rows(g, &case)?,
        item: item.clone(),
        row,
        case,
    }))
}

fn offers(
    g: &Ground<'_>,
    actor: &Actor,
    case: &Case,
    item: &Item,
) -> Vec<cuntong_protocol::act::ActKind> {
    policy::offers(actor, g.level, case, item)
}

/// The documents of a case as read, when its application is here.
///
/// # Errors
/// Those of the database; a document that does not load.
pub(crate) fn readings(db: &Db, id: CaseId) -> Result<Option<(Reading, Option<Reading>)>> {
    let read = |kind| -> Result<Option<Reading>> {
        match db.doc(id.doc(kind))? {
            Some(doc) => Ok(Some(doc.reading()?)),
            None => Ok(None),
        }
    };
    let Some(application) = read(Kind::Application)? else {
        return Ok(None);
    };
    Ok(Some((application, read(Kind::Handling)?)))
}

/// The case as of what is known here.
///
/// # Errors
/// Those of the database; a document that does not load.
pub(crate) fn folded(db: &Db, id: CaseId) -> Result<Option<Case>> {
    let Some((application, handling)) = readings(db, id)? else {
        return Ok(None);
    };
    let trust = db.trust()?;
    let ground = fold::Ground {
        catalogue: trust.catalogue(),
        calendar: trust.calendar(),
        places: trust.places(),
    };
    match fold::fold(&application, handling.as_ref(), &ground) {
        Ok(case) => Ok(Some(case)),
        Err(error) => {
            tracing::warn!(case = %id, %error, "a case does not fold");
            Ok(None)
        }
    }
}

fn arrivals(g: &Ground<'_>, id: CaseId) -> Result<Vec<Arrival>> {
    let found = g.db.arrivals(id)?;
    Ok(found
        .into_iter()
        .map(|arrived| Arrival {
            change: arrived.change,
            at: arrived.at,
            node: arrived.node,
            site: g
                .node_site(arrived.node)
                .map_or_else(|| id.site(), |(site, _)| site),
            own: arrived.own,
        })
        .collect())
}

fn people(g: &Ground<'_>, case: &Case) -> Vec<(PersonId, String)> {
    let mut all: Vec<PersonId> = case.timeline.iter().map(|e| e.person).collect();
    all.sort();
    all.dedup();
    all.into_iter()
        .map(|id| {
            let name = g
                .trust
                .directory()
                .person(id)
                .map_or_else(|| id.to_string(), |p| p.name.clone());
            (id, name)
        })
        .collect()
}
