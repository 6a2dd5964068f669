//! `consentry plan`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gateway::Clock;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, miette};

use super::{Plan, html, markdown};
use crate::simulate::{self, Script, Study};

/// Of what to make a plan, and how to write it.
#[derive(Debug, Args)]
pub struct Options {
    /// The project XML, as REDCap exports it
    #[arg(long, value_name = "FILE.xml")]
    pub project: PathBuf,
    /// The project's file; without it what it would have to say is assumed, and told
    #[arg(long, value_name = "FILE.toml")]
    pub settings: Option<PathBuf>,
    /// Records to simulate the calendar with, in the form of REDCap's import
    #[arg(long, value_name = "FILE.csv", requires_all = ["from", "days"])]
    pub records: Option<PathBuf>,
    /// When the simulation begins, on REDCap's clock, such as 2026-11-30 or "2026-11-30 09:00"
    #[arg(long, value_name = "TIME", requires = "records")]
    pub from: Option<String>,
    /// How many days it lasts
    #[arg(long, value_name = "N", requires = "records", value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: Option<u32>,
    /// What participants and staff do in it, a line each; without it everybody answers after half an hour
    #[arg(long, value_name = "SCRIPT", requires = "records")]
    pub answers: Option<PathBuf>,
    /// As a page that prints well
    #[arg(long, conflicts_with = "markdown")]
    pub html: bool,
    /// As Markdown, which is the default
    #[arg(long)]
    pub markdown: bool,
    /// The zone of REDCap's clock, where the settings do not say
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub zone: String,
    /// The folder of the policies' components; by default `policies` beside this program
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
}

/// Makes a plan and writes it.
pub async fn command(options: &Options, clock: &Clock, out: &mut impl Write) -> miette::Result<ExitCode> {
    let plan = plan(options, clock).await?;
    let written = if options.html { html(&plan)? } else { markdown(&plan)? };
    out.write_all(written.as_bytes()).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Reads what the options name, and makes a plan of it.
async fn plan(options: &Options, clock: &Clock) -> miette::Result<Plan> {
    let mut study = study(options)?;
    let designed = simulate::designed(&study)?;
    // The plan says what is approved and what is not; the calendar shows what it would be with everything approved.
    study.assumes = true;
    let simulation = if study.days > 0 { Some(simulate::run(study).await?) } else { None };
    Ok(Plan::of(&designed, simulation.as_ref(), clock.seconds()))
}

/// What the options name; without records it lasts no day.
fn study(options: &Options) -> miette::Result<Study> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| miette!("cannot read `{}`: {error}", path.display()))
    };
    let xml = read(&options.project)?;
    let (model, _) = redcap::odm::read_project(xml.as_bytes()).into_diagnostic()?;
    let rows = match &options.records {
        Some(path) => simulate::read_rows(path, &model)?,
        None => vec![],
    };
    let script = match &options.answers {
        Some(path) => simulate::read_script(path)?,
        None => Script::default(),
    };
    let from = match &options.from {
        None => DateTime::default(),
        Some(from) => simulate::beginning(from)
            .ok_or_else(|| miette!("`{from}` is no time to begin at, such as `2026-11-30 09:00`"))?,
    };
    let zone =
        TimeZone::get(&options.zone).map_err(|_| miette!("there is no time zone `{}`", options.zone))?;
    let settings = options.settings.as_deref().map(read).transpose()?;
    let folder = options.settings.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
    let policies = crate::demo::policies(options.policies.as_deref())?;
    let days = options.days.unwrap_or(0);
    let assumes = false;
    Ok(Study { xml, rows, script, settings, assumes, folder, policies, zone, from, days })
}
