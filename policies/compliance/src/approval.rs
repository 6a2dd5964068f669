//! Only approved words go out.
//!
//! The host says which approvals stand behind the pieces of a draft. A draft without one, or with one that
//! has ended, waits for a person; so does everything under a protocol that has expired, apart from what
//! is owed to somebody who wrote HELP or STOP.

use crate::is_owed;
use crate::opinion::Opinions;
use consentry_guest::rule::Rule;
use consentry_guest::{Draft, Occasion};

/// Approvals in force.
pub const APPROVED: Rule = Rule {
    id: "approval",
    sentence: "Every piece of a message was approved, and the approval is in force.",
    citation: Some("45 CFR 46.109(a)"),
};

/// No approval.
pub const MISSING: Rule = Rule {
    id: "approval-missing",
    sentence: "Words that were not approved wait for a person.",
    citation: Some("45 CFR 46.109(a)"),
};

/// An approval that has ended.
pub const EXPIRED: Rule = Rule {
    id: "approval-expired",
    sentence: "Words whose approval has ended wait until they are approved again.",
    citation: Some("45 CFR 46.109(e)"),
};

/// A protocol that has ended.
pub const PROTOCOL: Rule = Rule {
    id: "protocol-expired",
    sentence: "When the approval of the protocol has ended, its messages wait until it is renewed.",
    citation: Some("45 CFR 46.109(e)"),
};

/// Reviews the approvals behind a draft.
pub fn review(occasion: &Occasion, draft: &Draft, opinions: &mut Opinions) {
    if draft.approvals.is_empty() {
        opinions.hold(MISSING.finding("no approval stands behind these words", "draft.approvals"));
    }
    let ended: Vec<&str> = draft
        .approvals
        .iter()
        .filter(|it| it.expires.is_some_and(|it| it <= occasion.now))
        .map(|it| it.wording.as_str())
        .collect();
    for wording in &ended {
        let sentence = ["the approval of the wording `", wording, "` has ended"].concat();
        opinions.hold(EXPIRED.finding(sentence, "approval.expires"));
    }
    let protocol = occasion.project.protocol.as_ref();
    if !is_owed(occasion.purpose)
        && protocol.is_some_and(|it| it.expires.is_some_and(|it| it <= occasion.now))
    {
        let sentence = "the approval of the study's protocol has ended";
        opinions.hold(PROTOCOL.finding(sentence, "protocol.expires"));
    }
    if !draft.approvals.is_empty() && ended.is_empty() {
        opinions.allow(APPROVED.finding("every piece is approved", "draft.approvals"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW, approval, draft, invitation, protocol, verdict};
    use consentry_guest::Purpose;

    #[test]
    fn every_approval_is_in_force() {
        for (approvals, protocol_ends, purpose, expected) in [
            (vec![None], None, Purpose::Invitation, "allow approval"),
            (vec![None, Some(NOW + 1)], Some(NOW + 1), Purpose::Invitation, "allow approval"),
            (vec![], None, Purpose::Invitation, "hold approval-missing"),
            (vec![], None, Purpose::Help, "hold approval-missing"),
            (vec![Some(NOW)], None, Purpose::Invitation, "hold approval-expired"),
            (vec![None, Some(NOW - 1)], None, Purpose::Help, "hold approval-expired"),
            (vec![None], Some(NOW), Purpose::Invitation, "hold protocol-expired"),
            (vec![None], Some(NOW), Purpose::OptOutConfirmation, "allow approval"),
            (vec![Some(1)], Some(NOW), Purpose::Alert, "hold approval-expired protocol-expired"),
        ] {
            let mut occasion = Occasion { purpose, ..invitation() };
            occasion.project.protocol = Some(protocol(protocol_ends));
            let approvals = approvals.into_iter().map(approval).collect::<Vec<_>>();
            let draft = Draft { approvals: approvals.clone(), ..draft() };
            let told = verdict(|opinions| review(&occasion, &draft, opinions));
            assert_eq!(told, expected, "{approvals:?} {protocol_ends:?} {purpose:?}");
        }
    }
}
