//! Moves bytes between a session and a TLS stream, in records.
//!
//! A record is its kind (one byte), a length (two bytes, big endian) and that many bytes.

use std::{io, time::Duration};

use rustls::AlertDescription;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    time::{Instant, sleep_until, timeout},
};

use super::{Gone, LAST_WORDS, State};

/// Bytes of the stream.
const DATA: u8 = 0;
/// The sender says no more on the stream.
const FIN: u8 = 1;
/// Asks for a sign of life.
const PING: u8 = 2;
/// Is one.
const PONG: u8 = 3;
/// The end: a code (two bytes, big endian) and words for a log.
const CLOSE: u8 = 4;

const HEADER_BYTES: usize = 3;
/// With its header a record fits one of TLS.
const RECORD_BYTES_MAX: usize = 16 * 1024 - HEADER_BYTES;
/// Words for a log are few.
const WORDS_BYTES_MAX: usize = 200;

/// How long a line may be silent.
pub(super) struct Waits {
    pub(super) idle: Duration,
    pub(super) keep_alive: Duration,
}

/// Moves bytes until the connection has ended and the last words have left.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    session: DuplexStream,
    state: &State,
    waits: Waits,
) {
    let (mut from_peer, mut to_peer) = tokio::io::split(stream);
    let (from_session, to_session) = tokio::io::split(session);
    let late = async {
        let _gone = state.gone().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        gone = read(&mut from_peer, to_session, state, waits.idle) => state.end(gone),
        written = write(&mut to_peer, from_session, state, waits.keep_alive) => {
            if let Err(error) = written {
                state.end(gone(&error));
            }
        }
        () = late => {}
    }
    let _cut = timeout(LAST_WORDS, to_peer.shutdown()).await;
    if matches!(state.gone().await, Gone::Here(..)) {
        // Closing with unread bytes would tear away what the peer has not read yet.
        let _enough = timeout(LAST_WORDS, drain(&mut from_peer)).await;
    }
}

/// Reads records until there is a reason not to.
async fn read<R: AsyncRead + Unpin>(
    from_peer: &mut R,
    mut to_session: WriteHalf<DuplexStream>,
    state: &State,
    idle: Duration,
) -> Gone {
    let mut bytes = Vec::new();
    let mut wanted = true;
    loop {
        let mut header = [0; HEADER_BYTES];
        if let Err(gone) = fill(from_peer, &mut header, idle).await {
            return gone;
        }
        let [kind, length @ ..] = header;
        let length = usize::from(u16::from_be_bytes(length));
        if length > RECORD_BYTES_MAX {
            return Gone::Garbage(format!("a record of {length} bytes"));
        }
        bytes.resize(length, 0);
        if let Err(gone) = fill(from_peer, &mut bytes, idle).await {
            return gone;
        }
        match kind {
            DATA if wanted => wanted = to_session.write_all(&bytes).await.is_ok(),
            FIN => {
                let _unread = to_session.shutdown().await;
                wanted = false;
            }
            PING => state.pong.notify_one(),
            CLOSE => return closed(&bytes),
            // What nobody reads any more, a sign of life, and what a newer version may send.
            _ => {}
        }
    }
}

/// So many bytes, none of which may let itself be waited for too long.
async fn fill<R: AsyncRead + Unpin>(
    stream: &mut R,
    mut bytes: &mut [u8],
    idle: Duration,
) -> Result<(), Gone> {
    while !bytes.is_empty() {
        match timeout(idle, stream.read(bytes)).await {
            Ok(Ok(0)) => return Err(Gone::Lost("cut without a word".to_owned())),
            Ok(Ok(came)) => bytes = &mut bytes[came..],
            Ok(Err(error)) => return Err(gone(&error)),
            Err(_late) => return Err(Gone::TimedOut),
        }
    }
    Ok(())
}

fn closed(bytes: &[u8]) -> Gone {
    let Some((code, words)) = bytes.split_first_chunk() else {
        return Gone::Garbage("a close without a code".to_owned());
    };
    let words = String::from_utf8_lossy(&words[..words.len().min(WORDS_BYTES_MAX)]);
    Gone::Closed(u16::from_be_bytes(*code), words.into_owned())
}

/// Writes records until the connection has ended; a close from here is the last of them.
async fn write<W: AsyncWrite + Unpin>(
    to_peer: &mut W,
    mut from_session: ReadHalf<DuplexStream>,
    state: &State,
    keep_alive: Duration,
) -> io::Result<()> {
    let mut bytes = vec![0; HEADER_BYTES + RECORD_BYTES_MAX];
    let mut speaking = true;
    let mut silence = Silence::after(keep_alive, state);
    loop {
        tokio::select! {
            biased;
            gone = state.gone() => {
                if let Gone::Here(close, words) = gone {
                    let words = words.as_bytes();
                    let words = &words[..words.len().min(WORDS_BYTES_MAX)];
                    let code = (close as u16).to_be_bytes();
                    record(to_peer, CLOSE, &[&code, words].concat()).await?;
                }
                return Ok(());
            }
            () = state.pong.notified() => record(to_peer, PONG, &[]).await?,
            () = state.ping.notified() => record(to_peer, PING, &[]).await?,
            said = from_session.read(&mut bytes[HEADER_BYTES..]), if speaking => match said? {
                0 => {
                    speaking = false;
                    record(to_peer, FIN, &[]).await?;
                    let _before = state.said.send_replace(true);
                }
                length => {
                    bytes[..HEADER_BYTES].copy_from_slice(&header(DATA, length));
                    to_peer.write_all(&bytes[..HEADER_BYTES + length]).await?;
                    to_peer.flush().await?;
                }
            },
            () = sleep_until(silence.ends) => if silence.lasted(state) {
                record(to_peer, PING, &[]).await?;
            },
        }
    }
}

/// Whoever is heard of need not be asked for a sign of life.
struct Silence {
    keep_alive: Duration,
    /// Bytes heard when it began.
    heard: u64,
    ends: Instant,
}

impl Silence {
    fn after(keep_alive: Duration, state: &State) -> Self {
        Self {
            keep_alive,
            heard: state.count.traffic().down,
            ends: Instant::now() + keep_alive,
        }
    }

    /// Whether nothing was heard meanwhile; the next one begins.
    fn lasted(&mut self, state: &State) -> bool {
        let next = Self::after(self.keep_alive, state);
        let before = std::mem::replace(self, next);
        before.heard == self.heard
    }
}

fn header(kind: u8, length: usize) -> [u8; HEADER_BYTES] {
    // No record is longer than what 16 bits hold.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    [kind, high, low]
}

async fn record<W: AsyncWrite + Unpin>(to: &mut W, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let record = [&header(kind, bytes.len()), bytes].concat();
    to.write_all(&record).await?;
    to.flush().await
}

/// What an error of the stream says about its end.
pub(super) fn gone(error: &io::Error) -> Gone {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else {
        return Gone::Lost(error.to_string());
    };
    if let rustls::Error::AlertReceived(alert) = tls {
        Gone::Alert((*alert).into())
    } else if let rustls::Error::InvalidCertificate(why) = tls {
        // The alert this node sends itself.
        Gone::Alert(AlertDescription::from(why.clone()).into())
    } else if matches!(
        tls,
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol
    ) {
        Gone::Alert(AlertDescription::ProtocolVersion.into())
    } else {
        Gone::Garbage(tls.to_string())
    }
}

/// Ends a stream whose handshake failed so that the alert arrives.
pub(super) async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let _enough = timeout(LAST_WORDS, async {
        if stream.shutdown().await.is_ok() {
            drain(&mut stream).await;
        }
    })
    .await;
}

async fn drain<R: AsyncRead + Unpin>(stream: &mut R) {
    let mut bytes = [0; 1024];
    while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
}
