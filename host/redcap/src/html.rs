//! From the rich text editor's HTML to plain text, for text messages and for speech.

/// Drops tags, keeps the text. Paragraphs, list items, table rows and `<br>` end lines; blanks
/// collapse. A link becomes its text, followed by its address unless the text says it already.
#[must_use]
pub fn html_to_text(html: &str) -> String {
    let mut out = Lines::default();
    let mut links: Vec<(String, usize)> = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        if let Some((tag, after)) = tag(rest) {
            rest = after;
            let name = name_of(tag);
            match name.as_str() {
                "script" | "style" => rest = behind_closing_tag(rest, &name),
                "br" => out.line(),
                "p" | "/p" | "div" | "/div" | "li" | "/li" | "ul" | "/ul" | "ol" | "/ol" | "tr" | "/tr"
                | "table" | "/table" | "h1" | "/h1" | "h2" | "/h2" | "h3" | "/h3" | "h4" | "/h4" | "h5"
                | "/h5" | "h6" | "/h6" | "hr" | "blockquote" | "/blockquote" => out.block(),
                "td" | "/td" | "th" | "/th" => out.blank(),
                "a" => links.push((attribute(tag, "href"), out.text.len())),
                "/a" => {
                    if let Some((address, from)) = links.pop() {
                        out.link(&address, from);
                    }
                }
                _ => {}
            }
            continue;
        }
        let (c, taken) = entity(rest).unwrap_or_else(|| {
            let c = rest.chars().next().unwrap_or(' ');
            (c, c.len_utf8())
        });
        rest = &rest[taken..];
        out.push(c);
    }
    out.finish()
}

/// The text so far. Blanks and line ends are held back until something follows.
#[derive(Default)]
struct Lines {
    text: String,
    blank: bool,
    breaks: usize,
}

impl Lines {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank = true;
            return;
        }
        if self.text.is_empty() {
            // Nothing to be parted from.
        } else if self.breaks > 0 {
            self.text.extend(std::iter::repeat_n('\n', self.breaks.min(2)));
        } else if self.blank {
            self.text.push(' ');
        }
        self.blank = false;
        self.breaks = 0;
        self.text.push(c);
    }

    fn line(&mut self) {
        self.breaks += 1;
    }

    /// One line end, however many blocks end and begin here.
    fn block(&mut self) {
        self.breaks = self.breaks.max(1);
    }

    fn blank(&mut self) {
        self.blank = true;
    }

    fn link(&mut self, address: &str, from: usize) {
        let address = address.strip_prefix("mailto:").or(address.strip_prefix("tel:")).unwrap_or(address);
        let address: String = decode(address);
        let label = self.text.get(from..).unwrap_or_default().trim();
        // `[survey-link]` in an address is piped later, and is an address then.
        let leads_somewhere =
            !address.is_empty() && !address.starts_with('#') && !address.starts_with("javascript:");
        if leads_somewhere && !label.contains(address.trim()) {
            let bare = label.is_empty();
            self.blank = self.blank || !bare;
            for c in address.trim().chars() {
                self.push(c);
            }
        }
    }

    fn finish(self) -> String {
        self.text
    }
}

/// The tag or comment at the start of a text. A `<` before anything else is just that.
fn tag(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    if let Some(comment) = inner.strip_prefix("!--") {
        return Some(("", comment.find("-->").map_or("", |end| &comment[end + 3..])));
    }
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        return None;
    }
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&inner[..at], &inner[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// What follows `</name>`. Scripts and styles are not text, and their `<` are not tags.
fn behind_closing_tag<'a>(text: &'a str, name: &str) -> &'a str {
    let closing = format!("</{name}");
    let lower = text.to_ascii_lowercase();
    let end = lower.find(&closing).and_then(|at| Some(at + lower[at..].find('>')? + 1));
    end.map_or("", |end| &text[end..])
}

fn name_of(tag: &str) -> String {
    let end =
        tag[1.min(tag.len())..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(tag.len(), |end| end + 1);
    tag.get(..end).unwrap_or(tag).to_ascii_lowercase()
}

fn attribute(tag: &str, name: &str) -> String {
    let lower = tag.to_ascii_lowercase();
    let Some(at) = lower.find(&format!("{name}=")) else { return String::new() };
    let value = &tag[at + name.len() + 1..];
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next(),
        _ => value.split([' ', '/']).next(),
    };
    value.unwrap_or_default().to_owned()
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
    const NAMED: [(&str, char); 30] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("ndash", '–'),
        ("mdash", '—'),
        ("hellip", '…'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("bull", '•'),
        ("middot", '·'),
        ("deg", '°'),
        ("euro", '€'),
        ("pound", '£'),
        ("copy", '©'),
        ("reg", '®'),
        ("trade", '™'),
        ("aacute", 'á'),
        ("eacute", 'é'),
        ("iacute", 'í'),
        ("oacute", 'ó'),
        ("uacute", 'ú'),
        ("ntilde", 'ñ'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
    ];
    let inner = text.strip_prefix('&')?;
    let end = inner.bytes().take(10).position(|b| b == b';')?;
    let name = &inner[..end];
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?
        }
        None => NAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((c, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_lines() {
        for (html, wanted) in [
            ("<p>Hello,<br />Ann</p>\n<p> </p><p>Bye</p>", "Hello,\nAnn\nBye"),
            ("plain  text\nwrapped", "plain text wrapped"),
            ("a<br><br><br>b", "a\n\nb"),
            ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
            ("Fish &amp; chips &#8364;5 &lt;b&gt;&nbsp;&hellip;", "Fish & chips €5 <b> …"),
            ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
            ("<style>p{}</style>a<script>x<y</script>b<!-- no -->c", "abc"),
            ("<a href=\"https://x.org/?a=1&amp;b=2\">Open</a>!", "Open https://x.org/?a=1&b=2!"),
            ("<a href='https://x.org'>https://x.org</a>", "https://x.org"),
            ("<a href=\"[survey-url]\">[survey-url]</a>", "[survey-url]"),
            ("see <a href=\"https://x.org\"></a>", "see https://x.org"),
            ("<a href=\"tel:+15551234\">Call</a>", "Call +15551234"),
            ("<div class=\"a>b\">x</div>", "x"),
            ("&unknown; &#0; &#xZZ; &", "&unknown; &#0; &#xZZ; &"),
            ("<", "<"),
            ("<p", "<p"),
        ] {
            assert_eq!(html_to_text(html), wanted, "{html}");
        }
    }
}
