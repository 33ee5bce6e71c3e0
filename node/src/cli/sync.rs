//! `cuntong sync now`

use clap::Subcommand;

use super::{Context, show::number};
use crate::{
    exit::{Exit, Failure},
    request::Request,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Wait until the first reachable upstream and this node agree
    Now,
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    let What::Now = args.what;
    let value = context.ask(Request::SyncNow).await?;
    context.print(&value, |done| {
        format!(
            "与 {} 同步完成:上报 {} 条,收到 {} 条,待上报 {} 件",
            super::show::text(done, "peer"),
            number(done, "sent"),
            number(done, "received"),
            number(done, "waiting"),
        )
    })?;
    Ok(if number(&value, "rejected") > 0 {
        Exit::Partly
    } else {
        Exit::Done
    })
}
