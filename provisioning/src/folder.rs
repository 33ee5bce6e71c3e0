//! The registrar's state directory: public documents as they are signed, secrets sealed.
//!
//! ```text
//! controls/  authority-1.ctdoc …  roster.ctdoc  credentials-s3.ctdoc …
//! keys/      registrar.age  root-1.age root-2.age root-3.age (to be moved to the safe)
//! tickets/   k-….cbor    which machine each presented ticket is bound to
//! journal.jsonl           one line for each thing the county said
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use cuntong_protocol::control::{
    ControlKind,
    signed::{Content, Signed, Trust, TrustError},
};

use crate::{
    county::{County, CountyError, Founded, HashCost, Keeper, RegistrarKeys},
    enrol::{Binding, BookError, CONTROL_FILE, TicketBook},
    entropy::Entropy,
    sealed::{self, Passphrase, SealError},
    ticket::TicketId,
    wire,
};

/// Larger files than this are not ours.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why a county's directory was not opened or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} 中已经有一个县", .0.display())]
    Exists(PathBuf),
    #[error("{} 中没有县:请先用 init 建立", .0.display())]
    Missing(PathBuf),
    #[error("另一条命令正在使用 {}", .0.display())]
    Busy(PathBuf),
    #[error("{} 已损坏", .0.display())]
    Damaged(PathBuf),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    County(#[from] CountyError),
}

/// A county's directory, locked for this process while it lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes hold of a directory, making it (mode 0700) where there is none.
    ///
    /// # Errors
    /// [`FolderError::Busy`] while another command holds it.
    pub fn hold(path: &Path) -> Result<Self, FolderError> {
        let (lock, lock_path) = Self::lock_file(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self::held(path, lock)),
            Err(TryLockError::WouldBlock) => Err(FolderError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(at(&lock_path)(error)),
        }
    }

    /// As [`Folder::hold`], but waits for the command that holds it to end.
    pub fn hold_in_turn(path: &Path) -> Result<Self, FolderError> {
        let (lock, lock_path) = Self::lock_file(path)?;
        lock.lock().map_err(at(&lock_path))?;
        Ok(Self::held(path, lock))
    }

    fn lock_file(path: &Path) -> Result<(File, PathBuf), FolderError> {
        let below = ["controls", "keys", "tickets"].map(|name| path.join(name));
        for dir in std::iter::once(path.to_owned()).chain(below) {
            private_dir(&dir).map_err(at(&dir))?;
        }
        let lock_path = path.join("lock");
        let lock = private(&lock_path, false).map_err(at(&lock_path))?;
        Ok((lock, lock_path))
    }

    fn held(path: &Path, lock: File) -> Self {
        Self {
            path: path.to_owned(),
            _lock: lock,
        }
    }

    /// Whether a county was founded here.
    pub fn holds_county(&self) -> bool {
        self.path.join("keys/registrar.age").exists()
    }

    /// Founds a county here. The keys are sealed before anything is said in their name; root keys
    /// get their own passphrase, because they belong in the safe.
    pub fn found(
        &self,
        secrets: &Secrets,
        cost: HashCost,
        entropy: &mut impl Entropy,
        now: cuntong_protocol::time::Millis,
    ) -> Result<County, FolderError> {
        if self.holds_county() {
            return Err(FolderError::Exists(self.path.clone()));
        }
        let Founded { county, roots } = County::create(cost, self.keeper(), entropy, now)?;
        for (n, root) in (1..).zip(&roots) {
            let file = self.path.join(format!("keys/root-{n}.age"));
            let sealed = sealed::to_passphrase(root.reveal(), &secrets.roots, secrets.work_log2)?;
            write(&file, &sealed)?;
        }
        // Last of all: the file that says a county is here.
        let keys = zeroize::Zeroizing::new(wire::encode(county.keys()));
        let sealed = sealed::to_passphrase(&keys, &secrets.registrar, secrets.work_log2)?;
        write(&self.path.join("keys/registrar.age"), &sealed)?;
        Ok(county)
    }

    /// What the county has said; needs no passphrase.
    pub fn trust(&self) -> Result<Trust, FolderError> {
        if !self.holds_county() {
            return Err(FolderError::Missing(self.path.clone()));
        }
        let mut documents = Vec::new();
        let controls = self.path.join("controls");
        for entry in fs::read_dir(&controls).map_err(at(&controls))? {
            let path = entry.map_err(at(&controls))?.path();
            if path.extension().is_some_and(|e| e == CONTROL_FILE) {
                documents.push(read(&path)?);
            }
        }
        let first = self
            .path
            .join(format!("controls/authority-1.{CONTROL_FILE}"));
        let name = Signed::open(&read(&first)?)?.content.founds();
        Ok(Trust::load(name, documents.iter().map(Vec::as_slice))?)
    }

    /// Opens the registrar's keys.
    pub fn keys(&self, passphrase: &Passphrase) -> Result<RegistrarKeys, FolderError> {
        let path = self.path.join("keys/registrar.age");
        let keys = sealed::with_passphrase(&read(&path)?, passphrase)?;
        wire::decode(&keys).map_err(|_any| FolderError::Damaged(path))
    }

    /// Opens the desk with keys that were opened before.
    pub fn county(&self, keys: RegistrarKeys, cost: HashCost) -> Result<County, FolderError> {
        Ok(County::open(self.trust()?, keys, cost, self.keeper())?)
    }

    /// Notes what was done, for whoever asks later; `what` is one JSON object.
    pub fn note(&self, what: &serde_json::Value) -> Result<(), FolderError> {
        let path = self.path.join("journal.jsonl");
        let mut file = private(&path, true).map_err(at(&path))?;
        let mut line = what.to_string();
        line.push('\n');
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(at(&path))
    }

    /// Bindings of presented tickets, in no particular order.
    pub fn bindings(&self) -> Result<Vec<Binding>, FolderError> {
        let bindings = Book::new(self.path.join("tickets")).bindings();
        bindings.map_err(|e| FolderError::County(e.into()))
    }

    fn keeper(&self) -> Box<dyn Keeper + Send> {
        Box::new(FolderKeeper {
            controls: self.path.join("controls"),
            book: Book::new(self.path.join("tickets")),
        })
    }
}

/// Passphrases of a new county.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub registrar: Passphrase,
    pub roots: Passphrase,
    /// Scrypt's cost: [`sealed::WORK_LOG2`] but for tests and sample counties.
    pub work_log2: u8,
}

struct FolderKeeper {
    controls: PathBuf,
    book: Book,
}

impl TicketBook for FolderKeeper {
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError> {
        self.book.binding(ticket)
    }

    fn keep(&mut self, binding: Binding) -> Result<(), BookError> {
        self.book.keep(binding)
    }

    fn waiting(&self) -> Result<usize, BookError> {
        self.book.waiting()
    }
}

impl Keeper for FolderKeeper {
    fn keep_document(&mut self, document: &Signed, bytes: &[u8]) -> Result<(), BookError> {
        write(&self.controls.join(file_name(&document.content)), bytes).map_err(book)
    }
}

/// Bindings of presented tickets, a file for each: at a registrar and at a hub.
#[derive(Debug, Clone)]
pub struct Book(PathBuf);

impl Book {
    /// The book in that directory, which is made when it is first needed.
    pub const fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    fn file(&self, ticket: &TicketId) -> PathBuf {
        self.0.join(format!("{ticket}.cbor"))
    }

    /// All of them, in no particular order.
    pub fn bindings(&self) -> Result<Vec<Binding>, BookError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(book)?,
        };
        let mut bindings = Vec::new();
        for entry in entries {
            let path = entry.map_err(book)?.path();
            if path.extension().is_some_and(|e| e == "cbor") {
                bindings.push(binding(&path)?);
            }
        }
        Ok(bindings)
    }
}

impl TicketBook for Book {
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError> {
        let path = self.file(ticket);
        path.exists().then(|| binding(&path)).transpose()
    }

    fn keep(&mut self, binding: Binding) -> Result<(), BookError> {
        private_dir(&self.0).map_err(book)?;
        write(&self.file(&binding.ticket), &wire::encode(&binding)).map_err(book)
    }

    fn waiting(&self) -> Result<usize, BookError> {
        let bindings = self.bindings()?;
        Ok(bindings.iter().filter(|b| b.grant.is_none()).count())
    }
}

fn binding(path: &Path) -> Result<Binding, BookError> {
    wire::decode(&read(path).map_err(book)?).map_err(book)
}

fn book(error: impl std::fmt::Display) -> BookError {
    BookError(error.to_string())
}

/// The file name of a control document, the same in every directory and on every stick.
pub fn file_name(content: &Content) -> String {
    let word = content.kind.word();
    match content.kind {
        ControlKind::Authority => format!("{word}-{}.{CONTROL_FILE}", content.version),
        ControlKind::Credentials => format!("{word}-{}.{CONTROL_FILE}", content.site),
        ControlKind::Roster
        | ControlKind::Places
        | ControlKind::Directory
        | ControlKind::Catalogue
        | ControlKind::Calendar => format!("{word}.{CONTROL_FILE}"),
    }
}

/// As [`replace`], with an error that names the file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    replace(path, bytes).map_err(at(path))
}

/// Writes a file whole or not at all, readable by its owner only. What was there before stays
/// until then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The rename is durable once its directory is.
    match path.parent() {
        Some(dir) if dir != Path::new("") => File::open(dir)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a regular file of bounded size.
pub fn read(path: &Path) -> Result<Vec<u8>, FolderError> {
    let file = File::open(path).map_err(at(path))?;
    let metadata = file.metadata().map_err(at(path))?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(FolderError::Damaged(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(at(path))?;
    Ok(bytes)
}

fn private(path: &Path, append: bool) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::Io { path, error }
}
