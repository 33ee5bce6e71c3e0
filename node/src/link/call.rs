//! One call to an upstream, up to the point where a session can begin, and once more from there where early words were lost.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cuntong_protocol::{role::Level, sync::Role, wire::window::Dictionary};
use cuntong_provisioning::judge::{Judgement, Known, Side};
use quinn::{ClientConfig, crypto::rustls::QuicClientConfig};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Shared,
    carrier::{Carrier, Connection, Early},
    drive, limits,
    reach::{Lead, reach},
    reason::{self, Close, Failed, Reason},
    resume::Last,
    tcp, tls,
};

/// A connection; one that is not through its handshake yet comes with what is thought of it.
type Called = (Connection, Option<(Early, Last)>);

/// Calls one upstream up to the point where a session can begin. `hopeful`: what the last session
/// left may be spent on saying the first words with the first packet.
pub(super) async fn call(
    shared: &Arc<Shared>,
    index: usize,
    alpn: &[u8],
    hopeful: bool,
) -> Result<drive::Line, Failed> {
    match connect(shared, index, alpn, hopeful).await? {
        (connection, None) => begin(shared, index, connection).await,
        (connection, Some((early, last))) => {
            let known = judge(shared, &connection, &last.certificate)?;
            let dictionary = tls::dictionary(&last.alpn, &shared.ground().trust);
            let line = line(shared, connection, known, dictionary).await?;
            Ok(drive::Line {
                early: Some(early),
                ..line
            })
        }
    }
}

/// The session's stream on a connection that is through its handshake.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    index: usize,
    connection: Connection,
) -> Result<drive::Line, Failed> {
    let Some(certificate) = connection.certificate() else {
        return Err(hang_up(&connection, "no certificate"));
    };
    let known = judge(shared, &connection, &certificate)?;
    let alpn = connection.agreed();
    let trust = shared.ground().trust;
    let dictionary = alpn
        .as_deref()
        .and_then(|alpn| tls::dictionary(alpn, &trust));
    if let (Some(alpn), Connection::Quic(_)) = (alpn, &connection) {
        shared.resume(index).remember(Last { certificate, alpn });
    }
    line(shared, connection, known, dictionary).await
}

async fn line(
    shared: &Arc<Shared>,
    connection: Connection,
    known: Known,
    dictionary: Option<Dictionary>,
) -> Result<drive::Line, Failed> {
    let (send, receive) = connection.open(shared.clock_in_doubt()).await?;
    Ok(drive::Line {
        connection,
        send,
        receive,
        known,
        role: Role::Caller,
        dictionary,
        early: None,
        waiting: None,
    })
}

/// Runs a session. Where the upstream has forgotten the last one, what was said early did not
/// arrive, and is said again once the handshake is done.
pub(super) async fn to_its_end(
    shared: &Arc<Shared>,
    index: usize,
    line: drive::Line,
    report: UnboundedSender<drive::Event>,
) -> Failed {
    let connection = line.connection.clone();
    match drive::run(shared, line, report.clone()).await {
        drive::Ran::Ended(failed) => failed,
        drive::Ran::Forgotten => match begin(shared, index, connection).await {
            Ok(line) => {
                shared.note(index, |up| up.resumed = false);
                match drive::run(shared, line, report).await {
                    drive::Ran::Ended(failed) => failed,
                    drive::Ran::Forgotten => Failed::new(Reason::HubDown, "forgotten twice"),
                }
            }
            Err(failed) => failed,
        },
    }
}

/// Who answered, if it is a node to talk to.
fn judge(shared: &Shared, connection: &Connection, certificate: &[u8]) -> Result<Known, Failed> {
    match shared.ground().judge(certificate, Side::Callee) {
        Judgement::Full(known) if known.level > Level::Village => Ok(known),
        Judgement::Full(_) => Err(hang_up(connection, "a village point answered")),
        Judgement::RenewOnly(..) => Err(hang_up(connection, "the upstream's certificate ran out")),
        Judgement::Refused(why) => Err(hang_up(connection, why.word())),
    }
}

fn hang_up(connection: &Connection, why: &str) -> Failed {
    connection.close(Close::Unwanted, "");
    Failed::new(Reason::Certificate, why)
}

/// A connection by whichever carrier answers, and which is to be tried first the next time.
async fn connect(
    shared: &Shared,
    index: usize,
    alpn: &[u8],
    hopeful: bool,
) -> Result<Called, Failed> {
    let config = &shared.parts.config;
    let to = resolve(&config.upstream[index]).await?;
    let lead = shared.lead(index);
    let hopeful = hopeful && lead == Lead::Quic;
    let reached = reach(
        config.carrier,
        lead,
        config.handshake,
        by_quic(shared, index, to, alpn, hopeful),
        by_tcp(shared, to, alpn),
    );
    let reached = tokio::select! {
        reached = reached => reached,
        () = shared.parts.stop.stopped() => Err(Failed::new(Reason::HubDown, "stopping here")),
    };
    let next = match &reached {
        Ok((connection, _early)) => {
            let carrier = connection.carrier();
            tracing::info!(upstream = index, carrier = carrier.word(), "called");
            match carrier {
                Carrier::Quic => Lead::Quic,
                Carrier::Tcp => Lead::Both,
            }
        }
        Err(failed) if failed.silent => Lead::default(),
        Err(_answered) => lead,
    };
    shared.note(index, |up| up.lead = next);
    reached
}

/// A connection by QUIC: through its handshake, or with early words allowed.
async fn by_quic(
    shared: &Shared,
    index: usize,
    to: SocketAddr,
    alpn: &[u8],
    hopeful: bool,
) -> Result<Called, Failed> {
    if alpn != tls::ALPN {
        let crypto = tls::calling(shared.own(), shared.ground(), alpn);
        let connection = shake_with(shared, crypto, to).await?;
        return Ok((Connection::Quic(connection), None));
    }
    let resume = shared.resume(index);
    let crypto = resume.crypto(shared.ground(), hopeful);
    let connecting = connecting(shared, crypto, to, resume.rtt())?;
    let connecting = match (connecting.into_0rtt(), resume.last()) {
        (Ok((connection, accepted)), Some(last)) => {
            let early = Early(accepted);
            return Ok((Connection::Quic(connection), Some((early, last))));
        }
        (Ok((connection, accepted)), None) => {
            let _verdict = accepted.await;
            return Ok((Connection::Quic(connection), None));
        }
        (Err(connecting), _) => connecting,
    };
    let connection = shaken(connecting, shared).await?;
    Ok((Connection::Quic(connection), None))
}

/// Whether QUIC is answered: a connection that nothing is said on.
pub(super) async fn probe_quic(
    shared: &Shared,
    to: SocketAddr,
) -> Result<quinn::Connection, Failed> {
    let crypto = tls::calling(shared.own(), shared.ground(), tls::ALPN);
    shake_with(shared, crypto, to).await
}

async fn shake_with(
    shared: &Shared,
    crypto: Result<QuicClientConfig, tls::TlsError>,
    to: SocketAddr,
) -> Result<quinn::Connection, Failed> {
    shaken(connecting(shared, crypto, to, None)?, shared).await
}

fn connecting(
    shared: &Shared,
    crypto: Result<QuicClientConfig, tls::TlsError>,
    to: SocketAddr,
    rtt: Option<Duration>,
) -> Result<quinn::Connecting, Failed> {
    let crypto = crypto.map_err(|error| Failed::new(Reason::Certificate, error))?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    let mut transport = limits::transport(shared.level, &shared.parts.config);
    if let Some(rtt) = rtt {
        // A lost first packet is sent again as soon as this line allows.
        transport.initial_rtt(rtt);
    }
    client.transport_config(Arc::new(transport));
    shared
        .endpoint
        .connect_with(client, to, tls::NAME)
        .map_err(|error| reason::connect(&error))
}

async fn shaken(
    connecting: quinn::Connecting,
    shared: &Shared,
) -> Result<quinn::Connection, Failed> {
    let doubt = shared.clock_in_doubt();
    in_time(connecting, shared.parts.config.handshake, doubt).await
}

/// A connection by TCP.
async fn by_tcp(shared: &Shared, to: SocketAddr, alpn: &[u8]) -> Result<Called, Failed> {
    let crypto = tls::calling_by_tcp(shared.own(), Some(shared.ground()), alpn)
        .map_err(|error| Failed::new(Reason::Certificate, error))?;
    let (link, doubt) = (&shared.parts.config, shared.clock_in_doubt());
    let called = tcp::call(crypto, to, link, &shared.lines, doubt).await;
    called.map(|tcp| (Connection::Tcp(tcp), None))
}

/// The handshake, within its time.
pub(super) async fn shake(
    endpoint: &quinn::Endpoint,
    client: ClientConfig,
    to: SocketAddr,
    within: Duration,
    doubt: bool,
) -> Result<quinn::Connection, Failed> {
    let connecting = endpoint
        .connect_with(client, to, tls::NAME)
        .map_err(|error| reason::connect(&error))?;
    in_time(connecting, within, doubt).await
}

async fn in_time(
    connecting: quinn::Connecting,
    within: Duration,
    doubt: bool,
) -> Result<quinn::Connection, Failed> {
    match tokio::time::timeout(within, connecting).await {
        Ok(connected) => connected.map_err(|error| reason::connection(&error, doubt)),
        Err(_late) => Err(Failed::silence("no answer in time")),
    }
}

/// The address of `host:port`, if there is a way to it at all: an unplugged cable is told from a
/// hub that is down.
pub(super) async fn resolve(address: &str) -> Result<SocketAddr, Failed> {
    let no_route = |error: std::io::Error| Failed::new(Reason::NoRoute, error);
    let to = tokio::net::lookup_host(address)
        .await
        .map_err(no_route)?
        .next()
        .ok_or_else(|| Failed::new(Reason::NoRoute, "the name has no address"))?;
    let from: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    // Connecting a UDP socket sends nothing; it asks the routing table.
    let probe = tokio::net::UdpSocket::bind(from).await.map_err(no_route)?;
    probe.connect(to).await.map_err(no_route)?;
    Ok(to)
}
