//! Writes a workload: `generate --cases 1000 --seed 1 FOLDER`.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(
    about = "Writes realistic cases and a day's changes as JSON lines",
    version
)]
struct Args {
    folder: PathBuf,
    #[arg(long, default_value_t = 1_000)]
    cases: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let meta = benches::generate::write(&args.folder, args.seed, args.cases)?;
    println!("{}", serde_json::to_string(&meta)?);
    Ok(())
}
