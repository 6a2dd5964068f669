//! A REDCap with one project.

mod answers;
mod api;

mod desk;
mod export;
mod import;
mod links;
mod log;
mod page;
mod place;
mod records;
mod survey;
mod trigger;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Request as HttpRequest, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use jiff::civil::DateTime;
use redcap::calculate::Calculations;
use redcap::project::Project;
use redcap::record::{Place, Record, SurveyTimestamp};
use twilio::{PhoneNumber, Wire};

use crate::connection::Line;
use crate::faults::RedcapFault;
use crate::form::encode;
use crate::world::World;
pub use desk::NotImported;
use links::{Links, Target};
use log::{Deed, Log};
use records::Records;
pub(crate) use trigger::{Saved, tell};

/// REDCap from within: the study team at their desks, and a participant in a hurry. Clones speak to the
/// same project.
#[derive(Clone)]
pub struct Redcap {
    pub(crate) world: Arc<World>,
    /// Answers whoever opens a survey's page.
    pub(crate) pages: Wire,
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
        self.world.study().records.iter().map(|record| record.id.clone()).collect()
    }

    /// A whole record, as it is now.
    pub fn record(&self, id: &str) -> Option<Record> {
        self.world.study().records.get(id).cloned()
    }

    /// A value; none if blank. Checkboxes are asked for by column (`symptoms___1`).
    pub fn value(&self, record: &str, field: &str, place: &Place) -> Option<String> {
        self.world.study().records.get(record)?.get(field, place).map(str::to_owned)
    }

    /// When a survey was submitted. `event: None` is a classic project's.
    pub fn survey_completed(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Option<String> {
        match self.world.study().records.get(record)?.survey_timestamp(instrument, event, instance)? {
            SurveyTimestamp::Completed(at) => Some(at.clone()),
            SurveyTimestamp::NotCompleted => None,
        }
    }

    /// The survey to which a link leads; none if it leads nowhere.
    pub fn survey_behind(&self, link: &str) -> Option<String> {
        let (_, hash) = link.split_once("?s=")?;
        let study = self.world.study();
        study.links.target(hash).map(|target| target.instrument.clone())
    }

    /// A participant opens the link and submits the page with these answers. Checkboxes are given
    /// by column (`symptoms___1`, `1`). Values outside a soft range are insisted on.
    pub async fn complete_survey(&self, link: &str, answers: &[(&str, &str)]) -> SurveyOutcome {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in answers {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
            pairs.push((answers::seen(name), (*value).to_owned()));
        }
        let Ok(request) = HttpRequest::post(link).body(encode(&pairs).into()) else {
            return SurveyOutcome::NotFound;
        };
        let Ok(response) = (self.pages)(request).await else { return SurveyOutcome::Failed };
        let html = String::from_utf8_lossy(response.body());
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
    /// Its records are kept apart.
    pub(crate) project: Project,
    /// Read from the project once, for there may be hundreds.
    calculations: Calculations,
    records: Records,
    token: String,
    pub(crate) trigger: Option<String>,
    pub(crate) phone_field: Option<String>,
    log: Log,
    links: Links,
    /// When REDCap itself sends or sent an invitation.
    invitations: BTreeMap<Target, DateTime>,
}

/// A phone that is in a record.
pub(crate) struct RecordPhone {
    pub(crate) number: String,
    pub(crate) record: String,
    pub(crate) name: Option<String>,
}

impl Study {
    pub(crate) fn new(mut project: Project, token: String, now: DateTime) -> Self {
        let mut records = Records::default();
        for record in std::mem::take(&mut project.records) {
            records.add(record, now);
        }
        Self {
            calculations: Calculations::of(&project),
            project,
            records,
            links: Links::new(&token),
            token,
            trigger: None,
            phone_field: None,
            log: Log::default(),
            invitations: BTreeMap::new(),
        }
    }

    fn first_event(&self) -> String {
        let first = self.project.events.first();
        first.map_or_else(|| redcap::project::CLASSIC_EVENT.to_owned(), |event| event.unique_name.clone())
    }

    /// Stores values on one form, with everything REDCap does about a save but telling the trigger. `thing` is
    /// what the log says was changed.
    fn store(
        &mut self,
        target: &Target,
        values: &[(String, String)],
        user: &str,
        (deed, thing): (Deed, &str),
        now: DateTime,
    ) {
        let place = Place::of(&self.project, &target.event, &target.instrument, target.instance);
        let record = self.records.change(&target.record, now);
        record.set(&self.project.record_id_field, &place, &target.record);
        let mut changes = Vec::new();
        for (name, value) in values {
            if record.get(name, &place).unwrap_or_default() != value {
                record.set(name, &place, value);
                changes.push(log::detail(&self.project, name, value));
            }
        }
        self.recalculate(&target.record, now);
        let verb = if deed == Deed::Create { "Create" } else { "Update" };
        let whereabouts = log::whereabouts(&self.project, target);
        let action = format!("{verb} {thing} {}{whereabouts}", target.record);
        self.note(now, deed, user, action, log::details(&place, changes), &target.record);
    }

    /// Computes what follows from a change of a record.
    fn recalculate(&mut self, id: &str, now: DateTime) {
        let record = self.records.change(id, now);
        self.calculations.recalculate(&self.project, record, now);
    }

    /// Writes a row of the log.
    fn note(&mut self, at: DateTime, deed: Deed, user: &str, action: String, details: String, record: &str) {
        let (user, record) = (user.to_owned(), record.to_owned());
        self.log.push(at, log::Row { deed, user, action, details, record });
    }

    /// What follows from a change of the design.
    fn redesigned(&mut self) {
        self.project.records.clear();
        self.calculations = Calculations::of(&self.project);
    }

    fn saved(&self, target: &Target, user: &str) -> Saved {
        let place = Place::of(&self.project, &target.event, &target.instrument, target.instance);
        let status = format!("{}_complete", target.instrument);
        let status = self.records.get(&target.record).and_then(|record| record.get(&status, &place));
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
        for record in self.records.iter() {
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
