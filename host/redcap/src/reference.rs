//! What stands in square brackets, in conditions and in message texts alike.
//!
//! `[event][name(code):param:param][instance]`, where only the name is needed. A name with a hyphen
//! is a smart variable, because field names have none.

use std::fmt;
use std::ops::Range;

use crate::project::{Event, Field, Project};
use crate::record::{Place, Record, Spot};

/// A stretch of a text, in bytes.
pub type Span = Range<usize>;

/// One reference, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// A unique event name, or a smart variable for one.
    pub event: Option<String>,
    /// A field in lower case, or a smart variable.
    pub name: String,
    /// A checkbox code, in the case it was written.
    pub code: Option<String>,
    /// What follows colons: `value`, or a form and a link's text.
    pub params: Vec<String>,
    pub instance: Option<Instance>,
}

/// Which repeat is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// Counted from 1.
    Number(u32),
    Current,
    Previous,
    Next,
    First,
    Last,
    /// One that does not exist yet; for links only.
    New,
}

/// What a condition or a text is read against. The clock is the caller's: REDCap's own is the
/// server's local time.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub project: &'a Project,
    pub record: &'a Record,
    /// Where in the record the condition or the message stands.
    pub place: &'a Place,
    /// Server local time. `today` is its date at midnight.
    pub now: jiff::civil::DateTime,
    pub surroundings: &'a Surroundings,
}

/// What conditions and texts may mention although neither project nor record holds it. The caller
/// tells what it knows; the rest is blank, and piping says so.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Who is logged in.
    pub user: Option<User>,
    /// The data access group of the record.
    pub group: Option<Group>,
    /// The form that is filled in, or the survey that a message is about.
    pub instrument: Option<String>,
    /// Whether that form is filled in as a survey.
    pub as_survey: Option<bool>,
    /// The number designated for the participant's text messages.
    pub participant_phone: Option<String>,
    /// REDCap's number for the project.
    pub project_id: Option<String>,
    /// `Development`, `Production` or `Analysis/Cleanup`.
    pub project_status: Option<String>,
    pub server: Option<Server>,
}

impl std::fmt::Debug for Surroundings {
    /// Names and numbers of people are nobody's log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("instrument", &self.instrument).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Everything that a caller can tell, with nothing in it: what is still not told then, nobody can
    /// tell, and only the project is to blame for what is wrong.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            user: Some(User {
                group: Some(Group::default()),
                role: Some(Group::default()),
                ..User::default()
            }),
            group: Some(Group::default()),
            instrument: None,
            as_survey: Some(true),
            participant_phone: Some(String::new()),
            project_id: Some(String::new()),
            project_status: Some("Production".to_owned()),
            server: Some(Server::default()),
        }
    }
}

/// Someone with an account.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub full_name: String,
    pub email: String,
    pub group: Option<Group>,
    pub role: Option<Group>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

/// A data access group, or a user role: both have a number, a unique name and a label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub label: String,
}

/// The REDCap installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// As in `https://redcap.example.org/redcap/`.
    pub base_url: String,
    pub survey_base_url: String,
    pub version: String,
}

/// Nothing but the project and the record is known.
static UNKNOWN: Surroundings = Surroundings {
    user: None,
    group: None,
    instrument: None,
    as_survey: None,
    participant_phone: None,
    project_id: None,
    project_status: None,
    server: None,
};

impl Reference {
    /// Reads the reference at the start of a text, and says how many bytes it takes.
    /// Brackets around anything else are no reference.
    #[must_use]
    pub fn read(text: &str) -> Option<(Self, usize)> {
        let (first, mut taken) = Bracket::read(text)?;
        // Names of fields begin with a letter, so `[1]` is a footnote; those of events need not.
        if !first.name.starts_with(|c: char| c.is_ascii_alphabetic()) && !first.is_event() {
            return None;
        }
        let second = Bracket::read(&text[taken..]);
        let Some((second, second_len)) = second else {
            return Some((first.into_reference(None, None), taken));
        };
        if let Some(instance) = second.instance() {
            return Some((first.into_reference(None, Some(instance)), taken + second_len));
        }
        if !first.is_event() {
            return Some((first.into_reference(None, None), taken));
        }
        taken += second_len;
        let third = Bracket::read(&text[taken..]).and_then(|(third, len)| Some((third.instance()?, len)));
        taken += third.map_or(0, |(_, len)| len);
        Some((second.into_reference(Some(first.name.to_owned()), third.map(|(instance, _)| instance)), taken))
    }

    /// Whether a smart variable is meant.
    #[must_use]
    pub fn is_smart(&self) -> bool {
        self.name.contains('-')
    }

    /// Whether this is the name of an event that stands alone.
    #[must_use]
    pub fn names_an_event(&self) -> bool {
        self.event.is_none()
            && self.code.is_none()
            && self.params.is_empty()
            && self.instance.is_none()
            && is_event_name(&self.name)
    }

    /// Whether a word follows one of the colons.
    #[must_use]
    pub fn has_param(&self, param: &str) -> bool {
        self.params.iter().any(|given| given.eq_ignore_ascii_case(param))
    }
}

impl fmt::Display for Reference {
    /// As it is written in a condition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = &self.event {
            write!(f, "[{event}]")?;
        }
        write!(f, "[{}", self.name)?;
        if let Some(code) = &self.code {
            write!(f, "({code})")?;
        }
        for param in &self.params {
            write!(f, ":{param}")?;
        }
        f.write_str("]")?;
        match self.instance {
            None => Ok(()),
            Some(instance) => write!(f, "[{instance}]"),
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Current => f.write_str("current-instance"),
            Self::Previous => f.write_str("previous-instance"),
            Self::Next => f.write_str("next-instance"),
            Self::First => f.write_str("first-instance"),
            Self::Last => f.write_str("last-instance"),
            Self::New => f.write_str("new-instance"),
        }
    }
}

/// Which event of an arm is meant, seen from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventStep {
    This,
    Previous,
    Next,
    First,
    Last,
}

impl EventStep {
    /// The step a word before a field stands for.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "event-name" => Self::This,
            "previous-event-name" => Self::Previous,
            "next-event-name" => Self::Next,
            "first-event-name" => Self::First,
            "last-event-name" => Self::Last,
            _ => return None,
        })
    }
}

impl Project {
    /// The event at a step from another one of its arm, passing over those at which an instrument is
    /// not filled in.
    pub(crate) fn step(&self, here: &str, step: EventStep, instrument: Option<&str>) -> Option<&Event> {
        let at = self.events.iter().position(|event| event.unique_name == here)?;
        let arm = self.events[at].arm;
        let fits = |event: &&Event| {
            event.arm == arm
                && instrument.is_none_or(|instrument| self.is_designated(&event.unique_name, instrument))
        };
        match step {
            EventStep::This => self.events.get(at),
            EventStep::First => self.events.iter().find(fits),
            EventStep::Last => self.events.iter().rfind(fits),
            EventStep::Previous => self.events[..at].iter().rfind(fits),
            EventStep::Next => self.events[at + 1..].iter().find(fits),
        }
    }

    /// Whether an instrument is filled in at an event. Where nothing says which are, all are.
    pub(crate) fn is_designated(&self, event: &str, instrument: &str) -> bool {
        !self.longitudinal
            || self.form_events.is_empty()
            || self.form_events.iter().any(|pair| pair.event == event && pair.instrument == instrument)
    }
}

struct Bracket<'a> {
    name: &'a str,
    code: Option<&'a str>,
    params: Vec<&'a str>,
}

impl<'a> Bracket<'a> {
    fn read(text: &'a str) -> Option<(Self, usize)> {
        let inner = text.strip_prefix('[')?;
        let end = inner.find([']', '[', '\n'])?;
        if inner.as_bytes()[end] != b']' {
            return None;
        }
        let taken = end + 2;
        let inner = inner[..end].trim();
        let (head, params) = match inner.split_once(':') {
            Some((head, params)) => (head, params.split(':').map(str::trim).collect()),
            None => (inner, Vec::new()),
        };
        let (name, code) = match head.split_once('(') {
            Some((name, code)) => (name, Some(code.strip_suffix(')')?.trim())),
            None => (head, None),
        };
        let name = name.trim();
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && name.bytes().any(|b| b.is_ascii_alphanumeric());
        is_name.then_some((Self { name, code, params }, taken))
    }

    fn instance(&self) -> Option<Instance> {
        if self.code.is_some() || !self.params.is_empty() {
            return None;
        }
        Some(match self.name.to_ascii_lowercase().as_str() {
            "current-instance" => Instance::Current,
            "previous-instance" => Instance::Previous,
            "next-instance" => Instance::Next,
            "first-instance" => Instance::First,
            "last-instance" => Instance::Last,
            "new-instance" => Instance::New,
            number => Instance::Number(number.parse().ok().filter(|&n| n > 0)?),
        })
    }

    fn is_event(&self) -> bool {
        self.code.is_none() && self.params.is_empty() && is_event_name(self.name)
    }

    fn into_reference(self, event: Option<String>, instance: Option<Instance>) -> Reference {
        Reference {
            event,
            name: self.name.to_ascii_lowercase(),
            code: self.code.map(str::to_owned),
            params: self.params.into_iter().map(str::to_owned).collect(),
            instance,
        }
    }
}

/// Unique event names always say their arm, so `[first][last]` is two fields in a row.
fn is_event_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    EventStep::of(&name).is_some()
        || name.rsplit_once("_arm_").is_some_and(|(_, arm)| arm.starts_with(|c: char| c.is_ascii_digit()))
}

impl<'a> Context<'a> {
    /// Nothing but the project and the record is known.
    #[must_use]
    pub fn new(
        project: &'a Project,
        record: &'a Record,
        place: &'a Place,
        now: jiff::civil::DateTime,
    ) -> Self {
        Self { project, record, place, now, surroundings: &UNKNOWN }
    }

    /// Where a reference to a field of an instrument leads; none if there is no such event or
    /// instance, and the value therefore blank.
    #[must_use]
    pub fn place_of(&self, reference: &Reference, instrument: &str) -> Option<Place> {
        self.spot_of(reference, instrument).map(Spot::to_place)
    }

    pub(crate) fn spot_of<'b>(&self, reference: &Reference, instrument: &'b str) -> Option<Spot<'b>>
    where
        'a: 'b,
    {
        let event = self.event_with(reference, Some(instrument))?;
        if reference.event.is_some() && !self.project.is_designated(event, instrument) {
            return None;
        }
        let repeats = self.project.repeats(event, instrument);
        let spot = Spot { event, instrument: repeats.then_some(instrument), instance: 1 };
        if !repeats && !self.project.event_repeats(event) {
            // `[field][1]` outside repeats is the field itself; every other instance is missing.
            return matches!(
                reference.instance,
                None | Some(Instance::Number(1) | Instance::Current | Instance::First | Instance::Last)
            )
            .then_some(spot);
        }
        let last = || self.record.last_instance(event, spot.instrument);
        let here = self.place.spot();
        // `[current-instance]` and its neighbours count from the repeat at hand, whatever repeats there.
        let current = here.instance;
        let instance = match reference.instance {
            None if (here.event, here.instrument) == (event, spot.instrument) => current,
            // From outside the repeats, a field that is named without an instance is the first one.
            None => 1,
            Some(Instance::Current) => current,
            Some(Instance::Number(number)) => number,
            Some(Instance::Previous) => current.checked_sub(1).filter(|&n| n > 0)?,
            Some(Instance::Next) => current.checked_add(1)?,
            Some(Instance::First) => self.record.first_instance(event, spot.instrument),
            Some(Instance::Last) => last(),
            Some(Instance::New) => last().checked_add(1)?,
        };
        Some(Spot { instance, ..spot })
    }

    /// The unique name of the event a reference means.
    #[must_use]
    pub fn event_of(&self, reference: &Reference) -> Option<&'a str> {
        self.event_with(reference, None)
    }

    /// As [`Self::event_of`]. Before a field, `[previous-event-name]` and its kin pass over the events
    /// at which the field's instrument is not filled in.
    pub(crate) fn event_with(&self, reference: &Reference, instrument: Option<&str>) -> Option<&'a str> {
        let here = self.place.event_name();
        let Some(named) = reference.event.as_deref() else { return Some(here) };
        if let Some(event) = self.project.event(named) {
            return Some(&event.unique_name);
        }
        let named = named.to_ascii_lowercase();
        match EventStep::of(&named) {
            Some(step) => self.project.step(here, step, instrument),
            None => {
                let mut events = self.project.events.iter();
                events.find(|event| event.unique_name.eq_ignore_ascii_case(&named))
            }
        }
        .map(|event| event.unique_name.as_str())
    }

    /// The raw value a reference to a field leads to, never a label; none if blank.
    #[must_use]
    pub fn raw(&self, reference: &Reference) -> Option<&'a str> {
        if reference.name.eq_ignore_ascii_case(&self.project.record_id_field) {
            return Some(self.record.id.as_str()).filter(|id| !id.is_empty());
        }
        let field = self.project.field(&reference.name);
        let instrument = match field {
            Some(field) => &field.instrument,
            None => &self.project.status_of(&reference.name)?.name,
        };
        let spot = self.spot_of(reference, instrument)?;
        match &reference.code {
            Some(code) => self.record.at(spot, &crate::record::checkbox_column(&reference.name, code)),
            None => self.record.at(spot, &reference.name),
        }
    }

    /// The field a reference names.
    #[must_use]
    pub fn field(&self, reference: &Reference) -> Option<&'a Field> {
        self.project.field(&reference.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<String>, String, Option<Instance>, usize) {
        let (reference, taken) = Reference::read(text).unwrap();
        (reference.event, reference.name, reference.instance, taken)
    }

    #[test]
    fn events_fields_and_instances_are_told_apart() {
        assert_eq!(read("[Age] x"), (None, "age".into(), None, 5));
        assert_eq!(read("[age][2]"), (None, "age".into(), Some(Instance::Number(2)), 8));
        assert_eq!(read("[baseline_arm_1][age]"), (Some("baseline_arm_1".into()), "age".into(), None, 21));
        assert_eq!(
            read("[event-name][age][last-instance]"),
            (Some("event-name".into()), "age".into(), Some(Instance::Last), 32)
        );
        assert_eq!(read("[first][last]"), (None, "first".into(), None, 7));
        assert_eq!(read("[1_week_arm_1][age]"), (Some("1_week_arm_1".into()), "age".into(), None, 19));
        assert_eq!(read("[cy_arm_1b][age]"), (Some("cy_arm_1b".into()), "age".into(), None, 16));
    }

    #[test]
    fn codes_and_params_are_read_and_prose_is_not() {
        let (reference, _) = Reference::read("[x(N02BA):value]").unwrap();
        assert_eq!(reference.code.as_deref(), Some("N02BA"));
        assert!(reference.has_param("value"));
        for prose in ["[see below]", "[", "[]", "[a", "[a\n]", "[--]", "[ä]", "[1]"] {
            assert!(Reference::read(prose).is_none(), "{prose}");
        }
    }
}
