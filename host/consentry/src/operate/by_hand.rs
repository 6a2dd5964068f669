//! What a study team sends by hand, what it does with what was held, and what it looks at before a running study is
//! taken over.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gateway::Clock;
use gateway::by_hand::{self, Batch, Invite, InviteError, InviteList, Planned, Who};
use gateway::project::Project;
use gateway::schedule::Design;
use gateway::store::{CatchUp, Catching, Step};
use gateway::takeover::{self, Finding, Standing};
use jiff::tz::TimeZone;
use miette::{Context, IntoDiagnostic, miette};
use redcap::client::ExportRecords;
use serde_json::json;

use super::{ConfigFile, commit, each, line, write};
use crate::{list, log, schedules};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Invite records to a survey, now or later
    Invite(InviteRecords),
    /// Invite a list of numbers to the public survey; each has a record when it answers
    Public(InviteNumbers),
    /// Send a message that has not left at another time, and its reminders as much later
    Reschedule {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id, as `consentry log` shows it
        message: String,
        /// When, as in `2026-11-23T10:00:00Z`, or `2026-11-23 10:00` on REDCap's clock
        #[arg(long, value_name = "TIME")]
        to: String,
        /// Who wants it so, and why
        #[arg(long)]
        why: String,
    },
    /// Show what is sent by itself, with the digests of its texts, and why something is not run
    Schedules {
        #[command(flatten)]
        config: ConfigFile,
        /// The project
        project: String,
        /// Read the project from this file, and not from REDCap
        #[arg(long, value_name = "FILE.xml")]
        xml: Option<PathBuf>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show the survey queue of a record: which surveys stand in it now, and how far each has come
    Queue {
        #[command(flatten)]
        config: ConfigFile,
        /// The project
        project: String,
        /// The record
        record: String,
    },
    /// Show what waits since before go-live or because of the brake, and release, expire or sample it
    CatchUp(CatchUpOptions),
    /// Say what keeps the schedules of a project from going live
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// The project
        project: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Have the daemon look at every record again
    ///
    /// A record that already has its invitation gets no second one, whatever became of it.
    Reevaluate {
        #[command(flatten)]
        config: ConfigFile,
        /// The project
        project: String,
        /// Only for this schedule, as `consentry schedules` names it
        schedule: Option<String>,
        /// Who wants it, and why
        #[arg(long, default_value = "by hand")]
        why: String,
    },
}

/// Whom to invite, and to what.
#[derive(Args, Debug)]
pub struct InviteRecords {
    #[command(flatten)]
    config: ConfigFile,
    /// The project
    project: String,
    /// The survey's instrument
    survey: String,
    #[command(flatten)]
    whom: Whom,
    /// The survey's event; without it, the first at which it is
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// The repeat instance of the survey
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    instance: u32,
    #[command(flatten)]
    how: How,
}

/// Whom of the participant list.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Whom {
    /// Every record
    #[arg(long)]
    all: bool,
    /// Those whose survey is not complete
    #[arg(long)]
    not_answered: bool,
    /// These records
    #[arg(long, value_name = "RECORD", num_args = 1..)]
    records: Vec<String>,
}

/// The list to invite.
#[derive(Args, Debug)]
pub struct InviteNumbers {
    #[command(flatten)]
    config: ConfigFile,
    /// The project
    project: String,
    /// CSV with the columns number,date,manner,documented-by: the date on which each number permitted to be texted,
    /// how (written, verbal-documented, electronic), and who documented that
    #[arg(long, value_name = "FILE.csv")]
    list: PathBuf,
    /// Invite the good rows although there are bad ones
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    how: How,
}

/// When and how something is sent by hand.
#[derive(Args, Debug)]
pub(super) struct How {
    /// When, as in `2026-11-23T10:00:00Z`, or `2026-11-23 10:00` on REDCap's clock; without it, now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The wording; without it, the template policy chooses
    #[arg(long, value_name = "ID")]
    wording: Option<String>,
    /// A name for the batch: the same call again makes nothing twice
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// Who wants it, and why
    #[arg(long)]
    why: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// What to do with what was held.
#[derive(Args, Debug)]
pub struct CatchUpOptions {
    #[command(flatten)]
    config: ConfigFile,
    /// The project
    project: String,
    #[command(flatten)]
    what: What,
    /// What is held because REDCap itself had queued it, after that was deleted in REDCap
    #[arg(long)]
    queued: bool,
    /// Who looked, and why
    #[arg(long)]
    why: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// What becomes of it.
#[derive(Args, Debug)]
#[group(multiple = false)]
#[expect(clippy::option_option, reason = "an option of the command line whose value may be left out")]
pub(super) struct What {
    /// Send all of it, or all of one schedule, as if it were due now
    #[arg(long, value_name = "SCHEDULE", num_args = 0..=1)]
    release: Option<Option<String>>,
    /// Send none of it, or none of one schedule, for ever
    #[arg(long, value_name = "SCHEDULE", num_args = 0..=1)]
    expire: Option<Option<String>>,
    /// Send so many of it, or of one schedule, taken by chance, and go on holding the rest
    #[arg(long, value_names = ["N", "SCHEDULE"], num_args = 1..=2)]
    sample: Option<Vec<String>>,
}

/// Does what a command says.
pub(super) async fn run(command: Command, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    match command {
        Command::Invite(options) => invite(options, clock, out).await,
        Command::Public(options) => public(options, clock, out).await,
        Command::Reschedule { config, message, to, why } => {
            let store = config.open(clock)?;
            let missing = format!("there is no message `{message}` that has not left");
            let help = "what may have left cannot be rescheduled; `consentry explain` tells where it stands";
            let Some(known) = store.message(&message).await.into_diagnostic()? else {
                return Err(miette!(help = help, "{missing}"));
            };
            // An instant needs no zone; a time on REDCap's clock does, and the project's file has it.
            let due = match log::instant(&to, &TimeZone::UTC).filter(|_| to.ends_with('Z')) {
                Some(due) => due,
                None => time(&to, &project(&config, &known.new.project)?.zone)?,
            };
            commit(&store, Step::Reschedule { id: message, due, why }, missing, help, out).await
        }
        Command::Schedules { config, project: name, xml, json } => {
            let project = project(&config, &name)?;
            let design = match xml {
                None => design(&project).await?,
                Some(file) => {
                    let xml = std::fs::read(&file)
                        .into_diagnostic()
                        .wrap_err_with(|| format!("cannot read `{}`", file.display()))?;
                    let (model, _) = redcap::odm::read_project(&xml).into_diagnostic()?;
                    let mut design = Design::of(&project, model);
                    takeover::mark(&project, &mut design);
                    design
                }
            };
            let shown = schedules::of(&project, &design, clock.seconds());
            if json { each(out, &shown) } else { write(out, &schedules::text(&shown)) }
        }
        Command::Queue { config, project: name, record } => {
            let project = project(&config, &name)?;
            let model = takeover::read_model(&project).await.map_err(|why| unreachable(&why))?;
            let wanted = ExportRecords {
                records: vec![record.clone()],
                survey_fields: true,
                ..ExportRecords::default()
            };
            let rows = project.redcap.export_records(&wanted).await.into_diagnostic()?;
            let found = redcap::record::from_flat_rows(&model, &rows).into_iter().find(|it| it.id == record);
            let found = found.ok_or_else(|| miette!("REDCap has no record `{record}`"))?;
            let now = gateway::facts::civil(clock.seconds(), &project);
            let queue = gateway::schedule::queue(&model, &found, now);
            if queue.is_empty() {
                return write(out, "the survey queue of this record is empty\n");
            }
            let mut lines = String::new();
            for queued in queue {
                let standing = match queued.standing {
                    gateway::schedule::Standing::Open => "open",
                    gateway::schedule::Standing::Begun => "begun",
                    gateway::schedule::Standing::Done => "done",
                };
                let event = queued.event.map_or_else(String::new, |event| format!("@{event}"));
                let alone = if queued.starts_by_itself { ", starts by itself on the web page" } else { "" };
                lines.push_str(
                    &[standing, "  ", &queued.instrument, &event, "  ", &queued.title, alone, "\n"].concat(),
                );
            }
            write(out, &lines)
        }
        Command::CatchUp(options) => catch_up(options, clock, out).await,
        Command::Check { config, project: name, json } => {
            let project = project(&config, &name)?;
            let model = takeover::read_model(&project).await.map_err(|why| unreachable(&why))?;
            let found = takeover::check(&project, model, clock.seconds()).await;
            if json {
                each(out, &found)?;
            } else {
                write(out, &told(&found))?;
            }
            let stops = found.iter().any(|finding| finding.standing == Standing::Stop);
            Ok(if stops { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Reevaluate { config, project, schedule, why } => {
            config.knows(&project)?;
            let step = Step::Reevaluate { project, schedule, why };
            config.open(clock)?.commit(step).await.into_diagnostic()?;
            write(
                out,
                "the daemon looks at every record when it looks at the database next, within ten seconds\n",
            )
        }
    }
}

fn project(config: &ConfigFile, name: &str) -> miette::Result<Project> {
    config.knows(name)?;
    let found = config.projects()?.into_iter().find(|project| project.name == name);
    found.ok_or_else(|| miette!("the project is not in the configuration any more"))
}

async fn design(project: &Project) -> miette::Result<Design> {
    let model = takeover::read_model(project).await.map_err(|why| unreachable(&why))?;
    takeover::design(project, model).await.map_err(|why| unreachable(&why))
}

fn unreachable(why: &str) -> miette::Report {
    miette!(help = "check that REDCap is reachable and the token is good", "REDCap cannot be read: {why}")
}

fn time(text: &str, zone: &TimeZone) -> miette::Result<u32> {
    let help = "such as `2026-11-23T10:00:00Z`, or `2026-11-23 10:00` on REDCap's clock";
    log::instant(text, zone).ok_or_else(|| miette!(help = help, "`{text}` is no time"))
}

impl How {
    fn batch(&self, zone: &TimeZone) -> miette::Result<Batch> {
        Ok(Batch {
            id: self.batch.clone(),
            at: self.at.as_deref().map(|at| time(at, zone)).transpose()?,
            wording: self.wording.clone(),
            why: self.why.clone(),
        })
    }
}

async fn invite(options: InviteRecords, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    let store = options.config.open(clock)?;
    let project = project(&options.config, &options.project)?;
    let who = match &options.whom {
        Whom { all: true, .. } => Who::All,
        Whom { not_answered: true, .. } => Who::NotAnswered,
        Whom { records, .. } => Who::Records(records.clone()),
    };
    let wanted = Invite {
        instrument: options.survey.clone(),
        event: options.event.clone(),
        instance: options.instance,
        who,
        batch: options.how.batch(&project.zone)?,
    };
    let design = design(&project).await?;
    let planned = by_hand::invite(&project, &design, &store, clock.seconds(), &wanted).await;
    show_planned(&planned.map_err(refused)?, options.how.json, out)
}

async fn public(options: InviteNumbers, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    let text = std::fs::read_to_string(&options.list)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read `{}`", options.list.display()))?;
    let rows = list::read(&text)?;
    let store = options.config.open(clock)?;
    let project = project(&options.config, &options.project)?;
    let wanted = InviteList { rows, skip_bad: options.skip_bad, batch: options.how.batch(&project.zone)? };
    let design = design(&project).await?;
    let planned = by_hand::invite_list(&project, &design, &store, clock.seconds(), &wanted).await;
    show_planned(&planned.map_err(refused)?, options.how.json, out)
}

fn refused(error: InviteError) -> miette::Report {
    if let InviteError::Store(error) = error {
        return Err::<(), _>(error)
            .into_diagnostic()
            .map_or_else(|report| report, |()| miette!("the database"));
    }
    let mut sentence = error.to_string();
    if let InviteError::BadRows(rows) = &error {
        for row in rows {
            // A `String` takes every write.
            let _ = write!(sentence, "\nline {}: {}", row.line, row.reason);
        }
    }
    miette!(help = error.help(), "{sentence}")
}

fn show_planned(planned: &Planned, json: bool, out: &mut dyn Write) -> miette::Result<ExitCode> {
    if json {
        return line(out, planned);
    }
    let mut text = format!("batch {}: {} invitations\n", planned.batch, planned.messages.len());
    let mut also = |count: usize, what: &str| {
        if count > 0 {
            // A `String` takes every write.
            let _ = writeln!(text, "{count} {what}");
        }
    };
    also(planned.known, "were made before by the same batch");
    also(planned.repeated, "rows repeat a number, which is invited once");
    also(planned.skipped.len(), "rows were left out:");
    for row in &planned.skipped {
        let _ = writeln!(text, "  line {}: {}", row.line, row.reason);
    }
    text.push_str("`consentry log --future` shows what is still to come\n");
    write(out, &text)
}

async fn catch_up(options: CatchUpOptions, clock: &Clock, out: &mut dyn Write) -> miette::Result<ExitCode> {
    options.config.knows(&options.project)?;
    let store = options.config.open(clock)?;
    let CatchUpOptions { project, what, queued, why, json, .. } = options;
    let (what, schedule, at_most) = match what {
        What { release: Some(schedule), .. } => (Catching::Release, schedule, None),
        What { expire: Some(schedule), .. } => (Catching::Expire, schedule, None),
        What { sample: Some(words), .. } => {
            let mut words = words.into_iter();
            let count = words.next().and_then(|count| count.parse().ok()).filter(|n| (1..=500).contains(n));
            let count: u32 = count.ok_or_else(|| miette!("--sample takes a number from 1 to 500"))?;
            (Catching::Release, words.next(), Some(count))
        }
        What { .. } => {
            let waiting = store.to_catch_up(&project).await.into_diagnostic()?;
            for (rule, count) in &waiting {
                let oldest = log::at(count.oldest, &TimeZone::UTC);
                let (schedule, count) = (&count.what, count.count);
                if json {
                    let shown =
                        json!({ "rule": rule, "schedule": schedule, "count": count, "oldest": oldest });
                    line(out, &shown)?;
                } else {
                    write(out, &format!("{count:>6}  {schedule}  {rule}, the oldest due {oldest}\n"))?;
                }
            }
            return if waiting.is_empty() && !json {
                write(out, "nothing waits\n")
            } else {
                Ok(ExitCode::SUCCESS)
            };
        }
    };
    let help = "it is in the ledger for ever: who looked at these messages, and why they may go or not";
    let why = why.ok_or_else(|| miette!(help = help, "--why is missing"))?;
    let wanted = CatchUp { project, schedule, what, at_most, queued };
    let count = takeover::catch_up(&store, &wanted, &why).await.into_diagnostic()?;
    if count == 0 {
        let help = "`consentry catch-up` without more shows what waits";
        return Err(miette!(help = help, "nothing of that is held"));
    }
    let done = if what == Catching::Release { "released" } else { "expired" };
    if json { line(out, &json!({ done: count })) } else { write(out, &format!("{done}: {count}\n")) }
}

/// The findings of a check for a person: what stops first.
fn told(found: &[Finding]) -> String {
    let mut text = String::new();
    let mut sorted: Vec<_> = found.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.standing));
    // A `String` takes every write.
    for finding in sorted {
        let standing = match finding.standing {
            Standing::Stop => "STOP",
            Standing::Warn => "warn",
            Standing::Unknown => "unknown",
            Standing::Ok => "ok",
        };
        let about = finding.about.as_deref().map(|about| format!("{about}: ")).unwrap_or_default();
        let _ = writeln!(text, "{standing:<8}{about}{} [{}]", finding.sentence, finding.check);
        if !finding.records.is_empty() {
            let shown: Vec<_> = finding.records.iter().take(20).map(String::as_str).collect();
            let rest = finding.records.len() - shown.len();
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            let _ = writeln!(text, "        records {}{more}", shown.join(", "));
        }
        if let Some(todo) = &finding.todo {
            let _ = writeln!(text, "        {todo}");
        }
    }
    text
}
