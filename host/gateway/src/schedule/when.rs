//! When: from the moment at which a condition is found to hold to the moment at which its message is due.
//!
//! All of it is arithmetic on the wall clock of REDCap's server, as REDCap does it: a day later is the same
//! time of day, whatever the clocks did in between. Only at the end does a time become an instant. One that
//! the clocks skip in spring is as much later as they jump; one that comes twice in autumn is the first of
//! the two.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use redcap::project::When;
use redcap::{Place, Record};

/// When a message is due.
#[derive(Clone, Debug)]
pub enum Timing {
    /// At once.
    Now,
    /// So long after the trigger.
    Lag(Span),
    /// So long after, or before, what a field holds.
    Around(Anchor),
    /// The next day of a kind, at a time of day; never today.
    Next(Day, Time),
    /// At one moment.
    At(DateTime),
}

/// A field, and how far from it.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// The field.
    pub field: String,
    /// Its event; none for the schedule's own.
    pub event: Option<String>,
    /// How far; negative for before.
    pub by: Span,
}

/// A kind of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Any.
    Any,
    /// Monday to Friday.
    Workday,
    /// Saturday or Sunday.
    Weekend,
    /// One day of the week.
    Of(Weekday),
}

impl Timing {
    /// What REDCap's words mean, or a lowercase fragment that says which of them is not known.
    pub fn read(when: &When, anchor: Option<(&str, bool)>) -> Result<Timing, String> {
        Ok(match when {
            When::Immediately => Timing::Now,
            When::Lag { days, hours, minutes } => {
                let by = lag(*days, *hours, *minutes)?;
                match anchor {
                    Some((field, after)) => Timing::Around(anchored(field, if after { by } else { -by })?),
                    None => Timing::Lag(by),
                }
            }
            When::NextOccurrence { day, time } => Timing::Next(
                Day::read(day).ok_or_else(|| format!("`{day}` is no kind of day"))?,
                time_of_day(time)?,
            ),
            When::At(text) => {
                Timing::At(moment(text).ok_or_else(|| format!("`{text}` is no date and time"))?)
            }
            When::Unknown(word) => return Err(format!("`{word}` is no time to send at that is known")),
        })
    }

    /// When a message is due that was triggered now; none while the field that it goes by is blank.
    pub fn due(&self, now: DateTime, record: &Record, place: &Place) -> Option<DateTime> {
        match self {
            Timing::Now => Some(now),
            Timing::Lag(by) => now.checked_add(*by).ok(),
            Timing::Around(anchor) => {
                let at = match &anchor.event {
                    Some(event) => Place::at(event),
                    None => Place { event: place.event.clone(), instrument: None, instance: 1 },
                };
                // A field of a repeating form stands where the schedule's own instance does.
                let stored = record.get(&anchor.field, place).or_else(|| record.get(&anchor.field, &at))?;
                moment(stored)?.checked_add(anchor.by).ok()
            }
            Timing::Next(day, time) => day.next_after(now.date()).map(|date| date.to_datetime(*time)),
            Timing::At(moment) => Some(*moment),
        }
    }

    /// When the `n`th reminder of what was due at a moment is due.
    pub fn reminder(&self, of: DateTime, n: u32) -> Option<DateTime> {
        let times = i64::from(n);
        let due = match self {
            Timing::Lag(by) => by.checked_mul(times).ok().and_then(|by| of.checked_add(by).ok()),
            Timing::Next(day, time) => {
                let mut date = of.date();
                for _ in 0..n {
                    date = day.next_after(date)?;
                }
                Some(date.to_datetime(*time))
            }
            // There is one such moment, and so one such reminder.
            Timing::At(moment) if n == 1 => Some(*moment),
            _ => None,
        };
        // Nobody is reminded of what comes afterwards.
        due.filter(|due| *due > of)
    }

    /// Whether the moment is the same whenever the trigger is noticed.
    pub fn is_fixed(&self) -> bool {
        matches!(self, Timing::Around(_) | Timing::At(_))
    }

    /// For a person: "at once", "2 h after", "next workday at 08:00" …
    pub fn sentence(&self) -> String {
        match self {
            Timing::Now => "at once".into(),
            Timing::Lag(by) => format!("{by:#} after"),
            Timing::Around(anchor) => {
                let event = anchor.event.as_ref().map(|event| format!("[{event}]")).unwrap_or_default();
                let side = if anchor.by.is_negative() { "before" } else { "after" };
                format!("{:#} {side} {event}[{}]", anchor.by.abs(), anchor.field)
            }
            Timing::Next(day, time) => format!("next {} at {}", day.name(), time.strftime("%H:%M")),
            Timing::At(moment) => format!("on {}", moment.strftime("%Y-%m-%d at %H:%M")),
        }
    }
}

impl Day {
    /// REDCap's word for it.
    pub fn read(word: &str) -> Option<Day> {
        Some(match word.to_ascii_uppercase().as_str() {
            "DAY" | "" => Day::Any,
            "WEEKDAY" => Day::Workday,
            "WEEKENDDAY" => Day::Weekend,
            "MONDAY" => Day::Of(Weekday::Monday),
            "TUESDAY" => Day::Of(Weekday::Tuesday),
            "WEDNESDAY" => Day::Of(Weekday::Wednesday),
            "THURSDAY" => Day::Of(Weekday::Thursday),
            "FRIDAY" => Day::Of(Weekday::Friday),
            "SATURDAY" => Day::Of(Weekday::Saturday),
            "SUNDAY" => Day::Of(Weekday::Sunday),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Day::Any => "day",
            Day::Workday => "workday",
            Day::Weekend => "weekend day",
            Day::Of(Weekday::Monday) => "Monday",
            Day::Of(Weekday::Tuesday) => "Tuesday",
            Day::Of(Weekday::Wednesday) => "Wednesday",
            Day::Of(Weekday::Thursday) => "Thursday",
            Day::Of(Weekday::Friday) => "Friday",
            Day::Of(Weekday::Saturday) => "Saturday",
            Day::Of(Weekday::Sunday) => "Sunday",
        }
    }

    fn includes(self, date: Date) -> bool {
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        match self {
            Day::Any => true,
            Day::Workday => !is_weekend,
            Day::Weekend => is_weekend,
            Day::Of(day) => date.weekday() == day,
        }
    }

    /// The first such day after a date. Every kind comes within a week.
    fn next_after(self, date: Date) -> Option<Date> {
        (1..=7).filter_map(|days| date.checked_add(days.days()).ok()).find(|date| self.includes(*date))
    }
}

/// A span of days, hours and minutes.
pub(crate) fn lag(days: u32, hours: u32, minutes: u32) -> Result<Span, String> {
    let span = Span::new()
        .try_days(i64::from(days))
        .and_then(|span| span.try_hours(i64::from(hours)))
        .and_then(|span| span.try_minutes(i64::from(minutes)));
    span.map_err(|_| "that is longer than any study".to_owned())
}

/// `[field]` or `[event][field]`.
fn anchored(reference: &str, by: Span) -> Result<Anchor, String> {
    let mut names = reference.split(['[', ']']).map(str::trim).filter(|name| !name.is_empty());
    match (names.next(), names.next(), names.next()) {
        (Some(field), None, _) => Ok(Anchor { field: field.into(), event: None, by }),
        (Some(event), Some(field), None) => Ok(Anchor { field: field.into(), event: Some(event.into()), by }),
        _ => Err(format!("`{reference}` names no field to count from")),
    }
}

fn time_of_day(text: &str) -> Result<Time, String> {
    // REDCap writes `08:00:00`, and people `8:00`.
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    padded.parse().map_err(|_| format!("`{text}` is no time of day"))
}

/// A date, or a date and time, as REDCap stores it.
pub(crate) fn moment(stored: &str) -> Option<DateTime> {
    let stored = stored.trim();
    match stored.parse::<Date>() {
        Ok(date) if stored.len() <= 10 => Some(date.at(0, 0, 0, 0)),
        _ => stored.replacen(' ', "T", 1).parse().ok(),
    }
}

/// The instant of a moment on the server's wall clock, in seconds; none before 1970 and after 2106.
pub fn instant(moment: DateTime, zone: &TimeZone) -> Option<u32> {
    let at = zone.to_ambiguous_timestamp(moment).compatible().ok()?;
    u32::try_from(at.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        moment(text).unwrap()
    }

    fn due(when: &When, now: &str) -> String {
        let timing = Timing::read(when, None).unwrap();
        let due = timing.due(at(now), &Record::new("1"), &Place::default()).unwrap();
        due.strftime("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn the_next_day_of_a_kind_is_never_today() {
        // 2026-11-23 is a Monday.
        for (day, now, expected) in [
            ("DAY", "2026-11-23 07:00", "2026-11-24 08:00"),
            ("MONDAY", "2026-11-23 07:00", "2026-11-30 08:00"),
            ("WEEKDAY", "2026-11-27 07:00", "2026-11-30 08:00"),
            ("WEEKENDDAY", "2026-11-23 07:00", "2026-11-28 08:00"),
            ("WEEKENDDAY", "2026-11-28 07:00", "2026-11-29 08:00"),
            ("SUNDAY", "2026-12-31 23:59", "2027-01-03 08:00"),
        ] {
            let when = When::NextOccurrence { day: day.into(), time: "08:00:00".into() };
            assert_eq!(due(&when, now), expected, "{day} after {now}");
        }
    }

    #[test]
    fn a_lag_keeps_the_time_of_day() {
        let when = |days, hours, minutes| When::Lag { days, hours, minutes };
        assert_eq!(due(&when(1, 0, 0), "2026-10-31 09:30"), "2026-11-01 09:30");
        assert_eq!(due(&when(0, 2, 15), "2026-11-23 23:00"), "2026-11-24 01:15");
    }

    #[test]
    fn a_lag_before_or_after_a_field_goes_by_what_it_holds() {
        let mut record = Record::new("1");
        record.set("visit", &Place::default(), "2026-12-10");
        record.set("call", &Place::at("late_arm_1"), "2026-12-10 14:00");
        let when = When::Lag { days: 1, hours: 2, minutes: 0 };
        for (anchor, expected) in [
            (("[visit]", false), Some("2026-12-08 22:00")),
            (("[visit]", true), Some("2026-12-11 02:00")),
            (("[late_arm_1][call]", true), Some("2026-12-11 16:00")),
            (("[call]", true), None),
        ] {
            let timing = Timing::read(&when, Some(anchor)).unwrap();
            let due = timing.due(at("2026-11-23"), &record, &Place::default());
            assert_eq!(due.map(|due| due.strftime("%Y-%m-%d %H:%M").to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn reminders_come_in_three_kinds() {
        let of = at("2026-11-23 08:00");
        let every = Timing::read(&When::Lag { days: 0, hours: 2, minutes: 0 }, None).unwrap();
        let next =
            Timing::read(&When::NextOccurrence { day: "DAY".into(), time: "9:00".into() }, None).unwrap();
        let once = Timing::read(&When::At("2026-11-30 12:00:00".into()), None).unwrap();
        let told =
            |timing: &Timing, n| timing.reminder(of, n).map(|due| due.strftime("%d %H:%M").to_string());
        assert_eq!([1, 2].map(|n| told(&every, n).unwrap()), ["23 10:00", "23 12:00"]);
        assert_eq!([1, 2].map(|n| told(&next, n).unwrap()), ["24 09:00", "25 09:00"]);
        assert_eq!([1, 2].map(|n| told(&once, n)), [Some("30 12:00".into()), None]);
        assert_eq!(once.reminder(at("2026-11-30 12:00"), 1), None, "its moment is over");
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_later_and_one_that_comes_twice_is_the_first() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let utc = |text: &str| {
            let seconds = i64::from(instant(at(text), &zone).unwrap());
            jiff::Timestamp::from_second(seconds).unwrap().to_string()
        };
        assert_eq!(utc("2026-03-08 02:30"), "2026-03-08T07:30:00Z", "03:30 in New York");
        assert_eq!(utc("2026-11-01 01:30"), "2026-11-01T05:30:00Z", "the first of two");
    }

    #[test]
    fn what_is_not_known_says_so() {
        for (when, anchor, expected) in [
            (When::Unknown("SOMETIME".into()), None, "`SOMETIME` is no time to send at that is known"),
            (When::At("soon".into()), None, "`soon` is no date and time"),
            (
                When::NextOccurrence { day: "FULLMOON".into(), time: "8:00".into() },
                None,
                "`FULLMOON` is no kind of day",
            ),
            (
                When::NextOccurrence { day: "DAY".into(), time: "noon".into() },
                None,
                "`noon` is no time of day",
            ),
            (
                When::Lag { days: 1, hours: 0, minutes: 0 },
                Some(("[]", true)),
                "`[]` names no field to count from",
            ),
        ] {
            assert_eq!(Timing::read(&when, anchor).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_time_is_told_in_words() {
        let told = |when: &When, anchor| Timing::read(when, anchor).unwrap().sentence();
        assert_eq!(told(&When::Immediately, None), "at once");
        let lag = When::Lag { days: 2, hours: 0, minutes: 30 };
        assert_eq!(told(&lag, None), "2d 30m after");
        assert_eq!(told(&lag, Some(("[visit]", false))), "2d 30m before [visit]");
        let next = When::NextOccurrence { day: "WEEKDAY".into(), time: "08:00:00".into() };
        assert_eq!(told(&next, None), "next workday at 08:00");
    }
}
