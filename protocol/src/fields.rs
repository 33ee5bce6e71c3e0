//! Names of the editable fields of an application, and the words of material states.

/// 申请人姓名
pub const NAME: &str = "name";
/// 证件号码 (citizen id, canonical form)
pub const ID: &str = "id";
/// 联系电话
pub const PHONE: &str = "phone";
/// 住址
pub const ADDRESS: &str = "address";
/// 组、自然村
pub const GROUP: &str = "group";
/// 联系人
pub const CONTACT: &str = "contact";
/// 联系人电话
pub const CONTACT_PHONE: &str = "contact_phone";
/// 银行账号
pub const BANK: &str = "bank";
/// 备注
pub const NOTE: &str = "note";

/// Fields every form knows, with their Chinese labels; others come from `--field K=V` as they are.
pub const LABELS: [(&str, &str); 9] = [
    (NAME, "申请人"),
    (ID, "身份证号"),
    (PHONE, "联系电话"),
    (ADDRESS, "住址"),
    (GROUP, "村民小组"),
    (CONTACT, "联系人"),
    (CONTACT_PHONE, "联系人电话"),
    (BANK, "银行账号"),
    (NOTE, "备注"),
];

/// The label of a field: its Chinese name, or the name itself.
pub fn label(field: &str) -> &str {
    LABELS
        .iter()
        .find(|(name, _)| *name == field)
        .map_or(field, |(_, zh)| zh)
}

/// Prefix of the field that holds one material line: `material.3`.
pub const MATERIAL: &str = "material.";

/// State of one material line (材料状态).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaterialState {
    Original,
    Copy,
    Electronic,
    Shared,
    Deferred,
    Committed,
    Missing,
    Returned,
}

impl MaterialState {
    /// All, in the order of the form.
    pub const ALL: [Self; 8] = [
        Self::Original,
        Self::Copy,
        Self::Electronic,
        Self::Shared,
        Self::Deferred,
        Self::Committed,
        Self::Missing,
        Self::Returned,
    ];

    /// The word stored in the field.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Copy => "copy",
            Self::Electronic => "electronic",
            Self::Shared => "shared",
            Self::Deferred => "deferred",
            Self::Committed => "committed",
            Self::Missing => "missing",
            Self::Returned => "returned",
        }
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Original => "已收原件",
            Self::Copy => "已收复印件",
            Self::Electronic => "电子件",
            Self::Shared => "免提交",
            Self::Deferred => "容缺待补",
            Self::Committed => "承诺代替",
            Self::Missing => "缺",
            Self::Returned => "已退还",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Whether nothing more is asked for this line.
    pub const fn settled(self) -> bool {
        !matches!(self, Self::Missing | Self::Deferred)
    }
}
