//! Everything in a project that says what it hardly means: conditions that name what does not exist,
//! calculations in circles, texts that pipe nothing, surveys that no phone can take.

use std::collections::BTreeSet;

use jiff::civil::DateTime;

use crate::analyze::{Analysis, analyze};
use crate::annotation::{self, Formula};
use crate::calculate::Calculations;
use crate::html::html_to_text;
use crate::logic::{self, Span, Standing};
use crate::pipe::pipe;
use crate::problem::Problem;
use crate::project::{Field, FieldKind, Line, Project};
use crate::record::{Place, Record};
use crate::reference::{Context, Reference, Surroundings};
use crate::smart::{self, SmartVariable};
use crate::spelling::nearest;

/// What an inspection found.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// In the order of the file.
    pub troubles: Vec<Trouble>,
    /// Every survey, in the order of the file, with whether a phone can take it.
    pub surveys: Vec<(String, Analysis)>,
    /// How many conditions and formulas there are, and how many of them nothing is wrong with.
    pub expressions: usize,
    pub sound: usize,
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The line of the file, counted from 1; 0 if it came from no file.
    pub line: usize,
    /// As in "the branching logic of `age`"; empty for the file itself.
    pub place: String,
    /// A lower-case fragment.
    pub sentence: String,
    pub help: Option<String>,
    /// The text it is in, and where there.
    pub excerpt: Option<(String, Span)>,
    /// The line holds a participant's value and is not to be shown.
    pub withheld: bool,
}

/// Looks through a project. What its reader had to say comes first.
#[must_use]
pub fn inspect(project: &Project, problems: &[Problem]) -> Inspection {
    let mut inspecting = Inspecting { project, inspection: Inspection::default() };
    for problem in problems {
        inspecting.inspection.troubles.push(Trouble {
            line: problem.line,
            place: String::new(),
            sentence: problem.sentence.clone(),
            help: problem.help.clone(),
            excerpt: None,
            withheld: problem.withheld,
        });
    }
    inspecting.expressions();
    inspecting.tags();
    inspecting.names();
    inspecting.texts();
    let Inspecting { mut inspection, .. } = inspecting;
    inspection.troubles.sort_by_key(|trouble| trouble.line);
    let surveys = project.surveys.iter().map(|survey| survey.instrument.clone());
    inspection.surveys = surveys
        .map(|instrument| {
            let analysis = analyze(project, &instrument);
            (instrument, analysis)
        })
        .collect();
    inspection
}

/// A condition or a formula of a project, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    pub what: What<'a>,
    pub line: Line,
    pub text: &'a str,
    /// The event at which it is evaluated, where that is one.
    pub event: Option<&'a str>,
}

/// What a condition or a formula decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    Branching(&'a str),
    Calculation(&'a str),
    /// The condition of an `@IF`.
    Tag(&'a str),
    /// By survey and event.
    Invitation(&'a str, &'a str),
    Queue(&'a str, &'a str),
    /// By number.
    Alert(u32),
}

impl std::fmt::Display for What<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Branching(field) => write!(f, "the branching logic of `{field}`"),
            Self::Calculation(field) => write!(f, "the calculation of `{field}`"),
            Self::Tag(field) => write!(f, "the `@IF` of `{field}`"),
            Self::Invitation(survey, event) => {
                write!(f, "the condition of the invitation to `{survey}` at `{event}`")
            }
            Self::Queue(survey, event) => {
                write!(f, "the condition of `{survey}` at `{event}` in the survey queue")
            }
            Self::Alert(number) => write!(f, "the condition of alert #{number}"),
        }
    }
}

/// Every condition and formula of a project, in the order of its parts.
#[must_use]
pub fn expressions(project: &Project) -> Vec<Located<'_>> {
    let mut found = Vec::new();
    for field in &project.fields {
        let mut add = |what, text| found.push(Located { what, line: field.line, text, event: None });
        if let Some(text) = &field.branching {
            add(What::Branching(&field.name), text.as_str());
        }
        if let Some(text) = field.calculation.as_deref().filter(|_| field.kind == FieldKind::Calc) {
            add(What::Calculation(&field.name), text);
        }
        let Some(annotation) = &field.annotation else { continue };
        let within = |formula: &Formula| &annotation[formula.at..formula.at + formula.text.len()];
        for formula in field.calctext().iter().chain(field.calcdate().iter().flatten()) {
            add(What::Calculation(&field.name), within(formula));
        }
        for tag in field.tags().iter().filter(|tag| tag.name == "@IF") {
            if let Some(condition) = tag.formula().and_then(|formula| formula.split().into_iter().next()) {
                add(What::Tag(&field.name), within(&condition));
            }
        }
    }
    for invitation in &project.invitations {
        let (survey, event) = (invitation.instrument.as_str(), invitation.event.as_str());
        if let Some(text) = &invitation.condition.logic {
            let what = What::Invitation(survey, event);
            found.push(Located { what, line: invitation.line, text, event: Some(event) });
        }
    }
    for row in &project.queue {
        if let Some(text) = &row.condition.logic {
            let what = What::Queue(&row.instrument, &row.event);
            found.push(Located { what, line: row.line, text, event: Some(&row.event) });
        }
    }
    for alert in &project.alerts {
        if let Some(text) = &alert.condition {
            let event = alert.event.as_deref().filter(|event| !event.is_empty());
            found.push(Located { what: What::Alert(alert.number), line: alert.line, text, event });
        }
    }
    found
}

struct Inspecting<'a> {
    project: &'a Project,
    inspection: Inspection,
}

impl Inspecting<'_> {
    fn trouble(&mut self, line: Line, place: impl Into<String>, sentence: &str, help: &str) {
        self.inspection.troubles.push(Trouble {
            line: line.0,
            place: place.into(),
            sentence: sentence.to_owned(),
            help: Some(help.to_owned()).filter(|help| !help.is_empty()),
            excerpt: None,
            withheld: false,
        });
    }

    fn within(&mut self, line: Line, place: &str, (sentence, help): (&str, &str), text: &str, at: Span) {
        self.trouble(line, place, sentence, help);
        if let Some(trouble) = self.inspection.troubles.last_mut() {
            trouble.excerpt = Some((text.to_owned(), at));
        }
    }

    fn expressions(&mut self) {
        let project = self.project;
        let mut unread = BTreeSet::new();
        for located in expressions(project) {
            self.inspection.expressions += 1;
            let place = located.what.to_string();
            let event = located.event.filter(|event| project.event(event).is_some());
            match logic::parse(located.text) {
                Ok(expression) => {
                    let findings = logic::check(&expression, project, Standing { event });
                    self.inspection.sound += usize::from(findings.is_empty());
                    for finding in findings {
                        let words = (finding.sentence.as_str(), finding.help.as_str());
                        self.within(located.line, &place, words, located.text, finding.at);
                    }
                }
                Err(mistakes) => {
                    if let What::Calculation(field) = located.what {
                        unread.insert(field.to_owned());
                    }
                    for mistake in mistakes {
                        let words = (mistake.sentence.as_str(), mistake.help.as_str());
                        self.within(located.line, &place, words, located.text, mistake.at);
                    }
                }
            }
        }
        for problem in Calculations::of(project).problems {
            // What cannot be read is told above.
            if unread.contains(&problem.field) {
                continue;
            }
            let line = project.field(&problem.field).map(|field| field.line).unwrap_or_default();
            let place = What::Calculation(&problem.field).to_string();
            let words = (problem.mistake.sentence.as_str(), problem.mistake.help.as_str());
            self.within(line, &place, words, &problem.text, problem.mistake.at);
        }
    }

    fn tags(&mut self) {
        for field in &self.project.fields {
            let Some(annotation) = &field.annotation else { continue };
            for mistake in annotation::tags(annotation).1 {
                let place = format!("the action tags of `{}`", field.name);
                let words = (mistake.sentence.as_str(), mistake.help.as_str());
                self.within(field.line, &place, words, annotation, mistake.at);
            }
        }
    }

    /// Forms, events and fields that are named outside of conditions.
    fn names(&mut self) {
        let project = self.project;
        let mut named: Vec<(Line, String, Option<&str>, Option<&str>)> = Vec::new();
        for row in &project.queue {
            let place = format!("the survey queue's row for `{}`", row.instrument);
            named.push((row.line, place.clone(), Some(&row.instrument), Some(&row.event)));
            named.push((row.line, place, row.condition.survey.as_deref(), row.condition.event.as_deref()));
        }
        for invitation in &project.invitations {
            let place = format!("the invitation to `{}`", invitation.instrument);
            let condition = &invitation.condition;
            named.push((
                invitation.line,
                place.clone(),
                Some(&invitation.instrument),
                Some(&invitation.event),
            ));
            named.push((invitation.line, place, condition.survey.as_deref(), condition.event.as_deref()));
        }
        for (line, place, survey, event) in named {
            if let Some(survey) = survey.filter(|survey| project.survey(survey).is_none()) {
                self.trouble(
                    line,
                    place.as_str(),
                    &format!("there is no survey `{survey}`"),
                    "correct its name",
                );
            }
            self.event(line, &place, event);
        }
        for alert in &project.alerts {
            let place = format!("alert #{}", alert.number);
            if let Some(form) = alert.instrument.as_deref().filter(|form| project.instrument(form).is_none())
            {
                self.trouble(
                    alert.line,
                    place.as_str(),
                    &format!("there is no form `{form}`"),
                    "correct its name",
                );
            }
            self.event(alert.line, &place, alert.event.as_deref());
        }
        if let Some(field) = &project.invitation_email_field
            && project.field(field).is_none()
        {
            let sentence = format!("there is no field `{field}`");
            self.trouble(Line(0), "the designated e-mail field", &sentence, "designate another field");
        }
    }

    fn event(&mut self, line: Line, place: &str, event: Option<&str>) {
        if let Some(event) = event.filter(|event| !event.is_empty() && self.project.event(event).is_none()) {
            self.trouble(line, place, &format!("there is no event `{event}`"), "correct its name");
        }
    }

    /// Texts that pipe what does not exist. They are tried on a record that holds nothing.
    fn texts(&mut self) {
        let project = self.project;
        let record = Record::new("1");
        let surroundings = Surroundings::everything();
        let first = project.events.first().map(|event| event.unique_name.as_str());
        for text in texts(project) {
            let event = text.event.filter(|event| project.event(event).is_some()).or(first);
            let place = event.map(Place::at).unwrap_or_default();
            let now = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
            let context = Context::new(project, &record, &place, now);
            let surroundings =
                Surroundings { instrument: text.instrument.map(str::to_owned), ..surroundings.clone() };
            let context = Context { surroundings: &surroundings, ..context };
            let plain = if text.html { html_to_text(text.text) } else { text.text.to_owned() };
            for problem in pipe(&plain, &context, &|_| Some(String::new())).problems {
                if text.on_form && is_at_home(project, &plain[problem.at.clone()])
                    || project.fields_only && is_untold(project, &plain[problem.at.clone()])
                {
                    continue;
                }
                self.within(text.line, &text.place, (&problem.sentence, ""), &plain, problem.at);
            }
        }
    }
}

/// Whether something is no mistake on a form: `{field}` puts an input box there, and brackets stand
/// around much that was never meant as a field. What looks like a name, or is nearly one, is.
fn is_at_home(project: &Project, text: &str) -> bool {
    let Some((reference, _)) = Reference::read(text) else { return true };
    let name = reference.name.as_str();
    let is_name = reference.event.is_some()
        || project.field(name).is_some()
        || project.status_of(name).is_some()
        || SmartVariable::named(name).is_some();
    let looks_like_one = name.contains(|c: char| c == '_' || c.is_ascii_digit());
    let fields = project.fields.iter().map(|field| field.name.as_str());
    let near = nearest(name, fields.chain(smart::all().map(|variable| variable.name)));
    !is_name && !looks_like_one && near.is_none()
}

/// Whether something is about events or surveys, of which a data dictionary tells nothing.
fn is_untold(project: &Project, text: &str) -> bool {
    Reference::read(text).is_some_and(|(reference, _)| {
        reference.name.starts_with("survey-")
            || reference.event.is_some_and(|event| project.event(&event).is_none())
    })
}

/// A text that participants or staff are shown.
struct Shown<'a> {
    line: Line,
    place: String,
    text: &'a str,
    html: bool,
    event: Option<&'a str>,
    /// The form it belongs to.
    instrument: Option<&'a str>,
    /// Whether it is a part of a form, and not of a message.
    on_form: bool,
}

fn texts(project: &Project) -> Vec<Shown<'_>> {
    let mut found = Vec::new();
    for field in &project.fields {
        found.extend(texts_of(field));
    }
    for survey in &project.surveys {
        let name = &survey.instrument;
        for (what, text) in [
            ("title", &survey.title),
            ("instructions", &survey.instructions),
            ("completion text", &survey.acknowledgement),
        ] {
            let place = format!("the {what} of the survey `{name}`");
            let (event, instrument) = (None, Some(name.as_str()));
            found.push(Shown {
                line: survey.line,
                place,
                text,
                html: true,
                event,
                instrument,
                on_form: true,
            });
        }
    }
    for invitation in &project.invitations {
        for (what, text, html) in
            [("subject", &invitation.subject, false), ("text", &invitation.content, true)]
        {
            let place = format!("the {what} of the invitation to `{}`", invitation.instrument);
            let (event, instrument) = (Some(invitation.event.as_str()), Some(invitation.instrument.as_str()));
            found.push(Shown { line: invitation.line, place, text, html, event, instrument, on_form: false });
        }
    }
    for alert in &project.alerts {
        for (what, text, html) in [
            ("subject", &alert.subject, false),
            ("text", &alert.message, true),
            ("recipients", &alert.phone_number_to, false),
            ("recipients", &alert.email_to, false),
        ] {
            let place = format!("the {what} of alert #{}", alert.number);
            let (event, instrument) = (alert.event.as_deref(), alert.instrument.as_deref());
            found.push(Shown { line: alert.line, place, text, html, event, instrument, on_form: false });
        }
    }
    found.retain(|shown| !shown.text.is_empty());
    found
}

fn texts_of(field: &Field) -> Vec<Shown<'_>> {
    let mut found = Vec::new();
    let mut add = |what: &str, text, html| {
        let place = format!("the {what} of `{}`", field.name);
        let instrument = Some(field.instrument.as_str());
        found.push(Shown { line: field.line, place, text, html, event: None, instrument, on_form: true });
    };
    match &field.label_html {
        Some(html) => add("label", html.as_str(), true),
        None => add("label", field.label.as_str(), false),
    }
    if let Some(note) = &field.note {
        add("note", note, false);
    }
    if let Some(header) = &field.section_header {
        add("section header", header, true);
    }
    for choice in &field.choices {
        add(&format!("choice `{}`", choice.code), &choice.label, true);
    }
    if let Some(annotation) = &field.annotation {
        for tag in field.tags().iter().filter(|tag| FILLING.contains(&tag.name.as_str())) {
            add(&format!("`{}`", tag.name), &annotation[tag.argument_at.clone()], false);
        }
    }
    found
}

/// The action tags whose text is piped.
const FILLING: [&str; 4] = ["@DEFAULT", "@SETVALUE", "@PREFILL", "@PLACEHOLDER"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odm::read_project;
    use crate::odm::tests::{SMALL, small_project};

    fn told(text: &str) -> Vec<String> {
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        let inspection = inspect(&project, &problems);
        let told = inspection.troubles.into_iter().map(|trouble| {
            let at = trouble.excerpt.map(|(text, at)| format!(" at {}", &text[at])).unwrap_or_default();
            format!("{}: {}{at}: {}", trouble.line, trouble.place, trouble.sentence)
        });
        told.collect()
    }

    #[test]
    fn a_sound_project_has_no_troubles() {
        assert_eq!(told(SMALL), Vec::<String>::new());
        let project = small_project();
        let inspection = inspect(&project, &[]);
        assert_eq!((inspection.expressions, inspection.sound), (3, 3));
        assert_eq!(inspection.surveys.len(), 1);
    }

    #[test]
    fn troubles_are_told_where_they_are() {
        let line = |text: &str| SMALL.lines().position(|line| line.contains(text)).unwrap() + 1;
        let survey = line("<redcap:SurveysScheduler ");
        let alert = line("<redcap:Alerts ");
        for (from, to, wanted) in [
            (
                "[age] &amp;gt; 17",
                "[agee] &amp;gt; 17",
                format!(
                    "{survey}: the condition of the invitation to `entry` at `followup_arm_1` at [agee]: there is no field `agee`"
                ),
            ),
            (
                "[systolic] &gt; 180",
                "[systolic] &gt; ",
                format!("{alert}: the condition of alert #1 at : the condition ends too early"),
            ),
            (
                "phone_number_to=\"[phone]\"",
                "phone_number_to=\"[phnoe]\"",
                format!("{alert}: the recipients of alert #1 at [phnoe]: there is no field `phnoe`"),
            ),
            (
                "form_name=\"bp\" form_name_event=\"baseline_arm_1\"",
                "form_name=\"pb\" form_name_event=\"baseline_arm_1\"",
                format!("{alert}: alert #1: there is no form `pb`"),
            ),
        ] {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL);
            let told = told(&text);
            assert!(
                told.iter().any(|trouble| trouble.starts_with(&wanted)),
                "{wanted} is not among {told:#?}"
            );
        }
    }

    /// Runs over real projects, which are not ours to ship.
    #[test]
    fn real_projects_are_inspected_whole() {
        let Ok(corpus) = std::env::var("CONSENTRY_CORPUS") else {
            println!("skipped: CONSENTRY_CORPUS is not set");
            return;
        };
        let file = std::path::Path::new(&corpus).join("redcap-projects/rmh-covid-home-monitoring.xml");
        let (project, problems) = read_project(&std::fs::read(file).unwrap()).unwrap();
        let inspection = inspect(&project, &problems);
        assert_eq!(inspection.troubles, []);
        assert_eq!((inspection.expressions, inspection.sound), (659, 659));
        assert_eq!(Calculations::of(&project).fields().count(), 400);
        for located in expressions(&project) {
            let read = logic::parse(located.text).unwrap();
            assert_eq!(logic::parse(&read.to_string()).unwrap(), read, "{}", located.text);
        }
    }
}
