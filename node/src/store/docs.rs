//! Documents: snapshots, heads, digests of scopes, and the few that stay in memory.

use std::collections::BTreeMap;

use cuntong_protocol::{
    document::Doc,
    id::{ChangeHash, DocId, Kind, Scope, SiteId},
    time::Millis,
    wire,
};
use rusqlite::Row;

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// Loaded documents kept, whatever their number on disk.
pub(super) const CACHED_MAX: usize = 256;

/// The documents used last.
#[derive(Debug)]
pub(super) struct Cache {
    docs: BTreeMap<DocId, (u64, Doc)>,
    uses: u64,
    max: usize,
}

impl Cache {
    pub(super) fn new(max: usize) -> Self {
        Self {
            docs: BTreeMap::new(),
            uses: 0,
            max,
        }
    }

    fn get(&mut self, id: DocId) -> Option<Doc> {
        self.uses += 1;
        let (used, doc) = self.docs.get_mut(&id)?;
        *used = self.uses;
        Some(doc.fork())
    }

    fn put(&mut self, doc: &Doc) {
        if self.max == 0 {
            return;
        }
        self.uses += 1;
        self.docs.insert(doc.id(), (self.uses, doc.fork()));
        if self.docs.len() > self.max {
            let oldest = self.docs.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.docs.remove(&oldest);
            }
        }
    }

    pub(super) fn remove(&mut self, id: DocId) {
        self.docs.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.docs.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.docs.len()
    }
}

/// The scope a document belongs to.
pub(super) fn scope_of(doc: DocId) -> Result<Scope> {
    doc.scope().ok_or(StoreError::Damaged("document id"))
}

/// A scope from its two columns.
pub(super) fn scope_from(row: &Row<'_>, kind: &str, site: &str) -> rusqlite::Result<Scope> {
    let code: u8 = row.get(kind)?;
    Ok(Scope {
        kind: Kind::from_code(code)
            .ok_or_else(|| rusqlite::Error::IntegralValueOutOfRange(0, i64::from(code)))?,
        site: SiteId(row.get(site)?),
    })
}

/// Heads as they are stored.
pub(super) fn join(heads: &[ChangeHash]) -> Vec<u8> {
    heads.iter().flat_map(|h| h.0).collect()
}

/// Stored heads as values.
pub(super) fn split(heads: &[u8]) -> Vec<ChangeHash> {
    let (whole, _rest) = heads.as_chunks::<32>();
    whole.iter().map(|h| ChangeHash(*h)).collect()
}

impl Db {
    /// A document as it is here; `None` when no change of it was accepted.
    ///
    /// # Errors
    /// A failing disk, or a snapshot that does not load: `verify` makes it again.
    pub fn doc(&self, id: DocId) -> Result<Option<Doc>> {
        if let Some(doc) = self.cache.borrow_mut().get(id) {
            return Ok(Some(doc));
        }
        let snapshot = self.first(
            "SELECT snapshot FROM document WHERE id = ?1",
            [&id.0[..]],
            |r| r.get::<_, Vec<u8>>(0),
        )?;
        let Some(snapshot) = snapshot else {
            return Ok(None);
        };
        let doc = Doc::load(id, &snapshot)?;
        self.cache.borrow_mut().put(&doc);
        Ok(Some(doc))
    }

    /// The same, or the empty document of that id.
    pub(super) fn doc_or_new(&self, id: DocId) -> Result<Doc> {
        Ok(self.doc(id)?.unwrap_or_else(|| Doc::new(id)))
    }

    /// All documents of a scope after `after`, in the order of their ids; at most `limit`.
    ///
    /// # Errors
    /// A failing disk.
    pub fn documents(
        &self,
        scope: Scope,
        after: Option<DocId>,
        limit: usize,
    ) -> Result<Vec<(DocId, Vec<ChangeHash>)>> {
        let after = after.unwrap_or(DocId([0; 16]));
        self.all(
            "SELECT id, heads FROM document WHERE kind = ?1 AND site = ?2 AND id > ?3
             ORDER BY id LIMIT ?4",
            (
                scope.kind.code(),
                scope.site.0,
                &after.0[..],
                i64::try_from(limit).unwrap_or(i64::MAX),
            ),
            |r| Ok((DocId(r.get(0)?), split(&r.get::<_, Vec<u8>>(1)?))),
        )
    }

    /// Documents and entries held, for the status page.
    ///
    /// # Errors
    /// A failing disk.
    pub fn counts(&self) -> Result<(u64, u64)> {
        let documents = self.first("SELECT coalesce(sum(documents), 0) FROM scope", [], |r| {
            r.get::<_, i64>(0)
        })?;
        let entries = self.first("SELECT coalesce(sum(seq), 0) FROM log", [], |r| {
            r.get::<_, i64>(0)
        })?;
        Ok((
            documents.unwrap_or(0).cast_unsigned(),
            entries.unwrap_or(0).cast_unsigned(),
        ))
    }

    /// Writes a document's snapshot, heads and part of its scope's digest; answers the
    /// snapshot's bytes. A document without any accepted change is taken out.
    pub(super) fn put_doc(&self, doc: &Doc, now: Millis) -> Result<usize> {
        let id = doc.id();
        let scope = scope_of(id)?;
        let old: Option<i64> = self.first(
            "SELECT digest FROM document WHERE id = ?1",
            [&id.0[..]],
            |r| r.get(0),
        )?;
        let heads = doc.heads();
        if heads == [Doc::genesis(id)] {
            self.exec("DELETE FROM document WHERE id = ?1", [&id.0[..]])?;
            self.forget(id);
            let count = if old.is_some() { -1 } else { 0 };
            let change = 0_u64.wrapping_sub(old.unwrap_or(0).cast_unsigned());
            self.add_digest(scope, change, count)?;
            return Ok(0);
        }
        let snapshot = doc.save();
        let bytes = snapshot.len();
        let digest = wire::digest(id, &heads);
        self.exec(
            "INSERT INTO document (id, kind, site, heads, digest, changed_at, snapshot)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET heads = excluded.heads, digest = excluded.digest,
               changed_at = excluded.changed_at, snapshot = excluded.snapshot",
            (
                &id.0[..],
                scope.kind.code(),
                scope.site.0,
                join(&heads),
                digest.cast_signed(),
                now.0,
                snapshot,
            ),
        )?;
        self.cache.borrow_mut().put(doc);
        let count = i64::from(old.is_none());
        let change = digest.wrapping_sub(old.unwrap_or(0).cast_unsigned());
        self.add_digest(scope, change, count)?;
        Ok(bytes)
    }

    fn add_digest(&self, scope: Scope, change: u64, documents: i64) -> Result<()> {
        let old: Option<i64> = self.first(
            "SELECT digest FROM scope WHERE kind = ?1 AND site = ?2",
            (scope.kind.code(), scope.site.0),
            |r| r.get(0),
        )?;
        // SQLite's own addition would turn into a float on overflow.
        let sum = old.unwrap_or(0).cast_unsigned().wrapping_add(change);
        self.exec(
            "INSERT INTO scope (kind, site, digest, documents) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, site) DO UPDATE SET digest = excluded.digest,
               documents = documents + excluded.documents",
            (
                scope.kind.code(),
                scope.site.0,
                sum.cast_signed(),
                documents,
            ),
        )?;
        Ok(())
    }
}
