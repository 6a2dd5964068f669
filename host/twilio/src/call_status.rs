//! The life of a call at Twilio.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Where a call stands, in the words of Twilio's API (`call_enum_status`).
///
/// As with [`crate::MessageStatus`], reports may repeat or be missing, so a call's status is the fold of
/// everything heard with [`CallStatus::later`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// Waits for its turn; an account places one call a second.
    Queued,
    /// Left Twilio. Only callbacks say this.
    Initiated,
    Ringing,
    /// Somebody, or a machine, picked up.
    InProgress,
    /// Was answered and has ended.
    Completed,
    Busy,
    NoAnswer,
    /// Could not be placed, as with a number that does not exist.
    Failed,
    Canceled,
    /// A word this version does not know. It never replaces a known status.
    Unrecognised(String),
}

impl CallStatus {
    /// Twilio's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Unrecognised(word) => word,
        }
    }

    /// How far along the call is. A status never moves to a lower rank.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Unrecognised(_) => 0,
            Self::Queued => 1,
            Self::Initiated => 2,
            Self::Ringing => 3,
            Self::InProgress => 4,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => 5,
        }
    }

    /// True when the call is over.
    pub fn is_final(&self) -> bool {
        self.rank() >= 5
    }

    /// Whichever of the two is further along, for every order and repetition. Between two finals the one with
    /// more evidence that a person heard the call wins, for the mistake to avoid is calling again.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if self.place() < other.place() { other } else { self }
    }

    fn place(&self) -> (u8, u8, &str) {
        let evidence = match self {
            Self::Completed => 4,
            Self::NoAnswer => 3,
            Self::Busy => 2,
            Self::Failed => 1,
            _ => 0,
        };
        (self.rank(), evidence, self.as_str())
    }
}

impl FromStr for CallStatus {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(match word {
            "queued" => Self::Queued,
            "initiated" => Self::Initiated,
            "ringing" => Self::Ringing,
            "in-progress" => Self::InProgress,
            "completed" => Self::Completed,
            "busy" => Self::Busy,
            "no-answer" => Self::NoAnswer,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            other => Self::Unrecognised(other.to_owned()),
        })
    }
}

impl From<&str> for CallStatus {
    fn from(word: &str) -> Self {
        match word.parse() {
            Ok(status) => status,
            Err(never) => match never {},
        }
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 10] = [
        "queued",
        "initiated",
        "ringing",
        "in-progress",
        "completed",
        "busy",
        "no-answer",
        "failed",
        "canceled",
        "teleported",
    ];

    #[test]
    fn words_go_both_ways() {
        for word in WORDS {
            assert_eq!(CallStatus::from(word).as_str(), word);
        }
    }

    #[test]
    fn the_later_of_two_does_not_depend_on_their_order() {
        for one in WORDS.map(CallStatus::from) {
            for two in WORDS.map(CallStatus::from) {
                let later = one.clone().later(two.clone());
                assert_eq!(later, two.clone().later(one.clone()));
                assert!(later.rank() >= one.rank() && later.rank() >= two.rank());
            }
        }
        assert_eq!(CallStatus::Busy.later(CallStatus::Completed), CallStatus::Completed);
        assert!(CallStatus::Completed.is_final() && !CallStatus::InProgress.is_final());
    }
}
