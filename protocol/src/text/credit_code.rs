use super::{TextError, personal, typed_number};

/// 统一社会信用代码 (GB 32100): 18 characters, two checks. A sole trader's code leads to a person,
/// so it does not print itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CreditCode(String);

personal!(CreditCode);

/// The characters, by value; I, O, S, V and Z look like others and are left out.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// GB 11714.
const BODY_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

impl CreditCode {
    /// Reads a code as people type it: full-width characters, spaces and small letters are
    /// accepted.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::CreditLength`], [`TextError::CreditCharacter`],
    /// [`TextError::CheckDigit`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let code = typed_number(text);
        let length = code.chars().count();
        if length == 0 {
            return Err(TextError::Empty);
        }
        if length != 18 {
            return Err(TextError::CreditLength(length));
        }
        if !code.bytes().all(|b| ALPHABET.contains(&b)) {
            return Err(TextError::CreditCharacter);
        }
        if check(&code.as_bytes()[..17]) != Some(code.as_bytes()[17])
            || body_check(&code.as_bytes()[8..16]) != code.as_bytes()[16]
        {
            return Err(TextError::CheckDigit);
        }
        Ok(Self(code))
    }

    /// 组织机构代码: positions 9 to 17.
    pub fn organisation(&self) -> &str {
        &self.0[8..17]
    }
}

/// The 18th character: (31 − Σ cᵢ·3^(i−1) mod 31) mod 31.
fn check(code: &[u8]) -> Option<u8> {
    let (mut sum, mut weight) = (0, 1);
    for b in code {
        let value = ALPHABET.iter().position(|a| a == b)?;
        sum = (sum + value * weight) % 31;
        weight = weight * 3 % 31;
    }
    Some(ALPHABET[(31 - sum) % 31])
}

/// The check of the organisation code: 11 − Σ mod 11, with X for ten.
fn body_check(body: &[u8]) -> u8 {
    let value = |b: &u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        _ => u32::from(b - b'A') + 10,
    };
    let sum: u32 = body
        .iter()
        .zip(BODY_WEIGHTS)
        .map(|(b, w)| value(b) * w)
        .sum();
    b"0X987654321"[(sum % 11) as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RIGHT: [&str; 8] = [
        "11341426003240448H",
        "11341730003260983A",
        "12441500196720244T",
        "91330102MA28NBU477",
        "11341730003260772T",
        "11349901009990012Q",
        "11349901009990020K",
        "12349901009990039D",
    ];

    #[test]
    fn codes_that_are_right_are_accepted() {
        for code in RIGHT {
            assert_eq!(CreditCode::parse(code).unwrap().reveal(), code);
        }
        let code = CreditCode::parse(" 11349901 00999001 2q ").unwrap();
        assert_eq!(code.organisation(), "009990012");
        assert_eq!(format!("{code:?}"), "CreditCode(…)");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (code, why) in [
            ("", TextError::Empty),
            ("11349901", TextError::CreditLength(8)),
            ("1134990100999001２", TextError::CreditLength(17)),
            ("1134990100999001IQ", TextError::CreditCharacter),
            ("11349901009990012村", TextError::CreditCharacter),
            ("11349901009990012R", TextError::CheckDigit),
            ("11349901009990021Q", TextError::CheckDigit),
        ] {
            assert_eq!(CreditCode::parse(code), Err(why), "{code}");
        }
    }

    #[test]
    fn a_code_whose_inner_check_is_wrong_is_refused_though_the_outer_one_fits() {
        let mut code = b"11349901009990019".to_vec();
        code.push(check(&code).unwrap());
        let code = String::from_utf8(code).unwrap();
        assert_eq!(CreditCode::parse(&code), Err(TextError::CheckDigit));
    }

    proptest! {
        #[test]
        fn one_character_copied_wrong_is_always_noticed(
            which in 0..RIGHT.len(),
            at in 0..18_usize,
            other in 1..31_usize,
        ) {
            let mut code = RIGHT[which].as_bytes().to_vec();
            let value = ALPHABET.iter().position(|a| *a == code[at]).unwrap();
            code[at] = ALPHABET[(value + other) % 31];
            prop_assert!(CreditCode::parse(std::str::from_utf8(&code).unwrap()).is_err());
        }

        #[test]
        fn any_text_gets_an_answer(text in ".*") {
            let _answer = CreditCode::parse(&text);
        }
    }
}
