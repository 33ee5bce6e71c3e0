//! The county's end: which machine a ticket is bound to. The same rules at a hub, which keeps
//! requests until the registrar has answered, and at the registrar.

use minicbor::{Decode, Encode};

use cuntong_protocol::{
    control::signed::Trust,
    id::{NodeId, SiteId},
    time::Millis,
};

use super::{Grant, Request, RequestError};
use crate::{ticket::TicketId, wire::Unreadable};

/// Requests that wait for the registrar at most; each needs a ticket of its own, so more than
/// this is no honest load.
pub const WAITING_MAX: usize = 200;

/// What a county's desk knows of one ticket.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Binding {
    #[n(0)]
    pub ticket: TicketId,
    #[n(1)]
    pub site: SiteId,
    /// The first node that presented the ticket.
    #[n(2)]
    pub node: NodeId,
    /// All its keys in one value: [`Request::machine`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub machine: [u8; 32],
    /// When it came first, by this desk's clock.
    #[n(4)]
    pub first_at: Millis,
    /// Its newest request, as it came.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub request: Vec<u8>,
    /// The answer to that request.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub grant: Option<Vec<u8>>,
    /// Set when another machine presented the same ticket: an alarm for the administrator.
    #[n(7)]
    pub frozen: Option<Frozen>,
}

/// 令牌被两台机器使用: the ticket was copied. Nothing more is issued on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Frozen {
    #[n(0)]
    pub at: Millis,
    /// The second machine.
    #[n(1)]
    pub node: NodeId,
}

/// Where bindings are kept. What [`TicketBook::keep`] returned from is durable.
pub trait TicketBook {
    /// What is known of a ticket.
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError>;

    /// Keeps a binding in place of the one of the same ticket.
    fn keep(&mut self, binding: Binding) -> Result<(), BookError>;

    /// How many bindings have no grant yet.
    fn waiting(&self) -> Result<usize, BookError>;
}

/// A book could not be read or written; the machine may ask again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("登记簿读写失败:{0}")]
pub struct BookError(pub String);

/// What a hub answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The grant, verbatim.
    Granted(Vec<u8>),
    /// Kept until the registrar answers. `new`: the request is to be handed on to the registrar.
    Waiting {
        new: bool,
    },
    Refused(Refusal),
}

/// Why a machine may not join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("入网票已过期")]
    Expired,
    #[error("入网票被两台机器使用,已冻结")]
    Frozen,
    #[error("等待登记的机器太多")]
    Busy,
    #[error("入网票上的站点已不在站点表中")]
    NoSuchSite,
    #[error("名册中已有用这些密钥的机器:{0}")]
    KeyKnown(NodeId),
    #[error("该站点的机号已用完")]
    SiteFull,
    #[error(transparent)]
    Book(#[from] BookError),
}

impl Refusal {
    /// The word for the wire, logs and `--json`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Request(RequestError::OtherCounty) => "other_county",
            Self::Request(RequestError::NotSigned) => "ticket_altered",
            Self::Request(RequestError::Newer) => "newer",
            Self::Request(
                RequestError::Unreadable(_) | RequestError::NoTicket | RequestError::NotItsKeys,
            ) => "bad_request",
            Self::Expired => "expired",
            Self::Frozen => "frozen",
            Self::Busy => "busy",
            Self::NoSuchSite => "no_such_site",
            Self::KeyKnown(_) => "key_known",
            Self::SiteFull => "site_full",
            Self::Book(_) => "fault",
        }
    }

    /// Whether asking again with the same ticket may succeed.
    pub const fn passing(&self) -> bool {
        match self {
            Self::Busy | Self::Book(_) => true,
            Self::Request(_)
            | Self::Expired
            | Self::Frozen
            | Self::NoSuchSite
            | Self::KeyKnown(_)
            | Self::SiteFull => false,
        }
    }
}

/// What binding a request to its ticket came to.
pub(crate) enum Bound {
    /// This very request was answered before.
    Answered(Vec<u8>),
    /// To be answered.
    Open { binding: Binding, new: bool },
}

/// Binds a request to its ticket: the first machine has it, the same machine may come again for
/// ever, another one freezes it.
pub(crate) fn bind(
    request: &Request,
    book: &mut (impl TicketBook + ?Sized),
    may_begin: Result<(), Refusal>,
    now: Millis,
) -> Result<Bound, Refusal> {
    let Some(mut binding) = book.binding(&request.ticket())? else {
        may_begin?;
        let binding = Binding {
            ticket: request.ticket(),
            site: request.claims().site,
            node: request.node(),
            machine: request.machine(),
            first_at: now,
            request: request.bytes().to_vec(),
            grant: None,
            frozen: None,
        };
        return Ok(Bound::Open { binding, new: true });
    };
    if binding.machine != request.machine() {
        if binding.frozen.is_none() {
            binding.frozen = Some(Frozen {
                at: now,
                node: request.node(),
            });
            book.keep(binding)?;
        }
        return Err(Refusal::Frozen);
    }
    let same = binding.request == request.bytes();
    match binding.grant.take() {
        // An answer once given is given again, even on a frozen ticket: it lists nobody anew, and
        // what the node may do is the roster's to say.
        Some(grant) if same => Ok(Bound::Answered(grant)),
        Some(_) | None if binding.frozen.is_some() => Err(Refusal::Frozen),
        Some(_) | None => {
            binding.request = request.bytes().to_vec();
            Ok(Bound::Open {
                binding,
                new: !same,
            })
        }
    }
}

/// A hub's answer to a request. `now` is the hub's clock: the only one that ends a ticket.
pub fn receive(
    bytes: &[u8],
    trust: &Trust,
    book: &mut (impl TicketBook + ?Sized),
    now: Millis,
) -> Outcome {
    match received(bytes, trust, book, now) {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn received(
    bytes: &[u8],
    trust: &Trust,
    book: &mut (impl TicketBook + ?Sized),
    now: Millis,
) -> Result<Outcome, Refusal> {
    let request = Request::read(bytes, trust.county(), trust.authority())?;
    let may_begin = if request.claims().expired(now) {
        Err(Refusal::Expired)
    } else if book.waiting()? >= WAITING_MAX {
        Err(Refusal::Busy)
    } else {
        Ok(())
    };
    match bind(&request, book, may_begin, now)? {
        Bound::Answered(grant) => Ok(Outcome::Granted(grant)),
        Bound::Open { binding, new } => {
            if new {
                book.keep(binding)?;
            }
            Ok(Outcome::Waiting { new })
        }
    }
}

/// What a grant that came to a hub was good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// A machine that waits here will be answered with it when it asks next.
    pub waited: bool,
    pub node: NodeId,
    /// Control documents for this node to take in like any others; the roster among them.
    pub controls: Vec<Vec<u8>>,
}

/// Takes a registrar's grant in at a hub, to be handed to the machine when it asks next. The hub
/// cannot open it; that a registrar signed it keeps a planted one from standing in the way.
///
/// # Errors
/// [`DeliverError`]; the book is unchanged then, unless it failed itself.
pub fn deliver(
    bytes: &[u8],
    trust: &Trust,
    book: &mut (impl TicketBook + ?Sized),
) -> Result<Delivered, DeliverError> {
    let grant = Grant::read(bytes)?;
    if grant.county() != trust.county() {
        return Err(DeliverError::OtherCounty);
    }
    if !grant.signed_by(trust.authority()) {
        return Err(DeliverError::NotSigned);
    }
    let waited = match book.binding(&grant.ticket())? {
        Some(mut binding) if grant.answers(&binding.request) => {
            binding.grant = Some(bytes.to_vec());
            book.keep(binding)?;
            true
        }
        Some(_) | None => false,
    };
    Ok(Delivered {
        waited,
        node: grant.node(),
        controls: grant.controls().map(<[u8]>::to_vec).collect(),
    })
}

/// Why a grant was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("批复属于其他县")]
    OtherCounty,
    #[error("批复不是本县登记员签发的")]
    NotSigned,
    #[error(transparent)]
    Book(#[from] BookError),
}
