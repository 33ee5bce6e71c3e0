//! The desks of a small county: a hub, a township, two villages, each over a store in memory.

mod cases;
mod fixture;
mod nodes;
mod notices;
mod people;
mod search;
mod tray;
