//! The files of a case as rows: what is fetched, and for whom, is asked of them.

use cuntong_protocol::{
    case::Case,
    id::{CaseId, Kind},
};
use rusqlite::Connection;

const PUT: &str = include_str!("../store/sql/queries/attachment_put.sql");
const DELETE: &str = include_str!("../store/sql/queries/attachment_delete.sql");
const SIDES: [Kind; 2] = [Kind::Application, Kind::Handling];

/// Writes the rows of a case's files.
///
/// # Errors
/// Those of the database.
pub(super) fn put(db: &Connection, case: &Case) -> rusqlite::Result<()> {
    remove(db, case.id)?;
    let mut insert = db.prepare_cached(PUT)?;
    for (event, attach) in case.attachments() {
        let doc = case.id.doc(event.side);
        let whole = (1, attach.hash, attach.size);
        let small = attach.thumbnail.map(|t| (0, t.hash, t.size));
        for (part, hash, size) in std::iter::once(whole).chain(small) {
            let _one = insert.execute((
                doc.0,
                event.id.0,
                part,
                event.side.code(),
                case.site.0,
                hash.0,
                size.cast_signed(),
                event.at.0,
            ))?;
        }
    }
    Ok(())
}

/// Takes them away.
///
/// # Errors
/// Those of the database.
pub(super) fn remove(db: &Connection, case: CaseId) -> rusqlite::Result<()> {
    let mut delete = db.prepare_cached(DELETE)?;
    for side in SIDES {
        let _some = delete.execute([case.doc(side).0])?;
    }
    Ok(())
}
