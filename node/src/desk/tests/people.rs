use std::time::Duration;

use cuntong_protocol::{refusal::Refusal, text::Private};

use super::fixture::{Counter, County, PASSWORD, SHIQIAO, login, logins};

const MINUTE: Duration = Duration::from_secs(60);
const TOKEN: [u8; 32] = [5; 32];

fn sign_in(place: &Counter, password: &str, run: Duration) -> Result<String, Refusal> {
    place
        .desk
        .sign_in_blocking(&login(SHIQIAO), &Private::new(password), TOKEN, run)
        .map(|who| who.name)
}

#[test]
fn a_person_signs_in_with_the_right_password_only() {
    let place = County::new().desk(SHIQIAO);
    assert_eq!(
        sign_in(&place, "wrong", Duration::ZERO),
        Err(Refusal::SignIn)
    );
    assert!(place.desk.session_blocking(TOKEN).is_none());
    assert_eq!(
        sign_in(&place, PASSWORD, Duration::ZERO),
        Ok("s3经办人".to_owned())
    );
    assert_eq!(place.desk.session_blocking(TOKEN).unwrap().login, "agent3");
    let stranger =
        place
            .desk
            .sign_in_blocking("nobody", &Private::new(PASSWORD), TOKEN, Duration::ZERO);
    assert_eq!(stranger.unwrap_err(), Refusal::SignIn);
}

#[test]
fn five_wrong_passwords_lock_the_login_and_turning_the_clock_does_not_open_it() {
    let place = County::new().desk(SHIQIAO);
    for _ in 0..5 {
        assert_eq!(
            sign_in(&place, "wrong", Duration::ZERO),
            Err(Refusal::SignIn)
        );
    }
    for days in [0, 1, 300] {
        place.pass(days * 24 * 3_600_000);
        assert_eq!(
            sign_in(&place, PASSWORD, Duration::ZERO),
            Err(Refusal::LockedOut(60))
        );
    }
    assert!(sign_in(&place, PASSWORD, MINUTE).is_ok());
    // The right password forgets the failures.
    assert_eq!(sign_in(&place, "wrong", MINUTE), Err(Refusal::SignIn));
    assert!(sign_in(&place, PASSWORD, MINUTE).is_ok());
}

#[test]
fn each_further_failure_doubles_the_wait() {
    let place = County::new().desk(SHIQIAO);
    let mut run = Duration::ZERO;
    for _ in 0..4 {
        assert_eq!(sign_in(&place, "wrong", run), Err(Refusal::SignIn));
    }
    for minutes in [1, 2, 4, 8, 15, 15] {
        assert_eq!(sign_in(&place, "wrong", run), Err(Refusal::SignIn));
        let wait = minutes * MINUTE;
        let left = wait.as_secs();
        assert_eq!(
            sign_in(&place, PASSWORD, run),
            Err(Refusal::LockedOut(left))
        );
        run += wait;
    }
}

#[test]
fn a_session_ends_when_nobody_uses_it() {
    let place = County::new().desk(SHIQIAO);
    sign_in(&place, PASSWORD, Duration::ZERO).unwrap();
    for _ in 0..3 {
        place.pass(9 * 60_000);
        assert!(place.desk.session_blocking(TOKEN).is_some());
    }
    place.pass(10 * 60_000 + 1);
    assert!(place.desk.session_blocking(TOKEN).is_none());
}

#[test]
fn a_new_password_ends_the_sessions_of_the_old_one() {
    let mut county = County::new();
    let place = county.desk(SHIQIAO);
    sign_in(&place, PASSWORD, Duration::ZERO).unwrap();
    let bytes = county.publish(SHIQIAO, &logins(SHIQIAO, 2));
    let now = place.clock.now();
    let _taken = place
        .store
        .write(move |db| db.take_control(&bytes, now))
        .unwrap();
    assert!(place.desk.session_blocking(TOKEN).is_none());
    sign_in(&place, PASSWORD, Duration::ZERO).unwrap();
    assert!(place.desk.session_blocking(TOKEN).is_some());
}

#[test]
fn what_is_typed_and_not_sent_is_kept_for_the_person() {
    let place = County::new().desk(SHIQIAO);
    let person = place.who().actor.person;
    place
        .store
        .write(move |db| db.save_draft(person, "intake", Some("name=张"), super::fixture::NOW))
        .unwrap();
    let kept = place.look(move |g| g.db.draft(person, "intake"));
    assert_eq!(kept.as_deref(), Some("name=张"));
}
