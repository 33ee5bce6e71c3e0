//! The sample county (样例县): four nodes on one machine, with people and papers of no real place.
//!
//! `349901` is a county code that is assigned to nobody; names, numbers and addresses come from a
//! seed, so that the same county can be made again. [`county`] founds it and enrols its nodes by
//! the same steps as a real one, [`history`] lets its people work for some weeks through the same
//! commands and sessions, [`children`] runs each node as its own process.

pub mod chance;
pub mod children;
pub mod county;
pub mod courses;
pub mod exchange;
pub mod history;
mod notices;
pub mod people;
