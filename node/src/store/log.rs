//! Logs: entries, seals, heads, and the batches that are sent.

use std::collections::BTreeMap;

use cuntong_protocol::{
    id::{Chain, ChangeHash, DocId, NodeId, Scope, Writer},
    limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX},
    log::{Batch, Entry, LogHead, LogId, Seal},
    time::Millis,
};
use rusqlite::Row;

use super::{
    db::Db,
    docs::scope_from,
    error::{Result, StoreError},
};

pub(super) const BATCH: &str = include_str!("sql/queries/batch.sql");
pub(super) const VECTOR: &str = include_str!("sql/queries/scope_vector.sql");

/// What became of an entry here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// In the document.
    Accepted,
    /// Not admitted by this node's gate, or refused by an authority.
    Refused,
    /// Refused by the node that sent it; its content never came.
    Withheld,
    /// A change it depends on is not here yet.
    Waiting,
}

impl EntryState {
    /// The number in the column `state`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Refused => 1,
            Self::Withheld => 2,
            Self::Waiting => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::Accepted),
            1 => Ok(Self::Refused),
            2 => Ok(Self::Withheld),
            3 => Ok(Self::Waiting),
            _ => Err(StoreError::Damaged("state of an entry")),
        }
    }
}

/// One stored entry.
#[derive(Debug, Clone)]
pub(super) struct Row1 {
    pub(super) log: i64,
    pub(super) seq: i64,
    pub(super) doc: DocId,
    pub(super) hash: ChangeHash,
    pub(super) state: EntryState,
    /// None also where it is folded, until [`Db::with_body`] has read it.
    pub(super) body: Option<Vec<u8>>,
}

/// Columns of [`Row1`], in the order [`entry_from`] reads them.
pub(super) const ENTRY: &str = "log, seq, doc, hash, state, body";

pub(super) fn entry_from(row: &Row<'_>) -> rusqlite::Result<Row1> {
    let code: u8 = row.get(4)?;
    Ok(Row1 {
        log: row.get(0)?,
        seq: row.get(1)?,
        doc: DocId(row.get(2)?),
        hash: ChangeHash(row.get(3)?),
        state: EntryState::from_code(code)
            .map_err(|_unknown| rusqlite::Error::IntegralValueOutOfRange(4, i64::from(code)))?,
        body: row.get(5)?,
    })
}

/// A log id from columns `kind, site, node, epoch`.
pub(super) fn log_from(row: &Row<'_>) -> rusqlite::Result<LogId> {
    Ok(LogId {
        scope: scope_from(row, "kind", "site")?,
        writer: Writer {
            node: NodeId(row.get("node")?),
            epoch: row.get("epoch")?,
        },
    })
}

/// A head from columns `seq, chain`.
pub(super) fn head_from(row: &Row<'_>) -> rusqlite::Result<LogHead> {
    Ok(LogHead {
        seq: row.get::<_, i64>("seq")?.cast_unsigned(),
        chain: Chain(row.get("chain")?),
    })
}

impl Db {
    /// The row id of a log, making the row when there is none.
    pub(super) fn log_row(&self, log: &LogId) -> Result<i64> {
        if let Some(id) = self.find_log(log)? {
            return Ok(id);
        }
        self.exec(
            "INSERT INTO log (kind, site, node, epoch, seq, chain) VALUES (?1, ?2, ?3, ?4, 0, ?5)",
            (
                log.scope.kind.code(),
                log.scope.site.0,
                &log.writer.node.0[..],
                log.writer.epoch,
                &LogHead::START.chain.0[..],
            ),
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    pub(super) fn find_log(&self, log: &LogId) -> Result<Option<i64>> {
        self.first(
            "SELECT id FROM log WHERE kind = ?1 AND site = ?2 AND node = ?3 AND epoch = ?4",
            (
                log.scope.kind.code(),
                log.scope.site.0,
                &log.writer.node.0[..],
                log.writer.epoch,
            ),
            |r| r.get(0),
        )
    }

    /// The log of a row id.
    pub(super) fn log_of(&self, row: i64) -> Result<LogId> {
        self.first(
            "SELECT kind, site, node, epoch FROM log WHERE id = ?1",
            [row],
            log_from,
        )?
        .ok_or(StoreError::Damaged("log of an entry"))
    }

    /// How far a log is held here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn log_head(&self, log: &LogId) -> Result<LogHead> {
        let head = match self.find_log(log)? {
            None => None,
            Some(row) => {
                self.first("SELECT seq, chain FROM log WHERE id = ?1", [row], head_from)?
            }
        };
        Ok(head.unwrap_or(LogHead::START))
    }

    /// The head a log had at `seq`; `None` past its end.
    ///
    /// # Errors
    /// A failing disk.
    pub fn head_at(&self, log: &LogId, seq: u64) -> Result<Option<LogHead>> {
        if seq == 0 {
            return Ok(Some(LogHead::START));
        }
        let Some(row) = self.find_log(log)? else {
            return Ok(None);
        };
        self.first(
            "SELECT seq, chain FROM entry WHERE log = ?1 AND seq = ?2",
            (row, seq.cast_signed()),
            head_from,
        )
    }

    /// Every log held of these scopes, and how far: the part of the vector they may know.
    ///
    /// # Errors
    /// A failing disk.
    pub fn vector(&self, scopes: &[Scope]) -> Result<BTreeMap<LogId, LogHead>> {
        let mut vector = BTreeMap::new();
        for scope in scopes {
            let logs = self.all(VECTOR, (scope.kind.code(), scope.site.0), |r| {
                Ok((log_from(r)?, head_from(r)?))
            })?;
            vector.extend(logs);
        }
        Ok(vector)
    }

    /// Every log held, and how far.
    ///
    /// # Errors
    /// A failing disk.
    pub fn whole_vector(&self) -> Result<BTreeMap<LogId, LogHead>> {
        let logs = self.all("SELECT * FROM log WHERE seq > 0", [], |r| {
            Ok((log_from(r)?, head_from(r)?))
        })?;
        Ok(logs.into_iter().collect())
    }

    /// Scopes with at least one log, in order.
    ///
    /// # Errors
    /// A failing disk.
    pub fn scopes(&self) -> Result<Vec<Scope>> {
        self.all(
            "SELECT DISTINCT kind, site FROM log WHERE seq > 0 ORDER BY kind, site",
            [],
            |r| scope_from(r, "kind", "site"),
        )
    }

    /// The entries after `after` up to the last seal within 64 KiB, or up to the first seal when
    /// that alone is more; `None` when there are none. Entries that were not admitted are
    /// withheld.
    ///
    /// # Errors
    /// A failing disk.
    pub fn batch(&self, log: &LogId, after: u64) -> Result<Option<Batch>> {
        let Some(row) = self.find_log(log)? else {
            return Ok(None);
        };
        let mut statement = self.conn.prepare_cached(BATCH)?;
        let mut rows = statement.query((row, after.cast_signed()))?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut sealed: Option<(usize, Seal)> = None;
        while let Some(row) = rows.next()? {
            let (doc, hash) = (DocId(row.get("doc")?), ChangeHash(row.get("hash")?));
            let state = EntryState::from_code(row.get("state")?)?;
            let body = self.body(doc, hash, state, row.get("body")?)?;
            let entry = Entry { doc, hash, body };
            bytes += entry_bytes(&entry);
            if sealed.is_some() && (bytes > BATCH_BYTES_MAX || entries.len() >= BATCH_ENTRIES_MAX) {
                break;
            }
            entries.push(entry);
            if let Some(at) = row.get::<_, Option<i64>>("sealed_at")? {
                let seal = Seal {
                    head: head_from(row)?,
                    at: Millis(at),
                    signature: row.get("signature")?,
                };
                sealed = Some((entries.len(), seal));
            }
        }
        let Some((count, seal)) = sealed else {
            return Ok(None);
        };
        entries.truncate(count);
        Ok(Some(Batch {
            log: *log,
            first: after + 1,
            entries,
            seal,
        }))
    }

    /// Appends one entry at the end of a log, and answers the new head.
    pub(super) fn append(
        &self,
        row: i64,
        head: LogHead,
        entry: &Entry,
        state: EntryState,
        now: Millis,
    ) -> Result<LogHead> {
        let next = head.after(entry.doc, entry.hash);
        let body = match state {
            EntryState::Accepted | EntryState::Waiting => entry.body.as_deref(),
            EntryState::Refused | EntryState::Withheld => None,
        };
        self.exec(
            "INSERT INTO entry (log, seq, doc, hash, chain, state, received_at, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                row,
                next.seq.cast_signed(),
                &entry.doc.0[..],
                &entry.hash.0[..],
                &next.chain.0[..],
                state.code(),
                now.0,
                body,
            ),
        )?;
        Ok(next)
    }

    /// Keeps a seal; the same again is no error.
    pub(super) fn put_seal(&self, row: i64, seal: &Seal) -> Result<()> {
        self.exec(
            "INSERT INTO seal (log, seq, at, signature) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (log, seq) DO NOTHING",
            (
                row,
                seal.head.seq.cast_signed(),
                seal.at.0,
                &seal.signature[..],
            ),
        )?;
        Ok(())
    }

    /// Moves a log's head, which is always at a seal.
    pub(super) fn set_head(&mut self, row: i64, log: LogId, head: LogHead) -> Result<()> {
        self.exec(
            "UPDATE log SET seq = ?2, chain = ?3 WHERE id = ?1",
            (row, head.seq.cast_signed(), &head.chain.0[..]),
        )?;
        self.announce(log, head);
        Ok(())
    }

    /// Changes what became of an entry; `body` is kept only where the state has one.
    pub(super) fn set_state(
        &self,
        entry: &Row1,
        state: EntryState,
        body: Option<&[u8]>,
    ) -> Result<()> {
        self.exec(
            "UPDATE entry SET state = ?3, body = ?4 WHERE log = ?1 AND seq = ?2",
            (entry.log, entry.seq, state.code(), body),
        )?;
        Ok(())
    }

    /// A document's entries in the order of their logs.
    pub(super) fn entries_of(&self, doc: DocId) -> Result<Vec<Row1>> {
        let rows = self.all(
            &format!("SELECT {ENTRY} FROM entry WHERE doc = ?1 ORDER BY log, seq"),
            [&doc.0[..]],
            entry_from,
        )?;
        rows.into_iter().map(|row| self.with_body(row)).collect()
    }

    /// One entry by its position.
    pub(super) fn entry_at(&self, row: i64, seq: u64) -> Result<Option<Row1>> {
        let row = self.first(
            &format!("SELECT {ENTRY} FROM entry WHERE log = ?1 AND seq = ?2"),
            (row, seq.cast_signed()),
            entry_from,
        )?;
        row.map(|row| self.with_body(row)).transpose()
    }
}

/// What an entry weighs in a batch.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    entry.body.as_ref().map_or(0, Vec::len) + 56
}
