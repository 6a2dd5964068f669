//! `consentry`: the messaging gateway between REDCap and Twilio.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use consentry::{config, daemon::Daemon, demo, export, language, log};
use gateway::Clock;
use gateway::ledger::Head;
use gateway::store::{Committed, Sqlite, Step};
use jiff::tz::TimeZone;
use miette::{Context, IntoDiagnostic, miette};
use policy::Engine;

#[derive(Parser)]
#[command(
    version,
    about = "The messaging gateway between REDCap and Twilio, whose every decision is a policy's"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try everything on this machine: a REDCap, a Twilio, a study, and a phone in the browser
    Demo(demo::Options),
    /// Run the daemon
    Serve(ConfigFile),
    /// Show what became of each message, and why
    Log(Log),
    /// The opt-outs
    #[command(subcommand)]
    OptOuts(OptOuts),
    /// The ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// What waits for a person
    #[command(subcommand)]
    Tasks(Tasks),
    /// REDCap's language: inspect a project, try its logic, its calculations and its texts
    #[command(subcommand)]
    Redcap(language::Command),
    /// Decide a held message again, after what held it was mended
    Release {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        id: String,
        /// Who looked, and what was mended
        #[arg(long)]
        why: String,
    },
    /// Stop sending, for one project or for all
    Stop {
        #[command(flatten)]
        config: ConfigFile,
        /// The project; without it, every one
        project: Option<String>,
        /// Why
        #[arg(long)]
        why: String,
    },
    /// Send again
    Resume {
        #[command(flatten)]
        config: ConfigFile,
        /// The project; without it, what was stopped for every one
        project: Option<String>,
    },
}

#[derive(Args)]
struct ConfigFile {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = "consentry.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Log {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this record
    #[arg(long, value_name = "RECORD")]
    participant: Option<String>,
    /// Only this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// The zone of the times shown
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
}

#[derive(Subcommand)]
enum OptOuts {
    /// Every opt-out there ever was, with its number
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// As CSV, which is the only form there is
        #[arg(long)]
        csv: bool,
    },
}

#[derive(Subcommand)]
enum Ledger {
    /// Check that nothing in the ledger was changed, removed or put in
    Verify {
        #[command(flatten)]
        config: ConfigFile,
        /// A head that was exported before, which the ledger must still hold
        #[arg(long, value_name = "HEAD")]
        head: Option<Head>,
    },
}

#[derive(Subcommand)]
enum Tasks {
    /// List what waits for a person
    List(ConfigFile),
    /// Say that a task is done, and how
    Resolve {
        #[command(flatten)]
        config: ConfigFile,
        /// The task's id
        id: String,
        /// Who did what
        #[arg(long)]
        how: String,
    },
}

#[tokio::main]
async fn main() -> miette::Result<ExitCode> {
    let cli = Cli::parse();
    let quiet = matches!(cli.command, Command::Demo(_));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(if quiet { tracing::Level::ERROR } else { tracing::Level::INFO })
        .init();
    match cli.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve(&options.config).await,
        Command::Log(options) => show_log(&options),
        Command::OptOuts(OptOuts::Export { config, csv }) => {
            if !csv {
                return Err(miette!(help = "add --csv", "the export has one form, CSV"));
            }
            export::opt_outs(&open(&config.config)?, std::io::stdout().lock()).into_diagnostic()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Ledger(Ledger::Verify { config, head }) => verify(&config.config, head),
        Command::Tasks(Tasks::List(config)) => list_tasks(&config.config),
        Command::Tasks(Tasks::Resolve { config, id, how }) => resolve_task(&config.config, id, how).await,
        Command::Redcap(command) => language::run(&command, std::io::stdout().lock()),
        Command::Release { config, id, why } => {
            let help = "`consentry log` shows them";
            let missing = format!("there is no held message `{id}`");
            commit(&config.config, Step::Release { id, why }, missing, help).await
        }
        Command::Stop { config, project, why } => stop(&config.config, project, Some(why)).await,
        Command::Resume { config, project } => stop(&config.config, project, None).await,
    }
}

async fn serve(path: &Path) -> miette::Result<ExitCode> {
    let engine = Arc::new(Engine::new().into_diagnostic()?);
    let config = config::read(path, &engine)?;
    let public_url = config.public_url.clone();
    let names: Vec<_> = config.projects.iter().map(|project| project.name.clone()).collect();
    let mut daemon = Daemon::start(config, Clock::System).await.into_diagnostic()?;
    for name in names {
        tracing::info!(
            project = name,
            "Twilio's webhook is {public_url}/twilio/{name}/sms, REDCap's Data Entry Trigger is \
             {public_url}/redcap/{name}/trigger/<the trigger secret>"
        );
    }
    tracing::info!(address = %daemon.address, "Consentry is at work");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.into_diagnostic()?,
        error = daemon.ended() => return Err(error).into_diagnostic(),
    }
    tracing::info!("stopping; what waits is in the database");
    Ok(ExitCode::SUCCESS)
}

/// Opens the database of a configuration. It must be there: a mistyped path is not a new, empty database.
fn open(path: &Path) -> miette::Result<Sqlite> {
    let database = config::database(path)?;
    if !database.exists() {
        return Err(miette!(
            help = "the daemon makes it when it starts; is this its configuration?",
            "there is no database at `{}`",
            database.display()
        ));
    }
    Sqlite::open(&database, Clock::System).into_diagnostic()
}

fn show_log(options: &Log) -> miette::Result<ExitCode> {
    let zone = TimeZone::get(&options.zone).into_diagnostic().wrap_err("the zone of the times shown")?;
    let store = open(&options.config.config)?;
    let lines = log::lines(&store, options.project.as_deref(), options.participant.as_deref(), &zone);
    let lines = lines.into_diagnostic()?;
    let mut out = std::io::stdout().lock();
    if options.json {
        for line in lines {
            writeln!(out, "{}", serde_json::to_string(&line).into_diagnostic()?).into_diagnostic()?;
        }
    } else {
        write!(out, "{}", log::text(&lines)).into_diagnostic()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(path: &Path, head: Option<Head>) -> miette::Result<ExitCode> {
    match open(path)?.verify(head).into_diagnostic()? {
        Ok(head) => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "ok: {} rows, head {head}", head.seq).into_diagnostic()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(tampered) => Err(miette!(
            help = "keep this database as it is, and compare it with a backup",
            "the ledger does not verify: {tampered}"
        )),
    }
}

fn list_tasks(path: &Path) -> miette::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for task in open(path)?.tasks().into_diagnostic()? {
        let at = log::at(task.at, &TimeZone::UTC);
        writeln!(out, "{}  {at}  {}  {}: {}", task.id, task.project, task.kind, task.sentence)
            .into_diagnostic()?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn resolve_task(path: &Path, id: String, how: String) -> miette::Result<ExitCode> {
    let missing = format!("there is no open task `{id}`");
    commit(path, Step::Resolve { id, resolution: how }, missing, "`consentry tasks list` shows them").await
}

/// Stops sending, or goes on. A name that no project has would stop nothing, and say that it did.
async fn stop(path: &Path, project: Option<String>, why: Option<String>) -> miette::Result<ExitCode> {
    let names = config::project_names(path)?;
    if let Some(project) = project.as_ref().filter(|project| !names.contains(project)) {
        let help = format!("the projects are {}", names.join(", "));
        return Err(miette!(help = help, "there is no project `{project}`"));
    }
    let what = project.as_ref().map_or_else(|| "every project".to_owned(), |name| format!("`{name}`"));
    let done = if why.is_some() { "stopped" } else { "sending again" };
    let step = Step::Stop { project: project.unwrap_or_default(), why };
    open(path)?.commit(step).await.into_diagnostic()?;
    writeln!(std::io::stdout().lock(), "{done}: {what}").into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Commits what a person decided. The daemon may be at work on the same database.
async fn commit(path: &Path, step: Step, missing: String, help: &str) -> miette::Result<ExitCode> {
    match open(path)?.commit(step).await.into_diagnostic()? {
        Committed::Stale => Err(miette!(help = help.to_owned(), "{missing}")),
        _ => {
            writeln!(std::io::stdout().lock(), "done").into_diagnostic()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
