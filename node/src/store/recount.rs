//! What a proof stands on, made again: heads and digests of documents, and the sums over them.
//! For `cuntong verify --against`, which must not believe figures that were kept.

use cuntong_protocol::{
    document::Doc,
    id::{ChangeHash, DocId, Scope},
    time::Millis,
    wire,
};

use super::{
    db::Db,
    docs::{scope_from, split},
    error::Result,
};

/// Documents looked at in one go: saving a case does not wait for the rest.
const SLICE: i64 = 100;

/// What was looked at and what was put right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recounted {
    pub documents: u64,
    /// Documents made again from their entries.
    pub rebuilt: u64,
    /// Scopes whose kept sum was not that of their documents.
    pub sums: u64,
}

/// A document's row as it is kept.
struct Kept {
    id: DocId,
    heads: Vec<ChangeHash>,
    digest: u64,
    snapshot: Vec<u8>,
}

impl Db {
    /// Loads the next documents after `after` and makes those again from their entries whose
    /// snapshot does not load or has other heads than are kept beside it; answers the last one
    /// looked at, `None` at the end.
    ///
    /// # Errors
    /// A failing or full disk; then this slice is as it was.
    pub fn recount_documents(
        &mut self,
        after: Option<DocId>,
        total: &mut Recounted,
        now: Millis,
    ) -> Result<Option<DocId>> {
        let me = self.identity()?.node;
        let after = after.unwrap_or(DocId([0; 16]));
        self.transact(|db| {
            let slice = db.all(
                "SELECT id, heads, digest, snapshot FROM document WHERE id > ?1
                 ORDER BY id LIMIT ?2",
                (&after.0[..], SLICE),
                |r| {
                    Ok(Kept {
                        id: DocId(r.get(0)?),
                        heads: split(&r.get::<_, Vec<u8>>(1)?),
                        digest: r.get::<_, i64>(2)?.cast_unsigned(),
                        snapshot: r.get(3)?,
                    })
                },
            )?;
            for kept in &slice {
                total.documents += 1;
                if !is_sound(kept) {
                    tracing::warn!(doc = %kept.id, "a document was not what is kept of it");
                    db.rebuild_doc(kept.id, me, now)?;
                    db.note(now, None, "rebuild", &kept.id.to_string())?;
                    total.rebuilt += 1;
                }
            }
            Ok(slice.last().map(|kept| kept.id))
        })
    }

    /// Sums the digests of every scope's documents again and corrects the sums that are kept;
    /// answers how many were wrong.
    ///
    /// # Errors
    /// A failing or full disk; then every sum is as it was.
    pub fn resum(&mut self) -> Result<u64> {
        self.transact(|db| {
            let scopes = db.all(
                "SELECT kind, site FROM scope UNION SELECT DISTINCT kind, site FROM document",
                [],
                |r| scope_from(r, "kind", "site"),
            )?;
            let mut wrong = 0;
            for scope in scopes {
                wrong += u64::from(db.resum_scope(scope)?);
            }
            Ok(wrong)
        })
    }

    /// The same for one scope; whether its sum was wrong.
    ///
    /// # Errors
    /// As [`Db::resum`].
    pub fn resum_scope(&self, scope: Scope) -> Result<bool> {
        let place = (scope.kind.code(), scope.site.0);
        let (mut digest, mut documents) = (0_u64, 0_i64);
        let mut statement = self
            .conn
            .prepare_cached("SELECT digest FROM document WHERE kind = ?1 AND site = ?2")?;
        let mut rows = statement.query(place)?;
        while let Some(row) = rows.next()? {
            digest = digest.wrapping_add(row.get::<_, i64>(0)?.cast_unsigned());
            documents += 1;
        }
        let changed = self.exec(
            "INSERT INTO scope (kind, site, digest, documents) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, site) DO UPDATE SET digest = excluded.digest,
               documents = excluded.documents
             WHERE digest <> excluded.digest OR documents <> excluded.documents",
            (place.0, place.1, digest.cast_signed(), documents),
        )?;
        if changed > 0 {
            tracing::warn!(%scope, "the sum over its documents was wrong");
        }
        Ok(changed > 0)
    }
}

fn is_sound(kept: &Kept) -> bool {
    let Ok(doc) = Doc::load(kept.id, &kept.snapshot) else {
        return false;
    };
    let heads = doc.heads();
    kept.heads == heads && kept.digest == wire::digest(kept.id, &heads)
}
