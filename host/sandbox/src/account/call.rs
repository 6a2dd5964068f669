//! Calls: placing them, what they say, and what Twilio keeps of them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use twilio::{CallStatus, PhoneNumber};

use super::api::{bare, is_callback, own};
use super::fate::{Fate, see_deletion};
use super::message::{API_VERSION, date, price_text};
use super::progress::Teller;
use super::refusal::Refusal;
use super::shelf::Resource;
use super::webhook::Webhook;
use super::{Account, list, price, twiml};
use crate::connection::Line;
use crate::form::Form;
use crate::post::Errand;
use crate::world::World;

/// How a call ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallOutcome {
    /// Somebody picks up and listens to the end.
    #[default]
    Completed,
    Busy,
    NoAnswer,
    /// Twilio cannot place it, and nothing rings.
    Failed,
}

/// How long a call lasts that somebody listens to; the sandbox's clock does not move for it.
const SECONDS: u32 = 20;

pub(super) struct Call {
    sid: String,
    from: String,
    to: String,
    status: CallStatus,
    document: Document,
    pub(super) created: Timestamp,
    updated: Timestamp,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// Seconds, once it is over.
    duration: Option<u32>,
    price_micros: Option<i64>,
    charged: Option<Timestamp>,
    status_callback: Option<String>,
    /// Which steps are told.
    events: Vec<String>,
}

/// What a call says, or where to ask.
#[derive(Clone)]
enum Document {
    Inline(String),
    At(String),
}

/// One exchange during a call, kept with its contents by the request inspector.
pub(super) struct Event {
    call_sid: String,
    shown: Value,
    /// Twilio shows it from 15 minutes after the call's end.
    visible: Timestamp,
}

impl Resource for Call {
    fn sid(&self) -> &str {
        &self.sid
    }

    fn from(&self) -> &str {
        &self.from
    }

    fn to(&self) -> &str {
        &self.to
    }
}

impl Call {
    /// The resource of the 2010 API: durations and prices are strings there, and dates are RFC 2822.
    fn to_json(&self, account: &str, shows_price: bool) -> Value {
        let price = self.price_micros.filter(|_| shows_price);
        let uri = format!("/{API_VERSION}/Accounts/{account}/Calls/{}", self.sid);
        json!({
            "sid": self.sid,
            "account_sid": account,
            "api_version": API_VERSION,
            "status": self.status.as_str(),
            "direction": "outbound-api",
            "from": self.from,
            "to": self.to,
            "answered_by": null,
            "parent_call_sid": null,
            "queue_time": "0",
            "duration": self.duration.map(|seconds| seconds.to_string()),
            "price": price.map(price_text),
            "price_unit": "USD",
            "date_created": date(self.created),
            "date_updated": date(self.updated),
            "start_time": self.started.map(date),
            "end_time": self.ended.map(date),
            "subresource_uris": {
                "events": format!("{uri}/Events.json"),
                "notifications": format!("{uri}/Notifications.json"),
                "recordings": format!("{uri}/Recordings.json"),
            },
            "uri": format!("{uri}.json"),
        })
    }
}

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Calls.json", get(list_calls).post(create_call))
        .route("/2010-04-01/Accounts/{account}/Calls/{call}", get(show_call).delete(delete_call))
        .route("/2010-04-01/Accounts/{account}/Calls/{call}/Recordings.json", get(list_recordings))
        .route("/2010-04-01/Accounts/{account}/Calls/{call}/Events.json", get(list_events))
        .route("/2010-04-01/Accounts/{account}/Recordings/{recording}", delete(delete_recording))
}

async fn create_call(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(account): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    own(&world, &account)?;
    let form = Form::read(&body);
    let fate = Fate::of_create(&world, &form, true);
    fate.before(&line)?;
    let now = world.now();
    let (sid, shown) = {
        let mut account = world.account();
        let (to, from, document) = acceptable(&account, &form)?;
        let (to, from) = (to.to_owned(), from.to_owned());
        let sid = account.new_sid("CA");
        if account.outcome(&to) != CallOutcome::Failed {
            account.phones.ring(&to, &from, now, &sid);
        }
        let events: Vec<String> = form.all("StatusCallbackEvent").map(str::to_owned).collect();
        let call = Call {
            sid: sid.clone(),
            from,
            to,
            status: CallStatus::Queued,
            document,
            created: now,
            updated: now,
            started: None,
            ended: None,
            duration: None,
            price_micros: None,
            charged: None,
            status_callback: form.filled("StatusCallback").map(str::to_owned),
            events: if events.is_empty() { vec!["completed".to_owned()] } else { events },
        };
        let shown = call.to_json(&account.sid, false);
        account.calls.insert(call);
        (sid, shown)
    };
    world.changed();
    world.undertake(Errand::Call(sid));
    fate.after(&line).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// The recipient, the caller and what is said, if the call can be placed.
fn acceptable<'a>(account: &Account, form: &'a Form) -> Result<(&'a str, &'a str, Document), Refusal> {
    const MAX_TWIML: usize = 4000;
    if account.is_suspended() {
        return Err(Refusal::SUSPENDED);
    }
    let to = form.filled("To").ok_or(Refusal::new(400, 21201, "a recipient is required"))?;
    let from = form.filled("From").ok_or(Refusal::new(400, 21213, "a caller is required"))?;
    // With both, Twilio asks the URL.
    let document = match (form.filled("Url"), form.filled("Twiml")) {
        (Some(url), _) if reqwest::Url::parse(url).is_ok() => Document::At(url.to_owned()),
        (None, Some(twiml)) if twiml.chars().count() > MAX_TWIML => {
            return Err(Refusal::new(400, 32018, "the document has more than 4000 characters"));
        }
        (None, Some(twiml)) => Document::Inline(twiml.to_owned()),
        _ => return Err(Refusal::new(400, 21205, "a valid URL or a document is required")),
    };
    if PhoneNumber::from_e164(to).is_err() || to == from {
        return Err(Refusal::new(400, 21217, "the recipient is not a valid phone number"));
    }
    // The numbers of Twilio's test credentials mean here what they mean there.
    match from.strip_prefix("+1500555000") {
        Some("1") => return Err(Refusal::new(400, 21212, "the caller is not a valid phone number")),
        Some("6") => {}
        _ if account.number(from).is_none() => {
            return Err(Refusal::new(400, 21210, "the caller is not a number of this account"));
        }
        _ => {}
    }
    match to.strip_prefix("+1500555000") {
        Some("1") => return Err(Refusal::new(400, 21217, "the recipient is not a valid phone number")),
        Some("2") => return Err(Refusal::new(400, 21214, "the recipient cannot be reached")),
        Some("3") => return Err(Refusal::new(400, 21215, "the account may not call this country")),
        Some("4") => return Err(Refusal::new(400, 21216, "the recipient may not be called")),
        _ => {}
    }
    if form.filled("Timeout").is_some_and(|text| !text.parse().is_ok_and(|n: u32| (1..=600).contains(&n))) {
        return Err(Refusal::new(400, 20001, "the timeout is not from 1 to 600"));
    }
    if form.filled("StatusCallback").is_some_and(|url| !is_callback(url)) {
        return Err(Refusal::new(400, 21609, "the status callback is not a valid URL"));
    }
    if account.verified.as_ref().is_some_and(|verified| !verified.contains(to)) {
        return Err(Refusal::new(400, 21219, "a trial account may call verified numbers only"));
    }
    Ok((to, from, document))
}

impl Account {
    fn outcome(&self, to: &str) -> CallOutcome {
        self.call_outcomes.get(to).copied().unwrap_or_default()
    }
}

/// Carries a call to its end.
pub(crate) async fn carry(world: Arc<World>, sid: String) {
    let (steps, tells) = {
        let account = world.account();
        let Some(call) = account.calls.get(&sid) else { return };
        let outcome = if account.is_suspended() { CallOutcome::Failed } else { account.outcome(&call.to) };
        (steps(outcome), call.status_callback.is_some())
    };
    let mut teller = Teller::new(&world, tells);
    for (sequence, status) in steps.iter().enumerate() {
        let webhook = step(&world, &sid, status, sequence);
        world.changed();
        if let Some(webhook) = webhook {
            teller.tell(webhook).await;
        }
        if *status == CallStatus::InProgress {
            speak(&world, &sid).await;
        }
    }
    teller.finish().await;
}

fn steps(outcome: CallOutcome) -> &'static [CallStatus] {
    match outcome {
        CallOutcome::Completed => {
            &[CallStatus::Initiated, CallStatus::Ringing, CallStatus::InProgress, CallStatus::Completed]
        }
        CallOutcome::Busy => &[CallStatus::Initiated, CallStatus::Ringing, CallStatus::Busy],
        CallOutcome::NoAnswer => &[CallStatus::Initiated, CallStatus::Ringing, CallStatus::NoAnswer],
        CallOutcome::Failed => &[CallStatus::Initiated, CallStatus::Failed],
    }
}

/// Moves the call on and says what to post about it.
fn step(world: &World, sid: &str, status: &CallStatus, sequence: usize) -> Option<Webhook> {
    let now = world.now();
    let mut account = world.account();
    let (account_sid, token) = (account.sid.clone(), account.new_sid(""));
    let mut charge = 0;
    let call = account.calls.get_mut(sid)?;
    // The resource does not know this step; it goes from queued to ringing.
    if *status != CallStatus::Initiated {
        call.status = status.clone();
    }
    call.updated = now;
    if *status == CallStatus::InProgress {
        call.started = Some(now);
    }
    if status.is_final() {
        let answered = *status == CallStatus::Completed;
        call.ended = Some(now);
        call.duration = Some(if answered { SECONDS } else { 0 });
        if answered {
            charge = price::MINUTE_MICROS * i64::from(SECONDS.div_ceil(60));
            call.price_micros = Some(charge);
            call.charged = Some(now);
        }
    }
    let webhook = callback(call, &account_sid, status, sequence, now, token);
    account.balance_micros -= charge;
    webhook
}

fn callback(
    call: &Call,
    account_sid: &str,
    status: &CallStatus,
    sequence: usize,
    now: Timestamp,
    token: String,
) -> Option<Webhook> {
    let event = match status {
        CallStatus::InProgress => "answered",
        status if status.is_final() => "completed",
        status => status.as_str(),
    };
    let url = call.status_callback.clone().filter(|_| call.events.iter().any(|wanted| wanted == event))?;
    let (sequence, at) = (sequence.to_string(), date(now));
    let mut form: Vec<(String, String)> = [
        ("Called", call.to.as_str()),
        ("Direction", "outbound-api"),
        ("Timestamp", &at),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", &sequence),
        ("To", &call.to),
        ("CallSid", &call.sid),
        ("ApiVersion", API_VERSION),
        ("CallStatus", status.as_str()),
        ("From", &call.from),
        ("Caller", &call.from),
        ("AccountSid", account_sid),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some(seconds) = call.duration {
        // Billed minutes and seconds.
        form.push(("Duration".to_owned(), seconds.div_ceil(60).to_string()));
        form.push(("CallDuration".to_owned(), seconds.to_string()));
    }
    if *status == CallStatus::Busy {
        form.push(("SipResponseCode".to_owned(), "486".to_owned()));
    }
    Some(Webhook { url, form, token })
}

/// Reads the call's document to whoever picked up.
async fn speak(world: &Arc<World>, sid: &str) {
    let (to, from, document, account_sid, token) = {
        let mut account = world.account();
        let (account_sid, token) = (account.sid.clone(), account.new_sid(""));
        let Some(call) = account.calls.get(sid) else { return };
        (call.to.clone(), call.from.clone(), call.document.clone(), account_sid, token)
    };
    let parameters = json!({ "account_sid": account_sid, "call_sid": sid, "from": from, "to": to });
    let (xml, url, answered) = match document {
        Document::Inline(xml) => {
            let url = format!("https://api.twilio.com/{API_VERSION}/Accounts/{account_sid}/Calls.json");
            let answered = json!({ "sid": sid }).to_string();
            (xml, url, answered)
        }
        Document::At(url) => {
            let form = [
                ("CallSid", sid),
                ("AccountSid", &account_sid),
                ("From", &from),
                ("To", &to),
                ("CallStatus", "in-progress"),
                ("Direction", "outbound-api"),
                ("ApiVersion", API_VERSION),
            ];
            let form = form.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let webhook = Webhook { url: url.clone(), form, token };
            // A failure is noted already, and the call hears nothing of us.
            let Some(answer) = webhook.post(world).await else { return };
            (answer.body.clone(), url, answer.body)
        }
    };
    let now = world.now();
    let mut account = world.account();
    if account.request_inspector {
        let mut parameters = parameters;
        parameters["twiml"] = xml.clone().into();
        let shown = json!({
            "request": { "method": "POST", "url": url, "parameters": parameters },
            "response": {
                "response_code": 201,
                "request_duration": 50,
                "content_type": "application/json",
                "response_body": answered,
                "date_created": date(now),
            },
        });
        let visible = now + SignedDuration::from_mins(15);
        account.call_events.push(Event { call_sid: sid.to_owned(), shown, visible });
    }
    match twiml::texts(&xml, "Say") {
        Ok(heard) => account.phones.speak(&to, sid, heard),
        Err(twiml::NotTwiml) => account.note(12100, now),
    }
    drop(account);
    world.changed();
}

async fn list_calls(
    State(world): State<Arc<World>>,
    Path(account): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let query = Form(query);
    let now = world.now();
    let account = world.account();
    let show = |call: &Call| call.to_json(&account.sid, account.shows_price(call.charged, now));
    let is_wanted = |call: &Call| query.filled("Status").is_none_or(|status| call.status.as_str() == status);
    list::page(&account.sid, "Calls", &query, &account.calls, |_| false, is_wanted, show).map(Json)
}

async fn show_call(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let now = world.now();
    let account = world.account();
    let call = account.calls.get(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    Ok(Json(call.to_json(&account.sid, account.shows_price(call.charged, now))))
}

/// Deletes the record of a call that is over. Its recordings and events stay.
async fn delete_call(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    own(&world, &account)?;
    see_deletion(&world, bare(&sid), false);
    let now = world.now();
    let mut account = world.account();
    let wait = account.deletable_after;
    let call = account.calls.get(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    if !call.status.is_final() || now.duration_since(call.updated) < wait {
        return Err(Refusal::NOT_SETTLED);
    }
    account.calls.remove(bare(&sid));
    Ok(StatusCode::NO_CONTENT)
}

async fn list_recordings(
    State(world): State<Arc<World>>,
    Path((account, call)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let account = world.account();
    let of_call = account.recordings.iter().filter(|(_, of)| **of == call);
    let rows: Vec<Value> = of_call
        .map(|(sid, call)| {
            json!({
                "sid": sid,
                "account_sid": account.sid,
                "call_sid": call,
                "status": "completed",
                "source": "StartCallRecordingAPI",
                "duration": SECONDS.to_string(),
            })
        })
        .collect();
    if rows.is_empty() && account.calls.get(&call).is_none() {
        return Err(Refusal::NOT_FOUND);
    }
    Ok(Json(list::whole(&account.sid, &format!("Calls/{call}/Recordings"), "recordings", rows)))
}

async fn delete_recording(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    own(&world, &account)?;
    see_deletion(&world, bare(&sid), false);
    match world.account().recordings.remove(bare(&sid)) {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Refusal::NOT_FOUND),
    }
}

/// The request inspector's copies. They outlive the call, and there is no way to delete them.
async fn list_events(
    State(world): State<Arc<World>>,
    Path((account, call)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let now = world.now();
    let account = world.account();
    let visible = account.call_events.iter().filter(|event| event.call_sid == call && event.visible <= now);
    let rows: Vec<Value> = visible.map(|event| event.shown.clone()).collect();
    if rows.is_empty() && account.calls.get(&call).is_none() {
        return Err(Refusal::NOT_FOUND);
    }
    Ok(Json(list::whole(&account.sid, &format!("Calls/{call}/Events"), "events", rows)))
}
