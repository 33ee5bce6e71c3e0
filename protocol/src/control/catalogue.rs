//! 事项目录: the service items of a county. A new item needs no code.

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
