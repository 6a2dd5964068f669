//! The outbox: one row for each occasion, which is the message.
//!
//! The delivery contract: at most one text for an occasion. The step to [`State::Submitting`] is committed
//! before the first byte leaves; what is not a definite yes or no after that is [`State::Unknown`], and an
//! unknown is never sent again.

use policy::contract::reviewer::Draft;
use policy::contract::types::{Attempt, Purpose, Survey};
use serde::{Deserialize, Serialize};
use twilio::{MessageStatus, PhoneNumber};

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// There is an occasion; nothing was decided yet.
    Planned,
    /// It is decided again later.
    Deferred,
    /// It was allowed, and waits for its turn.
    Due,
    /// A sender has it.
    Claimed,
    /// Bytes may be leaving.
    Submitting,
    /// Twilio has it.
    Accepted,
    /// The carrier has it.
    Sent,
    /// It arrived.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// Twilio could not send it.
    Failed,
    /// A person must look.
    Held,
    /// It is not sent, for a reason.
    Suppressed,
    /// Somebody took it back.
    Canceled,
    /// It was not out in time.
    Expired,
    /// It may or may not have been sent.
    Unknown,
}

impl State {
    /// Every state with its name.
    pub const ALL: [(State, &'static str); 15] = [
        (State::Planned, "planned"),
        (State::Deferred, "deferred"),
        (State::Due, "due"),
        (State::Claimed, "claimed"),
        (State::Submitting, "submitting"),
        (State::Accepted, "accepted"),
        (State::Sent, "sent"),
        (State::Delivered, "delivered"),
        (State::Undelivered, "undelivered"),
        (State::Failed, "failed"),
        (State::Held, "held"),
        (State::Suppressed, "suppressed"),
        (State::Canceled, "canceled"),
        (State::Expired, "expired"),
        (State::Unknown, "unknown"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        State::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state with a name.
    pub fn read(name: &str) -> Option<State> {
        State::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Whether the message may move from here to there. Once bytes may have left there is no way back to
    /// being sent.
    pub fn may_become(self, next: State) -> bool {
        use State::{
            Accepted, Canceled, Claimed, Deferred, Delivered, Due, Expired, Failed, Held, Planned, Sent,
            Submitting, Suppressed, Undelivered, Unknown,
        };
        match self {
            Planned | Deferred | Held => {
                matches!(next, Deferred | Due | Held | Suppressed | Canceled | Expired)
            }
            Due => matches!(next, Claimed | Deferred | Held | Suppressed | Canceled | Expired),
            Claimed => matches!(next, Submitting | Due | Deferred | Held | Suppressed | Canceled | Expired),
            // A definite no (it was refused, or no byte left) may be decided again.
            Submitting => {
                matches!(next, Accepted | Unknown | Failed | Deferred | Sent | Delivered | Undelivered)
            }
            Unknown => matches!(next, Accepted | Sent | Delivered | Undelivered | Failed),
            Accepted => matches!(next, Sent | Delivered | Undelivered | Failed),
            Sent => matches!(next, Delivered | Undelivered | Failed),
            Delivered | Undelivered | Failed | Suppressed | Canceled | Expired => false,
        }
    }

    /// Whether the message may have reached the person, so that nothing else is tried.
    pub fn may_have_reached(self) -> bool {
        use State::{Accepted, Delivered, Sent, Submitting, Unknown};
        matches!(self, Submitting | Accepted | Sent | Delivered | Unknown)
    }

    /// Where Twilio's status puts a message.
    pub fn of(status: &MessageStatus) -> State {
        match status {
            MessageStatus::Sent => State::Sent,
            MessageStatus::Delivered | MessageStatus::Read => State::Delivered,
            MessageStatus::Undelivered => State::Undelivered,
            MessageStatus::Failed | MessageStatus::Canceled => State::Failed,
            _ => State::Accepted,
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a message stands where it stands, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule: the floor's, or the policy's.
    pub rule: String,
    /// The reason as a sentence, without number and body.
    pub sentence: String,
    /// The law, guidance or house rule behind it.
    pub citation: Option<String>,
}

impl Reason {
    /// A reason of the host's own.
    pub fn new(rule: &str, sentence: impl Into<String>) -> Reason {
        Reason { rule: rule.into(), sentence: sentence.into(), citation: None }
    }
}

impl From<policy::contract::types::Finding> for Reason {
    fn from(finding: policy::contract::types::Finding) -> Reason {
        Reason {
            rule: finding.rule,
            sentence: masked(&finding.sentence),
            citation: finding.citation.as_deref().map(masked),
        }
    }
}

/// A policy's words must not name a number. What looks like one is masked all the same: seven digits in a
/// row, or ten with what people write between them. A date has eight, and stays.
pub(crate) fn masked(words: &str) -> String {
    let mut masked = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        masked.push_str(&rest[..start]);
        rest = &rest[start..];
        let (length, is_number) = if is_date(rest) { (DATE, false) } else { digits(rest) };
        masked.push_str(if is_number { "…" } else { &rest[..length] });
        rest = &rest[length..];
    }
    masked.push_str(rest);
    // A reason is a sentence. What is longer is not for a person, and would be kept for ever.
    if let Some((end, _)) = masked.char_indices().nth(SENTENCE) {
        masked.truncate(end);
        masked.push('…');
    }
    masked
}

/// Characters of a reason that are kept.
const SENTENCE: usize = 500;

/// Bytes of a date as ISO 8601 writes it.
const DATE: usize = 10;

fn is_date(words: &str) -> bool {
    let bytes = words.as_bytes();
    bytes.len() >= DATE
        && bytes[..DATE].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && !bytes.get(DATE).is_some_and(u8::is_ascii_digit)
}

/// The digits that words begin with, up to the last one, and whether they may be a phone number.
fn digits(words: &str) -> (usize, bool) {
    let (mut length, mut all, mut in_a_row, mut longest) = (0, 0, 0, 0);
    for (at, character) in words.char_indices() {
        if character.is_ascii_digit() {
            all += 1;
            in_a_row += 1;
            longest = longest.max(in_a_row);
            length = at + 1;
        } else if " -.()/\u{a0}".contains(character) && at < length + 3 {
            in_a_row = 0;
        } else {
            break;
        }
    }
    (length, longest >= 7 || all >= 10)
}

/// A reason to contact somebody, on its way into the outbox.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Names the occasion for ever: found twice, it is one.
    pub occasion: String,
    /// The project's name.
    pub project: String,
    /// Why there is a message.
    pub purpose: Purpose,
    /// The record that it is about.
    pub record: Option<String>,
    /// The survey that it is about.
    pub survey: Option<Survey>,
    /// The wording, if the occasion names one.
    pub wording: Option<String>,
    /// The number that it answers; none when routing chooses.
    pub number: Option<PhoneNumber>,
    /// The message or inbound message that caused it.
    pub cause: Option<String>,
    /// How many causes are behind it.
    pub depth: u32,
    /// When it is due, in seconds.
    pub due: u32,
    /// After this it is not sent any more.
    pub not_after: Option<u32>,
}

/// A message of the outbox.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, a ULID: also in the status callback's URL.
    pub id: String,
    /// What it was made of.
    pub new: NewMessage,
    /// Where it stands.
    pub state: State,
    /// Counts its changes; a change names the version that it was decided on.
    pub version: i64,
    /// When it is looked at again.
    pub look_at: u32,
    /// What is or was to be sent.
    pub draft: Option<Draft>,
    /// Twilio's id.
    pub sid: Option<String>,
    /// Twilio's last word.
    pub provider_status: Option<String>,
    /// Twilio's error code.
    pub error_code: Option<u32>,
    /// Why it stands where it stands.
    pub reason: Option<Reason>,
    /// What failed before, definitely.
    pub attempts: Vec<Attempt>,
    /// When it last changed.
    pub changed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> impl Strategy<Value = State> {
        proptest::sample::select(State::ALL.map(|(state, _)| state).to_vec())
    }

    proptest! {
        /// From the moment in which bytes may leave, the only way back to a sender is a definite no.
        #[test]
        fn nothing_that_may_have_been_sent_is_sent_again(path in proptest::collection::vec(state(), 1..40)) {
            let mut at = State::Planned;
            let mut refused = true;
            let mut submissions_in_doubt = 0;
            for next in path {
                if !at.may_become(next) {
                    continue;
                }
                if next == State::Submitting {
                    prop_assert!(refused, "a second submission without a definite no before it");
                    submissions_in_doubt += 1;
                    refused = false;
                }
                if at == State::Submitting && next == State::Deferred {
                    refused = true;
                    submissions_in_doubt -= 1;
                }
                at = next;
            }
            prop_assert!(submissions_in_doubt <= 1);
        }
    }

    #[test]
    fn a_number_in_a_policys_words_is_masked_and_a_date_is_not() {
        for (words, expected) in [
            ("call +16175550123 by 2026-11-24", "call +… by 2026-11-24"),
            ("call (617) 555-0123.", "call (…."),
            ("617.555.0123 or 617 555 0123, please", "… or …, please"),
            ("on 2026-11-24 15:00 in room 12", "on 2026-11-24 15:00 in room 12"),
            ("47 CFR 64.1200(a)(10) and (a)(12)", "47 CFR 64.1200(a)(10) and (a)(12)"),
            ("call +1-617-555-0123", "call +…"),
        ] {
            assert_eq!(masked(words), expected);
        }
    }

    #[test]
    fn every_name_reads_back() {
        for (state, name) in State::ALL {
            assert_eq!(State::read(name), Some(state));
        }
    }
}
