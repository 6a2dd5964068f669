//! What a study team designed in REDCap's own pages, made ready to be run: automated survey invitations,
//! alerts, and the rules of the project's file. They are read from the project XML again and again; one that
//! cannot be run as it is written is not run at all, and says why.

mod queue;
mod still;
mod when;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::DateTime;
use policy::contract::types::{DeliveryMethod, Purpose};
use policy::contract::wordings::Part;
use redcap::html::{html_to_speech, html_to_text};
use redcap::logic::{self, Expression};
use redcap::project::{Alert, AutomatedInvitation, CLASSIC_EVENT, Condition, Joined, When};
use serde::{Deserialize, Serialize};
use twilio::PhoneNumber;

use crate::mail::Mailbox;
use crate::outbox::NewMessage;
use crate::project::{InvitationRule, Project};
use crate::vocabulary::redcap_code;
use crate::wording::Wording;

pub use queue::{Queued, Standing, queue};
pub(crate) use still::{holds, still_wanted};
pub(crate) use when::moment;
pub use when::{Day, Timing, instant};

/// For how long after it was due a message may still go out, if nothing else ends it sooner.
pub const NOT_AFTER: u32 = 86_400;

/// A project as it is designed in REDCap, ready to be run.
#[derive(Debug, Default)]
pub struct Design {
    /// REDCap's model.
    pub model: Arc<redcap::Project>,
    /// What is sent by itself.
    pub schedules: Vec<Schedule>,
    /// The texts of invitations and alerts, as wordings.
    pub wordings: Vec<Wording>,
    /// Records to which REDCap itself will still send an invitation, by the schedule that would send one too.
    pub queued: BTreeMap<String, BTreeSet<String>>,
}

/// Something that is sent by itself: an invitation to a survey, or an alert.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Names it for ever, in the identity of every occasion that it makes: "asi/diary", "alert/late-diary".
    pub id: String,
    /// For people.
    pub title: String,
    /// What makes it.
    pub trigger: Trigger,
    /// When its message is due after that.
    pub timing: Timing,
    /// Whether the condition must still hold when the message goes out.
    pub ensure: bool,
    /// When its reminders are due, and how many there are.
    pub reminders: Option<(Timing, u32)>,
    /// How it repeats itself.
    pub repeat: Option<Repeat>,
    /// The survey that it invites to, and its event.
    pub survey: Option<(String, Option<String>)>,
    /// How often it may come.
    pub once_per: Per,
    /// After this moment on the server's clock nothing of it is sent.
    pub ends: Option<DateTime>,
    /// How it goes.
    pub by: By,
    /// To whom.
    pub to: Vec<To>,
    /// Its wording; none when the template policy chooses.
    pub wording: Option<String>,
    /// Whether identifier fields are blanked in its words.
    pub blanks_identifiers: bool,
    /// Seconds after it is due after which it is not sent any more.
    pub not_after: u32,
    /// Why it is not run, with what to do about it.
    pub not_run: Option<String>,
    /// Whether it is active in REDCap, which then sends it too.
    pub active_in_redcap: bool,
}

/// What makes a message.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    /// A form must have been saved by somebody; an import is none.
    pub saved: Option<FormSaved>,
    /// A survey must be complete: its instrument and event.
    pub completed: Option<(String, Option<String>)>,
    /// Whether the condition alone, or the survey alone, will do.
    pub either: bool,
    /// The condition, and how it is written.
    pub condition: Option<(String, Expression)>,
}

/// The saving of a form.
#[derive(Clone, Debug)]
pub struct FormSaved {
    /// The instrument.
    pub instrument: String,
    /// Whether in any status, and not only as complete.
    pub any_status: bool,
    /// Whether each save makes a message of its own, if it changed something.
    pub every_time: bool,
}

/// How something repeats itself.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// How long after one the next is due.
    pub every: Span,
    /// How many there are in all; none for no end.
    pub most: Option<u32>,
}

/// How often something may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Once for a record.
    Record,
    /// Once for an event of a record.
    Event,
    /// Once for a repeat instance.
    Instance,
}

/// How a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// As the participant prefers.
    Preference,
    /// In this way.
    Method(DeliveryMethod),
}

/// To whom a message goes, as it is written in REDCap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The participant of the record.
    Participant,
    /// Whoever a field of the record names, who is not the participant.
    Field(String),
    /// A number that is written out: a member of staff.
    Number(PhoneNumber),
    /// A mailbox that is written out: a member of staff.
    Mailbox(Mailbox),
    /// Words that are no number and no mailbox. They are not kept: nobody knows what they are.
    Nobody,
}

/// Where an occasion comes from: a schedule, and which of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Origin {
    /// The schedule's id.
    pub schedule: String,
    /// The event that it is about; none in a classic project.
    pub event: Option<String>,
    /// The instrument whose saving made it, if one did.
    pub instrument: Option<String>,
    /// The repeat instance, 1 where nothing repeats.
    pub instance: u32,
    /// 1 for the first, 2 for its first repetition.
    pub repetition: u32,
    /// 0 for the message itself, 1 for its first reminder.
    pub reminder: u32,
    /// Whom it is for.
    pub whom: Whom,
    /// For a number of a list: the permission to text it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
}

/// The permission to text a number of which there is no record yet, as the list of the study team documents it.
/// It is kept without the number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Permission {
    /// From when on, in seconds.
    pub given: u32,
    /// "written", "verbal-documented" or "electronic".
    pub manner: String,
    /// Who documented it.
    pub documented_by: String,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// The participant of the record.
    Participant,
    /// A member of staff.
    Staff,
    /// A number of a public-survey list.
    List,
    /// Somebody whom a field of the record names, and whom nobody vouches for.
    Other,
}

/// A text as it was when its message was scheduled, with the values that it pipes: what REDCap sends even if
/// both have changed since.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The wordings that belong to it: id and template.
    pub wordings: Vec<(String, String)>,
    /// What the fields held that they pipe.
    pub values: Vec<FrozenValue>,
}

/// What a field held.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenValue {
    /// Its event.
    pub event: Option<String>,
    /// Its instrument, where that repeats.
    pub instrument: Option<String>,
    /// Its repeat instance.
    pub instance: u32,
    /// The field's column.
    pub field: String,
    /// The value.
    pub value: String,
}

impl std::fmt::Debug for FrozenValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrozenValue").field("field", &self.field).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Frozen {
    /// It holds a participant's values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frozen").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl Design {
    /// What REDCap designed, as this project takes it over.
    pub fn of(project: &Project, model: redcap::Project) -> Design {
        let model = Arc::new(model);
        let mut schedules: Vec<_> = project.invitations.iter().map(|rule| of_rule(rule, &model)).collect();
        let mut wordings = Vec::new();
        for invitation in &model.invitations {
            let named = named(&model, &invitation.instrument, &invitation.event);
            if project.takes_over.invitations.includes(&[&named]) {
                schedules.push(of_invitation(project, &model, invitation, &named));
                let id = format!("asi/{named}");
                let purposes = vec![Purpose::Invitation, Purpose::Reminder];
                wordings.extend(words(project, &id, &purposes, &invitation.subject, &invitation.content));
            }
        }
        let names = names(&model.alerts);
        for (alert, name) in model.alerts.iter().zip(&names) {
            let number = format!("#{}", alert.number);
            if project.takes_over.alerts.includes(&[&alert.title, &number, name]) {
                schedules.push(of_alert(project, &model, alert, name));
                let id = format!("alert/{name}");
                wordings.extend(words(project, &id, &[Purpose::Alert], &alert.subject, &alert.message));
            }
        }
        Design { model, schedules, wordings, queued: BTreeMap::new() }
    }

    /// Whether REDCap itself will still send an invitation to a message's record, in place of this one.
    pub(crate) fn is_queued(&self, new: &NewMessage) -> bool {
        let queued = new.origin.as_ref().and_then(|origin| self.queued.get(&origin.schedule));
        queued.zip(new.record.as_ref()).is_some_and(|(queued, record)| queued.contains(record))
    }

    /// The schedule with an id.
    pub fn schedule(&self, id: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.id == id)
    }

    /// What of the project's file takes over something that REDCap does not have: it would do nothing, for
    /// ever, without a word.
    pub fn not_there(project: &Project, model: &redcap::Project) -> Vec<String> {
        let alerts = names(&model.alerts);
        let is_alert = |wanted: &String| {
            model.alerts.iter().zip(&alerts).any(|(alert, name)| {
                *wanted == alert.title || *wanted == format!("#{}", alert.number) || wanted == name
            })
        };
        let is_invitation = |wanted: &String| {
            model.invitations.iter().any(|it| *wanted == named(model, &it.instrument, &it.event))
        };
        let invitations = project.takes_over.invitations.named().filter(|wanted| !is_invitation(wanted));
        let invitations = invitations.map(|wanted| {
            format!("the project takes over the invitation `{wanted}`, which REDCap does not have")
        });
        let alerts = project.takes_over.alerts.named().filter(|wanted| !is_alert(wanted));
        let alerts = alerts
            .map(|wanted| format!("the project takes over the alert `{wanted}`, which REDCap does not have"));
        invitations.chain(alerts).collect()
    }
}

impl Schedule {
    /// The wording for a method. REDCap has one text; a call and an e-mail are made of it in their own way, and
    /// a survey that begins on the phone has words of the institution's.
    pub fn wording_for(&self, method: DeliveryMethod) -> Option<String> {
        let id = self.wording.as_ref()?;
        if self.id.starts_with("invitation/") {
            return Some(id.clone());
        }
        match method {
            DeliveryMethod::SmsLink | DeliveryMethod::SmsText => Some(id.clone()),
            DeliveryMethod::Email => Some(format!("{id}{BY_EMAIL}")),
            DeliveryMethod::VoiceMessage => Some(format!("{id}{SPOKEN}")),
            DeliveryMethod::SmsConversation
            | DeliveryMethod::VoiceCall
            | DeliveryMethod::SmsToMakeCall
            | DeliveryMethod::SmsToReceiveCall => None,
        }
    }

    /// The way that the study team chose, if it did not leave it to the participant.
    pub fn method(&self) -> Option<DeliveryMethod> {
        match self.by {
            By::Method(method) => Some(method),
            By::Preference => None,
        }
    }

    /// The way of an alert, which is not chosen among others.
    pub fn by_alert(&self) -> Option<DeliveryMethod> {
        self.method().filter(|_| self.survey.is_none())
    }

    /// The wording of the subject of an e-mail.
    pub fn subject(&self) -> Option<String> {
        self.wording.as_ref().map(|id| format!("{id}{SUBJECT}"))
    }

    /// Whether it makes a message by the passing of time alone.
    pub fn depends_on_time(&self) -> bool {
        self.trigger.saved.is_none()
            && self.trigger.condition.as_ref().is_some_and(|(_, condition)| condition.depends_on_time())
    }
}

const BY_EMAIL: &str = "/email";
const SPOKEN: &str = "/voice";
const SUBJECT: &str = "/subject";

/// A survey as the project's file names it: by its event too where there are events.
fn named(model: &redcap::Project, instrument: &str, event: &str) -> String {
    if model.longitudinal { format!("{instrument}@{event}") } else { instrument.to_owned() }
}

/// What names each alert for ever: its title, for its number changes when alerts are moved. Where titles are
/// missing or the same, the number must do; no title has a `#` in its name.
fn names(alerts: &[Alert]) -> Vec<String> {
    let slugs: Vec<String> = alerts.iter().map(|alert| slug(&alert.title)).collect();
    let mut counts: BTreeMap<&String, u32> = BTreeMap::new();
    for slug in &slugs {
        *counts.entry(slug).or_default() += 1;
    }
    let unique = |slug: &String| !slug.is_empty() && counts[slug] == 1;
    let name = |(alert, slug): (&Alert, &String)| {
        if unique(slug) {
            return slug.clone();
        }
        format!("{slug}#{}", alert.number)
    };
    alerts.iter().zip(&slugs).map(name).collect()
}

/// Letters, digits and underscores as they are, in lower case, and one hyphen for what is between them.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.to_lowercase().chars() {
        if character.is_alphanumeric() || character == '_' {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A text of REDCap's, in each form in which it may go out. All of them are of the project's language.
fn words(project: &Project, id: &str, purposes: &[Purpose], subject: &str, html: &str) -> Vec<Wording> {
    let one = |suffix: &str, methods: Vec<DeliveryMethod>, text: String| {
        let id = format!("{id}{suffix}");
        let digest = crate::wording::digest(&project.language, &text);
        Wording {
            id,
            language: project.language.clone(),
            part: Part::Whole,
            purposes: purposes.to_vec(),
            methods,
            text,
            approval: project.approvals.get(&digest).cloned(),
        }
    };
    vec![
        one("", vec![DeliveryMethod::SmsLink, DeliveryMethod::SmsText], html_to_text(html)),
        one(BY_EMAIL, vec![DeliveryMethod::Email], html.to_owned()),
        one(SPOKEN, vec![DeliveryMethod::VoiceMessage], html_to_speech(html)),
        one(SUBJECT, vec![DeliveryMethod::Email], html_to_text(subject)),
    ]
}

fn of_rule(rule: &InvitationRule, model: &redcap::Project) -> Schedule {
    let mut not_run = None;
    let survey = crate::trigger::survey(model, &rule.survey, rule.event.as_deref());
    if survey.is_none() {
        not_run = Some(format!("`{}` is not a survey of the project", rule.survey));
    }
    Schedule {
        id: format!("invitation/{}", rule.id),
        title: rule.id.clone(),
        trigger: Trigger { condition: condition(&rule.when, &mut not_run), ..Trigger::default() },
        timing: Timing::Now,
        ensure: false,
        reminders: None,
        repeat: None,
        survey: survey.map(|survey| (survey.instrument, survey.event)),
        once_per: Per::Instance,
        ends: None,
        by: By::Preference,
        to: vec![To::Participant],
        wording: rule.wording.clone(),
        blanks_identifiers: false,
        not_after: rule.not_after,
        not_run,
        active_in_redcap: false,
    }
}

fn of_invitation(
    project: &Project,
    model: &redcap::Project,
    invitation: &AutomatedInvitation,
    named: &str,
) -> Schedule {
    let mut not_run = None;
    let setting =
        |key: &str| invitation.settings.get(key).map(|value| value.trim()).filter(|v| !v.is_empty());
    let anchor = setting("condition_send_time_lag_field")
        .map(|field| (field, setting("condition_send_time_lag_field_after") != Some("before")));
    let timing = or_told(Timing::read(&invitation.send, anchor), &mut not_run, Timing::Now);
    let reminders = invitation.reminder.as_ref().filter(|_| invitation.reminders > 0).map(|when| {
        (or_told(Timing::read(when, None), &mut not_run, Timing::Now), invitation.reminders.min(5))
    });
    let trigger = trigger(&invitation.condition, model, &mut not_run);
    if trigger.completed.is_none() && trigger.condition.is_none() {
        not_run = not_run.or_else(|| Some("it has no condition, so REDCap would never send it".into()));
    }
    let survey = model.survey(&invitation.instrument);
    let ends = survey.and_then(|survey| survey.expiration.as_deref()).filter(|end| !end.is_empty());
    if ends.is_some_and(|end| moment(end).is_none()) {
        not_run = Some("the moment at which its survey expires cannot be read".into());
    }
    if survey.is_none() {
        not_run = Some(format!("`{}` is not a survey of the project", invitation.instrument));
    }
    let by = match invitation.delivery_type.as_str() {
        "PARTICIPANT_PREF" => By::Preference,
        code => redcap_code(code).map_or_else(
            || {
                not_run = Some(format!("`{code}` is no delivery method that is known"));
                By::Preference
            },
            By::Method,
        ),
    };
    let event = (model.longitudinal && !invitation.event.is_empty()).then(|| invitation.event.clone());
    let repeat = repeat(
        setting("num_recurrence"),
        setting("units_recurrence"),
        setting("max_recurrence"),
        &mut not_run,
    );
    Schedule {
        id: format!("asi/{named}"),
        title: survey.map_or_else(|| invitation.instrument.clone(), |survey| survey.title.clone()),
        trigger,
        timing,
        ensure: invitation.reeval_before_send,
        reminders,
        repeat,
        survey: Some((invitation.instrument.clone(), event)),
        once_per: Per::Instance,
        ends: survey.and_then(|survey| survey.expiration.as_deref()).and_then(moment),
        by,
        to: vec![To::Participant],
        wording: Some(format!("asi/{named}")),
        blanks_identifiers: false,
        not_after: project.takes_over.not_after,
        not_run,
        active_in_redcap: invitation.active,
    }
}

fn of_alert(project: &Project, model: &redcap::Project, alert: &Alert, name: &str) -> Schedule {
    let mut not_run = None;
    let setting = |key: &str| alert.settings.get(key).map(|value| value.trim()).filter(|v| !v.is_empty());
    let number = |key: &str| setting(key).and_then(|value| value.parse().ok()).unwrap_or(0);
    let is_set = |key: &str| setting(key) == Some("1");
    let text = |key: &str| setting(key).unwrap_or_default().to_owned();
    let when = match alert.send_on.as_str() {
        "now" | "" => When::Immediately,
        "time_lag" => When::Lag {
            days: number("cron_send_email_on_time_lag_days"),
            hours: number("cron_send_email_on_time_lag_hours"),
            minutes: number("cron_send_email_on_time_lag_minutes"),
        },
        "next_occurrence" => When::NextOccurrence {
            day: text("cron_send_email_on_next_day_type"),
            time: text("cron_send_email_on_next_time"),
        },
        "date" => When::At(text("cron_send_email_on_date")),
        other => When::Unknown(other.to_owned()),
    };
    for key in ["days", "hours", "minutes"].map(|unit| format!("cron_send_email_on_time_lag_{unit}")) {
        if setting(&key).is_some_and(|value| value.parse::<u32>().is_err()) {
            not_run = Some(format!("`{key}` is no number"));
        }
    }
    if setting("alert_expiration").is_some_and(|value| moment(value).is_none()) {
        not_run = Some("the moment at which it expires cannot be read".into());
    }
    let anchor = setting("cron_send_email_on_field")
        .map(|field| (field, setting("cron_send_email_on_field_after") != Some("before")));
    let timing = or_told(Timing::read(&when, anchor), &mut not_run, Timing::Now);
    let condition = alert.condition.as_ref().and_then(|text| condition(text, &mut not_run));
    let saved = alert.instrument.as_ref().map(|instrument| FormSaved {
        instrument: instrument.clone(),
        any_status: alert.any_status,
        every_time: is_set("email_repetitive") || is_set("email_repetitive_change"),
    });
    if saved.is_none() && condition.is_none() {
        not_run = not_run.or_else(|| Some("it has neither a form nor a condition".into()));
    }
    let (by, to) = match alert.kind.as_str() {
        "SMS" => (DeliveryMethod::SmsText, phones(project, &alert.phone_number_to)),
        "VOICE" | "VOICE_CALL" => (DeliveryMethod::VoiceMessage, phones(project, &alert.phone_number_to)),
        "EMAIL" => {
            let all = [alert.email_to.as_str(), setting("email_cc").unwrap_or_default(), {
                setting("email_bcc").unwrap_or_default()
            }];
            (DeliveryMethod::Email, mailboxes(project, model, &all.join(";")))
        }
        other => {
            not_run = Some(format!("`{other}` is no kind of alert that is known"));
            (DeliveryMethod::SmsText, vec![])
        }
    };
    if to.is_empty() {
        not_run = not_run.or_else(|| Some("it goes to nobody".into()));
    }
    let once_per = match setting("alert_stop_type") {
        Some(stop) if stop.contains("INSTANCE") => Per::Instance,
        Some(stop) if stop.contains("EVENT") => Per::Event,
        _ => Per::Record,
    };
    let repeat = repeat(
        setting("cron_repeat_for"),
        setting("cron_repeat_for_units"),
        setting("cron_repeat_for_max"),
        &mut not_run,
    );
    Schedule {
        id: format!("alert/{name}"),
        title: if alert.title.is_empty() { format!("#{}", alert.number) } else { alert.title.clone() },
        trigger: Trigger { saved, condition, ..Trigger::default() },
        timing,
        ensure: alert.ensure_logic_still_true,
        reminders: None,
        repeat,
        survey: None,
        once_per,
        ends: setting("alert_expiration").and_then(moment),
        by: By::Method(by),
        to,
        wording: Some(format!("alert/{name}")),
        blanks_identifiers: alert.prevent_piping_identifiers,
        not_after: project.takes_over.not_after,
        not_run,
        active_in_redcap: alert.active,
    }
}

fn or_told<T>(read: Result<T, String>, not_run: &mut Option<String>, otherwise: T) -> T {
    read.unwrap_or_else(|why| {
        *not_run = Some(why);
        otherwise
    })
}

fn condition(text: &str, not_run: &mut Option<String>) -> Option<(String, Expression)> {
    match logic::parse(text) {
        Ok(condition) => Some((text.to_owned(), condition)),
        Err(mistakes) => {
            let first = mistakes.into_iter().next();
            let why = first.map_or_else(String::new, |mistake| format!(": {}", mistake.sentence));
            *not_run = Some(format!("its condition cannot be read{why}"));
            None
        }
    }
}

fn trigger(wanted: &Condition, model: &redcap::Project, not_run: &mut Option<String>) -> Trigger {
    let completed = wanted.survey.as_ref().filter(|survey| !survey.is_empty()).map(|survey| {
        if model.survey(survey).is_none() {
            *not_run = Some(format!("it waits for the survey `{survey}`, which the project has not"));
        }
        let event = wanted.event.clone().filter(|_| model.longitudinal);
        (survey.clone(), event)
    });
    let logic = wanted.logic.as_ref().filter(|text| !text.trim().is_empty());
    let condition = logic.and_then(|text| condition(text, not_run));
    Trigger { saved: None, completed, either: wanted.joined == Joined::Or, condition }
}

/// REDCap's words for a repetition: every so many units, so many times in all.
fn repeat(
    every: Option<&str>,
    unit: Option<&str>,
    most: Option<&str>,
    not_run: &mut Option<String>,
) -> Option<Repeat> {
    let every: f64 = every?.parse().unwrap_or_else(|_| {
        *not_run = Some("how often it repeats itself is no number".into());
        0.0
    });
    if every <= 0.0 {
        return None;
    }
    let minutes = match unit.unwrap_or("DAYS") {
        "DAYS" => every * 1440.0,
        "HOURS" => every * 60.0,
        "MINUTES" => every,
        other => {
            *not_run = Some(format!("`{other}` is no unit of time that is known"));
            return None;
        }
    };
    // Whole days keep the time of day; a part of one is counted in minutes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating")]
    let minutes = minutes.round() as u32;
    let span = if minutes.is_multiple_of(1440) {
        when::lag(minutes / 1440, 0, 0)
    } else {
        when::lag(0, 0, minutes.max(1))
    };
    let every = or_told(span, not_run, Span::new().days(1));
    Some(Repeat { every, most: most.and_then(|most| most.parse().ok()).filter(|most| *most > 0) })
}

/// To whom an alert by phone goes.
fn phones(project: &Project, written: &str) -> Vec<To> {
    let one = |word: &str| {
        if let Some(name) = reference(word) {
            let designated = project.fields.phone.as_deref();
            let own = name == "survey-participant-phone" || Some(name.as_str()) == designated;
            return if own { To::Participant } else { To::Field(name) };
        }
        // REDCap's users write numbers as Twilio wants them, and often without the plus.
        let international =
            PhoneNumber::parse(&format!("+{}", word.trim_start_matches('+')), &project.region);
        let number = PhoneNumber::parse(word, &project.region).or(international);
        number.map_or(To::Nobody, To::Number)
    };
    parts(written).map(one).collect()
}

/// To whom an alert by e-mail goes.
fn mailboxes(project: &Project, model: &redcap::Project, written: &str) -> Vec<To> {
    let one = |word: &str| {
        if let Some(name) = reference(word) {
            let designated = project.fields.email.as_deref().or(model.invitation_email_field.as_deref());
            return if Some(name.as_str()) == designated { To::Participant } else { To::Field(name) };
        }
        Mailbox::read(word).map_or(To::Nobody, To::Mailbox)
    };
    parts(written).map(one).collect()
}

fn parts(written: &str) -> impl Iterator<Item = &str> {
    written.split([';', ',']).map(str::trim).filter(|word| !word.is_empty())
}

/// The field behind `[field]` or `[event][field]`.
fn reference(word: &str) -> Option<String> {
    let inner = word.strip_prefix('[')?.strip_suffix(']')?;
    let name = inner.rsplit("][").next()?;
    Some(name.to_owned())
}

/// The event of a classic project is named in REDCap's files, and nowhere else.
pub(crate) fn event_or_classic(event: Option<&str>) -> &str {
    event.unwrap_or(CLASSIC_EVENT)
}
