//! An expression held against a project: what does not exist, what can never be true, what gets the
//! wrong kind of value. REDCap's own answer to all of these is a silent blank.

use super::Expression;
use super::eval::is_partial;
use super::function::{Function, Kind};
use super::moment::{Order, moment, unit_seconds, unordered};
use super::step::{Operator, Step};
use super::value::parse_number;
use crate::project::{CLASSIC_EVENT, Choice, Field, FieldKind, Project};
use crate::record::{Place, Record, checkbox_column};
use crate::reference::{Context, Instance, Reference, Span, Surroundings};
use crate::smart::{self, Resolved};
use crate::spelling;

/// Something that an expression says and its author hardly means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, in bytes of the text the expression was read from.
    pub at: Span,
    /// A lower-case fragment.
    pub sentence: String,
    /// What to write instead.
    pub help: String,
}

/// Where in a project an expression stands, as far as that is one place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing<'a> {
    pub event: Option<&'a str>,
}

/// Holds an expression against a project.
#[must_use]
pub fn check(expression: &Expression, project: &Project, standing: Standing<'_>) -> Vec<Finding> {
    let mut checking = Checking { project, standing, findings: Vec::new() };
    let mut stack: Vec<Part<'_>> = Vec::new();
    let whole = |left: &Span, right: &Span| left.start.min(right.start)..left.end.max(right.end);
    for (step, span) in expression.steps.iter().zip(&expression.spans) {
        let part = match step {
            Step::Number(number) => Part::new(span, Is::Number(*number), Kind::Number),
            Step::Text(text) => Part::new(span, Is::Text(text), Kind::Text),
            Step::Truth(_) => Part::new(span, Is::Computed, Kind::Truth),
            Step::Blank => Part::new(span, Is::Text(""), Kind::Any),
            Step::Today | Step::Now => Part::new(span, Is::Computed, Kind::Moment),
            Step::Reference(operand) => checking.reference(&operand.reference, span),
            Step::Negative => {
                let inner = stack.pop().unwrap_or_default();
                checking.number(&inner, "-");
                let is = if let Is::Number(number) = inner.is { Is::Number(-number) } else { Is::Computed };
                Part::new(&whole(span, &inner.at), is, Kind::Number)
            }
            Step::Not => {
                let inner = stack.pop().unwrap_or_default();
                Part::new(&whole(span, &inner.at), Is::Computed, Kind::Truth)
            }
            Step::Binary(operator) => {
                let right = stack.pop().unwrap_or_default();
                let left = stack.pop().unwrap_or_default();
                let at = whole(&left.at, &right.at);
                let kind = match operator {
                    Operator::And | Operator::Or => Kind::Truth,
                    operator if operator.is_comparison() => {
                        checking.comparison(*operator, &left, &right, &at);
                        Kind::Truth
                    }
                    operator => {
                        for side in [&left, &right] {
                            checking.number(side, operator.sign());
                        }
                        Kind::Number
                    }
                };
                Part::new(&at, Is::Computed, kind)
            }
            Step::Call(function, count) => {
                let arguments = stack.split_off(stack.len().saturating_sub(*count));
                checking.call(*function, &arguments);
                let end = arguments.iter().map(|part| part.at.end).max().unwrap_or(span.end);
                Part::new(&(span.start..end.max(span.end)), Is::Computed, function.signature().gives)
            }
            Step::Decided(..) | Step::Unless(_) | Step::Skip(_) => continue,
        };
        stack.push(part);
    }
    checking.findings
}

/// What is known of a value before there is a record.
#[derive(Debug, Clone)]
struct Part<'a> {
    at: Span,
    is: Is<'a>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Is<'a> {
    Number(f64),
    Text(&'a str),
    Field(&'a Field),
    /// One box of a checkbox.
    Box,
    /// The status of a form.
    Status,
    Computed,
}

impl Default for Part<'_> {
    fn default() -> Self {
        Self { at: 0..0, is: Is::Computed, kind: Kind::Any }
    }
}

impl<'a> Part<'a> {
    fn new(at: &Span, is: Is<'a>, kind: Kind) -> Self {
        Self { at: at.clone(), is, kind }
    }
}

struct Checking<'a> {
    project: &'a Project,
    standing: Standing<'a>,
    findings: Vec<Finding>,
}

impl<'a> Checking<'a> {
    fn find(&mut self, at: &Span, sentence: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding { at: at.clone(), sentence: sentence.into(), help: help.into() });
    }

    fn reference(&mut self, reference: &Reference, at: &Span) -> Part<'a> {
        let project = self.project;
        if reference.is_smart() {
            self.smart(reference, at);
            return Part::new(at, Is::Computed, Kind::Any);
        }
        let event = self.event(reference, at);
        let Some(field) = project.field(&reference.name) else {
            if let Some(instrument) = project.status_of(&reference.name) {
                self.place(reference, &instrument.name, event.as_deref(), at);
                return Part::new(at, Is::Status, Kind::Number);
            }
            let name = &reference.name;
            let names = project.fields.iter().map(|field| field.name.as_str());
            // Exports have a column for each box, and people copy its name.
            let column = name.split_once("___").and_then(|(stem, _)| {
                let field = project.field(stem)?;
                let is_it = |choice: &&Choice| checkbox_column(&field.name, &choice.code) == *name;
                Some((field, field.choices.iter().find(is_it)?))
            });
            let help = match column {
                Some((field, choice)) => format!("write `[{}({})]`", field.name, choice.code),
                None => nearest(name, names),
            };
            self.find(at, format!("there is no field `{name}`"), help);
            return Part::new(at, Is::Computed, Kind::Any);
        };
        // The record's id is on every row.
        if field.name != project.record_id_field {
            self.place(reference, &field.instrument, event.as_deref(), at);
        }
        if let Some(code) = &reference.code {
            return self.checkbox(field, code, at);
        }
        if field.kind == FieldKind::Checkbox && !reference.has_param("checked") {
            self.find(
                at,
                format!("`{}` is a checkbox, which has one value for each choice", field.name),
                format!("write `[{}({})]`", field.name, field.choices.first().map_or("1", |c| &c.code)),
            );
            return Part::new(at, Is::Computed, Kind::Any);
        }
        if field.kind == FieldKind::Descriptive {
            self.find(
                at,
                format!("`{}` is descriptive text and never has a value", field.name),
                "refer to a field that is filled in",
            );
        }
        if reference.has_param("label") {
            self.find(at, "conditions see codes, never labels", format!("write `[{}]`", field.name));
        }
        Part::new(at, Is::Field(field), kind_of(field))
    }

    /// A smart variable, tried where everything is told and nothing is filled in.
    fn smart(&mut self, reference: &Reference, at: &Span) {
        let project = self.project;
        if project.fields_only {
            return;
        }
        let event = self.standing.event.or(project.events.first().map(|event| event.unique_name.as_str()));
        let place = event.map(Place::at).unwrap_or_default();
        let record = Record::new("1");
        let survey = project.surveys.first().map(|survey| survey.instrument.clone());
        let surroundings = Surroundings { instrument: survey, ..Surroundings::everything() };
        let now = jiff::civil::DateTime::default();
        let context = Context { surroundings: &surroundings, ..Context::new(project, &record, &place, now) };
        match smart::resolve(reference, &context) {
            Resolved::Wrong(sentence) => self.find(at, sentence, "correct the reference"),
            Resolved::NotTold(what) => self.find(
                at,
                format!("`[{}]` needs to know {what}, which nothing tells", reference.name),
                "use a field instead",
            ),
            Resolved::Text(_) | Resolved::Link(_) => {}
        }
    }

    fn checkbox(&mut self, field: &'a Field, code: &str, at: &Span) -> Part<'a> {
        if field.kind != FieldKind::Checkbox {
            self.find(
                at,
                format!("`{}` is no checkbox and has no choice `{code}` of its own", field.name),
                format!("write `[{}] = '{code}'`", field.name),
            );
            return Part::new(at, Is::Computed, Kind::Any);
        }
        let known = |choice: &Choice| choice.code.eq_ignore_ascii_case(code);
        if !field.choices.iter().any(known) && !self.project.missing_data_codes.iter().any(known) {
            let help = match labelled(field, code) {
                Some(choice) => format!("that is a label; write `[{}({})]`", field.name, choice.code),
                None => choices(field),
            };
            self.find(at, format!("`{}` has no choice `{code}`", field.name), help);
        }
        Part::new(at, Is::Box, Kind::Number)
    }

    /// The unique name of the event that a reference names, if it is one event.
    fn event(&mut self, reference: &Reference, at: &Span) -> Option<String> {
        let Some(event_name) = &reference.event else { return self.standing.event.map(str::to_owned) };
        let events = &self.project.events;
        if let Some(event) = events.iter().find(|event| event.unique_name.eq_ignore_ascii_case(event_name)) {
            return Some(event.unique_name.clone());
        }
        if !self.project.fields_only
            && !event_name.contains('-')
            && !event_name.eq_ignore_ascii_case(CLASSIC_EVENT)
        {
            let known = events.iter().map(|event| event.unique_name.as_str());
            self.find(at, format!("there is no event `{event_name}`"), nearest(event_name, known));
        }
        None
    }

    /// Whether a field's instrument is filled in, and repeats, where a reference looks for it.
    fn place(&mut self, reference: &Reference, instrument: &str, event: Option<&str>, at: &Span) {
        let project = self.project;
        if project.fields_only {
            return;
        }
        if let Some(event) = event
            && !project.is_designated(event, instrument)
        {
            let at_event = project.form_events.iter().find(|pair| pair.instrument == instrument);
            self.find(
                at,
                format!(
                    "`{instrument}` is not filled in at `{event}`, so that `{}` is always blank",
                    reference.name
                ),
                match at_event {
                    Some(pair) => format!("it is filled in at `{}`", pair.event),
                    None => "it is filled in at no event".to_owned(),
                },
            );
            return;
        }
        let repeats =
            match event {
                Some(event) => project.repeats(event, instrument) || project.event_repeats(event),
                None => project.form_events.iter().filter(|pair| pair.instrument == instrument).any(|pair| {
                    project.repeats(&pair.event, instrument) || project.event_repeats(&pair.event)
                }),
            };
        if let Some(Instance::Number(2..) | Instance::Previous | Instance::Next) = reference.instance
            && !repeats
        {
            self.find(
                at,
                format!("`{instrument}` does not repeat, so that this instance is always blank"),
                "leave the instance out",
            );
        }
    }

    fn comparison(&mut self, operator: Operator, left: &Part<'a>, right: &Part<'a>, at: &Span) {
        let (part, other, operator) = match (left.is, right.is) {
            (Is::Number(_) | Is::Text(_), _) => (right, left, mirrored(operator)),
            _ => (left, right, operator),
        };
        let literal = match other.is {
            Is::Text(text) => text.to_owned(),
            Is::Number(number) => super::format_number(number),
            _ => return,
        };
        let equality = matches!(operator, Operator::Equal | Operator::Unequal);
        if literal.trim().is_empty() {
            // `> ''` asks whether there is a value at all, and is asked so in real projects.
            if matches!(operator, Operator::Less | Operator::LessOrEqual) {
                self.find(at, "nothing comes before a blank", "compare with a value, or write `= ''`");
            } else if !literal.is_empty() {
                self.find(at, "a text of blanks is not a blank", "write `''` without anything between");
            } else if matches!(part.is, Is::Box) {
                self.find(at, "a checkbox is never blank", "a box that is not checked is `'0'`");
            }
            return;
        }
        let missing = self.project.is_missing_code(&literal);
        let possible: Option<Vec<&str>> = match part.is {
            Is::Box => Some(vec!["0", "1"]),
            Is::Status => Some(vec!["0", "1", "2"]),
            Is::Field(field) if field.kind.is_single_choice() && field.kind != FieldKind::Sql => {
                Some(field.choices.iter().map(|choice| choice.code.as_str()).collect())
            }
            _ => None,
        };
        let always = || if operator == Operator::Unequal { "always" } else { "never" };
        if let Some(possible) = possible {
            let holds = |value: &&str| match (parse_number(value), parse_number(&literal)) {
                (Some(value), Some(literal)) => {
                    value.partial_cmp(&literal).is_some_and(|order| match operator {
                        Operator::Less => order.is_lt(),
                        Operator::LessOrEqual => order.is_le(),
                        Operator::Greater => order.is_gt(),
                        Operator::GreaterOrEqual => order.is_ge(),
                        _ => order.is_eq(),
                    })
                }
                _ => equality && **value == *literal,
            };
            if !missing && !possible.iter().any(holds) {
                let values: Vec<String> = possible.iter().map(|value| format!("`{value}`")).collect();
                let help = match part.is {
                    Is::Field(field) => match labelled(field, &literal) {
                        Some(choice) => format!("that is a label; its code is `{}`", choice.code),
                        None => choices(field),
                    },
                    _ => format!("its values are {}", values.join(", ")),
                };
                self.find(at, format!("this comparison {} holds", always()), help);
            }
            return;
        }
        let Is::Field(field) = part.is else { return };
        if missing {
            return;
        }
        let help = match part.kind {
            Kind::Number if literal.eq_ignore_ascii_case("nan") => {
                "a field without a value is blank: write `''`"
            }
            Kind::Number if parse_number(&literal).is_none() && !(equality && has_comma(field, &literal)) => {
                "compare with a number, and write its decimals behind a point"
            }
            Kind::Moment if ["today", "now"].iter().any(|word| literal.eq_ignore_ascii_case(word)) => {
                "in quotation marks it is a word: write `today`, or use `datediff`"
            }
            // A part of a date orders as a text does.
            Kind::Moment if year_first(&literal).is_none() && (equality || !is_partial(&literal)) => {
                "compare with a date as it is stored, as in `'2026-12-31'`"
            }
            _ => return,
        };
        let what = if part.kind == Kind::Number { "a number" } else { "a date or a time" };
        self.find(
            at,
            format!("`{}` is {what}, so that this comparison {} holds", field.name, always()),
            help,
        );
    }

    /// Something that is calculated with.
    fn number(&mut self, part: &Part<'_>, sign: &str) {
        match (part.is, part.kind) {
            (Is::Text(text), _) if !text.is_empty() && parse_number(text).is_none() => self.find(
                &part.at,
                format!("this is no number, so that what `{sign}` makes of it is always blank"),
                "write a number, or a field that holds one",
            ),
            (_, Kind::Moment) => self.find(
                &part.at,
                format!("`{sign}` does not calculate with dates, so that its outcome is always blank"),
                "use `datediff` for the time between two dates",
            ),
            _ => {}
        }
    }

    fn call(&mut self, function: Function, arguments: &[Part<'_>]) {
        let signature = function.signature();
        for (at, argument) in arguments.iter().enumerate() {
            match signature.wants(at) {
                Kind::Number if signature.most == usize::MAX => self.passed_over(argument, signature.name),
                Kind::Number => self.number(argument, signature.name),
                Kind::Moment => self.moment(argument, signature.name),
                Kind::Any | Kind::Text | Kind::Truth => {}
            }
        }
        if function == Function::DateDiff {
            self.date_difference(arguments);
        }
    }

    /// An argument of a statistic, which counts numbers only.
    fn passed_over(&mut self, part: &Part<'_>, name: &str) {
        let text = matches!(part.is, Is::Text(text) if !text.is_empty() && parse_number(text).is_none());
        if text || part.kind == Kind::Moment {
            self.find(
                &part.at,
                format!("this is no number, so that `{name}` passes it over"),
                "leave it out, or write a field that holds a number",
            );
        }
    }

    fn moment(&mut self, part: &Part<'_>, name: &str) {
        let wrong = match part.is {
            Is::Text(text) => !text.is_empty() && any_moment(text).is_none(),
            Is::Number(_) | Is::Box | Is::Status => true,
            Is::Field(field) => {
                if field.validation.as_deref() == Some("time_mm_ss") {
                    self.find(
                        &part.at,
                        format!(
                            "`{}` holds minutes and seconds, and `{name}` reads hours and minutes",
                            field.name
                        ),
                        "calculate with `left` and `right` instead",
                    );
                }
                // Text that is not validated may hold a date, and so may what a text is calculated to.
                part.kind == Kind::Number || field.kind.is_single_choice()
            }
            Is::Computed => part.kind == Kind::Truth,
        };
        if wrong {
            self.find(
                &part.at,
                format!("this is no date, so that `{name}` is always blank"),
                "write a date field, a date as in `'2026-12-31'`, `'today'` or `'now'`",
            );
        }
    }

    fn date_difference(&mut self, arguments: &[Part<'_>]) {
        let [from, until, unit, rest @ ..] = arguments else { return };
        let ordered =
            rest.iter().any(|part| matches!(part.is, Is::Text(text) if Order::named(text).is_some()));
        for part in [from, until] {
            let now = jiff::civil::DateTime::default();
            if let Is::Text(text) = part.is
                && !ordered
                && any_moment(text).is_some()
                && moment(text, Order::Ymd, now).or_else(|| unordered(text, now)).is_none()
            {
                self.find(
                    &part.at,
                    "this date can be read in two ways, so that `datediff` is always blank",
                    "write it year first, or say the order with `'dmy'` or `'mdy'` behind the unit",
                );
            }
        }
        if let Is::Text(text) = unit.is
            && unit_seconds(text).is_none()
        {
            self.find(
                &unit.at,
                format!("`{text}` is no unit, so that `datediff` is always blank"),
                "the units are `y`, `M` for months, `d`, `h`, `m` for minutes and `s`",
            );
        }
        for argument in rest {
            if let Is::Text(text) = argument.is
                && Order::named(text).is_none()
                && !["true", "false", ""].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
            {
                self.find(
                    &argument.at,
                    format!("`{text}` is no order of a date and is not heeded"),
                    "the orders are `ymd`, `mdy` and `dmy`; after it may stand `true` for a sign",
                );
            }
        }
    }
}

fn kind_of(field: &Field) -> Kind {
    let validation = field.validation.as_deref().unwrap_or_default();
    match field.kind {
        FieldKind::Calc | FieldKind::Slider => Kind::Number,
        FieldKind::Text if validation == "integer" || validation.starts_with("number") => Kind::Number,
        FieldKind::Text if validation.starts_with("date") || validation.starts_with("time") => Kind::Moment,
        _ => Kind::Any,
    }
}

/// Whether a text is a number as a field with comma decimals stores it.
fn has_comma(field: &Field, text: &str) -> bool {
    field.validation.as_deref().is_some_and(|validation| validation.ends_with("comma_decimal"))
        && parse_number(&text.replacen(',', ".", 1)).is_some()
}

fn year_first(text: &str) -> Option<jiff::civil::DateTime> {
    moment(text, Order::Ymd, jiff::civil::DateTime::default())
}

fn any_moment(text: &str) -> Option<jiff::civil::DateTime> {
    let now = jiff::civil::DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    [Order::Ymd, Order::Mdy, Order::Dmy].into_iter().find_map(|order| moment(text, order, now))
}

fn mirrored(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        other => other,
    }
}

/// A help sentence that names what a misspelt name may have meant.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    spelling::nearest(name, names)
        .map_or_else(|| "correct the name".to_owned(), |near| format!("did you mean `{near}`?"))
}

/// The choice that has this label, which is not what a field holds.
fn labelled<'a>(field: &'a Field, label: &str) -> Option<&'a Choice> {
    field.choices.iter().find(|choice| choice.label.trim().eq_ignore_ascii_case(label.trim()))
}

fn choices(field: &Field) -> String {
    let codes: Vec<String> =
        field.choices.iter().take(12).map(|choice| format!("`{}`", choice.code)).collect();
    let more = if field.choices.len() > codes.len() { ", …" } else { "" };
    format!("the codes of `{}` are {}{more}", field.name, codes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::parse;
    use crate::odm::tests::small_project;

    fn found(text: &str) -> Vec<String> {
        let project = small_project();
        let expression = parse(text).unwrap();
        check(&expression, &project, Standing::default())
            .into_iter()
            .map(|finding| format!("{}: {}", &text[finding.at], finding.sentence))
            .collect()
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for text in [
            "[age] > 17 and [symptoms(1)] = '1' and [symptoms(-99)] <> 0",
            "[baseline_arm_1][first_name] <> '' or [smoker] = 'UNK'",
            "[color] = 1 and [color] <> '2' and [color] >= 2",
            "datediff([visit], 'today', 'd', 'dmy', true) > -3",
            "[systolic][2] > 140 and [baseline_arm_1][systolic][last-instance] = ''",
            "[entry_complete] = '2' and [record_id] <> ''",
            "[visit] > '2020' and datediff('20-09-2021', [visit], 'd', true) >= 0 and [first_name] > '' and [visit] > '2026-01-01' and round([age] / 2, 1) > 3",
            "[survey-date-completed:entry] <> '' and [previous-event-name][age] = 3",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_found_at_its_place() {
        for (text, wanted) in [
            ("[agee] = 1", "[agee]: there is no field `agee`"),
            ("[basline_arm_1][age] = 1", "[basline_arm_1][age]: there is no event `basline_arm_1`"),
            (
                "[followup_arm_1][systolic] = 1",
                "[followup_arm_1][systolic]: `bp` is not filled in at `followup_arm_1`, so that `systolic` is always blank",
            ),
            ("[symptoms] = 1", "[symptoms]: `symptoms` is a checkbox, which has one value for each choice"),
            ("[symptoms(7)] = 1", "[symptoms(7)]: `symptoms` has no choice `7`"),
            ("[color(1)] = 1", "[color(1)]: `color` is no checkbox and has no choice `1` of its own"),
            ("[color] = '3'", "[color] = '3': this comparison never holds"),
            ("3 < [color]", "3 < [color]: this comparison never holds"),
            ("[color] <> 3 and 1", "[color] <> 3: this comparison always holds"),
            ("[symptoms(1)] = ''", "[symptoms(1)] = '': a checkbox is never blank"),
            ("[symptoms(1)] = '2'", "[symptoms(1)] = '2': this comparison never holds"),
            ("[entry_complete] = 3", "[entry_complete] = 3: this comparison never holds"),
            ("[age] = 'old'", "[age] = 'old': `age` is a number, so that this comparison never holds"),
            (
                "[visit] = 'today'",
                "[visit] = 'today': `visit` is a date or a time, so that this comparison never holds",
            ),
            ("[age] < ''", "[age] < '': nothing comes before a blank"),
            (
                "[visit] = '23-11-2026'",
                "[visit] = '23-11-2026': `visit` is a date or a time, so that this comparison never holds",
            ),
            ("[age] > '1,5'", "[age] > '1,5': `age` is a number, so that this comparison never holds"),
            (
                "[survey-date-completed:entyr] = ''",
                "[survey-date-completed:entyr]: there is no form `entyr`; did you mean `entry`?",
            ),
            (
                "[nowhere_arm_1][event-label] = ''",
                "[nowhere_arm_1][event-label]: there is no event `nowhere_arm_1`",
            ),
            (
                "[rand-number] = 1",
                "[rand-number]: `[rand-number]` needs to know how REDCap randomized the record, which nothing tells",
            ),
            ("[age] = ' '", "[age] = ' ': a text of blanks is not a blank"),
            ("[age][2] = 1", "[age][2]: `entry` does not repeat, so that this instance is always blank"),
            (
                "[visit] - 1 = 2",
                "[visit]: `-` does not calculate with dates, so that its outcome is always blank",
            ),
            ("round('x')", "'x': this is no number, so that what `round` makes of it is always blank"),
            ("datediff([age], 'today', 'd')", "[age]: this is no date, so that `datediff` is always blank"),
            (
                "datediff('05-09-2021', [visit], 'd')",
                "'05-09-2021': this date can be read in two ways, so that `datediff` is always blank",
            ),
            ("datediff([visit], 'today', 'w')", "'w': `w` is no unit, so that `datediff` is always blank"),
            (
                "datediff([visit], 'today', 'd', 'abc')",
                "'abc': `abc` is no order of a date and is not heeded",
            ),
        ] {
            assert_eq!(found(text), [wanted], "{text}");
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let project = small_project();
        for (text, help) in [
            ("[frist_name] = ''", "did you mean `first_name`?"),
            ("[symptoms____99] = '1'", "write `[symptoms(-99)]`"),
            ("[symptoms(Cough)] = '1'", "that is a label; write `[symptoms(1)]`"),
            ("[color] = 'blue'", "that is a label; its code is `2`"),
        ] {
            let finding = &check(&parse(text).unwrap(), &project, Standing::default())[0];
            assert_eq!(finding.help, help, "{text}");
        }
    }
}
