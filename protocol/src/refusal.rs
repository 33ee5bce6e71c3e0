//! Every reason for no that a person can act on.

use crate::fields::label;

/// A request the rules do not allow. `code` is stable: the manual has an entry for each, and
/// a test compares them. The text is for the person at the desk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("您的岗位不能做这一步（{0}）")]
    NotYourRole(&'static str),
    #[error("这件事不归本站点办理")]
    NotYourSite,
    #[error("本事项的受理或决定权不在本级")]
    NotThisLevel,
    #[error("办件现在是“{state}”，不能{act}")]
    WrongState {
        state: &'static str,
        act: &'static str,
    },
    #[error("没有这个事项：{0}")]
    NoSuchItem(String),
    #[error("没有这个办件")]
    NoSuchCase,
    #[error("没有这份公示")]
    NoSuchNotice,
    #[error("没有这条退回记录")]
    NoSuchRejection,
    #[error("没有这个附件，或者不是本站点添加的")]
    NoSuchAttachment,
    #[error("只能添加 JPEG、PNG 图片和 PDF 文件")]
    WrongMedia,
    #[error("附件空间已满，请先清理磁盘或请管理员调整限额")]
    AttachmentsFull,
    /// One field; its name is that of [`crate::fields`], of the act's field, or `material.3`.
    #[error("{}：{why}", place(field))]
    Field { field: String, why: String },
    /// Several fields of one form, all that is wrong at once.
    #[error("{}", all(.0))]
    Fields(Vec<(String, String)>),
    #[error("同一人同一事项已有未办结的办件 {number}，继续请说明原因")]
    Duplicate { number: String },
    #[error("材料“{0}”尚未交齐")]
    MaterialMissing(String),
    #[error("“{0}”不在可容缺的材料之内")]
    NotDeferrable(String),
    #[error("本事项不能代办，须由本人办理")]
    NoProxy,
    #[error("代办须有委托书")]
    MandateMissing,
    #[error("委托书没有授权这一步：{0}")]
    MandateScope(&'static str),
    #[error("补正只能一次性告知，本件已告知过")]
    CorrectedAlready,
    #[error("请写明{0}")]
    ReasonMissing(&'static str),
    #[error("容缺材料未补齐，不能准予")]
    GapsOpen,
    #[error("撤回与决定的先后有疑，须先裁定")]
    NeedsRuling,
    #[error("没有撤回与决定先后不明的情形，不需要裁定")]
    NothingToRule,
    #[error("本件已关联为重复件，请在先收的那件上办理（{0}）")]
    IsDuplicate(String),
    #[error("先收的一件为准：请在后收的那件上关联本件")]
    NotEarlier,
    #[error("这份公示已撤回")]
    NoticeWithdrawn,
    #[error("这一步不能单独做：{0}")]
    NotByItself(&'static str),
    #[error("这条退回记录已经了结")]
    SettledAlready,
    #[error("退回的内容没有留存，请按原件重新办理，再把这一条作罢")]
    NotKept,
    #[error("它前面的记录也被退回了，请先重做前面的一条")]
    RedoFirst,
    #[error("内容含有不得公开的个人信息：{0}")]
    PersonalData(String),
    #[error("{}太长，最多 {max} 字节", place(field))]
    TooLong { field: &'static str, max: usize },
    #[error("用户名或密码不对")]
    SignIn,
    #[error("登录已锁定，请 {0} 秒后再试")]
    LockedOut(u64),
    #[error("磁盘空间不足，未能保存；请清理后再试")]
    DiskFull,
    #[error("本机尚未加入任何县")]
    NotEnrolled,
    #[error("本机出错，未能保存：{0}")]
    Fault(String),
}

/// What a person calls the field: of the application, or of the act's form.
fn place(field: &str) -> &str {
    match field {
        "item" => "事项",
        "reason" | "text" => "理由或意见",
        "taken_reason" => "补录的原因",
        "duplicate_reason" => "继续办理的原因",
        "mandate_until" => "委托书期限",
        "witness" => "见证人",
        "materials" => "材料",
        "missing" => "补正内容",
        "days" => "补正期限",
        "gaps" => "容缺材料",
        "gap_days" => "补齐期限",
        "basis" => "法律依据",
        "competent" => "有权机关",
        "remedies" => "救济途径",
        "result" => "办理结果",
        "result_number" => "结果文号",
        "receiver" => "领取人",
        "field" => "栏目",
        "title" => "标题",
        "body" => "正文",
        "category" => "类别",
        "places" => "公示地点",
        "file" => "附件",
        "from" => "开始日期",
        "until" => "结束日期",
        "correction" => "更正的原因",
        "case" => "相关办件",
        other => label(other),
    }
}

/// Every line of a form's refusal.
fn all(fields: &[(String, String)]) -> String {
    let lines: Vec<_> = fields
        .iter()
        .map(|(field, why)| format!("{}：{why}", place(field)))
        .collect();
    lines.join("；")
}

impl Refusal {
    /// What is wrong with one field.
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            why: why.into(),
        }
    }

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
            Self::NoSuchAttachment => "R206",
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
            Self::WrongMedia => "R403",
            Self::DiskFull => "R601",
            Self::AttachmentsFull => "R603",
            Self::NotEnrolled => "R602",
            Self::Fault(_) => "R900",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_reads_has_chinese_marks() {
        let texts = [include_str!("refusal.rs"), include_str!("text.rs")];
        let lines = texts.iter().flat_map(|text| text.lines());
        let shown: Vec<_> = lines
            .filter_map(|line| line.trim().strip_prefix("#[error(\"")?.split('"').next())
            .collect();
        assert!(shown.len() > 40);
        for text in shown {
            let placed = text.split(['{', '}']).step_by(2);
            for said in placed {
                assert!(
                    !said.contains([',', ':', ';', '(', ')', '?', '!']),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_names_the_field_in_the_words_of_the_form() {
        let long = Refusal::TooLong {
            field: "remedies",
            max: 9,
        };
        assert_eq!(long.to_string(), "救济途径太长\u{ff0c}最多 9 字节");
        let days = Refusal::field("gap_days", "请填写");
        assert_eq!(days.to_string(), "补齐期限\u{ff1a}请填写");
    }
}
