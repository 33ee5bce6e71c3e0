//! A hostile crowd: machines with valid keys that do to the hub what they like, again and again,
//! while the others work. What comes of it is judged by how the others fare.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use cuntong_protocol::{
    id::{ChangeHash, Writer},
    limits,
    log::{Batch, Entry, LogHead, LogId, Seal},
    wire::{Hello, Message, VERSION, Version, frame::Deflater, window},
};
use harness::{dice::Dice, hostile::chunk};
use quinn::Endpoint;
use tokio::sync::watch;

use crate::{
    client::{self, Line},
    county::{Land, Machine},
    village::Village,
};

/// How long an attack is kept up when the hub does not hang up.
const ATTACK: Duration = Duration::from_secs(5);
/// Between two attacks of one machine.
const PAUSE: Duration = Duration::from_millis(500);

/// One machine of the crowd.
pub(crate) struct Rowdy {
    pub(crate) land: Arc<Land>,
    /// Its place in the land.
    pub(crate) machine: usize,
    /// What an honest machine in its place would have written.
    pub(crate) village: Arc<Village>,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: quinn::ClientConfig,
    pub(crate) hub: SocketAddr,
    pub(crate) dice: Dice,
}

/// How often each attack was tried, and how often the hub hung up on it before its time was over.
pub(crate) type Tally = BTreeMap<&'static str, (u64, u64)>;

/// The attacks, as they are numbered in the catalogue of cases.
#[derive(Debug, Clone, Copy)]
enum Attack {
    /// W1: a compressed chunk, and a frame that inflates beyond every message.
    Bomb,
    /// W2: a change of more operations than any may have.
    Operations,
    /// W3, W4: changes whose content is broken in some place, with good checksums and seals.
    Broken,
    /// W5: changes that depend on what never comes.
    Orphans,
    /// W6: a frame of four gigabytes, announced.
    Long,
    /// W7: a frame that comes a byte at a time.
    Slow,
    /// W8: handshakes that are not finished.
    Halves,
    /// W9: batches behind a gap.
    Gaps,
    /// W10: empty frames.
    Empty,
    /// W11: arrays in arrays.
    Deep,
    /// W12: a control document spelled otherwise.
    Spelling,
    /// W13: a version nobody speaks.
    Version,
    /// W14: the bytes of a session once more on a second connection at the same time.
    Again,
}

impl Attack {
    const ALL: [Self; 13] = [
        Self::Bomb,
        Self::Operations,
        Self::Broken,
        Self::Orphans,
        Self::Long,
        Self::Slow,
        Self::Halves,
        Self::Gaps,
        Self::Empty,
        Self::Deep,
        Self::Spelling,
        Self::Version,
        Self::Again,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Bomb => "W1 bomb",
            Self::Operations => "W2 operations",
            Self::Broken => "W3 W4 broken changes",
            Self::Orphans => "W5 orphans",
            Self::Long => "W6 length",
            Self::Slow => "W7 slow",
            Self::Halves => "W8 half handshakes",
            Self::Gaps => "W9 gaps",
            Self::Empty => "W10 empty frames",
            Self::Deep => "W11 nesting",
            Self::Spelling => "W12 spelling",
            Self::Version => "W13 version",
            Self::Again => "W14 said again",
        }
    }
}

impl Rowdy {
    /// Attacks in a drawn order until told to stop.
    pub(crate) async fn rage(mut self, mut stop: watch::Receiver<bool>) -> Tally {
        let mut tally = Tally::new();
        while !*stop.borrow() {
            let attack = Attack::ALL[self.dice.below(Attack::ALL.len())];
            let began = Instant::now();
            tokio::select! {
                _over = tokio::time::timeout(ATTACK, self.attack(attack)) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let counts = tally.entry(attack.word()).or_default();
            counts.0 += 1;
            counts.1 += u64::from(began.elapsed() < ATTACK);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        tally
    }

    fn own(&self) -> &Machine {
        &self.land.machines[self.machine]
    }

    async fn call(&self) -> Option<(quinn::Connection, Line)> {
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), self.hub, "x.invalid");
        let connection = connecting.ok()?.await.ok()?;
        let (send, receive) = connection.open_bi().await.ok()?;
        Some((connection, Line::new(send, receive)))
    }

    /// One attack, until the hub hangs up.
    async fn attack(&mut self, attack: Attack) {
        if let Attack::Halves = attack {
            for _half in 0..20 {
                let connecting =
                    self.endpoint
                        .connect_with(self.config.clone(), self.hub, "x.invalid");
                drop(connecting);
                tokio::task::yield_now().await;
            }
            return;
        }
        let Some((connection, mut line)) = self.call().await else {
            return;
        };
        let _hung_up = self.say(attack, &mut line).await;
        let _why = connection.closed().await;
    }

    async fn say(&mut self, attack: Attack, line: &mut Line) -> Option<()> {
        let greeting = self.hello(attack);
        match attack {
            Attack::Long => return line.bytes(&[0xff; 64]).await,
            Attack::Empty => return line.bytes(&vec![0; 100_000]).await,
            Attack::Slow => {
                line.bytes(&[0xff, 0x7f]).await?;
                loop {
                    line.bytes(&[0]).await?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Attack::Deep => {
                let mut deflater = Deflater::default();
                let deep = window::frame(&mut deflater, &vec![0x81; 10_000]);
                return line.bytes(&deep.expect("a frame")).await;
            }
            Attack::Bomb
            | Attack::Operations
            | Attack::Broken
            | Attack::Orphans
            | Attack::Halves
            | Attack::Gaps
            | Attack::Spelling
            | Attack::Version
            | Attack::Again => {}
        }
        line.say(&greeting).await.ok()?;
        for message in self.words(attack) {
            line.say(&message).await.ok()?;
        }
        if let Attack::Bomb = attack {
            line.bytes(&bomb()).await?;
        }
        if let Attack::Again = attack {
            let (_second, mut again) = self.call().await?;
            again.say(&greeting).await.ok()?;
            for message in self.words(attack) {
                again.say(&message).await.ok()?;
            }
        }
        Some(())
    }

    /// What is said after the greeting.
    fn words(&mut self, attack: Attack) -> Vec<Message> {
        let chunks: Vec<_> = self.village.entries.to_vec();
        match attack {
            Attack::Bomb => {
                let (hash, body) = chunk::typed(2, &[0x55; 1_000]);
                vec![self.sealed(vec![named(&chunks[0], hash, body)])]
            }
            Attack::Operations => {
                let body = vec![0x7f; limits::BATCH_BYTES_MAX / 2];
                let (hash, body) = chunk::rechunk(&body);
                vec![self.sealed(vec![named(&chunks[0], hash, body)])]
            }
            Attack::Broken => {
                let mut broken = |entry: &Entry| {
                    let mut content = chunk::content(entry.body.as_ref()?).to_vec();
                    chunk::mutate(&mut content, &mut self.dice);
                    let (hash, body) = chunk::rechunk(&content);
                    Some(named(entry, hash, body))
                };
                let broken = chunks.iter().filter_map(&mut broken).collect();
                vec![self.sealed(broken)]
            }
            // Without the entries that begin the cases.
            Attack::Orphans => vec![self.sealed(chunks[2..].to_vec())],
            Attack::Gaps => {
                let mut gaps = Vec::new();
                for first in (5..).step_by(7).take(12) {
                    if let Message::Push(mut batch) = self.sealed(chunks[..1].to_vec()) {
                        batch.first = first;
                        batch.seal.head.seq = first;
                        gaps.push(Message::Push(batch));
                    }
                }
                gaps
            }
            Attack::Spelling => {
                let trust = &self.land.trust;
                let mut spelled = trust.needed_by(self.own().site, &[]);
                for document in &mut spelled {
                    let at = document.len() / 2;
                    document[at] ^= 1;
                }
                spelled.into_iter().map(Message::Ctrl).collect()
            }
            Attack::Again => vec![self.sealed(chunks)],
            Attack::Long
            | Attack::Slow
            | Attack::Halves
            | Attack::Empty
            | Attack::Deep
            | Attack::Version => Vec::new(),
        }
    }

    fn writer(&self) -> Writer {
        self.village.log.writer
    }

    fn hello(&mut self, attack: Attack) -> Message {
        let version = if let Attack::Version = attack {
            Version {
                major: 99,
                minor: 0,
            }
        } else {
            VERSION
        };
        Message::Hello(Hello {
            version,
            writer: self.writer(),
            boot: self.dice.bytes(),
            vector: Vec::new(),
            controls: self.land.controls.clone(),
            time: client::now(),
            product: "crowd".to_owned(),
            waiting: (0, 0),
            lacking: Vec::new(),
            since: None,
            parts: None,
            snapshot: None,
        })
    }

    /// A batch of these entries, from the beginning of the own log, under a good seal.
    fn sealed(&self, entries: Vec<Entry>) -> Message {
        let log: LogId = self.village.log;
        let head = entries
            .iter()
            .fold(LogHead::START, |head, e| head.after(e.doc, e.hash));
        let seal = Seal::sign(&log, head, client::now(), &self.own().keys.sign.signing());
        Message::Push(Batch {
            log,
            first: 1,
            entries,
            seal,
        })
    }
}

fn named(entry: &Entry, hash: ChangeHash, body: Vec<u8>) -> Entry {
    Entry {
        doc: entry.doc,
        hash,
        body: Some(body),
    }
}

/// A frame of zeros that is more than four messages long.
fn bomb() -> Vec<u8> {
    let mut deflater = Deflater::default();
    let zeros = vec![0; limits::MESSAGE_BYTES_MAX];
    let mut bomb = Vec::new();
    for _message in 0..4 {
        let frame = deflater.frame(&zeros).expect("a frame");
        bomb.extend_from_slice(&frame[4..]);
        bomb.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
    let mut framed = Vec::new();
    chunk::leb(&mut framed, bomb.len() as u64);
    framed.extend(bomb);
    framed
}
