//! Asks the peer for what is missing here.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cuntong_protocol::{
    blob::{
        Blob,
        fetch::{Action, Fetcher, Want},
        message::{Ask, BlobMessage},
        tree,
    },
    id::{NodeId, Scope},
    limits,
    sync::Peer,
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    super::{
        Shared,
        carrier::{Connection, Sender},
    },
    LOOK_ANYWAY, blocking, frame, read,
};
use crate::store::{Db, Result as StoreResult};

/// Files looked for at a time.
const REFILL: usize = 32;
/// News of many entries is one reason to look.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Where questions go, what comes back, and who reads that.
type Line = (Sender, mpsc::Receiver<BlobMessage>, JoinSet<()>);

/// Asks the peer for what is missing here.
pub(super) struct Fetching {
    shared: Arc<Shared>,
    peer: Peer,
    connection: Connection,
    /// What both may read.
    scopes: BTreeSet<Scope>,
    fetcher: Fetcher,
    /// Taken from the other sessions.
    claimed: BTreeSet<Blob>,
    /// Opened with the first question.
    line: Option<Line>,
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
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Peer,
        connection: Connection,
        scopes: BTreeSet<Scope>,
    ) -> Self {
        Self {
            shared,
            peer,
            connection,
            scopes,
            fetcher: Fetcher::default(),
            claimed: BTreeSet::new(),
            line: None,
            look: Some(Instant::now() + LOOK_AGAIN),
        }
    }

    pub(super) async fn run(mut self) {
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
                Action::Holds(blob) => self.held_there(blob).await?,
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
            let opened = self.connection.ask_files().await;
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
                    self.held_there(blob).await?;
                }
            }
            Err(error) => {
                tracing::error!(%error, "an attached file could not be kept");
                return Err("the disk failed");
            }
        }
        Ok(())
    }

    /// The peer holds a file: of an upstream that is worth knowing.
    async fn held_there(&self, blob: Blob) -> Result<(), &'static str> {
        if !self.peer.upstream {
            return Ok(());
        }
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
    node: NodeId,
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
async fn next(line: &mut Option<Line>) -> Option<BlobMessage> {
    match line {
        Some((_, messages, _)) => messages.recv().await,
        None => std::future::pending().await,
    }
}
