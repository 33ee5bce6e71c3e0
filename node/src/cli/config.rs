//! `cuntong config show`

use clap::Subcommand;

use super::{Context, show::table};
use crate::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every setting and its value
    Show {
        /// Where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

pub(super) fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    let What::Show { origin } = args.what;
    let lines = context.settings()?.lines();
    let value = serde_json::to_value(&lines).map_err(Failure::fault)?;
    context.print(&value, |_lines| {
        let rows: Vec<_> = lines
            .iter()
            .map(|line| {
                let mut row = vec![line.key.to_owned(), line.value.clone()];
                row.push(if origin {
                    line.origin.clone()
                } else {
                    line.about.to_owned()
                });
                row
            })
            .collect();
        table(&["设置", "值", if origin { "来源" } else { "说明" }], &rows)
    })?;
    Ok(Exit::Done)
}
