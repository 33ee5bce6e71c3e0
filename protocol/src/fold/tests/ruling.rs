use crate::{
    act::*,
    case::{Case, Void},
    fold::fixture::*,
    role::Role,
    state::State,
    time::{ClockState, Millis},
};

/// A case under review in the township; the village knows of it.
fn reviewing() -> (Desk, Desk) {
    let (mut village, mut township, _) = logged(RELIEF);
    township.handle(ActBody::Accept(Accept::default()));
    township.handle(ActBody::Review(reason("初审")));
    village.pull(&township);
    (village, township)
}

/// Both act offline at these times; then the case as both see it, in every order of exchange.
fn apart(withdrawn: Millis, decided: Millis, clock: ClockState) -> (Case, Desk, Desk) {
    let (mut village, mut township) = reviewing();
    (village.now, township.now) = (withdrawn, decided);
    village.clock_state = clock;
    village.apply(ActBody::Withdraw(reason("不办了")));
    township.handle(decide(true));
    let mut first = village.clone();
    first.pull(&township);
    let mut second = township.clone();
    second.pull(&village);
    assert_eq!(first.case(), second.case(), "the same on both sides");
    let mut third = Desk::new(7, COUNTY, Role::Decider).at(decided.after(DAY));
    third.pull(&township);
    third.pull(&village);
    assert_eq!(third.case(), first.case());
    (first.case(), first, second)
}

fn voids(case: &Case) -> Vec<(ActKind, Void)> {
    let all = case.timeline.iter();
    all.filter_map(|e| Some((e.body.kind(), e.void.clone()?)))
        .collect()
}

fn id(case: &Case, kind: ActKind) -> crate::id::ActId {
    let found = case.timeline.iter().find(|e| e.body.kind() == kind);
    found.unwrap().id
}

#[test]
fn a_withdrawal_clearly_before_the_decision_stands() {
    let (case, ..) = apart(
        MONDAY.after(2 * HOUR),
        MONDAY.after(3 * HOUR),
        ClockState::Ok,
    );
    assert_eq!(case.state, State::Withdrawn);
    assert!(!case.flags.needs_ruling);
    let winner = id(&case, ActKind::Withdraw);
    assert_eq!(voids(&case), [(ActKind::Decide, Void::Overruled(winner))]);
}

#[test]
fn a_decision_clearly_before_the_withdrawal_stands() {
    let (case, ..) = apart(
        MONDAY.after(3 * HOUR),
        MONDAY.after(2 * HOUR),
        ClockState::Ok,
    );
    assert_eq!(case.state, State::DecidedYes);
    assert!(!case.flags.needs_ruling);
    let winner = id(&case, ActKind::Decide);
    assert_eq!(voids(&case), [(ActKind::Withdraw, Void::Overruled(winner))]);
}

#[test]
fn in_doubtful_order_the_decision_is_kept_until_somebody_rules() {
    let close_by = MONDAY.after(3 * HOUR + 4 * MINUTE);
    for (withdrawn, decided, clock) in [
        (MONDAY.after(3 * HOUR), close_by, ClockState::Ok),
        (close_by, MONDAY.after(3 * HOUR), ClockState::Ok),
        (
            MONDAY.after(2 * HOUR),
            close_by.after(DAY),
            ClockState::Suspect,
        ),
    ] {
        let (case, ..) = apart(withdrawn, decided, clock);
        assert_eq!(case.state, State::DecidedYes);
        assert!(case.flags.needs_ruling);
        let kept = id(&case, ActKind::Decide);
        assert_eq!(voids(&case), [(ActKind::Withdraw, Void::Overruled(kept))]);
    }
}

#[test]
fn a_ruling_ends_the_doubt_either_way() {
    for withdrawn in [true, false] {
        let near = MONDAY.after(3 * HOUR);
        let (_, mut village, mut township) = apart(near, near.after(MINUTE), ClockState::Ok);
        township.handle(ActBody::Rule(Rule {
            withdrawn,
            reason: "以纸面先后为准".into(),
        }));
        village.pull(&township);
        let case = village.case();
        assert_eq!(case, township.case());
        assert!(!case.flags.needs_ruling);
        let (state, lost, won) = if withdrawn {
            (State::Withdrawn, ActKind::Decide, ActKind::Withdraw)
        } else {
            (State::DecidedYes, ActKind::Withdraw, ActKind::Decide)
        };
        assert_eq!(case.state, state);
        assert_eq!(voids(&case), [(lost, Void::Overruled(id(&case, won)))]);
    }
}

#[test]
fn a_ruling_needs_the_power_and_both_acts_in_hand() {
    let near = MONDAY.after(3 * HOUR);
    let rule = || {
        ActBody::Rule(Rule {
            withdrawn: true,
            reason: "裁定".into(),
        })
    };
    let (_, _, mut township) = apart(near, near.after(MINUTE), ClockState::Ok);
    township.role = Role::Clerk;
    township.handle(rule());
    assert!(township.case().flags.needs_ruling);
    assert_eq!(
        township.case().timeline.last().unwrap().void,
        Some(Void::Power)
    );

    // Ruled before the withdrawal was known here.
    let (mut village, mut blind) = reviewing();
    (village.now, blind.now) = (near, near);
    village.apply(ActBody::Withdraw(reason("不办了")));
    blind.handle(decide(true));
    blind.handle(rule());
    blind.pull(&village);
    let case = blind.case();
    assert!(case.flags.needs_ruling);
    assert_eq!(case.state, State::DecidedYes);
}

#[test]
fn a_desk_that_knew_the_other_act_settles_the_order_whatever_its_clock_says() {
    // The township had the withdrawal and decided all the same.
    let (mut village, mut township) = reviewing();
    village.now = MONDAY.after(5 * HOUR);
    village.apply(ActBody::Withdraw(reason("不办了")));
    township.pull(&village);
    township.now = MONDAY.after(2 * HOUR);
    township.handle(decide(true));
    let case = township.case();
    assert_eq!(case.state, State::Withdrawn);
    assert!(!case.flags.needs_ruling);
    let was = State::Withdrawn;
    let act = ActKind::Decide;
    assert_eq!(voids(&case), [(act, Void::State { was, act })]);

    // The village had the decision.
    let (mut village, mut township) = reviewing();
    township.now = MONDAY.after(5 * HOUR);
    township.handle(decide(true));
    village.pull(&township);
    village.now = MONDAY.after(2 * HOUR);
    village.apply(ActBody::Withdraw(reason("不办了")));
    let case = village.case();
    assert_eq!(case.state, State::DecidedYes);
    let was = State::DecidedYes;
    let act = ActKind::Withdraw;
    assert_eq!(voids(&case), [(act, Void::State { was, act })]);
}

#[test]
fn what_followed_an_overruled_decision_falls_with_it() {
    let (mut village, mut township) = reviewing();
    village.now = MONDAY.after(2 * HOUR);
    township.now = MONDAY.after(4 * HOUR);
    village.apply(ActBody::Withdraw(reason("不办了")));
    township.handle(decide(true));
    township.handle(close());
    assert_eq!(township.case().state, State::Closed);
    township.pull(&village);
    let case = township.case();
    assert_eq!(case.state, State::Withdrawn);
    let kinds: Vec<_> = voids(&case).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [ActKind::Decide, ActKind::Close]);
}

#[test]
fn a_withdrawal_stands_against_each_of_two_later_decisions() {
    let (mut village, mut township) = reviewing();
    let mut county = Desk::new(3, COUNTY, Role::Decider).at(MONDAY.after(6 * HOUR));
    county.pull(&township);
    village.now = MONDAY.after(2 * HOUR);
    township.now = MONDAY.after(4 * HOUR);
    village.apply(ActBody::Withdraw(reason("不办了")));
    township.handle(decide(true));
    county.handle(decide(false));
    for other in [&village, &township] {
        county.pull(other);
    }
    let case = county.case();
    assert_eq!(case.state, State::Withdrawn);
    assert!(!case.flags.needs_ruling);
    assert_eq!(voids(&case).len(), 2);
}
