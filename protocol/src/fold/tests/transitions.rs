use crate::{act::*, case::Void, fold::fixture::*, role::Role, state::State};

/// Folds the whole way and says the state after each step.
#[test]
fn a_case_goes_from_receipt_to_delivery() {
    let (mut village, mut township, _) = logged(RELIEF);
    assert_eq!(village.case().state, State::Received);
    assert_eq!(
        village.case().number.as_deref(),
        Some("34990110020120260302010001")
    );
    for (body, state) in [
        (ActBody::Accept(Accept::default()), State::Accepted),
        (ActBody::Review(reason("初审")), State::Reviewing),
        (ActBody::Review(reason("审核")), State::Reviewing),
        (decide(true), State::DecidedYes),
        (close(), State::Closed),
    ] {
        township.handle(body);
        assert_eq!(township.case().state, state);
    }
    village.pull(&township);
    village.now = MONDAY.after(DAY);
    village.apply(deliver());
    let case = village.case();
    assert_eq!(case.state, State::Delivered);
    assert!(case.timeline.iter().all(|e| e.void.is_none()));
    assert!(case.moments.delivered > case.moments.closed);
}

#[test]
fn a_draft_is_a_case_without_a_number() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    assert_eq!(village.case().state, State::Draft);
    village.apply(open(RELIEF));
    let case = village.case();
    assert_eq!((case.state, case.number), (State::Draft, None));
    assert_eq!(case.item, RELIEF);
}

#[test]
fn a_corrected_case_is_received_again_and_then_accepted() {
    let (mut village, mut township, _) = logged(RELIEF);
    township.handle(correct(&[0]));
    assert_eq!(township.case().state, State::Correcting);
    village.pull(&township);
    village.apply(ActBody::Supplement(Supplement {
        materials: vec![0],
        note: String::new(),
    }));
    assert_eq!(village.case().state, State::Received);
    township.pull(&village);
    township.handle(ActBody::Accept(Accept::default()));
    assert_eq!(township.case().state, State::Accepted);
}

#[test]
fn refused_withdrawn_and_terminated_cases_are_over() {
    let (village, township, _) = logged(RELIEF);
    let mut refused = township.clone();
    refused.handle(ActBody::Refuse(Refuse {
        reason: "不属于救助范围".into(),
        basis: "办法第三条".into(),
        competent: String::new(),
    }));
    assert_eq!(refused.case().state, State::NotAccepted);
    let mut terminated = township.clone();
    terminated.handle(ActBody::Terminate(reason("申请人死亡")));
    assert_eq!(terminated.case().state, State::Terminated);
    let mut asked = village.clone();
    asked.apply(ActBody::Withdraw(reason("不办了")));
    let mut withdrawn = township.clone();
    withdrawn.pull(&asked);
    assert_eq!(withdrawn.case().state, State::Withdrawn);
    for mut desk in [refused, terminated, withdrawn] {
        let was = desk.case().state;
        let late = desk.handle(ActBody::Accept(Accept::default()));
        let case = desk.case();
        assert_eq!(case.state, was);
        let event = case.timeline.iter().find(|e| e.id == late).unwrap();
        let act = ActKind::Accept;
        assert_eq!(event.void, Some(Void::State { was, act }));
    }
}

#[test]
fn what_is_done_at_the_point_is_closed_in_one_visit() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    village.log(PENSION);
    let result = Close {
        result: "认证通过".into(),
        result_number: String::new(),
    };
    village.apply(ActBody::Complete(result.clone()));
    let case = village.case();
    assert_eq!(case.state, State::Closed);
    assert!(case.flags.on_the_spot);
    assert_eq!(case.clocks.used, Some(0));

    let mut elsewhere = Desk::new(1, VILLAGE, Role::Agent);
    elsewhere.log(INSURANCE);
    elsewhere.apply(ActBody::Complete(result.clone()));
    let case = elsewhere.case();
    assert_eq!(case.state, State::Received, "the township decides this one");
    assert_eq!(case.timeline[2].void, Some(Void::Power));

    let mut township = Desk::new(2, TOWNSHIP, Role::Clerk);
    township.pull(&elsewhere);
    township.handle(ActBody::Complete(result));
    assert_eq!(township.case().state, State::Closed);
}

#[test]
fn a_decision_without_the_power_is_void_and_stays_visible() {
    let (_, mut township, mut county) = logged(AGE);
    township.handle(ActBody::Accept(Accept::default()));
    township.handle(ActBody::Review(reason("初审")));
    let powerless = township.handle(decide(true));
    let case = township.case();
    assert_eq!(case.state, State::Reviewing);
    let event = case.timeline.iter().find(|e| e.id == powerless).unwrap();
    assert_eq!(event.void, Some(Void::Power));
    assert_eq!(event.site, TOWNSHIP);
    county.pull(&township);
    county.handle(decide(false));
    let case = county.case();
    assert_eq!(case.state, State::DecidedNo);
    assert_eq!(case.timeline.len(), 6);
}

#[test]
fn neither_a_clerk_nor_a_village_decides() {
    let (village, township, _) = logged(RELIEF);
    let mut reviewed = township.clone();
    reviewed.handle(ActBody::Accept(Accept::default()));
    reviewed.handle(ActBody::Review(reason("初审")));
    for (site, role) in [(TOWNSHIP, Role::Clerk), (VILLAGE, Role::Decider)] {
        let mut desk = Desk::new(9, site, role).at(reviewed.now);
        desk.pull(&village);
        desk.pull(&reviewed);
        desk.handle(decide(true));
        let case = desk.case();
        assert_eq!(case.state, State::Reviewing, "{site} {role:?}");
        assert_eq!(case.timeline.last().unwrap().void, Some(Void::Power));
    }
}

#[test]
fn the_same_step_twice_is_void_as_a_repetition() {
    let (_, mut township, mut county) = logged(RELIEF);
    let first = township.handle(ActBody::Accept(Accept::default()));
    let second = county.handle(ActBody::Accept(Accept::default()));
    county.pull(&township);
    let case = county.case();
    assert_eq!(case.state, State::Accepted);
    let voids: Vec<_> = case
        .timeline
        .iter()
        .filter_map(|e| e.void.clone())
        .collect();
    assert_eq!(voids, [Void::Repeated(first.min(second))]);
}

#[test]
fn gaps_stay_open_until_their_papers_are_in() {
    let (mut village, mut township, _) = logged(RELIEF);
    village.write(
        crate::id::Kind::Application,
        vec![ActBody::Amend(Amend {
            field: "material.3".into(),
            reason: "尚缺".into(),
        })],
        &[("material.3", "deferred")],
    );
    township.pull(&village);
    township.handle(ActBody::Accept(Accept {
        gaps: vec![3],
        gap_days: 5,
        note: String::new(),
    }));
    let case = township.case();
    assert!(case.flags.with_gaps);
    assert_eq!(case.gaps(), [3]);
    assert!(case.clocks.gaps.is_some());
    village.pull(&township);
    village.write(
        crate::id::Kind::Application,
        vec![ActBody::Supplement(Supplement {
            materials: vec![3],
            note: String::new(),
        })],
        &[("material.3", "original")],
    );
    let case = village.case();
    assert_eq!(
        case.state,
        State::Accepted,
        "13: handing in a gap moves no case"
    );
    assert!(!case.flags.with_gaps);
    assert_eq!(case.clocks.gaps, None);
}

#[test]
fn proxy_and_late_entry_are_flags_beside_the_state() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    village.apply(open(RELIEF));
    let taken = TakenEarlier {
        at: MONDAY.after(-3 * DAY),
        reason: "停电".into(),
    };
    village.apply(ActBody::Receive(Receive {
        number: "1".into(),
        mandate: Some(Mandate::default()),
        taken: Some(taken.clone()),
        duplicate_reason: None,
    }));
    let case = village.case();
    assert!(case.flags.proxy && case.flags.late_entry);
    assert_eq!(case.moments.received, Some(taken.at));
}
