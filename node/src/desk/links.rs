//! What the desk asks of the links; the runtime that holds the connections answers.

use cuntong_protocol::{id::NodeId, time::Millis};
use cuntong_web::desk::Beginning;
pub use cuntong_web::desk::Habits;

/// State word of a live session.
pub const CONNECTED: &str = "connected";

/// The links of this node, as the desk sees them. Answers at once, from memory.
pub trait LinkHandle: Send + Sync + 'static {
    /// Every link: configured upstreams, and whoever is connected from below.
    fn peers(&self) -> Vec<Peer>;
    /// Something was saved that others should have.
    fn saved(&self);
    /// A person wants every link tried now.
    fn try_now(&self);
    /// When this node calls, by its settings.
    fn habits(&self) -> Habits;
    /// The demo's switch, up or down; `None` outside the demo.
    fn demo(&self) -> Option<bool>;
    /// Plugs or unplugs this node's links in the demo.
    fn set_demo(&self, up: bool);
}

/// One link.
#[derive(Debug, Clone)]
pub struct Peer {
    pub node: NodeId,
    pub upstream: bool,
    /// `connected`, `connecting`, `waiting` or `off`.
    pub state: &'static str,
    /// Class of the last failure: `no_route`, `hub_down`, `clock`, `disk_full`, `version`,
    /// `certificate`, `rejected`, `clone`, `busy`.
    pub reason: Option<&'static str>,
    pub next_try_s: Option<u64>,
    /// Why it is then: `retry`, `busy`, `window`, `turn` or `gather`.
    pub why: &'static str,
    pub last_session_at: Option<Millis>,
    /// What carries a live session: `quic`, or `tcp` where UDP is blocked.
    pub carrier: Option<&'static str>,
    /// A first meeting under way.
    pub beginning: Option<Beginning>,
}

/// The words for a class of failure.
pub fn reason_words(code: &str) -> &'static str {
    match code {
        "no_route" => "网络不通",
        "hub_down" => "上级没有应答",
        "clock" => "本机时钟不对",
        "disk_full" => "磁盘已满",
        "version" => "版本太旧,须升级",
        "certificate" => "证书有问题",
        "rejected" => "上级拒绝本机",
        "clone" => "另一台电脑正用着本机的密钥",
        "busy" => "上级忙,稍后再试",
        _ => "连接失败",
    }
}

/// A node that has no links: one on its own, and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLinks;

impl LinkHandle for NoLinks {
    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }

    fn saved(&self) {}

    fn try_now(&self) {}

    fn habits(&self) -> Habits {
        Habits::default()
    }

    fn demo(&self) -> Option<bool> {
        None
    }

    fn set_demo(&self, _up: bool) {}
}
