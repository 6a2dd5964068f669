//! What an expression is made of.

use super::function::Function;
use crate::record::checkbox_column;
use crate::reference::Reference;

/// One step of working an expression out. Steps stand in the order in which they are taken, each
/// takes what it needs from a stack of values and leaves its outcome there. Nothing has to be
/// recursed into, so no depth of nesting can exhaust anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Number(f64),
    Text(String),
    Truth(bool),
    /// `null` outside quotation marks.
    Blank,
    /// `today` outside quotation marks: the date.
    Today,
    /// `now` outside quotation marks: date and time.
    Now,
    Reference(Box<Operand>),
    Negative,
    Not,
    Binary(Operator),
    /// A function and how many arguments it is given.
    Call(Function, usize),
    /// Behind the left side of `and` or `or`: if that already decides, goes on at this step.
    Decided(Operator, usize),
    /// Behind the condition of an `if`: takes it, and goes on at this step unless it holds.
    Unless(usize),
    /// Behind the second argument of an `if`: goes on at this step.
    Skip(usize),
}

impl Step {
    /// Whether its value changes by the passing of time alone.
    pub(super) fn is_time(&self) -> bool {
        match self {
            Step::Now => true,
            Step::Reference(operand) => operand.reference.name == "survey-duration",
            Step::Text(text) => text.trim().eq_ignore_ascii_case("now") || self.is_today(),
            _ => self.is_today(),
        }
    }

    /// Whether it is the date of today.
    pub(super) fn is_today(&self) -> bool {
        match self {
            Step::Today => true,
            Step::Text(text) => text.trim().eq_ignore_ascii_case("today"),
            _ => false,
        }
    }
}

/// A reference, and the column of a record in which its value stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    pub reference: Reference,
    pub(super) column: String,
}

impl Operand {
    #[must_use]
    pub fn new(reference: Reference) -> Self {
        let column = match &reference.code {
            Some(code) => checkbox_column(&reference.name, code),
            None => reference.name.clone(),
        };
        Self { reference, column }
    }
}

/// What joins two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
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

impl Operator {
    /// As it is printed.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Over => "/",
            Self::Power => "^",
        }
    }

    /// How tightly it binds: AND before OR, and both looser than a comparison.
    pub(super) const fn binding(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::Unequal
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual => COMPARISON,
            Self::Plus | Self::Minus => 5,
            Self::Times | Self::Over => 6,
            Self::Power => 7,
        }
    }

    #[must_use]
    pub const fn is_comparison(self) -> bool {
        self.binding() == COMPARISON
    }
}

/// `not` binds looser than a comparison and tighter than AND; a minus sign binds tightest of all.
pub(super) const NOT: u8 = 3;
pub(super) const COMPARISON: u8 = 4;
pub(super) const NEGATIVE: u8 = 8;
/// What needs no parentheses anywhere.
pub(super) const WHOLE: u8 = 9;
