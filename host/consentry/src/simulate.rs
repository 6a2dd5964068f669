//! A study before it starts: the real gateway, its policies and its store, on virtual time, against a REDCap and a
//! Twilio in the same process, with participants who answer as a script says. Months run in seconds, and what comes
//! out is every message that would be sent, when and why, and every one that would not.

pub mod calendar;
mod command;
pub mod needs;
mod page;
pub mod report;
mod rows;
mod script;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway::outbox::Message;
use gateway::schedule::{Design, Whom};
use gateway::store::{Database, Store};
use gateway::vocabulary::Word;
use gateway::{Clock, Gateway};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use miette::{IntoDiagnostic, miette};
use sandbox::{Sandbox, SandboxConfig, SurveyOutcome};
use serde::Serialize;

pub(crate) use page::pieces;

pub use command::{Form, Options, command, simulate, study};
pub(crate) use command::{from as beginning, script as read_script};
pub use rows::Row;
pub(crate) use rows::read as read_rows;
pub use script::{Answer, Deed, Script, What};
pub(crate) use settings::designed;
pub use settings::{Assumed, Designed, NAME};

/// What is to be simulated.
#[derive(Debug)]
pub struct Study {
    /// The project XML.
    pub xml: String,
    /// The records, as they come to be.
    pub rows: Vec<Row>,
    /// What participants and staff do.
    pub script: Script,
    /// The project's file; none to assume what it would say.
    pub settings: Option<String>,
    /// Whether approvals and consents that the file does not have are taken for granted.
    pub assumes: bool,
    /// The folder of relative paths in it.
    pub folder: std::path::PathBuf,
    /// The folder of the policies' components.
    pub policies: std::path::PathBuf,
    /// The zone of REDCap's clock, where the settings do not say.
    pub zone: TimeZone,
    /// When it begins, on REDCap's clock.
    pub from: DateTime,
    /// How many days it lasts.
    pub days: u32,
}

/// What came of a simulation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Simulation {
    /// The study's name.
    pub title: String,
    /// When it began, on REDCap's clock.
    pub from: DateTime,
    /// How many days it lasted.
    pub days: u32,
    /// The zone of REDCap's clock.
    pub zone: String,
    /// How many records there were at the end.
    pub records: usize,
    /// Every message, in the order in which they were due.
    pub messages: Vec<Line>,
    /// What the schedules need that the settings do not say, by schedule.
    pub needs: Vec<(String, Vec<needs::Need>)>,
    /// What was taken for granted, because no settings say it.
    pub assumed: Vec<String>,
    /// How often something happened.
    pub events: u64,
}

/// A message of a simulation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// The record.
    pub record: Option<String>,
    /// Whom it is for: "participant", "staff" …
    pub to: &'static str,
    /// When it was due, or left if it did, on the recipient's clock.
    pub at: DateTime,
    /// The same, in seconds.
    pub instant: u32,
    /// The recipient's zone.
    pub zone: String,
    /// Whether the zone is the participant's own, and not REDCap's.
    pub zone_is_known: bool,
    /// "invitation", "reminder" …
    pub purpose: &'static str,
    /// The way it went, or would.
    pub method: Option<&'static str>,
    /// The schedule; none for a confirmation or an answer to HELP.
    pub schedule: Option<String>,
    /// The schedule's title.
    pub title: Option<String>,
    /// The survey.
    pub survey: Option<String>,
    /// Which reminder, 0 for none.
    pub reminder: u32,
    /// Which repetition, 1 for the first.
    pub repetition: u32,
    /// Where it ended: "delivered", "held", "suppressed" …
    pub state: &'static str,
    /// Whether it reached the phone.
    pub sent: bool,
    /// Why it stands there, if it was not sent.
    pub rule: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
    /// Segments that were sent.
    pub segments: u32,
    /// What Twilio charged, in millionths of a dollar.
    pub micros: i64,
    /// The words that were sent or would have been, if there are any.
    pub text: Option<String>,
}

/// Something that is going to happen.
#[derive(Clone, Debug)]
enum Event {
    Saves(Row),
    Does(Deed),
    Answers { record: String, link: String, survey: String },
}

struct Running {
    sandbox: Sandbox,
    gateway: Arc<Gateway>,
    clock: Clock,
    zone: TimeZone,
    script: Script,
    /// What is going to happen, by instant and order.
    coming: BTreeMap<(i64, u64), Event>,
    count: u64,
    /// The last row of the ledger that was looked at.
    seen: i64,
    /// Links that somebody is going to open, or opened.
    opened: BTreeSet<String>,
    /// How often something happened.
    events: u64,
}

/// Runs a study from its beginning to its end.
pub async fn run(study: Study) -> miette::Result<Simulation> {
    let prepared = settings::prepare(&study)?;
    let zone = prepared.project.zone.clone();
    let start = zone.to_ambiguous_timestamp(study.from).compatible().into_diagnostic()?;
    let end = start.checked_add(SignedDuration::from_hours(24 * i64::from(study.days))).into_diagnostic()?;
    let clock = Clock::stepped(start);
    let now = clock.clone();
    let config = SandboxConfig {
        zone: zone.clone(),
        phone_field: prepared.project.fields.phone.clone(),
        ..SandboxConfig::new(prepared.xml.clone(), Arc::new(move || now.now()))
    };
    let sandbox = Sandbox::in_process(config).into_diagnostic()?;
    // Whether the money lasts is not what is simulated.
    sandbox.twilio().set_balance(1_000_000_000.0);
    let (project, assumed) = settings::connect(prepared, &sandbox)?;
    let title = project.title.clone();
    let zone_name = project.zone_name.clone();
    let keys =
        gateway::vault::Keys::read(&gateway::vault::Keys::generate().into_diagnostic()?).into_diagnostic()?;
    let store = Store::open(&Database::Memory, &keys, clock.clone()).into_diagnostic()?;
    let gateway =
        Arc::new(Gateway::new([project], store, clock.clone(), settings::PUBLIC_URL).into_diagnostic()?);
    sandbox.deliver_to(gateway::webhooks::router(gateway.clone(), settings::secret()));
    sandbox.set_sms_webhook(&format!("{}/twilio/{NAME}/sms", settings::PUBLIC_URL));
    sandbox.set_data_entry_trigger(&format!(
        "{}/redcap/{NAME}/trigger/{}",
        settings::PUBLIC_URL,
        settings::SECRET
    ));
    let script = study.script.clone();
    let mut running = Running {
        sandbox,
        gateway,
        clock,
        zone,
        script,
        coming: BTreeMap::new(),
        count: 0,
        seen: 0,
        opened: BTreeSet::new(),
        events: 0,
    };
    running.gateway.sweep().await;
    running.pump().await?;
    for row in study.rows {
        let at = match row.at {
            None => start,
            Some((day, time)) => running.at(study.from, day, time)?,
        };
        running.expect(at, Event::Saves(row));
    }
    for deed in study.script.deeds {
        let at = running.at(study.from, deed.day, deed.time)?;
        running.expect(at, Event::Does(deed));
    }
    running.until(end).await?;
    running.told(title, zone_name, study.from, study.days, assumed).await
}

impl Running {
    fn at(&self, from: DateTime, day: i64, time: jiff::civil::Time) -> miette::Result<Timestamp> {
        use jiff::ToSpan;
        let date = from.date().checked_add(day.days()).into_diagnostic()?;
        self.zone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().into_diagnostic()
    }

    fn expect(&mut self, at: Timestamp, event: Event) {
        self.count += 1;
        self.coming.insert((at.as_second(), self.count), event);
    }

    /// Goes from instant to instant at which something happens or is due.
    async fn until(&mut self, end: Timestamp) -> miette::Result<()> {
        loop {
            let event = self.coming.keys().next().map(|(at, _)| *at);
            let due = self.gateway.next_due().await.into_diagnostic()?.map(i64::from);
            let now = self.clock.now().as_second();
            let Some(next) = event.into_iter().chain(due).min() else { break };
            if next > end.as_second() {
                break;
            }
            // What is due and was not done at this instant waits for the next.
            let next = if event == Some(next) { next.max(now) } else { next.max(now + 1) };
            self.clock.step(Timestamp::from_second(next).into_diagnostic()?);
            while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= next) {
                let event = entry.remove();
                self.events += 1;
                self.happens(event).await;
            }
            self.pump().await?;
        }
        self.clock.step(end);
        self.pump().await
    }

    async fn happens(&mut self, event: Event) {
        let redcap = self.sandbox.redcap();
        match event {
            Event::Saves(row) => {
                let values: Vec<_> = row.values.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                let Row { record, instrument, event, instance, .. } = &row;
                redcap.save_form(record, instrument, event.as_deref(), *instance, &values).await;
            }
            Event::Answers { record, link, survey } => self.answers(&record, &link, &survey).await,
            Event::Does(deed) => match deed.what {
                What::Saves(form, event, values) => {
                    let values: Vec<_> = values.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                    redcap.save_form(&deed.record, &form, event.as_deref(), 1, &values).await;
                }
                What::Imports(event, values) => self.imports(&deed.record, event, values),
                What::Texts(words) => {
                    if let Some(number) = self.number(&deed.record) {
                        self.sandbox.handset().say(&number, &words).await;
                    }
                }
                What::Renamed(name) => {
                    redcap.rename_record(&deed.record, &name);
                }
                What::Deleted => {
                    redcap.delete_record(&deed.record);
                }
                What::Switches(survey, open) => {
                    redcap.set_survey_enabled(&survey, open);
                    self.gateway.sweep().await;
                }
            },
        }
    }

    fn imports(&self, record: &str, event: Option<String>, values: Vec<(String, String)>) {
        let Some(design) = self.design() else { return };
        let mut row = serde_json::Map::new();
        row.insert(design.model.record_id_field.clone(), record.into());
        if let Some(event) = event {
            row.insert("redcap_event_name".into(), event.into());
        }
        row.extend(values.into_iter().map(|(field, value)| (field, value.into())));
        if let Err(error) = self.sandbox.redcap().import(&[row]) {
            tracing::error!(record, %error, "the simulated import was refused");
        }
    }

    fn design(&self) -> Option<Arc<Design>> {
        self.gateway.projects.get(NAME)?.design()
    }

    fn number(&self, record: &str) -> Option<String> {
        let project = self.gateway.projects.get(NAME)?;
        let record = self.sandbox.redcap().record(record)?;
        let number = gateway::facts::phone_of(project, &self.design()?.model, &record)?;
        Some(number.expose().to_owned())
    }

    /// A participant opens a link and answers: as the script says, and else with the first thing that fits.
    async fn answers(&self, record: &str, link: &str, survey: &str) {
        let Some(design) = self.design() else { return };
        let answer = self.script.answer(record, survey);
        let today = self.zone.to_datetime(self.clock.now()).date();
        let mut answers: Vec<(String, String)> = Vec::new();
        for field in design.model.fields_of(survey) {
            for column in redcap::record::columns(field) {
                if let Some(value) = answer.to(&column) {
                    answers.push((column, value.to_owned()));
                }
            }
        }
        // What the page asks for besides is answered; what it asks for after that too.
        for _ in 0..10 {
            let given: Vec<_> = answers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            match self.sandbox.redcap().complete_survey(link, &given).await {
                SurveyOutcome::AskedAgain { fields } => {
                    let asked: Vec<_> = fields
                        .iter()
                        .filter_map(|name| design.model.field(name))
                        .filter_map(|field| crate::demo::answer(field, today))
                        .filter(|(column, _)| !answers.iter().any(|(known, _)| known == column))
                        .collect();
                    if asked.is_empty() {
                        tracing::error!(
                            record,
                            survey,
                            "a simulated participant cannot answer what is asked"
                        );
                        return;
                    }
                    answers.extend(asked);
                }
                // A survey that has closed meanwhile is not answered, as it would not be.
                SurveyOutcome::Completed
                | SurveyOutcome::AlreadyCompleted
                | SurveyOutcome::Inactive
                | SurveyOutcome::NotFound => return,
                SurveyOutcome::Failed => {
                    tracing::error!(record, survey, "the simulated REDCap does not answer");
                    return;
                }
            }
        }
        tracing::error!(record, survey, "a simulated participant does not get to the end of a survey");
    }

    /// Lets everything happen that happens at this instant.
    async fn pump(&mut self) -> miette::Result<()> {
        loop {
            let posted = self.sandbox.deliver().await;
            self.gateway.read_log_now(NAME);
            self.gateway.settle().await.into_diagnostic()?;
            let happened = self.react().await?;
            if posted == 0 && happened == 0 {
                return Ok(());
            }
        }
    }

    /// Participants see what arrived, and make up their minds.
    async fn react(&mut self) -> miette::Result<usize> {
        let arrived = self.gateway.store.happened("accepted", self.seen).await.into_diagnostic()?;
        let count = arrived.len();
        for (row, message) in arrived {
            self.seen = row;
            let Some(message) = self.gateway.store.message(&message).await.into_diagnostic()? else {
                continue;
            };
            self.read(&message);
        }
        Ok(count)
    }

    fn read(&mut self, message: &Message) {
        let is_staff = message.new.origin.as_ref().is_some_and(|origin| origin.whom == Whom::Staff);
        let (Some(record), Some(draft)) = (&message.new.record, &message.draft) else { return };
        if is_staff {
            return;
        }
        for link in &draft.links {
            let Some(target) = self.sandbox.redcap().survey_behind(link) else { continue };
            let answer = self.script.answer(record, &target);
            let Some(after) = answer.after else { continue };
            if !self.opened.insert(format!("{link} {record}")) {
                continue;
            }
            // Nobody answers the second they are asked, and not everybody takes the same time.
            let at = self.clock.now() + after;
            self.expect(at, Event::Answers { record: record.clone(), link: link.clone(), survey: target });
        }
    }

    async fn told(
        self,
        title: String,
        zone: String,
        from: DateTime,
        days: u32,
        assumed: Assumed,
    ) -> miette::Result<Simulation> {
        let project = self.gateway.projects.get(NAME).ok_or_else(|| miette!("the project is gone"))?.clone();
        let design = project.design().ok_or_else(|| miette!("the project XML was not read"))?;
        let all = self.gateway.store.log(None, None, u32::MAX).await.into_diagnostic()?;
        let mut zones: BTreeMap<String, Option<TimeZone>> = BTreeMap::new();
        let mut messages = Vec::new();
        for message in all {
            let own = message.new.record.as_ref().and_then(|id| {
                let zone = zones.entry(id.clone()).or_insert_with(|| {
                    let record = self.sandbox.redcap().record(id)?;
                    let place = gateway::facts::participant_place(&project, &design.model);
                    let name = record.get(project.fields.time_zone.as_deref()?, &place)?;
                    TimeZone::get(name).ok()
                });
                zone.clone()
            });
            messages.push(line(&message, &design, own, &self.zone));
        }
        messages
            .sort_by(|a, b| (a.instant, &a.record, &a.schedule).cmp(&(b.instant, &b.record, &b.schedule)));
        let now = self.clock.seconds();
        let needs = design.schedules.iter().filter_map(|schedule| {
            let needs = needs::of(&project, &design, schedule, now);
            (!needs.is_empty()).then(|| (schedule.id.clone(), needs))
        });
        Ok(Simulation {
            title,
            from,
            days,
            zone,
            records: self.sandbox.redcap().record_ids().len(),
            needs: needs.collect(),
            messages,
            assumed: assumed.sentences,
            events: self.events,
        })
    }
}

fn line(message: &Message, design: &Design, own: Option<TimeZone>, redcap: &TimeZone) -> Line {
    let sent = message.submitted.is_some() && message.state.may_have_reached();
    let instant = message.submitted.filter(|_| sent).unwrap_or(message.new.due);
    let zone_is_known = own.is_some();
    let zone = own.unwrap_or_else(|| redcap.clone());
    let at = Timestamp::from_second(i64::from(instant)).unwrap_or(Timestamp::UNIX_EPOCH);
    let origin = message.new.origin.as_ref();
    let reason = message.reason.as_ref().filter(|_| !sent);
    let to = match origin.map(|origin| origin.whom) {
        Some(Whom::Staff) => "staff",
        Some(Whom::List) => "number",
        Some(Whom::Other) => "somebody else",
        Some(Whom::Participant) | None => "participant",
    };
    let is_text = matches!(message.channel(), policy::contract::types::Channel::Sms);
    Line {
        record: message.new.record.clone(),
        to,
        at: zone.to_datetime(at),
        instant,
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        zone_is_known,
        purpose: message.new.purpose.word(),
        method: message.draft.as_ref().map(|draft| draft.method.word()),
        schedule: origin.map(|origin| origin.schedule.clone()),
        title: origin.and_then(|origin| design.schedule(&origin.schedule)).map(|it| it.title.clone()),
        survey: message.new.survey.as_ref().map(|survey| survey.instrument.clone()),
        reminder: origin.map_or(0, |origin| origin.reminder),
        repetition: origin.map_or(1, |origin| origin.repetition),
        state: message.state.name(),
        sent,
        rule: reason.map(|reason| reason.rule.clone()),
        why: reason.map(|reason| reason.sentence.clone()),
        segments: message.draft.as_ref().filter(|_| sent && is_text).map_or(0, |draft| draft.segments),
        micros: message.price.unwrap_or(0),
        text: message.draft.as_ref().map(|draft| draft.body.clone()),
    }
}
