//! The command line: one file per command. Results go to standard output (one JSON document with
//! `--json`), talk to standard error.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde_json::json;

use cuntong_protocol::time::Millis;
use cuntong_provisioning::{
    County,
    clock::now,
    county::{CountyError, HashCost, RegistrarKeys},
    entropy::System,
    folder::{Folder, FolderError},
    sealed::{Passphrase, SealError, WORK_LOG2},
};

mod export;
mod grant;
mod init;
mod person;
mod place;
mod publish;
mod replace;
mod revoke;
mod roster;
mod ticket;

/// What stands on the command line.
#[derive(Parser)]
#[command(
    name = "cuntong-county",
    version,
    about,
    disable_help_subcommand = true
)]
struct Args {
    #[arg(long, global = true, default_value = "county", help = "县的状态目录")]
    dir: PathBuf,
    #[arg(long, global = true, help = "以一份 JSON 输出结果")]
    json: bool,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "从文件读登记员口令(第一行)"
    )]
    passphrase_file: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        hide = true,
        help = "口令和密钥文件只做很弱的保护:只用于样例和测试"
    )]
    fast_hash: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(about = "建立一个县:生成根密钥、登记员密钥和传输证书")]
    Init(init::Args),
    #[command(subcommand, about = "站点")]
    Place(place::Args),
    #[command(subcommand, about = "人员")]
    Person(person::Args),
    #[command(about = "发放入网票")]
    Ticket(ticket::Args),
    #[command(about = "批复入网申请")]
    Grant(grant::Args),
    #[command(subcommand, about = "名册")]
    Roster(roster::Args),
    #[command(about = "吊销一台机器")]
    Revoke(revoke::Args),
    #[command(about = "用另一台机器替换一台机器")]
    Replace(replace::Args),
    #[command(subcommand, about = "发布事项目录或工作日历")]
    Publish(publish::Args),
    #[command(about = "把全部控制文件写到一个目录(节点的 inbox 或优盘)")]
    Export(export::Args),
}

/// Runs one command; the exit code is 0 done, 1 failed, 2 usage, 3 some requests were refused, 77
/// not permitted, 78 no usable county there.
pub(crate) fn run() -> ExitCode {
    let args = Args::parse();
    let desk = Desk {
        dir: args.dir,
        json: args.json,
        passphrase_file: args.passphrase_file,
        fast: args.fast_hash,
    };
    let done = match args.command {
        Command::Init(args) => args.run(&desk),
        Command::Place(args) => args.run(&desk),
        Command::Person(args) => args.run(&desk),
        Command::Ticket(args) => args.run(&desk),
        Command::Grant(args) => args.run(&desk),
        Command::Roster(args) => args.run(&desk),
        Command::Revoke(args) => args.run(&desk),
        Command::Replace(args) => args.run(&desk),
        Command::Publish(args) => args.run(&desk),
        Command::Export(args) => args.run(&desk),
    };
    match done.and_then(|said| desk.say(&said).map(|()| said.partly)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(Failure::PARTLY),
        Err(failure) => {
            let message = format!("{:#}", failure.error);
            talk(&message);
            let document = json!({"error": {"exit": failure.code, "message": message}});
            if desk.json && desk.say(&Said::new(document, "")).is_err() {
                talk("结果无法输出");
            }
            ExitCode::from(failure.code)
        }
    }
}

/// What a command has to tell.
struct Said {
    json: serde_json::Value,
    text: String,
    /// Some of what was asked was refused.
    partly: bool,
}

impl Said {
    fn new(json: serde_json::Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
            partly: false,
        }
    }
}

/// What went wrong, and the exit code it means.
struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl Failure {
    const FAILED: u8 = 1;
    const USAGE: u8 = 2;
    const PARTLY: u8 = 3;
    const NOT_PERMITTED: u8 = 77;
    const CONFIGURATION: u8 = 78;

    fn usage(why: &str) -> Self {
        Self {
            error: anyhow::anyhow!("{why}"),
            code: Self::USAGE,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            code: Self::FAILED,
        }
    }
}

impl From<CountyError> for Failure {
    fn from(error: CountyError) -> Self {
        let code = match &error {
            CountyError::Refused(_) | CountyError::NotRegistrar => Self::NOT_PERMITTED,
            CountyError::Trust(_)
            | CountyError::Keeping(_)
            | CountyError::Certificate(_)
            | CountyError::Seal(_)
            | CountyError::Ticket(_)
            | CountyError::Person(_)
            | CountyError::Rows(_)
            | CountyError::NoSuchPlace(_)
            | CountyError::NoSuchNode(_)
            | CountyError::AlreadyLeft(_) => Self::FAILED,
        };
        Self {
            error: error.into(),
            code,
        }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let code = match error {
            FolderError::County(error) => return error.into(),
            FolderError::Seal(SealError::WrongPassphrase) => Self::NOT_PERMITTED,
            FolderError::Io { .. } | FolderError::Busy(_) => Self::FAILED,
            FolderError::Exists(_)
            | FolderError::Missing(_)
            | FolderError::Damaged(_)
            | FolderError::Trust(_)
            | FolderError::Seal(_) => Self::CONFIGURATION,
        };
        Self {
            error: error.into(),
            code,
        }
    }
}

type Done = Result<Said, Failure>;

/// What every command has: the directory, the passphrase, the ways to talk.
struct Desk {
    dir: PathBuf,
    json: bool,
    passphrase_file: Option<PathBuf>,
    fast: bool,
}

impl Desk {
    const fn cost(&self) -> HashCost {
        if self.fast {
            HashCost::SAMPLE
        } else {
            HashCost::FULL
        }
    }

    const fn work_log2(&self) -> u8 {
        if self.fast { 4 } else { WORK_LOG2 }
    }

    /// Takes hold of the county's directory, after the command that holds it now: each is short,
    /// because passphrases are asked for before.
    fn folder(&self) -> Result<Folder, Failure> {
        self.founded()?;
        match Folder::hold(&self.dir) {
            Err(FolderError::Busy(_)) => {
                talk("等待另一条命令结束 …");
                Ok(Folder::hold_in_turn(&self.dir)?)
            }
            held => Ok(held?),
        }
    }

    /// A directory that is none of ours is not turned into one.
    fn founded(&self) -> Result<(), Failure> {
        if self.dir.join("keys").is_dir() {
            Ok(())
        } else {
            Err(FolderError::Missing(self.dir.clone()).into())
        }
    }

    /// Opens the desk for a command that signs; asks for the registrar's passphrase.
    fn open(&self) -> Result<(Folder, County), Failure> {
        self.founded()?;
        let passphrase = self.passphrase("登记员口令: ")?;
        let folder = self.folder()?;
        folder.trust()?;
        let county = folder.county(folder.keys(&passphrase)?, self.cost())?;
        Ok((folder, county))
    }

    /// The registrar's keys, for a command that opens the desk again and again.
    fn keys(&self) -> Result<RegistrarKeys, Failure> {
        self.founded()?;
        let passphrase = self.passphrase("登记员口令: ")?;
        Ok(self.folder()?.keys(&passphrase)?)
    }

    /// The registrar's passphrase: from the file, or typed without echo.
    fn passphrase(&self, prompt: &str) -> Result<Passphrase, Failure> {
        match &self.passphrase_file {
            Some(path) => passphrase_from(path),
            None => typed(prompt),
        }
    }

    fn say(&self, said: &Said) -> Result<(), Failure> {
        let text = if self.json {
            said.json.to_string()
        } else {
            said.text.trim_end().to_owned()
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(|e| Failure::from(anyhow::Error::from(e)))
    }
}

fn passphrase_from(path: &std::path::Path) -> Result<Passphrase, Failure> {
    let bytes = zeroize::Zeroizing::new(cuntong_provisioning::folder::read(path)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_not_text| Failure::usage("口令文件不是 UTF-8 文本"))?;
    let first = Passphrase::new(text.lines().next().unwrap_or_default());
    if first.is_empty() {
        return Err(Failure::usage("口令文件是空的"));
    }
    Ok(first)
}

fn typed(prompt: &str) -> Result<Passphrase, Failure> {
    let typed = rpassword::prompt_password(prompt)
        .map(zeroize::Zeroizing::new)
        .map_err(|_no_terminal| {
            Failure::usage("没有终端可输入口令:请用 --passphrase-file 指定口令文件")
        })?;
    let passphrase = Passphrase::new(&typed);
    if passphrase.is_empty() {
        return Err(Failure::usage("口令不能为空"));
    }
    Ok(passphrase)
}

/// A line for the person at the terminal; never part of the result.
fn talk(line: &str) {
    // Nobody may be listening; that is no failure of the command.
    writeln!(io::stderr(), "{line}").ok();
}

/// A moment for people, in China's time.
fn moment(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|t| t.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))))
        .map_or_else(
            |_| at.0.to_string(),
            |t| t.strftime("%Y-%m-%d %H:%M").to_string(),
        )
}
