//! From the rich text editor's HTML to plain text, for text messages and for speech.
//!
//! A participant's values go in afterwards ([`crate::pipe`]), so no value is ever read as HTML. What
//! the editor puts inside a reference, as in `[<b>name</b>]` and `[name&nbsp;]`, is gone by then.
//!
//! Anything is accepted: what is no tag is text, what is never closed ends with the text. Every
//! character is looked at a fixed number of times.

/// Drops tags, keeps the text. Paragraphs, list items, table rows and `<br>` end lines; blanks
/// collapse. A link becomes its text, followed by its address unless the text says it already.
///
/// An item of a list begins with `- `, or with its number where the list is numbered: on a narrow
/// screen nothing else tells a new item from a wrapped line. A number that was raised keeps a `^`,
/// because 10⁹ is not 109.
#[must_use]
pub fn html_to_text(html: &str) -> String {
    let mut lines = Lines::default();
    walk(html, &mut lines);
    lines.text
}

/// As [`html_to_text`], for a voice: one line of sentences. What ends a line gets a full stop if no
/// mark stands there, because a voice reads on without one; the cells of a table get commas.
/// Addresses of links are left out, as are the marks of list items, typed ones too. `&` and
/// abbreviations are left to the voice.
#[must_use]
pub fn html_to_speech(html: &str) -> String {
    let mut sentences = Sentences::default();
    walk(html, &mut sentences);
    sentences.end();
    sentences.text
}

/// Whether there is a tag in a text, so that it is HTML and not plain.
#[must_use]
pub fn has_tag(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| tag(&text[at..]).is_some())
}

/// Plain text as it is written in HTML, inside of an attribute too: it is read back the same.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// Plain text as simple HTML: paragraphs where lines are left blank, line ends kept, and addresses to click.
#[must_use]
pub fn text_to_html(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let lines = |paragraph: &str| paragraph.lines().map(clickable).collect::<Vec<_>>().join("<br>\n");
    paragraphs.map(|paragraph| format!("<p>{}</p>", lines(paragraph))).collect::<Vec<_>>().join("\n")
}

/// A line with its addresses to click.
fn clickable(line: &str) -> String {
    let word = |word: &str| {
        // What ends the sentence is not part of the address.
        let address = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return escape(word);
        }
        let (address, rest) = (escape(address), escape(&word[address.len()..]));
        format!("<a href=\"{address}\">{address}</a>{rest}")
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What hears of the parts of a document, in order.
trait Listener {
    fn char(&mut self, c: char);
    /// `<br>`.
    fn line(&mut self);
    /// The beginning or the end of a paragraph and its like.
    fn block(&mut self);
    /// The beginning of a list item; with its number if the list is numbered.
    fn item(&mut self, number: Option<usize>);
    /// The beginning or the end of a cell of a table.
    fn cell(&mut self);
    /// The beginning of something raised.
    fn raised(&mut self);
    fn link(&mut self, address: String);
    fn link_end(&mut self);
}

fn walk(html: &str, listener: &mut impl Listener) {
    // One entry for each open list: the number of its last item, or none if it has no numbers.
    let mut lists: Vec<Option<usize>> = Vec::new();
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        if let Some((tag, after)) = tag(rest) {
            rest = after;
            let name = name_of(tag);
            match name.as_str() {
                "script" | "style" | "title" => rest = behind_closing_tag(rest, &name),
                "br" => listener.line(),
                "ul" | "ol" => {
                    listener.block();
                    lists.push((name == "ol").then(|| first_number(tag)));
                }
                "/ul" | "/ol" => {
                    lists.pop();
                    listener.block();
                }
                "li" => {
                    listener.block();
                    let number = lists.last_mut().and_then(Option::as_mut);
                    listener.item(number.map(|last| {
                        *last = last.saturating_add(1);
                        *last
                    }));
                }
                "td" | "/td" | "th" | "/th" => listener.cell(),
                "sup" => listener.raised(),
                "a" => {
                    // Links do not nest: a second one ends the first.
                    listener.link_end();
                    listener.link(decode(attribute(tag, "href").unwrap_or_default().trim()));
                }
                "/a" => listener.link_end(),
                name if is_block(name.trim_start_matches('/')) => listener.block(),
                _ => {}
            }
            continue;
        }
        let (c, taken) = entity(rest).unwrap_or((c, c.len_utf8()));
        rest = &rest[taken..];
        // Editors leave marks without width behind. Inside a reference they would spoil its name, and
        // a single one makes a text message cost as much as two.
        if !matches!(c, '\u{200b}' | '\u{feff}' | '\u{ad}' | '\u{2060}') {
            listener.char(c);
        }
    }
    listener.link_end();
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "li"
            | "tr"
            | "table"
            | "thead"
            | "tbody"
            | "tfoot"
            | "caption"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "blockquote"
            | "pre"
            | "center"
            | "address"
            | "dl"
            | "dt"
            | "dd"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "aside"
            | "figure"
            | "figcaption"
            | "fieldset"
            | "legend"
            | "form"
            | "details"
            | "summary"
            | "body"
    )
}

/// The text so far. Blanks and line ends are held back until something follows.
#[derive(Default)]
struct Lines {
    text: String,
    blank: bool,
    breaks: usize,
    /// What stands before the next list item.
    mark: Option<String>,
    /// Whether what follows is raised.
    raised: bool,
    /// Whether an address was just put in, to which nothing may stick.
    address: bool,
    /// The address of the link that is open, and where its text begins.
    open: Option<(String, usize)>,
}

impl Listener for Lines {
    fn char(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank = true;
            return;
        }
        self.blank |= std::mem::take(&mut self.address) && c.is_alphanumeric();
        let parted = self.text.is_empty() || self.blank || self.breaks > 0;
        if self.text.is_empty() {
            // Nothing to be parted from.
        } else if self.breaks > 0 {
            self.text.extend(std::iter::repeat_n('\n', self.breaks.min(2)));
        } else if self.blank {
            self.text.push(' ');
        }
        (self.blank, self.breaks) = (false, 0);
        if let Some(mark) = self.mark.take() {
            self.text.push_str(&mark);
        }
        if std::mem::take(&mut self.raised) && !parted && (c.is_ascii_digit() || matches!(c, '-' | '−' | '+'))
        {
            self.text.push('^');
        }
        self.text.push(c);
    }

    fn line(&mut self) {
        self.breaks += 1;
    }

    /// One line end, however many blocks end and begin here.
    fn block(&mut self) {
        self.breaks = self.breaks.max(1);
    }

    fn item(&mut self, number: Option<usize>) {
        self.mark = Some(number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. ")));
    }

    fn cell(&mut self) {
        self.blank = true;
    }

    fn raised(&mut self) {
        self.raised = true;
    }

    fn link(&mut self, address: String) {
        self.open = Some((address, self.text.len()));
    }

    fn link_end(&mut self) {
        let Some((address, from)) = self.open.take() else { return };
        let label = self.text.get(from..).unwrap_or_default().trim();
        // Some editors encode the brackets of `[survey-link]`, which is piped later and an address then.
        let address = match address.get(..3) {
            Some(open) if open.eq_ignore_ascii_case("%5b") => {
                address.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]")
            }
            _ => address,
        };
        let address = address.strip_prefix("mailto:").or(address.strip_prefix("tel:")).unwrap_or(&address);
        let leads_somewhere =
            !address.is_empty() && !address.starts_with('#') && !starts_with(address, "javascript:");
        if leads_somewhere && !label.contains(address) {
            self.blank = self.blank || !label.is_empty();
            for c in address.chars() {
                self.char(c);
            }
            self.address = true;
        }
    }
}

/// Sentences so far, on one line.
#[derive(Default)]
struct Sentences {
    text: String,
    blank: bool,
    /// Whether a comma is due before what follows.
    comma: bool,
    /// Whether a word of this sentence was heard.
    begun: bool,
    /// A dash or a dot at the beginning of a line, which marks an item if a blank follows.
    bullet: Option<char>,
    /// Where the text of the open link begins.
    open: Option<usize>,
}

impl Sentences {
    /// Ends a sentence, unless a mark stands there that makes a voice pause.
    fn end(&mut self) {
        self.comma = false;
        self.begun = false;
        self.bullet = None;
        if needs_mark(&self.text) {
            self.text.push('.');
        }
        self.blank = true;
    }

    fn push(&mut self, c: char) {
        if std::mem::take(&mut self.comma) && needs_mark(&self.text) {
            self.text.push(',');
        }
        if std::mem::take(&mut self.blank) && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push(c);
    }
}

/// Whether a text ends without a mark, not counting what closes a quotation or a parenthesis.
fn needs_mark(text: &str) -> bool {
    let closing = ['"', '\'', '”', '’', '»', ')', ']'];
    // Two levels are enough, and a text may be made of nothing else.
    let mut end = text;
    for _ in 0..2 {
        end = end.strip_suffix(closing).unwrap_or(end);
    }
    let marks =
        ['.', '!', '?', ':', ';', ',', '…', '–', '—', '。', '！', '？', '、', '，', '：', '।', '؟', '،', '۔'];
    !text.is_empty() && !end.ends_with(marks)
}

impl Listener for Sentences {
    fn char(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank = true;
            self.bullet = None;
            return;
        }
        let begun = std::mem::replace(&mut self.begun, true);
        if !begun && matches!(c, '-' | '–' | '—' | '*' | '•' | '·') {
            self.bullet = Some(c);
            return;
        }
        if let Some(bullet) = self.bullet.take() {
            self.push(bullet);
        }
        self.push(c);
    }

    fn line(&mut self) {
        self.end();
    }

    fn block(&mut self) {
        self.end();
    }

    fn item(&mut self, _: Option<usize>) {}

    fn cell(&mut self) {
        self.blank = true;
        self.comma = !self.text.is_empty() && needs_mark(&self.text);
    }

    /// A voice that is told 10 and 9 does not say 109.
    fn raised(&mut self) {
        self.blank = true;
    }

    fn link(&mut self, _: String) {
        self.open = Some(self.text.len());
    }

    fn link_end(&mut self) {
        let Some(from) = self.open.take() else { return };
        let label = self.text.get(from..).unwrap_or_default().trim_start();
        let is_address =
            starts_with(label, "http://") || starts_with(label, "https://") || starts_with(label, "www.");
        if is_address && !label.contains(char::is_whitespace) {
            self.text.truncate(from);
            self.blank = true;
        }
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The tag or comment at the start of a text. A `<` before anything else is just that.
fn tag(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    if let Some(comment) = inner.strip_prefix("!--") {
        return Some(("", comment.find("-->").map_or("", |end| &comment[end + 3..])));
    }
    let (first, second) = (inner.chars().next()?, inner.chars().nth(1));
    let is_name = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    if !(is_name(Some(first)) || matches!(first, '!' | '?') || (first == '/' && is_name(second))) {
        return None;
    }
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&inner[..at], &inner[at + 1..])),
            // Another tag begins: this one was none. Without this, a text of nothing but openings would
            // be read to its end at each of them.
            (None, '<') => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed ends with the tag.
    let end = inner.find('>').filter(|_| quote.is_some())?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// What follows `</name>`. Scripts and styles are not text, and their `<` are not tags.
fn behind_closing_tag<'a>(text: &'a str, name: &str) -> &'a str {
    let closes = |at: &usize| starts_with(&text[at + 2..], name);
    let Some(at) = text.match_indices("</").map(|(at, _)| at).find(closes) else { return "" };
    text[at..].find('>').map_or("", |end| &text[at + end + 1..])
}

fn name_of(tag: &str) -> String {
    let end =
        tag[1.min(tag.len())..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(tag.len(), |end| end + 1);
    tag.get(..end).unwrap_or(tag).to_ascii_lowercase()
}

/// The number before a numbered list's first.
fn first_number(tag: &str) -> usize {
    attribute(tag, "start")
        .and_then(|start| start.parse().ok())
        .map_or(0, |start: usize| start.saturating_sub(1))
}

/// The value of an attribute, as written.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let blank = |c: char| c.is_whitespace() || c == '/';
    let mut rest = tag.trim_start_matches(|c: char| !blank(c));
    loop {
        rest = rest.trim_start_matches(blank);
        let end = rest.find(|c: char| blank(c) || c == '=').unwrap_or(rest.len());
        let found = rest[..end].eq_ignore_ascii_case(name);
        let after = rest[end..].trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            // A name without a value; a text that moves on ends sometime.
            if after.is_empty() {
                return None;
            }
            rest = after;
            continue;
        };
        let (value, behind) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        if found {
            return Some(value);
        }
        rest = behind;
    }
}

fn decode(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let (c, taken) = entity(rest).unwrap_or((c, c.len_utf8()));
        out.push(c);
        rest = &rest[taken..];
    }
    out
}

/// The character an entity at the start of a text stands for, and how many bytes it takes.
fn entity(text: &str) -> Option<(char, usize)> {
    let inner = text.strip_prefix('&')?;
    let end = inner.bytes().take(10).position(|b| b == b';')?;
    let name = &inner[..end];
    let c = if name.starts_with('#') { numbered(name)? } else { named(name)? };
    Some((c, end + 2))
}

/// The character of a number as entities write it, `#39` or `#x27`; none for what nobody can see or
/// mean, except blanks and line ends.
pub(crate) fn numbered(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    let c = match code {
        // Texts pasted from Windows mean its own characters by these, and browsers know.
        0x80..=0x9f => WINDOWS.chars().nth(usize::try_from(code - 0x80).ok()?)?,
        _ => char::from_u32(code)?,
    };
    Some(c).filter(|c| !c.is_control() || c.is_whitespace())
}

/// What Windows has at 0x80 to 0x9f. It has nothing in five places.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// The names of the characters 0xa0 to 0xff, in order.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn \
     sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde \
     Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc \
     Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring \
     aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml \
     divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

fn named(name: &str) -> Option<char> {
    const OTHERS: [(&str, char); 42] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("ndash", '–'),
        ("mdash", '—'),
        ("minus", '−'),
        ("hellip", '…'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("sbquo", '‚'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("bdquo", '„'),
        ("lsaquo", '‹'),
        ("rsaquo", '›'),
        ("bull", '•'),
        ("euro", '€'),
        ("trade", '™'),
        ("le", '≤'),
        ("ge", '≥'),
        ("ne", '≠'),
        ("asymp", '≈'),
        ("larr", '←'),
        ("rarr", '→'),
        ("uarr", '↑'),
        ("darr", '↓'),
        ("alpha", 'α'),
        ("beta", 'β'),
        ("mu", 'μ'),
        ("OElig", 'Œ'),
        ("oelig", 'œ'),
        ("Scaron", 'Š'),
        ("scaron", 'š'),
        ("Yuml", 'Ÿ'),
        ("check", '✓'),
        ("lbrack", '['),
        ("lsqb", '['),
        ("rbrack", ']'),
        ("rsqb", ']'),
        ("zwnj", '\u{200c}'),
    ];
    // Spaces of any width collapse into one anyway, and what has no width is dropped.
    if matches!(name, "ensp" | "emsp" | "thinsp") {
        return Some(' ');
    }
    if let Some(at) = LATIN.split_ascii_whitespace().position(|known| known == name) {
        return char::from_u32(0xa0 + u32::try_from(at).ok()?);
    }
    OTHERS.iter().find(|(known, _)| *known == name).map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_becomes_html_that_reads_the_same() {
        let text = "Dear Ben & Ann,\n\nsee https://example.edu/s?a=1&b=2.\nBye <3";
        let html = text_to_html(text);
        assert_eq!(
            html,
            "<p>Dear Ben &amp; Ann,</p>\n<p>see <a href=\"https://example.edu/s?a=1&amp;b=2\">\
             https://example.edu/s?a=1&amp;b=2</a>.<br>\nBye &lt;3</p>"
        );
        assert_eq!(html_to_text(&html), "Dear Ben & Ann,\nsee https://example.edu/s?a=1&b=2.\nBye <3");
    }

    #[test]
    fn a_tag_is_told_from_a_sign() {
        for (text, expected) in [
            ("a < b", false),
            ("<3", false),
            ("<p>a", true),
            ("a<br/>b", true),
            ("a </b>", true),
            ("", false),
        ] {
            assert_eq!(has_tag(text), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever it is, it is text and no tag.
        #[test]
        fn what_is_escaped_reads_back_the_same(text in "[ -~]{0,60}") {
            prop_assert!(!has_tag(&escape(&text)));
            prop_assert_eq!(decode(&escape(&text)), text);
        }
    }

    #[test]
    fn html_becomes_lines() {
        for (html, wanted) in [
            ("<p>Hello,<br />Ann</p>\n<p> </p><p>Bye</p>", "Hello,\nAnn\nBye"),
            ("plain  text\nwrapped", "plain text wrapped"),
            ("a<br><br><br>b", "a\n\nb"),
            ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
            ("Bring:<ul><li><p>ID</p></li><li></li><li>card</li></ul>Thanks", "Bring:\n- ID\n- card\nThanks"),
            ("<ol><li>a<ul><li>x</li></ul></li><li>b</li></ol>", "1. a\n- x\n2. b"),
            ("<OL START=\"3\"><LI>c<LI>d</OL>", "3. c\n4. d"),
            ("<li>loose", "- loose"),
            (
                "<table><tr><th>Drug</th><th>Dose</th></tr><tr><td>A</td><td>5 mg</td></tr></table>",
                "Drug Dose\nA 5 mg",
            ),
            ("10<sup>9</sup>/L, the 1<sup>st</sup> <sup>2</sup>", "10^9/L, the 1st 2"),
            ("H<sub>2</sub>O", "H2O"),
            ("Fish &amp; chips &#8364;5 &lt;b&gt;&nbsp;&hellip;", "Fish & chips €5 <b> …"),
            (
                "Ann&#8217;s, Bo&#146;s, Cy&#x2019;s, caf&eacute;, &Ouml;l, &szlig;",
                "Ann’s, Bo’s, Cy’s, café, Öl, ß",
            ),
            ("&sup2; &frac12; &yuml; &nbsp;&ensp;x &ge; y", "² ½ ÿ x ≥ y"),
            ("&amp;nbsp; &amp;lt;", "&nbsp; &lt;"),
            ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
            ("BP < 140, BP <140, <3, </>, <>", "BP < 140, BP <140, <3, </>, <>"),
            ("<style>p{}</style>a<script>x<y</script>b<!-- no -->c", "abc"),
            ("<STYLE>p{}</Style >a<title>t</title>b<style>c", "ab"),
            ("a<!-- never closed", "a"),
            ("<a href=\"https://x.org/?a=1&amp;b=2\">Open</a>!", "Open https://x.org/?a=1&b=2!"),
            ("<a href='https://x.org'>https://x.org</a>", "https://x.org"),
            ("<a href=\"[survey-url]\">[survey-url]</a>", "[survey-url]"),
            ("<a href=\"%5Bsurvey-url:entry%5D\">Go</a>", "Go [survey-url:entry]"),
            ("<a href=\"https://x.org/?a%5B0%5D=1\">Go</a>", "Go https://x.org/?a%5B0%5D=1"),
            ("see <a href=\"https://x.org\"></a>", "see https://x.org"),
            ("<a data-href=\"no\" href = https://x.org/ >Go</a>", "Go https://x.org/"),
            (
                "<a name=\"top\">Top</a> <a href=\"#top\">Up</a> <a href=\"JavaScript:x\">Run</a>",
                "Top Up Run",
            ),
            ("<a href=\"tel:+15551234\">Call</a>", "Call +15551234"),
            ("<a href=\"mailto:a@x.org\">a@x.org</a>", "a@x.org"),
            (
                "<a href=\"https://a.org\">A <a href=\"https://b.org\">B</a></a>",
                "A https://a.org B https://b.org",
            ),
            (
                "<a href=\"https://a.org\">A</a>now <a href=\"https://b.org\">B</a>.",
                "A https://a.org now B https://b.org.",
            ),
            ("<a href=\"https://a.org\">never closed", "never closed https://a.org"),
            ("<div class=\"a>b\">x</div>", "x"),
            ("<p title=\"open>text</p>", "text"),
            ("<p>unclosed <b>bold <i>both", "unclosed bold both"),
            ("<o:p></o:p>Word<![endif]>", "Word"),
            (
                "[<b>first</b>_name] [first_name&nbsp;] [&#8203;age&#65279;] [&lsqb;]",
                "[first_name] [first_name ] [age] [[]",
            ),
            ("&unknown; &#0; &#xZZ; &", "&unknown; &#0; &#xZZ; &"),
            ("<", "<"),
            ("<p", "<p"),
        ] {
            assert_eq!(html_to_text(html), wanted, "{html}");
        }
    }

    #[test]
    fn html_becomes_sentences() {
        for (html, wanted) in [
            ("<p>Hello Ann</p><p>Your visit is tomorrow.</p>", "Hello Ann. Your visit is tomorrow."),
            ("<p>Hello,<br>Ann</p>", "Hello, Ann."),
            ("<p>Really?</p><p>\"Yes!\"</p><p>(of course)</p>", "Really? \"Yes!\" (of course)."),
            ("Bring:<ul><li>your card</li><li>water;</li></ul>", "Bring: your card. water;"),
            ("<ol><li>Sit</li><li>Wait</li></ol>", "Sit. Wait."),
            ("<a href=\"https://x.org\">Open the survey</a> now", "Open the survey now."),
            ("Go to <a href=\"https://x.org\">https://x.org</a>", "Go to."),
            ("Fish &amp; chips, Dr Lee, 5 mg", "Fish & chips, Dr Lee, 5 mg."),
            (
                "<table><tr><td>Drug A</td><td>5 mg</td></tr><tr><td>B</td><td></td></tr></table>",
                "Drug A, 5 mg. B.",
            ),
            ("10<sup>9</sup>", "10 9."),
            ("<p>Dear [first_name]</p><p>Bye</p>", "Dear [first_name]. Bye."),
            (
                "<p>- a fever</p><p>•&nbsp;a cough</p><p>-5 degrees</p><p>-</p>",
                "a fever. a cough. -5 degrees.",
            ),
            ("<p></p><br><div> </div>", ""),
            ("one\n two", "one two."),
        ] {
            assert_eq!(html_to_speech(html), wanted, "{html}");
        }
    }

    /// Long texts of one kind of rubbish each. Were one read over and over, this would take minutes.
    #[test]
    fn rubbish_takes_no_longer_than_text() {
        for piece in [
            "<",
            "<a",
            "<a \"",
            "<a '\"",
            "<a href=x>",
            "<a href=x",
            "</a>",
            "<!--",
            "<style>",
            "<style></style>",
            "</",
            "&",
            "&#",
            "<ul><li>",
            "<p>",
            "<a =",
            "<a / ",
            "<td>",
            "<sup>",
            "[",
            "{",
        ] {
            let text = piece.repeat(200_000);
            let _ = html_to_text(&text);
            let _ = html_to_speech(&text);
        }
    }

    /// Well-formed HTML, nested a few levels deep.
    fn document() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-zA-Z0-9 .,!é]{0,12}",
            Just("<br>".to_owned()),
            Just("<br/>".to_owned()),
            Just("<!-- a > b -->".to_owned()),
            Just("&amp;".to_owned()),
            Just("&#8217;".to_owned()),
            Just("<img src=\"a.png\" alt='>'>".to_owned()),
            Just("<style>p > a { color: red }</style>".to_owned()),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let names = prop::sample::select(vec![
                "p",
                "div",
                "b",
                "span class=\"x > y\"",
                "ul",
                "ol",
                "li",
                "a href='https://x.org/'",
                "table",
                "tr",
                "td",
                "sup",
                "h1",
            ]);
            (names, prop::collection::vec(inner, 0..5)).prop_map(|(tag, inner)| {
                let name = tag.split(' ').next().unwrap();
                format!("<{tag}>{}</{name}>", inner.concat())
            })
        })
    }

    proptest! {
        #[test]
        fn no_tag_is_left_of_well_formed_html(html in document()) {
            for text in [html_to_text(&html), html_to_speech(&html)] {
                prop_assert!(!text.contains(['<', '>']), "{}", text);
                prop_assert_eq!(text.trim(), &text);
            }
            prop_assert!(!html_to_speech(&html).contains('\n'));
            prop_assert!(!html_to_speech(&html).contains("https://"));
        }

        #[test]
        fn plain_text_is_left_alone(text in "[^&<]{0,60}") {
            let once = html_to_text(&text);
            prop_assert_eq!(html_to_text(&once), once.clone());
            let words: Vec<&str> = once.split(' ').collect();
            let soft = ['\u{200b}', '\u{feff}', '\u{ad}', '\u{2060}'];
            let wanted = text.replace(soft, "");
            prop_assert_eq!(words.join(" "), wanted.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}
