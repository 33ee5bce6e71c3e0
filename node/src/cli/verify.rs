//! `cuntong verify`

use clap::ValueEnum;
use serde_json::Value;

use super::{
    Context,
    show::{list, number, text},
};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Compare with another node as well, and mend what differs
    #[arg(long, value_name = "NODE")]
    against: Option<Against>,
}

/// Whom to compare with.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Against {
    /// The first upstream that can be reached
    Upstream,
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    if let Some(Against::Upstream) = args.against {
        let value = context.ask(Request::VerifyAgainst).await?;
        context.print(&value, compared)?;
        return Ok(ended(&value));
    }
    let value = context.ask(Request::Verify).await?;
    context.print(&value, words)?;
    let sound = list(&value, "differences").is_empty();
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

/// Different at the end: failed. Something could not be compared: partly done.
fn ended(report: &Value) -> Exit {
    if number(report, "different") > 0 {
        Exit::Failed
    } else if number(report, "left_out") > 0 {
        Exit::Partly
    } else {
        Exit::Done
    }
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

fn compared(report: &Value) -> String {
    let mut out = format!("本机重算 {} 份文档", number(report, "documents"));
    match (number(report, "rebuilt"), number(report, "sums")) {
        (0, 0) => out.push_str("，与所存一致"),
        (rebuilt, sums) => out.push_str(&format!(
            "，按原始记录重建 {rebuilt} 份，更正汇总 {sums} 处"
        )),
    }
    out.push_str(&format!("\n与 {} 核对：", text(report, "peer_name")));
    let scopes = list(report, "scopes");
    if scopes.is_empty() {
        out.push_str("没有共有的文档");
    }
    for scope in scopes {
        out.push_str(&format!(
            "\n  {} {} 份：{}",
            text(scope, "scope"),
            number(scope, "documents"),
            outcome(scope)
        ));
        let site = text(scope, "site_name");
        if !site.is_empty() {
            out.push_str(&format!("（{site}）"));
        }
    }
    out
}

fn outcome(scope: &Value) -> String {
    match text(scope, "result") {
        "equal" => "一致".to_owned(),
        "repaired" => format!("核对修复 {} 件，现已一致", number(scope, "repaired")),
        "different" => "仍不一致，已记下".to_owned(),
        "left_out" => "有记录被拒或分叉，没有核对".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(result: &str, repaired: u64) -> Value {
        json!({
            "peer_name": "北乡镇",
            "documents": 12,
            "rebuilt": 0,
            "sums": 0,
            "scopes": [{
                "scope": "application/s3",
                "site_name": "石桥村",
                "documents": 12,
                "result": result,
                "repaired": repaired,
            }],
            "repaired": repaired,
            "different": u64::from(result == "different"),
            "left_out": u64::from(result == "left_out"),
        })
    }

    #[test]
    fn a_script_tells_by_the_exit_code_whether_both_nodes_hold_the_same() {
        let codes = ["equal", "repaired", "different", "left_out"]
            .map(|result| ended(&report(result, 0)).code());
        assert_eq!(codes, [0, 0, 1, 3]);
    }

    #[test]
    fn a_person_reads_what_was_compared_and_mended() {
        assert_eq!(
            compared(&report("repaired", 2)),
            "本机重算 12 份文档，与所存一致\n与 北乡镇 核对：\n  \
             application/s3 12 份：核对修复 2 件，现已一致（石桥村）"
        );
        assert!(compared(&report("different", 1)).contains("仍不一致"));
    }
}
