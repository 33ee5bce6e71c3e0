//! `grant`: answers machines that ask to join.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use anyhow::Context;
use notify::Watcher;
use serde_json::json;

use cuntong_provisioning::{
    County,
    county::Issued,
    enrol::{GRANT_FILE, REQUEST_FILE},
    folder::{self, Folder},
};

use super::{Desk, Done, Failure, Said, System, now, talk};

/// A watched directory is looked through this often even when nothing was announced.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(
        value_name = "REQUEST",
        required_unless_present = "pending",
        help = "入网申请文件(.ctreq)"
    )]
    request: Option<PathBuf>,
    #[arg(
        long,
        help = "批复文件(.ctgrant);用 --pending 时为目录,不给时与申请同目录"
    )]
    out: Option<PathBuf>,
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "request",
        help = "批复目录中的全部申请(枢纽的待登记目录)"
    )]
    pending: Option<PathBuf>,
    #[arg(long, requires = "pending", help = "一直守候新的申请,直到被中断")]
    watch: bool,
    #[arg(long, help = "入网票已过期也批复")]
    late: bool,
}

impl Args {
    pub(super) fn run(self, desk: &Desk) -> Done {
        match (&self.pending, &self.request) {
            (Some(pending), _) if self.watch => self.watch(desk, pending),
            (Some(pending), _) => {
                let (folder, mut county) = desk.open()?;
                let found = requests(pending)?;
                self.answer_all(&folder, &mut county, &found)
            }
            (None, Some(request)) => {
                let (folder, mut county) = desk.open()?;
                let issued = answer(&folder, &mut county, request, self.late)?;
                let out = self
                    .out
                    .clone()
                    .unwrap_or_else(|| request.with_extension(GRANT_FILE));
                folder::write(&out, &issued.grant)?;
                Ok(said(&county, &issued, &out))
            }
            (None, None) => Err(Failure::usage("给出一个申请文件,或 --pending DIR")),
        }
    }

    /// A request that a hub keeps was taken in time by the hub's clock, so its ticket may have run
    /// out since.
    fn answer_all(&self, folder: &Folder, county: &mut County, found: &[PathBuf]) -> Done {
        let mut results = Vec::new();
        let mut text = String::new();
        let mut refused = None;
        for request in found {
            let out = self.out_for(request);
            match answer(folder, county, request, true) {
                Ok(issued) => {
                    folder::write(&out, &issued.grant)?;
                    let one = said(county, &issued, &out);
                    text.push_str(&one.text);
                    text.push('\n');
                    results.push(one.json);
                }
                Err(failure) => {
                    let why = failure.error.to_string();
                    talk(&format!("{}: {why}", request.display()));
                    results.push(json!({"request": request, "refused": why}));
                    refused = Some(failure);
                }
            }
        }
        match refused {
            Some(failure) if found.len() == 1 => Err(failure),
            refused => Ok(Said {
                json: json!({"answered": results}),
                text: if found.is_empty() {
                    "没有待批复的申请".to_owned()
                } else {
                    text
                },
                partly: refused.is_some(),
            }),
        }
    }

    fn out_for(&self, request: &Path) -> PathBuf {
        let beside = request.with_extension(GRANT_FILE);
        match (&self.out, beside.file_name()) {
            (Some(dir), Some(name)) => dir.join(name),
            (Some(_) | None, _) => beside,
        }
    }

    /// Answers whatever appears. The directory of the county is held only while answering, so that
    /// other commands can be given meanwhile.
    fn watch(&self, desk: &Desk, pending: &Path) -> Done {
        let keys = desk.keys()?;
        // A hub makes it with its first request; nobody should have to wait for that.
        std::fs::create_dir_all(pending).with_context(|| pending.display().to_string())?;
        let (announce, announced) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| {
            // The receiver is gone only when the command is ending.
            announce.send(event).ok();
        })
        .context("守候目录")?;
        watcher
            .watch(pending, notify::RecursiveMode::NonRecursive)
            .context("守候目录")?;
        talk(&format!("守候 {}", pending.display()));
        let mut seen = BTreeSet::new();
        loop {
            let mut new = Vec::new();
            for request in requests(pending)? {
                let mark = (
                    request.clone(),
                    *blake3::hash(&folder::read(&request)?).as_bytes(),
                );
                if seen.insert(mark) {
                    new.push(request);
                }
            }
            if !new.is_empty() {
                let folder = desk.folder()?;
                let mut county = folder.county(keys.clone(), desk.cost())?;
                match self.answer_all(&folder, &mut county, &new) {
                    Ok(said) => desk.say(&said)?,
                    Err(failure) => talk(&failure.error.to_string()),
                }
            }
            // Only a wake-up: what is there is read from the directory itself.
            match announced.recv_timeout(LOOK_AGAIN) {
                Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(anyhow::anyhow!("守候目录已停止").into());
                }
            }
        }
    }
}

fn requests(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    for entry in entries {
        let entry = entry.map_err(anyhow::Error::from)?;
        let path = entry.path();
        // A link planted there is not followed.
        let is_file = entry.file_type().map_err(anyhow::Error::from)?.is_file();
        if is_file && path.extension().is_some_and(|e| e == REQUEST_FILE) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn answer(
    folder: &Folder,
    county: &mut County,
    request: &Path,
    late: bool,
) -> Result<Issued, Failure> {
    let bytes = folder::read(request)?;
    let issued = county.grant(&bytes, late, &mut System, now())?;
    folder.note(&json!({
        "at": now(), "did": "grant", "node": issued.node, "site": issued.site, "again": issued.again,
    }))?;
    Ok(issued)
}

fn said(county: &County, issued: &Issued, out: &Path) -> Said {
    let place = county
        .trust()
        .places()
        .site(issued.site)
        .map_or("", |place| &place.name);
    Said::new(
        json!({
            "node": issued.node, "site": issued.site.to_string(), "place": place,
            "level": issued.level, "again": issued.again, "grant": out,
        }),
        format!(
            "{} 已登记为 {place} 的节点,批复在 {}",
            issued.node,
            out.display()
        ),
    )
}
