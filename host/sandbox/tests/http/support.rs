//! A started sandbox, clients for it, and a server that notes what is posted to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::IntoResponse;
use jiff::{SignedDuration, Timestamp};
use sandbox::{Sandbox, SandboxConfig, TwilioAccount};
use tokio::sync::watch;

pub(crate) const STUDY: &str = include_str!("../data/study.xml");
pub(crate) const ANA: &str = "+16175550142";
pub(crate) const BEN: &str = "+16175550143";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<Timestamp>>);

impl Clock {
    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut at = self.0.lock().unwrap();
        *at = at.checked_add(by).unwrap();
    }
}

pub(crate) fn config() -> (SandboxConfig, Clock) {
    let clock = Clock(Arc::new(Mutex::new("2026-11-23T15:30:00Z".parse().unwrap())));
    let hand = clock.clone();
    (SandboxConfig::new(STUDY, Arc::new(move || *hand.0.lock().unwrap())), clock)
}

pub(crate) async fn start() -> Sandbox {
    Sandbox::start(config().0).await.unwrap()
}

pub(crate) fn twilio_config(sandbox: &Sandbox) -> twilio::ClientConfig {
    let account = TwilioAccount::default();
    twilio::ClientConfig {
        api_base: sandbox.twilio_url(),
        lookups_base: sandbox.twilio_url(),
        pricing_base: sandbox.twilio_url(),
        user: account.account_sid.clone(),
        account_sid: account.account_sid,
        secret: account.auth_token,
    }
}

pub(crate) fn twilio_client(sandbox: &Sandbox) -> twilio::Client {
    twilio::Client::new(twilio_config(sandbox)).unwrap()
}

pub(crate) fn redcap_config(sandbox: &Sandbox) -> redcap::ClientConfig {
    redcap::ClientConfig::new(&sandbox.redcap_url(), redcap::Token::from(config().0.api_token))
}

pub(crate) fn redcap_client(sandbox: &Sandbox) -> redcap::Client {
    redcap::Client::new(redcap_config(sandbox)).unwrap()
}

/// One request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) url: String,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) signature: Option<String>,
    pub(crate) token: Option<String>,
}

impl Posted {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether Twilio signed it, for the URL it was posted to.
    pub(crate) fn is_signed(&self) -> bool {
        let verifier = twilio::Verifier::new(vec![TwilioAccount::default().auth_token], BTreeMap::new());
        let payload = twilio::Payload::Form(&self.form);
        let signed = twilio::Signed { signature: self.signature.as_deref(), settings: None, payload };
        verifier.verify(&self.url, signed).is_ok()
    }
}

/// A server that notes every POST and gives each the same answer.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) url: String,
    answer: String,
    posted: watch::Sender<Vec<Posted>>,
}

impl Listener {
    pub(crate) async fn start(answer: String) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let listener = Self { url, answer, posted: watch::Sender::default() };
        let router = Router::new().fallback(note).with_state(listener.clone());
        tokio::spawn(async move { axum::serve(socket, router).await });
        listener
    }

    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.borrow().clone()
    }

    /// Waits for so many requests.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Posted> {
        let mut posted = self.posted.subscribe();
        let enough = posted.wait_for(|posted| posted.len() >= count);
        tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap().clone()
    }
}

async fn note(
    State(listener): State<Listener>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let posted = Posted {
        url: format!("{}{uri}", listener.url),
        form: twilio::parse_form(&body),
        signature: header("x-twilio-signature"),
        token: header("i-twilio-idempotency-token"),
    };
    listener.posted.send_modify(|all| all.push(posted));
    ([(header::CONTENT_TYPE, "text/xml")], listener.answer)
}
