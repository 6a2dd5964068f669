//! Route: the routing policy says how a recipient is contacted. Where the channel is given (a confirmation,
//! an answer to HELP) it is not asked.

use policy::contract::router::{Plan, Route};
use policy::contract::types::{Address, Channel, DeliveryMethod, Finding, Occasion, Recipient};
use policy::{Reply, Request};

use crate::decide::Asked;
use crate::facts::Known;
use crate::gateway::Gateway;
use crate::outbox::{Message, Reason};
use crate::schedule::Whom;
use crate::vocabulary::channel;

impl Gateway {
    /// The way for a message, or why there is none yet.
    pub(crate) async fn route(
        &self,
        message: &Message,
        occasion: &Occasion,
        known: &mut Known,
    ) -> (Result<Route, Reason>, Option<Asked>) {
        if let Some(given) = given(message, occasion, known) {
            return (given, None);
        }
        let policy = known.project.policies.routing.clone();
        let asked = self.ask(&policy, Request::Choose(occasion.clone()), known).await;
        let route = match &asked.reply {
            Ok(Reply::Route(Route::Contact(plan))) => {
                checked(plan, occasion).map(|()| Route::Contact(plan.clone()))
            }
            Ok(Reply::Route(route)) => Ok(route.clone()),
            Ok(_) => Err(Reason::new("policy.bad-answer", "the routing policy answered something else")),
            Err(reason) => Err(reason.clone()),
        };
        (route, Some(asked))
    }
}

/// The id of the one sender that a project has.
pub(crate) const SENDER: &str = "default";

/// The way, where it is given: for an answer to a text, for an alert, and for a number of a list.
fn given(message: &Message, occasion: &Occasion, known: &Known) -> Option<Result<Route, Reason>> {
    let contact = |method, to, why| Some(Ok(Route::Contact(plan(method, to, why))));
    let Some(origin) = &message.new.origin else {
        let number = message.new.number.as_ref()?;
        let to = Address::Phone(number.expose().into());
        return contact(DeliveryMethod::SmsText, to, "it answers a text from this number");
    };
    if origin.whom == Whom::List {
        let number = message.new.number.as_ref()?;
        let to = Address::Phone(number.expose().into());
        return contact(DeliveryMethod::SmsLink, to, "the number is on a list of the study team's");
    }
    let schedule = known.schedule()?;
    let method = schedule.by_alert()?;
    let attempted = occasion.attempts.iter().any(|attempt| attempt.method == method);
    if attempted {
        let sentence = "the way that the alert names has failed, and it names no other";
        return Some(Ok(Route::Skip(finding("attempts", sentence))));
    }
    let by_email = channel(method) == Channel::Email;
    match origin.whom {
        Whom::Staff if known.staff(message).is_none() => {
            let sentence = "the alert names an address that no administrator registered; register it under \
                            [[staff]], or let the alert name a field";
            Some(Err(Reason::new("floor.staff", sentence)))
        }
        Whom::Staff | Whom::Participant if by_email && known.project.mail.is_none() => {
            let sentence = "the project sends no e-mails: there is no table [mail]";
            Some(Ok(Route::Skip(finding("not-enabled", sentence))))
        }
        Whom::Staff => {
            let phone = message.new.number.as_ref().map(|it| Address::Phone(it.expose().into()));
            let email = message.new.mailbox.as_ref().map(|it| Address::Email(it.expose().into()));
            contact(method, phone.or(email)?, "the alert names this member of staff")
        }
        Whom::Participant => {
            let participant = occasion.participant.as_ref();
            let phone = participant.and_then(|it| it.phone.clone()).map(Address::Phone);
            let email = participant.and_then(|it| it.email.clone()).map(Address::Email);
            match if by_email { email } else { phone } {
                Some(to) => contact(method, to, "the alert goes to the participant in this way"),
                None if by_email => {
                    Some(Ok(Route::Skip(finding("no-email", "the participant has no e-mail address"))))
                }
                None => {
                    let sentence = "the participant has no phone number that can be written to";
                    Some(Ok(Route::Skip(finding("no-phone", sentence))))
                }
            }
        }
        Whom::Other | Whom::List => {
            let sentence = "it goes to whoever a field of the record names, who is neither the participant nor \
                            registered staff; there is no consent of such a person";
            Some(Err(Reason::new("floor.recipient", sentence)))
        }
    }
}

fn plan(method: DeliveryMethod, to: Address, why: &str) -> Plan {
    Plan { method, sender: None, to, not_before: None, because: vec![finding("channel-given", why)] }
}

fn finding(rule: &str, sentence: &str) -> Finding {
    Finding { rule: rule.into(), sentence: sentence.into(), citation: None, fact: None }
}

/// A plan may use only methods that are enabled, and only the recipient's own addresses.
fn checked(plan: &Plan, occasion: &Occasion) -> Result<(), Reason> {
    let answer = matches!(plan.method, DeliveryMethod::SmsText | DeliveryMethod::VoiceMessage);
    if !answer && !occasion.project.enabled_methods.contains(&plan.method) {
        return Err(Reason::new(
            "floor.method",
            "the routing policy chose a delivery method that is not enabled",
        ));
    }
    if plan.sender.as_ref().is_some_and(|sender| sender != SENDER) {
        return Err(Reason::new(
            "floor.sender",
            "the routing policy chose a sender that the project has not",
        ));
    }
    if is_own(occasion, &plan.to) {
        return Ok(());
    }
    Err(Reason::new("floor.address", "the routing policy chose an address that is not the recipient's"))
}

/// Whether an address is one of the recipient's own.
pub(crate) fn is_own(occasion: &Occasion, to: &Address) -> bool {
    match &occasion.recipient {
        Recipient::Participant => occasion.participant.as_ref().is_some_and(|participant| match to {
            Address::Phone(to) => participant.phone.as_ref() == Some(to),
            Address::Email(to) => participant.email.as_ref() == Some(to),
        }),
        Recipient::Staff(staff) => staff.addresses.contains(to),
        Recipient::Number(number) => *to == Address::Phone(number.clone()),
    }
}
