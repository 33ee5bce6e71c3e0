//! The end of this process in the middle of a message, for tests that pull the plug. Only the feature
//! `faults` has any of it: the product is built without.
//!
//! `CUNTONG_FAULT` names a file. While it is there and says `MOMENT KIND N`, the process is ended
//! (SIGKILL, nothing in order) at the N-th such moment since the file said so; the file is renamed to
//! `….hit` before, so that the next start lives. `CUNTONG_TAPE` names a file that takes a line for each
//! message given to a stream: peer, kind, bytes of its frame, and of a batch its log and positions, of
//! documents ahead of their logs which part it is and how many are still to come.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use cuntong_protocol::{
    id::NodeId,
    sync::Input,
    wire::{Message, codec},
};
use tokio::io::AsyncWriteExt as _;

use super::carrier::Sender;

/// What was written just before leaves the machine within this.
const LEAVES_WITHIN: Duration = Duration::from_millis(30);
const FAULT: &str = "CUNTONG_FAULT";
const TAPE: &str = "CUNTONG_TAPE";

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The store has done its part, the stream has nothing of it.
    Ready,
    /// Half of its bytes are on the line.
    Half,
    /// All of them are.
    Sent,
    /// It is read and nothing is done about it.
    Came,
    /// All that follows from it is done here; what it is answered may be on the line.
    Done,
}

impl Moment {
    const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Half => "half",
            Self::Sent => "sent",
            Self::Came => "came",
            Self::Done => "done",
        }
    }
}

/// The number of an encoded message: the second item of its array.
pub(super) fn kind(message: &[u8]) -> u8 {
    message.get(1).copied().unwrap_or(0)
}

/// The numbers of the messages among the inputs.
pub(super) fn kinds(inputs: &[Input]) -> Vec<u8> {
    let mut kinds = Vec::new();
    for input in inputs {
        if let Input::Message(message) = input {
            kinds.push(kind(&codec::encode(message)));
        }
    }
    kinds
}

/// A message is about to be written to the stream as this frame.
pub(super) async fn leaves(stream: &mut Sender, peer: NodeId, message: &[u8], frame: &[u8]) {
    at(Moment::Ready, kind(message));
    if is_now(Moment::Half, kind(message)) {
        // Failing is dying too.
        let _gone = stream.write_all(&frame[..frame.len() / 2]).await;
        tokio::time::sleep(LEAVES_WITHIN).await;
        end();
    }
    write_down(peer, message, frame.len());
}

/// A message was given to the stream.
pub(super) async fn left(message: &[u8]) {
    if is_now(Moment::Sent, kind(message)) {
        tokio::time::sleep(LEAVES_WITHIN).await;
        end();
    }
}

/// A message is at one of its moments.
pub(super) fn at(moment: Moment, kind: u8) {
    if is_now(moment, kind) {
        end();
    }
}

fn file(name: &'static str, known: &'static OnceLock<Option<PathBuf>>) -> Option<&'static PathBuf> {
    let path = known.get_or_init(|| std::env::var_os(name).map(PathBuf::from));
    path.as_ref()
}

/// Whether this is the moment the process was told to end at.
fn is_now(moment: Moment, kind: u8) -> bool {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    static SEEN: Mutex<(String, u32)> = Mutex::new((String::new(), 0));
    let Some(path) = file(FAULT, &PATH) else {
        return false;
    };
    let Ok(told) = fs::read_to_string(path) else {
        return false;
    };
    let mut words = told.split_whitespace();
    let named = words.next() == Some(moment.word())
        && words.next().and_then(|k| k.parse().ok()) == Some(kind);
    let nth: u32 = words.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    if !named {
        return false;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.0 != told {
        *seen = (told, 0);
    }
    seen.1 += 1;
    // Whoever renames it has the end to himself.
    seen.1 == nth && fs::rename(path, path.with_extension("hit")).is_ok()
}

fn end() {
    let own = rustix::process::getpid();
    let _dead = rustix::process::kill_process(own, rustix::process::Signal::KILL);
}

/// Log, first and last position of a batch; part and documents to come of a snapshot; else nothing.
fn entries(message: &[u8]) -> String {
    let decoded = codec::decode(message);
    let (log, first, last) = if let Ok(Message::Pack(pack)) = decoded {
        (pack.log, pack.first, pack.last().unwrap_or(pack.first))
    } else if let Ok(Message::Push(batch)) = decoded {
        let more = (batch.entries.len() as u64).saturating_sub(1);
        (batch.log, batch.first, batch.first + more)
    } else if let Ok(Message::Snap(snap)) = decoded
        && !snap.bytes.is_empty()
    {
        return format!("snapshot {} {}", snap.part, snap.left);
    } else {
        return "- 0 0".to_owned();
    };
    let (scope, writer) = (log.scope, log.writer);
    format!("{scope}:{}:{} {first} {last}", writer.node, writer.epoch)
}

/// A line on the tape.
fn write_down(peer: NodeId, message: &[u8], bytes: usize) {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(path) = file(TAPE, &PATH) else {
        return;
    };
    let line = format!("{peer} {} {bytes} {}\n", kind(message), entries(message));
    let tape = fs::OpenOptions::new().create(true).append(true).open(path);
    // A tape that is full loses a figure, never a message.
    let _written = tape.and_then(|mut tape| tape.write_all(line.as_bytes()));
}
