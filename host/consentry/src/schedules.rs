//! What is sent by itself: every schedule of a project, told in words, with the digests of its texts and where they
//! stand with the IRB. No number and no mailbox is shown.

use std::fmt::Write;

use gateway::project::Project;
use gateway::schedule::{By, Design, Per, Schedule, Timing, To, Trigger};
use gateway::vocabulary::Word;
use policy::contract::wordings::ApprovalState;
use serde::Serialize;

/// A schedule, for people.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its id, as the log and `consentry catch-up` name it.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What makes a message, as a sentence.
    pub trigger: String,
    /// The condition, as it is written.
    pub condition: Option<String>,
    /// When its message is due.
    pub timing: String,
    /// Whether the condition must still hold when the message goes out.
    pub ensure: bool,
    /// When its reminders are due, and how many there are.
    pub reminders: Option<String>,
    /// How it repeats itself.
    pub repeats: Option<String>,
    /// The survey that it invites to.
    pub survey: Option<String>,
    /// How often it may come.
    pub once_per: &'static str,
    /// To whom it goes.
    pub recipients: Vec<String>,
    /// How it goes.
    pub method: String,
    /// Its texts.
    pub wordings: Vec<Text>,
    /// Whether it is active in REDCap.
    pub active_in_redcap: bool,
    /// Records to which REDCap itself will still send it.
    pub queued_in_redcap: usize,
    /// Why it is not run, if it is not.
    pub not_run: Option<String>,
}

/// A text of a schedule.
#[derive(Debug, Serialize)]
pub struct Text {
    /// Its id.
    pub id: String,
    /// Its language.
    pub language: String,
    /// The methods that it is for.
    pub methods: Vec<&'static str>,
    /// What an approval must name.
    pub digest: String,
    /// "approved", "submitted", "expired" or "absent".
    pub approval: &'static str,
}

/// Every schedule of a project.
pub fn of(project: &Project, design: &Design, now: u32) -> Vec<Shown> {
    design.schedules.iter().map(|schedule| shown(project, design, schedule, now)).collect()
}

fn shown(project: &Project, design: &Design, schedule: &Schedule, now: u32) -> Shown {
    let own = |id: &str| {
        let wanted = schedule.wording.as_deref();
        wanted
            .and_then(|wanted| id.strip_prefix(wanted))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let wordings = project.wordings.iter().chain(&design.wordings).filter(|wording| own(&wording.id));
    let repeats = schedule.repeat.as_ref().map(|repeat| {
        let most = repeat.most.map(|most| format!(", {most} times in all")).unwrap_or_default();
        format!("every {:#}{most}", repeat.every)
    });
    let reminders = schedule.reminders.as_ref().map(|(timing, count)| {
        let of = if matches!(timing, Timing::Lag(_)) { " the one before it" } else { "" };
        format!("{count}, each {}{of}", timing.sentence())
    });
    Shown {
        id: schedule.id.clone(),
        title: schedule.title.clone(),
        trigger: trigger(&schedule.trigger),
        condition: schedule.trigger.condition.as_ref().map(|(text, _)| text.clone()),
        timing: schedule.timing.sentence(),
        ensure: schedule.ensure,
        reminders,
        repeats,
        survey: schedule.survey.as_ref().map(|(instrument, event)| at(instrument, event.as_deref())),
        once_per: match schedule.once_per {
            Per::Record => "record",
            Per::Event => "event",
            Per::Instance => "instance",
        },
        recipients: schedule.to.iter().map(|to| recipient(project, to)).collect(),
        method: match schedule.by {
            By::Preference => "as the participant prefers".into(),
            By::Method(method) => method.word().into(),
        },
        wordings: wordings
            .map(|wording| Text {
                id: wording.id.clone(),
                language: wording.language.clone(),
                methods: wording.methods.iter().map(|method| method.word()).collect(),
                digest: wording.digest(),
                approval: match wording.approval_state(now) {
                    ApprovalState::Approved => "approved",
                    ApprovalState::Submitted => "submitted",
                    ApprovalState::Expired => "expired",
                    ApprovalState::Absent => "absent",
                },
            })
            .collect(),
        active_in_redcap: schedule.active_in_redcap,
        queued_in_redcap: design.queued.get(&schedule.id).map_or(0, std::collections::BTreeSet::len),
        not_run: schedule.not_run.clone(),
    }
}

fn at(instrument: &str, event: Option<&str>) -> String {
    event.map_or_else(|| instrument.to_owned(), |event| format!("{instrument}@{event}"))
}

fn trigger(trigger: &Trigger) -> String {
    let saved = trigger.saved.as_ref().map(|saved| {
        let status = if saved.any_status { "in any status" } else { "as complete" };
        let again = if saved.every_time { ", each time" } else { "" };
        format!("somebody saves the form `{}` {status}{again}", saved.instrument)
    });
    let completed = trigger
        .completed
        .as_ref()
        .map(|(instrument, event)| format!("the survey `{}` is complete", at(instrument, event.as_deref())));
    let condition = trigger.condition.as_ref().map(|_| "the condition holds".to_owned());
    let joined = if trigger.either { " or " } else { " and " };
    let sentence: Vec<_> = saved.into_iter().chain(completed).chain(condition).collect();
    if sentence.is_empty() { "nothing".into() } else { sentence.join(joined) }
}

/// Whom a message goes to: by role, and never by number.
fn recipient(project: &Project, to: &To) -> String {
    let staff = |found: Option<&gateway::project::Staff>| {
        found.map_or_else(
            || "somebody whom no administrator registered, so that it is held".to_owned(),
            |staff| format!("{}, registered by {}", staff.name, staff.registered),
        )
    };
    match to {
        To::Participant => "the participant".into(),
        To::Field(field) => {
            format!("whoever `[{field}]` names, for whom there is no consent, so that it is held")
        }
        To::Number(number) => staff(project.staff_with_phone(number)),
        To::Mailbox(mailbox) => staff(project.staff_with_mailbox(mailbox)),
        To::Nobody => "something that is no number and no mailbox".into(),
    }
}

/// The schedules for a person.
pub fn text(schedules: &[Shown]) -> String {
    if schedules.is_empty() {
        return "nothing is sent by itself: name it in [schedules], or write an [[invitation]]\n".into();
    }
    let mut text = String::new();
    // A `String` takes every write.
    for shown in schedules {
        let _ = writeln!(text, "{}  {}", shown.id, shown.title);
        if let Some(why) = &shown.not_run {
            let _ = writeln!(text, "    NOT RUN: {why}");
        }
        let ensure = if shown.ensure { ", and still then" } else { "" };
        let _ = writeln!(text, "    when {}{ensure}, {}", shown.trigger, shown.timing);
        if let Some(condition) = &shown.condition {
            let _ = writeln!(text, "    condition {condition}");
        }
        if let Some(repeats) = &shown.repeats {
            let _ = writeln!(text, "    repeated {repeats}");
        }
        if let Some(reminders) = &shown.reminders {
            let _ = writeln!(text, "    reminders {reminders}");
        }
        let to = shown.recipients.join("; ");
        let survey =
            shown.survey.as_ref().map(|survey| format!(" to the survey {survey}")).unwrap_or_default();
        let _ = writeln!(text, "    {}{survey}, to {to}, once for each {}", shown.method, shown.once_per);
        if shown.queued_in_redcap > 0 {
            let _ = writeln!(text, "    REDCap itself has queued it for {} records", shown.queued_in_redcap);
        }
        for wording in &shown.wordings {
            let for_methods = wording.methods.join(", ");
            let _ = writeln!(
                text,
                "    text {} ({}; {for_methods}) {}: {}",
                wording.id, wording.language, wording.approval, wording.digest
            );
        }
    }
    text
}
