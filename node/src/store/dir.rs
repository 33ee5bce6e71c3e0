//! A node's directory: who may read it, and that one process has it.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::error::{Result, StoreError};

/// Name of the database file.
pub const DATABASE: &str = "cuntong.db";

/// A locked directory. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is missing, and locks it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it.
    pub fn lock(path: &Path) -> Result<Self> {
        make(path)?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| file(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(e)) => return Err(file(&lock_path, e)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// A connection to the database, made for its owner alone where it is missing.
    ///
    /// # Errors
    /// A failing disk.
    pub fn connect(&self) -> Result<Connection> {
        connect(&self.database())
    }
}

/// Makes a state directory where there is none, for its owner alone. One that is there keeps its
/// rights: what it holds of ours is its owner's alone file by file.
///
/// # Errors
/// It cannot be made.
pub fn make(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| file(path, e))
}

/// A connection to a database file.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    if !path.exists() {
        File::create(path).map_err(|e| file(path, e))?;
    }
    // SQLite gives its side files the mode of the main one.
    private(path, 0o600)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::from(e).of_file(&path.display().to_string()))
}

pub(super) fn file(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(unix)]
pub(super) fn private(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| file(path, e))
}

/// Elsewhere the directory inherits the rights of the account that runs the node.
#[cfg(not(unix))]
pub(super) fn private(_path: &Path, _mode: u32) -> Result<()> {
    Ok(())
}

/// A read-only connection to a file that must exist.
pub(super) fn connect_existing(path: &Path) -> Result<Connection> {
    if !path.exists() {
        return Err(file(path, std::io::ErrorKind::NotFound.into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::from(e).of_file(&path.display().to_string()))
}
