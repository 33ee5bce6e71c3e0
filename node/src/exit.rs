//! How a command ends: exit codes that scripts depend on, and failures in words.

use std::fmt;

/// Exit codes of `cuntong`. Stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// 0
    Done,
    /// 1: it did not work.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: done, but some records were refused.
    Partly,
    /// 69: no upstream node could be reached.
    NoUpstream,
    /// 75: not now; try later.
    TryLater,
    /// 77: the rules do not allow it.
    NotPermitted,
    /// 78: a setting or the state directory is wrong.
    Configuration,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::NoUpstream => 69,
            Self::TryLater => 75,
            Self::NotPermitted => 77,
            Self::Configuration => 78,
        }
    }
}

/// Why a command did not end well: for the person, for scripts (`code`), and the exit code.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    pub exit: Exit,
    /// Stable code of a refusal (`R…`), when it is one.
    pub code: Option<String>,
    pub message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            code: None,
            message: message.to_string(),
        }
    }

    /// Something of ours did not work.
    pub fn fault(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line asks for something that makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A setting or the state directory is wrong.
    pub fn configuration(message: impl fmt::Display) -> Self {
        Self::new(Exit::Configuration, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} [{code}]", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<cuntong_protocol::refusal::Refusal> for Failure {
    fn from(refusal: cuntong_protocol::refusal::Refusal) -> Self {
        use cuntong_protocol::refusal::Refusal;
        // Every other reason, and those still to come, is a rule that says no.
        let exit = if matches!(refusal, Refusal::DiskFull | Refusal::LockedOut(_)) {
            Exit::TryLater
        } else if matches!(refusal, Refusal::Fault(_)) {
            Exit::Failed
        } else if matches!(refusal, Refusal::NotEnrolled) {
            Exit::Configuration
        } else {
            Exit::NotPermitted
        };
        Self {
            exit,
            code: Some(refusal.code().to_owned()),
            message: refusal.to_string(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::new(Exit::TryLater, "磁盘已满");
        }
        Self::fault(error)
    }
}
