//! A method needs an address.
//!
//! A text or a call needs a phone that can be reached; without one the message goes by e-mail, if the
//! project has that enabled. A participant with neither cannot be contacted at all, and the study team
//! may want to see that in the record: a field can be set for it.

use crate::reach::{Reach, channel};
use crate::{Step, setting};
use consentry_guest::host::{log, redcap_write};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, FieldValue, Finding, Place};

/// No phone.
pub const NO_PHONE: Rule = Rule {
    id: "no-phone",
    sentence: "A recipient without a phone number is written to by e-mail, where that is known and enabled.",
    citation: Some("REDCap: at least one of e-mail and phone per participant"),
};

/// No mailbox.
pub const NO_EMAIL: Rule = Rule {
    id: "no-email",
    sentence: "A message that goes by e-mail needs an e-mail address.",
    citation: Some("REDCap: at least one of e-mail and phone per participant"),
};

/// Neither.
pub const NO_CONTACT: Rule = Rule {
    id: "no-contact",
    sentence: "A recipient with neither phone nor e-mail is not contacted; the record can be marked so that the study team sees it.",
    citation: Some("house rule: setting `no-contact-field`"),
};

/// Whether there is an address for a method.
pub fn step(reach: &Reach, method: DeliveryMethod) -> Step {
    if reach.address(method).is_some() {
        return Step::Go;
    }
    if channel(method) != Channel::Email
        && let Some(email) = reach.by_email()
    {
        let sentence = "no phone number is known, so the message goes by e-mail";
        return Step::Instead(email, NO_PHONE.finding(sentence, "recipient.phone"));
    }
    Step::Skip(no_address(method, reach))
}

/// Why there is no address for a method.
pub fn no_address(method: DeliveryMethod, reach: &Reach) -> Finding {
    match (channel(method), reach.phone, reach.email) {
        (_, None, None) => {
            NO_CONTACT.finding("neither a phone number nor an e-mail address is known", "recipient")
        }
        (Channel::Email, ..) => NO_EMAIL.finding("no e-mail address is known", "recipient.email"),
        _ => {
            let sentence = "no phone number is known, and e-mail cannot be used";
            NO_PHONE.finding(sentence, "recipient.phone")
        }
    }
}

/// Marks the record of a recipient who cannot be contacted, at the event of the occasion.
pub fn write_back() {
    let Some((field, value)) = setting::no_contact() else { return };
    let place = Place { event: None, instance: 1 };
    if redcap_write::write(&[FieldValue { field, place, value }]).is_err() {
        log::warn("the field of `no-contact-field` was not granted, or there is no record to write to");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, invitation, rule};
    use consentry_guest::DeliveryMethod::{Email, SmsLink};
    use consentry_guest::{Route, Value, host};

    #[test]
    fn a_missing_address_has_its_consequence() {
        for (phone, email, enabled, method, expected) in [
            (true, true, true, SmsLink, None),
            (false, true, true, SmsLink, Some("no-phone")),
            (false, true, false, SmsLink, Some("no-phone")),
            (false, false, true, SmsLink, Some("no-contact")),
            (true, false, true, Email, Some("no-email")),
            (true, true, true, Email, None),
        ] {
            let mut occasion = invitation();
            let participant = occasion.participant.as_mut().unwrap();
            if !phone {
                participant.phone = None;
            }
            if !email {
                participant.email = None;
            }
            if !enabled {
                occasion.project.enabled_methods.retain(|it| *it != Email);
            }
            let step = step(&Reach::of(&occasion), method);
            assert_eq!(rule(&step), expected, "{phone} {email} {enabled} {method:?}");
            if enabled && email && !phone {
                assert!(matches!(step, Step::Instead(Email, _)));
            }
        }
    }

    #[test]
    fn a_record_without_contact_is_marked_once_the_survey_is_known_to_be_open() {
        let mut occasion = invitation();
        occasion.participant.as_mut().unwrap().phone = None;
        occasion.participant.as_mut().unwrap().email = None;
        let told = Answers::default().with("no-contact-field", Value::Text("cannot_text".into()));
        let route = host::answering(&told, || crate::choose(&occasion));
        assert!(matches!(&route, Route::Skip(it) if it.rule == "no-contact"), "{route:?}");
        let writes = told.writes.borrow();
        assert_eq!(writes.len(), 1);
        assert_eq!((writes[0].field.as_str(), writes[0].value.as_str()), ("cannot_text", "1"));
        assert_eq!(writes[0].place, Place { event: None, instance: 1 });
    }

    #[test]
    fn nothing_is_written_unless_the_operator_named_a_field() {
        let mut occasion = invitation();
        occasion.participant.as_mut().unwrap().phone = None;
        occasion.participant.as_mut().unwrap().email = None;
        let silent = Answers::default();
        host::answering(&silent, || crate::choose(&occasion));
        assert!(silent.writes.borrow().is_empty());
    }
}
