//! A message that is no longer of use is not sent.
//!
//! An invitation to a morning diary is noise in the evening, and every needless text counts against the
//! participant's patience. The schedule says until when a message is of use; after that it is skipped.

use consentry_guest::rule::Rule;
use consentry_guest::{Finding, Instant, Occasion};

/// The deadline that the schedule gives.
pub const TOO_LATE: Rule = Rule {
    id: "too-late",
    sentence: "A message is not sent after the time until which the schedule says it is of use.",
    citation: Some("house rule: the schedule of the project"),
};

/// The finding, when the deadline has passed.
pub fn passed(occasion: &Occasion) -> Option<Finding> {
    occasion.not_after.filter(|it| occasion.now > *it).map(|_| {
        TOO_LATE.finding("the time until which this message was to be sent has passed", "occasion.not-after")
    })
}

/// The finding, when the deadline will have passed at a later instant.
pub fn before(occasion: &Occasion, later: Instant) -> Option<Finding> {
    occasion.not_after.filter(|it| later > *it).map(|_| {
        TOO_LATE.finding(
            "the message cannot go now, and by the next chance its time will have passed",
            "occasion.not-after",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW, invitation};

    #[test]
    fn the_last_second_still_counts() {
        for (not_after, late) in
            [(None, false), (Some(NOW + 1), false), (Some(NOW), false), (Some(NOW - 1), true)]
        {
            let occasion = Occasion { not_after, ..invitation() };
            assert_eq!(passed(&occasion).is_some(), late, "{not_after:?}");
            assert_eq!(before(&occasion, NOW).is_some(), late, "{not_after:?}");
        }
    }
}
