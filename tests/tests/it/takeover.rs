//! Taking over a running study: what REDCap itself would still send, what was due before, and far more than planned.

use std::process::ExitCode;

use anyhow::Result;
use gateway::wording::digest;
use serde_json::{Value, json};
use tests::{Play, Stage};

use crate::operations::{holds, refused, told};

const TEXT: &str = "Hi [first_name], your sleep diary is ready: [survey-link]";
const WHY: [&str; 2] = ["--why", "J. Operator looked"];

/// A play that takes the invitation to the diary over, with its text approved.
fn play(schedules: &str) -> Play {
    let approval = format!(
        "[[approval]]\ndigest = \"{}\"\nby = \"a test\"\napproved = 2026-01-01\nidentifiers = [\"first_name\"]\n",
        digest("en", TEXT)
    );
    let schedules = format!("invitations = [\"sleep_diary\"]\n{schedules}");
    Play { schedules, invitations: approval, ..Play::default() }
}

fn number(person: usize) -> String {
    format!("+1617555{person:04}")
}

/// People of whom the first so many are enrolled.
fn people(stage: &Stage, people: std::ops::Range<usize>, enrolled: usize) -> Result<()> {
    let first = people.start;
    let rows = people.map(|person| {
        json!({
            "record_id": person.to_string(), "first_name": "Kim", "mobile": number(person), "language": "en",
            "zone": "America/New_York", "enrolled": if person < first + enrolled { "1" } else { "0" },
            "text_consent": "1", "text_consent_date": "2026-10-02",
        })
    });
    let rows: Vec<_> = rows.filter_map(|row| row.as_object().cloned()).collect();
    stage.sandbox.redcap().import(&rows)?;
    Ok(())
}

fn enroll(stage: &Stage, person: usize) -> Result<()> {
    let row = json!({ "record_id": person.to_string(), "enrolled": "1" });
    stage.sandbox.redcap().import(&[row.as_object().cloned().unwrap_or_default()])?;
    Ok(())
}

/// A study of so many people, of whom the first are enrolled, before the gateway has looked at it.
async fn study(schedules: &str, count: usize, enrolled: usize) -> Result<Stage> {
    let stage = Stage::dark(&[play(schedules)]).await?;
    for record in ["1", "2", "3", "4", "5"] {
        stage.sandbox.redcap().delete_record(record);
    }
    people(&stage, 1000..1000 + count, enrolled)?;
    Ok(stage)
}

fn set_active(stage: &Stage, active: bool) {
    stage.sandbox.redcap().edit_project(|project| project.invitations[0].active = active);
}

async fn sweep(stage: &Stage) -> Result<()> {
    stage.gateway.sweep().await;
    stage.settle().await?;
    // The sender has a pace.
    for _ in 0..3 {
        stage.later(20).await?;
    }
    Ok(())
}

/// How many texts each person got: how many people got none, one, and more than one.
fn texts(stage: &Stage, people: std::ops::Range<usize>) -> (usize, usize, usize) {
    let counts: Vec<_> = people.map(|person| stage.received(&number(person))).collect();
    let of = |wanted: fn(&usize) -> bool| counts.iter().filter(|count| wanted(count)).count();
    (of(|n| *n == 0), of(|n| *n == 1), of(|n| *n > 1))
}

async fn catch_up(stage: &Stage, more: &[&str]) -> Result<String> {
    let line = [&["catch-up", "sleep"], more, &WHY].concat();
    let (_, said) = told(stage, &line).await?;
    sweep(stage).await?;
    Ok(said)
}

async fn check(stage: &Stage) -> Result<(ExitCode, Vec<Value>)> {
    let (ended, said) = told(stage, &["check", "sleep", "--json"]).await?;
    let found: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
    Ok((ended, found?))
}

fn standing<'a>(found: &'a [Value], check: &str) -> Vec<&'a str> {
    let of = found.iter().filter(|finding| finding["check"] == check);
    of.filter_map(|finding| finding["standing"].as_str()).collect()
}

#[tokio::test]
async fn a_running_study_is_taken_over_and_nobody_is_texted_twice_or_unasked() -> Result<()> {
    let stage = study("", 500, 200).await?;
    set_active(&stage, true);
    for person in 1000..1040 {
        let at = "2026-11-26T12:00:00".parse()?;
        stage.sandbox.redcap().queue_invitation("sleep_diary", None, &person.to_string(), at);
    }
    // REDCap would send it too: it is not run, and the check says what to do.
    let (ended, found) = check(&stage).await?;
    assert_eq!(ended, ExitCode::FAILURE);
    assert_eq!(standing(&found, "redcap-sends"), ["stop"]);
    assert_eq!(standing(&found, "redcap-queued"), ["stop"]);
    assert_eq!(standing(&found, "token-log"), ["ok"]);
    assert_eq!(standing(&found, "token-survey-link"), ["ok"]);
    assert_eq!(standing(&found, "approval"), [""; 0]);
    let queued = found.iter().find(|finding| finding["check"] == "redcap-queued");
    assert_eq!(queued.map(|finding| &finding["count"]), Some(&json!(40)));
    assert!(!found.iter().any(|finding| finding.to_string().contains('@')), "no mailbox is told");
    sweep(&stage).await?;
    assert!(stage.lines().await?.is_empty(), "nothing is planned that REDCap sends");
    let tasks = stage.gateway.store.tasks().await?;
    assert!(tasks.iter().any(|task| task.sentence.contains("active there")), "{tasks:#?}");

    // The study team switches it off. What REDCap has queued it still sends.
    set_active(&stage, false);
    let (ended, found) = check(&stage).await?;
    assert_eq!(ended, ExitCode::FAILURE);
    assert_eq!(
        (standing(&found, "redcap-sends"), standing(&found, "redcap-queued")),
        (vec!["ok"], vec!["stop"])
    );
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1500), (500, 0, 0), "nothing goes without being released");
    let (_, waiting) = told(&stage, &["catch-up", "sleep"]).await?;
    holds(
        &waiting,
        &["160  asi/sleep_diary  schedule.before-go-live", "40  asi/sleep_diary  schedule.redcap-queued"],
    );

    // A condition that becomes true now is sent, and what is released, and nothing else.
    enroll(&stage, 1300)?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1500), (499, 1, 0));
    assert_eq!(stage.received(&number(1300)), 1);
    holds(&catch_up(&stage, &["--release", "asi/sleep_diary"]).await?, &["released: 160"]);
    assert_eq!(texts(&stage, 1040..1200), (0, 160, 0));
    assert_eq!(texts(&stage, 1000..1040), (40, 0, 0), "REDCap sends these");
    assert_eq!(texts(&stage, 1200..1500), (299, 1, 0));

    // Whoever releases what REDCap has still queued is not heard.
    holds(&catch_up(&stage, &["--release", "--queued"]).await?, &["released: 40"]);
    assert_eq!(texts(&stage, 1000..1040), (40, 0, 0));
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1500), (339, 161, 0), "none twice");
    holds(
        &refused(&stage, &["catch-up", "sleep", "--release", "--why", "x"]).await,
        &["nothing of that is held"],
    );
    let (_, verified) = told(&stage, &["ledger", "verify"]).await?;
    holds(&verified, &["ok:"]);
    Ok(())
}

#[tokio::test]
async fn far_more_than_planned_is_held_and_sampled_expired_or_released_with_one_command() -> Result<()> {
    let stage = study("go-live = \"everything\"\nbrake = 100\n", 300, 300).await?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1300), (300, 0, 0));
    let (_, waiting) = told(&stage, &["catch-up", "sleep"]).await?;
    holds(&waiting, &["300  asi/sleep_diary  schedule.brake"]);
    holds(&catch_up(&stage, &["--sample", "5"]).await?, &["released: 5"]);
    assert_eq!(texts(&stage, 1000..1300), (295, 5, 0));
    holds(&catch_up(&stage, &["--expire"]).await?, &["expired: 295"]);
    assert_eq!(texts(&stage, 1000..1300), (295, 5, 0));
    let (_, waiting) = told(&stage, &["catch-up", "sleep"]).await?;
    holds(&waiting, &["nothing waits"]);

    people(&stage, 2000..2300, 300)?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 2000..2300), (300, 0, 0));
    holds(&catch_up(&stage, &["--release"]).await?, &["released: 300"]);
    assert_eq!(texts(&stage, 2000..2300), (0, 300, 0));
    // A person asked for these, so no brake holds them.
    let line = ["invite", "sleep", "sleep_diary", "--all", "--wording", "invitation", "--why", "J. Operator"];
    told(&stage, &line).await?;
    for _ in 0..3 {
        sweep(&stage).await?;
    }
    assert_eq!(texts(&stage, 1000..1300), (0, 295, 5));
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_is_taken_over_later_has_its_own_beginning() -> Result<()> {
    let stage = study("", 20, 10).await?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1020), (20, 0, 0));
    // REDCap sends it again for a while, and what became due then is REDCap's.
    set_active(&stage, true);
    sweep(&stage).await?;
    enroll(&stage, 1015)?;
    sweep(&stage).await?;
    set_active(&stage, false);
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1020), (20, 0, 0), "it is recorded, and a person releases what is wanted");
    let (_, waiting) = told(&stage, &["catch-up", "sleep"]).await?;
    holds(&waiting, &["11  asi/sleep_diary  schedule.before-go-live"]);
    enroll(&stage, 1016)?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1020), (19, 1, 0));
    Ok(())
}

#[tokio::test]
async fn what_is_sent_by_itself_is_told_in_words_with_the_digests_of_its_texts() -> Result<()> {
    let stage = study("", 3, 3).await?;
    stage.sandbox.redcap().edit_project(|project| {
        let invitation = &mut project.invitations[0];
        invitation.reminders = 2;
        invitation.reminder = Some(redcap::project::When::Lag { days: 1, hours: 0, minutes: 0 });
    });
    let (_, said) = told(&stage, &["schedules", "sleep"]).await?;
    holds(
        &said,
        &[
            "asi/sleep_diary  Sleep diary",
            "when the condition holds, and still then, at once",
            "condition [enrolled] = '1'",
            "reminders 2, each 1d after the one before it",
            "sms-link to the survey sleep_diary, to the participant",
            &format!("approved: {}", digest("en", TEXT)),
            "absent: sha256:",
        ],
    );
    // A cancelled invitation takes its reminders with it, and a rescheduled one moves them.
    sweep(&stage).await?;
    let (_, future) = told(&stage, &["log", "--future", "--json"]).await?;
    let lines: Result<Vec<Value>, _> = future.lines().map(serde_json::from_str).collect();
    let lines = lines?;
    assert_eq!(lines.len(), 9, "three invitations with two reminders each");
    let of = |record: &str, reminder: u32| {
        let line = lines.iter().find(|line| line["record"] == record && line["reminder"] == reminder);
        line.and_then(|line| line["id"].as_str()).unwrap_or_default().to_owned()
    };
    told(&stage, &["cancel", &of("1000", 0), "--why", "J. Operator"]).await?;
    told(&stage, &["reschedule", &of("1001", 0), "--to", "2026-11-25 11:00", "--why", "J. Operator"]).await?;
    let (_, csv) = told(&stage, &["log", "--csv"]).await?;
    assert_eq!(csv.matches(",canceled,").count(), 3, "{csv}");
    assert!(csv.lines().any(|line| line.contains("2026-11-26T16:00:00Z,,1001,")), "{csv}");
    assert!(csv.lines().any(|line| line.contains("2026-11-27T16:00:00Z,,1001,")), "{csv}");
    stage.later(86_400 + 3600).await?;
    assert_eq!(texts(&stage, 1000..1003), (2, 1, 0));
    // A sent invitation cannot be taken back, but the reminders that wait can.
    told(&stage, &["cancel", &of("1001", 0), "--why", "J. Operator"]).await?;
    stage.later(3 * 86_400).await?;
    assert_eq!(stage.received(&number(1001)), 1);
    Ok(())
}

#[tokio::test]
async fn every_record_is_looked_at_again_on_demand_and_gets_no_second_invitation() -> Result<()> {
    let stage = study("go-live = \"everything\"\n", 10, 5).await?;
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1010), (5, 5, 0));
    for person in 1005..1008 {
        enroll(&stage, person)?;
    }
    let (_, said) = told(&stage, &["reevaluate", "sleep", "asi/sleep_diary", "--why", "J. Operator"]).await?;
    holds(&said, &["looks at every record"]);
    stage.settle().await?;
    stage.later(20).await?;
    assert_eq!(texts(&stage, 1000..1010), (2, 8, 0));
    enroll(&stage, 1008)?;
    let again = stage.gateway.reevaluate("sleep", Some("asi/sleep_diary"), "a test").await?;
    assert_eq!((again.done, again.new.get("asi/sleep_diary")), (true, Some(&1)));
    assert!(stage.gateway.reevaluate("sleep", None, "a test").await?.new.is_empty());
    stage.settle().await?;
    stage.later(20).await?;
    assert_eq!(texts(&stage, 1000..1010), (1, 9, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_check_finds_is_told_with_what_to_do() -> Result<()> {
    let mut other = play("alerts = [\"Late diary\"]\n");
    other.invitations = String::new();
    let stage = Stage::dark(&[other]).await?;
    stage.sandbox.redcap().set_survey_enabled("sleep_diary", false);
    let (ended, said) = told(&stage, &["check", "sleep"]).await?;
    assert_eq!(ended, ExitCode::FAILURE);
    holds(
        &said,
        &[
            "STOP    the project takes over the alert `Late diary`, which REDCap does not have [not-there]",
            "write its name as REDCap has it",
            &format!("its text has no approval, and is held; its digest is {}", digest("en", TEXT)),
            "warn    sleep_diary: the survey is not active in REDCap",
            "ok      sleep_diary: REDCap has queued no invitation to it",
            "ok      REDCap's log can be read",
        ],
    );
    // A site whose REDCap sends nothing says so once.
    let stage = study("redcap-sends = \"never\"\ngo-live = \"everything\"\n", 5, 5).await?;
    set_active(&stage, true);
    stage.sandbox.redcap().queue_invitation("sleep_diary", None, "1000", "2026-11-26T12:00:00".parse()?);
    let (ended, found) = check(&stage).await?;
    assert_eq!((ended, standing(&found, "redcap-sends")), (ExitCode::SUCCESS, vec!["ok"]));
    sweep(&stage).await?;
    assert_eq!(texts(&stage, 1000..1005), (0, 5, 0));
    Ok(())
}
