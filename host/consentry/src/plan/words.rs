//! What is designed in REDCap, in words.

use gateway::project::Project;
use gateway::schedule::{By, Day, Per, Repeat, Schedule, Timing};
use jiff::civil::Weekday;
use jiff::{Span, Timestamp};
use policy::contract::settings::Value;
use policy::contract::types::DeliveryMethod;

/// A day, on REDCap's clock.
pub(super) fn date(instant: u32, project: &Project) -> String {
    let at = Timestamp::from_second(i64::from(instant)).unwrap_or(Timestamp::UNIX_EPOCH);
    project.zone.to_datetime(at).strftime("%-d %B %Y").to_string()
}

/// A way of writing to somebody.
pub(super) fn method(method: DeliveryMethod) -> &'static str {
    match method {
        DeliveryMethod::Email => "e-mail",
        DeliveryMethod::SmsLink => "text message with a link",
        DeliveryMethod::SmsConversation => "survey by text messages",
        DeliveryMethod::VoiceCall => "survey by voice call",
        DeliveryMethod::SmsToMakeCall => "text message with a number to call",
        DeliveryMethod::SmsToReceiveCall => "text message that is answered to be called",
        DeliveryMethod::SmsText => "text message",
        DeliveryMethod::VoiceMessage => "voice call with a message",
    }
}

/// What makes a message, a sentence each.
pub(super) fn trigger(schedule: &Schedule, model: &redcap::Project) -> Vec<String> {
    let trigger = &schedule.trigger;
    let mut sentences = Vec::new();
    if let Some(saved) = &trigger.saved {
        let how = if saved.any_status { "in any status" } else { "as complete" };
        sentences.push(format!(
            "The form `{}` is saved {how}, by somebody and not by an import.",
            saved.instrument
        ));
        if saved.every_time {
            sentences.push("Each save that changes something makes a message of its own.".into());
        }
    }
    if let Some((survey, event)) = &trigger.completed {
        let title = model.survey(survey).map_or("", |survey| survey.title.as_str());
        let title = if title.is_empty() { String::new() } else { format!(" (“{title}”)") };
        let event = event.as_ref().map(|event| format!(" at the event `{event}`")).unwrap_or_default();
        sentences.push(format!("The survey `{survey}`{title}{event} is complete."));
    }
    if trigger.condition.is_some() {
        let both = trigger.saved.is_some() || trigger.completed.is_some();
        sentences.push(match (both, trigger.either) {
            (false, _) => "The condition below becomes true.".into(),
            (true, true) => "Or the condition below is true: either will do.".into(),
            (true, false) => "And the condition below is true.".into(),
        });
        if schedule.depends_on_time() {
            sentences.push(
                "The condition depends on the date or the time, so it is looked at as time passes.".into(),
            );
        }
    }
    sentences
}

/// When a message is due after its trigger.
pub(super) fn timing(timing: &Timing) -> String {
    match timing {
        Timing::Now => "at once".into(),
        Timing::Lag(by) => format!("{} after that", span(*by)),
        Timing::Around(anchor) => {
            let event = anchor.event.as_ref().map(|event| format!("[{event}]")).unwrap_or_default();
            let side = if anchor.by.is_negative() { "before" } else { "after" };
            format!("{} {side} the date in `{event}[{}]`", span(anchor.by.abs()), anchor.field)
        }
        Timing::Next(day, time) => {
            format!("on the next {} after that, at {}", name(*day), time.strftime("%H:%M"))
        }
        Timing::At(moment) => format!("on {}", moment.strftime("%-d %B %Y at %H:%M")),
    }
}

/// Each reminder in words.
pub(super) fn reminders(schedule: &Schedule) -> Vec<String> {
    let Some((timing, count)) = &schedule.reminders else { return vec![] };
    let unless = "unless the survey is complete by then";
    let one = |n: u32| match timing {
        Timing::Lag(by) => {
            let by = by.checked_mul(i64::from(n)).unwrap_or(*by);
            Some(format!("{} after the invitation, {unless}", span(by)))
        }
        Timing::Next(day, time) => {
            let after = if n == 1 { "the invitation" } else { "that" };
            Some(format!("on the next {} after {after}, at {}, {unless}", name(*day), time.strftime("%H:%M")))
        }
        Timing::At(moment) if n == 1 => {
            Some(format!("on {}, {unless}", moment.strftime("%-d %B %Y at %H:%M")))
        }
        _ => None,
    };
    (1..=*count).filter_map(one).collect()
}

/// How something repeats itself.
pub(super) fn repetition(repeat: &Repeat) -> String {
    let every = span(repeat.every);
    match repeat.most {
        Some(most) => format!("It repeats itself every {every}, {most} times in all."),
        None => format!("It repeats itself every {every}, without an end of its own."),
    }
}

/// How often something may come.
pub(super) fn once_per(schedule: &Schedule, model: &redcap::Project) -> String {
    let per = match schedule.once_per {
        Per::Record => "record",
        Per::Event => "event of a record",
        Per::Instance if model.repeating.is_empty() => "record",
        Per::Instance => "repeat instance",
    };
    let besides = if schedule.repeat.is_some() { ", apart from its repetitions" } else { "" };
    format!("It comes once for each {per}{besides}.")
}

/// A span of time: "2 days and 30 minutes".
pub(super) fn span(span: Span) -> String {
    let parts = [
        (i64::from(span.get_days()), "day"),
        (i64::from(span.get_hours()), "hour"),
        (span.get_minutes(), "minute"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(n, _)| *n != 0)
        .map(|(n, unit)| if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") })
        .collect();
    match parts.as_slice() {
        [] => "no time".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Seconds as a person counts them.
pub(super) fn seconds(seconds: u32) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3600, seconds % 3600 / 60);
    // A day is what people call 24 hours, unless it is only one.
    let (days, hours) = if days == 1 { (0, hours + 24) } else { (days, hours) };
    let made = Span::new().try_days(i64::from(days)).and_then(|it| it.try_hours(i64::from(hours)));
    made.and_then(|it| it.try_minutes(i64::from(minutes))).map_or_else(|_| String::new(), span)
}

/// A setting's value.
pub(super) fn value(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::Truth(true)) => "yes".into(),
        Some(Value::Truth(false)) => "no".into(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Texts(texts)) if texts.is_empty() => "none".into(),
        Some(Value::Texts(texts)) => texts.join(", "),
    }
}

/// The methods by which a schedule may go.
pub(super) fn methods(schedule: &Schedule, project: &Project) -> Vec<DeliveryMethod> {
    match schedule.by {
        By::Method(method) => vec![method],
        By::Preference => project.methods.clone(),
    }
}

fn name(day: Day) -> &'static str {
    match day {
        Day::Any => "day",
        Day::Workday => "workday",
        Day::Weekend => "day of a weekend",
        Day::Of(Weekday::Monday) => "Monday",
        Day::Of(Weekday::Tuesday) => "Tuesday",
        Day::Of(Weekday::Wednesday) => "Wednesday",
        Day::Of(Weekday::Thursday) => "Thursday",
        Day::Of(Weekday::Friday) => "Friday",
        Day::Of(Weekday::Saturday) => "Saturday",
        Day::Of(Weekday::Sunday) => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn a_span_is_told_as_a_person_counts() {
        assert_eq!(span(1.hour()), "1 hour");
        assert_eq!(span(2.days().minutes(30)), "2 days and 30 minutes");
        assert_eq!(span(1.day().hours(2).minutes(15)), "1 day, 2 hours and 15 minutes");
        assert_eq!(
            [seconds(86_400), seconds(5_400), seconds(172_800)],
            ["24 hours", "1 hour and 30 minutes", "2 days"]
        );
    }
}
