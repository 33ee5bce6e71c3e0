//! What the command line answers with `--json`: stable names, scripts depend on them.
//!
//! Unlike a page, the local command line shows names and numbers in full only where a case was
//! asked for by its id; lists mask the ID number.

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::ActBody,
    case::{Field, Light, Void},
    command::{Actor, Command, LogCase},
    id::{CaseId, DocId, NodeId, PersonId, SiteId},
    refusal::Refusal,
    role::{Level, Role},
    state::State,
    time::Millis,
};
use cuntong_web::desk::{
    Beginning, CaseCustody, CasePage, CaseQuery, CaseRow, Custody, Habits, NoticeRow, PeerRow,
    ReceiptRow, RejectionRow,
};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{NodeDesk, fault, ground::Ground, list, notices, page, sync};
use crate::store::Result as StoreResult;

/// `case log`, and every command that acts on a case.
#[derive(Debug, Clone, Serialize)]
pub struct Logged {
    pub case: CaseId,
    pub number: Option<String>,
    pub state: State,
    pub state_zh: &'static str,
    pub custody: &'static str,
    pub custody_zh: &'static str,
    pub custody_at: Option<Millis>,
}

/// `case list`.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub cases: Vec<CaseLine>,
    pub total: u64,
}

/// One case in a list.
#[derive(Debug, Clone, Serialize)]
pub struct CaseLine {
    pub case: CaseId,
    pub number: Option<String>,
    pub state: State,
    pub state_zh: &'static str,
    pub item: String,
    pub item_name: String,
    pub name: String,
    pub id_masked: String,
    pub site: SiteId,
    pub site_name: String,
    pub received_at: Option<Millis>,
    pub due: Option<String>,
    pub due_kind: &'static str,
    pub light: Option<Light>,
    /// local, sending, township, county or rejected.
    pub custody: &'static str,
    pub custody_zh: &'static str,
    pub custody_at: Option<Millis>,
    pub conflict: bool,
    pub needs_ruling: bool,
    pub duplicate: bool,
    pub parallel: bool,
}

/// `case show`.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub line: CaseLine,
    /// Every value a field has: more than one is a conflict.
    pub fields: BTreeMap<String, Vec<String>>,
    pub materials: BTreeMap<u32, String>,
    pub timeline: Vec<EventLine>,
    /// Commands that would be accepted now from the person asked for.
    pub offers: Vec<&'static str>,
    pub twins: Vec<CaseId>,
    pub receipts: Vec<ReceiptRow>,
    pub rejections: Vec<RejectionRow>,
}

/// One act.
#[derive(Debug, Clone, Serialize)]
pub struct EventLine {
    pub act: &'static str,
    pub act_zh: &'static str,
    pub at: Millis,
    /// When this node had it.
    pub received_at: Option<Millis>,
    pub node: Option<NodeId>,
    pub person: PersonId,
    pub name: String,
    pub role: Role,
    pub clock_suspect: bool,
    /// Why it has no effect: state, power, overruled or repeated.
    pub void: Option<&'static str>,
    /// Opinion, reason or result in words.
    pub words: String,
}

/// `status`.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub node: NodeId,
    pub site: SiteId,
    pub site_name: String,
    pub role: Level,
    pub epoch: u32,
    pub documents: u64,
    pub entries: u64,
    pub waiting: Waiting,
    pub upstream: Vec<Upstream>,
    pub quarantine: u64,
    /// Scope → digest over its documents' heads, hexadecimal.
    pub digests: BTreeMap<String, String>,
    pub rejected: u64,
    /// The newest of the last sessions in which two nodes differed under equal logs.
    pub repair: Option<Repair>,
    /// When this node calls, by its settings.
    pub habits: Habits,
    pub clock_suspect: bool,
    pub version: &'static str,
}

/// Own entries that no county receipt covers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Waiting {
    pub count: u64,
    pub oldest_s: u64,
}

/// A proof that did not match, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    pub at: Millis,
    pub peer: String,
    /// Documents mended.
    pub repaired: u64,
    /// Whether both hold the same since.
    pub equal: bool,
}

/// One upstream.
#[derive(Debug, Clone, Serialize)]
pub struct Upstream {
    pub name: String,
    pub state: String,
    /// Class of the last failure.
    pub reason: Option<String>,
    /// Seconds until the next call, and why it is then: retry, busy, window, turn or gather.
    pub next_try_s: Option<u64>,
    pub next_why: String,
    pub custody_at: Option<Millis>,
    /// What carries the session, while there is one: `quic` or `tcp`.
    pub carrier: Option<String>,
    /// A first meeting under way.
    pub beginning: Option<Beginning>,
}

/// `notice publish`, `notice withdraw`.
#[derive(Debug, Clone, Serialize)]
pub struct Published {
    pub notice: DocId,
}

impl NodeDesk {
    /// Logs a case.
    ///
    /// # Errors
    /// The rules, or the disk.
    pub fn case_log(&self, actor: &Actor, log: LogCase) -> Result<Logged, Refusal> {
        let done = self.perform_blocking(actor, Command::Log(log))?;
        self.logged(done.case.ok_or(Refusal::NoSuchCase)?)
    }

    /// One act on a case.
    ///
    /// # Errors
    /// The rules, or the disk.
    pub fn case_act(&self, actor: &Actor, case: CaseId, body: ActBody) -> Result<Logged, Refusal> {
        let _done = self.perform_blocking(actor, Command::Act { case, body })?;
        self.logged(case)
    }

    pub(super) fn logged(&self, case: CaseId) -> Result<Logged, Refusal> {
        let row = self
            .read(move |g| list::one(g, &g.area(&local(g)), case))?
            .ok_or(Refusal::NoSuchCase)?;
        let (custody, custody_zh, custody_at) = custody_words(row.custody);
        Ok(Logged {
            case,
            number: row.number,
            state: row.state,
            state_zh: row.state.zh(),
            custody,
            custody_zh,
            custody_at,
        })
    }

    /// The case of an id (`c-…`) or of a printed number.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`].
    pub fn find_case(&self, text: &str) -> Result<CaseId, Refusal> {
        if let Ok(case) = text.parse() {
            return Ok(case);
        }
        let number: String = text.chars().filter(char::is_ascii_digit).collect();
        self.read(move |g| list::by_number(g, &number))?
            .ok_or(Refusal::NoSuchCase)
    }

    /// Cases of this node's area.
    ///
    /// # Errors
    /// The disk.
    pub fn case_list(&self, query: CaseQuery) -> Result<Listed, Refusal> {
        let found = self.read(move |g| list::cases(g, &local(g), &query))?;
        Ok(Listed {
            cases: found.rows.into_iter().map(line).collect(),
            total: found.total,
        })
    }

    /// One case; `actor` is whose possible acts are told, this node's own eyes when none.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`], or the disk.
    pub fn case_show(&self, actor: Option<&Actor>, case: CaseId) -> Result<Shown, Refusal> {
        let actor = actor.cloned();
        let page = self
            .read(move |g| page::page(g, &actor.unwrap_or_else(|| local(g)), case))?
            .ok_or(Refusal::NoSuchCase)?;
        Ok(shown(page))
    }

    /// Publishes a notice, or withdraws one.
    ///
    /// # Errors
    /// The rules, or the disk.
    pub fn notice_change(&self, actor: &Actor, command: Command) -> Result<Published, Refusal> {
        let done = self.perform_blocking(actor, command)?;
        Ok(Published {
            notice: done.notice.ok_or(Refusal::NoSuchNotice)?,
        })
    }

    /// Notices this node holds.
    ///
    /// # Errors
    /// The disk.
    pub fn notice_list(&self) -> Result<Vec<NoticeRow>, Refusal> {
        self.read(|g| notices::of_area(g, &local(g)))
    }

    /// What `status` says.
    ///
    /// # Errors
    /// [`Refusal::NotEnrolled`], or the disk.
    pub fn status(&self) -> Result<Status, Refusal> {
        let (peers, habits) = (self.links.peers(), self.links.habits());
        let clock = self.clock.state();
        self.read(move |g| {
            let counts = sync::counts(g)?;
            let standing = sync::standing(g, clock)?;
            let Custody {
                waiting, oldest_s, ..
            } = standing.custody;
            Ok(Status {
                node: g.node,
                site: g.site,
                site_name: g.site_name(g.site),
                role: g.level,
                epoch: g.db.identity()?.writer.epoch,
                documents: counts.documents,
                entries: counts.entries,
                waiting: Waiting {
                    count: waiting,
                    oldest_s,
                },
                upstream: sync::peer_rows(g, &peers)?
                    .into_iter()
                    .filter(|p| p.upstream)
                    .map(upstream)
                    .collect(),
                quarantine: counts.quarantine,
                digests: sync::digests(g)?
                    .into_iter()
                    .map(|(scope, digest)| {
                        (scope.to_string(), HEXLOWER.encode(&digest.to_be_bytes()))
                    })
                    .collect(),
                rejected: standing.rejected,
                repair: sync::repair(g)?,
                habits,
                clock_suspect: clock == cuntong_protocol::time::ClockState::Suspect,
                version: env!("CARGO_PKG_VERSION"),
            })
        })
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ground<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.look(work).map_err(|error| fault(&error))
    }
}

/// The eyes of this node itself: everything of its area, no act.
pub(super) fn local(g: &Ground<'_>) -> Actor {
    Actor {
        person: PersonId([0; 8]),
        roles: vec![Role::Supervisor],
        site: g.site,
    }
}

fn upstream(peer: PeerRow) -> Upstream {
    Upstream {
        name: peer.name,
        state: peer.state,
        reason: peer.reason.map(|(code, _)| code),
        next_try_s: peer.next_try_s,
        next_why: peer.why,
        custody_at: peer.custody_at,
        carrier: peer.carrier,
        beginning: peer.beginning,
    }
}

/// Word, words on screens, and moment of a custody state.
pub fn custody_words(custody: CaseCustody) -> (&'static str, &'static str, Option<Millis>) {
    match custody {
        CaseCustody::Local => ("local", "本机已存", None),
        CaseCustody::Sending => ("sending", "上报中", None),
        CaseCustody::Township(at) => ("township", "乡镇已收", Some(at)),
        CaseCustody::County(at) => ("county", "县里已收", Some(at)),
        CaseCustody::Rejected => ("rejected", "退回", None),
    }
}

fn line(row: CaseRow) -> CaseLine {
    let (custody, custody_zh, custody_at) = custody_words(row.custody);
    CaseLine {
        case: row.id,
        number: row.number,
        state: row.state,
        state_zh: row.state.zh(),
        item: row.item,
        item_name: row.item_name,
        name: row.name.reveal().to_owned(),
        id_masked: row.id_masked,
        site: row.site,
        site_name: row.site_name,
        received_at: row.received_at,
        due: row.due.map(|due| due.date.to_string()),
        due_kind: row.due_kind,
        light: row.light,
        custody,
        custody_zh,
        custody_at,
        conflict: row.conflict,
        needs_ruling: row.needs_ruling,
        duplicate: row.duplicate,
        parallel: row.parallel,
    }
}

fn shown(page: CasePage) -> Shown {
    let name = |id| {
        page.people
            .iter()
            .find(|(person, _)| *person == id)
            .map_or_else(String::new, |(_, name)| name.clone())
    };
    let timeline = page
        .case
        .timeline
        .iter()
        .map(|event| {
            let arrival = page.arrivals.iter().find(|a| a.change == event.change);
            EventLine {
                act: event.body.kind().word(),
                act_zh: event.body.kind().zh(),
                at: event.at,
                received_at: arrival.map(|a| a.at),
                node: arrival.map(|a| a.node),
                person: event.person,
                name: name(event.person),
                role: event.role,
                clock_suspect: event.clock == cuntong_protocol::time::ClockState::Suspect,
                void: event.void.as_ref().map(void_word),
                words: words(&event.body),
            }
        })
        .collect();
    Shown {
        fields: page
            .case
            .fields
            .iter()
            .map(|(name, field)| (name.clone(), values(field)))
            .collect(),
        materials: page.case.materials.clone(),
        timeline,
        offers: page.offers.iter().map(|kind| kind.word()).collect(),
        twins: page.twins.iter().map(|twin| twin.id).collect(),
        receipts: page.receipts,
        rejections: page.rejections,
        line: line(page.row),
    }
}

fn values(field: &Field) -> Vec<String> {
    match field {
        Field::Value(value) => vec![value.reveal().to_owned()],
        Field::Conflict(all) => all.iter().map(|c| c.value.reveal().to_owned()).collect(),
    }
}

const fn void_word(void: &Void) -> &'static str {
    match void {
        Void::State { .. } => "state",
        Void::Power => "power",
        Void::Overruled(_) => "overruled",
        Void::Repeated(_) => "repeated",
    }
}

fn words(body: &ActBody) -> String {
    match body {
        ActBody::Open(_) => String::new(),
        ActBody::Receive(receive) => receive.number.clone(),
        ActBody::Supplement(supplement) => supplement.note.clone(),
        ActBody::Withdraw(reason)
        | ActBody::Review(reason)
        | ActBody::Terminate(reason)
        | ActBody::Retract(reason) => reason.text.clone(),
        ActBody::Deliver(deliver) => deliver.note.clone(),
        ActBody::Correct(correct) => {
            let all: Vec<_> = correct.missing.iter().map(|m| m.how.as_str()).collect();
            all.join("；")
        }
        ActBody::Accept(accept) => accept.note.clone(),
        ActBody::Refuse(refuse) => refuse.reason.clone(),
        ActBody::Decide(decide) => decide.reason.clone(),
        ActBody::Close(close) | ActBody::Complete(close) => {
            format!("{} {}", close.result, close.result_number)
                .trim()
                .to_owned()
        }
        ActBody::Resolve(resolve) => resolve.reason.clone(),
        ActBody::Rule(rule) => rule.reason.clone(),
        ActBody::Duplicate(duplicate) => duplicate.reason.clone(),
        ActBody::Amend(amend) => amend.reason.clone(),
        ActBody::Publish(publish) => publish.title.clone(),
        ActBody::Attach(attach) => attach.name.clone(),
        ActBody::Detach(detach) => detach.reason.clone(),
    }
}
