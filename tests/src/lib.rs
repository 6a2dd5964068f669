//! A stage for tests: the sandbox, the gateway with a real configuration, real components and a real SQLite
//! file, on a clock that stands still. Nothing sleeps and nothing is mocked.

pub mod crash;
pub mod crowd;
pub mod postgres;
pub mod privacy;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use consentry::{config, log};
use gateway::store::Store;
use gateway::wording::digest;
use gateway::{Clock, Gateway};
use jiff::tz::TimeZone;
use policy::Engine;
use sandbox::{Sandbox, SandboxConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The study that ships with Consentry, whose people are made up.
pub const STUDY: &str = include_str!("../../host/consentry/demo/sleep-study.xml");

/// Ten in the morning of a Tuesday in New York.
pub const MORNING: &str = "2026-11-24T15:00:00Z";

/// Nothing on loopback takes this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Record 1: Ben, who consented and has a mobile phone.
pub const BEN: &str = "+16175550121";
/// Record 2: Ana, who reads Spanish.
pub const ANA: &str = "+16175550122";
/// Record 3: Clara, whose number is a landline.
pub const CLARA: &str = "+16175550123";
/// Record 5: Eve, who did not consent.
pub const EVE: &str = "+16175550125";

/// A project of the stage: the text of its TOML file can be changed before the curtain rises.
#[derive(Clone, Debug)]
pub struct Play {
    /// Its name.
    pub name: String,
    /// `[twilio]`, without its sandbox addresses.
    pub twilio: String,
    /// More of `[redcap]`.
    pub redcap: String,
    /// `[schedules]`; by default the study begins here, so that what is due is sent.
    pub schedules: String,
    /// `[mail]`, without the sandbox's server; none by default.
    pub mail: Option<String>,
    /// `[messages]`.
    pub messages: String,
    /// `[participant]`.
    pub participant: String,
    /// `[protocol]`.
    pub protocol: String,
    /// `[[invitation]]`; none by default, so that a test invites whom it wants.
    pub invitations: String,
    /// Wordings: id, language, part, purposes, text, identifiers, approved.
    pub wordings: Vec<Words>,
    /// `[policy.routing]`, and so on.
    pub routing: String,
    /// The template policy.
    pub template: String,
    /// The compliance policy.
    pub compliance: String,
}

/// One wording of a play.
#[derive(Clone, Debug)]
pub struct Words {
    /// Its id.
    pub id: &'static str,
    /// Its language.
    pub language: &'static str,
    /// "message", "opt-out" or "first-message".
    pub part: &'static str,
    /// Its purposes.
    pub purposes: &'static [&'static str],
    /// Its methods; none for every one.
    pub methods: &'static [&'static str],
    /// Its template.
    pub text: String,
    /// The identifier fields that its approval names.
    pub identifiers: &'static [&'static str],
    /// Whether it is approved.
    pub approved: bool,
}

/// A wording that is approved, in English.
pub fn words(id: &'static str, part: &'static str, purposes: &'static [&'static str], text: &str) -> Words {
    let (methods, identifiers) = (&[][..], &[][..]);
    Words { id, language: "en", part, purposes, methods, text: text.into(), identifiers, approved: true }
}

impl Default for Play {
    fn default() -> Self {
        let mut invitation =
            words("invitation", "message", &["invitation"], "Hi [first_name], your survey: [survey-link]");
        invitation.identifiers = &["first_name"];
        let wordings = vec![
            invitation,
            words("opt-out", "opt-out", &[], "Reply STOP to end texts."),
            words(
                "opt-out-confirmation",
                "message",
                &["opt-out-confirmation"],
                "You will get no more texts from us.",
            ),
            words(
                "help",
                "message",
                &["help"],
                "Northfield Sleep Study, 617-555-0142. Reply STOP to end texts.",
            ),
        ];
        Play {
            name: "sleep".into(),
            twilio: "keywords = \"twilio\"\n[twilio.attested]\nrequest-inspector-off = \"a test\"\n".into(),
            redcap: String::new(),
            schedules: "go-live = \"everything\"\n".into(),
            mail: None,
            messages: "methods = [\"sms-link\"]\ndefault-method = \"sms-link\"\n".into(),
            participant: "phone-field = \"mobile\"\nlanguage-field = \"language\"\ntime-zone-field = \"zone\"\n\
                          opt-out-field = \"texts_stopped\"\n[participant.consent]\n\
                          given-field = \"text_consent_date\"\nphone-field = \"mobile\"\ncovers = [\"sms-link\"]\n"
                .into(),
            protocol: "number = \"T-1\"\nreviewed-by = \"local-irb\"\napproved = 2026-01-01\n".into(),
            invitations: String::new(),
            wordings,
            routing: reference("routing", "grants = [\"redcap\", \"redcap-write\", \"twilio\", \"twilio-send\"]\n"),
            template: reference("template", ""),
            compliance: reference(
                "compliance",
                "grants = [\"redcap\", \"twilio\"]\n[policy.compliance.settings]\n\
                 identifiers-allowed = [\"first_name\"]\nlink-hosts = [\"127.0.0.1\"]\n",
            ),
        }
    }
}

/// The TOML of a reference policy.
pub fn reference(world: &str, rest: &str) -> String {
    format!("component = \"{}\"\n{rest}", component(world).display())
}

/// The component of a policy, as `cargo xtask policies` built it.
pub fn component(name: &str) -> PathBuf {
    let path = policies().join(format!("{name}.wasm"));
    assert!(path.exists(), "`{}` is not there; `cargo xtask policies` builds it", path.display());
    path
}

/// Where the components are: beside the daemon's program.
pub fn policies() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join("debug/policies")
}

/// The workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

impl Play {
    fn toml(&self, sandbox: &Sandbox) -> String {
        let mut toml = format!(
            "name = \"{}\"\ntitle = \"Northfield Sleep Study\"\n[redcap]\nurl = \"{}\"\n\
             token = {{ file = \"redcap.txt\" }}\nproject-id = \"1\"\ntime-zone = \"America/New_York\"\n{}[twilio]\n\
             account-sid = \"AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d\"\nauth-token = {{ file = \"twilio.txt\" }}\n\
             number = \"+16175550100\"\napi-base = \"{base}\"\nlookups-base = \"{base}\"\npricing-base = \"{base}\"\n\
             segments-per-second = 100\n{}\n[schedules]\n{}\n[messages]\n{}\n\
             [participant]\n{}\n[protocol]\n{}\n{}\n",
            self.name,
            sandbox.redcap_url(),
            self.redcap,
            self.twilio,
            self.schedules,
            self.messages,
            self.participant,
            self.protocol,
            self.invitations,
            base = sandbox.twilio_url(),
        );
        if let Some(mail) = &self.mail {
            let _ = write!(toml, "[mail]\nserver = \"{}\"\n{mail}\n", sandbox.smtp_url());
        }
        for words in &self.wordings {
            let _ = write!(
                toml,
                "[[wording]]\nid = {:?}\nlanguage = {:?}\npart = {:?}\npurposes = {:?}\nmethods = {:?}\ntext = {:?}\n",
                words.id, words.language, words.part, words.purposes, words.methods, words.text
            );
            if words.approved {
                let _ = write!(
                    toml,
                    "[wording.approval]\ndigest = {:?}\nby = \"a test\"\napproved = 2026-01-01\nidentifiers = {:?}\n",
                    digest(words.language, &words.text),
                    words.identifiers
                );
            }
        }
        toml + &format!(
            "[policy.routing]\n{}\n[policy.template]\n{}\n[policy.compliance]\n{}\n",
            self.routing, self.template, self.compliance
        )
    }
}

/// Everything at work.
#[derive(Debug)]
pub struct Stage {
    /// REDCap and Twilio.
    pub sandbox: Sandbox,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The clock, which stands until it is stepped.
    pub clock: Clock,
    /// Where the webhooks are.
    pub url: String,
    /// The daemon's configuration.
    pub config: PathBuf,
    folder: PathBuf,
    serving: JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    /// One project, as it is by default.
    pub async fn new() -> Result<Stage> {
        Stage::with(&[Play::default()]).await
    }

    /// Several projects on one REDCap, one Twilio and one gateway.
    pub async fn with(plays: &[Play]) -> Result<Stage> {
        let stage = Stage::dark(plays).await?;
        stage.gateway.sweep().await;
        stage.settle().await?;
        Ok(stage)
    }

    /// As [`Stage::with`], before the gateway has looked at anything.
    pub async fn dark(plays: &[Play]) -> Result<Stage> {
        let clock = Clock::stepped(MORNING.parse()?);
        let sandbox = sandbox(&clock).await?;
        let (config, folder) = write(plays, &sandbox)?;
        Stage::on(sandbox, clock, config, folder, plays).await
    }

    async fn on(
        sandbox: Sandbox,
        clock: Clock,
        config: PathBuf,
        folder: PathBuf,
        plays: &[Play],
    ) -> Result<Stage> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let database = "\"consentry.db\"";
        let daemon = format!(
            "listen = \"127.0.0.1:0\"\npublic-url = \"{url}\"\ndatabase = {database}\nkeys = {{ file = \"keys.txt\" }}\n\
             trigger-secret = {{ file = \"trigger.txt\" }}\nprojects = {:?}\n",
            plays.iter().map(|play| format!("{}.toml", play.name)).collect::<Vec<_>>()
        );
        std::fs::write(&config, daemon)?;
        let read = read(&config)?;
        let store = Store::open(&read.database, &read.keys, clock.clone())?;
        let gateway = Arc::new(Gateway::new(read.projects, store, clock.clone(), &url)?);
        let router = gateway::webhooks::router(gateway.clone(), read.trigger_secret);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let first = &plays.first().context("a stage needs a play")?.name;
        sandbox.set_sms_webhook(&format!("{url}/twilio/{first}/sms"));
        sandbox.set_data_entry_trigger(&format!("{url}/redcap/{first}/trigger/secret"));
        Ok(Stage { sandbox, gateway, clock, url, config, folder, serving })
    }

    /// Works until nothing is left to do at this instant.
    pub async fn settle(&self) -> Result<()> {
        Ok(self.gateway.settle().await?)
    }

    /// Steps the clock, and works.
    pub async fn later(&self, seconds: i64) -> Result<()> {
        self.clock.step(self.clock.now() + jiff::SignedDuration::from_secs(seconds));
        self.settle().await
    }

    /// Invites a record to the sleep diary, and works.
    pub async fn invite(&self, project: &str, record: &str) -> Result<String> {
        let id = self.gateway.invite(project, record, "sleep_diary", None).await?;
        self.settle().await?;
        Ok(id)
    }

    /// The log's line of a message.
    pub async fn line(&self, id: &str) -> Result<log::Line> {
        let message =
            self.gateway.store.message(id).await?.ok_or_else(|| anyhow!("there is no message `{id}`"))?;
        Ok(log::line(&self.gateway.store, message, &TimeZone::UTC).await?)
    }

    /// The log, newest first.
    pub async fn lines(&self) -> Result<Vec<log::Line>> {
        Ok(log::lines(&self.gateway.store, None, None, &TimeZone::UTC, 1000).await?)
    }

    /// A participant sends a text; the webhook has answered when this returns, and the gateway has worked.
    pub async fn say(&self, number: &str, words: &str) -> Result<sandbox::Said> {
        let said = self.sandbox.handset().say(number, words).await;
        self.settle().await?;
        Ok(said)
    }

    /// Waits until a message is in a state. Twilio reports when it wants to; each report shows at the sandbox
    /// before it is taken, so the store is looked at again until it is there.
    pub async fn until(&self, id: &str, status: &str) -> Result<log::Line> {
        let reached = async {
            loop {
                let line = self.line(id).await?;
                if line.status == status {
                    return Ok(line);
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(reached) => reached,
            Err(_) => Err(anyhow!("the message did not become {status}: {:?}", self.line(id).await)),
        }
    }

    /// How many texts of ours a phone ever got.
    pub fn received(&self, number: &str) -> usize {
        self.sandbox.handset().received(number)
    }

    /// The folder of the configuration and the database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Reads a configuration as the daemon does.
pub fn read(path: &Path) -> Result<config::Config> {
    config::read(path, &engine()?).map_err(|report| anyhow!("{report:?}"))
}

/// The engine, one for all tests of a process, as the daemon has one for all projects.
pub fn engine() -> Result<Arc<Engine>> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine.clone());
    }
    let engine = Arc::new(Engine::new()?);
    Ok(ENGINE.get_or_init(|| engine).clone())
}

async fn sandbox(clock: &Clock) -> Result<Sandbox> {
    let now = clock.clone();
    let config = SandboxConfig {
        phone_field: Some("mobile".into()),
        ..SandboxConfig::new(STUDY, Arc::new(move || now.now()))
    };
    let sandbox = Sandbox::start(config).await?;
    sandbox.twilio().set_line_type(CLARA, twilio::LineType::Landline);
    Ok(sandbox)
}

fn write(plays: &[Play], sandbox: &Sandbox) -> Result<(PathBuf, PathBuf)> {
    let folder = folder()?;
    std::fs::write(folder.join("redcap.txt"), "5A4DB0C5A4DB0C5A4DB0C5A4DB0C5A4D")?;
    std::fs::write(folder.join("twilio.txt"), "5a4db0c5a4db0c5a4db0c5a4db0c5a4d")?;
    std::fs::write(folder.join("trigger.txt"), "secret")?;
    std::fs::write(folder.join("keys.txt"), gateway::vault::Keys::generate()?)?;
    for play in plays {
        std::fs::write(folder.join(format!("{}.toml", play.name)), play.toml(sandbox))?;
    }
    Ok((folder.join("consentry.toml"), folder))
}

/// A folder of a test's own.
pub fn folder() -> Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("consentry-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
