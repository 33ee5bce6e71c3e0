//! What people of this node do: written, logged, sealed and shown in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    document::{Change, Doc, Write},
    id::{ChangeHash, DocId, PersonId},
    limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, DOCUMENT_BYTES_MAX},
    log::{Entry, LogHead, LogId, Seal},
    time::Millis,
};
use ed25519_dalek::Signer as _;

use super::{
    db::{Db, Identity},
    docs::scope_of,
    error::{Result, StoreError},
    log::{EntryState, entry_bytes},
};

/// Local work to commit.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// One change per document, in this order.
    pub writes: Vec<(DocId, Vec<Write>)>,
    /// Now, by this node's clock.
    pub at: Millis,
    /// The caller's key of this piece of work: the same key again changes nothing and gets the
    /// first answer.
    pub once: Option<[u8; 16]>,
    /// What to answer when the same key comes again.
    pub answer: Vec<u8>,
    /// For the audit: who, and what in one word. The subject is the first document.
    pub audit: Option<(PersonId, &'static str)>,
}

/// What was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub changes: Vec<(DocId, ChangeHash)>,
    /// The logs that grew.
    pub heads: Vec<(LogId, LogHead)>,
    pub answer: Vec<u8>,
    /// The key was known: nothing was written this time.
    pub again: bool,
}

/// Answers of commands are kept this long.
const ONCE_MS_MAX: i64 = 7 * 24 * 3_600 * 1000;

impl Db {
    /// Writes, logs and seals local work, durably and whole.
    ///
    /// # Errors
    /// No identity; an act of another writer or over a limit; a full disk. Nothing is saved then.
    pub fn commit(&mut self, local: Local) -> Result<Committed> {
        if let Some(answer) = self.once(local.once)? {
            return Ok(Committed {
                answer,
                again: true,
                ..Committed::default()
            });
        }
        self.transact(|db| {
            let writer = db.identity()?.writer;
            let mut changes = Vec::new();
            for (id, writes) in &local.writes {
                let mut doc = db.doc_or_new(*id)?;
                let change = doc.write(writer.actor(), local.at, writes)?;
                changes.push((doc, change));
            }
            let done = db.record(&changes, local.at)?;
            db.save_clock()?;
            if let Some((person, action)) = local.audit {
                let subject = local.writes.first().map(|(id, _)| id.text());
                db.note(local.at, Some(person), action, &subject.unwrap_or_default())?;
            }
            if let Some(key) = local.once {
                db.put_once(&key, &local.answer, local.at)?;
            }
            Ok(Committed {
                changes: changes.iter().map(|(d, c)| (d.id(), c.hash)).collect(),
                heads: done,
                answer: local.answer,
                again: false,
            })
        })
    }

    /// Logs changes of this writer, each with the document as it is after it, and seals.
    pub(super) fn record(
        &mut self,
        changes: &[(Doc, Change)],
        now: Millis,
    ) -> Result<Vec<(LogId, LogHead)>> {
        let identity = self.identity()?.clone();
        let mut heads = BTreeMap::new();
        let mut unsealed: BTreeMap<LogId, (usize, usize)> = BTreeMap::new();
        for (doc, change) in changes {
            let log = LogId {
                scope: scope_of(doc.id())?,
                writer: identity.writer,
            };
            let entry = Entry {
                doc: doc.id(),
                hash: change.hash,
                body: Some(change.bytes.clone()),
            };
            let row = self.log_row(&log)?;
            let mut head = match heads.get(&log) {
                Some(head) => *head,
                None => self.log_head(&log)?,
            };
            let open = unsealed.entry(log).or_default();
            if open.0 + entry_bytes(&entry) > BATCH_BYTES_MAX || open.1 >= BATCH_ENTRIES_MAX {
                self.seal(row, &log, head, now, &identity)?;
                *open = (0, 0);
            }
            *open = (open.0 + entry_bytes(&entry), open.1 + 1);
            head = self.append(row, head, &entry, EntryState::Accepted, now)?;
            heads.insert(log, head);
        }
        for (log, head) in &heads {
            let row = self.log_row(log)?;
            self.seal(row, log, *head, now, &identity)?;
            self.set_head(row, *log, *head)?;
        }
        // A document written several times is stored once, as the last write left it.
        let last: BTreeMap<DocId, &Doc> = changes.iter().map(|(d, _)| (d.id(), d)).collect();
        for doc in last.values() {
            if self.put_doc(doc, now)? > DOCUMENT_BYTES_MAX {
                return Err(StoreError::Refused("the document has reached its limit"));
            }
        }
        let touched: BTreeSet<DocId> = last.into_keys().collect();
        self.refresh_all(&touched)?;
        Ok(heads.into_iter().collect())
    }

    /// Refreshes the derived rows of these documents.
    pub(super) fn refresh_all(&self, docs: &BTreeSet<DocId>) -> Result<()> {
        for doc in docs {
            self.refresh(*doc)?;
        }
        Ok(())
    }

    fn seal(
        &self,
        row: i64,
        log: &LogId,
        head: LogHead,
        at: Millis,
        identity: &Identity,
    ) -> Result<()> {
        let message = Seal::message(log, &head, at);
        let seal = Seal {
            head,
            at,
            signature: identity.sign.sign(&message).to_bytes(),
        };
        self.put_seal(row, &seal)
    }

    /// The answer to work done before under that key.
    ///
    /// # Errors
    /// A failing disk.
    pub fn once(&self, key: Option<[u8; 16]>) -> Result<Option<Vec<u8>>> {
        let Some(key) = key else {
            return Ok(None);
        };
        self.first("SELECT answer FROM once WHERE key = ?1", [&key[..]], |r| {
            r.get(0)
        })
    }

    fn put_once(&self, key: &[u8; 16], answer: &[u8], now: Millis) -> Result<()> {
        self.exec(
            "DELETE FROM once WHERE at < ?1",
            [now.after(-ONCE_MS_MAX).0],
        )?;
        self.exec(
            "INSERT INTO once (key, at, answer) VALUES (?1, ?2, ?3)",
            (&key[..], now.0, answer),
        )?;
        Ok(())
    }
}
