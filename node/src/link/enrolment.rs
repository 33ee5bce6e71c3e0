//! 入网 online: a machine with a ticket asks, the hub keeps its request until the registrar has
//! answered. Messages of `provisioning::enrol::talk`, each with four bytes of length before it.

use std::{sync::Arc, time::Duration};

use cuntong_provisioning::enrol::{
    Joined, Joining,
    talk::{self, MESSAGE_BYTES_MAX, Question, Reply, Step, Talk},
};
use quinn::ClientConfig;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Failed, Shared, call,
    carrier::{Connection, Receiver, Sender},
    limits, listen,
    reach::{Lead, reach},
    reason::Close,
    stream::exactly,
    tcp, tls,
};
use crate::{clock::Clock, config};
use cuntong_protocol::role::Level;

/// One conversation.
const WITHIN: Duration = Duration::from_secs(30);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// A question is small: a request and little around it.
const QUESTION_BYTES_MAX: usize = 20 * 1024;
/// Questions of one conversation.
const QUESTIONS_MAX: usize = 8;

/// What became of asking to join.
#[derive(Debug)]
pub enum Asked {
    Joined(Box<Joined>),
    /// The registrar has not answered yet.
    Waiting,
    /// The county says no; `passing`: asking again may help.
    Refused {
        reason: String,
        passing: bool,
    },
}

/// Answers a machine that wants to join.
pub(super) async fn answer(shared: &Arc<Shared>, connection: &Connection) {
    match tokio::time::timeout(WITHIN, talk_with(shared, connection)).await {
        Ok(Ok(())) => connection.close(Close::Stop, ""),
        Ok(Err(why)) => {
            tracing::info!(%why, "enrolment conversation broke off");
            connection.close(Close::Violation, "");
        }
        Err(_late) => connection.close(Close::Silent, ""),
    }
}

async fn talk_with(shared: &Arc<Shared>, connection: &Connection) -> Result<(), String> {
    let (mut send, mut receive) = connection.accept(false).await.map_err(|e| e.detail)?;
    for _question in 0..QUESTIONS_MAX {
        let Some(bytes) = hear(&mut receive, QUESTION_BYTES_MAX).await? else {
            return Ok(());
        };
        let question = Question::decode(&bytes).map_err(|e| e.to_string())?;
        let shared = shared.clone();
        let reply = tokio::task::spawn_blocking(move || reply(&shared, &question))
            .await
            .map_err(|e| e.to_string())??;
        say(&mut send, &reply.encode()).await?;
    }
    Ok(())
}

fn reply(shared: &Shared, question: &Question) -> Result<Reply, String> {
    let ground = shared.ground();
    let tickets = &shared.parts.tickets;
    let mut book = tickets.book.clone();
    Ok(talk::reply(
        question,
        &ground.trust,
        &mut book,
        ground.now,
        |request| {
            if let Err(error) = tickets.hand_on(request) {
                tracing::error!(%error, "a request to join could not be handed to the registrar");
            }
        },
    ))
}

/// Asks one hub. `own`: a certificate the machine signed for itself, so that TLS has something
/// to show.
///
/// # Errors
/// When the hub cannot be reached, or what answers there is not the county of the ticket.
pub async fn ask(
    joining: &Joining,
    hub: &str,
    own: Arc<CertifiedKey>,
    link: &config::Link,
    clock: &Clock,
) -> Result<Asked, Failed> {
    let rejected = |e: &dyn std::fmt::Display| Failed::new(super::Reason::Rejected, e);
    let to = call::resolve(hub).await?;
    let endpoint = listen::outgoing().map_err(|e| Failed::new(super::Reason::NoRoute, e))?;
    let lines = tcp::Lines::default();
    let by_quic = async {
        let crypto = tls::enrolling(own.clone()).map_err(|e| rejected(&e))?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        let _same = client.transport_config(Arc::new(limits::transport(Level::Village, link)));
        let called = call::shake(&endpoint, client, to, link.handshake, false).await;
        called.map(Connection::Quic)
    };
    let by_tcp = async {
        let crypto = tls::calling_by_tcp(own.clone(), None, tls::ALPN_ENROL);
        let crypto = crypto.map_err(|e| rejected(&e))?;
        let called = tcp::call(crypto, to, link, &lines, false).await;
        called.map(Connection::Tcp)
    };
    let lead = Lead::default();
    let connection = reach(link.carrier, lead, link.handshake, by_quic, by_tcp).await?;
    let talked = tokio::time::timeout(WITHIN, converse(joining, &connection, clock)).await;
    connection.close(Close::Stop, "");
    let goodbye = async { tokio::join!(lines.end(), endpoint.wait_idle()) };
    let _unheard = tokio::time::timeout(GOODBYE, goodbye).await;
    match talked {
        Ok(talked) => talked.map_err(|why| rejected(&why)),
        Err(_late) => Err(Failed::new(super::Reason::HubDown, "the hub fell silent")),
    }
}

async fn converse(
    joining: &Joining,
    connection: &Connection,
    clock: &Clock,
) -> Result<Asked, String> {
    let certificate = connection
        .certificate()
        .ok_or("the hub showed no certificate")?;
    let (mut send, mut receive) = connection.open(false).await.map_err(|e| e.detail)?;
    let (mut talk, mut step) = Talk::begin(joining);
    loop {
        match step {
            Step::Say(question) => {
                say(&mut send, &question.encode()).await?;
                let bytes = hear(&mut receive, MESSAGE_BYTES_MAX)
                    .await?
                    .ok_or("the hub hung up")?;
                let reply = Reply::decode(&bytes).map_err(|e| e.to_string())?;
                step = talk
                    .handle(reply, &certificate, clock.now())
                    .map_err(|e| e.to_string())?;
            }
            Step::Wait => return Ok(Asked::Waiting),
            Step::Done(joined) => return Ok(Asked::Joined(joined)),
            Step::Refused {
                reason, passing, ..
            } => {
                return Ok(Asked::Refused { reason, passing });
            }
        }
    }
}

async fn say(stream: &mut Sender, bytes: &[u8]) -> Result<(), String> {
    let length = u32::try_from(bytes.len()).map_err(|e| e.to_string())?;
    stream
        .write_all(&length.to_be_bytes())
        .await
        .map_err(|e| e.to_string())?;
    stream.write_all(bytes).await.map_err(|e| e.to_string())
}

/// The next message; `None` when the other end has said all.
async fn hear(stream: &mut Receiver, max: usize) -> Result<Option<Vec<u8>>, String> {
    let mut prefix = [0; 4];
    if stream.read_exact(&mut prefix).await.is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if length > max {
        return Err(format!("{length} bytes are too many"));
    }
    exactly(stream, length)
        .await
        .map(Some)
        .ok_or_else(|| "it broke off".to_owned())
}
