//! Answers what the peer asks, below everything else on the line.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cuntong_protocol::{
    blob::{
        Blob,
        message::{Ask, BlobMessage, Piece, State, Word},
        tree::{self, Tree},
    },
    limits,
    sync::Peer,
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{broadcast, mpsc},
    task::JoinSet,
};

use super::{
    super::{
        Shared,
        carrier::{Connection, Sender},
    },
    LOOK_ANYWAY, blocking, frame, read,
};

/// Bytes given to the stream at a time.
const SLICE: usize = 8 * 1024;
/// How much longer than the quickest answer one may take before files step back: what waits in
/// the line's queue is what a case would wait behind.
const STEP_BACK: Duration = Duration::from_millis(150);
/// Bytes that may wait here to be sent.
const AHEAD: u64 = 16 * 1024;
const LOOK_SOONEST: Duration = Duration::from_millis(2);
const LOOK_LATEST: Duration = Duration::from_millis(50);

/// Answers what the peer asks.
pub(super) struct Serving {
    shared: Arc<Shared>,
    peer: Peer,
    connection: Connection,
    /// Of the file that was asked for last.
    tree: Option<(Blob, Tree)>,
    /// Asked for while the line was not to be used.
    later: BTreeSet<Blob>,
    /// Asked for and not here.
    absent: BTreeSet<Blob>,
    /// The quickest answer of this line so far.
    quickest: Duration,
    /// What was given to the connection, in the count of what it sent.
    handed: u64,
}

impl Serving {
    pub(super) fn new(shared: Arc<Shared>, peer: Peer, connection: Connection) -> Self {
        Self {
            shared,
            peer,
            connection,
            tree: None,
            later: BTreeSet::new(),
            absent: BTreeSet::new(),
            quickest: Duration::MAX / 2,
            handed: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let Ok((mut send, receive)) = self.connection.asked_files().await else {
            return;
        };
        let (sender, mut asked) = mpsc::channel(1);
        let mut reading = JoinSet::new();
        reading.spawn(read(receive, sender));
        let mut whole = self.shared.parts.blobs.listen();
        loop {
            let said = tokio::select! {
                message = asked.recv() => match message {
                    Some(BlobMessage::Ask(ask)) => self.answer(&mut send, ask).await,
                    Some(BlobMessage::Piece(_) | BlobMessage::States(_)) | None => return,
                },
                told = whole.recv() => match told {
                    Ok(blob) => self.tell(&mut send, blob).await,
                    // What was missed is asked for again in the next session.
                    Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = tokio::time::sleep(LOOK_ANYWAY), if !self.later.is_empty() => {
                    self.resume(&mut send).await
                }
            };
            if let Err(why) = said {
                tracing::info!(peer = %self.peer.node, why, "no more files are given");
                return;
            }
        }
    }

    /// A file became whole here that the peer had asked for.
    async fn tell(&mut self, send: &mut Sender, blob: Blob) -> Result<(), &'static str> {
        if !self.absent.contains(&blob) || !self.has(blob).await? {
            return Ok(());
        }
        let _was = self.absent.remove(&blob);
        say(send, blob, Word::Here).await
    }

    /// The line may be used again: what was put off may be asked for.
    async fn resume(&mut self, send: &mut Sender) -> Result<(), &'static str> {
        if self.shared.may_move() {
            for blob in std::mem::take(&mut self.later) {
                say(send, blob, Word::Here).await?;
            }
        }
        Ok(())
    }

    /// Whether the file is here and named where the peer may read.
    async fn has(&self, blob: Blob) -> Result<bool, &'static str> {
        let (store, site) = (self.shared.parts.store.clone(), self.peer.site);
        blocking(move || store.read(move |db| db.blob_for(blob, site)))
            .await
            .map_err(|_failing| "the store failed")
    }

    async fn answer(&mut self, send: &mut Sender, ask: Ask) -> Result<(), &'static str> {
        let Ask { blob, first, count } = ask;
        let groups = tree::groups(blob.size);
        let end = first.checked_add(count).filter(|end| *end <= groups);
        let (Some(end), true) = (end, count <= limits::BLOB_WINDOW_GROUPS) else {
            return Err("groups that are not there");
        };
        if !self.has(blob).await? {
            let known = self.absent.insert(blob);
            if known && self.absent.len() > limits::BLOB_LACKING_MAX {
                return Err("too many files that are not here");
            }
            return say(send, blob, Word::Absent).await;
        }
        if count == 0 {
            return say(send, blob, Word::Here).await;
        }
        if !self.shared.may_move() {
            if self.later.len() < limits::BLOB_LACKING_MAX {
                let _new = self.later.insert(blob);
            }
            return say(send, blob, Word::Later).await;
        }
        if self.tree.as_ref().is_none_or(|(of, _)| *of != blob) {
            self.tree = self.look(blob).await?.map(|tree| (blob, tree));
        }
        for group in first..end {
            let path = self.tree.as_ref().and_then(|(_, tree)| tree.path(group));
            let Some(path) = path else {
                return say(send, blob, Word::Absent).await;
            };
            let files = self.shared.parts.blobs.clone();
            let read = blocking(move || files.group(&blob, group)).await;
            let Ok(bytes) = read else {
                return say(send, blob, Word::Absent).await;
            };
            let piece = Piece {
                blob,
                group,
                path,
                bytes,
            };
            self.give(send, &frame(&BlobMessage::Piece(piece))).await?;
        }
        Ok(())
    }

    /// The tree of a file; one whose bytes are not what they were is not here any more, and is
    /// fetched again from whoever has it.
    async fn look(&self, blob: Blob) -> Result<Option<Tree>, &'static str> {
        let (files, store) = (
            self.shared.parts.blobs.clone(),
            self.shared.parts.store.clone(),
        );
        let looked = blocking(move || {
            let tree = files.tree(&blob)?;
            if tree.is_none() {
                tracing::error!(hash = %blob.hash, "an attached file is damaged or gone");
                store.write(move |db| db.drop_blob(blob.hash))?;
            }
            Ok(tree)
        });
        looked.await.map_err(|_failing| "the disk failed")
    }

    /// Sends a frame in slices, each only when the line has taken what went before.
    async fn give(&mut self, send: &mut Sender, frame: &[u8]) -> Result<(), &'static str> {
        for slice in frame.chunks(SLICE) {
            self.line_free().await;
            let written = send.write_all(slice).await;
            written.map_err(|_gone| "the stream ended")?;
            self.handed += slice.len() as u64;
        }
        Ok(())
    }

    /// Waits until hardly anything of ours waits here to be sent, and no queue builds up on the
    /// way: what lies in one cannot be overtaken by a case.
    async fn line_free(&mut self) {
        // Over TCP the stream itself takes no more than may be under way.
        let Connection::Quic(quic) = &self.connection else {
            return;
        };
        loop {
            let left = quic.stats().udp_tx.bytes;
            // What others sent meanwhile counts as ours: it only makes us wait less.
            self.handed = self.handed.max(left);
            if self.handed - left <= AHEAD || quic.close_reason().is_some() {
                break;
            }
            let soon = quic.rtt() / 8;
            tokio::time::sleep(soon.clamp(LOOK_SOONEST, LOOK_LATEST)).await;
        }
        for _quarter in 0..4 {
            let rtt = quic.rtt();
            self.quickest = self.quickest.min(rtt);
            if rtt <= self.quickest + STEP_BACK {
                return;
            }
            tokio::time::sleep(rtt.min(Duration::from_secs(2)) / 4).await;
        }
    }
}

async fn say(send: &mut Sender, blob: Blob, word: Word) -> Result<(), &'static str> {
    let states = BlobMessage::States(vec![State { blob, word }]);
    send.write_all(&frame(&states))
        .await
        .map_err(|_gone| "the stream ended")
}
