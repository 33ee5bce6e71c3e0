//! A county's own words in front of the compression window: what its cases say again and again stands in
//! its control documents. Both ends make the same text of the same documents; where they hold different
//! ones, the names differ and they speak with the shipped dictionary.

use super::{Catalogue, Places};
use crate::wire::window::{DICTIONARIES, DICTIONARY_BYTES_MAX, Dictionary};

/// The dictionary of a county: codes and names of places, codes, departments and materials of items,
/// then the shipped one, which is likelier and so stands last. Nothing of any person is in it.
/// `None` while there are neither places nor items.
pub fn dictionary(places: &Places, catalogue: &Catalogue) -> Option<Dictionary> {
    let mut said: Vec<&str> = Vec::new();
    let retired = catalogue.items.iter().filter(|item| item.retired);
    let offered = catalogue.items.iter().filter(|item| !item.retired);
    for item in retired.chain(offered) {
        said.push(&item.department);
        said.extend(item.materials.iter().map(|material| material.name.as_str()));
        said.push(&item.code);
    }
    for place in &places.sites {
        said.extend([place.code.as_str(), place.name.as_str()]);
    }
    let mut text = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    for word in said {
        if told.insert(word) {
            text.extend(word.as_bytes());
        }
    }
    if text.is_empty() {
        return None;
    }
    let shipped = DICTIONARIES[0].bytes();
    let room = DICTIONARY_BYTES_MAX - shipped.len();
    // The least likely stands first.
    let text = &text[text.len().saturating_sub(room)..];
    Some(Dictionary::made(&[text, shipped].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::Place, id::SiteId, role::Level, wire::frame::Deflater};

    fn place(n: u32) -> Place {
        Place {
            site: SiteId(n),
            parent: None,
            level: Level::Village,
            code: format!("34990110{n:04}"),
            name: format!("第{n}村"),
            before: Vec::new(),
        }
    }

    fn county(villages: u32) -> Places {
        Places {
            sites: (1..=villages).map(place).collect(),
        }
    }

    #[test]
    fn the_same_documents_make_the_same_dictionary_and_others_another() {
        let catalogue = Catalogue::default();
        let made = dictionary(&county(20), &catalogue).unwrap();
        assert_eq!(dictionary(&county(20), &catalogue).unwrap().id(), made.id());
        assert_ne!(dictionary(&county(21), &catalogue).unwrap().id(), made.id());
        assert_eq!(dictionary(&Places::default(), &catalogue), None);
    }

    #[test]
    fn a_large_county_keeps_the_shipped_words_whole_and_all_within_the_window() {
        let made = dictionary(&county(5_000), &Catalogue::default()).unwrap();
        assert_eq!(made.bytes().len(), DICTIONARY_BYTES_MAX);
        assert!(made.bytes().ends_with(DICTIONARIES[0].bytes()));
    }

    #[test]
    fn an_address_of_the_county_costs_less_behind_its_words() {
        let made = dictionary(&county(20), &Catalogue::default()).unwrap();
        let said = "地址:第7村三组12号 349901100007".as_bytes();
        let framed = |dictionary: &Dictionary| {
            let mut deflater = Deflater::default();
            deflater.prime(dictionary).unwrap();
            deflater.frame(said).unwrap().len()
        };
        let (with, without) = (framed(&made), framed(&DICTIONARIES[0]));
        assert!(with < without, "{with} of {without}");
    }
}
