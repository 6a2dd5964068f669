//! From text to tokens. What is no token is reported at its place, and reading goes on behind it.

use winnow::Parser;
use winnow::combinator::{alt, dispatch, fail, peek};
use winnow::error::ContextError;
use winnow::token::{any, literal, take_till, take_while};

use super::parse::{MOST_MISTAKES, Mistake};
use super::step::Operator;
use crate::reference::{Reference, Span};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// A name outside brackets, in lower case.
    Word(String),
    Reference(Reference),
    Operator(Operator),
    /// `!`, which is not documented, but stands in real projects.
    Bang,
    Open,
    Close,
    Comma,
}

/// The tokens of a text with their places. Comments run from `#` or `//` to the end of the line.
pub(super) fn tokens(text: &str, mistakes: &mut Vec<Mistake>) -> Vec<(Token, Span)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let before = rest;
        match lexeme.parse_next(&mut rest) {
            Ok(Some(token)) => tokens.push((token, at..text.len() - rest.len())),
            Ok(None) => {}
            Err(_) => {
                let (taken, sentence, help) = wrong(before);
                if mistakes.len() < MOST_MISTAKES {
                    mistakes.push(Mistake { at: at..at + taken, sentence, help });
                }
                rest = &before[taken..];
            }
        }
    }
    tokens
}

type Outcome<T> = Result<T, ContextError>;

/// One token, or a stretch that means nothing.
fn lexeme(input: &mut &str) -> Outcome<Option<Token>> {
    alt((blanks.value(None), comment.value(None), token.map(Some))).parse_next(input)
}

fn is_blank(c: char) -> bool {
    // Editors leave characters behind that nobody sees.
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn blanks<'a>(input: &mut &'a str) -> Outcome<&'a str> {
    take_while(1.., is_blank).parse_next(input)
}

fn comment<'a>(input: &mut &'a str) -> Outcome<&'a str> {
    (alt(("#", "//")), take_till(0.., '\n')).take().parse_next(input)
}

fn token(input: &mut &str) -> Outcome<Token> {
    dispatch! { peek(any);
        '(' => any.value(Token::Open),
        ')' => any.value(Token::Close),
        ',' => any.value(Token::Comma),
        '!' => alt((operator.map(Token::Operator), any.value(Token::Bang))),
        '[' => reference.map(Token::Reference),
        '\'' | '"' | '‘' | '’' | '‚' | '“' | '”' | '„' => quoted.map(Token::Text),
        '0'..='9' | '.' => number.map(Token::Number),
        c if c.is_ascii_alphabetic() || c == '_' => word.map(Token::Word),
        _ => operator.map(Token::Operator),
    }
    .parse_next(input)
}

fn reference(input: &mut &str) -> Outcome<Reference> {
    let Some((reference, taken)) = Reference::read(input) else { return fail.parse_next(input) };
    *input = &input[taken..];
    Ok(reference)
}

/// What closes a text that a quotation mark opens, the likeliest first. Word processors turn straight
/// marks into curly ones, and not always both. An apostrophe within straight marks is often curly.
fn closing(open: char) -> [char; 3] {
    match open {
        '\'' => ['\'', '’', '‘'],
        '"' => ['"', '”', '“'],
        '“' | '”' | '„' => ['”', '"', '“'],
        _ => ['’', '\'', '‘'],
    }
}

/// A text in quotation marks. A backslash before the mark makes it a part of the text.
fn quoted(input: &mut &str) -> Outcome<String> {
    let open = any.parse_next(input)?;
    // Where another text is opened first, the curly mark behind it closes that one.
    let found = closing(open).into_iter().find_map(|mark| until(input, mark, open));
    let Some((text, taken)) = found else { return fail.parse_next(input) };
    *input = &input[taken..];
    Ok(text)
}

fn until(input: &str, mark: char, open: char) -> Option<(String, usize)> {
    // Found out fast, so that a text full of marks without their like is not copied again and again.
    if !input.contains(mark) {
        return None;
    }
    let mut text = String::new();
    let mut escaped = false;
    for (at, c) in input.char_indices() {
        if c == mark {
            if !escaped {
                return Some((text, at + c.len_utf8()));
            }
            text.pop();
        } else if c == open {
            return None;
        }
        escaped = c == '\\';
        text.push(c);
    }
    None
}

fn number(input: &mut &str) -> Outcome<f64> {
    let digits = take_while(1.., |c: char| c.is_ascii_digit() || c == '.').parse_next(input)?;
    let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
    let glued = input.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match number {
        Some(number) if !glued => Ok(number),
        _ => fail.parse_next(input),
    }
}

fn word(input: &mut &str) -> Outcome<String> {
    take_while(1.., |c: char| c.is_ascii_alphanumeric() || c == '_')
        .map(|word: &str| word.to_ascii_lowercase())
        .parse_next(input)
}

fn operator(input: &mut &str) -> Outcome<Operator> {
    // Longest first. `||`, `&&` and `===` are not documented, but stand in real projects.
    const SIGNS: [(&str, Operator); 17] = [
        ("===", Operator::Equal),
        ("!==", Operator::Unequal),
        ("==", Operator::Equal),
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
    alt(SIGNS.map(|(sign, operator)| literal(sign).value(operator))).parse_next(input)
}

/// Why a text does not begin with a token: how many bytes are wrong, what is wrong, and what to do.
fn wrong(rest: &str) -> (usize, String, String) {
    let c = rest.chars().next().unwrap_or(' ');
    match c {
        '[' => {
            // A bracket that is never closed spoils no more than its line.
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            (
                line.find(']').map_or(line.len(), |end| end + 1),
                "this is not a reference to a field".to_owned(),
                "write a field as `[field]`, a checkbox as `[field(code)]`".to_owned(),
            )
        }
        '\'' | '"' | '‘' | '’' | '‚' | '“' | '”' | '„' => (
            rest.len(),
            "the quotation mark is never closed".to_owned(),
            format!(
                "end the text with a second {}",
                if matches!(c, '"' | '“' | '”' | '„') { '"' } else { '\'' }
            ),
        ),
        '0'..='9' | '.' => {
            let taken = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')))
                .unwrap_or(rest.len());
            (
                taken,
                format!("`{}` is not a number", &rest[..taken]),
                "write digits with one decimal point at most, or put a text in quotation marks".to_owned(),
            )
        }
        _ => {
            let help = match c {
                '≤' => "write `<=`",
                '≥' => "write `>=`",
                '≠' => "write `<>`",
                '−' | '–' | '—' => "write `-`",
                '×' => "write `*`",
                '÷' => "write `/`",
                '%' => "write `mod(a, b)` for what a division leaves",
                '&' => "write `and`",
                '|' => "write `or`",
                '{' | '}' => "write a field as `[field]`; braces embed a field in a form",
                ']' => "take it out, or open the reference with `[`",
                ';' => "part the arguments of a function with `,`",
                _ => "take it out, or put it in quotation marks",
            };
            (c.len_utf8(), format!("`{c}` has no meaning here"), help.to_owned())
        }
    }
}
