//! What acts amount to, said as sentences about the service.

mod conflicts;
mod deadlines;
mod ruling;
mod totality;
mod transitions;
