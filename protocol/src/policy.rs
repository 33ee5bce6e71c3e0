//! Who may do what. One table ([`table`]) for local commands ([`decide`]), foreign changes
//! ([`admit`]) and the fold.

pub mod table;
