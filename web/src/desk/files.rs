//! Attached files as a page knows them.

use cuntong_protocol::{act::Attach, id::ActId};

/// Where a file of a case is.
#[derive(Debug, Clone)]
pub struct FileRow {
    /// The act that attached it.
    pub act: ActId,
    /// Whole on this machine.
    pub here: bool,
    /// Its small picture is.
    pub small_here: bool,
    /// The highest place above that said it holds it.
    pub above: FileWhere,
    /// Nobody stands above this machine.
    pub own_level_is_top: bool,
}

/// How far up a file got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileWhere {
    Nowhere,
    Township,
    County,
}

/// A file that a person brought and that is kept until a command names it.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Names it in a form; for the same person alone.
    pub token: String,
    pub attach: Attach,
}

/// Files of this node, for /sync.
#[derive(Debug, Clone, Default)]
pub struct FilesStanding {
    /// Files here and their bytes.
    pub held: (u64, u64),
    /// Named and not here yet.
    pub wanted: (u64, u64),
    /// Here, and not known to be above; nothing where nobody is above.
    pub unsent: (u64, u64),
    /// Why they wait, in words; empty when nothing holds them up but the line.
    pub held_up: Vec<String>,
}
