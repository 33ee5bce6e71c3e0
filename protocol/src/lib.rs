//! What all nodes must agree on. No IO, no clock, no randomness: all of that is an argument.
//!
//! Read in this order: [`id`], [`act`], [`state`], [`command`], [`case`]; then how documents are
//! written and folded, what the rules say, and last how nodes talk ([`log`], [`wire`]).

pub mod act;
pub mod blob;
pub mod calendar;
pub mod case;
pub mod command;
pub mod control;
pub mod document;
pub mod fields;
pub mod fold;
pub mod gate;
pub mod id;
pub mod limits;
pub mod log;
pub mod notice;
pub mod policy;
pub mod privacy;
pub mod refusal;
pub mod role;
pub mod state;
pub mod sync;
pub mod text;
pub mod time;
pub mod wire;
