//! `cuntong verify`

use serde_json::Value;

use super::{
    Context,
    show::{list, number},
};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

pub(super) async fn go(context: &Context) -> Result<Exit, Failure> {
    let value = context.ask(Request::Verify).await?;
    context.print(&value, words)?;
    let sound = list(&value, "differences").is_empty();
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn words(report: &Value) -> String {
    let differences = list(report, "differences");
    let mut out = format!(
        "核对 {} 份文档、{} 条记录:",
        number(report, "documents"),
        number(report, "entries")
    );
    if differences.is_empty() {
        out.push_str("一致");
    } else {
        out.push_str(&format!("{} 处不一致", differences.len()));
        for difference in differences {
            out.push_str(&format!("\n  {}", difference.as_str().unwrap_or("")));
        }
    }
    out
}
