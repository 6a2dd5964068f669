//! Calculated fields, which REDCap computes when a form is saved.

use jiff::civil::DateTime;
use redcap::logic::{Context, evaluate, parse};
use redcap::project::Project;
use redcap::record::{Place, Record, columns};

/// Computes every calculation of the forms that were begun, twice over, so that one may build on another.
/// A formula that is not understood keeps the value it has.
pub(super) fn recalculate(project: &Project, record: &mut Record, now: DateTime) {
    for _ in 0..2 {
        let places: Vec<Place> = record.places().cloned().collect();
        for place in &places {
            compute(project, record, place, now);
        }
    }
}

fn compute(project: &Project, record: &mut Record, place: &Place, now: DateTime) {
    for field in &project.fields {
        let Some(formula) = &field.calculation else { continue };
        if !is_at(project, place, &field.instrument) || !is_begun(project, record, place, &field.instrument) {
            continue;
        }
        let Ok(formula) = parse(formula) else { continue };
        let outcome = evaluate(&formula, &Context::new(project, record, place, now)).text().into_owned();
        record.set(&field.name, place, &outcome);
    }
}

/// Whether a place is where an instrument's fields stand.
pub(super) fn is_at(project: &Project, place: &Place, instrument: &str) -> bool {
    let event = place.event_name();
    match &place.instrument {
        Some(repeating) => repeating == instrument,
        None => {
            !project.repeats(event, instrument)
                && project.instruments_of(event).any(|known| known.name == instrument)
        }
    }
}

/// Whether anything was ever saved on a form. The record's id is on every row and does not count.
pub(super) fn is_begun(project: &Project, record: &Record, place: &Place, instrument: &str) -> bool {
    let status = format!("{instrument}_complete");
    let fields = project.fields_of(instrument).filter(|field| field.name != project.record_id_field);
    fields.flat_map(columns).chain([status]).any(|column| record.get(&column, place).is_some())
}
