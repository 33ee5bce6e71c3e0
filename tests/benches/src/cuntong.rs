//! Our own product as a peer: the real executable as a process at each end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use cuntong_node::{
    clock::{self, Clock},
    config, control_socket,
    desk::{NoLinks, NodeDesk},
    request::{ActArgs, CaseLog, Request},
    store::Store,
    view,
};
use cuntong_protocol::{refusal::Refusal, time::Millis};
use cuntong_provisioning::folder::replace;
use serde_json::Value;

use crate::{
    county::{self, NODE_PEOPLE, STATE},
    generate::Case,
    link::{HUB, Link, Side},
    process::{Running, pause},
};

pub(crate) const PORT: u16 = 4600;
pub(crate) const WEB: u16 = 4680;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A node that does not answer by then has not started.
const STARTS_WITHIN: u32 = 6_000;

/// When a node calls its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// At the start, when something is saved and when it is told to: no call of its own falls into
    /// what is measured.
    WhenTold,
    /// As it is shipped.
    AsShipped,
}

/// The settings a node runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub web: u16,
    pub listen: Option<String>,
    pub upstream: Option<String>,
    pub calls: Calls,
}

impl Settings {
    /// Those of the hub or the node of a county of two.
    pub fn of(side: Side) -> Self {
        let address = format!("{HUB}:{PORT}");
        let (listen, upstream) = match side {
            Side::Hub => (Some(address), None),
            Side::Node => (None, Some(address)),
        };
        Self {
            web: WEB,
            listen,
            upstream,
            calls: Calls::WhenTold,
        }
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let mut text = format!(
            "[web]\nlisten = \"127.0.0.1:{}\"\n\n[log]\nfile = true\n\n[inbox]\nwatch = false\n\n[link]\n",
            self.web
        );
        match self.calls {
            Calls::WhenTold => text.push_str("retry_first_ms = 60000\nretry_max_ms = 600000\n"),
            Calls::AsShipped => {}
        }
        if let Some(listen) = &self.listen {
            text.push_str(&format!("listen = \"{listen}\"\n"));
        }
        if let Some(upstream) = &self.upstream {
            text.push_str(&format!("upstream = [\"{upstream}\"]\n"));
        }
        Ok(replace(&dir.join(config::FILE), text.as_bytes())?)
    }
}

/// The product at one end.
#[derive(Debug)]
pub struct Node {
    pub running: Running,
    dir: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Node {
    /// Starts the hub or the node of a prepared directory and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(link: &Link, side: Side, executable: &Path, dir: &Path) -> Result<Self> {
        Self::start_with(link, side, executable, dir, &Settings::of(side))
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(
        link: &Link,
        side: Side,
        executable: &Path,
        dir: &Path,
        settings: &Settings,
    ) -> Result<Self> {
        let dir = dir.join(STATE);
        settings.write(&dir)?;
        let mut command = link.command_in(side);
        let _same = command.arg(executable).args(["run", "--dir"]).arg(&dir);
        let mut node = Self {
            running: Running::start(&mut command)?,
            dir,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        for _look in 0..STARTS_WITHIN {
            if node.ask(&Request::Status).is_ok() {
                return Ok(node);
            }
            ensure!(!node.running.ended(), "the node ended while it started");
            pause(LOOK_EVERY);
        }
        bail!("the node does not answer")
    }

    /// Asks what a command line may ask.
    ///
    /// # Errors
    /// The node's.
    pub fn ask(&self, request: &Request) -> Result<Value> {
        self.runtime
            .block_on(control_socket::ask(&self.dir, request))
            .context("no node runs there")?
            .map_err(|failure| anyhow!("{}: {failure}", request.word()))
    }

    /// Pulls the node's cable out, or puts it back: its next session is another one.
    ///
    /// # Errors
    /// The node does not answer.
    pub fn plug(&self, up: bool) -> Result<()> {
        self.ask(&Request::Link { up }).map(drop)
    }

    /// Waits until both ends agree, as `cuntong sync now` does.
    ///
    /// # Errors
    /// They do not.
    pub fn sync(&self) -> Result<Value> {
        self.ask(&Request::SyncNow)
    }

    /// What `cuntong status --json` says.
    ///
    /// # Errors
    /// The node's.
    pub fn status(&self) -> Result<Value> {
        self.ask(&Request::Status)
    }

    /// Hands over the result of a case: one change, as a person at the counter makes it.
    ///
    /// # Errors
    /// The rules.
    pub fn change(&self, case: &str) -> Result<()> {
        let act = ActArgs::Deliver {
            way: "collected".to_owned(),
            receiver: None,
            note: "当面点清".to_owned(),
        };
        let login = NODE_PEOPLE[0].to_owned();
        let case = case.to_owned();
        self.ask(&Request::CaseAct { case, login, act }).map(drop)
    }

    /// Logs a case as a person at the counter does; its id.
    ///
    /// # Errors
    /// The rules.
    pub fn log(&self, case: &Case) -> Result<String> {
        let mut log = CaseLog {
            login: NODE_PEOPLE[0].to_owned(),
            mandate: true,
            ..CaseLog::default()
        };
        for (field, value) in case.steps.iter().take(1).flat_map(|step| &step.set) {
            let value = value.clone();
            match field.as_str() {
                "item" => log.item = value,
                "name" => log.name = value,
                "id" => log.id = value,
                "phone" => log.phone = Some(value),
                "mandate" => {}
                act if act.starts_with("act.") => {}
                other => {
                    let _new = log.fields.insert(other.to_owned(), value);
                }
            }
        }
        let logged = self.ask(&Request::CaseLog(log))?;
        let id = logged["case"].as_str().context("a case has an id")?;
        Ok(id.to_owned())
    }

    /// Attaches a file to a case.
    ///
    /// # Errors
    /// The rules, the disk.
    pub fn attach(&self, case: &str, file: &Path) -> Result<()> {
        self.ask(&Request::CaseAttach {
            case: case.to_owned(),
            login: NODE_PEOPLE[0].to_owned(),
            file: file.display().to_string(),
            material: None,
        })
        .map(drop)
    }

    /// Waits until the county's receipts cover all that was written here, and answers how long that
    /// took.
    ///
    /// # Errors
    /// Too long.
    pub fn until_covered(&self, within: Duration) -> Result<Duration> {
        let began = Instant::now();
        while !covered(&self.status()?) {
            ensure!(began.elapsed() < within, "no receipt of the county came");
            pause(LOOK_EVERY);
        }
        Ok(began.elapsed())
    }

    /// The product's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends in order.
    ///
    /// # Errors
    /// It did not.
    pub fn stop(mut self) -> Result<()> {
        ensure!(self.running.stop(), "the node did not end in order");
        Ok(())
    }
}

/// Whether two ends of a county with one village hold the same, and the hub's receipts cover all the
/// node wrote.
pub fn agree(hub: &Value, node: &Value) -> bool {
    let some = node["digests"]
        .as_object()
        .is_some_and(|all| !all.is_empty());
    some && hub["digests"] == node["digests"] && covered(node)
}

/// Whether the county's receipts cover all that a node wrote.
pub fn covered(node: &Value) -> bool {
    node["waiting"]["count"] == 0
}

/// The state of some cases, read from a directory nobody runs: fields, materials, and every act.
/// Null for a case it does not hold.
///
/// # Errors
/// The directory was not prepared.
pub fn read(dir: &Path, ids: &[String]) -> Result<BTreeMap<String, Value>> {
    let known = county::read_ids(dir)?;
    let now = Clock::system(None).now();
    let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
    // A running node makes stale rows again beside its work.
    while store.write(|db| db.tend())? {}
    let desk = NodeDesk::new(store.clone(), Clock::by_hand(Millis(0)), Arc::new(NoLinks));
    let mut states = BTreeMap::new();
    for id in ids {
        let case = *known.get(id).context("a case nobody prepared")?;
        let shown = match desk.case_show(None, case) {
            Ok(shown) => serde_json::to_value(shown)?,
            Err(Refusal::NoSuchCase) => {
                let _none = states.insert(id.clone(), Value::Null);
                continue;
            }
            Err(refusal) => bail!("{}", refusal.code()),
        };
        let acts = shown["timeline"].as_array().into_iter().flatten();
        let acts = acts
            .map(|act| serde_json::json!([act["act"], act["at"], act["person"], act["words"]]))
            .collect::<Vec<_>>();
        let state = serde_json::json!({
            "state": shown["state"],
            "fields": shown["fields"],
            "materials": shown["materials"],
            "acts": acts,
        });
        let _new = states.insert(id.clone(), state);
    }
    store.close()?;
    Ok(states)
}

/// Why a directory nobody runs began each of its epochs after the first.
///
/// # Errors
/// Those of the store.
pub fn epochs(dir: &Path) -> Result<Vec<String>> {
    let now = Clock::system(None).now();
    let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
    let mut lines = store.read(|db| db.audit(u32::MAX))?;
    store.close()?;
    lines.reverse();
    let begun = lines.iter().filter(|line| line.action == "epoch");
    let why = begun.filter_map(|line| line.subject.split(' ').nth(1));
    Ok(why.skip(1).map(str::to_owned).collect())
}
