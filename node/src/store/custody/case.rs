//! How far one case got.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    id::{CaseId, ChangeHash, Kind, NodeId, SiteId},
    role::Level,
    time::Millis,
};

use crate::store::{db::Db, error::Result};

pub(in crate::store) const CASE_ENTRIES: &str = include_str!("../sql/queries/case_entries.sql");

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

/// One change of a case: when it arrived here, and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    pub change: ChangeHash,
    pub at: Millis,
    pub node: NodeId,
    pub own: bool,
}

impl Db {
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
