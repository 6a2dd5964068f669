//! What the rules say of a draft, and the verdict that follows.

use consentry_guest::rule::Rule;
use consentry_guest::{Allowance, Deferral, Finding, Instant, Verdict};

/// What the rules say of a draft, the strictest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opinions {
    denied: Vec<Finding>,
    held: Vec<Finding>,
    deferred: Vec<(Instant, &'static Rule, Finding)>,
    allowed: Vec<Finding>,
    arrive_by: Option<Instant>,
}

impl Opinions {
    /// The message never goes.
    pub fn deny(&mut self, finding: Finding) {
        self.denied.push(finding);
    }

    /// A person must look.
    pub fn hold(&mut self, finding: Finding) {
        self.held.push(finding);
    }

    /// The message goes later.
    pub fn defer(&mut self, until: Instant, rule: &'static Rule, sentence: &str, fact: &str) {
        self.deferred.push((until, rule, rule.finding(sentence, fact)));
    }

    /// Something that speaks for the message.
    pub fn allow(&mut self, finding: Finding) {
        self.allowed.push(finding);
    }

    /// The message must have arrived by then.
    pub fn arrive_by(&mut self, end: Instant) {
        self.arrive_by = Some(self.arrive_by.map_or(end, |before| before.min(end)));
    }

    /// Whether nothing can save the message any more.
    pub fn deny_already(&self) -> bool {
        !self.denied.is_empty()
    }

    /// The verdict: the strictest word counts. A message that would go too late never goes.
    pub fn verdict(mut self, not_after: Option<Instant>) -> Verdict {
        for (until, rule, _) in &self.deferred {
            if not_after.is_some_and(|it| *until > it) {
                self.denied.push(rule.finding(
                    "the message cannot go now, and by the next chance its time will have passed",
                    "occasion.not-after",
                ));
            }
        }
        if !self.denied.is_empty() {
            return Verdict::Deny(self.denied);
        }
        if !self.held.is_empty() {
            return Verdict::Hold(self.held);
        }
        // Every rule must be content, so the last of them decides when to ask again.
        match self.deferred.iter().map(|it| it.0).max() {
            Some(until) => {
                let because = self.deferred.into_iter().map(|it| it.2).collect();
                Verdict::Defer(Deferral { until, because })
            }
            None => Verdict::Allow(Allowance { arrive_by: self.arrive_by, because: self.allowed }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{links, quiet_hours};

    fn verdict(marks: &str, not_after: Option<Instant>) -> String {
        let mut opinions = Opinions::default();
        let finding = || links::HOST.finding("a reason", "a fact");
        for mark in marks.chars() {
            match mark {
                'd' => opinions.deny(finding()),
                'h' => opinions.hold(finding()),
                'a' => opinions.allow(finding()),
                later => opinions.defer(
                    later.to_digit(10).unwrap(),
                    &quiet_hours::RULE,
                    "outside the hours",
                    "participant.time-zones",
                ),
            }
        }
        match opinions.verdict(not_after) {
            Verdict::Allow(allowance) => format!("allow {}", allowance.because.len()),
            Verdict::Defer(deferral) => format!("defer {} {}", deferral.until, deferral.because.len()),
            Verdict::Hold(findings) => format!("hold {}", findings.len()),
            Verdict::Deny(findings) => format!("deny {}", findings.len()),
        }
    }

    #[test]
    fn the_strictest_word_counts() {
        for (marks, not_after, expected) in [
            ("", None, "allow 0"),
            ("aa", None, "allow 2"),
            ("a57", None, "defer 7 2"),
            ("a57h", None, "hold 1"),
            ("ah5d", None, "deny 1"),
            ("ddh", None, "deny 2"),
            ("57", Some(6), "deny 1"),
            ("57h", Some(4), "deny 2"),
            ("57", Some(7), "defer 7 2"),
        ] {
            assert_eq!(verdict(marks, not_after), expected, "{marks} {not_after:?}");
        }
    }
}
