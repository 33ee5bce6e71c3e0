//! Local commands: judged by the table, turned into writes, or refused in words.

use jiff::civil::Date;

use super::{
    content::{self, Flaw, blank},
    guards::{self, Asked},
    intake, notices, parse,
    rights::writes,
    table::{ROWS, Row},
};
use crate::{
    act::{Act, ActBody, ActKind, Amend, Resolve},
    calendar::{Calendar, civil_day},
    case::{Case, Field},
    command::{Actor, Command},
    control::{Catalogue, Item, Places},
    document::Write,
    fields::MaterialState,
    fold::settled,
    id::{ActId, CaseId, DocId, Kind},
    notice::NoticeState,
    refusal::Refusal,
    role::{Level, Role},
    state::State,
    text::Private,
    time::{ClockState, Millis},
};

/// What the node knows that the command touches.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub catalogue: &'a Catalogue,
    pub calendar: &'a Calendar,
    pub places: &'a Places,
    /// The case the command is about, folded; for a notice, the case it names.
    pub case: Option<&'a Case>,
    /// The case that a [`crate::act::Duplicate`] links to.
    pub other: Option<&'a Case>,
    /// Numbers of other open cases of the same person and item, for intake.
    pub duplicates: &'a [String],
    /// The notice the command is about.
    pub notice: Option<&'a NoticeState>,
}

/// Names for new things; called only for a command that is allowed.
pub trait Source {
    /// The next act id of this node's writer: later than every act it knows.
    fn act(&mut self) -> ActId;
    /// Eleven bytes no other case or notice of the site has: milliseconds and chance.
    fn unique(&mut self) -> [u8; 11];
    /// The next case number.
    ///
    /// # Errors
    /// None left, or no place to number for.
    fn number(&mut self) -> Result<String, Refusal>;
}

/// The moment, the clock that tells it, and names for what is made.
pub struct Now<'a> {
    pub at: Millis,
    pub clock: ClockState,
    pub source: &'a mut dyn Source,
}

/// Writes per document, each one change.
pub type Writes = Vec<(DocId, Vec<Write>)>;

/// Judges a command. The actor's site is the node's.
///
/// # Errors
/// Why not, for the person who asked. Of a form, everything that is wrong at once.
pub fn decide(
    actor: &Actor,
    command: &Command,
    facts: &Facts<'_>,
    now: &mut Now<'_>,
) -> Result<Writes, Refusal> {
    let place = facts.places.site(actor.site).ok_or(Refusal::NotEnrolled)?;
    let mut desk = Desk {
        actor,
        level: place.level,
        facts,
        today: civil_day(now.at),
        now,
    };
    match command {
        Command::Log(log) => intake::log(&mut desk, log),
        Command::Act { case, body } => act(&mut desk, *case, body),
        Command::Amend {
            case,
            field,
            value,
            reason,
        } => {
            let amend = Amend {
                field: field.clone(),
                reason: reason.trim().to_owned(),
            };
            let body = ActBody::Amend(amend.clone());
            edit(&mut desk, *case, body, |desk, case, item| {
                amended(desk, case, item, &amend, value)
            })
        }
        Command::Resolve {
            case,
            field,
            value,
            reason,
        } => {
            let body = ActBody::Resolve(Resolve {
                field: field.clone(),
                reason: reason.trim().to_owned(),
            });
            edit(&mut desk, *case, body, |_, case, _| {
                chosen(case, field, value)
            })
        }
        Command::PublishNotice(publish) => notices::publish(&mut desk, publish),
        Command::ReviseNotice { notice, version } => notices::revise(&mut desk, *notice, version),
        Command::RetractNotice { notice, reason } => notices::retract(&mut desk, *notice, reason),
    }
}

/// A person at a desk with something to do.
pub(super) struct Desk<'a, 'n> {
    pub(super) actor: &'a Actor,
    pub(super) level: Level,
    pub(super) facts: &'a Facts<'a>,
    pub(super) today: Date,
    pub(super) now: &'a mut Now<'n>,
}

impl Desk<'_, '_> {
    /// The day by which values are checked; none while the clock cannot be believed.
    pub(super) fn trusted_today(&self) -> Option<Date> {
        (self.now.clock == ClockState::Ok).then_some(self.today)
    }

    /// The rule that allows this act in this document now, and the role it is done in.
    pub(super) fn rule(
        &self,
        body: &ActBody,
        side: Kind,
        state: Option<State>,
        item: Option<&Item>,
    ) -> Result<(&'static Row, Role), Refusal> {
        let kind = body.kind();
        let fits = |row: &&Row| row.is_for(body) && row.sides.contains(&side);
        let rules: Vec<&'static Row> = ROWS.iter().filter(fits).collect();
        let first = rules.first().ok_or(Refusal::NotYourSite)?;
        let held = |role: &&Role| self.actor.roles.contains(role);
        let role = first.roles.iter().find(held);
        let role = *role.ok_or_else(|| Refusal::NotYourRole(kind.zh()))?;
        if !first.power.held_by(self.level, item) {
            return Err(Refusal::NotThisLevel);
        }
        let row = rules.into_iter().find(|row| row.starts_from(state));
        let row = row.ok_or_else(|| Refusal::WrongState {
            state: state.unwrap_or(State::Draft).zh(),
            act: kind.zh(),
        })?;
        flawless(body)?;
        Ok((row, role))
    }

    /// Whether this site writes into that document.
    pub(super) fn writable(&self, doc: DocId) -> Result<(), Refusal> {
        let scope = doc.scope().ok_or(Refusal::NotYourSite)?;
        if writes(self.facts.places, self.actor.site, self.level, scope) {
            Ok(())
        } else {
            Err(Refusal::NotYourSite)
        }
    }

    /// The act as it is written, under a new id.
    pub(super) fn act(&mut self, role: Role, saw: Option<ActId>, body: ActBody) -> Write {
        let act = Act {
            person: self.actor.person,
            role,
            at: self.now.at,
            clock: self.now.clock,
            saw,
            body,
            site: self.actor.site,
        };
        Write::Act(self.now.source.act(), act)
    }

    fn case(&self, id: CaseId) -> Result<(&Case, &Item), Refusal> {
        let case = self.facts.case.filter(|case| case.id == id);
        let case = case.ok_or(Refusal::NoSuchCase)?;
        let item = self.facts.catalogue.pinned(&case.item, case.item_version);
        let item = item.ok_or_else(|| Refusal::NoSuchItem(case.item.clone()))?;
        Ok((case, item))
    }
}

/// Refuses what is wrong with an act by itself.
pub(super) fn flawless(body: &ActBody) -> Result<(), Refusal> {
    let mut fields = Vec::new();
    for flaw in content::flaws(body) {
        match flaw {
            Flaw::Missing(what) => return Err(Refusal::ReasonMissing(what)),
            Flaw::TooLong { field, max } => return Err(Refusal::TooLong { field, max }),
            Flaw::Field { field, why } => fields.push((field.to_owned(), why)),
        }
    }
    Refusal::of_fields(fields).map_or(Ok(()), Err)
}

/// The latest act of the other document this desk has seen.
fn saw(case: &Case, side: Kind) -> Option<ActId> {
    let others = case.timeline.iter().rev().filter(|e| e.side != side);
    others.map(|e| e.id).next()
}

/// The document an act of this desk goes into: the applicant's side where the papers are.
fn side(desk: &Desk<'_, '_>, case: &Case, kind: ActKind) -> Kind {
    let on = |side| {
        ROWS.iter()
            .any(|r| r.act == kind && r.sides.contains(&side))
    };
    let receiving = desk.actor.site == case.site;
    if on(Kind::Application) && (receiving || !on(Kind::Handling)) {
        Kind::Application
    } else {
        Kind::Handling
    }
}

fn act(desk: &mut Desk<'_, '_>, id: CaseId, body: &ActBody) -> Result<Writes, Refusal> {
    let kind = body.kind();
    match kind {
        ActKind::Open | ActKind::Amend | ActKind::Resolve | ActKind::Publish | ActKind::Retract => {
            return Err(Refusal::NotByItself(kind.zh()));
        }
        ActKind::Receive
        | ActKind::Supplement
        | ActKind::Withdraw
        | ActKind::Deliver
        | ActKind::Correct
        | ActKind::Accept
        | ActKind::Refuse
        | ActKind::Review
        | ActKind::Decide
        | ActKind::Close
        | ActKind::Terminate
        | ActKind::Complete
        | ActKind::Rule
        | ActKind::Duplicate
        | ActKind::Attach
        | ActKind::Detach => {}
    }
    let (case, item) = desk.case(id)?;
    let side = side(desk, case, kind);
    let doc = id.doc(side);
    desk.writable(doc)?;
    let (row, role) = desk.rule(body, side, Some(case.state), Some(item))?;
    let mut materials = case.materials.clone();
    let mut fields = Vec::new();
    if kind == ActKind::Receive {
        intake::received(desk, case, item, &mut materials, &mut fields)?;
    }
    let asked = Asked {
        body,
        side,
        role,
        item,
        materials: &materials,
        case: Some(case),
        facts: desk.facts,
        today: desk.today,
    };
    guards::check(row, &asked)?;
    if let ActBody::Supplement(supplement) = body {
        for index in &supplement.materials {
            if !settled(materials.get(index).map(String::as_str)) {
                let word = Private::new(MaterialState::Original.word());
                let field = parse::material_field(*index);
                fields.push(Write::Field(field, Some(word)));
            }
        }
    }
    let saw = saw(case, side);
    let mut body = body.clone();
    if let ActBody::Receive(receive) = &mut body {
        receive.number = desk.now.source.number()?;
    }
    let mut writes = vec![desk.act(role, saw, body)];
    writes.append(&mut fields);
    Ok(vec![(doc, writes)])
}

/// An edit of one field of the application, with the act that answers for it. `value` judges what
/// is asked and gives what is written; none clears the field.
fn edit(
    desk: &mut Desk<'_, '_>,
    id: CaseId,
    body: ActBody,
    value: impl FnOnce(&Desk<'_, '_>, &Case, &Item) -> Result<Option<Private>, Refusal>,
) -> Result<Writes, Refusal> {
    let (case, item) = desk.case(id)?;
    let doc = id.doc(Kind::Application);
    desk.writable(doc)?;
    let (_, role) = desk.rule(&body, Kind::Application, Some(case.state), Some(item))?;
    let value = value(desk, case, item)?;
    let field = body.edits().unwrap_or_default().to_owned();
    let saw = saw(case, Kind::Application);
    let act = desk.act(role, saw, body);
    Ok(vec![(doc, vec![act, Write::Field(field, value)])])
}

fn amended(
    desk: &Desk<'_, '_>,
    case: &Case,
    item: &Item,
    amend: &Amend,
    value: &Private,
) -> Result<Option<Private>, Refusal> {
    let field = amend.field.as_str();
    let wrong = |why: &str| Refusal::field(field, why);
    let draft = case.state == State::Draft;
    if !draft && blank(&amend.reason) {
        return Err(Refusal::ReasonMissing("更正的理由"));
    }
    if matches!(case.fields.get(field), Some(Field::Conflict(_))) {
        return Err(wrong("有几个不同的值，请先选定其中一个"));
    }
    let index = parse::material_index(field);
    if index.is_some_and(|i| usize::try_from(i).is_ok_and(|i| i >= item.materials.len())) {
        return Err(wrong("没有这项材料"));
    }
    let before = match index {
        Some(index) => case.materials.get(&index).map(String::as_str),
        None => case.fields.get(field).map(|f| f.first().reveal()),
    };
    let after = if blank(value.reveal()) {
        if !draft && (parse::REQUIRED.contains(&field) || index.is_some()) {
            return Err(wrong("不能为空"));
        }
        None
    } else {
        let value = parse::canonical(field, value.reveal(), desk.trusted_today());
        Some(value.map_err(|why| wrong(&why))?)
    };
    if before == after.as_deref() {
        return Err(wrong("与原来的内容相同"));
    }
    Ok(after.map(Private::new))
}

fn chosen(case: &Case, field: &str, value: &Private) -> Result<Option<Private>, Refusal> {
    let Some(Field::Conflict(candidates)) = case.fields.get(field) else {
        return Err(Refusal::field(field, "这一栏没有冲突"));
    };
    if candidates.iter().all(|c| c.value != *value) {
        return Err(Refusal::field(field, "请选定其中一个值"));
    }
    Ok(Some(value.clone()))
}
