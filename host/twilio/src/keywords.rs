//! The words Twilio itself acts on when a number has no Advanced Opt-Out.

/// What Twilio's default handling takes a reply for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// Twilio blocks further messages from this number to that person.
    Stop,
    /// Twilio lifts the block.
    Start,
    /// Twilio answers with its own help text.
    Help,
}

/// What Twilio does by itself with `body` on a bare long code or toll-free number.
///
/// The whole message must be one of the words, whatever its case: "stop please" and "opt out" are not
/// caught. The lists are Twilio's since 2025-05-14 (tutorial "Advanced Opt-Out"). On a toll-free number
/// `YES` does not subscribe again, because the toll-free network keeps its own list. A short code outside a
/// Messaging Service has no default handling at all, so do not ask this function about one.
pub fn default_keyword(body: &str, toll_free: bool) -> Option<Keyword> {
    match body.trim().to_ascii_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => {
            Some(Keyword::Stop)
        }
        "START" | "UNSTOP" => Some(Keyword::Start),
        "YES" if !toll_free => Some(Keyword::Start),
        "HELP" | "INFO" => Some(Keyword::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_counts() {
        assert_eq!(default_keyword(" stop\n", false), Some(Keyword::Stop));
        assert_eq!(default_keyword("OptOut", false), Some(Keyword::Stop));
        assert_eq!(default_keyword("Info", true), Some(Keyword::Help));
        for body in ["stop please", "opt out", "stop.", "can you stop by", ""] {
            assert_eq!(default_keyword(body, false), None, "{body}");
        }
    }

    #[test]
    fn yes_does_not_resubscribe_on_toll_free() {
        assert_eq!(default_keyword("YES", false), Some(Keyword::Start));
        assert_eq!(default_keyword("YES", true), None);
        assert_eq!(default_keyword("unstop", true), Some(Keyword::Start));
    }
}
