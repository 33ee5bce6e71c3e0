//! What the command line asks of a node: the same value whether a running node answers it over
//! its control socket or the command opens the store itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// One question or order.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    Status,
    /// One whole session with the first reachable upstream.
    SyncNow,
    /// The demo's switch: plug (`true`) or unplug this node's links.
    Link {
        up: bool,
    },
    Verify,
    /// A session with the first reachable upstream in which every shared scope is proved afresh.
    VerifyAgainst,
    Backup {
        file: String,
    },
    /// Write a bundle for `peer` to a folder or a new file.
    BundleExport {
        to: String,
        peer: Option<String>,
    },
    /// Take in a bundle.
    BundleImport {
        file: String,
    },
    /// A ticket's text, or the content of a file, as lower-case hexadecimal.
    Enrol {
        content: String,
    },
    CaseLog(CaseLog),
    CaseList {
        state: Option<String>,
        query: Option<String>,
        limit: u64,
    },
    CaseShow {
        case: String,
    },
    CaseAct {
        case: String,
        login: String,
        act: ActArgs,
    },
    /// A file of this machine becomes an attachment.
    CaseAttach {
        case: String,
        login: String,
        file: String,
        material: Option<u32>,
    },
    NoticePublish(NoticePublish),
    NoticeList,
    NoticeWithdraw {
        notice: String,
        login: Option<String>,
        reason: String,
    },
    RejectedList,
    RejectedRedo {
        id: i64,
        login: String,
    },
    RejectedDrop {
        id: i64,
        login: String,
        reason: String,
    },
}

/// `case log`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct CaseLog {
    pub login: String,
    pub item: String,
    pub name: String,
    pub id: String,
    pub phone: Option<String>,
    pub fields: BTreeMap<String, String>,
    pub mandate: bool,
    pub draft: bool,
    pub duplicate_reason: Option<String>,
}

/// What `case accept` and its like say.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ActArgs {
    Accept {
        note: String,
        gaps: Vec<u32>,
        gap_days: u16,
    },
    /// `(material index, how to mend it)`
    Correct {
        missing: Vec<(Option<u32>, String)>,
        days: u16,
    },
    Supplement {
        materials: Vec<u32>,
        note: String,
    },
    Refuse {
        reason: String,
        basis: String,
        competent: String,
    },
    Review {
        note: String,
    },
    Decide {
        granted: bool,
        reason: String,
        remedies: String,
    },
    Close {
        result: String,
        result_number: String,
    },
    Deliver {
        way: String,
        receiver: Option<String>,
        note: String,
    },
    Withdraw {
        reason: String,
    },
    Terminate {
        reason: String,
    },
    Receive,
}

/// `notice publish`.
#[derive(Clone, Serialize, Deserialize)]
pub struct NoticePublish {
    pub login: String,
    pub title: String,
    pub body: String,
    /// Site ids (`s3`), division codes or names.
    pub to: Vec<String>,
    pub category: Option<String>,
    pub until: Option<String>,
}

/// The answer: a JSON document, or why not.
pub type Reply = Result<serde_json::Value, Failure>;

/// A word for logs: requests carry personal data and are never printed whole.
impl Request {
    /// What is asked, without its content.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::SyncNow => "sync_now",
            Self::Link { .. } => "link",
            Self::Verify => "verify",
            Self::VerifyAgainst => "verify_against",
            Self::Backup { .. } => "backup",
            Self::BundleExport { .. } => "bundle_export",
            Self::BundleImport { .. } => "bundle_import",
            Self::Enrol { .. } => "enrol",
            Self::CaseLog(_) => "case_log",
            Self::CaseList { .. } => "case_list",
            Self::CaseShow { .. } => "case_show",
            Self::CaseAct { .. } => "case_act",
            Self::CaseAttach { .. } => "case_attach",
            Self::NoticePublish(_) => "notice_publish",
            Self::NoticeList => "notice_list",
            Self::NoticeWithdraw { .. } => "notice_withdraw",
            Self::RejectedList => "rejected_list",
            Self::RejectedRedo { .. } => "rejected_redo",
            Self::RejectedDrop { .. } => "rejected_drop",
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
