//! What operators ask and do at the command line. The daemon may be at work on the same database meanwhile,
//! but where a command says otherwise.

mod by_hand;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use gateway::Clock;
use gateway::ledger::Head;
use gateway::mail::Mailbox;
use gateway::outbox::State;
use gateway::project::Project;
use gateway::store::{self, Committed, Contact, Database, Fate, LogFilter, Scope, Side, Step, Store};
use gateway::vault::Keys;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use miette::{Context, IntoDiagnostic, miette};
use policy::Engine;
use serde_json::json;
use twilio::PhoneNumber;

use crate::{config, costs, export, log, privacy, purge, story};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what became of each message, and why
    Log(Log),
    /// Tell the whole story of one message
    Explain {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it, or Twilio's id of a text that came in
        message: String,
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// The zone of the times shown
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        zone: String,
    },
    /// Show what messages cost, by project and month
    Costs {
        #[command(flatten)]
        config: ConfigFile,
        /// Only this project
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        /// How many months, this one among them
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=120))]
        months: u32,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Say in words what Twilio keeps of participants, and what is kept here
    Privacy {
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// The opt-outs
    #[command(subcommand)]
    OptOuts(OptOuts),
    /// The ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// What waits for a person
    #[command(subcommand)]
    Tasks(Tasks),
    /// What nothing is sent of
    #[command(subcommand)]
    Stops(Stops),
    /// Hold a message that has not left, until somebody releases it
    Hold {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        message: String,
        /// Who, and why
        #[arg(long)]
        why: String,
    },
    /// Send a message that has not left never
    Cancel {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        message: String,
        /// Who wants it so, and why
        #[arg(long)]
        why: String,
    },
    /// Decide a held message again, after what held it was mended
    Release {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        message: String,
        /// Who looked, and what was mended
        #[arg(long)]
        why: String,
    },
    /// Say what became of a message of which nobody knew, after looking for it in Twilio's log
    Settle {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        message: String,
        #[command(flatten)]
        fate: Said,
        /// Who looked, and where
        #[arg(long)]
        why: String,
    },
    /// Stop sending, for one project or for all
    Stop {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        what: What,
        /// Why
        #[arg(long)]
        why: String,
    },
    /// Send again
    Resume {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        what: What,
        /// What was mended
        #[arg(long, default_value = "by hand")]
        why: String,
    },
    /// Delete what an older system left at Twilio of a project's number; its opt-outs must have been taken over
    Purge {
        #[command(flatten)]
        config: ConfigFile,
        /// The project whose number it is
        project: String,
        /// Only what is from before this instant, as in `2026-11-23T10:00:00Z`; without it, from before now
        #[arg(long, value_name = "TIME")]
        before: Option<Timestamp>,
        /// Delete it, instead of saying how much it is
        #[arg(long)]
        yes: bool,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Copy the database as it is at one instant into a new file
    Backup {
        #[command(flatten)]
        config: ConfigFile,
        /// The new file
        file: PathBuf,
    },
    /// Say that the database was put back from a backup, before the daemon is started on it
    Restored {
        #[command(flatten)]
        config: ConfigFile,
        /// When the backup was made, as in `2026-11-23T02:00:00Z`
        #[arg(long, value_name = "TIME")]
        since: Timestamp,
    },
    /// Move everything into another, empty database, with every daemon stopped
    Migrate {
        #[command(flatten)]
        config: ConfigFile,
        /// The configuration that names the new database, and the same keys
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// The institution's keys
    #[command(subcommand)]
    Keys(KeyFile),
    #[command(flatten)]
    ByHand(by_hand::Command),
}

/// The daemon's configuration.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = "consentry.toml")]
    pub config: PathBuf,
}

/// What the log is to show.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Log {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this record
    #[arg(long, value_name = "RECORD")]
    participant: Option<String>,
    /// Only this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Only this schedule, as `consentry schedules` names it, or `by-hand/SURVEY`
    #[arg(long, value_name = "ID")]
    schedule: Option<String>,
    /// Only what is in this state
    #[arg(long, value_name = "STATE", value_parser = state_of)]
    status: Option<State>,
    /// What is still to come, the next first
    #[arg(long, conflicts_with = "past")]
    future: bool,
    /// What was sent, or is not sent any more
    #[arg(long)]
    past: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// As CSV, whose columns keep their names
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// How many, newest first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u32,
    /// The zone of the times shown
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
}

/// The opt-outs.
#[derive(Debug, Subcommand)]
pub enum OptOuts {
    /// Every opt-out there ever was, with its number
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// As CSV, which is the only form there is
        #[arg(long)]
        csv: bool,
    },
    /// Note that somebody asked not to be written to, by a letter or by an e-mail that only people read
    Add {
        #[command(flatten)]
        config: ConfigFile,
        /// The e-mail address, or the phone number with its country code
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// For one project; for all of them without it
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        /// Who notes it, and how it was asked for
        #[arg(long)]
        why: String,
    },
}

/// The ledger.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Check that nothing in the ledger was changed, removed or put in
    Verify {
        #[command(flatten)]
        config: ConfigFile,
        /// A head that was exported before, which the ledger must still hold
        #[arg(long, value_name = "HEAD")]
        head: Option<Head>,
    },
}

/// What waits for a person.
#[derive(Debug, Subcommand)]
pub enum Tasks {
    /// List what waits for a person
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
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

/// What nothing is sent of.
#[derive(Debug, Subcommand)]
pub enum Stops {
    /// List what nothing is sent of, and why
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// The institution's keys.
#[derive(Debug, Subcommand)]
pub enum KeyFile {
    /// Print a new key file
    New,
    /// Print a key file with a new newest key added
    Add {
        /// The key file
        file: PathBuf,
    },
    /// Seal everything anew under a new key of the database's own, with every daemon stopped
    Rotate(ConfigFile),
}

/// What is stopped, or goes on.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct What {
    /// The project; without it, every one
    project: Option<String>,
    /// A sender, a wording or a recipient, as `consentry stops list` writes it
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
}

/// What a person found out.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Said {
    /// It was sent
    #[arg(long)]
    sent: bool,
    /// It was not, and is not to be
    #[arg(long)]
    not_sent: bool,
    /// It was not: decide it again
    #[arg(long)]
    send_again: bool,
}

/// Reads a command, without the program's name.
pub fn read(arguments: &[&str]) -> Result<Command, clap::Error> {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }
    Line::try_parse_from(arguments).map(|line| line.command)
}

/// Does what a command says, and prints what comes of it.
pub async fn run(command: Command, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    match command {
        Command::Log(options) => show_log(&options, clock, out).await,
        Command::Explain { config, message, json, zone } => {
            let zone = zone_of(&zone)?;
            let story = story::of(&config.open(clock)?, &message, &zone).await.into_diagnostic()?;
            let story = story.ok_or_else(|| {
                miette!(help = "`consentry log` shows the ids of messages", "there is no message `{message}`")
            })?;
            if json { line(out, &story) } else { write(out, &story::text(&story)) }
        }
        Command::Costs { config, project, months, json } => {
            if let Some(project) = &project {
                config.knows(project)?;
            }
            let store = config.open(clock)?;
            let lines =
                costs::lines(&store, project.as_deref(), clock.now(), months).await.into_diagnostic()?;
            if json { each(out, &lines) } else { write(out, &costs::text(&lines)) }
        }
        Command::Privacy { config, json } => {
            let projects = config.projects()?;
            let kept =
                privacy::of(&projects, &config.open(clock)?, clock.seconds()).await.into_diagnostic()?;
            if json { each(out, &kept) } else { write(out, &privacy::text(&kept)) }
        }
        Command::OptOuts(OptOuts::Export { config, csv }) => {
            if !csv {
                return Err(miette!(help = "add --csv", "the export has one form, CSV"));
            }
            export::opt_outs(&config.open(clock)?, out).await.into_diagnostic()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::OptOuts(OptOuts::Add { config, address, project, why }) => {
            let contact = contact(&address)?;
            if let Some(name) = &project {
                // An opt-out from a misspelt project would hold nowhere.
                config.knows(name)?;
            }
            let store = config.open(clock)?;
            let project = project.unwrap_or_default();
            store.commit(Step::OptOut { project, contact, why }).await.into_diagnostic()?;
            write(out, "noted; nothing more is sent there\n")
        }
        Command::Ledger(Ledger::Verify { config, head }) => verify(&config.open(clock)?, head, out).await,
        Command::Tasks(Tasks::List { config, json }) => list_tasks(&config.open(clock)?, json, out).await,
        Command::Tasks(Tasks::Resolve { config, id, how }) => {
            let missing = format!("there is no open task `{id}`");
            let step = Step::Resolve { id, resolution: how };
            commit(&config.open(clock)?, step, missing, "`consentry tasks list` shows them", out).await
        }
        Command::Stops(Stops::List { config, json }) => list_stops(&config.open(clock)?, json, out).await,
        Command::Hold { config, message, why } => {
            let missing = format!("there is no message `{message}` that could still be held");
            let help = "what may have left cannot be held; `consentry explain` tells where it stands";
            commit(&config.open(clock)?, Step::Hold { id: message, why }, missing, help, out).await
        }
        Command::Cancel { config, message, why } => {
            let missing = format!("there is no message `{message}` that has not left");
            let help = "what may have left cannot be canceled; `consentry explain` tells where it stands";
            commit(&config.open(clock)?, Step::Cancel { id: message, why }, missing, help, out).await
        }
        Command::Release { config, message, why } => {
            let missing = format!("there is no held message `{message}`");
            let help = "`consentry log` shows them";
            commit(&config.open(clock)?, Step::Release { id: message, why }, missing, help, out).await
        }
        Command::Settle { config, message, fate, why } => {
            let missing =
                format!("there is no message `{message}` of which nobody knows whether it was sent");
            let help = "Twilio may have told meanwhile; `consentry explain` tells where it stands";
            let step = Step::FindOut { id: message, fate: fate.fate(), why };
            commit(&config.open(clock)?, step, missing, help, out).await
        }
        Command::Stop { config, what, why } => {
            let (scope, named) = what.scope(&config)?;
            let step = Step::Stop { scope, why };
            config.open(clock)?.commit(step).await.into_diagnostic()?;
            write(out, &format!("stopped: {named}\n"))
        }
        Command::Resume { config, what, why } => {
            let (scope, named) = what.scope(&config)?;
            let resumed = config.open(clock)?.commit(Step::Resume { scope, why }).await.into_diagnostic()?;
            if matches!(resumed, Committed::Stale) {
                let help = "`consentry stops list` shows what is stopped, and how to name it";
                return Err(miette!(help = help, "nothing was stopped: {named}"));
            }
            write(out, &format!("sending again: {named}\n"))
        }
        Command::Purge { config, project, before, yes, json } => {
            let before = before.unwrap_or_else(|| clock.now());
            purge_project(&config, &project, before, yes, json, clock, out).await
        }
        Command::Backup { config, file } => {
            let (database, _) = config.database()?;
            let made = clock.now();
            match store::backup(&database, &file) {
                Err(error @ store::StoreError::NotAFile) => {
                    let help = "a dump is of one instant too; a restore from it asks when it was made";
                    Err(miette!(help = help, "cannot {error}"))
                }
                Err(error) => Err(error).into_diagnostic(),
                Ok(()) => write(
                    out,
                    &format!(
                        "the database as it was at {made:.0} is in `{}`; a restore asks for this time, and the key file \
                         is kept elsewhere\n",
                        file.display()
                    ),
                ),
            }
        }
        Command::Restored { config, since } => {
            let (database, keys) = config.database()?;
            stopped(&database, clock)?;
            let since =
                u32::try_from(since.as_second()).into_diagnostic().wrap_err("the time of the backup")?;
            let store = Store::open(&database, &keys, clock.clone()).into_diagnostic()?;
            store.commit(Step::Restored { since }).await.into_diagnostic()?;
            write(
                out,
                "what may have been sent since the backup is held, and nothing is sent; compare with Twilio's log, \
                 `consentry release` what was not sent, and then `consentry resume`\n",
            )
        }
        Command::Migrate { config, to } => migrate(&config, &ConfigFile { config: to }, clock, out),
        Command::Keys(command) => keys(command, clock, out),
        Command::ByHand(command) => by_hand::run(command, clock, out).await,
    }
}

impl ConfigFile {
    /// The database and the keys that it names. The database must be there: a mistyped path is not a new, empty
    /// database.
    fn database(&self) -> miette::Result<(Database, Keys)> {
        let (database, keys) = config::database(&self.config)?;
        if let Database::Sqlite(file) = &database
            && !file.exists()
        {
            return Err(miette!(
                help = "the daemon makes it when it starts; is this its configuration?",
                "there is no database at `{}`",
                file.display()
            ));
        }
        Ok((database, keys))
    }

    fn open(&self, clock: &Clock) -> miette::Result<Store> {
        let (database, keys) = self.database()?;
        Store::open(&database, &keys, clock.clone()).into_diagnostic()
    }

    fn projects(&self) -> miette::Result<Vec<Project>> {
        let engine = Arc::new(Engine::new().into_diagnostic()?);
        Ok(config::read(&self.config, &engine)?.projects)
    }

    /// A name that no project has would stop nothing, cost nothing, and say so.
    fn knows(&self, project: &str) -> miette::Result<()> {
        let names = config::project_names(&self.config)?;
        if names.iter().any(|name| name == project) {
            return Ok(());
        }
        let help = format!("the projects are {}", names.join(", "));
        Err(miette!(help = help, "there is no project `{project}`"))
    }
}

impl What {
    /// The scope, and what a person calls it.
    fn scope(self, config: &ConfigFile) -> miette::Result<(Scope, String)> {
        if let Some(project) = self.project {
            config.knows(&project)?;
            let named = format!("`{project}`");
            return Ok((Scope::Project(project), named));
        }
        let Some(word) = self.scope else { return Ok((Scope::All, "every project".into())) };
        let help = "`consentry stops list` shows what is stopped, and how to name it";
        let scope = Scope::read(&word).ok_or_else(|| miette!(help = help, "there is no scope `{word}`"))?;
        if let Scope::Project(project) = &scope {
            config.knows(project)?;
        }
        Ok((scope, format!("`{word}`")))
    }
}

impl Said {
    fn fate(&self) -> Fate {
        match (self.sent, self.not_sent) {
            (true, _) => Fate::Sent,
            (_, true) => Fate::NotSent,
            _ => Fate::SendAgain,
        }
    }
}

/// Some things are done while no daemon is at work.
fn stopped(database: &Database, clock: &Clock) -> miette::Result<()> {
    if store::at_work(database, clock.seconds()).into_diagnostic()? {
        let help = "stop every daemon first; one that was killed counts as at work for half a minute more";
        return Err(miette!(help = help, "a daemon is at work on this database"));
    }
    Ok(())
}

async fn show_log(options: &Log, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    let zone = zone_of(&options.zone)?;
    let store = options.config.open(clock)?;
    let side = match (options.future, options.past) {
        (true, _) => Some(Side::Future),
        (_, true) => Some(Side::Past),
        _ => None,
    };
    let filter = LogFilter {
        project: options.project.clone(),
        record: options.participant.clone(),
        schedule: options.schedule.clone(),
        state: options.status,
        side,
        limit: options.limit,
    };
    if options.csv {
        log::csv(&store.find(&filter).await.into_diagnostic()?, &mut *out).into_diagnostic()?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines = log::found(&store, &filter, &zone).await.into_diagnostic()?;
    if options.json { each(out, &lines) } else { write(out, &log::text(&lines)) }
}

async fn verify(store: &Store, head: Option<Head>, out: &mut dyn Write) -> miette::Result<ExitCode> {
    match store.verify(head).await.into_diagnostic()? {
        Ok(head) => write(out, &format!("ok: {} rows, head {head}\n", head.seq)),
        Err(tampered) => Err(miette!(
            help = "keep this database as it is, and compare it with a backup",
            "the ledger does not verify: {tampered}"
        )),
    }
}

async fn list_tasks(store: &Store, json: bool, out: &mut dyn Write) -> miette::Result<ExitCode> {
    for task in store.tasks().await.into_diagnostic()? {
        let at = log::at(task.at, &TimeZone::UTC);
        if json {
            let (id, kind, project, sentence) = (task.id, task.kind, task.project, task.sentence);
            line(
                out,
                &json!({ "id": id, "when": at, "project": project, "kind": kind, "sentence": sentence }),
            )?;
        } else {
            write(out, &format!("{}  {at}  {}  {}: {}\n", task.id, task.project, task.kind, task.sentence))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_stops(store: &Store, json: bool, out: &mut dyn Write) -> miette::Result<ExitCode> {
    for stop in store.stopped().await.into_diagnostic()? {
        let at = log::at(stop.at, &TimeZone::UTC);
        if json {
            line(out, &json!({ "scope": stop.scope, "when": at, "why": stop.why }))?;
        } else {
            let scope = if stop.scope.is_empty() { "everything" } else { &stop.scope };
            write(out, &format!("{at}  {scope}: {}\n", stop.why))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn purge_project(
    config: &ConfigFile,
    project: &str,
    before: Timestamp,
    yes: bool,
    json: bool,
    clock: &Clock,
    out: &mut dyn Write,
) -> miette::Result<ExitCode> {
    config.knows(project)?;
    let store = config.open(clock)?;
    let projects = config.projects()?;
    let project = projects.iter().find(|known| known.name == project);
    let project = project.ok_or_else(|| miette!("the project is not in the configuration any more"))?;
    let left = match purge::look(project, &store, before).await {
        Err(error @ purge::PurgeError::NotRead) => {
            let help = "start the daemon, and wait until it has listed what came in; /readyz says so";
            return Err(miette!(help = help, "cannot {error}"));
        }
        left => left.into_diagnostic()?,
    };
    if !yes {
        if json {
            return line(out, &left);
        }
        write(out, &purge::text(&left))?;
        return write(out, "nothing was deleted; --yes deletes\n");
    }
    let purged = purge::purge(project, &left).await.into_diagnostic()?;
    store
        .commit(Step::Purged { project: project.name.clone(), count: purged.gone })
        .await
        .into_diagnostic()?;
    if json {
        line(out, &json!({ "left": left, "purged": purged }))?;
    } else {
        write(out, &purge::text(&left))?;
        let wait = match purged.not_yet {
            0 => String::new(),
            count => format!("; Twilio does not let go of {count} yet, so purge again later"),
        };
        let more = if left.complete { "" } else { "; Twilio has more than was listed, so purge again" };
        write(out, &format!("deleted: {}{wait}{more}\n", purged.gone))?;
    }
    Ok(if purged.not_yet == 0 && left.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn migrate(
    from: &ConfigFile,
    to: &ConfigFile,
    clock: &Clock,
    out: &mut dyn Write,
) -> miette::Result<ExitCode> {
    let (old, keys) = from.database()?;
    let (new, new_keys) = config::database(&to.config)?;
    if new_keys.newest() != keys.newest() {
        let help =
            "both configurations name the same key file; rotate the keys before or after, not meanwhile";
        return Err(miette!(help = help, "`{}` names other keys", to.config.display()));
    }
    let copied = store::copy(&old, &new, &keys, clock.seconds()).into_diagnostic()?;
    for (table, rows) in copied.tables {
        write(out, &format!("{rows:>9}  {table}\n"))?;
    }
    write(
        out,
        &format!(
            "the ledger is the same in both, head {}; start the daemon with `--config {}`, and never again on the old \
             database\n",
            copied.head,
            to.config.display()
        ),
    )
}

fn keys(command: KeyFile, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    match command {
        KeyFile::New => write(out, &Keys::generate().into_diagnostic()?),
        KeyFile::Add { file } => {
            let text = std::fs::read_to_string(&file)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot read `{}`", file.display()))?;
            let added = Keys::add(&text);
            write(out, &added.map_err(|error| miette!(help = error.help(), "{error}"))?)
        }
        KeyFile::Rotate(config) => {
            let (database, keys) = config.database()?;
            stopped(&database, clock)?;
            let count = store::rotate(&database, &keys).into_diagnostic()?;
            write(out, &format!("{count} values are sealed under a new key of the database\n"))
        }
    }
}

/// Commits what a person decided.
async fn commit(
    store: &Store,
    step: Step,
    missing: String,
    help: &str,
    out: &mut dyn Write,
) -> miette::Result<ExitCode> {
    match store.commit(step).await.into_diagnostic()? {
        Committed::Stale => Err(miette!(help = help.to_owned(), "{missing}")),
        _ => write(out, "done\n"),
    }
}

fn state_of(word: &str) -> Result<State, String> {
    let names: Vec<_> = State::ALL.iter().map(|(_, name)| *name).collect();
    State::read(word).ok_or_else(|| format!("the states are {}", names.join(", ")))
}

fn zone_of(name: &str) -> miette::Result<TimeZone> {
    TimeZone::get(name).into_diagnostic().wrap_err("the zone of the times shown")
}

/// A mailbox, or a number with its country code.
fn contact(address: &str) -> miette::Result<Contact> {
    if let Ok(number) = PhoneNumber::from_e164(address.trim()) {
        return Ok(Contact::Phone(number));
    }
    let help = "such as ben@example.org, or +16175550121";
    Mailbox::read(address)
        .map(Contact::Mailbox)
        .map_err(|_| miette!(help = help, "this is neither an e-mail address nor a phone number"))
}

fn write(out: &mut dyn Write, text: &str) -> miette::Result<ExitCode> {
    out.write_all(text.as_bytes()).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut dyn Write, value: &impl serde::Serialize) -> miette::Result<ExitCode> {
    writeln!(out, "{}", serde_json::to_string(value).into_diagnostic()?).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

fn each(out: &mut dyn Write, values: &[impl serde::Serialize]) -> miette::Result<ExitCode> {
    for value in values {
        line(out, value)?;
    }
    Ok(ExitCode::SUCCESS)
}
