//! The synchronous core: one connection, transactions that nest, and what is kept in memory.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use cuntong_protocol::{
    control::signed::Trust,
    id::{ActId, DocId, NodeId, Writer},
    log::{LogHead, LogId},
    time::{HybridClock, Millis},
};
use ed25519_dalek::SigningKey;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::{
    bodies::Grown,
    derived::Derived,
    docs::Cache,
    epoch::Marker,
    error::{Result, StoreError},
    schema,
    spent::Spent,
};

/// Who this node is.
#[derive(Clone)]
pub struct Identity {
    pub node: NodeId,
    /// The node in its present epoch.
    pub writer: Writer,
    /// Signs seals and receipts.
    pub sign: SigningKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.writer)
    }
}

/// What a start needs from outside: the store reads no clock and draws no chance.
#[derive(Debug, Clone)]
pub struct Opening {
    pub now: Millis,
    /// Fresh random bytes of this start.
    pub nonce: [u8; 16],
    pub marker: Arc<dyn Marker>,
    /// The rows kept beside the documents.
    pub derived: &'static Derived,
}

/// What a rolled-back transaction must also undo.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) clock: HybridClock,
}

/// The store's core over one connection. Not shared: [`super::Store`] gives it a thread.
pub struct Db {
    pub(super) conn: Connection,
    pub(super) state: State,
    pub(super) marker: Arc<dyn Marker>,
    pub(super) nonce: [u8; 16],
    pub(super) derived: &'static Derived,
    pub(super) cache: RefCell<Cache>,
    pub(super) grown: RefCell<Grown>,
    pub(super) spent: RefCell<Spent>,
    depth: u32,
    news: Vec<(LogId, LogHead)>,
    crash: Cell<Option<u64>>,
    steps: Cell<u64>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({:?})", self.state.identity)
    }
}

impl Db {
    /// Opens the database behind a connection: brings it to this version, loads what the node
    /// is and believes, and begins a new epoch where the past may have been lost.
    ///
    /// # Errors
    /// A newer, foreign or damaged database; a failing disk.
    pub fn open(mut conn: Connection, opening: Opening) -> Result<Self> {
        schema::pragmas(&conn)?;
        schema::migrate(&mut conn)?;
        let mut db = Self::over(conn, opening.marker, opening.nonce, opening.derived);
        db.load_state()?;
        db.ensure_derived()?;
        db.start_epoch(opening.now)?;
        Ok(db)
    }

    /// A second, reading connection to a database that is open already.
    pub(super) fn reader(conn: Connection, first: &Self) -> Result<Self> {
        schema::pragmas(&conn)?;
        conn.execute_batch("PRAGMA query_only = ON")?;
        let mut db = Self::over(conn, first.marker.clone(), first.nonce, first.derived);
        // Its snapshots may be changed by the writer at any time: nothing is kept.
        db.cache = RefCell::new(Cache::new(0));
        db.state = first.state.clone();
        Ok(db)
    }

    fn over(
        conn: Connection,
        marker: Arc<dyn Marker>,
        nonce: [u8; 16],
        derived: &'static Derived,
    ) -> Self {
        Self {
            conn,
            state: State::default(),
            marker,
            nonce,
            derived,
            cache: RefCell::new(Cache::new(super::docs::CACHED_MAX)),
            grown: RefCell::default(),
            spent: RefCell::default(),
            depth: 0,
            news: Vec::new(),
            crash: Cell::new(None),
            steps: Cell::new(0),
        }
    }

    /// Gives the connection back without an orderly end, as a power cut would.
    pub fn into_connection(self) -> Connection {
        self.conn
    }

    /// Ends in order: the next start goes on in the same epoch.
    ///
    /// # Errors
    /// A failing disk; the next start then begins a new epoch.
    pub fn close(mut self) -> Result<Connection> {
        self.sign_off()?;
        Ok(self.conn)
    }

    /// Who this node is.
    ///
    /// # Errors
    /// [`StoreError::NotEnrolled`] before it has a key.
    pub fn identity(&self) -> Result<&Identity> {
        self.state
            .identity
            .as_deref()
            .ok_or(StoreError::NotEnrolled)
    }

    /// What this node believes of its county.
    ///
    /// # Errors
    /// [`StoreError::NotEnrolled`] before it belongs to one.
    pub fn trust(&self) -> Result<&Trust> {
        self.state.trust.as_deref().ok_or(StoreError::NotEnrolled)
    }

    /// The same, to keep beyond a borrow of the store.
    ///
    /// # Errors
    /// As [`Db::trust`].
    pub fn shared_trust(&self) -> Result<Arc<Trust>> {
        self.state.trust.clone().ok_or(StoreError::NotEnrolled)
    }

    /// The id of an act done here now: later than every act this node has seen.
    ///
    /// # Errors
    /// As [`Db::identity`].
    pub fn act_id(&mut self, now: Millis) -> Result<ActId> {
        let actor = self.identity()?.writer.actor();
        Ok(self.state.clock.tick(now, actor))
    }

    /// Runs `work` as one transaction: all of it, or nothing. Inside another transaction it is a
    /// part that fails alone.
    ///
    /// # Errors
    /// What `work` or the disk says.
    pub fn transact<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = self.depth == 0;
        if !outer {
            // Outside a transaction a savepoint would begin one of its own.
            self.still_open()?;
        }
        self.conn.execute_batch(if outer {
            "BEGIN IMMEDIATE"
        } else {
            "SAVEPOINT part"
        })?;
        let before = self.state.clone();
        let news = self.news.len();
        self.depth += 1;
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        self.depth -= 1;
        let failed = match done {
            Ok(Ok(value)) => match self.finish(outer) {
                Ok(()) => {
                    if outer {
                        // Durable, but the one who asked never hears of it.
                        self.step()?;
                    }
                    return Ok(value);
                }
                Err(error) => Ok(error),
            },
            Ok(Err(error)) => Ok(error),
            Err(panic) => Err(panic),
        };
        self.undo(outer);
        self.state = before;
        self.news.truncate(news);
        match failed {
            Ok(error) => Err(error),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn finish(&self, outer: bool) -> Result<()> {
        self.step()?;
        self.still_open()?;
        self.conn
            .execute_batch(if outer { "COMMIT" } else { "RELEASE part" })?;
        Ok(())
    }

    /// Rolls back. A full or failing disk may have made SQLite roll back everything already.
    fn undo(&self, outer: bool) {
        self.cache.borrow_mut().clear();
        self.recount();
        if self.conn.is_autocommit() {
            return;
        }
        let rolled_back = if outer {
            self.conn.execute_batch("ROLLBACK")
        } else {
            self.conn.execute_batch("ROLLBACK TO part; RELEASE part")
        };
        if let Err(error) = rolled_back {
            tracing::error!(%error, "rollback failed");
        }
    }

    /// Inside a transaction, whether it is still there: SQLite may have ended it by itself.
    fn still_open(&self) -> Result<()> {
        if self.conn.is_autocommit() {
            return Err(StoreError::Refused("the database gave the transaction up"));
        }
        Ok(())
    }

    /// One writing statement.
    pub(super) fn exec(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.step()?;
        if self.depth > 0 {
            self.still_open()?;
        }
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row of a query, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row(params, read).optional()?)
    }

    /// All rows of a query.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The connection, for the derived rows' own queries.
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Notes that a log has a new durable head.
    pub(super) fn announce(&mut self, log: LogId, head: LogHead) {
        self.news.retain(|(l, _)| *l != log);
        self.news.push((log, head));
    }

    /// Logs that grew since the last call, for live push. Read it after the transaction.
    pub fn take_news(&mut self) -> Vec<(LogId, LogHead)> {
        std::mem::take(&mut self.news)
    }

    /// Test seam: the `after`-th step from now (a writing statement, a commit, or the moment
    /// right after a commit) answers [`StoreError::Crashed`] and so does every later one, until
    /// the connection is opened again. `None` switches it off. It costs one comparison a step.
    pub fn set_crash_after(&mut self, after: Option<u64>) {
        self.crash.set(after);
    }

    /// Steps taken since this core was opened, to choose a crash by.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    fn step(&self) -> Result<()> {
        self.steps.set(self.steps.get() + 1);
        match self.crash.get() {
            None => Ok(()),
            Some(0) => Err(StoreError::Crashed),
            Some(left) => {
                self.crash.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Forgets a loaded document.
    pub(super) fn forget(&self, doc: DocId) {
        self.cache.borrow_mut().remove(doc);
    }
}
