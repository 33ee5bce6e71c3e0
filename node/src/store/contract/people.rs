//! Sessions, drafts, lock-outs, the audit.

use crate::store::{
    fixture::{County, NOW, SHIQIAO, person},
    people::Lockout,
};

#[test]
fn a_session_lives_until_it_is_ended() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    village
        .open_session([1; 32], person(SHIQIAO), ("lihua", 1), NOW)
        .unwrap();
    village.touch_session([1; 32], NOW.after(5)).unwrap();
    let session = village.session([1; 32]).unwrap().unwrap();
    assert_eq!((session.opened_at, session.seen_at), (NOW, NOW.after(5)));
    let ended = village.end_sessions(NOW.after(6), NOW, None).unwrap();
    assert_eq!(ended, 1);
    assert!(village.session([1; 32]).unwrap().is_none());
}

#[test]
fn nothing_typed_is_lost_and_a_draft_is_its_persons_own() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    village
        .save_draft(person(SHIQIAO), "intake", Some("name=张"), NOW)
        .unwrap();
    let draft = village.draft(person(SHIQIAO), "intake").unwrap();
    assert_eq!(draft.as_deref(), Some("name=张"));
    let others = crate::store::fixture::TOWN;
    assert!(village.draft(person(others), "intake").unwrap().is_none());
    village
        .save_draft(person(SHIQIAO), "intake", None, NOW)
        .unwrap();
    assert!(village.drafts(person(SHIQIAO)).unwrap().is_empty());
    let huge = "x".repeat(70_000);
    assert!(
        village
            .save_draft(person(SHIQIAO), "intake", Some(&huge), NOW)
            .is_err()
    );
}

#[test]
fn from_the_fifth_wrong_password_on_a_login_waits_longer_each_time_but_never_for_ever() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    let mut minutes = Vec::new();
    for _failure in 0..12 {
        let lockout = village.note_failure("LiHua", NOW).unwrap();
        minutes.push(lockout.until.since(NOW) / 60_000);
    }
    assert_eq!(minutes, [0, 0, 0, 0, 1, 2, 4, 8, 15, 15, 15, 15]);
    village.clear_failures("lihua").unwrap();
    assert_eq!(village.lockout("lihua").unwrap(), Lockout::default());
}

#[test]
fn a_line_changed_in_the_audit_is_found() {
    let county = County::new();
    let mut village = county.node(SHIQIAO);
    for n in 0..3 {
        village
            .note(NOW, Some(person(SHIQIAO)), "print", &format!("c-{n}"))
            .unwrap();
    }
    assert!(village.verify().unwrap().is_sound());
    village
        .connection()
        .execute("UPDATE audit SET subject = 'c-9' WHERE subject = 'c-1'", [])
        .unwrap();
    let report = village.verify().unwrap();
    assert!(report.problems[0].starts_with("audit"));
}
