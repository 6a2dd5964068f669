//! The API: one address, everything by POST.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::civil::DateTime;
use quick_xml::escape::escape;
use redcap::odm::write_project;
use redcap::project::{Choice, Field, FieldKind, Project};
use redcap::record::{Place, SurveyTimestamp};
use serde_json::{Value, json};

use super::links::{Links, Target};
use super::{Study, export, import, log};
use crate::form::Form;
use crate::world::World;

pub(super) const PROJECT_ID: u32 = 1;
const VERSION: &str = "16.1.3";

/// REDCap says no.
pub(super) struct ApiError {
    status: StatusCode,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// Errors come in three shapes, and XML is the default.
    fn into_response(self, format: &str) -> Response {
        let Self { status, message } = self;
        let (content_type, body) = match format {
            "json" => ("application/json; charset=utf-8", json!({ "error": message }).to_string()),
            "csv" => ("text/html; charset=utf-8", format!("ERROR: {message}")),
            _ => (
                "text/xml; charset=utf-8",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><hash><error>{}</error></hash>",
                    escape(&message)
                ),
            ),
        };
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

pub(super) fn router() -> Router<Arc<World>> {
    Router::new().route("/redcap/api/", post(answer))
}

async fn answer(State(world): State<Arc<World>>, body: Bytes) -> Response {
    let form = Form::read(&body);
    let format = form.filled("format").unwrap_or("xml");
    let return_format = form.filled("returnFormat").unwrap_or(format).to_owned();
    match dispatch(&world, &form, format) {
        Ok((content_type, body)) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Err(error) => error.into_response(&return_format),
    }
}

/// A content type and a body.
type Answer = (&'static str, String);

fn dispatch(world: &World, form: &Form, format: &str) -> Result<Answer, ApiError> {
    let mut guard = world.study();
    let study = &mut *guard;
    if form.get("token").is_none_or(|token| !token.eq_ignore_ascii_case(&study.token)) {
        return Err(ApiError {
            status: StatusCode::FORBIDDEN,
            message: "You do not have permissions to use the API".to_owned(),
        });
    }
    let content = form.filled("content").unwrap_or_default();
    match content {
        "version" => return Ok(plain(VERSION.to_owned())),
        "surveyLink" => return survey_link(world, study, form),
        "surveyAccessCode" => return survey_access_code(study, form),
        "surveyReturnCode" => return survey_return_code(study, form),
        "surveyQueueLink" => return survey_queue_link(world, study, form),
        "project_xml" => return Ok(project_xml(study, form)),
        _ => {}
    }
    let now = world.local_now();
    let is_import = content == "record" && form.get("data").is_some();
    let known = matches!(
        content,
        "project"
            | "metadata"
            | "instrument"
            | "event"
            | "formEventMapping"
            | "repeatingFormsEvents"
            | "record"
            | "participantList"
            | "log"
    );
    if !known {
        return Err(ApiError::bad("The value of the parameter \"content\" is not valid"));
    }
    if format != "json" {
        return Err(ApiError::bad("The sandbox speaks JSON only: set the parameter \"format\" to \"json\""));
    }
    let rows = match content {
        "project" => project_info(&study.project),
        "metadata" => metadata(&study.project, form)?,
        "instrument" => study
            .project
            .instruments
            .iter()
            .map(|known| json!({ "instrument_name": known.name, "instrument_label": known.label }))
            .collect(),
        "event" => events(&study.project)?,
        "formEventMapping" => form_event_mapping(&study.project)?,
        "repeatingFormsEvents" => repeating(&study.project)?,
        "record" if is_import => {
            let touched = import::import(study, form, now)?;
            drop(guard);
            world.changed();
            return Ok(as_json(&match form.filled("returnContent") {
                Some("ids") => json!(touched),
                Some("nothing") => json!({}),
                _ => json!({ "count": touched.len() }),
            }));
        }
        "record" => export::export(study, form, now)?,
        "participantList" => participant_list(world, study, form, now)?,
        _ => log::answer(study, form)?,
    };
    Ok(as_json(&rows))
}

fn as_json(value: &Value) -> Answer {
    ("application/json; charset=utf-8", value.to_string())
}

fn plain(text: String) -> Answer {
    ("text/html; charset=utf-8", text)
}

fn project_info(project: &Project) -> Value {
    let setting = |name: &str| project.settings.get(name).map(String::as_str).unwrap_or_default();
    json!({
        "project_id": PROJECT_ID,
        "project_title": project.title,
        "creation_time": "",
        "production_time": "",
        "in_production": 0,
        "project_language": "English",
        "purpose": project.purpose,
        "purpose_other": "",
        "project_notes": "",
        "custom_record_label": setting("redcap:CustomRecordLabel"),
        "secondary_unique_field": setting("redcap:SecondaryUniqueField"),
        "is_longitudinal": u8::from(project.longitudinal),
        "has_repeating_instruments_or_events": u8::from(!project.repeating.is_empty()),
        "surveys_enabled": u8::from(!project.surveys.is_empty()),
        "scheduling_enabled": 0,
        "record_autonumbering_enabled": u8::from(setting("redcap:RecordAutonumberingEnabled") == "1"),
        "randomization_enabled": 0,
        "ddp_enabled": 0,
        "project_irb_number": "",
        "project_grant_number": "",
        "project_pi_firstname": "",
        "project_pi_lastname": "",
        "project_pi_email": "",
        "display_today_now_button": 1,
        "missing_data_codes": choices(&project.missing_data_codes),
        "external_modules": "",
        "bypass_branching_erase_field_prompt": 0,
    })
}

fn choices(choices: &[Choice]) -> String {
    let all: Vec<String> =
        choices.iter().map(|choice| format!("{}, {}", choice.code, choice.label)).collect();
    all.join(" | ")
}

fn metadata(project: &Project, form: &Form) -> Result<Value, ApiError> {
    let (fields, forms) = (form.list("fields"), form.list("forms"));
    if let Some(unknown) = fields.iter().find(|name| project.field(name).is_none()) {
        return Err(not_valid("fields", unknown));
    }
    if let Some(unknown) = forms.iter().find(|name| project.instrument(name).is_none()) {
        return Err(not_valid("forms", unknown));
    }
    let everything = fields.is_empty() && forms.is_empty();
    let is_wanted =
        |field: &&Field| everything || fields.contains(&field.name) || forms.contains(&field.instrument);
    Ok(project.fields.iter().filter(is_wanted).map(dictionary_row).collect())
}

pub(super) fn not_valid(parameter: &str, value: &str) -> ApiError {
    ApiError::bad(format!("The following values in the parameter {parameter} are not valid: '{value}'"))
}

fn dictionary_row(field: &Field) -> Value {
    let options = match field.kind {
        FieldKind::Calc => field.calculation.clone().unwrap_or_default(),
        FieldKind::Slider => field.slider_labels.clone().unwrap_or_default(),
        FieldKind::YesNo | FieldKind::TrueFalse => String::new(),
        _ => choices(&field.choices),
    };
    let flag = |truth: bool| if truth { "y" } else { "" };
    let setting = |name: &str| field.settings.get(name).cloned().unwrap_or_default();
    json!({
        "field_name": field.name,
        "form_name": field.instrument,
        "section_header": field.section_header.clone().unwrap_or_default(),
        "field_type": field.kind.name(),
        "field_label": field.label_html.clone().unwrap_or_else(|| field.label.clone()),
        "select_choices_or_calculations": options,
        "field_note": field.note.clone().unwrap_or_default(),
        "text_validation_type_or_show_slider_number": field.validation.clone().unwrap_or_default(),
        "text_validation_min": field.min.clone().unwrap_or_default(),
        "text_validation_max": field.max.clone().unwrap_or_default(),
        "identifier": flag(field.identifier),
        "branching_logic": field.branching.clone().unwrap_or_default(),
        "required_field": flag(field.required),
        "custom_alignment": setting("redcap:CustomAlignment"),
        "question_number": setting("redcap:QuestionNumber"),
        "matrix_group_name": field.matrix_group.clone().unwrap_or_default(),
        "matrix_ranking": setting("redcap:MatrixRanking"),
        "field_annotation": field.annotation.clone().unwrap_or_default(),
    })
}

fn events(project: &Project) -> Result<Value, ApiError> {
    if !project.longitudinal {
        return Err(ApiError::bad("You cannot export events for classic projects"));
    }
    let row = |(index, event): (usize, &redcap::project::Event)| {
        json!({
            "event_name": event.label,
            "arm_num": event.arm,
            "unique_event_name": event.unique_name,
            "custom_event_label": "",
            "event_id": index + 1,
        })
    };
    Ok(project.events.iter().enumerate().map(row).collect())
}

fn form_event_mapping(project: &Project) -> Result<Value, ApiError> {
    if !project.longitudinal {
        return Err(ApiError::bad("You cannot export form/event mappings for classic projects"));
    }
    let row = |pair: &redcap::project::FormEvent| {
        let arm = project.event(&pair.event).map_or(1, |event| event.arm);
        json!({ "arm_num": arm, "unique_event_name": pair.event, "form": pair.instrument })
    };
    Ok(project.form_events.iter().map(row).collect())
}

fn repeating(project: &Project) -> Result<Value, ApiError> {
    if project.repeating.is_empty() {
        return Err(ApiError::bad(
            "You cannot export repeating instruments and events because the project does not contain any \
             repeating instruments and events",
        ));
    }
    let row = |repeating: &redcap::project::Repeating| {
        let mut row = json!({
            "form_name": repeating.instrument.clone().unwrap_or_default(),
            "custom_form_label": repeating.custom_label,
        });
        if project.longitudinal {
            row["event_name"] = repeating.event.clone().into();
        }
        row
    };
    Ok(project.repeating.iter().map(row).collect())
}

/// The event a survey method is about. Only a classic project need not name it.
fn event_of(study: &Study, form: &Form) -> Result<String, ApiError> {
    match form.filled("event") {
        Some(event) if study.project.event(event).is_some() => Ok(event.to_owned()),
        Some(event) => Err(not_valid("event", event)),
        None if study.project.longitudinal => Err(ApiError::bad("The parameter \"event\" is missing")),
        None => Ok(study.first_event()),
    }
}

fn survey_of(study: &Study, form: &Form) -> Result<String, ApiError> {
    let instrument = form.filled("instrument").unwrap_or_default();
    match study.project.survey(instrument) {
        Some(_) => Ok(instrument.to_owned()),
        None => {
            Err(ApiError::bad(format!("The instrument \"{instrument}\" has not been enabled as a survey")))
        }
    }
}

fn record_of<'a>(study: &Study, form: &'a Form) -> Result<&'a str, ApiError> {
    let record = form.filled("record").unwrap_or_default();
    match study.records.get(record) {
        Some(_) => Ok(record),
        None => Err(ApiError::bad(format!("The record \"{record}\" does not exist"))),
    }
}

/// The response that a link or a code is asked for.
fn target_of(study: &Study, form: &Form) -> Result<Target, ApiError> {
    let record = record_of(study, form)?;
    let (instrument, event) = (survey_of(study, form)?, event_of(study, form)?);
    if !study.project.instruments_of(&event).any(|known| known.name == instrument) {
        return Err(ApiError::bad(format!("The instrument \"{instrument}\" is not part of this event")));
    }
    let instance = match form.filled("repeat_instance").map_or(Ok(1), str::parse) {
        Ok(instance) if instance > 0 => instance,
        _ => return Err(not_valid("repeat_instance", form.get("repeat_instance").unwrap_or_default())),
    };
    let place = Place::of(&study.project, &event, &instrument, instance);
    Ok(Target { record: record.to_owned(), instrument, event, instance: place.instance })
}

fn survey_link(world: &World, study: &mut Study, form: &Form) -> Result<Answer, ApiError> {
    let target = target_of(study, form)?;
    Ok(plain(survey_url(world, &study.links.hash(&target))))
}

fn survey_access_code(study: &mut Study, form: &Form) -> Result<Answer, ApiError> {
    let target = target_of(study, form)?;
    Ok(plain(study.links.access_code(&target)))
}

fn survey_return_code(study: &mut Study, form: &Form) -> Result<Answer, ApiError> {
    let target = target_of(study, form)?;
    if !study.project.survey(&target.instrument).is_some_and(|survey| survey.save_and_return) {
        let instrument = target.instrument;
        return Err(ApiError::bad(format!(
            "The survey of the instrument \"{instrument}\" cannot be left and continued later"
        )));
    }
    Ok(plain(study.links.return_code(&target)))
}

fn survey_queue_link(world: &World, study: &Study, form: &Form) -> Result<Answer, ApiError> {
    let record = record_of(study, form)?;
    if study.project.queue.is_empty() {
        return Err(ApiError::bad("The survey queue has not been enabled in this project"));
    }
    Ok(plain(queue_url(world, &study.links, record)))
}

fn queue_url(world: &World, links: &Links, record: &str) -> String {
    format!("{}/redcap/surveys/?sq={}", world.base_url, links.queue_hash(record))
}

pub(super) fn survey_url(world: &World, hash: &str) -> String {
    format!("{}/redcap/surveys/?s={hash}", world.base_url)
}

fn participant_list(world: &World, study: &mut Study, form: &Form, now: DateTime) -> Result<Value, ApiError> {
    let (instrument, event) = (survey_of(study, form)?, event_of(study, form)?);
    let Study { project, records, links, invitations, .. } = study;
    let mut rows = Vec::new();
    for record in records.iter() {
        let (instrument, event) = (instrument.clone(), event.clone());
        let target = Target { record: record.id.clone(), instrument, event, instance: 1 };
        let email = project
            .invitation_email_field
            .as_deref()
            .and_then(|field| record.places().find_map(|place| record.get(field, place)));
        let response = match record.survey_timestamp(&target.instrument, Some(&target.event), 1) {
            None => 0,
            Some(SurveyTimestamp::NotCompleted) => 1,
            Some(SurveyTimestamp::Completed(_)) => 2,
        };
        let invited = invitations.get(&target);
        let due = invited.filter(|at| **at > now).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let mut row = json!({
            "email": email.unwrap_or_default(),
            "email_occurrence": 1,
            "identifier": "",
            "record": record.id,
            "invitation_sent_status": u8::from(invited.is_some_and(|at| *at <= now)),
            "invitation_send_time": due.unwrap_or_default(),
            "response_status": response,
            "survey_access_code": links.access_code(&target),
            "survey_link": survey_url(world, &links.hash(&target)),
        });
        if !project.queue.is_empty() {
            row["survey_queue_link"] = queue_url(world, links, &record.id).into();
        }
        rows.push(row);
    }
    Ok(rows.into())
}

fn project_xml(study: &Study, form: &Form) -> Answer {
    let mut project = study.project.clone();
    if !form.is_true("returnMetadataOnly") {
        project.records = study.records.iter().cloned().collect();
    }
    ("text/xml; charset=utf-8", write_project(&project))
}
