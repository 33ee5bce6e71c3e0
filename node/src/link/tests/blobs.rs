//! Attached files between real nodes: up, down, cut, refused.

use cuntong_protocol::{
    act::{Act, ActBody, Attach, Media},
    blob::{
        Blob,
        message::{Ask, BlobMessage, State, Word},
    },
    document::Write,
    id::{BlobHash, CaseId, DocId, Kind, NodeId},
    role::Role as Post,
};
use tokio::io::AsyncWriteExt as _;

use super::{
    super::*,
    land::{DAY_MS, HUB, Land, Machine, NOW, QINGXI, Running, SHIQIAO, TOWN, until},
    tcp::by_tcp_alone,
};
use crate::{blobs::Limits, store::Local};

/// A scan that no compression makes smaller.
pub(super) fn scan(size: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof()
        .fill(&mut bytes);
    bytes[..5].copy_from_slice(b"%PDF-");
    bytes
}

impl Running {
    /// Somebody attaches a file to a case, in a document this node writes.
    pub(super) fn attach(&self, case: CaseId, side: Kind, bytes: &[u8]) -> Attach {
        let attach = self
            .blobs
            .take("扫描件.pdf", bytes, &self.store, NOW)
            .unwrap();
        self.name(case.doc(side), attach.clone());
        attach
    }

    /// Names a file in a document.
    fn name(&self, doc: DocId, attach: Attach) {
        self.store
            .write(move |db| {
                let trust = db.shared_trust()?;
                let site = db.site()?;
                let mut people = trust.directory().people.iter();
                let works = |role: &&Post| [Post::Agent, Post::Clerk].contains(*role);
                let (person, role) = people
                    .find_map(|p| {
                        Some((p.id, *p.roles.iter().find(works)?)).filter(|_| p.site == site)
                    })
                    .unwrap();
                let act = Act {
                    person,
                    role,
                    site,
                    at: NOW,
                    clock: ClockState::Ok,
                    saw: None,
                    body: ActBody::Attach(attach),
                };
                let id = db.act_id(NOW)?;
                db.commit(Local {
                    writes: vec![(doc, vec![Write::Act(id, act)])],
                    at: NOW,
                    once: None,
                    answer: Vec::new(),
                    audit: None,
                })?;
                Ok(())
            })
            .unwrap();
    }

    pub(super) fn has_file(&self, hash: BlobHash) -> bool {
        self.store
            .read(move |db| db.blob_held(hash))
            .unwrap()
            .is_some()
    }

    pub(super) fn holders(&self, hash: BlobHash) -> usize {
        self.store
            .read(move |db| db.blob_holders(hash))
            .unwrap()
            .len()
    }

    /// Files that are not known to be above.
    pub(super) fn unsent(&self) -> u64 {
        let counts = self.store.read(|db| db.blob_counts()).unwrap();
        counts.unsent.0
    }

    pub(super) fn node(&self) -> NodeId {
        self.store.read(|db| Ok(db.identity()?.node)).unwrap()
    }
}

fn three(land: &mut Land) -> (Machine, Machine, Machine) {
    (land.machine(HUB), land.machine(TOWN), land.machine(SHIQIAO))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_up_through_the_township_and_a_result_comes_down() {
    there_and_back(61, config::Config::default().link).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_both_ways_where_only_tcp_passes() {
    there_and_back(67, by_tcp_alone()).await;
}

async fn there_and_back(seed: u64, link: config::Link) {
    let mut land = Land::new(seed);
    land.person(TOWN, "beixiang", Post::Clerk, NOW.after(-500 * DAY_MS));
    let (hub, town, village) = three(&mut land);
    let listening = config::Link {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..link.clone()
    };
    let hub = land.start_with(&hub, listening.clone(), &[]);
    let town = land.start_with(&town, listening, &[&hub]);
    let village = land.start_with(&village, link, &[&town]);
    let case = village.log_case();
    let bytes = scan(700_000, 1);
    let up = village.attach(case, Kind::Application, &bytes);
    until("the scan is at the hub", || hub.has_file(up.hash)).await;
    assert_eq!(hub.blobs.read(up.hash).unwrap(), bytes);
    assert_eq!(town.blobs.read(up.hash).unwrap(), bytes);
    until("the village knows that it got there", || {
        village.holders(up.hash) == 1
    })
    .await;
    until("the case is in the township", || town.holds(case)).await;
    let result = scan(90_000, 2);
    let down = town.attach(case, Kind::Handling, &result);
    until("the result is in the village", || {
        village.has_file(down.hash)
    })
    .await;
    assert_eq!(village.blobs.read(down.hash).unwrap(), result);
    assert_eq!(village.blobs.state().spoiled, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_moves_while_the_line_is_metered_and_cases_do() {
    let mut land = Land::new(62);
    let (hub, _, village) = three(&mut land);
    let hub = land.start(&hub, true, &[]);
    let mut config = config::Config::default().link;
    config.metered = true;
    let village = land.start_with(&village, config, &[&hub]);
    let case = village.log_case();
    let up = village.attach(case, Kind::Application, &scan(1_000, 3));
    until("the case is at the hub", || {
        hub.store
            .read(|db| Ok(db.blob_counts()?.wanted.0 == 1))
            .unwrap()
    })
    .await;
    village.links.sync_now().await.unwrap();
    assert!(!hub.has_file(up.hash));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_room_fetches_nothing_and_says_so() {
    let mut land = Land::new(63);
    let (hub, _, village) = three(&mut land);
    let tight = Limits {
        quota: 500,
        free: 0,
    };
    let hub = land.start_with_room(&hub, tight);
    let village = land.start(&village, false, &[&hub]);
    let case = village.log_case();
    let large = village.attach(case, Kind::Application, &scan(1_000, 4));
    until("it is told", || hub.blobs.state().full.is_some()).await;
    assert!(!hub.has_file(large.hash));
    assert!(hub.holds(case), "the case is there all the same");
}

/// What a node of the county says on a stream of its own, and what it is answered.
async fn ask(from: &Running, asks: &[BlobMessage]) -> Vec<BlobMessage> {
    let shared = from.links.0.clone();
    let line = call::call(&shared, 0, tls::ALPN, false).await.unwrap();
    let connection = line.connection.clone();
    let (report, mut events) = mpsc::unbounded_channel();
    let session = tokio::spawn(async move { drive::run(&shared, line, report).await });
    loop {
        match events.recv().await {
            Some(drive::Event::Settled(_)) => break,
            Some(_) => {}
            None => panic!("the session ended: {:?}", session.await),
        }
    }
    let (mut send, receive) = connection.ask_files().await.unwrap();
    let (sender, mut messages) = mpsc::channel(1_000);
    let reading = tokio::spawn(blobs::read(receive, sender));
    for message in asks {
        let frame = blobs::frame(message);
        if send.write_all(&frame).await.is_err() {
            break;
        }
    }
    let _ended = send.shutdown().await;
    let mut answers = Vec::new();
    while let Some(message) = messages.recv().await {
        answers.push(message);
        if answers.len() == asks.len() {
            break;
        }
    }
    reading.abort();
    session.abort();
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_is_given_nothing_whatever_it_asks() {
    let mut land = Land::new(64);
    let (hub, _, village) = three(&mut land);
    let neighbour = land.machine(QINGXI);
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let case = village.log_case();
    let up = village.attach(case, Kind::Application, &scan(70_000, 5));
    until("the scan is at the hub", || hub.has_file(up.hash)).await;
    let mut config = config::Config::default().link;
    config.attachments = config::Transfers::Off;
    let neighbour = land.start_with(&neighbour, config, &[&hub]);
    // They speak by hand from here.
    neighbour.links.set_plugged(false);
    village.links.set_plugged(false);
    let blob = Blob {
        hash: up.hash,
        size: up.size,
    };
    let question = |first, count| BlobMessage::Ask(Ask { blob, first, count });
    let absent = BlobMessage::States(vec![State {
        blob,
        word: Word::Absent,
    }]);
    let answers = ask(
        &neighbour,
        &[question(0, 1), question(0, 0), question(1, 1)],
    )
    .await;
    assert_eq!(answers, vec![absent.clone(), absent.clone(), absent]);
    // Beyond the end, or more than a window: the stream is closed without a word.
    assert_eq!(ask(&neighbour, &[question(1, 2)]).await, Vec::new());
    assert_eq!(ask(&neighbour, &[question(u32::MAX, 1)]).await, Vec::new());
    assert_eq!(ask(&village, &[question(0, 3)]).await, Vec::new());
    let given = ask(&village, &[question(1, 1)]).await;
    assert!(matches!(&given[..], [BlobMessage::Piece(piece)] if piece.group == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_size_that_lies_is_never_had_and_stands_in_nobodys_way() {
    let mut land = Land::new(65);
    let (hub, _, village) = three(&mut land);
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let case = village.log_case();
    let bytes = scan(70_000, 6);
    let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
    let lie = Attach {
        hash,
        size: 9_000_000,
        media: Media::Pdf,
        name: "x.pdf".to_owned(),
        thumbnail: None,
        material: None,
    };
    village.name(case.doc(Kind::Application), lie);
    let real = village.attach(case, Kind::Application, &bytes);
    assert_eq!(real.hash, hash);
    until("the real one is at the hub", || hub.has_file(hash)).await;
    let held = hub.store.read(move |db| db.blob_held(hash)).unwrap();
    assert_eq!(held, Some(70_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_rotted_where_it_was_is_not_given_and_is_fetched_again_from_above() {
    let mut land = Land::new(66);
    let (hub, _, village) = three(&mut land);
    let hub = land.start(&hub, true, &[]);
    let village = land.start(&village, false, &[&hub]);
    let case = village.log_case();
    let bytes = scan(200_000, 7);
    let up = village.attach(case, Kind::Application, &bytes);
    until("the scan is at the hub", || hub.has_file(up.hash)).await;
    // The village's disk loses it, and its verification says so.
    let name = data_encoding::HEXLOWER.encode(&up.hash.0);
    let path = village
        .files
        .path()
        .join("blobs")
        .join(&name[..2])
        .join(&name);
    std::fs::write(&path, b"rotten").unwrap();
    village
        .store
        .write(move |db| db.drop_blob(up.hash))
        .unwrap();
    let _other = village.log_case();
    until("it is back", || village.has_file(up.hash)).await;
    assert_eq!(village.blobs.read(up.hash).unwrap(), bytes);
}
