//! What is to be written to REDCap.

use serde_json::json;

use super::super::read::json_of;
use super::super::sql::{one, values};
use super::super::{Committed, StoreError};
use super::Writing;
/// Writes to REDCap that fail this often become a task.
const WRITES: u32 = 8;

impl Writing<'_> {
    pub(super) fn write_back(
        &mut self,
        id: &str,
        error: Option<&str>,
        again: u32,
    ) -> Result<Committed, StoreError> {
        let state = if error.is_some() { "new" } else { "done" };
        let known = one(
            self.db,
            "UPDATE write_back SET state = ?2, tries = tries + 1, error = ?3, look_at = ?4 \
             WHERE id = ?1 AND state = 'new' RETURNING cause, project, tries",
            values![id, state, error, again],
        )?;
        let Some(known) = known else { return Ok(Committed::Stale) };
        if error.is_none() {
            self.ledger("written", id, &json!({ "cause": known.get::<String>(0)? }), None)?;
        } else if known.get::<u32>(2)? == WRITES {
            let sentence = "REDCap does not take a value that Consentry has to write; it is tried again";
            let project: String = known.get(1)?;
            self.plan_task("failed-write-back", &project, id, None, sentence)?;
        }
        Ok(Committed::Done)
    }

    pub(super) fn write_opt_outs(
        &mut self,
        project: &str,
        field: &str,
        records: &[(String, u32)],
    ) -> Result<Committed, StoreError> {
        for (record, at) in records {
            let cause = format!("opt-out/{project}/{record}/{at}");
            self.plan_write(&cause, project, record, None, &[(field.into(), "1".into())])?;
        }
        Ok(Committed::Done)
    }

    pub(super) fn plan_write(
        &mut self,
        cause: &str,
        project: &str,
        record: &str,
        event: Option<&str>,
        values: &[(String, String)],
    ) -> Result<(), StoreError> {
        let field = match values {
            [(field, _)] => Some(field.as_str()),
            _ => None,
        };
        // A later word about a field replaces one that REDCap has not taken yet: "stopped" must not arrive
        // after "started again".
        if let Some(field) = field {
            self.db.execute(
                "UPDATE write_back SET state = 'replaced' WHERE project = ?1 AND record = ?2 \
                 AND event IS NOT DISTINCT FROM ?3 AND state = 'new' AND field = ?4",
                values![project, record, event, field],
            )?;
        }
        let id = self.id()?;
        self.db.execute(
            "INSERT INTO write_back (id, cause, project, record, event, field, field_values, state, tries, look_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'new', 0, ?8) ON CONFLICT (cause) DO NOTHING",
            values![
                id,
                cause,
                project,
                record,
                event,
                field,
                self.vault.seal("write_back.values", json_of(&values).as_bytes())?,
                self.now
            ],
        )?;
        Ok(())
    }
}
