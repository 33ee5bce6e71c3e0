//! Proofs that equal vectors mean equal documents, and what is needed when they do not.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    id::{ChangeHash, DocId, Scope},
    log::{Batch, Entry, Seal},
    time::Millis,
    wire::{ScopeProof, vector_hash},
};

use super::{
    db::Db,
    error::{Result, StoreError},
    log::{ENTRY, Row1, entry_from, head_from},
};

impl Db {
    /// Digests of these scopes; of every scope held, when none is named.
    ///
    /// # Errors
    /// A failing disk.
    pub fn digests(&self, scopes: &[Scope]) -> Result<Vec<ScopeProof>> {
        let all;
        let scopes = if scopes.is_empty() {
            all = self.scopes()?;
            &all
        } else {
            scopes
        };
        let mut proofs = Vec::new();
        for scope in scopes {
            let (digest, documents) = self
                .first(
                    "SELECT digest, documents FROM scope WHERE kind = ?1 AND site = ?2",
                    (scope.kind.code(), scope.site.0),
                    |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)),
                )?
                .unwrap_or_default();
            let vector: Vec<_> = self.vector(&[*scope])?.into_iter().collect();
            proofs.push(ScopeProof {
                scope: *scope,
                vector: vector_hash(&vector),
                digest: digest.cast_unsigned(),
                documents: documents.cast_unsigned(),
            });
        }
        Ok(proofs)
    }

    /// Every document of a scope with its sorted heads.
    ///
    /// # Errors
    /// A failing disk.
    pub fn heads(&self, scope: Scope) -> Result<Vec<(DocId, Vec<ChangeHash>)>> {
        self.documents(scope, None, usize::MAX)
    }

    /// Sealed batches that hold every entry of these documents; the bodies of other documents'
    /// entries among them are left out.
    ///
    /// # Errors
    /// A failing disk.
    pub fn batches_of(&self, docs: &[DocId]) -> Result<Vec<Batch>> {
        let wanted: BTreeSet<DocId> = docs.iter().copied().collect();
        // (log, first after the seal before, seal at or after) of every run with such an entry.
        let mut runs: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for doc in &wanted {
            let rows = self.all(
                "SELECT e.log,
                   coalesce((SELECT max(s.seq) FROM seal AS s
                             WHERE s.log = e.log AND s.seq < e.seq), 0),
                   (SELECT min(s.seq) FROM seal AS s WHERE s.log = e.log AND s.seq >= e.seq)
                 FROM entry AS e WHERE e.doc = ?1 AND e.state IN (0, 3)",
                [&doc.0[..]],
                |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, Option<i64>>(2)?)),
            )?;
            for (log, before, seal) in rows {
                if let Some(seal) = seal {
                    runs.insert((log, before), seal);
                }
            }
        }
        let mut batches = Vec::new();
        for ((log, before), seal) in runs {
            batches.push(self.run(log, before, seal, &wanted)?);
        }
        Ok(batches)
    }

    fn run(&self, row: i64, before: i64, seal: i64, wanted: &BTreeSet<DocId>) -> Result<Batch> {
        let rows = self.all(
            &format!(
                "SELECT {ENTRY} FROM entry WHERE log = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq"
            ),
            (row, before, seal),
            entry_from,
        )?;
        let entries = rows.into_iter().map(|row| {
            let row = if wanted.contains(&row.doc) {
                self.with_body(row)?
            } else {
                Row1 { body: None, ..row }
            };
            Ok(Entry {
                doc: row.doc,
                hash: row.hash,
                body: row.body,
            })
        });
        let entries = entries.collect::<Result<_>>()?;
        let seal = self
            .first(
                "SELECT e.seq, e.chain, s.at, s.signature FROM seal AS s
                 JOIN entry AS e ON e.log = s.log AND e.seq = s.seq
                 WHERE s.log = ?1 AND s.seq = ?2",
                (row, seal),
                |r| {
                    Ok(Seal {
                        head: head_from(r)?,
                        at: Millis(r.get("at")?),
                        signature: r.get("signature")?,
                    })
                },
            )?
            .ok_or(StoreError::Damaged("seal"))?;
        Ok(Batch {
            log: self.log_of(row)?,
            first: before.cast_unsigned() + 1,
            entries,
            seal,
        })
    }
}
