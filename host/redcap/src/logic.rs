//! REDCap's logic: the conditions of branching, invitations, alerts and queues, and the formulas of
//! calculated fields.
//!
//! [`parse`] reads one and reports every mistake with its place and a way out. [`check`] holds it
//! against a project: fields that are not there, comparisons that can never be true. [`evaluate`]
//! cannot fail, because REDCap's own answer to nonsense is a blank. An [`Expression`] prints as it
//! would be written.
//!
//! Semantics are those of public documentation and of values real servers stored. Where sources
//! disagree or say nothing, there is one choice, written in the reference (`reference.md`) and beside
//! the code that makes it.

#[cfg(test)]
pub(crate) mod cases;
mod check;
mod eval;
mod function;
mod lex;
mod moment;
mod parse;
mod print;
mod step;
mod value;

pub use crate::reference::{Context, Instance, Reference, Span};
pub use check::{Finding, Standing, check};
pub use eval::{evaluate, may_hold, untold};
pub use function::{FUNCTIONS, Function, Kind, Signature};
pub use parse::{Mistake, parse};
pub use step::{Operand, Operator, Step};
pub use value::{Value, format_number};

pub(crate) use moment::{add_to_moment, unit_seconds};
pub(crate) use value::same as is_same_number;

/// A condition or formula that was understood.
///
/// Two are equal if they say the same, whatever blanks, comments and parentheses they were written
/// with.
#[derive(Debug, Clone)]
pub struct Expression {
    steps: Vec<Step>,
    /// Where each step stood in the text.
    spans: Vec<Span>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl Expression {
    /// How it is worked out, step by step.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Every reference in the order of the text, repeats included. An approval shows them, and an
    /// export asks for them.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        let references = self.steps.iter().filter_map(|step| match step {
            Step::Reference(operand) => Some(&operand.reference),
            _ => None,
        });
        references.collect()
    }

    /// Whether the outcome may change by the passing of time alone.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.steps.iter().any(Step::is_time)
    }

    /// Whether the outcome may change within a day: it goes by `now`, and not by `today` alone.
    #[must_use]
    pub fn depends_on_the_hour(&self) -> bool {
        self.steps.iter().any(|step| step.is_time() && !step.is_today())
    }
}
