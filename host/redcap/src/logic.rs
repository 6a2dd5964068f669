//! REDCap's logic: the conditions of branching, invitations, alerts and queues.
//!
//! [`parse`] reads a condition and reports every mistake with its place and a way out;
//! [`evaluate`] cannot fail, because REDCap's own answer to nonsense is a blank.
//!
//! This is the small first version: the operators, references, and the functions of [`Function`].
//! Semantics are those of public documentation and of values real servers stored; where neither
//! says anything, the choice is written beside the code that makes it.

mod eval;
mod parse;

pub use crate::reference::{Context, Instance, Reference, Span};
pub use eval::{Value, evaluate, format_number};
pub use parse::{Mistake, parse};

/// A condition or formula that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: Node,
}

impl Expression {
    /// Every reference in the order of the text, repeats included. An approval shows them, and an
    /// export asks for them.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.root.collect(&mut found);
        found
    }

    /// Whether the outcome may change by the passing of time alone.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.root.mentions_time()
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Text(String),
    Truth(bool),
    Reference(Reference),
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

impl Node {
    fn children(&self) -> Vec<&Node> {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Truth(_) | Self::Reference(_) => Vec::new(),
            Self::Negative(inner) | Self::Not(inner) => vec![inner],
            Self::Binary(_, left, right) => vec![left, right],
            Self::Call(_, arguments) => arguments.iter().collect(),
        }
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        if let Self::Reference(reference) = self {
            found.push(reference);
        }
        for child in self.children() {
            child.collect(found);
        }
    }

    fn mentions_time(&self) -> bool {
        matches!(self, Self::Text(text) if text.eq_ignore_ascii_case("today") || text.eq_ignore_ascii_case("now"))
            || self.children().into_iter().any(Self::mentions_time)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

/// The functions this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    If,
    DateDiff,
    Round,
    RoundUp,
    RoundDown,
    Abs,
    Mod,
    Sum,
    Mean,
    Min,
    Max,
    IsBlankOrMissingCode,
    IsNumber,
    IsInteger,
    Length,
    Contains,
    NotContain,
    StartsWith,
    EndsWith,
}

impl Function {
    /// Name, fewest and most arguments.
    const ALL: [(Self, &'static str, usize, usize); 19] = [
        (Self::If, "if", 3, 3),
        (Self::DateDiff, "datediff", 3, 5),
        (Self::Round, "round", 1, 2),
        (Self::RoundUp, "roundup", 1, 2),
        (Self::RoundDown, "rounddown", 1, 2),
        (Self::Abs, "abs", 1, 1),
        (Self::Mod, "mod", 2, 2),
        (Self::Sum, "sum", 1, usize::MAX),
        (Self::Mean, "mean", 1, usize::MAX),
        (Self::Min, "min", 1, usize::MAX),
        (Self::Max, "max", 1, usize::MAX),
        (Self::IsBlankOrMissingCode, "isblankormissingcode", 1, 1),
        (Self::IsNumber, "isnumber", 1, 1),
        (Self::IsInteger, "isinteger", 1, 1),
        (Self::Length, "length", 1, 1),
        (Self::Contains, "contains", 2, 2),
        (Self::NotContain, "not_contain", 2, 2),
        (Self::StartsWith, "starts_with", 2, 2),
        (Self::EndsWith, "ends_with", 2, 2),
    ];

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.1.eq_ignore_ascii_case(name)).map(|entry| entry.0)
    }

    fn arity(self) -> (&'static str, usize, usize) {
        let (_, name, least, most) = Self::ALL[self as usize];
        (name, least, most)
    }
}
