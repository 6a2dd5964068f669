//! The binary as its users meet it: the demonstration's transcript, the log, the exports, bad configuration.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result};
use gateway::wording::digest;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{BEN, PATIENCE, Play, Stage};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::operations::told;

/// The program, built beside this test.
fn consentry() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test is not in a target folder")?;
    let program = folder.join("consentry");
    anyhow::ensure!(
        program.exists(),
        "`{}` is not there; `cargo build -p consentry` builds it",
        program.display()
    );
    Ok(program)
}

pub(crate) fn run(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(consentry()?).args(arguments).output()?)
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_demonstration_prints_its_story_and_ends_well() -> Result<()> {
    let policies = tests::policies().display().to_string();
    let output = run(&["demo", "--script", "--policies", &policies])?;
    let text = out(&output);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for promised in [
        "routing    contact",
        "template   words",
        "compliance allow",
        "fuel",
        "Hi Ben, this is the Northfield Sleep Study.",
        "segments, delivered",
        "completed, with",
        "the confirmation, by Twilio itself",
        "PARTICIPANT OPTED OUT",
        "the confirmation, by Consentry",
        "ledger verify: ok",
    ] {
        assert!(text.contains(promised), "the transcript lacks `{promised}`:\n{text}");
    }
    Ok(())
}

#[test]
fn somebody_elses_project_is_demonstrated_with_labelled_samples() -> Result<()> {
    let Ok(corpus) = std::env::var("CONSENTRY_CORPUS") else {
        println!("skipped: CONSENTRY_CORPUS is not set");
        return Ok(());
    };
    let project = format!("{corpus}/redcap-projects/rmh-covid-home-monitoring.xml");
    let policies = tests::policies().display().to_string();
    let output = run(&["demo", "--script", "--policies", &policies, "--project", &project])?;
    let text = out(&output);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for promised in ["SAMPLES, made for this demonstration", "PARTICIPANT OPTED OUT", "ledger verify: ok"] {
        assert!(text.contains(promised), "lacks `{promised}`: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_says_what_became_of_each_message_and_names_no_number() -> Result<()> {
    let stage = Stage::new().await?;
    let sent = stage.invite("sleep", "1").await?;
    stage.until(&sent, "delivered").await?;
    stage.invite("sleep", "4").await?;
    let config = stage.config.display().to_string();
    let text = out(&run(&["log", "--config", &config])?);
    assert!(text.contains("record 1: DELIVERED") && text.contains("record 4: SUPPRESSED"), "{text}");
    let one = out(&run(&["log", "--config", &config, "--participant", "4", "--json"])?);
    assert_eq!(one.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&one)?;
    assert_eq!(line["status"], "suppressed");
    for shown in [&text, &one] {
        assert!(!shown.contains("555012") && !shown.contains("Hi Ben"), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn opt_outs_are_exported_with_their_numbers_and_the_ledger_verifies_against_its_head() -> Result<()> {
    let stage = Stage::new().await?;
    stage.say(BEN, "STOP").await?;
    let config = stage.config.display().to_string();
    let csv = out(&run(&["opt-outs", "export", "--csv", "--config", &config])?);
    assert!(csv.starts_with("number,channel,project,opted_out_at,"), "{csv}");
    assert!(csv.contains(&format!("{BEN},sms,sleep,2026-11-24T15:00:00Z")), "{csv}");
    let verified = run(&["ledger", "verify", "--config", &config])?;
    assert!(verified.status.success());
    let text = out(&verified);
    let head = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let again = run(&["ledger", "verify", "--config", &config, "--head", &head])?;
    assert!(again.status.success());
    let other = format!("1:{}", "0".repeat(64));
    let wrong = run(&["ledger", "verify", "--config", &config, "--head", &other])?;
    assert!(!wrong.status.success());
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("does not hold the exported head"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_with_many_problems_is_told_all_of_them_at_once() -> Result<()> {
    let messages =
        "methods = [\"sms-link\", \"telegram\"]\ndefault-method = \"sms-link\"\nlanguge = \"en\"\n";
    let invitations = "[[invitation]]\nid = \"x\"\nsurvey = \"sleep_diary\"\nwhen = \"[enrolled = '1'\"\n";
    let mut play = Play { messages: messages.into(), invitations: invitations.into(), ..Play::default() };
    play.compliance += "quiet-form = \"21:00\"\n";
    let refused = Stage::dark(&[play]).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    for promised in
        ["telegram", "`languge`", "did you mean `language`?", "this condition cannot be read", "quiet-form"]
    {
        assert!(refused.contains(promised), "lacks `{promised}`: {refused}");
    }
    Ok(())
}

#[test]
fn what_is_not_a_project_is_told_with_its_line() -> Result<()> {
    let folder = tests::folder()?;
    let file = folder.join("not-a-project.xml");
    std::fs::write(&file, "<?xml version=\"1.0\"?>\n<html><body>Please log in</body></html>\n")?;
    let policies = tests::policies().display().to_string();
    let output =
        run(&["demo", "--script", "--policies", &policies, "--project", &file.display().to_string()])?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("line 2") && told.contains("ODM"), "{told}");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

#[tokio::test]
async fn a_wording_that_was_changed_is_held_and_its_new_digest_is_told() -> Result<()> {
    let mut play = Play::default();
    play.wordings[0].approved = false;
    let text = play.wordings[0].text.clone();
    let stage = Stage::with(&[play]).await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!(line.status, "held");
    assert!(line.reason.unwrap_or_default().contains("`invitation`"));
    let notes = tests::read(&stage.config)?.notes;
    assert!(notes.iter().any(|note| note.contains(&digest("en", &text))), "{notes:?}");
    Ok(())
}

#[tokio::test]
async fn the_operator_stops_a_project_by_its_name_and_no_other_name_stops_anything() -> Result<()> {
    let stage = Stage::new().await?;
    let config = stage.config.display().to_string();
    let mistyped = run(&["stop", "slep", "--why", "a test", "--config", &config])?;
    assert!(!mistyped.status.success());
    let refused = String::from_utf8_lossy(&mistyped.stderr).into_owned();
    assert!(refused.contains("there is no project `slep`") && refused.contains("sleep"), "{refused}");
    // What changes something is asked on the stage's clock, or the machine's would be in the ledger.
    assert_eq!(told(&stage, &["stop", "sleep", "--why", "a test"]).await?.1, "stopped: `sleep`\n");
    let id = stage.invite("sleep", "1").await?;
    assert_eq!((stage.line(&id).await?.status.as_str(), stage.received(BEN)), ("deferred", 0));
    told(&stage, &["resume", "sleep"]).await?;
    stage.later(60).await?;
    assert_eq!(stage.received(BEN), 1);
    Ok(())
}

/// A daemon of its own process, killed when the test ends, and the lines of its log.
struct Served {
    daemon: Child,
    lines: UnboundedReceiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Served {
    fn start(config: &str) -> Result<Served> {
        let mut daemon =
            Command::new(consentry()?).args(["serve", "--config", config]).stderr(Stdio::piped()).spawn()?;
        let log = BufReader::new(daemon.stderr.take().context("it was asked for")?);
        let (line, lines) = unbounded_channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|said| line.send(said)));
        Ok(Served { daemon, lines })
    }

    /// The next line of its log that says this.
    async fn logged(&mut self, says: &str) -> Result<serde_json::Value> {
        let found = async {
            loop {
                let line =
                    self.lines.recv().await.with_context(|| format!("it ended before it said `{says}`"))?;
                let line: serde_json::Value = serde_json::from_str(&line).with_context(|| line.clone())?;
                if line["message"].as_str().is_some_and(|message| message.contains(says)) {
                    return Ok(line);
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await?
    }
}

#[tokio::test]
async fn a_daemon_says_that_it_is_ready_and_drains_when_it_is_asked_to_end() -> Result<()> {
    let stage = Stage::dark(&[Play::default()]).await?;
    let config = stage.folder().join("served.toml");
    let text = std::fs::read_to_string(&stage.config)?.replace("consentry.db", "served.db");
    std::fs::write(&config, format!("admin-listen = \"127.0.0.1:0\"\n{text}[log]\nformat = \"json\"\n"))?;
    let mut served = Served::start(&config.display().to_string())?;
    let told = served.logged("health and figures").await?;
    let admin = told["address"].as_str().context("the log names the address")?.to_owned();
    served.logged("Consentry is at work").await?;
    let client = reqwest::Client::new();
    let ready = async {
        while !client.get(format!("http://{admin}/readyz")).send().await?.status().is_success() {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, ready).await??;
    let figures = client.get(format!("http://{admin}/metrics")).send().await?.text().await?;
    assert!(figures.contains("consentry_balance_known{project=\"sleep\"} 1"), "{figures}");
    let id = Pid::from_raw(i32::try_from(served.daemon.id())?);
    kill(id, Signal::SIGTERM)?;
    served.logged("drained; what waits").await?;
    assert!(served.daemon.wait()?.success());
    Ok(())
}

#[tokio::test]
async fn a_held_message_is_a_task_and_is_decided_again_when_it_is_released() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.invite("sleep", "5").await?;
    assert_eq!(stage.line(&id).await?.status, "held");
    let config = stage.config.display().to_string();
    let tasks = out(&run(&["tasks", "list", "--config", &config])?);
    assert!(tasks.contains("held-message") && tasks.contains("no consent"), "{tasks}");
    let consent = [("text_consent", "1"), ("text_consent_date", "2026-11-24")];
    stage.sandbox.redcap().save_form("5", "enrolment", None, 1, &consent).await;
    told(&stage, &["release", &id, "--why", "consent was documented"]).await?;
    stage.settle().await?;
    stage.until(&id, "delivered").await?;
    assert!(out(&run(&["tasks", "list", "--config", &config])?).is_empty());
    assert!(told(&stage, &["release", &id, "--why", "again"]).await.is_err());
    Ok(())
}
