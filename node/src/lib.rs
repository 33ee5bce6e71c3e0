//! The daemon of a village point, a township centre or a county hub.
//!
//! Imports go one way: [`store`] and [`view`] know nobody; [`desk`], [`link`], [`inbox`] and
//! [`sticks`] stand on them; [`node`] opens them together, [`run`] keeps them running, [`cli`] is what people call.

mod against;
pub mod answer;
pub mod blobs;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control_socket;
pub mod demo;
pub mod desk;
pub mod exit;
pub mod identity;
pub mod inbox;
pub mod intake;
pub mod link;
pub mod log;
pub mod news;
pub mod node;
pub mod request;
pub mod run;
pub mod sticks;
pub mod stop;
pub mod store;
pub mod tickets;
pub mod view;
