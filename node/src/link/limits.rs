//! Every limit of a connection, said aloud: quinn's defaults are made for the open web.

use std::time::Duration;

use cuntong_protocol::{limits, role::Level};
use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::config;

const KIB: u32 = 1024;
/// Connections whose handshake has not begun; more are answered with a retry.
pub(super) const INCOMING_MAX: usize = 1_024;
/// Calls from addresses that have not proved themselves before a proof is asked.
pub(super) const UNPROVED_MAX: usize = 32;
/// Calls whose first message is not there yet; more are refused. Some five seconds of a county's
/// villages coming back at once; each costs about 40 KiB.
pub(super) const PENDING_MAX: usize = 1_024;
/// Of these, from one address that proved itself. Many nodes may call through one router.
pub(super) const PENDING_ADDRESS_MAX: usize = 64;
/// Of these, of one node: a session, a renewal, and what a cut line left behind.
pub(super) const PENDING_NODE_MAX: usize = 4;
/// Places kept for those who were told to come back now, beyond `link.connections_max`.
pub(super) const RESERVED: usize = 64;
/// A queue for the store that takes longer than this is not joined: callers wait half as long again
/// for the first answer, and give up then.
pub(super) const QUEUE_MAX: Duration = Duration::from_secs(8);
/// Whoever has nothing to say and makes room for others comes back after about so long.
pub(super) const LET_GO: Duration = Duration::from_secs(120);
/// Sessions at work on a blocking thread at a time: twice what one commit takes in, so that the next
/// commit's work is there when one ends.
pub(super) const HANDS: usize = 128;
/// Connections by TCP: each costs a descriptor and its buffers. It is the way for those whom UDP
/// does not reach, and 1024 descriptors are what a process usually may have.
pub(super) const TCP_MAX: usize = 512;
/// Bytes of messages that wait to leave. Beyond it nothing more is taken in from the peer, so
/// that nothing more has to be answered or pushed; a full window of batches is well below it.
pub(super) const OUTGOING_BYTES_MAX: usize = 2 * limits::MESSAGE_BYTES_MAX;

const _: () = assert!(
    limits::WINDOW_BATCHES * (limits::BATCH_BYTES_MAX + 64 * limits::BATCH_ENTRIES_MAX)
        < OUTGOING_BYTES_MAX
);

/// Bytes of a connection that may wait to be read. A hub serves many and gives each less.
pub(super) const fn window(level: Level) -> u32 {
    match level {
        Level::County => 2 * 1024 * KIB,
        Level::Township | Level::Village => 4 * 1024 * KIB,
    }
}

/// Limits of one connection.
pub(super) fn transport(level: Level, link: &config::Link) -> TransportConfig {
    let connection = window(level);
    let stream = connection / 4;
    let mut transport = TransportConfig::default();
    transport
        .receive_window(VarInt::from_u32(connection))
        .stream_receive_window(VarInt::from_u32(stream))
        .send_window(u64::from(connection))
        // One stream carries the session; the one who calls opens it.
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(idle(link.idle))
        .keep_alive_interval(Some(link.keep_alive))
        .crypto_buffer_size(16 * KIB as usize)
        // Probing for larger packets costs 5.5 KB a connection (four probes and their acknowledgments),
        // more than a day's work; packets of 1 452 instead of 1 200 bytes would save 3 % of what is long.
        .mtu_discovery_config(None)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    transport
}

/// Limits of a listening endpoint.
pub(super) fn listening(server: &mut quinn::ServerConfig) {
    server
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(u64::from(64 * KIB))
        .incoming_buffer_size_total(u64::from(8 * 1024 * KIB))
        // A phone's address changes in the middle of a session.
        .migration(true);
}

fn idle(idle: Duration) -> Option<IdleTimeout> {
    // Settings allow ten minutes at most, far below what a VarInt of milliseconds holds.
    IdleTimeout::try_from(idle).ok()
}
