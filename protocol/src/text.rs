//! Bounded text, and personal values that do not print themselves.

use std::fmt;

mod citizen_id;
mod credit_code;
mod name;
mod phone;

pub use citizen_id::CitizenId;
pub use credit_code::CreditCode;
pub use name::{NAME_CHARS_MAX, PersonName};
pub use phone::Phone;
pub(crate) use phone::is_mobile;

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

/// What is wrong with a text, in words that fit beside its field. The text itself is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    #[error("请填写")]
    Empty,
    #[error("太长，最多 {0} 字节")]
    TooManyBytes(usize),
    #[error("太长，最多 {0} 个字")]
    TooManyChars(usize),
    #[error("含有不可见的控制字符，请重新输入")]
    Hidden,
    #[error("含有乱码，请重新输入")]
    Garbled,
    #[error("像是号码，不是姓名")]
    NotAName,
    #[error("应为 18 位（旧证 15 位），现有 {0} 位")]
    IdLength(usize),
    #[error("只能是数字，末位可以是 X")]
    IdCharacter,
    #[error("前两位不是省级代码")]
    IdArea,
    #[error("第 7 至 14 位不是真实的出生日期")]
    IdBirth,
    #[error("出生日期在今天之后")]
    IdFuture,
    #[error("出生日期早于 125 年前")]
    IdAge,
    #[error("校验位不对，请核对是否抄错")]
    CheckDigit,
    #[error("应为 18 位统一社会信用代码，现有 {0} 位")]
    CreditLength(usize),
    #[error("不能含有 I、O、S、V、Z 或其他符号")]
    CreditCharacter,
    #[error("应为 11 位手机号，或带区号的固定电话")]
    Phone,
    #[error("固定电话请加区号")]
    AreaCode,
}

/// Text of at most `BYTES_MAX` bytes of UTF-8 with something in it and nothing hidden. Line ends
/// are `\n`, white space around it is gone. Whether it is personal is not known, so it does not
/// print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Bounded<const BYTES_MAX: usize>(String);

impl<const BYTES_MAX: usize> Bounded<BYTES_MAX> {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::TooManyBytes`], [`TextError::Hidden`],
    /// [`TextError::Garbled`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = text.trim().replace("\r\n", "\n");
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > BYTES_MAX {
            return Err(TextError::TooManyBytes(BYTES_MAX));
        }
        no_tricks(text.chars().filter(|c| !matches!(c, '\n' | '\t')))?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const BYTES_MAX: usize> fmt::Debug for Bounded<BYTES_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bounded({} bytes)", self.0.len())
    }
}

/// A personal value: it shows itself only when asked, never by `Display` or `Debug`.
macro_rules! personal {
    ($name:ident) => {
        impl $name {
            /// The value itself, for a page or paper that may show it.
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// The value as the field of a document.
            pub fn private(&self) -> crate::text::Private {
                crate::text::Private::new(self.0.clone())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}
use personal;

/// `Debug` of a struct that holds free text or bytes a person may have typed anything into: the
/// named fields, and nothing of the others.
macro_rules! shows {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        })*
    };
}
pub(crate) use shows;

/// Refuses characters that hide or that tell of a wrong decoding.
fn no_tricks(chars: impl Iterator<Item = char>) -> Result<(), TextError> {
    for c in chars {
        if c == '\u{fffd}' {
            return Err(TextError::Garbled);
        }
        if is_hidden(c) {
            return Err(TextError::Hidden);
        }
    }
    Ok(())
}

/// A number as people type it: full-width digits and letters become ASCII, white space goes,
/// letters become upper case.
fn typed_number(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| half_width(c).to_ascii_uppercase())
        .collect()
}

/// The ASCII character of a full-width one; others as they are.
pub(crate) fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

/// Whether a character shows nothing and can change how others are shown: controls, bidirectional
/// overrides, invisible joiners and fillers. None belongs into a name or a title.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_personal_value_prints_its_length_only() {
        let id = "34990119410305001X";
        let shown = format!("{:?}", Private::new(id));
        assert_eq!(shown, "Private(18 bytes)");
    }

    #[test]
    fn bounded_text_is_trimmed_limited_and_without_tricks() {
        let read = Bounded::<16>::parse;
        assert_eq!(read("  情况属实\r\n ").unwrap().as_str(), "情况属实");
        assert_eq!(read("一\r\n二").unwrap().as_str(), "一\n二");
        assert_eq!(read(" \u{3000} "), Err(TextError::Empty));
        assert_eq!(read("六个汉字太长"), Err(TextError::TooManyBytes(16)));
        assert_eq!(read("a\u{202e}b"), Err(TextError::Hidden));
        assert_eq!(read("a\0b"), Err(TextError::Hidden));
        assert_eq!(read("a\u{fffd}b"), Err(TextError::Garbled));
        assert_eq!(format!("{:?}", read("秘密").unwrap()), "Bounded(6 bytes)");
    }

    #[test]
    fn no_error_repeats_what_was_typed() {
        let today = jiff::civil::date(2026, 3, 2);
        let why = CitizenId::parse("349901193802290018", today).unwrap_err();
        assert!(!why.to_string().contains("3802"));
        assert_eq!(why.to_string(), "第 7 至 14 位不是真实的出生日期");
    }
}
