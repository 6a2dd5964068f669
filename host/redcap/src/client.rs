//! The API, one request at a time.
//!
//! Reads are tried again after trouble on the way; imports never are, because an import whose answer
//! was lost may have been carried out. A caller may repeat an [`Overwrite::Normal`] import of rows
//! with explicit record ids and instances: the second run stores what the first one stored.
//!
//! Every time that goes in or out is the server's local time, without a zone.

mod trigger;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::dictionary;
use crate::project::{CLASSIC_EVENT, Choice, Event, Field, FormEvent, Instrument, Repeating, parse_choices};
use crate::record::text;
pub use trigger::TriggerTarget;
pub use wire::{Cause, Wire};
use wire::{Lost, Transport};

/// How to reach one project.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The API's address, as in `https://redcap.example.org/api/`.
    pub url: String,
    /// 32 hexadecimal digits, for one user in one project.
    pub token: SecretString,
    /// How long one answer may take, from connecting to its last byte.
    pub timeout: Duration,
}

impl ClientConfig {
    /// With a time-out of a minute: large exports take a while, and nothing takes longer.
    #[must_use]
    pub fn new(url: &str, token: SecretString) -> Self {
        Self { url: url.to_owned(), token, timeout: Duration::from_mins(1) }
    }
}

/// What happens between two tries; it is given the number of tries made so far.
pub type Backoff = Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>;

/// Whose turn it is.
#[expect(
    clippy::disallowed_types,
    reason = "it is held while REDCap answers, and who waits in line waits for that"
)]
type Turn = tokio::sync::Mutex<()>;

/// A project's API.
pub struct Client {
    transport: Transport,
    url: Url,
    token: SecretString,
    backoff: Option<Backoff>,
    /// No rate limit is published, so a project is asked one thing at a time.
    turn: Turn,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Why the API gave no answer. Whether it is worth asking again is told by [`ApiError::is_passing`].
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the API address `{url}` {reason}")]
    Address { url: String, reason: &'static str },
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// Nothing came back, or not all of it.
    #[error("no answer to `content={content}`")]
    Transport {
        content: &'static str,
        /// Whether the request may have been carried out all the same. Only ever true for imports.
        may_have_happened: bool,
        #[source]
        source: Cause,
    },
    /// A POST does not survive a redirect, so none is followed.
    #[error("the API address redirects to {}", location.as_deref().map_or("elsewhere".to_owned(), |to| format!("`{to}`")))]
    Redirected { location: Option<String> },
    /// The token is wrong, or its user lacks a right.
    #[error("not permitted: {message}")]
    NotPermitted { message: String },
    /// REDCap said no.
    #[error("REDCap refused `content={content}` with status {status}: {message}")]
    Refused { content: &'static str, status: u16, message: String },
    /// An import was turned down as a whole because of some values. The values are not kept.
    #[error("REDCap turned the import down: {}", refused_values(.values))]
    ImportRefused { values: Vec<RefusedValue> },
    /// A login page, a proxy's page or a PHP error: anything for people instead of programs.
    #[error("a web page came back instead of an answer to `content={content}` (status {status})")]
    Html { content: &'static str, status: u16 },
    #[error("the answer to `content={content}` is not {expected}")]
    Unreadable { content: &'static str, expected: &'static str },
}

/// A value that REDCap did not import, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedValue {
    pub field: String,
    pub reason: String,
}

fn refused_values(values: &[RefusedValue]) -> String {
    let all: Vec<_> = values.iter().map(|value| format!("`{}`: {}", value.field, value.reason)).collect();
    all.join("; ")
}

impl ApiError {
    /// Whether the same request may well succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Refused { status, .. } | Self::Html { status, .. } => is_passing(*status),
            _ => false,
        }
    }

    /// Whether an import may have been carried out although no answer says so.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Transport { may_have_happened: true, .. })
    }
}

/// The statuses public clients try again on.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 500 | 502 | 503 | 504)
}

/// Which rows and columns to export. Empty lists mean everything.
#[derive(Debug, Clone, Default)]
pub struct ExportRecords {
    pub records: Vec<String>,
    /// List the record-id field too: it is not added by itself.
    pub fields: Vec<String>,
    pub forms: Vec<String>,
    pub events: Vec<String>,
    /// A condition in REDCap's logic. In a longitudinal project it is tested row by row.
    pub filter_logic: Option<String>,
    /// Whether to add `<form>_timestamp` columns, the only sight of how far a survey got.
    pub survey_fields: bool,
    /// Only records changed since then: `YYYY-MM-DD HH:MM:SS`, server time. Whole records come back.
    pub changed_since: Option<String>,
}

/// What an import does with blanks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Blanks are ignored.
    #[default]
    Normal,
    /// Blanks erase.
    Overwrite,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOutcome {
    /// How many records were touched.
    pub count: u64,
}

/// What the API tells about a project as a whole.
#[expect(clippy::struct_excessive_bools, reason = "the API's own independent switches")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectInfo {
    pub id: String,
    pub title: String,
    pub longitudinal: bool,
    pub repeating: bool,
    pub surveys_enabled: bool,
    pub record_autonumbering: bool,
    pub in_production: bool,
    pub missing_data_codes: Vec<Choice>,
}

/// A row of the participant list.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Participant {
    pub email: String,
    /// Tells participants with the same address apart, counted from 1.
    pub email_occurrence: u32,
    pub identifier: String,
    /// None if the list is old enough not to say, or the participant has no record yet.
    pub record: Option<String>,
    /// Whether REDCap itself has sent an invitation.
    pub invitation_sent: bool,
    /// When REDCap itself will send the next one, in server time; none if it will not.
    pub invitation_send_time: Option<String>,
    pub response: Response,
    pub access_code: String,
    pub survey_link: String,
    /// None if the project has no queue, or the list is old enough not to say.
    pub survey_queue_link: Option<String>,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("response", &self.response).finish_non_exhaustive()
    }
}

/// Which rows of the log to read. The default reads all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadLog {
    pub kind: LogKind,
    pub record: Option<String>,
    /// `YYYY-MM-DD HH:MM`, server time. Times are told by the minute, so windows should overlap.
    pub begin: Option<String>,
    pub end: Option<String>,
}

/// What kind of rows of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogKind {
    #[default]
    All,
    /// What was done to records: created, changed, deleted.
    Record,
    RecordAdd,
    RecordEdit,
    RecordDelete,
    /// Changes of the project itself.
    Manage,
}

impl LogKind {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Record => "record",
            Self::RecordAdd => "record_add",
            Self::RecordEdit => "record_edit",
            Self::RecordDelete => "record_delete",
            Self::Manage => "manage",
        }
    }
}

/// A row of the log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LogRow {
    /// `YYYY-MM-DD HH:MM`, server time.
    pub at: String,
    /// `[survey respondent]` for what came from a survey page.
    pub user: String,
    /// As in `Update record 5`, `Create Response 5`, `Delete record 5`, `Manage/Design`.
    pub action: String,
    /// What was changed. Quotes within values are not told from those around them, so this is for people.
    pub details: String,
    /// None for what concerns no record.
    pub record: Option<String>,
}

impl fmt::Debug for LogRow {
    /// The details hold what a participant answered, and the action names the record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRow").field("at", &self.at).finish_non_exhaustive()
    }
}

/// How far a participant got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Response {
    #[default]
    None,
    Partial,
    Complete,
}

type Form = Vec<(String, String)>;

impl Client {
    /// Sets up a client that goes over the network; nothing is asked yet. Plain `http` is for this machine
    /// only, because the token travels in the request.
    pub fn new(config: ClientConfig) -> Result<Self, ApiError> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10).min(config.timeout))
            .timeout(config.timeout)
            .build()
            .map_err(ApiError::Setup)?;
        Self::by(config, Transport::Network(http))
    }

    /// Sets up a client whose requests a service in this process answers. It waits for as long as that takes.
    pub fn over(config: ClientConfig, wire: Wire) -> Result<Self, ApiError> {
        Self::by(config, Transport::InProcess(wire))
    }

    fn by(config: ClientConfig, transport: Transport) -> Result<Self, ApiError> {
        let refuse = |reason| ApiError::Address { url: config.url.clone(), reason };
        let url = Url::parse(&config.url).map_err(|_| refuse("is not a URL"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(refuse("is not encrypted; use `https`")),
            _ => return Err(refuse("is not an `https` URL")),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(ApiError::Address {
                url: "…".to_owned(),
                reason: "carries a login or a query, which an API address has not",
            });
        }
        Ok(Self { transport, url, token: config.token, backoff: None, turn: Turn::new(()) })
    }

    /// Waits as told between tries; without it the next try follows at once.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// The form of a record as staff see it, who must log in. The API does not tell it; it is what REDCap's own
    /// pages link to, in the version that wrote the project file.
    #[must_use]
    pub fn form_url(&self, version: &str, project_id: &str, record: &str, instrument: &str) -> String {
        let mut url = self.url.join("../").unwrap_or_else(|_| self.url.clone());
        if let Ok(page) = url.join(&format!("redcap_v{version}/DataEntry/index.php")) {
            url = page;
        }
        url.query_pairs_mut()
            .append_pair("pid", project_id)
            .append_pair("id", record)
            .append_pair("page", instrument);
        url.into()
    }

    /// REDCap's version, as in `16.1.3`.
    pub async fn version(&self) -> Result<String, ApiError> {
        let version = self.read("version", Vec::new()).await?;
        let version = version.trim().trim_matches('"').to_owned();
        let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() < 40;
        if is_version { Ok(version) } else { Err(unreadable("version", "a version number")) }
    }

    pub async fn project(&self) -> Result<ProjectInfo, ApiError> {
        let answer = self.read("project", Vec::new()).await?;
        let row: Map<String, Value> =
            serde_json::from_str(&answer).map_err(|_| unreadable("project", "a JSON object"))?;
        let flag = |key: &str| text(row.get(key)) == "1";
        Ok(ProjectInfo {
            id: text(row.get("project_id")),
            title: text(row.get("project_title")),
            longitudinal: flag("is_longitudinal"),
            repeating: flag("has_repeating_instruments_or_events"),
            surveys_enabled: flag("surveys_enabled"),
            record_autonumbering: flag("record_autonumbering_enabled"),
            in_production: flag("in_production"),
            missing_data_codes: parse_choices(&text(row.get("missing_data_codes"))),
        })
    }

    /// The data dictionary. The first field is the record id.
    pub async fn metadata(&self) -> Result<Vec<Field>, ApiError> {
        Ok(dictionary::fields_of(&self.rows("metadata", Vec::new()).await?))
    }

    pub async fn instruments(&self) -> Result<Vec<Instrument>, ApiError> {
        let rows = self.rows("instrument", Vec::new()).await?;
        Ok(rows
            .iter()
            .map(|row| Instrument {
                name: text(row.get("instrument_name")),
                label: text(row.get("instrument_label")),
            })
            .collect())
    }

    /// The events; none for a classic project.
    pub async fn events(&self) -> Result<Vec<Event>, ApiError> {
        let rows = self.rows_or_none("event").await?;
        Ok(rows
            .iter()
            .map(|row| Event {
                unique_name: text(row.get("unique_event_name")),
                label: text(row.get("event_name")),
                arm: text(row.get("arm_num")).parse().unwrap_or(1),
                ..Event::default()
            })
            .collect())
    }

    /// Which instruments belong to which events; none for a classic project.
    pub async fn form_event_mapping(&self) -> Result<Vec<FormEvent>, ApiError> {
        let rows = self.rows_or_none("formEventMapping").await?;
        Ok(rows
            .iter()
            .map(|row| FormEvent {
                event: text(row.get("unique_event_name")),
                instrument: text(row.get("form")),
            })
            .collect())
    }

    /// What repeats; nothing if the project has no repeats.
    pub async fn repeating_forms_events(&self) -> Result<Vec<Repeating>, ApiError> {
        let rows = self.rows_or_none("repeatingFormsEvents").await?;
        Ok(rows
            .iter()
            .map(|row| Repeating {
                event: filled(row, "event_name").unwrap_or_else(|| CLASSIC_EVENT.to_owned()),
                instrument: filled(row, "form_name"),
                custom_label: text(row.get("custom_form_label")),
            })
            .collect())
    }

    /// Raw values in flat rows. A form that was never touched has a blank status, not `0`.
    pub async fn export_records(&self, wanted: &ExportRecords) -> Result<Vec<Map<String, Value>>, ApiError> {
        let mut form = vec![
            pair("type", "flat"),
            pair("rawOrLabel", "raw"),
            pair("exportBlankForGrayFormStatus", "true"),
            pair("exportSurveyFields", if wanted.survey_fields { "true" } else { "false" }),
        ];
        for (name, list) in [
            ("records", &wanted.records),
            ("fields", &wanted.fields),
            ("forms", &wanted.forms),
            ("events", &wanted.events),
        ] {
            form.extend(
                list.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item.clone())),
            );
        }
        form.extend(wanted.filter_logic.iter().map(|logic| pair("filterLogic", logic)));
        form.extend(wanted.changed_since.iter().map(|since| pair("dateRangeBegin", since)));
        self.rows("record", form).await
    }

    /// Stores values. It does not make a survey response complete: only the survey page does.
    pub async fn import_records(
        &self,
        rows: &[Map<String, Value>],
        overwrite: Overwrite,
    ) -> Result<ImportOutcome, ApiError> {
        let data = Value::Array(rows.iter().cloned().map(Value::Object).collect()).to_string();
        let form = vec![
            pair("type", "flat"),
            pair(
                "overwriteBehavior",
                match overwrite {
                    Overwrite::Normal => "normal",
                    Overwrite::Overwrite => "overwrite",
                },
            ),
            pair("forceAutoNumber", "false"),
            pair("dateFormat", "YMD"),
            pair("returnContent", "count"),
            ("data".to_owned(), data),
        ];
        let _turn = self.turn.lock().await;
        let answer = match self.ask("record", &form, true).await {
            Err(ApiError::Refused { status, message, .. }) if status == 400 || status == 406 => {
                return Err(import_refused(status, message));
            }
            other => other?,
        };
        let answer: Value =
            serde_json::from_str(&answer).map_err(|_| unreadable("record", "a count of records"))?;
        let count = match &answer {
            Value::Object(object) => text(object.get("count")).parse().ok(),
            other => text(Some(other)).parse().ok(),
        };
        Ok(ImportOutcome { count: count.ok_or(unreadable("record", "a count of records"))? })
    }

    /// The link to a survey of a record. Asking again gives the same link, and asking starts nothing.
    /// The link never expires by itself: REDCap counts a time limit from its own invitations only.
    pub async fn survey_link(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Result<String, ApiError> {
        let form = of_response(record, instrument, event, instance);
        link("surveyLink", &self.read("surveyLink", form).await?)
    }

    /// The link to a record's survey queue. A project without a queue refuses it.
    pub async fn survey_queue_link(&self, record: &str) -> Result<String, ApiError> {
        link("surveyQueueLink", &self.read("surveyQueueLink", vec![pair("record", record)]).await?)
    }

    /// The code that is typed in place of a survey's link. The method is young: where it is not known, the
    /// participant list tells the code too.
    pub async fn survey_access_code(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Result<String, ApiError> {
        let form = of_response(record, instrument, event, instance);
        code("surveyAccessCode", &self.read("surveyAccessCode", form).await?)
    }

    /// The code that opens a response again. A survey that cannot be left and continued refuses it.
    pub async fn survey_return_code(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Result<String, ApiError> {
        let form = of_response(record, instrument, event, instance);
        code("surveyReturnCode", &self.read("surveyReturnCode", form).await?)
    }

    /// What was done in the project, newest first.
    pub async fn log(&self, wanted: &ReadLog) -> Result<Vec<LogRow>, ApiError> {
        let mut form = vec![pair("logtype", wanted.kind.name())];
        form.extend(wanted.record.iter().map(|record| pair("record", record)));
        form.extend(wanted.begin.iter().map(|begin| pair("beginTime", begin)));
        form.extend(wanted.end.iter().map(|end| pair("endTime", end)));
        let rows = self.rows("log", form).await?;
        Ok(rows
            .iter()
            .map(|row| LogRow {
                at: text(row.get("timestamp")),
                user: text(row.get("username")),
                action: text(row.get("action")),
                details: text(row.get("details")),
                record: filled(row, "record"),
            })
            .collect())
    }

    /// Who is to take a survey, as REDCap sees it.
    pub async fn participant_list(
        &self,
        instrument: &str,
        event: Option<&str>,
    ) -> Result<Vec<Participant>, ApiError> {
        let mut form = vec![pair("instrument", instrument)];
        form.extend(event.map(|event| pair("event", event)));
        let rows = self.rows("participantList", form).await?;
        Ok(rows
            .iter()
            .map(|row| Participant {
                email: text(row.get("email")),
                email_occurrence: text(row.get("email_occurrence")).parse().unwrap_or(1),
                identifier: text(row.get("identifier")),
                record: filled(row, "record"),
                invitation_sent: text(row.get("invitation_sent_status")) == "1",
                invitation_send_time: filled(row, "invitation_send_time"),
                response: match text(row.get("response_status")).as_str() {
                    "1" => Response::Partial,
                    "2" => Response::Complete,
                    _ => Response::None,
                },
                access_code: text(row.get("survey_access_code")),
                survey_link: text(row.get("survey_link")),
                survey_queue_link: filled(row, "survey_queue_link"),
            })
            .collect())
    }

    /// The project XML, for [`crate::odm::read_project`].
    pub async fn project_xml(&self, metadata_only: bool) -> Result<String, ApiError> {
        let only = if metadata_only { "true" } else { "false" };
        let form = vec![pair("returnMetadataOnly", only), pair("exportSurveyFields", "true")];
        self.read("project_xml", form).await
    }

    async fn rows(&self, content: &'static str, form: Form) -> Result<Vec<Map<String, Value>>, ApiError> {
        let answer = self.read(content, form).await?;
        serde_json::from_str(&answer).map_err(|_| unreadable(content, "a JSON list"))
    }

    /// REDCap answers 400 to a question a classic project has no answer to.
    async fn rows_or_none(&self, content: &'static str) -> Result<Vec<Map<String, Value>>, ApiError> {
        match self.rows(content, Vec::new()).await {
            Err(ApiError::Refused { status: 400, message, .. })
                if message.contains("classic project")
                    || message.contains("does not contain any repeating") =>
            {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Asks for something, and twice more if there was trouble that passes.
    async fn read(&self, content: &'static str, form: Form) -> Result<String, ApiError> {
        const TRIES: u32 = 3;
        let _turn = self.turn.lock().await;
        let mut tries = 1;
        loop {
            match self.ask(content, &form, false).await {
                Err(error) if error.is_passing() && tries < TRIES => {
                    if let Some(backoff) = &self.backoff {
                        backoff(tries).await;
                    }
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn ask(&self, content: &'static str, form: &Form, changes: bool) -> Result<String, ApiError> {
        let mut whole = vec![
            ("token", self.token.expose_secret()),
            ("content", content),
            // XML is the default of both, and of errors too.
            ("format", "json"),
            ("returnFormat", "json"),
        ];
        whole.extend(form.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(whole).finish();
        let request = http::Request::post(self.url.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .map_err(|source| ApiError::Transport {
                content,
                may_have_happened: false,
                source: source.into(),
            })?;
        let lost = |Lost { may_have_arrived, source }| ApiError::Transport {
            content,
            may_have_happened: changes && may_have_arrived,
            source,
        };
        let response = self.transport.carry(request).await.map_err(lost)?;
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|to| to.to_str().ok()).map(str::to_owned);
            return Err(ApiError::Redirected { location });
        }
        let body = String::from_utf8_lossy(response.body());
        judge(content, status, &body)
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn unreadable(content: &'static str, expected: &'static str) -> ApiError {
    ApiError::Unreadable { content, expected }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The value of a column; none if it is blank or not there.
fn filled(row: &Map<String, Value>, column: &str) -> Option<String> {
    Some(text(row.get(column))).filter(|value| !value.is_empty())
}

/// What names a response.
fn of_response(record: &str, instrument: &str, event: Option<&str>, instance: u32) -> Form {
    let mut form = vec![pair("record", record), pair("instrument", instrument)];
    form.extend(event.map(|event| pair("event", event)));
    form.push(pair("repeat_instance", &instance.to_string()));
    form
}

/// A link, which comes as plain text and now and then as JSON.
fn link(content: &'static str, answer: &str) -> Result<String, ApiError> {
    let link = answer.trim().trim_matches('"').replace("\\/", "/");
    match Url::parse(&link) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(link),
        _ => Err(unreadable(content, "a link")),
    }
}

/// A code, which comes as a link does.
fn code(content: &'static str, answer: &str) -> Result<String, ApiError> {
    let code = answer.trim().trim_matches('"');
    let is_code = (1..40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code { Ok(code.to_owned()) } else { Err(unreadable(content, "a code")) }
}

/// Tells an answer from an error. A status of 200 proves nothing: a login page has it too, and so
/// has a PHP error with a JSON error behind it.
fn judge(content: &'static str, status: StatusCode, body: &str) -> Result<String, ApiError> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    let code = status.as_u16();
    let message = error_message(body);
    if matches!(code, 401 | 403) && (message.is_some() || !is_web_page(body)) {
        let message = message.unwrap_or_else(|| "no reason was given".to_owned());
        return Err(ApiError::NotPermitted { message });
    }
    if is_web_page(body) {
        return Err(ApiError::Html { content, status: code });
    }
    match message {
        Some(message) => Err(ApiError::Refused { content, status: code, message }),
        None if !status.is_success() => {
            Err(ApiError::Refused { content, status: code, message: "no reason was given".to_owned() })
        }
        None if content == "project_xml" && !body.contains("<ODM") => {
            Err(unreadable(content, "a project XML file"))
        }
        None => Ok(body.to_owned()),
    }
}

fn is_web_page(body: &str) -> bool {
    if !body.starts_with('<') {
        return false;
    }
    let start: String = body.chars().take(200).collect::<String>().to_ascii_lowercase();
    !start.starts_with("<?xml") && !start.starts_with("<hash") && !start.starts_with("<odm")
}

/// The text of an error in any of the three forms REDCap gives it.
fn error_message(body: &str) -> Option<String> {
    if let Some(text) = body.strip_prefix("ERROR:") {
        return Some(text.trim().to_owned());
    }
    if body.starts_with('{') {
        let object: Map<String, Value> = serde_json::from_str(body).ok()?;
        return object.get("error").map(|error| text(Some(error)));
    }
    if body.starts_with("<?xml") || body.starts_with("<hash") {
        let start = body.get(..body.len().min(2_000)).unwrap_or(body);
        let (_, rest) = start.split_once("<error>")?;
        let (text, _) = rest.split_once("</error>")?;
        let text = text.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>");
        return Some(quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), Into::into));
    }
    None
}

/// A refused import lists record, field, value and reason per line, as CSV within JSON.
fn import_refused(status: u16, message: String) -> ApiError {
    let values: Vec<RefusedValue> = message
        .lines()
        .filter_map(|line| {
            let inner = line.trim().strip_prefix('"')?.strip_suffix('"')?;
            let columns: Vec<&str> = inner.split("\",\"").collect();
            let [_record, field, _value, reason] = columns[..] else { return None };
            Some(RefusedValue { field: field.to_owned(), reason: reason.replace("\"\"", "\"") })
        })
        .collect();
    if values.is_empty() {
        ApiError::Refused { content: "record", status, message }
    } else {
        ApiError::ImportRefused { values }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex as StdMutex;

    use axum::Router;
    use axum::extract::{Form, State};
    use axum::http::StatusCode as Status;
    use axum::response::IntoResponse;
    use axum::routing::post;

    use super::*;

    type Asked = BTreeMap<String, String>;

    /// Answers in turn, and remembers what it was asked.
    #[derive(Clone)]
    struct Script {
        answers: Arc<StdMutex<Vec<(u16, String)>>>,
        asked: Arc<StdMutex<Vec<Asked>>>,
    }

    impl Script {
        async fn start(answers: &[(u16, &str)]) -> (Client, Self) {
            let answers = answers.iter().rev().map(|(status, body)| (*status, (*body).to_owned())).collect();
            let script = Self { answers: Arc::new(StdMutex::new(answers)), asked: Arc::default() };
            let app = Router::new().route("/api/", post(answer)).with_state(script.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/api/", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, app).await });
            let token = SecretString::from("0123456789ABCDEF0123456789ABCDEF");
            (Client::new(ClientConfig::new(&url, token)).unwrap(), script)
        }

        fn asked(&self) -> Vec<Asked> {
            self.asked.lock().unwrap().clone()
        }
    }

    async fn answer(State(script): State<Script>, Form(form): Form<Asked>) -> impl IntoResponse {
        script.asked.lock().unwrap().push(form);
        let (status, body) = script.answers.lock().unwrap().pop().unwrap();
        let location = [("location", "https://elsewhere.example/api/")];
        (Status::from_u16(status).unwrap(), location, body)
    }

    fn row(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_a_form_with_its_token() {
        let (client, script) = Script::start(&[(200, "16.1.3")]).await;
        assert_eq!(client.version().await.unwrap(), "16.1.3");
        let asked = &script.asked()[0];
        assert_eq!(asked["content"], "version");
        assert_eq!(asked["format"], "json");
        assert_eq!(asked["returnFormat"], "json");
        assert_eq!(asked["token"].len(), 32);
        assert!(!format!("{client:?}").contains("0123456789"));
    }

    #[tokio::test]
    async fn an_export_asks_for_blank_status_and_numbers_its_lists() {
        let (client, script) = Script::start(&[(200, r#"[{"record_id":"1","age":34}]"#)]).await;
        let wanted = ExportRecords {
            records: vec!["1".into()],
            fields: vec!["record_id".into(), "age".into()],
            survey_fields: true,
            ..ExportRecords::default()
        };
        assert_eq!(client.export_records(&wanted).await.unwrap()[0]["age"], 34);
        let asked = &script.asked()[0];
        assert_eq!(asked["fields[1]"], "age");
        assert_eq!(asked["records[0]"], "1");
        assert_eq!(asked["exportBlankForGrayFormStatus"], "true");
        assert_eq!(asked["exportSurveyFields"], "true");
        assert!(!asked.contains_key("action"));
    }

    #[tokio::test]
    async fn answers_of_every_method_are_read() {
        let (client, _) = Script::start(&[
            (200, r#"{"project_id":33,"project_title":"T","is_longitudinal":1,"missing_data_codes":""}"#),
            (200, r#"[{"field_name":"c","form_name":"f","field_type":"checkbox","field_label":"<b>C</b> &amp; D","select_choices_or_calculations":"1, A | 2, B","required_field":"y"}]"#),
            (200, r#"[{"instrument_name":"f","instrument_label":"F"}]"#),
            (200, r#"[{"event_name":"E","arm_num":1,"unique_event_name":"e_arm_1"}]"#),
            (200, r#"[{"arm_num":1,"unique_event_name":"e_arm_1","form":"f"}]"#),
            (200, r#"[{"form_name":"f","custom_form_label":""}]"#),
            (200, r#"[{"email":"a@b.c","record":"1","response_status":2,"invitation_sent_status":0}]"#),
            (200, "<?xml version=\"1.0\"?><ODM/>"),
        ])
        .await;
        assert!(client.project().await.unwrap().longitudinal);
        let field = &client.metadata().await.unwrap()[0];
        assert_eq!((field.label.as_str(), field.choices.len(), field.required), ("C & D", 2, true));
        assert_eq!(client.instruments().await.unwrap()[0].label, "F");
        assert_eq!(client.events().await.unwrap()[0].arm, 1);
        assert_eq!(client.form_event_mapping().await.unwrap()[0].instrument, "f");
        assert_eq!(client.repeating_forms_events().await.unwrap()[0].event, CLASSIC_EVENT);
        let people = client.participant_list("f", None).await.unwrap();
        assert_eq!(people[0].response, Response::Complete);
        assert!(!format!("{people:?}").contains("a@b.c"));
        assert!(client.project_xml(true).await.unwrap().contains("<ODM"));
    }

    #[tokio::test]
    async fn a_classic_project_has_no_events_and_that_is_no_error() {
        let (client, _) = Script::start(&[
            (400, r#"{"error":"You cannot export events for classic projects"}"#),
            (400, r#"{"error":"You cannot export form\/event mappings for classic projects"}"#),
            (400, r#"{"error":"You cannot export repeating instruments and events because the project does not contain any repeating instruments and events"}"#),
            (400, r#"{"error":"The value of the parameter \"content\" is not valid"}"#),
        ])
        .await;
        assert_eq!(client.events().await.unwrap(), []);
        assert_eq!(client.form_event_mapping().await.unwrap(), []);
        assert_eq!(client.repeating_forms_events().await.unwrap(), []);
        assert!(client.events().await.is_err());
    }

    #[tokio::test]
    async fn every_form_of_an_error_is_told_apart() {
        for (status, body, wanted) in [
            (
                403,
                r#"{"error":"You do not have permissions to use the API"}"#,
                "not permitted: You do not have permissions to use the API",
            ),
            (
                400,
                "ERROR: The record \"-1\" does not exist",
                "REDCap refused `content=version` with status 400: The record \"-1\" does not exist",
            ),
            (
                501,
                "<?xml version=\"1.0\"?><hash><error>Unknown &amp; odd</error></hash>",
                "REDCap refused `content=version` with status 501: Unknown & odd",
            ),
            (
                200,
                "<!DOCTYPE html><title>Log in</title>",
                "a web page came back instead of an answer to `content=version` (status 200)",
            ),
            (
                200,
                "<br />\n<b>Fatal error</b>: memory {\"error\":\"REDCap ran out of server memory\"}",
                "a web page came back instead of an answer to `content=version` (status 200)",
            ),
            (
                404,
                "<html>not here</html>",
                "a web page came back instead of an answer to `content=version` (status 404)",
            ),
            (200, "", "the answer to `content=version` is not a version number"),
            (302, "", "the API address redirects to `https://elsewhere.example/api/`"),
        ] {
            let (client, script) = Script::start(&[(status, body)]).await;
            assert_eq!(client.version().await.unwrap_err().to_string(), wanted);
            assert_eq!(script.asked().len(), 1);
        }
    }

    #[tokio::test]
    async fn reads_are_tried_three_times_and_imports_once() {
        let (client, script) = Script::start(&[(502, "<html>"), (503, ""), (200, "16.1.3")]).await;
        let waits = Arc::new(StdMutex::new(Vec::new()));
        let seen = Arc::clone(&waits);
        let client = client.with_backoff(Arc::new(move |tries| {
            seen.lock().unwrap().push(tries);
            Box::pin(std::future::ready(()))
        }));
        assert_eq!(client.version().await.unwrap(), "16.1.3");
        assert_eq!((script.asked().len(), waits.lock().unwrap().clone()), (3, vec![1, 2]));

        let (client, script) = Script::start(&[(500, ""), (500, ""), (500, "")]).await;
        assert!(client.version().await.unwrap_err().is_passing());
        assert_eq!(script.asked().len(), 3);

        let (client, script) = Script::start(&[(500, "")]).await;
        assert!(client.import_records(&[], Overwrite::Normal).await.is_err());
        assert_eq!(script.asked().len(), 1);
    }

    #[tokio::test]
    async fn an_import_says_what_it_did_and_a_refusal_keeps_no_value() {
        let (client, script) = Script::start(&[
            (200, r#"{"count":1}"#),
            (200, r#"{"count":"2"}"#),
            (400, r#"{"error":"\"123\",\"age\",\"secret\",\"This is not an integer\"\n"}"#),
        ])
        .await;
        let rows = [row(r#"{"record_id":"1","age":"34"}"#)];
        assert_eq!(client.import_records(&rows, Overwrite::Normal).await.unwrap().count, 1);
        assert_eq!(client.import_records(&rows, Overwrite::Overwrite).await.unwrap().count, 2);
        assert_eq!(script.asked()[0]["data"], r#"[{"age":"34","record_id":"1"}]"#);
        assert_eq!(script.asked()[1]["overwriteBehavior"], "overwrite");
        let refused = client.import_records(&rows, Overwrite::Normal).await.unwrap_err();
        assert_eq!(refused.to_string(), "REDCap turned the import down: `age`: This is not an integer");
        assert!(!format!("{refused:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_lost_import_may_have_happened_and_a_refused_connection_may_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let client = Client::new(ClientConfig::new(&url, SecretString::from("t"))).unwrap();
        let hang_up = async {
            use tokio::io::AsyncReadExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 64]).await;
        };
        let (lost, ()) = tokio::join!(client.import_records(&[], Overwrite::Normal), hang_up);
        assert!(lost.unwrap_err().may_have_happened());
        drop(listener);
        let refused = client.import_records(&[], Overwrite::Normal).await.unwrap_err();
        assert!(refused.is_passing() && !refused.may_have_happened());
    }

    #[tokio::test]
    async fn a_survey_link_is_a_link() {
        let (client, script) = Script::start(&[
            (200, "https://redcap.example.org/surveys/?s=EHXE4PNJW8E3MDAE\n"),
            (200, "oops"),
        ])
        .await;
        let link = client.survey_link("1", "entry", Some("baseline_arm_1"), 2).await.unwrap();
        assert_eq!(link, "https://redcap.example.org/surveys/?s=EHXE4PNJW8E3MDAE");
        assert_eq!(script.asked()[0]["repeat_instance"], "2");
        let error = client.survey_link("1", "entry", None, 1).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer to `content=surveyLink` is not a link");
    }

    #[tokio::test]
    async fn codes_and_the_queue_come_as_plain_text() {
        let (client, script) = Script::start(&[
            (200, "https://redcap.example.org/surveys/?sq=kHp2\n"),
            (200, "LDNP3EW7W"),
            (200, "TFX4E4YN"),
            (200, "no such code"),
        ])
        .await;
        assert_eq!(
            client.survey_queue_link("1").await.unwrap(),
            "https://redcap.example.org/surveys/?sq=kHp2"
        );
        assert_eq!(client.survey_access_code("1", "entry", None, 1).await.unwrap(), "LDNP3EW7W");
        assert_eq!(client.survey_return_code("1", "entry", None, 1).await.unwrap(), "TFX4E4YN");
        let error = client.survey_return_code("1", "entry", None, 1).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer to `content=surveyReturnCode` is not a code");
        let contents: Vec<_> = script.asked().iter().map(|asked| asked["content"].clone()).collect();
        assert_eq!(contents[..2], ["surveyQueueLink", "surveyAccessCode"]);
    }

    #[tokio::test]
    async fn the_log_is_read_from_a_time_on_and_shows_no_value() {
        let row = r#"[{"timestamp":"2022-03-30 10:50","username":"[survey respondent]",
            "action":"Update Response 2","details":"age = '34'","record":"2"},
            {"timestamp":"2022-03-30 10:49","username":"a","action":"Manage/Design","details":"","record":null}]"#;
        let (client, script) = Script::start(&[(200, row)]).await;
        let wanted =
            ReadLog { kind: LogKind::Record, begin: Some("2022-03-30 10:48".into()), ..ReadLog::default() };
        let rows = client.log(&wanted).await.unwrap();
        assert_eq!((rows[0].at.as_str(), rows[0].record.as_deref()), ("2022-03-30 10:50", Some("2")));
        assert_eq!(rows[1].record, None);
        assert!(!format!("{rows:?}").contains("34"));
        let asked = &script.asked()[0];
        assert_eq!((asked["logtype"].as_str(), asked["beginTime"].as_str()), ("record", "2022-03-30 10:48"));
        assert!(!asked.contains_key("endTime"));
    }

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        let client = |url: &str| Client::new(ClientConfig::new(url, SecretString::from("t")));
        for url in [
            "https://redcap.example.org/api/",
            "http://127.0.0.1:8080/api/",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(client(url).is_ok(), "{url}");
        }
        for url in [
            "http://redcap.example.org/api/",
            "ftp://x/",
            "redcap",
            "https://u:secret@x/",
            "http://localhost.evil/",
        ] {
            let error = client(url).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("secret"), "{url}");
        }
    }
}
