//! Dates and times as people type them, stored year first.

use jiff::civil::{Date, Time};

/// In which order a date is typed. A four-digit year that comes first is taken in every order: it
/// cannot be mistaken, and it is how a date is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ymd,
    Mdy,
    Dmy,
    /// The order of an import file: year first, or month, day and year parted by slashes.
    Imported,
}

impl Order {
    /// A stored date as the field's readers know it.
    pub(super) fn shown(self, stored: &str) -> String {
        let (date, time) = stored.split_at_checked(10).unwrap_or((stored, ""));
        let parts: Vec<&str> = date.split('-').collect();
        match (self, &parts[..]) {
            (Self::Mdy, [year, month, day]) => format!("{month}-{day}-{year}{time}"),
            (Self::Dmy, [year, month, day]) => format!("{day}-{month}-{year}{time}"),
            _ => stored.to_owned(),
        }
    }

    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Ymd | Self::Imported => "YYYY-MM-DD",
            Self::Mdy => "MM-DD-YYYY",
            Self::Dmy => "DD-MM-YYYY",
        }
    }
}

/// How exact a time of day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Minutes,
    Seconds,
}

impl Clock {
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Minutes => "HH:MM",
            Self::Seconds => "HH:MM:SS",
        }
    }
}

/// A date whose parts stand in the order, all parted by the same sign.
pub(super) fn date(text: &str, order: Order, today: Date) -> Option<String> {
    let sign = text.chars().find(|c| matches!(c, '-' | '/' | '.'));
    let parts: Vec<&str> = match sign {
        Some(sign) => text.split(sign).map(str::trim).collect(),
        None => text.split_whitespace().collect(),
    };
    let &[first, second, third] = &parts[..] else { return None };
    let year_first = first.len() == 4;
    let (year, month, day) = match order {
        _ if year_first => (first, second, third),
        // A short year that comes first is not taken: an import reads `40/7/7` as anything but 1940.
        Order::Ymd => return None,
        Order::Imported if sign != Some('/') => return None,
        Order::Mdy | Order::Imported => (third, first, second),
        Order::Dmy => (third, second, first),
    };
    let (month, day) = (day_or_month(month)?, day_or_month(day)?);
    Some(Date::new(full_year(year, today)?, month, day).ok()?.to_string())
}

/// A date and a time of day, parted by blanks or by a `T`.
pub(super) fn date_and_time(text: &str, order: Order, clock: Clock, today: Date) -> Option<String> {
    let (day, time) = text.split_once(['T', 't']).or_else(|| text.rsplit_once(char::is_whitespace))?;
    Some(format!("{} {}", date(day.trim(), order, today)?, time_of_day(time.trim(), clock)?))
}

/// A time of day; a single-digit hour is padded.
pub(super) fn time_of_day(text: &str, clock: Clock) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match (clock, &parts[..]) {
        (Clock::Minutes, &[hour, minute]) => (hour, minute, "00"),
        (Clock::Seconds, &[hour, minute, second]) => (hour, minute, second),
        _ => return None,
    };
    let time = Time::new(day_or_month(hour)?, sixtieth(minute)?, sixtieth(second)?, 0).ok()?;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(match clock {
        Clock::Minutes => format!("{hour:02}:{minute:02}"),
        Clock::Seconds => format!("{hour:02}:{minute:02}:{second:02}"),
    })
}

pub(super) fn minutes_and_seconds(text: &str) -> Option<String> {
    let (minutes, seconds) = text.split_once(':')?;
    Some(format!("{:02}:{:02}", sixtieth(minutes)?, sixtieth(seconds)?))
}

/// Turns a time of twelve hours at the end of the text, as in `9:05 pm`, into one of twenty-four.
/// Any other text is left alone.
pub(super) fn in_24_hours(text: &str) -> String {
    read_12_hours(text).unwrap_or_else(|| text.to_owned())
}

fn read_12_hours(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let marks = [("am", 0), ("a.m.", 0), ("a.m", 0), ("pm", 12), ("p.m.", 12), ("p.m", 12)];
    let (rest, half_day) =
        marks.iter().find_map(|(mark, half_day)| Some((lower.strip_suffix(mark)?, half_day)))?;
    let rest = rest.trim_end();
    // What stands before the time is the date.
    let start = rest.rfind([' ', 't']).map_or(0, |at| at + 1);
    let (date, time) = rest.split_at_checked(start)?;
    let (hour, after) = match time.split_once(':') {
        Some((hour, after)) => (hour, after),
        None => (time, "00"),
    };
    let hour = day_or_month(hour).filter(|hour| (1..=12).contains(hour))?;
    Some(format!("{date}{:02}:{after}", hour % 12 + half_day))
}

/// A number of one or two digits, as days, months and hours are typed.
fn day_or_month(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && is_digits(text)).then(|| text.parse().ok())?
}

/// Minutes or seconds, which are always typed with two digits.
fn sixtieth(text: &str) -> Option<i8> {
    (text.len() == 2 && is_digits(text)).then(|| text.parse().ok())?.filter(|&number| number < 60)
}

/// The year itself, or of the years that end in these two digits the last one that is not more than
/// ten years ahead: people give dates of birth more often than dates far in the future.
fn full_year(text: &str, today: Date) -> Option<i16> {
    if !is_digits(text) {
        return None;
    }
    let number: i16 = text.parse().ok()?;
    match text.len() {
        4 => Some(number).filter(|&year| year > 0),
        2 => {
            let latest = today.year().checked_add(10)?;
            Some(latest - (latest - number).rem_euclid(100))
        }
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
