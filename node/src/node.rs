//! A node that is open: its store and everything that stands on it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cuntong_provisioning::enrol::Joining;
use tokio::sync::Notify;

use crate::{
    blobs::{self, Blobs},
    clock::{self, Clock},
    config::Config,
    desk::{LinkHandle, NoLinks, NodeDesk, Peer, links::Habits},
    exit::{Exit, Failure},
    identity::{self, Papers},
    intake::Door,
    link::{self, Asked, Links, Parts, surroundings::System},
    news::News,
    sticks::Sticks,
    stop::{self, Stop, Stopper},
    store::{Store, StoreError},
    tickets::Tickets,
    view,
};

/// Reading connections: pages, links and the command line read at the same time.
const READERS: usize = 4;
/// The trusted floor of the clock.
const CLOCK_FILE: &str = "clock";
/// There while the demo's switch is off: a pulled cable stays pulled through a restart.
const UNPLUGGED_FILE: &str = "unplugged";

/// A node, opened. Clones share everything.
#[derive(Clone)]
pub struct Node {
    pub dir: PathBuf,
    pub config: Arc<Config>,
    pub clock: Clock,
    pub store: Store,
    /// The bytes of attached files.
    pub blobs: Blobs,
    pub desk: NodeDesk,
    /// None until the machine is a node, and for commands that need no other node.
    pub links: Option<Links>,
    /// The same links as the desk sees them.
    pub plugs: Arc<dyn LinkHandle>,
    pub sticks: Sticks,
    pub door: Door,
    pub news: News,
    /// Ends everything.
    pub stopper: Arc<Stopper>,
    pub stop: Stop,
}

/// Whether links are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    Links,
    NoLinks,
}

impl Node {
    /// Opens the store of a directory and, if wanted and the machine is a node, its links.
    /// Blocks; to be called within a runtime.
    ///
    /// # Errors
    /// The directory is in use, damaged or newer; an address cannot be bound.
    pub fn open(dir: &Path, config: Config, with: With) -> Result<Self, Failure> {
        let clock = Clock::system(Some(&dir.join(CLOCK_FILE)));
        let store = Store::open(dir, clock.now(), clock::random(), &view::ROWS, READERS)
            .map_err(opening)?;
        if let Ok(trust) = store.read(|db| db.shared_trust()) {
            clock.raise(trust.newest_signed_time());
        }
        let blobs = Blobs::new(
            dir,
            blobs::Limits {
                quota: config.attachments.quota,
                free: config.attachments.free,
            },
        );
        let (stopper, stop) = stop::pair();
        let news = News::default();
        let tickets = Tickets::new(dir);
        let door = Door {
            dir: dir.to_owned(),
            store: store.clone(),
            clock: clock.clone(),
            news: news.clone(),
            blobs: blobs.clone(),
            tickets: tickets.clone(),
            bell: Arc::new(Notify::new()),
        };
        let links = match with {
            With::Links => links(dir, &config, &store, &blobs, &door, &stop)?,
            With::NoLinks => None,
        };
        let handle: Arc<dyn LinkHandle> = match &links {
            Some(links) => Arc::new(Plugs {
                links: links.clone(),
                clock: clock.clone(),
                unplugged: dir.join(UNPLUGGED_FILE),
            }),
            None => Arc::new(NoLinks),
        };
        let sticks = Sticks::new(door.clone(), config.bundle.places.clone());
        let desk = NodeDesk::new(store.clone(), clock.clone(), handle.clone())
            .with_sticks(sticks.clone())
            .with_files(blobs.clone(), &config.link);
        Ok(Self {
            dir: dir.to_owned(),
            config: Arc::new(config),
            clock,
            store,
            blobs,
            desk,
            links,
            plugs: handle,
            sticks,
            door,
            news,
            stopper: Arc::new(stopper),
            stop,
        })
    }

    /// Asks the hubs of the ticket once. True: this machine is a node now.
    ///
    /// # Errors
    /// The county says no; a failing disk. A hub that is away is no error.
    pub async fn ask_to_join(&self) -> Result<bool, Failure> {
        let store = self.store.clone();
        let joining = tokio::task::spawn_blocking(move || store.read(identity::joining))
            .await
            .map_err(Failure::fault)??;
        let Some(joining) = joining else {
            return Ok(false);
        };
        let own = identity::stranger(joining.keys(), &self.clock)?;
        for hub in joining.ticket().claims().hubs.clone() {
            let asked =
                link::ask_to_join(&joining, &hub, own.clone(), &self.config.link, &self.clock)
                    .await;
            match asked {
                Ok(Asked::Joined(joined)) => return self.join(joining, *joined).await,
                Ok(Asked::Waiting) => return Ok(false),
                Ok(Asked::Refused {
                    reason,
                    passing: false,
                }) => {
                    return Err(Failure::new(Exit::NotPermitted, reason));
                }
                Ok(Asked::Refused {
                    reason,
                    passing: true,
                }) => {
                    tracing::info!(%hub, %reason, "asked to join; not yet");
                }
                Err(failed) => {
                    tracing::info!(%hub, detail = %failed.detail, "the hub cannot be asked");
                }
            }
        }
        Ok(false)
    }

    async fn join(
        &self,
        joining: Joining,
        joined: cuntong_provisioning::enrol::Joined,
    ) -> Result<bool, Failure> {
        let door = self.door.clone();
        tokio::task::spawn_blocking(move || door.join(joining, joined))
            .await
            .map_err(Failure::fault)??;
        Ok(true)
    }

    /// Ends in order: links say goodbye, the store writes that nothing was left open.
    ///
    /// # Errors
    /// A failing disk: the next start begins a new epoch.
    pub async fn close(self) -> Result<(), Failure> {
        self.stopper.stop();
        if let Some(links) = &self.links {
            links.ended().await;
        }
        let (store, clock) = (self.store.clone(), self.clock.clone());
        drop(self);
        tokio::task::spawn_blocking(move || {
            // A floor that is not written down is found again in what others sign.
            if let Err(error) = clock.save(true) {
                tracing::warn!(%error, "the clock's floor is not written down");
            }
            Ok(store.close()?)
        })
        .await
        .map_err(Failure::fault)?
    }
}

fn links(
    dir: &Path,
    config: &Config,
    store: &Store,
    blobs: &Blobs,
    door: &Door,
    stop: &Stop,
) -> Result<Option<Links>, Failure> {
    let Door {
        clock,
        news,
        tickets,
        ..
    } = door;
    let Some(papers) = store.read(Papers::load)? else {
        return Ok(None);
    };
    let mut link = config.link.clone();
    if link.upstream.is_empty() && papers.renewer.is_none() {
        link.upstream.clone_from(&papers.hubs);
    }
    let (of_renewal, keys, time) = (store.clone(), papers.keys.clone(), clock.clone());
    let own = papers.shown()?;
    let parts = Parts {
        store: store.clone(),
        blobs: blobs.clone(),
        clock: clock.clone(),
        config: link,
        news: news.clone(),
        boot: store.read(|db| Ok(db.boot()))?,
        own,
        issued: papers.issued,
        renewer: papers.renewer,
        keys: papers.keys,
        keep_certificate: Box::new(move |der| {
            identity::renewed(&of_renewal, &keys, der, time.now())
        }),
        tickets: tickets.clone(),
        plugged: !(config.demo.switch && dir.join(UNPLUGGED_FILE).exists()),
        demo: config.demo.switch,
        stop: stop.clone(),
    };
    Links::start(parts, Box::new(System::new())).map(Some)
}

/// Why the store did not open: what time does not mend is wrong with the directory.
fn opening(error: StoreError) -> Failure {
    let mut failure = Failure::from(error);
    if failure.exit == Exit::Failed {
        failure.exit = Exit::Configuration;
    }
    failure
}

/// The links as the desk sees them.
struct Plugs {
    links: Links,
    clock: Clock,
    unplugged: PathBuf,
}

impl LinkHandle for Plugs {
    fn peers(&self) -> Vec<Peer> {
        let now = self.clock.now();
        let upstream = self.links.upstream().into_iter().filter_map(|up| {
            Some(Peer {
                node: up.node?,
                upstream: true,
                state: up.state.word(),
                reason: up.failed.map(|failed| failed.reason.word()),
                next_try_s: up
                    .next_try
                    .map(|at| (at.since(now).max(0) / 1000).unsigned_abs()),
                why: up.why.word(),
                last_session_at: up.last_session,
                carrier: up
                    .carrier
                    .filter(|_| up.state == link::UpstreamState::Connected)
                    .map(link::Carrier::word),
                beginning: up.beginning.map(|(_, so_far)| so_far),
            })
        });
        let downstream = self.links.downstream().into_iter().map(|down| Peer {
            node: down.node,
            upstream: false,
            state: link::UpstreamState::Connected.word(),
            reason: None,
            next_try_s: None,
            why: link::Why::default().word(),
            last_session_at: Some(down.since),
            carrier: Some(down.carrier.word()),
            beginning: None,
        });
        upstream.chain(downstream).collect()
    }

    fn saved(&self) {
        self.links.saved();
    }

    fn try_now(&self) {
        self.links.try_now();
    }

    fn habits(&self) -> Habits {
        self.links.habits()
    }

    fn demo(&self) -> Option<bool> {
        self.links.demo().then(|| self.links.plugged())
    }

    fn set_demo(&self, up: bool) {
        self.links.set_plugged(up);
        let remembered = if up {
            std::fs::remove_file(&self.unplugged)
        } else {
            std::fs::write(&self.unplugged, b"")
        };
        if let Err(error) = remembered
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the switch is forgotten at the next start");
        }
    }
}
