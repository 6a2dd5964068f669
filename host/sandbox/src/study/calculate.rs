//! Calculated fields, which REDCap computes when something is saved.

use jiff::civil::DateTime;
use redcap::calculate::Calculations;
use redcap::project::Project;
use redcap::record::{Place, Record};

/// Computes what follows from what was saved. A formula that is not understood keeps the value it has.
pub(super) fn recalculate(project: &Project, record: &mut Record, now: DateTime) {
    Calculations::of(project).recalculate(project, record, now);
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
