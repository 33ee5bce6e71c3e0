//! The one way anything changes: facts are looked up, the rules decide, the store commits.

use std::sync::Arc;

use cuntong_protocol::{
    act::ActBody,
    case::Case,
    command::{Actor, Command},
    control::signed::Trust,
    document::Write,
    fields,
    id::{ActId, CaseId, DocId},
    notice::{self, NoticeState},
    policy::{self, Facts, Source},
    refusal::Refusal,
    text::CitizenId,
    time::{ClockState, Millis},
};
use cuntong_web::desk::Done;
use serde::{Deserialize, Serialize};

use super::{ground::Ground, list, number, page};
use crate::store::{Db, Local, Result as StoreResult, StoreError};

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The rules say no.
    Refused(Refusal),
    /// The disk says no.
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was answered, kept under the caller's key so that a retry gets the same answer.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    case: Option<CaseId>,
    notice: Option<DocId>,
    number: Option<String>,
    acts: Vec<ActId>,
}

/// Carries a command out, inside the caller's transaction.
///
/// # Errors
/// The rules, or the disk; the caller then rolls back, so that not even a number is used up.
pub(crate) fn perform(
    db: &mut Db,
    actor: &Actor,
    command: &Command,
    (at, clock): (Millis, ClockState),
) -> Result<Done, Failed> {
    if let Some(done) = answered(db, command)? {
        return Ok(done);
    }
    let trust = db.shared_trust()?;
    let known = Known::of(&Ground::of(db, at, false)?, actor, command)?;
    let mut source = Names {
        db,
        at,
        failed: None,
    };
    let writes = policy::decide(
        actor,
        command,
        &known.facts(&trust),
        &mut policy::Now {
            at,
            clock,
            source: &mut source,
        },
    );
    if let Some(error) = source.failed {
        return Err(error.into());
    }
    let writes = writes?;
    let answer = answer(&writes);
    let kept = serde_json::to_vec(&answer)
        .map_err(|_not_json| StoreError::Refused("an answer that cannot be kept"))?;
    let _committed = db.commit(Local {
        writes,
        at,
        once: once(command),
        answer: kept,
        audit: Some((actor.person, action(command))),
    })?;
    Ok(done(answer))
}

/// What a command with the same key was answered before.
///
/// # Errors
/// The disk.
pub(crate) fn answered(db: &Db, command: &Command) -> StoreResult<Option<Done>> {
    let answer = db.once(once(command))?;
    Ok(answer.map(|answer| done(serde_json::from_slice(&answer).unwrap_or_default())))
}

/// The caller's key of a command.
const fn once(command: &Command) -> Option<[u8; 16]> {
    match command {
        Command::Log(log) => log.once,
        Command::Act { .. }
        | Command::Amend { .. }
        | Command::Resolve { .. }
        | Command::PublishNotice(_)
        | Command::ReviseNotice { .. }
        | Command::RetractNotice { .. } => None,
    }
}

/// What the store knows that the command touches.
#[derive(Default)]
struct Known {
    case: Option<Case>,
    other: Option<Case>,
    duplicates: Vec<String>,
    notice: Option<NoticeState>,
}

impl Known {
    fn of(g: &Ground<'_>, actor: &Actor, command: &Command) -> StoreResult<Self> {
        let mut known = Self::default();
        match command {
            Command::Log(log) => {
                let typed = log.fields.get(fields::ID).map_or("", |id| id.reveal());
                let id = CitizenId::stored(typed).map_or_else(
                    |_other_paper| typed.trim().to_owned(),
                    |id| id.reveal().to_owned(),
                );
                known.duplicates = numbers(g, actor, &log.item, &id, None)?;
            }
            Command::Act { case, body } => {
                known.case = page::folded(g.db, *case)?;
                if let (ActBody::Receive(_), Some(folded)) = (body, &known.case) {
                    let id = folded.text(fields::ID);
                    known.duplicates = numbers(g, actor, &folded.item, id, Some(*case))?;
                }
                if let ActBody::Duplicate(link) = body {
                    known.other = page::folded(g.db, link.of)?;
                }
            }
            Command::Amend { case, .. } | Command::Resolve { case, .. } => {
                known.case = page::folded(g.db, *case)?;
            }
            Command::PublishNotice(version) => known.case = about(g, version.case)?,
            Command::ReviseNotice { notice, version } => {
                known.case = about(g, version.case)?;
                known.notice = read_notice(g.db, *notice)?;
            }
            Command::RetractNotice { notice, .. } => {
                known.notice = read_notice(g.db, *notice)?;
            }
        }
        Ok(known)
    }

    fn facts<'a>(&'a self, trust: &'a Arc<Trust>) -> Facts<'a> {
        Facts {
            catalogue: trust.catalogue(),
            calendar: trust.calendar(),
            places: trust.places(),
            case: self.case.as_ref(),
            other: self.other.as_ref(),
            duplicates: &self.duplicates,
            notice: self.notice.as_ref(),
        }
    }
}

fn about(g: &Ground<'_>, case: Option<CaseId>) -> StoreResult<Option<Case>> {
    case.map_or(Ok(None), |case| page::folded(g.db, case))
}

/// Numbers of other open cases of that person and item.
fn numbers(
    g: &Ground<'_>,
    actor: &Actor,
    item: &str,
    id: &str,
    but: Option<CaseId>,
) -> StoreResult<Vec<String>> {
    Ok(list::duplicates(g, actor, item, id)?
        .into_iter()
        .filter(|row| Some(row.id) != but)
        .filter_map(|row| row.number)
        .collect())
}

fn read_notice(db: &Db, id: DocId) -> StoreResult<Option<NoticeState>> {
    match db.doc(id)? {
        Some(doc) => Ok(Some(notice::notice(&doc.reading()?))),
        None => Ok(None),
    }
}

/// Names for new things, from the store of this transaction.
struct Names<'a> {
    db: &'a mut Db,
    at: Millis,
    /// The store's failure, which the rules cannot tell.
    failed: Option<StoreError>,
}

impl Source for Names<'_> {
    fn act(&mut self) -> ActId {
        self.db.act_id(self.at).unwrap_or_else(|error| {
            self.failed = Some(error);
            ActId([0; 16])
        })
    }

    fn unique(&mut self) -> [u8; 11] {
        let mut unique = [0; 11];
        unique[..6].copy_from_slice(&self.at.0.to_be_bytes()[2..]);
        unique[6..].copy_from_slice(&crate::clock::random::<5>());
        unique
    }

    fn number(&mut self) -> Result<String, Refusal> {
        number::next(self.db, self.at).map_err(|error| {
            let words = error.to_string();
            self.failed = Some(error);
            Refusal::Fault(words)
        })
    }
}

fn answer(writes: &[(DocId, Vec<Write>)]) -> Answer {
    let mut answer = Answer::default();
    for (doc, all) in writes {
        match doc.case() {
            Some(case) => answer.case = Some(case),
            None => answer.notice = Some(*doc),
        }
        for write in all {
            if let Write::Act(id, act) = write {
                answer.acts.push(*id);
                if let ActBody::Receive(receive) = &act.body {
                    answer.number = Some(receive.number.clone());
                }
            }
        }
    }
    answer
}

fn done(answer: Answer) -> Done {
    Done {
        case: answer.case,
        notice: answer.notice,
        number: answer.number,
        acts: answer.acts,
    }
}

/// The audit's word.
const fn action(command: &Command) -> &'static str {
    match command {
        Command::Log(_) => "case.log",
        Command::Act { body, .. } => body.kind().word(),
        Command::Amend { .. } => "case.amend",
        Command::Resolve { .. } => "case.resolve",
        Command::PublishNotice(_) => "notice.publish",
        Command::ReviseNotice { .. } => "notice.revise",
        Command::RetractNotice { .. } => "notice.retract",
    }
}
