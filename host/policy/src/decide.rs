//! One decision: a fresh instance, its budget, and the one way in which it ends.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, Store, Trap};

use crate::contract::redcap::{FieldDescription, FieldValue, LogicValue, Place, SurveyState};
use crate::contract::reviewer::{Draft, Inbound, Intent, Stage, Verdict};
use crate::contract::router::Route;
use crate::contract::twilio::{LineType, PastDelivery, Sender};
use crate::contract::types::{DeliveryMethod, Finding, Occasion, Survey};
use crate::contract::wordings::{Length, Part, Piece, Wording};
use crate::contract::writer::{Turn, Words};
use crate::contract::{redcap, twilio};
use crate::engine::{Engine, Limits, ticks};
use crate::load::{Grants, Settings};

/// What is asked of a policy: a call of one of its exports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// `router.choose`.
    Choose(Occasion),
    /// `writer.render`.
    Render(Occasion, DeliveryMethod),
    /// `writer.ask`.
    Ask(Occasion, DeliveryMethod, Turn),
    /// `reviewer.review`.
    Review(Occasion, Draft, Stage),
    /// `reviewer.interpret`.
    Interpret(Inbound),
}

/// What a policy answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Choose`].
    Route(Route),
    /// To [`Request::Render`] and [`Request::Ask`].
    Words(Result<Words, Finding>),
    /// To [`Request::Review`].
    Verdict(Verdict),
    /// To [`Request::Interpret`].
    Intent(Intent),
}

/// What a policy asks of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the import of the same name")]
pub enum Question {
    Read { fields: Vec<String>, at: Option<Place> },
    DescribeFields(Vec<String>),
    Evaluate { logic: String, at: Option<Place> },
    SurveyStatus(Survey),
    Lookup,
    Senders,
    History(u32),
    FindWording { id: String, language: String },
    ListWordings(Part),
    Measure { pieces: Vec<Piece>, language: String },
}

/// What the host answers, question by question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each answers the question of the same name")]
pub enum Answer {
    Read(Result<Vec<FieldValue>, redcap::Error>),
    DescribeFields(Result<Vec<FieldDescription>, redcap::Error>),
    Evaluate(Result<LogicValue, redcap::Error>),
    SurveyStatus(Result<SurveyState, redcap::Error>),
    Lookup(Result<LineType, twilio::Error>),
    Senders(Result<Vec<Sender>, twilio::Error>),
    History(Result<Vec<PastDelivery>, twilio::Error>),
    FindWording(Option<Wording>),
    ListWordings(Vec<Wording>),
    Measure(Length),
}

/// One question and its answer.
pub type Exchange = (Question, Answer);

/// What the host knows at the moment. `None` means that it must be fetched first: the decision then ends in
/// [`Ended::Needs`], and is asked again when the answer is there. The same question must get the same answer
/// throughout a decision and its re-runs.
pub trait Facts: Send + Sync {
    /// The answer, if it is known.
    fn answer(&self, question: &Question) -> Option<Answer>;
}

/// A recorded transcript answers what was asked then, which is how a decision is replayed.
impl Facts for Vec<Exchange> {
    fn answer(&self, question: &Question) -> Option<Answer> {
        self.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer.clone())
    }
}

/// Something that a policy asked the host to do. It is done, once, if the decision is committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Write these values to the record at hand.
    Write(Vec<FieldValue>),
    /// Send a text with this wording.
    Send {
        /// The wording's id.
        wording: String,
        /// Why.
        why: Finding,
    },
    /// Place a call that speaks this wording.
    Call {
        /// The wording's id.
        wording: String,
        /// Why.
        why: Finding,
    },
}

/// Every way in which a decision can end. Only [`Ended::Answered`] lets a message go on; after every other
/// but [`Ended::Needs`] the message is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ended {
    /// With an answer.
    Answered(Reply),
    /// With a question that the host must fetch the answer to before the decision is run again.
    Needs(Question),
    /// In a trap: the component gave up, or did what it must not.
    Trapped {
        /// Wasmtime's words for it.
        trap: String,
    },
    /// Because the fuel was used up.
    OutOfFuel {
        /// The budget.
        limit: u64,
    },
    /// Because the time was used up.
    Deadline {
        /// The budget, in milliseconds.
        limit_ms: u64,
    },
    /// Because it wanted more memory than it may have.
    OutOfMemory {
        /// What it wanted, in bytes.
        wanted: usize,
        /// What it may have, in bytes.
        limit: usize,
    },
    /// Because it called the host too often.
    TooManyCalls {
        /// How often it may.
        limit: u32,
    },
    /// Because it asked the host for too much data.
    TooMuchData {
        /// How much it may, in bytes.
        limit: usize,
    },
    /// With an answer that cannot be read, or is larger than it may be, or cites a rule that it does not
    /// declare.
    BadAnswer {
        /// What is wrong with it.
        why: String,
    },
    /// By a mistake of the host's.
    HostError {
        /// What went wrong.
        why: String,
    },
}

impl Request {
    /// Whether it is about a record.
    pub(crate) fn has_record(&self) -> bool {
        match self {
            Request::Choose(occasion)
            | Request::Render(occasion, _)
            | Request::Ask(occasion, ..)
            | Request::Review(occasion, ..) => {
                occasion.participant.as_ref().is_some_and(|participant| participant.record.is_some())
            }
            Request::Interpret(_) => false,
        }
    }
}

impl Ended {
    /// The outcome as one word, for metrics and for the ledger.
    pub fn kind(&self) -> &'static str {
        match self {
            Ended::Answered(_) => "answered",
            Ended::Needs(_) => "needs",
            Ended::Trapped { .. } => "trapped",
            Ended::OutOfFuel { .. } => "out-of-fuel",
            Ended::Deadline { .. } => "deadline",
            Ended::OutOfMemory { .. } => "out-of-memory",
            Ended::TooManyCalls { .. } => "too-many-calls",
            Ended::TooMuchData { .. } => "too-much-data",
            Ended::BadAnswer { .. } => "bad-answer",
            Ended::HostError { .. } => "host-error",
        }
    }
}

/// Why a decision did not answer, as a sentence fragment for the operator.
impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Answered(_) => write!(f, "it answered"),
            Ended::Needs(_) => write!(f, "it needs a fact that is not known yet"),
            Ended::Trapped { trap } => write!(f, "it trapped: {trap}"),
            Ended::OutOfFuel { limit } => write!(f, "it used up its {limit} units of fuel"),
            Ended::Deadline { limit_ms } => write!(f, "it took longer than {limit_ms} ms"),
            Ended::OutOfMemory { wanted, limit } => {
                write!(f, "it wanted {wanted} bytes of memory, and may have {limit}")
            }
            Ended::TooManyCalls { limit } => write!(f, "it called the host more than {limit} times"),
            Ended::TooMuchData { limit } => {
                write!(f, "it asked the host for more than {limit} bytes of data")
            }
            Ended::BadAnswer { why } => write!(f, "its answer cannot be taken: {why}"),
            Ended::HostError { why } => write!(f, "the host made a mistake: {why}"),
        }
    }
}

/// A decision, with everything it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// How it ended.
    pub ended: Ended,
    /// What was asked of the host, and answered, in order.
    pub transcript: Vec<Exchange>,
    /// What it asked the host to do.
    pub effects: Vec<Effect>,
    /// Lines for the author.
    pub log: Vec<String>,
    /// Fuel used.
    pub fuel: u64,
    /// Linear memory at its largest, in bytes.
    pub memory: usize,
}

/// What the store of one decision holds.
pub(crate) struct Deciding {
    pub(crate) facts: Arc<dyn Facts>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) transcript: Vec<Exchange>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) log: Vec<String>,
    /// Whether the decision is about a record, to which something can be written.
    pub(crate) has_record: bool,
    calls: u32,
    data: usize,
    limits: Limits,
    memory: usize,
}

impl Deciding {
    /// Answers a question from the facts, or ends the decision.
    pub(crate) fn ask(&mut self, question: Question) -> wasmtime::Result<&Answer> {
        self.count()?;
        let Some(answer) = self.facts.answer(&question) else { return Err(Stopped::Needs(question).into()) };
        // What was asked and answered is kept for ever, so it is bounded like everything else.
        self.data += weight(&question) + weight(&answer);
        if self.data > self.limits.transcript {
            return Err(Stopped::Data.into());
        }
        self.transcript.push((question, answer));
        self.transcript.last().map(|(_, answer)| answer).ok_or_else(|| Stopped::Calls.into())
    }

    /// Counts a call of an import.
    pub(crate) fn count(&mut self) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > self.limits.calls { Err(Stopped::Calls.into()) } else { Ok(()) }
    }
}

/// Why the host ended a decision.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("a fact is not known yet")]
    Needs(Question),
    #[error("too many calls")]
    Calls,
    #[error("too much data")]
    Data,
    #[error("too much memory")]
    Memory { wanted: usize },
    #[error("the host answered `{asked}` with something else")]
    Mismatch { asked: &'static str },
}

impl ResourceLimiter for Deciding {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limits.memory {
            return Err(Stopped::Memory { wanted: desired }.into());
        }
        self.memory = self.memory.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 50_000)
    }
}

/// Runs one decision in a fresh instance.
pub(crate) fn decide(
    engine: &Engine,
    limits: Limits,
    settings: &Arc<Settings>,
    grants: &Arc<Grants>,
    facts: Arc<dyn Facts>,
    has_record: bool,
    run: impl FnOnce(&mut Store<Deciding>) -> wasmtime::Result<Result<Reply, String>>,
) -> Decision {
    let _place = engine.place();
    let mut store = Store::new(
        &engine.wasm,
        Deciding {
            facts,
            settings: settings.clone(),
            grants: grants.clone(),
            transcript: Vec::new(),
            effects: Vec::new(),
            log: Vec::new(),
            has_record,
            calls: 0,
            data: 0,
            limits,
            memory: 0,
        },
    );
    store.limiter(|deciding| deciding);
    store.set_epoch_deadline(ticks(limits.deadline));
    store.set_hostcall_fuel(limits.data);
    store.set_max_component_handles(16);
    let ended = match store.set_fuel(limits.fuel).and_then(|()| run(&mut store)) {
        Ok(Ok(reply)) => Ended::Answered(reply),
        Ok(Err(why)) => Ended::BadAnswer { why },
        Err(error) => ended(&error, limits),
    };
    let fuel = limits.fuel - store.get_fuel().unwrap_or(0);
    let Deciding { transcript, effects, log, memory, .. } = store.into_data();
    Decision { ended, transcript, effects, log, fuel, memory }
}

/// The bytes that something takes in a decision record.
fn weight(of: &impl Serialize) -> usize {
    postcard::experimental::serialized_size(of).unwrap_or(usize::MAX / 4)
}

fn ended(error: &wasmtime::Error, limits: Limits) -> Ended {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return match stopped {
            Stopped::Needs(question) => Ended::Needs(question.clone()),
            Stopped::Calls => Ended::TooManyCalls { limit: limits.calls },
            Stopped::Data => Ended::TooMuchData { limit: limits.transcript },
            Stopped::Memory { wanted } => Ended::OutOfMemory { wanted: *wanted, limit: limits.memory },
            Stopped::Mismatch { .. } => Ended::HostError { why: stopped.to_string() },
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Ended::OutOfFuel { limit: limits.fuel },
        Some(Trap::Interrupt) => {
            Ended::Deadline { limit_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX) }
        }
        Some(trap) => Ended::Trapped { trap: trap.to_string() },
        // What is neither ours nor a trap comes from reading what the component wrote: a pointer outside of
        // its memory, a string that is not UTF-8, an arm that does not exist, more data than it may pass.
        None => Ended::BadAnswer { why: innermost(error) },
    }
}

/// The last cause, which is the one that says what is wrong; those before it say where in Wasmtime.
fn innermost(error: &wasmtime::Error) -> String {
    error.chain().last().map_or_else(|| error.to_string(), ToString::to_string)
}
