//! Every reason for no that a person can act on.

use crate::fields::label;

/// A request the rules do not allow. `code` is stable: the manual has an entry for each, and
/// a test compares them. The text is for the person at the desk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("您的岗位不能做这一步({0})")]
    NotYourRole(&'static str),
    #[error("这件事不归本站点办理")]
    NotYourSite,
    #[error("本事项的受理或决定权不在本级")]
    NotThisLevel,
    #[error("办件现在是“{state}”,不能{act}")]
    WrongState {
        state: &'static str,
        act: &'static str,
    },
    #[error("没有这个事项:{0}")]
    NoSuchItem(String),
    #[error("没有这个办件")]
    NoSuchCase,
    #[error("没有这份公示")]
    NoSuchNotice,
    #[error("没有这条退回记录")]
    NoSuchRejection,
    /// One field; its name is that of [`crate::fields`], of the act's field, or `material.3`.
    #[error("{}:{why}", label(field))]
    Field { field: String, why: String },
    /// Several fields of one form, all that is wrong at once.
    #[error("{}", all(.0))]
    Fields(Vec<(String, String)>),
    #[error("同一人同一事项已有未办结的办件 {number},继续请说明原因")]
    Duplicate { number: String },
    #[error("材料“{0}”尚未交齐")]
    MaterialMissing(String),
    #[error("“{0}”不在可容缺的材料之内")]
    NotDeferrable(String),
    #[error("本事项须本人到场,不能代办")]
    NoProxy,
    #[error("代办须有委托书")]
    MandateMissing,
    #[error("委托书没有授权这一步:{0}")]
    MandateScope(&'static str),
    #[error("补正只能一次性告知,本件已告知过")]
    CorrectedAlready,
    #[error("请写明{0}")]
    ReasonMissing(&'static str),
    #[error("容缺材料未补齐,不能准予")]
    GapsOpen,
    #[error("撤回与决定的先后有疑,须先裁定")]
    NeedsRuling,
    #[error("没有撤回与决定先后不明的情形,不需要裁定")]
    NothingToRule,
    #[error("本件已关联为重复件,请在先收的那件上办理({0})")]
    IsDuplicate(String),
    #[error("先收的一件为准:请在后收的那件上关联本件")]
    NotEarlier,
    #[error("这份公示已撤回")]
    NoticeWithdrawn,
    #[error("这一步不能单独做:{0}")]
    NotByItself(&'static str),
    #[error("这条退回记录已经了结")]
    SettledAlready,
    #[error("退回的内容没有留存,请按原件重新办理,再把这一条作罢")]
    NotKept,
    #[error("它前面的记录也被退回了,请先重做前面的一条")]
    RedoFirst,
    #[error("内容含有不得公开的个人信息:{0}")]
    PersonalData(String),
    #[error("太长:{field} 最多 {max} 字节")]
    TooLong { field: &'static str, max: usize },
    #[error("用户名或密码不对")]
    SignIn,
    #[error("登录已锁定,请 {0} 秒后再试")]
    LockedOut(u64),
    #[error("磁盘空间不足,未能保存;请清理后再试")]
    DiskFull,
    #[error("本机尚未加入任何县")]
    NotEnrolled,
    #[error("本机出错,未能保存:{0}")]
    Fault(String),
}

/// Every line of a form's refusal.
fn all(fields: &[(String, String)]) -> String {
    let lines: Vec<_> = fields
        .iter()
        .map(|(field, why)| format!("{}:{why}", label(field)))
        .collect();
    lines.join(";")
}

impl Refusal {
    /// What is wrong with a form: the one line, or all of them; none when there is none.
    pub fn of_fields(mut fields: Vec<(String, String)>) -> Option<Self> {
        match fields.len() {
            0 => None,
            1 => fields.pop().map(|(field, why)| Self::Field { field, why }),
            _more => Some(Self::Fields(fields)),
        }
    }

    /// The stable code of this reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotYourRole(_) => "R101",
            Self::NotYourSite => "R102",
            Self::NotThisLevel => "R103",
            Self::WrongState { .. } => "R201",
            Self::NoSuchItem(_) => "R202",
            Self::NoSuchCase => "R203",
            Self::NoSuchNotice => "R204",
            Self::NoSuchRejection => "R205",
            Self::Field { .. } | Self::Fields(_) => "R301",
            Self::Duplicate { .. } => "R302",
            Self::MaterialMissing(_) => "R303",
            Self::NotDeferrable(_) => "R304",
            Self::NoProxy => "R305",
            Self::MandateMissing => "R306",
            Self::MandateScope(_) => "R307",
            Self::CorrectedAlready => "R308",
            Self::ReasonMissing(_) => "R309",
            Self::GapsOpen => "R310",
            Self::NeedsRuling => "R311",
            Self::NothingToRule => "R312",
            Self::IsDuplicate(_) => "R313",
            Self::NotEarlier => "R314",
            Self::NoticeWithdrawn => "R315",
            Self::NotByItself(_) => "R316",
            Self::SettledAlready => "R317",
            Self::NotKept => "R318",
            Self::RedoFirst => "R319",
            Self::PersonalData(_) => "R401",
            Self::TooLong { .. } => "R402",
            Self::SignIn => "R501",
            Self::LockedOut(_) => "R502",
            Self::DiskFull => "R601",
            Self::NotEnrolled => "R602",
            Self::Fault(_) => "R900",
        }
    }
}
