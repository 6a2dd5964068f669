//! Starting and holding the servers.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use jiff::tz::TimeZone;
use redcap::odm::{XmlError, read_project};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use twilio::{NotAPhone, PhoneNumber};

use crate::account::{self, Account, Twilio, TwilioAccount};
use crate::connection::{Line, Lines};
use crate::faults::Faults;
use crate::handset::{self, Handset};
use crate::mail::{MailServer, Mailboxes};
use crate::study::{self, Redcap, Study};
use crate::world::{Now, World};

/// Imports carry whole records; nothing else comes near this.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What to play.
#[derive(Clone)]
pub struct SandboxConfig {
    /// The study, with its records if it has any.
    pub project_xml: String,
    pub now: Now,
    /// The clock on REDCap's wall.
    pub zone: TimeZone,
    pub twilio: TwilioAccount,
    /// 32 hexadecimal digits.
    pub api_token: String,
    /// Loopback only; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where REDCap tells that a form was saved. Can be set later.
    pub data_entry_trigger: Option<String>,
    /// Where Twilio tells of a text to the number. Can be set later, and through Twilio's API.
    pub sms_url: Option<String>,
    /// The field that holds a participant's number. Without it, the first field validated as a phone.
    pub phone_field: Option<String>,
}

impl SandboxConfig {
    /// A study and a clock; everything else as in a demo in Boston.
    pub fn new(project_xml: impl Into<String>, now: Now) -> Self {
        Self {
            project_xml: project_xml.into(),
            now,
            zone: TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC),
            twilio: TwilioAccount::default(),
            api_token: "5A4DB0C5A4DB0C5A4DB0C5A4DB0C5A4D".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_entry_trigger: None,
            sms_url: None,
            phone_field: None,
        }
    }
}

impl fmt::Debug for SandboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the project XML cannot be read")]
    Project(#[source] XmlError),
    #[error("`{0}` is not a loopback address, and a sandbox is for this machine only")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the account's number is not one")]
    Number(#[source] NotAPhone),
    #[error("cannot set up the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// A running sandbox. It stops taking connections when dropped.
pub struct Sandbox {
    world: Arc<World>,
    mail: MailServer,
    /// Dropping it ends the server.
    _stop: oneshot::Sender<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.world.base_url).finish_non_exhaustive()
    }
}

impl Sandbox {
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        Self::start_with(config, Router::new()).await
    }

    /// Starts with more routes on the same server. The handset shows what `/handset/log` gives, a JSON list
    /// of `{at, title, detail, tone}`. An entry with a `record` is shown with that participant, and brings
    /// a button that posts the record to `/handset/invite`; `steps` are `{policy, answer, findings}`, where
    /// a finding is a rule and a sentence.
    pub async fn start_with(config: SandboxConfig, extra: Router) -> Result<Self, StartError> {
        if !config.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.listen));
        }
        let (project, _) = read_project(config.project_xml.as_bytes()).map_err(StartError::Project)?;
        let number = PhoneNumber::from_e164(&config.twilio.number).map_err(StartError::Number)?;
        let http = account::client().map_err(StartError::Http)?;
        let cannot_listen = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen)?;
        let base_url = format!("http://{}", listener.local_addr().map_err(cannot_listen)?);

        let now = (config.now)();
        let local_now = config.zone.to_datetime(now);
        let account = Account::new(config.twilio, number, now);
        let mut study = Study::new(project, config.api_token, local_now);
        study.phone_field = config.phone_field;
        let world = Arc::new(World::new(account, study, config.now, config.zone, http, base_url));
        let mail = MailServer::start(Arc::clone(&world), config.listen).await.map_err(cannot_listen)?;
        let sandbox_router = account::router(&world)
            .merge(study::router(&world))
            .merge(handset::router())
            .with_state(Arc::clone(&world));
        let router = sandbox_router.merge(extra).layer(DefaultBodyLimit::max(MAX_BODY));

        let (stop, stopped) = oneshot::channel::<()>();
        let service = router.into_make_service_with_connect_info::<Line>();
        let server = axum::serve(Lines(listener), service).with_graceful_shutdown(async {
            // Nothing is ever sent; the sender goes with the sandbox.
            let _ = stopped.await;
        });
        tokio::spawn(async move { server.await });

        let sandbox = Self { world, mail, _stop: stop };
        if let Some(url) = config.sms_url {
            sandbox.set_sms_webhook(&url);
        }
        if let Some(url) = config.data_entry_trigger {
            sandbox.set_data_entry_trigger(&url);
        }
        Ok(sandbox)
    }

    /// As in `http://127.0.0.1:41234`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.world.base_url.clone()
    }

    /// The API's address, for a REDCap client.
    pub fn redcap_url(&self) -> String {
        format!("{}/redcap/api/", self.world.base_url)
    }

    /// What stands before `/2010-04-01`, `/v1` and `/v2`, for a Twilio client: each of its bases.
    pub fn twilio_url(&self) -> String {
        self.world.base_url.clone()
    }

    pub fn handset_url(&self) -> String {
        format!("{}/handset", self.world.base_url)
    }

    /// Where Twilio tells of a text to the account's own number.
    pub fn set_sms_webhook(&self, url: &str) {
        let mut account = self.world.account();
        account.own_number_mut().settings.insert("sms_url", url.to_owned());
    }

    /// Where Twilio tells of a text to `number`, which is one that [`Twilio::add_number`] added.
    pub fn set_sms_webhook_of(&self, number: &str, url: &str) {
        if let Some(number) = self.world.account().number_mut(number) {
            number.settings.insert("sms_url", url.to_owned());
        }
    }

    /// Where REDCap tells that a form was saved.
    pub fn set_data_entry_trigger(&self, url: &str) {
        self.world.study().trigger = Some(url.to_owned());
    }

    /// Where mail is handed in, as in `smtp://127.0.0.1:41235`.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.mail.address)
    }

    /// What came by mail.
    pub fn mail(&self) -> Mailboxes {
        self.mail.mailboxes.clone()
    }

    pub fn handset(&self) -> Handset {
        Handset { world: Arc::clone(&self.world) }
    }

    pub fn redcap(&self) -> Redcap {
        Redcap { world: Arc::clone(&self.world) }
    }

    pub fn twilio(&self) -> Twilio {
        Twilio { world: Arc::clone(&self.world) }
    }

    pub fn faults(&self) -> Faults {
        Faults { world: Arc::clone(&self.world) }
    }
}
