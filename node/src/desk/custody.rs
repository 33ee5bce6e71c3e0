//! How far a case got (存证状态), and what the header says of it. Told from receipts that are
//! stored here and signed by who holds the entries; never from whether a cable is plugged in.

use cuntong_protocol::{
    calendar::civil_day,
    id::{CaseId, DocId, Kind, NodeId},
    role::Level,
    time::{ClockState, Millis},
};
use cuntong_web::desk::{CaseCustody, Custody, PeerRow, Pill, ReceiptRow, Tone};
use data_encoding::HEXLOWER;
use jiff::{Timestamp, tz::Offset};

use super::{
    ground::{Ground, query, rows},
    links::Peer,
};
use crate::store::Result;

const HOUR_S: u64 = 3_600;
/// Older than this, what waits turns the header amber.
const OLD_S: u64 = 24 * HOUR_S;
/// Older than this, red.
const TOO_OLD_S: u64 = 72 * HOUR_S;
/// Bytes of a receipt's signature shown to compare by eye.
const SIGNATURE_SHOWN: usize = 8;

/// A receipt line over one log.
struct Line {
    holder: NodeId,
    seq: u64,
    at: Millis,
}

/// One log that holds entries of a case.
struct Part {
    log: i64,
    node: NodeId,
    seq: u64,
    at: Millis,
}

/// How far the case's entries got, the worst of them. A village speaks of what it wrote; a
/// township of that and of what its villages wrote; what the county holds, the county has.
///
/// # Errors
/// Those of the database.
pub(crate) fn of_case(g: &Ground<'_>, case: CaseId) -> Result<CaseCustody> {
    let docs = docs(case);
    let mut rejected = g.conn().prepare_cached(query!("rejected"))?;
    if rejected.exists((docs.0, docs.1, g.node.0))? {
        return Ok(CaseCustody::Rejected);
    }
    let mut worst: Option<CaseCustody> = None;
    for part in parts(g, case)? {
        let Some(custody) = of_part(g, &part)? else {
            continue;
        };
        if worst.is_none_or(|w| rank(custody) < rank(w)) {
            worst = Some(custody);
        }
    }
    Ok(worst.unwrap_or(CaseCustody::Local))
}

/// Custody of the entries of one log; none when they came from above.
fn of_part(g: &Ground<'_>, part: &Part) -> Result<Option<CaseCustody>> {
    if g.level == Level::County {
        return Ok(Some(CaseCustody::County(part.at)));
    }
    let own = part.node == g.node;
    let writer = g.node_site(part.node);
    let answers = writer.is_some_and(|(site, level)| level < g.level || site == g.site);
    if !own && !answers {
        return Ok(None);
    }
    let (mut township, mut county) = (None, None);
    for line in lines(g, part.log)?.iter().filter(|l| l.seq >= part.seq) {
        match g.node_site(line.holder).map(|(_, level)| level) {
            Some(Level::County) => county = county.max(Some(line.at)),
            Some(Level::Township) => township = township.max(Some(line.at)),
            Some(Level::Village) | None => {}
        }
    }
    if !own {
        // A township holds what its villages wrote; another machine's work came from above.
        township = township.max(Some(part.at));
    }
    Ok(Some(match (county, township) {
        (Some(at), _) => CaseCustody::County(at),
        (None, Some(at)) => CaseCustody::Township(at),
        (None, None) if g.sending => CaseCustody::Sending,
        (None, None) => CaseCustody::Local,
    }))
}

/// Order from worst to best; among equals the later time is the worse.
fn rank(custody: CaseCustody) -> (u8, i64) {
    match custody {
        CaseCustody::Rejected => (0, 0),
        CaseCustody::Local => (1, 0),
        CaseCustody::Sending => (2, 0),
        CaseCustody::Township(at) => (3, -at.0),
        CaseCustody::County(at) => (4, -at.0),
    }
}

fn docs(case: CaseId) -> ([u8; 16], [u8; 16]) {
    (case.doc(Kind::Application).0, case.doc(Kind::Handling).0)
}

fn parts(g: &Ground<'_>, case: CaseId) -> Result<Vec<Part>> {
    let mut statement = g.conn().prepare_cached(query!("case_custody"))?;
    let found = statement.query_map(docs(case), |row| {
        Ok(Part {
            log: row.get("id")?,
            node: NodeId(row.get("node")?),
            seq: row.get::<_, i64>("seq")?.unsigned_abs(),
            at: Millis(row.get("at")?),
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn lines(g: &Ground<'_>, log: i64) -> Result<Vec<Line>> {
    let mut statement = g.conn().prepare_cached(query!("receipt_lines"))?;
    let found = statement.query_map([log], |row| {
        Ok(Line {
            holder: NodeId(row.get("holder")?),
            seq: row.get::<_, i64>("seq")?.unsigned_abs(),
            at: Millis(row.get("at")?),
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Receipts that cover entries of a case, the newest of each holder; the county's first.
///
/// # Errors
/// Those of the database.
pub(crate) fn receipts(g: &Ground<'_>, case: CaseId) -> Result<Vec<ReceiptRow>> {
    let mut out: Vec<ReceiptRow> =
        g.db.standings(case)?
            .into_iter()
            .map(|standing| ReceiptRow {
                holder: standing.holder,
                level: standing.level,
                site_name: g.site_name(standing.site),
                at: standing.at,
                signature: HEXLOWER.encode(&standing.signature[..SIGNATURE_SHOWN]),
            })
            .collect();
    out.sort_by_key(|r| (std::cmp::Reverse(r.level), r.holder));
    Ok(out)
}

/// Documents with own entries that no county receipt covers, oldest first.
///
/// # Errors
/// Those of the database.
pub(crate) fn local_docs(g: &Ground<'_>, limit: u64) -> Result<Vec<(DocId, Millis)>> {
    if g.level == Level::County {
        return Ok(Vec::new());
    }
    Ok(rows(
        g.conn(),
        query!("cases_local"),
        &[
            (":county", &hex_list(&g.county_nodes())),
            (":node", &g.node.0),
            (":limit", &(limit as i64)),
        ],
        |row| Ok((DocId(row.get(0)?), Millis(row.get(1)?))),
    )?)
}

/// The cases among them.
///
/// # Errors
/// Those of the database.
pub(crate) fn local_cases(g: &Ground<'_>, limit: u64) -> Result<Vec<CaseId>> {
    let mut out: Vec<CaseId> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (doc, _) in local_docs(g, limit)? {
        if let Some(case) = doc.case()
            && seen.insert(case)
        {
            out.push(case);
        }
    }
    Ok(out)
}

/// Node ids as a JSON list of hexadecimal, for `unhex` in a query.
pub(crate) fn hex_list(nodes: &[NodeId]) -> String {
    let all: Vec<String> = nodes
        .iter()
        .map(|n| format!("\"{}\"", HEXLOWER.encode(&n.0)))
        .collect();
    format!("[{}]", all.join(","))
}

/// Newest receipt of each holder over what this node wrote.
///
/// # Errors
/// Those of the database.
pub(crate) fn newest_receipts(g: &Ground<'_>) -> Result<Vec<(NodeId, Millis)>> {
    let mut statement = g.conn().prepare_cached(query!("receipt_newest"))?;
    let found = statement.query_map([g.node.0], |row| {
        Ok((NodeId(row.get(0)?), Millis(row.get(1)?)))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What the header says is built from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) county: bool,
    pub(crate) custody: Custody,
    /// Documents that wait, for the words.
    pub(crate) documents: u64,
    pub(crate) rejected: u64,
    pub(crate) clock: ClockState,
}

/// The header's words: the worst of refusals, clock, age of what waits, and link.
pub(crate) fn pill(standing: &Standing, upstream: &[PeerRow], now: Millis) -> Pill {
    let (tone, words) = if standing.rejected > 0 {
        (
            Tone::Bad,
            format!("退回 {} 条,请到退回箱查看", standing.rejected),
        )
    } else if standing.county {
        (Tone::Ok, "县级枢纽 · 本机已存".to_owned())
    } else {
        backlog(standing, upstream, now)
    };
    if standing.clock == ClockState::Suspect {
        return Pill {
            tone: tone.max(Tone::Warn),
            words: format!("时钟可疑 · {words}"),
        };
    }
    Pill { tone, words }
}

fn backlog(standing: &Standing, upstream: &[PeerRow], now: Millis) -> (Tone, String) {
    let connected = upstream.iter().any(|p| p.state == super::links::CONNECTED);
    let away = if upstream.iter().any(PeerRow::rests) {
        "按约定时间联系"
    } else {
        "未联网"
    };
    let why = upstream
        .iter()
        .find_map(|p| p.reason.as_ref())
        .filter(|_| !connected)
        .map(|(_, words)| format!(" · {words}"))
        .unwrap_or_default();
    if standing.documents == 0 {
        return match standing.custody.county_at {
            Some(at) if connected => (Tone::Ok, format!("县里已收 {}", clock_words(at, now))),
            Some(at) => (
                Tone::Info,
                format!("县里已收 {} · {away}{why}", clock_words(at, now)),
            ),
            None if connected => (Tone::Ok, "已连接 · 没有待上报".to_owned()),
            None => (Tone::Info, format!("本机已存 · {away}{why}")),
        };
    }
    let age = standing.custody.oldest_s;
    let tone = if age > TOO_OLD_S {
        Tone::Bad
    } else if age > OLD_S {
        Tone::Warn
    } else {
        Tone::Info
    };
    let words = if connected {
        format!("上报中 · 还有 {} 件", standing.documents)
    } else {
        format!(
            "待上报 {} 件 · 最早 {}前{why}",
            standing.documents,
            age_words(age)
        )
    };
    (tone, words)
}

/// `16:42` today, `11-20 16:42` on other days.
fn clock_words(at: Millis, now: Millis) -> String {
    let Ok(stamp) = Timestamp::from_millisecond(at.0) else {
        return String::new();
    };
    let local = Offset::constant(8).to_datetime(stamp);
    let hour = format!("{:02}:{:02}", local.hour(), local.minute());
    if civil_day(at) == civil_day(now) {
        hour
    } else {
        format!("{:02}-{:02} {hour}", local.month(), local.day())
    }
}

/// `3 小时`, `2 天`.
pub(crate) fn age_words(seconds: u64) -> String {
    match seconds {
        0..60 => "不到 1 分钟".to_owned(),
        60..HOUR_S => format!("{} 分钟", seconds / 60),
        HOUR_S..OLD_S => format!("{} 小时", seconds / HOUR_S),
        OLD_S.. => format!("{} 天", seconds / OLD_S),
    }
}

/// A link as the page of synchronisation shows it.
pub(crate) fn peer_row(g: &Ground<'_>, peer: &Peer, receipts: &[(NodeId, Millis)]) -> PeerRow {
    let (name, level) = g.node_site(peer.node).map_or_else(
        || (peer.node.to_string(), Level::Village),
        |(_, level)| (g.node_name(peer.node), level),
    );
    PeerRow {
        name,
        level,
        upstream: peer.upstream,
        state: peer.state.to_owned(),
        reason: peer
            .reason
            .map(|code| (code.to_owned(), super::links::reason_words(code).to_owned())),
        next_try_s: peer.next_try_s,
        why: peer.why.to_owned(),
        custody_at: receipts
            .iter()
            .find(|(holder, _)| *holder == peer.node)
            .map(|(_, at)| *at),
        last_session_at: peer.last_session_at,
        carrier: peer.carrier.map(str::to_owned),
        beginning: peer.beginning,
    }
}
