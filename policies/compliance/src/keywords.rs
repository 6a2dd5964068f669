//! One word that means stop, start or help.
//!
//! The law names seven words that are always an opt-out, carriers know a few more, and people who write in
//! another language have theirs. They count whatever the case, the punctuation and the emoji around them,
//! and also when an answer to a question is expected. "No" is an answer and never a keyword; "yes" is an
//! answer too, so it never opts anybody in.

use crate::setting;
use crate::words::{Words, has, written};
use consentry_guest::rule::Rule;

/// An opt-out by keyword.
pub const STOP: Rule = Rule {
    id: "stop-word",
    sentence: "STOP, QUIT, END, REVOKE, OPT OUT, CANCEL, UNSUBSCRIBE and their like in other languages are an opt-out, in whatever form they are written.",
    citation: Some("47 CFR 64.1200(a)(10)"),
};

/// An opt-in by keyword.
pub const START: Rule = Rule {
    id: "start-word",
    sentence: "Only START, UNSTOP and their like opt a number in again; an ordinary message never does.",
    citation: Some(
        "CTIA Messaging Principles and Best Practices, 5.1.2; house rule: an opt-out ends only by an explicit word",
    ),
};

/// A "yes" that a carrier took for START.
pub const YES: Rule = Rule {
    id: "yes-is-no-start",
    sentence: "YES answers a question and opts nobody in, even where Twilio takes it for START.",
    citation: Some("house rule: an opt-out ends only by an explicit word"),
};

/// What a keyword means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// Stop.
    Stop,
    /// Stop, unless it answers a question: a word that is also an ordinary answer.
    StopUnlessAnswer,
    /// Start.
    Start,
    /// Help.
    Help,
    /// Yes.
    Yes,
}

/// The keyword that a message consists of.
pub fn keyword(words: &Words) -> Option<Keyword> {
    if words.all().is_empty() {
        return None;
    }
    let all = words.joined();
    if let Some(keyword) = meaning(&all).or_else(|| extra(&all)) {
        return Some(keyword);
    }
    // "STOP STOP STOP".
    let first = words.all()[0];
    if words.all().iter().all(|it| *it == first)
        && let Some(keyword) = meaning(first)
    {
        return Some(keyword);
    }
    // "ok stop thanks", "STOP now".
    let core = strip(words.all());
    if core.len() < words.all().len() && !core.is_empty() {
        let keyword = meaning(&core.concat())?;
        let urgent = words.all().iter().any(|it| has(URGENT, it));
        return (!urgent || keyword == Keyword::Stop && !["end", "cancel", "quit"].contains(&core[0]))
            .then_some(keyword);
    }
    None
}

fn meaning(word: &str) -> Option<Keyword> {
    if has(STOP_WORDS, word) {
        Some(Keyword::Stop)
    } else if has(STOP_WORDS_THAT_ANSWER, word) {
        Some(Keyword::StopUnlessAnswer)
    } else if has(START_WORDS, word) {
        Some(Keyword::Start)
    } else if has(HELP_WORDS, word) {
        Some(Keyword::Help)
    } else if has(YES_WORDS, word) {
        Some(Keyword::Yes)
    } else {
        None
    }
}

/// What the operator added.
fn extra(all: &str) -> Option<Keyword> {
    let is = |it: &String| {
        let text = written(it);
        let word = Words::of(&text).joined();
        !word.is_empty() && word == all
    };
    setting::stop_words().iter().any(is).then_some(Keyword::Stop)
}

/// The words without what is only polite or urgent around them.
fn strip<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    let soft = |it: &&str| has(POLITE, it) || has(URGENT, it);
    let start = words.iter().position(|it| !soft(it)).unwrap_or(words.len());
    let end = words.iter().rposition(|it| !soft(it)).map_or(start, |it| it + 1);
    &words[start..end]
}

const POLITE: &[&str] = &[
    "thanks thank you thx ty ok okay hi hello hey sir maam por favor sil vous plait merci gracias",
    "danke obrigado obrigada per favore grazie hola bonjour hallo ola sorry",
];

const URGENT: &[&str] = &[
    "now just already immediately asap yes si oui ja ya sofort jetzt maintenant ahora agora subito",
    "forever",
];

/// As they are joined: "stop all" is "stopall".
const STOP_WORDS: &[&str] = &[
    // The seven of the law and those of the carriers.
    "stop stopall unsubscribe cancel end quit revoke optout remove removeme optmeout stopit stopthis",
    "stopnow unsubscribeme cancelall endall",
    // Spanish.
    "alto parar pare paren cancelar basta detener detenga detengan anular nomas dardebaja darmedebaja",
    "desuscribir desuscribirme yabasta bastaya",
    // French.
    "arret arreter arretez arrete desabonner desabonnement desinscrire desinscription annuler cessez",
    // German.
    "abmelden abbestellen beenden aufhoren aufhoeren abmeldung",
    // Portuguese.
    "cancelem parem descadastrar desinscrever",
    // Italian.
    "ferma fermate fermatevi annulla smettila smettetela",
    // Haitian Creole, Tagalog, Polish, Somali, Swahili.
    "sispann kanpe itigil tigil wypisz jooji acha",
    // Russian, Ukrainian.
    "стоп отписаться отписка хватит зупинити",
    // Chinese, Korean, Japanese, Arabic.
    "停止 停 멈춰 退订 退訂 수신거부 중지 配信停止 توقف",
];

/// Words that end messages, and also answer questions: "low", "out", "the end".
const STOP_WORDS_THAT_ANSWER: &[&str] = &[
    "baja fin fim ende sair salir halt schluss terminar remover rete hinto koniec отмена 取消 그만 الغاء",
    "إلغاء",
];

const START_WORDS: &[&str] = &[
    "start unstop optin subscribe resubscribe optmein startall empezar comenzar iniciar reanudar",
    "commencer demarrer starten comecar старт",
];

const HELP_WORDS: &[&str] =
    &["help info helpme ayuda ayudame informacion aide hilfe ajuda aiuto pomoc помощь 帮助 information"];

const YES_WORDS: &[&str] = &["yes y yeah yep si oui ja sim да"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Answers;
    use Keyword::{Help, Start, Stop, StopUnlessAnswer, Yes};
    use consentry_guest::{Value, host};

    fn read(body: &str, answers: &Answers) -> Option<Keyword> {
        let text = written(body);
        host::answering(answers, || keyword(&Words::of(&text)))
    }

    #[test]
    fn a_keyword_counts_in_whatever_form() {
        for (body, expected) in [
            ("STOP", Some(Stop)),
            ("stop", Some(Stop)),
            (" Stop!! ", Some(Stop)),
            ("\"STOP\"", Some(Stop)),
            ("S.T.O.P.", Some(Stop)),
            ("s t o p", Some(Stop)),
            ("STOP STOP", Some(Stop)),
            ("Stop please", Some(Stop)),
            ("ok stop thanks", Some(Stop)),
            ("STOP NOW", Some(Stop)),
            ("stop 🛑", Some(Stop)),
            ("Opt out", Some(Stop)),
            ("opt-out", Some(Stop)),
            ("OPTOUT", Some(Stop)),
            ("stop all", Some(Stop)),
            ("End", Some(Stop)),
            ("QUIT", Some(Stop)),
            ("cancel", Some(Stop)),
            ("Revoke.", Some(Stop)),
            ("unsubscribe", Some(Stop)),
            ("Alto", Some(Stop)),
            ("¡Basta!", Some(Stop)),
            ("ARRÊT", Some(Stop)),
            ("Stopp", Some(Stop)),
            ("停止", Some(Stop)),
            ("baja", Some(StopUnlessAnswer)),
            ("fin", Some(StopUnlessAnswer)),
            ("START", Some(Start)),
            ("unstop", Some(Start)),
            ("Help?", Some(Help)),
            ("AYUDA por favor", Some(Help)),
            ("Yes", Some(Yes)),
            ("no", None),
            ("No.", None),
            ("stop by tomorrow", None),
            ("the end", None),
            ("end of the day", None),
            ("cancel now", None),
            ("start tomorrow", None),
            ("7", None),
            ("", None),
        ] {
            assert_eq!(read(body, &Answers::default()), expected, "{body}");
        }
    }

    #[test]
    fn the_operator_may_add_words() {
        let answers =
            Answers::default().with("stop-words", Value::Texts(vec!["Genug!".into(), "No More".into()]));
        assert_eq!(read("genug", &answers), Some(Stop));
        assert_eq!(read("genug jetzt", &answers), None);
        assert_eq!(read("genug", &Answers::default()), None);
    }

    #[test]
    fn no_keyword_has_two_meanings_and_each_is_as_it_is_read() {
        let all = STOP_WORDS
            .iter()
            .chain(STOP_WORDS_THAT_ANSWER)
            .chain(START_WORDS)
            .chain(HELP_WORDS)
            .chain(YES_WORDS);
        let mut seen = std::collections::BTreeSet::new();
        for word in all.flat_map(|it| it.split(' ')) {
            assert!(seen.insert(word), "{word} twice");
            let text = written(word);
            assert_eq!(Words::of(&text).joined(), word, "never read as it stands in the list");
        }
    }
}
