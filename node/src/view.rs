//! Documents as rows, for lists and search. Rows are made in the transaction that changes their
//! document, and can be thrown away and made again to equality.

mod attachment;
mod case;
pub(crate) mod latin;
mod notice;
pub(crate) mod terms;
#[cfg(test)]
mod tests;

pub(crate) use case::{NO_DUE, Turn, YELLOW_DAYS_MAX, due_kind};

use cuntong_protocol::{
    control::signed::Trust,
    document::Doc,
    fold,
    id::{CaseId, DocId, Kind},
};
use rusqlite::Connection;

use crate::store::{Derived, Result};

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!("store/sql/queries/", $name, ".sql"))
    };
}

/// The rows this program keeps beside the documents.
pub static ROWS: Derived = Derived {
    version: 2,
    sql: include_str!("store/sql/rows.sql"),
    tables: &[
        "case_term",
        "case_search",
        "case_row",
        "case_tally",
        "notice_place",
        "notice_row",
        "attachment",
    ],
    cases: query!("cases_newest"),
    compare: &[
        query!("compare_case"),
        query!("compare_tally"),
        query!("compare_search"),
        query!("compare_notice"),
        query!("compare_attachment"),
    ],
    refresh,
};

/// Makes the rows of one document again; `load` reads any document of the store. Called for
/// every touched document inside the transaction that touches it.
///
/// # Errors
/// Those of the database.
pub fn refresh(
    db: &Connection,
    trust: &Trust,
    doc: DocId,
    load: &dyn Fn(DocId) -> Option<Doc>,
) -> Result<()> {
    match (doc.case(), doc.scope().map(|s| s.kind)) {
        (Some(id), _) => refresh_case(db, trust, id, load),
        (None, Some(Kind::Notice)) => notice::refresh(db, doc, load(doc).as_ref()),
        (None, Some(Kind::Application | Kind::Handling) | None) => Ok(()),
    }
}

fn refresh_case(
    db: &Connection,
    trust: &Trust,
    id: CaseId,
    load: &dyn Fn(DocId) -> Option<Doc>,
) -> Result<()> {
    let ground = fold::Ground {
        catalogue: trust.catalogue(),
        calendar: trust.calendar(),
        places: trust.places(),
    };
    let read = |kind| load(id.doc(kind)).map(|doc| doc.reading()).transpose();
    let (application, handling) = (read(Kind::Application)?, read(Kind::Handling)?);
    // What an authority wrote may come before the application it is about: no row until then.
    let folded = application.map(|a| fold::fold(&a, handling.as_ref(), &ground));
    match folded {
        Some(Ok(case)) if !case.item.is_empty() => {
            case::put(db, &case, &ground)?;
            attachment::put(db, &case)?;
        }
        Some(Ok(_)) | None => {
            case::remove(db, id)?;
            attachment::remove(db, id)?;
        }
        Some(Err(error)) => {
            tracing::warn!(case = %id, %error, "a case does not fold");
            case::remove(db, id)?;
            attachment::remove(db, id)?;
        }
    }
    Ok(())
}
