//! Changes of one document that come together: each is judged as it would be alone, but they are
//! put together, stored and loaded once.

use super::*;
use crate::wire::snap::Sheet;

/// A document with changes that passed.
#[derive(Debug)]
pub struct Passed {
    pub doc: Doc,
    /// The acts of all these changes, those known before too.
    pub acts: Vec<ActId>,
}

/// Judges entries of good batches of one writer's, all of one document, in the order of their log,
/// and gives the document with them. A change that is in the document already is admitted again.
///
/// # Errors
/// The first rule that one of them breaks; `doc` is untouched in any case.
pub fn entries(
    doc: &Doc,
    entries: &[&Entry],
    writer: Writer,
    ground: &Ground<'_>,
) -> Result<Passed, Rule> {
    let mut line = Line::after(doc);
    let mut acts = Vec::new();
    for entry in entries {
        let body = entry.body.as_deref().ok_or(Rule::Withheld)?;
        if entry.doc != doc.id() {
            return Err(Rule::OtherScope);
        }
        let scanned = scanned_as(body, writer)?;
        if scanned.hash != entry.hash {
            return Err(Rule::Hash);
        }
        let facts = if line.has(entry.hash) {
            facts_of(body)?
        } else {
            line.judge(&scanned, body, writer, ground)?
        };
        acts.extend(facts.acts.into_iter().map(|(id, _)| id));
    }
    let doc = line.together()?;
    Ok(Passed { doc, acts })
}

/// Judges one entry of a good batch, as [`entries`] does.
///
/// # Errors
/// The first rule it breaks; `doc` is untouched in any case.
pub fn entry(
    doc: &Doc,
    entry: &Entry,
    writer: Writer,
    ground: &Ground<'_>,
) -> Result<Passed, Rule> {
    entries(doc, &[entry], writer, ground)
}

/// Judges a document that a node above sent ahead of its logs, and gives it. Its seals come later:
/// until then what it says of its writers is the sender's word.
///
/// # Errors
/// The first rule that one of its changes breaks.
pub fn sheet(sheet: &Sheet, ground: &Ground<'_>) -> Result<Doc, Rule> {
    let scope = sheet.id.scope().ok_or(Rule::OtherScope)?;
    let empty = Doc::new(sheet.id);
    let mut line = Line::after(&empty);
    for (writer, body) in &sheet.changes {
        let node = ground.trust.node(writer.node);
        if !may_write(node.ok_or(Rule::UnknownWriter)?, scope, ground) {
            return Err(Rule::Scope);
        }
        let scanned = scanned_as(body, *writer)?;
        let _facts = line.judge(&scanned, body, *writer, ground)?;
    }
    line.together()
}

/// A document, and changes that were judged to follow it.
struct Line<'d> {
    doc: &'d Doc,
    /// Of the document and of the changes.
    history: Vec<Known>,
    /// Of the changes alone.
    acts: BTreeSet<ActId>,
    changes: Vec<(ChangeHash, &'d [u8])>,
}

impl<'d> Line<'d> {
    fn after(doc: &'d Doc) -> Self {
        Self {
            doc,
            history: doc.history(),
            acts: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    fn has(&self, change: ChangeHash) -> bool {
        self.history.iter().any(|known| known.hash == change)
    }

    /// Judges one more change, and says what it wrote.
    fn judge(
        &mut self,
        scanned: &Scanned<'_>,
        body: &'d [u8],
        writer: Writer,
        ground: &Ground<'_>,
    ) -> Result<ChangeFacts, Rule> {
        if self.history.len() as u64 >= limits::DOCUMENT_CHANGES_MAX {
            return Err(Rule::DocumentChanges);
        }
        continues(scanned, &self.history)?;
        let facts = facts_of(body)?;
        let there = There {
            id: self.doc.id(),
            acts: self.doc.act_count() + self.acts.len(),
            has: &|act| self.doc.has_act(act) || self.acts.contains(&act),
        };
        content(&there, &facts, writer, ground)?;
        self.history.push(Known {
            hash: scanned.hash,
            actor: scanned.actor.to_vec(),
            seq: scanned.seq,
            max_op: scanned.max_op,
            deps: scanned.deps().collect(),
        });
        self.acts.extend(facts.acts.iter().map(|(id, _)| *id));
        self.changes.push((scanned.hash, body));
        Ok(facts)
    }

    fn together(&self) -> Result<Doc, Rule> {
        if self.changes.is_empty() {
            return Ok(self.doc.fork());
        }
        catch_unwind(AssertUnwindSafe(|| try_on(self.doc, &self.changes)))
            .map_err(|_panic| Rule::Panicked)?
    }
}

/// Applies the changes on a twin and makes sure that what comes out can be stored, loaded and sent
/// on. May panic: automerge does.
pub(super) fn try_on(doc: &Doc, changes: &[(ChangeHash, &[u8])]) -> Result<Doc, Rule> {
    let mut twin = doc.fork();
    for (hash, body) in changes {
        if twin.apply(body).map_err(|_apply| Rule::Apply)? != *hash {
            return Err(Rule::Reload);
        }
    }
    let again = stored(&twin)?;
    let as_sent =
        |(hash, body): &(ChangeHash, &[u8])| again.change_bytes(*hash).as_deref() == Some(*body);
    if again.heads() == twin.heads() && changes.iter().all(as_sent) {
        Ok(again)
    } else {
        Err(Rule::Reload)
    }
}

/// The document as it comes back from its own bytes.
fn stored(doc: &Doc) -> Result<Doc, Rule> {
    let saved = doc.save();
    if saved.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(Rule::DocumentBytes);
    }
    let again = Doc::load(doc.id(), &saved).map_err(|_load| Rule::Reload)?;
    if again.reading().is_ok() && again.save() == saved {
        Ok(again)
    } else {
        Err(Rule::Reload)
    }
}

/// What a change wrote, as automerge reads it.
fn facts_of(body: &[u8]) -> Result<ChangeFacts, Rule> {
    catch_unwind(|| change_facts(body))
        .map_err(|_panic| Rule::Panicked)?
        .map_err(|_parse| Rule::Apply)
}
