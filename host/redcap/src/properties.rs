//! Nothing that anybody writes makes this crate panic, and nothing takes for ever.
//!
//! `PROPTEST_CASES=2500000` runs each property so many times. What once broke something, or looks as
//! if it could, is kept in `tests/corpus` and tried on everything each time.

use jiff::civil::DateTime;
use proptest::prelude::*;

use crate::odm::tests::{SMALL, small_project};
use crate::project::Field;
use crate::reference::Context;
use crate::{Place, Record, annotation, dictionary, html, inspect, logic, odm, pipe, validate};

/// Fragments that mean something to one of the languages, so that their middles are reached too.
const FRAGMENTS: [&str; 86] = [
    "[",
    "]",
    "[age]",
    "[symptoms(1)]",
    "[symptoms]",
    "[baseline_arm_1]",
    "[systolic]",
    "[2]",
    "[last-instance]",
    "[survey-link:entry:x]",
    "[event-label]",
    "[survey-duration:entry:m]",
    "[visit:ampm]",
    "[color:value]",
    "[previous-event-name][age]",
    "[record-name]",
    "[user-fullname]",
    "[first_name:hideunderscore]",
    "(",
    ")",
    ",",
    "=",
    "==",
    "<>",
    "!=",
    "<",
    ">=",
    "&lt;",
    "&amp;lt;",
    "&#39;",
    "&#x27;",
    "&#0;",
    "&",
    "'",
    "\"",
    "‘",
    "”",
    "\\'",
    " and ",
    " or ",
    "not ",
    "if(",
    "if (",
    "datediff(",
    "round(",
    "concat_ws(",
    "replace_text(",
    "mid(",
    "left(",
    "median(",
    "age_at_date(",
    "'d'",
    "'today'",
    "now",
    "null",
    "true",
    "1",
    "99999999999999999",
    "1e308",
    "0.1",
    "-",
    "+",
    "*",
    "/",
    "^",
    ".",
    "#",
    "//",
    "\n",
    "@CALCTEXT(",
    "@CALCDATE(",
    "@IF(",
    "@DEFAULT='",
    "@HIDDEN",
    "<p>",
    "<a href=",
    "</a>",
    "<!--",
    "<li>",
    "{age}",
    "2026-11-23",
    "29-02-2024 10:00",
    "10:00",
    "é",
    "\u{200b}",
    "ǅİß",
];

fn fragments(most: usize) -> impl Strategy<Value = String> {
    let known = prop::sample::select(FRAGMENTS.to_vec()).prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![6 => known, 1 => ".{0,4}"], 0..most).prop_map(|parts| parts.concat())
}

/// Small files with a piece cut out and something else in its place.
fn damaged(file: &'static str) -> impl Strategy<Value = Vec<u8>> {
    (0..file.len(), 0..300_usize, fragments(4)).prop_map(move |(at, cut, other)| {
        let mut bytes = file.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, other.into_bytes());
        bytes
    })
}

const DICTIONARY: &str = include_str!("../tests/corpus/csv/small.csv");

fn now() -> DateTime {
    DateTime::constant(2026, 11, 23, 10, 0, 0, 0)
}

thread_local! {
    /// What everything is tried on. Made once: making it takes longer than a case.
    static STAGE: (crate::Project, Record, Place) = {
        let mut project = small_project();
        let record = project.records.remove(0);
        (project, record, Place::at("baseline_arm_1"))
    };
}

fn on_stage<T>(play: impl FnOnce(&Context<'_>) -> T) -> T {
    STAGE.with(|(project, record, place)| play(&Context::new(project, record, place, now())))
}

fn logic_holds(text: &str) {
    on_stage(|context| match logic::parse(text) {
        Ok(expression) => {
            let value = logic::evaluate(&expression, context);
            assert!(value.text().len() <= 65_535 + text.len());
            for finding in logic::check(&expression, context.project, logic::Standing::default()) {
                assert!(text.get(finding.at).is_some(), "{text}");
            }
            assert_eq!(logic::parse(&expression.to_string()), Ok(expression), "{text}");
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(text.get(mistake.at).is_some(), "{text}");
            }
        }
    });
}

fn pipe_holds(text: &str) {
    on_stage(|context| {
        let piped = pipe::pipe(text, context, &|_| Some("x".to_owned()));
        for problem in piped.problems {
            assert!(text.get(problem.at).is_some(), "{text}");
        }
        let _ = pipe::slots(text);
        let _ = html::html_to_text(text);
        let _ = html::html_to_speech(text);
    });
}

fn xml_holds(bytes: &[u8]) {
    if let Ok((project, problems)) = odm::read_project(bytes) {
        let written = odm::write_project(&project);
        assert!(odm::read_project(written.as_bytes()).is_ok());
        // A calculation or a label that is damaged is met by the inspection too.
        let _ = inspect::inspect(&project, &problems);
    }
}

fn csv_holds(bytes: &[u8]) {
    if let Ok((project, problems)) = dictionary::read_dictionary(bytes) {
        let _ = inspect::inspect(&project, &problems);
    }
}

fn annotation_holds(text: &str) {
    for mistake in annotation::tags(text).1 {
        assert!(text.get(mistake.at).is_some(), "{text}");
    }
    let _ = annotation::tags_where(text, &mut |condition| condition.len() % 2 == 0);
}

fn validation_holds(text: &str) {
    for kind in [
        "integer",
        "number_1dp",
        "number_comma_decimal",
        "date_dmy",
        "datetime_seconds_mdy",
        "time",
        "email",
        "phone",
    ] {
        let field = Field { validation: Some(kind.to_owned()), ..Field::default() };
        let _ = validate::check_as_typed(&field, text, now().date(), &[]);
    }
}

proptest! {
    #[test]
    fn no_condition_breaks_anything(text in fragments(24)) {
        logic_holds(&text);
    }

    #[test]
    fn no_message_text_breaks_anything(text in fragments(24)) {
        pipe_holds(&text);
    }

    #[test]
    fn no_annotation_and_no_answer_breaks_anything(text in fragments(16)) {
        annotation_holds(&text);
        validation_holds(&text);
    }

    #[test]
    fn no_project_file_breaks_anything(bytes in damaged(SMALL)) {
        xml_holds(&bytes);
    }

    #[test]
    fn no_dictionary_breaks_anything(bytes in damaged(DICTIONARY)) {
        csv_holds(&bytes);
    }

    #[test]
    fn no_bytes_break_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        xml_holds(&bytes);
        csv_holds(&bytes);
    }
}

#[test]
fn the_corpus_breaks_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut count = 0;
    for kind in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(kind.unwrap().path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            xml_holds(&bytes);
            csv_holds(&bytes);
            for line in text.lines().chain([text.as_ref()]) {
                logic_holds(line);
                pipe_holds(line);
                annotation_holds(line);
                validation_holds(line);
            }
            count += 1;
        }
    }
    assert!(count > 8, "the corpus has {count} files");
}

/// The time of what is long is not a power of its length: a hundred thousand signs are read at once.
#[test]
fn what_is_long_is_read_all_the_same() {
    for piece in
        ["(", "[", "[a", "if(1,1,", "'", "not ", "&amp;", "<a>", "<li>", "[age]", "@IF(1,'", "“", "\\'"]
    {
        let text = piece.repeat(100_000 / piece.len());
        logic_holds(&text);
        pipe_holds(&text);
        annotation_holds(&text[..text.floor_char_boundary(20_000)]);
    }
}
