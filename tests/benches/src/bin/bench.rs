//! Runs rows of the benchmark: `bench b1 --cases 1000 --profile village-512 --runs 3`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports"
)]

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use benches::{
    attached,
    peer::Peer,
    plan::{Cuts, Plan},
    profile::Profile,
    relay,
    runner::{self, Meeting},
    setback::{self, Mishap},
    signals, standing,
    table::{self, Out},
};
use clap::Parser;

/// Links a row runs over when none is named.
const LINKS: [&str; 3] = ["village-512", "village-128", "plain"];

/// A row of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Row {
    /// Nothing changed since the last meeting
    B1,
    /// A day offline on both sides
    B2,
    /// The first meeting of an empty node
    B3,
    /// One change over a connection that is open
    Warm,
    /// Nothing changed: somebody asks over a connection that is open
    Asked,
    /// Nothing changed since the session that just ended
    Resumed,
    /// The node's state is a day older than it was, and both ends went on
    B4Restored,
    /// The node's folder runs on a second machine too
    B4Cloned,
    /// So it does, and the machines cannot be told apart
    B4Twin,
    /// A hub at rest, and after sessions
    B6,
    /// A township between, whose line to the county is out for a while
    B8,
    /// An attached file, and cases logged meanwhile
    B10,
}

#[derive(Debug, Parser)]
#[command(
    about = "Measures meetings of a hub and a node over an emulated link",
    version
)]
struct Args {
    #[arg(required = true)]
    rows: Vec<Row>,
    #[arg(long, default_values_t = [1_000])]
    cases: Vec<u64>,
    #[arg(long, default_values_t = LINKS.map(str::to_owned), value_parser = Profile::NAMES)]
    profile: Vec<String>,
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// `cuntong`, or a folder under tests/peers
    #[arg(long, default_value = "cuntong")]
    peer: Vec<String>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cut the line at every so many seconds
    #[arg(long)]
    cut_every: Option<u64>,
    /// How long each cut lasts, seconds
    #[arg(long, default_value_t = 3)]
    cut_for: u64,
    /// Size of the attached file of b10
    #[arg(long, default_value_t = 20)]
    megabytes: u64,
    /// Sessions a hub of b6 has before its memory is looked at again
    #[arg(long, default_value_t = 100)]
    sessions: u32,
    /// Workloads and prepared directories are kept here
    #[arg(long, default_value = "target/bench")]
    scratch: PathBuf,
    /// Each run is appended here as one line of JSON
    #[arg(long, default_value = "bench.jsonl")]
    out: PathBuf,
    /// Each packet is appended here as one line of JSON: direction, time, bytes, protocol, first byte
    #[arg(long)]
    trace: Option<PathBuf>,
    /// The product; default: beside this executable
    #[arg(long)]
    cuntong: Option<PathBuf>,
    #[arg(long, default_value = "tests/peers")]
    peers: PathBuf,
}

impl Args {
    fn plan(&self, cases: u64, profile: &str, name: &str) -> Result<Plan> {
        let beside = std::env::current_exe()?.with_file_name("cuntong");
        let executable = self.cuntong.clone().unwrap_or(beside);
        Ok(Plan {
            name: name.to_owned(),
            peer: Peer::named(name, &executable, &self.peers)?,
            cases,
            seed: self.seed,
            profile: Profile::named(profile).context("a profile")?,
            runs: self.runs,
            cuts: self.cut_every.map(|every| Cuts {
                every,
                lasting: self.cut_for,
            }),
            trace: self.trace.clone(),
            scratch: std::fs::canonicalize(&self.scratch)?,
            megabytes: self.megabytes,
            sessions: self.sessions,
        })
    }
}

impl Row {
    const fn header(self) -> &'static str {
        match self {
            Self::B1 | Self::B2 | Self::B3 | Self::Warm | Self::Asked | Self::Resumed => {
                table::HEADER
            }
            Self::B4Restored | Self::B4Cloned | Self::B4Twin => setback::HEADER,
            Self::B6 => standing::HEADER,
            Self::B8 => relay::HEADER,
            Self::B10 => attached::HEADER,
        }
    }

    /// The lines of its table.
    fn run(self, plan: &Plan, out: &mut Out) -> Result<Vec<String>> {
        let mut met = |meeting| Ok(vec![table::line(&runner::run(meeting, plan, out)?)]);
        match self {
            Self::B1 => met(Meeting::B1),
            Self::B2 => met(Meeting::B2),
            Self::B3 => met(Meeting::B3),
            Self::Warm => met(Meeting::Warm),
            Self::Asked => met(Meeting::Asked),
            Self::Resumed => met(Meeting::Resumed),
            Self::B4Restored => setback(Mishap::Restored, plan, out),
            Self::B4Cloned => setback(Mishap::Cloned, plan, out),
            Self::B4Twin => setback(Mishap::Twin, plan, out),
            Self::B6 => Ok(vec![standing::line(&standing::run(plan, out)?)]),
            Self::B8 => {
                let rows = relay::run(plan, out)?;
                Ok(rows.iter().map(|runs| relay::line(runs)).collect())
            }
            Self::B10 => Ok(vec![attached::line(&attached::run(plan, out)?)]),
        }
    }
}

fn setback(mishap: Mishap, plan: &Plan, out: &mut Out) -> Result<Vec<String>> {
    Ok(vec![setback::line(&setback::run(mishap, plan, out)?)])
}

fn main() -> Result<()> {
    let args = Args::parse();
    signals::watch()?;
    std::fs::create_dir_all(&args.scratch)?;
    let mut out = Out::append(&args.out)?;
    let mut header = "";
    for row in &args.rows {
        if row.header() != header {
            header = row.header();
            println!("{header}");
        }
        for cases in &args.cases {
            for profile in &args.profile {
                for name in &args.peer {
                    let plan = args.plan(*cases, profile, name)?;
                    match row.run(&plan, &mut out) {
                        Ok(lines) => println!("{}", lines.join("\n")),
                        Err(error) => eprintln!("{row:?} {name} {cases} {profile}: {error:#}"),
                    }
                }
            }
        }
    }
    Ok(())
}
