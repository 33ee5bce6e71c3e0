//! Links to other nodes: QUIC connections that carry [`cuntong_protocol::sync`] sessions.
//!
//! `tls` and `limits` say who gets a connection and how much of it; `listen` answers calls,
//! `dial` makes them, `drive` runs a session on a connection, `reason` classes what goes wrong.
//! The roster decides, at the start of each session and again at each message.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use cuntong_protocol::{
    control::signed::Trust, id::NodeId, role::Level, sync::Settled, time::Millis,
};
use cuntong_provisioning::enrol::Renewer;
use quinn::{Connection, Endpoint};
use rustls::sign::CertifiedKey;
use tokio::sync::{Notify, watch};

use crate::{
    clock::Clock,
    config,
    exit::{Exit, Failure},
    news::News,
    stop::Stop,
    store::Store,
};

mod backoff;
mod dial;
mod drive;
mod enrolment;
mod limits;
mod listen;
mod live;
mod reason;
mod renewal;
pub mod tls;

#[cfg(test)]
mod tests;

pub use enrolment::{Asked, ask as ask_to_join};
use live::Live;
pub use reason::{Failed, Reason};

/// What a node's links need.
pub struct Parts {
    pub store: Store,
    pub clock: Clock,
    pub config: config::Link,
    pub news: News,
    /// Drawn at start: two machines with one key differ in it.
    pub boot: [u8; 8],
    /// Certificate and key shown to others.
    pub own: Arc<CertifiedKey>,
    /// The hub's means of renewing others' certificates.
    pub renewer: Option<Renewer>,
    /// Where a renewed certificate is kept: told of each new one (DER).
    pub keep_certificate: Box<dyn Fn(&[u8]) -> std::io::Result<Arc<CertifiedKey>> + Send + Sync>,
    pub keys: cuntong_provisioning::keys::NodeKeys,
    /// Shows the demo's switch.
    pub demo: bool,
    pub stop: Stop,
}

/// All links of a node. Clones are the same links.
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    parts: Parts,
    endpoint: Endpoint,
    own: RwLock<Arc<CertifiedKey>>,
    level: Level,
    live: Mutex<Live>,
    upstream: Mutex<Vec<Upstream>>,
    /// False: unplugged by hand.
    plugged: watch::Sender<bool>,
    /// Try now.
    wake: Notify,
    /// Sessions that settled with an upstream, for who waits for one.
    settled: watch::Sender<u64>,
    sessions: AtomicU64,
    /// What the last whole session with an upstream did.
    last: Mutex<Option<Whole>>,
    redial: watch::Sender<u64>,
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
    pub last_session: Option<Millis>,
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
}

impl Links {
    /// Binds the endpoint and starts calling and answering. Tasks end at `parts.stop`.
    ///
    /// # Errors
    /// When the address cannot be bound, or the node does not belong to a county.
    pub fn start(parts: Parts) -> Result<Self, Failure> {
        let trust = parts.store.trust().map_err(Failure::fault)?;
        let level = own_level(&parts, &trust)?;
        let endpoint = listen::endpoint(&parts, level, &trust)?;
        let upstream = parts.config.upstream.iter().map(|a| Upstream::new(a)).collect();
        let shared = Arc::new(Shared {
            own: RwLock::new(parts.own.clone()),
            level,
            endpoint,
            live: Mutex::new(Live::default()),
            upstream: Mutex::new(upstream),
            plugged: watch::Sender::new(true),
            wake: Notify::new(),
            settled: watch::Sender::new(0),
            sessions: AtomicU64::new(0),
            last: Mutex::new(None),
            redial: watch::Sender::new(0),
            parts,
        });
        if shared.parts.config.listen.is_some() {
            drop(tokio::spawn(listen::run(shared.clone())));
        }
        if !shared.parts.config.upstream.is_empty() {
            drop(tokio::spawn(dial::run(shared.clone())));
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

    /// Ends every wait: each upstream is tried now.
    pub fn wake(&self) {
        self.0.wake.notify_waiters();
    }

    /// Whether the links are plugged in.
    pub fn plugged(&self) -> bool {
        *self.0.plugged.borrow()
    }

    /// Plugs or unplugs every link, as a hand at the cable would.
    pub fn set_plugged(&self, up: bool) {
        tracing::info!(up, "links switched");
        let _before = self.0.plugged.send_replace(up);
        if up {
            self.wake();
        } else {
            lock(&self.0.live).close_all();
        }
    }

    /// Whether the demo's switch is shown.
    pub fn demo(&self) -> bool {
        self.0.parts.demo
    }

    /// Waits for one whole session with the first upstream that can be reached.
    ///
    /// # Errors
    /// [`Exit::NoUpstream`] when none could be reached, with the reasons.
    pub async fn sync_now(&self) -> Result<Whole, Failure> {
        if self.0.parts.config.upstream.is_empty() {
            return Err(Failure::new(Exit::NoUpstream, "没有设置上级节点"));
        }
        if !self.plugged() {
            return Err(Failure::new(Exit::NoUpstream, "链路已断开"));
        }
        let mut settled = self.0.settled.subscribe();
        settled.mark_unchanged();
        let _before = self.0.redial.send_modify(|n| *n += 1);
        self.wake();
        let deadline = tokio::time::Instant::now() + self.patience();
        loop {
            tokio::select! {
                changed = settled.changed() => {
                    if changed.is_ok()
                        && let Some(whole) = lock(&self.0.last).clone()
                    {
                        return Ok(whole);
                    }
                }
                () = tokio::time::sleep_until(deadline) => return Err(self.unreachable()),
                () = self.0.parts.stop.stopped() => {
                    return Err(Failure::new(Exit::TryLater, "节点正在停止"));
                }
                () = tokio::time::sleep(POLL) => {
                    if self.all_failed_since(deadline - self.patience()) {
                        return Err(self.unreachable());
                    }
                }
            }
        }
    }
}
