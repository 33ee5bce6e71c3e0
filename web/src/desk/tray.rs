//! 退回箱: what came back, and what became of it.

use cuntong_protocol::{
    command::Command,
    id::{CaseId, DocId},
    time::Millis,
};
use serde::Serialize;

/// A refused entry in the tray (退回箱).
#[derive(Debug, Clone, Serialize)]
pub struct RejectionRow {
    pub id: i64,
    pub at: Millis,
    pub case: Option<CaseId>,
    pub what: String,
    pub rule: String,
    pub reason: String,
    pub by: String,
    pub seen: bool,
    /// Work of this very node that left its document: open until it is settled.
    pub own: bool,
    /// This person may do it again or drop it.
    #[serde(skip)]
    pub may: bool,
    pub settled: Option<Settled>,
}

impl RejectionRow {
    /// Whether somebody still has to do something about it.
    pub const fn open(&self) -> bool {
        if self.own {
            self.settled.is_none()
        } else {
            !self.seen
        }
    }
}

/// How own work that came back was settled (了结).
#[derive(Debug, Clone, Serialize)]
pub struct Settled {
    pub at: Millis,
    /// Name of the person.
    pub person: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// 重做: as this case or notice.
    Redone {
        case: Option<CaseId>,
        notice: Option<DocId>,
    },
    /// 作罢
    Dropped { reason: String },
}

/// Own work that came back, ready to be done again.
#[derive(Debug, Clone)]
pub struct Redo {
    pub row: RejectionRow,
    /// The intent, about the record it would go into today.
    pub command: Command,
}
