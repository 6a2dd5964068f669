//! Still: whether a message that was scheduled is still wanted when its time has come.

use jiff::civil::DateTime;
use policy::contract::redcap::SurveyState;
use policy::contract::types::Survey;
use redcap::Place;
use redcap::logic::{self, Context};

use super::{Origin, Schedule, Trigger, when};
use crate::by_hand::is_by_hand;
use crate::facts::{Known, survey_state};
use crate::outbox::{Message, Reason, State};
use crate::takeover;

/// Why a message that was scheduled is not sent, and where it goes instead.
pub(crate) type Unwanted = (State, Reason);

/// Looks once more at what made a message.
pub(crate) fn still_wanted(known: &Known, message: &Message) -> Result<(), Unwanted> {
    survey_takes_answers(known)?;
    let Some(origin) = &message.new.origin else { return Ok(()) };
    let suppressed = |rule: &str, sentence: &str| Err((State::Suppressed, Reason::new(rule, sentence)));
    if is_by_hand(&origin.schedule) {
        return Ok(());
    }
    let Some(schedule) = known.design.schedule(&origin.schedule) else {
        let sentence = "the invitation or alert is not in the project any more, or not taken over any more";
        return suppressed("schedule.gone", sentence);
    };
    if let Some(why) = &schedule.not_run {
        return Err((State::Held, Reason::new("schedule.not-run", format!("this is not run: {why}"))));
    }
    if let Some(record) = message.new.record.as_ref().filter(|_| known.design.is_queued(&message.new)) {
        return Err((State::Held, takeover::queued(record)));
    }
    if schedule.ends.is_some_and(|end| known.civil() > end) {
        return Err((State::Expired, Reason::new("schedule.ended", "the survey or the alert has expired")));
    }
    if schedule.ensure
        && let Some(record) = &known.record
        && !holds(&schedule.trigger, &known.model, record, &known.place(), known.civil())
    {
        return suppressed("schedule.no-longer-true", "its condition does not hold any more");
    }
    if origin.reminder > 0 && has_time_limit_passed(known, message.new.due, schedule, origin) {
        return suppressed(
            "schedule.time-limit",
            "the time limit of the survey has passed since its invitation",
        );
    }
    Ok(())
}

/// A survey that is complete, closed or switched off is not invited to, however the invitation came about.
fn survey_takes_answers(known: &Known) -> Result<(), Unwanted> {
    let Some(survey) = &known.survey else { return Ok(()) };
    let Some(settings) = known.model.survey(&survey.instrument) else {
        let sentence = format!("`{}` is not a survey of the project any more", survey.instrument);
        return Err((State::Suppressed, Reason::new("schedule.no-survey", sentence)));
    };
    let Survey { instrument, event, instance, .. } = survey;
    // Who is invited to a public survey has no record yet.
    if let Some(record) = &known.record
        && survey_state(&known.model, record, instrument, event.as_deref(), *instance)
            == SurveyState::Complete
    {
        let reason = Reason::new("schedule.completed", "the survey was completed meanwhile");
        return Err((State::Suppressed, reason));
    }
    if !settings.enabled {
        let reason = Reason::new("schedule.inactive", "the survey is not active in REDCap");
        return Err((State::Suppressed, reason));
    }
    let expiration = settings.expiration.as_deref().and_then(when::moment);
    if expiration.is_some_and(|end| known.civil() > end) {
        return Err((State::Expired, Reason::new("schedule.ended", "the survey has expired")));
    }
    Ok(())
}

/// Whether what makes a message holds for a record at a moment, but for a form that must be saved.
pub(crate) fn holds(
    trigger: &Trigger,
    model: &redcap::Project,
    record: &redcap::Record,
    place: &Place,
    now: DateTime,
) -> bool {
    let completed = trigger.completed.as_ref().map(|(instrument, event)| {
        survey_state(model, record, instrument, event.as_deref(), 1) == SurveyState::Complete
    });
    let condition = trigger.condition.as_ref().map(|(_, condition)| {
        let context = Context::new(model, record, place, now);
        // What nobody told is no reason to text anybody; the project's mistakes name such conditions.
        logic::untold(condition, &context).is_none() && logic::evaluate(condition, &context).is_true()
    });
    match (completed, condition) {
        (Some(completed), Some(condition)) if trigger.either => completed || condition,
        (completed, condition) => completed.unwrap_or(true) && condition.unwrap_or(true),
    }
}

/// Whether the time for which a survey may be answered after its invitation has passed. REDCap counts it for its
/// own invitations only; a link that was fetched by its API would stay open for ever.
fn has_time_limit_passed(known: &Known, due: u32, schedule: &Schedule, origin: &Origin) -> bool {
    let settings = known.survey.as_ref().and_then(|survey| known.model.survey(&survey.instrument));
    let Some(settings) = settings else { return false };
    let number = |unit: &str| -> u32 {
        let value = settings.settings.get(&format!("survey_time_limit_{unit}"));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let limit = number("days") * 86_400 + number("hours") * 3600 + number("minutes") * 60;
    if limit == 0 {
        return false;
    }
    // The reminder knows when it is due itself; its invitation was due so much earlier.
    let before = schedule.reminders.as_ref().and_then(|(timing, _)| {
        let zone = &known.project.zone;
        let this = crate::facts::civil(due, &known.project);
        let at = |moment| when::instant(moment, zone);
        let first = timing.reminder(this, origin.reminder)?;
        Some(at(first)?.saturating_sub(at(this)?))
    });
    known.now > due.saturating_sub(before.unwrap_or(0)).saturating_add(limit)
}
