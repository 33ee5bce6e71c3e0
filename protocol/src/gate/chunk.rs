//! The structural pre-scan of an automerge change chunk, without automerge.
//!
//! ```text
//! chunk   = 85 6f 4a 83 ‖ checksum (4) ‖ type (1) ‖ length ‖ content
//! hash    = SHA-256(type ‖ length ‖ content); the checksum is its first four bytes
//! content = count, dependencies (32 each) ‖ actor ‖ seq ‖ first operation ‖ time ‖ message
//!         ‖ count, other actors ‖ count, columns (kind, length) ‖ column bytes
//! ```
//! Numbers are LEB128. A change of this system puts and deletes keys of maps and does nothing
//! else, so the scan knows what every column may hold and refuses the rest.

use sha2::{Digest, Sha256};

use crate::{
    gate::{
        Rule,
        column::{Cursor, all_false, runs},
    },
    id::ChangeHash,
    limits,
};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Chunk type of a change; documents (0), deflated changes (2) and bundles (3) are not taken.
const CHANGE: u8 = 1;
/// Milliseconds an act id can hold.
const TIME_MAX: i64 = (1 << 48) - 1;
/// automerge counts operations in 32 bits.
const OPERATION_MAX: u64 = u32::MAX as u64 / 2;

/// Operation codes of automerge.
const PUT: u64 = 1;
const DELETE: u64 = 3;

/// A change as its header and columns tell it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned<'a> {
    pub(super) hash: ChangeHash,
    /// 32 bytes each.
    pub(super) deps: &'a [u8],
    pub(super) actor: &'a [u8],
    pub(super) seq: u64,
    pub(super) start_op: u64,
    /// The number of its last operation.
    pub(super) max_op: u64,
    /// Encoded, `others` of them.
    other_actors: &'a [u8],
    others: u64,
}

impl<'a> Scanned<'a> {
    pub(super) fn deps(&self) -> impl Iterator<Item = ChangeHash> + 'a {
        self.deps.chunks_exact(32).map(|dep| {
            let mut hash = [0; 32];
            hash.copy_from_slice(dep);
            ChangeHash(hash)
        })
    }

    /// Actors besides the writer that its operations speak of.
    pub(super) fn other_actors(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut cursor = Cursor(self.other_actors);
        (0..self.others).map_while(move |_| {
            let length = cursor.unsigned().ok()?;
            cursor.take(length).ok()
        })
    }
}

/// Reads a chunk and checks all that can be checked without a document. Allocates nothing.
///
/// # Errors
/// The rule it breaks.
pub(super) fn scan(chunk: &[u8]) -> Result<Scanned<'_>, Rule> {
    if chunk.len() > limits::CHANGE_BYTES_MAX {
        return Err(Rule::TooLarge);
    }
    let (hash, content) = envelope(chunk)?;
    let mut cursor = Cursor(content);
    let deps = {
        let count = cursor.unsigned()?;
        if count == 0 || count > limits::CHANGE_DEPS_MAX {
            return Err(Rule::DependencyList);
        }
        cursor.take(count * 32)?
    };
    if !deps.chunks_exact(32).is_sorted_by(|a, b| a < b) {
        return Err(Rule::DependencyList);
    }
    let actor = actor(&mut cursor)?;
    let seq = cursor.unsigned()?;
    let start_op = cursor.unsigned()?;
    if start_op == 0 || start_op > OPERATION_MAX {
        return Err(Rule::StartOperation);
    }
    if !(0..=TIME_MAX).contains(&cursor.signed()?) {
        return Err(Rule::Time);
    }
    if cursor.unsigned()? != 0 {
        return Err(Rule::Extras);
    }
    let others = cursor.unsigned()?;
    if others > limits::CHANGE_ACTORS_MAX {
        return Err(Rule::Actors);
    }
    let other_actors = actors(&mut cursor, others)?;
    let operations = columns(&mut cursor, others + 1, start_op)?;
    if !cursor.is_done() {
        return Err(Rule::Extras);
    }
    Ok(Scanned {
        hash,
        deps,
        actor,
        seq,
        start_op,
        max_op: start_op + operations - 1,
        other_actors,
        others,
    })
}

fn envelope(chunk: &[u8]) -> Result<(ChangeHash, &[u8]), Rule> {
    let mut cursor = Cursor(chunk);
    if cursor.take(4).map_err(|_short| Rule::NotAChange)? != MAGIC {
        return Err(Rule::NotAChange);
    }
    let checksum = cursor.take(4)?;
    let hashed = cursor.0;
    if cursor.take(1)? != [CHANGE] {
        return Err(Rule::NotAChange);
    }
    let length = cursor.unsigned()?;
    if usize::try_from(length) != Ok(cursor.0.len()) {
        return Err(Rule::Lengths);
    }
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if checksum != &hash[..4] {
        return Err(Rule::Checksum);
    }
    Ok((ChangeHash(hash), cursor.0))
}

fn actor<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Rule> {
    match cursor.unsigned()? {
        8 => cursor.take(8),
        _ => Err(Rule::Actors),
    }
}

/// So many actors, sorted, none twice; their encoded bytes.
fn actors<'a>(cursor: &mut Cursor<'a>, count: u64) -> Result<&'a [u8], Rule> {
    let all = cursor.0;
    let mut before = None;
    for _other in 0..count {
        let this = actor(cursor)?;
        if before.is_some_and(|before| before >= this) {
            return Err(Rule::Actors);
        }
        before = Some(this);
    }
    Ok(&all[..all.len() - cursor.0.len()])
}

/// The columns a change of ours may have, by their number in the format.
#[derive(Debug, Default)]
struct Columns<'a> {
    object_actor: &'a [u8],
    object_counter: &'a [u8],
    key: &'a [u8],
    insert: &'a [u8],
    action: &'a [u8],
    value_meta: &'a [u8],
    value: &'a [u8],
    before_count: &'a [u8],
    before_actor: &'a [u8],
    before_counter: &'a [u8],
}

/// How many operations the columns hold.
fn columns(cursor: &mut Cursor<'_>, actors: u64, start_op: u64) -> Result<u64, Rule> {
    let count = cursor.unsigned()?;
    let mut heads = *cursor;
    let mut total = 0_u64;
    let mut last = None;
    for _column in 0..count {
        let kind = cursor.unsigned()?;
        if last.is_some_and(|last| last >= kind) {
            return Err(Rule::Columns);
        }
        last = Some(kind);
        total = total.saturating_add(cursor.unsigned()?);
    }
    let mut data = Cursor(cursor.take(total)?);
    let mut columns = Columns::default();
    for _column in 0..count {
        let kind = heads.unsigned()?;
        let length = heads.unsigned()?;
        let column = data.take(length)?;
        let place = match kind {
            0x01 => &mut columns.object_actor,
            0x02 => &mut columns.object_counter,
            0x15 => &mut columns.key,
            0x34 => &mut columns.insert,
            0x42 => &mut columns.action,
            0x56 => &mut columns.value_meta,
            0x57 => &mut columns.value,
            0x70 => &mut columns.before_count,
            0x71 => &mut columns.before_actor,
            0x73 => &mut columns.before_counter,
            // List positions, marks, deflated columns: not of ours.
            _ if column.is_empty() => continue,
            _ => return Err(Rule::Columns),
        };
        *place = column;
    }
    columns.check(actors, start_op)
}

impl Columns<'_> {
    /// At least one operation, and so many.
    fn check(&self, actors: u64, start_op: u64) -> Result<u64, Rule> {
        const MAX: u64 = limits::CHANGE_OPS_MAX;
        let operations = runs::<u64>(self.action, MAX, |_, action| match action {
            Some(PUT | DELETE) => Ok(()),
            Some(_) | None => Err(Rule::Columns),
        })?;
        if operations == 0 || start_op + operations > OPERATION_MAX {
            return Err(Rule::StartOperation);
        }
        let object_actors = runs::<u64>(self.object_actor, MAX, |_, at| present(at, actors))?;
        let object_counters = runs::<u64>(self.object_counter, MAX, |_, at| present(at, start_op))?;
        let keys = runs::<&str>(self.key, MAX, |_, key| match key {
            Some(key) if key.len() <= limits::FIELD_NAME_BYTES_MAX => Ok(()),
            Some(_) | None => Err(Rule::Columns),
        })?;
        let full = [
            object_actors,
            object_counters,
            keys,
            all_false(self.insert)?,
        ];
        if full.iter().any(|cells| *cells != operations) {
            return Err(Rule::Columns);
        }
        self.check_values(operations)?;
        self.check_before(operations, actors, start_op)?;
        Ok(operations)
    }

    /// Lengths in the low-level value column add up to its bytes.
    fn check_values(&self, operations: u64) -> Result<(), Rule> {
        let mut bytes = 0_u64;
        let cells = runs::<u64>(self.value_meta, limits::CHANGE_OPS_MAX, |count, meta| {
            let length = meta.ok_or(Rule::Columns)? >> 4;
            bytes = bytes.saturating_add(length.saturating_mul(count));
            Ok(())
        })?;
        if cells != operations || usize::try_from(bytes) != Ok(self.value.len()) {
            return Err(Rule::Columns);
        }
        Ok(())
    }

    /// What each operation replaces: a count for each, then actor and counter of every one.
    fn check_before(&self, operations: u64, actors: u64, start_op: u64) -> Result<(), Rule> {
        const MAX: u64 = limits::CHANGE_OPS_MAX;
        let mut replaced = 0_u64;
        let cells = runs::<u64>(self.before_count, MAX, |count, each| {
            let each = each.ok_or(Rule::Columns)?;
            replaced = replaced.saturating_add(each.saturating_mul(count));
            Ok(())
        })?;
        if replaced > MAX {
            return Err(Rule::TooManyOperations);
        }
        let by = runs::<u64>(self.before_actor, MAX, |_, at| present(at, actors))?;
        let mut counter = 0_i64;
        let max = i64::try_from(start_op).map_err(|_large| Rule::StartOperation)?;
        let counters = runs::<i64>(self.before_counter, MAX, |count, delta| {
            let delta = delta.ok_or(Rule::Columns)?;
            let count = i64::try_from(count).map_err(|_large| Rule::Columns)?;
            // A run steps evenly, so its first and last value bound the rest.
            let first = counter.checked_add(delta).ok_or(Rule::Columns)?;
            let span = delta.checked_mul(count).ok_or(Rule::Columns)?;
            counter = counter.checked_add(span).ok_or(Rule::Columns)?;
            if [first, counter].iter().all(|c| (1..max).contains(c)) {
                Ok(())
            } else {
                Err(Rule::Columns)
            }
        })?;
        if cells != operations || by != replaced || counters != replaced {
            return Err(Rule::Columns);
        }
        Ok(())
    }
}

/// A cell that must not be empty, below a bound.
fn present(cell: Option<u64>, below: u64) -> Result<(), Rule> {
    match cell {
        Some(value) if value < below => Ok(()),
        Some(_) | None => Err(Rule::Columns),
    }
}
