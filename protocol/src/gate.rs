//! The admission gate: what every node checks of what another wrote, before it is written down.
//!
//! Order matters: nothing is spent on bytes whose writer may not speak, and automerge, which
//! panics on some hostile changes and makes documents of others that load no more, sees only what
//! passed a scan of our own, and then on a twin that is thrown away.
//!
//! [`batch`]: seal and chain, writer, scope, amount. [`Cost::within_quota`]: what the writer has cost
//! this node of late. [`entries`] (and [`sheet`], of a whole document): structure, then what it writes, then the twin. All are total: they
//! answer, whatever the bytes. The build must unwind on
//! panic; an executable that uses the gate should keep the panic hook from printing, because the
//! message may quote content.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    control::{NodeEntry, NodeStatus, Trust},
    document::{ChangeFacts, Doc, Known, act_of_bytes, change_facts},
    id::{ActId, ChangeHash, DocId, Scope, Writer},
    limits,
    log::{Batch, Entry, LogHead},
    policy,
    time::Millis,
    wire::codec,
};

mod chunk;
pub(crate) mod column;
mod line;
mod quota;
mod rule;
#[cfg(test)]
mod tests;

pub use line::{Passed, entries, entry, sheet};
pub use quota::Cost;
pub use rule::Rule;

use chunk::Scanned;

/// What a batch is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    pub trust: &'a Trust,
    pub now: Millis,
    /// Whether the batch comes from a node above this one, which let it in when it was young:
    /// a node that is new must be able to take what a since revoked one wrote in its time.
    pub upstream: bool,
}

/// Entries of a batch past what is held; seal, chain, writer and scope are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Position of the first of `entries`.
    pub first: u64,
    pub entries: Vec<Entry>,
    /// The head after them, where the seal stands.
    pub head: LogHead,
}

/// Why a batch is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It goes to quarantine whole and back to the sender as a refusal.
    #[error("{0}")]
    Refused(Rule),
    /// It does not continue what is held, though the writer sealed it.
    #[error("the log forked")]
    Fork,
    /// Entries before it are missing.
    #[error("entries before it are missing")]
    Gap,
}

impl From<Rule> for BatchError {
    fn from(rule: Rule) -> Self {
        Self::Refused(rule)
    }
}

/// Judges a batch as a whole; `held` is the head of its log here.
///
/// # Errors
/// [`BatchError`]; the log must then stay as it is.
pub fn batch(batch: &Batch, held: LogHead, ground: &Ground<'_>) -> Result<Fresh, BatchError> {
    amount(batch)?;
    let writer = writer(batch, ground)?;
    if !batch.seal.verify(&batch.log, &writer.sign_key) {
        return Err(Rule::Seal.into());
    }
    in_force(writer, batch.seal.at, ground)?;
    if !may_write(writer, batch.log.scope, ground) {
        return Err(Rule::Scope.into());
    }
    let foreign = |entry: &Entry| entry.doc.scope() != Some(batch.log.scope);
    if batch.entries.iter().any(foreign) {
        return Err(Rule::OtherScope.into());
    }
    if batch.first > held.seq + 1 {
        return Err(BatchError::Gap);
    }
    let known = usize::try_from(held.seq + 1 - batch.first).unwrap_or(usize::MAX);
    let entries: Vec<_> = batch.entries.iter().skip(known).cloned().collect();
    let head = entries
        .iter()
        .fold(held, |head, entry| head.after(entry.doc, entry.hash));
    if !entries.is_empty() && head != batch.seal.head {
        return Err(BatchError::Fork);
    }
    Ok(Fresh {
        first: held.seq + 1,
        entries,
        head,
    })
}

fn amount(batch: &Batch) -> Result<(), Rule> {
    let count = batch.entries.len();
    let last = batch.first.checked_add(count as u64);
    if count == 0 || batch.first == 0 || last != batch.seal.head.seq.checked_add(1) {
        return Err(Rule::Positions);
    }
    let sizes = batch.entries.iter().filter_map(|e| e.body.as_ref());
    let bytes: usize = sizes.map(Vec::len).sum();
    if count > limits::BATCH_ENTRIES_MAX || bytes > limits::BATCH_BYTES_MAX {
        return Err(Rule::Amount);
    }
    Ok(())
}

fn writer<'a>(batch: &Batch, ground: &Ground<'a>) -> Result<&'a NodeEntry, Rule> {
    let node = batch.log.writer.node;
    ground.trust.node(node).ok_or(Rule::UnknownWriter)
}

fn in_force(writer: &NodeEntry, sealed: Millis, ground: &Ground<'_>) -> Result<(), Rule> {
    if writer.cutoff.is_some_and(|cutoff| sealed > cutoff) {
        return Err(Rule::AfterCutoff);
    }
    match writer.status {
        NodeStatus::Active | NodeStatus::Replaced => Ok(()),
        NodeStatus::Suspended | NodeStatus::Revoked if ground.upstream => Ok(()),
        NodeStatus::Suspended | NodeStatus::Revoked => Err(Rule::NotInForce),
    }
}

fn may_write(writer: &NodeEntry, scope: Scope, ground: &Ground<'_>) -> bool {
    let places = ground.trust.places();
    let level = places.site(writer.site).map(|place| place.level);
    level.is_some_and(|level| policy::writes(places, writer.site, level, scope))
}

/// A chunk's structure, when it is the writer's.
fn scanned_as(body: &[u8], writer: Writer) -> Result<Scanned<'_>, Rule> {
    let scanned = chunk::scan(body)?;
    if scanned.actor == writer.actor().0 {
        Ok(scanned)
    } else {
        Err(Rule::Writer)
    }
}

/// Whether the change follows what its dependencies are: the one place in automerge's own order
/// where it may stand.
fn continues(scanned: &Scanned<'_>, history: &[Known]) -> Result<(), Rule> {
    let by_hash: BTreeMap<_, _> = history.iter().map(|k| (k.hash, k)).collect();
    let mut max_op = 0;
    for dep in scanned.deps() {
        let known = by_hash.get(&dep).ok_or(Rule::Dependencies)?;
        max_op = max_op.max(known.max_op);
    }
    if scanned.start_op != max_op + 1 {
        return Err(Rule::StartOperation);
    }
    let own = history.iter().filter(|k| k.actor == scanned.actor);
    let seq = own.map(|k| k.seq).max().unwrap_or(0);
    if scanned.seq != seq + 1 {
        return Err(Rule::Sequence);
    }
    let actors: BTreeSet<&[u8]> = history.iter().map(|k| k.actor.as_slice()).collect();
    if scanned
        .other_actors()
        .any(|actor| actor == scanned.actor || !actors.contains(actor))
    {
        return Err(Rule::Actors);
    }
    if seq > 0 && !knew_itself(scanned, seq, &by_hash) {
        return Err(Rule::OwnPast);
    }
    Ok(())
}

/// Whether the writer's own change before this one is among what it depends on.
fn knew_itself(scanned: &Scanned<'_>, seq: u64, by_hash: &BTreeMap<ChangeHash, &Known>) -> bool {
    let mut open: Vec<_> = scanned.deps().collect();
    let mut seen = BTreeSet::new();
    while let Some(hash) = open.pop() {
        let Some(known) = by_hash.get(&hash) else {
            continue;
        };
        if known.actor == scanned.actor && known.seq == seq {
            return true;
        }
        if seen.insert(hash) {
            open.extend(&known.deps);
        }
    }
    false
}

/// A document, as far as what is written to it must know.
struct There<'a> {
    id: DocId,
    /// How many acts it has.
    acts: usize,
    has: &'a dyn Fn(ActId) -> bool,
}

/// What was written: new acts under the writer's own ids, fields, and nothing else.
fn content(
    there: &There<'_>,
    facts: &ChangeFacts,
    writer: Writer,
    ground: &Ground<'_>,
) -> Result<(), Rule> {
    if facts.other {
        return Err(Rule::OtherWrites);
    }
    if there.acts + facts.acts.len() > limits::DOCUMENT_ACTS_MAX {
        return Err(Rule::DocumentChanges);
    }
    for (id, bytes) in &facts.acts {
        if id.actor() != writer.actor() || (there.has)(*id) {
            return Err(Rule::ActId);
        }
        let sound = codec::scan(bytes, limits::CBOR_DEPTH_MAX, limits::ACT_BYTES_MAX).is_ok();
        if !sound || act_of_bytes(bytes).is_none() {
            return Err(Rule::Act);
        }
    }
    for (name, value) in &facts.fields {
        let length = value.as_ref().map_or(0, |v| v.reveal().len());
        if name.is_empty()
            || name.len() > limits::FIELD_NAME_BYTES_MAX
            || length > limits::FIELD_BYTES_MAX
        {
            return Err(Rule::Field);
        }
    }
    powers(there.id, facts, writer, ground)
}

/// The same tables that judge what people do here. A person may have moved or left since: what
/// comes from above was judged when it was young.
fn powers(id: DocId, facts: &ChangeFacts, writer: Writer, ground: &Ground<'_>) -> Result<(), Rule> {
    let trust = ground.trust;
    let node = trust.node(writer.node).ok_or(Rule::UnknownWriter)?;
    let place = trust.places().site(node.site).ok_or(Rule::Scope)?;
    let scope = id.scope().ok_or(Rule::OtherScope)?;
    let (directory, places) = (trust.directory(), trust.places());
    match policy::admit(node, place.level, scope, facts, directory, places) {
        Err(denied) if ground.upstream && denied.is_of_its_time() => Ok(()),
        judged => judged.map_err(Rule::Denied),
    }
}
