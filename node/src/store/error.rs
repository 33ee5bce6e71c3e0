//! What can go wrong with the store, as sentences an administrator can act on.

use std::path::PathBuf;

use cuntong_protocol::document::DocError;

/// A failure of the store. Nothing of the transaction it happened in remains.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The transaction was rolled back whole; free some space and try again.
    #[error("the disk is full; nothing was saved")]
    DiskFull,
    /// The file is left as it is.
    #[error("the database {file} is damaged ({what}); restore a backup or run `cuntong verify`")]
    Corrupt { file: String, what: String },
    /// Written by a later release; opening it could lose what this one does not know.
    #[error("the database has version {found}, this program knows {known}: install a newer one")]
    Newer { found: u32, known: u32 },
    /// Some other program's SQLite file.
    #[error("{0} is not a node's database")]
    Foreign(String),
    /// Two processes must not write one directory.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The node has no key or no county yet.
    #[error("this node is not enrolled yet")]
    NotEnrolled,
    /// Something stored does not read back: a defect or a damaged disk.
    #[error("stored data does not read back: {0}")]
    Damaged(&'static str),
    #[error("document: {0}")]
    Document(#[from] DocError),
    #[error("control document: {0}")]
    Trust(#[from] cuntong_protocol::control::signed::TrustError),
    /// The work given to the store was refused by it; nothing was saved.
    #[error("{0}")]
    Refused(&'static str),
    /// The closure given to the writer panicked; its work was rolled back.
    #[error("internal error while writing; nothing was saved")]
    Panicked,
    /// The commit this work was part of failed.
    #[error("nothing was saved: {0}")]
    Lost(String),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// The power cut that a test asked for; see [`super::Db::set_crash_after`].
    #[error("power cut")]
    Crashed,
    /// How a comparison takes back what it made; never seen outside.
    #[error("compared")]
    Compared(Vec<Vec<[u8; 32]>>),
    #[error("database: {0}")]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};
        let extended = |error: &rusqlite::Error| error.sqlite_error().map(|e| e.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            // No room for the index of the write-ahead log: how a full disk is told at opening.
            Some(ErrorCode::SystemIoFailure) if extended(&error) == Some(SQLITE_IOERR_SHMSIZE) => {
                Self::DiskFull
            }
            Some(code @ (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => Self::Corrupt {
                file: String::new(),
                what: format!("{code:?}"),
            },
            _ => Self::Sql(error),
        }
    }
}

impl StoreError {
    /// The error of a commit, for each of those whose work was in it.
    pub(super) fn again(&self) -> Self {
        if matches!(self, Self::DiskFull) {
            Self::DiskFull
        } else if matches!(self, Self::Crashed) {
            Self::Crashed
        } else if let Self::Corrupt { file, what } = self {
            Self::Corrupt {
                file: file.clone(),
                what: what.clone(),
            }
        } else {
            Self::Lost(self.to_string())
        }
    }

    /// The same error, naming the file where it knows of one.
    #[must_use]
    pub fn of_file(mut self, path: &str) -> Self {
        if let Self::Corrupt { file, .. } = &mut self {
            path.clone_into(file);
        }
        self
    }
}

/// What the store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_disk_that_is_full_at_opening_is_told_as_a_full_disk() {
        let told =
            |code| StoreError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(
            told(ffi::SQLITE_IOERR_SHMSIZE),
            StoreError::DiskFull
        ));
        assert!(matches!(told(ffi::SQLITE_IOERR_READ), StoreError::Sql(_)));
    }
}
