//! Attached files of one connection, on streams of their own below everything else. Whoever
//! wants files opens a stream and asks; the other one answers on it. Where nobody wants any,
//! not one byte is spent.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cuntong_protocol::{
    blob::message::{self, BlobMessage},
    id::Scope,
    sync::Peer,
    wire::codec::DecodeError,
};
use tokio::{io::AsyncReadExt as _, sync::mpsc, task::JoinSet};

use super::{
    Shared,
    carrier::{Connection, Receiver},
};
use crate::store::{Result as StoreResult, StoreError};

mod fetch;
mod serve;

use fetch::Fetching;
use serve::Serving;

/// The window, the disk and the other node's memory are looked at again.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

/// Starts both sides' exchange of files on a connection; it ends when this is dropped.
pub(super) fn start(
    shared: &Arc<Shared>,
    connection: &Connection,
    peer: &Peer,
    scopes: BTreeSet<Scope>,
) -> JoinSet<()> {
    let mut both = JoinSet::new();
    both.spawn(Serving::new(shared.clone(), peer.clone(), connection.clone()).run());
    both.spawn(Fetching::new(shared.clone(), peer.clone(), connection.clone(), scopes).run());
    both
}

/// Reads frames until the stream ends or says something that is no message.
pub(super) async fn read(mut stream: Receiver, messages: mpsc::Sender<BlobMessage>) {
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
            Err(DecodeError::Unknown(_)) => {}
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
