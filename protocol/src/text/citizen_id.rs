use jiff::civil::Date;

use super::{TextError, personal, typed_number};

/// 公民身份号码 (GB 11643) in its canonical form: 17 digits and a check character, `X` in upper
/// case. Well-formed does not mean verified: nobody has looked at the card.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CitizenId(String);

personal!(CitizenId);

/// Nobody is known to have lived longer than this many years by much.
const AGE_YEARS_MAX: i16 = 125;
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

impl CitizenId {
    /// Reads a number as people type it: full-width digits, spaces and a small x are accepted, an
    /// old number of 15 digits becomes one of 18.
    ///
    /// # Errors
    /// What is wrong with it, checked in the order in which a person would look.
    pub fn parse(text: &str, today: Date) -> Result<Self, TextError> {
        let id = Self::stored(text)?;
        let birth = id.birth();
        if birth > today {
            return Err(TextError::IdFuture);
        }
        let years = today.year() - birth.year();
        let before_birthday = (today.month(), today.day()) < (birth.month(), birth.day());
        if years - i16::from(before_birthday) > AGE_YEARS_MAX {
            return Err(TextError::IdAge);
        }
        Ok(id)
    }

    /// Reads a number without asking what day it is: for what was accepted once.
    ///
    /// # Errors
    /// As [`CitizenId::parse`], without [`TextError::IdFuture`] and [`TextError::IdAge`].
    pub fn stored(text: &str) -> Result<Self, TextError> {
        let typed = typed_number(text);
        let length = typed.chars().count();
        if length == 0 {
            return Err(TextError::Empty);
        }
        if length != 15 && length != 18 {
            return Err(TextError::IdLength(length));
        }
        let digits = if length == 15 { 15 } else { 17 };
        let digit = |(at, c): (usize, char)| c.is_ascii_digit() || (at == digits && c == 'X');
        if !typed.chars().enumerate().all(digit) {
            return Err(TextError::IdCharacter);
        }
        let mut number = typed;
        if length == 15 {
            number.insert_str(6, "19");
        }
        if !is_area(number.as_bytes()) {
            return Err(TextError::IdArea);
        }
        civil_birth(&number[6..14]).ok_or(TextError::IdBirth)?;
        let check = check(&number.as_bytes()[..17]);
        if length == 15 {
            number.push(char::from(check));
        } else if number.as_bytes()[17] != check {
            return Err(TextError::CheckDigit);
        }
        Ok(Self(number))
    }

    /// The date of birth.
    pub fn birth(&self) -> Date {
        civil_birth(&self.0[6..14]).expect("checked when it was read")
    }

    /// Whether the number was given to a woman: its 17th digit is even.
    pub fn female(&self) -> bool {
        (self.0.as_bytes()[16] - b'0').is_multiple_of(2)
    }

    /// `340***********1234`: enough to tell people of one list apart.
    pub fn masked(&self) -> String {
        crate::privacy::mask_id(&self.0)
    }
}

/// Whether a number begins with a province, with Hong Kong, Macao or Taiwan (81–83), or with the 9
/// of a foreigner's permanent residence. County codes are not looked up: old ones stay valid for
/// life.
fn is_area(number: &[u8]) -> bool {
    let area = (number[0] - b'0') * 10 + (number[1] - b'0');
    matches!(area, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 90..=99)
}

/// The date of eight digits, if it is a day of the 19th to 22nd century.
fn civil_birth(digits: &str) -> Option<Date> {
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let (month, day) = (
        digits.get(4..6)?.parse().ok()?,
        digits.get(6..8)?.parse().ok()?,
    );
    Date::new(year, month, day)
        .ok()
        .filter(|_| (1800..2200).contains(&year))
}

/// ISO 7064 MOD 11-2 over 17 digits.
fn check(digits: &[u8]) -> u8 {
    let weighted = digits.iter().zip(WEIGHTS);
    let sum: u32 = weighted.map(|(d, w)| u32::from(d - b'0') * w).sum();
    CHECKS[(sum % 11) as usize]
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const TODAY: Date = date(2026, 3, 2);

    fn read(text: &str) -> Result<CitizenId, TextError> {
        CitizenId::parse(text, TODAY)
    }

    #[test]
    fn numbers_that_are_right_are_accepted() {
        for (number, birth, female) in [
            ("34990119410305001X", date(1941, 3, 5), false),
            ("349901197608221121", date(1976, 8, 22), true),
            ("349901202002290038", date(2020, 2, 29), false),
            ("34990119500101002X", date(1950, 1, 1), true),
            ("349901195506120152", date(1955, 6, 12), false),
            ("349901196410090029", date(1964, 10, 9), true),
        ] {
            let id = read(number).unwrap();
            assert_eq!(id.reveal(), number);
            assert_eq!((id.birth(), id.female()), (birth, female), "{number}");
        }
    }

    #[test]
    fn a_number_is_read_as_people_type_it() {
        let id = read("34990119410305001X").unwrap();
        for typed in [
            "34990119410305001x",
            " 349901 19410305 001X ",
            "３４９９０１１９４１０３０５００１Ｘ",
            "349901\u{3000}19410305001ｘ",
        ] {
            assert_eq!(read(typed), Ok(id.clone()), "{typed}");
        }
    }

    #[test]
    fn an_old_number_of_fifteen_digits_becomes_one_of_eighteen() {
        assert_eq!(
            read("349901500101001").unwrap().reveal(),
            "349901195001010011"
        );
        assert_eq!(read("349901501301001"), Err(TextError::IdBirth));
        assert_eq!(read("34990150010100X"), Err(TextError::IdCharacter));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (number, why) in [
            ("", TextError::Empty),
            ("349901", TextError::IdLength(6)),
            ("3499011941030500100", TextError::IdLength(19)),
            ("34990119410305OO1X", TextError::IdCharacter),
            ("X49901194103050010", TextError::IdCharacter),
            ("009901194103050010", TextError::IdArea),
            ("349901193802290018", TextError::IdBirth),
            ("349901194113050010", TextError::IdBirth),
            ("349901194103050010", TextError::CheckDigit),
        ] {
            assert_eq!(read(number), Err(why), "{number}");
        }
    }

    #[test]
    fn nobody_is_born_tomorrow_or_older_than_a_hundred_and_twenty_five() {
        let with_check = |head: &str| format!("{head}{}", char::from(check(head.as_bytes())));
        let today = with_check("34990120260302001");
        assert!(read(&today).is_ok());
        let tomorrow = with_check("34990120260303001");
        assert_eq!(read(&tomorrow), Err(TextError::IdFuture));
        assert!(CitizenId::stored(&tomorrow).is_ok());
        let oldest = with_check("34990119000303001");
        assert!(read(&oldest).is_ok(), "126 only tomorrow");
        let older = with_check("34990119000302001");
        assert_eq!(read(&older), Err(TextError::IdAge));
    }

    #[test]
    fn it_shows_itself_masked_or_not_at_all() {
        let id = read("34990119410305001X").unwrap();
        assert_eq!(format!("{id:?}"), "CitizenId(…)");
        assert_eq!(id.masked(), "349***********001X");
        assert_eq!(format!("{:?}", id.private()), "Private(18 bytes)");
    }

    proptest! {
        #[test]
        fn one_digit_copied_wrong_is_always_noticed(
            born in 0..40_000_i32,
            sequence in 0..1_000_u32,
            at in 0..17_usize,
            other in 1..10_u8,
        ) {
            let birth = date(1910, 1, 1) + jiff::Span::new().days(born);
            let head = format!("349901{:04}{:02}{:02}{sequence:03}", birth.year(), birth.month(), birth.day());
            let right = format!("{head}{}", char::from(check(head.as_bytes())));
            let mut wrong = right.clone().into_bytes();
            wrong[at] = b'0' + (wrong[at] - b'0' + other) % 10;
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert_eq!(CitizenId::stored(&right).unwrap().birth(), birth);
            prop_assert!(CitizenId::stored(&wrong).is_err());
        }

        #[test]
        fn any_text_gets_an_answer(text in ".*") {
            let _answer = read(&text);
        }
    }
}
