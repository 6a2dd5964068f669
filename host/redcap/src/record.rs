//! What a record holds: values by event, repeat and field, and when its surveys were completed.
//!
//! Survey timestamps are kept apart from the values, because the API hands them out and never
//! takes them back.

use std::collections::BTreeMap;
use std::fmt;

use hashbrown::HashMap;
use serde_json::{Map, Value};

use crate::project::{CLASSIC_EVENT, Field, FieldKind, Project};

/// Where in a record a value stands.
///
/// `event: None` is the one event of a classic project, and the same place as [`CLASSIC_EVENT`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub event: Option<String>,
    /// The repeating instrument; none outside repeats and in repeating events.
    pub instrument: Option<String>,
    /// Counted from 1; 1 outside repeats.
    pub instance: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { event: None, instrument: None, instance: 1 }
    }
}

impl Place {
    /// A place outside repeats.
    #[must_use]
    pub fn at(event: &str) -> Self {
        Self { event: Some(event.to_owned()), ..Self::default() }
    }

    /// The place's event, by its unique name.
    #[must_use]
    pub fn event_name(&self) -> &str {
        self.event.as_deref().unwrap_or(CLASSIC_EVENT)
    }

    /// Where the fields of an instrument stand at an event: repeats are addressed by `instance`,
    /// everything else has only one place.
    #[must_use]
    pub fn of(project: &Project, event: &str, instrument: &str, instance: u32) -> Self {
        let repeats = project.repeats(event, instrument);
        let counts = repeats || project.event_repeats(event);
        Self {
            event: Some(event.to_owned()),
            instrument: repeats.then(|| instrument.to_owned()),
            instance: if counts { instance.max(1) } else { 1 },
        }
    }

    pub(crate) fn spot(&self) -> Spot<'_> {
        Spot {
            event: self.event_name(),
            instrument: self.instrument.as_deref(),
            instance: self.instance.max(1),
        }
    }
}

/// A place that borrows its names, so that looking a value up allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot<'a> {
    pub(crate) event: &'a str,
    pub(crate) instrument: Option<&'a str>,
    pub(crate) instance: u32,
}

impl Spot<'_> {
    pub(crate) fn to_place(self) -> Place {
        Place {
            event: Some(self.event.to_owned()),
            instrument: self.instrument.map(str::to_owned),
            instance: self.instance,
        }
    }
}

/// How far a survey response got. The API tells it only for surveys, and only on request.
#[derive(Clone, PartialEq, Eq)]
pub enum SurveyTimestamp {
    /// Started, and not submitted.
    NotCompleted,
    /// Submitted at `YYYY-MM-DD HH:MM:SS`, server time.
    Completed(String),
}

impl fmt::Debug for SurveyTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCompleted => "NotCompleted",
            Self::Completed(_) => "Completed(…)",
        })
    }
}

/// One record.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// Sorted by place.
    rows: Vec<(Place, Row)>,
    timestamps: BTreeMap<(String, String, u32), SurveyTimestamp>,
    started: BTreeMap<(String, String, u32), String>,
}

/// Values by column, in lower case, none of them empty.
type Row = HashMap<String, String>;

impl fmt::Debug for Record {
    /// Counts instead of values: what a participant answered is nobody's log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("rows", &self.rows.len())
            .field("values", &self.rows.iter().map(|(_, row)| row.len()).sum::<usize>())
            .finish_non_exhaustive()
    }
}

impl Record {
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// The value of a field, or of one checkbox column; none if blank. Case is ignored in names.
    #[must_use]
    pub fn get(&self, field: &str, place: &Place) -> Option<&str> {
        if field.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.at(place.spot(), &field.to_ascii_lowercase())
        } else {
            self.at(place.spot(), field)
        }
    }

    /// The value of a column in lower case.
    pub(crate) fn at(&self, spot: Spot<'_>, column: &str) -> Option<&str> {
        let row = self.find(spot).ok()?;
        self.rows[row].1.get(column).map(String::as_str)
    }

    fn find(&self, spot: Spot<'_>) -> Result<usize, usize> {
        self.rows.binary_search_by(|(place, _)| place.spot().cmp(&spot))
    }

    fn row_mut(&mut self, spot: Spot<'_>) -> &mut Row {
        let at = self.find(spot).unwrap_or_else(|at| {
            self.rows.insert(at, (spot.to_place(), Row::new()));
            at
        });
        &mut self.rows[at].1
    }

    /// Stores a value; an empty one erases. The row is there from then on, even if it is empty.
    pub fn set(&mut self, field: &str, place: &Place, value: &str) {
        let row = self.row_mut(place.spot());
        let field = field.to_ascii_lowercase();
        if value.is_empty() {
            row.remove(&field);
        } else {
            row.insert(field, value.to_owned());
        }
    }

    /// The unique name of the data access group the record is in, where an export told it.
    #[must_use]
    pub fn data_access_group(&self) -> Option<&str> {
        self.rows.iter().find_map(|(_, row)| row.get(DATA_ACCESS_GROUP)).map(String::as_str)
    }

    /// Whether a box is checked. A box that was never shown is unchecked.
    #[must_use]
    pub fn checkbox(&self, field: &str, code: &str, place: &Place) -> bool {
        self.get(&checkbox_column(field, code), place) == Some("1")
    }

    pub fn set_checkbox(&mut self, field: &str, code: &str, place: &Place, checked: bool) {
        self.set(&checkbox_column(field, code), place, if checked { "1" } else { "0" });
    }

    /// The rows that are there, in order.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.rows.iter().map(|(place, _)| place)
    }

    /// The values of a row, sorted by column.
    pub fn values(&self, place: &Place) -> impl Iterator<Item = (&str, &str)> {
        let row = self.find(place.spot()).ok().map(|at| &self.rows[at].1);
        let mut values: Vec<_> =
            row.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        values.sort_unstable();
        values.into_iter()
    }

    /// The highest instance that has a row at an event, of a repeating instrument or of the event
    /// itself; 0 if there is none.
    #[must_use]
    pub fn last_instance(&self, event: &str, instrument: Option<&str>) -> u32 {
        // Rows are sorted, so the last one before every place behind it is the one.
        let behind = self.rows.partition_point(|(place, _)| {
            let spot = place.spot();
            (spot.event, spot.instrument) <= (event, instrument)
        });
        behind.checked_sub(1).map_or(0, |last| {
            let spot = self.rows[last].0.spot();
            if (spot.event, spot.instrument) == (event, instrument) { spot.instance } else { 0 }
        })
    }

    /// The lowest instance that has a row; 1 if there is none.
    #[must_use]
    pub fn first_instance(&self, event: &str, instrument: Option<&str>) -> u32 {
        let from = self.rows.partition_point(|(place, _)| {
            let spot = place.spot();
            (spot.event, spot.instrument) < (event, instrument)
        });
        self.rows.get(from).map(|(place, _)| place.spot()).map_or(1, |spot| {
            if (spot.event, spot.instrument) == (event, instrument) { spot.instance } else { 1 }
        })
    }

    /// How far a survey got; none if it was never started. `event: None` is a classic project's.
    #[must_use]
    pub fn survey_timestamp(
        &self,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
    ) -> Option<&SurveyTimestamp> {
        self.timestamps.get(&timestamp_key(instrument, event, instance))
    }

    pub fn set_survey_timestamp(
        &mut self,
        instrument: &str,
        event: Option<&str>,
        instance: u32,
        timestamp: SurveyTimestamp,
    ) {
        self.timestamps.insert(timestamp_key(instrument, event, instance), timestamp);
    }

    /// When a survey was begun: `YYYY-MM-DD HH:MM:SS`. The API does not tell; only who asked the
    /// questions knows.
    #[must_use]
    pub fn survey_started(&self, instrument: &str, event: Option<&str>, instance: u32) -> Option<&str> {
        self.started.get(&timestamp_key(instrument, event, instance)).map(String::as_str)
    }

    pub fn set_survey_started(&mut self, instrument: &str, event: Option<&str>, instance: u32, at: &str) {
        self.started.insert(timestamp_key(instrument, event, instance), at.to_owned());
    }

    /// Every survey that was started: instrument, event, instance.
    pub fn survey_timestamps(&self) -> impl Iterator<Item = (&str, &str, u32, &SurveyTimestamp)> {
        self.timestamps
            .iter()
            .map(|((instrument, event, instance), at)| (instrument.as_str(), event.as_str(), *instance, at))
    }
}

fn timestamp_key(instrument: &str, event: Option<&str>, instance: u32) -> (String, String, u32) {
    (instrument.to_owned(), event.unwrap_or(CLASSIC_EVENT).to_owned(), instance.max(1))
}

/// The column of one box: the code is lower-cased, and everything but letters, digits and
/// underscores becomes an underscore (`-99` is `field____99` in recorded exports).
#[must_use]
pub fn checkbox_column(field: &str, code: &str) -> String {
    let code: String = code
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("{}___{code}", field.to_ascii_lowercase())
}

const EVENT: &str = "redcap_event_name";
const REPEAT_INSTRUMENT: &str = "redcap_repeat_instrument";
const REPEAT_INSTANCE: &str = "redcap_repeat_instance";
const DATA_ACCESS_GROUP: &str = "redcap_data_access_group";

/// Reads the rows of a flat JSON export. Rows without the record-id field are left out, as nothing
/// tells whose they are.
#[must_use]
pub fn from_flat_rows(project: &Project, rows: &[Map<String, Value>]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let id = text(row.get(&project.record_id_field));
        if id.is_empty() {
            continue;
        }
        let index = *by_id.entry(id.clone()).or_insert_with(|| {
            records.push(Record::new(&id));
            records.len() - 1
        });
        read_row(project, row, &mut records[index]);
    }
    records
}

fn read_row(project: &Project, row: &Map<String, Value>, record: &mut Record) {
    let filled = |key: &str| Some(text(row.get(key))).filter(|value| !value.is_empty());
    let place = Place {
        event: filled(EVENT),
        instrument: filled(REPEAT_INSTRUMENT),
        instance: text(row.get(REPEAT_INSTANCE)).parse().unwrap_or(1),
    };
    record.row_mut(place.spot());
    for (column, value) in row {
        let is_group = column == DATA_ACCESS_GROUP;
        if column.starts_with("redcap_") && !is_group && project.field(column).is_none() {
            continue;
        }
        let value = text(Some(value));
        let survey = column
            .strip_suffix("_timestamp")
            .filter(|stem| project.field(column).is_none() && project.instrument(stem).is_some());
        // A blank in one row says nothing about another, so only what is filled is stored.
        if value.is_empty() {
            continue;
        }
        match survey {
            Some(instrument) => {
                let timestamp = if value == "[not completed]" {
                    SurveyTimestamp::NotCompleted
                } else {
                    SurveyTimestamp::Completed(value)
                };
                record.set_survey_timestamp(instrument, place.event.as_deref(), place.instance, timestamp);
            }
            None => record.set(column, &place, &value),
        }
    }
}

/// JSON values are mostly strings, and sometimes numbers.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(truth)) => u8::from(*truth).to_string(),
        Some(other) => other.to_string(),
    }
}

/// The rows an API export of these records gives, with survey timestamps and every column of the
/// project: blank where there is no value, `0` for a box that is not checked.
#[must_use]
pub fn to_flat_rows(project: &Project, records: &[Record]) -> Vec<Map<String, Value>> {
    records
        .iter()
        .flat_map(|record| record.places().map(|place| to_flat_row(project, record, place, &|_| true)))
        .collect()
}

/// The row of [`to_flat_rows`] for one place of a record, with those columns only that are wanted. Columns
/// that say where the row stands are always there.
#[must_use]
pub fn to_flat_row(
    project: &Project,
    record: &Record,
    place: &Place,
    wants: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let row = record.find(place.spot()).ok().map(|at| &record.rows[at].1);
    let event = place.event_name();
    let mut flat = Map::new();
    if wants(&project.record_id_field) {
        flat.insert(project.record_id_field.clone(), record.id.clone().into());
    }
    if project.longitudinal {
        flat.insert(EVENT.to_owned(), event.into());
    }
    if !project.repeating.is_empty() {
        flat.insert(REPEAT_INSTRUMENT.to_owned(), place.instrument.clone().unwrap_or_default().into());
        let counts = place.instrument.is_some() || project.event_repeats(event);
        let instance = if counts { Value::from(place.instance) } else { Value::from("") };
        flat.insert(REPEAT_INSTANCE.to_owned(), instance);
    }
    let mut put = |column: String, value: &str| {
        if wants(&column) {
            flat.insert(column, value.into());
        }
    };
    let value = |column: &str| row.and_then(|row| row.get(column)).map(String::as_str);
    for instrument in &project.instruments {
        let here = match &place.instrument {
            Some(repeating) => *repeating == instrument.name,
            None => !project.repeats(event, &instrument.name),
        };
        if project.survey(&instrument.name).is_some() {
            let timestamp =
                here.then(|| record.survey_timestamp(&instrument.name, Some(event), place.instance));
            let timestamp = match timestamp.flatten() {
                None => "",
                Some(SurveyTimestamp::NotCompleted) => "[not completed]",
                Some(SurveyTimestamp::Completed(at)) => at,
            };
            put(format!("{}_timestamp", instrument.name), timestamp);
        }
        for field in project.fields_of(&instrument.name) {
            if field.name == project.record_id_field {
                continue;
            }
            let blank = if field.kind == FieldKind::Checkbox && here { "0" } else { "" };
            for column in columns(field) {
                let stored = value(&column).unwrap_or(blank);
                put(column, stored);
            }
        }
        let status = format!("{}_complete", instrument.name);
        let stored = value(&status).unwrap_or_default();
        put(status, stored);
    }
    flat
}

/// The export columns of a field: one per choice for a checkbox, none for text that is only shown.
#[must_use]
pub fn columns(field: &Field) -> Vec<String> {
    match field.kind {
        FieldKind::Checkbox => {
            field.choices.iter().map(|choice| checkbox_column(&field.name, &choice.code)).collect()
        }
        FieldKind::Descriptive => Vec::new(),
        _ => vec![field.name.to_ascii_lowercase()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odm::tests::small_project;

    fn rows(json: &str) -> Vec<Map<String, Value>> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_checkbox_column_is_lower_case_and_has_no_signs() {
        assert_eq!(checkbox_column("Sym", "-99"), "sym____99");
        assert_eq!(checkbox_column("x", "N02BA"), "x___n02ba");
    }

    #[test]
    fn a_classic_event_has_two_names() {
        let mut record = Record::new("1");
        record.set("Age", &Place::default(), "34");
        assert_eq!(record.get("age", &Place::at(CLASSIC_EVENT)), Some("34"));
        record.set("age", &Place::at(CLASSIC_EVENT), "");
        assert_eq!(record.get("age", &Place::default()), None);
    }

    #[test]
    fn flat_rows_come_back_as_they_went() {
        let project = small_project();
        let rows = rows(
            r#"[{"record_id":1,"redcap_event_name":"baseline_arm_1","redcap_repeat_instrument":"",
                "redcap_repeat_instance":"","first_name":"Ann","symptoms___1":"1","symptoms____99":0,
                "entry_complete":"2","entry_timestamp":"2026-11-23 10:00:00"},
               {"record_id":"1","redcap_event_name":"baseline_arm_1","redcap_repeat_instrument":"bp",
                "redcap_repeat_instance":2,"systolic":"111"},
               {"record_id":"","first_name":"nobody"}]"#,
        );
        let records = from_flat_rows(&project, &rows);
        assert_eq!(records.len(), 1);
        let record = &records[0];
        let base = Place::at("baseline_arm_1");
        assert_eq!(record.get("first_name", &base), Some("Ann"));
        assert!(record.checkbox("symptoms", "1", &base));
        assert!(!record.checkbox("symptoms", "-99", &base));
        assert_eq!(
            record.survey_timestamp("entry", Some("baseline_arm_1"), 1),
            Some(&SurveyTimestamp::Completed("2026-11-23 10:00:00".into()))
        );
        assert_eq!(record.get("systolic", &Place::of(&project, "baseline_arm_1", "bp", 2)), Some("111"));
        assert_eq!(record.last_instance("baseline_arm_1", Some("bp")), 2);

        let out = to_flat_rows(&project, &records);
        assert_eq!(out[0]["entry_timestamp"], "2026-11-23 10:00:00");
        assert_eq!(out[1]["redcap_repeat_instance"], 2);
        assert_eq!(out[1]["symptoms___1"], "", "boxes of another form are not in a repeat's row");
        assert_eq!(from_flat_rows(&project, &out).len(), 1);
    }

    #[test]
    fn debug_shows_no_value() {
        let mut record = Record::new("secret-id");
        record.set("age", &Place::default(), "secret-value");
        assert!(!format!("{record:?}").contains("secret"));
    }
}
