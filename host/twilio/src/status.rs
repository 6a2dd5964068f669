//! The life of a message at Twilio.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Where a message stands, in the words of Twilio's API (`message_enum_status`).
///
/// Callbacks arrive out of order, more than once, or never, and carry no time. [`MessageStatus::later`]
/// therefore orders statuses by themselves, and a message's status is the fold of everything heard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// A Messaging Service took it and has not chosen a sender yet.
    Accepted,
    Scheduled,
    Queued,
    Sending,
    /// The carrier took it. Without a delivery receipt it stays here for ever.
    Sent,
    Delivered,
    PartiallyDelivered,
    Undelivered,
    Failed,
    Canceled,
    Read,
    /// Inbound, still arriving.
    Receiving,
    /// Inbound, complete.
    Received,
    /// A word this version does not know. It never replaces a known status.
    Unrecognised(String),
}

impl MessageStatus {
    /// Twilio's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::PartiallyDelivered => "partially_delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Read => "read",
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Unrecognised(word) => word,
        }
    }

    /// How far along the message is. A status never moves to a lower rank.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Unrecognised(_) => 0,
            Self::Accepted => 1,
            Self::Scheduled => 2,
            Self::Queued => 3,
            Self::Sending | Self::Receiving => 4,
            Self::Sent => 5,
            Self::Delivered
            | Self::PartiallyDelivered
            | Self::Undelivered
            | Self::Failed
            | Self::Canceled
            | Self::Received => 6,
            Self::Read => 7,
        }
    }

    /// True when Twilio will not move the message again, except from delivered to read.
    pub fn is_final(&self) -> bool {
        self.rank() >= 6
    }

    /// Whichever of the two is further along.
    ///
    /// Folding with this gives the same status for every order and repetition. Two finals of one rank can
    /// both be heard, because carriers report parts separately; the one with more evidence that a
    /// person has the message wins, for the mistake to avoid is sending it again.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if self.place() < other.place() { other } else { self }
    }

    fn place(&self) -> (u8, u8, &str) {
        let evidence = match self {
            Self::Delivered => 4,
            Self::PartiallyDelivered => 3,
            Self::Undelivered => 2,
            Self::Failed => 1,
            _ => 0,
        };
        (self.rank(), evidence, self.as_str())
    }
}

impl FromStr for MessageStatus {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(match word {
            "accepted" => Self::Accepted,
            "scheduled" => Self::Scheduled,
            "queued" => Self::Queued,
            "sending" => Self::Sending,
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "partially_delivered" => Self::PartiallyDelivered,
            "undelivered" => Self::Undelivered,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            "read" => Self::Read,
            "receiving" => Self::Receiving,
            "received" => Self::Received,
            other => Self::Unrecognised(other.to_owned()),
        })
    }
}

impl From<&str> for MessageStatus {
    fn from(word: &str) -> Self {
        match word.parse() {
            Ok(status) => status,
            Err(never) => match never {},
        }
    }
}

impl fmt::Display for MessageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 14] = [
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "sent",
        "delivered",
        "partially_delivered",
        "undelivered",
        "failed",
        "canceled",
        "read",
        "receiving",
        "received",
        "teleported",
    ];

    fn fold(words: &[&str]) -> MessageStatus {
        words.iter().map(|word| MessageStatus::from(*word)).reduce(MessageStatus::later).unwrap()
    }

    #[test]
    fn words_go_both_ways() {
        for word in WORDS {
            assert_eq!(MessageStatus::from(word).as_str(), word);
        }
    }

    #[test]
    fn status_only_moves_forward() {
        assert_eq!(fold(&["delivered", "sent"]), MessageStatus::Delivered);
        assert_eq!(fold(&["undelivered", "delivered"]), MessageStatus::Delivered);
        assert_eq!(fold(&["teleported", "accepted"]), MessageStatus::Accepted);
        assert_eq!(fold(&["delivered", "read", "sent"]), MessageStatus::Read);
        assert!(!MessageStatus::Sent.is_final());
        assert!(MessageStatus::Canceled.is_final());
    }

    proptest! {
        #[test]
        fn order_and_repeats_do_not_matter(
            (heard, shuffled, repeated) in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 1..12)
                .prop_flat_map(|heard| {
                    let shuffled = Just(heard.clone()).prop_shuffle();
                    let repeated = proptest::sample::subsequence(heard.clone(), 0..=heard.len());
                    (Just(heard), shuffled, repeated)
                })
        ) {
            let again: Vec<&str> = repeated.iter().chain(&shuffled).copied().collect();
            prop_assert_eq!(fold(&heard), fold(&again));
        }
    }
}
