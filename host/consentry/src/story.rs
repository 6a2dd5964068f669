//! The whole story of one message, in sentences: why there was one, what each policy said, what left and when,
//! what Twilio told, what a person did, and what became of Twilio's copy. It shows no number and no body.

use std::collections::BTreeSet;
use std::fmt::Write;

use gateway::outbox::{Message, State};
use gateway::store::{Scope, Store, StoreError};
use gateway::vocabulary::Word;
use jiff::tz::TimeZone;
use policy::contract::types::Channel;
use serde::Serialize;
use serde_json::Value;

use crate::log::at;

/// The story of a message, or of a text that came in.
#[derive(Debug, Serialize)]
pub struct Story {
    /// The id: ours of a message, Twilio's of a text that came in.
    pub id: String,
    /// Where it stands, in sentences.
    pub now: Vec<String>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub struct Event {
    /// When, on the clock of the zone that was asked for.
    pub when: String,
    /// What, as the ledger names it.
    pub kind: String,
    /// What, for a person.
    pub sentence: String,
    /// The public part of the ledger's row.
    pub facts: Value,
}

/// Tells the story of a message by its id, or of a text that came in by Twilio's; none when there is neither.
pub async fn of(store: &Store, id: &str, zone: &TimeZone) -> Result<Option<Story>, StoreError> {
    let message = store.message(id).await?;
    let mut rows = store.story(id).await?;
    if message.is_none() && rows.is_empty() {
        return Ok(None);
    }
    // What is done to Twilio's copies is told of their own ids.
    let sids: BTreeSet<String> = rows
        .iter()
        .filter_map(|(_, _, public)| public["sid"].as_str())
        .chain(message.iter().filter_map(|message| message.sid.as_deref()))
        .map(str::to_owned)
        .collect();
    for sid in sids.iter().filter(|sid| *sid != id) {
        rows.extend(store.story(sid).await?);
    }
    // The sort is stable: what happened within a second stays in the ledger's order.
    rows.sort_by_key(|(_, at, _)| *at);
    let events = rows
        .into_iter()
        .map(|(kind, seconds, facts)| Event {
            when: at(seconds, zone),
            sentence: sentence(&kind, &facts, zone),
            kind,
            facts,
        })
        .collect();
    let now = match &message {
        Some(message) => stands(store, message, zone).await?,
        None => vec!["This is a text that a participant sent.".into()],
    };
    Ok(Some(Story { id: id.into(), now, events }))
}

/// The story for a person.
pub fn text(story: &Story) -> String {
    let mut text = String::new();
    // A `String` takes every write.
    for sentence in &story.now {
        let _ = writeln!(text, "{sentence}");
    }
    let _ = writeln!(text);
    for event in &story.events {
        let _ = writeln!(text, "{}  {}", event.when, capital(&event.sentence));
    }
    text
}

/// Where a message stands now.
async fn stands(store: &Store, message: &Message, zone: &TimeZone) -> Result<Vec<String>, StoreError> {
    let new = &message.new;
    let survey = new.survey.as_ref().map(|survey| format!(" to `{}`", survey.instrument));
    let record = new.record.as_ref().map(|record| format!(" for record {record}"));
    let mut said = vec![format!(
        "Message {} of the project `{}`, {}{}{}, is {}.",
        message.id,
        new.project,
        a(new.purpose.word()),
        survey.unwrap_or_default(),
        record.unwrap_or_default(),
        message.state.name().to_uppercase()
    )];
    if let Some(reason) = message.reason.as_ref().filter(|_| message.state != State::Delivered) {
        said.push(format!("{} [{}].", capital(reason.sentence.trim_end_matches('.')), reason.rule));
    }
    if let Some(code) = message.error_code {
        said.push(format!("Twilio's error {code}: {}", in_words(code)));
    }
    if let Some(attempts) = Some(message.attempts.len()).filter(|attempts| *attempts > 0) {
        said.push(format!(
            "It definitely failed {attempts} time{} before.",
            if attempts == 1 { "" } else { "s" }
        ));
    }
    said.extend(next(message, zone));
    said.extend(cost(message));
    if message.ended.is_none() && !message.state.may_have_reached() {
        let own = Scope::Project(new.project.clone()).word();
        for stop in store.stopped().await? {
            if stop.scope == own || stop.scope == Scope::All.word() {
                let what = if stop.scope == own { "this project" } else { "any project" };
                said.push(format!("Nothing of {what} is sent since {}: {}.", at(stop.at, zone), stop.why));
            }
        }
    }
    Ok(said)
}

/// What happens next, if something does.
fn next(message: &Message, zone: &TimeZone) -> Option<String> {
    if let Some(ended) = message.ended {
        let asks = message.state == State::Unknown;
        let person = if asks { " A person must find out, and `consentry settle` it." } else { "" };
        return Some(format!("Nothing more is expected of it since {}.{person}", at(ended, zone)));
    }
    let look_at = at(message.look_at, zone);
    let end =
        message.new.not_after.map(|end| format!(", and not after {}", at(end, zone))).unwrap_or_default();
    match message.state {
        State::Planned | State::Deferred => Some(format!("It is decided at {look_at}{end}.")),
        State::Due => Some(format!("It is sent from {look_at} on{end}.")),
        State::Claimed => Some("A sender has it, and reviews it once more.".into()),
        State::Held => Some("A person must look; then `consentry release` decides it again.".into()),
        State::Submitting => {
            Some(format!("If the answer is not here by {look_at}, it is taken for unknown."))
        }
        State::Accepted | State::Sent => {
            Some(format!("If Twilio reports nothing, it is asked at {look_at} what became of it."))
        }
        State::Unknown => Some(format!("Twilio is asked at {look_at}. It is never sent again by itself.")),
        _ => None,
    }
}

fn cost(message: &Message) -> Option<String> {
    let segments = message.draft.as_ref().map(|draft| draft.segments).filter(|segments| *segments > 0);
    let segments = segments.map(|n| format!(" for {n} segment{}", if n == 1 { "" } else { "s" }));
    match (message.price, message.submitted) {
        (Some(price), _) => Some(format!(
            "Twilio charged {} in the account's currency{}.",
            twilio::decimal(price),
            segments.unwrap_or_default()
        )),
        (None, Some(_)) if message.channel() != Channel::Email => {
            Some("Twilio has not told its price yet.".into())
        }
        (None, _) => None,
    }
}

/// One row of the ledger.
fn sentence(kind: &str, facts: &Value, zone: &TimeZone) -> String {
    let text = |key: &str| facts[key].as_str().unwrap_or_default();
    let status = || format!("`{}`", text("status"));
    match kind {
        "occasion" => {
            let record = facts["record"].as_str().map(|record| format!(" about record {record}"));
            let due = facts["due"]
                .as_u64()
                .and_then(|due| u32::try_from(due).ok())
                .map_or_else(String::new, |due| format!(", due {}", at(due, zone)));
            let purpose = a(text("purpose"));
            let cause =
                facts["cause"].as_str().map(|cause| format!(", because of {cause}")).unwrap_or_default();
            format!("there was a reason for {purpose}{}{due}{cause}", record.unwrap_or_default())
        }
        "decision" => decision(facts),
        "due" => format!("it was allowed, and waits for its turn{}{}", evidence(facts, zone), because(facts)),
        "deferred" => {
            let again = facts["again"].as_u64().and_then(|again| u32::try_from(again).ok());
            match (facts["reason"]["rule"].as_str(), again) {
                (Some("released"), _) => format!("a person released it{}", because(facts)),
                (Some("rescheduled"), _) => format!("a person wants it at another time{}", because(facts)),
                (_, Some(again)) => {
                    format!("it waits, and is decided again at {}{}", at(again, zone), because(facts))
                }
                (_, None) => format!("it is decided again{}", because(facts)),
            }
        }
        "held" if facts["reason"]["rule"] == "held-by-hand" => format!("a person held it{}", because(facts)),
        "held" => format!("it is held until a person has looked{}", because(facts)),
        "suppressed" => format!("it is not sent{}", because(facts)),
        "canceled" => format!("it was taken back{}", because(facts)),
        "expired" => format!("it is not sent any more{}", because(facts)),
        "unknown" => format!("nobody knows whether it was sent{}", because(facts)),
        "failed" => format!("it failed{}", because(facts)),
        "sent" | "delivered" | "undelivered" | "accepted" if facts["sid"].is_null() => {
            format!("it counts as {kind}{}", because(facts))
        }
        "refused" => format!("what a policy asked for is not done: {}", text("sentence")),
        "submitting" => {
            let whom = if text("by") == "email" { "the mail server" } else { "Twilio" };
            format!(
                "the request to {whom} was about to leave, and this was on the disk before its first byte"
            )
        }
        "mailed" => "the mail server took it".into(),
        "accepted" => format!("Twilio took it, as {} ({})", text("sid"), status()),
        "status" => match facts["code"].as_u64().and_then(|code| u32::try_from(code).ok()) {
            Some(code) => format!("Twilio reported {} with error {code}: {}", status(), in_words(code)),
            None => format!("Twilio reported {}", status()),
        },
        "found" => format!("it was found in Twilio's list, as {} ({})", text("sid"), status()),
        "contradicted" => {
            format!("Twilio told of it as {} ({}) although it was {}", text("sid"), status(), text("state"))
        }
        "found-out" => {
            let fate = match text("fate") {
                "Sent" => "it was sent",
                "NotSent" => "it was not sent, and is not to be",
                _ => "it was not sent, and is decided again",
            };
            format!("a person found out: {fate} ({})", text("why"))
        }
        "ended" => format!("nothing more is expected of it: {}", text("state")),
        "task" => format!("a person is asked: {}", text("sentence")),
        "redacted-at-twilio" => match facts["price"].as_i64() {
            Some(price) => format!("its words are gone at Twilio, which charged {}", twilio::decimal(price)),
            None => "its words are gone at Twilio".into(),
        },
        "deleted-at-twilio" => "its record is gone at Twilio: a fetch finds nothing any more".into(),
        "inbound" => match text("provider") {
            "stopped" => "a text came in that Twilio took for STOP, and answered".into(),
            "started" => "a text came in that Twilio took for START, and answered".into(),
            "helped" => "a text came in that Twilio took for HELP, and answered".into(),
            _ => "a text came in".into(),
        },
        "understood" => format!("it was understood as: {}{}", text("intent"), because(facts)),
        "not-understood" => format!("no policy could read it, and a person is asked{}", because(facts)),
        "opt-out" => {
            let project = Some(text("project")).filter(|project| !project.is_empty());
            let whose = project.map_or_else(|| "every project".to_owned(), |project| format!("`{project}`"));
            format!("an opt-out from {whose} was written, known from: {}", text("source"))
        }
        "opt-in" => format!("the participant may be texted by `{}` again", text("project")),
        other => other.replace('-', " "),
    }
}

fn decision(facts: &Value) -> String {
    let text = |key: &str| facts[key].as_str().unwrap_or_default();
    let again = if text("stage") == "claimed" { ", asked again just before sending," } else { "" };
    let mut said = format!("the {} policy `{}` {}{again}", text("policy"), text("name"), text("version"));
    // A `String` takes every write.
    let _ = match text("ended") {
        "answered" => write!(said, " answered: {}", text("answer")),
        ended => write!(said, " gave no answer: {}", ended.replace('-', " ")),
    };
    for finding in facts["findings"].as_array().into_iter().flatten() {
        let sentence = finding["sentence"].as_str().unwrap_or_default().trim_end_matches('.');
        let _ = write!(said, "; {sentence} [{}", finding["rule"].as_str().unwrap_or_default());
        let _ = match finding["citation"].as_str() {
            Some(citation) => write!(said, ", {citation}]"),
            None => write!(said, "]"),
        };
    }
    said
}

/// What allowed it.
fn evidence(facts: &Value, zone: &TimeZone) -> String {
    let evidence = &facts["evidence"];
    let list = |key: &str| evidence[key].as_array().cloned().unwrap_or_default();
    let approvals: Vec<_> = list("approvals")
        .iter()
        .filter_map(|one| one["wording"].as_str())
        .map(|id| format!("`{id}`"))
        .collect();
    let mut said = String::new();
    if !approvals.is_empty() {
        let _ = write!(said, ", in the approved words of {}", approvals.join(" and "));
    }
    let given = list("consents").iter().filter_map(|one| one["given"].as_u64()).max();
    if let Some(given) = given.and_then(|given| u32::try_from(given).ok()) {
        let _ = write!(said, ", with the consent of {}", at(given, zone));
    } else if let Some(waiver) = evidence["waiver"].as_str() {
        let _ = write!(said, ", without a consent on record by the waiver: {waiver}");
    }
    said
}

fn because(facts: &Value) -> String {
    let reason = &facts["reason"];
    match (reason["sentence"].as_str(), reason["rule"].as_str()) {
        (Some(sentence), Some(rule)) => format!(": {} [{rule}]", sentence.trim_end_matches('.')),
        _ => String::new(),
    }
}

fn in_words(code: u32) -> String {
    twilio::explain(code).map_or_else(
        || "Twilio does not document it.".into(),
        |known| format!("{} {}", known.sentence, known.advice),
    )
}

/// A word of the contract as a person says it, with its article.
fn a(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    match word {
        "help" => "an answer to HELP".into(),
        _ => format!("{article} {}", word.replace('-', " ")),
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
