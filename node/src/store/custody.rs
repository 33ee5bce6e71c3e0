//! 存证: how far each entry got, by the receivers' signed receipts.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    id::{Chain, NodeId, SiteId},
    log::{LogHead, LogId, Receipt},
    role::Level,
    time::Millis,
};

use super::{
    db::Db,
    error::{Result, StoreError},
    log::{head_from, log_from},
};

pub(super) mod case;

pub use case::{Arrived, Held, Standing};

pub(super) const WAITING: &str = include_str!("sql/queries/waiting.sql");

/// Own entries no receipt of the county covers, and own work that is to be written again after a fork.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: u64,
    pub oldest: Option<Millis>,
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
                let holder = trust.node(receipt.holder);
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
            self.no_longer_put_off(row, head.seq, receipt.holder)?;
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

    /// How far each log is held by another node, by its receipts.
    ///
    /// # Errors
    /// A failing disk.
    pub fn receipted_by(&self, holder: NodeId) -> Result<BTreeMap<LogId, LogHead>> {
        let lines = self.all(
            "SELECT log.kind, log.site, log.node, log.epoch, l.seq, l.chain
             FROM receipt_line AS l JOIN log ON log.id = l.log WHERE l.holder = ?1",
            [&holder.0[..]],
            |r| Ok((log_from(r)?, head_from(r)?)),
        )?;
        Ok(lines.into_iter().collect())
    }

    /// Forgets receipts a node signed before `said` for logs it no longer holds so far: it was set
    /// back, and a receipt is as good as the disk it speaks of.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn forget_receipts<'a>(
        &mut self,
        holder: NodeId,
        lost: impl Iterator<Item = &'a LogId>,
        said: Millis,
    ) -> Result<()> {
        self.transact(|db| {
            for log in lost {
                if let Some(row) = db.find_log(log)? {
                    db.exec(
                        "DELETE FROM receipt_line WHERE holder = ?1 AND log = ?2 AND at < ?3",
                        (&holder.0[..], row, said.0),
                    )?;
                }
            }
            Ok(())
        })
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

    pub(super) fn receipt(&self, id: i64) -> Result<Option<Receipt>> {
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

    pub(super) fn level_of(&self, node: NodeId) -> Option<(SiteId, Level)> {
        let trust = self.trust().ok()?;
        let site = trust.node(node)?.site;
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
        waiting.count += self.orphans()?;
        Ok(waiting)
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
