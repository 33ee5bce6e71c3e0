//! One notice as one row.
use crate::store::Result;
pub(crate) fn refresh(
    _db: &rusqlite::Connection,
    _id: cuntong_protocol::id::DocId,
    _doc: Option<&cuntong_protocol::document::Doc>,
) -> Result<()> {
    Ok(())
}
