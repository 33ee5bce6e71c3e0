//! `cuntong backup` and `cuntong restore`

use std::path::PathBuf;

use super::{Context, show::text};
use crate::{
    control_socket,
    exit::{Exit, Failure},
    request::Request,
    run,
};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// File to write; must not exist
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// File a backup wrote
    file: PathBuf,
}

pub(super) async fn backup(context: &Context, args: BackupArgs) -> Result<Exit, Failure> {
    // The node that answers may have another working directory.
    let file = std::path::absolute(&args.file)?.display().to_string();
    context
        .tell(Request::Backup { file }, |done| {
            let mut said = format!("已备份并核对:{}", text(done, "file"));
            if done["attachments_not_included"] != 0 {
                said += &format!(
                    "\n附件不在备份内:{} 个,{} 字节,在数据目录的 blobs 中,请另行复制;没有的会从上级和下级取回",
                    done["attachments_not_included"], done["attachments_bytes"]
                );
            }
            said
        })
        .await
}

pub(super) async fn restore(context: &Context, args: RestoreArgs) -> Result<Exit, Failure> {
    if control_socket::ask(&context.dir, &Request::Status)
        .await
        .is_some()
    {
        return Err(Failure::new(Exit::TryLater, "节点正在运行,请先停止再恢复"));
    }
    // Said before a directory is made for it.
    if let Err(error) = std::fs::File::open(&args.file) {
        return Err(Failure::usage(format!("{}: {error}", args.file.display())));
    }
    super::own_or_new(&context.dir)?;
    let value = run::restore(&context.dir, context.settings()?, &args.file).await?;
    context.print(&value, |done| {
        format!(
            "已恢复到 {},从第 {} 纪元继续;附件不在备份内,缺的联网后取回",
            text(done, "dir"),
            done["epoch"]
        )
    })?;
    Ok(Exit::Done)
}
