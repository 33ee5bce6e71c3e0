//! Documents ahead of their logs: what a new machine is given first, and what it makes of them.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use cuntong_protocol::{
    document::change_facts,
    gate,
    id::{CaseId, ChangeHash, DocId, Kind, Scope, SiteId, Writer},
    limits,
    sync::{Given, Part},
    time::Millis,
    wire::{
        elide::Known,
        snap::{self, Reached, Sheet},
    },
};

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// Name of how far a snapshot came, among the small values.
const REACHED: &str = "snapshot";
/// Rows read at a time.
const SLICE: i64 = 64;

/// Where a snapshot stands: open cases, newest first; closed ones; what is no case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
struct Walk {
    /// Changes that were here by then are in it.
    #[n(0)]
    given: Millis,
    #[n(1)]
    stage: Stage,
    #[n(2)]
    site: u32,
    /// The last case of that site that was sent, by its row.
    #[n(3)]
    before: i64,
    /// The last document of the last stage.
    #[cbor(n(4), with = "minicbor::bytes")]
    doc: [u8; 16],
    /// Documents that are still to come, by what was held at the beginning.
    #[n(5)]
    left: u64,
    /// The order is read off the rows of cases; else all documents come as what is no case does.
    #[n(6)]
    by_rows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
enum Stage {
    #[n(0)]
    Open,
    #[n(1)]
    Closed,
    #[n(2)]
    Rest,
    #[n(3)]
    Done,
}

impl Walk {
    fn enter(&mut self, stage: Stage) {
        (self.stage, self.site, self.before) = (stage, 0, i64::MAX);
    }
}

/// One part in the making.
struct Gather<'a> {
    scopes: &'a BTreeSet<Scope>,
    walk: Walk,
    sheets: Vec<Sheet>,
    bytes: usize,
    most: usize,
    writers: BTreeMap<i64, Writer>,
}

impl Gather<'_> {
    fn is_full(&self) -> bool {
        self.bytes >= self.most || self.sheets.len() + 2 > limits::SNAP_DOCS_MAX
    }
}

impl Db {
    /// The next documents of these scopes for a peer that is new: open cases before closed ones, the
    /// newest of a site first, then what is no case. Changes refused here are left out, and so is a
    /// document too large for a part: the logs bring those.
    pub(super) fn next_sheets(
        &self,
        scopes: &[Scope],
        reached: &Reached,
        most: usize,
        at: Millis,
    ) -> Result<Part> {
        let scopes: BTreeSet<_> = scopes.iter().copied().collect();
        let most = most.min(limits::SNAP_PART_BYTES);
        let mut gather = Gather {
            scopes: &scopes,
            walk: self.walk_from(&scopes, reached, at)?,
            sheets: Vec::new(),
            bytes: 0,
            most,
            writers: BTreeMap::new(),
        };
        for stage in [Stage::Open, Stage::Closed, Stage::Rest, Stage::Done] {
            if gather.walk.stage != stage {
                continue;
            }
            let through = match stage {
                Stage::Open | Stage::Closed => self.gather_cases(&mut gather)?,
                Stage::Rest => self.gather_rest(&mut gather)?,
                Stage::Done => false,
            };
            if !through {
                break;
            }
            gather.walk.enter(match stage {
                Stage::Open => Stage::Closed,
                Stage::Closed => Stage::Rest,
                Stage::Rest | Stage::Done => Stage::Done,
            });
        }
        let Gather { walk, sheets, .. } = gather;
        let left = match walk.stage {
            Stage::Done => 0,
            Stage::Open | Stage::Closed | Stage::Rest => walk.left.max(1),
        };
        let words = minicbor::to_vec(walk).map_err(|_infallible| StoreError::Damaged("a walk"))?;
        Ok(Part {
            bytes: if sheets.is_empty() && left == 0 {
                Vec::new()
            } else {
                snap::write(&sheets)
            },
            reached: Reached(words),
            left,
            given: walk.given,
        })
    }

    /// Where a snapshot goes on. Words of another node or version, and rows that are being made again
    /// (a new version, a new catalogue), begin it anew: what the receiver has already stays as it is.
    fn walk_from(&self, scopes: &BTreeSet<Scope>, reached: &Reached, at: Millis) -> Result<Walk> {
        let rows = !self.derived.cases.is_empty() && !self.is_stale()?;
        let walk: Option<Walk> = minicbor::decode(&reached.0).ok();
        if let Some(walk) = walk.filter(|walk| rows || !walk.by_rows) {
            return Ok(walk);
        }
        Ok(Walk {
            given: walk.map_or(at, |walk| walk.given),
            stage: Stage::Open,
            site: 0,
            before: i64::MAX,
            doc: [0xff; 16],
            left: self.documents_in(scopes)?,
            by_rows: rows,
        })
    }

    fn documents_in(&self, scopes: &BTreeSet<Scope>) -> Result<u64> {
        let mut all = 0;
        for scope in scopes {
            let count = self.first(
                "SELECT documents FROM scope WHERE kind = ?1 AND site = ?2",
                (scope.kind.code(), scope.site.0),
                |r| r.get::<_, i64>(0),
            )?;
            all += count.unwrap_or(0).max(0).cast_unsigned();
        }
        Ok(all)
    }

    /// Cases of the walk's stage; whether all of them are through.
    fn gather_cases(&self, gather: &mut Gather<'_>) -> Result<bool> {
        if !gather.walk.by_rows {
            return Ok(true);
        }
        let is_case = |scope: &&Scope| scope.kind != Kind::Notice;
        let sites: BTreeSet<_> = gather
            .scopes
            .iter()
            .filter(is_case)
            .map(|s| s.site.0)
            .collect();
        for site in sites.range(gather.walk.site..) {
            if gather.walk.site != *site {
                (gather.walk.site, gather.walk.before) = (*site, i64::MAX);
            }
            loop {
                let open = gather.walk.stage == Stage::Open;
                let rows = self.all(
                    self.derived.cases,
                    (site, open, gather.walk.before, SLICE),
                    |r| Ok((r.get::<_, i64>(0)?, CaseId(r.get(1)?))),
                )?;
                if rows.is_empty() {
                    break;
                }
                for (row, case) in rows {
                    for kind in [Kind::Application, Kind::Handling] {
                        self.gather(case.doc(kind), gather)?;
                    }
                    gather.walk.before = row;
                    if gather.is_full() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Documents that are no cases, or all where no rows serve; whether all are through.
    fn gather_rest(&self, gather: &mut Gather<'_>) -> Result<bool> {
        let by_rows = gather.walk.by_rows;
        let rest = gather.scopes.iter().rev();
        for scope in rest.filter(|s| s.kind == Kind::Notice || !by_rows) {
            loop {
                let ids = self.all(
                    "SELECT id FROM document WHERE kind = ?1 AND site = ?2 AND id < ?3
                     ORDER BY id DESC LIMIT ?4",
                    (scope.kind.code(), scope.site.0, &gather.walk.doc[..], SLICE),
                    |r| r.get(0).map(DocId),
                )?;
                if ids.is_empty() {
                    break;
                }
                for id in ids {
                    self.gather(id, gather)?;
                    gather.walk.doc = id.0;
                    if gather.is_full() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Adds one document, if it is spoken of and here.
    fn gather(&self, id: DocId, gather: &mut Gather<'_>) -> Result<()> {
        if !id
            .scope()
            .is_some_and(|scope| gather.scopes.contains(&scope))
        {
            return Ok(());
        }
        let rows = self.all(
            "SELECT log, hash, body FROM entry WHERE doc = ?1 AND state = 0",
            [&id.0[..]],
            |r| Ok((r.get::<_, i64>(0)?, ChangeHash(r.get(1)?), r.get(2)?)),
        )?;
        let rows = rows
            .into_iter()
            .map(|(log, hash, body): (_, _, Option<Vec<u8>>)| {
                let body = body.map_or_else(|| self.grown(id, hash), |body| Ok(Some(body)))?;
                Ok((log, body.unwrap_or_default()))
            });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let some = u64::from(!rows.is_empty());
        gather.walk.left = gather.walk.left.saturating_sub(some);
        let bytes: usize = rows.iter().map(|(_, body)| body.len()).sum();
        if bytes == 0 || bytes > limits::SNAP_SHEET_BYTES_MAX {
            return Ok(());
        }
        let mut changes = Vec::new();
        for (log, body) in rows {
            let writer = match gather.writers.entry(log) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(self.log_of(log)?.writer),
            };
            let Some(known) = Known::of_chunk(&body) else {
                return Ok(());
            };
            changes.push((known.max_op, known.hash, writer, body));
        }
        // Each operation is later than all it knew: so each change comes after what it depends on.
        changes.sort_unstable_by_key(|(op, hash, ..)| (*op, *hash));
        let changes = changes
            .into_iter()
            .map(|(_, _, writer, body)| (writer, body));
        let changes = changes.collect();
        gather.sheets.push(Sheet { id, changes });
        gather.bytes += bytes;
        Ok(())
    }

    /// Takes documents ahead of their logs, and notes how far the snapshot came. One that the gate
    /// refuses, and one of which anything is here already, is left to its logs.
    ///
    /// # Errors
    /// No county yet; a failing or full disk. Nothing is kept then.
    pub fn take_snapshot(&mut self, given: &Given, now: Millis) -> Result<()> {
        let trust = self.shared_trust()?;
        let ground = gate::Ground {
            trust: &trust,
            now,
            upstream: true,
        };
        self.transact(|db| {
            let mut fresh = Vec::new();
            for sheet in &given.sheets {
                if db.knows(sheet.id)? {
                    continue;
                }
                match gate::sheet(sheet, &ground) {
                    Ok(doc) => {
                        db.put_doc(&doc, now)?;
                        db.put_given(sheet, now)?;
                        fresh.push(sheet.id);
                    }
                    Err(rule) => {
                        tracing::warn!(doc = %sheet.id, rule = rule.code(), "left to its logs");
                    }
                }
            }
            for id in fresh {
                db.refresh(id)?;
            }
            db.save_clock()?;
            db.set_meta(REACHED, &given.reached.0)
        })
    }

    /// Whether anything of a document is here.
    fn knows(&self, id: DocId) -> Result<bool> {
        let found = self.first(
            "SELECT 1 FROM document WHERE id = ?1 UNION ALL
             SELECT 1 FROM entry WHERE doc = ?1 LIMIT 1",
            [&id.0[..]],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    fn put_given(&mut self, sheet: &Sheet, now: Millis) -> Result<()> {
        for (writer, body) in &sheet.changes {
            let Some(known) = Known::of_chunk(body) else {
                continue;
            };
            self.exec(
                "INSERT INTO given (hash, doc, node, epoch, seq, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (hash) DO NOTHING",
                (
                    &known.hash.0[..],
                    &sheet.id.0[..],
                    &writer.node.0[..],
                    writer.epoch,
                    known.seq.cast_signed(),
                    body,
                ),
            )?;
            for (act, _) in change_facts(body)?.acts {
                let ahead = limits::CLOCK_AHEAD_MS_MAX;
                self.state.clock.observe(act, now, ahead);
            }
        }
        Ok(())
    }

    /// The change of that hash, when it came with its document and waits for its entry.
    pub(super) fn given_change(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Vec<u8>>> {
        self.first(
            "SELECT body FROM given WHERE hash = ?1 AND doc = ?2",
            (&hash.0[..], &doc.0[..]),
            |r| r.get(0),
        )
    }

    /// Its entry is here.
    pub(super) fn no_longer_given(&self, hash: ChangeHash) -> Result<()> {
        self.exec("DELETE FROM given WHERE hash = ?1", [&hash.0[..]])?;
        Ok(())
    }

    /// Whether changes of a document wait for their entries.
    pub(super) fn has_given(&self, doc: DocId) -> Result<bool> {
        let one = self.first(
            "SELECT 1 FROM given WHERE doc = ?1 LIMIT 1",
            [&doc.0[..]],
            |_| Ok(()),
        )?;
        Ok(one.is_some())
    }

    /// Changes of a document that wait for their entries.
    pub(super) fn given_of(&self, doc: DocId) -> Result<Vec<Vec<u8>>> {
        self.all(
            "SELECT body FROM given WHERE doc = ?1 ORDER BY node, epoch, seq",
            [&doc.0[..]],
            |r| r.get(0),
        )
    }

    /// Changes that came with their documents and wait for their entries.
    ///
    /// # Errors
    /// A failing disk.
    pub fn changes_ahead(&self) -> Result<u64> {
        let count = self.first("SELECT count(*) FROM given", [], |r| r.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// How far a snapshot came that is not settled yet.
    pub(super) fn snapshot_reached(&self) -> Result<Reached> {
        Ok(Reached(self.meta(REACHED)?.unwrap_or_default()))
    }

    /// Both sides hold the same: the snapshot is over. What came with a document and stands in no log
    /// was never sealed by its writer, and leaves the document.
    pub(super) fn end_snapshot(&mut self, now: Millis) -> Result<()> {
        if self.meta(REACHED)?.is_none() {
            return Ok(());
        }
        let by = self.identity()?.node;
        self.transact(|db| {
            let docs = db.all("SELECT DISTINCT doc FROM given", [], |r| {
                r.get(0).map(DocId)
            })?;
            db.exec("DELETE FROM given", [])?;
            for id in docs {
                tracing::warn!(doc = %id, "changes nobody sealed leave a document");
                db.note(now, None, "unsealed", &id.to_string())?;
                let _held = db.rebuild_doc(id, by, now)?;
            }
            db.exec("DELETE FROM meta WHERE name = ?1", [REACHED])?;
            Ok(())
        })
    }

    /// How many places after (or before) a document another of its scope stands, in the order of
    /// ids, when at most `most`.
    pub(super) fn steps_between(&self, from: DocId, to: DocId, most: u32) -> Result<Option<i64>> {
        let (low, high) = (from.min(to), from.max(to));
        let Some(scope) = to.scope().filter(|scope| from.scope() == Some(*scope)) else {
            return Ok(None);
        };
        let count = self.first(
            "SELECT count(*) FROM (SELECT 1 FROM document
             WHERE kind = ?1 AND site = ?2 AND id > ?3 AND id <= ?4 LIMIT ?5)",
            (
                scope.kind.code(),
                scope.site.0,
                &low.0[..],
                &high.0[..],
                i64::from(most) + 1,
            ),
            |r| r.get::<_, i64>(0),
        )?;
        let count = count.filter(|count| *count > 0 && *count <= i64::from(most));
        Ok(count.map(|count| if to > from { count } else { -count }))
    }

    /// The document so many places after (or before) this one in its scope.
    pub(super) fn document_beside(&self, doc: DocId, steps: i64) -> Result<Option<DocId>> {
        let Some(Scope {
            kind,
            site: SiteId(site),
        }) = doc.scope()
        else {
            return Ok(None);
        };
        let place = i64::try_from(steps.unsigned_abs()).unwrap_or(i64::MAX) - 1;
        if place < 0 {
            return Ok(None);
        }
        let query = if steps > 0 {
            "SELECT id FROM document WHERE kind = ?1 AND site = ?2 AND id > ?3
             ORDER BY id LIMIT 1 OFFSET ?4"
        } else {
            "SELECT id FROM document WHERE kind = ?1 AND site = ?2 AND id < ?3
             ORDER BY id DESC LIMIT 1 OFFSET ?4"
        };
        self.first(query, (kind.code(), site, &doc.0[..], place), |r| {
            r.get(0).map(DocId)
        })
    }
}
