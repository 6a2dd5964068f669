//! What the gateway remembers. There is one write, [`Sqlite::commit`], and a step is committed whole or not
//! at all, its ledger rows with it.

mod sqlite;

use policy::contract::reviewer::Draft;
use policy::contract::types::{Attempt, Channel};
use serde_json::Value;
use twilio::{MessageBody, MessageStatus, PhoneNumber};

use crate::outbox::{Message, NewMessage, Reason, State};

pub(crate) use sqlite::random;
pub use sqlite::{Sqlite, StoreError};

/// One transition of the flow.
#[derive(Debug)]
pub enum Step {
    /// Occasions were found. What is known already is left alone.
    Plan(Vec<NewMessage>),
    /// A message was decided.
    Decide(Box<Decided>),
    /// Messages that are due are taken for sending, at most so many, until the lease ends.
    Claim {
        /// How many.
        limit: u32,
        /// When the lease ends, in seconds.
        until: u32,
    },
    /// Bytes are about to leave. The floor looks once more, in the same transaction.
    Submit {
        /// The message.
        id: String,
        /// The version that was reviewed.
        version: i64,
        /// Texts that the number may get in 24 hours.
        ceiling: u32,
        /// The decisions of the second review.
        decisions: Vec<DecisionRow>,
    },
    /// A submission ended.
    Settle {
        /// The message.
        id: String,
        /// How.
        outcome: Outcome,
    },
    /// Twilio reported on a message.
    Report(Report),
    /// A message came in. It is stored once, and an opt-out that needs no interpretation is written with it.
    Receive(Received),
    /// What came in was understood.
    Understand(Box<Understood>),
    /// What came in could not be interpreted; it is tried again, or becomes a task.
    Misunderstand {
        /// Twilio's id.
        sid: String,
        /// Why.
        why: Reason,
        /// The decision, if a policy took one.
        decisions: Vec<DecisionRow>,
        /// Whether to stop trying.
        give_up: bool,
    },
    /// Numbers were read from REDCap.
    Phones {
        /// The project.
        project: String,
        /// Records and their numbers.
        pairs: Vec<(String, Option<PhoneNumber>)>,
    },
    /// A write to REDCap was tried.
    WriteBack {
        /// Its id.
        id: String,
        /// The error, or none when it was done.
        error: Option<String>,
        /// When to try again.
        again: u32,
    },
    /// Opt-outs are to be written to REDCap, once each.
    WriteOptOuts {
        /// The project.
        project: String,
        /// The field.
        field: String,
        /// Records that hold an opted-out number, and since when it is.
        records: Vec<(String, u32)>,
    },
    /// A task was resolved.
    Resolve {
        /// Its id.
        id: String,
        /// By whom and how.
        resolution: String,
    },
    /// A person has looked at a held message: it is decided again.
    Release {
        /// The message.
        id: String,
        /// Who looked, and what was mended.
        why: String,
    },
    /// The operator stopped a project, or all of them (""), or lets it go on.
    Stop {
        /// The project, "" for all.
        project: String,
        /// Why; none to go on.
        why: Option<String>,
    },
    /// Something that a person must mend. The same cause is one task.
    Ask {
        /// What kind of thing.
        kind: &'static str,
        /// The project.
        project: String,
        /// Names the task for ever.
        cause: String,
        /// What is wrong, and what to do.
        sentence: String,
    },
    /// Adds to a figure.
    Count(&'static str),
}

/// A decided message.
#[derive(Debug)]
pub struct Decided {
    /// The message.
    pub id: String,
    /// The version that it was decided on.
    pub version: i64,
    /// Where it goes.
    pub state: State,
    /// When it is looked at again.
    pub look_at: u32,
    /// What is to be sent.
    pub draft: Option<Draft>,
    /// Why.
    pub reason: Option<Reason>,
    /// The decisions of the policies, in order.
    pub decisions: Vec<DecisionRow>,
    /// Writes to REDCap that a policy asked for: the event, and fields with their values.
    pub writes: Vec<(String, Vec<(String, String)>)>,
    /// Messages that a policy asked for.
    pub messages: Vec<NewMessage>,
    /// What a policy asked for and does not get, for the ledger.
    pub refused: Vec<String>,
    /// What allowed it: approvals and consent, for the ledger.
    pub evidence: Option<Value>,
}

/// One decision of a policy, for the ledger.
#[derive(Clone, Debug)]
pub struct DecisionRow {
    /// Which policy, what it answered, by which rules, with how much fuel. No number, no body.
    pub public: Value,
    /// The encoded decision record.
    pub record: Vec<u8>,
}

/// How a submission ended.
#[derive(Debug)]
pub enum Outcome {
    /// Twilio has it.
    Accepted {
        /// Twilio's id.
        sid: String,
        /// Twilio's first word.
        status: MessageStatus,
    },
    /// It was definitely not sent, and is decided again.
    Again {
        /// When.
        at: u32,
        /// The failed attempt, if routing should know of it.
        attempt: Option<Attempt>,
        /// Twilio's code.
        code: Option<u32>,
        /// Why.
        why: Reason,
    },
    /// It was definitely not sent, and never will be.
    Refused {
        /// Twilio's code.
        code: Option<u32>,
        /// Why.
        why: Reason,
        /// Whether Twilio knows of an opt-out.
        opted_out: bool,
    },
    /// A person must look before it is tried again: the account or the sender is at fault.
    Held {
        /// Twilio's code.
        code: Option<u32>,
        /// Why.
        why: Reason,
    },
    /// It may or may not have been sent.
    Unknown {
        /// What left it open.
        why: Reason,
    },
}

/// What Twilio reported on a message.
#[derive(Debug)]
pub struct Report {
    /// The project to whose address Twilio reported.
    pub project: String,
    /// Our id, from the status callback's URL.
    pub id: Option<String>,
    /// Twilio's id.
    pub sid: String,
    /// Twilio's word.
    pub status: MessageStatus,
    /// Twilio's error code.
    pub code: Option<u32>,
}

/// A message that came in.
#[derive(Debug)]
pub struct Received {
    /// Twilio's id.
    pub sid: String,
    /// The project whose number it came to.
    pub project: String,
    /// Who sent it.
    pub number: PhoneNumber,
    /// What it says.
    pub body: MessageBody,
    /// What Twilio did with it: "none", "stopped", "started" or "helped".
    pub provider: &'static str,
    /// Whether it is an opt-out beyond doubt.
    pub stop: Option<Reason>,
}

/// What an inbound message came to.
#[derive(Debug)]
pub struct Understood {
    /// Twilio's id.
    pub sid: String,
    /// The intent's name.
    pub intent: &'static str,
    /// Why.
    pub reason: Option<Reason>,
    /// The decision.
    pub decisions: Vec<DecisionRow>,
    /// An opt-out to write; the project's name, "" for the institution.
    pub stop: Option<String>,
    /// Whether the number is to be texted again.
    pub start: bool,
    /// Answers to send.
    pub messages: Vec<NewMessage>,
    /// A task for a person.
    pub task: Option<(&'static str, String)>,
    /// Records that hold the number, in which an opt-out is written: record, fields and values.
    pub writes: Vec<(String, Vec<(String, String)>)>,
}

/// What came of a step.
#[derive(Debug)]
pub enum Committed {
    /// It is done.
    Done,
    /// It had been done before, or something else came first: nothing was changed.
    Stale,
    /// These are new, by id.
    Planned(Vec<String>),
    /// These are claimed.
    Claimed(Vec<Message>),
    /// The floor stopped a submission.
    Stopped(Reason),
    /// The figure's new value.
    Count(u64),
}

/// An opt-out in force.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// The number.
    pub number: PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// The project's name, "" for the institution.
    pub project: String,
    /// From when on.
    pub at: u32,
    /// How we know: "keyword", "plain language", "twilio" …
    pub source: String,
    /// The inbound message that caused it, by Twilio's id.
    pub cause: Option<String>,
    /// When it ended, if it did.
    pub ended: Option<u32>,
}

/// An inbound message that was not interpreted yet.
#[derive(Debug)]
pub struct Waiting {
    /// Twilio's id.
    pub sid: String,
    /// The project.
    pub project: String,
    /// Who sent it.
    pub number: PhoneNumber,
    /// What it says.
    pub body: MessageBody,
    /// What Twilio did with it.
    pub provider: String,
    /// When it came.
    pub at: u32,
    /// How often it was tried.
    pub tries: u32,
}

/// A write to REDCap that is to be done.
#[derive(Debug)]
pub struct WriteBack {
    /// Its id.
    pub id: String,
    /// The project.
    pub project: String,
    /// The record.
    pub record: String,
    /// The event; none for where the fields about the participant stand.
    pub event: Option<String>,
    /// Fields and values.
    pub values: Vec<(String, String)>,
    /// How often it was tried.
    pub tries: u32,
}

/// Something that waits for a person.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// "unclear-reply", "unread-reply", "failed-write-back" …
    pub kind: String,
    /// The project.
    pub project: String,
    /// What happened, and what to do.
    pub sentence: String,
    /// Since when, in seconds.
    pub at: u32,
}
