//! What tests of more than one node need: chance that replays, simulated counties, and real
//! executables.

pub mod dice;
pub mod process;
