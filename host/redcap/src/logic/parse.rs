//! From text to [`Expression`], with every mistake at its place.
//!
//! The tokens are read by combinators; what they make is put together by hand, with a stack of its
//! own. So no depth of nesting can exhaust the machine's stack, and after a mistake the reading goes
//! on as if what is missing stood there.

use super::Expression;
use super::function::{FUNCTIONS, Function};
use super::lex::{Token, tokens};
use super::step::{NEGATIVE, NOT, Operand, Operator, Step};
use crate::html;
use crate::reference::{Reference, Span};
use crate::smart::{self, SmartVariable};
use crate::spelling;

/// Something in a condition that is not REDCap's language.
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

/// Longer conditions are refused: it bounds what one evaluation may cost. The longest score tables
/// of real projects have a tenth of it.
const MAX_STEPS: usize = 50_000;

/// Who has that many mistakes to mend needs no more of them.
pub(super) const MOST_MISTAKES: usize = 100;

/// Reads a condition. HTML entities, as they occur in project XML, stand for what they mean.
pub fn parse(text: &str) -> Result<Expression, Vec<Mistake>> {
    let decoded = Decoded::new(text);
    let mut mistakes = Vec::new();
    let tokens = tokens(&decoded.text, &mut mistakes);
    let mut parser = Parser::new(&tokens, decoded.text.len(), mistakes);
    parser.run();
    let Parser { steps, mut spans, mut mistakes, .. } = parser;
    let original = |at: &Span| decoded.original(at.start)..decoded.original(at.end);
    if mistakes.is_empty() {
        for span in &mut spans {
            *span = original(span);
        }
        return Ok(Expression { steps, spans });
    }
    mistakes.sort_by_key(|mistake| (mistake.at.start, mistake.at.end));
    for mistake in &mut mistakes {
        mistake.at = original(&mistake.at);
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
        const ENTITIES: [(&str, char); 9] = [
            ("lt;", '<'),
            ("gt;", '>'),
            ("quot;", '"'),
            ("apos;", '\''),
            ("lsquo;", '‘'),
            ("rsquo;", '’'),
            ("ldquo;", '“'),
            ("rdquo;", '”'),
            ("nbsp;", ' '),
        ];
        let (mut text, mut from) = (String::new(), Vec::new());
        let mut at = 0;
        while let Some(c) = original[at..].chars().next() {
            let rest = &original[at..];
            // Entities are sometimes escaped twice: `&amp;lt;`.
            let mut name = rest.strip_prefix('&');
            let ampersand = |name: &'_ str| {
                ["amp;", "#38;", "#038;", "#x26;"]
                    .iter()
                    .find_map(|entity| name.strip_prefix(entity))
                    .map(str::len)
            };
            while let Some((inner, left)) = name.and_then(|name| Some((name, ampersand(name)?))) {
                name = Some(&inner[inner.len() - left..]);
            }
            let entity = name.and_then(|name| {
                let named =
                    ENTITIES.iter().find_map(|(entity, means)| Some((*means, name.strip_prefix(entity)?)));
                named.or_else(|| numbered(name))
            });
            let (means, taken) = match (entity, name) {
                (Some((means, after)), _) => (means, rest.len() - after.len()),
                (None, Some(after)) => ('&', (rest.len() - after.len()).max(1)),
                (None, None) => (c, c.len_utf8()),
            };
            from.extend(std::iter::repeat_n(at, means.len_utf8()));
            text.push(means);
            at += taken;
        }
        from.push(at);
        Self { text, from }
    }

    fn original(&self, at: usize) -> usize {
        self.from.get(at).or(self.from.last()).copied().unwrap_or(0)
    }
}

/// A character by its number, behind the `&`: `#39;` or `#x27;`.
fn numbered(name: &str) -> Option<(char, &str)> {
    // No number of a character is longer, and text without end is not searched.
    let end = name.bytes().take(9).position(|byte| byte == b';')?;
    Some((html::numbered(&name[..end])?, &name[end + 1..]))
}

/// Something that was begun and waits for what follows.
enum Open {
    Paren(Span),
    Call(Call),
    Negative(Span),
    Plus,
    Not(Span),
    /// As [`Self::Not`], but for the next value only: `!` binds as in the languages it comes from.
    Bang(Span),
    /// An operator whose right side is being read; for `and` and `or`, where [`Step::Decided`] stands.
    Infix(Operator, Span, Option<usize>),
}

struct Call {
    /// None if there is no such function: its arguments are read all the same.
    function: Option<Function>,
    at: Span,
    arguments: usize,
    /// Where an `if` has the steps that learn later where to go on.
    unless: usize,
    skip: usize,
}

struct Parser<'a> {
    tokens: &'a [(Token, Span)],
    at: usize,
    end: usize,
    steps: Vec<Step>,
    spans: Vec<Span>,
    open: Vec<Open>,
    mistakes: Vec<Mistake>,
}

/// What is joined where an operator is missing.
const IMPLIED: Operator = Operator::And;

impl<'a> Parser<'a> {
    fn new(tokens: &'a [(Token, Span)], end: usize, mistakes: Vec<Mistake>) -> Self {
        Self { tokens, at: 0, end, steps: Vec::new(), spans: Vec::new(), open: Vec::new(), mistakes }
    }

    fn run(&mut self) {
        if self.tokens.is_empty() {
            if self.mistakes.is_empty() {
                self.mistake(
                    self.end..self.end,
                    "there is no condition",
                    "leave the condition out altogether, or write one",
                );
            }
            return;
        }
        loop {
            self.operand();
            if self.steps.len() > MAX_STEPS {
                let at = self.here();
                self.mistake(at, "the condition is too long", "split it into calculated fields");
                return;
            }
            if !self.behind_operand() {
                return;
            }
        }
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    /// The place of the next token.
    fn here(&self) -> Span {
        self.tokens.get(self.at).map_or(self.end..self.end, |(_, span)| span.clone())
    }

    fn mistake(&mut self, at: Span, sentence: impl Into<String>, help: impl Into<String>) {
        if self.mistakes.len() >= MOST_MISTAKES {
            return;
        }
        // What follows from a mistake at the same place is none of its own.
        if self.mistakes.iter().all(|known| known.at != at) {
            self.mistakes.push(Mistake { at, sentence: sentence.into(), help: help.into() });
        }
    }

    fn step(&mut self, step: Step, span: Span) -> usize {
        self.steps.push(step);
        self.spans.push(span);
        self.steps.len() - 1
    }

    /// Reads prefixes and opening parentheses up to and with one value.
    fn operand(&mut self) {
        loop {
            let span = self.here();
            let Some(token) = self.peek() else {
                self.mistake(span.clone(), "the condition ends too early", "add what should follow");
                self.step(Step::Blank, span);
                return;
            };
            self.at += 1;
            match token {
                Token::Operator(Operator::Minus) => self.open.push(Open::Negative(span)),
                Token::Operator(Operator::Plus) => self.open.push(Open::Plus),
                Token::Open => self.open.push(Open::Paren(span)),
                Token::Number(number) => {
                    self.step(Step::Number(*number), span);
                    return;
                }
                Token::Text(text) => {
                    self.step(Step::Text(text.clone()), span);
                    return;
                }
                Token::Reference(reference) => {
                    if let Some((sentence, help)) = misunderstood(reference) {
                        self.mistake(span.clone(), sentence, help);
                    }
                    self.step(Step::Reference(Box::new(Operand::new(reference.clone()))), span);
                    return;
                }
                Token::Word(word) if word == "not" => self.open.push(Open::Not(span)),
                Token::Bang => self.open.push(Open::Bang(span)),
                Token::Word(word) if self.peek() == Some(&Token::Open) && operator(token).is_none() => {
                    self.at += 1;
                    if self.call(word, span) {
                        return;
                    }
                }
                Token::Word(word) if operator(token).is_none() => {
                    self.word(word, span);
                    return;
                }
                Token::Word(_) | Token::Operator(_) | Token::Close | Token::Comma => {
                    self.at -= 1;
                    let behind = self.at.checked_sub(1).map(|at| &self.tokens[at].0);
                    let help = match (behind, token) {
                        (Some(Token::Operator(Operator::Equal)), Token::Operator(Operator::Greater)) => {
                            "write `>=` for greater or equal"
                        }
                        (Some(Token::Operator(Operator::Equal)), Token::Operator(Operator::Less)) => {
                            "write `<=` for less or equal"
                        }
                        _ => "write a field, a number or a quoted text",
                    };
                    self.mistake(span.clone(), "a value is missing before this", help);
                    self.step(Step::Blank, span);
                    return;
                }
            }
        }
    }

    fn word(&mut self, word: &str, span: Span) {
        let step = match word {
            "true" => Step::Truth(true),
            "false" => Step::Truth(false),
            "today" => Step::Today,
            "now" => Step::Now,
            "null" => Step::Blank,
            _ => {
                self.mistake(
                    span.clone(),
                    format!("`{word}` is neither a field nor a text"),
                    format!("write `[{word}]` for the field or `'{word}'` for the text"),
                );
                Step::Blank
            }
        };
        self.step(step, span);
    }

    /// Begins a call behind its parenthesis. True if it ends at once, for want of arguments.
    fn call(&mut self, word: &str, at: Span) -> bool {
        let function = Function::named(word);
        if function.is_none() {
            let near = spelling::nearest(word, FUNCTIONS.iter().map(|row| row.name));
            let help = match near {
                Some(name) => format!("did you mean `{name}`?"),
                None => "`consentry redcap reference` lists the functions".to_owned(),
            };
            self.mistake(at.clone(), format!("the function `{word}` is not understood"), help);
        }
        let call = Call { function, at, arguments: 0, unless: 0, skip: 0 };
        if self.peek() == Some(&Token::Close) {
            self.at += 1;
            self.called(call);
            return true;
        }
        self.open.push(Open::Call(call));
        false
    }

    /// Reads what follows a value, up to and with the next operator or comma. False at the end.
    fn behind_operand(&mut self) -> bool {
        loop {
            let span = self.here();
            let Some(token) = self.peek() else {
                self.finish();
                return false;
            };
            if let Some(operator) = operator(token) {
                self.at += 1;
                self.infix(operator, span);
                return true;
            }
            match token {
                Token::Close => {
                    self.at += 1;
                    self.reduce(0);
                    match self.open.pop() {
                        Some(Open::Paren(_)) => {}
                        Some(Open::Call(mut call)) => {
                            call.arguments += 1;
                            self.called(call);
                        }
                        _ => self.mistake(
                            span,
                            "this parenthesis was never opened",
                            "take it out, or add a `(` before",
                        ),
                    }
                }
                Token::Comma => {
                    self.at += 1;
                    self.reduce(0);
                    if let Some(Open::Call(call)) = self.open.last_mut() {
                        call.arguments += 1;
                        if call.function == Some(Function::If) {
                            self.between_arguments(span);
                        }
                    } else {
                        self.mistake(
                            span.clone(),
                            "a comma stands between the arguments of a function only",
                            "use `and` or `or`",
                        );
                        self.infix(IMPLIED, span);
                    }
                    return true;
                }
                _ => {
                    let (sentence, help) = self.missing_operator();
                    self.mistake(span.clone(), sentence, help);
                    self.infix(IMPLIED, span);
                    return true;
                }
            }
        }
    }

    fn missing_operator(&self) -> (&'static str, &'static str) {
        let behind = self.at.checked_sub(1).map(|at| &self.tokens[at].0);
        match (behind, self.peek()) {
            (Some(Token::Reference(event)), Some(Token::Reference(_))) if event.names_an_event() => (
                "a blank parts the event from its field, so that the event is not heeded",
                "write `[event][field]` without anything between them",
            ),
            _ => ("an operator is missing before this", "join the two with `and` or `or`"),
        }
    }

    fn infix(&mut self, operator: Operator, span: Span) {
        self.reduce(operator.binding());
        let decided = matches!(operator, Operator::And | Operator::Or)
            .then(|| self.step(Step::Decided(operator, 0), span.clone()));
        self.open.push(Open::Infix(operator, span, decided));
    }

    /// Puts together what binds at least so tightly.
    fn reduce(&mut self, binding: u8) {
        while let Some(open) = self.open.last() {
            let tightness = match open {
                Open::Paren(_) | Open::Call(_) => return,
                Open::Negative(_) | Open::Plus | Open::Bang(_) => NEGATIVE,
                Open::Not(_) => NOT,
                Open::Infix(operator, ..) => operator.binding(),
            };
            if tightness < binding {
                return;
            }
            match self.open.pop() {
                Some(Open::Negative(span)) => {
                    self.step(Step::Negative, span);
                }
                Some(Open::Not(span) | Open::Bang(span)) => {
                    self.step(Step::Not, span);
                }
                Some(Open::Infix(operator, span, decided)) => {
                    if operator.is_comparison() && operator.binding() == binding {
                        let at = self.tokens.get(self.at.saturating_sub(1)).map(|(_, span)| span.clone());
                        self.mistake(
                            at.unwrap_or_else(|| span.clone()),
                            "a comparison is compared again",
                            "write two comparisons joined by `and`, as in `[x] > 1 and [x] < 5`",
                        );
                    }
                    let at = self.step(Step::Binary(operator), span);
                    if let Some(decided) = decided {
                        self.steps[decided] = Step::Decided(operator, at + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Within an `if`, behind an argument.
    fn between_arguments(&mut self, comma: Span) {
        let next = self.steps.len() + 1;
        let Some(Open::Call(call)) = self.open.last_mut() else { return };
        match call.arguments {
            1 => {
                call.unless = next - 1;
                self.step(Step::Unless(0), comma);
            }
            2 => {
                let unless = call.unless;
                call.skip = next - 1;
                self.step(Step::Skip(0), comma);
                self.steps[unless] = Step::Unless(next);
            }
            _ => {}
        }
    }

    fn called(&mut self, call: Call) {
        let Call { function, at, arguments, skip, .. } = call;
        let Some(function) = function else {
            self.step(Step::Blank, at);
            return;
        };
        let signature = function.signature();
        let (name, least, most) = (signature.name, signature.least, signature.most);
        if !(least..=most).contains(&arguments) {
            let wanted = match most {
                usize::MAX => format!("{least} or more"),
                most if most == least => least.to_string(),
                most => format!("{least} to {most}"),
            };
            let given =
                if arguments == 1 { "1 argument".to_owned() } else { format!("{arguments} arguments") };
            self.mistake(
                at.clone(),
                format!("`{name}` is given {given}"),
                format!("`{name}` takes {wanted}: `{}`", signature.form),
            );
        } else if function == Function::If {
            self.steps[skip] = Step::Skip(self.steps.len());
        }
        self.step(Step::Call(function, arguments), at);
    }

    /// At the end of the text: what is still open was never closed.
    fn finish(&mut self) {
        loop {
            self.reduce(0);
            match self.open.pop() {
                Some(Open::Paren(span) | Open::Call(Call { at: span, .. })) => {
                    self.mistake(span, "this parenthesis is never closed", "add a `)`");
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// What is wrong with a reference that no project could make right.
fn misunderstood(reference: &Reference) -> Option<(String, String)> {
    if !reference.is_smart() {
        return None;
    }
    let Some(variable) = SmartVariable::named(&reference.name) else {
        let near = spelling::nearest(&reference.name, smart::all().map(|known| known.name));
        return Some((
            format!("there is no smart variable `[{}]`", reference.name),
            near.map_or("use a field instead".to_owned(), |near| format!("did you mean `[{near}]`?")),
        ));
    };
    let sentence = variable.unusable_in_conditions()?;
    Some((format!("`[{}]` {sentence}", reference.name), "use a field instead".to_owned()))
}

fn operator(token: &Token) -> Option<Operator> {
    match token {
        Token::Operator(operator) => Some(*operator),
        Token::Word(word) if word == "and" => Some(Operator::And),
        Token::Word(word) if word == "or" => Some(Operator::Or),
        _ => None,
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
            ("[age] = ", "", "the condition ends too early"),
            ("[age] = yes", "yes", "`yes` is neither a field nor a text"),
            ("frob([age])", "frob", "the function `frob` is not understood"),
            ("if([age])", "if", "`if` is given 1 argument"),
            ("[see here] = 1", "[see here]", "this is not a reference to a field"),
            ("1 < [age] < 5", "<", "a comparison is compared again"),
            ("[age] ≥ 1", "≥", "`≥` has no meaning here"),
            ("1.2.3", "1.2.3", "`1.2.3` is not a number"),
            ("2nd", "2nd", "`2nd` is not a number"),
            ("[a] = 1, [b] = 2", ",", "a comma stands between the arguments of a function only"),
            (
                "[baseline_arm_1] [age] = 1",
                "[age]",
                "a blank parts the event from its field, so that the event is not heeded",
            ),
            ("  ", "", "there is no condition"),
            ("[a] &lt; 1 frob", "frob", "an operator is missing before this"),
        ] {
            let mistakes = parse(text).unwrap_err();
            assert_eq!(&text[mistakes[0].at.clone()], place, "{text}");
            assert_eq!(mistakes[0].sentence, sentence, "{text}");
            assert!(!mistakes[0].help.is_empty());
        }
    }

    #[test]
    fn reading_goes_on_behind_a_mistake() {
        for (text, places) in [
            ("[a] = ≤ and fro(1) or [b] = 'x", vec!["≤", "fro", "'x"]),
            ("( = 1) and ([b] = yes", vec!["=", "(", "yes"]),
            ("round() + if(1, 2) + datediff([a])", vec!["round", "if", "datediff"]),
            ("[a] [b] [c]", vec!["[b]", "[c]"]),
            (") ) and", vec![")", "", ")"]),
        ] {
            let mut mistakes: Vec<&str> =
                parse(text).unwrap_err().iter().map(|mistake| &text[mistake.at.clone()]).collect();
            mistakes.sort_by_key(|place| text.find(place));
            let mut places = places;
            places.sort_by_key(|place| text.find(place));
            for place in places {
                assert!(mistakes.contains(&place), "{text}: {place} is not among {mistakes:?}");
            }
        }
    }

    #[test]
    fn a_near_miss_is_named() {
        assert_eq!(parse("[a] => 1").unwrap_err()[0].help, "write `>=` for greater or equal");
        assert_eq!(parse("rond(1)").unwrap_err()[0].help, "did you mean `round`?");
    }

    #[test]
    fn what_real_projects_write_is_read() {
        for text in [
            "# a comment\n[a] = 1 // another",
            "[a] = ‘1’ AND [b] = “2” Or [c] = '3’",
            "if ([a] = 1, length ([b]), 0)",
            "([a]=1)and([b]=2)or([c]=3)",
            "[a(1)] && [a(2)] || not([a(3)])",
            "[event-name][a] = \"x\" and [e_arm_1][a][2] <> ''",
            "([a])^(2) === 4",
            "&#039;x&#039; = [a] &amp;&amp; 1 &lt;= 2",
            "[name] = 'O\\'Neill'",
            "datediff([a], \"today\", \"d\", \"mdy\", true)",
            "-[a] + +2 - -3",
            "!([a] = 1) and !contains([b], 'x')",
            "\u{a0}[a]\u{200b} = .5",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn depth_has_no_end_and_length_has() {
        let deep = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
        assert!(parse(&deep).is_ok());
        let ifs = format!("{}1{}", "if([a] = 1, 0, ".repeat(5_000), ")".repeat(5_000));
        assert_eq!(parse(&ifs).unwrap().references().len(), 5_000);
        assert!(parse(&format!("{}1", "-".repeat(20_000))).is_ok());
        assert!(parse(&format!("{}1", "not ".repeat(20_000))).is_ok());
        let long = vec!["1"; 60_000].join("+");
        assert_eq!(parse(&long).unwrap_err()[0].sentence, "the condition is too long");
    }
}
