//! `roster list`.

use serde_json::json;

use super::{Desk, Done, Said};

#[derive(clap::Subcommand)]
pub(super) enum Args {
    #[command(about = "列出名册中的机器,以及被两台机器使用而冻结的入网票")]
    List,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        match self {
            Self::List => list(desk),
        }
    }
}

fn list(desk: &Desk) -> Done {
    let folder = desk.folder()?;
    let trust = folder.trust()?;
    let place = |site| trust.places().site(site).map_or("", |place| &place.name);
    let nodes = &trust.roster().nodes;
    let listed: Vec<_> = nodes
        .iter()
        .map(|n| {
            json!({
                "node": n.node, "site": n.site.to_string(), "place": place(n.site),
                "slot": n.slot, "status": n.status.word(), "cutoff": n.cutoff,
            })
        })
        .collect();
    let bindings = folder.bindings()?;
    let frozen: Vec<_> = bindings
        .iter()
        .filter_map(|b| Some((b, b.frozen?)))
        .collect();
    let alarms: Vec<_> = frozen
        .iter()
        .map(|(b, f)| {
            json!({
                "ticket": b.ticket.text(), "place": place(b.site), "first": b.node,
                "second": f.node, "at": f.at,
            })
        })
        .collect();
    let mut text: String = nodes
        .iter()
        .map(|n| {
            format!(
                "{}\t{}\t{} 号机\t{}\n",
                n.node,
                place(n.site),
                n.slot,
                n.status.word()
            )
        })
        .collect();
    for (binding, second) in &frozen {
        text.push_str(&format!(
            "警报:{} 的入网票 {} 被两台机器使用:{} 与 {}\n",
            place(binding.site),
            binding.ticket,
            binding.node,
            second.node
        ));
    }
    Ok(Said::new(json!({"nodes": listed, "frozen": alarms}), text))
}
