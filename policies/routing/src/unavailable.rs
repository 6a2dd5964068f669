//! What follows when a fact could not be had: the message waits.

use consentry_guest::Instant;
use consentry_guest::rule::Rule;

/// Nothing is decided on a fact that could not be had.
pub const UNAVAILABLE: Rule = Rule {
    id: "unavailable",
    sentence: "When REDCap or Twilio cannot be asked, the message waits; a missing answer is never permission.",
    citation: Some("house rule: fail closed"),
};

/// How long to wait when a fact could not be had.
pub const A_WHILE: Instant = 15 * 60;
