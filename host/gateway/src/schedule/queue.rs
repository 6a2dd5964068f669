//! The survey queue of a record: which surveys stand in it, and how far each has come.

use jiff::civil::DateTime;
use policy::contract::redcap::SurveyState;
use redcap::logic;
use redcap::project::Joined;
use redcap::{Place, Record};

use super::{Trigger, event_or_classic, still};
use crate::facts::survey_state;

/// A survey of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its instrument.
    pub instrument: String,
    /// Its event; none in a classic project.
    pub event: Option<String>,
    /// Its title.
    pub title: String,
    /// How far it has come.
    pub standing: Standing,
    /// Whether it begins by itself when it is its turn.
    pub starts_by_itself: bool,
}

/// Where a survey of the queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be answered.
    Open,
    /// It was begun.
    Begun,
    /// It was answered.
    Done,
}

/// The queue of a record at a moment, in REDCap's order: what is not in it yet is left out.
pub fn queue(model: &redcap::Project, record: &Record, now: DateTime) -> Vec<Queued> {
    let rows = model.queue.iter().filter(|row| row.active);
    let queued = rows.filter_map(|row| {
        let survey = model.survey(&row.instrument)?;
        let event = (model.longitudinal && !row.event.is_empty()).then(|| row.event.clone());
        let logic = row.condition.logic.as_deref().filter(|text| !text.trim().is_empty());
        // A condition that cannot be read is one that does not hold.
        let condition = match logic.map(logic::parse) {
            Some(Ok(condition)) => Some((logic.unwrap_or_default().to_owned(), condition)),
            Some(Err(_)) => return None,
            None => None,
        };
        let completed = row.condition.survey.clone().filter(|survey| !survey.is_empty());
        let completed =
            completed.map(|survey| (survey, row.condition.event.clone().filter(|_| model.longitudinal)));
        let either = row.condition.joined == Joined::Or;
        let trigger = Trigger { saved: None, completed, either, condition };
        let place = Place::of(model, event_or_classic(event.as_deref()), &row.instrument, 1);
        if !survey.enabled || !still::holds(&trigger, model, record, &place, now) {
            return None;
        }
        let standing = match survey_state(model, record, &row.instrument, event.as_deref(), 1) {
            SurveyState::NotStarted => Standing::Open,
            SurveyState::Partial => Standing::Begun,
            SurveyState::Complete => Standing::Done,
        };
        Some(Queued {
            instrument: row.instrument.clone(),
            event,
            title: survey.title.clone(),
            standing,
            starts_by_itself: row.auto_start,
        })
    });
    queued.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redcap::project::{CLASSIC_EVENT, Condition, QueueRow, Survey};

    #[test]
    fn a_survey_is_in_the_queue_once_its_condition_holds() {
        let mut model = redcap::Project::classic("x");
        for instrument in ["first", "second", "third"] {
            let (title, enabled) = (instrument.to_owned(), instrument != "third");
            let instrument = instrument.to_owned();
            model.surveys.push(Survey {
                instrument: instrument.clone(),
                title,
                enabled,
                ..Survey::default()
            });
            let survey = (instrument == "second").then(|| "first".to_owned());
            let condition = Condition { survey, ..Condition::default() };
            let event = CLASSIC_EVENT.to_owned();
            model.queue.push(QueueRow { instrument, event, active: true, condition, ..QueueRow::default() });
        }
        let mut record = Record::new("1");
        let told = |record: &Record| {
            let queue = queue(&model, record, DateTime::default());
            queue.into_iter().map(|it| (it.instrument, it.standing)).collect::<Vec<_>>()
        };
        assert_eq!(told(&record), [("first".into(), Standing::Open)]);
        record.set("first_complete", &Place::default(), "2");
        assert_eq!(told(&record), [("first".into(), Standing::Done), ("second".into(), Standing::Open)]);
    }
}
