//! Scenarios that a coordinator can read: what is designed in REDCap, who does what, and what each participant gets
//! then. Each file of `tests/scenarios` is one; `BLESS=1` writes what came out into it, for somebody to read.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use consentry::simulate::{Line, Row, Script, Study, report};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use redcap::project::{
    Alert, AutomatedInvitation, CLASSIC_EVENT, Condition, Event, Field, FieldKind, FormEvent, Instrument,
    Joined, QueueRow, Repeating, Survey, When,
};
use tests::{policies, workspace};

#[tokio::test]
async fn every_scenario_comes_out_as_it_says() -> Result<()> {
    let mut files: Vec<_> = std::fs::read_dir(workspace().join("tests/scenarios"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    assert!(files.len() >= 20, "there are scenarios");
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let named = || file.display().to_string();
        let scenario = Scenario::read(&text).with_context(named)?;
        let came_out = scenario.play().await.with_context(named)?;
        if came_out.trim() == scenario.then.trim() {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            let (given, _) = text.split_once("\nthen\n").context("it has no `then`")?;
            std::fs::write(&file, format!("{given}\nthen\n{came_out}"))?;
            continue;
        }
        let _ = writeln!(wrong, "\n{}\nexpected\n{}\ncame out\n{came_out}", named(), scenario.then);
    }
    if wrong.is_empty() { Ok(()) } else { Err(anyhow!("{wrong}")) }
}

struct Scenario {
    model: redcap::Project,
    rows: Vec<Row>,
    script: String,
    settings: String,
    zone: TimeZone,
    from: DateTime,
    days: u32,
    with_texts: bool,
    then: String,
}

impl Scenario {
    /// Blocks, each with a heading and indented lines: `invitation to SURVEY`, `alert TITLE`, `queue SURVEY`,
    /// `survey SURVEY`, `record ID`, `script`, `settings`, `from … for N days`, and at last `then`.
    fn read(text: &str) -> Result<Scenario> {
        let (given, then) = text.split_once("\nthen\n").context("it has no `then`")?;
        let longitudinal = given.lines().any(|line| line.trim() == "with events");
        let mut scenario = Scenario {
            model: model(longitudinal),
            rows: vec![],
            script: String::new(),
            settings: String::new(),
            zone: TimeZone::get("America/New_York")?,
            from: "2026-11-23T09:00:00".parse()?,
            days: 3,
            with_texts: given.lines().any(|line| line.trim() == "with texts"),
            then: then.to_owned(),
        };
        let mut blocks: Vec<(String, Vec<String>)> = vec![];
        for line in given.lines() {
            if line.trim().is_empty() || line.starts_with('#') || line.starts_with("with ") {
                continue;
            }
            match line.strip_prefix("  ") {
                Some(rest) => {
                    blocks.last_mut().context("a line belongs to no block")?.1.push(rest.to_owned());
                }
                None => blocks.push((line.to_owned(), vec![])),
            }
        }
        for (heading, lines) in blocks {
            scenario.block(&heading, &lines).with_context(|| format!("`{heading}`"))?;
        }
        Ok(scenario)
    }

    fn block(&mut self, heading: &str, lines: &[String]) -> Result<()> {
        let (word, rest) = heading.split_once(' ').unwrap_or((heading, ""));
        match word {
            "invitation" => {
                let invitation = invitation(rest.trim_start_matches("to "), lines)?;
                self.model.invitations.push(invitation);
            }
            "alert" => {
                let number = u32::try_from(self.model.alerts.len())? + 1;
                self.model.alerts.push(alert(number, rest, lines)?);
            }
            "queue" => self.model.queue.push(QueueRow {
                instrument: rest.into(),
                event: CLASSIC_EVENT.into(),
                active: true,
                ..QueueRow::default()
            }),
            "survey" => {
                let survey = self.model.surveys.iter_mut().find(|survey| survey.instrument == rest);
                let survey = survey.context("there is no such survey")?;
                for line in lines {
                    match line.split_once(' ').unwrap_or((line, "")) {
                        ("expires", at) => survey.expiration = Some(at.to_owned()),
                        ("inactive", _) => survey.enabled = false,
                        ("takes", limit) => {
                            let hours = limit.trim_end_matches(" hours").to_owned();
                            survey.settings.insert("survey_time_limit_hours".into(), hours);
                        }
                        _ => bail!("`{line}` is not understood"),
                    }
                }
            }
            "record" => self.record(rest, lines)?,
            "script" => self.script = lines.join("\n"),
            "settings" => self.settings = lines.join("\n"),
            "zone" => self.zone = TimeZone::get(rest)?,
            "from" => {
                let (from, days) = rest.split_once(" for ").context("it says not for how long")?;
                self.from = from.replacen(' ', "T", 1).parse()?;
                self.days = days.trim_end_matches(" days").parse()?;
            }
            _ => bail!("there is no such block"),
        }
        Ok(())
    }

    /// A record's lines are forms that staff save: `FORM: a=1, b=2`, or `day 2 10:00 FORM: …`.
    fn record(&mut self, id: &str, lines: &[String]) -> Result<()> {
        for line in lines {
            let (form, values) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            let (at, form) = match form.strip_prefix("day ") {
                Some(rest) => {
                    let mut words = rest.split(' ');
                    let day = words.next().context("no day")?.parse()?;
                    let time: Time = words.next().context("no time")?.parse()?;
                    (Some((day, time)), words.next().context("no form")?)
                }
                None => (None, form),
            };
            let (form, event) = match form.split_once('@') {
                Some((form, event)) => (form, Some(event.to_owned())),
                None => (form, None),
            };
            let (form, instance) = match form.split_once('#') {
                Some((form, instance)) => (form, instance.parse()?),
                None => (form, 1),
            };
            let mut values: Vec<(String, String)> = values
                .split(", ")
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).context("no `=`"))
                .collect::<Result<_>>()?;
            let status = format!("{form}_complete");
            if !values.iter().any(|(name, _)| *name == status) {
                values.push((status, "2".into()));
            }
            let (record, instrument) = (id.to_owned(), form.to_owned());
            self.rows.push(Row { at, record, instrument, event, instance, values });
        }
        Ok(())
    }

    async fn play(&self) -> Result<String> {
        let script = Script::read("script", &self.script).map_err(|problems| anyhow!("{problems:?}"))?;
        let study = Study {
            xml: redcap::odm::write_project(&self.model),
            rows: self.rows.clone(),
            script,
            settings: Some(self.settings.clone()),
            assumes: true,
            folder: PathBuf::from("."),
            policies: policies(),
            zone: self.zone.clone(),
            from: self.from,
            days: self.days,
        };
        let simulation = consentry::simulate::run(study).await.map_err(|error| anyhow!("{error:?}"))?;
        let mut out = String::new();
        let mut lines: Vec<&Line> = simulation.messages.iter().collect();
        lines.sort_by(|a, b| (&a.record, a.instant, &a.schedule).cmp(&(&b.record, b.instant, &b.schedule)));
        let mut record = None;
        for line in lines {
            if record != Some(&line.record) {
                let _ = writeln!(out, "record {}", line.record.as_deref().unwrap_or("-"));
                record = Some(&line.record);
            }
            let mut shown = line.clone();
            shown.text = shown.text.filter(|_| self.with_texts).map(|text| without_links(&text));
            // The rule is enough here; its sentence is the program's to word.
            shown.why = shown.rule.as_ref().map(|_| String::new());
            let _ = writeln!(out, "  {}", report::one(&shown).replace(": )", ")"));
        }
        Ok(out)
    }
}

/// A text whose links, which nobody can foresee, are `LINK`.
fn without_links(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.starts_with("https://") { "LINK" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A small study: who somebody is, two surveys and one that repeats, a visit.
fn model(longitudinal: bool) -> redcap::Project {
    let mut model = redcap::Project::classic("A study");
    if longitudinal {
        model.longitudinal = true;
        model.events = [("first_arm_1", "First"), ("second_arm_1", "Second")]
            .map(|(unique_name, label)| Event {
                unique_name: unique_name.into(),
                label: label.into(),
                arm: 1,
                ..Event::default()
            })
            .into();
    }
    model.record_id_field = "record_id".into();
    model.invitation_email_field = Some("email".into());
    for (instrument, is_survey) in
        [("enrollment", false), ("diary", true), ("followup", true), ("checkin", true), ("visit", false)]
    {
        model.instruments.push(Instrument { name: instrument.into(), label: instrument.into() });
        if is_survey {
            model.surveys.push(Survey {
                instrument: instrument.into(),
                title: instrument.into(),
                enabled: true,
                ..Survey::default()
            });
        }
        for event in &model.events {
            model
                .form_events
                .push(FormEvent { event: event.unique_name.clone(), instrument: instrument.into() });
        }
    }
    for (name, instrument, validation, identifier) in [
        ("record_id", "enrollment", None, false),
        ("first_name", "enrollment", None, true),
        ("mobile", "enrollment", Some("phone"), false),
        ("email", "enrollment", Some("email"), false),
        ("enrolled", "enrollment", None, false),
        ("preference", "enrollment", None, false),
        ("clinic", "enrollment", None, false),
        ("nurse_phone", "enrollment", Some("phone"), false),
        ("mood", "diary", Some("integer"), false),
        ("pain", "followup", Some("integer"), false),
        ("steps", "checkin", Some("integer"), false),
        ("visit_at", "visit", Some("datetime_ymd"), false),
        ("outcome", "visit", None, false),
    ] {
        model.fields.push(Field {
            name: name.into(),
            instrument: instrument.into(),
            kind: FieldKind::Text,
            label: name.into(),
            validation: validation.map(str::to_owned),
            identifier,
            ..Field::default()
        });
    }
    let event = model.events[0].unique_name.clone();
    model.repeating.push(Repeating { event, instrument: Some("checkin".into()), ..Repeating::default() });
    model
}

fn invitation(to: &str, lines: &[String]) -> Result<AutomatedInvitation> {
    let (survey, event) = to.split_once('@').unwrap_or((to, CLASSIC_EVENT));
    let mut invitation = AutomatedInvitation {
        instrument: survey.into(),
        event: event.into(),
        active: true,
        content: "<p>Your survey: [survey-url]</p>".into(),
        subject: "Your survey".into(),
        delivery_type: "SMS_INVITE_WEB".into(),
        ..AutomatedInvitation::default()
    };
    for line in lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "when" => invitation.condition.logic = Some(rest.into()),
            "after" => {
                let survey = rest.trim_end_matches(" is complete");
                let (survey, event) = survey.split_once('@').unwrap_or((survey, CLASSIC_EVENT));
                invitation.condition = Condition {
                    survey: Some(survey.into()),
                    event: Some(event.into()),
                    ..invitation.condition
                };
            }
            "or" => invitation.condition.joined = Joined::Or,
            "send" => {
                let (when, anchor) = when(rest)?;
                invitation.send = when;
                if let Some((field, side)) = anchor {
                    invitation.settings.insert("condition_send_time_lag_field".into(), field);
                    invitation.settings.insert("condition_send_time_lag_field_after".into(), side);
                }
            }
            "remind" => {
                let (every, times) = rest.split_once(", ").context("how often?")?;
                invitation.reminder = Some(when(every)?.0);
                invitation.reminders = times.trim_end_matches(" times").parse()?;
            }
            "repeat" => {
                let (every, times) = rest.split_once(", ").unwrap_or((rest, ""));
                let (number, unit) = every.trim_start_matches("every ").split_once(' ').context("a unit?")?;
                for (key, value) in [
                    ("num_recurrence", number),
                    ("units_recurrence", &unit.to_uppercase()),
                    ("max_recurrence", times.trim_end_matches(" times")),
                ] {
                    invitation.settings.insert(key.into(), value.into());
                }
            }
            "ensure" => invitation.reeval_before_send = true,
            "by" => invitation.delivery_type = rest.into(),
            "says" => invitation.content = rest.into(),
            _ => bail!("`{line}` is not understood"),
        }
    }
    Ok(invitation)
}

fn alert(number: u32, title: &str, lines: &[String]) -> Result<Alert> {
    let mut alert = Alert {
        number,
        title: title.into(),
        kind: "SMS".into(),
        active: true,
        any_status: true,
        phone_number_to: "[survey-participant-phone]".into(),
        message: "<p>A word from the study.</p>".into(),
        subject: "A word".into(),
        send_on: "now".into(),
        ..Alert::default()
    };
    alert.settings.insert("alert_stop_type".into(), "RECORD".into());
    for line in lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut set = |key: &str, value: &str| alert.settings.insert(key.into(), value.into());
        match word {
            "when" => alert.condition = Some(rest.into()),
            "saved" => {
                alert.any_status = !rest.ends_with(" as complete");
                alert.instrument = Some(rest.trim_end_matches(" as complete").into());
            }
            "ensure" => alert.ensure_logic_still_true = true,
            "withhold" => alert.prevent_piping_identifiers = true,
            "by" => alert.kind = rest.into(),
            "to" => {
                alert.phone_number_to = rest.into();
                alert.email_to = rest.into();
            }
            "says" => alert.message = rest.into(),
            "once" => {
                set("alert_stop_type", rest);
            }
            "every" => {
                set("email_repetitive", "1");
            }
            "expires" => {
                set("alert_expiration", rest);
            }
            "repeat" => {
                let (every, times) = rest.split_once(", ").unwrap_or((rest, ""));
                let (number, unit) = every.trim_start_matches("every ").split_once(' ').context("a unit?")?;
                set("cron_repeat_for", number);
                set("cron_repeat_for_units", &unit.to_uppercase());
                set("cron_repeat_for_max", times.trim_end_matches(" times"));
            }
            "send" => match when(rest)?.0 {
                When::Lag { days, hours, minutes } => {
                    for (unit, number) in [("days", days), ("hours", hours), ("minutes", minutes)] {
                        set(&format!("cron_send_email_on_time_lag_{unit}"), &number.to_string());
                    }
                    alert.send_on = "time_lag".into();
                }
                When::NextOccurrence { day, time } => {
                    set("cron_send_email_on_next_day_type", &day);
                    set("cron_send_email_on_next_time", &time);
                    alert.send_on = "next_occurrence".into();
                }
                When::At(at) => {
                    set("cron_send_email_on_date", &at);
                    alert.send_on = "date".into();
                }
                _ => {}
            },
            _ => bail!("`{line}` is not understood"),
        }
    }
    Ok(alert)
}

/// `at once`, `next WEEKDAY at 08:00`, `after 1 day 2 hours`, `1 day before [visit_at]`, `every 2 hours`,
/// `on 2026-11-25 10:00`.
fn when(words: &str) -> Result<(When, Option<(String, String)>)> {
    if words == "at once" {
        return Ok((When::Immediately, None));
    }
    if let Some(rest) = words.strip_prefix("next ") {
        let (day, time) = rest.split_once(" at ").context("a time?")?;
        return Ok((When::NextOccurrence { day: day.into(), time: time.into() }, None));
    }
    if let Some(at) = words.strip_prefix("on ") {
        return Ok((When::At(at.into()), None));
    }
    for side in ["before", "after"] {
        if let Some((span, field)) = words.split_once(&format!(" {side} [")) {
            return Ok((lag(span)?, Some((format!("[{field}"), side.into()))));
        }
    }
    let span = words.strip_prefix("after ").or_else(|| words.strip_prefix("every ")).context("when?")?;
    Ok((lag(span)?, None))
}

fn lag(words: &str) -> Result<When> {
    let (mut days, mut hours, mut minutes) = (0, 0, 0);
    let words: Vec<_> = words.split(' ').collect();
    for pair in words.chunks(2) {
        let [number, unit] = pair else { bail!("a number and a unit") };
        let number = number.parse()?;
        match unit.trim_end_matches('s') {
            "day" => days = number,
            "hour" => hours = number,
            "minute" => minutes = number,
            _ => bail!("`{unit}` is no unit"),
        }
    }
    Ok(When::Lag { days, hours, minutes })
}

/// Nothing of the scenarios depends on anything outside of the workspace.
#[test]
fn scenarios_are_text() {
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").is_dir());
}
