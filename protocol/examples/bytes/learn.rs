//! How the dictionary of the wire is made: from messages of a county that is not real, by a
//! seeded generator, so that the same bytes come out on every machine.

use std::collections::BTreeSet;

use cuntong_protocol::{
    id::Kind,
    log::{LogHead, LogId, Receipt},
    wire::{Message, ScopeProof, codec, pack, window::DICTIONARY_BYTES_MAX},
};

use crate::{traffic::Traffic, words};

/// Length of what counts as the same.
const GRAIN: usize = 6;

/// Messages as a stream would carry them: each seed is a county of its own.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    for seed in 0..40 {
        let mut traffic = Traffic::new(0xd1c7 + seed, words::LEARNT);
        let cases: Vec<_> = (0..24).map(|_| traffic.new_case()).collect();
        for case in &cases {
            traffic.step(*case);
        }
        traffic.days(2);
        let marks = [Kind::Application, Kind::Handling].map(|kind| traffic.log(kind));
        for case in &cases {
            let text = traffic.canned();
            match seed % 4 {
                0 => traffic.step(*case),
                1 => traffic.amend(*case),
                2 => drop(traffic.new_case()),
                _ => traffic.review(*case, text, true),
            }
        }
        for (log, before) in marks.into_iter().flatten() {
            // As many in a batch as a day, an hour and a moment give.
            for batch in traffic.batches(log, before) {
                let pack = pack::pack(&batch, &traffic).unwrap_or_else(|never| match never {});
                samples.push(minicbor::to_vec((13, (pack,))).unwrap_or_default());
            }
            samples.push(codec::encode(&answer(&traffic, log)));
        }
    }
    samples
}

fn answer(traffic: &Traffic, log: LogId) -> Message {
    let head = LogHead {
        seq: 7,
        ..LogHead::START
    };
    if log.scope.kind == Kind::Handling {
        let receipt = Receipt::sign(
            log.writer.node,
            traffic.now,
            vec![(log, head)],
            traffic.key(log),
        );
        return Message::Ack(vec![receipt]);
    }
    Message::Proof(vec![ScopeProof {
        scope: log.scope,
        vector: 1 << 60,
        digest: 1 << 61,
        documents: 40,
    }])
}

/// The dictionary: what samples of *different* counties have in common, the commonest last.
pub(crate) fn dictionary() -> Vec<u8> {
    let samples = samples();
    let mut seen: std::collections::BTreeMap<&[u8], usize> = std::collections::BTreeMap::new();
    for sample in &samples {
        let grains: BTreeSet<&[u8]> = sample.windows(GRAIN).collect();
        for grain in grains {
            *seen.entry(grain).or_default() += 1;
        }
    }
    // Runs of grains that several samples have.
    let mut runs: Vec<(usize, &[u8])> = Vec::new();
    for sample in &samples {
        let common = |at: usize| sample.get(at..at + GRAIN).is_some_and(|g| seen[g] >= 3);
        let mut at = 0;
        while at < sample.len() {
            let start = at;
            let mut weight = 0;
            while common(at) {
                weight += seen[&sample[at..at + GRAIN]];
                at += 1;
            }
            if at > start {
                let run = &sample[start..at + GRAIN - 1];
                runs.push((weight / (at - start), run));
            }
            at += 1;
        }
    }
    runs.sort();
    runs.dedup();
    // The weightiest first; a run whose grains are all there adds nothing.
    let mut chosen: Vec<&[u8]> = Vec::new();
    let mut there: BTreeSet<&[u8]> = BTreeSet::new();
    let mut bytes = 0;
    for (_, run) in runs.iter().rev() {
        let new = run.windows(GRAIN).filter(|g| !there.contains(g)).count();
        if new * 4 < run.len() || bytes + run.len() > DICTIONARY_BYTES_MAX {
            continue;
        }
        there.extend(run.windows(GRAIN));
        bytes += run.len();
        chosen.push(run);
    }
    chosen.reverse();
    chosen.concat()
}

/// The same samples, through the trainer of zstd: for comparison only.
pub(crate) fn zstd_dictionary() -> Vec<u8> {
    zstd::dict::from_samples(&samples(), DICTIONARY_BYTES_MAX).unwrap_or_default()
}
