//! What benchmarks need: a link emulator ([`shaper`], [`link`]), realistic cases ([`generate`]),
//! the physical limit ([`floor`]), peers as real processes ([`peer`], [`cuntong`]), and the rows of
//! the tables ([`runner`], [`setback`], [`standing`], [`relay`], [`attached`]). See `tests/benches/README.md`.

pub mod attached;
pub mod county;
pub mod cuntong;
mod day;
pub mod floor;
mod founding;
pub mod generate;
pub mod link;
pub mod peer;
pub mod plan;
pub mod process;
pub mod profile;
pub mod relay;
pub mod runner;
pub mod setback;
pub mod shaper;
pub mod signals;
pub mod standing;
pub mod table;
mod words;
