//! Plain words that mean stop.
//!
//! An opt-out need not be a keyword: any words count that a reasonable person understands as one. The
//! tables below say which do, as short patterns over the words of a clause. Four degrees are told apart.
//! A clear refusal is an opt-out. A likely one is too, unless a question is open that it might answer;
//! then a person reads it, and until then nothing is sent. An unclear one always goes to a person, a faint
//! one only when no answer is expected. What is none of these is an ordinary message: "can you stop by
//! tomorrow", "the pain won't stop".
//!
//! The lists that the patterns name with `@` stand at the end of this file.

use crate::pattern::{Clause, Pattern, table};
use crate::words::{Words, has};
use consentry_guest::rule::Rule;

/// A refusal in plain words.
pub const REFUSAL: Rule = Rule {
    id: "refusal",
    sentence: "Any words by which a reasonable person would understand that no more messages are wanted are an opt-out.",
    citation: Some("47 CFR 64.1200(a)(10)"),
};

/// What may be a refusal.
pub const UNCLEAR: Rule = Rule {
    id: "unclear",
    sentence: "A message that may be a refusal is read by a person, and until then nothing is sent to its sender.",
    citation: Some("47 CFR 64.1200(a)(10): any reasonable means"),
};

/// How clearly a message says that no more are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It may, but just as well it may answer a question.
    Faint,
    /// It may; a person has to read it.
    Unclear,
    /// It does, unless it answers a question.
    Likely,
    /// It does.
    Clear,
}

/// How clearly a message refuses, if at all.
pub fn refusal(words: &Words) -> Option<Refusal> {
    let otherwise = words.all().contains(&"instead");
    let mut strongest = None;
    for clause in words.clauses() {
        let read = read(clause);
        // "stop texting me at work", "until Monday": not all messages, or not for ever.
        let read = if read >= Some(Refusal::Likely)
            && (otherwise || Clause::of(clause).has_any(CONDITIONS, lists))
        {
            Some(Refusal::Unclear)
        } else {
            read
        };
        strongest = strongest.max(read);
    }
    strongest.max(opening(words.all()))
}

/// How clearly one clause refuses.
fn read(words: &[&str]) -> Option<Refusal> {
    let clause = Clause::of(words);
    // Scripts without spaces have no words to look at.
    let contains = |word: &&str| CONTAINED.iter().flat_map(|it| it.split(' ')).any(|it| word.contains(it));
    if words == ["stop"] || clause.has_any(CLEAR, lists) || words.iter().any(contains) {
        return Some(Refusal::Clear);
    }
    // Words like "stop" and "remove" turn into their opposite, or into a complaint, by what comes before.
    let mut strongest = None;
    for pattern in CLEAR_UNLESS_TURNED {
        for at in clause.places(pattern, lists) {
            strongest = strongest.max(match turn(&words[..at]) {
                Turn::Not => None,
                Turn::Unsure => Some(Refusal::Unclear),
                Turn::Straight => Some(Refusal::Clear),
            });
        }
    }
    if strongest < Some(Refusal::Likely) && clause.has_any(LIKELY, lists) {
        strongest = Some(Refusal::Likely);
    }
    if strongest < Some(Refusal::Unclear) && (clause.has_any(UNSURE, lists) || ends_with_stop(words)) {
        strongest = Some(Refusal::Unclear);
    }
    if strongest < Some(Refusal::Faint) && clause.has_any(FAINT, lists) {
        strongest = Some(Refusal::Faint);
    }
    strongest
}

enum Turn {
    /// "do not stop texting me"
    Not,
    /// "why did you stop texting me", "I do not want you to stop"
    Unsure,
    Straight,
}

fn turn(before: &[&str]) -> Turn {
    match before {
        [.., "do", "not"]
        | [.., "never" | "without"]
        | [.., "not", "want" | "like" | "wish" | "need", "to"]
        | [.., "not", "want" | "like" | "wish" | "need", "you", "to"] => return Turn::Not,
        // "how do I stop these": a question that says it all.
        [.., "how" | "where" | "can" | "could" | "may", "i"] | [.., "how", _, "i"] => return Turn::Straight,
        [.., "i" | "we" | "he" | "she" | "they"] => return Turn::Unsure,
        _ => {}
    }
    let near =
        |words: &[&str], of: usize, any: &[&str]| words.iter().rev().take(of).any(|it| any.contains(it));
    if near(before, 5, &["not", "never", "nobody"]) || near(before, 3, &["why", "did", "if", "have", "has"]) {
        Turn::Unsure
    } else {
        Turn::Straight
    }
}

/// Whether a clause ends with "stop" as a demand: "for the love of god stop", but not "the bus stop".
fn ends_with_stop(clause: &[&str]) -> bool {
    match clause {
        [.., "me" | "us" | "had", "to", "stop"]
        | [.., "i", "can" | "could" | "will" | "would" | "must" | "should" | "may", "stop"] => false,
        [before @ .., last, "stop"] => {
            !has(BENIGN_BEFORE_STOP, last) && matches!(turn(&[before, &[*last][..]].concat()), Turn::Straight)
        }
        _ => false,
    }
}

/// What follows from a message that begins with "stop" as no ordinary one does.
fn opening(words: &[&str]) -> Option<Refusal> {
    match words {
        // "STOP you have the wrong number".
        ["stop", "i" | "you" | "wrong" | "who" | "not" | "no" | "we" | "thanks" | "thank", ..] => {
            Some(Refusal::Clear)
        }
        ["stop", next, ..] if !has(BENIGN_AFTER_STOP, next) => Some(Refusal::Unclear),
        _ => None,
    }
}

/// The lists that patterns name.
fn lists(name: &str) -> [&'static [&'static str]; 2] {
    match name {
        "text" => [TEXT, TEXTS],
        "texts" => [TEXTS, &[]],
        "texted" => [TEXTED, &[]],
        "these" => [THESE, &[]],
        "soft" => [SOFT, &[]],
        "study" => [STUDY, &[]],
        "escriban" => [ESCRIBAN, &[]],
        "mensajes" => [MENSAJES, &[]],
        _ => [&[], &[]],
    }
}

/// Opt-outs wherever they stand.
const CLEAR: &[Pattern] = &table([
    // "don't text me", "do not ever contact us again"
    "^ i? @soft? @soft? @soft? do not you|ever|dare|even? you|ever|dare|even? @text me|us|this|again|any|here|my|it|at",
    "^ i? @soft? @soft? @soft? never ever? @text me|us|this|again|here|my",
    "^ i? @soft? @soft? do not @text $",
    // "I don't want any more texts", "no longer wish to be contacted"
    "not|longer want|wish @these? @these? @these? @these? @these? @texts",
    "not|longer want|wish to be @texted",
    "not|longer want|wish you|anyone|anybody|this? to? @text me|us|any",
    "not|longer want|wish to? hear from",
    "not|longer want|wish to? participate|participating",
    "not|longer want|wish to? be|take part|in|enrolled|involved",
    "not|longer want|wish to? do|take|continue|answer @these? @these? @study|survey|surveys|questions any? more? $",
    "not|longer want|wish to continue $",
    "no longer interested",
    "not interested in this|the|your|participating|continuing|being",
    "^ discontinue|discontinuing $",
    "cease and desist",
    "^ quit it $",
    "^ i? @soft? @soft? do not @text @these? @these? @texts",
    "^ end|quit|stop|cancel|exit|leave the|this|my? @study|participation $",
    "^ i opt out",
    "^ i unsubscribe",
    "not give|grant you? my|any? consent|permission",
    "not have my|any? consent|permission",
    "do not authorize|authorise|allow|permit you|this|them|any",
    "leave me|us be",
    "i no longer consent|agree|participate",
    "i do not consent|agree to? @these? @these? @text|participate|be|this|contact",
    "i do not consent $",
    "want no more @these? @texts",
    // "no more texts"
    "no more @these? @these? @text",
    "no further @text|contact",
    "^ no @texts any? more? $",
    "^ enough with|of|already? @these? @texts",
    "i? said|say|saying|told|asked|asking|telling you|them|yall|all? to? stop $|it|now|@text",
    "want|like|need you|this|these|them|it|everyone to stop $",
    "leave me|us the|tf? fuck|hell? alone",
    "lose|forget|delete|erase my|this|our number|phone|contact|info",
    "fuck|eff|piss|bugger|sod|naff off",
    "^ i quit $",
    "^ i quit this|the|your @study",
    "^ i want out $",
    "^ i am quitting $|this|the",
    "i want out of this|the|your? @study",
    "^ i withdraw $|from|my",
    "^ i am withdrawing $|from|my",
    "^ i revoke|rescind|retract",
    "revoke|rescind|retract|revoking|rescinding my|our|all? consent|permission|authorization",
    "withdraw|withdrawing|cancel|canceling|cancelling|end|ending my|our|all? consent|permission|participation|enrollment|subscription",
    "^ just|ok|okay? drop me from",
    "count me out",
    // Spanish.
    "no me vuelvan|vuelva|vuelvas a",
    "^ no vuelvan|vuelva|vuelvas a escribirme|llamarme|mandarme|enviarme|contactarme",
    "no me @escriban",
    "no @escriban me? mas|nunca|jamas",
    "no mas @mensajes",
    "ya? no quiero|deseo mas? recibir|participar|@mensajes|sus|seguir",
    "no quiero|deseo que me @escriban",
    "^ ya no quiero $|mas|estar|nada",
    "deje|dejen|deja|dejes|pare|paren|para|basta de escribirme|mandarme|enviarme|llamarme|molestarme|molestar|contactarme|textearme|mandar|enviar|escribir|textear|@mensajes",
    "dejenme|dejeme|dejame en|tranquilo|tranquila",
    "deje|dejen|deja me en paz",
    "borrenme|borreme|borrame|quitenme|quiteme|quitame|eliminenme|elimineme|eliminame|saquenme|saqueme|sacame",
    "denme|deme|darme|dame|denos de baja",
    "quiero|quisiera|deseo|necesito dar|darme|darnos de baja",
    "borre|borren|borra|quite|quiten|quita|elimine|eliminen|elimina mi|este numero|nombre|telefono",
    "retiro mi consentimiento",
    "^ me retiro $|del|de|ya",
    "^ ya? ya? pare|paren|paran|parenle|basta ya? $",
    "cancelen|cancele|cancelar|suspendan|suspenda los|estos|mi|mis|la|sus? @mensajes|suscripcion|participacion",
    // French.
    "mecrivez|mecris|mecrire|menvoyez|menvoie|mappelez|mappelle plus|pas|jamais",
    "me contactez|contacte|texte|textez|derangez|harcelez|recontactez|ecrivez|envoyez plus|pas|jamais",
    "^ plus de|aucun messages|message|sms|textos|texto|mails",
    "arretez|arrete|cessez|cesse|arreter de me? mecrire|menvoyer|mappeler|contacter|deranger|harceler|texter|envoyer|ecrire|appeler",
    "arretez|arrete|cessez|cesse|stoppez les|ces|vos|tous|avec|tout? les|ces|vos? messages|sms|textos|envois|mails|ca",
    "desinscrivez|desabonnez|retirez|supprimez|enlevez|rayez|effacez|radiez moi|mon|ce",
    "me desinscrire|desabonner|retirer",
    "laissez|laisse|fichez|foutez|fous moi|nous tranquille|tranquilles|en|la",
    "veux|souhaite|desire|voulons plus $|recevoir|participer|de|etre|vos|ces|que",
    "veux|souhaite|desire pas recevoir|participer|etre|vos",
    "veux|souhaite|desire pas|plus de messages|sms|textos",
    "retire mon consentement",
    "^ je me retire|desinscris|desabonne",
    // German.
    "keine|keinerlei|kein weiteren|weitere? nachrichten|nachricht|sms|texte|anrufe|anruf|mails|mitteilungen mehr",
    "^ keine weiteren|weitere? nachrichten|sms|texte|anrufe|mails $",
    "keine weiteren|weitere nachrichten|sms|texte|anrufe",
    "^ nicht mehr|wieder schreiben|kontaktieren|anrufen|melden|senden|simsen",
    "mir|mich nicht|nichts mehr schreiben|kontaktieren|anrufen|senden|schicken|belastigen",
    "schreiben|schreibt|schreib|schicken|schickt|schick|senden|sendet|sende sie? mir nicht|keine|nichts|nie",
    "kontaktieren|kontaktiert|rufen|ruft|ruf|belastigen sie? mich nicht|nie",
    "mochte|moechte|will|wunsche|wuensche keine nachrichten|sms|texte|anrufe|weiteren|mehr",
    "melden|tragen|streichen|nehmen|nimm|melde|trag sie? mich ab|aus|von|vom",
    "loschen|loeschen|loscht|streichen|entfernen|losche|loesche sie? meine nummer|daten|telefonnummer",
    "lassen|lasst|lass sie? mich in ruhe",
    "^ horen|hort|hor|hoeren|hoert|hoer sie? auf|damit",
    "^ ich? widerrufe|widerruf",
    "^ ich steige|trete aus",
    "ziehe meine einwilligung|zustimmung|teilnahme",
    "mochte|moechte|will mich? abmelden|austreten|aussteigen|abbestellen",
    "mochte|moechte|will nicht mehr $|teilnehmen|mitmachen|dabei|kontaktiert|angeschrieben|angerufen",
    // Portuguese.
    "nao me mande|mandem|manda|envie|enviem|envia|escreva|escrevam|contate|contatem|contacte|contactem|ligue|liguem|perturbe|perturbem|incomode|incomodem|chame|chamem",
    "nao mande|mandem|envie|enviem mais",
    "nao quero|desejo|gostaria mais? receber|participar|@mensajes|essas|estas|suas",
    "nao quero|desejo mais $",
    "chega de @mensajes",
    "^ chega $",
    "pare|parem|para de me? mandar|enviar|escrever|ligar|incomodar|perturbar|contatar|encher|@mensajes",
    "me tire|tirem|tira|remova|removam|remove|exclua|excluam|retire|retirem|descadastre|descadastrem",
    "tire|tirem|remova|removam|apague|apaguem|exclua|excluam meu|o|este numero|nome|telefone|contato",
    "me? deixe|deixem|deixa me? em paz",
    "retiro|revogo meu|o consentimento",
    "sem mais @mensajes",
    "cancelar|cancelem|cancele minha|a|as? inscricao|assinatura|participacao|@mensajes",
    // Italian.
    "non scrivetemi|scrivermi|mandatemi|mandarmi|contattatemi|contattarmi|chiamatemi|chiamarmi|inviatemi|inviarmi|disturbatemi",
    "basta con? i|questi? messaggi|sms",
    "smettetela|smettila|smettete di",
    "non voglio|desidero piu? ricevere|messaggi|partecipare|sms",
    "non voglio|desidero piu $",
    "cancellatemi|disiscrivetemi|toglietemi|rimuovetemi|cancellami|toglimi",
    "lasciatemi|lasciami in|stare",
    // Haitian Creole, Vietnamese, Tagalog, Polish.
    "pa voye|ekri|rele m|mwen|mesaj|tekst",
    "sispann voye|ekri|rele|mesaj|texte|tekste",
    "mwen? pa vle resevwa|mesaj|patisipe",
    "dung|ngung nhan|gui|lien tin|tinh|cho|lac|toi",
    "khong muon nhan",
    "huy dang|tin ky|nhan",
    "huwag|wag na|nyo|niyo|ninyo|mo na? nyo|niyo|kayo|akong|ako|kayong i? text|itext|tawagan|magtext|mag|padalhan",
    "tigilan|itigil nyo|niyo|ninyo|mo|na",
    "nie piszcie|pisz|wysylajcie|dzwoncie|chce wiecej? wiadomosci|otrzymywac|do|mi|wiecej",
    "przestancie|przestan pisac|wysylac|dzwonic",
    // Russian.
    "не пишите|пиши|звоните|звони|присылайте|присылай|отправляйте|шлите|беспокойте",
    "прекратите|перестаньте|хватит писать|слать|присылать|звонить|отправлять|это",
    "отпишите|удалите|уберите меня|мой|номер",
    "не хочу получать|участвовать",
    // Arabic, Hindi.
    "لا ترسل|ترسلوا|تراسلني|تراسلوني|تتصل|تتصلوا",
    "توقف|توقفوا|اوقف|أوقف|أوقفوا عن|الرسائل|ارسال|إرسال",
    "बंद करो|करें|करे|कर",
    "मत भेजो|भेजें|भेजिए",
]);

/// Opt-outs, unless what comes before turns them round.
const CLEAR_UNLESS_TURNED: &[Pattern] = &table([
    "stop|quit|cease|discontinue|halt @these? @these? @these? @text",
    "end|cancel|terminate|suspend @these? @these? texts|messages|message|sms|texting|notifications|reminders|surveys|subscription|enrollment|enrolment|participation",
    "stop this|it|that|everything|all|them|these|those|bothering right|now|already|immediately|asap|at|once? now|already|immediately|once? $",
    "^ @soft? @soft? @soft? @soft? @soft? stop @soft? @soft? $",
    "make this|these|them|it all? stop",
    "unsubscribe",
    "opt|opting|opted me|us|myself? out",
    "remove|unenroll|disenroll|unenrol|withdraw|deregister me|us|myself",
    "remove|delete|erase|take|drop my|this|our cell|phone|name|mobile? number|name|phone|info|information|contact",
    "take|get me|us off $",
    "take|get me|us off of|from? @these? @these? @these? list|lists|contacts|@study|@text",
    "take|delete|drop me|us from",
    "be|get|been removed|unenrolled|deleted $|from",
    "i? want|like|wish|need|going|trying|decided|ready to? withdraw|unsubscribe",
    "i? want|like|wish|need|going|trying|decided|ready to withdraw|quit|leave|exit|stop|end|cancel @these? @these? @study|@text|participating|receiving|getting|being",
    "stop|quit|discontinue|end|cease participating|participation|being|receiving|getting|my @these? @these? participation|@text|in|part|texted|contacted",
    "stop|quit|discontinue|cease participating|participation",
    "drop|dropping out of @these? @study",
    "i? leave|leaving|quit|quitting|exit|exiting this|the|your @study",
    "i? am|are done with these|your|the|all? texts|messages|reminders|notifications",
    "stop harassing|harrassing|bothering|spamming|bugging|pestering|annoying|blowing",
    "cut it|this|these|that out",
    "knock it off",
]);

/// Opt-outs, unless a question is open that they might answer.
const LIKELY: &[Pattern] = &table([
    "^ i? just|really? would|want|need|like|wish to? like|want? to? stop|quit|leave|exit|cancel $|now|this|it",
    "^ no more $|of",
    "^ i? just|really? do not want to? do|continue|get|have|see|receive|take this|these|it|that|them|any? any? more? $",
    "^ i? just|really? do not want to $",
    "do not want any|no more $",
    "me? quiero|deseo|quisiera salir|salirme|retirarme $|de|del",
    "^ quiero|deseo|quisiera parar|terminar $",
    "can|will not be? able? to? participate|participating|continue",
    "^ i? am? not participating",
    "^ i? decline|refuse $",
    "^ no quiero|deseo mas? $",
    "^ ya no quiero $|nada|mas|esto|hacer|seguir|contestar|responder",
    "^ veux|souhaite arreter|quitter|sortir",
    "je veux|souhaite|voudrais arreter|quitter|sortir $|de|la|l",
    "ich mochte|moechte|will aufhoren|aufhoeren|raus $",
    "quero|desejo sair $|da|do|de",
    "voglio smettere|uscire $|di|da",
    "^ ayoko|ayaw ko? na $",
]);

/// What a person has to read.
const UNSURE: &[Pattern] = &table([
    "wrong number|person|phone|guy|lady|one",
    "not the right|correct person|number",
    "you have|got the? wrong",
    "who is this|it|texting|messaging|calling",
    "who are you",
    "who dis|this|r",
    "^ new phone|number $|who",
    "not my|his|her|their|the? number|phone any? more?",
    "this is not @soft? _ $",
    "i am not _ $",
    "do not know you|who|what",
    "never signed|agreed|asked|subscribed|consented|enrolled",
    "not did? sign|signed|agree|ask|subscribe|consent|enroll up|to|for",
    "how did|do you get|have my|this",
    "why are|do|am you|i texting|contacting|messaging|calling|getting|keep|receiving|still|text|bothering",
    "when will|do|does these|the|your texts|messages|reminders|surveys stop|end",
    "when will|do|are you stop|stopping",
    "^ i? @soft? @soft? do not want this|these|it|them|that any? more? $",
    "i? do not want|need|like|care|wish @these? @these? @text",
    "do not @text me|us|this",
    "go away|die",
    "get lost|bent|out",
    "^ shut up",
    "bug off",
    "fuck you|this|these|it",
    "too many|much texts|messages|messaging|texting|text|notifications|reminders",
    "so many texts|messages|reminders",
    "done with these|you|your|this",
    "can not do this any more",
    "changed my mind about",
    "not reply|respond to me",
    "jen ai marre|assez",
    "لا اريد|أريد",
    "^ enough is enough",
    "had enough",
    "sick|tired of these|this|your|all|getting|you|receiving",
    "scam|spam|phishing|harassment|harassing|lawsuit|tcpa|fcc",
    "report|reporting|block|blocking|sue|suing you|this",
    "how|where can|do|would i|we? to? get off",
    "what does|is opt|unsubscribe out? mean?",
    "you will|did|do|have not stop|stopped",
    "i|we have? said|told|asked _? _? stop|no",
    "already? asked|told|said you to? to? stop|remove|unsubscribe",
    "unwanted|annoying @these? @text",
    "annoying $",
    "not authorized|permitted|allowed to? @text",
    // Other languages.
    "numero|telefono equivocado|errado|sbagliato|incorrecto",
    "se? equivoco|equivocado|equivocaron de numero|persona",
    "quien es|eres|son|habla|me|escribe",
    "no quiero|deseo esto|eso|nada",
    "mauvais|faux|mauvaise numero|personne",
    "trompe|trompez|trompes de numero",
    "qui etes|est|es vous|ce|tu",
    "falsche|falscher|verkehrte nummer|anschluss",
    "wer ist|sind|bist das|sie|du|da",
    "verwahlt|verwaehlt",
    "quem e|fala|esta|sao",
    "chi sei|siete|e",
    "move nimewo",
    "ki moun",
    "nham so",
    "кто это|вы|ты",
]);

/// What might be a refusal, and just as well an answer.
const FAINT: &[Pattern] = &table([
    "not interested",
    "no interest",
    "^ no thanks|thank|thx|gracias|merci|danke|obrigado|obrigada|grazie",
    "^ enough|over|leave|exit|out|nope|halt $",
    "over it|this $",
    "done with",
    "i? changed my mind",
    "passed away",
    "deceased|died",
    "is dead",
    "lawyer|attorney",
    "moved away|out",
    "not a|the|an? participant|patient|subject",
    "no longer|any live|work|here|at|in",
    "do not want",
    "not now|today|right",
    "bad time",
    "too busy",
    "no me interesa",
    "no gracias",
    "pas interesse|interessee",
    "kein interesse",
    "ich? will|mochte|moechte nicht $",
    "nao tenho interesse",
    "non mi interessa",
    "^ suficiente|genug|assez|bastante|hasta $",
    "murio|fallecio|decede|gestorben|verstorben|faleceu|morto",
    "ya no vivo|trabajo|vive",
    "when will|does this stop|end",
    "unerwunscht|unerwuenscht",
]);

/// What makes a refusal a partial or passing one.
const CONDITIONS: &[Pattern] = &table([
    "until|till",
    "before|during|while|unless|except",
    "at work|night|home|school|lunch|dinner",
    "so early|late|often|much|many",
    "too early|late|often",
    "for now|today|tonight|a",
    "this week|weekend|month",
    "on weekends|weekdays|sundays|saturdays",
    "tonight|tomorrow",
    "only text|call|email|message",
    "call me|us? later",
    "hasta que|el|las|manana",
    "jusqua|avant",
    "bis zum|morgen|montag|zur|ich",
    "ate amanha|que|as",
]);

const CONTAINED: &[&str] = &[
    "不要再 别再发 别再给 別再給 別再發 别再联系 不要发 不要給我 不要给我 请停止 停止发 停止發 停止联系 不想收 不想再 退订 退訂 取消订阅 取消訂閱 수신거부 보내지마 연락하지마",
    "配信停止 送らないで 连络しないで 連絡しないで",
];

const BENIGN_BEFORE_STOP: &[&str] = &[
    "bus truck rest pit full non next last first one door a train tram ever it should pain bleeding",
    "cough that this symptoms they",
];

const BENIGN_AFTER_STOP: &[&str] = &[
    "by at in over sign signs light here there on and for or smoking drinking eating taking working",
    "worrying crying coughing exercising vaping using bleeding hurting when if what watch walking",
    "running sleeping medication medicine treatment my date",
];

/// Reaching somebody: verbs and what they bring.
const TEXT: &[&str] = &[
    "text texting message messaging sms send sending write writing contact contacting call calling",
    "phone phoning bother bothering bug bugging harass harassing spam spamming notify notifying",
    "remind reminding email emailing mailing ping pinging messages disturb disturbing contacts",
];

const TEXTS: &[&str] = &[
    "texts messages notifications reminders surveys emails calls alerts notices invitations links",
    "questions questionnaires communications communication correspondence texting spam sms",
];

const TEXTED: &[&str] = &[
    "texted messaged contacted called bothered notified emailed reminded surveyed disturbed phoned",
    "included",
];

const THESE: &[&str] = &[
    "with all the these those this that your my any further future daily weekly automated automatic",
    "stupid annoying damn fucking freaking of more from me us to get getting receive receiving have",
    "see text fkn dumb constant silly unwanted so many",
];

const SOFT: &[&str] = &[
    "just ok okay yes no hey hi hello now so said say must you can could would will guys asked to",
    "told thanks thank already dear sir maam team doctor doc dr people again and but sorry oh lol omg",
    "alright well seriously really fucking fkn freaking",
];

const STUDY: &[&str] =
    &["study trial research program programme survey project system service group experiment thing"];

const ESCRIBAN: &[&str] = &[
    "escriban escriba escribas manden mande mandes envien envie envies contacten contacte contactes",
    "llamen llame llames texteen textee textees molesten moleste molestes notifiquen incluyan marquen",
];

const MENSAJES: &[&str] = &[
    "mensajes mensaje textos texto sms llamadas encuestas recordatorios mensagens mensagem ligacoes",
    "pesquisas lembretes correos",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::written;

    fn read(body: &str) -> Option<Refusal> {
        let text = written(body);
        refusal(&Words::of(&text))
    }

    #[test]
    fn degrees_are_told_apart() {
        use Refusal::{Clear, Faint, Likely, Unclear};
        for (body, expected) in [
            ("please stop texting me", Some(Clear)),
            ("do not stop texting me", None),
            ("why did you stop texting me", Some(Unclear)),
            ("I don't want you to stop texting me", Some(Faint)),
            ("how do I stop these messages", Some(Clear)),
            ("stop texting me at work", Some(Unclear)),
            ("I want to stop", Some(Likely)),
            ("I want to stop smoking", None),
            ("who is this?", Some(Unclear)),
            ("not interested", Some(Faint)),
            ("can you stop by tomorrow", None),
            ("the pain won't stop", None),
            ("I can't stop coughing", None),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn patterns_are_written_as_words_are_read() {
        let all = CLEAR
            .iter()
            .chain(CLEAR_UNLESS_TURNED)
            .chain(LIKELY)
            .chain(UNSURE)
            .chain(FAINT)
            .chain(CONDITIONS);
        let lists = [TEXT, TEXTS, TEXTED, THESE, SOFT, STUDY, ESCRIBAN, MENSAJES];
        let plain = |it: &&str| !it.starts_with('@') && !["^", "$", "_"].contains(it);
        let unreadable: Vec<&str> = all
            .flat_map(|it| it.text.split(' '))
            .flat_map(|it| it.trim_end_matches('?').split('|'))
            .filter(plain)
            .chain(lists.into_iter().flatten().flat_map(|it| it.split(' ')))
            .filter(|it| Words::of(&written(it)).all() != [*it])
            .collect();
        assert!(unreadable.is_empty(), "no message is ever read as {unreadable:?}");
    }
}
