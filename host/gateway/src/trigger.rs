//! Trigger: from what REDCap holds to occasions. Whoever found it first, the same reason is one occasion.

use policy::contract::redcap::SurveyState;
use policy::contract::types::{Purpose, Survey};
use redcap::logic::{self, Context};
use redcap::{Place, Record};

use crate::facts::{civil, survey_state};
use crate::outbox::NewMessage;
use crate::project::{InvitationRule, Project};

/// The occasions that a record gives reason for at an instant.
pub fn occasions(project: &Project, model: &redcap::Project, record: &Record, now: u32) -> Vec<NewMessage> {
    project.invitations.iter().filter_map(|rule| invitation(project, model, record, rule, now)).collect()
}

fn invitation(
    project: &Project,
    model: &redcap::Project,
    record: &Record,
    rule: &InvitationRule,
    now: u32,
) -> Option<NewMessage> {
    let survey = survey(model, &rule.survey, rule.event.as_deref())?;
    let event = survey.event.as_deref();
    if survey_state(model, record, &rule.survey, event, 1) == SurveyState::Complete {
        return None;
    }
    let place = Place::of(model, event.unwrap_or(redcap::project::CLASSIC_EVENT), &rule.survey, 1);
    // A condition that cannot be read was refused when the configuration was read.
    let condition = logic::parse(&rule.when).ok()?;
    let context = Context::new(model, record, &place, civil(now, project));
    // What nobody told is no reason to text anybody; the project's mistakes name such conditions.
    if logic::untold(&condition, &context).is_some() || !logic::evaluate(&condition, &context).is_true() {
        return None;
    }
    Some(NewMessage {
        occasion: format!(
            "{}/invitation/{}/{}/{}/{}",
            project.name,
            rule.id,
            record.id,
            event.unwrap_or("-"),
            survey.instance
        ),
        project: project.name.clone(),
        purpose: Purpose::Invitation,
        record: Some(record.id.clone()),
        survey: Some(survey),
        wording: rule.wording.clone(),
        number: None,
        cause: None,
        depth: 0,
        due: now,
        not_after: Some(now.saturating_add(rule.not_after)),
    })
}

/// A survey of the project, as an occasion names it; none if the instrument is no survey.
pub fn survey(model: &redcap::Project, instrument: &str, event: Option<&str>) -> Option<Survey> {
    let survey = model.survey(instrument)?;
    let event = match event {
        Some(event) => Some(event.to_owned()),
        None if model.longitudinal => {
            let first = model.form_events.iter().find(|mapped| mapped.instrument == instrument)?;
            Some(first.event.clone())
        }
        None => None,
    };
    Some(Survey { instrument: instrument.into(), event, instance: 1, title: survey.title.clone() })
}
