//! What tests of more than one node need: chance that replays, simulated counties, and real
//! executables.

pub mod browser;
pub mod county;
pub mod dice;
pub mod hostile;
pub mod process;
pub mod rig;
pub mod world;
