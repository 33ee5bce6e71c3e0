//! The executable as a registrar and a script use it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use cuntong_protocol::{control::NodeStatus, time::Millis};
use cuntong_provisioning::{enrol::Joining, entropy::Seeded, folder, ticket::Ticket};
use serde_json::Value;

const PLACES: &str = "code,name\n349901000000,云麓县(样例)\n349901101000,北乡镇\n\
    349901101203,石桥村\n";

/// A registrar's desk in a directory of its own.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // What an interrupted run left behind.
        std::fs::remove_dir_all(&dir).ok();
        std::fs::create_dir_all(&dir).unwrap();
        let desk = Self(dir);
        desk.write("passphrase", "登记员的口令\n");
        desk
    }

    /// A desk with a county and its places.
    fn founded(name: &str) -> Self {
        let desk = Self::new(name);
        desk.done(&["init", "--name", "云麓县(样例)"]);
        desk.write("places.csv", PLACES);
        desk.done(&["place", "add", &desk.path("places.csv")]);
        desk
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cuntong-county"));
        command
            .args(["--dir", &self.path("county"), "--json", "--fast-hash"])
            .args(["--passphrase-file", &self.path("passphrase")])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The result of a command that succeeds.
    fn done(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {talk}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The exit code of a command that fails: it has said why, and its one document is the error.
    fn fails(&self, args: &[&str]) -> i32 {
        let output = self.run(args);
        let code = output.status.code().unwrap();
        assert!(!output.stderr.is_empty(), "{args:?}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["error"]["exit"], code, "{args:?}");
        code
    }

    /// A machine that was given a ticket for that place, and the file of its request.
    fn machine(&self, place: &str, request: &str) -> Joining {
        let ticket = self.done(&["ticket", "--site", place, "--hub", "hub.test:443"]);
        let ticket = Ticket::read(ticket["ticket"].as_str().unwrap()).unwrap();
        let seed = u64::from(request.len() as u32);
        let joining = Joining::begin(ticket, &mut Seeded::new(seed), Millis(0)).unwrap();
        folder::write(&self.0.join(request), joining.request()).unwrap();
        joining
    }
}

#[test]
fn a_registrar_brings_a_machine_in_and_takes_it_out() {
    let desk = Desk::founded("in_and_out");
    let joining = desk.machine("石桥村", "one.ctreq");
    let granted = desk.done(&["grant", &desk.path("one.ctreq")]);
    assert_eq!(granted["node"], joining.node().text());
    assert_eq!(
        (&granted["place"], &granted["again"]),
        (&"石桥村".into(), &false.into())
    );
    let joined = joining
        .finish(&std::fs::read(desk.path("one.ctgrant")).unwrap())
        .unwrap();
    let entry = joined.trust.roster().node(joined.node).unwrap();
    assert_eq!(entry.status, NodeStatus::Active);

    let again = desk.done(&[
        "grant",
        &desk.path("one.ctreq"),
        "--out",
        &desk.path("again"),
    ]);
    assert_eq!(again["again"], true);

    let node = joining.node().text();
    desk.done(&[
        "revoke",
        &node,
        "--reason",
        "被盗",
        "--cutoff",
        "2026-03-02T09:00:00+08:00",
    ]);
    let listed = desk.done(&["roster", "list"]);
    assert_eq!(listed["nodes"][0]["status"], "revoked");
    assert_eq!(listed["nodes"][0]["cutoff"], 1_772_413_200_000_i64);
    let journal = std::fs::read_to_string(desk.path("county/journal.jsonl")).unwrap();
    assert!(journal.contains("被盗"));
}

#[test]
fn a_broken_machine_is_replaced_by_one_command_and_a_ticket() {
    let desk = Desk::founded("replace");
    let old = desk.machine("石桥村", "old.ctreq");
    desk.done(&["grant", &desk.path("old.ctreq")]);
    let ticket = desk.done(&["replace", &old.node().text(), "--hub", "hub.test:443"]);
    let ticket = Ticket::read(ticket["ticket"].as_str().unwrap()).unwrap();
    let new = Joining::begin(ticket, &mut Seeded::new(99), Millis(0)).unwrap();
    folder::write(&desk.0.join("new.ctreq"), new.request()).unwrap();
    desk.done(&["grant", &desk.path("new.ctreq")]);
    let listed = desk.done(&["roster", "list"]);
    let statuses = [&listed["nodes"][0]["status"], &listed["nodes"][1]["status"]];
    assert_eq!(statuses, ["replaced", "active"]);
}

#[test]
fn the_requests_a_hub_keeps_are_answered_together_and_a_bad_one_does_not_stop_the_rest() {
    let desk = Desk::founded("pending");
    std::fs::create_dir(desk.path("pending")).unwrap();
    std::fs::create_dir(desk.path("inbox")).unwrap();
    let one = desk.machine("石桥村", "pending/one.ctreq");
    desk.machine("北乡镇", "pending/three.ctreq");
    desk.write("pending/bad.ctreq", "nothing");
    desk.write("pending/other.txt", "not a request");
    let ran = desk.run(&[
        "grant",
        "--pending",
        &desk.path("pending"),
        "--out",
        &desk.path("inbox"),
    ]);
    assert_eq!(ran.status.code(), Some(3), "some were refused");
    let answered: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let answered = answered["answered"].as_array().unwrap().clone();
    assert_eq!(answered.len(), 3);
    assert!(answered[0]["refused"].is_string());
    let grant = std::fs::read(desk.path("inbox/one.ctgrant")).unwrap();
    assert!(one.finish(&grant).is_ok());
    assert!(Path::new(&desk.path("inbox/three.ctgrant")).exists());
}

#[test]
fn a_desk_that_watches_answers_a_request_when_it_appears_and_lets_others_work() {
    let desk = Desk::founded("watch");
    let mut watching = desk
        .command(&["grant", "--pending", &desk.path("pending"), "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let joining = desk.machine("石桥村", "one.ctreq");
    // The desk makes the directory it watches.
    while folder::write(&desk.0.join("pending/one.ctreq"), joining.request()).is_err() {
        std::thread::yield_now();
    }
    let mut line = String::new();
    let mut said = BufReader::new(watching.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
    let answered: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(answered["answered"][0]["node"], joining.node().text());
    let grant = std::fs::read(desk.path("pending/one.ctgrant")).unwrap();
    assert!(joining.finish(&grant).is_ok());
}

#[test]
fn people_are_entered_with_a_password_from_a_script_or_one_shown_once() {
    let desk = Desk::founded("people");
    let mut child = desk
        .command(&[
            "person",
            "add",
            "--site",
            "349901101203",
            "--name",
            "李明",
            "--login",
            "liming",
            "--role",
            "agent",
            "--role",
            "publisher",
            "--password-stdin",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all("青山绿水八个字\n".as_bytes()).unwrap();
    stdin.write_all("第二行不算".as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "seven characters are too few"
    );

    let shown = desk.done(&[
        "person",
        "add",
        "--site",
        "石桥村",
        "--name",
        "李明",
        "--login",
        "liming",
        "--role",
        "agent",
    ]);
    assert!(shown["password"].as_str().unwrap().len() >= 12);
    let listed = desk.done(&["person", "list"]);
    assert_eq!(listed[0]["login"], "liming");
    assert!(!listed.to_string().contains("argon2"), "no hash in a list");
    let again = desk.done(&["person", "password", "liming"]);
    assert_ne!(again["password"], shown["password"]);
    desk.done(&["person", "end", "liming"]);
    assert!(desk.done(&["person", "list"])[0]["until"].is_number());
}

#[test]
fn documents_are_exported_for_a_hub_or_for_one_site() {
    let desk = Desk::founded("export");
    for (site, login, role) in [
        ("石桥村", "liming", "agent"),
        ("北乡镇", "wangfang", "clerk"),
    ] {
        desk.done(&[
            "person", "add", "--site", site, "--name", "某人", "--login", login, "--role", role,
        ]);
    }
    desk.write("items.csv", cuntong_protocol::control::sample::ITEMS_CSV);
    desk.write("days.csv", cuntong_protocol::control::sample::CALENDAR_CSV);
    desk.done(&["publish", "catalogue", &desk.path("items.csv")]);
    desk.done(&["publish", "calendar", &desk.path("days.csv")]);
    let names = |out: &str, more: &[&str]| {
        let out = desk.path(out);
        desk.done(&[&["export", "--out", &out], more].concat());
        let mut names: Vec<String> = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let all = names("all", &[]);
    assert!(all.contains(&"credentials-s2.ctdoc".to_owned()));
    assert_eq!(all.len(), 7);
    let village = names("village", &["--site", "石桥村"]);
    assert!(!village.contains(&"credentials-s2.ctdoc".to_owned()));
    assert!(village.contains(&"credentials-s3.ctdoc".to_owned()));
}

#[test]
fn exit_codes_tell_apart_what_a_script_must_know() {
    let desk = Desk::founded("codes");
    assert_eq!(desk.fails(&["ticket", "--site", "没有的村"]), 1);
    assert_eq!(
        desk.fails(&["export", "--out", &desk.path("x"), "--site", "没有的村"]),
        1
    );
    let late = ["--reason", "丢失", "--cutoff", "昨天"];
    assert_eq!(
        desk.fails(&[&["revoke", "n-0123456789abcdef"], &late[..]].concat()),
        2
    );
    // What clap refuses never becomes a command, and has no document.
    assert_eq!(desk.run(&["ticket"]).status.code(), Some(2));
    assert_eq!(
        desk.fails(&["ticket", "--site", "石桥村", "--qr", "png"]),
        2
    );
    assert_eq!(desk.fails(&["init", "--name", "又一个县"]), 78);
    desk.machine("石桥村", "one.ctreq");
    let mut altered = std::fs::read(desk.path("one.ctreq")).unwrap();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    std::fs::write(desk.path("altered.ctreq"), &altered).unwrap();
    assert_eq!(desk.fails(&["grant", &desk.path("altered.ctreq")]), 77);
    desk.write("passphrase", "别的口令\n");
    assert_eq!(desk.fails(&["ticket", "--site", "石桥村"]), 77);
    assert_eq!(Desk::new("no_county").fails(&["place", "list"]), 78);
}

#[test]
fn a_county_whose_code_is_wrong_is_not_half_founded() {
    let desk = Desk::new("half");
    let code = ["init", "--name", "云麓县", "--code"];
    assert_eq!(desk.fails(&[&code[..], &["12"]].concat()), 1);
    desk.done(&[&code[..], &["349901000000"]].concat());
    assert_eq!(desk.done(&["place", "list"])[0]["level"], "county");
}

#[test]
fn a_ticket_goes_to_paper_as_text_and_as_a_picture() {
    let desk = Desk::founded("paper");
    let (text, image) = (desk.path("one.ctticket"), desk.path("one.svg"));
    let said = desk.done(&[
        "ticket",
        "--site",
        "石桥村",
        "--days",
        "2",
        "--qr",
        "svg",
        &image,
        "--out",
        &text,
    ]);
    let file = std::fs::read_to_string(&text).unwrap();
    assert_eq!(file.trim_end(), said["ticket"].as_str().unwrap());
    assert!(std::fs::read_to_string(&image).unwrap().starts_with("<svg"));
}
