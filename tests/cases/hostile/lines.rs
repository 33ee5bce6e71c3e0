//! The same enemy with a stolen machine's keys on a real line, against real processes.

use cuntong_protocol::{
    act::{ActBody, Decide},
    document::{Doc, Write},
    id::Kind,
    limits,
    log::LogHead,
    role::Role,
    wire::{Message, codec, frame::Deflater},
};
use harness::{
    hostile::line::{Line, Stolen},
    process::{Demo, wait_for},
};
use serde_json::Value;

/// The rules of all refusals up to the first NACK.
async fn refused(line: &mut Line) -> Vec<String> {
    while let Some(message) = line.hear().await {
        if let Message::Nack(all) = message {
            return all.into_iter().map(|r| r.rule).collect();
        }
    }
    Vec::new()
}

/// A decision, sealed with the village's own key.
fn decision(stolen: &mut Stolen) -> Message {
    let peer = &mut stolen.peer;
    let scope = peer.scope(Kind::Handling);
    let mut doc = Doc::new(peer.new_doc(scope));
    let (id, mut act) = peer.act(ActBody::Decide(Decide {
        granted: true,
        reason: "同意".into(),
        remedies: String::new(),
    }));
    act.role = Role::Decider;
    let entry = peer.entry(&mut doc, &[Write::Act(id, act)]);
    Message::Push(peer.batch(peer.log(scope), LogHead::START, vec![entry]))
}

/// What never is a frame of a message: each ends the connection.
fn garbage() -> Vec<Vec<u8>> {
    let framed = |data: &[u8]| {
        let length = u32::try_from(data.len()).expect("short").to_be_bytes();
        [&length[..], data].concat()
    };
    let mut deflater = Deflater::default();
    let deep = deflater.frame(&vec![0x81; 10_000]).expect("a frame");
    let mut deflater = Deflater::default();
    let zeros = vec![0; limits::MESSAGE_BYTES_MAX];
    let mut bomb = Vec::new();
    for _message in 0..4 {
        let frame = deflater.frame(&zeros).expect("a frame");
        bomb.extend_from_slice(&frame[4..]);
        bomb.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
    vec![
        vec![0xff; 4],
        framed(&[0x55; 300]),
        framed(&[]),
        framed(&bomb),
        deep,
    ]
}

fn verified(stolen_from: &harness::process::Node, what: &str) -> Value {
    let ran = stolen_from.cuntong(&["verify"]);
    assert_eq!(ran.code, 0, "{what}: {ran:?}");
    ran.json()
}

/// Everything the thief tries on one node.
async fn besiege(stolen: &mut Stolen, address: std::net::SocketAddr) {
    let mut line = stolen.call(address).await;
    line.say(&stolen.peer.hello(Vec::new())).await;
    let decision = decision(stolen);
    line.say(&decision).await;
    assert_eq!(refused(&mut line).await, ["G107"], "{address}");
    // The same line goes on: what is refused blocks nothing else.
    let mut log = stolen.peer.log(stolen.peer.scope(Kind::Application));
    log.writer.node.0 = [7; 8];
    let (_, entry) = stolen.peer.case();
    let batch = stolen.peer.batch(log, LogHead::START, vec![entry]);
    line.say(&Message::Push(batch)).await;
    assert_eq!(refused(&mut line).await, ["G103"], "{address}");
    drop(line);
    for bytes in garbage() {
        let mut line = stolen.call(address).await;
        line.say_bytes(&bytes).await;
        line.hung_up().await;
        let mut line = stolen.call(address).await;
        line.say(&stolen.peer.hello(Vec::new())).await;
        line.say_bytes(&bytes).await;
        line.hung_up().await;
    }
    let mut line = stolen.call(address).await;
    let hello = codec::encode(&stolen.peer.hello(Vec::new()));
    for cut in (1..hello.len()).step_by(40) {
        // A greeting that ends in the middle, in a whole frame.
        let mut line = stolen.call(address).await;
        let frame = Deflater::default().frame(&hello[..cut]).expect("a frame");
        line.say_bytes(&frame).await;
        line.hung_up().await;
    }
    line.say(&Message::Busy(1)).await;
    line.hung_up().await;
}

#[test]
fn a_stolen_village_on_a_real_line_harms_neither_hub_nor_township() {
    let demo = Demo::start(4);
    let (hub, town) = (demo.level("county").clone(), demo.level("township").clone());
    let village = demo.at("石桥村").clone();
    demo.link("cut", "石桥村");
    let mut stolen = Stolen::from(&village);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for address in stolen.upstream.clone() {
            besiege(&mut stolen, address).await;
        }
    });
    for node in [&hub, &town] {
        let status = node.cuntong(&["status"]).done().json();
        assert!(status["quarantine"].as_u64() >= Some(2), "{status}");
        let _report = verified(node, &node.site);
    }
    // The real machine comes back and works as before.
    demo.link("heal", "石桥村");
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
    let case = logged.done().json()["case"]
        .as_str()
        .expect("an id")
        .to_owned();
    wait_for("县里已收", || {
        let _ran = village.cuntong(&["sync", "now"]);
        let shown = village.cuntong(&["case", "show", &case]).done().json();
        shown["custody"] == "county"
    });
}
