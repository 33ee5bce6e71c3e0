//! Own work that came back: done again under today's rules (重做), or dropped (作罢).

use std::collections::BTreeMap;

use cuntong_protocol::{
    act::{ActBody, Open},
    command::{Actor, Command, LogCase},
    document::Write,
    fields::MATERIAL,
    id::{DocId, Kind},
    limits,
    refusal::Refusal,
    text::Private,
    time::Millis,
};
use cuntong_web::desk::{Done, Redo, RejectionRow};
use serde::Serialize;

use super::{
    NodeDesk, fault,
    ground::Ground,
    json::{self, Logged, Published},
    perform::{self, Failed},
    tray::{self, Item},
};
use crate::store::{
    Db, Result as StoreResult,
    settle::{Outcome, Settled},
};

/// Documents that took each other's place before one is given up.
const REPLACED_MAX: usize = 16;

/// Refusals in one list.
const LISTED_MAX: u32 = 1_000;

/// `rejected redo`: what was made, as the command that made it first would have answered.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Again {
    Case(Logged),
    Notice(Published),
}

impl NodeDesk {
    /// What a refused entry would have done, when this person may do it again.
    ///
    /// # Errors
    /// None such, not this person's, settled, not kept, or the disk.
    pub fn redo(&self, actor: &Actor, id: i64) -> Result<Redo, Refusal> {
        let actor = actor.clone();
        let found = self.look(move |g| match open(g, &actor, id) {
            Ok(item) => Ok(intent(g, &item)?.map(|command| Redo {
                row: item.row(g, &actor),
                command,
            })),
            Err(Failed::Refused(refusal)) => Ok(Err(refusal)),
            Err(Failed::Store(error)) => Err(error),
        });
        found.map_err(|error| fault(&error))?
    }

    /// Does again what came back, as the given command or as it was, and settles it: both or
    /// neither.
    ///
    /// # Errors
    /// As [`NodeDesk::redo`], and whatever today's rules say.
    pub fn redo_blocking(
        &self,
        actor: &Actor,
        id: i64,
        command: Option<Command>,
    ) -> Result<Done, Refusal> {
        let actor = actor.clone();
        let done = self.judged(move |db, now| {
            // The same form sent twice gets the same answer.
            if let Some(command) = &command
                && let Some(done) = perform::answered(db, command)?
            {
                return Ok(done);
            }
            let (item, command) = {
                let g = Ground::of(db, now.0, false)?;
                let item = open(&g, &actor, id)?;
                let command = match command {
                    Some(command) => command,
                    None => intent(&g, &item)??,
                };
                (item, command)
            };
            let done = perform::perform(db, &actor, &command, now)?;
            let case = done.case.map(|case| case.doc(Kind::Application));
            let doc = case.or(done.notice).ok_or(Refusal::NotKept)?;
            let outcome = Outcome::Redone(doc);
            settle(db, &actor, &item, now.0, "rejection.redo", outcome)?;
            Ok(done)
        })?;
        self.links.saved();
        Ok(done)
    }

    /// What came back, for the command line.
    ///
    /// # Errors
    /// The disk.
    pub fn rejected_list(&self) -> Result<Vec<RejectionRow>, Refusal> {
        self.read(|g| tray::rows(g, &json::local(g), None, LISTED_MAX))
    }

    /// Does again what came back, as it was.
    ///
    /// # Errors
    /// As [`NodeDesk::redo_blocking`].
    pub fn redo_as_it_was(&self, actor: &Actor, id: i64) -> Result<Again, Refusal> {
        let done = self.redo_blocking(actor, id, None)?;
        match (done.case, done.notice) {
            (Some(case), _) => Ok(Again::Case(self.logged(case)?)),
            (None, Some(notice)) => Ok(Again::Notice(Published { notice })),
            (None, None) => Err(Refusal::NotKept),
        }
    }

    /// Settles what came back without doing it again.
    ///
    /// # Errors
    /// None such, not this person's, settled, no reason, or the disk.
    pub fn drop_blocking(&self, actor: &Actor, id: i64, reason: &str) -> Result<(), Refusal> {
        let reason = reason.trim().to_owned();
        if reason.is_empty() {
            return Err(Refusal::ReasonMissing("作罢的理由"));
        }
        if reason.len() > limits::REASON_BYTES_MAX {
            let (field, max) = ("reason", limits::REASON_BYTES_MAX);
            return Err(Refusal::TooLong { field, max });
        }
        let actor = actor.clone();
        self.judged(move |db, now| {
            let item = open(&Ground::of(db, now.0, false)?, &actor, id)?;
            let outcome = Outcome::Dropped(reason);
            settle(db, &actor, &item, now.0, "rejection.drop", outcome)
        })
    }
}

/// The refused entry, when it is open and this person's to settle.
fn open(g: &Ground<'_>, actor: &Actor, id: i64) -> Result<Item, Failed> {
    let refused = g.db.refusal(id)?.ok_or(Refusal::NoSuchRejection)?;
    let item = Item::of(g, refused)?;
    if !item.own {
        return Err(Refusal::NoSuchRejection.into());
    }
    if actor.site != g.site {
        return Err(Refusal::NotYourSite.into());
    }
    if !item.may(g, actor) {
        return Err(Refusal::NotYourRole("重做或作罢").into());
    }
    if item.settled.is_some() {
        return Err(Refusal::SettledAlready.into());
    }
    Ok(item)
}

fn settle(
    db: &mut Db,
    actor: &Actor,
    item: &Item,
    at: Millis,
    action: &str,
    outcome: Outcome,
) -> Result<(), Failed> {
    let of = &item.refused.rejection;
    let settled = Settled {
        at,
        person: actor.person,
        outcome,
    };
    if !db.settle(of.hash, of.doc, &settled)? {
        return Err(Refusal::SettledAlready.into());
    }
    db.note(at, Some(actor.person), action, &of.doc.text())?;
    Ok(())
}

/// What it would have done, about the record it would go into today.
fn intent(g: &Ground<'_>, item: &Item) -> StoreResult<Result<Command, Refusal>> {
    let Some(writes) = item.writes.clone() else {
        return Ok(Err(Refusal::NotKept));
    };
    let doc = target(g.db, item.refused.rejection.doc)?;
    let known = g.db.doc(beginning(doc))?.is_some();
    Ok(command(doc, known, writes))
}

/// The document, or what took its place when its beginning was refused and done again.
fn target(db: &Db, doc: DocId) -> StoreResult<DocId> {
    let mut now = doc;
    for _replaced in 0..REPLACED_MAX {
        if db.doc(beginning(now))?.is_some() {
            break;
        }
        let Some(next) = db.redone_as(beginning(now))? else {
            break;
        };
        now = match (next.case(), doc.scope()) {
            (Some(case), Some(scope)) => case.doc(scope.kind),
            (None, _) | (_, None) => next,
        };
    }
    Ok(now)
}

/// The document whose first entry brings a record into the world.
fn beginning(doc: DocId) -> DocId {
    doc.case().map_or(doc, |case| case.doc(Kind::Application))
}

/// The command whose writes these are: what [`cuntong_protocol::policy::decide`] makes of a
/// command, read backwards. `known`: the record it is about is here.
fn command(doc: DocId, known: bool, writes: Vec<Write>) -> Result<Command, Refusal> {
    let mut acts = Vec::new();
    let mut fields = BTreeMap::new();
    for write in writes {
        match write {
            Write::Act(_, act) => acts.push(act.body),
            Write::Field(name, value) => {
                let _one = fields.insert(name, value.unwrap_or_else(|| Private::new("")));
            }
        }
    }
    for body in &acts {
        if let ActBody::Open(open) = body {
            let open = open.clone();
            return Ok(Command::Log(log(open, acts, fields)));
        }
    }
    let body = acts.into_iter().next().ok_or(Refusal::NotKept)?;
    match (body, doc.case()) {
        (ActBody::Publish(publish), None) if !known && publish.correction.is_empty() => {
            Ok(Command::PublishNotice(publish))
        }
        (_, _) if !known => Err(Refusal::RedoFirst),
        (ActBody::Publish(version), None) => Ok(Command::ReviseNotice {
            notice: doc,
            version,
        }),
        (ActBody::Retract(reason), None) => Ok(Command::RetractNotice {
            notice: doc,
            reason: reason.text,
        }),
        (ActBody::Amend(amend), Some(case)) => Ok(Command::Amend {
            case,
            value: fields.remove(&amend.field).ok_or(Refusal::NotKept)?,
            field: amend.field,
            reason: amend.reason,
        }),
        (ActBody::Resolve(resolve), Some(case)) => Ok(Command::Resolve {
            case,
            value: fields.remove(&resolve.field).ok_or(Refusal::NotKept)?,
            field: resolve.field,
            reason: resolve.reason,
        }),
        (ActBody::Receive(mut receive), Some(case)) => {
            // The number is given when it is done again.
            receive.number.clear();
            let body = ActBody::Receive(receive);
            Ok(Command::Act { case, body })
        }
        (body, Some(case)) => Ok(Command::Act { case, body }),
        (_, None) => Err(Refusal::NotKept),
    }
}

/// What intake typed.
fn log(open: Open, acts: Vec<ActBody>, fields: BTreeMap<String, Private>) -> LogCase {
    let mut log = LogCase {
        item: open.item,
        ..LogCase::default()
    };
    for body in acts {
        if let ActBody::Receive(receive) = body {
            log.receive = true;
            log.mandate = receive.mandate;
            log.taken = receive.taken;
            log.duplicate_reason = receive.duplicate_reason;
        } else if let ActBody::Complete(close) = body {
            log.complete = Some(close.result);
        } else if let ActBody::Attach(attach) = body {
            log.attachments.push(attach);
        }
    }
    for (name, value) in fields {
        let index = name.strip_prefix(MATERIAL).and_then(|n| n.parse().ok());
        match index {
            Some(index) => {
                let _one = log.materials.insert(index, value.reveal().to_owned());
            }
            None => {
                let _one = log.fields.insert(name, value);
            }
        }
    }
    log
}
