//! What only tests ask of the sample desk; and a browser that talks to the router in process.

mod browser;
mod fake;

use cuntong_protocol::{
    act::{ActBody, Attach, Media},
    case::Event,
    command::Command,
    id::{ActId, BlobHash},
    refusal::Refusal,
};
use cuntong_web::desk::{Brought, FileRow, FileWhere};

pub(crate) use browser::{Browser, Page, encode};
use fake::lock;
pub(crate) use fake::{CaseKind, FakeDesk, notices::id as notice_id};

/// The act of a sample file.
const FILE_ACT: ActId = ActId([0xf1; 16]);

impl FakeDesk {
    /// With that many cases.
    pub(crate) fn many(mut self, count: usize) -> Self {
        let all = self.cases.len();
        while self.cases.len() < count {
            let next = self.cases[self.cases.len() % all].clone();
            self.cases.push(next);
        }
        self.cases.truncate(count);
        self
    }

    /// With a file attached to a case, whole on this machine.
    pub(crate) fn with_file(mut self, kind: CaseKind, name: &str, bytes: &[u8]) -> Self {
        let id = self.find(kind);
        let hash = BlobHash(*blake3::hash(bytes).as_bytes());
        let attach = Attach {
            hash,
            size: bytes.len() as u64,
            media: Media::Jpeg,
            name: name.to_owned(),
            thumbnail: None,
            material: None,
        };
        let page = self.cases.iter_mut().find(|page| page.row.id == id);
        if let Some(page) = page
            && let Some(last) = page.case.timeline.last().cloned()
        {
            page.files.push(FileRow {
                act: FILE_ACT,
                here: true,
                small_here: false,
                above: FileWhere::Nowhere,
                own_level_is_top: false,
            });
            page.case.timeline.push(Event {
                id: FILE_ACT,
                body: ActBody::Attach(attach.clone()),
                ..last
            });
        }
        let token = hash.text();
        lock(&self.files).push((Brought { token, attach }, bytes.to_vec()));
        self
    }

    /// The act of that file.
    pub(crate) fn file_act(&self) -> ActId {
        FILE_ACT
    }

    /// The next command is refused.
    pub(crate) fn refusing(self, refusal: Refusal) -> Self {
        *lock(&self.refuse) = Some(refusal);
        self
    }

    /// Whether it was asked for that.
    pub(crate) fn heard(&self, what: &str) -> bool {
        lock(&self.heard).iter().any(|h| h == what)
    }

    /// The only command so far.
    pub(crate) fn command(&self) -> Option<Command> {
        let all = lock(&self.commands);
        assert!(all.len() <= 1, "more than one command was given");
        all.first().cloned()
    }
}
