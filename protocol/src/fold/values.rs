//! Fields and materials: one value, or all of those written without knowing of each other.

use std::collections::BTreeMap;

use crate::{
    case::{Candidate, Field, Parallel},
    document::{FieldValue, ReadField, Reading},
    fields::{MATERIAL, MaterialState},
};

/// Announced at most this many: beyond it nobody reads them.
const PARALLEL_MAX: usize = 32;

/// Every field but settled material lines, which are in [`materials`].
pub(super) fn fields(reading: &Reading) -> BTreeMap<String, Field> {
    let mut out = BTreeMap::new();
    for (name, read) in &reading.fields {
        let field = field(reading, name, read);
        if !name.starts_with(MATERIAL) || matches!(field, Field::Conflict(_)) {
            out.insert(name.clone(), field);
        }
    }
    out
}

/// The state word of each material line; of a conflict, the one that asks for more.
pub(super) fn materials(reading: &Reading) -> BTreeMap<u32, String> {
    let mut out = BTreeMap::new();
    for (name, read) in &reading.fields {
        let Some(index) = name.strip_prefix(MATERIAL).and_then(|i| i.parse().ok()) else {
            continue;
        };
        let words = read.candidates.iter().map(|c| c.value.reveal());
        let states = words.filter_map(MaterialState::from_word);
        if let Some(state) = states.min_by_key(|s| s.settled()) {
            out.insert(index, state.word().to_owned());
        }
    }
    out
}

fn field(reading: &Reading, name: &str, read: &ReadField) -> Field {
    let first = &read.candidates[0].value;
    if read.candidates.iter().all(|c| c.value == *first) {
        return Field::Value(first.clone());
    }
    let all = read.candidates.iter();
    Field::Conflict(all.map(|c| candidate(reading, name, c)).collect())
}

fn candidate(reading: &Reading, name: &str, value: &FieldValue) -> Candidate {
    let with = || reading.acts.iter().filter(|a| a.change == value.change);
    let act = with()
        .find(|a| a.act.body.edits() == Some(name))
        .or_else(|| with().next());
    Candidate {
        value: value.value.clone(),
        writer: value.writer,
        act: act.map(|a| a.id),
        person: act.map(|a| a.act.person),
        at: act.map(|a| a.act.at),
    }
}

/// Edits of different fields, neither knowing of the other (并行修改): merged, and announced.
pub(super) fn parallel(reading: &Reading) -> Vec<Parallel> {
    let edits: Vec<_> = reading
        .acts
        .iter()
        .filter_map(|a| Some((a, a.act.body.edits()?)))
        .collect();
    let mut out = Vec::new();
    for (i, (later, b)) in edits.iter().enumerate() {
        for (earlier, a) in &edits[..i] {
            let apart = a != b
                && later.change != earlier.change
                && !reading.knew(later.change, earlier.change)
                && !reading.knew(earlier.change, later.change);
            if apart {
                out.push(Parallel {
                    fields: [(*a).to_owned(), (*b).to_owned()],
                    acts: [earlier.id, later.id],
                });
            }
            if out.len() == PARALLEL_MAX {
                return out;
            }
        }
    }
    out
}
