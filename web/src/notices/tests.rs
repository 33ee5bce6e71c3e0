//! Notices for staff.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other value fails the test"
)]

use cuntong_protocol::{command::Command, id::SiteId, refusal::Refusal};

use crate::testing::{Browser, FakeDesk, notice_id};

fn whole() -> Vec<(&'static str, &'static str)> {
    vec![
        ("title", "三组修路"),
        ("body", "十二月一日开工。\r\n请绕行。"),
        ("category", "项目与招标"),
        ("from", "2026-11-21"),
        ("until", "2026-12-01"),
        ("place", "s2"),
        ("place", "s3"),
    ]
}

#[tokio::test]
async fn a_notice_is_published_to_the_chosen_places() {
    let browser = Browser::publisher(FakeDesk::village());
    let page = browser.post("/notices/new", &whole()).await;
    assert_eq!(page.status, 303, "{}", page.body);
    match browser.desk.command() {
        Some(Command::PublishNotice(publish)) => {
            assert_eq!(publish.places, [SiteId(2), SiteId(3)]);
            assert_eq!(publish.body, "十二月一日开工。\n请绕行。");
            assert_eq!(publish.until.as_deref(), Some("2026-12-01"));
            assert_eq!(publish.correction, "");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_missing_is_said_at_once_and_nothing_typed_is_lost() {
    let browser = Browser::publisher(FakeDesk::village());
    let form = [
        ("title", "三组修路"),
        ("from", "2026-11-21"),
        ("until", "2026-11-01"),
    ];
    let page = browser.post("/notices/new", &form).await;
    assert_eq!(page.status, 422);
    page.has("请写正文")
        .has("请选择事务类别")
        .has("早于开始日期")
        .has("请至少选择一个公示地点");
    page.has("value=\"三组修路\"").has("<title>错误");
}

#[tokio::test]
async fn a_notice_with_personal_numbers_is_refused_in_words() {
    let refusal = Refusal::PersonalData("身份证号".to_owned());
    let browser = Browser::publisher(FakeDesk::village().refusing(refusal));
    let page = browser.post("/notices/new", &whole()).await;
    assert_eq!(page.status, 422);
    page.has("不得公开的个人信息").has("R401").has("请绕行");
}

#[tokio::test]
async fn a_correction_says_why_and_is_another_version() {
    let browser = Browser::publisher(FakeDesk::village());
    let path = format!("/notices/{}/revise", notice_id(4));
    browser.post(&path, &whole()).await.has("请写明为什么更正");
    let mut form = whole();
    form.push(("correction", "日期写错"));
    assert_eq!(browser.post(&path, &form).await.status, 303);
    match browser.desk.command() {
        Some(Command::ReviseNotice { notice, version }) => {
            assert_eq!(notice, notice_id(4));
            assert_eq!(version.correction, "日期写错");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn taking_a_notice_down_needs_a_reason() {
    let browser = Browser::publisher(FakeDesk::village());
    let path = format!("/notices/{}/withdraw", notice_id(1));
    browser
        .post(&path, &[("reason", " ")])
        .await
        .has("请写明撤回的理由");
    assert_eq!(
        browser.post(&path, &[("reason", "金额有误")]).await.status,
        303
    );
    match browser.desk.command() {
        Some(Command::RetractNotice { reason, .. }) => assert_eq!(reason, "金额有误"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_publisher_of_the_site_sees_the_forms() {
    let path = format!("/notices/{}", notice_id(1));
    Browser::publisher(FakeDesk::village())
        .get(&path)
        .await
        .has("/withdraw\"");
    Browser::agent(FakeDesk::village())
        .get(&path)
        .await
        .has_not("/withdraw\"");
    Browser::publisher(FakeDesk::township())
        .get(&path)
        .await
        .has_not("/withdraw\"");
    let gone = format!("/notices/{}", notice_id(3));
    Browser::publisher(FakeDesk::village())
        .get(&gone)
        .await
        .has("金额有误")
        .has_not("/withdraw\"")
        .has_not("撤回前的正文");
}
