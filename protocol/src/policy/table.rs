//! The rules as data: which act, in which document, from which state, by which role, with which
//! power, on which conditions, to which state.
//!
//! [`super::decide`] judges local commands by these rows, [`super::admit`] foreign changes, and
//! [`crate::fold`] what an act does to a case. A new transition is a row; its number is that of
//! `docs/formats/documents.md`.

use crate::{
    act::{ActBody, ActKind},
    control::Item,
    id::Kind,
    role::{Level, Role},
    state::State,
};

/// One rule.
#[derive(Debug)]
pub struct Row {
    /// Number of the transition; from 51 on: acts that move no case.
    pub number: u8,
    pub act: ActKind,
    /// Which acts of that kind.
    pub when: When,
    /// The kinds of document that may hold it.
    pub sides: &'static [Kind],
    pub from: From,
    /// None: the state stays.
    pub to: Option<State>,
    /// The act carries the first of these the person holds.
    pub roles: &'static [Role],
    pub power: Power,
    /// Asked of a local command only: an act that exists is a fact.
    pub guards: &'static [Guard],
}

/// Tells apart acts of one kind that lead to different states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// Accepted with, or without, materials promised for later.
    Gaps,
    NoGaps,
    Granted,
    NotGranted,
}

/// States a rule starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The case does not exist yet.
    New,
    Any,
    States(&'static [State]),
}

/// What the desk's level must allow, given the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Nothing beyond the right to write the document.
    Write,
    /// May papers be handed in here?
    Receive,
    /// 受理权: the township, and the county for items it decides.
    Accept,
    /// 决定权: only a level the item names, and never a village.
    Decide,
    /// 即办: on-the-spot items at a level that decides them; items done at the point anywhere.
    Finish,
}

/// A condition on a local command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Required fields are there and well-formed, every material line is set.
    Form,
    /// Proxy only where the item allows it, with a mandate that is good today.
    Proxy,
    /// Another open case of the same person and item needs a reason.
    Duplicate,
    /// Correction is told once, with everything that is missing.
    OnceComplete,
    /// What was asked for is handed in.
    Asked,
    /// Promised materials are missing.
    OpenGaps,
    /// Some field has several values.
    Conflict,
    /// Every material is settled, or a deferrable gap with a limit.
    Materials,
    /// No yes with open gaps.
    GapsClosed,
    /// Withdrawal against decision is settled first.
    NoRuling,
    /// There is something to rule on.
    Ruling,
    /// The case that counts is the one linked to.
    NotDuplicate,
    /// A link goes from the later case to the earlier one.
    Earlier,
    /// There is room for one more file; or the file is one this side attached, and still counts.
    Attached,
    MayWithdraw,
    MayCollect,
}

use ActKind as A;
use Guard as G;
use Role::{Agent, Clerk, CountyClerk, Decider, Publisher};
use State as S;

const APPLICATION: &[Kind] = &[Kind::Application];
const HANDLING: &[Kind] = &[Kind::Handling];
const CASE: &[Kind] = &[Kind::Application, Kind::Handling];
const NOTICE: &[Kind] = &[Kind::Notice];

/// Desks that take papers.
const COUNTER: &[Role] = &[Agent, Clerk, CountyClerk];
/// Desks of the authority.
const AUTHORITY: &[Role] = &[Clerk, CountyClerk, Decider];
const REVIEWER: &[Role] = &[Decider, CountyClerk];
const DECIDER: &[Role] = &[Decider];
const ANYONE: &[Role] = &[Agent, Clerk, CountyClerk, Decider];
const PUBLISHER: &[Role] = &[Publisher];

const UNDECIDED: &[State] = &[
    S::Draft,
    S::Received,
    S::Correcting,
    S::Accepted,
    S::Reviewing,
    S::Suspended,
];
const OPEN: &[State] = &[
    S::Draft,
    S::Received,
    S::Correcting,
    S::Accepted,
    S::Reviewing,
    S::Suspended,
    S::DecidedYes,
    S::DecidedNo,
];
const EDITABLE: &[State] = &[
    S::Draft,
    S::Received,
    S::Correcting,
    S::Accepted,
    S::Reviewing,
    S::Suspended,
    S::DecidedYes,
    S::DecidedNo,
    S::Closed,
    S::Delivered,
];

macro_rules! rows {
    ($($n:literal $act:path, $when:path, $sides:ident, $from:expr => $to:expr,
       $roles:ident, $power:path, [$($guard:path),*];)*) => {
        &[$(Row {
            number: $n, act: $act, when: $when, sides: $sides, from: $from, to: $to,
            roles: $roles, power: $power, guards: &[$($guard),*],
        }),*]
    };
}

/// Every rule, in the order of a page's buttons.
pub const ROWS: &[Row] = rows![
    2 A::Open, When::Always, APPLICATION, From::New => Some(S::Draft),
        COUNTER, Power::Receive, [];
    3 A::Receive, When::Always, APPLICATION, From::States(&[S::Draft]) => Some(S::Received),
        COUNTER, Power::Receive, [G::Form, G::Proxy, G::Duplicate];
    5 A::Correct, When::Always, HANDLING, From::States(&[S::Received]) => Some(S::Correcting),
        AUTHORITY, Power::Accept, [G::NotDuplicate, G::OnceComplete];
    6 A::Supplement, When::Always, APPLICATION,
        From::States(&[S::Correcting]) => Some(S::Received),
        COUNTER, Power::Write, [G::Asked];
    7 A::Accept, When::NoGaps, HANDLING, From::States(&[S::Received]) => Some(S::Accepted),
        AUTHORITY, Power::Accept, [G::NotDuplicate, G::Materials];
    8 A::Accept, When::Gaps, HANDLING, From::States(&[S::Received]) => Some(S::Accepted),
        AUTHORITY, Power::Accept, [G::NotDuplicate, G::Materials];
    9 A::Refuse, When::Always, HANDLING, From::States(&[S::Received]) => Some(S::NotAccepted),
        AUTHORITY, Power::Accept, [];
    11 A::Review, When::Always, HANDLING,
        From::States(&[S::Accepted, S::Reviewing]) => Some(S::Reviewing),
        REVIEWER, Power::Accept, [];
    13 A::Supplement, When::Always, APPLICATION,
        From::States(&[S::Accepted, S::Reviewing]) => None,
        COUNTER, Power::Write, [G::OpenGaps, G::Asked];
    15 A::Decide, When::Granted, HANDLING, From::States(&[S::Reviewing]) => Some(S::DecidedYes),
        DECIDER, Power::Decide, [G::NotDuplicate, G::GapsClosed];
    16 A::Decide, When::NotGranted, HANDLING,
        From::States(&[S::Reviewing]) => Some(S::DecidedNo),
        DECIDER, Power::Decide, [G::NotDuplicate];
    17 A::Close, When::Always, HANDLING,
        From::States(&[S::DecidedYes, S::DecidedNo]) => Some(S::Closed),
        AUTHORITY, Power::Accept, [G::NoRuling];
    26 A::Complete, When::Always, CASE, From::States(&[S::Received]) => Some(S::Closed),
        COUNTER, Power::Finish, [G::NotDuplicate, G::Materials];
    18 A::Deliver, When::Always, APPLICATION, From::States(&[S::Closed]) => Some(S::Delivered),
        COUNTER, Power::Write, [G::NoRuling, G::MayCollect];
    19 A::Withdraw, When::Always, APPLICATION, From::States(UNDECIDED) => Some(S::Withdrawn),
        COUNTER, Power::Write, [G::MayWithdraw];
    23 A::Terminate, When::Always, HANDLING, From::States(OPEN) => Some(S::Terminated),
        AUTHORITY, Power::Accept, [G::NoRuling];
    51 A::Amend, When::Always, APPLICATION, From::States(EDITABLE) => None,
        COUNTER, Power::Write, [];
    52 A::Resolve, When::Always, APPLICATION, From::Any => None,
        COUNTER, Power::Write, [G::Conflict];
    53 A::Rule, When::Always, HANDLING, From::Any => None,
        DECIDER, Power::Decide, [G::Ruling];
    54 A::Duplicate, When::Always, CASE, From::Any => None,
        ANYONE, Power::Write, [G::Earlier];
    55 A::Attach, When::Always, CASE, From::Any => None,
        ANYONE, Power::Write, [G::Attached];
    56 A::Detach, When::Always, CASE, From::Any => None,
        ANYONE, Power::Write, [G::Attached];
    61 A::Publish, When::Always, NOTICE, From::Any => None,
        PUBLISHER, Power::Write, [];
    62 A::Retract, When::Always, NOTICE, From::Any => None,
        PUBLISHER, Power::Write, [];
];

impl Row {
    /// Whether this is a rule for that act.
    pub fn is_for(&self, body: &ActBody) -> bool {
        self.act == body.kind()
            && match (self.when, body) {
                (When::Gaps, ActBody::Accept(accept)) => !accept.gaps.is_empty(),
                (When::NoGaps, ActBody::Accept(accept)) => accept.gaps.is_empty(),
                (When::Granted, ActBody::Decide(decide)) => decide.granted,
                (When::NotGranted, ActBody::Decide(decide)) => !decide.granted,
                (When::Always, _) => true,
                (When::Gaps | When::NoGaps | When::Granted | When::NotGranted, _) => false,
            }
    }

    /// Whether it starts from that state; `None`: there is no case yet.
    pub fn starts_from(&self, state: Option<State>) -> bool {
        match (self.from, state) {
            (From::New, None) => true,
            (From::Any, Some(_)) => true,
            (From::States(all), Some(state)) => all.contains(&state),
            (From::New, Some(_)) | (From::Any | From::States(_), None) => false,
        }
    }
}

impl Power {
    /// Whether a desk of that level has it. Of an item nobody here knows, only what needs no
    /// knowledge of it may be done.
    pub fn held_by(self, level: Level, item: Option<&Item>) -> bool {
        let Some(item) = item else {
            return matches!(self, Self::Write | Self::Receive);
        };
        let at_the_point = item.decide.contains(&Level::Village);
        let decides = level > Level::Village && item.decide.contains(&level);
        match self {
            Self::Write => true,
            // A case must not begin above the last level that could decide it.
            Self::Receive => {
                level >= item.receive
                    && (at_the_point || item.decide.iter().any(|decide| *decide >= level))
            }
            Self::Accept => match level {
                Level::Village => false,
                Level::Township => true,
                Level::County => decides,
            },
            Self::Decide => decides,
            Self::Finish => at_the_point || (item.on_the_spot && decides),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Acts of one kind and side never have two rules from one state.
    #[test]
    fn the_table_never_says_two_things() {
        for (i, a) in ROWS.iter().enumerate() {
            for b in &ROWS[i + 1..] {
                let same = a.act == b.act && a.when == b.when;
                let meet = State::ALL
                    .iter()
                    .any(|s| a.starts_from(Some(*s)) && b.starts_from(Some(*s)));
                assert!(!(same && meet), "{} and {}", a.number, b.number);
            }
        }
    }

    #[test]
    fn every_act_has_a_rule_and_every_number_is_used_once() {
        let numbers: BTreeSet<_> = ROWS.iter().map(|r| r.number).collect();
        assert_eq!(numbers.len(), ROWS.len());
        for number in [2, 3, 5, 6, 7, 8, 9, 11, 15, 16, 17, 18, 19, 23, 26] {
            assert!(numbers.contains(&number), "{number}");
        }
        let kinds: BTreeSet<_> = ROWS.iter().map(|r| r.act).collect();
        assert_eq!(kinds.len(), 21);
    }

    #[test]
    fn nothing_moves_out_of_a_final_state() {
        for row in ROWS.iter().filter(|r| r.to.is_some()) {
            for state in [
                S::Withdrawn,
                S::Terminated,
                S::NotAccepted,
                S::Archived,
                S::Consult,
            ] {
                assert!(
                    !row.starts_from(Some(state)),
                    "{} from {state:?}",
                    row.number
                );
            }
        }
    }

    #[test]
    fn powers_follow_the_level_the_item_names() {
        let item = |receive, decide: &[Level], on_the_spot| Item {
            receive,
            decide: decide.to_vec(),
            on_the_spot,
            ..crate::fold::fixture::item()
        };
        use Level::{County, Township, Village};
        let county = item(Village, &[County], false);
        assert!(
            Power::Accept.held_by(Township, Some(&county)),
            "乡镇受理、县决定"
        );
        assert!(Power::Accept.held_by(County, Some(&county)));
        assert!(!Power::Accept.held_by(Village, Some(&county)));
        assert!(!Power::Decide.held_by(Township, Some(&county)));
        assert!(Power::Decide.held_by(County, Some(&county)));
        let town = item(Township, &[Township], true);
        assert!(!Power::Accept.held_by(County, Some(&town)));
        assert!(!Power::Receive.held_by(Village, Some(&town)));
        assert!(
            !Power::Receive.held_by(County, Some(&town)),
            "nobody there could decide"
        );
        assert!(Power::Finish.held_by(Township, Some(&town)));
        assert!(!Power::Finish.held_by(Village, Some(&town)));
        let point = item(Village, &[Village], false);
        assert!(Power::Finish.held_by(Village, Some(&point)));
        assert!(Power::Receive.held_by(Township, Some(&point)));
        assert!(
            !Power::Decide.held_by(Village, Some(&point)),
            "a village never decides"
        );
        assert!(!Power::Accept.held_by(Township, None));
    }
}
