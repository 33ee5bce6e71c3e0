//! Moves bytes between a session and a TLS stream, in records.
//!
//! A record is its kind (one byte), a length (two bytes, big endian) and that many bytes.

use std::{io, time::Duration};

use rustls::AlertDescription;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Gone, LAST_WORDS, State,
    files::{Incoming, Outgoing, STREAMS},
};

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
/// Bytes of the streams of files, that of the caller's questions first; none: the stream ends.
const FILES: [u8; STREAMS] = [5, 6];
/// So many bytes of a stream of files were taken: which, and how many (two bytes, big endian).
const TAKEN: u8 = 7;

const HEADER_BYTES: usize = 3;
/// With its header a record fits one of TLS.
const RECORD_BYTES_MAX: usize = 16 * 1024 - HEADER_BYTES;
/// Words for a log are few.
const WORDS_BYTES_MAX: usize = 200;

/// A connection's streams, on this side.
pub(super) struct Streams {
    pub(super) session: DuplexStream,
    pub(super) outgoing: [Outgoing; STREAMS],
    pub(super) incoming: [Incoming; STREAMS],
}

/// How long a line may be silent.
pub(super) struct Waits {
    pub(super) idle: Duration,
    pub(super) keep_alive: Duration,
}

/// Moves bytes until the connection has ended and the last words have left.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    streams: Streams,
    state: &State,
    waits: Waits,
) {
    let (mut from_peer, mut to_peer) = tokio::io::split(stream);
    let (from_session, to_session) = tokio::io::split(streams.session);
    let late = async {
        let _gone = state.gone().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        gone = read(&mut from_peer, (to_session, streams.incoming), state, waits.idle) => state.end(gone),
        written = write(&mut to_peer, (from_session, streams.outgoing), state, waits.keep_alive) => {
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
    (mut to_session, mut files): (WriteHalf<DuplexStream>, [Incoming; STREAMS]),
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
            TAKEN => taken(&bytes, state),
            kind if let Some(stream) = FILES.iter().position(|of| *of == kind) => {
                if !state.flows.came(stream, length) {
                    return Gone::Garbage("more of a file than there was room for".to_owned());
                }
                files[stream].put(&bytes).await;
            }
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

/// The peer has taken something of a stream of files.
fn taken(bytes: &[u8], state: &State) {
    if let [stream, count @ ..] = bytes
        && let (stream @ ..STREAMS, Ok(count)) = (usize::from(*stream), count.try_into())
    {
        let count = u16::from_be_bytes(count);
        state.flows.told(stream, usize::from(count));
    }
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
    (mut from_session, files): (ReadHalf<DuplexStream>, [Outgoing; STREAMS]),
    state: &State,
    keep_alive: Duration,
) -> io::Result<()> {
    let mut bytes = vec![0; HEADER_BYTES + RECORD_BYTES_MAX];
    let mut speaking = true;
    let mut silence = Silence::after(keep_alive, state);
    let [mut asked, mut answered] = files;
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
            () = state.flows.changed() => tell(to_peer, state).await?,
            part = asked.next(state.flows.room(0)) => send(to_peer, 0, part?, state).await?,
            part = answered.next(state.flows.room(1)) => send(to_peer, 1, part?, state).await?,
            () = sleep_until(silence.ends) => if silence.lasted(state) {
                record(to_peer, PING, &[]).await?;
            },
        }
    }
}

/// Sends bytes of a stream of files.
async fn send<W: AsyncWrite + Unpin>(
    to_peer: &mut W,
    stream: usize,
    bytes: &[u8],
    state: &State,
) -> io::Result<()> {
    state.flows.sent(stream, bytes.len());
    record(to_peer, FILES[stream], bytes).await
}

/// Tells the peer what was taken of streams of files.
async fn tell<W: AsyncWrite + Unpin>(to_peer: &mut W, state: &State) -> io::Result<()> {
    for stream in 0..STREAMS {
        if let Some(count) = state.flows.to_tell(stream) {
            let [high, low] = count.to_be_bytes();
            record(to_peer, TAKEN, &[stream as u8, high, low]).await?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::{
        super::files::{self, AHEAD, RECORD_BYTES},
        *,
    };

    const WAITS: Waits = Waits {
        idle: Duration::from_secs(60),
        keep_alive: Duration::from_secs(60),
    };

    /// A pump at work: its users' ends (session, files), and the line.
    fn pump(state: &'static State) -> (DuplexStream, [DuplexStream; STREAMS], DuplexStream) {
        let (line, peer) = tokio::io::duplex(8 * AHEAD);
        let (session, of_pump) = tokio::io::duplex(AHEAD);
        let [asked, answered] = [files::stream(), files::stream()];
        let streams = Streams {
            session: of_pump,
            outgoing: [asked.1, answered.1],
            incoming: [asked.2, answered.2],
        };
        drop(tokio::spawn(run(line, streams, state, WAITS)));
        (session, [asked.0, answered.0], peer)
    }

    fn state() -> &'static State {
        Box::leak(Box::default())
    }

    async fn next(peer: &mut DuplexStream) -> (u8, usize) {
        let mut header = [0; HEADER_BYTES];
        peer.read_exact(&mut header).await.unwrap();
        let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let mut bytes = vec![0; length];
        peer.read_exact(&mut bytes).await.unwrap();
        (header[0], length)
    }

    #[tokio::test]
    async fn a_case_waits_behind_no_more_of_a_file_than_there_is_room_for() {
        let (mut session, [_asked, mut answered], mut peer) = pump(state());
        let file = tokio::spawn(async move {
            answered.write_all(&vec![7; 4 * AHEAD]).await.unwrap();
            answered
        });
        let mut came = 0;
        while came < AHEAD {
            let (kind, length) = next(&mut peer).await;
            assert!(kind == FILES[1] && length <= RECORD_BYTES);
            came += length;
        }
        assert_eq!(came, AHEAD);
        session.write_all(b"case").await.unwrap();
        assert_eq!(next(&mut peer).await, (DATA, 4));
        // What was taken makes room for as much.
        let [high, low] = 5_000_u16.to_be_bytes();
        record(&mut peer, TAKEN, &[1, high, low]).await.unwrap();
        let mut more = 0;
        while more < 5_000 {
            let (kind, length) = next(&mut peer).await;
            assert_eq!(kind, FILES[1]);
            more += length;
        }
        assert_eq!(more, 5_000);
        file.abort();
    }

    #[tokio::test]
    async fn a_peer_that_sends_more_of_a_file_than_there_is_room_for_is_hung_up_on() {
        let state = state();
        let (_session, _files, mut peer) = pump(state);
        for _record in 0..AHEAD / RECORD_BYTES {
            record(&mut peer, FILES[0], &[1; RECORD_BYTES])
                .await
                .unwrap();
        }
        record(&mut peer, FILES[0], &[1]).await.unwrap();
        assert!(matches!(state.gone().await, Gone::Garbage(_)));
    }

    #[tokio::test]
    async fn what_is_read_is_told_and_an_end_is_an_end() {
        let (_session, [asked, _answered], mut peer) = pump(state());
        for bytes in [&[1; RECORD_BYTES][..], &[]] {
            record(&mut peer, FILES[0], bytes).await.unwrap();
        }
        let mut asked = asked;
        let mut read = Vec::new();
        asked.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [1; RECORD_BYTES]);
    }
}
