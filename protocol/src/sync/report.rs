//! What a session says of itself.

use crate::sync::{Session, Settled};

impl Session {
    /// What it did so far.
    pub(super) fn summary(&self) -> Settled {
        Settled {
            mismatched: self.proofs.mismatched.iter().copied().collect(),
            stalled: self.flow.stalled.iter().copied().collect(),
            ..self.report.clone()
        }
    }

    /// Somebody wants to hear that both sides agree: it is said as soon as they do.
    pub(super) fn asked(&mut self, question: u64) {
        self.report.asked = question;
        if self.settled {
            self.settlement = Some(self.summary());
        }
    }
}

impl Settled {
    /// What was done since an earlier report of the same session.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let repairs = self.repairs.iter().skip(earlier.repairs.len());
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
            repaired: self.repaired.saturating_sub(earlier.repaired),
            repairs: repairs.copied().collect(),
            ..self.clone()
        }
    }
}
