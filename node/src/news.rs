//! What became true here and every session with another node must hear: entries that are durable,
//! receipts, refusals, newer control documents.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cuntong_protocol::{
    log::{LogHead, LogId},
    sync::Input,
};
use tokio::sync::broadcast;

/// News kept for a session that is slow to hear; one that falls further behind begins anew.
const KEPT: usize = 4_096;

/// The place where news is told. Clones are the same place.
#[derive(Debug, Clone)]
pub struct News {
    sender: broadcast::Sender<Told>,
    next: Arc<AtomicU64>,
}

/// Some news and who told it.
#[derive(Debug, Clone)]
pub struct Told {
    pub from: Teller,
    pub inputs: Arc<[Input]>,
}

/// Who tells: a session does not hear its own news again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teller(u64);

impl Teller {
    /// This very node, by a person's hand.
    pub const DESK: Self = Self(0);
}

impl Default for News {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(KEPT).0,
            next: Arc::new(AtomicU64::new(1)),
        }
    }
}

impl News {
    /// A name for one more session.
    pub fn teller(&self) -> Teller {
        Teller(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells everybody else.
    pub fn tell(&self, from: Teller, inputs: Vec<Input>) {
        if inputs.is_empty() {
            return;
        }
        // Nobody listening is the usual state of a node on its own.
        let _nobody = self.sender.send(Told {
            from,
            inputs: inputs.into(),
        });
    }

    /// Entries became durable by a person's hand.
    pub fn committed(&self, heads: Vec<(LogId, LogHead)>) {
        if !heads.is_empty() {
            self.tell(Teller::DESK, vec![Input::Committed(heads)]);
        }
    }

    /// A control document was replaced by a newer one.
    pub fn controls_changed(&self) {
        self.tell(Teller::DESK, vec![Input::ControlsChanged]);
    }

    /// Hears what is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<Told> {
        self.sender.subscribe()
    }
}
