//! Civil days and working days (工作日). The calendar is data from the county; this is only
//! arithmetic over it. Rules: Civil Code 201–204, Administrative Licensing Law 82: the day of the
//! event is not counted; permit limits are working days; a period of calendar days that ends on
//! a day off ends on the next working day.

use std::collections::BTreeSet;

use jiff::{
    Span,
    civil::{Date, Weekday, date},
};

use crate::{case::Due, control::CalendarDoc, time::Millis};

/// No limit or period is followed further than a hundred years: a wrong clock may have written
/// any date, and nobody waits for a count of ten thousand years.
const FOLLOWED_DAYS_MAX: u32 = 36_600;
const DAY_MS: i64 = 24 * 3_600 * 1000;
/// China keeps one time, UTC+8, without summer time.
const ZONE_MS: i64 = 8 * 3_600 * 1000;

/// The civil day of a moment, in UTC+8 whatever the machine's zone. Moments outside the years
/// −9999 to 9999 give the first or last day of them.
pub fn civil_day(at: Millis) -> Date {
    let days = at.0.saturating_add(ZONE_MS).div_euclid(DAY_MS);
    let end = if days < 0 { Date::MIN } else { Date::MAX };
    let days = i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
    days_after(date(1970, 1, 1), i64::from(days)).unwrap_or(end)
}

/// The first moment of a civil day in UTC+8.
pub fn day_begins(day: Date) -> Millis {
    let since = date(1970, 1, 1)
        .until(day)
        .map_or(0, |span| i64::from(span.get_days()));
    Millis(since * DAY_MS - ZONE_MS)
}

/// A working-day calendar in one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    version: u64,
    years: BTreeSet<i16>,
    off: BTreeSet<Date>,
    work: BTreeSet<Date>,
}

/// A stretch in which the clock stood still (停计时): the days after `from`, up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    pub from: Date,
    pub to: Date,
}

impl Suspension {
    fn covers(&self, day: Date) -> bool {
        self.from < day && day <= self.to
    }
}

impl Calendar {
    /// The calendar of a signed document.
    ///
    /// # Errors
    /// In words: a date that is none or lies outside the covered years, the same day twice, a
    /// make-up day that is not on a weekend or is a day off too.
    pub fn new(doc: &CalendarDoc, version: u64) -> Result<Self, String> {
        let mut years = BTreeSet::new();
        for year in &doc.years {
            let known = i16::try_from(*year)
                .ok()
                .filter(|y| (1980..=2200).contains(y));
            let year = known.ok_or_else(|| format!("年份 {year} 不在 1980 至 2200 之间"))?;
            if !years.insert(year) {
                return Err(format!("年份 {year} 写了两次"));
            }
        }
        let off = days(&doc.off, &years)?;
        let work = days(&doc.work, &years)?;
        for day in &work {
            if !is_weekend(*day) {
                return Err(format!("调休上班日 {day} 不是周六或周日"));
            }
            if off.contains(day) {
                return Err(format!("{day} 既是放假日又是上班日"));
            }
        }
        Ok(Self {
            version,
            years,
            off,
            work,
        })
    }

    /// The version of the document it came from; 0 when there is none yet.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The last year that is wholly covered.
    pub fn last_year(&self) -> Option<i16> {
        self.years.last().copied()
    }

    /// Whether a day is worked; `None` when its year is not covered.
    pub fn is_workday(&self, day: Date) -> Option<bool> {
        self.years.contains(&day.year()).then(|| self.works(day))
    }

    /// Whether a day is worked, taking Monday to Friday where nothing is known.
    fn works(&self, day: Date) -> bool {
        self.work.contains(&day) || !(is_weekend(day) || self.off.contains(&day))
    }

    /// The last day of a limit of `days` working days that starts on `start`, which is not
    /// counted. A limit of none ends on `start`.
    pub fn add_workdays(&self, start: Date, days: u32) -> Due {
        self.add_workdays_without(start, days, &[])
    }

    /// As [`Calendar::add_workdays`], not counting working days of suspensions. Suspensions may
    /// overlap; one that begins after the limit has passed does not bring it back.
    pub fn add_workdays_without(&self, start: Date, days: u32, stopped: &[Suspension]) -> Due {
        let mut due = self.due(start, false);
        let mut left = days.min(FOLLOWED_DAYS_MAX);
        while left > 0 {
            let Ok(next) = due.date.tomorrow() else { break };
            due.date = next;
            due.provisional |= !self.years.contains(&next.year());
            if self.works(next) && !stopped.iter().any(|s| s.covers(next)) {
                left -= 1;
            }
        }
        due
    }

    /// Working days after `start`, up to and with `end`; 0 when `end` is not later. Where the
    /// calendar covers nothing, Monday to Friday count; no more than a hundred years are counted.
    pub fn workdays_between(&self, start: Date, end: Date) -> u32 {
        self.elapsed(start, end, &[])
    }

    /// Working days used: those after `start`, up to and with `end`, outside suspensions.
    pub fn elapsed(&self, start: Date, end: Date, stopped: &[Suspension]) -> u32 {
        let mut used = 0;
        let mut day = start;
        for _followed in 0..FOLLOWED_DAYS_MAX {
            if day >= end {
                break;
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
            if self.works(day) && !stopped.iter().any(|s| s.covers(day)) {
                used += 1;
            }
        }
        used
    }

    /// The last day of a period of `days` calendar days that starts on `start`, which is not
    /// counted; with `roll_forward`, a last day off moves to the next working day.
    pub fn calendar_period(&self, start: Date, days: u32, roll_forward: bool) -> Due {
        let last = days_after(start, i64::from(days)).unwrap_or(Date::MAX);
        let mut due = self.due(last, false);
        if !roll_forward {
            return due;
        }
        due.provisional = !self.years.contains(&due.date.year());
        while !self.works(due.date) {
            let Ok(next) = due.date.tomorrow() else { break };
            due.date = next;
            due.provisional |= !self.years.contains(&next.year());
        }
        due
    }

    fn due(&self, date: Date, provisional: bool) -> Due {
        Due {
            date,
            provisional,
            calendar_version: self.version,
        }
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn days_after(day: Date, days: i64) -> Option<Date> {
    day.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// The days of a list, each once and within covered years.
fn days(list: &[String], years: &BTreeSet<i16>) -> Result<BTreeSet<Date>, String> {
    let mut days = BTreeSet::new();
    for text in list {
        let day = crate::control::date(text).ok_or_else(|| format!("“{text}”不是日期"))?;
        if !years.contains(&day.year()) {
            return Err(format!("{day} 不在日历所列年份之内"));
        }
        if !days.insert(day) {
            return Err(format!("{day} 写了两次"));
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests;
