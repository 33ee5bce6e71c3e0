//! `publish catalogue`, `publish calendar`.

use std::path::{Path, PathBuf};

use serde_json::json;

use cuntong_provisioning::folder;

use super::{Desk, Done, Failure, Said, now};

#[derive(clap::Subcommand)]
pub(super) enum Args {
    #[command(about = "发布事项目录;文件是完整目录,没有列出的事项停用")]
    Catalogue {
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
    #[command(about = "发布工作日历;文件中的年份整年替换")]
    Calendar {
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Catalogue { file } => {
                let csv = text(&file)?;
                let (folder, mut county) = desk.open()?;
                let done = county.publish_catalogue(&csv, now())?;
                folder.note(&json!({"at": now(), "did": "publish catalogue", "items": done}))?;
                Ok(Said::new(
                    json!(done),
                    format!(
                        "新增 {},改版 {},停用 {},未变 {}",
                        done.added, done.changed, done.retired, done.unchanged
                    ),
                ))
            }
            Self::Calendar { file } => {
                let csv = text(&file)?;
                let (folder, mut county) = desk.open()?;
                let years = county.publish_calendar(&csv, now())?;
                folder.note(&json!({"at": now(), "did": "publish calendar", "years": years}))?;
                Ok(Said::new(
                    json!({"years": years}),
                    format!("日历覆盖 {years:?}"),
                ))
            }
        }
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(folder::read(path)?)
        .map_err(|_not_text| Failure::usage("文件不是 UTF-8 文本"))
}
