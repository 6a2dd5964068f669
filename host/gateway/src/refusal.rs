//! What Twilio's error codes mean for more than the one message: the number, the words, or the sender.

use policy::contract::reviewer::Draft;
use twilio::Class;

use crate::outbox::Reason;
use crate::store::Scope;
use crate::vocabulary::channel;

/// Codes that are about the way to one number, although the remedy lies in the account: to stop the sender for
/// a participant who lives abroad would stop the study.
const DESTINATION: [u32; 7] = [13_227, 21_203, 21_215, 21_216, 21_408, 21_612, 60_601];

/// What nothing more is sent of after this error, until a person has looked; and the reason in words.
///
/// Errors of the recipient's number stop the number, errors of content stop the wording, errors of
/// configuration stop the sender. An account without money stops by itself and goes on by itself, so it is
/// none of these.
pub(crate) fn consequence(
    code: u32,
    draft: &Draft,
    sender: Option<&str>,
    recipient: &[u8],
) -> (Option<Scope>, Reason) {
    let why = |rule: &str| Reason::new(rule, explained(code));
    if twilio::is_account(code) {
        return (None, why("send.account"));
    }
    if twilio::is_hard(code) || DESTINATION.contains(&code) {
        return (Some(Scope::Recipient(recipient.into(), channel(draft.method))), why("send.recipient"));
    }
    match twilio::class(code) {
        Class::Recipient => (None, why("send.recipient")),
        Class::Content => {
            let wording = draft.approvals.first();
            (wording.map(|approval| Scope::Wording(approval.digest.clone())), why("send.content"))
        }
        Class::Configuration => {
            (sender.map(|sender| Scope::Sender(sender.into())), why("send.configuration"))
        }
        Class::Transient => (None, why("send.transient")),
        Class::Unknown => (None, why("send.refused")),
    }
}

/// A code in words: what happened, and what to do.
pub(crate) fn explained(code: u32) -> String {
    match twilio::explain(code) {
        Some(known) => format!("Twilio's error {code}: {} {}", known.sentence, known.advice),
        None => format!("Twilio's error {code}, which it does not document"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::contract::reviewer::Approval;
    use policy::contract::types::{Address, DeliveryMethod};

    fn draft() -> Draft {
        Draft {
            method: DeliveryMethod::SmsLink,
            sender: None,
            to: Address::Phone("+16175550121".into()),
            subject: None,
            body: "Hi".into(),
            language: "en".into(),
            segments: 1,
            approvals: vec![Approval {
                wording: "invitation".into(),
                digest: "sha256:1".into(),
                protocol: None,
                approved: 0,
                expires: None,
            }],
            fillings: vec![],
            links: vec![],
        }
    }

    #[test]
    fn each_class_of_error_stops_what_it_is_about_and_nothing_else() {
        let scope = |code| consequence(code, &draft(), Some("+16175550100"), &[7]).0;
        let number = Some(Scope::Recipient(vec![7], policy::contract::types::Channel::Sms));
        assert_eq!(scope(30_006), number, "a landline");
        assert_eq!(scope(21_408), number, "a country that the account may not text");
        assert_eq!(scope(30_007), Some(Scope::Wording("sha256:1".into())), "filtered");
        assert_eq!(scope(20_003), Some(Scope::Sender("+16175550100".into())), "bad credentials");
        assert_eq!(scope(30_034), Some(Scope::Sender("+16175550100".into())), "not registered");
        for passing in [20_005, 30_002, 20_429, 30_001, 30_003, 99_999] {
            assert_eq!(scope(passing), None, "{passing}");
        }
    }
}
