//! `verify --against upstream`: nothing that was kept is believed, every scope both nodes hold is
//! proved in a new session, and what differs is mended.

use std::collections::BTreeSet;

use cuntong_protocol::{id::Scope, policy, refusal::Refusal, wire::ScopeProof};
use serde_json::json;

use crate::{
    exit::Failure,
    link::Whole,
    node::Node,
    request::Reply,
    store::{Db, Recounted, StoreError},
};

/// Sessions, when one ends with the word that another gets further.
const SESSIONS_MAX: usize = 3;

/// What became of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Repaired,
    Different,
    /// Logs of it were forked or refused, so that nothing could be proved.
    LeftOut,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Repaired => "repaired",
            Self::Different => "different",
            Self::LeftOut => "left_out",
        }
    }
}

/// Compares this node with its first reachable upstream.
///
/// # Errors
/// No upstream can be reached, with the reasons; a failing disk.
pub(crate) async fn verify(node: &Node) -> Reply {
    let links = node.links.as_ref().ok_or(Refusal::NotEnrolled)?;
    let of_thread = node.clone();
    let recounted = tokio::task::spawn_blocking(move || recount(&of_thread))
        .await
        .map_err(Failure::fault)??;
    let mut repairs = Vec::new();
    let mut whole = links.sync_anew().await?;
    repairs.append(&mut whole.settled.repairs);
    for _more in 1..SESSIONS_MAX {
        if !whole.settled.again {
            break;
        }
        whole = links.sync_anew().await?;
        repairs.append(&mut whole.settled.repairs);
    }
    whole.settled.repairs = repairs;
    let store = node.store.clone();
    tokio::task::spawn_blocking(move || store.read(move |db| told(db, &recounted, &whole)))
        .await
        .map_err(Failure::fault)?
        .map_err(Failure::from)
}

fn recount(node: &Node) -> Result<Recounted, StoreError> {
    let mut done = Recounted::default();
    let mut after = None;
    loop {
        let (so_far, now) = (done, node.clock.now());
        let (total, last) = node.store.write(move |db| {
            let mut total = so_far;
            let last = db.recount_documents(after, &mut total, now)?;
            Ok((total, last))
        })?;
        (done, after) = (total, last);
        if after.is_none() {
            break;
        }
    }
    done.sums = node.store.write(|db| db.resum())?;
    Ok(done)
}

fn told(db: &Db, recounted: &Recounted, whole: &Whole) -> Result<serde_json::Value, StoreError> {
    let trust = db.trust()?;
    let places = trust.places();
    let peer = trust.node(whole.peer);
    let mine: BTreeSet<_> = policy::scopes_read_by(places, db.site()?)
        .into_iter()
        .collect();
    let theirs = peer.map_or_else(Vec::new, |peer| policy::scopes_read_by(places, peer.site));
    let shared: Vec<_> = theirs.into_iter().filter(|s| mine.contains(s)).collect();
    let settled = &whole.settled;
    let outcome = |scope: Scope| {
        let repaired = settled.repairs.iter().filter(|(s, _)| *s == scope);
        let repaired: u64 = repaired.map(|(_, count)| count).sum();
        let outcome = if settled.stalled.iter().any(|log| log.scope == scope) {
            Outcome::LeftOut
        } else if settled.mismatched.contains(&scope) {
            Outcome::Different
        } else if repaired > 0 {
            Outcome::Repaired
        } else {
            Outcome::Equal
        };
        (outcome, repaired)
    };
    let row = |proof: &ScopeProof| {
        let (outcome, repaired) = outcome(proof.scope);
        json!({
            "scope": proof.scope.to_string(),
            "kind": proof.scope.kind.word(),
            "site_name": places.site(proof.scope.site).map_or("", |place| &place.name),
            "documents": proof.documents,
            "result": outcome.word(),
            "repaired": repaired,
        })
    };
    let named =
        |proof: &&ScopeProof| proof.documents > 0 || outcome(proof.scope) != (Outcome::Equal, 0);
    // No scope at all would mean every scope.
    let proofs = if shared.is_empty() {
        Vec::new()
    } else {
        db.digests(&shared)?
    };
    let shown: Vec<_> = proofs.iter().filter(named).collect();
    let count = |which| shown.iter().filter(|p| outcome(p.scope).0 == which).count();
    let peer_name = peer.and_then(|peer| places.site(peer.site));
    Ok(json!({
        "peer": whole.peer,
        "peer_name": peer_name.map_or("", |place| &place.name),
        "documents": recounted.documents,
        "rebuilt": recounted.rebuilt,
        "sums": recounted.sums,
        "scopes": shown.iter().map(|proof| row(proof)).collect::<Vec<_>>(),
        "repaired": shown.iter().map(|p| outcome(p.scope).1).sum::<u64>(),
        "different": count(Outcome::Different),
        "left_out": count(Outcome::LeftOut),
    }))
}
