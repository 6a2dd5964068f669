//! Record: what REDCap is to know is written there, once, and tried again until it is.

use redcap::ApiError;
use redcap::client::Overwrite;
use serde_json::{Map, Value};

use crate::gateway::Gateway;
use crate::project::Project;
use crate::store::{Step, StoreError, WriteBack};

/// Seconds between two tries of a write, by how often it was tried.
fn wait(tries: u32) -> u32 {
    30 << tries.min(7)
}

impl Gateway {
    /// Writes what waits to be written to a project, and says how much that was.
    pub(crate) async fn write_back(&self, project: &Project) -> Result<usize, StoreError> {
        if let Some(field) = &project.fields.opt_out {
            let records = self.store.unwritten_opt_outs(&project.name).await?;
            if !records.is_empty() {
                let (project, field) = (project.name.clone(), field.clone());
                self.store.commit(Step::WriteOptOuts { project, field, records }).await?;
            }
        }
        let waiting = self.store.write_backs(&project.name, self.clock.seconds(), 20).await?;
        let count = waiting.len();
        for write in waiting {
            let error = self.write(project, &write).await.err();
            if let Some(error) = &error {
                tracing::warn!(id = write.id, error, "REDCap did not take a write; it is tried again");
            }
            let again = self.clock.seconds() + wait(write.tries);
            self.store.commit(Step::WriteBack { id: write.id, error, again }).await?;
        }
        Ok(count)
    }

    /// An import with an explicit record id says the same however often it is said.
    async fn write(&self, project: &Project, write: &WriteBack) -> Result<(), String> {
        let model = project.model().ok_or("REDCap has not said yet what the project is")?;
        let mut row = Map::new();
        row.insert(model.record_id_field.clone(), Value::String(write.record.clone()));
        if model.longitudinal {
            let place = crate::facts::participant_place(project, &model);
            let event = write.event.clone().unwrap_or_else(|| place.event_name().into());
            row.insert("redcap_event_name".into(), Value::String(event));
        }
        for (field, value) in &write.values {
            row.insert(column(field), Value::String(value.clone()));
        }
        let imported = project.redcap.import_records(&[row], Overwrite::Normal).await;
        imported.map(|_| ()).map_err(|error| without_values(&error))
    }
}

/// What went wrong at REDCap, without REDCap's own words: they may repeat a value.
pub(crate) fn without_values(error: &ApiError) -> String {
    match error {
        ApiError::Refused { content, status, .. } => {
            format!("REDCap refused `content={content}` with status {status}")
        }
        ApiError::ImportRefused { .. } => "REDCap refused the values".into(),
        ApiError::NotPermitted { .. } => "REDCap does not permit it; is the token still good?".into(),
        other => other.to_string(),
    }
}

/// The column of a field; a checkbox is named with its code, `symptoms(2)`.
fn column(field: &str) -> String {
    match field.strip_suffix(')').and_then(|named| named.split_once('(')) {
        Some((name, code)) => redcap::record::checkbox_column(name, code),
        None => field.into(),
    }
}
