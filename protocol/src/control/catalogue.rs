//! 事项目录: the service items of a county. A new item needs no code.

use super::{
    check,
    rows::{Row, RowError, all, rows},
};
use crate::role::Level;

/// Every item, in every version that an open case may be pinned to.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Catalogue {
    #[n(0)]
    pub items: Vec<Item>,
}

/// One service item (事项) in one version.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Item {
    #[n(0)]
    pub code: String,
    #[n(1)]
    pub version: u32,
    #[n(2)]
    pub name: String,
    /// 事项类型, as in the national dictionary: 行政给付, 行政许可 …
    #[n(3)]
    pub class: String,
    #[n(4)]
    pub department: String,
    /// Lowest level where papers may be handed in.
    #[n(5)]
    pub receive: Level,
    /// Levels whose deciders may decide. `Village` means done at the point, no decision.
    #[n(6)]
    pub decide: Vec<Level>,
    /// 法定时限, working days.
    #[n(7)]
    pub legal_days: u16,
    /// 承诺时限, working days.
    #[n(8)]
    pub promised_days: u16,
    /// 即办件
    #[n(9)]
    pub on_the_spot: bool,
    #[n(10)]
    pub materials: Vec<Material>,
    #[n(11)]
    pub stages: Vec<NoticeStage>,
    #[n(12)]
    pub proxy_allowed: bool,
    #[n(13)]
    pub presence_required: bool,
    /// 公开口径: publish_minimal, minor_no_publish, health, sensitive, biometric or empty.
    #[n(14)]
    pub privacy: String,
    /// Everyday words people search by.
    #[n(15)]
    pub keywords: Vec<String>,
    /// Withdrawn items stay for the cases pinned to them.
    #[n(16)]
    pub retired: bool,
}

/// One line of the material list.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Material {
    #[n(0)]
    pub name: String,
    /// 可容缺
    #[n(1)]
    pub deferrable: bool,
    /// 免提交: shared data or e-licence replaces it.
    #[n(2)]
    pub no_submit: bool,
}

/// One posting an item asks for.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NoticeStage {
    /// village, township, county, group or county_site.
    #[n(0)]
    pub place: String,
    /// None: long-term.
    #[n(1)]
    pub days: Option<u16>,
    #[n(2)]
    pub name: String,
    /// True: working days; false: calendar days.
    #[n(3)]
    pub working_days: bool,
}

impl Catalogue {
    /// The newest version of an item that is not retired.
    pub fn current(&self, code: &str) -> Option<&Item> {
        self.items
            .iter()
            .filter(|i| i.code == code && !i.retired)
            .max_by_key(|i| i.version)
    }

    /// The version a case is pinned to.
    pub fn pinned(&self, code: &str, version: u32) -> Option<&Item> {
        self.items
            .iter()
            .find(|i| i.code == code && i.version == version)
    }
}

/// Columns a catalogue file must have; others are passed over.
const COLUMNS: [&str; 17] = [
    "code",
    "name",
    "item_type",
    "accept_level",
    "decide_level",
    "department",
    "legal_days",
    "promised_days",
    "on_the_spot",
    "materials",
    "keywords",
    "deferrable_materials",
    "no_submit_materials",
    "notice_stages",
    "notice_unit",
    "proxy_allowed",
    "presence_required",
];

/// The items of a registrar's CSV text, all in version 1. Lists are separated by `;` (keywords
/// by spaces); a notice stage is `place:days:name`, with `long` for one without end.
///
/// # Errors
/// Every row that is wrong, in words.
pub fn from_csv(csv: &str) -> Result<Vec<Item>, Vec<RowError>> {
    let rows = rows(csv, &COLUMNS)?;
    let items = all(rows.iter().map(read))?;
    let twice = |(at, item): (usize, &Item)| {
        let earlier = items[..at].iter().position(|i| i.code == item.code)?;
        let why = format!("编码与第 {} 行相同", rows[earlier].line);
        Some(rows[at].error("code", why))
    };
    let errors: Vec<_> = items.iter().enumerate().filter_map(twice).collect();
    if errors.is_empty() {
        Ok(items)
    } else {
        Err(errors)
    }
}

fn read(row: &Row) -> Result<Item, RowError> {
    let names = list(row.get("materials"), ';');
    let deferrable = some_of(row, "deferrable_materials", &names)?;
    let no_submit = some_of(row, "no_submit_materials", &names)?;
    let materials = names.iter().map(|name| Material {
        deferrable: deferrable.contains(name),
        no_submit: no_submit.contains(name),
        name: name.clone(),
    });
    let item = Item {
        code: row.get("code").to_owned(),
        version: 1,
        name: row.get("name").to_owned(),
        class: row.get("item_type").to_owned(),
        department: row.get("department").to_owned(),
        receive: row.read("accept_level", |w| level(w).ok_or_else(|| unknown(w)))?,
        decide: row.read("decide_level", levels)?,
        legal_days: row.read("legal_days", number)?,
        promised_days: row.read("promised_days", number)?,
        on_the_spot: row.read("on_the_spot", yes)?,
        materials: materials.collect(),
        stages: stages(row)?,
        proxy_allowed: row.read("proxy_allowed", yes)?,
        presence_required: row.read("presence_required", yes)?,
        privacy: match row.get("privacy_class") {
            "normal" => String::new(),
            class => class.to_owned(),
        },
        keywords: list(row.get("keywords"), ' '),
        retired: false,
    };
    check::item(&item).map_err(|why| row.error("", why))?;
    Ok(item)
}

fn list(cell: &str, separator: char) -> Vec<String> {
    let parts = cell.split(separator).map(str::trim);
    parts.filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

/// Materials a column marks; each must be one of the item's.
fn some_of(row: &Row, column: &str, names: &[String]) -> Result<Vec<String>, RowError> {
    let marked = list(row.get(column), ';');
    match marked.iter().find(|m| !names.contains(m)) {
        Some(stray) => Err(row.error(column, format!("“{stray}”不在材料清单里"))),
        None => Ok(marked),
    }
}

fn stages(row: &Row) -> Result<Vec<NoticeStage>, RowError> {
    let working_days = match row.get("notice_unit") {
        "working_day" => true,
        "calendar_day" | "" => false,
        other => return Err(row.error("notice_unit", unknown(other))),
    };
    let stage = |text: String| {
        let parts: Vec<_> = text.split(':').map(str::trim).collect();
        let [place, days, name] = parts[..] else {
            return Err(row.error("notice_stages", format!("“{text}”应为 地点:天数:名称")));
        };
        Ok(NoticeStage {
            place: place.to_owned(),
            days: match days {
                "long" => None,
                _ => Some(row.read("notice_stages", |_whole| number(days))?),
            },
            name: name.to_owned(),
            working_days,
        })
    };
    let stages = list(row.get("notice_stages"), ';');
    stages.into_iter().map(stage).collect()
}

fn level(word: &str) -> Option<Level> {
    match word {
        "village" => Some(Level::Village),
        "township" => Some(Level::Township),
        "county" => Some(Level::County),
        _ => None,
    }
}

/// Levels that may decide. What the province or the prefecture decides leaves this county
/// through its hub.
fn levels(word: &str) -> Result<Vec<Level>, String> {
    match word {
        "township_or_county" => Ok(vec![Level::Township, Level::County]),
        "prefecture" | "province" => Ok(vec![Level::County]),
        word => Ok(vec![level(word).ok_or_else(|| unknown(word))?]),
    }
}

fn number(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_not_a_number| format!("“{text}”不是天数"))
}

fn yes(word: &str) -> Result<bool, String> {
    match word {
        "yes" | "是" => Ok(true),
        "no" | "否" => Ok(false),
        other => Err(format!("“{other}”应为 yes 或 no")),
    }
}

fn unknown(word: &str) -> String {
    format!("“{word}”不认识")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::sample::ITEMS_CSV;

    fn sample() -> Catalogue {
        Catalogue {
            items: from_csv(ITEMS_CSV).unwrap(),
        }
    }

    /// The sample's first item with one cell changed.
    fn with(column: &str, cell: &str) -> Result<Vec<Item>, Vec<RowError>> {
        let mut lines = ITEMS_CSV.lines();
        let (header, first) = (lines.next().unwrap(), lines.next().unwrap());
        let at = header.split(',').position(|c| c == column).unwrap();
        let mut cells: Vec<_> = first.split(',').collect();
        cells[at] = cell;
        from_csv(&format!("{header}\n{}\n", cells.join(",")))
    }

    #[test]
    fn all_forty_seven_sample_items_are_read() {
        let catalogue = sample();
        assert_eq!(catalogue.items.len(), 47);
        let spot = catalogue.items.iter().filter(|i| i.on_the_spot).count();
        assert_eq!(spot, 14);
        super::super::Body::Catalogue(catalogue).check().unwrap();
    }

    #[test]
    fn an_item_has_what_its_row_says() {
        let catalogue = sample();
        let low_income = catalogue.current("990010001000").unwrap();
        assert_eq!(low_income.name, "最低生活保障对象认定");
        assert_eq!(low_income.receive, Level::Village);
        assert_eq!(low_income.decide, [Level::Township, Level::County]);
        assert_eq!((low_income.legal_days, low_income.promised_days), (30, 22));
        assert_eq!(low_income.materials.len(), 7);
        let certificate = &low_income.materials[5];
        assert_eq!(certificate.name, "残疾人证");
        assert!(certificate.deferrable && certificate.no_submit);
        assert!(!low_income.materials[0].deferrable);
        assert_eq!(low_income.stages[0].days, Some(7));
        assert_eq!(low_income.stages[1].days, None);
        assert_eq!(low_income.keywords.len(), 6);
        assert_eq!(low_income.privacy, "publish_minimal");
    }

    #[test]
    fn stages_may_hang_at_several_places_in_working_days() {
        let catalogue = sample();
        let machines = catalogue.current("990050002000").unwrap();
        let stages: Vec<_> = machines
            .stages
            .iter()
            .map(|s| (s.place.as_str(), s.days, s.working_days))
            .collect();
        assert_eq!(
            stages,
            [("county_site", Some(5), true), ("village", Some(5), true)]
        );
    }

    #[test]
    fn what_the_province_decides_goes_through_the_county() {
        let catalogue = sample();
        let veterans = catalogue.current("990100001000").unwrap();
        assert_eq!(veterans.decide, [Level::County]);
        let proof = catalogue.current("990200001000").unwrap();
        assert_eq!(proof.decide, [Level::Village]);
        assert!(!proof.proxy_allowed);
    }

    #[test]
    fn each_wrong_cell_is_named() {
        for (column, cell) in [
            ("accept_level", "hamlet"),
            ("decide_level", "moon"),
            ("legal_days", "many"),
            ("promised_days", "-1"),
            ("on_the_spot", "maybe"),
            ("deferrable_materials", "驾驶证"),
            ("no_submit_materials", "驾驶证"),
            ("notice_stages", "village:7"),
            ("notice_stages", "village:soon:公示"),
            ("notice_unit", "moons"),
            ("proxy_allowed", ""),
        ] {
            let errors = with(column, cell).unwrap_err();
            assert_eq!(
                (errors[0].line, errors[0].column.as_str()),
                (2, column),
                "{cell}"
            );
        }
        for (column, cell) in [
            ("code", ""),
            ("code", "99 01"),
            ("accept_level", "county"),
            ("name", ""),
            ("legal_days", "0"),
            ("promised_days", "31"),
            ("notice_stages", "nowhere:7:公示"),
            ("notice_stages", "village:0:公示"),
            ("materials", "户口簿;户口簿"),
            ("privacy_class", "loud"),
        ] {
            assert_eq!(
                with(column, cell).unwrap_err()[0].line,
                2,
                "{column} {cell}"
            );
        }
    }

    #[test]
    fn wrong_rows_are_told_all_at_once_and_a_code_is_there_once() {
        let twice = ITEMS_CSV.replace("990010002000", "990010001000");
        assert_eq!(
            from_csv(&twice).unwrap_err()[0].to_string(),
            "第 3 行“code”：编码与第 2 行相同"
        );
        let two = ITEMS_CSV
            .replace(",30,22,no,", ",x,22,no,")
            .replace(",30,20,no,", ",x,20,no,");
        assert!(from_csv(&two).unwrap_err().len() > 3);
        let errors = from_csv("code,name\n1,2\n").unwrap_err();
        assert!(errors[0].why.starts_with("缺少列"));
    }

    #[test]
    fn a_case_keeps_the_version_it_is_pinned_to() {
        let mut catalogue = sample();
        let mut second = catalogue.items[0].clone();
        second.version = 2;
        catalogue.items.push(second);
        let code = "990010001000";
        assert_eq!(catalogue.current(code).map(|i| i.version), Some(2));
        assert_eq!(catalogue.pinned(code, 1).map(|i| i.version), Some(1));
        catalogue.items[0].retired = true;
        catalogue.items[47].retired = true;
        assert_eq!(catalogue.current(code), None);
    }
}
