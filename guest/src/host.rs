//! What a policy may ask of the host, as functions.
//!
//! In a component these are the contract's imports. In a native build, which is how rules are unit-tested
//! and benchmarked, they are answered by the [`Host`] given to [`answering`].

use crate::{
    Civil, FieldDescription, FieldValue, Finding, Instant, Length, LineType, LogicValue, Part, PastDelivery,
    Piece, Place, RedcapError, Sender, Survey, SurveyState, TimeError, TwilioError, Value, Weekday, Wording,
    WriteError,
};

/// In a component the import is called; natively, the host of [`answering`] is asked.
macro_rules! either {
    ($($import:ident)::+ ($($argument:expr),*), |$host:ident| $answer:expr) => {{
        #[cfg(target_arch = "wasm32")]
        {
            crate::bindings::consentry::policy::$($import)::+($($argument),*)
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            crate::host::native::ask(|$host| $answer)
        }
    }};
}

/// Reads of the record at hand; see `wit/redcap.wit`.
pub mod redcap {
    use super::{FieldDescription, FieldValue, LogicValue, Place, RedcapError, Survey, SurveyState};

    /// Reads fields of this record.
    pub fn read(fields: &[String], at: Option<&Place>) -> Result<Vec<FieldValue>, RedcapError> {
        either!(redcap::read(fields, at), |host| host.read(fields, at))
    }

    /// Describes fields of the project.
    pub fn describe_fields(fields: &[String]) -> Result<Vec<FieldDescription>, RedcapError> {
        either!(redcap::describe_fields(fields), |host| host.describe_fields(fields))
    }

    /// Evaluates an expression of REDCap's logic language on this record.
    pub fn evaluate(logic: &str, at: Option<&Place>) -> Result<LogicValue, RedcapError> {
        either!(redcap::evaluate(logic, at), |host| host.evaluate(logic, at))
    }

    /// How far a survey of this record has come.
    pub fn survey_status(survey: &Survey) -> Result<SurveyState, RedcapError> {
        either!(redcap::survey_status(survey), |host| host.survey_status(survey))
    }
}

/// Writes to the record at hand, as intents; see `wit/redcap.wit`.
pub mod redcap_write {
    use super::{FieldValue, WriteError};

    /// Asks for values to be written to this record.
    pub fn write(values: &[FieldValue]) -> Result<(), WriteError> {
        either!(redcap_write::write(values), |host| host.write(values))
    }
}

/// Reads of the account and of this recipient's number; see `wit/twilio.wit`.
pub mod twilio {
    use super::{LineType, PastDelivery, Sender, TwilioError};

    /// The line type of the recipient's number.
    pub fn lookup() -> Result<LineType, TwilioError> {
        either!(twilio::lookup(), |host| host.lookup())
    }

    /// The senders of this project.
    pub fn senders() -> Result<Vec<Sender>, TwilioError> {
        either!(twilio::senders(), |host| host.senders())
    }

    /// What became of the last messages to the recipient's number, newest first.
    pub fn history(limit: u32) -> Result<Vec<PastDelivery>, TwilioError> {
        either!(twilio::history(limit), |host| host.history(limit))
    }
}

/// Extra messages to the recipient at hand, as intents; see `wit/twilio.wit`.
pub mod twilio_send {
    use super::Finding;

    /// Asks for a text with this approved wording.
    pub fn send(wording: &str, why: &Finding) {
        either!(twilio_send::send(wording, why), |host| host.send(wording, why));
    }

    /// Asks for a call that speaks this approved wording.
    pub fn call(wording: &str, why: &Finding) {
        either!(twilio_send::call(wording, why), |host| host.call(wording, why));
    }
}

/// The wordings of the project; see `wit/wordings.wit`.
pub mod wordings {
    use super::{Length, Part, Piece, Wording};

    /// The wording with this id in this language.
    pub fn find(id: &str, language: &str) -> Option<Wording> {
        either!(wordings::find(id, language), |host| host.find(id, language))
    }

    /// Every wording of the project that is for this part.
    pub fn list(part: Part) -> Vec<Wording> {
        either!(wordings::list(part), |host| host.list(part))
    }

    /// The length of the pieces once the host has filled and joined them.
    pub fn measure(pieces: &[Piece], language: &str) -> Length {
        either!(wordings::measure(pieces, language), |host| host.measure(pieces, language))
    }
}

/// Civil time; see `wit/time.wit`.
pub mod time {
    use super::{Civil, Instant, TimeError, Weekday};

    /// What the clock on the wall shows at an instant.
    pub fn local(at: Instant, zone: &str) -> Result<(Civil, Weekday), TimeError> {
        either!(time::local(at, zone), |host| host.local(at, zone))
    }

    /// The instant at which the clock on the wall shows this.
    pub fn at(civil: Civil, zone: &str) -> Result<Instant, TimeError> {
        either!(time::at(civil, zone), |host| host.at(civil, zone))
    }
}

/// The operator's settings; see `wit/settings.wit`.
pub mod settings {
    use super::Value;

    /// The value that the operator gave, else the declared default, else none.
    pub fn get(name: &str) -> Option<Value> {
        either!(settings::get(name), |host| host.get(name))
    }

    /// A setting that is text; none when it is absent or not text.
    pub fn text(name: &str) -> Option<String> {
        match get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A setting that is a list of texts; empty when it is absent or no list.
    pub fn texts(name: &str) -> Vec<String> {
        match get(name) {
            Some(Value::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }

    /// A setting that is a number; none when it is absent or no number.
    pub fn number(name: &str) -> Option<f64> {
        match get(name) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// A setting that is true or false; none when it is absent or neither.
    pub fn truth(name: &str) -> Option<bool> {
        match get(name) {
            Some(Value::Truth(truth)) => Some(truth),
            _ => None,
        }
    }
}

/// Lines for the policy's author; see `wit/log.wit`.
pub mod log {

    /// A line that matters only while the policy is written.
    pub fn debug(line: &str) {
        either!(log::write(crate::bindings::consentry::policy::log::Level::Debug, line), |host| host
            .log(line));
    }

    /// A line about something unusual.
    pub fn warn(line: &str) {
        either!(log::write(crate::bindings::consentry::policy::log::Level::Warn, line), |host| host
            .log(line));
    }
}

/// What a host answers in a native build. Every method has an answer, so that a test says only what it is
/// about: reads are unavailable, there are no wordings and no settings, and intents are dropped.
#[expect(unused_variables, reason = "the names are the documentation of what a test may answer")]
pub trait Host {
    fn read(&self, fields: &[String], at: Option<&Place>) -> Result<Vec<FieldValue>, RedcapError> {
        Err(RedcapError::Unavailable("this test does not answer `read`".into()))
    }
    fn describe_fields(&self, fields: &[String]) -> Result<Vec<FieldDescription>, RedcapError> {
        Err(RedcapError::Unavailable("this test does not answer `describe-fields`".into()))
    }
    fn evaluate(&self, logic: &str, at: Option<&Place>) -> Result<LogicValue, RedcapError> {
        Err(RedcapError::Unavailable("this test does not answer `evaluate`".into()))
    }
    fn survey_status(&self, survey: &Survey) -> Result<SurveyState, RedcapError> {
        Err(RedcapError::Unavailable("this test does not answer `survey-status`".into()))
    }
    fn write(&self, values: &[FieldValue]) -> Result<(), WriteError> {
        Ok(())
    }
    fn lookup(&self) -> Result<LineType, TwilioError> {
        Err(TwilioError::Unavailable("this test does not answer `lookup`".into()))
    }
    fn senders(&self) -> Result<Vec<Sender>, TwilioError> {
        Err(TwilioError::Unavailable("this test does not answer `senders`".into()))
    }
    fn history(&self, limit: u32) -> Result<Vec<PastDelivery>, TwilioError> {
        Err(TwilioError::Unavailable("this test does not answer `history`".into()))
    }
    fn send(&self, wording: &str, why: &Finding) {}
    fn call(&self, wording: &str, why: &Finding) {}
    fn find(&self, id: &str, language: &str) -> Option<Wording> {
        None
    }
    fn list(&self, part: Part) -> Vec<Wording> {
        Vec::new()
    }
    fn measure(&self, pieces: &[Piece], language: &str) -> Length {
        Length { segments: 1, characters: 0 }
    }
    fn local(&self, at: Instant, zone: &str) -> Result<(Civil, Weekday), TimeError> {
        Err(TimeError::UnknownZone(zone.into()))
    }
    fn at(&self, civil: Civil, zone: &str) -> Result<Instant, TimeError> {
        Err(TimeError::UnknownZone(zone.into()))
    }
    fn get(&self, name: &str) -> Option<Value> {
        None
    }
    fn log(&self, line: &str) {}
}

/// Runs a decision natively, with a host that answers its imports.
#[cfg(not(target_arch = "wasm32"))]
pub fn answering<T>(host: &dyn Host, decide: impl FnOnce() -> T) -> T {
    native::answering(host, decide)
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::Host;
    use std::cell::Cell;

    thread_local! {
        static HOST: Cell<Option<&'static dyn Host>> = const { Cell::new(None) };
    }

    /// Puts the earlier host back, also when the decision panics.
    struct Restore(Option<&'static dyn Host>);

    impl Drop for Restore {
        fn drop(&mut self) {
            HOST.set(self.0);
        }
    }

    #[expect(unsafe_code, reason = "a scoped borrow in a thread-local: `Restore` ends it before `host` does")]
    pub(super) fn answering<T>(host: &dyn Host, decide: impl FnOnce() -> T) -> T {
        // SAFETY: the reference is taken out of the thread-local before this function returns or unwinds.
        let host = unsafe { std::mem::transmute::<&dyn Host, &'static dyn Host>(host) };
        let _restore = Restore(HOST.replace(Some(host)));
        decide()
    }

    /// Everything that answers nothing.
    struct Nobody;
    impl Host for Nobody {}

    pub(super) fn ask<T>(question: impl FnOnce(&dyn Host) -> T) -> T {
        question(HOST.get().unwrap_or(&Nobody))
    }
}
