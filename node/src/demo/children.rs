//! Runs each node of the sample county as its own process, and ends them together.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::process::{Child, Command};

use super::county::DemoNode;
use crate::{
    control_socket,
    exit::{Exit, Failure},
    request::Request,
};

/// A node that does not answer by then has not started.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A node that is told to stop is killed when it takes longer.
const STOP_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A node's standard error, in its directory.
const ERRORS: &str = "stderr.log";
/// How long a crashed node stays down before it is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// One node's process.
struct Running {
    node: DemoNode,
    process: Child,
}

/// All of them.
pub struct Children(Vec<Running>);

impl Children {
    /// Starts a process for each node and waits until each answers.
    ///
    /// # Errors
    /// A process that cannot be started or does not answer.
    pub async fn start(nodes: &[DemoNode]) -> Result<Self, Failure> {
        let mut running = Vec::new();
        for node in nodes {
            running.push(Running {
                node: node.clone(),
                process: spawn(&node.dir)?,
            });
        }
        let mut children = Self(running);
        let answered = children.answered().await;
        if answered.is_err() {
            children.stop().await;
        }
        answered.map(|()| children)
    }

    async fn answered(&mut self) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + ANSWER_WITHIN;
        for child in &mut self.0 {
            while control_socket::ask(&child.node.dir, &Request::Status)
                .await
                .is_none()
            {
                if let Some(status) = child.process.try_wait()? {
                    return Err(not_started(&child.node, status));
                }
                if tokio::time::Instant::now() > deadline {
                    return Err(Failure::fault(format!("{} 没有应答", child.node.site)));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Watches until `stop`: a node that died (killed in a rehearsal of a power cut, say) is
    /// started again, unless somebody else runs it meanwhile.
    pub async fn watch(&mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(RESTART_AFTER) => {}
            }
            for child in &mut self.0 {
                let ended = matches!(child.process.try_wait(), Ok(Some(_)));
                if !ended
                    || control_socket::ask(&child.node.dir, &Request::Status)
                        .await
                        .is_some()
                {
                    continue;
                }
                tracing::warn!(node = %child.node.name, "a node of the demo ended; started again");
                if let Ok(process) = spawn(&child.node.dir) {
                    child.process = process;
                }
            }
        }
    }

    /// Ends all in order: villages first, so that the hub hears their last words.
    pub async fn stop(&mut self) {
        for child in self.0.iter_mut().rev() {
            if let Some(id) = child.process.id().and_then(|id| i32::try_from(id).ok())
                && let Some(id) = rustix::process::Pid::from_raw(id)
            {
                // Gone already is as good.
                let _gone = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            }
        }
        for child in &mut self.0 {
            let ended = tokio::time::timeout(STOP_WITHIN, child.process.wait()).await;
            if ended.is_err() {
                let _gone = child.process.kill().await;
            }
        }
    }
}

/// What the node itself said last, and how it ended.
fn not_started(node: &DemoNode, status: ExitStatus) -> Failure {
    let said = std::fs::read_to_string(node.dir.join(ERRORS)).unwrap_or_default();
    let last = said.lines().last().unwrap_or_default();
    let exit = match status.code() {
        Some(75) => Exit::TryLater,
        Some(78) => Exit::Configuration,
        Some(_) | None => Exit::Failed,
    };
    Failure::new(exit, format!("{} 没有启动成功({status}):{last}", node.site))
}

fn spawn(dir: &Path) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let errors = std::fs::File::create(dir.join(ERRORS))?;
    Command::new(program)
        .arg("run")
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        // An interrupt at the terminal is for the demo, which then ends its nodes in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::fault)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_node_that_does_not_start_is_quoted() {
        let dir = std::env::temp_dir().join(format!("cuntong-children-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(
            dir.join(ERRORS),
            "cuntong: web.listen 127.0.0.1:1: in use\n",
        )
        .unwrap();
        let node: DemoNode = serde_json::from_value(serde_json::json!({
            "node": "n-0000000000000001", "name": "yunlu", "site": "云麓县", "site_id": "s1",
            "role": "county", "dir": dir, "url": "", "login": "", "password": "",
        }))
        .unwrap();
        let failure = not_started(&node, ExitStatus::from_raw(78 << 8));
        assert_eq!(failure.exit, Exit::Configuration);
        assert!(failure.message.contains("web.listen"), "{failure}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
