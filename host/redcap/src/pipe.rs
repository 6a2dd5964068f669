//! Filling a message's text with what a record holds.
//!
//! Text in, text out: a message written in HTML is first turned to text by
//! [`crate::html::html_to_text`], so that nothing a participant typed is ever taken for a tag; what stays
//! HTML, as the words of an e-mail do, is filled by [`pipe_into_html`], which keeps the same promise. That
//! also takes care of what the rich text editor leaves between brackets: `[<b>first_name</b>]` and
//! `[first_name&nbsp;]` are plain references by the time they get here.
//!
//! What goes in is never read for references again: a name of `[email]` stays a name.

use crate::html::escape;
use crate::project::{Choice, Field, FieldKind, Project};
use crate::record::{Place, checkbox_column};
use crate::reference::{Context, Instance, Reference, Span};
use crate::smart::{self, Resolved, SmartVariable};
pub use crate::smart::{LinkKind, LinkRequest};
use crate::spelling;

/// What REDCap shows where a value is missing.
pub const BLANK: &str = "______";

/// A text with its references filled in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Piped {
    pub text: String,
    /// What was asked for, in order: every field, every smart variable that tells who somebody is,
    /// and every other one that was blank.
    pub filled: Vec<Filled>,
    /// The links that were put in, in order.
    pub links: Vec<String>,
    /// The access and return codes that were put in, in order. They open a survey as a link does.
    pub codes: Vec<String>,
    /// What was left as it stood.
    pub problems: Vec<Problem>,
}

impl std::fmt::Debug for Piped {
    /// The text holds a participant's values, so it is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piped")
            .field("filled", &self.filled)
            .field("links", &self.links.len())
            .field("codes", &self.codes.len())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Something that went into a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The field; for `[record-name]` the record id field, for any other smart variable its name.
    pub field: String,
    /// Whether it identifies a person: the project says so of a field, and a participant's number,
    /// a user's name and a user's address always do.
    pub identifier: bool,
    /// Whether nothing went in: there is no value, or it is withheld.
    pub blank: bool,
    /// Whether the author wrote `:hideunderscore`: then a blank leaves nothing behind, as intended.
    pub may_be_blank: bool,
}

/// A reference that could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the template.
    pub at: Span,
    /// A lower-case fragment.
    pub sentence: String,
}

/// A word that may follow a field's name, behind a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    /// What it changes, in one sentence.
    pub description: &'static str,
}

/// Every parameter of a field, in the order of a reference page.
pub const PARAMETERS: [Parameter; 12] = {
    const fn parameter(name: &'static str, description: &'static str) -> Parameter {
        Parameter { name, description }
    }
    [
        parameter("value", "The code as it is stored, instead of its label; a date year first."),
        parameter("label", "The label instead of the code, as without it; of a file its name."),
        parameter("checked", "The boxes that are checked, as without it."),
        parameter("unchecked", "The boxes that are not checked."),
        parameter("hideunderscore", "Nothing where there is no value, instead of six underscores."),
        parameter("field-label", "The question instead of the answer."),
        parameter("ampm", "The time of day as in `4:45pm`."),
        parameter("day", "The day of the month as a number."),
        parameter("month", "The month as a number."),
        parameter("year", "The year as a number."),
        parameter("inline", "The picture in a file; in a text message the file's name."),
        parameter("link", "A link to a file; in a text message the file's name."),
    ]
};

/// Fills in a template. `links` is asked for every link and code the text wants; without an answer
/// the reference is left as it stands, with a problem.
#[must_use]
pub fn pipe(template: &str, context: &Context<'_>, links: &dyn Fn(&LinkRequest) -> Option<String>) -> Piped {
    fill(template, context, links, false)
}

/// As [`pipe`], but whatever identifies a person is blank: what an alert does unless it is told
/// otherwise.
#[must_use]
pub fn pipe_without_identifiers(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
) -> Piped {
    fill(template, context, links, true)
}

/// As [`pipe`], into a text that is HTML: what goes in is never read as a tag, and a link is one to click.
#[must_use]
pub fn pipe_into_html(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
) -> Piped {
    fill_html(template, context, links, false)
}

/// As [`pipe_into_html`], but whatever identifies a person is blank.
#[must_use]
pub fn pipe_into_html_without_identifiers(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
) -> Piped {
    fill_html(template, context, links, true)
}

fn fill_html(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
) -> Piped {
    fill_as(template, context, links, withhold, |before, reference, value| {
        let written = escape(&value);
        let is_link = reference.name.ends_with("-link") && value.starts_with("http");
        if is_link && !inside_a_tag(before) {
            format!("<a href=\"{written}\">{written}</a>")
        } else {
            written
        }
    })
}

/// Whether what follows stands between the angle brackets of a tag, as the address of a link does.
fn inside_a_tag(before: &str) -> bool {
    before.rfind('<') > before.rfind('>')
}

/// What a template pipes, as written, each once: for those who approve the text before there is a record.
#[must_use]
pub fn slots(template: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    References::of(template)
        .map(|(span, _)| &template[span])
        .filter(|slot| seen.insert(*slot))
        .map(str::to_owned)
        .collect()
}

/// The references of a template and where they stand. Each bracket is read a fixed number of times,
/// so that a text of brackets only takes no longer than any other.
struct References<'t> {
    template: &'t str,
    at: usize,
}

impl<'t> References<'t> {
    fn of(template: &'t str) -> Self {
        Self { template, at: 0 }
    }
}

impl Iterator for References<'_> {
    type Item = (Span, Reference);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(next) = self.template[self.at..].find('[') {
            let start = self.at + next;
            if let Some((reference, taken)) = Reference::read(&self.template[start..]) {
                self.at = start + taken;
                return Some((start..self.at, reference));
            }
            self.at = start + 1;
        }
        self.at = self.template.len();
        None
    }
}

fn fill(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
) -> Piped {
    fill_as(template, context, links, withhold, |_, _, value| value)
}

/// As [`fill`]; `written` says how a value is put in, by what stands before it in the template.
fn fill_as(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
    written: impl Fn(&str, &Reference, String) -> String,
) -> Piped {
    let mut piped = Piped::default();
    let mut at = 0;
    for (span, reference) in References::of(template) {
        copy(template, at..span.start, context.project, &mut piped);
        at = span.end;
        match one(&reference, context, links, withhold, &mut piped) {
            Ok(text) => piped.text.push_str(&written(&template[..span.start], &reference, text)),
            Err(sentence) => {
                piped.text.push_str(&template[span.clone()]);
                piped.problems.push(Problem { at: span, sentence });
            }
        }
    }
    copy(template, at..template.len(), context.project, &mut piped);
    piped
}

/// Takes over what stands between references. `{field}` puts an input box into a form, and there is
/// none in a message: it is left as it is, and said.
fn copy(template: &str, span: Span, project: &Project, piped: &mut Piped) {
    let (from, text) = (span.start, &template[span]);
    piped.text.push_str(text);
    for (open, _) in text.match_indices('{') {
        let inner = &text[open + 1..];
        let len = inner
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':'))
            .count();
        let name = inner[..len].split(':').next().unwrap_or_default();
        if inner[len..].starts_with('}') && project.field(name).is_some() {
            let sentence = format!("`{{{name}}}` embeds a field into a form; `[{name}]` pipes its value");
            piped.problems.push(Problem { at: from + open..from + open + len + 2, sentence });
        }
    }
}

fn one(
    reference: &Reference,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
    piped: &mut Piped,
) -> Result<String, String> {
    if reference.is_smart() {
        return smart_variable(reference, context, links, withhold, piped);
    }
    let source = Source::of(reference, context, piped.problems.len())?;
    if let Some(unknown) = unknown_parameter(reference) {
        return Err(unknown);
    }
    let may_be_blank = reference.has_param("hideunderscore");
    if reference.has_param("field-label") {
        let label = source.label();
        piped.filled.push(Filled {
            field: reference.name.clone(),
            // The question is the project's and tells nothing about whoever answered it.
            identifier: false,
            blank: label.is_empty(),
            may_be_blank,
        });
        return Ok(or_blank(label.to_owned(), reference));
    }
    if reference.instance == Some(Instance::New) {
        return Err("`[new-instance]` goes with links only, because it has no values yet".to_owned());
    }
    let identifier = matches!(source, Source::Field(field) if field.identifier);
    let text = source.shown(reference, context)?;
    let text = if withhold && identifier { String::new() } else { text };
    let (field, blank) = (reference.name.clone(), text.is_empty());
    piped.filled.push(Filled { field, identifier, blank, may_be_blank });
    Ok(or_blank(text, reference))
}

fn or_blank(text: String, reference: &Reference) -> String {
    if !text.is_empty() || reference.has_param("hideunderscore") { text } else { BLANK.to_owned() }
}

fn unknown_parameter(reference: &Reference) -> Option<String> {
    let known = |word: &str| PARAMETERS.iter().any(|parameter| parameter.name.eq_ignore_ascii_case(word));
    let word = reference.params.iter().find(|word| !word.is_empty() && !known(word))?;
    let names = PARAMETERS.iter().map(|parameter| parameter.name);
    let near = spelling::nearest(&word.to_ascii_lowercase(), names);
    let hint = near.map(|near| format!("; did you mean `:{near}`?")).unwrap_or_default();
    Some(format!("`:{word}` is not known{hint}"))
}

fn smart_variable(
    reference: &Reference,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
    piped: &mut Piped,
) -> Result<String, String> {
    let project = context.project;
    // A record may be named by a hospital number: then its name identifies as that field does.
    let is_id = reference.name == "record-name";
    let identifier = if is_id {
        project.field(&project.record_id_field).is_some_and(|field| field.identifier)
    } else {
        SmartVariable::named(&reference.name).is_some_and(SmartVariable::identifies)
    };
    let field = if is_id { &project.record_id_field } else { &reference.name };
    let may_be_blank = reference.has_param("hideunderscore");
    let filled = |blank| Filled { field: field.clone(), identifier, blank, may_be_blank };
    // What is withheld need not be known.
    if withhold && identifier {
        piped.filled.push(filled(true));
        return Ok(or_blank(String::new(), reference));
    }
    match smart::resolve_shown(reference, context) {
        Resolved::Text(text) => {
            if is_id || identifier || text.is_empty() {
                piped.filled.push(filled(text.is_empty()));
            }
            Ok(or_blank(text, reference))
        }
        Resolved::Link(request) => {
            let what = if request.kind.is_code() { "code" } else { "link" };
            let answer =
                links(&request).ok_or_else(|| format!("there is no {what} for `[{}]`", reference.name))?;
            // `[survey-link:form:Text]` is an anchor in an e-mail; a text message has room for the
            // address only.
            if request.kind.is_code() { &mut piped.codes } else { &mut piped.links }.push(answer.clone());
            Ok(answer)
        }
        Resolved::NotTold(what) => Err(format!("`[{}]` needs to know {what}", reference.name)),
        Resolved::Wrong(sentence) => Err(sentence),
    }
}

/// Where a value comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Field(&'a Field),
    /// The status of a form, which is a choice field of REDCap's own.
    Status {
        form: &'a str,
    },
    /// A record id field that is not among the fields.
    Id,
}

impl<'a> Source<'a> {
    /// What a name stands for. With many mistakes before it, a misspelt name gets no suggestion:
    /// each costs a look at every field.
    fn of(reference: &Reference, context: &Context<'a>, mistakes: usize) -> Result<Self, String> {
        let project = context.project;
        let name = &reference.name;
        if let Some(field) = project.field(name) {
            return Ok(Self::Field(field));
        }
        if let Some(form) = project.status_of(name) {
            return Ok(Self::Status { form: &form.name });
        }
        if name.eq_ignore_ascii_case(&project.record_id_field) {
            return Ok(Self::Id);
        }
        if project.event(name).is_some() {
            return Err(format!("`{name}` is an event, and a field must follow it without a blank"));
        }
        let names = project.fields.iter().map(|field| field.name.as_str());
        let near = if mistakes < 20 { spelling::nearest(name, names) } else { None };
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Err(format!("there is no field `{name}`{hint}"))
    }

    fn label(self) -> &'a str {
        match self {
            Self::Field(field) => field.label.trim(),
            Self::Status { .. } => "Complete?",
            Self::Id => "",
        }
    }

    fn shown(self, reference: &Reference, context: &Context<'_>) -> Result<String, String> {
        let project = context.project;
        let instrument = match self {
            Self::Field(field) => &field.instrument,
            Self::Status { form } => form,
            Self::Id => return Ok(context.record.id.clone()),
        };
        // Even for what is the same at every event, a misspelt event is a mistake.
        let place = smart::place_of(reference, context, instrument)?;
        let is_id = reference.name.eq_ignore_ascii_case(&project.record_id_field);
        let Self::Field(field) = self else {
            let raw = place.and_then(|place| context.record.get(&reference.name, &place)).unwrap_or_default();
            return Ok(match raw {
                code if reference.has_param("value") => code,
                "0" => "Incomplete",
                "1" => "Unverified",
                "2" => "Complete",
                other => other,
            }
            .to_owned());
        };
        if field.kind == FieldKind::Checkbox {
            return boxes(reference, field, context, place.as_ref());
        }
        if let Some(code) = &reference.code {
            return Err(format!("`{}` is not a checkbox, so there is no `({code})`", field.name));
        }
        if reference.has_param("checked") || reference.has_param("unchecked") {
            return Err(format!("`{}` is not a checkbox, so nothing in it is checked", field.name));
        }
        let raw = match place {
            _ if is_id => Some(context.record.id.as_str()),
            Some(place) => context.record.get(&field.name, &place),
            None => None,
        };
        // A time that is blank is still asked for in a way that must make sense.
        let raw = raw.unwrap_or_default();
        let missing = project.missing_code(field, raw);
        if let Some(label) = field.choice_label(raw).or(missing.map(|missing| missing.label.as_str())) {
            return Ok(if reference.has_param("value") { raw.to_owned() } else { plain(label) });
        }
        if let Some(shown) = moment(reference, field, raw)? {
            return Ok(shown);
        }
        Ok(match field.kind {
            FieldKind::Notes if field.has_tag("@RICHTEXT") && !reference.has_param("value") => plain(raw),
            // Line ends are kept, and one character each.
            _ => raw.replace("\r\n", "\n"),
        })
    }
}

/// A label of the project as text.
fn plain(label: &str) -> String {
    if label.contains(['<', '&']) { crate::html::html_to_text(label) } else { label.to_owned() }
}

/// A list of the labels of the checked boxes, or of the others; or one box in a word. Where the form
/// is not, there are no boxes.
fn boxes(
    reference: &Reference,
    field: &Field,
    context: &Context<'_>,
    place: Option<&Place>,
) -> Result<String, String> {
    let wants_code = reference.has_param("value");
    let missing = &context.project.missing_data_codes;
    let checked = |place: &Place, code: &str| {
        context.record.get(&checkbox_column(&field.name, code), place) == Some("1")
    };
    if let Some(code) = &reference.code {
        let all = || field.choices.iter().chain(missing);
        let exact = all().find(|choice| choice.code == *code);
        let Some(choice) = exact.or_else(|| all().find(|choice| choice.code.eq_ignore_ascii_case(code)))
        else {
            return Err(format!("the checkbox `{}` has no choice `{code}`", field.name));
        };
        let Some(place) = place else { return Ok(String::new()) };
        // `:label` is how a box is shown anyway: as a word.
        return Ok(match (checked(place, &choice.code), wants_code) {
            (true, true) => "1",
            (false, true) => "0",
            (true, false) => "Checked",
            (false, false) => "Unchecked",
        }
        .to_owned());
    }
    let Some(place) = place else { return Ok(String::new()) };
    let wanted = !reference.has_param("unchecked");
    // A reason why an answer is missing is a box too, and nobody misses the ones that are not checked.
    let reasons = missing.iter().filter(|_| wanted);
    let show = |choice: &Choice| if wants_code { choice.code.clone() } else { plain(&choice.label) };
    let listed: Vec<String> = field
        .choices
        .iter()
        .chain(reasons)
        .filter(|choice| checked(place, &choice.code) == wanted)
        .map(show)
        .collect();
    Ok(listed.join(", "))
}

/// A date or a time of day as it is asked for; none if the field holds neither.
fn moment(reference: &Reference, field: &Field, raw: &str) -> Result<Option<String>, String> {
    let validation = field.validation.as_deref().unwrap_or_default();
    let has_date = validation.starts_with("date_") || validation.starts_with("datetime");
    let has_time = validation.starts_with("datetime") || matches!(validation, "time" | "time_hh_mm_ss");
    let ampm = reference.has_param("ampm");
    let part = ["year", "month", "day"].iter().position(|part| reference.has_param(part));
    if part.is_some() && !has_date {
        return Err(format!("`{}` holds no date, so there is no day, month or year in it", field.name));
    }
    if ampm && !has_time {
        return Err(format!("`{}` holds no time of day for `:ampm`", field.name));
    }
    if !has_date && !has_time {
        return Ok(None);
    }
    let (date, time) = if has_date {
        raw.split_once([' ', 'T']).map_or((raw, None), |(date, time)| (date, Some(time)))
    } else {
        ("", Some(raw))
    };
    let parts: Vec<&str> = date.split('-').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = if parts.len() == 3 && parts.iter().all(digits) { parts } else { Vec::new() };
    // What is stored need not be a date; then it is shown as it is.
    if has_date && parts.is_empty() {
        return Ok(Some(raw.to_owned()));
    }
    if let Some(part) = part {
        let number = parts[part].trim_start_matches('0');
        return Ok(Some(if number.is_empty() { "0" } else { number }.to_owned()));
    }
    let mut shown = match parts[..] {
        [year, month, day] if !reference.has_param("value") => display_order(validation, year, month, day),
        _ => date.to_owned(),
    };
    if let Some(time) = time {
        if has_date {
            shown.push(' ');
        }
        shown.push_str(&if ampm { twelve_hours(time) } else { time.to_owned() });
    }
    Ok(Some(shown))
}

/// A date, stored year first, in the order its field shows it.
fn display_order(validation: &str, year: &str, month: &str, day: &str) -> String {
    if validation.ends_with("_dmy") {
        format!("{day}-{month}-{year}")
    } else if validation.ends_with("_mdy") {
        format!("{month}-{day}-{year}")
    } else {
        format!("{year}-{month}-{day}")
    }
}

/// `16:45` as `4:45pm`; anything else as it is.
fn twelve_hours(time: &str) -> String {
    let Some((hour, rest)) = time.split_once(':') else { return time.to_owned() };
    match hour.parse::<u32>() {
        Ok(hour) if hour < 24 => {
            let half = if hour < 12 { "am" } else { "pm" };
            format!("{}:{rest}{half}", if hour % 12 == 0 { 12 } else { hour % 12 })
        }
        _ => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::odm::tests::small_project;
    use crate::project::{Event, FormEvent, Instrument, Repeating, Survey, parse_choices};
    use crate::record::{Record, SurveyTimestamp};
    use crate::reference::{Group, Server, Surroundings, User};

    const CASES: &str = include_str!("../tests/cases/piping.txt");

    fn field(instrument: &str, name: &str, kind: FieldKind) -> Field {
        let choices = crate::project::fixed_choices(kind);
        Field {
            name: name.into(),
            instrument: instrument.into(),
            kind,
            label: name.into(),
            choices,
            ..Field::default()
        }
    }

    /// The small project with a field of every kind, a repeating event and a second arm.
    fn large_project() -> Project {
        let mut project = small_project();
        let event = |unique_name: &str, label: &str, arm| Event {
            unique_name: unique_name.into(),
            label: label.into(),
            arm,
            ..Event::default()
        };
        project.arms.push(crate::project::Arm { number: 2, name: "Drug B".into() });
        project.events.insert(1, event("week_1_arm_1", "Week 1", 1));
        project.events.push(event("diary_arm_1", "Diary", 1));
        project.events.push(event("screening_arm_2", "Screening", 2));
        for (event, instrument) in [
            ("baseline_arm_1", "more"),
            ("week_1_arm_1", "bp"),
            ("diary_arm_1", "diary"),
            ("screening_arm_2", "entry"),
        ] {
            project.form_events.push(FormEvent { event: event.into(), instrument: instrument.into() });
        }
        for (name, label) in [("more", "More"), ("diary", "Diary")] {
            project.instruments.push(Instrument { name: name.into(), label: label.into() });
        }
        project.repeating.push(Repeating { event: "diary_arm_1".into(), ..Repeating::default() });
        project.surveys.push(Survey {
            instrument: "diary".into(),
            title: "Today".into(),
            enabled: true,
            ..Survey::default()
        });
        for (name, kind) in [
            ("story", FieldKind::Notes),
            ("pain", FieldKind::Slider),
            ("fasting", FieldKind::TrueFalse),
            ("site", FieldKind::Sql),
            ("photo", FieldKind::File),
            ("bmi", FieldKind::Calc),
            ("intro", FieldKind::Descriptive),
        ] {
            project.fields.push(field("more", name, kind));
        }
        for (name, validation) in [
            ("dob", "date_mdy"),
            ("seen", "date_ymd"),
            ("start", "date_dmy"),
            ("stamp", "datetime_seconds_mdy"),
            ("woke", "time"),
            ("clock", "time_hh_mm_ss"),
            ("lap", "time_mm_ss"),
            ("temp", "number_1dp_comma_decimal"),
        ] {
            let text = field("more", name, FieldKind::Text);
            project.fields.push(Field { validation: Some(validation.into()), ..text });
        }
        for (instrument, name, kind, choices) in [
            ("more", "team", FieldKind::Radio, "1, <b>Red</b> &amp; gold | 2, Team [first_name] | a, Alpha"),
            ("more", "foods", FieldKind::Checkbox, "1, Eggs &amp; ham | A1, Nuts | 7, Fish"),
            ("diary", "mood", FieldKind::Radio, "1, Good | 2, Bad"),
        ] {
            let choices = parse_choices(choices);
            project.fields.push(Field { choices, ..field(instrument, name, kind) });
        }
        let advice = field("more", "advice", FieldKind::Notes);
        project.fields.push(Field { annotation: Some("@RICHTEXT".into()), ..advice });
        project.fields.push(Field { identifier: true, ..field("more", "mrn", FieldKind::Text) });
        project
    }

    /// Links and codes that say what they were asked for. Nobody has a queue.
    fn answer(request: &LinkRequest) -> Option<String> {
        let form = request.instrument.as_deref().unwrap_or("this");
        let instance = match request.instance {
            None => String::new(),
            Some(Instance::Number(number)) => format!("/{number}"),
            Some(other) => format!("/{other:?}").to_lowercase(),
        };
        let target = format!("{form}@{}{instance}", request.event);
        Some(match request.kind {
            LinkKind::Survey => format!("https://x.org/s/{target}"),
            LinkKind::Form => format!("https://x.org/f/{target}"),
            LinkKind::SurveyAccessCode => format!("AC-{target}"),
            LinkKind::SurveyReturnCode => format!("RC-{target}"),
            LinkKind::SurveyQueue => return None,
        })
    }

    /// What the second column of a case says.
    struct Case {
        record: Record,
        here: Place,
        surroundings: Surroundings,
        withhold: bool,
    }

    impl Case {
        fn read(project: &Project, data: &str) -> Self {
            let mut case = Self {
                record: Record::new("1"),
                here: Place::at("baseline_arm_1"),
                surroundings: Surroundings::default(),
                withhold: false,
            };
            for item in data.split("; ").filter(|item| *item != "-") {
                let (key, value) = item.split_once('=').expect("a `=`");
                case.take(project, key, &value.replace("\\n", "\n"));
            }
            case
        }

        fn take(&mut self, project: &Project, key: &str, value: &str) {
            let parts: Vec<&str> = value.split(',').map(str::trim).collect();
            let part = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
            let numbered = |key: &str| match key.split_once('#') {
                Some((key, number)) => (key.to_owned(), number.parse().expect("a number")),
                None => (key.to_owned(), 1),
            };
            let group = |id, name, label| Group { id, name, label };
            match key.split_once(' ').unwrap_or((key, "")) {
                ("@here", _) => {
                    let (place, instance) = numbered(value);
                    let (event, form) = place.split_once('/').unwrap_or((&place, ""));
                    let instrument = Some(form.to_owned()).filter(|form| !form.is_empty());
                    self.here = Place { event: Some(event.into()), instrument, instance };
                }
                ("@survey" | "@form", _) => {
                    self.surroundings.instrument = Some(value.into());
                    self.surroundings.as_survey = Some(key == "@survey");
                }
                ("@user", _) => {
                    self.surroundings.user = Some(User {
                        name: part(0),
                        full_name: part(1),
                        email: part(2),
                        group: None,
                        role: Some(group("7".into(), "U-7".into(), part(3))),
                    });
                }
                ("@group", _) => self.surroundings.group = Some(group(part(0), part(1), part(2))),
                ("@phone", _) => self.surroundings.participant_phone = Some(value.into()),
                ("@project", _) => {
                    self.surroundings.project_id = Some(part(0));
                    self.surroundings.project_status = Some(part(1));
                }
                ("@server", _) => {
                    let (base_url, survey_base_url, version) = (part(0), part(1), part(2));
                    self.surroundings.server = Some(Server { base_url, survey_base_url, version });
                }
                ("@withhold", _) => self.withhold = true,
                (what @ ("@completed" | "@started"), survey) => {
                    let (survey, instance) = numbered(survey);
                    let (event, form) = survey.split_once('.').unwrap_or(("baseline_arm_1", &survey));
                    if what == "@started" {
                        self.record.set_survey_started(form, Some(event), instance, value);
                    } else {
                        let timestamp = match value {
                            "-" => SurveyTimestamp::NotCompleted,
                            at => SurveyTimestamp::Completed(at.into()),
                        };
                        self.record.set_survey_timestamp(form, Some(event), instance, timestamp);
                    }
                }
                _ => {
                    let (key, instance) = numbered(key);
                    let (event, name) = key.split_once('.').unwrap_or(("baseline_arm_1", &key));
                    let (name, code) = match name.split_once('(') {
                        Some((name, code)) => (name, Some(code.trim_end_matches(')'))),
                        None => (name, None),
                    };
                    let form = project
                        .field(name)
                        .map(|field| &field.instrument)
                        .or_else(|| project.status_of(name).map(|form| &form.name))
                        .unwrap_or_else(|| panic!("there is no field `{name}`"));
                    let place = Place::of(project, event, form, instance);
                    match code {
                        Some(code) => self.record.set_checkbox(name, code, &place, value == "checked"),
                        None => self.record.set(name, &place, value),
                    }
                }
            }
        }

        fn pipe(&self, project: &Project, template: &str) -> Piped {
            let now = "2026-11-23T10:00:00".parse().unwrap();
            let surroundings = &self.surroundings;
            let context = Context { surroundings, ..Context::new(project, &self.record, &self.here, now) };
            fill(template, &context, &answer, self.withhold)
        }
    }

    #[test]
    fn every_case_is_filled_in_as_it_says() {
        let project = large_project();
        let mut wrong = Vec::new();
        let mut cases = 0;
        for (number, line) in CASES.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            cases += 1;
            let columns: Vec<&str> = line.split(" | ").collect();
            let [template, data, shown, why] = columns[..] else {
                wrong.push(format!(
                    "tests/cases/piping.txt:{}: expected four columns, found {}",
                    number + 1,
                    columns.len()
                ));
                continue;
            };
            let piped = Case::read(&project, data).pipe(&project, template);
            let fits = match shown.strip_prefix("! ") {
                Some(words) => piped.problems.iter().any(|problem| {
                    problem.sentence.contains(words) && piped.text.contains(&template[problem.at.clone()])
                }),
                None => {
                    let wanted = if shown == "-" { "" } else { shown }.replace("\\n", "\n");
                    piped.problems.is_empty() && piped.text == wanted
                }
            };
            if !fits {
                let problems: Vec<&str> =
                    piped.problems.iter().map(|problem| problem.sentence.as_str()).collect();
                wrong.push(format!(
                    "tests/cases/piping.txt:{}: {template} ({why})\n    wanted {shown:?}\n    found  {:?} {problems:?}",
                    number + 1,
                    piped.text
                ));
            }
        }
        assert!(cases >= 200, "only {cases} cases were read");
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn what_goes_into_html_is_never_a_tag_and_a_link_is_one_to_click() {
        let project = large_project();
        let mut record = Record::new("1");
        let here = Place::at("baseline_arm_1");
        record.set("first_name", &here, "<b>\"A&B\"</b>");
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, &record, &here, now);
        let links = |_: &LinkRequest| Some("https://example.edu/s?a=1&b=2".to_owned());
        for (template, wanted) in [
            ("<p>[first_name]</p>", "<p>&lt;b&gt;&quot;A&amp;B&quot;&lt;/b&gt;</p>"),
            (
                "<p>[survey-link]</p>",
                "<p><a href=\"https://example.edu/s?a=1&amp;b=2\">https://example.edu/s?a=1&amp;b=2</a></p>",
            ),
            ("<p>[survey-url]</p>", "<p>https://example.edu/s?a=1&amp;b=2</p>"),
            ("<a href=\"[survey-link]\">x</a>", "<a href=\"https://example.edu/s?a=1&amp;b=2\">x</a>"),
        ] {
            let piped = pipe_into_html(template, &context, &links);
            assert_eq!(piped.text, wanted, "{:?}", piped.problems);
        }
    }

    /// Runs over real projects, which are not ours to ship: what they write is understood.
    #[test]
    fn texts_of_real_projects_are_filled_in() {
        let Ok(corpus) = std::env::var("CONSENTRY_CORPUS") else {
            println!("skipped: CONSENTRY_CORPUS is not set");
            return;
        };
        let (mut texts, mut references) = (0, 0);
        let mut problems: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        for entry in std::fs::read_dir(std::path::Path::new(&corpus).join("redcap-projects")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            let (project, _) = crate::odm::read_project(&std::fs::read(&path).unwrap()).unwrap();
            let surveys =
                project.surveys.iter().flat_map(|survey| [&survey.instructions, &survey.acknowledgement]);
            let labels = project.fields.iter().map(|field| field.label_html.as_ref().unwrap_or(&field.label));
            let messages = project.alerts.iter().map(|alert| (&alert.message, alert.event.as_deref()));
            let messages =
                messages.chain(project.invitations.iter().map(|it| (&it.content, Some(it.event.as_str()))));
            let all = messages.chain(surveys.chain(labels).map(|text| (text, None)));
            let record = Record::new("1");
            for (text, event) in all {
                let first =
                    project.events.first().map(|event| event.unique_name.as_str()).unwrap_or_default();
                let place = Place::at(event.filter(|event| project.event(event).is_some()).unwrap_or(first));
                let now = "2026-11-23T10:00:00".parse().unwrap();
                let context = Context::new(&project, &record, &place, now);
                let text = crate::html::html_to_text(text);
                texts += 1;
                references += References::of(&text).count();
                for problem in pipe(&text, &context, &answer).problems {
                    *problems.entry(problem.sentence).or_default() += 1;
                }
            }
        }
        for (sentence, count) in &problems {
            println!("{count:5} {sentence}");
        }
        // The only thing nobody answers here is a link to the queue.
        let known = |sentence: &str| sentence.starts_with("there is no link for `[survey-queue-");
        assert!(
            problems.keys().all(|sentence| known(sentence)),
            "{texts} texts with {references} references"
        );
    }

    fn check(template: &str, data: &str) -> Piped {
        let project = large_project();
        Case::read(&project, data).pipe(&project, template)
    }

    #[test]
    fn what_cannot_be_filled_stays_and_is_named() {
        let template = "a [nothing_here] b [first_name]";
        let piped = check(template, "first_name=Ann");
        assert_eq!(piped.text, "a [nothing_here] b Ann");
        assert_eq!(piped.problems[0].sentence, "there is no field `nothing_here`");
        assert_eq!(&template[piped.problems[0].at.clone()], "[nothing_here]");
    }

    #[test]
    fn fields_links_and_codes_are_accounted_for() {
        let template = "[first_name] [email] [age] [record-name] [survey-url] [survey-access-code:entry] \
                        [project-title] [previous-event-label] [user-email] [survey-participant-phone]";
        let piped = check(template, "first_name=Ann; age=41; @user=jdoe, Jane Doe, jane@x.org; @phone=+1555");
        let filled = |field: &str, identifier, blank| Filled {
            field: field.into(),
            identifier,
            blank,
            may_be_blank: false,
        };
        assert_eq!(
            piped.filled,
            [
                filled("first_name", true, false),
                filled("email", true, true),
                filled("age", false, false),
                filled("record_id", false, false),
                filled("previous-event-label", false, true),
                filled("user-email", true, false),
                filled("survey-participant-phone", true, false),
            ]
        );
        assert_eq!((piped.links.len(), piped.codes.len(), piped.problems.len()), (1, 1, 0));
        let shown = format!("{piped:?}");
        assert!(!shown.contains("Ann") && !shown.contains("+1555") && !shown.contains("x.org"), "{shown}");
    }

    #[test]
    fn withheld_identifiers_are_listed_and_blank() {
        let mut project = large_project();
        let record_id = project.record_id_field.clone();
        let fields = project.fields.iter().cloned();
        project.fields =
            fields.map(|f| Field { identifier: f.identifier || f.name == record_id, ..f }).collect();
        let mut record = Record::new("MRN-17");
        let base = Place::at("baseline_arm_1");
        record.set("first_name", &base, "Ann");
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, &record, &base, now);
        let piped =
            pipe_without_identifiers("[first_name] [record-name] [record_id] [user-name]", &context, &|_| {
                None
            });
        assert_eq!(piped.text, "______ ______ ______ ______");
        assert!(piped.filled.iter().all(|filled| filled.identifier && filled.blank));
        assert_eq!(piped.filled.len(), 4);
        assert_eq!(pipe("[record-name]", &context, &|_| None).text, "MRN-17");
    }

    #[test]
    fn slots_are_listed_once_and_as_written() {
        assert_eq!(
            slots("[first_name] [x] [first_name], [e_arm_1][y][2] [survey-link:entry:Go] [so what]"),
            ["[first_name]", "[x]", "[e_arm_1][y][2]", "[survey-link:entry:Go]"]
        );
    }

    /// Long texts of one kind of rubbish each. Were one read over and over, this would take minutes.
    #[test]
    fn rubbish_takes_no_longer_than_text() {
        for piece in [
            "[",
            "[a",
            "[a]",
            "[a_arm_1]",
            "{",
            "{a",
            "{a}",
            "[age]",
            "[frist_name]",
            "[a-b]",
            "]",
            "[:",
            "(",
            "[a(",
        ] {
            let text = piece.repeat(20_000);
            let _ = check(&text, "-");
            let _ = slots(&text);
        }
        let _ = check(&format!("[{}]{{{}}}", "a".repeat(1_000_000), "a".repeat(1_000_000)), "-");
    }

    /// References, rubbish and prose, in any order.
    fn template() -> impl Strategy<Value = String> {
        let known: Vec<&str> = CASES
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(" | ").next())
            .chain(["[", "]", "[2]", "[last-instance]", "(", ":", "{", "}", "\n", "[new-instance]"])
            .collect();
        let part = prop_oneof![
            4 => prop::sample::select(known).prop_map(str::to_owned),
            1 => ".{0,8}",
            1 => "\\[[a-z_:()-]{0,20}\\]",
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_template_panics(template in template(), withhold in any::<bool>()) {
            let data = "first_name=[email]; age=41; visit=2026-11-23 10:00; symptoms(1)=checked; systolic#2=1";
            let project = large_project();
            let case = Case { withhold, ..Case::read(&project, data) };
            let piped = case.pipe(&project, &template);
            let mut last = 0;
            for problem in &piped.problems {
                prop_assert!(problem.at.start >= last);
                prop_assert!(piped.text.contains(&template[problem.at.clone()]));
                last = problem.at.end;
            }
            if withhold {
                prop_assert!(piped.filled.iter().all(|filled| filled.blank || !filled.identifier));
            }
        }

        #[test]
        fn text_outside_of_references_is_unchanged(template in template()) {
            // Without fields and links nothing is replaced by anything but blanks.
            let piped = check(&template, "-");
            let mut rest = piped.text.as_str();
            let mut at = 0;
            for (span, _) in References::of(&template) {
                let between = &template[at..span.start];
                let found = rest.find(between);
                prop_assert!(found.is_some(), "{:?} is not in {:?}", between, rest);
                rest = &rest[found.unwrap_or_default() + between.len()..];
                at = span.end;
            }
            prop_assert!(rest.ends_with(&template[at..]));
        }

        #[test]
        fn text_without_brackets_is_unchanged(text in "[^\\[{]{0,40}") {
            let piped = check(&text, "-");
            prop_assert_eq!(piped.text, text);
            prop_assert!(piped.problems.is_empty() && piped.filled.is_empty());
        }

        #[test]
        fn slots_are_what_piping_meets(template in template()) {
            let slots = slots(&template);
            // In an empty project nothing is known but smart variables.
            let project = Project::default();
            let record = Record::new("1");
            let place = Place::default();
            let now = "2026-11-23T10:00:00".parse().unwrap();
            let context = Context::new(&project, &record, &place, now);
            let piped = pipe(&template, &context, &|_| None);
            for problem in &piped.problems {
                let met = &template[problem.at.clone()];
                prop_assert!(slots.iter().any(|slot| slot == met), "{} is no slot", met);
            }
            for slot in &slots {
                let named = piped.problems.iter().any(|problem| template[problem.at.clone()] == *slot);
                let smart = Reference::read(slot).is_some_and(|(reference, _)| reference.is_smart());
                prop_assert!(named || smart, "{} is a slot, and was not met", slot);
            }
        }
    }
}
