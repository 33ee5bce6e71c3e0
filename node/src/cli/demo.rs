//! `cuntong demo`

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;

use super::{Context, print, show::table};
use crate::{
    control_socket,
    demo::{children::Children, county},
    exit::{Exit, Failure},
    request::Request,
    run,
    store::Directory,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// First port: pages at +0 … +3, links at +10 and +11
    #[arg(
        long,
        default_value_t = 7300,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=65_515)
    )]
    base_port: u16,
    /// Sample cases of a county that is made now
    #[arg(long, default_value_t = 320, value_name = "N")]
    cases: u64,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Unplug a node's links
    Cut { name: String },
    /// Plug them in again
    Heal { name: String },
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.what {
        Some(What::Cut { name }) => switch(context, &name, false).await,
        Some(What::Heal { name }) => switch(context, &name, true).await,
        None => demo(context, args.base_port, args.cases).await,
    }
}

async fn demo(context: &Context, base_port: u16, cases: u64) -> Result<Exit, Failure> {
    // One demo a directory: another one would give its nodes other ports.
    let _held = Directory::lock(&context.dir)?;
    let interrupted = run::interrupt()?;
    let dir = context.dir.clone();
    tokio::pin!(interrupted);
    let making =
        tokio::task::spawn_blocking(move || county::open_or_make(&dir, base_port, cases, &tell));
    let nodes = tokio::select! {
        made = making => made.map_err(Failure::fault)??,
        () = &mut interrupted => return Ok(Exit::Failed),
    };
    let mut children = Children::start(&nodes).await?;
    if context.json {
        for node in &nodes {
            print(&serde_json::to_string(node).map_err(Failure::fault)?)?;
        }
        print(&json!({ "ready": true }).to_string())?;
    } else {
        let rows: Vec<_> = nodes
            .iter()
            .map(|node| {
                [
                    &node.site,
                    node.role.zh(),
                    &node.url,
                    &node.login,
                    &node.password,
                ]
                .iter()
                .map(ToString::to_string)
                .collect()
            })
            .collect();
        print(&table(&["站点", "级别", "网址", "用户名", "密码"], &rows))?;
        tell("按 Ctrl-C 结束。断开、接通某村的链路:cuntong demo cut shiqiao / demo heal shiqiao");
    }
    children.watch(&mut interrupted).await;
    tell("正在停止……");
    children.stop().await;
    Ok(Exit::Done)
}

/// Talk goes to standard error.
fn tell(words: &str) {
    // Nobody may be reading.
    let _nobody = writeln!(std::io::stderr(), "{words}");
}

/// Unplugs or plugs the links of a node, by its name, its site's name or its id.
async fn switch(context: &Context, name: &str, up: bool) -> Result<Exit, Failure> {
    let nodes = county::list(&context.dir)?;
    let node = nodes
        .iter()
        .find(|n| n.name == name || n.site == name || n.site_id == name || n.node.text() == name)
        .ok_or_else(|| {
            let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
            Failure::usage(format!("没有节点 {name};有 {}", names.join("、")))
        })?;
    let reply = control_socket::ask(&node.dir, &Request::Link { up }).await;
    let value = reply.ok_or_else(|| Failure::new(Exit::TryLater, "节点没有运行"))??;
    let words = if up { "已接通" } else { "已断开" };
    context.print(&value, |_value| format!("{} {words}", node.site))?;
    Ok(Exit::Done)
}
