//! The cases under `tests/cases/logic`: what each expression comes to with given data. They are the
//! language's written contract, kept in files that whoever runs a REDCap can read and extend.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;

use super::{Expression, FUNCTIONS, Operator, Standing, Step, Value, check, evaluate, parse};
use crate::dictionary::read_dictionary;
use crate::project::{Event, FormEvent, Project, Repeating, Survey, parse_choices};
use crate::record::{Place, Record, SurveyTimestamp};
use crate::reference::{Context, Instance, Reference};

const NOW: &str = "2026-11-23 10:00:00";
const FIRST_EVENT: &str = "baseline_arm_1";

/// The events, and the forms that are filled in at each. `visit` and `med` are missing at the first
/// month, so that relative events have something to pass over.
const EVENTS: [(&str, u32, &[&str]); 5] = [
    (FIRST_EVENT, 1, &["baseline", "answers", "visit", "form", "med"]),
    ("month_1_arm_1", 1, &["answers"]),
    ("month_2_arm_1", 1, &["answers", "visit", "med"]),
    ("diary_arm_1", 1, &["answers", "diary"]),
    ("baseline_arm_2", 2, &["baseline", "answers"]),
];

/// The project that all cases are about.
pub(crate) fn cases_project() -> Project {
    let dictionary = std::fs::read(folder().join("dictionary.csv")).unwrap();
    let (mut project, problems) = read_dictionary(&dictionary).unwrap();
    assert_eq!(problems, []);
    project.fields_only = false;
    project.longitudinal = true;
    project.missing_data_codes =
        parse_choices("UNK, Unknown | NI, No information | NASK, Not asked | -999, Not applicable");
    project.form_events.clear();
    project.events.clear();
    for (name, arm, forms) in EVENTS {
        project.events.push(Event {
            unique_name: name.to_owned(),
            label: name.to_owned(),
            arm,
            ..Event::default()
        });
        for form in forms {
            project.form_events.push(FormEvent { event: name.to_owned(), instrument: (*form).to_owned() });
        }
    }
    for (event, instrument) in [(FIRST_EVENT, Some("med")), ("diary_arm_1", None)] {
        project.repeating.push(Repeating {
            event: event.to_owned(),
            instrument: instrument.map(str::to_owned),
            ..Repeating::default()
        });
    }
    for instrument in ["baseline", "med", "diary"] {
        project.surveys.push(Survey {
            instrument: instrument.to_owned(),
            enabled: true,
            ..Survey::default()
        });
    }
    project
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// A line of one of the files.
struct Case {
    /// `dates.txt:12`.
    at: String,
    expression: String,
    data: String,
    wanted: String,
}

/// Every case of every file; a line that is none is reported instead.
fn cases() -> (Vec<Case>, Vec<String>) {
    let (mut cases, mut broken) = (Vec::new(), Vec::new());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder().join("logic")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let at = format!("{}:{}", file.file_name().unwrap().to_string_lossy(), number + 1);
            let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [expression, data, wanted, why] = columns[..] else {
                broken.push(format!("{at}: has {} columns instead of 4: {line}", columns.len()));
                continue;
            };
            if why.is_empty() {
                broken.push(format!("{at}: does not say why: {line}"));
            }
            if !points_to_a_choice(why) {
                broken.push(format!("{at}: points to no choice of the reference: {line}"));
            }
            cases.push(Case {
                at,
                expression: expression.replace("\\n", "\n"),
                data: data.to_owned(),
                wanted: wanted.to_owned(),
            });
        }
    }
    (cases, broken)
}

/// Whether `ours (12)` has a number that the reference has. What is not ours needs none.
fn points_to_a_choice(why: &str) -> bool {
    let Some((_, rest)) = why.split_once("ours (") else { return !why.starts_with("ours") };
    rest.split_once(')')
        .is_some_and(|(number, _)| crate::manual::REFERENCE.contains(&format!("\n**{number}. ")))
}

/// Where, when and for which record an expression is evaluated.
struct Given {
    record: Record,
    place: Place,
    now: DateTime,
}

/// Reads a data column; `-` is no data.
fn given(project: &Project, data: &str) -> Result<Given, String> {
    let mut given = Given {
        record: Record::new("1"),
        place: Place::at(FIRST_EVENT),
        now: NOW.parse().map_err(|_| "no clock".to_owned())?,
    };
    let (mut values, mut surveys) = (Vec::new(), Vec::new());
    for item in data.split(';').map(str::trim).filter(|item| !matches!(*item, "" | "-")) {
        if let Some(place) = item.strip_prefix('@') {
            given.place = standing(project, place)?;
        } else if let Some(now) = item.strip_prefix("now 2") {
            given.now = format!("2{now}").parse().map_err(|_| format!("`{item}` is no time"))?;
        } else if let Some(id) = item.strip_prefix("record ") {
            id.clone_into(&mut given.record.id);
        } else {
            let (left, value) = item.split_once('=').ok_or_else(|| format!("`{item}` sets nothing"))?;
            match left.strip_prefix("survey ") {
                Some(survey) => surveys.push((survey, value)),
                None => values.push((left, value)),
            }
        }
    }
    for (left, value) in values {
        let reference = target(left)?;
        let instrument = match project.field(&reference.name) {
            Some(field) => &field.instrument,
            None => &project.status_of(&reference.name).ok_or_else(|| format!("no field `{left}`"))?.name,
        };
        let place = place(project, &given.place, &reference, instrument)?;
        match &reference.code {
            Some(code) => given.record.set_checkbox(&reference.name, code, &place, value == "1"),
            None => given.record.set(&reference.name, &place, value),
        }
    }
    for (left, value) in surveys {
        let reference = target(left)?;
        let place = place(project, &given.place, &reference, &reference.name)?;
        let timestamp = match value {
            "" => SurveyTimestamp::NotCompleted,
            at => SurveyTimestamp::Completed(at.to_owned()),
        };
        given.record.set_survey_timestamp(&reference.name, place.event.as_deref(), place.instance, timestamp);
    }
    Ok(given)
}

/// Reads what a value is given to, which may do without brackets.
fn target(text: &str) -> Result<Reference, String> {
    let bracketed = if text.starts_with('[') { text.to_owned() } else { format!("[{text}]") };
    match Reference::read(&bracketed) {
        Some((reference, taken)) if taken == bracketed.len() => Ok(reference),
        _ => Err(format!("`{text}` is no field")),
    }
}

/// Reads `month_1_arm_1`, `diary_arm_1 2` or `med 2`.
fn standing(project: &Project, text: &str) -> Result<Place, String> {
    let (name, instance) = text.split_once(' ').unwrap_or((text, "1"));
    let instance = instance.parse().map_err(|_| format!("`{text}` has no instance"))?;
    if project.instrument(name).is_some() {
        return Ok(Place::of(project, FIRST_EVENT, name, instance));
    }
    match project.event(name) {
        Some(_) => Ok(Place { instance, ..Place::at(name) }),
        None => Err(format!("there is no event or form `{name}`")),
    }
}

/// Where a value is put: at the event where the expression stands unless another is named, and in
/// the instance where it stands if that is one of the same form or event.
fn place(project: &Project, here: &Place, to: &Reference, instrument: &str) -> Result<Place, String> {
    let event = to.event.as_deref().unwrap_or(here.event_name());
    if !project.form_events.iter().any(|pair| pair.event == event && pair.instrument == instrument) {
        return Err(format!("`{instrument}` is not filled in at `{event}`"));
    }
    let first = Place::of(project, event, instrument, 1);
    let same = first.event == here.event && first.instrument == here.instrument;
    let instance = match to.instance {
        Some(Instance::Number(number)) => number,
        Some(_) => return Err("data need the number of an instance".to_owned()),
        None if same => here.instance,
        None => 1,
    };
    Ok(Place::of(project, event, instrument, instance))
}

/// An outcome as the files write it.
fn shown(value: &Value<'_>) -> String {
    match value {
        value if value.is_blank() => "blank".to_owned(),
        Value::Truth(truth) => truth.to_string(),
        value => match value.text().as_ref() {
            text if text.trim() != text || ["true", "false", "blank"].contains(&text) => format!("'{text}'"),
            text => text.to_owned(),
        },
    }
}

/// What an expression comes to with a data column, as the files write it.
pub(crate) fn outcome(project: &Project, expression: &Expression, data: &str) -> Result<String, String> {
    let Given { record, place, now } = given(project, data)?;
    Ok(shown(&evaluate(expression, &Context::new(project, &record, &place, now))))
}

fn verdict(project: &Project, case: &Case) -> Result<(), String> {
    let mistake = case.wanted.strip_prefix("mistake:").map(str::trim);
    let expression = match (parse(&case.expression), mistake) {
        (Err(mistakes), Some(sentence)) if mistakes[0].sentence.starts_with(sentence) => return Ok(()),
        (Err(mistakes), _) => return Err(format!("mistake: {}", mistakes[0].sentence)),
        (Ok(_), Some(_)) => return Err("it was understood".to_owned()),
        (Ok(expression), None) => expression,
    };
    let printed = expression.to_string();
    if parse(&printed).as_ref() != Ok(&expression) {
        return Err(format!("printed as `{printed}`, which is another expression"));
    }
    let got = outcome(project, &expression, &case.data)?;
    if got == case.wanted { Ok(()) } else { Err(got) }
}

#[test]
fn every_case_holds() {
    let project = cases_project();
    let (cases, broken) = cases();
    let mut failures = broken;
    for case in &cases {
        if let Err(got) = verdict(&project, case) {
            let Case { at, expression, data, wanted } = case;
            failures.push(format!(
                "{at}\n  expression  {expression}\n  data        {data}\n  expected    {wanted}\n  got         {got}"
            ));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn the_cases_leave_nothing_out() {
    const OPERATORS: [Operator; 13] = [
        Operator::Or,
        Operator::And,
        Operator::Equal,
        Operator::Unequal,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Plus,
        Operator::Minus,
        Operator::Times,
        Operator::Over,
        Operator::Power,
    ];
    let (cases, _) = cases();
    assert!(cases.len() >= 444, "there are {} cases only", cases.len());
    let parsed: Vec<Expression> = cases.iter().filter_map(|case| parse(&case.expression).ok()).collect();
    let steps = || parsed.iter().flat_map(Expression::steps);
    for row in FUNCTIONS {
        let called = steps().any(|step| matches!(step, Step::Call(function, _) if *function == row.function));
        assert!(called, "no case calls `{}`", row.name);
    }
    for operator in OPERATORS {
        let used = steps().any(|step| *step == Step::Binary(operator));
        assert!(used, "no case uses `{}`", operator.sign());
    }
    // Every documented case has its number.
    let text = std::fs::read_to_string(folder().join("logic/documented.txt")).unwrap();
    let numbers: BTreeSet<u32> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(" | ").next()?.split('.').next()?.trim().parse().ok())
        .collect();
    assert_eq!(numbers, (1..=94).collect());
}

/// A finding that says how something always comes out is held against every case.
#[test]
fn findings_say_the_same_as_the_cases() {
    let project = cases_project();
    let mut failures = Vec::new();
    for case in cases().0 {
        let Ok(expression) = parse(&case.expression) else { continue };
        let Ok(Given { place, .. }) = given(&project, &case.data) else { continue };
        for finding in check(&expression, &project, Standing { event: place.event.as_deref() }) {
            let sentence = &finding.sentence;
            let said = if sentence.ends_with("never holds") {
                "false"
            } else if sentence.ends_with("always holds") {
                "true"
            } else if sentence.contains("is not filled in at") || sentence.contains("does not repeat") {
                "blank"
            } else {
                continue;
            };
            let part = &case.expression[finding.at];
            let got = parse(part).ok().and_then(|part| outcome(&project, &part, &case.data).ok());
            if got.as_deref() != Some(said) {
                failures.push(format!("{}: {part} with {} is {got:?}, but {sentence}", case.at, case.data));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
