//! One binary for all tests that need more than one crate. `tidy` fails when a file of this
//! folder is not listed here.

mod browser;
mod carriers;
mod formats;
mod fuzz;
mod histories;
mod hostile;
mod invariants;
mod kills;
mod privacy;
mod repairs;
mod sticks;
mod tidy;
mod whereabouts;
mod whole_way;
