//! `place add`, `place list`.

use std::path::Path;

use serde_json::json;

use cuntong_protocol::id::SiteId;
use cuntong_provisioning::folder;

use super::{Desk, Done, Failure, Said, now};

#[derive(clap::Subcommand)]
pub(super) enum Args {
    #[command(about = "登记站点:一个 CSV 文件(code,name 两列),或一个代码和名称")]
    Add {
        #[arg(value_name = "FILE.csv|CODE", help = "CSV 文件,或 12 位区划代码")]
        what: String,
        #[arg(help = "名称(给出代码时)")]
        name: Option<String>,
    },
    #[command(about = "列出站点")]
    List,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Add { what, name } => add(desk, &what, name.as_deref()),
            Self::List => list(desk),
        }
    }
}

fn add(desk: &Desk, what: &str, name: Option<&str>) -> Done {
    let csv = match name {
        Some(name) => row(what, name)?,
        None => String::from_utf8(folder::read(Path::new(what))?)
            .map_err(|_not_text| Failure::usage("文件不是 UTF-8 文本"))?,
    };
    let (folder, mut county) = desk.open()?;
    let done = county.add_places(&csv, now())?;
    let texts = |sites: &[SiteId]| sites.iter().map(ToString::to_string).collect::<Vec<_>>();
    let json = json!({
        "added": texts(&done.added), "changed": texts(&done.changed), "missing": texts(&done.missing),
    });
    folder.note(&json!({"at": now(), "did": "place add", "places": json}))?;
    let text = format!(
        "新增 {},变更 {},文件未列 {}",
        done.added.len(),
        done.changed.len(),
        done.missing.len()
    );
    Ok(Said::new(json, text))
}

fn list(desk: &Desk) -> Done {
    let trust = desk.folder()?.trust()?;
    let sites = &trust.places().sites;
    let json: Vec<_> = sites
        .iter()
        .map(|p| {
            json!({
                "site": p.site.to_string(), "code": p.code, "name": p.name,
                "level": p.level, "parent": p.parent.map(|s| s.to_string()),
            })
        })
        .collect();
    let text: String = sites
        .iter()
        .map(|p| format!("{}\t{}\t{}\t{}\n", p.site, p.code, p.level.zh(), p.name))
        .collect();
    Ok(Said::new(json.into(), text))
}

/// A file of places with one row.
pub(super) fn row(code: &str, name: &str) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer
        .write_record(["code", "name"])
        .and_then(|()| writer.write_record([code, name]))
        .map_err(anyhow::Error::from)
        .and_then(|()| writer.into_inner().map_err(|e| anyhow::anyhow!("{e}")))
        .and_then(|bytes| Ok(String::from_utf8(bytes)?));
    Ok(written?)
}
