//! Whether a field takes what was typed, and as what it is stored.
//!
//! A wrong format is refused; a value outside the field's range is stored with a warning, because
//! REDCap's ranges are soft. A type this crate does not know takes any text: installations add
//! their own.

use jiff::civil::{Date, Time};

use crate::project::{Field, FieldKind};

/// A value as REDCap stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    pub value: String,
    /// A sentence for the one who typed it.
    pub warning: Option<String>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("warning", &self.warning).finish_non_exhaustive()
    }
}

/// Why a value is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// A sentence for the one who typed it. It does not repeat what was typed.
    pub sentence: String,
}

/// Checks one answer. Blank is always taken; whether an answer is required is asked elsewhere.
/// For a checkbox, `typed` is one code.
pub fn check(field: &Field, typed: &str) -> Result<Stored, Refusal> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(Stored { value: String::new(), warning: None });
    }
    match field.kind {
        FieldKind::Radio
        | FieldKind::Dropdown
        | FieldKind::Checkbox
        | FieldKind::YesNo
        | FieldKind::TrueFalse => {
            let known = field.choices.iter().any(|choice| choice.code == typed);
            known.then(|| plain(typed)).ok_or_else(|| refusal("Please choose one of the answers."))
        }
        FieldKind::Slider => slider(field, typed),
        FieldKind::Calc | FieldKind::Descriptive => Err(refusal("This is not a question.")),
        FieldKind::File | FieldKind::Signature => Err(refusal("This question takes a file, not a text.")),
        FieldKind::Notes | FieldKind::Sql => Ok(plain(typed)),
        FieldKind::Text => typed_text(field, typed),
    }
}

fn plain(value: &str) -> Stored {
    Stored { value: value.to_owned(), warning: None }
}

fn refusal(sentence: &str) -> Refusal {
    Refusal { sentence: sentence.to_owned() }
}

fn slider(field: &Field, typed: &str) -> Result<Stored, Refusal> {
    let bound = |bound: &Option<String>, default| bound.as_deref().and_then(integer).unwrap_or(default);
    let (low, high) = (bound(&field.min, 0), bound(&field.max, 100));
    match integer(typed) {
        // A slider cannot be moved past its ends, so here the range is hard.
        Some(value) if (low..=high).contains(&value) => Ok(plain(&value.to_string())),
        _ => Err(Refusal { sentence: format!("Please give a whole number from {low} to {high}.") }),
    }
}

fn typed_text(field: &Field, typed: &str) -> Result<Stored, Refusal> {
    let validation = field.validation.as_deref().unwrap_or_default();
    let Some((read, hint)) = reader(validation) else { return Ok(plain(typed)) };
    let Some(value) = read(typed) else { return Err(refusal(hint)) };
    let stored = value.stored.clone();
    let outside = |bound: &Option<String>, wrong: fn(std::cmp::Ordering) -> bool| {
        // Bounds are stored year first and otherwise as the type is typed.
        let bound =
            bound.as_deref().and_then(|bound| stored_value(validation, bound).or_else(|| read(bound)));
        bound.is_some_and(|bound| value.order(&bound).is_some_and(wrong))
    };
    let is_outside =
        outside(&field.min, std::cmp::Ordering::is_lt) || outside(&field.max, std::cmp::Ordering::is_gt);
    let warning = is_outside.then(|| {
        let range = match (&field.min, &field.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("of {min} or more"),
            (None, Some(max)) => format!("of {max} or less"),
            (None, None) => String::new(),
        };
        format!("A value {range} was expected. It is stored as given; please check it.")
    });
    Ok(Stored { value: stored, warning })
}

/// A value that was understood: how it is stored, and what it is compared by.
struct Read {
    stored: String,
    number: Option<f64>,
}

impl Read {
    fn text(stored: String) -> Self {
        Self { stored, number: None }
    }

    /// Numbers by size; dates and times, stored largest unit first, by their text.
    fn order(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self.number, other.number) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => Some(self.stored.cmp(&other.stored)),
        }
    }
}

type Reader = fn(&str) -> Option<Read>;

fn reader(validation: &str) -> Option<(Reader, &'static str)> {
    Some(match validation {
        "integer" | "int" => (
            |text| integer(text).map(|value| number_read(text, value.to_string().parse().ok())),
            "Please give a whole number.",
        ),
        "number" | "float" => (|text| decimal(text, '.', None), "Please give a number."),
        "number_1dp" => (|text| decimal(text, '.', Some(1)), "Please give a number with one decimal place."),
        "number_2dp" => (|text| decimal(text, '.', Some(2)), "Please give a number with two decimal places."),
        "number_3dp" => {
            (|text| decimal(text, '.', Some(3)), "Please give a number with three decimal places.")
        }
        "number_4dp" => {
            (|text| decimal(text, '.', Some(4)), "Please give a number with four decimal places.")
        }
        "number_comma_decimal" => {
            (|text| decimal(text, ',', None), "Please give a number with a comma for the decimals.")
        }
        "number_1dp_comma_decimal" => {
            (|text| decimal(text, ',', Some(1)), "Please give a number with one decimal place after a comma.")
        }
        "number_2dp_comma_decimal" => (
            |text| decimal(text, ',', Some(2)),
            "Please give a number with two decimal places after a comma.",
        ),
        "date_ymd" => (|text| date(text, Order::Ymd, None), "Please give a date as YYYY-MM-DD."),
        "date_mdy" => (|text| date(text, Order::Mdy, None), "Please give a date as MM-DD-YYYY."),
        "date_dmy" => (|text| date(text, Order::Dmy, None), "Please give a date as DD-MM-YYYY."),
        "datetime_ymd" => {
            (|text| date(text, Order::Ymd, Some(2)), "Please give a date and a time as YYYY-MM-DD HH:MM.")
        }
        "datetime_mdy" => {
            (|text| date(text, Order::Mdy, Some(2)), "Please give a date and a time as MM-DD-YYYY HH:MM.")
        }
        "datetime_dmy" => {
            (|text| date(text, Order::Dmy, Some(2)), "Please give a date and a time as DD-MM-YYYY HH:MM.")
        }
        "datetime_seconds_ymd" => {
            (|text| date(text, Order::Ymd, Some(3)), "Please give a date and a time as YYYY-MM-DD HH:MM:SS.")
        }
        "datetime_seconds_mdy" => {
            (|text| date(text, Order::Mdy, Some(3)), "Please give a date and a time as MM-DD-YYYY HH:MM:SS.")
        }
        "datetime_seconds_dmy" => {
            (|text| date(text, Order::Dmy, Some(3)), "Please give a date and a time as DD-MM-YYYY HH:MM:SS.")
        }
        "time" => {
            (|text| clock(text, 2).map(Read::text), "Please give a time as HH:MM, from 00:00 to 23:59.")
        }
        "time_hh_mm_ss" => (|text| clock(text, 3).map(Read::text), "Please give a time as HH:MM:SS."),
        "time_mm_ss" => (minutes, "Please give minutes and seconds as MM:SS."),
        "email" => {
            (|text| is_email(text).then(|| Read::text(text.to_owned())), "Please give an e-mail address.")
        }
        "phone" => (phone, "Please give a phone number with area code, as in (615) 255-4000."),
        "zipcode" => (zipcode, "Please give a ZIP code of five digits."),
        _ => return None,
    })
}

/// A bound of a date field, which is stored year first whatever the field's order.
fn stored_value(validation: &str, bound: &str) -> Option<Read> {
    let ymd = validation.strip_suffix("_mdy").or_else(|| validation.strip_suffix("_dmy"))?;
    let (read, _) = reader(&format!("{ymd}_ymd"))?;
    read(bound)
}

fn number_read(text: &str, number: Option<f64>) -> Read {
    Read { stored: text.to_owned(), number }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A number with a point or a comma, and with an exact count of decimals if one is asked for.
fn decimal(text: &str, point: char, places: Option<usize>) -> Option<Read> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once(point) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let has_digits = !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    let fits = match places {
        None => fraction.is_none_or(|fraction| !fraction.is_empty()),
        Some(places) => fraction.is_some_and(|fraction| fraction.len() == places),
    };
    let ok = digits(whole) && fraction.is_none_or(digits) && has_digits && fits;
    ok.then(|| number_read(text, text.replacen(point, ".", 1).parse().ok()))
}

#[derive(Clone, Copy)]
enum Order {
    Ymd,
    Mdy,
    Dmy,
}

/// A date in the field's order, with a time of so many parts; stored year first.
fn date(text: &str, order: Order, time_parts: Option<usize>) -> Option<Read> {
    let (date, time) = match time_parts {
        None => (text, None),
        Some(parts) => {
            let (date, time) = text.split_once([' ', 'T'])?;
            (date, Some(clock(time.trim(), parts)?))
        }
    };
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let [first, second, third] = parts[..] else { return None };
    let (year, month, day) = match order {
        Order::Ymd => (first, second, third),
        Order::Mdy => (third, first, second),
        Order::Dmy => (third, second, first),
    };
    if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some(Read::text(match time {
        Some(time) => format!("{date} {time}"),
        None => date.to_string(),
    }))
}

/// A time of day of two or three parts; a single-digit hour is padded.
fn clock(text: &str, parts: usize) -> Option<String> {
    let given: Vec<&str> = text.split(':').collect();
    let shaped = given.len() == parts
        && given.iter().enumerate().all(|(index, part)| {
            part.bytes().all(|b| b.is_ascii_digit()) && (part.len() == 2 || (index == 0 && part.len() == 1))
        });
    if !shaped {
        return None;
    }
    let number = |index: usize| given.get(index).map_or(Some(0), |part| part.parse::<i8>().ok());
    Time::new(number(0)?, number(1)?, number(2)?, 0).ok()?;
    Some(format!("{:0>2}:{}", given[0], given[1..].join(":")))
}

fn minutes(text: &str) -> Option<Read> {
    let (minutes, seconds) = text.split_once(':')?;
    let part = |part: &str| {
        let ok = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        ok.then(|| part.parse::<u8>().ok()).flatten().filter(|&number| number < 60)
    };
    part(minutes)?;
    part(seconds)?;
    Some(Read::text(text.to_owned()))
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let labels: Vec<&str> = domain.split('.').collect();
    !local.is_empty()
        && !local.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '<' | '>' | ',' | ';' | '"'))
        && labels.len() >= 2
        && labels
            .iter()
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'))
}

/// A number of the North American plan: neither area nor exchange begins with 0 or 1. Stored the
/// way real servers store it, `(615) 255-4000`.
fn phone(text: &str) -> Option<Read> {
    if text.contains(|c: char| !(c.is_ascii_digit() || matches!(c, ' ' | '(' | ')' | '-' | '.' | '+'))) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(&digits);
    if digits.len() != 10 {
        return None;
    }
    let (area, exchange, line) = (&digits[..3], &digits[3..6], &digits[6..]);
    let ok = !area.starts_with(['0', '1']) && &area[1..2] != "9" && !exchange.starts_with(['0', '1']);
    ok.then(|| Read::text(format!("({area}) {exchange}-{line}")))
}

fn zipcode(text: &str) -> Option<Read> {
    let (zip, plus) = match text.split_once('-') {
        Some((zip, plus)) => (zip, Some(plus)),
        None => (text, None),
    };
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    (digits(zip, 5) && plus.is_none_or(|plus| digits(plus, 4))).then(|| Read::text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::parse_choices;

    fn field(validation: &str, min: &str, max: &str) -> Field {
        let bound = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Field { validation: Some(validation.into()), min: bound(min), max: bound(max), ..Field::default() }
    }

    /// What REDCap's public validation suite takes, takes with a warning, and refuses.
    #[test]
    fn the_types_of_the_public_suite() {
        for (validation, min, max, taken, warned, refused) in [
            ("date_ymd", "2023-08-01", "2023-08-31", "2023-08-02", "2023-09-01", "TEST"),
            (
                "datetime_ymd",
                "2023-09-01 01:01",
                "2023-09-30 01:59",
                "2023-09-02 01:03",
                "2024-08-02 12:12",
                "TEST",
            ),
            (
                "datetime_seconds_ymd",
                "2023-09-01 11:01:01",
                "2023-09-30 11:01:01",
                "2023-09-02 01:03:01",
                "2023-10-02 01:03:01",
                "Test",
            ),
            ("integer", "1", "100", "99", "0", "1.5"),
            ("number", "1", "5", "3", "6", "TEST"),
            ("number_1dp", "1.0", "5.0", "1.5", "5.1", "1"),
            ("number_1dp_comma_decimal", "1,0", "2,0", "1,5", "5,1", "1.5"),
            ("time", "08:05", "23:00", "08:10", "07:05", "9999"),
            ("time_mm_ss", "02:01", "59:00", "11:11", "01:59", "9999"),
            ("time_hh_mm_ss", "8:01:01", "23:00:00", "08:59:59", "07:59:59", "24:00:00"),
        ] {
            let field = field(validation, min, max);
            let stored = check(&field, taken).unwrap();
            assert_eq!((stored.value.as_str(), stored.warning), (taken, None), "{validation}");
            let stored = check(&field, warned).unwrap();
            assert_eq!(stored.value, warned, "{validation}");
            assert!(stored.warning.is_some(), "{validation} {warned}");
            assert!(check(&field, refused).is_err(), "{validation} {refused}");
        }
    }

    #[test]
    fn dates_are_typed_in_the_fields_order_and_stored_year_first() {
        for (validation, typed, wanted) in [
            ("date_dmy", "23-11-2026", Some("2026-11-23")),
            ("date_mdy", "11/23/2026", Some("2026-11-23")),
            ("date_mdy", "23/11/2026", None),
            ("date_dmy", "31-02-2026", None),
            ("date_dmy", "2-1-26", None),
            ("datetime_dmy", "23-11-2026 9:05", Some("2026-11-23 09:05")),
            ("datetime_dmy", "23-11-2026", None),
            ("date_ymd", "2026-11-23", Some("2026-11-23")),
        ] {
            let stored = check(&field(validation, "", ""), typed).ok().map(|stored| stored.value);
            assert_eq!(stored.as_deref(), wanted, "{validation} {typed}");
        }
        let bounded = field("date_dmy", "2026-11-01", "2026-11-30");
        assert_eq!(check(&bounded, "23-11-2026").unwrap().warning, None);
        assert!(check(&bounded, "01-12-2026").unwrap().warning.is_some());
    }

    #[test]
    fn the_other_types() {
        for (validation, typed, wanted) in [
            ("email", "email@test.edu", Some("email@test.edu")),
            ("email", "ringo@noreply", None),
            ("email", "a b@c.d", None),
            ("phone", "615.255.4000", Some("(615) 255-4000")),
            ("phone", "+1 615 255 4000", Some("(615) 255-4000")),
            ("phone", "115 255 4000", None),
            ("phone", "255-4000", None),
            ("zipcode", "90210", Some("90210")),
            ("zipcode", "90210-1234", Some("90210-1234")),
            ("zipcode", "9021", None),
            ("integer", "-5", Some("-5")),
            ("integer", "99999999999999999999", None),
            ("number", "-.5", Some("-.5")),
            ("number", ".", None),
            ("our_own_type", "anything", Some("anything")),
            ("integer", "  ", Some("")),
        ] {
            let stored = check(&field(validation, "", ""), typed).ok().map(|stored| stored.value);
            assert_eq!(stored.as_deref(), wanted, "{validation} {typed}");
        }
    }

    #[test]
    fn choices_are_codes_and_sliders_have_ends() {
        let radio =
            Field { kind: FieldKind::Radio, choices: parse_choices("1, A | 2, B"), ..Field::default() };
        assert_eq!(check(&radio, "2").unwrap().value, "2");
        assert!(check(&radio, "A").is_err());
        let slider = Field { kind: FieldKind::Slider, ..Field::default() };
        assert!(check(&slider, "101").is_err());
        assert_eq!(check(&slider, "050").unwrap().value, "50");
    }
}
