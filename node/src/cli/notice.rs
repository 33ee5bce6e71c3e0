//! `cuntong notice …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Context,
    show::{list, table, text},
};
use crate::{
    exit::{Exit, Failure},
    request::{NoticePublish, Request},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// 发布
    Publish {
        /// Login of the person who publishes
        #[arg(long = "as", value_name = "LOGIN")]
        login: String,
        #[arg(long)]
        title: String,
        /// File with the text
        #[arg(long, value_name = "FILE")]
        body: PathBuf,
        /// Places whose boards it hangs on: site id, code or name
        #[arg(long, required = true, num_args = 1.., value_name = "PLACE")]
        to: Vec<String>,
        /// 事务类别 [default: 通知公告]
        #[arg(long)]
        category: Option<String>,
        /// Last day on the board, yyyy-mm-dd
        #[arg(long)]
        until: Option<String>,
    },
    /// Running, ended and withdrawn notices
    List,
    /// 撤回
    Withdraw {
        id: String,
        #[arg(long)]
        reason: String,
        /// Login of the person who withdraws [default: a publisher of the site]
        #[arg(long = "as", value_name = "LOGIN")]
        login: Option<String>,
    },
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = match args.what {
        What::Publish {
            login,
            title,
            body,
            to,
            category,
            until,
        } => {
            let body = std::fs::read_to_string(&body)
                .map_err(|error| Failure::usage(format!("{}: {error}", body.display())))?;
            Request::NoticePublish(NoticePublish {
                login,
                title,
                body,
                to,
                category,
                until,
            })
        }
        What::List => return context.tell(Request::NoticeList, rows).await,
        What::Withdraw { id, reason, login } => Request::NoticeWithdraw {
            notice: id,
            login,
            reason,
        },
    };
    context
        .tell(request, |done| text(done, "notice").to_owned())
        .await
}

fn rows(value: &Value) -> String {
    let rows: Vec<_> = list(value, "notices")
        .iter()
        .map(|row| {
            let status = status(text(row, "status"));
            let [id, publisher, from, title] =
                ["id", "publisher_name", "from", "title"].map(|key| text(row, key).to_owned());
            vec![id, status.to_owned(), publisher, from, title]
        })
        .collect();
    table(&["公示", "状态", "发布", "起", "标题"], &rows)
}

fn status(word: &str) -> &str {
    match word {
        "scheduled" => "待公示",
        "running" => "公示中",
        "ended" => "已期满",
        "withdrawn" => "已撤回",
        other => other,
    }
}
