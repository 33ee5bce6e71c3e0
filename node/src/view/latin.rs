//! How a name is spelled in pinyin (拼音), for people who type `zs` for 张三.
//!
//! Every reading a person may think of is kept: 单 is *shàn* as a surname and *dān* in the
//! dictionary, and whoever types either must find it.

use pinyin::ToPinyin;

/// Surnames read otherwise than the dictionary's first reading, most usual reading first.
const SURNAMES: [(&str, &[&str]); 56] = [
    ("单", &["shan"]),
    ("曾", &["zeng"]),
    ("解", &["xie"]),
    ("仇", &["qiu"]),
    ("盖", &["ge", "gai"]),
    ("朴", &["piao", "pu"]),
    ("查", &["zha"]),
    ("区", &["ou"]),
    ("任", &["ren"]),
    ("华", &["hua"]),
    ("乐", &["yue", "le"]),
    ("折", &["she"]),
    ("员", &["yun"]),
    ("缪", &["miao"]),
    ("黑", &["he", "hei"]),
    ("重", &["chong"]),
    ("秘", &["bi"]),
    ("冼", &["xian"]),
    ("洗", &["xian"]),
    ("翟", &["zhai", "di"]),
    ("隗", &["wei", "kui"]),
    ("祭", &["zhai", "ji"]),
    ("宓", &["mi", "fu"]),
    ("繁", &["po"]),
    ("召", &["shao", "zhao"]),
    ("覃", &["qin", "tan"]),
    ("牟", &["mu", "mou"]),
    ("阚", &["kan"]),
    ("种", &["chong"]),
    ("尉", &["wei", "yu"]),
    ("郇", &["xun", "huan"]),
    ("费", &["fei", "bi"]),
    ("车", &["che"]),
    ("盛", &["sheng"]),
    ("相", &["xiang"]),
    ("应", &["ying"]),
    ("仉", &["zhang"]),
    ("那", &["na", "nuo"]),
    ("过", &["guo"]),
    ("哈", &["ha"]),
    ("纪", &["ji"]),
    ("宁", &["ning"]),
    ("葛", &["ge"]),
    ("石", &["shi"]),
    ("柏", &["bai", "bo"]),
    ("卜", &["bu"]),
    ("燕", &["yan"]),
    ("令", &["ling"]),
    ("藏", &["zang"]),
    ("句", &["gou"]),
    ("佴", &["nai"]),
    ("咸", &["xian"]),
    ("尹", &["yin"]),
    ("万俟", &["moqi"]),
    ("尉迟", &["yuchi"]),
    ("长孙", &["zhangsun"]),
];

/// Characters of given names that are often read in more than one way.
const GIVEN: [(char, &[&str]); 16] = [
    ('乐', &["le", "yue"]),
    ('朝', &["chao", "zhao"]),
    ('行', &["xing", "hang"]),
    ('重', &["chong", "zhong"]),
    ('长', &["chang", "zhang"]),
    ('茜', &["qian", "xi"]),
    ('晟', &["sheng", "cheng"]),
    ('曾', &["zeng", "ceng"]),
    ('强', &["qiang", "jiang"]),
    ('传', &["chuan", "zhuan"]),
    ('奇', &["qi", "ji"]),
    ('单', &["dan", "shan"]),
    ('少', &["shao"]),
    ('石', &["shi"]),
    ('盛', &["sheng", "cheng"]),
    ('和', &["he"]),
];

/// At most so many spellings of one name are kept.
const SPELLINGS_MAX: usize = 8;

/// The spellings of a name, each a list of lower-case syllables; words in Latin letters stand for
/// themselves. Characters nobody has told us the sound of are left out.
pub(crate) fn spellings(name: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut rest = name;
    if let Some((surname, readings)) = surname(name) {
        let mut starts: Vec<Vec<String>> = readings.iter().map(|r| vec![(*r).to_owned()]).collect();
        if surname.chars().count() == 1 {
            for plain in surname.chars().filter_map(plain) {
                starts.push(vec![plain]);
            }
        }
        starts.dedup();
        all = starts;
        rest = &name[surname.len()..];
    }
    let mut latin = String::new();
    for c in rest.chars() {
        if c.is_ascii_alphanumeric() {
            latin.push(c.to_ascii_lowercase());
            continue;
        }
        end_word(&mut all, &mut latin);
        add_readings(&mut all, &readings(c));
    }
    end_word(&mut all, &mut latin);
    all.retain(|spelling| !spelling.is_empty());
    all.sort();
    all.dedup();
    all
}

/// The longest surname of the table that the name begins with.
fn surname(name: &str) -> Option<(&str, &'static [&'static str])> {
    SURNAMES
        .iter()
        .filter(|(surname, _)| name.starts_with(surname))
        .max_by_key(|(surname, _)| surname.len())
        .map(|(surname, readings)| (&name[..surname.len()], *readings))
}

fn readings(c: char) -> Vec<String> {
    if let Some((_, readings)) = GIVEN.iter().find(|(given, _)| *given == c) {
        return readings.iter().map(|r| (*r).to_owned()).collect();
    }
    plain(c).into_iter().collect()
}

/// The dictionary's first reading without tone; `ü` is typed `v`.
fn plain(c: char) -> Option<String> {
    c.to_pinyin().map(|p| p.plain().replace('ü', "v"))
}

fn add_readings(all: &mut Vec<Vec<String>>, readings: &[String]) {
    let Some((first, others)) = readings.split_first() else {
        return;
    };
    let before = all.clone();
    for spelling in all.iter_mut() {
        spelling.push(first.clone());
    }
    for other in others {
        for spelling in &before {
            if all.len() < SPELLINGS_MAX {
                let mut more = spelling.clone();
                more.push(other.clone());
                all.push(more);
            }
        }
    }
}

fn end_word(all: &mut [Vec<String>], latin: &mut String) {
    if !latin.is_empty() {
        for spelling in all.iter_mut() {
            spelling.push(latin.clone());
        }
        latin.clear();
    }
}

/// First letters of a spelling: `zs`.
pub(crate) fn initials(spelling: &[String]) -> String {
    spelling.iter().filter_map(|s| s.chars().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &str) -> Vec<String> {
        spellings(name).iter().map(|s| s.join(" ")).collect()
    }

    #[test]
    fn a_name_is_spelled_by_its_syllables() {
        assert_eq!(joined("张三"), ["zhang san"]);
        assert_eq!(initials(&spellings("王小二")[0]), "wxe");
        assert_eq!(joined("吕布"), ["lv bu"]);
    }

    #[test]
    fn a_surname_with_several_readings_is_found_by_each() {
        for (name, spelling) in [
            ("单雄信", "shan xiong xin"),
            ("单雄信", "dan xiong xin"),
            ("曾国", "zeng guo"),
            ("解珍", "xie zhen"),
            ("仇英", "qiu ying"),
            ("盖叫天", "ge jiao tian"),
            ("朴树", "piao shu"),
            ("查良", "zha liang"),
            ("区玉", "ou yu"),
            ("任明", "ren ming"),
            ("华英", "hua ying"),
            ("万俟雅", "moqi ya"),
        ] {
            assert!(
                joined(name).contains(&spelling.to_owned()),
                "{name}: {spelling}"
            );
        }
    }

    #[test]
    fn a_name_full_of_readings_stays_bounded() {
        assert!(spellings("单乐朝行重长茜晟").len() <= SPELLINGS_MAX);
    }

    #[test]
    fn foreign_and_rare_names_are_spelled_as_far_as_known() {
        assert_eq!(joined("买买提·吐尔逊"), ["mai mai ti tu er xun"]);
        assert_eq!(joined("Nguyen Van A"), ["nguyen van a"]);
        assert_eq!(joined("𬱖"), ["di"]);
    }
}
