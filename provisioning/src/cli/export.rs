//! `export`: control documents as files.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use cuntong_protocol::{control::signed::Signed, id::SiteId};
use cuntong_provisioning::{
    county::{CountyError, places::find_place},
    folder::{self, file_name},
};

use super::{Desk, Done, Said};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long, value_name = "DIR", help = "写到这个目录")]
    out: PathBuf,
    #[arg(
        long,
        value_name = "CODE",
        help = "只写这个站点的节点可以持有的(不含别处的登录名)"
    )]
    site: Option<String>,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        let trust = desk.folder()?.trust()?;
        let places = trust.places();
        let site: Option<SiteId> = match &self.site {
            Some(text) => {
                let place = find_place(places, text);
                let place = place.ok_or_else(|| CountyError::NoSuchPlace(text.clone()))?;
                Some(place.site)
            }
            None => places
                .sites
                .iter()
                .find(|p| p.parent.is_none())
                .map(|p| p.site),
        };
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut files = Vec::new();
        for bytes in trust.needed_by(site.unwrap_or(SiteId(0)), &[]) {
            let signed = Signed::open(&bytes).map_err(anyhow::Error::from)?;
            let path = self.out.join(file_name(&signed.content));
            folder::write(&path, &bytes)?;
            files.push(path);
        }
        let text = format!("{} 份控制文件已写到 {}", files.len(), self.out.display());
        Ok(Said::new(json!({"files": files}), text))
    }
}
