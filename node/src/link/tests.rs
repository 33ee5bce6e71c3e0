//! Real QUIC on this machine between nodes of a small county.

mod enrolment;
pub(super) mod land;
mod resumed;
mod sessions;
mod siege;
