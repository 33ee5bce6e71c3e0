//! The deadlines of a case (时限). Each is there only while its clock runs.

use jiff::civil::Date;

use super::{
    Ground,
    walk::{Times, Walk},
};
use crate::{
    calendar::{Calendar, civil_day},
    case::{Clocks, Due, Light},
    control::Item,
    role::Level,
    state::State,
    time::Millis,
};

/// Village to authority, working days (county practice; sample of domain rules).
pub const HANDOVER_DAYS: u32 = 3;
/// 受理: working days from receipt by the authority (Administrative Licensing Law 32).
pub const ACCEPTANCE_DAYS: u32 = 5;
/// 送达: working days from closing (Administrative Licensing Law 44).
pub const DELIVERY_DAYS: u32 = 10;
/// Longest stretch counted day by day: clocks may be wrong by centuries.
const COUNTED_DAYS_MAX: i32 = 20_000;

/// The deadlines of a case that stands in `state`; `open_gaps`: promised materials are missing.
pub(super) fn clocks(walk: &Walk, ground: &Ground<'_>, open_gaps: bool, village: bool) -> Clocks {
    let calendar = ground.calendar;
    let times = &walk.times;
    let mut clocks = Clocks::default();
    let Some(state) = walk.state else {
        return clocks;
    };
    let from =
        |at: Option<Millis>, days: u32| at.map(|at| calendar.add_workdays(civil_day(at), days));
    clocks.used = used(walk, calendar);
    // The case that counts is the one linked to: nothing runs twice.
    if walk.duplicate_of.is_some() {
        return clocks;
    }
    let item = walk.item(ground);
    match state {
        State::Received => {
            if village && times.authority.is_none() {
                clocks.handover = from(times.received, HANDOVER_DAYS);
            }
            clocks.acceptance = from(acceptance_start(times), ACCEPTANCE_DAYS);
        }
        State::Correcting => {
            let days = u32::from(walk.correction_days);
            let start = times.corrected.map(civil_day);
            clocks.correction = start.map(|day| calendar.calendar_period(day, days, true));
        }
        State::Accepted | State::Reviewing | State::Suspended => {
            clocks.legal = from(times.accepted, days_of(item, |i| i.legal_days));
            clocks.promised = from(times.accepted, days_of(item, |i| i.promised_days));
            if open_gaps {
                clocks.gaps = from(times.accepted, u32::from(walk.gap_days));
            }
        }
        State::DecidedYes | State::DecidedNo => {
            clocks.promised = from(times.accepted, days_of(item, |i| i.promised_days));
        }
        State::Closed => clocks.delivery = from(times.closed, DELIVERY_DAYS),
        State::Draft
        | State::Consult
        | State::Delivered
        | State::Archived
        | State::NotAccepted
        | State::Withdrawn
        | State::Terminated => {}
    }
    if item.is_none() {
        (clocks.legal, clocks.promised) = (None, None);
    }
    clocks
}

fn days_of(item: Option<&Item>, days: impl Fn(&Item) -> u16) -> u32 {
    item.map_or(0, |item| u32::from(days(item)))
}

/// The clock restarts when what was asked for came in; else it runs from the authority's first
/// act, or from receipt while there is none.
fn acceptance_start(times: &Times) -> Option<Millis> {
    times.supplemented.or(times.authority).or(times.received)
}

/// Working days from acceptance to closing; from receipt for what was done on the spot.
fn used(walk: &Walk, calendar: &Calendar) -> Option<u32> {
    let start = civil_day(walk.times.accepted.or(walk.times.received)?);
    let end = civil_day(walk.times.closed?);
    let far = start.until(end).ok()?.get_days() > COUNTED_DAYS_MAX;
    (!far).then(|| calendar.workdays_between(start, end))
}

/// The colour of a deadline on a day: yellow from one working day before it, red after it.
pub fn light(due: &Due, today: Date, calendar: &Calendar) -> Light {
    if today > due.date {
        return Light::Red;
    }
    let far = today
        .until(due.date)
        .map_or(true, |span| span.get_days() > COUNTED_DAYS_MAX);
    if !far && calendar.workdays_between(today, due.date) <= 1 {
        Light::Yellow
    } else {
        Light::Green
    }
}

/// Whether papers received at that level still have to be handed over to the authority.
pub(super) fn hands_over(level: Option<Level>) -> bool {
    level == Some(Level::Village)
}
