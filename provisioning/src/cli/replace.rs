//! `replace`: one machine takes over from another.

use serde_json::json;

use super::{Desk, Done, System, now, revoke::node, ticket::Paper};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(help = "被替换的节点号(n-…)")]
    node: String,
    #[command(flatten)]
    paper: Paper,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        let node = node(&self.node)?;
        self.paper.check()?;
        let (folder, mut county) = desk.open()?;
        let ticket = county.replace(node, &self.paper.hubs, self.paper.days, &mut System, now())?;
        folder.note(&json!({
            "at": now(), "did": "replace", "node": node, "ticket": ticket.id().text(),
        }))?;
        self.paper.said(&county, &ticket)
    }
}
