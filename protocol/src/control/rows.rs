//! Rows of the registrar's CSV files, and what is wrong with them, told all at once.

use std::{collections::BTreeMap, fmt};

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RowError {
    /// Line of the file, the header being line 1; 0 when it is about the file.
    pub line: u64,
    /// Column by its header; empty when it is about the row.
    pub column: String,
    /// For the person at the desk.
    pub why: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "第 {} 行", self.line)?;
        }
        if !self.column.is_empty() {
            write!(f, "“{}”", self.column)?;
        }
        write!(f, "：{}", self.why)
    }
}

/// The largest CSV file that is read.
const CSV_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One row by column name, with its trimmed cells.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    cells: BTreeMap<String, String>,
}

impl Row {
    /// The cell; empty when the file has no such column.
    pub(super) fn get(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    pub(super) fn error(&self, column: &str, why: impl Into<String>) -> RowError {
        RowError {
            line: self.line,
            column: column.into(),
            why: why.into(),
        }
    }

    /// The value of a cell, as `read` understands it.
    pub(super) fn read<T>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, RowError> {
        read(self.get(column)).map_err(|why| self.error(column, why))
    }
}

/// The rows of a CSV text whose header has at least `columns`. A byte order mark at the start is
/// what spreadsheets write. Rows without any content are passed over.
pub(super) fn rows(csv: &str, columns: &[&str]) -> Result<Vec<Row>, Vec<RowError>> {
    let of_file = |why: String| {
        vec![RowError {
            line: 0,
            column: String::new(),
            why,
        }]
    };
    if csv.len() > CSV_BYTES_MAX {
        return Err(of_file("文件太大".into()));
    }
    // The reader counts lines one short after `\r\n`.
    let text = csv
        .strip_prefix('\u{feff}')
        .unwrap_or(csv)
        .replace("\r\n", "\n");
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|e| of_file(e.to_string()))?
        .clone();
    let missing: Vec<_> = columns
        .iter()
        .filter(|c| !header.iter().any(|h| h == **c))
        .copied()
        .collect();
    if !missing.is_empty() {
        return Err(of_file(format!("缺少列：{}", missing.join("、"))));
    }
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => rows.push(Row {
                line: record.position().map_or(0, csv::Position::line),
                cells: header
                    .iter()
                    .zip(record.iter())
                    .map(|(h, c)| (h.to_owned(), c.to_owned()))
                    .collect(),
            }),
            Err(e) => errors.push(RowError {
                line: e.position().map_or(0, csv::Position::line),
                column: String::new(),
                why: "列数与表头不同，或不是 UTF-8 文字".into(),
            }),
        }
    }
    if errors.is_empty() {
        Ok(rows)
    } else {
        Err(errors)
    }
}

/// Every value, or every error.
pub(super) fn all<T>(
    results: impl IntoIterator<Item = Result<T, RowError>>,
) -> Result<Vec<T>, Vec<RowError>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}
