//! Messages on the one stream of a session: framed, each direction in one compression window.

use std::sync::Arc;

use cuntong_protocol::{
    id::NodeId,
    wire::{
        Message,
        codec::{self, DecodeError},
        frame::{self, Deflater, Inflater},
        window::{self, Dictionary},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, watch},
};

#[cfg(feature = "faults")]
use super::faults;
use super::{
    carrier::{Receiver, Sender},
    limits,
};

/// Memory for a frame before any of it came; more grows with what came, not with what was
/// announced.
const READ_STEP: usize = 64 * 1024;

/// Reads frames until the stream ends; what is not a message ends it too.
pub(super) async fn read(
    mut stream: Receiver,
    dictionary: Option<Dictionary>,
    messages: mpsc::Sender<Result<Message, String>>,
) {
    let mut inflater = Inflater::default();
    let primed = match dictionary.as_ref().map(|d| inflater.prime(d)).transpose() {
        Ok(primed) => primed.is_some(),
        Err(error) => {
            let _gone = messages.send(Err(error.to_string())).await;
            return;
        }
    };
    loop {
        let message = match next(&mut stream, primed, &mut inflater).await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => return,
            Err(garbage) => Err(garbage),
        };
        let over = message.is_err();
        if messages.send(message).await.is_err() || over {
            return;
        }
    }
}

/// The next message; `None` when the stream or the connection ended.
async fn next(
    stream: &mut Receiver,
    primed: bool,
    inflater: &mut Inflater,
) -> Result<Option<Message>, String> {
    loop {
        let Some(length) = length(stream, primed).await? else {
            return Ok(None);
        };
        let Some(frame) = exactly(stream, length).await else {
            return Ok(None);
        };
        let bytes = inflater.message(&frame).map_err(|e| e.to_string())?;
        #[cfg(feature = "faults")]
        faults::at(faults::Moment::Came, faults::kind(&bytes));
        inflater.rest();
        match codec::decode(&bytes) {
            Ok(message) => return Ok(Some(message)),
            // A newer minor version says something this one does not know.
            Err(DecodeError::Unknown(_)) => {}
            Err(garbage) => return Err(garbage.to_string()),
        }
    }
}

/// The length of the next frame; `None` when the stream or the connection ended.
async fn length(stream: &mut Receiver, primed: bool) -> Result<Option<usize>, String> {
    let mut prefix = [0; 4];
    if !primed {
        if stream.read_exact(&mut prefix).await.is_err() {
            return Ok(None);
        }
        let length = frame::length(prefix).map_err(|e| e.to_string())?;
        return Ok(Some(length));
    }
    for have in 1..=window::LENGTH_BYTES_MAX {
        if stream
            .read_exact(&mut prefix[have - 1..have])
            .await
            .is_err()
        {
            return Ok(None);
        }
        let read = window::length(&prefix[..have]).map_err(|e| e.to_string())?;
        if let Some((length, _taken)) = read {
            return Ok(Some(length));
        }
    }
    Err("a frame's length without an end".to_owned())
}

/// So many bytes, with memory for no more than has come.
pub(super) async fn exactly(stream: &mut Receiver, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(READ_STEP));
    let read = stream.take(length as u64).read_to_end(&mut bytes).await;
    (read.is_ok() && bytes.len() == length).then_some(bytes)
}

/// Where a session puts what it says. Nothing is ever left out; whoever produces looks at
/// [`Self::is_full`] before he begins something that produces more.
#[derive(Clone)]
pub(super) struct Outgoing {
    messages: mpsc::UnboundedSender<Vec<u8>>,
    /// Bytes not given to the stream yet.
    bytes: Arc<watch::Sender<usize>>,
}

/// What waits to be sent.
pub(super) struct Waiting {
    messages: mpsc::UnboundedReceiver<Vec<u8>>,
    bytes: Arc<watch::Sender<usize>>,
}

/// The two ends of a queue of messages.
pub(super) fn outgoing() -> (Outgoing, Waiting) {
    let (sender, messages) = mpsc::unbounded_channel();
    let bytes = Arc::new(watch::Sender::new(0));
    let outgoing = Outgoing {
        messages: sender,
        bytes: bytes.clone(),
    };
    (outgoing, Waiting { messages, bytes })
}

impl Outgoing {
    pub(super) fn send(&self, message: &Message) {
        let message = codec::encode(message);
        self.bytes.send_modify(|bytes| *bytes += message.len());
        if self.messages.send(message).is_err() {
            // The writer is gone when the connection is: the reader will say so.
            self.bytes.send_replace(0);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        *self.bytes.borrow() > limits::OUTGOING_BYTES_MAX
    }

    /// Waits until it is not full.
    pub(super) fn room(&self) -> impl Future<Output = ()> + use<> {
        let mut bytes = self.bytes.subscribe();
        async move {
            let fits = |bytes: &usize| *bytes <= limits::OUTGOING_BYTES_MAX;
            let _room_or_gone = bytes.wait_for(fits).await.map(drop);
        }
    }
}

impl Waiting {
    /// The next message. While there is none the window takes no more memory than it must.
    async fn next(&mut self, deflater: &mut Deflater) -> Option<Vec<u8>> {
        if let Ok(message) = self.messages.try_recv() {
            return Some(message);
        }
        deflater.rest();
        self.messages.recv().await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.messages.close();
        self.bytes.send_replace(0);
    }
}

/// Writes messages until there are no more, then ends the stream.
pub(super) async fn write(
    mut stream: Sender,
    peer: NodeId,
    dictionary: Option<Dictionary>,
    mut waiting: Waiting,
) {
    let mut deflater = Deflater::default();
    if let Some(Err(error)) = dictionary.as_ref().map(|d| deflater.prime(d)) {
        tracing::error!(%peer, %error, "a window cannot be primed");
        return;
    }
    while let Some(message) = waiting.next(&mut deflater).await {
        let framed = if dictionary.is_some() {
            window::frame(&mut deflater, &message)
        } else {
            deflater.frame(&message)
        };
        let frame = match framed {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%peer, %error, "a message of ours does not fit a frame");
                return;
            }
        };
        #[cfg(feature = "faults")]
        faults::leaves(&mut stream, peer, &message, &frame).await;
        if stream.write_all(&frame).await.is_err() {
            return;
        }
        #[cfg(feature = "faults")]
        faults::left(&message).await;
        waiting
            .bytes
            .send_modify(|bytes| *bytes = bytes.saturating_sub(message.len()));
    }
    stream.finish().await;
}
