use super::{TextError, half_width, personal};

/// A telephone number: 11 digits of a mobile, or area code, hyphen and number of a landline.
/// Families share numbers and many old people have none, so it identifies nobody.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Phone(String);

personal!(Phone);

impl Phone {
    /// Reads a number as people type it: with spaces, hyphens, brackets, full-width digits, `+86`.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::AreaCode`], [`TextError::Phone`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let typed: String = text
            .chars()
            .map(half_width)
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '(' | ')'))
            .collect();
        if typed.is_empty() {
            return Err(TextError::Empty);
        }
        let number = ["+86", "0086", "86"]
            .into_iter()
            .find_map(|prefix| typed.strip_prefix(prefix).filter(|rest| is_mobile(rest)))
            .unwrap_or(&typed);
        if is_mobile(number) {
            return Ok(Self(number.to_owned()));
        }
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TextError::Phone);
        }
        if matches!(number.len(), 7 | 8) && !number.starts_with('0') {
            return Err(TextError::AreaCode);
        }
        landline(number).map(Self).ok_or(TextError::Phone)
    }

    /// Whether it is a mobile number.
    pub fn is_mobile(&self) -> bool {
        is_mobile(&self.0)
    }

    /// `138****5678`.
    pub fn masked(&self) -> String {
        crate::privacy::mask_phone(&self.0)
    }
}

/// Eleven digits that begin with 13 to 19.
pub(crate) fn is_mobile(number: &str) -> bool {
    let b = number.as_bytes();
    b.len() == 11
        && b[0] == b'1'
        && (b'3'..=b'9').contains(&b[1])
        && b.iter().all(u8::is_ascii_digit)
}

/// Area code, hyphen, number. Beijing (010) and the large cities (02x) have codes of three digits,
/// all others of four.
fn landline(digits: &str) -> Option<String> {
    let code = if digits.starts_with("010") || digits.starts_with("02") {
        3
    } else {
        4
    };
    let (area, number) = digits.split_at_checked(code)?;
    let right = area.starts_with('0')
        && !area.starts_with("00")
        && matches!(number.len(), 7 | 8)
        && !number.starts_with(['0', '1']);
    right.then(|| format!("{area}-{number}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (typed, number) in [
            ("13812345678", "13812345678"),
            ("138-1234-5678", "13812345678"),
            ("138 1234 5678", "13812345678"),
            ("＋８６１３８１２３４５６７８", "13812345678"),
            ("0086 19912345678", "19912345678"),
            ("8613812345678", "13812345678"),
            ("0556-4161234", "0556-4161234"),
            ("05564161234", "0556-4161234"),
            ("(0556) 4161234", "0556-4161234"),
            ("010-62345678", "010-62345678"),
            ("02523456789", "025-23456789"),
        ] {
            assert_eq!(
                Phone::parse(typed).map(|p| p.0),
                Ok(number.to_owned()),
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (typed, why) in [
            ("", TextError::Empty),
            (" - ", TextError::Empty),
            ("12812345678", TextError::Phone),
            ("1381234567", TextError::Phone),
            ("138123456789", TextError::Phone),
            ("无", TextError::Phone),
            ("1381234567a", TextError::Phone),
            ("4161234", TextError::AreaCode),
            ("0556-416123", TextError::Phone),
            ("00-12345678", TextError::Phone),
            ("+1 202 555 0100", TextError::Phone),
        ] {
            assert_eq!(Phone::parse(typed), Err(why), "{typed}");
        }
    }

    #[test]
    fn it_shows_itself_masked_or_not_at_all() {
        let mobile = Phone::parse("13812345678").unwrap();
        assert_eq!(format!("{mobile:?}"), "Phone(…)");
        assert_eq!(mobile.masked(), "138****5678");
        assert!(mobile.is_mobile());
        let landline = Phone::parse("0556-4161234").unwrap();
        assert_eq!(landline.masked(), "0556-***1234");
        assert!(!landline.is_mobile());
    }

    proptest! {
        #[test]
        fn what_was_read_reads_as_itself(text in "[0-9+() -]{0,20}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(phone.reveal()), Ok(phone.clone()));
            }
        }

        #[test]
        fn any_text_gets_an_answer(text in ".*") {
            let _answer = Phone::parse(&text);
        }
    }
}
