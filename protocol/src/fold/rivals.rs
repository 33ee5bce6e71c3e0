//! Withdrawal against decision (撤回与决定): which of the two stands.
//!
//! If one desk knew of the other's act, that is the order. Else the earlier by clocks that can
//! be believed and are far enough apart. Else the decision is kept and the deciding body rules.

use std::collections::BTreeSet;

use super::{
    Ground,
    order::{Line, Placed},
    walk::{Script, Walk},
};
use crate::{
    act::{ActBody, ActKind},
    control::Item,
    id::ActId,
    limits,
    policy::table::Power,
    time::ClockState,
};

/// What came of all pairs.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) script: Script,
    pub(super) needs_ruling: bool,
}

/// Settles pair after pair until no withdrawal and decision stand against each other.
pub(super) fn settle(line: &Line<'_>, ground: &Ground<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let has = |kind| line.acts.iter().any(|a| a.read.act.body.kind() == kind);
    if !has(ActKind::Withdraw) || !has(ActKind::Decide) {
        return verdict;
    }
    // Acts that order itself makes void: left out of the trials only.
    let mut passed = BTreeSet::new();
    // Each round takes one act out of the trials.
    for _round in 0..=line.acts.len() {
        let trial = |without, alone: ActKind| {
            let script = Script {
                without: Some(without),
                without_acts: passed.clone(),
                ..verdict.script.clone()
            };
            let walk = Walk::along(line, ground, &script);
            let first = walk.first(alone).and_then(|id| line.find(id));
            first.map(|placed| (*placed, walk.item(ground)))
        };
        let decided = trial(ActKind::Withdraw, ActKind::Decide);
        let withdrawn = trial(ActKind::Decide, ActKind::Withdraw);
        let (Some((decision, item)), Some((withdrawal, _))) = (decided, withdrawn) else {
            break;
        };
        match judge(line, ground, item, &withdrawal, &decision) {
            Outcome::Order { later } => {
                passed.insert(later);
            }
            Outcome::Withdrawal { ruling } => {
                let (lost, won) = (decision.read.id, withdrawal.read.id);
                verdict.script.overruled.insert(lost, won);
                verdict.script.ruling = verdict.script.ruling.or(ruling);
            }
            Outcome::Decision { ruling, doubt } => {
                let (lost, won) = (withdrawal.read.id, decision.read.id);
                verdict.script.overruled.insert(lost, won);
                verdict.script.ruling = verdict.script.ruling.or(ruling);
                verdict.needs_ruling |= doubt;
            }
        }
    }
    verdict
}

enum Outcome {
    /// One knew of the other; the later is out of state by itself.
    Order {
        later: ActId,
    },
    Withdrawal {
        ruling: Option<ActId>,
    },
    Decision {
        ruling: Option<ActId>,
        doubt: bool,
    },
}

fn judge(
    line: &Line<'_>,
    ground: &Ground<'_>,
    item: Option<&Item>,
    withdrawal: &Placed<'_>,
    decision: &Placed<'_>,
) -> Outcome {
    let (w, d) = (&withdrawal.read, &decision.read);
    if line.knew(withdrawal, decision) {
        return Outcome::Order { later: w.id };
    }
    if line.knew(decision, withdrawal) {
        return Outcome::Order { later: d.id };
    }
    let believed = w.act.clock == ClockState::Ok && d.act.clock == ClockState::Ok;
    let gap = w.act.at.since(d.act.at);
    if believed && gap.saturating_abs() >= limits::CLOCK_DOUBT_MS {
        return if gap < 0 {
            Outcome::Withdrawal { ruling: None }
        } else {
            Outcome::Decision {
                ruling: None,
                doubt: false,
            }
        };
    }
    match ruling(line, ground, item, withdrawal, decision) {
        Some((id, true)) => Outcome::Withdrawal { ruling: Some(id) },
        Some((id, false)) => Outcome::Decision {
            ruling: Some(id),
            doubt: false,
        },
        None => Outcome::Decision {
            ruling: None,
            doubt: true,
        },
    }
}

/// The first ruling by somebody with the power who had both acts in hand, and whether the
/// withdrawal stands by it.
fn ruling(
    line: &Line<'_>,
    ground: &Ground<'_>,
    item: Option<&Item>,
    withdrawal: &Placed<'_>,
    decision: &Placed<'_>,
) -> Option<(ActId, bool)> {
    line.acts.iter().find_map(|placed| {
        let ActBody::Rule(rule) = &placed.read.act.body else {
            return None;
        };
        let act = &placed.read.act;
        let level = ground.places.site(act.site)?.level;
        let valid = act.role == crate::role::Role::Decider
            && Power::Decide.held_by(level, item)
            && line.knew(placed, withdrawal)
            && line.knew(placed, decision);
        valid.then_some((placed.read.id, rule.withdrawn))
    })
}
