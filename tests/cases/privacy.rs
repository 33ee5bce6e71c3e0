//! A planted ID number appears where it belongs and nowhere else: in no log line, no debug
//! output, no public page, no error.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use cuntong_protocol::{
    act::{
        Accept, Act, ActBody, Amend, Attach, Close, Correct, Decide, Deliver, DeliveryWay, Detach,
        Duplicate, Mandate, Media, Missing, Open, Publish, Reason, Receive, Refuse, Resolve, Rule,
        Supplement, TakenEarlier,
    },
    calendar::Calendar,
    command::{Command, LogCase},
    document::{Doc, Write, change_facts},
    fold::{Ground, fold},
    id::{ActId, BlobHash, CaseId, Kind},
    limits,
    log::LogHead,
    refusal::Refusal,
    role::Role,
    sync::{Effect, Input},
    text::{Bounded, CitizenId, Private},
    time::{ClockState, Millis},
    wire::{Message, codec},
};
use harness::{
    county,
    hostile::{Hostile, chunk},
    process::{Demo, Node, cuntong},
};

/// Nobody's number, of a county that does not exist.
const PLANTED: &str = "34990119410305001X";
/// Nobody's name.
const NAME: &str = "买买提·吐尔逊别克";

/// Where in a text the planted number shows: as it is, as hexadecimal, or as a list of bytes.
fn shows(text: &str) -> Option<&'static str> {
    let bytes = PLANTED.as_bytes();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let list: Vec<_> = bytes.iter().map(u8::to_string).collect();
    let tail = &PLANTED[PLANTED.len() - 8..];
    if text.contains(PLANTED) || text.contains(NAME) {
        Some("as it is")
    } else if text.contains(tail) {
        Some("its birthday's end and serial")
    } else if text.to_ascii_lowercase().contains(&hex) {
        Some("as hexadecimal")
    } else if text.contains(&list.join(", ")) || text.contains(&list.join(",")) {
        Some("as a list of bytes")
    } else {
        None
    }
}

fn is_silent(what: &str, value: &impl Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        let oneline = shown.replace(['\n', ' '], "");
        let found = shows(&shown).or_else(|| shows(&oneline));
        assert_eq!(found, None, "{what}: {shown}");
    }
}

fn planted() -> String {
    PLANTED.to_owned()
}

/// An act of every kind, with the number wherever a person could have typed it.
#[expect(clippy::too_many_lines, reason = "one act of every kind")]
fn bodies() -> Vec<ActBody> {
    let reason = || Reason { text: planted() };
    let close = || Close {
        result: planted(),
        result_number: planted(),
    };
    let case = CaseId::new(county::SHIQIAO, [1; 11]);
    let mandate = Mandate {
        witness: Some(planted()),
        ..Mandate::default()
    };
    vec![
        ActBody::Open(Open {
            item: "990010012000".into(),
            item_version: 1,
        }),
        ActBody::Receive(Receive {
            number: "349901101203202603020001".into(),
            mandate: Some(mandate),
            taken: Some(TakenEarlier {
                at: Millis(1),
                reason: planted(),
            }),
            duplicate_reason: Some(planted()),
        }),
        ActBody::Supplement(Supplement {
            materials: vec![1],
            note: planted(),
        }),
        ActBody::Withdraw(reason()),
        ActBody::Deliver(Deliver {
            way: DeliveryWay::Brought,
            receiver: Some(planted()),
            note: planted(),
        }),
        ActBody::Correct(Correct {
            missing: vec![Missing {
                material: None,
                how: planted(),
            }],
            days: 5,
        }),
        ActBody::Accept(Accept {
            note: planted(),
            ..Accept::default()
        }),
        ActBody::Refuse(Refuse {
            reason: planted(),
            basis: planted(),
            competent: planted(),
        }),
        ActBody::Review(reason()),
        ActBody::Decide(Decide {
            granted: false,
            reason: planted(),
            remedies: planted(),
        }),
        ActBody::Close(close()),
        ActBody::Terminate(reason()),
        ActBody::Complete(close()),
        ActBody::Resolve(Resolve {
            field: "id".into(),
            reason: planted(),
        }),
        ActBody::Rule(Rule {
            withdrawn: true,
            reason: planted(),
        }),
        ActBody::Duplicate(Duplicate {
            of: case,
            reason: planted(),
        }),
        ActBody::Amend(Amend {
            field: "id".into(),
            reason: planted(),
        }),
        ActBody::Publish(Publish {
            title: planted(),
            body: planted(),
            places: Vec::new(),
            category: "通知公告".into(),
            from: "2026-03-02".into(),
            until: None,
            case: None,
            correction: planted(),
        }),
        ActBody::Retract(reason()),
        ActBody::Attach(Attach {
            hash: BlobHash([7; 32]),
            size: 5,
            media: Media::Jpeg,
            name: planted(),
            thumbnail: None,
            material: None,
        }),
        ActBody::Detach(Detach {
            attach: ActId([7; 16]),
            reason: planted(),
        }),
    ]
}

/// A case with the number in every act and field, and its one change.
fn case() -> (Doc, Hostile, cuntong_protocol::log::Entry) {
    let mut desk = Hostile::of(county::SHIQIAO);
    let id = desk.new_doc(desk.scope(Kind::Application));
    let mut doc = Doc::new(id);
    let mut writes: Vec<Write> = Vec::new();
    for body in bodies() {
        let (id, act) = desk.act(body);
        writes.push(Write::Act(id, act));
    }
    for name in ["name", "id", "note"] {
        writes.push(Write::Field(name.into(), Some(Private::new(PLANTED))));
    }
    is_silent("Write", &writes);
    let entry = desk.entry(&mut doc, &writes);
    (doc, desk, entry)
}

#[test]
fn no_act_shows_what_was_typed_into_it() {
    for body in bodies() {
        is_silent("ActBody", &body);
        let act = Act {
            person: county::person(county::SHIQIAO),
            role: Role::Agent,
            at: Millis(1),
            clock: ClockState::Ok,
            saw: None,
            site: county::SHIQIAO,
            body,
        };
        is_silent("Act", &act);
    }
}

#[test]
fn no_document_entry_message_or_case_shows_its_content() {
    let (doc, desk, entry) = case();
    is_silent("Doc", &doc);
    is_silent("Change", &doc.changes());
    is_silent(
        "ChangeFacts",
        &change_facts(entry.body.as_ref().unwrap()).unwrap(),
    );
    let reading = doc.reading().unwrap();
    is_silent("Reading", &reading);
    let trust = county::county().trust();
    let ground = Ground {
        catalogue: trust.catalogue(),
        calendar: &Calendar::default(),
        places: trust.places(),
    };
    let case = fold(&reading, None, &ground).unwrap();
    is_silent("Case", &case);
    is_silent("Entry", &entry);
    let batch = desk.applications(LogHead::START, vec![entry]);
    is_silent("Batch", &batch);
    is_silent("Message", &Message::Push(batch.clone()));
    is_silent("Input", &Input::Message(Message::Push(batch.clone())));
    is_silent("Effect", &Effect::Admit(batch));
}

#[test]
fn no_command_shows_what_was_asked() {
    let case = CaseId::new(county::SHIQIAO, [1; 11]);
    let fields = BTreeMap::from([("id".to_owned(), Private::new(PLANTED))]);
    let mut commands = vec![
        Command::Log(LogCase {
            fields,
            duplicate_reason: Some(planted()),
            complete: Some(planted()),
            ..LogCase::default()
        }),
        Command::Amend {
            case,
            field: "id".into(),
            value: Private::new(PLANTED),
            reason: planted(),
        },
        Command::Resolve {
            case,
            field: "id".into(),
            value: Private::new(PLANTED),
            reason: planted(),
        },
    ];
    commands.extend(bodies().into_iter().map(|body| Command::Act { case, body }));
    commands.iter().for_each(|c| is_silent("Command", c));
    let query = cuntong_web::desk::CaseQuery {
        text: planted(),
        ..Default::default()
    };
    is_silent("CaseQuery", &query);
}

#[test]
fn no_error_repeats_what_was_typed() {
    let today = jiff::civil::date(2026, 3, 2);
    // One digit off: the check digit is wrong.
    let wrong = PLANTED.replace("001X", "0011");
    for text in [
        wrong.as_str(),
        "34990119410332001X",
        "3499011941030500",
        "身份证34990119410305001X",
    ] {
        let why = CitizenId::parse(text, today).unwrap_err();
        is_silent("TextError", &why);
        let refusal = Refusal::field("id", why.to_string());
        is_silent("Refusal", &refusal);
        assert_eq!(shows(&refusal.to_string()), None);
    }
    let why = Bounded::<8>::parse(PLANTED).unwrap_err();
    assert_eq!(shows(&why.to_string()), None);
    let mut doc = Doc::new(CaseId::new(county::SHIQIAO, [1; 11]).doc(Kind::Application));
    let long = Private::new(PLANTED.repeat(limits::FIELD_BYTES_MAX));
    let actor = Hostile::of(county::SHIQIAO).writer.actor();
    for writes in [
        vec![Write::Field("id".into(), Some(long))],
        vec![Write::Field(PLANTED.repeat(8), None)],
    ] {
        let why = doc.write(actor, Millis(1), &writes).unwrap_err();
        is_silent("DocError", &why);
        assert_eq!(shows(&why.to_string()), None);
    }
    let other = ActId::of(Millis(1), 0, Hostile::of(county::QINGXI).writer.actor());
    let act = Hostile::of(county::SHIQIAO).act(bodies().remove(3)).1;
    let why = doc
        .write(actor, Millis(1), &[Write::Act(other, act)])
        .unwrap_err();
    is_silent("DocError", &why);
}

#[test]
fn no_error_about_hostile_bytes_quotes_them() {
    let (_, desk, entry) = case();
    let batch = desk.applications(LogHead::START, vec![entry.clone()]);
    let bytes = codec::encode(&Message::Push(batch));
    let body = entry.body.unwrap();
    let mut dice = harness::dice::Dice::new(3);
    for _round in 0..2_000 {
        let mut hostile = bytes.clone();
        chunk::mutate(&mut hostile, &mut dice);
        if let Err(why) = codec::decode(&hostile) {
            is_silent("DecodeError", &why);
            assert_eq!(shows(&why.to_string()), None);
        }
        let mut content = chunk::content(&body).to_vec();
        chunk::mutate(&mut content, &mut dice);
        let (_, hostile) = chunk::rechunk(&content);
        let parsed = std::panic::catch_unwind(|| change_facts(&hostile));
        if let Ok(Err(why)) = parsed {
            is_silent("DocError", &why);
            assert_eq!(shows(&why.to_string()), None);
        }
    }
}

/// Every file below a folder whose name says it is a log.
fn logs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder reads").flatten() {
        let path = entry.path();
        if path.is_dir() {
            logs(&path, found);
            continue;
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let in_log = path.parent().is_some_and(|p| p.ends_with("log"));
        if in_log || name.ends_with(".log") || name.ends_with(".jsonl") {
            found.push(path);
        }
    }
}

/// A page, as anybody gets it who knows the address.
fn page(node: &Node, path: &str) -> String {
    let host = node
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let mut stream = TcpStream::connect(&host).expect("the node's web server answers");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("a request is sent");
    let mut answer = Vec::new();
    let _length = stream.read_to_end(&mut answer).expect("an answer comes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn real_nodes_at_their_most_talkative_write_the_number_nowhere() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let errors = scratch.path().join("demo.log");
    let file = fs::File::create(&errors).expect("a file for standard error");
    let loud = [("CUNTONG_LOG__LEVEL", "trace")];
    let demo = Demo::start_with(4, &loud, Stdio::from(file));
    let village = demo.at("石桥村").clone();
    let town = demo.level("township").clone();
    let hub = demo.level("county").clone();
    let log = |id: &str| {
        village.as_person(&[
            "case",
            "log",
            "--item",
            "990050004000",
            "--name",
            NAME,
            "--id",
            id,
            "--phone",
            "13800000000",
            "--mandate",
        ])
    };
    let case = log(PLANTED).done().json()["case"]
        .as_str()
        .expect("an id")
        .to_owned();
    // A slip of the pen: refused, and not repeated.
    let wrong = PLANTED.replace("001X", "0011");
    let refused = log(&wrong);
    assert_ne!(refused.code, 0);
    assert!(!refused.err.contains(&wrong[10..]) && !refused.out.contains(&wrong[10..]));
    for node in [&village, &town, &village] {
        let _ran = node.cuntong(&["sync", "now"]);
    }
    let found = hub.cuntong(&["case", "list", "--query", NAME]).done();
    assert!(found.out.contains(&case), "it went the whole way");
    let _nothing = village.cuntong(&["case", "show", "c-00"]);
    let _status = cuntong(["status", "--dir", &village.dir.to_string_lossy()]);

    for node in [&village, &town, &hub] {
        for path in [
            "/board",
            "/sign-in",
            "/metrics",
            "/cases",
            &format!("/cases/{case}"),
        ] {
            let answer = page(node, path);
            assert_eq!(shows(&answer), None, "{path} of {}", node.site);
        }
    }
    let mut files = vec![errors];
    logs(demo.folder(), &mut files);
    let mut lines = 0;
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).expect("a log reads")).into_owned();
        for line in text.lines() {
            lines += 1;
            assert_eq!(shows(line), None, "{}: {line}", file.display());
        }
    }
    assert!(lines > 50, "the nodes were talkative: {lines} lines");
}
