use super::{TextError, no_tricks, personal};

/// Characters of a personal name: the national rule asks for at least 25; this is twice as many.
pub const NAME_CHARS_MAX: usize = 50;

/// A person's name as written on the paper. There is no shortest length, no list of surnames and
/// no plane of Unicode it must be from: some people have one character, some more than ten, some
/// a character that few fonts have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonName(String);

personal!(PersonName);

impl PersonName {
    /// Reads a name; white space around it is dropped, runs of it within become one space.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::TooManyChars`], [`TextError::Hidden`],
    /// [`TextError::Garbled`]; [`TextError::NotAName`] when it is a number typed into the wrong
    /// field.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err(TextError::Empty);
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(TextError::TooManyChars(NAME_CHARS_MAX));
        }
        // Tabs and line ends went with the white space; what is left shows or is refused.
        no_tricks(name.chars())?;
        let like_number = |c: char| super::half_width(c).is_ascii_digit();
        if name.chars().filter(|c| like_number(*c)).count() > 6 {
            return Err(TextError::NotAName);
        }
        if !name
            .chars()
            .any(|c| !c.is_ascii_punctuation() && !c.is_whitespace())
        {
            return Err(TextError::NotAName);
        }
        Ok(Self(name))
    }

    /// The name with the interval dot between its parts as the national rule wants it (U+00B7),
    /// for searching and comparing; what was written stays as it is.
    pub fn normalised(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        let part = |at: Option<&char>| at.is_some_and(|c| !c.is_whitespace() && !is_dot(*c));
        let dotted = |at: usize| {
            let (before, after) = (
                at.checked_sub(1).and_then(|b| chars.get(b)),
                chars.get(at + 1),
            );
            // The full stop of an initial stays one: `J.Smith`.
            let latin = chars[at] == '.'
                && before.is_some_and(char::is_ascii)
                && after.is_some_and(char::is_ascii);
            is_dot(chars[at]) && part(before) && part(after) && !latin
        };
        let shown = chars.iter().enumerate();
        shown
            .map(|(at, c)| if dotted(at) { '·' } else { *c })
            .collect()
    }

    /// `张*`.
    pub fn masked(&self) -> String {
        crate::privacy::mask_name(&self.0)
    }
}

/// The dots that keyboards and scanners put between the parts of a name.
fn is_dot(c: char) -> bool {
    matches!(
        c,
        '·' | '•' | '・' | '‧' | '⋅' | '.' | '．' | '･' | '∙' | '\u{0387}' | '●'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, TextError> {
        PersonName::parse(text).map(|n| n.0)
    }

    #[test]
    fn names_of_every_kind_are_names() {
        for name in [
            "张三",
            "𬭎",
            "王𠅤",
            "㛃䶮",
            "阿卜杜拉·买买提·吐尔逊江",
            "欧阳娜娜",
            "John Smith",
            "Nguyễn Văn A",
            "一个有二十五个字的名字也是名字因为国家规则要求至少这么长",
            "葛\u{e0100}",
        ] {
            assert_eq!(read(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn spaces_are_tidied_and_nothing_else_is_touched() {
        assert_eq!(read("\u{3000}张三 \n").as_deref(), Ok("张三"));
        assert_eq!(read("John  Smith").as_deref(), Ok("John Smith"));
        assert_eq!(read("买买提•吐尔逊").as_deref(), Ok("买买提•吐尔逊"));
    }

    #[test]
    fn the_dot_between_parts_is_one_dot_when_names_are_compared() {
        for dot in ['·', '•', '・', '‧', '⋅', '.', '．'] {
            let name = PersonName::parse(&format!("买买提{dot}吐尔逊")).unwrap();
            assert_eq!(name.normalised(), "买买提·吐尔逊");
            assert!(name.reveal().contains(dot), "the original is kept");
        }
        let initial = PersonName::parse("J. Smith").unwrap();
        assert_eq!(initial.normalised(), "J. Smith");
        let initials = PersonName::parse("J.R.Smith").unwrap();
        assert_eq!(initials.normalised(), "J.R.Smith");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, why) in [
            ("", TextError::Empty),
            ("\u{3000}", TextError::Empty),
            ("张\u{202e}三", TextError::Hidden),
            ("张\u{200b}三", TextError::Hidden),
            ("张\0三", TextError::Hidden),
            ("张\u{fffd}", TextError::Garbled),
            ("349901197608221121", TextError::NotAName),
            ("１３８１２３４５６７８", TextError::NotAName),
            ("--", TextError::NotAName),
        ] {
            assert_eq!(read(text), Err(why), "{text:?}");
        }
        let long = "长".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(read(&long), Err(TextError::TooManyChars(NAME_CHARS_MAX)));
        assert!(read(&long[3..]).is_ok());
    }

    #[test]
    fn it_shows_itself_masked_or_not_at_all() {
        let name = PersonName::parse("张三丰").unwrap();
        assert_eq!(format!("{name:?}"), "PersonName(…)");
        assert_eq!(name.masked(), "张*");
    }

    proptest! {
        #[test]
        fn reading_twice_is_reading_once(text in ".{0,60}") {
            if let Ok(name) = PersonName::parse(&text) {
                prop_assert_eq!(PersonName::parse(name.reveal()), Ok(name.clone()));
                let once = PersonName::parse(&name.normalised());
                prop_assert_eq!(once.map(|n| n.normalised()), Ok(name.normalised()));
            }
        }
    }
}
