//! A text that nobody asked for says how to end them.
//!
//! If the wording does not say it, the project's approved sentence is added. Answers do not need it: a
//! question of a survey by text, the answer to HELP, the confirmation of an opt-out. The reviewer checks
//! the finished text on its own, so what is overlooked here is not sent.

use crate::{channel, language, opens, part};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, Finding, Occasion, Part, Wording};

/// No approved sentence that says how to opt out.
pub const NO_WORDING: Rule = Rule {
    id: "no-opt-out-wording",
    sentence: "Invitations, reminders, alerts and notifications by text say how to opt out, in words that were approved.",
    citation: Some("CTIA Messaging Principles and Best Practices, 5.1.3"),
};

/// Whether a message has to say how to opt out.
pub fn is_needed(occasion: &Occasion, method: DeliveryMethod) -> bool {
    channel(method) == Channel::Sms && opens(occasion)
}

/// The piece that says it, in this language.
pub fn piece(occasion: &Occasion, method: DeliveryMethod, language: &str) -> Result<Wording, Finding> {
    part(Part::OptOut, occasion, method, language).ok_or_else(|| {
        let sentence =
            ["the project has no sentence in `", language, "` that says how to opt out of texts"].concat();
        NO_WORDING.finding(sentence, "wordings")
    })
}

/// Whether a text tells its reader how to opt out, in this language.
///
/// The keyword stands in capitals, or follows a verb that asks for a reply: "Reply STOP", "text stop".
/// Carriers understand STOP everywhere, so it counts in any language.
pub fn carries_opt_out(text: &str, language: &str) -> bool {
    let keywords: &[&str] = match language::primary(language).to_ascii_lowercase().as_str() {
        "es" => &["alto", "parar", "cancelar", "baja"],
        "fr" => &["arrêt", "arret", "arreter", "arrêter"],
        "de" => &["stopp", "abmelden"],
        "pt" => &["parar", "pare", "cancelar", "sair"],
        "it" => &["basta", "ferma", "annulla"],
        "vi" => &["dừng", "dung", "ngừng", "hủy"],
        "ht" => &["sispann", "kanpe"],
        "ru" => &["стоп"],
        "zh" => &["停止", "退订", "退訂"],
        _ => &["unsubscribe", "end", "quit", "cancel"],
    };
    // Scripts without spaces have no words to look at.
    if language::primary(language).eq_ignore_ascii_case("zh") && keywords.iter().any(|it| text.contains(it)) {
        return true;
    }
    let shouts = !text.chars().any(char::is_lowercase);
    let mut after_verb = 0_u8;
    let mut words = text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()).peekable();
    while let Some(word) = words.next() {
        let lower = word.to_lowercase();
        let is_keyword = lower == "stop" || keywords.contains(&lower.as_str());
        // "Reply by the end of the day" asks for something else: a keyword follows its verb closely.
        let follows = after_verb > if lower == "end" || lower == "cancel" { 3 } else { 1 };
        let in_capitals = !shouts && word.chars().all(char::is_uppercase);
        let elsewhere =
            words.peek().is_some_and(|it| ["by", "sign"].iter().any(|x| it.eq_ignore_ascii_case(x)));
        if is_keyword && !elsewhere && (in_capitals || follows) {
            return true;
        }
        after_verb = if VERBS.contains(&lower.as_str()) { 4 } else { after_verb.saturating_sub(1) };
    }
    false
}

/// Words that ask for a reply.
const VERBS: [&str; 24] = [
    "reply",
    "text",
    "txt",
    "send",
    "answer",
    "respond",
    "responda",
    "responde",
    "envíe",
    "envie",
    "envía",
    "escriba",
    "conteste",
    "répondez",
    "répondre",
    "envoyez",
    "antworten",
    "antworte",
    "senden",
    "sende",
    "schreiben",
    "rispondi",
    "invia",
    "soạn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_told_from_other_words() {
        for (text, language, expected) in [
            ("Reply STOP to opt out.", "en", true),
            ("Sleep study: your diary is ready. Reply stop to end.", "en", true),
            ("Txt STOP 2 end", "en", true),
            ("STOP=end, HELP=help", "en", true),
            ("To leave, text \"stop\" back.", "en", true),
            ("REPLY STOP TO OPT OUT", "en", true),
            ("Reply END to leave the study.", "en", true),
            ("Please stop by our clinic.", "en", false),
            ("PLEASE STOP BY OUR CLINIC", "en", false),
            ("Please reply by the end of the day.", "en", false),
            ("Your survey is ready.", "en", false),
            ("Do not stop taking your medicine.", "en", false),
            ("Responda ALTO para no recibir más mensajes.", "es", true),
            ("Responda STOP para cancelar.", "es", true),
            ("Envíe parar para salir.", "es-US", true),
            ("Su encuesta está lista.", "es", false),
            ("Responda ALTO para salir.", "en", false),
            ("Répondez ARRÊT pour ne plus recevoir de messages.", "fr", true),
            ("Antworten Sie STOPP, um sich abzumelden.", "de", true),
            ("Responda PARAR para sair.", "pt", true),
            ("回复停止以退订", "zh", true),
            ("", "en", false),
        ] {
            assert_eq!(carries_opt_out(text, language), expected, "{language}: {text}");
        }
    }
}
