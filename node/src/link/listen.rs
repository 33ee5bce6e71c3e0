//! Answers calls.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use cuntong_protocol::{
    control::signed::Trust,
    role::Level,
    sync::{Input, Role},
    wire::window::Dictionary,
};
use cuntong_provisioning::judge::{Judgement, Known, Side};
use quinn::{Endpoint, Incoming, ServerConfig};
use rustls::{server::ServerSessionMemoryCache, sign::CertifiedKey};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

use super::{
    Parts, Shared,
    carrier::{Carrier, Connection},
    drive, enrolment, limits, lock,
    pending::{Answer, Waiting},
    reason::Close,
    renewal, tcp, tls,
};
use crate::{exit::Failure, news::Hearing};

/// How many ports are tried where any will do.
const ANY_PORT_TRIES: u32 = 16;
/// How long a listener that could not take a call leaves it at that.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The sockets of a node.
pub(super) struct Sockets {
    /// Calls leave from here and, where there is an address to listen at, come in.
    pub(super) endpoint: Endpoint,
    /// The same address for those whom UDP does not reach.
    pub(super) tcp: Option<TcpListener>,
}

/// Binds what the settings ask for.
pub(super) fn sockets(
    parts: &Parts,
    level: Level,
    trust: &Arc<Trust>,
    sessions: &Arc<ServerSessionMemoryCache>,
) -> Result<Sockets, Failure> {
    let Some(address) = parts.config.listen else {
        let endpoint = outgoing().map_err(Failure::fault)?;
        return Ok(Sockets {
            endpoint,
            tcp: None,
        });
    };
    let ground = tls::Ground {
        trust: trust.clone(),
        now: parts.clock.now(),
    };
    let server = server(parts, level, ground, parts.own.clone(), sessions.clone())?;
    let mut tries = if address.port() == 0 {
        ANY_PORT_TRIES
    } else {
        1
    };
    loop {
        tries -= 1;
        match bind(server.clone(), address, parts.config.carrier) {
            Ok(sockets) => return Ok(sockets),
            Err(error) if tries == 0 => {
                let why = format!("link.listen {address}: {error}");
                return Err(Failure::configuration(why));
            }
            // A port that is free for UDP only.
            Err(_taken) => {}
        }
    }
}

fn bind(
    server: ServerConfig,
    address: SocketAddr,
    pinned: Option<Carrier>,
) -> std::io::Result<Sockets> {
    let endpoint = Endpoint::server(server, address)?;
    let tcp = if pinned == Some(Carrier::Quic) {
        None
    } else {
        let listener = std::net::TcpListener::bind(endpoint.local_addr()?)?;
        listener.set_nonblocking(true)?;
        Some(TcpListener::from_std(listener)?)
    };
    Ok(Sockets { endpoint, tcp })
}

/// A socket for calls only: both families where the machine has them.
pub(super) fn outgoing() -> std::io::Result<Endpoint> {
    Endpoint::client(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
        .or_else(|_no_v6| Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
}

fn server(
    parts: &Parts,
    level: Level,
    ground: tls::Ground,
    own: Arc<CertifiedKey>,
    sessions: Arc<ServerSessionMemoryCache>,
) -> Result<ServerConfig, Failure> {
    let crypto = tls::called(own, ground, sessions).map_err(Failure::fault)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    limits::listening(&mut server);
    let _same = server.transport_config(Arc::new(limits::transport(level, &parts.config)));
    Ok(server)
}

/// Answers until the node stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let stop = shared.parts.stop.clone();
    loop {
        let incoming = tokio::select! {
            () = stop.stopped() => break,
            incoming = shared.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else {
            break;
        };
        let spoken = shared.parts.config.carrier != Some(Carrier::Tcp);
        if !*shared.plugged.borrow() || !spoken {
            // An unplugged node does not even say no.
            incoming.ignore();
            continue;
        }
        take(&shared, incoming);
    }
    // Ends the calling side's connections as well: they share the socket.
    shared.endpoint.close(Close::Stop.code(), b"");
}

/// Answers calls by TCP until the node stops.
pub(super) async fn run_tcp(shared: Arc<Shared>, listener: TcpListener) {
    let stop = shared.parts.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => take_tcp(&shared, stream, from),
            Err(error) => {
                // Out of descriptors, mostly: some call will end.
                tracing::warn!(%error, "a call by TCP could not be taken");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Answers one call by TCP in the background, if there is a place for it; hangs up otherwise.
fn take_tcp(shared: &Arc<Shared>, stream: TcpStream, from: SocketAddr) {
    if !*shared.plugged.borrow() || shared.lines.count() >= limits::TCP_MAX {
        return;
    }
    // Whoever shook hands by TCP receives what is sent to his address.
    if let Answer::Take(id) = place(shared, from.ip(), true) {
        let waiting = Waiting::new(shared.clone(), id);
        drop(tokio::spawn(answer_tcp(
            shared.clone(),
            stream,
            from,
            waiting,
        )));
    }
}

async fn answer_tcp(shared: Arc<Shared>, stream: TcpStream, from: SocketAddr, waiting: Waiting) {
    let crypto = match tls::called_by_tcp(shared.own(), shared.ground()) {
        Ok(crypto) => crypto,
        Err(error) => return tracing::error!(%error, "no call can be answered"),
    };
    match tcp::answer(crypto, stream, &shared.parts.config, &shared.lines).await {
        Ok(connection) => serve(&shared, Connection::Tcp(connection), waiting).await,
        // Anything may knock at a TCP port: that is no news.
        Err(why) => tracing::debug!(%from, %why, "call by TCP not answered"),
    }
}

/// Whether there is a place for one more call.
fn place(shared: &Shared, from: IpAddr, proved: bool) -> Answer {
    // Whether there is a place for its session is said once it is known whose call it is.
    let answer = lock(&shared.pending).call(from, proved);
    if answer == Answer::Refuse
        && let Some(calls) = lock(&shared.turns).refused(Instant::now())
    {
        tracing::warn!(calls, "calls refused: too many have not said who they are");
    }
    answer
}

/// Answers one call in the background, if there is a place for it.
fn take(shared: &Arc<Shared>, incoming: Incoming) {
    let (from, proved) = (
        incoming.remote_address().ip(),
        incoming.remote_address_validated(),
    );
    match place(shared, from, proved) {
        Answer::Take(id) => {
            let waiting = Waiting::new(shared.clone(), id);
            drop(tokio::spawn(answer(shared.clone(), incoming, waiting)));
        }
        Answer::Prove => {
            let _proved_meanwhile = incoming.retry();
        }
        Answer::Refuse => incoming.refuse(),
    }
}

/// One call, from the first packet to the end.
async fn answer(shared: Arc<Shared>, incoming: Incoming, waiting: Waiting) {
    let from = incoming.remote_address();
    match shake(&shared, incoming).await {
        Ok(connection) => serve(&shared, Connection::Quic(connection), waiting).await,
        Err(why) => tracing::info!(%from, %why, "call not answered"),
    }
}

/// Up to where it is known who calls: the end of the handshake, or its beginning where the caller
/// goes on with a session it proved its key in.
async fn shake(shared: &Shared, incoming: Incoming) -> Result<quinn::Connection, String> {
    let (ground, own, sessions) = (shared.ground(), shared.own(), shared.sessions.clone());
    let server = server(&shared.parts, shared.level, ground, own, sessions);
    let server = server.map_err(|e| e.to_string())?;
    let mut connecting = incoming
        .accept_with(Arc::new(server))
        .map_err(|e| e.to_string())?;
    let shaking = async {
        let agreed = connecting.handshake_data().await.map(drop);
        agreed.map_err(|e| e.to_string())?;
        let half = connecting.into_0rtt();
        let (connection, through) = half.map_err(|_never| "not a server".to_owned())?;
        if connection.peer_identity().is_none() {
            let _always = through.await;
        }
        match connection.close_reason() {
            Some(why) => Err(why.to_string()),
            None => Ok(connection),
        }
    };
    tokio::time::timeout(shared.parts.config.handshake, shaking)
        .await
        .map_err(|_late| "handshake took too long".to_owned())?
}

async fn serve(shared: &Arc<Shared>, connection: Connection, mut waiting: Waiting) {
    // Over TCP a caller may ask for no protocol at all.
    let Some(alpn) = connection.agreed() else {
        return connection.close(Close::Version, "no protocol");
    };
    if alpn == tls::ALPN_ENROL {
        enrolment::answer(shared, &connection).await;
        // Strangers keep their place until their socket is closed: there is an end to their number.
        connection.parted().await;
    } else if let Some((known, full)) = admitted(shared, &connection) {
        if !waiting.of_node(known.node) {
            tracing::warn!(peer = %known.node, "too many calls at a time");
            connection.close(Close::Busy, "");
            return;
        }
        match (alpn == tls::ALPN_RENEW, full) {
            (true, _) => renewal::answer(shared, &connection, &known).await,
            (false, true) => {
                let dictionary = tls::dictionary(&alpn, &shared.ground().trust);
                session(shared, connection, known, waiting, dictionary).await;
            }
            (false, false) => connection.close(Close::Renew, "renew"),
        }
    }
}

/// Who the caller is, and whether all that its place allows is open to it. A caller the roster
/// does not let in is told so and hung up on.
fn admitted(shared: &Shared, connection: &Connection) -> Option<(Known, bool)> {
    let certificate = connection.certificate()?;
    let judged = shared.ground().judge(&certificate, Side::Caller);
    match judged {
        Judgement::Full(known) => Some((known, true)),
        Judgement::RenewOnly(known, why) => {
            tracing::info!(peer = %known.node, ?why, "may only renew");
            Some((known, false))
        }
        Judgement::Refused(why) => {
            tracing::warn!(why = why.word(), "caller refused");
            connection.close(Close::Unwanted, why.word());
            None
        }
    }
}

async fn session(
    shared: &Arc<Shared>,
    connection: Connection,
    known: Known,
    waiting: Waiting,
    dictionary: Option<Dictionary>,
) {
    let opened = tokio::time::timeout(shared.parts.config.hello, connection.accept(false)).await;
    let Ok(Ok((send, receive))) = opened else {
        connection.close(Close::Silent, "");
        return;
    };
    let (report, nobody) = mpsc::unbounded_channel();
    drop(nobody);
    let line = drive::Line {
        connection,
        send,
        receive,
        known,
        role: Role::Callee,
        dictionary,
        early: None,
        waiting: Some(waiting),
    };
    let _ended = drive::run(shared, line, report).await;
}

/// Keeps the county's word at hand for the next handshake, whoever brought the newest.
pub(super) async fn keep_trust(shared: Arc<Shared>, mut news: Hearing) {
    let stop = shared.parts.stop.clone();
    loop {
        let told = tokio::select! {
            () = stop.stopped() => return,
            told = news.next() => told,
        };
        let changed = match &told {
            Some(inputs) => inputs.contains(&Input::ControlsChanged),
            None => {
                // What was missed may have been it.
                news = shared.parts.news.listen();
                true
            }
        };
        if changed {
            let _newest = shared.fresh_trust();
        }
    }
}
