//! The hub's list of nodes: who was seen when, and how far their records got.

use askama::Template;
use axum::{extract::State, response::Response};
use cuntong_protocol::{control::NodeStatus, time::Millis};

use crate::{
    App,
    desk::{Desk, NodeRow},
    page::{Failure, Shell, render},
    visit::Visit,
    words::{self, Chip},
};

/// Not seen for this long: 失联.
const LOST_MS: i64 = 7 * 86_400_000;
/// Records that wait longer than a day: 落后.
const BEHIND_S: u64 = 86_400;
/// A clock further off than this is named.
const CLOCK_OFF_S: i64 = 120;

struct NodeView {
    site: String,
    level: &'static str,
    node: String,
    state: Chip,
    why: String,
    seen: String,
    via: Option<String>,
    custody: String,
    backlog: String,
    clock: Option<Chip>,
    version: String,
    epoch: Option<String>,
}

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage {
    page: Shell,
    rows: Vec<NodeView>,
    counts: Vec<(Chip, usize)>,
}

/// `GET /nodes`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let now = app.desk.now();
    let rows: Vec<NodeView> = app
        .desk
        .nodes()
        .await
        .iter()
        .map(|row| view(row, now))
        .collect();
    let counts = [
        ("ok", "正常"),
        ("warn", "落后"),
        ("bad", "失联"),
        ("neutral", "从未连接"),
        ("neutral", "停用"),
    ]
    .into_iter()
    .map(|(tone, word)| {
        let count = rows.iter().filter(|row| row.state.words == word).count();
        (Chip::new(tone, word), count)
    })
    .collect();
    render(&NodesPage {
        page: Shell::new(&app, &visit, "节点").await,
        rows,
        counts,
    })
}

fn view(row: &NodeRow, now: Millis) -> NodeView {
    let (state, why) = judge(row, now);
    NodeView {
        site: row.site_name.clone(),
        level: row.level.zh(),
        node: row.node.text(),
        state,
        why,
        seen: if row.connected {
            "现在在线".to_owned()
        } else {
            row.last_seen
                .map_or_else(|| "—".to_owned(), |at| words::moment(at, now))
        },
        via: row.via.clone().filter(|_| !row.connected),
        custody: row
            .custody_at
            .map_or_else(|| "—".to_owned(), |at| words::moment(at, now)),
        backlog: if row.backlog == 0 {
            "无".to_owned()
        } else {
            format!(
                "{} 条 · 最早 {}前",
                row.backlog,
                words::span(row.backlog_oldest_s)
            )
        },
        clock: row.clock_offset_s.map(clock),
        version: row.version.clone().unwrap_or_else(|| "—".to_owned()),
        epoch: row.epoch.map(|n| n.to_string()),
    }
}

/// One word for a node, and why.
fn judge(row: &NodeRow, now: Millis) -> (Chip, String) {
    let out_of_use = match row.status {
        NodeStatus::Active => None,
        NodeStatus::Suspended => Some("暂停使用"),
        NodeStatus::Revoked => Some("已吊销"),
        NodeStatus::Replaced => Some("已由另一台机器接替"),
    };
    if let Some(why) = out_of_use {
        return (Chip::new("neutral", "停用"), why.to_owned());
    }
    match row.last_seen {
        None if !row.connected => (
            Chip::new("neutral", "从未连接"),
            "已入册，尚未上线".to_owned(),
        ),
        Some(seen) if !row.connected && now.since(seen) > LOST_MS => {
            let days = now.since(seen) / 86_400_000;
            (Chip::new("bad", "失联"), format!("已 {days} 天没有连接"))
        }
        Some(_) | None if row.backlog > 0 && row.backlog_oldest_s > BEHIND_S => (
            Chip::new("warn", "落后"),
            "有记录超过一天未到县里".to_owned(),
        ),
        Some(_) | None => (Chip::new("ok", "正常"), String::new()),
    }
}

fn clock(offset: i64) -> Chip {
    if offset.abs() <= CLOCK_OFF_S {
        Chip::new("ok", "准")
    } else {
        let word = if offset > 0 { "快" } else { "慢" };
        Chip::new(
            "warn",
            format!("{word} {}", words::span(offset.unsigned_abs())),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn the_hub_names_each_node_and_what_is_wrong_with_it() {
        let page = Browser::clerk(FakeDesk::county()).get("/nodes").await;
        page.has("石桥村")
            .has("现在在线")
            .has("失联")
            .has("天没有连接")
            .has("慢 3 小时");
    }

    #[tokio::test]
    async fn a_village_has_no_list_of_nodes() {
        let page = Browser::agent(FakeDesk::village()).get("/nodes").await;
        assert_eq!(page.status, 403);
    }
}
