//! Backups: a consistent copy, verified before success is said. Restoring begins a new epoch,
//! because the marker outside the database does not match it.

use std::{fs, path::Path, time::Duration};

use cuntong_protocol::{document::Doc, id::DocId};
use rusqlite::{Connection, backup::Backup};

use super::{
    db::Db,
    dir::{self, Directory},
    error::{Result, StoreError},
    schema,
};

/// Pages copied in one go.
const PAGES: i32 = 1_000;
/// Documents loaded to check a copy.
const SAMPLE: u32 = 200;

impl Db {
    /// Copies the database into another connection, whole and consistent.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn copy_into(&self, to: &mut Connection) -> Result<()> {
        let backup = Backup::new(&self.conn, to)?;
        backup.run_to_completion(PAGES, Duration::ZERO, None)?;
        Ok(())
    }

    /// Writes a backup to a new file and verifies it: SQLite's whole check, and a sample of
    /// documents that must load with the heads they should have.
    ///
    /// # Errors
    /// The file exists; a failing or full disk. What was written is removed then.
    pub fn backup(&self, path: &Path) -> Result<()> {
        if path.exists() {
            return Err(StoreError::Refused("the backup file exists already"));
        }
        let partial = path.with_extension("partial");
        let made = self.write_backup(&partial);
        if let Err(error) = made {
            // Only what this call began.
            fs::remove_file(&partial).ok();
            return Err(error);
        }
        fs::rename(&partial, path).map_err(|e| dir::file(path, e))
    }

    fn write_backup(&self, path: &Path) -> Result<()> {
        let mut to = dir::connect(path)?;
        self.copy_into(&mut to)?;
        // One file, not three: nobody copies side files along with a backup.
        let _mode: String = to.query_row("PRAGMA journal_mode = DELETE", [], |r| r.get(0))?;
        check(&to)?;
        drop(to);
        let file = fs::File::open(path).map_err(|e| dir::file(path, e))?;
        file.sync_all().map_err(|e| dir::file(path, e))
    }
}

/// Whether a copy is whole: the file, and a sample of documents.
///
/// # Errors
/// What is wrong with it.
pub fn check(conn: &Connection) -> Result<()> {
    if schema::version(conn)? > schema::VERSION {
        return Err(StoreError::Newer {
            found: schema::version(conn)?,
            known: schema::VERSION,
        });
    }
    schema::check(conn, false)?;
    let mut statement =
        conn.prepare("SELECT id, heads, snapshot FROM document ORDER BY changed_at DESC LIMIT ?1")?;
    let mut rows = statement.query([SAMPLE])?;
    while let Some(row) = rows.next()? {
        let doc = Doc::load(DocId(row.get(0)?), &row.get::<_, Vec<u8>>(2)?)?;
        if super::docs::split(&row.get::<_, Vec<u8>>(1)?) != doc.heads() {
            return Err(StoreError::Damaged("a document of the backup"));
        }
    }
    Ok(())
}

/// Copies a backup into a directory that holds no database yet. The next start there begins a
/// new epoch.
///
/// # Errors
/// The directory has a database; the backup is damaged, newer or not a node's.
pub fn restore(backup: &Path, to: &Directory) -> Result<()> {
    let database = to.database();
    if database.exists() {
        return Err(StoreError::Refused(
            "the directory holds a database already",
        ));
    }
    let from = dir::connect_existing(backup)?;
    let application: u32 = from
        .query_row("PRAGMA application_id", [], |r| r.get(0))
        .map_err(|e| StoreError::from(e).of_file(&backup.display().to_string()))?;
    if application != schema::APPLICATION_ID {
        return Err(StoreError::Foreign(backup.display().to_string()));
    }
    check(&from)?;
    let partial = database.with_extension("partial");
    let copied = (|| {
        let mut conn = dir::connect(&partial)?;
        Backup::new(&from, &mut conn)?.run_to_completion(PAGES, Duration::ZERO, None)?;
        schema::check(&conn, false)?;
        conn.close().map_err(|(_conn, e)| StoreError::from(e))
    })();
    if let Err(error) = copied {
        fs::remove_file(&partial).ok();
        return Err(error);
    }
    let marker = to.path().join("marker");
    match fs::remove_file(&marker) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(dir::file(&marker, e)),
    }
    fs::rename(&partial, &database).map_err(|e| dir::file(&database, e))
}
