//! What benchmarks need: a link emulator ([`shaper`], [`link`]), realistic cases ([`generate`]),
//! the physical limit ([`floor`]), peers as real processes ([`peer`], [`cuntong`]) and the runner
//! of the tables ([`runner`]). See `tests/benches/README.md`.

pub mod county;
pub mod cuntong;
pub mod floor;
pub mod generate;
pub mod link;
pub mod peer;
pub mod process;
pub mod profile;
pub mod runner;
pub mod shaper;
pub mod signals;
pub mod table;
mod words;
