//! 身份证号: the check a person at the desk wants at once, with the reason in words.

use cuntong_protocol::time::Millis;
use jiff::civil::Date;

use crate::words;

/// The canonical 18 signs (15 are extended, a small x is raised), or what is wrong.
pub(crate) fn canonical(typed: &str) -> Result<String, &'static str> {
    let signs: Vec<u8> = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(narrow)
        .map(|c| u8::try_from(c).unwrap_or(b'?').to_ascii_uppercase())
        .collect();
    let signs = match signs.len() {
        18 => signs,
        15 => {
            let mut long = signs[..6].to_vec();
            long.extend_from_slice(b"19");
            long.extend_from_slice(&signs[6..]);
            if !long.iter().all(u8::is_ascii_digit) {
                return Err("身份证号里有不该有的字符");
            }
            long.push(check_sign(&long));
            long
        }
        _ => return Err("身份证号应为 18 位（旧号 15 位）"),
    };
    let (body, last) = signs.split_at(17);
    if !body.iter().all(u8::is_ascii_digit) || !(last[0].is_ascii_digit() || last[0] == b'X') {
        return Err("身份证号里有不该有的字符");
    }
    let text: String = signs.iter().map(|b| char::from(*b)).collect();
    if birth(&text).is_none() {
        return Err("身份证号里的出生日期不存在");
    }
    if check_sign(body) != last[0] {
        return Err("身份证号校验不对，请逐位核对");
    }
    Ok(text)
}

/// Full-width signs, as a Chinese input method gives them, to plain ones.
fn narrow(c: char) -> char {
    match u32::from(c) {
        code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// GB 11643: weights 2^(17-i) mod 11.
fn check_sign(body: &[u8]) -> u8 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body
        .iter()
        .zip(WEIGHTS)
        .map(|(sign, weight)| u32::from(sign - b'0') * weight)
        .sum();
    b"10X98765432"[usize::try_from(sum % 11).unwrap_or(0)]
}

fn birth(id: &str) -> Option<Date> {
    let part = |from: usize, to: usize| id.get(from..to)?.parse::<i16>().ok();
    let (month, day) = (
        i8::try_from(part(10, 12)?).ok()?,
        i8::try_from(part(12, 14)?).ok()?,
    );
    Date::new(part(6, 10)?, month, day).ok()
}

/// `女 · 1961-03-05 出生 · 65 岁`
pub(crate) fn says(id: &str, now: Millis) -> String {
    let Some(born) = birth(id) else {
        return String::new();
    };
    let today = words::civil(now).date();
    let had = (today.month(), today.day()) >= (born.month(), born.day());
    let age = today.year() - born.year() - i16::from(!had);
    let odd = id
        .as_bytes()
        .get(16)
        .is_some_and(|sign| (sign - b'0') % 2 == 1);
    let sex = if odd { "男" } else { "女" };
    format!("{sex} · {born} 出生 · {age} 岁")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_checked_as_the_standard_says() {
        assert_eq!(
            canonical("11010519491231002x").as_deref(),
            Ok("11010519491231002X")
        );
        assert_eq!(
            canonical("11010519491231002X").as_deref(),
            Ok("11010519491231002X")
        );
        assert!(canonical("110105194912310021").is_err());
        assert!(canonical("110105194902310025").is_err());
        assert!(canonical("1101051949").is_err());
        assert_eq!(
            canonical("110105491231002").as_deref(),
            Ok("11010519491231002X")
        );
    }

    #[test]
    fn an_id_says_sex_birth_and_age() {
        let now = Millis(1_795_250_520_000);
        assert_eq!(
            says("11010519491231002X", now),
            "女 · 1949-12-31 出生 · 76 岁"
        );
    }
}
