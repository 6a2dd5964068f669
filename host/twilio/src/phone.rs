//! Phone numbers in E.164.

use std::fmt;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, country};
use serde::{Deserialize, Serialize};

/// A phone number in E.164: a plus sign and 7 to 15 digits, such as `+16175550123`.
///
/// Two doors lead here. [`PhoneNumber::parse`] reads what a person typed and checks the country and the
/// number of digits. [`PhoneNumber::from_e164`] takes what Twilio or our own store hands over and checks the
/// shape alone, because a number Twilio already routed must not be refused by numbering tables that are
/// older than the number.
///
/// Neither asks whether the number is assigned. The fictional 555-01XX block and Twilio's test number
/// +15005550006 are in no numbering plan, and both are needed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// Why a text is not taken as a phone number. It never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPhone {
    #[error("phone number is empty")]
    Empty,
    /// Letters, extensions and second numbers are refused: a text message reaches exactly one line.
    #[error("phone number holds something other than digits and the usual separators")]
    Characters,
    #[error("phone number has no known country code")]
    Country,
    #[error("phone number has the wrong number of digits for its country")]
    Length,
    #[error("phone number has an area code that cannot exist in North America")]
    NorthAmerica,
    #[error("phone number is not a plus sign followed by 7 to 15 digits")]
    NotE164,
    #[error("default region `{region}` is not a two-letter country code that libphonenumber knows")]
    Region { region: String },
}

impl PhoneNumber {
    /// Reads a number as a person types it. `default_region` is an ISO 3166 code such as `US`.
    ///
    /// With a leading `+` the number is international. Without it, the reading that is valid wins: the
    /// national one first, then the international one with its plus left out (`61491570156`). When neither
    /// is a number in service, the national reading is kept if its length is possible.
    pub fn parse(text: &str, default_region: &str) -> Result<Self, NotAPhone> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NotAPhone::Empty);
        }
        let international = text.starts_with('+');
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if !unsigned.chars().all(is_digit_or_separator) {
            return Err(NotAPhone::Characters);
        }
        let digits: String = unsigned.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            return Err(NotAPhone::Empty);
        }
        let region: country::Id = default_region
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| NotAPhone::Region { region: default_region.to_owned() })?;

        let abroad = phonenumber::parse(None, format!("+{digits}"));
        if international {
            return Self::possible(&abroad.map_err(|error| refusal(&error))?);
        }
        let national = phonenumber::parse(Some(region), &digits);
        match (national, abroad) {
            (Ok(national), _) if national.is_valid() => Self::possible(&national),
            (_, Ok(abroad)) if abroad.is_valid() => Self::possible(&abroad),
            (Ok(national), _) => Self::possible(&national),
            (Err(error), _) => Err(refusal(&error)),
        }
    }

    /// Takes a number that is already E.164, and checks only that shape.
    pub fn from_e164(text: &str) -> Result<Self, NotAPhone> {
        let digits = text.strip_prefix('+').ok_or(NotAPhone::NotE164)?;
        let shaped = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if shaped { Ok(Self(text.to_owned())) } else { Err(NotAPhone::NotE164) }
    }

    /// The number itself, for the wire and the store only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four digits: enough for a person who knows the number to recognise it.
    pub fn last4(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// The ISO 3166 code of the number's country, or `None` where the numbering plan does not tell.
    pub fn region(&self) -> Option<String> {
        let number = phonenumber::parse(None, &self.0).ok()?;
        number.country().id().map(|id| id.as_ref().to_owned())
    }

    /// True for North American toll-free numbers (800, 833, 844, 855, 866, 877, 888).
    ///
    /// Twilio's number resource names a type only in newer responses, so the number itself decides.
    pub fn is_toll_free(&self) -> bool {
        self.0.len() == 12
            && ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"]
                .iter()
                .any(|prefix| self.0.starts_with(prefix))
    }

    fn possible(number: &phonenumber::PhoneNumber) -> Result<Self, NotAPhone> {
        let e164 = Self::from_e164(&number.format().mode(Mode::E164).to_string())?;
        let code = number.code().value();
        let national = &e164.0[1 + code.to_string().len()..];
        // Several countries share +1 and +7; the number need only fit one of them.
        let plans = DATABASE.by_code(&code).ok_or(NotAPhone::Country)?;
        let fits = plans.iter().any(|plan| {
            let kinds = plan.descriptors();
            // The general entry carries no lengths of its own in the compiled-in tables.
            [kinds.fixed_line(), kinds.mobile(), kinds.toll_free(), kinds.voip(), kinds.personal_number()]
                .into_iter()
                .flatten()
                .any(|kind| kind.possible_length().iter().any(|n| usize::from(*n) == national.len()))
        });
        if !fits {
            return Err(NotAPhone::Length);
        }
        // The exchange is not checked: made-up numbers such as +1 555 123 0001 break its rule.
        if code == 1 && national.starts_with(['0', '1']) {
            return Err(NotAPhone::NorthAmerica);
        }
        Ok(e164)
    }
}

fn refusal(error: &phonenumber::ParseError) -> NotAPhone {
    match error {
        phonenumber::ParseError::InvalidCountryCode => NotAPhone::Country,
        _ => NotAPhone::Length,
    }
}

fn is_digit_or_separator(c: char) -> bool {
    // The last range is Unicode's hyphens and dashes, which word processors put between digits.
    c.is_ascii_digit() || matches!(c, ' ' | '\u{a0}' | '(' | ')' | '-' | '.' | '/' | '\u{2010}'..='\u{2015}')
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber(…{})", self.last4())
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotAPhone;

    fn try_from(text: String) -> Result<Self, NotAPhone> {
        Self::from_e164(&text)
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(PhoneNumber::parse(text, "US").as_ref().map(PhoneNumber::expose), Ok(expected), "{text}");
    }

    #[test]
    fn reads_what_people_type() {
        for text in ["(617) 555-0123", "617-555-0123", "6175550123", "1 617 555 0123", "+1 617.555.0123"] {
            check(text, "+16175550123");
        }
        check("617\u{2011}555\u{2013}0123", "+16175550123");
        check("+61 491 570 156", "+61491570156");
        check("61491570156", "+61491570156");
        check("+15005550006", "+15005550006");
        check("5005550006", "+15005550006");
        check("+15551230001", "+15551230001");
        check("+44 20 7946 0018", "+442079460018");
    }

    #[test]
    fn the_default_region_decides_a_national_number() {
        let number = PhoneNumber::parse("0491 570 156", "AU").unwrap();
        assert_eq!(number.expose(), "+61491570156");
        assert_eq!(number.region().as_deref(), Some("AU"));
    }

    #[test]
    fn refuses_what_is_not_one_number() {
        let refused = |text| PhoneNumber::parse(text, "US").unwrap_err();
        assert_eq!(refused("  "), NotAPhone::Empty);
        assert_eq!(refused("() -"), NotAPhone::Empty);
        assert_eq!(refused("617-555-0123 x5"), NotAPhone::Characters);
        assert_eq!(refused("1-800-FLOWERS"), NotAPhone::Characters);
        assert_eq!(refused("555-0123"), NotAPhone::Length);
        assert_eq!(refused("+1617555012"), NotAPhone::Length);
        assert_eq!(refused("+16175550123 6175550124"), NotAPhone::Length);
        assert_eq!(refused("+999 617 555 0123"), NotAPhone::Country);
        assert_eq!(refused("+11234567890"), NotAPhone::NorthAmerica);
        assert_eq!(
            PhoneNumber::parse("6175550123", "USA").unwrap_err(),
            NotAPhone::Region { region: "USA".to_owned() }
        );
    }

    #[test]
    fn e164_is_a_shape() {
        assert!(PhoneNumber::from_e164("+16175550123").is_ok());
        for text in
            ["16175550123", "+1617 5550123", "+0617555012", "+1234567890123456", "", "+", "whatsapp:+1617"]
        {
            assert_eq!(PhoneNumber::from_e164(text), Err(NotAPhone::NotE164), "{text}");
        }
    }

    #[test]
    fn debug_shows_four_digits() {
        let number = PhoneNumber::from_e164("+16175550123").unwrap();
        assert_eq!(format!("{number:?}"), "PhoneNumber(…0123)");
    }

    #[test]
    fn toll_free_is_read_off_the_number() {
        let toll_free = |text| PhoneNumber::from_e164(text).unwrap().is_toll_free();
        assert!(toll_free("+18335550100"));
        assert!(!toll_free("+18225550100"));
        assert!(!toll_free("+81800555010"));
    }

    #[test]
    fn serde_checks_the_shape() {
        let number: PhoneNumber = serde_json::from_str("\"+16175550123\"").unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"+16175550123\"");
        let refusal = serde_json::from_str::<PhoneNumber>("\"6175550123\"").unwrap_err().to_string();
        assert!(!refusal.contains("6175550123"), "{refusal}");
    }
}
