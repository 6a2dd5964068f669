//! `consentry demo`: everything on loopback. It is the real daemon with a real configuration; only the
//! REDCap and the Twilio it speaks to are the sandbox's.

mod script;
mod study;

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use gateway::store::{Contact, StoreError};
use gateway::{Clock, Gateway};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, WrapErr, miette};
use policy::Engine;
use sandbox::{Sandbox, SandboxConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use twilio::PhoneNumber;

use crate::config;
use crate::daemon::Daemon;
use crate::log;
use study::Study;
pub(crate) use study::answer;

/// How the demonstration runs.
#[derive(Args, Debug, Clone, Default)]
pub struct Options {
    /// Run the story without a browser, and print it
    #[arg(long)]
    pub script: bool,
    /// A project XML of your own, for which sample records, consents and approvals are made
    #[arg(long, value_name = "FILE.xml")]
    pub project: Option<PathBuf>,
    /// The field that holds phone numbers, when it cannot be found in the project
    #[arg(long, value_name = "FIELD")]
    pub phone_field: Option<String>,
    /// The folder of the policies' components; by default `policies` beside this program
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// The port of the handset
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// A demonstration at work.
#[derive(Debug)]
pub struct Demo {
    /// The REDCap and the Twilio.
    pub sandbox: Sandbox,
    /// The daemon.
    pub daemon: Daemon,
    /// Its configuration.
    pub config: PathBuf,
    /// Whom the story is about.
    pub story: study::Story,
    /// The zone of the study's clock.
    pub zone: TimeZone,
    folder: PathBuf,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // What was made for a demonstration is of no use after it; leaving it behind would be untidy only.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the demonstration.
pub async fn run(options: Options) -> miette::Result<ExitCode> {
    let script = options.script;
    let demo = Demo::start(&options).await?;
    if script {
        return script::play(&demo).await;
    }
    say(&format!(
        "\n  The handset is at   {}\n  The configuration   {}\n\n  Pick a participant, open the survey that was texted, answer STOP.\n  `{} log --config {}` shows what was decided and why. Ctrl-C ends everything.\n",
        demo.sandbox.handset_url(),
        demo.config.display(),
        std::env::args().next().unwrap_or_else(|| "consentry".into()),
        demo.config.display(),
    ));
    tokio::signal::ctrl_c().await.into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints to the person at the terminal.
#[expect(clippy::print_stdout, reason = "the demonstration's output is for the person at the terminal")]
fn say(text: &str) {
    println!("{text}");
}

impl Demo {
    /// Starts everything.
    pub async fn start(options: &Options) -> miette::Result<Demo> {
        let policies = policies(options.policies.as_deref())?;
        let study = match &options.project {
            None => Study::ours(),
            Some(path) => {
                let xml = std::fs::read(path)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("cannot read `{}`", path.display()))?;
                Study::theirs(&xml, options.phone_field.as_deref())
                    .wrap_err_with(|| format!("`{}` cannot be demonstrated", path.display()))?
            }
        };
        let zone = TimeZone::get(&study.zone).into_diagnostic()?;
        // It is always ten in the morning when a demonstration begins: nobody texts at night.
        let clock = Clock::showing(morning(&zone)?);
        let handset: Arc<OnceCell<(Arc<Gateway>, TimeZone)>> = Arc::default();
        let sandbox = sandbox(&study, &clock, &zone, options.port, handset.clone()).await?;
        for number in &study.landlines {
            sandbox.twilio().set_line_type(number, twilio::LineType::Landline);
        }
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.into_diagnostic()?;
        let public_url = format!("http://{}", listener.local_addr().into_diagnostic()?);
        let folder = folder()?;
        let config = study.write(&folder, &policies, &sandbox, &public_url).into_diagnostic()?;
        let engine = Arc::new(Engine::new().into_diagnostic()?);
        let read = config::read(&config, &engine)?;
        sandbox.set_sms_webhook(&format!("{public_url}/twilio/{}/sms", study.name));
        sandbox.set_data_entry_trigger(&format!(
            "{public_url}/redcap/{}/trigger/{}",
            study.name,
            study::TRIGGER_SECRET
        ));
        let daemon = Daemon::start_on(listener, None, read, clock).into_diagnostic()?;
        // The page was served a moment earlier; it shows the log as soon as there is one.
        let _ = handset.set((daemon.gateway.clone(), zone.clone()));
        Ok(Demo { sandbox, daemon, config, story: study.story, zone, folder })
    }
}

async fn sandbox(
    study: &Study,
    clock: &Clock,
    zone: &TimeZone,
    port: u16,
    handset: Arc<OnceCell<(Arc<Gateway>, TimeZone)>>,
) -> miette::Result<Sandbox> {
    let now = clock.clone();
    let extra = Router::new()
        .route("/handset/log", get(handset_log))
        .route("/handset/invite", post(handset_invite))
        .with_state((handset, study.name.clone(), study.story.second_survey.clone()));
    let config = SandboxConfig {
        zone: zone.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        phone_field: Some(study.phone_field.clone()),
        ..SandboxConfig::new(study.xml.clone(), Arc::new(move || now.now()))
    };
    Sandbox::start_with(config, extra).await.into_diagnostic().wrap_err("the sandbox does not start")
}

type Shared = (Arc<OnceCell<(Arc<Gateway>, TimeZone)>>, String, String);

/// What was decided, for the panel beside the phone.
async fn handset_log(State((handset, project, _)): State<Shared>) -> Json<Value> {
    let entries = match handset.get() {
        Some((gateway, zone)) => panel(gateway, &project, zone).await.unwrap_or_default(),
        None => Vec::new(),
    };
    Json(Value::Array(entries))
}

/// Messages and opt-outs, the latest change first.
async fn panel(gateway: &Gateway, project: &str, zone: &TimeZone) -> Result<Vec<Value>, StoreError> {
    let store = &gateway.store;
    let model = gateway.projects.get(project).and_then(|project| project.model());
    let mut entries = Vec::new();
    for message in store.log(Some(project), None, 500).await? {
        let at = message.changed;
        entries.push((at, entry(&log::line(store, message, zone).await?, model.as_deref())));
    }
    for opt_out in store.all_opt_outs().await? {
        let Contact::Phone(number) = &opt_out.of else { continue };
        for record in store.records_of(project, number).await? {
            let title = if opt_out.ended.is_some() { "Opt-out: ended" } else { "Opt-out: texts are stopped" };
            let how = match opt_out.source.as_str() {
                "keyword" => "the participant sent a keyword such as STOP",
                source => source,
            };
            let entry = json!({ "record": record, "title": title, "detail": how, "tone": "stopped" });
            entries.push((opt_out.ended.unwrap_or(opt_out.at), entry));
        }
    }
    entries.sort_by_key(|(at, _)| Reverse(*at));
    for (at, entry) in &mut entries {
        entry["at"] = json!(Timestamp::from_second(i64::from(*at)).unwrap_or_default());
    }
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn entry(line: &log::Line, model: Option<&redcap::Project>) -> Value {
    let tone = match line.status.as_str() {
        "delivered" | "sent" | "accepted" => "good",
        "suppressed" | "canceled" | "expired" => "stopped",
        "held" | "deferred" => "warn",
        "unknown" | "failed" | "undelivered" => "bad",
        _ => "plain",
    };
    let title = |name| model.and_then(|model| model.survey(name)).map_or(name, |survey| &survey.title);
    let survey = line.survey.as_deref().map(|survey| format!(" to “{}”", title(survey)));
    let mut purpose = line.purpose.replace('-', " ");
    if let Some(initial) = purpose.get_mut(..1) {
        initial.make_ascii_uppercase();
    }
    json!({
        "record": line.record,
        "title": format!("{purpose}{}: {}", survey.unwrap_or_default(), line.status),
        "detail": line.reason,
        "steps": steps(&line.decisions),
        "tone": tone,
    })
}

/// What each policy said, for people: a review that came to the same at sending is not told twice.
fn steps(decisions: &[log::Verdict]) -> Vec<Value> {
    let mut steps: Vec<Value> = Vec::new();
    for verdict in decisions {
        let findings: Vec<_> = verdict.rules.iter().zip(&verdict.because).collect();
        let answer = match verdict.answer.as_str() {
            "words" => "wording chosen",
            answer => answer,
        };
        let step = json!({ "policy": verdict.policy, "answer": answer, "findings": findings });
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[derive(serde::Deserialize)]
struct Invite {
    record: String,
}

/// A second invitation by hand, so that one can see it suppressed after STOP.
async fn handset_invite(
    State((handset, project, survey)): State<Shared>,
    axum::Form(invite): axum::Form<Invite>,
) -> Result<Json<Value>, axum::http::StatusCode> {
    let (gateway, _) = handset.get().ok_or(axum::http::StatusCode::SERVICE_UNAVAILABLE)?;
    match gateway.invite(&project, &invite.record, &survey, None).await {
        Ok(id) => Ok(Json(json!({ "message": id }))),
        Err(_) => Err(axum::http::StatusCode::CONFLICT),
    }
}

pub(crate) fn policies(given: Option<&Path>) -> miette::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("policies")));
    let folder = given.map(Path::to_owned).or(beside).unwrap_or_else(|| "policies".into());
    if folder.join("routing.wasm").exists() {
        return folder.canonicalize().into_diagnostic();
    }
    Err(miette!(
        help = "`cargo xtask policies` builds them; `--policies DIR` says where they are",
        "there are no policies in `{}`",
        folder.display()
    ))
}

fn morning(zone: &TimeZone) -> miette::Result<Timestamp> {
    let today = zone.to_datetime(Clock::System.now()).date();
    let ten = zone.to_ambiguous_timestamp(today.at(10, 0, 0, 0)).compatible();
    ten.into_diagnostic()
}

/// A folder of this demonstration's own, for its user only: the configuration holds the sandbox's secrets.
pub(crate) fn folder() -> miette::Result<PathBuf> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|_| miette!("the system gives no randomness"))?;
    let folder = std::env::temp_dir().join(format!("consentry-demo-{}", hex::encode(nonce)));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).into_diagnostic()?;
    Ok(folder)
}

/// The number behind what a record holds.
fn e164(typed: &str, region: &str) -> Option<String> {
    PhoneNumber::parse(typed, region).ok().map(|number| number.expose().to_owned())
}
