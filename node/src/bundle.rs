//! 数据包: what this node has for another, as a file on a stick, and back.
//!
//! A bundle says what a session would say, without hearing an answer: `content` gathers the
//! messages and takes them in, `file` seals, reads and checks the file. Taking one in twice does
//! no harm, and what it acknowledges travels back in the next bundle the other way.

use std::path::{Path, PathBuf};

use cuntong_protocol::{
    control::{NodeEntry, NodeStatus, signed::Trust},
    id::{NodeId, SiteId},
    policy,
    sync::Peer,
    time::Millis,
    wire::bundle::Header,
};
use cuntong_provisioning::county::places::find_place;
use serde::Serialize;

mod carry;
mod content;
mod file;
mod files;
mod offer;
mod progress;

pub use content::{Account, Plan, outgoing, plan, take};
use file::{Copy, Said, Written};
pub use offer::{Fate, Offer, look};
pub use progress::Progress;

use crate::{
    exit::{Exit, Failure},
    identity::Papers,
    intake::Door,
    store::{Linked, StoreError},
};

/// Where a bundle is kept while it is looked at.
const STAGING: &str = "staging";
/// What names of bundles end with.
pub const EXTENSION: &str = "ctb";

/// A bundle that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    pub file: PathBuf,
    pub peer: NodeId,
    pub peer_name: String,
    /// What is in it, for the person who carries it.
    pub words: String,
    pub entries: u64,
    pub messages: u64,
    pub bytes: u64,
    /// Bundles of others for the same receiver that were put beside it.
    pub carried: u64,
    /// Attached files in it.
    pub files: u64,
    /// Attached files that the next one brings.
    pub files_left: u64,
}

/// A bundle that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub peer: NodeId,
    pub peer_name: String,
    /// The account, for the person who brought it.
    pub words: String,
    /// It is for another node, and is kept for the next stick that goes there.
    pub kept: bool,
    #[serde(flatten)]
    pub account: Account,
}

/// Writes what this node has for `peer` to `to`, a folder or a file that does not exist yet;
/// success is said once it is on the stick.
///
/// # Errors
/// No such peer, or one that may not have anything; a failing or full disk or stick.
pub fn export(node: &Door, to: &Path, peer: Option<&str>) -> Result<Exported, Failure> {
    let (trust, papers, own) = ground(node)?;
    let (entry, peer) = find(&trust, own, peer)?;
    if entry.recipient.is_empty() {
        return Err(Failure::new(
            Exit::NotPermitted,
            format!(
                "{} 入册较早，没有数据包的封装密钥；请县里给它重新入网",
                entry.node
            ),
        ));
    }
    let now = node.clock.now();
    let mine = policy::scopes_read_by(trust.places(), own);
    let theirs = policy::scopes_read_by(trust.places(), peer.site);
    let product = env!("CARGO_PKG_VERSION").to_owned();
    let shared = content::shared(&mine, &theirs);
    let plan = {
        let peer = peer.clone();
        node.store
            .write(move |db| plan(&mut Linked::new(db, now), &peer, &mine, &theirs, product))
    };
    let plan = plan?;
    let header = Header {
        county: trust.county(),
        from: papers.keys.node(),
        to: entry.node,
        at: now,
        entries: plan.entries,
        written: plan.written,
    };
    let folder = to.is_dir().then_some(to);
    let path = match folder {
        Some(folder) => {
            file::clear(folder, &name_for(&trust, &header, false));
            folder.join(name_for(&trust, &header, true))
        }
        None => to.to_owned(),
    };
    let mut written = Written::create(&path, &header, &entry.recipient)?;
    let entries = outgoing(
        plan,
        |log, after| Ok(node.store.read(move |db| db.batch(&log, after))?),
        |message| written.say(message),
    )?;
    let packed = files::outgoing(node, &peer, &shared, |message| written.give(message))?;
    let (messages, bytes) = written.finish(&papers.keys.sign.signing())?;
    let carried = match folder {
        Some(folder) => carry::hand_on(node, &trust, folder, entry.node)?,
        None => 0,
    };
    Ok(Exported {
        carried,
        words: words(entries, packed),
        files: packed.files,
        files_left: packed.left,
        file: path,
        peer: entry.node,
        peer_name: name_of(&trust, entry.site),
        entries,
        messages,
        bytes,
    })
}

fn words(entries: u64, packed: files::Packed) -> String {
    let mut words = format!("{entries} 条记录");
    if packed.files > 0 {
        words += &format!("，{} 个附件", packed.files);
    }
    if packed.left > 0 {
        words += &format!("；另有 {} 个附件装不下，下次再带", packed.left);
    }
    words
}

/// How many bundles of others are kept here.
pub fn carried(node: &Door) -> u64 {
    carry::kept(node).len() as u64
}

/// Takes in a bundle: it is copied, checked from end to end, and only then taken. One for a node
/// further on is kept for the next stick that goes there.
///
/// # Errors
/// It is not a bundle, not for this node or one beyond it, not whole, or not from a node in force;
/// a full disk.
pub fn import(node: &Door, path: &Path) -> Result<Imported, Failure> {
    import_watched(node, path, &Progress::default())
}

/// The same, telling meanwhile how far it is.
///
/// # Errors
/// As [`import`].
pub fn import_watched(node: &Door, path: &Path, far: &Progress) -> Result<Imported, Failure> {
    let mut file = file::brought(path)?;
    far.begins(file.metadata().map_or(0, |about| about.len()));
    import_from(node, &mut file, far)
}

/// The same for what was read already.
///
/// # Errors
/// As [`import`].
pub fn import_from(
    node: &Door,
    bytes: &mut dyn std::io::Read,
    far: &Progress,
) -> Result<Imported, Failure> {
    let (trust, papers, own) = ground(node)?;
    let mut copy = file::stage(&mut far.reading(bytes), &node.dir.join(STAGING))?;
    let header = copy.header()?;
    if header.county != trust.county() {
        return Err(Failure::new(Exit::NotPermitted, "这个数据包属于另一个县"));
    }
    let (entry, peer) = sender(&trust, own, header.from)?;
    if header.to != papers.keys.node() {
        return carry::keep(node, &trust, own, &mut copy, &header);
    }
    copy.is_whole(&entry.sign_key)?;
    copy.check(&header, &papers.keys.open, &entry.sign_key)?;
    let account = taken(node, &mut copy, &header, &papers, (&trust, own, &peer), far)?;
    Ok(Imported {
        peer: entry.node,
        peer_name: name_of(&trust, entry.site),
        words: account.zh(),
        kept: false,
        account,
    })
}

/// Takes the messages of a bundle that was checked.
fn taken(
    node: &Door,
    copy: &mut Copy,
    header: &Header,
    papers: &Papers,
    (trust, own, peer): (&Trust, SiteId, &Peer),
    far: &Progress,
) -> Result<Account, Failure> {
    let mine = policy::scopes_read_by(trust.places(), own);
    let theirs = policy::scopes_read_by(trust.places(), peer.site);
    let mut account = Account::new(header.at, &mine, &theirs);
    let shared = content::shared(&mine, &theirs);
    let mut files = files::Incoming::new(node, peer, &shared);
    let mut messages = copy.open(header, &papers.keys.open)?;
    while let Some(said) = messages.next()? {
        let message = match said {
            Said::Message(message) => *message,
            Said::File(message) => {
                files.take(message, &mut account)?;
                continue;
            }
        };
        let now = node.clock.now();
        let (peer, mut so_far) = (peer.clone(), account);
        let done = node.store.write(move |db| {
            let news = take(&mut Linked::new(db, now), &peer, message, &mut so_far)?;
            Ok::<_, StoreError>((so_far, news))
        });
        let (after, news) = done?;
        account = after;
        far.taken(&account, header.entries);
        content::tell(&node.news, news);
    }
    let now = node.clock.now();
    let done = node.store.write(move |db| db.adopt_orphans(now));
    let _own = done?;
    Ok(account)
}

fn ground(node: &Door) -> Result<(std::sync::Arc<Trust>, Papers, SiteId), Failure> {
    let read = |db: &crate::store::Db| Ok((db.shared_trust()?, Papers::load(db)?, db.site()?));
    let (trust, papers, site) = node.store.read(read)?;
    let papers = papers.ok_or(cuntong_protocol::refusal::Refusal::NotEnrolled)?;
    Ok((trust, papers, site))
}

fn peer_of(trust: &Trust, own: SiteId, entry: &NodeEntry) -> Option<Peer> {
    let place = trust.places().site(entry.site)?;
    Some(Peer {
        node: entry.node,
        site: entry.site,
        level: place.level,
        upstream: trust.places().above(own).contains(&entry.site),
    })
}

/// The node meant: `hub`, `township`, a node's id, or a site by id, code or name; the nearest
/// above this one when nothing is said.
fn find<'a>(
    trust: &'a Trust,
    own: SiteId,
    wanted: Option<&str>,
) -> Result<(&'a NodeEntry, Peer), Failure> {
    let places = trust.places();
    let above = places.above(own);
    let site = match wanted {
        None => above.first().copied(),
        Some("hub") => above.last().copied(),
        Some("township") => above.first().copied().filter(|_| above.len() > 1),
        Some(text) => trust
            .roster()
            .nodes
            .iter()
            .find(|n| n.node.to_string() == text)
            .map(|n| n.site)
            .or_else(|| find_place(places, text).map(|p| p.site)),
    };
    let node = |n: &&NodeEntry| {
        Some(n.site) == site
            && n.status == NodeStatus::Active
            && wanted.is_none_or(|text| !text.starts_with("n-") || n.node.to_string() == text)
    };
    let entry = trust.roster().nodes.iter().find(node).ok_or_else(|| {
        Failure::usage(match wanted {
            Some(text) => format!("没有在用的节点 {text}"),
            None => "本机没有上级；请用 --peer 指明给谁".to_owned(),
        })
    })?;
    let peer = peer_of(trust, own, entry).filter(|_| entry.site != own);
    let peer = peer.ok_or_else(|| Failure::usage("数据包不能给本站点自己"))?;
    Ok((entry, peer))
}

fn sender(trust: &Trust, own: SiteId, from: NodeId) -> Result<(&NodeEntry, Peer), Failure> {
    let entry = trust.node(from);
    let entry = entry.ok_or_else(|| {
        Failure::new(
            Exit::NotPermitted,
            format!("名册中没有做这个数据包的节点 {from}"),
        )
    })?;
    if entry.status != NodeStatus::Active {
        return Err(Failure::new(
            Exit::NotPermitted,
            format!("做这个数据包的节点 {from} 已停用"),
        ));
    }
    let peer = peer_of(trust, own, entry);
    let peer = peer.ok_or_else(|| Failure::fault("站点表中没有对方的站点"))?;
    Ok((entry, peer))
}

fn name_of(trust: &Trust, site: SiteId) -> String {
    let place = trust.places().site(site);
    place.map_or_else(|| site.to_string(), |place| place.name.clone())
}

/// What the file of a bundle is called on a stick; without the moment, what all of that pair are.
fn name_for(trust: &Trust, header: &Header, whole: bool) -> String {
    let site = |id| trust.roster().node(id).map(|node| node.site);
    let name = |id: NodeId| site(id).map_or_else(|| id.to_string(), |site| name_of(trust, site));
    let pair = format!("{}-{}-", name(header.from), name(header.to));
    if whole {
        format!("{pair}{}.{EXTENSION}", stamp(header.at))
    } else {
        pair
    }
}

/// The moment on the wall, fit for the name of a file.
fn stamp(at: Millis) -> String {
    let day = cuntong_protocol::calendar::civil_day(at);
    // 8 hours: the one time zone of the country.
    let seconds = (at.0.div_euclid(1000) + 8 * 3_600).rem_euclid(86_400);
    let (minutes, s) = (seconds / 60, seconds % 60);
    format!("{day}-{:02}{:02}{s:02}", minutes / 60, minutes % 60)
}
