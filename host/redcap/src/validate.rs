//! Whether a field takes what was typed, and as what it is stored.
//!
//! A wrong format is refused; a value outside the field's range is stored with a warning, because
//! REDCap's ranges are soft unless the field says `@FORCE-MINMAX`. A type this crate does not know
//! takes any text: installations add their own.
//!
//! There are three ways in: [`check_as_typed`] for what a person wrote in a message, [`check`] for
//! what came from a page, and [`check_imported`] for what stands in a file. `tests/cases/validation.txt`
//! lists by example what each type takes.

mod dates;
mod tags;
mod types;

use std::cmp::Ordering;

use jiff::civil::Date;

use crate::html::html_to_text;
use crate::project::{Choice, Field, FieldKind};
use types::{Kind, Read};

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

/// Checks one answer from a page, where choices are codes. Blank is always taken; whether an answer
/// is required is asked elsewhere. For a checkbox, `typed` is one code.
///
/// `today` tells which century a year of two digits is in, and resolves a bound written as `today` or
/// `now`. `missing` are the project's missing data codes: every field takes one of those as it is,
/// unless the field says `@NOMISSING`.
pub fn check(field: &Field, typed: &str, today: Date, missing: &[Choice]) -> Result<Stored, Refusal> {
    judge(field, typed, today, missing, Source::Page)
}

/// Checks one answer that a person wrote freely, in a message for instance.
///
/// On top of what [`check`] takes, digits may be of any script, times may be followed by `am` or `pm`,
/// and a choice may be named by its code in any case (`1.`, ` b)`) or by its label, as long as only
/// one choice can be meant.
pub fn check_as_typed(
    field: &Field,
    typed: &str,
    today: Date,
    missing: &[Choice],
) -> Result<Stored, Refusal> {
    judge(field, typed, today, missing, Source::Person)
}

/// Checks one value of an import.
///
/// Dates are year first whatever the field's order, or month, day and year parted by slashes, as a
/// spreadsheet leaves them. Action tags act on pages, so no choice is hidden from an import, no text is
/// too long for it, and every range is soft.
pub fn check_imported(
    field: &Field,
    value: &str,
    today: Date,
    missing: &[Choice],
) -> Result<Stored, Refusal> {
    judge(field, value, today, missing, Source::Import)
}

/// Checks all the boxes that were ticked in a checkbox field, each given as [`check_as_typed`] takes
/// it, and gives each code once.
///
/// Beyond the single codes this knows the tags that concern the set: how many may be ticked
/// (`@MAXCHECKED`), and which exclude all others (`@NONEOFTHEABOVE`).
pub fn check_boxes(field: &Field, codes: &[&str]) -> Result<Vec<String>, Refusal> {
    let mut ticked: Vec<String> = Vec::new();
    for typed in codes.iter().map(|code| code.trim()).filter(|code| !code.is_empty()) {
        let code = choose(field, typed, Source::Person)?.value;
        if !ticked.contains(&code) {
            ticked.push(code);
        }
    }
    if let Some(most) = tags::number(field, "@MAXCHECKED").filter(|most| ticked.len() > *most) {
        let answers = if most == 1 { "answer" } else { "answers" };
        return Err(refusal(format!("Please choose at most {most} {answers}.")));
    }
    let alone = tags::codes(field, "@NONEOFTHEABOVE").unwrap_or_default();
    if ticked.len() > 1 && ticked.iter().any(|code| alone.contains(code)) {
        return Err(shortest(
            format!("{} cannot be chosen together with other answers.", alone.join(", ")),
            "One of these answers cannot be chosen together with others.",
        ));
    }
    Ok(ticked)
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Page,
    Person,
    Import,
}

fn judge(
    field: &Field,
    typed: &str,
    today: Date,
    missing: &[Choice],
    source: Source,
) -> Result<Stored, Refusal> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(plain(""));
    }
    match field.kind {
        FieldKind::Calc | FieldKind::Descriptive => Err(refusal("This is not a question.")),
        FieldKind::File | FieldKind::Signature => Err(refusal("This question takes a file, not a text.")),
        _ if is_missing_code(field, typed, missing) => Ok(plain(typed)),
        FieldKind::Radio
        | FieldKind::Dropdown
        | FieldKind::Checkbox
        | FieldKind::YesNo
        | FieldKind::TrueFalse
        | FieldKind::Sql => choose(field, typed, source),
        FieldKind::Slider => slider(field, typed, source),
        FieldKind::Notes => limited(field, typed, source).map(|()| plain(typed)),
        FieldKind::Text => text(field, typed, today, source),
    }
}

fn is_missing_code(field: &Field, typed: &str, missing: &[Choice]) -> bool {
    missing.iter().any(|missing| missing.code == typed)
        && field.choice_label(typed).is_none()
        && !field.has_tag("@NOMISSING")
}

fn plain(value: &str) -> Stored {
    Stored { value: value.to_owned(), warning: None }
}

fn refusal(sentence: impl Into<String>) -> Refusal {
    Refusal { sentence: sentence.into() }
}

/// The sentence, or one that says less if it would not fit into a text message with a question.
fn shortest(sentence: String, other: &str) -> Refusal {
    if sentence.chars().count() < 120 { refusal(sentence) } else { refusal(other) }
}

/// One choice of the field, by its code.
fn choose(field: &Field, typed: &str, source: Source) -> Result<Stored, Refusal> {
    let choices = offered(field, source);
    // What a query on the server offers is not in the project file.
    if field.kind == FieldKind::Sql && field.choices.is_empty() {
        return Ok(plain(typed));
    }
    let chosen = choices.iter().find(|choice| choice.code == typed).copied();
    let chosen = chosen.or_else(|| (source == Source::Person).then(|| meant(&choices, typed))?);
    chosen.map(|choice| plain(&choice.code)).ok_or_else(|| {
        let codes: Vec<&str> = choices.iter().map(|choice| choice.code.as_str()).collect();
        let other = "Please choose one of the answers.";
        if codes.is_empty() {
            return refusal(other);
        }
        shortest(format!("Please answer with one of these: {}.", codes.join(", ")), other)
    })
}

/// The choices a person sees. `@SHOWCHOICE` counts more than `@HIDECHOICE`.
fn offered(field: &Field, source: Source) -> Vec<&Choice> {
    let tagged = |name| if source == Source::Import { None } else { tags::codes(field, name) };
    let (shown, hidden) = (tagged("@SHOWCHOICE"), tagged("@HIDECHOICE").unwrap_or_default());
    let is_offered = |choice: &&Choice| match &shown {
        Some(shown) => shown.contains(&choice.code),
        None => !hidden.contains(&choice.code),
    };
    field.choices.iter().filter(is_offered).collect()
}

/// The one choice a person can have meant. A code counts more than a label.
fn meant<'a>(choices: &[&'a Choice], typed: &str) -> Option<&'a Choice> {
    let plain = types::plain_signs(typed);
    let bare = plain.trim().trim_start_matches(['(', '[']).trim_end_matches(['.', ')', ']', ':']).trim();
    if bare.is_empty() {
        return None;
    }
    let only = |fits: &dyn Fn(&Choice) -> bool| {
        let mut fitting = choices.iter().copied().filter(|choice| fits(choice));
        fitting.next().filter(|_| fitting.next().is_none())
    };
    if let Some(choice) = choices.iter().find(|choice| choice.code == bare) {
        return Some(choice);
    }
    let same = |left: &str, right: &str| folded(left) == folded(right);
    only(&|choice| same(&choice.code, bare)).or_else(|| {
        only(&|choice| {
            let label = html_to_text(&choice.label);
            let label = label.trim();
            !label.is_empty() && (same(label, typed) || same(label.trim_end_matches('.'), bare))
        })
    })
}

/// A text as it is compared when case and the width of blanks do not matter.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn slider(field: &Field, typed: &str, source: Source) -> Result<Stored, Refusal> {
    let whole = |text: &str| text.trim().parse::<i64>().ok();
    let bound = |bound: &Option<String>, default| bound.as_deref().and_then(whole).unwrap_or(default);
    let (low, high) = (bound(&field.min, 0), bound(&field.max, 100));
    let typed = if source == Source::Person { types::plain_signs(typed) } else { typed.to_owned() };
    match whole(&typed) {
        // A slider cannot be moved past its ends, so here the range is hard.
        Some(value) if (low..=high).contains(&value) => Ok(plain(&value.to_string())),
        _ => Err(refusal(format!("Please give a whole number from {low} to {high}."))),
    }
}

/// The limits that keep a person from typing more. Words are what blanks part.
fn limited(field: &Field, typed: &str, source: Source) -> Result<(), Refusal> {
    if source == Source::Import {
        return Ok(());
    }
    let over = |name, count: usize| tags::number(field, name).filter(|most| count > *most);
    if let Some(most) = over("@CHARLIMIT", typed.chars().count()) {
        return Err(refusal(format!("Please use at most {most} characters.")));
    }
    if let Some(most) = over("@WORDLIMIT", typed.split_whitespace().count()) {
        return Err(refusal(format!("Please use at most {most} words.")));
    }
    Ok(())
}

fn text(field: &Field, typed: &str, today: Date, source: Source) -> Result<Stored, Refusal> {
    let known = field.validation.as_deref().and_then(Kind::named);
    let Some(kind) = known else { return limited(field, typed, source).map(|()| plain(typed)) };
    let tidied = if source == Source::Person { kind.tidied(typed) } else { typed.to_owned() };
    // Nothing may be left of it, when only invisible marks were sent.
    if tidied.is_empty() {
        return Ok(plain(""));
    }
    let as_given = if source == Source::Import { kind.imported() } else { kind };
    let Some(value) = as_given.read(&tidied, today) else { return Err(refusal(kind.form())) };
    limited(field, &tidied, source)?;
    let (min, max) = (bound(kind, field.min.as_deref(), today), bound(kind, field.max.as_deref(), today));
    let is_within = |value: &Read| {
        let is =
            |bound: &Option<Bound>, wrong| bound.as_ref().is_some_and(|b| b.compared(value) == Some(wrong));
        !is(&min, Ordering::Less) && !is(&max, Ordering::Greater)
    };
    if is_within(&value) {
        return Ok(plain(&value.stored));
    }
    // A year of two digits that the range has only in the century before is of that century.
    let a_century_ago = today.saturating_sub(jiff::Span::new().years(100));
    if let Some(earlier) = as_given.read(&tidied, a_century_ago).filter(is_within) {
        return Ok(plain(&earlier.stored));
    }
    let range = match (&min, &max) {
        (Some(min), Some(max)) => format!("from {} to {}", min.shown(kind), max.shown(kind)),
        (Some(bound), None) if kind.has_a_day() => format!("from {} on", bound.shown(kind)),
        (None, Some(bound)) if kind.has_a_day() => format!("up to {}", bound.shown(kind)),
        (Some(min), None) => format!("of {} or more", min.shown(kind)),
        (None, Some(max)) => format!("of {} or less", max.shown(kind)),
        (None, None) => String::new(),
    };
    if source != Source::Import && field.has_tag("@FORCE-MINMAX") {
        return Err(shortest(format!("Please give a value {range}."), "This value is outside the range."));
    }
    let warning = shortest(
        format!("A value {range} was expected. It is stored as given; please check it."),
        "This value is outside the expected range. It is stored as given; please check it.",
    );
    Ok(Stored { value: value.stored, warning: Some(warning.sentence) })
}

/// One end of a range.
enum Bound {
    Value(Read),
    /// Today. A time on that day is neither before nor after it.
    Day(Date),
}

/// The bound, if it is known here. One that is another field's value (`[visit_date]`) is not, since the
/// record is not here, nor is one that does not have the form of its own type; neither is warned about.
fn bound(kind: Kind, written: Option<&str>, today: Date) -> Option<Bound> {
    let written = written?.trim();
    if written.eq_ignore_ascii_case("today") || written.eq_ignore_ascii_case("now") {
        return kind.has_a_day().then_some(Bound::Day(today));
    }
    kind.read(written, today).map(Bound::Value)
}

impl Bound {
    /// How a value stands to it.
    fn compared(&self, value: &Read) -> Option<Ordering> {
        match self {
            Self::Value(bound) => value.order(bound),
            Self::Day(day) => value.stored.get(..10).map(|date| date.cmp(day.to_string().as_str())),
        }
    }

    fn shown(&self, kind: Kind) -> String {
        match self {
            Self::Value(bound) => kind.shown(&bound.stored),
            Self::Day(_) => "today".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::project::{fixed_choices, parse_choices};

    const TODAY: Date = date(2026, 11, 23);

    /// Every type by every name, and one that this crate does not know.
    const TYPES: [&str; 44] = [
        "int",
        "integer",
        "float",
        "number",
        "number_1dp",
        "number_2dp",
        "number_3dp",
        "number_4dp",
        "number_comma_decimal",
        "number_1dp_comma_decimal",
        "number_2dp_comma_decimal",
        "number_3dp_comma_decimal",
        "number_4dp_comma_decimal",
        "date",
        "date_ymd",
        "date_mdy",
        "date_dmy",
        "datetime",
        "datetime_ymd",
        "datetime_mdy",
        "datetime_dmy",
        "datetime_seconds",
        "datetime_seconds_ymd",
        "datetime_seconds_mdy",
        "datetime_seconds_dmy",
        "time",
        "time_hh_mm_ss",
        "time_mm_ss",
        "email",
        "phone",
        "phone_australia",
        "phone_uk",
        "zipcode",
        "ssn",
        "postalcode_canada",
        "postalcode_uk",
        "postalcode_australia",
        "postalcode_french",
        "postalcode_germany",
        "mrn_10d",
        "mrn_generic",
        "vmrn",
        "alpha_only",
        "our_own_type",
    ];

    type Check = fn(&Field, &str, Date, &[Choice]) -> Result<Stored, Refusal>;

    fn field(validation: &str, min: &str, max: &str) -> Field {
        let bound = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Field { validation: Some(validation.into()), min: bound(min), max: bound(max), ..Field::default() }
    }

    fn radio(choices: &str, annotation: &str) -> Field {
        Field {
            kind: FieldKind::Radio,
            choices: parse_choices(choices),
            annotation: Some(annotation.to_owned()),
            ..Field::default()
        }
    }

    fn value(checked: Result<Stored, Refusal>) -> Option<String> {
        checked.ok().map(|stored| stored.value)
    }

    /// What happened, in the words of the file of cases.
    fn told(checked: &Result<Stored, Refusal>) -> String {
        match checked {
            Ok(Stored { value, warning: None }) => value.clone(),
            Ok(Stored { value, warning: Some(_) }) => format!("warned {value}"),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn the_cases_of_the_file() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/validation.txt");
        let text = std::fs::read_to_string(file).unwrap();
        let (mut wrong, mut count) = (Vec::new(), 0);
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            count += 1;
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let &[kind, min, max, typed, wanted, why] = &columns[..] else {
                wrong.push(format!("{file}:{number}: not six columns"));
                continue;
            };
            let (kind, tags) = kind.split_once(' ').unwrap_or((kind, ""));
            let mut field = field(kind, min, max);
            field.kind = FieldKind::from_name(kind).unwrap_or_default();
            field.annotation = Some(tags.to_owned());
            let checked = check_as_typed(&field, typed, TODAY, &[]);
            let told = told(&checked);
            if told != wanted {
                wrong.push(format!("{file}:{number}: {told} instead of {wanted} ({why})"));
            }
            let sentence = match &checked {
                Ok(stored) => stored.warning.as_deref(),
                Err(refusal) => Some(refusal.sentence.as_str()),
            };
            if let Some(sentence) = sentence {
                // The form asked for may happen to look like what was typed; nothing else may.
                let form = Kind::named(kind).map(Kind::form);
                let repeats =
                    checked.is_err() && form.as_deref() != Some(sentence) && sentence.contains(typed);
                if repeats || !sentence.ends_with('.') || sentence.chars().count() >= 120 {
                    wrong.push(format!("{file}:{number}: what is said is too long, or repeats the value"));
                }
            }
            // A stored value is taken again, from a message, a page and a file, and stays the same.
            if let Ok(stored) = checked {
                for check in [check_as_typed, check, check_imported] {
                    if value(check(&field, &stored.value, TODAY, &[])).as_ref() != Some(&stored.value) {
                        wrong.push(format!("{file}:{number}: the stored value is not taken as it is"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(count >= 150, "only {count} cases");
    }

    #[test]
    fn every_type_asks_for_its_form_with_an_example_it_takes() {
        for name in TYPES.iter().filter(|name| **name != "our_own_type") {
            let refusal = check(&field(name, "", ""), "?!", TODAY, &[]).unwrap_err();
            assert!(refusal.sentence.chars().count() < 120, "{name}");
            let (_, example) = refusal.sentence.rsplit_once("for example ").unwrap();
            for example in example.trim_end_matches('.').split(" or ") {
                assert!(check(&field(name, "", ""), example, TODAY, &[]).is_ok(), "{name} {example}");
            }
        }
    }

    #[test]
    fn a_range_is_told_as_the_field_is_typed() {
        let between = field("date_dmy", "2026-11-01", "2026-11-30");
        let warning = check(&between, "01-12-2026", TODAY, &[]).unwrap().warning.unwrap();
        assert!(warning.contains("from 01-11-2026 to 30-11-2026"), "{warning}");
        let past = field("date_mdy", "", "today");
        let warning = check(&past, "12/01/2026", TODAY, &[]).unwrap().warning.unwrap();
        assert!(warning.contains("up to today"), "{warning}");
        let few = Field { annotation: Some("@FORCE-MINMAX".into()), ..field("integer", "", "5") };
        let refusal = check(&few, "6", TODAY, &[]).unwrap_err();
        assert_eq!(refusal.sentence, "Please give a value of 5 or less.");
        let long = field("number", &"1".repeat(90), &"2".repeat(90));
        let warning = check(&long, "3", TODAY, &[]).unwrap().warning.unwrap();
        assert!(warning.chars().count() < 120);
    }

    #[test]
    fn a_page_takes_codes_and_a_person_may_name_what_is_meant() {
        let answers = radio("1, Yes, gladly | 2, <b>No</b> | a, Maybe | 9, Other. | 10, other", "");
        for (typed, page, person) in [
            ("1", Some("1"), Some("1")),
            ("1.", None, Some("1")),
            (" 1)", None, Some("1")),
            ("(1)", None, Some("1")),
            ("１", None, Some("1")),
            ("٢", None, Some("2")),
            ("A", None, Some("a")),
            ("b", None, None),
            ("yes,  GLADLY", None, Some("1")),
            ("no", None, Some("2")),
            ("No.", None, Some("2")),
            ("maybe", None, Some("a")),
            // Two labels are the same but for the stop.
            ("other", None, None),
            ("Yes", None, None),
            (".", None, None),
            ("11", None, None),
        ] {
            assert_eq!(value(check(&answers, typed, TODAY, &[])).as_deref(), page, "{typed}");
            assert_eq!(value(check_as_typed(&answers, typed, TODAY, &[])).as_deref(), person, "{typed}");
        }
        // Codes that differ by case only are told apart, or not at all.
        let cases = radio("a, One | A, Two", "");
        assert_eq!(value(check_as_typed(&cases, "A", TODAY, &[])).as_deref(), Some("A"));
        let cases = radio("ab, One | AB, Two", "");
        assert!(check_as_typed(&cases, "Ab", TODAY, &[]).is_err());
        // A code counts more than the label of another choice.
        let crossed = radio("1, 2 | 2, 1", "");
        assert_eq!(value(check_as_typed(&crossed, "2.", TODAY, &[])).as_deref(), Some("2"));
        let yes_no =
            Field { kind: FieldKind::YesNo, choices: fixed_choices(FieldKind::YesNo), ..Field::default() };
        assert_eq!(value(check_as_typed(&yes_no, "YES", TODAY, &[])).as_deref(), Some("1"));
        assert!(check_imported(&yes_no, "Yes", TODAY, &[]).is_err());
        let query = Field { kind: FieldKind::Sql, ..Field::default() };
        assert!(check(&query, "anything", TODAY, &[]).is_ok());
    }

    #[test]
    fn a_refused_choice_is_answered_with_the_codes() {
        let refusal = check(&radio("1, A | 2, B", ""), "secret", TODAY, &[]).unwrap_err();
        assert_eq!(refusal.sentence, "Please answer with one of these: 1, 2.");
        let many: Vec<String> = (0..200).map(|code| format!("{code}, Label")).collect();
        let refusal = check(&radio(&many.join(" | "), ""), "secret", TODAY, &[]).unwrap_err();
        assert_eq!(refusal.sentence, "Please choose one of the answers.");
    }

    #[test]
    fn a_hidden_choice_is_refused_but_imported() {
        for (annotation, taken) in [
            ("@HIDECHOICE='2,3'", "1"),
            ("@HIDDEN-SURVEY @HIDECHOICE = \"2, 3\"", "1"),
            ("text @hidechoice=2,3 and more", "1"),
            ("@SHOWCHOICE='3' @HIDECHOICE='3'", "3"),
            ("@IF([x]='(', @HIDECHOICE='1', '') @HIDECHOICE='2'", "13"),
            ("@DEFAULT='@HIDECHOICE=1'", "123"),
        ] {
            let field = radio("1, A | 2, B | 3, C", annotation);
            for code in ["1", "2", "3"] {
                assert_eq!(check(&field, code, TODAY, &[]).is_ok(), taken.contains(code), "{annotation}");
                assert!(check_imported(&field, code, TODAY, &[]).is_ok(), "{annotation} {code}");
            }
        }
    }

    #[test]
    fn a_missing_data_code_is_taken_by_any_field() {
        let missing = parse_choices("UNK, Unknown | -99, Refused");
        let whole = field("integer", "1", "100");
        let stored = check(&whole, " UNK ", TODAY, &missing).unwrap();
        assert_eq!((stored.value.as_str(), stored.warning), ("UNK", None));
        assert_eq!(check(&whole, "-99", TODAY, &missing).unwrap().warning, None);
        assert!(check(&whole, "unk", TODAY, &missing).is_err());
        assert!(check(&whole, "UNK", TODAY, &[]).is_err());
        assert!(check(&radio("1, A", ""), "UNK", TODAY, &missing).is_ok());
        assert!(check(&radio("1, A", "@NOMISSING"), "UNK", TODAY, &missing).is_err());
        let none = Field { annotation: Some("@NOMISSING".into()), ..whole };
        assert!(check(&none, "UNK", TODAY, &missing).is_err());
        assert!(check(&none, "-99", TODAY, &missing).unwrap().warning.is_some());
    }

    #[test]
    fn imported_dates_are_year_first_or_as_a_spreadsheet_leaves_them() {
        for (typed, wanted) in [
            ("1940-07-09", Some("1940-07-09")),
            ("07/09/1940", Some("1940-07-09")),
            ("7/9/40", Some("1940-07-09")),
            ("2/25/43", Some("1943-02-25")),
            ("40/7/7", None),
            ("09-07-1940", None),
        ] {
            for kind in ["date_dmy", "date_mdy", "date_ymd"] {
                let stored = value(check_imported(&field(kind, "", ""), typed, TODAY, &[]));
                assert_eq!(stored.as_deref(), wanted, "{kind} {typed}");
            }
        }
        let tagged =
            Field { annotation: Some("@FORCE-MINMAX @CHARLIMIT='1'".into()), ..field("integer", "1", "5") };
        assert!(check_imported(&tagged, "60", TODAY, &[]).unwrap().warning.is_some());
    }

    #[test]
    fn boxes_are_checked_together() {
        let boxes = |annotation| Field {
            kind: FieldKind::Checkbox,
            ..radio("1, A | 2, B | 3, C | 99, None", annotation)
        };
        for (annotation, codes, wanted) in [
            ("", &["1", "3"][..], Some(&["1", "3"][..])),
            ("", &["3.", "1", "", "3"], Some(&["3", "1"])),
            ("", &["1", "4"], None),
            ("", &[], Some(&[])),
            ("@MAXCHECKED='2'", &["1", "2"], Some(&["1", "2"])),
            ("@MAXCHECKED=2", &["1", "2", "3"], None),
            ("@MAXCHECKED='2'", &["1", "2", "2"], Some(&["1", "2"])),
            ("@MAXCHECKED='some'", &["1", "2", "3"], Some(&["1", "2", "3"])),
            ("@NONEOFTHEABOVE='99'", &["99"], Some(&["99"])),
            ("@NONEOFTHEABOVE=99", &["1", "99"], None),
            ("@NONEOFTHEABOVE='99, 3'", &["3", "99"], None),
            ("@NONEOFTHEABOVE='99, 3'", &["1", "2"], Some(&["1", "2"])),
            ("@HIDECHOICE='2'", &["1", "2"], None),
        ] {
            let checked = check_boxes(&boxes(annotation), codes);
            let told: Option<Vec<&str>> =
                checked.as_ref().ok().map(|codes| codes.iter().map(String::as_str).collect());
            assert_eq!(told.as_deref(), wanted, "{annotation} {codes:?}");
        }
    }

    #[test]
    fn what_takes_no_text_refuses_it() {
        for kind in [FieldKind::Calc, FieldKind::Descriptive, FieldKind::File, FieldKind::Signature] {
            let field = Field { kind, ..Field::default() };
            assert!(check(&field, "x", TODAY, &parse_choices("x, X")).is_err());
            assert!(check(&field, "  ", TODAY, &[]).is_ok());
        }
    }

    #[test]
    fn a_value_is_not_printed() {
        let stored = check(&field("integer", "1", "5"), "4711", TODAY, &[]).unwrap();
        assert!(!format!("{stored:?}").contains("4711"));
    }

    /// Texts that come near to what the types take, so that their middles are reached too.
    fn near() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "1", "2", "12", "23", "31", "2026", "0", "-", "/", ".", ",", ":", " ", "T", "t", " am", "pm",
            "p.m.", "+", "(", ")", "e", "x", "@", "a", "Z", "K1A", "0B1", "1AA", "555", "0412", "+44", "٣",
            "１", "：", "\u{200b}", "\u{a0}", "é", "–",
        ]);
        let shaped = prop_oneof![
            "[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}( {1,2}|T)[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?( ?[ap]m)?",
            "[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}",
            "[0-9]{1,2}(:[0-9]{2}){0,2}( ?[ap]m)?",
            "[-+]?[0-9]{0,6}[.,]?[0-9]{0,5}(e[-+]?[0-9]{1,3})?",
            "(\\+(1|44|61) ?)?\\(?[0-9]{2,5}\\)?[ -.][0-9]{3,6}[ -.]?[0-9]{0,4}",
            "[A-Za-z][0-9][A-Za-z] ?[0-9][A-Za-z][0-9]?",
            "[0-9]{3}-?[0-9]{2}-?[0-9]{4}",
        ];
        let parts =
            prop::collection::vec(prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,4}"], 0..10);
        prop_oneof![shaped, parts.prop_map(|parts| parts.concat())]
    }

    proptest! {
        /// No text makes a check panic, and what is stored is stored the same when it comes again.
        #[test]
        fn what_is_stored_stays_the_same(typed in near(), min in near(), max in near()) {
            let ways: [(&str, Check); 3] =
                [("page", check), ("person", check_as_typed), ("import", check_imported)];
            for name in TYPES {
                let field = field(name, &min, &max);
                for (first_way, check_first) in ways {
                    let Ok(first) = check_first(&field, &typed, TODAY, &[]) else { continue };
                    for (second_way, check_again) in ways {
                        // A plus is dropped from what a person typed, and kept on a page.
                        if first.value.starts_with('+') && first_way != second_way {
                            continue;
                        }
                        let again = check_again(&field, &first.value, TODAY, &[]);
                        prop_assert_eq!(again, Ok(first.clone()), "{} {:?} {:?}", name, typed, first.value);
                    }
                }
            }
        }

        /// No annotation makes the reader of tags panic.
        #[test]
        fn any_annotation_is_read(annotation in "(@|@IF|@HIDECHOICE|@CHARLIMIT|[=('\",)]|[a-z0-9é ]){0,20}") {
            let field = radio("1, A", &annotation);
            let _ = check_as_typed(&field, "1", TODAY, &[]);
            let _ = check_boxes(&field, &["1"]);
        }
    }
}
