//! What an expression comes to, and how REDCap writes it down.

use std::borrow::Cow;
use std::cmp::Ordering;

/// An outcome. Texts are borrowed from the record or the expression where they can be.
#[derive(Clone, PartialEq)]
pub enum Value<'a> {
    /// Nothing: an empty field, or a calculation that has no result.
    Blank,
    /// A missing data code: no value, but a reason why there is none.
    Missing(&'a str),
    Number(f64),
    /// A number as it is stored, perhaps with a comma before its decimals.
    Stored(f64, &'a str),
    Text(Cow<'a, str>),
    Truth(bool),
}

impl std::fmt::Debug for Value<'_> {
    /// Texts are participants' answers, so only their kind is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blank => f.write_str("Blank"),
            Self::Missing(_) => f.write_str("Missing(…)"),
            Self::Number(_) | Self::Stored(..) => f.write_str("Number(…)"),
            Self::Text(_) => f.write_str("Text(…)"),
            Self::Truth(truth) => write!(f, "Truth({truth})"),
        }
    }
}

/// A longer text is blank, so that no expression can blow one up without end. No field of REDCap's
/// holds more.
pub(super) const LONGEST: usize = 65_535;

impl<'a> Value<'a> {
    /// Whether there is nothing. `''` in an expression is an empty text, which is nothing too.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Blank => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// Whether a condition with this outcome holds: a number other than 0, or any text but `0`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Blank => false,
            Self::Truth(truth) => *truth,
            Self::Number(number) | Self::Stored(number, _) => *number != 0.0,
            Self::Missing(text) => is_true(text),
            Self::Text(text) => is_true(text),
        }
    }

    /// As REDCap would store it. A truth is 1 or 0.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Self::Blank => Cow::Borrowed(""),
            Self::Missing(code) => Cow::Borrowed(code),
            Self::Number(number) => Cow::Owned(format_number(*number)),
            Self::Stored(_, text) => Cow::Borrowed(text),
            Self::Truth(truth) => Cow::Borrowed(if *truth { "1" } else { "0" }),
            Self::Text(text) => text.clone(),
        }
    }

    /// The number it is, if it is one. A missing data code is none, even one made of digits.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Blank | Self::Missing(_) => None,
            Self::Number(number) | Self::Stored(number, _) => Some(*number),
            Self::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Self::Text(text) => parse_number(text),
        }
    }

    pub(super) fn of_text(text: &'a str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(Cow::Borrowed(text)) }
    }

    pub(super) fn of_string(text: String) -> Self {
        if text.is_empty() || text.len() > LONGEST { Self::Blank } else { Self::Text(Cow::Owned(text)) }
    }

    pub(super) fn of_number(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Blank }
    }
}

fn is_true(text: &str) -> bool {
    parse_number(text).map_or(!text.is_empty(), |number| number != 0.0)
}

/// A number in a text; `inf` and `nan` are words.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    // Most values are codes of one digit.
    if let [digit @ b'0'..=b'9'] = text.as_bytes() {
        return Some(f64::from(digit - b'0'));
    }
    text.bytes().all(numeric).then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// A number as real servers store it: 14 significant digits, no trailing zeros, and a power of ten
/// (`1.0E-5`) where the number is below 0.0001 or has more than 14 digits before the point. This is
/// how PHP writes numbers.
#[must_use]
pub fn format_number(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return "0".to_owned();
    }
    let scientific = format!("{number:.13e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..14).contains(&exponent) {
        return scientific.parse::<f64>().unwrap_or(number).to_string();
    }
    let mantissa = mantissa.trim_end_matches('0');
    let point = if mantissa.ends_with('.') { "0" } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{point}E{sign}{}", exponent.abs())
}

/// A number with the digits that its text would have. The bits past them are noise of the
/// calculation, not of the data.
pub(super) fn significant(number: f64, digits: usize) -> f64 {
    if number.fract() == 0.0 && number.abs() < 1e13 {
        return number + 0.0;
    }
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}

/// Whether two numbers are the same to 14 digits.
pub(crate) fn same(left: f64, right: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "most numbers are whole, and then this decides")]
    if left == right {
        return true;
    }
    // Whole numbers are exact, and two that differ in the last digit of sixteen are two.
    let is_whole = |number: f64| number.fract() == 0.0 && number.abs() < 9e15;
    if is_whole(left) && is_whole(right) {
        return false;
    }
    (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
        && significant(left, 14).total_cmp(&significant(right, 14)).is_eq()
}

/// How two texts of digits order, however long they are; none if one is anything else. Numbers of
/// devices and cards have more digits than a calculation keeps.
pub(super) fn order_of_digits(left: &str, right: &str) -> Option<Ordering> {
    let digits = |text: &'_ str| {
        let text = text.trim();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.trim_start_matches('0').to_owned())
    };
    let (left, right) = (digits(left)?, digits(right)?);
    Some(left.len().cmp(&right.len()).then_with(|| left.cmp(&right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_servers_store_them() {
        for (number, wanted) in [
            (71.0 / (1.85 * 1.85), "20.745069393718"),
            (103.0 / (1.8 * 1.8), "31.79012345679"),
            (20.0, "20"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (0.0001, "0.0001"),
            (0.00001, "1.0E-5"),
            (0.000_012_5, "1.25E-5"),
            (99_999_999_999_999.0, "99999999999999"),
            (100_000_000_000_000.0, "1.0E+14"),
            (-1.5e300, "-1.5E+300"),
            (61_491_570_156.0, "61491570156"),
        ] {
            assert_eq!(format_number(number), wanted);
        }
    }

    #[test]
    fn numbers_are_the_same_if_their_texts_are() {
        assert!(same(0.1 + 0.2, 0.3));
        assert!(!same(0.3, 0.300_000_000_000_1));
        assert!(same(0.0, -0.0));
        assert!(!same(1.0, 2.0));
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["", " ", "inf", "nan", "1,5", "1e999", "0x10", "--1", "1 2"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
        assert_eq!(parse_number(" -1.5e3 "), Some(-1500.0));
        assert_eq!(parse_number("007"), Some(7.0));
    }
}
