//! Each calculated field of each record: what a server stored, and what comes out here.

use std::io::Write;
use std::path::Path;

use miette::IntoDiagnostic;
use redcap::calculate::{Calculations, Comparison};
use serde_json::json;

use super::{draw, here_and_now, moment, print_json, read};

/// True if every stored value is equal to the computed one, and the file and every calculation can be read.
pub(super) fn recalculate(
    file: &Path,
    now: Option<&str>,
    json: bool,
    out: &mut impl Write,
) -> miette::Result<bool> {
    let (project, reader_problems) = read(file)?;
    if project.records.is_empty() {
        let line = "the file holds no records to compare; export the project with its records, as XML";
        writeln!(std::io::stderr(), "{line}").into_diagnostic()?;
    }
    // What a server stored was computed before the export, so that is the moment closest to it.
    let now = match now.or(Some(project.exported_at.as_str()).filter(|at| !at.is_empty())) {
        Some(now) => moment(now)?,
        None => here_and_now(),
    };
    let calculations = Calculations::of(&project);
    let mut passed_over = 0;
    let mut compared: Vec<(&str, Comparison)> = Vec::new();
    for record in &project.records {
        let found = calculations.compare(&project, record, now);
        passed_over += found.passed_over;
        compared.extend(found.values.into_iter().map(|value| (record.id.as_str(), value)));
    }
    // What depends on the time was computed when its record was last saved, and nobody knows when.
    let different = compared.iter().filter(|(_, value)| !value.equal && !value.depends_on_time).count();
    let over_time = compared.iter().filter(|(_, value)| !value.equal && value.depends_on_time).count();
    let equal = compared.len() - different - over_time;
    if json {
        let value = |(record, comparison): &(&str, Comparison)| {
            json!({
                "record": record,
                "event": comparison.place.event_name(),
                "instrument": comparison.place.instrument,
                "instance": comparison.place.instance,
                "field": comparison.field,
                "stored": comparison.stored,
                "computed": comparison.computed,
                "equal": comparison.equal,
                "depends_on_time": comparison.depends_on_time,
            })
        };
        let problems = calculations.problems.iter().map(|problem| {
            json!({
                "field": problem.field,
                "text": problem.text,
                "from": problem.mistake.at.start,
                "to": problem.mistake.at.end,
                "sentence": problem.mistake.sentence,
                "help": problem.mistake.help,
            })
        });
        let of_reader = reader_problems.iter().map(
            |problem| json!({ "line": problem.line, "sentence": problem.sentence, "help": problem.help }),
        );
        let answer = json!({
            "now": now.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "records": project.records.len(),
            "calculated_fields": calculations.fields().count(),
            "values": compared.iter().map(value).collect::<Vec<_>>(),
            "equal": equal,
            "different": different,
            "different_as_time_passed": over_time,
            "blank_and_never_computed": passed_over,
            "problems": problems.collect::<Vec<_>>(),
            "reader_problems": of_reader.collect::<Vec<_>>(),
        });
        print_json(out, &answer)?;
    } else {
        for (record, comparison) in &compared {
            let place = &comparison.place;
            let event =
                if project.longitudinal { format!("[{}]", place.event_name()) } else { String::new() };
            let counts = place.instrument.is_some() || project.event_repeats(place.event_name());
            let instance = if counts { format!("[{}]", place.instance) } else { String::new() };
            let verdict = match (comparison.equal, comparison.depends_on_time) {
                (true, _) => "equal",
                (false, false) => "DIFFERENT",
                (false, true) => "different, as it depends on the time",
            };
            writeln!(
                out,
                "{record}  {event}[{}]{instance}  stored `{}`  computed `{}`  {verdict}",
                comparison.field, comparison.stored, comparison.computed
            )
            .into_diagnostic()?;
        }
        for problem in &calculations.problems {
            let name = format!("the calculation of `{}`", problem.field);
            let mistake = &problem.mistake;
            draw(
                out,
                &name,
                &problem.text,
                &[(mistake.at.clone(), mistake.sentence.clone(), mistake.help.clone())],
            )?;
        }
        // A value that was left out was not compared, and what is equal may be so for the wrong reason.
        for problem in &reader_problems {
            let help = problem.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
            writeln!(out, "{problem}{help}").into_diagnostic()?;
        }
        writeln!(
            out,
            "{} values of {} calculated fields in {} records at {}: {equal} equal, {different} different, \
             {over_time} different as time passed; {passed_over} blanks that nothing called for",
            compared.len(),
            calculations.fields().count(),
            project.records.len(),
            now.strftime("%Y-%m-%d %H:%M:%S"),
        )
        .into_diagnostic()?;
    }
    Ok(different == 0 && calculations.problems.is_empty() && reader_problems.is_empty())
}
