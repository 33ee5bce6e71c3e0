use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::control::{calendar_csv, sample};

fn china() -> Calendar {
    Calendar::new(&calendar_csv::from_csv(sample::CALENDAR_CSV).unwrap(), 7).unwrap()
}

/// A day as yyyymmdd.
fn day(n: i32) -> Date {
    let part = |n: i32| i8::try_from(n % 100).unwrap();
    date(i16::try_from(n / 10_000).unwrap(), part(n / 100), part(n))
}

#[test]
fn the_covered_years_have_as_many_working_days_as_the_state_council_says() {
    let calendar = china();
    for (year, worked) in [(2024, 251), (2025, 248), (2026, 248)] {
        let eve = date(year - 1, 12, 31);
        assert_eq!(
            calendar.workdays_between(eve, date(year, 12, 31)),
            worked,
            "{year}"
        );
    }
}

#[test]
fn limits_in_working_days_end_on_the_known_days() {
    let calendar = china();
    for (start, days, due) in [
        (20_260_130, 5, 20_260_206),
        (20_260_213, 5, 20_260_227),
        (20_260_214, 1, 20_260_224),
        (20_260_918, 2, 20_260_921),
        (20_260_924, 5, 20_261_009),
        (20_260_930, 20, 20_261_103),
        (20_260_430, 3, 20_260_508),
        (20_250_930, 7, 20_251_016),
        (20_250_124, 3, 20_250_205),
    ] {
        let found = calendar.add_workdays(day(start), days);
        assert_eq!(found.date, day(due), "{start} + {days}");
        assert!(!found.provisional);
        assert_eq!(found.calendar_version, 7);
    }
}

#[test]
fn a_limit_that_reaches_past_the_last_covered_year_is_provisional() {
    let calendar = china();
    let due = calendar.add_workdays(day(20_261_225), 5);
    assert!(due.provisional, "the first of January is a guess");
    assert_eq!(due.date, day(20_270_101));
    assert!(!calendar.add_workdays(day(20_261_225), 4).provisional);
    assert!(
        Calendar::default()
            .add_workdays(day(20_260_302), 1)
            .provisional
    );
}

#[test]
fn a_limit_of_no_days_ends_on_the_day_it_starts_even_if_that_is_off() {
    let due = china().add_workdays(day(20_261_001), 0);
    assert_eq!((due.date, due.provisional), (day(20_261_001), false));
}

#[test]
fn periods_of_calendar_days_roll_forward_off_a_day_off() {
    let calendar = china();
    for (start, rolled, plain) in [
        (20_260_924, 20_261_008, 20_261_001),
        (20_260_428, 20_260_506, 20_260_505),
        (20_260_302, 20_260_309, 20_260_309),
    ] {
        assert_eq!(
            calendar.calendar_period(day(start), 7, true).date,
            day(rolled)
        );
        assert_eq!(
            calendar.calendar_period(day(start), 7, false).date,
            day(plain)
        );
    }
    assert!(
        calendar
            .calendar_period(day(20_261_228), 7, true)
            .provisional
    );
    assert!(
        !calendar
            .calendar_period(day(20_261_228), 7, false)
            .provisional
    );
}

#[test]
fn the_clock_stands_still_during_a_suspension() {
    let calendar = china();
    let stopped = [Suspension {
        from: day(20_260_304),
        to: day(20_260_311),
    }];
    // Wednesday the 4th is counted, the five working days from the 5th to the 11th are not.
    let due = calendar.add_workdays_without(day(20_260_302), 5, &stopped);
    assert_eq!(due.date, day(20_260_316));
    assert_eq!(
        calendar.elapsed(day(20_260_302), day(20_260_316), &stopped),
        5
    );
    let twice = [stopped[0], stopped[0]];
    assert_eq!(
        calendar.add_workdays_without(day(20_260_302), 5, &twice),
        due
    );
}

#[test]
fn a_suspension_after_the_limit_has_passed_does_not_bring_it_back() {
    let late = [Suspension {
        from: day(20_260_401),
        to: day(20_260_430),
    }];
    let due = china().add_workdays_without(day(20_260_302), 5, &late);
    assert_eq!(due.date, day(20_260_309));
}

#[test]
fn the_day_of_a_moment_is_the_one_in_china() {
    assert_eq!(civil_day(Millis(1_772_413_200_000)), day(20_260_302));
    let midnight = day_begins(day(20_260_302));
    assert_eq!(civil_day(midnight), day(20_260_302));
    assert_eq!(civil_day(midnight.after(-1)), day(20_260_301));
    assert_eq!(civil_day(Millis(0)), day(19_700_101));
    assert_eq!(civil_day(Millis(-1)), day(19_700_101));
}

#[test]
fn no_clock_is_wrong_enough_to_break_the_calendar() {
    assert_eq!(civil_day(Millis(i64::MAX)), Date::MAX);
    assert_eq!(civil_day(Millis(i64::MIN)), Date::MIN);
    let due = china().add_workdays(Date::MAX, 10);
    assert_eq!((due.date, due.provisional), (Date::MAX, false));
    assert!(china().elapsed(Date::MIN, Date::MAX, &[]) <= FOLLOWED_DAYS_MAX);
    assert!(china().add_workdays(day(20_260_302), u32::MAX).provisional);
}

#[test]
fn coverage_is_told() {
    let calendar = china();
    assert_eq!(calendar.is_workday(day(20_260_214)), Some(true));
    assert_eq!(calendar.is_workday(day(20_260_216)), Some(false));
    assert_eq!(calendar.is_workday(day(20_270_104)), None);
    assert_eq!(calendar.last_year(), Some(2026));
}

proptest! {
    #[test]
    fn a_limit_added_is_the_limit_elapsed(
        start in 0..1_000_i64,
        days in 0..60_u32,
        from in 0..80_i64,
        length in 0..40_i64,
    ) {
        let calendar = china();
        let start = days_after(day(20_240_101), start).unwrap();
        let from = days_after(start, from).unwrap();
        let stopped = [Suspension { from, to: days_after(from, length).unwrap() }];
        let due = calendar.add_workdays_without(start, days, &stopped);
        prop_assert_eq!(calendar.elapsed(start, due.date, &stopped), days);
        prop_assert!(days == 0 || calendar.works(due.date));
    }

    #[test]
    fn a_moment_lies_in_its_day(at in -60_000_000_000_000_i64..250_000_000_000_000) {
        let begins = day_begins(civil_day(Millis(at)));
        prop_assert!(begins.0 <= at && at < begins.0 + DAY_MS);
    }
}
