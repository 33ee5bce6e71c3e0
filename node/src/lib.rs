//! The daemon.

pub mod view;
