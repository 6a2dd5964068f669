//! Smart variables: what brackets may name besides fields.
//!
//! The list is that of REDCap's public documentation, and closed: a name that is not on it is a
//! mistake. A variable is resolved from the project, the record and what the caller told in
//! [`crate::reference::Surroundings`]. Nothing is fetched here: an address or a code that only the
//! server knows becomes a [`LinkRequest`], and what nobody told is [`Resolved::NotTold`], which is
//! not the same as blank.

mod variables;

use jiff::civil::DateTime;

use crate::logic::unit_seconds;
use crate::project::{Event, Project, Survey};
use crate::record::{Place, SurveyTimestamp};
use crate::reference::{Context, EventStep, Group, Instance, Reference, Server, User};
use crate::spelling::nearest;
use variables::VARIABLES;

/// A smart variable, as a reference page shows it.
#[derive(Debug, Clone, Copy)]
pub struct SmartVariable {
    pub topic: &'static str,
    pub name: &'static str,
    /// What may follow the name, as it is written; square brackets mark what may be left out.
    pub parameters: &'static str,
    /// What it gives, in one sentence.
    pub description: &'static str,
    meaning: Meaning,
}

/// What a smart variable stands for at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Known; empty if blank.
    Text(String),
    /// For whoever sends the text to get.
    Link(LinkRequest),
    /// The caller did not tell this; it completes "needs to know …".
    NotTold(&'static str),
    /// It can be resolved nowhere. A lower-case fragment says why.
    Wrong(String),
}

/// A link or a code a text asks for. The one who sends the text knows how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    pub kind: LinkKind,
    /// The form; none for the survey the message is about, and for the queue.
    pub instrument: Option<String>,
    /// The event's unique name.
    pub event: String,
    pub instance: Option<Instance>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    Survey,
    SurveyQueue,
    /// The form as staff see it.
    Form,
    /// What opens a survey without its link.
    SurveyAccessCode,
    /// What opens a survey where it was left.
    SurveyReturnCode,
}

impl LinkKind {
    /// Whether the answer is a code to type, and not an address.
    #[must_use]
    pub const fn is_code(self) -> bool {
        matches!(self, Self::SurveyAccessCode | Self::SurveyReturnCode)
    }
}

/// Every smart variable, in the order of a reference page.
pub fn all() -> impl Iterator<Item = SmartVariable> {
    VARIABLES.iter().copied()
}

impl SmartVariable {
    /// The variable of this name, in lower case as [`Reference`] holds it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        VARIABLES.iter().find(|variable| variable.name == name).copied()
    }

    /// Why no condition can use it; none if conditions can.
    #[must_use]
    pub const fn unusable_in_conditions(self) -> Option<&'static str> {
        match self.meaning {
            Meaning::NotForMessages(sentence) => Some(sentence),
            Meaning::Link(_) => Some("is a link or a code, which a condition has no use for"),
            _ => None,
        }
    }

    /// Whether what it gives tells who somebody is. A record's name is not among these, because
    /// the record id field says that itself.
    #[must_use]
    pub const fn identifies(self) -> bool {
        matches!(
            self.meaning,
            Meaning::UserName | Meaning::UserFullName | Meaning::UserEmail | Meaning::ParticipantPhone
        )
    }
}

/// Resolves a smart variable for a condition: times year first and to the second, whether or not
/// `:value` is written, because no comparison can rely on how a user likes to see them.
#[must_use]
pub fn resolve(reference: &Reference, context: &Context<'_>) -> Resolved {
    resolved(reference, context, true)
}

/// Resolves a smart variable for a text that is read: times year first and to the minute, unless
/// `:value` is written. REDCap shows them as the logged-in user prefers, and whoever reads a
/// message is nobody's user.
#[must_use]
pub fn resolve_shown(reference: &Reference, context: &Context<'_>) -> Resolved {
    resolved(reference, context, reference.has_param("value"))
}

/// What is meant. Every kind of answer is one of these, so that no name is forgotten.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    UserName,
    UserFullName,
    UserEmail,
    UserGroup(Part),
    UserRole(Part),
    RecordName,
    RecordGroup(Part),
    /// 1 or 0: whether the form is filled in as a survey, or as a form.
    FilledIn {
        as_survey: bool,
    },
    InstrumentName,
    InstrumentLabel,
    Link(LinkKind),
    SurveyTitle,
    SurveyStarted {
        date_only: bool,
    },
    SurveyCompleted {
        date_only: bool,
    },
    /// Up to completion; for a survey under way up to now, or blank.
    SurveyDuration {
        completed_only: bool,
    },
    ParticipantPhone,
    EventName(EventStep),
    EventLabel(EventStep),
    EventId,
    EventNumber,
    ArmNumber,
    ArmLabel,
    Instance(Instance),
    ProjectId,
    ProjectTitle,
    ProjectStatus,
    ProjectPurpose,
    ProjectIrbNumber,
    BaseUrl,
    SurveyBaseUrl,
    Version,
    VersionUrl,
    /// Only REDCap itself knows it, and no way to ask is known.
    Unasked(&'static str),
    /// It is about many records, or for administrators.
    NotForMessages(&'static str),
}

/// Which of the three names a group or a role has.
#[derive(Debug, Clone, Copy)]
enum Part {
    Id,
    Name,
    Label,
}

fn resolved(reference: &Reference, context: &Context<'_>, raw: bool) -> Resolved {
    let Some(variable) = SmartVariable::named(&reference.name) else {
        let names = VARIABLES.iter().map(|variable| variable.name);
        let hint = nearest(&reference.name, names)
            .map(|near| format!("; did you mean `[{near}]`?"))
            .unwrap_or_default();
        return Resolved::Wrong(format!("the smart variable `[{}]` is not known{hint}", reference.name));
    };
    if reference.code.is_some() {
        return Resolved::Wrong(format!("`[{}]` has no choices to pick from", variable.name));
    }
    let words = words(reference);
    if let Some(word) = words.first().filter(|_| variable.parameters.is_empty()) {
        return Resolved::Wrong(format!("`[{}]` takes no parameter, and `{word}` was given", variable.name));
    }
    let asked = Asked { name: variable.name, words, reference, context, raw };
    asked.answer(variable.meaning).unwrap_or_else(|other| other)
}

/// What follows the colons, without the words that only change how a blank or a value is shown.
fn words(reference: &Reference) -> Vec<&str> {
    let shape = |word: &str| ["value", "hideunderscore"].iter().any(|known| word.eq_ignore_ascii_case(known));
    reference.params.iter().map(String::as_str).filter(|word| !word.is_empty() && !shape(word)).collect()
}

/// A smart variable that was understood, and where it stands.
struct Asked<'a> {
    name: &'static str,
    words: Vec<&'a str>,
    reference: &'a Reference,
    context: &'a Context<'a>,
    raw: bool,
}

/// An answer, or the end of the search for one.
type Answer = Result<Resolved, Resolved>;

impl<'a> Asked<'a> {
    fn answer(&self, meaning: Meaning) -> Answer {
        let surroundings = self.context.surroundings;
        let project = self.context.project;
        let text = |text: &str| Ok(Resolved::Text(text.to_owned()));
        match meaning {
            Meaning::UserName => text(&self.user()?.name),
            Meaning::UserFullName => text(&self.user()?.full_name),
            Meaning::UserEmail => text(&self.user()?.email),
            Meaning::UserGroup(part) => text(part_of(self.user()?.group.as_ref(), part)),
            Meaning::UserRole(part) => text(part_of(self.user()?.role.as_ref(), part)),
            Meaning::RecordName => text(&self.context.record.id),
            Meaning::RecordGroup(part) => {
                match (&surroundings.group, self.context.record.data_access_group()) {
                    (None, Some(name)) if matches!(part, Part::Name) => text(name),
                    (group, _) => {
                        text(part_of(Some(told(group.as_ref(), "the record's data access group")?), part))
                    }
                }
            }
            Meaning::FilledIn { as_survey } => {
                let is_survey = told(surroundings.as_survey, "whether the form is filled in as a survey")?;
                text(if is_survey == as_survey { "1" } else { "0" })
            }
            Meaning::InstrumentName => text(self.instrument()?),
            Meaning::InstrumentLabel => {
                text(project.instrument(self.instrument()?).map_or("", |instrument| &instrument.label))
            }
            Meaning::Link(kind) => self.link(kind),
            Meaning::SurveyTitle => {
                let (survey, rest) = self.survey()?;
                self.no_more(rest)?;
                text(&survey.title)
            }
            Meaning::SurveyStarted { date_only } => {
                let (survey, rest) = self.survey()?;
                self.no_more(rest)?;
                let started = self.started(survey)?.unwrap_or_default();
                Ok(Resolved::Text(self.moment(&started, date_only)))
            }
            Meaning::SurveyCompleted { date_only } => {
                let (survey, rest) = self.survey()?;
                self.no_more(rest)?;
                let completed = self.completed(survey)?.unwrap_or_default();
                Ok(Resolved::Text(self.moment(&completed, date_only)))
            }
            Meaning::SurveyDuration { completed_only } => self.duration(completed_only),
            Meaning::ParticipantPhone => text(told(
                surroundings.participant_phone.as_ref(),
                "the number designated for the participant's text messages",
            )?),
            Meaning::EventName(step) => text(self.event(step)?.map_or("", |event| &event.unique_name)),
            Meaning::EventLabel(step) => text(self.event(step)?.map_or("", |event| &event.label)),
            Meaning::EventId => {
                let id = self.event(EventStep::This)?.and_then(|event| event.settings.get("event_id"));
                text(told(id, "REDCap's number for the event")?)
            }
            Meaning::EventNumber => {
                let number = self.event(EventStep::This)?.and_then(|this| {
                    let arm = project.events.iter().filter(|event| event.arm == this.arm);
                    arm.enumerate().find(|(_, event)| event.unique_name == this.unique_name)
                });
                Ok(Resolved::Text(number.map_or_else(String::new, |(before, _)| (before + 1).to_string())))
            }
            Meaning::ArmNumber => {
                let arm = self.event(EventStep::This)?.map(|event| event.arm.to_string());
                Ok(Resolved::Text(arm.unwrap_or_default()))
            }
            Meaning::ArmLabel => {
                let arm = self.event(EventStep::This)?.and_then(|event| project.arm(event.arm));
                text(&told(arm, "what the arm is called")?.name)
            }
            Meaning::Instance(instance) => Ok(Resolved::Text(self.instance(instance))),
            Meaning::ProjectId => {
                text(told(surroundings.project_id.as_ref(), "REDCap's number for the project")?)
            }
            Meaning::ProjectTitle => text(&project.title),
            Meaning::ProjectStatus => {
                let status = told(surroundings.project_status.as_ref(), "the status of the project")?;
                // Documented as a number, and told as a word.
                text(match status.as_str() {
                    "Development" => "0",
                    "Production" => "1",
                    "Analysis/Cleanup" => "2",
                    other => other,
                })
            }
            Meaning::ProjectIrbNumber => {
                let number = Some(&project.irb_number).filter(|number| !number.is_empty());
                text(told(number, "the number under which the project was approved")?)
            }
            Meaning::ProjectPurpose => text(&project.purpose),
            Meaning::BaseUrl => text(&self.server()?.base_url),
            Meaning::SurveyBaseUrl => text(&self.server()?.survey_base_url),
            Meaning::Version => text(&self.server()?.version),
            Meaning::VersionUrl => {
                let Server { base_url, version, .. } = self.server()?;
                let base = base_url.trim_end_matches('/');
                let known = !base.is_empty() && !version.is_empty();
                Ok(Resolved::Text(if known { format!("{base}/redcap_v{version}/") } else { String::new() }))
            }
            Meaning::Unasked(what) => Ok(Resolved::NotTold(what)),
            Meaning::NotForMessages(why) => Ok(Resolved::Wrong(format!("`[{}]` {why}", self.name))),
        }
    }

    fn user(&self) -> Result<&'a User, Resolved> {
        told(self.context.surroundings.user.as_ref(), "who is logged in")
    }

    fn server(&self) -> Result<&'a Server, Resolved> {
        told(self.context.surroundings.server.as_ref(), "the addresses and the version of the REDCap server")
    }

    fn instrument(&self) -> Result<&'a str, Resolved> {
        told(self.context.surroundings.instrument.as_deref(), "which form is filled in")
    }

    /// The survey that is named, or the one at hand; and the words behind it.
    fn survey(&self) -> Result<(&'a Survey, &[&'a str]), Resolved> {
        let project = self.context.project;
        let named = self.words.split_first().filter(|(first, _)| {
            // `[survey-duration:h]` names a unit and leaves out the form.
            project.instrument(first).is_some()
                || !(self.name.starts_with("survey-duration") && is_unit(first))
        });
        let (form, rest) = match named {
            Some((form, rest)) => (*form, rest),
            None => {
                let at_hand = self.context.surroundings.instrument.as_deref();
                (told(at_hand, "the survey, as in `:form` behind its name")?, &self.words[..])
            }
        };
        Ok((self.survey_of(form)?, rest))
    }

    fn survey_of(&self, form: &str) -> Result<&'a Survey, Resolved> {
        let project: &'a Project = self.context.project;
        project.survey(form).ok_or_else(|| match project.instrument(form) {
            Some(_) => Resolved::Wrong(format!("`{form}` is not a survey")),
            None => Resolved::Wrong(no_form(project, form)),
        })
    }

    fn no_more(&self, rest: &[&str]) -> Result<(), Resolved> {
        match rest.first() {
            None => Ok(()),
            Some(word) => Err(Resolved::Wrong(format!("`{word}` is no parameter of `[{}]`", self.name))),
        }
    }

    /// The response that is meant; none if there can be none.
    fn response(&self, survey: &Survey) -> Result<Option<Place>, Resolved> {
        place_of(self.reference, self.context, &survey.instrument).map_err(Resolved::Wrong)
    }

    fn completed(&self, survey: &Survey) -> Result<Option<String>, Resolved> {
        let Some(place) = self.response(survey)? else { return Ok(None) };
        let record = self.context.record;
        Ok(match record.survey_timestamp(&survey.instrument, place.event.as_deref(), place.instance) {
            Some(SurveyTimestamp::Completed(at)) => Some(at.clone()),
            Some(SurveyTimestamp::NotCompleted) | None => None,
        })
    }

    /// When a response was begun. The API tells that there is one, and not since when.
    fn started(&self, survey: &Survey) -> Result<Option<String>, Resolved> {
        let Some(place) = self.response(survey)? else { return Ok(None) };
        let (record, event) = (self.context.record, place.event.as_deref());
        let started = record.survey_started(&survey.instrument, event, place.instance);
        let is_there = record.survey_timestamp(&survey.instrument, event, place.instance).is_some();
        match started {
            Some(at) => Ok(Some(at.to_owned())),
            None if is_there => Err(Resolved::NotTold("when the survey was begun")),
            None => Ok(None),
        }
    }

    /// A stored time in the form that is asked for.
    fn moment(&self, at: &str, date_only: bool) -> String {
        let at = at.replace('T', " ");
        let (date, time) = at.split_once(' ').unwrap_or((&at, ""));
        if date_only || time.is_empty() {
            return date.to_owned();
        }
        // To the minute: nobody reads the seconds, and a message has few characters.
        let time = if self.raw { time } else { time.get(..5).unwrap_or(time) };
        format!("{date} {time}")
    }

    fn duration(&self, completed_only: bool) -> Answer {
        let (survey, rest) = self.survey()?;
        let (unit, rest) = rest.split_first().map_or(("s", rest), |(unit, rest)| (*unit, rest));
        self.no_more(rest)?;
        let seconds_each = unit_seconds(unit).ok_or_else(|| {
            Resolved::Wrong(format!("`{unit}` is not a unit of time; `y`, `M`, `d`, `h`, `m` and `s` are"))
        })?;
        let blank = Ok(Resolved::Text(String::new()));
        let completed = self.completed(survey)?;
        if completed_only && completed.is_none() {
            return blank;
        }
        let Some(started) = self.started(survey)?.as_deref().and_then(civil) else { return blank };
        let end = match completed {
            Some(at) => civil(&at),
            None => Some(self.context.now),
        };
        let Some(end) = end else { return blank };
        let seconds = end.duration_since(started).as_secs_f64().max(0.0);
        // Two decimals and no trailing zeros, which is how the documented examples look.
        let number = format!("{:.2}", seconds / seconds_each);
        Ok(Resolved::Text(number.trim_end_matches('0').trim_end_matches('.').to_owned()))
    }

    /// The event at a step from the one that is named or at hand.
    fn event(&self, step: EventStep) -> Result<Option<&'a Event>, Resolved> {
        let base = event_of(self.reference, self.context, None).map_err(Resolved::Wrong)?;
        let project = self.context.project;
        Ok(base.and_then(|base| project.step(base, step, None)))
    }

    fn instance(&self, instance: Instance) -> String {
        let place = self.context.place;
        if place.instrument.is_none() && !self.context.project.event_repeats(place.event_name()) {
            return String::new();
        }
        let current = place.instance.max(1);
        let last = || self.context.record.last_instance(place.event_name(), place.instrument.as_deref());
        let number = match instance {
            Instance::Number(number) => Some(number),
            Instance::Current => Some(current),
            Instance::Previous => current.checked_sub(1).filter(|&number| number > 0),
            Instance::Next => current.checked_add(1),
            Instance::First => {
                Some(self.context.record.first_instance(place.event_name(), place.instrument.as_deref()))
            }
            // The repeat at hand may not be saved yet.
            Instance::Last => Some(last().max(current)),
            Instance::New => last().max(current).checked_add(1),
        };
        number.map_or_else(String::new, |number| number.to_string())
    }

    fn link(&self, kind: LinkKind) -> Answer {
        let project = self.context.project;
        let form = if kind == LinkKind::SurveyQueue { None } else { self.linked_form(kind)? };
        if self.reference.instance == Some(Instance::New)
            && matches!(kind, LinkKind::SurveyReturnCode | LinkKind::SurveyQueue)
        {
            return Err(Resolved::Wrong(format!("`[new-instance]` does not go with `[{}]`", self.name)));
        }
        let event = event_of(self.reference, self.context, form).map_err(Resolved::Wrong)?;
        // Before the first event and after the last there is nothing to link to.
        let Some(event) = event else { return Ok(Resolved::Text(String::new())) };
        if let Some(form) = form.filter(|form| !project.is_designated(event, form)) {
            let sentence = format!("the form `{form}` is not filled in at the event `{event}`");
            return Err(Resolved::Wrong(sentence));
        }
        Ok(Resolved::Link(LinkRequest {
            kind,
            instrument: form.map(str::to_owned),
            event: event.to_owned(),
            instance: self.reference.instance,
        }))
    }

    /// The form a link leads to; none for the one at hand.
    fn linked_form(&self, kind: LinkKind) -> Result<Option<&'a str>, Resolved> {
        let project = self.context.project;
        let Some(&form) = self.words.first() else { return Ok(None) };
        if project.instrument(form).is_none() {
            // `[survey-link:Go on]` has a text and no form. Only what cannot be the name of a form is
            // taken for a text: a misspelt form must not lead to another survey.
            let is_text = self.words.len() == 1
                && self.name.ends_with("-link")
                && !form.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            return if is_text { Ok(None) } else { Err(Resolved::Wrong(no_form(project, form))) };
        }
        if kind != LinkKind::Form {
            self.survey_of(form)?;
        }
        Ok(Some(form))
    }
}

fn told<T>(what: Option<T>, needed: &'static str) -> Result<T, Resolved> {
    what.ok_or(Resolved::NotTold(needed))
}

fn part_of(group: Option<&Group>, part: Part) -> &str {
    group.map_or("", |group| match part {
        Part::Id => &group.id,
        Part::Name => &group.name,
        Part::Label => &group.label,
    })
}

fn no_form(project: &Project, form: &str) -> String {
    let names = project.instruments.iter().map(|instrument| instrument.name.as_str());
    let hint = nearest(form, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no form `{form}`{hint}")
}

fn is_unit(word: &str) -> bool {
    unit_seconds(word).is_some()
}

fn civil(at: &str) -> Option<DateTime> {
    at.parse().ok()
}

/// The event a reference leads to, by its unique name. `Ok(None)` is a step before the first event
/// of the arm or behind its last, and an error an event that does not exist.
///
/// Before a field or a form, `[previous-event-name]` and its kin skip the events at which that form
/// is not filled in.
pub(crate) fn event_of<'a>(
    reference: &Reference,
    context: &Context<'a>,
    instrument: Option<&str>,
) -> Result<Option<&'a str>, String> {
    let found = context.event_with(reference, instrument);
    if let (None, Some(named)) = (found, &reference.event)
        && EventStep::of(&named.to_ascii_lowercase()).is_none()
    {
        let known = context.project.events.iter().map(|event| event.unique_name.as_str());
        let hint = nearest(named, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no event `{named}`{hint}"));
    }
    Ok(found)
}

/// Where the fields of a form stand for a reference in a text. `Ok(None)` if there can be no value:
/// at an event without the form, and at a repeat that cannot be. A text never shows what another arm
/// holds.
pub(crate) fn place_of(
    reference: &Reference,
    context: &Context<'_>,
    instrument: &str,
) -> Result<Option<Place>, String> {
    let arm = |event: &str| context.project.event(event).map(|event| event.arm);
    let event = event_of(reference, context, Some(instrument))?;
    let same_arm = event.is_none_or(|event| arm(event) == arm(context.place.event_name()));
    Ok(if same_arm { context.place_of(reference, instrument) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odm::tests::small_project;
    use crate::record::Record;

    fn resolve_at(text: &str, record: &Record, place: &Place) -> (Resolved, Resolved) {
        let project = small_project();
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, record, place, now);
        let (reference, taken) = Reference::read(text).unwrap();
        assert_eq!(taken, text.len(), "{text}");
        (resolve(&reference, &context), resolve_shown(&reference, &context))
    }

    #[test]
    fn every_variable_is_documented_once() {
        let mut names = std::collections::BTreeSet::new();
        let mut topics: Vec<&str> = Vec::new();
        for variable in all() {
            assert!(names.insert(variable.name), "`{}` is there twice", variable.name);
            assert!(
                variable.description.ends_with('.') && variable.description.len() > 10,
                "{}",
                variable.name
            );
            assert!(variable.name.contains('-') && variable.name == variable.name.to_ascii_lowercase());
            assert!(variable.parameters.is_empty() || variable.parameters.starts_with([':', '[']));
            assert_eq!(SmartVariable::named(variable.name).map(|found| found.name), Some(variable.name));
            if topics.last() != Some(&variable.topic) {
                topics.push(variable.topic);
            }
        }
        let mut unique = topics.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(topics.len(), unique.len(), "a topic is torn apart: {topics:?}");
        assert_eq!(names.len(), 90);
    }

    #[test]
    fn every_variable_is_resolved_or_says_why_not() {
        let record = Record::new("1");
        let place = Place::at("baseline_arm_1");
        for variable in all() {
            let (raw, shown) = resolve_at(&format!("[{}]", variable.name), &record, &place);
            assert_eq!(raw, shown, "{}", variable.name);
            let Resolved::Wrong(sentence) = raw else { continue };
            let is_fragment = sentence.starts_with('`') && !sentence.ends_with('.');
            assert!(is_fragment && matches!(variable.meaning, Meaning::NotForMessages(_)), "{sentence}");
        }
    }

    #[test]
    fn conditions_see_times_to_the_second_and_readers_to_the_minute() {
        let place = Place::at("baseline_arm_1");
        let mut record = Record::new("1");
        let at = SurveyTimestamp::Completed("2026-11-23 09:05:30".into());
        record.set_survey_timestamp("entry", Some("baseline_arm_1"), 1, at);
        let text = |text: &str| Resolved::Text(text.into());
        for (reference, raw, shown) in [
            ("[survey-time-completed:entry]", "2026-11-23 09:05:30", "2026-11-23 09:05"),
            ("[survey-time-completed:entry:value]", "2026-11-23 09:05:30", "2026-11-23 09:05:30"),
            ("[survey-date-completed:entry]", "2026-11-23", "2026-11-23"),
            ("[followup_arm_1][survey-time-completed:entry]", "", ""),
        ] {
            assert_eq!(resolve_at(reference, &record, &place), (text(raw), text(shown)), "{reference}");
        }
    }

    #[test]
    fn a_classic_project_has_one_event_and_no_other() {
        let project = Project::classic("x");
        let (record, place) = (Record::new("1"), Place::default());
        let now = "2026-11-23T10:00:00".parse().unwrap();
        let context = Context::new(&project, &record, &place, now);
        let resolved = |text: &str| resolve(&Reference::read(text).unwrap().0, &context);
        let text = |text: &str| Resolved::Text(text.into());
        assert_eq!(resolved("[event-name]"), text("event_1_arm_1"));
        assert_eq!(resolved("[event-label]"), text("Event 1"));
        assert_eq!(resolved("[event-number]"), text("1"));
        assert_eq!(resolved("[arm-number]"), text("1"));
        assert_eq!(resolved("[next-event-name]"), text(""));
    }
}
