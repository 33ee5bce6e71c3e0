//! The gate's rules, each with a code that stays and a reason for a person.

use crate::policy::Denied;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $code:literal $zh:literal),* $(,)?) => {
        /// A rule of the gate that something broke (`docs/formats/documents.md` lists them all).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
            /// The tables of policy do not allow what was written.
            Denied(Denied),
        }

        impl Rule {
            /// Every rule of the gate's own, in the order of codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code, for logs, interfaces and refusals on the wire.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Denied(denied) => denied.rule,
                }
            }

            /// The reason, for the author's tray of refused records.
            pub const fn zh(self) -> &'static str {
                match self {
                    $(Self::$name => $zh,)*
                    Self::Denied(denied) => denied.reason,
                }
            }
        }
    };
}

rules! {
    /// First position, number of entries and seal do not agree.
    Positions "G101" "批次的序号与封签不符",
    /// More entries or bytes than one batch may have.
    Amount "G102" "批次超过限量",
    /// The roster does not list the node.
    UnknownWriter "G103" "名册中没有写入该记录的节点",
    /// The signature is not the writer's.
    Seal "G104" "封签不是写入节点所签",
    /// Sealed after the moment up to which the node is believed.
    AfterCutoff "G105" "封签时间晚于该节点的停用时间",
    /// The node is suspended or revoked.
    NotInForce "G106" "写入该记录的节点已停用",
    /// The node's level and site do not give it this scope.
    Scope "G107" "写入节点无权写该范围的记录",
    /// An entry belongs to a document of another scope.
    OtherScope "G108" "记录所属文档不在该范围内",
    /// An upstream refused this entry and does not pass it on.
    Withheld "G109" "上级未接受该记录",
    /// The machine has begun too many epochs.
    Epochs "G110" "该节点重启纪元过多，请县管理员检查或更换此机",
    /// Larger than a change may be.
    TooLarge "G201" "单次修改过大",
    /// Not an uncompressed automerge change.
    NotAChange "G202" "记录不是单次修改的格式",
    /// The checksum is not that of the content.
    Checksum "G203" "记录校验和不符",
    /// A length or number in it is wrong.
    Lengths "G204" "记录内部长度有误",
    /// Its hash is not the one the log names.
    Hash "G205" "记录内容与日志中的指纹不符",
    /// It was not made by the writer of the log.
    Writer "G206" "记录的作者不是该日志的写入节点",
    /// Not the writer's next change in this document.
    Sequence "G207" "记录在文档中的次序不连续",
    /// It depends on what is not here (yet).
    Dependencies "G208" "记录依赖的前一修改尚未到达",
    /// Its operations do not follow those it depends on.
    StartOperation "G209" "记录的操作编号有误",
    /// A time outside what can be.
    Time "G210" "记录的时间超出范围",
    /// A message, an author or bytes besides.
    Extras "G211" "记录带有不允许的附加内容",
    /// Actors that are malformed, double, too many or unknown to the document.
    Actors "G212" "记录提到了文档中没有的写者",
    /// Columns that a change of acts and fields does not have, or that do not add up.
    Columns "G213" "记录的内部列有误",
    /// More operations than one change may have.
    TooManyOperations "G214" "单次修改包含的操作过多",
    /// Its list of dependencies is empty, too long, unsorted or double.
    DependencyList "G215" "记录的依赖清单有误",
    /// It does not depend on the writer's own change before it.
    OwnPast "G216" "记录没有承接作者自己的前一修改",
    /// The document has as many changes or acts as it may have.
    DocumentChanges "G301" "文档的修改或办理行为已达上限",
    /// automerge does not take it.
    Apply "G302" "记录无法合入文档",
    /// automerge panicked on it.
    Panicked "G303" "记录会使文档处理中断",
    /// The document could not be stored and loaded again with it.
    Reload "G304" "合入该记录后文档无法重新读取",
    /// The document would be too large.
    DocumentBytes "G305" "合入该记录后文档过大",
    /// It writes something other than new acts and fields.
    OtherWrites "G401" "记录改动了不允许改动的内容",
    /// An act that is not one.
    Act "G402" "办理行为的内容不完整或有误",
    /// An act under another writer's name, or in the place of one that exists.
    ActId "G403" "办理行为的编号不属于该写者或已存在",
    /// A field with a bad name or too long a value.
    Field "G404" "字段名称或内容超过限量",
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.zh())
    }
}

impl std::error::Error for Rule {}
