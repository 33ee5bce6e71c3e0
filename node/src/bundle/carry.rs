//! Bundles for others: a township keeps what its villages sealed to the county, and what the county
//! sealed to them, until a stick goes that way.
//!
//! It cannot open them. That they are whole and from whom they say is told by their envelope, before
//! they are kept. What is lost here is lost for a while only: its sender says it again in its next
//! bundle, as long as it has no receipt.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cuntong_protocol::{
    control::{NodeStatus, signed::Trust},
    id::{NodeId, SiteId},
    limits::{CARRIED_BYTES_MAX, CARRIED_MAX, CARRIED_MS_MAX, CARRIED_PAIR_MAX},
    wire::bundle::Header,
};

use super::{
    Account, Copy, EXTENSION, Imported,
    file::{self, of_file},
    name_for, name_of,
};
use crate::{
    exit::{Exit, Failure},
    intake::Door,
};

/// Where they are kept, under the node's own folder.
const FOLDER: &str = "carried";

/// One that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    header: Header,
    path: PathBuf,
    bytes: u64,
}

impl Carried {
    fn pair(&self) -> (NodeId, NodeId) {
        (self.header.from, self.header.to)
    }

    /// Newer ones of a pair hold whatever the older ones do, but for what was received.
    fn age(&self) -> (u64, i64) {
        (self.header.written, self.header.at.0)
    }
}

/// Whether this site lies between the two nodes, on the way from one to the other.
pub(super) fn on_the_way(trust: &Trust, own: SiteId, header: &Header) -> bool {
    let site = |node| {
        let entry = trust.roster().node(node)?;
        (entry.status == NodeStatus::Active).then_some(entry.site)
    };
    let (Some(from), Some(to)) = (site(header.from), site(header.to)) else {
        return false;
    };
    let above = |low, high| trust.places().above(low).contains(&high);
    (above(from, own) && above(own, to)) || (above(to, own) && above(own, from))
}

/// What is kept, oldest first.
pub(super) fn kept(node: &Door) -> Vec<Carried> {
    let Ok(names) = fs::read_dir(node.dir.join(FOLDER)) else {
        return Vec::new();
    };
    let mut all: Vec<_> = names
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            if path.extension()? != EXTENSION {
                return None;
            }
            let (header, bytes) = file::peek(&path).ok()?;
            Some(Carried {
                header,
                path,
                bytes,
            })
        })
        .collect();
    all.sort_by_key(|carried| (carried.pair(), carried.age()));
    all
}

/// Keeps a bundle that is for another node.
///
/// # Errors
/// This node is not on its way, the file is not whole, or too much is kept already.
pub(super) fn keep(
    node: &Door,
    trust: &Trust,
    own: SiteId,
    copy: &mut Copy,
    header: &Header,
) -> Result<Imported, Failure> {
    let entry = |id| trust.roster().node(id);
    let name = |id: NodeId| entry(id).map_or_else(|| id.to_string(), |n| name_of(trust, n.site));
    let whose = name(header.to);
    let Some(sender) = entry(header.from).filter(|_| on_the_way(trust, own, header)) else {
        return Err(Failure::new(
            Exit::NotPermitted,
            format!("这个数据包是给 {whose} 的，本机不能打开，也不在它要经过的路上"),
        ));
    };
    copy.is_whole(&sender.sign_key)?;
    tidy(node)?;
    let brought = Carried {
        header: *header,
        path: node.dir.join(FOLDER).join(format!(
            "{}-{}-{}.{EXTENSION}",
            header.from, header.to, header.at.0
        )),
        bytes: copy.length()?,
    };
    let mut all = kept(node);
    let mut words =
        format!("已代为收下给 {whose} 的一份（本机打不开，也改不了）；下次给它做数据包时一并带去");
    if all.iter().any(|old| old.header == *header) {
        words = format!("给 {whose} 的这一份早已代为收下");
    } else {
        for old in superseded(&all, &brought) {
            fs::remove_file(&old).map_err(|e| of_file(&old, &e))?;
            all.retain(|carried| carried.path != old);
        }
        let bytes: u64 = all.iter().map(|carried| carried.bytes).sum();
        if bytes + brought.bytes > CARRIED_BYTES_MAX || all.len() >= CARRIED_MAX {
            return Err(Failure::new(
                Exit::TryLater,
                "本机代为保管的数据包已满：请先把它们带去，再收这一份",
            ));
        }
        fs::create_dir_all(node.dir.join(FOLDER)).map_err(Failure::fault)?;
        copy.put(&brought.path)?;
    }
    Ok(Imported {
        peer: header.from,
        peer_name: name(header.from),
        words,
        kept: true,
        account: Account::new(header.at, &[], &[]),
    })
}

/// Those of the same pair that need not be kept beside the one that was brought: what it holds as
/// well, and the oldest beyond a few. (A node that was set back has written less than before: what
/// it sent earlier is not in its newer ones.)
fn superseded(all: &[Carried], brought: &Carried) -> Vec<PathBuf> {
    let pair: Vec<_> = all.iter().filter(|c| c.pair() == brought.pair()).collect();
    let holds = |old: &&&Carried| {
        old.header.written <= brought.header.written && old.header.at <= brought.header.at
    };
    let (mut gone, rest): (Vec<_>, Vec<_>) = pair.iter().partition(holds);
    let beyond = (rest.len() + 1).saturating_sub(CARRIED_PAIR_MAX);
    gone.extend(rest.into_iter().take(beyond));
    gone.into_iter().map(|c: &Carried| c.path.clone()).collect()
}

/// Puts what is kept for a node into a folder on a stick; how many there are now.
///
/// # Errors
/// A failing or full stick.
pub(super) fn hand_on(
    node: &Door,
    trust: &Trust,
    folder: &Path,
    to: NodeId,
) -> Result<u64, Failure> {
    tidy(node)?;
    let mut count = 0;
    for carried in kept(node).iter().filter(|c| c.header.to == to) {
        let path = folder.join(name_for(trust, &carried.header, true));
        let there = fs::metadata(&path).is_ok_and(|about| about.len() == carried.bytes);
        if !there {
            file::put(&mut file::brought(&carried.path)?, &path)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Drops what arrived, and what is too old to be waited for.
fn tidy(node: &Door) -> Result<(), Failure> {
    let now = node.clock.now();
    for carried in kept(node) {
        let (from, to, written) = {
            let header = &carried.header;
            (header.from, header.to, header.written)
        };
        let held = node.store.read(move |db| db.receipted_by(to))?;
        let of_sender = held.iter().filter(|(log, _)| log.writer.node == from);
        let held: u64 = of_sender.map(|(_, head)| head.seq).sum();
        let old = file::age(&carried.path, now).is_some_and(|age| age > CARRIED_MS_MAX);
        if old || held >= written {
            tracing::info!(%from, %to, old, "a bundle for another is kept no longer");
            fs::remove_file(&carried.path).map_err(|e| of_file(&carried.path, &e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::{id::County, time::Millis};

    use super::*;

    fn carried(from: u8, written: u64, at: i64) -> Carried {
        Carried {
            header: Header {
                county: County([0; 16]),
                from: NodeId([from; 8]),
                to: NodeId([9; 8]),
                at: Millis(at),
                entries: 1,
                written,
            },
            path: PathBuf::from(format!("{from}-{written}-{at}")),
            bytes: 1,
        }
    }

    fn gone(all: &[Carried], brought: &Carried) -> Vec<String> {
        let paths = superseded(all, brought).into_iter();
        paths.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_newer_bundle_takes_the_place_of_an_older_one_of_the_same_village_only() {
        let all = [carried(1, 5, 100), carried(1, 7, 200), carried(2, 3, 100)];
        assert_eq!(gone(&all, &carried(1, 9, 300)), ["1-5-100", "1-7-200"]);
        assert_eq!(gone(&all, &carried(2, 3, 400)), ["2-3-100"]);
    }

    #[test]
    fn what_a_village_sent_before_it_was_set_back_is_kept_beside_what_it_sends_now() {
        let all = [carried(1, 50, 100)];
        assert!(gone(&all, &carried(1, 4, 300)).is_empty());
        // An older stick that is found late.
        assert!(gone(&all, &carried(1, 40, 50)).is_empty());
    }

    #[test]
    fn a_village_whose_clock_goes_mad_does_not_fill_the_disk() {
        let all: Vec<_> = (0..4).map(|n| carried(1, 47 + n, 103 - n as i64)).collect();
        let brought = carried(1, 10, 90);
        assert_eq!(gone(&all, &brought), ["1-47-103"]);
    }
}
