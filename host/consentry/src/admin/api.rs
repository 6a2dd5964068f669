//! The admin API: what a study team does by hand, for programs. `openapi.json` documents it, and is served beside
//! it. Who calls shows a bearer token of the configuration, and the token's name stands in the ledger beside the
//! reason that the caller gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use gateway::Gateway;
use gateway::by_hand::{BadRow, Batch, Invite, InviteError, InviteList, ListRow, Who};
use gateway::outbox;
use gateway::project::Project;
use gateway::store::{CatchUp, Catching, Committed, LogFilter, Side, Step, StoreError};
use gateway::takeover;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::config::ApiToken;
use crate::{log, schedules};

/// The document that describes the API.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// Bytes of a request, at most: some fifty thousand numbers of a list.
const LARGEST: usize = 8 * 1024 * 1024;

/// Messages of the log in one answer, at most.
const MOST: u32 = 10_000;

/// Who calls.
#[derive(Clone, Debug)]
struct Caller {
    name: String,
    projects: Option<Vec<String>>,
}

type Shared = Arc<Gateway>;
type Answer = Result<Json<Value>, Refused>;

/// The API, for those who have a token.
pub fn router(gateway: Arc<Gateway>, tokens: Vec<ApiToken>) -> Router {
    let tokens = Arc::new(tokens);
    let mut guarded = Router::new();
    for (_, path, serves) in routes() {
        guarded = guarded.route(path, serves);
    }
    let guarded = guarded
        .layer(middleware::from_fn_with_state(tokens, let_in))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(gateway);
    // The document tells nothing about anybody, and tools read it without a token.
    let document = || async { ([(header::CONTENT_TYPE, "application/json")], OPENAPI) };
    guarded.route("/api/openapi.json", get(document))
}

/// The routes that need a token: method, path, and what serves it.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Shared>)> {
    vec![
        ("post", "/api/projects/{project}/invitations", post(invite)),
        ("post", "/api/projects/{project}/public-invitations", post(invite_list)),
        ("get", "/api/projects/{project}/log", get(show_log)),
        ("get", "/api/projects/{project}/schedules", get(show_schedules)),
        ("get", "/api/projects/{project}/catch-up", get(show_catch_up)),
        ("post", "/api/projects/{project}/catch-up", post(catch_up)),
        ("post", "/api/projects/{project}/reevaluate", post(reevaluate)),
        ("post", "/api/messages/{id}/cancel", post(cancel)),
        ("post", "/api/messages/{id}/hold", post(hold)),
        ("post", "/api/messages/{id}/release", post(release)),
        ("post", "/api/messages/{id}/reschedule", post(reschedule)),
    ]
}

/// Why a request is refused.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: String,
    help: String,
    rows: Vec<BadRow>,
}

impl Refused {
    fn new(status: StatusCode, error: impl Into<String>, help: impl Into<String>) -> Refused {
        Refused { status, error: error.into(), help: help.into(), rows: vec![] }
    }

    fn unusable(error: impl Into<String>) -> Refused {
        Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error, "/api/openapi.json says what this route takes")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.error, "help": self.help });
        if !self.rows.is_empty() {
            body["rows"] = json!(self.rows);
        }
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        tracing::error!(%error, "a request to the admin API failed");
        let help = "try again; the daemon's log says what became of the database";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the database did not answer", help)
    }
}

impl From<InviteError> for Refused {
    fn from(error: InviteError) -> Refused {
        let status = match error {
            InviteError::Store(error) => return error.into(),
            InviteError::Project(_) => StatusCode::NOT_FOUND,
            InviteError::NotReady | InviteError::Redcap(_) => StatusCode::SERVICE_UNAVAILABLE,
            InviteError::NoPublicLink | InviteError::NoPublicSurvey | InviteError::Method => {
                StatusCode::CONFLICT
            }
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut refused = Refused::new(status, error.to_string(), error.help());
        if let InviteError::BadRows(rows) = error {
            refused.rows = rows;
        }
        refused
    }
}

/// Lets in who shows a token. Every token is compared, and each of them wholly, so that the time it takes tells
/// nothing.
async fn let_in(State(tokens): State<Arc<Vec<ApiToken>>>, mut request: Request, next: Next) -> Response {
    let shown = shown_token(request.headers()).unwrap_or_default().as_bytes().to_vec();
    let mut caller = None;
    for token in tokens.iter() {
        if bool::from(token.token.expose_secret().as_bytes().ct_eq(&shown)) {
            caller = Some(Caller { name: token.name.clone(), projects: token.projects.clone() });
        }
    }
    let Some(caller) = caller else {
        let help = "send `Authorization: Bearer …` with a token of [[api-token]]";
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "no known token was shown", help);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response();
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn shown_token(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Caller {
    /// Whether the caller may do something in a project. A project that is not there is told only to those who
    /// could use it.
    fn may(&self, project: &str) -> Result<(), Refused> {
        if self.projects.as_ref().is_none_or(|projects| projects.iter().any(|known| known == project)) {
            return Ok(());
        }
        let help = "the token's `projects` in the configuration say what it is for";
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            format!("this token is not for the project `{project}`"),
            help,
        ))
    }

    fn project<'a>(&self, gateway: &'a Gateway, name: &str) -> Result<&'a Arc<Project>, Refused> {
        self.may(name)?;
        gateway.projects.get(name).ok_or_else(|| InviteError::Project(name.into()).into())
    }

    /// The reason as the ledger keeps it: who called comes first.
    fn why(&self, why: &str) -> Result<String, Refused> {
        if why.trim().is_empty() {
            return Err(InviteError::Why.into());
        }
        Ok(format!("{}: {}", self.name, why.trim()))
    }
}

/// Reads a body. What is wrong is told by its place: the body may hold numbers, and an error would repeat them.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "is not what this route takes" } else { "is not JSON" };
        let (line, column) = (error.line(), error.column());
        Refused::unusable(format!("the body {what}, at line {line}, column {column}"))
    })
}

fn time(text: &str, zone: &TimeZone) -> Result<u32, Refused> {
    let error = || Refused::unusable("the time is none, such as 2026-11-23T10:00:00Z or 2026-11-23 10:00");
    log::instant(text, zone).ok_or_else(error)
}

/// What each of the calls that send by hand may say.
fn batch(
    caller: &Caller,
    project: &Project,
    (at, wording, batch, why): (Option<String>, Option<String>, Option<String>, &str),
) -> Result<Batch, Refused> {
    let at = at.map(|at| time(&at, &project.zone)).transpose()?;
    Ok(Batch { id: batch, at, wording, why: caller.why(why)? })
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Whom {
    All,
    NotAnswered,
    Records,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct InviteBody {
    survey: String,
    event: Option<String>,
    instance: Option<u32>,
    who: Whom,
    #[serde(default)]
    records: Vec<String>,
    at: Option<String>,
    wording: Option<String>,
    batch: Option<String>,
    why: String,
}

async fn invite(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    body: Bytes,
) -> Answer {
    let known = caller.project(&gateway, &project)?;
    let body: InviteBody = read(&body)?;
    let who = match (body.who, body.records) {
        (Whom::All, records) if records.is_empty() => Who::All,
        (Whom::NotAnswered, records) if records.is_empty() => Who::NotAnswered,
        (Whom::Records, records) if !records.is_empty() => Who::Records(records),
        _ => return Err(Refused::unusable("`records` goes with `who` \"records\", and with nothing else")),
    };
    let wanted = Invite {
        instrument: body.survey,
        event: body.event,
        instance: body.instance.unwrap_or(1),
        who,
        batch: batch(&caller, known, (body.at, body.wording, body.batch, &body.why))?,
    };
    Ok(Json(json!(gateway.invite_records(&project, &wanted).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NumberBody {
    number: String,
    date: String,
    manner: String,
    documented_by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ListBody {
    numbers: Vec<NumberBody>,
    #[serde(default)]
    skip_bad: bool,
    at: Option<String>,
    wording: Option<String>,
    batch: Option<String>,
    why: String,
}

async fn invite_list(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    body: Bytes,
) -> Answer {
    let known = caller.project(&gateway, &project)?;
    let body: ListBody = read(&body)?;
    let row = |(line, row): (u64, NumberBody)| ListRow {
        line,
        number: row.number,
        date: row.date,
        manner: row.manner,
        documented_by: row.documented_by,
    };
    let wanted = InviteList {
        rows: (1..).zip(body.numbers).map(row).collect(),
        skip_bad: body.skip_bad,
        batch: batch(&caller, known, (body.at, body.wording, body.batch, &body.why))?,
    };
    Ok(Json(json!(gateway.invite_list(&project, &wanted).await?)))
}

async fn show_log(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Answer {
    let known = caller.project(&gateway, &project)?;
    let mut filter = LogFilter { project: Some(project), limit: 1000, ..LogFilter::default() };
    for (key, value) in asked {
        let bad = || Refused::unusable(format!("`{key}` does not take this value"));
        match key.as_str() {
            "record" => filter.record = Some(value),
            "schedule" => filter.schedule = Some(value),
            "status" => filter.state = Some(outbox::State::read(&value).ok_or_else(bad)?),
            "side" => {
                filter.side = Some(match value.as_str() {
                    "future" => Side::Future,
                    "past" => Side::Past,
                    _ => return Err(bad()),
                });
            }
            "limit" => {
                filter.limit =
                    value.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(bad)?;
            }
            _ => return Err(Refused::unusable(format!("there is no parameter `{key}`"))),
        }
    }
    let lines = log::found(&gateway.store, &filter, &known.zone).await?;
    Ok(Json(json!({ "messages": lines })))
}

async fn show_schedules(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Answer {
    let known = caller.project(&gateway, &project)?;
    let design = known.design().ok_or(InviteError::NotReady)?;
    Ok(Json(json!({ "schedules": schedules::of(known, &design, gateway.clock.seconds()) })))
}

async fn show_catch_up(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Answer {
    let known = caller.project(&gateway, &project)?;
    let waiting = gateway.store.to_catch_up(&project).await?;
    let one = |(rule, count): &(String, gateway::store::Count)| {
        let oldest = log::at(count.oldest, &known.zone);
        json!({ "rule": rule, "schedule": count.what, "count": count.count, "oldest": oldest })
    };
    Ok(Json(json!({ "waiting": waiting.iter().map(one).collect::<Vec<_>>() })))
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Release,
    Expire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CatchUpBody {
    what: What,
    schedule: Option<String>,
    sample: Option<u32>,
    #[serde(default)]
    queued: bool,
    why: String,
}

async fn catch_up(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    body: Bytes,
) -> Answer {
    caller.project(&gateway, &project)?;
    let body: CatchUpBody = read(&body)?;
    if body.sample.is_some_and(|sample| !(1..=500).contains(&sample) || matches!(body.what, What::Expire)) {
        return Err(Refused::unusable("`sample` takes 1 to 500, and goes with `what` \"release\""));
    }
    let what = match body.what {
        What::Release => Catching::Release,
        What::Expire => Catching::Expire,
    };
    let (schedule, at_most, queued) = (body.schedule, body.sample, body.queued);
    let wanted = CatchUp { project: project.clone(), schedule, what, at_most, queued };
    let count = takeover::catch_up(&gateway.store, &wanted, &caller.why(&body.why)?).await?;
    if count == 0 {
        let help = "GET the same address for what waits";
        return Err(Refused::new(StatusCode::CONFLICT, "nothing of that is held", help));
    }
    gateway.wake_deciding(&project);
    Ok(Json(json!({ "count": count })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReevaluateBody {
    schedule: Option<String>,
    why: String,
}

async fn reevaluate(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    body: Bytes,
) -> Answer {
    caller.project(&gateway, &project)?;
    let body: ReevaluateBody = read(&body)?;
    let why = caller.why(&body.why)?;
    Ok(Json(json!(gateway.reevaluate(&project, body.schedule.as_deref(), &why).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WhyBody {
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RescheduleBody {
    to: String,
    why: String,
}

async fn cancel(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    on_message(&gateway, &caller, &id, "has not left", |_| {
        let why = caller.why(&read::<WhyBody>(&body)?.why)?;
        Ok(Step::Cancel { id: id.clone(), why })
    })
    .await
}

async fn hold(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    on_message(&gateway, &caller, &id, "could still be held", |_| {
        let why = caller.why(&read::<WhyBody>(&body)?.why)?;
        Ok(Step::Hold { id: id.clone(), why })
    })
    .await
}

async fn release(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    on_message(&gateway, &caller, &id, "is held", |_| {
        let why = caller.why(&read::<WhyBody>(&body)?.why)?;
        Ok(Step::Release { id: id.clone(), why })
    })
    .await
}

async fn reschedule(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    on_message(&gateway, &caller, &id, "has not left", |project| {
        let body: RescheduleBody = read(&body)?;
        let zone = project.map_or(TimeZone::UTC, |project| project.zone.clone());
        Ok(Step::Reschedule { id: id.clone(), due: time(&body.to, &zone)?, why: caller.why(&body.why)? })
    })
    .await
}

/// Does something to one message of a project that the caller may touch, and answers with its line of the log.
async fn on_message(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
    must: &str,
    step: impl FnOnce(Option<&Project>) -> Result<Step, Refused>,
) -> Answer {
    let help = "GET the log of the project for its messages";
    let missing = || Refused::new(StatusCode::NOT_FOUND, format!("there is no message `{id}`"), help);
    let message = gateway.store.message(id).await?.ok_or_else(missing)?;
    let project = message.new.project.clone();
    caller.may(&project)?;
    let known = gateway.projects.get(&project).map(Arc::as_ref);
    if matches!(gateway.store.commit(step(known)?).await?, Committed::Stale) {
        let error = format!("the message `{id}` is not one that {must}: it is {}", message.state);
        return Err(Refused::new(StatusCode::CONFLICT, error, help));
    }
    gateway.wake_deciding(&project);
    let message = gateway.store.message(id).await?.ok_or_else(missing)?;
    let zone = known.map_or(TimeZone::UTC, |project| project.zone.clone());
    Ok(Json(json!(log::line(&gateway.store, message, &zone).await?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The document names every route, and nothing that is not there.
    #[test]
    fn the_openapi_document_is_of_these_routes_and_no_others() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut documented = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                documented.insert((method.clone(), path.clone()));
            }
        }
        let served = routes().into_iter().map(|(method, path, _)| (method.to_owned(), path.to_owned()));
        let document = ("get".to_owned(), "/api/openapi.json".to_owned());
        assert_eq!(documented, served.chain([document]).collect());
    }

    /// Every `$ref` leads somewhere.
    #[test]
    fn the_openapi_document_refers_to_what_it_has() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                        let at = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(at).is_some(), "`{reference}` leads nowhere");
                    }
                    map.values().for_each(|value| check(document, value));
                }
                Value::Array(list) => list.iter().for_each(|value| check(document, value)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        check(&document, &document);
    }

    #[test]
    fn a_bearer_token_is_read_and_nothing_else() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            shown_token(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("abc"), None);
    }
}
