//! Money without floating point: whole micro-units (millionths of a dollar) and Twilio's decimal texts.

const UNIT: i64 = 1_000_000;

/// Reads one of Twilio's decimals, such as `-0.00750` or `12.3`, as micro-units.
///
/// `None` when it is not a plain decimal, is finer than a millionth, or does not fit: a price is exact or it is
/// not known.
pub fn micros(decimal: &str) -> Option<i64> {
    let (negative, digits) = match decimal.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, decimal),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || digits.ends_with('.') || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    let amount = whole.checked_mul(UNIT)?.checked_add(fraction)?;
    Some(if negative { -amount } else { amount })
}

/// Writes micro-units as a decimal with at least two places, such as `-0.0075` or `12.30`.
pub fn decimal(micros: i64) -> String {
    let (whole, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let fraction = format!("{fraction:06}");
    let places = fraction.trim_end_matches('0').len().max(2);
    format!("{}{whole}.{}", if micros < 0 { "-" } else { "" }, &fraction[..places])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_of_twilio() {
        for (text, expected) in [
            ("-0.00750", -7_500),
            ("0.05", 50_000),
            ("12.3", 12_300_000),
            ("20", 20_000_000),
            ("-0", 0),
            ("0.000001", 1),
            ("0.0000010", 1),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "5.", ".5", "+1", "--1", "1e3", "1,5", "0.0000001", "$1", " 1", "1.2.3"] {
            assert_eq!(micros(text), None, "{text}");
        }
        assert_eq!(micros("9223372036854.775808"), None);
        assert_eq!(micros("99999999999999999999"), None);
    }

    #[test]
    fn written_for_people() {
        for (micros, expected) in [
            (0, "0.00"),
            (-7_500, "-0.0075"),
            (12_300_000, "12.30"),
            (1, "0.000001"),
            (-20_000_000, "-20.00"),
        ] {
            assert_eq!(decimal(micros), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(amount in -i64::MAX..=i64::MAX) {
            prop_assert_eq!(micros(&decimal(amount)), Some(amount));
        }
    }
}
