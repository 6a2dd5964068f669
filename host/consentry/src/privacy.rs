//! What Twilio keeps of us and for how long, and what is kept here, in words. Periods of Twilio's are those of
//! its documentation and of its API's description, as of 2026-11.

use std::fmt::Write;

use gateway::project::Project;
use gateway::store::{Count, Store, StoreError};
use serde::Serialize;

/// Days for which Twilio shows the events of a call, and its warnings and errors.
const EVENTS_DAYS: u32 = 30;

const DAY: u32 = 86_400;

/// What Twilio and this daemon keep of a project.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// The project.
    pub project: String,
    /// What is at Twilio now, and what becomes of it.
    pub now: Vec<String>,
    /// What the project keeps there on purpose.
    pub on_purpose: Vec<String>,
    /// What nobody can delete there, and how long it stays.
    pub beyond_us: Vec<String>,
    /// What is kept here.
    pub here: Vec<String>,
}

/// What is kept of each project. Twilio is asked for what only it can count; it may be away.
pub async fn of(projects: &[Project], store: &Store, now: u32) -> Result<Vec<Kept>, StoreError> {
    let copies = store.kept().await?;
    let calls = store.calls_placed(now.saturating_sub(EVENTS_DAYS * DAY)).await?;
    let mut kept = Vec::new();
    for project in projects {
        let own = |counts: &[Count]| -> Vec<Count> {
            counts.iter().filter(|count| count.project == project.name).cloned().collect()
        };
        let notices = project.account.client.notifications_kept().await.ok();
        kept.push(words(project, &own(&copies), &own(&calls), notices, now));
    }
    Ok(kept)
}

/// What is kept of a project: copies by kind, calls whose events Twilio still shows, and how many warnings and
/// errors it has noted, if it says so.
fn words(project: &Project, copies: &[Count], calls: &[Count], notices: Option<usize>, now: u32) -> Kept {
    let account = &project.account;
    let mut at_twilio: Vec<String> = copies
        .iter()
        .filter(|copy| copy.what != "kept")
        .map(|copy| format!("{}, the oldest for {}", counted(copy), age(now.saturating_sub(copy.oldest))))
        .collect();
    if at_twilio.is_empty() {
        at_twilio.push("no text and no call of ours".into());
    }
    at_twilio.push(format!(
        "what has ended is emptied at once, and its record deleted as soon as Twilio permits: after one minute, \
         then after 5 minutes, 30 minutes, 2 hours, 12 hours, and every day for 14 days. Then a person is asked; \
         and whenever something has been there for {} hours",
        account.kept_alarm
    ));
    at_twilio.push(
        "while nobody knows whether a message to a number was sent, everything of that number stays, because it \
         is looked for there"
            .into(),
    );
    Kept {
        project: project.name.clone(),
        now: at_twilio,
        on_purpose: on_purpose(project, copies),
        beyond_us: beyond_us(project, calls, notices),
        here: here(project),
    }
}

fn on_purpose(project: &Project, copies: &[Count]) -> Vec<String> {
    let kept = copies.iter().filter(|copy| copy.what == "kept").map(|copy| copy.count).sum::<u64>();
    vec![if project.account.keep_opt_outs {
        format!(
            "texts that say STOP or START stay, so that opt-outs can be read there too: {kept} now \
             (`keep-opt-outs = false` deletes the next ones)"
        )
    } else if kept > 0 {
        format!("nothing any more, but {kept} texts that said STOP or START are still there from before")
    } else {
        "nothing: STOP and START are deleted like any other text".into()
    }]
}

fn beyond_us(project: &Project, calls: &[Count], notices: Option<usize>) -> Vec<String> {
    let placed = calls.iter().map(|calls| calls.count).sum::<u64>();
    let inspector = match &project.account.request_inspector_off {
        Some(by) => {
            format!("that Request Inspector is off, so that they hold no contents, was attested by: {by}")
        }
        None => {
            "nobody has attested that Request Inspector is off; nothing is sent until somebody does".into()
        }
    };
    let notices = match notices {
        Some(count) => format!("it has noted {count} for this account"),
        None => "how many, Twilio does not say now".into(),
    };
    vec![
        format!(
            "events of calls, for {EVENTS_DAYS} days: what was asked and answered for each call. Calls placed in \
             these days: {placed}; {inspector}"
        ),
        format!(
            "warnings and errors, and alerts of its debugger, for about {EVENTS_DAYS} days: a webhook that fails is \
             copied there with its contents, so ours are answered with 200 whatever they hold; {notices}"
        ),
        "its backups, for up to 30 days after a deletion".into(),
        "the two numbers of a message in its own records, for up to 120 days".into(),
        "its internal logs, for 400 days, whatever is deleted".into(),
        "what carriers and phones keep, of which Twilio knows nothing".into(),
        "every webhook is a POST, so that no number and no words are in an address that somebody logs".into(),
    ]
}

fn here(project: &Project) -> Vec<String> {
    let retention = match project.retention {
        Some(seconds) => format!(
            "{} days after its end a message's words, number and answers are destroyed here too; that it was, and \
             why, stays in the ledger, which still verifies",
            seconds / DAY
        ),
        None => "they are kept for ever, because the project has no `retention-days`".into(),
    };
    vec![
        "numbers, words and answers are in the database, sealed under the institution's keys; opt-outs are kept \
         for ever, or they would be forgotten"
            .into(),
        retention,
    ]
}

fn counted(copy: &Count) -> String {
    let (one, many) = match copy.what.as_str() {
        "inbound" => ("text that came in", "texts that came in"),
        "call" => ("call", "calls"),
        "emptied" => ("record of a text without its words", "records of texts without their words"),
        _ => ("text that was sent", "texts that were sent"),
    };
    format!("{} {}", copy.count, if copy.count == 1 { one } else { many })
}

fn age(seconds: u32) -> String {
    let (count, unit) = match seconds {
        0..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The same for a person.
pub fn text(kept: &[Kept]) -> String {
    let mut text = String::new();
    for project in kept {
        // A `String` takes every write.
        let _ = writeln!(text, "The project `{}`", project.project);
        for (heading, sentences) in [
            ("Twilio keeps now", &project.now),
            ("Kept there on purpose", &project.on_purpose),
            ("Twilio keeps, and nobody can delete", &project.beyond_us),
            ("Kept here", &project.here),
        ] {
            let _ = writeln!(text, "\n  {heading}");
            for sentence in sentences {
                let _ = writeln!(text, "  - {sentence}");
            }
        }
        let _ = writeln!(text);
    }
    text
}
