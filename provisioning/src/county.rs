//! The county's own desk: everything a registrar may say, each said as the next signed version of
//! one control document. What a command returns from is durable.

use std::collections::BTreeMap;

use cuntong_protocol::{
    control::{
        ControlKind,
        signed::{Authority, Body, Content, County as CountyId, Signed, Taken, Trust, TrustError},
    },
    id::SiteId,
    time::Millis,
};
use minicbor::{Decode, Encode};

use crate::{
    certificate::{Ca, CertificateError},
    enrol::{Binding, BookError, Refusal, TicketBook},
    entropy::Entropy,
    keys::Seed,
    sealed::SealError,
    ticket::{TicketError, TicketId},
};

pub mod nodes;
pub mod people;
pub mod places;
pub mod publish;

pub use nodes::{Issued, Leave};
pub use people::{HashCost, NewPerson, PersonError};
pub use places::PlacesAdded;

/// Root keys a new county has, and how many of them must sign an authority.
pub const ROOTS: usize = 3;
const THRESHOLD: u8 = 2;

/// Where a county's desk keeps what it said. Each method returns when that is durable.
pub trait Keeper: TicketBook {
    /// Keeps a signed control document: an authority beside the earlier ones, any other in place
    /// of the version before.
    fn keep_document(&mut self, document: &Signed, bytes: &[u8]) -> Result<(), BookError>;
}

/// Keeps in memory: for tests and for a county that is written out whole later.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    bindings: BTreeMap<TicketId, Binding>,
}

impl TicketBook for Memory {
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError> {
        Ok(self.bindings.get(ticket).cloned())
    }

    fn keep(&mut self, binding: Binding) -> Result<(), BookError> {
        self.bindings.insert(binding.ticket, binding);
        Ok(())
    }

    fn waiting(&self) -> Result<usize, BookError> {
        Ok(self.bindings.values().filter(|b| b.grant.is_none()).count())
    }
}

impl Keeper for Memory {
    fn keep_document(&mut self, _document: &Signed, _bytes: &[u8]) -> Result<(), BookError> {
        Ok(())
    }
}

/// What the registrar's passphrase opens. None of it is ever at a hub, but the renewer's key,
/// which travels there sealed in the hub's grant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RegistrarKeys {
    /// Signs control documents, tickets and grants.
    #[n(0)]
    pub sign: Seed,
    /// Key of the transport CA that enrols.
    #[n(1)]
    pub transport: Seed,
    /// Key of the transport CA that renews.
    #[n(2)]
    pub renewer: Seed,
}

/// The county's desk, opened.
pub struct County {
    trust: Trust,
    keys: RegistrarKeys,
    keeper: Box<dyn Keeper + Send>,
    cost: HashCost,
}

/// A new county: its desk, and the root keys that belong in the safe.
pub struct Founded {
    pub county: County,
    pub roots: [Seed; ROOTS],
}

/// Why a command of the desk failed.
#[derive(Debug, thiserror::Error)]
pub enum CountyError {
    #[error("这样的控制文件不会被采信:{0}")]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Keeping(#[from] BookError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Ticket(#[from] TicketError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Person(#[from] PersonError),
    #[error("{}", rows(.0))]
    Rows(Vec<RowError>),
    #[error("没有这个站点:{0}")]
    NoSuchPlace(String),
    #[error("没有这个节点:{0}")]
    NoSuchNode(String),
    #[error("节点 {0} 已经吊销或替换")]
    AlreadyLeft(cuntong_protocol::id::NodeId),
    #[error("县的授权文件中没有这把登记员密钥")]
    NotRegistrar,
}

pub use cuntong_protocol::control::RowError;

fn rows(errors: &[RowError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl County {
    /// Founds a county: new keys, and the first authority, signed by two of three roots.
    /// `now` is the founding moment and the first time the county signs.
    pub fn create(
        cost: HashCost,
        mut keeper: Box<dyn Keeper + Send>,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Founded, CountyError> {
        let roots = [(); ROOTS].map(|()| Seed::generate(entropy));
        let keys = RegistrarKeys {
            sign: Seed::generate(entropy),
            transport: Seed::generate(entropy),
            renewer: Seed::generate(entropy),
        };
        let transport = Ca::create("registrar", &keys.transport, entropy, now)?;
        let renewer = Ca::create("renewer", &keys.renewer, entropy, now)?;
        let authority = Authority {
            roots: roots.iter().map(Seed::public).collect(),
            threshold: THRESHOLD,
            registrars: vec![keys.sign.public()],
            transport_ca: vec![
                transport.certificate().to_vec(),
                renewer.certificate().to_vec(),
            ],
        };
        let content = Content::founding(&authority, now);
        let name = content.founds();
        let first = Signed::sign(content, &[&roots[0].signing(), &roots[1].signing()]);
        let trust = Trust::found(&first, name)?;
        keeper.keep_document(&Signed::open(&first)?, &first)?;
        Ok(Founded {
            county: Self {
                trust,
                keys,
                keeper,
                cost,
            },
            roots,
        })
    }

    /// Opens a county that was kept.
    pub fn open(
        trust: Trust,
        keys: RegistrarKeys,
        cost: HashCost,
        keeper: Box<dyn Keeper + Send>,
    ) -> Result<Self, CountyError> {
        if !trust.authority().registrars.contains(&keys.sign.public()) {
            return Err(CountyError::NotRegistrar);
        }
        Ok(Self {
            trust,
            keys,
            keeper,
            cost,
        })
    }

    /// The county's name: the hash of its first authority.
    pub fn id(&self) -> CountyId {
        self.trust.county()
    }

    /// All that the county has said.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The keys, to be sealed.
    pub const fn keys(&self) -> &RegistrarKeys {
        &self.keys
    }

    /// Every document in force, authorities first, in the order a node takes them in.
    pub fn controls(&self) -> Vec<Vec<u8>> {
        let mut documents: Vec<Vec<u8>> = self.trust.authorities().map(<[u8]>::to_vec).collect();
        documents.extend(
            self.trust
                .versions()
                .into_iter()
                .filter(|(key, _)| key.kind != ControlKind::Authority)
                .filter_map(|(key, _)| self.trust.bytes(key).map(<[u8]>::to_vec)),
        );
        documents
    }

    /// The documents a node of that site holds: all but other sites' logins.
    pub fn controls_for(&self, site: SiteId) -> Vec<Vec<u8>> {
        self.trust.needed_by(site, &[])
    }

    /// Says the next version of a document: signed, checked by the same rules as every node will
    /// use, kept, and only then in force.
    fn say(&mut self, site: SiteId, body: &Body, now: Millis) -> Result<(), CountyError> {
        // Time never goes back in what the county signs, even if this PC's clock does.
        let at = now.max(self.trust.newest_signed_time());
        let content = self.trust.next(site, body, at);
        let bytes = Signed::sign(content, &[&self.keys.sign.signing()]);
        let mut after = self.trust.clone();
        if after.take(&bytes)? == Taken::Same {
            return Ok(());
        }
        self.keeper.keep_document(&Signed::open(&bytes)?, &bytes)?;
        self.trust = after;
        Ok(())
    }
}

/// The site of documents that are the whole county's.
const COUNTY_WIDE: SiteId = SiteId(0);

/// Documents by whether there are people in them.
pub(crate) struct Split {
    pub(crate) public: Vec<Vec<u8>>,
    pub(crate) private: Vec<Vec<u8>>,
}

/// Parts documents into those anyone may carry and those that name people.
pub(crate) fn split(documents: Vec<Vec<u8>>) -> Split {
    let names_people = |bytes: &Vec<u8>| match Signed::open(bytes).map(|s| s.key().kind) {
        Ok(ControlKind::Directory | ControlKind::Credentials) | Err(_) => true,
        Ok(
            ControlKind::Authority
            | ControlKind::Roster
            | ControlKind::Places
            | ControlKind::Catalogue
            | ControlKind::Calendar,
        ) => false,
    };
    let (private, public) = documents.into_iter().partition(names_people);
    Split { public, private }
}
