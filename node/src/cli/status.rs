//! `cuntong status`

use cuntong_protocol::role::Level;
use cuntong_web::desk::{Beginning, Habits, next_call};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Context,
    show::{list, number, text},
};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

pub(super) async fn go(context: &Context) -> Result<Exit, Failure> {
    context.tell(Request::Status, words).await
}

fn words(status: &Value) -> String {
    let waiting = &status["waiting"];
    let level = serde_json::from_value::<Level>(status["role"].clone());
    let mut out = format!(
        "{} {} ({}) 第 {} 纪元\n文档 {} · 条目 {} · 待上报 {} 件",
        text(status, "site_name"),
        text(status, "node"),
        level.map_or("", Level::zh),
        number(status, "epoch"),
        number(status, "documents"),
        number(status, "entries"),
        number(waiting, "count"),
    );
    if number(waiting, "count") > 0 {
        out.push_str(&format!(",最早 {} 秒前", number(waiting, "oldest_s")));
    }
    out.push_str(&format!(" · 隔离 {}", number(status, "quarantine")));
    out.push_str(&repair(&status["repair"]));
    for peer in list(status, "upstream") {
        let reason = match text(peer, "reason") {
            "" => "",
            code => crate::desk::links::reason_words(code),
        };
        out.push_str(&format!(
            "\n上级 {}: {}",
            text(peer, "name"),
            state(text(peer, "state"))
        ));
        if text(peer, "carrier") == "tcp" {
            out.push_str(",经 TCP 备用线路");
        }
        if !reason.is_empty() {
            out.push_str(&format!("({reason})"));
        }
        if let Ok(Some(beginning)) = Option::<Beginning>::deserialize(&peer["beginning"]) {
            out.push_str(&format!(",{}", beginning.zh()));
        }
        if let Some(seconds) = peer["next_try_s"].as_u64() {
            let next = next_call(text(peer, "next_why"), seconds);
            out.push_str(&format!(",{next}"));
        }
    }
    let habits = &status["habits"];
    let habits = Habits {
        metered: habits["metered"] == true,
        windows: text(habits, "windows").to_owned(),
    };
    if let Some(words) = habits.zh() {
        out.push_str(&format!("\n{words}"));
    }
    out
}

/// What the last proof that did not match came to; nothing when there was none lately.
fn repair(repair: &Value) -> String {
    if repair.is_null() {
        return String::new();
    }
    let end = if repair["equal"] == true {
        "现已一致"
    } else {
        "仍有不一致"
    };
    format!(
        "\n与 {} 核对修复 {} 件，{end}",
        text(repair, "peer"),
        number(repair, "repaired")
    )
}

fn state(word: &str) -> &str {
    match word {
        "connected" => "已连接",
        "connecting" => "正在连接",
        "waiting" => "未连接",
        "off" => "已拔线",
        other => other,
    }
}
