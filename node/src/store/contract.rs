//! The contract: what any store must do, whatever engine is below.

mod bodies;
mod custody;
mod disk;
mod epochs;
mod handle;
mod logs;
mod people;
mod quota;
mod refusals;
mod repairs;
mod rows;
mod sessions;
mod settling;
mod snapshots;
