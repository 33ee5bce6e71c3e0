//! The pages about links and nodes.

use std::collections::BTreeMap;

use cuntong_protocol::{
    command::Actor,
    control::NodeStatus,
    id::{NodeId, Scope},
    role::Level,
    time::{ClockState, Millis},
};
use cuntong_web::desk::{Custody, NodeRow, PeerRow, SessionRow, SyncPage};

use super::{
    custody::{self, Standing},
    ground::{Area, Ground, query, rows},
    links::{CONNECTED, Peer},
    list, tray,
};
use crate::store::Result;

/// Waiting cases, refusals and sessions shown.
const SHOWN_MAX: u64 = 100;

/// How far this node's own entries got.
///
/// # Errors
/// Those of the database.
pub(crate) fn standing(g: &Ground<'_>, clock: ClockState) -> Result<Standing> {
    let county = g.level == Level::County;
    let waiting = g.db.waiting()?;
    let county_nodes = g.county_nodes();
    let county_at = custody::newest_receipts(g)?
        .into_iter()
        .filter(|(holder, _)| county_nodes.contains(holder))
        .map(|(_, at)| at)
        .max();
    let custody = if county {
        Custody::default()
    } else {
        Custody {
            waiting: waiting.count,
            oldest_s: waiting
                .oldest
                .map_or(0, |at| (g.now.since(at).max(0) / 1000).unsigned_abs()),
            county_at,
        }
    };
    Ok(Standing {
        county,
        documents: custody::local_docs(g, list::COUNT_MAX)?.len() as u64,
        rejected: tray::open(g)?,
        custody,
        clock,
    })
}

/// Links as pages show them, upstreams first.
///
/// # Errors
/// Those of the database.
pub(crate) fn peer_rows(g: &Ground<'_>, peers: &[Peer]) -> Result<Vec<PeerRow>> {
    let receipts = custody::newest_receipts(g)?;
    let mut out: Vec<PeerRow> = peers
        .iter()
        .map(|peer| custody::peer_row(g, peer, &receipts))
        .collect();
    out.sort_by_key(|p| (!p.upstream, p.level, p.name.clone()));
    Ok(out)
}

/// `/sync`.
///
/// # Errors
/// Those of the database.
pub(crate) fn page(
    g: &Ground<'_>,
    actor: &Actor,
    peers: &[Peer],
    clock: ClockState,
) -> Result<SyncPage> {
    let mut waiting = Vec::new();
    for case in custody::local_cases(g, SHOWN_MAX)? {
        waiting.extend(list::one(g, &Area::All, case)?);
    }
    let counts = counts(g)?;
    Ok(SyncPage {
        custody: standing(g, clock)?.custody,
        epoch: g.db.identity()?.writer.epoch,
        peers: peer_rows(g, peers)?,
        waiting,
        rejections: tray::rows(g, actor, None, SHOWN_MAX as u32)?,
        quarantine: counts.quarantine,
        documents: counts.documents,
        entries: counts.entries,
        history: history(g)?,
    })
}

/// What the store holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) documents: u64,
    pub(crate) entries: u64,
    pub(crate) quarantine: u64,
}

/// # Errors
/// Those of the database.
pub(crate) fn counts(g: &Ground<'_>) -> Result<Counts> {
    let all = rows(g.conn(), query!("sync_counts"), &[], |row| {
        let count = |name| row.get::<_, i64>(name).map(i64::unsigned_abs);
        Ok(Counts {
            documents: count("documents")?,
            entries: count("entries")?,
            quarantine: count("quarantine")?,
        })
    })?;
    Ok(all.into_iter().next().unwrap_or_default())
}

/// Scope → digest over the heads of its documents.
///
/// # Errors
/// Those of the database.
pub(crate) fn digests(g: &Ground<'_>) -> Result<Vec<(Scope, u64)>> {
    let proofs = g.db.digests(&[])?;
    Ok(proofs.into_iter().map(|p| (p.scope, p.digest)).collect())
}

fn history(g: &Ground<'_>) -> Result<Vec<SessionRow>> {
    Ok(g.db
        .exchanges(SHOWN_MAX as u32)?
        .into_iter()
        .map(|e| SessionRow {
            at: e.at,
            peer: g.node_name(e.node),
            sent: e.sent,
            received: e.received,
            bytes_up: e.bytes_up,
            bytes_down: e.bytes_down,
            repaired: e.repaired,
            result: e.result,
        })
        .collect())
}

/// Every node of the roster, as the hub knows it.
///
/// # Errors
/// Those of the database.
pub(crate) fn nodes(g: &Ground<'_>, peers: &[Peer]) -> Result<Vec<NodeRow>> {
    let notes: BTreeMap<NodeId, _> = g.db.peers()?.into_iter().collect();
    let custody: BTreeMap<NodeId, Millis> = rows(
        g.conn(),
        query!("node_custody"),
        &[(":county", &custody::hex_list(&g.county_nodes()))],
        |row| Ok((NodeId(row.get(0)?), Millis(row.get(1)?))),
    )?
    .into_iter()
    .collect();
    let mut out: Vec<NodeRow> = Vec::new();
    for entry in &g.trust.roster().nodes {
        let site = g.site_of(entry.site);
        let note = notes.get(&entry.node);
        let here = entry.node == g.node;
        out.push(NodeRow {
            node: entry.node,
            site: entry.site,
            site_name: g.node_name(entry.node),
            level: site.level,
            status: status_zh(entry.status).to_owned(),
            connected: here
                || peers
                    .iter()
                    .any(|p| p.node == entry.node && p.state == CONNECTED),
            last_seen: if here {
                Some(g.now)
            } else {
                note.map(|n| n.last_seen)
            },
            custody_at: custody.get(&entry.node).copied(),
            backlog: note.map_or(0, |n| n.waiting),
            backlog_oldest_s: note
                .and_then(|n| n.waiting_since)
                .map_or(0, |at| (g.now.since(at).max(0) / 1000).unsigned_abs()),
            clock_offset_s: note.and_then(|n| n.clock_offset_ms).map(|ms| ms / 1000),
            version: if here {
                env!("CARGO_PKG_VERSION").to_owned()
            } else {
                note.map_or_else(String::new, |n| n.product.clone())
            },
            epoch: if here {
                Some(g.db.identity()?.writer.epoch)
            } else {
                note.and_then(|n| n.epoch)
            },
        });
    }
    out.sort_by_key(|n| (std::cmp::Reverse(n.level), n.site, n.node));
    Ok(out)
}

const fn status_zh(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Active => "在用",
        NodeStatus::Suspended => "暂停",
        NodeStatus::Revoked => "已吊销",
        NodeStatus::Replaced => "已更换",
    }
}
