//! The records of a simulation: a CSV file in the form of REDCap's own import, each row a form that staff save. A
//! column `sim_at` says when ("day 2 09:00"); without it a row is there from the beginning.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Time;
use miette::{IntoDiagnostic, miette};

/// A form that is saved.
#[derive(Clone, Debug)]
pub struct Row {
    /// The day, counted from the first, and the time; none for the beginning.
    pub at: Option<(i64, Time)>,
    /// The record.
    pub record: String,
    /// The instrument.
    pub instrument: String,
    /// The event; none in a classic project.
    pub event: Option<String>,
    /// The repeat instance.
    pub instance: u32,
    /// Columns and values.
    pub values: Vec<(String, String)>,
}

/// Columns that are no fields.
const OWN: [&str; 4] = ["sim_at", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"];

/// Reads the rows, in the order of the file, and within a row in the order of the instruments.
pub(crate) fn read(path: &Path, model: &redcap::Project) -> miette::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).into_diagnostic()?;
    let headers = reader.headers().into_diagnostic()?.clone();
    let told = |line: u64, why: &str| miette!("`{}`, line {line}: {why}", path.display());
    let instrument_of = |column: &str| {
        let field = column.split_once("___").map_or(column, |(field, _)| field);
        let field = model.field(field).map(|field| field.instrument.clone());
        field.or_else(|| model.status_of(column).map(|form| form.name.clone()))
    };
    for column in &headers {
        if column != model.record_id_field && !OWN.contains(&column) && instrument_of(column).is_none() {
            return Err(told(1, &format!("the project has no field `{column}`")));
        }
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.into_diagnostic()?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let at = headers.iter().position(|header| header == name)?;
            row.get(at).filter(|value| !value.is_empty())
        };
        let record = cell(&model.record_id_field)
            .ok_or_else(|| told(line, &format!("`{}` is blank", model.record_id_field)))?;
        let at = match cell("sim_at") {
            Some(words) => Some(
                moment(words)
                    .ok_or_else(|| told(line, &format!("`{words}` is no moment, such as `day 2 09:00`")))?,
            ),
            None => None,
        };
        let event = cell("redcap_event_name").filter(|_| model.longitudinal).map(str::to_owned);
        let instance = match cell("redcap_repeat_instance") {
            Some(words) => {
                words.parse().map_err(|_| told(line, &format!("`{words}` is no repeat instance")))?
            }
            None => 1,
        };
        let mut by_form: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
        for (column, value) in headers.iter().zip(&row) {
            let Some(instrument) = instrument_of(column).filter(|_| !value.is_empty()) else { continue };
            if column == model.record_id_field {
                continue;
            }
            let order = model.instruments.iter().position(|form| form.name == instrument).unwrap_or(0);
            by_form.entry(order).or_default().push((column.to_owned(), value.to_owned()));
        }
        if by_form.is_empty() {
            by_form.insert(0, vec![]);
        }
        for (order, mut values) in by_form {
            let instrument = model.instruments[order].name.clone();
            let status = format!("{instrument}_complete");
            // Who writes a row says that the form is done, unless the row says otherwise.
            if !values.iter().any(|(column, _)| *column == status) {
                values.push((status, "2".into()));
            }
            let (record, event) = (record.to_owned(), event.clone());
            rows.push(Row { at, record, instrument, event, instance, values });
        }
    }
    Ok(rows)
}

/// `day 2 09:00`.
fn moment(words: &str) -> Option<(i64, Time)> {
    let (day, time) = words.strip_prefix("day ")?.trim().split_once(' ')?;
    Some((day.parse().ok()?, time.trim().parse().ok()?))
}
