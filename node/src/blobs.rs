//! The bytes of attached files: one file each under its hash, in the folder `blobs` beside the
//! database; what is not whole yet under `blobs/part`.
//!
//! A file is written, made durable, looked through once more and only then given its name: what
//! stands under a hash is that file. A part that is cut off goes on at its last whole group; a
//! part that turns out wrong at the end is thrown away and begun anew.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cuntong_protocol::{
    act::{Attach, Media, Thumbnail},
    blob::{self, Blob, tree},
    id::{BlobHash, PersonId},
    limits::{ATTACHMENT_BYTES_MAX, BLOB_GROUP_BYTES},
    refusal::Refusal,
    time::Millis,
};
use tokio::sync::broadcast;

use crate::{
    clock,
    store::{Db, Result, Store, StoreError},
};

mod small;

/// The folder's name.
pub const FOLDER: &str = "blobs";
/// Files that became whole, remembered for who is slow to hear of them.
const HEARD: usize = 256;
/// How long a file that nobody names is kept: a form may still be open, a document on its way.
const GRACE_MS: i64 = 7 * 24 * 3_600 * 1000;

/// How much room files may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub quota: u64,
    /// Bytes that stay free on the disk.
    pub free: u64,
}

/// Why files wait, as far as this machine is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The disk has less free than is to stay free.
    Disk,
    Quota,
}

/// The files of a node. Clones are the same files.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limits: Limits,
    /// Files that became whole.
    whole: broadcast::Sender<Blob>,
    /// Files that some session is about to fetch: nobody else asks for them.
    claimed: Mutex<BTreeSet<Blob>>,
    state: Mutex<State>,
}

/// What is told to people.
#[derive(Debug, Default, Clone)]
pub struct State {
    pub full: Option<Full>,
    /// Pieces that did not verify, since the start.
    pub spoiled: u64,
    /// Bytes that came, since the start, verified.
    pub received: u64,
}

impl Blobs {
    /// The files beside a node's database.
    pub fn new(dir: &Path, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            folder: dir.join(FOLDER),
            limits,
            whole: broadcast::channel(HEARD).0,
            claimed: Mutex::default(),
            state: Mutex::default(),
        }))
    }

    /// Hears of files that become whole here.
    pub fn listen(&self) -> broadcast::Receiver<Blob> {
        self.0.whole.subscribe()
    }

    /// What people are told.
    pub fn state(&self) -> State {
        lock(&self.0.state).clone()
    }

    /// A piece came that was not what was asked for.
    pub fn note_spoiled(&self) {
        lock(&self.0.state).spoiled += 1;
    }

    /// Takes a file for one session; false when another one has it.
    pub fn claim(&self, blob: Blob) -> bool {
        lock(&self.0.claimed).insert(blob)
    }

    /// Gives a file free for other sessions.
    pub fn release(&self, blob: &Blob) {
        let _was = lock(&self.0.claimed).remove(blob);
    }

    /// Whether some session fetches it now.
    pub fn is_claimed(&self, blob: &Blob) -> bool {
        lock(&self.0.claimed).contains(blob)
    }

    /// Whether `more` bytes fit: `held` are taken.
    pub fn room(&self, held: u64, more: u64) -> std::result::Result<(), Full> {
        let full = if held.saturating_add(more) > self.0.limits.quota {
            Some(Full::Quota)
        } else if self
            .free()
            .is_some_and(|free| free < self.0.limits.free.saturating_add(more))
        {
            Some(Full::Disk)
        } else {
            None
        };
        lock(&self.0.state).full = full;
        full.map_or(Ok(()), Err)
    }

    /// Bytes free on the disk, as far as the system says.
    fn free(&self) -> Option<u64> {
        let mut at = self.0.folder.as_path();
        while !at.exists() {
            at = at.parent()?;
        }
        let disk = rustix::fs::statvfs(at).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn path(&self, hash: BlobHash) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(&hash.0);
        self.0.folder.join(&name[..2]).join(name)
    }

    fn part(&self, blob: &Blob) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(&blob.hash.0);
        self.0
            .folder
            .join("part")
            .join(format!("{name}-{}", blob.size))
    }

    /// Groups of a file that are kept already, from its beginning.
    pub fn kept(&self, blob: &Blob) -> u32 {
        let kept = fs::metadata(self.part(blob)).map_or(0, |m| m.len());
        u32::try_from(kept / BLOB_GROUP_BYTES as u64).unwrap_or(0)
    }

    /// Keeps a verified group; durable when this returns.
    ///
    /// # Errors
    /// A failing or full disk; a group out of turn.
    pub fn keep(&self, blob: &Blob, group: u32, bytes: &[u8]) -> Result<()> {
        let path = self.part(blob);
        let at = |e| file(&path, e);
        if let Some(folder) = path.parent() {
            crate::store::dir::make(folder)?;
        }
        let mut part = private()
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at)?;
        let from = u64::from(group) * BLOB_GROUP_BYTES as u64;
        let have = part.metadata().map_err(at)?.len();
        if have < from {
            return Err(StoreError::Refused("a part of a file out of turn"));
        }
        part.set_len(from).map_err(at)?;
        let _at = part.seek(SeekFrom::Start(from)).map_err(at)?;
        part.write_all(bytes).map_err(at)?;
        part.sync_data().map_err(at)?;
        lock(&self.0.state).received += bytes.len() as u64;
        Ok(())
    }

    /// Gives a part whose last group is kept its name, after a look through all of it. False: it
    /// was not that file (a power cut, a failing disk), and is begun anew.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn complete(&self, blob: &Blob, store: &Store, now: Millis) -> Result<bool> {
        let part = self.part(blob);
        let (hash, size) = digest(&part)?;
        if hash != blob.hash || size != blob.size {
            fs::remove_file(&part).map_err(|e| file(&part, e))?;
            return Ok(false);
        }
        self.settle(&part, blob, store, now)?;
        Ok(true)
    }

    /// A durable file under another name gets the name of its hash.
    fn settle(&self, from: &Path, blob: &Blob, store: &Store, now: Millis) -> Result<()> {
        let to = self.path(blob.hash);
        if let Some(folder) = to.parent() {
            crate::store::dir::make(folder)?;
            fs::rename(from, &to).map_err(|e| file(&to, e))?;
            let synced = File::open(folder).and_then(|f| f.sync_all());
            synced.map_err(|e| file(folder, e))?;
        }
        let blob = *blob;
        store.write(move |db| db.hold_blob(blob, now))?;
        // Nobody listening is the usual state of a node on its own.
        let _nobody = self.0.whole.send(blob);
        Ok(())
    }

    /// Takes up a file whose bytes are here though the database does not know it: it was restored
    /// from before. False: they are not here.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn adopt(&self, blob: &Blob, store: &Store, now: Millis) -> Result<bool> {
        let path = self.path(blob.hash);
        if !path.exists() || digest(&path)? != (blob.hash, blob.size) {
            return Ok(false);
        }
        let blob = *blob;
        store.write(move |db| db.hold_blob(blob, now))?;
        let _nobody = self.0.whole.send(blob);
        Ok(true)
    }

    /// Forgets files whose bytes are gone, so that they are fetched again; how many.
    ///
    /// # Errors
    /// A failing disk.
    pub fn miss(&self, store: &Store) -> Result<u64> {
        let mut missed = 0;
        for blob in store.read(|db| db.blobs())? {
            if !self.path(blob.hash).exists() {
                store.write(move |db| db.drop_blob(blob.hash))?;
                missed += 1;
            }
        }
        Ok(missed)
    }

    /// The tree of a file that is here; none when its bytes are not that file any more.
    ///
    /// # Errors
    /// A failing disk.
    pub fn tree(&self, blob: &Blob) -> Result<Option<tree::Tree>> {
        let path = self.path(blob.hash);
        let mut from = match File::open(&path) {
            Ok(from) => from,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file(&path, error)),
        };
        let mut tree = tree::Tree::default();
        let mut group = Vec::with_capacity(BLOB_GROUP_BYTES);
        loop {
            group.clear();
            let mut next = (&mut from).take(BLOB_GROUP_BYTES as u64);
            let read = next.read_to_end(&mut group).map_err(|e| file(&path, e))?;
            if read == 0 {
                break;
            }
            tree.push(&group);
        }
        Ok((tree.root() == Some(blob.hash)).then_some(tree))
    }

    /// One group of a file that is here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn group(&self, blob: &Blob, group: u32) -> Result<Vec<u8>> {
        let path = self.path(blob.hash);
        let at = |e| file(&path, e);
        let mut from = File::open(&path).map_err(at)?;
        let _at = from
            .seek(SeekFrom::Start(u64::from(group) * BLOB_GROUP_BYTES as u64))
            .map_err(at)?;
        let mut bytes = vec![0; tree::group_bytes(blob.size, group)];
        from.read_exact(&mut bytes).map_err(at)?;
        Ok(bytes)
    }

    /// All bytes of a file that is here, checked against its hash.
    ///
    /// # Errors
    /// A failing disk; bytes that are not that file.
    pub fn read(&self, hash: BlobHash) -> Result<Vec<u8>> {
        let path = self.path(hash);
        let bytes = fs::read(&path).map_err(|e| file(&path, e))?;
        if *blake3::hash(&bytes).as_bytes() == hash.0 {
            Ok(bytes)
        } else {
            Err(StoreError::Damaged("an attached file"))
        }
    }

    /// Takes in a file a person brought, with its thumbnail: durable when this returns.
    ///
    /// # Errors
    /// In words: too large, of another kind, no room.
    pub fn take(
        &self,
        name: &str,
        bytes: &[u8],
        store: &Store,
        now: Millis,
    ) -> std::result::Result<Attach, Refusal> {
        if bytes.is_empty() || bytes.len() as u64 > ATTACHMENT_BYTES_MAX {
            return Err(Refusal::field("file", blob::TOO_LARGE));
        }
        let media = Media::of_bytes(bytes).ok_or(Refusal::WrongMedia)?;
        let held = store.read(|db| db.blob_counts()).map_err(refused)?.held.1;
        self.room(held, bytes.len() as u64)
            .map_err(|full| match full {
                Full::Disk => Refusal::DiskFull,
                Full::Quota => Refusal::AttachmentsFull,
            })?;
        let small = small::thumbnail(media, bytes);
        let whole = self.put(bytes, store, now).map_err(refused)?;
        let thumbnail = match small {
            Some(small) => {
                let Blob { hash, size } = self.put(&small, store, now).map_err(refused)?;
                Some(Thumbnail { hash, size })
            }
            None => None,
        };
        Ok(Attach {
            hash: whole.hash,
            size: whole.size,
            media,
            name: blob::file_name(name, media.ending()),
            thumbnail,
            material: None,
        })
    }

    fn put(&self, bytes: &[u8], store: &Store, now: Millis) -> Result<Blob> {
        let blob = Blob {
            hash: BlobHash(*blake3::hash(bytes).as_bytes()),
            size: bytes.len() as u64,
        };
        if self.path(blob.hash).exists() && store.read(move |db| db.blob_held(blob.hash))?.is_some()
        {
            // The same file again: kept once.
            return Ok(blob);
        }
        let name = data_encoding::HEXLOWER.encode(&clock::random::<8>());
        let folder = self.0.folder.join("part");
        crate::store::dir::make(&folder)?;
        let fresh = folder.join(format!("new-{name}"));
        let written = (|| {
            let mut to = private().create_new(true).open(&fresh)?;
            to.write_all(bytes)?;
            to.sync_all()
        })();
        if let Err(error) = written {
            fs::remove_file(&fresh).ok();
            return Err(file(&fresh, error));
        }
        self.settle(&fresh, &blob, store, now)?;
        Ok(blob)
    }

    /// Keeps what a form brought until the form is accepted.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn stage(
        &self,
        person: PersonId,
        name: &str,
        bytes: &[u8],
        store: &Store,
        now: Millis,
    ) -> std::result::Result<([u8; 16], Attach), Refusal> {
        let attach = self.take(name, bytes, store, now)?;
        let token = clock::random();
        let kept = attach.clone();
        store
            .write(move |db| db.stage(token, person, &kept, now))
            .map_err(refused)?;
        Ok((token, attach))
    }

    /// Removes files that nobody names any more, and parts nobody wants; how many.
    ///
    /// # Errors
    /// A failing disk.
    pub fn tidy(&self, store: &Store, now: Millis) -> Result<u64> {
        let before = now.after(-GRACE_MS);
        let unnamed = store.read(move |db| db.blobs_unnamed(before))?;
        let mut removed = 0;
        for blob in unnamed {
            store.write(move |db| db.drop_blob(blob.hash))?;
            let path = self.path(blob.hash);
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(file(&path, error)),
            }
        }
        Ok(removed)
    }

    /// Reads every file that should be here; what is wrong, by hash.
    ///
    /// # Errors
    /// A failing disk.
    pub fn verify(&self, db: &Db) -> Result<(u64, Vec<String>)> {
        let (mut sound, mut problems) = (0, Vec::new());
        for blob in db.blobs()? {
            match digest(&self.path(blob.hash)) {
                Ok((hash, size)) if hash == blob.hash && size == blob.size => sound += 1,
                Ok(_) => problems.push(format!("attachment {}: other bytes", blob.hash)),
                Err(_) => problems.push(format!("attachment {}: missing", blob.hash)),
            }
        }
        Ok((sound, problems))
    }
}

/// Hash and size of a file's bytes.
fn digest(path: &Path) -> Result<(BlobHash, u64)> {
    let at = |e| file(path, e);
    let mut from = File::open(path).map_err(at)?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; BLOB_GROUP_BYTES];
    let mut size = 0;
    loop {
        let read = from.read(&mut bytes).map_err(at)?;
        if read == 0 {
            return Ok((BlobHash(*hasher.finalize().as_bytes()), size));
        }
        size += read as u64;
        hasher.update(&bytes[..read]);
    }
}

/// Files for their owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn file(path: &Path, source: std::io::Error) -> StoreError {
    if source.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::DiskFull;
    }
    StoreError::File {
        path: path.to_owned(),
        source,
    }
}

/// What a person is told when a file cannot be kept.
fn refused(error: StoreError) -> Refusal {
    if matches!(error, StoreError::DiskFull) {
        Refusal::DiskFull
    } else {
        tracing::error!(%error, "an attached file could not be kept");
        Refusal::Fault("附件未能保存".to_owned())
    }
}

/// A panic elsewhere leaves sets as good as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
