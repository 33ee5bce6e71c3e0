use cuntong_protocol::control::NodeStatus;

use super::*;
use crate::{
    county::CountyError,
    enrol::{Refusal, Request},
};

#[test]
fn a_provisional_node_works_from_the_stick_and_keeps_its_name_when_it_is_enrolled() {
    let mut s = sample();
    let ticket = s.ticket(SHIQIAO);
    let stick = s.county.controls_for(SHIQIAO);
    let joining = Joining::begin(ticket, &mut s.entropy, Millis(0)).unwrap();
    let provisional = joining
        .provisional(stick.iter().rev().map(Vec::as_slice))
        .unwrap();
    assert_eq!(
        (provisional.site, provisional.level),
        (SHIQIAO, Level::Village)
    );
    assert_eq!(provisional.trust.places().sites.len(), 4);
    assert!(provisional.trust.node(provisional.node).is_none());
    let joined = joining.finish(&s.grant(&joining)).unwrap();
    assert_eq!(
        joined.node, provisional.node,
        "what it wrote is still its own"
    );
}

#[test]
fn a_stick_without_the_countys_authority_starts_nothing() {
    let mut s = sample();
    let joining = s.machine(SHIQIAO);
    assert!(joining.provisional([]).is_err());
    let no_authority = s.county.controls_for(SHIQIAO).split_off(1);
    assert!(
        joining
            .provisional(no_authority.iter().map(Vec::as_slice))
            .is_err()
    );
}

#[test]
fn a_machine_in_place_of_another_ends_the_other() {
    let mut s = sample();
    let (_, old) = s.join(SHIQIAO);
    let ticket = s
        .county
        .replace(old.node, &[], 30, &mut s.entropy, NOW.after(DAY))
        .unwrap();
    let joining = Joining::begin(ticket, &mut s.entropy, NOW).unwrap();
    let new = joining.finish(&s.grant(&joining)).unwrap();
    assert_eq!(
        (new.site, new.slot),
        (SHIQIAO, 2),
        "case numbers are never given twice"
    );
    let old = s.trust().node(old.node).unwrap();
    assert_eq!(
        (old.status, old.cutoff),
        (NodeStatus::Replaced, Some(NOW.after(DAY)))
    );
}

#[test]
fn a_revoked_machine_does_not_come_back_with_a_new_ticket() {
    let mut s = sample();
    let (joining, joined) = s.join(SHIQIAO);
    s.county.revoke(joined.node, NOW).unwrap();
    let ticket = s.ticket(SHIQIAO);
    let keys = joining.keys().clone();
    let again = Joining::with_keys(ticket, keys, &mut s.entropy, NOW).unwrap();
    let refused = s
        .county
        .grant(again.request(), false, &mut s.entropy, NOW)
        .unwrap_err();
    assert!(matches!(
        refused,
        CountyError::Refused(Refusal::KeyKnown(_))
    ));
}

#[test]
fn a_machine_on_its_way_is_the_same_after_a_power_cut() {
    let mut s = sample();
    let joining = s.machine(SHIQIAO);
    let kept = Joining::from_bytes(&joining.to_bytes()).unwrap();
    assert_eq!(kept, joining);
    assert_eq!(kept.request(), joining.request());
    let request = Request::read(kept.request(), s.county.id(), s.trust().authority()).unwrap();
    assert_eq!(joining.fingerprint().unwrap(), request.fingerprint());
}
