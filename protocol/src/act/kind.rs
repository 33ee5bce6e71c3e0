//! Kinds of act.

/// The act without its content: what tables of rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActKind {
    Open,
    Receive,
    Supplement,
    Withdraw,
    Deliver,
    Correct,
    Accept,
    Refuse,
    Review,
    Decide,
    Close,
    Terminate,
    Complete,
    Resolve,
    Rule,
    Duplicate,
    Amend,
    Publish,
    Retract,
    Attach,
    Detach,
}

impl ActKind {
    /// Every kind, in the order of their numbers on the wire.
    pub const ALL: [Self; 21] = [
        Self::Open,
        Self::Receive,
        Self::Supplement,
        Self::Withdraw,
        Self::Deliver,
        Self::Correct,
        Self::Accept,
        Self::Refuse,
        Self::Review,
        Self::Decide,
        Self::Close,
        Self::Terminate,
        Self::Complete,
        Self::Resolve,
        Self::Rule,
        Self::Duplicate,
        Self::Amend,
        Self::Publish,
        Self::Retract,
        Self::Attach,
        Self::Detach,
    ];

    /// The word for JSON and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Receive => "receive",
            Self::Supplement => "supplement",
            Self::Withdraw => "withdraw",
            Self::Deliver => "deliver",
            Self::Correct => "correct",
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Review => "review",
            Self::Decide => "decide",
            Self::Close => "close",
            Self::Terminate => "terminate",
            Self::Complete => "complete",
            Self::Resolve => "resolve",
            Self::Rule => "rule",
            Self::Duplicate => "duplicate",
            Self::Amend => "amend",
            Self::Publish => "publish",
            Self::Retract => "retract",
            Self::Attach => "attach",
            Self::Detach => "detach",
        }
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Open => "登记",
            Self::Receive => "收件",
            Self::Supplement => "补正收件",
            Self::Withdraw => "撤回",
            Self::Deliver => "送达",
            Self::Correct => "一次性补正告知",
            Self::Accept => "受理",
            Self::Refuse => "不予受理",
            Self::Review => "审查",
            Self::Decide => "决定",
            Self::Close => "办结",
            Self::Terminate => "终止",
            Self::Complete => "即办",
            Self::Resolve => "冲突选定",
            Self::Rule => "裁定",
            Self::Duplicate => "重复件关联",
            Self::Amend => "更正",
            Self::Publish => "公示发布",
            Self::Retract => "公示撤回",
            Self::Attach => "附件",
            Self::Detach => "附件作废",
        }
    }
}
