//! 退回箱: what came back, why, and what became of it.

use cuntong_protocol::{
    act::{ActBody, ActKind},
    command::Actor,
    document::Write,
    fields,
    id::{CaseId, DocId, Kind, PersonId},
    policy::table::ROWS,
};
use cuntong_web::desk::{Outcome, RejectionRow, Settled};

use super::{
    ground::{Area, Ground, count, query},
    list,
};
use crate::store::{Result, refuse::Refused, settle};

/// What is open: own work that came back and is not settled, and what an authority took back of
/// other nodes' work that nobody here has seen yet.
///
/// # Errors
/// Those of the database.
pub(crate) fn open(g: &Ground<'_>) -> Result<u64> {
    let others = count(g.conn(), query!("rejections_unseen"), &[("?1", &g.node.0)])?;
    Ok(g.db.open_refusals()? + others)
}

/// Refusals as this person sees them, open ones first: all, or those of one case.
///
/// # Errors
/// Those of the database.
pub(crate) fn rows(
    g: &Ground<'_>,
    actor: &Actor,
    case: Option<CaseId>,
    limit: u32,
) -> Result<Vec<RejectionRow>> {
    let found = g.db.rejections(case, limit)?;
    found
        .into_iter()
        .map(|refused| Ok(Item::of(g, refused)?.row(g, actor)))
        .collect()
}

/// One refusal with all that is known of it.
pub(crate) struct Item {
    pub(crate) refused: Refused,
    /// Work of this node that left its document.
    pub(crate) own: bool,
    /// What own work said. Foreign work is not read: nobody has vouched for its bytes.
    pub(crate) writes: Option<Vec<Write>>,
    pub(crate) settled: Option<settle::Settled>,
    /// The applicant of the case own work belongs to, while that is here.
    whose: Option<String>,
}

impl Item {
    pub(crate) fn of(g: &Ground<'_>, refused: Refused) -> Result<Self> {
        let hash = refused.rejection.hash;
        let own = g.db.came_back(&refused)?;
        let writes = if refused.rejection.log.writer.node == g.node {
            g.db.refused_writes(hash)?
        } else {
            None
        };
        let settled = if own { g.db.settled(hash)? } else { None };
        let case = refused.rejection.doc.case().filter(|_case| own);
        let whose = match case {
            Some(case) => list::one(g, &Area::All, case)?,
            None => None,
        };
        Ok(Self {
            refused,
            own,
            writes,
            settled,
            whose: whose.map(|row| row.name.reveal().to_owned()),
        })
    }

    /// Whether it is for this person to settle: of the same site, with a role for what was done.
    pub(crate) fn may(&self, g: &Ground<'_>, actor: &Actor) -> bool {
        let Some(scope) = self.refused.rejection.doc.scope() else {
            return false;
        };
        let held = |act: Option<ActKind>| {
            ROWS.iter().any(|row| {
                row.sides.contains(&scope.kind)
                    && act.is_none_or(|act| row.act == act)
                    && row.roles.iter().any(|role| actor.roles.contains(role))
            })
        };
        let mut acts = self.acts().map(ActBody::kind).peekable();
        let held = if acts.peek().is_some() {
            acts.all(|act| held(Some(act)))
        } else {
            held(None)
        };
        self.own && actor.site == g.site && held
    }

    fn acts(&self) -> impl Iterator<Item = &ActBody> {
        let writes = self.writes.iter().flatten();
        writes.filter_map(|write| match write {
            Write::Act(_, act) => Some(&act.body),
            Write::Field(..) => None,
        })
    }

    pub(crate) fn row(&self, g: &Ground<'_>, actor: &Actor) -> RejectionRow {
        let of = &self.refused.rejection;
        RejectionRow {
            id: self.refused.id,
            at: self.refused.at,
            case: of.doc.case(),
            what: self.what(g),
            rule: of.rule.clone(),
            reason: of.reason.clone(),
            by: g.node_name(of.by),
            seen: self.refused.seen,
            own: self.own,
            may: self.may(g, actor),
            settled: self.settled.as_ref().map(|settled| Settled {
                at: settled.at,
                person: name(g, settled.person),
                outcome: outcome(&settled.outcome),
            }),
        }
    }

    /// The person at the desk must be able to tell whose paper came back.
    fn what(&self, g: &Ground<'_>) -> String {
        let of = &self.refused.rejection;
        let Some(writes) = &self.writes else {
            let kind = match of.doc.scope().map(|s| s.kind) {
                Some(Kind::Application) => "申请",
                Some(Kind::Handling) => "办理",
                Some(Kind::Notice) => "公示",
                None => "记录",
            };
            return format!(
                "{} {kind} 第 {} 条",
                g.node_name(of.log.writer.node),
                of.seq
            );
        };
        let mut words = Vec::new();
        for write in writes {
            match write {
                Write::Act(_, act) => {
                    words.push(act.body.kind().zh());
                    if let ActBody::Receive(receive) = &act.body {
                        words.push(&receive.number);
                    }
                    if let ActBody::Amend(amend) = &act.body {
                        words.push(fields::label(&amend.field));
                    }
                    if let ActBody::Publish(publish) = &act.body {
                        words.push(&publish.title);
                    }
                }
                Write::Field(name, Some(value)) if name == fields::NAME => {
                    words.push(value.reveal());
                }
                Write::Field(..) => {}
            }
        }
        if let Some(name) = self.whose.as_deref().filter(|name| !words.contains(name)) {
            words.push(name);
        }
        words.join(" ")
    }
}

fn name(g: &Ground<'_>, id: PersonId) -> String {
    let person = g.trust.directory().person(id);
    person.map_or_else(|| id.to_string(), |p| p.name.clone())
}

fn outcome(outcome: &settle::Outcome) -> Outcome {
    match outcome {
        settle::Outcome::Redone(doc) => Outcome::Redone {
            case: doc.case(),
            notice: notice(*doc),
        },
        settle::Outcome::Dropped(reason) => Outcome::Dropped {
            reason: reason.clone(),
        },
    }
}

fn notice(doc: DocId) -> Option<DocId> {
    doc.case().is_none().then_some(doc)
}
