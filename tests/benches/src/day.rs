//! Days on which both sides went on without a line, each with other cases.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use cuntong_node::demo::chance::Chance;

use crate::generate::{Change, DAY, OPEN_EVERY, Step, What, case, day_of, line, lines, step};

/// The day of every workload.
pub(crate) const FIRST: u64 = 0;
/// One after it, which changes other cases.
pub(crate) const SECOND: u64 = 1;
/// Between the numbers of new cases of two days.
const APART: u64 = 500;

/// Writes `up.jsonl` and `down.jsonl` of the day of that number.
///
/// # Errors
/// Too few cases; a failing disk.
pub(crate) fn write(folder: &Path, seed: u64, cases: u64, day: u64) -> Result<()> {
    let changed = (DAY.1 + DAY.2) as u64;
    let apart = cases / changed / OPEN_EVERY;
    ensure!(day < apart, "too few cases for so many days");
    std::fs::create_dir_all(folder)?;
    // Cases spread over all of them, finished ones for the node and open ones for the hub.
    let nth = |n: u64| n * apart * OPEN_EVERY;
    let mut up = lines(folder, "up.jsonl")?;
    for n in 0..DAY.0 as u64 {
        let one = case(seed, cases + n + day * APART, cases);
        let create = one.steps.into_iter().next().context("a case has steps")?;
        line(&mut up, &change(one.id, true, create))?;
    }
    for n in 0..DAY.1 as u64 {
        let number = nth(n) + 1 + day;
        let mut chance = Chance::new(seed ^ 0xDA1 ^ (number << 16));
        let at = day_of(cases, cases) + 3_600_000 * (n as i64 + 1);
        let act = if n % 5 < 3 {
            What::Amend
        } else {
            What::Deliver
        };
        let case = case(seed, number, cases);
        let step = step(&mut chance, &case.state(), act, 9, at);
        line(&mut up, &change(case.id, false, step))?;
    }
    up.flush()?;
    let mut down = lines(folder, "down.jsonl")?;
    for n in DAY.1 as u64..changed {
        let number = nth(n) + day * OPEN_EVERY;
        let mut chance = Chance::new(seed ^ 0xDA2 ^ (number << 16));
        let at = day_of(cases, cases) + 1_800_000 * (n as i64 + 1);
        let case = case(seed, number, cases);
        let step = step(&mut chance, &case.state(), What::Decide, 9, at);
        line(&mut down, &change(case.id, false, step))?;
    }
    Ok(down.flush()?)
}

fn change(id: String, new: bool, step: Step) -> Change {
    Change {
        id,
        new,
        act: step.act,
        set: step.set,
    }
}
