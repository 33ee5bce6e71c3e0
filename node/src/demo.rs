//! The sample county (样例县): four nodes on one machine, with people and papers of no real place.
//!
//! `349901` is a county code that is assigned to nobody; names, numbers and addresses come from a
//! seed, so that the same county can be made again.

pub mod chance;
pub mod people;
