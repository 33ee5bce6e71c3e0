//! samod as a hub and a node: one document a case, and one that lists the others.

mod documents;
mod repo;

use std::{collections::HashMap, error::Error, io::Write as _, path::Path};

type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Res<()> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let mut given = HashMap::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        given.insert(name.trim_start_matches("--").to_owned(), value);
    }
    let need = |name: &str| -> Res<String> {
        given
            .get(name)
            .cloned()
            .ok_or_else(|| format!("--{name} is missing").into())
    };
    match verb.as_str() {
        "prepare" => {
            let folders = [need("hub")?, need("node")?];
            documents::fill(Path::new(&need("work")?), &folders).await
        }
        "prepare-empty" => {
            std::fs::create_dir_all(need("node")?)?;
            documents::fill(Path::new(&need("work")?), &[need("hub")?]).await
        }
        "apply" => {
            let work = need("work")?;
            repo::apply(&Path::new(&work).join("up.jsonl"), &need("node")?).await?;
            repo::apply(&Path::new(&work).join("down.jsonl"), &need("hub")?).await
        }
        "serve" => repo::serve(&need("hub")?, &need("listen")?).await,
        "sync" => {
            repo::sync(&need("node")?, &need("connect")?).await?;
            say("{\"ok\":true}")
        }
        "read" => repo::read(&need("dir")?, &need("ids")?).await,
        other => Err(format!("unknown verb: {other}").into()),
    }
}

/// Prints one line and lets it go at once.
fn say(line: &str) -> Res<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
