//! `cargo bench-simulate PROJECT.xml [--participants 250,500,1000,2000] [--days 14] [--scheduled 1000000]`: what a
//! simulation costs, in one run, and whether that grows with the messages or with participants times days; and
//! whether finding what is due gets slower by what is scheduled far ahead.
//!
//! The project is the one of `tests/monitoring`; each size runs in a process of its own, for its memory.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use consentry::simulate::{Row, Script, Study};
use gateway::outbox::NewMessage;
use gateway::store::{Database, Step, Store};
use gateway::vault::Keys;
use gateway::{Clock, Stopwatch};
use jiff::tz::TimeZone;
use policy::contract::types::Purpose;
use tests::crowd::given;
use tests::{policies, workspace};

const PROJECT: &str = "study";

/// Times that finding what is due is measured.
const LOOKS: usize = 1000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let project = arguments.get(1).filter(|argument| !argument.starts_with("--"));
    let days = u32::try_from(given("--days", 14))?;
    if let Some(at) = arguments.iter().position(|argument| argument == "--one") {
        let participants = arguments.get(at + 1).context("how many?")?.parse()?;
        return one(Path::new(project.context("which project?")?), participants, days).await;
    }
    if let Some(project) = project {
        let sizes = arguments.iter().position(|argument| argument == "--participants");
        let sizes = sizes.and_then(|at| arguments.get(at + 1)).map_or("250,500,1000,2000", String::as_str);
        for size in sizes.split(',') {
            let status = Command::new(std::env::current_exe()?)
                .args([project, "--one", size, "--days", &days.to_string()])
                .status()?;
            if !status.success() {
                bail!("the simulation of {size} participants failed");
            }
        }
    }
    far_ahead(given("--scheduled", 1_000_000)).await
}

/// One size: its figures on one line.
#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
#[expect(clippy::cast_precision_loss, reason = "ratios for a person")]
async fn one(project: &Path, participants: u32, days: u32) -> Result<()> {
    let study = study(project, participants, days)?;
    let watch = Stopwatch::start();
    let simulation = consentry::simulate::run(study).await.map_err(|error| anyhow!("{error:?}"))?;
    let seconds = watch.elapsed().as_secs_f64();
    let sent = simulation.messages.iter().filter(|line| line.sent).count();
    let all = simulation.messages.len();
    println!(
        "{participants:5} participants, {days} days: {seconds:7.1} s, {all:7} messages ({sent} sent), {:5.2} ms a \
         message, {:6.0} messages a second, {:.0} other events a second, peak memory {} MB",
        1000.0 * seconds / all as f64,
        all as f64 / seconds,
        simulation.events as f64 / seconds,
        peak()? / 1024,
    );
    Ok(())
}

/// As in `tests/monitoring`, for many: patients come over three days, and one in ten does not answer.
fn study(project: &Path, participants: u32, days: u32) -> Result<Study> {
    let folder = workspace().join("tests/monitoring");
    let text = std::fs::read_to_string(folder.join("records.csv"))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("a header")?.split(',').collect();
    let like: Vec<&str> = lines.next().context("a patient")?.split(',').collect();
    let mut script = std::fs::read_to_string(folder.join("script.txt"))?;
    script.truncate(script.find("\n# 2 ").context("what everybody does")?);
    let mut rows = Vec::new();
    for nth in 1..=participants {
        let mut values: Vec<(String, String)> = Vec::new();
        for (column, value) in header.iter().zip(&like) {
            let value = match *column {
                "sim_at" | "record_id" => continue,
                "mobile" => format!("614915{nth:05}"),
                "mon_admission_date" => format!("2020-05-{:02}", 4 + nth % 3),
                _ => (*value).to_owned(),
            };
            values.push(((*column).to_owned(), value));
        }
        values.push(("registration_complete".into(), "2".into()));
        let time = jiff::civil::time(9, i8::try_from(nth % 60)?, 0, 0);
        rows.push(Row {
            at: Some((i64::from(nth % 3), time)),
            record: nth.to_string(),
            instrument: "registration".into(),
            event: None,
            instance: 1,
            values,
        });
        if nth % 10 == 0 {
            let _ = write!(
                script,
                "\nrecord {nth} never answers\nrecord {nth} answers consent after 45 minutes\n\
                 record {nth} answers ob_0 after 45 minutes"
            );
        }
    }
    Ok(Study {
        xml: std::fs::read_to_string(project)?,
        rows,
        script: Script::read("script", &script).map_err(|problems| anyhow!("{problems:?}"))?,
        settings: Some(std::fs::read_to_string(folder.join("settings.toml"))?),
        assumes: true,
        folder: PathBuf::from("."),
        policies: policies(),
        zone: TimeZone::get("Australia/Melbourne")?,
        from: "2020-05-04T09:00:00".parse()?,
        days,
    })
}

/// The most memory that this process ever held, in kilobytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak is told")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Finding what is due among ten thousand occasions far ahead, and among many more.
#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
async fn far_ahead(many: usize) -> Result<()> {
    let mut medians = Vec::new();
    for scheduled in [10_000, many] {
        let folder = tests::folder()?;
        let clock = Clock::stepped("2026-11-24T15:00:00Z".parse()?);
        let keys = Keys::read(&Keys::generate()?)?;
        let store = Store::open(&Database::Sqlite(folder.join("far.db")), &keys, clock.clone())?;
        let now = clock.seconds();
        for from in (0..scheduled).step_by(500) {
            let at = |nth: usize| {
                let later = now + 86_400 + u32::try_from(nth % 8_000_000).unwrap_or(0);
                NewMessage {
                    record: Some((nth / 30).to_string()),
                    ..NewMessage::about(PROJECT, format!("far/{nth}"), Purpose::Invitation, later)
                }
            };
            store.commit(Step::Plan((from..(from + 500).min(scheduled)).map(at).collect())).await?;
        }
        let due = |nth: usize| NewMessage::about(PROJECT, format!("due/{nth}"), Purpose::Invitation, now);
        store.commit(Step::Plan((0..100).map(due).collect())).await?;
        let mut times = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let watch = Stopwatch::start();
            let found = store.undecided(PROJECT, now, 16).await?;
            times.push(watch.elapsed());
            if found.len() != 16 {
                bail!("{} of 16 were found", found.len());
            }
        }
        times.sort_unstable();
        medians.push(times[LOOKS / 2]);
        println!(
            "{scheduled:8} scheduled far ahead: what is due is found in {:?} (median of {LOOKS})",
            times[LOOKS / 2]
        );
        std::fs::remove_dir_all(folder)?;
    }
    let ratio = medians[1].as_secs_f64() / medians[0].as_secs_f64();
    println!("that is {ratio:.2} times as long");
    Ok(())
}
