//! What is put into the search index, and how a typed query is asked of it.

use super::latin;

/// The four columns of `case_search` for one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) latin: String,
    pub(crate) tail: String,
    pub(crate) site: String,
}

/// Stands between spellings so that no phrase reaches from one into the next.
const APART: &str = "0";
/// Words of one query; more are not looked at.
const WORDS_MAX: usize = 8;
/// Characters of one query; more are not looked at.
const CHARS_MAX: usize = 64;

/// The terms of a case with this name, these numbers (ID, case number, phone) and this site.
pub(crate) fn terms(name: &str, numbers: &[&str], site: u32) -> Terms {
    let mut latin = Vec::new();
    for spelling in latin::spellings(name) {
        if !latin.is_empty() {
            latin.push(APART.to_owned());
        }
        latin.extend(spelling.iter().cloned());
        if spelling.len() > 1 {
            latin.extend([
                APART.to_owned(),
                spelling.concat(),
                APART.to_owned(),
                latin::initials(&spelling),
            ]);
        }
    }
    Terms {
        name: spaced(name),
        latin: latin.join(" "),
        tail: numbers
            .iter()
            .map(|n| backwards(n))
            .filter(|n| !n.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        site: site_term(site),
    }
}

/// The FTS5 expression for what a person typed; `None` when it asks for nothing. Every word must
/// hit: characters as a phrase of the name, letters as pinyin (syllables, whole, or initials),
/// digits as the tail of a number. The answer depends on letters and digits alone, so nothing a
/// person types can be read as an operator.
pub(crate) fn expression(typed: &str, site: Option<u32>) -> Option<String> {
    let mut all = Vec::new();
    let mut letters: Vec<String> = Vec::new();
    let typed: String = typed.chars().take(CHARS_MAX).map(narrow).collect();
    for word in typed.split_whitespace().take(WORDS_MAX) {
        let (tail, rest) = split_digits(word);
        if let Some(tail) = tail {
            all.push(format!("tail : \"{}\" *", backwards(&tail)));
        }
        let hanzi = spaced(&rest);
        if !hanzi.is_empty() {
            all.push(format!("name : \"{hanzi}\""));
        } else {
            let word: String = rest
                .chars()
                .map(|c| if c == 'ü' { 'v' } else { c })
                .filter(char::is_ascii_alphabetic)
                .collect();
            if !word.is_empty() {
                letters.push(word.to_ascii_lowercase());
            }
        }
    }
    match letters.as_slice() {
        [] => {}
        [one] => all.push(format!("latin : \"{one}\" *")),
        more => all.push(format!(
            "latin : (\"{}\" * OR \"{}\" *)",
            more.join(" "),
            more.concat()
        )),
    }
    if all.is_empty() {
        return None;
    }
    if let Some(site) = site {
        all.push(format!("site : \"{}\"", site_term(site)));
    }
    Some(all.join(" AND "))
}

fn site_term(site: u32) -> String {
    format!("s{site}")
}

/// Characters that are not ASCII, one token each; dots and other marks are left out.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    for c in text
        .chars()
        .filter(|c| !c.is_ascii() && c.is_alphanumeric() && *c != 'ü')
    {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// A number (letters and digits only), its last character first, in lower case.
fn backwards(number: &str) -> String {
    number
        .chars()
        .rev()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// A word that is a number, or the tail of one (`1234`, `123x`, `138-0000`), apart from the rest.
/// A word of letters alone, or of `x` alone, is no number.
fn split_digits(word: &str) -> (Option<String>, String) {
    let digits: String = word.chars().filter(char::is_ascii_digit).collect();
    let only = word
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '-'));
    if digits.is_empty() {
        (None, word.to_owned())
    } else if only {
        (Some(word.to_owned()), String::new())
    } else {
        let (mut tail, mut rest) = (String::new(), String::new());
        for c in word.chars() {
            // An `x` right after a digit is the check character of an ID number.
            let check = matches!(c, 'x' | 'X') && tail.ends_with(|t: char| t.is_ascii_digit());
            if c.is_ascii_digit() || check {
                tail.push(c);
            } else {
                rest.push(c);
            }
        }
        (Some(tail), rest)
    }
}

/// Full-width letters, digits and spaces as half-width ones.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const PEOPLE: [(&str, [&str; 3], u32); 8] = [
        (
            "张三",
            [
                "34990119410305001X",
                "34990110100120261121010001",
                "13800001234",
            ],
            11,
        ),
        (
            "张三丰",
            ["349901197608221121", "34990110100120261121010002", ""],
            11,
        ),
        ("李张", ["349901202002290038", "", ""], 12),
        ("单雄信", ["34990119500101002X", "", "13912345678"], 12),
        ("𬱖龑", ["349901195506120152", "", ""], 11),
        ("䶮", ["349901196410090029", "", ""], 11),
        ("买买提·吐尔逊", ["", "", "13700009999"], 11),
        ("Nguyen Van A", ["", "", ""], 12),
    ];

    fn index() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../store/sql/rows.sql"))
            .unwrap();
        for (rid, (name, numbers, site)) in PEOPLE.iter().enumerate() {
            let t = terms(name, numbers, *site);
            db.execute(
                include_str!("../store/sql/queries/case_search_put.sql"),
                rusqlite::params![rid as i64, t.name, t.latin, t.tail, t.site],
            )
            .unwrap();
        }
        db
    }

    fn ask(db: &Connection, typed: &str, site: Option<u32>) -> Vec<&'static str> {
        let Some(expression) = expression(typed, site) else {
            return Vec::new();
        };
        db.prepare("SELECT rowid FROM case_search WHERE case_search MATCH ?1 ORDER BY rowid")
            .unwrap()
            .query_map([expression], |row| row.get::<_, i64>(0))
            .unwrap()
            .map(|rid| PEOPLE[usize::try_from(rid.unwrap()).unwrap()].0)
            .collect()
    }

    #[test]
    fn a_person_is_found_by_one_character_two_initials_or_full_pinyin() {
        let db = index();
        for typed in [
            "张三",
            "zs",
            "ZS",
            "zhang san",
            "zhangsan",
            "zhangs",
            "zhang s",
            "z s",
        ] {
            assert_eq!(ask(&db, typed, None), ["张三", "张三丰"], "{typed}");
        }
        assert_eq!(ask(&db, "张", None), ["张三", "张三丰", "李张"]);
        assert_eq!(ask(&db, "三", None), ["张三", "张三丰"]);
        assert_eq!(ask(&db, "三丰", None), ["张三丰"]);
        assert_eq!(ask(&db, "三张", None), [""; 0]);
    }

    #[test]
    fn a_person_is_found_by_the_tail_of_any_number() {
        let db = index();
        for typed in [
            "1121010001",
            "001X",
            "001x",
            "１Ｘ",
            "0001",
            "34990119410305001x",
            "1234",
            "0001234",
        ] {
            assert_eq!(ask(&db, typed, None)[0], "张三", "{typed}");
        }
        assert_eq!(ask(&db, "34990110100120261121010002", None), ["张三丰"]);
        assert_eq!(ask(&db, "349901101001-20261121-01-0002", None), ["张三丰"]);
    }

    #[test]
    fn a_surname_is_found_by_both_of_its_readings() {
        let db = index();
        for typed in ["单", "sxx", "dxx", "shan xiong", "danxiong"] {
            assert_eq!(ask(&db, typed, None), ["单雄信"], "{typed}");
        }
    }

    #[test]
    fn rare_and_long_names_are_found() {
        let db = index();
        assert_eq!(ask(&db, "𬱖", None), ["𬱖龑"]);
        assert_eq!(ask(&db, "龑", None), ["𬱖龑"]);
        assert_eq!(ask(&db, "䶮", None), ["䶮"]);
        for typed in [
            "买买提·吐尔逊",
            "买买提",
            "吐尔逊",
            "买买提吐尔逊",
            "mmt",
            "tuerxun",
            "9999",
        ] {
            let wanted: &[&str] = if typed == "tuerxun" {
                &[]
            } else {
                &["买买提·吐尔逊"]
            };
            assert_eq!(ask(&db, typed, None), wanted, "{typed}");
        }
        assert_eq!(ask(&db, "nguyen", None), ["Nguyen Van A"]);
        assert_eq!(ask(&db, "van", None), ["Nguyen Van A"]);
    }

    #[test]
    fn every_word_of_a_query_must_hit_and_the_site_can_be_asked_for() {
        let db = index();
        assert_eq!(ask(&db, "张 1121", None), ["张三丰"]);
        assert_eq!(ask(&db, "张三001x", None), ["张三"]);
        assert_eq!(ask(&db, "张三1234", None), ["张三"]);
        assert_eq!(ask(&db, "张", Some(12)), ["李张"]);
    }

    #[test]
    fn nothing_typed_is_taken_for_an_operator() {
        let db = index();
        for typed in [
            "\"",
            "a\" OR name : \"张",
            "*",
            "-",
            "NEAR(",
            "AND",
            "^张",
            "{}",
            "'",
        ] {
            drop(ask(&db, typed, None));
        }
        assert_eq!(expression("  \" * ", None), None);
    }
}
