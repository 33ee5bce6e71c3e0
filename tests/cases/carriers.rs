//! Real processes where UDP is blocked.

use harness::process::{Demo, Node, wait_for};
use serde_json::Value;

/// Settings whose township does not answer by UDP: what a wall in front of it does.
const WALL: &str = "carrier = \"tcp\"\n";

/// What carries its session with the township, once it has one.
fn carrier(node: &Node) -> Option<String> {
    let status = node.cuntong(&["status"]).json();
    let all = status["upstream"].as_array()?;
    let up = all
        .iter()
        .find(|up| up["name"].as_str().is_some_and(|n| n.contains("北乡镇")))?;
    up["carrier"].as_str().map(str::to_owned)
}

/// Lets it call until its session with the township is carried so.
fn calls_until(node: &Node, by: &str) {
    wait_for(by, || {
        // A township that is just starting is not there yet.
        let _ran = node.cuntong(&["sync", "now"]);
        carrier(node).as_deref() == Some(by)
    });
}

/// Writes settings and starts the node anew.
fn with_settings(demo: &Demo, node: &Node, settings: &str) {
    std::fs::write(node.dir.join("node.toml"), settings).expect("the settings are written");
    demo.kill(node);
    wait_for("the township is back", || {
        node.cuntong(&["status"]).code == 0
    });
}

#[test]
fn a_village_whose_network_lets_no_udp_through_reports_by_tcp_and_goes_back_to_quic() {
    let demo = Demo::start(6);
    let (town, village) = (demo.level("township").clone(), demo.at("石桥村").clone());
    wait_for("by QUIC", || carrier(&village).as_deref() == Some("quic"));
    let settings = std::fs::read_to_string(town.dir.join("node.toml")).expect("settings");

    // The links are the last section.
    with_settings(&demo, &town, &format!("{settings}{WALL}"));
    calls_until(&village, "tcp");
    let logged = village.as_person(&[
        "case",
        "log",
        "--item",
        "990050004000",
        "--name",
        "单秀英",
        "--id",
        "34990119410305001X",
        "--phone",
        "13800000000",
        "--mandate",
    ]);
    let logged: Value = logged.done().json();
    let case = logged["case"].as_str().expect("an id").to_owned();
    wait_for("县里已收", || {
        let shown = village.cuntong(&["case", "show", &case]).done().json();
        shown["custody"] == "county"
    });
    assert_eq!(carrier(&village).as_deref(), Some("tcp"));

    with_settings(&demo, &town, &settings);
    wait_for("by QUIC again", || {
        carrier(&village).as_deref() == Some("quic")
    });
}
