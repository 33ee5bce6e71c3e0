//! What of each kind of message crosses in a meeting of two prepared directories, in process and
//! without a line: `weigh HUB NODE`. The directories are changed by it.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::Path;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let dir = |n: usize| words.get(n).map(Path::new).context("HUB and NODE");
    println!("| way | message | count | bytes | on the stream |\n|---|---|---|---|---|");
    for ((way, name), weight) in benches::county::weigh(dir(0)?, dir(1)?)? {
        println!(
            "| {way} | {name} | {} | {} | {} |",
            weight.messages, weight.bytes, weight.framed
        );
    }
    Ok(())
}
