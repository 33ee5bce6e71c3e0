//! `init`: founds a county.

use std::path::PathBuf;

use serde_json::json;

use cuntong_protocol::{
    calendar::civil_day,
    control::{Places, places_csv},
};
use cuntong_provisioning::{
    county::CountyError,
    folder::{Folder, FolderError, Secrets},
};

use super::{Desk, Done, Failure, Said, System, now, passphrase_from, talk, typed};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long, help = "县的名称")]
    name: String,
    #[arg(long, help = "县的 12 位区划代码;给出时同时登记县级站点")]
    code: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "从文件读根密钥口令;不给时与登记员口令相同"
    )]
    root_passphrase_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        let places = self.places()?;
        let folder = Folder::hold(&desk.dir)?;
        if folder.holds_county() {
            return Err(FolderError::Exists(desk.dir.clone()).into());
        }
        let registrar = desk.passphrase("新的登记员口令: ")?;
        if desk.passphrase_file.is_none() && typed("再输一次: ")? != registrar {
            return Err(Failure::usage("两次输入的口令不同"));
        }
        let roots = match &self.root_passphrase_file {
            Some(path) => passphrase_from(path)?,
            None => registrar.clone(),
        };
        let secrets = Secrets {
            registrar,
            roots,
            work_log2: desk.work_log2(),
        };
        let mut county = folder.found(&secrets, desk.cost(), &mut System, now())?;
        if let Some(csv) = &places {
            county.add_places(csv, now())?;
        }
        folder.note(&json!({"at": now(), "did": "init", "name": self.name}))?;
        let fingerprint = county.id().text();
        talk("请把 keys/root-1.age 至 root-3.age 分别移到保险柜中的优盘,此目录不再需要它们。");
        Ok(Said::new(
            json!({"name": self.name, "county": fingerprint, "dir": desk.dir}),
            format!("{} 已建立,指纹 {fingerprint}", self.name),
        ))
    }
    /// The county's own place, checked before anything is founded.
    fn places(&self) -> Result<Option<String>, Failure> {
        let Some(code) = &self.code else {
            return Ok(None);
        };
        let csv = super::place::row(code, &self.name)?;
        places_csv::from_csv(&csv, &Places::default(), civil_day(now()))
            .map_err(CountyError::Rows)?;
        Ok(Some(csv))
    }
}
