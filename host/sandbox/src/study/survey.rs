//! Survey pages: what a link in a text message opens.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::civil::DateTime;
use redcap::calculate::is_begun;
use redcap::logic::Context;
use redcap::pipe::pipe;
use redcap::project::Survey;
use redcap::record::{Place, SurveyTimestamp, columns};

use super::Study;
use super::answers::{Answers, is_answerable};
use super::links::Target;
use super::log::Deed;
use super::page::{self, Paper};
use crate::form::Form;
use crate::post::Errand;
use crate::world::World;

const RESPONDENT: &str = "[survey respondent]";
/// The page brings everything along and runs no script.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

pub(super) fn router() -> Router<Arc<World>> {
    Router::new().route("/redcap/surveys/", get(open).post(submit))
}

fn answer(status: StatusCode, html: String) -> Response {
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// A page that says why there are no questions.
type Notice = (StatusCode, String);

/// The survey a link leads to, or the page that says why it cannot be taken.
fn find(study: &Study, query: &[(String, String)], now: DateTime) -> Result<(Target, Survey), Notice> {
    let hash = query.iter().find(|(name, _)| name == "s").map(|(_, hash)| hash.as_str()).unwrap_or_default();
    let not_found = || {
        (
            StatusCode::NOT_FOUND,
            page::notice(
                "not-found",
                "This link does not lead to a survey",
                "Please check that the link is whole.",
            ),
        )
    };
    if query.iter().any(|(name, _)| name == "sq") {
        let sentence = "The sandbox shows no survey queue.";
        return Err((StatusCode::OK, page::notice("queue", &study.project.title, sentence)));
    }
    let target = study.links.target(hash).ok_or_else(not_found)?;
    let survey = study.project.survey(&target.instrument).ok_or_else(not_found)?;
    let record = study.records.get(&target.record).ok_or_else(not_found)?;
    let timestamp = record.survey_timestamp(&target.instrument, Some(&target.event), target.instance);
    if matches!(timestamp, Some(SurveyTimestamp::Completed(_))) {
        let html = page::notice(
            "already-completed",
            &survey.title,
            "You have already completed this survey. Thank you!",
        );
        return Err((StatusCode::OK, html));
    }
    let now = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
    if !survey.enabled || survey.expiration.as_deref().is_some_and(|end| end <= now.as_str()) {
        let html = page::notice("inactive", &survey.title, "This survey is not open at the moment.");
        return Err((StatusCode::OK, html));
    }
    Ok((target.clone(), survey.clone()))
}

async fn open(State(world): State<Arc<World>>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let now = world.local_now();
    let study = world.study();
    let (target, survey) = match find(&study, &query, now) {
        Ok(found) => found,
        Err((status, html)) => return answer(status, html),
    };
    let place = Place::of(&study.project, &target.event, &target.instrument, target.instance);
    let Some(record) = study.records.get(&target.record) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let answers = Answers::stored(&study.project, record, &place, &target.instrument, now);
    let paper = Paper { project: &study.project, survey: &survey, place: &place, now };
    answer(StatusCode::OK, paper.questions(&answers))
}

async fn submit(
    State(world): State<Arc<World>>,
    Query(query): Query<Vec<(String, String)>>,
    body: Bytes,
) -> Response {
    let now = world.local_now();
    let (html, saved) = {
        let mut guard = world.study();
        let study = &mut *guard;
        let (target, survey) = match find(study, &query, now) {
            Ok(found) => found,
            Err((status, html)) => return answer(status, html),
        };
        let place = Place::of(&study.project, &target.event, &target.instrument, target.instance);
        let Some(record) = study.records.get(&target.record) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let form = Form::read(&body);
        let (project, calculations) = (&study.project, &study.calculations);
        let answers =
            Answers::submitted(project, calculations, record, &place, &target.instrument, now, &form);
        if !answers.will_do() {
            let paper = Paper { project: &study.project, survey: &survey, place: &place, now };
            return answer(StatusCode::OK, paper.questions(&answers));
        }
        complete(study, &target, &place, &answers, now);
        let html = match study.records.get(&target.record) {
            Some(record) => {
                Paper { project: &study.project, survey: &survey, place: &place, now }.thanks(record)
            }
            None => String::new(),
        };
        (html, study.saved(&target, RESPONDENT))
    };
    world.changed();
    world.undertake_now(Errand::Trigger(saved)).await;
    answer(StatusCode::OK, html)
}

/// What the page fills in by itself where nobody sees it: the moment of the answer, and what a field begins with.
fn unseen(
    study: &Study,
    target: &Target,
    place: &Place,
    answers: &Answers,
    now: DateTime,
) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for field in study.project.fields_of(&target.instrument) {
        if is_answerable(&study.project, field) || answers.record.get(&field.name, place).is_some() {
            continue;
        }
        let value = field.tags().into_iter().find_map(|tag| match tag.name.as_str() {
            "@NOW" | "@NOW-SERVER" => {
                let seconds = field.validation.as_deref().is_none_or(|it| it.contains("seconds"));
                let form = if seconds { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" };
                Some(now.strftime(form).to_string())
            }
            "@TODAY" | "@TODAY-SERVER" => Some(now.date().to_string()),
            "@DEFAULT" => {
                let argument = field.annotation.as_deref()?.get(tag.argument_at)?.to_owned();
                let context = Context::new(&study.project, &answers.record, place, now);
                Some(pipe(&argument, &context, &|_| None).text)
            }
            _ => None,
        });
        values.extend(value.map(|value| (field.name.clone(), value)));
    }
    values
}

/// Stores the answers and marks the response as complete, which nothing but this page can do.
fn complete(study: &mut Study, target: &Target, place: &Place, answers: &Answers, now: DateTime) {
    let mut values = unseen(study, target, place, answers, now);
    for field in study.project.fields_of(&target.instrument) {
        if is_answerable(&study.project, field) {
            for column in columns(field) {
                let value = answers.record.get(&column, place).unwrap_or_default().to_owned();
                values.push((column, value));
            }
        }
    }
    values.push((format!("{}_complete", target.instrument), "2".to_owned()));
    // Which of the two words REDCap takes is not public; a response that begins here is created.
    let record = study.records.get(&target.record);
    let begun = record.is_some_and(|record| is_begun(&study.project, record, place, &target.instrument));
    let deed = if begun { Deed::Update } else { Deed::Create };
    study.store(target, &values, RESPONDENT, (deed, "Response"), now);
    let at = SurveyTimestamp::Completed(now.strftime("%Y-%m-%d %H:%M:%S").to_string());
    study.records.change(&target.record, now).set_survey_timestamp(
        &target.instrument,
        Some(&target.event),
        target.instance,
        at,
    );
}
