//! Connections from below: one per node. The newest wins, unless the older machine lives: then
//! there are two machines with one key, and the second is turned away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cuntong_protocol::{id::NodeId, sync::Input, time::Millis};
use tokio::{sync::Notify, time::Instant};

use super::{Downstream, Shared, carrier::Connection, limits, lock, reason::Close, turn::Room};
use crate::news::Teller;

/// How often those above hear who is connected still.
const ROLL_CALL_EVERY: Duration = Duration::from_secs(600);

/// Who is connected.
#[derive(Debug, Default)]
pub(super) struct Live(BTreeMap<NodeId, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    connection: Connection,
    boot: [u8; 8],
    since: Millis,
    /// Since when both sides have nothing to say.
    quiet: Option<Instant>,
    /// Told to come back later.
    leaving: bool,
    leave: Arc<Notify>,
}

impl Live {
    pub(super) fn list(&self) -> Vec<Downstream> {
        self.0
            .iter()
            .map(|(node, entry)| Downstream {
                node: *node,
                since: entry.since,
                carrier: entry.connection.carrier(),
            })
            .collect()
    }

    /// Those who are on their way out do not count.
    pub(super) fn count(&self) -> usize {
        self.0.values().filter(|entry| !entry.leaving).count()
    }

    /// Room for a call of this node, where `most` is the number of places. When none is free, whoever
    /// has been quiet for longest is told to make room. A node that is here already takes its own place.
    pub(super) fn room(&mut self, node: NodeId, most: usize) -> Room {
        if self.0.get(&node).is_some_and(|entry| !entry.leaving) {
            return Room::Free;
        }
        let count = self.count();
        if count < most || self.let_one_go() {
            Room::Free
        } else if count < most + limits::RESERVED {
            Room::Reserved
        } else {
            Room::None
        }
    }

    fn let_one_go(&mut self) -> bool {
        let staying = self.0.values_mut().filter(|e| !e.leaving);
        let quiet = staying.filter_map(|entry| Some((entry.quiet?, entry)));
        let Some((_, longest)) = quiet.min_by_key(|(since, _)| *since) else {
            return false;
        };
        longest.leaving = true;
        longest.leave.notify_one();
        true
    }

    #[cfg(test)]
    pub(super) fn boot_of(&self, node: NodeId) -> Option<[u8; 8]> {
        self.0.get(&node).map(|entry| entry.boot)
    }

    pub(super) fn close_all(&mut self) {
        for entry in self.0.values() {
            entry.connection.close(Close::Stop, "");
        }
        self.0.clear();
    }

    /// Forgets a connection that ended, unless a newer one took its place.
    fn remove(&mut self, node: NodeId, connection: &Connection) {
        if self.is(node, connection) {
            let _ended = self.0.remove(&node);
        }
    }

    fn is(&self, node: NodeId, connection: &Connection) -> bool {
        self.0
            .get(&node)
            .is_some_and(|entry| entry.connection.is(connection))
    }
}

/// Notes from time to time who is connected still, and has it told upwards: a quiet village is not
/// a lost one.
pub(super) async fn call_the_roll(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.parts.stop.stopped() => return,
            () = tokio::time::sleep(ROLL_CALL_EVERY) => {}
        }
        let here: Vec<NodeId> = lock(&shared.live).0.keys().copied().collect();
        if here.is_empty() {
            continue;
        }
        let (store, now) = (shared.parts.store.clone(), shared.parts.clock.now());
        let noted =
            tokio::task::spawn_blocking(move || store.write(move |db| db.see_again(&here, now)));
        match noted.await {
            Ok(Ok(seen)) => shared
                .parts
                .news
                .tell(Teller::DESK, vec![Input::Seen(seen)]),
            Ok(Err(error)) => tracing::warn!(%error, "who is connected was not noted"),
            Err(_stopping) => return,
        }
    }
}

/// The place of a connection in the list, given back when dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    node: NodeId,
    connection: Connection,
    /// Told when somebody else needs the place.
    pub(super) leave: Arc<Notify>,
}

impl Place {
    /// Notes whether both sides have nothing to say.
    pub(super) fn quiet(&self, quiet: bool) {
        let mut live = lock(&self.shared.live);
        if live.is(self.node, &self.connection)
            && let Some(entry) = live.0.get_mut(&self.node)
        {
            entry.quiet = quiet.then(Instant::now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.live).remove(self.node, &self.connection);
    }
}

/// Takes the node's place for this connection. `None`: another machine of that name lives.
pub(super) async fn claim(
    shared: &Arc<Shared>,
    node: NodeId,
    boot: [u8; 8],
    connection: &Connection,
) -> Option<Place> {
    loop {
        let holder = {
            let mut live = lock(&shared.live);
            match live.0.get(&node).cloned() {
                Some(old) if old.boot != boot && !old.connection.is_closed() => old,
                gone_or_same => {
                    if let Some(old) = gone_or_same {
                        old.connection.close(Close::Superseded, "");
                    }
                    let leave = Arc::new(Notify::new());
                    let entry = Entry {
                        connection: connection.clone(),
                        boot,
                        since: shared.parts.clock.now(),
                        quiet: None,
                        leaving: false,
                        leave: leave.clone(),
                    };
                    let _old = live.0.insert(node, entry);
                    return Some(Place {
                        shared: shared.clone(),
                        node,
                        connection: connection.clone(),
                        leave,
                    });
                }
            }
        };
        if holder.connection.alive(limits::window(shared.level)).await {
            tracing::warn!(%node, "two machines with one key: the second is turned away");
            return None;
        }
        // Gone without a word, as after a power cut: its place is free.
        holder.connection.close(Close::Superseded, "");
    }
}
