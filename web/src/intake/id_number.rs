//! 身份证号: what a number says of its holder, for the person at the desk to compare by eye.

use cuntong_protocol::{
    text::{CitizenId, TextError},
    time::Millis,
};

use crate::words;

/// The number as it will be kept, or what is wrong with it.
pub(crate) fn parse(typed: &str, now: Millis) -> Result<CitizenId, TextError> {
    CitizenId::parse(typed, words::civil(now).date())
}

/// `女 · 1961-03-05 出生 · 65 岁`
pub(crate) fn says(id: &CitizenId, now: Millis) -> String {
    let (born, today) = (id.birth(), words::civil(now).date());
    let had = (today.month(), today.day()) >= (born.month(), born.day());
    let age = today.year() - born.year() - i16::from(!had);
    let sex = if id.female() { "女" } else { "男" };
    format!("{sex} · {born} 出生 · {age} 岁")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_sex_birth_and_age() {
        let now = Millis(1_795_250_520_000);
        let id = parse("11010519491231002x", now).unwrap();
        assert_eq!(says(&id, now), "女 · 1949-12-31 出生 · 76 岁");
        assert!(parse("110105194912310021", now).is_err());
    }
}
