//! What an inbound message means.
//!
//! The order is the whole point. What Twilio did is a fact, and comes first. Then every way to say stop,
//! before anything is taken for an answer: an opt-out that is mistaken for an answer is a violation, an
//! answer that is mistaken for an opt-out is a nuisance. What is left is an answer if one was expected, a
//! courtesy that needs no reading, or something for a person to read.

use crate::keywords::{self, Keyword};
use crate::refusals::{self, Refusal};
use crate::setting;
use crate::words::{Words, has, written};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, Expecting, Finding, Inbound, Intent, ProviderHandling, Stop};

/// An opt-out that Twilio took.
pub const PROVIDER_STOP: Rule = Rule {
    id: "stop-by-twilio",
    sentence: "What Twilio took for STOP is an opt-out.",
    citation: Some("Twilio: opt-out keywords; 47 CFR 64.1200(a)(10)"),
};

/// An opt-in that Twilio took.
pub const PROVIDER_START: Rule = Rule {
    id: "start-by-twilio",
    sentence: "What Twilio took for START opts a number in again, unless it is a mere yes.",
    citation: Some("Twilio: opt-in keywords"),
};

/// No access code where one was expected.
pub const NO_CODE: Rule = Rule {
    id: "no-access-code",
    sentence: "What cannot be an access code where one is expected is read by a person.",
    citation: Some("REDCap: access codes have nine letters and digits, or ten digits"),
};

/// A courtesy.
pub const THANKS: Rule = Rule {
    id: "thanks",
    sentence: "Nothing follows from a message that only thanks or agrees.",
    citation: Some("house rule: people are not bothered for nothing"),
};

/// An empty message.
pub const EMPTY: Rule = Rule {
    id: "empty",
    sentence: "Nothing follows from a message without words.",
    citation: Some("house rule: people are not bothered for nothing"),
};

/// Anything else.
pub const UNREAD: Rule = Rule {
    id: "unread",
    sentence: "A message that nothing was expected from is read by a person.",
    citation: Some("47 CFR 64.1200(a)(10): any reasonable means"),
};

/// An answer of more words than this is a story, in which a refusal may be told of rather than made.
const STORY: usize = 14;

/// Reads an inbound message.
pub fn interpret(inbound: &Inbound) -> Intent {
    let answering = inbound.expecting == Expecting::Answer;
    let text = written(&inbound.body);
    let words = Words::of(&text);
    let keyword = keywords::keyword(&words);

    match inbound.provider {
        ProviderHandling::Stopped => {
            return stop(PROVIDER_STOP.finding("Twilio took the message for STOP", "inbound.provider"));
        }
        ProviderHandling::Started if keyword == Some(Keyword::Yes) => {
            if answering {
                return Intent::Answer;
            }
            let sentence =
                "Twilio took a yes for START; whether messages are wanted again is for a person to ask";
            return Intent::AskStaff(keywords::YES.finding(sentence, "inbound.provider"));
        }
        // The words of a refusal are a refusal, whatever Twilio made of them.
        ProviderHandling::Started if !refuses(keyword, &words) => {
            let finding = PROVIDER_START.finding("Twilio took the message for START", "inbound.provider");
            return Intent::Start(finding);
        }
        ProviderHandling::Helped if !refuses(keyword, &words) => return Intent::Help,
        ProviderHandling::None | ProviderHandling::Started | ProviderHandling::Helped => {}
    }

    match keyword {
        Some(Keyword::Stop) => {
            return stop(keywords::STOP.finding("the message is a word that means stop", "inbound.body"));
        }
        Some(Keyword::StopUnlessAnswer) if !answering => {
            return stop(keywords::STOP.finding("the message is a word that means stop", "inbound.body"));
        }
        Some(Keyword::StopUnlessAnswer) => return Intent::Answer,
        Some(Keyword::Help) => return Intent::Help,
        // A word of an answer, as long as there is nothing to opt in to.
        Some(Keyword::Start) if !answering || has_opted_out(inbound) => {
            return Intent::Start(
                keywords::START.finding("the message is a word that means start", "inbound.body"),
            );
        }
        Some(Keyword::Start | Keyword::Yes) | None => {}
    }

    let refusal = refusals::refusal(&words).max(stop_sign(&inbound.body));
    let story = answering && words.all().len() > STORY;
    match refusal {
        Some(Refusal::Clear) if !story => return refused(),
        Some(Refusal::Likely) if !answering => return refused(),
        Some(Refusal::Clear | Refusal::Likely | Refusal::Unclear) => return unclear(),
        Some(Refusal::Faint) if inbound.expecting == Expecting::Nothing => return unclear(),
        Some(Refusal::Faint) | None => {}
    }

    match inbound.expecting {
        Expecting::Answer => Intent::Answer,
        Expecting::AccessCode => match access_code(&inbound.body) {
            Some(code) => Intent::AccessCode(code),
            None => rest(&words, &NO_CODE, "an access code was expected, and this cannot be one"),
        },
        Expecting::Nothing => rest(&words, &UNREAD, "nothing was asked, so a person has to read it"),
    }
}

fn stop(because: Finding) -> Intent {
    Intent::Stop(Stop { scope: setting::stop_scope(), because })
}

fn refused() -> Intent {
    stop(refusals::REFUSAL.finding("the message says in plain words that no more are wanted", "inbound.body"))
}

fn unclear() -> Intent {
    let sentence = "the message may mean that no more are wanted; a person has to read it";
    Intent::AskStaff(refusals::UNCLEAR.finding(sentence, "inbound.body"))
}

fn refuses(keyword: Option<Keyword>, words: &Words) -> bool {
    keyword == Some(Keyword::Stop) || refusals::refusal(words) == Some(Refusal::Clear)
}

fn has_opted_out(inbound: &Inbound) -> bool {
    inbound.participants.iter().any(|it| it.opt_outs.iter().any(|it| it.channel == Channel::Sms))
}

/// A sign that says stop without a word.
fn stop_sign(body: &str) -> Option<Refusal> {
    let signs = ['🛑', '⛔', '🚫', '✋', '🖕', '🤬', '😡'];
    (body.contains(signs) && !body.chars().any(char::is_alphanumeric)).then_some(Refusal::Unclear)
}

/// REDCap's access codes: nine letters and digits or ten digits, however they are spaced.
fn access_code(body: &str) -> Option<String> {
    let code: String =
        body.chars().filter(|it| it.is_alphanumeric()).map(|it| it.to_ascii_uppercase()).collect();
    let ten = code.len() == 10 && code.bytes().all(|it| it.is_ascii_digit());
    let nine = code.len() == 9 && code.bytes().all(|it| it.is_ascii_alphanumeric());
    (ten || nine).then_some(code)
}

/// What no rule has a word for.
fn rest(words: &Words, rule: &Rule, sentence: &str) -> Intent {
    if words.all().is_empty() {
        return Intent::Ignore(EMPTY.finding("the message has no words", "inbound.body"));
    }
    if words.all().iter().all(|it| has(COURTESIES, it)) {
        return Intent::Ignore(THANKS.finding("the message only thanks or agrees", "inbound.body"));
    }
    Intent::AskStaff(rule.finding(sentence, "inbound.body"))
}

const COURTESIES: &[&str] = &[
    "thanks thank you thx ty tks tysm so very much ok okay k kk great perfect cool good nice awesome",
    "got it will do welcome cheers sounds a lot gracias muchas mil merci beaucoup danke vielen dank",
    "schon obrigado obrigada muito grazie mille mesi anpil salamat po cam on спасибо 谢谢 perfecto done",
    "finished completed listo",
];

#[cfg(test)]
mod tests;
