//! Residents who do not exist: names, identity numbers with right check digits, telephones.

use cuntong_protocol::text::Private;

use super::chance::Chance;

/// Frequent surnames, the most frequent first; the front half is drawn more often.
const SURNAMES: [&str; 40] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭",
    "何", "林", "罗", "高", "郑", "梁", "谢", "宋", "唐", "许", "韩", "冯", "邓", "曹", "彭", "曾",
    "肖", "田", "董", "袁", "潘", "蒋", "欧阳", "诸葛",
];
const MEN: [&str; 30] = [
    "建国", "志强", "国平", "德福", "长根", "水生", "金宝", "大勇", "伟", "军", "明", "海涛",
    "春生", "有才", "新民", "家旺", "子轩", "浩", "文斌", "光辉", "永贵", "福田", "天佑", "鹏",
    "立新", "铁柱", "佳俊", "正华", "守义", "石头",
];
const WOMEN: [&str; 30] = [
    "桂英", "秀兰", "玉珍", "凤英", "春梅", "小红", "丽", "敏", "静", "玉兰", "翠花", "淑芬",
    "美玲", "雪", "芳", "腊梅", "秋菊", "来娣", "子涵", "雨桐", "月娥", "金花", "巧云", "冬梅",
    "爱莲", "海燕", "银秀", "晓琳", "慧", "香",
];
/// Names that break careless software: long, with a middle dot, with rare characters.
const UNUSUAL: [&str; 6] = [
    "阿依古丽·买买提",
    "扎西卓玛",
    "欧阳娜娜依",
    "䶮小平",
    "司马玥垚",
    "热孜完古丽·阿卜杜热合曼",
];
/// Digits of the county's code in identity numbers; no real county has it.
pub const REGION: &str = "349901";

/// One resident.
#[derive(Debug, Clone)]
pub struct Resident {
    pub name: Private,
    pub id: Private,
    pub phone: Private,
    pub address: Private,
    pub group: Private,
}

/// A resident of that village. `year` is this year: nobody is younger than 17 or older than 95.
pub fn resident(chance: &mut Chance, village: &str, year: u64) -> Resident {
    let woman = chance.percent(52);
    let group = chance.between(1, 12);
    let house = chance.between(1, 99);
    Resident {
        name: Private::new(name(chance, woman)),
        id: Private::new(citizen_id(chance, year, woman)),
        phone: Private::new(phone(chance)),
        address: Private::new(format!("云麓县北乡镇{village}{group}组{house}号")),
        group: Private::new(format!("{group}组")),
    }
}

fn name(chance: &mut Chance, woman: bool) -> String {
    if chance.percent(2) {
        return (*chance.of(&UNUSUAL)).to_owned();
    }
    let surnames = if chance.percent(60) {
        &SURNAMES[..15]
    } else {
        &SURNAMES[..]
    };
    let given = if woman {
        chance.of(&WOMEN)
    } else {
        chance.of(&MEN)
    };
    format!("{}{given}", chance.of(surnames))
}

/// An 18-digit number of the county, of a real date, with the right check digit (GB 11643).
fn citizen_id(chance: &mut Chance, year: u64, woman: bool) -> String {
    let year = chance.between(year - 95, year - 17);
    let month = chance.between(1, 12);
    // The 28th exists in every month.
    let day = chance.between(1, 28);
    // The 17th digit is odd for men.
    let serial = chance.between(0, 499) * 2 + u64::from(!woman);
    let mut id = format!("{REGION}{year:04}{month:02}{day:02}{serial:03}");
    id.push(check_digit(&id));
    id
}

/// ISO 7064 MOD 11-2 over the first seventeen digits.
fn check_digit(digits: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .chars()
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit.to_digit(10).unwrap_or(0) * weight)
        .sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}

fn phone(chance: &mut Chance) -> String {
    format!("19900{:06}", chance.below(1_000_000))
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::text::{CitizenId, PersonName, Phone};

    use super::*;

    #[test]
    fn every_sample_resident_passes_the_checks_of_intake() {
        let mut chance = Chance::new(1);
        for _one in 0..2_000 {
            let one = resident(&mut chance, "石桥村", 2026);
            assert!(
                CitizenId::parse(one.id.reveal(), jiff::civil::date(2026, 11, 1)).is_ok(),
                "{}",
                one.id.reveal()
            );
            assert!(
                PersonName::parse(one.name.reveal()).is_ok(),
                "{}",
                one.name.reveal()
            );
            assert!(
                Phone::parse(one.phone.reveal()).is_ok(),
                "{}",
                one.phone.reveal()
            );
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let people = |seed| {
            let mut chance = Chance::new(seed);
            (0..20)
                .map(|_n| resident(&mut chance, "青溪村", 2026).id)
                .collect::<Vec<_>>()
        };
        assert_eq!(people(7), people(7));
        assert_ne!(people(7), people(8));
    }
}
