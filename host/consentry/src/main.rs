//! `consentry`: the messaging gateway between REDCap and Twilio.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use consentry::daemon::Daemon;
use consentry::operate::{self, ConfigFile};
use consentry::telemetry::{Format, Telemetry};
use consentry::{config, demo, language, plan, simulate};
use gateway::Clock;
use miette::IntoDiagnostic;
use policy::Engine;
use tracing::Level;

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
    /// Run a study before it starts, on virtual time: who would get what, when and why
    Simulate(simulate::Options),
    /// Write the messaging plan that an IRB asks for: every text, what makes it, and what decides
    Plan(plan::Options),
    /// REDCap's language: inspect a project, try its logic, its calculations and its texts
    #[command(subcommand)]
    Redcap(language::Command),
    #[command(flatten)]
    Operate(operate::Command),
}

#[tokio::main]
async fn main() -> miette::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve(options) => serve(&options.config).await,
        Command::Demo(options) => {
            let _telling = quietly(Level::ERROR).start().into_diagnostic()?;
            demo::run(options).await
        }
        Command::Simulate(options) => {
            let _telling = quietly(Level::ERROR).start().into_diagnostic()?;
            simulate::command(&options, &mut std::io::stdout()).await
        }
        Command::Plan(options) => {
            let _telling = quietly(Level::ERROR).start().into_diagnostic()?;
            plan::command(&options, &Clock::System, &mut std::io::stdout()).await
        }
        Command::Redcap(command) => language::run(&command, std::io::stdout().lock()),
        Command::Operate(command) => {
            let _telling = quietly(Level::INFO).start().into_diagnostic()?;
            operate::run(command, &Clock::System, &mut std::io::stdout()).await
        }
    }
}

/// How everything but the daemon tells what it does: what is asked for is on standard output, and this is not.
fn quietly(level: Level) -> Telemetry {
    Telemetry { format: Format::Text, level, traces: None }
}

async fn serve(path: &Path) -> miette::Result<ExitCode> {
    let engine = Arc::new(Engine::new().into_diagnostic()?);
    let config = config::read(path, &engine)?;
    let _telling = config.telemetry.clone().start().into_diagnostic()?;
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
    if let Some(address) = daemon.admin {
        tracing::info!(%address, "health and figures are at /readyz and /metrics");
    }
    tracing::info!(address = %daemon.address, "Consentry is at work");
    tokio::select! {
        asked = asked_to_end() => asked.into_diagnostic()?,
        error = daemon.ended() => return Err(error).into_diagnostic(),
    }
    tracing::info!("draining: nothing new is begun; who asks again does not wait");
    tokio::select! {
        drained = daemon.drain() => if drained.into_diagnostic()? {
            tracing::info!("drained; what waits is in the database");
        } else {
            tracing::warn!("stopped while something was on its way, which is looked for at Twilio");
        },
        asked = asked_to_end() => {
            asked.into_diagnostic()?;
            tracing::warn!("stopped at once; what was on its way is looked for at Twilio");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until the service manager, or somebody at the terminal, asks the daemon to end.
async fn asked_to_end() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
