//! Real executables: built once, run in folders of their own, killed at the end.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

/// The path of `cuntong` or `cuntong-county`, built as the tests are.
pub fn executable(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            // The whole workspace, as the tests were: another choice of crates would choose other
            // features of what they share, and build all of it again.
            .args(["build", "--quiet", "--locked", "--workspace", "--bins"])
            // In the folder this very test lies in.
            .args((!cfg!(debug_assertions)).then_some("--release"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the executables build");
        let test = std::env::current_exe().expect("a test has a path");
        let deps = test.parent().expect("target/<profile>/deps");
        deps.parent().expect("target/<profile>").to_path_buf()
    });
    folder.join(name)
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The one JSON document on standard output.
    ///
    /// # Panics
    /// When it is none, with everything the command said.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("not one JSON document ({e}): {self:?}"))
    }

    /// The same, once the command has said 0.
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// Runs `cuntong` to its end.
pub fn cuntong<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    run("cuntong", arguments)
}

/// Runs an executable of the project to its end.
pub fn run<S: AsRef<std::ffi::OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Ran {
    let output = Command::new(executable(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the executable starts");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A node of the demo, as its line says.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Node {
    pub node: String,
    pub site: String,
    pub role: String,
    pub dir: PathBuf,
    pub url: String,
    pub login: String,
    pub password: String,
}

impl Node {
    /// Runs `cuntong … --dir <its folder> --json`.
    pub fn cuntong(&self, arguments: &[&str]) -> Ran {
        let dir = self.dir.to_string_lossy().into_owned();
        cuntong(
            arguments
                .iter()
                .copied()
                .chain(["--dir", dir.as_str(), "--json"]),
        )
    }

    /// The same as the person whose login the demo printed.
    pub fn as_person(&self, arguments: &[&str]) -> Ran {
        let mut all = arguments.to_vec();
        all.extend(["--as", self.login.as_str()]);
        self.cuntong(&all)
    }
}

/// A demo county that runs until it is dropped.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    folder: TempDir,
    pub nodes: Vec<Node>,
}

impl Demo {
    /// Starts `cuntong demo` in a folder of its own, and waits until it says ready.
    pub fn start(cases: usize) -> Self {
        Self::start_with(cases, &[], Stdio::inherit())
    }

    /// The same with environment variables for the demo and its nodes, and with its standard
    /// error elsewhere.
    #[expect(
        clippy::zombie_processes,
        reason = "a demo that never was ready ends the test"
    )]
    pub fn start_with(cases: usize, environment: &[(&str, &str)], errors: Stdio) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut child = Command::new(executable("cuntong"))
            .args(["demo", "--json", "--cases", &cases.to_string()])
            .args(["--base-port", &port.to_string()])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .envs(environment.iter().copied())
            .stderr(errors)
            .spawn()
            .expect("the demo starts");
        let out = child.stdout.take().expect("standard output is piped");
        let mut nodes = Vec::new();
        for line in BufReader::new(out).lines() {
            let line = line.expect("the demo prints text");
            let value: Value = serde_json::from_str(&line).expect("one JSON object a line");
            if value["ready"] == Value::Bool(true) {
                return Self {
                    child,
                    folder,
                    nodes,
                };
            }
            nodes.push(serde_json::from_value(value).expect("a node's line"));
        }
        panic!("the demo ended before it was ready; its nodes: {nodes:?}");
    }

    /// The demo's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The node at that site.
    pub fn at(&self, site: &str) -> &Node {
        self.nodes
            .iter()
            .find(|n| n.site.contains(site))
            .expect("the demo has that site")
    }

    /// The node of that level: `county` or `township`.
    pub fn level(&self, role: &str) -> &Node {
        self.nodes
            .iter()
            .find(|n| n.role == role)
            .expect("the demo has that level")
    }

    /// Unplugs (`cut`) or plugs (`heal`) a site's link; a node that is just starting is told
    /// once it runs.
    pub fn link(&self, verb: &str, site: &str) {
        let dir = self.folder.path().to_string_lossy().into_owned();
        wait_for(verb, || {
            cuntong(["demo", verb, site, "--dir", &dir]).code == 0
        });
    }
}

impl Demo {
    /// Pulls the plug of a node (`kill -9`); the demo starts it again after a second.
    pub fn kill(&self, node: &Node) {
        let dir = node.dir.to_string_lossy().into_owned();
        let pid = process_with(&["run", "--dir", &dir]).expect("the node runs");
        let killed = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(killed.is_ok_and(|s| s.success()), "the node was running");
    }
}

/// The process whose arguments end so.
fn process_with(arguments: &[&str]) -> Option<u32> {
    let end: Vec<u8> = arguments
        .iter()
        .flat_map(|a| a.bytes().chain([0]))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|p| p.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let line = std::fs::read(format!("/proc/{id}/cmdline"));
        line.is_ok_and(|line| line.ends_with(&end))
    })
}

/// Waits for something real processes are to bring about: asks again and again, for a minute.
///
/// # Panics
/// When it does not come about.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    for _tenth in 0..600 {
        if done() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "other processes need the time")]
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what}: not within a minute");
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The demo stops its nodes when it is told to; only then is the folder removed.
        let _told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let _ended = self.child.wait();
    }
}

/// A port with eleven free ones after it, as far as one can know.
fn free_port() -> u16 {
    for _attempt in 0..100 {
        let Ok(first) = TcpListener::bind(("127.0.0.1", 0)) else {
            continue;
        };
        let port = first.local_addr().map_or(0, |a| a.port());
        let free = |p: u16| TcpListener::bind(("127.0.0.1", p)).is_ok();
        if port > 1024 && port < 65_000 && (port + 1..port + 12).all(free) {
            return port;
        }
    }
    panic!("no twelve free ports in a row");
}

/// Counts of values, for "exactly once".
pub fn counts<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}
