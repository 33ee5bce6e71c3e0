//! 存证: how far each entry got, by the receivers' signed receipts.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    id::{CaseId, Chain, ChangeHash, Kind, NodeId, SiteId},
    log::{LogHead, LogId, Receipt},
    role::Level,
    time::Millis,
};

use super::{
    db::Db,
    error::{Result, StoreError},
    log::{head_from, log_from},
};

pub(super) const WAITING: &str = include_str!("sql/queries/waiting.sql");
pub(super) const CASE_ENTRIES: &str = include_str!("sql/queries/case_entries.sql");

/// How far a case's entries got: the least of them, each by its best holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// An authority did not admit one, and nobody has looked at that yet.
    Rejected,
    /// 本机已存: here only.
    Here,
    /// 乡镇已收, since then.
    Township(Millis),
    /// 县里已收, since then.
    County(Millis),
}

/// A receipt that covers entries of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub holder: NodeId,
    pub site: SiteId,
    pub level: Level,
    pub at: Millis,
    pub signature: [u8; 64],
}

/// Own entries no receipt of the county covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: u64,
    pub oldest: Option<Millis>,
}

/// One change of a case: when it arrived here, and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    pub change: ChangeHash,
    pub at: Millis,
    pub node: NodeId,
    pub own: bool,
}

impl Db {
    /// Verifies receipts against the roster and keeps those that say something new, verbatim;
    /// answers those. One by a node that is not listed, or badly signed, is passed over.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn keep_receipts(&mut self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        let trust = self.shared_trust()?;
        self.transact(|db| {
            let mut new = Vec::new();
            for receipt in receipts {
                let holder = trust.roster().node(receipt.holder);
                if !holder.is_some_and(|h| receipt.verify(&h.sign_key)) {
                    tracing::warn!(holder = %receipt.holder, "a receipt is not genuine");
                    continue;
                }
                if db.keep_receipt(receipt)? {
                    new.push(receipt.clone());
                }
            }
            db.exec(
                "DELETE FROM receipt WHERE id NOT IN (SELECT receipt FROM receipt_line)",
                [],
            )?;
            Ok(new)
        })
    }

    fn keep_receipt(&self, receipt: &Receipt) -> Result<bool> {
        let mut newer = Vec::new();
        for (log, head) in &receipt.held {
            let Some(row) = self.find_log(log)? else {
                continue;
            };
            let held = self.first(
                "SELECT seq, chain, at FROM receipt_line WHERE holder = ?1 AND log = ?2",
                (&receipt.holder.0[..], row),
                |r| Ok((head_from(r)?, Millis(r.get("at")?))),
            )?;
            let is_newer = held.is_none_or(|(old, at)| {
                head.seq > old.seq || (head.chain != old.chain && receipt.at > at)
            });
            if is_newer {
                newer.push((row, head));
            }
        }
        if newer.is_empty() {
            return Ok(false);
        }
        let body =
            minicbor::to_vec(receipt).map_err(|_infallible| StoreError::Damaged("receipt"))?;
        self.exec(
            "INSERT INTO receipt (holder, at, body) VALUES (?1, ?2, ?3)",
            (&receipt.holder.0[..], receipt.at.0, body),
        )?;
        let id = self.conn.last_insert_rowid();
        for (row, head) in newer {
            self.exec(
                "INSERT INTO receipt_line (holder, log, seq, chain, at, receipt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (holder, log) DO UPDATE SET seq = excluded.seq,
                   chain = excluded.chain, at = excluded.at, receipt = excluded.receipt",
                (
                    &receipt.holder.0[..],
                    row,
                    head.seq.cast_signed(),
                    &head.chain.0[..],
                    receipt.at.0,
                    id,
                ),
            )?;
        }
        Ok(true)
    }

    /// A receipt of this node for those of the heads that are durable here.
    ///
    /// # Errors
    /// No identity; a failing disk.
    pub fn sign_receipt(&self, held: &[(LogId, LogHead)], now: Millis) -> Result<Receipt> {
        let identity = self.identity()?;
        let mut durable = Vec::new();
        for (log, head) in held {
            if self.head_at(log, head.seq)? == Some(*head) {
                durable.push((*log, *head));
            }
        }
        Ok(Receipt::sign(identity.node, now, durable, &identity.sign))
    }

    /// Receipts of the county's nodes, and of `holder` when given, for these logs.
    ///
    /// # Errors
    /// A failing disk.
    pub fn receipts_about(&self, logs: &[LogId], holder: Option<NodeId>) -> Result<Vec<Receipt>> {
        let mut holders = self.county_nodes();
        holders.extend(holder);
        let mut ids = BTreeSet::new();
        for log in logs {
            let lines = self.all(
                "SELECT l.holder, l.receipt FROM receipt_line AS l JOIN log ON log.id = l.log
                 WHERE log.kind = ?1 AND log.site = ?2 AND log.node = ?3 AND log.epoch = ?4",
                (
                    log.scope.kind.code(),
                    log.scope.site.0,
                    &log.writer.node.0[..],
                    log.writer.epoch,
                ),
                |r| Ok((NodeId(r.get(0)?), r.get::<_, i64>(1)?)),
            )?;
            ids.extend(
                lines
                    .into_iter()
                    .filter(|l| holders.contains(&l.0))
                    .map(|l| l.1),
            );
        }
        let mut receipts = Vec::new();
        for id in ids {
            receipts.extend(self.receipt(id)?);
        }
        Ok(receipts)
    }

    fn receipt(&self, id: i64) -> Result<Option<Receipt>> {
        let body = self.first("SELECT body FROM receipt WHERE id = ?1", [id], |r| {
            r.get::<_, Vec<u8>>(0)
        })?;
        body.map(|b| minicbor::decode(&b).map_err(|_damage| StoreError::Damaged("receipt")))
            .transpose()
    }

    /// Logs written in this node's own area for which no receipt of `holder`, or none of the
    /// county, reaches up to their head: what to ask an upstream about.
    ///
    /// # Errors
    /// A failing disk.
    pub fn lacking_receipts(&self, holder: NodeId) -> Result<Vec<LogId>> {
        let writers = self.writers_below()?;
        let counties = self.county_nodes();
        let logs = self.all("SELECT * FROM log WHERE seq > 0", [], |r| {
            Ok((r.get::<_, i64>("id")?, log_from(r)?))
        })?;
        let mut lacking = Vec::new();
        for (row, log) in logs {
            if !writers.contains(&log.writer.node) {
                continue;
            }
            let holders = self.all(
                "SELECT r.holder FROM receipt_line AS r JOIN log ON log.id = r.log
                 WHERE r.log = ?1 AND r.seq = log.seq AND r.chain = log.chain",
                [row],
                |r| r.get(0).map(NodeId),
            )?;
            let complete =
                holders.contains(&holder) && holders.iter().any(|h| counties.contains(h));
            if !complete {
                lacking.push(log);
            }
        }
        Ok(lacking)
    }

    /// Nodes of this site and of the sites below it, with this node whatever the roster says.
    pub(super) fn writers_below(&self) -> Result<BTreeSet<NodeId>> {
        let mut nodes = BTreeSet::from([self.identity()?.node]);
        if let (Ok(trust), Ok(site)) = (self.trust(), self.site()) {
            let roster = &trust.roster().nodes;
            let covered = roster
                .iter()
                .filter(|n| trust.places().covers(site, n.site));
            nodes.extend(covered.map(|n| n.node));
        }
        Ok(nodes)
    }

    /// The county's nodes, by the roster.
    pub(super) fn county_nodes(&self) -> BTreeSet<NodeId> {
        self.nodes_of(Level::County)
    }

    fn nodes_of(&self, level: Level) -> BTreeSet<NodeId> {
        let Ok(trust) = self.trust() else {
            return BTreeSet::new();
        };
        let is = |site| trust.places().site(site).is_some_and(|p| p.level == level);
        let nodes = &trust.roster().nodes;
        nodes
            .iter()
            .filter(|n| is(n.site))
            .map(|n| n.node)
            .collect()
    }

    fn level_of(&self, node: NodeId) -> Option<(SiteId, Level)> {
        let trust = self.trust().ok()?;
        let site = trust.roster().node(node)?.site;
        Some((site, trust.places().site(site)?.level))
    }

    /// This node's own entries, of every epoch, that no receipt of the county covers. At the
    /// county itself there are none.
    ///
    /// # Errors
    /// A failing disk.
    pub fn waiting(&self) -> Result<Waiting> {
        let node = self.identity()?.node;
        let counties = self.county_nodes();
        if counties.contains(&node) {
            return Ok(Waiting::default());
        }
        let mut covered: BTreeMap<i64, i64> = BTreeMap::new();
        let lines = self.all(
            "SELECT r.holder, r.log, r.seq FROM receipt_line AS r JOIN log ON log.id = r.log
             JOIN entry AS e ON e.log = r.log AND e.seq = r.seq AND e.chain = r.chain
             WHERE log.node = ?1",
            [&node.0[..]],
            |r| Ok((NodeId(r.get(0)?), r.get(1)?, r.get::<_, i64>(2)?)),
        )?;
        for (holder, log, seq) in lines {
            if counties.contains(&holder) {
                let most = covered.entry(log).or_default();
                *most = seq.max(*most);
            }
        }
        let logs: Vec<i64> = self.all(
            "SELECT id FROM log WHERE node = ?1 AND seq > 0",
            [&node.0[..]],
            |r| r.get(0),
        )?;
        let mut waiting = Waiting::default();
        for log in logs {
            let after = covered.get(&log).copied().unwrap_or(0);
            let (count, oldest) = self
                .first(WAITING, (log, after), |r| {
                    Ok((r.get::<_, i64>(0)?, r.get::<_, Option<i64>>(1)?.map(Millis)))
                })?
                .unwrap_or_default();
            waiting.count += count.cast_unsigned();
            waiting.oldest = match (waiting.oldest, oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(waiting)
    }

    /// Time of the newest receipt of the county.
    ///
    /// # Errors
    /// A failing disk.
    pub fn county_receipt_at(&self) -> Result<Option<Millis>> {
        let counties = self.county_nodes();
        let rows = self.all(
            "SELECT holder, max(at) FROM receipt GROUP BY holder",
            [],
            |r| Ok((NodeId(r.get(0)?), Millis(r.get(1)?))),
        )?;
        Ok(rows
            .into_iter()
            .filter(|(holder, _)| counties.contains(holder))
            .map(|(_, at)| at)
            .max())
    }

    /// Time of the newest receipt of each node.
    ///
    /// # Errors
    /// A failing disk.
    pub fn receipt_times(&self) -> Result<BTreeMap<NodeId, Millis>> {
        let rows = self.all(
            "SELECT holder, max(at) FROM receipt GROUP BY holder",
            [],
            |r| Ok((NodeId(r.get(0)?), Millis(r.get(1)?))),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// How far a case got: the least of the entries written at this site and below, each by its
    /// best holder, this node included.
    ///
    /// # Errors
    /// A failing disk.
    pub fn custody(&self, case: CaseId) -> Result<Held> {
        let unseen = self.first(
            "SELECT count(*) FROM rejection WHERE doc IN (?1, ?2) AND seen_at IS NULL
               AND (applied = 1 OR made = 1)",
            (
                &case.doc(Kind::Application).0[..],
                &case.doc(Kind::Handling).0[..],
            ),
            |r| r.get::<_, i64>(0),
        )?;
        if unseen.unwrap_or(0) > 0 {
            return Ok(Held::Rejected);
        }
        let writers = self.writers_below()?;
        let me = self.identity()?.node;
        let own = self.level_of(me).map(|(_, level)| level);
        // Best holder per entry: (log, seq) → level.
        let mut best: BTreeMap<(i64, i64), Held> = BTreeMap::new();
        for line in self.case_lines(case)? {
            if !writers.contains(&line.writer) {
                continue;
            }
            let here = held_by(own, line.received_at);
            let entry = best.entry((line.log, line.seq)).or_insert(here);
            *entry = (*entry).max(here);
            if let Some((holder, at)) = line.receipt {
                let level = self.level_of(holder).map(|(_, level)| level);
                *entry = better(*entry, held_by(level, at));
            }
        }
        Ok(best.into_values().reduce(worse).unwrap_or(Held::Here))
    }

    /// The receipts that cover entries of a case, newest per holder.
    ///
    /// # Errors
    /// A failing disk.
    pub fn standings(&self, case: CaseId) -> Result<Vec<Standing>> {
        let mut newest: BTreeMap<NodeId, (Millis, i64)> = BTreeMap::new();
        for line in self.case_lines(case)? {
            if let (Some((holder, at)), Some(id)) = (line.receipt, line.receipt_id) {
                let held = newest.entry(holder).or_insert((at, id));
                *held = (*held).max((at, id));
            }
        }
        let mut out = Vec::new();
        for (holder, (at, id)) in newest {
            let (Some((site, level)), Some(receipt)) = (self.level_of(holder), self.receipt(id)?)
            else {
                continue;
            };
            out.push(Standing {
                holder,
                site,
                level,
                at,
                signature: receipt.signature,
            });
        }
        Ok(out)
    }

    /// When each change of a case arrived here, oldest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn arrivals(&self, case: CaseId) -> Result<Vec<Arrived>> {
        let me = self.identity()?.node;
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for line in self.case_lines(case)? {
            if seen.insert((line.log, line.seq)) {
                out.push(Arrived {
                    change: line.hash,
                    at: line.received_at,
                    node: line.writer,
                    own: line.writer == me,
                });
            }
        }
        out.sort_by_key(|a| a.at);
        Ok(out)
    }

    fn case_lines(&self, case: CaseId) -> Result<Vec<CaseLine>> {
        self.all(
            CASE_ENTRIES,
            (
                &case.doc(Kind::Application).0[..],
                &case.doc(Kind::Handling).0[..],
            ),
            |r| {
                let holder: Option<[u8; 8]> = r.get("holder")?;
                let at: Option<i64> = r.get("at")?;
                Ok(CaseLine {
                    log: r.get("log")?,
                    seq: r.get("seq")?,
                    hash: ChangeHash(r.get("hash")?),
                    writer: NodeId(r.get("node")?),
                    received_at: Millis(r.get("received_at")?),
                    receipt: holder.zip(at).map(|(h, at)| (NodeId(h), Millis(at))),
                    receipt_id: r.get("receipt")?,
                })
            },
        )
    }

    /// The head a receipt of `holder` names for a log, when this node holds the same branch.
    ///
    /// # Errors
    /// A failing disk.
    pub fn receipt_head(&self, holder: NodeId, log: &LogId) -> Result<Option<LogHead>> {
        let Some(row) = self.find_log(log)? else {
            return Ok(None);
        };
        self.first(
            "SELECT r.seq, r.chain FROM receipt_line AS r
             JOIN entry AS e ON e.log = r.log AND e.seq = r.seq AND e.chain = r.chain
             WHERE r.holder = ?1 AND r.log = ?2",
            (&holder.0[..], row),
            |r| {
                Ok(LogHead {
                    seq: r.get::<_, i64>(0)?.cast_unsigned(),
                    chain: Chain(r.get(1)?),
                })
            },
        )
    }
}

/// One entry of a case with one receipt that covers it, if any does.
struct CaseLine {
    log: i64,
    seq: i64,
    hash: ChangeHash,
    writer: NodeId,
    received_at: Millis,
    receipt: Option<(NodeId, Millis)>,
    receipt_id: Option<i64>,
}

fn held_by(level: Option<Level>, at: Millis) -> Held {
    match level {
        Some(Level::County) => Held::County(at),
        Some(Level::Township) => Held::Township(at),
        Some(Level::Village) | None => Held::Here,
    }
}

/// The higher level; of one level, the earlier receipt.
fn better(a: Held, b: Held) -> Held {
    match (a, b) {
        (Held::County(a), Held::County(b)) => Held::County(a.min(b)),
        (Held::Township(a), Held::Township(b)) => Held::Township(a.min(b)),
        (a, b) => a.max(b),
    }
}

/// The lower level; of one level, the later receipt: all entries are held since then.
fn worse(a: Held, b: Held) -> Held {
    match (a, b) {
        (Held::County(a), Held::County(b)) => Held::County(a.max(b)),
        (Held::Township(a), Held::Township(b)) => Held::Township(a.max(b)),
        (a, b) => a.min(b),
    }
}
