//! Times of day at which this node calls on its own.

use std::time::Duration;

use cuntong_protocol::time::Millis;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// The one time zone of the country.
const LOCAL_MS: i64 = 8 * 60 * MINUTE_MS;
/// A setting with more is a mistake.
const WINDOWS_MAX: usize = 24;

/// Windows of every day, in local time; none at all: at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows(Vec<Window>);

/// Minutes since midnight. One that ends before it begins goes on past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: u16,
    to: u16,
}

impl Windows {
    /// Reads `06:30-08:00,20:00-23:00`.
    ///
    /// # Errors
    /// Which of them is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        let all: Vec<_> = parts.map(window).collect::<Result<_, _>>()?;
        if all.len() > WINDOWS_MAX {
            return Err(format!("时段最多 {WINDOWS_MAX} 个"));
        }
        Ok(Self(all))
    }

    /// Whether there are times at which the node does not call.
    pub const fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the node may call at this moment.
    pub fn is_open(&self, at: Millis) -> bool {
        let now = of_day(at);
        self.0.is_empty() || self.0.iter().any(|window| window.left(now).is_some())
    }

    /// How long from now on the node may call; `None`: for ever, or not at all just now.
    pub fn closes_in(&self, at: Millis) -> Option<Duration> {
        let mut end = 0;
        // Windows that touch or overlap are one.
        for _turn in 0..=2 * self.0.len() {
            let now = of_day(at.after(end));
            end += self.0.iter().filter_map(|w| w.left(now)).max()?;
            if end >= DAY_MS {
                return None;
            }
            if !self.is_open(at.after(end)) {
                break;
            }
        }
        (end > 0).then(|| Duration::from_millis(end.unsigned_abs()))
    }

    /// How long until the node may call; nothing when it may now.
    pub fn opens_in(&self, at: Millis) -> Duration {
        if self.is_open(at) {
            return Duration::ZERO;
        }
        let now = of_day(at);
        let until = |w: &Window| (i64::from(w.from) * MINUTE_MS - now).rem_euclid(DAY_MS);
        let soonest = self.0.iter().map(until).min().unwrap_or(0);
        Duration::from_millis(soonest.unsigned_abs())
    }
}

impl std::fmt::Display for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Window { from, to }) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let (h, m, to_h, to_m) = (from / 60, from % 60, to / 60, to % 60);
            write!(f, "{comma}{h:02}:{m:02}-{to_h:02}:{to_m:02}")?;
        }
        Ok(())
    }
}

impl Window {
    /// How long it is still open at a moment of the day, milliseconds.
    fn left(self, now: i64) -> Option<i64> {
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        let long = (to - from).rem_euclid(24 * 60) * MINUTE_MS;
        // The whole day, said as 00:00-24:00.
        let long = if long == 0 { DAY_MS } else { long };
        let since = (now - from * MINUTE_MS).rem_euclid(DAY_MS);
        (since < long).then(|| long - since)
    }
}

/// Milliseconds since midnight.
fn of_day(at: Millis) -> i64 {
    (at.0 + LOCAL_MS).rem_euclid(DAY_MS)
}

fn window(text: &str) -> Result<Window, String> {
    let wrong = || format!("“{text}”应写作 06:30-08:00");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let window = Window {
        from: minutes(from)
            .filter(|from| *from < 24 * 60)
            .ok_or_else(wrong)?,
        to: minutes(to).ok_or_else(wrong)?,
    };
    if window.from == window.to {
        return Err(format!("“{text}”的开始和结束相同"));
    }
    Ok(window)
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let two = |t: &str| (t.len() <= 2).then(|| t.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 24 * 60).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That moment of a day of November 2026.
    fn at(hours: i64, minutes: i64) -> Millis {
        Millis(20_780 * DAY_MS - LOCAL_MS + (hours * 60 + minutes) * MINUTE_MS)
    }

    fn minutes_of(time: Duration) -> u64 {
        time.as_secs() / 60
    }

    #[test]
    fn a_window_opens_and_closes_by_the_countys_clock() {
        let windows = Windows::parse("06:30-08:00, 20:00-23:00").unwrap();
        assert_eq!(windows.to_string(), "06:30-08:00,20:00-23:00");
        for (hours, minutes, open) in [(6, 29, false), (6, 30, true), (7, 59, true)] {
            assert_eq!(
                windows.is_open(at(hours, minutes)),
                open,
                "{hours}:{minutes}"
            );
        }
        assert!(!windows.is_open(at(8, 0)));
        assert_eq!(windows.closes_in(at(7, 30)).map(minutes_of), Some(30));
        assert_eq!(minutes_of(windows.opens_in(at(8, 0))), 12 * 60);
        assert_eq!(minutes_of(windows.opens_in(at(23, 30))), 7 * 60);
        assert_eq!(windows.opens_in(at(21, 0)), Duration::ZERO);
    }

    #[test]
    fn a_window_goes_on_past_midnight_and_into_the_next_one() {
        let windows = Windows::parse("22:00-02:00,02:00-03:00").unwrap();
        assert!(windows.is_open(at(23, 0)) && windows.is_open(at(1, 0)));
        assert!(!windows.is_open(at(21, 59)) && !windows.is_open(at(3, 0)));
        assert_eq!(windows.closes_in(at(23, 0)).map(minutes_of), Some(4 * 60));
    }

    #[test]
    fn without_windows_and_with_one_of_a_whole_day_a_node_calls_at_any_time() {
        for text in ["", "00:00-24:00", "00:00-12:00,12:00-24:00"] {
            let windows = Windows::parse(text).unwrap();
            assert!(
                windows.is_open(at(0, 0)) && windows.is_open(at(13, 7)),
                "{text}"
            );
            assert_eq!(windows.closes_in(at(13, 7)), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_named() {
        for text in [
            "6",
            "06:30",
            "25:00-26:00",
            "08:00-08:00",
            "08:60-09:00",
            "a:b-c:d",
        ] {
            let error = Windows::parse(&format!("07:00-07:30,{text}")).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
