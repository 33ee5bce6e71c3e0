//! The daemon: store, runtime, links, command line.

pub mod store;
