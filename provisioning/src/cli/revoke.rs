//! `revoke`: takes a machine out for good.

use serde_json::json;

use cuntong_protocol::{id::NodeId, time::Millis};
use cuntong_provisioning::county::Leave;

use super::{Desk, Done, Failure, Said, moment, now};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(help = "节点号(n-…)")]
    node: String,
    #[arg(long, help = "原因,记入登记日志")]
    reason: String,
    #[arg(
        long,
        value_name = "TIME",
        help = "此刻(RFC 3339)之后的记录不再采信;不给时为现在"
    )]
    cutoff: Option<String>,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        let node = node(&self.node)?;
        let cutoff = match &self.cutoff {
            Some(text) => {
                let at = text.parse::<jiff::Timestamp>().map_err(|_not_a_time| {
                    Failure::usage("--cutoff 应为 RFC 3339 时间,如 2026-03-02T09:00:00+08:00")
                })?;
                Millis(at.as_millisecond())
            }
            None => now(),
        };
        let (folder, mut county) = desk.open()?;
        county.leave(node, Leave::Revoked, Some(cutoff), now())?;
        folder.note(&json!({
            "at": now(), "did": "revoke", "node": node, "reason": self.reason, "cutoff": cutoff,
        }))?;
        Ok(Said::new(
            json!({"node": node, "status": "revoked", "cutoff": cutoff}),
            format!("{node} 已吊销,{} 之后的记录不再采信", moment(cutoff)),
        ))
    }
}

/// A node as typed.
pub(super) fn node(text: &str) -> Result<NodeId, Failure> {
    text.parse()
        .map_err(|_not_a_node| Failure::usage("节点号形如 n-0123456789abcdef"))
}
