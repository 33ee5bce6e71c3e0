//! The first change of every document, told from its id alone.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::Doc;
use crate::id::{ChangeHash, DocId};

/// Magic and checksum stand before what a change's hash is of.
const HASHED_FROM: usize = 8;
/// An id whose bytes stand nowhere else in its genesis.
const PATTERN: DocId = DocId(*b"id of a document");

/// A genesis without its id: in all of them the same bytes stand around it.
struct Mould {
    before: Vec<u8>,
    after: Vec<u8>,
}

static MOULD: LazyLock<Mould> = LazyLock::new(|| {
    let first = Doc::new(PATTERN);
    let change = first.am.get_changes(&[]).remove(0);
    let hashed = &change.raw_bytes()[HASHED_FROM..];
    let length = PATTERN.0.len();
    let at = hashed.windows(length).position(|part| part == PATTERN.0);
    let at = at.expect("invariant: a genesis holds its id as bytes");
    Mould {
        before: hashed[..at].to_vec(),
        after: hashed[at + length..].to_vec(),
    }
});

/// The hash of a document's genesis, without making one: it is asked for with every load.
pub(super) fn hash(id: DocId) -> ChangeHash {
    let hasher = Sha256::new()
        .chain_update(&MOULD.before)
        .chain_update(id.0)
        .chain_update(&MOULD.after);
    ChangeHash(hasher.finalize().into())
}
