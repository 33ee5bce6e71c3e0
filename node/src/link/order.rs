//! What people and other parts of a node ask of the one that calls upstream.

use tokio::sync::oneshot;

use super::{Whole, reason::Failed};

/// What is asked of the caller.
pub(super) enum Order {
    /// Somebody says: try now.
    TryNow,
    /// Something was saved here.
    Saved,
    /// Something changed around this node that makes a call worth trying.
    Changed,
    /// Both sides are to agree, and what that took is to be said; or why they do not. A connection
    /// that stands is asked.
    Sync(Waiter),
    /// The same in a session of its own, from the first message.
    Anew(Waiter),
}

/// Who waits for both sides to agree.
pub(super) type Waiter = oneshot::Sender<Result<Whole, Vec<Failed>>>;
