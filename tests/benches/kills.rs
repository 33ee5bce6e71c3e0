//! `cargo test -p cuntong-tests --bench kills -- [ROUNDS [SEED [KIND]]]`: a hub, a township and a village as
//! real processes over QUIC; in each round one of them is killed (SIGKILL) at a moment of a message,
//! everything is started again, and what must hold is checked (`harness::rig`). KIND is one kind of message,
//! or several with commas between them.
//!
//! Prints a JSON line for each round and a Markdown table at the end.

#![expect(clippy::print_stdout, reason = "the report of a benchmark")]

use std::collections::BTreeMap;

use harness::{
    dice::Dice,
    rig::{KINDS, Moment, ROLES, Recipe, Rounds, Target, targets},
};
use serde_json::json;

/// Kills by kind, role and moment.
type Tally = BTreeMap<(u8, usize), [usize; 5]>;

fn main() {
    let numbers: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |at: usize| numbers.get(at).and_then(|n| n.parse::<u64>().ok());
    let (count, seed) = (number(0).unwrap_or(200), number(1).unwrap_or(1));
    let mut left = order(seed);
    if let Some(kinds) = numbers.get(2) {
        left.retain(|t| kinds.split(',').any(|kind| t.name() == kind));
    }
    let all = left.clone();
    let mut rounds = Rounds::new(seed);
    let (mut tally, mut missed, mut most) = (Tally::new(), Vec::new(), 0);
    for n in 0..count {
        let target = all[n as usize % all.len()];
        let outcome = rounds.round(target);
        most = most.max(outcome.again);
        println!(
            "{}",
            json!({
                "round": n + 1,
                "kind": target.name(),
                "from": ROLES[target.from],
                "to": ROLES[target.to],
                "moment": target.moment.word(),
                "killed": ROLES[target.victim()],
                "struck": outcome.struck,
                "again_bytes": outcome.again,
            })
        );
        if outcome.struck {
            let at = Moment::ALL.iter().position(|m| *m == target.moment);
            let row = tally.entry((target.kind, target.victim())).or_default();
            row[at.expect("it is one of them")] += 1;
        } else {
            missed.push(target);
        }
    }
    print(&tally, &missed, most);
}

/// Every target once, in an order of the seed; first meetings before all others, in counties of their
/// own: what they need is weeks of work, and every check reads all of it.
fn order(seed: u64) -> Vec<Target> {
    let mut dice = Dice::new(seed);
    let mut all = targets();
    for at in (1..all.len()).rev() {
        all.swap(at, dice.below(at + 1));
    }
    all.sort_by_key(|target| !matches!(target.recipe, Recipe::First(_)));
    all
}

fn print(tally: &Tally, missed: &[Target], most: u64) {
    println!(
        "\n| kind | killed | ready | half | sent | came | done |\n|---|---|--:|--:|--:|--:|--:|"
    );
    for ((kind, role), counts) in tally {
        let name = KINDS.iter().find(|(number, _)| number == kind);
        let counts = counts.map(|n| n.to_string()).join(" | ");
        println!(
            "| {} | {} | {counts} |",
            name.map_or("?", |n| n.1),
            ROLES[*role]
        );
    }
    let struck: usize = tally.values().flatten().sum();
    println!(
        "\n{struck} killed at the moment, {} from outside because it did not come:",
        missed.len()
    );
    for target in missed {
        println!("- {target}");
    }
    println!("\nMost bytes of entries given twice to one neighbour: {most}");
}
