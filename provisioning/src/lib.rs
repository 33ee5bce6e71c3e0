//! Becoming and ceasing to be a node.
//!
//! [`county`] is the registrar's desk: it holds the keys and says, in signed documents, who is in.
//! [`ticket`] and [`enrol`] bring a machine in, online or by stick; [`judge`] and [`renew`] are
//! asked at every session. Nothing of that does IO; chance and time are arguments. [`folder`],
//! [`clock`] and [`entropy::System`] touch the machine: they are the registrar's, and a node takes
//! from them its book of tickets and its chance.

pub mod certificate;
pub mod clock;
pub mod county;
pub mod enrol;
pub mod entropy;
pub mod folder;
pub mod judge;
pub mod keys;
pub mod renew;
pub mod sealed;
pub mod ticket;
pub mod wire;

pub use county::County;

#[cfg(test)]
mod tests;
