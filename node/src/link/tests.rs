//! Real QUIC and TCP on this machine between nodes of a small county.

mod blobs;
mod enrolment;
pub(super) mod land;
mod resumed;
mod router;
mod sessions;
mod siege;
mod sticks;
mod tcp;
mod tcp_siege;
mod when;
