//! A first meeting under way, for people who wait for it: documents come ahead of their logs.

use cuntong_protocol::time::Millis;
use cuntong_web::desk::Beginning;

use super::{Upstream, UpstreamState};

/// A part of it became durable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// Documents in the part, and those still to come.
    pub(super) documents: u64,
    pub(super) left: u64,
    /// What the connection has brought so far.
    pub(super) bytes: u64,
}

impl Upstream {
    /// The peer has spoken: it lets this node in.
    pub(super) fn met(&mut self, now: Millis) {
        self.state = UpstreamState::Connected;
        self.connected_at = Some(now);
        (self.beginning, self.failed) = (None, None);
    }

    /// Both sides agree.
    pub(super) fn agreed(&mut self, now: Millis) {
        self.last_session = Some(now);
        self.beginning = None;
    }

    /// Documents came ahead of their logs.
    pub(super) fn came(&mut self, came: Came, now: Millis) {
        let so_far = self.beginning.get_or_insert_with(|| {
            let began = self.connected_at.unwrap_or(now);
            (began, Beginning::default())
        });
        let (began, beginning) = so_far;
        let ms = now.since(*began).max(1).unsigned_abs();
        beginning.documents += came.documents;
        beginning.left = came.left;
        beginning.bytes = came.bytes;
        beginning.bytes_per_s = came.bytes.saturating_mul(1_000) / ms;
    }
}
