//! Takes in what the county sends on paper or a stick: tickets, grants and control documents,
//! whether typed at the command line or found in the inbox.

use cuntong_protocol::{
    control::{
        ControlKind,
        signed::{Signed, Taken, TrustError},
    },
    time::Millis,
    wire::bundle::MAGIC,
};
use cuntong_provisioning::{
    enrol::{Grant, Joining, REQUEST_FILE, desk::deliver},
    folder::replace,
    ticket::{PREFIX, Ticket},
};

use crate::{
    blobs::Blobs,
    bundle::{self, Imported, Progress},
    clock::{Chance, Clock},
    exit::Failure,
    identity,
    inbox::Intake,
    news::News,
    store::{Store, StoreError},
    tickets::Tickets,
};
use std::path::PathBuf;

use tokio::sync::Notify;

/// Where tickets, grants and control documents go.
#[derive(Clone)]
pub struct Door {
    pub dir: PathBuf,
    pub store: Store,
    pub clock: Clock,
    pub news: News,
    /// The bytes of attached files.
    pub blobs: Blobs,
    pub tickets: Tickets,
    /// Rung when this machine has become a node, or has a ticket to ask with.
    pub bell: std::sync::Arc<Notify>,
}

/// What something taken in was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenIn {
    /// A ticket: this machine may ask now, online or with this file.
    Ticket {
        fingerprint: String,
        request_file: PathBuf,
    },
    /// A grant that made this machine a node.
    Joined,
    /// A grant for another machine, which will be told when it asks.
    Grant {
        waited: bool,
    },
    Control(ControlKind, u64),
    /// What another node wrote for this one on a stick.
    Bundle(Box<Imported>),
    /// Known already.
    Known,
}

impl TakenIn {
    /// For the person who brought it.
    pub fn zh(&self) -> String {
        match self {
            Self::Ticket { .. } => "入网票已收下,正在向县里申请".to_owned(),
            Self::Joined => "已入网".to_owned(),
            Self::Grant { waited: true } => "入网批复已收下,等待该机器来取".to_owned(),
            Self::Grant { waited: false } => "入网批复已收下;没有机器在等它".to_owned(),
            Self::Control(kind, version) => format!("已收下 {} 第 {version} 版", kind.word()),
            Self::Bundle(taken) => {
                format!("已收取 {} 的数据包:{}", taken.peer_name, taken.words)
            }
            Self::Known => "已有,无须再收".to_owned(),
        }
    }
}

impl Door {
    /// Takes something in, whatever it is. Blocks on the store.
    ///
    /// # Errors
    /// Why not, in words for the person who brought it.
    pub fn take(&self, content: &[u8]) -> Result<TakenIn, Failure> {
        let taken = if let Some(text) = ticket_text(content) {
            self.ticket(text)?
        } else if let Ok(grant) = Grant::read(content) {
            self.grant(&grant, content)?
        } else if content.starts_with(MAGIC) {
            let far = Progress::default();
            TakenIn::Bundle(Box::new(bundle::import_from(self, &mut &*content, &far)?))
        } else if Signed::open(content).is_ok() {
            self.control(content)?
        } else {
            return Err(Failure::fault(
                "认不出：不是入网票、入网批复、数据包，也不是县里签发的文件",
            ));
        };
        self.bell.notify_waiters();
        Ok(taken)
    }

    fn ticket(&self, text: &str) -> Result<TakenIn, Failure> {
        let ticket = Ticket::read(text).map_err(Failure::fault)?;
        if self.store.read(identity::Papers::load)?.is_some() {
            return Err(Failure::fault("本机已入网,不需要入网票"));
        }
        let now = self.clock.now();
        let begun = self.store.write(move |db| begin(db, ticket, now))?;
        let request_file = self.dir.join(format!("request.{REQUEST_FILE}"));
        replace(&request_file, begun.request())?;
        Ok(TakenIn::Ticket {
            fingerprint: begun.fingerprint().map_err(Failure::fault)?,
            request_file,
        })
    }

    fn grant(&self, grant: &Grant, content: &[u8]) -> Result<TakenIn, Failure> {
        let joining = self.store.read(identity::joining)?;
        if let Some(joining) = joining.filter(|j| j.node() == grant.node()) {
            let joined = joining.finish(content).map_err(Failure::fault)?;
            self.join(joining, joined)?;
            return Ok(TakenIn::Joined);
        }
        let papers = self.store.read(identity::Papers::load)?;
        if papers.is_some_and(|own| own.keys.node() == grant.node()) {
            return Ok(TakenIn::Known);
        }
        let trust = self
            .store
            .read(|db| db.shared_trust())
            .map_err(|error| Failure::fault(refused(&error)))?;
        let mut book = self.tickets.book.clone();
        let delivered = deliver(content, &trust, &mut book).map_err(Failure::fault)?;
        for control in &delivered.controls {
            // One that is older than what is held does not make the grant worthless.
            if let Err(error) = self.control(control) {
                tracing::debug!(%error, "a document of the grant is not newer");
            }
        }
        Ok(TakenIn::Grant {
            waited: delivered.waited,
        })
    }

    /// Makes this machine the node that a county's answer says it is.
    ///
    /// # Errors
    /// A failing or full disk; a directory that is another node already.
    pub fn join(
        &self,
        joining: Joining,
        joined: cuntong_provisioning::enrol::Joined,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        self.clock.raise(joined.at);
        let node = self
            .store
            .write(move |db| identity::become_node(db, &joining, &joined, now))?;
        tracing::info!(%node, "this machine is a node now");
        self.bell.notify_waiters();
        Ok(())
    }

    fn control(&self, content: &[u8]) -> Result<TakenIn, Failure> {
        let bytes = content.to_vec();
        let now = self.clock.now();
        let taken = self.store.write(move |db| db.take_control(&bytes, now));
        match taken {
            Ok(Taken::New(key, version)) => {
                self.news.controls_changed();
                Ok(TakenIn::Control(key.kind, version))
            }
            Ok(Taken::Same) => Ok(TakenIn::Known),
            Err(error) => Err(Failure::fault(refused(&error))),
        }
    }
}

/// Keeps the request made with an earlier call of the same ticket: the county answers to it.
fn begin(db: &mut crate::store::Db, ticket: Ticket, now: Millis) -> Result<Joining, StoreError> {
    let failed = |_| StoreError::Refused("the machine's keys could not be made");
    let joining = match identity::joining(db)? {
        Some(before) if before.ticket() == &ticket => return Ok(before),
        // Another ticket, the same machine: its keys are made once.
        Some(before) => {
            Joining::with_keys(ticket, before.keys().clone(), &mut Chance, now).map_err(failed)?
        }
        None => Joining::begin(ticket, &mut Chance, now).map_err(failed)?,
    };
    identity::keep_joining(db, &joining)?;
    Ok(joining)
}

fn ticket_text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?.trim();
    text.get(..PREFIX.len())
        .filter(|head| head.eq_ignore_ascii_case(PREFIX))
        .map(|_head| text)
}

fn refused(error: &StoreError) -> String {
    if matches!(error, StoreError::NotEnrolled) {
        return "本机尚未入网,请先放入入网票".to_owned();
    }
    if let StoreError::Trust(why) = error {
        return if *why == TrustError::OtherCounty {
            "这份文件属于其他县".to_owned()
        } else {
            format!("这份文件不能采信:{why}")
        };
    }
    error.to_string()
}

impl Intake for Door {
    fn rank(&self, content: &[u8]) -> u8 {
        if ticket_text(content).is_some() {
            return 0;
        }
        if Grant::read(content).is_ok() {
            return 1;
        }
        // An authority first, then what it signs.
        Signed::open(content).map_or(u8::MAX, |signed| {
            let place = ControlKind::ALL
                .iter()
                .position(|kind| *kind == signed.content.kind);
            place.map_or(u8::MAX, |place| 2 + place as u8)
        })
    }

    fn take(&self, content: Vec<u8>) -> Result<String, String> {
        Self::take(self, &content)
            .map(|taken| taken.zh())
            .map_err(|failure| failure.to_string())
    }
}
