//! Sample data: what a new county begins with, the demonstration runs on and tests use.

/// 47 service items with codes that no national code begins with.
pub const ITEMS_CSV: &str = include_str!("../../testdata/items.csv");

/// Days off and make-up working days of 2024 to 2026, from the State Council's notices.
pub const CALENDAR_CSV: &str = include_str!("../../testdata/calendar.csv");
