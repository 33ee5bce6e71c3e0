//! Streams of attached files on a TCP connection: one for what the caller asks and one for what the
//! called node asks, each both ways, below the session's.
//!
//! What is written to a socket cannot be overtaken any more. So no more of a file is under way than a
//! case may have to wait behind, and the receiver says what it has taken.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::Notify,
};

/// How many there are.
pub(super) const STREAMS: usize = 2;
/// Bytes of a stream that may be under way: a second at 128 kbit/s, and at a round trip of 80 ms no
/// hindrance to a line of 1.5 Mbit/s.
pub(super) const AHEAD: usize = 16 * 1024;
/// Bytes in a record: a case comes between two of them.
pub(super) const RECORD_BYTES: usize = 4 * 1024;
/// What was taken is told when it is worth a record.
const TELL_FROM: usize = AHEAD / 4;

/// How one stream flows, both ways.
#[derive(Debug)]
struct Flow {
    /// Bytes that may be sent now.
    room: AtomicUsize,
    /// Bytes that came and were not taken yet.
    held: AtomicUsize,
    /// Bytes that were taken and not told of yet.
    taken: AtomicUsize,
}

/// How both flow.
#[derive(Debug)]
pub(super) struct Flows {
    flows: [Flow; STREAMS],
    /// There may be room to send, or something to tell.
    news: Notify,
}

impl Default for Flows {
    fn default() -> Self {
        let flow = || Flow {
            room: AtomicUsize::new(AHEAD),
            held: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        };
        Self {
            flows: [flow(), flow()],
            news: Notify::new(),
        }
    }
}

impl Flows {
    /// Waits until sending or telling may be possible that was not.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// Bytes that may be sent on a stream now.
    pub(super) fn room(&self, stream: usize) -> usize {
        self.flows[stream].room.load(Ordering::Acquire)
    }

    pub(super) fn sent(&self, stream: usize, bytes: usize) {
        let _before = self.flows[stream].room.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// The peer has taken so many. What it makes up is of no use to it.
    pub(super) fn told(&self, stream: usize, bytes: usize) {
        let more = |room: usize| Some(room.saturating_add(bytes).min(AHEAD));
        let flow = &self.flows[stream];
        let _before = flow
            .room
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        self.news.notify_one();
    }

    /// So many came; false: more than the peer was given room for.
    pub(super) fn came(&self, stream: usize, bytes: usize) -> bool {
        let before = self.flows[stream].held.fetch_add(bytes, Ordering::AcqRel);
        before + bytes <= AHEAD
    }

    /// So many were read here.
    pub(super) fn took(&self, stream: usize, bytes: usize) {
        let flow = &self.flows[stream];
        let _before = flow.held.fetch_sub(bytes, Ordering::AcqRel);
        if flow.taken.fetch_add(bytes, Ordering::AcqRel) + bytes >= TELL_FROM {
            self.news.notify_one();
        }
    }

    /// What the peer should be told was taken of a stream since the last time.
    pub(super) fn to_tell(&self, stream: usize) -> Option<u16> {
        let taken = &self.flows[stream].taken;
        if taken.load(Ordering::Acquire) < TELL_FROM {
            return None;
        }
        // No more can have come than there was room for, which 16 bits hold.
        u16::try_from(taken.swap(0, Ordering::AcqRel)).ok()
    }
}

const _: () = assert!(AHEAD <= u16::MAX as usize);

/// What a pump sends of a stream.
pub(super) struct Outgoing {
    from: ReadHalf<DuplexStream>,
    bytes: Vec<u8>,
    open: bool,
}

impl Outgoing {
    /// The next bytes, none at its end; never while there is no room or nothing more to come.
    pub(super) async fn next(&mut self, room: usize) -> std::io::Result<&[u8]> {
        let most = room.min(RECORD_BYTES);
        if !self.open || most == 0 {
            return std::future::pending().await;
        }
        let length = self.from.read(&mut self.bytes[..most]).await?;
        self.open = length > 0;
        Ok(&self.bytes[..length])
    }
}

/// Where a pump puts what comes of a stream.
pub(super) struct Incoming(WriteHalf<DuplexStream>);

impl Incoming {
    /// Bytes that came, which find room ([`Flows::came`]); none: its end.
    pub(super) async fn put(&mut self, bytes: &[u8]) {
        let _nobody_reads = if bytes.is_empty() {
            self.0.shutdown().await
        } else {
            self.0.write_all(bytes).await
        };
    }
}

/// A stream: the user's end, and the two of the pump.
pub(super) fn stream() -> (DuplexStream, Outgoing, Incoming) {
    let (inside, outside) = tokio::io::duplex(AHEAD);
    let (from, to) = tokio::io::split(outside);
    let outgoing = Outgoing {
        from,
        bytes: vec![0; RECORD_BYTES],
        open: true,
    };
    (inside, outgoing, Incoming(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_under_way_than_a_case_may_wait_behind() {
        let flows = Flows::default();
        let mut sent = 0;
        while flows.room(0) > 0 {
            let bytes = flows.room(0).min(RECORD_BYTES);
            flows.sent(0, bytes);
            assert!(flows.came(0, bytes));
            sent += bytes;
        }
        assert_eq!((sent, flows.room(1)), (AHEAD, AHEAD));
        assert!(!flows.came(0, 1), "a peer that sends more is not believed");
    }

    #[test]
    fn what_was_taken_makes_room_again() {
        let flows = Flows::default();
        flows.sent(1, AHEAD);
        assert!(flows.came(1, AHEAD));
        flows.took(1, 10);
        assert_eq!(flows.to_tell(1), None);
        flows.took(1, TELL_FROM);
        let told = flows.to_tell(1).map(usize::from);
        assert_eq!(told, Some(TELL_FROM + 10));
        flows.told(1, TELL_FROM + 10);
        assert_eq!(flows.room(1), TELL_FROM + 10);
        flows.told(1, usize::MAX);
        assert_eq!(flows.room(1), AHEAD, "room cannot be made up");
    }
}
