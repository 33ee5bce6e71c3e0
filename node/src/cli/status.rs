//! `cuntong status`

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
    let mut out = format!(
        "{} {} ({}) 第 {} 纪元\n文档 {} · 条目 {} · 待上报 {} 件,最早 {} 秒前 · 隔离 {}",
        text(status, "site_name"),
        text(status, "node"),
        text(status, "role"),
        number(status, "epoch"),
        number(status, "documents"),
        number(status, "entries"),
        number(waiting, "count"),
        number(waiting, "oldest_s"),
        number(status, "quarantine"),
    );
    for peer in list(status, "upstream") {
        let reason = match text(peer, "reason") {
            "" => "",
            code => crate::desk::links::reason_words(code),
        };
        out.push_str(&format!(
            "\n上级 {}: {}",
            text(peer, "name"),
            text(peer, "state")
        ));
        if !reason.is_empty() {
            out.push_str(&format!("({reason})"));
        }
    }
    out
}
