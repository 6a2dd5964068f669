//! The demonstration's story without a browser: an invitation, the survey, STOP, silence.

use std::process::ExitCode;
use std::time::Duration;

use gateway::outbox::State;
use jiff::civil::Date;
use miette::{IntoDiagnostic, miette};
use sandbox::{Direction, HandsetText, SurveyOutcome};

use super::study::answer;
use super::{Demo, say};
use crate::log::{self, Line};

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Plays the story and prints it. It fails where the story does not come true.
pub(super) async fn play(demo: &Demo) -> miette::Result<ExitCode> {
    let story = &demo.story;
    let handset = demo.sandbox.handset();

    if let Some(samples) = story.samples {
        say(&format!("\n{samples}"));
    }
    heading("A participant is due for an invitation, and three policies decide");
    let invitation = wait(demo, "the invitation is delivered", |line| {
        line.record.as_deref() == Some(story.record.as_str())
            && line.purpose == "invitation"
            && line.status == "delivered"
    })
    .await?;
    decisions(&invitation);

    heading("The text, as it was sent");
    let texts =
        handset.wait_for(&story.number, PATIENCE, |texts| !texts.is_empty()).await.into_diagnostic()?;
    let text = texts.first().ok_or_else(|| miette!("the phone shows no text"))?;
    say(&format!(
        "  \"{}\"\n  {} segment{}, {}",
        text.body,
        text.segments,
        if text.segments == 1 { "" } else { "s" },
        text.status
    ));

    heading("The participant taps the link and completes the survey");
    complete(demo, text).await?;

    heading("The participant answers STOP");
    handset.say(&story.number, "STOP").await;
    let confirmation = reply_after(demo, &story.number, "STOP").await?;
    let by = if confirmation.from_twilio { "Twilio itself" } else { "Consentry" };
    say(&format!("  the confirmation, by {by}: \"{}\"", confirmation.body));

    heading("A second invitation to the same participant");
    let id = demo.daemon.gateway.invite(&project(demo)?, &story.record, &story.second_survey, None).await;
    let id = id.into_diagnostic()?;
    let second =
        wait(demo, "the second invitation is decided", |line| line.id == id && settled(line)).await?;
    decisions(&second);
    say(&format!("  {}: {}", second.status, second.reason.as_deref().unwrap_or("no reason")));
    if second.status != State::Suppressed.name()
        || !second.reason.as_deref().unwrap_or("").contains("PARTICIPANT OPTED OUT")
    {
        return Err(miette!("the second invitation was not suppressed as PARTICIPANT OPTED OUT"));
    }

    if let Some((number, words)) = &story.refuser {
        heading("Another participant refuses in plain words, which Twilio does not understand");
        handset.wait_for(number, PATIENCE, |texts| !texts.is_empty()).await.into_diagnostic()?;
        handset.say(number, words).await;
        let confirmation = reply_after(demo, number, words).await?;
        say(&format!("  \"{words}\"\n  the confirmation, by Consentry: \"{}\"", confirmation.body));
        if confirmation.from_twilio {
            return Err(miette!("Twilio confirmed what it does not understand"));
        }
    }

    heading("What became of everybody else");
    for line in lines(demo).await?.iter().rev().filter(|line| {
        line.purpose == "invitation"
            && line.status != "delivered"
            && line.record.as_ref() != Some(&story.record)
    }) {
        let reason = line.reason.as_deref().unwrap_or("");
        say(&format!("  record {}: {} — {reason}", line.record.as_deref().unwrap_or("?"), line.status));
    }

    heading("The ledger");
    match demo.daemon.gateway.store.verify(None).await.into_diagnostic()? {
        Ok(head) => say(&format!("  ledger verify: ok, {} rows, head {head}", head.seq)),
        Err(tampered) => return Err(miette!("the ledger does not verify: {tampered}")),
    }
    Ok(ExitCode::SUCCESS)
}

fn heading(words: &str) {
    say(&format!("\n{words}"));
}

fn decisions(line: &Line) {
    for verdict in &line.decisions {
        say(&format!("  {}", log::decision(verdict)));
        for sentence in &verdict.because {
            say(&format!("             {sentence}"));
        }
    }
}

async fn complete(demo: &Demo, text: &HandsetText) -> miette::Result<()> {
    let link = text.body.split_whitespace().find(|word| word.starts_with("http"));
    let link = link.ok_or_else(|| miette!("the text carries no link"))?;
    let mut answers = demo.story.answers.clone();
    let today: Date = demo.zone.to_datetime(demo.daemon.gateway.clock.now()).date();
    // A page comes back while it asks for more: each time what it asks is answered too.
    for _ in 0..20 {
        let given: Vec<_> = answers.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect();
        match demo.sandbox.redcap().complete_survey(link, &given).await {
            SurveyOutcome::Completed => {
                say(&format!("  completed, with {} answers", answers.len()));
                return Ok(());
            }
            SurveyOutcome::AskedAgain { fields } => {
                let before = answers.len();
                for name in fields {
                    let field = demo.story.fields.iter().find(|field| field.name == name);
                    if let Some((field, value)) = field.and_then(|field| answer(field, today)) {
                        answers.retain(|(known, _)| *known != field);
                        answers.push((field, value));
                    }
                }
                if answers.len() == before {
                    return Err(miette!("the survey page asks for something that the script cannot answer"));
                }
            }
            other => return Err(miette!("the survey page answered {other:?}")),
        }
    }
    Err(miette!("the survey page asks without an end"))
}

/// The text that follows what a participant said.
async fn reply_after(demo: &Demo, number: &str, said: &str) -> miette::Result<HandsetText> {
    let after = |texts: &[HandsetText]| {
        let at =
            texts.iter().rposition(|text| text.direction == Direction::FromPhone && text.body == said)?;
        texts.iter().skip(at + 1).find(|text| text.direction == Direction::ToPhone).cloned()
    };
    let texts = demo.sandbox.handset().wait_for(number, PATIENCE, |texts| after(texts).is_some()).await;
    let texts = texts.into_diagnostic()?;
    after(&texts).ok_or_else(|| miette!("there is no confirmation"))
}

fn settled(line: &Line) -> bool {
    !["planned", "due", "claimed", "submitting"].contains(&line.status.as_str())
}

async fn lines(demo: &Demo) -> miette::Result<Vec<Line>> {
    log::lines(&demo.daemon.gateway.store, None, None, &demo.zone, 100).await.into_diagnostic()
}

fn project(demo: &Demo) -> miette::Result<String> {
    demo.daemon.gateway.projects.keys().next().cloned().ok_or_else(|| miette!("there is no project"))
}

/// Waits until the log has a line that is wanted. Whatever the gateway does shows at the sandbox or ends
/// within a moment, so it is looked at again at each change and at least ten times a second.
async fn wait(demo: &Demo, what: &str, wanted: impl Fn(&Line) -> bool) -> miette::Result<Line> {
    let mut changes = demo.sandbox.handset().watch();
    let look = async {
        loop {
            changes.borrow_and_update();
            if let Some(line) = lines(demo).await?.into_iter().find(&wanted) {
                return Ok(line);
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
        }
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(found) => found,
        Err(_) => Err(miette!(
            "waited for {} seconds, and it did not come true that {what}:\n{}",
            PATIENCE.as_secs(),
            log::text(&lines(demo).await?)
        )),
    }
}
