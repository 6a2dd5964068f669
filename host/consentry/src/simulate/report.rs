//! What came of a simulation, for a terminal, a table and a page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::civil::{Date, Time};
use miette::IntoDiagnostic;

use super::{Line, Simulation};

/// The hours in which texts are usual, on the recipient's clock: 47 CFR 64.1200(c)(1).
pub(super) const FROM: Time = Time::constant(8, 0, 0, 0);
pub(super) const UNTIL: Time = Time::constant(21, 0, 0, 0);

/// What is to be known beside the messages themselves.
#[derive(Debug, Default)]
pub struct Findings {
    /// Messages that were sent.
    pub sent: usize,
    /// Their segments.
    pub segments: u64,
    /// What they cost, in millionths of a dollar.
    pub micros: i64,
    /// The most texts that one participant got on one day: how many, who, when.
    pub most: Option<(usize, String, Date)>,
    /// Texts by participant and day.
    pub by_day: BTreeMap<(String, Date), usize>,
    /// Messages that were not sent, by state, rule and schedule: how many, and why.
    pub not_sent: BTreeMap<(String, String, String), (usize, String)>,
    /// Texts outside of the usual hours: record, when, schedule.
    pub at_night: Vec<(String, String, String)>,
    /// Invitations to two surveys within an hour: record, when, surveys.
    pub overlaps: Vec<(String, String, String)>,
}

/// Looks at a simulation as a whole.
pub fn findings(simulation: &Simulation) -> Findings {
    let mut found = Findings::default();
    let mut last: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in &simulation.messages {
        let schedule = line.schedule.clone().unwrap_or_else(|| line.purpose.to_owned());
        if !line.sent {
            let rule = line.rule.clone().unwrap_or_default();
            let entry = found.not_sent.entry((line.state.to_owned(), rule, schedule)).or_default();
            entry.0 += 1;
            entry.1 =
                line.why.clone().unwrap_or_else(|| "it was not due yet when the simulation ended".into());
            continue;
        }
        found.sent += 1;
        found.segments += u64::from(line.segments);
        found.micros += line.micros;
        if line.to != "participant" {
            continue;
        }
        let Some(record) = &line.record else { continue };
        *found.by_day.entry((record.clone(), line.at.date())).or_default() += 1;
        if line.segments > 0 && (line.at.time() < FROM || line.at.time() >= UNTIL) {
            found.at_night.push((record.clone(), when(line), schedule));
        }
        if let Some(survey) = line.survey.as_ref().filter(|_| line.purpose == "invitation") {
            let before = last.insert(record, line);
            if let Some(before) =
                before.filter(|it| line.instant - it.instant < 3600 && it.survey != line.survey)
            {
                let both = format!("{} and {survey}", before.survey.as_deref().unwrap_or("-"));
                found.overlaps.push((record.clone(), when(line), both));
            }
        }
    }
    found.most = found
        .by_day
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|((record, date), count)| (*count, record.clone(), *date));
    found
}

/// What is needed, each once, with the schedules that need it.
pub fn needs(simulation: &Simulation) -> BTreeMap<&super::needs::Need, Vec<&str>> {
    let mut all: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (schedule, needs) in &simulation.needs {
        for need in needs {
            all.entry(need).or_default().push(schedule);
        }
    }
    all
}

/// When a message was due or left, on the recipient's clock.
pub fn when(line: &Line) -> String {
    line.at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// For a terminal: participant by participant, then what is to be known.
pub fn text(simulation: &Simulation) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} days from {}, on the clock of {}",
        simulation.title,
        simulation.days,
        simulation.from.strftime("%Y-%m-%d %H:%M"),
        simulation.zone
    );
    for sentence in &simulation.assumed {
        let _ = writeln!(out, "assumed: {sentence}");
    }
    let mut by_record: BTreeMap<Option<&str>, Vec<&Line>> = BTreeMap::new();
    for line in &simulation.messages {
        by_record.entry(line.record.as_deref()).or_default().push(line);
    }
    for (record, lines) in by_record {
        let _ = writeln!(out, "\nrecord {}", record.unwrap_or("-"));
        for line in lines {
            let _ = writeln!(out, "  {}", one(line));
        }
    }
    let found = findings(simulation);
    let _ = writeln!(
        out,
        "\n{} records; {} messages sent, {} segments, about {:.2} dollars",
        simulation.records,
        found.sent,
        found.segments,
        dollars(found.micros)
    );
    if let Some((count, record, date)) = &found.most {
        let _ = writeln!(out, "the most texts on one day: {count}, to record {record} on {date}");
    }
    for ((state, rule, schedule), (count, why)) in &found.not_sent {
        let _ = writeln!(out, "{state}: {count} of {schedule} ({rule}): {why}");
    }
    for (record, when, schedule) in &found.at_night {
        let _ = writeln!(out, "outside of the usual hours: {schedule} to record {record} at {when}");
    }
    for (record, when, surveys) in &found.overlaps {
        let _ = writeln!(out, "two surveys within an hour: {surveys}, to record {record} at {when}");
    }
    for (need, schedules) in needs(simulation) {
        let some = schedules.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let more = schedules.len().checked_sub(3).filter(|more| *more > 0);
        let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
        let _ = writeln!(out, "needed ({}): {}: {some}{more}", need.rule, need.sentence);
    }
    let writes: BTreeSet<&str> =
        simulation.needs.iter().flat_map(|(_, needs)| needs).map(|need| need.write.as_str()).collect();
    if !writes.is_empty() {
        let _ = writeln!(out, "\nwhat an institution would write to send them:");
    }
    for write in writes {
        let _ = writeln!(out, "\n{write}");
    }
    out
}

/// A message in a line: when, what, by which schedule, and what became of it.
pub fn one(line: &Line) -> String {
    let mut words = format!("{}  {:<10} {}", when(line), line.state, line.purpose);
    if line.to != "participant" {
        let _ = write!(words, " to {}", line.to);
    }
    if let Some(schedule) = &line.schedule {
        let _ = write!(words, "  {schedule}");
    }
    if line.reminder > 0 {
        let _ = write!(words, " #{}", line.reminder);
    }
    if line.repetition > 1 {
        let _ = write!(words, " repetition {}", line.repetition);
    }
    if let (Some(rule), Some(why)) = (&line.rule, &line.why) {
        let _ = write!(words, "  ({rule}: {why})");
    }
    if let Some(text) = &line.text {
        let _ = write!(words, "\n      “{}”", text.replace('\n', "\n       "));
    }
    words
}

/// As a table, a message a row.
pub fn csv(simulation: &Simulation) -> miette::Result<String> {
    let mut table = ::csv::Writer::from_writer(vec![]);
    let header = [
        "at",
        "zone",
        "record",
        "to",
        "purpose",
        "method",
        "schedule",
        "survey",
        "reminder",
        "repetition",
        "state",
        "rule",
        "why",
        "segments",
        "text",
    ];
    table.write_record(header).into_diagnostic()?;
    for line in &simulation.messages {
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = [
            when(line),
            line.zone.clone(),
            some(&line.record),
            line.to.into(),
            line.purpose.into(),
            line.method.unwrap_or_default().into(),
            some(&line.schedule),
            some(&line.survey),
            line.reminder.to_string(),
            line.repetition.to_string(),
            line.state.into(),
            some(&line.rule),
            some(&line.why),
            line.segments.to_string(),
            some(&line.text),
        ];
        table.write_record(row).into_diagnostic()?;
    }
    String::from_utf8(table.into_inner().into_diagnostic()?).into_diagnostic()
}

/// As a page.
pub fn html(simulation: &Simulation) -> miette::Result<String> {
    super::page::html(simulation)
}

/// Millionths of a dollar as dollars, for a person.
#[expect(clippy::cast_precision_loss, reason = "cents are shown, and no account holds 2^53 of them")]
pub fn dollars(micros: i64) -> f64 {
    micros.max(0) as f64 / 1_000_000.0
}
