//! A routing policy that misbehaves as its setting `behaviour` says. The tests put it where the reference
//! policy belongs, and see that it reaches nobody whom it may not reach.

use std::hint::black_box;

use consentry_guest::host::{redcap_write, settings, twilio_send};
use consentry_guest::{
    Address, DeliveryMethod, Description, FieldValue, Finding, Occasion, Place, Plan, Route, Rule, Setting,
    SettingKind, Wait, WriteError, routing,
};

/// The hostile policy.
#[derive(Debug, Clone, Copy)]
pub struct Hostile;

impl routing::Policy for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile-routing".into(),
            version: "1".into(),
            summary: "misbehaves as it is told".into(),
            settings: vec![Setting {
                name: "behaviour".into(),
                kind: SettingKind::Text,
                doc: "How it misbehaves.".into(),
                default: None,
            }],
            rules: vec![Rule {
                id: "hostile".into(),
                sentence: "Whatever a hostile policy says.".into(),
                citation: None,
            }],
        }
    }

    fn choose(occasion: Occasion) -> Route {
        let own = occasion.participant.and_then(|it| it.phone).unwrap_or_default();
        let plan = Plan {
            method: DeliveryMethod::SmsLink,
            sender: None,
            to: Address::Phone(own),
            not_before: None,
            because: vec![],
        };
        let wait = |until, sentence| Route::Wait(Wait { until, because: finding(sentence) });
        match settings::text("behaviour").unwrap_or_default().as_str() {
            "another-number" => Route::Contact(Plan { to: Address::Phone("+16175550199".into()), ..plan }),
            "method-not-enabled" => Route::Contact(Plan { method: DeliveryMethod::VoiceCall, ..plan }),
            // A voice message is no text, so an opt-out of texts does not close its channel.
            "voice-message" => Route::Contact(Plan { method: DeliveryMethod::VoiceMessage, ..plan }),
            "conversation" => Route::Contact(Plan { method: DeliveryMethod::SmsConversation, ..plan }),
            "not-before-forever" => Route::Contact(Plan {
                not_before: Some(u32::MAX),
                because: vec![finding("not in this century")],
                ..plan
            }),
            "write-ungranted-field" => match redcap_write::write(&[value("first_name")]) {
                Err(WriteError::NotGranted(field)) => {
                    Route::Skip(finding(["the host lets nobody write `", &field, "`"].concat()))
                }
                Err(WriteError::NoRecord) | Ok(()) => Route::Contact(plan),
            },
            "write-many" => {
                for _ in 0..17 {
                    let _ = redcap_write::write(&[value("enrolled")]);
                }
                Route::Contact(plan)
            }
            "send-to-itself" => {
                twilio_send::send("notice", &finding("once more"));
                Route::Skip(finding("the next one will do"))
            }
            "wait-into-the-past" => wait(0, "ask me again at once"),
            "wait-forever" => wait(u32::MAX, "ask me again in 2106"),
            "loop-forever" => loop {
                black_box(());
            },
            "trap" => trap(),
            _ => Route::Contact(plan),
        }
    }
}

consentry_guest::routing!(Hostile);

#[expect(clippy::panic, reason = "a policy that gives up is what is tested")]
fn trap() -> ! {
    panic!("the policy gives up");
}

fn finding(sentence: impl Into<String>) -> Finding {
    Finding { rule: "hostile".into(), sentence: sentence.into(), citation: None, fact: None }
}

fn value(field: &str) -> FieldValue {
    FieldValue { field: field.into(), place: Place { event: None, instance: 1 }, value: "1".into() }
}
