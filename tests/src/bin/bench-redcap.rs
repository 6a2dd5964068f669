//! What REDCap's language costs: reading and evaluating every condition and formula of a project,
//! beside a tree-walking evaluator over JSON that is measured in the same run and has to give the
//! same answers.
//!
//! `cargo bench-redcap` measures a project of its own making, `cargo bench-redcap FILE.xml` yours.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jiff::civil::DateTime;
use redcap::calculate::Calculations;
use redcap::inspect::expressions;
use redcap::logic::{Context, Expression, Function, Step, evaluate, parse};
use redcap::project::{Field, FieldKind, FormEvent, Instrument, Project, parse_choices};
use redcap::record::{Place, Record, columns};
use serde_json::{Map, Value as Json, json};

/// One is measured after the other, and that as often.
const ROUNDS: usize = 7;
const RECORDS: u32 = 10_000;
/// How many records are in memory at a time.
const BATCH: u32 = 500;

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
fn main() -> Result<()> {
    let project = match std::env::args_os().nth(1) {
        Some(path) => {
            let bytes = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
            redcap::odm::read_project(&bytes)?.0
        }
        None => questionnaire(),
    };
    let now: DateTime = "2026-11-23T10:00:00".parse()?;
    let texts: Vec<&str> = expressions(&project).iter().map(|located| located.text).collect();
    let parsed: Vec<Expression> = texts.iter().filter_map(|text| parse(text).ok()).collect();
    // What the peer does not know is left out for both.
    let pairs: Vec<(&Expression, Json)> =
        parsed.iter().filter_map(|expression| Some((expression, tree(expression)?))).collect();
    if pairs.is_empty() {
        bail!("the project has no conditions and no formulas");
    }
    let steps: usize = parsed.iter().map(|expression| expression.steps().len()).sum();
    println!(
        "`{}`: {} fields, {} conditions and formulas of {:.1} steps, {} within the peer's reach\n",
        project.title,
        project.fields.len(),
        parsed.len(),
        ratio(steps, parsed.len()),
        pairs.len()
    );

    let record = record(&project, 1);
    let place = places(&project).into_iter().next().unwrap_or_default();
    let context = Context::new(&project, &record, &place, now);
    let values = json_record(&project, &record, &place);
    for (ours, theirs) in &pairs {
        let (outcome, theirs) = (evaluate(ours, &context), walk(theirs, &values, now));
        if outcome.is_true() != truth(&theirs) {
            bail!("the two disagree on `{ours}`: {} and {theirs}", outcome.text());
        }
    }
    let (mut reading, mut evaluating, mut walking) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        reading.push(timed(20, texts.len(), || texts.iter().filter(|text| parse(text).is_ok()).count()));
        evaluating.push(timed(200, pairs.len(), || {
            pairs.iter().filter(|(ours, _)| evaluate(ours, &context).is_true()).count()
        }));
        walking.push(timed(200, pairs.len(), || {
            pairs.iter().filter(|(_, theirs)| truth(&walk(theirs, &values, now))).count()
        }));
    }
    let (evaluating, walking) = (median(evaluating), median(walking));
    println!("one record, the average of one expression, the median of {ROUNDS} alternating rounds");
    println!("  read                      {}", shown(median(reading)));
    println!("  evaluate                  {}", shown(evaluating));
    println!("  tree-walking over JSON    {}, {:.2} x ours\n", shown(walking), quotient(walking, evaluating));
    whole_project(&project, &pairs, now);
    Ok(())
}

/// Every expression at every event, and every calculation in its order, for ten thousand records.
#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
fn whole_project(project: &Project, pairs: &[(&Expression, Json)], now: DateTime) {
    let calculations = Calculations::of(project);
    let places = places(project);
    let (mut evaluating, mut walking, mut calculating) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut held, mut changed) = ([0_usize; 2], 0_usize);
    for batch in 0..RECORDS / BATCH {
        let mut records: Vec<Record> =
            (0..BATCH).map(|number| record(project, batch * BATCH + number)).collect();
        let jsons: Vec<Json> = records
            .iter()
            .flat_map(|record| places.iter().map(|place| json_record(project, record, place)))
            .collect();
        evaluating += timed(1, 1, || {
            for record in &records {
                for place in &places {
                    let context = Context::new(project, record, place, now);
                    held[0] += pairs.iter().filter(|(ours, _)| evaluate(ours, &context).is_true()).count();
                }
            }
            held[0]
        });
        walking += timed(1, 1, || {
            for json in &jsons {
                held[1] += pairs.iter().filter(|(_, theirs)| truth(&walk(theirs, json, now))).count();
            }
            held[1]
        });
        calculating += timed(1, 1, || {
            for record in &mut records {
                changed += calculations.recalculate(project, record, now).changes.len();
            }
            changed
        });
    }
    let count = u32::try_from(places.len() * pairs.len()).unwrap_or(u32::MAX).max(1);
    let each = |time: Duration| shown(time / RECORDS / count);
    println!(
        "the whole project for {RECORDS} records, {} evaluations",
        u64::from(RECORDS) * u64::from(count)
    );
    println!("  evaluate                  {:.2} s, {} each", evaluating.as_secs_f64(), each(evaluating));
    println!(
        "  tree-walking over JSON    {:.2} s, {} each, {:.2} x ours",
        walking.as_secs_f64(),
        each(walking),
        quotient(walking, evaluating)
    );
    println!("  held                      {} for us, {} for the peer", held[0], held[1]);
    println!(
        "  every calculated field    {:.2} s, in its order and stored, {changed} changes",
        calculating.as_secs_f64()
    );
}

/// The time of one of so many parts of some work that is done so many times.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(times: u32, parts: usize, mut work: impl FnMut() -> usize) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        std::hint::black_box(work());
    }
    begin.elapsed() / times / u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn shown(time: Duration) -> String {
    format!("{:.3} µs", time.as_secs_f64() * 1e6)
}

fn quotient(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(one: usize, other: usize) -> f64 {
    one as f64 / other as f64
}

/// A project without a file: a daily questionnaire whose answers are scored, banded and compared with
/// the day before.
fn questionnaire() -> Project {
    let mut project = Project::classic("a questionnaire of the benchmark's own");
    "record_id".clone_into(&mut project.record_id_field);
    let mut add = |instrument: &str, name: String, kind, choices: &str, formula: Option<String>| {
        let branching = (kind == FieldKind::Radio).then(|| {
            format!("[consent] = '1' and ([age] >= 18 or [guardian] <> '') and [{name}_off(1)] <> '1'")
        });
        project.fields.push(Field {
            name,
            instrument: instrument.to_owned(),
            kind,
            choices: parse_choices(choices),
            calculation: formula,
            branching,
            ..Field::default()
        });
    };
    for name in ["record_id", "consent", "age", "guardian"] {
        add("start", name.to_owned(), FieldKind::Text, "", None);
    }
    for day in 1..=40 {
        let instrument = format!("day_{day}");
        let items: Vec<String> = (1..=8).map(|item| format!("q{day}_{item}")).collect();
        for item in &items {
            add(
                &instrument,
                item.clone(),
                FieldKind::Radio,
                "0, Never | 1, Some | 2, Often | 3, Always",
                None,
            );
            add(&instrument, format!("{item}_off"), FieldKind::Checkbox, "1, Not today", None);
        }
        let listed: Vec<String> = items.iter().map(|item| format!("[{item}]")).collect();
        let mut calculated = |name: &str, formula: String| {
            add(&instrument, format!("{name}{day}"), FieldKind::Calc, "", Some(formula));
        };
        calculated("sum", format!("sum({})", listed.join(", ")));
        calculated("mean", format!("round(mean({}), 1)", listed.join(", ")));
        let bands = (1..12)
            .rev()
            .fold("0".to_owned(), |rest, band| format!("if([sum{day}] >= {}, {band}, {rest})", band * 2));
        calculated("band", bands);
        calculated(
            "worse",
            format!("if([sum{}] <> '' and [sum{day}] > [sum{}] + 2, 1, 0)", day - 1, day - 1),
        );
    }
    let mut forms: Vec<String> = project.fields.iter().map(|field| field.instrument.clone()).collect();
    forms.dedup();
    for form in forms {
        let event = redcap::project::CLASSIC_EVENT.to_owned();
        project.form_events.push(FormEvent { event, instrument: form.clone() });
        project.instruments.push(Instrument { label: form.clone(), name: form });
    }
    project
}

fn places(project: &Project) -> Vec<Place> {
    project.events.iter().map(|event| Place::at(&event.unique_name)).collect()
}

/// A record with two thirds of its fields filled in, as its number has it.
fn record(project: &Project, number: u32) -> Record {
    let mut record = Record::new(&number.to_string());
    let mut seed = number.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below.max(1)
    };
    for pair in &project.form_events {
        let place = Place::of(project, &pair.event, &pair.instrument, 1);
        for field in project.fields_of(&pair.instrument) {
            if next(3) == 0 {
                continue;
            }
            for column in columns(field) {
                let choices = u32::try_from(field.choices.len()).unwrap_or(0);
                let value = match field.kind {
                    FieldKind::Checkbox => next(2).to_string(),
                    _ if choices > 0 => field.choices[next(choices) as usize].code.clone(),
                    _ if field.validation.as_deref().is_some_and(|name| name.starts_with("date")) => {
                        format!("2026-{:02}-{:02}", 1 + next(12), 1 + next(28))
                    }
                    FieldKind::Text | FieldKind::Calc | FieldKind::Slider => next(100).to_string(),
                    _ => "x".to_owned(),
                };
                record.set(&column, &place, &value);
            }
        }
    }
    record
}

/// What a place of a record holds, as an evaluator over JSON would be given it.
fn json_record(project: &Project, record: &Record, place: &Place) -> Json {
    let mut values = Map::new();
    for (column, value) in record.values(place) {
        values.insert(column.to_owned(), value.into());
    }
    values.insert(project.record_id_field.clone(), record.id.clone().into());
    Json::Object(values)
}

/// The tree of an expression, as `{"op": …, "args": […]}`; none if it uses what the peer has not.
fn tree(expression: &Expression) -> Option<Json> {
    let mut stack: Vec<Json> = Vec::new();
    let node = |op: &str, args: Vec<Json>| json!({ "op": op, "args": args });
    for step in expression.steps() {
        let part = match step {
            Step::Number(number) => json!(number),
            Step::Text(text) => json!(text),
            Step::Truth(truth) => json!(truth),
            Step::Reference(operand) => {
                let reference = &operand.reference;
                if reference.event.is_some() || reference.instance.is_some() || reference.is_smart() {
                    return None;
                }
                let column = match &reference.code {
                    Some(code) => redcap::record::checkbox_column(&reference.name, code),
                    None => reference.name.clone(),
                };
                json!({ "op": if reference.code.is_some() { "box" } else { "field" }, "args": [column] })
            }
            Step::Not => {
                let inner = stack.pop()?;
                node("not", vec![inner])
            }
            Step::Binary(operator) => {
                let right = stack.pop()?;
                let left = stack.pop()?;
                node(operator.sign(), vec![left, right])
            }
            Step::Call(
                function @ (Function::If
                | Function::Sum
                | Function::Mean
                | Function::Round
                | Function::DateDiff),
                count,
            ) => {
                let args = stack.split_off(stack.len().checked_sub(*count)?);
                node(function.name(), args)
            }
            Step::Decided(..) | Step::Unless(_) | Step::Skip(_) => continue,
            Step::Blank | Step::Today | Step::Now | Step::Negative | Step::Call(..) => return None,
        };
        stack.push(part);
    }
    stack.pop()
}

/// The peer: it walks a JSON tree and finds values in a JSON object.
fn walk(tree: &Json, record: &Json, now: DateTime) -> Json {
    let Some(op) = tree.get("op").and_then(Json::as_str) else { return tree.clone() };
    let args = tree["args"].as_array().map(Vec::as_slice).unwrap_or_default();
    let value = |at: usize| walk(&args[at], record, now);
    match op {
        "field" => args[0].as_str().and_then(|name| record.get(name)).cloned().unwrap_or(Json::Null),
        "box" => {
            let column = args[0].as_str().and_then(|name| record.get(name));
            json!(if column.and_then(Json::as_str) == Some("1") { "1" } else { "0" })
        }
        "if" => value(if truth(&value(0)) { 1 } else { 2 }),
        "and" => json!(truth(&value(0)) && truth(&value(1))),
        "or" => json!(truth(&value(0)) || truth(&value(1))),
        "not" => json!(!truth(&value(0))),
        "=" => json!(equal(&value(0), &value(1))),
        "<>" => json!(!equal(&value(0), &value(1))),
        "sum" | "mean" => {
            let numbers: Vec<f64> = (0..args.len()).filter_map(|at| number(&value(at))).collect();
            let sum: f64 = numbers.iter().sum();
            match op {
                "sum" => json!(sum),
                _ if numbers.is_empty() => Json::Null,
                _ => json!(sum / ratio(numbers.len(), 1)),
            }
        }
        "round" => {
            let scale = if args.len() > 1 { 10_f64.powf(number(&value(1)).unwrap_or(0.0)) } else { 1.0 };
            number(&value(0)).map_or(Json::Null, |number| json!((number * scale).round() / scale))
        }
        "datediff" => days_between(&value(0), &value(1), &value(2), now),
        sign => {
            let (left, right) = (value(0), value(1));
            match (number(&left), number(&right)) {
                (Some(left), Some(right)) => compute(sign, left, right),
                _ => ordered(sign, &left, &right),
            }
        }
    }
}

fn compute(sign: &str, left: f64, right: f64) -> Json {
    match sign {
        "<" => json!(left < right),
        "<=" => json!(left <= right),
        ">" => json!(left > right),
        ">=" => json!(left >= right),
        "+" => json!(left + right),
        "-" => json!(left - right),
        "*" => json!(left * right),
        "/" => json!(left / right),
        "^" => json!(left.powf(right)),
        _ => Json::Null,
    }
}

fn ordered(sign: &str, left: &Json, right: &Json) -> Json {
    if matches!(sign, "+" | "-" | "*" | "/" | "^") {
        return Json::Null;
    }
    let (blank, empty) = (text(left).is_empty(), right.as_str() == Some(""));
    json!(match sign {
        ">" if empty => !blank,
        ">=" if empty => true,
        _ => false,
    })
}

fn days_between(from: &Json, until: &Json, unit: &Json, now: DateTime) -> Json {
    let moment = |value: &Json| -> Option<DateTime> {
        match value.as_str()? {
            "today" => Some(now.date().to_datetime(jiff::civil::Time::midnight())),
            "now" => Some(now),
            text => text.replacen(' ', "T", 1).parse().ok(),
        }
    };
    let seconds = match unit.as_str() {
        Some("d") => 86_400.0,
        Some("h") => 3_600.0,
        Some("m") => 60.0,
        Some("y") => 365.2425 * 86_400.0,
        _ => return Json::Null,
    };
    match (moment(from), moment(until)) {
        (Some(from), Some(until)) => json!(until.duration_since(from).as_secs_f64().abs() / seconds),
        _ => Json::Null,
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Json::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn truth(value: &Json) -> bool {
    match value {
        Json::Bool(truth) => *truth,
        value => number(value).map_or(!text(value).is_empty(), |number| number != 0.0),
    }
}

fn equal(left: &Json, right: &Json) -> bool {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => (left - right).abs() < 1e-12,
        _ => text(left) == text(right),
    }
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
