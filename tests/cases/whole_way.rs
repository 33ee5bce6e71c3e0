//! The whole way, with real processes: a case logged in a village without a network reaches the
//! county, and its result comes back.

use harness::process::{Demo, Node, counts, wait_for};
use serde_json::Value;

/// Lets nodes talk until `done` says so.
fn talk_until(nodes: &[&Node], what: &str, done: impl Fn() -> bool) {
    wait_for(what, || {
        for node in nodes {
            // A session that finds its peer busy or not yet up is tried again.
            let _ran = node.cuntong(&["sync", "now"]);
        }
        done()
    });
}

fn log(node: &Node, name: &str, id: &str) -> Value {
    node.as_person(&[
        "case",
        "log",
        "--item",
        "990050004000",
        "--name",
        name,
        "--id",
        id,
        "--phone",
        "13800000000",
        "--mandate",
    ])
    .done()
    .json()
}

fn show(node: &Node, case: &str) -> Value {
    node.cuntong(&["case", "show", case]).done().json()
}

fn list(node: &Node, query: &str) -> Vec<String> {
    let found = node
        .cuntong(&["case", "list", "--query", query])
        .done()
        .json();
    let cases = found["cases"].as_array().expect("a list of cases");
    cases
        .iter()
        .map(|c| c["case"].as_str().expect("an id").to_owned())
        .collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
        .to_owned()
}

#[test]
fn cases_logged_without_a_network_survive_a_power_cut_and_reach_the_county_once() {
    let demo = Demo::start(12);
    let (hub, town) = (demo.level("county").clone(), demo.level("township").clone());
    let village = demo.at("石桥村").clone();
    demo.link("cut", "石桥村");

    let ids = [
        "34990119410305001X",
        "349901197608221121",
        "349901202002290038",
        "34990119500101002X",
        "349901195506120152",
    ];
    let names = ["欧阳远山", "买买提·吐尔逊", "𬱖䶮", "王", "单秀英"];
    let cases: Vec<String> = names
        .iter()
        .zip(ids)
        .map(|(name, id)| text(&log(&village, name, id), "case"))
        .collect();
    for case in &cases {
        assert_eq!(text(&show(&village, case), "custody"), "local");
    }
    let before: u64 = village.cuntong(&["status"]).done().json()["epoch"]
        .as_u64()
        .expect("epoch");

    demo.kill(&village);
    wait_for("the village is back", || {
        village.cuntong(&["status"]).code == 0
    });
    let status = village.cuntong(&["status"]).done().json();
    assert!(status["waiting"]["count"].as_u64() >= Some(5), "{status}");
    assert!(
        status["epoch"].as_u64() > Some(before),
        "an unclean stop begins a new epoch"
    );

    demo.link("heal", "石桥村");
    talk_until(&[&village, &town], "县里已收", || {
        cases
            .iter()
            .all(|case| text(&show(&village, case), "custody") == "county")
    });
    for (case, name) in cases.iter().zip(names) {
        let shown = show(&village, case);
        let receipts = shown["receipts"].as_array().expect("receipts");
        assert!(receipts.iter().any(|r| r["level"] == "county"), "{shown}");
        assert_eq!(
            counts(list(&hub, name)).get(case),
            Some(&1),
            "{name} at the hub"
        );
    }

    let case = &cases[0];
    let _accepted = town.as_person(&["case", "accept", case]).done();
    let _reviewed = town
        .as_person(&["case", "review", case, "--note", "材料齐全"])
        .done();
    let _decided = town
        .as_person(&["case", "decide", case, "--reason", "符合条件"])
        .done();
    let _closed = town
        .as_person(&["case", "close", case, "--result", "参保登记表"])
        .done();
    talk_until(&[&village], "办结", || {
        text(&show(&village, case), "state") == "closed"
    });
    let _delivered = village
        .as_person(&["case", "deliver", case, "--way", "brought"])
        .done();
    talk_until(&[&village, &town], "已送达", || {
        text(&show(&hub, case), "state") == "delivered"
    });
}

#[test]
fn a_notice_goes_the_other_way_and_comes_down_everywhere() {
    let demo = Demo::start(4);
    let town = demo.level("township").clone();
    let village = demo.at("青溪村").clone();
    let body = demo.folder().join("body.txt");
    std::fs::write(&body, "经评议,下列家庭纳入低保,公示七天。").expect("a text to publish");
    let body = body.to_string_lossy().into_owned();
    let published = town
        .as_person(&[
            "notice",
            "publish",
            "--title",
            "低保初审公示",
            "--body",
            &body,
            "--to",
            "青溪村",
        ])
        .done()
        .json();
    let notice = text(&published, "notice");
    let on_board = |node: &Node| {
        let listed = node.cuntong(&["notice", "list"]).done().json();
        let all = listed["notices"].as_array().expect("a list").clone();
        all.into_iter()
            .find(|n| n["id"] == Value::String(notice.clone()))
    };
    talk_until(&[&village], "公示", || on_board(&village).is_some());
    let _gone = town
        .as_person(&["notice", "withdraw", &notice, "--reason", "名单有误"])
        .done();
    talk_until(&[&village], "撤回", || {
        on_board(&village).is_some_and(|n| n["status"] == "withdrawn" && n["body"] == "")
    });
}
