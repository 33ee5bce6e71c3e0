//! The emulator as a command. Lines on standard input: `hub COMMAND…` and `node COMMAND…` run a
//! command at that end and print what it says, `cut`, `join`, `block-udp`, `pass-udp`, `plug`,
//! `unplug`, `profile NAME`, `counters`, `reset`, `quit`.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::io::BufRead as _;

use anyhow::{Context as _, Result, bail};
use benches::{
    link::{Link, Side},
    profile::Profile,
    signals,
};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Two network namespaces joined by an emulated link", version)]
struct Args {
    #[arg(long, default_value = "village-512", value_parser = Profile::NAMES)]
    profile: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let profile = named(&args.profile)?.seeded(args.seed);
    signals::watch()?;
    let link = Link::start(&profile)?;
    let spaces = serde_json::json!({
        "hub": link.space(Side::Hub), "node": link.space(Side::Node), "profile": profile,
    });
    println!("{spaces}");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        if word == "quit" {
            break;
        }
        if let Err(error) = order(&link, word, words.collect()) {
            println!("{}", serde_json::json!({ "error": error.to_string() }));
        }
    }
    Ok(())
}

fn named(name: &str) -> Result<Profile> {
    Profile::named(name).with_context(|| format!("no profile {name}"))
}

fn order(link: &Link, word: &str, rest: Vec<&str>) -> Result<()> {
    match word {
        "hub" => at(link, Side::Hub, &rest)?,
        "node" => at(link, Side::Node, &rest)?,
        "cut" => link.cut(true),
        "join" => link.cut(false),
        "block-udp" => link.block_udp(true),
        "pass-udp" => link.block_udp(false),
        "plug" => link.plug(Side::Node, true)?,
        "unplug" => link.plug(Side::Node, false)?,
        "reset" => link.reset(),
        "profile" => link.set_profile(&named(rest.first().copied().unwrap_or_default())?),
        "counters" => println!("{}", serde_json::to_string(&link.counters())?),
        "" => {}
        other => bail!("what is {other}?"),
    }
    Ok(())
}

fn at(link: &Link, side: Side, words: &[&str]) -> Result<()> {
    let status = link.command_in(side).args(words).status()?;
    println!("{}", serde_json::json!({ "exit": status.code() }));
    Ok(())
}
