//! What only tests ask of the sample desk; and a browser that talks to the router in process.

mod browser;
mod fake;

use cuntong_protocol::{command::Command, refusal::Refusal};

pub(crate) use browser::{Browser, encode};
use fake::lock;
pub(crate) use fake::{CaseKind, FakeDesk, notices::id as notice_id};

impl FakeDesk {
    /// With that many cases.
    pub(crate) fn many(mut self, count: usize) -> Self {
        let all = self.cases.len();
        while self.cases.len() < count {
            let next = self.cases[self.cases.len() % all].clone();
            self.cases.push(next);
        }
        self.cases.truncate(count);
        self
    }

    /// The next command is refused.
    pub(crate) fn refusing(self, refusal: Refusal) -> Self {
        *lock(&self.refuse) = Some(refusal);
        self
    }

    /// Whether it was asked for that.
    pub(crate) fn heard(&self, what: &str) -> bool {
        lock(&self.heard).iter().any(|h| h == what)
    }

    /// The only command so far.
    pub(crate) fn command(&self) -> Option<Command> {
        let all = lock(&self.commands);
        assert!(all.len() <= 1, "more than one command was given");
        all.first().cloned()
    }
}
