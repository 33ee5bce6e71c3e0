use jiff::civil::{Date, date};

use super::*;
use crate::{
    id::Scope,
    notice::{Status, notice},
};

fn publish() -> Publish {
    Publish {
        title: "2026 年一季度临时救助名单".into(),
        body: "张某、李某,共 2 户,金额 3000 元。".into(),
        places: vec![VILLAGE, OTHER_VILLAGE],
        category: "社会救助".into(),
        from: "2026-03-02".into(),
        until: Some("2026-03-09".into()),
        case: None,
        correction: String::new(),
    }
}

fn township() -> Desk {
    Desk::new(2, TOWNSHIP, Role::Publisher)
}

fn scope() -> Scope {
    Scope {
        kind: Kind::Notice,
        site: TOWNSHIP,
    }
}

/// Performs on a notice and gives what it then is.
fn on(desk: &mut Desk, doc: &mut Doc, command: &Command) -> Result<NoticeState, Refusal> {
    desk.now = desk.now.after(1_000);
    let state = notice(&doc.reading().unwrap());
    let known = Known {
        notice: Some(&state),
        ..Known::default()
    };
    let roles = [desk.role];
    for (id, writes) in judge(desk, &roles, command, &known)? {
        assert_eq!(id, doc.id());
        doc.write(desk.actor, desk.now, &writes).unwrap();
    }
    Ok(notice(&doc.reading().unwrap()))
}

fn new() -> (Desk, Doc) {
    (township(), Doc::new(DocId::new(scope(), [1; 11])))
}

#[test]
fn a_notice_is_published_corrected_as_a_new_version_and_ends() {
    let (mut desk, mut doc) = new();
    let state = on(&mut desk, &mut doc, &Command::PublishNotice(publish())).unwrap();
    assert_eq!(state.publisher, TOWNSHIP);
    for (day, status) in [
        (date(2026, 3, 1), Status::Scheduled),
        (date(2026, 3, 2), Status::Running),
        (date(2026, 3, 9), Status::Running),
        (date(2026, 3, 10), Status::Ended),
    ] {
        assert_eq!(state.status(day), status, "{day}");
    }
    assert!(state.hangs_at(VILLAGE, date(2026, 3, 2)));
    assert!(!state.hangs_at(TOWNSHIP, date(2026, 3, 2)), "not chosen");
    let mut version = publish();
    version.until = None;
    let revise = |version: Publish| Command::ReviseNotice {
        notice: DocId::new(scope(), [1; 11]),
        version,
    };
    let bare = on(&mut desk, &mut doc, &revise(version.clone()));
    assert_eq!(bare.unwrap_err(), Refusal::ReasonMissing("更正的原因"));
    version.correction = "延长公示".into();
    let state = on(&mut desk, &mut doc, &revise(version)).unwrap();
    assert_eq!(state.versions.len(), 2, "nothing is edited in place");
    assert_eq!(state.status(Date::MAX), Status::Running, "until withdrawn");
}

#[test]
fn a_withdrawn_notice_leaves_a_tombstone_without_content() {
    let (mut desk, mut doc) = new();
    on(&mut desk, &mut doc, &Command::PublishNotice(publish())).unwrap();
    let retract = |reason: &str| Command::RetractNotice {
        notice: DocId::new(scope(), [1; 11]),
        reason: reason.into(),
    };
    let bare = on(&mut desk, &mut doc, &retract(" "));
    assert_eq!(bare.unwrap_err(), Refusal::ReasonMissing("撤回公示的理由"));
    let mut elsewhere = doc.fork();
    let state = on(&mut desk, &mut doc, &retract("名单有误")).unwrap();
    assert_eq!(state.withdrawn.as_ref().unwrap().reason, "名单有误");
    assert_eq!(state.status(date(2026, 3, 3)), Status::Withdrawn);
    assert_eq!(state.current().unwrap().publish.body, "");
    assert!(!state.hangs_at(VILLAGE, date(2026, 3, 3)));
    let again = on(&mut desk, &mut doc, &retract("再撤"));
    assert_eq!(again.unwrap_err(), Refusal::NoticeWithdrawn);

    // A version written without knowing of the withdrawal does not bring it back.
    let mut beside = Desk::new(8, TOWNSHIP, Role::Publisher).at(MONDAY.after(DAY));
    let mut version = publish();
    version.correction = "更正金额".into();
    let revise = Command::ReviseNotice {
        notice: DocId::new(scope(), [1; 11]),
        version,
    };
    on(&mut beside, &mut elsewhere, &revise).unwrap();
    for change in elsewhere.changes() {
        doc.apply(&change.bytes).unwrap();
    }
    let state = notice(&doc.reading().unwrap());
    assert_eq!(state.status(date(2026, 3, 3)), Status::Withdrawn);
    assert_eq!(state.versions.len(), 2);
    assert!(state.versions.iter().all(|v| v.publish.body.is_empty()));
}

#[test]
fn nothing_personal_hangs_on_a_board() {
    let (mut desk, mut doc) = new();
    for leak in [
        "电话 13800138000",
        "身份证 34990119410305001X",
        "３４９９０１１９４１０３０５００１Ｘ",
    ] {
        let in_body = Publish {
            body: leak.into(),
            ..publish()
        };
        let in_title = Publish {
            title: leak.into(),
            ..publish()
        };
        for version in [in_body, in_title] {
            let refusal = on(&mut desk, &mut doc, &Command::PublishNotice(version)).unwrap_err();
            let Refusal::PersonalData(told) = refusal else {
                panic!("{leak}: {refusal:?}");
            };
            assert!(
                !told.contains("38001380") && !told.contains("19410305"),
                "{told}"
            );
        }
    }
}

#[test]
fn a_notice_needs_a_title_a_text_places_of_the_area_and_dates() {
    let (mut desk, mut doc) = new();
    type Spoil = fn(&mut Publish);
    let wrong: [(&str, Spoil); 7] = [
        ("title", |p| p.title = " ".into()),
        ("body", |p| p.body.clear()),
        ("places", |p| p.places.clear()),
        ("places", |p| p.places = vec![COUNTY]),
        ("from", |p| p.from = "3月2日".into()),
        ("until", |p| p.until = Some("2026-03-01".into())),
        ("category", |p| p.category = "别的".into()),
    ];
    for (field, spoil) in wrong {
        let mut version = publish();
        spoil(&mut version);
        let refusal = on(&mut desk, &mut doc, &Command::PublishNotice(version)).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Field { field: f, .. } if f == field),
            "{refusal:?}"
        );
    }
    let mut blank = publish();
    (blank.title, blank.body) = (String::new(), String::new());
    let both = on(&mut desk, &mut doc, &Command::PublishNotice(blank)).unwrap_err();
    assert!(matches!(both, Refusal::Fields(all) if all.len() == 2));
    let mut long = publish();
    long.body = "长".repeat(10_000);
    let refusal = on(&mut desk, &mut doc, &Command::PublishNotice(long)).unwrap_err();
    assert!(matches!(refusal, Refusal::TooLong { field: "body", .. }));
    let mut usual = publish();
    usual.category.clear();
    let state = on(&mut desk, &mut doc, &Command::PublishNotice(usual)).unwrap();
    assert_eq!(state.current().unwrap().publish.category, "通知公告");
}

#[test]
fn only_a_publisher_of_the_site_publishes_and_withdraws() {
    let (mut desk, mut doc) = new();
    on(&mut desk, &mut doc, &Command::PublishNotice(publish())).unwrap();
    desk.role = Role::Clerk;
    let refusal = on(&mut desk, &mut doc, &Command::PublishNotice(publish())).unwrap_err();
    assert_eq!(refusal, Refusal::NotYourRole("公示发布"));
    let mut county = Desk::new(3, COUNTY, Role::Publisher);
    let retract = Command::RetractNotice {
        notice: doc.id(),
        reason: "有误".into(),
    };
    let refusal = on(&mut county, &mut doc, &retract).unwrap_err();
    assert_eq!(refusal, Refusal::NotYourSite);
}

#[test]
fn a_child_in_need_is_never_made_public() {
    let (village, ..) = received(RELIEF);
    let mut desk = township();
    desk.pull(&village);
    let (_, mut doc) = new();
    let mut version = publish();
    version.case = Some(case_id());
    assert!(
        on(
            &mut desk,
            &mut doc,
            &Command::PublishNotice(version.clone())
        )
        .is_ok()
    );
    let (village, ..) = received(ORPHAN);
    let mut desk = township();
    desk.pull(&village);
    let refusal = on(&mut desk, &mut doc, &Command::PublishNotice(version)).unwrap_err();
    assert!(matches!(refusal, Refusal::Field { field, .. } if field == "case"));
}
