//! What a stick offers: the bundles that lie on it, and what may be done with each.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cuntong_protocol::{
    control::{NodeStatus, signed::Trust},
    id::{NodeId, SiteId},
    wire::bundle::Header,
};

use super::{
    EXTENSION, carry,
    file::{self, PARTIAL},
    ground, name_of,
};
use crate::{exit::Failure, intake::Door};

/// Names looked at in one folder.
const NAMES_MAX: usize = 500;

/// A file on a stick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub path: PathBuf,
    /// `None`: it cannot be read.
    pub header: Option<Header>,
    pub bytes: u64,
    /// Names of the two sites; empty where they are not known.
    pub from: String,
    pub to: String,
    pub fate: Fate,
}

/// What may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is for this node.
    Take,
    /// It is for a node further on.
    Carry,
    /// A newer one of the same pair lies beside it.
    Older,
    /// This node made it; it waits to be carried.
    Own,
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What lies in a folder, newest first.
///
/// # Errors
/// This machine is no node. A folder that cannot be read offers nothing.
pub fn look(node: &Door, folder: &Path) -> Result<Vec<Offer>, Failure> {
    let (trust, papers, own) = ground(node)?;
    let own = (papers.keys.node(), own);
    let Ok(names) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut all: Vec<_> = names
        .take(NAMES_MAX)
        .filter_map(|entry| offer(&trust, own, entry.ok()?.path()))
        .collect();
    all.sort_by_key(|offer| {
        let age = offer.header.map(|h| (h.written, h.at));
        (std::cmp::Reverse(age), offer.path.clone())
    });
    let mut newest = BTreeMap::new();
    for offer in &mut all {
        let Some(header) = offer.header else {
            continue;
        };
        let first = newest.entry((header.from, header.to)).or_insert(header.at);
        let taken = matches!(offer.fate, Fate::Take | Fate::Carry);
        if *first > header.at && taken {
            offer.fate = Fate::Older;
        }
    }
    Ok(all)
}

fn offer(trust: &Trust, own: (NodeId, SiteId), path: PathBuf) -> Option<Offer> {
    let end = path.extension()?;
    let nothing = |why| Offer {
        path: path.clone(),
        header: None,
        bytes: 0,
        from: String::new(),
        to: String::new(),
        fate: Fate::Nothing(why),
    };
    if end == PARTIAL {
        return Some(nothing(
            "没有写完（U 盘拔得太早）：请在做它的那台电脑上重做",
        ));
    }
    if end != EXTENSION {
        return None;
    }
    let Ok((header, bytes)) = file::peek(&path) else {
        return Some(nothing("不是数据包，或读不出来"));
    };
    let name = |id| {
        let node = trust.roster().node(id);
        node.map_or_else(String::new, |node| name_of(trust, node.site))
    };
    Some(Offer {
        header: Some(header),
        bytes,
        from: name(header.from),
        to: name(header.to),
        fate: fate(trust, own, &header),
        path,
    })
}

fn fate(trust: &Trust, (own, site): (NodeId, SiteId), header: &Header) -> Fate {
    let sender = trust.roster().node(header.from);
    if header.county != trust.county() {
        Fate::Nothing("属于另一个县")
    } else if header.from == own {
        Fate::Own
    } else if sender.is_none_or(|node| node.status != NodeStatus::Active) {
        Fate::Nothing("做它的电脑不在名册上，或已停用")
    } else if header.to == own {
        Fate::Take
    } else if carry::on_the_way(trust, site, header) {
        Fate::Carry
    } else {
        Fate::Nothing("是给别处的，本机不在它要经过的路上")
    }
}
