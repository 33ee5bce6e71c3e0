//! Bytes from outside, thrown at each reader of them: the files of `tests/fuzz`, and changes of them by
//! seeded dice. A reader answers or refuses; it never panics, and what it takes it gives back.
//!
//! A file that once broke something goes into its reader's folder under a name of its own.
//! Where there is a folder `tests/fuzz/update`, the plain ones are written again, from a session of two real
//! stores.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use cuntong_node::store::Db;
use cuntong_protocol::{
    document::Doc,
    gate::{self, Ground},
    id::{DocId, Kind, Writer},
    log::{Entry, LogHead},
    wire::{
        Message,
        bundle::Header,
        codec, elide,
        frame::{Deflater, Inflater},
        pack::{self, Pack, UnpackError},
        sketch::{self, Ask, Sketch, Sketcher},
        window::{self, DICTIONARIES},
    },
};
use harness::{
    county,
    dice::Dice,
    hostile::chunk::{content, mutate, rechunk},
    world::{Trick, World},
};

/// Changes of each file in an ordinary run.
const CHANGES: usize = 300;
const TOWN: usize = 1;
const VILLAGE: usize = 2;
/// From the village to the township.
const LINE: usize = 1;

fn folder(reader: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(reader)
}

/// A village's store, and what its session with the township said.
struct Scene {
    world: World,
    messages: Vec<Vec<u8>>,
}

fn scene() -> Scene {
    let mut world = World::small(64);
    for n in 0..6 {
        world.log_case(VILLAGE);
        let cases = world.cases_at(VILLAGE);
        world.amend(VILLAGE, cases[n / 2]);
        world.pass(60_000);
    }
    world.lines[LINE].plugged = true;
    assert!(world.call(LINE));
    let mut messages = Vec::new();
    loop {
        let mut moved = false;
        for end in [1, 0] {
            messages.extend(world.lines[LINE].on_the_way(end).next().map(<[u8]>::to_vec));
            moved |= world.deliver(LINE, end, Trick::None);
        }
        if !moved {
            break;
        }
    }
    world.cut(LINE);
    for case in world.cases_at(TOWN) {
        world.handle(TOWN, case);
    }
    Scene { world, messages }
}

/// The plain files of each reader.
fn corpus(scene: &mut Scene) -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut files: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
    let mut seen = Vec::new();
    for bytes in scene.messages.clone() {
        files.entry("frame").or_default().push(framed(&bytes));
        if !seen.contains(&bytes[1]) {
            seen.push(bytes[1]);
            files.entry("wire").or_default().push(bytes.clone());
        }
        if let Ok(Message::Pack(pack)) = codec::decode(&bytes) {
            files.entry("pack").or_default().push(pack.bytes);
        }
    }
    let chunks = bodies(scene.world.db(TOWN));
    files.insert("elide", chunks.iter().take(6).cloned().collect());
    files.insert("chunk", chunks);
    files.insert(
        "sketch",
        vec![drawn(0, 3).message().bytes, drawn(0, 40).message().bytes],
    );
    let header = Header {
        county: county::county().county,
        from: county::node_of(county::SHIQIAO),
        to: county::node_of(county::BEIXIANG),
        at: county::FOUNDED,
        entries: 7,
        written: 40,
    };
    files.insert("bundle", vec![header.to_bytes()]);
    for all in files.values_mut() {
        all.truncate(12);
    }
    files
}

/// A frame's content, as the first of a stream; behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::default();
    deflater
        .prime(&DICTIONARIES[0])
        .expect("it is a dictionary");
    let frame = window::frame(&mut deflater, message).expect("it fits");
    let (_length, taken) = (1..=window::LENGTH_BYTES_MAX)
        .find_map(|have| window::length(&frame[..have]).ok().flatten())
        .expect("a frame begins with its length");
    frame[taken..].to_vec()
}

fn bodies(db: &Db) -> Vec<Vec<u8>> {
    let mut query = db
        .connection()
        .prepare("SELECT body FROM entry WHERE body IS NOT NULL ORDER BY log, seq")
        .expect("the tables of this version");
    let rows = query.query_map([], |r| r.get(0)).expect("entries read");
    rows.map(|row| row.expect("a row")).collect()
}

fn drawn(first: u32, documents: u8) -> sketch::Drawn {
    let scope = cuntong_protocol::id::Scope {
        kind: Kind::Application,
        site: county::SHIQIAO,
    };
    let ask = Ask {
        scope,
        first,
        upto: first + 48,
        key: None,
    };
    let mut sketcher = Sketcher::new(&ask, [7; 16]);
    for n in 0..documents {
        let case = cuntong_protocol::id::CaseId::new(county::SHIQIAO, [n; 11]);
        sketcher.add(case.doc(Kind::Application), u64::from(n) * 77);
    }
    sketcher.finish()
}

/// Gives bytes to a reader; whether it read them to their end.
fn read(reader: &str, bytes: &[u8], scene: &mut Scene) -> bool {
    match reader {
        "wire" => {
            let Ok(message) = codec::decode(bytes) else {
                return false;
            };
            let again = codec::decode(&codec::encode(&message));
            assert_eq!(again.expect("what is said decodes"), message);
            true
        }
        "frame" => {
            let mut inflater = Inflater::default();
            inflater
                .prime(&DICTIONARIES[0])
                .expect("it is a dictionary");
            inflater.message(bytes).is_ok()
        }
        "pack" => unpack(bytes, scene.world.db(VILLAGE)),
        "elide" => {
            let joined = elide::split(bytes).as_ref().and_then(elide::join);
            let Some((_hash, chunk)) = joined else {
                return false;
            };
            assert_eq!(chunk, bytes, "what was left out comes back");
            true
        }
        "sketch" => {
            let mine = drawn(0, 20);
            let theirs = Sketch {
                bytes: bytes.to_vec(),
                ..mine.message()
            };
            let Some(cells) = theirs.cells() else {
                return false;
            };
            let _peeled = sketch::peel(&cells, &mine);
            true
        }
        "bundle" => header(bytes).is_some(),
        "chunk" => change(bytes, scene.world.db(TOWN)),
        other => panic!("no reader of {other}"),
    }
}

fn header(bytes: &[u8]) -> Option<Header> {
    let (prefix, rest) = bytes.split_first_chunk::<{ Header::PREFIX }>()?;
    let length = Header::length(*prefix).ok()?;
    let header = Header::read(rest.get(..length)?).ok()?;
    let again = Header::read(&header.to_bytes()[Header::PREFIX..]);
    assert_eq!(again.ok(), Some(header));
    Some(header)
}

/// A pack whose content is hostile and whose names are good; whether all of it was read.
fn unpack(bytes: &[u8], db: &Db) -> bool {
    let identity = db.identity().expect("it is enrolled");
    let scope = cuntong_protocol::id::Scope {
        kind: Kind::Application,
        site: county::SHIQIAO,
    };
    let log = cuntong_protocol::log::LogId {
        scope,
        writer: identity.writer,
    };
    let pack = Pack {
        log,
        first: 1,
        at: county::FOUNDED,
        signature: [0; 64],
        bytes: bytes.to_vec(),
    };
    let key = county::node_key(county::SHIQIAO).verifying_key().to_bytes();
    // The seal is nobody's: who comes to that has read everything.
    let read = pack::unpack(&pack, LogHead::START, &key, db);
    matches!(read, Err(UnpackError::Mismatch))
}

/// A change whose checksum and name are good, whatever it holds; whether the gate takes it.
fn change(bytes: &[u8], db: &Db) -> bool {
    if bytes.len() < 11 || bytes[9..].iter().all(|b| b & 0x80 > 0) {
        return false;
    }
    let (hash, body) = rechunk(content(bytes));
    let doc = first_document(db);
    let entry = Entry {
        doc,
        hash,
        body: Some(body),
    };
    let writer = Writer {
        node: county::node_of(county::SHIQIAO),
        epoch: 1,
    };
    let ground = Ground {
        trust: county::county().trust(),
        now: county::FOUNDED.after(3_600_000),
        upstream: false,
    };
    let taken = gate::entry(&Doc::new(doc), &entry, writer, &ground);
    if let Ok(passed) = &taken {
        assert!(passed.doc.has(hash), "what is taken is in the document");
    }
    taken.is_ok()
}

/// The document of the first change there is.
fn first_document(db: &Db) -> DocId {
    let conn = db.connection();
    let first = conn.query_row("SELECT doc FROM entry ORDER BY log, seq", [], |r| r.get(0));
    DocId(first.expect("there are entries"))
}

#[test]
fn no_bytes_from_outside_break_their_reader() {
    let mut scene = scene();
    let plain = corpus(&mut scene);
    let update = fs::exists(folder("update")).is_ok_and(|there| there);
    for (reader, files) in &plain {
        if update {
            fs::create_dir_all(folder(reader)).expect("a folder");
            for (n, bytes) in files.iter().enumerate() {
                fs::write(folder(reader).join(format!("plain-{n:02}")), bytes).expect("a file");
            }
        }
        let mut names: Vec<_> = fs::read_dir(folder(reader))
            .unwrap_or_else(|e| panic!("tests/fuzz/{reader}: {e}"))
            .map(|file| file.expect("a file").path())
            .collect();
        names.sort();
        assert!(!names.is_empty(), "tests/fuzz/{reader} is empty");
        let mut dice = Dice::new(349_901);
        let mut read_whole = 0;
        for name in names {
            let bytes = fs::read(&name).expect("it reads");
            for change in 0..=CHANGES {
                let mut changed = bytes.clone();
                if change > 0 {
                    mutate(&mut changed, &mut dice);
                }
                let read = AssertUnwindSafe(|| read(reader, &changed, &mut scene));
                let read = catch_unwind(read);
                assert!(read.is_ok(), "{}, change {change}", name.display());
                read_whole += usize::from(change == 0 && read.is_ok_and(|whole| whole));
            }
        }
        assert!(read_whole > 0, "{reader}: no file is read to its end");
    }
}
