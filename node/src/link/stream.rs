//! Messages on the one stream of a session: framed, each direction in one compression window.

use cuntong_protocol::wire::{
    Message,
    codec::{self, DecodeError},
    frame::{self, Deflater, Inflater},
};
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

/// Bytes of a frame read at a time: memory grows with what came, not with what was announced.
const READ_STEP: usize = 64 * 1024;

/// Reads frames until the stream ends; what is not a message ends it too.
pub(super) async fn read(mut stream: RecvStream, messages: mpsc::Sender<Result<Message, String>>) {
    let mut inflater = Inflater::default();
    loop {
        let message = match next(&mut stream, &mut inflater).await {
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
async fn next(stream: &mut RecvStream, inflater: &mut Inflater) -> Result<Option<Message>, String> {
    loop {
        let mut prefix = [0; 4];
        if stream.read_exact(&mut prefix).await.is_err() {
            return Ok(None);
        }
        let length = frame::length(prefix).map_err(|e| e.to_string())?;
        let Some(frame) = exactly(stream, length).await else {
            return Ok(None);
        };
        let bytes = inflater.message(&frame).map_err(|e| e.to_string())?;
        match codec::decode(&bytes) {
            Ok(message) => return Ok(Some(message)),
            // A newer minor version says something this one does not know.
            Err(DecodeError::Unknown(_)) => {}
            Err(garbage) => return Err(garbage.to_string()),
        }
    }
}

/// So many bytes, with memory for no more than has come.
pub(super) async fn exactly(stream: &mut RecvStream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(READ_STEP));
    while bytes.len() < length {
        let missing = length - bytes.len();
        let chunk = stream
            .read_chunk(missing.min(READ_STEP), true)
            .await
            .ok()??;
        bytes.extend_from_slice(&chunk.bytes);
    }
    Some(bytes)
}

/// Writes messages until there are no more, then ends the stream.
pub(super) async fn write(mut stream: SendStream, mut messages: mpsc::UnboundedReceiver<Message>) {
    let mut deflater = Deflater::default();
    while let Some(message) = messages.recv().await {
        let frame = match deflater.frame(&codec::encode(&message)) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "a message of ours does not fit a frame");
                return;
            }
        };
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
    if stream.finish().is_ok() {
        let _stopped = stream.stopped().await;
    }
}
