//! Trigger: from what REDCap holds to occasions. Whoever found it first, the same reason is one occasion.
//!
//! Three things wake it: somebody saved a form (REDCap's trigger or its log says so), something was imported,
//! and time passed. Invitations, and alerts that go by a condition alone, look at how the record is, and need
//! not know which. Alerts that go by the saving of a form do: an import is none.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use policy::contract::redcap::SurveyState;
use policy::contract::types::{Purpose, Survey};
use redcap::logic::{self, Context};
use redcap::{Place, Record};
use sha2::{Digest, Sha256};

use crate::facts::{civil, survey_state};
use crate::outbox::NewMessage;
use crate::project::{Content, Project};
use crate::schedule::{
    Design, FormSaved, Frozen, FrozenValue, Origin, Per, Schedule, To, Whom, event_or_classic, holds, instant,
};

/// How a record came to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nobody knows what happened to it, or it was only time that passed.
    #[default]
    Looked,
    /// Somebody saved these forms; none named means that any may have been.
    Saved(BTreeSet<String>),
    /// A program wrote to it.
    Imported,
}

impl Seen {
    /// Both happened.
    #[must_use]
    pub fn and(self, other: Seen) -> Seen {
        match (self, other) {
            (Seen::Saved(mut forms), Seen::Saved(more)) => {
                // "Any" and some is any.
                if forms.is_empty() || more.is_empty() {
                    return Seen::Saved(BTreeSet::new());
                }
                forms.extend(more);
                Seen::Saved(forms)
            }
            (Seen::Saved(forms), _) | (_, Seen::Saved(forms)) => Seen::Saved(forms),
            (Seen::Imported, _) | (_, Seen::Imported) => Seen::Imported,
            (Seen::Looked, Seen::Looked) => Seen::Looked,
        }
    }

    fn saved(&self, instrument: &str) -> bool {
        matches!(self, Seen::Saved(forms) if forms.is_empty() || forms.contains(instrument))
    }
}

/// The occasions that a record gives reason for at an instant. `salt` keeps what names a saved form from telling
/// what was saved.
pub fn occasions(
    project: &Project,
    design: &Design,
    record: &Record,
    seen: &Seen,
    salt: &[u8],
    now: u32,
) -> Vec<NewMessage> {
    let at = civil(now, project);
    let finding = Finding { project, design, record, seen, salt, now, at };
    design
        .schedules
        .iter()
        .filter(|schedule| schedule.not_run.is_none())
        .flat_map(|it| finding.of(it))
        .collect()
}

/// When time alone may make the next occasion of a record, if it may: the next midnight for what goes by the day,
/// and ten minutes on for what goes by the clock, which is how often REDCap looks at the most.
pub fn next_look(project: &Project, design: &Design, record: &Record, now: u32) -> Option<u32> {
    let at = civil(now, project);
    let mut next: Option<u32> = None;
    for schedule in design.schedules.iter().filter(|it| it.not_run.is_none() && it.depends_on_time()) {
        let Some((_, condition)) = &schedule.trigger.condition else { continue };
        let soon = now.saturating_add(600);
        let due = if condition.depends_on_the_hour() {
            Some(soon)
        } else {
            at.date().tomorrow().ok().and_then(|day| instant(day.at(0, 0, 0, 0), &project.zone))
        };
        if due.is_none_or(|due| next.is_some_and(|next| next <= due)) {
            continue;
        }
        let may = places(design, schedule, record).into_iter().any(|place| {
            let complete = schedule.survey.as_ref().is_some_and(|(instrument, event)| {
                schedule.repeat.is_none()
                    && survey_state(&design.model, record, instrument, event.as_deref(), place.instance)
                        == SurveyState::Complete
            });
            !complete && logic::may_hold(condition, &Context::new(&design.model, record, &place, at))
        });
        if may {
            next = due;
        }
    }
    next
}

/// Where a schedule's condition is looked at: at its event, or at every event and instance of its form.
fn places(design: &Design, schedule: &Schedule, record: &Record) -> Vec<Place> {
    let model = &design.model;
    if let Some((instrument, event)) = &schedule.survey {
        let complete = |instance: u32| {
            survey_state(model, record, instrument, event.as_deref(), instance) == SurveyState::Complete
        };
        // What repeats itself begins at the first instance that is not answered yet.
        let most = schedule.repeat.as_ref().map_or(1, |repeat| repeat.most.unwrap_or(u32::MAX));
        let instance = (1..most).find(|instance| !complete(*instance)).unwrap_or(most);
        return vec![Place::of(model, event_or_classic(event.as_deref()), instrument, instance)];
    }
    let Some(saved) = &schedule.trigger.saved else {
        let first = model.events.first().map(|event| event.unique_name.clone());
        return vec![Place { event: first, instrument: None, instance: 1 }];
    };
    let events = model.form_events.iter().filter(|mapped| mapped.instrument == saved.instrument);
    let mut places = Vec::new();
    for mapped in events {
        let own = model.repeats(&mapped.event, &saved.instrument).then_some(saved.instrument.as_str());
        let repeats = own.is_some() || model.event_repeats(&mapped.event);
        let last = if repeats { record.last_instance(&mapped.event, own).max(1) } else { 1 };
        places
            .extend((1..=last).map(|instance| Place::of(model, &mapped.event, &saved.instrument, instance)));
    }
    places
}

struct Finding<'a> {
    project: &'a Project,
    design: &'a Design,
    record: &'a Record,
    seen: &'a Seen,
    salt: &'a [u8],
    now: u32,
    at: DateTime,
}

impl Finding<'_> {
    fn of(&self, schedule: &Schedule) -> Vec<NewMessage> {
        let mut found = Vec::new();
        for place in places(self.design, schedule, self.record) {
            let mut repetition = "1".to_owned();
            if let Some(saved) = &schedule.trigger.saved {
                if !self.seen.saved(&saved.instrument) || !self.has_status(saved, &place) {
                    continue;
                }
                if saved.every_time {
                    repetition = self.fingerprint(&saved.instrument, &place);
                }
            }
            if let Some((instrument, event)) = &schedule.survey
                && survey_state(&self.design.model, self.record, instrument, event.as_deref(), place.instance)
                    == SurveyState::Complete
            {
                continue;
            }
            if holds(&schedule.trigger, &self.design.model, self.record, &place, self.at) {
                found.extend(self.messages(schedule, &place, &repetition));
            }
        }
        found
    }

    /// Whether a form was saved in a status that counts.
    fn has_status(&self, saved: &FormSaved, place: &Place) -> bool {
        let status = self.record.get(&format!("{}_complete", saved.instrument), place);
        status.is_some_and(|status| saved.any_status || status == "2")
    }

    /// Tells one state of a form from another, and nothing about it to anybody who has not the salt.
    fn fingerprint(&self, instrument: &str, place: &Place) -> String {
        let mut sha = Sha256::new();
        sha.update(self.salt);
        for (field, value) in self.record.values(place) {
            if self.design.model.field(field).is_some_and(|field| field.instrument == instrument) {
                for part in [field, value] {
                    sha.update(part.len().to_be_bytes());
                    sha.update(part);
                }
            }
        }
        format!("saved-{}", &hex::encode(sha.finalize())[..12])
    }

    fn messages(&self, schedule: &Schedule, place: &Place, repetition: &str) -> Vec<NewMessage> {
        let Some(due) = schedule.timing.due(self.at, self.record, place) else { return vec![] };
        let model = &self.design.model;
        let event = model.longitudinal.then(|| place.event_name().to_owned());
        let base = format!("{}/{}/{}", self.project.name, schedule.id, self.record.id);
        let shown = event.as_deref().unwrap_or("-");
        let repeats = schedule.repeat.is_some() && schedule.survey.is_some();
        // Once for a record is once, wherever the form was saved.
        let mut base = match schedule.once_per {
            Per::Record => base,
            Per::Event => format!("{base}/{shown}"),
            // A repetition has the name that the one before it would give it.
            Per::Instance if repeats && place.instance > 1 => {
                format!("{base}/{shown}/1/repetition-{}", place.instance)
            }
            Per::Instance => format!("{base}/{shown}/{}", place.instance),
        };
        if repetition != "1" {
            base = format!("{base}/{repetition}");
        }
        let survey = schedule.survey.as_ref().and_then(|(instrument, event)| {
            let survey = model.survey(instrument)?;
            let (event, title) = (event.clone(), survey.title.clone());
            Some(Survey { instrument: instrument.clone(), event, instance: place.instance, title })
        });
        let (mut messages, mut recipients) = (Vec::new(), BTreeSet::new());
        for to in &schedule.to {
            let whose = self.named(to);
            // One recipient gets one message, however often the alert names them.
            if !recipients.insert(whose.clone()) {
                continue;
            }
            let origin = Origin {
                schedule: schedule.id.clone(),
                event: event.clone(),
                instrument: schedule.trigger.saved.as_ref().map(|saved| saved.instrument.clone()),
                instance: place.instance,
                repetition: if repeats { place.instance } else { 1 },
                reminder: 0,
                whom: whom(to),
                permission: None,
            };
            let first = self.message(schedule, to, survey.as_ref(), origin, format!("{base}{whose}"), due);
            let reminders = schedule.reminders.as_ref().map_or(0, |(_, count)| *count);
            let mut all = vec![first];
            for n in 1..=reminders {
                all.extend(self.reminder(schedule, &all[0], n, due));
            }
            // Each ends where the next begins, if that is sooner than its time.
            for at in 0..all.len().saturating_sub(1) {
                let next = all[at + 1].due;
                all[at].not_after = all[at].not_after.map(|end| end.min(next.max(all[at].due)));
            }
            messages.extend(all);
        }
        messages
    }

    /// What tells a recipient from the others, whichever place in the list they have: for it is a part of the
    /// occasion's name. An address is not to be read from it.
    fn named(&self, to: &To) -> String {
        let address = match to {
            To::Participant => return String::new(),
            To::Field(name) => return format!("/to-{name}"),
            To::Nobody => return "/to-nobody".into(),
            To::Number(number) => number.expose(),
            To::Mailbox(mailbox) => mailbox.expose(),
        };
        let mut sha = Sha256::new();
        sha.update(self.salt);
        sha.update(address.to_lowercase());
        format!("/to-{}", &hex::encode(sha.finalize())[..12])
    }

    fn message(
        &self,
        schedule: &Schedule,
        to: &To,
        survey: Option<&Survey>,
        origin: Origin,
        occasion: String,
        due: DateTime,
    ) -> NewMessage {
        let due = instant(due, &self.project.zone).unwrap_or(self.now);
        let ends = schedule.ends.and_then(|end| instant(end, &self.project.zone));
        let not_after = due.saturating_add(schedule.not_after).min(ends.unwrap_or(u32::MAX));
        let purpose = if schedule.survey.is_some() { Purpose::Invitation } else { Purpose::Alert };
        let mut new = NewMessage::about(&self.project.name, occasion, purpose, due);
        new.record = Some(self.record.id.clone());
        new.survey = survey.cloned();
        new.wording.clone_from(&schedule.wording);
        new.not_after = Some(not_after);
        match to {
            To::Number(number) => new.number = Some(number.clone()),
            To::Mailbox(mailbox) => new.mailbox = Some(mailbox.clone()),
            To::Participant | To::Field(_) | To::Nobody => {}
        }
        if self.project.takes_over.content == Content::Frozen {
            new.frozen = self.frozen(schedule, &origin);
        }
        new.origin = Some(origin);
        new
    }

    fn reminder(&self, schedule: &Schedule, of: &NewMessage, n: u32, due: DateTime) -> Option<NewMessage> {
        let (timing, _) = schedule.reminders.as_ref()?;
        let due = instant(timing.reminder(due, n)?, &self.project.zone)?;
        let ends = schedule.ends.and_then(|end| instant(end, &self.project.zone));
        let mut new = of.clone();
        new.occasion = format!("{}/reminder-{n}", of.occasion);
        new.purpose = Purpose::Reminder;
        new.due = due;
        new.not_after = Some(due.saturating_add(schedule.not_after).min(ends.unwrap_or(u32::MAX)));
        if let Some(origin) = &mut new.origin {
            origin.reminder = n;
        }
        Some(new)
    }

    /// The text as it is now, with the values that it pipes.
    fn frozen(&self, schedule: &Schedule, origin: &Origin) -> Option<Frozen> {
        let id = schedule.wording.as_ref()?;
        let own = |wording: &&crate::wording::Wording| {
            wording.id.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let wordings: Vec<_> = self.design.wordings.iter().filter(own).collect();
        if wordings.is_empty() {
            return None;
        }
        let instrument =
            schedule.survey.as_ref().map(|(instrument, _)| instrument).or(origin.instrument.as_ref());
        let event = event_or_classic(origin.event.as_deref());
        let place = instrument.map_or_else(
            || Place::at(event),
            |instrument| Place::of(&self.design.model, event, instrument, origin.instance),
        );
        let context = Context::new(&self.design.model, self.record, &place, self.at);
        let mut fields = BTreeSet::new();
        for wording in &wordings {
            // A link is looked up when the message goes out: it stays the same as long as there is the record.
            let piped = redcap::pipe::pipe(&wording.text, &context, &|_| Some(String::new()));
            fields.extend(piped.filled.into_iter().map(|filled| filled.field));
        }
        let mut values = Vec::new();
        for at in self.record.places() {
            for (column, value) in self.record.values(at) {
                let field = column.split_once("___").map_or(column, |(field, _)| field);
                if fields.contains(field) {
                    let Place { event, instrument, instance } = at.clone();
                    let (field, value) = (column.to_owned(), value.to_owned());
                    values.push(FrozenValue { event, instrument, instance, field, value });
                }
            }
        }
        let wordings = wordings.into_iter().map(|it| (it.id.clone(), it.text.clone())).collect();
        Some(Frozen { wordings, values })
    }
}

fn whom(to: &To) -> Whom {
    match to {
        To::Participant => Whom::Participant,
        To::Number(_) | To::Mailbox(_) => Whom::Staff,
        To::Field(_) | To::Nobody => Whom::Other,
    }
}

/// The next message of something that repeats itself, once this one's time has come.
pub(crate) fn next_repetition(
    project: &Project,
    schedule: &Schedule,
    message: &NewMessage,
) -> Option<NewMessage> {
    let (origin, repeat) = (message.origin.as_ref()?, schedule.repeat.as_ref()?);
    if origin.reminder > 0 || repeat.most.is_some_and(|most| origin.repetition >= most) {
        return None;
    }
    let due = civil(message.due, project).checked_add(repeat.every).ok()?;
    if schedule.ends.is_some_and(|end| due > end) {
        return None;
    }
    let due = instant(due, &project.zone)?;
    let mut next = message.clone();
    let repetition = origin.repetition + 1;
    let base =
        message.occasion.rsplit_once("/repetition-").map_or(message.occasion.as_str(), |(base, _)| base);
    next.occasion = format!("{base}/repetition-{repetition}");
    next.due = due;
    next.not_after = Some(due.saturating_add(schedule.not_after));
    next.cause = None;
    // Each repetition of an invitation is to an instance of its own.
    if let Some(survey) = &mut next.survey {
        survey.instance += 1;
    }
    if let Some(origin) = &mut next.origin {
        origin.repetition = repetition;
        if next.survey.is_some() {
            origin.instance += 1;
        }
    }
    Some(next)
}

/// A survey of the project, as an occasion names it; none if the instrument is no survey.
pub fn survey(model: &redcap::Project, instrument: &str, event: Option<&str>) -> Option<Survey> {
    let survey = model.survey(instrument)?;
    let event = match event {
        Some(event) => Some(event.to_owned()),
        None if model.longitudinal => {
            let first = model.form_events.iter().find(|mapped| mapped.instrument == instrument)?;
            Some(first.event.clone())
        }
        None => None,
    };
    Some(Survey { instrument: instrument.into(), event, instance: 1, title: survey.title.clone() })
}
