//! Dates and times in expressions. REDCap stores them year first; where a text is written otherwise,
//! an expression says how.

use jiff::civil::{Date, DateTime, Time};

use super::value::Value;

/// The order of the parts of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ymd,
    Mdy,
    Dmy,
}

impl Order {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "ymd" => Some(Self::Ymd),
            "mdy" => Some(Self::Mdy),
            "dmy" => Some(Self::Dmy),
            _ => None,
        }
    }
}

/// The moment a text means: a date, a date with a time, a time alone, or the words `today`, which is
/// midnight, and `now`. Times alone belong to the day of `now`, whichever that is.
///
/// The order concerns only texts that do not begin with a year: stored values always do.
pub(super) fn moment(text: &str, order: Order, now: DateTime) -> Option<DateTime> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("today") {
        return Some(now.date().to_datetime(Time::midnight()));
    }
    if text.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    if !date.contains(['-', '/']) {
        return Some(now.date().to_datetime(clock(text)?));
    }
    let time = if time.is_empty() { Time::midnight() } else { clock(time.trim())? };
    Some(self::date(date, order)?.to_datetime(time))
}

/// The moment of a text whose order nobody told, if there is one order only in which it is a date.
pub(super) fn unordered(text: &str, now: DateTime) -> Option<DateTime> {
    match (moment(text, Order::Dmy, now), moment(text, Order::Mdy, now)) {
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(one), Some(other)) => (one == other).then_some(one),
        (None, None) => None,
    }
}

pub(super) fn date(text: &str, order: Order) -> Option<Date> {
    let mut parts = text.split(['-', '/']);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = if first.len() == 4 {
        (first, second, third)
    } else {
        match order {
            Order::Ymd => (first, second, third),
            Order::Mdy => (third, first, second),
            Order::Dmy => (third, second, first),
        }
    };
    if year.len() != 4 {
        return None;
    }
    Date::new(number(year)?, number(month)?.try_into().ok()?, number(day)?.try_into().ok()?).ok()
}

/// Digits only: a sign is no part of a date.
fn number(digits: &str) -> Option<i16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `HH:MM` or `HH:MM:SS`.
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let mut part = |or: Option<i16>| parts.next().map_or(or, number)?.try_into().ok();
    let (hour, minute, second) = (part(None)?, part(None)?, part(Some(0))?);
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// The seconds of a unit: a year is 365.2425 days and a month 30.44, as real servers count them.
/// `M` is months and `m` minutes; the case of the others does not matter.
pub(crate) fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit.trim() {
        "y" | "Y" => 365.2425 * 86_400.0,
        "M" => 30.44 * 86_400.0,
        "d" | "D" => 86_400.0,
        "h" | "H" => 3_600.0,
        "m" => 60.0,
        "s" | "S" => 1.0,
        _ => return None,
    })
}

/// A moment so many units later, or earlier; none if either is blank or no moment.
pub(crate) fn add_to_moment(
    from: &Value<'_>,
    offset: &Value<'_>,
    unit: &Value<'_>,
    now: DateTime,
) -> Option<DateTime> {
    let Value::Text(text) = from else { return None };
    let from = moment(text, Order::Ymd, now)?;
    let seconds = (offset.number()? * unit_seconds(&unit.text())?).round();
    let span = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    from.checked_add(span).ok()
}

/// Completed years of the calendar.
pub(super) fn age(birth: Date, at: Date) -> f64 {
    let had_birthday = (at.month(), at.day()) >= (birth.month(), birth.day());
    f64::from(at.year() - birth.year() - i16::from(!had_birthday))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form() {
        let now: DateTime = "2026-11-23T10:00:00".parse().unwrap();
        for (text, order, wanted) in [
            ("today", Order::Ymd, "2026-11-23T00:00:00"),
            ("NOW", Order::Ymd, "2026-11-23T10:00:00"),
            ("2020-02-29", Order::Ymd, "2020-02-29T00:00:00"),
            ("2020-02-29", Order::Mdy, "2020-02-29T00:00:00"),
            ("02-29-2020", Order::Mdy, "2020-02-29T00:00:00"),
            ("29/02/2020 7:05", Order::Dmy, "2020-02-29T07:05:00"),
            ("2020-02-29T07:05:09", Order::Ymd, "2020-02-29T07:05:09"),
            ("23:59", Order::Ymd, "2026-11-23T23:59:00"),
        ] {
            assert_eq!(moment(text, order, now), Some(wanted.parse().unwrap()), "{text}");
        }
        for text in ["", "29-02-2020", "2021-02-29", "2020-02", "20-02-29", "24:00", "1:2:3:4", "soon", "7"] {
            assert_eq!(moment(text, Order::Ymd, now), None, "{text}");
        }
    }

    #[test]
    fn an_age_is_completed_on_the_birthday() {
        let age = |birth: &str, at: &str| super::age(birth.parse().unwrap(), at.parse().unwrap());
        assert!((age("2000-11-24", "2026-11-23") - 25.0).abs() < 1e-9);
        assert!((age("2000-11-23", "2026-11-23") - 26.0).abs() < 1e-9);
        assert!((age("2000-02-29", "2001-02-28") - 0.0).abs() < 1e-9);
    }
}
