//! Which approved words are said.
//!
//! No word comes from this policy: it picks among the project's wordings and says in which order the host
//! joins them. The wording comes first, in the participant's language; then what a first message has to
//! say besides; then how to opt out, unless one of them says so already. What would be too long is not
//! cut: an approved text is sent whole or not at all.

pub mod language;

pub mod wording;

pub mod first_message;

pub mod opt_out;

pub mod length;

pub mod subject;

pub mod question;

pub mod setting;

use consentry_guest::{
    Channel, DeliveryMethod, Description, Finding, Occasion, Part, Piece, Problem, Purpose, Recipient, Turn,
    Wording, Words, host, template,
};

/// The reference policy for wordings.
#[derive(Debug, Clone, Copy)]
pub struct Writer;

impl template::Policy for Writer {
    fn describe() -> Description {
        Description {
            name: "template".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "picks the approved wording in the participant's language, and adds what the law wants said"
                    .into(),
            settings: setting::declared(),
            rules: RULES.iter().map(|it| it.declared()).collect(),
        }
    }

    fn check_settings() -> Vec<Problem> {
        setting::problems()
    }

    fn render(occasion: Occasion, method: DeliveryMethod) -> Result<Words, Finding> {
        render(&occasion, method)
    }

    fn ask(occasion: Occasion, method: DeliveryMethod, turn: Turn) -> Result<Words, Finding> {
        question::ask(&occasion, method, &turn)
    }
}

consentry_guest::template!(Writer);

/// Every rule that a finding of this policy may cite.
pub const RULES: [&consentry_guest::rule::Rule; 7] = [
    &wording::NO_WORDING,
    &language::FALLBACK,
    &first_message::RULE,
    &opt_out::NO_WORDING,
    &length::TOO_LONG,
    &subject::NO_SUBJECT,
    &question::NO_ENDING,
];

fn render(occasion: &Occasion, method: DeliveryMethod) -> Result<Words, Finding> {
    let candidates = wording::candidates(occasion, method)?;
    let mut refusal = None;
    for wording in &candidates {
        match words(occasion, method, wording) {
            Ok(words) => {
                language::note(occasion, &words.language);
                return Ok(words);
            }
            // The best wording's reason is the one to tell; a shorter one may still do.
            Err(finding) if finding.rule == length::TOO_LONG.id => refusal = refusal.or(Some(finding)),
            Err(finding) => return Err(refusal.unwrap_or(finding)),
        }
    }
    Err(refusal.unwrap_or_else(|| wording::none(occasion)))
}

/// The words around one wording.
fn words(occasion: &Occasion, method: DeliveryMethod, wording: &Wording) -> Result<Words, Finding> {
    let mut pieces = vec![Piece::Wording(wording.id.clone())];
    let mut says_how_to_opt_out = opt_out::carries_opt_out(&wording.text, &wording.language);
    if let Some(first) = first_message::piece(occasion, method, wording) {
        says_how_to_opt_out |= opt_out::carries_opt_out(&first.text, &first.language);
        pieces.push(Piece::Wording(first.id));
    }
    if opt_out::is_needed(occasion, method) && !says_how_to_opt_out {
        let piece = opt_out::piece(occasion, method, &wording.language)?;
        pieces.push(Piece::Wording(piece.id));
    }
    if channel(method) == Channel::Sms {
        length::fits(&pieces, &wording.language)?;
    }
    let subject = subject::piece(method, &wording.language)?;
    Ok(Words { pieces, subject, language: wording.language.clone() })
}

/// The best wording for a part that serves an occasion in exactly this language, an approved one if any.
fn part(part: Part, occasion: &Occasion, method: DeliveryMethod, language: &str) -> Option<Wording> {
    let mut wordings = host::wordings::list(part);
    let best = wording::best(&wordings, |it| {
        let serves = it.language.eq_ignore_ascii_case(language)
            && wording::serves(it, occasion.purpose, method)
            // A wording for every purpose may invite to the survey that just ended.
            && (part != Part::Whole || it.purposes.contains(&occasion.purpose));
        serves.then(|| (!wording::is_approved(it), wording::breadth(it)))
    })?;
    Some(wordings.swap_remove(best))
}

/// Whether a message opens a conversation: it needs to say more than an answer does.
fn opens(occasion: &Occasion) -> bool {
    let unasked = matches!(
        occasion.purpose,
        Purpose::Invitation | Purpose::Reminder | Purpose::Alert | Purpose::Notification
    );
    unasked && !matches!(occasion.recipient, Recipient::Staff(_))
}

/// The channel that carries a method.
fn channel(method: DeliveryMethod) -> Channel {
    match method {
        DeliveryMethod::Email => Channel::Email,
        DeliveryMethod::SmsLink
        | DeliveryMethod::SmsConversation
        | DeliveryMethod::SmsToMakeCall
        | DeliveryMethod::SmsToReceiveCall
        | DeliveryMethod::SmsText => Channel::Sms,
        DeliveryMethod::VoiceCall | DeliveryMethod::VoiceMessage => Channel::Voice,
    }
}

#[cfg(test)]
mod tests;
