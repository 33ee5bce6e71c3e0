//! The registrar's calendar file: `kind,first,last`, where kind is `year`, `off` or `work`.

use jiff::civil::Date;

use super::{
    CalendarDoc,
    rows::{Row, RowError, rows},
};
use crate::calendar::Calendar;

/// Days one row may span.
const SPAN_DAYS_MAX: usize = 60;

/// The calendar a CSV text describes: a row `year,2026` for each year it covers wholly, and rows
/// `off` and `work` with the first and, if it is another, the last day.
///
/// # Errors
/// Every row that is wrong, in words; or what is wrong with the whole.
pub fn from_csv(csv: &str) -> Result<CalendarDoc, Vec<RowError>> {
    let mut doc = CalendarDoc::default();
    let mut errors = Vec::new();
    for row in rows(csv, &["kind", "first", "last"])? {
        if let Err(error) = read(&row, &mut doc) {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    doc.years.sort_unstable();
    doc.off.sort_unstable();
    doc.work.sort_unstable();
    match Calendar::new(&doc, 1) {
        Ok(_) => Ok(doc),
        Err(why) => Err(vec![RowError {
            line: 0,
            column: String::new(),
            why,
        }]),
    }
}

fn read(row: &Row, doc: &mut CalendarDoc) -> Result<(), RowError> {
    match row.get("kind") {
        "year" => {
            let year = row.read("first", |y| {
                y.parse().map_err(|_not_a_number| "不是年份".to_owned())
            })?;
            doc.years.push(year);
        }
        "off" => doc.off.extend(span(row)?),
        "work" => doc.work.extend(span(row)?),
        other => return Err(row.error("kind", format!("“{other}”应为 year、off 或 work"))),
    }
    Ok(())
}

fn span(row: &Row) -> Result<Vec<String>, RowError> {
    let day = |text: &str| -> Result<Date, String> {
        super::date(text).ok_or_else(|| "不是 yyyy-mm-dd 形式的日期".to_owned())
    };
    let first = row.read("first", day)?;
    let last = match row.get("last") {
        "" => first,
        _ => row.read("last", day)?,
    };
    let mut days = Vec::new();
    let mut at = first;
    while at <= last && days.len() < SPAN_DAYS_MAX {
        days.push(at.to_string());
        let Ok(next) = at.tomorrow() else { break };
        at = next;
    }
    if at <= last || days.is_empty() {
        return Err(row.error("last", "早于起始日，或一行跨度过长"));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::sample;

    #[test]
    fn the_sample_calendar_covers_three_years() {
        let doc = from_csv(sample::CALENDAR_CSV).unwrap();
        assert_eq!(doc.years, [2024, 2025, 2026]);
        assert!(doc.off.contains(&"2026-02-23".to_owned()));
        assert!(doc.work.contains(&"2026-02-28".to_owned()));
    }

    #[test]
    fn every_wrong_row_is_named_with_its_line() {
        let csv =
            "kind,first,last\nyear,2026,\noff,2026-02-30,\nwork,2026-05-09,2026-05-01\nrest,,\n";
        let errors = from_csv(csv).unwrap_err();
        let lines: Vec<_> = errors.iter().map(|e| (e.line, e.column.as_str())).collect();
        assert_eq!(lines, [(3, "first"), (4, "last"), (5, "kind")]);
    }

    #[test]
    fn a_day_outside_the_years_or_a_worked_weekday_is_refused() {
        assert!(from_csv("kind,first,last\nyear,2026,\noff,2027-01-01,\n").is_err());
        let errors = from_csv("kind,first,last\nyear,2026,\nwork,2026-03-02,\n").unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "：调休上班日 2026-03-02 不是周六或周日"
        );
    }

    #[test]
    fn a_file_from_a_spreadsheet_begins_with_a_mark_and_ends_with_empty_rows() {
        let csv = "\u{feff}kind,first,last\r\nyear,2026,\r\n,,\r\n";
        assert_eq!(from_csv(csv).unwrap().years, [2026]);
    }
}
