//! Rules of the tree that no compiler checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
}

/// Every tracked or new file that is not ignored, relative to the root.
fn files() -> Vec<PathBuf> {
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the tree");
    assert!(out.status.success(), "git ls-files failed");
    String::from_utf8(out.stdout)
        .expect("paths are UTF-8")
        .lines()
        .map(PathBuf::from)
        .filter(|p| root().join(p).is_file())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    files()
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .map(|p| {
            let text = read(&p);
            (p, text)
        })
        .collect()
}

/// The part of a source file before its inline test module.
fn production(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// The crates of the workspace, as cargo tells of them.
fn packages() -> Vec<serde_json::Value> {
    let out = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo tells its metadata");
    let metadata: serde_json::Value =
        serde_json::from_slice(&out.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn no_product_is_built_to_die_in_the_middle_of_a_message() {
    for package in packages() {
        let name = package["name"].as_str().expect("name");
        let default = &package["features"]["default"];
        assert!(default.is_null(), "{name} has default features: {default}");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let features = dependency["features"].as_array().expect("features");
            let deadly = features.iter().any(|f| f == "faults");
            assert!(!deadly || name == "cuntong-tests", "{name} asks for faults");
        }
    }
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("cuntong-protocol", &[][..]),
        ("cuntong-web", &["cuntong-protocol"][..]),
        ("cuntong-provisioning", &["cuntong-protocol"][..]),
        (
            "cuntong-node",
            &["cuntong-protocol", "cuntong-web", "cuntong-provisioning"][..],
        ),
        (
            "cuntong-tests",
            &[
                "cuntong-protocol",
                "cuntong-web",
                "cuntong-provisioning",
                "cuntong-node",
            ][..],
        ),
        (
            "cuntong-benches",
            &["cuntong-protocol", "cuntong-provisioning", "cuntong-node"][..],
        ),
    ]);
    let banned: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "cuntong-protocol",
            &[
                "tokio",
                "rusqlite",
                "quinn",
                "rustls",
                "getrandom",
                "rand",
                "axum",
            ][..],
        ),
        (
            "cuntong-web",
            &["rusqlite", "quinn", "rustls", "automerge"][..],
        ),
        (
            "cuntong-provisioning",
            &["rusqlite", "quinn", "axum", "tokio"][..],
        ),
    ]);
    let packages = packages();
    assert_eq!(
        packages.len(),
        allowed.len(),
        "a crate is missing from the drawing"
    );
    for package in &packages {
        let name = package["name"].as_str().expect("name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("name");
            if to.starts_with("cuntong-") {
                assert!(allowed[name].contains(&to), "{name} → {to} is not drawn");
            }
            let forbidden = banned.get(name).is_some_and(|list| list.contains(&to));
            let dev = dependency["kind"].as_str() == Some("dev");
            assert!(!forbidden || dev, "{name} must not use {to}");
        }
    }
}

#[test]
fn each_outside_power_has_one_home() {
    // What, and the folders or files of production code that may use it.
    let homes: [(&str, &[&str]); 5] = [
        ("quinn::", &["node/src/link"]),
        (
            "SystemTime::now",
            &["node/src/clock.rs", "provisioning/src/clock.rs"],
        ),
        ("std::time::Instant", &["node/src/clock.rs"]),
        ("clock_gettime", &["node/src/clock.rs"]),
        (
            "getrandom::",
            &[
                "node/src/clock.rs",
                "provisioning/src/entropy.rs",
                "web/src/sign_in.rs",
            ],
        ),
    ];
    for (path, text) in rust_files() {
        let name = path.to_string_lossy();
        if name.starts_with("tests/") || name.contains("/tests") || name.contains("/examples/") {
            continue;
        }
        for (power, places) in &homes {
            let used = production(&text).contains(power);
            let home = places.iter().any(|p| name.starts_with(p));
            assert!(!used || home, "{name} uses {power}; only {places:?} may");
        }
    }
}

#[test]
fn sql_is_written_under_the_store_only() {
    let words = [
        "SELECT ",
        "INSERT INTO",
        "UPDATE ",
        "DELETE FROM",
        "CREATE TABLE",
    ];
    for (path, text) in rust_files() {
        let name = path.to_string_lossy();
        let ours = name.starts_with("node/src/store") || name.starts_with("tests/");
        if ours || name.contains("/tests") {
            continue;
        }
        for word in words {
            assert!(
                !production(&text).contains(word),
                "{name} holds SQL ({word})"
            );
        }
    }
}

#[test]
fn no_file_grows_past_five_hundred_lines() {
    for path in files() {
        let kind = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if !["rs", "html", "js", "mjs", "py", "css", "sql"].contains(&kind) {
            continue;
        }
        let lines = read(&path).lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_unfinished_is_left_in_the_tree() {
    let leftovers = [
        "TODO",
        "FIXME",
        "XXX:",
        "todo!(",
        "unimplemented!(",
        "dbg!(",
    ];
    for (path, text) in rust_files() {
        if path.ends_with("tests/cases/tidy.rs") {
            continue;
        }
        for word in leftovers {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn every_file_of_tests_is_listed() {
    let main = read(Path::new("tests/cases/main.rs"));
    for path in files() {
        let name = path.to_string_lossy();
        let Some(file) = name
            .strip_prefix("tests/cases/")
            .and_then(|f| f.strip_suffix(".rs"))
        else {
            continue;
        };
        let forgotten =
            file != "main" && !file.contains('/') && !main.contains(&format!("mod {file};"));
        assert!(!forgotten, "tests/cases/{file}.rs is not listed in main.rs");
    }
}

#[test]
fn links_between_documents_resolve() {
    for path in files() {
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let text = read(&path);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            let at = root()
                .join(path.parent().unwrap_or_else(|| Path::new("")))
                .join(target);
            assert!(at.exists(), "{}: {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn the_manual_explains_every_refusal() {
    let source = read(Path::new("protocol/src/refusal.rs"));
    let manual = read(Path::new("docs/manual/zh/refusals.md"));
    let codes: BTreeSet<&str> = source
        .split('"')
        .filter(|s| {
            s.len() == 4 && s.starts_with('R') && s[1..].bytes().all(|b| b.is_ascii_digit())
        })
        .collect();
    assert!(codes.len() > 10, "refusal codes are read from the source");
    for code in codes {
        assert!(
            manual.contains(code),
            "docs/manual/zh/refusals.md has no entry for {code}"
        );
    }
}
