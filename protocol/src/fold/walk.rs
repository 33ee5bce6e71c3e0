//! Act after act: what each does to the case, or why it does nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Ground,
    order::{Line, Placed},
};
use crate::{
    act::{ActBody, ActKind, Mandate},
    case::{Event, Void},
    control::Item,
    id::{ActId, CaseId, Kind},
    policy::table::{Power, ROWS, Row},
    state::State,
    time::Millis,
};

/// What a walk is told beforehand.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    /// Acts that lost against another act: void, with the winner.
    pub(super) overruled: BTreeMap<ActId, ActId>,
    /// The one ruling that counts.
    pub(super) ruling: Option<ActId>,
    /// Left out, to see what would be without them.
    pub(super) without: Option<ActKind>,
    pub(super) without_acts: BTreeSet<ActId>,
}

/// A case at the end of its acts.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// None until it is opened.
    pub(super) state: Option<State>,
    pub(super) events: Vec<Event>,
    pub(super) item: String,
    pub(super) item_version: u32,
    pub(super) number: Option<String>,
    pub(super) mandate: Option<Mandate>,
    pub(super) late_entry: bool,
    pub(super) on_the_spot: bool,
    pub(super) double_correction: bool,
    pub(super) duplicate_of: Option<CaseId>,
    pub(super) gaps: Vec<u32>,
    pub(super) gap_days: u16,
    /// Calendar days of the correction that runs.
    pub(super) correction_days: u16,
    pub(super) times: Times,
    effective: Vec<(ActId, ActKind, u8)>,
}

/// When what counts happened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) received: Option<Millis>,
    /// The authority's first act.
    pub(super) authority: Option<Millis>,
    pub(super) corrected: Option<Millis>,
    pub(super) supplemented: Option<Millis>,
    pub(super) accepted: Option<Millis>,
    pub(super) decided: Option<Millis>,
    pub(super) closed: Option<Millis>,
    pub(super) delivered: Option<Millis>,
}

impl Walk {
    pub(super) fn along(line: &Line<'_>, ground: &Ground<'_>, script: &Script) -> Self {
        let mut walk = Self::default();
        for placed in &line.acts {
            let (id, kind) = (placed.read.id, placed.read.act.body.kind());
            if script.without == Some(kind) || script.without_acts.contains(&id) {
                continue;
            }
            let judged = match script.overruled.get(&id) {
                Some(winner) => Err(Void::Overruled(*winner)),
                None => walk.judge(line, ground, script, placed),
            };
            let void = match judged {
                Ok(row) => {
                    walk.effective.push((id, kind, row.number));
                    walk.state = row.to.or(walk.state);
                    walk.note(placed);
                    None
                }
                Err(void) => Some(void),
            };
            walk.events.push(event(placed, void));
        }
        walk
    }

    /// The first act of that kind that had an effect.
    pub(super) fn first(&self, kind: ActKind) -> Option<ActId> {
        let mut all = self.effective.iter();
        all.find(|(_, k, _)| *k == kind).map(|(id, ..)| *id)
    }

    /// The item the case is pinned to, when this node has it.
    pub(super) fn item<'g>(&self, ground: &Ground<'g>) -> Option<&'g Item> {
        ground.catalogue.pinned(&self.item, self.item_version)
    }

    /// The rule by which the act has its effect.
    fn judge(
        &self,
        line: &Line<'_>,
        ground: &Ground<'_>,
        script: &Script,
        placed: &Placed<'_>,
    ) -> Result<&'static Row, Void> {
        let (act, kind) = (&placed.read.act, placed.read.act.body.kind());
        let fits = |row: &&Row| row.is_for(&act.body) && row.sides.contains(&placed.side);
        let rules: Vec<&'static Row> = ROWS.iter().filter(fits).collect();
        if !self.has_power(ground, placed, &rules) {
            return Err(Void::Power);
        }
        if let Some(first) = self.repeats(placed, &rules) {
            let twin = kind == ActKind::Correct
                && line
                    .find(first)
                    .is_some_and(|first| !line.knew(placed, first));
            if !twin {
                return Err(Void::Repeated(first));
            }
            // Told twice, neither desk knowing: both lists stand, the violation is flagged.
            return Ok(TWIN);
        }
        if kind == ActKind::Rule && script.ruling != Some(placed.read.id) {
            return Err(self.out_of_state(kind));
        }
        let rule = rules.into_iter().find(|row| row.starts_from(self.state));
        rule.ok_or_else(|| self.out_of_state(kind))
    }

    fn has_power(&self, ground: &Ground<'_>, placed: &Placed<'_>, rules: &[&Row]) -> bool {
        let act = &placed.read.act;
        let Some(power) = rules.first().map(|row| row.power) else {
            return false;
        };
        let role = rules.iter().any(|row| row.roles.contains(&act.role));
        match power {
            // The item is not known before the act that names it, and papers taken at the wrong
            // desk are taken.
            Power::Write | Power::Receive => role,
            Power::Accept | Power::Decide | Power::Finish => {
                let level = ground.places.site(act.site).map(|place| place.level);
                role && level.is_some_and(|level| power.held_by(level, self.item(ground)))
            }
        }
    }

    /// The earlier act this one does again.
    fn repeats(&self, placed: &Placed<'_>, rules: &[&Row]) -> Option<ActId> {
        let kind = placed.read.act.body.kind();
        match kind {
            ActKind::Supplement
            | ActKind::Review
            | ActKind::Amend
            | ActKind::Resolve
            | ActKind::Rule
            | ActKind::Publish
            | ActKind::Retract
            | ActKind::Attach
            | ActKind::Detach => None,
            ActKind::Open
            | ActKind::Receive
            | ActKind::Withdraw
            | ActKind::Deliver
            | ActKind::Correct
            | ActKind::Accept
            | ActKind::Refuse
            | ActKind::Decide
            | ActKind::Close
            | ActKind::Terminate
            | ActKind::Complete
            | ActKind::Duplicate => {
                let same = |number: u8| rules.iter().any(|row| row.number == number);
                let mut all = self.effective.iter();
                all.find(|(_, k, number)| *k == kind && same(*number))
                    .map(|(id, ..)| *id)
            }
        }
    }

    fn out_of_state(&self, act: ActKind) -> Void {
        Void::State {
            was: self.state.unwrap_or(State::Draft),
            act,
        }
    }

    /// Takes down what the act said.
    fn note(&mut self, placed: &Placed<'_>) {
        let at = placed.read.act.at;
        let times = &mut self.times;
        if placed.side == Kind::Handling {
            times.authority.get_or_insert(at);
        }
        match &placed.read.act.body {
            ActBody::Open(open) => {
                self.item.clone_from(&open.item);
                self.item_version = open.item_version;
            }
            ActBody::Receive(receive) => {
                self.number = Some(receive.number.clone());
                self.mandate.clone_from(&receive.mandate);
                self.late_entry = receive.taken.is_some();
                times.received = Some(receive.taken.as_ref().map_or(at, |taken| taken.at));
            }
            ActBody::Correct(correct) => {
                self.double_correction |= times.corrected.is_some();
                self.correction_days = self.correction_days.max(correct.days);
                times.corrected.get_or_insert(at);
            }
            ActBody::Supplement(_) => times.supplemented = Some(at),
            ActBody::Accept(accept) => {
                self.gaps.clone_from(&accept.gaps);
                self.gap_days = accept.gap_days;
                times.accepted = Some(at);
            }
            ActBody::Decide(_) => times.decided = Some(at),
            ActBody::Close(_) => times.closed = Some(at),
            ActBody::Complete(_) => {
                self.on_the_spot = true;
                times.closed = Some(at);
            }
            ActBody::Deliver(_) => times.delivered = Some(at),
            ActBody::Duplicate(duplicate) => self.duplicate_of = Some(duplicate.of),
            ActBody::Withdraw(_)
            | ActBody::Refuse(_)
            | ActBody::Review(_)
            | ActBody::Terminate(_)
            | ActBody::Resolve(_)
            | ActBody::Rule(_)
            | ActBody::Amend(_)
            | ActBody::Publish(_)
            | ActBody::Retract(_)
            | ActBody::Attach(_)
            | ActBody::Detach(_) => {}
        }
    }
}

/// The second of two correction notices that did not know of each other: it stands beside the
/// first and moves nothing.
static TWIN: &Row = &Row {
    number: 0,
    act: ActKind::Correct,
    when: crate::policy::table::When::Always,
    sides: &[],
    from: crate::policy::table::From::Any,
    to: None,
    roles: &[],
    power: Power::Accept,
    guards: &[],
};

fn event(placed: &Placed<'_>, void: Option<Void>) -> Event {
    let act = &placed.read.act;
    Event {
        id: placed.read.id,
        side: placed.side,
        person: act.person,
        role: act.role,
        site: act.site,
        at: act.at,
        clock: act.clock,
        body: act.body.clone(),
        change: placed.read.change,
        void,
    }
}
