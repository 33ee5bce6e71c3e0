use crate::{
    act::*,
    case::{Field, Void},
    fold::fixture::*,
    id::{CaseId, Kind},
    role::Role,
    state::State,
};

/// Two machines of one village that both have the case.
fn two_desks() -> (Desk, Desk) {
    let (village, ..) = logged(RELIEF);
    let mut beside = Desk::new(8, VILLAGE, Role::Agent).at(MONDAY.after(HOUR));
    beside.pull(&village);
    (village, beside)
}

#[test]
fn two_desks_correcting_the_same_phone_keep_both_numbers_until_a_person_chooses() {
    let (mut left, mut right) = two_desks();
    let a = left.amend("phone", "13811111111");
    let b = right.amend("phone", "13822222222");
    left.pull(&right);
    right.pull(&left);
    assert_eq!(left.case(), right.case());
    let case = left.case();
    let Field::Conflict(candidates) = &case.fields["phone"] else {
        panic!("two values, no choice yet");
    };
    let mut acts: Vec<_> = candidates.iter().map(|c| c.act.unwrap()).collect();
    acts.sort();
    let mut both = [a, b];
    both.sort();
    assert_eq!(acts, both);
    assert!(
        candidates
            .iter()
            .all(|c| c.person.is_some() && c.at.is_some())
    );
    assert!(case.in_conflict());
    assert_eq!(
        case.parallel,
        [],
        "one field is a conflict, not a parallel edit"
    );

    let chosen = ActBody::Resolve(Resolve {
        field: "phone".into(),
        reason: "电话核实".into(),
    });
    left.write(Kind::Application, vec![chosen], &[("phone", "13822222222")]);
    right.pull(&left);
    let case = right.case();
    assert!(!case.in_conflict());
    assert_eq!(case.text("phone"), "13822222222");
    assert_eq!(
        case.timeline.len(),
        5,
        "both edits and the choice stay in the timeline"
    );
}

#[test]
fn the_same_correction_typed_twice_is_no_conflict() {
    let (mut left, mut right) = two_desks();
    left.amend("phone", "13811111111");
    right.amend("phone", "13811111111");
    left.pull(&right);
    assert!(!left.case().in_conflict());
}

#[test]
fn edits_of_different_fields_merge_and_are_announced() {
    let (mut left, mut right) = two_desks();
    left.amend("phone", "13811111111");
    right.amend("address", "石桥村三组");
    right.pull(&left);
    let case = right.case();
    assert!(!case.in_conflict());
    assert_eq!(case.text("phone"), "13811111111");
    assert_eq!(case.text("address"), "石桥村三组");
    assert_eq!(case.parallel.len(), 1);
    let mut fields = case.parallel[0].fields.clone();
    fields.sort();
    assert_eq!(fields, ["address", "phone"]);
    // Afterwards, with knowledge of both: nothing more to announce.
    right.amend("note", "已核对");
    assert_eq!(right.case().parallel.len(), 1);
}

#[test]
fn a_material_line_in_conflict_asks_for_what_is_missing() {
    let (mut left, mut right) = two_desks();
    left.amend("material.0", "missing");
    right.amend("material.0", "copy");
    left.pull(&right);
    let case = left.case();
    assert_eq!(case.materials[&0], "missing");
    assert!(matches!(case.fields["material.0"], Field::Conflict(_)));
    assert!(!case.fields.contains_key("material.1"));
}

#[test]
fn two_correction_notices_that_did_not_know_of_each_other_are_flagged_and_both_lists_stand() {
    let (_, mut township, mut county) = logged(RELIEF);
    township.handle(correct(&[0]));
    county.handle(correct(&[2]));
    township.pull(&county);
    county.pull(&township);
    let case = township.case();
    assert_eq!(case, county.case());
    assert_eq!(case.state, State::Correcting);
    assert!(case.flags.double_correction);
    assert!(case.timeline.iter().all(|e| e.void.is_none()));
    let asked: Vec<_> = case.asked().iter().filter_map(|m| m.material).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.contains(&0) && asked.contains(&2));
}

#[test]
fn a_second_correction_notice_that_knew_of_the_first_is_void() {
    let (mut village, mut township, _) = logged(RELIEF);
    let first = township.handle(correct(&[0]));
    village.pull(&township);
    village.apply(ActBody::Supplement(Supplement {
        materials: vec![0],
        note: String::new(),
    }));
    township.pull(&village);
    township.handle(correct(&[2]));
    let case = township.case();
    assert_eq!(case.state, State::Received);
    assert!(!case.flags.double_correction);
    let last = case.timeline.last().unwrap();
    assert_eq!(last.void, Some(Void::Repeated(first)));
    assert_eq!(case.asked().len(), 1);
}

#[test]
fn a_case_typed_at_both_places_is_linked_and_its_own_clock_stands_still() {
    let (_, mut township, _) = logged(RELIEF);
    assert!(township.case().clocks.acceptance.is_some());
    let of = CaseId::new(TOWNSHIP, [2; 11]);
    township.handle(ActBody::Duplicate(Duplicate {
        of,
        reason: "同一份材料".into(),
    }));
    let case = township.case();
    assert_eq!(case.flags.duplicate_of, Some(of));
    assert_eq!(case.state, State::Received, "both cases stay");
    assert_eq!(case.clocks.acceptance, None);
}

#[test]
fn the_first_printed_number_stays() {
    let mut left = Desk::new(1, VILLAGE, Role::Agent);
    left.apply(open(RELIEF));
    let mut right = Desk::new(8, VILLAGE, Role::Agent).at(MONDAY.after(HOUR));
    right.pull(&left);
    let first = left.apply(receive("1"));
    right.apply(receive("2"));
    right.pull(&left);
    let case = right.case();
    assert_eq!(case.number.as_deref(), Some("1"));
    assert_eq!(case.timeline[2].void, Some(Void::Repeated(first)));
}
