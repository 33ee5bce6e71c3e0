//! The three readers of the table agree: what `decide` allows has its effect in the fold and is
//! admitted elsewhere; what has no effect, `decide` does not allow.

use super::*;
use crate::{case::Void, policy::table::ROWS, state::State};

/// Cases in every state that the rules lead to, as all desks know them.
fn cases() -> Vec<(State, Desk, Desk)> {
    let accept = || ActBody::Accept(Accept::default());
    let review = || ActBody::Review(reason("初审"));
    let decided = |granted| crate::fold::fixture::decide(granted);
    let refuse = || {
        ActBody::Refuse(Refuse {
            reason: "不属于职权".into(),
            basis: "第三条".into(),
            competent: String::new(),
        })
    };
    let paths: Vec<Vec<ActBody>> = vec![
        vec![],
        vec![correct(&[0])],
        vec![refuse()],
        vec![accept()],
        vec![accept(), review()],
        vec![accept(), review(), decided(true)],
        vec![accept(), review(), decided(false)],
        vec![accept(), review(), decided(true), close()],
        vec![ActBody::Terminate(reason("申请人死亡"))],
    ];
    let mut out = Vec::new();
    for path in paths {
        let (mut village, mut township, _) = received(RELIEF);
        for body in path {
            perform(&mut township, &act(body)).unwrap();
        }
        village.pull(&township);
        out.push((township.case().state, village, township));
    }
    let (mut village, mut township, _) = received(RELIEF);
    perform(&mut village, &act(ActBody::Withdraw(reason("不办了")))).unwrap();
    township.pull(&village);
    out.push((State::Withdrawn, village, township));
    let (_, mut village, mut township) = out[7].clone();
    perform(&mut village, &act(deliver())).unwrap();
    township.pull(&village);
    out.push((State::Delivered, village, township));
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    let mut draft = form(RELIEF);
    draft.receive = false;
    perform(&mut village, &Command::Log(draft)).unwrap();
    let mut township = Desk::new(2, TOWNSHIP, Role::Decider).at(MONDAY.after(HOUR));
    township.pull(&village);
    out.push((State::Draft, village, township));
    out
}

fn bodies() -> Vec<ActBody> {
    vec![
        receive("1"),
        ActBody::Supplement(Supplement {
            materials: vec![0],
            note: String::new(),
        }),
        ActBody::Withdraw(reason("不办了")),
        deliver(),
        correct(&[0, 1, 2, 3]),
        ActBody::Accept(Accept::default()),
        ActBody::Accept(Accept {
            gaps: vec![3],
            gap_days: 3,
            note: String::new(),
        }),
        ActBody::Refuse(Refuse {
            reason: "不属于职权".into(),
            basis: "第三条".into(),
            competent: String::new(),
        }),
        ActBody::Review(reason("初审")),
        crate::fold::fixture::decide(true),
        crate::fold::fixture::decide(false),
        close(),
        ActBody::Complete(Close {
            result: "办好".into(),
            result_number: String::new(),
        }),
        ActBody::Terminate(reason("申请人死亡")),
        ActBody::Rule(Rule {
            withdrawn: true,
            reason: "裁定".into(),
        }),
    ]
}

/// Desks of every role that works on cases, at the receiving village and above it.
fn desks(village: &Desk, township: &Desk) -> Vec<Desk> {
    let mut out = Vec::new();
    for role in [Role::Agent, Role::Clerk, Role::Decider, Role::CountyClerk] {
        for (n, site) in [(1, VILLAGE), (2, TOWNSHIP), (3, COUNTY)] {
            let mut desk = Desk::new(n, site, role).at(MONDAY.after(DAY));
            // The writers go on where they were.
            desk.clock = if n == 1 {
                village.clock
            } else {
                township.clock
            };
            desk.pull(village);
            desk.pull(township);
            out.push(desk);
        }
    }
    out
}

#[test]
fn who_only_watches_or_publishes_acts_on_no_case() {
    for (state, village, _) in cases() {
        for role in [Role::Supervisor, Role::Publisher, Role::Administrator] {
            for site in [VILLAGE, COUNTY] {
                let mut desk = village.clone();
                (desk.site, desk.role) = (site, role);
                for body in bodies() {
                    let refused = judge(&mut desk, &[role], &act(body), &Known::default());
                    assert!(refused.is_err(), "{role:?} in {state:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_allowed_has_its_effect_and_what_has_none_is_not_allowed() {
    let (mut allowed, mut void) = (0, 0);
    let mut reached = std::collections::BTreeSet::new();
    for (state, village, township) in cases() {
        assert_eq!(village.case().state, state);
        for desk in desks(&village, &township) {
            for body in bodies() {
                let told = format!(
                    "{} in {state:?} at {} as {:?}",
                    body.kind().word(),
                    desk.site,
                    desk.role
                );
                let mut decided = desk.clone();
                let verdict = perform(&mut decided, &act(body.clone()));
                if let Ok(case) = verdict {
                    allowed += 1;
                    let event = case.timeline.last().unwrap();
                    assert_eq!(event.void, None, "{told}");
                    let fits = ROWS
                        .iter()
                        .find(|r| r.is_for(&body) && r.starts_from(Some(state)));
                    let row = fits.unwrap();
                    assert_eq!(case.state, row.to.unwrap_or(state), "{told}");
                    reached.insert(row.number);
                    continue;
                }
                // The same written by a node that does not ask.
                let holds = |side: &Kind| {
                    ROWS.iter()
                        .any(|r| r.is_for(&body) && r.sides.contains(side))
                };
                for side in [Kind::Application, Kind::Handling]
                    .into_iter()
                    .filter(holds)
                {
                    let mut forced = desk.clone();
                    let (id, _) = forced.write(side, vec![body.clone()], &[]);
                    let case = forced.case();
                    let event = case.timeline.iter().find(|e| e.id == id[0]).unwrap();
                    if matches!(event.void, Some(Void::Power | Void::State { .. })) {
                        void += 1;
                        assert_eq!(case.state, state, "{told}");
                    }
                }
            }
        }
    }
    assert!(allowed > 100 && void > 800, "{allowed} {void}");
    for number in [3, 5, 6, 7, 8, 9, 11, 15, 16, 17, 18, 19, 23] {
        assert!(reached.contains(&number), "{number}");
    }
}
