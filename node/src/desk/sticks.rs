//! What pages ask about sticks.

use cuntong_web::desk::{StickDesk, Sticks};
use tokio::task::spawn_blocking;

use super::NodeDesk;

/// For a desk whose sticks nobody watches.
const NO_STICKS: &str = "本机没有设置在哪里找 U 盘";

impl StickDesk for NodeDesk {
    async fn sticks(&self) -> Sticks {
        let Some(sticks) = self.sticks.clone() else {
            return Sticks::default();
        };
        let shown = spawn_blocking(move || sticks.show()).await;
        // A machine that is no node yet has none.
        shown.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn take_bundle(&self, offer: String) -> Result<(), String> {
        match &self.sticks {
            Some(sticks) => sticks.take(&offer).await,
            None => Err(NO_STICKS.to_owned()),
        }
    }

    async fn write_bundle(&self, place: String, peer: String) -> Result<(), String> {
        match &self.sticks {
            Some(sticks) => sticks.write(&place, &peer).await,
            None => Err(NO_STICKS.to_owned()),
        }
    }
}
