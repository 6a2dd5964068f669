//! Route: the routing policy says how a recipient is contacted. Where the channel is given (a confirmation,
//! an answer to HELP) it is not asked.

use policy::contract::router::{Plan, Route};
use policy::contract::types::{Address, DeliveryMethod, Finding, Occasion, Recipient};
use policy::{Reply, Request};

use crate::decide::Asked;
use crate::facts::Known;
use crate::gateway::Gateway;
use crate::outbox::{Message, Reason};

impl Gateway {
    /// The way for a message, or why there is none yet.
    pub(crate) async fn route(
        &self,
        message: &Message,
        occasion: &Occasion,
        known: &mut Known,
    ) -> (Result<Route, Reason>, Option<Asked>) {
        if let Some(number) = &message.new.number {
            let plan = Plan {
                method: DeliveryMethod::SmsText,
                sender: None,
                to: Address::Phone(number.expose().into()),
                not_before: None,
                because: vec![given()],
            };
            return (Ok(Route::Contact(plan)), None);
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

fn given() -> Finding {
    Finding {
        rule: "channel-given".into(),
        sentence: "it answers a text from this number".into(),
        citation: None,
        fact: None,
    }
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
