//! `cuntong rejected …`: 退回箱

use clap::Subcommand;
use serde_json::Value;

use super::{
    Context,
    show::{list, number, table, text},
};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What came back, why, and what became of it; open records first
    List,
    /// 重做: do it again as it was, under today's rules
    Redo {
        /// As `rejected list` shows it
        id: i64,
        /// Login of the person who does it
        #[arg(long = "as", value_name = "LOGIN")]
        login: String,
    },
    /// 作罢: it is not to be done; settled with this reason
    Drop {
        /// As `rejected list` shows it
        id: i64,
        /// Login of the person who drops it
        #[arg(long = "as", value_name = "LOGIN")]
        login: String,
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.what {
        What::List => context.tell(Request::RejectedList, rows).await,
        What::Redo { id, login } => {
            let request = Request::RejectedRedo { id, login };
            let made = |made: &Value| match text(made, "case") {
                "" => text(made, "notice").to_owned(),
                case => format!("{case} {}", text(made, "number")),
            };
            context.tell(request, made).await
        }
        What::Drop { id, login, reason } => {
            let request = Request::RejectedDrop { id, login, reason };
            let words = |done: &Value| format!("{} 已作罢", number(done, "dropped"));
            context.tell(request, words).await
        }
    }
}

fn rows(value: &Value) -> String {
    let rows: Vec<_> = list(value, "rejected")
        .iter()
        .map(|row| {
            vec![
                number(row, "id").to_string(),
                state(row).to_owned(),
                text(row, "what").to_owned(),
                text(row, "by").to_owned(),
                format!("{} [{}]", text(row, "reason"), text(row, "rule")),
            ]
        })
        .collect();
    table(&["编号", "状态", "哪一条", "谁退回", "为什么"], &rows)
}

fn state(row: &Value) -> &'static str {
    let settled = row.get("settled").map_or("", |s| text(s, "outcome"));
    let flag = |key| row.get(key).and_then(Value::as_bool).unwrap_or(false);
    match settled {
        "redone" => "已重做",
        "dropped" => "已作罢",
        _ if flag("own") => "待重做",
        _ if flag("seen") => "已看过",
        _ => "未看",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_says_of_each_record_where_it_stands() {
        let row = |own, seen, settled: Value| json!({ "id": 7, "own": own, "seen": seen, "settled": settled });
        let redone = json!({ "outcome": "redone" });
        assert_eq!(state(&row(true, true, Value::Null)), "待重做");
        assert_eq!(state(&row(true, false, redone)), "已重做");
        assert_eq!(state(&row(false, false, Value::Null)), "未看");
        assert_eq!(state(&row(false, true, Value::Null)), "已看过");
    }
}
