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

/// Characters of a personal name: the national rule asks for at least 25; this is twice as many.
pub const NAME_CHARS_MAX: usize = 50;

/// Whether a character shows nothing and can change how others are shown: controls, bidirectional
/// overrides, invisible joiners and fillers. None belongs into a name or a title.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
