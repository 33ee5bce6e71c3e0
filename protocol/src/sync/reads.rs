//! What a node may hold: one list for all its sessions.

use std::{ops::Deref, sync::Arc};

use crate::id::Scope;

/// Scopes in order, each once. Clones share one list: a hub has thousands of sessions and some
/// thousands of scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads(Arc<[Scope]>);

impl Reads {
    /// Whether the scope is one of them.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.binary_search(scope).is_ok()
    }

    /// Leaves only those that `now` has as well.
    pub(super) fn narrow(&mut self, now: &Self) {
        if self.0.iter().all(|scope| now.contains(scope)) {
            return;
        }
        let both = self.0.iter().filter(|scope| now.contains(scope));
        self.0 = both.copied().collect();
    }
}

impl From<Vec<Scope>> for Reads {
    fn from(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes.into())
    }
}

impl Deref for Reads {
    type Target = [Scope];

    fn deref(&self) -> &[Scope] {
        &self.0
    }
}
