//! The configuration: one TOML file for the daemon, and one for each project.
//!
//! Unknown keys are refused, and every problem is told at once, with its line and with help.

mod mail;
mod project;
mod reader;
mod schedules;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gateway::project::Project;
use gateway::store::Database;
use gateway::vault::Keys;
use miette::Diagnostic;
use policy::Engine;
use secrecy::{ExposeSecret, SecretString};
use tracing::Level;

pub use crate::problem::Problem;
use crate::telemetry::{Format, Otlp, Telemetry};
use reader::{File, Section};

/// What the daemon is told.
#[derive(Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it tells its health and its figures, if it is to.
    pub admin_listen: Option<SocketAddr>,
    /// How it tells what it does.
    pub telemetry: Telemetry,
    /// Where Twilio and REDCap reach it.
    pub public_url: String,
    /// The database.
    pub database: Database,
    /// The institution's keys, under which the database's own are kept.
    pub keys: Keys,
    /// The secret in the address of REDCap's Data Entry Trigger.
    pub trigger_secret: SecretString,
    /// Who may call the admin API; with nobody, there is none.
    pub api_tokens: Vec<ApiToken>,
    /// The projects.
    pub projects: Vec<Project>,
    /// What is not wrong, but should be known.
    pub notes: Vec<String>,
}

/// Somebody who may call the admin API.
#[derive(Debug)]
pub struct ApiToken {
    /// A name, which the ledger shows.
    pub name: String,
    /// The bearer token.
    pub token: SecretString,
    /// The only projects that it is for; none for every one.
    pub projects: Option<Vec<String>>,
}

/// Characters that a token of the admin API has at least.
const TOKEN: usize = 32;

/// Everything that is wrong with the configuration.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("the configuration has {} problem{}", .problems.len(), if .problems.len() == 1 { "" } else { "s" })]
#[diagnostic(help("nothing was started; mend these and start again"))]
pub struct ConfigError {
    /// Each of them.
    #[related]
    pub problems: Vec<Problem>,
}

/// A file of the configuration cannot be read at all.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("cannot read `{path}`")]
#[diagnostic(help("check that the file is there and that this user may read it"))]
pub struct Unreadable {
    path: String,
    #[source]
    source: std::io::Error,
}

/// Reads the daemon's file, the projects' files, and the policies that they name.
pub fn read(path: &Path, engine: &Arc<Engine>) -> miette::Result<Config> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let file = open(path)?;
    let path_of_daemon = path.to_owned();
    let mut notes = Vec::new();
    let daemon = file.read(|top| daemon(top, &folder));
    let mut problems = file.problems();
    let mut projects = Vec::new();
    for found in daemon.projects {
        let path = folder.join(&found.value);
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) => {
                let daemon = reread(&path_of_daemon, &found, &error);
                problems.extend(daemon);
                continue;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let project = file.read(|top| project::read(top, &folder, engine, &mut notes));
        problems.extend(file.problems());
        projects.extend(project);
    }
    let twice = twice(&projects);
    notes.extend(shared_numbers(&projects));
    for token in &daemon.api_tokens {
        let unknown = |name: &&String| !projects.iter().any(|project: &Project| project.name == **name);
        for name in token.projects.iter().flatten().filter(unknown) {
            notes.push(format!("the token `{}` is for the project `{name}`, which is not there", token.name));
        }
    }
    let daemon_of =
        (daemon.listen, daemon.public_url, daemon.trigger_secret, daemon.database.zip(daemon.keys));
    notes.extend(daemon.admin_listen.filter(|listen| !listen.ip().is_loopback()).map(|listen| {
        format!("health and figures are told at {listen}, to whoever reaches that address: they name projects and policies")
    }));
    match daemon_of {
        _ if problems.is_empty() && !twice.is_empty() => Err(Twice { what: twice.join("; ") }.into()),
        (Some(listen), Some(public_url), Some(trigger_secret), Some((database, keys)))
            if problems.is_empty() =>
        {
            Ok(Config {
                listen,
                admin_listen: daemon.admin_listen,
                telemetry: daemon.telemetry,
                public_url,
                database,
                keys,
                trigger_secret,
                api_tokens: daemon.api_tokens,
                projects,
                notes,
            })
        }
        _ => Err(ConfigError { problems }.into()),
    }
}

/// Something that must be one of its kind is there twice.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("{what}")]
#[diagnostic(help("each project has its own name, and each invitation and wording its own id"))]
pub struct Twice {
    what: String,
}

/// REDCap gives each project a number of its own; a STOP to a shared one reaches only the project whose
/// webhook it is.
fn shared_numbers(projects: &[Project]) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, project) in projects.iter().enumerate() {
        for other in &projects[..index] {
            if other.account.number == project.account.number {
                notes.push(format!(
                    "the projects `{}` and `{}` text from one number: a reply reaches only one of them",
                    other.name, project.name
                ));
            }
        }
    }
    notes
}

/// What is there twice, of that which must be there once: the later one would win without a word.
fn twice(projects: &[Project]) -> Vec<String> {
    let mut twice = Vec::new();
    for (index, project) in projects.iter().enumerate() {
        let before = &projects[..index];
        if before.iter().any(|other| other.name == project.name) {
            twice.push(format!("two projects have the name `{}`", project.name));
        }
        for (index, rule) in project.invitations.iter().enumerate() {
            if project.invitations[..index].iter().any(|other| other.id == rule.id) {
                twice.push(format!("two invitations of `{}` have the id `{}`", project.name, rule.id));
            }
        }
        for (index, wording) in project.wordings.iter().enumerate() {
            let same = |other: &gateway::wording::Wording| {
                other.id == wording.id && other.language == wording.language
            };
            if project.wordings[..index].iter().any(same) {
                twice.push(format!(
                    "`{}` has the wording `{}` ({}) twice",
                    project.name, wording.id, wording.language
                ));
            }
        }
    }
    twice
}

/// The names of the projects, for commands that need nothing else of them.
pub fn project_names(path: &Path) -> miette::Result<Vec<String>> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let daemon = open(path)?.read(|top| daemon(top, &folder));
    let mut names = Vec::new();
    for found in daemon.projects {
        names.extend(open(&folder.join(found.value))?.read(|top| top.text("name")).map(|name| name.value));
    }
    Ok(names)
}

/// Only the database and its keys, for commands that need nothing else.
pub fn database(path: &Path) -> miette::Result<(Database, Keys)> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let file = open(path)?;
    let daemon = file.read(|top| daemon(top, &folder));
    match daemon.database.zip(daemon.keys) {
        Some(found) => Ok(found),
        None => Err(ConfigError { problems: file.problems() }.into()),
    }
}

fn open(path: &Path) -> Result<File, Unreadable> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(File::new(&name, text)),
        Err(source) => Err(Unreadable { path: name, source }),
    }
}

struct Daemon {
    listen: Option<SocketAddr>,
    admin_listen: Option<SocketAddr>,
    telemetry: Telemetry,
    public_url: Option<String>,
    database: Option<Database>,
    keys: Option<Keys>,
    trigger_secret: Option<SecretString>,
    api_tokens: Vec<ApiToken>,
    projects: Vec<reader::Found<String>>,
}

/// A project's file that cannot be read is a problem of the daemon's file, at the place that names it.
fn reread(path: &Path, found: &reader::Found<String>, error: &Unreadable) -> Vec<Problem> {
    let Ok(file) = open(path) else { return Vec::new() };
    let help = "check that the file is there and that this user may read it".to_owned();
    file.say(found.at.clone(), error.to_string(), Some(help));
    file.problems()
}

fn daemon(top: &Section<'_>, folder: &Path) -> Daemon {
    let listen = top.required("listen", top.text("listen"), "write listen = \"127.0.0.1:8080\"");
    let listen = listen.and_then(|found| address(top, "listen", found));
    let admin_listen = top.text("admin-listen").and_then(|found| address(top, "admin-listen", found));
    let telemetry = telemetry(top);
    let public_url = top.required(
        "public-url",
        top.text("public-url"),
        "the address at which Twilio reaches this daemon, such as \"https://texts.example.edu\"; webhook \
         signatures are checked against it",
    );
    let public_url = public_url.and_then(|found| {
        if found.value.starts_with("https://") || found.value.starts_with("http://127.0.0.1") {
            Some(found.value.trim_end_matches('/').to_owned())
        } else {
            top.say(found.at, "`public-url` takes an https:// address", None);
            None
        }
    });
    let database = database_of(top, folder);
    let keys = keys(top, folder);
    let trigger_secret = secret(top, "trigger-secret", folder);
    let api_tokens = api_tokens(top, folder);
    let projects = top.required(
        "projects",
        top.texts("projects"),
        "the projects' files, such as projects = [\"sleep.toml\"]",
    );
    let projects = projects.unwrap_or_default();
    Daemon {
        listen,
        admin_listen,
        telemetry,
        public_url,
        database,
        keys,
        trigger_secret,
        api_tokens,
        projects,
    }
}

/// `[[api-token]]`.
fn api_tokens(top: &Section<'_>, folder: &Path) -> Vec<ApiToken> {
    let mut names: Vec<String> = Vec::new();
    let tokens = top.sections("api-token", |section| {
        let name = section.required("name", section.text("name"), "who calls, such as \"scheduler\"");
        let token = secret(section, "token", folder);
        let projects = section.texts("projects");
        let (name, token) = (name?, token?);
        if names.contains(&name.value) {
            section.say(name.at, "two tokens have this name, and the ledger could not tell them apart", None);
            return None;
        }
        let text = token.expose_secret();
        if text.len() < TOKEN || text.contains(char::is_whitespace) {
            let help = "make one of 32 random bytes, in hexadecimal".to_owned();
            section.say(section.place("token"), format!("a token has at least {TOKEN} characters"), help);
            return None;
        }
        names.push(name.value.clone());
        let projects = projects.map(|found| found.into_iter().map(|found| found.value).collect());
        Some(ApiToken { name: name.value, token, projects })
    });
    if !tokens.is_empty() && !top.has("admin-listen") {
        let help = "write admin-listen = \"127.0.0.1:9090\"".to_owned();
        top.say(top.place("api-token"), "the admin API needs an address of its own", help);
    }
    tokens.into_iter().flatten().collect()
}

fn address(top: &Section<'_>, key: &str, found: reader::Found<String>) -> Option<SocketAddr> {
    let listen = found.value.parse().ok();
    if listen.is_none() {
        let sentence = format!("`{key}` takes an address and a port");
        top.say(found.at, sentence, "such as \"127.0.0.1:8080\"".to_owned());
    }
    listen
}

fn telemetry(top: &Section<'_>) -> Telemetry {
    let formats = [("text", Format::Text), ("json", Format::Json)];
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let log = top.section("log", |log| (log.one_of("format", &formats), log.one_of("level", &levels)));
    let (format, level) = log.unwrap_or_default();
    let traces = top.section("traces", |traces| {
        let help = "write otlp = \"http://127.0.0.1:4318/v1/traces\", where a collector listens";
        let otlp = traces.required("otlp", traces.text("otlp"), help)?;
        if !otlp.value.starts_with("http://") && !otlp.value.starts_with("https://") {
            traces.say(otlp.at, "`otlp` takes the whole URL of a collector", help.to_owned());
            return None;
        }
        Some(Otlp { endpoint: otlp.value })
    });
    Telemetry {
        format: format.unwrap_or_default(),
        level: level.unwrap_or(Level::INFO),
        traces: traces.flatten(),
    }
}

/// A file beside the configuration, or a PostgreSQL whose URL, with its password, is kept elsewhere.
fn database_of(top: &Section<'_>, folder: &Path) -> Option<Database> {
    let url = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
    if let Some(found) = top.text_if("database") {
        if url(&found.value) {
            return Some(Database::Postgres(SecretString::from(found.value)));
        }
        return Some(Database::Sqlite(folder.join(found.value)));
    }
    if !top.has("database") {
        return Some(Database::Sqlite(folder.join("consentry.db")));
    }
    let found = secret(top, "database", folder)?;
    if url(found.expose_secret()) {
        return Some(Database::Postgres(found));
    }
    let sentence = "the database's secret is not the URL of a PostgreSQL";
    top.say(top.place("database"), sentence, "such as \"postgres://user:password@host/name\"".to_owned());
    None
}

fn keys(top: &Section<'_>, folder: &Path) -> Option<Keys> {
    let text = secret(top, "keys", folder)?;
    match Keys::read(text.expose_secret()) {
        Ok(keys) => Some(keys),
        Err(error) => {
            top.say(
                top.place("keys"),
                format!("the key file cannot be used: {error}"),
                error.help().to_owned(),
            );
            None
        }
    }
}

/// A secret is never in the configuration itself: it is read from a file, or from the environment.
fn secret(section: &Section<'_>, key: &str, folder: &Path) -> Option<SecretString> {
    let help = format!("write {key} = {{ file = \"{key}.txt\" }} or {key} = {{ env = \"NAME\" }}");
    let found = section.section(key, |reference| {
        let (file, env) = (reference.text("file"), reference.text("env"));
        match (file, env) {
            (Some(file), None) => match std::fs::read_to_string(folder.join(&file.value)) {
                Ok(text) => Some(SecretString::from(text.trim())),
                Err(error) => {
                    reference.say(file.at, format!("cannot read the secret's file: {error}"), None);
                    None
                }
            },
            (None, Some(env)) => match std::env::var(&env.value) {
                Ok(text) => Some(SecretString::from(text.trim())),
                Err(_) => {
                    reference.say(env.at, "there is no such variable in the environment", None);
                    None
                }
            },
            _ => {
                reference.say(reference.at.clone(), format!("`{key}` takes a file or an env"), help.clone());
                None
            }
        }
    });
    section.required(key, found.flatten(), &help)
}
