//! The pages about links and nodes.

use std::collections::BTreeMap;

use cuntong_protocol::{
    command::Actor,
    id::{NodeId, Scope},
    role::Level,
    time::{ClockState, Millis},
};
use cuntong_web::desk::{
    Custody, FilesStanding, Habits, Header, NodeRow, PeerRow, Pill, SessionRow, SyncPage, Tone,
};

use super::{
    custody::{self, Standing},
    ground::{Area, Ground, query, rows},
    json::Repair,
    links::{CONNECTED, Peer},
    list, tray,
};
use crate::store::{Result, peers::PeerNote};

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
        // The links know; the desk adds it.
        habits: Habits::default(),
        waiting,
        rejections: tray::rows(g, actor, None, SHOWN_MAX as u32)?,
        quarantine: counts.quarantine,
        documents: counts.documents,
        entries: counts.entries,
        history: history(g)?,
        files: FilesStanding::default(),
    })
}

/// The page of a machine that is no node yet.
pub(super) fn nothing() -> SyncPage {
    SyncPage {
        custody: Custody::default(),
        epoch: 0,
        peers: Vec::new(),
        habits: Habits::default(),
        waiting: Vec::new(),
        rejections: Vec::new(),
        quarantine: 0,
        documents: 0,
        entries: 0,
        history: Vec::new(),
        files: FilesStanding::default(),
    }
}

/// The head of its pages.
pub(super) fn not_enrolled(demo: bool) -> Header {
    Header {
        site: None,
        node: NodeId([0; 8]),
        custody: Custody::default(),
        pill: Pill {
            tone: Tone::Warn,
            words: "本机尚未加入任何县".to_owned(),
        },
        clock_suspect: false,
        demo,
    }
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

/// The newest session shown in which a proof did not match.
///
/// # Errors
/// Those of the database.
pub(crate) fn repair(g: &Ground<'_>) -> Result<Option<Repair>> {
    let mut exchanges = g.db.exchanges(SHOWN_MAX as u32)?.into_iter();
    let differed = exchanges.find(|e| e.repaired > 0 || e.result == "differs");
    Ok(differed.map(|e| Repair {
        at: e.at,
        peer: g.node_name(e.node),
        repaired: e.repaired,
        equal: e.result != "differs",
    }))
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
    let notes = g.db.peers()?;
    let notes: BTreeMap<NodeId, PeerNote> =
        notes.into_iter().map(|n| (n.sighting.node, n)).collect();
    let held: BTreeMap<NodeId, (u64, Millis)> =
        rows(g.conn(), query!("node_custody"), &[], |row| {
            let count = row.get::<_, i64>("held")?.cast_unsigned();
            Ok((NodeId(row.get(0)?), (count, Millis(row.get("at")?))))
        })?
        .into_iter()
        .collect();
    let mut out: Vec<NodeRow> = Vec::new();
    for entry in &g.trust.roster().nodes {
        let own = (entry.node == g.node).then(|| g.db.identity());
        let own = own.transpose()?;
        let note = notes.get(&entry.node).filter(|_| own.is_none());
        let seen = note.map(|n| &n.sighting);
        let held = held.get(&entry.node);
        let backlog = seen.map_or(0, |s| {
            s.written
                .saturating_sub(held.map_or(0, |(count, _)| *count))
        });
        let waits = seen.and_then(|s| s.waiting_since).filter(|_| backlog > 0);
        let version = || env!("CARGO_PKG_VERSION").to_owned();
        out.push(NodeRow {
            node: entry.node,
            site: entry.site,
            site_name: g.node_name(entry.node),
            level: g.site_of(entry.site).level,
            status: entry.status,
            connected: own.is_some()
                || peers
                    .iter()
                    .any(|p| p.node == entry.node && p.state == CONNECTED),
            last_seen: seen.map(|s| s.at).or_else(|| own.as_ref().map(|_| g.now)),
            via: note.and_then(|n| n.via).map(|node| g.node_name(node)),
            custody_at: held.map(|(_, at)| *at),
            backlog,
            backlog_oldest_s: waits.map_or(0, |at| (g.now.since(at).max(0) / 1000).unsigned_abs()),
            clock_offset_s: seen.and_then(|s| s.clock_offset_ms).map(|ms| ms / 1000),
            version: seen
                .map(|s| s.product.clone())
                .or_else(|| own.as_ref().map(|_| version())),
            epoch: seen
                .map(|s| s.epoch)
                .or_else(|| own.map(|own| own.writer.epoch)),
        });
    }
    out.sort_by_key(|n| (std::cmp::Reverse(n.level), n.site, n.node));
    Ok(out)
}
