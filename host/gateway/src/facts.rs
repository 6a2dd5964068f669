//! The facts of a decision: what a request carries by value, and what the host answers when it is asked for
//! more. All of it was read before; nothing here waits.

use std::sync::Arc;

use jiff::civil::DateTime;
use policy::contract::types::{
    Address, Channel, Consent, Occasion, Participant, PastMessage, Recipient, Staff, Survey,
};
use policy::contract::{redcap as asked, twilio as carrier};
use policy::{Answer, Facts, Question};
use redcap::logic::{self, Context};
use redcap::pipe::LinkRequest;
use redcap::record::SurveyTimestamp;
use redcap::{Place, Record};
use twilio::{PhoneNumber, SmartEncoding};

use crate::outbox::Message;
use crate::project::Project;
use crate::render;
use crate::schedule::{self, Design, Frozen, Origin, Schedule, Whom};
use crate::store::OptOut;
use crate::vocabulary::redcap_code;
use crate::wording::Wording;

/// Everything that is known when a decision is asked for.
#[derive(Clone, Debug)]
pub struct Known {
    /// The project's settings.
    pub project: Arc<Project>,
    /// REDCap's model.
    pub model: Arc<redcap::Project>,
    /// What is designed in REDCap.
    pub design: Arc<Design>,
    /// The words as they were when the occasion was scheduled, if the project wants them so.
    pub frozen: Option<Frozen>,
    /// The schedule that made the occasion.
    pub origin: Option<Origin>,
    /// Links and codes that its words ask for, beside the link to its own survey.
    pub links: Vec<(LinkRequest, String)>,
    /// The record at hand; none for a number without one.
    pub record: Option<Arc<Record>>,
    /// When the record was read.
    pub as_of: u32,
    /// The instant of the decision.
    pub now: u32,
    /// The survey that the occasion is about.
    pub survey: Option<Survey>,
    /// The link to it.
    pub survey_link: Option<String>,
    /// The number at hand.
    pub phone: Option<PhoneNumber>,
    /// The opt-outs in force for the number and the mailbox.
    pub opt_outs: Vec<OptOut>,
    /// What was sent to the number and the mailbox.
    pub recent: Vec<PastMessage>,
    /// Unanswered invitations of the record.
    pub open_invitations: Vec<Survey>,
    /// The line type, once it was asked for.
    pub line_type: Option<Result<carrier::LineType, carrier::Error>>,
    /// What became of the last messages to the number, once it was asked for.
    pub deliveries: Option<Vec<(u32, String, Option<u32>)>>,
}

impl Known {
    /// What REDCap's clock on the wall shows.
    pub fn civil(&self) -> DateTime {
        civil(self.now, &self.project)
    }

    /// Where the survey's fields stand, or those of the form whose saving made the occasion, else where the
    /// participant's do.
    pub fn place(&self) -> Place {
        if let Some(survey) = &self.survey {
            let event = schedule::event_or_classic(survey.event.as_deref());
            return Place::of(&self.model, event, &survey.instrument, survey.instance);
        }
        let origin = self.origin.as_ref();
        match origin.and_then(|origin| Some((origin, origin.instrument.as_deref()?))) {
            Some((origin, instrument)) => {
                let event = schedule::event_or_classic(origin.event.as_deref());
                Place::of(&self.model, event, instrument, origin.instance)
            }
            None => participant_place(&self.project, &self.model),
        }
    }

    /// The participant at hand.
    pub fn participant(&self) -> Option<Participant> {
        let record = self.record.as_deref()?;
        // What is known of the number at hand is not the participant's when somebody else is written to.
        let (opt_outs, recent): (&[OptOut], &[PastMessage]) =
            if self.is_for_staff() { (&[], &[]) } else { (&self.opt_outs, &self.recent) };
        Some(participant(&self.project, &self.model, record, opt_outs, recent))
    }

    /// The schedule that made the occasion, as it is now.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.design.schedule(&self.origin.as_ref()?.schedule)
    }

    /// Whether the message goes to a member of staff.
    pub fn is_for_staff(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.whom == Whom::Staff)
    }

    /// The addresses of the registered member of staff whom a message names; none when nobody registered it.
    fn staff_addresses(&self, message: &Message) -> Vec<Address> {
        let Some(staff) = self.staff(message) else { return vec![] };
        let phone = staff.phone.iter().map(|phone| Address::Phone(phone.expose().into()));
        let email = staff.email.iter().map(|email| Address::Email(email.expose().into()));
        phone.chain(email).collect()
    }

    /// The registered member of staff whom a message names.
    pub fn staff(&self, message: &Message) -> Option<&crate::project::Staff> {
        let by_phone = message.new.number.as_ref().and_then(|it| self.project.staff_with_phone(it));
        by_phone.or_else(|| message.new.mailbox.as_ref().and_then(|it| self.project.staff_with_mailbox(it)))
    }

    /// The wording with an id in a language: the project's own, or REDCap's text as it is now or as it was.
    pub fn wording(&self, id: &str, language: &str) -> Option<Wording> {
        let mut all = self.project.wordings.iter().chain(&self.design.wordings);
        let mut found = all.find(|wording| wording.id == id && wording.language == language)?.clone();
        let frozen = self.frozen.iter().flat_map(|frozen| &frozen.wordings);
        if let Some((_, text)) = frozen.into_iter().find(|(own, _)| own == id) {
            found.text.clone_from(text);
            found.approval = self.project.approvals.get(&found.digest()).cloned();
        }
        Some(found)
    }

    /// The occasion behind a message, as policies see it.
    pub fn occasion(&self, message: &Message) -> Occasion {
        let participant = self.participant();
        let recipient = match (&participant, &message.new.number) {
            _ if self.is_for_staff() => Recipient::Staff(Staff {
                addresses: self.staff_addresses(message),
                opt_outs: self.opt_outs.iter().map(policy_opt_out).collect(),
                recent: self.recent.clone(),
            }),
            (None, Some(number)) => Recipient::Number(number.expose().into()),
            _ => Recipient::Participant,
        };
        let mut project = self.project.for_policy();
        // The study team chose how this one goes, and may have chosen "as the participant prefers".
        if let Some(method) = self.schedule().and_then(Schedule::method)
            && project.enabled_methods.contains(&method)
        {
            project.enabled_methods = vec![method];
            project.default_method = method;
        }
        Occasion {
            id: message.new.occasion.clone(),
            purpose: message.new.purpose,
            wording: message.new.wording.clone(),
            now: self.now,
            due: message.new.due,
            not_after: message.new.not_after,
            facts_as_of: self.as_of,
            survey: message.new.survey.clone(),
            open_invitations: self.open_invitations.clone(),
            attempts: message.attempts.clone(),
            project,
            recipient,
            participant,
        }
    }

    fn at(&self, at: Option<&asked::Place>) -> Result<(String, u32), asked::Error> {
        let own = self.place();
        let event = match at.and_then(|place| place.event.as_deref()) {
            Some(event) if self.model.event(event).is_none() => {
                return Err(asked::Error::UnknownEvent(event.into()));
            }
            Some(event) => event.into(),
            None => own.event_name().into(),
        };
        Ok((event, at.map_or(own.instance, |place| place.instance)))
    }

    fn read(
        &self,
        fields: &[String],
        at: Option<&asked::Place>,
    ) -> Result<Vec<asked::FieldValue>, asked::Error> {
        let record = self.record.as_deref().ok_or(asked::Error::NoRecord)?;
        let (event, instance) = self.at(at)?;
        let one = |named: &String| {
            let (name, code) = match named.strip_suffix(')').and_then(|named| named.split_once('(')) {
                Some((name, code)) => (name, Some(code)),
                None => (named.as_str(), None),
            };
            let instrument = match (self.model.field(name), self.model.status_of(name)) {
                (Some(field), _) => &field.instrument,
                (None, Some(instrument)) => &instrument.name,
                (None, None) => return Err(asked::Error::UnknownField(named.clone())),
            };
            let place = Place::of(&self.model, &event, instrument, instance);
            let value = match code {
                Some(code) => u8::from(record.checkbox(name, code, &place)).to_string(),
                None => record.get(name, &place).unwrap_or_default().to_owned(),
            };
            let place = asked::Place { event: Some(event.clone()), instance };
            Ok(asked::FieldValue { field: named.clone(), place, value })
        };
        fields.iter().map(one).collect()
    }

    fn describe(&self, fields: &[String]) -> Result<Vec<asked::FieldDescription>, asked::Error> {
        let one = |name: &String| {
            let field = self.model.field(name).ok_or_else(|| asked::Error::UnknownField(name.clone()))?;
            Ok(asked::FieldDescription {
                name: field.name.clone(),
                instrument: field.instrument.clone(),
                kind: field.kind.name().into(),
                validation: field.validation.clone(),
                sensitivity: sensitivity(field.identifier),
            })
        };
        fields.iter().map(one).collect()
    }

    fn evaluate(&self, text: &str, at: Option<&asked::Place>) -> Result<asked::LogicValue, asked::Error> {
        let record = self.record.as_deref().ok_or(asked::Error::NoRecord)?;
        let (event, instance) = self.at(at)?;
        let expression = logic::parse(text).map_err(|mistakes| {
            let first = mistakes.into_iter().next();
            asked::Error::BadLogic(first.map_or_else(
                || asked::Mistake { at: 0, sentence: "it cannot be read".into() },
                |mistake| asked::Mistake {
                    at: u32::try_from(mistake.at.start).unwrap_or(u32::MAX),
                    sentence: mistake.sentence,
                },
            ))
        })?;
        let place = Place { event: Some(event), instrument: self.place().instrument, instance };
        let context = Context::new(&self.model, record, &place, self.civil());
        if let Some((reference, what)) = logic::untold(&expression, &context) {
            let sentence = format!("`{reference}` needs to know {what}, which REDCap does not tell");
            return Err(asked::Error::BadLogic(asked::Mistake { at: 0, sentence }));
        }
        Ok(match logic::evaluate(&expression, &context) {
            logic::Value::Blank => asked::LogicValue::Blank,
            logic::Value::Number(number) | logic::Value::Stored(number, _) => {
                asked::LogicValue::Number(number)
            }
            logic::Value::Text(text) => asked::LogicValue::Text(text.into_owned()),
            logic::Value::Missing(code) => asked::LogicValue::Text(code.to_owned()),
            logic::Value::Truth(truth) => asked::LogicValue::Truth(truth),
        })
    }

    fn survey_status(&self, survey: &Survey) -> Result<asked::SurveyState, asked::Error> {
        let record = self.record.as_deref().ok_or(asked::Error::NoRecord)?;
        if self.model.survey(&survey.instrument).is_none() {
            return Err(asked::Error::NotASurvey(survey.instrument.clone()));
        }
        Ok(survey_state(&self.model, record, &survey.instrument, survey.event.as_deref(), survey.instance))
    }

    fn senders(&self) -> Vec<carrier::Sender> {
        let account = &self.project.account;
        vec![carrier::Sender {
            id: crate::route::SENDER.into(),
            number: Some(account.number.expose().into()),
            kind: account.kind,
            channels: vec![Channel::Sms],
        }]
    }
}

impl Facts for Known {
    fn answer(&self, question: &Question) -> Option<Answer> {
        Some(match question {
            Question::Read { fields, at } => Answer::Read(self.read(fields, at.as_ref())),
            Question::DescribeFields(fields) => Answer::DescribeFields(self.describe(fields)),
            Question::Evaluate { logic, at } => Answer::Evaluate(self.evaluate(logic, at.as_ref())),
            Question::SurveyStatus(survey) => Answer::SurveyStatus(self.survey_status(survey)),
            Question::Lookup => match (&self.phone, &self.line_type) {
                (None, _) => Answer::Lookup(Err(carrier::Error::NoNumber)),
                (Some(_), known) => Answer::Lookup(known.clone()?),
            },
            Question::Senders => Answer::Senders(Ok(self.senders())),
            Question::History(limit) => {
                if self.phone.is_none() {
                    return Some(Answer::History(Err(carrier::Error::NoNumber)));
                }
                let known = self.deliveries.as_ref()?.iter().take(*limit as usize);
                Answer::History(Ok(known
                    .map(|(at, status, code)| carrier::PastDelivery {
                        at: *at,
                        status: status.clone(),
                        error_code: *code,
                    })
                    .collect()))
            }
            Question::FindWording { id, language } => {
                Answer::FindWording(self.wording(id, language).map(|w| w.for_policy(self.now)))
            }
            Question::ListWordings(part) => {
                let mut found: Vec<_> = self
                    .project
                    .wordings
                    .iter()
                    .filter(|wording| wording.part == *part)
                    .map(|wording| wording.for_policy(self.now))
                    .collect();
                found.sort_by(|a, b| (&a.id, &a.language).cmp(&(&b.id, &b.language)));
                Answer::ListWordings(found)
            }
            Question::Measure { pieces, language } => {
                let text =
                    render::join(self, pieces, language).map_or_else(|_| String::new(), |joined| joined.text);
                let length = twilio::measure(&text, SmartEncoding::Off);
                Answer::Measure(policy::contract::wordings::Length {
                    segments: length.segments,
                    characters: length.characters,
                })
            }
        })
    }
}

/// The contract's word for the dictionary's identifier mark.
pub fn sensitivity(identifier: bool) -> asked::Sensitivity {
    if identifier { asked::Sensitivity::Identifier } else { asked::Sensitivity::Plain }
}

/// What REDCap's clock on the wall shows at an instant.
pub fn civil(at: u32, project: &Project) -> DateTime {
    jiff::Timestamp::from_second(i64::from(at))
        .map_or(DateTime::MIN, |instant| project.zone.to_datetime(instant))
}

/// Where the fields about the participant stand.
pub fn participant_place(project: &Project, model: &redcap::Project) -> Place {
    let event = project.fields.event.clone().or_else(|| model.events.first().map(|e| e.unique_name.clone()));
    Place { event, instrument: None, instance: 1 }
}

/// How far a survey of a record has come. A survey that was answered by text or by voice has no timestamp,
/// because an import cannot set one: its form's status counts too.
pub fn survey_state(
    model: &redcap::Project,
    record: &Record,
    instrument: &str,
    event: Option<&str>,
    instance: u32,
) -> asked::SurveyState {
    let place = Place::of(model, event.unwrap_or(redcap::project::CLASSIC_EVENT), instrument, instance);
    if record.get(&format!("{instrument}_complete"), &place) == Some("2") {
        return asked::SurveyState::Complete;
    }
    match record.survey_timestamp(instrument, event, instance) {
        Some(SurveyTimestamp::Completed(_)) => asked::SurveyState::Complete,
        Some(SurveyTimestamp::NotCompleted) => asked::SurveyState::Partial,
        None => asked::SurveyState::NotStarted,
    }
}

/// The number in a record's designated field, if there is one that is a number.
pub fn phone_of(project: &Project, model: &redcap::Project, record: &Record) -> Option<PhoneNumber> {
    let place = participant_place(project, model);
    let typed = record.get(project.fields.phone.as_deref()?, &place)?;
    PhoneNumber::parse(typed, &project.region).ok()
}

/// What stands in a record's designated field for a mailbox, whether it is one or not.
pub fn mailbox_of(project: &Project, model: &redcap::Project, record: &Record) -> Option<String> {
    let typed = record.get(project.fields.email.as_deref()?, &participant_place(project, model))?.trim();
    (!typed.is_empty()).then(|| typed.to_owned())
}

fn participant(
    project: &Project,
    model: &redcap::Project,
    record: &Record,
    opt_outs: &[OptOut],
    recent: &[PastMessage],
) -> Participant {
    let place = participant_place(project, model);
    let value = |field: &Option<String>| {
        let field = field.as_deref()?;
        record.get(field, &place).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let fields = &project.fields;
    let zone = value(&fields.time_zone).filter(|zone| jiff::tz::TimeZone::get(zone).is_ok());
    let mut consents = consent_from_fields(project, record, &place).into_iter().collect::<Vec<_>>();
    consents.extend(project.consents.get(&record.id).into_iter().flatten().cloned());
    consents.sort_by_key(|consent| consent.given);
    Participant {
        record: Some(record.id.clone()),
        phone: phone_of(project, model, record).map(|phone| phone.expose().into()),
        email: mailbox_of(project, model, record),
        preference: value(&fields.preference).and_then(|code| redcap_code(&code)),
        language: value(&fields.language),
        time_zones: zone.into_iter().collect(),
        consents,
        opt_outs: opt_outs.iter().map(policy_opt_out).collect(),
        recent: recent.to_vec(),
    }
}

fn policy_opt_out(opt_out: &OptOut) -> policy::contract::types::OptOut {
    policy::contract::types::OptOut { channel: opt_out.channel, at: opt_out.at }
}

fn consent_from_fields(project: &Project, record: &Record, place: &Place) -> Option<Consent> {
    let fields = project.fields.consent.as_ref()?;
    let given = instant(record.get(&fields.given, place)?, project)?;
    // A withdrawal that is no date is a withdrawal all the same, and nobody knows from when on.
    let withdrawn = fields
        .withdrawn
        .as_ref()
        .and_then(|field| record.get(field, place))
        .filter(|stored| !stored.trim().is_empty() && stored.trim() != "0")
        .map(|stored| instant(stored, project).unwrap_or(given));
    let phone = fields.phone.as_ref().and_then(|field| record.get(field, place));
    // A number that cannot be read is a number that no text goes to: it is kept as it was written.
    let phone = phone.filter(|phone| !phone.is_empty()).map(|phone| {
        PhoneNumber::parse(phone, &project.region).map_or_else(|_| phone.to_owned(), |n| n.expose().into())
    });
    Some(Consent {
        given,
        evidence: format!("REDCap field `{}`", fields.given),
        manner: fields.manner,
        withdrawn,
        phone,
        covers: fields.covers.clone(),
    })
}

/// The instant behind a date or date and time as REDCap stores it, on the server's clock.
fn instant(stored: &str, project: &Project) -> Option<u32> {
    schedule::instant(schedule::moment(stored)?, &project.zone)
}
