//! Twilio's REST API, as far as the gateway uses it.
//!
//! Creating a message is not idempotent: Twilio has no idempotency key for it, and the server may still be
//! at work when the client has given up. So nothing here retries, and [`CreateError`] keeps three outcomes
//! apart: the request never left, Twilio said no, or nobody knows. After the last one the caller looks
//! the message up ([`Client::list_messages`]) and never simply sends again. Placing a call is the same
//! ([`Client::create_call`]).

mod call;
mod price;
mod wire;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Class, Explained, MessageBody, MessageStatus, PhoneNumber, Secret, errors};

pub use call::{Call, CreateCall, ListCalls, Recording};
pub use price::Price;
pub use wire::{Answering, Cause, Wire};
use wire::{Broken, Reach, Transport};

pub const DEFAULT_API_BASE: &str = "https://api.twilio.com";
pub const DEFAULT_LOOKUPS_BASE: &str = "https://lookups.twilio.com";
pub const DEFAULT_PRICING_BASE: &str = "https://pricing.twilio.com";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Users have measured 26 s on Twilio's side for one create (twilio/twilio-ruby#519).
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer that is not JSON an error keeps.
const EXCERPT_CHARACTERS: usize = 200;

/// One account at Twilio. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    api_base: String,
    lookups_base: String,
    pricing_base: String,
    account_sid: String,
    user: String,
    secret: Secret,
}

#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Usually [`DEFAULT_API_BASE`]. Plain `http://` is taken on loopback only, where the sandbox listens.
    pub api_base: String,
    /// Usually [`DEFAULT_LOOKUPS_BASE`].
    pub lookups_base: String,
    /// Usually [`DEFAULT_PRICING_BASE`].
    pub pricing_base: String,
    /// `AC…`: stands in every path, also with an API key.
    pub account_sid: String,
    /// The account SID again, or an API key's SID (`SK…`).
    pub user: String,
    /// The auth token, or the API key's secret.
    pub secret: Secret,
}

/// A configuration no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("base `{base}` is not an absolute http or https URL without user, query and fragment")]
    NotABase { base: String },
    #[error("base `{base}` would send the account's secret unencrypted; use https, or a loopback address")]
    Unencrypted { base: String },
    #[error("`{sid}` is not an account SID")]
    NotASid { sid: String },
    #[error("cannot set up the HTTP client")]
    Http { source: reqwest::Error },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateMessage {
    pub to: PhoneNumber,
    pub from: Sender,
    /// At most 1600 characters.
    pub body: MessageBody,
    /// Where Twilio reports the message's progress. At most 4000 characters, no underscore in the host.
    pub status_callback: Option<String>,
    /// Seconds the message may wait in Twilio's queue, 1 to 36000; Twilio's default is 36000.
    pub validity_period: Option<u32>,
    /// Lets Twilio replace look-alikes so that more texts fit GSM-7; see [`crate::SmartEncoding`].
    pub smart_encoded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    Number(PhoneNumber),
    /// A Messaging Service's SID (`MG…`).
    Service(String),
}

/// How creating a message or a call can end other than well.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No byte of the request left: the name did not resolve, or the connection or its TLS failed. Safe to
    /// try again.
    #[error("nothing was sent: no connection to twilio")]
    NotSent { source: Cause },
    /// Twilio answered with a 4xx, so there is no message and no call.
    #[error("twilio refused to send it")]
    Refused(#[source] ApiError),
    /// The message or the call may be on its way.
    #[error("it may or may not have been sent: {why}")]
    Unknown { why: UnknownOutcome, source: Option<Cause> },
}

/// What left the outcome open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownOutcome {
    /// No complete answer within 30 seconds.
    Timeout,
    /// The connection broke before a complete answer.
    ConnectionLost,
    /// A 5xx, or any other status that is neither success nor refusal.
    ServerError(ApiError),
    /// Success, with an answer that is neither a message nor a call.
    Unreadable { status: u16 },
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::ConnectionLost => f.write_str("the connection was lost"),
            Self::ServerError(error) => write!(f, "{error}"),
            Self::Unreadable { status } => write!(f, "HTTP {status} came with an unreadable answer"),
        }
    }
}

/// How any other request can end other than well. Repeating one of them does no harm.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("no complete answer from twilio")]
    Transport { source: Cause },
    /// Any status other than success.
    #[error("twilio did not do it")]
    Api(#[source] ApiError),
    /// The answer is not what Twilio documents. `place` is where reading stopped; the answer itself may hold
    /// what must not be logged.
    #[error("twilio's {what} cannot be read ({place})")]
    Unreadable { what: &'static str, place: String },
    /// Refused before anything was sent, because the text would become part of a path.
    #[error("`{sid}` is not a SID")]
    NotASid { sid: String },
    /// Refused before anything was sent, as with a SID.
    #[error("`{country}` is not a two-letter country code")]
    NotACountry { country: String },
}

/// What Twilio said instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("twilio answered HTTP {status}{}: {message}", code_words(*code))]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's error code; some answers have none.
    pub code: Option<u32>,
    /// Twilio's words, or the first characters of an answer that is not JSON. Runs of seven and more digits
    /// are masked, since Twilio repeats phone numbers.
    pub message: String,
    /// `Twilio-Request-Id`, which Twilio's support asks for.
    pub request_id: Option<String>,
    /// Seconds to wait, if `Retry-After` gave a number. A date is ignored: there is no clock here.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// The class of the code; without a code only HTTP 429 says something.
    pub fn class(&self) -> Class {
        match self.code {
            Some(code) => errors::class(code),
            None if self.status == 429 => Class::Transient,
            None => Class::Unknown,
        }
    }

    pub fn explained(&self) -> Option<&'static Explained> {
        errors::explain(self.code?)
    }
}

fn code_words(code: Option<u32>) -> String {
    code.map(|code| format!(" with code `{code}`")).unwrap_or_default()
}

/// A message as Twilio keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub sid: String,
    pub status: MessageStatus,
    pub direction: Direction,
    /// `None` when the address is not a phone number, such as a short code or another channel's.
    pub to: Option<PhoneNumber>,
    /// `None` also while a Messaging Service has not chosen its sender.
    pub from: Option<PhoneNumber>,
    pub messaging_service_sid: Option<String>,
    /// Empty once redacted.
    pub body: MessageBody,
    /// 0 while a Messaging Service has not chosen its sender.
    pub num_segments: u32,
    /// A decimal, negative for what we pay (`-0.00750`). Comes some time after sending.
    pub price: Option<String>,
    /// An ISO 4217 code such as `USD`.
    pub price_unit: Option<String>,
    pub error_code: Option<u32>,
    pub date_created: Timestamp,
    pub date_sent: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    /// Made by a request to the API, as [`Client::create_message`] and [`Client::create_call`] do.
    OutboundApi,
    OutboundCall,
    /// Made by `TwiML` in answer to an inbound message.
    OutboundReply,
    Unrecognised(String),
}

impl From<String> for Direction {
    fn from(word: String) -> Self {
        match word.as_str() {
            "inbound" => Self::Inbound,
            "outbound-api" => Self::OutboundApi,
            "outbound-call" => Self::OutboundCall,
            "outbound-reply" => Self::OutboundReply,
            _ => Self::Unrecognised(word),
        }
    }
}

/// Which messages to list, newest first. The default lists everything, at most 1000 messages.
///
/// To find out what became of a create, filter by `to` and `from` and compare bodies; do not filter by the
/// time of sending, which a message still in the queue does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMessages {
    pub to: Option<PhoneNumber>,
    pub from: Option<PhoneNumber>,
    /// Sent at this instant or later. For an inbound message it is the time of its arrival.
    pub sent_since: Option<Timestamp>,
    /// Sent at this instant or earlier.
    pub sent_until: Option<Timestamp>,
    /// Messages per request, 1 to 1000.
    pub page_size: u16,
    /// The most pages to fetch. What lies beyond is left out, and [`Listed::complete`] says so.
    pub max_pages: u16,
}

impl Default for ListMessages {
    fn default() -> Self {
        Self { to: None, from: None, sent_since: None, sent_until: None, page_size: 50, max_pages: 20 }
    }
}

/// A list, and whether it is the whole of it.
///
/// From a list that was cut short nobody may conclude that something is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// False when Twilio had more pages than were asked for.
    pub complete: bool,
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Gone,
    AlreadyGone,
    /// It is not settled yet (error 20009). Try again in a minute; it may take up to 14 days.
    NotYet,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub account_type: AccountType,
    pub status: AccountStatus,
    pub friendly_name: String,
    /// Whether it belongs to another account, which then holds the balance.
    pub is_child: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountType {
    Trial,
    Full,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    Suspended,
    Closed,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Balance {
    /// A decimal that can be negative.
    #[serde(rename = "balance")]
    pub amount: String,
    /// An ISO 4217 code such as `USD`.
    pub currency: String,
}

/// A number the account owns, with everything that decides where its messages and calls go.
///
/// An application, a trunk and a Messaging Service (which this resource does not name) take precedence over
/// the URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingNumber {
    pub sid: String,
    pub phone_number: PhoneNumber,
    pub friendly_name: String,
    pub capabilities: Capabilities,
    pub sms_url: Option<String>,
    pub sms_method: Option<String>,
    pub sms_fallback_url: Option<String>,
    pub sms_fallback_method: Option<String>,
    pub sms_application_sid: Option<String>,
    pub voice_url: Option<String>,
    pub voice_method: Option<String>,
    pub voice_fallback_url: Option<String>,
    pub voice_fallback_method: Option<String>,
    pub voice_application_sid: Option<String>,
    /// For calls only.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<String>,
    pub trunk_sid: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub sms: bool,
    pub mms: bool,
    pub voice: bool,
}

/// What kind of line a number is, by Twilio's Lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineType {
    Mobile,
    Landline,
    FixedVoip,
    NonFixedVoip,
    TollFree,
    /// Not known, or one of the kinds nobody texts (pager, premium and such).
    Unknown,
}

impl Client {
    /// A client that goes over the network.
    pub fn new(config: ClientConfig) -> Result<Self, SetupError> {
        let (api_base, api_is_local) = checked_base(&config.api_base)?;
        let (lookups_base, lookups_is_local) = checked_base(&config.lookups_base)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A create written to a connection that the far end has just closed is an unknown outcome, so
            // each request pays for a connection of its own.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("consentry/", env!("CARGO_PKG_VERSION")));
        if api_is_local && lookups_is_local {
            // A hospital's web proxy cannot reach a sandbox on this machine.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|source| SetupError::Http { source })?;
        Self::by(ClientConfig { api_base, lookups_base, ..config }, Transport::Network(http))
    }

    /// A client whose requests a service in this process answers.
    pub fn over(config: ClientConfig, wire: Wire) -> Result<Self, SetupError> {
        Self::by(config, Transport::InProcess(wire))
    }

    fn by(config: ClientConfig, transport: Transport) -> Result<Self, SetupError> {
        let (api_base, _) = checked_base(&config.api_base)?;
        let (lookups_base, _) = checked_base(&config.lookups_base)?;
        let (pricing_base, _) = checked_base(&config.pricing_base)?;
        let ClientConfig { account_sid, user, secret, .. } = config;
        if !is_sid(&account_sid) {
            return Err(SetupError::NotASid { sid: account_sid });
        }
        Ok(Self { transport, api_base, lookups_base, pricing_base, account_sid, user, secret })
    }

    /// Asks Twilio to send one message, once.
    pub async fn create_message(&self, message: &CreateMessage) -> Result<Message, CreateError> {
        let validity = message.validity_period.map(|seconds| seconds.to_string());
        let mut form = vec![("To", message.to.expose()), ("Body", message.body.expose())];
        form.push(match &message.from {
            Sender::Number(number) => ("From", number.expose()),
            Sender::Service(sid) => ("MessagingServiceSid", sid),
        });
        if let Some(url) = &message.status_callback {
            form.push(("StatusCallback", url));
        }
        if let Some(seconds) = &validity {
            form.push(("ValidityPeriod", seconds));
        }
        if message.smart_encoded {
            form.push(("SmartEncoded", "true"));
        }

        self.create("/Messages.json", &form, Answer::message).await
    }

    pub async fn fetch_message(&self, sid: &str) -> Result<Message, RequestError> {
        self.request(Method::GET, &self.message_url(sid)?, &[]).await?.message()
    }

    /// Lists messages of either direction, newest first, following Twilio's own links from page to page.
    pub async fn list_messages(&self, list: &ListMessages) -> Result<Listed<Message>, RequestError> {
        let page_size = list.page_size.to_string();
        let since = list.sent_since.map(|at| at.to_string());
        let until = list.sent_until.map(|at| at.to_string());
        let mut query = vec![("PageSize", page_size.as_str())];
        if let Some(to) = &list.to {
            query.push(("To", to.expose()));
        }
        if let Some(from) = &list.from {
            query.push(("From", from.expose()));
        }
        // The comparison is part of the parameter's name: `DateSent>=…`.
        if let Some(since) = &since {
            query.push(("DateSent>", since));
        }
        if let Some(until) = &until {
            query.push(("DateSent<", until));
        }
        let first = format!("{}?{}", self.account_url("/Messages.json"), encoded(&query));
        self.pages(first, list.max_pages, "list of messages", MessageRecord::into_message).await
    }

    /// Empties the text of a message at Twilio, who allows it once the message is final.
    pub async fn redact_message(&self, sid: &str) -> Result<Message, RequestError> {
        self.request(Method::POST, &self.message_url(sid)?, &[("Body", "")]).await?.message()
    }

    /// Deletes a message's record at Twilio.
    pub async fn delete_message(&self, sid: &str) -> Result<Deleted, RequestError> {
        self.delete(&self.message_url(sid)?).await
    }

    /// The account's state. A standard API key gets 20003 here whatever else it may do; only the auth token
    /// or a main key may ask.
    pub async fn account(&self) -> Result<Account, RequestError> {
        // Twilio's answer also holds the auth token, which is not read.
        #[derive(Deserialize)]
        struct Record {
            r#type: String,
            status: String,
            friendly_name: String,
            owner_account_sid: Option<String>,
        }
        let record: Record =
            self.request(Method::GET, &self.account_url(".json"), &[]).await?.json("account")?;
        Ok(Account {
            account_type: match record.r#type.as_str() {
                "Trial" => AccountType::Trial,
                "Full" => AccountType::Full,
                _ => AccountType::Other(record.r#type),
            },
            status: match record.status.as_str() {
                "active" => AccountStatus::Active,
                "suspended" => AccountStatus::Suspended,
                "closed" => AccountStatus::Closed,
                _ => AccountStatus::Other(record.status),
            },
            friendly_name: record.friendly_name,
            is_child: record.owner_account_sid.is_some_and(|owner| owner != self.account_sid),
        })
    }

    /// The account's balance. Subaccounts have none of their own, and some keys may not ask.
    pub async fn balance(&self) -> Result<Balance, RequestError> {
        self.request(Method::GET, &self.account_url("/Balance.json"), &[]).await?.json("balance")
    }

    /// Every number the account owns.
    pub async fn incoming_numbers(&self) -> Result<Vec<IncomingNumber>, RequestError> {
        /// Far more numbers than an institution has, and an end to a list that links in a circle.
        const MAX_PAGES: u16 = 50;
        let first = self.account_url("/IncomingPhoneNumbers.json?PageSize=1000");
        Ok(self.pages(first, MAX_PAGES, "list of numbers", NumberRecord::into_number).await?.items)
    }

    /// Asks what kind of line a number is. Twilio charges for each answer.
    pub async fn lookup_line_type(&self, number: &PhoneNumber) -> Result<LineType, RequestError> {
        #[derive(Deserialize)]
        struct Lookup {
            line_type_intelligence: Option<LineTypeIntelligence>,
        }
        #[derive(Deserialize)]
        struct LineTypeIntelligence {
            r#type: Option<String>,
        }
        let url = format!(
            "{}/v2/PhoneNumbers/{}?Fields=line_type_intelligence",
            self.lookups_base,
            number.expose()
        );
        let lookup: Lookup = self.request(Method::GET, &url, &[]).await?.json("lookup")?;
        let kind = lookup.line_type_intelligence.and_then(|line| line.r#type);
        Ok(match kind.as_deref() {
            Some("mobile") => LineType::Mobile,
            Some("landline") => LineType::Landline,
            Some("fixedVoip") => LineType::FixedVoip,
            Some("nonFixedVoip") => LineType::NonFixedVoip,
            Some("tollFree") => LineType::TollFree,
            _ => LineType::Unknown,
        })
    }

    fn account_url(&self, rest: &str) -> String {
        format!("{}/2010-04-01/Accounts/{}{rest}", self.api_base, self.account_sid)
    }

    fn message_url(&self, sid: &str) -> Result<String, RequestError> {
        self.resource_url("Messages", sid)
    }

    fn resource_url(&self, kind: &str, sid: &str) -> Result<String, RequestError> {
        if !is_sid(sid) {
            return Err(RequestError::NotASid { sid: sid.to_owned() });
        }
        Ok(self.account_url(&format!("/{kind}/{sid}.json")))
    }

    /// Posts one create, once, and says which of the four outcomes it had.
    async fn create<T>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        read: fn(&Answer) -> Result<T, RequestError>,
    ) -> Result<T, CreateError> {
        let answer = self.exchange(Method::POST, &self.account_url(path), form).await.map_err(
            |Broken { answered, reach, source }| match (answered, reach) {
                // A refusal stands whether or not its text arrived.
                (Some(head), _) if head.is_refusal() => CreateError::Refused(head.into_error(b"")),
                (None, Reach::Nowhere) => CreateError::NotSent { source },
                (_, Reach::Timeout) => {
                    CreateError::Unknown { why: UnknownOutcome::Timeout, source: Some(source) }
                }
                _ => CreateError::Unknown { why: UnknownOutcome::ConnectionLost, source: Some(source) },
            },
        )?;
        if answer.head.is_refusal() {
            return Err(CreateError::Refused(answer.into_error()));
        }
        if !answer.head.status.is_success() {
            let why = UnknownOutcome::ServerError(answer.into_error());
            return Err(CreateError::Unknown { why, source: None });
        }
        let status = answer.head.status.as_u16();
        read(&answer)
            .map_err(|_| CreateError::Unknown { why: UnknownOutcome::Unreadable { status }, source: None })
    }

    async fn delete(&self, url: &str) -> Result<Deleted, RequestError> {
        match self.request(Method::DELETE, url, &[]).await {
            Ok(_) => Ok(Deleted::Gone),
            // The codes decide: the HTTP status of 20009 is not documented, and a bare 404 can come from
            // something that is not Twilio.
            Err(RequestError::Api(error)) if error.code == Some(20404) => Ok(Deleted::AlreadyGone),
            Err(RequestError::Api(error)) if error.code == Some(20009) => Ok(Deleted::NotYet),
            Err(error) => Err(error),
        }
    }

    /// Follows a list from page to page.
    async fn pages<R: DeserializeOwned, T>(
        &self,
        first: String,
        max_pages: u16,
        what: &'static str,
        read: fn(R) -> Result<T, RequestError>,
    ) -> Result<Listed<T>, RequestError> {
        let mut items = vec![];
        let mut next = Some(first);
        for _ in 0..max_pages {
            let Some(url) = next else { break };
            let page: Page<R> = self.request(Method::GET, &url, &[]).await?.json(what)?;
            for record in page.records {
                items.push(read(record)?);
            }
            next = self.next_page(page.next_page_uri)?;
        }
        Ok(Listed { items, complete: next.is_none() })
    }

    /// Twilio's page links are relative to the API's base. One that leads elsewhere would carry our
    /// credentials there.
    fn next_page(&self, uri: Option<String>) -> Result<Option<String>, RequestError> {
        match uri.filter(|uri| !uri.is_empty()) {
            None => Ok(None),
            Some(uri) if uri.starts_with('/') => Ok(Some(format!("{}{uri}", self.api_base))),
            Some(_) => Err(RequestError::Unreadable {
                what: "link to the next page",
                place: "it is not relative".to_owned(),
            }),
        }
    }

    async fn request(
        &self,
        method: Method,
        url: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, RequestError> {
        let answer = self
            .exchange(method, url, form)
            .await
            .map_err(|broken| RequestError::Transport { source: broken.source })?;
        if answer.head.status.is_success() { Ok(answer) } else { Err(RequestError::Api(answer.into_error())) }
    }

    /// One request and its whole answer. An array is a key that repeats in `form`.
    async fn exchange(&self, method: Method, url: &str, form: &[(&str, &str)]) -> Result<Answer, Broken> {
        let credentials = format!("{}:{}", self.user, self.secret.expose_secret());
        let credentials = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials)));
        let mut credentials = credentials.map_err(|error| Broken::unmade(error.into()))?;
        credentials.set_sensitive(true);
        let mut request = http::Request::builder().uri(url).header(AUTHORIZATION, credentials);
        let mut body = Bytes::new();
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            body = encoded(form).into();
        }
        let request = request.method(method).body(body).map_err(Broken::unmade)?;
        let (head, body) = self.transport.carry(request).await?;
        Ok(Answer { head, body })
    }
}

struct Head {
    status: StatusCode,
    request_id: Option<String>,
    retry_after: Option<u64>,
}

struct Answer {
    head: Head,
    body: Bytes,
}

impl Head {
    fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            request_id: header("twilio-request-id").map(str::to_owned),
            retry_after: header("retry-after").and_then(|value| value.trim().parse().ok()),
        }
    }

    fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }

    /// Reads both shapes of Twilio's errors: that of 2010 (`code`, `message`) and RFC 9457's (`title`,
    /// `detail`).
    fn into_error(self, body: &[u8]) -> ApiError {
        #[derive(Deserialize)]
        struct Shape {
            code: Option<serde_json::Value>,
            message: Option<String>,
            detail: Option<String>,
            title: Option<String>,
        }
        let shape: Option<Shape> = serde_json::from_slice(body).ok();
        let (code, words) = match shape {
            Some(Shape { code, message, detail, title }) => {
                let code = code.and_then(|code| match code {
                    serde_json::Value::String(text) => text.parse().ok(),
                    other => other.as_u64().and_then(|code| u32::try_from(code).ok()),
                });
                (code, message.or(detail).or(title))
            }
            None => (None, None),
        };
        let words =
            words.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(EXCERPT_CHARACTERS).collect());
        ApiError {
            status: self.status.as_u16(),
            code,
            message: masked(&words),
            request_id: self.request_id,
            retry_after: self.retry_after,
        }
    }
}

impl Answer {
    fn into_error(self) -> ApiError {
        self.head.into_error(&self.body)
    }

    fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, RequestError> {
        serde_json::from_slice(&self.body).map_err(|error| RequestError::Unreadable {
            what,
            // The error's own words can quote a value.
            place: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
        })
    }

    fn message(&self) -> Result<Message, RequestError> {
        self.json::<MessageRecord>("message")?.into_message()
    }
}

/// One page of a list, whose key is named after what it lists.
#[derive(Deserialize)]
struct Page<R> {
    #[serde(
        alias = "messages",
        alias = "incoming_phone_numbers",
        alias = "calls",
        alias = "recordings",
        alias = "events",
        alias = "notifications"
    )]
    records: Vec<R>,
    next_page_uri: Option<String>,
}

/// Twilio's dates are RFC 2822.
fn date(text: &str, what: &'static str, field: &str) -> Result<Timestamp, RequestError> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .map_err(|_| RequestError::Unreadable { what, place: format!("`{field}`") })
}

/// The wire's idea of a message: numbers are strings, dates are RFC 2822.
#[derive(Deserialize)]
struct MessageRecord {
    sid: String,
    status: String,
    direction: String,
    to: Option<String>,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    body: Option<String>,
    num_segments: Option<String>,
    price: Option<String>,
    price_unit: Option<String>,
    error_code: Option<u32>,
    date_created: String,
    date_sent: Option<String>,
}

impl MessageRecord {
    fn into_message(self) -> Result<Message, RequestError> {
        let date = |text: &str, field| date(text, "message", field);
        let phone = |text: Option<String>| text.and_then(|text| PhoneNumber::from_e164(&text).ok());
        Ok(Message {
            date_created: date(&self.date_created, "date_created")?,
            date_sent: self.date_sent.map(|text| date(&text, "date_sent")).transpose()?,
            num_segments: match self.num_segments {
                None => 0,
                Some(text) => text.parse().map_err(|_| RequestError::Unreadable {
                    what: "message",
                    place: "`num_segments`".to_owned(),
                })?,
            },
            status: MessageStatus::from(self.status.as_str()),
            direction: Direction::from(self.direction),
            to: phone(self.to),
            from: phone(self.from),
            messaging_service_sid: self.messaging_service_sid,
            body: MessageBody::new(self.body.unwrap_or_default()),
            price: self.price,
            price_unit: self.price_unit,
            error_code: self.error_code,
            sid: self.sid,
        })
    }
}

#[derive(Deserialize)]
struct NumberRecord {
    sid: String,
    phone_number: String,
    friendly_name: Option<String>,
    #[serde(default)]
    capabilities: Capabilities,
    sms_url: Option<String>,
    sms_method: Option<String>,
    sms_fallback_url: Option<String>,
    sms_fallback_method: Option<String>,
    sms_application_sid: Option<String>,
    voice_url: Option<String>,
    voice_method: Option<String>,
    voice_fallback_url: Option<String>,
    voice_fallback_method: Option<String>,
    voice_application_sid: Option<String>,
    status_callback: Option<String>,
    status_callback_method: Option<String>,
    trunk_sid: Option<String>,
}

impl NumberRecord {
    fn into_number(self) -> Result<IncomingNumber, RequestError> {
        // Twilio writes an unset URL now as null, now as an empty string.
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(IncomingNumber {
            phone_number: PhoneNumber::from_e164(&self.phone_number).map_err(|_| {
                RequestError::Unreadable { what: "number", place: "`phone_number`".to_owned() }
            })?,
            sid: self.sid,
            friendly_name: self.friendly_name.unwrap_or_default(),
            capabilities: self.capabilities,
            sms_url: set(self.sms_url),
            sms_method: set(self.sms_method),
            sms_fallback_url: set(self.sms_fallback_url),
            sms_fallback_method: set(self.sms_fallback_method),
            sms_application_sid: set(self.sms_application_sid),
            voice_url: set(self.voice_url),
            voice_method: set(self.voice_method),
            voice_fallback_url: set(self.voice_fallback_url),
            voice_fallback_method: set(self.voice_fallback_method),
            voice_application_sid: set(self.voice_application_sid),
            status_callback: set(self.status_callback),
            status_callback_method: set(self.status_callback_method),
            trunk_sid: set(self.trunk_sid),
        })
    }
}

/// The base without its trailing slash, and whether it is on this machine.
fn checked_base(base: &str) -> Result<(String, bool), SetupError> {
    let not_a_base = || SetupError::NotABase { base: base.to_owned() };
    let url: Url = base.parse().map_err(|_| not_a_base())?;
    let host = url.host_str().ok_or_else(not_a_base)?;
    let unadorned = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !unadorned || !matches!(url.scheme(), "http" | "https") {
        // It may hold a password, so it is not repeated.
        return Err(SetupError::NotABase { base: format!("{}://{host}", url.scheme()) });
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !is_local {
        return Err(SetupError::Unencrypted { base: base.to_owned() });
    }
    Ok((base.trim_end_matches('/').to_owned(), is_local))
}

/// Twilio's SIDs are two capitals and 32 hex digits. Checked only so far that one is safe in a path.
fn is_sid(text: &str) -> bool {
    let (kind, rest) = text.split_at_checked(2).unwrap_or((text, ""));
    kind.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=62).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Replaces the digits of whatever could be a phone number: seven or more digits with at most separators
/// between them.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        let joins = matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}');
        if c.is_ascii_digit() || (joins && !run.is_empty()) {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut String, out: &mut String) {
    let mask = run.chars().filter(char::is_ascii_digit).count() >= 7;
    out.extend(run.drain(..).map(|c| if mask && c.is_ascii_digit() { '•' } else { c }));
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Uri};
    use axum::response::IntoResponse;
    use serde_json::{Value, json};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    pub(super) const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const SID: &str = "SM00000000000000000000000000000001";

    /// What arrived at the stand-in for Twilio.
    #[derive(Debug)]
    pub(super) struct Seen {
        pub(super) method: String,
        pub(super) uri: String,
        pub(super) authorization: String,
        pub(super) body: String,
    }

    /// One prepared answer.
    #[derive(Clone)]
    pub(super) struct Reply {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        pub(super) body: String,
    }

    pub(super) struct Stand {
        pub(super) client: Client,
        pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    }

    pub(super) fn reply(status: u16, body: &Value) -> Reply {
        Reply { status, headers: vec![], body: body.to_string() }
    }

    fn client_at(base: &str) -> Result<Client, SetupError> {
        Client::new(ClientConfig {
            api_base: base.to_owned(),
            lookups_base: base.to_owned(),
            pricing_base: base.to_owned(),
            account_sid: ACCOUNT.to_owned(),
            user: "SK1".to_owned(),
            secret: Secret::from("hunter2".to_owned()),
        })
    }

    /// A server that gives the replies in turn.
    pub(super) async fn stand(replies: Vec<Reply>) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_at(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(vec![]));
        let replies = Arc::new(Mutex::new(replies.into_iter()));
        let record = Arc::clone(&seen);
        let app = Router::new().fallback(
            async move |method: axum::http::Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                record.lock().unwrap().push(Seen {
                    method: method.to_string(),
                    uri: uri.to_string(),
                    authorization: headers["authorization"].to_str().unwrap().to_owned(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                });
                let Reply { status, headers, body } = replies.lock().unwrap().next().unwrap();
                let headers: HeaderMap = headers
                    .into_iter()
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect();
                (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
            },
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        Stand { client, seen }
    }

    /// A server that reads a request up to `upto`, says `answer` and hangs up.
    pub(super) async fn hangs_up(upto: &'static str, answer: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_at(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = vec![];
            while !String::from_utf8_lossy(&heard).contains(upto) {
                assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
            }
            tokio::io::AsyncWriteExt::write_all(&mut socket, answer.as_bytes()).await.unwrap();
        });
        client
    }

    pub(super) fn phone(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).unwrap()
    }

    fn invitation() -> CreateMessage {
        CreateMessage {
            to: phone("+16155550199"),
            from: Sender::Number(phone("+16155550100")),
            body: MessageBody::from("Your survey: https://r.example.edu/s/?s=a&b=1 ñ"),
            status_callback: Some("https://c.example.edu/twilio/status?i=01J".to_owned()),
            validity_period: Some(14400),
            smart_encoded: true,
        }
    }

    fn message_json(sid: &str) -> Value {
        json!({
            "sid": sid, "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "Hello! 👍",
            "status": "queued", "direction": "outbound-api", "from": "+16155550100", "to": "+16155550199",
            "messaging_service_sid": null, "num_segments": "1", "num_media": "0", "price": null,
            "price_unit": null, "error_code": null, "error_message": null,
            "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
            "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000", "date_sent": null, "uri": "/2010-04-01/…",
        })
    }

    #[tokio::test]
    async fn a_message_is_created() {
        let stand = stand(vec![reply(201, &message_json(SID))]).await;
        let message = stand.client.create_message(&invitation()).await.unwrap();
        assert_eq!(
            message,
            Message {
                sid: SID.to_owned(),
                status: MessageStatus::Queued,
                direction: Direction::OutboundApi,
                to: Some(phone("+16155550199")),
                from: Some(phone("+16155550100")),
                messaging_service_sid: None,
                body: MessageBody::from("Hello! 👍"),
                num_segments: 1,
                price: None,
                price_unit: None,
                error_code: None,
                date_created: "2023-08-24T05:01:45Z".parse().unwrap(),
                date_sent: None,
            }
        );
        let seen = stand.seen.lock().unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].method, "POST");
        assert_eq!(seen[0].uri, format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json"));
        assert_eq!(seen[0].authorization, "Basic U0sxOmh1bnRlcjI=");
        assert_eq!(
            seen[0].body,
            "To=%2B16155550199&Body=Your+survey%3A+https%3A%2F%2Fr.example.edu%2Fs%2F%3Fs%3Da%26b%3D1+%C3%B1\
             &From=%2B16155550100&StatusCallback=https%3A%2F%2Fc.example.edu%2Ftwilio%2Fstatus%3Fi%3D01J\
             &ValidityPeriod=14400&SmartEncoded=true"
        );
    }

    #[tokio::test]
    async fn a_service_may_send() {
        let mut json = message_json(SID);
        json["from"] = Value::Null;
        json["status"] = "accepted".into();
        json["num_segments"] = "0".into();
        let stand = stand(vec![reply(201, &json)]).await;
        let from = Sender::Service("MG1".to_owned());
        let plain = CreateMessage {
            from,
            status_callback: None,
            validity_period: None,
            smart_encoded: false,
            ..invitation()
        };
        let message = stand.client.create_message(&plain).await.unwrap();
        assert_eq!((message.from, message.num_segments), (None, 0));
        assert!(stand.seen.lock().unwrap()[0].body.ends_with("&MessagingServiceSid=MG1"));
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_code() {
        let mut refusal = reply(
            400,
            &json!({"code": 21211, "message": "The 'To' number +1 (615) 555-0199 is not valid", "status": 400,
                    "more_info": "https://www.twilio.com/docs/errors/21211"}),
        );
        refusal.headers.push(("Twilio-Request-Id", "RQ1"));
        let stand = stand(vec![refusal]).await;
        let Err(CreateError::Refused(error)) = stand.client.create_message(&invitation()).await else {
            panic!("not refused");
        };
        assert_eq!(error.class(), Class::Recipient);
        assert_eq!(error.explained().unwrap().code, 21211);
        assert_eq!(error.request_id.as_deref(), Some("RQ1"));
        assert_eq!(
            error.to_string(),
            "twilio answered HTTP 400 with code `21211`: The 'To' number +• (•••) •••-•••• is not valid"
        );
    }

    #[tokio::test]
    async fn the_newer_error_shape_is_read_too() {
        let body = json!({"type": "https://www.twilio.com/docs/errors/20422", "title": "Invalid parameter",
                          "status": 422, "code": "20422", "detail": "To is required"});
        let stand = stand(vec![reply(422, &body)]).await;
        let Err(RequestError::Api(error)) = stand.client.fetch_message(SID).await else {
            panic!("not refused")
        };
        assert_eq!((error.status, error.code, error.message.as_str()), (422, Some(20422), "To is required"));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_json_is_quoted() {
        let body = format!("<html>blocked for 6155550199</html>{}", "x".repeat(1000));
        let stand = stand(vec![Reply { status: 403, headers: vec![], body }]).await;
        let Err(CreateError::Refused(error)) = stand.client.create_message(&invitation()).await else {
            panic!("not refused");
        };
        assert_eq!((error.status, error.code), (403, None));
        assert!(error.message.starts_with("<html>blocked for ••••••••••</html>"), "{}", error.message);
        assert_eq!(error.message.chars().count(), EXCERPT_CHARACTERS);
    }

    #[tokio::test]
    async fn too_many_requests_is_a_definite_no() {
        let mut refusal = reply(429, &json!({"code": 20429, "message": "Too Many Requests", "status": 429}));
        refusal.headers.push(("Retry-After", "7"));
        let stand = stand(vec![refusal]).await;
        let Err(CreateError::Refused(error)) = stand.client.create_message(&invitation()).await else {
            panic!("not refused");
        };
        assert_eq!((error.class(), error.retry_after), (Class::Transient, Some(7)));
        assert_eq!(stand.seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_server_error_leaves_it_open() {
        let stand = stand(vec![reply(503, &json!({"code": 20503, "message": "Service unavailable"}))]).await;
        let Err(CreateError::Unknown { why: UnknownOutcome::ServerError(error), .. }) =
            stand.client.create_message(&invitation()).await
        else {
            panic!("not unknown");
        };
        assert_eq!(error.code, Some(20503));
        assert_eq!(stand.seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let moved = Reply { status: 307, headers: vec![("Location", "/elsewhere")], body: String::new() };
        let stand = stand(vec![moved]).await;
        let outcome = stand.client.create_message(&invitation()).await;
        assert!(matches!(outcome, Err(CreateError::Unknown { why: UnknownOutcome::ServerError(_), .. })));
        assert_eq!(stand.seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_unreadable_success_leaves_it_open() {
        let stand = stand(vec![reply(201, &json!({"sid": SID}))]).await;
        let outcome = stand.client.create_message(&invitation()).await;
        let why = UnknownOutcome::Unreadable { status: 201 };
        assert!(matches!(outcome, Err(CreateError::Unknown { why: found, .. }) if found == why));
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_leaves_it_open() {
        let client = hangs_up("SmartEncoded=true", "").await;
        let Err(CreateError::Unknown { why: UnknownOutcome::ConnectionLost, source: Some(source) }) =
            client.create_message(&invitation()).await
        else {
            panic!("not unknown");
        };
        assert!(source.downcast_ref::<reqwest::Error>().unwrap().url().is_none());
    }

    #[tokio::test]
    async fn a_success_cut_short_leaves_it_open() {
        let client =
            hangs_up("SmartEncoded=true", "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{").await;
        let outcome = client.create_message(&invitation()).await;
        assert!(matches!(outcome, Err(CreateError::Unknown { why: UnknownOutcome::ConnectionLost, .. })));
    }

    #[tokio::test]
    async fn a_refusal_cut_short_is_still_a_refusal() {
        let client =
            hangs_up("SmartEncoded=true", "HTTP/1.1 400 Bad Request\r\nContent-Length: 99\r\n\r\n{").await;
        let outcome = client.create_message(&invitation()).await;
        assert!(matches!(outcome, Err(CreateError::Refused(ApiError { status: 400, code: None, .. }))));
    }

    #[tokio::test]
    async fn nothing_listening_means_nothing_sent() {
        // Bound, so that nobody else gets the port, and then closed.
        let address: SocketAddr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let client = client_at(&format!("http://{address}")).unwrap();
        let error = client.create_message(&invitation()).await.unwrap_err();
        assert!(matches!(error, CreateError::NotSent { .. }), "{error:?}");
        assert!(error.source().is_some());
    }

    #[tokio::test]
    async fn a_failed_handshake_means_nothing_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_at(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_buf(&mut vec![]).await.unwrap();
        });
        let outcome = client.create_message(&invitation()).await;
        assert!(matches!(outcome, Err(CreateError::NotSent { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn an_array_is_a_repeated_key() {
        let stand = stand(vec![reply(200, &json!({}))]).await;
        let form = [("StatusCallbackEvent", "initiated"), ("StatusCallbackEvent", "completed")];
        let url = stand.client.account_url("/Calls.json");
        stand.client.request(Method::POST, &url, &form).await.unwrap();
        assert_eq!(
            stand.seen.lock().unwrap()[0].body,
            "StatusCallbackEvent=initiated&StatusCallbackEvent=completed"
        );
    }

    #[tokio::test]
    async fn a_list_follows_its_links() {
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let next = format!("{path}?PageSize=1&Page=1&PageToken=PASM1");
        let mut short_code = message_json("SM2");
        short_code["from"] = "12345".into();
        short_code["status"] = "delivered".into();
        short_code["date_sent"] = "Thu, 24 Aug 2023 01:01:46 -0400".into();
        let stand = stand(vec![
            reply(200, &json!({"messages": [message_json("SM1")], "next_page_uri": next})),
            reply(200, &json!({"messages": [short_code], "next_page_uri": null})),
        ])
        .await;
        let list = ListMessages {
            to: Some(phone("+16155550199")),
            from: Some(phone("+16155550100")),
            sent_since: Some("2026-11-23T12:00:00Z".parse().unwrap()),
            sent_until: Some("2026-11-24T12:00:00Z".parse().unwrap()),
            page_size: 1,
            max_pages: 5,
        };
        let Listed { items: messages, complete } = stand.client.list_messages(&list).await.unwrap();
        assert!(complete);
        assert_eq!(messages.iter().map(|message| message.sid.as_str()).collect::<Vec<_>>(), ["SM1", "SM2"]);
        assert_eq!(messages[1].from, None);
        assert_eq!(messages[1].date_sent, Some("2023-08-24T05:01:46Z".parse().unwrap()));
        let seen = stand.seen.lock().unwrap();
        assert_eq!(
            seen[0].uri,
            format!(
                "{path}?PageSize=1&To=%2B16155550199&From=%2B16155550100&DateSent%3E=2026-11-23T12%3A00%3A00Z\
                 &DateSent%3C=2026-11-24T12%3A00%3A00Z"
            )
        );
        assert_eq!(seen[1].uri, next);
    }

    #[tokio::test]
    async fn an_inbound_message_is_listed_with_its_text_and_its_time() {
        let mut inbound = message_json("SM3");
        inbound["direction"] = "inbound".into();
        inbound["status"] = "received".into();
        inbound["body"] = "please opt out".into();
        inbound["from"] = "+16155550199".into();
        inbound["to"] = "+16155550100".into();
        inbound["date_sent"] = "Thu, 24 Aug 2023 05:01:46 +0000".into();
        let stand = stand(vec![reply(200, &json!({"messages": [inbound], "next_page_uri": null}))]).await;
        let list = ListMessages { to: Some(phone("+16155550100")), ..ListMessages::default() };
        let heard = stand.client.list_messages(&list).await.unwrap().items.remove(0);
        assert_eq!((heard.direction, heard.status), (Direction::Inbound, MessageStatus::Received));
        assert_eq!(heard.body.expose(), "please opt out");
        assert_eq!(heard.from, Some(phone("+16155550199")));
        assert_eq!(heard.date_sent, Some("2023-08-24T05:01:46Z".parse().unwrap()));
    }

    #[tokio::test]
    async fn pages_are_bounded_and_stay_at_home() {
        let page =
            |next: &str| reply(200, &json!({"messages": [message_json("SM1")], "next_page_uri": next}));
        let circle = stand(vec![page("/round"), page("/round")]).await;
        let list = ListMessages { max_pages: 2, ..ListMessages::default() };
        let cut_short = circle.client.list_messages(&list).await.unwrap();
        assert_eq!((cut_short.items.len(), cut_short.complete), (2, false));

        let abroad = stand(vec![page("https://elsewhere.example.com/next")]).await;
        let outcome = abroad.client.list_messages(&list).await;
        assert!(matches!(outcome, Err(RequestError::Unreadable { what: "link to the next page", .. })));
    }

    #[tokio::test]
    async fn redaction_posts_an_empty_body() {
        let mut redacted = message_json(SID);
        redacted["body"] = "".into();
        let stand = stand(vec![reply(200, &redacted)]).await;
        assert!(stand.client.redact_message(SID).await.unwrap().body.is_empty());
        let seen = stand.seen.lock().unwrap();
        assert_eq!((seen[0].method.as_str(), seen[0].body.as_str()), ("POST", "Body="));
    }

    #[tokio::test]
    async fn deletion_has_three_good_ends() {
        let stand = stand(vec![
            Reply { status: 204, headers: vec![], body: String::new() },
            reply(404, &json!({"code": 20404, "message": "not found"})),
            reply(409, &json!({"code": 20009, "message": "not complete"})),
            Reply { status: 404, headers: vec![], body: "<html>no such page</html>".to_owned() },
        ])
        .await;
        assert_eq!(stand.client.delete_message(SID).await.unwrap(), Deleted::Gone);
        assert_eq!(stand.client.delete_message(SID).await.unwrap(), Deleted::AlreadyGone);
        assert_eq!(stand.client.delete_message(SID).await.unwrap(), Deleted::NotYet);
        assert!(matches!(stand.client.delete_message(SID).await, Err(RequestError::Api(_))));
        let seen = stand.seen.lock().unwrap();
        assert_eq!((seen[0].method.as_str(), seen[0].body.as_str()), ("DELETE", ""));
    }

    #[tokio::test]
    async fn a_path_takes_only_a_sid() {
        let stand = stand(vec![]).await;
        for sid in ["", "SM", "SM1/../../Keys", "SM1?x", "sm1", "é1"] {
            let outcome = stand.client.fetch_message(sid).await;
            assert!(matches!(outcome, Err(RequestError::NotASid { .. })), "{sid}");
        }
        assert!(stand.seen.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_account_comes_without_its_token() {
        let body = json!({"type": "Trial", "status": "active", "friendly_name": "Study",
                          "auth_token": "hunter3", "owner_account_sid": "AC2"});
        let balance = json!({"account_sid": ACCOUNT, "balance": "-0.05", "currency": "USD"});
        let stand = stand(vec![reply(200, &body), reply(200, &balance)]).await;
        let account = stand.client.account().await.unwrap();
        assert_eq!(account.account_type, AccountType::Trial);
        assert_eq!(account.status, AccountStatus::Active);
        assert!(account.is_child);
        assert!(!format!("{account:?} {:?}", stand.client).contains("hunter"));
        let balance = stand.client.balance().await.unwrap();
        assert_eq!((balance.amount.as_str(), balance.currency.as_str()), ("-0.05", "USD"));
        assert_eq!(stand.seen.lock().unwrap()[0].uri, format!("/2010-04-01/Accounts/{ACCOUNT}.json"));
    }

    #[tokio::test]
    async fn numbers_tell_where_their_messages_go() {
        let body = json!({"next_page_uri": "", "incoming_phone_numbers": [{
            "sid": "PN1", "phone_number": "+18085550100", "friendly_name": "(808) 555-0100",
            "capabilities": {"voice": true, "sms": true, "mms": false, "fax": false},
            "sms_url": "https://redcap.example.edu/", "sms_method": "POST", "sms_fallback_url": "",
            "voice_url": null, "trunk_sid": null, "sms_application_sid": "AP1", "beta": null,
        }]});
        let stand = stand(vec![reply(200, &body)]).await;
        let numbers = stand.client.incoming_numbers().await.unwrap();
        let [number] = numbers.as_slice() else { panic!("{numbers:?}") };
        assert_eq!(number.capabilities, Capabilities { sms: true, mms: false, voice: true });
        assert_eq!(number.sms_url.as_deref(), Some("https://redcap.example.edu/"));
        assert_eq!(number.sms_fallback_url, None);
        assert_eq!(number.sms_application_sid.as_deref(), Some("AP1"));
    }

    #[tokio::test]
    async fn a_lookup_names_the_line() {
        let found =
            json!({"valid": true, "line_type_intelligence": {"type": "nonFixedVoip", "carrier_name": "x"}});
        let stand =
            stand(vec![reply(200, &found), reply(200, &json!({"line_type_intelligence": null}))]).await;
        let number = phone("+14155550100");
        assert_eq!(stand.client.lookup_line_type(&number).await.unwrap(), LineType::NonFixedVoip);
        assert_eq!(stand.client.lookup_line_type(&number).await.unwrap(), LineType::Unknown);
        assert_eq!(
            stand.seen.lock().unwrap()[0].uri,
            "/v2/PhoneNumbers/+14155550100?Fields=line_type_intelligence"
        );
    }

    #[tokio::test]
    async fn an_unreadable_answer_is_not_quoted() {
        let stand = stand(vec![reply(200, &json!({"balance": 6_155_550_199_u64, "currency": "USD"}))]).await;
        let error = stand.client.balance().await.unwrap_err().to_string();
        assert!(error.starts_with("twilio's balance cannot be read (Data error at line 1"), "{error}");
        assert!(!error.contains("6155550199"), "{error}");
    }

    #[test]
    fn a_secret_travels_encrypted_or_not_at_all() {
        for base in [DEFAULT_API_BASE, "http://127.0.0.1:4012", "http://localhost:1/", "http://[::1]:1"] {
            assert!(client_at(base).is_ok(), "{base}");
        }
        for base in ["http://api.twilio.com", "http://10.0.0.1:4012", "http://localhost.example.com"] {
            assert!(matches!(client_at(base), Err(SetupError::Unencrypted { .. })), "{base}");
        }
        for base in ["api.twilio.com", "ftp://127.0.0.1", "https://u:hunter2@api.twilio.com", "https://a/?b"]
        {
            let error = client_at(base).unwrap_err();
            assert!(matches!(error, SetupError::NotABase { .. }), "{base}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn long_runs_of_digits_are_masked() {
        assert_eq!(masked("to +1 615-555-0199, code 21610."), "to +• •••-•••-••••, code 21610.");
        assert_eq!(masked("6155550199"), "••••••••••");
        assert_eq!(masked("no digits"), "no digits");
    }
}
