//! U 盘: the sticks that are plugged in, what lies on them, and what is being done with one.

use std::future::Future;

use cuntong_protocol::time::Millis;
use serde::Serialize;

/// What pages ask of a node about sticks. Ids are what [`Sticks`] named: nobody types a path.
pub trait StickDesk {
    /// What is known of sticks at this moment.
    fn sticks(&self) -> impl Future<Output = Sticks> + Send;
    /// Begins to take in a bundle; what becomes of it is told by [`Sticks::job`].
    ///
    /// # Errors
    /// In words: it is gone, or something else is under way.
    fn take_bundle(&self, offer: String) -> impl Future<Output = Result<(), String>> + Send;
    /// Begins to write a bundle for a node to a stick.
    ///
    /// # Errors
    /// In words: the stick is gone, or something else is under way.
    fn write_bundle(
        &self,
        place: String,
        peer: String,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Sticks, as far as they were seen.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sticks {
    pub places: Vec<StickPlace>,
    pub offers: Vec<BundleOffer>,
    /// Whom a bundle can be written for, the nearest above first.
    pub peers: Vec<StickPeer>,
    pub job: Option<StickJob>,
    /// Bundles of others that wait here for a stick that goes their way.
    pub carried: u64,
}

/// A stick that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StickPlace {
    pub id: String,
    pub name: String,
}

/// A node a bundle can be for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StickPeer {
    pub id: String,
    pub name: String,
}

/// A bundle that lies on a stick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleOffer {
    pub id: String,
    /// Name of the stick.
    pub place: String,
    /// The file's name, without what could pretend to be something else.
    pub file: String,
    pub from: String,
    pub to: String,
    /// By its sender's clock.
    pub at: Option<Millis>,
    pub entries: u64,
    pub bytes: u64,
    pub state: OfferState,
}

/// What may be done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It is for this node.
    Take,
    /// It is for a node further on, and this one may carry it there.
    Carry,
    /// It was taken, with what result.
    Taken(String),
    /// Nothing, and why.
    Nothing(String),
}

/// What is being done, or was done last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StickJob {
    pub what: String,
    pub state: JobState,
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    Done,
    /// Not as it should be: the words say why, and what to do.
    Failed,
}
