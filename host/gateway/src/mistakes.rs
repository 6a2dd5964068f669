//! What of a project's settings does not exist in REDCap. It would otherwise do nothing, for ever, without a
//! word: an invitation to a misspelt survey is never due.

use jiff::civil::DateTime;
use redcap::logic::{self, Context, Standing};
use redcap::{Place, Record};

use crate::project::Project;
use crate::schedule::{Design, Schedule};

/// Each mistake as a sentence that says what to mend.
pub(crate) fn mistakes(project: &Project, model: &redcap::Project) -> Vec<String> {
    let mut found = Vec::new();
    for rule in &project.invitations {
        let id = &rule.id;
        if model.survey(&rule.survey).is_none() {
            found.push(format!(
                "the invitation `{id}` names `{}`, which is not a survey of the project",
                rule.survey
            ));
        }
        if let Some(event) = rule.event.as_ref().filter(|event| model.event(event).is_none()) {
            found.push(format!("the invitation `{id}` names the event `{event}`, which the project has not"));
        }
        let Ok(condition) = logic::parse(&rule.when) else { continue };
        let standing = Standing { event: rule.event.as_deref().filter(|event| model.event(event).is_some()) };
        // A condition is evaluated with what REDCap's API tells, and that is not everything.
        let (nobody, place) = (Record::new(""), standing.event.map(Place::at).unwrap_or_default());
        let context = Context::new(model, &nobody, &place, DateTime::default());
        if let Some((reference, what)) = logic::untold(&condition, &context) {
            found.push(format!(
                "the condition of the invitation `{id}` says `{reference}`, which needs to know {what}; REDCap \
                 does not tell it, so that nobody is invited; use a field instead"
            ));
        }
        for finding in logic::check(&condition, model, standing) {
            let text = &rule.when[finding.at];
            found.push(format!(
                "the condition of the invitation `{id}` says `{text}`: {}; {}",
                finding.sentence, finding.help
            ));
        }
    }
    let fields = &project.fields;
    let consent =
        fields.consent.iter().flat_map(|c| std::iter::once(&c.given).chain(&c.withdrawn).chain(&c.phone));
    let named = [
        &fields.phone,
        &fields.email,
        &fields.preference,
        &fields.language,
        &fields.time_zone,
        &fields.opt_out,
    ];
    for field in named.into_iter().flatten().chain(consent) {
        if !is_field(model, field) {
            found.push(format!(
                "the settings of the participant name the field `{field}`, which the project has not"
            ));
        }
    }
    if let Some(event) = fields.event.as_ref().filter(|event| model.event(event).is_none()) {
        found.push(format!(
            "the settings of the participant name the event `{event}`, which the project has not"
        ));
    }
    found
}

/// What of the schedules is not run, and why; and what would be sent twice, because REDCap sends it too.
pub(crate) fn of_schedules(project: &Project) -> Vec<String> {
    let Some(design) = project.design() else { return vec![] };
    let mut found = Design::not_there(project, &design.model);
    // What is wrong with a rule of the project's own file is told by `mistakes`.
    let own = |schedule: &&Schedule| !schedule.id.starts_with("invitation/");
    let not_run = design.schedules.iter().filter(own).filter_map(|schedule| {
        let why = schedule.not_run.as_ref()?;
        Some(format!("`{}` is not run: {why}", schedule.id))
    });
    found.extend(not_run);
    found
}

fn is_field(model: &redcap::Project, name: &str) -> bool {
    model.field(name).is_some()
        || model.status_of(name).is_some()
        || name.eq_ignore_ascii_case(&model.record_id_field)
}
