//! The floor of a workload: `floor FOLDER`.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use benches::{floor::Floor, profile::Profile};
use clap::Parser;
use serde_json::json;

#[derive(Debug, Parser)]
#[command(about = "What must cross the line whoever speaks", version)]
struct Args {
    folder: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let rows = [
        ("b1", Floor::NOTHING),
        ("b2", Floor::day(&args.folder)?),
        ("b3", Floor::all(&args.folder)?),
    ];
    for (row, floor) in rows {
        for name in Profile::NAMES {
            let profile = Profile::named(name).context("a profile")?;
            let seconds = floor.seconds(&profile);
            println!(
                "{}",
                json!({ "row": row, "profile": name, "floor": floor, "bytes": floor.bytes(), "seconds": seconds })
            );
        }
    }
    Ok(())
}
