//! The case page: what it shows, and the command each form makes.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other value fails the test"
)]

use cuntong_protocol::{
    act::{ActBody, DeliveryWay},
    command::Command,
    refusal::Refusal,
};

use crate::testing::{Browser, CaseKind, FakeDesk};

async fn acted(browser: &Browser, kind: CaseKind, form: &str, fields: &[(&str, &str)]) -> ActBody {
    let id = browser.desk.find(kind);
    let page = browser.post(&format!("/cases/{id}/{form}"), fields).await;
    assert_eq!(page.status, 303, "{}", page.body);
    assert_eq!(page.location(), format!("/cases/{id}?done={form}"));
    match browser.desk.command() {
        Some(Command::Act { case, body }) => {
            assert_eq!(case, id);
            body
        }
        other => panic!("not an act: {other:?}"),
    }
}

#[tokio::test]
async fn the_page_shows_who_what_where_and_by_whom() {
    let browser = Browser::clerk(FakeDesk::township());
    let id = browser.desk.find(CaseKind::Decided);
    let page = browser.get(&format!("/cases/{id}")).await;
    page.has("陈雨桐")
        .has("349***********3025")
        .has("最低生活保障对象认定")
        .has("准予");
    page.has("周明")
        .has("收到 ")
        .has("设备 n-41b7029acc1f66e0")
        .has("7c19 e0a4");
    page.has("无效").has("办件当时是“已受理”");
    page.has("准予决定书").has("受理通知书");
    let (newest, oldest) = (page.body.find("家庭人均收入"), page.body.find("本机</p>"));
    assert!(newest < oldest, "newest first");
}

#[tokio::test]
async fn what_a_resident_typed_is_text_and_never_code() {
    let browser = Browser::clerk(FakeDesk::township());
    for kind in CaseKind::ALL {
        let page = browser
            .get(&format!("/cases/{}", browser.desk.find(kind)))
            .await;
        assert_eq!(page.status, 200, "{kind:?}");
        page.has_not("<script>alert")
            .has("&#60;script&#62;alert(&#39;x&#39;)");
    }
}

#[tokio::test]
async fn actions_are_those_the_rules_offer() {
    let village = Browser::agent(FakeDesk::village());
    let path = format!("/cases/{}", village.desk.find(CaseKind::Received));
    village
        .get(&path)
        .await
        .has("/withdraw\"")
        .has_not("/accept\"")
        .has_not("/decide\"");
    let town = Browser::clerk(FakeDesk::township());
    town.get(&path)
        .await
        .has("/accept\"")
        .has("/correct\"")
        .has("/refuse\"");
}

#[tokio::test]
async fn acceptance_names_its_gaps() {
    let browser = Browser::clerk(FakeDesk::township());
    let fields = [("gap", "6"), ("gap_days", "5"), ("note", "后补")];
    match acted(&browser, CaseKind::Received, "accept", &fields).await {
        ActBody::Accept(accept) => assert_eq!((accept.gaps, accept.gap_days), (vec![6], 5)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_correction_lists_materials_and_free_lines_once() {
    let browser = Browser::clerk(FakeDesk::township());
    let fields = [
        ("missing", "0"),
        ("how.0", "缺签名"),
        ("how.1", "没有勾选的不算"),
        ("other", "补一张近照\r\n\r\n说明住房情况\r\n"),
        ("days", "30"),
    ];
    match acted(&browser, CaseKind::Received, "correct", &fields).await {
        ActBody::Correct(correct) => {
            let told: Vec<_> = correct
                .missing
                .iter()
                .map(|m| (m.material, m.how.as_str()))
                .collect();
            assert_eq!(
                told,
                [
                    (Some(0), "缺签名"),
                    (None, "补一张近照"),
                    (None, "说明住房情况")
                ]
            );
            assert_eq!(correct.days, 30);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_empty_correction_is_refused_and_what_was_typed_stays() {
    let browser = Browser::clerk(FakeDesk::township());
    let id = browser.desk.find(CaseKind::Received);
    let fields = [
        ("missing", "2"),
        ("how.2", ""),
        ("how.0", "先写的"),
        ("days", "0"),
    ];
    let page = browser.post(&format!("/cases/{id}/correct"), &fields).await;
    assert_eq!(page.status, 422);
    page.has("<title>错误")
        .has("href=\"#correct-how-2\"")
        .has("id=\"correct-how-2\"");
    page.has("href=\"#correct-days\"").has("value=\"先写的\"");
    page.has("<details class=\"act act-correct\" open>");
    assert!(browser.desk.command().is_none());
}

#[tokio::test]
async fn a_refusal_of_the_rules_stands_on_the_page_with_its_code() {
    let browser = Browser::clerk(FakeDesk::township().refusing(Refusal::CorrectedAlready));
    let id = browser.desk.find(CaseKind::Received);
    let fields = [("other", "补一张近照"), ("days", "15")];
    let page = browser.post(&format!("/cases/{id}/correct"), &fields).await;
    assert_eq!(page.status, 422);
    page.has("只能一次性告知")
        .has("R308")
        .has("补一张近照")
        .has("value=\"15\"");
}

#[tokio::test]
async fn a_negative_decision_needs_reason_and_remedies() {
    let browser = Browser::clerk(FakeDesk::township());
    let path = format!("/cases/{}/decide", browser.desk.find(CaseKind::Accepted));
    let page = browser
        .post(&path, &[("granted", "no"), ("remedies", "复议")])
        .await;
    page.has("不予决定须写明事实和理由");
    let page = browser.post(&path, &[("reason", "x")]).await;
    page.has("请选择准予或不予");
    let fields = [("granted", "yes"), ("reason", "属实"), ("remedies", "复议")];
    match acted(&browser, CaseKind::Accepted, "decide", &fields).await {
        ActBody::Decide(decide) => {
            assert!(decide.granted);
            assert_eq!(decide.remedies, "");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn delivery_says_how_and_to_whom() {
    let browser = Browser::agent(FakeDesk::village());
    let fields = [("way", "brought"), ("receiver", "王强"), ("note", "")];
    match acted(&browser, CaseKind::Closed, "deliver", &fields).await {
        ActBody::Deliver(deliver) => {
            assert_eq!(deliver.way, DeliveryWay::Brought);
            assert_eq!(deliver.receiver.as_deref(), Some("王强"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_values_of_one_field_are_both_shown_until_a_person_chooses() {
    let browser = Browser::clerk(FakeDesk::township());
    let id = browser.desk.find(CaseKind::Conflict);
    let page = browser.get(&format!("/cases/{id}")).await;
    page.has("13900000011")
        .has("13900000022")
        .has("待确认")
        .has("并行修改");
    browser
        .get(&format!("/cases/{id}/receipt"))
        .await
        .has("13900000011 / 13900000022");
    let fields = [
        ("field", "phone"),
        ("choice", "13900000022"),
        ("reason", "电话问过本人"),
    ];
    let page = browser.post(&format!("/cases/{id}/resolve"), &fields).await;
    assert_eq!(page.status, 303);
    match browser.desk.command() {
        Some(Command::Resolve {
            field,
            value,
            reason,
            ..
        }) => {
            assert_eq!((field.as_str(), reason.as_str()), ("phone", "电话问过本人"));
            assert_eq!(value.reveal(), "13900000022");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn neither_value_may_be_right() {
    let browser = Browser::clerk(FakeDesk::township());
    let path = format!("/cases/{}/resolve", browser.desk.find(CaseKind::Conflict));
    let other = super::act::OTHER;
    let fields = [
        ("field", "phone"),
        ("choice", other),
        ("other", ""),
        ("reason", "问过"),
    ];
    assert_eq!(browser.post(&path, &fields).await.status, 422);
    let fields = [
        ("field", "phone"),
        ("choice", other),
        ("other", "13700000000"),
        ("reason", "问过"),
    ];
    assert_eq!(browser.post(&path, &fields).await.status, 303);
    match browser.desk.command() {
        Some(Command::Resolve { value, .. }) => assert_eq!(value.reveal(), "13700000000"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_doubtful_order_is_announced_and_ruled_by_who_may() {
    let town = Browser::clerk(FakeDesk::township());
    let path = format!("/cases/{}", town.desk.find(CaseKind::Ruling));
    Browser::agent(FakeDesk::village())
        .get(&path)
        .await
        .has("须裁定")
        .has("等待有权决定的机关裁定")
        .has_not("/rule\"");
    town.get(&path).await.has("/rule\"");
    let fields = [("stands", "withdrawal"), ("reason", "申请书日期在前")];
    match acted(&town, CaseKind::Ruling, "rule", &fields).await {
        ActBody::Rule(rule) => assert!(rule.withdrawn),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_paper_typed_twice_is_shown_side_by_side_and_linked_with_a_reason() {
    let browser = Browser::clerk(FakeDesk::township());
    let id = browser.desk.find(CaseKind::Twin);
    let page = browser.get(&format!("/cases/{id}")).await;
    page.has("登记了两次")
        .has("34990110100020261119010031")
        .has("北乡镇");
    let of = page.body.split("name=\"of\" value=\"").nth(1).unwrap();
    let of = of.split('"').next().unwrap().to_owned();
    let fields = [("of", of.as_str()), ("reason", "同一份申请书")];
    match acted(&browser, CaseKind::Twin, "duplicate", &fields).await {
        ActBody::Duplicate(duplicate) => assert_eq!(duplicate.of.text(), of),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_edit_of_a_material_speaks_the_words_of_the_screen() {
    let browser = Browser::clerk(FakeDesk::township());
    let path = format!("/cases/{}/amend", browser.desk.find(CaseKind::Received));
    let fields = [
        ("field", "material.0"),
        ("value", "已收复印件"),
        ("reason", "看错了"),
    ];
    assert_eq!(browser.post(&path, &fields).await.status, 303);
    match browser.desk.command() {
        Some(Command::Amend { field, value, .. }) => {
            assert_eq!((field.as_str(), value.reveal()), ("material.0", "copy"));
        }
        other => panic!("{other:?}"),
    }
    let fields = [
        ("field", "material.0"),
        ("value", "大概收了"),
        ("reason", "x"),
    ];
    assert_eq!(browser.post(&path, &fields).await.status, 422);
}

#[tokio::test]
async fn a_case_nobody_here_knows_has_no_page() {
    let browser = Browser::agent(FakeDesk::village());
    for id in ["c-00", "x", "c-000000020d0d0d0d0d0d0d0d0d0d0d0d"] {
        let page = browser.get(&format!("/cases/{id}")).await;
        assert_eq!(page.status, 404);
        page.has("没有这一页");
    }
}

#[tokio::test]
async fn the_words_of_a_case_with_everything_are_these() {
    let browser = Browser::clerk(FakeDesk::township());
    for (kind, name) in [
        (CaseKind::Conflict, "conflict"),
        (CaseKind::Decided, "decided"),
    ] {
        let page = browser
            .get(&format!("/cases/{}", browser.desk.find(kind)))
            .await;
        insta::assert_snapshot!(name, page.words());
    }
}
