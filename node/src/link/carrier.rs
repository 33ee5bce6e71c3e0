//! What carries a session: QUIC, or TLS over TCP where UDP is blocked. Whoever speaks on a
//! connection does not ask which it is; only this file knows both.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use quinn::{RecvStream, SendStream, VarInt};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    reason::{self, Close, Failed},
    tcp, tls,
};
use crate::store::Traffic;

pub use crate::config::Carrier;

/// A machine that is there answers a probe within this, on any line we serve.
const ALIVE_WITHIN: Duration = Duration::from_millis(2_500);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of a stream of files: below the session's stream, which has 0.
const FILES_PRIORITY: i32 = -1;

/// A connection with a node that proved its key. Clones are the same connection; it ends when it
/// is closed, or when the last clone and both halves of its stream are gone.
#[derive(Debug, Clone)]
pub(super) enum Connection {
    Quic(quinn::Connection),
    Tcp(tcp::Connection),
}

impl Connection {
    pub(super) const fn carrier(&self) -> Carrier {
        match self {
            Self::Quic(_) => Carrier::Quic,
            Self::Tcp(_) => Carrier::Tcp,
        }
    }

    /// Ends it, and tells the peer why.
    pub(super) fn close(&self, close: Close, why: &str) {
        match self {
            Self::Quic(quic) => quic.close(close.code(), why.as_bytes()),
            Self::Tcp(tcp) => tcp.close(close, why),
        }
    }

    /// Waits for the end, whoever brings it: why. `doubt`: this node's clock is not to be believed.
    pub(super) async fn closed(&self, doubt: bool) -> Failed {
        match self {
            Self::Quic(quic) => reason::connection(&quic.closed().await, doubt),
            Self::Tcp(tcp) => reason::gone(&tcp.closed().await, doubt),
        }
    }

    /// Waits, after a close, until nothing is held for it any more that others could lack.
    pub(super) async fn parted(&self) {
        match self {
            // What remains of it are a few timers.
            Self::Quic(_) => {}
            Self::Tcp(tcp) => tcp.parted().await,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Quic(quic) => quic.close_reason().is_some(),
            Self::Tcp(tcp) => tcp.is_closed(),
        }
    }

    /// There and back, as last measured; only QUIC measures.
    pub(super) fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Quic(quic) => Some(quic.rtt()),
            Self::Tcp(_) => None,
        }
    }

    /// Whether both are one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quic(one), Self::Quic(other)) => one.stable_id() == other.stable_id(),
            (Self::Tcp(one), Self::Tcp(other)) => one.is(other),
            (Self::Quic(_), Self::Tcp(_)) | (Self::Tcp(_), Self::Quic(_)) => false,
        }
    }

    /// The certificate the peer showed, DER.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        match self {
            Self::Quic(quic) => {
                let chain = quic.peer_identity()?;
                let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
                chain.first().map(|der| der.to_vec())
            }
            Self::Tcp(tcp) => tcp.certificate().map(<[u8]>::to_vec),
        }
    }

    /// The protocol agreed on in the handshake.
    pub(super) fn agreed(&self) -> Option<Vec<u8>> {
        match self {
            Self::Quic(quic) => tls::agreed(quic),
            Self::Tcp(tcp) => tcp.agreed().map(<[u8]>::to_vec),
        }
    }

    /// What it carried so far, its handshake included: payload of UDP or TCP.
    pub(super) fn traffic(&self) -> Traffic {
        match self {
            Self::Quic(quic) => {
                let stats = quic.stats();
                Traffic {
                    up: stats.udp_tx.bytes,
                    down: stats.udp_rx.bytes,
                }
            }
            Self::Tcp(tcp) => tcp.traffic(),
        }
    }

    /// The stream, of the one who called.
    pub(super) async fn open(&self, doubt: bool) -> Result<(Sender, Receiver), Failed> {
        match self {
            Self::Quic(quic) => match quic.open_bi().await {
                Ok((send, receive)) => Ok((Sender::Quic(send), Receiver::Quic(receive))),
                Err(error) => Err(reason::connection(&error, doubt)),
            },
            Self::Tcp(tcp) => by_tcp(tcp.halves(), doubt),
        }
    }

    /// The stream the caller opened, when it has.
    pub(super) async fn accept(&self, doubt: bool) -> Result<(Sender, Receiver), Failed> {
        match self {
            Self::Quic(quic) => match quic.accept_bi().await {
                Ok((send, receive)) => Ok((Sender::Quic(send), Receiver::Quic(receive))),
                Err(error) => Err(reason::connection(&error, doubt)),
            },
            Self::Tcp(tcp) => by_tcp(tcp.halves(), doubt),
        }
    }

    /// The stream on which this node asks for files.
    pub(super) async fn ask_files(&self) -> Result<(Sender, Receiver), Failed> {
        match self {
            Self::Quic(_) => self.open(false).await,
            Self::Tcp(tcp) => by_tcp(tcp.files(true), false),
        }
    }

    /// The stream on which the peer asks for files, when it does; what is answered goes below
    /// everything else.
    pub(super) async fn asked_files(&self) -> Result<(Sender, Receiver), Failed> {
        let (sender, receiver) = match self {
            Self::Quic(_) => self.accept(false).await?,
            Self::Tcp(tcp) => by_tcp(tcp.files(false), false)?,
        };
        if let Sender::Quic(quic) = &sender {
            let _closed = quic.set_priority(FILES_PRIORITY);
        }
        Ok((sender, receiver))
    }

    /// Whether the other end still answers. `window` is this end's, as the transport was given it.
    pub(super) async fn alive(&self, window: u32) -> bool {
        let before = self.heard();
        match self {
            // A window that opens by one byte is told at once, and must be acknowledged; the byte is
            // taken back with the next question.
            Self::Quic(quic) => {
                quic.set_receive_window(VarInt::from_u32(window));
                quic.set_receive_window(VarInt::from_u32(window + 1));
            }
            Self::Tcp(tcp) => tcp.ping(),
        }
        let deadline = Instant::now() + ALIVE_WITHIN;
        while Instant::now() < deadline {
            if self.is_closed() {
                return false;
            }
            if self.heard() > before {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Grows with everything the peer sends.
    fn heard(&self) -> u64 {
        match self {
            Self::Quic(quic) => quic.stats().udp_rx.datagrams,
            Self::Tcp(tcp) => tcp.traffic().down,
        }
    }
}

/// Words said before the handshake is through: whether they are heard.
pub(super) struct Early(pub(super) quinn::ZeroRttAccepted);

impl Early {
    /// Waits for the handshake; false: the words are lost, and the connection is as good as new.
    pub(super) async fn heard(
        self,
        connection: &Connection,
        within: Duration,
        doubt: bool,
    ) -> Result<bool, Failed> {
        let heard = tokio::time::timeout(within, self.0).await;
        let Ok(heard) = heard else {
            return Err(Failed::silence("no answer in time"));
        };
        if connection.is_closed() {
            return Err(connection.closed(doubt).await);
        }
        Ok(heard)
    }
}

/// A stream of a TCP connection, if it was still to be had.
fn by_tcp(
    stream: Result<(tcp::Sender, tcp::Receiver), tcp::Gone>,
    doubt: bool,
) -> Result<(Sender, Receiver), Failed> {
    stream
        .map(|(send, receive)| (Sender::Tcp(send), Receiver::Tcp(receive)))
        .map_err(|gone| reason::gone(&gone, doubt))
}

/// The half of a stream that is written.
pub(super) enum Sender {
    Quic(SendStream),
    Tcp(tcp::Sender),
}

impl Sender {
    /// Ends what is said here, and waits until it has left as far as the carrier can tell.
    pub(super) async fn finish(self) {
        match self {
            Self::Quic(mut quic) => {
                if quic.finish().is_ok() {
                    let _stopped = quic.stopped().await;
                }
            }
            Self::Tcp(tcp) => tcp.finish().await,
        }
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Quic(quic) => AsyncWrite::poll_write(Pin::new(quic), cx, bytes),
            Self::Tcp(tcp) => Pin::new(tcp.stream()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Quic(quic) => Pin::new(quic).poll_flush(cx),
            Self::Tcp(tcp) => Pin::new(tcp.stream()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Quic(quic) => Pin::new(quic).poll_shutdown(cx),
            Self::Tcp(tcp) => Pin::new(tcp.stream()).poll_shutdown(cx),
        }
    }
}

/// The half of a stream that is read.
pub(super) enum Receiver {
    Quic(RecvStream),
    Tcp(tcp::Receiver),
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Quic(quic) => AsyncRead::poll_read(Pin::new(quic), cx, into),
            Self::Tcp(tcp) => AsyncRead::poll_read(Pin::new(tcp), cx, into),
        }
    }
}
