//! `docs/formats/documents.md` says what the code does: its tables are compared with the types.

use std::{collections::BTreeSet, fs, path::Path};

use cuntong_protocol::{
    act::ActKind,
    control::ControlKind,
    fields,
    id::Kind,
    limits,
    policy::table::{From, ROWS, Row, When},
    state::State,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn document() -> String {
    read("docs/formats/documents.md")
}

/// The cells of every table row whose first cell is that, in code marks.
fn rows_of(text: &str, first: &str) -> Vec<Vec<String>> {
    let start = format!("| `{first}` |");
    text.lines()
        .filter(|line| line.starts_with(&start))
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The table line of a rule, as the document has it.
fn line(row: &Row) -> String {
    let words = |all: Vec<&str>| all.join(", ");
    let when = match row.when {
        When::Always => "",
        When::Gaps => " with gaps",
        When::NoGaps => " without gaps",
        When::Granted => " granted",
        When::NotGranted => " not granted",
    };
    let from = match row.from {
        From::New => "–".to_owned(),
        From::Any => "any".to_owned(),
        From::States(all) => words(all.iter().map(|s| s.word()).collect()),
    };
    let guards: Vec<_> = row.guards.iter().map(|g| format!("{g:?}")).collect();
    format!(
        "| {} | `{}`{when} | {} | {from} | {} | {} | {:?} | {} |",
        row.number,
        row.act.word(),
        words(row.sides.iter().map(|k| k.word()).collect()),
        row.to.map_or("stays", State::word),
        words(row.roles.iter().map(|r| r.word()).collect()),
        row.power,
        guards.join(", "),
    )
}

#[test]
fn the_documented_transitions_are_those_of_the_table() {
    let text = document();
    let documented: BTreeSet<_> = text
        .lines()
        .skip_while(|l| *l != "## Transitions")
        .skip(1)
        .take_while(|l| !l.starts_with("## "))
        .filter(|l| l.starts_with("| ") && l[2..].starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    let real: BTreeSet<_> = ROWS.iter().map(line).collect();
    let missing: Vec<_> = real.difference(&documented).cloned().collect();
    let stray: Vec<_> = documented.difference(&real).cloned().collect();
    assert!(
        missing.is_empty() && stray.is_empty(),
        "missing:\n{}\nnot in the code:\n{}",
        missing.join("\n"),
        stray.join("\n")
    );
}

#[test]
fn every_kind_of_act_document_and_control_document_has_its_row() {
    let text = document();
    for kind in ActKind::ALL {
        assert_eq!(rows_of(&text, kind.word()).len(), 1, "act {}", kind.word());
    }
    for kind in Kind::ALL {
        let rows = rows_of(&text, kind.word());
        let code = rows.first().and_then(|cells| cells.get(2).cloned());
        assert_eq!(code, Some(kind.code().to_string()), "kind {}", kind.word());
    }
    for kind in ControlKind::ALL {
        assert_eq!(
            rows_of(&text, kind.word()).len(),
            1,
            "control {}",
            kind.word()
        );
    }
    for state in State::ALL {
        assert_eq!(
            rows_of(&text, state.word()).len(),
            1,
            "state {}",
            state.word()
        );
    }
    for (name, zh) in fields::LABELS {
        let rows = rows_of(&text, name);
        assert!(
            rows.iter().any(|r| r.contains(&zh.to_owned())),
            "field {name} {zh}"
        );
    }
    for rule in rule_codes() {
        assert_eq!(rows_of(&text, &rule).len(), 1, "rule {rule}");
    }
}

/// Every code of a refusal that a peer may be sent, read off the sources.
fn rule_codes() -> BTreeSet<String> {
    let files = [
        "protocol/src/gate/rule.rs",
        "protocol/src/policy/admit.rs",
        "protocol/src/sync/flow.rs",
    ];
    let is_code =
        |s: &str| s.len() == 4 && s.starts_with('G') && s[1..].bytes().all(|b| b.is_ascii_digit());
    let texts: Vec<_> = files.iter().map(|f| read(f)).collect();
    let codes: BTreeSet<_> = texts
        .iter()
        .flat_map(|t| t.split('"'))
        .filter(|s| is_code(s))
        .map(str::to_owned)
        .collect();
    assert!(codes.len() > 40, "codes are read from the sources");
    codes
}

#[test]
fn the_number_of_every_act_is_that_of_its_row() {
    // `#[n(3)]\n    Withdraw(` in the source, `| `withdraw` | 3 |` in the document.
    let source = read("protocol/src/act.rs");
    let body = source.split("pub enum ActBody {").nth(1).expect("the enum");
    let body = body.split("\n}").next().expect("its end");
    let text = document();
    let mut numbers = 0;
    for part in body.split("#[n(").skip(1) {
        let Some((number, rest)) = part.split_once(")]\n    ") else {
            continue;
        };
        let name = rest
            .split('(')
            .next()
            .expect("a variant")
            .to_ascii_lowercase();
        let rows = rows_of(&text, &name);
        assert_eq!(rows[0][2], number, "act {name}");
        numbers += 1;
    }
    assert_eq!(numbers, ActKind::ALL.len());
}

/// `(number, name)` of the numbered fields of every struct of a source file.
fn structs(source: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all = Vec::new();
    for part in source.split("\npub struct ").skip(1) {
        let Some((name, rest)) = part.split_once(" {\n") else {
            continue;
        };
        let body = rest.split("\n}").next().unwrap_or_default();
        let mut fields = Vec::new();
        for numbered in body.split("n(").skip(1) {
            let Some((number, rest)) = numbered.split_once(')') else {
                continue;
            };
            let Some(field) = rest.split("pub ").nth(1).and_then(|f| f.split(':').next()) else {
                continue;
            };
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
                fields.push((number.to_owned(), field.to_owned()));
            }
        }
        if name.bytes().all(|b| b.is_ascii_alphanumeric()) && !fields.is_empty() {
            all.push((name.to_owned(), fields));
        }
    }
    all
}

#[test]
fn every_numbered_field_stands_in_the_document_with_its_number() {
    let text = document();
    let mut seen = 0;
    for file in [
        "protocol/src/act.rs",
        "protocol/src/act/attachment.rs",
        "protocol/src/control.rs",
        "protocol/src/control/catalogue.rs",
        "protocol/src/control/signed.rs",
    ] {
        for (name, fields) in structs(&read(file)) {
            let rows = rows_of(&text, &name);
            assert_eq!(rows.len(), 1, "{file}: {name} has no row");
            let row = rows[0].join(" ");
            for (number, field) in &fields {
                let item = format!("{number} `{field}`");
                assert!(row.contains(&item), "{file}: {name} lacks {item}");
            }
            assert_eq!(
                row.split(" · ").count(),
                fields.len(),
                "{name} has other fields"
            );
            seen += fields.len();
        }
    }
    assert!(seen > 100, "the sources are read: {seen}");
}

#[test]
fn the_limits_in_the_document_are_those_of_the_code() {
    let text = document();
    for (name, value) in [
        ("CHANGE_BYTES_MAX", limits::CHANGE_BYTES_MAX as u64),
        ("CHANGE_OPS_MAX", limits::CHANGE_OPS_MAX),
        ("CHANGE_DEPS_MAX", limits::CHANGE_DEPS_MAX),
        ("CHANGE_ACTORS_MAX", limits::CHANGE_ACTORS_MAX),
        ("DOCUMENT_BYTES_MAX", limits::DOCUMENT_BYTES_MAX as u64),
        ("DOCUMENT_CHANGES_MAX", limits::DOCUMENT_CHANGES_MAX),
        ("DOCUMENT_ACTS_MAX", limits::DOCUMENT_ACTS_MAX as u64),
        ("ACT_BYTES_MAX", limits::ACT_BYTES_MAX as u64),
        ("FIELD_BYTES_MAX", limits::FIELD_BYTES_MAX as u64),
        ("FIELD_NAME_BYTES_MAX", limits::FIELD_NAME_BYTES_MAX as u64),
        ("NOTICE_BYTES_MAX", limits::NOTICE_BYTES_MAX as u64),
        ("ATTACHMENT_BYTES_MAX", limits::ATTACHMENT_BYTES_MAX),
        ("THUMBNAIL_BYTES_MAX", limits::THUMBNAIL_BYTES_MAX),
        ("CASE_ATTACHMENTS_MAX", limits::CASE_ATTACHMENTS_MAX as u64),
        ("CONTROL_BYTES_MAX", limits::CONTROL_BYTES_MAX as u64),
        (
            "CONTROL_SIGNATURES_MAX",
            limits::CONTROL_SIGNATURES_MAX as u64,
        ),
        ("CONTROL_VERSION_JUMP_MAX", limits::CONTROL_VERSION_JUMP_MAX),
        ("CLOCK_DOUBT_MS", limits::CLOCK_DOUBT_MS.unsigned_abs()),
    ] {
        let rows = rows_of(&text, name);
        assert_eq!(rows.len(), 1, "{name}");
        assert_eq!(rows[0][2].replace(' ', ""), value.to_string(), "{name}");
    }
}
