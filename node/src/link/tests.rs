//! Real QUIC on this machine between nodes of a small county.

mod enrolment;
mod land;
mod sessions;
