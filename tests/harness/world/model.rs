//! What should be so: every act a person was told is saved, by a token only it carries.

use std::collections::BTreeMap;

use cuntong_protocol::id::DocId;

/// One act that was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// The document it was written to.
    pub doc: DocId,
    /// The machine it was saved on.
    pub at: usize,
}

/// The deeds of a history, by token.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub deeds: BTreeMap<String, Deed>,
    next: u64,
}

impl Model {
    /// A token no other act carries.
    pub fn token(&mut self) -> String {
        self.next += 1;
        format!("事{:06}", self.next)
    }

    /// A person was told that this is saved.
    pub fn saved(&mut self, token: String, deed: Deed) {
        let _new = self.deeds.insert(token, deed);
    }
}
