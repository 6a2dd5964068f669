//! What REDCap notes about every change.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::{RoundMode, Unit, civil::DateTimeRound};
use redcap::project::{FieldKind, Project};
use redcap::record::{Place, checkbox_column};
use serde_json::{Value, json};

use super::Study;
use super::api::{ApiError, not_valid};
use super::links::Target;
use crate::form::Form;

/// In the order of REDCap's clock, which goes over the same hour twice in autumn.
#[derive(Default)]
pub(super) struct Log {
    rows: BTreeMap<(DateTime, u64), Row>,
    count: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Create,
    Update,
    Delete,
    /// To the project, and to no record.
    Manage,
}

/// One row, but for its time.
pub(super) struct Row {
    pub(super) deed: Deed,
    pub(super) user: String,
    pub(super) action: String,
    pub(super) details: String,
    /// Empty for what concerns no record.
    pub(super) record: String,
}

impl Log {
    pub(super) fn push(&mut self, at: DateTime, row: Row) {
        self.count += 1;
        self.rows.insert((at, self.count), row);
    }
}

/// `field = 'value'`, or `field(code) = checked` for a box.
pub(super) fn detail(project: &Project, column: &str, value: &str) -> String {
    let of_box = column.split_once("___").filter(|_| project.field(column).is_none());
    let field = of_box.and_then(|(name, _)| project.field(name));
    let field = field.filter(|field| field.kind == FieldKind::Checkbox);
    let choice = field.and_then(|field| {
        let column_of = |code: &str| checkbox_column(&field.name, code);
        Some((field, field.choices.iter().find(|choice| column_of(&choice.code) == column)?))
    });
    match choice {
        Some((field, choice)) => {
            let state = if value == "1" { "checked" } else { "unchecked" };
            format!("{}({}) = {state}", field.name, choice.code)
        }
        // A quote within the value stays as it is, as at REDCap.
        None => format!("{column} = '{value}'"),
    }
}

/// The details of one row: the instance, and then what changed.
pub(super) fn details(place: &Place, mut changes: Vec<String>) -> String {
    if place.instance > 1 {
        changes.insert(0, format!("[instance = {}]", place.instance));
    }
    changes.join(", ")
}

/// Where in a longitudinal project something was done, as it stands behind an action.
pub(super) fn whereabouts(project: &Project, target: &Target) -> String {
    let event = project.event(&target.event).filter(|_| project.longitudinal);
    event.map_or_else(String::new, |event| {
        let arm = project.arm(event.arm).map(|arm| arm.name.as_str()).unwrap_or_default();
        format!(" ({} (Arm {}: {arm}))", event.label, event.arm)
    })
}

/// Newest first, by the minute. Exports and page views are not noted.
pub(super) fn answer(study: &Study, form: &Form) -> Result<Value, ApiError> {
    let moment = |name: &str| {
        let text = form.filled(name);
        text.map(|text| text.parse::<DateTime>().map_err(|_| not_valid(name, text))).transpose()
    };
    let (begin, end) = (moment("beginTime")?, moment("endTime")?);
    let kind = form.filled("logtype").unwrap_or_default();
    let is_wanted: fn(Deed) -> bool = match kind {
        "" => |_| true,
        "record" => |deed| deed != Deed::Manage,
        "record_add" => |deed| deed == Deed::Create,
        "record_edit" => |deed| deed == Deed::Update,
        "record_delete" => |deed| deed == Deed::Delete,
        "manage" => |deed| deed == Deed::Manage,
        "export" | "user" | "lock_record" | "page_view" => |_| false,
        _ => return Err(not_valid("logtype", kind)),
    };
    let (record, user) = (form.filled("record"), form.filled("user"));
    let to_minute = DateTimeRound::new().smallest(Unit::Minute).mode(RoundMode::Trunc);
    let minute = |at: DateTime| at.round(to_minute).unwrap_or(at);
    let since = study.log.rows.range((begin.unwrap_or(DateTime::MIN), 0)..);
    let rows = since
        .rev()
        .skip_while(|((at, _), _)| end.is_some_and(|end| minute(*at) > end))
        .filter(|((at, _), _)| begin.is_none_or(|begin| minute(*at) >= begin))
        .filter(|(_, row)| is_wanted(row.deed))
        .filter(|(_, row)| record.is_none_or(|record| row.record == record))
        .filter(|(_, row)| user.is_none_or(|user| row.user == user))
        .map(|((at, _), row)| {
            json!({
                "timestamp": at.strftime("%Y-%m-%d %H:%M").to_string(),
                "username": row.user,
                "action": row.action,
                "details": row.details,
                "record": row.record,
            })
        });
    Ok(rows.collect())
}
