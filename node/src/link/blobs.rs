//! Attached files of one connection, on streams of their own below everything else. Whoever
//! wants files opens a stream and asks; the other one answers on it. Where nobody wants any,
//! not one byte is spent. Only QUIC carries them: over TCP a file would stand in the way of cases.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cuntong_protocol::{
    blob::{
        Blob,
        fetch::{Action, Fetcher, Want},
        message::{self, Ask, BlobMessage, Piece, State, Word},
        tree::{self, Tree},
    },
    id::Scope,
    limits,
    sync::Peer,
};
use quinn::{RecvStream, SendStream};
use tokio::{
    io::AsyncReadExt as _,
    sync::{broadcast, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Shared, carrier::Connection};
use crate::store::{Db, Result as StoreResult, StoreError};

/// Below the session's stream, which has 0.
const PRIORITY: i32 = -1;
/// Files looked for at a time.
const REFILL: usize = 32;
/// News of many entries is one reason to look.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// The window, the disk and the other node's memory are looked at again.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);
/// Bytes given to the stream at a time.
const SLICE: usize = 8 * 1024;
/// How much longer than the quickest answer one may take before files step back: what waits in
/// the line's queue is what a case would wait behind.
const STEP_BACK: Duration = Duration::from_millis(150);
/// Bytes that may wait here to be sent.
const AHEAD: u64 = 16 * 1024;
const LOOK_SOONEST: Duration = Duration::from_millis(2);
const LOOK_LATEST: Duration = Duration::from_millis(50);

/// Starts both sides' exchange of files on a connection; it ends when this is dropped.
pub(super) fn start(
    shared: &Arc<Shared>,
    connection: &Connection,
    peer: &Peer,
    scopes: BTreeSet<Scope>,
) -> JoinSet<()> {
    let mut both = JoinSet::new();
    if let Connection::Quic(quic) = connection {
        let serving = Serving {
            shared: shared.clone(),
            peer: peer.clone(),
            quic: quic.clone(),
            tree: None,
            later: BTreeSet::new(),
            absent: BTreeSet::new(),
            quickest: Duration::MAX / 2,
            handed: 0,
        };
        both.spawn(serving.run());
        let fetching = Fetching {
            shared: shared.clone(),
            peer: peer.clone(),
            quic: quic.clone(),
            scopes,
            fetcher: Fetcher::default(),
            claimed: BTreeSet::new(),
            line: None,
            look: Some(Instant::now() + LOOK_AGAIN),
        };
        both.spawn(fetching.run());
    }
    both
}

/// Reads frames until the stream ends or says something that is no message.
pub(super) async fn read(mut stream: RecvStream, messages: mpsc::Sender<BlobMessage>) {
    loop {
        let Ok(length) = stream.read_u32().await else {
            return;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > message::FRAME_BYTES_MAX {
            return;
        }
        let mut bytes = vec![0; length];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        match message::decode(&bytes) {
            Ok(message) => {
                if messages.send(message).await.is_err() {
                    return;
                }
            }
            Err(cuntong_protocol::wire::codec::DecodeError::Unknown(_)) => {}
            Err(garbage) => {
                tracing::warn!(%garbage, "a stream of files is not understood");
                return;
            }
        }
    }
}

pub(super) fn frame(message: &BlobMessage) -> Vec<u8> {
    let bytes = message::encode(message);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

/// Work on the store or the disk, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closed))
}

impl Shared {
    /// Whether this line is to be used for files now.
    fn may_move(&self) -> bool {
        self.parts.config.moves_files(self.parts.clock.now())
    }
}

/// Answers what the peer asks.
struct Serving {
    shared: Arc<Shared>,
    peer: Peer,
    quic: quinn::Connection,
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
    async fn run(mut self) {
        let Ok((mut send, receive)) = self.quic.accept_bi().await else {
            return;
        };
        if send.set_priority(PRIORITY).is_err() {
            return;
        }
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
    async fn tell(&mut self, send: &mut SendStream, blob: Blob) -> Result<(), &'static str> {
        if !self.absent.contains(&blob) || !self.has(blob).await? {
            return Ok(());
        }
        let _was = self.absent.remove(&blob);
        say(send, blob, Word::Here).await
    }

    /// The line may be used again: what was put off may be asked for.
    async fn resume(&mut self, send: &mut SendStream) -> Result<(), &'static str> {
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

    async fn answer(&mut self, send: &mut SendStream, ask: Ask) -> Result<(), &'static str> {
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
    async fn give(&mut self, send: &mut SendStream, frame: &[u8]) -> Result<(), &'static str> {
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
        loop {
            let left = self.quic.stats().udp_tx.bytes;
            // What others sent meanwhile counts as ours: it only makes us wait less.
            self.handed = self.handed.max(left);
            if self.handed - left <= AHEAD || self.quic.close_reason().is_some() {
                break;
            }
            let soon = self.quic.rtt() / 8;
            tokio::time::sleep(soon.clamp(LOOK_SOONEST, LOOK_LATEST)).await;
        }
        for _quarter in 0..4 {
            let rtt = self.quic.rtt();
            self.quickest = self.quickest.min(rtt);
            if rtt <= self.quickest + STEP_BACK {
                return;
            }
            tokio::time::sleep(rtt.min(Duration::from_secs(2)) / 4).await;
        }
    }
}

async fn say(send: &mut SendStream, blob: Blob, word: Word) -> Result<(), &'static str> {
    let states = BlobMessage::States(vec![State { blob, word }]);
    send.write_all(&frame(&states))
        .await
        .map_err(|_gone| "the stream ended")
}

/// Asks the peer for what is missing here.
struct Fetching {
    shared: Arc<Shared>,
    peer: Peer,
    quic: quinn::Connection,
    /// What both may read.
    scopes: BTreeSet<Scope>,
    fetcher: Fetcher,
    /// Taken from the other sessions.
    claimed: BTreeSet<Blob>,
    /// Opened with the first question.
    line: Option<(SendStream, mpsc::Receiver<BlobMessage>, JoinSet<()>)>,
    /// When to look for what is missing.
    look: Option<Instant>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        for blob in std::mem::take(&mut self.claimed) {
            self.shared.parts.blobs.release(&blob);
        }
    }
}

impl Fetching {
    async fn run(mut self) {
        let mut news = self.shared.parts.news.listen();
        news.of(self.scopes.iter().copied(), false);
        let mut whole = self.shared.parts.blobs.listen();
        loop {
            if let Err(why) = self.act().await {
                tracing::info!(peer = %self.peer.node, why, "no more files are asked for");
                return;
            }
            let look = self.look.unwrap_or_else(|| Instant::now() + LOOK_ANYWAY);
            tokio::select! {
                message = next(&mut self.line) => {
                    let handled = message.map(|message| self.fetcher.handle(message));
                    if let Some(Err(breach)) = handled {
                        tracing::warn!(peer = %self.peer.node, %breach, "files refused");
                        // What was good before it is kept.
                        let _kept = self.act().await;
                        return;
                    }
                    if handled.is_none() {
                        return;
                    }
                }
                told = news.next() => {
                    if told.is_none() {
                        return;
                    }
                    self.look_soon();
                }
                told = whole.recv() => {
                    if let Ok(blob) = told {
                        self.fetcher.drop_want(&blob);
                        self.look_soon();
                    }
                }
                () = sleep_until(look) => {
                    self.look = None;
                    if self.refill().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn look_soon(&mut self) {
        let soon = Instant::now() + LOOK_AGAIN;
        self.look = Some(self.look.map_or(soon, |look| look.min(soon)));
    }

    async fn act(&mut self) -> Result<(), &'static str> {
        while let Some(action) = self.fetcher.poll() {
            match action {
                Action::Ask(ask) => self.ask(ask).await?,
                Action::Keep {
                    blob,
                    group,
                    bytes,
                    last,
                } => {
                    self.keep(blob, group, bytes, last).await?;
                }
                Action::Holds(blob) => {
                    let (store, node) = (self.shared.parts.store.clone(), self.peer.node);
                    let now = self.shared.parts.clock.now();
                    let told =
                        blocking(move || store.write(move |db| db.blob_told(blob, node, now)));
                    told.await.map_err(|_failing| "the store failed")?;
                }
                Action::Gone(blob) => self.release(&blob),
                Action::Spoiled(blob) => {
                    tracing::warn!(peer = %self.peer.node, hash = %blob.hash, "not the file");
                    self.shared.parts.blobs.note_spoiled();
                    self.release(&blob);
                }
                Action::Refill => self.look_soon(),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, ask: Ask) -> Result<(), &'static str> {
        if self.line.is_none() {
            let opened = self.quic.open_bi().await;
            let (send, receive) = opened.map_err(|_gone| "the connection ended")?;
            // Questions are few; they may go with the cases.
            let (sender, messages) = mpsc::channel(1);
            let mut reading = JoinSet::new();
            reading.spawn(read(receive, sender));
            self.line = Some((send, messages, reading));
        }
        if let Some((send, ..)) = &mut self.line {
            let frame = frame(&BlobMessage::Ask(ask));
            send.write_all(&frame)
                .await
                .map_err(|_gone| "the stream ended")?;
        }
        Ok(())
    }

    async fn keep(
        &mut self,
        blob: Blob,
        group: u32,
        bytes: Vec<u8>,
        last: bool,
    ) -> Result<(), &'static str> {
        let (files, store) = (
            self.shared.parts.blobs.clone(),
            self.shared.parts.store.clone(),
        );
        let now = self.shared.parts.clock.now();
        let kept = blocking(move || {
            files.keep(&blob, group, &bytes)?;
            if last {
                files.complete(&blob, &store, now).map(Some)
            } else {
                Ok(None)
            }
        });
        match kept.await {
            Ok(None) => {}
            Ok(Some(whole)) => {
                self.release(&blob);
                if whole {
                    self.given(blob).await?;
                }
            }
            Err(error) => {
                tracing::error!(%error, "an attached file could not be kept");
                return Err("the disk failed");
            }
        }
        Ok(())
    }

    /// Whoever gave a file has it.
    async fn given(&self, blob: Blob) -> Result<(), &'static str> {
        let (store, node) = (self.shared.parts.store.clone(), self.peer.node);
        let now = self.shared.parts.clock.now();
        let told = blocking(move || store.write(move |db| db.blob_told(blob, node, now)));
        told.await.map_err(|_failing| "the store failed")
    }

    fn release(&mut self, blob: &Blob) {
        if self.claimed.remove(blob) {
            self.shared.parts.blobs.release(blob);
        }
    }

    /// Looks for what is missing here, and for what the upstream has not said it holds.
    async fn refill(&mut self) -> Result<(), &'static str> {
        let may = self.shared.may_move();
        self.fetcher.pause(!may);
        if !may {
            return Ok(());
        }
        let (files, store) = (
            self.shared.parts.blobs.clone(),
            self.shared.parts.store.clone(),
        );
        let (scopes, node) = (self.scopes.clone(), self.peer.node);
        let (skipped, mine) = (self.fetcher.skipped(), self.claimed.clone());
        let upstream = self.peer.upstream;
        let now = self.shared.parts.clock.now();
        let looked = blocking(move || {
            let of_others = files.clone();
            let found = store.read(move |db| {
                let skip = |blob: &Blob| {
                    skipped.contains(blob) || (of_others.is_claimed(blob) && !mine.contains(blob))
                };
                look(db, &scopes, node, upstream, &skip)
            })?;
            let mut wants = Vec::new();
            for blob in found.untold {
                wants.push(Want { blob, from: None });
            }
            for blob in found.wanted {
                if files.adopt(&blob, &store, now)? {
                    continue;
                }
                if blob.size <= limits::ATTACHMENT_BYTES_MAX
                    && files.room(found.held, blob.size).is_ok()
                {
                    let kept = files.kept(&blob).min(tree::groups(blob.size) - 1);
                    wants.push(Want {
                        blob,
                        from: Some(kept),
                    });
                }
            }
            Ok(wants)
        });
        let wants = looked.await.map_err(|_failing| "the store failed")?;
        let mut taken = Vec::new();
        for want in wants {
            let free = want.from.is_none()
                || self.claimed.contains(&want.blob)
                || self.shared.parts.blobs.claim(want.blob);
            if free {
                if want.from.is_some() {
                    let _mine = self.claimed.insert(want.blob);
                }
                taken.push(want);
            }
        }
        self.fetcher.want(taken);
        Ok(())
    }
}

struct Found {
    wanted: Vec<Blob>,
    untold: Vec<Blob>,
    /// Bytes that are taken.
    held: u64,
}

fn look(
    db: &Db,
    scopes: &BTreeSet<Scope>,
    node: cuntong_protocol::id::NodeId,
    upstream: bool,
    skip: &dyn Fn(&Blob) -> bool,
) -> StoreResult<Found> {
    let untold = if upstream {
        db.blobs_untold(scopes, node, skip, limits::BLOB_WINDOW_FILES)?
    } else {
        Vec::new()
    };
    Ok(Found {
        wanted: db.blobs_wanted(scopes, skip, REFILL)?,
        untold,
        held: db.blobs_bytes()?,
    })
}

/// The next answer; never when nothing was asked yet.
async fn next(
    line: &mut Option<(SendStream, mpsc::Receiver<BlobMessage>, JoinSet<()>)>,
) -> Option<BlobMessage> {
    match line {
        Some((_, messages, _)) => messages.recv().await,
        None => std::future::pending().await,
    }
}
