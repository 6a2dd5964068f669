//! Exporting records.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use redcap::calculate::is_begun;
use redcap::logic::{Context, Expression, evaluate, parse};
use redcap::project::Project;
use redcap::record::{Record, columns, to_flat_row};
use serde_json::{Map, Value};

use super::Study;
use super::api::{ApiError, not_valid};
use super::place::is_at;
use crate::form::Form;

pub(super) fn export(study: &Study, form: &Form, now: DateTime) -> Result<Value, ApiError> {
    let project = &study.project;
    if form.filled("type").is_some_and(|kind| kind != "flat") {
        return Err(ApiError::bad("The sandbox exports flat records only"));
    }
    let wanted = Wanted::read(project, form)?;
    let logic = match form.filled("filterLogic").map(parse) {
        None => None,
        Some(Ok(logic)) => Some(logic),
        Some(Err(_)) => return Err(ApiError::bad("The parameter \"filterLogic\" contains a syntax error")),
    };
    let moment = |name: &str| {
        let text = form.filled(name);
        text.map(|text| text.parse::<DateTime>().map_err(|_| not_valid(name, text))).transpose()
    };
    let (begin, end) = (moment("dateRangeBegin")?, moment("dateRangeEnd")?);
    let in_time = |changed: DateTime| {
        begin.is_none_or(|begin| changed >= begin) && end.is_none_or(|end| changed <= end)
    };
    let mut rows = Vec::new();
    for (record, _) in study.records.of(&wanted.records).filter(|(_, changed)| in_time(*changed)) {
        export_record(project, record, &wanted, logic.as_ref(), now, &mut rows);
    }
    Ok(rows.into())
}

struct Wanted {
    records: Vec<String>,
    events: Vec<String>,
    /// None if all are.
    columns: Option<BTreeSet<String>>,
    survey_fields: bool,
    blank_for_gray: bool,
}

impl Wanted {
    fn read(project: &Project, form: &Form) -> Result<Self, ApiError> {
        let (fields, forms, events) = (form.list("fields"), form.list("forms"), form.list("events"));
        if let Some(unknown) = events.iter().find(|name| project.event(name).is_none()) {
            return Err(not_valid("events", unknown));
        }
        if let Some(unknown) = forms.iter().find(|name| project.instrument(name).is_none()) {
            return Err(not_valid("forms", unknown));
        }
        let survey_fields = form.is_true("exportSurveyFields");
        let mut chosen = BTreeSet::new();
        for name in &fields {
            let instrument = if let Some(field) = project.field(name) {
                chosen.extend(columns(field));
                &field.instrument
            } else if let Some(instrument) = project.status_of(name) {
                chosen.insert(format!("{}_complete", instrument.name));
                &instrument.name
            } else {
                return Err(not_valid("fields", name));
            };
            chosen.insert(format!("{instrument}_timestamp"));
        }
        for form in &forms {
            chosen.extend(project.fields_of(form).flat_map(columns));
            chosen.insert(format!("{form}_complete"));
            chosen.insert(format!("{form}_timestamp"));
        }
        Ok(Self {
            records: form.list("records"),
            events,
            columns: (!fields.is_empty() || !forms.is_empty()).then_some(chosen),
            survey_fields,
            blank_for_gray: form.is_true("exportBlankForGrayFormStatus"),
        })
    }

    fn column(&self, project: &Project, name: &str) -> bool {
        let is_timestamp = project.field(name).is_none()
            && name.strip_suffix("_timestamp").is_some_and(|form| project.survey(form).is_some());
        (self.survey_fields || !is_timestamp)
            && self.columns.as_ref().is_none_or(|columns| columns.contains(name))
    }
}

fn export_record(
    project: &Project,
    record: &Record,
    wanted: &Wanted,
    logic: Option<&Expression>,
    now: DateTime,
    rows: &mut Vec<Map<String, Value>>,
) {
    for place in record.places() {
        if !wanted.events.is_empty() && !wanted.events.iter().any(|event| event == place.event_name()) {
            continue;
        }
        let context = Context::new(project, record, place, now);
        if logic.is_some_and(|logic| !evaluate(logic, &context).is_true()) {
            continue;
        }
        let mut row = to_flat_row(project, record, place, &|name| wanted.column(project, name));
        for instrument in &project.instruments {
            let Some(status) = row.get_mut(&format!("{}_complete", instrument.name)) else { continue };
            if status.as_str() != Some("") {
                continue;
            }
            let here = is_at(project, place, &instrument.name);
            if here && (!wanted.blank_for_gray || is_begun(project, record, place, &instrument.name)) {
                *status = "0".into();
            }
        }
        if wanted.survey_fields {
            row.insert("redcap_survey_identifier".to_owned(), "".into());
        }
        rows.push(row);
    }
}
