//! Our own product as a peer: the real executable as a process at each end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use cuntong_node::{
    clock::{self, Clock},
    control_socket,
    desk::{NoLinks, NodeDesk},
    request::{ActArgs, Request},
    store::Store,
    view,
};
use cuntong_protocol::time::Millis;
use serde_json::Value;

use crate::{
    county::{self, NODE_PEOPLE, STATE},
    link::{HUB, Link, Side},
    process::{Running, pause},
};

const PORT: u16 = 4600;
const WEB: u16 = 4680;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A node that does not answer by then has not started.
const STARTS_WITHIN: u32 = 6_000;

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
        let address = format!("{HUB}:{PORT}");
        let (listen, upstream) = match side {
            Side::Hub => (Some(address.as_str()), None),
            Side::Node => (None, Some(address.as_str())),
        };
        county::settings(dir, WEB, listen, upstream)?;
        let dir = dir.join(STATE);
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

    fn ask(&self, request: &Request) -> Result<Value> {
        self.runtime
            .block_on(control_socket::ask(&self.dir, request))
            .context("no node runs there")?
            .map_err(|failure| anyhow!("{}: {failure}", request.word()))
    }

    /// One whole session, as `cuntong sync now` asks for it.
    ///
    /// # Errors
    /// No session was had.
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

    /// Ends in order.
    ///
    /// # Errors
    /// It did not.
    pub fn stop(mut self) -> Result<()> {
        ensure!(self.running.stop(), "the node did not end in order");
        Ok(())
    }
}

/// Whether two ends hold the same of every scope the node keeps, and the hub's receipts cover all
/// the node wrote.
pub fn agree(hub: &Value, node: &Value) -> bool {
    let scopes = node["digests"].as_object();
    let same = scopes.is_some_and(|all| {
        !all.is_empty()
            && all
                .iter()
                .all(|(scope, digest)| &hub["digests"][scope] == digest)
    });
    same && node["waiting"]["count"] == 0
}

/// The state of some cases, read from a directory nobody runs: fields, materials, and every act.
///
/// # Errors
/// The directory was not prepared, or does not hold a case.
pub fn read(dir: &Path, ids: &[String]) -> Result<BTreeMap<String, Value>> {
    let known = county::read_ids(dir)?;
    let now = Clock::system(None).now();
    let store = Store::open(&dir.join(STATE), now, clock::random(), &view::ROWS, 1)?;
    let desk = NodeDesk::new(store.clone(), Clock::by_hand(Millis(0)), Arc::new(NoLinks));
    let mut states = BTreeMap::new();
    for id in ids {
        let case = *known.get(id).context("a case nobody prepared")?;
        let shown = desk
            .case_show(None, case)
            .map_err(|r| anyhow!("{}", r.code()))?;
        let shown = serde_json::to_value(shown)?;
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
