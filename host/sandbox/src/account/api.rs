//! The REST API: the paths the gateway uses, with the refusals Twilio documents.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use twilio::{ExposeSecret, LineType, MessageStatus, PhoneNumber};

use super::fate::{Fate, see_deletion};
use super::message::{API_VERSION, Message, date};
use super::refusal::Refusal;
use super::{Account, Number, call, list, price};
use crate::connection::Line;
use crate::form::Form;
use crate::post::Errand;
use crate::world::World;

pub(crate) fn router(world: &Arc<World>) -> Router<Arc<World>> {
    Router::new()
        .route("/2010-04-01/Accounts/{account}", get(show_account))
        .route("/2010-04-01/Accounts/{account}/Balance.json", get(show_balance))
        .route("/2010-04-01/Accounts/{account}/Messages.json", get(list_messages).post(create_message))
        .route(
            "/2010-04-01/Accounts/{account}/Messages/{message}",
            get(show_message).post(update_message).delete(delete_message),
        )
        .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", get(list_numbers))
        .route(
            "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{number}",
            get(show_number).post(update_number),
        )
        .route("/2010-04-01/Accounts/{account}/Notifications.json", get(list_notifications))
        .route("/v2/PhoneNumbers/{number}", get(look_up))
        .merge(call::router())
        .merge(price::router())
        .layer(middleware::from_fn_with_state(Arc::clone(world), admit))
}

/// Lets in who has the account's credentials, unless Twilio is down.
async fn admit(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    next: Next,
) -> Response {
    if world.plan().twilio_down {
        line.hang_up();
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (permitted, request_id) = {
        let mut account = world.account();
        (is_permitted(&account, request.headers()), account.new_sid("RQ"))
    };
    let mut response = if permitted {
        next.run(request).await
    } else {
        Refusal::new(401, 20003, "the credentials are not right").into_response()
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("twilio-request-id", id);
    }
    response
}

fn is_permitted(account: &Account, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.strip_prefix("Basic ")).and_then(|given| STANDARD.decode(given).ok());
    given.is_some_and(|given| {
        !account.credentials_bad
            && given == format!("{}:{}", account.sid, account.auth_token.expose_secret()).as_bytes()
    })
}

/// A name in a path without its `.json`.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix(".json").unwrap_or(name)
}

pub(super) fn own(world: &World, account: &str) -> Result<(), Refusal> {
    if world.account().sid == bare(account) { Ok(()) } else { Err(Refusal::NOT_FOUND) }
}

/// Whose the account is when it is a child.
const PARENT: &str = "AC5a4db0c5a4db0c5a4db0c5a4db0c5a00";

async fn show_account(
    State(world): State<Arc<World>>,
    Path(sid): Path<String>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &sid)?;
    let account = world.account();
    Ok(Json(json!({
        "sid": account.sid,
        "owner_account_sid": if account.is_child { PARENT } else { &account.sid },
        "friendly_name": "Consentry sandbox",
        "type": if account.verified.is_some() { "Trial" } else { "Full" },
        "status": if account.is_suspended() { "suspended" } else { "active" },
        "date_created": date(account.started),
        "date_updated": date(account.started),
        "auth_token": account.auth_token.expose_secret(),
        "subresource_uris": {},
        "uri": format!("/{API_VERSION}/Accounts/{}.json", account.sid),
    })))
}

async fn show_balance(
    State(world): State<Arc<World>>,
    Path(sid): Path<String>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &sid)?;
    let account = world.account();
    // Twilio documents that child accounts hold no balance, so there is no such resource.
    if account.is_child {
        return Err(Refusal::NOT_FOUND);
    }
    let cents = account.balance_micros.div_euclid(10_000);
    let balance =
        format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
    Ok(Json(json!({ "account_sid": account.sid, "balance": balance, "currency": "USD" })))
}

async fn create_message(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(account): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    own(&world, &account)?;
    let form = Form::read(&body);
    let fate = Fate::of_create(&world, &form, false);
    fate.before(&line)?;
    let now = world.now();
    let (sid, shown) = {
        let mut account = world.account();
        let (to, from, body) = acceptable(&account, &form)?;
        let sid = account.new_sid("SM");
        let mut message = Message::outbound(sid.clone(), from, to, body, form.is_true("SmartEncoded"), now);
        message.status_callback = form.filled("StatusCallback").map(str::to_owned);
        let shown = message.to_json(&account.sid, false);
        account.keep(message);
        (sid, shown)
    };
    world.changed();
    world.undertake(Errand::Message(sid));
    fate.after(&line).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// The recipient, the sender and the text, if the message can be taken.
fn acceptable<'a>(account: &Account, form: &'a Form) -> Result<(&'a str, &'a str, &'a str), Refusal> {
    const MAX_BODY: usize = 1600;
    if account.is_suspended() {
        return Err(Refusal::SUSPENDED);
    }
    let to = form.filled("To").ok_or(Refusal::new(400, 21604, "a recipient is required"))?;
    let body = form.filled("Body").ok_or(Refusal::new(400, 21602, "a message body is required"))?;
    if form.filled("From").is_none() && form.filled("MessagingServiceSid").is_some() {
        return Err(Refusal::new(400, 21701, "the account has no such messaging service"));
    }
    let from = form.filled("From").ok_or(Refusal::new(400, 21603, "a sender is required"))?;
    if PhoneNumber::from_e164(to).is_err() || to == from {
        return Err(Refusal::new(400, 21211, "the recipient is not a valid phone number"));
    }
    // The numbers of Twilio's test credentials mean here what they mean there.
    match from.strip_prefix("+1500555000") {
        Some("1") => return Err(Refusal::new(400, 21212, "the sender is not a valid phone number")),
        Some("8") => return Err(Refusal::new(400, 21611, "the sender's queue is full")),
        _ => {}
    }
    if account.number(from).is_none() && from != "+15005550006" {
        return Err(Refusal::new(400, 21606, "the sender is not a number of this account"));
    }
    match to.strip_prefix("+1500555000") {
        Some("1") => return Err(Refusal::new(400, 21211, "the recipient is not a valid phone number")),
        Some("2") => {
            return Err(Refusal::new(400, 21612, "the recipient cannot be reached from this sender"));
        }
        Some("3") => return Err(Refusal::new(400, 21408, "the account may not write to this country")),
        Some("4") => return Err(Refusal::new(400, 21610, "the recipient has opted out")),
        Some("9") => return Err(Refusal::new(400, 21614, "the recipient is not a mobile number")),
        _ => {}
    }
    if body.chars().count() > MAX_BODY {
        return Err(Refusal::new(400, 21617, "the message body has more than 1600 characters"));
    }
    if form.filled("StatusCallback").is_some_and(|url| !is_callback(url)) {
        return Err(Refusal::new(400, 21609, "the status callback is not a valid URL"));
    }
    if account.is_blocked(from, to) {
        return Err(Refusal::new(400, 21610, "the recipient has opted out"));
    }
    if account.verified.as_ref().is_some_and(|verified| !verified.contains(to)) {
        return Err(Refusal::new(400, 21608, "a trial account may write to verified numbers only"));
    }
    Ok((to, from, body))
}

pub(super) fn is_callback(url: &str) -> bool {
    url.len() <= 4000
        && reqwest::Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('_'))
        })
}

async fn list_messages(
    State(world): State<Arc<World>>,
    Path(account): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let query = Form(query);
    let now = world.now();
    let account = world.account();
    let show = |message: &Message| message.to_json(&account.sid, account.shows_price(message.charged, now));
    let sent = Range::read(&query)?;
    let is_wanted = |message: &Message| sent.holds(message.sent);
    // No message waits longer at Twilio than this, so one that was made before cannot have been sent since.
    let first = sent.since.map(|since| since - SignedDuration::from_hours(10));
    let is_over = |message: &Message| first.is_some_and(|first| message.created < first);
    list::page(&account.sid, "Messages", &query, &account.messages, is_over, is_wanted, show).map(Json)
}

/// When a message was sent: the comparison is part of the name, `DateSent`, `DateSent<` and `DateSent>`, of days
/// or instants in GMT.
struct Range {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Range {
    fn read(query: &Form) -> Result<Self, Refusal> {
        let bounds = |name: &str| {
            let text = query.filled(name);
            text.map(|text| bounds(text).ok_or(Refusal::new(400, 20001, "the date is not valid"))).transpose()
        };
        let on = bounds("DateSent")?;
        Ok(Self {
            since: bounds("DateSent>")?.or(on).map(|(begin, _)| begin),
            until: bounds("DateSent<")?.or(on).map(|(_, end)| end),
        })
    }

    /// A message that was not sent yet has no date and is in no range but the one without bounds.
    fn holds(&self, sent: Option<Timestamp>) -> bool {
        self.since.is_none_or(|since| sent.is_some_and(|sent| sent >= since))
            && self.until.is_none_or(|until| sent.is_some_and(|sent| sent <= until))
    }
}

/// The first and the last instant of a day, or an instant twice.
fn bounds(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Ok(at) = text.parse() {
        return Some((at, at));
    }
    let day: Date = text.parse().ok()?;
    let instant = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    Some((instant(day.to_datetime(Time::midnight()))?, instant(day.to_datetime(Time::MAX))?))
}

async fn show_message(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let now = world.now();
    let account = world.account();
    let message = account.messages.get(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    Ok(Json(message.to_json(&account.sid, account.shows_price(message.charged, now))))
}

/// Empties the text, which is allowed once the message is final.
async fn update_message(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    see_deletion(&world, bare(&sid), true);
    let form = Form::read(&body);
    let now = world.now();
    let mut account = world.account();
    let message = account.messages.get_mut(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    if form.filled("Status") == Some("canceled") {
        return Err(Refusal::new(400, 30409, "the message can no longer be canceled"));
    }
    if form.get("Body") != Some("") {
        return Err(Refusal::new(400, 30400, "a message can only be emptied"));
    }
    if !message.status.is_final() && message.status != MessageStatus::Sent {
        return Err(Refusal::NOT_SETTLED);
    }
    message.body.clear();
    message.updated = now;
    let charged = message.charged;
    let shows_price = account.shows_price(charged, now);
    let message = account.messages.get(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    Ok(Json(message.to_json(&account.sid, shows_price)))
}

async fn delete_message(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    own(&world, &account)?;
    see_deletion(&world, bare(&sid), false);
    let now = world.now();
    let mut account = world.account();
    let wait = account.deletable_after;
    let message = account.messages.get(bare(&sid)).ok_or(Refusal::NOT_FOUND)?;
    let settled = message.status.is_final() && now.duration_since(message.updated) >= wait;
    if !settled {
        return Err(Refusal::NOT_SETTLED);
    }
    account.messages.remove(bare(&sid));
    Ok(StatusCode::NO_CONTENT)
}

/// The settings of a number that the API shows and takes, by both its names.
const NUMBER_SETTINGS: [(&str, &str); 13] = [
    ("SmsUrl", "sms_url"),
    ("SmsMethod", "sms_method"),
    ("SmsFallbackUrl", "sms_fallback_url"),
    ("SmsFallbackMethod", "sms_fallback_method"),
    ("SmsApplicationSid", "sms_application_sid"),
    ("VoiceUrl", "voice_url"),
    ("VoiceMethod", "voice_method"),
    ("VoiceFallbackUrl", "voice_fallback_url"),
    ("VoiceFallbackMethod", "voice_fallback_method"),
    ("VoiceApplicationSid", "voice_application_sid"),
    ("TrunkSid", "trunk_sid"),
    ("StatusCallback", "status_callback"),
    ("StatusCallbackMethod", "status_callback_method"),
];

fn number_json(account: &Account, number: &Number) -> Value {
    let mut shown = json!({
        "sid": number.sid,
        "account_sid": account.sid,
        "phone_number": number.phone.expose(),
        "friendly_name": number.friendly_name,
        "capabilities": { "voice": true, "sms": true, "mms": true, "fax": false },
        "status": "in-use",
        "type": if number.phone.is_toll_free() { "tollfree" } else { "local" },
        "origin": "twilio",
        "beta": null,
        "api_version": API_VERSION,
        "uri": format!("/{API_VERSION}/Accounts/{}/IncomingPhoneNumbers/{}.json", account.sid, number.sid),
    });
    for (_, name) in NUMBER_SETTINGS {
        let unset = if name.ends_with("_method") { "POST" } else { "" };
        shown[name] = number.settings.get(name).map_or(unset, String::as_str).into();
    }
    shown
}

async fn list_numbers(
    State(world): State<Arc<World>>,
    Path(account): Path<String>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let account = world.account();
    let numbers = account.numbers.iter().map(|number| number_json(&account, number)).collect();
    Ok(Json(list::whole(&account.sid, "IncomingPhoneNumbers", "incoming_phone_numbers", numbers)))
}

/// What went wrong, without the copies of requests that only the single resource holds.
async fn list_notifications(
    State(world): State<Arc<World>>,
    Path(account): Path<String>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let account = world.account();
    let rows = account.notifications.iter().rev().map(|note| {
        json!({
            "sid": note.sid,
            "account_sid": account.sid,
            "error_code": note.code.to_string(),
            "log": "0",
            "message_date": date(note.at),
            "more_info": format!("https://www.twilio.com/docs/errors/{}", note.code),
        })
    });
    Ok(Json(list::whole(&account.sid, "Notifications", "notifications", rows.collect())))
}

async fn show_number(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let account = world.account();
    let number = account.numbers.iter().find(|number| number.sid == bare(&sid));
    number.map(|number| Json(number_json(&account, number))).ok_or(Refusal::NOT_FOUND)
}

async fn update_number(
    State(world): State<Arc<World>>,
    Path((account, sid)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    own(&world, &account)?;
    let form = Form::read(&body);
    let mut account = world.account();
    let place = account.numbers.iter().position(|number| number.sid == bare(&sid));
    let place = place.ok_or(Refusal::NOT_FOUND)?;
    let number = &mut account.numbers[place];
    for (given, name) in NUMBER_SETTINGS {
        if let Some(value) = form.get(given) {
            number.settings.insert(name, value.to_owned());
        }
    }
    if let Some(name) = form.get("FriendlyName") {
        name.clone_into(&mut number.friendly_name);
    }
    Ok(Json(number_json(&account, &account.numbers[place])))
}

async fn look_up(
    State(world): State<Arc<World>>,
    Path(number): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let valid = PhoneNumber::from_e164(&number).ok();
    let account = world.account();
    let asked = Form(query).list("Fields").iter().any(|field| field == "line_type_intelligence");
    let line = match account.lines.get(&number) {
        None if valid.as_ref().is_some_and(PhoneNumber::is_toll_free) => "tollFree",
        None | Some(LineType::Mobile) => "mobile",
        Some(LineType::Landline) => "landline",
        Some(LineType::FixedVoip) => "fixedVoip",
        Some(LineType::NonFixedVoip) => "nonFixedVoip",
        Some(LineType::TollFree) => "tollFree",
        Some(LineType::Unknown) => "unknown",
    };
    let intelligence = json!({
        "type": line,
        "carrier_name": "Sandbox Mobile",
        "mobile_country_code": null,
        "mobile_network_code": null,
        "error_code": null,
    });
    Ok(Json(json!({
        "phone_number": number,
        "country_code": valid.as_ref().and_then(PhoneNumber::region),
        "valid": valid.is_some(),
        "validation_errors": if valid.is_some() { Value::Null } else { json!(["NOT_A_NUMBER"]) },
        "line_type_intelligence": if asked && valid.is_some() { intelligence } else { Value::Null },
        "url": format!("{}/v2/PhoneNumbers/{number}", world.base_url),
    })))
}
