//! What pages ask of a node. The node implements [`Desk`]; pages cannot reach SQL or QUIC.

use std::future::Future;

use cuntong_protocol::{
    case::{Case, Due, Light},
    command::{Actor, Command},
    control::{Item, NodeStatus},
    id::{ActId, BlobHash, CaseId, ChangeHash, DocId, NodeId, PersonId, SiteId},
    refusal::Refusal,
    role::Level,
    state::State,
    text::Private,
    time::Millis,
};
use serde::Serialize;

mod calls;
mod files;
mod sticks;
mod tray;

pub use calls::{Beginning, Habits, next_call};
pub use files::{Brought, FileRow, FileWhere, FilesStanding};
pub use sticks::{
    BundleOffer, JobState, OfferState, StickDesk, StickJob, StickPeer, StickPlace, Sticks,
};
pub use tray::{Outcome, Redo, RejectionRow, Settled};

/// Everything a page may ask. Reads answer from local rows; nothing waits for a network.
pub trait Desk: StickDesk + Send + Sync + 'static {
    /// This site, this node, and what the header says about custody.
    fn header(&self) -> impl Future<Output = Header> + Send;

    /// Checks a login and password (argon2id, lock-out), and opens a session. `token` is the
    /// hash of the cookie's value; the value itself is never stored.
    fn sign_in(
        &self,
        login: String,
        password: Private,
        token: [u8; 32],
    ) -> impl Future<Output = Result<Who, Refusal>> + Send;
    /// The person of a session that is neither idle too long (10 min) nor too old (12 h).
    fn session(&self, token: [u8; 32]) -> impl Future<Output = Option<Who>> + Send;
    fn sign_out(&self, token: [u8; 32]) -> impl Future<Output = ()> + Send;

    fn today(&self, who: &Who) -> impl Future<Output = Today> + Send;
    /// Items by code, name, keyword or pinyin initials; all of them for an empty query.
    fn items(&self, query: String) -> impl Future<Output = Vec<Item>> + Send;
    fn item(&self, code: String, version: Option<u32>)
    -> impl Future<Output = Option<Item>> + Send;
    /// Residents this site has served, for autofill: by name, initials, ID tail or phone.
    fn residents(&self, who: &Who, query: String) -> impl Future<Output = Vec<Resident>> + Send;
    /// Open cases of the same person and item: what the duplicate warning shows.
    fn duplicates(
        &self,
        who: &Who,
        item: String,
        id: Private,
    ) -> impl Future<Output = Vec<CaseRow>> + Send;
    /// Cases of the person's area; newest first, or by deadline for queues.
    fn cases(&self, who: &Who, query: CaseQuery) -> impl Future<Output = CaseList> + Send;
    fn case(&self, who: &Who, id: CaseId) -> impl Future<Output = Option<CasePage>> + Send;

    /// The one way anything changes: judged by `policy::decide`, committed durably, or refused.
    fn perform(
        &self,
        who: &Who,
        command: Command,
    ) -> impl Future<Output = Result<Done, Refusal>> + Send;

    /// Keeps a file a person brought, until a command names it.
    fn bring_file(
        &self,
        who: &Who,
        name: String,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Brought, Refusal>> + Send;
    /// What the same person brought under a token.
    fn brought(&self, who: &Who, token: String) -> impl Future<Output = Option<Brought>> + Send;
    /// The bytes of a file that is here.
    fn file(&self, hash: BlobHash) -> impl Future<Output = Option<Vec<u8>>> + Send;

    /// What a person typed and has not sent, kept per form so that nothing typed is lost.
    fn draft(&self, who: &Who, form: String) -> impl Future<Output = Option<String>> + Send;
    fn save_draft(
        &self,
        who: &Who,
        form: String,
        fields: Option<String>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Notices of the area, for staff: running, ended and withdrawn.
    fn notices(&self, who: &Who) -> impl Future<Output = Vec<NoticeRow>> + Send;
    fn notice(&self, id: DocId) -> impl Future<Output = Option<NoticeRow>> + Send;
    /// What hangs on this site's board today; public.
    fn board(&self) -> impl Future<Output = Board> + Send;
    /// Sites a notice of this site may be published to.
    fn places(&self) -> impl Future<Output = Vec<Site>> + Send;

    fn sync(&self, who: &Who) -> impl Future<Output = SyncPage> + Send;
    /// Wakes every link now; answers at once.
    fn sync_now(&self) -> impl Future<Output = ()> + Send;
    /// 退回箱: the person says that a rejection of other nodes' work has been seen.
    fn rejection_seen(&self, id: i64) -> impl Future<Output = ()> + Send;
    /// What own work that came back would have done, for the form to do it again.
    fn redo(&self, who: &Who, id: i64) -> impl Future<Output = Result<Redo, Refusal>> + Send;
    /// 重做: as [`Desk::perform`], and what came back is settled by it.
    fn perform_again(
        &self,
        who: &Who,
        id: i64,
        command: Command,
    ) -> impl Future<Output = Result<Done, Refusal>> + Send;
    /// 作罢: what came back is not to be written; settled with this reason.
    fn drop_rejection(
        &self,
        who: &Who,
        id: i64,
        reason: String,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// The hub's list of nodes.
    fn nodes(&self) -> impl Future<Output = Vec<NodeRow>> + Send;

    /// The demo's switch: unplug or plug this node's links. `None` outside the demo.
    fn demo_link(&self) -> impl Future<Output = Option<bool>> + Send;
    fn set_demo_link(&self, up: bool) -> impl Future<Output = ()> + Send;

    /// The clock; pages never read it themselves.
    fn now(&self) -> Millis;
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Who {
    pub actor: Actor,
    pub name: String,
    pub login: String,
    pub level: Level,
}

/// A place, for lists.
#[derive(Debug, Clone, Serialize)]
pub struct Site {
    pub id: SiteId,
    pub name: String,
    pub level: Level,
    pub code: String,
}

/// What every page shows at its top.
#[derive(Debug, Clone)]
pub struct Header {
    pub site: Option<Site>,
    pub node: NodeId,
    pub custody: Custody,
    /// In words, the worst of link, backlog age and errors.
    pub pill: Pill,
    /// The clock is behind what is known to be past, or far from upstream's.
    pub clock_suspect: bool,
    pub demo: bool,
}

/// A coloured statement; the words carry the meaning.
#[derive(Debug, Clone, Serialize)]
pub struct Pill {
    pub tone: Tone,
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Ok,
    Info,
    Warn,
    Bad,
}

impl Tone {
    /// Class suffix: `chip-ok` …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// How far this node's own entries got.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Custody {
    /// Own entries that no receipt of the county covers.
    pub waiting: u64,
    /// Age of the oldest of them, seconds.
    pub oldest_s: u64,
    /// Time of the newest county receipt.
    pub county_at: Option<Millis>,
}

/// How far one case's entries got (存证状态), worst of its own entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "at", rename_all = "snake_case")]
pub enum CaseCustody {
    /// 本机已存
    Local,
    /// 上报中
    Sending,
    /// 乡镇已收
    Township(Millis),
    /// 县里已收
    County(Millis),
    /// 退回
    Rejected,
}

/// The day at a glance.
#[derive(Debug, Clone, Default)]
pub struct Today {
    pub red: u64,
    pub yellow: u64,
    pub to_do: u64,
    pub to_deliver: u64,
    pub correcting: u64,
    pub conflicts: u64,
    pub drafts: u64,
    pub local_only: u64,
    pub rejected: u64,
    pub received_today: u64,
    pub next: Vec<CaseRow>,
}

/// A resident, as the newest of the person's cases tells.
#[derive(Debug, Clone)]
pub struct Resident {
    pub name: Private,
    pub id: Private,
    pub phone: Private,
    pub address: Private,
    pub group: Private,
    /// "上次 2026-03 办过 医保参保"
    pub last: String,
}

/// Work queues (`/queue?view=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    All,
    /// 待我办
    Mine,
    /// 临期
    Yellow,
    /// 超期
    Red,
    /// 待补正
    Correcting,
    /// 待送达
    ToDeliver,
    /// 待确认: conflicts, doubtful order, duplicates
    Conflicts,
    /// 仅存本机
    LocalOnly,
    /// 草稿
    Drafts,
}

#[derive(Clone, Default)]
pub struct CaseQuery {
    pub view: View,
    pub state: Option<State>,
    /// Name (one character is enough), pinyin initials, ID tail, case number, phone.
    pub text: String,
    pub offset: u64,
    /// At most 200.
    pub limit: u64,
}

impl std::fmt::Debug for CaseQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is searched for is a name or the end of an ID number.
        write!(
            f,
            "CaseQuery({:?}, {:?}, {} bytes)",
            self.view,
            self.state,
            self.text.len()
        )
    }
}

#[derive(Debug, Clone, Default)]
pub struct CaseList {
    pub rows: Vec<CaseRow>,
    pub total: u64,
}

/// A case in a list.
#[derive(Debug, Clone)]
pub struct CaseRow {
    pub id: CaseId,
    pub number: Option<String>,
    pub name: Private,
    /// `340***********1234`
    pub id_masked: String,
    pub item: String,
    pub item_name: String,
    pub site: SiteId,
    pub site_name: String,
    pub state: State,
    pub light: Option<Light>,
    /// The next legal deadline.
    pub due: Option<Due>,
    /// 承诺、受理、补正 …
    pub due_kind: &'static str,
    pub received_at: Option<Millis>,
    pub custody: CaseCustody,
    pub conflict: bool,
    pub needs_ruling: bool,
    pub duplicate: bool,
    pub parallel: bool,
}

/// One case, whole.
#[derive(Debug, Clone)]
pub struct CasePage {
    pub row: CaseRow,
    pub case: Case,
    pub item: Item,
    /// When each change arrived at this node, and which node wrote it.
    pub arrivals: Vec<Arrival>,
    /// Names of people by id, for the timeline.
    pub people: Vec<(PersonId, String)>,
    /// What this person may do now, in the order of the page's buttons.
    pub offers: Vec<cuntong_protocol::act::ActKind>,
    /// Cases that look like the same paper typed twice.
    pub twins: Vec<CaseRow>,
    /// Receipts that cover this case's entries, newest per level.
    pub receipts: Vec<ReceiptRow>,
    /// Entries of this case that were not admitted.
    pub rejections: Vec<RejectionRow>,
    /// Where its files are.
    pub files: Vec<FileRow>,
}

#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub change: ChangeHash,
    pub at: Millis,
    pub node: NodeId,
    pub site: SiteId,
    /// Written by this very node.
    pub own: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct ReceiptRow {
    pub holder: NodeId,
    pub level: Level,
    pub site_name: String,
    pub at: Millis,
    /// First bytes of the signature, to compare by eye.
    pub signature: String,
}

/// What a command brought about.
#[derive(Debug, Clone, Default)]
pub struct Done {
    pub case: Option<CaseId>,
    pub notice: Option<DocId>,
    pub number: Option<String>,
    /// The acts written.
    pub acts: Vec<ActId>,
}

/// A notice, newest version.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeRow {
    pub id: DocId,
    pub title: String,
    /// Empty when withdrawn: a tombstone keeps no content.
    pub body: String,
    pub category: String,
    pub publisher: SiteId,
    pub publisher_name: String,
    pub places: Vec<Site>,
    pub from: String,
    pub until: Option<String>,
    pub published_at: Millis,
    pub version: u32,
    pub correction: String,
    pub status: NoticeStatus,
    /// When and why it was withdrawn.
    pub withdrawn: Option<(Millis, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeStatus {
    Scheduled,
    Running,
    Ended,
    Withdrawn,
}

#[derive(Debug, Clone)]
pub struct Board {
    pub site_name: String,
    pub notices: Vec<NoticeRow>,
    /// The newest thing known from upstream.
    pub as_of: Option<Millis>,
}

/// `/sync`.
#[derive(Debug, Clone)]
pub struct SyncPage {
    pub custody: Custody,
    pub epoch: u32,
    pub peers: Vec<PeerRow>,
    pub habits: Habits,
    /// Own cases not yet covered by a county receipt, oldest first; at most 100.
    pub waiting: Vec<CaseRow>,
    pub rejections: Vec<RejectionRow>,
    pub quarantine: u64,
    pub documents: u64,
    pub entries: u64,
    /// Newest first: what the sessions did.
    pub history: Vec<SessionRow>,
    pub files: FilesStanding,
}

/// A link to another node.
#[derive(Debug, Clone, Serialize)]
pub struct PeerRow {
    pub name: String,
    pub level: Level,
    pub upstream: bool,
    /// connected, connecting, waiting, off
    pub state: String,
    /// Classified reason of the last failure: no_route, hub_down, clock, disk_full, version,
    /// certificate, rejected, clone, busy; and its words.
    pub reason: Option<(String, String)>,
    pub next_try_s: Option<u64>,
    /// Why it is then: retry, busy, window, turn (a metered line's round) or gather (the same,
    /// after something was saved).
    pub why: String,
    pub custody_at: Option<Millis>,
    pub last_session_at: Option<Millis>,
    /// What carries a live session: quic, or tcp where UDP is blocked.
    pub carrier: Option<String>,
    /// A first meeting under way.
    pub beginning: Option<Beginning>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SessionRow {
    pub at: Millis,
    pub peer: String,
    pub sent: u64,
    pub received: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub repaired: u64,
    pub result: String,
}

/// `/nodes` at the hub.
#[derive(Debug, Clone, Serialize)]
pub struct NodeRow {
    pub node: NodeId,
    pub site: SiteId,
    pub site_name: String,
    pub level: Level,
    pub status: NodeStatus,
    pub connected: bool,
    pub last_seen: Option<Millis>,
    /// The node between that saw it and said so.
    pub via: Option<String>,
    /// When its newest entry held here came.
    pub custody_at: Option<Millis>,
    /// Entries it said it had written and that are not here.
    pub backlog: u64,
    pub backlog_oldest_s: u64,
    /// Its clock minus that of who saw it, seconds.
    pub clock_offset_s: Option<i64>,
    /// Of the program it runs; `None` until it was seen.
    pub version: Option<String>,
    pub epoch: Option<u32>,
}
