//! The floor: what holds even if a policy says otherwise. A policy can only be stricter.
//!
//! It is asked before a compliance policy is, when a draft is planned and again when it is claimed, and once
//! more inside the transaction that lets the first byte leave. Everything here is a function of facts.

use policy::contract::redcap::Sensitivity;
use policy::contract::reviewer::{Draft, Filling};
use policy::contract::types::{
    Address, Channel, Consent, DeliveryMethod, Occasion, Purpose, Recipient, ReviewBody,
};
use policy::contract::wordings::{ApprovalState, Part};

use crate::mail::Mailbox;
use crate::outbox::{Reason, State};
use crate::store::Scope;
use crate::vocabulary::channel;

/// A message that repeats itself more often than this to one number in a day is a loop.
const SAME_TEXT_A_DAY: u32 = 5;

/// A policy may cause a message that causes a message, up to this depth.
pub const DEPTH: u32 = 3;

/// What the floor does with a message that may not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Where the message goes instead.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// When it is looked at again, if it is.
    pub look_at: Option<u32>,
}

impl Stop {
    fn suppress(reason: Reason) -> Stop {
        Stop { state: State::Suppressed, reason, look_at: None }
    }

    fn hold(rule: &str, sentence: impl Into<String>) -> Stop {
        Stop { state: State::Held, reason: Reason::new(rule, sentence), look_at: None }
    }

    fn later(rule: &str, sentence: impl Into<String>, at: u32) -> Stop {
        Stop { state: State::Deferred, reason: Reason::new(rule, sentence), look_at: Some(at) }
    }
}

/// The reason of an opt-out, which every view shows in these words.
pub fn opted_out() -> Reason {
    Reason {
        rule: "floor.opted-out".into(),
        sentence: "PARTICIPANT OPTED OUT: this address asked not to be written to".into(),
        citation: Some("47 CFR 64.1200(a)(10)".into()),
    }
}

/// What stands behind each piece of a draft.
#[derive(Clone, Debug)]
pub struct PieceApproval {
    /// The wording's id.
    pub wording: String,
    /// Where it stands with the IRB.
    pub state: ApprovalState,
    /// What it is for.
    pub part: Part,
    /// The purposes that it serves; empty means every one that may not pass an opt-out.
    pub purposes: Vec<Purpose>,
    /// The methods that it serves; empty means every method.
    pub methods: Vec<DeliveryMethod>,
    /// The identifier fields that its approval names.
    pub identifiers: Vec<String>,
    /// What was filled into this piece.
    pub fillings: Vec<Filling>,
}

/// What is known of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// It may send.
    Good,
    /// It may not, for a reason that a person must mend.
    Bad(String),
    /// Twilio has not said yet.
    Unknown(String),
}

/// What the floor looks at when a draft is reviewed.
#[derive(Debug)]
pub struct AtReview<'a> {
    /// The occasion, as the policies see it.
    pub occasion: &'a Occasion,
    /// The draft.
    pub draft: &'a Draft,
    /// What stands behind its pieces.
    pub pieces: &'a [PieceApproval],
    /// The opt-outs in force for the address.
    pub opted_out: &'a [Channel],
    /// The account.
    pub account: &'a Account,
    /// The documented waiver or verbal permission under which a first text may ask for consent.
    pub waiver: Option<&'a str>,
    /// How many causes are behind the occasion.
    pub depth: u32,
    /// The identifier fields that may be told to the member of staff whom it goes to.
    pub staff_identifiers: &'a [String],
    /// When the number of a list permitted to be texted, if somebody documented it.
    pub permission: Option<u32>,
}

/// The floor's review of a draft.
pub fn at_review(facts: &AtReview<'_>) -> Result<(), Stop> {
    let now = facts.occasion.now;
    in_time(now, facts.occasion.not_after)?;
    if facts.depth > DEPTH {
        return Err(Stop::hold(
            "floor.depth",
            "policies caused this message by a message by a message, too deep to go on",
        ));
    }
    if facts.opted_out.contains(&channel(facts.draft.method)) && !may_answer_opted_out(facts.occasion.purpose)
    {
        return Err(Stop::suppress(opted_out()));
    }
    mailbox(&facts.draft.to)?;
    approved(facts)?;
    consent(facts)?;
    identifiers(facts)?;
    conversation(facts)?;
    match facts.account {
        Account::Good => Ok(()),
        // It goes on by itself when the account is mended, unless it is too late by then.
        Account::Bad(why) => Err(Stop::later("floor.account", why.clone(), now + 900)),
        Account::Unknown(why) => Err(Stop::later("floor.account", why.clone(), now + 60)),
    }
}

/// The one confirmation of an opt-out, and the answer to HELP, are what an opted-out number may get.
fn may_answer_opted_out(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::OptOutConfirmation | Purpose::Help)
}

fn in_time(now: u32, not_after: Option<u32>) -> Result<(), Stop> {
    match not_after {
        Some(end) if now > end => Err(Stop {
            state: State::Expired,
            reason: Reason::new("floor.not-after", "it was not out in time, and is not sent any more"),
            look_at: None,
        }),
        _ => Ok(()),
    }
}

/// What no mail server could make anything of is for a person, who mends it in REDCap.
fn mailbox(to: &Address) -> Result<(), Stop> {
    match to {
        Address::Email(to) => {
            Mailbox::read(to).map(|_| ()).map_err(|not| Stop::hold("send.address", not.to_string()))
        }
        Address::Phone(_) => Ok(()),
    }
}

fn approved(facts: &AtReview<'_>) -> Result<(), Stop> {
    if !facts.pieces.iter().any(|piece| piece.part == Part::Whole) {
        return Err(Stop::hold("floor.approval", "the draft has no approved message in it"));
    }
    for piece in facts.pieces {
        if !serves(piece, facts.occasion.purpose, facts.draft.method) {
            let sentence =
                format!("the wording `{}` is not approved for this purpose and method", piece.wording);
            return Err(Stop::hold("floor.purpose", sentence));
        }
        let why = match piece.state {
            ApprovalState::Approved => continue,
            ApprovalState::Submitted => "is not approved yet",
            ApprovalState::Expired => "has an approval that has expired",
            ApprovalState::Absent => "is not approved, or was changed since it was",
        };
        return Err(Stop::hold("floor.approval", format!("the wording `{}` {why}", piece.wording)));
    }
    Ok(())
}

/// What may reach somebody who opted out must be approved for just that: otherwise a template policy could
/// answer HELP with a reminder.
fn serves(piece: &PieceApproval, purpose: Purpose, method: DeliveryMethod) -> bool {
    let purposes = match (piece.part, may_answer_opted_out(purpose)) {
        (Part::Whole, true) => piece.purposes.contains(&purpose),
        (Part::FirstMessage, true) => false,
        _ => piece.purposes.is_empty() || piece.purposes.contains(&purpose),
    };
    purposes && (piece.methods.is_empty() || piece.methods.contains(&method))
}

/// A participant is texted for the first time only with documented consent to that method, at that number.
/// Somebody who wrote first may be answered.
fn consent(facts: &AtReview<'_>) -> Result<(), Stop> {
    let answers = matches!(facts.occasion.purpose, Purpose::OptOutConfirmation | Purpose::Help);
    // A number of a list has no record, and so no consent in one: its permission is in the list.
    let invites = matches!(facts.occasion.purpose, Purpose::Invitation | Purpose::Reminder);
    if invites
        && matches!(facts.occasion.recipient, Recipient::Number(_))
        && facts.permission.is_none_or(|given| given > facts.occasion.now)
    {
        return Err(Stop::hold("floor.permission", "no permission to text this number is documented"));
    }
    if answers || !matches!(facts.occasion.recipient, Recipient::Participant) {
        return Ok(());
    }
    let now = facts.occasion.now;
    let consents: &[Consent] = facts.occasion.participant.as_ref().map_or(&[], |p| &p.consents);
    // A withdrawal ends every consent that was given before it, wherever that one was recorded.
    let withdrawn = consents.iter().filter_map(|consent| consent.withdrawn).filter(|at| *at <= now).max();
    let in_force = |consent: &&Consent| {
        consent.given <= now
            && consent.withdrawn.is_none_or(|at| at > now)
            && withdrawn.is_none_or(|at| consent.given > at)
    };
    let here = |consent: &&Consent| match (&consent.phone, &facts.draft.to) {
        (Some(named), Address::Phone(to)) => named == to,
        _ => true,
    };
    let method = |consent: &&Consent| consent.covers.contains(&facts.draft.method);
    if consents.iter().filter(in_force).filter(here).any(|consent| method(&consent)) {
        return Ok(());
    }
    // The waiver is for the first text, which asks for consent, and not for somebody who took it back.
    let first = facts.occasion.participant.as_ref().is_none_or(|participant| participant.recent.is_empty());
    if facts.waiver.is_some() && withdrawn.is_none() && first {
        return Ok(());
    }
    let sentence = if withdrawn.is_some() {
        "the participant's consent was withdrawn"
    } else if consents.iter().filter(in_force).any(|consent| method(&consent)) {
        "the consent on record names another number"
    } else {
        "no consent to this delivery method is documented for this participant"
    };
    Err(Stop::hold("floor.consent", sentence))
}

fn identifiers(facts: &AtReview<'_>) -> Result<(), Stop> {
    for piece in facts.pieces {
        for filling in &piece.fillings {
            // Staff may be told what their registration says, in words that are approved like all others.
            let staff = matches!(facts.occasion.recipient, Recipient::Staff(_));
            let named = if staff { facts.staff_identifiers } else { &piece.identifiers };
            let named = named.contains(&filling.field);
            if filling.sensitivity == Sensitivity::Identifier && !named {
                if staff {
                    let sentence = format!(
                        "the wording `{}` tells a member of staff the identifier field `{}`, which the registration \
                         does not permit",
                        piece.wording, filling.field
                    );
                    return Err(Stop::hold("floor.staff-identifier", sentence));
                }
                return Err(Stop::hold(
                    "floor.identifier",
                    format!(
                        "the wording `{}` fills in the identifier field `{}`, which its approval does not name",
                        piece.wording, filling.field
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// A survey as SMS conversation is refused to IRB-led research.
fn conversation(facts: &AtReview<'_>) -> Result<(), Stop> {
    if facts.draft.method != DeliveryMethod::SmsConversation {
        return Ok(());
    }
    let project = &facts.occasion.project;
    if !project.enabled_methods.contains(&DeliveryMethod::SmsConversation) {
        return Err(Stop::hold(
            "floor.conversation",
            "an administrator has not enabled surveys as SMS conversation",
        ));
    }
    match &project.protocol {
        Some(protocol) if protocol.reviewed_by == ReviewBody::NotResearch => Ok(()),
        Some(_) => Err(Stop::hold(
            "floor.conversation",
            "a survey as SMS conversation is refused to research that an IRB reviews",
        )),
        None => Err(Stop::hold(
            "floor.conversation",
            "a survey as SMS conversation needs a protocol that says it is not research",
        )),
    }
}

/// What the floor looks at in the transaction that lets the first byte leave.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that holds or does not")]
pub struct AtSubmission {
    /// The instant.
    pub now: u32,
    /// After this the message is not sent any more.
    pub not_after: Option<u32>,
    /// Why there is a message.
    pub purpose: Purpose,
    /// Whether the number has opted out of the channel.
    pub opted_out: bool,
    /// Whether a text from the number was not read yet: it may be an opt-out.
    pub unread: bool,
    /// Whether a person must still say what a text from the number means.
    pub unclear: bool,
    /// What of the message is stopped, and why: by the operator, or by an error of Twilio's.
    pub stops: Vec<(Scope, String)>,
    /// Whether everything that came in at Twilio until a moment ago was taken in. After an outage there may be
    /// an opt-out in it.
    pub inbound_read: bool,
    /// Texts to the number in the last 24 hours.
    pub texts_today: u32,
    /// How often it got this very text in the last 24 hours.
    pub same_text_today: u32,
    /// Texts that a number may get in 24 hours.
    pub ceiling: u32,
}

fn stopped(scope: &Scope, why: &str, facts: &AtSubmission) -> Result<(), Stop> {
    match scope {
        Scope::All | Scope::Project(_) => {
            let sentence = format!("sending is stopped: {why}");
            Err(Stop::later("floor.stopped", sentence, facts.now + 300))
        }
        Scope::Sender(_) => {
            let sentence = format!("the sender is stopped: {why}");
            Err(Stop::later("floor.stopped", sentence, facts.now + 900))
        }
        Scope::Wording(_) => Err(Stop::hold("floor.wording", format!("the wording is stopped: {why}"))),
        Scope::Recipient(..) => Err(Stop::suppress(Reason::new(
            "floor.unreachable",
            format!("this number cannot be reached this way: {why}"),
        ))),
    }
}

/// The floor's last look.
pub fn at_submission(facts: &AtSubmission) -> Result<(), Stop> {
    in_time(facts.now, facts.not_after)?;
    let answer = may_answer_opted_out(facts.purpose);
    if facts.opted_out && !answer {
        return Err(Stop::suppress(opted_out()));
    }
    for (scope, why) in &facts.stops {
        stopped(scope, why, facts)?;
    }
    if !facts.inbound_read {
        let sentence = "what came in at Twilio has not been read up to now, and may hold an opt-out";
        return Err(Stop::later("floor.inbound", sentence, facts.now + 5));
    }
    if facts.unread && !answer {
        let sentence = "a text from this number has not been read yet, and may be an opt-out";
        return Err(Stop::later("floor.unread", sentence, facts.now + 5));
    }
    if facts.unclear && !answer {
        let sentence = "a person must first say what a text from this number means";
        return Err(Stop::later("floor.unclear", sentence, facts.now + 300));
    }
    if facts.same_text_today >= SAME_TEXT_A_DAY {
        return Err(Stop::hold("floor.loop", "this number has had this very text too often today"));
    }
    if facts.texts_today >= facts.ceiling {
        let sentence = format!("this number has had {} texts in 24 hours", facts.texts_today);
        return Err(Stop::later("floor.ceiling", sentence, facts.now + 3600));
    }
    Ok(())
}
