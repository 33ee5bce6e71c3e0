//! Documents as rows.

mod latin;
pub(crate) mod terms;
