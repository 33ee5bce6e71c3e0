//! Whatever acts there are and however they come, every node sees the same case.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    act::*,
    fold::fixture::*,
    id::Kind,
    role::Role,
    time::{ClockState, Millis},
};

fn body(n: u8) -> ActBody {
    match n % 19 {
        0 => open(RELIEF),
        1 => receive("1"),
        2 => ActBody::Supplement(Supplement {
            materials: vec![0],
            note: String::new(),
        }),
        3 | 4 => ActBody::Withdraw(reason("不办了")),
        5 => deliver(),
        6 => correct(&[u32::from(n)]),
        7 => ActBody::Accept(Accept::default()),
        8 => ActBody::Accept(Accept {
            gaps: vec![3],
            gap_days: u16::from(n),
            note: String::new(),
        }),
        9 => ActBody::Refuse(Refuse {
            reason: String::new(),
            basis: String::new(),
            competent: String::new(),
        }),
        10 => ActBody::Review(reason("")),
        11 | 12 => decide(n > 100),
        13 => close(),
        14 => ActBody::Terminate(reason("")),
        15 => ActBody::Complete(Close {
            result: String::new(),
            result_number: String::new(),
        }),
        16 => ActBody::Rule(Rule {
            withdrawn: n > 100,
            reason: String::new(),
        }),
        17 => ActBody::Duplicate(Duplicate {
            of: case_id(),
            reason: String::new(),
        }),
        _ => ActBody::Publish(Publish {
            title: String::new(),
            body: String::new(),
            places: vec![],
            category: String::new(),
            from: String::new(),
            until: None,
            case: None,
            correction: String::new(),
        }),
    }
}

#[derive(Debug, Clone)]
struct Step {
    desk: usize,
    /// Whose work it has taken in before.
    pulls: Vec<usize>,
    what: u8,
    amend: bool,
    minutes: i64,
    suspect: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0_usize..5,
        prop::collection::vec(0_usize..5, 0..2),
        any::<u8>(),
        prop::bool::weighted(0.2),
        prop_oneof![8 => 0_i64..30, 1 => -10_000_000_i64..10_000_000],
        prop::bool::weighted(0.1),
    );
    let step = step.prop_map(|(desk, pulls, what, amend, minutes, suspect)| Step {
        desk,
        pulls,
        what,
        amend,
        minutes,
        suspect,
    });
    prop::collection::vec(step, 1..25)
}

fn desks() -> Vec<Desk> {
    vec![
        Desk::new(1, VILLAGE, Role::Agent),
        Desk::new(8, VILLAGE, Role::Agent),
        Desk::new(2, TOWNSHIP, Role::Decider),
        Desk::new(3, COUNTY, Role::Decider),
        Desk::new(4, TOWNSHIP, Role::Clerk),
    ]
}

/// Plays the steps; the first desk logs the case so that they meet something.
fn play(steps: &[Step]) -> Vec<Desk> {
    let mut desks = desks();
    desks[0].log(RELIEF);
    for step in steps {
        for from in &step.pulls {
            let other = desks[*from].clone();
            desks[step.desk].pull(&other);
        }
        let desk = &mut desks[step.desk];
        desk.now = Millis(desk.now.0 + step.minutes * MINUTE);
        desk.clock_state = if step.suspect {
            ClockState::Suspect
        } else {
            ClockState::Ok
        };
        if step.amend {
            let field = ["phone", "address", "material.0"][usize::from(step.what % 3)];
            desk.amend(field, &step.what.to_string());
        } else {
            let side = if step.desk < 2 {
                Kind::Application
            } else {
                Kind::Handling
            };
            desk.write(side, vec![body(step.what)], &[]);
        }
    }
    desks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_order_of_exchange_gives_the_same_case_and_no_act_is_lost(
        steps in steps(),
        order in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let desks = play(&steps);
        let mut forward = Desk::new(9, COUNTY, Role::Decider);
        let mut shuffled = forward.clone();
        for i in 0..desks.len() {
            forward.pull(&desks[i]);
            shuffled.pull(&desks[order[i]]);
        }
        let case = forward.case();
        prop_assert_eq!(&case, &shuffled.case());
        // Taking part in the exchange twice changes nothing.
        for desk in &desks {
            shuffled.pull(desk);
        }
        prop_assert_eq!(&case, &shuffled.case());
        let shown: BTreeSet<_> = case.timeline.iter().map(|e| e.id).collect();
        for doc in [&forward.application, &forward.handling] {
            for act in doc.reading().unwrap().acts {
                prop_assert!(shown.contains(&act.id), "{} is gone", act.id);
            }
        }
        prop_assert_eq!(shown.len(), case.timeline.len());
    }

    /// Half a case (one document not here yet, or only its beginning) is a case too.
    #[test]
    fn whatever_has_arrived_so_far_folds(steps in steps(), upto in 0_usize..25) {
        let mut whole = Desk::new(9, COUNTY, Role::Decider);
        for desk in play(&steps) {
            whole.pull(&desk);
        }
        let mut part = Desk::new(9, COUNTY, Role::Decider);
        for change in whole.handling.changes().iter().take(upto) {
            part.handling.apply(&change.bytes).unwrap();
        }
        part.case();
        for change in whole.application.changes().iter().take(upto) {
            part.application.apply(&change.bytes).unwrap();
            part.case();
        }
    }
}

#[test]
fn a_clock_twenty_years_off_does_not_put_the_acceptance_before_the_receipt() {
    for years in [-20, 20] {
        let mut village = Desk::new(1, VILLAGE, Role::Agent).at(MONDAY.after(years * 365 * DAY));
        village.log(RELIEF);
        let mut township = Desk::new(2, TOWNSHIP, Role::Clerk);
        township.pull(&village);
        township.handle(ActBody::Accept(Accept::default()));
        let case = township.case();
        assert_eq!(case.state, crate::state::State::Accepted, "{years} years");
        assert!(case.timeline.iter().all(|e| e.void.is_none()));
    }
}

#[test]
fn a_desk_that_claims_to_have_seen_the_future_is_folded_too() {
    let (mut village, mut township, _) = logged(RELIEF);
    let future = crate::id::ActId::of(MONDAY.after(2 * HOUR), 0, township.actor);
    let id = crate::id::ActId::of(MONDAY.after(HOUR), 9, village.actor);
    let act = |saw, site, role, body| Act {
        person: village.person,
        role,
        at: MONDAY,
        clock: ClockState::Ok,
        saw: Some(saw),
        body,
        site,
    };
    let claims = act(future, VILLAGE, Role::Agent, ActBody::Withdraw(reason("x")));
    let answers = act(id, TOWNSHIP, Role::Decider, decide(true));
    let write = crate::document::Write::Act(id, claims);
    village
        .application
        .write(village.actor, MONDAY, &[write])
        .unwrap();
    let write = crate::document::Write::Act(future, answers);
    township
        .handling
        .write(township.actor, MONDAY, &[write])
        .unwrap();
    village.pull(&township);
    township.pull(&village);
    assert_eq!(village.case(), township.case());
    assert_eq!(village.case().timeline.len(), 4);
}
