//! What pages and the command line ask of this node, answered from the store.
//!
//! Read in this order: [`ground`] (what every reading stands on, and the area rule), [`list`],
//! [`custody`], [`page`], [`perform`] (the one way anything changes), [`tray`] and [`redo`]
//! (what came back), [`sign_in`]. Every method
//! of the trait runs on a blocking thread; the same work is there as plain functions for the
//! control socket (`*_blocking`).

mod custody;
mod files;
mod ground;
mod items;
pub mod json;
pub mod links;
mod list;
mod notices;
mod number;
mod page;
pub(crate) mod perform;
mod redo;
mod sign_in;
mod sticks;
mod sync;
#[cfg(test)]
mod tests;
mod tray;

use std::{sync::Arc, time::Instant};

use cuntong_protocol::{
    command::{Actor, Command},
    control::Item,
    id::{BlobHash, CaseId, DocId},
    refusal::Refusal,
    text::Private,
    time::{ClockState, Millis},
};
use cuntong_web::desk::{
    Board, Brought, CaseList, CasePage, CaseQuery, CaseRow, Desk, Done, Header, NodeRow, NoticeRow,
    Redo, Resident, Site, SyncPage, Today, Who,
};
use tokio::{sync::Semaphore, task::spawn_blocking};

pub use self::links::{LinkHandle, NoLinks, Peer};
use self::{ground::Ground, perform::Failed, sign_in::Locks};
use crate::{
    blobs::Blobs,
    clock::Clock,
    config,
    sticks::Sticks,
    store::{Db, Store, StoreError},
};

/// The desk of one node. Clones share everything.
#[derive(Clone)]
pub struct NodeDesk {
    store: Store,
    clock: Clock,
    links: Arc<dyn LinkHandle>,
    /// None on a desk whose sticks nobody watches.
    sticks: Option<Sticks>,
    locks: Arc<Locks>,
    hashing: Arc<Semaphore>,
    /// Attached files; none for a desk that only reads.
    files: Option<files::Files>,
    /// When this process began, by a clock nobody can set.
    started: Instant,
}

impl NodeDesk {
    /// A desk over a store, with the clock and the links of the same node.
    pub fn new(store: Store, clock: Clock, links: Arc<dyn LinkHandle>) -> Self {
        Self {
            store,
            clock,
            links,
            sticks: None,
            locks: Arc::new(Locks::default()),
            hashing: Arc::new(Semaphore::new(sign_in::HASHES_MAX)),
            files: None,
            started: crate::clock::stopwatch(),
        }
    }

    /// The same with the sticks of that node.
    #[must_use]
    pub fn with_sticks(mut self, sticks: Sticks) -> Self {
        self.sticks = Some(sticks);
        self
    }

    /// The same desk with a place for attached files, which move as `link` says.
    #[must_use]
    pub fn with_files(mut self, blobs: Blobs, link: &config::Link) -> Self {
        self.files = Some(files::Files {
            blobs,
            attachments: link.attachments.clone(),
            metered: link.metered,
        });
        self
    }

    /// Reads on this thread.
    fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ground<'_>) -> crate::store::Result<T> + Send + 'static,
    ) -> crate::store::Result<T> {
        let now = self.clock.now();
        let sending = self.sending();
        self.store
            .read(move |db| work(&Ground::of(db, now, sending)?))
    }

    /// Writes on the store's thread.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> crate::store::Result<T> + Send + 'static,
    ) -> crate::store::Result<T> {
        self.store.write(work)
    }

    fn sending(&self) -> bool {
        self.links
            .peers()
            .iter()
            .any(|p| p.upstream && p.state == links::CONNECTED)
    }

    /// Reads on a blocking thread; a failure is logged and answered with nothing.
    async fn ask<T: Send + Default + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Ground<'_>) -> crate::store::Result<T> + Send + 'static,
    ) -> T {
        let desk = self.clone();
        match spawn_blocking(move || desk.look(work)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(StoreError::NotEnrolled)) => T::default(),
            Ok(Err(error)) => {
                tracing::error!(what, %error, "a page could not be read");
                T::default()
            }
            Err(error) => {
                tracing::error!(what, %error, "a page could not be read");
                T::default()
            }
        }
    }

    /// The one way anything changes, on this thread: judged, committed durably, or refused.
    ///
    /// # Errors
    /// The rules, or the disk.
    pub fn perform_blocking(&self, actor: &Actor, command: Command) -> Result<Done, Refusal> {
        let actor = actor.clone();
        let done = self.judged(move |db, now| perform::perform(db, &actor, &command, now))?;
        self.links.saved();
        Ok(done)
    }

    /// Runs work that the rules may refuse as one transaction, on the store's thread.
    fn judged<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db, (Millis, ClockState)) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Refusal> {
        let now = self.clock.read();
        let done = self.write(move |db| {
            let mut refused = None;
            let done = db.transact(|db| {
                work(db, now).map_err(|failed| match failed {
                    // An error, so that nothing of it remains, not even a number.
                    Failed::Refused(refusal) => {
                        refused = Some(refusal);
                        StoreError::Refused("by the rules")
                    }
                    Failed::Store(error) => error,
                })
            });
            match refused {
                Some(refusal) => Ok(Err(refusal)),
                None => done.map(Ok),
            }
        });
        done.map_err(|error| fault(&error))?
    }

    /// The person of a login of this site, for the local command line, which needs no password.
    ///
    /// # Errors
    /// [`Refusal::SignIn`] when there is none who may act.
    pub fn who_blocking(&self, login: &str) -> Result<Who, Refusal> {
        let wanted = login.to_owned();
        self.look(move |g| {
            Ok(sign_in::find(g.trust, g.site, &wanted, g.now)
                .map(|(login, person)| who_of(g, login.login, person)))
        })
        .map_err(|error| fault(&error))?
        .ok_or(Refusal::SignIn)
    }
}

fn who_of(g: &Ground<'_>, login: String, person: cuntong_protocol::control::Person) -> Who {
    Who {
        actor: Actor {
            person: person.id,
            roles: person.roles,
            site: person.site,
        },
        name: person.name,
        login,
        level: g.level,
    }
}

/// What a person is told when the store fails.
fn fault(error: &StoreError) -> Refusal {
    if matches!(error, StoreError::DiskFull) {
        Refusal::DiskFull
    } else if matches!(error, StoreError::NotEnrolled) {
        Refusal::NotEnrolled
    } else {
        tracing::error!(%error, "the store failed");
        Refusal::Fault(error.to_string())
    }
}

impl Desk for NodeDesk {
    async fn header(&self) -> Header {
        let clock = self.clock.state();
        let peers = self.links.peers();
        let demo = self.links.demo().is_some();
        self.ask("header", move |g| {
            let standing = sync::standing(g, clock)?;
            let rows = sync::peer_rows(g, &peers)?;
            let upstream: Vec<_> = rows.into_iter().filter(|p| p.upstream).collect();
            Ok(Some(Header {
                site: Some(g.site_of(g.site)),
                node: g.node,
                pill: custody::pill(&standing, &upstream, g.now),
                custody: standing.custody,
                clock_suspect: clock == ClockState::Suspect,
                demo,
            }))
        })
        .await
        .unwrap_or_else(|| sync::not_enrolled(demo))
    }

    async fn sign_in(
        &self,
        login: String,
        password: Private,
        token: [u8; 32],
    ) -> Result<Who, Refusal> {
        // The permit is taken first: tries that wait for it are counted one after the other.
        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let permit = permit.map_err(|closed| Refusal::Fault(closed.to_string()))?;
        let desk = self.clone();
        let run = self.started.elapsed();
        spawn_blocking(move || {
            let _permit = permit;
            desk.sign_in_blocking(&login, &password, token, run)
        })
        .await
        .map_err(|failed| Refusal::Fault(failed.to_string()))?
    }

    async fn session(&self, token: [u8; 32]) -> Option<Who> {
        let desk = self.clone();
        spawn_blocking(move || desk.session_blocking(token))
            .await
            .ok()?
    }

    async fn sign_out(&self, token: [u8; 32]) {
        self.change("sign out", move |db| db.close_session(token))
            .await;
    }

    async fn today(&self, who: &Who) -> Today {
        let actor = who.actor.clone();
        self.ask("today", move |g| list::today(g, &actor)).await
    }

    async fn items(&self, query: String) -> Vec<Item> {
        self.ask("items", move |g| {
            Ok(items::search(g.trust.catalogue(), &query))
        })
        .await
    }

    async fn item(&self, code: String, version: Option<u32>) -> Option<Item> {
        self.ask("item", move |g| {
            let catalogue = g.trust.catalogue();
            Ok(match version {
                Some(version) => catalogue.pinned(&code, version),
                None => catalogue.current(&code),
            }
            .cloned())
        })
        .await
    }

    async fn residents(&self, who: &Who, query: String) -> Vec<Resident> {
        let actor = who.actor.clone();
        self.ask("residents", move |g| list::residents(g, &actor, &query))
            .await
    }

    async fn duplicates(&self, who: &Who, item: String, id: Private) -> Vec<CaseRow> {
        let actor = who.actor.clone();
        self.ask("duplicates", move |g| {
            list::duplicates(g, &actor, &item, id.reveal())
        })
        .await
    }

    async fn cases(&self, who: &Who, query: CaseQuery) -> CaseList {
        let actor = who.actor.clone();
        self.ask("cases", move |g| list::cases(g, &actor, &query))
            .await
    }

    async fn case(&self, who: &Who, id: CaseId) -> Option<CasePage> {
        let actor = who.actor.clone();
        self.ask("case", move |g| page::page(g, &actor, id)).await
    }

    async fn perform(&self, who: &Who, command: Command) -> Result<Done, Refusal> {
        let actor = who.actor.clone();
        self.aside(move |desk| desk.perform_blocking(&actor, command))
            .await
    }

    async fn bring_file(
        &self,
        who: &Who,
        name: String,
        bytes: Vec<u8>,
    ) -> Result<Brought, Refusal> {
        let actor = who.actor.clone();
        self.aside(move |desk| desk.bring_blocking(&actor, &name, &bytes))
            .await
    }

    async fn brought(&self, who: &Who, token: String) -> Option<Brought> {
        let (desk, person) = (self.clone(), who.actor.person);
        let found = spawn_blocking(move || desk.brought_blocking(person, &token));
        found.await.ok().flatten()
    }

    async fn file(&self, hash: BlobHash) -> Option<Vec<u8>> {
        let desk = self.clone();
        let read = spawn_blocking(move || desk.file_blocking(hash));
        read.await.ok().flatten()
    }

    async fn draft(&self, who: &Who, form: String) -> Option<String> {
        let person = who.actor.person;
        self.ask("draft", move |g| g.db.draft(person, &form)).await
    }

    async fn save_draft(
        &self,
        who: &Who,
        form: String,
        fields: Option<String>,
    ) -> Result<(), Refusal> {
        let desk = self.clone();
        let person = who.actor.person;
        let now = self.clock.now();
        spawn_blocking(move || {
            desk.write(move |db| db.save_draft(person, &form, fields.as_deref(), now))
        })
        .await
        .map_err(|failed| Refusal::Fault(failed.to_string()))?
        .map_err(|error| fault(&error))
    }

    async fn notices(&self, who: &Who) -> Vec<NoticeRow> {
        let actor = who.actor.clone();
        self.ask("notices", move |g| notices::of_area(g, &actor))
            .await
    }

    async fn notice(&self, id: DocId) -> Option<NoticeRow> {
        self.ask("notice", move |g| notices::one(g, id)).await
    }

    async fn board(&self) -> Board {
        self.ask("board", |g| notices::board(g).map(Some))
            .await
            .unwrap_or_else(|| Board {
                site_name: String::new(),
                notices: Vec::new(),
                as_of: None,
            })
    }

    async fn places(&self) -> Vec<Site> {
        self.ask("places", |g| Ok(notices::places(g))).await
    }

    async fn sync(&self, who: &Who) -> SyncPage {
        let peers = self.links.peers();
        let clock = self.clock.state();
        let actor = who.actor.clone();
        let page = self
            .ask("sync", move |g| {
                sync::page(g, &actor, &peers, clock).map(Some)
            })
            .await;
        let mut page = page.unwrap_or_else(sync::nothing);
        page.habits = self.links.habits();
        let desk = self.clone();
        if let Ok(Ok(files)) = spawn_blocking(move || desk.files_standing()).await {
            page.files = files;
        }
        page
    }

    async fn sync_now(&self) {
        self.links.try_now();
    }

    async fn rejection_seen(&self, id: i64) {
        let now = self.clock.now();
        self.change("rejection", move |db| db.rejection_seen(id, now))
            .await;
    }

    async fn redo(&self, who: &Who, id: i64) -> Result<Redo, Refusal> {
        let actor = who.actor.clone();
        self.aside(move |desk| desk.redo(&actor, id)).await
    }

    async fn perform_again(&self, who: &Who, id: i64, command: Command) -> Result<Done, Refusal> {
        let actor = who.actor.clone();
        self.aside(move |desk| desk.redo_blocking(&actor, id, Some(command)))
            .await
    }

    async fn drop_rejection(&self, who: &Who, id: i64, reason: String) -> Result<(), Refusal> {
        let actor = who.actor.clone();
        self.aside(move |desk| desk.drop_blocking(&actor, id, &reason))
            .await
    }

    async fn nodes(&self) -> Vec<NodeRow> {
        let peers = self.links.peers();
        self.ask("nodes", move |g| sync::nodes(g, &peers)).await
    }

    async fn demo_link(&self) -> Option<bool> {
        self.links.demo()
    }

    async fn set_demo_link(&self, up: bool) {
        self.links.set_demo(up);
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}

impl NodeDesk {
    /// Does on a blocking thread what may be refused.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let desk = self.clone();
        spawn_blocking(move || work(&desk))
            .await
            .map_err(|failed| Refusal::Fault(failed.to_string()))?
    }

    /// A small write whose failure is logged: the page goes on without it.
    async fn change(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Db) -> crate::store::Result<()> + Send + 'static,
    ) {
        let desk = self.clone();
        match spawn_blocking(move || desk.write(work)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(what, %error, "a change was not saved"),
            Err(error) => tracing::error!(what, %error, "a change was not saved"),
        }
    }
}
