//! Bytes per change in each form and under each compressor, and the dictionary's maker.
//!
//! `cargo run -p cuntong-protocol --example bytes` prints the tables of
//! `docs/decisions/0005-elided-entries-and-a-dictionary.md`; nothing but bytes, which are exact. The words are none the
//! dictionary knows. `… -- dictionary FILE` writes the dictionary.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use cuntong_protocol::{
    id::Kind,
    log::{Batch, LogId},
    wire::{Message, codec, frame::Deflater, pack, window},
};
use traffic::Traffic;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

mod dice;
mod learn;
mod traffic;
mod words;

const SIZES: [usize; 4] = [1, 10, 100, 1_000];
/// A seal's signature, which no form can shorten.
const SIGNATURE: usize = 64;

/// What is written, into the log of which kind.
#[derive(Clone, Copy)]
enum Kinds {
    Canned,
    Free,
    Unseen,
    Steps,
    Cases,
}

impl Kinds {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Canned, "status update, canned"),
        (Self::Unseen, "the same, nothing seen of the application"),
        (Self::Free, "status update, 15 free characters"),
        (Self::Steps, "usual steps of handling"),
        (Self::Cases, "new case"),
    ];

    /// Traffic with a past, and then so many changes: the log and how long it was before.
    fn write(self, count: usize) -> (Traffic, LogId, u64) {
        let mut traffic = Traffic::new(0x0b5e_ed00, words::JUDGED);
        let mut cases = Vec::new();
        for _case in 0..if matches!(self, Self::Cases) {
            3
        } else {
            count
        } {
            cases.push(traffic.new_case());
        }
        for case in &cases {
            traffic.step(*case);
        }
        let kind = match self {
            Self::Cases => Kind::Application,
            Self::Canned | Self::Free | Self::Unseen | Self::Steps => Kind::Handling,
        };
        let (log, before) = traffic.log(kind).expect("the past is in it");
        traffic.days(3);
        for at in 0..count {
            // Some other order than that of the past.
            let case = cases[(at * 7 + 3) % cases.len()];
            match self {
                Self::Canned | Self::Unseen => {
                    let text = traffic.canned();
                    traffic.review(case, text, matches!(self, Self::Canned));
                }
                Self::Free => {
                    let text = traffic.free_text(15);
                    traffic.review(case, text, true);
                }
                Self::Steps => traffic.step(case),
                Self::Cases => drop(traffic.new_case()),
            }
        }
        (traffic, log, before)
    }
}

fn whole(batches: &[Batch]) -> Vec<Vec<u8>> {
    let push = |batch: &Batch| codec::encode(&Message::Push(batch.clone()));
    batches.iter().map(push).collect()
}

fn packed(traffic: &Traffic, batches: &[Batch]) -> Vec<Vec<u8>> {
    let pack = |batch: &Batch| {
        let pack = pack::pack(batch, traffic).unwrap_or_else(|never| match never {});
        let held = traffic.head(batch.log, batch.first - 1);
        let key = traffic.key(batch.log).verifying_key().to_bytes();
        let again = pack::unpack(&pack, held, &key, traffic);
        assert_eq!(again.as_ref(), Ok(batch), "the pack is the batch");
        minicbor::to_vec((13, (pack,))).expect("bytes can be written")
    };
    batches.iter().map(pack).collect()
}

fn deflate(messages: &[Vec<u8>], primed: bool, short: bool) -> usize {
    let mut deflater = Deflater::default();
    if primed {
        deflater.prime(&window::DICTIONARIES[0]).expect("it is new");
    }
    let frame = |message: &Vec<u8>| {
        let framed = if short {
            window::frame(&mut deflater, message)
        } else {
            deflater.frame(message)
        };
        framed.expect("it is a message").len()
    };
    messages.iter().map(frame).sum()
}

fn zstd(messages: &[Vec<u8>], level: i32, dictionary: &[u8]) -> usize {
    let mut encoder = Encoder::with_dictionary(level, dictionary).expect("a dictionary");
    for parameter in [
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
        CParameter::WindowLog(18),
    ] {
        encoder.set_parameter(parameter).expect("a parameter");
    }
    let mut room = vec![0; 2 << 20];
    let mut total = 0;
    for message in messages {
        let mut input = InBuffer::around(message);
        let mut output = OutBuffer::around(&mut room[..]);
        while input.pos < message.len() {
            encoder.run(&mut input, &mut output).expect("it compresses");
        }
        while encoder.flush(&mut output).expect("it flushes") > 0 {}
        let length = output.pos();
        // A frame without magic number would be four bytes shorter once per stream.
        total += length + if length < 128 { 1 } else { 2 };
    }
    total - 4
}

fn main() -> std::io::Result<()> {
    if let [_, word, file] = &std::env::args().collect::<Vec<_>>()[..]
        && word == "dictionary"
    {
        return std::fs::write(file, learn::dictionary());
    }
    tables();
    Ok(())
}

/// The messages of one history: today's, and elided.
struct Forms {
    whole: Vec<Vec<u8>>,
    elided: Vec<Vec<u8>>,
}

fn tables() {
    let trained = learn::zstd_dictionary();
    println!("Bytes per change, all included but one seal's signature (64 B) per message.\n");
    println!("| form | compressor | ×1 | ×10 | ×100 | ×1000 |");
    println!("|---|---|---|---|---|---|");
    for (kind, name) in Kinds::ALL {
        println!("| **{name}** | | | | | |");
        let made = SIZES.map(|count| kind.write(count));
        table(
            &made.map(|(traffic, log, before)| {
                let batches = traffic.batches(log, before);
                Forms {
                    whole: whole(&batches),
                    elided: packed(&traffic, &batches),
                }
            }),
            &trained,
        );
    }
}

fn table(forms: &[Forms; 4], trained: &[u8]) {
    let same = window::DICTIONARIES[0].bytes();
    let whole = |name: &str, bytes: &dyn Fn(&[Vec<u8>]) -> usize| {
        row(
            "whole",
            name,
            forms.iter().map(|f| (bytes(&f.whole), f.whole.len())),
        );
    };
    let elided = |name: &str, bytes: &dyn Fn(&[Vec<u8>]) -> usize| {
        row(
            "elided",
            name,
            forms.iter().map(|f| (bytes(&f.elided), f.elided.len())),
        );
    };
    let raw = |messages: &[Vec<u8>]| messages.iter().map(Vec::len).sum::<usize>();
    whole("none", &raw);
    whole("deflate 9", &|m| deflate(m, false, false));
    whole("deflate 9, dictionary", &|m| deflate(m, true, true));
    elided("none", &raw);
    elided("deflate 9", &|m| deflate(m, false, true));
    elided("deflate 9, dictionary", &|m| deflate(m, true, true));
    for level in [3, 19] {
        elided(&format!("zstd {level}"), &|m| zstd(m, level, &[]));
        elided(&format!("zstd {level}, same dictionary"), &|m| {
            zstd(m, level, same)
        });
        elided(&format!("zstd {level}, trained"), &|m| {
            zstd(m, level, trained)
        });
    }
}

fn row(form: &str, compressor: &str, totals: impl Iterator<Item = (usize, usize)>) {
    let cell = |((bytes, messages), count): ((usize, usize), usize)| {
        let tenths = (bytes - messages * SIGNATURE) * 10 / count;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let cells: Vec<_> = totals.zip(SIZES).map(cell).collect();
    println!("| {form} | {compressor} | {} |", cells.join(" | "));
}
