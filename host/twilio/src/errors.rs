//! Twilio's error codes: what each means for a message or a call, and what to do next.
//!
//! Twilio says the codes on a message are subject to change, so an unlisted one is no fault: it is
//! [`Class::Unknown`]. The codes are Twilio's (twilio.com/docs/api/errors); the words are ours.

/// Where the remedy lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// This recipient cannot or must not be reached this way; others can.
    Recipient,
    /// This text or document will not go out as it is.
    Content,
    /// The account, the number, its registration or our own request needs a person; sending more repeats it.
    Configuration,
    /// Twilio did not process the request, or the message was lost on the way; a later attempt may succeed.
    Transient,
    /// Not known, or known to leave open whether the message arrived. Never resend on this alone.
    Unknown,
}

/// One code in our own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    pub code: u32,
    pub class: Class,
    /// What happened, as a sentence.
    pub sentence: &'static str,
    /// What to do next, as a sentence.
    pub advice: &'static str,
}

/// The entry of `code`, or `None` when the table does not list it.
pub fn explain(code: u32) -> Option<&'static Explained> {
    let place = TABLE.binary_search_by_key(&code, |entry| entry.code).ok()?;
    Some(&TABLE[place])
}

/// The class of `code`; an unlisted code is [`Class::Unknown`].
pub fn class(code: u32) -> Class {
    explain(code).map_or(Class::Unknown, |entry| entry.class)
}

/// True when the code says that the recipient told Twilio (21610) or the toll-free network (30004) to stop.
pub fn is_opt_out(code: u32) -> bool {
    matches!(code, 21610 | 30004)
}

/// True when the number itself can never take a text: it is no number, not in service, or a landline.
pub fn is_hard(code: u32) -> bool {
    matches!(code, 21211 | 21217 | 21614 | 21635 | 30005 | 30006)
}

/// True when the account is not active, most often because its balance is used up. Sending resumes by itself
/// some minutes after payment.
pub fn is_account(code: u32) -> bool {
    matches!(code, 10001 | 10003 | 20005 | 30002 | 90010)
}

/// True when Twilio refused the credentials: wrong, without the right, or those for tests.
pub fn is_credential(code: u32) -> bool {
    matches!(code, 20003 | 20006 | 20008)
}

/// Seconds after which another attempt makes sense when Twilio reports, after it took a message, that the
/// message failed with `code`. `None` when no attempt does: the cause lasts, or the message may have arrived.
///
/// How many attempts are made is the caller's to say. A refused create is another matter: it is followed by
/// its own `Retry-After` or by backing off.
pub fn wait_after(code: u32) -> Option<u32> {
    WAITS.iter().find(|(listed, _)| *listed == code).map(|(_, seconds)| *seconds)
}

/// The whole table, by ascending code.
pub fn all() -> &'static [Explained] {
    TABLE
}

const fn entry(code: u32, class: Class, sentence: &'static str, advice: &'static str) -> Explained {
    Explained { code, class, sentence, advice }
}

use Class::{Configuration, Content, Recipient, Transient, Unknown};

const PAY: &str =
    "Check the account's balance and status at Twilio; sending resumes some minutes after payment.";
const OWN_SENDER: &str = "Send from a number that this account owns and that can text.";
const HOOK: &str = "Make the public URL answer from the internet, then run the gateway's own check.";
const TWIML: &str = "Correct the document that the gateway answers with.";
const ATTRIBUTE: &str = "Correct the attribute in the call's document.";
const GATEWAY: &str = "Report this as a fault of the gateway; the same request will be refused again.";
const LANDLINE: &str = "Look up the line type and offer a call or another channel.";
const REGISTER: &str = "Finish the registration in the Twilio console before sending more.";
const PERMIT: &str = "Allow the country under the account's geographic permissions, or do not contact it.";
const REDACTION: &str = "Handle STOP in the gateway, or turn number redaction off in the Twilio console.";
const SERVICE: &str = "Correct the Messaging Service in the Twilio console.";

#[rustfmt::skip]
const TABLE: &[Explained] = &[
    entry(10001, Configuration, "The account is not active.", PAY),
    entry(10002, Configuration, "A trial account lacks this feature.", "Upgrade the account."),
    entry(10003, Configuration, "An incoming call was rejected because the account is not active.", PAY),
    entry(10004, Transient, "Too many calls were running at once.", "Place the call later."),
    entry(11200, Configuration, "Twilio got no usable answer from our webhook within its time limit.", HOOK),
    entry(11205, Configuration, "Twilio could not connect to our webhook.", HOOK),
    entry(11206, Configuration, "Our webhook's answer was not valid HTTP.", HOOK),
    entry(11210, Configuration, "Twilio could not resolve our webhook's host name.", HOOK),
    entry(11215, Configuration, "Our webhook redirected too many times.", "Give Twilio the final URL."),
    entry(11220, Configuration, "The TLS handshake with our webhook failed.", "Serve a current TLS version with a publicly trusted certificate."),
    entry(11235, Configuration, "Our webhook's certificate is for another host name.", "Install a certificate for the public host name."),
    entry(11236, Configuration, "Our webhook's certificate has expired.", "Renew the certificate."),
    entry(11237, Configuration, "Our webhook's certificate does not chain to a root that Twilio trusts.", "Serve the intermediate certificates too."),
    entry(11750, Content, "Our webhook's document was larger than 64 kB.", TWIML),
    entry(12100, Content, "Our webhook's document was not well-formed XML.", TWIML),
    entry(12200, Content, "Our webhook's document held an element or attribute that Twilio does not know.", TWIML),
    entry(12300, Content, "Our webhook's answer had no content type that Twilio accepts.", "Answer with `text/xml`."),
    entry(13221, Content, "A Number in a Dial had an invalid method.", ATTRIBUTE),
    entry(13222, Content, "A Number in a Dial had invalid digits to send.", ATTRIBUTE),
    entry(13223, Recipient, "A Dial named something that is not a phone number.", "Correct the number."),
    entry(13224, Recipient, "A Dial named a number that is invalid or that Twilio does not call.", "Correct the number."),
    entry(13225, Configuration, "Twilio blocks calls to the number in a Dial.", "Ask Twilio support why the destination is blocked."),
    entry(13226, Recipient, "A Dial named a number with an invalid country code.", "Correct the number."),
    entry(13227, Configuration, "The account may not call that country.", PERMIT),
    entry(13310, Content, "A Gather had an invalid key to finish on.", ATTRIBUTE),
    entry(13311, Content, "A Gather had an invalid key to finish on.", ATTRIBUTE),
    entry(13312, Content, "A Gather had an invalid method.", ATTRIBUTE),
    entry(13313, Content, "A Gather had an invalid timeout.", ATTRIBUTE),
    entry(13314, Content, "A Gather had an invalid number of digits.", ATTRIBUTE),
    entry(13320, Content, "A Gather held a verb other than Say, Play and Pause.", ATTRIBUTE),
    entry(13330, Content, "A Gather had invalid speech hints.", ATTRIBUTE),
    entry(13335, Content, "A Gather combined a speech timeout and a speech model that do not go together.", ATTRIBUTE),
    entry(13510, Content, "A Say had an invalid number of repetitions.", ATTRIBUTE),
    entry(13520, Content, "A Say had no text, or text that cannot be spoken.", ATTRIBUTE),
    entry(14103, Content, "A reply was empty or longer than 1600 characters.", "Shorten the reply."),
    entry(14104, Content, "A reply had an invalid method.", TWIML),
    entry(14105, Content, "A reply had an invalid status callback.", TWIML),
    entry(14106, Content, "One inbound message led to too many redirected documents.", TWIML),
    entry(14107, Content, "Two numbers answered each other so fast that Twilio took it for a loop.", "Find out which automatic replies answer each other, and stop one."),
    entry(14108, Configuration, "The number a reply should come from cannot text.", OWN_SENDER),
    entry(14109, Content, "One inbound message got more than 10 replies.", "Send fewer replies."),
    entry(14110, Content, "A reply to a message held a verb that is not for messages.", TWIML),
    entry(14111, Configuration, "A trial account may not reply to a number it has not verified.", "Upgrade the account, or verify the number."),
    entry(20001, Configuration, "The request held a parameter that Twilio does not know.", GATEWAY),
    entry(20003, Configuration, "Twilio refused the credentials, or the key lacks the right to do this.", "Check the account SID, the key and its permissions; nothing will go out until then."),
    entry(20004, Configuration, "Twilio does not offer this method on this resource.", GATEWAY),
    entry(20005, Configuration, "The account is not active.", PAY),
    entry(20006, Configuration, "The credentials may not touch this resource.", "Check whose resource it is and what the key may do."),
    entry(20008, Configuration, "Test credentials were used for something they cannot do.", "Use the live credentials."),
    entry(20009, Transient, "Twilio keeps the record until the message or call is complete and settled.", "Delete it later; Twilio may take up to 14 days."),
    entry(20404, Configuration, "Twilio has no such resource in this account.", "Check the account and the id; when deleting, the record is already gone."),
    entry(20409, Configuration, "The request conflicts with the state of the resource.", "Read the resource again before deciding."),
    entry(20422, Configuration, "A parameter of the request was invalid.", GATEWAY),
    entry(20426, Configuration, "Twilio demands a newer protocol than the request used.", GATEWAY),
    entry(20429, Transient, "Too many requests were running at once, and Twilio did not process this one.", "Repeat it after a pause."),
    entry(20500, Unknown, "Twilio failed internally, and may or may not have carried out the request.", "Look for the message at Twilio before any further attempt."),
    entry(20503, Unknown, "Twilio was unavailable, and may or may not have carried out the request.", "Look for the message at Twilio before any further attempt."),
    entry(21201, Configuration, "A call was requested without a recipient.", GATEWAY),
    entry(21202, Recipient, "The number to call is a premium number.", "Ask for another number."),
    entry(21203, Configuration, "The account may not call abroad.", PERMIT),
    entry(21205, Configuration, "A URL in the request was invalid.", "Check the public base URL in the configuration."),
    entry(21206, Configuration, "The digits to send after a call is answered were invalid.", GATEWAY),
    entry(21210, Configuration, "The caller number is neither bought from nor verified at Twilio.", "Call from a number this account owns."),
    entry(21211, Recipient, "The recipient's number is not valid, or is the sender's own.", "Correct the number in the record."),
    entry(21212, Configuration, "The sender is not a number Twilio lets this account use.", OWN_SENDER),
    entry(21213, Configuration, "A call was requested without a caller number.", GATEWAY),
    entry(21214, Recipient, "The number cannot be reached by a call.", "Try once more another day, then ask for another number."),
    entry(21215, Configuration, "The account may not call that country.", PERMIT),
    entry(21216, Configuration, "Twilio blocks calls to this destination, or the account lacks its business profile.", "Complete the customer profile, or ask Twilio support."),
    entry(21217, Recipient, "The number does not look like a phone number.", "Correct the number in the record."),
    entry(21218, Configuration, "The application id is invalid.", "Check the application id in the configuration."),
    entry(21219, Configuration, "A trial account may only call numbers it has verified.", "Upgrade the account, or verify the number."),
    entry(21220, Unknown, "The call was not in progress any more, so it could not be changed.", "Nothing needs to be done; read the call's final status."),
    entry(21401, Recipient, "The phone number is not valid.", "Correct the number."),
    entry(21408, Configuration, "The account may not text that country.", PERMIT),
    entry(21421, Configuration, "The phone number is not valid.", "Check the number in the configuration."),
    entry(21481, Configuration, "A list was paged with an invalid token.", GATEWAY),
    entry(21601, Configuration, "The number cannot receive texts.", OWN_SENDER),
    entry(21602, Content, "The message has no text.", "Check the template and the field it takes its text from."),
    entry(21603, Configuration, "The message names no sender.", "Set the study's number or Messaging Service."),
    entry(21604, Configuration, "The message names no recipient.", GATEWAY),
    entry(21605, Content, "The message is longer than this sender allows.", "Shorten the text."),
    entry(21606, Configuration, "The sender cannot text this destination, or is not this account's.", OWN_SENDER),
    entry(21607, Configuration, "A trial account must send from its own trial number.", "Upgrade the account."),
    entry(21608, Configuration, "A trial account may only text numbers it has verified.", "Upgrade the account, or verify the number."),
    entry(21609, Configuration, "Twilio does not accept the status callback's URL.", "Check the public base URL: it needs a valid host name without underscores."),
    entry(21610, Recipient, "The recipient told Twilio to stop, or the number now belongs to someone else.", "Stop texting this person until they send START themselves."),
    entry(21611, Transient, "The sender already has as many messages waiting as Twilio holds.", "Pause sending from this number and resume when its queue has drained."),
    entry(21612, Recipient, "The recipient cannot be reached from this sender.", "Try another kind of sender, or another channel."),
    entry(21614, Recipient, "The recipient's number is not a mobile number.", LANDLINE),
    entry(21616, Configuration, "The sender matches several numbers of the account.", "Name the sender in full, with its country code."),
    entry(21617, Content, "The text is longer than 1600 characters.", "Shorten the text."),
    entry(21618, Content, "Twilio cannot send this text.", "Change the text."),
    entry(21619, Content, "The message has neither text nor media.", "Check the template and the field it takes its text from."),
    entry(21620, Content, "A media URL was invalid.", "Remove or correct the media."),
    entry(21621, Configuration, "The sender cannot send pictures.", "Send text only."),
    entry(21622, Configuration, "The account cannot send pictures.", "Send text only."),
    entry(21623, Content, "The message has too many media files.", "Send fewer files."),
    entry(21624, Configuration, "The validity period is invalid.", "Choose between 1 and 36000 seconds."),
    entry(21626, Configuration, "A status callback event is invalid.", GATEWAY),
    entry(21635, Recipient, "The recipient's number is a landline.", LANDLINE),
    entry(21654, Content, "The message needs a content template and names none.", GATEWAY),
    entry(21655, Content, "The content template does not exist.", GATEWAY),
    entry(21656, Content, "The variables of the content template are invalid.", GATEWAY),
    entry(21657, Configuration, "The sender's name is invalid.", OWN_SENDER),
    entry(21658, Content, "A parameter is longer than Twilio allows.", "Shorten the text or the callback's URL."),
    entry(21701, Configuration, "The Messaging Service does not exist.", SERVICE),
    entry(21702, Configuration, "The Messaging Service cannot send at present.", SERVICE),
    entry(21703, Configuration, "The Messaging Service has no number that can send this message.", SERVICE),
    entry(21704, Configuration, "The Messaging Service has no numbers.", SERVICE),
    entry(21705, Configuration, "The Messaging Service is invalid.", SERVICE),
    entry(21710, Configuration, "The number is already in that Messaging Service.", "Nothing needs to be done."),
    entry(21712, Configuration, "The number belongs to another Messaging Service.", SERVICE),
    entry(22005, Transient, "More than a day of calls is waiting.", "Pause calling and resume when the queue has drained."),
    entry(23001, Configuration, "Number redaction disables STOP handling on long codes.", REDACTION),
    entry(23002, Configuration, "Number redaction disables STOP handling on short codes.", REDACTION),
    entry(23003, Configuration, "Number redaction does not go together with a sticky sender.", "Turn one of the two off in the Twilio console."),
    entry(23004, Configuration, "Number redaction disables Advanced Opt-Out.", REDACTION),
    entry(23005, Configuration, "Number redaction does not go together with falling back to a long code.", "Turn one of the two off in the Twilio console."),
    entry(30001, Transient, "The message waited too long in the sender's queue and was dropped.", "Send again at a slower pace."),
    entry(30002, Configuration, "The account was suspended while the message was waiting.", PAY),
    entry(30003, Transient, "The phone could not be reached: switched off, out of range, or unable to receive texts.", "Try again over one to three days, then use another channel."),
    entry(30004, Recipient, "The recipient or the toll-free network blocks messages from this number.", "Treat it as a request to stop, and ask through another channel if in doubt."),
    entry(30005, Recipient, "The number is unknown or not in service.", "Correct the number in the record."),
    entry(30006, Recipient, "The number is a landline, or its carrier cannot be reached.", LANDLINE),
    entry(30007, Content, "Twilio or the carrier filtered the message as unwanted.", "Do not send the same text again; check its links, its wording and the number's registration."),
    entry(30008, Unknown, "The carrier reports a failure and gives no reason; the message may have arrived.", "Ask the participant, or use another channel; it is not sent again by itself."),
    entry(30009, Unknown, "A part of an inbound message never arrived.", "Read what did arrive; ask the person to repeat it if it makes no sense."),
    entry(30010, Configuration, "The message would cost more than the limit set for it.", "Raise the limit, or remove it."),
    entry(30011, Recipient, "The recipient's phone cannot take pictures in this region.", "Send text only."),
    entry(30012, Configuration, "The validity period is too short.", "Choose a longer validity period."),
    entry(30017, Transient, "The carrier's network was congested.", "Try again later."),
    entry(30018, Configuration, "The recipient's carrier wants senders registered beforehand.", REGISTER),
    entry(30019, Content, "The content is larger than the carrier takes.", "Send less content."),
    entry(30020, Transient, "Twilio's scheduling failed.", "Schedule the message again."),
    entry(30021, Transient, "Twilio's Messaging Service failed.", "Send again later."),
    entry(30022, Transient, "The campaign or the recipient got messages faster than the carrier allows.", "Send at a slower pace."),
    entry(30023, Transient, "The carrier's daily limit for the sender is reached.", "Resume on the next day."),
    entry(30024, Configuration, "The carrier does not know the sender yet.", REGISTER),
    entry(30025, Unknown, "Half of T-Mobile's daily limit is used.", "Nothing needs to be done yet."),
    entry(30026, Unknown, "Most of T-Mobile's daily limit is used.", "Expect messages to be refused later today."),
    entry(30027, Transient, "T-Mobile's daily limit for the sender is reached.", "Resume on the next day."),
    entry(30028, Configuration, "The request named an API version that Twilio does not know.", GATEWAY),
    entry(30029, Configuration, "The account cannot have message texts discarded on request.", "Ask Twilio to enable message redaction, or leave the option out."),
    entry(30030, Configuration, "The account cannot have phone numbers obfuscated on request.", "Ask Twilio to enable message redaction, or leave the option out."),
    entry(30031, Configuration, "The request named an invalid rate limit.", GATEWAY),
    entry(30032, Configuration, "The toll-free number is not verified.", REGISTER),
    entry(30033, Configuration, "The number's campaign is suspended.", "Ask Twilio support what suspended the campaign."),
    entry(30034, Configuration, "The number is not registered for application texting in the United States.", REGISTER),
    entry(30035, Configuration, "The number's registration is still being set up.", "Wait some hours, then send again."),
    entry(30036, Transient, "The message was not delivered within its validity period.", "Decide whether it still makes sense, and send again if so."),
    entry(30044, Configuration, "A trial account may not send a message this long.", "Upgrade the account, or shorten the text."),
    entry(30045, Configuration, "The validity period is invalid.", "Choose between 1 and 36000 seconds."),
    entry(30047, Transient, "Twilio's quiet hours could not move the message to a later time.", "Send it between 8:00 and 21:00 of the recipient's time."),
    entry(30400, Configuration, "The change to the message was invalid.", GATEWAY),
    entry(30409, Unknown, "The message was already under way and could not be canceled.", "Nothing needs to be done; read the message's final status."),
    entry(30410, Unknown, "The carrier did not answer in time, and Twilio did not repeat the message so as not to deliver it twice.", "Count it as possibly delivered, and let a person decide."),
    entry(30450, Transient, "Twilio's fraud protection holds messages to this destination.", "Try again after half an hour."),
    entry(30500, Transient, "Twilio failed internally after it took the message.", "Try once more."),
    entry(30610, Transient, "Twilio's quiet hours blocked the message.", "Send it between 8:00 and 21:00 of the recipient's time."),
    entry(30640, Recipient, "The number is on Twilio's list of litigators.", "Do not text this person without advice from counsel."),
    entry(32009, Recipient, "The SIP user to call is not registered.", "Register the device, or call a phone number."),
    entry(32014, Unknown, "The call ended because no sound arrived.", "Check the network path if it happens often."),
    entry(32017, Configuration, "The recipient's carrier blocked the call because of the caller number.", "Register the caller number's reputation, or call from another."),
    entry(32018, Content, "The document sent along with the call was longer than 4000 characters.", "Serve the document from a URL."),
    entry(32203, Configuration, "Twilio blocked the call.", "Ask Twilio support why the destination is blocked."),
    entry(57012, Configuration, "Our webhook refused Twilio's signature.", "Check the public base URL, and that the configured token is the account's primary one."),
    entry(60601, Configuration, "The account may not look up numbers of this country.", "Ask Twilio for access, or turn lookups off for it."),
    entry(63017, Transient, "The account sends faster than its overall limit.", "Send at a slower pace."),
    entry(90007, Configuration, "The validity period is invalid.", "Choose between 1 and 36000 seconds."),
    entry(90010, Configuration, "The account is not active.", PAY),
];

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// What failed for good this time and may succeed later, with the seconds to wait.
#[rustfmt::skip]
const WAITS: &[(u32, u32)] = &[
    // The sender's queue has to drain first.
    (30001, 15 * MINUTE),
    // An account is active again some minutes after payment.
    (30002, 15 * MINUTE),
    // A phone that is off or out of range tonight may be on in the morning.
    (30003, 6 * HOUR),
    // Congestion passes within minutes.
    (30017, 15 * MINUTE),
    // Twilio's own scheduling or service failed.
    (30020, 15 * MINUTE), (30021, 15 * MINUTE),
    // Faster than the campaign's or the recipient's rate.
    (30022, 15 * MINUTE),
    // The carrier's day has to end, and no day is further away than its middle tomorrow.
    (30023, 12 * HOUR), (30027, 12 * HOUR),
    // The block of the fraud protection lasts 15 to 30 minutes.
    (30450, 30 * MINUTE),
    // Twilio failed after it took the message, and says that it was not sent.
    (30500, HOUR),
    // The account's rate is counted by the second; a minute is ample.
    (63017, MINUTE),
    // Not here: 30036, 30047 and 30610, where the window for sending has passed and a policy decides anew;
    // 30410, which the carrier may have delivered.
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn every_entry_is_two_sentences() {
        for entry in all() {
            for text in [entry.sentence, entry.advice] {
                assert!(
                    text.ends_with('.') && text.starts_with(char::is_uppercase),
                    "{}: {text}",
                    entry.code
                );
            }
        }
    }

    #[test]
    fn what_the_gateway_leans_on() {
        assert_eq!(class(21610), Class::Recipient);
        assert_eq!(class(20429), Class::Transient);
        assert_eq!(class(30007), Class::Content);
        assert_eq!(class(30032), Class::Configuration);
        // Possibly delivered: nothing may resend these by itself.
        for code in [20500, 20503, 30410] {
            assert_eq!(class(code), Class::Unknown, "{code}");
        }
        assert_eq!(explain(1), None);
        assert_eq!(class(1), Class::Unknown);
        assert!(
            TABLE.iter().filter(|entry| is_opt_out(entry.code)).all(|entry| entry.class == Class::Recipient)
        );
    }

    #[test]
    fn each_question_is_answered_within_its_class() {
        for entry in all() {
            let code = entry.code;
            if is_hard(code) {
                assert_eq!(entry.class, Class::Recipient, "{code}");
                assert!(!is_opt_out(code), "{code}");
            }
            if is_account(code) || is_credential(code) {
                assert_eq!(entry.class, Class::Configuration, "{code}");
            }
            assert!(!(is_account(code) && is_credential(code)), "{code}");
            if wait_after(code).is_some() {
                assert!(entry.class == Class::Transient || is_account(code), "{code}");
            }
        }
        for (code, seconds) in WAITS {
            assert!(explain(*code).is_some() && *seconds >= MINUTE, "{code}");
        }
    }

    #[test]
    fn only_what_did_not_arrive_is_tried_again() {
        assert_eq!(wait_after(30001), Some(900));
        assert_eq!(wait_after(30003), Some(6 * HOUR));
        assert_eq!(wait_after(30023), Some(12 * HOUR));
        for code in [30004, 30005, 30006, 30007, 30036, 30410, 21610, 20003, 1] {
            assert_eq!(wait_after(code), None, "{code}");
        }
    }

    #[test]
    fn codes_of_the_corpus() {
        // Younger than the corpus, which is Twilio's dictionary of 2023.
        const NEWER: &[u32] =
            &[21635, 30036, 30044, 30045, 30047, 30500, 30610, 30640, 57012, 60601, 63017, 90007, 90010];
        #[derive(serde::Deserialize)]
        struct Title {
            code: u32,
        }
        let Some(text) = crate::corpus::read("twilio/error-titles-2023.json") else { return };
        let titles: Vec<Title> = serde_json::from_str(&text).unwrap();
        for entry in all() {
            let listed = titles.iter().any(|title| title.code == entry.code);
            assert_ne!(listed, NEWER.contains(&entry.code), "{}", entry.code);
        }
    }
}
