//! What people write, and what it means: with nothing asked, and as the answer to a question.

use super::*;
use crate::tests::{Answers, check, participant, project};
use consentry_guest::{OptOut, Scope, Value, host};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};

fn inbound(body: &str, expecting: Expecting) -> Inbound {
    Inbound {
        id: "SM1".into(),
        now: crate::tests::NOW,
        channel: Channel::Sms,
        from: crate::tests::PHONE.into(),
        body: body.into(),
        project: project(),
        participants: vec![participant()],
        open_invitations: Vec::new(),
        expecting,
        provider: ProviderHandling::None,
    }
}

fn told(intent: &Intent) -> &'static str {
    match intent {
        Intent::Stop(stop) => {
            check(std::slice::from_ref(&stop.because));
            "stop"
        }
        Intent::Start(because) => {
            check(std::slice::from_ref(because));
            "start"
        }
        Intent::Help => "help",
        Intent::Answer => "answer",
        Intent::AccessCode(_) => "code",
        Intent::AskStaff(because) => {
            check(std::slice::from_ref(because));
            if because.rule == UNREAD.id { "unread" } else { "staff" }
        }
        Intent::Ignore(because) => {
            check(std::slice::from_ref(because));
            "ignore"
        }
    }
}

fn read(body: &str, expecting: Expecting) -> &'static str {
    told(&host::answering(&Answers::default(), || interpret(&inbound(body, expecting))))
}

/// The message, what it means when nothing was asked, and what as the answer to a question.
const INBOX: &[(&str, &str, &str)] = &[
    // The words of the law and of the carriers.
    ("STOP", "stop", "stop"),
    ("stop", "stop", "stop"),
    ("Stop.", "stop", "stop"),
    ("STOP!!!", "stop", "stop"),
    ("  stop  ", "stop", "stop"),
    ("\"Stop\"", "stop", "stop"),
    ("Stop 🛑", "stop", "stop"),
    ("STOPALL", "stop", "stop"),
    ("Stop all", "stop", "stop"),
    ("UNSUBSCRIBE", "stop", "stop"),
    ("Unsubscribe me", "stop", "stop"),
    ("cancel", "stop", "stop"),
    ("END", "stop", "stop"),
    ("quit", "stop", "stop"),
    ("Revoke", "stop", "stop"),
    ("opt out", "stop", "stop"),
    ("Opt-Out", "stop", "stop"),
    ("OPTOUT", "stop", "stop"),
    ("s t o p", "stop", "stop"),
    ("S.T.O.P", "stop", "stop"),
    ("STOP STOP STOP", "stop", "stop"),
    ("stop\nSent from my iPhone", "stop", "stop"),
    ("ＳＴＯＰ", "stop", "stop"),
    // Misspelt and polite.
    ("stahp", "stop", "stop"),
    ("Stopp", "stop", "stop"),
    ("STOOOOP", "stop", "stop"),
    ("st0p", "stop", "stop"),
    ("pls stop", "stop", "stop"),
    ("Please stop.", "stop", "stop"),
    ("stop please", "stop", "stop"),
    ("Stop, thank you", "stop", "stop"),
    ("ok stop", "stop", "stop"),
    ("yes stop", "stop", "stop"),
    ("STOP NOW", "stop", "stop"),
    ("unsuscribe", "stop", "stop"),
    ("cancle", "stop", "stop"),
    // Plain words.
    ("stop texting me", "stop", "stop"),
    ("Stop texing me!!", "stop", "stop"),
    ("please stop sending me these messages", "stop", "stop"),
    ("STOP MESSAGING ME", "stop", "stop"),
    ("Stop texting me at this number", "stop", "stop"),
    ("I need you to stop", "stop", "stop"),
    ("Stop. I am not interested.", "stop", "stop"),
    ("I'm in pain, stop texting me", "stop", "stop"),
    ("just fucking stop", "stop", "stop"),
    ("STOP wrong number", "stop", "stop"),
    ("Stop you have the wrong person", "stop", "stop"),
    ("no longer interested", "stop", "stop"),
    ("I'm not interested in this study anymore", "stop", "stop"),
    ("Please discontinue", "stop", "stop"),
    ("cease and desist", "stop", "stop"),
    ("do not send more texts", "stop", "stop"),
    ("end survey", "stop", "stop"),
    ("leave the study", "stop", "stop"),
    ("Revoke consent", "stop", "stop"),
    ("You do not have permission to text me", "stop", "stop"),
    ("I do not authorize you to contact me", "stop", "stop"),
    ("leave me the fuck alone", "stop", "stop"),
    ("stop the texts", "stop", "stop"),
    ("stop with the texts already", "stop", "stop"),
    ("Stop contacting me.", "stop", "stop"),
    ("stop it", "stop", "stop"),
    ("I said stop", "stop", "stop"),
    ("i told you to stop", "stop", "stop"),
    ("Hi. Please stop.", "stop", "stop"),
    ("Can you please stop texting me?", "stop", "stop"),
    ("can you stop", "stop", "stop"),
    ("will you stop messaging me", "stop", "stop"),
    ("I would like you to stop texting me", "stop", "stop"),
    ("i want you to stop contacting me", "stop", "stop"),
    ("How do I stop these messages?", "stop", "stop"),
    ("how do i unsubscribe", "stop", "stop"),
    ("quit texting me", "stop", "stop"),
    ("dont text me", "stop", "stop"),
    ("Don’t text me anymore", "stop", "stop"),
    ("don t text me", "stop", "stop"),
    ("do not contact me", "stop", "stop"),
    ("Please do not contact me again.", "stop", "stop"),
    ("DO NOT TEXT THIS NUMBER", "stop", "stop"),
    ("never text me again", "stop", "stop"),
    ("dont ever call me again", "stop", "stop"),
    ("no more texts", "stop", "stop"),
    ("No more messages please", "stop", "stop"),
    ("no texts please", "stop", "stop"),
    ("I don't want any more texts", "stop", "stop"),
    ("i dont want these texts", "stop", "stop"),
    ("I no longer wish to receive these messages", "stop", "stop"),
    ("I don't want to be contacted", "stop", "stop"),
    ("I do not wish to be texted anymore", "stop", "stop"),
    ("dont want to get ur msgs", "stop", "stop"),
    ("I don't want to participate", "stop", "stop"),
    ("I dont want to do this survey anymore", "stop", "stop"),
    ("I don't want to be in this study anymore", "stop", "stop"),
    ("remove me", "stop", "stop"),
    ("Remove me from your list", "stop", "stop"),
    ("plz remove my number", "stop", "stop"),
    ("take me off your list", "stop", "stop"),
    ("Take me off", "stop", "stop"),
    ("delete my number", "stop", "stop"),
    ("lose my number", "stop", "stop"),
    ("leave me alone", "stop", "stop"),
    ("Fuck off", "stop", "stop"),
    ("opt me out", "stop", "stop"),
    ("I want to opt out", "stop", "stop"),
    ("I'd like to unsubscribe", "stop", "stop"),
    ("I withdraw", "stop", "stop"),
    ("I am withdrawing from the study", "stop", "stop"),
    ("i want to withdraw from this study", "stop", "stop"),
    ("I revoke my consent", "stop", "stop"),
    ("withdraw my consent", "stop", "stop"),
    ("I no longer consent", "stop", "stop"),
    ("I quit", "stop", "stop"),
    ("I quit this study", "stop", "stop"),
    ("I want out", "stop", "stop"),
    ("cancel my participation", "stop", "stop"),
    ("cancel the texts", "stop", "stop"),
    ("end these messages", "stop", "stop"),
    ("I want to drop out of the study", "stop", "stop"),
    ("I want to stop getting these", "stop", "stop"),
    // Clear, unless it answers a question.
    ("I want to stop", "stop", "staff"),
    ("no more", "stop", "staff"),
    ("I don't want to", "stop", "staff"),
    ("i dont wanna do this anymore", "stop", "staff"),
    ("I can't participate anymore", "stop", "staff"),
    ("quiero salir del estudio", "stop", "staff"),
    // Other languages.
    ("ALTO", "stop", "stop"),
    ("Parar", "stop", "stop"),
    ("¡Basta ya!", "stop", "stop"),
    ("cancelar", "stop", "stop"),
    ("no me escriban más", "stop", "stop"),
    ("Por favor no me manden mensajes", "stop", "stop"),
    ("no más mensajes", "stop", "stop"),
    ("ya no quiero recibir mensajes", "stop", "stop"),
    ("No quiero participar", "stop", "stop"),
    ("dejen de escribirme", "stop", "stop"),
    ("Déjenme en paz", "stop", "stop"),
    ("quiero darme de baja", "stop", "stop"),
    ("bórrenme de la lista", "stop", "stop"),
    ("retiro mi consentimiento", "stop", "stop"),
    ("BAJA", "stop", "answer"),
    ("ARRÊT", "stop", "stop"),
    ("arret", "stop", "stop"),
    ("Arrêtez de m'écrire", "stop", "stop"),
    ("Ne m’écrivez plus", "stop", "stop"),
    ("ne me contactez plus svp", "stop", "stop"),
    ("plus de messages s'il vous plaît", "stop", "stop"),
    ("je ne veux plus recevoir de messages", "stop", "stop"),
    ("désabonnez-moi", "stop", "stop"),
    ("laissez-moi tranquille", "stop", "stop"),
    ("STOPP", "stop", "stop"),
    ("Bitte keine Nachrichten mehr", "stop", "stop"),
    ("Schreiben Sie mir nicht mehr", "stop", "stop"),
    ("bitte nicht mehr schreiben", "stop", "stop"),
    ("Ich möchte keine SMS mehr", "stop", "stop"),
    ("Ich widerrufe meine Einwilligung", "stop", "stop"),
    ("Löschen Sie meine Nummer", "stop", "stop"),
    ("lasst mich in Ruhe", "stop", "stop"),
    ("não me mande mais mensagens", "stop", "stop"),
    ("PARAR", "stop", "stop"),
    ("Não quero mais receber mensagens", "stop", "stop"),
    ("me tirem da lista", "stop", "stop"),
    ("pare de me mandar mensagem", "stop", "stop"),
    ("Non scrivetemi più", "stop", "stop"),
    ("basta messaggi", "stop", "stop"),
    ("Sispann voye mesaj", "stop", "stop"),
    ("tôi không muốn nhận tin nhắn", "stop", "stop"),
    ("Не пишите мне больше", "stop", "stop"),
    ("Стоп", "stop", "stop"),
    ("退订", "stop", "stop"),
    ("请不要再发短信给我", "stop", "stop"),
    ("别再给我发短信了", "stop", "stop"),
    ("그만", "stop", "answer"),
    ("توقف", "stop", "stop"),
    ("لا ترسل لي رسائل", "stop", "stop"),
    ("बंद करो", "stop", "stop"),
    ("cancelen mi participación", "stop", "stop"),
    ("no vuelvan a escribirme", "stop", "stop"),
    ("Je me désinscris", "stop", "stop"),
    ("ich steige aus", "stop", "stop"),
    ("nie piszcie do mnie", "stop", "stop"),
    // Not for good, not for all, or not sure: a person reads it.
    ("stop texting me at work", "staff", "staff"),
    ("don't text me before 9am", "staff", "staff"),
    ("don't call me, text me instead", "staff", "staff"),
    ("stop sending these until Monday", "staff", "staff"),
    ("wrong number", "staff", "staff"),
    ("You have the wrong person", "staff", "staff"),
    ("who is this", "staff", "staff"),
    ("Who's this?", "staff", "staff"),
    ("new phone who dis", "staff", "staff"),
    ("How did you get my number", "staff", "staff"),
    ("Why are you texting me", "staff", "staff"),
    ("I don't want this", "staff", "staff"),
    ("too many texts", "staff", "staff"),
    ("this is spam", "staff", "staff"),
    ("go away", "staff", "staff"),
    ("I never signed up for this", "staff", "staff"),
    ("why did you stop texting me", "staff", "staff"),
    ("🛑", "staff", "staff"),
    ("número equivocado", "staff", "staff"),
    ("¿Quién es?", "staff", "staff"),
    ("mauvais numéro", "staff", "staff"),
    ("falsche Nummer", "staff", "staff"),
    ("stop whining", "staff", "staff"),
    ("my kids don't call me", "staff", "staff"),
    ("for the love of god stop", "staff", "staff"),
    ("You will not stop texting me", "staff", "staff"),
    ("enough", "staff", "answer"),
    ("not interested", "staff", "answer"),
    ("no thanks", "staff", "answer"),
    ("my doctor says I should stop", "unread", "answer"),
    // Ordinary messages that only sound like it.
    ("can you stop by tomorrow", "unread", "answer"),
    ("Stop by tomorrow?", "unread", "answer"),
    ("I can't stop coughing", "unread", "answer"),
    ("the pain won't stop", "unread", "answer"),
    ("the bleeding did not stop until noon", "unread", "answer"),
    ("when will it end", "unread", "answer"),
    ("I ran a stop sign", "unread", "answer"),
    ("stop sign", "unread", "answer"),
    ("end of the day works", "unread", "answer"),
    ("don't stop", "unread", "answer"),
    ("Please don't stop texting me", "unread", "answer"),
    ("please don't remove me", "unread", "answer"),
    ("I want to stop smoking", "unread", "answer"),
    ("I quit smoking", "unread", "answer"),
    ("I quit my job", "unread", "answer"),
    ("quiero parar de fumar", "unread", "answer"),
    ("I want out of the house", "unread", "answer"),
    ("no more pain", "unread", "answer"),
    ("no more than 2", "unread", "answer"),
    ("I live alone", "unread", "answer"),
    ("When does the study end?", "unread", "answer"),
    ("text me the link", "unread", "answer"),
    ("do I remove the bandage", "unread", "answer"),
    ("cancel tomorrow's appointment please", "unread", "answer"),
    ("I don't want to stop", "staff", "answer"),
    ("I do not want to leave the study", "staff", "answer"),
    ("I am done with the survey", "staff", "answer"),
    ("plus de douleur", "unread", "answer"),
    ("keine Schmerzen mehr", "unread", "answer"),
    ("sem mais dor", "unread", "answer"),
    ("I can stop", "unread", "answer"),
    ("my doctor told me to stop", "unread", "answer"),
    ("will it ever stop", "unread", "answer"),
    ("I do not text much", "unread", "answer"),
    ("I didn't get your text", "unread", "answer"),
    ("remove the bandage?", "unread", "answer"),
    ("the doctor wants to take me off insulin", "unread", "answer"),
    ("I had no more pain", "unread", "answer"),
    ("I don't want to live anymore", "staff", "answer"),
    ("ya no quiero vivir", "unread", "answer"),
    ("je ne veux plus vivre", "unread", "answer"),
    ("ich will nicht mehr leben", "unread", "answer"),
    ("I want to end it all", "unread", "answer"),
    ("Should I stop taking my medication?", "unread", "answer"),
    ("Stop taking the blue pill?", "unread", "answer"),
    ("I need to cancel my appointment", "unread", "answer"),
    ("weekend", "unread", "answer"),
    ("the end", "unread", "answer"),
    ("no deja de doler", "unread", "answer"),
    ("Ich kann nicht mehr schreiben, meine Hand tut weh", "unread", "answer"),
    ("no puedo parar de toser", "unread", "answer"),
    ("I'll be at the bus stop", "unread", "answer"),
    ("Lots of pain today", "unread", "answer"),
    ("I have a question about my visit", "unread", "answer"),
    // Answers.
    ("No", "unread", "answer"),
    ("no", "unread", "answer"),
    ("NO.", "unread", "answer"),
    ("yes", "unread", "answer"),
    ("Y", "unread", "answer"),
    ("7", "unread", "answer"),
    ("2,3", "unread", "answer"),
    ("none", "unread", "answer"),
    ("never", "unread", "answer"),
    ("03/04/2026", "unread", "answer"),
    ("Nein", "unread", "answer"),
    ("sí", "unread", "answer"),
    ("start", "start", "answer"),
    // Words for start and help.
    ("START", "start", "answer"),
    ("unstop", "start", "answer"),
    ("Opt in", "start", "answer"),
    ("HELP", "help", "help"),
    ("help!", "help", "help"),
    ("Info", "help", "help"),
    ("AYUDA", "help", "help"),
    ("Hilfe", "help", "help"),
    ("aide svp", "help", "help"),
    // Courtesies.
    ("thanks", "ignore", "answer"),
    ("Thank you so much!", "ignore", "answer"),
    ("ok", "ignore", "answer"),
    ("Ok thx 👍", "ignore", "answer"),
    ("👍", "ignore", "answer"),
    ("", "ignore", "answer"),
    ("  ", "ignore", "answer"),
    ("Done!", "ignore", "answer"),
    ("Gracias", "ignore", "answer"),
    ("vielen Dank", "ignore", "answer"),
];

#[test]
fn every_message_is_read_as_its_sender_meant_it() {
    assert!(INBOX.len() >= 150);
    let wrong: Vec<String> = INBOX
        .iter()
        .filter_map(|(body, nothing, answer)| {
            let read = (read(body, Expecting::Nothing), read(body, Expecting::Answer));
            (read != (*nothing, *answer)).then(|| format!("{body}: {read:?}, not {:?}", (nothing, answer)))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_story_with_a_refusal_in_it_goes_to_a_person() {
    let story =
        "When my sister was ill the clinic called every day and I told them all to leave me alone for once";
    assert_eq!(read(story, Expecting::Answer), "staff");
    assert_eq!(read(story, Expecting::Nothing), "stop");
}

#[test]
fn what_twilio_did_comes_first() {
    use ProviderHandling::{Helped, None, Started, Stopped};
    for (provider, body, expecting, expected) in [
        (Stopped, "STOP", Expecting::Nothing, "stop"),
        (Stopped, "No", Expecting::Answer, "stop"),
        (Started, "START", Expecting::Answer, "start"),
        (Started, "JOIN", Expecting::Nothing, "start"),
        (Started, "Yes", Expecting::Answer, "answer"),
        (Started, "YES", Expecting::Nothing, "staff"),
        (Started, "stop texting me", Expecting::Nothing, "stop"),
        (Helped, "HELP", Expecting::Answer, "help"),
        (None, "YES", Expecting::Nothing, "unread"),
    ] {
        let inbound = Inbound { provider, ..inbound(body, expecting) };
        let intent = host::answering(&Answers::default(), || interpret(&inbound));
        assert_eq!(told(&intent), expected, "{provider:?} {body}");
    }
}

#[test]
fn an_access_code_is_read_however_it_is_spaced() {
    for (body, expected) in [
        ("LDNP3EW7W", Some("LDNP3EW7W")),
        ("ldnp3ew7w.", Some("LDNP3EW7W")),
        ("ldn p3e w7w", Some("LDNP3EW7W")),
        ("1234567890", Some("1234567890")),
        ("123-456-7890", Some("1234567890")),
        ("12345", None),
        ("hello there my friend", None),
        ("STOP", None),
        ("thanks", None),
    ] {
        let intent =
            host::answering(&Answers::default(), || interpret(&inbound(body, Expecting::AccessCode)));
        let code = match &intent {
            Intent::AccessCode(code) => Some(code.as_str()),
            _ => None,
        };
        assert_eq!(code, expected, "{body}");
    }
    assert_eq!(read("STOP", Expecting::AccessCode), "stop");
    assert_eq!(read("hello there my friend", Expecting::AccessCode), "staff");
    assert_eq!(read("LDNP3EW7W", Expecting::Nothing), "unread");
}

#[test]
fn start_opts_in_when_there_is_something_to_opt_in_to() {
    let mut inbound = inbound("Start", Expecting::Answer);
    inbound.participants[0].opt_outs = vec![OptOut { channel: Channel::Sms, at: 1 }];
    let intent = host::answering(&Answers::default(), || interpret(&inbound));
    assert_eq!(told(&intent), "start");
}

#[test]
fn an_opt_out_reaches_as_far_as_the_operator_says() {
    for (setting, expected) in
        [(None, Scope::Study), (Some("study"), Scope::Study), (Some("institution"), Scope::Institution)]
    {
        let answers = setting.map_or_else(Answers::default, |it| Answers::default().text("stop-scope", it));
        let intent = host::answering(&answers, || interpret(&inbound("STOP", Expecting::Nothing)));
        assert!(matches!(&intent, Intent::Stop(it) if it.scope == expected), "{setting:?} {intent:?}");
    }
    let answers = Answers::default().with("stop-words", Value::Texts(vec!["genug".into()]));
    let intent = host::answering(&answers, || interpret(&inbound("Genug!", Expecting::Answer)));
    assert_eq!(told(&intent), "stop");
}

fn expecting() -> impl Strategy<Value = Expecting> {
    prop_oneof![Just(Expecting::Nothing), Just(Expecting::Answer), Just(Expecting::AccessCode)]
}

proptest! {
    /// A word of the law stays one in any case, with any punctuation, emoji and space around it.
    #[test]
    fn no_keyword_is_missed(
        word in prop::sample::select(
            vec!["stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe", "stopall", "optout"],
        ),
        shout in prop::collection::vec(any::<bool>(), 11),
        before in "[ .!\"*\u{1f6d1}\u{1f44d}\n-]{0,4}",
        after in "[ .!?\"*\u{1f6d1}\u{1f44d}\n-]{0,4}",
        expecting in expecting(),
    ) {
        let word: String = word
            .chars()
            .zip(shout.iter().cycle())
            .map(|(letter, loud)| if *loud { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let body = [before.as_str(), &word, &after].concat();
        prop_assert!(read(&body, expecting) == "stop", "{body:?}");
    }

    /// Whatever is written, it is read without fail, and START is never read into it.
    #[test]
    fn any_text_is_read(body in "\\PC{0,80}", expecting in expecting()) {
        let read = read(&body, expecting);
        prop_assert!(read != "start" || body.chars().any(char::is_alphabetic));
    }

    /// An ordinary message never opts anybody in.
    #[test]
    fn more_words_than_start_are_no_start(rest in "[a-z]{3,9} [a-z]{3,9}", expecting in expecting()) {
        let body = ["start ", &rest].concat();
        prop_assert!(read(&body, expecting) != "start", "{body}");
    }
}
