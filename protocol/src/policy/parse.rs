//! Names and values of the editable fields.

use jiff::civil::Date;

use crate::{
    fields::{self, MATERIAL, MaterialState},
    limits,
    text::{Bounded, CitizenId, PersonName, Phone, TextError},
};

/// Fields a received case must have.
pub(super) const REQUIRED: [&str; 2] = [fields::NAME, fields::ID];

/// Whether a field may be called that: a word of small letters, digits and underlines, or a
/// material line.
pub(super) fn is_field_name(name: &str) -> bool {
    if name.len() > limits::FIELD_NAME_BYTES_MAX {
        return false;
    }
    if name.starts_with(MATERIAL) {
        return material_index(name).is_some();
    }
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The index of a material line's field: `material.3`, in its one form.
pub(super) fn material_index(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(MATERIAL)?;
    let index: u32 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

/// The field of a material line.
pub(super) fn material_field(index: u32) -> String {
    format!("{MATERIAL}{index}")
}

/// The value in its canonical form. `today` is none while the clock cannot be believed: then no
/// birth lies in the future.
///
/// # Errors
/// What is wrong, in words for the form.
pub(super) fn canonical(name: &str, value: &str, today: Option<Date>) -> Result<String, String> {
    let text = |e: TextError| e.to_string();
    match name {
        fields::NAME | fields::CONTACT => PersonName::parse(value)
            .map(|v| v.reveal().to_owned())
            .map_err(text),
        fields::ID => match today {
            Some(today) => CitizenId::parse(value, today),
            None => CitizenId::stored(value),
        }
        .map(|v| v.reveal().to_owned())
        .map_err(text),
        fields::PHONE | fields::CONTACT_PHONE => Phone::parse(value)
            .map(|v| v.reveal().to_owned())
            .map_err(text),
        other if other.starts_with(MATERIAL) => MaterialState::from_word(value)
            .map(|state| state.word().to_owned())
            .ok_or_else(|| "没有这种材料状态".to_owned()),
        _free_text => Bounded::<{ limits::FIELD_BYTES_MAX }>::parse(value)
            .map(|v| v.as_str().to_owned())
            .map_err(text),
    }
}
