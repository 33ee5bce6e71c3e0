//! Levels of places and roles of people.

/// What a place is (级别); also the role of its nodes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 村级代办点
    #[n(1)]
    Village,
    /// 乡镇便民服务中心
    #[n(2)]
    Township,
    /// 县级枢纽
    #[n(3)]
    County,
}

impl Level {
    /// The word for logs, files and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Village => "village",
            Self::Township => "township",
            Self::County => "county",
        }
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Village => "村级代办点",
            Self::Township => "乡镇便民服务中心",
            Self::County => "县级枢纽",
        }
    }
}

/// What a person may do at a site.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 代办员: logs, supplements, withdraws for, delivers to residents of one village.
    #[n(1)]
    Agent,
    /// 窗口人员: a township counter; receives, accepts, corrects, refuses, closes, delivers.
    #[n(2)]
    Clerk,
    /// 审批人: a township or county person who may decide.
    #[n(3)]
    Decider,
    /// 县级窗口: the county counter.
    #[n(4)]
    CountyClerk,
    /// 信息公开员: publishes and withdraws notices of the site.
    #[n(5)]
    Publisher,
    /// 监督员: sees everything of the area, acts on nothing.
    #[n(6)]
    Supervisor,
    /// 节点管理员: nodes, settings, backups; sees no case.
    #[n(7)]
    Administrator,
}

impl Role {
    /// Every role, in code order.
    pub const ALL: [Self; 7] = [
        Self::Agent,
        Self::Clerk,
        Self::Decider,
        Self::CountyClerk,
        Self::Publisher,
        Self::Supervisor,
        Self::Administrator,
    ];

    /// The word for files and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Clerk => "clerk",
            Self::Decider => "decider",
            Self::CountyClerk => "county_clerk",
            Self::Publisher => "publisher",
            Self::Supervisor => "supervisor",
            Self::Administrator => "administrator",
        }
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Agent => "代办员",
            Self::Clerk => "窗口人员",
            Self::Decider => "审批人",
            Self::CountyClerk => "县级窗口",
            Self::Publisher => "信息公开员",
            Self::Supervisor => "监督员",
            Self::Administrator => "节点管理员",
        }
    }
}
