//! The outbox: one row for each occasion, which is the message.
//!
//! The delivery contract: at most one text for an occasion. The step to [`State::Submitting`] is committed
//! before the first byte leaves; what is not a definite yes or no after that is [`State::Unknown`], and an
//! unknown is never sent again.

use policy::contract::reviewer::Draft;
use policy::contract::types::{Attempt, Channel, Purpose, Survey};
use serde::{Deserialize, Serialize};
use twilio::{CallStatus, MessageStatus, PhoneNumber};

use crate::mail::Mailbox;
use crate::schedule::{Frozen, Origin};
use crate::vocabulary::channel;

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
    /// The carrier has it, or the mail server.
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

    /// Whether a message that goes by this channel may move from here to there. Once bytes may have left there
    /// is no way back to being sent but a definite no.
    pub fn may_become(self, next: State, by: Channel) -> bool {
        use State::{Canceled, Claimed, Deferred, Due, Expired, Held, Planned, Submitting, Suppressed};
        match self {
            Planned | Deferred | Held => {
                matches!(next, Deferred | Due | Held | Suppressed | Canceled | Expired)
            }
            Due => matches!(next, Claimed | Deferred | Held | Suppressed | Canceled | Expired),
            Claimed => matches!(next, Submitting | Due | Deferred | Held | Suppressed | Canceled | Expired),
            Suppressed | Canceled | Expired => false,
            _ => match by {
                Channel::Sms | Channel::Voice => self.at_twilio_may_become(next),
                Channel::Email => self.by_smtp_may_become(next),
            },
        }
    }

    /// Texts and calls: Twilio tells what became of them, and may tell late, twice and in any order. What it
    /// says definitely failed may be decided again. A call is `sent` while it rings or is spoken, and
    /// `delivered` when it was answered.
    fn at_twilio_may_become(self, next: State) -> bool {
        use State::{Accepted, Deferred, Delivered, Failed, Sent, Submitting, Undelivered, Unknown};
        match self {
            Submitting => {
                matches!(next, Accepted | Unknown | Failed | Deferred | Sent | Delivered | Undelivered)
            }
            Unknown => matches!(next, Accepted | Sent | Delivered | Undelivered | Failed),
            Accepted => matches!(next, Sent | Delivered | Undelivered | Failed),
            Sent => matches!(next, Delivered | Undelivered | Failed),
            Undelivered | Failed => next == Deferred,
            _ => false,
        }
    }

    /// Mail: the server takes it, refuses it, or the connection is lost after the last line, and then nobody
    /// can be asked. Nothing is known after it was taken.
    fn by_smtp_may_become(self, next: State) -> bool {
        use State::{Deferred, Failed, Sent, Submitting, Unknown};
        match self {
            Submitting => matches!(next, Sent | Unknown | Failed | Deferred),
            // Only a person can find out.
            Unknown => matches!(next, Sent | Failed),
            Failed => next == Deferred,
            _ => false,
        }
    }

    /// Whether the message may have reached the person, so that nothing else is tried.
    pub fn may_have_reached(self) -> bool {
        use State::{Accepted, Delivered, Sent, Submitting, Unknown};
        matches!(self, Submitting | Accepted | Sent | Delivered | Unknown)
    }

    /// Whether nothing more is expected. What rests in another state is looked at again.
    pub fn is_end(self) -> bool {
        use State::{Canceled, Delivered, Expired, Failed, Suppressed, Undelivered};
        matches!(self, Delivered | Undelivered | Failed | Suppressed | Canceled | Expired)
    }

    /// When Twilio is asked what became of a message, in seconds after the last that it said; after the last
    /// of them nothing more is expected. An unknown that was never found is then for a person.
    pub fn looks(self, by: Channel) -> &'static [u32] {
        match (self, by) {
            // Twilio can still be at work on a request for half a minute after we gave it up.
            (State::Unknown, Channel::Sms | Channel::Voice) => &[5, 30, 120, 600, 3600],
            // Callbacks are not guaranteed, and some carriers never give a receipt.
            (State::Accepted | State::Sent, Channel::Sms | Channel::Voice) => {
                &[120, 600, 3600, 21_600, 86_400, 259_200]
            }
            _ => &[],
        }
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

    /// Where Twilio's status puts a call.
    pub fn of_call(status: &CallStatus) -> State {
        match status {
            CallStatus::Ringing | CallStatus::InProgress => State::Sent,
            CallStatus::Completed => State::Delivered,
            CallStatus::Busy | CallStatus::NoAnswer => State::Undelivered,
            CallStatus::Failed | CallStatus::Canceled => State::Failed,
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
    /// The number that it answers, or that an alert or a list names; none when routing chooses.
    pub number: Option<PhoneNumber>,
    /// The mailbox that an alert names.
    pub mailbox: Option<Mailbox>,
    /// The schedule that made it, if one did.
    pub origin: Option<Origin>,
    /// Its words as they were when it was scheduled, if the project wants them so.
    pub frozen: Option<Frozen>,
    /// Why it waits for a person from its beginning, if it does.
    pub held: Option<Reason>,
    /// The message or inbound message that caused it.
    pub cause: Option<String>,
    /// How many causes are behind it.
    pub depth: u32,
    /// When it is due, in seconds.
    pub due: u32,
    /// After this it is not sent any more.
    pub not_after: Option<u32>,
}

impl NewMessage {
    /// An occasion that is about nobody and nothing yet.
    pub fn about(project: &str, occasion: String, purpose: Purpose, due: u32) -> NewMessage {
        NewMessage {
            occasion,
            project: project.to_owned(),
            purpose,
            record: None,
            survey: None,
            wording: None,
            number: None,
            mailbox: None,
            origin: None,
            frozen: None,
            held: None,
            cause: None,
            depth: 0,
            due,
            not_after: None,
        }
    }
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
    /// How often it was put off because Twilio or the way there was at fault.
    pub tries: u32,
    /// How often Twilio was asked what became of it, since it last said something.
    pub looks: u32,
    /// When its first byte may have left, if it is or was on its way.
    pub submitted: Option<u32>,
    /// When it last changed.
    pub changed: u32,
    /// Since when it stands where it stands, or since Twilio last said something new.
    pub since: u32,
    /// When nothing more was expected of it.
    pub ended: Option<u32>,
    /// What Twilio charged, in millionths of the account's currency.
    pub price: Option<i64>,
}

impl Message {
    /// What carries it; a text until it was decided otherwise.
    pub fn channel(&self) -> Channel {
        self.draft.as_ref().map_or(Channel::Sms, |draft| channel(draft.method))
    }

    /// Whether it may move there.
    pub fn may_become(&self, next: State) -> bool {
        self.state.may_become(next, self.channel())
    }
}

/// Whether somebody waits for the message at their phone: replies go before everything else.
pub fn is_reply(purpose: Purpose) -> bool {
    use Purpose::{Acknowledgement, Confirmation, Dialogue, Help, OptOutConfirmation};
    matches!(purpose, Acknowledgement | Confirmation | Dialogue | Help | OptOutConfirmation)
}

/// How long to wait before the next try of what failed for a passing reason: twice as long each time, from a
/// minute to an hour, and no two messages in step. The same message waits the same.
pub fn backoff(id: &str, tries: u32) -> u32 {
    let wait = 60_u32 << tries.min(6);
    // A quarter more or less, from the id: many messages that fail together do not come back together.
    let spread = id.bytes().fold(tries, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let quarter = wait / 4;
    (wait - quarter + spread % (2 * quarter)).min(3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> impl Strategy<Value = State> {
        proptest::sample::select(State::ALL.map(|(state, _)| state).to_vec())
    }

    fn any_channel() -> impl Strategy<Value = Channel> {
        proptest::sample::select(vec![Channel::Sms, Channel::Voice, Channel::Email])
    }

    proptest! {
        /// From the moment in which bytes may leave, the only way back to a sender is a definite no.
        #[test]
        fn nothing_that_may_have_been_sent_is_sent_again(
            by in any_channel(),
            path in proptest::collection::vec(state(), 1..60),
        ) {
            let mut at = State::Planned;
            let mut in_doubt = 0;
            for next in path {
                if !at.may_become(next, by) {
                    continue;
                }
                if next == State::Submitting {
                    in_doubt += 1;
                }
                if next == State::Deferred && matches!(at, State::Submitting | State::Failed | State::Undelivered) {
                    in_doubt -= 1;
                }
                prop_assert!((0..=1).contains(&in_doubt), "a second submission without a definite no before it");
                at = next;
            }
        }

        /// What Twilio says of a message only moves it forward, whichever way it comes.
        #[test]
        fn a_status_never_goes_back(by in any_channel(), path in proptest::collection::vec(state(), 1..60)) {
            let rank = |state: State| match state {
                State::Submitting | State::Unknown => 0,
                State::Accepted => 1,
                State::Sent => 2,
                _ => 3,
            };
            let mut at = State::Submitting;
            for next in path.into_iter().filter(|next| *next != State::Deferred) {
                if at.may_become(next, by) {
                    prop_assert!(rank(next) >= rank(at), "{at} became {next}");
                    at = next;
                }
            }
        }

        #[test]
        fn waits_grow_and_stay_within_an_hour(id in "[0-9A-Z]{26}", tries in 0_u32..40) {
            let wait = backoff(&id, tries);
            prop_assert!((45..=3600).contains(&wait), "{wait}");
            prop_assert!(tries < 1 || backoff(&id, tries - 1) < wait * 2);
        }
    }

    #[test]
    fn mail_that_may_have_left_is_for_a_person() {
        assert!(State::Unknown.looks(Channel::Email).is_empty());
        assert!(!State::Unknown.may_become(State::Deferred, Channel::Email));
        assert!(!State::Submitting.may_become(State::Delivered, Channel::Email));
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
