//! `cuntong bundle`

use std::path::PathBuf;

use clap::Subcommand;

use super::{
    Context,
    show::{number, text},
};
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
    /// Write what another node lacks to a file on a stick, sealed to that node
    Export {
        /// A folder, or a file that does not exist yet
        #[arg(long, value_name = "DIR|FILE")]
        to: PathBuf,
        /// `hub`, `township`, a node's id, or a site's id, code or name [default: the nearest above]
        #[arg(long, value_name = "NODE")]
        peer: Option<String>,
    },
    /// Take in a file another node wrote for this one
    Import { file: PathBuf },
}

pub(super) async fn go(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.what {
        What::Export { to, peer } => {
            // The node that answers has another working directory.
            let to = std::path::absolute(&to)?.display().to_string();
            let asked = Request::BundleExport { to, peer };
            context
                .tell(asked, |done| {
                    format!(
                        "已写好给 {} 的数据包:{}({}，{} 字节)",
                        text(done, "peer_name"),
                        text(done, "file"),
                        text(done, "words"),
                        number(done, "bytes"),
                    )
                })
                .await
        }
        What::Import { file } => {
            let file = std::path::absolute(&file)?.display().to_string();
            let value = context.ask(Request::BundleImport { file }).await?;
            context.print(&value, |done| {
                format!(
                    "已收取 {} 的数据包:{}",
                    text(done, "peer_name"),
                    text(done, "words")
                )
            })?;
            let partly = number(&value, "refused") > 0 || number(&value, "early") > 0;
            Ok(if partly { Exit::Partly } else { Exit::Done })
        }
    }
}
