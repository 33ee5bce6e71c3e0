//! The clock of the registrar's PC, for the executable alone: everywhere else time is an argument.

use cuntong_protocol::time::Millis;

/// What this PC believes the time to be; a moment before 1970 is 1970.
pub fn now() -> Millis {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
