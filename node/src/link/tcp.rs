//! One connection over TLS/TCP, with what QUIC brings along and TCP lacks: a reason at the end, signs
//! of life, an end of one direction alone, and streams of files below the session's. Records are described in `docs/formats/transport.md`.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{Notify, watch},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    lock,
    reason::{self, Close, Failed},
    tls,
};
use crate::{config, store::Traffic};

mod count;
mod files;
mod pump;

use count::{Count, Counted};
use files::Flows;

/// Bytes between the stream and the session, each way.
const BETWEEN_BYTES: usize = 64 * 1024;
/// How long the last words to a peer may take, and how long its own are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gone {
    /// Closed here.
    Here(Close, String),
    /// The peer closed it.
    Closed(u16, String),
    /// The peer does not go on with TLS: an alert.
    Alert(u8),
    /// What came is no record.
    Garbage(String),
    /// Nothing came for too long.
    TimedOut,
    /// It broke.
    Lost(String),
}

/// All TCP connections of a node: so that they can end together.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<All>);

#[derive(Debug, Default)]
struct All {
    closing: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

impl Lines {
    /// Says goodbye on every connection, and waits until that is done.
    pub(super) async fn end(&self) {
        let _before = self.0.closing.send_replace(true);
        let mut open = self.0.open.subscribe();
        let _none = open.wait_for(|open| *open == 0).await.map(drop);
    }

    pub(super) fn count(&self) -> usize {
        *self.0.open.borrow()
    }

    fn one_more(&self) -> OneMore {
        self.0.open.send_modify(|open| *open += 1);
        OneMore(self.clone())
    }
}

/// A connection that is counted.
struct OneMore(Lines);

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| *open -= 1);
    }
}

/// A connection over TLS/TCP. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Handle>);

/// Held by whoever uses the connection; when nobody does, it ends.
#[derive(Debug)]
struct Handle {
    state: Arc<State>,
    certificate: Option<Vec<u8>>,
    agreed: Option<Vec<u8>>,
    halves: Mutex<Option<DuplexStream>>,
    /// What the caller asks of files, and what the called node does.
    files: [Mutex<Option<DuplexStream>>; files::STREAMS],
    caller: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.end(Gone::Here(Close::Stop, String::new()));
    }
}

/// What the users of a connection and its pump share.
#[derive(Debug, Default)]
struct State {
    gone: watch::Sender<Option<Gone>>,
    ping: Notify,
    /// The peer waits for a sign of life.
    pong: Notify,
    /// All that was said here is with the operating system.
    said: watch::Sender<bool>,
    /// The last words are said or given up: the socket is closed.
    parted: watch::Sender<bool>,
    count: Arc<Count>,
    flows: Flows,
}

impl State {
    /// The first end counts.
    fn end(&self, gone: Gone) {
        let _later = self.gone.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(gone);
            }
            first
        });
    }

    async fn gone(&self) -> Gone {
        let mut gone = self.gone.subscribe();
        let known = gone.wait_for(Option::is_some).await;
        known
            .ok()
            .and_then(|gone| gone.clone())
            .unwrap_or(Gone::TimedOut)
    }
}

impl Connection {
    /// Begins with a stream whose handshake is done.
    fn begin(
        stream: tokio_rustls::TlsStream<Counted>,
        count: Arc<Count>,
        link: &config::Link,
        lines: &Lines,
    ) -> Self {
        let caller = matches!(stream, tokio_rustls::TlsStream::Client(_));
        let (_io, tls) = stream.get_ref();
        let certificate = tls.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|der| der.to_vec());
        let agreed = tls.alpn_protocol().map(<[u8]>::to_vec);
        let state = Arc::new(State {
            count,
            ..State::default()
        });
        let (inside, session) = tokio::io::duplex(BETWEEN_BYTES);
        let [asked, answered] = [files::stream(), files::stream()];
        let outside = pump::Streams {
            session,
            outgoing: [asked.1, answered.1],
            incoming: [asked.2, answered.2],
        };
        let waits = pump::Waits {
            idle: link.idle,
            keep_alive: link.keep_alive,
        };
        let (of_pump, one_more) = (state.clone(), lines.one_more());
        drop(tokio::spawn(async move {
            let mut closing = one_more.0.0.closing.subscribe();
            let with_all = async {
                let _all = closing.wait_for(|closing| *closing).await.map(drop);
                of_pump.end(Gone::Here(Close::Stop, String::new()));
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = with_all => {}
                () = pump::run(stream, outside, &of_pump, waits) => {}
            }
            let _before = of_pump.parted.send_replace(true);
        }));
        Self(Arc::new(Handle {
            state,
            certificate,
            agreed,
            halves: Mutex::new(Some(inside)),
            files: [asked.0, answered.0].map(|inside| Mutex::new(Some(inside))),
            caller,
        }))
    }

    pub(super) fn close(&self, close: Close, why: &str) {
        self.0.state.end(Gone::Here(close, why.to_owned()));
    }

    pub(super) async fn closed(&self) -> Gone {
        self.0.state.gone().await
    }

    /// Waits until the socket is closed.
    pub(super) async fn parted(&self) {
        let mut parted = self.0.state.parted.subscribe();
        let _parted = parted.wait_for(|parted| *parted).await.map(drop);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.state.gone.borrow().is_some()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.0.certificate.as_deref()
    }

    pub(super) fn agreed(&self) -> Option<&[u8]> {
        self.0.agreed.as_deref()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.0.state.count.traffic()
    }

    /// Asks the peer for a sign of life.
    pub(super) fn ping(&self) {
        self.0.state.ping.notify_one();
    }

    /// The session's stream. It can be had once.
    pub(super) fn halves(&self) -> Result<(Sender, Receiver), Gone> {
        self.parts(&self.0.halves, None)
    }

    /// The stream on which this node asks for files (`asking`), or the one on which it is asked.
    /// Each can be had once.
    pub(super) fn files(&self, asking: bool) -> Result<(Sender, Receiver), Gone> {
        let stream = usize::from(asking != self.0.caller);
        self.parts(&self.0.files[stream], Some(stream))
    }

    fn parts(
        &self,
        of: &Mutex<Option<DuplexStream>>,
        files: Option<usize>,
    ) -> Result<(Sender, Receiver), Gone> {
        let inside = lock(of).take();
        let inside = inside.ok_or_else(|| Gone::Lost("a second stream".to_owned()))?;
        let (read, write) = tokio::io::split(inside);
        let (connection, of_receiver) = (self.clone(), self.clone());
        let sender = Sender { write, connection };
        let receiver = Receiver {
            read,
            files,
            connection: of_receiver,
        };
        Ok((sender, receiver))
    }
}

/// The half that is written.
pub(super) struct Sender {
    write: WriteHalf<DuplexStream>,
    connection: Connection,
}

impl Sender {
    pub(super) const fn stream(&mut self) -> &mut WriteHalf<DuplexStream> {
        &mut self.write
    }

    /// Ends what is said here, and waits until the operating system has it all.
    pub(super) async fn finish(mut self) {
        if self.write.shutdown().await.is_err() {
            return;
        }
        let state = &self.connection.0.state;
        let mut said = state.said.subscribe();
        tokio::select! {
            _said = said.wait_for(|said| *said) => {}
            _gone = state.gone() => {}
        }
    }
}

/// The half that is read.
pub(super) struct Receiver {
    read: ReadHalf<DuplexStream>,
    /// Which stream of files it is, if it is one.
    files: Option<usize>,
    connection: Connection,
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.read).poll_read(cx, into);
        if let (Some(stream), Poll::Ready(Ok(()))) = (this.files, &read) {
            let came = into.filled().len() - before;
            this.connection.0.state.flows.took(stream, came);
        }
        read
    }
}

/// Calls, with the handshake within its time.
pub(super) async fn call(
    crypto: rustls::ClientConfig,
    to: SocketAddr,
    link: &config::Link,
    lines: &Lines,
    doubt: bool,
) -> Result<Connection, Failed> {
    let connecting = async {
        let stream = TcpStream::connect(to)
            .await
            .map_err(|e| reason::no_tcp(&e))?;
        let (stream, count) = count::counted(stream);
        let name = ServerName::try_from(tls::NAME)
            .map_err(|error| Failed::new(reason::Reason::HubDown, error))?;
        let shaken = TlsConnector::from(Arc::new(crypto)).connect(name, stream);
        let stream = shaken
            .await
            .map_err(|error| reason::gone(&pump::gone(&error), doubt))?;
        Ok((stream, count))
    };
    let (stream, count) = tokio::time::timeout(link.handshake, connecting)
        .await
        .unwrap_or_else(|_late| Err(Failed::silence("no answer by TCP in time")))?;
    Ok(Connection::begin(stream.into(), count, link, lines))
}

/// Answers one call.
pub(super) async fn answer(
    crypto: rustls::ServerConfig,
    stream: TcpStream,
    link: &config::Link,
    lines: &Lines,
) -> Result<Connection, String> {
    let (stream, count) = count::counted(stream);
    let shaking = TlsAcceptor::from(Arc::new(crypto)).accept(stream);
    let shaken = tokio::time::timeout(link.handshake, shaking.into_fallible())
        .await
        .map_err(|_late| "handshake took too long".to_owned())?;
    match shaken {
        Ok(stream) => Ok(Connection::begin(stream.into(), count, link, lines)),
        Err((error, stream)) => {
            // The alert should arrive before the line is cut.
            pump::hang_up(stream).await;
            Err(error.to_string())
        }
    }
}
