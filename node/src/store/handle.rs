//! The handle the rest of the node holds: one thread writes, several connections read.
//!
//! Work for the writer queues up; each round takes what is there, runs every piece in its own
//! part of one transaction, commits once, and only then answers: an answer means durable. All
//! calls block; asynchronous callers use `spawn_blocking`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, TryRecvError},
    },
    thread::JoinHandle,
};

use cuntong_protocol::{
    control::signed::Trust,
    id::Writer,
    log::{LogHead, LogId},
    time::Millis,
};
use rusqlite::Connection;

use super::{
    db::{Db, Opening, State},
    derived::Derived,
    dir::{Directory, connect},
    epoch::{FileMarker, Marker as _},
    error::{Result, StoreError},
    schema,
};

/// Files up to this size are looked through after a stop out of order.
const CHECKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Pieces of work in one commit.
const GROUP_MAX: usize = 64;

/// What to do once the round is committed, or is not.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;
type Job = Box<dyn FnOnce(&mut Db) -> Answer + Send>;
/// Hears of logs that grew, in the writer's thread: it must not wait for the store.
pub type Listener = Box<dyn Fn(&[(LogId, LogHead)]) + Send + Sync>;

/// The store of a running node. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

struct Inner {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Identity and county as of the last commit, for the readers.
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
    /// Empty for a database in memory: the writer reads too.
    readers: Mutex<Vec<Db>>,
    returned: Condvar,
    pooled: bool,
}

impl Store {
    /// Opens a node's directory: locks it, brings the database to this version, begins a new
    /// epoch where the past may have been lost, starts the writer and `readers` connections.
    ///
    /// # Errors
    /// The directory is in use; the database is newer, foreign or damaged (nothing is deleted).
    pub fn open(
        dir: &Path,
        now: Millis,
        nonce: [u8; 16],
        derived: &'static Derived,
        readers: usize,
    ) -> Result<Self> {
        let directory = Directory::lock(dir)?;
        let conn = directory.connect()?;
        let name = directory.database().display().to_string();
        let marker = FileMarker::new(dir);
        if needs_check(&directory, &marker) {
            schema::check(&conn, true).map_err(|e| e.of_file(&name))?;
        }
        let opening = Opening {
            now,
            nonce,
            marker: Arc::new(marker),
            derived,
        };
        let db = Db::open(conn, opening).map_err(|e| e.of_file(&name))?;
        let mut pool = Vec::new();
        for _reader in 0..readers {
            pool.push(Db::reader(connect(&directory.database())?, &db)?);
        }
        Self::start(db, pool, Some(directory))
    }

    /// A store over a connection, a database in memory for example; it reads and writes there.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn over(conn: Connection, opening: Opening) -> Result<Self> {
        Self::start(Db::open(conn, opening)?, Vec::new(), None)
    }

    fn start(db: Db, readers: Vec<Db>, directory: Option<Directory>) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(db.state.clone()),
            listeners: Mutex::new(Vec::new()),
            pooled: !readers.is_empty(),
            readers: Mutex::new(readers),
            returned: Condvar::new(),
        });
        let (jobs, queue) = mpsc::channel();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                // Unlocked after the last write.
                let _directory = directory;
                write_all(db, &queue, &of_thread)
            })
            .map_err(|e| StoreError::File {
                path: "store thread".into(),
                source: e,
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                jobs: Mutex::new(Some(jobs)),
                thread: Mutex::new(Some(thread)),
                shared,
            }),
        })
    }

    /// Runs `work` in the writer's thread as one transaction; its answer means that it is
    /// durable. Do not call the store from within.
    ///
    /// # Errors
    /// What `work` says, a full disk, a panic of `work`: nothing of it remains then.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(move |db| db.transact(work))
    }

    /// Reads a consistent picture. Do not call the store from within.
    ///
    /// # Errors
    /// What `work` says; a failing disk.
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !self.inner.shared.pooled {
            return self.submit(move |db| work(db));
        }
        let mut reader = self.inner.shared.borrow();
        reader.state = lock(&self.inner.shared.state).clone();
        let done = catch_unwind(AssertUnwindSafe(|| {
            reader.conn.execute_batch("BEGIN")?;
            let done = work(&reader);
            reader.conn.execute_batch("ROLLBACK")?;
            done
        }));
        if done.is_err() && !reader.conn.is_autocommit() {
            reader.conn.execute_batch("ROLLBACK").ok();
        }
        self.inner.shared.give_back(reader);
        done.unwrap_or_else(|_panic| Err(StoreError::Panicked))
    }

    /// What this node believes of its county as of the last commit; asks neither the disk nor a
    /// thread.
    ///
    /// # Errors
    /// As [`Db::trust`].
    pub fn trust(&self) -> Result<Arc<Trust>> {
        let state = lock(&self.inner.shared.state);
        state.trust.clone().ok_or(StoreError::NotEnrolled)
    }

    /// This node in its epoch as of the last commit, likewise.
    ///
    /// # Errors
    /// As [`Db::identity`].
    pub fn writer(&self) -> Result<Writer> {
        let state = lock(&self.inner.shared.state);
        let identity = state.identity.as_ref().ok_or(StoreError::NotEnrolled)?;
        Ok(identity.writer)
    }

    /// Calls `listener` after every commit by which logs grew.
    pub fn listen(&self, listener: Listener) {
        lock(&self.inner.shared.listeners).push(listener);
    }

    /// Finishes what is queued and ends in order; later calls answer [`StoreError::Closed`].
    ///
    /// # Errors
    /// A failing disk: the next start begins a new epoch.
    pub fn close(&self) -> Result<()> {
        drop(lock(&self.inner.jobs).take());
        let Some(thread) = lock(&self.inner.thread).take() else {
            return Ok(());
        };
        thread.join().unwrap_or(Err(StoreError::Panicked))
    }

    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |db| {
            let done = catch_unwind(AssertUnwindSafe(|| work(db)))
                .unwrap_or_else(|_panic| Err(StoreError::Panicked));
            Box::new(move |failed| {
                let done = match (failed, done) {
                    (Some(error), Ok(_)) => Err(error.again()),
                    (_, done) => done,
                };
                // The one who asked may have gone.
                answer.send(done).ok();
            })
        });
        lock(&self.inner.jobs)
            .as_ref()
            .ok_or(StoreError::Closed)?
            .send(job)
            .map_err(|_stopped| StoreError::Closed)?;
        answered.recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Shared {
    fn borrow(&self) -> Db {
        let mut readers = lock(&self.readers);
        loop {
            if let Some(reader) = readers.pop() {
                return reader;
            }
            readers = self
                .returned
                .wait(readers)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, reader: Db) {
        lock(&self.readers).push(reader);
        self.returned.notify_one();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(lock(&self.jobs).take());
        if let Some(thread) = lock(&self.thread).take() {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the store did not end in order"),
                Err(_panic) => tracing::error!("the writer panicked"),
            }
        }
    }
}

/// Whether to look through the file before work begins: after a stop out of order, where that
/// takes seconds at most. `verify` does it for any size.
fn needs_check(directory: &Directory, marker: &FileMarker) -> bool {
    let clean = marker.read().is_ok_and(|m| m.is_some_and(|m| m.clean));
    let size = std::fs::metadata(directory.database()).map_or(0, |m| m.len());
    !clean && size <= CHECKED_BYTES_MAX
}

/// The writer's life: rounds of work, and between them rows that went stale.
fn write_all(mut db: Db, queue: &mpsc::Receiver<Job>, shared: &Shared) -> Result<()> {
    let mut stale = db.is_stale()?;
    loop {
        let first = if stale {
            match queue.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Empty) => {
                    stale = db.tend().unwrap_or_else(|error| {
                        tracing::error!(%error, "rows could not be made again");
                        false
                    });
                    continue;
                }
                Err(TryRecvError::Disconnected) => break,
            }
        } else {
            match queue.recv() {
                Ok(job) => job,
                Err(_all_senders_gone) => break,
            }
        };
        let mut jobs = vec![first];
        while jobs.len() < GROUP_MAX
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        round(&mut db, jobs, shared);
        stale = db.is_stale().unwrap_or(false);
    }
    db.close()?;
    Ok(())
}

/// Runs these pieces in one transaction, commits, and answers them.
fn round(db: &mut Db, jobs: Vec<Job>, shared: &Shared) {
    let mut answers = Vec::with_capacity(jobs.len());
    let done = db.transact(|db| {
        for job in jobs {
            answers.push(job(db));
        }
        Ok(())
    });
    *lock(&shared.state) = db.state.clone();
    let news = db.take_news();
    if !news.is_empty() {
        for listener in lock(&shared.listeners).iter() {
            listener(&news);
        }
    }
    let failed = done.err();
    if let Some(error) = &failed {
        tracing::error!(%error, "a commit failed");
    }
    for answer in answers {
        answer(failed.as_ref());
    }
}

/// A lock whose holder panicked guards nothing that could be half-done: every change under these
/// locks is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
