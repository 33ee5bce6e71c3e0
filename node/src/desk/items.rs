//! Finding a service item by what a clerk types.

use std::collections::BTreeMap;

use cuntong_protocol::control::{Catalogue, Item};

use crate::view::{latin, terms::narrow};

/// Items in use whose code, name, everyday words or pinyin answer the query; the best first, all
/// in the catalogue's order for an empty one.
pub(crate) fn search(catalogue: &Catalogue, typed: &str) -> Vec<Item> {
    let typed: String = typed
        .chars()
        .map(narrow)
        .collect::<String>()
        .trim()
        .to_lowercase();
    let mut newest: BTreeMap<&str, (usize, &Item)> = BTreeMap::new();
    for (place, item) in catalogue.items.iter().enumerate() {
        let known = newest.entry(&item.code).or_insert((place, item));
        if item.version > known.1.version {
            known.1 = item;
        }
    }
    let mut found: Vec<(u8, usize, &Item)> = newest
        .into_values()
        .filter(|(_, item)| !item.retired)
        .filter_map(|(place, item)| Some((score(item, &typed)?, place, item)))
        .collect();
    found.sort_by_key(|(score, place, _)| (*score, *place));
    found.into_iter().map(|(_, _, item)| item.clone()).collect()
}

/// How well an item answers: 0 is best, none is not at all.
fn score(item: &Item, typed: &str) -> Option<u8> {
    if typed.is_empty() {
        return Some(0);
    }
    let code = item.code.to_lowercase();
    if code == typed {
        return Some(0);
    }
    let words = std::iter::once(&item.name).chain(&item.keywords);
    let by_word = words.filter_map(|word| word_score(word, typed)).min();
    let by_code = code.contains(typed).then_some(3);
    by_word.into_iter().chain(by_code).min()
}

fn word_score(word: &str, typed: &str) -> Option<u8> {
    let lower = word.to_lowercase();
    if lower.starts_with(typed) {
        return Some(1);
    }
    if lower.contains(typed) {
        return Some(2);
    }
    let letters: String = typed.chars().filter(|c| *c != ' ').collect();
    if letters.is_empty() || !letters.chars().all(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    latin::spellings(word)
        .iter()
        .filter_map(|spelling| {
            let (initials, whole) = (latin::initials(spelling), spelling.concat());
            if initials.starts_with(&letters) || whole.starts_with(&letters) {
                Some(1)
            } else if initials.contains(&letters) || whole.contains(&letters) {
                Some(4)
            } else {
                None
            }
        })
        .min()
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::role::Level;

    use super::*;

    fn item(code: &str, version: u32, name: &str, keywords: &[&str]) -> Item {
        Item {
            code: code.to_owned(),
            version,
            name: name.to_owned(),
            class: String::new(),
            department: String::new(),
            receive: Level::Village,
            decide: vec![Level::Township],
            legal_days: 20,
            promised_days: 5,
            on_the_spot: false,
            materials: Vec::new(),
            stages: Vec::new(),
            proxy_allowed: true,
            presence_required: false,
            privacy: String::new(),
            keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
            retired: false,
        }
    }

    fn codes(typed: &str) -> Vec<String> {
        let catalogue = Catalogue {
            items: vec![
                item(
                    "YB-01",
                    1,
                    "城乡居民基本医疗保险参保登记",
                    &["医保", "新农合"],
                ),
                item(
                    "YB-01",
                    2,
                    "城乡居民基本医疗保险参保登记",
                    &["医保", "新农合"],
                ),
                item("DB-01", 1, "最低生活保障审核确认", &["低保"]),
                item("YL-03", 1, "高龄津贴", &["老年人补贴"]),
                Item {
                    retired: true,
                    ..item("DB-02", 1, "低保旧事项", &[])
                },
            ],
        };
        search(&catalogue, typed)
            .into_iter()
            .map(|i| format!("{}.{}", i.code, i.version))
            .collect()
    }

    #[test]
    fn an_item_is_found_by_everyday_words_initials_and_code_in_its_newest_version() {
        for (typed, wanted) in [
            ("医保", "YB-01.2"),
            ("yb", "YB-01.2"),
            ("新农合", "YB-01.2"),
            ("低保", "DB-01.1"),
            ("db", "DB-01.1"),
            ("dibao", "DB-01.1"),
            ("ｙｌ－０３", "YL-03.1"),
            ("津贴", "YL-03.1"),
            ("gljt", "YL-03.1"),
        ] {
            assert_eq!(codes(typed)[0], wanted, "{typed}");
        }
        assert_eq!(codes("").len(), 3);
        assert_eq!(codes("没有的事"), [""; 0]);
    }
}
