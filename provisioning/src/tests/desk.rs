use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use cuntong_protocol::{
    control::sample::{CALENDAR_CSV, ITEMS_CSV},
    role::Role,
};

use super::*;
use crate::{
    county::{CountyError, NewPerson},
    folder::{Folder, FolderError, Secrets},
    sealed::{Passphrase, SealError},
};

fn agent(login: &str) -> NewPerson {
    NewPerson {
        site: SHIQIAO,
        name: "李明".into(),
        login: login.into(),
        roles: vec![Role::Agent],
        password: "青山绿水八个字呀".into(),
        until: None,
    }
}

#[test]
fn the_same_chance_and_time_found_the_same_county() {
    let founded = || sample().county.controls();
    assert_eq!(founded(), founded());
    let other = sample_with(8, Box::new(Memory::default()));
    assert_ne!(other.county.id(), sample().county.id());
}

#[test]
fn a_person_signs_in_with_the_password_that_was_given_until_a_new_one_is() {
    let mut s = sample();
    let id = s
        .county
        .add_person(agent("liming"), &mut s.entropy, NOW)
        .unwrap();
    let opens = |s: &Sample, password: &str| {
        let login = &s.trust().credentials(SHIQIAO).unwrap().logins[0];
        let phc = PasswordHash::new(&login.phc).unwrap();
        Argon2::default()
            .verify_password(password.as_bytes(), &phc)
            .is_ok()
    };
    assert!(opens(&s, "青山绿水八个字呀") && !opens(&s, "青山绿水"));
    let new = "另一个足够长的口令";
    let same = s
        .county
        .set_password("LiMing", new, &mut s.entropy, NOW)
        .unwrap();
    assert_eq!(same, id);
    assert!(opens(&s, new) && !opens(&s, "青山绿水八个字呀"));
    assert_eq!(s.trust().credentials(SHIQIAO).unwrap().logins[0].version, 2);
    s.county.end_person("liming", NOW.after(5), NOW).unwrap();
    assert_eq!(
        s.trust().directory().person(id).unwrap().until,
        Some(NOW.after(5))
    );
}

#[test]
fn a_login_belongs_to_one_person_of_the_whole_county() {
    let mut s = sample();
    s.county
        .add_person(agent("liming"), &mut s.entropy, NOW)
        .unwrap();
    let mut other = agent("LIMING");
    other.site = QINGXI;
    assert!(s.county.add_person(other, &mut s.entropy, NOW).is_err());
    assert_eq!(s.trust().directory().people.len(), 1);
    assert!(s.trust().credentials(QINGXI).is_none());
}

#[test]
fn people_who_do_not_fit_are_not_entered() {
    let mut s = sample();
    let mut refused = |change: &dyn Fn(&mut NewPerson)| {
        let mut person = agent("liming");
        change(&mut person);
        s.county.add_person(person, &mut s.entropy, NOW).is_err()
    };
    assert!(refused(&|p| p.roles = vec![Role::Decider]));
    assert!(refused(&|p| p.roles = vec![Role::Clerk]));
    assert!(refused(&|p| p.roles = Vec::new()));
    assert!(refused(&|p| p.roles = vec![Role::Agent, Role::Agent]));
    assert!(refused(&|p| p.site = SiteId(99)));
    assert!(refused(&|p| p.name = " ".into()));
    assert!(refused(&|p| p.login = "a b".into()));
    assert!(refused(&|p| p.password = "短".into()));
    assert!(refused(&|p| p.password = "12345678".into()));
    assert!(!refused(&|_| ()));
}

#[test]
fn publishing_the_same_catalogue_again_says_nothing_new() {
    let mut s = sample();
    let first = s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    assert!(first.added > 40);
    let version = s.trust().versions();
    let again = s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    assert_eq!((again.added, again.changed, again.retired), (0, 0, 0));
    assert_eq!(s.trust().versions(), version);
}

#[test]
fn a_changed_item_gets_a_new_version_and_cases_keep_the_old_one() {
    let mut s = sample();
    s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    let item = s.trust().catalogue().items[0].clone();
    let changed = ITEMS_CSV.replacen(&item.name, "改了名的事项", 1);
    let done = s.county.publish_catalogue(&changed, NOW).unwrap();
    assert_eq!((done.added, done.changed, done.retired), (0, 1, 0));
    let catalogue = s.trust().catalogue();
    assert_eq!(catalogue.current(&item.code).unwrap().version, 2);
    assert_eq!(catalogue.pinned(&item.code, 1), Some(&item));
}

#[test]
fn an_item_the_file_no_longer_names_is_retired_and_may_come_back() {
    let mut s = sample();
    s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    let code = s.trust().catalogue().items[0].code.clone();
    let rest: String = ITEMS_CSV
        .lines()
        .filter(|line| !line.starts_with(&code))
        .map(|line| format!("{line}\n"))
        .collect();
    let done = s.county.publish_catalogue(&rest, NOW).unwrap();
    assert_eq!(done.retired, 1);
    assert!(s.trust().catalogue().current(&code).is_none());
    assert!(s.trust().catalogue().pinned(&code, 1).is_some());
    let back = s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    assert_eq!(back.changed, 1);
    assert_eq!(s.trust().catalogue().current(&code).unwrap().version, 2);
}

#[test]
fn a_catalogue_with_a_wrong_row_changes_nothing_and_names_the_row() {
    let mut s = sample();
    let wrong = ITEMS_CSV.replacen(",30,22,", ",x,22,", 1);
    let refused = s.county.publish_catalogue(&wrong, NOW);
    let Err(CountyError::Rows(rows)) = refused else {
        panic!("{refused:?}")
    };
    assert!(rows[0].line > 1);
    assert!(s.trust().catalogue().items.is_empty());
}

#[test]
fn a_calendar_for_one_year_leaves_the_other_years_as_they_are() {
    let mut s = sample();
    let years = s.county.publish_calendar(CALENDAR_CSV, NOW).unwrap();
    assert_eq!(years, [2024, 2025, 2026]);
    let next = "kind,first,last\nyear,2027,\noff,2027-01-01,\n";
    let years = s.county.publish_calendar(next, NOW).unwrap();
    assert_eq!(years, [2024, 2025, 2026, 2027]);
    let calendar = s.trust().calendar();
    let day = |text: &str| calendar.is_workday(text.parse().unwrap());
    assert_eq!(day("2025-10-01"), Some(false));
    assert_eq!(day("2027-01-01"), Some(false));
    assert_eq!(day("2027-01-04"), Some(true));
}

#[test]
fn what_the_county_signs_never_goes_back_in_time() {
    let mut s = sample();
    s.county
        .add_person(agent("liming"), &mut s.entropy, NOW.after(-50 * DAY))
        .unwrap();
    assert_eq!(s.trust().newest_signed_time(), NOW);
}

#[test]
fn every_document_the_county_says_is_taken_by_a_node_in_the_order_given() {
    let mut s = sample();
    s.county.publish_catalogue(ITEMS_CSV, NOW).unwrap();
    s.county.publish_calendar(CALENDAR_CSV, NOW).unwrap();
    s.county
        .add_person(agent("liming"), &mut s.entropy, NOW)
        .unwrap();
    s.join(HUB);
    let documents = s.county.controls();
    let mut trust = Trust::found(&documents[0], s.county.id()).unwrap();
    for document in &documents[1..] {
        trust.take(document).unwrap();
    }
    assert_eq!(trust.versions(), s.trust().versions());
    assert_eq!(documents.len(), 7);
}

#[test]
fn places_are_found_by_code_name_or_number() {
    let s = sample();
    for text in ["349901101203", "石桥村", "s3"] {
        assert_eq!(s.county.place(text).unwrap().site, SHIQIAO, "{text}");
    }
    assert!(s.county.place("没有的村").is_err());
}

/// A directory of this test's own.
fn scratch(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("cuntong-county-{}-{name}", std::process::id()));
    // Left over from a run that was interrupted, if anything.
    std::fs::remove_dir_all(&dir).ok();
    dir
}

fn secrets() -> Secrets {
    Secrets {
        registrar: Passphrase::new("登记员的口令"),
        roots: Passphrase::new("保险柜的口令"),
        work_log2: 2,
    }
}

#[test]
fn a_county_in_its_directory_is_opened_with_the_registrars_passphrase_only() {
    let dir = scratch("open");
    let mut entropy = Seeded::new(7);
    let id = {
        let folder = Folder::hold(&dir).unwrap();
        let mut county = folder
            .found(&secrets(), HashCost::SAMPLE, &mut entropy, NOW)
            .unwrap();
        county.add_places(PLACES, NOW).unwrap();
        let busy = Folder::hold(&dir).unwrap_err();
        assert!(matches!(busy, FolderError::Busy(_)));
        county.id()
    };
    let folder = Folder::hold(&dir).unwrap();
    let again = folder.found(&secrets(), HashCost::SAMPLE, &mut entropy, NOW);
    assert!(matches!(again, Err(FolderError::Exists(_))));
    let wrong = folder.keys(&Passphrase::new("别的口令"));
    assert!(matches!(
        wrong,
        Err(FolderError::Seal(SealError::WrongPassphrase))
    ));
    let keys = folder.keys(&secrets().registrar).unwrap();
    let county = folder.county(keys, HashCost::SAMPLE).unwrap();
    assert_eq!(county.id(), id);
    assert_eq!(county.place("石桥村").unwrap().site, SHIQIAO);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn no_file_of_the_directory_holds_a_key_in_clear_or_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch("clear");
    let folder = Folder::hold(&dir).unwrap();
    let mut entropy = Seeded::new(7);
    let mut county = folder
        .found(&secrets(), HashCost::SAMPLE, &mut entropy, NOW)
        .unwrap();
    county.add_places(PLACES, NOW).unwrap();
    folder.note(&serde_json::json!({"did": "test"})).unwrap();
    let keys = county.keys();
    let planted = [&keys.sign, &keys.transport, &keys.renewer].map(|key| *key.reveal());
    let mut files = 0;
    for sub in ["", "controls", "keys", "tickets"] {
        for entry in std::fs::read_dir(dir.join(sub)).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
            if path.is_file() {
                files += 1;
                let bytes = std::fs::read(&path).unwrap();
                for secret in &planted {
                    assert!(
                        !bytes.windows(32).any(|w| w == secret),
                        "{}",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(files >= 7, "{files}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_directory_without_a_county_says_so() {
    let dir = scratch("none");
    let folder = Folder::hold(&dir).unwrap();
    assert!(matches!(folder.trust(), Err(FolderError::Missing(_))));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn bindings_survive_in_the_directory() {
    let dir = scratch("bindings");
    let folder = Folder::hold(&dir).unwrap();
    let mut entropy = Seeded::new(7);
    let mut county = folder
        .found(&secrets(), HashCost::SAMPLE, &mut entropy, NOW)
        .unwrap();
    county.add_places(PLACES, NOW).unwrap();
    let ticket = county
        .ticket(SHIQIAO, Purpose::New, &[], 30, &mut entropy, NOW)
        .unwrap();
    let first = Joining::begin(ticket.clone(), &mut entropy, NOW).unwrap();
    let second = Joining::begin(ticket, &mut entropy, NOW).unwrap();
    let grant = county
        .grant(first.request(), false, &mut entropy, NOW)
        .unwrap();
    let keys = folder.keys(&secrets().registrar).unwrap();
    let mut county = folder.county(keys, HashCost::SAMPLE).unwrap();
    let again = county
        .grant(first.request(), false, &mut entropy, NOW)
        .unwrap();
    assert_eq!(again.grant, grant.grant);
    assert!(
        county
            .grant(second.request(), false, &mut entropy, NOW)
            .is_err()
    );
    assert!(folder.bindings().unwrap()[0].frozen.is_some());
    std::fs::remove_dir_all(&dir).unwrap();
}
