//! Notices (公示、公开) as a person sees them: versions, status on a day, the tombstone.

use jiff::civil::Date;

use crate::{
    act::{ActBody, Publish},
    document::Reading,
    fold::order::Line,
    id::{ActId, ChangeHash, DocId, PersonId, SiteId},
    time::Millis,
};

/// 事务类别 on the form, in its order; the last is the usual one.
pub const CATEGORIES: [&str; 8] = [
    "社会救助",
    "补贴发放",
    "村务财务",
    "土地与宅基地",
    "项目与招标",
    "评优与推荐",
    "办事结果",
    "通知公告",
];

/// A notice as of the acts known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeState {
    pub id: DocId,
    /// The publishing site.
    pub publisher: SiteId,
    /// Oldest first. Once withdrawn, only titles and dates remain.
    pub versions: Vec<Version>,
    pub withdrawn: Option<Withdrawn>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub act: ActId,
    pub person: PersonId,
    pub at: Millis,
    pub change: ChangeHash,
    pub publish: Publish,
}

/// What is left of a withdrawn notice: when, by whom, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    pub act: ActId,
    pub person: PersonId,
    pub at: Millis,
    pub reason: String,
}

/// Where a notice stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 待公示
    Scheduled,
    /// 公示中
    Running,
    /// 已期满
    Ended,
    /// 已撤回
    Withdrawn,
}

impl NoticeState {
    /// The version that counts; none while nothing was published.
    pub fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Its status on a day.
    pub fn status(&self, today: Date) -> Status {
        if self.withdrawn.is_some() {
            return Status::Withdrawn;
        }
        let Some(current) = self.current() else {
            return Status::Scheduled;
        };
        let day = |text: &str| text.parse::<Date>().ok();
        let publish = &current.publish;
        let until = publish.until.as_deref().and_then(day);
        match day(&publish.from) {
            None => Status::Scheduled,
            Some(from) if today < from => Status::Scheduled,
            Some(_) if until.is_some_and(|until| today > until) => Status::Ended,
            Some(_) => Status::Running,
        }
    }

    /// Whether it hangs on that site's board on that day.
    pub fn hangs_at(&self, site: SiteId, today: Date) -> bool {
        let chosen = |version: &Version| version.publish.places.contains(&site);
        self.status(today) == Status::Running && self.current().is_some_and(chosen)
    }
}

/// The notice of a document. A withdrawal is final, whatever was published without knowing of it:
/// what must come down stays down, and what is to hang again is a new notice.
pub fn notice(reading: &Reading) -> NoticeState {
    let mut state = NoticeState {
        id: reading.doc,
        publisher: reading.doc.scope().map_or(SiteId(0), |s| s.site),
        versions: Vec::new(),
        withdrawn: None,
    };
    for placed in Line::new(reading, None).acts {
        let read = placed.read;
        let (act, person, at) = (read.id, read.act.person, read.act.at);
        if let ActBody::Publish(publish) = &read.act.body {
            state.versions.push(Version {
                act,
                person,
                at,
                change: read.change,
                publish: publish.clone(),
            });
        }
        if let ActBody::Retract(reason) = &read.act.body {
            state.withdrawn.get_or_insert_with(|| Withdrawn {
                act,
                person,
                at,
                reason: reason.text.clone(),
            });
        }
    }
    if state.withdrawn.is_some() {
        for version in &mut state.versions {
            version.publish.body.clear();
            version.publish.correction.clear();
        }
    }
    state
}
