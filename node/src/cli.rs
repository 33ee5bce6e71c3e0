//! The command line: one command per file. Scripts depend on names, output and exit codes.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    config::{FILE, Loaded},
    control_socket,
    exit::{At as _, Exit, Failure},
    request::{Reply, Request},
    run,
    store::dir::DATABASE,
};

mod backup;
mod bundle;
mod case;
mod config;
mod demo;
mod enrol;
mod notice;
mod rejected;
mod show;
mod status;
mod sync;
mod verify;

/// 村通: the node of a village point, a township centre or a county hub.
#[derive(Debug, Parser)]
#[command(name = "cuntong", version, about, max_term_width = 100)]
pub struct Cli {
    /// State directory of the node [default: cuntong-data, for `demo` cuntong-demo]
    #[arg(long, global = true, env = "CUNTONG_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON document on standard output; talk goes to standard error
    #[arg(long, global = true)]
    json: bool,
    /// A setting, over file and environment
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make or reopen the sample county and run it until interrupted
    Demo(demo::Args),
    /// Run the node of this directory until interrupted
    Run,
    /// Join a county with a ticket or an answer from a stick
    Enrol(enrol::Args),
    /// What this node holds, and how far it got
    Status,
    /// Exchange with upstream
    Sync(sync::Args),
    /// Rebuild everything derived and compare
    Verify(verify::Args),
    /// Write a verified backup
    Backup(backup::BackupArgs),
    /// Bring a backup back, in a new epoch
    Restore(backup::RestoreArgs),
    /// Exchange with another node by files on a stick
    Bundle(bundle::Args),
    /// Settings
    Config(config::Args),
    /// Cases (代办件)
    Case(case::Args),
    /// Notices (公示)
    Notice(notice::Args),
    /// What came back (退回箱): list, do again, drop
    Rejected(rejected::Args),
}

/// What every command gets.
#[derive(Debug)]
struct Context {
    dir: PathBuf,
    json: bool,
    set: Vec<String>,
}

/// Parses, does, explains.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match go(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            // Either may be closed; there is nobody left to tell then.
            let _nobody = writeln!(std::io::stderr(), "cuntong: {failure}");
            if json {
                let _nobody = print(&document(&failure).to_string());
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

/// The one document of a command that did not end well.
fn document(failure: &Failure) -> Value {
    json!({ "error": {
        "exit": failure.exit.code(),
        "code": failure.code,
        "message": failure.message,
    } })
}

fn go(cli: Cli) -> Result<Exit, Failure> {
    let demo = matches!(cli.command, Command::Demo(_));
    let default = if demo { "cuntong-demo" } else { "cuntong-data" };
    let dir = cli.dir.unwrap_or_else(|| PathBuf::from(default));
    let context = Context {
        // What an answer names is found from any working directory.
        dir: std::path::absolute(dir)?,
        json: cli.json,
        set: cli.set,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::fault)?;
    let ended = runtime.block_on(async move {
        match cli.command {
            Command::Demo(args) => demo::go(&context, args).await,
            Command::Run => {
                own_or_new(&context.dir)?;
                run::run(&context.dir, context.settings()?).await
            }
            Command::Enrol(args) => enrol::go(&context, args).await,
            Command::Status => status::go(&context).await,
            Command::Sync(args) => sync::go(&context, args).await,
            Command::Verify(args) => verify::go(&context, args).await,
            Command::Backup(args) => backup::backup(&context, args).await,
            Command::Restore(args) => backup::restore(&context, args).await,
            Command::Bundle(args) => bundle::go(&context, args).await,
            Command::Config(args) => config::go(&context, args),
            Command::Case(args) => case::go(&context, args).await,
            Command::Notice(args) => notice::go(&context, args).await,
            Command::Rejected(args) => rejected::go(&context, args).await,
        }
    });
    // A command that was interrupted does not wait for work nobody wants any more.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ended
}

impl Context {
    fn settings(&self) -> Result<Loaded, Failure> {
        Loaded::read(&self.dir, std::env::vars(), &self.set).map_err(Failure::configuration)
    }

    /// Asks the node that runs in the directory; where none does, opens the store and answers.
    async fn ask(&self, request: Request) -> Reply {
        let until = Instant::now() + run::IN_USE_MAX;
        loop {
            if let Some(reply) = control_socket::ask(&self.dir, &request).await {
                return reply;
            }
            if matches!(request, Request::Enrol { .. }) {
                own_or_new(&self.dir)?;
            } else {
                holds_node(&self.dir)?;
            }
            match run::open_once(&self.dir, self.settings()?, &request).await {
                // Whoever has the directory is another command, or a node that starts or stops.
                Err(failure) if failure.exit == Exit::TryLater && Instant::now() < until => {
                    tokio::time::sleep(run::LOOK_EVERY).await;
                }
                opened => return run::answer_once(opened?, request).await,
            }
        }
    }

    /// Prints the answer: the JSON document, or the words made from it.
    fn print(&self, value: &Value, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let text = if self.json {
            value.to_string()
        } else {
            words(value)
        };
        print(text.trim_end())
    }

    /// Asks, prints, done.
    async fn tell(
        &self,
        request: Request,
        words: impl FnOnce(&Value) -> String,
    ) -> Result<Exit, Failure> {
        let value = self.ask(request).await?;
        self.print(&value, words)?;
        Ok(Exit::Done)
    }
}

/// Asking makes no node: where none is, nothing is written.
fn holds_node(dir: &Path) -> Result<(), Failure> {
    match std::fs::metadata(dir.join(DATABASE)) {
        Ok(_file) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Failure::configuration(
            format!("{} 里没有节点:请用 --dir 指明状态目录", dir.display()),
        )),
        Err(error) => Err(unusable(dir, error)),
    }
}

/// A directory of other things is not turned into a node's.
fn own_or_new(dir: &Path) -> Result<(), Failure> {
    let ours = [DATABASE, FILE, "inbox", "lock"];
    match std::fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_none() || ours.iter().any(|name| dir.join(name).exists()) {
                return Ok(());
            }
            Err(Failure::configuration(format!(
                "{} 里有别的东西,不是节点的状态目录:请用 --dir 指明一个新目录",
                dir.display()
            )))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(dir, error)),
    }
}

fn unusable(dir: &Path, error: std::io::Error) -> Failure {
    let mut failure = error.at(dir);
    failure.exit = Exit::Configuration;
    failure
}

/// One line or more on standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::{stop, store::dir::Directory};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[tokio::test]
    async fn a_command_waits_for_the_node_that_is_just_starting() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            dir: dir.path().to_owned(),
            json: true,
            set: Vec::new(),
        };
        std::fs::write(dir.path().join(DATABASE), b"").unwrap();
        let _starting = Directory::lock(dir.path()).unwrap();
        let asked = context.ask(Request::Status);
        tokio::pin!(asked);
        let early = tokio::time::timeout(2 * run::LOOK_EVERY, &mut asked).await;
        assert!(early.is_err(), "it is not told that the directory is used");
        let (_stopper, stop) = stop::pair();
        let here = dir.path().to_owned();
        let answer = |_| async { Ok(json!({ "node": "n-1" })) };
        let _up = tokio::spawn(async move { control_socket::serve(&here, stop, answer).await });
        assert_eq!(asked.await.unwrap()["node"], "n-1");
    }

    #[test]
    fn a_directory_of_other_things_is_neither_asked_nor_turned_into_a_node() {
        let dir = std::env::temp_dir().join(format!("cuntong-cli-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(own_or_new(&dir).is_ok(), "an empty one may become a node");
        assert!(own_or_new(&dir.join("new")).is_ok());
        std::fs::write(dir.join("账本.xlsx"), b"").unwrap();
        assert_eq!(own_or_new(&dir).unwrap_err().exit, Exit::Configuration);
        assert_eq!(holds_node(&dir).unwrap_err().exit, Exit::Configuration);
        std::fs::write(dir.join(DATABASE), b"").unwrap();
        assert!(own_or_new(&dir).is_ok() && holds_node(&dir).is_ok());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_failure_is_one_document_too_with_the_code_of_the_rule() {
        let refused = Failure::from(cuntong_protocol::refusal::Refusal::NoSuchCase);
        let said = document(&refused);
        assert_eq!(said["error"]["exit"], 77);
        assert_eq!(said["error"]["code"], "R203");
    }

    #[test]
    fn scripts_may_write_options_before_and_after_the_command() {
        let before = Cli::try_parse_from(["cuntong", "--dir", "a", "--json", "status"]).unwrap();
        let after = Cli::try_parse_from(["cuntong", "status", "--json", "--dir", "a"]).unwrap();
        assert_eq!((before.dir, before.json), (after.dir, after.json));
    }
}
