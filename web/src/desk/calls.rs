//! When a node calls, in words.

use serde::{Deserialize, Serialize};

use super::PeerRow;
use crate::words;

/// When this node calls, by its settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Habits {
    /// The line is paid for: no connection is kept between two exchanges.
    pub metered: bool,
    /// Times of day, as `06:30-08:00,20:00-23:00`; empty: any time.
    pub windows: String,
}

impl Habits {
    /// In words; nothing where the line is always there and always used.
    pub fn zh(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.metered {
            words.push("线路按流量计费：交换完就断开，没有新记录时约每小时联系一次".to_owned());
        }
        if !self.windows.is_empty() {
            let windows = self.windows.replace(',', "、");
            words.push(format!("只在 {windows} 自动联系，别的时候按“现在试”"));
        }
        (!words.is_empty()).then(|| words.join("；"))
    }
}

/// When the next call is, and why then, for a person: `why` is [`PeerRow::why`].
pub fn next_call(why: &str, seconds: u64) -> String {
    let after = match seconds {
        0..60 => format!("{seconds} 秒"),
        _ => words::span(seconds),
    };
    match why {
        "busy" => format!("对方忙，约好 {after}后再连"),
        "window" => format!("约 {after}后到联系时段，届时自动联系"),
        "turn" => format!("约 {after}后例行联系"),
        "gather" => format!("{after}后连同新记录一起上报"),
        _ => format!("{after}后自动重试"),
    }
}

impl PeerRow {
    /// Whether the link is down because the settings want it so, and nothing is wrong.
    pub fn rests(&self) -> bool {
        let planned = matches!(self.why.as_str(), "window" | "turn" | "gather");
        self.upstream && self.state == "waiting" && planned
    }
}

/// How far a first meeting came: documents arrive ahead of their logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    pub documents: u64,
    /// Still to come.
    pub left: u64,
    pub bytes: u64,
    pub bytes_per_s: u64,
}

impl Beginning {
    /// In words.
    pub fn zh(&self) -> String {
        format!(
            "首次同步：已到 {} 份，还差 {} 份 · {} · 每秒 {}",
            self.documents,
            self.left,
            words::bytes(self.bytes),
            words::bytes(self.bytes_per_s)
        )
    }
}
