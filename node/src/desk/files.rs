//! Attached files as people see them: where each is, and what holds the others up.

use cuntong_protocol::{
    case::Case,
    command::Actor,
    id::{BlobHash, PersonId},
    refusal::Refusal,
    role::Level,
};
use cuntong_web::desk::{Brought, FileRow, FileWhere, FilesStanding};
use data_encoding::HEXLOWER;

use super::{NodeDesk, ground::Ground, links};
use crate::{
    blobs::{Blobs, Full},
    config::Transfers,
    store::Result,
};

/// The files of the node and when they may move.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) blobs: Blobs,
    pub(super) attachments: Transfers,
    pub(super) metered: bool,
}

/// Where the files of a case are.
///
/// # Errors
/// Those of the database.
pub(super) fn rows(g: &Ground<'_>, case: &Case) -> Result<Vec<FileRow>> {
    let mut rows = Vec::new();
    for (event, attach) in case.attachments() {
        let small_here = match attach.thumbnail {
            Some(small) => g.db.blob_held(small.hash)?.is_some(),
            None => false,
        };
        let holders = g.db.blob_holders(attach.hash)?;
        let levels = holders.into_iter().filter_map(|node| g.node_site(node));
        let above = levels.map(|(_, level)| match level {
            Level::County => FileWhere::County,
            Level::Township if g.level < Level::Township => FileWhere::Township,
            Level::Township | Level::Village => FileWhere::Nowhere,
        });
        rows.push(FileRow {
            act: event.id,
            here: g.db.blob_held(attach.hash)? == Some(attach.size),
            small_here,
            above: above.max().unwrap_or(FileWhere::Nowhere),
            own_level_is_top: g.level == Level::County,
        });
    }
    Ok(rows)
}

impl NodeDesk {
    /// Counts of files, and why they wait.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn files_standing(&self) -> Result<FilesStanding> {
        let Some(files) = &self.files else {
            return Ok(FilesStanding::default());
        };
        let (counts, level) = self.look(|g| Ok((g.db.blob_counts()?, g.level)))?;
        let mut standing = FilesStanding {
            held: counts.held,
            wanted: counts.wanted,
            unsent: if level == Level::County {
                (0, 0)
            } else {
                counts.unsent
            },
            held_up: Vec::new(),
        };
        let waits = standing.wanted.0 + standing.unsent.0 > 0;
        let mut because = |words: &str| standing.held_up.push(words.to_owned());
        let state = files.blobs.state();
        match state.full {
            Some(Full::Disk) => because("磁盘空间不足，暂不接收附件；办件照常。"),
            Some(Full::Quota) => because("附件已占满限额，暂不接收附件；办件照常。"),
            None => {}
        }
        if state.spoiled > 0 {
            because("有节点传来的附件与指纹不符，已拒收，将向别的节点再取。");
        }
        if waits {
            for why in files.why(self) {
                because(&why);
            }
        }
        Ok(standing)
    }

    /// Keeps a file a person brought, on this thread.
    ///
    /// # Errors
    /// In words: too large, of another kind, no room.
    pub fn bring_blocking(
        &self,
        actor: &Actor,
        name: &str,
        bytes: &[u8],
    ) -> std::result::Result<Brought, Refusal> {
        let files = self.files.as_ref().ok_or(Refusal::NotEnrolled)?;
        let now = self.clock.now();
        let person: PersonId = actor.person;
        let (token, attach) = files.blobs.stage(person, name, bytes, &self.store, now)?;
        Ok(Brought {
            token: HEXLOWER.encode(&token),
            attach,
        })
    }

    /// What the same person brought under a token, on this thread.
    pub(super) fn brought_blocking(&self, person: PersonId, token: &str) -> Option<Brought> {
        let bytes = HEXLOWER.decode(token.as_bytes()).ok()?;
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        let found = self.store.read(move |db| db.staged(bytes, person));
        let attach = found.ok().flatten()?;
        Some(Brought {
            token: token.to_owned(),
            attach,
        })
    }

    /// The bytes of a file that is here, on this thread.
    pub(super) fn file_blocking(&self, hash: BlobHash) -> Option<Vec<u8>> {
        let files = self.files.as_ref()?;
        match files.blobs.read(hash) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(%hash, %error, "an attached file cannot be read");
                None
            }
        }
    }
}

impl Files {
    /// Why files do not move now, as far as this node knows.
    fn why(&self, desk: &NodeDesk) -> Vec<String> {
        let mut why = Vec::new();
        if self.metered {
            why.push("线路按流量计费，附件暂停；办件照常。".to_owned());
        } else if !self.attachments.allow(desk.clock.now()) {
            why.push(match &self.attachments {
                Transfers::Off => "已设为不传附件；办件照常。".to_owned(),
                when @ (Transfers::Always | Transfers::Within(_)) => {
                    format!("附件只在 {when} 传；办件照常。")
                }
            });
        }
        let peers = desk.links.peers();
        if !peers.iter().any(|p| p.state == links::CONNECTED) {
            why.push("现在没有连接；连上后自动续传，也可以用 U 盘带去。".to_owned());
        }
        why
    }
}
