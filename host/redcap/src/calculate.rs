//! Fields whose values follow from others: calculated fields, `@CALCTEXT` and `@CALCDATE`.
//!
//! REDCap computes them on the server whenever something they refer to is saved, on whatever form
//! and at whatever event they stand. [`Calculations::recalculate`] does the same in one go, each
//! field after those it is built on. [`Calculations::compare`] holds what a server stored against
//! what comes out here.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;
use jiff::civil::DateTime;

use crate::logic::{Expression, Mistake, Value, add_to_moment, evaluate, format_number, parse};
use crate::project::{Field, FieldKind, Project};
use crate::record::{Place, Record, columns};
use crate::reference::{Context, Instance, Reference};

/// The calculations of a project, in the order in which they are worked out.
#[derive(Debug, Default)]
pub struct Calculations {
    ordered: Vec<Calculation>,
    /// How many of them look at another event or instance of something that looks back.
    circular_over_places: usize,
    pub problems: Vec<CalculationProblem>,
}

/// A calculation that cannot be worked out. Its field keeps the value it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalculationProblem {
    pub field: String,
    /// The formula, or the annotation it stands in.
    pub text: String,
    pub mistake: Mistake,
}

#[derive(Debug)]
struct Calculation {
    field: String,
    instrument: String,
    formula: Formula,
}

#[derive(Debug)]
enum Formula {
    /// What is no number is blank.
    Number(Expression),
    Text(Expression),
    Date {
        from: Expression,
        offset: Expression,
        unit: Expression,
        clock: Clock,
    },
}

/// How much of the time of day a date field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    None,
    Minutes,
    Seconds,
}

/// A value that a calculation changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    pub place: Place,
    pub from: String,
    pub to: String,
}

impl std::fmt::Debug for Change {
    /// Values are nobody's log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change")
            .field("field", &self.field)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What a recalculation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalculated {
    pub changes: Vec<Change>,
    /// Fields that change each other for ever, and so were left alone.
    pub unsettled: Vec<String>,
}

/// More passes than this settle nothing that fewer do not.
const MOST_PASSES: usize = 1_000;

/// A stored value beside the one that comes out here.
#[derive(Clone, PartialEq, Eq)]
pub struct Comparison {
    pub field: String,
    pub place: Place,
    pub stored: String,
    pub computed: String,
    /// The same text, or the same number to 14 digits.
    pub equal: bool,
    /// Whether the outcome depends on when it was computed.
    pub depends_on_time: bool,
}

/// What a record's stored values are beside the computed ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    pub values: Vec<Comparison>,
    /// How many blanks were left out, because a server need not have computed them.
    pub passed_over: usize,
}

impl std::fmt::Debug for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("field", &self.field)
            .field("place", &self.place)
            .field("equal", &self.equal)
            .finish_non_exhaustive()
    }
}

impl Calculations {
    /// Reads every calculation of a project and puts them in order.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        let mut problems = Vec::new();
        let mut found = Vec::new();
        for field in &project.fields {
            match formula(field) {
                Ok(Some(formula)) => found.push(Calculation {
                    field: field.name.clone(),
                    instrument: field.instrument.clone(),
                    formula,
                }),
                Ok(None) => {}
                Err(mistakes) => problems.extend(mistakes),
            }
        }
        let Ordered { order, circular_over_places, cycles, stuck } = order(project, &found);
        for cycle in cycles {
            problems.push(circular(project, &found, &cycle));
        }
        for (field, input) in stuck {
            let (field, input) = (&found[field].field, &found[input].field);
            let sentence = format!("`{field}` is built on `{input}`, which is built on itself");
            problems.push(problem_of(project, field, sentence, format!("break the circle of `{input}`")));
        }
        let mut found: Vec<Option<Calculation>> = found.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|at| found[at].take()).collect();
        Self { ordered, circular_over_places, problems }
    }

    /// The names of the calculated fields, each after those it is built on.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.ordered.iter().map(|calculation| calculation.field.as_str())
    }

    /// Computes every calculation whose form was begun or of which something is filled in, and stores
    /// what changed.
    ///
    /// What does not settle, because fields add to each other over events or instances in a circle, keeps
    /// the value it had.
    pub fn recalculate(&self, project: &Project, record: &mut Record, now: DateTime) -> Recalculated {
        let mut changes: Vec<Change> = Vec::new();
        // One pass is enough, unless fields look at each other over events or instances: then each pass
        // settles one more of them at one more place.
        let passes = 1 + (self.circular_over_places * record.places().count()).min(MOST_PASSES);
        let sheets = self.sheets(project, record, &|_| true);
        let mut unsettled: BTreeSet<String> = BTreeSet::new();
        for _ in 0..passes {
            unsettled.clear();
            for calculation in &self.ordered {
                for (place, begun) in sheets.get(calculation.instrument.as_str()).into_iter().flatten() {
                    let context = Context::new(project, record, place, now);
                    if !begun && !calculation.formula.has_input(&context) {
                        continue;
                    }
                    let to = calculation.formula.outcome(&context);
                    let from = record.get(&calculation.field, place).unwrap_or_default();
                    if to != from {
                        let (field, from) = (calculation.field.clone(), from.to_owned());
                        record.set(&field, place, &to);
                        unsettled.insert(field.clone());
                        changes.push(Change { field, place: place.clone(), from, to });
                    }
                }
            }
            if unsettled.is_empty() {
                break;
            }
        }
        if self.circular_over_places == 0 {
            unsettled.clear();
        }
        for change in changes.iter().rev().filter(|change| unsettled.contains(&change.field)) {
            record.set(&change.field, &change.place, &change.from);
        }
        changes.retain(|change| !unsettled.contains(&change.field));
        Recalculated { changes, unsettled: unsettled.into_iter().collect() }
    }

    /// Each stored value of a calculated field beside the one that comes out of the *stored* values
    /// it is built on: so a difference is the field's own, and is told once. A blank is left out where
    /// a server need not have computed: where a form holds nothing but calculations, and where nothing
    /// that the formula refers to has a value.
    #[must_use]
    pub fn compare(&self, project: &Project, record: &Record, now: DateTime) -> Compared {
        let calculated: BTreeSet<&str> = self.fields().collect();
        let sheets = self.sheets(project, record, &|field| !calculated.contains(field));
        let mut compared = Compared::default();
        for calculation in &self.ordered {
            for (place, begun) in sheets.get(calculation.instrument.as_str()).into_iter().flatten() {
                let stored = record.get(&calculation.field, place).unwrap_or_default().to_owned();
                if stored.is_empty() && !begun {
                    compared.passed_over += 1;
                    continue;
                }
                let context = Context::new(project, record, place, now);
                let computed = calculation.formula.outcome(&context);
                // A server computes when something a formula is built on is saved, so what was only
                // imported may never have been computed.
                if stored.is_empty() && !computed.is_empty() && !calculation.formula.has_input(&context) {
                    compared.passed_over += 1;
                    continue;
                }
                compared.values.push(Comparison {
                    field: calculation.field.clone(),
                    equal: is_same(&stored, &computed),
                    depends_on_time: calculation.formula.depends_on_time(),
                    place: place.clone(),
                    stored,
                    computed,
                });
            }
        }
        compared
    }

    /// Where the forms with calculations stand in a record, each with whether one of the fields that
    /// count was saved there.
    fn sheets<'a>(
        &'a self,
        project: &Project,
        record: &Record,
        counts: &dyn Fn(&str) -> bool,
    ) -> HashMap<&'a str, Vec<(Place, bool)>> {
        let mut sheets: HashMap<&str, Vec<(Place, bool)>> = HashMap::new();
        for calculation in &self.ordered {
            let instrument = calculation.instrument.as_str();
            if sheets.contains_key(instrument) {
                continue;
            }
            let columns = own_columns(project, instrument, counts);
            let begun = |place: &Place| columns.iter().any(|column| record.get(column, place).is_some());
            let here = places(project, record, instrument).into_iter().map(|place| {
                let begun = begun(&place);
                (place, begun)
            });
            sheets.insert(instrument, here.collect());
        }
        sheets
    }
}

/// Where the fields of an instrument stand in a record: at each event that has a row, once or in
/// every instance.
fn places(project: &Project, record: &Record, instrument: &str) -> Vec<Place> {
    let mut found = BTreeSet::new();
    for row in record.places() {
        let event = row.event_name();
        let is_filled_in = project.is_designated(event, instrument);
        let here = match &row.instrument {
            // A row of another repeating form says that the event was begun.
            Some(repeating) => repeating == instrument || !project.repeats(event, instrument),
            None => !project.repeats(event, instrument),
        };
        if is_filled_in && here {
            found.insert(Place::of(project, event, instrument, row.instance));
        }
    }
    found.into_iter().collect()
}

/// Whether anything was ever saved on a form. The record's id is on every row and does not count.
#[must_use]
pub fn is_begun(project: &Project, record: &Record, place: &Place, instrument: &str) -> bool {
    own_columns(project, instrument, &|_| true).iter().any(|column| record.get(column, place).is_some())
}

fn own_columns(project: &Project, instrument: &str, counts: &dyn Fn(&str) -> bool) -> Vec<String> {
    let fields = project
        .fields_of(instrument)
        .filter(|field| field.name != project.record_id_field && counts(&field.name));
    fields.flat_map(columns).chain([format!("{instrument}_complete")]).collect()
}

fn is_same(stored: &str, computed: &str) -> bool {
    if stored == computed {
        return true;
    }
    // An export for a region that writes a comma writes it in calculated fields too.
    let stored = stored.replacen(',', ".", 1);
    match (Value::Text(stored.into()).number(), Value::Text(computed.into()).number()) {
        (Some(stored), Some(computed)) => crate::logic::is_same_number(stored, computed),
        _ => false,
    }
}

impl Formula {
    fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Number(expression) | Self::Text(expression) => vec![expression],
            Self::Date { from, offset, unit, .. } => vec![from, offset, unit],
        }
    }

    fn depends_on_time(&self) -> bool {
        self.expressions().into_iter().any(Expression::depends_on_time)
    }

    /// Whether anything it refers to has a value. A checkbox always has one, so there a checked one
    /// counts.
    fn has_input(&self, context: &Context<'_>) -> bool {
        self.expressions().into_iter().flat_map(Expression::references).any(|reference| {
            let raw = context.raw(reference);
            !reference.is_smart()
                && reference.name != context.project.record_id_field
                && if reference.code.is_some() { raw == Some("1") } else { raw.is_some() }
        })
    }

    /// What a server would store.
    fn outcome(&self, context: &Context<'_>) -> String {
        match self {
            Self::Number(expression) => {
                let outcome = evaluate(expression, context);
                match outcome {
                    // A comma does not survive a calculation.
                    Value::Stored(number, _) => format_number(number),
                    outcome if outcome.number().is_some() => outcome.text().into_owned(),
                    _ => String::new(),
                }
            }
            Self::Text(expression) => evaluate(expression, context).text().into_owned(),
            Self::Date { from, offset, unit, clock } => {
                let moment = add_to_moment(
                    &evaluate(from, context),
                    &evaluate(offset, context),
                    &evaluate(unit, context),
                    context.now,
                );
                let format = match clock {
                    Clock::None => "%Y-%m-%d",
                    Clock::Minutes => "%Y-%m-%d %H:%M",
                    Clock::Seconds => "%Y-%m-%d %H:%M:%S",
                };
                moment.map(|moment| moment.strftime(format).to_string()).unwrap_or_default()
            }
        }
    }
}

/// The calculation of a field, if it has one that can be read.
fn formula(field: &Field) -> Result<Option<Formula>, Vec<CalculationProblem>> {
    let problem = |text: &str, at: usize, mut mistake: Mistake| {
        mistake.at = mistake.at.start + at..mistake.at.end + at;
        CalculationProblem { field: field.name.clone(), text: text.to_owned(), mistake }
    };
    let read = |formula: &str, text: &str, at: usize| {
        parse(formula).map_err(|mistakes| {
            mistakes.into_iter().map(|mistake| problem(text, at, mistake)).collect::<Vec<_>>()
        })
    };
    if field.kind == FieldKind::Calc {
        let Some(text) = &field.calculation else { return Ok(None) };
        return read(text, text, 0).map(Formula::Number).map(Some);
    }
    let Some(annotation) = &field.annotation else { return Ok(None) };
    if let Some(formula) = field.calctext() {
        return read(&formula.text, annotation, formula.at).map(Formula::Text).map(Some);
    }
    let Some(tag) = field.tag("@CALCDATE") else { return Ok(None) };
    let Some([from, offset, unit]) = field.calcdate() else {
        let mistake = Mistake {
            at: tag.at,
            sentence: "`@CALCDATE` needs a date, a number and a unit".to_owned(),
            help: "write it as in `@CALCDATE([visit], 7, 'd')`".to_owned(),
        };
        return Err(vec![problem(annotation, 0, mistake)]);
    };
    let [from, offset, unit] = [from, offset, unit].map(|part| read(&part.text, annotation, part.at));
    let clock = match field.validation.as_deref() {
        Some(validation) if validation.starts_with("datetime_seconds") => Clock::Seconds,
        Some(validation) if validation.starts_with("datetime") => Clock::Minutes,
        _ => Clock::None,
    };
    Ok(Some(Formula::Date { from: from?, offset: offset?, unit: unit?, clock }))
}

struct Ordered {
    /// Each after what it is built on.
    order: Vec<usize>,
    /// How many look at each other over events or instances.
    circular_over_places: usize,
    /// The circles that cannot be worked out at all.
    cycles: Vec<Vec<usize>>,
    /// What is in no circle and built on one, with the field that is.
    stuck: Vec<(usize, usize)>,
}

fn order(project: &Project, calculations: &[Calculation]) -> Ordered {
    let by_name: HashMap<&str, usize> =
        calculations.iter().enumerate().map(|(at, known)| (known.field.as_str(), at)).collect();
    // What each is built on: here and now, and at another event or instance.
    let mut near: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); calculations.len()];
    let mut far = near.clone();
    for (at, calculation) in calculations.iter().enumerate() {
        for reference in calculation.formula.expressions().into_iter().flat_map(Expression::references) {
            if let Some(&other) = by_name.get(reference.name.as_str()) {
                let edges = if is_here(project, reference) { &mut near } else { &mut far };
                edges[at].insert(other);
            }
        }
    }
    let all: Vec<BTreeSet<usize>> = near.iter().zip(&far).map(|(near, far)| near | far).collect();
    let everything: Vec<usize> = (0..calculations.len()).collect();
    let (mut order, left) = sorted(&everything, &all);
    let (rest, circular) = sorted(&left, &near);
    order.extend(&rest);
    let cycles = cycles(&circular, &near);
    let in_a_circle: BTreeSet<usize> = cycles.iter().flatten().copied().collect();
    let stuck = circular.iter().filter(|at| !in_a_circle.contains(*at)).filter_map(|&at| {
        let input = near[at].iter().find(|input| circular.contains(*input))?;
        Some((at, *input))
    });
    Ordered { order, circular_over_places: rest.len(), stuck: stuck.collect(), cycles }
}

/// Whether a reference leads to the place at hand, however it says so.
fn is_here(project: &Project, reference: &Reference) -> bool {
    let event = reference.event.as_deref().is_none_or(|event| event == "event-name" || !project.longitudinal);
    event && matches!(reference.instance, None | Some(Instance::Current))
}

/// Puts each after what it is built on; what is in a circle, or built on one, is left over.
fn sorted(these: &[usize], built_on: &[BTreeSet<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut waiting: HashMap<usize, usize> = HashMap::new();
    let mut used_by: HashMap<usize, Vec<usize>> = HashMap::new();
    let among: BTreeSet<usize> = these.iter().copied().collect();
    for &at in these {
        let inputs = built_on[at].iter().filter(|input| among.contains(input));
        waiting.insert(at, inputs.clone().count());
        inputs.for_each(|&input| used_by.entry(input).or_default().push(at));
    }
    let mut ready: VecDeque<usize> = these.iter().copied().filter(|at| waiting[at] == 0).collect();
    let mut ordered = Vec::new();
    while let Some(at) = ready.pop_front() {
        ordered.push(at);
        for &user in used_by.get(&at).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(user);
                }
            }
        }
    }
    let done: BTreeSet<usize> = ordered.iter().copied().collect();
    (ordered, these.iter().copied().filter(|at| !done.contains(at)).collect())
}

/// The circles among what was left over, one for each entangled group.
fn cycles(left: &[usize], built_on: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let mut unseen: BTreeSet<usize> = left.iter().copied().collect();
    let among = unseen.clone();
    let mut found = Vec::new();
    while let Some(&start) = unseen.first() {
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        loop {
            unseen.remove(&at);
            path.push(at);
            // Everything left over is built on something left over.
            let Some(&next) = built_on[at].iter().find(|input| among.contains(*input)) else { break };
            if let Some(from) = path.iter().position(|&known| known == next) {
                found.push(path.split_off(from));
                break;
            }
            if !unseen.contains(&next) {
                break;
            }
            at = next;
        }
    }
    found
}

fn circular(project: &Project, calculations: &[Calculation], cycle: &[usize]) -> CalculationProblem {
    let names: Vec<String> =
        cycle.iter().chain(cycle.first()).map(|&at| format!("`{}`", calculations[at].field)).collect();
    let field = cycle.first().map(|&at| calculations[at].field.as_str()).unwrap_or_default();
    let sentence = format!("{} is built on itself: {}", names[0], names.join(", then "));
    problem_of(project, field, sentence, "break the circle: leave one of these references out".to_owned())
}

/// A problem with the whole calculation of a field.
fn problem_of(project: &Project, field: &str, sentence: String, help: String) -> CalculationProblem {
    let known = project.field(field);
    let text = known.and_then(|field| field.calculation.clone().or_else(|| field.annotation.clone()));
    let text = text.unwrap_or_default();
    let mistake = Mistake { at: 0..text.len(), sentence, help };
    CalculationProblem { field: field.to_owned(), text, mistake }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::read_dictionary;
    use crate::project::{Event, FormEvent, Repeating};

    const NOW: &str = "2026-11-23T10:00:00";

    /// A classic project of calculated and plain fields, all on one form.
    fn project(rows: &str) -> Project {
        let header = "field_name,form_name,section_header,field_type,field_label,\
                      select_choices_or_calculations,field_note,\
                      text_validation_type_or_show_slider_number,text_validation_min,\
                      text_validation_max,identifier,branching_logic,required_field,custom_alignment,\
                      question_number,matrix_group_name,matrix_ranking,field_annotation\n";
        let row = |row: &str| {
            let (name, rest) = row.trim().split_once(' ').unwrap();
            let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let rest = rest.replace('"', "\"\"");
            let (kind, formula, validation, annotation) = match kind {
                "calc" => ("calc", rest, "", String::new()),
                "text" => ("text", String::new(), "", rest),
                validation => ("text", String::new(), validation, rest),
            };
            format!("{name},main,,{kind},x,\"{formula}\",,{validation},,,,,,,,,,\"{annotation}\"\n")
        };
        let rows: String = rows.lines().map(row).collect();
        let dictionary = format!("{header}record_id,main,,text,x,,,,,,,,,,,,,\n{rows}");
        let (project, problems) = read_dictionary(dictionary.as_bytes()).unwrap();
        assert_eq!(problems, []);
        project
    }

    fn record(values: &str) -> Record {
        let mut record = Record::new("1");
        record.set("record_id", &Place::default(), "1");
        for pair in values.split(';').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            record.set(name, &Place::default(), value);
        }
        record
    }

    fn computed(rows: &str, values: &str, field: &str) -> String {
        let project = project(rows);
        let mut record = record(values);
        let calculations = Calculations::of(&project);
        assert_eq!(calculations.problems, []);
        calculations.recalculate(&project, &mut record, NOW.parse().unwrap());
        record.get(field, &Place::default()).unwrap_or_default().to_owned()
    }

    #[test]
    fn each_is_computed_after_what_it_is_built_on() {
        let rows = "c calc [b] + 1\nb calc [a] * 2\na text\nd text @CALCTEXT(if([c] > 6, 'high', 'low'))";
        assert_eq!(computed(rows, "a=3", "c"), "7");
        assert_eq!(computed(rows, "a=3", "d"), "high");
    }

    #[test]
    fn results_are_stored_as_a_server_stores_them() {
        for (rows, values, wanted) in [
            ("x calc [a] / 3\na text", "a=1", "0.33333333333333"),
            ("x calc if([a] = 1, 'yes', 2)\na text", "a=1", ""),
            ("x calc if([a] = 1, '3', 2)\na text", "a=1", "3"),
            ("x calc [a] = 1\na text", "a=1", "1"),
            ("x calc if([a] > 15, 1, 0)\na text", "main_complete=0", "0"),
            ("x calc 3 * 2", "main_complete=2", "6"),
            ("x calc 3 * 2", "", ""),
            ("x text @CALCTEXT(if([a] >= 10, 'ten or more', 5 * [a]))\na text", "a=3", "15"),
            ("x text @CALCTEXT(if([a] != '', \"Pass\", \"Fail\"))\na text", "main_complete=0", "Fail"),
            ("x date_dmy @CALCDATE([a], 7, 'd')\na date_dmy", "a=2023-09-02", "2023-09-09"),
            ("x date_dmy @CALCDATE([a], -1, 'd')\na date_dmy", "a=2024-03-01", "2024-02-29"),
            ("x date_ymd @CALCDATE([a], 1, 'M')\na date_ymd", "a=2026-01-01", "2026-01-31"),
            (
                "x datetime_ymd @CALCDATE([a], 90, 'm')\na datetime_ymd",
                "a=2026-01-01 23:00",
                "2026-01-02 00:30",
            ),
            ("x datetime_seconds_ymd @CALCDATE('now', [b], 's')\nb text", "b=1", "2026-11-23 10:00:01"),
            ("x date_ymd @CALCDATE([a], [b], 'd')\na date_ymd\nb text", "a=2026-01-01", ""),
        ] {
            assert_eq!(computed(rows, values, "x"), wanted, "{rows} with {values}");
        }
    }

    #[test]
    fn circles_are_told_and_keep_their_values() {
        let project =
            project("a calc [b] + 1\nb calc [c] + 1\nc calc [a] + 1\nd calc [d] + 1\ne calc [a] + 1\nf text");
        let calculations = Calculations::of(&project);
        let told: Vec<&str> = calculations.problems.iter().map(|p| p.mistake.sentence.as_str()).collect();
        assert_eq!(
            told,
            [
                "`a` is built on itself: `a`, then `b`, then `c`, then `a`",
                "`d` is built on itself: `d`, then `d`",
                "`e` is built on `a`, which is built on itself",
            ]
        );
        let mut record = record("a=5;f=1");
        assert_eq!(calculations.recalculate(&project, &mut record, NOW.parse().unwrap()).changes, []);
    }

    #[test]
    fn a_circle_is_one_however_its_place_is_written() {
        for rows in [
            "a calc [event_1_arm_1][a] + 1",
            "a calc [event-name][a] + 1",
            "a calc [a][current-instance] + 1",
            "a calc [b] + [c]\nb calc [a]\nc calc [a]",
        ] {
            let told: Vec<String> =
                Calculations::of(&project(rows)).problems.into_iter().map(|p| p.mistake.sentence).collect();
            assert!(told[0].starts_with("`a` is built on itself"), "{rows}: {told:?}");
            assert_eq!(told.len(), if rows.contains("[c]") { 2 } else { 1 }, "{told:?}");
        }
    }

    /// Two fields that add to each other, each at its own event.
    #[test]
    fn what_never_settles_is_left_alone() {
        let mut project = project("a calc sum([two_arm_1][b], 1)\nb calc sum([one_arm_1][a], 1)\nc calc 5");
        over_events(&mut project, &["one_arm_1", "two_arm_1"]);
        let mut record = Record::new("1");
        for event in ["one_arm_1", "two_arm_1"] {
            record.set("main_complete", &Place::at(event), "2");
        }
        let done = Calculations::of(&project).recalculate(&project, &mut record, NOW.parse().unwrap());
        assert_eq!(done.unsettled, ["a", "b"]);
        assert_eq!(record.get("a", &Place::at("one_arm_1")), None);
        assert_eq!(record.get("c", &Place::at("one_arm_1")), Some("5"));
    }

    fn over_events(project: &mut Project, names: &[&str]) {
        project.longitudinal = true;
        project.events.clear();
        project.form_events.clear();
        for name in names {
            let (unique_name, label) = ((*name).to_owned(), (*name).to_owned());
            project.events.push(Event { unique_name, label, arm: 1, ..Event::default() });
            project.form_events.push(FormEvent { event: (*name).to_owned(), instrument: "main".into() });
        }
    }

    #[test]
    fn a_broken_calculation_is_told_at_its_place() {
        for (rows, place) in [
            ("a text before @CALCTEXT(if([b] = , 1, 2)) after", ","),
            ("a date_ymd @CALCDATE([b], 7)", "@CALCDATE([b], 7)"),
            ("a calc round(", "round"),
        ] {
            let project = project(rows);
            let problems = Calculations::of(&project).problems;
            assert_eq!(&problems[0].text[problems[0].mistake.at.clone()], place, "{rows}: {problems:?}");
        }
    }

    /// A score that adds to that of the event before, on a form of three events, one of which repeats.
    #[test]
    fn events_build_on_each_other_and_instances_too() {
        let mut project = project(
            "score text\ntotal calc sum([score], [previous-event-name][carried])\ncarried calc [total]\nrun calc sum([score], [run][previous-instance])",
        );
        over_events(&mut project, &["one_arm_1", "two_arm_1", "three_arm_1"]);
        project.repeating.push(Repeating {
            event: "three_arm_1".into(),
            instrument: Some("main".into()),
            ..Repeating::default()
        });
        let mut record = Record::new("1");
        let three = |instance| Place::of(&project, "three_arm_1", "main", instance);
        for (place, score) in [
            (Place::at("one_arm_1"), "1"),
            (Place::at("two_arm_1"), "10"),
            (three(1), "100"),
            (three(2), "200"),
        ] {
            record.set("score", &place, score);
        }
        let calculations = Calculations::of(&project);
        assert_eq!(calculations.problems, []);
        calculations.recalculate(&project, &mut record, NOW.parse().unwrap());
        assert_eq!(record.get("total", &Place::at("two_arm_1")), Some("11"));
        assert_eq!(record.get("total", &three(1)), Some("111"));
        assert_eq!(record.get("run", &three(2)), Some("300"));
        // What follows from it is settled: a second time nothing changes.
        let again = calculations.recalculate(&project, &mut record, NOW.parse().unwrap());
        assert_eq!(again, Recalculated::default());
    }

    #[test]
    fn what_was_stored_is_compared_with_what_comes_out() {
        let project =
            project("a text\nb calc [a] * 2\nc calc [b] + 1\nd calc datediff([a], 'today', 'd')\ne calc 1");
        let calculations = Calculations::of(&project);
        let compared = |values: &str| {
            calculations
                .compare(&project, &record(values), NOW.parse().unwrap())
                .values
                .into_iter()
                .map(|c| format!("{} {} {} {}", c.field, c.stored, c.computed, c.equal))
                .collect::<Vec<_>>()
        };
        // `c` is judged by the stored `b`, and so is not blamed for it.
        assert_eq!(compared("a=2;b=5;c=6;e=1"), ["b 5 4 false", "d   true", "e 1 1 true", "c 6 6 true"]);
        assert_eq!(compared("b=4.0"), ["b 4.0  false"]);
        assert_eq!(compared(""), Vec::<String>::new());
    }
}
