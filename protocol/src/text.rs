//! Bounded text, and personal values that do not print themselves.

use std::fmt;

/// A personal value (个人信息). It has no `Display`, and `Debug` shows its length only, so that
/// it cannot reach a log, a metric or a public page by accident.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Private(#[n(0)] String);

impl Private {
    /// Wraps a personal value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for a page or paper that may show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Private({} bytes)", self.0.len())
    }
}
