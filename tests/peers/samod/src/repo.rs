//! What runs a repo: changes made offline, the hub, a session of the node, reading.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use automerge::Automerge;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use samod::{
    BackoffConfig, ConnectionId, DialerEvent, DocHandle, PeerId, Repo, ShareConfig,
    storage::TokioFilesystemStorage, tokio_io::TcpDialer,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{Res, documents, say};

async fn offline(folder: &str) -> Repo {
    Repo::build_tokio()
        .with_storage(TokioFilesystemStorage::new(folder))
        .load()
        .await
}

/// Makes the changes of a file in the store of a folder.
pub async fn apply(changes: &Path, folder: &str) -> Res<()> {
    let storage = TokioFilesystemStorage::new(folder);
    let repo = offline(folder).await;
    let mut fresh = Vec::new();
    for change in documents::lines::<documents::Change>(changes)? {
        let change = change?;
        let id = documents::document_id(&change.id)?;
        if change.new {
            let mut doc = Automerge::new();
            documents::assign(&mut doc, &change.set)?;
            documents::lay(&storage, &id, &doc)?.await;
            fresh.push(id);
        } else {
            let handle = repo
                .find(id)
                .await?
                .ok_or("a case to change is not there")?;
            handle.with_document(|doc| documents::assign(doc, &change.set))?;
        }
    }
    if !fresh.is_empty() {
        let index = repo
            .find(documents::index_id()?)
            .await?
            .ok_or("there is no index")?;
        index.with_document(|doc| documents::enlist(doc, &fresh))?;
    }
    repo.stop().await;
    Ok(())
}

/// Runs the hub until it is told to end.
pub async fn serve(folder: &str, listen: &str) -> Res<()> {
    let repo = Repo::build_tokio()
        .with_storage(TokioFilesystemStorage::new(folder))
        .with_peer_id(PeerId::from("hub"))
        // A server shares what it is asked for and announces nothing.
        .with_share_policy(ShareConfig::read_write().with_announce(false))
        .load()
        .await;
    let acceptor = repo.make_acceptor(samod::Url::parse(&format!("tcp://{listen}"))?)?;
    let listener = TcpListener::bind(listen).await?;
    let mut told = signal(SignalKind::terminate())?;
    say("ready")?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (io, _) = accepted?;
                io.set_nodelay(true)?;
                acceptor.accept_tokio_io(io)?;
            }
            _ = told.recv() => break,
        }
    }
    repo.stop().await;
    Ok(())
}

/// Synchronises until it is done: a connection that broke is begun anew by a new repo.
pub async fn sync(folder: &str, connect: &str) -> Res<()> {
    while !session(folder, connect).await? {}
    Ok(())
}

/// True when every document of the index is the same at both ends, false if the connection broke.
async fn session(folder: &str, connect: &str) -> Res<bool> {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let repo = Repo::build_tokio()
        .with_storage(TokioFilesystemStorage::new(folder))
        .with_peer_id(PeerId::from(format!("n{moment:x}")))
        .load()
        .await;
    let url = samod::Url::parse(&format!("tcp://{connect}"))?;
    let dialer = repo.dial(BackoffConfig::default(), Arc::new(TcpDialer::new(url)?))?;
    let mut events = dialer.events();
    let broken = async move {
        while let Some(event) = events.next().await {
            if let DialerEvent::Disconnected { .. } = event {
                break;
            }
        }
    };
    dialer
        .established()
        .await
        .map_err(|_| "the hub is not to be reached")?;
    let connection = dialer.connection_id().ok_or("the connection is gone")?;
    let whole = tokio::select! {
        followed = follow_all(&repo, connection) => followed.map(|()| true),
        () = broken => Ok(false),
    };
    dialer.close();
    repo.stop().await;
    whole
}

/// Waits for the index and for all that it lists, then and after.
async fn follow_all(repo: &Repo, connection: ConnectionId) -> Res<()> {
    let index = repo
        .find(documents::index_id()?)
        .await?
        .ok_or("the hub has no index")?;
    let mut known = HashSet::new();
    let mut open: FuturesUnordered<BoxFuture<'static, Res<()>>> = FuturesUnordered::new();
    let equal = same_at_both(index.clone(), connection);
    let mut equal = Box::pin(equal);
    let mut last = false;
    loop {
        for id in index.with_document(|doc| documents::listed(doc))? {
            if known.insert(id.clone()) {
                let found = repo.find(id);
                let follow = tokio::spawn(async move {
                    let handle = found.await?.ok_or("a listed case is nowhere")?;
                    same_at_both(handle, connection).await;
                    Ok(())
                });
                open.push(Box::pin(async move { follow.await? }));
            }
        }
        if last {
            break;
        }
        equal.as_mut().await;
        last = true;
    }
    while let Some(done) = open.next().await {
        done?;
    }
    Ok(())
}

async fn same_at_both(handle: DocHandle, connection: ConnectionId) {
    handle.we_have_their_changes(connection).await;
    handle.they_have_our_changes(connection).await;
}

/// Prints the state of every case whose id is in the file.
pub async fn read(folder: &str, ids: &str) -> Res<()> {
    let repo = offline(folder).await;
    for id in std::fs::read_to_string(ids)?
        .lines()
        .filter(|line| !line.is_empty())
    {
        let handle = repo.find(documents::document_id(id)?).await?;
        let state = handle.map(|handle| handle.with_document(|doc| documents::state_of(doc)));
        say(&serde_json::json!({ "id": id, "state": state }).to_string())?;
    }
    repo.stop().await;
    Ok(())
}
