//! The composition root: opens a node, starts its parts, stops them in order.

use std::{path::Path, sync::Arc, time::Duration};

use cuntong_protocol::{id::DocId, time::Millis};
use cuntong_provisioning::enrol::talk::ASK_AGAIN_MS;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::{
    answer::answer,
    clock,
    config::{Config, Loaded},
    control_socket,
    exit::{Exit, Failure},
    identity::Papers,
    inbox, log,
    node::{Node, With},
    request::{Reply, Request},
    stop::Stop,
    store,
};

/// How often slow housekeeping is done: the clock's floor, rows that wait to be made again.
const TEND: Duration = Duration::from_secs(20);
/// Rounds of it from one look for files that nobody names, and for documents to fold, to the next: an hour.
const TIDY_EVERY: u32 = 180;
/// Documents looked at in one turn of the writer: saving a case does not wait for the rest.
const FOLD_DOCUMENTS: u32 = 16;
/// Turns in an hour: a hub of 10⁶ documents is through within two days.
const FOLD_TURNS: u32 = 1_500;
/// Open pages may finish what they are at.
const PAGES_END_WITHIN: Duration = Duration::from_secs(3);

/// How long a directory that another process uses is waited for.
pub const IN_USE_MAX: Duration = Duration::from_secs(10);
/// Between two looks at it.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a node that ran has stopped.
enum Ended {
    Asked,
    /// It has become a node: everything is opened anew, with links.
    Joined,
}

/// Runs the node of a directory until interrupted.
///
/// # Errors
/// When it cannot be opened, or does not end in order.
pub async fn run(dir: &Path, loaded: Loaded) -> Result<Exit, Failure> {
    let config = loaded.config;
    store::dir::make(dir)?;
    log::start(dir, &config.log)?;
    loop {
        match serve(dir, config.clone()).await? {
            Ended::Asked => return Ok(Exit::Done),
            Ended::Joined => tracing::info!("opened anew as a node"),
        }
    }
}

async fn serve(dir: &Path, config: Config) -> Result<Ended, Failure> {
    let interrupted = interrupt()?;
    let until = Instant::now() + IN_USE_MAX;
    let node = loop {
        match open(dir, config.clone(), With::Links).await {
            // A command has the directory for a moment, or a node that stops.
            Err(failure) if failure.exit == Exit::TryLater && Instant::now() < until => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            opened => break opened?,
        }
    };
    let pages = TcpListener::bind(node.config.web.listen)
        .await
        .map_err(|error| {
            Failure::configuration(format!("web.listen {}: {error}", node.config.web.listen))
        })?;
    let mut parts = JoinSet::new();
    parts.spawn(serve_pages(node.clone(), pages));
    parts.spawn(serve_control(node.clone()));
    parts.spawn(tend(node.clone()));
    drop(tokio::spawn(node.sticks.clone().watch(node.stop.clone())));
    if node.config.inbox.watch {
        parts.spawn(watch_inbox(node.clone()));
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        web = %node.config.web.listen,
        enrolled = node.links.is_some(),
        "node runs"
    );
    let ended = wait(&node, interrupted, &mut parts).await;
    node.stopper.stop();
    while let Some(part) = parts.join_next().await {
        if let Ok(Err(error)) = part {
            tracing::error!(%error, "a part did not end in order");
        }
    }
    node.close().await?;
    tracing::info!("node stopped in order");
    ended
}

async fn open(dir: &Path, config: Config, with: With) -> Result<Node, Failure> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || Node::open(&dir, config, with))
        .await
        .map_err(Failure::fault)?
}

/// Waits for an interrupt, an order to stop, a part that fails, or the machine's enrolment.
async fn wait(
    node: &Node,
    interrupted: impl Future<Output = ()>,
    parts: &mut JoinSet<Result<(), Failure>>,
) -> Result<Ended, Failure> {
    tokio::select! {
        () = interrupted => {
            tracing::info!("stopping");
            Ok(Ended::Asked)
        }
        () = node.stop.stopped() => Ok(Ended::Asked),
        joined = joined(node), if node.links.is_none() => joined.map(|()| Ended::Joined),
        Some(part) = parts.join_next() => {
            part.map_err(Failure::fault)??;
            Ok(Ended::Asked)
        }
    }
}

/// Ends at SIGTERM or Control-C, from the moment of this call on.
///
/// # Errors
/// When the process may not listen for signals.
pub fn interrupt() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _signal = terminate.recv() => {}
            _signal = interrupt.recv() => {}
        }
    })
}

/// Until this machine is a node: asks the hubs of its ticket again and again.
async fn joined(node: &Node) -> Result<(), Failure> {
    let again = Duration::from_millis(ASK_AGAIN_MS.unsigned_abs());
    loop {
        // Before asking, so that what rings meanwhile is not missed.
        let bell = node.door.bell.notified();
        let store = node.store.clone();
        let papers = tokio::task::spawn_blocking(move || store.read(Papers::load)).await;
        if matches!(papers, Ok(Ok(Some(_)))) {
            return Ok(());
        }
        match node.ask_to_join().await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(failure) => tracing::warn!(%failure, "the county does not let this machine join"),
        }
        tokio::select! {
            () = tokio::time::sleep(again + clock::jitter(again)) => {}
            () = bell => {}
        }
    }
}

async fn serve_pages(node: Node, listener: TcpListener) -> Result<(), Failure> {
    let name = node.store.read(|db| Ok(db.identity()?.node.text()));
    let name = name.unwrap_or_else(|_none_yet| "n-0".to_owned());
    let port = listener.local_addr()?.port();
    let mut settings = cuntong_web::Settings::loopback(port, name);
    settings.hosts.extend(node.config.web.hosts.iter().cloned());
    settings.hosts.push(node.config.web.listen.ip().to_string());
    let router = cuntong_web::router(Arc::new(node.desk.clone()), settings);
    let stop = node.stop.clone();
    drop(node);
    let stopping = stop.clone();
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.stopped().await })
        .into_future();
    tokio::select! {
        served = served => Ok(served?),
        // A browser that holds a connection open must not keep the node from stopping.
        () = async {
            stop.stopped().await;
            tokio::time::sleep(PAGES_END_WITHIN).await;
        } => Ok(()),
    }
}

async fn serve_control(node: Node) -> Result<(), Failure> {
    let (dir, stop) = (node.dir.clone(), node.stop.clone());
    let answered = move |request| {
        let node = node.clone();
        async move { answer(&node, request).await }
    };
    Ok(control_socket::serve(&dir, stop, answered).await?)
}

async fn watch_inbox(node: Node) -> Result<(), Failure> {
    let clock = node.clock.clone();
    let stamp = move || clock.now().0.to_string();
    let door = Arc::new(node.door.clone());
    let (dir, stop) = (node.dir.clone(), node.stop.clone());
    drop(node);
    let report = |outcome: &inbox::Outcome| match &outcome.result {
        // File names are whatever somebody typed: they may name people, and stay out of the log.
        Ok(what) => tracing::info!(%what, "inbox: taken in"),
        Err(reason) => tracing::warn!(%reason, "inbox: refused"),
    };
    Ok(inbox::watch(dir, door, stop, stamp, report).await?)
}

/// Slow housekeeping, until the node stops.
async fn tend(node: Node) -> Result<(), Failure> {
    let (store, clock, stop) = (node.store.clone(), node.clock.clone(), node.stop.clone());
    let blobs = node.blobs.clone();
    drop(node);
    let mut round = 0_u32;
    // How far the walk over all documents came.
    let mut folding = None;
    let (of_start, all) = (blobs.clone(), store.clone());
    let missed = tokio::task::spawn_blocking(move || of_start.miss(&all)).await;
    if let Ok(Ok(missed @ 1..)) = missed {
        tracing::warn!(missed, "attached files are gone; they are fetched again");
    }
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            () = tokio::time::sleep(TEND) => {}
        }
        let (store, clock, blobs) = (store.clone(), clock.clone(), blobs.clone());
        let stop = stop.clone();
        round += 1;
        // It walks over every file.
        let tidies = round.is_multiple_of(TIDY_EVERY);
        let tended = tokio::task::spawn_blocking(move || {
            let mut folding = folding;
            if let Ok(trust) = store.read(|db| db.shared_trust()) {
                clock.raise(trust.newest_signed_time());
            }
            if let Err(error) = clock.save(false) {
                tracing::warn!(%error, "the clock's floor is not written down");
            }
            while store.write(|db| db.tend())? {}
            if tidies {
                let removed = blobs.tidy(&store, clock.now())?;
                if removed > 0 {
                    tracing::info!(removed, "attached files that nobody names");
                }
                let quiet = clock.now().after(-store::FOLD_AFTER_MS);
                folding = fold(&store, folding, quiet, &stop)?;
            }
            Ok::<_, store::StoreError>(folding)
        });
        match tended.await {
            Ok(Ok(reached)) => folding = reached,
            Ok(Err(error)) => tracing::warn!(%error, "housekeeping failed"),
            Err(ended) => tracing::error!(%ended, "housekeeping failed"),
        }
    }
}

/// Folds documents that have been quiet since then, a share of all; answers how far it came.
fn fold(
    store: &store::Store,
    mut reached: Option<DocId>,
    quiet: Millis,
    stop: &Stop,
) -> store::Result<Option<DocId>> {
    let (mut entries, mut bytes) = (0, 0);
    for _turn in 0..FOLD_TURNS {
        let folded = store.write(move |db| db.fold_bodies(reached, quiet, FOLD_DOCUMENTS))?;
        entries += folded.entries;
        bytes += folded.bytes;
        reached = folded.reached;
        if reached.is_none() || stop.is_stopped() {
            break;
        }
    }
    if entries > 0 {
        tracing::info!(entries, bytes, "changes folded into their documents");
    }
    Ok(reached)
}

/// Opens a node for one request: for commands when no node runs.
///
/// # Errors
/// The store does not open.
pub async fn open_once(dir: &Path, loaded: Loaded, request: &Request) -> Result<Node, Failure> {
    let mut config = loaded.config;
    // Nobody is to call a node that is here for a moment.
    config.link.listen = None;
    let with = if matches!(request, Request::SyncNow | Request::VerifyAgainst) {
        With::Links
    } else {
        With::NoLinks
    };
    open(dir, config, with).await
}

/// Answers the request, and closes the node.
///
/// # Errors
/// The answer's own, or a node that does not end in order.
pub async fn answer_once(node: Node, request: Request) -> Reply {
    let reply = answer(&node, request).await;
    node.close().await?;
    reply
}

/// Brings a backup back into a directory, whose present database is kept beside it.
///
/// # Errors
/// The backup is damaged or not a node's; nothing is changed then.
pub async fn restore(dir: &Path, loaded: Loaded, backup: &Path) -> Reply {
    let (at, from) = (dir.to_owned(), backup.to_owned());
    let stamp = clock::Clock::system(None).now();
    tokio::task::spawn_blocking(move || {
        let directory = store::Directory::lock(&at)?;
        let aside = set_aside(&directory.database(), stamp.0)?;
        let restored = store::backup::restore(&from, &directory);
        if restored.is_err() {
            for (kept, original) in aside {
                std::fs::rename(kept, original)?;
            }
        }
        Ok::<(), Failure>(restored?)
    })
    .await
    .map_err(Failure::fault)??;
    // Opened once, so that the new epoch has begun before anybody believes the restoration.
    let node = open(dir, loaded.config, With::NoLinks).await?;
    let epoch = node.store.read(|db| Ok(db.identity()?.writer.epoch));
    node.close().await?;
    Ok(json!({ "dir": dir.display().to_string(), "epoch": epoch? }))
}

/// Moves a database and its side files out of the way; (where each is now, where it was).
fn set_aside(
    database: &Path,
    stamp: i64,
) -> Result<Vec<(std::path::PathBuf, std::path::PathBuf)>, Failure> {
    let mut moved = Vec::new();
    for side in ["", "-wal", "-shm"] {
        let mut original = database.as_os_str().to_owned();
        original.push(side);
        let mut kept = database.as_os_str().to_owned();
        kept.push(format!(".before-{stamp}{side}"));
        let (original, kept) = (
            std::path::PathBuf::from(original),
            std::path::PathBuf::from(kept),
        );
        if original.exists() {
            std::fs::rename(&original, &kept)?;
            moved.push((kept, original));
        }
    }
    Ok(moved)
}
