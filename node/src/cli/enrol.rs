//! `cuntong enrol TICKET|FILE`

use std::io::Read as _;

use cuntong_protocol::limits::INBOX_FILE_BYTES_MAX;
use cuntong_provisioning::ticket::PREFIX;
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
    let content = content(&args.what)?;
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

/// The file of that name, or else the ticket itself.
fn content(what: &str) -> Result<Vec<u8>, Failure> {
    let read = std::fs::File::open(what).and_then(|file| {
        let mut content = Vec::new();
        file.take(INBOX_FILE_BYTES_MAX + 1)
            .read_to_end(&mut content)?;
        Ok(content)
    });
    match read {
        Ok(content) if content.len() as u64 > INBOX_FILE_BYTES_MAX => {
            Err(Failure::usage(format!("{what}: 太大,不是入网文件")))
        }
        Ok(content) => Ok(content),
        Err(_no_file) if what.trim_start().starts_with(PREFIX) => Ok(what.as_bytes().to_vec()),
        Err(error) => Err(Failure::usage(format!(
            "{what}: {error};也不是入网票(以 {PREFIX} 开头)"
        ))),
    }
}

fn words(value: &Value) -> String {
    match text(value, "state") {
        "joined" => format!(
            "已入网:{} {}",
            text(value, "site_name"),
            text(value, "node")
        ),
        "taken" => text(value, "words").to_owned(),
        _ => format!(
            "{}\n本机校验码 {}\n申请文件 {}",
            text(value, "words"),
            text(value, "fingerprint"),
            text(value, "request_file"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_a_file_nor_a_ticket_is_the_callers_mistake() {
        assert_eq!(content("CT1ABC").unwrap(), b"CT1ABC");
        assert_eq!(content("石桥村.ct").unwrap_err().exit, Exit::Usage);
        assert_eq!(content("/").unwrap_err().exit, Exit::Usage, "a directory");
        assert_eq!(content("/dev/zero").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn each_answer_has_its_words() {
        let taken = serde_json::json!({ "state": "taken", "words": "已有,无须再收" });
        assert_eq!(words(&taken), "已有,无须再收");
        let joined = serde_json::json!({ "state": "joined", "site_name": "石桥村", "node": "n-1" });
        assert_eq!(words(&joined), "已入网:石桥村 n-1");
    }
}
