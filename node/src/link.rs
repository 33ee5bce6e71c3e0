//! Links to other nodes: connections that carry [`cuntong_protocol::sync`] sessions.
//!
//! `tls`, `pending` and `limits` say who gets a connection and how much of it; `listen` answers calls,
//! `dial` makes them, `drive` runs a session on a connection, `reason` classes what goes wrong.
//! A connection is QUIC, or `tcp` where UDP is blocked: `reach` finds out which, `carrier` makes
//! both look the same.
//! The roster decides, at the start of each session and again at each message.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use cuntong_protocol::{
    control::signed::Trust,
    id::{NodeId, SiteId},
    policy::scopes_read_by,
    role::Level,
    sync::{Reads, Settled},
    time::{ClockState, Millis},
};
use cuntong_provisioning::{enrol::Renewer, keys::NodeKeys};
use cuntong_web::desk::Beginning;
use quinn::Endpoint;
use rustls::{server::ServerSessionMemoryCache, sign::CertifiedKey};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::{
    blobs::Blobs,
    clock::Clock,
    config,
    desk::links::Habits,
    exit::{Exit, Failure},
    news::News,
    stop::Stop,
    store::Store,
    tickets::Tickets,
};

mod backoff;
mod beginning;
mod blobs;
mod call;
mod carrier;
mod dial;
mod drive;
mod enrolment;
#[cfg(feature = "faults")]
mod faults;
mod leave;
mod limits;
mod listen;
mod live;
mod meeting;
mod order;
mod pending;
mod reach;
mod reason;
mod renewal;
mod resume;
mod stream;
pub mod surroundings;
mod tcp;
pub mod tls;
mod turn;
mod upstream;
mod way_back;
mod when;
mod work;

#[cfg(test)]
mod tests;

pub use carrier::Carrier;
pub use enrolment::{Asked, ask as ask_to_join};
use live::Live;
use order::{Order, Waiter};
use pending::Pending;
pub use reach::Lead;
pub use reason::{Failed, Reason};
use resume::Resume;
use surroundings::Surroundings;
use turn::Turns;
use upstream::{unreachable, upstreams};
pub use when::Why;

/// Orders that wait for the caller; more are the same order.
const ORDERS_MAX: usize = 32;
/// How long a node that ends waits for others to hear its last word: who manages services kills whoever is
/// slow, and the next start would take that for a power cut.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(3);

/// What sites may read, and by which word of the county's.
type KnownReads = (Option<Arc<Trust>>, BTreeMap<SiteId, Reads>);

/// Keeps a renewed certificate (DER) and makes of it what is shown to others.
pub type KeepCertificate = Box<dyn Fn(&[u8]) -> Result<Arc<CertifiedKey>, Failure> + Send + Sync>;

/// What a node's links need.
pub struct Parts {
    pub store: Store,
    pub blobs: Blobs,
    pub clock: Clock,
    pub config: config::Link,
    pub news: News,
    /// Drawn at start: two machines with one key differ in it.
    pub boot: [u8; 8],
    pub keys: NodeKeys,
    /// Certificate and key shown to others.
    pub own: Arc<CertifiedKey>,
    /// When that certificate was issued.
    pub issued: Option<Millis>,
    pub keep_certificate: KeepCertificate,
    /// The hub's means of renewing others' certificates.
    pub renewer: Option<Renewer>,
    pub tickets: Tickets,
    /// False: begins unplugged.
    pub plugged: bool,
    /// Shows the demo's switch.
    pub demo: bool,
    pub stop: Stop,
}

/// What the links hear of the machine around them.
pub type Around = Box<dyn Surroundings>;

/// All links of a node. Clones are the same links.
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    parts: Parts,
    level: Level,
    endpoint: Endpoint,
    /// All connections by TCP.
    lines: tcp::Lines,
    own: RwLock<(Arc<CertifiedKey>, Option<Millis>)>,
    trust: RwLock<Arc<Trust>>,
    live: Mutex<Live>,
    pending: Mutex<Pending>,
    upstream: Mutex<Vec<Upstream>>,
    /// By place in `upstream`.
    resume: Mutex<BTreeMap<usize, Arc<Resume>>>,
    /// What the sites may read, by this word of the county's.
    reads: Mutex<KnownReads>,
    /// Sessions that may use a thread and the store at a time: the others wait in turn and take no
    /// thread from the desk.
    hands: Arc<Semaphore>,
    turns: Mutex<Turns>,
    /// Sessions that callers may go on with.
    sessions: Arc<ServerSessionMemoryCache>,
    /// False: unplugged by hand.
    plugged: watch::Sender<bool>,
    orders: mpsc::Sender<Order>,
}

/// An upstream as configured, and how it is.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `host:port`
    pub address: String,
    pub state: UpstreamState,
    /// Who answered there last.
    pub node: Option<NodeId>,
    pub failed: Option<Failed>,
    pub next_try: Option<Millis>,
    /// Why it is then.
    pub why: Why,
    pub last_session: Option<Millis>,
    /// What carries the session, while there is one.
    pub carrier: Option<Carrier>,
    /// The last session went on where the one before it ended: its first words came with the
    /// first packet.
    pub resumed: bool,
    /// Which carrier the next call tries first.
    pub lead: Lead,
    /// Since when the session stands.
    connected_at: Option<Millis>,
    /// A first meeting under way, and since when.
    pub beginning: Option<(Millis, Beginning)>,
}

impl Upstream {
    fn begins(&mut self, line: &drive::Line) {
        self.node = Some(line.known.node);
        self.carrier = Some(line.connection.carrier());
        self.resumed = line.early.is_some();
    }
}

/// Where a call to an upstream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamState {
    Connected,
    Connecting,
    Waiting,
    /// Unplugged.
    Off,
}

impl UpstreamState {
    /// The word for rows and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Off => "off",
        }
    }
}

/// One whole session with an upstream.
#[derive(Debug, Clone)]
pub struct Whole {
    pub peer: NodeId,
    pub settled: Settled,
}

/// A node connected from below.
#[derive(Debug, Clone, Copy)]
pub struct Downstream {
    pub node: NodeId,
    pub since: Millis,
    pub carrier: Carrier,
}

impl Links {
    /// Binds the endpoint and starts calling and answering. Everything ends at `parts.stop`.
    /// Blocks for a moment on the store; to be called within a runtime.
    ///
    /// # Errors
    /// When the address cannot be bound, or the node does not belong to a county.
    pub fn start(parts: Parts, around: Around) -> Result<Self, Failure> {
        let trust = parts
            .store
            .read(|db| db.shared_trust())
            .map_err(Failure::fault)?;
        let site = parts.store.read(|db| db.site()).map_err(Failure::fault)?;
        let level = trust
            .places()
            .site(site)
            .map(|place| place.level)
            .ok_or_else(|| Failure::configuration("本机的站点不在县的站点表中"))?;
        let sessions = ServerSessionMemoryCache::new(2 * parts.config.connections_max);
        let listen::Sockets { endpoint, tcp } = listen::sockets(&parts, level, &trust, &sessions)?;
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let shared = Arc::new(Shared {
            level,
            endpoint,
            lines: tcp::Lines::default(),
            own: RwLock::new((parts.own.clone(), parts.issued)),
            live: Mutex::new(Live::default()),
            pending: Mutex::new(Pending::default()),
            upstream: Mutex::new(upstreams(&parts.config.upstream, &trust, site)),
            resume: Mutex::default(),
            reads: Mutex::default(),
            turns: Mutex::default(),
            hands: Arc::new(Semaphore::new(limits::HANDS)),
            sessions,
            trust: RwLock::new(trust),
            plugged: watch::Sender::new(parts.plugged),
            orders,
            parts,
        });
        // Whoever makes entries durable, a person or a session: the others hear of it.
        let news = shared.parts.news.clone();
        shared
            .parts
            .store
            .listen(Box::new(move |heads| news.committed(heads.to_vec())));
        drop(tokio::spawn(listen::keep_trust(
            shared.clone(),
            shared.parts.news.listen(),
        )));
        if shared.parts.config.listen.is_some() {
            drop(tokio::spawn(listen::run(shared.clone())));
            if let Some(listener) = tcp {
                drop(tokio::spawn(listen::run_tcp(shared.clone(), listener)));
            }
            drop(tokio::spawn(live::call_the_roll(shared.clone())));
        }
        if !shared.parts.config.upstream.is_empty() {
            drop(tokio::spawn(dial::run(shared.clone(), taken)));
            drop(tokio::spawn(surroundings::heed(shared.clone(), around)));
        }
        Ok(Self(shared))
    }

    /// The address calls are answered at.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.endpoint.local_addr()
    }

    /// How each upstream is, in the order they are tried.
    pub fn upstream(&self) -> Vec<Upstream> {
        lock(&self.0.upstream).clone()
    }

    /// Nodes connected from below.
    pub fn downstream(&self) -> Vec<Downstream> {
        lock(&self.0.live).list()
    }

    /// Ends every wait: each upstream is tried now, whatever the settings say of when.
    pub fn try_now(&self) {
        // A full queue holds enough orders to try.
        let _full = self.0.orders.try_send(Order::TryNow);
    }

    /// Something was saved: a reason to call, where the settings allow it.
    pub fn saved(&self) {
        let _full = self.0.orders.try_send(Order::Saved);
    }

    /// When this node calls, by its settings.
    pub fn habits(&self) -> Habits {
        let link = &self.0.parts.config;
        Habits {
            metered: link.metered,
            windows: link.windows.to_string(),
        }
    }

    /// Whether the links are plugged in.
    pub fn plugged(&self) -> bool {
        *self.0.plugged.borrow()
    }

    /// Plugs or unplugs every link, as a hand at the cable would.
    pub fn set_plugged(&self, up: bool) {
        tracing::info!(up, "links switched");
        let _before = self.0.plugged.send_replace(up);
        if !up {
            lock(&self.0.live).close_all();
        }
    }

    /// Whether the demo's switch is shown.
    pub fn demo(&self) -> bool {
        self.0.parts.demo
    }

    /// Waits until the first upstream that can be reached and this node agree. A connection that
    /// stands is asked, and not interrupted in what it does.
    ///
    /// # Errors
    /// [`Exit::NoUpstream`] when none could be, with the reasons.
    pub async fn sync_now(&self) -> Result<Whole, Failure> {
        self.agree(Order::Sync).await
    }

    /// The same in a session of its own, from the first message.
    ///
    /// # Errors
    /// As [`Self::sync_now`].
    pub async fn sync_anew(&self) -> Result<Whole, Failure> {
        self.agree(Order::Anew).await
    }

    async fn agree(&self, order: fn(Waiter) -> Order) -> Result<Whole, Failure> {
        if self.0.parts.config.upstream.is_empty() {
            return Err(Failure::new(Exit::NoUpstream, "没有设置上级节点"));
        }
        let (answer, answered) = oneshot::channel();
        // An order that is not taken any more is not answered either.
        let _taken = self.0.orders.send(order(answer)).await;
        match answered.await {
            Ok(agreed) => agreed.map_err(|failures| unreachable(&failures)),
            Err(_stopping) => Err(Failure::new(Exit::TryLater, "节点正在停止")),
        }
    }

    /// Waits until connections have said goodbye, after `parts.stop`; not for those that do not hear it.
    pub async fn ended(&self) {
        self.0.endpoint.close(reason::Close::Stop.code(), b"");
        let idle = tokio::time::timeout(GOODBYE, self.0.endpoint.wait_idle());
        let (_lines, _late) = tokio::join!(self.0.lines.end(), idle);
    }
}

impl Shared {
    /// What peers are judged by at this moment.
    fn ground(&self) -> tls::Ground {
        let trust = self
            .trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        tls::Ground {
            trust,
            now: self.parts.clock.now(),
        }
    }

    /// The county's newest word, as the store has it.
    fn fresh_trust(&self) -> Arc<Trust> {
        // Held while the store is asked: an older word must not come after a newer one.
        let mut held = self.trust.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(trust) = self.parts.store.trust() {
            self.parts.clock.raise(trust.newest_signed_time());
            *held = trust;
        }
        drop(held);
        self.ground().trust
    }

    /// What a site's nodes may read by that word: worked out once for all their sessions.
    fn reads(&self, trust: &Arc<Trust>, site: SiteId) -> Reads {
        let mut known = lock(&self.reads);
        if !known.0.as_ref().is_some_and(|of| Arc::ptr_eq(of, trust)) {
            *known = (Some(trust.clone()), BTreeMap::new());
        }
        let of_site = known.1.entry(site);
        let reads = of_site.or_insert_with(|| scopes_read_by(trust.places(), site).into());
        reads.clone()
    }

    fn own(&self) -> Arc<CertifiedKey> {
        self.own
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// What the last session with an upstream left, for calls with the certificate shown now.
    fn resume(&self, index: usize) -> Arc<Resume> {
        let own = self.own();
        let mut kept = lock(&self.resume);
        let entry = kept.entry(index);
        let new = || Arc::new(Resume::new(own.clone(), self.ground()));
        let resume = entry.or_insert_with(new);
        if !resume.is_of(&own) {
            *resume = new();
        }
        resume.clone()
    }

    /// When the certificate shown was issued.
    fn own_issued(&self) -> Option<Millis> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Shows another certificate from now on.
    fn show(&self, own: Arc<CertifiedKey>) {
        let now = self.parts.clock.now();
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = (own, Some(now));
    }

    /// The time of day, if it is to be believed.
    fn wall(&self) -> Option<Millis> {
        let (now, state) = self.parts.clock.read();
        (state == ClockState::Ok).then_some(now)
    }

    fn clock_in_doubt(&self) -> bool {
        self.parts.clock.state() == ClockState::Suspect
    }

    /// Which carrier is tried first at an upstream.
    fn lead(&self, index: usize) -> Lead {
        let upstream = lock(&self.upstream);
        upstream.get(index).map(|up| up.lead).unwrap_or_default()
    }

    fn note(&self, index: usize, change: impl FnOnce(&mut Upstream)) {
        if let Some(upstream) = lock(&self.upstream).get_mut(index) {
            change(upstream);
        }
    }
}

/// A panic elsewhere leaves lists of links as good as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
