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
use twilio::{NotAPhone, PhoneNumber, Wire};

use crate::account::{self, Account, Twilio, TwilioAccount};
use crate::connection::{Line, Lines, call};
use crate::faults::Faults;
use crate::handset::{self, Handset};
use crate::mail::{MailServer, Mailboxes};
use crate::post::Post;
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

/// Where a sandbox in process is, as far as addresses go. Nobody can be reached there.
const NOWHERE: &str = "https://sandbox.example";

/// A running sandbox. It stops taking connections when dropped.
pub struct Sandbox {
    world: Arc<World>,
    router: Router,
    /// None in process: a mail server is a socket.
    mail: Option<MailServer>,
    /// Dropping it ends the server, if there is one.
    stop: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.world.base_url).finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Whoever gets the mail mostly holds a wire to the sandbox, and neither would ever go.
        self.world.post.set_receiver(None);
        self.stop = None;
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
        let cannot_listen = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen)?;
        let base_url = format!("http://{}", listener.local_addr().map_err(cannot_listen)?);
        let post = Post::network().map_err(StartError::Http)?;
        let listen = config.listen;
        let mut sandbox = Self::make(config, base_url, post, extra)?;
        let mail = MailServer::start(Arc::clone(&sandbox.world), listen).await;
        sandbox.mail = Some(mail.map_err(|source| StartError::Listen { address: listen, source })?);

        let (stop, stopped) = oneshot::channel::<()>();
        let service = sandbox.router.clone().into_make_service_with_connect_info::<Line>();
        let server = axum::serve(Lines(listener), service).with_graceful_shutdown(async {
            // Nothing is ever sent; the sender goes with the sandbox.
            let _ = stopped.await;
        });
        tokio::spawn(async move { server.await });
        sandbox.stop = Some(stop);
        Ok(sandbox)
    }

    /// A sandbox without a socket and without tasks of its own: it answers what comes over [`Self::wire`], and
    /// what it would post by itself waits for [`Self::deliver`]. So the same calls always lead to the same. It
    /// listens nowhere, whatever the configuration says.
    pub fn in_process(config: SandboxConfig) -> Result<Self, StartError> {
        Self::make(config, NOWHERE.to_owned(), Post::in_process(), Router::new())
    }

    fn make(config: SandboxConfig, base_url: String, post: Post, extra: Router) -> Result<Self, StartError> {
        let (project, _) = read_project(config.project_xml.as_bytes()).map_err(StartError::Project)?;
        let number = PhoneNumber::from_e164(&config.twilio.number).map_err(StartError::Number)?;
        let now = (config.now)();
        let local_now = config.zone.to_datetime(now);
        let account = Account::new(config.twilio, number, now);
        let mut study = Study::new(project, config.api_token, local_now);
        study.phone_field = config.phone_field;
        let world = Arc::new(World::new(account, study, config.now, config.zone, post, base_url));
        let router = account::router(&world)
            .merge(study::router(&world))
            .merge(handset::router())
            .with_state(Arc::clone(&world));
        let router = router.merge(extra).layer(DefaultBodyLimit::max(MAX_BODY));
        let sandbox = Self { world, router, mail: None, stop: None };
        if let Some(url) = config.sms_url {
            sandbox.set_sms_webhook(&url);
        }
        if let Some(url) = config.data_entry_trigger {
            sandbox.set_data_entry_trigger(&url);
        }
        Ok(sandbox)
    }

    /// Answers requests to REDCap, to Twilio and to the survey pages by calling their handlers, whatever host
    /// the request names: for `redcap::Client::over` and `twilio::Client::over`. A connection that a fault
    /// breaks off is an error here too.
    pub fn wire(&self) -> Wire {
        let router = self.router.clone();
        Arc::new(move |request| Box::pin(call(router.clone(), request)))
    }

    /// Gives whatever a sandbox in process posts by itself to these routes, whatever host its address names.
    /// Until then it gets nowhere. A sandbox that listens posts to the addresses it was given.
    pub fn deliver_to(&self, router: Router) {
        self.world.post.set_receiver(Some(router));
    }

    /// Lets everything happen that waits to happen in process, in its order, and what comes of it: messages and
    /// calls go their way, and their callbacks and the Data Entry Trigger are posted. Gives how often something
    /// was posted. A sandbox that listens does all this by itself, and nothing waits.
    pub async fn deliver(&self) -> usize {
        self.world.deliver().await
    }

    /// As in `http://127.0.0.1:41234`, without a slash at the end. A sandbox in process has an address too, where
    /// nothing is.
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
        // Where there is no server, nobody takes mail.
        self.mail
            .as_ref()
            .map_or_else(|| "smtp://127.0.0.1:1".to_owned(), |it| format!("smtp://{}", it.address))
    }

    /// What came by mail.
    pub fn mail(&self) -> Mailboxes {
        self.mail.as_ref().map_or_else(|| Mailboxes::empty(&self.world), |server| server.mailboxes.clone())
    }

    pub fn handset(&self) -> Handset {
        Handset { world: Arc::clone(&self.world) }
    }

    pub fn redcap(&self) -> Redcap {
        Redcap { world: Arc::clone(&self.world), pages: self.wire() }
    }

    pub fn twilio(&self) -> Twilio {
        Twilio { world: Arc::clone(&self.world) }
    }

    pub fn faults(&self) -> Faults {
        Faults { world: Arc::clone(&self.world) }
    }
}
