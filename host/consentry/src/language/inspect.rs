//! What a project holds, and everything that is wrong with it.

use std::io::Write;
use std::path::Path;

use miette::IntoDiagnostic;
use redcap::analyze::Obstacle;
use redcap::inspect::{Inspection, Trouble, inspect as look};
use redcap::project::{FieldKind, Project};
use serde_json::{Value as Json, json};

use super::{Lines, draw, print_json, read};

/// True if nothing is wrong.
pub(super) fn inspect(file: &Path, json: bool, out: &mut impl Write) -> miette::Result<bool> {
    let (project, problems) = read(file)?;
    let inspection = look(&project, &problems);
    if json {
        print_json(out, &as_json(&project, &inspection))?;
    } else {
        holdings(&project, &inspection, out).into_diagnostic()?;
        surveys(&project, &inspection, out).into_diagnostic()?;
        let text = std::fs::read(file).into_diagnostic()?;
        let text = String::from_utf8_lossy(&text);
        let lines = Lines::of(&text);
        for trouble in &inspection.troubles {
            tell(file, trouble, &lines, out)?;
        }
        let count = inspection.troubles.len();
        let said = match count {
            0 => "no problems".to_owned(),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        writeln!(out, "{said}").into_diagnostic()?;
    }
    Ok(inspection.troubles.is_empty())
}

/// What is counted, in the words it is told with.
fn counts(project: &Project, inspection: &Inspection) -> Vec<(&'static str, usize)> {
    let of_kind =
        |test: fn(&redcap::project::Field) -> bool| project.fields.iter().filter(|f| test(f)).count();
    let calculated = of_kind(|field| {
        field.kind == FieldKind::Calc || field.has_tag("@CALCTEXT") || field.has_tag("@CALCDATE")
    });
    vec![
        ("arms", project.arms.len().max(1)),
        ("events", project.events.len()),
        ("instruments", project.instruments.len()),
        ("repeating instruments and events", project.repeating.len()),
        ("fields", project.fields.len()),
        ("calculated fields", calculated),
        ("identifiers", of_kind(|field| field.identifier)),
        ("required fields", of_kind(|field| field.required)),
        ("missing data codes", project.missing_data_codes.len()),
        ("surveys", project.surveys.len()),
        ("rows in the survey queue", project.queue.len()),
        ("automated survey invitations", project.invitations.len()),
        ("alerts", project.alerts.len()),
        (
            "alerts by text message or call",
            project.alerts.iter().filter(|alert| alert.kind != "EMAIL").count(),
        ),
        ("records", project.records.len()),
        ("conditions and formulas", inspection.expressions),
        ("of them without a finding", inspection.sound),
    ]
}

fn holdings(project: &Project, inspection: &Inspection, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}", project.title)?;
    let shape = match (project.fields_only, project.longitudinal) {
        (true, _) => "a data dictionary, which tells nothing of events, surveys and records",
        (false, true) => "longitudinal",
        (false, false) => "classic",
    };
    let told =
        |before: &str, text: &str| if text.is_empty() { String::new() } else { format!("{before}{text}") };
    let version = told(", from REDCap ", &project.redcap_version);
    writeln!(out, "{shape}{version}{}", told(", exported ", &project.exported_at))?;
    let purpose = match project.purpose.as_str() {
        "0" => "practice",
        "1" => "other",
        "2" => "research",
        "3" => "quality improvement",
        "4" => "operational support",
        _ => "not told",
    };
    writeln!(out, "purpose: {purpose}{}\n", told("; IRB number: ", &project.irb_number))?;
    for (what, count) in counts(project, inspection) {
        writeln!(out, "{:<34}{count:>6}", format!("{what}:"))?;
    }
    writeln!(out)
}

fn surveys(project: &Project, inspection: &Inspection, out: &mut impl Write) -> std::io::Result<()> {
    if inspection.surveys.is_empty() {
        return writeln!(out, "no surveys\n");
    }
    writeln!(out, "surveys, and what keeps a phone from taking them whole")?;
    for (instrument, analysis) in &inspection.surveys {
        let title = project.survey(instrument).map(|survey| survey.title.as_str()).unwrap_or_default();
        writeln!(out, "  {instrument} ({title})")?;
        for (medium, obstacles) in [("text message", &analysis.sms), ("call", &analysis.voice)] {
            if obstacles.is_empty() {
                writeln!(out, "    by {medium}: nothing")?;
            }
            for obstacle in obstacles {
                writeln!(out, "    by {medium}: {}; {}", obstacle.sentence, obstacle.help)?;
            }
        }
    }
    writeln!(out)
}

/// Draws the text a problem is in: the condition or message, or else the line of the file, unless that
/// may not be shown or is too long to be looked at.
fn tell(file: &Path, trouble: &Trouble, lines: &Lines<'_>, out: &mut impl Write) -> miette::Result<()> {
    let number = if trouble.line > 0 { format!(":{}", trouble.line) } else { String::new() };
    let place = if trouble.place.is_empty() { String::new() } else { format!(", {}", trouble.place) };
    let name = format!("{}{number}{place}", file.display());
    let help = trouble.help.clone().unwrap_or_default();
    let line = lines.get(trouble.line).filter(|_| !trouble.withheld);
    match (&trouble.excerpt, line) {
        (Some((text, at)), _) => draw(out, &name, text, &[(at.clone(), trouble.sentence.clone(), help)]),
        (None, Some(line)) => draw(out, &name, line, &[(0..line.len(), trouble.sentence.clone(), help)]),
        (None, None) => {
            let help = if help.is_empty() { help } else { format!("\n  help: {help}") };
            writeln!(out, "  × {}\n   in {name}{help}", trouble.sentence).into_diagnostic()
        }
    }
}

fn as_json(project: &Project, inspection: &Inspection) -> Json {
    let counts: serde_json::Map<String, Json> = counts(project, inspection)
        .into_iter()
        .map(|(what, count)| (what.replace(' ', "_"), count.into()))
        .collect();
    let problem = |trouble: &Trouble| {
        let (text, at) = trouble.excerpt.clone().unzip();
        json!({
            "line": trouble.line,
            "place": trouble.place,
            "sentence": trouble.sentence,
            "help": trouble.help,
            "text": text,
            "from": at.as_ref().map(|at| at.start),
            "to": at.as_ref().map(|at| at.end),
        })
    };
    let obstacles = |obstacles: &[Obstacle]| {
        let obstacle = |obstacle: &Obstacle| json!({ "field": obstacle.field, "sentence": obstacle.sentence, "help": obstacle.help });
        json!({
            "possible": obstacles.is_empty(),
            "obstacles": obstacles.iter().map(obstacle).collect::<Vec<_>>(),
        })
    };
    let surveys = inspection.surveys.iter().map(|(instrument, analysis)| {
        json!({
            "instrument": instrument,
            "title": project.survey(instrument).map(|survey| &survey.title),
            "sms": obstacles(&analysis.sms),
            "voice": obstacles(&analysis.voice),
        })
    });
    json!({
        "title": project.title,
        "longitudinal": project.longitudinal,
        "redcap_version": project.redcap_version,
        "exported_at": project.exported_at,
        "purpose": project.purpose,
        "irb_number": project.irb_number,
        "counts": counts,
        "problems": inspection.troubles.iter().map(problem).collect::<Vec<_>>(),
        "surveys": surveys.collect::<Vec<_>>(),
    })
}
