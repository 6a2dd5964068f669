//! Filling a message's text with what a record holds.
//!
//! Text in, text out: a message written in HTML is first turned to text by
//! [`crate::html::html_to_text`], so that nothing a participant typed is ever taken for a tag.

use crate::project::{Field, FieldKind};
use crate::record::checkbox_column;
use crate::reference::{Context, Instance, Reference, Span};

/// What REDCap shows where a value is missing.
pub const BLANK: &str = "______";

/// A text with its references filled in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Piped {
    pub text: String,
    /// The fields that were asked for, in order.
    pub filled: Vec<Filled>,
    /// The links that were put in, in order.
    pub links: Vec<String>,
    /// What was left as it stood.
    pub problems: Vec<Problem>,
}

impl std::fmt::Debug for Piped {
    /// The text holds a participant's values, so it is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piped")
            .field("filled", &self.filled)
            .field("links", &self.links.len())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// A field that went into a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    pub field: String,
    /// Whether the project marks the field as identifying a person.
    pub identifier: bool,
    /// Whether there was no value.
    pub blank: bool,
}

/// A reference that could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the template.
    pub at: Span,
    /// A lower-case fragment.
    pub sentence: String,
}

/// A link a text asks for. The one who sends the text knows how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    pub kind: LinkKind,
    /// The form; none for the survey the message is about, and for the queue.
    pub instrument: Option<String>,
    /// The event's unique name.
    pub event: String,
    pub instance: Option<Instance>,
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    Survey,
    SurveyQueue,
    /// The form as staff see it.
    Form,
}

/// Fills in a template. `links` is asked for every link the text wants; without an answer the
/// reference is left as it stands, with a problem.
#[must_use]
pub fn pipe(template: &str, context: &Context<'_>, links: &dyn Fn(&LinkRequest) -> Option<String>) -> Piped {
    fill(template, context, links, false)
}

/// As [`pipe`], but identifier fields are blank: what an alert does unless it is told otherwise.
#[must_use]
pub fn pipe_without_identifiers(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
) -> Piped {
    fill(template, context, links, true)
}

/// What a template pipes, as written, each once: for those who approve the text before there is a record.
#[must_use]
pub fn slots(template: &str) -> Vec<String> {
    let mut slots: Vec<String> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('[') {
        rest = &rest[at..];
        let taken = if let Some((_, taken)) = Reference::read(rest) {
            let slot = &rest[..taken];
            if !slots.iter().any(|known| known == slot) {
                slots.push(slot.to_owned());
            }
            taken
        } else {
            1
        };
        rest = &rest[taken..];
    }
    slots
}

fn fill(
    template: &str,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
) -> Piped {
    let mut piped = Piped::default();
    let mut at = 0;
    while let Some(next) = template[at..].find('[') {
        piped.text.push_str(&template[at..at + next]);
        at += next;
        let Some((reference, taken)) = Reference::read(&template[at..]) else {
            piped.text.push('[');
            at += 1;
            continue;
        };
        let span = at..at + taken;
        at = span.end;
        match one(&reference, context, links, withhold, &mut piped) {
            Ok(text) => piped.text.push_str(&text),
            Err(sentence) => {
                piped.text.push_str(&template[span.clone()]);
                piped.problems.push(Problem { at: span, sentence });
            }
        }
    }
    piped.text.push_str(&template[at..]);
    piped
}

fn one(
    reference: &Reference,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    withhold: bool,
    piped: &mut Piped,
) -> Result<String, String> {
    if reference.is_smart() {
        // A record may be named by a hospital number: then its name identifies as that field does.
        if reference.name == "record-name" {
            let id = &context.project.record_id_field;
            let identifier = context.project.field(id).is_some_and(|field| field.identifier);
            piped.filled.push(Filled { field: id.clone(), identifier, blank: context.record.id.is_empty() });
            if withhold && identifier {
                return Ok(BLANK.to_owned());
            }
        }
        return smart(reference, context, links, &mut piped.links);
    }
    let field = context.field(reference);
    let is_status = context.project.status_of(&reference.name).is_some();
    let is_id = reference.name.eq_ignore_ascii_case(&context.project.record_id_field);
    if field.is_none() && !is_status && !is_id {
        return Err(format!("there is no field `{}`", reference.name));
    }
    let identifier = field.is_some_and(|field| field.identifier);
    let text = if withhold && identifier { String::new() } else { shown(reference, field, context) };
    piped.filled.push(Filled { field: reference.name.clone(), identifier, blank: text.is_empty() });
    Ok(match text {
        text if !text.is_empty() => text,
        _ if reference.has_param("hideunderscore") => String::new(),
        _ => BLANK.to_owned(),
    })
}

fn shown(reference: &Reference, field: Option<&Field>, context: &Context<'_>) -> String {
    let wants_code = reference.has_param("value");
    let Some(field) = field else {
        let raw = context.raw(reference).unwrap_or_default();
        // The status of a form is a choice field of REDCap's own.
        return match raw {
            code if wants_code || context.project.status_of(&reference.name).is_none() => code,
            "0" => "Incomplete",
            "1" => "Unverified",
            "2" => "Complete",
            other => other,
        }
        .to_owned();
    };
    if field.kind == FieldKind::Checkbox {
        return boxes(reference, field, context, wants_code);
    }
    let Some(raw) = context.raw(reference) else { return String::new() };
    if wants_code {
        return raw.to_owned();
    }
    let missing = context.project.missing_data_codes.iter().find(|code| code.code == raw);
    if let Some(label) = field.choice_label(raw).or(missing.map(|code| code.label.as_str())) {
        return crate::html::html_to_text(label);
    }
    display_order(field.validation.as_deref().unwrap_or_default(), raw)
}

/// A list of the labels of the checked boxes, or of the others; or one box in a word.
fn boxes(reference: &Reference, field: &Field, context: &Context<'_>, wants_code: bool) -> String {
    let Some(place) = context.place_of(reference, &field.instrument) else { return String::new() };
    let checked = |code: &str| context.record.get(&checkbox_column(&field.name, code), &place) == Some("1");
    if let Some(code) = &reference.code {
        return match (checked(code), wants_code) {
            (true, true) => "1",
            (false, true) => "0",
            (true, false) => "Checked",
            (false, false) => "Unchecked",
        }
        .to_owned();
    }
    let wanted = !reference.has_param("unchecked");
    let listed: Vec<String> = field
        .choices
        .iter()
        .filter(|choice| checked(&choice.code) == wanted)
        .map(|choice| if wants_code { choice.code.clone() } else { crate::html::html_to_text(&choice.label) })
        .collect();
    listed.join(", ")
}

/// A stored date, year first, in the order its field shows it.
fn display_order(validation: &str, raw: &str) -> String {
    let (date, time) = raw.split_at(raw.find([' ', 'T']).unwrap_or(raw.len()));
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return raw.to_owned() };
    let time = time.replace('T', " ");
    if validation.ends_with("_dmy") {
        format!("{day}-{month}-{year}{time}")
    } else if validation.ends_with("_mdy") {
        format!("{month}-{day}-{year}{time}")
    } else {
        raw.to_owned()
    }
}

fn smart(
    reference: &Reference,
    context: &Context<'_>,
    links: &dyn Fn(&LinkRequest) -> Option<String>,
    given: &mut Vec<String>,
) -> Result<String, String> {
    let project = context.project;
    let event = context.event_of(reference);
    let form = reference.params.first().filter(|form| !form.is_empty());
    let kind = match reference.name.as_str() {
        "survey-url" | "survey-link" => LinkKind::Survey,
        "survey-queue-url" | "survey-queue-link" => LinkKind::SurveyQueue,
        "form-url" | "form-link" => LinkKind::Form,
        "record-name" => return Ok(context.record.id.clone()),
        "project-title" => return Ok(project.title.clone()),
        "event-name" => return Ok(context.place.event_name().to_owned()),
        "event-label" => {
            let event = project.event(context.place.event_name());
            return Ok(event.map(|event| event.label.clone()).unwrap_or_default());
        }
        "current-instance" => return Ok(context.place.instance.to_string()),
        "survey-title" => {
            let form = form.ok_or("`[survey-title]` needs the name of a survey: `[survey-title:form]`")?;
            let survey = project.survey(form).ok_or_else(|| format!("`{form}` is not a survey"))?;
            return Ok(survey.title.clone());
        }
        name => return Err(format!("the smart variable `[{name}]` is not known")),
    };
    let instrument = form.filter(|_| kind != LinkKind::SurveyQueue);
    match (kind, instrument) {
        (LinkKind::Survey, Some(form)) if project.survey(form).is_none() => {
            return Err(format!("`{form}` is not a survey"));
        }
        (LinkKind::Form, Some(form)) if project.instrument(form).is_none() => {
            return Err(format!("there is no form `{form}`"));
        }
        _ => {}
    }
    let event = event.ok_or("there is no such event")?;
    let request = LinkRequest {
        kind,
        instrument: instrument.cloned(),
        event: event.to_owned(),
        instance: reference.instance,
    };
    let link = links(&request).ok_or_else(|| format!("there is no link for `[{}]`", reference.name))?;
    given.push(link.clone());
    // `[survey-link:form:Text]` is an anchor in an e-mail; a text message has room for the address only.
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odm::tests::small_project;
    use crate::record::{Place, Record};

    fn check(template: &str) -> Piped {
        let project = small_project();
        let mut record = Record::new("1");
        let base = Place::at("baseline_arm_1");
        record.set("first_name", &base, "Ann");
        record.set("color", &base, "2");
        record.set("smoker", &base, "UNK");
        record.set("visit", &base, "2026-11-23 10:00");
        record.set("entry_complete", &base, "2");
        record.set_checkbox("symptoms", "-99", &base, true);
        record.set("systolic", &Place::of(&project, "baseline_arm_1", "bp", 2), "140");
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, &record, &base, now);
        pipe(template, &context, &|request| match request.kind {
            LinkKind::Survey => Some(format!(
                "https://x.org/?s={}@{}",
                request.instrument.as_deref().unwrap_or("this"),
                request.event
            )),
            _ => None,
        })
    }

    #[test]
    fn references_are_filled_as_redcap_fills_them() {
        for (template, wanted) in [
            ("Hi [first_name]!", "Hi Ann!"),
            ("[First_Name][color]", "AnnBlue"),
            ("[color:value]/[color:label]", "2/Blue"),
            ("[email] [email:hideunderscore].", "______ ."),
            ("[visit]", "23-11-2026 10:00"),
            ("[visit:value]", "2026-11-23 10:00"),
            ("[symptoms] [symptoms:unchecked] [symptoms:checked:value]", "None, really Cough -99"),
            ("[symptoms(-99)] [symptoms(1)] [symptoms(1):value]", "Checked Unchecked 0"),
            ("[smoker]", "Unknown"),
            ("[entry_complete] [entry_complete:value]", "Complete 2"),
            ("[systolic][2] [systolic][last-instance] [systolic][1]", "140 140 ______"),
            ("[baseline_arm_1][first_name] [followup_arm_1][first_name]", "Ann ______"),
            ("[record-name] [project-title] [event-label]", "1 Sleep & Breath Baseline"),
            ("[record_id]", "1"),
            ("[survey-title:entry]", "Welcome"),
            ("[survey-url]", "https://x.org/?s=this@baseline_arm_1"),
            ("[followup_arm_1][survey-link:entry:Go on]", "https://x.org/?s=entry@followup_arm_1"),
            ("[see below] [ ] [", "[see below] [ ] ["),
        ] {
            let piped = check(template);
            assert_eq!(piped.text, wanted, "{template}");
            assert_eq!(piped.problems, [], "{template}");
        }
    }

    #[test]
    fn what_cannot_be_filled_stays_and_is_named() {
        for (template, wanted) in [
            ("a [nothing_here] b", "there is no field `nothing_here`"),
            ("[survey-link:bp]", "`bp` is not a survey"),
            ("[survey-queue-link]", "there is no link for `[survey-queue-link]`"),
            ("[user-fullname]", "the smart variable `[user-fullname]` is not known"),
        ] {
            let piped = check(template);
            assert_eq!(piped.text, template);
            assert_eq!(piped.problems[0].sentence, wanted);
            assert!(template[piped.problems[0].at.clone()].starts_with('['));
        }
    }

    #[test]
    fn fields_and_links_are_accounted_for() {
        let piped = check("[first_name] [email] [survey-url]");
        assert_eq!(
            piped.filled,
            [
                Filled { field: "first_name".into(), identifier: true, blank: false },
                Filled { field: "email".into(), identifier: true, blank: true },
            ]
        );
        assert_eq!(piped.links.len(), 1);
        assert!(!format!("{piped:?}").contains("Ann"));
    }

    #[test]
    fn identifiers_can_be_withheld() {
        let project = small_project();
        let mut record = Record::new("1");
        let base = Place::at("baseline_arm_1");
        record.set("first_name", &base, "Ann");
        record.set("age", &base, "40");
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, &record, &base, now);
        assert_eq!(pipe_without_identifiers("[first_name] [age]", &context, &|_| None).text, "______ 40");
    }

    #[test]
    fn slots_are_listed_once_and_as_written() {
        assert_eq!(
            slots("[first_name] [x] [first_name], [e_arm_1][y][2] [survey-link:entry:Go] [so what]"),
            ["[first_name]", "[x]", "[e_arm_1][y][2]", "[survey-link:entry:Go]"]
        );
    }
}
