//! What is known of attached files: which documents name them (a derived table), which are whole
//! here, which another node holds. The bytes are [`crate::blobs`].

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    act::Attach,
    blob::Blob,
    id::{BlobHash, CaseId, DocId, Kind, NodeId, PersonId, Scope},
    policy,
    time::Millis,
};
use data_encoding::HEXUPPER;
use rusqlite::Row;

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// Files of unaccepted forms kept for one person.
const STAGED_MAX: i64 = 40;
/// How long they are kept.
pub const STAGED_MS: i64 = 24 * 3_600 * 1000;

/// How much is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobCounts {
    /// Files held here, and their bytes.
    pub held: (u64, u64),
    /// Named and not here.
    pub wanted: (u64, u64),
    /// Here, and not known to be above.
    pub unsent: (u64, u64),
}

fn blob_of(row: &Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        hash: BlobHash(row.get("hash")?),
        size: row.get::<_, i64>("size")?.unsigned_abs(),
    })
}

fn two(row: &Row<'_>) -> rusqlite::Result<(u64, u64)> {
    let number = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
    Ok((number(0)?, number(1)?))
}

impl Db {
    /// The size of a file that is whole here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blob_held(&self, hash: BlobHash) -> Result<Option<u64>> {
        self.first(
            "SELECT size FROM blob WHERE hash = ?1",
            [&hash.0[..]],
            |r| r.get::<_, i64>(0).map(i64::unsigned_abs),
        )
    }

    /// Notes that a file is whole here; its bytes are durable by now.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn hold_blob(&self, blob: Blob, now: Millis) -> Result<()> {
        self.exec(
            "INSERT INTO blob (hash, size, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (&blob.hash.0[..], blob.size.cast_signed(), now.0),
        )?;
        Ok(())
    }

    /// Forgets a file: its bytes are gone, or are about to be removed.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn drop_blob(&self, hash: BlobHash) -> Result<()> {
        self.exec("DELETE FROM blob WHERE hash = ?1", [&hash.0[..]])?;
        Ok(())
    }

    /// Bytes of all files here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs_bytes(&self) -> Result<u64> {
        let sum = self.first("SELECT coalesce(sum(size), 0) FROM blob", [], |r| {
            r.get::<_, i64>(0).map(i64::unsigned_abs)
        })?;
        Ok(sum.unwrap_or(0))
    }

    /// Every file that is whole here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs(&self) -> Result<Vec<Blob>> {
        self.all("SELECT hash, size FROM blob ORDER BY hash", [], blob_of)
    }

    /// Whether an admitted document of a scope that site may read names the file, and it is here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blob_for(&self, blob: Blob, reader: cuntong_protocol::id::SiteId) -> Result<bool> {
        if self.blob_held(blob.hash)? != Some(blob.size) {
            return Ok(false);
        }
        let places = self.shared_trust()?;
        let scopes = self.all(
            "SELECT DISTINCT kind, site FROM attachment WHERE hash = ?1 AND size = ?2",
            (&blob.hash.0[..], blob.size.cast_signed()),
            |r| super::docs::scope_from(r, "kind", "site"),
        )?;
        let reads = |scope: &Scope| policy::reads(places.places(), reader, *scope);
        Ok(scopes.iter().any(reads))
    }

    /// Files named in these scopes that are not whole here, without those of `skip`: thumbnails
    /// first, then the smallest, of equal ones the newest.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs_wanted(
        &self,
        scopes: &BTreeSet<Scope>,
        skip: &dyn Fn(&Blob) -> bool,
        most: usize,
    ) -> Result<Vec<Blob>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT part, size, at, hash FROM attachment AS a
             WHERE kind = ?1 AND site = ?2 AND NOT EXISTS
               (SELECT 1 FROM blob AS b WHERE b.hash = a.hash)
             ORDER BY part, size, at DESC",
        )?;
        let mut found = Vec::new();
        for scope in scopes {
            let mut rows = statement.query((scope.kind.code(), scope.site.0))?;
            let mut of_scope = 0;
            while of_scope < most
                && let Some(row) = rows.next()?
            {
                let blob = blob_of(row)?;
                if !skip(&blob) {
                    let order = (
                        row.get::<_, i64>("part")?,
                        blob.size,
                        -row.get::<_, i64>("at")?,
                    );
                    found.push((order, blob));
                    of_scope += 1;
                }
            }
        }
        found.sort_unstable();
        let mut wanted: Vec<Blob> = Vec::new();
        for (_, blob) in found {
            if wanted.len() < most && !wanted.contains(&blob) {
                wanted.push(blob);
            }
        }
        Ok(wanted)
    }

    /// Files of these scopes that are here and of which that node has not said it holds them.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs_untold(
        &self,
        scopes: &BTreeSet<Scope>,
        node: NodeId,
        skip: &dyn Fn(&Blob) -> bool,
        most: usize,
    ) -> Result<Vec<Blob>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT a.hash AS hash, a.size AS size
             FROM attachment AS a JOIN blob AS b ON b.hash = a.hash AND b.size = a.size
             WHERE a.kind = ?1 AND a.site = ?2 AND NOT EXISTS
               (SELECT 1 FROM blob_at AS t WHERE t.hash = a.hash AND t.node = ?3)",
        )?;
        let mut untold: Vec<Blob> = Vec::new();
        for scope in scopes {
            let mut rows = statement.query((scope.kind.code(), scope.site.0, &node.0[..]))?;
            while untold.len() < most
                && let Some(row) = rows.next()?
            {
                let blob = blob_of(row)?;
                if !skip(&blob) && !untold.contains(&blob) {
                    untold.push(blob);
                }
            }
        }
        Ok(untold)
    }

    /// Files of these scopes that are here, thumbnails first, then the smallest; each with whether that node
    /// has said that it holds it.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs_here(&self, scopes: &BTreeSet<Scope>, node: NodeId) -> Result<Vec<(Blob, bool)>> {
        let mut found = BTreeMap::new();
        for scope in scopes {
            let rows = self.all(
                "SELECT a.part, a.size AS size, a.hash AS hash, EXISTS
                   (SELECT 1 FROM blob_at AS t WHERE t.hash = a.hash AND t.node = ?3) AS told
                 FROM attachment AS a JOIN blob AS b ON b.hash = a.hash AND b.size = a.size
                 WHERE a.kind = ?1 AND a.site = ?2",
                (scope.kind.code(), scope.site.0, &node.0[..]),
                |r| {
                    let part: i64 = r.get("part")?;
                    Ok((blob_of(r)?, part, r.get::<_, bool>("told")?))
                },
            )?;
            for (blob, part, told) in rows {
                let known = found.entry(blob).or_insert((part, told));
                known.0 = part.min(known.0);
            }
        }
        let mut all: Vec<_> = found.into_iter().collect();
        all.sort_by_key(|(blob, (part, _))| (*part, blob.size));
        Ok(all
            .into_iter()
            .map(|(blob, (_, told))| (blob, told))
            .collect())
    }

    /// Whether a file is named in one of these scopes and not here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blob_missing(&self, blob: Blob, scopes: &BTreeSet<Scope>) -> Result<bool> {
        if self.blob_held(blob.hash)?.is_some() {
            return Ok(false);
        }
        let named = self.all(
            "SELECT DISTINCT kind, site FROM attachment WHERE hash = ?1 AND size = ?2",
            (&blob.hash.0[..], blob.size.cast_signed()),
            |r| super::docs::scope_from(r, "kind", "site"),
        )?;
        Ok(named.iter().any(|scope| scopes.contains(scope)))
    }

    /// Another node said that it holds a file.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn blob_told(&self, blob: Blob, node: NodeId, now: Millis) -> Result<()> {
        self.exec(
            "INSERT INTO blob_at (hash, node, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (&blob.hash.0[..], &node.0[..], now.0),
        )?;
        Ok(())
    }

    /// The nodes that said they hold a file.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blob_holders(&self, hash: BlobHash) -> Result<Vec<NodeId>> {
        self.all(
            "SELECT node FROM blob_at WHERE hash = ?1",
            [&hash.0[..]],
            |r| r.get(0).map(NodeId),
        )
    }

    /// Files here that no document names and no form waits for, whole before `before`.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blobs_unnamed(&self, before: Millis) -> Result<Vec<Blob>> {
        let staged = self.staged_hashes()?;
        let unnamed = self.all(
            "SELECT hash, size FROM blob AS b WHERE since < ?1 AND NOT EXISTS
               (SELECT 1 FROM attachment AS a WHERE a.hash = b.hash)",
            [before.0],
            blob_of,
        )?;
        let unnamed = unnamed.into_iter();
        Ok(unnamed
            .filter(|blob| !staged.contains(&blob.hash))
            .collect())
    }

    /// Counts for people: what is held, wanted, and not known to be at one of `above`.
    ///
    /// # Errors
    /// A failing disk.
    pub fn blob_counts(&self) -> Result<BlobCounts> {
        let count =
            |sql: &str| -> Result<(u64, u64)> { Ok(self.first(sql, [], two)?.unwrap_or_default()) };
        let unsent = self.first(
            "SELECT count(*), coalesce(sum(size), 0) FROM
               (SELECT DISTINCT b.hash, b.size FROM blob AS b
                JOIN attachment AS a ON a.hash = b.hash
                WHERE NOT EXISTS (SELECT 1 FROM blob_at AS t WHERE t.hash = b.hash
                  AND hex(t.node) IN (SELECT value FROM json_each(?1))))",
            [self.above()],
            two,
        )?;
        Ok(BlobCounts {
            held: count("SELECT count(*), coalesce(sum(size), 0) FROM blob")?,
            wanted: count(
                "SELECT count(*), coalesce(sum(size), 0) FROM
                   (SELECT DISTINCT hash, size FROM attachment AS a WHERE NOT EXISTS
                     (SELECT 1 FROM blob AS b WHERE b.hash = a.hash))",
            )?,
            unsent: unsent.unwrap_or_default(),
        })
    }

    /// The nodes above this one, a JSON array of upper-case hexadecimal: who is below and holds a file too
    /// does not make it safe.
    fn above(&self) -> String {
        let (Ok(trust), Ok(site)) = (self.trust(), self.site()) else {
            return "[]".to_owned();
        };
        let above = trust.places().above(site);
        let nodes = trust.roster().nodes.iter();
        let nodes = nodes.filter(|node| above.contains(&node.site));
        let nodes: Vec<_> = nodes
            .map(|node| format!("\"{}\"", HEXUPPER.encode(&node.node.0)))
            .collect();
        format!("[{}]", nodes.join(","))
    }

    /// Keeps what a form brought until the form is accepted, for that person alone.
    ///
    /// # Errors
    /// A failing or full disk; too many already.
    pub fn stage(
        &self,
        token: [u8; 16],
        person: PersonId,
        attach: &Attach,
        now: Millis,
    ) -> Result<()> {
        self.exec("DELETE FROM blob_staged WHERE at < ?1", [now.0 - STAGED_MS])?;
        let mine = self.first(
            "SELECT count(*) FROM blob_staged WHERE person = ?1",
            [&person.0[..]],
            |r| r.get::<_, i64>(0),
        )?;
        if mine.unwrap_or(0) >= STAGED_MAX {
            return Err(StoreError::Refused("too many files of unsent forms"));
        }
        let mut bytes = Vec::new();
        if minicbor::encode(attach, &mut bytes).is_err() {
            return Err(StoreError::Damaged("an attachment that cannot be kept"));
        }
        self.exec(
            "INSERT INTO blob_staged (token, person, at, attach) VALUES (?1, ?2, ?3, ?4)",
            (&token[..], &person.0[..], now.0, &bytes),
        )?;
        Ok(())
    }

    /// What that person's form brought under a token.
    ///
    /// # Errors
    /// A failing disk.
    pub fn staged(&self, token: [u8; 16], person: PersonId) -> Result<Option<Attach>> {
        let bytes = self.first(
            "SELECT attach FROM blob_staged WHERE token = ?1 AND person = ?2",
            (&token[..], &person.0[..]),
            |r| r.get::<_, Vec<u8>>(0),
        )?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    fn staged_hashes(&self) -> Result<BTreeSet<BlobHash>> {
        let all = self.all("SELECT attach FROM blob_staged", [], |r| {
            r.get::<_, Vec<u8>>(0)
        })?;
        let mut hashes = BTreeSet::new();
        for attach in all
            .iter()
            .filter_map(|b| minicbor::decode::<Attach>(b).ok())
        {
            hashes.insert(attach.hash);
            hashes.extend(attach.thumbnail.map(|t| t.hash));
        }
        Ok(hashes)
    }

    /// The case whose document names a file under that act; for those who look for strays.
    ///
    /// # Errors
    /// A failing disk.
    pub fn cases_naming(&self, hash: BlobHash) -> Result<Vec<(CaseId, Kind)>> {
        let docs = self.all(
            "SELECT DISTINCT doc FROM attachment WHERE hash = ?1",
            [&hash.0[..]],
            |r| r.get(0).map(DocId),
        )?;
        let of = |doc: DocId| Some((doc.case()?, doc.scope()?.kind));
        Ok(docs.into_iter().filter_map(of).collect())
    }
}
