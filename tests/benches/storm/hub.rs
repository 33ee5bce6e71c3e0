//! The hub: a real state directory, the real executable, and what the kernel says of its process.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use cuntong_node::{config, identity, store::Store, view};
use cuntong_protocol::time::Millis;
use harness::process::{executable, wait_for};
use tempfile::TempDir;

use crate::{county::Land, village::Village};

/// The kernel counts CPU time in these (`USER_HZ`, 100 on every Linux architecture).
const TICKS_PER_SECOND: f64 = 100.0;

/// The hub's process.
pub(crate) struct Hub {
    child: Child,
    /// Of the hub itself, where a tracer was started.
    pid: u32,
    folder: TempDir,
    pub(crate) address: SocketAddr,
    counted: Option<PathBuf>,
}

/// What a process used, from its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) cpu_s: f64,
    pub(crate) peak_kib: u64,
    pub(crate) now_kib: u64,
    pub(crate) written: u64,
    pub(crate) threads: u64,
    /// Bytes of the database with its write-ahead log.
    pub(crate) database: u64,
}

impl Hub {
    /// Makes the directory and starts `cuntong run`; with `count`, under a tracer that counts
    /// flushes. `link` are lines of the section `[link]`; `program`, when given, is another build.
    pub(crate) fn start(
        land: &Land,
        now: Millis,
        link: &str,
        count: bool,
        program: Option<PathBuf>,
    ) -> Self {
        let program = program.unwrap_or_else(|| executable("cuntong"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("hub");
        prepare(&dir, land, now);
        let (address, page) = (free_address(), free_address());
        let settings = format!(
            "[web]\nlisten = \"{page}\"\n\n[log]\nfile = true\n\n[inbox]\nwatch = false\n\n\
             [link]\nlisten = \"{address}\"\n{link}"
        );
        fs::write(dir.join(config::FILE), settings).expect("the settings are written");
        let counted = count.then(|| folder.path().join("flushes"));
        let mut command = match &counted {
            Some(file) => {
                let mut tracer = Command::new("strace");
                tracer.args([
                    "-f",
                    "--seccomp-bpf",
                    "-c",
                    "-e",
                    "trace=fsync,fdatasync",
                    "-o",
                ]);
                tracer.arg(file).arg(program);
                tracer
            }
            None => Command::new(program),
        };
        let command = command.args(["run", "--dir"]).arg(&dir);
        let errors = fs::File::create(folder.path().join("errors")).expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the hub starts");
        wait_for("the hub answers", || TcpStream::connect(address).is_ok());
        let pid = if count {
            child_of(child.id())
        } else {
            child.id()
        };
        Self {
            child,
            pid,
            folder,
            address,
            counted,
        }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    /// What it used so far.
    pub(crate) fn used(&self) -> Used {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        let (stat, status, io) = (read("stat"), read("status"), read("io"));
        let stat = stat.expect("the hub runs");
        // After the name, which may hold anything, in brackets: state is field 3, utime 14.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<f64>().ok());
        let line = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|l| l.strip_prefix(name));
            let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        let (status, io) = (status.unwrap_or_default(), io.unwrap_or_default());
        let size = |name: &str| fs::metadata(self.dir().join(name)).map_or(0, |m| m.len());
        Used {
            cpu_s: (ticks(14).unwrap_or(0.0) + ticks(15).unwrap_or(0.0)) / TICKS_PER_SECOND,
            peak_kib: line(&status, "VmHWM:"),
            now_kib: line(&status, "VmRSS:"),
            written: line(&io, "write_bytes:"),
            threads: line(&status, "Threads:"),
            database: size("cuntong.db") + size("cuntong.db-wal"),
        }
    }

    /// Stops it in order, and answers the flushes counted.
    pub(crate) fn stop(mut self) -> Stopped {
        let told = Command::new("kill")
            .args(["-TERM", &self.pid.to_string()])
            .status();
        assert!(told.is_ok_and(|s| s.success()), "the hub still ran");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the hub ended with {status}");
        let counted = self
            .counted
            .as_ref()
            .and_then(|f| fs::read_to_string(f).ok());
        Stopped {
            dir: self.dir(),
            flushes: counted.map(|text| flushes(&text)),
            _folder: self.folder,
        }
    }
}

/// A hub that has ended, and its directory.
pub(crate) struct Stopped {
    dir: PathBuf,
    _folder: TempDir,
    /// fsync and fdatasync from start to end.
    pub(crate) flushes: Option<u64>,
}

impl Stopped {
    /// Reads the database: every entry of every village once, admitted, in its place; every case
    /// once; nothing of theirs refused; and, if they were alone, nothing else.
    ///
    /// # Panics
    /// When anything is missing, doubled, refused or strange.
    pub(crate) fn check(&self, villages: &[std::sync::Arc<Village>], alone: bool) {
        let db = rusqlite::Connection::open(self.dir.join("cuntong.db")).expect("it opens");
        let mut statement = db
            .prepare(
                "SELECT log.node, entry.seq, entry.doc, entry.hash, entry.state
                 FROM entry JOIN log ON log.id = entry.log",
            )
            .expect("the tables of this version");
        let rows = statement.query_map([], |r| {
            let at: ([u8; 8], i64) = (r.get(0)?, r.get(1)?);
            let what: ([u8; 16], [u8; 32], u8) = (r.get(2)?, r.get(3)?, r.get(4)?);
            Ok((at, what))
        });
        let rows = rows.expect("it reads").map(|row| row.expect("a row"));
        let mut held = BTreeMap::new();
        for (at, what) in rows {
            assert!(held.insert(at, what).is_none(), "position {at:?} twice");
        }
        for village in villages {
            let node = village.log.writer.node.0;
            for (seq, entry) in (1..).zip(&village.entries) {
                let here = held.remove(&(node, seq));
                let there = (entry.doc.0, entry.hash.0, 0);
                assert_eq!(here, Some(there), "entry {seq} of {node:?}");
            }
        }
        assert!(
            held.is_empty() || !alone,
            "{} entries nobody wrote",
            held.len()
        );
        let count = |sql: &str, site: u32| db.query_row(sql, [site], |r| r.get::<_, i64>(0));
        for village in villages {
            let site = village.log.scope.site.0;
            let documents = count("SELECT count(*) FROM document WHERE site = ?1", site);
            assert_eq!(
                documents,
                Ok(village.cases as i64),
                "a document for each case"
            );
            let refused = "SELECT (SELECT count(*) FROM quarantine WHERE site = ?1) +
                 (SELECT count(*) FROM rejection JOIN log ON log.id = rejection.log WHERE log.site = ?1)";
            assert_eq!(count(refused, site), Ok(0), "nothing was refused");
        }
    }

    /// Makes everything again from the entries and compares (`cuntong verify`).
    ///
    /// # Panics
    /// When something differs.
    pub(crate) fn verify(&self) {
        let dir = self.dir.to_string_lossy().into_owned();
        let ran = harness::process::cuntong(["verify", "--dir", &dir, "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Lines of the hub's log by their message, the most frequent first.
    pub(crate) fn log_lines(&self) -> Vec<(String, usize)> {
        let text = fs::read_to_string(self.dir.join("log/node.jsonl")).unwrap_or_default();
        let message = |line: &str| -> Option<String> {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let fields = line.get("fields").unwrap_or(&line);
            let word = |name: &str| fields.get(name).and_then(|v| v.as_str()).unwrap_or("");
            Some(format!(
                "{} {} {}",
                word("message"),
                word("close"),
                word("why")
            ))
        };
        let counts = harness::process::counts(text.lines().filter_map(message));
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        counts
    }
}

fn prepare(dir: &Path, land: &Land, now: Millis) {
    let nonce = [7; 16];
    let store = Store::open(dir, now, nonce, &view::ROWS, 1).expect("a new directory");
    let (joining, joined) = (land.hub.0.clone(), land.hub.1.clone());
    let newest = land.trust.needed_by(joined.site, &[]);
    let made = store.write(move |db| {
        let _node = identity::become_node(db, &joining, &joined, now)?;
        for document in &newest {
            let _same_or_new = db.take_control(document, now);
        }
        db.trust().map(|trust| trust.versions())
    });
    assert_eq!(made.expect("it becomes a node"), land.controls);
    store.close().expect("it ends in order");
}

/// Somewhere nobody listens, by TCP and by UDP, as far as one can know.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

fn child_of(tracer: u32) -> u32 {
    let path = format!("/proc/{tracer}/task/{tracer}/children");
    let children = fs::read_to_string(path).expect("the tracer runs");
    let first = children.split_whitespace().next();
    first
        .and_then(|c| c.parse().ok())
        .expect("the tracer's child")
}

/// The calls in strace's table: the fourth column, in front of errors and the name.
fn flushes(table: &str) -> u64 {
    let lines = table.lines().filter(|l| l.trim_end().ends_with("sync"));
    let calls = lines.filter_map(|l| l.split_whitespace().nth(3)?.parse::<u64>().ok());
    calls.sum()
}
