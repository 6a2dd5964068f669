//! `cargo soak [--messages 200000] [--minutes 10]`: whether the daemon's memory stays flat.
//!
//! The daemon is the real one, a process of its own. The sandbox is in this process, and keeps it busy at full
//! speed: people are enrolled as fast as their invitations leave, Twilio reports on each, and each is cleaned up.
//! It goes on until both have been reached, and ends with 1 if the daemon's memory at the end is more than 1.3
//! times what it was when it had warmed up.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway::{Clock, Stopwatch};
use tests::crowd::{Crowd, PEOPLE, Project, given};
use tests::{privacy, workspace};

/// Invitations of each person.
const WORDINGS: usize = 40;

/// People whose invitations may be on their way at once.
const ENROLLED: usize = 12;

/// How much more than after its warm-up the daemon may hold at the end.
const GROWTH: f64 = 1.3;

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--privacy") {
        return told(given("--messages", 10_000), given("--calls", 500)).await;
    }
    let (messages, minutes) = (given("--messages", 200_000), given("--minutes", 10));
    soak(messages, Duration::from_secs(minutes as u64 * 60)).await
}

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
async fn told(messages: usize, calls: usize) -> Result<()> {
    for keep_opt_outs in [true, false] {
        println!("{messages} messages and {calls} calls, keep-opt-outs = {keep_opt_outs}:");
        let left = privacy::run(messages, calls, keep_opt_outs).await?;
        println!(
            "  {} messages and {} calls were sent; {} texts came in",
            left.sent, left.called, left.came_in
        );
        println!("  Twilio holds {:?}", left.kept);
        ensure!(left.is_private(keep_opt_outs), "Twilio holds more than it should");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are for the person at the terminal")]
async fn soak(messages: usize, at_least: Duration) -> Result<()> {
    ensure!(messages <= PEOPLE * WORDINGS, "at most {} messages", PEOPLE * WORDINGS);
    // More people than messages are asked for, so that it goes on at full speed until the time is over.
    let people = PEOPLE.min(messages.div_ceil(WORDINGS) + 100 * usize::try_from(at_least.as_secs() / 60)?);
    let project = Project { wordings: WORDINGS, invites: true, ..Project::default() };
    let crowd = Crowd::gather(people, vec![project], Clock::System).await?;
    crowd.sandbox.handset().keep_texts(false);
    let at = format!("127.0.0.1:{}", free_port()?);
    let config = crowd.configure("consentry", "consentry.db", &at, &crowd.projects)?;
    crowd
        .sandbox
        .set_data_entry_trigger(&format!("http://{at}/redcap/{}/trigger/secret", crowd.projects[0].name));
    let daemon = Daemon::start(&config)?;
    let asked = || crowd.sandbox.twilio().creates_asked();

    let watch = Stopwatch::start();
    println!("{:>8} {:>10} {:>8} {:>10}", "seconds", "messages", "each s", "RSS in MB");
    let row = |megabytes: f64| {
        let seconds = watch.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 messages")]
        let each = asked() as f64 / seconds;
        println!("{seconds:>8.0} {:>10} {each:>8.0} {megabytes:>10.1}", asked());
    };
    row(daemon.megabytes()?);
    let mut enrolled = 0;
    let mut minute = 0;
    let mut warm = None;
    let warmed_up = (messages as u64 / 10).max(1);
    while (asked() < messages as u64 || watch.elapsed() < at_least) && enrolled < people {
        let through = usize::try_from(asked())? / WORDINGS;
        if enrolled < through + ENROLLED {
            enrolled += 1;
            enrol(&crowd, enrolled, true).await;
            // Whose invitations have left is enrolled no more, so that a sweep does not find them all again.
            if let Some(gone) = through.checked_sub(2 * ENROLLED).filter(|gone| *gone > 0) {
                enrol(&crowd, gone, false).await;
            }
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if warm.is_none() && asked() >= warmed_up {
            warm = Some(daemon.megabytes()?);
        }
        if watch.elapsed().as_secs() / 60 > minute {
            minute += 1;
            row(daemon.megabytes()?);
        }
    }
    let end = daemon.megabytes()?;
    row(end);
    let warm = warm.context("it warmed up")?;
    println!("after a tenth of the messages {warm:.1} MB, at the end {end:.1} MB: {:.2} times", end / warm);
    ensure!(end <= GROWTH * warm, "the memory grows");
    Ok(())
}

/// A person is enrolled, or not any more; REDCap tells the daemon.
async fn enrol(crowd: &Crowd, person: usize, enrolled: bool) {
    let value = if enrolled { "1" } else { "0" };
    crowd.sandbox.redcap().save_form(&person.to_string(), "enrolment", None, 1, &[("enrolled", value)]).await;
}

/// The daemon, which ends with us.
struct Daemon(Child);

impl Daemon {
    fn start(config: &PathBuf) -> Result<Daemon> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
        let mut child = Command::new(target.join("debug/consentry"))
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the daemon; `cargo build --workspace --bins` builds it")?;
        // What it says is read, so that it never waits for us; what it complains of is shown.
        let said = BufReader::new(child.stderr.take().context("what it says")?);
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| complain(&line)));
        Ok(Daemon(child))
    }

    /// Its resident memory.
    fn megabytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the daemon is alive")?;
        let kilobytes: f64 = resident.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes / 1024.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::print_stderr, reason = "the daemon's complaints are for the person at the terminal")]
fn complain(line: &str) {
    if line.contains("ERROR") || line.contains("WARN") || line.contains("panicked") {
        eprintln!("{line}");
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
