//! By hand: what a person sends beside the schedules. Records are invited from the participant list; the numbers
//! of a list are invited to the public survey, and have no record until they answer. Each call makes one batch,
//! and each invitation of it is an occasion as any other: it takes the whole road, and the log shows it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use policy::contract::redcap::SurveyState;
use policy::contract::types::{DeliveryMethod, Purpose, Survey};
use redcap::Record;
use redcap::client::ExportRecords;
use sha2::{Digest, Sha256};
use twilio::PhoneNumber;

use crate::facts::survey_state;
use crate::gateway::Gateway;
use crate::outbox::{NewMessage, Reason, masked};
use crate::project::Project;
use crate::record::without_values;
use crate::schedule::{Design, Origin, Permission, Whom, instant};
use crate::store::{Committed, Step, Store, StoreError};
use crate::trigger;

/// What the schedule of an invitation by hand begins with; the survey follows.
pub const BY_HAND: &str = "by-hand/";

/// Invitations that are written in one step.
const AT_ONCE: usize = 500;

/// Whether a schedule's id is that of something that a person sent.
pub fn is_by_hand(schedule: &str) -> bool {
    schedule.starts_with(BY_HAND)
}

/// Whom of the participant list to invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Every record.
    All,
    /// Those whose survey is not complete.
    NotAnswered,
    /// These records.
    Records(Vec<String>),
}

/// What a person wants sent, whoever gets it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Names it for ever: the same call again, as after an answer that was lost, makes nothing twice. One is made
    /// up when none is given.
    pub id: Option<String>,
    /// When, in seconds; none for now.
    pub at: Option<u32>,
    /// The wording; none when the template policy chooses.
    pub wording: Option<String>,
    /// Who wants it, and why.
    pub why: String,
}

/// An invitation of records to a survey.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The survey's instrument.
    pub instrument: String,
    /// Its event; none for the first at which it is.
    pub event: Option<String>,
    /// Its repeat instance.
    pub instance: u32,
    /// Whom.
    pub who: Who,
    /// When and how.
    pub batch: Batch,
}

/// An invitation of a list of numbers to the public survey.
#[derive(Clone, Debug)]
pub struct InviteList {
    /// The rows.
    pub rows: Vec<ListRow>,
    /// Whether the good rows are invited although there are bad ones.
    pub skip_bad: bool,
    /// When and how.
    pub batch: Batch,
}

/// A row of a list, as it is written.
#[derive(Clone, Default)]
pub struct ListRow {
    /// Its line, counted from 1.
    pub line: u64,
    /// The number.
    pub number: String,
    /// The date on which it permitted to be texted.
    pub date: String,
    /// How: "written", "verbal-documented" or "electronic".
    pub manner: String,
    /// Who documented that.
    pub documented_by: String,
}

impl std::fmt::Debug for ListRow {
    /// It holds a number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListRow").field("line", &self.line).finish_non_exhaustive()
    }
}

/// A row of a list that nobody is texted for. It does not repeat the number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BadRow {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it, as a lowercase fragment.
    pub reason: String,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    /// The batch.
    pub batch: String,
    /// The messages that are new.
    pub messages: Vec<String>,
    /// How many were made before, by the same batch.
    pub known: usize,
    /// How many rows of a list repeat a number.
    pub repeated: usize,
    /// Rows that were left out.
    pub skipped: Vec<BadRow>,
}

/// Why nothing is sent by hand.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// There is no such project.
    #[error("there is no project `{0}` in the configuration")]
    Project(String),
    /// REDCap has not answered yet.
    #[error("REDCap has not said yet what the project is; try again when it is reachable")]
    NotReady,
    /// REDCap does not tell its records.
    #[error("the records cannot be read: {0}")]
    Redcap(String),
    /// The instrument is not a survey.
    #[error("`{0}` is not a survey of this project")]
    NotASurvey(String),
    /// The survey is not at the event.
    #[error("the survey `{0}` is not at the event `{1}`")]
    NotAtEvent(String, String),
    /// Some records are not there; nobody was invited.
    #[error("there is no record {}; nobody was invited", quoted(.0))]
    NoRecord(Vec<String>),
    /// There is no such schedule.
    #[error("there is no schedule `{0}`")]
    Schedule(String),
    /// There is no such wording.
    #[error("there is no wording `{0}`")]
    Wording(String),
    /// What names the batch has other characters than names have.
    #[error("a batch is named with at most 64 letters, digits and hyphens")]
    Batch,
    /// Nobody said who wants it.
    #[error("nobody says who wants it, and why")]
    Why,
    /// The project's public survey has no link here.
    #[error("the project has no `public-survey-link`")]
    NoPublicLink,
    /// The first instrument is not a survey that takes answers.
    #[error("the project has no public survey: its first instrument is not an active survey")]
    NoPublicSurvey,
    /// Links by text are not enabled.
    #[error("the method `sms-link` is not enabled, and a list goes by no other")]
    Method,
    /// The list is empty.
    #[error("the list has no rows")]
    Empty,
    /// Some rows are bad; nobody was invited.
    #[error("{} row{} of the list cannot be used; nobody was invited", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    BadRows(Vec<BadRow>),
    /// The store failed.
    #[error("remember the invitation")]
    Store(#[from] StoreError),
}

impl InviteError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            InviteError::Project(_) => "the configuration names the projects",
            InviteError::NotReady | InviteError::Redcap(_) => {
                "check that REDCap is reachable and the token is good"
            }
            InviteError::NotASurvey(_) | InviteError::NotAtEvent(..) => {
                "name the survey by its instrument, as `consentry schedules` shows it, and its event by its unique name"
            }
            InviteError::NoRecord(_) => "check the records; one may have been renamed or deleted",
            InviteError::Wording(_) => "the wordings are those of the project's file, by their ids",
            InviteError::Schedule(_) => "`consentry schedules` shows them",
            InviteError::Batch => "leave the batch out, and one is made up",
            InviteError::Why => "say who wants it, and why: it is in the ledger for ever",
            InviteError::NoPublicLink => {
                "copy the public survey link from REDCap into [schedules] public-survey-link; REDCap's API does not \
                 tell it"
            }
            InviteError::NoPublicSurvey => {
                "in REDCap the public survey is the first instrument, and it must be an active survey"
            }
            InviteError::Method => "enable it in [messages] methods",
            InviteError::Empty => "the list has a header and one row for each number",
            InviteError::BadRows(_) => {
                "mend the rows, or skip them; nobody is texted without a documented permission, which is a date, a \
                 manner (written, verbal-documented, electronic) and who documented it"
            }
            InviteError::Store(_) => "the log says what became of the database",
        }
    }
}

fn quoted(records: &[String]) -> String {
    let some: Vec<_> = records.iter().take(10).map(|record| format!("`{record}`")).collect();
    let rest = records.len().saturating_sub(some.len());
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    some.join(", ") + &more
}

impl Gateway {
    /// Invites records to a survey.
    pub async fn invite_records(&self, project: &str, wanted: &Invite) -> Result<Planned, InviteError> {
        let (project, design) = self.ready(project)?;
        let planned = invite(project, &design, &self.store, self.clock.seconds(), wanted).await?;
        self.wake_deciding(&project.name);
        Ok(planned)
    }

    /// Invites a list of numbers to the public survey.
    pub async fn invite_list(&self, project: &str, wanted: &InviteList) -> Result<Planned, InviteError> {
        let (project, design) = self.ready(project)?;
        let planned = invite_list(project, &design, &self.store, self.clock.seconds(), wanted).await?;
        self.wake_deciding(&project.name);
        Ok(planned)
    }

    /// Invites one record to a survey, whether REDCap knows it or not: the message says so. Each call is an occasion
    /// of its own.
    pub async fn invite(
        &self,
        project: &str,
        record: &str,
        instrument: &str,
        wording: Option<String>,
    ) -> Result<String, InviteError> {
        let (project, design) = self.ready(project)?;
        let now = self.clock.seconds();
        let survey = trigger::survey(&design.model, instrument, None)
            .ok_or_else(|| InviteError::NotASurvey(instrument.into()))?;
        let batch = Batch { wording, ..Batch::default() };
        let new = message(project, &survey, record, &batch, &new_batch()?, now);
        let planned = plan(&self.store, vec![new]).await?;
        self.wake_deciding(&project.name);
        Ok(planned.into_iter().next().unwrap_or_default())
    }

    pub(crate) fn ready(
        &self,
        project: &str,
    ) -> Result<(&std::sync::Arc<Project>, std::sync::Arc<Design>), InviteError> {
        let project = self.projects.get(project).ok_or_else(|| InviteError::Project(project.into()))?;
        Ok((project, project.design().ok_or(InviteError::NotReady)?))
    }
}

/// Plans invitations of records to a survey. All of them or, if something is wrong, none.
pub async fn invite(
    project: &Project,
    design: &Design,
    store: &Store,
    now: u32,
    wanted: &Invite,
) -> Result<Planned, InviteError> {
    let model = &design.model;
    check(project, design, &wanted.batch)?;
    let instrument = &wanted.instrument;
    let mut survey = trigger::survey(model, instrument, wanted.event.as_deref())
        .ok_or_else(|| InviteError::NotASurvey(instrument.clone()))?;
    survey.instance = wanted.instance.max(1);
    if let Some(event) = &survey.event
        && !model.form_events.iter().any(|at| at.instrument == *instrument && at.event == *event)
    {
        return Err(InviteError::NotAtEvent(instrument.clone(), event.clone()));
    }
    let records = match &wanted.who {
        Who::Records(named) => read(project, model, named.clone()).await?,
        Who::All | Who::NotAnswered => {
            let all = read(project, model, vec![]).await?;
            all.into_iter().filter(|record| is_in_arm(model, record, &survey)).collect()
        }
    };
    if let Who::Records(named) = &wanted.who {
        let there: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
        let missing: Vec<_> = named.iter().filter(|record| !there.contains(record)).cloned().collect();
        if !missing.is_empty() {
            return Err(InviteError::NoRecord(missing));
        }
    }
    let answered = |record: &&Record| {
        let event = survey.event.as_deref();
        survey_state(model, record, instrument, event, survey.instance) == SurveyState::Complete
    };
    let batch = wanted.batch.id.clone().map_or_else(new_batch, Ok)?;
    let invited = records.iter().filter(|record| wanted.who != Who::NotAnswered || !answered(record));
    let news: Vec<_> =
        invited.map(|record| message(project, &survey, &record.id, &wanted.batch, &batch, now)).collect();
    let count = news.len();
    let messages = plan(store, news).await?;
    Ok(Planned { known: count - messages.len(), batch, messages, ..Planned::default() })
}

/// Plans invitations of a list of numbers to the public survey. A number is invited once in a batch.
pub async fn invite_list(
    project: &Project,
    design: &Design,
    store: &Store,
    now: u32,
    wanted: &InviteList,
) -> Result<Planned, InviteError> {
    check(project, design, &wanted.batch)?;
    let model = &design.model;
    let first = model.instruments.first().and_then(|first| trigger::survey(model, &first.name, None));
    let survey = first.ok_or(InviteError::NoPublicSurvey)?;
    if !model.survey(&survey.instrument).is_some_and(|settings| settings.enabled) {
        return Err(InviteError::NoPublicSurvey);
    }
    if project.takes_over.public_survey_link.is_none() {
        return Err(InviteError::NoPublicLink);
    }
    if !project.methods.contains(&DeliveryMethod::SmsLink) {
        return Err(InviteError::Method);
    }
    let mut good: BTreeMap<PhoneNumber, Permission> = BTreeMap::new();
    let (mut bad, mut repeated) = (Vec::new(), 0);
    for row in &wanted.rows {
        match listed(project, row, now) {
            Ok((number, permission)) => {
                repeated += usize::from(good.insert(number, permission).is_some());
            }
            Err(reason) => bad.push(BadRow { line: row.line, reason }),
        }
    }
    if !bad.is_empty() && !wanted.skip_bad {
        return Err(InviteError::BadRows(bad));
    }
    if good.is_empty() {
        return Err(if bad.is_empty() { InviteError::Empty } else { InviteError::BadRows(bad) });
    }
    let batch = wanted.batch.id.clone().map_or_else(new_batch, Ok)?;
    let salt = store.salt();
    let news = good.into_iter().map(|(number, permission)| {
        // Names the number within its batch, and tells it to nobody who has not the database's keys.
        let mut sha = Sha256::new();
        sha.update(&salt);
        sha.update(number.expose());
        let name = &hex::encode(sha.finalize())[..16];
        let occasion = format!("{}/{BY_HAND}{}/list/{batch}/{name}", project.name, survey.instrument);
        let origin = Origin { whom: Whom::List, permission: Some(permission), ..origin(&survey) };
        let mut new = by_hand(project, &survey, &wanted.batch, occasion, origin, now);
        new.number = Some(number);
        new
    });
    let news: Vec<_> = news.collect();
    let count = news.len();
    let messages = plan(store, news).await?;
    Ok(Planned { known: count - messages.len(), batch, messages, repeated, skipped: bad })
}

/// The link to the public survey of a project.
pub(crate) fn public_link(project: &Project) -> Result<String, Reason> {
    let missing = || Reason::new("facts.survey-link", InviteError::NoPublicLink.to_string());
    project.takes_over.public_survey_link.clone().ok_or_else(missing)
}

fn check(project: &Project, design: &Design, batch: &Batch) -> Result<(), InviteError> {
    if batch.why.trim().is_empty() {
        return Err(InviteError::Why);
    }
    let plain = |id: &String| {
        (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if batch.id.as_ref().is_some_and(|id| !plain(id)) {
        return Err(InviteError::Batch);
    }
    let mut wordings = project.wordings.iter().chain(&design.wordings);
    match &batch.wording {
        Some(id) if !wordings.any(|wording| wording.id == *id) => Err(InviteError::Wording(id.clone())),
        _ => Ok(()),
    }
}

async fn read(
    project: &Project,
    model: &redcap::Project,
    records: Vec<String>,
) -> Result<Vec<Record>, InviteError> {
    let wanted = ExportRecords { records, survey_fields: true, ..ExportRecords::default() };
    let rows = project.redcap.export_records(&wanted).await;
    let rows = rows.map_err(|error| InviteError::Redcap(without_values(&error)))?;
    Ok(redcap::record::from_flat_rows(model, &rows))
}

/// Whether a record is in the arm to which a survey's event belongs.
fn is_in_arm(model: &redcap::Project, record: &Record, survey: &Survey) -> bool {
    let arm = |event: &str| model.event(event).map(|event| event.arm);
    let Some(own) = survey.event.as_deref().and_then(arm) else { return true };
    record.places().any(|place| place.event.as_deref().and_then(arm) == Some(own))
}

fn new_batch() -> Result<String, StoreError> {
    crate::store::random::<8>().map(hex::encode)
}

fn origin(survey: &Survey) -> Origin {
    Origin {
        schedule: format!("{BY_HAND}{}", survey.instrument),
        event: survey.event.clone(),
        instrument: None,
        instance: survey.instance,
        repetition: 1,
        reminder: 0,
        whom: Whom::Participant,
        permission: None,
    }
}

fn message(
    project: &Project,
    survey: &Survey,
    record: &str,
    wanted: &Batch,
    batch: &str,
    now: u32,
) -> NewMessage {
    let occasion = format!("{}/{BY_HAND}{}/{record}/{batch}", project.name, survey.instrument);
    let mut new = by_hand(project, survey, wanted, occasion, origin(survey), now);
    new.record = Some(record.to_owned());
    new
}

fn by_hand(
    project: &Project,
    survey: &Survey,
    wanted: &Batch,
    occasion: String,
    origin: Origin,
    now: u32,
) -> NewMessage {
    let due = wanted.at.unwrap_or(now).max(now);
    NewMessage {
        survey: Some(survey.clone()),
        wording: wanted.wording.clone(),
        origin: Some(origin),
        // What a person types may hold a number, and these words are kept for ever.
        cause: Some(masked(wanted.why.trim())).filter(|why| !why.is_empty()),
        not_after: Some(due.saturating_add(project.takes_over.not_after)),
        ..NewMessage::about(&project.name, occasion, Purpose::Invitation, due)
    }
}

async fn plan(store: &Store, news: Vec<NewMessage>) -> Result<Vec<String>, StoreError> {
    let mut planned = Vec::new();
    for news in news.chunks(AT_ONCE) {
        if let Committed::Planned(ids) = store.commit(Step::Plan(news.to_vec())).await? {
            planned.extend(ids);
        }
    }
    Ok(planned)
}

/// A row's number and permission, or what is wrong with it.
fn listed(project: &Project, row: &ListRow, now: u32) -> Result<(PhoneNumber, Permission), String> {
    let number = PhoneNumber::parse(&row.number, &project.region);
    let number = number.map_err(|error| format!("this is no number to text: {error}"))?;
    let why = "so nothing says that this number may be texted";
    let date = row.date.trim();
    if date.is_empty() {
        return Err(format!("it has no date of the permission, {why}"));
    }
    let date: Date = date.parse().map_err(|_| "its date is not one, such as 2026-11-20".to_owned())?;
    let given = instant(date.at(0, 0, 0, 0), &project.zone).filter(|given| *given <= now);
    let given = given.ok_or_else(|| "its permission is of a day that is still to come".to_owned())?;
    let manner = row.manner.trim();
    if !MANNERS.contains(&manner) {
        return Err(format!("its manner is none of {}, {why}", MANNERS.join(", ")));
    }
    let documented_by = row.documented_by.trim();
    if documented_by.is_empty() {
        return Err(format!("nobody is named who documented the permission, {why}"));
    }
    let permission = Permission { given, manner: manner.into(), documented_by: masked(documented_by) };
    Ok((number, permission))
}

/// How a permission may have been obtained.
const MANNERS: [&str; 3] = ["written", "verbal-documented", "electronic"];
