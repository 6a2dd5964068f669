//! How a recipient is contacted.
//!
//! The participant's own choice comes first. From there on each rule may say "go", "another way", "later"
//! or "not at all", and the way is asked again until every rule is content: a way leads only from texts
//! to calls to e-mail, and from e-mail to a text where none was tried, so this ends. The rules that read
//! the facts of the request are asked before those that need REDCap or Twilio, because an answer that the
//! host does not hold yet costs another round.
//!
//! A fact that cannot be had is never taken for permission: the occasion waits a quarter of an hour.

pub mod deadline;
pub mod reach;
pub mod unavailable;

pub mod preference;

pub mod opt_out;

pub mod attempts;

pub mod phone;

pub mod answered;

pub mod line_type;

pub mod setting;

use consentry_guest::{DeliveryMethod, Description, Finding, Occasion, Plan, Problem, Route, Wait, routing};
use reach::Reach;

/// What a rule says of a way.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing against it.
    Go,
    /// Another way, and why.
    Instead(DeliveryMethod, Finding),
    /// Later, and why.
    Wait(Wait),
    /// Not at all, and why.
    Skip(Finding),
}

/// The reference policy for routing.
#[derive(Debug, Clone, Copy)]
pub struct Router;

impl routing::Policy for Router {
    fn describe() -> Description {
        Description {
            name: "routing".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "honours each participant's preferred method, and finds another way when it cannot work"
                .into(),
            settings: setting::declared(),
            rules: RULES.iter().map(|it| it.declared()).collect(),
        }
    }

    fn check_settings() -> Vec<Problem> {
        setting::problems()
    }

    fn choose(occasion: Occasion) -> Route {
        choose(&occasion)
    }
}

consentry_guest::routing!(Router);

/// Every rule that a finding of this policy may cite.
pub const RULES: [&consentry_guest::rule::Rule; 18] = [
    &deadline::TOO_LATE,
    &preference::RULE,
    &preference::NOT_ENABLED,
    &preference::REPLY,
    &opt_out::RULE,
    &opt_out::BY_EMAIL,
    &attempts::UNREACHABLE,
    &attempts::FILTERED,
    &attempts::EXPIRED,
    &attempts::NO_ANSWER,
    &phone::NO_PHONE,
    &phone::NO_EMAIL,
    &phone::NO_CONTACT,
    &answered::COMPLETE,
    &answered::UNREADABLE,
    &line_type::LANDLINE,
    &line_type::HEADS_UP,
    &unavailable::UNAVAILABLE,
];

fn choose(occasion: &Occasion) -> Route {
    if let Some(finding) = deadline::passed(occasion) {
        return Route::Skip(finding);
    }
    let reach = Reach::of(occasion);
    let mut because = Vec::new();
    let wanted = match preference::wanted(occasion, &reach) {
        Ok((method, findings)) => {
            because.extend(findings);
            method
        }
        Err(finding) => return Route::Skip(finding),
    };

    let by_value = settle(occasion, &reach, wanted, &mut because);
    let mut method = match by_value {
        Ok(method) => method,
        // A record is marked only when the message was still wanted, which REDCap has to say.
        Err(Route::Skip(finding)) if finding.rule == phone::NO_CONTACT.id => {
            return match answered::step(occasion) {
                Step::Skip(finding) => Route::Skip(finding),
                Step::Wait(wait) => later(occasion, wait),
                Step::Go | Step::Instead(..) => {
                    phone::write_back();
                    Route::Skip(finding)
                }
            };
        }
        Err(route) => return route,
    };

    match answered::step(occasion) {
        Step::Go | Step::Instead(..) => {}
        Step::Wait(wait) => return later(occasion, wait),
        Step::Skip(finding) => return Route::Skip(finding),
    }
    match line_type::step(occasion, &reach, method) {
        Step::Go => {}
        Step::Instead(other, finding) => {
            because.push(finding);
            method = match settle(occasion, &reach, other, &mut because) {
                Ok(method) => method,
                Err(route) => return route,
            };
        }
        Step::Wait(wait) => return later(occasion, wait),
        Step::Skip(finding) => return Route::Skip(finding),
    }
    match line_type::heads_up(occasion, &reach, method) {
        Ok(finding) => because.extend(finding),
        Err(wait) => return later(occasion, wait),
    }

    let Some(to) = reach.address(method) else {
        return Route::Skip(phone::no_address(method, &reach));
    };
    Route::Contact(Plan { method, sender: setting::sender(), to, not_before: None, because })
}

/// Asks the rules that need no import, until all of them are content with a way.
fn settle(
    occasion: &Occasion,
    reach: &Reach,
    wanted: DeliveryMethod,
    because: &mut Vec<Finding>,
) -> Result<DeliveryMethod, Route> {
    let mut method = wanted;
    // Texts, calls, e-mail: a way is left at most twice.
    for _ in 0..4 {
        let mut step = opt_out::step(occasion, reach, method);
        if step == Step::Go {
            step = phone::step(reach, method);
        }
        if step == Step::Go {
            step = attempts::step(occasion, reach, method);
        }
        match step {
            Step::Go => return Ok(method),
            Step::Instead(other, finding) => {
                because.push(finding);
                method = other;
            }
            Step::Wait(wait) => return Err(later(occasion, wait)),
            Step::Skip(finding) => return Err(Route::Skip(finding)),
        }
    }
    Err(Route::Skip(phone::no_address(method, reach)))
}

/// Waits, unless the message would then be too late.
fn later(occasion: &Occasion, wait: Wait) -> Route {
    match deadline::before(occasion, wait.until) {
        Some(finding) => Route::Skip(finding),
        None => Route::Wait(wait),
    }
}

#[cfg(test)]
mod tests;
