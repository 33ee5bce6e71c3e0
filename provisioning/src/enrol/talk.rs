//! The online exchange, without IO: the machine asks who answers, then sends its request, then
//! asks again until there is an answer. One stream, each message CBOR with a length in front; the
//! link gives the peer's certificate.

use minicbor::{Decode, Encode};

use cuntong_protocol::{
    control::signed::{County as CountyId, Trust},
    id::SiteId,
    role::Level,
    time::Millis,
};

use super::{
    JoinError, Joined, Joining, Outcome, TicketBook,
    desk::{self, Refusal},
};
use crate::{
    judge::{Judgement, Side, judge_peer},
    wire::{self, Blob, Unreadable},
};

/// ALPN of a connection for this exchange; the caller has no certificate yet.
pub const ALPN: &[u8] = b"cuntong-enrol/1";
/// One message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = super::GRANT_BYTES_MAX + 1024;
/// How long a machine waits before it asks again whether the registrar has answered.
pub const ASK_AGAIN_MS: i64 = 15_000;

/// What a machine sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Question {
    /// Prove that you speak for this county.
    #[n(0)]
    Who(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]),
    /// A [`super::Request`]. Sending it again is how a machine asks for the answer.
    #[n(1)]
    Join(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

/// What a hub sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Documents that prove the hub's place: authorities, roster, places.
    #[n(0)]
    Proof(#[n(0)] Proof),
    #[n(1)]
    Granted(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// The registrar has been told; ask again later.
    #[n(2)]
    Waiting,
    #[n(3)]
    Refused {
        /// [`Refusal::word`].
        #[n(0)]
        word: String,
        /// For a person.
        #[n(1)]
        reason: String,
        /// Whether asking again may help.
        #[n(2)]
        passing: bool,
    },
}

/// Control documents in the order they must be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Proof(#[n(0)] Vec<Blob>);

impl Question {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        bounded(bytes, super::REQUEST_BYTES_MAX + 64)
    }
}

impl Reply {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        bounded(bytes, MESSAGE_BYTES_MAX)
    }
}

fn bounded<'b, T: Decode<'b, ()>>(bytes: &'b [u8], max: usize) -> Result<T, Unreadable> {
    if bytes.len() > max {
        return Err(Unreadable("太大"));
    }
    wire::decode(bytes)
}

/// A hub's reply. `waits` is told of each request that waits, to be handed to the registrar: of
/// the same one again each time the machine asks, so that handing it on may fail or be cut short.
pub fn reply(
    question: &Question,
    trust: &Trust,
    book: &mut (impl TicketBook + ?Sized),
    now: Millis,
    waits: impl FnOnce(&[u8]),
) -> Reply {
    match question {
        Question::Who(county) if *county == trust.county().0 => Reply::Proof(proof(trust)),
        Question::Who(_) => refused(&Refusal::Request(super::RequestError::OtherCounty)),
        Question::Join(request) => match desk::receive(request, trust, book, now) {
            Outcome::Granted(grant) => Reply::Granted(grant),
            Outcome::Waiting { new: _ } => {
                waits(request);
                Reply::Waiting
            }
            Outcome::Refused(refusal) => refused(&refusal),
        },
    }
}

fn refused(refusal: &Refusal) -> Reply {
    let reason = match refusal {
        // What is wrong inside is told here, not to strangers.
        Refusal::Book(_) => "县里暂时无法登记,请稍后再试".to_owned(),
        Refusal::Request(_)
        | Refusal::Expired
        | Refusal::Frozen
        | Refusal::Busy
        | Refusal::NoSuchSite
        | Refusal::KeyKnown(_)
        | Refusal::SiteFull => refusal.to_string(),
    };
    Reply::Refused {
        word: refusal.word().to_owned(),
        reason,
        passing: refusal.passing(),
    }
}

/// What proves a hub's place to a stranger: no document that names people.
fn proof(trust: &Trust) -> Proof {
    let public = crate::county::split(trust.needed_by(SiteId(0), &[])).public;
    Proof(public.into_iter().map(Blob).collect())
}

/// What a machine does next.
#[derive(Debug)]
pub enum Step {
    Say(Question),
    /// Ask again ([`Talk::begin`] on a new connection) after [`ASK_AGAIN_MS`], with jitter.
    Wait,
    Done(Box<Joined>),
    /// The county says no; `passing`: asking again may help.
    Refused {
        word: String,
        reason: String,
        passing: bool,
    },
}

/// The machine's side of one connection.
#[derive(Debug)]
pub struct Talk<'a> {
    joining: &'a Joining,
    known: bool,
}

impl<'a> Talk<'a> {
    /// Begins on a new connection; the step is what to say first.
    pub fn begin(joining: &'a Joining) -> (Self, Step) {
        let CountyId(county) = joining.ticket().county();
        let talk = Self {
            joining,
            known: false,
        };
        (talk, Step::Say(Question::Who(county)))
    }

    /// Takes the peer's reply. `peer` is the certificate it presented (DER) in this connection.
    /// The request leaves only after the peer has been proved to be a node of the pinned county
    /// that may serve others; an impostor learns nothing but which county was asked for.
    pub fn handle(&mut self, reply: Reply, peer: &[u8], now: Millis) -> Result<Step, JoinError> {
        match reply {
            Reply::Proof(Proof(documents)) => {
                let documents = documents.iter().map(|doc| doc.0.as_slice());
                let trust = self.joining.trust(documents)?;
                match judge_peer(peer, Side::Callee, now, &trust) {
                    Judgement::Full(peer) if peer.level > Level::Village => {}
                    Judgement::Full(_) => {
                        return Err(JoinError::Impostor("是村级代办点".into()));
                    }
                    Judgement::RenewOnly(..) => {
                        return Err(JoinError::Impostor("证书已过期".into()));
                    }
                    Judgement::Refused(why) => return Err(JoinError::Impostor(why.to_string())),
                }
                self.known = true;
                Ok(Step::Say(Question::Join(self.joining.request().to_vec())))
            }
            Reply::Granted(grant) if self.known => {
                Ok(Step::Done(Box::new(self.joining.finish(&grant)?)))
            }
            Reply::Waiting if self.known => Ok(Step::Wait),
            Reply::Granted(_) | Reply::Waiting => Err(JoinError::Impostor("未问先答".into())),
            Reply::Refused {
                word,
                reason,
                passing,
            } => Ok(Step::Refused {
                word,
                reason,
                passing,
            }),
        }
    }
}
