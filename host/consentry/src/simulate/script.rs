//! What participants and staff do in a simulation, a line each, in words that a coordinator writes:
//!
//! ```text
//! # Everybody answers within the hour, unless a line below says otherwise.
//! everyone answers after 45 minutes with hr_*=70, temp_*=36.8
//! record 3 never answers
//! record 5 answers ob_2a after 5 hours with hr_2a=121
//! record 4 on day 2 at 09:15 texts "STOP"
//! record 6 on day 3 at 10:00 saves discharge with mon_discharge_date=2020-05-03
//! record 6 on day 4 at 10:00 imports patient_loc=2
//! record 8 on day 1 at 12:00 is renamed 9
//! ```
//!
//! Day 0 is the day on which the simulation begins. A line that is more particular, or further down, counts more.

use std::ops::Range;

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, ToSpan};

use crate::problem::Problem;

/// A script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    habits: Vec<Habit>,
    /// What somebody does at a moment.
    pub deeds: Vec<Deed>,
}

/// How somebody answers surveys.
#[derive(Clone, Debug)]
struct Habit {
    record: Option<String>,
    survey: Option<String>,
    when: Patience,
    with: Values,
}

/// When somebody answers.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// This line does not say.
    NotSaid,
    After(SignedDuration),
    Never,
}

/// Fields and values.
type Values = Vec<(String, String)>;

/// Something that somebody does at a moment.
#[derive(Clone, Debug)]
pub struct Deed {
    /// The record that it is about.
    pub record: String,
    /// The day, counted from the first.
    pub day: i64,
    /// The time of day.
    pub time: Time,
    /// What is done.
    pub what: What,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Staff save a form, at an event.
    Saves(String, Option<String>, Vec<(String, String)>),
    /// A program writes values, at an event.
    Imports(Option<String>, Vec<(String, String)>),
    /// The participant sends a text.
    Texts(String),
    /// Staff give the record another name.
    Renamed(String),
    /// Staff delete the record.
    Deleted,
    /// Staff open or close a survey.
    Switches(String, bool),
}

/// How a record answers a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// After how long; none if never.
    pub after: Option<SignedDuration>,
    /// Fields and values; a field may end or begin in a star.
    pub with: Vec<(String, String)>,
}

/// How long somebody takes of whom nothing is said.
const USUALLY: SignedDuration = SignedDuration::from_mins(30);

impl Script {
    /// Reads a script, or tells all that is wrong with it.
    pub fn read(name: &str, text: &str) -> Result<Script, Vec<Problem>> {
        let (mut script, mut problems) = (Script::default(), Vec::new());
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            let words = line.trim();
            let start = from + (line.len() - line.trim_start().len());
            from += line.len();
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            if let Err(why) = script.line(words) {
                let at = start..start + words.len();
                let help = "a line says who, when and what, as in `record 4 on day 2 at 09:15 texts \"STOP\"`, or \
                            `everyone answers after 45 minutes with mood=3`, or `record 3 never answers`";
                problems.push(problem(name, text, at, &why, help));
            }
        }
        if problems.is_empty() { Ok(script) } else { Err(problems) }
    }

    /// How a record answers a survey: what is said of this survey of this record, else of the record, else of
    /// everybody.
    pub fn answer(&self, record: &str, survey: &str) -> Answer {
        let mut answer = Answer { after: Some(USUALLY), with: vec![] };
        let concerns = |habit: &&Habit| {
            habit.record.as_ref().is_none_or(|own| own == record)
                && habit.survey.as_ref().is_none_or(|own| own == survey)
        };
        let mut habits: Vec<_> = self.habits.iter().filter(concerns).collect();
        // Stable: among equals the one further down comes last, and counts.
        habits.sort_by_key(|habit| (habit.record.is_some(), habit.survey.is_some()));
        for habit in habits {
            match habit.when {
                Patience::NotSaid => {}
                Patience::After(after) => answer.after = Some(after),
                Patience::Never => answer.after = None,
            }
            answer.with.splice(0..0, habit.with.iter().cloned());
        }
        answer
    }

    fn line(&mut self, words: &str) -> Result<(), String> {
        let (record, rest) = who(words)?;
        if let Some(rest) = rest.strip_prefix("never answers") {
            let survey = Some(rest.trim()).filter(|survey| !survey.is_empty()).map(str::to_owned);
            self.habits.push(Habit { record, survey, when: Patience::Never, with: vec![] });
            return Ok(());
        }
        if let Some(rest) = rest.strip_prefix("answers") {
            let (rest, with) = with(rest)?;
            let (survey, when) = match rest.split_once("after ") {
                Some((survey, after)) => (survey.trim(), Patience::After(duration(after)?)),
                None => (rest.trim(), Patience::NotSaid),
            };
            let survey = Some(survey).filter(|survey| !survey.is_empty()).map(str::to_owned);
            if matches!(when, Patience::NotSaid) && with.is_empty() {
                return Err("it says neither when nor what is answered".into());
            }
            self.habits.push(Habit { record, survey, when, with });
            return Ok(());
        }
        let record = record.ok_or("only one record can do something at a moment")?;
        let (day, time, rest) = moment(rest)?;
        let what = what(rest)?;
        self.deeds.push(Deed { record, day, time, what });
        Ok(())
    }
}

impl Deed {
    /// When, if the simulation begins on a date.
    pub fn at(&self, first: Date) -> Option<jiff::civil::DateTime> {
        first.checked_add(self.day.days()).ok().map(|date| date.to_datetime(self.time))
    }
}

impl Answer {
    /// What is answered to a field, if the script says.
    pub fn to(&self, field: &str) -> Option<&str> {
        let fits = |pattern: &str| match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
            (Some(start), _) => field.starts_with(start),
            (_, Some(end)) => field.ends_with(end),
            _ => field == pattern,
        };
        self.with.iter().find(|(pattern, _)| fits(pattern)).map(|(_, value)| value.as_str())
    }
}

fn problem(name: &str, text: &str, at: Range<usize>, why: &str, help: &str) -> Problem {
    Problem::new(name, text, at, format!("this line is not understood: {why}"), Some(help.to_owned()))
}

/// `everyone …` or `record ID …`.
fn who(words: &str) -> Result<(Option<String>, &str), String> {
    if let Some(rest) = words.strip_prefix("everyone ") {
        return Ok((None, rest.trim()));
    }
    let rest = words.strip_prefix("record ").ok_or("it begins neither with `everyone` nor with `record`")?;
    let (record, rest) = rest.trim().split_once(' ').ok_or("it says nothing of the record")?;
    Ok((Some(record.to_owned()), rest.trim()))
}

/// `on day 2 at 09:15 …`.
fn moment(words: &str) -> Result<(i64, Time, &str), String> {
    let wrong = || "it says no moment, such as `on day 2 at 09:15`".to_owned();
    let rest = words.strip_prefix("on day ").ok_or_else(wrong)?;
    let (day, rest) = rest.split_once(" at ").ok_or_else(wrong)?;
    let (time, rest) = rest.split_once(' ').ok_or_else(wrong)?;
    let day = day.trim().parse().map_err(|_| wrong())?;
    let time = time.parse().map_err(|_| format!("`{time}` is no time of day"))?;
    Ok((day, time, rest.trim()))
}

fn what(words: &str) -> Result<What, String> {
    if let Some(rest) = words.strip_prefix("saves ") {
        let (form, values) = with(rest)?;
        let (form, event) = at_event(form);
        return Ok(What::Saves(form.to_owned(), event, values));
    }
    if let Some(rest) = words.strip_prefix("imports ") {
        let (values, event) = at_event(rest);
        return Ok(What::Imports(event, pairs(values)?));
    }
    if let Some(rest) = words.strip_prefix("texts ") {
        return Ok(What::Texts(rest.trim().trim_matches('"').to_owned()));
    }
    if let Some(rest) = words.strip_prefix("is renamed ") {
        return Ok(What::Renamed(rest.trim().to_owned()));
    }
    if words == "is deleted" {
        return Ok(What::Deleted);
    }
    for (verb, open) in [("opens ", true), ("closes ", false)] {
        if let Some(survey) = words.strip_prefix(verb) {
            return Ok(What::Switches(survey.trim().to_owned(), open));
        }
    }
    Err("what is done is none of saves, imports, texts, is renamed, is deleted, opens and closes".into())
}

/// `… at EVENT`.
fn at_event(words: &str) -> (&str, Option<String>) {
    match words.rsplit_once(" at ") {
        Some((rest, event)) => (rest.trim(), Some(event.trim().to_owned())),
        None => (words.trim(), None),
    }
}

/// `… with a=1, b=2`.
fn with(words: &str) -> Result<(&str, Values), String> {
    match words.split_once(" with ") {
        Some((rest, values)) => Ok((rest, pairs(values)?)),
        None => Ok((words, vec![])),
    }
}

fn pairs(words: &str) -> Result<Values, String> {
    let one = |pair: &str| {
        let (field, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is no `field=value`"))?;
        Ok((field.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    };
    words.split(", ").map(str::trim).filter(|pair| !pair.is_empty()).map(one).collect()
}

fn duration(words: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{}` is no time to take, such as `45 minutes`", words.trim());
    let (number, unit) = words.trim().split_once(' ').ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let minutes = match unit.trim().trim_end_matches('s') {
        "minute" => 1,
        "hour" => 60,
        "day" => 1440,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(minutes)
        .filter(|minutes| *minutes >= 0)
        .map(SignedDuration::from_mins)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_particular_counts_more() {
        let script = Script::read(
            "script",
            "# habits\neveryone answers after 45 minutes with hr_*=70, temp=36.8\nrecord 3 never answers\n\
             record 3 answers ob_2a after 5 hours with hr_2a=121\n",
        )
        .unwrap();
        let anybody = script.answer("1", "ob_1a");
        assert_eq!(anybody.after, Some(SignedDuration::from_mins(45)));
        assert_eq!(
            (anybody.to("hr_1a"), anybody.to("temp"), anybody.to("mood")),
            (Some("70"), Some("36.8"), None)
        );
        assert_eq!(script.answer("3", "ob_1a").after, None);
        let particular = script.answer("3", "ob_2a");
        assert_eq!(particular.after, Some(SignedDuration::from_hours(5)));
        assert_eq!((particular.to("hr_2a"), particular.to("hr_1a")), (Some("121"), Some("70")));
        assert_eq!(Script::default().answer("1", "x"), Answer { after: Some(USUALLY), with: vec![] });
    }

    #[test]
    fn somebody_does_something_at_a_moment() {
        let script = Script::read(
            "script",
            "record 4 on day 2 at 09:15 texts \"STOP\"\n\
             record 6 on day 3 at 10:00 saves discharge at visit_arm_1 with a=1, b=two words\n\
             record 6 on day 4 at 10:00 imports loc=2\nrecord 8 on day 1 at 12:00 is renamed 9\n\
             record 8 on day 1 at 12:30 closes diary\n",
        )
        .unwrap();
        let told: Vec<_> =
            script.deeds.iter().map(|deed| (deed.record.as_str(), deed.day, &deed.what)).collect();
        let pair = |field: &str, value: &str| (field.to_owned(), value.to_owned());
        let event = Some("visit_arm_1".to_owned());
        assert_eq!(
            told,
            [
                ("4", 2, &What::Texts("STOP".into())),
                (
                    "6",
                    3,
                    &What::Saves("discharge".into(), event, vec![pair("a", "1"), pair("b", "two words")])
                ),
                ("6", 4, &What::Imports(None, vec![pair("loc", "2")])),
                ("8", 1, &What::Renamed("9".into())),
                ("8", 1, &What::Switches("diary".into(), false)),
            ]
        );
        let at = script.deeds[0].at(jiff::civil::date(2026, 11, 30)).unwrap();
        assert_eq!(at.to_string(), "2026-12-02T09:15:00");
    }

    #[test]
    fn every_line_that_is_not_understood_is_told() {
        let problems = Script::read(
            "script",
            "nobody answers\nrecord 1 dances\neveryone answers after a while\neveryone on day 1 at 10:00 texts \"x\"\n\
             record 1 on day 1 at 25:00 texts \"x\"\nrecord 1 answers\n",
        )
        .unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| (problem.line(), problem.to_string())).collect();
        let why = |line, words: &str| (line, format!("this line is not understood: {words}"));
        assert_eq!(
            lines,
            [
                why(1, "it begins neither with `everyone` nor with `record`"),
                why(2, "it says no moment, such as `on day 2 at 09:15`"),
                why(3, "`a while` is no time to take, such as `45 minutes`"),
                why(4, "only one record can do something at a moment"),
                why(5, "`25:00` is no time of day"),
                why(6, "it says neither when nor what is answered"),
            ]
        );
    }
}
