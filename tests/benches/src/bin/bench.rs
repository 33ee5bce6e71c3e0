//! Runs rows of the benchmark: `bench b1 --cases 1000 --profile village-512 --runs 3`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports"
)]

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use benches::{
    peer::Peer,
    profile::Profile,
    runner::{self, Plan, Row},
    signals, table,
};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(
    about = "Measures meetings of a hub and a node over an emulated link",
    version
)]
struct Args {
    /// b1 unchanged, b2 a day offline, b3 first meeting, warm one change, resumed nothing after a session
    #[arg(required = true)]
    rows: Vec<Row>,
    #[arg(long, default_values_t = [1_000])]
    cases: Vec<u64>,
    #[arg(long, default_values_t = Profile::NAMES.map(str::to_owned), value_parser = Profile::NAMES)]
    profile: Vec<String>,
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// `cuntong`, or a folder under tests/peers
    #[arg(long, default_value = "cuntong")]
    peer: Vec<String>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cut the line for three seconds at every so many seconds
    #[arg(long)]
    cut_every: Option<u64>,
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

fn main() -> Result<()> {
    let args = Args::parse();
    signals::watch()?;
    let beside = std::env::current_exe()?.with_file_name("cuntong");
    let executable = args.cuntong.clone().unwrap_or(beside);
    std::fs::create_dir_all(&args.scratch)?;
    let mut out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&args.out)?;
    println!("{}", table::HEADER);
    for row in &args.rows {
        for cases in &args.cases {
            for profile in &args.profile {
                for name in &args.peer {
                    let plan = Plan {
                        row: *row,
                        name: name.clone(),
                        peer: Peer::named(name, &executable, &args.peers)?,
                        cases: *cases,
                        seed: args.seed,
                        profile: Profile::named(profile).context("a profile")?,
                        runs: args.runs,
                        cut_every: args.cut_every,
                        trace: args.trace.clone(),
                        scratch: std::fs::canonicalize(&args.scratch)?,
                    };
                    let runs = runner::run(&plan, &mut |run| {
                        serde_json::to_writer(&mut out, run)?;
                        Ok(out.write_all(b"\n")?)
                    });
                    match runs {
                        Ok(runs) => println!("{}", table::line(&runs)),
                        Err(error) => eprintln!("{row:?} {name} {cases} {profile}: {error:#}"),
                    }
                }
            }
        }
    }
    Ok(())
}
