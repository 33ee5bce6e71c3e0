//! Attached files in a bundle: after the entries, what the receiver has not said it holds; last, what
//! this node holds, so that nothing is carried back.

use std::collections::BTreeSet;

use cuntong_protocol::{
    blob::{
        Blob,
        message::{BlobMessage, Piece, STATES_MAX, State, Word},
        tree,
    },
    id::Scope,
    limits::{
        ATTACHMENT_BYTES_MAX, BUNDLE_FILES_BYTES_MAX, BUNDLE_FILES_TOLD_MAX, BUNDLE_PIECES_MAX,
    },
    sync::Peer,
};

use super::Account;
use crate::{
    exit::Failure,
    intake::Door,
    store::{Db, StoreError},
};

/// What went into a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) files: u64,
    /// Did not fit: the next one brings them.
    pub(super) left: u64,
}

/// Says the files of these scopes that the receiver is not known to hold: thumbnails first, then the
/// smallest, as many as a stick should have to carry. Then which are here.
///
/// # Errors
/// A failing disk or stick.
pub(super) fn outgoing(
    node: &Door,
    peer: &Peer,
    scopes: &BTreeSet<Scope>,
    mut say: impl FnMut(&BlobMessage) -> Result<(), Failure>,
) -> Result<Packed, Failure> {
    let (scopes, to) = (scopes.clone(), peer.node);
    let held = node.store.read(move |db| db.blobs_here(&scopes, to))?;
    let mut packed = Packed::default();
    let (mut bytes, mut pieces) = (BUNDLE_FILES_BYTES_MAX, BUNDLE_PIECES_MAX);
    for (blob, _) in held.iter().filter(|(_, told)| !told) {
        let groups = u64::from(tree::groups(blob.size));
        if blob.size > bytes || groups > pieces {
            packed.left += 1;
        } else if pack(node, *blob, &mut say)? {
            bytes -= blob.size;
            pieces -= groups;
            packed.files += 1;
        }
    }
    let here = held.iter().map(|(blob, _)| State {
        blob: *blob,
        word: Word::Here,
    });
    let here: Vec<_> = here.take(BUNDLE_FILES_TOLD_MAX).collect();
    for states in here.chunks(STATES_MAX) {
        say(&BlobMessage::States(states.to_vec()))?;
    }
    Ok(packed)
}

/// Says all of a file. One whose bytes are not what they were is not here any more, and is
/// fetched again from whoever has it.
fn pack(
    node: &Door,
    blob: Blob,
    say: &mut impl FnMut(&BlobMessage) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let Some(tree) = node.blobs.tree(&blob)? else {
        tracing::error!(hash = %blob.hash, "an attached file is damaged or gone");
        node.store.write(move |db| db.drop_blob(blob.hash))?;
        return Ok(false);
    };
    for group in 0..tree::groups(blob.size) {
        let path = tree.path(group);
        let path = path.ok_or_else(|| Failure::fault("a file without its tree"))?;
        let bytes = node.blobs.group(&blob, group)?;
        say(&BlobMessage::Piece(Piece {
            blob,
            group,
            path,
            bytes,
        }))?;
    }
    Ok(true)
}

/// Takes files out of a bundle.
pub(super) struct Incoming<'a> {
    node: &'a Door,
    peer: &'a Peer,
    scopes: BTreeSet<Scope>,
    /// The file whose pieces come, while it is wanted.
    current: Option<Blob>,
    /// The file whose pieces came last, wanted or not.
    last: Option<Blob>,
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn new(node: &'a Door, peer: &'a Peer, scopes: &BTreeSet<Scope>) -> Self {
        Self {
            node,
            peer,
            scopes: scopes.clone(),
            current: None,
            last: None,
        }
    }

    /// Takes one message. A piece that does not prove, of a file nobody named, or without what
    /// comes before it, is left.
    ///
    /// # Errors
    /// A failing or full disk: what was kept before stays.
    pub(super) fn take(
        &mut self,
        message: BlobMessage,
        account: &mut Account,
    ) -> Result<(), Failure> {
        match message {
            BlobMessage::States(states) => self.told(&states),
            BlobMessage::Piece(piece) => self.piece(&piece, account),
            // Nobody is there to hear an answer.
            BlobMessage::Ask(_) => Ok(()),
        }
    }

    /// What the sender holds need not be carried to it.
    fn told(&self, states: &[State]) -> Result<(), Failure> {
        let (node, site) = (self.peer.node, self.peer.site);
        let now = self.node.clock.now();
        let here = states.iter().filter(|state| state.word == Word::Here);
        let here: Vec<Blob> = here.map(|state| state.blob).collect();
        let told = self.node.store.write(move |db| {
            for blob in here {
                if db.blob_for(blob, site)? {
                    db.blob_told(blob, node, now)?;
                }
            }
            Ok::<_, StoreError>(())
        });
        Ok(told?)
    }

    fn piece(&mut self, piece: &Piece, account: &mut Account) -> Result<(), Failure> {
        let Piece {
            blob,
            group,
            path,
            bytes,
        } = piece;
        if self.last != Some(*blob) {
            self.begin(*blob, account)?;
        }
        let last = tree::groups(blob.size) - 1;
        let kept = self.node.blobs.kept(blob).min(last);
        if self.current != Some(*blob) || *group != kept {
            return Ok(());
        }
        if !tree::verifies(blob, *group, bytes, path) {
            tracing::warn!(peer = %self.peer.node, hash = %blob.hash, "not the file");
            self.node.blobs.note_spoiled();
            account.files_refused += 1;
            self.leave();
            return Ok(());
        }
        self.node.blobs.keep(blob, *group, bytes)?;
        if *group == last {
            let now = self.node.clock.now();
            let whole = self.node.blobs.complete(blob, &self.node.store, now)?;
            account.files += u64::from(whole);
            account.files_refused += u64::from(!whole);
            self.leave();
        }
        Ok(())
    }

    /// The pieces of another file begin: whether it is wanted here, and there is room.
    fn begin(&mut self, blob: Blob, account: &mut Account) -> Result<(), Failure> {
        self.leave();
        self.last = Some(blob);
        let scopes = self.scopes.clone();
        let (named, taken) = self.node.store.read(move |db: &Db| {
            let named = blob.size <= ATTACHMENT_BYTES_MAX && db.blob_missing(blob, &scopes)?;
            Ok::<_, StoreError>((named, db.blobs_bytes()?))
        })?;
        let files = &self.node.blobs;
        let now = self.node.clock.now();
        if !named || files.adopt(&blob, &self.node.store, now)? {
            return Ok(());
        }
        if files.room(taken, blob.size).is_err() {
            account.files_left += 1;
        } else if files.claim(blob) {
            self.current = Some(blob);
        }
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(blob) = self.current.take() {
            self.node.blobs.release(&blob);
        }
    }
}
