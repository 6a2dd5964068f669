//! From text to [`Expression`], with every mistake at its place.

use super::{Expression, Function, Node, Operator};
use crate::reference::{Reference, Span};

/// Something in a condition that is not REDCap's language, or not yet understood here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Mistake {
    /// Where, in bytes of the text as it was given.
    pub at: Span,
    /// A lower-case fragment saying what is wrong.
    pub sentence: String,
    /// What to write instead.
    pub help: String,
}

/// Deeper nesting is refused, because the stack is finite. Score tables in `if`s are the deepest there is.
const MAX_DEPTH: usize = 100;
/// Longer conditions are refused, for the same reason and to bound the cost of one evaluation.
const MAX_NODES: usize = 4_000;

/// Reads a condition. HTML entities, as they occur in project XML, stand for what they mean.
pub fn parse(text: &str) -> Result<Expression, Vec<Mistake>> {
    let decoded = Decoded::new(text);
    let mut mistakes = Vec::new();
    let tokens = tokens(&decoded.text, &mut mistakes);
    let mut parser = Parser { tokens: &tokens, at: 0, end: decoded.text.len(), depth: 0, nodes: 0 };
    let root = parser.whole();
    // A wrong character makes what follows doubtful, so the parser speaks only if there is none.
    let root = match root {
        Ok(root) if mistakes.is_empty() => return Ok(Expression { root }),
        Ok(_) => None,
        Err(mistake) => Some(mistake),
    };
    if mistakes.is_empty() {
        mistakes.extend(root);
    }
    for mistake in &mut mistakes {
        mistake.at = decoded.original(mistake.at.start)..decoded.original(mistake.at.end);
    }
    Err(mistakes)
}

/// The text with entities resolved, and where each byte came from.
struct Decoded {
    text: String,
    from: Vec<usize>,
}

impl Decoded {
    fn new(original: &str) -> Self {
        const ENTITIES: [(&str, &str); 8] = [
            ("lt;", "<"),
            ("gt;", ">"),
            ("quot;", "\""),
            ("#039;", "'"),
            ("#39;", "'"),
            ("apos;", "'"),
            ("nbsp;", " "),
            ("#160;", " "),
        ];
        let (mut text, mut from) = (String::new(), Vec::new());
        let mut at = 0;
        while let Some(c) = original[at..].chars().next() {
            let rest = &original[at..];
            // Entities are sometimes escaped twice: `&amp;lt;`.
            let mut name = rest.strip_prefix('&');
            while let Some(inner) = name.and_then(|name| name.strip_prefix("amp;")) {
                name = Some(inner);
            }
            let entity = name.and_then(|name| {
                ENTITIES.iter().find_map(|(entity, means)| Some((*means, name.strip_prefix(entity)?)))
            });
            let (means, taken) = match (entity, name) {
                (Some((means, after)), _) => (means.to_owned(), rest.len() - after.len()),
                (None, Some(after)) => ("&".to_owned(), (rest.len() - after.len()).max(1)),
                (None, None) => (c.to_string(), c.len_utf8()),
            };
            from.extend(std::iter::repeat_n(at, means.len()));
            text.push_str(&means);
            at += taken;
        }
        from.push(at);
        Self { text, from }
    }

    fn original(&self, at: usize) -> usize {
        self.from.get(at).or(self.from.last()).copied().unwrap_or(0)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Word(String),
    Reference(Reference),
    Operator(Operator),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str, mistakes: &mut Vec<Mistake>) -> Vec<(Token, Span)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_comment = c == '#' || rest.starts_with("//");
        let taken = if c.is_whitespace() {
            c.len_utf8()
        } else if is_comment {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            match token(c, rest) {
                Ok((found, taken)) => {
                    tokens.push((found, at..at + taken));
                    taken
                }
                Err(wrong) => {
                    let Wrong { taken, sentence, help } = wrong;
                    mistakes.push(Mistake { at: at..at + taken, sentence, help });
                    taken
                }
            }
        };
        at += taken;
    }
    tokens
}

/// A stretch that is no token. Reading goes on behind it.
struct Wrong {
    taken: usize,
    sentence: String,
    help: String,
}

/// The token at the start of a text that begins with `c`, and how many bytes it takes.
fn token(c: char, rest: &str) -> Result<(Token, usize), Wrong> {
    let run = |within: fn(char) -> bool| rest.find(|c| !within(c)).unwrap_or(rest.len());
    match c {
        '(' => Ok((Token::Open, 1)),
        ')' => Ok((Token::Close, 1)),
        ',' => Ok((Token::Comma, 1)),
        '[' => Reference::read(rest)
            .map(|(reference, taken)| (Token::Reference(reference), taken))
            .ok_or_else(|| Wrong {
                taken: rest.find(']').map_or(rest.len(), |end| end + 1),
                sentence: "this is not a reference to a field".to_owned(),
                help: "write a field as `[field]`, a checkbox as `[field(code)]`".to_owned(),
            }),
        '\'' | '"' => {
            let inner = &rest[1..];
            let end = inner.find(c).ok_or_else(|| Wrong {
                taken: rest.len(),
                sentence: "the quotation mark is never closed".to_owned(),
                help: format!("end the text with a second {c}"),
            })?;
            Ok((Token::Text(inner[..end].to_owned()), end + 2))
        }
        '0'..='9' | '.' => {
            let taken = run(|c| c.is_ascii_digit() || c == '.');
            let number = rest[..taken].parse().map_err(|_| Wrong {
                taken,
                sentence: format!("`{}` is not a number", &rest[..taken]),
                help: "write digits with one decimal point at most".to_owned(),
            })?;
            Ok((Token::Number(number), taken))
        }
        c if c.is_ascii_alphabetic() => {
            let taken = run(|c| c.is_ascii_alphanumeric() || c == '_');
            Ok((Token::Word(rest[..taken].to_ascii_lowercase()), taken))
        }
        _ => {
            operator(rest).map(|(operator, taken)| (Token::Operator(operator), taken)).ok_or_else(|| Wrong {
                taken: c.len_utf8(),
                sentence: format!("`{c}` has no meaning here"),
                help: if matches!(c, '‘' | '’' | '“' | '”') {
                    "use a straight quotation mark, ' or \"".to_owned()
                } else {
                    "take it out, or put it in quotation marks".to_owned()
                },
            })
        }
    }
}

fn operator(rest: &str) -> Option<(Operator, usize)> {
    // Longest first. `||` and `&&` are not documented, but stand in real projects.
    const SIGNS: [(&str, Operator); 14] = [
        ("<>", Operator::Unequal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("||", Operator::Or),
        ("&&", Operator::And),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("+", Operator::Plus),
        ("-", Operator::Minus),
        ("*", Operator::Times),
        ("/", Operator::Over),
        ("^", Operator::Power),
    ];
    SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)).map(|&(sign, operator)| (operator, sign.len()))
}

struct Parser<'a> {
    tokens: &'a [(Token, Span)],
    at: usize,
    end: usize,
    depth: usize,
    nodes: usize,
}

/// Operators from the loosest to the tightest: AND binds tighter than OR.
const LEVELS: [&[Operator]; 6] = [
    &[Operator::Or],
    &[Operator::And],
    &[
        Operator::Equal,
        Operator::Unequal,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ],
    &[Operator::Plus, Operator::Minus],
    &[Operator::Times, Operator::Over],
    &[Operator::Power],
];
const COMPARISON: usize = 2;

impl Parser<'_> {
    fn whole(&mut self) -> Result<Node, Mistake> {
        if self.tokens.is_empty() {
            return Err(
                self.mistake("there is no condition", "leave the condition out altogether, or write one")
            );
        }
        let root = self.level(0)?;
        match self.peek() {
            None => Ok(root),
            Some(Token::Close) => {
                Err(self.mistake("this parenthesis was never opened", "take it out, or add a `(` before"))
            }
            Some(Token::Comma) => {
                Err(self
                    .mistake("a comma stands between the arguments of a function only", "use `and` or `or`"))
            }
            Some(_) => {
                Err(self.mistake("an operator is missing before this", "join the two with `and` or `or`"))
            }
        }
    }

    /// Operators of this level and tighter ones. One function for all levels keeps the stack short.
    fn level(&mut self, loosest: usize) -> Result<Node, Mistake> {
        let mut left = if self.peek_word("not") {
            self.at += 1;
            let inner = self.nested(|parser| parser.level(COMPARISON))?;
            self.node(Node::Not(Box::new(inner)))?
        } else {
            self.unary()?
        };
        while let Some(operator) = self.peek_operator() {
            let level = LEVELS.iter().position(|level| level.contains(&operator)).unwrap_or(0);
            if level < loosest {
                break;
            }
            self.at += 1;
            if level == COMPARISON && self.peek_operator() == Some(Operator::Equal) {
                return Err(self.mistake("one sign of comparison is enough", "write `=` once"));
            }
            let right = self.nested(|parser| parser.level(level + 1))?;
            left = self.node(Node::Binary(operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Mistake> {
        match self.peek_operator() {
            Some(Operator::Minus) => {
                self.at += 1;
                let inner = self.nested(Self::unary)?;
                self.node(Node::Negative(Box::new(inner)))
            }
            Some(Operator::Plus) => {
                self.at += 1;
                self.nested(Self::unary)
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Result<Node, Mistake> {
        let Some((token, span)) = self.tokens.get(self.at).cloned() else {
            return Err(self.mistake("the condition ends too early", "add what should follow"));
        };
        self.at += 1;
        match token {
            Token::Number(number) => self.node(Node::Number(number)),
            Token::Text(text) => self.node(Node::Text(text)),
            Token::Reference(reference) => {
                if reference.is_smart() && !super::eval::knows_smart(&reference.name) {
                    return Err(Mistake {
                        at: span,
                        sentence: format!(
                            "the smart variable `[{}]` is not understood in conditions",
                            reference.name
                        ),
                        help: "use a field instead".to_owned(),
                    });
                }
                self.node(Node::Reference(reference))
            }
            Token::Open => {
                let inner = self.nested(|parser| parser.level(0))?;
                self.close(&span)?;
                Ok(inner)
            }
            Token::Word(word) => self.word(&word, &span),
            Token::Close | Token::Comma | Token::Operator(_) => {
                self.at -= 1;
                Err(self
                    .mistake("a value is missing before this", "write a field, a number or a quoted text"))
            }
        }
    }

    fn word(&mut self, word: &str, span: &Span) -> Result<Node, Mistake> {
        if self.peek() == Some(&Token::Open) {
            let Some(function) = Function::by_name(word) else {
                return Err(Mistake {
                    at: span.clone(),
                    sentence: format!("the function `{word}` is not understood"),
                    help: format!(
                        "the functions are {}",
                        Function::ALL.map(|entry| format!("`{}`", entry.1)).join(", ")
                    ),
                });
            };
            self.at += 1;
            let arguments = self.arguments(span)?;
            let (name, least, most) = function.arity();
            if !(least..=most).contains(&arguments.len()) {
                let wanted = if least == most {
                    least.to_string()
                } else if most == usize::MAX {
                    format!("{least} or more")
                } else {
                    format!("{least} to {most}")
                };
                return Err(Mistake {
                    at: span.clone(),
                    sentence: format!("`{name}` is given {} arguments", arguments.len()),
                    help: format!("`{name}` takes {wanted}"),
                });
            }
            return self.node(Node::Call(function, arguments));
        }
        match word {
            "true" => self.node(Node::Truth(true)),
            "false" => self.node(Node::Truth(false)),
            "today" | "now" => self.node(Node::Text(word.to_owned())),
            _ => Err(Mistake {
                at: span.clone(),
                sentence: format!("`{word}` is neither a field nor a text"),
                help: format!("write `[{word}]` for the field or `'{word}'` for the text"),
            }),
        }
    }

    fn arguments(&mut self, open: &Span) -> Result<Vec<Node>, Mistake> {
        let mut arguments = Vec::new();
        if self.peek() == Some(&Token::Close) {
            self.at += 1;
            return Ok(arguments);
        }
        loop {
            arguments.push(self.nested(|parser| parser.level(0))?);
            if self.peek() == Some(&Token::Comma) {
                self.at += 1;
            } else {
                self.close(open)?;
                return Ok(arguments);
            }
        }
    }

    fn close(&mut self, open: &Span) -> Result<(), Mistake> {
        match self.peek() {
            Some(Token::Close) => {
                self.at += 1;
                Ok(())
            }
            None => Err(Mistake {
                at: open.clone(),
                sentence: "this parenthesis is never closed".to_owned(),
                help: "add a `)`".to_owned(),
            }),
            Some(_) => {
                Err(self.mistake("an operator is missing before this", "join the two with `and` or `or`"))
            }
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Node, Mistake>) -> Result<Node, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.mistake("the condition is nested too deeply", "split it into calculated fields"));
        }
        let node = inner(self);
        self.depth -= 1;
        node
    }

    fn node(&mut self, node: Node) -> Result<Node, Mistake> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.mistake("the condition is too long", "split it into calculated fields"));
        }
        Ok(node)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found == word)
    }

    fn peek_operator(&self) -> Option<Operator> {
        match self.peek()? {
            Token::Operator(operator) => Some(*operator),
            Token::Word(word) if word == "and" => Some(Operator::And),
            Token::Word(word) if word == "or" => Some(Operator::Or),
            _ => None,
        }
    }

    /// A mistake at the next token.
    fn mistake(&self, sentence: &str, help: &str) -> Mistake {
        let at = self.tokens.get(self.at).map_or(self.end..self.end, |(_, span)| span.clone());
        Mistake { at, sentence: sentence.to_owned(), help: help.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_where_and_what() {
        for (text, place, sentence) in [
            ("[age] = 'x", "'x", "the quotation mark is never closed"),
            ("([age] = 1", "(", "this parenthesis is never closed"),
            ("[age] = 1)", ")", "this parenthesis was never opened"),
            ("[age] 1", "1", "an operator is missing before this"),
            ("[age] == 1", "=", "one sign of comparison is enough"),
            ("[age] = ", "", "the condition ends too early"),
            ("[age] = yes", "yes", "`yes` is neither a field nor a text"),
            ("frob([age])", "frob", "the function `frob` is not understood"),
            ("if([age])", "if", "`if` is given 1 arguments"),
            ("[see here] = 1", "[see here]", "this is not a reference to a field"),
            ("[age] = “1”", "“", "`“` has no meaning here"),
            (
                "[user-role-name] = 'x'",
                "[user-role-name]",
                "the smart variable `[user-role-name]` is not understood in conditions",
            ),
            ("  ", "", "there is no condition"),
            ("[a] &lt; 1 frob", "frob", "an operator is missing before this"),
        ] {
            let mistakes = parse(text).unwrap_err();
            assert_eq!(&text[mistakes[0].at.clone()], place, "{text}");
            assert_eq!(mistakes[0].sentence, sentence, "{text}");
        }
    }

    #[test]
    fn every_wrong_character_is_reported() {
        assert_eq!(parse("[age] = ‘1’").unwrap_err().len(), 2);
    }

    #[test]
    fn nesting_and_length_have_an_end() {
        let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(parse(&deep).unwrap_err()[0].sentence, "the condition is nested too deeply");
        let ifs = format!("{}1{}", "if([a] = 1 and [b] = 2, 0, ".repeat(95), ")".repeat(95));
        assert_eq!(parse(&ifs).unwrap().references().len(), 190);
        let minus = format!("{}1", "-".repeat(5000));
        assert!(parse(&minus).is_err());
        let not = "not ".repeat(5000);
        assert!(parse(&not).is_err());
        let long = vec!["1"; 20_000].join("+");
        assert_eq!(parse(&long).unwrap_err()[0].sentence, "the condition is too long");
    }
}
