//! A desk that answers from sample data and writes down what it was asked. Behind the tests and
//! behind `cargo run -p cuntong-web --example preview`.

#[path = "case.rs"]
mod case;
#[path = "notices.rs"]
pub(crate) mod notices;
#[path = "sample.rs"]
mod sample;
#[path = "tray.rs"]
mod tray;

use std::sync::{Mutex, MutexGuard, PoisonError};

use cuntong_protocol::{
    act::{Attach, Media},
    command::{Actor, Command},
    control::Item,
    id::{BlobHash, CaseId, DocId, NodeId, PersonId, SiteId},
    refusal::Refusal,
    role::{Level, Role},
    text::Private,
    time::Millis,
};
use cuntong_web::desk::{
    Board, Brought, CaseList, CasePage, CaseQuery, CaseRow, Custody, Desk, Done, Header, NodeRow,
    NoticeRow, Pill, Redo, Resident, Site, StickDesk, Sticks, SyncPage, Today, Tone, View, Who,
};

pub(crate) use case::CaseKind;

/// 2026-11-21 16:42 in China.
pub(crate) const NOW: Millis = Millis(1_795_250_520_000);

/// A desk without a store.
pub(crate) struct FakeDesk {
    pub(crate) level: Level,
    pub(crate) node: NodeId,
    pub(crate) cases: Vec<CasePage>,
    pub(crate) items: Vec<Item>,
    pub(crate) offline: bool,
    demo: bool,
    pub(crate) heard: Mutex<Vec<String>>,
    pub(crate) commands: Mutex<Vec<Command>>,
    pub(crate) refuse: Mutex<Option<Refusal>>,
    /// Files people brought.
    pub(crate) files: Mutex<Vec<(Brought, Vec<u8>)>>,
    sessions: Mutex<Vec<([u8; 32], Who)>>,
    drafts: Mutex<Vec<(PersonId, String, String)>>,
    link: Mutex<bool>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeDesk {
    fn at(level: Level) -> Self {
        let items = sample::items();
        Self {
            cases: case::cases(&items, level),
            items,
            level,
            node: sample::NODES[match level {
                Level::Village => 0,
                Level::Township => 1,
                Level::County => 2,
            }],
            offline: level == Level::Village,
            demo: false,
            heard: Mutex::default(),
            commands: Mutex::default(),
            refuse: Mutex::default(),
            files: Mutex::default(),
            sessions: Mutex::default(),
            drafts: Mutex::default(),
            link: Mutex::new(true),
        }
    }

    /// 石桥村, cut off since yesterday.
    pub(crate) fn village() -> Self {
        Self::at(Level::Village)
    }

    /// 北乡镇, connected.
    pub(crate) fn township() -> Self {
        Self::at(Level::Township)
    }

    /// 云麓县, the hub.
    pub(crate) fn county() -> Self {
        Self::at(Level::County)
    }

    /// Inside the demo.
    pub(crate) fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// The first case of that kind.
    pub(crate) fn find(&self, kind: CaseKind) -> CaseId {
        case::id_of(kind)
    }

    /// Somebody of those roles, signed in by that token.
    pub(crate) fn signed_in(&self, token: [u8; 32], roles: &[Role]) {
        lock(&self.sessions).push((token, who(self.level, roles)));
    }

    fn site(&self) -> Site {
        sample::site(self.level)
    }

    fn say(&self, what: impl Into<String>) {
        lock(&self.heard).push(what.into());
    }

    fn rows(&self) -> Vec<CaseRow> {
        self.cases.iter().map(|case| case.row.clone()).collect()
    }
}

fn who(level: Level, roles: &[Role]) -> Who {
    Who {
        actor: Actor {
            person: PersonId([7; 8]),
            roles: roles.to_vec(),
            site: sample::site(level).id,
        },
        name: "陈桂花".to_owned(),
        login: "chen".to_owned(),
        level,
    }
}

impl Desk for FakeDesk {
    async fn header(&self) -> Header {
        let custody = if self.offline {
            Custody {
                waiting: 7,
                oldest_s: 3 * 3_600,
                county_at: Some(NOW.after(-20 * 3_600_000)),
            }
        } else {
            Custody {
                waiting: 0,
                oldest_s: 0,
                county_at: Some(NOW.after(-60_000)),
            }
        };
        Header {
            site: Some(self.site()),
            node: self.node,
            pill: if self.offline {
                Pill {
                    tone: Tone::Warn,
                    words: "离线 · 待上报 7 件 · 最早 3 小时前".to_owned(),
                }
            } else {
                Pill {
                    tone: Tone::Ok,
                    words: "县里已收 16:41".to_owned(),
                }
            },
            custody,
            clock_suspect: false,
            demo: self.demo,
        }
    }

    async fn sign_in(
        &self,
        login: String,
        password: Private,
        token: [u8; 32],
    ) -> Result<Who, Refusal> {
        match (login.as_str(), password.reveal()) {
            ("locked", _) => Err(Refusal::LockedOut(60)),
            ("chen", "right") => {
                let who = who(self.level, &[Role::Agent, Role::Publisher]);
                lock(&self.sessions).push((token, who.clone()));
                Ok(who)
            }
            (_, _) => Err(Refusal::SignIn),
        }
    }

    async fn session(&self, token: [u8; 32]) -> Option<Who> {
        lock(&self.sessions)
            .iter()
            .find(|(known, _)| *known == token)
            .map(|(_, who)| who.clone())
    }

    async fn sign_out(&self, token: [u8; 32]) {
        lock(&self.sessions).retain(|(known, _)| *known != token);
    }

    async fn today(&self, _: &Who) -> Today {
        Today {
            red: 1,
            yellow: 2,
            to_do: 6,
            to_deliver: 1,
            correcting: 1,
            conflicts: 3,
            drafts: 1,
            local_only: 4,
            rejected: u64::from(self.offline),
            received_today: 5,
            next: self
                .rows()
                .into_iter()
                .filter(|r| r.due.is_some())
                .take(6)
                .collect(),
        }
    }

    async fn items(&self, query: String) -> Vec<Item> {
        self.items
            .iter()
            .filter(|item| {
                item.name.contains(&query)
                    || item.code.contains(&query)
                    || item.keywords.iter().any(|word| word.contains(&query))
            })
            .cloned()
            .collect()
    }

    async fn item(&self, code: String, _: Option<u32>) -> Option<Item> {
        self.items.iter().find(|item| item.code == code).cloned()
    }

    async fn residents(&self, _: &Who, query: String) -> Vec<Resident> {
        sample::residents()
            .into_iter()
            .filter(|r| r.name.reveal().contains(&query) || r.id.reveal().contains(&query))
            .collect()
    }

    async fn duplicates(&self, _: &Who, item: String, id: Private) -> Vec<CaseRow> {
        self.cases
            .iter()
            .filter(|c| {
                c.row.item == item && c.row.state.open() && c.case.text("id") == id.reveal()
            })
            .map(|c| c.row.clone())
            .take(1)
            .collect()
    }

    async fn cases(&self, _: &Who, query: CaseQuery) -> CaseList {
        let rows: Vec<CaseRow> = self
            .rows()
            .into_iter()
            .filter(|row| query.state.is_none_or(|state| state == row.state))
            .filter(|row| query.text.is_empty() || row.name.reveal().contains(&query.text))
            .filter(|row| match query.view {
                View::Conflicts => row.conflict || row.needs_ruling || row.duplicate,
                View::All
                | View::Mine
                | View::Yellow
                | View::Red
                | View::Correcting
                | View::ToDeliver
                | View::LocalOnly
                | View::Drafts => true,
            })
            .collect();
        let (from, count) = (query.offset as usize, query.limit as usize);
        CaseList {
            total: rows.len() as u64,
            rows: rows.into_iter().skip(from).take(count).collect(),
        }
    }

    async fn case(&self, who: &Who, id: CaseId) -> Option<CasePage> {
        let mut page = self.cases.iter().find(|case| case.row.id == id).cloned()?;
        page.rejections = tray::rows(&who.actor);
        page.rejections.retain(|row| row.case == Some(id));
        Some(page)
    }

    async fn perform(&self, _: &Who, command: Command) -> Result<Done, Refusal> {
        if let Some(refusal) = lock(&self.refuse).take() {
            return Err(refusal);
        }
        lock(&self.commands).push(command);
        Ok(Done {
            case: Some(case::id_of(CaseKind::Received)),
            notice: Some(notices::id(1)),
            number: None,
            acts: Vec::new(),
        })
    }

    async fn bring_file(&self, _: &Who, name: String, bytes: Vec<u8>) -> Result<Brought, Refusal> {
        if let Some(refusal) = lock(&self.refuse).take() {
            return Err(refusal);
        }
        let media = Media::of_bytes(&bytes).ok_or(Refusal::WrongMedia)?;
        let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
        let attach = Attach {
            hash,
            size: bytes.len() as u64,
            media,
            name: cuntong_protocol::blob::file_name(&name, media.ending()),
            thumbnail: None,
            material: None,
        };
        let token = hash.text();
        let brought = Brought { token, attach };
        lock(&self.files).push((brought.clone(), bytes));
        Ok(brought)
    }

    async fn brought(&self, _: &Who, token: String) -> Option<Brought> {
        let files = lock(&self.files);
        let found = files.iter().find(|(brought, _)| brought.token == token);
        found.map(|(brought, _)| brought.clone())
    }

    async fn file(&self, hash: BlobHash) -> Option<Vec<u8>> {
        let files = lock(&self.files);
        let found = files
            .iter()
            .find(|(brought, _)| brought.attach.hash == hash);
        found.map(|(_, bytes)| bytes.clone())
    }

    async fn draft(&self, who: &Who, form: String) -> Option<String> {
        lock(&self.drafts)
            .iter()
            .find(|(person, name, _)| *person == who.actor.person && *name == form)
            .map(|(_, _, text)| text.clone())
    }

    async fn save_draft(
        &self,
        who: &Who,
        form: String,
        fields: Option<String>,
    ) -> Result<(), Refusal> {
        let mut drafts = lock(&self.drafts);
        drafts.retain(|(person, name, _)| *person != who.actor.person || *name != form);
        if let Some(text) = fields {
            drafts.push((who.actor.person, form, text));
        }
        Ok(())
    }

    async fn notices(&self, _: &Who) -> Vec<NoticeRow> {
        notices::all()
    }

    async fn notice(&self, id: DocId) -> Option<NoticeRow> {
        notices::all().into_iter().find(|notice| notice.id == id)
    }

    async fn board(&self) -> Board {
        Board {
            site_name: self.site().name,
            notices: notices::all(),
            as_of: Some(NOW.after(-25 * 3_600_000)),
        }
    }

    async fn places(&self) -> Vec<Site> {
        vec![
            sample::site(Level::Village),
            sample::village(3, "青溪村"),
            sample::village(4, "大坪村"),
        ]
    }

    async fn sync(&self, who: &Who) -> SyncPage {
        let custody = self.header().await.custody;
        sample::sync(custody, self.rows(), tray::rows(&who.actor))
    }

    async fn sync_now(&self) {
        self.say("sync_now");
    }

    async fn rejection_seen(&self, id: i64) {
        self.say(format!("seen {id}"));
    }

    async fn redo(&self, who: &Who, id: i64) -> Result<Redo, Refusal> {
        tray::redo(&who.actor, id)
    }

    async fn perform_again(&self, who: &Who, id: i64, command: Command) -> Result<Done, Refusal> {
        let done = self.perform(who, command).await?;
        self.say(format!("again {id}"));
        Ok(done)
    }

    async fn drop_rejection(&self, who: &Who, id: i64, reason: String) -> Result<(), Refusal> {
        if reason.is_empty() {
            return Err(Refusal::ReasonMissing("作罢的理由"));
        }
        tray::redo(&who.actor, id)?;
        self.say(format!("dropped {id}"));
        Ok(())
    }

    async fn nodes(&self) -> Vec<NodeRow> {
        sample::nodes()
    }

    async fn demo_link(&self) -> Option<bool> {
        self.demo.then(|| *lock(&self.link))
    }

    async fn set_demo_link(&self, up: bool) {
        *lock(&self.link) = up;
    }

    fn now(&self) -> Millis {
        NOW
    }
}

impl StickDesk for FakeDesk {
    async fn sticks(&self) -> Sticks {
        let busy = lock(&self.heard)
            .iter()
            .any(|word| word.starts_with("write"));
        sample::sticks(busy)
    }

    async fn take_bundle(&self, offer: String) -> Result<(), String> {
        if offer == "gone" {
            return Err("这份数据包已经不在了：U 盘可能已拔下".to_owned());
        }
        self.say(format!("take {offer}"));
        Ok(())
    }

    async fn write_bundle(&self, place: String, peer: String) -> Result<(), String> {
        self.say(format!("write {place} {peer}"));
        Ok(())
    }
}

/// The id of a site of the sample county.
fn site_id(number: u32) -> SiteId {
    SiteId(number)
}
