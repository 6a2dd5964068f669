//! The survey invitation log: what became of each message, and why. It shows no number and no body.

use std::fmt::Write;

use gateway::outbox::{Message, State};
use gateway::store::{LogFilter, Store, StoreError};
use gateway::vocabulary::Word;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

/// One line of the log.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The message's id.
    pub id: String,
    /// The project.
    pub project: String,
    /// The record.
    pub record: Option<String>,
    /// When it last changed, on the clock of the zone that was asked for.
    pub when: String,
    /// When it was sent, or when it is to be; none when it is not sent.
    pub send_time: Option<String>,
    /// Why there is a message.
    pub purpose: String,
    /// The survey.
    pub survey: Option<String>,
    /// Its event.
    pub event: Option<String>,
    /// The schedule that made it, or "by-hand/" and the survey.
    pub schedule: Option<String>,
    /// 0 for the message itself, 1 for its first reminder.
    pub reminder: Option<u32>,
    /// 1 for the first, 2 for its first repetition.
    pub repetition: Option<u32>,
    /// How it went, or was to go.
    pub method: Option<String>,
    /// The wordings in it.
    pub wordings: Vec<String>,
    /// Segments.
    pub segments: Option<u32>,
    /// Where it stands.
    pub status: String,
    /// Why it stands there, if that needs saying.
    pub reason: Option<String>,
    /// The rule behind the reason.
    pub rule: Option<String>,
    /// Twilio's error code and what it means.
    pub delivery_error: Option<String>,
    /// What each policy decided.
    pub decisions: Vec<Verdict>,
}

/// What a policy decided.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The world: routing, template, compliance.
    pub policy: String,
    /// When a draft was reviewed: planned, or claimed for sending.
    pub stage: Option<String>,
    /// Its answer in a word, or how it ended without one.
    pub answer: String,
    /// The rules that it cites.
    pub rules: Vec<String>,
    /// The reasons, as sentences.
    pub because: Vec<String>,
    /// Fuel used.
    pub fuel: u64,
    /// The component's digest.
    pub component: String,
}

/// The log, newest first, at most so many lines.
pub async fn lines(
    store: &Store,
    project: Option<&str>,
    record: Option<&str>,
    zone: &TimeZone,
    limit: u32,
) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for message in store.log(project, record, limit).await? {
        lines.push(line(store, message, zone).await?);
    }
    Ok(lines)
}

/// What a filter lets through, a line each.
pub async fn found(store: &Store, filter: &LogFilter, zone: &TimeZone) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for message in store.find(filter).await? {
        lines.push(line(store, message, zone).await?);
    }
    Ok(lines)
}

/// The columns of the log as CSV. They keep their names and their order.
pub const COLUMNS: [&str; 15] = [
    "id",
    "project",
    "send_time",
    "method",
    "record",
    "survey",
    "event",
    "schedule",
    "reminder",
    "repetition",
    "purpose",
    "state",
    "rule",
    "reason",
    "changed",
];

/// The log as CSV with a header. Instants are RFC 3339 in UTC.
pub fn csv(messages: &[Message], out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    let at = |seconds: u32| {
        Timestamp::from_second(i64::from(seconds)).map(|at| at.to_string()).unwrap_or_default()
    };
    for message in messages {
        let (new, reason) = (&message.new, message.reason.as_ref());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let origin = new.origin.as_ref();
        csv.write_record([
            message.id.clone(),
            new.project.clone(),
            send_time(message).map(at).unwrap_or_default(),
            message.draft.as_ref().map(|draft| draft.method.word().to_owned()).unwrap_or_default(),
            text(&new.record),
            new.survey.as_ref().map(|survey| survey.instrument.clone()).unwrap_or_default(),
            new.survey.as_ref().map(|survey| text(&survey.event)).unwrap_or_default(),
            origin.map(|origin| origin.schedule.clone()).unwrap_or_default(),
            origin.map(|origin| origin.reminder.to_string()).unwrap_or_default(),
            origin.map(|origin| origin.repetition.to_string()).unwrap_or_default(),
            new.purpose.word().to_owned(),
            message.state.name().to_owned(),
            reason.map(|reason| reason.rule.clone()).unwrap_or_default(),
            reason.map(|reason| reason.sentence.clone()).unwrap_or_default(),
            at(message.changed),
        ])?;
    }
    csv.flush()?;
    Ok(())
}

/// When a message was sent, or is to be; none when it is not sent.
fn send_time(message: &Message) -> Option<u32> {
    message.submitted.or(match message.state {
        State::Planned | State::Deferred => Some(message.new.due.max(message.look_at)),
        State::Due | State::Claimed | State::Held => Some(message.new.due),
        _ => None,
    })
}

/// One message's line.
pub async fn line(store: &Store, message: Message, zone: &TimeZone) -> Result<Line, StoreError> {
    let decisions = store
        .story(&message.id)
        .await?
        .into_iter()
        .filter(|(kind, ..)| kind == "decision")
        .map(|(_, _, public)| verdict(&public))
        .collect();
    let delivery_error = message.error_code.map(|code| {
        let words = twilio::explain(code).map_or("Twilio does not document it", |known| known.sentence);
        format!("{code}: {words}")
    });
    let mut wordings: Vec<_> =
        message.draft.iter().flat_map(|d| &d.approvals).map(|a| a.wording.clone()).collect();
    wordings.extend(message.new.wording.clone().filter(|_| wordings.is_empty()));
    let origin = message.new.origin.as_ref();
    Ok(Line {
        send_time: send_time(&message).map(|seconds| at(seconds, zone)),
        event: message.new.survey.as_ref().and_then(|survey| survey.event.clone()),
        schedule: origin.map(|origin| origin.schedule.clone()),
        reminder: origin.map(|origin| origin.reminder),
        repetition: origin.map(|origin| origin.repetition),
        id: message.id,
        project: message.new.project,
        record: message.new.record,
        when: at(message.changed, zone),
        purpose: message.new.purpose.word().into(),
        survey: message.new.survey.map(|survey| survey.instrument),
        method: message.draft.as_ref().map(|draft| draft.method.word().into()),
        wordings,
        segments: message.draft.as_ref().map(|draft| draft.segments),
        status: message.state.name().into(),
        rule: message.reason.as_ref().map(|reason| reason.rule.clone()),
        reason: message.reason.map(|reason| reason.sentence).filter(|_| message.state != State::Delivered),
        delivery_error,
        decisions,
    })
}

fn verdict(public: &Value) -> Verdict {
    let text = |key: &str| public[key].as_str().unwrap_or_default().to_owned();
    let findings = public["findings"].as_array().cloned().unwrap_or_default();
    let of = |key: &str| findings.iter().filter_map(|f| f[key].as_str()).map(str::to_owned).collect();
    let answer = if public["ended"] == "answered" { text("answer") } else { text("ended") };
    Verdict {
        policy: text("policy"),
        stage: public["stage"].as_str().map(str::to_owned),
        answer,
        rules: of("rule"),
        because: of("sentence"),
        fuel: public["fuel"].as_u64().unwrap_or(0),
        component: text("component"),
    }
}

/// The log for a person.
pub fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    if lines.is_empty() {
        return "no messages yet\n".into();
    }
    // A `String` takes every write.
    for line in lines {
        let about = line.survey.as_deref().map(|survey| format!(" to {survey}")).unwrap_or_default();
        let record = line.record.as_deref().map(|record| format!(" for record {record}")).unwrap_or_default();
        let _ =
            writeln!(text, "{}  {}{about}{record}: {}", line.when, line.purpose, line.status.to_uppercase());
        if let Some(reason) = &line.reason {
            let _ = writeln!(text, "    {reason} [{}]", line.rule.as_deref().unwrap_or_default());
        }
        if let Some(error) = &line.delivery_error {
            let _ = writeln!(text, "    delivery error {error}");
        }
        if let Some(method) = &line.method {
            let segments = line.segments.map(|n| format!(", {n} segment{}", if n == 1 { "" } else { "s" }));
            let _ = writeln!(
                text,
                "    {method}{}, wordings {}",
                segments.unwrap_or_default(),
                line.wordings.join(" + ")
            );
        }
        if let Some(schedule) = &line.schedule {
            let nth = line.reminder.filter(|n| *n > 0).map(|n| format!(", reminder {n}")).unwrap_or_default();
            let at = line.send_time.as_deref().map(|at| format!(", send time {at}")).unwrap_or_default();
            let _ = writeln!(text, "    {schedule}{nth}{at}");
        }
        for verdict in &line.decisions {
            let _ = writeln!(text, "    {}", decision(verdict));
            for sentence in &verdict.because {
                let _ = writeln!(text, "               {sentence}");
            }
        }
        let _ = writeln!(text, "    message {}", line.id);
    }
    text
}

/// A decision in one line.
pub fn decision(verdict: &Verdict) -> String {
    let rules =
        if verdict.rules.is_empty() { String::new() } else { format!(" [{}]", verdict.rules.join(", ")) };
    let again = if verdict.stage.as_deref() == Some("claimed") { " again, at sending" } else { "" };
    format!("{:<10} {:<8}{rules} {} fuel{again}", verdict.policy, verdict.answer, verdict.fuel)
}

/// An instant as a person in a zone reads it.
pub fn at(seconds: u32, zone: &TimeZone) -> String {
    Timestamp::from_second(i64::from(seconds)).map_or_else(
        |_| seconds.to_string(),
        |at| {
            let shown = zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
            format!("{shown} {}", zone.to_offset_info(at).abbreviation())
        },
    )
}

/// The instant that somebody writes: RFC 3339, or a date and time on the clock of a zone.
pub(crate) fn instant(text: &str, zone: &TimeZone) -> Option<u32> {
    let text = text.trim();
    let on_the_clock = || {
        let civil: jiff::civil::DateTime = text.replacen(' ', "T", 1).parse().ok()?;
        zone.to_ambiguous_timestamp(civil).compatible().ok()
    };
    let at = text.parse::<Timestamp>().ok().or_else(on_the_clock)?;
    u32::try_from(at.as_second()).ok()
}
