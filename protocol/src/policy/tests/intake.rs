use super::*;
use crate::{case::Field, control::Item, state::State};

fn refused(desk: &mut Desk, log: LogCase) -> Refusal {
    perform(desk, &Command::Log(log)).unwrap_err()
}

fn village() -> Desk {
    Desk::new(1, VILLAGE, Role::Agent)
}

#[test]
fn an_agent_logs_and_receives_a_case_in_one_change() {
    let mut desk = village();
    let case = perform(&mut desk, &Command::Log(form(RELIEF))).unwrap();
    assert_eq!(case.state, State::Received);
    assert_eq!(case.number.as_deref(), Some("34990110020120260302010001"));
    assert_eq!(
        case.text(fields::PHONE),
        "13800000000",
        "in its canonical form"
    );
    assert_eq!(desk.application.changes().len(), 1);
    assert_eq!(case.materials[&0], "original");
    assert_eq!(case.materials[&1], "shared", "what need not be handed in");
    assert_eq!(case.timeline[0].site, VILLAGE);
}

#[test]
fn an_old_id_number_is_kept_as_a_new_one() {
    let mut log = form(RELIEF);
    log.fields
        .extend(private(&[(fields::ID, "349901500101001")]));
    let case = perform(&mut village(), &Command::Log(log)).unwrap();
    assert_eq!(case.text(fields::ID), "349901195001010011");
}

#[test]
fn a_form_says_everything_that_is_wrong_at_once() {
    let mut log = form(RELIEF);
    log.fields = private(&[
        (fields::ID, "349901193802290018"),
        (fields::PHONE, "12"),
        ("Bad Name", "x"),
        ("material.9", "copy"),
    ]);
    log.materials.insert(0, "lost".into());
    let Refusal::Fields(all) = refused(&mut village(), log) else {
        panic!("several lines");
    };
    let mut fields: Vec<&str> = all.iter().map(|(field, _)| field.as_str()).collect();
    fields.sort_unstable();
    let expected = [
        "Bad Name",
        "id",
        "material.0",
        "material.9",
        "name",
        "phone",
    ];
    assert_eq!(fields, expected);
    let told = Refusal::Fields(all).to_string();
    assert!(told.contains("身份证号："), "{told}");
    assert!(!told.contains("349901193802290018"), "no value is repeated");
}

#[test]
fn a_draft_keeps_what_is_typed_half_and_is_received_when_it_is_right() {
    let mut desk = village();
    let mut log = form(RELIEF);
    log.receive = false;
    log.fields = private(&[(fields::NAME, "林小满"), (fields::ID, "3499011941")]);
    let case = perform(&mut desk, &Command::Log(log)).unwrap();
    assert_eq!((case.state, case.number.clone()), (State::Draft, None));
    assert_eq!(case.text(fields::ID), "3499011941");

    let receive = act(receive("typed by nobody"));
    let refusal = perform(&mut desk, &receive).unwrap_err();
    assert!(matches!(refusal, Refusal::Field { field, .. } if field == fields::ID));
    let amend = Command::Amend {
        case: case_id(),
        field: fields::ID.into(),
        value: Private::new(ID),
        reason: String::new(),
    };
    perform(&mut desk, &amend).unwrap();
    let case = perform(&mut desk, &receive).unwrap();
    assert_eq!(case.state, State::Received);
    assert_eq!(case.number.as_deref(), Some("34990110020120260302010001"));
    assert_eq!(case.materials.len(), 4);
}

#[test]
fn a_second_open_case_of_the_same_person_and_item_needs_a_reason() {
    let mut desk = village();
    let known = Known {
        duplicates: vec!["34990110020120260301010007".into()],
        ..Known::default()
    };
    let mut log = form(RELIEF);
    let refusal = judge(
        &mut desk,
        &[Role::Agent],
        &Command::Log(log.clone()),
        &known,
    );
    let number = known.duplicates[0].clone();
    assert_eq!(refusal.unwrap_err(), Refusal::Duplicate { number });
    log.duplicate_reason = Some("上次是为母亲申请".into());
    assert!(
        judge(
            &mut desk,
            &[Role::Agent],
            &Command::Log(log.clone()),
            &known
        )
        .is_ok()
    );
    log.duplicate_reason = Some("  ".into());
    assert!(judge(&mut desk, &[Role::Agent], &Command::Log(log), &known).is_err());
}

#[test]
fn proxy_needs_an_item_that_allows_it_and_a_mandate_that_is_good() {
    let with = |item: &str, until: Option<&str>| {
        let mut log = form(item);
        log.mandate = Some(Mandate {
            until: until.map(str::to_owned),
            ..Mandate::default()
        });
        log
    };
    assert_eq!(
        refused(&mut village(), with(PENSION, None)),
        Refusal::NoProxy
    );
    for until in ["2026-03-01", "tomorrow"] {
        let refusal = refused(&mut village(), with(RELIEF, Some(until)));
        assert!(matches!(refusal, Refusal::Field { field, .. } if field == "mandate_until"));
    }
    let case = perform(
        &mut village(),
        &Command::Log(with(RELIEF, Some("2026-03-02"))),
    );
    assert!(case.unwrap().flags.proxy);
}

#[test]
fn what_the_point_may_finish_is_finished_in_one_visit() {
    let mut log = form(PENSION);
    log.complete = Some("认证通过".into());
    let case = perform(&mut village(), &Command::Log(log.clone())).unwrap();
    assert_eq!(case.state, State::Closed);
    assert_eq!(case.timeline.len(), 3);
    log.item = INSURANCE.into();
    assert_eq!(refused(&mut village(), log.clone()), Refusal::NotThisLevel);
    log.item = PENSION.into();
    log.materials.insert(0, "missing".into());
    assert!(matches!(
        refused(&mut village(), log),
        Refusal::MaterialMissing(_)
    ));
}

#[test]
fn late_entry_needs_its_reason() {
    let mut log = form(RELIEF);
    log.taken = Some(TakenEarlier {
        at: MONDAY.after(-DAY),
        reason: " ".into(),
    });
    assert_eq!(
        refused(&mut village(), log),
        Refusal::ReasonMissing("补录的原因")
    );
}

#[test]
fn nobody_logs_what_does_not_exist_or_is_not_theirs() {
    let missing = refused(&mut village(), form("000"));
    assert_eq!(missing, Refusal::NoSuchItem("000".into()));
    for role in [
        Role::Decider,
        Role::Publisher,
        Role::Supervisor,
        Role::Administrator,
    ] {
        let mut desk = Desk::new(1, VILLAGE, role);
        let refusal = refused(&mut desk, form(RELIEF));
        assert_eq!(refusal, Refusal::NotYourRole("登记"), "{role:?}");
    }
    // What the township decides is not begun at the county hall.
    let mut hall = Desk::new(3, COUNTY, Role::CountyClerk);
    assert_eq!(refused(&mut hall, form(INSURANCE)), Refusal::NotThisLevel);
    let mut nowhere = Desk::new(1, SiteId(99), Role::Agent);
    assert_eq!(refused(&mut nowhere, form(RELIEF)), Refusal::NotEnrolled);
}

#[test]
fn a_clock_that_is_not_believed_does_not_stop_a_newborns_case() {
    let mut desk = village().at(Millis(0));
    let log = Command::Log(form(RELIEF));
    let told = perform(&mut desk, &log).unwrap();
    assert_eq!(told.state, State::Received, "born 1941, clock of 1970");
    let mut young = form(RELIEF);
    young
        .fields
        .extend(private(&[(fields::ID, "349901202002290038")]));
    assert!(perform(&mut village().at(Millis(0)), &Command::Log(young.clone())).is_err());
    let mut desk = village().at(Millis(0));
    desk.clock_state = crate::time::ClockState::Suspect;
    assert!(perform(&mut desk, &Command::Log(young)).is_ok());
}

#[test]
fn a_correction_of_a_field_needs_a_reason_a_right_value_and_a_change() {
    let (mut village, mut township, _) = received(RELIEF);
    let amend = |field: &str, value: &str, reason: &str| Command::Amend {
        case: case_id(),
        field: field.into(),
        value: Private::new(value),
        reason: reason.into(),
    };
    let mut no = |field: &str, value: &str, reason: &str| {
        perform(&mut village, &amend(field, value, reason)).unwrap_err()
    };
    let missing = no(fields::PHONE, "13911111111", "");
    assert_eq!(missing, Refusal::ReasonMissing("更正的理由"));
    for (field, value) in [
        (fields::PHONE, "12"),
        (fields::PHONE, "138-0000-0000"),
        (fields::ID, ""),
        ("material.9", "copy"),
        ("material.0", "lost"),
        ("No such", "x"),
    ] {
        let refusal = no(field, value, "核实");
        assert!(
            matches!(refusal, Refusal::Field { .. }),
            "{field} {value}: {refusal:?}"
        );
    }
    let case = perform(&mut village, &amend(fields::PHONE, "13911111111", "核实")).unwrap();
    assert_eq!(case.text(fields::PHONE), "13911111111");
    let case = perform(&mut village, &amend(fields::PHONE, "", "已停机")).unwrap();
    assert!(!case.fields.contains_key(fields::PHONE));
    township.role = Role::Clerk;
    let elsewhere = perform(&mut township, &amend(fields::PHONE, "13911111111", "核实"));
    assert_eq!(elsewhere.unwrap_err(), Refusal::NotYourSite);
}

#[test]
fn a_conflict_is_settled_by_choosing_one_of_its_values() {
    let (mut left, ..) = received(RELIEF);
    let mut right = Desk::new(8, VILLAGE, Role::Agent).at(MONDAY.after(HOUR));
    right.pull(&left);
    left.amend(fields::PHONE, "13911111111");
    right.amend(fields::PHONE, "13922222222");
    left.pull(&right);
    let choose = |value: &str, reason: &str| Command::Resolve {
        case: case_id(),
        field: fields::PHONE.into(),
        value: Private::new(value),
        reason: reason.into(),
    };
    for bad in [choose("13933333333", "核实"), choose("13911111111", "")] {
        assert!(perform(&mut left, &bad).is_err());
    }
    let amend = Command::Amend {
        case: case_id(),
        field: fields::PHONE.into(),
        value: Private::new("13944444444"),
        reason: "核实".into(),
    };
    assert!(perform(&mut left, &amend).is_err(), "choose first");
    let case = perform(&mut left, &choose("13911111111", "电话核实")).unwrap();
    assert_eq!(
        case.fields[fields::PHONE],
        Field::Value(Private::new("13911111111"))
    );
    assert!(perform(&mut left, &choose("13911111111", "再来")).is_err());
}

#[test]
fn a_retired_item_takes_no_new_cases_but_old_ones_go_on() {
    let (mut village, ..) = received(RELIEF);
    let mut catalogue = CATALOGUE.clone();
    let old: &mut Item = &mut catalogue.items[0];
    old.retired = true;
    let case = village.case();
    let facts = Facts {
        catalogue: &catalogue,
        calendar: &CALENDAR,
        places: &PLACES,
        case: Some(&case),
        other: None,
        duplicates: &[],
        notice: None,
    };
    let actor = Actor {
        person: village.person,
        roles: vec![Role::Agent],
        site: VILLAGE,
    };
    let at = village.now;
    let clock = village.clock_state;
    let mut source = Names {
        desk: &mut village,
        numbers: 0,
    };
    let mut now = Now {
        at,
        clock,
        source: &mut source,
    };
    let new = decide(&actor, &Command::Log(form(RELIEF)), &facts, &mut now);
    assert_eq!(new.unwrap_err(), Refusal::NoSuchItem(RELIEF.into()));
    let body = ActBody::Withdraw(reason("不办了"));
    assert!(decide(&actor, &act(body), &facts, &mut now).is_ok());
}
