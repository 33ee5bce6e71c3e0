//! The daemon of a village point, a township centre or a county hub.

pub mod clock;
pub mod config;
pub mod control_socket;
pub mod demo;
pub mod exit;
pub mod inbox;
pub mod request;
pub mod stop;
