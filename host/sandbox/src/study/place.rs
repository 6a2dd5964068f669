//! Where the fields of an instrument stand.

use redcap::project::Project;
use redcap::record::Place;

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
