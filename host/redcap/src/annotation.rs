//! Action tags: the words with an `@` that staff write into a field's annotation.
//!
//! An annotation is free text, and tags stand anywhere in it. What is no tag is prose and is passed
//! over; what looks like a damaged tag is a [`TagMistake`] with its place. Tags this crate does not
//! know are tags all the same, because modules add their own.

use std::ops::Range;

/// A tag in an annotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionTag {
    /// In capitals, with the `@`.
    pub name: String,
    pub argument: Option<Argument>,
    /// Where the tag stands in the annotation, with its argument.
    pub at: Range<usize>,
    /// Where the text of the argument stands in the annotation, without quotes or parentheses.
    /// Empty, and behind the name, if there is none.
    pub argument_at: Range<usize>,
}

/// What a tag is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// After `=`, in quotes or bare.
    Text(String),
    /// Between parentheses, as it is written.
    Call(String),
}

/// Something about a tag that does not work as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMistake {
    pub at: Range<usize>,
    /// A lower-case fragment.
    pub sentence: String,
    /// What to do about it, as a fragment.
    pub help: String,
}

/// A part of an annotation in REDCap's logic language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    pub text: String,
    /// The byte of the annotation it begins at.
    pub at: usize,
}

impl ActionTag {
    /// The text of the argument, however it is given.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.argument.as_ref()? {
            Argument::Text(text) | Argument::Call(text) => Some(text),
        }
    }

    /// What stands between the parentheses, without the blanks around it.
    #[must_use]
    pub fn formula(&self) -> Option<Formula> {
        match self.argument.as_ref()? {
            Argument::Call(text) => Some(Formula::trimmed(text, self.argument_at.start)),
            Argument::Text(_) => None,
        }
    }
}

impl Formula {
    fn trimmed(text: &str, at: usize) -> Self {
        let blank = text.len() - text.trim_start().len();
        Self { text: text.trim().to_owned(), at: at + blank }
    }

    /// The parts between the commas that stand outside of quotes and inner parentheses.
    #[must_use]
    pub fn split(&self) -> Vec<Self> {
        let ranges = split(&self.text);
        ranges.into_iter().map(|part| Self::trimmed(&self.text[part.clone()], self.at + part.start)).collect()
    }
}

/// The tags of an annotation, and what is wrong with them. Tags inside the argument of another are
/// not among the tags; mistakes in the branches of an `@IF` are among the mistakes.
#[must_use]
pub fn tags(annotation: &str) -> (Vec<ActionTag>, Vec<TagMistake>) {
    let mut mistakes = Vec::new();
    let found = scan(annotation, 0..annotation.len(), &mut mistakes);
    // Each round reads what is inside the one before it, so nothing is read more than MAX_DEPTH times.
    let mut level: Vec<Range<usize>> =
        found.iter().flat_map(|tag| branches(annotation, tag, &mut mistakes)).collect();
    for depth in 1.. {
        if level.is_empty() {
            break;
        }
        if depth == MAX_DEPTH {
            mistakes.push(TagMistake {
                at: level[0].clone(),
                sentence: format!("`@IF` stands more than {MAX_DEPTH} deep, and what is deeper is not read"),
                help: "join the conditions with `and`".to_owned(),
            });
            break;
        }
        let mut inner = Vec::new();
        for branch in level {
            for tag in scan(annotation, branch, &mut mistakes) {
                inner.extend(branches(annotation, &tag, &mut mistakes));
            }
        }
        level = inner;
    }
    mistakes.sort_by_key(|mistake| mistake.at.start);
    (found, mistakes)
}

/// The tags that count when each `@IF` is decided by `holds`, in the order they are written. Mistakes
/// are passed over, and an `@IF` that is not whole counts for nothing.
#[must_use]
pub fn tags_where(annotation: &str, holds: &mut dyn FnMut(&str) -> bool) -> Vec<ActionTag> {
    let mut mistakes = Vec::new();
    let mut counted = Vec::new();
    // What is still to be looked at, the next one last; of each `@IF` only one branch is read.
    let mut waiting = vec![scan(annotation, 0..annotation.len(), &mut mistakes).into_iter()];
    while let Some(tags) = waiting.last_mut() {
        let Some(tag) = tags.next() else {
            waiting.pop();
            continue;
        };
        if tag.name != IF {
            counted.push(tag);
            continue;
        }
        let Some(formula) = tag.formula() else { continue };
        let parts = formula.split();
        if parts.len() < 2 || waiting.len() > MAX_DEPTH {
            continue;
        }
        if let Some(branch) = if holds(&parts[0].text) { parts.get(1) } else { parts.get(2) } {
            waiting.push(scan(annotation, unquoted(annotation, branch), &mut mistakes).into_iter());
        }
    }
    counted
}

const IF: &str = "@IF";
/// How deep one `@IF` may stand within another.
const MAX_DEPTH: usize = 32;
/// After so many arguments that do not end, the rest of an annotation is not read.
const MAX_UNCLOSED: usize = 8;

/// Tags that are nothing without parentheses, and may have a blank before them.
const CALLS: [&str; 5] = [IF, "@CALCTEXT", "@CALCDATE", "@MAXCHOICE", "@MAXCHOICE-SURVEY-COMPLETE"];

/// REDCap's own tags, to tell a slip of the pen by.
const KNOWN: [&str; 58] = [
    IF,
    "@APPUSERNAME-APP",
    "@BARCODE-APP",
    "@CALCDATE",
    "@CALCTEXT",
    "@CHARLIMIT",
    "@CONSENT-VERSION",
    "@DEFAULT",
    "@DOWNLOAD-COUNT",
    "@FORCE-MINMAX",
    "@HIDDEN",
    "@HIDDEN-APP",
    "@HIDDEN-FORM",
    "@HIDDEN-PDF",
    "@HIDDEN-SURVEY",
    "@HIDEBUTTON",
    "@HIDECHOICE",
    "@HIDESAVE",
    "@HIDESUBMIT",
    "@INLINE",
    "@INLINE-PREVIEW",
    "@LANGUAGE-CURRENT-FORM",
    "@LANGUAGE-CURRENT-SURVEY",
    "@LANGUAGE-FORCE",
    "@LANGUAGE-FORCE-FORM",
    "@LANGUAGE-FORCE-SURVEY",
    "@LANGUAGE-MENU-STATIC",
    "@LANGUAGE-SET",
    "@LANGUAGE-SET-FORM",
    "@LANGUAGE-SET-SURVEY",
    "@LATITUDE",
    "@LONGITUDE",
    "@MAXCHECKED",
    "@MAXCHOICE",
    "@MAXCHOICE-SURVEY-COMPLETE",
    "@NOMISSING",
    "@NONEOFTHEABOVE",
    "@NOW",
    "@NOW-SERVER",
    "@NOW-UTC",
    "@PASSWORDMASK",
    "@PLACEHOLDER",
    "@PREFILL",
    "@RANDOMORDER",
    "@READONLY",
    "@READONLY-APP",
    "@READONLY-FORM",
    "@READONLY-SURVEY",
    "@RICHTEXT",
    "@SAVE-PROMPT-EXEMPT",
    "@SETVALUE",
    "@SHOWCHOICE",
    "@SYNC-APP",
    "@TODAY",
    "@TODAY-SERVER",
    "@TODAY-UTC",
    "@USERNAME",
    "@WORDLIMIT",
];

fn scan(annotation: &str, within: Range<usize>, mistakes: &mut Vec<TagMistake>) -> Vec<ActionTag> {
    let mut scanner = Scanner { text: &annotation[..within.end], mistakes, unclosed: 0 };
    let mut tags = Vec::new();
    let mut at = within.start;
    while let Some(next) = scanner.text.get(at..).and_then(|rest| rest.find('@')) {
        let start = at + next;
        // What stands before the text that is read here, a quote or a comma, parts a tag from it.
        let before = annotation[within.start..start].chars().next_back();
        let (tag, end) = scanner.tag(start, before);
        tags.extend(tag);
        at = end;
        if scanner.unclosed >= MAX_UNCLOSED {
            break;
        }
    }
    tags
}

struct Scanner<'a> {
    text: &'a str,
    mistakes: &'a mut Vec<TagMistake>,
    unclosed: usize,
}

impl Scanner<'_> {
    fn mistake(&mut self, at: Range<usize>, sentence: String, help: &str) {
        self.mistakes.push(TagMistake { at, sentence, help: help.to_owned() });
    }

    /// The tag whose `@` is at `start`, if it is one, and where to read on.
    fn tag(&mut self, start: usize, before: Option<char>) -> (Option<ActionTag>, usize) {
        let rest = &self.text[start + 1..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let word = word.trim_end_matches(['-', '_']);
        let end = start + 1 + word.len();
        let in_address = before.is_some_and(|c| c.is_alphanumeric() || "._%+-@".contains(c));
        let after = &self.text[end..];
        let in_domain = after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_alphanumeric());
        if in_address || in_domain || !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return (None, end);
        }
        let name = format!("@{}", word.to_ascii_uppercase());
        self.check_name(&self.text[start..end], &name, start..end);
        let mut tag = ActionTag { name, argument: None, at: start..end, argument_at: end..end };
        let blanks = after.len() - after.trim_start().len();
        let sign = &after[blanks..];
        let calls = CALLS.contains(&tag.name.as_str());
        if sign.starts_with('(') && (blanks == 0 || calls) {
            let at = self.call(&mut tag, end + blanks);
            (Some(tag), at)
        } else if sign.starts_with('=') {
            let at = self.assignment(&mut tag, end + blanks + 1);
            (Some(tag), at)
        } else {
            if calls {
                self.mistake(
                    start..end,
                    format!("`{}` has nothing in parentheses", tag.name),
                    "write what it is to work on in parentheses right behind it",
                );
            }
            (Some(tag), end)
        }
    }

    fn check_name(&mut self, written: &str, name: &str, at: Range<usize>) {
        if KNOWN.contains(&name) {
            if written != name {
                let sentence = format!("`{written}` is not in capitals");
                self.mistake(at, sentence, &format!("write `{name}`: REDCap takes no other spelling"));
            }
            return;
        }
        // Short words are near to each other by chance, and small letters are rather prose.
        if written != name || name.len() < 6 {
            return;
        }
        let slips = if name.len() < 10 { 1 } else { 2 };
        if let Some(near) = KNOWN.into_iter().find(|known| strsim::osa_distance(known, name) <= slips) {
            let sentence = format!("`{name}` is no action tag of REDCap");
            self.mistake(at, sentence, &format!("did you mean `{near}`?"));
        }
    }

    /// Reads from the opening parenthesis at `open` to the one that closes it.
    fn call(&mut self, tag: &mut ActionTag, open: usize) -> usize {
        match closing(self.text, open) {
            Ok(close) => {
                tag.argument = Some(Argument::Call(self.text[open + 1..close].to_owned()));
                tag.argument_at = open + 1..close;
                tag.at.end = close + 1;
                close + 1
            }
            Err(at) => {
                self.unclosed += 1;
                let what = if at == open { "parenthesis" } else { "quotation mark" };
                let sentence = format!("the {what} in `{}` is not closed", tag.name);
                self.mistake(at..at + 1, sentence, "close it, or take it out");
                // What is behind a broken condition is as likely inside of it, and must not count.
                if tag.name == IF { self.text.len() } else { open + 1 }
            }
        }
    }

    /// Reads what comes after an equals sign that ends at `from`.
    fn assignment(&mut self, tag: &mut ActionTag, from: usize) -> usize {
        let rest = &self.text[from..];
        let from = from + rest.len() - rest.trim_start().len();
        let rest = &self.text[from..];
        let (inside, end) = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let Some(length) = quoted(&rest[1..], quote) else {
                    self.unclosed += 1;
                    let sentence = format!("the quotation mark behind `{}` is not closed", tag.name);
                    self.mistake(from..from + 1, sentence, "close it with the same mark");
                    return from + 1;
                };
                (from + 1..from + 1 + length, from + length + 2)
            }
            Some(curly @ ('‘' | '’' | '“' | '”')) => {
                let sentence = format!("`{}` has curly quotation marks", tag.name);
                self.mistake(from..from + curly.len_utf8(), sentence, "write straight ones: `'` or `\"`");
                return from;
            }
            Some(_) => {
                // A tag behind the equals sign is a tag of its own: the value was forgotten.
                let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let length = if rest.starts_with('@') { 0 } else { length };
                (from..from + length, from + length)
            }
            None => (from..from, from),
        };
        if inside.is_empty() && inside.start == end {
            let sentence = format!("`{}` has an equals sign and no value", tag.name);
            self.mistake(tag.at.clone(), sentence, "write the value in quotation marks behind it");
            return from;
        }
        tag.argument = Some(Argument::Text(self.text[inside.clone()].to_owned()));
        tag.argument_at = inside;
        tag.at.end = end;
        end
    }
}

/// How long the text is that ends with this quote. A backslash before the quote makes it part of the
/// text, unless then no other would end it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let plain = text.match_indices(quote).find(|(at, _)| !text[..*at].ends_with('\\'));
    plain.or_else(|| text.match_indices(quote).next()).map(|(at, _)| at)
}

/// Where the parenthesis at `open` is closed; or else which sign is left open, the quote before the
/// parenthesis.
fn closing(text: &str, open: usize) -> Result<usize, usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            quote @ (b'\'' | b'"') => match quoted(&text[at + 1..], char::from(quote)) {
                Some(length) => at += length + 1,
                None => return Err(at),
            },
            _ => {}
        }
        at += 1;
    }
    Err(open)
}

/// The parts between commas outside of quotes and parentheses. What is not closed reaches to the end.
fn split(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let (mut depth, mut start, mut at) = (0_usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            quote @ (b'\'' | b'"') => {
                at += quoted(&text[at + 1..], char::from(quote)).map_or(text.len(), |length| length + 1);
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(start..text.len());
    parts
}

/// The branches of an `@IF`; none of any other tag.
fn branches(annotation: &str, tag: &ActionTag, mistakes: &mut Vec<TagMistake>) -> Vec<Range<usize>> {
    if tag.name != IF {
        return Vec::new();
    }
    let Some(formula) = tag.formula() else { return Vec::new() };
    let parts = formula.split();
    if parts.len() != 3 {
        mistakes.push(TagMistake {
            at: tag.at.clone(),
            sentence: format!("`@IF` has {} parts, and takes three", parts.len()),
            help: "write `@IF(condition, 'tags if it holds', 'tags if not')`".to_owned(),
        });
    }
    parts.iter().skip(1).take(2).map(|part| unquoted(annotation, part)).collect()
}

/// Where the tags of a branch stand: without the quotes, if it is quoted as a whole.
fn unquoted(annotation: &str, branch: &Formula) -> Range<usize> {
    let whole = branch.at..branch.at + branch.text.len();
    let text = &annotation[whole.clone()];
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else { return whole };
    match quoted(&text[1..], quote) {
        Some(length) if length + 2 == text.len() => whole.start + 1..whole.end - 1,
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tags as `NAME`, `NAME=text` and `NAME(call)`.
    fn shown(tags: &[ActionTag]) -> Vec<String> {
        let shown = tags.iter().map(|tag| match &tag.argument {
            None => tag.name.clone(),
            Some(Argument::Text(text)) => format!("{}={text}", tag.name),
            Some(Argument::Call(call)) => format!("{}({call})", tag.name),
        });
        shown.collect()
    }

    #[test]
    fn tags_stand_between_prose() {
        for (text, wanted) in [
            ("", vec![]),
            ("ask a@b.org or @example.org, or @ 5 or @@ or 3@x", vec![]),
            ("@HIDDEN-SURVEY", vec!["@HIDDEN-SURVEY"]),
            ("Not shown. @HIDDEN, @READONLY.\n@NOMISSING", vec!["@HIDDEN", "@READONLY", "@NOMISSING"]),
            ("@DEFAULT='1'@HIDDEN", vec!["@DEFAULT=1", "@HIDDEN"]),
            ("@DEFAULT = \"it's\n(two) @HIDDEN [x]\" @NOW", vec!["@DEFAULT=it's\n(two) @HIDDEN [x]", "@NOW"]),
            ("@DEFAULT=TODAY @MAXCHECKED=3", vec!["@DEFAULT=TODAY", "@MAXCHECKED=3"]),
            ("@DEFAULT='' x", vec!["@DEFAULT="]),
            ("@DEFAULT='it\\'s' x", vec!["@DEFAULT=it\\'s"]),
            ("@PLACEHOLDER='c:\\' x", vec!["@PLACEHOLDER=c:\\"]),
            ("@HIDDEN (for staff only)", vec!["@HIDDEN"]),
            ("@MAXCHOICE(1=25,2=3)", vec!["@MAXCHOICE(1=25,2=3)"]),
            ("@CALCTEXT (if([a]=')', \"(\", (1)))", vec!["@CALCTEXT(if([a]=')', \"(\", (1)))"]),
            ("@SOMETHING-OF-A-MODULE(x)", vec!["@SOMETHING-OF-A-MODULE(x)"]),
            ("@IF([a]='1', '@HIDDEN', '')@NOW", vec!["@IF([a]='1', '@HIDDEN', '')", "@NOW"]),
        ] {
            let (found, mistakes) = tags(text);
            assert_eq!(shown(&found), wanted, "{text}");
            assert_eq!(mistakes, [], "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_annotation() {
        let text = "é @DEFAULT = 'x' @CALCTEXT( [a] )";
        let (found, _) = tags(text);
        assert_eq!(&text[found[0].at.clone()], "@DEFAULT = 'x'");
        assert_eq!(&text[found[0].argument_at.clone()], "x");
        assert_eq!(&text[found[1].argument_at.clone()], " [a] ");
        assert_eq!(found[1].formula(), Some(Formula { text: "[a]".into(), at: text.find('[').unwrap() }));
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, place, sentence, left) in [
            ("@CALCTEXT(if([a], (1)) @NOW", "(", "the parenthesis in `@CALCTEXT` is not closed", 2),
            ("@CALCTEXT(if([a]='1)) @NOW", "'", "the quotation mark in `@CALCTEXT` is not closed", 2),
            ("@IF([a]='1', '@HIDDEN'", "(", "the parenthesis in `@IF` is not closed", 1),
            ("@DEFAULT='x @NOW", "'", "the quotation mark behind `@DEFAULT` is not closed", 2),
            ("@DEFAULT=“x” @NOW", "“", "`@DEFAULT` has curly quotation marks", 2),
            ("@DEFAULT= @NOW", "@DEFAULT", "`@DEFAULT` has an equals sign and no value", 2),
            ("x @HIDEN y", "@HIDEN", "`@HIDEN` is no action tag of REDCap", 1),
            ("@HIDDEN-SURVEYS", "@HIDDEN-SURVEYS", "`@HIDDEN-SURVEYS` is no action tag of REDCap", 1),
            ("@hidden", "@hidden", "`@hidden` is not in capitals", 1),
            ("@CALCDATE", "@CALCDATE", "`@CALCDATE` has nothing in parentheses", 1),
            ("@IF([a]='1', '@HIDDEN')", "@IF([a]='1', '@HIDDEN')", "`@IF` has 2 parts, and takes three", 1),
            ("@IF([a]='1', '@REDONLY', '')", "@REDONLY", "`@REDONLY` is no action tag of REDCap", 1),
        ] {
            let (found, mistakes) = tags(text);
            assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
            assert_eq!((&text[mistakes[0].at.clone()], mistakes[0].sentence.as_str()), (place, sentence));
            assert_eq!(found.len(), left, "{text}");
        }
    }

    #[test]
    fn a_condition_decides_which_tags_count() {
        let text = "@NOW @IF([a]='1', '@HIDDEN @DEFAULT=\"x\"', @IF([b] = \",\", @READONLY, '')) @RICHTEXT";
        for (truths, wanted) in [
            (&["[a]='1'"][..], vec!["@NOW", "@HIDDEN", "@DEFAULT=x", "@RICHTEXT"]),
            (&["[b] = \",\""][..], vec!["@NOW", "@READONLY", "@RICHTEXT"]),
            (&[][..], vec!["@NOW", "@RICHTEXT"]),
        ] {
            let found = tags_where(text, &mut |condition| truths.contains(&condition));
            assert_eq!(shown(&found), wanted);
            for tag in &found {
                assert!(text[tag.at.clone()].starts_with(&tag.name));
            }
        }
        let found = tags_where("@IF([a], @HIDECHOICE='6,7', '')", &mut |_| true);
        assert_eq!(shown(&found), ["@HIDECHOICE=6,7"]);
        assert_eq!(tags_where("@IF([a] @HIDDEN", &mut |_| true), []);
        assert_eq!(tags_where("@IF([a])", &mut |_| true), []);
    }

    #[test]
    fn conditions_within_conditions_end_somewhere() {
        let nested = |depth: usize| "@IF([a],".repeat(depth) + "@HIDDEN" + &",'')".repeat(depth);
        assert_eq!(shown(&tags_where(&nested(MAX_DEPTH), &mut |_| true)), ["@HIDDEN"]);
        assert_eq!(tags(&nested(MAX_DEPTH - 1)).1, []);
        assert_eq!(tags_where(&nested(20_000), &mut |_| true), []);
        assert_eq!(tags(&nested(20_000)).1.len(), 1);
        let open = "@CALCTEXT(".repeat(20_000);
        assert_eq!(tags(&open).1.len(), MAX_UNCLOSED);
        assert_eq!(tags_where(&("@IF(a,b,".to_owned() + &open), &mut |_| false), []);
    }

    proptest! {
        #[test]
        fn no_annotation_makes_the_reader_panic(
            parts in prop::collection::vec(
                prop_oneof![
                    3 => prop::sample::select(vec![
                        "@IF(", "@CALCTEXT(", "@HIDDEN", "@DEFAULT", "=", "'", "\"", "(", ")", ",", " ", "\\", "é", "“",
                        "@", "a@b.org", "[a]='1'", "@CALCDATE([a], 7, 'd')", "\n", "@if",
                    ]).prop_map(str::to_owned),
                    1 => ".{0,6}",
                ],
                0..30,
            ),
        ) {
            let text = parts.concat();
            let (found, mistakes) = tags(&text);
            let counted = tags_where(&text, &mut |condition| condition.len() % 2 == 0);
            for tag in found.iter().chain(&counted) {
                prop_assert!(text[tag.at.clone()].to_ascii_uppercase().starts_with(&tag.name));
                prop_assert_eq!(tag.text().unwrap_or_default(), &text[tag.argument_at.clone()]);
                if let Some(formula) = tag.formula() {
                    for part in formula.split() {
                        prop_assert!(text[part.at..].starts_with(&part.text));
                    }
                }
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].at.end <= pair[1].at.start));
            for mistake in mistakes {
                prop_assert!(text.get(mistake.at).is_some());
            }
        }
    }
}
