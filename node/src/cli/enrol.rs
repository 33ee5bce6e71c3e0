//! `cuntong enrol TICKET|FILE`

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::{Context, show::text};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A ticket's text, or a file that holds a ticket or a grant
    #[arg(value_name = "TICKET|FILE")]
    what: String,
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    let content = if Path::new(&args.what).is_file() {
        std::fs::read(&args.what)?
    } else {
        args.what.into_bytes()
    };
    std::fs::create_dir_all(&context.dir)?;
    let value = context
        .ask(Request::Enrol {
            content: HEXLOWER.encode(&content),
        })
        .await?;
    context.print(&value, words)?;
    Ok(if text(&value, "state") == "waiting" {
        Exit::TryLater
    } else {
        Exit::Done
    })
}

fn words(value: &Value) -> String {
    match text(value, "state") {
        "joined" => format!(
            "已入网:{} {}",
            text(value, "site_name"),
            text(value, "node")
        ),
        _ => format!(
            "{}\n本机校验码 {}\n申请文件 {}",
            text(value, "words"),
            text(value, "fingerprint"),
            text(value, "request_file"),
        ),
    }
}
