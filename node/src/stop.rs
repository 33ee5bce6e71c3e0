//! One word to all parts of a running node: stop.

use tokio::sync::watch;

/// Says stop; dropping it says so too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The two ends.
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Says stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the word.
    pub async fn stopped(&self) {
        let mut heard = self.0.clone();
        // An error means that the stopper is gone: that is a stop too.
        let _gone = heard.wait_for(|stop| *stop).await.is_err();
    }

    /// Whether the word was said.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
