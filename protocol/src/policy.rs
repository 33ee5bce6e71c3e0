//! Who may do what. One table ([`table`]) for local commands ([`decide`]), foreign changes
//! ([`admit`]), what a page offers ([`offers`]) and the fold.

mod admit;
mod content;
mod decide;
mod guards;
mod intake;
mod notices;
mod offers;
mod parse;
mod rights;
pub mod table;

#[cfg(test)]
mod tests;

pub use admit::{Denied, admit};
pub use decide::{Facts, Now, Source, Writes, decide};
pub use offers::offers;
pub use rights::{reads, scopes_read_by, writes};
