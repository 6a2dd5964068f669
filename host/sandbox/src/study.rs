//! A REDCap with one project.

mod answers;
mod api;
mod calculate;
mod export;
mod import;
mod links;
mod page;
mod survey;
mod trigger;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use jiff::civil::DateTime;
use redcap::project::Project;
use redcap::record::{Place, Record, SurveyTimestamp};
use twilio::PhoneNumber;

use crate::connection::Line;
use crate::faults::RedcapFault;
use crate::form::encode;
use crate::world::World;
use links::Target;
use trigger::Saved;

/// REDCap from within: the study team at their desks, and a participant in a hurry. Clones speak to the
/// same project.
#[derive(Clone)]
pub struct Redcap {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Redcap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redcap").finish_non_exhaustive()
    }
}

/// Where a survey page left whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurveyOutcome {
    Completed,
    AlreadyCompleted,
    /// The survey takes no answers, or no longer.
    Inactive,
    /// The link leads nowhere.
    NotFound,
    /// The page came back because of these fields.
    AskedAgain {
        fields: Vec<String>,
    },
    /// No answer, or not one of the sandbox's pages.
    Failed,
}

impl Redcap {
    /// The ids of all records, in order of creation.
    pub fn record_ids(&self) -> Vec<String> {
        self.world.study().project.records.iter().map(|record| record.id.clone()).collect()
    }

    /// A whole record, as it is now.
    pub fn record(&self, id: &str) -> Option<Record> {
        self.world.study().record(id).cloned()
    }

    /// A value; none if blank. Checkboxes are asked for by column (`symptoms___1`).
    pub fn value(&self, record: &str, field: &str, place: &Place) -> Option<String> {
        self.world.study().record(record)?.get(field, place).map(str::to_owned)
    }

    /// When a survey was submitted. `event: None` is a classic project's.
    pub fn survey_completed(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Option<String> {
        match self.world.study().record(record)?.survey_timestamp(instrument, event, instance)? {
            SurveyTimestamp::Completed(at) => Some(at.clone()),
            SurveyTimestamp::NotCompleted => None,
        }
    }

    /// The study team saves a form, which makes the record if there is none, and REDCap tells its Data Entry
    /// Trigger. An empty value erases. Comes back when the trigger has answered.
    pub async fn save_form(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
        values: &[(&str, &str)],
    ) {
        let saved = {
            let now = self.world.local_now();
            let mut study = self.world.study();
            let event = event.map_or_else(|| study.first_event(), str::to_owned);
            let target = Target {
                record: record.to_owned(),
                instrument: instrument.to_owned(),
                event,
                instance: instance.max(1),
            };
            let status = format!("{instrument}_complete");
            let place = Place::of(&study.project, &target.event, instrument, target.instance);
            let untouched = study.record(record).is_none_or(|record| record.get(&status, &place).is_none());
            let mut values: Vec<(String, String)> =
                values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            if untouched && !values.iter().any(|(name, _)| *name == status) {
                values.push((status, "0".to_owned()));
            }
            let action = if study.record(record).is_some() { "Update record" } else { "Create record" };
            study.store(&target, &values, "coordinator", action, now);
            study.saved(&target, "coordinator")
        };
        self.world.changed();
        trigger::tell(&self.world, &saved).await;
    }

    /// A participant opens the link and submits the page with these answers, over HTTP. Checkboxes are given
    /// by column (`symptoms___1`, `1`). Values outside a soft range are insisted on.
    pub async fn complete_survey(&self, link: &str, answers: &[(&str, &str)]) -> SurveyOutcome {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in answers {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
            pairs.push((answers::seen(name), (*value).to_owned()));
        }
        let request = self.world.http.post(link).body(encode(&pairs));
        let Ok(response) = request.send().await else { return SurveyOutcome::Failed };
        let Ok(html) = response.text().await else { return SurveyOutcome::Failed };
        let attribute = |name: &str| {
            let (_, rest) = html.split_once(&format!(" {name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        match attribute("data-state") {
            Some("completed") => SurveyOutcome::Completed,
            Some("already-completed") => SurveyOutcome::AlreadyCompleted,
            Some("inactive") => SurveyOutcome::Inactive,
            Some("not-found") => SurveyOutcome::NotFound,
            Some("questions") => {
                let fields = attribute("data-again").unwrap_or_default().split_whitespace();
                SurveyOutcome::AskedAgain { fields: fields.map(str::to_owned).collect() }
            }
            _ => SurveyOutcome::Failed,
        }
    }
}

/// What the project holds, and what REDCap remembers around it.
pub(crate) struct Study {
    pub(crate) project: Project,
    token: String,
    pub(crate) trigger: Option<String>,
    pub(crate) phone_field: Option<String>,
    /// Oldest first.
    log: Vec<LogRow>,
    /// When each record was last changed.
    changed: BTreeMap<String, DateTime>,
    links: BTreeMap<String, Target>,
}

struct LogRow {
    at: DateTime,
    user: String,
    action: String,
    details: String,
    record: String,
}

/// A phone that is in a record.
pub(crate) struct RecordPhone {
    pub(crate) number: String,
    pub(crate) record: String,
    pub(crate) name: Option<String>,
}

impl Study {
    pub(crate) fn new(project: Project, token: String, now: DateTime) -> Self {
        let changed = project.records.iter().map(|record| (record.id.clone(), now)).collect();
        Self {
            project,
            token,
            trigger: None,
            phone_field: None,
            log: Vec::new(),
            changed,
            links: BTreeMap::new(),
        }
    }

    fn record(&self, id: &str) -> Option<&Record> {
        self.project.records.iter().find(|record| record.id == id)
    }

    /// The record of this id, made if need be.
    fn record_mut(&mut self, id: &str) -> &mut Record {
        let records = &mut self.project.records;
        let at = records.iter().position(|record| record.id == id).unwrap_or_else(|| {
            records.push(Record::new(id));
            records.len() - 1
        });
        &mut records[at]
    }

    fn first_event(&self) -> String {
        let first = self.project.events.first();
        first.map_or_else(|| redcap::project::CLASSIC_EVENT.to_owned(), |event| event.unique_name.clone())
    }

    /// Stores values on one form, with everything REDCap does about a save but telling the trigger.
    fn store(
        &mut self,
        target: &Target,
        values: &[(String, String)],
        user: &str,
        action: &str,
        now: DateTime,
    ) {
        let place = Place::of(&self.project, &target.event, &target.instrument, target.instance);
        let id_field = self.project.record_id_field.clone();
        let record = self.record_mut(&target.record);
        record.set(&id_field, &place, &target.record);
        for (name, value) in values {
            record.set(name, &place, value);
        }
        let details: Vec<String> = values.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        self.touched(&target.record, user, format!("{action} {}", target.record), details.join(", "), now);
    }

    /// What follows every change of a record: calculations, and a row in the log.
    fn touched(&mut self, record: &str, user: &str, action: String, details: String, now: DateTime) {
        if let Some(at) = self.project.records.iter().position(|known| known.id == record) {
            let mut changed = self.project.records[at].clone();
            calculate::recalculate(&self.project, &mut changed, now);
            self.project.records[at] = changed;
        }
        self.changed.insert(record.to_owned(), now);
        self.log.push(LogRow { at: now, user: user.to_owned(), action, details, record: record.to_owned() });
    }

    fn saved(&self, target: &Target, user: &str) -> Saved {
        let place = Place::of(&self.project, &target.event, &target.instrument, target.instance);
        let status = format!("{}_complete", target.instrument);
        let status = self.record(&target.record).and_then(|record| record.get(&status, &place));
        Saved {
            url: self.trigger.clone(),
            user: user.to_owned(),
            status: status.unwrap_or("0").to_owned(),
            longitudinal: self.project.longitudinal,
            repeats: self.project.repeats(&target.event, &target.instrument),
            event_repeats: self.project.event_repeats(&target.event),
            target: target.clone(),
        }
    }

    /// The phones of the records, each number once.
    pub(crate) fn phones(&self) -> Vec<RecordPhone> {
        const NAMES: [&str; 6] = ["first_name", "fname", "given_name", "participant_name", "name", "ptname"];
        let is_phone = |validation: &Option<String>| {
            validation.as_deref().is_some_and(|validation| validation.starts_with("phone"))
        };
        let field = match &self.phone_field {
            Some(name) => self.project.field(name),
            None => self.project.fields.iter().find(|field| is_phone(&field.validation)),
        };
        let Some(field) = field else { return Vec::new() };
        let names: Vec<_> = NAMES.iter().filter_map(|name| self.project.field(name)).collect();
        let mut phones: Vec<RecordPhone> = Vec::new();
        for record in &self.project.records {
            let first = |name: &str| record.places().find_map(|place| record.get(name, place));
            let Some(number) = first(&field.name).and_then(|text| PhoneNumber::parse(text, "US").ok()) else {
                continue;
            };
            if phones.iter().any(|phone| phone.number == number.expose()) {
                continue;
            }
            phones.push(RecordPhone {
                number: number.expose().to_owned(),
                record: record.id.clone(),
                name: names.iter().find_map(|name| first(&name.name)).map(str::to_owned),
            });
        }
        phones
    }
}

pub(crate) fn router(world: &Arc<World>) -> Router<Arc<World>> {
    api::router().merge(survey::router()).layer(middleware::from_fn_with_state(Arc::clone(world), ail))
}

/// Lets a planned trouble take the place of the answer.
async fn ail(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    next: Next,
) -> Response {
    let fault = world.plan().redcap;
    match fault {
        None => next.run(request).await,
        Some(RedcapFault::Down) => {
            line.hang_up();
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Some(RedcapFault::HtmlError) => {
            Html("<!DOCTYPE html>\n<title>Log in</title>\n<p>Please log in.</p>\n").into_response()
        }
        Some(RedcapFault::NotPermitted) => {
            (StatusCode::FORBIDDEN, r#"{"error":"You do not have permissions to use the API"}"#)
                .into_response()
        }
    }
}
