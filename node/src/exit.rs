//! How a command ends: exit codes that scripts depend on, and failures in words.

use std::fmt;

use cuntong_protocol::refusal::Refusal;

use crate::store::StoreError;

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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
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

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        use StoreError::{
            Closed, Compared, Corrupt, Crashed, Damaged, DiskFull, Document, File, Foreign, Locked,
            Lost, Newer, NotEnrolled, Panicked, Refused, Sql, Trust,
        };
        match error {
            DiskFull => Refusal::DiskFull.into(),
            NotEnrolled => Refusal::NotEnrolled.into(),
            Locked(dir) => Self::new(
                Exit::TryLater,
                format!("另一个进程正在使用 {}", dir.display()),
            ),
            Newer { found, known } => Self::configuration(format!(
                "数据库来自更新的版本(第 {found} 版,本程序只认到第 {known} 版):\
                 请换用新版程序;数据没有改动"
            )),
            Foreign(file) => Self::configuration(format!("{file} 不是村通节点的数据库")),
            Corrupt { file, what } => Self::fault(format!(
                "数据库 {file} 已损坏({what}):文件没有改动;请把备份恢复到新目录"
            )),
            File { path, source } => source.at(&path),
            Damaged(_) | Document(_) | Trust(_) | Refused(_) | Panicked | Lost(_) | Closed
            | Crashed | Compared(_) | Sql(_) => Self::fault(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Refusal::DiskFull.into();
        }
        Self::fault(error)
    }
}

/// A failure of the file system that says where.
pub trait At {
    /// As the failure of what was wanted of that path.
    fn at(self, path: &std::path::Path) -> Failure;
}

impl At for std::io::Error {
    fn at(self, path: &std::path::Path) -> Failure {
        let mut failure = Failure::from(self);
        failure.message = format!("{}: {}", path.display(), failure.message);
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(error: StoreError) -> (u8, String) {
        let failure = Failure::from(error);
        (failure.exit.code(), failure.to_string())
    }

    #[test]
    fn a_script_can_tell_what_a_failing_store_asks_of_it() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let path = std::path::PathBuf::from("数据/备份");
        assert_eq!(ended(StoreError::DiskFull).0, 75);
        assert_eq!(ended(StoreError::Locked(path.clone())).0, 75);
        assert_eq!(ended(StoreError::File { path, source: full }).0, 75);
        assert_eq!(ended(StoreError::NotEnrolled).0, 78);
        assert_eq!(ended(StoreError::Foreign("a".into())).0, 78);
        let (code, words) = ended(StoreError::Newer { found: 9, known: 1 });
        assert_eq!(code, 78);
        assert!(words.contains("来自更新的版本"), "{words}");
    }
}
