//! One notice as one row.

use cuntong_protocol::{document::Doc, id::DocId, notice};
use rusqlite::{Connection, named_params};

use crate::store::Result;

const PUT: &str = include_str!("../store/sql/queries/notice_put.sql");
const DELETE: &str = include_str!("../store/sql/queries/notice_delete.sql");
const PLACE: &str = include_str!("../store/sql/queries/notice_place_put.sql");
const NO_PLACE: &str = include_str!("../store/sql/queries/notice_place_delete.sql");

/// Writes the row of a notice, or takes it away when nothing was published.
///
/// # Errors
/// Those of the database; a document that does not read.
pub(crate) fn refresh(db: &Connection, id: DocId, doc: Option<&Doc>) -> Result<()> {
    db.prepare_cached(NO_PLACE)?.execute([id.0])?;
    db.prepare_cached(DELETE)?.execute([id.0])?;
    let Some(doc) = doc else {
        return Ok(());
    };
    let state = notice::notice(&doc.reading()?);
    let (Some(first), Some(current)) = (state.versions.first(), state.current()) else {
        return Ok(());
    };
    let publish = &current.publish;
    let withdrawn = state.withdrawn.as_ref();
    db.prepare_cached(PUT)?.execute(named_params! {
        ":doc": id.0,
        ":publisher": state.publisher.0,
        ":title": publish.title,
        // A tombstone keeps no content.
        ":body": if withdrawn.is_some() { "" } else { &publish.body },
        ":category": publish.category,
        ":from_day": publish.from,
        ":until_day": publish.until,
        ":published_at": first.at.0,
        ":version": state.versions.len().cast_signed() as i64,
        ":correction": publish.correction,
        ":withdrawn_at": withdrawn.map(|w| w.at.0),
        ":withdrawn": withdrawn.map(|w| &w.reason),
    })?;
    for site in &publish.places {
        db.prepare_cached(PLACE)?.execute((site.0, id.0))?;
    }
    Ok(())
}
