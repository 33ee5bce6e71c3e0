//! The fourteen states of a case (办件状态).

/// Where a case stands. Custody of paper, authorisation, notice stages, sync and supervision are
/// separate dimensions and do not multiply these.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Draft,
    Consult,
    Received,
    Correcting,
    Accepted,
    Reviewing,
    Suspended,
    DecidedYes,
    DecidedNo,
    Closed,
    Delivered,
    Archived,
    NotAccepted,
    Withdrawn,
    Terminated,
}

impl State {
    /// All of them, in the order a case may pass them. `DecidedYes` and `DecidedNo` are the two
    /// outcomes of one state, decided (已决定).
    pub const ALL: [Self; 15] = [
        Self::Draft,
        Self::Consult,
        Self::Received,
        Self::Correcting,
        Self::Accepted,
        Self::Reviewing,
        Self::Suspended,
        Self::DecidedYes,
        Self::DecidedNo,
        Self::Closed,
        Self::Delivered,
        Self::Archived,
        Self::NotAccepted,
        Self::Withdrawn,
        Self::Terminated,
    ];

    /// The word for rows, JSON and the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Consult => "consult",
            Self::Received => "received",
            Self::Correcting => "correcting",
            Self::Accepted => "accepted",
            Self::Reviewing => "reviewing",
            Self::Suspended => "suspended",
            Self::DecidedYes => "decided_yes",
            Self::DecidedNo => "decided_no",
            Self::Closed => "closed",
            Self::Delivered => "delivered",
            Self::Archived => "archived",
            Self::NotAccepted => "not_accepted",
            Self::Withdrawn => "withdrawn",
            Self::Terminated => "terminated",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Draft => "草稿",
            Self::Consult => "咨询登记",
            Self::Received => "已收件",
            Self::Correcting => "待补正",
            Self::Accepted => "已受理",
            Self::Reviewing => "审查中",
            Self::Suspended => "特别程序",
            Self::DecidedYes => "准予",
            Self::DecidedNo => "不予",
            Self::Closed => "办结",
            Self::Delivered => "已送达",
            Self::Archived => "已归档",
            Self::NotAccepted => "不予受理",
            Self::Withdrawn => "已撤回",
            Self::Terminated => "终止",
        }
    }

    /// Whether somebody still has to do something before the result exists.
    pub const fn open(self) -> bool {
        matches!(
            self,
            Self::Draft
                | Self::Received
                | Self::Correcting
                | Self::Accepted
                | Self::Reviewing
                | Self::Suspended
                | Self::DecidedYes
                | Self::DecidedNo
        )
    }
}
