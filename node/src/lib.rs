//! The daemon of a village point, a township centre or a county hub.

pub mod clock;
pub mod config;
pub mod desk;
pub mod exit;
pub mod inbox;
pub mod stop;
pub mod store;
pub mod view;
