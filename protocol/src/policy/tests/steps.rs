use super::*;
use crate::{policy::offers, state::State};

fn accept(gaps: &[u32], gap_days: u16) -> ActBody {
    ActBody::Accept(Accept {
        gaps: gaps.to_vec(),
        gap_days,
        note: String::new(),
    })
}

fn review() -> ActBody {
    ActBody::Review(reason("情况属实"))
}

fn supplement(materials: &[u32]) -> ActBody {
    ActBody::Supplement(Supplement {
        materials: materials.to_vec(),
        note: String::new(),
    })
}

fn brought() -> ActBody {
    ActBody::Deliver(Deliver {
        way: DeliveryWay::Brought,
        receiver: None,
        note: String::new(),
    })
}

fn no(desk: &mut Desk, body: ActBody) -> Refusal {
    perform(desk, &act(body)).unwrap_err()
}

fn go(desk: &mut Desk, body: ActBody) -> State {
    perform(desk, &act(body)).unwrap().state
}

/// A received case whose lines have these states.
fn with_materials(lines: &[(u32, &str)]) -> (Desk, Desk) {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    let mut log = form(RELIEF);
    log.materials = lines.iter().map(|(i, w)| (*i, (*w).to_owned())).collect();
    perform(&mut village, &Command::Log(log)).unwrap();
    let mut township = Desk::new(2, TOWNSHIP, Role::Clerk).at(MONDAY.after(HOUR));
    township.pull(&village);
    (village, township)
}

#[test]
fn the_township_accepts_reviews_decides_closes_and_the_village_delivers() {
    let (mut village, mut township, _) = received(RELIEF);
    assert_eq!(go(&mut township, accept(&[], 0)), State::Accepted);
    assert_eq!(go(&mut township, review()), State::Reviewing);
    assert_eq!(go(&mut township, decide_yes()), State::DecidedYes);
    assert_eq!(go(&mut township, close()), State::Closed);
    village.pull(&township);
    assert_eq!(go(&mut village, deliver()), State::Delivered);
    // Every act of the authority says what it had seen of the applicant's side.
    let seen = village.application.reading().unwrap().acts[1].id;
    let handling = village.handling.reading().unwrap();
    assert!(handling.acts.iter().all(|a| a.act.saw == Some(seen)));
}

fn decide_yes() -> ActBody {
    crate::fold::fixture::decide(true)
}

#[test]
fn every_step_is_refused_from_a_state_it_does_not_start_from() {
    let (_, mut township, _) = received(RELIEF);
    let case = perform(&mut township, &act(review()));
    assert_eq!(in_state(case), ("已收件", "审查"));
    for body in [decide_yes(), close()] {
        assert_eq!(no(&mut township, body).code(), "R201");
    }
    go(&mut township, accept(&[], 0));
    for body in [accept(&[], 0), correct(&[0]), decide_yes()] {
        assert_eq!(no(&mut township, body).code(), "R201");
    }
}

#[test]
fn each_step_belongs_to_a_role_a_side_and_a_level() {
    let (mut village, mut township, mut county) = received(AGE);
    assert_eq!(no(&mut village, accept(&[], 0)), Refusal::NotYourSite);
    assert_eq!(no(&mut township, brought()), Refusal::NotYourSite);
    township.role = Role::Publisher;
    assert_eq!(
        no(&mut township, accept(&[], 0)),
        Refusal::NotYourRole("受理")
    );
    township.role = Role::Clerk;
    go(&mut township, accept(&[], 0));
    assert_eq!(no(&mut township, review()), Refusal::NotYourRole("审查"));
    township.role = Role::Decider;
    go(&mut township, review());
    assert_eq!(
        no(&mut township, decide_yes()),
        Refusal::NotThisLevel,
        "the county decides"
    );
    county.pull(&township);
    assert_eq!(go(&mut county, decide_yes()), State::DecidedYes);
    // A township outside the area.
    let mut other = Desk::new(6, OTHER_TOWNSHIP, Role::Clerk);
    other.pull(&village);
    assert_eq!(no(&mut other, accept(&[], 0)), Refusal::NotYourSite);
    // The county has no part in what the township alone decides.
    let (_, _, mut county) = received(INSURANCE);
    assert_eq!(no(&mut county, accept(&[], 0)), Refusal::NotThisLevel);
}

#[test]
fn acceptance_asks_for_every_paper_or_a_deferrable_gap_with_a_limit() {
    let (_, mut township) = with_materials(&[(0, "missing"), (3, "deferred")]);
    let first = Refusal::MaterialMissing("临时救助申请书".into());
    assert_eq!(no(&mut township, accept(&[3], 5)), first);
    let rigid = Refusal::NotDeferrable("临时救助申请书".into());
    assert_eq!(no(&mut township, accept(&[0, 3], 5)), rigid);

    let (_, mut township) = with_materials(&[(3, "deferred")]);
    assert!(matches!(
        no(&mut township, accept(&[], 0)),
        Refusal::MaterialMissing(_)
    ));
    for days in [0, 11] {
        let refusal = no(&mut township, accept(&[3], days));
        assert!(
            matches!(refusal, Refusal::Field { field, .. } if field == "gap_days"),
            "{days}"
        );
    }
    assert!(matches!(
        no(&mut township, accept(&[9], 5)),
        Refusal::NotDeferrable(_)
    ));
    assert_eq!(go(&mut township, accept(&[3], 10)), State::Accepted);
}

#[test]
fn open_gaps_block_a_yes_until_the_papers_are_in() {
    let (mut village, mut township) = with_materials(&[(3, "deferred")]);
    go(&mut township, accept(&[3], 5));
    township.role = Role::Decider;
    go(&mut township, review());
    assert_eq!(no(&mut township, decide_yes()), Refusal::GapsOpen);
    village.pull(&township);
    assert!(offered(&village).contains(&ActKind::Supplement));
    assert!(matches!(
        no(&mut village, supplement(&[0])),
        Refusal::Field { .. }
    ));
    assert!(matches!(
        no(&mut village, supplement(&[])),
        Refusal::Field { .. }
    ));
    assert_eq!(go(&mut village, supplement(&[3])), State::Reviewing);
    assert_eq!(village.case().materials[&3], "original");
    assert!(!offered(&village).contains(&ActKind::Supplement));
    township.pull(&village);
    assert_eq!(go(&mut township, decide_yes()), State::DecidedYes);
}

#[test]
fn a_no_needs_no_gaps_closed_but_reasons_and_remedies() {
    let (_, mut township) = with_materials(&[(3, "deferred")]);
    go(&mut township, accept(&[3], 5));
    township.role = Role::Decider;
    go(&mut township, review());
    let no_to = |reason: &str, remedies: &str| {
        ActBody::Decide(Decide {
            granted: false,
            reason: reason.into(),
            remedies: remedies.into(),
        })
    };
    let bare = no(&mut township, no_to("", "可申请复议"));
    assert_eq!(bare, Refusal::ReasonMissing("不予的事实和理由"));
    let dead_end = no(&mut township, no_to("收入超标", " "));
    assert_eq!(dead_end, Refusal::ReasonMissing("救济途径"));
    assert_eq!(
        go(&mut township, no_to("收入超标", "可申请复议")),
        State::DecidedNo
    );
}

#[test]
fn a_correction_is_told_once_and_names_everything() {
    let (mut village, mut township) = with_materials(&[(0, "missing"), (1, "missing")]);
    let refusal = no(&mut township, correct(&[0]));
    assert!(refusal.to_string().contains("居民身份证"), "{refusal}");
    assert!(matches!(
        no(&mut township, correct(&[0, 1, 9])),
        Refusal::Field { .. }
    ));
    assert!(matches!(
        no(&mut township, correct(&[])),
        Refusal::ReasonMissing(_)
    ));
    assert_eq!(go(&mut township, correct(&[0, 1])), State::Correcting);
    village.pull(&township);
    let part = no(&mut village, supplement(&[0]));
    assert_eq!(part, Refusal::MaterialMissing("居民身份证".into()));
    assert_eq!(go(&mut village, supplement(&[0, 1])), State::Received);
    township.pull(&village);
    assert_eq!(no(&mut township, correct(&[2])), Refusal::CorrectedAlready);
    assert!(!offered(&township).contains(&ActKind::Correct));
    assert_eq!(go(&mut township, accept(&[], 0)), State::Accepted);
}

#[test]
fn refusing_to_accept_names_the_reason_and_the_law_or_the_competent_body() {
    let (_, mut township, _) = received(RELIEF);
    let refuse = |reason: &str, basis: &str, competent: &str| {
        ActBody::Refuse(Refuse {
            reason: reason.into(),
            basis: basis.into(),
            competent: competent.into(),
        })
    };
    for (reason, basis, competent) in [("", "第三条", ""), ("不属于本机关职权", "", " ")]
    {
        let refusal = no(&mut township, refuse(reason, basis, competent));
        assert!(matches!(refusal, Refusal::ReasonMissing(_)));
    }
    let body = refuse("不属于本机关职权", "", "县医疗保障局");
    assert_eq!(go(&mut township, body), State::NotAccepted);
}

#[test]
fn an_agent_withdraws_and_collects_only_what_the_mandate_says() {
    let logged = |mandate: Mandate| {
        let mut village = Desk::new(1, VILLAGE, Role::Agent);
        let mut log = form(RELIEF);
        log.mandate = Some(mandate);
        perform(&mut village, &Command::Log(log)).unwrap();
        village
    };
    let withdraw = || ActBody::Withdraw(reason("不办了"));
    let mut village = logged(Mandate::default());
    assert_eq!(no(&mut village, withdraw()), Refusal::MandateScope("撤回"));
    let allowed = Mandate {
        may_withdraw: true,
        until: Some("2026-03-03".into()),
        ..Mandate::default()
    };
    let mut village = logged(allowed.clone());
    assert_eq!(go(&mut village, withdraw()), State::Withdrawn);
    let mut late = logged(allowed).at(MONDAY.after(3 * DAY));
    assert!(matches!(
        no(&mut late, withdraw()),
        Refusal::MandateScope(_)
    ));

    let mut village = logged(Mandate::default());
    let mut township = Desk::new(2, TOWNSHIP, Role::Decider).at(MONDAY.after(HOUR));
    township.pull(&village);
    for body in [accept(&[], 0), review(), decide_yes(), close()] {
        go(&mut township, body);
    }
    village.pull(&township);
    assert_eq!(
        no(&mut village, brought()),
        Refusal::MandateScope("代领结果")
    );
    assert_eq!(
        go(&mut village, deliver()),
        State::Delivered,
        "the resident came"
    );
}

#[test]
fn withdrawing_and_terminating_need_their_reasons() {
    let (mut village, mut township, _) = received(RELIEF);
    let bare = no(&mut village, ActBody::Withdraw(reason(" ")));
    assert_eq!(bare, Refusal::ReasonMissing("撤回的理由"));
    let bare = no(&mut township, ActBody::Terminate(reason("")));
    assert_eq!(bare, Refusal::ReasonMissing("终止的理由"));
    let over = go(&mut township, ActBody::Terminate(reason("申请人死亡")));
    assert_eq!(over, State::Terminated);
}

#[test]
fn doubtful_order_blocks_closing_until_the_decider_rules() {
    let (mut village, mut township, _) = received(RELIEF);
    go(&mut township, accept(&[], 0));
    go(&mut township, review());
    let rule = |withdrawn| {
        ActBody::Rule(Rule {
            withdrawn,
            reason: "以纸面先后为准".into(),
        })
    };
    assert_eq!(no(&mut township, rule(true)), Refusal::NothingToRule);
    village.pull(&township);
    village.now = township.now;
    go(&mut village, ActBody::Withdraw(reason("不办了")));
    go(&mut township, decide_yes());
    township.pull(&village);
    assert!(township.case().flags.needs_ruling);
    assert_eq!(no(&mut township, close()), Refusal::NeedsRuling);
    assert!(offered(&township).contains(&ActKind::Rule));
    assert!(!offered(&township).contains(&ActKind::Close));
    let mut clerk = township.clone();
    clerk.role = Role::Clerk;
    assert_eq!(no(&mut clerk, rule(false)), Refusal::NotYourRole("裁定"));
    assert_eq!(go(&mut township, rule(false)), State::DecidedYes);
    assert_eq!(go(&mut township, close()), State::Closed);
}

#[test]
fn a_link_goes_from_the_later_case_to_the_earlier_which_alone_goes_on() {
    let (mut village, mut township, _) = received(RELIEF);
    let mine = village.case();
    let mut twin = mine.clone();
    twin.id = CaseId::new(TOWNSHIP, [9; 11]);
    let link = |of: CaseId| {
        act(ActBody::Duplicate(Duplicate {
            of,
            reason: "同一份材料".into(),
        }))
    };
    let mut judged = |other: Option<&Case>, of| {
        let known = Known {
            other,
            ..Known::default()
        };
        judge(&mut village, &[Role::Agent], &link(of), &known)
    };
    twin.moments.received = Some(MONDAY.after(-DAY));
    assert!(judged(Some(&twin), twin.id).is_ok());
    assert_eq!(judged(None, twin.id).unwrap_err(), Refusal::NoSuchCase);
    assert_eq!(
        judged(Some(&mine), mine.id).unwrap_err(),
        Refusal::NoSuchCase
    );
    let earlier = twin.id;
    twin.moments.received = Some(MONDAY.after(DAY));
    assert_eq!(
        judged(Some(&twin), earlier).unwrap_err(),
        Refusal::NotEarlier
    );

    township.handle(ActBody::Duplicate(Duplicate {
        of: earlier,
        reason: "同一份材料".into(),
    }));
    let refusal = no(&mut township, accept(&[], 0));
    assert_eq!(refusal, Refusal::IsDuplicate(earlier.text()));
}

#[test]
fn some_acts_have_their_own_command() {
    let (mut village, ..) = received(RELIEF);
    for body in [
        open(RELIEF),
        ActBody::Retract(reason("x")),
        ActBody::Amend(Amend {
            field: "phone".into(),
            reason: "x".into(),
        }),
    ] {
        assert!(matches!(no(&mut village, body), Refusal::NotByItself(_)));
    }
    let other = Command::Act {
        case: CaseId::new(VILLAGE, [7; 11]),
        body: deliver(),
    };
    assert_eq!(
        perform(&mut village, &other).unwrap_err(),
        Refusal::NoSuchCase
    );
}

#[test]
fn texts_have_limits() {
    let (mut village, ..) = received(RELIEF);
    let long = no(&mut village, ActBody::Withdraw(reason(&"长".repeat(2_000))));
    assert!(matches!(
        long,
        Refusal::TooLong {
            field: "reason",
            max: 4096
        }
    ));
}

fn offered(desk: &Desk) -> Vec<ActKind> {
    let case = desk.case();
    let actor = Actor {
        person: desk.person,
        roles: vec![desk.role],
        site: desk.site,
    };
    let level = PLACES.site(desk.site).unwrap().level;
    let item = CATALOGUE.pinned(&case.item, case.item_version).unwrap();
    offers(&actor, level, &case, item)
}

#[test]
fn a_page_offers_what_the_person_may_do_now() {
    use ActKind::{Accept, Amend, Correct, Duplicate, Refuse, Terminate, Withdraw};
    let (village, mut township, county) = received(AGE);
    assert_eq!(offered(&village), [Withdraw, Amend, Duplicate]);
    assert_eq!(
        offered(&township),
        [Correct, Accept, Refuse, Terminate, Duplicate]
    );
    assert_eq!(
        offered(&county),
        [Correct, Accept, Refuse, Terminate, Duplicate]
    );
    township.role = Role::Supervisor;
    assert_eq!(offered(&township), []);
    let (village, ..) = received(PENSION);
    assert!(offered(&village).contains(&ActKind::Complete));
}
