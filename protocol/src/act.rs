//! Acts (行为): the signed facts a case is made of.
//!
//! An act is written once, in one document, under its [`ActId`], and never changed. What state a
//! case is in follows from its acts by [`crate::fold`]. On the wire and on disk an act is CBOR
//! with numbered fields (`docs/formats/documents.md`).

pub use crate::act::{
    attachment::{Attach, Detach, Media, Thumbnail},
    kind::ActKind,
};
use crate::{
    id::{ActId, CaseId, PersonId, SiteId},
    role::Role,
    text::shows,
    time::{ClockState, Millis},
};

mod attachment;
mod kind;

/// One act: who, when and where at the desk, what.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Act {
    #[n(0)]
    pub person: PersonId,
    #[n(1)]
    pub role: Role,
    /// The desk's clock when the person acted.
    #[n(2)]
    pub at: Millis,
    #[n(3)]
    pub clock: ClockState,
    /// The latest act of the case's other document this desk had seen: tells "after" from
    /// "without knowing of" where the clocks cannot.
    #[n(4)]
    pub saw: Option<ActId>,
    #[n(5)]
    pub body: ActBody,
    /// The site of the desk. Checked against the writer's node on receipt; powers are judged by
    /// the level of this site, so that a person who moves later takes no power away or along.
    #[n(6)]
    pub site: SiteId,
}

/// What was done. Numbers of the transitions are those of `docs/formats/documents.md`.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ActBody {
    /// 登记 (2): the case exists, nothing printed yet.
    #[n(0)]
    Open(#[n(0)] Open),
    /// 收件 (3): papers taken, receipt printed.
    #[n(1)]
    Receive(#[n(0)] Receive),
    /// 补正收件 (6): what a correction notice asked for was handed in.
    #[n(2)]
    Supplement(#[n(0)] Supplement),
    /// 撤回 (19).
    #[n(3)]
    Withdraw(#[n(0)] Reason),
    /// 送达 (18).
    #[n(4)]
    Deliver(#[n(0)] Deliver),
    /// 一次性补正告知 (5).
    #[n(5)]
    Correct(#[n(0)] Correct),
    /// 受理 (7), 容缺受理 (8) when `gaps` is not empty.
    #[n(6)]
    Accept(#[n(0)] Accept),
    /// 不予受理 (9).
    #[n(7)]
    Refuse(#[n(0)] Refuse),
    /// 审查 (11).
    #[n(8)]
    Review(#[n(0)] Reason),
    /// 准予 (15) or 不予 (16).
    #[n(9)]
    Decide(#[n(0)] Decide),
    /// 办结 (17).
    #[n(10)]
    Close(#[n(0)] Close),
    /// 终止 (23).
    #[n(11)]
    Terminate(#[n(0)] Reason),
    /// 即办 (26): received, done and closed in one visit.
    #[n(12)]
    Complete(#[n(0)] Close),
    /// One field conflict settled by a person (冲突选定); the field is written in the same change.
    #[n(13)]
    Resolve(#[n(0)] Resolve),
    /// 裁定: withdrawal and decision in doubtful order, settled by the deciding body.
    #[n(14)]
    Rule(#[n(0)] Rule),
    /// 重复件关联: the same paper was typed twice; both cases stay, linked.
    #[n(15)]
    Duplicate(#[n(0)] Duplicate),
    /// A field edited by a person after receipt (更正); the field is written in the same change.
    #[n(16)]
    Amend(#[n(0)] Amend),
    /// 公示发布: a notice, or a new version of one.
    #[n(17)]
    Publish(#[n(0)] Publish),
    /// 公示撤回.
    #[n(18)]
    Retract(#[n(0)] Reason),
    /// 附件: a scan or photo that belongs to the case, named by its hash.
    #[n(19)]
    Attach(#[n(0)] Attach),
    /// 附件作废: a file that was attached by mistake.
    #[n(20)]
    Detach(#[n(0)] Detach),
}

impl ActBody {
    /// Its kind.
    pub const fn kind(&self) -> ActKind {
        match self {
            Self::Open(_) => ActKind::Open,
            Self::Receive(_) => ActKind::Receive,
            Self::Supplement(_) => ActKind::Supplement,
            Self::Withdraw(_) => ActKind::Withdraw,
            Self::Deliver(_) => ActKind::Deliver,
            Self::Correct(_) => ActKind::Correct,
            Self::Accept(_) => ActKind::Accept,
            Self::Refuse(_) => ActKind::Refuse,
            Self::Review(_) => ActKind::Review,
            Self::Decide(_) => ActKind::Decide,
            Self::Close(_) => ActKind::Close,
            Self::Terminate(_) => ActKind::Terminate,
            Self::Complete(_) => ActKind::Complete,
            Self::Resolve(_) => ActKind::Resolve,
            Self::Rule(_) => ActKind::Rule,
            Self::Duplicate(_) => ActKind::Duplicate,
            Self::Amend(_) => ActKind::Amend,
            Self::Publish(_) => ActKind::Publish,
            Self::Retract(_) => ActKind::Retract,
            Self::Attach(_) => ActKind::Attach,
            Self::Detach(_) => ActKind::Detach,
        }
    }

    /// The one field a person edits by it, written in the same change.
    pub fn edits(&self) -> Option<&str> {
        if let Self::Amend(Amend { field, .. }) | Self::Resolve(Resolve { field, .. }) = self {
            Some(field)
        } else {
            None
        }
    }
}

/// The item asked for, pinned at the version the desk knew.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Open {
    #[n(0)]
    pub item: String,
    #[n(1)]
    pub item_version: u32,
}

/// How the papers came (收件方式).
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Receive {
    /// 12-digit division code ‖ yyyymmdd ‖ node slot (2) ‖ serial (4); printed, never changed.
    #[n(0)]
    pub number: String,
    /// Present when the agent acts in the resident's place.
    #[n(1)]
    pub mandate: Option<Mandate>,
    /// 补录: when the papers were really taken, with the reason for typing them later.
    #[n(2)]
    pub taken: Option<TakenEarlier>,
    /// Why the desk went on though an open case of the same person and item exists.
    #[n(3)]
    pub duplicate_reason: Option<String>,
}

/// 补录.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TakenEarlier {
    #[n(0)]
    pub at: Millis,
    #[n(1)]
    pub reason: String,
}

/// 代办委托书, reduced to what the rules ask (Civil Code 165, 173); the paper stays with the case.
#[derive(Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Mandate {
    /// May the agent withdraw for the resident? Default no.
    #[n(0)]
    pub may_withdraw: bool,
    /// May the agent take the result? Default yes on the form.
    #[n(1)]
    pub may_collect: bool,
    /// Last day it is good for, as yyyy-mm-dd; none: until the matter is done.
    #[n(2)]
    pub until: Option<String>,
    /// Signed by fingerprint; the witness's name.
    #[n(3)]
    pub witness: Option<String>,
}

/// Materials handed in after a correction notice: indexes into the item's material list.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Supplement {
    #[n(0)]
    pub materials: Vec<u32>,
    #[n(1)]
    pub note: String,
}

/// A reason or opinion in words.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Reason {
    #[n(0)]
    pub text: String,
}

/// The way a result reached the resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum DeliveryWay {
    /// 自取
    #[n(0)]
    Collected,
    /// 邮寄
    #[n(1)]
    Mailed,
    /// 代送
    #[n(2)]
    Brought,
    /// 电子
    #[n(3)]
    Electronic,
}

/// 送达回证.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Deliver {
    #[n(0)]
    pub way: DeliveryWay,
    /// Who signed, when not the applicant.
    #[n(1)]
    pub receiver: Option<String>,
    #[n(2)]
    pub note: String,
}

/// 一次性补正告知书: everything that is missing, told once.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Correct {
    #[n(0)]
    pub missing: Vec<Missing>,
    /// Calendar days the applicant has.
    #[n(1)]
    pub days: u16,
}

/// One thing to bring or mend.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Missing {
    /// Index into the item's material list; none for something else.
    #[n(0)]
    pub material: Option<u32>,
    /// What is wrong and how to mend it.
    #[n(1)]
    pub how: String,
}

/// 受理通知书.
#[derive(Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Accept {
    /// 容缺: materials promised for later, indexes into the item's list.
    #[n(0)]
    pub gaps: Vec<u32>,
    /// Working days for the gaps, at most the promised limit.
    #[n(1)]
    pub gap_days: u16,
    #[n(2)]
    pub note: String,
}

/// 不予受理通知书.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Refuse {
    #[n(0)]
    pub reason: String,
    #[n(1)]
    pub basis: String,
    /// Which body is competent, when this one is not.
    #[n(2)]
    pub competent: String,
}

/// 准予 / 不予决定书.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Decide {
    #[n(0)]
    pub granted: bool,
    /// Facts and reasons; must not be empty when not granted.
    #[n(1)]
    pub reason: String,
    /// 救济途径; must not be empty when not granted.
    #[n(2)]
    pub remedies: String,
}

/// 办结单.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Close {
    /// Name of the result paper or what was done.
    #[n(0)]
    pub result: String,
    /// Its number, if it has one.
    #[n(1)]
    pub result_number: String,
}

/// The value a person chose for a field that had two.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Resolve {
    #[n(0)]
    pub field: String,
    #[n(1)]
    pub reason: String,
}

/// A field a person edited; the old and new values are in the document's history.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Amend {
    #[n(0)]
    pub field: String,
    #[n(1)]
    pub reason: String,
}

/// Which of the two stands.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Rule {
    /// True: the withdrawal stands; false: the decision.
    #[n(0)]
    pub withdrawn: bool,
    #[n(1)]
    pub reason: String,
}

/// Link to the case the same paper was typed into first.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Duplicate {
    #[n(0)]
    pub of: CaseId,
    #[n(1)]
    pub reason: String,
}

/// One version of a notice. Its text is immutable: a correction is another `Publish`.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Publish {
    #[n(0)]
    pub title: String,
    #[n(1)]
    pub body: String,
    /// Sites on whose boards it hangs.
    #[n(2)]
    pub places: Vec<SiteId>,
    /// 事务类别: one of the words of `notice::CATEGORIES`.
    #[n(3)]
    pub category: String,
    /// First and last day on the board, yyyy-mm-dd; no last day: until withdrawn.
    #[n(4)]
    pub from: String,
    #[n(5)]
    pub until: Option<String>,
    /// The case it is about, when it is about one.
    #[n(6)]
    pub case: Option<CaseId>,
    /// Why there is a new version; empty for the first.
    #[n(7)]
    pub correction: String,
}

// Whoever types may type a name or a number anywhere: no free text is shown.
shows! {
    Reason {}
    Receive { number, mandate, taken }
    TakenEarlier { at }
    Mandate { may_withdraw, may_collect, until }
    Supplement { materials }
    Deliver { way }
    Correct { missing, days }
    Missing { material }
    Accept { gaps, gap_days }
    Refuse {}
    Decide { granted }
    Close {}
    Resolve { field }
    Amend { field }
    Rule { withdrawn }
    Duplicate { of }
    Publish { places, category, from, until, case }
}
