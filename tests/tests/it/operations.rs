//! What an operator sees and does: the story of a message, health, figures, costs, what Twilio keeps, stops,
//! backup and restore, keys. The command line is asked in this process, on the stage's clock.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use consentry::{admin, config, costs, operate, purge, telemetry};
use gateway::Gateway;
use gateway::store::{Committed, Contact, Database, Lease, Step, Store};
use gateway::vault::Keys;
use reqwest::StatusCode;
use sandbox::{CallbackFault, CreateFault};
use serde_json::Value;
use tests::{ANA, BEN, PATIENCE, Play, Stage};
use tokio::net::TcpListener;
use twilio::{CreateMessage, MessageBody, PhoneNumber, Secret, Sender};

/// What a command prints, or what it says is wrong.
pub(crate) async fn told(stage: &Stage, arguments: &[&str]) -> Result<(ExitCode, String)> {
    let config = stage.config.display().to_string();
    told_of(stage, &[arguments, &["--config", &config]].concat()).await
}

async fn told_of(stage: &Stage, arguments: &[&str]) -> Result<(ExitCode, String)> {
    let mut out = Vec::new();
    let ended = operate::run(operate::read(arguments)?, &stage.clock, &mut out).await;
    let ended = ended.map_err(|report| anyhow!("{report:?}"))?;
    Ok((ended, String::from_utf8(out)?))
}

/// What a command says is wrong.
pub(crate) async fn refused(stage: &Stage, arguments: &[&str]) -> String {
    match told(stage, arguments).await {
        Ok((_, text)) => format!("it was not refused: {text}"),
        // The lines of a report are broken to the width of a terminal.
        Err(error) => {
            let report = error.to_string();
            report.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
        }
    }
}

/// A number or words of a participant are nowhere in what is shown.
pub(crate) fn names_nobody(text: &str) {
    for private in ["555012", "5550121", "Hi Ben", "your survey: http"] {
        assert!(!text.contains(private), "`{private}` is in {text}");
    }
}

pub(crate) fn holds(text: &str, promised: &[&str]) {
    for promised in promised {
        assert!(text.contains(promised), "lacks `{promised}`:\n{text}");
    }
}

#[tokio::test]
async fn the_story_of_a_message_is_told_from_its_occasion_to_its_deletion() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    for seconds in [0, 60, 300, 1800, 7200] {
        stage.later(seconds).await?;
    }
    let (_, text) = told(&stage, &["explain", &id, "--zone", "America/New_York"]).await?;
    holds(
        &text,
        &[
            "an invitation to `sleep_diary` for record 1, is DELIVERED.",
            "2026-11-24 10:00:00 EST  There was a reason for an invitation about record 1",
            "The routing policy",
            "The template policy",
            "answered: allow",
            "asked again just before sending",
            "It was allowed, and waits for its turn, in the approved words of `invitation` and `opt-out`, with the consent of",
            "The request to Twilio was about to leave",
            "Twilio took it, as SM",
            "Twilio reported `delivered`",
            "Nothing more is expected of it: delivered",
            "Its words are gone at Twilio",
            "Its record is gone at Twilio",
            "Twilio charged 0.0",
        ],
    );
    names_nobody(&text);
    let (_, json) = told(&stage, &["explain", &id, "--json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    assert_eq!(json["events"][0]["kind"], "occasion");
    names_nobody(&json.to_string());
    holds(
        &refused(&stage, &["explain", "01NOBODY"]).await,
        &["there is no message `01NOBODY`", "consentry log"],
    );
    Ok(())
}

#[tokio::test]
async fn the_story_of_an_opt_out_is_told_from_both_sides() -> Result<()> {
    let stage = Stage::new().await?;
    let said = stage.say(BEN, "STOP").await?;
    let id = stage.invite("sleep", "1").await?;
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(&text, &["is SUPPRESSED.", "PARTICIPANT OPTED OUT", "It is not sent: "]);
    let (_, inbound) = told(&stage, &["explain", &said.sid]).await?;
    holds(
        &inbound,
        &[
            "This is a text that a participant sent.",
            "A text came in that Twilio took for STOP, and answered",
            "An opt-out from `sleep` was written, known from: keyword",
            "It was understood as: stop",
        ],
    );
    names_nobody(&(text + &inbound));
    Ok(())
}

#[tokio::test]
async fn a_message_that_nobody_knows_of_is_settled_by_a_person() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(1, CreateFault::Error500NotSent);
    let id = stage.invite("sleep", "1").await?;
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(&text, &["is UNKNOWN.", "Nobody knows whether it was sent", "It is never sent again by itself."]);
    for seconds in [5, 25, 90, 480, 3000] {
        stage.later(seconds).await?;
    }
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(&text, &["A person must find out, and `consentry settle` it.", "A person is asked: nobody knows"]);
    assert!(operate::read(&["settle", &id, "--why", "x"]).is_err(), "one of the three must be said");
    assert!(operate::read(&["settle", &id, "--sent", "--not-sent", "--why", "x"]).is_err());
    told(&stage, &["settle", &id, "--send-again", "--why", "J. looked in Twilio's log"]).await?;
    stage.settle().await?;
    stage.until(&id, "delivered").await?;
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(
        &text,
        &[
            "A person found out: it was not sent, and is decided again (J. looked in Twilio's log)",
            "DELIVERED",
        ],
    );
    assert_eq!(stage.received(BEN), 1);
    assert!(stage.gateway.store.tasks().await?.is_empty());
    holds(&refused(&stage, &["settle", &id, "--sent", "--why", "x"]).await, &["of which nobody knows"]);
    Ok(())
}

#[tokio::test]
async fn a_message_that_has_not_left_is_held_and_released_by_hand() -> Result<()> {
    let stage = Stage::new().await?;
    told(&stage, &["stop", "--why", "the fire alarm"]).await?;
    let id = stage.invite("sleep", "1").await?;
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(&text, &["Nothing of any project is sent since", "the fire alarm"]);
    told(&stage, &["hold", &id, "--why", "J. wants to read it"]).await?;
    told(&stage, &["resume"]).await?;
    stage.later(120).await?;
    assert_eq!(stage.received(BEN), 0);
    told(&stage, &["release", &id, "--why", "it is fine"]).await?;
    stage.settle().await?;
    stage.until(&id, "delivered").await?;
    let (_, text) = told(&stage, &["explain", &id]).await?;
    holds(&text, &["A person held it: J. wants to read it", "A person released it: it is fine"]);
    holds(&refused(&stage, &["hold", &id, "--why", "late"]).await, &["that could still be held"]);
    Ok(())
}

#[tokio::test]
async fn what_twilios_errors_stopped_is_listed_and_lifted_by_its_scope() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.twilio().set_unreachable(BEN, 30007);
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "undelivered").await?;
    let (_, stops) = told(&stage, &["stops", "list", "--json"]).await?;
    let stop: Value = serde_json::from_str(stops.lines().next().context("something is stopped")?)?;
    let scope = stop["scope"].as_str().unwrap_or_default().to_owned();
    assert!(scope.starts_with("wording/sha256:"), "{stops}");
    let other = stage.invite("sleep", "2").await?;
    assert_eq!(stage.line(&other).await?.rule.as_deref(), Some("floor.wording"));
    holds(&refused(&stage, &["resume", "--scope", "wordings"]).await, &["there is no scope `wordings`"]);
    holds(&refused(&stage, &["resume", "--scope", "wording/other"]).await, &["nothing was stopped"]);
    assert!(operate::read(&["resume", "sleep", "--scope", &scope]).is_err(), "one or the other");
    let (_, resumed) = told(&stage, &["resume", "--scope", &scope, "--why", "J. reworded it"]).await?;
    assert_eq!(resumed, format!("sending again: `{scope}`\n"));
    // What was held because of it is decided again.
    stage.settle().await?;
    assert_eq!(stage.received(ANA), 1);
    let (_, tasks) = told(&stage, &["tasks", "list", "--json"]).await?;
    assert!(!tasks.contains("stopped-wording"), "{tasks}");
    Ok(())
}

/// The operators' address of a stage.
async fn admin(stage: &Stage) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = admin::router(stage.gateway.clone(), telemetry::prometheus()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn ready(url: &str) -> Result<(StatusCode, Vec<String>)> {
    let answer = reqwest::Client::new().get(format!("{url}/readyz")).send().await?;
    let status = answer.status();
    let said: Value = answer.json().await?;
    assert_eq!(said["ready"], status == StatusCode::OK);
    let reasons = said["reasons"].as_array().cloned().unwrap_or_default();
    Ok((status, reasons.iter().filter_map(|reason| reason["what"].as_str().map(str::to_owned)).collect()))
}

#[tokio::test]
async fn a_daemon_says_why_it_is_not_ready() -> Result<()> {
    let stage = Stage::dark(&[Play::default()]).await?;
    let url = admin(&stage).await?;
    let alive = reqwest::Client::new().get(format!("{url}/healthz")).send().await?;
    assert_eq!(alive.status(), StatusCode::OK);
    let (status, reasons) = ready(&url).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reasons, ["redcap", "inbound", "account"]);
    stage.gateway.sweep().await;
    stage.settle().await?;
    assert_eq!(ready(&url).await?, (StatusCode::OK, vec![]));
    stage.sandbox.twilio().set_balance(0.0);
    stage.gateway.sweep().await;
    assert_eq!(ready(&url).await?.1, ["account"]);
    stage.sandbox.twilio().set_balance(20.0);
    stage.gateway.sweep().await;
    stage.settle().await?;
    stage.clock.step(stage.clock.now() + Duration::from_secs(901));
    assert_eq!(ready(&url).await?.1, ["inbound"]);
    stage.gateway.drain();
    assert_eq!(ready(&url).await?.1, ["draining", "inbound"]);
    Ok(())
}

#[tokio::test]
async fn the_figures_tell_how_much_there_is_of_what_and_nothing_about_anybody() -> Result<()> {
    let play = Play { name: "figures".into(), ..Play::default() };
    let stage = Stage::with(&[play]).await?;
    let url = admin(&stage).await?;
    let id = stage.invite("figures", "1").await?;
    stage.until(&id, "delivered").await?;
    stage.invite("figures", "5").await?;
    stage.say(BEN, "hello there").await?;
    let scraped = reqwest::Client::new().get(format!("{url}/metrics")).send().await?.text().await?;
    holds(
        &scraped,
        &[
            "consentry_sends_total{project=\"figures\",outcome=\"accepted\"} 1",
            "consentry_queue{project=\"figures\",state=\"held\"} 1",
            "consentry_balance{project=\"figures\",currency=\"USD\"}",
            "consentry_balance_known{project=\"figures\"} 1",
            "consentry_inbound_swept_seconds{project=\"figures\"} 0",
            "consentry_send_seconds_count",
            "consentry_twilio_request_seconds_count{operation=\"create-message\"}",
            "consentry_decision_fuel_count{policy=\"compliance\"}",
            "consentry_verdicts_total{policy=\"compliance\",answer=\"allow\"",
            "consentry_twilio_kept{kind=\"message\"}",
            "consentry_tasks{kind=\"held-message\"}",
            "consentry_stopped{kind=\"all\"}",
            "consentry_ledger_rows",
            "consentry_leases_held{kind=\"sender\"}",
            "consentry_signatures_rejected_total",
        ],
    );
    names_nobody(&scraped);
    for private in ["+1617", id.as_str(), "sleep_diary", "hello"] {
        assert!(!scraped.contains(private), "`{private}` is in {scraped}");
    }
    Ok(())
}

/// A text of an older system's, from the project's number.
async fn older(stage: &Stage, to: &str) -> Result<String> {
    let project = &stage.gateway.projects["sleep"];
    let text = CreateMessage {
        to: PhoneNumber::from_e164(to)?,
        from: Sender::Number(project.account.number.clone()),
        body: MessageBody::new("An older system wrote this."),
        status_callback: None,
        validity_period: None,
        smart_encoded: false,
    };
    Ok(project.account.client.create_message(&text).await?.sid)
}

#[tokio::test]
async fn what_an_older_system_left_at_twilio_is_purged_and_nothing_else() -> Result<()> {
    let stage = Stage::dark(&[Play::default()]).await?;
    let first = older(&stage, BEN).await?;
    older(&stage, ANA).await?;
    stage.sandbox.handset().say_quietly(BEN, "my answer is 4");
    stage.sandbox.handset().say_quietly(ANA, "STOP");
    let project = &stage.gateway.projects["sleep"];
    let settled = async {
        while !project.account.client.fetch_message(&first).await?.status.is_final() {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, settled).await??;
    holds(
        &refused(&stage, &["purge", "sleep"]).await,
        &["before the gateway has read it", "start the daemon"],
    );
    // Two days later Consentry is there, and does not know of them.
    stage.clock.step(stage.clock.now() + Duration::from_hours(48));
    stage.gateway.sweep().await;
    stage.settle().await?;
    stage.sandbox.faults().next_creates(1, CreateFault::Error500ButSent);
    stage.sandbox.faults().next_callbacks(1, CallbackFault::Drop);
    let doubted = stage.invite("sleep", "1").await?;
    assert_eq!(stage.line(&doubted).await?.status, "unknown");
    let (_, told_first) = told(&stage, &["purge", "sleep"]).await?;
    holds(&told_first, &["nothing was deleted; --yes deletes"]);
    let left = purge::look(project, &stage.gateway.store, stage.clock.now()).await?;
    assert_eq!(
        (left.sent, left.came_in, left.kept),
        (1, 0, 1),
        "Ben's wait until his message is found: {left:?}"
    );
    assert_eq!((left.in_doubt, left.not_meant), (2, 1), "{left:?}");
    stage.later(5).await?;
    stage.until(&doubted, "delivered").await?;
    let before = stage.sandbox.twilio().messages_kept();
    let (ended, text) = told(&stage, &["purge", "sleep", "--yes"]).await?;
    assert_eq!(ended, ExitCode::SUCCESS, "{text}");
    holds(&text, &["2  texts that were sent", "1  texts that came in", "deleted: 3"]);
    assert_eq!(before - stage.sandbox.twilio().messages_kept(), 3);
    assert_eq!(stage.sandbox.twilio().kept().stop_or_start, 1);
    Ok(())
}

#[tokio::test]
async fn privacy_is_told_in_words_and_with_numbers_of_what_is_there() -> Result<()> {
    let mut play = Play::default();
    play.messages += "retention-days = 400\n";
    let stage = Stage::with(&[play]).await?;
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    stage.say(ANA, "STOP").await?;
    stage.clock.step(stage.clock.now() + Duration::from_secs(59));
    let (_, text) = told(&stage, &["privacy"]).await?;
    holds(
        &text,
        &[
            "The project `sleep`",
            "1 text that was sent, the oldest for 0 minutes",
            "can be read there too: 1 now",
            "attested by: a test",
            "internal logs, for 400 days",
            "up to 30 days after a deletion",
            "for up to 120 days",
            "400 days after its end a message's words, number and answers are destroyed here too",
            "it has noted 0 for this account",
        ],
    );
    names_nobody(&text);
    Ok(())
}

#[tokio::test]
async fn what_twilio_keeps_for_too_long_is_an_alarm_once_a_day() -> Result<()> {
    let mut play = Play::default();
    play.twilio = format!("kept-alarm-hours = 2\n{}", play.twilio);
    let stage = Stage::with(&[play]).await?;
    stage.sandbox.twilio().set_deletable_after(jiff::SignedDuration::from_hours(72));
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    stage.later(3600).await?;
    stage.gateway.sweep().await;
    assert!(stage.gateway.store.tasks().await?.is_empty());
    for _ in 0..2 {
        stage.later(3600).await?;
        stage.gateway.sweep().await;
    }
    let tasks = stage.gateway.store.tasks().await?;
    assert_eq!(
        tasks.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(),
        ["kept-at-twilio"],
        "{tasks:?}"
    );
    Ok(())
}

#[tokio::test]
async fn costs_are_what_twilio_charged() -> Result<()> {
    let stage = Stage::new().await?;
    for record in ["1", "2"] {
        let id = stage.invite("sleep", record).await?;
        stage.until(&id, "delivered").await?;
    }
    for seconds in [0, 60, 300, 1800, 7200] {
        stage.later(seconds).await?;
    }
    stage.sandbox.faults().next_creates(1, CreateFault::Error500NotSent);
    stage.invite("sleep", "1").await?;
    let lines = costs::lines(&stage.gateway.store, None, stage.clock.now(), 2).await?;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((line.month.as_str(), line.messages, line.not_priced), ("2026-11", 3, 1), "{line:?}");
    // The sandbox charges 0.0083 a segment.
    let mut segments = 0;
    for line in stage.lines().await?.iter().filter(|line| line.status == "delivered") {
        segments += i64::from(line.segments.unwrap_or(0));
    }
    assert_eq!(line.cost.get("USD"), Some(&twilio::decimal(segments * 8300)), "{line:?}");
    let (_, text) = told(&stage, &["costs", "--project", "sleep"]).await?;
    holds(&text, &["2026-11  sleep: 3 messages", "USD; Twilio has not told the price of 1 yet"]);
    holds(&refused(&stage, &["costs", "--project", "slep"]).await, &["there is no project `slep`"]);
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_is_drained_ends_what_is_on_its_way_and_begins_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    stage.sandbox.faults().next_creates(1, CreateFault::AnswerWhenReleased);
    let id = stage.gateway.invite("sleep", "1", "sleep_diary", None).await?;
    let running = tokio::spawn(stage.gateway.clone().run());
    stage.until(&id, "submitting").await?;
    stage.gateway.drain();
    let later = stage.gateway.invite("sleep", "2", "sleep_diary", None).await?;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "it waits for Twilio's answer");
    stage.sandbox.faults().release();
    tokio::time::timeout(PATIENCE, running).await??;
    assert_ne!(stage.line(&id).await?.status, "submitting");
    assert_eq!(stage.line(&later).await?.status, "planned");
    stage.gateway.leave().await?;
    let next = Step::Lease { name: "schedule/sleep".into(), holder: "next".into(), until: u32::MAX >> 1 };
    let leased = stage.gateway.store.commit(next).await?;
    assert!(matches!(leased, Committed::Leased(Lease { .. })), "its leases are free: {leased:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_sent_since_the_backup_is_not_sent_again_after_a_restore() -> Result<()> {
    let stage = Stage::new().await?;
    told(&stage, &["stop", "--why", "before the backup"]).await?;
    let first = stage.invite("sleep", "1").await?;
    let backup = stage.folder().join("backup.db");
    let file = backup.display().to_string();
    holds(&told(&stage, &["backup", &file]).await?.1, &["as it was at 2026-11-24T15:00:00Z"]);
    holds(&refused(&stage, &["backup", &file]).await, &["there is a file already"]);
    told(&stage, &["resume"]).await?;
    stage.later(120).await?;
    stage.until(&first, "delivered").await?;
    let second = stage.invite("sleep", "2").await?;
    stage.until(&second, "delivered").await?;
    stage.gateway.drain();

    // The database is lost, and the backup is put in its place.
    let restored = stage.folder().join("restored.toml");
    std::fs::write(&restored, std::fs::read_to_string(&stage.config)?.replace("consentry.db", "backup.db"))?;
    let path = restored.display().to_string();
    let since = ["restored", "--since", "2026-11-24T15:00:00Z", "--config", &path];
    told_of(&stage, &since).await?;
    let read = tests::read(&restored)?;
    let store = Store::open(&read.database, &read.keys, stage.clock.clone())?;
    let gateway = Arc::new(Gateway::new(read.projects, store, stage.clock.clone(), &stage.url)?);
    for _ in 0..5 {
        gateway.sweep().await;
        gateway.settle().await?;
        stage.clock.step(stage.clock.now() + Duration::from_mins(10));
    }
    let held = gateway.store.message(&first).await?.context("it is in the backup")?;
    assert_eq!(held.state.name(), "held");
    assert_eq!((stage.received(BEN), stage.received(ANA)), (1, 1));
    assert!(gateway.store.verify(None).await?.is_ok());
    Ok(())
}

#[tokio::test]
async fn keys_are_added_and_rotated_and_everything_still_opens() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    stage.say(ANA, "STOP").await?;
    let file = stage.folder().join("keys.txt");
    let old = std::fs::read_to_string(&file)?;
    let (_, both) = told_of(&stage, &["keys", "add", &file.display().to_string()]).await?;
    assert!(both.starts_with(&old) && Keys::read(&both)?.newest() != Keys::read(&old)?.newest());
    std::fs::write(&file, &both)?;
    let head = stage.gateway.store.verify(None).await??;
    // A daemon that starts wraps the database's keys under the new one; then the old one is not needed.
    told(&stage, &["ledger", "verify"]).await?;
    let new: Vec<_> = both.lines().filter(|line| !old.contains(line)).collect();
    let new = new.join(
        "
",
    );
    std::fs::write(&file, &new)?;
    holds(&told(&stage, &["opt-outs", "export", "--csv"]).await?.1, &[ANA]);
    std::fs::write(&file, &old)?;
    holds(&refused(&stage, &["ledger", "verify"]).await, &["is not in the key file"]);
    std::fs::write(&file, &new)?;
    holds(&refused(&stage, &["keys", "rotate"]).await, &["a daemon is at work", "stop every daemon"]);
    stage.gateway.leave().await?;
    let (_, rotated) = told(&stage, &["keys", "rotate"]).await?;
    assert!(
        rotated.ends_with("values are sealed under a new key of the database\n")
            && !rotated.starts_with("0 ")
    );
    let read = tests::read(&stage.config)?;
    let store = Store::open(&read.database, &read.keys, stage.clock.clone())?;
    assert_eq!(store.verify(Some(head)).await?.map(|_| ()), Ok(()));
    assert_eq!(store.opt_outs(&Contact::Phone(PhoneNumber::from_e164(ANA)?), "sleep").await?.len(), 1);
    assert!(store.message(&id).await?.is_some_and(|message| message.draft.is_some()));
    holds(&told_of(&stage, &["keys", "new"]).await?.1, &["key "]);
    Ok(())
}

#[tokio::test]
async fn a_deployment_moves_to_another_database() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.invite("sleep", "1").await?;
    stage.until(&id, "delivered").await?;
    let to = stage.folder().join("new.toml");
    std::fs::write(&to, std::fs::read_to_string(&stage.config)?.replace("consentry.db", "new.db"))?;
    let to = to.display().to_string();
    assert!(told(&stage, &["migrate", "--to", &to]).await.is_err(), "a daemon is at work");
    stage.gateway.drain();
    stage.gateway.leave().await?;
    holds(&told(&stage, &["migrate", "--to", &to]).await?.1, &["the ledger is the same in both"]);
    holds(&told_of(&stage, &["explain", &id, "--config", &to]).await?.1, &["is DELIVERED."]);
    Ok(())
}

#[tokio::test]
async fn two_auth_tokens_verify_while_one_replaces_the_other() -> Result<()> {
    let folder = tests::folder()?;
    let before = folder.join("before.txt");
    std::fs::write(&before, "0123456789abcdef0123456789abcdef")?;
    let mut play = Play::default();
    play.twilio =
        format!("auth-token-before = {{ file = {:?} }}\n{}", before.display().to_string(), play.twilio);
    let stage = Stage::with(&[play]).await?;
    let tokens = [
        ("5a4db0c5a4db0c5a4db0c5a4db0c5a4d", StatusCode::OK),
        ("0123456789abcdef0123456789abcdef", StatusCode::OK),
        ("ffffffffffffffffffffffffffffffff", StatusCode::FORBIDDEN),
    ];
    for (index, (token, status)) in tokens.into_iter().enumerate() {
        let form = [
            ("MessageSid".to_owned(), format!("SM{index:032}")),
            ("AccountSid".to_owned(), "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d".to_owned()),
            ("From".to_owned(), BEN.to_owned()),
            ("To".to_owned(), "+16175550100".to_owned()),
            ("Body".to_owned(), "hello".to_owned()),
        ];
        let url = format!("{}/twilio/sleep/sms", stage.url);
        let signature = twilio::sign(&url, &form, &Secret::from(token));
        let posted = reqwest::Client::new().post(&url).form(&form).header("X-Twilio-Signature", signature);
        assert_eq!(posted.send().await?.status(), status, "{index}");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// What is wrong with a daemon's file that begins so.
fn problems(text: &str) -> Result<String> {
    let folder = tests::folder()?;
    std::fs::write(folder.join("trigger.txt"), "secret")?;
    std::fs::write(folder.join("keys.txt"), Keys::generate()?)?;
    std::fs::write(folder.join("not-keys.txt"), "key one two\n")?;
    let whole = format!(
        "{text}\nlisten = \"127.0.0.1:0\"\npublic-url = \"https://texts.example.edu\"\nprojects = []\n\
         trigger-secret = {{ file = \"trigger.txt\" }}\n"
    );
    // A table of the text would swallow what follows it, so the tables come last.
    let (tables, keys): (Vec<_>, Vec<_>) = whole.lines().partition(|line| line.starts_with('['));
    let whole = [keys, tables].concat().join("\n").replace("]: ", "]\n");
    let path = folder.join("consentry.toml");
    std::fs::write(&path, whole)?;
    let told = config::read(&path, &tests::engine()?).err().map(|report| format!("{report:?}"));
    std::fs::remove_dir_all(folder)?;
    Ok(told.unwrap_or_default())
}

#[test]
fn the_daemons_own_keys_are_checked_and_told_with_help() -> Result<()> {
    let good = "keys = { file = \"keys.txt\" }";
    let fine = problems(&format!(
        "{good}\nadmin-listen = \"127.0.0.1:9090\"\n[log]: format = \"json\"\n[traces]: otlp = \"http://127.0.0.1:4318/v1/traces\""
    ))?;
    assert_eq!(fine, "");
    for (text, promised) in [
        (good.to_owned() + "\nadmin-listen = \"9090\"", "`admin-listen` takes an address and a port"),
        (good.to_owned() + "\n[log]: format = \"xml\"", "there are text, json"),
        (good.to_owned() + "\n[log]: level = \"loud\"", "there are error, warn, info, debug, trace"),
        (good.to_owned() + "\n[traces]: otlp = \"127.0.0.1\"", "takes the whole URL of a collector"),
        (good.to_owned() + "\n[traces]: to = \"x\"", "`otlp` is missing"),
        (good.to_owned() + "\ndatabase = { file = \"trigger.txt\" }", "is not the URL of a PostgreSQL"),
        (good.to_owned() + "\ndatabase = { file = \"nowhere.txt\" }", "cannot read the secret's file"),
        (good.to_owned() + "\ndatabase = 3", "`database` takes a table"),
        ("keys = { file = \"not-keys.txt\" }".to_owned(), "line 1 of the key file is not a key"),
        (String::new(), "`keys` is missing"),
    ] {
        let told = problems(&text)?;
        assert!(told.contains(promised), "{text} lacks `{promised}`: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_projects_new_keys_are_checked_and_told_with_help() -> Result<()> {
    let mut play = Play::default();
    play.messages += "facts-max-age-seconds = 4000\nretention-days = 0\n";
    play.twilio =
        "calls-per-second = 0\nrequests-at-once = 1001\nkeep-opt-outs = \"yes\"\nkept-alarm-hours = 0\n\
                   low-balance = \"much\"\n[twilio.paid-by]\naccount-sid = \"AC1\"\n"
            .into();
    let refused = Stage::dark(&[play]).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    holds(
        &refused,
        &[
            "`facts-max-age-seconds` takes a whole number from 0 to 3600",
            "`retention-days` takes a whole number from 1",
            "`calls-per-second` takes a whole number from 1",
            "`requests-at-once` takes a whole number from 1 to 1000",
            "`keep-opt-outs` takes true or false",
            "`kept-alarm-hours` takes a whole number from 1",
            "`low-balance` takes an amount",
            "`auth-token` is missing",
        ],
    );
    let mut play = Play::default();
    play.twilio = format!(
        "calls-per-second = 2\nrequests-at-once = 4\nkeep-opt-outs = false\nkept-alarm-hours = 48\nlow-balance = \"25.00\"\n{}",
        play.twilio
    );
    play.messages += "facts-max-age-seconds = 10\nretention-days = 365\n";
    let stage = Stage::dark(&[play]).await?;
    let project = &stage.gateway.projects["sleep"];
    let account = &project.account;
    assert_eq!((account.calls_a_second, account.at_once, account.kept_alarm), (2, 4, 48));
    assert_eq!((account.keep_opt_outs, account.low_balance), (false, Some(25_000_000)));
    assert_eq!((project.facts_max_age, project.retention), (10, Some(365 * 86_400)));
    assert!(matches!(tests::read(&stage.config)?.database, Database::Sqlite(_)));
    Ok(())
}
