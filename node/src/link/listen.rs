//! Answers calls.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use cuntong_protocol::{control::signed::Trust, role::Level, sync::Role, wire::window::Dictionary};
use cuntong_provisioning::judge::{Judgement, Known, Side};
use quinn::{Connection, Endpoint, Incoming, ServerConfig};
use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;

use super::{
    Parts, Shared, drive, enrolment, limits, lock,
    pending::{Answer, Waiting},
    reason::Close,
    renewal, tls,
};
use crate::exit::Failure;

/// The endpoint this node calls from and, where it has an address to listen at, is called at.
pub(super) fn endpoint(
    parts: &Parts,
    level: Level,
    trust: &Arc<Trust>,
) -> Result<Endpoint, Failure> {
    let Some(address) = parts.config.listen else {
        return outgoing().map_err(Failure::fault);
    };
    let ground = tls::Ground {
        trust: trust.clone(),
        now: parts.clock.now(),
    };
    let server = server(parts, level, ground, parts.own.clone())?;
    Endpoint::server(server, address)
        .map_err(|error| Failure::configuration(format!("link.listen {address}: {error}")))
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
    own: Arc<rustls::sign::CertifiedKey>,
) -> Result<ServerConfig, Failure> {
    let crypto = tls::called(own, ground).map_err(Failure::fault)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    limits::listening(&mut server);
    let _same = server.transport_config(limits::transport(level, &parts.config));
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
        if !*shared.plugged.borrow() {
            // An unplugged node does not even say no.
            incoming.ignore();
            continue;
        }
        take(&shared, incoming);
    }
    // Ends the calling side's connections as well: they share the socket.
    shared.endpoint.close(Close::Stop.code(), b"");
}

/// Answers one call in the background, if there is a place for it.
fn take(shared: &Arc<Shared>, incoming: Incoming) {
    let live = lock(&shared.live).count();
    let (from, proved) = (
        incoming.remote_address().ip(),
        incoming.remote_address_validated(),
    );
    let answered = {
        let mut pending = lock(&shared.pending);
        if pending.count() + live >= shared.parts.config.connections_max {
            Answer::Refuse
        } else {
            pending.call(from, proved)
        }
    };
    match answered {
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
        Ok((connection, alpn)) => serve(&shared, connection, &alpn, waiting).await,
        Err(why) => tracing::info!(%from, %why, "call not answered"),
    }
}

async fn shake(shared: &Shared, incoming: Incoming) -> Result<(Connection, Vec<u8>), String> {
    let ground = shared.ground();
    let server =
        server(&shared.parts, shared.level, ground, shared.own()).map_err(|e| e.to_string())?;
    let connecting = incoming
        .accept_with(Arc::new(server))
        .map_err(|e| e.to_string())?;
    let connection = tokio::time::timeout(shared.parts.config.handshake, connecting)
        .await
        .map_err(|_late| "handshake took too long".to_owned())?
        .map_err(|e| e.to_string())?;
    let alpn = tls::agreed(&connection).ok_or_else(|| "no protocol was agreed on".to_owned())?;
    Ok((connection, alpn))
}

async fn serve(shared: &Arc<Shared>, connection: Connection, alpn: &[u8], mut waiting: Waiting) {
    if alpn == tls::ALPN_ENROL {
        enrolment::answer(shared, &connection).await;
    } else if let Some((known, full)) = admitted(shared, &connection) {
        if !waiting.of_node(known.node) {
            tracing::warn!(peer = %known.node, "too many calls at a time");
            connection.close(Close::Busy.code(), b"");
            return;
        }
        match (alpn == tls::ALPN_RENEW, full) {
            (true, _) => renewal::answer(shared, &connection, &known).await,
            (false, true) => {
                let dictionary = tls::dictionary(alpn);
                session(shared, connection, known, waiting, dictionary).await;
            }
            (false, false) => connection.close(Close::Renew.code(), b"renew"),
        }
    }
}

/// Who the caller is, and whether all that its place allows is open to it. A caller the roster
/// does not let in is told so and hung up on.
fn admitted(shared: &Shared, connection: &Connection) -> Option<(Known, bool)> {
    let certificate = certificate(connection)?;
    let judged = shared.ground().judge(&certificate, Side::Caller);
    match judged {
        Judgement::Full(known) => Some((known, true)),
        Judgement::RenewOnly(known, why) => {
            tracing::info!(peer = %known.node, ?why, "may only renew");
            Some((known, false))
        }
        Judgement::Refused(why) => {
            tracing::warn!(why = why.word(), "caller refused");
            connection.close(Close::Unwanted.code(), why.word().as_bytes());
            None
        }
    }
}

/// The certificate the peer showed, DER.
pub(super) fn certificate(connection: &Connection) -> Option<Vec<u8>> {
    let chain = connection
        .peer_identity()?
        .downcast::<Vec<CertificateDer<'static>>>()
        .ok()?;
    chain.first().map(|der| der.to_vec())
}

async fn session(
    shared: &Arc<Shared>,
    connection: Connection,
    known: Known,
    waiting: Waiting,
    dictionary: Option<Dictionary>,
) {
    let opened = tokio::time::timeout(shared.parts.config.hello, connection.accept_bi()).await;
    let Ok(Ok((send, receive))) = opened else {
        connection.close(Close::Silent.code(), b"");
        return;
    };
    let (report, mut settled) = mpsc::unbounded_channel();
    let line = drive::Line {
        connection,
        send,
        receive,
        known,
        role: Role::Callee,
        dictionary,
        waiting: Some(waiting),
    };
    let _ended = drive::run(shared, line, report).await;
    settled.close();
}
