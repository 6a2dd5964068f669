//! The validation types of text fields: what each takes, and how it asks for it.

use std::cmp::Ordering;

use jiff::civil::Date;
use phonenumber::country;

use super::dates::{self, Clock, Order};

/// A validation type this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Number {
        point: char,
        places: Option<usize>,
    },
    Date(Order),
    DateTime(Order, Clock),
    Time(Clock),
    MinutesSeconds,
    Email,
    /// North America.
    Phone,
    PhoneAustralia,
    PhoneUk,
    ZipCode,
    SocialSecurity,
    PostalCanada,
    PostalUk,
    /// A code of exactly so many digits.
    Digits(usize),
    /// A medical record number of letters and digits.
    RecordNumber,
    /// A medical record number of digits, as many as the hospital likes.
    RecordDigits,
    Letters,
}

/// A value that was understood: how it is stored, and what it is compared by.
pub(super) struct Read {
    pub(super) stored: String,
    number: Option<f64>,
}

impl Read {
    /// Numbers by size; dates and times, stored largest unit first, by their text.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self.number, other.number) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => Some(self.stored.cmp(&other.stored)),
        }
    }
}

impl Kind {
    /// The type of this name, in the data dictionary or in the project XML, which keeps older names.
    pub(super) fn named(validation: &str) -> Option<Self> {
        let point = |places| Self::Number { point: '.', places };
        let comma = |places| Self::Number { point: ',', places };
        Some(match validation {
            "integer" | "int" => Self::Integer,
            "number" | "float" => point(None),
            "number_1dp" => point(Some(1)),
            "number_2dp" => point(Some(2)),
            "number_3dp" => point(Some(3)),
            "number_4dp" => point(Some(4)),
            "number_comma_decimal" => comma(None),
            "number_1dp_comma_decimal" => comma(Some(1)),
            "number_2dp_comma_decimal" => comma(Some(2)),
            "number_3dp_comma_decimal" => comma(Some(3)),
            "number_4dp_comma_decimal" => comma(Some(4)),
            "date_ymd" | "date" => Self::Date(Order::Ymd),
            "date_mdy" => Self::Date(Order::Mdy),
            "date_dmy" => Self::Date(Order::Dmy),
            "datetime_ymd" | "datetime" => Self::DateTime(Order::Ymd, Clock::Minutes),
            "datetime_mdy" => Self::DateTime(Order::Mdy, Clock::Minutes),
            "datetime_dmy" => Self::DateTime(Order::Dmy, Clock::Minutes),
            "datetime_seconds_ymd" | "datetime_seconds" => Self::DateTime(Order::Ymd, Clock::Seconds),
            "datetime_seconds_mdy" => Self::DateTime(Order::Mdy, Clock::Seconds),
            "datetime_seconds_dmy" => Self::DateTime(Order::Dmy, Clock::Seconds),
            "time" => Self::Time(Clock::Minutes),
            "time_hh_mm_ss" => Self::Time(Clock::Seconds),
            "time_mm_ss" => Self::MinutesSeconds,
            "email" => Self::Email,
            "phone" => Self::Phone,
            "phone_australia" => Self::PhoneAustralia,
            "phone_uk" => Self::PhoneUk,
            "zipcode" => Self::ZipCode,
            "ssn" => Self::SocialSecurity,
            "postalcode_canada" => Self::PostalCanada,
            "postalcode_uk" => Self::PostalUk,
            "postalcode_australia" => Self::Digits(4),
            "postalcode_french" | "postalcode_germany" => Self::Digits(5),
            "mrn_10d" => Self::Digits(10),
            "mrn_generic" => Self::RecordNumber,
            "vmrn" => Self::RecordDigits,
            "alpha_only" => Self::Letters,
            _ => return None,
        })
    }

    /// The same type as a value for it stands in an import file.
    pub(super) fn imported(self) -> Self {
        match self {
            Self::Date(_) => Self::Date(Order::Imported),
            Self::DateTime(_, clock) => Self::DateTime(Order::Imported, clock),
            other => other,
        }
    }

    /// Whether a day can be compared with a value of this type.
    pub(super) fn has_a_day(self) -> bool {
        matches!(self, Self::Date(_) | Self::DateTime(..))
    }

    pub(super) fn read(self, text: &str, today: Date) -> Option<Read> {
        let number = match self {
            Self::Integer => Some(integer(text)?),
            Self::Number { point, places } => Some(decimal(text, point, places)?),
            _ => None,
        };
        let stored = match self {
            Self::Integer | Self::Number { .. } => text.to_owned(),
            Self::Date(order) => dates::date(text, order, today)?,
            Self::DateTime(order, clock) => dates::date_and_time(text, order, clock, today)?,
            Self::Time(clock) => dates::time_of_day(text, clock)?,
            Self::MinutesSeconds => dates::minutes_and_seconds(text)?,
            Self::Email => is_email(text).then(|| text.to_owned())?,
            Self::Phone => north_american(text)?,
            Self::PhoneAustralia => number_of(country::Id::AU, 61, text)?,
            Self::PhoneUk => number_of(country::Id::GB, 44, text)?,
            Self::ZipCode => fits(text, &["99999", "99999-9999"])?,
            Self::SocialSecurity => fits(text, &["999-99-9999"])?,
            Self::PostalCanada => canadian(text)?,
            Self::PostalUk => british(text)?,
            Self::Digits(count) => (text.len() == count && is_digits(text)).then(|| text.to_owned())?,
            Self::RecordNumber => {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| text.to_owned())?
            }
            Self::RecordDigits => is_digits(text).then(|| text.to_owned())?,
            Self::Letters => text.bytes().all(|byte| byte.is_ascii_alphabetic()).then(|| text.to_owned())?,
        };
        Some(Read { stored, number })
    }

    /// What was typed on a phone as it would have been typed on the page.
    pub(super) fn tidied(self, typed: &str) -> String {
        // Anything may stand before the `@` of an address.
        if self == Self::Email {
            return typed.to_owned();
        }
        let plain = plain_signs(typed);
        let text = plain.trim();
        match self {
            Self::Integer | Self::Number { .. } => match text.strip_prefix('+') {
                Some(unsigned) if !unsigned.starts_with(['+', '-']) => unsigned.to_owned(),
                _ => text.to_owned(),
            },
            Self::DateTime(..) | Self::Time(_) => dates::in_24_hours(text),
            Self::MinutesSeconds if text.find(':') == Some(1) => format!("0{text}"),
            Self::SocialSecurity => {
                let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.')).collect();
                match digits.len() {
                    9 if is_digits(&digits) => {
                        format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..])
                    }
                    _ => text.to_owned(),
                }
            }
            _ => text.to_owned(),
        }
    }

    /// A stored value of this type as the one who typed it knows it.
    pub(super) fn shown(self, stored: &str) -> String {
        match self {
            Self::Date(order) | Self::DateTime(order, _) => order.shown(stored),
            _ => stored.to_owned(),
        }
    }

    /// The sentence that asks for this type.
    pub(super) fn form(self) -> String {
        let example = |stored: &str| self.shown(stored);
        match self {
            Self::Integer => "Please give a whole number, for example 42.".to_owned(),
            Self::Number { point: ',', places: None } => {
                "Please give a number with a comma for the decimals, for example 36,6.".to_owned()
            }
            Self::Number { places: None, .. } => "Please give a number, for example 36.6.".to_owned(),
            Self::Number { point, places: Some(places) } => {
                let plural = if places == 1 { "" } else { "s" };
                let sign = if point == ',' { " after a comma" } else { "" };
                let decimals = &"6000"[..places.min(4)];
                format!(
                    "Please give a number with {places} decimal place{plural}{sign}, for example 36{point}{decimals}."
                )
            }
            Self::Date(order) => {
                format!("Please give a date as {}, for example {}.", order.pattern(), example("2026-12-31"))
            }
            Self::DateTime(order, clock) => {
                let moment = match clock {
                    Clock::Minutes => "2026-12-31 14:30",
                    Clock::Seconds => "2026-12-31 14:30:00",
                };
                let (day, time) = (order.pattern(), clock.pattern());
                format!("Please give a date and a time as {day} {time}, for example {}.", example(moment))
            }
            Self::Time(Clock::Minutes) => {
                "Please give a time as HH:MM, for example 08:30 or 14:30.".to_owned()
            }
            Self::Time(Clock::Seconds) => "Please give a time as HH:MM:SS, for example 14:30:00.".to_owned(),
            Self::MinutesSeconds => "Please give minutes and seconds as MM:SS, for example 04:30.".to_owned(),
            Self::Email => "Please give an e-mail address, for example joe@example.com.".to_owned(),
            Self::Phone => {
                "Please give a phone number with area code, for example (615) 255-4000.".to_owned()
            }
            Self::PhoneAustralia => {
                "Please give an Australian phone number, for example 0412 345 678.".to_owned()
            }
            Self::PhoneUk => "Please give a UK phone number, for example 07911 123456.".to_owned(),
            Self::ZipCode => "Please give a ZIP code of five digits, for example 90210.".to_owned(),
            Self::SocialSecurity => {
                "Please give a social security number as NNN-NN-NNNN, for example 123-12-1234.".to_owned()
            }
            Self::PostalCanada => "Please give a Canadian postal code, for example K1A 0B1.".to_owned(),
            Self::PostalUk => "Please give a UK postcode, for example SW1A 1AA.".to_owned(),
            Self::Digits(count) => {
                let digits = "1234567890".get(..count).unwrap_or("1234567890");
                format!("Please give a number of exactly {count} digits, for example {digits}.")
            }
            Self::RecordNumber => {
                "Please give a record number of letters and digits only, for example A123456789.".to_owned()
            }
            Self::RecordDigits => {
                "Please give a record number of digits only, for example 12345678.".to_owned()
            }
            Self::Letters => "Please use the letters A to Z only, for example Abc.".to_owned(),
        }
    }
}

/// Digits of every script, full-width signs, the several dashes and blanks as their plain kind, and
/// without the invisible marks that come along when a number is copied from an address book.
pub(super) fn plain_signs(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        })
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => {
                u8::try_from(u32::from(c) - 0xff01 + u32::from(b'!')).map_or(c, char::from)
            }
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            c if c.is_whitespace() => ' ',
            c => digit(c).unwrap_or(c),
        })
        .collect()
}

/// The ASCII digit for a digit of another script.
fn digit(c: char) -> Option<char> {
    /// Where the ten digits of a script begin in Unicode, for the scripts phones are typed in.
    const ZEROS: [u32; 17] = [
        0x0660, 0x06f0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50,
        0x0ed0, 0x0f20, 0x1040, 0x17e0, 0x1810,
    ];
    let value = ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(text: &str) -> Option<f64> {
    is_digits(text.strip_prefix(['-', '+']).unwrap_or(text)).then(|| text.parse().ok())?
}

/// A number with a point or a comma, and with an exact count of decimals if one is asked for. Only a
/// plain number may have a power of ten.
fn decimal(text: &str, point: char, places: Option<usize>) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, Some(power)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once(point) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let has_form = match (places, fraction) {
        (None, None) => is_digits(whole),
        (None, Some(fraction)) => (whole.is_empty() || is_digits(whole)) && is_digits(fraction),
        (Some(_), None) => false,
        (Some(places), Some(fraction)) => {
            (whole.is_empty() || is_digits(whole)) && is_digits(fraction) && fraction.len() == places
        }
    };
    let has_power = power
        .is_none_or(|power| places.is_none() && is_digits(power.strip_prefix(['-', '+']).unwrap_or(power)));
    let number = || text.replacen(point, ".", 1).parse::<f64>().ok();
    (has_form && has_power).then(number)?.filter(|number| number.is_finite())
}

/// The text itself if it has one of the shapes, in which a 9 stands for any digit.
fn fits(text: &str, shapes: &[&str]) -> Option<String> {
    let fits = |shape: &&str| {
        shape.len() == text.len()
            && shape.bytes().zip(text.bytes()).all(|(shape, byte)| match shape {
                b'9' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    shapes.iter().any(fits).then(|| text.to_owned())
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | ',' | ';' | '"');
    !local.is_empty()
        && !local.contains(odd)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && labels.len() >= 2
        && labels.iter().all(is_label)
        && labels.last().is_some_and(|last| last.chars().count() >= 2 && !is_digits(last))
}

/// A number of the North American plan, stored the way real servers store it, `(615) 255-4000`.
///
/// Neither area nor exchange begins with 0 or 1. An extension is not taken: no public source says how
/// REDCap stores one, and no message could be sent to it.
fn north_american(text: &str) -> Option<String> {
    let is_sign = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '(' | ')' | '-' | '.');
    let abroad = text.strip_prefix('+');
    let text = abroad.unwrap_or(text);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let national = digits.strip_prefix('1').filter(|rest| rest.len() == 10);
    // With a plus, the country has to be given, or the number is another country's.
    let digits = if abroad.is_some() { national? } else { national.unwrap_or(&digits) };
    if digits.len() != 10 || !text.chars().all(is_sign) {
        return None;
    }
    let (area, exchange, line) = (&digits[..3], &digits[3..6], &digits[6..]);
    let ok = !area.starts_with(['0', '1']) && &area[1..2] != "9" && !exchange.starts_with(['0', '1']);
    ok.then(|| format!("({area}) {exchange}-{line}"))
}

/// A number of one country, stored as typed. How such numbers are grouped is a matter of taste, and
/// REDCap leaves it alone.
///
/// The country's code decides, because islands share it: `+44 7911`, which people in Britain give as
/// well, is Guernsey's.
fn number_of(region: country::Id, code: u16, text: &str) -> Option<String> {
    let is_sign = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '(' | ')' | '-' | '.');
    if !text.strip_prefix('+').unwrap_or(text).chars().all(is_sign) {
        return None;
    }
    let number = phonenumber::parse(Some(region), text).ok()?;
    let is_good = number.code().value() == code && number.is_valid();
    is_good.then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `A0A 0A0`. The post does not use letters that are easily mistaken for others.
fn canadian(text: &str) -> Option<String> {
    let code = capitals(text)?;
    let letter = |byte: u8| byte.is_ascii_uppercase() && !b"DFIOQU".contains(&byte);
    let ok = code.len() == 6
        && !b"WZ".contains(&code.as_bytes()[0])
        && code.bytes().enumerate().all(|(at, byte)| match at % 2 {
            0 => letter(byte),
            _ => byte.is_ascii_digit(),
        });
    ok.then(|| format!("{} {}", &code[..3], &code[3..]))
}

/// `M1 1AA`, `SW1A 1AA` and the like: area and district, then always a digit and two letters.
fn british(text: &str) -> Option<String> {
    let code = capitals(text)?;
    let (outward, inward) = code.split_at_checked(code.len().checked_sub(3)?)?;
    let shape: String = outward.bytes().map(|byte| if byte.is_ascii_digit() { '9' } else { 'A' }).collect();
    let outward_ok =
        matches!(shape.as_str(), "A9" | "A99" | "AA9" | "AA99" | "A9A" | "AA9A") || outward == "GIR";
    let letter = |byte: u8| byte.is_ascii_uppercase() && !b"CIKMOV".contains(&byte);
    let &[number, first, second] = inward.as_bytes() else { return None };
    let ok = outward_ok && number.is_ascii_digit() && letter(first) && letter(second);
    ok.then(|| format!("{outward} {inward}"))
}

/// A postal code in capitals and without blanks; none if it holds anything but letters and digits.
fn capitals(text: &str) -> Option<String> {
    let code: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}
