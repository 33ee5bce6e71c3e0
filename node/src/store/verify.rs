//! Everything made again from the raw entries and compared: what `cuntong verify` does.

use std::collections::BTreeMap;

use cuntong_protocol::{
    document::Doc,
    id::{DocId, Scope},
    log::{LogHead, Seal},
    time::Millis,
    wire,
};

use super::{
    db::Db,
    docs::{scope_from, scope_of},
    error::{Result, StoreError},
    log::{EntryState, head_from, log_from},
    refuse::assemble,
    schema,
};

/// What a verification found. Problems name documents and logs, never people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub documents: u64,
    pub entries: u64,
    pub seals: u64,
    pub problems: Vec<String>,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Problems told; a damaged disk may have thousands.
const PROBLEMS_MAX: usize = 100;

impl Db {
    /// Checks the file, every chain and seal, rebuilds every document from its entries and every
    /// derived row from the documents, and compares. Changes nothing.
    ///
    /// # Errors
    /// A disk that cannot be read at all; what is merely wrong is in the report.
    pub fn verify(&mut self) -> Result<Report> {
        let mut report = Report::default();
        if let Err(StoreError::Corrupt { what, .. }) = schema::check(&self.conn, false) {
            report.problem(|| format!("database file: {what}"));
        }
        self.verify_logs(&mut report)?;
        self.verify_documents(&mut report)?;
        self.verify_rows(&mut report)?;
        if let Some(line) = self.audit_break()? {
            report.problem(|| format!("audit: chain breaks at line {line}"));
        }
        Ok(report)
    }

    fn verify_logs(&self, report: &mut Report) -> Result<()> {
        let logs = self.all("SELECT * FROM log", [], |r| {
            Ok((r.get::<_, i64>("id")?, log_from(r)?, head_from(r)?))
        })?;
        for (row, log, head) in logs {
            let key = self.sign_key(log.writer.node);
            let mut statement = self.conn.prepare(
                "SELECT e.seq, e.doc, e.hash, e.chain, s.at, s.signature FROM entry AS e
                 LEFT JOIN seal AS s ON s.log = e.log AND s.seq = e.seq
                 WHERE e.log = ?1 ORDER BY e.seq",
            )?;
            let mut rows = statement.query([row])?;
            let (mut at, mut sealed) = (LogHead::START, LogHead::START);
            while let Some(r) = rows.next()? {
                report.entries += 1;
                at = at.after(
                    DocId(r.get("doc")?),
                    cuntong_protocol::id::ChangeHash(r.get("hash")?),
                );
                if head_from(r)? != at {
                    report.problem(|| {
                        format!(
                            "log {} {}: chain breaks at {}",
                            log.scope, log.writer, at.seq
                        )
                    });
                    break;
                }
                if let Some(time) = r.get::<_, Option<i64>>("at")? {
                    sealed = at;
                    report.seals += 1;
                    let seal = Seal {
                        head: at,
                        at: Millis(time),
                        signature: r.get("signature")?,
                    };
                    // A node that left the roster cannot be checked any more.
                    if key.is_some_and(|key| !seal.verify(&log, &key)) {
                        report.problem(|| {
                            format!("log {} {}: bad seal at {}", log.scope, log.writer, at.seq)
                        });
                    }
                }
            }
            if at != head || sealed != head {
                report.problem(|| {
                    format!(
                        "log {} {}: head is not its last seal",
                        log.scope, log.writer
                    )
                });
            }
        }
        Ok(())
    }

    fn sign_key(&self, node: cuntong_protocol::id::NodeId) -> Option<[u8; 32]> {
        if let Some(entry) = self.trust().ok().and_then(|t| t.node(node)) {
            return Some(entry.sign_key);
        }
        let identity = self.identity().ok().filter(|i| i.node == node)?;
        Some(identity.sign.verifying_key().to_bytes())
    }

    fn verify_documents(&self, report: &mut Report) -> Result<()> {
        let ids: Vec<[u8; 16]> = self.all(
            "SELECT id FROM document UNION SELECT doc FROM entry WHERE state = 0 UNION SELECT doc FROM given",
            [],
            |r| r.get(0),
        )?;
        let mut sums: BTreeMap<Scope, (u64, u64)> = BTreeMap::new();
        for id in ids.into_iter().map(DocId) {
            report.documents += 1;
            match self.verify_document(id) {
                Ok((digest, problem)) => {
                    let sum = sums.entry(scope_of(id)?).or_default();
                    *sum = (sum.0.wrapping_add(digest), sum.1 + 1);
                    if let Some(problem) = problem {
                        report.problem(|| format!("document {id}: {problem}"));
                    }
                }
                Err(error) => report.problem(|| format!("document {id}: {error}")),
            }
        }
        let held = self.all("SELECT * FROM scope WHERE documents > 0", [], |r| {
            let digest: i64 = r.get("digest")?;
            let documents: i64 = r.get("documents")?;
            Ok((
                scope_from(r, "kind", "site")?,
                (digest.cast_unsigned(), documents.cast_unsigned()),
            ))
        })?;
        let held: BTreeMap<_, _> = held.into_iter().collect();
        for scope in sums.keys().chain(held.keys()) {
            if sums.get(scope) != held.get(scope) {
                report.problem(|| format!("scope {scope}: digest or count differs"));
            }
        }
        Ok(())
    }

    /// The digest a document should have, and what is wrong with the stored one.
    fn verify_document(&self, id: DocId) -> Result<(u64, Option<&'static str>)> {
        let entries = self.entries_of(id)?;
        let given = self.given_of(id)?;
        let (doc, left) = assemble(id, &entries, &given)?;
        let heads = doc.heads();
        let digest = wire::digest(id, &heads);
        let accepted = entries.iter().filter(|e| e.state == EntryState::Accepted);
        if accepted.clone().any(|e| !doc.has(e.hash)) {
            return Ok((digest, Some("a body is not the change its entry names")));
        }
        if !left.is_empty() {
            return Ok((digest, Some("entries without what they depend on")));
        }
        let stored = self.first(
            "SELECT heads, digest, snapshot FROM document WHERE id = ?1",
            [&id.0[..]],
            |r| {
                Ok((
                    r.get::<_, Vec<u8>>(0)?,
                    r.get::<_, i64>(1)?,
                    r.get::<_, Vec<u8>>(2)?,
                ))
            },
        )?;
        let Some((stored_heads, stored_digest, snapshot)) = stored else {
            return Ok((digest, Some("no snapshot")));
        };
        if super::docs::split(&stored_heads) != heads || stored_digest.cast_unsigned() != digest {
            return Ok((digest, Some("heads differ from its entries")));
        }
        let loaded = Doc::load(id, &snapshot)?;
        if loaded.heads() != heads || loaded.changes().len() != doc.changes().len() {
            return Ok((digest, Some("snapshot differs from its entries")));
        }
        if accepted.count() == 0 && given.is_empty() {
            return Ok((digest, Some("a snapshot without entries")));
        }
        Ok((digest, None))
    }

    /// Makes all derived rows again, compares, and takes it back.
    fn verify_rows(&mut self, report: &mut Report) -> Result<()> {
        while self.tend()? {}
        let before = self.derived_rows()?;
        let after = self.transact(|db| {
            db.make_derived()?;
            db.mark_stale()?;
            while db.tend()? {}
            let after = db.derived_rows()?;
            Err(StoreError::Compared(after))
        });
        let after = match after {
            Err(StoreError::Compared(rows)) => rows,
            Err(other) => return Err(other),
            Ok(()) => Vec::new(),
        };
        for ((query, before), after) in self.derived.compare.iter().zip(before).zip(after) {
            if before != after {
                let differ = before.iter().zip(&after).filter(|(b, a)| b != a).count()
                    + before.len().abs_diff(after.len());
                report.problem(|| format!("derived rows: {differ} differ in {query:?}"));
            }
        }
        Ok(())
    }

    /// A hash of each row of each comparing query: rows hold personal data.
    fn derived_rows(&self) -> Result<Vec<Vec<[u8; 32]>>> {
        let mut out = Vec::new();
        for query in self.derived.compare {
            let mut statement = self.conn.prepare(query)?;
            let columns = statement.column_count();
            let rows = statement.query_map([], |r| {
                let mut hasher = blake3::Hasher::new();
                for column in 0..columns {
                    hasher.update(format!("{:?};", r.get_ref(column)?).as_bytes());
                }
                Ok(*hasher.finalize().as_bytes())
            })?;
            out.push(rows.collect::<std::result::Result<_, _>>()?);
        }
        Ok(out)
    }

    /// Makes every snapshot, digest and derived row again from the raw entries: what to do when
    /// [`Db::verify`] finds that they differ. Entries themselves are not touched.
    ///
    /// # Errors
    /// A failing or full disk; then everything is as it was.
    pub fn rebuild(&mut self, now: Millis) -> Result<()> {
        let node = self.identity()?.node;
        self.transact(|db| {
            let ids: Vec<[u8; 16]> = db.all(
                "SELECT doc FROM entry UNION SELECT doc FROM given",
                [],
                |r| r.get(0),
            )?;
            db.make_derived()?;
            // Only snapshots of nothing: changes that were folded lie nowhere but in those of their documents.
            db.exec(
                "DELETE FROM document WHERE id NOT IN
                   (SELECT doc FROM entry UNION SELECT doc FROM given)",
                [],
            )?;
            for id in ids {
                db.rebuild_doc(DocId(id), node, now)?;
            }
            db.resum()?;
            Ok(())
        })
    }
}

impl Report {
    fn problem(&mut self, what: impl FnOnce() -> String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what());
        }
    }
}
