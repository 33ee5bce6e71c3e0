//! The store: one SQLite database per node, and the only place with SQL.
//!
//! Read in this order: [`db`] (the synchronous core: one connection, nested transactions, a power
//! cut for tests), [`log`], [`docs`], then what happens to them: [`commit`], [`admit`],
//! [`refuse`], [`settle`], [`fork`], [`repair`], [`bodies`]; what is told to people: [`custody`]; last [`handle`], the
//! thread that owns the writing connection. `docs/formats/store.md` describes the tables.
//!
//! Raw entries are the truth (the changes of old ones may lie in their documents' snapshots alone:
//! [`bodies`]). Snapshots, digests and derived rows are rebuilt from them to
//! equality ([`verify`]). One public method is one transaction, whole or not at all.

pub mod admit;
pub mod backup;
pub mod blobs;
pub mod bodies;
pub mod commit;
pub mod control;
pub mod custody;
pub mod db;
pub mod derived;
pub mod dir;
pub mod docs;
pub mod epoch;
pub mod error;
pub mod fork;
pub mod handle;
pub mod log;
pub mod meta;
pub mod peers;
pub mod people;
pub mod recount;
pub mod refuse;
pub mod repair;
pub mod replica;
pub mod schema;
pub mod settle;
mod shelf;
mod sketch;
mod snapshot;
mod spent;
pub mod verify;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod fixture;

pub use blobs::BlobCounts;
pub use bodies::{FOLD_AFTER_MS, Folded};
pub use commit::{Committed, Local};
pub use cuntong_protocol::sync::Admission;
pub use custody::{Held, Standing, Waiting};
pub use db::{Db, Identity, Opening};
pub use derived::Derived;
pub use dir::Directory;
pub use epoch::{FileMarker, Marker, MarkerState, MemoryMarker, Why};
pub use error::{Result, StoreError};
pub use handle::Store;
pub use people::{Lockout, PersonSession};
pub use recount::Recounted;
pub use replica::{Linked, Traffic};
pub use verify::Report;

/// The named queries, for the test that prepares each.
#[cfg(test)]
const QUERIES: &[(&str, &str)] = &[
    ("batch", log::BATCH),
    ("waiting", custody::WAITING),
    ("case_entries", custody::case::CASE_ENTRIES),
    ("scope_vector", log::VECTOR),
    ("rejections_open", settle::OPEN),
];

/// The query that counts the rows of another.
pub(crate) fn counted(query: &str) -> String {
    format!("SELECT count(*) FROM ({query})")
}
