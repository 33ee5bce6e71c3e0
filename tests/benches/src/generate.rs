//! Realistic cases of one village, from a seed: who asks for what, and what agent and clerks write
//! about it in seven steps; and a day on which both sides went on without a line.
//!
//! A workload is a folder: `initial.jsonl`, `up.jsonl`, `down.jsonl`, `meta.json`
//! (`tests/benches/README.md`). Cases are made one by one from the seed and their number, so that
//! any number of them needs the memory of one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use cuntong_node::demo::chance::Chance;
use serde::{Deserialize, Serialize};

use crate::{day, words as w};

/// Changes of a case before the day.
pub const STEPS: usize = 7;
/// The day: new cases, changed at the node, changed at the hub.
pub const DAY: (usize, usize, usize) = (5, 10, 5);
/// Every so-many-th case is not decided before the day.
pub(crate) const OPEN_EVERY: u64 = 8;
/// Share of notes that are canned, percent.
const CANNED: u64 = 35;
/// 2026-11-02 08:30 in China: when the first case is logged. The product believes no clock before
/// 2026-11-01.
const BEGINS_MS: i64 = 1_793_579_400_000;
/// The cases are logged within it, the day follows it.
const SPAN_MS: i128 = 16 * 86_400_000;

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Node,
    Hub,
}

/// What a change is in the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Create,
    Amend,
    Accept,
    Review,
    Decide,
    Close,
    Deliver,
}

/// Field → value.
pub type Fields = BTreeMap<String, String>;

/// One change of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub by: By,
    pub act: What,
    pub set: Fields,
}

/// A line of `initial.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub id: String,
    pub steps: Vec<Step>,
}

/// A line of `up.jsonl` or `down.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub id: String,
    pub new: bool,
    pub act: What,
    pub set: Fields,
}

/// `meta.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub seed: u64,
    pub cases: u64,
    pub steps: usize,
    /// Changes of the day: new up, changed up, changed down.
    pub day: (usize, usize, usize),
}

/// Writes a workload.
///
/// # Errors
/// Fewer cases than the day changes; a failing disk.
pub fn write(folder: &Path, seed: u64, cases: u64) -> Result<Meta> {
    let changed = (DAY.1 + DAY.2) as u64;
    ensure!(
        cases >= OPEN_EVERY * changed,
        "at least {} cases",
        OPEN_EVERY * changed
    );
    std::fs::create_dir_all(folder)?;
    let mut initial = lines(folder, "initial.jsonl")?;
    for number in 0..cases {
        line(&mut initial, &case(seed, number, cases))?;
    }
    initial.flush()?;
    day::write(folder, seed, cases, day::FIRST)?;
    let meta = Meta {
        seed,
        cases,
        steps: STEPS,
        day: DAY,
    };
    std::fs::write(folder.join("meta.json"), serde_json::to_vec_pretty(&meta)?)?;
    Ok(meta)
}

/// The meta of a workload.
///
/// # Errors
/// There is none.
pub fn meta(folder: &Path) -> Result<Meta> {
    let bytes = std::fs::read(folder.join("meta.json"))?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The lines of a workload's file, one at a time.
///
/// # Errors
/// There is no such file.
pub fn read<T: serde::de::DeserializeOwned>(
    folder: &Path,
    name: &str,
) -> Result<impl Iterator<Item = Result<T>>> {
    let file = File::open(folder.join(name)).with_context(|| format!("{name} of a workload"))?;
    let lines = BufReader::new(file).lines();
    Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
}

pub(crate) fn lines(folder: &Path, name: &str) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(folder.join(name))?))
}

pub(crate) fn line(out: &mut impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(out.write_all(b"\n")?)
}

/// When a case is logged, in milliseconds since 1970: they spread over the span.
pub(crate) const fn day_of(number: u64, cases: u64) -> i64 {
    BEGINS_MS + (SPAN_MS * number as i128 / cases as i128) as i64
}

/// The case of that number, of so many.
pub fn case(seed: u64, number: u64, cases: u64) -> Case {
    let mut chance = Chance::new(seed.rotate_left(32) ^ number.wrapping_mul(0x9E37_79B9));
    let id = format!("{:016x}{:016x}", chance.bits(), chance.bits());
    let open = number.is_multiple_of(OPEN_EVERY);
    let (last, before) = if open {
        (What::Amend, What::Review)
    } else {
        (What::Close, What::Decide)
    };
    let acts = [
        What::Create,
        What::Amend,
        What::Accept,
        What::Review,
        What::Amend,
        before,
        last,
    ];
    let mut at = day_of(number, cases);
    let mut state = Fields::new();
    let mut steps = Vec::new();
    for (n, act) in acts.into_iter().enumerate() {
        at += chance.between(600_000, 20_000_000) as i64 * i64::from(n > 0);
        let step = step(&mut chance, &state, act, n, at);
        state.extend(step.set.clone());
        steps.push(step);
    }
    Case { id, steps }
}

impl Case {
    /// What its steps make of it.
    pub fn state(&self) -> Fields {
        let all = self.steps.iter().flat_map(|step| step.set.clone());
        all.collect()
    }
}

/// One change; `n` names its fields, so that none writes over another's.
pub(crate) fn step(chance: &mut Chance, state: &Fields, act: What, n: usize, at: i64) -> Step {
    let by = match act {
        What::Create | What::Amend | What::Deliver => By::Node,
        What::Accept | What::Review | What::Decide | What::Close => By::Hub,
    };
    let mut set = Fields::new();
    match act {
        What::Create => create(chance, &mut set),
        What::Amend => amend(chance, state, &mut set, n),
        What::Accept => put(&mut set, "accept.note", note(chance)),
        What::Review => put(&mut set, &format!("review.{n}.text"), note(chance)),
        What::Decide => {
            put(&mut set, "decide.granted", "true".into());
            put(&mut set, "decide.reason", note(chance));
        }
        What::Close => {
            put(&mut set, "close.result", (*chance.of(&w::RESULTS)).into());
            let number = format!("〔2026〕{:05}", chance.below(100_000));
            put(&mut set, "close.number", number);
        }
        What::Deliver => {
            let way = *chance.of(&["collected", "mailed", "brought"]);
            put(&mut set, "deliver.way", way.into());
            put(&mut set, "deliver.note", note(chance));
        }
    }
    let (person, role) = match by {
        By::Node => (["p-11", "p-12"][chance.below(2) as usize], "agent"),
        By::Hub => (["p-01", "p-02"][chance.below(2) as usize], "decider"),
    };
    put(&mut set, &format!("act.{n}.at"), at.to_string());
    put(&mut set, &format!("act.{n}.by"), format!("{person}/{role}"));
    Step { by, act, set }
}

fn put(set: &mut Fields, field: &str, value: String) {
    let _before = set.insert(field.to_owned(), value);
}

fn create(chance: &mut Chance, set: &mut Fields) {
    let item = chance.of(&w::ITEMS);
    let hamlet = *chance.of(&w::HAMLETS);
    let house = format!("{hamlet}{}号", chance.between(1, 180));
    put(set, "item", item.0.into());
    put(set, "name", name(chance));
    put(set, "id", citizen(chance));
    put(set, "phone", phone(chance));
    put(set, "address", format!("青陂县长滩乡{house}"));
    put(set, "group", format!("{}组", chance.between(1, 14)));
    put(set, "contact", name(chance));
    put(set, "contact_phone", phone(chance));
    put(set, "bank", account(chance));
    put(set, "note", note(chance));
    put(set, "mandate", "collect".into());
    put(set, "nation", (*chance.of(&w::NATIONS)).into());
    put(set, "schooling", (*chance.of(&w::SCHOOLING)).into());
    put(set, "trade", (*chance.of(&w::TRADES)).into());
    put(set, "household", chance.between(1, 9).to_string());
    put(set, "income", (chance.between(20, 900) * 100).to_string());
    put(
        set,
        "land",
        format!("{}.{}", chance.below(20), chance.below(10)),
    );
    put(set, "relation", (*chance.of(&w::KIN)).into());
    put(set, "amount", (chance.between(1, 400) * 50).to_string());
    put(
        set,
        "since",
        format!(
            "20{:02}-{:02}",
            chance.between(1, 25),
            chance.between(1, 12)
        ),
    );
    put(
        set,
        "place",
        format!(
            "{}{}",
            chance.of(&w::HAMLETS),
            chance.of(&["东", "西", "坡上", "塘边"])
        ),
    );
    for line in 0..4 {
        let state = *chance.of(&["original", "copy", "original", "electronic"]);
        put(set, &format!("material.{line}"), state.into());
    }
}

fn amend(chance: &mut Chance, state: &Fields, set: &mut Fields, n: usize) {
    let (field, value) = loop {
        let (field, value) = match chance.below(5) {
            0 => ("phone", phone(chance)),
            1 => ("contact_phone", phone(chance)),
            2 => ("bank", account(chance)),
            _ => ("note", note(chance)),
        };
        // What says the same is no change.
        if state.get(field) != Some(&value) {
            break (field, value);
        }
    };
    put(set, field, value);
    let reason = pick(chance, &w::REASONS);
    let reason = fill(chance, reason);
    put(set, &format!("amend.{n}.field"), field.into());
    put(set, &format!("amend.{n}.reason"), reason);
}

/// What somebody writes: canned, or one to three clauses that hardly ever meet again.
fn note(chance: &mut Chance) -> String {
    if chance.percent(CANNED) {
        return (*chance.of(&w::CANNED)).to_owned();
    }
    let (subject, fact) = (pick(chance, &w::SUBJECTS), pick(chance, &w::FACTS));
    let mut text = fill(chance, subject) + &fill(chance, fact);
    for list in [&w::FACTS[..], &w::WISHES[..]] {
        if chance.percent(55) {
            let more = *chance.of(list);
            text.push(',');
            text.push_str(&fill(chance, more));
        }
    }
    text
}

/// Fills a clause's gaps.
fn fill(chance: &mut Chance, clause: &str) -> String {
    let mut text = String::new();
    for c in clause.chars() {
        match c {
            '@' => text.push_str(&chance.between(2, 96).to_string()),
            '*' => text.push_str(pick(chance, &w::KIN)),
            '#' => text.push_str(pick(chance, &w::HAMLETS)),
            other => text.push(other),
        }
    }
    text
}

fn pick(chance: &mut Chance, words: &[&'static str]) -> &'static str {
    chance.of::<&'static str>(words)
}

fn name(chance: &mut Chance) -> String {
    let of = |chance: &mut Chance, all: &str| {
        let count = all.chars().count() as u64;
        all.chars()
            .nth(chance.below(count) as usize)
            .unwrap_or('一')
    };
    let mut name = of(chance, w::SURNAMES).to_string();
    for _given in 0..1 + usize::from(chance.percent(80)) {
        name.push(of(chance, w::GIVEN));
    }
    name
}

fn phone(chance: &mut Chance) -> String {
    let head = *chance.of(&["135", "139", "151", "158", "177", "182", "186", "199"]);
    format!("{head}{:08}", chance.below(100_000_000))
}

fn account(chance: &mut Chance) -> String {
    let head = pick(chance, &w::BANKS);
    format!("{head}{:015}", chance.below(1_000_000_000_000_000))
}

/// 18 digits with the right check digit (GB 11643), of a county code that is given to nobody.
fn citizen(chance: &mut Chance) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let mut id = format!(
        "349955{:04}{:02}{:02}{:03}",
        chance.between(1938, 2006),
        chance.between(1, 12),
        chance.between(1, 28),
        chance.below(1000)
    );
    let digits = id.chars().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit * weight)
        .sum();
    id.push(char::from(b"10X98765432"[(sum % 11) as usize]));
    id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_cases() {
        assert_eq!(case(3, 5, 99), case(3, 5, 99));
        assert_ne!(case(3, 5, 99).id, case(4, 5, 99).id);
        assert_ne!(case(3, 5, 99).id, case(3, 6, 99).id);
    }

    #[test]
    fn a_case_has_its_seven_steps_and_its_fields() {
        let case = case(1, 9, 99);
        assert_eq!(case.steps.len(), STEPS);
        let created = &case.steps[0].set;
        assert!(created.len() >= 24, "{}", created.len());
        assert_eq!(
            created
                .keys()
                .filter(|k| k.starts_with("material."))
                .count(),
            4
        );
        assert_eq!(case.steps.iter().filter(|s| s.by == By::Hub).count(), 4);
    }

    #[test]
    fn notes_rarely_repeat_but_for_the_canned_ones() {
        let mut chance = Chance::new(11);
        let notes: Vec<String> = (0..2_000).map(|_| note(&mut chance)).collect();
        let free: Vec<_> = notes
            .iter()
            .filter(|n| !w::CANNED.contains(&n.as_str()))
            .collect();
        let distinct: BTreeSet<_> = free.iter().collect();
        assert!(free.len() > 1_100, "{}", free.len());
        assert!(
            distinct.len() * 100 > free.len() * 95,
            "{} of {}",
            distinct.len(),
            free.len()
        );
    }

    #[test]
    fn the_day_changes_cases_that_exist_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let meta = write(folder.path(), 2, 200).unwrap();
        assert_eq!(super::meta(folder.path()).unwrap(), meta);
        let known: BTreeSet<String> = read::<Case>(folder.path(), "initial.jsonl")
            .unwrap()
            .map(|case| case.unwrap().id)
            .collect();
        assert_eq!(known.len(), 200);
        let changes = |name| -> Vec<Change> {
            read(folder.path(), name)
                .unwrap()
                .map(Result::unwrap)
                .collect()
        };
        let (up, down) = (changes("up.jsonl"), changes("down.jsonl"));
        assert_eq!((up.len(), down.len()), (15, 5));
        assert_eq!(up.iter().filter(|c| c.new).count(), 5);
        assert!(
            up.iter()
                .chain(&down)
                .all(|c| known.contains(&c.id) != c.new)
        );
        let ids: BTreeSet<_> = up.iter().chain(&down).map(|c| &c.id).collect();
        assert_eq!(ids.len(), 20);
    }
}
