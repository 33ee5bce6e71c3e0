//! A stolen machine on a real line: keys and certificate out of a copy of its database, quinn and
//! rustls of its own, and whatever bytes it likes.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use cuntong_node::{
    identity::Papers,
    store::{Db, Derived, MemoryMarker, Opening},
};
use cuntong_protocol::{
    time::Millis,
    wire::{
        Message, codec,
        frame::{self, Deflater, Inflater},
    },
};
use quinn::{Connection, Endpoint, RecvStream, SendStream, crypto::rustls::QuicClientConfig};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::Hostile;
use crate::process::Node;

/// What the thief took: the machine, and what it shows in TLS.
#[derive(Debug)]
pub struct Stolen {
    pub peer: Hostile,
    shown: Arc<CertifiedKey>,
    /// Upstreams of its settings: the township, then the hub.
    pub upstream: Vec<SocketAddr>,
}

/// How long a real node may take to answer or to hang up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stolen {
    /// Copies the database of a node that runs, and opens the copy. The copy begins an epoch of
    /// its own; the real machine should be unplugged meanwhile.
    pub fn from(node: &Node) -> Self {
        let disk = rusqlite::Connection::open(node.dir.join("cuntong.db")).expect("it opens");
        let mut copy = rusqlite::Connection::open_in_memory().expect("SQLite in memory");
        rusqlite::backup::Backup::new(&disk, &mut copy)
            .and_then(|b| b.step(-1))
            .expect("a copy is made");
        let now = Millis(now_ms());
        let opening = Opening {
            now,
            nonce: [0xEE; 16],
            marker: Arc::new(MemoryMarker::default()),
            derived: &Derived::NONE,
        };
        let db = Db::open(copy, opening).expect("the copy opens");
        let papers = Papers::load(&db).expect("it reads").expect("it is a node");
        let identity = db.identity().expect("it is a node").clone();
        let mut peer = Hostile::of(db.site().expect("it has a site"));
        (peer.key, peer.writer, peer.at) = (identity.sign, identity.writer, now);
        let settings = std::fs::read_to_string(node.dir.join(cuntong_node::config::FILE));
        let settings = settings.expect("its settings read");
        let line = settings.lines().find(|l| l.starts_with("upstream"));
        let upstream = line
            .expect("a village has upstreams")
            .split('"')
            .skip(1)
            .step_by(2);
        Self {
            peer,
            shown: papers.shown().expect("key and certificate belong together"),
            upstream: upstream.map(|a| a.parse().expect("an address")).collect(),
        }
    }

    /// Connects and opens the one stream.
    pub async fn call(&self, address: SocketAddr) -> Line {
        let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
        let plain = vec![cuntong_node::link::tls::ALPN.to_vec()];
        endpoint.set_default_client_config(calling(self.shown.clone(), plain));
        let connecting = endpoint
            .connect(address, "x.invalid")
            .expect("it may be called");
        let connection = connecting.await.expect("a listed key is let in");
        let (send, receive) = connection.open_bi().await.expect("a stream");
        Line {
            _endpoint: endpoint,
            connection,
            send,
            receive,
            deflater: Deflater::default(),
            inflater: Inflater::default(),
        }
    }
}

/// How a machine calls that shows this key and believes whoever answers; `alpn` is what it offers
/// to speak, the preferred first.
pub fn calling(shown: Arc<CertifiedKey>, alpn: Vec<Vec<u8>>) -> quinn::ClientConfig {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(Shown(shown)));
    tls.alpn_protocols = alpn;
    let tls = QuicClientConfig::try_from(tls).expect("good for QUIC");
    quinn::ClientConfig::new(Arc::new(tls))
}

fn now_ms() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A connection.
pub struct Line {
    _endpoint: Endpoint,
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    deflater: Deflater,
    inflater: Inflater,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.connection.remote_address())
    }
}

impl Line {
    /// Says a message. That the other side has hung up is no error: it is what is tested.
    pub async fn say(&mut self, message: &Message) {
        let frame = self
            .deflater
            .frame(&codec::encode(message))
            .expect("a message");
        self.say_bytes(&frame).await;
    }

    /// Sends bytes as they are.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let _hung_up = self.send.write_all(bytes).await;
    }

    /// The next message; none when the other side has hung up.
    ///
    /// # Panics
    /// When nothing comes for a minute.
    pub async fn hear(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.next())
            .await
            .expect("an answer or an end")
    }

    async fn next(&mut self) -> Option<Message> {
        let mut prefix = [0; 4];
        self.receive.read_exact(&mut prefix).await.ok()?;
        let mut data = vec![0; frame::length(prefix).expect("a frame of ours")];
        self.receive.read_exact(&mut data).await.ok()?;
        let bytes = self.inflater.message(&data).expect("it inflates");
        Some(codec::decode(&bytes).expect("it decodes"))
    }

    /// Waits until the other side has hung up.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub async fn hung_up(&mut self) {
        let closed = tokio::time::timeout(PATIENCE, self.connection.closed()).await;
        let _why = closed.expect("the other side hangs up");
    }
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The thief does not ask who answers.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
