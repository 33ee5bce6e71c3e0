//! Rows derived from documents: for lists and search. They may be dropped and made again.

use cuntong_protocol::{
    control::{ControlKind, signed::Trust},
    document::Doc,
    id::DocId,
};
use rusqlite::Connection;

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// How rows are made from one document; `load` reads any document of this store.
pub type Refresh =
    fn(&Connection, &Trust, DocId, &dyn Fn(DocId) -> Option<Doc>) -> Result<(), StoreError>;

/// Tables that hold nothing the documents do not say.
#[derive(Debug)]
pub struct Derived {
    /// Raised when `sql` or `refresh` changes: all rows are made again then.
    pub version: u32,
    /// Creates the tables.
    pub sql: &'static str,
    /// Their names, in the order to drop them.
    pub tables: &'static [&'static str],
    /// Queries whose results must be the same after all rows are made again: every row and
    /// column that matters, in a fixed order, no row ids.
    pub compare: &'static [&'static str],
    /// Key and id of the cases of a site (?1) that are open or not (?2), with a key below ?3, the
    /// greatest first, at most ?4. Empty where no rows of cases are kept.
    pub cases: &'static str,
    /// Makes the rows of one document again.
    pub refresh: Refresh,
}

impl Derived {
    /// No rows at all.
    pub const NONE: Self = Self {
        version: 0,
        sql: "",
        tables: &[],
        compare: &[],
        cases: "",
        refresh: |_, _, _, _| Ok(()),
    };
}

/// Documents refreshed in one go, so that a new catalogue does not hold up the writer.
const SLICE: usize = 200;

impl Db {
    /// Makes the tables when they are missing or of another version.
    pub(super) fn ensure_derived(&mut self) -> Result<()> {
        let found = self.meta("derived")?.and_then(|b| b.try_into().ok());
        if found.map(u32::from_be_bytes) == Some(self.derived.version) {
            return Ok(());
        }
        self.transact(|db| {
            db.make_derived()?;
            db.mark_stale()
        })?;
        // A large store makes the rest when it has nothing else to do: a start must not wait.
        for _slice in 0..5 {
            if !self.tend()? {
                break;
            }
        }
        Ok(())
    }

    /// Drops and creates the tables, empty.
    pub(super) fn make_derived(&mut self) -> Result<()> {
        let derived = self.derived;
        for table in derived.tables {
            self.conn
                .execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
        self.conn.execute_batch(derived.sql)?;
        self.set_meta("derived", &derived.version.to_be_bytes())
    }

    /// Makes the rows of one document again. Before there is a county there is nothing to show.
    pub(super) fn refresh(&self, doc: DocId) -> Result<()> {
        let Ok(trust) = self.trust() else {
            return Ok(());
        };
        let load = |id| match self.doc(id) {
            Ok(doc) => doc,
            Err(error) => {
                tracing::error!(doc = %id, %error, "a document does not load");
                None
            }
        };
        (self.derived.refresh)(&self.conn, trust, doc, &load)
    }

    /// Whether rows depend on a control document of that kind.
    pub(super) fn rows_depend_on(kind: ControlKind) -> bool {
        match kind {
            ControlKind::Places
            | ControlKind::Directory
            | ControlKind::Catalogue
            | ControlKind::Calendar => true,
            ControlKind::Authority | ControlKind::Roster | ControlKind::Credentials => false,
        }
    }

    /// Notes that every document's rows must be made again, a slice at a time.
    pub(super) fn mark_stale(&mut self) -> Result<()> {
        self.set_meta("stale", &[0; 16])
    }

    /// Whether some rows are of older control documents than the newest.
    ///
    /// # Errors
    /// A failing disk.
    pub fn is_stale(&self) -> Result<bool> {
        Ok(self.meta("stale")?.is_some())
    }

    /// Makes the next slice of stale rows again; true while more are left.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn tend(&mut self) -> Result<bool> {
        let Some(from) = self.meta("stale")? else {
            return Ok(false);
        };
        self.transact(|db| {
            let docs: Vec<[u8; 16]> = db.all(
                "SELECT id FROM document WHERE id > ?1 ORDER BY id LIMIT ?2",
                (&from, SLICE as i64),
                |r| r.get(0),
            )?;
            for doc in &docs {
                db.refresh(DocId(*doc))?;
            }
            match docs.last() {
                Some(last) if docs.len() == SLICE => {
                    db.set_meta("stale", last)?;
                    Ok(true)
                }
                Some(_) | None => {
                    db.exec("DELETE FROM meta WHERE name = 'stale'", [])?;
                    Ok(false)
                }
            }
        })
    }
}
