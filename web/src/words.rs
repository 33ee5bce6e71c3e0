//! Times, spans and states in the words of the screen. All times are UTC+8.

use cuntong_protocol::{
    case::{Due, Light},
    state::State,
    time::Millis,
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};

use crate::desk::CaseCustody;

/// A coloured statement; the words carry the meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chip {
    pub(crate) tone: &'static str,
    pub(crate) words: String,
}

impl Chip {
    pub(crate) fn new(tone: &'static str, words: impl Into<String>) -> Self {
        Self {
            tone,
            words: words.into(),
        }
    }
}

/// The civil time in China; far-off moments are clamped to what a calendar can name.
pub(crate) fn civil(at: Millis) -> DateTime {
    let stamp = Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 {
        Timestamp::UNIX_EPOCH
    } else {
        Timestamp::MAX
    });
    stamp
        .to_zoned(TimeZone::fixed(Offset::constant(8)))
        .datetime()
}

/// `2026-11-21 16:42`
pub(crate) fn date_time(at: Millis) -> String {
    civil(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-21`
pub(crate) fn date(at: Millis) -> String {
    civil(at).date().to_string()
}

/// `2026年11月21日`, for papers.
pub(crate) fn paper_date(date: Date) -> String {
    format!("{}年{}月{}日", date.year(), date.month(), date.day())
}

/// As short as today allows: `16:42`, `11-20 09:12`, `2025-11-20`.
pub(crate) fn moment(at: Millis, now: Millis) -> String {
    let (then, today) = (civil(at), civil(now));
    if then.date() == today.date() {
        then.strftime("%H:%M").to_string()
    } else if then.year() == today.year() {
        then.strftime("%m-%d %H:%M").to_string()
    } else {
        then.strftime("%Y-%m-%d").to_string()
    }
}

/// The moment typed as date and `HH:MM`; noon when no time was typed.
pub(crate) fn typed_moment(date: &str, time: &str) -> Option<Millis> {
    let date: Date = date.parse().ok()?;
    let (hour, minute) = if time.is_empty() {
        (12, 0)
    } else {
        let (hour, minute) = time.split_once(':')?;
        (hour.parse().ok()?, minute.get(..2)?.parse().ok()?)
    };
    let at = DateTime::new(date.year(), date.month(), date.day(), hour, minute, 0, 0).ok()?;
    let zoned = at.to_zoned(TimeZone::fixed(Offset::constant(8))).ok()?;
    Some(Millis(zoned.timestamp().as_millisecond()))
}

/// `3 小时前` without the 前: how long a span is, to one unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => "不到 1 分钟".to_owned(),
        60..3_600 => format!("{} 分钟", seconds / 60),
        3_600..86_400 => format!("{} 小时", seconds / 3_600),
        _ => format!("{} 天", seconds / 86_400),
    }
}

/// `1.2 MB`
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{}.{} KB", count / 1_024, count % 1_024 * 10 / 1_024),
        _ => format!(
            "{}.{} MB",
            count / 1_048_576,
            count % 1_048_576 * 10 / 1_048_576
        ),
    }
}

/// A deadline: the date, and 暂定 when the calendar does not reach it.
pub(crate) fn due(due: &Due) -> String {
    if due.provisional {
        format!("{}（暂定）", due.date)
    } else {
        due.date.to_string()
    }
}

/// Colour class of a state: few are coloured, so that colour still says something.
pub(crate) const fn state_tone(state: State) -> &'static str {
    match state {
        State::Received | State::Accepted | State::Reviewing => "info",
        State::Correcting | State::Suspended => "warn",
        State::DecidedYes | State::Closed => "ok",
        State::Draft
        | State::Consult
        | State::DecidedNo
        | State::Delivered
        | State::Archived
        | State::NotAccepted
        | State::Withdrawn
        | State::Terminated => "neutral",
    }
}

/// Colour class of a light.
pub(crate) const fn light_tone(light: Light) -> &'static str {
    match light {
        Light::Paused => "neutral",
        Light::Green => "ok",
        Light::Yellow => "warn",
        Light::Red => "bad",
    }
}

/// How far a case's entries got, in the words people are told.
pub(crate) fn custody(custody: CaseCustody, now: Millis) -> Chip {
    match custody {
        CaseCustody::Local => Chip::new("neutral", "本机已存"),
        CaseCustody::Sending => Chip::new("info", "上报中"),
        CaseCustody::Township(at) => Chip::new("info", format!("乡镇已收 {}", moment(at, now))),
        CaseCustody::County(at) => Chip::new("ok", format!("县里已收 {}", moment(at, now))),
        CaseCustody::Rejected => Chip::new("bad", "退回"),
    }
}

/// An ID number as lists and papers show it: first three and last four.
pub(crate) fn masked(id: &str) -> String {
    let signs: Vec<char> = id.chars().collect();
    if signs.len() < 8 {
        return "*".repeat(signs.len());
    }
    let stars = "*".repeat(signs.len() - 7);
    let head: String = signs[..3].iter().collect();
    let tail: String = signs[signs.len() - 4..].iter().collect();
    format!("{head}{stars}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_china_and_only_as_long_as_needed() {
        let now = Millis(1_795_250_520_000);
        assert_eq!(date_time(now), "2026-11-21 16:42");
        assert_eq!(moment(now, now), "16:42");
        assert_eq!(moment(now.after(-86_400_000), now), "11-20 16:42");
        assert_eq!(moment(now.after(-400 * 86_400_000), now), "2025-10-17");
        assert_eq!(typed_moment("2026-11-21", "16:42"), Some(now));
        assert_eq!(typed_moment("2026-02-30", ""), None);
        assert_eq!(span(7_300), "2 小时");
    }

    #[test]
    fn an_id_number_shows_its_ends_only() {
        assert_eq!(masked("349901196103052416"), "349***********2416");
        assert_eq!(masked("123"), "***");
    }
}
