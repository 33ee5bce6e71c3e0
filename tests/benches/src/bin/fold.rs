//! What folding changes into their documents saves and costs: `fold STATE`, a node's prepared directory.
//! The directory is folded by it. Bytes of the database are those of pages in use.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use cuntong_node::{
    clock::{self, Clock},
    store::{Db, Store, StoreError},
    view,
};
use cuntong_protocol::time::Millis;
use serde_json::json;

/// Documents in one turn of the writer, as a running node does it.
const DOCUMENTS: u32 = 16;

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.context("the directory of a node")?;
    let now = Clock::system(None).now();
    let store = Store::open(&dir, now, clock::random(), &view::ROWS, 1)?;
    let before = used(&store)?;
    let (entries, told_in) = tell(&store)?;
    let began = Instant::now();
    let (mut folded, mut bytes, mut longest) = (0, 0, 0.0_f64);
    let mut reached = None;
    loop {
        let turn = Instant::now();
        let step = store.write(move |db| db.fold_bodies(reached, Millis(i64::MAX), DOCUMENTS))?;
        longest = longest.max(turn.elapsed().as_secs_f64());
        folded += step.entries;
        bytes += step.bytes;
        reached = step.reached;
        if reached.is_none() {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let (_same, told_after_in) = tell(&store)?;
    let after = used(&store)?;
    store.close()?;
    println!(
        "{}",
        json!({
            "entries": entries,
            "folded": folded,
            "folded_bytes": bytes,
            "fold_s": took,
            "longest_turn_s": longest,
            "database_before": before,
            "database_after": after,
            "tell_all_s": told_in,
            "tell_all_folded_s": told_after_in,
        })
    );
    Ok(())
}

/// Reads every entry as it is told to others: how many, and the seconds it took.
fn tell(store: &Store) -> Result<(usize, f64)> {
    let began = Instant::now();
    let count = store.read(|db: &Db| {
        let mut count = 0;
        for log in db.whole_vector()?.keys() {
            let mut after = 0;
            while let Some(batch) = db.batch(log, after)? {
                count += batch.entries.len();
                after = batch.last();
            }
        }
        Ok::<_, StoreError>(count)
    })?;
    Ok((count, began.elapsed().as_secs_f64()))
}

/// Bytes of the pages in use.
fn used(store: &Store) -> Result<u64> {
    let pages = store.read(|db: &Db| {
        let number = |name| {
            db.connection()
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let pages = number("page_count")? - number("freelist_count")?;
        Ok::<_, StoreError>((pages * number("page_size")?).unsigned_abs())
    })?;
    Ok(pages)
}
