//! What the study team, and other systems, do to the project.

use std::fmt;

use jiff::civil::DateTime;
use redcap::project::Project;
use redcap::record::Place;
use serde_json::{Map, Value};

use super::links::Target;
use super::log::Deed;
use super::{Redcap, import};
use crate::form::Form;
use crate::post::Errand;

/// Who saves forms.
const COORDINATOR: &str = "coordinator";
/// Who designs the project.
const DESIGNER: &str = "designer";

/// Why an import was turned down, in REDCap's words, which may hold values.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("REDCap turned the import down: {0}")]
pub struct NotImported(pub String);

impl fmt::Debug for NotImported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotImported").finish_non_exhaustive()
    }
}

impl Redcap {
    /// The study team saves a form, which makes the record if there is none, and REDCap tells its Data Entry
    /// Trigger. An empty value erases. Comes back when the trigger has
    /// answered or, in process, when it waits to be told.
    pub async fn save_form(
        &self,
        record: &str,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
        values: &[(&str, &str)],
    ) {
        let saved = {
            let now = self.world.local_now();
            let mut study = self.world.study();
            let event = event.map_or_else(|| study.first_event(), str::to_owned);
            let target = Target {
                record: record.to_owned(),
                instrument: instrument.to_owned(),
                event,
                instance: instance.max(1),
            };
            let status = format!("{instrument}_complete");
            let place = Place::of(&study.project, &target.event, instrument, target.instance);
            let untouched =
                study.records.get(record).is_none_or(|record| record.get(&status, &place).is_none());
            let mut values: Vec<(String, String)> =
                values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            if untouched && !values.iter().any(|(name, _)| *name == status) {
                values.push((status, "0".to_owned()));
            }
            let is_known = study.records.get(record).is_some();
            let deed = if is_known { Deed::Update } else { Deed::Create };
            study.store(&target, &values, COORDINATOR, (deed, "record"), now);
            study.saved(&target, COORDINATOR)
        };
        self.world.changed();
        self.world.undertake_now(Errand::Trigger(saved)).await;
    }

    /// Another system imports rows through the API: all of them or, if one value is wrong, none. Gives how many
    /// records it touched. REDCap tells no trigger of it.
    pub fn import(&self, rows: &[Map<String, Value>]) -> Result<usize, NotImported> {
        let data = serde_json::to_string(rows).map_err(|error| NotImported(error.to_string()))?;
        let form = Form(vec![("data".to_owned(), data)]);
        let now = self.world.local_now();
        let touched = import::import(&mut self.world.study(), &form, now);
        let touched = touched.map_err(|refused| NotImported(refused.message))?;
        self.world.changed();
        Ok(touched.len())
    }

    /// The study team gives a record another id, and its links lead on to it. False if there is no such record,
    /// or one of the new id.
    pub fn rename_record(&self, old: &str, new: &str) -> bool {
        let now = self.world.local_now();
        let mut guard = self.world.study();
        let study = &mut *guard;
        let id_field = study.project.record_id_field.clone();
        if !study.records.rename(old, new, &id_field, now) {
            return false;
        }
        study.links.follow(old, Some(new));
        let moved = study.invitations.extract_if(.., |target, _| target.record == old);
        let moved: Vec<_> = moved.collect();
        let moved = moved.into_iter().map(|(target, at)| (Target { record: new.to_owned(), ..target }, at));
        study.invitations.extend(moved);
        let details = format!("{id_field} = '{new}'");
        study.note(now, Deed::Update, COORDINATOR, format!("Update record {new}"), details, new);
        drop(guard);
        self.world.changed();
        true
    }

    /// The study team deletes a record, and its links lead nowhere. False if there is none.
    pub fn delete_record(&self, id: &str) -> bool {
        let now = self.world.local_now();
        let mut guard = self.world.study();
        let study = &mut *guard;
        if !study.records.remove(id) {
            return false;
        }
        study.links.follow(id, None);
        study.invitations.retain(|target, _| target.record != id);
        let details = format!("{} = '{id}'", study.project.record_id_field);
        study.note(now, Deed::Delete, COORDINATOR, format!("Delete record {id}"), details, id);
        drop(guard);
        self.world.changed();
        true
    }

    /// REDCap itself schedules an invitation to a survey, on its own clock: the participant list shows when it
    /// is due, and from then on that it was sent.
    pub fn queue_invitation(&self, instrument: &str, event: Option<&str>, record: &str, at: DateTime) {
        let mut study = self.world.study();
        let event = event.map_or_else(|| study.first_event(), str::to_owned);
        let (record, instrument) = (record.to_owned(), instrument.to_owned());
        study.invitations.insert(Target { record, instrument, event, instance: 1 }, at);
    }

    /// The study team opens or closes a survey. False if there is no such survey.
    pub fn set_survey_enabled(&self, instrument: &str, enabled: bool) -> bool {
        let now = self.world.local_now();
        let mut study = self.world.study();
        let survey = study.project.surveys.iter_mut().find(|survey| survey.instrument == instrument);
        let Some(survey) = survey else { return false };
        survey.enabled = enabled;
        let details = "Modify survey info".to_owned();
        study.note(now, Deed::Manage, DESIGNER, "Manage/Design".to_owned(), details, "");
        true
    }

    /// The study team changes the design. The project that is given has no records, and gets none this way.
    pub fn edit_project(&self, edit: impl FnOnce(&mut Project)) {
        let now = self.world.local_now();
        let mut study = self.world.study();
        edit(&mut study.project);
        study.redesigned();
        let details = "Edit the design".to_owned();
        study.note(now, Deed::Manage, DESIGNER, "Manage/Design".to_owned(), details, "");
    }
}
