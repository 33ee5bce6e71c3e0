//! The changes of entries: kept in the log, or folded into their document and made again from there.
//!
//! Every change is kept twice while it is young: as its entry's body, which others ask for, and
//! in its document's snapshot. Once a document has been quiet for long and the county has all of
//! it, the bodies go; what automerge makes of the snapshot is compared with them first.

use std::{collections::BTreeMap, sync::Arc};

use cuntong_protocol::{
    id::{ChangeHash, DocId},
    time::Millis,
};

use super::{
    db::Db,
    error::{Result, StoreError},
    log::{EntryState, Row1},
};

/// A document that nobody has changed for this long is folded: a month, in which whoever is away
/// mostly comes back and asks for its entries.
pub const FOLD_AFTER_MS: i64 = 30 * 24 * 3_600 * 1000;
/// Changes made again that are kept at hand, bytes.
const GROWN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What one step of folding did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// Entries whose change now lies in its document alone.
    pub entries: u64,
    /// What they weighed.
    pub bytes: u64,
    /// The last document that was looked at; `None` at the end.
    pub reached: Option<DocId>,
}

/// An entry whose body is in its log.
struct Young {
    row: i64,
    log: i64,
    seq: i64,
    hash: ChangeHash,
    chain: Vec<u8>,
    received_at: i64,
    body: Vec<u8>,
}

/// Changes by their hashes.
type Changes = Arc<BTreeMap<ChangeHash, Vec<u8>>>;

/// Changes of the folded documents read last. What stands under a hash never changes, so what is found here
/// is true whatever was written meanwhile; what is not found is looked for in the document.
#[derive(Debug, Default)]
pub(super) struct Grown {
    docs: BTreeMap<DocId, Changes>,
    bytes: usize,
}

impl Db {
    /// Folds documents that were not changed since `quiet`, of the next `most` after `after`. Of a
    /// document the county does not have whole, nothing is folded.
    ///
    /// # Errors
    /// A failing or full disk; nothing is changed then.
    pub fn fold_bodies(
        &mut self,
        after: Option<DocId>,
        quiet: Millis,
        most: u32,
    ) -> Result<Folded> {
        let after = after.unwrap_or(DocId([0; 16]));
        let docs = self.all(
            "SELECT id, changed_at FROM document WHERE id > ?1 ORDER BY id LIMIT ?2",
            (&after.0[..], most),
            |r| Ok((DocId(r.get(0)?), Millis(r.get(1)?))),
        )?;
        let mut folded = Folded {
            reached: docs.last().map(|(last, _)| *last),
            ..Folded::default()
        };
        // Where nothing is folded nothing is written.
        self.transact(|db| {
            let mut held = BTreeMap::new();
            for (id, changed_at) in &docs {
                if *changed_at <= quiet {
                    db.fold_body(*id, &mut held, &mut folded)?;
                }
            }
            Ok(())
        })?;
        Ok(folded)
    }

    /// `held`: how far the county holds each log, as far as it was asked.
    fn fold_body(
        &self,
        id: DocId,
        held: &mut BTreeMap<i64, i64>,
        folded: &mut Folded,
    ) -> Result<()> {
        let rows = self.all(
            "SELECT rowid, log, seq, hash, chain, received_at, body FROM entry
             WHERE doc = ?1 AND state = 0 AND body IS NOT NULL",
            [&id.0[..]],
            |r| {
                Ok(Young {
                    row: r.get(0)?,
                    log: r.get(1)?,
                    seq: r.get(2)?,
                    hash: ChangeHash(r.get(3)?),
                    chain: r.get(4)?,
                    received_at: r.get(5)?,
                    body: r.get(6)?,
                })
            },
        )?;
        if rows.is_empty() {
            return Ok(());
        }
        for Young { log, seq, .. } in &rows {
            let upto = match held.get(log) {
                Some(upto) => *upto,
                None => *held.entry(*log).or_insert(self.county_holds(*log)?),
            };
            if *seq > upto {
                return Ok(());
            }
        }
        let grown = self.grow(id)?;
        if rows
            .iter()
            .any(|young| grown.get(&young.hash) != Some(&young.body))
        {
            tracing::warn!(doc = %id, "a document does not give its changes back, and keeps them");
            return Ok(());
        }
        for young in &rows {
            self.without_body(id, young)?;
            folded.entries += 1;
            folded.bytes += young.body.len() as u64;
        }
        Ok(())
    }

    /// Puts an entry back without its body. Updated where it stands, it would leave its room to
    /// nobody: pages are only put together when rows go.
    fn without_body(&self, doc: DocId, young: &Young) -> Result<()> {
        self.exec("DELETE FROM entry WHERE rowid = ?1", [young.row])?;
        self.exec(
            "INSERT INTO entry (rowid, log, seq, doc, hash, chain, state, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)",
            (
                young.row,
                young.log,
                young.seq,
                &doc.0[..],
                &young.hash.0[..],
                &young.chain,
                young.received_at,
            ),
        )?;
        Ok(())
    }

    /// How far the county holds a log, as this node knows it; all of it at the county itself.
    fn county_holds(&self, row: i64) -> Result<i64> {
        let me = self.identity()?.node;
        if self.county_nodes().contains(&me) {
            return Ok(i64::MAX);
        }
        Ok(self.acknowledged_by(row, me)?.cast_signed())
    }

    /// The change of an entry, wherever it lies; `None` when this node does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it was folded and its document does not give it back; a failing disk.
    pub(super) fn body(
        &self,
        doc: DocId,
        hash: ChangeHash,
        state: EntryState,
        body: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        match state {
            EntryState::Refused | EntryState::Withheld => Ok(None),
            EntryState::Waiting => Ok(body),
            EntryState::Accepted if body.is_some() => Ok(body),
            EntryState::Accepted => {
                let change = self.grown(doc, hash)?;
                let missing = StoreError::Damaged("the change of a folded entry");
                change.map_or(Err(missing), |change| Ok(Some(change)))
            }
        }
    }

    /// A stored entry with its change. One that its damaged document does not give back has none: a
    /// neighbour brings it, when the proof of that scope does not match.
    pub(super) fn with_body(&self, mut row: Row1) -> Result<Row1> {
        if row.state == EntryState::Accepted && row.body.is_none() {
            row.body = self.grown(row.doc, row.hash)?;
            if row.body.is_none() {
                tracing::warn!(doc = %row.doc, "a document lacks a change that was folded into it");
            }
        }
        Ok(row)
    }

    /// A folded change; `None` when its document does not have it, or does not load.
    pub(super) fn grown(&self, id: DocId, hash: ChangeHash) -> Result<Option<Vec<u8>>> {
        if let Some(change) = self.grown.borrow().docs.get(&id).and_then(|d| d.get(&hash)) {
            return Ok(Some(change.clone()));
        }
        Ok(self.grow(id)?.get(&hash).cloned())
    }

    /// Every change of a document, read from its snapshot.
    fn grow(&self, id: DocId) -> Result<Changes> {
        let changes = match self.doc(id) {
            Ok(doc) => doc.map(|doc| doc.changes()).unwrap_or_default(),
            Err(StoreError::Document(error)) => {
                tracing::warn!(doc = %id, %error, "a document does not load");
                Vec::new()
            }
            Err(other) => return Err(other),
        };
        let bytes: usize = changes.iter().map(|c| c.bytes.len()).sum();
        let changes = changes.into_iter().map(|c| (c.hash, c.bytes));
        let changes = Changes::new(changes.collect());
        let mut grown = self.grown.borrow_mut();
        if grown.bytes + bytes > GROWN_BYTES_MAX {
            *grown = Grown::default();
        }
        grown.bytes += bytes;
        grown.docs.insert(id, changes.clone());
        Ok(changes)
    }
}
