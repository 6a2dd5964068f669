//! The Data Entry Trigger: one unsigned POST per saved form, tried once.

use super::links::Target;
use crate::form::encode;
use crate::world::World;

/// A form that was just saved.
pub(crate) struct Saved {
    pub(super) url: Option<String>,
    pub(super) user: String,
    pub(super) status: String,
    pub(super) longitudinal: bool,
    pub(super) repeats: bool,
    pub(super) event_repeats: bool,
    pub(super) target: Target,
}

/// Tells the trigger, if there is one. Nothing comes of a failure, here as in REDCap.
pub(crate) async fn tell(world: &World, saved: &Saved) {
    let Some(url) = &saved.url else { return };
    let Target { record, instrument, event, instance } = &saved.target;
    let mut form = vec![
        ("project_id".to_owned(), super::api::PROJECT_ID.to_string()),
        ("username".to_owned(), saved.user.clone()),
        ("instrument".to_owned(), instrument.clone()),
        ("record".to_owned(), record.clone()),
    ];
    if saved.longitudinal {
        form.push(("redcap_event_name".to_owned(), event.clone()));
    }
    if saved.repeats || saved.event_repeats {
        form.push(("redcap_repeat_instance".to_owned(), instance.to_string()));
    }
    if saved.repeats {
        form.push(("redcap_repeat_instrument".to_owned(), instrument.clone()));
    }
    form.push((format!("{instrument}_complete"), saved.status.clone()));
    form.push(("redcap_url".to_owned(), format!("{}/redcap/", world.base_url)));
    form.push(("project_url".to_owned(), format!("{}/redcap/index.php?pid=1", world.base_url)));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    drop(world.post(url, &headers, encode(&form)).await);
}
