//! The words of a message, as a patient reader sees them.
//!
//! People write STOP as "Stop.", "s t o p", "STOOOP!!" or "stahp", and leave out apostrophes and accents.
//! Reading takes that away: case, accents, punctuation, emoji and politeness go, contractions are written
//! out, common slips are mended. What remains are clauses of plain words.

/// The words of a message, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    words: Vec<&'a str>,
    /// Where each clause ends.
    ends: Vec<usize>,
}

impl<'a> Words<'a> {
    /// The words of a message that was [`written`] out.
    pub fn of(written: &'a str) -> Words<'a> {
        let mut words = Vec::new();
        let mut ends = Vec::new();
        for clause in written.split('\n') {
            words.extend(clause.split(' ').filter(|it| !it.is_empty()));
            if ends.last().copied().unwrap_or(0) < words.len() {
                ends.push(words.len());
            }
        }
        Words { words, ends }
    }

    /// All words.
    pub fn all(&self) -> &[&'a str] {
        &self.words
    }

    /// The words of each clause.
    pub fn clauses(&self) -> impl Iterator<Item = &[&'a str]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.words[start..*end])
    }

    /// All letters without the spaces between: "opt out" and "s t o p" as one word.
    pub fn joined(&self) -> String {
        self.words.concat()
    }
}

/// Whether a word is in a list. A list is written as lines of words, so that it can be read.
pub fn has(lines: &[&str], word: &str) -> bool {
    lines.iter().any(|it| it.split(' ').any(|it| it == word))
}

/// Writes a message out as plain words: one space between two words, a line feed between two clauses.
pub fn written(body: &str) -> String {
    let mut written = String::with_capacity(body.len() + 16);
    let mut word = String::with_capacity(24);
    let mut letters = body.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_silent(letter) {
            continue;
        }
        if letter.is_alphanumeric() {
            fold(letter, &mut word);
            continue;
        }
        mend(&mut word, &mut written);
        let closes =
            matches!(letter, '.' | ',' | ';' | ':' | '!' | '?' | '…' | '(' | ')' | '。' | '，' | '！' | '？');
        let ends = letters.peek().is_none_or(|it| !it.is_alphanumeric());
        if letter == '\n' || letter == '\r' || (closes && ends) {
            written.push('\n');
        }
    }
    mend(&mut word, &mut written);
    written
}

/// Apostrophes, combining accents and invisible characters: nothing is read for them.
fn is_silent(letter: char) -> bool {
    matches!(
        letter,
        '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '＇' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'
            | '\u{fe0f}' | '\u{feff}' | '\u{ad}'
    )
}

/// A letter without case and accent.
fn fold(letter: char, word: &mut String) {
    if letter.is_ascii() {
        word.push(letter.to_ascii_lowercase());
        return;
    }
    for letter in letter.to_lowercase() {
        match FOLDED.iter().find(|it| it.0.contains(letter)) {
            Some((_, plain)) => word.push_str(plain),
            // Full-width Latin, as some keyboards write it.
            None if ('ａ'..='ｚ').contains(&letter) => {
                word.push(char::from_u32(u32::from(letter) - 0xff41 + 0x61).unwrap_or(letter));
            }
            None if matches!(letter, '\u{300}'..='\u{36f}') => {}
            None => word.push(letter),
        }
    }
}

const FOLDED: [(&str, &str); 16] = [
    ("àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "a"),
    ("çćčċ", "c"),
    ("ďđ", "d"),
    ("èéêëēėęěẹẻẽếềểễệ", "e"),
    ("ğǧ", "g"),
    ("ìíîïīįıịỉĩ", "i"),
    ("łľ", "l"),
    ("ñńňņ", "n"),
    ("òóôõöøōőơọỏốồổỗộớờởỡợ", "o"),
    ("řŕ", "r"),
    ("śšşș", "s"),
    ("ťțţ", "t"),
    ("ùúûüūůűųưụủũứừửữự", "u"),
    ("ýÿỳỵỷỹ", "y"),
    ("źżž", "z"),
    ("ß", "ss"),
];

/// Ends a word: mends it and puts it into the text. Politeness is left out.
fn mend(word: &mut String, written: &mut String) {
    if word.is_empty() {
        return;
    }
    let mended = match word.as_str() {
        "please" | "plz" | "pls" | "plse" | "pleas" | "plese" | "pleeease" | "kindly" | "bitte" | "svp" => "",
        // A letter that a keyboard's apostrophe cut off.
        "t" if ["don", "can", "won", "didn", "doesn", "isn", "wouldn"]
            .iter()
            .any(|it| ends_in(written, it)) =>
        {
            let cut = written.rfind([' ', '\n']).map_or(0, |it| it + 1);
            let whole = [&written[cut..], "t"].concat();
            written.truncate(cut);
            written.push_str(contraction(&whole).unwrap_or(&whole));
            word.clear();
            return;
        }
        it => contraction(it).or_else(|| slip(it)).unwrap_or(it),
    };
    if !mended.is_empty() {
        if !written.is_empty() && !written.ends_with('\n') {
            written.push(' ');
        }
        written.push_str(mended);
    }
    word.clear();
}

fn ends_in(written: &str, word: &str) -> bool {
    written.strip_suffix(word).is_some_and(|it| it.is_empty() || it.ends_with([' ', '\n']))
}

fn contraction(word: &str) -> Option<&'static str> {
    Some(match word {
        "dont" | "donot" | "dnt" | "dontt" => "do not",
        "doesnt" => "does not",
        "didnt" => "did not",
        "cant" | "cannot" => "can not",
        "couldnt" => "could not",
        "wont" => "will not",
        "wouldnt" => "would not",
        "shouldnt" => "should not",
        "isnt" => "is not",
        "arent" => "are not",
        "wasnt" => "was not",
        "havent" => "have not",
        "hasnt" => "has not",
        "im" => "i am",
        "whos" => "who is",
        "wanna" => "want to",
        "anymore" => "any more",
        "u" => "you",
        "ur" => "your",
        _ => return None,
    })
}

fn slip(word: &str) -> Option<&'static str> {
    Some(match word {
        "stahp" | "stawp" | "stpo" | "sotp" | "tsop" | "stp" | "st0p" | "5top" | "stopt" | "stoping" => {
            "stop"
        }
        "texing" | "textin" | "txting" | "txtin" | "texitng" | "textng" | "txtng" | "textingg" => "texting",
        "txt" | "texr" | "tect" => "text",
        "txts" => "texts",
        "msg" | "mesage" | "messege" | "mssg" => "message",
        "msgs" | "mesages" | "messeges" | "mssgs" | "messges" => "messages",
        "msging" | "mesaging" | "messging" => "messaging",
        "sendin" | "sendng" => "sending",
        "contactin" | "contating" => "contacting",
        "callin" => "calling",
        "unsub" | "unsubcribe" | "unsuscribe" | "unsubscibe" | "unsubscrib" | "unsubsribe"
        | "unsubscribed" | "unsubscribing" => "unsubscribe",
        "optout" => "opt out",
        "cancle" | "cancell" | "cansel" => "cancel",
        "remuve" | "remov" => "remove",
        "lemme" => "let me",
        _ if word.len() > 4 && word != "stoop" && is_drawn_out(word, "stop") => "stop",
        _ => return None,
    })
}

/// Whether a word is another one with letters repeated: "stoooppp".
fn is_drawn_out(word: &str, plain: &str) -> bool {
    let mut plain = plain.chars().peekable();
    let mut last = None;
    for letter in word.chars() {
        if plain.peek() == Some(&letter) {
            plain.next();
        } else if last != Some(letter) {
            return false;
        }
        last = Some(letter);
    }
    plain.peek().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_out() {
        for (body, expected) in [
            ("STOP", "stop"),
            ("  Stop. ", "stop\n"),
            ("*STOP*", "stop"),
            ("Please, stop!", "\nstop\n"),
            ("st\u{200b}op", "stop"),
            ("ＳＴＯＰ", "stop"),
            ("STOOOPPP!!!", "stop\n\n\n"),
            ("stopp", "stop"),
            ("Don’t text me", "do not text me"),
            ("don t text me anymore", "do not text me any more"),
            ("I can't. U stop", "i can not\nyou stop"),
            ("Arrêt", "arret"),
            ("arre\u{302}t", "arret"),
            ("não", "nao"),
            ("ne m'écrivez plus", "ne mecrivez plus"),
            ("opt-out", "opt out"),
            ("stop.texting.me", "stop texting me"),
            ("🛑 stop 🛑", "stop"),
            ("Стоп", "стоп"),
            ("👍", ""),
            ("", ""),
        ] {
            assert_eq!(written(body), expected, "{body}");
        }
    }

    #[test]
    fn clauses_and_joined_letters() {
        let text = written("Hi. Please, just s t o p! Now");
        let words = Words::of(&text);
        let clauses: Vec<String> = words.clauses().map(|it| it.join(" ")).collect();
        assert_eq!(clauses, ["hi", "just s t o p", "now"]);
        assert_eq!(words.joined(), "hijuststopnow");
        assert_eq!(Words::of("").clauses().count(), 0);
    }
}
