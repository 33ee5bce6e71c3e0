//! All that a person can ask for. Web form, command line, watched folder and simulator build
//! the same value; [`crate::policy`] judges it.

use std::collections::BTreeMap;

use crate::{
    act::{ActBody, Attach, Mandate, Publish, TakenEarlier},
    id::{CaseId, DocId, PersonId, SiteId},
    role::Role,
    text::{Private, shows},
};

/// Who asks, at which desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub person: PersonId,
    /// Every role the person holds at this site.
    pub roles: Vec<Role>,
    pub site: SiteId,
}

/// One intent.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Log a case (登记、收件).
    Log(LogCase),
    /// One act on a case that exists.
    Act { case: CaseId, body: ActBody },
    /// Change one field of the application (更正).
    Amend {
        case: CaseId,
        field: String,
        value: Private,
        reason: String,
    },
    /// Choose between two values of one field (冲突选定).
    Resolve {
        case: CaseId,
        field: String,
        value: Private,
        reason: String,
    },
    /// A new notice.
    PublishNotice(Publish),
    /// A new version of a notice (更正).
    ReviseNotice { notice: DocId, version: Publish },
    /// Take a notice down everywhere (撤回).
    RetractNotice { notice: DocId, reason: String },
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Act { case, body } => write!(f, "Act({case}, {:?})", body.kind()),
            Self::Amend { case, field, .. } => write!(f, "Amend({case}, {field})"),
            Self::Resolve { case, field, .. } => write!(f, "Resolve({case}, {field})"),
            Self::PublishNotice(publish) => write!(f, "PublishNotice({publish:?})"),
            Self::ReviseNotice { notice, .. } => write!(f, "ReviseNotice({notice})"),
            Self::RetractNotice { notice, .. } => write!(f, "RetractNotice({notice})"),
        }
    }
}

shows! { LogCase { item, materials, mandate, taken, receive } }

/// What intake collects on its one screen.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LogCase {
    /// Item code of the catalogue.
    pub item: String,
    /// Field name → value; the names are [`crate::fields`].
    pub fields: BTreeMap<String, Private>,
    /// Material index → state word of [`crate::fields::MaterialState`].
    pub materials: BTreeMap<u32, String>,
    pub mandate: Option<Mandate>,
    pub taken: Option<TakenEarlier>,
    pub duplicate_reason: Option<String>,
    /// False: keep as a draft, print nothing.
    pub receive: bool,
    /// 即办: finish in the same visit, with this result.
    pub complete: Option<String>,
    /// Files that were taken in with the form.
    pub attachments: Vec<Attach>,
    /// Given by the form so that a double click, a back button or a retry logs one case.
    pub once: Option<[u8; 16]>,
}
