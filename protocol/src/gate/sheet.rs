//! A document that comes whole, ahead of its logs: judged as its changes one by one would be, but
//! put together, stored and loaded once.

use super::*;
use crate::wire::{elide, snap::Sheet};

/// Judges a document that a node above sent ahead of its logs, and gives it. Its seals come later:
/// until then what it says of its writers is the sender's word.
///
/// # Errors
/// The first rule that one of its changes breaks.
pub fn sheet(sheet: &Sheet, ground: &Ground<'_>) -> Result<Doc, Rule> {
    let scope = sheet.id.scope().ok_or(Rule::OtherScope)?;
    let mut history = Doc::new(sheet.id).history();
    let mut acts = BTreeSet::new();
    for (writer, body) in &sheet.changes {
        let node = ground.trust.roster().node(writer.node);
        if !may_write(node.ok_or(Rule::UnknownWriter)?, scope, ground) {
            return Err(Rule::Scope);
        }
        let (scanned, facts) = judged(body, *writer, &history)?;
        let there = There {
            id: sheet.id,
            acts: acts.len(),
            has: &|act| acts.contains(&act),
        };
        content(&there, &facts, *writer, ground)?;
        let known = elide::Known::of_chunk(body).ok_or(Rule::Columns)?;
        history.push(Known {
            hash: scanned.hash,
            actor: scanned.actor.to_vec(),
            seq: scanned.seq,
            max_op: known.max_op,
            deps: scanned.deps().collect(),
        });
        acts.extend(facts.acts.iter().map(|(id, _)| *id));
    }
    catch_unwind(AssertUnwindSafe(|| together(sheet))).map_err(|_panic| Rule::Panicked)?
}

/// Puts the changes together and makes sure that the document can be stored, loaded and sent on.
/// May panic: automerge does.
fn together(sheet: &Sheet) -> Result<Doc, Rule> {
    let bodies = sheet.changes.iter().map(|(_, body)| body.as_slice());
    let doc = Doc::rebuild(sheet.id, bodies).map_err(|_apply| Rule::Apply)?;
    let heads = doc.heads();
    let again = stored(&doc)?;
    let changes = again.changes();
    let same = again.heads() == heads
        && changes.len() == sheet.changes.len()
        && changes
            .iter()
            .all(|change| sheet.changes.iter().any(|(_, body)| *body == change.bytes));
    if same { Ok(again) } else { Err(Rule::Reload) }
}
