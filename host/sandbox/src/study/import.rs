//! Importing records. Either every value is taken, or none is.

use jiff::civil::{Date, DateTime};
use redcap::project::{Field, FieldKind, Project};
use redcap::record::{Place, checkbox_column};
use redcap::validate;
use serde_json::{Map, Value};

use super::Study;
use super::api::ApiError;
use super::log::{self, Deed};
use super::place::is_at;
use crate::form::Form;

/// One value that was judged good.
struct Change {
    record: String,
    place: Place,
    column: String,
    value: String,
}

/// What is wrong with a value. REDCap tells all of them as lines of CSV.
struct Wrong {
    record: String,
    field: String,
    value: String,
    why: String,
}

/// A record that an import touched.
struct Touched {
    id: String,
    deed: Deed,
    place: Option<Place>,
    details: Vec<String>,
}

/// Imports flat JSON, and gives the ids of the records. It sets no survey timestamp and fires no trigger,
/// whatever the rows say.
pub(super) fn import(study: &mut Study, form: &Form, now: DateTime) -> Result<Vec<String>, ApiError> {
    if form.filled("type").is_some_and(|kind| kind != "flat") {
        return Err(ApiError::bad("The sandbox imports flat records only"));
    }
    if form.is_true("forceAutoNumber") {
        return Err(ApiError::bad("The sandbox does not number imported records"));
    }
    let data = form.get("data").unwrap_or_default();
    let rows: Vec<Map<String, Value>> = serde_json::from_str(data)
        .map_err(|_| ApiError::bad("The data being imported is not formatted correctly"))?;
    let erases = form.get("overwriteBehavior") == Some("overwrite");

    let (mut changes, mut wrong) = (Vec::new(), Vec::new());
    for row in &rows {
        judge_row(study, row, erases, now.date(), &mut changes, &mut wrong)?;
    }
    if !wrong.is_empty() {
        let lines: Vec<String> = wrong
            .iter()
            .map(|wrong| {
                let columns = [&wrong.record, &wrong.field, &wrong.value, &wrong.why];
                columns.map(|text| format!("\"{}\"", text.replace('"', "\"\""))).join(",")
            })
            .collect();
        return Err(ApiError::bad(lines.join("\n")));
    }

    let mut touched: Vec<Touched> = Vec::new();
    let id_field = study.project.record_id_field.clone();
    for Change { record: id, place, column, value } in changes {
        // Rows of one record mostly follow each other.
        let at = touched.iter().rposition(|touched| touched.id == id).unwrap_or_else(|| {
            let deed = if study.records.get(&id).is_some() { Deed::Update } else { Deed::Create };
            touched.push(Touched { id: id.clone(), deed, place: None, details: Vec::new() });
            touched.len() - 1
        });
        let record = study.records.change(&id, now);
        record.set(&id_field, &place, &id);
        if column == id_field || record.get(&column, &place).unwrap_or_default() == value {
            continue;
        }
        record.set(&column, &place, &value);
        let touched = &mut touched[at];
        if touched.place.as_ref() != Some(&place) {
            touched.details.push(log::details(&place, Vec::new()));
            touched.place = Some(place);
        }
        touched.details.push(log::detail(&study.project, &column, &value));
    }
    let ids = touched.iter().map(|touched| touched.id.clone()).collect();
    for Touched { id, deed, mut details, .. } in touched {
        study.recalculate(&id, now);
        details.retain(|detail| !detail.is_empty());
        let verb = if deed == Deed::Create { "Create" } else { "Update" };
        let action = format!("{verb} record (API) {id}");
        study.note(now, deed, "api_user", action, details.join(", "), &id);
    }
    Ok(ids)
}

fn judge_row(
    study: &Study,
    row: &Map<String, Value>,
    erases: bool,
    today: Date,
    changes: &mut Vec<Change>,
    wrong: &mut Vec<Wrong>,
) -> Result<(), ApiError> {
    let project = &study.project;
    let record = text(row.get(&project.record_id_field));
    if record.is_empty() {
        return Err(ApiError::bad(format!(
            "The record ID field \"{}\" is missing from the data",
            project.record_id_field
        )));
    }
    let place = match place_of(study, &record, row) {
        Ok(place) => place,
        Err((field, why)) => {
            wrong.push(Wrong { record, field: field.to_owned(), value: text(row.get(field)), why });
            return Ok(());
        }
    };
    // A row makes the record even if it holds nothing else.
    changes.push(Change {
        record: record.clone(),
        place: place.clone(),
        column: project.record_id_field.clone(),
        value: record.clone(),
    });
    for (column, value) in row {
        let value = text(Some(value));
        if *column == project.record_id_field || is_ignored(project, column) {
            continue;
        }
        let Some(target) = Column::find(project, column) else {
            return Err(ApiError::bad(format!(
                "The following fields were not found in the project as real data fields: {column}"
            )));
        };
        if matches!(target, Column::Computed) || (value.is_empty() && !erases) {
            continue;
        }
        let mut refuse = |why: &str| {
            let (record, field) = (record.clone(), column.clone());
            wrong.push(Wrong { record, field, value: value.clone(), why: why.to_owned() });
        };
        if !is_at(project, &place, target.instrument()) {
            if !value.is_empty() {
                refuse("This field is not part of the event, or of the repeating instrument, of its row");
            }
            continue;
        }
        match target.judge(project, &value, today) {
            Ok(value) => {
                let (record, place, column) = (record.clone(), place.clone(), column.to_ascii_lowercase());
                changes.push(Change { record, place, column, value });
            }
            Err(why) => refuse(&why),
        }
    }
    Ok(())
}

/// Where a row stands, or which column is wrong about it.
fn place_of(study: &Study, record: &str, row: &Map<String, Value>) -> Result<Place, (&'static str, String)> {
    const EVENT: &str = "redcap_event_name";
    const INSTRUMENT: &str = "redcap_repeat_instrument";
    const INSTANCE: &str = "redcap_repeat_instance";
    let project = &study.project;
    let filled = |key: &str| Some(text(row.get(key))).filter(|value| !value.is_empty());
    let event = match filled(EVENT) {
        Some(event) if project.event(&event).is_some() => event,
        Some(_) => return Err((EVENT, "There is no such event".to_owned())),
        None if project.longitudinal => return Err((EVENT, "The event is missing".to_owned())),
        None => study.first_event(),
    };
    let instrument = filled(INSTRUMENT);
    if instrument.as_deref().is_some_and(|instrument| !project.repeats(&event, instrument)) {
        return Err((INSTRUMENT, "This instrument does not repeat at this event".to_owned()));
    }
    let counts = instrument.is_some() || project.event_repeats(&event);
    let instance = match filled(INSTANCE) {
        None if instrument.is_some() => return Err((INSTANCE, "The instance is missing".to_owned())),
        None => 1,
        Some(_) if !counts => return Err((INSTANCE, "Nothing repeats in this row".to_owned())),
        Some(new) if new == "new" => {
            study.records.get(record).map_or(0, |record| record.last_instance(&event, instrument.as_deref()))
                + 1
        }
        Some(number) => match number.parse() {
            Ok(instance) if instance > 0 => instance,
            _ => return Err((INSTANCE, "The instance is not a number from 1".to_owned())),
        },
    };
    Ok(Place { event: Some(event), instrument, instance })
}

/// Columns that an export has and an import passes over.
fn is_ignored(project: &Project, column: &str) -> bool {
    if project.field(column).is_some() {
        return false;
    }
    let is_timestamp =
        column.strip_suffix("_timestamp").is_some_and(|form| project.instrument(form).is_some());
    column.starts_with("redcap_") || is_timestamp
}

enum Column<'a> {
    Value(&'a Field),
    Box(&'a Field),
    Status(&'a str),
    /// Values that REDCap makes itself, or that are no text.
    Computed,
}

impl<'a> Column<'a> {
    fn find(project: &'a Project, column: &str) -> Option<Self> {
        if let Some(field) = project.field(column) {
            return match field.kind {
                FieldKind::Checkbox | FieldKind::Descriptive => None,
                FieldKind::Calc | FieldKind::File | FieldKind::Signature => Some(Self::Computed),
                _ => Some(Self::Value(field)),
            };
        }
        if let Some(instrument) = project.status_of(column) {
            return Some(Self::Status(&instrument.name));
        }
        let (name, _) = column.split_once("___")?;
        let field = project.field(name).filter(|field| field.kind == FieldKind::Checkbox)?;
        let known = field
            .choices
            .iter()
            .any(|choice| checkbox_column(&field.name, &choice.code).eq_ignore_ascii_case(column));
        known.then_some(Self::Box(field))
    }

    fn instrument(&self) -> &str {
        match self {
            Self::Value(field) | Self::Box(field) => &field.instrument,
            Self::Status(instrument) => instrument,
            Self::Computed => "",
        }
    }

    /// The value as it is stored.
    fn judge(&self, project: &Project, value: &str, today: Date) -> Result<String, String> {
        match self {
            Self::Computed => Ok(String::new()),
            Self::Status(_) if matches!(value, "" | "0" | "1" | "2") => Ok(value.to_owned()),
            Self::Box(_) if matches!(value, "" | "0" | "1") => Ok(value.to_owned()),
            Self::Status(_) | Self::Box(_) => {
                Err("The value is not a valid category for this field".to_owned())
            }
            Self::Value(field) => {
                let missing = &project.missing_data_codes;
                let stored = validate::check_imported(field, value, today, missing);
                stored.map(|stored| stored.value).map_err(|refusal| refusal.sentence)
            }
        }
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(truth)) => u8::from(*truth).to_string(),
        Some(other) => other.to_string(),
    }
}
