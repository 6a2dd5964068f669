//! What a condition comes to for one record at one moment.
//!
//! Evaluation is total: whatever makes no sense is blank, as it is in REDCap. It takes each step of
//! an expression at most once, and texts have a greatest length, so time and memory are bounded.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};

use super::Expression;
use super::function::Function;
use super::moment::{Order, age, moment, unit_seconds, unordered};
use super::step::{Operand, Operator, Step};
use super::value::{LONGEST, Value, order_of_digits, parse_number, same, significant};
use crate::project::FieldKind;
use crate::reference::{Context, Reference};
use crate::smart::{self, Resolved};

/// What an expression comes to.
#[must_use]
pub fn evaluate<'a>(expression: &'a Expression, context: &Context<'a>) -> Value<'a> {
    let mut stack = Stack(Vec::with_capacity(8));
    let mut at = 0;
    while let Some(step) = expression.steps.get(at) {
        at += 1;
        match step {
            Step::Number(number) => stack.push(Value::Number(*number)),
            Step::Text(text) => stack.push(Value::Text(Cow::Borrowed(text))),
            Step::Truth(truth) => stack.push(Value::Truth(*truth)),
            Step::Blank => stack.push(Value::Blank),
            Step::Today => stack.push(Value::of_string(context.now.date().to_string())),
            Step::Now => stack.push(Value::of_string(context.now.strftime("%Y-%m-%d %H:%M:%S").to_string())),
            Step::Reference(operand) => stack.push(referenced(operand, context)),
            Step::Negative => {
                let number = stack.pop().number();
                stack.push(number.map_or(Value::Blank, |number| Value::Number(-number)));
            }
            Step::Not => {
                let truth = stack.pop().is_true();
                stack.push(Value::Truth(!truth));
            }
            Step::Binary(operator) => {
                let right = stack.pop();
                let left = stack.pop();
                stack.push(binary(*operator, &left, &right));
            }
            Step::Decided(operator, to) => {
                let truth = stack.pop().is_true();
                stack.push(Value::Truth(truth));
                if truth == (*operator == Operator::Or) {
                    at = *to;
                }
            }
            Step::Unless(to) => {
                if !stack.pop().is_true() {
                    at = *to;
                }
            }
            Step::Skip(to) => at = *to,
            // The argument that was chosen is there already. Written out or not, a blank is a blank now.
            Step::Call(Function::If, _) => {
                let chosen = stack.pop();
                stack.push(if chosen.is_blank() { Value::Blank } else { chosen });
            }
            Step::Call(function, count) => {
                let from = stack.0.len().saturating_sub(*count);
                let outcome = call(*function, &stack.0[from..], context);
                stack.0.truncate(from);
                stack.push(outcome);
            }
        }
    }
    let outcome = stack.pop();
    if outcome.is_blank() { Value::Blank } else { outcome }
}

/// Whether a condition may come to hold by the passing of time alone, everything else being as it is. Where that
/// cannot be told without waiting, it may.
#[must_use]
pub fn may_hold<'a>(expression: &'a Expression, context: &Context<'a>) -> bool {
    // A value, or none where it changes with time.
    let mut stack: Vec<Option<Value<'a>>> = Vec::with_capacity(8);
    let mut at = 0;
    while let Some(step) = expression.steps.get(at) {
        at += 1;
        let value = match step {
            step if step.is_time() => None,
            Step::Number(number) => Some(Value::Number(*number)),
            Step::Text(text) => Some(Value::Text(Cow::Borrowed(text))),
            Step::Truth(truth) => Some(Value::Truth(*truth)),
            Step::Blank => Some(Value::Blank),
            Step::Today | Step::Now => None,
            Step::Reference(operand) => Some(referenced(operand, context)),
            Step::Negative => {
                let number = stack.pop().flatten();
                number.map(|value| value.number().map_or(Value::Blank, |number| Value::Number(-number)))
            }
            Step::Not => stack.pop().flatten().map(|value| Value::Truth(!value.is_true())),
            Step::Binary(operator) => {
                let (right, left) = (stack.pop().flatten(), stack.pop().flatten());
                match (operator, &left, &right) {
                    (Operator::And, _, Some(right)) if !right.is_true() => Some(Value::Truth(false)),
                    (Operator::Or, _, Some(right)) if right.is_true() => Some(Value::Truth(true)),
                    (_, Some(left), Some(right)) => Some(binary(*operator, left, right)),
                    _ => None,
                }
            }
            Step::Decided(operator, to) => {
                let truth = stack.pop().flatten().map(|value| value.is_true());
                if truth == Some(*operator == Operator::Or) {
                    at = *to;
                }
                truth.map(Value::Truth)
            }
            Step::Unless(to) => {
                match stack.pop().flatten() {
                    Some(value) if value.is_true() => {}
                    Some(_) => at = *to,
                    // Either branch may be taken when the time has come.
                    None => return true,
                }
                continue;
            }
            Step::Skip(to) => {
                at = *to;
                continue;
            }
            Step::Call(Function::If, _) => stack.pop().flatten(),
            Step::Call(function, count) => {
                let arguments = stack.split_off(stack.len().saturating_sub(*count));
                let known: Option<Vec<_>> = arguments.into_iter().collect();
                known.map(|known| call(*function, &known, context))
            }
        };
        stack.push(value);
    }
    stack.pop().flatten().is_none_or(|value| value.is_true())
}

/// The first smart variable of an expression that the caller did not tell, with what would have to be
/// told. Its value is blank, which it may not be: whoever acts on an outcome asks this first.
#[must_use]
pub fn untold<'a>(
    expression: &'a Expression,
    context: &Context<'_>,
) -> Option<(&'a Reference, &'static str)> {
    expression.references().into_iter().filter(|reference| reference.is_smart()).find_map(|reference| {
        match smart::resolve(reference, context) {
            Resolved::NotTold(what) => Some((reference, what)),
            _ => None,
        }
    })
}

struct Stack<'a>(Vec<Value<'a>>);

impl<'a> Stack<'a> {
    fn push(&mut self, value: Value<'a>) {
        self.0.push(value);
    }

    fn pop(&mut self) -> Value<'a> {
        self.0.pop().unwrap_or(Value::Blank)
    }
}

fn binary<'a>(operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Value<'a> {
    let order = |wanted: fn(Ordering) -> bool| Value::Truth(compare(left, right).is_some_and(wanted));
    let arithmetic = |calculate: fn(f64, f64) -> f64| match (left.number(), right.number()) {
        (Some(left), Some(right)) => Value::of_number(calculate(left, right)),
        _ => Value::Blank,
    };
    match operator {
        Operator::Equal => Value::Truth(equal(left, right)),
        Operator::Unequal => Value::Truth(!equal(left, right)),
        Operator::Less => order(Ordering::is_lt),
        Operator::LessOrEqual => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::GreaterOrEqual => order(Ordering::is_ge),
        Operator::Plus => arithmetic(|left, right| left + right),
        Operator::Minus => arithmetic(|left, right| left - right),
        Operator::Times => arithmetic(|left, right| left * right),
        // Division by zero is blank: the quotient is not finite.
        Operator::Over => arithmetic(|left, right| left / right),
        Operator::Power => arithmetic(f64::powf),
        // What the left side decided never comes here.
        Operator::And | Operator::Or => Value::Truth(right.is_true()),
    }
}

/// Blank equals blank only: it is not zero. Quoted numbers equal numbers; texts compare with case. A
/// missing data code equals what is written like it.
fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    if left.is_blank() || right.is_blank() {
        return left.is_blank() && right.is_blank();
    }
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => same(*left, *right),
        (Value::Text(left), Value::Text(right)) if left == right => true,
        _ => match (digits(left, right), left.number(), right.number()) {
            (Some(order), _, _) => order.is_eq(),
            (None, Some(left), Some(right)) => same(left, right),
            _ => match (left, right) {
                (Value::Text(one), Value::Text(other)) => {
                    one == other || written(one).is_some_and(|one| written(other) == Some(one))
                }
                _ => left.text() == right.text(),
            },
        },
    }
}

/// A date or a time as it is written, year first, and whether it is a time alone. A date alone is its
/// midnight, and a time without seconds the full minute.
fn written(text: &str) -> Option<(DateTime, bool)> {
    let is_time = !text.contains(['-', '/']);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || (is_time && !text.contains(':')) {
        return None;
    }
    Some((moment(text, Order::Ymd, DateTime::default())?, is_time))
}

/// The beginning of a date, year first.
pub(super) fn is_partial(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    parts.next().is_some_and(|year| year.len() == 4 && digits(year)) && parts.all(digits)
}

/// How two texts of digits order that are too long for a number.
fn digits(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) if left.len().max(right.len()) > 15 => {
            order_of_digits(left, right)
        }
        _ => None,
    }
}

/// No public text says how a blank orders. Here it orders against nothing, so neither `<` nor `>`
/// holds; the same goes for a missing data code, and for a number beside a text. Only `''` written
/// out comes before everything that is filled in: real projects ask `[phone] > ""`.
fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    let is_empty = |value: &Value<'_>| matches!(value, Value::Text(text) if text.is_empty());
    if is_empty(left) || is_empty(right) {
        return Some((!left.is_blank()).cmp(&!right.is_blank()));
    }
    if let Some(order) = digits(left, right) {
        return Some(order);
    }
    match (left.number(), right.number()) {
        (Some(left), Some(right)) if same(left, right) => Some(Ordering::Equal),
        (Some(left), Some(right)) => left.partial_cmp(&right),
        (None, None) => match (left, right) {
            (Value::Text(left), Value::Text(right)) => match (written(left), written(right)) {
                (Some((left, of)), Some((right, other))) => (of == other).then(|| left.cmp(&right)),
                (None, None) => Some(left.cmp(right)),
                // The beginning of a date orders as a text does; nothing else stands before or after one.
                (Some(_), None) => is_partial(right).then(|| left.cmp(right)),
                (None, Some(_)) => is_partial(left).then(|| left.cmp(right)),
            },
            _ => None,
        },
        _ => None,
    }
}

fn referenced<'a>(operand: &'a Operand, context: &Context<'a>) -> Value<'a> {
    let reference = &operand.reference;
    if reference.is_smart() {
        return smart(reference, context);
    }
    let project = context.project;
    if reference.name == project.record_id_field {
        return Value::of_text(&context.record.id);
    }
    let field = project.field(&reference.name);
    let instrument = match field {
        Some(field) => &field.instrument,
        None => match project.status_of(&reference.name) {
            Some(instrument) => &instrument.name,
            None => return Value::Blank,
        },
    };
    let Some(spot) = context.spot_of(reference, instrument) else { return Value::Blank };
    let raw = context.record.at(spot, &operand.column);
    if reference.code.is_some() {
        // A box is 1 or 0 and never blank, except where there is no such event or instance.
        let checked = raw == Some("1");
        return Value::Text(Cow::Borrowed(if checked { "1" } else { "0" }));
    }
    let (Some(raw), Some(field)) = (raw, field) else { return raw.map_or(Value::Blank, Value::of_text) };
    if project.missing_code(field, raw).is_some() {
        return Value::Missing(raw);
    }
    if field.validation.as_deref().is_some_and(|validation| validation.ends_with("comma_decimal"))
        && let Some(number) = parse_number(&raw.replacen(',', ".", 1))
    {
        return Value::Stored(number, raw);
    }
    if field.kind == FieldKind::Calc
        && let Some(number) = parse_number(raw)
    {
        return Value::Stored(number, raw);
    }
    Value::of_text(raw)
}

/// A smart variable. What only a server could tell is blank.
fn smart<'a>(reference: &Reference, context: &Context<'a>) -> Value<'a> {
    match smart::resolve(reference, context) {
        Resolved::Text(text) => Value::of_string(text),
        Resolved::Link(_) | Resolved::NotTold(_) | Resolved::Wrong(_) => Value::Blank,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn call<'a>(function: Function, values: &[Value<'a>], context: &Context<'a>) -> Value<'a> {
    let first = values.first().unwrap_or(&Value::Blank);
    let second = values.get(1).unwrap_or(&Value::Blank);
    let third = values.get(2);
    let number = |outcome: Option<f64>| outcome.map_or(Value::Blank, Value::of_number);
    let with = |calculate: fn(f64) -> f64| number(first.number().map(calculate));
    let numbers = || values.iter().filter_map(Value::number);
    let first_number = numbers().next();
    let total = || numbers().reduce(|sum, next| sum + next);
    // A blank part stands in no text, as `find` has it too.
    let has = |test: fn(&str, &str) -> bool| {
        !second.is_blank() && test(&folded(&first.text()), &folded(&second.text()))
    };
    let day = || day(first, context);
    match function {
        Function::If => Value::Blank,
        Function::DateDiff => number(date_difference(values, context)),
        Function::AgeAtDate => number((|| {
            let (birth, until) = (day()?, self::day(second, context)?);
            if third.is_some_and(is_flag) {
                let days = until.duration_since(birth).as_secs_f64() / 86_400.0;
                return Some(days / 365.2425);
            }
            Some(age(birth, until))
        })()),
        Function::DayOfTheWeek => number(day().map(|day| f64::from(day.weekday().to_monday_one_offset()))),
        Function::Year => number(day().map(|day| f64::from(day.year()))),
        Function::Month => number(day().map(|day| f64::from(day.month()))),
        Function::Day => number(day().map(|day| f64::from(day.day()))),
        Function::Round => number(round(first, values.get(1), f64::round)),
        Function::RoundUp => number(round(first, values.get(1), f64::ceil)),
        Function::RoundDown => number(round(first, values.get(1), f64::floor)),
        Function::Sqrt => with(f64::sqrt),
        Function::Abs => with(f64::abs),
        Function::Exponential => with(f64::exp),
        Function::Log => match values.get(1) {
            None => with(f64::ln),
            Some(base) => {
                let base = base.number().filter(|base| *base > 0.0);
                number(first.number().zip(base).map(|(number, base)| number.ln() / base.ln()))
            }
        },
        Function::Mod => number(first.number().zip(second.number()).map(|(left, right)| {
            // 1 is ten times 0.1, although no binary fraction is a tenth.
            if significant(left / right, 15).fract() == 0.0 { 0.0 } else { left % right }
        })),
        // One documentation says that `sum` makes 0 of blanks only; a server stored a blank.
        Function::Sum => number(total()),
        Function::Mean => number(total().map(|sum| sum / numbers().count() as f64)),
        Function::Median => number(median(numbers().collect())),
        Function::Min => number(numbers().reduce(f64::min)),
        Function::Max => number(numbers().reduce(f64::max)),
        Function::Stdev => number(total().filter(|_| numbers().count() > 1).map(|sum| {
            let count = numbers().count() as f64;
            // Equal numbers do not deviate, whatever their sum loses in its last bit.
            if numbers().all(|number| Some(number) == first_number) {
                return 0.0;
            }
            let mean = sum / count;
            (numbers().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
        })),
        Function::IsNumber => Value::Truth(first.number().is_some()),
        Function::IsInteger => {
            Value::Truth(first.number().is_some_and(|number| significant(number, 15).fract() == 0.0))
        }
        Function::IsBlankOrMissingCode => Value::Truth(first.is_blank() || is_missing(first)),
        Function::IsBlankNotMissingCode => Value::Truth(first.is_blank()),
        Function::IsMissingCode => Value::Truth(is_missing(first)),
        Function::HasMissingCode => Value::Truth(
            is_missing(first) && second.text().split(',').any(|code| code.trim() == first.text().as_ref()),
        ),
        Function::Contains => Value::Truth(has(|text, part| text.contains(part))),
        Function::NotContain => Value::Truth(!has(|text, part| text.contains(part))),
        Function::StartsWith => Value::Truth(has(|text, part| text.starts_with(part))),
        Function::EndsWith => Value::Truth(has(|text, part| text.ends_with(part))),
        Function::Find => {
            let (part, text) = (folded(&first.text()), folded(&second.text()));
            let found = text.find(&part).filter(|_| !part.is_empty());
            Value::Number(found.map_or(0.0, |at| text[..at].chars().count() as f64 + 1.0))
        }
        Function::Left => cut(first, |_| Some(0), count(second)),
        Function::Right => {
            let wanted = count(second);
            cut(first, |length| Some(length.saturating_sub(wanted?)), wanted)
        }
        Function::Mid => cut(first, |_| Some(count(second)?.saturating_sub(1)), third.and_then(count)),
        Function::Length => Value::Number(first.text().chars().count() as f64),
        Function::Trim => Value::of_string(first.text().trim().to_owned()),
        Function::Upper => Value::of_string(first.text().to_uppercase()),
        Function::Lower => Value::of_string(first.text().to_lowercase()),
        Function::ReplaceText => {
            let (text, part) = (first.text(), second.text());
            if part.is_empty() {
                return first.clone();
            }
            let other = third.map(Value::text).unwrap_or_default();
            joined(text.split(part.as_ref()).map(Cow::Borrowed), &other)
        }
        Function::Concat => joined(values.iter().map(Value::text), ""),
        Function::ConcatWs => {
            let filled = values.iter().skip(1).map(Value::text).filter(|text| !text.is_empty());
            joined(filled, &first.text())
        }
    }
}

fn is_missing(value: &Value<'_>) -> bool {
    matches!(value, Value::Missing(_))
}

/// A text without its case. Each character stays one, so that places can be counted.
fn folded(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// Texts with another one between them; blank as soon as it gets longer than any field of REDCap's.
fn joined<'a, 'b>(texts: impl Iterator<Item = Cow<'b, str>>, between: &str) -> Value<'a> {
    let mut all = String::new();
    for (at, text) in texts.enumerate() {
        if at > 0 {
            all.push_str(between);
        }
        all.push_str(&text);
        if all.len() > LONGEST {
            return Value::Blank;
        }
    }
    Value::of_string(all)
}

/// A count of characters; below zero there is none.
fn count(value: &Value<'_>) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is in range")]
    value.number().map(|number| number.clamp(0.0, 1e9) as usize)
}

/// So many characters of a text from a place on. Without both numbers it is blank.
fn cut<'a>(value: &Value<'a>, from: impl Fn(usize) -> Option<usize>, wanted: Option<usize>) -> Value<'a> {
    let text = value.text();
    let (Some(from), Some(wanted)) = (from(text.chars().count()), wanted) else { return Value::Blank };
    Value::of_string(text.chars().skip(from).take(wanted).collect())
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    Some(if numbers.len() % 2 == 1 { upper } else { numbers[middle - 1].midpoint(upper) })
}

/// Rounds halves away from zero. 15 digits go in, so that 1.005 counts as the half it is meant to be.
fn round(number: &Value<'_>, places: Option<&Value<'_>>, how: fn(f64) -> f64) -> Option<f64> {
    let places = match places {
        None => 0.0,
        Some(places) => places.number()?.clamp(-15.0, 15.0).trunc(),
    };
    let number = number.number()?;
    let scale = 10_f64.powf(places);
    let scaled = number * scale;
    // What is too great to be scaled has no decimals to round.
    Some(if scaled.is_finite() { how(significant(scaled, 15)) / scale } else { number })
}

/// The difference of two moments in a unit. `today` is midnight, so that a time of today lies a part
/// of a day ahead of it.
fn date_difference(values: &[Value<'_>], context: &Context<'_>) -> Option<f64> {
    let [first, second, unit, rest @ ..] = values else { return None };
    // The fourth argument is a date format or already the sign flag.
    let signed = rest.iter().any(is_flag);
    let order = rest.iter().find_map(|order| Order::named(&order.text()));
    let unit = unit_seconds(&unit.text())?;
    // Without an order, a date that is not year first is read if it can be read in one way only.
    let at = |value: &Value<'_>| match (value, order) {
        (Value::Text(text), None) => at(value, Order::Ymd, context).or_else(|| unordered(text, context.now)),
        (value, order) => at(value, order.unwrap_or(Order::Ymd), context),
    };
    let from = at(first)?;
    let until = at(second)?;
    let seconds = until.duration_since(from).as_secs_f64();
    Some(if signed { seconds } else { seconds.abs() } / unit)
}

/// Whether a switch is on: `true`, with or without quotation marks.
fn is_flag(value: &Value<'_>) -> bool {
    match value {
        Value::Truth(truth) => *truth,
        Value::Text(text) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The day of a date; a time alone has none.
fn day(value: &Value<'_>, context: &Context<'_>) -> Option<Date> {
    let moment = at(value, Order::Ymd, context)?;
    let is_time = matches!(value, Value::Text(text) if text.contains(':') && !text.contains(['-', '/']));
    (!is_time).then(|| moment.date())
}

fn at(value: &Value<'_>, order: Order, context: &Context<'_>) -> Option<DateTime> {
    match value {
        Value::Text(text) => moment(text, order, context.now),
        _ => None,
    }
}
#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::odm::tests::small_project;
    use crate::record::{Place, Record};

    /// What expressions come to is told by the cases in `tests/cases/logic`; here is what no case can show.
    fn check(expression: &str) -> String {
        let (project, record, place) = (small_project(), Record::new("1"), Place::default());
        let context = Context::new(&project, &record, &place, DateTime::constant(2026, 11, 23, 10, 0, 0, 0));
        evaluate(&parse(expression).unwrap(), &context).text().into_owned()
    }

    #[test]
    fn depth_and_length_exhaust_nothing() {
        assert_eq!(check(&vec!["[age] = '1'"; 9_000].join(" or ")), "0");
        assert_eq!(check(&format!("{}1{}", "if(1 = 2, 0, ".repeat(5_000), ")".repeat(5_000))), "1");
        assert_eq!(check(&format!("{}1{}", "1 + (".repeat(9_000), ")".repeat(9_000))), "9001");
    }

    #[test]
    fn what_time_alone_cannot_make_true_is_told_from_what_it_can() {
        let (project, mut record, place) = (small_project(), Record::new("1"), Place::at("baseline_arm_1"));
        record.set("age", &place, "40");
        record.set("visit", &place, "2026-11-20 10:00");
        let context = Context::new(&project, &record, &place, DateTime::constant(2026, 11, 23, 10, 0, 0, 0));
        for (expression, expected) in [
            ("datediff([visit], 'today', 'd') = 9", true),
            ("[age] = 40 and datediff([visit], 'today', 'd') = 9", true),
            ("[age] = 41 and datediff([visit], 'today', 'd') = 9", false),
            ("datediff([visit], 'today', 'd') = 9 and [age] = 41", false),
            ("[age] = 40 or datediff([visit], 'today', 'd') = 9", true),
            ("[age] = 41 or datediff([visit], 'today', 'd') = 9", true),
            ("[age] = 41", false),
            ("not (datediff([visit], today, 'd') > 9)", true),
            ("if([age] = 41, datediff([visit], now, 'h') > 9, 0)", false),
            ("if([age] = 40, datediff([visit], now, 'h') > 9, 0)", true),
            ("if(datediff([visit], now, 'h') > 9, 0, 0)", true),
        ] {
            assert_eq!(may_hold(&parse(expression).unwrap(), &context), expected, "{expression}");
        }
    }

    #[test]
    fn a_text_that_would_grow_without_end_is_blank() {
        let grown =
            (0..40).fold("'aaaaaaaa'".to_owned(), |text, _| format!("replace_text({text}, 'a', 'aaaaaaaa')"));
        assert_eq!(check(&grown), "");
        assert_eq!(check(&format!("length({grown})")), "0");
    }

    #[test]
    fn no_value_shows_in_debug_output() {
        let text = Value::Text("Ann".into());
        assert!(
            !format!("{text:?} {:?} {:?}", Value::Missing("UNK"), Value::Stored(7.5, "7,5"))
                .contains(['A', '7', 'U'])
        );
    }
}
