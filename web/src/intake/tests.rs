//! Intake: one form, with and without JavaScript.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other value fails the test"
)]

use cuntong_protocol::{
    command::{Command, LogCase},
    refusal::Refusal,
};

use crate::testing::{Browser, FakeDesk};

const ITEM: &str = "990010007000";

/// A whole and right form for 高龄津贴.
fn whole() -> Vec<(&'static str, &'static str)> {
    vec![
        ("name", "赵老四"),
        ("id", "11010519491231002X"),
        ("phone", "13812345678"),
        ("group", "二组"),
        ("item", ITEM),
        ("material.0", "original"),
        ("material.1", "shared"),
        ("material.2", "deferred"),
        ("once", "000102030405060708090a0b0c0d0e0f"),
        ("proxy", "no"),
        ("may_collect", "yes"),
        ("step", "receive"),
    ]
}

fn with<'a>(
    mut form: Vec<(&'a str, &'a str)>,
    name: &'a str,
    value: &'a str,
) -> Vec<(&'a str, &'a str)> {
    form.retain(|(n, _)| *n != name);
    form.push((name, value));
    form
}

fn logged(browser: &Browser) -> LogCase {
    match browser.desk.command() {
        Some(Command::Log(log)) => log,
        other => panic!("nothing was logged: {other:?}"),
    }
}

#[tokio::test]
async fn a_whole_form_logs_one_case_and_leads_to_its_page() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser.post("/intake", &whole()).await;
    assert_eq!(page.status, 303, "{}", page.body);
    assert!(page.location().ends_with("?done=received"));
    let log = logged(&browser);
    assert_eq!(log.item, ITEM);
    assert!(log.receive);
    assert_eq!(log.fields["name"].reveal(), "赵老四");
    assert_eq!(log.fields["id"].reveal(), "11010519491231002X");
    assert!(
        !log.fields.contains_key("address"),
        "what was not typed is no field"
    );
    assert_eq!(log.materials[&2], "deferred");
    assert_eq!(log.mandate, None, "the resident came");
    assert_eq!(log.once.map(|once| once[15]), Some(15));
}

#[tokio::test]
async fn an_empty_form_says_everything_that_is_missing_at_once() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser.post("/intake", &[("step", "receive")]).await;
    assert_eq!(page.status, 422);
    page.has("<title>错误")
        .has("id=\"problems\"")
        .has("autofocus");
    for field in ["name", "id", "item_query"] {
        page.has(&format!("href=\"#{field}\""))
            .has(&format!("id=\"{field}\""));
    }
    assert!(browser.desk.command().is_none());
}

#[tokio::test]
async fn a_wrong_number_keeps_everything_typed_and_is_marked() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser
        .post("/intake", &with(whole(), "id", "110105194912310021"))
        .await;
    assert_eq!(page.status, 422);
    page.has("校验位不对")
        .has("aria-invalid=\"true\"")
        .has("value=\"赵老四\"");
    page.has("value=\"110105194912310021\"")
        .has("000102030405060708090a0b0c0d0e0f");
    page.has("<option value=\"deferred\" selected>");
}

#[tokio::test]
async fn leaving_the_number_without_javascript_checks_only_what_is_there() {
    let browser = Browser::agent(FakeDesk::village());
    let fields = [("id", "11010519491231002x"), ("step", "check")];
    let page = browser.post("/intake", &fields).await;
    assert_eq!(page.status, 200);
    page.has("女 · 1949-12-31 出生 · 76 岁")
        .has_not("请填申请人姓名");
    let page = browser
        .post("/intake", &[("id", "123"), ("step", "check")])
        .await;
    page.has("应为 18 位").has_not("请填申请人姓名");
}

#[tokio::test]
async fn the_first_button_of_the_form_is_harmless() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser.get("/intake").await;
    let form = page.body.split("id=\"intake\"").nth(1).unwrap();
    let button = form.split("<button").nth(1).unwrap();
    assert!(button.contains("value=\"check\""), "{button}");
}

#[tokio::test]
async fn a_resident_served_before_is_found_and_fills_the_form() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser
        .post("/intake", &[("name", "桂英"), ("step", "person")])
        .await;
    page.has("张桂英")
        .has("349***********2242")
        .has("上次 2026-03 办过 医保参保");
    let fields = [
        ("name", "桂英"),
        ("pick_resident", "349901198811152242"),
        ("note", "留着"),
    ];
    let page = browser.post("/intake", &fields).await;
    page.has("value=\"张桂英\"")
        .has("value=\"13800000004\"")
        .has("value=\"留着\"");
    page.has("请当面核对");
}

#[tokio::test]
async fn an_item_is_found_by_an_everyday_word_and_brings_its_materials() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser
        .post("/intake", &[("item_query", "低保"), ("step", "item")])
        .await;
    page.has("value=\"990010001000\"").has_not("老年优待证");
    let fields = [
        ("name", "赵老四"),
        ("pick_item", "990010001000"),
        ("material.0", "copy"),
    ];
    let page = browser.post("/intake", &fields).await;
    page.has("社会救助申请书")
        .has("重病诊断材料")
        .has("value=\"赵老四\"");
    page.has_not("<option value=\"copy\" selected>");
    page.has("<option value=\"shared\" selected>");
}

#[tokio::test]
async fn one_button_marks_every_line_left_as_an_original() {
    let browser = Browser::agent(FakeDesk::village());
    let fields = [
        ("item", ITEM),
        ("material.2", "copy"),
        ("step", "originals"),
    ];
    let page = browser.post("/intake", &fields).await;
    let count = |word: &str| {
        page.body
            .matches(&format!("<option value=\"{word}\" selected>"))
            .count()
    };
    assert_eq!(
        (count("original"), count("shared"), count("copy")),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_second_case_of_person_and_item_needs_a_reason() {
    let browser = Browser::agent(FakeDesk::village());
    let again = with(
        with(
            with(whole(), "id", "34990119610305241X"),
            "item",
            "990010001000",
        ),
        "name",
        "王秀兰",
    );
    let mut again = again;
    for line in ["material.3", "material.4", "material.5", "material.6"] {
        again = with(again, line, "original");
    }
    let page = browser.post("/intake", &again).await;
    assert_eq!(page.status, 422);
    page.has("已有未办结的办件")
        .has("34990110120220261119010001")
        .has("name=\"duplicate_reason\"");
    assert!(browser.desk.command().is_none());
    let page = browser
        .post(
            "/intake",
            &with(again, "duplicate_reason", "两套房各办一件"),
        )
        .await;
    assert_eq!(page.status, 303, "{}", page.body);
    assert_eq!(
        logged(&browser).duplicate_reason.as_deref(),
        Some("两套房各办一件")
    );
}

#[tokio::test]
async fn the_rules_may_know_of_a_duplicate_that_the_page_did_not() {
    let refusal = Refusal::Duplicate {
        number: "34990110100020261119010031".to_owned(),
    };
    let browser = Browser::agent(FakeDesk::village().refusing(refusal));
    let page = browser.post("/intake", &whole()).await;
    assert_eq!(page.status, 422);
    page.has("34990110100020261119010031")
        .has("id=\"duplicate_reason\"")
        .has("value=\"赵老四\"");
}

#[tokio::test]
async fn all_that_the_rules_find_wrong_stands_beside_its_input() {
    let refusal = Refusal::Fields(vec![
        ("phone".to_owned(), "应为 11 位手机号".to_owned()),
        ("material.1".to_owned(), "没有这项材料".to_owned()),
    ]);
    let browser = Browser::agent(FakeDesk::village().refusing(refusal));
    let page = browser.post("/intake", &whole()).await;
    page.has("href=\"#phone\"")
        .has("href=\"#material-1\"")
        .has("R301");
}

#[tokio::test]
async fn an_agent_acts_by_mandate() {
    let browser = Browser::agent(FakeDesk::village());
    let form = with(with(whole(), "proxy", "yes"), "witness", "赵会计");
    assert_eq!(browser.post("/intake", &form).await.status, 303);
    let mandate = logged(&browser).mandate.unwrap();
    assert!(mandate.may_collect && !mandate.may_withdraw);
    assert_eq!(mandate.witness.as_deref(), Some("赵会计"));
}

#[tokio::test]
async fn a_late_entry_says_when_and_why() {
    let browser = Browser::agent(FakeDesk::village());
    let late = with(whole(), "late", "yes");
    let page = browser.post("/intake", &late).await;
    page.has("href=\"#taken_date\"");
    let late = with(
        with(late, "taken_date", "2026-11-18"),
        "taken_reason",
        "停电三天",
    );
    assert_eq!(browser.post("/intake", &late).await.status, 303);
    let taken = logged(&browser).taken.unwrap();
    assert_eq!(taken.reason, "停电三天");
    assert_eq!(crate::words::date(taken.at), "2026-11-18");
}

#[tokio::test]
async fn a_draft_asks_for_less_and_receives_nothing() {
    let browser = Browser::agent(FakeDesk::village());
    let form = [("name", "赵老四"), ("item", ITEM), ("step", "draft")];
    assert_eq!(browser.post("/intake", &form).await.status, 303);
    assert!(!logged(&browser).receive);
}

#[tokio::test]
async fn what_was_typed_and_not_sent_comes_back() {
    let browser = Browser::agent(FakeDesk::village());
    let typed = [
        ("name", "赵老四"),
        ("item", ITEM),
        ("material.0", "copy"),
        ("once", "000102030405060708090a0b0c0d0e0f"),
    ];
    let kept = browser.post("/intake/draft", &typed).await;
    assert_eq!((kept.status.as_u16(), kept.body.as_str()), (200, "16:42"));
    let page = browser.get("/intake").await;
    page.has("已恢复")
        .has("value=\"赵老四\"")
        .has("<option value=\"copy\" selected>");
    page.has("000102030405060708090a0b0c0d0e0f");
    browser.post("/intake", &[("step", "clear")]).await;
    browser
        .get("/intake")
        .await
        .has_not("赵老四")
        .has_not("已恢复");
}

#[tokio::test]
async fn a_logged_case_leaves_no_draft_behind() {
    let browser = Browser::agent(FakeDesk::village());
    browser.post("/intake/draft", &[("name", "赵老四")]).await;
    browser.post("/intake", &whole()).await;
    browser.get("/intake").await.has_not("赵老四");
}

#[tokio::test]
async fn suggestions_are_buttons_of_the_same_form() {
    let browser = Browser::agent(FakeDesk::village());
    let part = browser
        .post("/intake/part", &[("of", "residents"), ("q", "王")])
        .await;
    part.has("name=\"pick_resident\"")
        .has("王秀兰")
        .has("王德福")
        .has_not("<html");
    let part = browser
        .post("/intake/part", &[("of", "items"), ("q", "没有的事")])
        .await;
    part.has("没有找到");
}

#[tokio::test]
async fn an_item_done_on_the_spot_is_closed_with_its_result() {
    let browser = Browser::agent(FakeDesk::village());
    let form = with(with(whole(), "item", "990010008000"), "step", "complete");
    let page = browser.post("/intake", &form).await;
    page.has("即办须写明结果");
    let form = with(form, "complete", "优待证已发");
    assert_eq!(browser.post("/intake", &form).await.status, 303);
    assert_eq!(logged(&browser).complete.as_deref(), Some("优待证已发"));
}
