use std::collections::BTreeSet;

use cuntong_protocol::{
    act::{
        Accept, ActBody, Close, Correct, Decide, Deliver, DeliveryWay, Duplicate, Mandate, Missing,
        Reason, Receive, Refuse, Rule, Supplement, TakenEarlier,
    },
    command::Command,
    refusal::Refusal,
    role::Role,
    text::Private,
    time::Millis,
};

use super::typed;
use crate::{
    case::act::Form,
    testing::{Browser, CaseKind, FakeDesk},
};

fn both() -> Browser {
    Browser::with(FakeDesk::village(), &[Role::Agent, Role::Publisher])
}

/// Every act of the case page, with every part that its form can carry.
fn bodies(of: &Browser) -> Vec<ActBody> {
    let reason = || Reason {
        text: "理由".to_owned(),
    };
    let close = || Close {
        result: "证已核发".to_owned(),
        result_number: "2026-7".to_owned(),
    };
    let missing = |material, how: &str| Missing {
        material,
        how: how.to_owned(),
    };
    vec![
        receive(),
        ActBody::Supplement(Supplement {
            materials: vec![0, 4],
            note: "齐了".to_owned(),
        }),
        ActBody::Accept(Accept {
            gaps: vec![5, 6],
            gap_days: 3,
            note: "后补".to_owned(),
        }),
        ActBody::Accept(Accept::default()),
        ActBody::Correct(Correct {
            missing: vec![
                missing(Some(0), "缺签名"),
                missing(Some(4), "缺日期"),
                missing(None, "补近照"),
                missing(None, "说明住房"),
            ],
            days: 20,
        }),
        ActBody::Refuse(Refuse {
            reason: "不归本县".to_owned(),
            basis: "条例".to_owned(),
            competent: "邻县".to_owned(),
        }),
        ActBody::Review(reason()),
        ActBody::Decide(Decide {
            granted: true,
            reason: "符合".to_owned(),
            remedies: String::new(),
        }),
        ActBody::Decide(Decide {
            granted: false,
            reason: "超标".to_owned(),
            remedies: "可复议".to_owned(),
        }),
        ActBody::Close(close()),
        ActBody::Complete(close()),
        ActBody::Deliver(Deliver {
            way: DeliveryWay::Mailed,
            receiver: Some("李小军".to_owned()),
            note: "单号 7".to_owned(),
        }),
        ActBody::Withdraw(reason()),
        ActBody::Terminate(reason()),
        ActBody::Rule(Rule {
            withdrawn: true,
            reason: "先到".to_owned(),
        }),
        ActBody::Duplicate(Duplicate {
            of: of.desk.find(CaseKind::Decided),
            reason: "同一张纸".to_owned(),
        }),
    ]
}

fn receive() -> ActBody {
    ActBody::Receive(Receive {
        number: String::new(),
        mandate: Some(Mandate {
            may_withdraw: true,
            may_collect: false,
            until: Some("2026-12-31".to_owned()),
            witness: Some("赵会计".to_owned()),
        }),
        // 2026-11-20 09:05 in China.
        taken: Some(TakenEarlier {
            at: Millis(1_795_136_700_000),
            reason: "停电".to_owned(),
        }),
        duplicate_reason: Some("另一户".to_owned()),
    })
}

#[test]
fn every_form_of_the_case_page_reads_back_what_came_back() {
    let browser = Browser::clerk(FakeDesk::township());
    let page = browser.desk.cases[0].clone();
    let case = page.row.id;
    let acts = bodies(&browser).into_iter();
    let mut commands: Vec<Command> = acts.map(|body| Command::Act { case, body }).collect();
    for (field, value) in [
        ("phone", "13911112222"),
        ("phone", ""),
        ("material.1", "copy"),
    ] {
        commands.push(Command::Amend {
            case,
            field: field.to_owned(),
            value: Private::new(value),
            reason: "换号".to_owned(),
        });
    }
    commands.push(Command::Resolve {
        case,
        field: "phone".to_owned(),
        value: Private::new("13911112222"),
        reason: "问清了".to_owned(),
    });
    let mut forms = BTreeSet::new();
    for command in commands {
        let (of, form, fields) = typed::on_case(&command).unwrap();
        assert_eq!(of, case);
        forms.insert(form.word());
        let again = form.command(&page, &fields);
        assert!(again.is_ok_and(|again| again == command), "{command:?}");
    }
    assert_eq!(forms.len(), Form::ALL.len(), "no form is left out");
}

#[tokio::test]
async fn redo_leads_to_the_form_with_what_was_typed() {
    let browser = both();
    let case = |kind| format!("/cases/{}?redo=", browser.desk.find(kind));
    let notice = format!("/notices/{}?redo=", crate::testing::notice_id(1));
    for (id, page, shown) in [
        (7, case(CaseKind::Closed), "value=\"李小军\""),
        (8, "/intake?redo=".to_owned(), "value=\"李国强\""),
        (9, case(CaseKind::Received), "value=\"13911112222\""),
        (10, "/notices/new?redo=".to_owned(), "四季度名单如下"),
        (11, notice.clone(), "value=\"漏了一户\""),
        (12, notice, "value=\"金额有误\""),
        (13, case(CaseKind::Received), "value=\"已收复印件\""),
        (14, case(CaseKind::Conflict), "value=\"电话核对\""),
    ] {
        let asked = browser.get(&format!("/sync/rejections/{id}/redo")).await;
        assert_eq!(asked.location(), format!("{page}{id}"));
        let form = browser.get(asked.location()).await;
        assert_eq!(form.status, 200);
        form.has(shown)
            .has("重做退回的记录")
            .has("名录中没有这个人")
            .has(&format!("name=\"redo\" value=\"{id}\""));
    }
}

#[tokio::test]
async fn a_refused_intake_is_typed_again_once_and_settles_the_record() {
    let browser = both();
    let form = browser.get("/intake?redo=8").await;
    form.has("赵会计").has("另有“household”：4").has("新的编号");
    form.has("name=\"back\" value=\"/intake?redo=8\"");
    let typed = [
        ("redo", "8"),
        ("step", "receive"),
        ("item", "990010007000"),
        ("name", "李国强"),
        ("id", "349901194807121138"),
        ("field.household", "4"),
        ("material.0", "original"),
        ("material.2", "copy"),
    ];
    let made = browser.post("/intake", &typed).await;
    assert_eq!(made.status, 303, "{}", made.body);
    assert!(browser.desk.heard("again 8"));
    let Some(Command::Log(log)) = browser.desk.command() else {
        panic!("nothing was logged");
    };
    assert_eq!(log.fields["household"].reveal(), "4");
}

#[tokio::test]
async fn a_draft_of_another_paper_survives_a_redo() {
    let browser = both();
    let other = [("name", "王秀兰"), ("step", "person")];
    browser.post("/intake", &other).await;
    let again = [("redo", "8"), ("name", "李国强改"), ("step", "person")];
    browser.post("/intake", &again).await.has("李国强改");
    browser.get("/intake").await.has("value=\"王秀兰\"");
    browser
        .get("/intake?redo=8")
        .await
        .has("value=\"李国强改\"");
    let cleared = browser
        .post("/intake", &[("redo", "8"), ("step", "clear")])
        .await;
    assert_eq!(cleared.location(), "/intake?redo=8");
    browser.get("/intake?redo=8").await.has("value=\"李国强\"");
}

#[tokio::test]
async fn a_redo_refused_again_stays_on_its_form_and_says_so() {
    let refusing = FakeDesk::village().refusing(Refusal::GapsOpen);
    let browser = Browser::agent(refusing);
    let path = format!("/cases/{}/deliver", browser.desk.find(CaseKind::Closed));
    let typed = [("redo", "7"), ("way", "mailed"), ("note", "单号 9")];
    let page = browser.post(&path, &typed).await;
    assert_eq!(page.status, 422);
    page.has("R310")
        .has("单号 9")
        .has("name=\"redo\" value=\"7\"")
        .has("重做退回的记录");
    assert!(!browser.desk.heard("again 7"));
    let page = browser.post(&path, &typed).await;
    assert_eq!(page.status, 303);
    assert!(browser.desk.heard("again 7"));
}

#[tokio::test]
async fn dropping_wants_a_reason() {
    let browser = both();
    let page = browser
        .post("/sync/rejections/7/drop", &[("reason", " ")])
        .await;
    assert_eq!(page.status, 422);
    page.has("R309")
        .has("href=\"#drop-7\"")
        .has("id=\"drop-7\"");
    let typed = [("reason", "居民不办了")];
    let page = browser.post("/sync/rejections/7/drop", &typed).await;
    assert_eq!(page.location(), "/sync?done=dropped");
    assert!(browser.desk.heard("dropped 7"));
}

#[tokio::test]
async fn settled_records_say_what_became_of_them() {
    let page = both().get("/sync").await;
    page.has("已重做").has("打开新的记录").has("陈桂花");
    page.has("已作罢").has("理由：居民不办了");
    page.has_not("/sync/rejections/20/redo")
        .has_not("/sync/rejections/21/drop");
    page.has("/sync/rejections/22/seen")
        .has_not("/sync/rejections/22/redo");
    page.has_not("/sync/rejections/7/seen");
}

#[tokio::test]
async fn who_has_no_right_for_the_act_cannot_settle_it() {
    let publisher = Browser::publisher(FakeDesk::village());
    let page = publisher.get("/sync").await;
    page.has("/sync/rejections/10/redo")
        .has("公示发布 高龄津贴发放名单")
        .has_not("/sync/rejections/8/redo")
        .has_not("李国强");
    for id in [7, 8] {
        let page = publisher.get(&format!("/sync/rejections/{id}/redo")).await;
        assert_eq!(page.status, 422);
        page.has("R101");
        let typed = [("reason", "不办")];
        let path = format!("/sync/rejections/{id}/drop");
        assert_eq!(publisher.post(&path, &typed).await.status, 422);
    }
    let gone = both().get("/sync/rejections/99/redo").await;
    assert_eq!(gone.status, 404);
    let wrong = both().get("/intake?redo=9").await;
    assert_eq!(wrong.status, 404, "a change of a phone number is no intake");
}

#[tokio::test]
async fn the_case_page_shows_what_came_back_with_both_ways_on() {
    let browser = both();
    let path = format!("/cases/{}", browser.desk.find(CaseKind::Received));
    let page = browser.get(&path).await;
    page.has("退回：")
        .has("/sync/rejections/9/redo")
        .has("/sync/rejections/9/drop");
    let page = browser.get(&format!("{path}?redo=9")).await;
    page.has_not("/sync/rejections/9/redo")
        .has("/sync/rejections/13/redo");
}
