//! The host's side of the contract: every import, answered from what is known.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;

use crate::contract::redcap::{FieldDescription, FieldValue, LogicValue, Place, SurveyState};
use crate::contract::twilio::{LineType, PastDelivery, Sender};
use crate::contract::types::{Finding, Survey};
use crate::contract::wordings::{Length, Part, Piece, Wording};
use crate::contract::{
    declarations, log, redcap, redcap_write, settings, time, twilio, twilio_send, types, wordings,
};
use crate::decide::{Answer, Deciding, Effect, Question, Stopped};

/// Lines of a decision's log that are kept, and bytes of each.
const LOG_LINES: usize = 64;
const LOG_BYTES: usize = 500;

/// Intents that one decision may have.
const EFFECTS: usize = 4;

macro_rules! answer {
    ($self:ident, $kind:ident, $question:expr) => {
        match $self.ask($question)? {
            Answer::$kind(answer) => Ok(answer.clone()),
            _ => Err(Stopped::Mismatch { asked: stringify!($kind) }.into()),
        }
    };
}

impl redcap::Host for Deciding {
    fn read(
        &mut self,
        fields: Vec<String>,
        at: Option<Place>,
    ) -> wasmtime::Result<Result<Vec<FieldValue>, redcap::Error>> {
        answer!(self, Read, Question::Read { fields, at })
    }

    fn describe_fields(
        &mut self,
        fields: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<FieldDescription>, redcap::Error>> {
        answer!(self, DescribeFields, Question::DescribeFields(fields))
    }

    fn evaluate(
        &mut self,
        logic: String,
        at: Option<Place>,
    ) -> wasmtime::Result<Result<LogicValue, redcap::Error>> {
        answer!(self, Evaluate, Question::Evaluate { logic, at })
    }

    fn survey_status(&mut self, survey: Survey) -> wasmtime::Result<Result<SurveyState, redcap::Error>> {
        answer!(self, SurveyStatus, Question::SurveyStatus(survey))
    }
}

impl redcap_write::Host for Deciding {
    fn write(&mut self, values: Vec<FieldValue>) -> wasmtime::Result<Result<(), redcap_write::Error>> {
        self.count()?;
        if !self.has_record {
            return Ok(Err(redcap_write::Error::NoRecord));
        }
        if let Some(value) = values.iter().find(|value| !self.grants.may_write(&value.field)) {
            return Ok(Err(redcap_write::Error::NotGranted(value.field.clone())));
        }
        self.effect(Effect::Write(values))?;
        Ok(Ok(()))
    }
}

impl twilio::Host for Deciding {
    fn lookup(&mut self) -> wasmtime::Result<Result<LineType, twilio::Error>> {
        answer!(self, Lookup, Question::Lookup)
    }

    fn senders(&mut self) -> wasmtime::Result<Result<Vec<Sender>, twilio::Error>> {
        answer!(self, Senders, Question::Senders)
    }

    fn history(&mut self, limit: u32) -> wasmtime::Result<Result<Vec<PastDelivery>, twilio::Error>> {
        answer!(self, History, Question::History(limit))
    }
}

impl twilio_send::Host for Deciding {
    fn send(&mut self, wording: String, why: Finding) -> wasmtime::Result<()> {
        self.count()?;
        self.effect(Effect::Send { wording, why })
    }

    fn call(&mut self, wording: String, why: Finding) -> wasmtime::Result<()> {
        self.count()?;
        self.effect(Effect::Call { wording, why })
    }
}

impl Deciding {
    fn effect(&mut self, effect: Effect) -> wasmtime::Result<()> {
        if self.effects.len() == EFFECTS {
            return Err(Stopped::Calls.into());
        }
        self.effects.push(effect);
        Ok(())
    }
}

impl wordings::Host for Deciding {
    fn find(&mut self, id: String, language: String) -> wasmtime::Result<Option<Wording>> {
        answer!(self, FindWording, Question::FindWording { id, language })
    }

    fn list(&mut self, part: Part) -> wasmtime::Result<Vec<Wording>> {
        answer!(self, ListWordings, Question::ListWordings(part))
    }

    fn measure(&mut self, pieces: Vec<Piece>, language: String) -> wasmtime::Result<Length> {
        answer!(self, Measure, Question::Measure { pieces, language })
    }
}

/// Civil time is arithmetic on the compiled-in zone database: nothing is fetched, nothing is recorded but
/// the database's version.
impl time::Host for Deciding {
    fn local(
        &mut self,
        at: types::Instant,
        zone: String,
    ) -> wasmtime::Result<Result<(time::Civil, time::Weekday), time::Error>> {
        self.count()?;
        Ok(local(at, zone))
    }

    fn at(
        &mut self,
        civil: time::Civil,
        zone: String,
    ) -> wasmtime::Result<Result<types::Instant, time::Error>> {
        self.count()?;
        Ok(instant(civil, zone))
    }
}

fn local(at: types::Instant, zone: String) -> Result<(time::Civil, time::Weekday), time::Error> {
    let Ok(tz) = TimeZone::get(&zone) else { return Err(time::Error::UnknownZone(zone)) };
    let instant = jiff::Timestamp::from_second(i64::from(at)).map_err(|_| time::Error::NoSuchDate)?;
    let shown = tz.to_datetime(instant);
    let unsigned = |part: i8| part.unsigned_abs();
    let civil = time::Civil {
        year: shown.year().unsigned_abs(),
        month: unsigned(shown.month()),
        day: unsigned(shown.day()),
        hour: unsigned(shown.hour()),
        minute: unsigned(shown.minute()),
        second: unsigned(shown.second()),
    };
    Ok((civil, weekday(shown.weekday())))
}

fn weekday(day: Weekday) -> time::Weekday {
    match day {
        Weekday::Monday => time::Weekday::Monday,
        Weekday::Tuesday => time::Weekday::Tuesday,
        Weekday::Wednesday => time::Weekday::Wednesday,
        Weekday::Thursday => time::Weekday::Thursday,
        Weekday::Friday => time::Weekday::Friday,
        Weekday::Saturday => time::Weekday::Saturday,
        Weekday::Sunday => time::Weekday::Sunday,
    }
}

fn instant(civil: time::Civil, zone: String) -> Result<types::Instant, time::Error> {
    let Ok(tz) = TimeZone::get(&zone) else { return Err(time::Error::UnknownZone(zone)) };
    let part = |number: u8| i8::try_from(number).map_err(|_| time::Error::NoSuchDate);
    let year = i16::try_from(civil.year).map_err(|_| time::Error::NoSuchDate)?;
    let shown = DateTime::new(
        year,
        part(civil.month)?,
        part(civil.day)?,
        part(civil.hour)?,
        part(civil.minute)?,
        part(civil.second)?,
        0,
    )
    .map_err(|_| time::Error::NoSuchDate)?;
    // "Compatible" is what the contract promises: forward through a gap, the earlier one in a fold.
    let at = tz.to_ambiguous_timestamp(shown).compatible().map_err(|_| time::Error::NoSuchDate)?;
    u32::try_from(at.as_second()).map_err(|_| time::Error::NoSuchDate)
}

impl settings::Host for Deciding {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<settings::Value>> {
        self.count()?;
        Ok(self.settings.get(&name).cloned())
    }
}

impl log::Host for Deciding {
    fn write(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        self.count()?;
        if self.log.len() < LOG_LINES {
            let mut end = line.len().min(LOG_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let level = match level {
                log::Level::Debug => "debug",
                log::Level::Info => "info",
                log::Level::Warn => "warn",
            };
            self.log.push(format!("{level}: {}", &line[..end]));
        }
        Ok(())
    }
}

// Interfaces of types only have a host side too, which has nothing to do.
impl types::Host for Deciding {}
impl declarations::Host for Deciding {}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(month: u8, day: u8, hour: u8, minute: u8) -> time::Civil {
        time::Civil { year: 2026, month, day, hour, minute, second: 0 }
    }

    #[test]
    fn a_time_in_a_gap_moves_forward_and_a_time_in_a_fold_is_the_earlier_one() {
        // New York, 2026: 02:30 on 8 March does not exist, 01:30 on 1 November occurs twice.
        let gap = instant(civil(3, 8, 2, 30), "America/New_York".into()).unwrap();
        let (shown, _) = local(gap, "America/New_York".into()).unwrap();
        assert_eq!((shown.hour, shown.minute), (3, 30));
        let fold = instant(civil(11, 1, 1, 30), "America/New_York".into()).unwrap();
        let later = instant(civil(11, 1, 2, 30), "America/New_York".into()).unwrap();
        assert_eq!(later - fold, 2 * 3600);
    }

    #[test]
    fn what_is_no_zone_and_no_date_is_said() {
        assert!(matches!(local(0, "Mars/Olympus".into()), Err(time::Error::UnknownZone(_))));
        assert!(matches!(instant(civil(2, 30, 0, 0), "UTC".into()), Err(time::Error::NoSuchDate)));
        assert!(matches!(instant(civil(200, 1, 0, 0), "UTC".into()), Err(time::Error::NoSuchDate)));
    }
}
