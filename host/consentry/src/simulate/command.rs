//! `consentry simulate`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, miette};

use super::{Script, Simulation, Study, report, rows, run};

/// What to simulate, and how to tell it.
#[derive(Debug, Args)]
pub struct Options {
    /// The project XML, as REDCap exports it
    #[arg(long, value_name = "FILE.xml")]
    pub project: PathBuf,
    /// The records, in the form of REDCap's import; a column `sim_at` ("day 2 09:00") says when staff save a row
    #[arg(long, value_name = "FILE.csv")]
    pub records: PathBuf,
    /// What participants and staff do, a line each; without it everybody answers after half an hour
    #[arg(long, value_name = "SCRIPT")]
    pub answers: Option<PathBuf>,
    /// The project's file; without it what it would have to say is assumed, and told
    #[arg(long, value_name = "FILE.toml")]
    pub settings: Option<PathBuf>,
    /// Takes approvals and consents for granted that the settings do not have; without settings it does so anyway
    #[arg(long)]
    pub assume: bool,
    /// When it begins, on REDCap's clock, such as 2026-11-30 or "2026-11-30 09:00"
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// How many days it lasts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// The zone of REDCap's clock, where the settings do not say
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub zone: String,
    /// The folder of the policies' components; by default `policies` beside this program
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    #[command(flatten)]
    pub form: Form,
    /// With the words of each message, which name whom they name
    #[arg(long)]
    pub texts: bool,
}

/// How it is told.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub struct Form {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// As a table, a message a row
    #[arg(long)]
    pub csv: bool,
    /// As a page with a calendar and a timeline
    #[arg(long)]
    pub html: bool,
}

/// Runs a simulation and tells what came of it.
pub async fn command(options: &Options, out: &mut impl Write) -> miette::Result<ExitCode> {
    let mut simulation = simulate(options).await?;
    if !options.texts {
        for line in &mut simulation.messages {
            line.text = None;
        }
    }
    let told = match &options.form {
        Form { json: true, .. } => serde_json::to_string_pretty(&simulation).into_diagnostic()? + "\n",
        Form { csv: true, .. } => report::csv(&simulation)?,
        Form { html: true, .. } => report::html(&simulation)?,
        _ => report::text(&simulation),
    };
    out.write_all(told.as_bytes()).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Reads what the options name, and runs it.
pub async fn simulate(options: &Options) -> miette::Result<Simulation> {
    run(study(options)?).await
}

/// What the options name.
pub fn study(options: &Options) -> miette::Result<Study> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| miette!("cannot read `{}`: {error}", path.display()))
    };
    let xml = read(&options.project)?;
    let (model, _) = redcap::odm::read_project(xml.as_bytes()).into_diagnostic()?;
    let rows = rows::read(&options.records, &model)?;
    let script = match &options.answers {
        Some(path) => script(path)?,
        None => Script::default(),
    };
    let zone =
        TimeZone::get(&options.zone).map_err(|_| miette!("there is no time zone `{}`", options.zone))?;
    let settings = options.settings.as_deref().map(read).transpose()?;
    let folder = options.settings.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
    let from = from(&options.from)
        .ok_or_else(|| miette!("`{}` is no time to begin at, such as `2026-11-30 09:00`", options.from))?;
    let policies = crate::demo::policies(options.policies.as_deref())?;
    let assumes = options.assume || settings.is_none();
    let days = options.days;
    Ok(Study { xml, rows, script, settings, assumes, folder, policies, zone, from, days })
}

/// Reads a script, or draws all that is wrong with it.
pub(crate) fn script(path: &Path) -> miette::Result<Script> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| miette!("cannot read `{name}`: {error}"))?;
    Script::read(&name, &text).map_err(told)
}

fn told(problems: Vec<crate::problem::Problem>) -> miette::Report {
    ScriptError { problems }.into()
}

/// Everything that is wrong with a script.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
#[error("the script has {} line{} that {} not understood", .problems.len(), if .problems.len() == 1 { "" } else { "s" }, if .problems.len() == 1 { "is" } else { "are" })]
struct ScriptError {
    #[related]
    problems: Vec<crate::problem::Problem>,
}

pub(crate) fn from(text: &str) -> Option<DateTime> {
    match text.parse::<Date>() {
        Ok(date) if text.len() <= 10 => Some(date.at(0, 0, 0, 0)),
        _ => text.replacen(' ', "T", 1).parse().ok(),
    }
}
